/* link: one network connection between libwebsockets and the broker.
 *
 * Sending: the broker's bytes go out by lws_write() at once, as long as lws holds nothing back;
 * what a socket does not take lws keeps, and nothing more is given to it until its writable
 * callback (two writes on top of each other corrupt the stream). Closing waits for it too, unless
 * the receive callback can do it on its way out. */
#include "base/assert.h"
#include "base/mem.h"
#include "broker/purposes.h"
#include "broker/shard.h"
#include "ws/apart.h"
#include "ws/ws_priv.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define LINK_MAGIC       0x4c494e4bu
#define CLOSE_TEXT_MAX   123  /* bytes [RFC 6455 5.5] */
#define CLOSE_TIMEOUT_MS 5000 /* for the peer to take the last bytes and close */
#define DEFLATE_LEAST    64   /* bytes; smaller messages are not packed */
#define RSV1             0x40 /* in the first byte of a frame: packed [RFC 7692 6] */

/* ---- life ---- */

static void on_timer(struct timer *t);

static void set_peer(struct link *k, const struct sockaddr_storage *from)
{
    const struct ws_listener_config *cfg = k->socket->config;
    const char *name = k->socket->listener->name;
    uint16_t port = 0;

    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)from;

        inet_ntop(AF_INET, &in->sin_addr, k->address, sizeof k->address);
        port = ntohs(in->sin_port);
    } else if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)from;

        inet_ntop(AF_INET6, &in6->sin6_addr, k->address, sizeof k->address);
        port = ntohs(in6->sin6_port);
    }
    k->peer = (struct transport_peer){
        .address = {(const uint8_t *)k->address, (uint32_t)strlen(k->address)},
        .port = port,
        .listener = {(const uint8_t *)name, (uint32_t)strlen(name)},
        .tls = ws_protocol_has_tls(cfg->protocol),
        .websocket = ws_protocol_is_websocket(cfg->protocol),
        .allow_anonymous = cfg->allow_anonymous,
        .max_packet_size = cfg->max_packet_size};
}

struct link *link_new(struct socket *so, const struct sockaddr_storage *from)
{
    struct shard *sh = so->loop->shard;
    struct link *k = mem_try_alloc(sh->mem, FOR_TRANSPORT, sizeof *k);

    if (k == NULL)
        return NULL;
    memset(k, 0, sizeof *k);
    k->magic = LINK_MAGIC;
    k->loop = so->loop;
    k->socket = so;
    k->how = ws_protocol_is_websocket(so->config->protocol) ? LWS_WRITE_BINARY : LWS_WRITE_RAW;
    timer_init(&k->timer, on_timer);
    /* lws has timeouts of its own for handshakes, but in seconds, and one for all listeners. */
    timer_start(&sh->timers, &k->timer, sh->now_ms + so->config->handshake_timeout_ms);
    set_peer(k, from);
    atomic_fetch_add_explicit(&k->socket->listener->open, 1, memory_order_relaxed);
    return k;
}

void link_free(struct link *k)
{
    struct ws_loop *l = k->loop;
    struct mem *mem = l->shard->mem;

    ASSERT(k->magic == LINK_MAGIC && k->conn == NULL);
    timer_stop(&l->shard->timers, &k->timer);
    l->refused -= k->refused;
    atomic_fetch_sub_explicit(&l->server->deflate_bytes, (int64_t)k->deflate_cost,
                              memory_order_relaxed);
    deflate_free(&k->deflate);
    atomic_fetch_sub_explicit(&k->socket->listener->open, 1, memory_order_relaxed);
    mem_release(mem, FOR_TRANSPORT, k->close_text);
    k->magic = 0;
    mem_release(mem, FOR_TRANSPORT, k);
}

/* ---- sending ---- */

/* End it now, whatever is under way; not from inside this call. */
static void kill_link(struct link *k)
{
    lws_set_timeout(k->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
    k->loop->nudge = true;
}

static int write_packed(struct link *k, uint8_t *data, size_t len)
{
    struct deflate_buffer *b = &k->loop->packed;
    size_t packed = deflate_pack(k->deflate, data, len, b, LWS_PRE);
    int n;

    if (packed == 0)
        return lws_write(k->wsi, data, len, k->how);
    k->sends_packed = true;
    n = lws_write(k->wsi, b->p + LWS_PRE, packed, k->how);
    k->sends_packed = false;
    return n;
}

static int write_message(struct link *k, uint8_t *data, size_t len)
{
    if (k->deflate != NULL && len >= DEFLATE_LEAST)
        return write_packed(k, data, len);
    return lws_write(k->wsi, data, len, k->how);
}

/* What came of a write. */
static enum transport_sent sent(struct link *k, int written)
{
    if (written < 0) {
        kill_link(k);
        return TRANSPORT_DEAD;
    }
    if (!lws_partial_buffered(k->wsi))
        return TRANSPORT_SENT;
    lws_callback_on_writable(k->wsi);
    return TRANSPORT_BLOCKED;
}

/* In one write, as everything. */
static enum transport_sent send_apart(struct link *k, const uint8_t *data, size_t len)
{
    struct mem *mem = k->loop->shard->mem;
    uint8_t *frames = mem_try_alloc(mem, FOR_TRANSPORT, LWS_PRE + APART_ROOM(len));
    int written;

    if (frames == NULL)
        return TRANSPORT_DEAD;
    len = apart(frames + LWS_PRE, data, len, &k->packet_left);
    written = lws_write(k->wsi, frames + LWS_PRE, len, LWS_WRITE_HTTP); /* as they are */
    mem_release(mem, FOR_TRANSPORT, frames);
    return sent(k, written);
}

static enum transport_sent op_send(void *link, uint8_t *data, size_t len)
{
    struct link *k = link;

    k->sent_ms = k->loop->shard->now_ms;
    if (k->apart && k->deflate == NULL)
        return send_apart(k, data, len);
    return sent(k, write_message(k, data, len));
}

static void op_close(void *link, enum close_reason why, struct mqtt_str text)
{
    struct link *k = link;
    size_t len = text.len < CLOSE_TEXT_MAX ? text.len : CLOSE_TEXT_MAX;

    k->closing = true;
    k->why = why;
    if (k->how == LWS_WRITE_BINARY) {
        k->close_text = mem_try_alloc(k->loop->shard->mem, FOR_TRANSPORT, len + 1);
        if (k->close_text != NULL) {
            memcpy(k->close_text, text.p, len);
            k->close_text[len] = '\0';
        }
    }
    timer_start(&k->loop->shard->timers, &k->timer, k->loop->shard->now_ms + CLOSE_TIMEOUT_MS);
    lws_rx_flow_control(k->wsi, 1); /* the peer's Close frame has to be read */
    lws_callback_on_writable(k->wsi);
}

static void op_read_enable(void *link, bool on)
{
    struct link *k = link;

    if (on)
        k->heard_ms = k->loop->shard->now_ms; /* what came meanwhile is still to be read */
    if (!k->closing)
        lws_rx_flow_control(k->wsi, on);
}

static const struct transport_ops ops = {op_send, op_close, op_read_enable};

/* The peer gets what was sent, and the end of the stream. Closed with something unread in it the
 * socket would reset the connection, and take from the peer what it has not read. */
static int end_stream(struct link *k)
{
    if (k->peer.tls)
        return -1; /* lws ends the stream when it closes */
    return shutdown(lws_get_socket_fd(k->wsi), SHUT_WR) == 0 ? 0 : -1;
}

/* Nothing of ours waits in lws any more: close. What a callback returns. Either way the peer's end
 * is awaited from here on; closing again would cut that short. */
static int end(struct link *k)
{
    const char *text = k->close_text != NULL ? k->close_text : "";

    if (k->ending)
        return 0;
    k->ending = true;
    if (k->how != LWS_WRITE_BINARY)
        return end_stream(k);
    lws_close_reason(k->wsi, (enum lws_close_status)close_info(k->why)->ws,
                     (unsigned char *)(uintptr_t)text, strlen(text));
    return -1;
}

static bool pending(const struct link *k)
{
    return lws_partial_buffered(k->wsi);
}

static int on_writable(struct link *k)
{
    if (k->closing)
        return end(k);
    if (k->conn != NULL && k->conn->out.blocked)
        connection_writable(k->conn);
    return 0;
}

/* ---- the handshake is through ---- */

static int refuse(struct link *k, enum close_reason why)
{
    k->closing = true;
    k->why = why;
    k->refused = true;
    k->loop->refused++;
    end(k);
    return -1;
}

static int open_connection(struct link *k)
{
    struct shard *sh = k->loop->shard;
    enum close_reason why;

    timer_stop(&sh->timers, &k->timer); /* from here on the broker waits for the CONNECT */
    lws_set_timeout(k->wsi, NO_PENDING_TIMEOUT, 0); /* within TLS one of lws still runs */
    k->heard_ms = k->sent_ms = sh->now_ms;
    k->conn = connection_new(sh, &ops, k, &k->peer, &why);
    return k->conn == NULL ? refuse(k, why) : 0;
}

/* ---- receiving ---- */

/* What a callback that has brought input returns. */
static int after_input(struct link *k)
{
    return k->closing && !pending(k) ? end(k) : 0;
}

static uint32_t max_frame_size(const struct link *k)
{
    uint32_t max = k->socket->config->max_frame_size;

    return max != 0 ? max : k->conn->max_packet_in; /* which the client knows */
}

static bool frame_too_large(const struct link *k, size_t len)
{
    return (uint64_t)len + lws_remaining_packet_payload(k->wsi) > max_frame_size(k);
}

static bool on_unpacked(void *link, const uint8_t *data, size_t len)
{
    struct link *k = link;

    k->message_bytes += len;
    if (k->message_bytes > max_frame_size(k))
        connection_fail(k->conn, CLOSE_WS_TOO_BIG);
    else
        connection_input(k->conn, data, len);
    return !k->closing;
}

static void on_packed(struct link *k, const uint8_t *data, size_t len)
{
    struct ws_loop *l = k->loop;
    enum deflate_result result = DEFLATE_NO_MEMORY;

    if (l->unpacked == NULL)
        l->unpacked = malloc(DEFLATE_UNPACK_SIZE);
    if (l->unpacked != NULL)
        result = deflate_unpack(k->deflate, data, len, lws_is_final_fragment(k->wsi) != 0,
                                l->unpacked, on_unpacked, k);
    if (result == DEFLATE_BAD)
        connection_fail(k->conn, CLOSE_WS_PROTOCOL);
    else if (result == DEFLATE_NO_MEMORY)
        connection_fail(k->conn, CLOSE_NO_MEMORY);
}

static void begin_message(struct link *k)
{
    k->message_packed = k->deflate != NULL && (lws_get_reserved_bits(k->wsi) & RSV1) != 0;
    k->message_bytes = 0;
}

static int on_frame(struct link *k, const uint8_t *data, size_t len)
{
    if (lws_is_first_fragment(k->wsi))
        begin_message(k);
    if (k->closing || k->conn == NULL)
        return 0;
    k->heard_ms = k->loop->shard->now_ms;
    if (!lws_frame_is_binary(k->wsi)) /* [v5 MQTT-6.0.0-1] */
        connection_fail(k->conn, CLOSE_WS_TEXT);
    else if (frame_too_large(k, len))
        connection_fail(k->conn, CLOSE_WS_TOO_BIG);
    else if (k->message_packed)
        on_packed(k, data, len);
    else
        connection_input(k->conn, data, len);
    return after_input(k);
}

/* libwebsockets does not take this frame. What is said now goes out in front of the Close frame
 * that it sends. */
static int on_bad_frame(struct link *k)
{
    if (k->closing || k->conn == NULL)
        return 0;
    connection_fail(k->conn, CLOSE_WS_PROTOCOL);
    k->ending = true;
    return 0;
}

static int on_bytes(struct link *k, const uint8_t *data, size_t len)
{
    if (k->conn == NULL && !k->closing && open_connection(k) != 0)
        return -1;
    if (!k->closing && k->conn != NULL)
        connection_input(k->conn, data, len);
    return after_input(k);
}

/* ---- pings: idle proxies keep the connection, and a dead peer shows ---- */

/* When the connection will have been silent for too long in one direction. */
static uint64_t ping_due_ms(const struct link *k)
{
    uint64_t ms = k->sent_ms < k->heard_ms ? k->sent_ms : k->heard_ms;

    return (ms > k->pinged_ms ? ms : k->pinged_ms) + k->socket->config->ping_interval_ms;
}

/* Bytes that come move nothing but heard_ms: the timer looks once an interval. */
static void arm_ping(struct link *k)
{
    const struct ws_listener_config *cfg = k->socket->config;
    struct timer_wheel *timers = &k->loop->shard->timers;

    if (cfg->ping_interval_ms == 0)
        timer_stop(timers, &k->timer);
    else if (k->pinged)
        timer_start(timers, &k->timer, k->pinged_ms + cfg->ping_timeout_ms);
    else
        timer_start(timers, &k->timer, ping_due_ms(k));
}

static void send_ping(struct link *k)
{
    uint8_t frame[LWS_PRE + 1] = {0}; /* not empty: lws would not tell us of the pong */
    uint64_t now_ms = k->loop->shard->now_ms;

    k->pinged_ms = now_ms;
    if (pending(k) || k->conn->out.blocked)
        return; /* what is under way proves as much */
    k->sent_ms = now_ms;
    k->pinged = k->socket->config->ping_timeout_ms != 0;
    lws_write(k->wsi, frame + LWS_PRE, 1, LWS_WRITE_PING);
}

/* A pong is not read either while the client is held back. */
static bool unanswered(const struct link *k)
{
    return k->pinged && k->heard_ms <= k->pinged_ms && !connection_held_back(k->conn);
}

static void on_pong(struct link *k)
{
    k->heard_ms = k->loop->shard->now_ms;
    k->pinged = false;
    if (!k->closing && k->conn != NULL)
        arm_ping(k);
}

static void look_after_ping(struct link *k)
{
    uint64_t now_ms = k->loop->shard->now_ms;

    if (unanswered(k) && now_ms - k->pinged_ms >= k->socket->config->ping_timeout_ms) {
        connection_fail(k->conn, CLOSE_PING_TIMEOUT);
        return;
    }
    k->pinged = unanswered(k);
    if (!k->pinged && ping_due_ms(k) <= now_ms)
        send_ping(k);
    arm_ping(k);
}

static void on_timer(struct timer *t)
{
    struct link *k = CONTAINER_OF(t, struct link, timer);

    if (k->conn == NULL || k->closing)
        kill_link(k); /* opening, or closing, takes too long */
    else
        look_after_ping(k);
}

void link_reload(struct link *k)
{
    if (k->how == LWS_WRITE_BINARY && !k->closing)
        arm_ping(k);
}

/* ---- WebSocket is open ---- */

static int on_established(struct link *k)
{
    k->apart = k->socket->config->one_packet_per_frame;
    if (open_connection(k) != 0)
        return -1;
    arm_ping(k);
    return 0;
}

/* lws does not tell when TLS is through: the first byte does, the client begins. */
static int on_adopted(struct link *k)
{
    if (ws_protocol_is_websocket(k->socket->config->protocol))
        return tunnel_request(k);
    return k->peer.tls ? 0 : open_connection(k);
}

/* ---- compression ---- */

/* libwebsockets of the system answers for us, and only with parameters without value. */
static bool can_answer(struct deflate_terms *t)
{
#if FRYS_LWS_SYSTEM
    t->tell_client_bits = false;
    t->client_bits = DEFLATE_BITS_MAX;
    return !t->tell_server_bits;
#else
    (void)t;
    return true;
#endif
}

/* What all links may need together has a limit; further clients do without. */
static bool within_budget(struct link *k, size_t cost)
{
    _Atomic int64_t *sum = &k->loop->server->deflate_bytes;
    int64_t all = atomic_fetch_add_explicit(sum, (int64_t)cost, memory_order_relaxed);

    if (all + (int64_t)cost <= (int64_t)k->loop->config->deflate_memory) {
        k->deflate_cost = cost;
        return true;
    }
    atomic_fetch_sub_explicit(sum, (int64_t)cost, memory_order_relaxed);
    return false;
}

/* Shall the client's offer be taken? 0: yes. */
static int confirm_extension(struct link *k)
{
    const struct ws_listener_config *cfg = k->socket->config;
    struct deflate_terms terms;
    char offers[256];
    int n = lws_hdr_copy(k->wsi, offers, sizeof offers, WSI_TOKEN_EXTENSIONS);

    if (n <= 0 ||
        !deflate_agree((struct str){offers, (size_t)n}, cfg->deflate_window_bits, &terms) ||
        !can_answer(&terms) || !within_budget(k, deflate_cost(&terms)))
        return 1;
    k->deflate = deflate_new(k->loop->shard->mem, &terms, cfg->deflate_level);
    if (k->deflate == NULL)
        return 1;
    deflate_answer(&terms, k->loop->answer);
    return 0;
}

/* Hooks of libwebsockets: data pass as they are, packing and unpacking are done above. */
static int on_extension(struct lws_context *context, const struct lws_extension *ext,
                        struct lws *wsi, enum lws_extension_callback_reasons reason, void *user,
                        void *in, size_t len)
{
    static const struct lws_ext_options options[] = {{"server_no_context_takeover", EXTARG_NONE},
                                                     {"client_no_context_takeover", EXTARG_NONE},
                                                     {NULL, EXTARG_NONE}};
    const struct link *k = lws_get_opaque_user_data(wsi);
    struct lws_tokens *frame = in;

    (void)context;
    (void)ext;
    (void)len;
    switch (reason) {
    case LWS_EXT_CB_CONSTRUCT:
        *(void **)user = NULL;
        *(const struct lws_ext_options **)in = options;
        return 0;
    case LWS_EXT_CB_OPTION_CONFIRM:
        ((struct lws_ext_option_arg *)in)->option_name = k->loop->answer;
        return 0;
    case LWS_EXT_CB_PACKET_TX_PRESEND:
        if (k != NULL && k->sends_packed && frame->token != NULL)
            frame->token[0] |= RSV1;
        return 0;
    default: return 0;
    }
}

const struct lws_extension link_extensions[] = {{"permessage-deflate", on_extension, NULL},
                                                {NULL, NULL, NULL}};

/* ---- the end ---- */

static void on_closed(struct link *k)
{
    struct connection *c = k->conn;

    timer_stop(&k->loop->shard->timers, &k->timer);
    k->conn = NULL;
    if (c != NULL)
        connection_closed(c);
}

/* From here on lws has the link, and lets it go with WSI_DESTROY. (It knows the opaque data only
 * after this callback.) */
static void on_created(struct lws *wsi)
{
    struct ws_loop *l = lws_context_user(lws_get_context(wsi));

    ASSERT(l->adopting != NULL);
    l->adopting->wsi = wsi;
    lws_set_opaque_user_data(wsi, l->adopting);
}

static void on_destroyed(struct link *k)
{
    on_closed(k);
    lws_set_opaque_user_data(k->wsi, NULL);
    if (k->loop->adopting == k)
        k->loop->adopting = NULL;
    link_free(k);
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t len)
{
    struct link *k;

    (void)user;
    if (reason == LWS_CALLBACK_WSI_CREATE)
        on_created(wsi);
    k = wsi == NULL ? NULL : lws_get_opaque_user_data(wsi);
    if (k == NULL)
        return 0; /* of the context or a vhost, not of a connection */
    ASSERT(k->magic == LINK_MAGIC);
    loop_enter(k->loop);
    switch (reason) {
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: return upgrade_request(k, in);
    case LWS_CALLBACK_HTTP: return plain_request(k);
    case LWS_CALLBACK_CONFIRM_EXTENSION_OKAY: return confirm_extension(k);
    case LWS_CALLBACK_ESTABLISHED: return on_established(k);
    case LWS_CALLBACK_RAW_ADOPT: return on_adopted(k);
    case LWS_CALLBACK_RECEIVE: return on_frame(k, in, len);
    case LWS_CALLBACK_WS_SERVER_DROP_PROTOCOL: return on_bad_frame(k);
    case LWS_CALLBACK_RAW_RX: return on_bytes(k, in, len);
    case LWS_CALLBACK_RECEIVE_PONG: on_pong(k); return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE:
    case LWS_CALLBACK_RAW_WRITEABLE: return on_writable(k);
    case LWS_CALLBACK_CLOSED:
    case LWS_CALLBACK_RAW_CLOSE: on_closed(k); return 0;
    case LWS_CALLBACK_WSI_DESTROY: on_destroyed(k); return 0;
    default: return 0;
    }
}

#define PROTOCOL(subprotocol)                                                   \
    {                                                                           \
        .name = subprotocol, .callback = on_event, .rx_buffer_size = READ_SIZE, \
        .tx_packet_size = 2 * READ_SIZE                                         \
    }

/* The subprotocols that clients of all ages offer; the first that a client names is taken. */
const struct lws_protocols link_protocols[] = {PROTOCOL("mqtt"), PROTOCOL("mqttv3.1"),
                                               PROTOCOL("mqttv3.1.1"), PROTOCOL("mqttv5"),
                                               LWS_PROTOCOL_LIST_TERM};

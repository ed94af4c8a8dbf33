/* connection: life of a network connection: bytes in, packets dispatched, timeouts, the end. The
 * packets themselves are handled in connection_connect.c, connection_publish.c and
 * connection_subscribe.c. */
#include "broker/connection.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/connection_priv.h"
#include "broker/purposes.h"
#include "broker/session.h"
#include "broker/shard.h"
#include "broker/takeover.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CONNECTION_MAGIC   0x434f4e4eu
#define FIRST_INPUT        256u    /* bytes of a buffer for an unfinished packet */
#define MAX_CONNECT_PACKET 400000u /* a CONNECT with every field at its limit fits */

static struct str text_of(struct mqtt_str s)
{
    return (struct str){(const char *)s.p, s.len};
}

/* ---- opening ---- */

static bool too_many(const struct shard *sh)
{
    const struct broker *b = sh->broker;
    uint32_t max = sh->config.max_connections;
    int64_t n = 0;

    if (max == 0)
        return false;
    for (unsigned i = 0; i < b->n_shards; i++)
        n += COUNT_GET(&b->shards[i]->counters, connections);
    return n >= max;
}

static void on_timer(struct timer *t);

bool connection_admitted(const struct shard *sh, enum close_reason *out_why)
{
    const struct broker *b = sh->broker;
    int pressure = atomic_load_explicit(&b->memory_pressure, memory_order_relaxed);

    *out_why = CLOSE_SHUTTING_DOWN;
    if (atomic_load_explicit(&b->draining, memory_order_relaxed))
        return false;
    *out_why = CLOSE_BUSY;
    return pressure != MEMORY_FULL && !too_many(sh);
}

struct connection *connection_new(struct shard *sh, const struct transport_ops *ops, void *link,
                                  const struct transport_peer *peer, enum close_reason *out_why)
{
    struct connection *c;

    if (!connection_admitted(sh, out_why))
        return NULL;
    *out_why = CLOSE_NO_MEMORY;
    c = mem_try_alloc(sh->mem, FOR_CONNECTION, sizeof *c);
    if (c == NULL)
        return NULL;
    memset(c, 0, sizeof *c);
    c->magic = CONNECTION_MAGIC;
    c->state = CONN_NEW;
    c->shard = sh;
    c->ops = ops;
    c->link = link;
    c->peer = peer;
    c->problem_info = true;
    c->max_packet_in =
        peer->max_packet_size != 0 ? peer->max_packet_size : sh->config.max_packet_size;
    c->max_packet_out = MQTT_MAX_REMAINING;
    c->opened_ms = c->heard_ms = sh->now_ms;
    list_init(&c->link_all);
    list_init(&c->link_dirty);
    list_init(&c->link_failing);
    list_init(&c->link_slowed);
    list_init(&c->link_answers);
    list_push_back(&sh->connections, &c->link_all);
    fifo_init(&c->answers, sizeof(struct pending_answer), FOR_OUTPUT);
    timer_init(&c->timer, on_timer);
    timer_start(&sh->timers, &c->timer, sh->now_ms + sh->config.connect_timeout_ms);
    COUNT(&sh->counters, connections);
    COUNT(&sh->counters, connections_total);
    return c;
}

/* ---- timeouts ---- */

static void on_timer(struct timer *t)
{
    struct connection *c = CONTAINER_OF(t, struct connection, timer);
    struct shard *sh = c->shard;
    uint64_t due;

    if (c->state != CONN_UP) {
        connection_close(c, CLOSE_CONNECT_TIMEOUT, NULL);
        return;
    }
    /* Packets only note when they came; the timer looks once per interval [v5 MQTT-3.1.2-22]. */
    if (connection_held_back(c))
        c->heard_ms = sh->now_ms;
    due = c->heard_ms + c->keep_alive_ms;
    if (due <= sh->now_ms)
        connection_close(c, CLOSE_KEEP_ALIVE, NULL);
    else
        timer_start(&sh->timers, t, due);
}

/* ---- packets ---- */

void connection_explain(const struct connection *c, struct mqtt_packet *p, struct mqtt_props *props,
                        const char *text)
{
    if (text == NULL || !c->problem_info || !c->shard->config.problem_info)
        return;
    MQTT_SET(props, reason_string,
             ((struct mqtt_str){(const uint8_t *)text, (uint32_t)strlen(text)}));
    if (mqtt_encode_size(p, c->version) > c->max_packet_out)
        props->present &= ~(UINT64_C(1) << MQTT_PROP_reason_string);
}

void connection_fault(struct connection *c, int rc, const char *detail)
{
    connection_close(c, close_from_mqtt(rc), detail);
}

static void on_disconnect(struct connection *c, const struct mqtt_reasoned *p)
{
    struct session *s = c->session;

    if (c->version == MQTT_V5 && MQTT_HAS(&p->props, session_expiry_s)) {
        uint32_t expiry_s = p->props.session_expiry_s;

        if (expiry_s != 0 && c->expiry_zero) { /* [v5 3.14.2.2.2] */
            connection_close(c, CLOSE_PROTOCOL_ERROR,
                             "Session Expiry Interval was 0 in CONNECT and cannot be set now");
            return;
        }
        if (expiry_s > c->shard->config.max_session_expiry_s)
            expiry_s = c->shard->config.max_session_expiry_s;
        if (s->expiry_s != 0) /* else none was granted, and nothing was stored */
            s->expiry_s = expiry_s;
    }
    if (p->reason == MQTT_RC_SUCCESS) {
        c->will_wanted = false; /* [v5 MQTT-3.14.4-3] */
        connection_close(c, CLOSE_CLIENT_DISCONNECT, NULL);
    } else {
        connection_close(
            c, p->reason == MQTT_RC_DISCONNECT_WITH_WILL ? CLOSE_CLIENT_WILL : CLOSE_CLIENT_ERROR,
            NULL);
    }
}

static void on_pingreq(struct connection *c)
{
    static const uint8_t pingresp[] = {MQTT_PINGRESP << 4, 0};

    output_bytes(c, pingresp, sizeof pingresp); /* [v5 MQTT-3.12.4-1] */
}

static void dispatch(struct connection *c, struct mqtt_packet *p)
{
    switch (p->type) {
    case MQTT_CONNECT: /* a second one [v5 MQTT-3.1.0-2] */
        connection_close(c, CLOSE_PROTOCOL_ERROR, "a second CONNECT");
        break;
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP: on_ack(c, p->type, &p->ack); break;
    case MQTT_SUBSCRIBE: on_subscribe(c, &p->subscribe); break;
    case MQTT_UNSUBSCRIBE: on_unsubscribe(c, &p->subscribe); break;
    case MQTT_PINGREQ: on_pingreq(c); break;
    case MQTT_DISCONNECT: on_disconnect(c, &p->reasoned); break;
    case MQTT_AUTH: on_auth(c, &p->reasoned); break;
    default: connection_close(c, CLOSE_PROTOCOL_ERROR, NULL); break;
    }
}

/* Before the CONNACK: only CONNECT, and AUTH or DISCONNECT within enhanced authentication
 * [v5 MQTT-3.1.2-30]. */
static void first_packets(struct connection *c, const struct mqtt_frame *f, const uint8_t *data)
{
    struct mqtt_packet p;
    int rc;

    if (c->state == CONN_NEW && f->head >> 4 != MQTT_CONNECT) {
        connection_close(c, CLOSE_NOT_A_CONNECT, NULL);
        return;
    }
    rc = mqtt_decode(f, data, c->version, MQTT_CLIENT, &p);
    if (c->state == CONN_NEW)
        on_connect(c, rc, &p.connect);
    else if (rc != 0)
        connection_fault(c, rc, NULL);
    else if (p.type == MQTT_AUTH)
        on_auth(c, &p.reasoned);
    else if (p.type == MQTT_DISCONNECT)
        connection_close(c, CLOSE_CLIENT_DISCONNECT, NULL);
    else
        connection_close(c, CLOSE_PROTOCOL_ERROR, NULL);
}

static void handle_packet(struct connection *c, const struct mqtt_frame *f, const uint8_t *data)
{
    struct shard *sh = c->shard;
    struct mqtt_packet p;
    int rc;

    COUNT(&sh->counters, packets_received);
    c->heard_ms = sh->now_ms;
    if (c->state != CONN_UP) {
        first_packets(c, f, data);
        return;
    }
    if (f->head >> 4 == MQTT_PUBLISH) {
        rc = mqtt_decode_publish(f, data, c->version, MQTT_CLIENT, &p.publish);
        if (rc == 0)
            on_publish_packet(c, &p.publish);
    } else {
        rc = mqtt_decode(f, data, c->version, MQTT_CLIENT, &p);
        if (rc == 0)
            dispatch(c, &p);
    }
    if (rc != 0)
        connection_fault(c, rc, NULL);
}

/* ---- bytes ---- */

static bool takes_input(const struct connection *c)
{
    return c->state != CONN_CLOSING && c->state != CONN_WAIT && !list_linked(&c->link_failing);
}

static uint32_t size_limit(const struct connection *c)
{
    if (c->state == CONN_UP || c->max_packet_in < MAX_CONNECT_PACKET)
        return c->max_packet_in;
    return MAX_CONNECT_PACKET; /* strangers get no large buffers */
}

static int frame_at(struct connection *c, const uint8_t *data, size_t len, struct mqtt_frame *f)
{
    int rc = mqtt_frame(data, len, c->version, MQTT_CLIENT, size_limit(c), f);

    if (rc > 0) {
        char text[96];

        snprintf(text, sizeof text, "packet of %u bytes, Maximum Packet Size is %u", f->total,
                 size_limit(c));
        if (c->state == CONN_NEW && data[0] >> 4 != MQTT_CONNECT)
            connection_close(c, CLOSE_NOT_A_CONNECT, NULL);
        else
            connection_fault(c, rc, rc == MQTT_RC_PACKET_TOO_LARGE ? text : NULL);
    }
    return rc;
}

/* Room in the input buffer for at least need bytes. Grows with what has really arrived, not with
 * what a packet announces. */
static bool input_grow(struct connection *c, uint32_t need)
{
    uint32_t cap = c->in_cap == 0 ? FIRST_INPUT : c->in_cap;
    uint8_t *p;

    if (need <= c->in_cap)
        return true;
    while (cap < need)
        cap *= 2;
    p = mem_try_realloc(c->shard->mem, FOR_INPUT, c->in, c->in_cap, cap);
    if (p == NULL) {
        connection_close(c, CLOSE_NO_MEMORY, NULL);
        return false;
    }
    c->in = p;
    c->in_cap = cap;
    return true;
}

static void input_keep(struct connection *c, const uint8_t *data, size_t len)
{
    if (len == 0 || !input_grow(c, c->in_len + (uint32_t)len))
        return;
    memcpy(c->in + c->in_len, data, len);
    c->in_len += (uint32_t)len;
}

static void input_free(struct connection *c)
{
    mem_release(c->shard->mem, FOR_INPUT, c->in);
    c->in = NULL;
    c->in_len = c->in_cap = 0;
}

/* Handle whole packets; returns the bytes used up. */
static size_t take_packets(struct connection *c, const uint8_t *data, size_t len)
{
    size_t at = 0;

    while (at < len && takes_input(c)) {
        struct mqtt_frame f;

        if (frame_at(c, data + at, len - at, &f) != 0)
            break;
        handle_packet(c, &f, data + at);
        at += f.total;
    }
    return at;
}

/* Complete the unfinished packet in the input buffer with the first bytes of data. Returns how many
 * were used. */
static size_t finish_packet(struct connection *c, const uint8_t *data, size_t len)
{
    size_t used = 0;

    while (used < len) {
        struct mqtt_frame f;
        size_t n = 1;
        int rc = frame_at(c, c->in, c->in_len, &f);

        if (rc == 0)
            break;
        if (rc != -EAGAIN)
            return len;
        if (f.total > c->in_len && f.total - c->in_len > n)
            n = f.total - c->in_len < len - used ? f.total - c->in_len : len - used;
        input_keep(c, data + used, n);
        if (c->state == CONN_CLOSING)
            return len;
        used += n;
    }
    if (takes_input(c)) {
        size_t done = take_packets(c, c->in, c->in_len);

        if (c->state != CONN_CLOSING && done == c->in_len)
            input_free(c);
    }
    return used;
}

/* What was kept while the connection waited for its session, and what comes now. */
static void take_input(struct connection *c, const uint8_t *data, size_t len)
{
    size_t used = 0;

    if (c->in_len > 0)
        used = finish_packet(c, data, len);
    if (c->in_len == 0 && takes_input(c))
        used += take_packets(c, data + used, len - used);
    if (c->state != CONN_CLOSING && !list_linked(&c->link_failing))
        input_keep(c, data + used, len - used);
}

void connection_input(struct connection *c, const uint8_t *data, size_t len)
{
    ASSERT(c->magic == CONNECTION_MAGIC);
    shard_catch_up(c->shard);
    COUNT_ADD(&c->shard->counters, bytes_received, (int64_t)len);
    if (c->state == CONN_CLOSING)
        return;
    if (c->state == CONN_WAIT || list_linked(&c->link_failing))
        input_keep(c, data, len);
    else
        take_input(c, data, len);
}

void connection_wait(struct connection *c)
{
    c->state = CONN_WAIT;
    connection_pause(c, PAUSE_WAIT);
}

void connection_unwait(struct connection *c)
{
    uint8_t *data = c->in;
    uint32_t len = c->in_len;

    /* What came behind the CONNECT meanwhile. */
    c->in = NULL;
    c->in_len = c->in_cap = 0;
    if (len > 0)
        take_input(c, data, len);
    mem_release(c->shard->mem, FOR_INPUT, data);
    connection_resume(c, PAUSE_WAIT);
}

void connection_writable(struct connection *c)
{
    if (c->state == CONN_CLOSING)
        return;
    output_writable(c);
    if (c->session != NULL)
        session_pump(c->session);
}

/* ---- backpressure ---- */

void connection_pause(struct connection *c, enum pause_reason why)
{
    if (c->paused == 0 && c->state != CONN_CLOSING) {
        c->ops->read_enable(c->link, false);
        COUNT(&c->shard->counters, reads_paused);
    }
    c->paused |= (uint8_t)why;
}

void connection_resume(struct connection *c, enum pause_reason why)
{
    if ((c->paused & why) == 0)
        return;
    if (connection_held_back(c))
        c->heard_ms = c->shard->now_ms;
    c->paused &= (uint8_t)~why;
    if (c->paused == 0 && c->state != CONN_CLOSING)
        c->ops->read_enable(c->link, true);
}

/* ---- the end ---- */

/* Reasons that CONNACK has and DISCONNECT has not [v5 3.14.2.1]. */
static uint8_t disconnect_reason(uint8_t reason)
{
    switch (reason) {
    case MQTT_RC_UNSUPPORTED_VERSION: return MQTT_RC_PROTOCOL_ERROR;
    case MQTT_RC_CLIENT_ID_NOT_VALID:
    case MQTT_RC_BAD_CREDENTIALS:
    case MQTT_RC_BANNED: return MQTT_RC_NOT_AUTHORIZED;
    case MQTT_RC_SERVER_UNAVAILABLE: return MQTT_RC_SERVER_BUSY;
    default: return reason;
    }
}

static void say_goodbye(struct connection *c, enum close_reason why, const char *detail)
{
    const struct close_info *info = close_info(why);
    struct mqtt_packet p = {.type = MQTT_DISCONNECT};

    if (c->state == CONN_UP) {
        if (c->version != MQTT_V5 || why == CLOSE_CLIENT_DISCONNECT || why == CLOSE_CLIENT_WILL ||
            why == CLOSE_CLIENT_ERROR || why == CLOSE_NETWORK_LOST || c->out.stream != NULL)
            return;
        p.reasoned = (struct mqtt_reasoned){.reason = disconnect_reason(info->mqtt5)};
        connection_explain(c, &p, &p.reasoned.props, detail); /* [v5 MQTT-3.14.2-3] */
        output_packet(c, &p);
    } else if (c->version != 0 && info->mqtt5 >= 0x80) {
        connection_send_connack(c, info->mqtt5, detail);
    }
}

static void log_close(const struct connection *c, enum close_reason why, const char *detail)
{
    const struct close_info *info = close_info(why);
    struct mqtt_str id =
        c->session != NULL ? session_client_id(c->session) : (struct mqtt_str){NULL, 0};

    LOG((enum log_level)info->level, "client.closed", LOG_TXT("reason", info->label),
        LOG_STR("client", text_of(id)), LOG_STR("address", text_of(c->peer->address)),
        LOG_STR("listener", text_of(c->peer->listener)),
        LOG_TXT("detail", detail != NULL ? detail : info->text),
        LOG_UINT("open_ms", c->shard->now_ms - c->opened_ms));
}

/* The session goes its own way. */
static void let_go(struct connection *c)
{
    struct session *s = c->session;

    takeover_abandon(c);
    c->session = NULL;
    if (s != NULL)
        session_disconnected(s, c->will_wanted);
}

static void end(struct connection *c, enum close_reason why, const char *detail)
{
    struct shard *sh = c->shard;

    log_close(c, why, detail);
    atomic_store_explicit(&sh->closes[why],
                          atomic_load_explicit(&sh->closes[why], memory_order_relaxed) + 1,
                          memory_order_relaxed);
    c->state = CONN_CLOSING;
    timer_stop(&sh->timers, &c->timer);
    list_remove(&c->link_dirty);
    list_remove(&c->link_failing);
    list_remove(&c->link_slowed);
    connection_drop_answers(c);
    connection_drop_request(c);
    let_go(c);
}

void connection_close(struct connection *c, enum close_reason why, const char *detail)
{
    const char *text = detail != NULL ? detail : close_info(why)->text;

    if (c->state == CONN_CLOSING)
        return;
    c->out.over = false;
    say_goodbye(c, why, detail);
    output_flush(c);
    end(c, why, detail);
    c->ops->close(c->link, why, (struct mqtt_str){(const uint8_t *)text, (uint32_t)strlen(text)});
}

void connection_close_later(struct connection *c, enum close_reason why)
{
    if (c->state == CONN_CLOSING || list_linked(&c->link_failing))
        return;
    c->fail_why = (uint8_t)why;
    c->out.over = true;
    list_push_back(&c->shard->failing, &c->link_failing);
}

void connection_fail(struct connection *c, enum close_reason why)
{
    connection_close(c, why, NULL);
}

void connection_closed(struct connection *c)
{
    struct shard *sh = c->shard;

    ASSERT(c->magic == CONNECTION_MAGIC);
    if (c->state != CONN_CLOSING)
        end(c, CLOSE_NETWORK_LOST, NULL);
    COUNT_DOWN(&sh->counters, connections);
    list_remove(&c->link_all);
    list_remove(&c->link_dirty);
    output_fini(c);
    input_free(c);
    aliases_free(&c->aliases_in, sh->mem);
    aliases_free(&c->aliases_out, sh->mem);
    mem_release(sh->mem, FOR_CONNECTION, (void *)(uintptr_t)c->username.p);
    mem_release(sh->mem, FOR_CONNECTION, (void *)(uintptr_t)c->auth_method.p);
    c->magic = 0;
    mem_release(sh->mem, FOR_CONNECTION, c);
}

/* lws_check: what our libwebsockets does, seen through its public API and from the wire.
 *
 * Two workers (a thread, a libuv loop and an lws_context each) accept on their own listeners and
 * hand the sockets to lws, as the broker does. The main thread plays the clients: bytes made by
 * hand for HTTP and WebSocket, mbedTLS or `openssl s_client` for TLS. Each check prints one line;
 * the exit status is the number of those that failed. Called by `run`, with the certificates in
 * the current directory. */
#include <libwebsockets.h>

#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>

#define READ_SIZE 65536
#define WORKERS   2
#define IDLE_WS   2000
#define IDLE_WSS  100
#define TIMEOUT_S 3 /* of any handshake */

static int failures, checks;
static bool verbose;

/* Some checks make lws complain, so what it says is shown with -v only. */
static void log_line(int level, const char *line)
{
    (void)level;
    if (verbose)
        fputs(line, stdout);
}

static void log_cx_line(lws_log_cx_t *cx, int level, const char *line, size_t len)
{
    (void)cx;
    (void)len;
    log_line(level, line);
}

/* ---- the server ------------------------------------------------------------------------- */

enum kind { WS, WSS, WSS_NEED_CERT, WSS_ASK_CERT, RAW, RAWS, PMD, KINDS };
static const char *const kind_name[KINDS] = {"ws",  "wss",  "wss-need", "wss-ask",
                                             "raw", "raws", "pmd"};

struct worker;

struct listener {
    struct worker *w;
    enum kind kind;
    int fd, port;
    struct lws_vhost *vh;
    uv_poll_t poll;
};

/* Asked of a worker from another thread; done on its loop. */
enum order { NONE, RELOAD, CLOSE, STOP };

struct worker {
    pthread_t thread;
    uv_loop_t loop;
    uv_async_t async;
    struct lws_context *cx;
    lws_log_cx_t log_cx; /* lws counts its users without a lock: one for each context */
    struct listener lis[KINDS];
    enum order order;
    int reload_rc;
    struct lws *wsi; /* of the connection that asked with 'X' */
};

/* Connection state: what the checks want to know. */
struct conn {
    bool owes_tail, owes_close, owes_ping;
    int paused;
    size_t out;  /* bytes still to send: command 'B' */
    char url[8]; /* copied while the headers exist */
};

static struct worker workers[WORKERS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

/* The fuzz compares what was delivered; see fuzz_splits(). */
static struct {
    bool on, mute;
    uint64_t hash;
    unsigned int n, frag; /* events; 1 = inside a message */
} tape;

static void tape_put(const void *p, size_t len)
{
    const unsigned char *b = p;

    for (size_t i = 0; i < len; i++)
        tape.hash = (tape.hash ^ b[i]) * 1099511628211u;
}

static int answer_http(struct lws *wsi, unsigned int status, const char *body)
{
    unsigned char b[LWS_PRE + 1024], *start = b + LWS_PRE, *p = start, *end = b + sizeof(b) - 1;
    size_t len = strlen(body);

    if (lws_add_http_common_headers(wsi, status, "text/plain", len, &p, end) ||
        lws_add_http_header_by_token(wsi, WSI_TOKEN_CONNECTION, (const unsigned char *)"close", 5,
                                     &p, end) ||
        lws_finalize_write_http_header(wsi, start, &p, end))
        return -1;
    memcpy(start, body, len);
    if (lws_write(wsi, start, len, LWS_WRITE_HTTP_FINAL) != (int)len)
        return -1;
    return 1;
}

/* Before the upgrade: refuse with a real HTTP answer what must be refused. 0 = go on. */
static int confirm_upgrade(struct lws *wsi)
{
    char url[8], offer[128], *tok, *save = NULL;

    if (lws_hdr_copy(wsi, url, sizeof(url), WSI_TOKEN_GET_URI) < 0)
        return answer_http(wsi, 404, "no such page\n");
    if (strcmp(url, "/403") == 0)
        return answer_http(wsi, 403, "not from there\n");
    if (lws_hdr_copy(wsi, offer, sizeof(offer), WSI_TOKEN_PROTOCOL) < 0)
        return answer_http(wsi, 400, "too many subprotocols\n");
    for (tok = strtok_r(offer, ", \t", &save); tok; tok = strtok_r(NULL, ", \t", &save))
        if (strcmp(tok, "mqtt") == 0)
            return 0;
    return answer_http(wsi, 400, "subprotocol mqtt required\n");
}

static int send_bytes(struct lws *wsi, const void *p, size_t len, enum lws_write_protocol how)
{
    static _Thread_local unsigned char b[LWS_PRE + READ_SIZE + 64];

    memcpy(b + LWS_PRE, p, len);
    return lws_write(wsi, b + LWS_PRE, len, how) < 0 ? -1 : 0;
}

static void unpause(lws_sorted_usec_list_t *sul);
static struct {
    lws_sorted_usec_list_t sul;
    struct lws *wsi;
} pause_timer[WORKERS];

/* First byte of a message: what to do. Everything else is echoed. */
static int command(struct lws *wsi, struct conn *c, const char *in, size_t len)
{
    struct listener *l = lws_get_opaque_user_data(wsi);
    size_t n = (size_t)(l->w - workers);

    switch (in[0]) {
    case 'C': /* data, and the Close frame right behind it */
        if (send_bytes(wsi, "tail", 4, LWS_WRITE_BINARY))
            return -1;
        lws_close_reason(wsi, LWS_CLOSE_STATUS_POLICY_VIOLATION, (unsigned char *)"because", 7);
        return -1;
    case 'D': /* the same, when the tail has to wait for the socket */
        c->owes_close = true;
        c->out = 8 * 1024 * 1024;
        lws_callback_on_writable(wsi);
        return 0;
    case 'P':
        c->owes_ping = true;
        lws_callback_on_writable(wsi);
        return 0;
    case 'F': /* stop reading; see unpause() */
        c->paused = 1;
        lws_rx_flow_control(wsi, 0);
        pause_timer[n].wsi = wsi;
        lws_sul_schedule(l->w->cx, 0, &pause_timer[n].sul, unpause, 50 * LWS_US_PER_MS);
        return 0;
    case 'X': l->w->wsi = wsi; return send_bytes(wsi, "x", 1, LWS_WRITE_BINARY);
    case 'U': return send_bytes(wsi, c->url, strlen(c->url), LWS_WRITE_BINARY);
    case 'N': { /* what the handshake said of the client certificate */
        union lws_tls_cert_info_results ir;
        const char *s = "none";

        if (!lws_tls_peer_cert_info(wsi, LWS_TLS_CERT_INFO_VERIFIED, &ir, 0))
            s = !ir.verified ? "bad"
                : !lws_tls_peer_cert_info(wsi, LWS_TLS_CERT_INFO_COMMON_NAME, &ir,
                                          sizeof(ir.ns.name))
                    ? ir.ns.name
                    : "?";
        return send_bytes(wsi, s, strlen(s), LWS_WRITE_BINARY);
    }
    default: return send_bytes(wsi, in, len, LWS_WRITE_BINARY);
    }
}

static void unpause(lws_sorted_usec_list_t *sul)
{
    struct lws *wsi = lws_container_of(sul, __typeof__(pause_timer[0]), sul)->wsi;
    struct conn *c = lws_wsi_user(wsi);

    c->paused = 2;
    lws_rx_flow_control(wsi, 1);
}

static int on_writable(struct lws *wsi, struct conn *c)
{
    static const unsigned char zeros[32768];

    if (c->owes_ping) {
        unsigned char ping[LWS_PRE + 4];

        c->owes_ping = false;
        memcpy(ping + LWS_PRE, "ping", 4);
        return lws_write(wsi, ping + LWS_PRE, 4, LWS_WRITE_PING) < 0 ? -1 : 0;
    }
    if (c->out) {
        size_t n = c->out < sizeof(zeros) ? c->out : sizeof(zeros);

        if (send_bytes(wsi, zeros, n, LWS_WRITE_BINARY))
            return -1;
        c->out -= n;
        lws_callback_on_writable(wsi);
        return 0;
    }
    if (c->owes_close) {
        lws_close_reason(wsi, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE, (unsigned char *)"late", 4);
        return -1;
    }
    return 0;
}

static int on_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t len)
{
    struct conn *c = user;
    struct listener *l;

    switch (reason) {
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: return confirm_upgrade(wsi);
    case LWS_CALLBACK_HTTP:
        switch (answer_http(wsi, 404, "no such page\n")) {
        case 1: return lws_http_transaction_completed(wsi);
        default: return -1;
        }
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
        return lws_hdr_copy(wsi, c->url, sizeof(c->url), WSI_TOKEN_GET_URI) < 0;
    case LWS_CALLBACK_ESTABLISHED:
        l = lws_get_opaque_user_data(wsi);
        if (l && l->kind == PMD) {
            lws_set_extension_option(wsi, "permessage-deflate", "server_max_window_bits", "9");
            lws_set_extension_option(wsi, "permessage-deflate", "mem_level", "1");
            lws_set_extension_option(wsi, "permessage-deflate", "compression_level", "1");
        }
        return 0;
    case LWS_CALLBACK_RECEIVE:
        if (tape.mute) {
            tape.n++;
            return 0;
        }
        if (tape.on) {
            if (lws_is_first_fragment(wsi))
                tape_put(lws_frame_is_binary(wsi) ? "B" : "T", 1);
            tape_put(in, len);
            if (lws_is_final_fragment(wsi))
                tape_put("E", 1);
            tape.n++;
            return 0;
        }
        if (c->paused == 1)
            return send_bytes(wsi, "deaf?", 5, LWS_WRITE_BINARY);
        return len == 0 ? 0 : command(wsi, c, in, len);
    case LWS_CALLBACK_RECEIVE_PONG:
        if (tape.on) {
            tape_put("P", 1);
            tape_put(in, len);
            return 0;
        }
        return send_bytes(wsi, in, len, LWS_WRITE_BINARY);
    case LWS_CALLBACK_SERVER_WRITEABLE: return on_writable(wsi, c);
    case LWS_CALLBACK_RAW_RX:
        if (*(char *)in == 'B') {
            c->out = 64 * 1024 * 1024;
            lws_callback_on_writable(wsi);
            return 0;
        }
        return c->out ? 0 : send_bytes(wsi, in, len, LWS_WRITE_RAW);
    case LWS_CALLBACK_RAW_WRITEABLE: /* as much as the socket takes, and some for lws to keep */
        while (c->out && !lws_partial_buffered(wsi)) {
            static const unsigned char zeros[60000];

            c->out = c->out < sizeof(zeros) ? 0 : c->out - sizeof(zeros);
            if (send_bytes(wsi, zeros, sizeof(zeros), LWS_WRITE_RAW))
                return -1;
        }
        return 0;
    default: return 0;
    }
}

static const struct lws_protocols protocols[] = {{.name = "mqtt",
                                                  .callback = on_event,
                                                  .per_session_data_size = sizeof(struct conn),
                                                  .rx_buffer_size = READ_SIZE,
                                                  .tx_packet_size = 2 * READ_SIZE},
                                                 LWS_PROTOCOL_LIST_TERM};

static const struct lws_extension extensions[] = {
    {"permessage-deflate", lws_extension_callback_pm_deflate, "permessage-deflate"},
    {NULL, NULL, NULL}};

static void adopt(struct listener *l, int fd)
{
    lws_adopt_desc_t d = {.vh = l->vh, .type = LWS_ADOPT_SOCKET, .fd.sockfd = fd, .opaque = l};

    if (l->kind == RAW || l->kind == RAWS)
        d.vh_prot_name = "mqtt";
    else
        d.type |= LWS_ADOPT_HTTP;
    if (l->kind != WS && l->kind != RAW && l->kind != PMD)
        d.type |= LWS_ADOPT_ALLOW_SSL;
    lws_adopt_descriptor_vhost_via_info(&d); /* closes fd if it fails */
}

static void on_acceptable(uv_poll_t *p, int status, int events)
{
    struct listener *l = p->data;
    int fd, one = 1;

    (void)status;
    (void)events;
    while ((fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        adopt(l, fd);
    }
}

static struct lws_vhost *make_vhost(struct worker *w, enum kind kind, const char *name,
                                    const char *cert, const char *key)
{
    struct lws_context_creation_info i = {.port = CONTEXT_PORT_NO_LISTEN_SERVER,
                                          .vhost_name = name,
                                          .iface = kind_name[kind],
                                          .protocols = protocols,
                                          .log_cx = &w->log_cx,
                                          .timeout_secs_ah_idle = TIMEOUT_S};

    if (kind == PMD)
        i.extensions = extensions;
    if (cert) {
        i.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
        i.ssl_cert_filepath = cert;
        i.ssl_private_key_filepath = key;
    }
    if (kind == WSS_NEED_CERT || kind == WSS_ASK_CERT) {
        i.options |= LWS_SERVER_OPTION_REQUIRE_VALID_OPENSSL_CLIENT_CERT;
        i.ssl_ca_filepath = "client-cas.pem";
    }
    if (kind == WSS_ASK_CERT)
        i.options |= LWS_SERVER_OPTION_PEER_CERT_NOT_REQUIRED;
    return lws_create_vhost(w->cx, &i);
}

static void on_async(uv_async_t *a);

static int worker_init(struct worker *w)
{
    void *loops[] = {&w->loop};
    struct lws_context_creation_info i = {.options = LWS_SERVER_OPTION_LIBUV |
                                                     LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                                                     LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
                                          .foreign_loops = loops,
                                          .pt_serv_buf_size = READ_SIZE,
                                          .timeout_secs = TIMEOUT_S,
                                          .log_cx = &w->log_cx};

    w->log_cx.lll_flags = LLL_ERR | LLL_WARN;
    w->log_cx.u.emit_cx = log_cx_line;
    w->log_cx.lll_flags |= LLLF_LOG_CONTEXT_AWARE;
    uv_loop_init(&w->loop);
    w->loop.data = w;
    if (!(w->cx = lws_create_context(&i)))
        return -1;
    for (enum kind k = 0; k < KINDS; k++) {
        struct listener *l = &w->lis[k];
        struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t sl = sizeof(sa);
        bool tls = k != WS && k != RAW && k != PMD;

        l->w = w;
        l->kind = k;
        l->vh =
            make_vhost(w, k, kind_name[k], tls ? "server.pem" : NULL, tls ? "server.key" : NULL);
        if (k == WSS && !make_vhost(w, k, "other.test", "other.pem", "other.key"))
            return -1;
        /* same name, another listener: nobody may get there from wss */
        if (k == WSS_ASK_CERT && !make_vhost(w, k, "strict.test", "server.pem", "server.key"))
            return -1;
        /* a stricter name behind the same listener */
        if (k == WSS && !(make_vhost(w, WSS_NEED_CERT, "need.test", "server.pem", "server.key")))
            return -1;
        l->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (!l->vh || l->fd < 0 || bind(l->fd, (struct sockaddr *)&sa, sizeof(sa)) ||
            listen(l->fd, 4096) || getsockname(l->fd, (struct sockaddr *)&sa, &sl))
            return -1;
        l->port = ntohs(sa.sin_port);
        uv_poll_init(&w->loop, &l->poll, l->fd);
        l->poll.data = l;
        uv_poll_start(&l->poll, UV_READABLE, on_acceptable);
    }
    uv_async_init(&w->loop, &w->async, on_async);
    return 0;
}

/* Our handles go first, then the context; the loop has to run on until lws's handles are closed. */
static void worker_stop(struct worker *w)
{
    for (enum kind k = 0; k < KINDS; k++) {
        uv_close((uv_handle_t *)&w->lis[k].poll, NULL);
        close(w->lis[k].fd);
    }
    uv_close((uv_handle_t *)&w->async, NULL);
    lws_context_destroy(w->cx);
}

static void on_async(uv_async_t *a)
{
    struct worker *w = a->loop->data;
    enum order order;
    int rc = 0;

    pthread_mutex_lock(&lock);
    order = w->order;
    pthread_mutex_unlock(&lock);
    if (order == RELOAD)
        rc = lws_tls_cert_updated(w->cx, "server.pem", "server.key", NULL, 0, NULL, 0);
    if (order == CLOSE) { /* not from a callback of that connection */
        send_bytes(w->wsi, "bye", 3, LWS_WRITE_BINARY);
        lws_close_reason(w->wsi, LWS_CLOSE_STATUS_GOINGAWAY, (unsigned char *)"off", 3);
        lws_wsi_close(w->wsi, LWS_TO_KILL_SYNC);
    }
    if (order == STOP)
        worker_stop(w);
    pthread_mutex_lock(&lock);
    w->order = NONE;
    w->reload_rc = rc;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static int give(struct worker *w, enum order order)
{
    int rc;

    pthread_mutex_lock(&lock);
    w->order = order;
    uv_async_send(&w->async);
    while (w->order != NONE)
        pthread_cond_wait(&changed, &lock);
    rc = w->reload_rc;
    pthread_mutex_unlock(&lock);
    return rc;
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;

    uv_run(&w->loop, UV_RUN_DEFAULT); /* ends when no handle is left */
    return uv_loop_close(&w->loop) ? w : NULL;
}

/* ---- results ---------------------------------------------------------------------------- */

static bool check(bool ok, const char *fmt, ...)
{
    va_list ap;

    checks++;
    failures += !ok;
    if (!ok || verbose) {
        fputs(ok ? "  ok    " : "  FAIL  ", stdout);
        va_start(ap, fmt);
        vprintf(fmt, ap);
        va_end(ap);
        putchar('\n');
        fflush(stdout);
    }
    return ok;
}

/* ---- a client --------------------------------------------------------------------------- */

#define WAIT_MS 4000

static int dial(int port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval tv = {.tv_sec = WAIT_MS / 1000};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
        close(fd);
        return -1;
    }
    return fd;
}

static int put(int fd, const void *p, size_t len)
{
    const char *b = p;

    while (len) {
        ssize_t n = send(fd, b, len, MSG_NOSIGNAL);

        if (n <= 0)
            return -1;
        b += n;
        len -= (size_t)n;
    }
    return 0;
}

static bool at_end; /* the last get() met the end of the stream, not the timeout */

static int get(int fd, void *p, size_t len)
{
    char *b = p;

    at_end = false;

    while (len) {
        ssize_t n = recv(fd, b, len, 0);

        if (n <= 0) {
            at_end = n == 0 || errno == ECONNRESET;
            return -1;
        }
        b += n;
        len -= (size_t)n;
    }
    return 0;
}

/* The HTTP answer: head, and its body if it says how long. */
static int get_answer(int fd, char *b, size_t size)
{
    size_t n = 0, body = 0;
    const char *p;

    while (n + 1 < size && recv(fd, b + n, 1, 0) == 1) {
        b[++n] = 0;
        if (n >= 4 && memcmp(b + n - 4, "\r\n\r\n", 4) == 0)
            break;
    }
    b[n] = 0;
    if ((p = strcasestr(b, "content-length:")))
        body = strtoul(p + 15, NULL, 10);
    if (body && n + body < size && get(fd, b + n, body) == 0)
        b[n += body] = 0;
    return n > 12 ? atoi(b + 9) : 0;
}

#define KEY     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define GET     "GET / HTTP/1.1\r\nHost: h.test\r\n"
#define UPGRADE "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define MQTT    "Sec-WebSocket-Protocol: mqtt\r\n"
#define REQUEST GET UPGRADE VERSION KEY MQTT "\r\n"

static int ws_dial(int port)
{
    char b[1024];
    int fd = dial(port);

    if (fd >= 0 && (put(fd, REQUEST, strlen(REQUEST)) || get_answer(fd, b, sizeof(b)) != 101)) {
        close(fd);
        return -1;
    }
    return fd;
}

enum { FIN = 0x80, UNMASKED = 0x100, LONG16 = 0x200, LONG64 = 0x400, TOPBIT = 0x800 };

static unsigned char mask[4] = {0x12, 0x00, 0xa5, 0xff};

/* One client frame; flags say what is odd about it. Returns its length. */
static size_t frame(unsigned char *o, int flags, const void *p, size_t len)
{
    unsigned char m = flags & UNMASKED ? 0 : 0x80, *s = o;

    *o++ = (unsigned char)flags;
    if (len > 65535 || flags & (LONG64 | TOPBIT)) {
        *o++ = m | 127;
        for (int i = 7; i >= 0; i--)
            *o++ = (unsigned char)((uint64_t)len >> (8 * i));
        if (flags & TOPBIT)
            o[-8] |= 0x80;
    } else if (len > 125 || flags & LONG16) {
        *o++ = m | 126;
        *o++ = (unsigned char)(len >> 8);
        *o++ = (unsigned char)len;
    } else
        *o++ = (unsigned char)(m | len);
    if (m) {
        memcpy(o, mask, 4);
        o += 4;
    }
    for (size_t i = 0; i < len; i++)
        *o++ = ((const unsigned char *)p)[i] ^ (m ? mask[i & 3] : 0);
    return (size_t)(o - s);
}

static int put_frame(int fd, int flags, const void *p, size_t len)
{
    static unsigned char b[READ_SIZE * 4];

    return put(fd, b, frame(b, flags, p, len));
}

/* One server frame of at most size bytes: its opcode byte, or -1 at the end of the stream. */
static int get_frame(int fd, void *p, size_t size, size_t *len)
{
    unsigned char h[10];
    uint64_t n;

    if (get(fd, h, 2) || (h[1] & 0x80))
        return -1;
    n = h[1];
    if (n == 126) {
        if (get(fd, h + 2, 2))
            return -1;
        n = (uint64_t)h[2] << 8 | h[3];
    } else if (n == 127) {
        if (get(fd, h + 2, 8))
            return -1;
        n = 0;
        for (int i = 2; i < 10; i++)
            n = n << 8 | h[i];
    }
    if (n > size || get(fd, p, (size_t)n))
        return -1;
    *len = (size_t)n;
    return h[0];
}

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

/* Reads on to the Close frame, answers it, and wants the end of the stream at once. Returns the
 * code (0 = none in it, -1 = no Close frame), and in *ended whether the stream ended. */
static int get_close(int fd, bool *ended, char *text, size_t size)
{
    static unsigned char b[READ_SIZE * 2];
    uint64_t t0;
    size_t len;
    int op, code = -1;
    char c;

    while ((op = get_frame(fd, b, sizeof(b), &len)) >= 0 && op != (FIN | 8))
        ;
    if (op >= 0)
        code = len >= 2 ? b[0] << 8 | b[1] : 0;
    if (text)
        snprintf(text, size, "%.*s", len > 2 ? (int)len - 2 : 0, (char *)b + 2);
    if (op >= 0)
        put_frame(fd, FIN | 8, b, len < 2 ? 0 : 2);
    t0 = now_ms();
    *ended = op < 0 ? at_end : recv(fd, &c, 1, 0) == 0 && now_ms() - t0 < 1000;
    return code;
}

/* ---- HTTP: the opening handshake -------------------------------------------------------- */

static void handshakes(int port)
{
    static char large[6000];
    static const struct {
        const char *what, *request;
        int status;
        const char *in_answer;
    } t[] = {
        {"plain upgrade [WS-HS-09]", REQUEST, 101, "Sec-WebSocket-Protocol: mqtt"},
        {"Sec-WebSocket-Accept [WS-HS-11]", REQUEST, 101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
        {"version 8 [WS-HS-06]", GET UPGRADE "Sec-WebSocket-Version: 8\r\n" KEY MQTT "\r\n", 426,
         "Sec-WebSocket-Version: 13"},
        {"version 14 [WS-HS-06]", GET UPGRADE "Sec-WebSocket-Version: 14\r\n" KEY MQTT "\r\n", 426,
         "Sec-WebSocket-Version: 13"},
        {"no version [WS-HS-06]", GET UPGRADE KEY MQTT "\r\n", 400, ""},
        {"no key [WS-HS-05]", GET UPGRADE VERSION MQTT "\r\n", 400, ""},
        {"empty key [WS-HS-05]", GET UPGRADE VERSION "Sec-WebSocket-Key: \r\n" MQTT "\r\n", 400,
         ""},
        {"key of 15 bytes [WS-HS-05]",
         GET UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n" MQTT "\r\n", 400, ""},
        {"key with stray bits [WS-HS-05]",
         GET UPGRADE VERSION "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n" MQTT "\r\n", 400,
         ""},
        {"key twice [WS-HS-05]", GET UPGRADE VERSION KEY KEY MQTT "\r\n", 400, ""},
        {"no Host [WS-HS-02]", "GET / HTTP/1.1\r\n" UPGRADE VERSION KEY MQTT "\r\n", 400, ""},
        {"POST [WS-HS-01]",
         "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n" UPGRADE VERSION KEY MQTT "\r\n", 400,
         ""},
        {"HTTP/1.0 [WS-HS-01]", "GET / HTTP/1.0\r\nHost: h\r\n" UPGRADE VERSION KEY MQTT "\r\n",
         400, ""},
        {"Connection without Upgrade [WS-HS-04]",
         GET "Connection: keep-alive\r\nUpgrade: websocket\r\n" VERSION KEY MQTT "\r\n", 400, ""},
        {"another upgrade [WS-HS-03]",
         GET "Connection: Upgrade\r\nUpgrade: wibble\r\n" VERSION KEY MQTT "\r\n", 404,
         "no such page"},
        {"garbage [WS-HS-08]", "\x10\x0d is no HTTP\r\n\r\n", 400, "no HTTP"},
        {"no method [WS-HS-08]", "\r\n\r\n", 400, "no HTTP"},
        {"header without colon [WS-HS-08]", GET "nonsense\r\n" UPGRADE VERSION KEY MQTT "\r\n", 400,
         "no HTTP"},
        {"header too large [WS-HS-08]", large, 431, "cookies"},
        {"no upgrade", GET "\r\n", 404, "no such page"},
        {"page refused with a body [WS-HS-16]",
         "GET /403 HTTP/1.1\r\nHost: h\r\n" UPGRADE VERSION KEY MQTT "\r\n", 403, "not from there"},
        {"no subprotocol", GET UPGRADE VERSION KEY "\r\n", 400, "mqtt required"},
        {"unknown subprotocol", GET UPGRADE VERSION KEY "Sec-WebSocket-Protocol: x, y\r\n\r\n", 400,
         "mqtt required"},
        {"unknown ones first [WS-HS-12]",
         GET UPGRADE VERSION KEY "Sec-WebSocket-Protocol: x,y ,mqtt, z\r\n\r\n", 101,
         "Protocol: mqtt\r\n"},
        {"odd ones first [WS-HS-12]",
         GET UPGRADE VERSION KEY "Sec-WebSocket-Protocol: , 1,,a!b~c,"
                                 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
                                 ",mqtt\r\n\r\n",
         101, "Protocol: mqtt\r\n"},
        {"two lines of them [WS-HS-13]",
         GET UPGRADE VERSION KEY "Sec-WebSocket-Protocol: x\r\n" MQTT "\r\n", 101,
         "Protocol: mqtt\r\n"},
        {"lower case, other order [WS-HS-07]",
         "GET / HTTP/1.1\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nupgrade: WebSocket\r\n"
         "x-unknown: 1\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n"
         "sec-websocket-protocol: mqtt\r\nhost: h\r\n\r\n",
         101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
        {"names that known ones begin with [WS-HS-07]",
         GET "X: 1\r\nX-Auth: 1\r\n" UPGRADE "Sec: 1\r\nIf:\r\n" VERSION KEY MQTT "P: 1\r\n\r\n",
         101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
        {"Host names another vhost of the context",
         "GET / HTTP/1.1\r\nHost: pmd\r\n" UPGRADE VERSION KEY MQTT
         "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
         101, ""},
    };
    char b[2048];

    memset(large, 'x', sizeof(large) - 1);
    memcpy(large, GET "Cookie: ", strlen(GET "Cookie: "));
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        int fd = dial(port), got;

        put(fd, t[i].request, strlen(t[i].request));
        got = get_answer(fd, b, sizeof(b));
        check(got == t[i].status && strstr(b, t[i].in_answer), "handshake: %s: %d", t[i].what, got);
        if (strstr(t[i].what, "vhost"))
            check(!strcasestr(b, "extensions"),
                  "handshake: ... and it is not served by that vhost");
        if (got != 101 && got != 404)
            check(recv(fd, b, 1, 0) == 0, "handshake: %s: connection ends", t[i].what);
        close(fd);
    }

    /* byte by byte [WS-HS-20]; with a frame in the same segment, long and cut anywhere in it */
    int fd = dial(port);
    unsigned char f[64];
    size_t n = frame(f, FIN | 2, "x", 1), len, whole;

    for (const char *p = REQUEST; *p; p++)
        put(fd, p, 1);
    check(get_answer(fd, b, sizeof(b)) == 101, "handshake: byte by byte");
    put(fd, f, n);
    check(get_frame(fd, b, sizeof(b), &len) == (FIN | 2) && len == 1 && *b == 'x',
          "handshake: byte by byte, then a frame");
    close(fd);
    for (int padding = 0; padding <= 600; padding += 100) {
        whole = (size_t)snprintf(
            b, sizeof(b), GET "X-Padding: %0*d\r\n" UPGRADE VERSION KEY MQTT "\r\n", padding, 0);
        memcpy(b + whole, f, n);
        fd = dial(port);
        put(fd, b, whole / 2);
        poll(NULL, 0, 1);
        put(fd, b + whole / 2, whole - whole / 2 + n);
        check(get_answer(fd, b, sizeof(b)) == 101 &&
                  get_frame(fd, b, sizeof(b), &len) == (FIN | 2) && len == 1 && *b == 'x',
              "handshake: %zu bytes and a frame in one segment", whole);
        close(fd);
    }
}

/* ---- WebSocket frames ------------------------------------------------------------------- */

static void bad_frames(int port)
{
    static const struct {
        const char *what;
        int flags;
        const char *p;
        size_t len;
        int code; /* wanted */
    } t[] = {
        {"unmasked [WS-FR-01]", FIN | 2 | UNMASKED, "x", 1, 1002},
        {"unmasked and empty [WS-FR-01]", FIN | 2 | UNMASKED, "", 0, 1002},
        {"unmasked ping [WS-FR-01]", FIN | 9 | UNMASKED, "x", 1, 1002},
        {"5 bytes in the 16-bit form [WS-FR-09]", FIN | 2 | LONG16, "xxxxx", 5, 1002},
        {"0 bytes in the 16-bit form [WS-FR-09]", FIN | 2 | LONG16, "", 0, 1002},
        {"5 bytes in the 64-bit form [WS-FR-09]", FIN | 2 | LONG64, "xxxxx", 5, 1002},
        {"length with the top bit [WS-FR-08]", FIN | 2 | TOPBIT, "", 0, 1002},
        {"RSV1 [WS-FR-04]", FIN | 2 | 0x40, "x", 1, 1002},
        {"RSV2 [WS-FR-04]", FIN | 2 | 0x20, "x", 1, 1002},
        {"RSV3 [WS-FR-04]", FIN | 2 | 0x10, "x", 1, 1002},
        {"opcode 3 [WS-FR-05]", FIN | 3, "x", 1, 1002},
        {"opcode 11 [WS-FR-05]", FIN | 11, "x", 1, 1002},
        {"continuation of nothing [WS-FG-03]", FIN | 0, "x", 1, 1002},
        {"ping in pieces [WS-CT-02]", 9, "x", 1, 1002},
        {"ping in the 16-bit form [WS-CT-01]", FIN | 9 | LONG16, "x", 1, 1002},
        {"close 1000", FIN | 8, "\x03\xe8", 2, 1000},
        {"close without a body [WS-CT-08]", FIN | 8, "", 0, 0},
        {"close with half a code [WS-CT-08]", FIN | 8, "\x03", 1, 1002},
        {"close 999 [WS-CT-09]", FIN | 8, "\x03\xe7", 2, 1002},
        {"close 1004 [WS-CT-09]", FIN | 8, "\x03\xec", 2, 1002},
        {"close 1005 [WS-CT-09]", FIN | 8, "\x03\xed", 2, 1002},
        {"close 1006 [WS-CT-09]", FIN | 8, "\x03\xee", 2, 1002},
        {"close 1012", FIN | 8, "\x03\xf4", 2, 1012},
        {"close 1015 [WS-CT-09]", FIN | 8, "\x03\xf7", 2, 1002},
        {"close 2999 [WS-CT-09]", FIN | 8, "\x0b\xb7", 2, 1002},
        {"close 3000", FIN | 8, "\x0b\xb8", 2, 3000},
        {"close 5000", FIN | 8, "\x13\x88", 2, 1002},
        {"close, reason not UTF-8 [WS-CT-10]", FIN | 8, "\x03\xe8\xff\xfe", 4, 1007},
        {"close, reason half a character [WS-CT-10]", FIN | 8, "\x03\xe8\xc3", 3, 1007},
        {"close, reason UTF-8", FIN | 8, "\x03\xe8\xc3\xa4", 4, 1000},
    };
    unsigned char b[256];

    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        int fd = ws_dial(port), code;
        bool ended;
        size_t n = frame(b, t[i].flags, t[i].p, t[i].len);

        n += frame(b + n, FIN | 2, "after", 5); /* must not be processed */
        put(fd, b, n);
        size_t len;
        unsigned char a[256];
        int op = get_frame(fd, a, sizeof(a), &len);

        code = op < 0 ? -1 : op != (FIN | 8) ? -2 : len >= 2 ? a[0] << 8 | a[1] : 0;
        if (op == (FIN | 8))
            put_frame(fd, FIN | 8, a, len < 2 ? 0 : 2);
        uint64_t t0 = now_ms();
        ended = recv(fd, a, 1, 0) == 0 && now_ms() - t0 < 1000;
        check(code == t[i].code, "frame: %s: close %d", t[i].what, code);
        check(ended, "frame: %s: stream ends", t[i].what);
        close(fd);
    }
}

static void good_frames(int port)
{
    static const size_t sizes[] = {1,     125,   126,   127,   4079,  4080,  4096,  16384,
                                   32768, 65519, 65520, 65534, 65535, 65536, 65537, 131072};
    static unsigned char in[READ_SIZE * 3], out[READ_SIZE * 3];
    int fd = ws_dial(port), op;
    size_t len, got;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        for (size_t j = 0; j < sizes[i]; j++)
            in[j] = (unsigned char)('a' + (i + j) % 23);
        put_frame(fd, FIN | 2, in, sizes[i]);
        for (got = 0; got < sizes[i]; got += len)
            if ((op = get_frame(fd, out + got, sizeof(out) - got, &len)) != (FIN | 2))
                break;
        check(got == sizes[i] && !memcmp(in, out, got), "frame: %zu bytes there and back",
              sizes[i]);
    }

    put_frame(fd, FIN | 9, in, 125);
    op = get_frame(fd, out, sizeof(out), &len);
    check(op == (FIN | 10) && len == 125 && !memcmp(in, out, 125), "ping of 125 bytes [WS-CT-03]");
    put_frame(fd, FIN | 9, "", 0);
    op = get_frame(fd, out, sizeof(out), &len);
    check(op == (FIN | 10) && len == 0, "empty ping [WS-CT-03]");

    unsigned char b[256];
    size_t n = frame(b, FIN | 9, "one", 3);

    n += frame(b + n, FIN | 9, "two", 3);
    n += frame(b + n, FIN | 9, "three", 5);
    put(fd, b, n);
    do
        op = get_frame(fd, out, sizeof(out), &len);
    while (op == (FIN | 10) && len == 3);
    check(op == (FIN | 10) && len == 5 && !memcmp(out, "three", 5),
          "of pings in one read the latest is answered [WS-CT-03]");

    put_frame(fd, 2, "frag", 4);
    get_frame(fd, out, sizeof(out), &len);
    put_frame(fd, FIN | 9, "mid", 3);
    op = get_frame(fd, out, sizeof(out), &len);
    check(op == (FIN | 10) && len == 3, "ping between fragments [WS-FG-02]");
    put_frame(fd, FIN | 0, "ment", 4);
    op = get_frame(fd, out, sizeof(out), &len);
    check(op == (FIN | 2) && len == 4 && !memcmp(out, "ment", 4), "continuation [WS-FG-01]");

    put_frame(fd, FIN | 2, "U", 1);
    op = get_frame(fd, out, sizeof(out), &len);
    check(op == (FIN | 2) && len == 1 && *out == '/', "what the handshake's headers said is known");

    put_frame(fd, FIN | 10, "unasked", 7); /* the test server echoes pongs */
    op = get_frame(fd, out, sizeof(out), &len);
    check(op == (FIN | 2) && len == 7, "unsolicited pong is only reported [WS-CT-04]");

    put_frame(fd, FIN | 2, "P", 1);
    op = get_frame(fd, out, sizeof(out), &len);
    check(op == (FIN | 9) && len == 4 && !memcmp(out, "ping", 4), "server sends a ping");
    put_frame(fd, FIN | 10, out, 4);
    op = get_frame(fd, out, sizeof(out), &len);
    check(op == (FIN | 2) && len == 4 && !memcmp(out, "ping", 4), "and sees the pong");

    uint64_t t0 = now_ms();
    n = frame(b, FIN | 2, "F", 1);
    n += frame(b + n, FIN | 2, "held", 4);
    put(fd, b, n);
    op = get_frame(fd, out, sizeof(out), &len);
    check(op == (FIN | 2) && !memcmp(out, "held", 4) && now_ms() - t0 >= 45 && now_ms() - t0 < 1000,
          "reading stops, and what was read already is there when it goes on (%u ms)",
          (unsigned int)(now_ms() - t0));
    put_frame(fd, FIN | 2, "F", 1);
    put_frame(fd, FIN | 2, "later", 5);
    op = get_frame(fd, out, sizeof(out), &len);
    check(op == (FIN | 2) && !memcmp(out, "later", 5), "and nothing is lost");
    close(fd);
}

static void closes(struct worker *w)
{
    int port = w->lis[WS].port, fd = ws_dial(port), code, op;
    char text[64];
    unsigned char b[64];
    bool ended;
    size_t len;

    put_frame(fd, FIN | 2, "C", 1);
    op = get_frame(fd, b, sizeof(b), &len);
    check(op == (FIN | 2) && len == 4 && !memcmp(b, "tail", 4), "close: data goes first");
    code = get_close(fd, &ended, text, sizeof(text));
    check(code == 1008 && !strcmp(text, "because") && ended, "close: %d %s", code, text);
    close(fd);

    fd = ws_dial(port);
    put_frame(fd, FIN | 2, "D", 1);
    code = get_close(fd, &ended, text, sizeof(text));
    check(code == 1009 && !strcmp(text, "late") && ended, "close: after 8 MiB: %d %s", code, text);
    close(fd);

    fd = ws_dial(port);
    put_frame(fd, FIN | 2, "X", 1);
    get_frame(fd, b, sizeof(b), &len);
    give(w, CLOSE);
    op = get_frame(fd, b, sizeof(b), &len);
    check(op == (FIN | 2) && len == 3, "close: from outside: data goes first");
    code = get_close(fd, &ended, text, sizeof(text));
    check(code == 1001 && !strcmp(text, "off") && ended, "close: from outside: %d %s", code, text);
    close(fd);
}

/* ---- who never finishes ----------------------------------------------------------------- */

static struct {
    const char *what;
    int fd;
} slow[] = {{.what = "silent, ws"},
            {.what = "half a request, ws"},
            {.what = "silent, wss"},
            {.what = "half a hello, wss"},
            {.what = "silent, raw TLS"}};

static void slow_begin(const struct worker *w)
{
    static const char hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

    slow[0].fd = dial(w->lis[WS].port);
    slow[1].fd = dial(w->lis[WS].port);
    put(slow[1].fd, GET, strlen(GET));
    slow[2].fd = dial(w->lis[WSS].port);
    slow[3].fd = dial(w->lis[WSS].port);
    put(slow[3].fd, hello, sizeof(hello) - 1);
    slow[4].fd = dial(w->lis[RAWS].port);
}

static void slow_end(void)
{
    char c;

    for (size_t i = 0; i < sizeof(slow) / sizeof(*slow); i++) {
        ssize_t n = recv(slow[i].fd, &c, 1, 0);

        check(n == 0 || (n < 0 && errno == ECONNRESET), "timeout: %s: closed", slow[i].what);
        close(slow[i].fd);
    }
}

/* ---- raw sockets ------------------------------------------------------------------------ */

/* A raw peer who sends and does not read must not make the loop spin. */
static void raw(struct worker *w)
{
    int fd = dial(w->lis[RAW].port);
    char b[16];
    struct timespec c0, c1;
    clockid_t clk;
    uint64_t t0;

    put(fd, "hello", 5);
    check(get(fd, b, 5) == 0 && !memcmp(b, "hello", 5), "raw: echo");
    put(fd, "B", 1);
    check(recv(fd, b, 1, MSG_PEEK) == 1, "raw: flood begins");
    pthread_getcpuclockid(w->thread, &clk);
    t0 = now_ms();
    clock_gettime(clk, &c0);
    while (now_ms() - t0 < 200) { /* readable there, and nothing can be written */
        put(fd, "m", 1);
        poll(NULL, 0, 10);
    }
    clock_gettime(clk, &c1);
    double cpu = (double)(c1.tv_sec - c0.tv_sec) + 1e-9 * (double)(c1.tv_nsec - c0.tv_nsec);
    check(cpu < 0.1, "raw: blocked peer costs %.0f ms CPU in 200 ms", 1e3 * cpu);
    close(fd);
}

/* ---- TLS -------------------------------------------------------------------------------- */

/* The output of a shell command. */
static const char *shell(const char *fmt, ...)
{
    static char out[65536];
    char cmd[1024];
    size_t n;
    FILE *f;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(cmd, sizeof(cmd), fmt, ap);
    va_end(ap);
    if (!(f = popen(cmd, "r")))
        return "";
    n = fread(out, 1, sizeof(out) - 1, f);
    out[n] = 0;
    pclose(f);
    return out;
}

static int count(const char *s, const char *what)
{
    int n = 0;

    for (; (s = strstr(s, what)); s++)
        n++;
    return n;
}

#define S_CLIENT "timeout 10 openssl s_client -connect 127.0.0.1:%d "
#define QUIET    " </dev/null 2>&1"
#define GOOD     "-cert client.pem -key client.key"

static void tls_basics(void)
{
    int port = workers[0].lis[WSS].port, other = workers[1].lis[WSS].port;
    const char *o = shell(S_CLIENT "-showcerts" QUIET, port);

    check(count(o, "BEGIN CERTIFICATE") == 2, "tls: the whole chain is sent");
    check(strstr(o, "TLSv1.2") != NULL, "tls: 1.2");
    check(strstr(o, "X25519") != NULL, "tls: key exchange in X25519");
    o = shell(S_CLIENT "-groups P-521:P-256" QUIET, port);
    check(strstr(o, "prime256v1") || strstr(o, "P-256"), "tls: P-256, never P-521");
    o = shell(S_CLIENT "-tls1_1 -cipher DEFAULT:@SECLEVEL=0" QUIET, port);
    check(!strstr(o, "BEGIN CERTIFICATE"), "tls: no TLS 1.1");
    o = shell(S_CLIENT "-alpn http/1.1" QUIET, port);
    check(strstr(o, "ALPN protocol: http/1.1") != NULL, "tls: ALPN http/1.1");

    o = shell(S_CLIENT "-servername other.test" QUIET, port);
    check(strstr(o, "CN = other.test") || strstr(o, "CN=other.test"), "tls: SNI: its certificate");
    o = shell(S_CLIENT "-servername sub.OTHER.test" QUIET, port);
    check(strstr(o, "CN = other.test") || strstr(o, "CN=other.test"), "tls: SNI: name below it");
    o = shell(S_CLIENT "-servername nobody.test" QUIET, port);
    check(strstr(o, "CN = server.test") || strstr(o, "CN=server.test"),
          "tls: SNI: unknown name stays at the listener's own");
    o = shell(S_CLIENT "-servername strict.test" QUIET, port);
    check(!strstr(o, "Acceptable client certificate CA names"),
          "tls: SNI: name of another listener is unknown here");

    shell("rm -f t1 t2; " S_CLIENT "-sess_out t1" QUIET, port);
    o = shell(S_CLIENT "-sess_in t1 -sess_out t2" QUIET, port);
    check(strstr(o, "Reused, TLSv1.2") != NULL, "tls: a ticket resumes");
    o = shell(S_CLIENT "-sess_in t1" QUIET, other);
    check(strstr(o, "Reused, TLSv1.2") != NULL, "tls: with the other thread's context, too");
    o = shell("echo QUIT | " S_CLIENT "-sess_in t1 -servername nobody.test 2>&1",
              workers[1].lis[RAWS].port);
    check(strstr(o, "Reused, TLSv1.2") != NULL, "tls: raw listener takes it as well");
}

struct tls_client {
    mbedtls_net_context net;
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context drbg;
    mbedtls_ssl_config conf;
    mbedtls_ssl_context ssl;
    mbedtls_x509_crt crt;
    mbedtls_pk_context key;
};

/* cert: name of the files with certificate and key, or NULL; sni: or NULL */
static int tls_open(struct tls_client *t, int port, const char *cert, const char *sni)
{
    mbedtls_net_init(&t->net);
    mbedtls_entropy_init(&t->entropy);
    mbedtls_ctr_drbg_init(&t->drbg);
    mbedtls_ssl_config_init(&t->conf);
    mbedtls_ssl_init(&t->ssl);
    mbedtls_x509_crt_init(&t->crt);
    mbedtls_pk_init(&t->key);
    int fd = dial(port);

    memcpy(&t->net, &fd, sizeof(fd)); /* its only member, private in mbedTLS 3 */
    if (mbedtls_ctr_drbg_seed(&t->drbg, mbedtls_entropy_func, &t->entropy, NULL, 0) ||
        mbedtls_ssl_config_defaults(&t->conf, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT))
        return -1;
    mbedtls_ssl_conf_authmode(&t->conf, MBEDTLS_SSL_VERIFY_NONE);
    mbedtls_ssl_conf_rng(&t->conf, mbedtls_ctr_drbg_random, &t->drbg);
    if (cert) {
        char crt[64], key[64];
        int rc;

        snprintf(crt, sizeof(crt), "%s.pem", cert);
        snprintf(key, sizeof(key), "%s.key", cert);
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
        rc = mbedtls_pk_parse_keyfile(&t->key, key, NULL, mbedtls_ctr_drbg_random, &t->drbg);
#else
        rc = mbedtls_pk_parse_keyfile(&t->key, key, NULL);
#endif
        if (rc || mbedtls_x509_crt_parse_file(&t->crt, crt) ||
            mbedtls_ssl_conf_own_cert(&t->conf, &t->crt, &t->key))
            return -1;
    }
    if (mbedtls_ssl_setup(&t->ssl, &t->conf) || mbedtls_ssl_set_hostname(&t->ssl, sni))
        return -1;
    mbedtls_ssl_set_bio(&t->ssl, &t->net, mbedtls_net_send, mbedtls_net_recv, NULL);
    return 0;
}

static void tls_shut(struct tls_client *t)
{
    mbedtls_ssl_free(&t->ssl);
    mbedtls_ssl_config_free(&t->conf);
    mbedtls_ctr_drbg_free(&t->drbg);
    mbedtls_entropy_free(&t->entropy);
    mbedtls_x509_crt_free(&t->crt);
    mbedtls_pk_free(&t->key);
    mbedtls_net_free(&t->net);
}

/* Sends s, and reads until want has come. */
static int tls_talk(struct tls_client *t, const void *s, size_t len, const char *want)
{
    char b[1024];
    size_t n = 0;
    int rc;

    if (mbedtls_ssl_write(&t->ssl, s, len) < 0)
        return -1;
    while (n < sizeof(b) - 1) {
        rc = mbedtls_ssl_read(&t->ssl, (unsigned char *)b + n, sizeof(b) - 1 - n);
        if (rc <= 0)
            return -1;
        b[n += (size_t)rc] = 0;
        if (strstr(b, want))
            return 0;
    }
    return -1;
}

static void tls_client_certs(void)
{
    int need = workers[0].lis[WSS_NEED_CERT].port, ask = workers[0].lis[WSS_ASK_CERT].port;
    static const struct {
        const char *what;
        bool need;
        const char *cert, *sni, *seen; /* seen by the server; NULL: refused in the handshake */
    } t[] = {
        {"required, none", true, NULL, NULL, NULL},
        {"required, none, with SNI", true, NULL, "x.test", NULL},
        {"required, of a foreign CA", true, "foreign", NULL, NULL},
        {"required, good", true, "client", NULL, "client"},
        {"required, of the second CA", true, "client2", NULL, "client2"},
        {"optional, none", false, NULL, NULL, "none"},
        {"optional, none, with SNI", false, NULL, "strict.test", "none"},
        {"optional, of a foreign CA", false, "foreign", NULL, NULL},
        {"optional, good", false, "client", NULL, "client"},
        {"optional, good, with SNI", false, "client", "strict.test", "client"},
    };
    unsigned char b[64];

    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        struct tls_client c;
        bool in = tls_open(&c, t[i].need ? need : ask, t[i].cert, t[i].sni) == 0 &&
                  mbedtls_ssl_handshake(&c.ssl) == 0 &&
                  tls_talk(&c, REQUEST, strlen(REQUEST), "\r\n\r\n") == 0;

        check(in == (t[i].seen != NULL) &&
                  (!in || tls_talk(&c, b, frame(b, FIN | 2, "N", 1), t[i].seen) == 0),
              "tls: client certificate %s: %s", t[i].what, in ? "in" : "refused");
        tls_shut(&c);
    }

    const char *o = shell("rm -f t3; " S_CLIENT "-sess_out t3 " GOOD QUIET
                          "; test -s t3 && " S_CLIENT "-sess_in t3 " GOOD QUIET,
                          need, need);
    check(!strstr(o, "Reused"), "tls: no resumption where a certificate is asked for");
    o = shell(S_CLIENT "-sess_in t1" QUIET, need);
    check(!strstr(o, "Reused"), "tls: a ticket is no way round the client certificate");
}

/* ---- TLS: reload ------------------------------------------------------------------------ */

static void tls_reload(void)
{
    struct worker *w = &workers[0];
    int port = w->lis[WSS].port;
    struct tls_client a, b;
    unsigned char f[64];
    int rc;

    tls_open(&a, port, NULL, NULL);
    check(mbedtls_ssl_handshake(&a.ssl) == 0 &&
              tls_talk(&a, REQUEST, strlen(REQUEST), "\r\n\r\n") == 0,
          "reload: a client before it");
    /* stopped where the server has sent its flight and waits for the key exchange */
    tls_open(&b, port, NULL, NULL);
    for (int i = rc = 0; i < 5 && rc == 0; i++)
        rc = mbedtls_ssl_handshake_step(&b.ssl);
    check(rc == 0, "reload: a client in its handshake");

    system("cp server.pem server.pem.1; cp server.key server.key.1");
    system("cp new.pem server.pem; cp new.key server.key");
    check(give(w, RELOAD) == 0, "reload: taken");
    rc = mbedtls_ssl_handshake(&b.ssl);
    check(rc == 0 && tls_talk(&b, REQUEST, strlen(REQUEST), "\r\n\r\n") == 0,
          "reload: the handshake goes on with what it began (-0x%x)", -rc);
    check(tls_talk(&a, f, frame(f, FIN | 2, "still", 5), "still") == 0,
          "reload: the one from before does not notice");
    const char *o = shell(S_CLIENT "-showcerts" QUIET, port);
    check(strstr(o, "new.test") && count(o, "BEGIN CERTIFICATE") == 2,
          "reload: new chain for new ones");

    system("cp server.key.1 server.key");
    check(give(w, RELOAD) != 0, "reload: key that does not belong to the certificate: refused");
    o = shell(S_CLIENT "-showcerts" QUIET, port);
    check(strstr(o, "new.test") && strstr(o, "Verify return code"),
          "reload: and the old pair serves on");
    system("echo rubbish >server.pem");
    check(give(w, RELOAD) != 0, "reload: rubbish: refused");
    system("cp server.pem.1 server.pem; cp server.key.1 server.key");
    check(give(w, RELOAD) == 0, "reload: back");
    tls_shut(&a);
    tls_shut(&b);
}

/* Both workers in handshakes at the same time, from the same random generator and ticket keys. */
static void *shake_hands(void *arg)
{
    intptr_t good = 0;
    struct tls_client c;

    for (int i = 0; i < 20; i++) {
        if (tls_open(&c, *(int *)arg, NULL, NULL) == 0 && mbedtls_ssl_handshake(&c.ssl) == 0)
            good++;
        tls_shut(&c);
    }
    return (void *)good;
}

static void tls_at_once(void)
{
    pthread_t t[WORKERS];
    void *good;

    for (int i = 0; i < WORKERS; i++)
        pthread_create(&t[i], NULL, shake_hands, &workers[i].lis[WSS].port);
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(t[i], &good);
        check((intptr_t)good == 20,
              "tls: handshakes in both threads at once: %d of 20 with worker %d",
              (int)(intptr_t)good, i);
    }
}

/* Big messages both ways through TLS: nothing may stay behind in a buffer. */
static void tls_sizes(void)
{
    static const size_t sizes[] = {1, 125, 126, 4096, 16383, 16384, 16385, 65535, 65536, 131072};
    static unsigned char f[READ_SIZE * 3], in[READ_SIZE * 3];
    struct tls_client t;

    tls_open(&t, workers[1].lis[WSS].port, NULL, NULL);
    check(mbedtls_ssl_handshake(&t.ssl) == 0 &&
              tls_talk(&t, REQUEST, strlen(REQUEST), "\r\n\r\n") == 0,
          "tls: ws");
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        memset(in, 'x', sizes[i]);
        size_t n = frame(f, FIN | 2, in, sizes[i]), got = 0, want = 0, head = 0;
        int rc = 0;

        for (size_t o = 0; o < n && rc >= 0; o += (size_t)rc)
            rc = mbedtls_ssl_write(&t.ssl, f + o, n - o);
        /* echoes come in as many frames as the server had reads: count the payload */
        while (rc > 0 && got < sizes[i]) {
            unsigned char h[10];

            for (head = 0; head < 2 && rc > 0; head += (size_t)rc)
                rc = mbedtls_ssl_read(&t.ssl, h + head, 2 - head);
            want = h[1];
            size_t ext = want == 126 ? 2 : want == 127 ? 8 : 0;

            for (; head < 2 + ext && rc > 0; head += (size_t)rc)
                rc = mbedtls_ssl_read(&t.ssl, h + head, 2 + ext - head);
            if (ext)
                for (want = 0, head = 2; head < 2 + ext; head++)
                    want = want << 8 | h[head];
            for (got += want; want && rc > 0; want -= (size_t)rc)
                rc = mbedtls_ssl_read(&t.ssl, in, want < sizeof(in) ? want : sizeof(in));
        }
        check(rc > 0 && got == sizes[i], "tls: %zu bytes there and back", sizes[i]);
    }
    tls_shut(&t);

    tls_open(&t, workers[1].lis[RAWS].port, NULL, NULL);
    check(mbedtls_ssl_handshake(&t.ssl) == 0, "tls: raw");
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        size_t o = 0, got = 0;
        int rc = 1;

        memset(in, 'x', sizes[i]);
        for (; o < sizes[i] && rc > 0; o += (size_t)rc)
            rc = mbedtls_ssl_write(&t.ssl, in + o, sizes[i] - o);
        for (; got < sizes[i] && rc > 0; got += (size_t)rc)
            rc = mbedtls_ssl_read(&t.ssl, f, sizeof(f));
        check(rc > 0 && got == sizes[i], "tls: raw: %zu bytes there and back", sizes[i]);
    }
    tls_shut(&t);
}

/* ---- permessage-deflate ----------------------------------------------------------------- */

static void deflate_conn(int port)
{
    static const char req[] = GET UPGRADE VERSION KEY MQTT
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
    /* "Hello", compressed [RFC 7692 7.2.3.1] */
    static const unsigned char hello[] = {0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00};
    unsigned char b[1024];
    size_t len;
    int fd = dial(port), op;

    put(fd, req, strlen(req));
    check(get_answer(fd, (char *)b, sizeof(b)) == 101 &&
              strcasestr((char *)b, "extensions: permessage-deflate"),
          "deflate: negotiated");
    for (int i = 0; i < 3; i++) {
        put_frame(fd, FIN | 0x40 | 2, hello, sizeof(hello));
        op = get_frame(fd, b, sizeof(b), &len);
        check(op == (FIN | 0x40 | 2) && len > 0, "deflate: compressed answer");
        put_frame(fd, FIN | 9, "p", 1);
        op = get_frame(fd, b, sizeof(b), &len);
        check(op == (FIN | 10) && len == 1, "deflate: control frames are not");
        put_frame(fd, FIN | 2, "Hi there", 8);
        op = get_frame(fd, b, sizeof(b), &len);
        check(op > 0 && (op & 0xf) == 2, "deflate: uncompressed message");
    }
    put_frame(fd, FIN | 0x40 | 9, "p", 1);
    bool ended;
    int code = get_close(fd, &ended, NULL, 0);
    check(code == 1002 && ended, "deflate: RSV1 on a ping: close %d [PD-08]", code);
    close(fd);

    fd = dial(port);
    put(fd, req, strlen(req));
    get_answer(fd, (char *)b, sizeof(b));
    put_frame(fd, 0x40 | 2, hello, 3);
    put_frame(fd, FIN | 0x40 | 0, hello + 3, sizeof(hello) - 3);
    code = get_close(fd, &ended, NULL, 0);
    check(code == 1002 && ended, "deflate: RSV1 on a continuation: close %d [PD-08]", code);
    close(fd);
}

/* ---- any split of the stream gives the same --------------------------------------------- */

static uint64_t seed = 88172645463325252u;

static unsigned int rnd(unsigned int n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned int)(seed >> 32) % n;
}

static size_t random_stream(unsigned char *o, size_t size)
{
    static const unsigned short lens[] = {0,   1,   2,   5,   7,   8,   9,   64,
                                          124, 125, 126, 127, 128, 300, 1000};
    static unsigned char junk[70000];
    unsigned int frames = 1 + rnd(12), in_message = 0;
    size_t n = 0;

    if (!junk[1])
        for (size_t i = 0; i < sizeof(junk); i++)
            junk[i] = (unsigned char)(i * 7 + 1);
    while (frames--) {
        unsigned int r = rnd(100);
        size_t len = lens[rnd(sizeof(lens) / sizeof(*lens))];
        int flags = rnd(3) ? FIN : 0;

        if (r < 60) {
            flags |= in_message ? 0 : rnd(8) ? 2 : 1;
            in_message = !(flags & FIN);
        } else if (r < 85) {
            flags = FIN | (rnd(2) ? 9 : 10);
            len %= 126;
        } else if (r < 88)
            flags |= (int)rnd(16);
        else if (r < 90)
            flags |= 2 | (int)(rnd(8) << 4);
        else if (r < 91)
            flags |= 2 | UNMASKED;
        else if (r < 92)
            flags |= 2 | LONG16;
        else if (r < 93)
            flags |= 2 | LONG64;
        else if (r < 95) {
            flags = FIN | 8;
            len %= 126;
        } else if (r < 96)
            len = 65530 + rnd(12), flags |= in_message ? 0 : 2, in_message = !(flags & FIN);
        if (n + len + 14 > size)
            break;
        for (int i = 0; i < 4; i++)
            mask[i] = (unsigned char)(rnd(3) ? rnd(256) : 0);
        n += frame(o + n, flags, junk + rnd(1000), len);
    }
    return rnd(10) ? n : n - rnd((unsigned int)(n < 20 ? n : 20) + 1);
}

/* What the server delivered and how it closed, for the stream sent in pieces of at most `piece`
 * bytes (0: random ones). */
static uint64_t play(struct worker *w, const unsigned char *s, size_t len, size_t piece)
{
    static unsigned char b[READ_SIZE * 4];
    int sv[2], idle, size = 1 << 20;
    size_t got = 0, at;
    ssize_t n;

    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv);
    setsockopt(sv[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    adopt(&w->lis[WS], sv[0]);
    n = send(sv[1], REQUEST, strlen(REQUEST), MSG_NOSIGNAL);
    for (idle = 0; idle < 4 && got < 4; idle++) {
        uv_run(&w->loop, UV_RUN_NOWAIT);
        n = recv(sv[1], b, sizeof(b), 0);
        got += n > 0 ? (size_t)n : 0;
    }
    tape.hash = 14695981039346656037u;
    tape.n = 0;
    tape.on = true;
    for (at = 0; at < len; at += (size_t)n) {
        size_t want = piece ? piece : 1 + rnd(rnd(4) ? 12 : 3000);

        n = send(sv[1], s + at, want < len - at ? want : len - at, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            break; /* the server has closed */
        if (n < 0)
            n = 0;
        uv_run(&w->loop, UV_RUN_NOWAIT);
        if (piece != 1)
            uv_run(&w->loop, UV_RUN_NOWAIT);
    }
    got = 0;
    for (idle = 0; idle < 5; idle++) {
        uv_run(&w->loop, UV_RUN_NOWAIT);
        n = recv(sv[1], b + got, sizeof(b) - got, 0);
        got += n > 0 ? (size_t)n : 0;
    }
    tape.on = false;
    /* pongs may be fewer when more came at once: the Close frame is what counts */
    for (at = 0; at + 2 <= got; at += 2 + (size_t)b[at + 1])
        if (b[at] == (FIN | 8))
            tape_put(b + at, 2 + (size_t)b[at + 1]);
    close(sv[1]);
    uv_run(&w->loop, UV_RUN_NOWAIT);
    uv_run(&w->loop, UV_RUN_NOWAIT);
    return tape.hash;
}

static void fuzz_splits(unsigned int streams)
{
    static struct worker w;
    static unsigned char s[READ_SIZE * 3];
    unsigned int i, events = 0;

    if (!check(worker_init(&w) == 0, "fuzz: context"))
        return;
    for (i = 0; i < streams; i++) {
        uint64_t was = seed, a, b, c;
        size_t n = random_stream(s, sizeof(s));

        for (size_t k = 0; rnd(3) == 0 && k < n; k++) /* and bits that nobody thought of */
            if (rnd(200) == 0)
                s[k] ^= (unsigned char)(1u << rnd(8));
        a = play(&w, s, n, sizeof(s));
        events += tape.n;
        b = n < 4000 || rnd(50) == 0 ? play(&w, s, n, 1) : a;
        c = play(&w, s, n, 0);
        if (a != b || a != c) {
            check(false,
                  "fuzz: stream %u (seed %llu, %zu bytes): whole %llx, bytes %llx, random %llx", i,
                  (unsigned long long)was, n, (unsigned long long)a, (unsigned long long)b,
                  (unsigned long long)c);
            break;
        }
    }
    check(i == streams, "fuzz: %u streams, %u reads: any split gives the same", streams, events);
    worker_stop(&w);
    uv_run(&w.loop, UV_RUN_DEFAULT);
    check(uv_loop_close(&w.loop) == 0, "fuzz: context and loop are gone");
}

/* For callgrind, as the difference of two runs: n masked binary frames of 64 bytes, 200 a read. */
static int push_frames(unsigned int n)
{
    static struct worker w;
    static unsigned char b[200 * 70];
    char a[1024];
    int sv[2];
    size_t len = 0;

    if (worker_init(&w) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sv))
        return 1;
    adopt(&w.lis[WS], sv[0]);
    put(sv[1], REQUEST, strlen(REQUEST));
    for (int i = 0; i < 4; i++)
        uv_run(&w.loop, UV_RUN_NOWAIT);
    if (recv(sv[1], a, sizeof(a), 0) <= 0)
        return 1;
    for (int i = 0; i < 200; i++)
        len += frame(b + len, FIN | 2,
                     "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", 64);
    tape.on = tape.mute = true;
    for (; n >= 200 && put(sv[1], b, len) == 0; n -= 200)
        uv_run(&w.loop, UV_RUN_NOWAIT);
    printf("%u reads\n", tape.n);
    return 0;
}

/* ---- memory ----------------------------------------------------------------------------- */

static long rss_kib(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f) {
        if (fscanf(f, "%*d %ld", &pages) != 1)
            pages = 0;
        fclose(f);
    }
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* The clients live in another process. It was forked before any thread existed, and does what it
 * is told: n connections to a port, TLS or not; answers how many came about. */
struct dial_order {
    int port, n;
    bool tls;
};

static int herd[2] = {-1, -1}; /* orders out, answers in */

static void herd_main(int in, int out)
{
    struct dial_order o;

    while (read(in, &o, sizeof(o)) == sizeof(o)) {
        int *fds = calloc((size_t)o.n, sizeof(int)), n;
        struct tls_client *t = o.tls ? calloc((size_t)o.n, sizeof(*t)) : NULL;

        for (n = 0; n < o.n; n++) {
            if (o.tls) {
                if (tls_open(&t[n], o.port, NULL, NULL) || mbedtls_ssl_handshake(&t[n].ssl) ||
                    tls_talk(&t[n], REQUEST, strlen(REQUEST), "\r\n\r\n"))
                    break;
            } else if ((fds[n] = ws_dial(o.port)) < 0)
                break;
        }
        if (write(out, &n, sizeof(n)) != sizeof(n) || read(in, &o, sizeof(o)) <= 0)
            break;
        for (int i = 0; i < n; i++)
            if (t)
                tls_shut(&t[i]);
            else
                close(fds[i]);
        free(fds);
        free(t);
        if (write(out, &n, sizeof(n)) != sizeof(n))
            break;
    }
    _exit(0);
}

static void memory(const char *what, int port, bool tls, int n, long limit)
{
    struct dial_order o = {.port = port, .n = 50, .tls = tls};
    struct rlimit rl;
    struct mallinfo2 m0, m1;
    long r0, r1;
    int got = 0;

    if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur < (rlim_t)n + 200)
        n = (int)rl.rlim_cur - 200;
    for (int warm = 1; warm >= 0; warm--) { /* a first round fills lws's and libuv's own tables */
        malloc_trim(0);
        m0 = mallinfo2();
        r0 = rss_kib();
        o.n = warm && tls ? 10 : n;
        if (write(herd[0], &o, sizeof(o)) != sizeof(o) || read(herd[1], &got, sizeof(got)) < 0)
            return;
        m1 = mallinfo2();
        r1 = rss_kib();
        if (!warm) {
            long heap =
                ((long)m1.uordblks - (long)m0.uordblks + (long)m1.hblkhd - (long)m0.hblkhd) /
                (got ? got : 1);

            printf("  memory: %d idle %s: %ld bytes each of RSS, %ld of them in use on the heap\n",
                   got, what, (r1 - r0) * 1024 / (got ? got : 1), heap);
            check(got == n && heap < limit, "memory: %s below %ld bytes", what, limit);
        }
        if (write(herd[0], &o, sizeof(o)) != sizeof(o) || read(herd[1], &got, sizeof(got)) < 0)
            return;
        /* an own connection behind theirs: when it is served, they are gone */
        int fd = ws_dial(workers[0].lis[WS].port);

        close(fd);
    }
}

/* ---- main ------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
    int to[2], from[2], status = 0;
    struct rlimit rl;
    pid_t pid;
    unsigned int streams = 250, frames = 0;

    signal(SIGPIPE, SIG_IGN);
    lws_set_log_level(LLL_ERR | LLL_WARN, log_line);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-v") == 0)
            verbose = true;
        else if (strcmp(argv[i], "--fuzz") == 0 && i + 1 < argc)
            streams = (unsigned int)strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--frames") == 0 && i + 1 < argc)
            frames = (unsigned int)strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 10);
    }
    if (frames)
        return push_frames(frames);
    if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
        rl.rlim_cur = rl.rlim_max < 65536 ? rl.rlim_max : 65536;
        setrlimit(RLIMIT_NOFILE, &rl);
    }
    if (pipe(to) || pipe(from) || (pid = fork()) < 0)
        return 99;
    if (pid == 0) {
        close(to[1]);
        close(from[0]);
        herd_main(to[0], from[1]);
    }
    close(to[0]);
    close(from[1]);
    herd[0] = to[1];
    herd[1] = from[0];

    printf("libwebsockets %s, mbedTLS %s, libuv %s\n", LWS_LIBRARY_VERSION, MBEDTLS_VERSION_STRING,
           uv_version_string());
    fuzz_splits(streams);
    for (int i = 0; i < WORKERS; i++)
        if (worker_init(&workers[i]) ||
            pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]))
            return 98;

    slow_begin(&workers[1]);
    memory("ws", workers[0].lis[WS].port, false, IDLE_WS, 1400);
    memory("wss", workers[0].lis[WSS].port, true, IDLE_WSS, 45000);
    handshakes(workers[0].lis[WS].port);
    bad_frames(workers[0].lis[WS].port);
    good_frames(workers[1].lis[WS].port);
    closes(&workers[1]);
    raw(&workers[1]);
    deflate_conn(workers[0].lis[PMD].port);
    tls_basics();
    tls_client_certs();
    tls_reload();
    tls_at_once();
    tls_sizes();
    slow_end();

    close(herd[0]);
    waitpid(pid, &status, 0);
    int left = ws_dial(workers[0].lis[WS].port); /* still there when the context goes */
    struct tls_client left_tls;

    tls_open(&left_tls, workers[0].lis[WSS].port, NULL, NULL);
    mbedtls_ssl_handshake(&left_tls.ssl);
    for (int i = 0; i < WORKERS; i++) {
        void *busy = NULL;

        give(&workers[i], STOP);
        pthread_join(workers[i].thread, &busy);
        check(busy == NULL, "stop: nothing is left on the loop of worker %d", i);
    }
    check(recv(left, &status, 1, 0) <= 0 &&
              mbedtls_ssl_read(&left_tls.ssl, (void *)&status, 1) <= 0,
          "stop: connections have ended");
    close(left);
    tls_shut(&left_tls);
    printf("%d checks, %d failed\n", checks, failures);
    return failures > 90 ? 90 : failures;
}

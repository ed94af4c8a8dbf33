#include "ws/tests/peer_support.h"

#include "base/assert.h"
#include "base/test.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "ws/tests/zip_support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- bytes ---- */

static uint8_t *bytes_reserve(struct bytes *b, size_t n)
{
    if (b->at == b->len)
        b->at = b->len = 0;
    if (b->len + n > b->cap) {
        b->cap = (b->len + n) * 2;
        b->p = realloc(b->p, b->cap);
        ASSERT(b->p != NULL);
    }
    return b->p + b->len;
}

static void bytes_put(struct bytes *b, const void *data, size_t n)
{
    if (n == 0)
        return;
    memcpy(bytes_reserve(b, n), data, n);
    b->len += n;
}

static size_t bytes_left(const struct bytes *b)
{
    return b->len - b->at;
}

/* ---- the connection ---- */

static enum ws_protocol protocol_of(const struct rig *r, const char *listener)
{
    for (size_t i = 0; i < r->config.n_listeners; i++)
        if (strcmp(r->config.listeners[i].name, listener) == 0)
            return r->config.listeners[i].protocol;
    return WS_PROTOCOL_WS; /* the pages for operators: never upgraded */
}

struct peer *peer_prepare(const struct rig *r, const char *listener, int receive_buffer)
{
    struct peer *p = calloc(1, sizeof *p);
    int one = 1;

    p->port = rig_port(r, listener);
    p->protocol = protocol_of(r, listener);
    p->version = MQTT_V5;
    p->pong_len = -1;
    p->patience_ms = PATIENCE_MS;
    p->read_size = 65536;
    memcpy(p->key, "\x12\x00\xa5\xff", 4);
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT(p->fd >= 0);
    if (receive_buffer != 0)
        setsockopt(p->fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return p;
}

bool peer_start(struct peer *p)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(p->port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    return connect(p->fd, (const struct sockaddr *)&to, sizeof to) == 0 &&
           fcntl(p->fd, F_SETFL, O_NONBLOCK) == 0;
}

struct peer *peer_dial_tcp(const struct rig *r, const char *listener, int receive_buffer)
{
    struct peer *p = peer_prepare(r, listener, receive_buffer);

    if (peer_start(p))
        return p;
    peer_free(p);
    return NULL;
}

struct peer *peer_dial_tls(const struct rig *r, const char *listener, const struct tls_options *o)
{
    struct peer *p = peer_dial_tcp(r, listener, 0);

    if (p == NULL || !ws_protocol_has_tls(p->protocol))
        return p;
    p->tls = tls_open(p->fd, o);
    if (p->tls != NULL)
        return p;
    peer_free(p);
    return NULL;
}

struct peer *peer_dial(const struct rig *r, const char *listener)
{
    struct peer *p = peer_dial_tls(r, listener, NULL);

    if (p == NULL) {
        fprintf(stderr, "cannot connect to listener %s\n", listener);
        abort();
    }
    return p;
}

void peer_free(struct peer *p)
{
    if (p->tls != NULL)
        tls_free(p->tls);
    zip_free(p->zip);
    close(p->fd);
    free(p->raw.p);
    free(p->mqtt.p);
    free(p);
}

static bool wait_fd(const struct peer *p, short events, int ms)
{
    struct pollfd f = {p->fd, events, 0};
    int n;

    do {
        n = poll(&f, 1, ms);
    } while (n < 0 && errno == EINTR);
    return n == 1;
}

bool peer_write(struct peer *p, const void *data, size_t len)
{
    const uint8_t *at = data;

    while (len > 0) {
        ssize_t n =
            p->tls != NULL ? tls_write(p->tls, at, len) : send(p->fd, at, len, MSG_NOSIGNAL);

        if (n < 0 && (errno != EAGAIN || !wait_fd(p, POLLOUT, p->patience_ms)))
            return false;
        at += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

bool peer_write_text(struct peer *p, const char *text)
{
    return peer_write(p, text, strlen(text));
}

/* The other end of the connection is in this process, too. */
static int other_end(const struct peer *p)
{
    struct sockaddr_in mine = {0}, theirs = {0};
    socklen_t len = sizeof mine;

    if (getsockname(p->fd, (struct sockaddr *)&mine, &len) != 0)
        return -1;
    for (int fd = 0; fd < 1024; fd++) {
        len = sizeof theirs;
        if (getpeername(fd, (struct sockaddr *)&theirs, &len) == 0 &&
            theirs.sin_family == AF_INET && theirs.sin_port == mine.sin_port)
            return fd;
    }
    return -1;
}

void peer_settle(const struct peer *p)
{
    uint64_t end = mono_ms() + PATIENCE_MS;
    int unread = 1, unsent = 1;

    while (mono_ms() < end && (unread != 0 || unsent != 0)) {
        int fd = other_end(p);

        if (fd < 0 || ioctl(p->fd, SIOCOUTQNSD, &unsent) != 0 || ioctl(fd, FIONREAD, &unread) != 0)
            return; /* the server has closed it */
        sched_yield();
    }
    CHECK(unread == 0 && unsent == 0);
}

bool peer_receive_within(struct peer *p, int ms)
{
    for (;;) {
        uint8_t *to = bytes_reserve(&p->raw, p->read_size);
        ssize_t n =
            p->tls != NULL ? tls_read(p->tls, to, p->read_size) : recv(p->fd, to, p->read_size, 0);

        if (n > 0) {
            p->raw.len += (size_t)n;
            return true;
        }
        p->eof = n == 0 || errno != EAGAIN;
        p->reset = n < 0 && errno != EAGAIN;
        if (p->eof || !wait_fd(p, POLLIN, ms))
            return false;
    }
}

bool peer_receive(struct peer *p)
{
    bool more = peer_receive_within(p, p->patience_ms);

    CHECK(more || p->eof); /* else nothing comes */
    return more;
}

static void check_end(struct peer *p)
{
    CHECK(bytes_left(&p->raw) == 0);
    CHECK(!peer_receive(p));
    CHECK(p->eof && !p->reset);
    CHECK(p->tls == NULL || tls_ended_cleanly(p->tls)); /* [WS-CT-12] */
}

void peer_expect_eof(struct peer *p)
{
    check_end(p);
    peer_free(p);
}

/* ---- HTTP ---- */

static size_t find_head_end(const struct bytes *b)
{
    const uint8_t *start = b->p + b->at, *end;

    if (bytes_left(b) == 0)
        return 0;
    end = memmem(start, bytes_left(b), "\r\n\r\n", 4);
    return end == NULL ? 0 : (size_t)(end - start) + 4;
}

const char *http_header(const struct http *h, const char *name)
{
    static char value[1024];
    size_t len = strlen(name);

    for (const char *line = strstr(h->head, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, len) != 0 || line[len] != ':')
            continue;
        line += len + 1;
        line += strspn(line, " \t");
        snprintf(value, sizeof value, "%.*s", (int)strcspn(line, "\r"), line);
        return value;
    }
    return NULL;
}

bool http_header_is(const struct http *h, const char *name, const char *value)
{
    const char *got = http_header(h, name);

    return got != NULL && strcasecmp(got, value) == 0;
}

static void read_body(struct peer *p, struct http *h)
{
    const char *length = http_header(h, "Content-Length");

    h->body_len = length != NULL ? strtoul(length, NULL, 10) : 0;
    while (bytes_left(&p->raw) < h->body_len)
        if (!peer_receive(p))
            break;
    if (!CHECK(bytes_left(&p->raw) >= h->body_len))
        h->body_len = bytes_left(&p->raw);
    h->body = malloc(h->body_len + 1);
    memcpy(h->body, p->raw.p + p->raw.at, h->body_len);
    h->body[h->body_len] = '\0';
    p->raw.at += h->body_len;
}

struct http peer_http(struct peer *p, bool head_only)
{
    struct http h = {.status = 0};
    size_t len;

    while ((len = find_head_end(&p->raw)) == 0)
        if (!peer_receive(p))
            return h;
    if (!CHECK(len < sizeof h.head))
        return h;
    memcpy(h.head, p->raw.p + p->raw.at, len);
    p->raw.at += len;
    CHECK(sscanf(h.head, "HTTP/1.1 %d ", &h.status) == 1);
    if (h.status != 101 && !head_only)
        read_body(p, &h);
    return h;
}

void peer_request(struct peer *p, const char *path, const char *more)
{
    char text[8192];

    more = more != NULL ? more : "";
    snprintf(text, sizeof text,
             "GET %s HTTP/1.1\r\nHost: server.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s%s\r\n",
             path,
             strcasestr(more, "Sec-WebSocket-Protocol") == NULL ? "Sec-WebSocket-Protocol: mqtt\r\n"
                                                                : "",
             more);
    peer_write_text(p, text);
}

static unsigned count_header(const struct http *h, const char *name)
{
    unsigned n = 0;
    char line[128];

    snprintf(line, sizeof line, "\r\n%s:", name);
    for (const char *at = strcasestr(h->head, line); at != NULL; at = strcasestr(at + 1, line))
        n++;
    return n;
}

/* [WS-HS-09] [WS-HS-10] [WS-HS-11] */
void peer_check_upgraded(struct peer *p, const struct http *h)
{
    const char *v;

    if (!CHECK_INT(h->status, 101))
        return;
    CHECK((v = http_header(h, "Upgrade")) != NULL && strcasecmp(v, "websocket") == 0);
    CHECK((v = http_header(h, "Connection")) != NULL && strcasecmp(v, "Upgrade") == 0);
    CHECK((v = http_header(h, "Sec-WebSocket-Accept")) != NULL &&
          strcmp(v, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == 0);
    CHECK_INT(count_header(h, "Sec-WebSocket-Accept"), 1);
    CHECK_INT(count_header(h, "Sec-WebSocket-Protocol"), 1);
    CHECK(bytes_left(&p->raw) == 0 || p->raw.p[p->raw.at] >= FIN); /* no body */
}

bool peer_upgrade(struct peer *p)
{
    struct http h;

    peer_request(p, "/mqtt", NULL);
    h = peer_http(p, false);
    free(h.body);
    peer_check_upgraded(p, &h);
    return h.status == 101;
}

/* ---- frames ---- */

size_t frame_write(uint8_t *out, int head, const uint8_t key[4], const void *data, size_t len)
{
    size_t n = 2, wide = len < 126 ? 0 : len <= UINT16_MAX ? 2 : 8;

    out[0] = (uint8_t)head;
    out[1] = (uint8_t)(0x80 | (wide == 0 ? len : wide == 2 ? 126 : 127));
    for (size_t i = 0; i < wide; i++)
        out[n++] = (uint8_t)(len >> 8 * (wide - 1 - i));
    memcpy(out + n, key, 4);
    n += 4;
    for (size_t i = 0; i < len; i++)
        out[n + i] = ((const uint8_t *)data)[i] ^ key[i % 4];
    return n + len;
}

bool peer_frame(struct peer *p, int head, const void *data, size_t len)
{
    uint8_t *out = malloc(len + 14);
    size_t n = frame_write(out, head, p->key, data, len);
    bool ok = peer_write(p, out, n);

    free(out);
    for (int i = 0; i < 4; i++)
        p->key[i] = (uint8_t)(p->key[i] * 5 + 7); /* another one for every frame */
    return ok;
}

/* Length of the frame in b, header included; 0: it is not whole. Fills *out. */
static size_t parse_frame(const struct bytes *b, struct frame *out)
{
    const uint8_t *d = b->p + b->at;
    size_t have = bytes_left(b), n = 2, wide;

    if (have < 2)
        return 0;
    CHECK((d[1] & 0x80) == 0); /* [WS-FR-02] */
    wide = (d[1] & 0x7f) == 126 ? 2 : (d[1] & 0x7f) == 127 ? 8 : 0;
    if (have < n + wide)
        return 0;
    out->head = d[0];
    out->len = wide == 0 ? d[1] & 0x7f : 0;
    for (size_t i = 0; i < wide; i++)
        out->len = out->len << 8 | d[n++];
    CHECK(wide == 0 || (wide == 2 ? out->len > 125 : out->len > UINT16_MAX)); /* [WS-FR-06] */
    out->data = d + n;
    return have < n + out->len ? 0 : n + out->len;
}

static void check_frame(struct peer *p, const struct frame *f)
{
    int opcode = f->head & 0x0f;
    bool fin = (f->head & FIN) != 0, control = opcode >= OP_CLOSE;

    CHECK(opcode == OP_MORE || opcode == OP_BINARY || (opcode >= OP_CLOSE && opcode <= OP_PONG));
    CHECK((f->head & 0x30) == 0);
    CHECK((f->head & RSV1) == 0 || (p->zip != NULL && opcode == OP_BINARY)); /* [PD-08] [PD-14] */
    CHECK(!control || (fin && f->len <= 125));                               /* [WS-CT-01] */
    CHECK(control || (opcode == OP_MORE) == p->fragmented);                  /* [WS-FG-05] */
    CHECK(p->close_code == 0);                                               /* [WS-CT-07] */
    if (!control)
        p->fragmented = !fin;
}

bool peer_get_frame(struct peer *p, struct frame *out)
{
    size_t n;

    while ((n = parse_frame(&p->raw, out)) == 0)
        if (!peer_receive(p))
            return false;
    p->raw.at += n;
    check_frame(p, out);
    return true;
}

static void on_data(struct peer *p, const struct frame *f)
{
    if ((f->head & 0x0f) != OP_MORE)
        p->compressed = (f->head & RSV1) != 0;
    if (!p->compressed)
        bytes_put(&p->mqtt, f->data, f->len);
    else if (CHECK(zip_inflate(p->zip, f->data, f->len, (f->head & FIN) != 0)))
        bytes_put(&p->mqtt, zip_output(p->zip), zip_output_len(p->zip));
}

static void on_close(struct peer *p, const struct frame *f)
{
    p->close_code = f->len >= 2 ? f->data[0] << 8 | f->data[1] : 1005;
    CHECK(f->len != 1 && p->close_code != 1004 && p->close_code != 1006); /* [WS-CT-09] */
    if (f->len > 2)
        snprintf(p->close_text, sizeof p->close_text, "%.*s", (int)f->len - 2,
                 (const char *)f->data + 2);
}

/* Deal with the next frame; false: no more come. */
static bool step(struct peer *p)
{
    struct frame f;

    if (p->close_code != 0 || !peer_get_frame(p, &f))
        return false;
    switch (f.head & 0x0f) {
    case OP_CLOSE: on_close(p, &f); return false;
    case OP_PING:
        p->pings++;
        if (!p->mute)
            peer_frame(p, FIN | OP_PONG, f.data, f.len);
        break;
    case OP_PONG:
        p->pong_len = (int)f.len;
        memcpy(p->pong, f.data, f.len);
        break;
    default: on_data(p, &f); break;
    }
    return true;
}

bool peer_expect_pong(struct peer *p, const void *data, size_t len)
{
    while (p->pong_len != (int)len || memcmp(p->pong, data, len) != 0)
        if (!CHECK(step(p)))
            return false;
    return true;
}

int peer_await_close(struct peer *p)
{
    while (step(p))
        ;
    return p->close_code;
}

int peer_end(struct peer *p)
{
    uint8_t code[2];
    int result = peer_await_close(p);

    code[0] = (uint8_t)(result >> 8);
    code[1] = (uint8_t)result;
    if (result != 0) {
        peer_frame(p, FIN | OP_CLOSE, code, result == 1005 ? 0 : 2);
        check_end(p); /* [WS-CT-06] */
    }
    peer_free(p);
    return result;
}

void peer_expect_close(struct peer *p, int code)
{
    CHECK_INT(peer_end(p), code);
}

/* ---- MQTT ---- */

bool peer_send(struct peer *p, const void *data, size_t len)
{
    bool ok;

    if (!ws_protocol_is_websocket(p->protocol))
        return peer_write(p, data, len);
    if (p->zip == NULL)
        return peer_frame(p, FIN | OP_BINARY, data, len);
    if (!CHECK(zip_deflate(p->zip, data, len)))
        return false;
    ok = peer_frame(p, FIN | RSV1 | OP_BINARY, zip_output(p->zip), zip_output_len(p->zip));
    return ok;
}

uint8_t *packet_bytes(const struct mqtt_packet *packet, int version, size_t *out_len)
{
    size_t size = mqtt_encode_size(packet, version);
    uint8_t *out = malloc(size);

    CHECK(size > 0);
    mqtt_encode(packet, version, out, size);
    *out_len = size;
    return out;
}

bool peer_send_packet(struct peer *p, const struct mqtt_packet *packet)
{
    size_t len;
    uint8_t *data = packet_bytes(packet, p->version, &len);
    bool ok = peer_send(p, data, len);

    free(data);
    return ok;
}

static bool more_mqtt(struct peer *p)
{
    if (ws_protocol_is_websocket(p->protocol))
        return step(p);
    if (bytes_left(&p->raw) == 0 && !peer_receive(p))
        return false;
    bytes_put(&p->mqtt, p->raw.p + p->raw.at, bytes_left(&p->raw));
    p->raw.at = p->raw.len;
    return true;
}

bool peer_packet(struct peer *p)
{
    struct bytes *b = &p->mqtt;

    for (;;) {
        struct mqtt_frame f;
        const uint8_t *data = b->p + b->at;
        int rc = -EAGAIN;

        if (bytes_left(b) > 0)
            rc = mqtt_frame(data, bytes_left(b), p->version, MQTT_SERVER, UINT32_MAX, &f);
        if (rc == 0) {
            b->at += f.total;
            return CHECK_INT(mqtt_decode(&f, data, p->version, MQTT_SERVER, &p->packet), 0);
        }
        if (!CHECK_INT(rc, -EAGAIN) || !more_mqtt(p))
            return false;
    }
}

bool peer_expect(struct peer *p, enum mqtt_type type)
{
    return CHECK(peer_packet(p)) && CHECK_INT(p->packet.type, type);
}

void peer_expect_disconnect(struct peer *p, uint8_t reason, int code)
{
    if (peer_expect(p, MQTT_DISCONNECT))
        CHECK_INT(p->packet.reasoned.reason, reason); /* [MW-07] */
    if (ws_protocol_is_websocket(p->protocol))
        peer_expect_close(p, code);
    else
        peer_expect_eof(p);
}

struct mqtt_packet connect_packet(int version, const char *id)
{
    return (struct mqtt_packet){.type = MQTT_CONNECT,
                                .connect = {.version = (enum mqtt_version)version,
                                            .clean_start = true,
                                            .client_id = text_str(id)}};
}

bool peer_mqtt(struct peer *p, int version, const char *id)
{
    struct mqtt_packet c = connect_packet(version, id);

    p->version = version;
    return peer_send_packet(p, &c) && peer_expect(p, MQTT_CONNACK) &&
           CHECK_INT(p->packet.connack.reason, 0);
}

struct peer *peer_connect(const struct rig *r, const char *listener, int version, const char *id)
{
    struct peer *p = peer_dial(r, listener);

    if (ws_protocol_is_websocket(p->protocol))
        peer_upgrade(p);
    peer_mqtt(p, version, id);
    return p;
}

void peer_subscribe(struct peer *p, const char *filter, uint8_t qos)
{
    uint8_t entry[256];
    size_t n = mqtt_encode_filter(text_str(filter), false, qos, entry, sizeof entry);
    struct mqtt_packet s = {
        .type = MQTT_SUBSCRIBE,
        .subscribe = {.packet_id = 1, .filters = {entry, (uint32_t)n}, .count = 1}};

    peer_send_packet(p, &s);
    if (peer_expect(p, MQTT_SUBACK))
        CHECK_INT(p->packet.suback.reasons.p[0], qos);
}

bool peer_publish(struct peer *p, const char *topic, const void *payload, size_t len, uint8_t qos,
                  uint16_t packet_id)
{
    struct mqtt_packet m = {.type = MQTT_PUBLISH,
                            .publish = {.qos = qos,
                                        .packet_id = packet_id,
                                        .topic = text_str(topic),
                                        .payload = {payload, (uint32_t)len}}};

    return peer_send_packet(p, &m);
}

bool peer_ping(struct peer *p)
{
    struct mqtt_packet ping = {.type = MQTT_PINGREQ};

    return peer_send_packet(p, &ping) && peer_expect(p, MQTT_PINGRESP);
}

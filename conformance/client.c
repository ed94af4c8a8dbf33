/* client: bytes in and out. What the server sends goes through three stages, each with a buffer of
 * what is not complete yet: frames of WebSocket, packets of MQTT, and the inbox of the case. */
#include "conformance/client.h"

#include "conformance/clock.h"
#include "conformance/deflate.h"
#include "conformance/describe.h"
#include "mqtt/topic.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#define CHUNK 65536u

/* ---- buffers ---- */

static void buffer_put(struct arena *a, struct buffer *b, const void *data, size_t n)
{
    if (b->at == b->len)
        b->at = b->len = 0;
    if (n > b->cap - b->len) {
        size_t kept = b->len - b->at, cap = 2 * (kept + n) + 512;
        uint8_t *p = arena_alloc(a, cap);

        if (kept > 0)
            memcpy(p, b->p + b->at, kept);
        *b = (struct buffer){.p = p, .len = kept, .cap = cap};
    }
    if (n > 0)
        memcpy(b->p + b->len, data, n);
    b->len += n;
}

static size_t buffer_left(const struct buffer *b)
{
    return b->len - b->at;
}

/* ---- out ---- */

static void wait_writable(struct client *c)
{
    struct pollfd p = {.fd = link_fd(c->net), .events = POLLOUT};

    if (!c->deaf && !c->ended)
        p.events |= POLLIN;
    poll(&p, 1, 50);
}

/* A write that has to wait lets everyone read meanwhile; what that makes this client send joins the
 * queue. */
static void flush(struct client *c)
{
    struct scene *s = c->scene;
    uint64_t deadline = clock_us() + s->at.patience_us;

    if (c->flushing)
        return;
    c->flushing = true;
    while (buffer_left(&c->out) > 0 && !c->write_dead && c->net != NULL) {
        long n = link_write(c->net, c->out.p + c->out.at, buffer_left(&c->out));

        if (n > 0) {
            c->out.at += (size_t)n;
            deadline = clock_us() + s->at.patience_us;
        } else if (n != -EAGAIN) {
            c->write_dead = true;
        } else {
            if (clock_us() > deadline)
                scene_fail(s, NULL, "%s: the server has stopped reading", c->name);
            wait_writable(c);
            scene_poll(s, clock_us());
        }
    }
    c->out.at = c->out.len = 0;
    c->flushing = false;
    c->sent_us = clock_us();
}

void client_send_raw(struct client *c, struct mqtt_str bytes)
{
    if (c->net == NULL)
        return;
    buffer_put(&c->scene->arena, &c->out, bytes.p, bytes.len);
    flush(c);
}

static void send_ws_frame(struct client *c, struct ws_frame f, bool zero_mask)
{
    struct scene *s = c->scene;
    uint64_t random = scene_random(s);

    if (f.masked && !zero_mask)
        memcpy(f.mask, &random, sizeof f.mask);
    if (f.opcode == WS_CLOSE)
        c->ws_close_sent = true;
    if (f.opcode >= WS_CLOSE || f.opcode == WS_TEXT || !f.masked)
        scene_note(s, c, '>', "%s frame, %u bytes", ws_opcode_name(f.opcode), f.payload.len);
    client_send_raw(c, ws_build(&s->arena, &f));
}

/* By the hand of a case: the monitor does not know what is in it. */
void client_send_frame(struct client *c, struct ws_frame f, bool zero_mask)
{
    c->loose = c->loose || f.opcode < WS_CLOSE;
    send_ws_frame(c, f, zero_mask);
}

/* A piece of the MQTT stream. */
static void send_piece(struct client *c, struct mqtt_str piece)
{
    if (c->mode == CLIENT_FRAMES)
        send_ws_frame(c,
                      (struct ws_frame){.fin = true,
                                        .opcode = WS_BINARY,
                                        .masked = true,
                                        .length_bytes = 1,
                                        .payload = piece},
                      false);
    else
        client_send_raw(c, piece);
}

/* A filter that others' topics may match. */
static void look_at_filters(struct client *c, const struct mqtt_subscribe *sub)
{
    struct mqtt_str whole, share, filter;
    uint32_t at = 0;
    uint8_t options;

    while (mqtt_filters_next(sub, false, &at, &whole, &options))
        if (mqtt_share_parse(whole, &share, &filter) == 0 && !scene_owns(c->scene, filter))
            c->wild = true;
}

static void note_packet(struct client *c, const struct mqtt_packet *p)
{
    struct scene *s = c->scene;

    scene_note(s, c, '>', "%s", describe_packet(&s->arena, p, c->version));
    if (p->type == MQTT_SUBSCRIBE)
        look_at_filters(c, &p->subscribe);
    monitor_sent(c, p);
}

/* What is sent goes into the record as packets where it can be read as such. */
static void note_sent(struct client *c, struct mqtt_str bytes)
{
    while (bytes.len > 0) {
        struct mqtt_packet p;
        struct mqtt_frame f;
        int version = c->monitor.connect_sent ? c->version : 0;

        if (mqtt_frame(bytes.p, bytes.len, version, MQTT_CLIENT, UINT32_MAX, &f) != 0 ||
            mqtt_decode(&f, bytes.p, c->version, MQTT_CLIENT, &p) != 0) {
            c->loose = true;
            scene_note(c->scene, c, '>', "%s", describe_bytes(&c->scene->arena, bytes));
            return;
        }
        note_packet(c, &p);
        bytes = mqtt_str_part(bytes, f.total, bytes.len - f.total);
    }
}

void client_send(struct client *c, struct mqtt_str bytes)
{
    note_sent(c, bytes);
    send_piece(c, bytes);
}

void client_send_split(struct client *c, struct mqtt_str bytes, size_t piece)
{
    note_sent(c, bytes);
    scene_note(c->scene, c, '-', "in pieces of %zu bytes", piece);
    for (uint32_t at = 0; at < bytes.len; at += (uint32_t)piece) {
        uint32_t n = bytes.len - at < piece ? bytes.len - at : (uint32_t)piece;

        send_piece(c, mqtt_str_part(bytes, at, n));
        scene_poll(c->scene, clock_us() + 100);
    }
}

void client_send_packet(struct client *c, const struct mqtt_packet *p)
{
    size_t size = mqtt_encode_size(p, c->version);
    uint8_t *out = arena_alloc(&c->scene->arena, size);

    ASSERT(size > 0);
    client_send(c, (struct mqtt_str){out, (uint32_t)mqtt_encode(p, c->version, out, size)});
}

uint16_t client_next_id(struct client *c)
{
    c->last_id = c->last_id == UINT16_MAX ? 1 : (uint16_t)(c->last_id + 1);
    return c->last_id;
}

/* ---- in: MQTT ---- */

static void acknowledge(struct client *c, const struct mqtt_packet *p)
{
    struct mqtt_packet answer = {.type = MQTT_PUBACK};

    if (p->type == MQTT_PUBLISH && p->publish.qos == 0)
        return;
    if (p->type == MQTT_PUBLISH) {
        answer.type = p->publish.qos == 1 ? MQTT_PUBACK : MQTT_PUBREC;
        answer.ack.packet_id = p->publish.packet_id;
    } else {
        answer.type = MQTT_PUBCOMP;
        answer.ack.packet_id = p->ack.packet_id;
    }
    client_send_packet(c, &answer);
}

static struct mqtt_str resolve(struct client *c, const struct mqtt_publish *p)
{
    if (!MQTT_HAS(&p->props, topic_alias) || p->props.topic_alias >= ARRAY_LEN(c->aliases))
        return p->topic;
    if (p->topic.len > 0)
        c->aliases[p->props.topic_alias] = p->topic;
    return c->aliases[p->props.topic_alias];
}

/* What a case does not want to see: PUBRELs that are answered for it, messages of other scenes. */
static bool hidden(const struct client *c, const struct packet *p)
{
    if (p->as.type == MQTT_PUBREL)
        return !c->manual;
    return p->as.type == MQTT_PUBLISH && c->wild && !c->sees_all && !scene_owns(c->scene, p->topic);
}

static bool ends_delivery(const struct mqtt_packet *p)
{
    return p->type == MQTT_PUBACK || p->type == MQTT_PUBCOMP ||
           (p->type == MQTT_PUBREC && p->ack.reason >= 0x80);
}

static void on_packet(struct client *c, struct packet *p)
{
    struct mqtt_packet *as = &p->as;

    if (ends_delivery(as) && c->in_flight > 0)
        c->in_flight--;
    if (as->type == MQTT_PUBLISH)
        p->topic = resolve(c, &as->publish);
    if (!hidden(c, p))
        list_push_back(&c->inbox, &p->link);
    if (!c->manual && (as->type == MQTT_PUBLISH || as->type == MQTT_PUBREL))
        acknowledge(c, as); /* last: it may take in more */
}

/* A server that does not know 5.0 refuses in the form of 3.1.1. */
static int decode(const struct client *c, const struct mqtt_frame *f, struct packet *p)
{
    bool old_form = f->head >> 4 == MQTT_CONNACK && f->body_len == 2 && c->version == MQTT_V5;

    return mqtt_decode(f, p->bytes.p, old_form ? MQTT_V311 : c->version, MQTT_SERVER, &p->as);
}

static void note_received(struct client *c, const struct packet *p)
{
    struct scene *s = c->scene;

    if (p->rc == 0)
        scene_note(s, c, '<', "%s", describe_packet(&s->arena, &p->as, c->version));
    else
        scene_note(s, c, '<', "%s: malformed", describe_bytes(&s->arena, p->bytes));
}

static struct packet *new_packet(struct client *c, const uint8_t *data, size_t len)
{
    struct packet *p = arena_alloc(&c->scene->arena, sizeof *p);

    p->at_us = clock_us();
    p->bytes = arena_copy(&c->scene->arena, (struct mqtt_str){data, (uint32_t)len});
    list_init(&p->link);
    c->n_packets++;
    return p;
}

static void on_frame(struct client *c, const struct mqtt_frame *f, const uint8_t *data)
{
    struct packet *p = new_packet(c, data, f->total);

    p->rc = decode(c, f, p);
    note_received(c, p);
    monitor_received(c, f, p);
    if (p->rc == 0)
        on_packet(c, p);
    else
        list_push_back(&c->inbox, &p->link);
}

static void on_garbage(struct client *c, int rc)
{
    struct packet *p = new_packet(c, c->in.p + c->in.at, buffer_left(&c->in));

    p->rc = rc;
    c->broken = true;
    note_received(c, p);
    monitor_broken_frame(c, p->bytes.p, p->bytes.len, rc);
    list_push_back(&c->inbox, &p->link);
}

static void take_packets(struct client *c)
{
    while (buffer_left(&c->in) > 0 && !c->broken) {
        const uint8_t *data = c->in.p + c->in.at;
        struct mqtt_frame f;
        int rc = mqtt_frame(data, buffer_left(&c->in), c->version, MQTT_SERVER, UINT32_MAX, &f);

        if (rc == -EAGAIN)
            return;
        if (rc != 0) {
            on_garbage(c, rc);
            return;
        }
        c->in.at += f.total; /* before it is acted on: that may lead back here */
        on_frame(c, &f, data);
    }
}

static void take_mqtt(struct client *c, struct mqtt_str data)
{
    buffer_put(&c->scene->arena, &c->in, data.p, data.len);
    take_packets(c);
}

/* ---- in: WebSocket ---- */

static void answer_control(struct client *c, const struct ws_frame *f)
{
    struct ws_frame answer = {
        .fin = true, .masked = true, .length_bytes = 1, .payload = f->payload};

    if (f->opcode == WS_CLOSE) {
        c->ws_close_got = true;
        c->ws_close_code = (uint16_t)ws_close_code(f->payload);
    }
    if (c->manual_ws)
        return;
    if (f->opcode == WS_PING) {
        answer.opcode = WS_PONG;
        send_ws_frame(c, answer, false);
    } else if (f->opcode == WS_CLOSE && !c->ws_close_sent) {
        answer.opcode = WS_CLOSE;
        answer.payload.len = f->payload.len < 2 ? 0 : 2;
        send_ws_frame(c, answer, false);
    }
}

static void note_frame(struct client *c, const struct ws_frame *f)
{
    struct scene *s = c->scene;

    if (f->opcode == WS_CLOSE)
        scene_note(
            s, c, '<', "Close frame, code %u %s", ws_close_code(f->payload),
            f->payload.len < 2
                ? ""
                : describe_text(&s->arena, mqtt_str_part(f->payload, 2, f->payload.len - 2)));
    else if (f->opcode != WS_BINARY && f->opcode != WS_CONTINUATION)
        scene_note(s, c, '<', "%s frame, %u bytes", ws_opcode_name(f->opcode), f->payload.len);
}

static void on_data_frame(struct client *c, const struct ws_frame *f)
{
    struct mqtt_str data = f->payload;

    if (f->opcode != WS_CONTINUATION)
        c->compressing = (f->rsv & 4) != 0;
    if (c->compressing && c->deflate != NULL) {
        data = deflate_inflate(c->deflate, &c->scene->arena, data, f->fin);
        if (data.p == NULL) {
            c->bad_deflate = true;
            return;
        }
    }
    take_mqtt(c, data);
}

static void on_ws_frame(struct client *c, struct ws_frame *parsed)
{
    struct frame *f = arena_alloc(&c->scene->arena, sizeof *f);

    f->ws = *parsed;
    f->ws.payload = arena_copy(&c->scene->arena, parsed->payload);
    if (f->ws.masked)
        ws_mask((uint8_t *)(uintptr_t)f->ws.payload.p, f->ws.payload.len, f->ws.mask);
    f->at_us = clock_us();
    f->packets_before = c->n_packets;
    list_push_back(&c->frames, &f->link);
    note_frame(c, &f->ws);
    monitor_ws_frame(c, &f->ws);
    if (f->ws.opcode >= WS_CLOSE)
        answer_control(c, &f->ws);
    else
        on_data_frame(c, &f->ws);
}

static void take_frames(struct client *c)
{
    struct ws_frame f;
    size_t n;

    while ((n = ws_parse(c->ws_in.p + c->ws_in.at, buffer_left(&c->ws_in), &f)) > 0) {
        c->ws_in.at += n;
        on_ws_frame(c, &f);
    }
}

/* ---- in: bytes ---- */

static void on_end(struct client *c, long n)
{
    c->ended = true;
    c->ended_us = clock_us();
    c->clean_end = n == 0 && link_closed_cleanly(c->net);
    scene_note(c->scene, c, '-', "the server has closed the connection%s",
               n == 0 ? "" : " with a reset");
}

void client_read(struct client *c)
{
    static _Thread_local uint8_t chunk[CHUNK];

    while (!c->ended && c->net != NULL) {
        long n = link_read(c->net, chunk, sizeof chunk);

        if (n == -EAGAIN)
            return;
        if (n <= 0) {
            on_end(c, n);
            return;
        }
        c->heard_us = clock_us();
        if (c->mode == CLIENT_STREAM) {
            take_mqtt(c, (struct mqtt_str){chunk, (uint32_t)n});
        } else {
            buffer_put(&c->scene->arena, &c->ws_in, chunk, (size_t)n);
            if (c->mode == CLIENT_FRAMES)
                take_frames(c);
        }
    }
}

/* ---- opening and closing ---- */

static struct client *new_client(struct scene *s, const struct target *t, struct link *net)
{
    struct client *c = arena_alloc(&s->arena, sizeof *c);

    c->scene = s;
    c->target = t;
    c->net = net;
    c->version = s->version;
    c->mode = t->websocket ? CLIENT_HTTP : CLIENT_STREAM;
    snprintf(c->name, sizeof c->name, "c%u", ++s->n_connections);
    list_init(&c->inbox);
    list_init(&c->frames);
    list_push_back(&s->clients, &c->link);
    scene_note(s, c, '-', "connects to %s", t->name);
    return c;
}

static struct client *try_open_raw(struct scene *s, const struct target *t, const char **out_error)
{
    char error[256];
    struct link *net;

    if (t == NULL)
        t = s->at.target;
    net = link_open(t, clock_us() + s->at.patience_us, error, sizeof error);
    if (net == NULL) {
        *out_error = arena_printf(&s->arena, "%s", error);
        return NULL;
    }
    return new_client(s, t, net);
}

const char *client_upgrade_request(struct client *c, const char *protocols, const char *more,
                                   const char **out_key)
{
    struct arena *a = &c->scene->arena;
    const struct target *t = c->target;
    uint64_t random[2] = {scene_random(c->scene), scene_random(c->scene)};
    bool v6 = strchr(t->host, ':') != NULL;

    *out_key = ws_key(a, (const uint8_t *)random);
    return arena_printf(
        a,
        "GET %s HTTP/1.1\r\nHost: %s%s%s:%s\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
        "Sec-WebSocket-Version: 13\r\n%s%s%s%s%s\r\n",
        t->path, v6 ? "[" : "", t->host, v6 ? "]" : "", t->port, *out_key,
        protocols == NULL ? "" : "Sec-WebSocket-Protocol: ", protocols == NULL ? "" : protocols,
        protocols == NULL ? "" : "\r\n", t->headers, more);
}

bool client_upgrade(struct client *c, const char *request)
{
    struct scene *s = c->scene;
    uint64_t deadline = clock_us() + s->at.patience_us;

    client_send_raw(c, (struct mqtt_str){(const uint8_t *)request, (uint32_t)strlen(request)});
    while (!ws_parse_response(&s->arena, c->ws_in.p + c->ws_in.at, buffer_left(&c->ws_in),
                              &c->upgrade)) {
        if (c->ended || !scene_poll(s, deadline))
            return false;
    }
    c->ws_in.at += c->upgrade.size;
    if (c->upgrade.status != 101)
        return false;
    c->mode = CLIENT_FRAMES;
    take_frames(c);
    return true;
}

static const char *first_line(struct arena *a, const char *head)
{
    return arena_printf(a, "%.*s", (int)strcspn(head, "\r\n"), head);
}

struct client *client_try_open(struct scene *s, const struct target *t, const char **out_error)
{
    struct client *c = try_open_raw(s, t, out_error);
    const char *key;

    if (c == NULL || !c->target->websocket)
        return c;
    if (client_upgrade(c, client_upgrade_request(
                              c, s->version == MQTT_V31 ? "mqtt, mqttv3.1" : "mqtt", "", &key)))
        return c;
    *out_error =
        arena_printf(&s->arena, "the WebSocket upgrade was answered with %s",
                     c->upgrade.status == 0 ? "nothing" : first_line(&s->arena, c->upgrade.head));
    return NULL;
}

struct client *client_open(struct scene *s, const struct target *t)
{
    const char *error = "";
    struct client *c = client_try_open(s, t, &error);

    if (c == NULL)
        scene_fail(s, NULL, "%s", error);
    return c;
}

struct client *client_open_raw(struct scene *s, const struct target *t)
{
    const char *error = "";
    struct client *c = try_open_raw(s, t, &error);

    if (c == NULL)
        scene_fail(s, NULL, "%s", error);
    return c;
}

void client_close(struct client *c, bool reset)
{
    if (c->net != NULL && !c->ended)
        scene_note(c->scene, c, '-', reset ? "resets the connection" : "closes the connection");
    link_close(&c->net, reset);
    deflate_free(&c->deflate);
}

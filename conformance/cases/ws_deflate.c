/* ws_deflate: permessage-deflate, where the server offers it.                        [RFC 7692] */
#include "conformance/cases/chapters.h"
#include "conformance/deflate.h"

/* ---- offers ---- */

/* A connection that offers this; what was accepted is in *out. NULL: nothing was. */
static struct client *offer(struct scene *s, const char *offers, const char **out)
{
    struct client *c = client_open_raw(s, NULL);
    const char *key;
    bool upgraded = client_upgrade(
        c,
        client_upgrade_request(
            c, "mqtt", arena_printf(&s->arena, "Sec-WebSocket-Extensions: %s\r\n", offers), &key));

    *out = upgraded ? ws_header(&s->arena, &c->upgrade, "Sec-WebSocket-Extensions", 0) : NULL;
    return *out == NULL ? NULL : c;
}

/* The same with the terms agreed on, ready to be used. */
static struct client *agree(struct scene *s, const char *offers, struct deflate_terms *out)
{
    const char *accepted, *wrong;
    struct client *c = offer(s, offers, &accepted);

    NEED(s, c != NULL, "the server does not accept %s", offers);
    wrong = deflate_parse(&s->arena, accepted, out);
    MUST_BY(s, "PD-03", wrong == NULL, "the answer is %s: %s", accepted, wrong);
    c->deflate = deflate_new(out);
    ASSERT(c->deflate != NULL);
    return c;
}

/* A compressed message: RSV1 on its first frame. */
static void send_compressed(struct client *c, struct mqtt_str data, enum deflate_style style,
                            uint32_t cut)
{
    struct mqtt_str packed = deflate_compress(c->deflate, &c->scene->arena, data, style);

    for (uint32_t at = 0; at < packed.len || at == 0; at += cut) {
        uint32_t n = packed.len - at < cut ? packed.len - at : cut;

        client_send_frame(c,
                          (struct ws_frame){.fin = at + n == packed.len,
                                            .rsv = at == 0 ? 4 : 0,
                                            .opcode = at == 0 ? WS_BINARY : WS_CONTINUATION,
                                            .masked = true,
                                            .length_bytes = 1,
                                            .payload = mqtt_str_part(packed, at, n)},
                          false);
    }
}

static void must_inflate(struct client *c)
{
    MUST(c->scene, !c->bad_deflate, "%s: what the server sends does not inflate", c->name);
}

/* CONNECT in a compressed message, and the answer. */
static struct client *connect_compressed(struct scene *s, const char *offers,
                                         struct deflate_terms *out)
{
    struct client *c = agree(s, offers, out);

    send_compressed(c, HAND_CONNECT(s, .name = NULL), DEFLATE_USUAL, UINT32_MAX);
    client_take(c, MQTT_CONNACK, NULL);
    must_inflate(c);
    return c;
}

#define USUAL "permessage-deflate"

/* Subscribe it to a topic of its own and let it get a message of some length. */
static void use_it(struct client *c)
{
    struct scene *s = c->scene;
    const char *topic = scene_topic(s, "t"), *payload = payload_of(s, 3000);

    send_compressed(c, wire_compose(&s->arena, "82 # 0001 %s <%s> 00", no_props(s), topic),
                    DEFLATE_USUAL, UINT32_MAX);
    client_take(c, MQTT_SUBACK, NULL);
    for (unsigned i = 0; i < 3; i++) {
        send_compressed(c,
                        wire_compose(&s->arena, "30 # <%s> %s [%s]", topic, no_props(s), payload),
                        DEFLATE_USUAL, UINT32_MAX);
        expect(c, topic, payload);
        must_inflate(c);
    }
}

/* Not accepting is right, too: then all goes on uncompressed. */
static void offered(struct scene *s)
{
    struct client *c = client_open_raw(s, NULL);
    const char *key;

    MUST(s,
         client_upgrade(
             c, client_upgrade_request(c, "mqtt", "Sec-WebSocket-Extensions: " USUAL "\r\n", &key)),
         "a handshake that offers compression is refused: status %u", c->upgrade.status);
    client_send(c, HAND_CONNECT(s, .name = NULL));
    if (ws_header(&s->arena, &c->upgrade, "Sec-WebSocket-Extensions", 0) == NULL)
        client_take(c, MQTT_CONNACK, NULL);
}

static void declined(struct scene *s)
{
    static const char *const offers[] = {
        USUAL "; foo",
        USUAL "; server_max_window_bits=7",
        USUAL "; server_max_window_bits=16",
        USUAL "; server_max_window_bits=08",
        USUAL "; server_max_window_bits",
        USUAL "; client_max_window_bits=7",
        USUAL "; server_no_context_takeover=1",
        USUAL "; server_no_context_takeover; server_no_context_takeover",
    };
    struct deflate_terms terms;
    const char *accepted;

    agree(s, USUAL, &terms);
    for (size_t i = 0; i < ARRAY_LEN(offers); i++)
        MUST(s, offer(s, offers[i], &accepted) == NULL, "the offer %s is accepted as %s", offers[i],
             accepted);
}

static void answered(struct scene *s)
{
    struct deflate_terms terms;

    use_it(connect_compressed(s, USUAL, &terms));
    use_it(connect_compressed(s, USUAL "; client_max_window_bits", &terms));
}

static void server_no_context(struct scene *s)
{
    struct deflate_terms terms;
    struct client *c = connect_compressed(s, USUAL "; server_no_context_takeover", &terms);

    MUST(s, terms.server_no_context, "server_no_context_takeover is accepted, and not answered");
    use_it(c);
}

/* The second message refers to the first, where that is agreed on. */
static void client_context(struct scene *s)
{
    struct deflate_terms terms;
    struct client *c = connect_compressed(s, USUAL, &terms);

    NEED(s, !terms.client_no_context, "the server wants each message by itself");
    use_it(c);
}

static void server_window(struct scene *s)
{
    struct deflate_terms terms;
    struct client *c = connect_compressed(s, USUAL "; server_max_window_bits=9", &terms);

    MUST(s, terms.server_bits <= 9, "a window of 9 bits was asked for, the answer is %u",
         terms.server_bits);
    use_it(c);
}

static void client_window(struct scene *s)
{
    struct deflate_terms terms;
    const char *accepted;
    struct client *c = offer(s, USUAL, &accepted);

    NEED(s, c != NULL, "the server does not accept %s", USUAL);
    MUST(s, strstr(accepted, "client_max_window_bits") == NULL,
         "client_max_window_bits was not offered: %s", accepted);
    c = connect_compressed(s, USUAL "; client_max_window_bits=10", &terms);
    MUST(s,
         strstr(ws_header(&s->arena, &c->upgrade, "Sec-WebSocket-Extensions", 0),
                "client_max_window_bits") == NULL ||
             terms.client_bits <= 10,
         "a window of 10 bits was offered, the answer is %u", terms.client_bits);
    use_it(c);
}

/* ---- data ---- */

static void expect_end(struct client *c)
{
    MUST(c->scene, client_await_end(c, clock_us() + c->scene->at.patience_us),
         "%s: the connection is still open", c->name);
}

static void wrong_rsv1(struct scene *s)
{
    struct deflate_terms terms;
    struct client *c = connect_compressed(s, USUAL, &terms);
    struct ws_frame f = {
        .fin = true, .rsv = 4, .opcode = WS_PING, .masked = true, .length_bytes = 1};

    client_send_frame(c, f, false);
    expect_end(c);
    c = connect_compressed(s, USUAL, &terms);
    f.opcode = WS_BINARY;
    f.fin = false;
    f.payload =
        deflate_compress(c->deflate, &s->arena, wire_compose(&s->arena, "c0 00"), DEFLATE_USUAL);
    client_send_frame(c, f, false);
    f.opcode = WS_CONTINUATION;
    f.fin = true;
    client_send_frame(c, f, false);
    expect_end(c);
}

static void mixed(struct scene *s)
{
    struct deflate_terms terms;
    struct client *c = connect_compressed(s, USUAL, &terms);

    for (unsigned i = 0; i < 3; i++) {
        ping(c);
        send_compressed(c, wire_compose(&s->arena, "c0 00"), DEFLATE_USUAL, UINT32_MAX);
        client_take(c, MQTT_PINGRESP, NULL);
    }
    must_inflate(c);
}

static void empty_message(struct scene *s)
{
    struct deflate_terms terms;
    struct client *c = connect_compressed(s, USUAL, &terms);
    struct ws_frame f = {.fin = true,
                         .rsv = 4,
                         .opcode = WS_BINARY,
                         .masked = true,
                         .length_bytes = 1,
                         .payload = wire_compose(&s->arena, "00")};

    client_send_frame(c, f, false);
    use_it(c);
}

static void every_block(struct scene *s)
{
    static const enum deflate_style styles[] = {DEFLATE_STORED, DEFLATE_FIXED, DEFLATE_USUAL,
                                                DEFLATE_BLOCKS, DEFLATE_FINAL};
    const char *topic = scene_topic(s, "t"), *payload = payload_of(s, 500);
    struct deflate_terms terms;

    for (size_t i = 0; i < ARRAY_LEN(styles); i++) {
        struct client *c = connect_compressed(s, USUAL, &terms);
        struct mqtt_str packets =
            wire_compose(&s->arena, "82 # 0001 %s <%s> 00 ; 30 # <%s> %s [%s]", no_props(s), topic,
                         topic, no_props(s), payload);

        send_compressed(c, packets, styles[i], UINT32_MAX);
        expect(c, topic, payload);
        leave(c);
    }
}

static void in_fragments(struct scene *s)
{
    const char *topic = scene_topic(s, "t"), *payload = payload_of(s, 500);
    struct deflate_terms terms;
    struct client *c = connect_compressed(s, USUAL, &terms);

    send_compressed(c, wire_compose(&s->arena, "82 # 0001 %s <%s> 00", no_props(s), topic),
                    DEFLATE_USUAL, 1);
    client_take(c, MQTT_SUBACK, NULL);
    send_compressed(c, wire_compose(&s->arena, "30 # <%s> %s [%s]", topic, no_props(s), payload),
                    DEFLATE_USUAL, 7);
    expect(c, topic, payload);
}

static void not_deflate(struct scene *s)
{
    struct deflate_terms terms;
    struct client *c = connect_compressed(s, USUAL, &terms);

    client_send_frame(c,
                      (struct ws_frame){.fin = true,
                                        .rsv = 4,
                                        .opcode = WS_BINARY,
                                        .masked = true,
                                        .length_bytes = 1,
                                        .payload = wire_compose(&s->arena, "ff ff ff ff ff ff")},
                      false);
    expect_end(c);
}

/* Some kilobytes that become 64 MiB of PINGREQ-sized nothing: a PUBLISH that never ends. */
static void bomb(struct scene *s)
{
    struct deflate_terms terms;
    struct client *c = connect_compressed(s, USUAL, &terms), *other = join(s);
    uint32_t size = 64u << 20;
    uint8_t *zeros = arena_alloc(&s->arena, size);

    memcpy(zeros, "\x30\xff\xff\xff\x7f\0\1a", 8);
    send_compressed(c, (struct mqtt_str){zeros, size}, DEFLATE_USUAL, UINT32_MAX);
    ping(other);
    SHOULD(s, client_await_end(c, clock_us() + s->at.patience_us),
           "%s: the connection is open after 64 MiB in one packet", c->name);
    ping(other);
}

/* clang-format off */
#define WS (ONLY_WEBSOCKET | ONCE)
CHAPTER(ws_deflate, "WebSocket: compression",
    {"deflate_offered",       offered,           "PD-01", NULL, NULL, WS},
    {"deflate_declined",      declined,          "PD-02", NULL, NULL, WS},
    {"deflate_answered",      answered,          "PD-03", NULL, NULL, WS},
    {"deflate_server_context", server_no_context, "PD-04", NULL, NULL, WS},
    {"deflate_client_context", client_context,   "PD-05", NULL, NULL, WS},
    {"deflate_server_window", server_window,     "PD-06", NULL, NULL, WS},
    {"deflate_client_window", client_window,     "PD-07", NULL, NULL, WS},
    {"deflate_rsv1",          wrong_rsv1,        "PD-08", NULL, NULL, WS},
    {"deflate_mixed",         mixed,             "PD-09", NULL, NULL, WS},
    {"deflate_empty",         empty_message,     "PD-10", NULL, NULL, WS},
    {"deflate_blocks",        every_block,       "PD-11", NULL, NULL, WS},
    {"deflate_fragments",     in_fragments,      "PD-11", NULL, NULL, WS},
    {"deflate_garbage",       not_deflate,       "PD-12", NULL, NULL, WS},
    {"deflate_bomb",          bomb,              "PD-13", NULL, NULL, WS},
);
/* clang-format on */

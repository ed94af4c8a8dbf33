/* ws_frames: frames, fragments and control frames of WebSocket.       [RFC 6455 5, 7] */
#include "conformance/cases/chapters.h"

/* ---- sending ---- */

static struct ws_frame frame_of(unsigned opcode, struct mqtt_str payload)
{
    return (struct ws_frame){.fin = true,
                             .opcode = (uint8_t)opcode,
                             .masked = true,
                             .length_bytes = 1,
                             .payload = payload};
}

static void send_frame(struct client *c, unsigned opcode, struct mqtt_str payload)
{
    client_send_frame(c, frame_of(opcode, payload), false);
}

/* A part of a message. */
static void send_part(struct client *c, unsigned opcode, struct mqtt_str payload, bool fin)
{
    struct ws_frame f = frame_of(opcode, payload);

    f.fin = fin;
    client_send_frame(c, f, false);
}

static struct mqtt_str a_connect(struct scene *s)
{
    return HAND_CONNECT(s, .name = NULL);
}

/* A PUBLISH of QoS 0, as bytes. */
static struct mqtt_str a_publish(struct scene *s, const char *topic, const char *payload)
{
    return wire_compose(&s->arena, "30 # <%s> %s [%s]", topic, no_props(s), payload);
}

static struct mqtt_str bytes(struct scene *s, const char *hex)
{
    return wire_compose(&s->arena, "%s", hex);
}

/* ---- the end ---- */

/* The server fails the connection; it should say so by a Close with one of two codes. */
static void expect_failure(struct client *c, unsigned code, unsigned or_code)
{
    struct scene *s = c->scene;

    MUST(s, client_await_end(c, clock_us() + s->at.patience_us), "%s: the connection is still open",
         c->name);
    SHOULD(s,
           !c->ws_close_got || c->ws_close_code == code || c->ws_close_code == or_code ||
               c->ws_close_code == 1005,
           "%s: Close with %u, expected %u", c->name, c->ws_close_code, code);
}

static void expect_no_answer(struct client *c)
{
    struct packet *p = client_find(c, MQTT_CONNACK);

    MUST(c->scene, p == NULL, "%s: what came in a wrong frame was processed", c->name);
}

/* ---- masks ---- */

static void unmasked(struct scene *s)
{
    struct client *c = client_open(s, NULL);
    struct ws_frame f = frame_of(WS_BINARY, a_connect(s));

    f.masked = false;
    client_send_frame(c, f, false);
    expect_failure(c, 1002, 1002);
    expect_no_answer(c);
}

static void any_mask(struct scene *s)
{
    struct client *c = client_open(s, NULL);
    struct mqtt_str connect = a_connect(s);
    struct ws_frame f = frame_of(WS_BINARY, connect);

    client_send_frame(c, f, true); /* 0 0 0 0 */
    client_take(c, MQTT_CONNACK, NULL);
    for (unsigned i = 0; i < 5; i++)
        ping(c); /* each frame has its own */
    c = client_open(s, NULL);
    send_part(c, WS_BINARY, mqtt_str_part(connect, 0, 3), false);
    send_part(c, WS_CONTINUATION, mqtt_str_part(connect, 3, 6), false);
    send_part(c, WS_CONTINUATION, mqtt_str_part(connect, 9, connect.len - 9), true);
    client_take(c, MQTT_CONNACK, NULL);
}

/* ---- headers ---- */

static void reserved_bits(struct scene *s)
{
    for (uint8_t rsv = 1; rsv <= 4; rsv = (uint8_t)(rsv * 2)) {
        struct client *c = client_open(s, NULL);
        struct ws_frame f = frame_of(WS_BINARY, a_connect(s));

        f.rsv = rsv;
        client_send_frame(c, f, false);
        expect_failure(c, 1002, 1007);
        expect_no_answer(c);
    }
}

static void unknown_opcodes(struct scene *s)
{
    static const unsigned opcodes[] = {3, 7, 11, 15};

    for (size_t i = 0; i < ARRAY_LEN(opcodes); i++) {
        struct client *c = client_open(s, NULL);

        send_frame(c, opcodes[i], a_connect(s));
        expect_failure(c, 1002, 1003);
        expect_no_answer(c);
    }
}

/* Frames with so many bytes of payload from the client: a PUBLISH is made to fit. */
static void lengths_received(struct scene *s)
{
    static const uint32_t sizes[] = {1, 125, 126, 65535, 65536};
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = join(s);

    subscribe(b, topic, 0);
    send_frame(a, WS_BINARY, bytes(s, ""));
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct mqtt_str packet;
        const char *payload = "x";

        if (sizes[i] > s->at.features->maximum_packet_size)
            continue;
        if (sizes[i] > 1)
            for (uint32_t n = sizes[i] - 8 - (uint32_t)strlen(topic);; n++) {
                payload = payload_of(s, n);
                if (a_publish(s, topic, payload).len >= sizes[i])
                    break;
            }
        packet = a_publish(s, topic, payload);
        if (sizes[i] == 1)
            client_send_split(a, packet, 1);
        else
            send_frame(a, WS_BINARY, packet);
        expect(b, topic, payload);
    }
}

/* The server's frames at the edges of the forms of the length; the monitor looks at them. */
static void lengths_sent(struct scene *s)
{
    static const uint32_t sizes[] = {125, 126, 127, 65535, 65536, 65537};
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = join(s);

    subscribe(b, topic, 0);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        const char *payload = payload_of(s, sizes[i] - 8 - (uint32_t)strlen(topic));

        if (sizes[i] + 20 > s->at.features->maximum_packet_size)
            continue;
        for (unsigned j = 0; j < 4; j++, payload++) {
            publish(a, topic, payload, 0, 0);
            expect(b, topic, payload);
        }
    }
}

static void length_with_top_bit(struct scene *s)
{
    struct client *c = join(s), *other = join(s);
    struct ws_frame f = frame_of(WS_BINARY, bytes(s, "c0 00"));

    f.length_bytes = 8;
    f.announced = UINT64_C(0x8000000000000002);
    client_send_frame(c, f, false);
    expect_failure(c, 1002, 1009);
    ping(other);
}

/* Either reaction is right; the server lives. */
static void longer_form(struct scene *s)
{
    struct client *c = join(s), *other = join(s);
    struct ws_frame f = frame_of(WS_BINARY, bytes(s, "c0 00"));

    f.length_bytes = 2;
    client_send_frame(c, f, false);
    while (client_find(c, MQTT_PINGRESP) == NULL && !c->ended)
        MUST(s, scene_poll(s, clock_us() + s->at.patience_us),
             "a length in a longer form than needed is neither processed nor refused");
    ping(other);
}

/* A frame that claims to be enormous. A server that takes frames as streams may let it begin. Our
 * answer to its Close is part of that frame, so that it may have to wait for a time before it ends
 * the connection. */
static void enormous_frame(struct scene *s)
{
    struct client *c = join(s), *other = join(s);
    struct ws_frame f = frame_of(WS_BINARY, bytes(s, "c0 00"));

    f.length_bytes = 8;
    f.announced = 1u << 30;
    client_send_frame(c, f, false);
    ping(other);
    client_take_frame(c, WS_CLOSE);
    SHOULD(s, c->ended || c->ws_close_got, "a frame of 1 GiB is begun without an objection");
    SHOULD(s, !c->ws_close_got || c->ws_close_code == 1009 || c->ws_close_code == 1002,
           "Close with %u, expected 1009", c->ws_close_code);
    ping(other);
}

static void header_in_pieces(struct scene *s)
{
    struct client *c = client_open(s, NULL);
    struct mqtt_str connect = ws_build(&s->arena, &(struct ws_frame){.fin = true,
                                                                     .opcode = WS_BINARY,
                                                                     .masked = true,
                                                                     .length_bytes = 1,
                                                                     .mask = {1, 2, 3, 4},
                                                                     .payload = a_connect(s)});
    struct mqtt_str pings = {NULL, 0};

    for (uint32_t i = 0; i < connect.len; i++) {
        client_send_raw(c, mqtt_str_part(connect, i, 1));
        if (i < 16)
            scene_poll(s, clock_us() + 100);
    }
    client_take(c, MQTT_CONNACK, NULL);
    for (unsigned i = 0; i < 3; i++)
        pings = both(s, pings,
                     ws_build(&s->arena, &(struct ws_frame){.fin = true,
                                                            .opcode = WS_BINARY,
                                                            .masked = true,
                                                            .length_bytes = 1,
                                                            .mask = {9, 8, 7, 6},
                                                            .payload = bytes(s, "c0 00")}));
    client_send_raw(c, pings); /* in one segment */
    for (unsigned i = 0; i < 3; i++)
        client_take(c, MQTT_PINGRESP, NULL);
}

/* ---- fragments ---- */

static void fragments(struct scene *s)
{
    struct client *c = client_open(s, NULL);
    struct mqtt_str connect = a_connect(s), nothing = {connect.p, 0};

    send_part(c, WS_BINARY, mqtt_str_part(connect, 0, 5), false);
    send_part(c, WS_CONTINUATION, nothing, false);
    send_part(c, WS_CONTINUATION, mqtt_str_part(connect, 5, 7), false);
    send_part(c, WS_CONTINUATION, mqtt_str_part(connect, 12, connect.len - 12), false);
    send_part(c, WS_CONTINUATION, nothing, true);
    client_take(c, MQTT_CONNACK, NULL);
}

static void control_between(struct scene *s)
{
    struct client *c = client_open(s, NULL);
    struct mqtt_str connect = a_connect(s);
    struct frame *pong;

    send_part(c, WS_BINARY, mqtt_str_part(connect, 0, 5), false);
    send_frame(c, WS_PING, bytes(s, "01 02 03"));
    pong = client_take_frame(c, WS_PONG);
    MUST(s, pong != NULL && pong->ws.payload.len == 3, "a Ping between fragments is not answered");
    send_part(c, WS_CONTINUATION, mqtt_str_part(connect, 5, 3), false);
    send_frame(c, WS_PONG, bytes(s, ""));
    send_part(c, WS_CONTINUATION, mqtt_str_part(connect, 8, connect.len - 8), true);
    client_take(c, MQTT_CONNACK, NULL);
}

static void continuation_alone(struct scene *s)
{
    struct client *c = client_open(s, NULL);

    send_frame(c, WS_CONTINUATION, a_connect(s));
    expect_failure(c, 1002, 1002);
    expect_no_answer(c);
}

static void message_in_message(struct scene *s)
{
    struct client *c = join(s);

    send_part(c, WS_BINARY, bytes(s, "c0"), false);
    send_part(c, WS_BINARY, bytes(s, "00"), true);
    expect_failure(c, 1002, 1002);
    MUST(s, client_find(c, MQTT_PINGRESP) == NULL, "%s: a wrong frame was processed", c->name);
}

/* A whole packet in a message that is not complete. */
static void packet_in_part(struct scene *s)
{
    struct client *c = join(s);

    send_part(c, WS_BINARY, bytes(s, "c0 00"), false);
    send_part(c, WS_CONTINUATION, bytes(s, "c0 00"), true);
    client_take(c, MQTT_PINGRESP, NULL);
    client_take(c, MQTT_PINGRESP, NULL);
}

/* ---- control frames ---- */

static void control_too_long(struct scene *s)
{
    struct client *c = join(s);
    struct ws_frame f = frame_of(WS_PING, text(payload_of(s, 126)));

    client_send_frame(c, f, false);
    expect_failure(c, 1002, 1002);
}

static void control_fragmented(struct scene *s)
{
    struct client *c = join(s);

    send_part(c, WS_PING, bytes(s, "01"), false);
    expect_failure(c, 1002, 1002);
}

static void check_pong(struct client *c, struct mqtt_str data)
{
    struct frame *pong;

    send_frame(c, WS_PING, data);
    pong = client_take_frame(c, WS_PONG);
    MUST(c->scene, pong != NULL, "%s: a Ping of %u bytes is not answered", c->name, data.len);
    MUST(c->scene, mqtt_str_eq(pong->ws.payload, data), "%s: the Pong has other data than its Ping",
         c->name);
}

static void ping_and_pong(struct scene *s)
{
    struct client *before = client_open(s, NULL), *after = join(s);
    const struct mqtt_str data[] = {bytes(s, ""), bytes(s, "00 ff 80 0a 00"),
                                    text(payload_of(s, 125))};

    for (size_t i = 0; i < ARRAY_LEN(data); i++) {
        check_pong(before, data[i]);
        check_pong(after, data[i]);
    }
    client_send(before, a_connect(s));
    client_take(before, MQTT_CONNACK, NULL);
}

static void pong_unasked(struct scene *s)
{
    struct client *c = join(s);

    send_frame(c, WS_PONG, bytes(s, "01 02"));
    send_frame(c, WS_PONG, bytes(s, ""));
    ping(c);
    MUST(s, client_find(c, 0) == NULL, "a Pong is answered");
    LIST_EACH (at, &c->frames)
        MUST(s, LIST_ITEM(at, struct frame, link)->ws.opcode < WS_CLOSE, "a Pong is answered");
}

/* ---- closing ---- */

static struct mqtt_str close_body(struct scene *s, unsigned code, const char *reason)
{
    return wire_compose(&s->arena, "%04x [%s]", code, reason);
}

static void closed(struct scene *s)
{
    struct client *c = join(s);
    struct frame *f;

    send_frame(c, WS_CLOSE, close_body(s, 1000, "bye"));
    f = client_take_frame(c, WS_CLOSE);
    MUST_BY(s, "WS-CT-05", f != NULL, "Close is not answered with Close");
    SHOULD(s, ws_close_code(f->ws.payload) == 1000 || ws_close_code(f->ws.payload) == 1005,
           "Close 1000 is answered with %u", ws_close_code(f->ws.payload));
    MUST_BY(s, "WS-CT-06", client_await_end(c, clock_us() + s->at.patience_us),
            "the connection is open after both Close frames");
    if (!c->clean_end)
        scene_warn(s, "WS-CT-12", "%s: the end is not in order", c->name);
}

static void close_without_body(struct scene *s)
{
    struct client *c = join(s);

    send_frame(c, WS_CLOSE, bytes(s, ""));
    MUST(s, client_take_frame(c, WS_CLOSE) != NULL, "Close without a body is not answered");
    c = join(s);
    send_frame(c, WS_CLOSE, bytes(s, "03"));
    expect_failure(c, 1002, 1002);
}

static void close_codes(struct scene *s)
{
    static const unsigned codes[] = {0, 999, 1004, 1005, 1006, 1015, 2999, 5000};

    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        struct client *c = join(s);

        send_frame(c, WS_CLOSE, close_body(s, codes[i], ""));
        MUST(s, client_await_end(c, clock_us() + s->at.patience_us),
             "%s: Close with %u leaves the connection open", c->name, codes[i]);
    }
}

static void close_reason_utf8(struct scene *s)
{
    struct client *c = join(s);

    send_frame(c, WS_CLOSE, bytes(s, "03e8 ff fe"));
    MUST(s, client_await_end(c, clock_us() + s->at.patience_us),
         "Close with a reason that is no UTF-8 leaves the connection open");
}

/* What follows Close, or a frame that fails the connection, is not processed. */
static void nothing_after_close(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *watcher = join(s), *c = join(s);

    subscribe(watcher, topic, 0);
    c->manual_ws = true;
    send_frame(c, WS_CLOSE, close_body(s, 1000, ""));
    send_frame(c, WS_BINARY, a_publish(s, topic, "x"));
    MUST(s, client_await_end(c, clock_us() + s->at.patience_us), "the connection is still open");
    expect_nothing(watcher, watcher);
}

static void nothing_after_failure(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *watcher = join(s), *c = join(s);
    struct ws_frame f = frame_of(WS_BINARY, a_publish(s, topic, "x"));

    subscribe(watcher, topic, 0);
    send_frame(c, 3, bytes(s, ""));
    client_send_frame(c, f, false);
    expect_failure(c, 1002, 1003);
    expect_nothing(watcher, watcher);
}

static void text_not_utf8(struct scene *s)
{
    struct client *c = join(s);

    send_frame(c, WS_TEXT, bytes(s, "ff fe 80"));
    expect_failure(c, 1003, 1007);
}

/* clang-format off */
#define WS (ONLY_WEBSOCKET | ONCE)
CHAPTER(ws_frames, "WebSocket: frames",
    {"ws_unmasked",         unmasked,            "WS-FR-01", NULL, NULL, WS},
    {"ws_masks",            any_mask,            "WS-FR-03", NULL, NULL, WS},
    {"ws_reserved_bits",    reserved_bits,       "WS-FR-04", NULL, NULL, WS},
    {"ws_opcodes",          unknown_opcodes,     "WS-FR-05", NULL, NULL, WS},
    {"ws_lengths_sent",     lengths_sent,        "WS-FR-06 MW-04", NULL, NULL, WS},
    {"ws_lengths_received", lengths_received,    "WS-FR-07", NULL, NULL, WS},
    {"ws_length_top_bit",   length_with_top_bit, "WS-FR-08", NULL, NULL, WS},
    {"ws_length_form",      longer_form,         "WS-FR-09", NULL, NULL, WS},
    {"ws_enormous",         enormous_frame,      "WS-FR-10", NULL, NULL, WS},
    {"ws_frame_in_pieces",  header_in_pieces,    "WS-FR-11", NULL, NULL, WS},
    {"ws_fragments",        fragments,           "WS-FG-01", NULL, NULL, WS},
    {"ws_control_between",  control_between,     "WS-FG-02", NULL, NULL, WS},
    {"ws_continuation",     continuation_alone,  "WS-FG-03", NULL, NULL, WS},
    {"ws_interleaved",      message_in_message,  "WS-FG-04", NULL, NULL, WS},
    {"ws_packet_in_part",   packet_in_part,      "WS-FG-06", NULL, NULL, WS},
    {"ws_control_long",     control_too_long,    "WS-CT-01", NULL, NULL, WS},
    {"ws_control_parts",    control_fragmented,  "WS-CT-02", NULL, NULL, WS},
    {"ws_ping",             ping_and_pong,       "WS-CT-03", NULL, NULL, WS},
    {"ws_pong",             pong_unasked,        "WS-CT-04", NULL, NULL, WS},
    {"ws_close",            closed,              "WS-CT-05 WS-CT-06 WS-CT-12", NULL, NULL, WS},
    {"ws_close_body",       close_without_body,  "WS-CT-08", NULL, NULL, WS},
    {"ws_close_codes",      close_codes,         "WS-CT-09", NULL, NULL, WS},
    {"ws_close_utf8",       close_reason_utf8,   "WS-CT-10", NULL, NULL, WS},
    {"ws_after_close",      nothing_after_close, "WS-CT-07", NULL, NULL, WS},
    {"ws_after_failure",    nothing_after_failure, "WS-CT-11", NULL, NULL, WS},
    {"ws_text_utf8",        text_not_utf8,       "WS-DT-01", NULL, NULL, WS},
);
/* clang-format on */

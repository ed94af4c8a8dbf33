/* WebSocket frames from clients, good and bad, and MQTT in them. [RFC 6455 5] [v5 6] */
#include "base/test.h"
#include "mqtt/frame.h"
#include "ws/tests/peer_support.h"

#define KEY "\x12\x00\xa5\xff"

static struct rig r;

static void start(void)
{
    rig_start_one(&r, WS_PROTOCOL_WS);
}

static void stop(void)
{
    rig_stop(&r);
}

/* A subscriber of everything. */
static struct peer *watch(void)
{
    struct peer *p = peer_connect(&r, "ws", MQTT_V5, "watcher");

    peer_subscribe(p, "#", 0);
    return p;
}

static void expect_message(struct peer *p, const char *topic)
{
    if (peer_expect(p, MQTT_PUBLISH))
        CHECK_BYTES(p->packet.publish.topic.p, p->packet.publish.topic.len, topic, strlen(topic));
}

/* ---- frames that end the connection ---- */

struct bad {
    const char *what;
    const char *bytes;
    size_t len;
    int code;
    bool told; /* MQTT 5 clients get a DISCONNECT first */
};

#define BAD(what, bytes, code)                     \
    {                                              \
        what, bytes, sizeof(bytes) - 1, code, true \
    }
#define CLOSE(what, bytes, code)                    \
    {                                               \
        what, bytes, sizeof(bytes) - 1, code, false \
    }

static const struct bad bad[] = {
    BAD("unmasked [WS-FR-01]", "\x82\x02\xc0\x00", 1002),
    BAD("unmasked, empty", "\x82\x00", 1002),
    BAD("RSV1 without extension [WS-FR-04]", "\xc2\x80" KEY, 1002),
    BAD("RSV2", "\xa2\x80" KEY, 1002),
    BAD("RSV3", "\x92\x80" KEY, 1002),
    BAD("opcode 3 [WS-FR-05]", "\x83\x80" KEY, 1002),
    BAD("opcode 7", "\x87\x80" KEY, 1002),
    BAD("opcode 11", "\x8b\x80" KEY, 1002),
    BAD("opcode 15", "\x8f\x80" KEY, 1002),
    BAD("length with its top bit [WS-FR-08]", "\x82\xff\x80\0\0\0\0\0\0\0" KEY, 1002),
    BAD("5 bytes with a 16-bit length [WS-FR-09]", "\x82\xfe\0\x05" KEY "abcde", 1002),
    BAD("65535 bytes with a 64-bit length", "\x82\xff\0\0\0\0\0\0\xff\xff" KEY, 1002),
    BAD("continuation of nothing [WS-FG-03]", "\x80\x80" KEY, 1002),
    BAD("a message within another [WS-FG-04]", "\x02\x80" KEY "\x82\x80" KEY, 1002),
    BAD("ping of 126 bytes [WS-CT-01]", "\x89\xfe\0\x7e" KEY, 1002),
    BAD("ping in fragments [WS-CT-02]", "\x09\x80" KEY, 1002),
    BAD("text [MW-02]", "\x81\x82" KEY "\xd2\x00", 1003),
    BAD("text, not UTF-8 [WS-DT-01]",
        "\x81\x82"
        "\0\0\0\0"
        "\xff\xfe",
        1003),
    BAD("text in fragments", "\x01\x82" KEY "\xd2\x00", 1003),
    CLOSE("Close of one byte [WS-CT-08]",
          "\x88\x81"
          "\0\0\0\0"
          "\x03",
          1002),
    CLOSE("Close 999 [WS-CT-09]",
          "\x88\x82"
          "\0\0\0\0"
          "\x03\xe7",
          1002),
    CLOSE("Close 1004",
          "\x88\x82"
          "\0\0\0\0"
          "\x03\xec",
          1002),
    CLOSE("Close 1005",
          "\x88\x82"
          "\0\0\0\0"
          "\x03\xed",
          1002),
    CLOSE("Close 1006",
          "\x88\x82"
          "\0\0\0\0"
          "\x03\xee",
          1002),
    CLOSE("Close 1015",
          "\x88\x82"
          "\0\0\0\0"
          "\x03\xf7",
          1002),
    CLOSE("Close 2999",
          "\x88\x82"
          "\0\0\0\0"
          "\x0b\xb7",
          1002),
    CLOSE("Close with a reason that is not UTF-8 [WS-CT-10]",
          "\x88\x84"
          "\0\0\0\0"
          "\x03\xe8\xff\xfe",
          1007),
};

/* The connection has a Will and is in the middle of nothing; behind the bad frame comes a PUBLISH,
 * which nobody may see [WS-CT-11]. */
static void play_bad(const struct bad *b, int version, struct peer *watcher)
{
    struct mqtt_packet c = connect_packet(version, "bad");
    struct mqtt_packet m = {.type = MQTT_PUBLISH, .publish = {.topic = text_str("too/late")}};
    struct peer *p = peer_dial(&r, "ws");
    uint8_t out[128], *packet;
    size_t len;

    c.connect.has_will = true;
    c.connect.will.topic = text_str("will");
    p->version = version;
    peer_upgrade(p);
    peer_send_packet(p, &c);
    peer_expect(p, MQTT_CONNACK);
    memcpy(out, b->bytes, b->len);
    packet = packet_bytes(&m, version, &len);
    peer_write(p, out, b->len + frame_write(out + b->len, FIN | OP_BINARY, p->key, packet, len));
    free(packet);
    if (b->told && version == MQTT_V5)
        peer_expect_disconnect(p, MQTT_RC_PROTOCOL_ERROR, b->code);
    else
        peer_expect_close(p, b->code);
    expect_message(watcher, "will");
    CHECK(peer_ping(watcher)); /* and nothing before its answer */
}

static void test_bad(void)
{
    struct peer *watcher;

    start();
    watcher = watch();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        unsigned failures = CU_get_number_of_failures();

        play_bad(&bad[i], MQTT_V311, watcher);
        play_bad(&bad[i], MQTT_V5, watcher);
        if (CU_get_number_of_failures() != failures)
            printf("  with: %s\n", bad[i].what);
    }
    peer_free(watcher);
    stop();
}

/* The same before CONNECT: there is nobody to be told anything. */
static void test_bad_first(void)
{
    start();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        unsigned failures = CU_get_number_of_failures();
        struct peer *p = peer_dial(&r, "ws");

        peer_upgrade(p);
        peer_write(p, bad[i].bytes, bad[i].len);
        CHECK(!peer_packet(p));
        peer_expect_close(p, bad[i].code);
        if (CU_get_number_of_failures() != failures)
            printf("  with: %s\n", bad[i].what);
    }
    stop();
}

/* ---- sizes ---- */

/* A PUBLISH at QoS 1 that makes a frame of exactly this size. */
static bool publish_sized(struct peer *p, size_t size, uint16_t id)
{
    size_t header = mqtt_varint_size((uint32_t)size - 3) + 1, rest = p->version == MQTT_V5 ? 6 : 5;
    uint8_t *zeros = calloc(1, size);
    bool ok = peer_publish(p, "t", zeros, size - header - rest, 1, id);

    free(zeros);
    return ok;
}

/* [WS-FR-07] */
static void test_lengths(void)
{
    static const size_t sizes[] = {10, 124, 125, 126, 127, 65535, 65536, 65537, 200000};
    struct peer *p;

    start();
    p = peer_connect(&r, "ws", MQTT_V311, "c");
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        peer_frame(p, FIN | OP_BINARY, "", 0);
        CHECK_ROW(i, publish_sized(p, sizes[i], 1) && peer_expect(p, MQTT_PUBACK));
    }
    peer_free(p);
    stop();
}

/* In the middle of a frame; rest: bytes of it that were not sent yet. The peer sends them before it
 * answers the Close, as it has to. Frees p. */
static void expect_too_large(struct peer *p, size_t rest)
{
    uint8_t *zeros = calloc(1, rest + 1);

    if (peer_expect(p, MQTT_DISCONNECT))
        CHECK_INT(p->packet.reasoned.reason, MQTT_RC_PACKET_TOO_LARGE);
    CHECK_INT(peer_await_close(p), 1009);
    peer_write(p, zeros, rest);
    peer_expect_close(p, 1009);
    free(zeros);
}

/* [WS-FR-10] */
static void test_too_large(void)
{
    struct peer *p;

    rig_init(&r);
    rig_listen(&r, WS_PROTOCOL_WS)->max_frame_size = 1000;
    rig_start(&r, 1);
    p = peer_connect(&r, "ws", MQTT_V5, "c");
    CHECK(publish_sized(p, 1000, 1) && peer_expect(p, MQTT_PUBACK));
    publish_sized(p, 1001, 2);
    peer_expect_disconnect(p, MQTT_RC_PACKET_TOO_LARGE, 1009);
    p = peer_connect(&r, "ws", MQTT_V5, "c");
    peer_write(p, "\x82\xff\0\0\0\0\x40\0\0\0" KEY "a", 15); /* 1 GiB is announced */
    CHECK(peer_expect(p, MQTT_DISCONNECT) && peer_await_close(p) == 1009);
    peer_free(p);
    stop();
}

/* Without a limit of its own a frame is limited as packets are. */
static void test_too_large_inherited(void)
{
    struct peer *p;

    rig_init(&r);
    rig_listen(&r, WS_PROTOCOL_WS)->max_packet_size = 3000;
    rig_start(&r, 1);
    p = peer_connect(&r, "ws", MQTT_V5, "c");
    CHECK(publish_sized(p, 3000, 1) && peer_expect(p, MQTT_PUBACK));
    peer_write(p, "\x82\xfe\x0b\xb9" KEY "\xd2\x00", 10);
    expect_too_large(p, 2999);
    stop();
    rig_init(&r);
    rig_listen(&r, WS_PROTOCOL_WS);
    r.broker_config.max_packet_size = 4000;
    rig_start(&r, 1);
    p = peer_connect(&r, "ws", MQTT_V5, "c");
    CHECK(publish_sized(p, 4000, 1) && peer_expect(p, MQTT_PUBACK));
    peer_write(p, "\x82\xfe\x0f\xa1" KEY "\xd2\x00", 10);
    expect_too_large(p, 3999);
    stop();
}

/* A packet that is larger than allowed, spread over frames that are not [MW-10]. */
static void test_packet_too_large(void)
{
    struct peer *p;

    rig_init(&r);
    rig_listen(&r, WS_PROTOCOL_WS)->max_packet_size = 64;
    rig_start(&r, 1);
    p = peer_connect(&r, "ws", MQTT_V5, "c");
    CHECK_INT(p->packet.connack.props.maximum_packet_size, 64);
    CHECK(publish_sized(p, 64, 1) && peer_expect(p, MQTT_PUBACK));
    peer_frame(p, FIN | OP_BINARY, "\x32\x3f", 2); /* 65 bytes */
    peer_expect_disconnect(p, MQTT_RC_PACKET_TOO_LARGE, 1009);
    stop();
}

/* ---- fragments, pieces, masks ---- */

/* [WS-FG-01] [WS-FG-02] [WS-FR-03] [WS-FR-11] [MW-03]: CONNECT, a PUBLISH at QoS 1 and PINGREQ as
 * one stream of bytes. */
static uint8_t *stream_bytes(size_t *out_len)
{
    struct mqtt_packet packets[] = {connect_packet(MQTT_V5, "pieces"),
                                    {.type = MQTT_PUBLISH,
                                     .publish = {.qos = 1,
                                                 .packet_id = 7,
                                                 .topic = text_str("pieces/of/eight"),
                                                 .payload = text_str("eight")}},
                                    {.type = MQTT_PINGREQ}};
    uint8_t *out = malloc(1024);

    *out_len = 0;
    for (size_t i = 0; i < 3; i++) {
        size_t len;
        uint8_t *packet = packet_bytes(&packets[i], MQTT_V5, &len);

        memcpy(out + *out_len, packet, len);
        *out_len += len;
        free(packet);
    }
    return out;
}

static void expect_answers(struct peer *p)
{
    CHECK(peer_expect(p, MQTT_CONNACK));
    CHECK(peer_expect(p, MQTT_PUBACK) && p->packet.ack.packet_id == 7);
    CHECK(peer_expect(p, MQTT_PINGRESP));
    peer_free(p);
}

static void test_byte_per_frame(void)
{
    size_t len;
    uint8_t *stream = stream_bytes(&len);
    struct peer *p;

    start();
    p = peer_dial(&r, "ws");
    peer_upgrade(p);
    for (size_t i = 0; i < len; i++)
        peer_frame(p, FIN | OP_BINARY, stream + i, 1);
    expect_answers(p);
    free(stream);
    stop();
}

/* One message with a ping in each gap, whose answers do not wait for its end; empty fragments among
 * them [WS-FG-02] [WS-CT-03]. */
static void test_fragments(void)
{
    size_t len;
    uint8_t *stream = stream_bytes(&len);
    struct peer *p;

    start();
    p = peer_dial(&r, "ws");
    peer_upgrade(p);
    for (size_t i = 0; i < len; i++) {
        struct frame f;

        peer_frame(p, i == 0 ? OP_BINARY : OP_MORE, stream + i, 1);
        if (i < 10) { /* nothing else is there to be received */
            peer_frame(p, FIN | OP_PING, &i, sizeof i);
            CHECK(peer_get_frame(p, &f) && f.head == (FIN | OP_PONG) && f.len == sizeof i &&
                  memcmp(f.data, &i, sizeof i) == 0);
        }
        peer_frame(p, OP_MORE, "", 0);
    }
    peer_frame(p, FIN | OP_MORE, "", 0);
    expect_answers(p);
    free(stream);
    stop();
}

/* Everything in one frame, in one message of two frames, and each packet's end with the next one's
 * beginning; masked with zeros, too [WS-FR-03]. */
static void test_packets_per_frame(void)
{
    size_t len;
    uint8_t *stream = stream_bytes(&len), out[1024];

    start();
    for (size_t cut = 0; cut <= len; cut++) {
        struct peer *p = peer_dial(&r, "ws");
        bool zero = cut % 2 == 0, one_message = cut % 3 == 0;
        size_t n;

        memcpy(p->key, zero ? "\0\0\0\0" : "\xff\x01\x00\x80", 4);
        peer_upgrade(p);
        n = frame_write(out, OP_BINARY | (one_message ? 0 : FIN), p->key, stream, cut);
        n += frame_write(out + n, (one_message ? OP_MORE : OP_BINARY) | FIN, p->key, stream + cut,
                         len - cut);
        peer_write(p, out, n);
        expect_answers(p);
    }
    free(stream);
    stop();
}

/* Where the listener says so, each packet from us has a frame of its own, however much is sent in a
 * turn; a packet that is sent in pieces has several. */
static void test_one_packet_per_frame(void)
{
    static uint8_t large[100000];
    static const uint8_t types[] = {MQTT_SUBACK, MQTT_PUBACK, MQTT_PUBLISH, MQTT_PUBLISH};
    struct frame frame;
    struct peer *p;
    size_t got = 0;

    rig_init(&r);
    rig_listen(&r, WS_PROTOCOL_WS)->one_packet_per_frame = true;
    rig_start(&r, 1);
    p = peer_connect(&r, "ws", MQTT_V5, "c");
    peer_send(p,
              "\x82\x09\0\1\0\0\3a/b\1" /* SUBSCRIBE a/b, QoS 1 */
              "\x32\x08\0\3a/b\0\2\0"   /* PUBLISH a/b, QoS 1, empty */
              "\x30\x0b\0\3a/b\0hello", /* PUBLISH a/b, QoS 0, hello */
              34);
    for (unsigned seen = 0; seen < 4; seen++) {
        if (!CHECK_ROW(seen, peer_get_frame(p, &frame) && frame.head == (FIN | OP_BINARY)))
            break;
        CHECK_ROW_INT(seen, frame.len, frame.data[1] + 2u); /* nothing behind the packet */
        CHECK_ROW(seen, memchr(types, frame.data[0] >> 4, sizeof types) != NULL);
        if (frame.data[0] == (MQTT_PUBLISH << 4 | 2))
            peer_send(p, (const uint8_t[]){0x40, 2, frame.data[7], frame.data[8]}, 4);
    }
    peer_publish(p, "a/b", large, sizeof large, 0, 0);
    while (got < sizeof large && CHECK(peer_get_frame(p, &frame)))
        got += frame.len;
    CHECK_INT(got, sizeof large + 10); /* fixed header of 4, topic, no properties */
    CHECK(peer_ping(p));
    peer_free(p);
    stop();
}

/* Bytes of frames arrive in two segments, cut anywhere [WS-FR-11]. */
static void test_segments(void)
{
    size_t len, n = 0;
    uint8_t *stream = stream_bytes(&len), out[1024];

    start();
    n += frame_write(out + n, OP_BINARY, (const uint8_t *)KEY, stream, len / 2);
    n += frame_write(out + n, FIN | OP_PING, (const uint8_t *)KEY, "between", 7);
    n += frame_write(out + n, FIN | OP_MORE, (const uint8_t *)KEY, stream + len / 2, len - len / 2);
    for (size_t cut = 1; cut < n; cut++) {
        struct peer *p = peer_dial(&r, "ws");

        peer_upgrade(p);
        peer_write(p, out, cut);
        peer_settle(p);
        peer_write(p, out + cut, n - cut);
        CHECK_ROW(cut, peer_expect(p, MQTT_CONNACK));
        CHECK_ROW(cut, peer_expect(p, MQTT_PUBACK));
        CHECK_ROW(cut, peer_expect(p, MQTT_PINGRESP));
        CHECK_ROW(cut, peer_expect_pong(p, "between", 7));
        peer_free(p);
    }
    free(stream);
    stop();
}

/* ---- a long stream in random frames ---- */

struct dice {
    uint64_t state;
};

static uint32_t roll(struct dice *d, uint32_t below)
{
    d->state = d->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(d->state >> 33) % below;
}

/* 200 PUBLISHes with growing payloads, as MQTT bytes. */
static uint8_t *many_packets(size_t *out_len)
{
    uint8_t *out = malloc(1 << 20), *payload = malloc(4000);
    size_t n = 0;

    for (uint16_t i = 0; i < 200; i++) {
        struct mqtt_packet m = {.type = MQTT_PUBLISH, .publish = {.topic = text_str("stream")}};
        size_t len;
        uint8_t *packet;

        memset(payload, i, 4000);
        m.publish.payload = (struct mqtt_str){payload, i * 20u};
        packet = packet_bytes(&m, MQTT_V5, &len);
        memcpy(out + n, packet, len);
        n += len;
        free(packet);
    }
    free(payload);
    *out_len = n;
    return out;
}

/* Bytes on the wire: frames of any size, fragmented or not, with pings between. */
static size_t random_frames(struct dice *d, const uint8_t *in, size_t len, uint8_t *out)
{
    static const uint32_t limits[] = {3, 150, 70000, 2000};
    size_t n = 0, at = 0;
    bool open = false;

    while (at < len || open) {
        uint32_t size = roll(d, limits[roll(d, 4)]);
        uint8_t key[4] = {(uint8_t)roll(d, 256), (uint8_t)roll(d, 256), 0, (uint8_t)roll(d, 2)};
        bool fin = roll(d, 3) > 0;

        if (size > len - at)
            size = (uint32_t)(len - at);
        if (roll(d, 4) == 0)
            n += frame_write(out + n, FIN | OP_PING, key, in, roll(d, 126));
        n += frame_write(out + n, (open ? OP_MORE : OP_BINARY) | (fin ? FIN : 0), key, in + at,
                         size);
        open = !fin;
        at += size;
    }
    return n;
}

static void expect_stream(struct peer *p)
{
    for (unsigned i = 0; i < 200; i++) {
        const struct mqtt_publish *m = &p->packet.publish;

        if (!CHECK_ROW(i, peer_expect(p, MQTT_PUBLISH)))
            return;
        CHECK_ROW_INT(i, m->payload.len, i * 20u);
        CHECK_ROW(i, m->payload.len == 0 ||
                         (m->payload.p[0] == i && m->payload.p[m->payload.len - 1] == i));
    }
}

static void test_random(void)
{
    size_t len;
    uint8_t *stream = many_packets(&len), *out = malloc(4 << 20);
    struct peer *watcher;

    start();
    watcher = watch();
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct dice d = {seed};
        struct peer *p = peer_connect(&r, "ws", MQTT_V5, "random");
        size_t n = random_frames(&d, stream, len, out), at = 0;

        while (at < n) {
            size_t part = 1 + roll(&d, roll(&d, 2) == 0 ? 20 : 100000);

            part = part < n - at ? part : n - at;
            CHECK(peer_write(p, out + at, part));
            at += part;
        }
        CHECK(peer_ping(p));
        expect_stream(watcher);
        peer_free(p);
    }
    peer_free(watcher);
    free(out);
    free(stream);
    stop();
}

/* ---- pings and pongs of the client ---- */

/* [WS-CT-03] [WS-CT-04] */
static void test_pings(void)
{
    static const size_t sizes[] = {0, 1, 5, 125};
    uint8_t data[125];
    struct peer *p;

    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 37);
    start();
    p = peer_dial(&r, "ws");
    peer_upgrade(p);
    for (int connected = 0; connected < 2; connected++) {
        for (size_t i = 0; i < 4; i++) {
            struct frame f;

            peer_frame(p, FIN | OP_PONG, data, sizes[i]); /* nobody asked */
            peer_frame(p, FIN | OP_PING, data, sizes[i]);
            CHECK_ROW(i, peer_get_frame(p, &f) && f.head == (FIN | OP_PONG));
            CHECK_BYTES(f.data, f.len, data, sizes[i]);
        }
        CHECK(connected ? peer_ping(p) : peer_mqtt(p, MQTT_V5, "c"));
    }
    peer_free(p);
    stop();
}

/* Of many in one read the latest is answered at least. */
static void test_ping_burst(void)
{
    uint8_t out[1024];
    size_t n = 0;
    struct peer *p;

    start();
    p = peer_connect(&r, "ws", MQTT_V5, "c");
    for (uint8_t i = 0; i < 50; i++)
        n += frame_write(out + n, FIN | OP_PING, p->key, &i, 1);
    peer_write(p, out, n);
    CHECK(peer_ping(p));
    CHECK(peer_expect_pong(p, "\x31", 1));
    peer_free(p);
    stop();
}

/* ---- Close ---- */

/* [WS-CT-05] [WS-CT-06] [WS-CT-07] [MW-06] */
static void test_close(void)
{
    static const int codes[] = {1000, 1001, 1011, 3000, 4999, 1005};
    struct mqtt_packet c = connect_packet(MQTT_V5, "closer"), m = {.type = MQTT_PUBLISH};
    struct peer *watcher;

    c.connect.has_will = true;
    c.connect.will.topic = text_str("will");
    m.publish.topic = text_str("too/late");
    start();
    watcher = watch();
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        uint8_t body[] = {(uint8_t)(codes[i] >> 8), (uint8_t)codes[i], 'b', 'y', 'e'};
        struct peer *p = peer_dial(&r, "ws");
        struct frame f;

        peer_upgrade(p);
        peer_send_packet(p, &c);
        peer_expect(p, MQTT_CONNACK);
        peer_frame(p, FIN | OP_CLOSE, body, codes[i] == 1005 ? 0 : i % 2 == 0 ? 5 : 2);
        peer_send_packet(p, &m);
        CHECK_ROW(i, peer_get_frame(p, &f) && f.head == (FIN | OP_CLOSE));
        CHECK_ROW_INT(i, f.len >= 2 ? f.data[0] << 8 | f.data[1] : 1005, codes[i]);
        peer_expect_eof(p);
        expect_message(watcher, "will");
        CHECK(peer_ping(watcher));
    }
    peer_free(watcher);
    stop();
}

/* A DISCONNECT means no Will, whatever follows; the server closes, too. */
static void test_disconnect(void)
{
    struct mqtt_packet c = connect_packet(MQTT_V5, "polite"), bye = {.type = MQTT_DISCONNECT};
    struct peer *watcher, *p;

    c.connect.has_will = true;
    c.connect.will.topic = text_str("will");
    start();
    watcher = watch();
    for (int how = 0; how < 2; how++) {
        p = peer_dial(&r, "ws");
        peer_upgrade(p);
        peer_send_packet(p, &c);
        peer_expect(p, MQTT_CONNACK);
        peer_send_packet(p, &bye);
        if (how == 0)
            peer_expect_close(p, 1000);
        else
            peer_free(p);
        CHECK(RIG_WAIT(&r, connections, 1));
        CHECK(peer_ping(watcher));
    }
    p = peer_dial(&r, "ws"); /* and a connection that just goes away [MW-06] */
    peer_upgrade(p);
    peer_send_packet(p, &c);
    peer_expect(p, MQTT_CONNACK);
    peer_free(p);
    expect_message(watcher, "will");
    peer_free(watcher);
    stop();
}

/* After its Close the server waits for the client's, and does not look at what comes before. */
static void test_close_awaited(void)
{
    struct mqtt_packet m = {.type = MQTT_PUBLISH, .publish = {.topic = text_str("too/late")}};
    struct peer *p, *watcher;

    start();
    watcher = watch();
    for (int how = 0; how < 3; how++) {
        struct frame f;

        p = peer_connect(&r, "ws", MQTT_V5, "c");
        if (how == 0)
            peer_write(p, "\x82\x00", 2); /* not masked */
        else if (how == 1)
            peer_frame(p, FIN | OP_TEXT, "text", 4);
        else
            peer_send(p, "\xff", 1); /* no MQTT */
        CHECK(peer_get_frame(p, &f) && f.head == (FIN | OP_BINARY));
        CHECK(peer_get_frame(p, &f) && f.head == (FIN | OP_CLOSE));
        CHECK(!peer_receive_within(p, 100) && !p->eof);
        peer_send_packet(p, &m);
        CHECK(!peer_receive_within(p, 50) && !p->eof);
        peer_frame(p, FIN | OP_CLOSE, "", 0);
        peer_expect_eof(p);
    }
    CHECK(peer_ping(watcher));
    peer_free(watcher);
    stop();
}

/* ---- sessions do not care for the transport [MW-09] ---- */

static void test_takeover(void)
{
    struct mqtt_packet c = connect_packet(MQTT_V5, "wanderer");
    struct peer *p, *q;

    rig_init(&r);
    rig_listen(&r, WS_PROTOCOL_WS);
    rig_listen(&r, WS_PROTOCOL_MQTT);
    rig_start(&r, 2);
    c.connect.clean_start = false;
    MQTT_SET(&c.connect.props, session_expiry_s, 60);
    p = peer_dial(&r, "mqtt");
    peer_send_packet(p, &c);
    peer_expect(p, MQTT_CONNACK);
    CHECK(!p->packet.connack.session_present);
    for (int i = 0; i < 8; i++) {
        q = peer_dial(&r, i % 2 == 0 ? "ws" : "mqtt");
        if (i % 2 == 0)
            peer_upgrade(q);
        peer_send_packet(q, &c);
        peer_expect(q, MQTT_CONNACK);
        CHECK_ROW(i, q->packet.connack.session_present);
        peer_expect_disconnect(p, MQTT_RC_SESSION_TAKEN_OVER, 1008);
        p = q;
    }
    peer_free(p);
    stop();
}

TEST_MAIN(test_bad, test_bad_first, test_lengths, test_too_large, test_too_large_inherited,
          test_packet_too_large, test_byte_per_frame, test_fragments, test_packets_per_frame,
          test_one_packet_per_frame, test_segments, test_random, test_pings, test_ping_burst,
          test_close, test_disconnect, test_close_awaited, test_takeover)

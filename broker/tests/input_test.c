/* input_test: bytes from the client, cut anywhere; packets that are never finished; packets that
 * are too large. */
#include "base/mem.h"
#include "base/test.h"
#include "broker/purposes.h"
#include "mqtt/encode.h"
#include "net_support.h"

#define CONNECT_MAX 400000 /* bytes of a CONNECT, whatever the limit for packets is */

struct stream {
    uint8_t bytes[20000];
    size_t len;
};

static void put(struct stream *s, const struct mqtt_packet *p, int version)
{
    size_t n = mqtt_encode(p, version, s->bytes + s->len, sizeof s->bytes - s->len);

    CHECK(n > 0);
    s->len += n;
}

static void put_publish(struct stream *s, int version, const char *payload, uint32_t len,
                        uint8_t qos, uint16_t id)
{
    struct mqtt_packet p = {.type = MQTT_PUBLISH};

    p.publish.topic = MQTT_STR("t");
    p.publish.payload = (struct mqtt_str){(const uint8_t *)payload, len};
    p.publish.qos = qos;
    p.publish.packet_id = id;
    put(s, &p, version);
}

/* What a client of this version sends, with packets of all sizes of a length; each is answered. */
static void make_stream(struct stream *s, int version, bool with_connect)
{
    static char payload[6000];
    struct connect_options o = {.id = "c", .clean = true};
    struct mqtt_packet p;
    uint8_t filter[] = {0, 1, 't', 1};

    memset(payload, 'x', sizeof payload);
    s->len = 0;
    client_connect_packet(&p, version, &o);
    if (with_connect)
        put(s, &p, version);
    p = (struct mqtt_packet){.type = MQTT_SUBSCRIBE};
    p.subscribe.packet_id = 1;
    p.subscribe.filters = (struct mqtt_str){filter, sizeof filter};
    p.subscribe.count = 1;
    put(s, &p, version);
    put_publish(s, version, payload, 0, 0, 0);
    put_publish(s, version, payload, 1, 1, 2);
    put_publish(s, version, payload, 6000, 1, 3);
    p = (struct mqtt_packet){.type = MQTT_PINGREQ};
    put(s, &p, version);
    put_publish(s, version, payload, 200, 2, 4);
    p = (struct mqtt_packet){.type = MQTT_PUBREL};
    p.ack.packet_id = 4;
    put(s, &p, version);
    p = (struct mqtt_packet){.type = MQTT_PINGREQ};
    put(s, &p, version);
}

/* What comes back when the stream is cut into pieces of the given sizes, again and again. */
static size_t answers(const struct stream *s, int version, bool connected, const size_t *sizes,
                      size_t n_sizes, uint8_t *out)
{
    struct net n;
    struct client *c;
    size_t at = 0, len, piece;

    net_init(&n, 1, NULL);
    c = connected ? net_client(&n, 0, version, "c") : net_open(&n, 0, version);
    for (size_t i = 0; at < s->len; i++, at += piece) {
        piece = sizes[i % n_sizes] < s->len - at ? sizes[i % n_sizes] : s->len - at;
        client_send(c, s->bytes + at, piece);
    }
    CHECK_INT(mem_used(c->shard->mem, FOR_INPUT), 0); /* nothing is left of what was finished */
    len = c->in_len;
    memcpy(out, c->in, len);
    net_fini(&n);
    return len;
}

#define ANSWERS(s, version, connected, out, ...)                  \
    answers(s, version, connected, (const size_t[]){__VA_ARGS__}, \
            sizeof(const size_t[]){__VA_ARGS__} / sizeof(size_t), out)

/* Cut in two at each byte; cut into pieces of one size: the answers are the same. */
static void any_cut(int version)
{
    static struct stream s;
    static uint8_t want[20000], got[20000];
    size_t want_len;

    make_stream(&s, version, true);
    want_len = ANSWERS(&s, version, false, want, s.len);
    CHECK(want_len > 6200);
    for (size_t cut = 1; cut < s.len; cut += cut < 100 || cut > s.len - 300 ? 1 : 97)
        CHECK_BYTES(got, ANSWERS(&s, version, false, got, cut, s.len), want, want_len);
    for (size_t piece = 1; piece < 300; piece = piece * 3 / 2 + 1)
        CHECK_BYTES(got, ANSWERS(&s, version, false, got, piece), want, want_len);
    for (size_t piece = 1; piece < 20; piece++) /* the second of two, and many more behind it */
        CHECK_BYTES(got, ANSWERS(&s, version, false, got, piece, 255, 1, 256, 257), want, want_len);
}

static void test_any_cut(void)
{
    each_version(any_cut);
}

/* Packets behind each other in one piece of input, begun before and not finished with it. */
static void test_on_a_connection(void)
{
    static struct stream s;
    static uint8_t want[20000], got[20000];
    size_t want_len;

    make_stream(&s, 5, false);
    want_len = ANSWERS(&s, 5, true, want, s.len);
    for (size_t first = 1; first < 40; first++)
        for (size_t second = 1; second < 6500; second = second * 2 + 1)
            CHECK_BYTES(got, ANSWERS(&s, 5, true, got, first, second), want, want_len);
}

/* ---- packets that are not finished ---- */

/* Memory is taken for what has come, not for what was announced; and goes with the connection. */
static void test_announced_only(void)
{
    static const uint8_t start[] = {0x30, 0x80, 0x80, 0x40, 0, 1, 't'}; /* of 1 MiB */
    static uint8_t more[10000];
    struct net n;
    struct client *c;
    size_t sent = sizeof start;

    net_init(&n, 1, NULL);
    c = net_client(&n, 0, 4, "c");
    client_send(c, start, sizeof start);
    for (int i = 0; i < 20; i++) {
        CHECK_ROW(i, mem_used(c->shard->mem, FOR_INPUT) <= (int64_t)(sent < 256 ? 256 : sent * 3));
        client_send(c, more, sizeof more);
        sent += sizeof more;
    }
    CHECK(!c->closed && client_quiet(c));
    client_drop(c);
    CHECK_INT(mem_used(n.broker->shards[0]->mem, FOR_INPUT), 0);
    net_fini(&n);
}

/* The head is enough to refuse it; the session stays for a client that behaves. */
static void too_large(int version)
{
    struct broker_config cfg = broker_config_default();

    cfg.max_packet_size = 1000;
    for (size_t cut = 1; cut <= 3; cut++) {
        static const uint8_t head[] = {0x30, 0xe6, 0x07, 0, 1, 't'}; /* 998 and 3: one too many */
        struct net n;
        struct client *c, *pub;
        struct mqtt_packet p;

        net_init(&n, 1, &cfg);
        c = net_client(&n, 0, version, "c");
        client_send(c, head, cut);
        CHECK_ROW_INT(cut, c->closed, cut == 3);
        client_send(c, head + cut, sizeof head - cut);
        if (version == 5 && client_expect(c, MQTT_DISCONNECT, &p)) {
            CHECK_INT(p.reasoned.reason, MQTT_RC_PACKET_TOO_LARGE);
            CHECK(mqtt_str_eq(p.reasoned.props.reason_string,
                              MQTT_STR("packet of 1001 bytes, Maximum Packet Size is 1000")));
        }
        client_expect_closed(c);
        pub = net_client(&n, 0, version, "pub"); /* nobody else notices */
        client_publish(pub, "t", "x", 1, false);
        net_fini(&n);
    }
}

static void test_too_large(void)
{
    each_version(too_large);
}

/* As large as may be is not too large; in pieces neither. */
static void test_just_right(void)
{
    struct broker_config cfg = broker_config_default();
    static char payload[1000];
    static struct stream s;

    cfg.max_packet_size = 1000;
    for (size_t piece = 1; piece <= 1000; piece += 333) {
        struct net n;
        struct client *c;

        net_init(&n, 1, &cfg);
        c = net_client(&n, 0, 4, "c");
        client_subscribe(c, "t", 0);
        memset(payload, 'x', sizeof payload);
        s.len = 0;
        put_publish(&s, 4, payload, 1000 - 3 - 3, 0, 0);
        CHECK_INT(s.len, 1000);
        for (size_t at = 0; at < 1000; at += piece)
            client_send(c, s.bytes + at, piece < 1000 - at ? piece : 1000 - at);
        payload[994] = '\0';
        client_expect_publish(c, "t", payload, 0, false);
        net_fini(&n);
    }
}

/* A stranger gets no buffer of the size that clients may fill. */
static void test_large_connect(void)
{
    struct net n;
    struct client *c;
    uint8_t head[] = {0x10, 0, 0, 0, 0};
    uint32_t len = CONNECT_MAX - 4 + 1;

    net_init(&n, 1, NULL);
    for (int too_large = 0; too_large <= 1; too_large++, len++) {
        c = net_open(&n, 0, 4);
        head[1] = (uint8_t)(((len - 1) & 0x7f) | 0x80);
        head[2] = (uint8_t)(((len - 1) >> 7 & 0x7f) | 0x80);
        head[3] = (uint8_t)((len - 1) >> 14);
        client_send(c, head, 4);
        CHECK_INT(c->closed, too_large);
        client_drop(c);
    }
    net_fini(&n);
}

/* ---- what is wrong, in pieces ---- */

static void broken(int version)
{
    static const struct {
        uint8_t bytes[8];
        size_t len;
    } rows[] = {
        {{0x36, 3, 0, 1, 't'}, 5},                 /* QoS 3 */
        {{0x30, 0xff, 0xff, 0xff, 0xff, 0x01}, 6}, /* a length of five bytes */
        {{0x60, 2, 0, 1}, 4},                      /* a PUBREL without its flag */
        {{0x32, 5, 0, 1, 't', 0, 0}, 7},           /* a packet identifier of 0 */
        {{0x00, 0}, 2},                            /* no such type */
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct net n;
        struct client *c;

        net_init(&n, 1, NULL);
        c = net_client(&n, 0, version, "c");
        for (size_t at = 0; at < rows[i].len && !c->closed; at++)
            client_send(c, rows[i].bytes + at, 1);
        CHECK_ROW(i, c->closed);
        CHECK_ROW(i, c->why == CLOSE_MALFORMED_PACKET || c->why == CLOSE_PROTOCOL_ERROR);
        CHECK_ROW_INT(i, mem_used(c->shard->mem, FOR_INPUT), 0);
        client_send(c, "\xc0\0", 2); /* what was on its way is not looked at any more */
        net_fini(&n);
    }
}

static void test_broken(void)
{
    each_version(broken);
}

/* Out of memory for what is to be kept: this connection ends, and says why. */
static void test_no_memory(void)
{
    for (struct net_fail fail = {0}; net_fail_next(&fail);) {
        struct net n;
        struct client *c;

        net_init(&n, 1, NULL);
        c = net_client(&n, 0, 5, "c");
        net_fail(&fail, &n, 0);
        for (int i = 0; i < 3; i++)
            client_feed(c, "\x30\xe8\x07\0\1t\0", i == 0 ? 7 : 0);
        client_feed(c, (uint8_t[500]){0}, 500);
        net_fail_end(&fail);
        net_run(&n);
        CHECK_INT(c->closed, fail.more);
        if (fail.more)
            client_expect_disconnect(c, MQTT_RC_SERVER_BUSY);
        net_fini(&n);
    }
}

TEST_MAIN(test_any_cut, test_on_a_connection, test_announced_only, test_too_large, test_just_right,
          test_large_connect, test_broken, test_no_memory)

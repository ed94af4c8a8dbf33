/* connect_test: from the network connection to the CONNACK, and what a session outlives.
 *                                                                       [v5 3.1, 3.2] [v3 3.1, 3.2]
 */
#include "base/test.h"
#include "broker/retained.h"
#include "broker/session.h"
#include "mqtt/encode.h"
#include "net_support.h"

struct bytes {
    const char *p;
    size_t len;
};

#define BYTES(literal)               \
    {                                \
        literal, sizeof(literal) - 1 \
    }

/* ---- refusals ---- */

/* A packet with this body, and behind it what must not be looked at any more: a retained PUBLISH
 * [v5 MQTT-3.1.4-6] [v3 MQTT-3.1.4-5]. */
static void send_connect_body(struct client *c, const struct bytes *body)
{
    static const uint8_t publish[] = {0x31, 4, 0, 1, 't', 'x'};
    uint8_t packet[512] = {0x10};
    unsigned at = 1 + mqtt_varint_write(packet + 1, (uint32_t)body->len);

    memcpy(packet + at, body->p, body->len);
    memcpy(packet + at + body->len, publish, sizeof publish);
    client_send(c, packet, at + body->len + sizeof publish);
}

/* version: in which the answer comes. No CONNACK tells a 3.x client that its CONNECT is broken
 * [v3 MQTT-3.1.4-1]. */
static const struct {
    int version, code;
    enum close_reason why;
    struct bytes body;
} broken[] = {
    /* name and level [v5 MQTT-3.1.2-1] [v5 MQTT-3.1.2-2] [v3 MQTT-3.1.2-1] [v3 MQTT-3.1.2-2] */
    {4, 1, CLOSE_BAD_VERSION, BYTES("\0\4mqtt\4\2\0\0\0\1a")},
    {4, 1, CLOSE_BAD_VERSION, BYTES("\0\4MQTX\5\2\0\0\0\0\1a")},
    {4, 1, CLOSE_BAD_VERSION, BYTES("\0\0\5\2\0\0\0\0\1a")},
    {4, 1, CLOSE_BAD_VERSION, BYTES("\0\4MQTT\2\2\0\0\0\1a")},
    {4, 1, CLOSE_BAD_VERSION, BYTES("\0\4MQTT\3\2\0\0\0\1a")},
    {4, 1, CLOSE_BAD_VERSION, BYTES("\0\4MQTT\6\2\0\0\0\0\1a")},
    {4, 1, CLOSE_BAD_VERSION, BYTES("\0\4MQTT\x7f\2\0\0\0\0\1a")},
    {4, 1, CLOSE_BAD_VERSION, BYTES("\0\4MQTT\x84\2\0\0\0\1a")},
    {4, 1, CLOSE_BAD_VERSION, BYTES("\0\6MQIsdp\4\2\0\0\0\1a")},
    /* reserved flag [v5 MQTT-3.1.2-3] [v3 MQTT-3.1.2-3] */
    {3, NO_CONNACK, CLOSE_MALFORMED_PACKET, BYTES("\0\6MQIsdp\3\3\0\0\0\1a")},
    {4, NO_CONNACK, CLOSE_MALFORMED_PACKET, BYTES("\0\4MQTT\4\3\0\0\0\1a")},
    {5, 0x81, CLOSE_MALFORMED_PACKET, BYTES("\0\4MQTT\5\3\0\0\0\0\1a")},
    /* Will QoS 3; Will QoS or Retain without a Will; Password without a User Name in 3.1.1 */
    {4, NO_CONNACK, CLOSE_MALFORMED_PACKET, BYTES("\0\4MQTT\4\x1e\0\0\0\1a\0\1t\0\0")},
    {5, 0x81, CLOSE_MALFORMED_PACKET, BYTES("\0\4MQTT\5\x1e\0\0\0\0\1a\0\0\1t\0\0")},
    {4, NO_CONNACK, CLOSE_MALFORMED_PACKET, BYTES("\0\4MQTT\4\x0a\0\0\0\1a")},
    {5, 0x81, CLOSE_MALFORMED_PACKET, BYTES("\0\4MQTT\5\x22\0\0\0\0\1a")},
    {4, NO_CONNACK, CLOSE_MALFORMED_PACKET, BYTES("\0\4MQTT\4\x42\0\0\0\1a\0\1p")},
    /* cut off, too long, not UTF-8 [v5 MQTT-3.1.4-1] */
    {3, NO_CONNACK, CLOSE_MALFORMED_PACKET, BYTES("\0\6MQIsdp\3\2\0\0\0\2a")},
    {4, NO_CONNACK, CLOSE_MALFORMED_PACKET, BYTES("\0\4MQTT\4\2\0\0\0\2a")},
    {4, NO_CONNACK, CLOSE_MALFORMED_PACKET, BYTES("\0\4MQTT\4\2\0\0\0\1a!")},
    {4, NO_CONNACK, CLOSE_MALFORMED_PACKET, BYTES("\0\4MQTT\4\2\0\0\0\1\xc0")},
    {5, 0x81, CLOSE_MALFORMED_PACKET, BYTES("\0\4MQTT\5\2\0")},
    {5, 0x81, CLOSE_MALFORMED_PACKET, BYTES("\0\4MQTT\5\2\0\0\0\0\1a!")},
    {5, 0x81, CLOSE_MALFORMED_PACKET, BYTES("\0\4MQTT\5\2\0\0\0\0\3\xed\xa0\x80")},
    {5, 0x81, CLOSE_MALFORMED_PACKET, BYTES("\0\4MQTT\5\2\0\0\0\0\1\0")},
    /* properties: foreign, twice, Receive Maximum 0, Maximum Packet Size 0, data without method */
    {5, 0x81, CLOSE_MALFORMED_PACKET, BYTES("\0\4MQTT\5\2\0\0\3\x23\0\1\0\1a")},
    {5, 0x82, CLOSE_PROTOCOL_ERROR, BYTES("\0\4MQTT\5\2\0\0\4\x17\0\x17\0\0\1a")},
    {5, 0x82, CLOSE_PROTOCOL_ERROR, BYTES("\0\4MQTT\5\2\0\0\3\x21\0\0\0\1a")},
    {5, 0x82, CLOSE_PROTOCOL_ERROR, BYTES("\0\4MQTT\5\2\0\0\5\x27\0\0\0\0\0\1a")},
    {5, 0x82, CLOSE_PROTOCOL_ERROR, BYTES("\0\4MQTT\5\2\0\0\4\x16\0\1d\0\1a")},
    /* Will Topic: wildcard, empty [v5 MQTT-4.7.0-1] [v3 MQTT-4.7.1-1] */
    {3, NO_CONNACK, CLOSE_BAD_TOPIC, BYTES("\0\6MQIsdp\3\6\0\0\0\1a\0\1#\0\0")},
    {4, NO_CONNACK, CLOSE_BAD_TOPIC, BYTES("\0\4MQTT\4\6\0\0\0\1a\0\1+\0\0")},
    {5, 0x90, CLOSE_BAD_TOPIC, BYTES("\0\4MQTT\5\6\0\0\0\0\1a\0\0\1+\0\0")},
    {5, 0x82, CLOSE_PROTOCOL_ERROR, BYTES("\0\4MQTT\5\6\0\0\0\0\1a\0\0\0\0\0")},
    /* client identifiers [v3 MQTT-3.1.3-8] [v3 MQTT-3.1.3-9] */
    {3, 2, CLOSE_BAD_CLIENT_ID, BYTES("\0\6MQIsdp\3\2\0\0\0\0")},
    {3, 2, CLOSE_BAD_CLIENT_ID, BYTES("\0\6MQIsdp\3\2\0\0\0\x18qwertzuiopasdfghjklyxcvb")},
    {4, 2, CLOSE_BAD_CLIENT_ID, BYTES("\0\4MQTT\4\0\0\0\0\0")},
};

static void test_broken_connect(void)
{
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        struct net n;
        struct client *c;

        net_init(&n, 1, NULL);
        c = net_open(&n, 0, broken[i].version);
        send_connect_body(c, &broken[i].body);
        CHECK_ROW_INT(i, c->why, broken[i].why);
        client_expect_refusal(c, broken[i].code);
        CHECK_ROW_INT(i, net_closes(&n, broken[i].why), 1);
        CHECK_ROW_INT(i, COUNT_GET(&n.broker->shards[0]->counters, connects_refused), 1);
        CHECK_ROW_INT(i, COUNT_GET(&n.broker->shards[0]->counters, publishes_received), 0);
        CHECK_ROW_INT(i, retained_count(n.broker->shards[0]), 0);
        net_fini(&n);
    }
}

/* Whatever comes first and is no CONNECT ends the connection, without a byte in answer. */
static void test_not_a_connect(void)
{
    static const uint8_t second[] = {0, 2, 0x80, 0xff};

    for (unsigned head = 0; head <= 0xff; head++) {
        for (size_t i = 0; i < sizeof second; i++) {
            const uint8_t packet[] = {(uint8_t)head, second[i], 0xff, 0xff, 0xff, 0xff};
            struct net n;
            struct client *c;

            if (head == 0x10)
                continue;
            net_init(&n, 1, NULL);
            c = net_open(&n, 0, 5);
            client_send(c, packet, sizeof packet);
            CHECK_ROW_INT(head, c->why,
                          head >> 4 == MQTT_CONNECT ? CLOSE_MALFORMED_PACKET : CLOSE_NOT_A_CONNECT);
            client_expect_refusal(c, NO_CONNACK);
            net_fini(&n);
        }
    }
}

/* A CONNECT of an unknown version: cut off within the name, or larger than any CONNECT needs,
 * whatever the limit for packets is. */
static void test_versionless_connect(void)
{
    static const struct {
        enum close_reason why;
        struct bytes packet;
    } rows[] = {
        {CLOSE_MALFORMED_PACKET, BYTES("\x10\0")},
        {CLOSE_MALFORMED_PACKET, BYTES("\x10\4\0\4MQ")},
        {CLOSE_PACKET_TOO_LARGE, BYTES("\x10\x80\x80\x80\1")},
    };
    struct broker_config config = broker_config_default();

    config.max_packet_size = 16u << 20;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct net n;
        struct client *c;

        net_init(&n, 1, &config);
        c = net_open(&n, 0, 5);
        client_send(c, rows[i].packet.p, rows[i].packet.len);
        CHECK_ROW_INT(i, c->why, rows[i].why);
        client_expect_refusal(c, NO_CONNACK);
        net_fini(&n);
    }
}

static void second_connect(int version)
{
    struct net n;
    struct client *c, *watch;
    struct mqtt_packet p;

    net_init(&n, 1, NULL);
    watch = net_client(&n, 0, 5, "watch");
    client_subscribe(watch, "will", 0);
    c = net_connect(&n, 0, version,
                    &(struct connect_options){
                        .id = "c", .clean = true, .will_topic = "will", .will_payload = "gone"},
                    NULL);
    client_connect_packet(&p, version, &(struct connect_options){.id = "other", .clean = true});
    client_send_packet(c, &p);
    client_expect_disconnect(c, MQTT_RC_PROTOCOL_ERROR); /* [v5 MQTT-3.1.0-2] [v3 MQTT-3.1.0-2] */
    client_expect_publish(watch, "will", "gone", 0, false);
    net_fini(&n);
}

static void test_second_connect(void)
{
    each_version(second_connect);
}

/* ---- time and number ---- */

static void test_timeout(void)
{
    static const uint8_t part[] = {0x10, 0x0d, 0, 4, 'M', 'Q', 'T', 'T', 5};

    for (size_t sent = 0; sent <= sizeof part; sent++) {
        struct net n;
        struct client *c;

        net_init(&n, 1, NULL);
        c = net_open(&n, 0, 5);
        net_sleep(&n, 5000);
        client_send(c, part, sent); /* a part of a packet is none */
        net_sleep(&n, 4999);
        CHECK(!c->closed);
        net_sleep(&n, 1);
        CHECK_INT(c->why, CLOSE_CONNECT_TIMEOUT);
        client_expect_refusal(c, NO_CONNACK);
        net_fini(&n);
    }
}

static void test_timeout_is_over_with_connect(void)
{
    struct net n;
    struct client *c;

    net_init(&n, 1, NULL);
    c = net_client(&n, 0, 5, "c");
    net_sleep(&n, 100000);
    CHECK(!c->closed && client_quiet(c));
    net_fini(&n);
}

/* Connections that are not let in at all. */
static void test_admission(void)
{
    struct broker_config config = broker_config_default();
    struct net n;
    struct client *a, *b, *c;

    config.max_connections = 2;
    net_init(&n, 1, &config);
    a = net_client(&n, 0, 5, "a");
    b = net_open(&n, 0, 4);
    c = net_open(&n, 0, 5);
    CHECK(a->conn != NULL && b->conn != NULL && c->conn == NULL);
    CHECK_INT(c->why, CLOSE_BUSY);
    client_free(c);
    client_drop(b);
    n.broker->memory_pressure = MEMORY_HIGH;
    c = net_open(&n, 0, 5);
    CHECK(c->conn != NULL);
    client_drop(c);
    n.broker->memory_pressure = MEMORY_FULL;
    c = net_open(&n, 0, 5);
    CHECK(c->conn == NULL);
    CHECK_INT(c->why, CLOSE_BUSY);
    client_free(c);
    n.broker->memory_pressure = MEMORY_OK;
    n.broker->draining = true;
    c = net_open(&n, 0, 5);
    CHECK(c->conn == NULL);
    CHECK_INT(c->why, CLOSE_SHUTTING_DOWN);
    client_free(c);
    net_fini(&n);
}

/* ---- client identifiers ---- */

static void test_client_ids(void)
{
    static const char alphabet[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static char long_id[65536];
    static const struct {
        int first_version;
        const char *id;
    } rows[] = {
        {3, "a"}, /* [v5 MQTT-3.1.3-5] [v3 MQTT-3.1.3-5] */
        {3, "0123456789abcdefghijkl"},
        {3, "mnopqrstuvwxyzABCDEFGHI"},
        {3, "JKLMNOPQRSTUVWXYZ"},
        {3, "\xc3\xa4\xc3\xb6\xc3\xbc/+# $"},
        {3, "\xef\xbb\xbf\xef\xbb\xbf"}, /* [v5 MQTT-1.5.4-3] [v3 MQTT-1.5.3-3] */
        {4, alphabet},
        {4, long_id},
    };

    memset(long_id, 'x', sizeof long_id - 1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int version = rows[i].first_version; version <= 5; version++) {
            struct connect_options o = {.id = rows[i].id, .expiry_s = version == 5 ? 60 : 0};
            struct net n;
            bool present;

            net_init(&n, 1, NULL);
            client_disconnect(net_connect(&n, 0, version, &o, &present), 0);
            CHECK_ROW(i, !present);
            CHECK_ROW(i, session_find(n.broker->shards[0], text_str(rows[i].id)) != NULL);
            net_fini(&n);
        }
    }
}

/* Identifiers are compared byte by byte [v5 MQTT-3.1.3-2] [v3 MQTT-3.1.3-2]. */
static void test_client_ids_differ(void)
{
    static const char bom[] = {'\xef', '\xbb', '\xbf', 'a', '\0'};
    static const char *const ids[] = {"a", "A", "a ", "aa", bom};
    struct net n;

    net_init(&n, 1, NULL);
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        bool present = true;

        net_connect(&n, 0, 4, &(struct connect_options){.id = ids[i]}, &present);
        CHECK_ROW(i, !present);
    }
    CHECK_INT(net_closes(&n, CLOSE_TAKEN_OVER), 0);
    net_fini(&n);
}

/* An identifier of the broker's is told to a 5.0 client, and is as good as one of its own
 * [v5 MQTT-3.1.3-6] [v5 MQTT-3.1.3-7] [v5 MQTT-3.2.2-16] [v3 MQTT-3.1.3-6]. */
static void test_assigned_id(void)
{
    struct net n;
    struct mqtt_packet connect, p;
    struct client *c;
    char ids[8][64] = {""};
    bool present;

    net_init(&n, 1, NULL);
    client_connect_packet(&connect, 5, &(struct connect_options){.id = "", .expiry_s = 60});
    for (unsigned i = 0; i < 8; i++) {
        connect.connect.clean_start = i % 2 != 0;
        c = net_try_connect(&n, 5, &connect);
        client_expect(c, MQTT_CONNACK, &p);
        CHECK_INT(p.connack.reason, 0);
        CHECK(!p.connack.session_present);
        CHECK(MQTT_HAS(&p.connack.props, assigned_client_id));
        snprintf(ids[i], sizeof ids[i], "%.*s", (int)p.connack.props.assigned_client_id.len,
                 (const char *)p.connack.props.assigned_client_id.p);
        for (unsigned k = 0; k < i; k++)
            CHECK(strcmp(ids[i], ids[k]) != 0);
    }
    client_connect_packet(&connect, 4, &(struct connect_options){.id = "", .clean = true});
    for (unsigned i = 0; i < 2; i++)
        client_expect(net_try_connect(&n, 4, &connect), MQTT_CONNACK, &p);
    CHECK_INT(net_closes(&n, CLOSE_TAKEN_OVER), 0);
    CHECK_INT(COUNT_GET(&n.broker->shards[0]->counters, sessions), 10);
    client_drop(c);
    net_connect(&n, 0, 5, &(struct connect_options){.id = ids[7], .expiry_s = 60}, &present);
    CHECK(present);
    net_fini(&n);
}

/* ---- sessions ---- */

/* Clean Start against a session that is there, connected or not, and one that is not
 * [v5 MQTT-3.1.2-4] to [v5 MQTT-3.1.2-6], [v5 MQTT-3.2.2-2] [v5 MQTT-3.2.2-3] [v5 MQTT-3.1.4-4]
 * [v3 MQTT-3.1.2-6] [v3 MQTT-3.2.2-1] to [v3 MQTT-3.2.2-3], [v3 MQTT-3.1.4-3]. */
static void clean_start(int version)
{
    enum { NONE, OFFLINE, ONLINE };

    for (int before = NONE; before <= ONLINE; before++) {
        for (int clean = 0; clean <= 1; clean++) {
            struct connect_options o = {.id = "c", .expiry_s = 60};
            struct net n;
            struct client *old, *pub, *c;
            bool present, kept = before != NONE && !clean;

            net_init(&n, 1, NULL);
            pub = net_client(&n, 0, version, "pub");
            if (before != NONE) {
                old = net_connect(&n, 0, version, &o, &present);
                CHECK(!present);
                client_subscribe(old, "t", 1);
                client_publish(pub, "t", "inflight", 1, false);
                client_expect_publish(old, "t", "inflight", 1, false);
            }
            if (before == OFFLINE) {
                client_drop(old);
                client_publish(pub, "t", "queued", 1, false);
            }
            o.clean = clean != 0;
            c = net_connect(&n, 0, version, &o, &present);
            CHECK_INT(present, kept && version != 3); /* 3.1 has no such flag */
            if (before == ONLINE)
                client_expect_disconnect(old, MQTT_RC_SESSION_TAKEN_OVER);
            if (kept)
                client_expect_publish(c, "t", "inflight", 1, true);
            if (kept && before == OFFLINE)
                client_expect_publish(c, "t", "queued", 1, true);
            client_publish(pub, "t", "live", 0, false);
            if (kept)
                client_expect_publish(c, "t", "live", 0, false);
            CHECK(client_quiet(c));
            net_fini(&n);
        }
    }
}

static void test_clean_start(void)
{
    each_version(clean_start);
}

/* The later connection of a client wins, whatever versions both speak [v5 MQTT-3.1.4-3]
 * [v3 MQTT-3.1.4-2]. */
static void test_takeover(void)
{
    for (int first = 3; first <= 5; first++) {
        for (int second = 3; second <= 5; second++) {
            struct net n;
            struct client *a, *b;

            net_init(&n, 1, NULL);
            a = net_client(&n, 0, first, "c");
            b = net_client(&n, 0, second, "c");
            client_expect_disconnect(a, MQTT_RC_SESSION_TAKEN_OVER);
            client_subscribe(b, "t", 0);
            CHECK_INT(COUNT_GET(&n.broker->shards[0]->counters, takeovers), 1);
            CHECK_INT(COUNT_GET(&n.broker->shards[0]->counters, sessions), 1);
            net_fini(&n);
        }
    }
}

/* A session continues with a client that speaks another version: subscriptions keep their options.
 */
static void test_change_of_version(void)
{
    for (int first = 3; first <= 5; first++) {
        for (int second = 3; second <= 5; second++) {
            struct net n;
            struct client *c, *pub;
            struct mqtt_packet p;

            net_init(&n, 1, NULL);
            pub = net_client(&n, 0, 5, "pub");
            c = net_connect(&n, 0, first, &(struct connect_options){.id = "c", .expiry_s = 60},
                            NULL);
            if (first == 5)
                client_subscribe_id(c, "t", 1 | MQTT_SUB_RETAIN_AS_PUBLISHED, 7);
            else
                client_subscribe(c, "t", 1);
            client_drop(c);
            client_publish(pub, "t", "x", 1, true);
            c = net_connect(&n, 0, second, &(struct connect_options){.id = "c", .expiry_s = 60},
                            NULL);
            client_expect(c, MQTT_PUBLISH, &p);
            CHECK_INT(p.publish.retain, first == 5);
            if (second == 5)
                CHECK_INT(MQTT_HAS(&p.publish.props, subscription_id), first == 5);
            net_fini(&n);
        }
    }
}

/* Let time pass at one stroke: it is long. */
static void jump(struct net *n, uint64_t ms)
{
    env_test_sleep(&n->env, ms);
    net_run(n);
}

#define NEVER     UINT32_MAX
#define UNASKED   (NEVER - 1)
#define A_YEAR_MS UINT64_C(31536000000)

/* asked: in the CONNECT, or UNASKED; changed: in the DISCONNECT; ends_ms: after the connection
 * [v5 MQTT-3.1.2-23] [v5 MQTT-4.1.0-2]. */
static const struct {
    uint32_t asked, max, changed;
    uint64_t ends_ms;
} expiries[] = {
    {UNASKED, NEVER, UNASKED, 0},
    {0, NEVER, UNASKED, 0},
    {1, NEVER, UNASKED, 1000},
    {3600, NEVER, UNASKED, 3600000},
    {NEVER, NEVER, UNASKED, A_YEAR_MS},
    {NEVER - 2, NEVER, UNASKED, (NEVER - 2) * UINT64_C(1000)},
    /* the server's own limit */
    {3600, 10, UNASKED, 10000},
    {NEVER, 10, UNASKED, 10000},
    {10, 10, UNASKED, 10000},
    {3600, 0, UNASKED, 0},
    /* by DISCONNECT: shorter, longer, at once, never */
    {3600, NEVER, 5, 5000},
    {5, NEVER, 3600, 3600000},
    {3600, NEVER, 0, 0},
    {5, NEVER, NEVER, A_YEAR_MS},
    {5, 60, 3600, 60000},
    {5, 60, NEVER, 60000},
    {0, NEVER, 0, 0},
};

static void test_session_expiry(void)
{
    for (size_t i = 0; i < sizeof expiries / sizeof expiries[0]; i++) {
        struct broker_config config = broker_config_default();
        struct net n;
        struct mqtt_packet p;
        struct client *c;
        uint32_t asked = expiries[i].asked == UNASKED ? 0 : expiries[i].asked;
        bool capped = asked > expiries[i].max;

        config.max_session_expiry_s = expiries[i].max;
        net_init(&n, 1, &config);
        client_connect_packet(&p, 5, &(struct connect_options){.id = "c"});
        if (expiries[i].asked != UNASKED)
            MQTT_SET(&p.connect.props, session_expiry_s, asked);
        c = net_try_connect(&n, 5, &p);
        client_expect(c, MQTT_CONNACK, &p);
        CHECK_ROW_INT(i, MQTT_HAS(&p.connack.props, session_expiry_s), capped);
        if (capped)
            CHECK_ROW_INT(i, p.connack.props.session_expiry_s, expiries[i].max);
        jump(&n, 7200000); /* it does not end while the client is there [v5 MQTT-4.1.0-1] */
        client_subscribe(c, "t", 0);
        if (expiries[i].changed != UNASKED) {
            p = (struct mqtt_packet){.type = MQTT_DISCONNECT};
            MQTT_SET(&p.reasoned.props, session_expiry_s, expiries[i].changed);
            client_send_packet(c, &p);
            client_expect_closed(c);
        } else {
            client_drop(c);
        }
        if (expiries[i].ends_ms > 0) {
            jump(&n, expiries[i].ends_ms - 1);
            CHECK_ROW(i, session_find(n.broker->shards[0], MQTT_STR("c")) != NULL);
            jump(&n, 1);
        }
        if (expiries[i].ends_ms != A_YEAR_MS)
            CHECK_ROW(i, session_find(n.broker->shards[0], MQTT_STR("c")) == NULL);
        CHECK_ROW_INT(i, COUNT_GET(&n.broker->shards[0]->counters, sessions_expired),
                      expiries[i].ends_ms != 0 && expiries[i].ends_ms != A_YEAR_MS);
        net_fini(&n);
    }
}

/* A session that was to end with its connection cannot be given a life by DISCONNECT; the Will is
 * published, because that was no valid DISCONNECT [v5 3.14.2.2.2]. */
static void test_expiry_from_zero(void)
{
    struct net n;
    struct client *c, *watch;
    struct mqtt_packet p = {.type = MQTT_DISCONNECT};

    net_init(&n, 1, NULL);
    watch = net_client(&n, 0, 5, "watch");
    client_subscribe(watch, "will", 0);
    c = net_connect(&n, 0, 5, &(struct connect_options){.id = "c", .will_topic = "will"}, NULL);
    MQTT_SET(&p.reasoned.props, session_expiry_s, 1);
    client_send_packet(c, &p);
    client_expect_disconnect(c, MQTT_RC_PROTOCOL_ERROR);
    client_expect_publish(watch, "will", "", 0, false);
    CHECK(session_find(n.broker->shards[0], MQTT_STR("c")) == NULL);
    net_fini(&n);
}

/* Each CONNECT sets the interval anew, and to be connected stops it. */
static void test_latest_expiry_counts(void)
{
    struct connect_options o = {.id = "c", .expiry_s = 10};
    struct net n;
    bool present;

    net_init(&n, 1, NULL);
    client_drop(net_connect(&n, 0, 5, &o, NULL));
    jump(&n, 9999);
    o.expiry_s = 5;
    client_drop(net_connect(&n, 0, 5, &o, &present));
    CHECK(present);
    jump(&n, 4999);
    o.expiry_s = 0;
    client_drop(net_connect(&n, 0, 5, &o, &present));
    CHECK(present);
    net_connect(&n, 0, 5, &o, &present);
    CHECK(!present);
    net_fini(&n);
}

/* CleanSession 0 is a session without end, as long as the server allows [v3 MQTT-3.1.2-4]. */
static void test_v3_sessions_last(void)
{
    for (int version = 3; version <= 4; version++) {
        struct broker_config config = broker_config_default();
        struct net n;

        net_init(&n, 1, NULL);
        client_disconnect(net_connect(&n, 0, version, &(struct connect_options){.id = "c"}, NULL),
                          0);
        jump(&n, A_YEAR_MS);
        CHECK(session_find(n.broker->shards[0], MQTT_STR("c")) != NULL);
        client_disconnect(net_client(&n, 0, version, "c"), 0);
        CHECK(session_find(n.broker->shards[0], MQTT_STR("c")) == NULL);
        net_fini(&n);

        config.max_session_expiry_s = 60;
        net_init(&n, 1, &config);
        client_disconnect(net_connect(&n, 0, version, &(struct connect_options){.id = "c"}, NULL),
                          0);
        jump(&n, 59999);
        CHECK(session_find(n.broker->shards[0], MQTT_STR("c")) != NULL);
        jump(&n, 1);
        CHECK(session_find(n.broker->shards[0], MQTT_STR("c")) == NULL);
        net_fini(&n);
    }
}

/* ---- CONNACK ---- */

/* The CONNACK that a CONNECT gets; only its numbers outlive the call. */
static struct mqtt_props connack(const struct broker_config *config,
                                 const struct mqtt_packet *connect)
{
    struct net n;
    struct mqtt_packet p;

    net_init(&n, 1, config);
    client_expect(net_try_connect(&n, 5, connect), MQTT_CONNACK, &p);
    CHECK_INT(p.connack.reason, 0);
    net_fini(&n);
    return p.connack.props;
}

#define BIT(name) (UINT64_C(1) << MQTT_PROP_##name)
#define USUAL     (BIT(maximum_packet_size) | BIT(topic_alias_maximum))

/* What differs from the standard's defaults is announced, nothing else [v5 MQTT-3.2.2-9]. */
static void test_connack_limits(void)
{
    struct broker_config d = broker_config_default(), c = d;
    struct mqtt_packet p;
    struct mqtt_props got;

    client_connect_packet(&p, 5, &(struct connect_options){.id = "c", .clean = true});
    got = connack(&d, &p);
    CHECK_INT(got.present, USUAL);
    CHECK_INT(got.maximum_packet_size, d.max_packet_size);
    CHECK_INT(got.topic_alias_maximum, d.topic_alias_maximum);

    c.topic_alias_maximum = 0;
    c.max_packet_size = 1234;
    got = connack(&c, &p);
    CHECK_INT(got.present, BIT(maximum_packet_size));
    CHECK_INT(got.maximum_packet_size, 1234);

    c = d;
    c.receive_maximum = 1;
    c.topic_alias_maximum = UINT16_MAX;
    got = connack(&c, &p);
    CHECK_INT(got.present, USUAL | BIT(receive_maximum));
    CHECK_INT(got.receive_maximum, 1);
    CHECK_INT(got.topic_alias_maximum, UINT16_MAX);

    for (uint8_t qos = 0; qos <= 1; qos++) {
        c = d;
        c.maximum_qos = qos;
        got = connack(&c, &p);
        CHECK_INT(got.present, USUAL | BIT(maximum_qos));
        CHECK_INT(got.maximum_qos, qos);
    }
    c = d;
    c.retain_available = c.wildcard_available = c.shared_available = false;
    c.subscription_id_available = false;
    got = connack(&c, &p);
    CHECK_INT(got.present, USUAL | BIT(retain_available) | BIT(wildcard_available) |
                               BIT(shared_available) | BIT(subscription_id_available));
    CHECK_INT(got.retain_available | got.wildcard_available | got.shared_available |
                  got.subscription_id_available,
              0);
}

/* A listener may have its own limit. */
static void test_packet_size_of_listener(void)
{
    struct transport_peer peer = net_peer();
    uint8_t packet[32] = {0x30, 30, 0, 1, 't'};
    struct net n;
    struct mqtt_packet p;
    struct client *c;

    peer.max_packet_size = 31;
    net_init(&n, 1, NULL);
    c = net_open_from(&n, 0, 5, peer);
    client_connect_packet(&p, 5, &(struct connect_options){.id = "c", .clean = true});
    client_send_packet(c, &p);
    client_expect(c, MQTT_CONNACK, &p);
    CHECK_INT(p.connack.props.maximum_packet_size, 31);
    packet[1] = 29;
    client_send(c, packet, 31);
    CHECK(!c->closed);
    packet[1] = 30;
    client_send(c, packet, 2); /* no more is needed to see it */
    client_expect_disconnect(c, MQTT_RC_PACKET_TOO_LARGE);
    net_fini(&n);
}

/* asked, longest allowed, in force [v5 MQTT-3.1.2-21] [v5 MQTT-3.2.2-21] [v5 MQTT-3.2.2-22]. */
static void test_server_keep_alive(void)
{
    static const struct {
        uint16_t asked, max, told;
    } rows[] = {{60, 0, 0},
                {0, 0, 0},
                {UINT16_MAX, 0, 0},
                {60, 60, 0},
                {61, 60, 60},
                {0, 60, 60},
                {1, 60, 0},
                {UINT16_MAX, 60, 60},
                {0, UINT16_MAX, UINT16_MAX}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct broker_config c = broker_config_default();
        struct mqtt_packet p;
        struct mqtt_props got;

        c.max_keep_alive_s = rows[i].max;
        client_connect_packet(
            &p, 5,
            &(struct connect_options){.id = "c", .clean = true, .keep_alive_s = rows[i].asked});
        got = connack(&c, &p);
        CHECK_ROW_INT(i, got.present, USUAL | (rows[i].told != 0 ? BIT(server_keep_alive_s) : 0));
        if (rows[i].told != 0)
            CHECK_ROW_INT(i, got.server_keep_alive_s, rows[i].told);
    }
}

/* Response Information is for those who ask [v5 MQTT-3.1.2-28]. */
static void test_response_information(void)
{
    for (int asked = -1; asked <= 1; asked++) {
        for (int configured = 0; configured <= 1; configured++) {
            struct broker_config c = broker_config_default();
            struct mqtt_packet p;

            if (configured)
                snprintf(c.response_information, sizeof c.response_information, "reply/to/me");
            client_connect_packet(&p, 5, &(struct connect_options){.id = "c", .clean = true});
            if (asked >= 0)
                MQTT_SET(&p.connect.props, request_response_info, (uint8_t)asked);
            CHECK_INT(connack(&c, &p).present,
                      USUAL | (asked == 1 && configured ? BIT(response_info) : 0));
        }
    }
}

/* Nothing the broker sends is larger than the client takes [v5 MQTT-3.1.2-24]: reason strings are
 * left out [v5 MQTT-3.2.2-19] [v5 MQTT-3.14.2-3], and a client that cannot even take its CONNACK is
 * not served. */
static void test_small_clients(void)
{
    struct broker_config config = broker_config_default();
    uint32_t connack_size = 2 + 3 + 5 + 3; /* head, flags and so on, what USUAL takes */

    for (uint32_t max = 1; max <= connack_size + 1; max++) {
        struct connect_options o = {.id = "c", .clean = true, .maximum_packet_size = max};
        struct net n;
        struct client *c;
        struct mqtt_packet p;

        net_init(&n, 1, &config);
        client_connect_packet(&p, 5, &o);
        c = net_try_connect(&n, 5, &p);
        if (max < connack_size) {
            CHECK_ROW_INT(max, c->why, CLOSE_PACKET_TOO_LARGE);
            client_expect_refusal(c, max < 5 ? NO_CONNACK : MQTT_RC_PACKET_TOO_LARGE);
            CHECK_ROW(max, session_find(n.broker->shards[0], MQTT_STR("c")) == NULL);
        } else {
            client_expect(c, MQTT_CONNACK, &p);
            CHECK_ROW_INT(max, p.connack.reason, 0);
            client_connect_packet(&p, 5, &o);
            client_send_packet(c, &p);
            client_expect_disconnect(c, MQTT_RC_PROTOCOL_ERROR);
        }
        net_fini(&n);
    }
}

/* What a client sends right behind its CONNECT waits for nothing. */
static void pipelined(int version)
{
    struct net n;
    struct client *c;
    struct mqtt_packet p;
    uint8_t data[256];
    size_t len;

    net_init(&n, 1, NULL);
    c = net_open(&n, 0, version);
    client_connect_packet(&p, version, &(struct connect_options){.id = "c", .clean = true});
    len = mqtt_encode(&p, version, data, sizeof data);
    p = (struct mqtt_packet){.type = MQTT_SUBSCRIBE};
    p.subscribe.packet_id = 1;
    p.subscribe.filters = MQTT_STR("\0\1t\1");
    len += mqtt_encode(&p, version, data + len, sizeof data - len);
    p = (struct mqtt_packet){.type = MQTT_PUBLISH};
    p.publish.topic = MQTT_STR("t");
    p.publish.payload = MQTT_STR("x");
    len += mqtt_encode(&p, version, data + len, sizeof data - len);
    p = (struct mqtt_packet){.type = MQTT_PINGREQ};
    len += mqtt_encode(&p, version, data + len, sizeof data - len);
    client_send(c, data, len);
    client_expect(c, MQTT_CONNACK, &p);
    client_expect(c, MQTT_SUBACK, &p);
    client_expect_publish(c, "t", "x", 0, false);
    client_expect(c, MQTT_PINGRESP, &p); /* [v5 MQTT-3.12.4-1] [v3 MQTT-3.12.4-1] */
    CHECK_INT(c->writes, 1);
    net_fini(&n);
}

static void test_pipelined(void)
{
    each_version(pipelined);
}

/* ---- packets out of place ---- */

/* Packets that only a server sends, reserved types and flags, lengths that are none. Each closes
 * the connection that it came on, and that one alone [v5 MQTT-4.13.1-1] [v5 MQTT-2.1.3-1]
 * [v5 MQTT-1.5.5-1] [v3 MQTT-4.8.0-1] [v3 MQTT-2.2.2-2]. A reason of 0: no fault of this version.
 */
static const struct {
    uint8_t v31, v311, v5;
    struct bytes packet;
} faults[] = {
    {0x82, 0x82, 0x82, BYTES("\x20\2\0\0")},       /* CONNACK */
    {0x82, 0x82, 0x82, BYTES("\x90\3\0\1\0")},     /* SUBACK */
    {0x82, 0x82, 0x82, BYTES("\xb0\2\0\1")},       /* UNSUBACK */
    {0x82, 0x82, 0x82, BYTES("\xd0\0")},           /* PINGRESP */
    {0x81, 0x81, 0x81, BYTES("\0\0")},             /* type 0 */
    {0x81, 0x81, 0x82, BYTES("\xf0\0")},           /* type 15; an AUTH without a method */
    {0x81, 0x81, 0x81, BYTES("\xf1\0")},           /* [v5 MQTT-3.15.1-1] */
    {0x81, 0x81, 0x81, BYTES("\x36\4\0\1t\0")},    /* QoS 3 [v5 MQTT-3.3.1-4] [v3 MQTT-3.3.1-4] */
    {0x81, 0x81, 0x81, BYTES("\x38\4\0\1t\0")},    /* DUP at QoS 0 [v5 MQTT-3.3.1-2] */
    {0x81, 0x81, 0x81, BYTES("\x41\2\0\1")},       /* flags: PUBACK */
    {0x81, 0x81, 0x81, BYTES("\x60\2\0\1")},       /* [v5 MQTT-3.6.1-1] [v3 MQTT-3.6.1-1] */
    {0x81, 0x81, 0x81, BYTES("\x80\5\0\1\0\0\0")}, /* [v5 MQTT-3.8.1-1] [v3 MQTT-3.8.1-1] */
    {0x81, 0x81, 0x81, BYTES("\xa0\5\0\1\0\1t")},  /* [v5 MQTT-3.10.1-1] [v3 MQTT-3.10.1-1] */
    {0x00, 0x81, 0x81, BYTES("\x6a\2\0\1")},       /* DUP on PUBREL: in 3.1 only */
    {0x81, 0x81, 0x81, BYTES("\xc1\0")},           /* PINGREQ */
    {0x81, 0x81, 0x81, BYTES("\xe1\0")},           /* [v5 MQTT-3.14.1-1] [v3 MQTT-3.14.1-1] */
    {0x81, 0x81, 0x81, BYTES("\xc0\x80\0")},       /* Remaining Length: not the shortest form */
    {0x81, 0x81, 0x81, BYTES("\x30\xff\xff\xff\xff")}, /* and of five bytes */
    {0x81, 0x81, 0x81, BYTES("\xc0\1\0")},             /* a PINGREQ with a body */
    {0x81, 0x81, 0x81, BYTES("\x40\1\0")},             /* half an identifier */
    {0x82, 0x82, 0x82, BYTES("\x32\6\0\1t\0\0\0")},    /* identifier 0 [v5 MQTT-2.2.1-3] */
    {0x82, 0x82, 0x82, BYTES("\x30\3\0\0\0")},         /* no topic [v5 MQTT-4.7.3-1] */
    {0x90, 0x90, 0x90, BYTES("\x30\4\0\1+\0")},        /* [v5 MQTT-3.3.2-2] [v3 MQTT-3.3.2-2] */
    {0x81, 0x81, 0x81, BYTES("\x30\4\0\1\0\0")}, /* U+0000 [v5 MQTT-1.5.4-2] [v3 MQTT-1.5.3-2] */
    {0x81, 0x81, 0x81, BYTES("\x30\5\0\2\xc0\x80\0")}, /* [v5 MQTT-1.5.4-1] [v3 MQTT-1.5.3-1] */
    {0x81, 0x81, 0x81, BYTES("\x30\3\0\2t")},          /* [v5 MQTT-3.3.2-1] [v3 MQTT-3.3.2-1] */
    {0x95, 0x95, 0x95, BYTES("\x30\x80\x80\x80\x01")}, /* larger than the server takes */
    {0x00, 0x00, 0x82, BYTES("\x62\3\0\1\x80")},       /* a reason that PUBREL has not */
    {0x00, 0x00, 0x82, BYTES("\xe0\1\3")},             /* nor DISCONNECT [v5 MQTT-3.14.2-1] */
    {0x00, 0x00, 0x82, BYTES("\xe0\1\x8e")},           /* nor a client's */
};

static void test_faults(void)
{
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        const uint8_t reasons[] = {faults[i].v31, faults[i].v311, faults[i].v5};

        for (int version = 3; version <= 5; version++) {
            uint8_t reason = reasons[version - 3];
            struct net n;
            struct client *c, *watch;

            if (reason == 0)
                continue;
            net_init(&n, 1, NULL);
            watch = net_client(&n, 0, version, "watch");
            client_subscribe(watch, "#", 0);
            c = net_connect(
                &n, 0, version,
                &(struct connect_options){.id = "c", .clean = true, .will_topic = "will"}, NULL);
            client_send(c, faults[i].packet.p, faults[i].packet.len);
            CHECK_ROW_INT(i, close_info(c->why)->mqtt5, reason);
            client_expect_disconnect(c, reason);
            client_expect_publish(watch, "will", "", 0, false);
            CHECK_ROW(i, client_quiet(watch) && !watch->closed);
            net_fini(&n);
        }
    }
}

TEST_MAIN(test_broken_connect, test_not_a_connect, test_versionless_connect, test_second_connect,
          test_timeout, test_timeout_is_over_with_connect, test_admission, test_client_ids,
          test_client_ids_differ, test_assigned_id, test_clean_start, test_takeover,
          test_change_of_version, test_session_expiry, test_expiry_from_zero,
          test_latest_expiry_counts, test_v3_sessions_last, test_connack_limits,
          test_packet_size_of_listener, test_server_keep_alive, test_response_information,
          test_small_clients, test_pipelined, test_faults)

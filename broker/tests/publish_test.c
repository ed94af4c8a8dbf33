/* publish_test: what a PUBLISH carries from one client to another: properties, aliases, expiry,
 * size; what is refused; retained messages.                                              [v5 3.3]
 * [v3 3.3] */
#include "base/test.h"
#include "broker/retained.h"
#include "mqtt/encode.h"
#include "net_support.h"

#define HAS_NOT(props, name) (!MQTT_HAS(props, name))

/* A PUBLISH to be completed and sent. */
static struct mqtt_packet publish_to(const char *topic, const char *payload, uint8_t qos)
{
    static uint16_t id;
    struct mqtt_packet p = {.type = MQTT_PUBLISH};

    p.publish.topic = text_str(topic);
    p.publish.payload = text_str(payload);
    p.publish.qos = qos;
    p.publish.packet_id = qos > 0 ? ++id : 0;
    return p;
}

/* The next packet is a PUBLISH; its views are good until more comes. */
static struct mqtt_publish expect_message(struct client *c)
{
    struct mqtt_packet p;

    return client_expect(c, MQTT_PUBLISH, &p) ? p.publish : (struct mqtt_publish){.qos = 9};
}

/* The next packet is this answer to a PUBLISH at QoS 1 or 2; it may have a Reason String. */
static bool expect_answer(struct client *c, uint8_t qos, uint8_t reason)
{
    struct mqtt_packet p;

    if (!client_expect(c, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, &p))
        return false;
    CHECK_INT(p.ack.reason, c->version == 5 ? reason : 0);
    return MQTT_HAS(&p.ack.props, reason_string);
}

/* ---- properties ---- */

#define MANY                                          \
    "\x26\0\1b\0\1"                                   \
    "1"            /* User Property */                \
    "\x03\0\4text" /* Content Type */                 \
    "\x26\0\1a\0\0"                                   \
    "\x09\0\3\0\xff\0" /* Correlation Data */         \
    "\x01\1"           /* Payload Format Indicator */ \
    "\x26\0\0\0\0"                                    \
    "\x08\0\7re/turn" /* Response Topic */            \
    "\x26\0\1b\0\1"                                   \
    "1"                                               \
    "\x26\0\3\xef\xbb\xbf\0\3\xef\xbb\xbf"

/* All of it gets to the subscriber byte by byte, in its order, now, from the queue and from the
 * retained messages; but for the expiry, which is counted down, and the alias, which is not his
 * [v5 MQTT-3.3.2-4] [v5 MQTT-3.3.2-15] to [v5 MQTT-3.3.2-18] [v5 MQTT-3.3.2-20] [v5 MQTT-1.5.4-3].
 */
static void test_properties(void)
{
    static const struct {
        const char *front, *middle;
        size_t front_len, middle_len;
    } rows[] = {
        {"", "", 0, 0},
        {"\x02\0\0\0\x1e", "", 5, 0},
        {"\x23\0\1", "\x02\0\0\0\x1e", 3, 5},
        {"", "\x23\0\1", 0, 3},
    };
    static const uint8_t many[] = MANY;
    static const size_t cut = 7; /* behind the first User Property */

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct connect_options o = {.id = "late", .expiry_s = 60};
        struct net n;
        struct client *live, *late, *pub;
        struct mqtt_packet p = publish_to("t", "x", 1);
        uint8_t sent[256];
        size_t len = 0;
        bool expires = rows[i].front[0] == 2 || rows[i].middle[0] == 2;

        memcpy(sent, rows[i].front, rows[i].front_len);
        len += rows[i].front_len;
        memcpy(sent + len, many, cut);
        len += cut;
        memcpy(sent + len, rows[i].middle, rows[i].middle_len);
        len += rows[i].middle_len;
        memcpy(sent + len, many + cut, sizeof many - 1 - cut);
        len += sizeof many - 1 - cut;
        p.publish.props.encoded = (struct mqtt_str){sent, (uint32_t)len};
        p.publish.retain = true;

        net_init(&n, 1, NULL);
        live = net_client(&n, 0, 5, "live");
        client_subscribe(live, "t", 0);
        late = net_connect(&n, 0, 5, &o, NULL);
        client_subscribe(late, "t", 1);
        client_drop(late);
        pub = net_client(&n, 0, 5, "pub");
        client_send_packet(pub, &p);
        expect_answer(pub, 1, 0);
        for (int who = 0; who < 3; who++) {
            struct client *c = live;
            struct mqtt_publish m;
            uint32_t skip = expires ? 5 : 0;

            if (who == 1) {
                c = net_connect(&n, 0, 5, &o, NULL);
            } else if (who == 2) {
                c = net_client(&n, 0, 5, "new");
                client_subscribe(c, "t", 0);
            }
            m = expect_message(c);
            CHECK_ROW_INT(i, MQTT_HAS(&m.props, message_expiry_s), expires);
            CHECK_ROW(i, HAS_NOT(&m.props, topic_alias));
            CHECK_BYTES(m.props.raw.p + skip, m.props.raw.len - skip, many, sizeof many - 1);
        }
        net_fini(&n);
    }
}

/* Between the versions: nothing of it to 3.x, an empty list to 5.0 [v5 MQTT-2.2.2-1]. */
static void across_versions(int version)
{
    struct net n;
    struct client *sub, *pub;
    struct mqtt_packet p = publish_to("t", "payload", 1);
    struct mqtt_publish m;

    net_init(&n, 1, NULL);
    sub = net_client(&n, 0, version, "sub");
    client_subscribe(sub, "t", 1);
    pub = net_client(&n, 0, 5, "pub");
    p.publish.props.encoded = (struct mqtt_str){(const uint8_t *)MANY, sizeof MANY - 1};
    client_send_packet(pub, &p);
    m = expect_message(sub);
    CHECK(mqtt_str_eq(m.payload, MQTT_STR("payload")));
    CHECK_INT(m.props.raw.len, version == 5 ? sizeof MANY - 1 : 0);
    client_publish(net_client(&n, 0, 4, "old"), "t", "x", 1, false);
    m = expect_message(sub);
    CHECK_INT(m.props.raw.len, 0);
    CHECK(mqtt_str_eq(m.payload, MQTT_STR("x")));
    net_fini(&n);
}

static void test_across_versions(void)
{
    each_version(across_versions);
}

/* ---- Topic Alias, to the broker ---- */

static void send_alias(struct client *c, const char *topic, uint16_t alias, uint8_t qos)
{
    struct mqtt_packet p = publish_to(topic, "x", qos);

    MQTT_SET(&p.publish.props, topic_alias, alias);
    client_send_packet(c, &p);
    if (qos == 1)
        client_expect(c, MQTT_PUBACK, &p);
}

/* Every alias up to the maximum can be set, used and set again [v5 MQTT-3.3.2-12]. */
static void test_alias_in(void)
{
    static const uint16_t maxima[] = {1, 32, UINT16_MAX};

    for (size_t i = 0; i < ARRAY_LEN(maxima); i++) {
        struct broker_config config = broker_config_default();
        uint16_t step = maxima[i] > 1000 ? 911 : 1;
        struct net n;
        struct client *pub, *sub;

        config.topic_alias_maximum = maxima[i];
        net_init(&n, 1, &config);
        pub = net_client(&n, 0, 5, "pub");
        sub = net_client(&n, 0, 5, "sub");
        client_subscribe(sub, "#", 1);
        for (int round = 0; round < 2; round++) {
            for (uint32_t alias = 1; alias <= maxima[i]; alias += step) {
                char topic[16];

                snprintf(topic, sizeof topic, "%d/%u", round, alias);
                send_alias(pub, topic, (uint16_t)alias, alias % 2);
                client_expect_publish(sub, topic, "x", alias % 2, true);
            }
            for (uint32_t alias = 1; alias <= maxima[i]; alias += step) {
                char topic[16];

                snprintf(topic, sizeof topic, "%d/%u", round, alias);
                send_alias(pub, "", (uint16_t)alias, 1);
                client_expect_publish(sub, topic, "x", 1, true);
            }
        }
        net_fini(&n);
    }
}

/* [v5 MQTT-3.3.2-8] [v5 MQTT-3.3.2-9] */
static void test_alias_faults(void)
{
    static const struct {
        uint16_t maximum;
        const char *topic;
        uint16_t alias;
        uint8_t reason;
    } rows[] = {
        {10, "t", 0, MQTT_RC_TOPIC_ALIAS_INVALID},  {10, "", 0, MQTT_RC_TOPIC_ALIAS_INVALID},
        {10, "t", 11, MQTT_RC_TOPIC_ALIAS_INVALID}, {10, "", 11, MQTT_RC_TOPIC_ALIAS_INVALID},
        {0, "t", 1, MQTT_RC_TOPIC_ALIAS_INVALID},   {10, "", 2, MQTT_RC_PROTOCOL_ERROR},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct broker_config config = broker_config_default();
        struct net n;
        struct client *c;

        config.topic_alias_maximum = rows[i].maximum;
        net_init(&n, 1, &config);
        c = net_client(&n, 0, 5, "c");
        if (rows[i].maximum > 0)
            send_alias(c, "t", 1, 1);
        send_alias(c, rows[i].topic, rows[i].alias, 0);
        client_expect_disconnect(c, rows[i].reason);
        net_fini(&n);
    }
}

/* It ends with the connection, not with the session [v5 MQTT-3.3.2-7]. */
static void test_alias_is_of_connection(void)
{
    struct connect_options o = {.id = "c", .expiry_s = 60};
    struct net n;
    struct client *c;

    net_init(&n, 1, NULL);
    c = net_connect(&n, 0, 5, &o, NULL);
    send_alias(c, "t", 1, 1);
    send_alias(c, "", 1, 1);
    client_drop(c);
    c = net_connect(&n, 0, 5, &o, NULL);
    send_alias(c, "", 1, 0);
    client_expect_disconnect(c, MQTT_RC_PROTOCOL_ERROR);
    net_fini(&n);
}

/* ---- Topic Alias, from the broker ---- */

/* What a client knows. */
struct known {
    char topics[64][64];
};

/* The next message is to this topic, as the client understands it; the alias used, or 0. A topic
 * that is left out must be known. */
static uint16_t expect_topic(struct client *c, struct known *k, const char *topic, uint16_t max)
{
    struct mqtt_publish m = expect_message(c);
    uint16_t alias = MQTT_HAS(&m.props, topic_alias) ? m.props.topic_alias : 0;

    CHECK(alias <= max); /* [v5 MQTT-3.1.2-26] [v5 MQTT-3.3.2-11] */
    CHECK(m.topic.len > 0 || alias > 0);
    if (alias > max || (m.topic.len == 0 && alias == 0))
        return 0;
    if (m.topic.len > 0)
        snprintf(k->topics[alias], sizeof k->topics[alias], "%.*s", (int)m.topic.len,
                 (const char *)m.topic.p);
    CHECK(strcmp(k->topics[alias], topic) == 0);
    return m.topic.len == 0 ? alias : 0;
}

/* The client's maximum and ours; 0 of either: none [v5 MQTT-3.1.2-27]. */
static void test_alias_out(void)
{
    static const struct {
        uint16_t client, broker, max;
    } rows[] = {{0, 32, 0}, {2, 0, 0}, {2, 32, 2}, {1, 32, 1}, {UINT16_MAX, 3, 3}, {40, 40, 40}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct broker_config config = broker_config_default();
        struct connect_options o = {
            .id = "sub", .clean = true, .topic_alias_maximum = rows[i].client};
        struct net n;
        struct client *pub, *sub;
        struct known known = {0};
        unsigned saved = 0;

        config.topic_alias_outgoing = rows[i].broker;
        net_init(&n, 1, &config);
        pub = net_client(&n, 0, 4, "pub");
        sub = net_connect(&n, 0, 5, &o, NULL);
        client_subscribe(sub, "#", 1);
        for (unsigned k = 0; k < 500; k++) {
            char topic[32];

            snprintf(topic, sizeof topic, "topic/%u", k * k % 97);
            client_publish(pub, topic, "x", k % 2, false);
            saved += expect_topic(sub, &known, topic, rows[i].max) != 0;
        }
        CHECK_ROW(i, (saved > 0) == (rows[i].max > 0));
        CHECK(client_quiet(sub));
        net_fini(&n);
    }
}

/* A topic that is in use keeps its alias, however many others come and go. */
static void test_alias_in_use(void)
{
    struct connect_options o = {.id = "sub", .clean = true, .topic_alias_maximum = 3};
    struct net n;
    struct client *pub, *sub;
    struct known known = {0};

    net_init(&n, 1, NULL);
    pub = net_client(&n, 0, 4, "pub");
    sub = net_connect(&n, 0, 5, &o, NULL);
    client_subscribe(sub, "#", 0);
    client_publish(pub, "hot", "x", 0, false);
    CHECK_INT(expect_topic(sub, &known, "hot", 3), 0);
    for (unsigned k = 0; k < 50; k++) {
        char topic[32];

        snprintf(topic, sizeof topic, "cold/%u", k);
        client_publish(pub, topic, "x", 0, false);
        CHECK_INT(expect_topic(sub, &known, topic, 3), 0);
        client_publish(pub, "hot", "x", 0, false);
        CHECK(expect_topic(sub, &known, "hot", 3) != 0);
    }
    net_fini(&n);
}

/* A new connection knows none: what is sent again has its topic. */
static void test_alias_out_and_reconnect(void)
{
    struct connect_options o = {.id = "sub", .expiry_s = 60, .topic_alias_maximum = 3};
    struct net n;
    struct client *pub, *sub;
    struct mqtt_publish m;

    net_init(&n, 1, NULL);
    pub = net_client(&n, 0, 4, "pub");
    for (int i = 0; i < 2; i++) {
        sub = net_connect(&n, 0, 5, &o, NULL);
        if (i == 0)
            client_subscribe(sub, "#", 1);
        for (int k = 0; k < 2 * i; k++) {
            m = expect_message(sub);
            CHECK(m.dup);
            CHECK_INT(m.topic.len, k == 0 ? 1 : 0);
        }
        client_publish(pub, "t", "x", 1, false);
        client_publish(pub, "t", "x", 1, false);
        CHECK_INT(expect_message(sub).topic.len, i == 0 ? 1 : 0);
        CHECK_INT(expect_message(sub).topic.len, 0);
        if (i == 0)
            client_drop(sub);
    }
    net_fini(&n);
}

/* Near the client's Maximum Packet Size nothing is said that is not understood later: an alias is
 * taught only in packets that are sent. */
static void test_alias_and_packet_size(void)
{
    struct connect_options o = {
        .id = "sub", .clean = true, .topic_alias_maximum = 5, .maximum_packet_size = 60};
    struct net n;
    struct client *pub, *sub;
    struct known known = {0};
    int got = 0;

    net_init(&n, 1, NULL);
    pub = net_client(&n, 0, 4, "pub");
    sub = net_connect(&n, 0, 5, &o, NULL);
    client_subscribe(sub, "#", 1);
    for (unsigned k = 0; k < 400; k++) {
        char topic[32], payload[64];

        snprintf(topic, sizeof topic, "some/topic/%u", k % 7);
        snprintf(payload, sizeof payload, "%0*u", (int)(30 + k % 20), k);
        client_publish(pub, topic, payload, 0, false);
        if (!client_quiet(sub)) {
            expect_topic(sub, &known, topic, 5);
            got++;
        }
    }
    CHECK(got > 200 && got < 400);
    CHECK_INT(net_drops(&n, DROP_TOO_LARGE), 400 - got);
    net_fini(&n);
}

/* ---- Message Expiry Interval ---- */

/* In the queue and among the retained messages the time is counted down, in whole seconds rounded
 * up; when it is over the message is gone [v5 MQTT-3.3.2-5] [v5 MQTT-3.3.2-6]. */
static void test_expiry(void)
{
    static const struct {
        uint32_t expiry_s, left_s; /* 0: without; gone */
        uint64_t wait_ms;
    } rows[] = {
        {30, 30, 0},
        {30, 30, 1},
        {30, 30, 999},
        {30, 29, 1000},
        {30, 25, 5000},
        {30, 1, 29999},
        {30, 0, 30000},
        {1, 1, 999},
        {1, 0, 1000},
        {0, 1, 86400000},
        {UINT32_MAX, UINT32_MAX - 3600, 3600000},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (int version = 4; version <= 5; version++) {
            struct connect_options o = {.id = "late", .expiry_s = UINT32_MAX};
            struct net n;
            struct client *pub, *queue, *late, *next;
            struct mqtt_packet p = publish_to("t", "x", 1);

            net_init(&n, 1, NULL);
            pub = net_client(&n, 0, 5, "pub");
            late = net_connect(&n, 0, version, &o, NULL);
            client_subscribe(late, "#", 1);
            client_drop(late);
            if (rows[i].expiry_s != 0)
                MQTT_SET(&p.publish.props, message_expiry_s, rows[i].expiry_s);
            p.publish.retain = true;
            client_send_packet(pub, &p);
            expect_answer(pub, 1, 0);
            client_publish(pub, "end", "x", 1, false);
            env_test_sleep(&n.env, rows[i].wait_ms);
            net_run(&n);
            queue = net_connect(&n, 0, version, &o, NULL);
            next = net_client(&n, 0, version, "next");
            client_subscribe(next, "t", 1);
            for (int k = 0; k < 2; k++) {
                struct client *c = k == 0 ? queue : next;
                struct mqtt_publish m;

                if (rows[i].left_s != 0) {
                    m = expect_message(c);
                    CHECK_ROW(i, mqtt_str_eq(m.topic, MQTT_STR("t")));
                    CHECK_ROW_INT(i, MQTT_HAS(&m.props, message_expiry_s),
                                  rows[i].expiry_s != 0 && version == 5);
                    if (MQTT_HAS(&m.props, message_expiry_s))
                        CHECK_ROW_INT(i, m.props.message_expiry_s, rows[i].left_s);
                }
                if (k == 0)
                    CHECK_ROW(i, mqtt_str_eq(expect_message(c).topic, MQTT_STR("end")));
                CHECK_ROW(i, client_quiet(c));
            }
            CHECK_ROW_INT(i, net_drops(&n, DROP_EXPIRED), rows[i].left_s == 0);
            net_fini(&n);
        }
    }
}

/* Live it is passed on as it is, even if it is over at once. */
static void test_expiry_live(void)
{
    static const uint32_t seconds[] = {0, 1, 30, UINT32_MAX};

    for (size_t i = 0; i < ARRAY_LEN(seconds); i++) {
        struct net n;
        struct client *pub, *sub;
        struct mqtt_packet p = publish_to("t", "x", 0);
        struct mqtt_publish m;

        net_init(&n, 1, NULL);
        pub = net_client(&n, 0, 5, "pub");
        sub = net_client(&n, 0, 5, "sub");
        client_subscribe(sub, "t", 0);
        MQTT_SET(&p.publish.props, message_expiry_s, seconds[i]);
        p.publish.retain = true;
        client_send_packet(pub, &p);
        m = expect_message(sub);
        CHECK(MQTT_HAS(&m.props, message_expiry_s));
        CHECK_ROW_INT(i, m.props.message_expiry_s, seconds[i]);
        client_subscribe(sub, "t", 0);
        CHECK_ROW_INT(i, client_quiet(sub), seconds[i] == 0);
        net_fini(&n);
    }
}

/* ---- Payload Format Indicator ---- */

static void test_payload_format(void)
{
    static const struct {
        int indicator; /* -1: none */
        const char *payload;
        bool good;
    } rows[] = {
        {-1, "\xff", true},
        {0, "\xff", true},
        {1, "", true},
        {1, "gr\xc3\xbcn", true},
        {1, "\xff", false},
        {1, "\xed\xa0\x80", false},
        {1, "all but the last of a longer text \xc3", false},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (uint8_t qos = 0; qos <= 2; qos++) {
            struct net n;
            struct client *pub, *sub;
            struct mqtt_packet p = publish_to("t", rows[i].payload, qos);

            net_init(&n, 1, NULL);
            pub = net_client(&n, 0, 5, "pub");
            sub = net_client(&n, 0, 5, "sub");
            client_subscribe(sub, "t", 0);
            if (rows[i].indicator >= 0)
                MQTT_SET(&p.publish.props, payload_format, (uint8_t)rows[i].indicator);
            client_send_packet(pub, &p);
            if (rows[i].good) {
                struct mqtt_publish m = expect_message(sub);

                CHECK_ROW_INT(i, MQTT_HAS(&m.props, payload_format), rows[i].indicator >= 0);
                if (rows[i].indicator >= 0)
                    CHECK_ROW_INT(i, m.props.payload_format, rows[i].indicator);
            } else {
                CHECK_ROW_INT(i, net_drops(&n, DROP_REFUSED), 1);
            }
            CHECK_ROW(i, client_quiet(sub));
            if (qos > 0)
                expect_answer(pub, qos, rows[i].good ? 0 : MQTT_RC_PAYLOAD_FORMAT_INVALID);
            else if (!rows[i].good)
                client_expect_disconnect(pub, MQTT_RC_PAYLOAD_FORMAT_INVALID);
            net_fini(&n);
        }
    }
}

/* ---- size ---- */

/* Up to Maximum Packet Size, and not a byte more. */
static void size_in(int version)
{
    static const uint32_t maxima[] = {64, 129, 130, 20000};

    for (size_t i = 0; i < ARRAY_LEN(maxima); i++) {
        struct broker_config config = broker_config_default();
        static char payload[20001];
        struct net n;
        struct client *pub, *sub;
        struct mqtt_packet p = publish_to("t", "", 1);

        config.max_packet_size = maxima[i];
        net_init(&n, 1, &config);
        sub = net_client(&n, 0, version, "sub");
        client_subscribe(sub, "t", 0);
        pub = net_client(&n, 0, version, "pub");
        memset(payload, 'x', sizeof payload);
        p.publish.payload = (struct mqtt_str){(const uint8_t *)payload, sizeof payload};
        while (mqtt_encode_size(&p, version) > maxima[i])
            p.publish.payload.len--;
        client_send_packet(pub, &p);
        expect_answer(pub, 1, 0);
        CHECK_ROW_INT(i, expect_message(sub).payload.len, p.publish.payload.len);
        p.publish.payload.len += 1 + maxima[i] - (uint32_t)mqtt_encode_size(&p, version);
        client_send_packet(pub, &p);
        client_expect_disconnect(pub, MQTT_RC_PACKET_TOO_LARGE);
        CHECK_ROW(i, client_quiet(sub));
        net_fini(&n);
    }
}

static void test_size_in(void)
{
    each_version(size_in);
}

/* A message that is too large for a client is as good as delivered: it takes no place in the
 * window, and never comes again [v5 MQTT-3.1.2-24] [v5 MQTT-3.1.2-25]. Packets are compared as they
 * go out: with an identifier, an expiry, an alias, from the queue, streamed. */
static void test_size_out(void)
{
    static const struct {
        uint32_t max;
        bool sub_id, expiry, alias, queued;
    } rows[] = {
        {64, false, false, false, false},    {64, true, false, false, false},
        {64, false, true, false, false},     {64, true, true, true, false},
        {64, true, true, true, true},        {130, false, false, false, true},
        {400, true, false, false, false},    {600, false, false, false, false},
        {40000, false, false, false, false}, {40000, true, true, true, true},
    };
    static char payload[40001];

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (uint8_t qos = 0; qos <= 2; qos++) {
            struct connect_options o = {.id = "sub",
                                        .expiry_s = 60,
                                        .receive_maximum = 2,
                                        .maximum_packet_size = rows[i].max,
                                        .topic_alias_maximum = rows[i].alias};
            struct broker_config config = broker_config_default();
            struct net n;
            struct client *pub, *sub;
            struct mqtt_packet p = publish_to("t", "", qos);
            struct mqtt_publish m;
            uint32_t len;

            config.queue_qos0 = true;
            net_init(&n, 1, &config);
            pub = net_client(&n, 0, 5, "pub");
            sub = net_connect(&n, 0, 5, &o, NULL);
            client_subscribe_id(sub, "t", qos, rows[i].sub_id ? 300 : 0);
            if (rows[i].queued)
                client_drop(sub);
            memset(payload, 'x', sizeof payload);
            if (rows[i].expiry)
                MQTT_SET(&p.publish.props, message_expiry_s, 30);
            /* the packet as it goes out */
            if (rows[i].sub_id)
                MQTT_SET(&p.publish.props, subscription_id, 300);
            p.publish.payload = (struct mqtt_str){(const uint8_t *)payload, sizeof payload};
            while (mqtt_encode_size(&p, 5) > rows[i].max)
                p.publish.payload.len--;
            p.publish.props.present &= ~(UINT64_C(1) << MQTT_PROP_subscription_id);
            len = p.publish.payload.len;
            /* as large as can be, then larger by one, then small */
            for (int k = 0; k < 9; k++) {
                p.publish.payload.len = k < 8 ? len + (k > 0) : 1;
                p.publish.packet_id = (uint16_t)(qos > 0 ? k + 1 : 0);
                client_send_packet(pub, &p);
                if (qos > 0)
                    expect_answer(pub, qos, 0);
            }
            if (rows[i].queued)
                sub = net_connect(&n, 0, 5, &o, NULL);
            m = expect_message(sub);
            CHECK_ROW_INT(i, m.payload.len, len);
            m = expect_message(sub);
            CHECK_ROW_INT(i, m.payload.len, 1);
            CHECK_ROW(i, client_quiet(sub));
            CHECK_ROW_INT(i, net_drops(&n, DROP_TOO_LARGE), 7);
            client_drop(sub);
            o.maximum_packet_size = 0;
            sub = net_connect(&n, 0, 5, &o, NULL);
            for (int k = 0; qos > 0 && k < 2; k++)
                CHECK(expect_message(sub).dup);
            CHECK_ROW(i, client_quiet(sub));
            net_fini(&n);
        }
    }
}

/* What was sent may be too large for the next connection, too. */
static void test_size_of_what_is_sent_again(void)
{
    struct connect_options o = {.id = "sub", .expiry_s = 60};
    struct net n;
    struct client *pub, *sub;
    char payload[100] = "";

    memset(payload, 'x', sizeof payload - 1);
    net_init(&n, 1, NULL);
    pub = net_client(&n, 0, 5, "pub");
    sub = net_connect(&n, 0, 5, &o, NULL);
    client_subscribe(sub, "t", 2);
    client_publish(pub, "t", payload, 2, false);
    client_publish(pub, "t", "x", 2, false);
    client_drop(sub);
    o.maximum_packet_size = 64;
    sub = net_connect(&n, 0, 5, &o, NULL);
    client_expect_publish(sub, "t", "x", 2, true);
    CHECK(client_quiet(sub));
    CHECK_INT(net_drops(&n, DROP_TOO_LARGE), 1);
    net_fini(&n);
}

/* ---- refused ---- */

/* The server's topics, more levels than it takes, more retained messages: an answer with the reason
 * where there is one, and nobody gets anything. */
static void refused(int version)
{
    static const struct {
        const char *topic;
        bool retain;
        uint8_t reason;
    } rows[] = {
        {"$SYS/broker/version", false, MQTT_RC_NOT_AUTHORIZED},
        {"$SYS", true, MQTT_RC_NOT_AUTHORIZED},
        {"1/2/3/4/5", false, MQTT_RC_TOPIC_NAME_INVALID},
        {"////", false, MQTT_RC_TOPIC_NAME_INVALID},
        {"one too many", true, MQTT_RC_QUOTA_EXCEEDED},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct broker_config config = broker_config_default();
        struct net n;
        struct client *pub, *sub;

        config.max_topic_levels = 4;
        config.max_retained = 1;
        net_init(&n, 1, &config);
        pub = net_client(&n, 0, version, "pub");
        client_publish(pub, "1/2/3/4", "x", 1, true);
        sub = net_client(&n, 0, 5, "sub");
        client_subscribe(sub, "#", 2);
        client_expect_publish(sub, "1/2/3/4", "x", 1, true);
        client_subscribe(sub, "$SYS/#", 2);
        for (uint8_t qos = 0; qos <= 2; qos++) {
            struct mqtt_packet p = publish_to(rows[i].topic, "x", qos);

            p.publish.retain = rows[i].retain;
            client_send_packet(pub, &p);
            if (qos > 0)
                CHECK_ROW_INT(i, expect_answer(pub, qos, rows[i].reason), version == 5);
            CHECK_ROW(i, client_quiet(pub) && client_quiet(sub) && !pub->closed);
            CHECK_ROW_INT(i, net_drops(&n, DROP_REFUSED), qos + 1);
        }
        client_publish(pub, "1/2/3/4", "y", 1, true); /* no more than before */
        CHECK_INT(retained_count(n.broker->shards[0]), 1);
        net_fini(&n);
    }
}

static void test_refused(void)
{
    each_version(refused);
}

/* What CONNACK said there is not [v5 MQTT-3.2.2-11] [v5 MQTT-3.2.2-14]. */
static void unsupported(int version)
{
    struct broker_config config = broker_config_default();
    struct net n;
    struct client *c;

    config.retain_available = false;
    config.maximum_qos = 1;
    net_init(&n, 1, &config);
    c = net_client(&n, 0, version, "c");
    client_publish(c, "t", "x", 1, false);
    client_start_publish(c, "t", "x", 2, false);
    client_expect_disconnect(c, MQTT_RC_QOS_NOT_SUPPORTED);
    c = net_client(&n, 0, version, "c");
    client_start_publish(c, "t", "x", 0, true);
    client_expect_disconnect(c, MQTT_RC_RETAIN_NOT_SUPPORTED);
    CHECK_INT(retained_count(n.broker->shards[0]), 0);
    net_fini(&n);
}

static void test_unsupported(void)
{
    each_version(unsupported);
}

/* Reasons in words are for those who want them, where the packet stays small enough
 * [v5 MQTT-3.1.2-29] [v5 MQTT-3.4.2-2] [v5 MQTT-3.5.2-2]. */
static void test_reason_strings(void)
{
    static const struct {
        int asked; /* Request Problem Information; -1: absent */
        bool configured;
        uint32_t max; /* 0: no limit */
        bool there, in_disconnect;
    } rows[] = {
        {-1, true, 0, true, true},    {1, true, 0, true, true},     {0, true, 0, false, false},
        {-1, false, 0, false, false}, {-1, true, 30, false, false}, {-1, true, 200, true, true},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct broker_config config = broker_config_default();
        struct net n;
        struct client *c;
        struct mqtt_packet p;

        config.problem_info = rows[i].configured;
        net_init(&n, 1, &config);
        client_connect_packet(&p, 5, &(struct connect_options){.id = "c", .clean = true});
        if (rows[i].asked >= 0)
            MQTT_SET(&p.connect.props, request_problem_info, (uint8_t)rows[i].asked);
        if (rows[i].max > 0)
            MQTT_SET(&p.connect.props, maximum_packet_size, rows[i].max);
        c = net_try_connect(&n, 5, &p);
        client_expect(c, MQTT_CONNACK, &p);
        for (uint8_t qos = 1; qos <= 2; qos++) {
            p = publish_to("$SYS/x", "", qos);
            client_send_packet(c, &p);
            CHECK_ROW_INT(i, expect_answer(c, qos, MQTT_RC_NOT_AUTHORIZED), rows[i].there);
        }
        p = publish_to("", "x", 0);
        MQTT_SET(&p.publish.props, topic_alias, 1);
        client_send_packet(c, &p);
        client_expect(c, MQTT_DISCONNECT, &p);
        CHECK_ROW_INT(i, MQTT_HAS(&p.reasoned.props, reason_string), rows[i].in_disconnect);
        net_fini(&n);
    }
}

/* Nobody wants it: a 5.0 publisher is told [v5 MQTT-3.4.2-1] [v5 MQTT-3.5.2-1], and the exchange
 * goes on as always. */
static void no_subscriber(int version)
{
    struct net n;
    struct client *c, *sub;
    struct mqtt_packet p = publish_to("t", "x", 1);

    net_init(&n, 1, NULL);
    c = net_client(&n, 0, version, "c");
    client_send_packet(c, &p);
    expect_answer(c, 1, MQTT_RC_NO_MATCHING_SUBSCRIBERS);
    p = publish_to("t", "x", 2);
    client_send_packet(c, &p);
    expect_answer(c, 2, MQTT_RC_NO_MATCHING_SUBSCRIBERS);
    client_send_ack(c, MQTT_PUBREL, p.publish.packet_id, 0);
    client_expect(c, MQTT_PUBCOMP, &p);
    CHECK_INT(p.ack.reason, 0);
    CHECK_INT(COUNT_GET(&n.broker->shards[0]->counters, publishes_unmatched), 2);
    sub = net_connect(&n, 0, version, &(struct connect_options){.id = "sub", .expiry_s = 60}, NULL);
    client_subscribe(sub, "t", 1);
    client_drop(sub); /* it has a claim nevertheless */
    p = publish_to("t", "x", 1);
    client_send_packet(c, &p);
    expect_answer(c, 1, 0);
    net_fini(&n);
}

static void test_no_subscriber(void)
{
    each_version(no_subscriber);
}

/* ---- retained messages ---- */

/* What a new subscriber gets of "t", or NULL for nothing. */
static void expect_retained(struct net *n, int version, const char *payload, uint8_t qos)
{
    struct client *c = net_client(n, 0, version, "new");
    struct mqtt_publish m;

    client_subscribe(c, "t", 2);
    if (payload != NULL) {
        m = expect_message(c);
        CHECK(mqtt_str_eq(m.payload, text_str(payload)));
        CHECK(m.retain);
        CHECK_INT(m.qos, qos);
    }
    CHECK(client_quiet(c));
    client_disconnect(c, 0);
}

/* The last one with RETAIN stays, whoever has gone since, an empty one removes it, one without
 * RETAIN changes nothing [v5 MQTT-3.3.1-5] to [v5 MQTT-3.3.1-8], [v3 MQTT-3.3.1-5] [v3
 * MQTT-3.3.1-7] [v3 MQTT-3.3.1-10] to [v3 MQTT-3.3.1-12], [v3 MQTT-3.1.2-7]. */
static void retained(int version)
{
    struct net n;
    struct client *pub, *live;

    net_init(&n, 1, NULL);
    live = net_client(&n, 0, version, "live");
    client_subscribe(live, "t", 2);
    pub = net_client(&n, 0, version, "pub");
    expect_retained(&n, version, NULL, 0);
    for (uint8_t qos = 0; qos <= 2; qos++) {
        client_publish(pub, "t", "A", 2 - qos, true);
        client_publish(pub, "t", "B", qos, true);
        expect_retained(&n, version, "B", qos);
    }
    client_publish(pub, "t", "C", 1, false);
    client_publish(pub, "t", "", 1, false);
    client_disconnect(pub, 0);
    expect_retained(&n, version, "B", 2);
    pub = net_client(&n, 0, version, "pub");
    client_publish(pub, "t", "", 1, true);
    expect_retained(&n, version, NULL, 0);
    client_publish(pub, "fresh", "", 1, true);
    CHECK_INT(retained_count(n.broker->shards[0]), 0);
    for (int i = 0; i < 8; i++)
        expect_message(live);
    CHECK_INT(expect_message(live).payload.len, 0); /* it was a message, too */
    CHECK(client_quiet(live));
    net_fini(&n);
}

static void test_retained(void)
{
    each_version(retained);
}

TEST_MAIN(test_properties, test_across_versions, test_alias_in, test_alias_faults,
          test_alias_is_of_connection, test_alias_out, test_alias_in_use,
          test_alias_out_and_reconnect, test_alias_and_packet_size, test_expiry, test_expiry_live,
          test_payload_format, test_size_in, test_size_out, test_size_of_what_is_sent_again,
          test_refused, test_unsupported, test_reason_strings, test_no_subscriber, test_retained)

/* subscribe_test: SUBSCRIBE and UNSUBSCRIBE, and what the options of a subscription do to what
 * comes through it.                                              [v5 3.8 - 3.11, 4.7] [v3 3.8
 * - 3.11, 4.7] */
#include "base/test.h"
#include "mqtt/encode.h"
#include "net_support.h"

#define NL           MQTT_SUB_NO_LOCAL
#define RAP          MQTT_SUB_RETAIN_AS_PUBLISHED
#define RH(handling) ((handling) << 4)

struct want {
    const char *filter;
    uint8_t options;
};

/* One packet with these filters; the codes of its answer, which the view outlives only until more
 * comes. */
static struct mqtt_str send_filters(struct client *c, enum mqtt_type type, const struct want *wants,
                                    size_t n, uint32_t sub_id)
{
    static uint16_t id = 1000;
    static uint8_t payload[200000];
    struct mqtt_packet p = {.type = type};
    size_t len = 0;

    for (size_t i = 0; i < n; i++)
        len += mqtt_encode_filter(text_str(wants[i].filter), type == MQTT_UNSUBSCRIBE,
                                  wants[i].options, payload + len, sizeof payload - len);
    p.subscribe.packet_id = ++id;
    p.subscribe.filters = (struct mqtt_str){payload, (uint32_t)len};
    if (sub_id != 0)
        MQTT_SET(&p.subscribe.props, subscription_id, sub_id);
    client_send_packet(c, &p);
    /* [v5 MQTT-3.8.4-1] [v5 MQTT-3.8.4-2] [v5 MQTT-3.10.4-4] [v5 MQTT-2.2.1-6] [v3 MQTT-3.8.4-1]
     * [v3 MQTT-3.8.4-2] [v3 MQTT-3.10.4-4] [v3 MQTT-2.3.1-7] */
    if (!client_expect(c, type == MQTT_SUBSCRIBE ? MQTT_SUBACK : MQTT_UNSUBACK, &p))
        return (struct mqtt_str){NULL, 0};
    CHECK_INT(p.suback.packet_id, id);
    return p.suback.reasons;
}

/* The same, with one answer expected for all versions: a code from 0x80 on is 0x80 in 3.1.1; 3.1
 * must not be asked then. */
static void subscribe(struct client *c, const struct want *wants, size_t n, uint32_t sub_id,
                      const char *codes)
{
    struct mqtt_str got = send_filters(c, MQTT_SUBSCRIBE, wants, n, sub_id);

    CHECK_INT(got.len, n); /* [v5 MQTT-3.8.4-6] [v5 MQTT-3.9.3-1] [v3 MQTT-3.9.3-1] */
    for (size_t i = 0; i < n && i < got.len; i++) {
        uint8_t want = (uint8_t)codes[i];

        CHECK_ROW_INT(i, got.p[i], c->version != 5 && want >= 0x80 ? 0x80 : want);
    }
}

static void publish(struct client *c, const char *topic, uint8_t qos, bool retain)
{
    client_publish(c, topic, topic, qos, retain);
}

/* The next packet is a message to this topic; what it looks like. */
static struct mqtt_publish expect(struct client *c, const char *topic)
{
    struct mqtt_packet p;

    if (!client_expect(c, MQTT_PUBLISH, &p))
        return (struct mqtt_publish){.qos = 9};
    CHECK(mqtt_str_eq(p.publish.topic, text_str(topic)));
    return p.publish;
}

/* ---- codes ---- */

/* Filters count as if each had come alone, in their order: the last of two that are equal wins
 * [v5 MQTT-3.8.4-5] [v5 MQTT-3.8.4-7] [v3 MQTT-3.8.4-4] [v3 MQTT-3.8.4-5]. */
static void several(int version)
{
    static const struct want wants[] = {{"a", 2}, {"b", 0}, {"a", 1}, {"c", 2}, {"a/+", 1}};
    struct net n;
    struct client *c;

    net_init(&n, 1, NULL);
    c = net_client(&n, 0, version, "c");
    subscribe(c, wants, ARRAY_LEN(wants), 0, "\2\0\1\2\1");
    CHECK_INT(COUNT_GET(&n.broker->shards[0]->counters, subscriptions), 4);
    client_publish(net_client(&n, 0, version, "pub"), "a", "x", 2, false);
    CHECK_INT(expect(c, "a").qos, 1);
    CHECK(client_quiet(c));
    net_fini(&n);
}

static void test_several(void)
{
    each_version(several);
}

/* What is wrong with the text of a filter concerns that filter alone, except in 3.1, which has no
 * word for it [v5 MQTT-3.9.3-2] [v3 MQTT-3.9.3-2]. */
static void invalid_filters(int version)
{
    static const char *const filters[] = {
        "",
        "a#",
        "a/#/b",
        "#/a",
        "a+",
        "+a",
        "a/b+/c",
        "##",
        "++",
        "a/+b",
        "$share/",
        "$share/g",
        "$share//t",
        "$share/g+/t",
        "$share/#/t",
        "$share/g/",
        "$share/g/a#",
        "1/2/3/4/5",
        "$share/g/1/2/3/4/5",
    };
    struct broker_config config = broker_config_default();

    config.max_topic_levels = 4;
    for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
        struct net n;
        struct client *c;

        net_init(&n, 1, &config);
        c = net_client(&n, 0, version, "c");
        if (version == 3) {
            uint8_t packet[64] = {0x82};
            size_t len = strlen(filters[i]);

            packet[1] = (uint8_t)(len + 5);
            packet[3] = 1;
            packet[5] = (uint8_t)len;
            memcpy(packet + 6, filters[i], len);
            client_send(c, packet, len + 7);
            client_expect_disconnect(c, MQTT_RC_TOPIC_FILTER_INVALID);
        } else {
            const struct want wants[] = {{"before", 1}, {filters[i], 1}, {"1/2/3/4", 2}};

            subscribe(c, wants, 3, 0, "\1\x8f\2");
            CHECK_ROW_INT(i, COUNT_GET(&n.broker->shards[0]->counters, subscriptions), 2);
        }
        net_fini(&n);
    }
}

static void test_invalid_filters(void)
{
    each_version(invalid_filters);
}

/* What is wrong with the packet concerns the connection. */
static void test_broken_subscribe(void)
{
    static const struct {
        int version;
        uint8_t reason, len;
        const char *packet;
    } rows[] = {
        /* QoS 3, reserved bits, Retain Handling 3 [v5 MQTT-3.8.3-5] [v3 MQTT-3.8.3-4] */
        {3, 0x81, 8, "\x82\6\0\1\0\1t\3"},
        {4, 0x81, 8, "\x82\6\0\1\0\1t\3"},
        {4, 0x81, 8, "\x82\6\0\1\0\1t\4"},
        {4, 0x81, 8, "\x82\6\0\1\0\1t\x80"},
        {5, 0x82, 9, "\x82\7\0\1\0\0\1t\3"},
        {5, 0x81, 9, "\x82\7\0\1\0\0\1t\x40"},
        {5, 0x81, 9, "\x82\7\0\1\0\0\1t\x80"},
        {5, 0x82, 9, "\x82\7\0\1\0\0\1t\x30"},
        /* the options are missing, the filter is cut off, is not UTF-8, has U+0000 */
        {4, 0x81, 7, "\x82\5\0\1\0\1t"},
        {4, 0x81, 7, "\x82\5\0\1\0\2t"},
        {4, 0x81, 8, "\x82\6\0\1\0\1\xff\0"},
        {5, 0x81, 9, "\x82\7\0\1\0\0\1\0\0"}, /* [v5 MQTT-4.7.3-2] */
        {5, 0x81, 8, "\xa2\6\0\1\0\0\1\0"},
        /* nothing in it [v5 MQTT-3.8.3-2] [v3 MQTT-3.8.3-3] [v3 MQTT-3.10.3-2] */
        {3, 0x82, 4, "\x82\2\0\1"},
        {4, 0x82, 4, "\x82\2\0\1"},
        {5, 0x82, 5, "\x82\3\0\1\0"},
        {4, 0x82, 4, "\xa2\2\0\1"},
        {5, 0x82, 5, "\xa2\3\0\1\0"},
        {5, 0x81, 4, "\x82\2\0\1"}, /* not even a Property Length [v5 MQTT-2.2.2-1] */
        /* identifier 0: of the packet, of the subscription; two of those */
        {4, 0x82, 8, "\x82\6\0\0\0\1t\0"},
        {5, 0x82, 9, "\x82\7\0\0\0\0\1t\0"},
        {5, 0x82, 8, "\xa2\6\0\0\0\0\1t"},
        {5, 0x82, 11, "\x82\x09\0\1\2\x0b\0\0\1t\0"},
        {5, 0x82, 13, "\x82\x0b\0\1\4\x0b\1\x0b\2\0\1t\0"},
        /* a property that is another packet's */
        {5, 0x81, 11, "\x82\x09\0\1\2\x24\1\0\1t\0"},
        /* No Local on a shared subscription [v5 MQTT-3.8.3-4], behind one that is right */
        {5, 0x82, 22, "\x82\x14\0\1\0\0\1t\0\0\x0a$share/g/t\4"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct net n;
        struct client *c;

        net_init(&n, 1, NULL);
        c = net_client(&n, 0, rows[i].version, "c");
        client_send(c, rows[i].packet, rows[i].len);
        CHECK_ROW_INT(i, close_info(c->why)->mqtt5, rows[i].reason);
        client_expect_disconnect(c, rows[i].reason);
        net_fini(&n);
    }
}

/* What the server does not offer, filter by filter [v5 MQTT-3.2.2-10] [v3 MQTT-3.8.3-2]. */
static void not_offered(int version)
{
    static const struct want wants[] = {{"t", 2}, {"a/#", 1}, {"+", 0}, {"$share/g/t", 1}};
    struct broker_config config = broker_config_default();
    struct net n;
    struct client *c, *pub;

    if (version == 3)
        return;
    config.wildcard_available = config.shared_available = config.retain_available = false;
    config.maximum_qos = 1;
    net_init(&n, 1, &config);
    pub = net_client(&n, 0, version, "pub");
    c = net_client(&n, 0, version, "c");
    subscribe(c, wants, ARRAY_LEN(wants), 0, "\1\xa2\xa2\x9e");
    publish(pub, "t", 1, false);
    CHECK_INT(expect(c, "t").qos, 1);
    publish(pub, "a/b", 1, false);
    CHECK(client_quiet(c));
    net_fini(&n);
}

static void test_not_offered(void)
{
    each_version(not_offered);
}

static void test_identifiers_not_offered(void)
{
    static const struct want want = {"t", 0};
    struct broker_config config = broker_config_default();
    struct net n;
    struct client *c;

    config.subscription_id_available = false;
    net_init(&n, 1, &config);
    c = net_client(&n, 0, 5, "c");
    subscribe(c, &want, 1, 1, "\xa1");
    subscribe(c, &want, 1, 0, "\0");
    net_fini(&n);
}

/* A limit for the session; one that is replaced needs no place of its own. */
static void quota(int version)
{
    static const struct want wants[] = {{"a", 0}, {"$share/g/b", 0}, {"c", 0}};
    struct broker_config config = broker_config_default();
    struct net n;
    struct client *c;

    if (version == 3)
        return;
    config.max_subscriptions = 2;
    net_init(&n, 1, &config);
    c = net_client(&n, 0, version, "c");
    subscribe(c, wants, 3, 0, "\0\0\x97");
    subscribe(c, wants, 2, 0, "\0\0");
    CHECK_INT(client_unsubscribe(c, "a"), 0);
    subscribe(c, wants + 2, 1, 0, "\0");
    subscribe(c, wants, 1, 0, "\x97");
    subscribe(net_client(&n, 0, version, "other"), wants, 2, 0, "\0\0");
    net_fini(&n);
}

static void test_quota(void)
{
    each_version(quota);
}

/* A SUBACK that the client does not take cannot be sent [v5 MQTT-3.1.2-24]. */
static void test_large_suback(void)
{
    struct want wants[100];
    struct connect_options o = {.id = "c", .clean = true, .maximum_packet_size = 100};
    struct net n;
    struct client *c;

    for (size_t i = 0; i < ARRAY_LEN(wants); i++)
        wants[i] = (struct want){"t", 0};
    net_init(&n, 1, NULL);
    c = net_connect(&n, 0, 5, &o, NULL);
    CHECK_INT(send_filters(c, MQTT_SUBSCRIBE, wants, 95, 0).len, 95);
    CHECK_INT(send_filters(c, MQTT_UNSUBSCRIBE, wants, 95, 0).len, 95);
    {
        uint8_t packet[3 + 3 + 4 * 96] = {0x82, 0x83, 3, 0, 1};

        for (size_t i = 0; i < 96; i++)
            memcpy(packet + 6 + 4 * i, "\0\1t\0", 4);
        client_send(c, packet, sizeof packet);
    }
    client_expect_disconnect(c, MQTT_RC_PACKET_TOO_LARGE);
    net_fini(&n);
}

/* ---- matching ---- */

/* Wildcards, empty levels, '$', no normalization [v5 MQTT-4.7.2-1] [v5 MQTT-4.7.3-4]
 * [v5 MQTT-3.3.2-3] [v5 MQTT-4.7.0-1] [v3 MQTT-4.7.2-1] [v3 MQTT-4.7.3-4] [v3 MQTT-3.3.2-3]
 * [v3 MQTT-4.7.1-1]. */
static const struct {
    const char *filter, *topic;
    bool matches;
} matches[] = {
    {"sport/#", "sport", true},
    {"sport/#", "sport/", true},
    {"sport/#", "sport/a/b", true},
    {"sport/#", "sports", false},
    {"#", "/", true},
    {"#", "/a", true},
    {"#", "$x/y", false},
    {"+/y", "$x/y", false},
    {"$x/#", "$x/y", true},
    {"$x/+", "$x/y", true},
    {"$x/#", "$x", true},
    {"+", "a", true},
    {"+", "/a", false},
    {"+", "a/b", false},
    {"+/+", "/a", true},
    {"+/+", "a/", true},
    {"+/+", "a", false},
    {"/+", "/a", true},
    {"/+", "/", true},
    {"/+", "a", false},
    {"a/+", "a/", true},
    {"a/+", "a", false},
    {"a/+", "a/b/c", false},
    {"a/+/#", "a/b", true},
    {"a/+/#", "a//x", true},
    {"a/+/#", "a", false},
    {"a//b", "a//b", true},
    {"a//b", "a/b", false},
    {"A", "a", false},
    {"a ", "a", false},
    {" ", " ", true},
    {"a/./b", "a/b", false},
    {"\xc3\xa4", "a\xcc\x88", false},         /* the same to the eye */
    {"\xef\xbb\xbft", "\xef\xbb\xbft", true}, /* [v5 MQTT-1.5.4-3] [v3 MQTT-1.5.3-3] */
    {"\xef\xbb\xbft", "t", false},
};

static void matching(int version)
{
    struct net n;
    struct client *pub, *sub;

    net_init(&n, 1, NULL);
    pub = net_client(&n, 0, version, "pub");
    sub = net_client(&n, 0, version, "sub");
    for (size_t i = 0; i < ARRAY_LEN(matches); i++) {
        client_subscribe(sub, matches[i].filter, 0);
        publish(pub, matches[i].topic, 0, false);
        CHECK_ROW(i, client_quiet(sub) != matches[i].matches);
        if (matches[i].matches)
            expect(sub, matches[i].topic);
        client_unsubscribe(sub, matches[i].filter);
    }
    net_fini(&n);
}

static void test_matching(void)
{
    each_version(matching);
}

/* As long as a topic can be [v5 MQTT-4.7.3-3] [v3 MQTT-4.7.3-3]. */
static void longest(int version)
{
    static char topic[65536];
    const struct want want = {topic, 0};
    struct net n;
    struct client *sub;

    memset(topic, 'x', sizeof topic - 1);
    net_init(&n, 1, NULL);
    sub = net_client(&n, 0, version, "sub");
    subscribe(sub, &want, 1, 0, "\0");
    client_publish(net_client(&n, 0, version, "pub"), topic, "x", 1, false);
    expect(sub, topic);
    net_fini(&n);
}

static void test_longest(void)
{
    each_version(longest);
}

/* ---- options ---- */

/* Nothing comes back to who published it, on whatever connection of the session; others' messages
 * do, and his own through another subscription [v5 MQTT-3.8.3-3]. */
static void test_no_local(void)
{
    struct connect_options o = {.id = "c", .expiry_s = 60};
    struct net n;
    struct client *c, *other;

    net_init(&n, 1, NULL);
    other = net_client(&n, 0, 5, "other");
    c = net_connect(&n, 0, 5, &o, NULL);
    client_subscribe(c, "t", 1 | NL);
    publish(c, "t", 1, false);
    CHECK(client_quiet(c));
    publish(other, "t", 1, false);
    client_expect_publish(c, "t", "t", 1, true);
    client_drop(c);
    c = net_connect(&n, 0, 5, &o, NULL);
    publish(c, "t", 1, false);
    CHECK(client_quiet(c));
    /* overlapping: the other one delivers, with its own QoS and identifier alone */
    client_subscribe_id(c, "t", 1 | NL, 1);
    client_subscribe_id(c, "+", 0, 2);
    publish(c, "t", 0, false);
    CHECK_INT(expect(c, "t").props.subscription_id, 2);
    CHECK(client_quiet(c));
    client_subscribe(c, "+", 0 | NL);
    publish(c, "t", 0, false);
    CHECK(client_quiet(c));
    net_fini(&n);
}

/* It is the same for what he published and the broker has retained. */
static void test_no_local_retained(void)
{
    struct net n;
    struct client *c, *other;

    net_init(&n, 1, NULL);
    other = net_client(&n, 0, 5, "other");
    c = net_client(&n, 0, 5, "c");
    publish(c, "mine", 0, true);
    publish(other, "other's", 0, true);
    client_subscribe(c, "+", NL);
    expect(c, "other's");
    CHECK(client_quiet(c));
    client_subscribe(c, "+", 0);
    expect(c, "mine");
    expect(c, "other's");
    net_fini(&n);
}

/* RETAIN of what is forwarded: as published, or clear [v5 MQTT-3.3.1-12] [v5 MQTT-3.3.1-13]
 * [v3 MQTT-3.3.1-9]. */
static void retain_as_published(int version)
{
    struct net n;
    struct client *c, *pub;

    net_init(&n, 1, NULL);
    pub = net_client(&n, 0, version, "pub");
    c = net_client(&n, 0, version, "c");
    for (int rap = 0; rap <= (version == 5); rap++) {
        for (int retain = 0; retain <= 1; retain++) {
            for (uint8_t qos = 0; qos <= 2; qos++) {
                client_subscribe(c, "t", (uint8_t)(2 | RH(2u) * (version == 5) | (rap ? RAP : 0)));
                while (!client_quiet(c)) /* 3.x gets the retained one */
                    CHECK(expect(c, "t").retain);
                publish(pub, "t", qos, retain != 0);
                CHECK_INT(expect(c, "t").retain, rap && retain);
            }
        }
    }
    if (version == 5) { /* one of several is enough */
        client_subscribe(c, "t", RH(2u));
        client_subscribe(c, "+", RH(2u) | RAP);
        publish(pub, "t", 0, true);
        CHECK(expect(c, "t").retain);
        CHECK(client_quiet(c));
    }
    net_fini(&n);
}

static void test_retain_as_published(void)
{
    each_version(retain_as_published);
}

/* Retained messages on SUBSCRIBE: always, when it is new, never [v5 MQTT-3.3.1-9] to
 * [v5 MQTT-3.3.1-11]; in 3.x always [v3 MQTT-3.3.1-6] [v3 MQTT-3.8.4-3]. */
static void retain_handling(int version)
{
    for (unsigned handling = 0; handling <= (version == 5 ? 2 : 0); handling++) {
        uint8_t options = (uint8_t)(1 | RH(handling));
        struct net n;
        struct client *c, *pub;

        net_init(&n, 1, NULL);
        pub = net_client(&n, 0, version, "pub");
        publish(pub, "t", 2, true);
        c = net_client(&n, 0, version, "c");
        client_subscribe(c, "t", options);
        if (handling < 2) {
            struct mqtt_publish m = expect(c, "t");

            CHECK(m.retain); /* [v3 MQTT-3.3.1-8] */
            CHECK_INT(m.qos, 1);
        }
        client_subscribe(c, "t", options);
        if (handling == 0)
            expect(c, "t");
        CHECK(client_quiet(c));
        client_unsubscribe(c, "t");
        client_subscribe(c, "t", options);
        if (handling < 2)
            expect(c, "t");
        CHECK(client_quiet(c));
        net_fini(&n);
    }
}

static void test_retain_handling(void)
{
    each_version(retain_handling);
}

/* Each filter of a packet brings its own, with the identifier of the packet; shared ones bring
 * none. */
static void test_retained_of_several(void)
{
    static const struct want wants[] = {{"a", 0},          {"+", 2},         {"a", 1 | RH(1)},
                                        {"$share/g/a", 0}, {"b", 0 | RH(2)}, {"b", 2 | RH(1)}};
    struct net n;
    struct client *c, *pub;

    net_init(&n, 1, NULL);
    pub = net_client(&n, 0, 5, "pub");
    publish(pub, "a", 2, true);
    publish(pub, "b", 2, true);
    c = net_client(&n, 0, 5, "c");
    subscribe(c, wants, ARRAY_LEN(wants), 268435455, "\0\2\1\0\0\2");
    CHECK_INT(expect(c, "a").qos, 0);
    CHECK_INT(expect(c, "a").qos, 2);
    CHECK_INT(expect(c, "b").props.subscription_id, 268435455);
    CHECK(client_quiet(c));
    net_fini(&n);
}

/* ---- Subscription Identifiers ---- */

/* The identifiers of a message, ended by 0. */
static void ids_of(const struct mqtt_publish *m, uint32_t *out, size_t size)
{
    struct mqtt_property_view v;
    uint32_t at = 0;
    size_t n = 0;

    while (n + 1 < size && mqtt_props_next(m->props.raw, &at, &v))
        if (v.id == MQTT_PROP_subscription_id)
            out[n++] = v.number;
    out[n] = 0;
}

/* The next message is to "t", once, with these identifiers (ended by 0) in any order. */
static void expect_ids(struct client *c, const uint32_t *want)
{
    struct mqtt_publish m = expect(c, "t");
    uint32_t got[100];
    size_t n = 0, wanted = 0;

    ids_of(&m, got, ARRAY_LEN(got));
    while (got[n] != 0)
        n++;
    while (want[wanted] != 0) {
        size_t i = 0;

        while (i < n && got[i] != want[wanted])
            i++;
        if (!CHECK(i < n))
            return;
        got[i] = got[--n];
        wanted++;
    }
    CHECK_INT(n, 0);
    CHECK(client_quiet(c));
}

#define IDS(...) ((const uint32_t[]){__VA_ARGS__, 0})

/* One copy carries the identifiers of all subscriptions that have one, as often as they have it;
 * now or from the queue [v5 MQTT-3.3.4-3] [v5 MQTT-3.3.4-4]. */
static void test_identifiers(void)
{
    struct connect_options o = {.id = "c", .expiry_s = 60};
    struct net n;
    struct client *c, *pub;

    net_init(&n, 1, NULL);
    pub = net_client(&n, 0, 5, "pub");
    c = net_connect(&n, 0, 5, &o, NULL);
    client_subscribe(c, "+", 1);
    publish(pub, "t", 1, false);
    expect_ids(c, IDS(0));
    client_subscribe_id(c, "t", 0, 268435455);
    publish(pub, "t", 1, false);
    expect_ids(c, IDS(268435455));
    client_subscribe_id(c, "#", 0, 1);
    publish(pub, "t", 1, false);
    expect_ids(c, IDS(1, 268435455));
    client_subscribe_id(c, "t/#", 0, 1);
    client_subscribe_id(c, "+/#", 0, 16384);
    publish(pub, "t", 1, false);
    expect_ids(c, IDS(1, 268435455, 1, 16384));
    client_drop(c);
    publish(pub, "t", 1, false);
    c = net_connect(&n, 0, 5, &o, NULL);
    for (int i = 0; i < 4; i++)
        expect(c, "t"); /* not acknowledged before */
    expect_ids(c, IDS(1, 268435455, 1, 16384));
    /* without one it is gone [v5 MQTT-3.8.4-3] */
    client_subscribe(c, "t", 0);
    client_subscribe_id(c, "#", 0, 2);
    publish(pub, "t", 1, false);
    expect_ids(c, IDS(2, 1, 16384));
    client_unsubscribe(c, "t/#");
    publish(pub, "t", 0, false);
    expect_ids(c, IDS(2, 16384));
    net_fini(&n);
}

/* A client of an older version does not see them. */
static void test_identifiers_are_of_5(void)
{
    struct connect_options o = {.id = "c", .expiry_s = 60};
    struct net n;
    struct client *c, *pub;

    net_init(&n, 1, NULL);
    pub = net_client(&n, 0, 5, "pub");
    c = net_connect(&n, 0, 5, &o, NULL);
    client_subscribe_id(c, "t", 1, 1);
    client_subscribe_id(c, "#", 1, 2);
    client_drop(c);
    publish(pub, "t", 1, false);
    c = net_connect(&n, 0, 4, &o, NULL);
    client_expect_publish(c, "t", "t", 1, true);
    publish(pub, "t", 0, false);
    client_expect_publish(c, "t", "t", 0, true);
    CHECK(client_quiet(c));
    net_fini(&n);
}

/* ---- overlapping ---- */

/* However many filters match, a client gets one copy, at the highest QoS that was granted
 * [v5 MQTT-3.3.4-2] [v3 MQTT-3.3.5-1]. */
static void overlapping(int version)
{
    static const char *const filters[] = {"1/2/3/4", "+/2/3/4", "1/+/3/4", "1/2/+/4", "1/2/3/+",
                                          "+/+/3/4", "+/2/+/4", "+/2/3/+", "1/+/+/4", "1/+/3/+",
                                          "1/2/+/+", "+/+/+/4", "+/+/3/+", "+/2/+/+", "1/+/+/+",
                                          "+/+/+/+", "#",       "1/#",     "1/2/#",   "1/2/3/#"};

    for (size_t best = 0; best < ARRAY_LEN(filters); best++) {
        struct net n;
        struct client *a, *b, *pub;

        net_init(&n, 1, NULL);
        pub = net_client(&n, 0, version, "pub");
        a = net_client(&n, 0, version, "a");
        b = net_client(&n, 0, version, "b");
        for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
            client_subscribe(a, filters[i], i == best ? 2 : i % 2);
            client_subscribe(b, filters[i], i == best ? 1 : 0);
        }
        publish(pub, "1/2/3/4", 2, false);
        CHECK_ROW_INT(best, expect(a, "1/2/3/4").qos, 2);
        CHECK_ROW_INT(best, expect(b, "1/2/3/4").qos, 1);
        client_unsubscribe(a, filters[best]);
        publish(pub, "1/2/3/4", 2, false);
        CHECK_ROW_INT(best, expect(a, "1/2/3/4").qos, 1);
        publish(pub, "1/2/3/4", 0, false);
        CHECK_ROW_INT(best, expect(a, "1/2/3/4").qos, 0);
        CHECK(client_quiet(a));
        net_fini(&n);
    }
}

static void test_overlapping(void)
{
    each_version(overlapping);
}

/* ---- changes ---- */

/* The same filter again replaces what was there; no message is lost or doubled by it
 * [v5 MQTT-3.8.4-3] [v5 MQTT-3.8.4-4] [v3 MQTT-3.8.4-3]. */
static void replace(int version)
{
    struct net n;
    struct client *c, *pub;

    net_init(&n, 1, NULL);
    pub = net_client(&n, 0, version, "pub");
    c = net_client(&n, 0, version, "c");
    for (uint8_t i = 0; i < 9; i++) {
        client_subscribe(c, "t", i % 3);
        publish(pub, "t", 2, false);
        CHECK_INT(expect(c, "t").qos, i % 3);
        CHECK(client_quiet(c));
        CHECK_INT(COUNT_GET(&n.broker->shards[0]->counters, subscriptions), 1);
    }
    net_fini(&n);
}

static void test_replace(void)
{
    each_version(replace);
}

/* Codes in order, and only an equal filter is meant [v5 MQTT-3.10.4-1] [v5 MQTT-3.10.4-2]
 * [v5 MQTT-3.10.4-5] [v5 MQTT-3.10.4-6] [v5 MQTT-3.11.3-1] [v5 MQTT-3.11.3-2] [v3 MQTT-3.10.4-1]
 * [v3 MQTT-3.10.4-2] [v3 MQTT-3.10.4-5] [v3 MQTT-3.10.4-6]. */
static void unsubscribe(int version)
{
    static const struct want gone[] = {
        {"t", 0},   {"x", 0},   {"a/+", 0},        {"t", 0},          {"a#", 0},
        {"A/#", 0}, {"g/+", 0}, {"$share/h/g", 0}, {"$share/g/g", 0}, {"$share", 0}};
    static const uint8_t codes[] = {0, 0x11, 0, 0x11, 0x8f, 0x11, 0x11, 0x11, 0, 0x11};
    struct net n;
    struct client *c, *pub;
    struct mqtt_str got;

    net_init(&n, 1, NULL);
    pub = net_client(&n, 0, version, "pub");
    c = net_client(&n, 0, version, "c");
    client_subscribe(c, "t", 0);
    client_subscribe(c, "a/+", 0);
    client_subscribe(c, "a/#", 0);
    client_subscribe(c, "$share/g/g", 0);
    got = send_filters(c, MQTT_UNSUBSCRIBE, gone, ARRAY_LEN(gone), 0);
    if (version == 5)
        CHECK_BYTES(got.p, got.len, codes, sizeof codes);
    else
        CHECK_INT(got.len, 0);
    publish(pub, "t", 0, false);
    publish(pub, "g", 0, false);
    CHECK(client_quiet(c));
    publish(pub, "a/b", 0, false);
    expect(c, "a/b");
    CHECK(client_quiet(c));
    CHECK_INT(COUNT_GET(&n.broker->shards[0]->counters, subscriptions), 1);
    net_fini(&n);
}

static void test_unsubscribe(void)
{
    each_version(unsubscribe);
}

/* What was begun is finished, here and after a reconnect; what waited still comes
 * [v5 MQTT-3.10.4-3] [v3 MQTT-3.10.4-3]. */
static void unsubscribe_in_flight(int version)
{
    struct connect_options o = {.id = "c", .expiry_s = 60};
    struct broker_config config = broker_config_default();
    struct net n;
    struct client *c, *pub;
    struct mqtt_packet p;
    uint16_t id;

    config.max_inflight = 1;
    net_init(&n, 1, &config);
    pub = net_client(&n, 0, version, "pub");
    c = net_connect(&n, 0, version, &o, NULL);
    client_subscribe(c, "t", 2);
    publish(pub, "t", 2, false);
    publish(pub, "t", 1, false);
    id = expect(c, "t").packet_id;
    client_unsubscribe(c, "t");
    client_send_ack(c, MQTT_PUBREC, id, 0);
    client_expect(c, MQTT_PUBREL, &p);
    client_drop(c);
    c = net_connect(&n, 0, version, &o, NULL);
    client_expect(c, MQTT_PUBREL, &p);
    CHECK_INT(p.ack.packet_id, id);
    client_send_ack(c, MQTT_PUBCOMP, id, 0);
    CHECK_INT(expect(c, "t").qos, 1);
    publish(pub, "t", 1, false);
    CHECK(client_quiet(c));
    net_fini(&n);
}

static void test_unsubscribe_in_flight(void)
{
    each_version(unsubscribe_in_flight);
}

TEST_MAIN(test_several, test_invalid_filters, test_broken_subscribe, test_not_offered,
          test_identifiers_not_offered, test_quota, test_large_suback, test_matching, test_longest,
          test_no_local, test_no_local_retained, test_retain_as_published, test_retain_handling,
          test_retained_of_several, test_identifiers, test_identifiers_are_of_5, test_overlapping,
          test_replace, test_unsubscribe, test_unsubscribe_in_flight)

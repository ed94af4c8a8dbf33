/* retained_test: retained messages: which of them a subscription gets, and when; how long they
 * stay; that all shards have the same.                                 [v5 3.3.1.3] [v3 3.3.1.3] */
#include "base/mem.h"
#include "base/test.h"
#include "broker/message.h"
#include "broker/purposes.h"
#include "broker/retained.h"
#include "mqtt/topic.h"
#include "net_support.h"
#include "topic_support.h"

static struct mqtt_str payload_at(const struct net *n, unsigned shard, const char *topic)
{
    struct message *m = retained_get(n->broker->shards[shard], text_str(topic));

    return m == NULL ? (struct mqtt_str){NULL, 0} : message_payload(m);
}

/* A retained message of this topic and payload comes next. */
static void expect_retained(struct client *c, const char *topic, const char *payload)
{
    struct mqtt_packet p;

    if (!client_expect(c, MQTT_PUBLISH, &p))
        return;
    CHECK(p.publish.retain);
    CHECK(mqtt_str_eq(p.publish.topic, text_str(topic)));
    CHECK(mqtt_str_eq(p.publish.payload, text_str(payload)));
}

/* A retained message that expires. */
static void publish_expiring(struct client *c, const char *topic, const char *payload, uint8_t qos,
                             uint32_t expiry_s)
{
    struct mqtt_packet p = {.type = MQTT_PUBLISH};

    p.publish.topic = text_str(topic);
    p.publish.payload = text_str(payload);
    p.publish.qos = qos;
    p.publish.packet_id = qos > 0 ? ++c->next_id : 0;
    p.publish.retain = true;
    MQTT_SET(&p.publish.props, message_expiry_s, expiry_s);
    client_send_packet(c, &p);
    if (qos > 0)
        client_expect(c, MQTT_PUBACK, &p);
}

static const char *numbered(const char *format, unsigned n)
{
    static char text[2][64];
    static unsigned which;

    which ^= 1;
    snprintf(text[which], sizeof text[0], format, n);
    return text[which];
}

/* ---- one topic ---- */

/* The last one stays, and none when the last one was empty [v5 MQTT-3.3.1-5] to [v5 MQTT-3.3.1-8]
 * [v3 MQTT-3.3.1-5] [v3 MQTT-3.3.1-7] [v3 MQTT-3.3.1-10] to [v3 MQTT-3.3.1-12]. */
static void set_and_clear(int version)
{
    static const struct {
        const char *payload;
        bool retain;
        const char *kept;
    } rows[] = {
        {"", true, NULL}, {"1", false, NULL}, {"2", true, "2"}, {"3", false, "2"}, {"", false, "2"},
        {"4", true, "4"}, {"", true, NULL},   {"", true, NULL}, {"5", true, "5"},
    };
    struct net n;
    struct client *pub;

    net_init(&n, 2, NULL);
    pub = net_client(&n, 0, version, "pub");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        client_publish(pub, "t", rows[i].payload, (uint8_t)(i % 3), rows[i].retain);
        for (unsigned shard = 0; shard < 2; shard++) {
            struct client *sub = net_client(&n, shard, version, "sub");

            client_subscribe(sub, "t", 0);
            if (rows[i].kept != NULL)
                expect_retained(sub, "t", rows[i].kept);
            CHECK_ROW(i, client_quiet(sub));
            client_drop(sub);
        }
        CHECK_ROW_INT(i, NET_COUNT(&n, retained), rows[i].kept != NULL);
    }
    net_fini(&n);
}

static void test_set_and_clear(void)
{
    each_version(set_and_clear);
}

/* ---- wildcards ---- */

#define TOPICS 40

struct world {
    struct topic topics[TOPICS];
    bool kept[TOPICS];
};

static void publish_topic(struct client *c, const struct topic *t, bool set)
{
    struct mqtt_packet p = {.type = MQTT_PUBLISH};

    p.publish.topic = topic_str(t);
    p.publish.payload = set ? MQTT_STR("x") : MQTT_STR("");
    p.publish.retain = true;
    client_send_packet(c, &p);
}

/* The client gets each message that the filter matches, once. */
static void check_delivery(struct world *w, struct client *c, struct mqtt_str filter)
{
    bool got[TOPICS] = {false};
    struct mqtt_packet p;

    while (client_next(c, &p)) {
        unsigned i = 0;

        while (i < TOPICS &&
               !(w->kept[i] && mqtt_str_eq(topic_str(&w->topics[i]), p.publish.topic)))
            i++;
        if (!CHECK(i < TOPICS) || !CHECK(!got[i]))
            return;
        got[i] = true;
    }
    for (unsigned i = 0; i < TOPICS; i++)
        CHECK_INT(got[i], w->kept[i] && mqtt_filter_matches(filter, topic_str(&w->topics[i])));
}

static bool is_new(const struct world *w, unsigned i)
{
    for (unsigned k = 0; k < i; k++)
        if (mqtt_str_eq(topic_str(&w->topics[k]), topic_str(&w->topics[i])))
            return false;
    return true;
}

/* Topics come and go; every filter gets what it matches. */
static void test_wildcards(void)
{
    struct world w = {.kept = {false}};
    struct net n;
    struct client *c;

    net_init(&n, 1, NULL);
    for (int i = 0; i < 2; i++) { /* the first level of some begins with '$' [v5 MQTT-4.7.2-1] */
        uint8_t random[64];

        n.env.env.random(n.env.env.arg, random, sizeof random);
    }
    c = net_client(&n, 0, 4, "c");
    for (unsigned i = 0; i < TOPICS; i++)
        do {
            uint8_t random[32];
            struct bytes b = {random, sizeof random, 0};

            n.env.env.random(n.env.env.arg, random, sizeof random);
            w.topics[i] = make_name(&b);
        } while (!is_new(&w, i));
    for (unsigned round = 0; round < 1500; round++) {
        uint8_t random[64];
        struct bytes b = {random, sizeof random, 1};
        struct topic filter;
        char text[TOPIC_MAX + 1];

        n.env.env.random(n.env.env.arg, random, sizeof random);
        w.kept[random[0] % TOPICS] ^= true;
        publish_topic(c, &w.topics[random[0] % TOPICS], w.kept[random[0] % TOPICS]);
        filter = make_filter(&b);
        snprintf(text, sizeof text, "%.*s", (int)filter.len, (const char *)filter.p);
        client_subscribe(c, text, 0);
        check_delivery(&w, c, topic_str(&filter));
        client_unsubscribe(c, text);
    }
    for (unsigned i = 0; i < TOPICS; i++)
        publish_topic(c, &w.topics[i], false);
    CHECK_INT(retained_count(n.broker->shards[0]), 0);
    net_fini(&n);
}

/* The longest topics there are, as retained messages and as filters. */
static void test_longest(void)
{
    struct broker_config cfg = broker_config_default();
    static char deep[65536], level[65536], plus[65536];
    struct net n;
    struct client *c;

    cfg.max_topic_levels = 0;
    for (unsigned i = 0; i < 65535; i++) {
        deep[i] = i % 2 == 0 ? 'a' : '/';
        plus[i] = i % 2 == 0 ? '+' : '/';
        level[i] = 'x';
    }
    net_init(&n, 1, &cfg);
    c = net_client(&n, 0, 4, "c");
    client_publish(c, level, "1", 0, true);
    client_publish(c, deep, "2", 0, true);
    client_subscribe(c, "+", 0);
    expect_retained(c, level, "1");
    client_subscribe(c, plus, 0);
    expect_retained(c, deep, "2");
    client_subscribe(c, "#", 0);
    expect_retained(c, level, "1");
    expect_retained(c, deep, "2");
    client_subscribe(c, deep, 0);
    expect_retained(c, deep, "2");
    client_publish(c, deep, "", 0, true);
    client_expect_publish(c, deep, "", 0, false);
    client_publish(c, level, "", 0, true);
    client_expect_publish(c, level, "", 0, false);
    CHECK(client_quiet(c));
    net_fini(&n);
}

/* ---- very many ---- */

#define MANY 100000

static void publish_many(struct client *pub, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        client_feed_publish(pub, numbered("many/%u", i), "x", 0, true);
    net_run(pub->net);
}

/* Takes retained messages "many/N" from what has come, once each; returns their number. */
static unsigned take_many(struct client *c, bool *got, unsigned n)
{
    struct mqtt_packet p;
    unsigned taken = 0;

    while (client_next(c, &p)) {
        unsigned i;
        char text[64];

        snprintf(text, sizeof text, "%.*s", (int)p.publish.topic.len, p.publish.topic.p);
        if (p.type != MQTT_PUBLISH || sscanf(text, "many/%u", &i) != 1 || i >= n || got[i]) {
            FAIL("another packet than one of many");
            return taken;
        }
        got[i] = true;
        taken++;
    }
    return taken;
}

/* A subscription to all of them is served between the events of the loop: in each turn the others
 * get what they want, and it gets a little. */
static void test_many(void)
{
    static bool got[MANY];
    struct net n;
    struct client *pub, *sub, *other;
    struct mqtt_packet p;
    unsigned turns = 0, taken = 0;

    net_init(&n, 1, NULL);
    pub = net_client(&n, 0, 4, "pub");
    publish_many(pub, MANY);
    CHECK_INT(retained_count(n.broker->shards[0]), MANY);
    other = net_client(&n, 0, 4, "other");
    client_subscribe(other, "live", 1);
    sub = net_client(&n, 0, 4, "sub");
    memset(got, 0, sizeof got);
    client_feed(sub, "\x82\6\0\1\0\1#\0", 8);
    net_turn(&n, 0);
    client_expect(sub, MQTT_SUBACK, &p);
    while (taken < MANY && turns++ < MANY) {
        unsigned now = take_many(sub, got, MANY);

        CHECK(now <= 2 * 256); /* retained.c: SLICE_NODES */
        taken += now;
        client_feed(other, "\xc0\0", 2);
        client_feed_publish(other, "live", "!", 1, false);
        net_turn(&n, 0);
        client_expect(other, MQTT_PINGRESP, &p);
        if (client_expect(other, MQTT_PUBLISH, &p))
            client_feed(other,
                        (uint8_t[]){0x40, 2, (uint8_t)(p.publish.packet_id >> 8),
                                    (uint8_t)p.publish.packet_id},
                        4);
        client_expect(other, MQTT_PUBACK, &p);
        client_expect_publish(sub, "live", "!", 0, false);
    }
    CHECK_INT(taken, MANY);
    CHECK(turns >= MANY / 512);
    net_run(&n);
    CHECK(client_quiet(sub) && client_quiet(other));
    net_fini(&n);
}

/* Who does not take them has no more of them waiting than half of the queue. */
static void test_many_to_a_slow_client(void)
{
    static bool got[5000];
    struct broker_config cfg = broker_config_default();
    struct net n;
    struct client *pub, *sub;
    struct mqtt_packet p;
    unsigned taken = 0, rounds = 0;

    for (unsigned bytes = 0; bytes <= 1; bytes++) {
        cfg.max_queued_messages = bytes ? 100000 : 100;
        cfg.max_queued_bytes = bytes ? 20000 : 10000000;
        net_init(&n, 1, &cfg);
        pub = net_client(&n, 0, 4, "pub");
        publish_many(pub, 5000);
        sub = net_client(&n, 0, 4, "sub");
        memset(got, 0, sizeof got);
        client_stall(sub);
        client_feed(sub, "\x82\6\0\1\0\1#\1", 8);
        net_run(&n);
        client_trickle(sub);
        client_expect(sub, MQTT_SUBACK, &p);
        for (taken = rounds = 0; taken < 5000 && rounds < 5000; rounds++) {
            int64_t queued = NET_COUNT(&n, queued);

            taken += take_many(sub, got, 5000);
            CHECK(queued <= (bytes ? 10000 / (int64_t)sizeof(struct message) + 1 : 51));
            client_trickle(sub);
        }
        CHECK_INT(taken, 5000);
        CHECK(rounds >= 5000 / 512);
        CHECK_INT(net_drops(&n, DROP_QUEUE_FULL) + net_drops(&n, DROP_QOS0_CONGESTED), 0);
        net_fini(&n);
    }
}

/* ---- what happens meanwhile ---- */

#define MOVING 600

/* Topics are set again and removed while they are being sent: a subscriber never gets the older
 * after the newer, and what it has got last is what there is [v5 MQTT-3.3.1-9]. */
static void test_changed_meanwhile(void)
{
    struct net n;
    struct client *pub, *sub;

    net_init(&n, 1, NULL);
    pub = net_client(&n, 0, 5, "pub");
    for (unsigned round = 0; round < 10; round++) {
        static unsigned now[MOVING], seen[MOVING];
        struct mqtt_packet p;

        for (unsigned i = 0; i < MOVING; i++) {
            now[i] = 1;
            client_feed_publish(pub, numbered("m/%u", i), "1", 0, true);
        }
        net_run(&n);
        sub = net_client(&n, 0, 5, "sub");
        memset(seen, 0, sizeof seen);
        client_feed(sub, "\x82\x09\0\1\0\0\3m/#\0", 11);
        for (unsigned i = 0; i < 200; i++) {
            uint64_t x = env_random64(&n.env.env);
            unsigned topic = (unsigned)(x % MOVING);

            if ((x >> 32) % 3 == 0) {
                client_feed_publish(pub, numbered("m/%u", topic), "", 0, true);
                now[topic] = 0;
            } else {
                now[topic] = i + 2;
                client_feed_publish(pub, numbered("m/%u", topic), numbered("%u", i + 2), 0, true);
            }
            if (i % 20 == 0)
                net_turn(&n, 0);
        }
        net_run(&n);
        client_expect(sub, MQTT_SUBACK, &p);
        while (client_next(sub, &p)) {
            unsigned topic, value;
            char text[64];

            snprintf(text, sizeof text, "%.*s %.*s", (int)p.publish.topic.len, p.publish.topic.p,
                     (int)p.publish.payload.len, p.publish.payload.p);
            if (sscanf(text, "m/%u %u", &topic, &value) != 2) { /* removed: live, empty */
                CHECK(sscanf(text, "m/%u", &topic) == 1 && !p.publish.retain);
                seen[topic] = 0;
                continue;
            }
            CHECK_ROW(topic, value > seen[topic] || seen[topic] == 0);
            CHECK_ROW(topic, !p.publish.retain || value == 1);
            seen[topic] = value;
        }
        for (unsigned i = 0; i < MOVING; i++)
            CHECK_ROW_INT(i, seen[i], now[i]);
        client_drop(sub);
    }
    net_fini(&n);
}

/* All of them are removed while a subscriber is half through. */
static void test_removed_meanwhile(void)
{
    static bool got[2000];
    struct net n;
    struct client *pub, *sub;
    struct mqtt_packet p;

    net_init(&n, 1, NULL);
    pub = net_client(&n, 0, 4, "pub");
    publish_many(pub, 2000);
    sub = net_client(&n, 0, 4, "sub");
    memset(got, 0, sizeof got);
    client_feed(sub, "\x82\x0b\0\1\0\6many/#\0", 13);
    net_turn(&n, 0);
    client_expect(sub, MQTT_SUBACK, &p);
    CHECK(take_many(sub, got, 2000) < 1000);
    for (unsigned i = 0; i < 2000; i++)
        client_feed_publish(pub, numbered("many/%u", i), "", 0, true);
    CHECK_INT(retained_count(n.broker->shards[0]), 0);
    net_run(&n);
    for (unsigned i = 0; i < 2000; i++)
        if (client_expect(sub, MQTT_PUBLISH, &p))
            CHECK_INT(p.publish.payload.len, 0);
    CHECK(client_quiet(sub));
    net_fini(&n);
}

/* Those go that come next, with the levels above them: what is behind them still comes. others:
 * topics in front of them, so that the cursor stands on any level. */
static void next_ones_removed(const char *format, unsigned others, unsigned gone)
{
    enum { N = 600 };
    struct net n;
    struct client *pub, *sub;
    struct mqtt_packet p;
    unsigned got = 0, first, live = 0;

    net_init(&n, 1, NULL);
    pub = net_client(&n, 0, 4, "pub");
    for (unsigned i = 0; i < others; i++)
        client_feed_publish(pub, numbered("r/other%u", i), "x", 0, true);
    for (unsigned i = 0; i < N; i++)
        client_feed_publish(pub, numbered(format, i), "x", 0, true);
    net_run(&n);
    sub = net_client(&n, 0, 4, "sub");
    client_feed(sub, "\x82\x08\0\1\0\3r/#\0", 10);
    net_turn(&n, 0);
    client_expect(sub, MQTT_SUBACK, &p);
    while (client_next(sub, &p))
        got++;
    CHECK(got > others && got + gone < N);
    first = got - others;
    for (unsigned i = 0; i < gone; i++)
        client_feed_publish(pub, numbered(format, first + i), "", 0, true);
    net_run(&n);
    while (client_next(sub, &p)) {
        got += p.publish.retain;
        live += !p.publish.retain;
    }
    CHECK_INT(live, gone);
    CHECK_INT(got, others + N - gone);
    net_fini(&n);
}

static void test_next_ones_removed(void)
{
    static const char *const formats[] = {"r/%u", "r/%u/x", "r/%u/x/y"};

    for (size_t f = 0; f < ARRAY_LEN(formats); f++)
        for (unsigned others = 0; others < 3; others++)
            for (unsigned gone = 1; gone <= 3; gone++)
                next_ones_removed(formats[f], others, gone);
}

/* How the sending is cut short. */
static void test_cancelled(void)
{
    enum ending { UNSUBSCRIBED, UNSUBSCRIBED_OTHER, AGAIN, DROPPED, ENDINGS };

    for (int ending = 0; ending < ENDINGS; ending++) {
        static bool got[2000];
        struct connect_options o = {.id = "sub", .clean = true};
        struct net n;
        struct client *pub, *sub;
        struct mqtt_packet p;
        unsigned taken;

        net_init(&n, 1, NULL);
        pub = net_client(&n, 0, 4, "pub");
        publish_many(pub, 2000);
        sub = net_connect(&n, 0, 4, &o, NULL);
        client_subscribe(sub, "many/1/+", 0);
        memset(got, 0, sizeof got);
        client_feed(sub, "\x82\x0b\0\1\0\6many/#\0", 13);
        net_turn(&n, 0);
        client_expect(sub, MQTT_SUBACK, &p);
        taken = take_many(sub, got, 2000);
        CHECK(taken > 0 && taken < 1000);
        switch (ending) {
        case UNSUBSCRIBED:
            client_feed(sub, "\xa2\x0a\0\2\0\6many/#", 12);
            net_run(&n);
            taken = 0;
            while (client_next(sub, &p))
                taken += p.type == MQTT_PUBLISH;
            CHECK(taken <= 512); /* what was on its way */
            break;
        case UNSUBSCRIBED_OTHER:
            client_feed(sub, "\xa2\x0c\0\2\0\10many/1/+", 14);
            net_turn(&n, 0);
            while (client_next(sub, &p) && p.type == MQTT_PUBLISH)
                taken++;
            CHECK_INT(p.type, MQTT_UNSUBACK);
            memset(got, 0, sizeof got);
            net_run(&n);
            CHECK_INT(taken + take_many(sub, got, 2000), 2000);
            break;
        case AGAIN: /* from the start, instead of what is still to come */
            client_feed(sub, "\x82\x0b\0\3\0\6many/#\0", 13);
            net_run(&n);
            while (client_next(sub, &p))
                taken += p.type == MQTT_PUBLISH;
            CHECK(taken >= 2000 && taken < 3000);
            break;
        default: break; /* net_fini() finds what is left over */
        }
        client_drop(sub);
        CHECK(!net_busy(&n));
        net_fini(&n);
    }
}

/* However often a client that takes nothing subscribes to the same, it costs the memory of once. */
static void test_again_and_again(void)
{
    struct net n;
    struct client *pub, *sub;
    int64_t once = 0;

    net_init(&n, 1, NULL);
    pub = net_client(&n, 0, 4, "pub");
    publish_many(pub, 2000);
    sub = net_client(&n, 0, 4, "sub");
    client_stall(sub);
    for (int i = 0; i < 1000; i++) {
        client_feed(sub, "\x82\x0b\0\1\0\6many/#\0", 13);
        client_feed(sub, "\x82\x0b\0\1\0\6many/+\0", 13);
        net_turn(&n, 0);
        if (i == 0)
            once = broker_memory(n.broker, FOR_RETAINED);
    }
    CHECK_INT(broker_memory(n.broker, FOR_RETAINED), once);
    client_drop(sub);
    CHECK(!net_busy(&n));
    net_fini(&n);
}

/* Many who subscribe to many do not make a turn long; all get all. */
static void test_many_to_many(void)
{
    enum { CLIENTS = 200 };
    static bool got[CLIENTS][2000];
    struct client *pub, *subs[CLIENTS];
    unsigned taken[CLIENTS] = {0}, all = 0;
    struct mqtt_packet p;
    struct net n;

    memset(got, 0, sizeof got);
    net_init(&n, 1, NULL);
    pub = net_client(&n, 0, 4, "pub");
    publish_many(pub, 2000);
    for (unsigned i = 0; i < CLIENTS; i++)
        subs[i] = net_client(&n, 0, 4, numbered("sub%u", i));
    for (unsigned i = 0; i < CLIENTS; i++)
        client_feed(subs[i], "\x82\6\0\1\0\1#\0", 8);
    net_turn(&n, 0);
    for (unsigned i = 0; i < CLIENTS; i++) {
        client_expect(subs[i], MQTT_SUBACK, &p);
        taken[i] = take_many(subs[i], got[i], 2000);
    }
    while (net_busy(&n)) {
        unsigned now = 0;

        net_turn(&n, 0);
        for (unsigned i = 0; i < CLIENTS; i++) {
            unsigned more = take_many(subs[i], got[i], 2000);

            taken[i] += more;
            now += more;
        }
        CHECK(now <= 64 * 256); /* shard.c: JOBS_A_TURN; retained.c: SLICE_NODES */
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        all += taken[i];
    CHECK_INT(all, CLIENTS * 2000);
    net_fini(&n);
}

/* A session that outlives its connection gets the rest when it is back. */
static void test_connection_lost_meanwhile(void)
{
    struct connect_options o = {.id = "sub", .expiry_s = 60};
    static bool got[3000];
    struct net n;
    struct client *pub, *sub;
    struct mqtt_packet p;
    unsigned taken = 0;

    net_init(&n, 1, NULL);
    pub = net_client(&n, 0, 5, "pub");
    for (unsigned i = 0; i < 3000; i++)
        client_feed_publish(pub, numbered("many/%u", i), "x", 1, true);
    net_run(&n);
    sub = net_connect(&n, 0, 5, &o, NULL);
    client_feed(sub, "\x82\x0c\0\1\0\0\6many/#\1", 14);
    memset(got, 0, sizeof got);
    for (int i = 0; i < 20; i++) {
        net_turn(&n, 0);
        while (client_next(sub, &p)) {
            unsigned number;
            char text[64];

            if (p.type == MQTT_SUBACK)
                continue;
            snprintf(text, sizeof text, "%.*s", (int)p.publish.topic.len, p.publish.topic.p);
            sscanf(text, "many/%u", &number);
            taken += !got[number];
            got[number] = true;
            client_feed(sub,
                        (uint8_t[]){0x40, 2, (uint8_t)(p.publish.packet_id >> 8),
                                    (uint8_t)p.publish.packet_id},
                        4);
        }
        if (i % 3 == 2) {
            net_turn(&n, 0);
            client_drop(sub);
            sub = net_connect(&n, 0, 5, &o, NULL);
        }
    }
    CHECK_INT(taken, 3000);
    net_fini(&n);
}

/* They wait behind messages of a shared subscription, which then go to another member: the queue is
 * empty, and they still come when the client is back. */
static void test_queue_given_away(void)
{
    struct broker_config cfg = broker_config_default();
    struct connect_options o = {.id = "sub", .expiry_s = 60};
    struct net n;
    struct client *pub, *sub, *other;

    cfg.max_queued_messages = 4;
    net_init(&n, 1, &cfg);
    pub = net_client(&n, 0, 5, "pub");
    client_publish(pub, "kept", "x", 1, true);
    sub = net_connect(&n, 0, 5, &o, NULL);
    client_subscribe(sub, "$share/g/t", 1);
    client_stall(sub);
    for (int i = 0; i < 4; i++) /* one is sent, three wait */
        client_publish(pub, "t", "x", 1, false);
    client_send(sub, "\x82\x0a\0\2\0\0\4kept\1", 12);
    client_send_ack(sub, MQTT_PUBACK, client_expect_publish(sub, "t", "x", 1, false), 0);
    other = net_client(&n, 0, 5, "other");
    client_subscribe(other, "$share/g/t", 1);
    client_drop(sub);
    for (int i = 0; i < 3; i++)
        client_expect_publish(other, "t", "x", 1, true);
    sub = net_connect(&n, 0, 5, &o, NULL);
    expect_retained(sub, "kept", "x");
    net_fini(&n);
}

/* ---- how long they stay ---- */

/* Counted down; not delivered any more when it is over [v5 MQTT-3.3.2-5] [v5 MQTT-3.3.2-6]; and
 * then forgotten. */
static void test_expiry(void)
{
    struct net n;
    struct client *pub, *sub;
    struct mqtt_packet p;

    net_init(&n, 2, NULL);
    pub = net_client(&n, 0, 5, "pub");
    publish_expiring(pub, "t", "short", 1, 10);
    publish_expiring(pub, "u", "long", 0, 100);
    publish_expiring(pub, "never", "", 1, 10);
    for (unsigned shard = 0; shard < 2; shard++) {
        net_sleep(&n, 4500);
        sub = net_client(&n, shard, 5, "sub");
        client_subscribe(sub, "t", 1);
        if (client_expect(sub, MQTT_PUBLISH, &p))
            CHECK_INT(p.publish.props.message_expiry_s, shard == 0 ? 6 : 1);
        client_drop(sub);
    }
    net_sleep(&n, 1000);
    CHECK_INT(retained_count(n.broker->shards[0]), 2); /* not yet noticed, but nobody gets it */
    for (unsigned shard = 0; shard < 2; shard++) {
        sub = net_client(&n, shard, 5, "sub");
        client_subscribe(sub, "+", 1);
        if (client_expect(sub, MQTT_PUBLISH, &p)) {
            CHECK(mqtt_str_eq(p.publish.payload, MQTT_STR("long")));
            CHECK_INT(p.publish.props.message_expiry_s, 90);
        }
        CHECK(client_quiet(sub));
        client_drop(sub);
    }
    net_sleep(&n, 30000); /* the sweep has come by */
    for (unsigned shard = 0; shard < 2; shard++)
        CHECK_INT(retained_count(n.broker->shards[shard]), 1);
    publish_expiring(pub, "u", "for ever", 0, 1);
    client_publish(pub, "u", "for ever", 1, true);
    net_sleep(&n, 200000);
    CHECK(mqtt_str_eq(payload_at(&n, 1, "u"), text_str("for ever")));
    net_fini(&n);
}

/* Many expire at once: they are forgotten in slices, too, and their memory with them. */
static void test_many_expire(void)
{
    struct net n;
    struct client *pub;
    int64_t before, with;

    net_init(&n, 1, NULL);
    pub = net_client(&n, 0, 5, "pub");
    client_publish(pub, "stays/1/2", "x", 1, true);
    before = mem_used(n.broker->shards[0]->mem, FOR_RETAINED);
    for (unsigned i = 0; i < 3000; i++)
        publish_expiring(pub, numbered(i % 2 ? "$gone/%u/1" : "gone/%u/1", i), "x", 0, 5);
    with = mem_used(n.broker->shards[0]->mem, FOR_RETAINED);
    CHECK_INT(retained_count(n.broker->shards[0]), 3001);
    env_test_sleep(&n.env, 30001);
    net_turn(&n, 0);
    CHECK(retained_count(n.broker->shards[0]) > 2000); /* not all in one turn */
    net_run(&n);
    CHECK_INT(retained_count(n.broker->shards[0]), 1);
    CHECK(mem_used(n.broker->shards[0]->mem, FOR_RETAINED) - before < (with - before) / 4);
    client_publish(pub, "stays/1/2", "", 1, true);
    net_fini(&n);
}

/* ---- limits ---- */

/* One too many is refused, where the version has words for it; what is there may change and go. */
static void limit(int version)
{
    struct broker_config cfg = broker_config_default();
    struct net n;
    struct client *pub;
    struct mqtt_packet p;

    cfg.max_retained = 2;
    net_init(&n, 1, &cfg);
    pub = net_client(&n, 0, version, "pub");
    client_publish(pub, "a", "1", 1, true);
    client_publish(pub, "b", "1", 1, true);
    for (uint8_t qos = 0; qos <= 2; qos++) {
        client_start_publish(pub, "c", "1", qos, true);
        if (qos == 0)
            continue;
        client_expect(pub, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, &p);
        CHECK_INT(p.ack.reason, version == 5 ? MQTT_RC_QUOTA_EXCEEDED : 0);
        CHECK_INT(MQTT_HAS(&p.ack.props, reason_string), version == 5);
    }
    CHECK_INT(net_drops(&n, DROP_REFUSED), 3);
    CHECK_INT(retained_count(n.broker->shards[0]), 2);
    client_publish(pub, "a", "2", 1, true);
    CHECK(mqtt_str_eq(payload_at(&n, 0, "a"), text_str("2")));
    client_publish(pub, "c", "", 1, true); /* removes nothing, takes no room */
    client_publish(pub, "c", "x", 1, false);
    client_publish(pub, "b", "", 1, true);
    client_publish(pub, "c", "1", 1, true);
    CHECK(mqtt_str_eq(payload_at(&n, 0, "c"), text_str("1")));
    net_fini(&n);
}

static void test_limit(void)
{
    each_version(limit);
}

/* ---- on several shards ---- */

static bool all_agree(const struct net *n, const char *topic)
{
    struct mqtt_str first = payload_at(n, 0, topic);

    for (unsigned shard = 1; shard < n->broker->n_shards; shard++)
        if (!mqtt_str_eq(payload_at(n, shard, topic), first))
            return false;
    return true;
}

/* Clients of all shards set and remove the same topics at the same time, and messages take any time
 * from one to the other: in the end all shards have the same; and who comes after all others have
 * been heard has the last word. */
static void test_settled(void)
{
    enum { SHARDS = 4 };
    struct net n;
    struct client *pubs[SHARDS];

    net_init(&n, SHARDS, NULL);
    for (unsigned i = 0; i < SHARDS; i++)
        pubs[i] = net_client(&n, i, 5, (char[]){(char)('a' + i), '\0'});
    for (unsigned round = 0; round < 300; round++) {
        const char *last;
        unsigned k;

        for (unsigned i = 0; i < 12; i++) {
            uint64_t x = env_random64(&n.env.env);

            client_feed_publish(pubs[x % SHARDS], (x >> 16) % 2 ? "t" : "u/v",
                                (x >> 24) % 4 == 0 ? "" : numbered("%u", i), 0, true);
            if ((x >> 32) % 3 == 0)
                net_turn(&n, (x >> 40) % SHARDS);
            if ((x >> 48) % 8 == 0)
                env_test_sleep(&n.env, 1);
        }
        net_run(&n);
        CHECK_ROW(round, all_agree(&n, "t"));
        CHECK_ROW(round, all_agree(&n, "u/v"));
        k = round % SHARDS;
        last = round % 5 == 0 ? "" : numbered("last %u", round);
        client_publish(pubs[k], "t", last, 1, true);
        for (unsigned shard = 0; shard < SHARDS; shard++)
            CHECK_ROW(round, mqtt_str_eq(payload_at(&n, shard, "t"), text_str(last)));
    }
    net_fini(&n);
}

/* A removal is remembered, so that what is older and comes later stays away; for a minute. */
static void test_removals(void)
{
    struct net n;
    struct client *a, *b;
    int64_t before, marked;

    net_init(&n, 2, NULL);
    a = net_client(&n, 0, 5, "a");
    b = net_client(&n, 1, 5, "b");
    client_publish(a, "zero", "x", 1, true);
    client_publish(a, "zero", "", 1, true);
    before = broker_memory(n.broker, FOR_RETAINED);
    for (unsigned i = 0; i < 400; i++) {
        client_feed_publish(a, numbered("t/%u", i), "older", 0, true); /* on its way to 1 */
        env_test_sleep(&n.env, 1);
        client_feed_publish(b, numbered("t/%u", i), "", 0, true); /* newer, overtakes it */
    }
    net_turn(&n, 1);
    net_run(&n);
    for (unsigned shard = 0; shard < 2; shard++)
        CHECK_INT(retained_count(n.broker->shards[shard]), 0);
    marked = broker_memory(n.broker, FOR_RETAINED);
    CHECK(marked > before + 2 * 400 * 16);
    net_sleep(&n, 59000);
    CHECK_INT(broker_memory(n.broker, FOR_RETAINED), marked);
    net_sleep(&n, 62000); /* two sweeps */
    CHECK(broker_memory(n.broker, FOR_RETAINED) - before < (marked - before) / 10);
    net_fini(&n);
}

/* To remove what never was leaves next to nothing, however deep the topic. */
static void test_removals_of_nothing(void)
{
    enum { REMOVALS = 1000 };
    struct net n;
    struct client *c;
    int64_t before;
    char topic[256];

    net_init(&n, 2, NULL);
    c = net_client(&n, 0, 5, "c");
    before = broker_memory(n.broker, FOR_RETAINED);
    for (unsigned i = 0; i < REMOVALS; i++) {
        memset(topic, '/', 200);
        snprintf(topic + 200, sizeof topic - 200, "%u", i);
        client_feed_publish(c, topic, "", 0, true);
    }
    net_run(&n);
    CHECK(broker_memory(n.broker, FOR_RETAINED) - before < 2 * REMOVALS * 100);
    net_fini(&n);
}

/* Who subscribes on one shard while the message is on its way there from another gets it once, as
 * retained or live; and the newest last. */
static void test_subscribe_meanwhile(void)
{
    struct net n;
    struct client *pub;
    char id[16];

    net_init(&n, 3, NULL);
    pub = net_client(&n, 0, 5, "pub");
    for (unsigned round = 0; round < 200; round++) {
        const char *value = numbered("%u", round);
        struct client *sub;
        struct mqtt_packet p;
        unsigned got = 0;

        snprintf(id, sizeof id, "sub%u", round);
        sub = net_client(&n, 1 + round % 2, 5, id);
        for (unsigned i = 0; i < 8; i++) {
            uint64_t x = env_random64(&n.env.env);

            if (i == 2)
                client_feed(sub, "\x82\7\0\1\0\0\1t\0", 9);
            if (i == 1 + round % 3)
                client_feed_publish(pub, "t", value, 0, true);
            net_turn(&n, (unsigned)(x % 3));
        }
        net_run(&n);
        client_expect(sub, MQTT_SUBACK, &p);
        while (client_next(sub, &p)) {
            if (mqtt_str_eq(p.publish.payload, text_str(value)))
                got++;
            else
                CHECK(got == 0 && p.publish.retain); /* what there was before */
        }
        CHECK_ROW_INT(round, got, 1);
        client_drop(sub);
    }
    net_fini(&n);
}

/* ---- out of memory ---- */

/* Set: the old one stays, here or there, and that is counted. */
static void test_set_fails(void)
{
    for (unsigned shard = 0; shard < 2; shard++) {
        for (struct net_fail fail = {0}; net_fail_next(&fail);) {
            struct net n;
            struct client *pub, *sub;
            int64_t drops;

            net_init(&n, 2, NULL);
            pub = net_client(&n, 0, 5, "pub");
            sub = net_client(&n, 1, 5, "sub");
            client_publish(pub, "a/b", "old", 1, true);
            net_fail(&fail, &n, shard);
            client_feed_publish(pub, "a/b", "new", 0, true);
            client_feed_publish(pub, "a/c/d", "new", 0, true);
            net_turn(&n, 0);
            net_turn(&n, 1);
            net_fail_end(&fail);
            net_run(&n);
            drops = net_drops(&n, DROP_NO_MEMORY);
            if (!fail.more)
                CHECK(all_agree(&n, "a/b") && all_agree(&n, "a/c/d") && drops == 0);
            for (unsigned i = 0; i < 2; i++) {
                struct mqtt_str b = payload_at(&n, i, "a/b"), d = payload_at(&n, i, "a/c/d");

                CHECK(mqtt_str_eq(b, text_str("new")) ||
                      (mqtt_str_eq(b, text_str("old")) && drops > 0));
                CHECK(mqtt_str_eq(d, text_str("new")) || (d.len == 0 && drops > 0));
            }
            client_publish(pub, "a/b", "newest", 1, true);
            client_subscribe(sub, "a/b", 0);
            expect_retained(sub, "a/b", "newest");
            net_fini(&n);
        }
    }
}

/* Subscribe: the subscription stands or is refused; what could not be sent is counted. */
static void test_subscribe_fails(void)
{
    for (struct net_fail fail = {0}; net_fail_next(&fail);) {
        struct net n;
        struct client *pub, *sub;
        struct mqtt_packet p;
        unsigned got = 0;
        unsigned refused = 0;

        net_init(&n, 1, NULL);
        pub = net_client(&n, 0, 5, "pub");
        client_publish(pub, "a/b", "1", 1, true);
        client_publish(pub, "a/c", "2", 1, true);
        sub = net_client(&n, 0, 5, "sub");
        net_fail(&fail, &n, 0);
        client_feed(sub, "\x82\x0b\0\1\0\0\5a/b/#\1", 13);
        client_feed(sub, "\x82\x09\0\2\0\0\3a/+\1", 11);
        net_turn(&n, 0);
        net_fail_end(&fail);
        net_run(&n);
        while (client_next(sub, &p)) {
            got += p.type == MQTT_PUBLISH;
            if (p.type == MQTT_SUBACK && p.suback.reasons.p[0] >= 0x80)
                refused += p.suback.packet_id; /* 1: of one message, 2: of two */
        }
        CHECK(fail.more || got == 3);
        if (sub->closed)
            CHECK_INT(sub->why, CLOSE_NO_MEMORY);
        else if (net_drops(&n, DROP_NO_MEMORY) == 0)
            CHECK_INT(got + refused, 3);
        net_fini(&n);
    }
}

TEST_MAIN(test_set_and_clear, test_wildcards, test_longest, test_many, test_many_to_a_slow_client,
          test_changed_meanwhile, test_removed_meanwhile, test_next_ones_removed, test_cancelled,
          test_again_and_again, test_many_to_many, test_connection_lost_meanwhile,
          test_queue_given_away, test_expiry, test_many_expire, test_limit, test_settled,
          test_removals, test_removals_of_nothing, test_subscribe_meanwhile, test_set_fails,
          test_subscribe_fails)

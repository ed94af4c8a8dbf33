/* routing_test: from a publisher to subscribers on other shards: who is asked, when it is
 * acknowledged, what holds publishers back, and that everything arrives whole and in order. */
#include "base/mem.h"
#include "base/test.h"
#include "broker/purposes.h"
#include "broker/router.h"
#include "net_support.h"

static void feed_payload(struct client *c, const char *topic, const uint8_t *payload, uint32_t len,
                         uint8_t qos, bool retain)
{
    struct mqtt_packet p = {.type = MQTT_PUBLISH};

    p.publish.topic = text_str(topic);
    p.publish.payload = (struct mqtt_str){payload, len};
    p.publish.qos = qos;
    p.publish.retain = retain;
    p.publish.packet_id = qos > 0 ? ++c->next_id : 0;
    client_feed_packet(c, &p);
}

/* ---- acknowledgements ---- */

/* Only when the other shard has dealt with it [v5 MQTT-4.3.2-4]
 * [v5 MQTT-4.3.3-8]. */
static void test_acknowledged_late(void)
{
    for (uint8_t qos = 1; qos <= 2; qos++) {
        for (int retain = 0; retain <= 1; retain++) {
            struct net n;
            struct client *pub, *sub;
            struct mqtt_packet p;
            uint16_t id;

            net_init(&n, 3, NULL);
            pub = net_client(&n, 0, 5, "pub");
            sub = net_client(&n, 1, 5, "sub");
            client_subscribe(sub, "t", 2);
            id = client_feed_publish(pub, "t", "x", qos, retain);
            net_turn(&n, 0);
            net_turn(&n, 2);
            net_turn(&n, 0);
            CHECK(client_quiet(pub) && client_quiet(sub));
            net_turn(&n, 1);
            client_expect_publish(sub, "t", "x", qos, false);
            CHECK(client_quiet(pub));
            net_turn(&n, 2);
            net_turn(&n, 0);
            client_expect(pub, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, &p);
            CHECK_INT(p.ack.packet_id, id);
            CHECK_INT(p.ack.reason, 0);
            client_publish(pub, "t", "", 1, retain);
            net_fini(&n);
        }
    }
}

/* Answers go in the order of what they answer; other packets need not wait for them
 * [v5 MQTT-4.6.0-2] [v5 MQTT-4.6.0-3] [v3 MQTT-4.6.0-2] [v3 MQTT-4.6.0-3]. */
static void order_of_answers(int version)
{
    struct net n;
    struct client *pub, *sub;
    struct mqtt_packet p;
    uint16_t ids[6];

    net_init(&n, 2, NULL);
    pub = net_client(&n, 0, version, "pub");
    sub = net_client(&n, 1, version, "sub");
    client_subscribe(sub, "far", 2);
    ids[0] = client_feed_publish(pub, "near", "x", 1, false);
    ids[1] = client_feed_publish(pub, "far", "x", 1, false);
    ids[2] = client_feed_publish(pub, "near", "x", 1, false);
    ids[3] = client_feed_publish(pub, "near", "x", 2, false);
    client_feed(pub, "\xc0\0", 2);
    ids[4] = client_feed_publish(pub, "far", "x", 2, false);
    ids[5] = client_feed_publish(pub, "$SYS/x", "x", 1, false); /* refused */
    net_turn(&n, 0);
    client_expect(pub, MQTT_PUBACK, &p);
    CHECK_INT(p.ack.packet_id, ids[0]);
    client_expect(pub, MQTT_PINGRESP, &p);
    CHECK(client_quiet(pub));
    net_run(&n);
    for (int i = 1; i <= 5; i++) {
        client_expect(pub, i == 3 || i == 4 ? MQTT_PUBREC : MQTT_PUBACK, &p);
        CHECK_INT(p.ack.packet_id, ids[i]);
        CHECK_INT(p.ack.reason >= 0x80, version == 5 && i == 5);
    }
    /* a PUBREL behind a PUBLISH that waits is answered behind it */
    client_feed_publish(pub, "far", "x", 1, false);
    client_feed(pub, (uint8_t[]){0x62, 2, 0, (uint8_t)ids[3], 0x62, 2, 0, 99}, 8);
    net_turn(&n, 0);
    CHECK(client_quiet(pub));
    net_run(&n);
    client_expect(pub, MQTT_PUBACK, &p);
    client_expect(pub, MQTT_PUBCOMP, &p);
    CHECK_INT(p.ack.packet_id, ids[3]);
    client_expect(pub, MQTT_PUBCOMP, &p);
    CHECK_INT(p.ack.reason, version == 5 ? MQTT_RC_PACKET_ID_NOT_FOUND : 0);
    net_fini(&n);
}

static void test_order_of_answers(void)
{
    each_version(order_of_answers);
}

/* The connection is gone before its answers may go. */
static void test_gone_before_the_answer(void)
{
    struct net n;
    struct client *pub, *sub;

    net_init(&n, 2, NULL);
    pub = net_client(&n, 0, 5, "pub");
    sub = net_client(&n, 1, 5, "sub");
    client_subscribe(sub, "t", 1);
    for (int i = 0; i < 20; i++)
        client_feed_publish(pub, i % 2 ? "t" : "$SYS/t", "x", 1, false);
    net_turn(&n, 0);
    connection_closed(pub->conn);
    pub->conn = NULL;
    net_run(&n);
    for (int i = 0; i < 10; i++)
        client_expect_publish(sub, "t", "x", 1, true);
    net_fini(&n);
}

/* ---- who is asked ---- */

static void test_interest(void)
{
    static const struct {
        const char *filter, *topic;
        bool goes;
    } rows[] = {
        {"a/b", "a/b", true}, {"a/b", "a/c", false}, {"a/+", "a/c", true}, {"a/+", "b/c", false},
        {"#", "x", true},     {"#", "$x", true},     {"a/#", "a", true},   {"+/b", "a/b/c", false},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (int ended = 0; ended <= 2; ended++) {
            struct net n;
            struct client *pub, *sub;
            int64_t before;

            net_init(&n, 3, NULL);
            pub = net_client(&n, 0, 5, "pub");
            sub = net_client(&n, 2, 5, "sub");
            client_subscribe(sub, rows[i].filter, 1);
            if (ended == 1)
                client_unsubscribe(sub, rows[i].filter);
            else if (ended == 2)
                client_drop(sub);
            for (int k = 0; k < 3; k++) { /* known topics, too */
                before = NET_COUNT(&n, posts);
                client_publish(pub, rows[i].topic, "x", 0, false);
                CHECK_ROW_INT(i, NET_COUNT(&n, posts) - before, rows[i].goes && ended == 0);
            }
            before = NET_COUNT(&n, posts);
            client_publish(pub, rows[i].topic, "x", 0, true); /* retained: to all */
            CHECK_ROW_INT(i, NET_COUNT(&n, posts) - before, 2);
            client_publish(pub, rows[i].topic, "", 0, true);
            net_fini(&n);
        }
    }
}

/* Filters come and go on other shards, for topics that are known by heart: from the SUBACK on a
 * client gets everything, from the UNSUBACK on nothing. */
static void test_interest_changes(void)
{
    struct net n;
    struct client *pub, *subs[4];
    bool in[4] = {false};

    net_init(&n, 4, NULL);
    pub = net_client(&n, 0, 5, "pub");
    for (unsigned i = 0; i < 4; i++)
        subs[i] = net_client(&n, i, 5, (char[]){(char)('a' + i), '\0'});
    for (int round = 0; round < 500; round++) {
        uint64_t x = env_random64(&n.env.env);
        unsigned i = (unsigned)(x % 4);

        if (in[i])
            client_unsubscribe(subs[i], "t/+");
        else
            client_subscribe(subs[i], "t/+", 1);
        in[i] = !in[i];
        client_publish(pub, x & 256 ? "t/1" : "t/2", "x", 1, false);
        for (unsigned k = 0; k < 4; k++) {
            if (in[k])
                client_expect_publish(subs[k], x & 256 ? "t/1" : "t/2", "x", 1, true);
            CHECK_ROW(round, client_quiet(subs[k]));
        }
    }
    net_fini(&n);
}

/* As many shards as there may be. */
static void test_most_shards(void)
{
    struct net n;
    struct client *pub, *sub;

    net_init(&n, BROKER_MAX_SHARDS, NULL);
    pub = net_client(&n, 5, 5, "pub");
    for (unsigned shard = 0; shard < BROKER_MAX_SHARDS; shard += 21) { /* 63 included */
        sub = net_client(&n, shard, 5, "sub");                         /* taken over each time */
        client_subscribe(sub, "t", 2);
        if (shard > 0)
            client_expect_publish(sub, "t", "x", 2, true); /* retained */
        client_subscribe(sub, "$share/g/t", 1);
        client_publish(pub, "t", "x", 2, true); /* to all of them */
        client_expect_publish(sub, "t", "x", 2, false);
        client_expect_publish(sub, "t", "x", 1, true);
        client_publish(pub, "t", "y", 1, false); /* to those that are interested */
        client_expect_publish(sub, "t", "y", 1, true);
        client_expect_publish(sub, "t", "y", 1, true);
    }
    client_publish(pub, "t", "", 2, true);
    net_fini(&n);
}

/* ---- what arrives ---- */

/* Whatever its size, whatever there is around it: small ones travel in blocks of posts, large ones
 * by themselves; between them they keep their order. */
static void test_sizes(void)
{
    static const uint32_t sizes[] = {0,    1,    900,  960,  961,   962,   970,   980,
                                     1000, 1023, 1024, 1025, 16368, 65536, 300000};
    static uint8_t payload[300000];

    for (uint8_t qos = 0; qos <= 2; qos++) {
        struct net n;
        struct client *pub, *sub;
        struct mqtt_packet p;

        net_init(&n, 2, NULL);
        pub = net_client(&n, 0, 5, "pub");
        sub = net_client(&n, 1, 5, "sub");
        client_subscribe(sub, "t", 2);
        for (size_t i = 0; i < sizeof payload; i++)
            payload[i] = (uint8_t)(i * 13 + (i >> 8));
        for (unsigned burst = 1; burst <= 200; burst = burst * 3 + 1) {
            for (unsigned i = 0; i < burst; i++) {
                uint32_t len = sizes[(i + burst) % ARRAY_LEN(sizes)];

                payload[0] = (uint8_t)i;
                feed_payload(pub, "t", payload, len, qos, false);
            }
            net_run(&n);
            for (unsigned i = 0; i < burst; i++) {
                uint32_t len = sizes[(i + burst) % ARRAY_LEN(sizes)];

                payload[0] = (uint8_t)i;
                if (!client_expect(sub, MQTT_PUBLISH, &p))
                    break;
                CHECK_BYTES(p.publish.payload.p, p.publish.payload.len, payload, len);
                if (qos > 0)
                    client_send_ack(sub, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, p.publish.packet_id,
                                    qos == 2 ? 0x80 : 0);
            }
            while (client_next(pub, &p))
                if (p.type == MQTT_PUBREC)
                    client_feed(pub,
                                (uint8_t[]){0x62, 2, (uint8_t)(p.ack.packet_id >> 8),
                                            (uint8_t)p.ack.packet_id},
                                4);
            net_run(&n);
            while (client_next(pub, &p))
                ;
        }
        net_fini(&n);
    }
}

/* Properties go with it, as a copy and as a message of its own; its time goes on. */
static void test_properties(void)
{
    static const uint8_t props[] = "\x03\0\4text\x02\0\0\0\x0a\x26\0\1k\0\1v";
    static const uint8_t passed[] = "\x03\0\4text\x26\0\1k\0\1v";
    static uint8_t payload[2000];

    for (uint32_t len = 0; len <= 2000; len += 1000) {
        for (int retain = 0; retain <= 1; retain++) {
            struct mqtt_packet p = {.type = MQTT_PUBLISH};
            struct net n;
            struct client *pub, *sub;

            net_init(&n, 2, NULL);
            pub = net_client(&n, 0, 5, "pub");
            sub = net_client(&n, 1, 5, "sub");
            client_subscribe(sub, "t", 1);
            p.publish.topic = MQTT_STR("t");
            p.publish.payload = (struct mqtt_str){payload, len};
            p.publish.retain = retain && len > 0;
            p.publish.props.encoded = (struct mqtt_str){props, sizeof props - 1};
            client_feed_packet(pub, &p);
            net_turn(&n, 0);
            env_test_sleep(&n.env, 4000); /* on its way for so long */
            net_run(&n);
            if (client_expect(sub, MQTT_PUBLISH, &p)) {
                CHECK_INT(p.publish.props.message_expiry_s, 6);
                CHECK_BYTES(p.publish.props.raw.p + 5, p.publish.props.raw.len - 5, passed,
                            sizeof passed - 1);
                CHECK_INT(p.publish.payload.len, len);
            }
            client_publish(pub, "t", "", 0, true);
            net_fini(&n);
        }
    }
}

/* A shard whose turn began before the message was published does not add to its time. */
static void test_time_of_a_long_turn(void)
{
    static const uint8_t props[] = "\x02\0\0\0\x0a";
    struct mqtt_packet p = {.type = MQTT_PUBLISH};
    struct net n;
    struct client *pub, *sub;

    net_init(&n, 2, NULL);
    pub = net_client(&n, 0, 5, "pub");
    sub = net_client(&n, 1, 5, "sub");
    client_subscribe(sub, "t", 0);
    p.publish.topic = MQTT_STR("t");
    p.publish.props.encoded = (struct mqtt_str){props, sizeof props - 1};
    shard_turn_begin(n.broker->shards[1]);
    env_test_sleep(&n.env, 1500);
    client_feed_packet(pub, &p);
    net_turn(&n, 0);
    shard_hand_over(n.broker->shards[1]);
    shard_turn_end(n.broker->shards[1]);
    net_run(&n);
    if (client_expect(sub, MQTT_PUBLISH, &p))
        CHECK_INT(p.publish.props.message_expiry_s, 10);
    net_fini(&n);
}

/* Who publishes because of what it has seen is never heard before it: a relay on another shard, and
 * a third client on a third one. */
static void test_causes_before_effects(void)
{
    struct net n;
    struct client *source, *relay, *watch;

    net_init(&n, 3, NULL);
    source = net_client(&n, 0, 5, "source");
    relay = net_client(&n, 1, 5, "relay");
    watch = net_client(&n, 2, 5, "watch");
    client_subscribe(relay, "cause", 0);
    client_subscribe(watch, "#", 0);
    for (int round = 0; round < 500; round++) {
        struct mqtt_packet p;
        bool seen = false;

        client_feed_publish(source, "cause", "x", 0, false);
        for (int i = 0; i < 12; i++) {
            net_turn(&n, (unsigned)(env_random64(&n.env.env) % 3));
            if (!seen && client_next(relay, &p)) {
                client_feed_publish(relay, "effect", "x", 0, false);
                seen = true;
            }
        }
        net_run(&n);
        if (!seen && client_next(relay, &p))
            client_publish(relay, "effect", "x", 0, false);
        client_expect_publish(watch, "cause", "x", 0, false);
        client_expect_publish(watch, "effect", "x", 0, false);
    }
    net_fini(&n);
}

/* ---- many filters ---- */

/* More lists than fit on the stack or into the cache of matches; long topics; one copy all the
 * same, at the highest QoS. */
static void test_many_filters(void)
{
    for (unsigned levels = 2; levels <= 6; levels++) {
        char topic[256] = "";
        struct net n;
        struct client *pub, *sub;

        for (unsigned i = 0; i < levels; i++)
            strcat(topic, levels == 6
                              ? (i == 0 ? "a-level-of-some-length" : "/a-level-of-some-length")
                              : (i == 0 ? "a" : "/a"));
        net_init(&n, 2, NULL);
        pub = net_client(&n, 0, 5, "pub");
        sub = net_client(&n, 1, 5, "sub");
        for (unsigned mask = 0; mask < 1u << levels; mask++) {
            char filter[256] = "";

            for (unsigned i = 0; i < levels; i++) {
                strcat(filter, i == 0 ? "" : "/");
                strcat(filter, mask >> i & 1 ? "+" : levels == 6 ? "a-level-of-some-length" : "a");
            }
            client_subscribe(sub, filter, mask == 1 ? 2 : 0);
        }
        for (int i = 0; i < 3; i++) {
            client_publish(pub, topic, "x", 2, false);
            client_expect_publish(sub, topic, "x", 2, true);
            CHECK(client_quiet(sub));
        }
        net_fini(&n);
    }
}

/* ---- backlog ---- */

/* A shard that falls behind holds back those who publish to it, until it has caught up; nothing is
 * lost. */
static void test_backlog(void)
{
    static uint8_t payload[100000];
    struct net n;
    struct client *pub, *other, *sub;
    struct mqtt_packet p;
    unsigned sent = 0, got = 0;

    net_init(&n, 2, NULL);
    pub = net_client(&n, 0, 5, "pub");
    other = net_client(&n, 0, 5, "other");
    sub = net_client(&n, 1, 5, "sub");
    client_subscribe(sub, "t", 0);
    client_subscribe(other, "t", 0);
    for (; sent < 1000 && !pub->reading_off; sent++) {
        feed_payload(pub, "t", payload, sizeof payload, 0, false);
        net_turn(&n, 0);
        client_expect(other, MQTT_PUBLISH, &p); /* on this shard nobody waits */
    }
    CHECK(sent > POST_BACKLOG_LIMIT / 110000 && sent <= POST_BACKLOG_LIMIT / 100000 + 1);
    CHECK_INT(NET_COUNT(&n, reads_paused), 1);
    for (int i = 0; i < 5; i++) { /* still behind */
        env_test_sleep(&n.env, 2);
        net_turn(&n, 0);
        CHECK(pub->reading_off && !other->reading_off);
    }
    net_turn(&n, 1);
    env_test_sleep(&n.env, 2);
    net_turn(&n, 0);
    CHECK(!pub->reading_off);
    net_run(&n);
    for (; client_next(sub, &p); got++)
        ;
    CHECK_INT(got, sent);

    /* one that was slowed leaves */
    for (sent = 0; sent < 1000 && !pub->reading_off; sent++)
        feed_payload(pub, "t", payload, sizeof payload, 0, false), net_turn(&n, 0);
    connection_closed(pub->conn);
    pub->conn = NULL;
    net_run(&n);
    net_sleep(&n, 10);
    for (got = 0; client_next(sub, &p); got++)
        ;
    CHECK_INT(got, sent);
    CHECK_INT(timer_running(&n.broker->shards[0]->pause_timer), 0);
    net_fini(&n);
}

/* ---- the loop of a shard ---- */

static void count_wake(void *arg)
{
    ++*(int *)arg;
}

/* Whoever hands something over wakes a shard that may sleep, once; one that is awake is not woken,
 * and does not go to sleep on it. */
static void test_wake(void)
{
    struct net n;
    struct client *pub, *sub;
    struct shard *target;
    int woken = 0;

    net_init(&n, 2, NULL);
    pub = net_client(&n, 0, 5, "pub");
    sub = net_client(&n, 1, 5, "sub");
    client_subscribe(sub, "t", 0);
    target = n.broker->shards[1];
    shard_set_wake(target, count_wake, &woken);
    CHECK(shard_may_sleep(target));
    for (int i = 0; i < 3; i++) {
        client_feed_publish(pub, "t", "x", 0, false);
        net_turn(&n, 0);
        CHECK_INT(woken, 1); /* by the first: it has not looked since */
    }
    CHECK(!shard_may_sleep(target));
    net_turn(&n, 1);
    CHECK(shard_may_sleep(target));
    shard_stay_awake(target);
    client_feed_publish(pub, "t", "x", 0, false);
    net_turn(&n, 0);
    CHECK_INT(woken, 1);
    CHECK(!shard_may_sleep(target));
    net_run(&n);
    net_fini(&n);
}

/* In the middle of a turn: what there is for others goes, what others have comes. */
static void test_hand_over(void)
{
    struct net n;
    struct client *a, *b;

    net_init(&n, 2, NULL);
    a = net_client(&n, 0, 5, "a");
    b = net_client(&n, 1, 5, "b");
    client_subscribe(a, "to/a", 0);
    client_subscribe(b, "to/b", 0);
    client_feed_publish(a, "to/b", "1", 0, false);
    client_feed_publish(b, "to/a", "2", 0, false);
    shard_hand_over(n.broker->shards[1]); /* a's is still at home */
    net_turn(&n, 1);
    CHECK(client_quiet(b));
    shard_hand_over(n.broker->shards[0]);
    net_turn(&n, 0);
    client_expect_publish(a, "to/a", "2", 0, false);
    net_turn(&n, 1);
    client_expect_publish(b, "to/b", "1", 0, false);
    net_fini(&n);
}

/* Numbers of messages: unique, growing, with the time in them, and later than all that were seen.
 */
static void test_uids(void)
{
    struct net n;
    struct shard *a, *b;
    uint64_t last = 0, seen;

    net_init(&n, 2, NULL);
    a = n.broker->shards[0];
    b = n.broker->shards[1];
    for (int i = 0; i < 20000; i++) { /* more than a millisecond has */
        uint64_t uid = shard_next_uid(i % 3 ? a : b);

        shard_seen_uid(i % 3 ? b : a, uid);
        CHECK(uid > last);
        CHECK_INT(uid & 0xff, i % 3 ? 0 : 1);
        last = uid;
    }
    env_test_sleep(&n.env, 1000);
    net_turn(&n, 0);
    seen = shard_next_uid(a);
    CHECK(seen > last);
    CHECK_INT(seen >> UID_TIME_SHIFT, a->wall_ms);
    shard_seen_uid(a, last); /* older: of no consequence */
    CHECK(shard_next_uid(a) > seen);
    net_fini(&n);
}

/* ---- out of memory ---- */

/* What cannot be handed over, or delivered there, is counted; the publisher is answered, or told
 * why it is not. */
static void test_out_of_memory(void)
{
    static uint8_t payload[3000];

    for (unsigned shard = 0; shard < 2; shard++) {
        for (struct net_fail fail = {0}; net_fail_next(&fail);) {
            struct net n;
            struct client *pub, *sub;
            struct mqtt_packet p;
            unsigned answers = 0, got = 0;

            net_init(&n, 2, NULL);
            pub = net_client(&n, 0, 5, "pub");
            sub = net_client(&n, 1, 5, "sub");
            client_subscribe_id(sub, "t", 2, 1);
            client_subscribe_id(sub, "+", 2, 2);
            net_fail(&fail, &n, shard);
            for (unsigned i = 0; i < 4; i++)
                feed_payload(pub, "t", payload, i == 3 ? 3000 : 10, (uint8_t)(i % 3), false);
            net_turn(&n, 0);
            net_turn(&n, 1);
            net_turn(&n, 0);
            net_fail_end(&fail);
            net_run(&n);
            while (client_next(pub, &p))
                answers += p.type == MQTT_PUBACK || p.type == MQTT_PUBREC;
            while (client_next(sub, &p))
                got += p.type == MQTT_PUBLISH;
            CHECK_ROW(fail.at, answers == 2 || pub->closed);
            if (got < 4)
                CHECK_ROW(fail.at, net_drops(&n, DROP_NO_MEMORY) > 0 ||
                                       net_drops(&n, DROP_REFUSED) > 0 || sub->closed ||
                                       pub->closed);
            if (!fail.more)
                CHECK(got == 4 && net_drops(&n, DROP_NO_MEMORY) == 0);
            net_fini(&n);
        }
    }
}

TEST_MAIN(test_acknowledged_late, test_order_of_answers, test_gone_before_the_answer, test_interest,
          test_interest_changes, test_most_shards, test_sizes, test_properties,
          test_time_of_a_long_turn, test_causes_before_effects, test_many_filters, test_backlog,
          test_wake, test_hand_over, test_uids, test_out_of_memory)

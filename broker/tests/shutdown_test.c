/* shutdown_test: the server closes connections of its own accord. */
#include "base/test.h"
#include "broker/drain.h"
#include "broker/session.h"
#include "net_support.h"

static void close_all(struct net *n)
{
    shard_turn_begin(n->broker->shards[0]);
    shard_close_all(n->broker->shards[0], CLOSE_SHUTTING_DOWN);
    net_run(n);
}

/* Everyone goes, those who can be told are told; who has not said CONNECT yet gets nothing
 * [v5 MQTT-3.14.0-1]. */
static void test_everyone(void)
{
    struct net n;
    struct client *clients[6][3];

    net_init(&n, 1, NULL);
    for (int version = 3; version <= 5; version++)
        for (int i = 0; i < 3; i++) {
            char id[8];

            snprintf(id, sizeof id, "%d/%d", version, i);
            clients[version][i] =
                i == 0 ? net_open(&n, 0, version) : net_client(&n, 0, version, id);
        }
    client_send(clients[5][0], "\x10\x0d\0\4MQ", 6);
    close_all(&n);
    CHECK_INT(net_closes(&n, CLOSE_SHUTTING_DOWN), 9);
    for (int version = 3; version <= 5; version++) {
        client_expect_refusal(clients[version][0], NO_CONNACK);
        client_expect_disconnect(clients[version][1], MQTT_RC_SERVER_SHUTTING_DOWN);
        client_expect_disconnect(clients[version][2], MQTT_RC_SERVER_SHUTTING_DOWN);
    }
    net_fini(&n);
}

/* What was on its way comes first. */
static void last_words(int version)
{
    struct net n;
    struct client *sub, *pub;

    net_init(&n, 1, NULL);
    sub = net_client(&n, 0, version, "sub");
    client_subscribe(sub, "t", 0);
    pub = net_client(&n, 0, version, "pub");
    client_feed(pub, version == 5 ? "\x30\5\0\1t\0x" : "\x30\4\0\1tx", version == 5 ? 7 : 6);
    shard_close_all(n.broker->shards[0], CLOSE_SHUTTING_DOWN);
    net_run(&n);
    client_expect_publish(sub, "t", "x", 0, false);
    client_expect_disconnect(sub, MQTT_RC_SERVER_SHUTTING_DOWN);
    net_fini(&n);
}

static void test_last_words(void)
{
    each_version(last_words);
}

/* Who does not read cannot be told; nor who is in the middle of a packet. */
static void test_stalled(void)
{
    static char payload[100001];

    for (int large = 0; large <= 1; large++) {
        struct net n;
        struct client *sub, *pub;
        size_t got;

        memset(payload, 'x', large ? 100000 : 10);
        payload[large ? 100000 : 10] = '\0';
        net_init(&n, 1, NULL);
        sub = net_client(&n, 0, 5, "sub");
        client_subscribe(sub, "t", 0);
        pub = net_client(&n, 0, 5, "pub");
        client_stall(sub);
        client_publish(pub, "t", payload, 0, false);
        got = sub->in_len;
        CHECK(sub->blocked && got < 100000);
        close_all(&n);
        CHECK_INT(sub->why, CLOSE_SHUTTING_DOWN);
        CHECK_INT(sub->in_len, got);
        net_fini(&n);
    }
}

/* Wills without a delay are for those who are still there; one with a delay is not lost by it. */
static void wills(int version)
{
    struct connect_options o = {.id = "c", .expiry_s = 60, .will_topic = "will"};
    struct net n;
    struct client *first, *c, *last;

    net_init(&n, 1, NULL);
    first = net_client(&n, 0, version, "first");
    client_subscribe(first, "will", 0);
    c = net_connect(&n, 0, version, &o, NULL);
    if (version == 5) {
        o.id = "patient";
        o.will_delay_s = 30;
        net_connect(&n, 0, version, &o, NULL);
    }
    last = net_client(&n, 0, version, "last");
    client_subscribe(last, "will", 0);
    close_all(&n);
    client_expect_disconnect(first, MQTT_RC_SERVER_SHUTTING_DOWN);
    client_expect_disconnect(c, MQTT_RC_SERVER_SHUTTING_DOWN);
    client_expect_publish(last, "will", "", 0, false);
    client_expect_disconnect(last, MQTT_RC_SERVER_SHUTTING_DOWN);
    CHECK_INT(COUNT_GET(&n.broker->shards[0]->counters, wills_sent), 1);
    if (version == 5)
        CHECK(session_find(n.broker->shards[0], MQTT_STR("patient"))->will != NULL);
    net_fini(&n);
}

static void test_wills(void)
{
    each_version(wills);
}

/* The end of sessions with the process is not the end that their Wills wait for. */
static void test_no_wills_of_sessions(void)
{
    struct connect_options o = {
        .id = "c", .expiry_s = 60, .will_topic = "will", .will_delay_s = 30};
    struct net n;

    net_init(&n, 1, NULL);
    client_drop(net_connect(&n, 0, 5, &o, NULL));
    shard_end_sessions(n.broker->shards[0]);
    CHECK_INT(COUNT_GET(&n.broker->shards[0]->counters, wills_sent), 0);
    net_fini(&n);
}

/* An administrator's close, a transport's own: in the words of the protocol where it has them. */
static void other_reasons(int version)
{
    static const enum close_reason whys[] = {CLOSE_ADMINISTRATIVE, CLOSE_WS_TEXT, CLOSE_WS_TOO_BIG,
                                             CLOSE_PING_TIMEOUT};

    for (size_t i = 0; i < ARRAY_LEN(whys); i++) {
        struct net n;
        struct client *c;

        net_init(&n, 1, NULL);
        c = net_client(&n, 0, version, "c");
        shard_turn_begin(c->shard);
        connection_fail(c->conn, whys[i]);
        connection_fail(c->conn, CLOSE_SERVER_ERROR); /* too late */
        net_run(&n);
        CHECK_ROW_INT(i, c->why, whys[i]);
        CHECK_ROW(i, strcmp(c->text, close_info(whys[i])->text) == 0);
        client_expect_disconnect(c, close_info(whys[i])->mqtt5);
        net_fini(&n);
    }
}

static void test_other_reasons(void)
{
    each_version(other_reasons);
}

/* Whatever the reason is: a client of version 5 is told one that DISCONNECT has. */
static void test_any_reason(void)
{
    for (unsigned why = CLOSE_MALFORMED_PACKET; why < CLOSE_COUNT; why++) {
        struct net n;
        struct client *c;
        struct mqtt_packet p;

        net_init(&n, 1, NULL);
        c = net_client(&n, 0, 5, "c");
        shard_turn_begin(c->shard);
        connection_close(c->conn, (enum close_reason)why, NULL);
        net_run(&n);
        CHECK_ROW(why, client_expect(c, MQTT_DISCONNECT, &p)); /* decodes */
        CHECK_ROW(why, p.reasoned.reason >= 0x80);
        client_expect_closed(c);
        CHECK_ROW_INT(why, net_closes(&n, (enum close_reason)why), 1);
        net_fini(&n);
    }
}

/* ---- drain ---- */

/* A PUBLISH that comes too late is not taken: its publisher keeps it. Who has nothing to wait for
 * goes at once, who has open exchanges when they are closed, or at the deadline. */
static void drained(int version)
{
    for (int patient = 0; patient <= 1; patient++) {
        struct net n;
        struct client *idle, *busy, *pub, *refused;
        uint16_t id;

        net_init(&n, 1, NULL);
        idle = net_client(&n, 0, version, "idle");
        busy = net_client(&n, 0, version, "busy");
        client_subscribe(busy, "t", 1);
        pub = net_client(&n, 0, version, "pub");
        client_publish(pub, "t", "x", 1, false);
        id = client_expect_publish(busy, "t", "x", 1, false);
        shard_turn_begin(n.broker->shards[0]);
        shard_drain(n.broker->shards[0], 1000);
        client_start_publish(pub, "t", "late", 1, false);
        client_start_publish(pub, "t", "late", 2, false);
        CHECK(client_quiet(pub) && client_quiet(busy));
        refused = net_open(&n, 0, version);
        CHECK_INT(refused->why, CLOSE_SHUTTING_DOWN);
        CHECK(refused->conn == NULL);
        client_free(refused);
        net_sleep(&n, 20);
        client_expect_disconnect(idle, MQTT_RC_SERVER_SHUTTING_DOWN);
        client_expect_disconnect(pub, MQTT_RC_SERVER_SHUTTING_DOWN);
        CHECK(!busy->closed && !shard_drained(n.broker->shards[0]));
        if (patient)
            net_sleep(&n, 980);
        else
            client_send_ack(busy, MQTT_PUBACK, id, 0);
        net_sleep(&n, 20);
        client_expect_disconnect(busy, MQTT_RC_SERVER_SHUTTING_DOWN);
        CHECK(shard_drained(n.broker->shards[0]));
        net_fini(&n);
    }
}

static void test_drained(void)
{
    each_version(drained);
}

/* Clients of all shards publish to each other while the service ends, shards take their turns in
 * any order and hear of it at different times: what was acknowledged has been delivered. Told
 * twice, a shard does the same; who has not even been welcome goes at once. */
static void test_drained_under_load(void)
{
    enum { SHARDS = 3 };

    for (unsigned round = 0; round < 60; round++) {
        struct net n;
        struct client *c[SHARDS];
        unsigned acked[SHARDS] = {0}, got[SHARDS][SHARDS] = {{0}};
        unsigned told = 0;

        net_init(&n, SHARDS, NULL);
        n.env.state += round;
        for (unsigned i = 0; i < SHARDS; i++) {
            c[i] = net_client(&n, i, 5, (char[]){(char)('a' + i), '\0'});
            client_subscribe(c[i], "t", 2);
            if (round % 2)
                client_subscribe(c[i], "$share/g/u", 1);
            net_open(&n, i, 5);
        }
        for (unsigned turn = 0; turn < 4000; turn++) {
            uint64_t x = env_random64(&n.env.env);
            unsigned i = (unsigned)(x % SHARDS);
            struct mqtt_packet p;

            if (turn > 60 && (x >> 8) % 16 == 0) {
                shard_turn_begin(n.broker->shards[i]);
                shard_drain(n.broker->shards[i], 1000);
                told |= 1u << i;
            }
            if (!c[i]->closed && turn < 200)
                client_feed_publish(c[i], (x >> 16) % 4 && round % 2 ? "u" : "t",
                                    (char[]){(char)('0' + i), '\0'}, (uint8_t)(1 + (x >> 24) % 2),
                                    false);
            net_turn(&n, (unsigned)(x >> 32) % SHARDS);
            if ((x >> 40) % 4 == 0)
                env_test_sleep(&n.env, 1);
            while (client_next(c[i], &p)) {
                if (p.type == MQTT_PUBACK || p.type == MQTT_PUBREC) {
                    acked[i]++;
                } else if (p.type == MQTT_PUBLISH) {
                    got[i][p.publish.payload.p[0] - '0']++;
                    client_feed(c[i],
                                (uint8_t[]){p.publish.qos == 1 ? 0x40 : 0x50, 2,
                                            (uint8_t)(p.publish.packet_id >> 8),
                                            (uint8_t)p.publish.packet_id},
                                4);
                } else if (p.type == MQTT_PUBREL) {
                    client_feed(c[i],
                                (uint8_t[]){0x70, 2, (uint8_t)(p.ack.packet_id >> 8),
                                            (uint8_t)p.ack.packet_id},
                                4);
                }
            }
        }
        CHECK_INT(told, (1u << SHARDS) - 1);
        for (unsigned i = 0; i < SHARDS; i++) {
            unsigned sum = 0;

            CHECK(c[i]->closed && c[i]->why == CLOSE_SHUTTING_DOWN);
            CHECK(shard_drained(n.broker->shards[i]));
            for (unsigned k = 0; k < SHARDS; k++)
                sum += got[k][i];
            CHECK_ROW(round, acked[i] > 0);
            if (round % 2 == 0) /* each to everyone */
                CHECK_ROW(round, sum >= acked[i] * SHARDS);
            else
                CHECK_ROW(round, sum >= acked[i]);
        }
        net_fini(&n);
    }
}

TEST_MAIN(test_everyone, test_last_words, test_stalled, test_wills, test_no_wills_of_sessions,
          test_other_reasons, test_any_reason, test_drained, test_drained_under_load)

/* durable_test: what is acknowledged is committed before, and there after a crash. */
#include "base/test.h"
#include "broker/purposes.h"
#include "broker/session.h"
#include "stored_support.h"

#define EXPIRY_S 3600

static struct client *join_v(struct stored *s, unsigned shard, int version, const char *id,
                             bool want_present)
{
    struct connect_options o = {.id = id, .expiry_s = version == 5 ? EXPIRY_S : 0};
    bool present;
    struct client *c = net_connect(&s->n, shard, version, &o, &present);

    CHECK_INT(present, want_present);
    return c;
}

/* A client of version 5 with a durable session. */
static struct client *join(struct stored *s, const char *id, bool want_present)
{
    return join_v(s, 0, 5, id, want_present);
}

static uint64_t records(struct stored *s)
{
    struct store_stats stats;

    s->store->ops->stats(s->store, &stats);
    return stats.records;
}

static uint64_t commits(struct stored *s)
{
    struct store_stats stats;

    s->store->ops->stats(s->store, &stats);
    return stats.commits;
}

static int count_record(void *arg, const struct store_record *r)
{
    *(int *)arg += r->kind != STORE_CLOCK;
    return 0;
}

/* Records that would be recovered now. */
static int records_left(struct stored *s)
{
    int n = 0;

    s->store->ops->recover(s->store, count_record, &n);
    return n;
}

/* SUBSCRIBE (options >= 0) or UNSUBSCRIBE, without a look at the answer. */
static void ask(struct client *c, const char *filter, int options)
{
    size_t len = strlen(filter);
    uint8_t text[100] = {0, (uint8_t)len};
    struct mqtt_packet p = {.type = options >= 0 ? MQTT_SUBSCRIBE : MQTT_UNSUBSCRIBE};

    memcpy(text + 2, filter, len);
    text[len + 2] = (uint8_t)options;
    p.subscribe.packet_id = 99;
    p.subscribe.filters = (struct mqtt_str){text, (uint32_t)len + 2 + (options >= 0)};
    p.subscribe.count = 1;
    client_send_packet(c, &p);
}

/* Nothing comes before the store has committed; then this. */
static struct mqtt_packet held(struct stored *s, struct client *c, enum mqtt_type type)
{
    struct mqtt_packet p;

    CHECK(client_quiet(c));
    stored_hold(s, false);
    client_expect(c, type, &p);
    return p;
}

/* ---- the answers ---- */

static void test_connack_waits(void)
{
    struct connect_options o = {.id = "c", .expiry_s = EXPIRY_S};
    struct mqtt_packet p;
    struct stored s;
    struct client *c;

    stored_init(&s, 1, NULL);
    stored_hold(&s, true);
    c = net_open(&s.n, 0, 5);
    client_connect_packet(&p, 5, &o);
    client_send_packet(c, &p);
    client_send_packet(c, &(struct mqtt_packet){.type = MQTT_PINGREQ});
    CHECK(client_quiet(c));
    stored_hold(&s, false);
    client_expect(c, MQTT_CONNACK, &p);
    client_expect(c, MQTT_PINGRESP, &p);
    stored_crash(&s, 1000);
    CHECK_INT(s.recovered.sessions, 1);
    join(&s, "c", true);
    stored_fini(&s);
}

/* A session that its client has begun anew does not come back after a crash: the CONNACK that says
 * so waits until the end of the old one is stored, wherever that was, even if nothing is stored of
 * the new one. [v5 MQTT-3.1.2-4] [v3 MQTT-3.1.2-6] */
static void clean_start_waits(unsigned shards, int version, bool connected)
{
    struct connect_options o = {.id = "c", .clean = true};
    struct mqtt_packet p;
    struct stored s;
    struct client *c;

    stored_init(&s, shards, NULL);
    c = join_v(&s, 0, version, "c", false);
    client_subscribe(c, "t", 1);
    if (!connected)
        client_drop(c);
    stored_hold(&s, true);
    c = net_open(&s.n, shards - 1, version);
    client_connect_packet(&p, version, &o);
    client_send_packet(c, &p);
    CHECK(client_quiet(c));
    stored_hold(&s, false);
    client_expect(c, MQTT_CONNACK, &p);
    CHECK(!p.connack.session_present);
    stored_hold(&s, true); /* nothing more gets into the store */
    stored_crash(&s, 1000);
    CHECK_INT(s.recovered.sessions, 0);
    stored_fini(&s);
}

static void test_clean_start_waits(void)
{
    for (unsigned shards = 1; shards <= 3; shards++)
        for (int connected = 0; connected <= 1; connected++) {
            clean_start_waits(shards, 4, connected);
            clean_start_waits(shards, 5, connected);
        }
}

/* One that goes, or is taken over, while its session is on the way to the store. */
static void test_connack_not_waited_for(void)
{
    struct connect_options o = {.id = "c", .expiry_s = EXPIRY_S};
    struct mqtt_packet p;
    struct stored s;
    struct client *c[2];

    stored_init(&s, 1, NULL);
    stored_hold(&s, true);
    client_connect_packet(&p, 5, &o);
    for (int i = 0; i < 2; i++) {
        c[i] = net_open(&s.n, 0, 5);
        client_send_packet(c[i], &p);
    }
    client_expect_refusal(c[0], MQTT_RC_SERVER_UNAVAILABLE);
    client_drop(c[1]);
    stored_hold(&s, false);
    join(&s, "c", true);
    stored_fini(&s);
}

static void test_suback_waits(void)
{
    struct stored s;
    struct client *c, *pub;

    stored_init(&s, 1, NULL);
    c = join(&s, "c", false);
    client_subscribe(c, "gone", 1);
    stored_hold(&s, true);
    ask(c, "a/+", 1);
    held(&s, c, MQTT_SUBACK);
    stored_hold(&s, true);
    ask(c, "gone", -1);
    held(&s, c, MQTT_UNSUBACK);
    stored_crash(&s, 1000);
    CHECK_INT(s.recovered.subscriptions, 1);
    c = join(&s, "c", true);
    pub = net_client(&s.n, 0, 5, "pub");
    client_start_publish(pub, "gone", "x", 1, false);
    client_start_publish(pub, "a/b", "y", 1, false);
    client_expect_publish(c, "a/b", "y", 1, true);
    stored_fini(&s);
}

/* A message for somebody who is not there is acknowledged when it is stored. */
static void test_offline(uint8_t qos, unsigned shards, int version)
{
    struct connect_options keep = {.id = "sub", .expiry_s = version == 5 ? EXPIRY_S : 0};
    struct stored s;
    struct client *pub, *sub;
    struct mqtt_packet p;

    stored_init(&s, shards, NULL);
    sub = net_connect(&s.n, shards - 1, version, &keep, NULL);
    client_subscribe(sub, "t", 2);
    client_drop(sub);
    pub = net_client(&s.n, 0, 5, "pub");
    stored_hold(&s, true);
    client_start_publish(pub, "t", "m", qos, false);
    p = held(&s, pub, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC);
    CHECK_INT(p.ack.reason, 0);
    stored_crash(&s, 1000);
    CHECK_INT(s.recovered.queued, 1);
    sub = net_connect(&s.n, 0, version, &keep, NULL);
    client_expect_publish(sub, "t", "m", qos, true);
    CHECK(client_quiet(sub));
    net_sleep(&s.n, 50);
    stored_crash(&s, 1000);
    CHECK_INT(s.recovered.sessions, 1);
    sub = net_connect(&s.n, 0, version, &keep, NULL);
    net_sleep(&s.n, 1000);
    CHECK(client_quiet(sub));
    stored_fini(&s);
}

static void test_offline_all(void)
{
    for (uint8_t qos = 1; qos <= 2; qos++)
        for (unsigned shards = 1; shards <= 3; shards++)
            for (int version = MQTT_V31; version <= MQTT_V5; version++)
                test_offline(qos, shards, version);
}

/* An online subscriber that acknowledges at once: nothing reaches the store. */
static void test_born_and_dead(void)
{
    struct stored s;
    struct client *pub, *sub;
    struct mqtt_packet p;
    uint64_t before;
    uint16_t id;

    stored_init(&s, 1, NULL);
    sub = join(&s, "sub", false);
    client_subscribe(sub, "t", 1);
    pub = net_client(&s.n, 0, 5, "pub");
    before = records(&s);
    for (int i = 0; i < 100; i++) {
        client_start_publish(pub, "t", "m", 1, false);
        CHECK(client_quiet(pub));
        id = client_expect_publish(sub, "t", "m", 1, false);
        client_send_ack(sub, MQTT_PUBACK, id, 0);
        client_expect(pub, MQTT_PUBACK, &p);
        net_sleep(&s.n, 1);
    }
    CHECK_INT(records(&s), before);
    stored_fini(&s);
}

/* One that does not acknowledge soon: the store does for it. */
static void test_slow(void)
{
    struct stored s;
    struct client *pub, *sub;
    struct mqtt_packet p;
    uint16_t id;

    stored_init(&s, 1, NULL);
    sub = join(&s, "sub", false);
    client_subscribe(sub, "t", 1);
    pub = net_client(&s.n, 0, 5, "pub");
    for (int i = 0; i < 20; i++) {
        client_start_publish(pub, "t", "m", 1, false);
        net_sleep(&s.n, 10);
        client_expect(pub, MQTT_PUBACK, &p);
        id = client_expect_publish(sub, "t", "m", 1, false);
        net_sleep(&s.n, 100);
        client_send_ack(sub, MQTT_PUBACK, id, 0);
    }
    /* There is no hope any more: no waiting for it. */
    client_start_publish(pub, "t", "m", 1, false);
    client_expect(pub, MQTT_PUBACK, &p);
    stored_crash(&s, 1000);
    CHECK_INT(s.recovered.inflight, 1);
    sub = join(&s, "sub", true);
    client_expect(sub, MQTT_PUBLISH, &p);
    CHECK(p.publish.dup);
    stored_fini(&s);
}

/* ---- QoS 2, step by step ---- */

/* To the client: the packet identifier is stored before the PUBLISH goes out, the release before
 * the PUBREL; after a crash at any point the client gets the message once. */
static void test_qos2_out(void)
{
    for (int crash = 0; crash < 5; crash++) {
        struct stored s;
        struct client *pub, *sub;
        struct mqtt_packet p;
        uint16_t id = 0;

        stored_init(&s, 1, NULL);
        sub = join(&s, "sub", false);
        client_subscribe(sub, "t", 2);
        pub = net_client(&s.n, 0, 5, "pub");
        stored_hold(&s, true);
        client_start_publish(pub, "t", "m", 2, false);
        CHECK(client_quiet(sub));
        CHECK(client_quiet(pub));
        if (crash > 0) {
            stored_hold(&s, false);
            id = client_expect_publish(sub, "t", "m", 2, false);
            client_expect(pub, MQTT_PUBREC, &p);
        }
        if (crash > 1) {
            stored_hold(&s, true);
            client_send_ack(sub, MQTT_PUBREC, id, 0);
            CHECK(client_quiet(sub));
        }
        if (crash > 2)
            p = held(&s, sub, MQTT_PUBREL);
        if (crash > 3)
            client_send_ack(sub, MQTT_PUBCOMP, id, 0);
        net_sleep(&s.n, 50);
        stored_crash(&s, 1000);
        sub = join(&s, "sub", true);
        if (crash == 0 || crash == 4) { /* not acknowledged to the publisher; all over */
            net_sleep(&s.n, 1000);
            CHECK(client_quiet(sub));
        } else if (crash < 3) {
            client_expect(sub, MQTT_PUBLISH, &p);
            CHECK_ROW_INT(crash, p.publish.packet_id, id);
            CHECK(p.publish.dup);
            client_send_ack(sub, MQTT_PUBREC, id, 0);
            client_expect(sub, MQTT_PUBREL, &p);
            client_send_ack(sub, MQTT_PUBCOMP, id, 0);
        } else {
            client_expect(sub, MQTT_PUBREL, &p);
            CHECK_ROW_INT(crash, p.ack.packet_id, id);
            client_send_ack(sub, MQTT_PUBCOMP, id, 0);
        }
        CHECK(client_quiet(sub));
        net_sleep(&s.n, 1000);
        CHECK_INT(records_left(&s), 2); /* session and subscription */
        stored_fini(&s);
    }
}

/* From the client: the identifier is stored before the PUBREC, and free again in the store before
 * the PUBCOMP. */
static void test_qos2_in(void)
{
    struct stored s;
    struct client *pub, *sub;
    struct mqtt_packet p;
    uint16_t id;

    stored_init(&s, 1, NULL);
    pub = join(&s, "pub", false);
    sub = join(&s, "sub", false);
    client_subscribe(sub, "t", 1);
    client_drop(sub);
    stored_hold(&s, true);
    id = client_start_publish(pub, "t", "m", 2, false);
    held(&s, pub, MQTT_PUBREC);
    stored_crash(&s, 1000);
    pub = join(&s, "pub", true);
    p = (struct mqtt_packet){.type = MQTT_PUBLISH};
    p.publish.topic = text_str("t");
    p.publish.payload = text_str("m");
    p.publish.qos = 2;
    p.publish.dup = true;
    p.publish.packet_id = id;
    client_send_packet(pub, &p); /* it had not heard the PUBREC */
    client_expect(pub, MQTT_PUBREC, &p);
    stored_hold(&s, true);
    client_send_ack(pub, MQTT_PUBREL, id, 0);
    p = held(&s, pub, MQTT_PUBCOMP);
    CHECK_INT(p.ack.reason, 0);
    stored_crash(&s, 1000);
    pub = join(&s, "pub", true);
    client_send_ack(pub, MQTT_PUBREL, id, 0);
    client_expect(pub, MQTT_PUBCOMP, &p);
    CHECK_INT(p.ack.reason, MQTT_RC_PACKET_ID_NOT_FOUND);
    sub = join(&s, "sub", true);
    client_expect_publish(sub, "t", "m", 1, true);
    CHECK(client_quiet(sub));
    stored_fini(&s);
}

/* ---- sessions ---- */

static void test_sessions_end(void)
{
    struct stored s;
    struct client *c;

    stored_init(&s, 1, NULL);
    join(&s, "connected", false);
    client_drop(join(&s, "gone", false));
    c = join(&s, "ended", false);
    client_subscribe(c, "t", 1);
    client_drop(c);
    net_client(&s.n, 0, 5, "ended");
    net_client(&s.n, 0, 5, "clean");
    net_sleep(&s.n, 1000);
    stored_crash(&s, (EXPIRY_S - 10) * 1000);
    CHECK_INT(s.recovered.sessions, 2);
    CHECK_INT(s.recovered.subscriptions, 0);
    net_sleep(&s.n, 10 * 1000);
    join(&s, "gone", false);     /* expired since it has gone */
    join(&s, "connected", true); /* its time has begun with the crash */
    stored_fini(&s);
}

static void test_graceful_restart(void)
{
    struct stored s;
    struct client *c;

    stored_init(&s, 2, NULL);
    c = join_v(&s, 1, 4, "c", false);
    client_subscribe(c, "a/#", 1);
    client_subscribe(c, "$share/g/b", 2);
    stored_restart(&s, 10);
    CHECK_INT(s.recovered.sessions, 1);
    CHECK_INT(s.recovered.subscriptions, 2);
    c = net_client(&s.n, 0, 5, "pub");
    client_publish(c, "a/1", "1", 2, false);
    client_publish(c, "b", "2", 1, false);
    stored_restart(&s, 10);
    c = join_v(&s, 0, 4, "c", true);
    client_expect_publish(c, "a/1", "1", 1, true);
    client_expect_publish(c, "b", "2", 1, true);
    CHECK(client_quiet(c));
    stored_fini(&s);
}

/* The Will of a client that was connected is published after the restart, once. */
static void test_will(void)
{
    struct connect_options o = {.id = "c",
                                .expiry_s = EXPIRY_S,
                                .will_topic = "w",
                                .will_payload = "died",
                                .will_qos = 1,
                                .will_delay_s = 5};
    struct stored s;
    struct client *c;

    stored_init(&s, 1, NULL);
    c = join(&s, "watcher", false);
    client_subscribe(c, "w", 1);
    net_connect(&s.n, 0, 5, &o, NULL);
    stored_crash(&s, 1000);
    c = join(&s, "watcher", true);
    net_sleep(&s.n, 4999);
    CHECK(client_quiet(c));
    net_sleep(&s.n, 1);
    client_expect_publish(c, "w", "died", 1, true);
    net_sleep(&s.n, 1000);
    stored_crash(&s, 1000);
    c = join(&s, "watcher", true);
    net_sleep(&s.n, 10000);
    CHECK(client_quiet(c));
    stored_fini(&s);
}

/* ---- retained messages ---- */

static void test_retained(unsigned shards)
{
    static const char *const topics[] = {"a", "b/c", "d", "e/f/g", "h"};
    struct mqtt_packet p;
    struct stored s;
    struct client *c;

    stored_init(&s, shards, NULL);
    c = net_client(&s.n, 0, 5, "pub");
    for (size_t i = 0; i < ARRAY_LEN(topics); i++) {
        stored_hold(&s, true);
        client_start_publish(c, topics[i], "old", 1, true);
        held(&s, c, MQTT_PUBACK);
    }
    client_publish(c, "a", "new", 2, true);
    client_publish(c, "d", "", 1, true);
    client_publish(c, "h", "unacknowledged", 0, true);
    net_sleep(&s.n, 100);
    stored_crash(&s, 1000);
    CHECK_INT(s.recovered.retained, 4);
    c = net_client(&s.n, shards - 1, 5, "sub");
    client_subscribe(c, "a", 1);
    client_expect_publish(c, "a", "new", 1, true);
    client_subscribe(c, "+/#", 1);
    for (int i = 0; i < 4; i++) {
        client_expect(c, MQTT_PUBLISH, &p);
        CHECK(p.publish.retain);
        if (p.publish.qos > 0)
            client_send_ack(c, MQTT_PUBACK, p.publish.packet_id, 0);
    }
    CHECK(client_quiet(c));
    stored_fini(&s);
}

static void test_retained_all(void)
{
    for (unsigned shards = 1; shards <= 3; shards++)
        test_retained(shards);
}

/* ---- queues in the store ---- */

static void publish_number(struct client *pub, int i, uint8_t qos)
{
    char text[16];

    snprintf(text, sizeof text, "%d ", i);
    client_publish(pub, "t", text, qos, false);
}

/* Answer whatever comes until these messages have come, in their order. */
static void expect_numbers(struct client *c, int from, int to)
{
    struct mqtt_packet p;

    while (from < to && client_next(c, &p)) {
        if (p.type == MQTT_PUBREL) {
            client_send_ack(c, MQTT_PUBCOMP, p.ack.packet_id, 0);
            continue;
        }
        CHECK_INT(p.type, MQTT_PUBLISH);
        CHECK_INT(atoi((const char *)p.publish.payload.p), from);
        from++;
        client_send_ack(c, p.publish.qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, p.publish.packet_id, 0);
    }
    CHECK_INT(from, to);
}

/* Complete what is open. */
static void expect_end(struct client *c)
{
    struct mqtt_packet p;

    while (client_next(c, &p)) {
        CHECK_INT(p.type, MQTT_PUBREL);
        client_send_ack(c, MQTT_PUBCOMP, p.ack.packet_id, 0);
    }
}

/* More than a page, with what comes meanwhile behind it. */
static void test_long_queue(void)
{
    struct broker_config config = broker_config_default();
    struct stored s;
    struct client *pub, *sub;

    config.max_queued_messages = 100000;
    stored_init(&s, 1, &config);
    sub = join(&s, "sub", false);
    client_subscribe(sub, "t", 2);
    client_drop(sub);
    pub = net_client(&s.n, 0, 5, "pub");
    for (int i = 0; i < 3500; i++)
        publish_number(pub, i, (uint8_t)(1 + i % 2));
    stored_crash(&s, 1000);
    CHECK_INT(s.recovered.queued, 3500);
    pub = net_client(&s.n, 0, 5, "pub");
    for (int i = 3500; i < 3600; i++)
        publish_number(pub, i, (uint8_t)(1 + i % 2));
    sub = join(&s, "sub", true);
    expect_numbers(sub, 0, 1700);
    for (int i = 3600; i < 3700; i++)
        publish_number(pub, i, (uint8_t)(1 + i % 2));
    net_sleep(&s.n, 100);
    stored_crash(&s, 1000);
    sub = join(&s, "sub", true);
    expect_numbers(sub, 1700, 3700);
    expect_end(sub);
    net_sleep(&s.n, 1000);
    CHECK_INT(records_left(&s), 2);
    stored_fini(&s);
}

/* The limit of a queue counts what is in the store, and what waits longest makes room. */
static void test_overflow(void)
{
    struct broker_config config = broker_config_default();
    struct stored s;
    struct client *pub, *sub;

    config.max_queued_messages = 10;
    stored_init(&s, 1, &config);
    sub = join(&s, "sub", false);
    client_subscribe(sub, "t", 1);
    client_drop(sub);
    pub = net_client(&s.n, 0, 5, "pub");
    for (int i = 0; i < 15; i++)
        publish_number(pub, i, 1);
    stored_crash(&s, 1000);
    CHECK_INT(s.recovered.queued, 10);
    pub = net_client(&s.n, 0, 5, "pub");
    for (int i = 15; i < 18; i++)
        publish_number(pub, i, 1);
    CHECK_INT(net_drops(&s.n, DROP_QUEUE_FULL), 3);
    sub = join(&s, "sub", true);
    expect_numbers(sub, 8, 18);
    CHECK(client_quiet(sub));
    stored_fini(&s);
}

static void test_expiry_in_store(void)
{
    struct mqtt_packet p = {.type = MQTT_PUBLISH};
    struct stored s;
    struct client *pub, *sub;

    stored_init(&s, 1, NULL);
    sub = join(&s, "sub", false);
    client_subscribe(sub, "t", 1);
    client_drop(sub);
    pub = net_client(&s.n, 0, 5, "pub");
    for (uint16_t i = 1; i <= 2; i++) {
        p.publish.topic = text_str("t");
        p.publish.payload = text_str(i == 1 ? "short" : "long");
        p.publish.qos = 1;
        p.publish.packet_id = i;
        MQTT_SET(&p.publish.props, message_expiry_s, i * 10u);
        client_send_packet(pub, &p);
    }
    stored_crash(&s, 12000);
    sub = join(&s, "sub", true);
    client_expect(sub, MQTT_PUBLISH, &p);
    CHECK(mqtt_str_eq(p.publish.payload, text_str("long")));
    CHECK_INT(p.publish.props.message_expiry_s, 8);
    CHECK(client_quiet(sub));
    stored_fini(&s);
}

/* ---- shared subscriptions ---- */

/* What a member has not completed goes to another when its session ends, wherever it is kept; and
 * is never lost on the way. */
static void give_back(unsigned shards, bool in_store, bool crash)
{
    struct stored s;
    struct client *a, *b, *pub;
    struct mqtt_packet p;
    bool got[10] = {false};
    int n = 0;

    stored_init(&s, shards, NULL);
    a = join_v(&s, 0, 5, "a", false);
    b = join_v(&s, shards - 1, 5, "b", false);
    client_subscribe(a, "$share/g/t", 1);
    client_subscribe(b, "$share/g/t", 1);
    client_drop(a);
    client_drop(b);
    pub = net_client(&s.n, 0, 5, "pub");
    for (int i = 0; i < 10; i++)
        publish_number(pub, i, 1);
    if (in_store)
        stored_crash(&s, 1000);
    net_client(&s.n, 0, 5, "a"); /* Clean Start: the old session ends */
    if (crash)
        stored_crash(&s, 1000);
    else
        net_sleep(&s.n, 100);
    b = join_v(&s, 0, 5, "b", true);
    net_sleep(&s.n, 100);
    while (client_next(b, &p)) {
        int i = atoi((const char *)p.publish.payload.p);

        CHECK(!got[i]);
        got[i] = true;
        n++;
        client_send_ack(b, MQTT_PUBACK, p.publish.packet_id, 0);
    }
    CHECK(n == 10 || (crash && n == 5));
    net_client(&s.n, 0, 5, "a"); /* died before its end was committed, it is there again */
    net_sleep(&s.n, 100);
    for (; client_next(b, &p); n++)
        client_send_ack(b, MQTT_PUBACK, p.publish.packet_id, 0);
    CHECK_INT(n, 10);
    net_sleep(&s.n, 100);
    CHECK_INT(records_left(&s), 2);
    stored_fini(&s);
}

static void test_give_back(void)
{
    for (unsigned shards = 1; shards <= 3; shards++)
        for (int i = 0; i < 4; i++)
            give_back(shards, (i & 1) != 0, (i & 2) != 0);
}

/* ---- which messages ---- */

static void test_topics(void)
{
    struct topic_durability topics[] = {{"telemetry/#", DURABILITY_MEMORY}};
    struct broker_config config = broker_config_default();
    struct stored s;
    struct client *pub, *sub;

    config.topic_durability = topics;
    config.n_topic_durability = 1;
    stored_init(&s, 1, &config);
    sub = join(&s, "sub", false);
    client_subscribe(sub, "#", 1);
    client_drop(sub);
    pub = net_client(&s.n, 0, 5, "pub");
    stored_hold(&s, true);
    client_publish(pub, "telemetry/1", "m", 1, true);
    stored_hold(&s, false);
    client_publish(pub, "orders", "m", 1, false);
    stored_crash(&s, 1000);
    CHECK_INT(s.recovered.retained, 0);
    sub = join(&s, "sub", true);
    client_expect_publish(sub, "orders", "m", 1, true);
    CHECK(client_quiet(sub));
    stored_fini(&s);
}

/* Where a topic has to survive a power cut, so has all that its messages depend on: what is
 * retained, identifiers of QoS 2 on the way in and out. Others do not wait for the disk. */
static void test_fsync_topics(void)
{
    static const struct {
        const char *topic;
        uint8_t qos;
        bool retain, all; /* all: batches have to */
    } rows[] = {{"other", 1, false, false},
                {"other", 1, true, false},
                {"orders/1", 1, false, true},
                {"kept/1", 1, true, true},
                {"orders/1", 2, false, true}};
    struct topic_durability topics[] = {{"orders/#", DURABILITY_FSYNC},
                                        {"kept/#", DURABILITY_FSYNC}};
    struct broker_config config = broker_config_default();
    struct stored s;
    struct client *pub, *sub;
    struct mqtt_packet p;
    uint64_t before;

    config.topic_durability = topics;
    config.n_topic_durability = 2;
    stored_init(&s, 1, &config);
    sub = join(&s, "sub", false);
    client_subscribe(sub, "orders/#", 2);
    client_subscribe(sub, "other", 1);
    client_drop(sub);
    pub = join(&s, "pub", false);
    CHECK_INT(memory_store_syncs(s.store), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t batches = commits(&s);

        before = memory_store_syncs(s.store);
        client_publish(pub, rows[i].topic, "m", rows[i].qos, rows[i].retain);
        batches = commits(&s) - batches;
        CHECK_ROW(i, batches > 0);
        CHECK_ROW_INT(i, memory_store_syncs(s.store) - before, rows[i].all ? batches : 0);
    }
    before = memory_store_syncs(s.store);
    sub = join(&s, "sub", true);
    client_expect_publish(sub, "other", "m", 1, true);
    client_expect_publish(sub, "other", "m", 1, true);
    client_expect_publish(sub, "orders/1", "m", 1, true);
    client_expect(sub, MQTT_PUBLISH, &p);
    CHECK_INT(p.publish.qos, 2);
    CHECK(memory_store_syncs(s.store) > before); /* its packet identifier */
    before = memory_store_syncs(s.store);
    client_send_ack(sub, MQTT_PUBREC, p.publish.packet_id, 0);
    client_expect(sub, MQTT_PUBREL, &p);
    CHECK(memory_store_syncs(s.store) > before);
    stored_fini(&s);
}

/* ---- a store that cannot write ---- */

static void test_failing(int version)
{
    struct mqtt_packet p;
    struct stored s;
    struct client *pub, *sub, *clean, *other;

    stored_init(&s, 2, NULL);
    sub = join(&s, "sub", false);
    client_subscribe(sub, "t", 1);
    clean = net_client(&s.n, 1, 5, "clean");
    client_subscribe(clean, "clean", 1);
    pub = net_client(&s.n, 1, version, "pub");
    memory_store_fail(s.store, "disk full");
    net_run(&s.n);
    client_start_publish(pub, "t", "refused", 1, false);
    if (version == 5) {
        client_expect(pub, MQTT_PUBACK, &p);
        CHECK_INT(p.ack.reason, MQTT_RC_QUOTA_EXCEEDED);
        CHECK(MQTT_HAS(&p.ack.props, reason_string));
    }
    CHECK(client_quiet(pub));
    CHECK(client_quiet(sub));
    client_start_publish(pub, "t", "not stored", 0, false);
    client_expect_publish(sub, "t", "not stored", 0, false);
    client_publish(pub, "clean", "m", 1, false);
    client_expect_publish(clean, "clean", "m", 1, true);
    CHECK_INT(client_try_subscribe(sub, "more", 1), MQTT_RC_QUOTA_EXCEEDED);
    client_subscribe(clean, "more", 1);
    client_drop(sub);
    sub = join(&s, "sub", true); /* who was known may come back */
    other = net_open(&s.n, 0, 5);
    client_connect_packet(&p, 5, &(struct connect_options){.id = "new", .expiry_s = 60});
    client_send_packet(other, &p);
    client_expect_refusal(other, MQTT_RC_SERVER_BUSY);
    memory_store_fail(s.store, NULL);
    net_run(&s.n);
    client_start_publish(pub, "t", "taken", 1, false);
    client_expect_publish(sub, "t", "taken", 1, true);
    client_expect(pub, MQTT_PUBACK, &p);
    stored_fini(&s);
}

/* What the store commits when the broker is gone, it keeps to itself. */
static void test_late_news(void)
{
    struct stored s;
    struct client *pub;
    struct store *store;

    stored_init(&s, 2, NULL);
    join_v(&s, 0, 5, "sub", false);
    pub = join_v(&s, 1, 5, "pub", false);
    stored_hold(&s, true);
    client_start_publish(pub, "t", "m", 1, true);
    net_fini(&s.n);
    memory_store_hold(s.store, false);
    store = s.store;
    store->ops->close(store);
    memory_store_free(&s.store);
}

static void test_failing_all(void)
{
    test_failing(4);
    test_failing(5);
}

/* A session for the messages that wait for the store, and a net in which commits are held back. */
static void init_waiting(struct stored *s)
{
    struct client *sub;

    stored_init(s, 2, NULL);
    sub = join(s, "sub", false);
    client_subscribe(sub, "stored", 1);
    client_drop(sub);
    net_run(&s->n);
}

static void fail(struct stored *s, const char *why)
{
    memory_store_fail(s->store, why);
    net_run(&s->n);
}

static void expect_pubacks(struct client *c, unsigned n)
{
    struct mqtt_packet p;

    while (n-- > 0)
        if (client_expect(c, MQTT_PUBACK, &p))
            CHECK_INT(p.ack.reason, 0);
    CHECK(client_quiet(c));
}

/* What was accepted waits, here and at other shards; what needs no store is acknowledged all the
 * same, but behind what its own client has sent before. */
static void test_failing_goes_on(void)
{
    struct client *near, *far, *live[2], *waits[2];
    struct stored s;

    init_waiting(&s);
    near = net_client(&s.n, 0, 4, "near");
    far = net_client(&s.n, 1, 4, "far");
    client_subscribe(near, "near", 2);
    client_subscribe(far, "far", 2);
    for (unsigned i = 0; i < 2; i++) {
        live[i] = net_client(&s.n, i, 4, i == 0 ? "live 0" : "live 1");
        waits[i] = net_client(&s.n, i, 4, i == 0 ? "waits 0" : "waits 1");
    }
    stored_hold(&s, true);
    for (unsigned i = 0; i < 2; i++)
        client_start_publish(waits[i], "stored", "x", 1, false);
    fail(&s, "disk full");
    for (unsigned i = 0; i < 100; i++)
        for (uint8_t qos = 1; qos <= 2; qos++) {
            client_publish(live[0], "far", "y", qos, false);
            client_expect_publish(far, "far", "y", qos, true);
            client_publish(live[1], "near", "z", qos, false);
            client_expect_publish(near, "near", "z", qos, true);
        }
    for (unsigned i = 0; i < 8; i++) { /* some of these groups are at home at the other shard */
        char filter[] = "$share/g0/t";

        filter[8] = (char)('0' + i);
        client_subscribe(near, filter, 1);
        client_subscribe(far, filter, 1);
    }
    client_start_publish(waits[0], "far", "behind", 1, false);
    client_expect_publish(far, "far", "behind", 1, true);
    client_start_publish(waits[1], "near", "behind", 1, false);
    client_expect_publish(near, "near", "behind", 1, true);
    net_sleep(&s.n, 10000);
    CHECK(client_quiet(waits[0]) && client_quiet(waits[1]));
    fail(&s, NULL);
    CHECK(client_quiet(waits[0]) && client_quiet(waits[1]));
    stored_hold(&s, false);
    expect_pubacks(waits[0], 2);
    expect_pubacks(waits[1], 2);
    stored_fini(&s);
}

/* So is what was on its way before that was known, among messages that wait in the same batch. */
static void test_failing_between(bool submitted)
{
    struct client *live, *far, *waits[4];
    struct stored s;

    init_waiting(&s);
    far = net_client(&s.n, 1, 4, "far");
    client_subscribe(far, "far", 1);
    live = net_client(&s.n, 0, 4, "live");
    join_v(&s, 0, 4, "moves", false);
    for (unsigned i = 0; i < 4; i++)
        waits[i] = net_client(&s.n, 0, 4, (const char *[]){"w0", "w1", "w2", "w3"}[i]);
    stored_hold(&s, true);
    for (unsigned i = 0; i < 4; i++) { /* two are submitted, more are not: they are collected */
        client_start_publish(waits[i], "stored", "x", 1, false);
        net_sleep(&s.n, 100);
        if (i == 2)
            client_start_publish(live, "far", "y", 1, false);
    }
    client_expect_publish(far, "far", "y", 1, true);
    if (submitted) { /* a session that moves takes all that was collected along */
        net_start_connect(&s.n, 1, 4, &(struct connect_options){.id = "moves"});
        net_run(&s.n);
    }
    CHECK(client_quiet(live)); /* as long as the store works: it is a matter of moments */
    fail(&s, "disk full");
    expect_pubacks(live, 1);
    for (unsigned i = 0; i < 4; i++)
        CHECK(client_quiet(waits[i]));
    fail(&s, NULL);
    stored_hold(&s, false);
    for (unsigned i = 0; i < 4; i++)
        expect_pubacks(waits[i], 1);
    stored_fini(&s);
}

/* A message that is sent again is not acknowledged before the store has what it had to get when it
 * came first. */
static void test_failing_again(void)
{
    struct mqtt_packet p;
    struct stored s;
    struct client *pub;
    uint16_t id;

    init_waiting(&s);
    pub = join(&s, "pub", false);
    stored_hold(&s, true);
    id = client_start_publish(pub, "stored", "x", 2, false);
    fail(&s, "disk full");
    client_drop(pub);
    pub = join(&s, "pub", true);
    p = (struct mqtt_packet){.type = MQTT_PUBLISH};
    p.publish = (struct mqtt_publish){
        .topic = text_str("stored"), .payload = text_str("x"), .packet_id = id, .qos = 2, .dup = 1};
    client_send_packet(pub, &p);
    net_sleep(&s.n, 1000);
    CHECK(client_quiet(pub));
    fail(&s, NULL);
    stored_hold(&s, false);
    client_expect(pub, MQTT_PUBREC, &p);
    stored_fini(&s);
}

static void test_failing_others(void)
{
    test_failing_goes_on();
    test_failing_between(false);
    test_failing_between(true);
    test_failing_again();
}

/* A client that was granted no expiry cannot ask for one when it goes, although others would get it
 * by then: nothing of its session is stored. */
static void test_expiry_granted_later(void)
{
    static const uint8_t disconnect[] = {0xe0, 7, 0, 5, 0x11, 0, 0, 0, 100};
    struct broker_config config = broker_config_default();
    struct stored s;
    struct client *c;

    config.max_session_expiry_s = 0;
    stored_init(&s, 2, &config);
    c = join(&s, "c", false);
    client_subscribe(c, "t", 1);
    s.n.broker->shards[0]->config.max_session_expiry_s = EXPIRY_S;
    client_feed(c, disconnect, sizeof disconnect);
    net_run(&s.n);
    client_expect_closed(c);
    CHECK_INT(records_left(&s), 0);
    c = join(&s, "c", false);
    client_subscribe(c, "t", 1);
    CHECK_INT(client_unsubscribe(c, "t"), 0);
    stored_fini(&s);
}

/* ---- a store that is behind ---- */

/* Sessions that move away have what their shard has recorded submitted, one batch each: also when
 * nothing is committed there is no end of that. */
static void test_many_moves(void)
{
    enum { MOVES = 1500 };
    static struct client *moved[MOVES];
    struct connect_options o = {.expiry_s = EXPIRY_S};
    struct client *sub, *pub;
    struct mqtt_packet p;
    struct stored s;
    char id[16];

    stored_init(&s, 2, NULL);
    sub = join(&s, "sub", false);
    client_subscribe(sub, "t", 1);
    client_drop(sub);
    o.id = id;
    for (int i = 0; i < MOVES; i++) {
        snprintf(id, sizeof id, "c%d", i);
        client_drop(net_connect(&s.n, 0, 5, &o, NULL));
    }
    pub = net_client(&s.n, 0, 4, "pub");
    stored_hold(&s, true);
    for (int i = 0; i < MOVES; i++) {
        snprintf(id, sizeof id, "c%d", i);
        client_feed_publish(pub, "t", "x", 1, false);
        moved[i] = net_start_connect(&s.n, 1, 5, &o);
        net_run(&s.n);
    }
    CHECK(client_quiet(pub) && client_quiet(moved[0]));
    stored_hold(&s, false);
    for (int i = 0; i < MOVES; i++) {
        client_expect(pub, MQTT_PUBACK, &p);
        if (client_expect(moved[i], MQTT_CONNACK, &p))
            CHECK(p.connack.session_present);
    }
    stored_fini(&s);
}

/* What a client sends right behind its CONNECT, while its session comes from another shard, is
 * acknowledged like anything else: when it is committed there. */
static void test_published_on_arrival(void)
{
    struct connect_options o = {.id = "c", .clean = true};
    struct client *sub, *c;
    struct mqtt_packet p;
    struct stored s;

    stored_init(&s, 2, NULL);
    sub = join_v(&s, 1, 5, "sub", false);
    client_subscribe(sub, "t", 1);
    client_drop(sub);
    net_connect(&s.n, 1, 4, &o, NULL);
    c = net_start_connect(&s.n, 0, 4, &o);
    client_feed_publish(c, "t", "x", 1, false);
    CHECK_INT(c->conn->state, CONN_WAIT);
    stored_hold(&s, true); /* and a run */
    client_expect(c, MQTT_CONNACK, &p);
    CHECK(client_quiet(c));
    stored_hold(&s, false);
    client_expect(c, MQTT_PUBACK, &p);
    stored_fini(&s);
}

/* Messages of shared subscriptions that a session had, which is replaced from another shard, are
 * with other members before the store forgets it. */
static void test_replaced_and_dead(void)
{
    enum { GROUPS = 8, EACH = 2 };
    struct client *gone, *stays, *pub;
    struct mqtt_packet p;
    struct stored s;
    unsigned got = 0;

    stored_init(&s, 2, NULL);
    gone = join_v(&s, 0, 5, "gone", false);
    stays = join_v(&s, 1, 5, "stays", false);
    for (int i = 0; i < GROUPS; i++) {
        char filter[] = "$share/g0/t";

        filter[8] = (char)('0' + i);
        client_subscribe(gone, filter, 1);
        client_subscribe(stays, filter, 1);
    }
    client_drop(gone);
    client_drop(stays);
    net_run(&s.n);
    pub = net_client(&s.n, 0, 5, "pub");
    for (int i = 0; i < EACH; i++)
        client_publish(pub, "t", "x", 1, false);
    net_start_connect(&s.n, 1, 5, &(struct connect_options){.id = "gone", .clean = true});
    net_turn(&s.n, 1);
    for (int i = 0; i < 4; i++) { /* the other one is slow */
        net_turn(&s.n, 0);
        env_test_sleep(&s.n.env, 20);
    }
    stored_crash(&s, 1);
    stays = join_v(&s, 1, 5, "stays", true);
    while (client_next(stays, &p)) {
        got += p.type == MQTT_PUBLISH;
        client_send_ack(stays, MQTT_PUBACK, p.publish.packet_id, 0);
    }
    net_connect(&s.n, 0, 5, &(struct connect_options){.id = "gone", .clean = true}, NULL);
    while (client_next(stays, &p))
        got += p.type == MQTT_PUBLISH;
    CHECK_INT(got, GROUPS * EACH);
    stored_fini(&s);
}

/* While one turn's answer waits for the store, those of the turns behind it come, and are done
 * with: nothing piles up. */
static void test_turns_behind(void)
{
    struct client *sub, *near, *pub, *far;
    struct mqtt_packet p;
    struct stored s;
    int64_t before;

    stored_init(&s, 2, NULL);
    sub = join(&s, "sub", false);
    client_subscribe(sub, "stored", 1);
    client_drop(sub);
    near = net_client(&s.n, 0, 4, "near");
    client_subscribe(near, "live", 0);
    pub = net_client(&s.n, 1, 4, "pub");
    far = net_client(&s.n, 1, 4, "far");
    stored_hold(&s, true);
    client_start_publish(pub, "stored", "x", 1, false);
    before = broker_memory(s.n.broker, FOR_POST);
    for (int i = 0; i < 1000; i++) {
        client_start_publish(far, "live", "y", 1, false);
        client_expect_publish(near, "live", "y", 0, false);
    }
    CHECK_INT(broker_memory(s.n.broker, FOR_POST), before);
    stored_hold(&s, false);
    client_expect(pub, MQTT_PUBACK, &p);
    for (int i = 0; i < 1000; i++)
        client_expect(far, MQTT_PUBACK, &p);
    stored_fini(&s);
}

/* A client that subscribes faster than the store takes it is held back. */
static void test_subscriptions_slowed(void)
{
    static uint8_t filters[60000][4]; /* the same one, often */
    struct mqtt_packet p = {.type = MQTT_SUBSCRIBE};
    struct stored s;
    struct client *c;
    unsigned n = 0;

    for (size_t i = 0; i < ARRAY_LEN(filters); i++)
        memcpy(filters[i], "\0\1a\1", 4);
    p.subscribe =
        (struct mqtt_subscribe){.packet_id = 1, .filters = {filters[0], (uint32_t)sizeof filters}};
    stored_init(&s, 1, NULL);
    c = join(&s, "c", false);
    stored_hold(&s, true);
    while (!c->reading_off && n++ < 20)
        client_feed_packet(c, &p);
    CHECK(c->reading_off);
    stored_hold(&s, false);
    net_sleep(&s.n, 10);
    CHECK(!c->reading_off);
    stored_fini(&s);
}

/* One whose answers wait is, too, also when what it sends now needs no store. */
static void test_answers_slowed(void)
{
    struct stored s;
    struct client *sub, *c;
    unsigned n = 0;

    stored_init(&s, 1, NULL);
    sub = join(&s, "sub", false);
    client_subscribe(sub, "stored", 1);
    client_drop(sub);
    c = net_client(&s.n, 0, 4, "pub");
    stored_hold(&s, true);
    client_feed_publish(c, "stored", "x", 1, false);
    while (!c->reading_off && n++ < 100000)
        client_feed_publish(c, "other", "x", 1, false);
    CHECK(c->reading_off && n > 10000);
    net_sleep(&s.n, 10000);
    CHECK(c->reading_off && client_quiet(c));
    stored_hold(&s, false);
    CHECK(!c->reading_off);
    for (unsigned i = 0; i <= n; i++)
        client_expect(c, MQTT_PUBACK, &(struct mqtt_packet){0});
    CHECK(client_quiet(c));
    stored_fini(&s);
}

TEST_MAIN(test_connack_waits, test_clean_start_waits, test_connack_not_waited_for,
          test_suback_waits, test_offline_all, test_born_and_dead, test_slow, test_qos2_out,
          test_qos2_in, test_sessions_end, test_graceful_restart, test_will, test_retained_all,
          test_long_queue, test_overflow, test_expiry_in_store, test_give_back, test_topics,
          test_fsync_topics, test_failing_all, test_failing_others, test_late_news, test_many_moves,
          test_turns_behind, test_published_on_arrival, test_replaced_and_dead,
          test_expiry_granted_later, test_subscriptions_slowed, test_answers_slowed)

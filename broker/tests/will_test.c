/* will_test: when a Will is published, and what it looks like then.
 *                                      [v5 3.1.2.5, 3.1.3.2, 3.14.4] [v3 3.1.2.5, 3.14.4] */
#include "base/test.h"
#include "broker/retained.h"
#include "broker/session.h"
#include "net_support.h"

#define NEVER   UINT64_MAX
#define LONG_MS 100000000

/* How the connection of "c" ends. */
enum ending {
    BYE,            /* DISCONNECT 0x00 */
    BYE_WITH_WILL,  /* 0x04 */
    BYE_ERROR,      /* 0x80 and more */
    BYE_SHORTER,    /* 0x04 with a Session Expiry Interval of 1 s */
    BYE_AT_ONCE,    /* 0x04 with one of 0 */
    BYE_SILENTLY,   /* 0x00 with one of 0 */
    BAD_FLAGS,      /* a DISCONNECT that is none */
    BAD_EXPIRY,     /* one that may not say what it says */
    LOST,           /* without a word */
    TIMEOUT,        /* of keep alive */
    FAULT,          /* a Protocol Error */
    SHUTDOWN,       /* of the server */
    TAKEN_OVER,     /* by a new connection of "c" */
    TAKEN_OVER_NEW, /* by one with Clean Start */
    LOST_BACK,      /* without a word, and a new connection 2 s later */
    LOST_BACK_NEW,  /* the same with Clean Start */
};

/* From version first on; due_ms: after the end of the connection [v5 MQTT-3.1.2-7]
 * [v5 MQTT-3.1.2-8] [v5 MQTT-3.1.3-9] [v5 MQTT-3.1.4-3] [v5 MQTT-3.14.4-3]
 * [v3 MQTT-3.1.2-8] [v3 MQTT-3.14.4-3]. */
static const struct {
    int first;
    enum ending ending;
    uint32_t expiry_s, delay_s;
    uint64_t due_ms;
} rows[] = {
    {3, BYE, 0, 0, NEVER},
    {3, BYE, 60, 0, NEVER},
    {5, BYE, 60, 5, NEVER},
    {5, BYE, 5, 60, NEVER},
    {5, BYE_SILENTLY, 60, 5, NEVER},
    {5, BYE_WITH_WILL, 0, 0, 0},
    {5, BYE_WITH_WILL, 60, 5, 5000},
    {5, BYE_ERROR, 0, 0, 0},
    {5, BYE_ERROR, 60, 5, 5000},
    {5, BYE_SHORTER, 60, 5, 1000},
    {5, BYE_AT_ONCE, 60, 5, 0},
    {3, BAD_FLAGS, 0, 0, 0}, /* [v5 MQTT-3.14.1-1] [v3 MQTT-3.14.1-1] */
    {5, BAD_FLAGS, 60, 5, 5000},
    {5, BAD_EXPIRY, 0, 0, 0},
    {3, LOST, 0, 0, 0},
    {3, LOST, 60, 0, 0},
    {5, LOST, 60, 5, 5000},
    {5, LOST, 5, 60, 5000}, /* with the session, which ends earlier */
    {5, LOST, 5, 5, 5000},
    {5, LOST, 0, 5, 0},
    {5, LOST, UINT32_MAX, 5, 5000},
    {3, TIMEOUT, 0, 0, 0}, /* [v5 MQTT-3.1.2-22] [v3 MQTT-3.1.2-24] */
    {5, TIMEOUT, 60, 5, 5000},
    {3, FAULT, 0, 0, 0},
    {5, FAULT, 60, 5, 5000},
    {3, SHUTDOWN, 0, 0, 0},
    {5, SHUTDOWN, 60, 5, 5000},
    {3, TAKEN_OVER, 0, 0, 0},
    {3, TAKEN_OVER, 60, 0, 0},
    {5, TAKEN_OVER, 60, 5, NEVER},
    {5, TAKEN_OVER, 0, 5, 0},
    {3, TAKEN_OVER_NEW, 60, 0, 0},
    {5, TAKEN_OVER_NEW, 60, 5, 0},
    {5, LOST_BACK, 60, 5, NEVER},
    {5, LOST_BACK, 60, 1, 1000},
    {5, LOST_BACK_NEW, 60, 5, 2000}, /* with the session, which ends then */
    {5, LOST_BACK_NEW, 60, 1, 1000},
};

static void bye(struct client *c, uint8_t reason, int expiry_s)
{
    struct mqtt_packet p = {.type = MQTT_DISCONNECT};

    p.reasoned.reason = reason;
    if (expiry_s >= 0)
        MQTT_SET(&p.reasoned.props, session_expiry_s, (uint32_t)expiry_s);
    client_send_packet(c, &p);
}

static void come_back(struct net *n, int version, bool clean, uint32_t expiry_s)
{
    struct connect_options o = {.id = "c", .clean = clean, .expiry_s = expiry_s};

    net_connect(n, 0, version, &o, NULL);
}

/* Let so much time pass before the connection ends and, for LOST_BACK, until the client is back. */
static void end_connection(struct net *n, struct client *c, enum ending ending, uint32_t expiry_s)
{
    switch (ending) {
    case BYE: bye(c, 0, -1); break;
    case BYE_WITH_WILL: bye(c, MQTT_RC_DISCONNECT_WITH_WILL, -1); break;
    case BYE_ERROR: bye(c, MQTT_RC_QUOTA_EXCEEDED, -1); break;
    case BYE_SHORTER: bye(c, MQTT_RC_DISCONNECT_WITH_WILL, 1); break;
    case BYE_AT_ONCE: bye(c, MQTT_RC_DISCONNECT_WITH_WILL, 0); break;
    case BYE_SILENTLY: bye(c, 0, 0); break;
    case BAD_FLAGS: client_send(c, "\xe1\0", 2); break;
    case BAD_EXPIRY: bye(c, 0, 1); break;
    case LOST:
    case LOST_BACK:
    case LOST_BACK_NEW: client_drop(c); break;
    case TIMEOUT: net_sleep(n, 15000); break;
    case FAULT: client_send(c, "\x20\2\0\0", 4); break;
    case SHUTDOWN: connection_fail(c->conn, CLOSE_SHUTTING_DOWN); break;
    case TAKEN_OVER: come_back(n, c->version, false, expiry_s); break;
    case TAKEN_OVER_NEW: come_back(n, c->version, true, expiry_s); break;
    }
    net_run(n);
}

/* No Will is there until then; then it is, once. */
static void expect_will(struct net *n, struct client *watch, size_t row, uint64_t due_ms)
{
    if (due_ms != NEVER) {
        if (due_ms > 0) {
            net_sleep(n, due_ms - 1);
            CHECK_ROW(row, client_quiet(watch));
            net_sleep(n, 1);
        }
        CHECK_ROW(row, !client_quiet(watch));
        client_expect_publish(watch, "will", "gone", 1, true);
    }
    net_sleep(n, LONG_MS);
    CHECK_ROW(row, client_quiet(watch));
}

static void endings(int version)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bool lasts = version != 5 && rows[i].expiry_s != 0;
        struct connect_options o = {.id = "c",
                                    .clean = version != 5 && !lasts,
                                    .expiry_s = rows[i].expiry_s,
                                    .keep_alive_s = 10,
                                    .will_topic = "will",
                                    .will_payload = "gone",
                                    .will_qos = 1,
                                    .will_delay_s = rows[i].delay_s};
        struct net n;
        struct client *c, *watch;
        uint64_t due_ms = rows[i].due_ms;

        if (version < rows[i].first)
            continue;
        net_init(&n, 1, NULL);
        watch = net_client(&n, 0, version, "watch");
        client_subscribe(watch, "will", 2);
        c = net_connect(&n, 0, version, &o, NULL);
        CHECK_ROW(i, client_quiet(watch));
        end_connection(&n, c, rows[i].ending, rows[i].expiry_s);
        if (rows[i].ending == LOST_BACK || rows[i].ending == LOST_BACK_NEW) {
            if (due_ms < 2000) {
                net_sleep(&n, due_ms);
                client_expect_publish(watch, "will", "gone", 1, true);
                net_sleep(&n, 2000 - due_ms);
                due_ms = NEVER;
            } else {
                net_sleep(&n, 1999);
                CHECK_ROW(i, client_quiet(watch));
                net_sleep(&n, 1);
                due_ms = due_ms == NEVER ? NEVER : 0;
            }
            come_back(&n, version, rows[i].ending == LOST_BACK_NEW, rows[i].expiry_s);
        }
        expect_will(&n, watch, i, due_ms);
        /* it is no longer stored [v5 MQTT-3.1.2-10] [v3 MQTT-3.1.2-10] [v3 MQTT-3.1.2-12] */
        come_back(&n, version, false, 0);
        net_run(&n);
        c = LIST_ITEM(n.clients.prev, struct client, link);
        client_drop(c);
        net_sleep(&n, LONG_MS);
        CHECK_ROW(i, client_quiet(watch));
        CHECK_ROW_INT(i, COUNT_GET(&n.broker->shards[0]->counters, wills_sent),
                      rows[i].due_ms != NEVER);
        net_fini(&n);
    }
}

static void test_endings(void)
{
    each_version(endings);
}

/* Of two Wills the one of the later connection counts. */
static void test_new_will(void)
{
    struct connect_options o = {.id = "c", .expiry_s = 60, .will_topic = "old", .will_delay_s = 5};
    struct net n;
    struct client *watch;

    net_init(&n, 1, NULL);
    watch = net_client(&n, 0, 5, "watch");
    client_subscribe(watch, "#", 2);
    client_drop(net_connect(&n, 0, 5, &o, NULL));
    net_sleep(&n, 4000);
    o.will_topic = "new";
    o.will_delay_s = 7;
    client_drop(net_connect(&n, 0, 5, &o, NULL));
    net_sleep(&n, 6999);
    CHECK(client_quiet(watch));
    net_sleep(&n, 1);
    client_expect_publish(watch, "new", "", 0, false);
    net_sleep(&n, LONG_MS);
    CHECK(client_quiet(watch));
    net_fini(&n);
}

/* ---- what it looks like ---- */

/* QoS as asked for, to any version; kept as retained or not [v5 MQTT-3.1.2-14] [v5 MQTT-3.1.2-15]
 * [v3 MQTT-3.1.2-16] [v3 MQTT-3.1.2-17]. */
static void retain(int version)
{
    for (int sub_version = 3; sub_version <= 5; sub_version++) {
        for (int retained = 0; retained <= 1; retained++) {
            for (uint8_t qos = 0; qos <= 2; qos++) {
                struct connect_options o = {.id = "c",
                                            .clean = true,
                                            .will_topic = "will",
                                            .will_payload = "gone",
                                            .will_qos = qos,
                                            .will_retain = retained != 0};
                uint8_t rap = sub_version == 5 ? MQTT_SUB_RETAIN_AS_PUBLISHED : 0;
                struct net n;
                struct client *live, *late;
                struct mqtt_packet p;

                net_init(&n, 1, NULL);
                live = net_client(&n, 0, sub_version, "live");
                client_subscribe(live, "will", 2 | rap);
                client_drop(net_connect(&n, 0, version, &o, NULL));
                client_expect(live, MQTT_PUBLISH, &p);
                CHECK_INT(p.publish.retain, retained && rap);
                CHECK_INT(p.publish.qos, qos);
                CHECK_INT(p.publish.props.raw.len, 0);
                late = net_client(&n, 0, sub_version, "late");
                client_subscribe(late, "will", 2);
                CHECK_INT(client_quiet(late), !retained);
                if (retained) {
                    client_expect(late, MQTT_PUBLISH, &p);
                    CHECK(p.publish.retain);
                    CHECK_INT(p.publish.qos, qos);
                }
                o.will_payload = "";
                client_drop(net_connect(&n, 0, version, &o, NULL));
                CHECK_INT(retained_count(n.broker->shards[0]), 0);
                net_fini(&n);
            }
        }
    }
}

static void test_retain(void)
{
    each_version(retain);
}

/* Its properties become those of the PUBLISH, in their order, but for the delay; its own time
 * begins when it is published [v5 MQTT-3.1.3-10]. */
static void test_properties(void)
{
    static const char passed[] = "\x26\0\1b\0\1"
                                 "1\x01\1\x08\0\5reply\x26\0\1a\0\1"
                                 "2\x09\0\1\0\x03\0\4text\x26\0\1b\0\0";
    static const uint32_t delays[] = {0, 5};

    for (size_t i = 0; i < ARRAY_LEN(delays); i++) {
        struct net n;
        struct client *watch, *late;
        struct mqtt_packet p;

        net_init(&n, 1, NULL);
        watch = net_client(&n, 0, 5, "watch");
        client_subscribe(watch, "will", 0);
        client_connect_packet(&p, 5,
                              &(struct connect_options){.id = "c",
                                                        .expiry_s = 60,
                                                        .will_topic = "will",
                                                        .will_payload = "gone",
                                                        .will_delay_s = delays[i],
                                                        .will_retain = true});
        MQTT_SET(&p.connect.will.props, message_expiry_s, 30);
        p.connect.will.props.encoded =
            (struct mqtt_str){(const uint8_t *)passed, sizeof passed - 1};
        client_drop(net_try_connect(&n, 5, &p));
        net_sleep(&n, delays[i] * 1000);
        client_expect(watch, MQTT_PUBLISH, &p);
        CHECK_INT(p.publish.props.message_expiry_s, 30);
        CHECK_BYTES(p.publish.props.raw.p + 5, p.publish.props.raw.len - 5, passed,
                    sizeof passed - 1);
        net_sleep(&n, 10000);
        late = net_client(&n, 0, 5, "late");
        client_subscribe(late, "will", 0);
        client_expect(late, MQTT_PUBLISH, &p);
        CHECK_INT(p.publish.props.message_expiry_s, 20);
        net_sleep(&n, 20000);
        client_subscribe(late, "will", 0);
        CHECK(client_quiet(late));
        net_fini(&n);
    }
}

/* The largest that there can be, and nothing at all. */
static void payloads(int version)
{
    static uint8_t payload[65535];
    static const uint32_t sizes[] = {0, 1, 32767, 32768, 65535};

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct net n;
        struct client *watch;
        struct mqtt_packet p;

        memset(payload, 'x', sizeof payload);
        net_init(&n, 1, NULL);
        watch = net_client(&n, 0, version, "watch");
        client_subscribe(watch, "will", 0);
        client_connect_packet(
            &p, version, &(struct connect_options){.id = "c", .clean = true, .will_topic = "will"});
        p.connect.will.payload = (struct mqtt_str){payload, sizes[i]};
        client_drop(net_try_connect(&n, version, &p));
        client_expect(watch, MQTT_PUBLISH, &p);
        CHECK_BYTES(p.publish.payload.p, p.publish.payload.len, payload, sizes[i]);
        net_fini(&n);
    }
}

static void test_payloads(void)
{
    each_version(payloads);
}

/* A session that is subscribed to its own Will finds it when it comes back. */
static void own_will(int version)
{
    struct connect_options o = {.id = "c", .expiry_s = 60, .will_topic = "will", .will_qos = 1};
    struct net n;
    struct client *c;

    net_init(&n, 1, NULL);
    c = net_connect(&n, 0, version, &o, NULL);
    client_subscribe(c, "will", 1);
    client_drop(c);
    c = net_connect(&n, 0, version, &o, NULL);
    client_expect_publish(c, "will", "", 1, true);
    CHECK(client_quiet(c));
    client_disconnect(c, 0);
    net_fini(&n);
}

static void test_own_will(void)
{
    each_version(own_will);
}

TEST_MAIN(test_endings, test_new_will, test_retain, test_properties, test_payloads, test_own_will)

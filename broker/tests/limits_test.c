/* limits_test: what a client that does not read, a queue that is full, or a process that is full
 * costs, and whom; every message that is dropped is counted with its reason. */
#include "base/mem.h"
#include "base/test.h"
#include "broker/message.h"
#include "broker/purposes.h"
#include "broker/retained.h"
#include "broker/session.h"
#include "broker/stats.h"
#include "net_support.h"
#include "stored_support.h"

#include <string.h>

/* Messages "0" to "9", "a" to ... to this topic. */
static void publish_n(struct client *pub, unsigned n, uint8_t qos)
{
    for (unsigned i = 0; i < n; i++)
        client_publish(pub, "t", (char[]){"0123456789abcdefghijklmnopqrstuvwxyz"[i], '\0'}, qos,
                       false);
}

/* Messages of these payloads come, each acknowledged to the end, and nothing else. */
static void expect_payloads(struct client *c, const char *payloads, uint8_t qos)
{
    for (const char *p = payloads; *p != '\0'; p++)
        client_expect_publish(c, "t", (char[]){*p, '\0'}, qos, true);
    CHECK(client_quiet(c));
}

/* ---- queues in messages ---- */

enum where { OFFLINE, STALLED, WINDOW };

/* A client with room for 5 messages, which gets 9: where they wait, what the policy is, and at
 * which QoS; what it gets in the end, what is counted as dropped, and whether it is thrown out.
 * The first message to a client that is connected goes out at once. */
static const struct {
    enum where where;
    enum overflow_policy policy;
    uint8_t qos;
    bool keep_qos0;
    const char *gets;
    int full, congested;
    bool closed;
} rows[] = {
    {OFFLINE, OVERFLOW_DROP_OLDEST, 1, false, "45678", 4, 0, false},
    {OFFLINE, OVERFLOW_DROP_OLDEST, 2, false, "45678", 4, 0, false},
    {OFFLINE, OVERFLOW_DROP_NEWEST, 1, false, "01234", 4, 0, false},
    {OFFLINE, OVERFLOW_DISCONNECT, 1, false, "01234", 4, 0, false}, /* nobody to throw out */
    {OFFLINE, OVERFLOW_DROP_OLDEST, 0, false, "", 0, 0, false},     /* no claim on them */
    {OFFLINE, OVERFLOW_DROP_OLDEST, 0, true, "01234", 0, 4, false},
    {OFFLINE, OVERFLOW_DROP_NEWEST, 0, true, "01234", 0, 4, false},
    {STALLED, OVERFLOW_DROP_OLDEST, 1, false, "045678", 3, 0, false},
    {STALLED, OVERFLOW_DROP_NEWEST, 1, false, "012345", 3, 0, false},
    {STALLED, OVERFLOW_DROP_OLDEST, 2, false, "045678", 3, 0, false},
    {STALLED, OVERFLOW_DISCONNECT, 1, false, "012345", 1, 0, true},
    {STALLED, OVERFLOW_DROP_OLDEST, 0, false, "012345", 0, 3, false}, /* QoS 0 pushes nobody out */
    {STALLED, OVERFLOW_DROP_NEWEST, 0, true, "012345", 0, 3, false},
    {STALLED, OVERFLOW_DISCONNECT, 0, false, "012345", 0, 3, false},
    {WINDOW, OVERFLOW_DROP_OLDEST, 1, false, "045678", 3, 0, false},
    {WINDOW, OVERFLOW_DROP_NEWEST, 1, false, "012345", 3, 0, false},
    {WINDOW, OVERFLOW_DISCONNECT, 2, false, "012345", 1, 0, true},
    {WINDOW, OVERFLOW_DROP_NEWEST, 0, false, "012345678", 0, 0, false}, /* needs no window */
};

static struct client *come(struct net *n, uint16_t window)
{
    struct connect_options o = {.id = "sub", .expiry_s = 60, .receive_maximum = window};

    return net_connect(n, 0, 5, &o, NULL);
}

static void test_queue(void)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct broker_config cfg = broker_config_default();
        struct net n;
        struct client *pub, *sub, *other;

        cfg.max_queued_messages = 5;
        cfg.overflow = rows[i].policy;
        cfg.queue_qos0 = rows[i].keep_qos0;
        net_init(&n, 1, &cfg);
        pub = net_client(&n, 0, 5, "pub");
        other = net_client(&n, 0, 5, "other"); /* does not notice */
        client_subscribe(other, "t", rows[i].qos);
        sub = come(&n, 1);
        client_subscribe(sub, "t", rows[i].qos);
        if (rows[i].where == OFFLINE)
            client_drop(sub);
        else if (rows[i].where == STALLED)
            client_stall(sub);
        for (int k = 0; k < 9; k++) {
            client_publish(pub, "t", (char[]){(char)('0' + k), '\0'}, rows[i].qos, false);
            expect_payloads(other, (char[]){(char)('0' + k), '\0'}, rows[i].qos);
            if (rows[i].closed && k == 6)
                CHECK_ROW(i, sub->closed && sub->why == CLOSE_SLOW_CONSUMER);
            if (rows[i].closed && k == 6)
                break;
        }
        CHECK_ROW_INT(i, net_drops(&n, DROP_QUEUE_FULL), rows[i].full);
        CHECK_ROW_INT(i, net_drops(&n, DROP_QOS0_CONGESTED), rows[i].congested);
        if (rows[i].where == OFFLINE) {
            sub = come(&n, 1);
        } else if (rows[i].closed) { /* what it has not acknowledged comes again */
            client_drop(sub);
            sub = come(&n, 1);
        } else if (rows[i].where == STALLED) {
            client_unstall(sub);
        }
        expect_payloads(sub, rows[i].gets, rows[i].qos);
        CHECK_ROW_INT(i, NET_COUNT(&n, queued), 0);
        net_fini(&n);
    }
}

/* Without a queue: what cannot be sent now is dropped. */
static void test_no_queue(void)
{
    struct broker_config cfg = broker_config_default();
    struct net n;
    struct client *pub, *sub;

    cfg.max_queued_messages = 0;
    net_init(&n, 1, &cfg);
    pub = net_client(&n, 0, 5, "pub");
    sub = come(&n, 2);
    client_subscribe(sub, "t", 1);
    publish_n(pub, 3, 1);
    CHECK_INT(net_drops(&n, DROP_QUEUE_FULL), 1);
    expect_payloads(sub, "01", 1);
    client_drop(sub);
    publish_n(pub, 3, 1);
    CHECK_INT(net_drops(&n, DROP_QUEUE_FULL), 4);
    expect_payloads(come(&n, 2), "", 1);
    net_fini(&n);
}

/* QoS 0 and 1 in one queue: the oldest goes, whatever it is, to make room for QoS 1. */
static void test_mixed(void)
{
    struct broker_config cfg = broker_config_default();
    struct net n;
    struct client *pub, *sub;

    cfg.max_queued_messages = 4;
    net_init(&n, 1, &cfg);
    pub = net_client(&n, 0, 5, "pub");
    sub = come(&n, 0);
    client_subscribe(sub, "t", 1);
    client_stall(sub);
    for (int i = 0; i < 8; i++)
        client_publish(pub, "t", (char[]){(char)('0' + i), '\0'}, i % 2 == 0, false);
    /* 0 went out; 1 2 3 4 waited; 5 found no room; 6 pushed 1 out; 7 found no room */
    CHECK_INT(net_drops(&n, DROP_QUEUE_FULL), 1);
    CHECK_INT(net_drops(&n, DROP_QOS0_CONGESTED), 2);
    client_unstall(sub);
    client_expect_publish(sub, "t", "0", 1, true);
    client_expect_publish(sub, "t", "2", 1, true);
    client_expect_publish(sub, "t", "3", 0, true);
    client_expect_publish(sub, "t", "4", 1, true);
    client_expect_publish(sub, "t", "6", 1, true);
    CHECK(client_quiet(sub));
    client_publish(pub, "t", "8", 0, false); /* none waits any more: it goes at once */
    client_expect_publish(sub, "t", "8", 0, true);
    net_fini(&n);
}

/* ---- queues in bytes ---- */

static const char *sized(char mark, uint32_t size)
{
    static char payload[10001];

    memset(payload, mark, sizeof payload);
    payload[size - sizeof(struct message) - 1] = '\0'; /* the topic has one byte */
    return payload;
}

static void publish_sized(struct client *pub, char mark, uint32_t size, uint8_t qos)
{
    client_publish(pub, "t", sized(mark, size), qos, false);
}

static void test_bytes(void)
{
    static const struct {
        enum overflow_policy policy;
        uint32_t sizes[6];
        const char *gets;
        int dropped;
    } cases[] = {
        {OVERFLOW_DROP_OLDEST, {300, 300, 400}, "abc", 0},
        {OVERFLOW_DROP_OLDEST, {300, 300, 401}, "bc", 1},
        {OVERFLOW_DROP_OLDEST, {100, 100, 800, 200}, "cd", 2},
        {OVERFLOW_DROP_OLDEST, {300, 1000}, "b", 1},
        {OVERFLOW_DROP_OLDEST, {300, 1001, 300}, "ac", 1}, /* would never fit */
        {OVERFLOW_DROP_NEWEST, {300, 300, 401, 400}, "abd", 1},
        {OVERFLOW_DROP_NEWEST, {1001, 1000, 100}, "b", 2},
        {OVERFLOW_DISCONNECT, {500, 500, 100}, "ab", 1},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct broker_config cfg = broker_config_default();
        struct net n;
        struct client *pub, *sub;
        struct mqtt_packet p;

        cfg.max_queued_bytes = 1000;
        cfg.overflow = cases[i].policy;
        net_init(&n, 1, &cfg);
        pub = net_client(&n, 0, 5, "pub");
        sub = come(&n, 0);
        client_subscribe(sub, "t", 1);
        client_drop(sub);
        for (int k = 0; k < 6 && cases[i].sizes[k] != 0; k++)
            publish_sized(pub, (char)('a' + k), cases[i].sizes[k], 1);
        CHECK_ROW_INT(i, net_drops(&n, DROP_QUEUE_FULL), cases[i].dropped);
        sub = come(&n, 0);
        for (const char *g = cases[i].gets; *g != '\0'; g++)
            if (client_expect(sub, MQTT_PUBLISH, &p))
                CHECK_ROW_INT(i, p.publish.payload.p[0], *g);
        CHECK_ROW(i, client_quiet(sub));
        net_fini(&n);
    }
}

/* The identifiers of overlapping subscriptions are kept with each message, and count. */
static void test_bytes_of_identifiers(void)
{
    enum { IDS = 16, KEPT = 5 };
    const uint64_t one = sizeof(struct message) + 7 + 1 + (1 + IDS) * sizeof(uint32_t);
    struct broker_config config = broker_config_default();
    struct connect_options o = {.id = "sub", .expiry_s = 1000};
    struct client *sub, *pub;
    struct net n;

    config.max_queued_bytes = KEPT * one;
    net_init(&n, 1, &config);
    pub = net_client(&n, 0, 5, "pub");
    sub = net_connect(&n, 0, 5, &o, NULL);
    for (unsigned i = 0; i < IDS; i++) {
        char filter[] = "a/a/a/a";

        for (unsigned level = 0; level < 4; level++)
            filter[2 * level] = i >> level & 1 ? '+' : 'a';
        client_subscribe_id(sub, filter, 1, i + 1);
    }
    client_drop(sub);
    for (unsigned i = 0; i < KEPT + 3; i++)
        client_publish(pub, "a/a/a/a", "x", 1, false);
    CHECK_INT(net_drops(&n, DROP_QUEUE_FULL), 3);
    CHECK_INT(NET_COUNT(&n, queued), KEPT);
    net_connect(&n, 0, 5, &o, NULL);
    CHECK_INT(NET_COUNT(&n, queued), 0);
    net_fini(&n);
}

/* ---- the window in bytes ---- */

/* Messages that begin with these letters come, and nothing else; their packet identifiers. */
static void expect_marks(struct client *c, const char *marks, bool dup, uint16_t *ids)
{
    struct mqtt_packet p;

    for (size_t i = 0; marks[i] != '\0'; i++) {
        if (!client_expect(c, MQTT_PUBLISH, &p))
            return;
        CHECK_ROW_INT(i, p.publish.payload.p[0], marks[i]);
        CHECK_ROW_INT(i, p.publish.dup, dup);
        ids[i] = p.publish.packet_id;
    }
    CHECK(client_quiet(c));
}

/* The client has it. At QoS 2 that is so from the PUBREC on: what comes for it does not wait for
 * the PUBCOMP. */
static void acknowledge(struct client *c, uint8_t qos, uint16_t id)
{
    struct mqtt_packet p;

    client_send_ack(c, qos == 2 ? MQTT_PUBREC : MQTT_PUBACK, id, 0);
    if (qos == 2 && client_expect(c, MQTT_PUBREL, &p))
        CHECK_INT(p.ack.packet_id, id);
}

static struct client *come_in(struct net *n, unsigned shard, int version)
{
    struct connect_options o = {.id = "sub", .expiry_s = 60};

    return net_connect(n, shard, version, &o, NULL);
}

static uint64_t window_bytes(const struct net *n, unsigned shard)
{
    const struct session *s = session_find(n->broker->shards[shard], MQTT_STR("sub"));

    return s == NULL || s->flow == NULL ? 0 : s->flow->out.bytes;
}

/* A client with room for three reads and does not acknowledge: it has the one that is too much, and
 * what follows waits, and is dropped, as when its window is full. All that it has comes again to
 * its next connection, and more as soon as it has said that it has one. */
static void window_in_bytes(int version, uint8_t qos, unsigned next_shard)
{
    struct broker_config cfg = broker_config_default();
    struct client *pub, *sub;
    uint16_t ids[10] = {0}, again[10] = {0};
    struct net n;

    cfg.max_queued_bytes = 3000;
    net_init(&n, 2, &cfg);
    pub = net_client(&n, 0, version, "pub");
    sub = come_in(&n, 0, version);
    client_subscribe(sub, "t", qos);
    for (int i = 0; i < 10; i++)
        publish_sized(pub, (char)('a' + i), 1000, qos);
    expect_marks(sub, "abcd", false, ids);
    CHECK_INT(window_bytes(&n, 0), 4000);
    CHECK_INT(NET_COUNT(&n, inflight), 4);
    CHECK_INT(NET_COUNT(&n, queued), 3);
    CHECK_INT(net_drops(&n, DROP_QUEUE_FULL), 3);
    client_drop(sub);
    sub = come_in(&n, next_shard, version);
    expect_marks(sub, "abcd", true, again);
    CHECK(memcmp(ids, again, 4 * sizeof ids[0]) == 0);
    for (int i = 0; i < 3; i++) {
        acknowledge(sub, qos, ids[i]);
        expect_marks(sub, (char[]){"hij"[i], '\0'}, false, &ids[4 + i]);
        CHECK_INT(window_bytes(&n, next_shard), 4000);
    }
    for (int i = 3; i < 7; i++)
        acknowledge(sub, qos, ids[i]);
    CHECK_INT(window_bytes(&n, next_shard), 0);
    for (int i = 0; i < 7 && qos == 2; i++)
        client_send_ack(sub, MQTT_PUBCOMP, ids[i], 0);
    CHECK(client_quiet(sub));
    CHECK_INT(NET_COUNT(&n, inflight) + NET_COUNT(&n, queued), 0);
    CHECK_INT(window_bytes(&n, next_shard), 0);
    net_fini(&n);
}

static void test_window_bytes(void)
{
    for (int version = MQTT_V311; version <= MQTT_V5; version++)
        for (uint8_t qos = 1; qos <= 2; qos++)
            for (unsigned next_shard = 0; next_shard < 2; next_shard++)
                window_in_bytes(version, qos, next_shard);
}

/* The same for messages that are stored, over a restart: what was in flight counts again as soon as
 * it is there, and at QoS 2 more is made ready only as far as it may be sent. */
static void test_window_bytes_stored(void)
{
    for (uint8_t qos = 1; qos <= 2; qos++) {
        struct broker_config cfg = broker_config_default();
        struct client *pub, *sub;
        uint16_t ids[10] = {0}, again[10] = {0};
        struct stored t;

        cfg.max_queued_bytes = 3000;
        stored_init(&t, 1, &cfg);
        sub = come_in(&t.n, 0, MQTT_V5);
        client_subscribe(sub, "t", qos);
        pub = net_client(&t.n, 0, MQTT_V5, "pub");
        for (int i = 0; i < 7; i++)
            client_start_publish(pub, "t", sized((char)('a' + i), 1000), qos, false);
        net_sleep(&t.n, 1000); /* all is committed */
        expect_marks(sub, "abcd", false, ids);
        CHECK_INT(window_bytes(&t.n, 0), 4000);
        stored_crash(&t, 1000);
        CHECK_INT(window_bytes(&t.n, 0), 0); /* in the store only */
        sub = come_in(&t.n, 0, MQTT_V5);
        expect_marks(sub, "abcd", true, again);
        CHECK(memcmp(ids, again, 4 * sizeof ids[0]) == 0);
        CHECK_INT(window_bytes(&t.n, 0), 4000);
        for (int i = 0; i < 3; i++) {
            struct mqtt_packet p;

            acknowledge(sub, qos, ids[i]);
            if (client_expect(sub, MQTT_PUBLISH, &p))
                CHECK_ROW_INT(i, p.publish.payload.p[0], "efg"[i]);
            ids[4 + i] = p.publish.packet_id;
            CHECK(client_quiet(sub));
            CHECK_INT(window_bytes(&t.n, 0), 4000);
        }
        for (int i = 3; i < 7; i++)
            acknowledge(sub, qos, ids[i]);
        CHECK_INT(window_bytes(&t.n, 0), 0);
        stored_fini(&t);
    }
}

/* A client that has nothing gets a message of any size; the next one does not even fit into its
 * queue. */
static void test_window_takes_one(void)
{
    struct broker_config cfg = broker_config_default();
    struct client *pub, *sub;
    uint16_t id = 0;
    struct net n;

    cfg.max_queued_bytes = 0;
    net_init(&n, 1, &cfg);
    pub = net_client(&n, 0, 5, "pub");
    sub = come_in(&n, 0, 5);
    client_subscribe(sub, "t", 2);
    for (uint8_t qos = 1; qos <= 2; qos++) {
        publish_sized(pub, 'a', 9000, qos);
        publish_sized(pub, 'b', 100, qos);
        expect_marks(sub, "a", false, &id);
        CHECK_INT(net_drops(&n, DROP_QUEUE_FULL), qos);
        acknowledge(sub, qos, id);
    }
    publish_sized(pub, 'c', 9000, 2); /* at QoS 2 one that waits for its PUBCOMP counts nothing */
    expect_marks(sub, "c", false, &id);
    net_fini(&n);
}

/* By the policy that is for those who are too slow, such a client is thrown out. */
static void test_window_bytes_disconnect(void)
{
    struct broker_config cfg = broker_config_default();
    struct client *pub, *sub;
    struct net n;

    cfg.max_queued_bytes = 2000;
    cfg.overflow = OVERFLOW_DISCONNECT;
    net_init(&n, 1, &cfg);
    pub = net_client(&n, 0, 5, "pub");
    sub = come_in(&n, 0, 5);
    client_subscribe(sub, "t", 1);
    for (int i = 0; i < 5; i++)
        publish_sized(pub, (char)('a' + i), 1000, 1);
    CHECK(!sub->closed);
    publish_sized(pub, 'f', 1000, 1);
    CHECK(sub->closed && sub->why == CLOSE_SLOW_CONSUMER);
    net_fini(&n);
}

/* ---- other reasons to drop ---- */

/* In the queue a message expires unseen; those behind it do not wait for it. */
static void test_expired(void)
{
    struct net n;
    struct client *pub, *sub;

    net_init(&n, 1, NULL);
    pub = net_client(&n, 0, 5, "pub");
    sub = come(&n, 0);
    client_subscribe(sub, "t", 1);
    client_drop(sub);
    for (uint16_t i = 1; i <= 4; i++) {
        struct mqtt_packet p = {.type = MQTT_PUBLISH};

        p.publish.topic = MQTT_STR("t");
        p.publish.payload = (struct mqtt_str){(const uint8_t *)"1234" + i - 1, 1};
        p.publish.qos = 1;
        p.publish.packet_id = i;
        if (i != 2)
            MQTT_SET(&p.publish.props, message_expiry_s, i);
        client_send_packet(pub, &p);
        client_expect(pub, MQTT_PUBACK, &p);
    }
    net_sleep(&n, 3000);
    sub = come(&n, 0);
    expect_payloads(sub, "24", 1);
    CHECK_INT(net_drops(&n, DROP_EXPIRED), 2);
    net_fini(&n);
}

/* What waits for a session, or is in flight, when that ends, but for QoS 0; other reasons have
 * their tests elsewhere. */
static void test_session_ended(void)
{
    for (int how = 0; how < 3; how++) {
        struct connect_options clean = {.id = "sub", .clean = true};
        struct broker_config cfg = broker_config_default();
        struct net n;
        struct client *pub, *sub;

        cfg.queue_qos0 = true;
        net_init(&n, 1, &cfg);
        pub = net_client(&n, 0, 5, "pub");
        sub = come(&n, 2);
        client_subscribe(sub, "t", 1);
        publish_n(pub, 4, 1);
        client_expect_publish(sub, "t", "0", 1, true);
        client_drop(sub);
        publish_n(pub, 3, 0);
        if (how == 0) {
            net_sleep(&n, 60000);
        } else if (how == 1) {
            net_connect(&n, 0, 5, &clean, NULL);
        } else {
            struct mqtt_packet p = {.type = MQTT_DISCONNECT};

            sub = come(&n, 2);
            MQTT_SET(&p.reasoned.props, session_expiry_s, 0);
            client_send_packet(sub, &p);
        }
        CHECK_ROW_INT(how, net_drops(&n, DROP_SESSION_ENDED), 3);
        CHECK_INT(NET_COUNT(&n, queued) + NET_COUNT(&n, inflight), 0);
        net_fini(&n);
    }
}

/* ---- a client that does not read ---- */

/* A flood to one that has stopped reading costs its queue and no more; whoever reads gets it all,
 * at once. */
static void test_slow_consumer(void)
{
    static char payload[1001];
    struct net n;
    struct client *pub, *slow, *quick;
    int64_t most = 0;

    memset(payload, 'x', 1000);
    for (uint8_t qos = 0; qos <= 1; qos++) {
        net_init(&n, 1, NULL);
        pub = net_client(&n, 0, 5, "pub");
        slow = net_client(&n, 0, 5, "slow");
        client_subscribe(slow, "t", qos);
        quick = net_client(&n, 0, 5, "quick");
        client_subscribe(quick, "t", qos);
        client_stall(slow);
        for (int i = 0; i < 10000; i++) {
            int64_t used;

            client_publish(pub, "t", payload, qos, false);
            client_expect_publish(quick, "t", payload, qos, true);
            used = broker_memory_total(n.broker);
            if (i == 2000)
                most = used;
            if (i > 2000 && used > most + 65536)
                FAIL_ROW(i, "memory grows");
        }
        CHECK_INT(NET_COUNT(&n, queued), n.broker->config.max_queued_messages);
        CHECK(!slow->closed && most < 4 << 20);
        client_unstall(slow);
        net_fini(&n);
    }
}

/* ---- connections ---- */

/* The limit is of the process, whatever shards they are on. */
static void test_connections(void)
{
    struct broker_config cfg = broker_config_default();
    struct net n;
    struct client *c[4];

    cfg.max_connections = 3;
    net_init(&n, 3, &cfg);
    for (unsigned i = 0; i < 3; i++)
        c[i] = net_client(&n, i % 2, 5, (char[]){(char)('a' + i), '\0'});
    for (unsigned shard = 0; shard < 3; shard++) {
        c[3] = net_open(&n, shard, 5);
        CHECK(c[3]->conn == NULL);
        CHECK_INT(c[3]->why, CLOSE_BUSY);
        client_free(c[3]);
    }
    client_drop(c[1]);
    net_client(&n, 2, 5, "d");
    CHECK_INT(NET_COUNT(&n, connections), 3);
    net_fini(&n);
}

/* ---- memory ---- */

/* A broker on two shards that watches its memory. */
static struct housekeeping *init_watched(struct net *n, uint64_t spare_bytes)
{
    struct broker_config cfg = broker_config_default();
    struct housekeeping *h;

    cfg.sys_interval_s = 0;
    net_init(n, 2, &cfg);
    for (unsigned i = 0; i < 2; i++)
        n->broker->shards[i]->config.memory_limit =
            (uint64_t)broker_memory_total(n->broker) + spare_bytes;
    h = housekeeping_new(n->broker->shards[0]);
    net_sleep(n, 200);
    return h;
}

static void fini_watched(struct net *n, struct housekeeping *h)
{
    housekeeping_free(n->broker->shards[0], &h);
    CHECK(h == NULL);
    housekeeping_free(n->broker->shards[0], &h);
    net_fini(n);
}

/* First publishers are not read from any more, then connections are refused; when there is memory
 * again, all goes on. Who does not publish does not notice. */
static void test_memory(void)
{
    static char payload[100001];
    struct net n;
    struct client *pub, *far, *sub, *refused;
    struct housekeeping *h = init_watched(&n, 40 << 20);
    unsigned kept = 0;

    memset(payload, 'x', 100000);
    pub = net_client(&n, 0, 5, "pub");
    far = net_client(&n, 1, 5, "far");
    sub = net_client(&n, 0, 5, "sub");
    while (!pub->reading_off && kept < 1000) {
        char topic[16];

        snprintf(topic, sizeof topic, "t/%u", kept++);
        client_publish(pub, topic, payload, 1, true);
        net_sleep(&n, 100);
    }
    CHECK_INT(n.broker->memory_pressure, MEMORY_HIGH);
    CHECK(kept > 300 && kept < 420); /* 85 % of what was to spare and the rest */
    CHECK(!far->reading_off);
    client_publish(far, "x", "y", 0, false); /* one is taken, the next ones have to wait */
    CHECK(far->reading_off);
    client_publish(sub, "x", "y", 0, false);
    net_sleep(&n, 1000);
    CHECK(pub->reading_off && far->reading_off);
    client_subscribe(net_client(&n, 1, 5, "new"), "t", 1); /* still welcome */

    for (; n.broker->memory_pressure != MEMORY_FULL && kept < 1000; kept++) {
        char topic[16];

        snprintf(topic, sizeof topic, "t/%u", kept); /* what was on its way all the same */
        client_feed_publish(pub, topic, payload, 0, true);
        net_sleep(&n, 100);
    }
    CHECK_INT(n.broker->memory_pressure, MEMORY_FULL);
    refused = net_open(&n, 1, 5);
    CHECK(refused->conn == NULL);
    CHECK_INT(refused->why, CLOSE_BUSY);
    client_free(refused);
    client_send(sub, "\xc0\0", 2); /* who is there is served */
    client_expect(sub, MQTT_PINGRESP, &(struct mqtt_packet){0});
    CHECK_INT(client_try_subscribe(sub, "more", 0), MQTT_RC_QUOTA_EXCEEDED);

    for (unsigned i = 0; i < kept; i++) {
        char topic[16];

        snprintf(topic, sizeof topic, "t/%u", i);
        client_feed_publish(pub, topic, "", 0, true);
    }
    net_sleep(&n, 200);
    CHECK_INT(n.broker->memory_pressure, MEMORY_OK);
    CHECK(!pub->reading_off && !far->reading_off && !sub->reading_off);
    CHECK_INT(NET_COUNT(&n, reads_paused), 3);
    net_client(&n, 1, 5, "again");
    fini_watched(&n, h);
}

/* A limit can be lifted, and set, while the broker runs. */
static void test_memory_limit_changes(void)
{
    struct net n;
    struct housekeeping *h = init_watched(&n, 0);
    struct shard *sh = n.broker->shards[0];

    CHECK_INT(n.broker->memory_pressure, MEMORY_FULL);
    sh->config.memory_limit = 0;
    net_sleep(&n, 200);
    CHECK_INT(n.broker->memory_pressure, MEMORY_OK);
    sh->config.memory_limit = (uint64_t)broker_memory_total(n.broker) * 10 / 9;
    net_sleep(&n, 200);
    CHECK_INT(n.broker->memory_pressure, MEMORY_HIGH);
    sh->config.memory_limit *= 2;
    net_sleep(&n, 200);
    CHECK_INT(n.broker->memory_pressure, MEMORY_OK);
    fini_watched(&n, h);
}

/* ---- what was needed for a while ---- */

/* 6 MB wait for a client that is away, and go to it: what they took is kept for a second, in case
 * there are more, and given back then; an idle shard does not wake up for it any more. */
static void test_memory_given_back(void)
{
    struct net n;
    struct client *pub, *sub;
    struct shard *sh;
    static char payload[60001];
    size_t high;

    net_init(&n, 1, NULL);
    sh = n.broker->shards[0];
    pub = net_client(&n, 0, 5, "pub");
    sub = come(&n, 1000);
    client_subscribe(sub, "t", 1);
    client_drop(sub);
    memset(payload, 'x', sizeof payload - 1);
    for (int i = 0; i < 100; i++)
        client_publish(pub, "t", payload, 1, false);
    high = mem_reserved(sh->mem);
    CHECK(high >= 6000000 || high == 0); /* there are no pages under AddressSanitizer */
    sub = come(&n, 1000);
    for (int i = 0; i < 100; i++)
        client_expect_publish(sub, "t", payload, 1, true);
    CHECK(mem_reserved(sh->mem) >= high);
    net_sleep(&n, 5000);
    CHECK(mem_reserved(sh->mem) < high / 2 || high == 0);
    CHECK(!timer_running(&sh->memory_timer));
    net_fini(&n);
}

TEST_MAIN(test_queue, test_no_queue, test_mixed, test_bytes, test_bytes_of_identifiers,
          test_window_bytes, test_window_bytes_stored, test_window_takes_one,
          test_window_bytes_disconnect, test_expired, test_session_ended, test_slow_consumer,
          test_connections, test_memory, test_memory_limit_changes, test_memory_given_back)

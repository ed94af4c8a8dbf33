/* share_test: shared subscriptions: who gets a message, on whatever shards the members are, and
 * what becomes of it when he cannot complete it.                                      [v5 4.8.2] */
#include "base/map.h"
#include "base/mem.h"
#include "base/test.h"
#include "broker/purposes.h"
#include "net_support.h"

/* A filter "$share/NAME/filter" whose group has its home at this shard (share.c: home_of()). */
static const char *group_at(const struct net *n, unsigned home, const char *filter)
{
    static char text[4][64];
    static unsigned which;
    char *t = text[which++ % 4];

    for (unsigned i = 0;; i++) {
        int len = snprintf(t, sizeof text[0], "$share/g%u/%s", i, filter);
        uint64_t id = hash_bytes(n->broker->hash_seed, t + 7, (size_t)len - 7);

        if ((id >> 32) % n->broker->n_shards == home)
            return t;
    }
}

static struct client *member(struct net *n, unsigned shard, const char *id, const char *filter,
                             uint8_t options)
{
    struct connect_options o = {.id = id, .expiry_s = 60};
    struct client *c = net_connect(n, shard, 5, &o, NULL);

    client_subscribe(c, filter, options);
    return c;
}

static struct client *back(struct net *n, unsigned shard, const char *id)
{
    struct connect_options o = {.id = id, .expiry_s = 60};

    return net_connect(n, shard, 5, &o, NULL);
}

/* Everything that has come, acknowledged or not; how many. */
static unsigned take(struct client *c, bool ack)
{
    struct mqtt_packet p;
    unsigned n = 0;

    while (client_next(c, &p)) {
        n += p.type == MQTT_PUBLISH;
        if (!ack || p.type == MQTT_PUBCOMP)
            continue;
        if (p.type == MQTT_PUBREL)
            client_send_ack(c, MQTT_PUBCOMP, p.ack.packet_id, 0);
        else if (p.publish.qos > 0)
            client_send_ack(c, p.publish.qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, p.publish.packet_id,
                            0);
    }
    return n;
}

static void publish_n(struct client *pub, const char *topic, unsigned n, uint8_t qos)
{
    for (unsigned i = 0; i < n; i++)
        client_publish(pub, topic, (char[]){(char)('a' + i % 26), '\0'}, qos, false);
}

/* ---- who gets it ---- */

/* Members on one shard or on several take turns; the publisher and the home may be anywhere. */
static void test_in_turn(void)
{
    for (unsigned shards = 1; shards <= 3; shards++) {
        for (unsigned home = 0; home < shards; home++) {
            for (uint8_t qos = 0; qos <= 2; qos++) {
                struct net n;
                struct client *m[4], *pub;
                const char *filter;

                net_init(&n, shards, NULL);
                filter = group_at(&n, home, "t/+");
                pub = net_client(&n, 0, 5, "pub");
                for (unsigned i = 0; i < 4; i++)
                    m[i] = member(&n, i % shards, (char[]){(char)('a' + i), '\0'}, filter, qos);
                publish_n(pub, "t/x", 20, qos);
                publish_n(pub, "t", 3, qos);
                for (unsigned i = 0; i < 4; i++)
                    CHECK_INT(take(m[i], true), 5);
                CHECK_INT(NET_COUNT(&n, shared_subscriptions), 4);
                client_unsubscribe(m[2], filter);
                publish_n(pub, "t/x", 9, qos);
                for (unsigned i = 0; i < 4; i++)
                    CHECK_INT(take(m[i], true), i == 2 ? 0 : 3);
                net_fini(&n);
            }
        }
    }
}

/* Each group gets its copy, and so do ordinary subscriptions, also of a member [v5 4.8.2]. */
static void test_independent(void)
{
    for (unsigned shards = 1; shards <= 2; shards++) {
        struct net n;
        struct client *a, *b, *pub;

        net_init(&n, shards, NULL);
        pub = net_client(&n, 0, 5, "pub");
        a = member(&n, 0, "a", group_at(&n, 0, "t"), 1);
        b = member(&n, shards - 1, "b", group_at(&n, 0, "t"), 1);
        client_subscribe(a, group_at(&n, shards - 1, "+"), 1);
        client_subscribe(b, "#", 1);
        client_subscribe(b, "t", 0);
        publish_n(pub, "t", 10, 1);
        CHECK_INT(take(a, true), 5 + 10);
        CHECK_INT(take(b, true), 5 + 10);
        client_unsubscribe(a, "$share/other/t"); /* a group that is not there */
        publish_n(pub, "$t", 5, 1);              /* the wildcards' rule holds [v5 MQTT-4.7.2-1] */
        CHECK_INT(take(a, true), 0);
        net_fini(&n);
    }
}

/* The member's own options count: its QoS, its identifier, RETAIN as published; as they are now
 * [v5 MQTT-4.8.2-3]. */
static void test_options(void)
{
    for (unsigned home = 0; home < 2; home++) {
        struct net n;
        struct client *c, *pub;
        const char *filter;
        struct mqtt_packet p;

        net_init(&n, 2, NULL);
        filter = group_at(&n, home, "t");
        pub = net_client(&n, 0, 5, "pub");
        c = back(&n, 1, "c");
        client_subscribe_id(c, filter, 1, 268435455);
        client_publish(pub, "t", "x", 2, true);
        client_expect(c, MQTT_PUBLISH, &p);
        CHECK_INT(p.publish.qos, 1);
        CHECK(!p.publish.retain);
        CHECK_INT(p.publish.props.subscription_id, 268435455);
        client_subscribe_id(c, filter, 2 | MQTT_SUB_RETAIN_AS_PUBLISHED, 7);
        client_publish(pub, "t", "y", 2, true);
        client_expect(c, MQTT_PUBLISH, &p);
        CHECK_INT(p.publish.qos, 2);
        CHECK(p.publish.retain);
        CHECK_INT(p.publish.props.subscription_id, 7);
        client_subscribe(c, filter, 0);
        client_publish(pub, "t", "z", 2, false);
        client_expect(c, MQTT_PUBLISH, &p);
        CHECK_INT(p.publish.qos, 0);
        CHECK(!MQTT_HAS(&p.publish.props, subscription_id));
        client_publish(pub, "t", "", 1, true);
        net_fini(&n);
    }
}

/* A client of version 3 may share, too. */
static void shares(int version)
{
    struct net n;
    struct client *a, *b, *pub;

    net_init(&n, 2, NULL);
    pub = net_client(&n, 0, version, "pub");
    a = net_client(&n, 0, version, "a");
    b = net_client(&n, 1, version, "b");
    client_subscribe(a, "$share/g/#", 0);
    client_subscribe(b, "$share/g/#", 1);
    publish_n(pub, "t", 10, 1);
    CHECK_INT(take(a, true), 5);
    CHECK_INT(take(b, true), 5);
    net_fini(&n);
}

static void test_versions(void)
{
    each_version(shares);
}

/* The SUBACK comes when the home knows: from then on the member gets what is published anywhere. */
static void test_suback_waits(void)
{
    struct net n;
    struct client *c, *pub;
    struct mqtt_packet p;
    uint8_t packet[64] = {0x82, 0, 0, 1, 0, 0};
    const char *filter;
    size_t len;

    net_init(&n, 3, NULL);
    filter = group_at(&n, 1, "t");
    len = strlen(filter);
    pub = net_client(&n, 2, 5, "pub");
    c = net_client(&n, 0, 5, "c");
    packet[1] = (uint8_t)(6 + len);
    packet[6] = (uint8_t)len;
    memcpy(packet + 7, filter, len);
    packet[7 + len] = 1;
    client_feed(c, packet, 8 + len);
    for (int i = 0; i < 3; i++) {
        net_turn(&n, 0);
        net_turn(&n, 2);
        CHECK(client_quiet(c));
    }
    net_turn(&n, 1);
    CHECK(client_quiet(c));
    net_turn(&n, 0);
    client_expect(c, MQTT_SUBACK, &p);
    CHECK_INT(p.suback.reasons.p[0], 1);
    client_publish(pub, "t", "x", 1, false);
    client_expect_publish(c, "t", "x", 1, true);
    net_fini(&n);
}

/* The publisher is told whether there was somebody, and that is so while there is a member. */
static void test_no_member(void)
{
    struct net n;
    struct client *c, *pub;
    struct mqtt_packet p;

    net_init(&n, 1, NULL);
    pub = net_client(&n, 0, 5, "pub");
    c = member(&n, 0, "c", "$share/g/t", 1);
    for (int i = 0; i < 2; i++) {
        client_start_publish(pub, "t", "x", 1, false);
        client_expect(pub, MQTT_PUBACK, &p);
        CHECK_INT(p.ack.reason, i == 0 ? 0 : MQTT_RC_NO_MATCHING_SUBSCRIBERS);
        CHECK_INT(take(c, true), i == 0);
        CHECK_INT(client_unsubscribe(c, "$share/g/t"),
                  i == 0 ? 0 : MQTT_RC_NO_SUBSCRIPTION_EXISTED);
    }
    net_fini(&n);
}

/* ---- least in flight ---- */

static void init_least(struct net *n, unsigned shards)
{
    struct broker_config cfg = broker_config_default();

    cfg.share_strategy = SHARE_LEAST_INFLIGHT;
    cfg.max_queued_messages = 10;
    net_init(n, shards, &cfg);
}

/* Who has less to do gets the next one; those who have the same take turns. */
static void test_least_inflight(void)
{
    for (unsigned shards = 1; shards <= 3; shards++) {
        for (uint8_t qos = 1; qos <= 2; qos++) {
            struct net n;
            struct client *slow, *fast, *pub;
            const char *filter;

            init_least(&n, shards);
            filter = group_at(&n, shards / 2, "t");
            pub = net_client(&n, 0, 5, "pub");
            slow = member(&n, 0, "slow", filter, qos);
            fast = member(&n, shards - 1, "fast", filter, qos);
            for (unsigned i = 0; i < 10; i++) {
                publish_n(pub, "t", 1, qos);
                take(fast, true);
                take(fast, true); /* PUBREL */
            }
            CHECK_INT(take(slow, false), 1);
            publish_n(pub, "t", 6, qos);
            CHECK_INT(take(fast, false), 3); /* to fast first: now it has 3, the other one 4 */
            CHECK_INT(take(slow, false), 3);
            net_fini(&n);
        }
    }
}

/* A message at QoS 0 is done when it is sent. */
static void test_least_inflight_qos0(void)
{
    struct net n;
    struct client *a, *b, *pub;

    init_least(&n, 1);
    pub = net_client(&n, 0, 5, "pub");
    a = member(&n, 0, "a", "$share/g/t", 0);
    b = member(&n, 0, "b", "$share/g/t", 2);
    publish_n(pub, "t", 10, 0);
    CHECK_INT(take(a, false), 5);
    CHECK_INT(take(b, false), 5);
    publish_n(pub, "t", 10, 1); /* to b at QoS 1, once; then a is always free */
    CHECK_INT(take(a, false), 9);
    CHECK_INT(take(b, false), 1);
    net_fini(&n);
}

/* However a message ends, it does not count for the member any more: afterwards both are equal. */
static void test_done_in_any_way(void)
{
    enum way { ACKED, REFUSED, TOO_LARGE, EXPIRED, OVERFLOW, TURNED_AWAY, GIVEN_BACK, MOVED, WAYS };

    for (unsigned shards = 1; shards <= 2; shards++) {
        for (int way = ACKED; way < WAYS; way++) {
            struct connect_options o = {.id = "a", .expiry_s = 60, .receive_maximum = 1};
            struct broker_config cfg = broker_config_default();
            struct net n;
            struct client *a, *b, *pub;
            const char *filter;
            unsigned got_a, got_b;

            cfg.share_strategy = SHARE_LEAST_INFLIGHT;
            cfg.max_queued_messages = 3;
            cfg.overflow = way == TURNED_AWAY ? OVERFLOW_DROP_NEWEST : OVERFLOW_DROP_OLDEST;
            net_init(&n, shards, &cfg);
            filter = group_at(&n, 0, "t");
            pub = net_client(&n, 0, 5, "pub");
            if (way == TOO_LARGE)
                o.maximum_packet_size = 30;
            a = net_connect(&n, shards - 1, 5, &o, NULL);
            client_subscribe(a, filter, 1);
            for (unsigned i = 0; i < 8; i++) { /* only a is there: one is sent, three wait */
                struct mqtt_packet p = {.type = MQTT_PUBLISH};

                p.publish.topic = MQTT_STR("t");
                p.publish.payload = way == TOO_LARGE
                                        ? MQTT_STR("more than this client is willing to take")
                                        : MQTT_STR("x");
                if (way == EXPIRED && i > 0)
                    MQTT_SET(&p.publish.props, message_expiry_s, 1);
                p.publish.qos = 1;
                p.publish.packet_id = (uint16_t)(i + 1);
                client_send_packet(pub, &p);
                client_expect(pub, MQTT_PUBACK, &p);
            }
            b = member(&n, 0, "b", filter, 1);
            switch (way) {
            case REFUSED:
                for (struct mqtt_packet p; client_next(a, &p);)
                    client_send_ack(a, MQTT_PUBACK, p.publish.packet_id, 0x97);
                break;
            case EXPIRED:
                net_sleep(&n, 2000);
                take(a, true);
                break;
            case GIVEN_BACK:
                client_drop(a);
                a = net_connect(&n, shards - 1, 5, &o, NULL);
                take(a, true);
                take(b, true);
                break;
            case MOVED:
                client_drop(a);
                a = net_connect(&n, 0, 5, &o, NULL);
                take(a, true);
                take(b, true);
                break;
            default: take(a, true); break;
            }
            take(a, true);
            net_run(&n);
            got_a = got_b = 0;
            for (unsigned i = 0; i < 6; i++) {
                publish_n(pub, "t", 1, 1);
                got_a += take(a, true);
                got_b += take(b, true);
            }
            CHECK_ROW_INT(way, got_a, 3);
            CHECK_ROW_INT(way, got_b, 3);
            net_fini(&n);
        }
    }
}

/* ---- members that are not connected ---- */

/* Connected members come first; without one the message waits for whoever comes back, and when
 * another member comes first, for that one [v5 4.8.2]. */
static void test_offline(void)
{
    for (unsigned shards = 1; shards <= 3; shards++) {
        for (unsigned home = 0; home < shards; home++) {
            struct net n;
            struct client *a, *b, *pub;
            const char *filter;

            net_init(&n, shards, NULL);
            filter = group_at(&n, home, "t");
            pub = net_client(&n, 0, 5, "pub");
            a = member(&n, 0, "a", filter, 1);
            b = member(&n, shards - 1, "b", filter, 1);
            client_drop(a);
            publish_n(pub, "t", 4, 1);
            CHECK_INT(take(b, true), 4);
            client_drop(b);
            publish_n(pub, "t", 4, 1); /* to both in turn */
            publish_n(pub, "t", 4, 0); /* lost */
            b = back(&n, shards - 1, "b");
            CHECK_INT(take(b, true), 2);
            publish_n(pub, "t", 4, 1);
            CHECK_INT(take(b, true), 4);
            a = back(&n, 0, "a");
            CHECK_INT(take(a, true), 2);
            publish_n(pub, "t", 4, 1);
            CHECK_INT(take(a, true), 2);
            CHECK_INT(take(b, true), 2);
            net_fini(&n);
        }
    }
}

/* The client of a member is gone: what was sent to it stays its own as long as its session lives,
 * what only waited for it goes to others at once. When the session ends, that what it has not
 * acknowledged goes to others, but for QoS 2 messages which it may have had [v5 MQTT-4.8.2-4]
 * [v5 MQTT-4.8.2-5]. */
static void test_member_is_gone(void)
{
    for (unsigned shards = 1; shards <= 3; shards++) {
        for (uint8_t qos = 1; qos <= 2; qos++) {
            struct connect_options o = {.id = "a", .expiry_s = 60, .receive_maximum = 3};
            struct net n;
            struct client *a, *b, *pub;
            const char *filter;
            struct mqtt_packet p;

            net_init(&n, shards, NULL);
            filter = group_at(&n, shards / 2, "t");
            pub = net_client(&n, 0, 5, "pub");
            a = net_connect(&n, 0, 5, &o, NULL);
            client_subscribe(a, filter, qos);
            publish_n(pub, "t", 5, qos); /* "a" to "e" */
            b = member(&n, shards - 1, "b", filter, qos);
            CHECK(client_quiet(b));
            client_drop(a);
            client_expect_publish(b, "t", "d", qos, false); /* of these a had heard nothing */
            client_expect_publish(b, "t", "e", qos, false);
            CHECK(client_quiet(b));
            a = net_connect(&n, shards - 1, 5, &o, NULL);
            if (client_expect(a, MQTT_PUBLISH, &p))
                CHECK(p.publish.dup && p.publish.payload.p[0] == 'a');
            client_send_ack(a, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, p.publish.packet_id, 0);
            client_drop(a);
            CHECK(client_quiet(b));
            net_sleep(&n, 61000); /* the session has expired */
            for (unsigned i = 1; i < 3 && qos == 1; i++)
                client_expect_publish(b, "t", (char[]){(char)('a' + i), '\0'}, qos, true);
            CHECK(client_quiet(b));
            CHECK_INT(net_drops(&n, DROP_SESSION_ENDED), qos == 1 ? 0 : 2);
            CHECK_INT(NET_COUNT(&n, sessions_expired), 1);
            net_fini(&n);
        }
    }
}

/* A clean start ends the old session, too; and a message that has expired is not given to anybody
 * else [v5 MQTT-3.3.2-5]. */
static void test_given_back_too_late(void)
{
    for (int waiting = 0; waiting <= 1; waiting++) {
        struct connect_options o = {.id = "a", .expiry_s = 60, .receive_maximum = 1};
        struct net n;
        struct client *a, *b, *pub;
        struct mqtt_packet p;

        net_init(&n, 1, NULL);
        pub = net_client(&n, 0, 5, "pub");
        a = net_connect(&n, 0, 5, &o, NULL);
        client_subscribe(a, "$share/g/t", 1);
        for (uint16_t i = 1; i <= 3; i++) {
            p = (struct mqtt_packet){.type = MQTT_PUBLISH};
            p.publish.topic = MQTT_STR("t");
            p.publish.payload = (struct mqtt_str){(const uint8_t *)"123" + i - 1, 1};
            p.publish.qos = 1;
            p.publish.packet_id = i;
            if (i != 2)
                MQTT_SET(&p.publish.props, message_expiry_s, 5);
            client_send_packet(pub, &p);
        }
        b = member(&n, 0, "b", "$share/g/t", 1);
        net_sleep(&n, 6000);
        if (waiting) {
            client_drop(a);
        } else {
            o.clean = true;
            net_connect(&n, 0, 5, &o, NULL);
        }
        client_expect_publish(b, "t", "2", 1, true);
        CHECK(client_quiet(b));
        CHECK_INT(net_drops(&n, DROP_EXPIRED), waiting ? 1 : 2);
        net_fini(&n);
    }
}

/* Who unsubscribes keeps what is his already. */
static void test_unsubscribed_in_flight(void)
{
    struct connect_options o = {.id = "a", .expiry_s = 60, .receive_maximum = 1};
    struct net n;
    struct client *a, *b, *pub;
    uint16_t id;

    net_init(&n, 2, NULL);
    pub = net_client(&n, 0, 5, "pub");
    a = net_connect(&n, 0, 5, &o, NULL);
    client_subscribe(a, "$share/g/t", 1);
    publish_n(pub, "t", 2, 1);
    b = member(&n, 1, "b", "$share/g/t", 1);
    id = client_expect_publish(a, "t", "a", 1, false);
    CHECK_INT(client_unsubscribe(a, "$share/g/t"), 0);
    client_send_ack(a, MQTT_PUBACK, id, 0);
    client_expect_publish(a, "t", "b", 1, true);
    publish_n(pub, "t", 1, 1);
    CHECK(client_quiet(a));
    CHECK_INT(take(b, true), 1);
    net_fini(&n);
}

/* A message on its way to a member that leaves meanwhile goes to another one; without another it is
 * lost, and counted. */
static void test_left_meanwhile(void)
{
    for (int others = 0; others <= 1; others++) {
        struct net n;
        struct client *a, *b = NULL, *pub;
        const char *filter;
        struct mqtt_packet p;

        net_init(&n, 3, NULL);
        filter = group_at(&n, 1, "t");
        pub = net_client(&n, 0, 5, "pub");
        a = net_client(&n, 2, 5, "a");
        client_subscribe(a, filter, 1);
        if (others)
            b = member(&n, 0, "b", filter, 1);
        for (int i = 0; i < 2; i++)
            client_feed_publish(pub, "t", (char[]){(char)('a' + i), '\0'}, 1, false);
        net_turn(&n, 0);            /* to the home */
        net_turn(&n, 1);            /* to the members */
        connection_closed(a->conn); /* a ends before it gets there */
        a->conn = NULL;
        client_free(a);
        net_run(&n);
        client_expect(pub, MQTT_PUBACK, &p);
        if (b != NULL) {
            client_expect(pub, MQTT_PUBACK, &p);
            CHECK_INT(take(b, true), 2);
        }
        CHECK_INT(net_drops(&n, DROP_SHARE_EMPTY), others ? 0 : 2);
        net_fini(&n);
    }
}

/* ---- anything ---- */

#define SHARDS   3
#define MEMBERS  5
#define MESSAGES 1500

struct player {
    char id[8];
    struct client *c;
    bool member;
    uint16_t unacked[64]; /* packet identifiers of messages */
    unsigned n_unacked;
};

static unsigned first_got[MESSAGES], again_got[MESSAGES];

/* A message comes to one member, without DUP, once; to the same member perhaps again, with DUP. */
static void read_player(struct player *p)
{
    struct mqtt_packet packet;

    while (client_next(p->c, &packet)) {
        unsigned number;
        char text[16];

        if (packet.type == MQTT_DISCONNECT || packet.type == MQTT_SUBACK ||
            packet.type == MQTT_UNSUBACK)
            continue;
        if (!CHECK_INT(packet.type, MQTT_PUBLISH))
            return;
        snprintf(text, sizeof text, "%.*s", (int)packet.publish.payload.len,
                 (const char *)packet.publish.payload.p);
        number = (unsigned)atoi(text);
        if (packet.publish.dup)
            again_got[number]++;
        else
            first_got[number]++;
        p->unacked[p->n_unacked++ % 64] = packet.publish.packet_id;
    }
}

static void ack_some(struct player *p, uint64_t x)
{
    while (p->n_unacked > 0 && x % 4 != 0) {
        uint16_t id = p->unacked[--p->n_unacked];

        client_feed(p->c, (uint8_t[]){0x40, 2, (uint8_t)(id >> 8), (uint8_t)id}, 4);
        x /= 4;
    }
}

/* On any shard, also while the old connection is still there. */
static void come_back(struct net *n, struct player *p, unsigned shard)
{
    struct connect_options o = {.id = p->id, .expiry_s = 1000, .receive_maximum = 5};
    struct client *old = p->c;

    p->c = net_connect(n, shard, 5, &o, NULL);
    p->n_unacked = 0;
    if (old != NULL) {
        struct client *now = p->c;

        p->c = old; /* what it got before is not got again but with DUP */
        read_player(p);
        p->c = now;
        p->n_unacked = 0;
        client_drop(old);
    }
    read_player(p);
}

static void drop(struct player *p)
{
    read_player(p);
    client_drop(p->c);
    p->c = NULL;
    p->n_unacked = 0;
}

/* Members join, leave, lose their connection and come back on other shards, acknowledge soon, late
 * or not before they are back; messages come from all shards. Each of them gets to one of them. */
static void random_members(enum share_strategy strategy, uint64_t seed)
{
    struct broker_config cfg = broker_config_default();
    struct player players[MEMBERS];
    struct client *pubs[SHARDS];
    struct env_test env;
    const char *filter;
    struct net n;

    env_test_init(&env, seed);
    cfg.share_strategy = strategy;
    cfg.max_queued_messages = 100000;
    net_init(&n, SHARDS, &cfg);
    filter = group_at(&n, (unsigned)(seed % SHARDS), "t");
    memset(first_got, 0, sizeof first_got);
    memset(again_got, 0, sizeof again_got);
    for (unsigned i = 0; i < SHARDS; i++)
        pubs[i] = net_client(&n, i, 5, (char[]){(char)('A' + i), '\0'});
    for (unsigned i = 0; i < MEMBERS; i++) {
        players[i] = (struct player){.member = true};
        snprintf(players[i].id, sizeof players[i].id, "m%u", i);
        come_back(&n, &players[i], i % SHARDS);
        client_subscribe(players[i].c, filter, 1);
    }
    for (unsigned m = 0; m < MESSAGES; m++) {
        uint64_t x = env_random64(&env.env);
        struct player *p = &players[x % MEMBERS];
        char text[16];

        snprintf(text, sizeof text, "%u", m);
        client_feed_publish(pubs[(x >> 8) % SHARDS], "t", text, 1, false);
        net_turn(&n, (unsigned)(x >> 16) % SHARDS);
        switch ((x >> 24) % 64) {
        case 0:
        case 1:
            if (p->c != NULL)
                drop(p);
            break;
        case 2:
        case 3:
        case 4: come_back(&n, p, (unsigned)(x >> 32) % SHARDS); break;
        case 5: /* the first stays, so that there is always one */
            if (p == players || p->c == NULL)
                break;
            net_run(&n);
            read_player(p);
            if (p->member)
                client_unsubscribe(p->c, filter);
            else
                client_subscribe(p->c, filter, 1);
            p->member = !p->member;
            break;
        default:
            if (p->c != NULL) {
                read_player(p);
                ack_some(p, x >> 40);
            }
        }
    }
    for (unsigned round = 0; round < 400; round++) {
        for (unsigned i = 0; i < MEMBERS; i++) {
            if (players[i].c == NULL)
                come_back(&n, &players[i], i % SHARDS);
            net_run(&n);
            read_player(&players[i]);
            ack_some(&players[i], UINT64_MAX);
        }
    }
    for (unsigned m = 0; m < MESSAGES; m++)
        CHECK_ROW(m, first_got[m] == 1 || (first_got[m] == 0 && again_got[m] > 0));
    CHECK_INT(NET_COUNT(&n, inflight), 0);
    for (unsigned why = 0; why < DROP_COUNT; why++)
        CHECK_ROW_INT(why, net_drops(&n, (enum drop_reason)why), 0);
    net_fini(&n);
}

static void test_random(void)
{
    for (uint64_t seed = 1; seed <= 6; seed++)
        random_members(seed % 2 ? SHARE_ROUND_ROBIN : SHARE_LEAST_INFLIGHT, seed);
}

TEST_MAIN(test_in_turn, test_independent, test_options, test_versions, test_suback_waits,
          test_no_member, test_least_inflight, test_least_inflight_qos0, test_done_in_any_way,
          test_offline, test_member_is_gone, test_given_back_too_late, test_unsubscribed_in_flight,
          test_left_meanwhile, test_random)

/* takeover_test: a client comes back on another shard than the one its session is on. The steps are
 * those of takeover.h, one at a time; whatever happens between them, nothing is lost, doubled or
 * out of order.         [v5 MQTT-3.1.4-3] [v3 MQTT-3.1.4-2] [v5 3.1.2.4] [v5 4.4] */
#include "base/log.h"
#include "base/mem.h"
#include "base/test.h"
#include "broker/purposes.h"
#include "broker/session.h"
#include "net_support.h"

enum { OLD, NEW, OTHER, SHARDS };

/* Whose turn it is, so that each step of the exchange happens in a turn of its own. */
static const struct {
    unsigned shard;
    const char *what;
} steps[] = {
    {NEW, "asks"},    {OLD, "sends filters"},     {NEW, "subscribes"},
    {OTHER, "fence"}, {OLD, "gives the session"}, {NEW, "has it"},
};

#define STEPS ((int)ARRAY_LEN(steps))

static const struct connect_options keep = {.id = "c", .expiry_s = 3600};

struct scene {
    struct net n;
    struct client *old, *c;      /* of "c": what it has, or had; what is to take over */
    struct client *pubs[SHARDS]; /* one on each shard */
    unsigned sent[SHARDS];       /* by each */
    unsigned got[SHARDS];        /* from each, in order */
};

static void publish(struct scene *s, unsigned shard)
{
    char text[16];

    snprintf(text, sizeof text, "%u:%u", shard, ++s->sent[shard]);
    client_feed_publish(s->pubs[shard], "t", text, 1 + s->sent[shard] % 2, false);
}

static void publish_everywhere(struct scene *s)
{
    for (unsigned shard = 0; shard < SHARDS; shard++)
        publish(s, shard);
}

/* All that has come, without an acknowledgement. From each publisher it is the next one; but what
 * had been sent before the takeover comes again, with DUP. */
static void take(struct scene *s, struct client *c)
{
    struct mqtt_packet p;

    while (client_next(c, &p)) {
        unsigned shard, number;
        char text[16];

        if (p.type != MQTT_PUBLISH)
            continue;
        snprintf(text, sizeof text, "%.*s", (int)p.publish.payload.len,
                 (const char *)p.publish.payload.p);
        if (!CHECK_INT(sscanf(text, "%u:%u", &shard, &number), 2))
            return;
        if (p.publish.dup)
            CHECK(number <= s->got[shard]);
        else
            CHECK_INT(number, ++s->got[shard]);
        CHECK_INT(p.publish.qos, 1 + number % 2);
    }
}

/* A session on OLD with messages in flight and waiting. */
static void set_scene(struct scene *s, bool connected)
{
    struct connect_options o = keep;

    *s = (struct scene){0};
    net_init(&s->n, SHARDS, NULL);
    for (unsigned i = 0; i < SHARDS; i++)
        s->pubs[i] = net_client(&s->n, i, 5, (char[]){(char)('P' + i), '\0'});
    o.receive_maximum = 4;
    s->old = net_connect(&s->n, OLD, 5, &o, NULL);
    client_subscribe(s->old, "t", 2);
    for (int i = 0; i < 3; i++)
        publish_everywhere(s);
    net_run(&s->n);
    take(s, s->old);
    if (!connected) {
        client_drop(s->old);
        s->old = NULL;
    }
}

static void begin(struct scene *s)
{
    s->c = net_start_connect(&s->n, NEW, 5, &keep);
}

static void step(struct net *n, int i)
{
    net_turn(n, steps[i].shard);
}

/* The connection has taken the session over; it gets all there is. */
static void check_taken(struct scene *s, struct client *c)
{
    struct mqtt_packet p;

    net_run(&s->n);
    if (!client_expect(c, MQTT_CONNACK, &p))
        return;
    CHECK_INT(p.connack.reason, 0);
    CHECK(p.connack.session_present);
    take(s, c);
    for (unsigned i = 0; i < SHARDS; i++)
        CHECK_ROW_INT(i, s->got[i], s->sent[i]);
    publish_everywhere(s);
    net_run(&s->n);
    take(s, c);
    for (unsigned i = 0; i < SHARDS; i++)
        CHECK_ROW_INT(i, s->got[i], s->sent[i]);
    CHECK_INT(NET_COUNT(&s->n, sessions), SHARDS + 1);
    CHECK_INT(NET_COUNT(&s->n, subscriptions), 1);
}

static void end_scene(struct scene *s)
{
    for (unsigned why = 0; why < DROP_COUNT; why++)
        CHECK_ROW_INT(why, net_drops(&s->n, (enum drop_reason)why),
                      why == DROP_SESSION_ENDED ? net_drops(&s->n, DROP_SESSION_ENDED) : 0);
    net_fini(&s->n);
}

static void check_old_closed(struct scene *s)
{
    struct mqtt_packet p;

    if (s->old == NULL)
        return;
    client_expect(s->old, MQTT_DISCONNECT, &p);
    CHECK_INT(p.reasoned.reason, MQTT_RC_SESSION_TAKEN_OVER);
    CHECK(s->old->closed);
}

/* ---- messages meanwhile ---- */

/* Messages from each shard before each step, or before all of them. */
static void test_steps(void)
{
    for (int connected = 0; connected <= 1; connected++) {
        for (int at = 0; at <= STEPS; at++) {
            struct scene s;

            set_scene(&s, connected);
            begin(&s);
            for (int i = 0; i < STEPS; i++) {
                if (at == i || at == STEPS)
                    publish_everywhere(&s);
                CHECK_ROW(i, client_quiet(s.c) && !s.c->greeted);
                step(&s.n, i);
            }
            CHECK(!client_quiet(s.c)); /* these were all there are */
            check_old_closed(&s);
            check_taken(&s, s.c);
            CHECK_INT(NET_COUNT(&s.n, sessions_moved), 1);
            end_scene(&s);
        }
    }
}

/* The publisher's shard has turns of its own in between, early or late. */
static void test_turns_in_any_order(void)
{
    for (unsigned round = 0; round < 200; round++) {
        struct scene s;

        set_scene(&s, round % 2);
        for (unsigned i = 0; i <= round; i++)
            env_random64(&s.n.env.env);
        begin(&s);
        for (int i = 0; i < 60; i++) {
            uint64_t x = env_random64(&s.n.env.env);

            if (x % 4 == 0)
                publish(&s, (unsigned)(x >> 8) % SHARDS);
            net_turn(&s.n, (unsigned)(x >> 16) % SHARDS);
        }
        check_taken(&s, s.c);
        end_scene(&s);
    }
}

/* What the client sends behind its CONNECT is kept until it has its session, and answered then. */
static void test_packets_behind_connect(void)
{
    for (int at = 0; at < STEPS; at++) {
        struct scene s;
        struct mqtt_packet p;

        set_scene(&s, true);
        begin(&s);
        for (int i = 0; i < STEPS; i++) {
            if (i == at) {
                CHECK_ROW_INT(i, s.c->reading_off, true);
                client_feed(s.c, "\x82\7\0\1\0\0\1u\1\xc0", 10); /* and half a PINGREQ */
                client_feed(s.c, "\0\x32\7\0\1u", 6);
            }
            step(&s.n, i);
        }
        CHECK(!s.c->reading_off);
        client_feed(s.c, "\0\5\0!", 4);
        net_run(&s.n);
        client_expect(s.c, MQTT_CONNACK, &p);
        for (unsigned i = 0; i < 9; i++) /* what was in flight, and what waited */
            if (client_expect(s.c, MQTT_PUBLISH, &p))
                CHECK(mqtt_str_eq(p.publish.topic, MQTT_STR("t")));
        client_expect(s.c, MQTT_SUBACK, &p);
        client_expect(s.c, MQTT_PINGRESP, &p);
        client_expect_publish(s.c, "u", "!", 1, false);
        client_expect(s.c, MQTT_PUBACK, &p);
        CHECK(client_quiet(s.c));
        net_fini(&s.n);
    }
}

/* ---- what moves ---- */

/* Everything that the session is: subscriptions with options and identifiers, what it is, what it
 * has received at QoS 2, the order of its exchanges. */
static void test_all_of_it(void)
{
    struct connect_options o = keep;
    struct net n;
    struct client *c, *pub;
    struct mqtt_packet p;
    uint16_t ids[3];

    net_init(&n, SHARDS, NULL);
    pub = net_client(&n, OTHER, 5, "pub");
    c = net_connect(&n, OLD, 5, &o, NULL);
    client_subscribe_id(c, "t/+", 2 | MQTT_SUB_RETAIN_AS_PUBLISHED, 268435455);
    client_subscribe_id(c, "t/#", 1, 1);
    client_subscribe_id(c, "own", 1 | MQTT_SUB_NO_LOCAL, 2);
    client_subscribe(c, "#", 0);
    client_unsubscribe(c, "#");
    for (int i = 0; i < 3; i++) {
        client_publish(pub, "t/x", (char[]){(char)('1' + i), '\0'}, 2, false);
        ids[i] = client_expect_publish(c, "t/x", (char[]){(char)('1' + i), '\0'}, 2, false);
    }
    client_send_ack(c, MQTT_PUBREC, ids[1], 0); /* "2", then "1" were received */
    client_expect(c, MQTT_PUBREL, &p);
    client_send_ack(c, MQTT_PUBREC, ids[0], 0);
    client_expect(c, MQTT_PUBREL, &p);
    CHECK_INT(client_start_publish(c, "in", "1", 2, false), 6);
    client_expect(c, MQTT_PUBREC, &p);

    c = net_connect(&n, NEW, 5, &o, NULL);
    client_expect(c, MQTT_PUBREL, &p);
    CHECK_INT(p.ack.packet_id, ids[1]);
    client_expect(c, MQTT_PUBREL, &p);
    CHECK_INT(p.ack.packet_id, ids[0]);
    client_expect(c, MQTT_PUBLISH, &p);
    CHECK(p.publish.dup && p.publish.packet_id == ids[2]);
    client_send(c, "\x3c\7\0\2in\0\6\0001", 9); /* again: it must not be routed twice */
    client_subscribe(pub, "in", 0);
    client_expect(c, MQTT_PUBREC, &p);
    CHECK_INT(p.ack.reason, 0);
    CHECK(client_quiet(pub));
    for (int i = 0; i < 2; i++)
        client_send_ack(c, MQTT_PUBCOMP, ids[i], 0);

    client_publish(pub, "t/x", "4", 2, true);
    client_expect(c, MQTT_PUBLISH, &p);
    CHECK(p.publish.retain && p.publish.qos == 2);
    CHECK(MQTT_HAS(&p.publish.props, subscription_id));
    CHECK_INT(p.publish.packet_id, ids[2] + 1);
    client_start_publish(c, "own", "x", 0, false); /* it still is its own */
    CHECK(client_quiet(c));
    client_publish(pub, "own", "y", 1, false);
    client_expect(c, MQTT_PUBLISH, &p);
    CHECK_INT(p.publish.props.subscription_id, 2);
    client_publish(pub, "other", "y", 1, false);
    CHECK(client_quiet(c));
    CHECK_INT(client_unsubscribe(c, "t/#"), 0);
    CHECK_INT(client_unsubscribe(c, "t/#"), MQTT_RC_NO_SUBSCRIPTION_EXISTED);
    client_publish(pub, "t/x", "", 1, true);
    net_fini(&n);
}

/* Members of shared subscriptions move, too, whatever shard is the group's home: what is on its way
 * to the old place gets there, and what comes later to the new one. */
static void test_member_moves(void)
{
    for (unsigned name = 0; name < 12; name++) { /* homes on all shards */
        for (int connected = 0; connected <= 1; connected++) {
            struct scene s;
            char filter[32];

            set_scene(&s, true);
            snprintf(filter, sizeof filter, "$share/%u/t", name);
            CHECK_INT(client_unsubscribe(s.old, "t"), 0);
            client_subscribe(s.old, filter, 2);
            if (!connected) {
                client_drop(s.old);
                s.old = NULL;
            }
            begin(&s);
            for (int i = 0; i < STEPS; i++) {
                publish_everywhere(&s);
                step(&s.n, i);
            }
            check_taken(&s, s.c);
            end_scene(&s);
        }
    }
}

/* Limits for new subscriptions are not for those that there are. */
static void test_limit_lowered(void)
{
    struct net n;
    struct client *c, *pub;
    char text[] = "t/0";

    net_init(&n, 2, NULL);
    pub = net_client(&n, 0, 5, "pub");
    c = net_connect(&n, 0, 5, &keep, NULL);
    for (; text[2] < '5'; text[2]++)
        client_subscribe(c, text, 1);
    for (unsigned i = 0; i < 2; i++)
        n.broker->shards[i]->config.max_subscriptions = 2;
    c = net_connect(&n, 1, 5, &keep, NULL);
    client_publish(pub, "t/4", "x", 1, false);
    client_expect_publish(c, "t/4", "x", 1, true);
    CHECK_INT(NET_COUNT(&n, subscriptions), 5);
    net_fini(&n);
}

/* ---- not the last one ---- */

/* Another connection takes the session over while the first still waits for it: on the same shard,
 * on a third one, back on the old one. The one that waits is told to go; the last one gets all. */
static void test_chain(void)
{
    for (unsigned next = 0; next < SHARDS; next++) {
        for (int at = 0; at < STEPS; at++) {
            struct scene s;
            struct client *last = NULL;
            struct mqtt_packet p;

            set_scene(&s, true);
            begin(&s);
            for (int i = 0; i < STEPS; i++) {
                publish_everywhere(&s);
                if (i == at)
                    last = net_start_connect(&s.n, next, 5, &keep);
                step(&s.n, i);
            }
            net_run(&s.n);
            CHECK_ROW(at, s.c->closed);
            if (client_expect(s.c, MQTT_CONNACK, &p)) {
                CHECK_ROW(at, p.connack.reason == MQTT_RC_SERVER_UNAVAILABLE ||
                                  (p.connack.reason == 0 && at >= STEPS - 2));
                take(&s, s.c); /* in that case it had it for a moment */
            }
            check_taken(&s, last);
            end_scene(&s);
        }
    }
}

/* Many of them, everywhere, at any time. */
static void test_long_chain(void)
{
    for (unsigned round = 0; round < 150; round++) {
        struct scene s;
        struct client *all[30];

        set_scene(&s, round % 2);
        for (unsigned i = 0; i < round; i++)
            env_random64(&s.n.env.env);
        for (int i = 0; i < 30; i++) {
            uint64_t x = env_random64(&s.n.env.env);

            all[i] = net_start_connect(&s.n, (unsigned)x % SHARDS, 5, &keep);
            for (x >>= 32; x % 4 != 0; x /= 4) {
                if (x % 4 == 1)
                    publish(&s, (unsigned)(x / 4) % SHARDS);
                net_turn(&s.n, (unsigned)(x / 4) % SHARDS);
            }
        }
        net_run(&s.n);
        for (int i = 0; i < 29; i++) {
            CHECK_ROW(i, all[i]->closed);
            if (client_quiet(all[i]) || all[i]->in[3] != 0)
                continue;     /* waited only */
            take(&s, all[i]); /* had it for a while */
        }
        CHECK(!all[29]->closed);
        check_taken(&s, all[29]);
        end_scene(&s);
    }
}

/* The client that waits goes away: the session is at home on the new shard then, for whoever comes
 * next; or it ends there, when its time has come meanwhile. */
static void test_waiting_client_goes(void)
{
    for (int at = 0; at < STEPS; at++) {
        for (int late = 0; late <= 1; late++) {
            for (int connected = 0; connected <= 1; connected++) {
                struct scene s;
                bool present;

                set_scene(&s, connected);
                begin(&s);
                for (int i = 0; i < STEPS; i++) {
                    if (i == at) {
                        connection_closed(s.c->conn);
                        s.c->conn = NULL;
                    }
                    publish_everywhere(&s);
                    step(&s.n, i);
                }
                net_run(&s.n);
                client_free(s.c);
                CHECK_INT(NET_COUNT(&s.n, sessions_offline), 1);
                CHECK_INT(NET_COUNT(&s.n, sessions), SHARDS + 1);
                if (late) {
                    net_sleep(&s.n, 3600 * 1000);
                    CHECK_INT(NET_COUNT(&s.n, sessions_expired), 1);
                    CHECK_INT(directory_count(&s.n.broker->directory), SHARDS);
                    net_connect(&s.n, OTHER, 5, &keep, &present);
                    CHECK(!present);
                } else {
                    check_taken(&s, net_start_connect(&s.n, OTHER, 5, &keep));
                }
                end_scene(&s);
            }
        }
    }
}

/* ---- clean start ---- */

/* Nothing of the old session is left, and its Will is published [v5 MQTT-3.1.2-4]; whoever has
 * asked before or asks afterwards gets the new one. */
static void test_clean_start(void)
{
    for (int at = 0; at <= STEPS; at++) { /* a third connection, at OTHER, without; STEPS: none */
        struct connect_options o = keep;
        struct net n;
        struct client *old, *c, *third = NULL, *watch;
        struct mqtt_packet p;

        net_init(&n, SHARDS, NULL);
        watch = net_client(&n, OTHER, 5, "watch");
        client_subscribe(watch, "will", 1);
        o.will_topic = "will";
        o.will_delay_s = 10;
        old = net_connect(&n, OLD, 5, &o, NULL);
        client_subscribe(old, "t", 1);
        client_publish(watch, "t", "old", 1, false);
        o = keep;
        o.clean = true;
        c = net_start_connect(&n, NEW, 5, &o);
        for (int i = 0; i < STEPS; i++) {
            if (i == at)
                third = net_start_connect(&n, OTHER, 5, &keep);
            step(&n, i);
        }
        net_run(&n);
        client_expect_publish(old, "t", "old", 1, false);
        client_expect(old, MQTT_DISCONNECT, &p);
        client_expect_publish(watch, "will", "", 0, true);
        CHECK(client_quiet(watch));
        if (third == NULL) {
            client_expect(c, MQTT_CONNACK, &p);
            CHECK(p.connack.reason == 0 && !p.connack.session_present);
            third = c;
        } else {
            client_expect(third, MQTT_CONNACK, &p);
            CHECK_INT(p.connack.reason, 0);
            /* of c's session, when that has come to be */
            CHECK_ROW_INT(at, p.connack.session_present, c->greeted || c->in[3] == 0);
        }
        client_publish(watch, "t", "new", 1, false);
        CHECK(client_quiet(third));
        CHECK_INT(NET_COUNT(&n, sessions), 2);
        CHECK_INT(NET_COUNT(&n, subscriptions), 1);
        CHECK_INT(directory_count(&n.broker->directory), 2);
        net_fini(&n);
    }
}

/* A session that ends with its connection is not there to be taken over. */
static void test_session_ends_with_connection(void)
{
    for (int at = 0; at < STEPS; at++) {
        struct connect_options o = {.id = "c"};
        struct net n;
        struct client *old, *c;
        struct mqtt_packet p;

        net_init(&n, SHARDS, NULL);
        old = net_connect(&n, OLD, 5, &o, NULL);
        client_subscribe(old, "t", 1);
        c = net_start_connect(&n, NEW, 5, &o);
        for (int i = 0; i < STEPS; i++) {
            if (i == at && old->conn != NULL && !old->closed)
                client_feed(old, "\xe0\0", 2); /* leaves of its own accord, just before */
            step(&n, i);
        }
        net_run(&n);
        client_expect(c, MQTT_CONNACK, &p);
        CHECK(p.connack.reason == 0 && !p.connack.session_present);
        CHECK_INT(NET_COUNT(&n, sessions), 1);
        CHECK_INT(NET_COUNT(&n, subscriptions), 0);
        CHECK_INT(directory_count(&n.broker->directory), 1);
        net_fini(&n);
    }
}

/* The client that waits goes away, and there was no session, or it ended with the old connection:
 * nothing is left of either. */
static void test_nothing_left(void)
{
    for (int at = 0; at < STEPS; at++) {
        struct connect_options o = {.id = "c"};
        struct net n;
        struct client *c;

        net_init(&n, SHARDS, NULL);
        net_connect(&n, OLD, 5, &o, NULL);
        c = net_start_connect(&n, NEW, 5, &o);
        for (int i = 0; i < STEPS; i++) {
            if (i == at) {
                connection_closed(c->conn);
                c->conn = NULL;
            }
            step(&n, i);
        }
        net_run(&n);
        CHECK_INT(NET_COUNT(&n, sessions), 0);
        CHECK_INT(directory_count(&n.broker->directory), 0);
        net_fini(&n);
    }
}

/* ---- the end of the session meanwhile ---- */

/* Its time comes before the old shard is asked: there is none. While it is on its way it does not
 * end: the client was in time. */
static void test_expires_meanwhile(void)
{
    for (int at = 0; at < STEPS; at++) {
        struct connect_options o = {.id = "c", .expiry_s = 6, .will_topic = "will"};
        struct net n;
        struct client *c, *watch;
        struct mqtt_packet p;
        bool asked = at > 0;

        net_init(&n, SHARDS, NULL);
        watch = net_client(&n, OTHER, 5, "watch");
        client_subscribe(watch, "will", 0);
        o.will_delay_s = 5;
        client_drop(net_connect(&n, OLD, 5, &o, NULL));
        o.will_topic = NULL;
        o.will_delay_s = 0;
        c = net_start_connect(&n, NEW, 5, &o);
        for (int i = 0; i < STEPS; i++) {
            if (i == at) {
                env_test_sleep(&n.env, 6001); /* the client has 10 s to wait */
                net_turn(&n, OLD);
            }
            step(&n, i);
        }
        net_run(&n);
        client_expect(c, MQTT_CONNACK, &p);
        CHECK_INT(p.connack.reason, 0);
        CHECK_ROW_INT(at, p.connack.session_present, asked);
        CHECK_ROW_INT(at, !client_quiet(watch), !asked); /* the Will [v5 MQTT-3.1.3-9] */
        CHECK_INT(NET_COUNT(&n, sessions_expired), !asked);
        CHECK_INT(directory_count(&n.broker->directory), 2);
        net_fini(&n);
    }
}

/* A Will that waits moves with the session: it is published when its time comes, if the client that
 * came has gone again. */
static void test_will_moves(void)
{
    struct connect_options o = {.id = "c", .expiry_s = 60, .will_topic = "will"};
    struct net n;
    struct client *c, *watch;

    net_init(&n, SHARDS, NULL);
    watch = net_client(&n, OTHER, 5, "watch");
    client_subscribe(watch, "will", 0);
    o.will_delay_s = 5;
    client_drop(net_connect(&n, OLD, 5, &o, NULL));
    c = net_start_connect(&n, NEW, 5, &o);
    net_turn(&n, NEW);
    connection_closed(c->conn);
    c->conn = NULL;
    client_free(c);
    net_run(&n);
    CHECK(session_find(n.broker->shards[NEW], MQTT_STR("c")) != NULL);
    net_sleep(&n, 4900);
    CHECK(client_quiet(watch));
    net_sleep(&n, 200);
    client_expect_publish(watch, "will", "", 0, false);
    net_sleep(&n, 55000);
    CHECK_INT(NET_COUNT(&n, sessions_expired), 1);
    CHECK(client_quiet(watch));
    net_fini(&n);
}

/* Retained messages that a subscription is still being sent: those that are left come at the new
 * shard; some may come twice. [v5 MQTT-3.3.1-9] */
#define RETAINED 2000

/* Takes what has come, and acknowledges it. Returns how many topics were seen first. */
static int take_retained(struct client *c, bool *seen)
{
    struct mqtt_packet p;
    int n = 0;

    while (client_next(c, &p)) {
        char topic[16];
        int number = 0;

        if (p.type != MQTT_PUBLISH)
            continue;
        snprintf(topic, sizeof topic, "%.*s", (int)p.publish.topic.len,
                 (const char *)p.publish.topic.p);
        if (!CHECK_INT(sscanf(topic, "r/%d", &number), 1))
            return n;
        n += !seen[number];
        seen[number] = true;
        client_send_ack(c, MQTT_PUBACK, p.publish.packet_id, 0);
    }
    return n;
}

static void retained_move(bool connected, bool leaves)
{
    struct connect_options o = keep;
    static bool seen[RETAINED];
    struct net n;
    struct client *c;
    int got;

    memset(seen, 0, sizeof seen);
    net_init(&n, SHARDS, NULL);
    client_retain_many(net_client(&n, OTHER, 5, "pub"), RETAINED);
    o.receive_maximum = 4;
    c = net_connect(&n, OLD, 5, &o, NULL);
    client_subscribe(c, "r/+", 1);
    if (!connected)
        client_drop(c);
    c = net_start_connect(&n, NEW, 5, &keep);
    if (leaves) { /* and the session moves once more, back again */
        net_turn(&n, NEW);
        connection_closed(c->conn);
        c->conn = NULL;
        client_free(c);
        net_run(&n);
        c = net_start_connect(&n, OLD, 5, &keep);
    }
    net_run(&n);
    got = take_retained(c, seen);
    CHECK_INT(got, RETAINED);
    CHECK_INT(net_drops(&n, DROP_QUEUE_FULL), 0);
    net_fini(&n);
}

static void test_retained_moves(void)
{
    for (int i = 0; i < 4; i++)
        retained_move(i & 1, i & 2);
}

/* The process ends in the middle of it. */
static void test_end_of_process(void)
{
    for (int at = 0; at <= STEPS; at++) {
        for (int chain = 0; chain <= 1; chain++) {
            struct scene s;

            set_scene(&s, at % 2);
            begin(&s);
            for (int i = 0; i < at; i++) {
                publish_everywhere(&s);
                step(&s.n, i);
            }
            if (chain)
                net_start_connect(&s.n, OTHER, 5, &keep);
            for (unsigned i = 0; i < SHARDS; i++)
                shard_close_all(s.n.broker->shards[i], CLOSE_SHUTTING_DOWN);
            LIST_EACH_SAFE (l, &s.n.clients) {
                struct client *c = LIST_ITEM(l, struct client, link);

                if (c->conn != NULL)
                    connection_closed(c->conn);
                free(c->in);
                free(c);
            }
            broker_free(&s.n.broker); /* the sanitizer looks for what is left */
            CHECK(s.n.broker == NULL);
        }
    }
}

/* The client that waits may wait for too long. */
static void test_timeout(void)
{
    struct scene s;

    set_scene(&s, true);
    begin(&s);
    net_turn(&s.n, NEW);
    env_test_sleep(&s.n.env, 10001);
    net_turn(&s.n, NEW);
    CHECK_INT(s.c->why, CLOSE_CONNECT_TIMEOUT);
    net_run(&s.n);
    check_taken(&s, net_start_connect(&s.n, OTHER, 5, &keep));
    end_scene(&s);
}

/* ---- out of memory ---- */

/* Whichever allocation fails, wherever: the client gets its session with all there is, or a new one
 * or none, and then it is told so; whoever comes next is served. others: sessions that are on the
 * new shard already. empty: messages come only there. */
static void out_of_memory(unsigned shard, unsigned others, bool empty)
{
    for (struct net_fail fail = {0}; net_fail_next(&fail);) {
        struct scene s;
        struct mqtt_packet p;
        struct client *pub;
        bool up;

        set_scene(&s, fail.at % 2);
        if (empty) {
            client_drop(net_connect(&s.n, OLD, 5,
                                    &(struct connect_options){.id = "c", .clean = true}, NULL));
            s.old = net_connect(&s.n, OLD, 5, &keep, NULL);
            client_subscribe(s.old, "t", 2);
        }
        for (unsigned i = 0; i < others; i++)
            net_client(&s.n, NEW, 5, (char[]){(char)('a' + i), '1', '\0'});
        net_fail(&fail, &s.n, shard);
        begin(&s);
        for (int i = 0; i < STEPS; i++) {
            if (!empty && i >= 2)
                publish_everywhere(&s);
            if (empty && i == 4) { /* gets to the old shard when the session has left it */
                publish(&s, OTHER);
                net_turn(&s.n, OTHER);
            }
            step(&s.n, i);
        }
        net_turn(&s.n, NEW);
        net_fail_end(&fail);
        net_run(&s.n);
        up = client_next(s.c, &p) && p.type == MQTT_CONNACK && p.connack.reason == 0;
        CHECK(fail.more || (up && p.connack.session_present));
        CHECK_ROW(fail.at, up || s.c->closed || s.c->conn == NULL);
        client_drop(s.c);

        pub = net_client(&s.n, OLD, 5, "pub");
        s.c = net_start_connect(&s.n, OTHER, 5, &keep);
        net_run(&s.n);
        client_expect(s.c, MQTT_CONNACK, &p);
        CHECK_INT(p.connack.reason, 0);
        while (client_next(s.c, &p))
            ;
        client_subscribe(s.c, "u", 1);
        client_publish(pub, "u", "x", 0, false);
        client_expect_publish(s.c, "u", "x", 0, false);
        CHECK_INT(directory_count(&s.n.broker->directory), NET_COUNT(&s.n, sessions));
        net_fini(&s.n);
    }
}

static void test_out_of_memory(void)
{
    for (int empty = 0; empty <= 1; empty++) {
        for (unsigned others = 0; others < 12; others++)
            out_of_memory(NEW, others, empty);
        out_of_memory(OLD, 0, empty);
        out_of_memory(OTHER, 0, empty);
    }
}

TEST_MAIN(test_steps, test_turns_in_any_order, test_packets_behind_connect, test_all_of_it,
          test_member_moves, test_limit_lowered, test_chain, test_long_chain,
          test_waiting_client_goes, test_clean_start, test_session_ends_with_connection,
          test_nothing_left, test_expires_meanwhile, test_will_moves, test_retained_moves,
          test_end_of_process, test_timeout, test_out_of_memory)

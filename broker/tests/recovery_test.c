/* recovery_test: the start of a broker with a store when something is wrong: no memory, a store
 * that cannot be read; and queues that cannot be read for a while. */
#include "base/mem.h"
#include "base/test.h"
#include "broker/retained.h"
#include "broker/session.h"
#include "stored_support.h"

#include <errno.h>

#define SHARDS   2
#define EXPIRY_S 3600

static struct client *join(struct net *n, const char *id, bool *out_present)
{
    struct connect_options o = {.id = id, .expiry_s = EXPIRY_S};

    return net_connect(n, 0, 5, &o, out_present);
}

/* ---- out of memory at the start ---- */

/* A QoS 2 message that is stored before it is acknowledged: nobody acknowledges it soon. */
static void publish_stored(struct client *pub, const char *payload)
{
    uint16_t id = client_start_publish(pub, "t", payload, 2, false);
    struct mqtt_packet p;

    net_sleep(pub->net, 50);
    client_expect(pub, MQTT_PUBREC, &p);
    CHECK_INT(p.ack.packet_id, id);
    client_send_ack(pub, MQTT_PUBREL, id, 0);
    net_sleep(pub->net, 50);
    client_expect(pub, MQTT_PUBCOMP, &p);
}

/* Something of everything that is stored. */
static void have_all(struct stored *s)
{
    struct connect_options o = {.id = "a",
                                .expiry_s = EXPIRY_S,
                                .receive_maximum = 3,
                                .will_topic = "will",
                                .will_delay_s = 1000};
    struct client *a, *pub;
    struct mqtt_packet p;
    uint16_t id;

    stored_init(s, SHARDS, NULL);
    a = net_connect(&s->n, 0, 5, &o, NULL);
    client_subscribe_id(a, "t", 2, 7);
    client_subscribe_id(a, "+", 1, 8); /* messages with two identifiers */
    client_subscribe(a, "$share/g/u", 1);
    for (int i = 0; i < 4; i++)
        client_drop(join(&s->n, (char[]){(char)('b' + i), '\0'}, NULL));
    pub = net_client(&s->n, 1, 5, "pub");
    for (int i = 0; i < 6; i++)
        publish_stored(pub, (char[]){(char)('1' + i), '\0'});
    client_publish(pub, "kept/1", "x", 1, true);
    client_publish(pub, "kept/2", "y", 1, true);
    id = client_expect_publish(a, "t", "1", 2, false);
    client_send_ack(a, MQTT_PUBREC, id, 0);
    client_expect_publish(a, "t", "2", 2, false);
    client_expect_publish(a, "t", "3", 2, false);
    client_expect(a, MQTT_PUBREL, &p);
    client_start_publish(a, "in/x", "x", 2, false);
    client_expect(a, MQTT_PUBREC, &p);
    net_sleep(&s->n, 100);
}

static void check_recovered(const struct recovered *r)
{
    CHECK_INT(r->sessions, 5);
    CHECK_INT(r->subscriptions, 3);
    CHECK_INT(r->queued, 3);
    CHECK_INT(r->inflight, 3);
    CHECK_INT(r->retained, 2);
}

/* Whichever allocation fails: the broker does not start, the store is as it was, and the next one
 * has everything. */
static void test_no_memory(void)
{
    for (unsigned shard = 0; shard < SHARDS; shard++) {
        struct stored s;
        struct env_time time;

        have_all(&s);
        memory_store_hold(s.store, true); /* as if it had died */
        time = s.n.env.time;
        net_fini(&s.n);
        s.store->ops->close(s.store);
        memory_store_hold(s.store, false);
        for (struct net_fail fail = {0}; net_fail_next(&fail);) {
            struct recovered r;
            int rc;

            net_init(&s.n, SHARDS, &s.config);
            s.n.env.time = time;
            net_fail(&fail, &s.n, shard);
            rc = broker_attach(s.n.broker, s.store, &r);
            net_fail_end(&fail);
            CHECK_ROW(fail.at, rc == 0 || (fail.more && rc == -ENOMEM));
            if (rc == 0) /* a Subscription Identifier may be missing, but no message */
                check_recovered(&r);
            broker_free(&s.n.broker);
            s.store->ops->close(s.store);
        }
        memory_store_free(&s.store);
    }
}

/* What it has recovered is what it was. */
static void test_all_there(void)
{
    struct connect_options o = {.id = "a", .expiry_s = EXPIRY_S, .receive_maximum = 10};
    struct stored s;
    struct client *a, *watch;
    struct mqtt_packet p;
    bool present;

    have_all(&s);
    stored_crash(&s, 1000);
    check_recovered(&s.recovered);
    for (unsigned i = 0; i < SHARDS; i++)
        CHECK(retained_get(s.n.broker->shards[i], MQTT_STR("kept/2")) != NULL);
    a = net_connect(&s.n, 1, 5, &o, &present);
    CHECK(present);
    client_expect(a, MQTT_PUBREL, &p);
    for (int i = 2; i <= 6; i++) {
        client_expect(a, MQTT_PUBLISH, &p);
        CHECK_INT(p.publish.payload.p[0], '0' + i);
        CHECK_INT(p.publish.dup, i <= 3);
        CHECK(MQTT_HAS(&p.publish.props, subscription_id));
    }
    client_send(a, "\x3c\x0a\0\4in/x\0\4\0x", 12); /* whose PUBREC it may not have got */
    client_expect(a, MQTT_PUBREC, &p);
    client_drop(a);
    stored_crash(&s, 1000);
    watch = net_client(&s.n, 0, 5, "watch");
    client_subscribe(watch, "#", 0);
    while (client_next(watch, &p))
        CHECK(p.publish.retain);
    net_sleep(&s.n, 999999); /* its last CONNECT had no Will */
    CHECK(client_quiet(watch));
    stored_fini(&s);
}

/* ---- a store that says no ---- */

/* A store in front of another one. */
struct front {
    struct store store;
    struct store *behind;
    int recover_rc; /* of every recovery, after the first record */
    bool odd;       /* recovers a record of a kind that there is not */
    bool load_fails;
    struct store_page *broken; /* answers to be had */
    store_news_fn *news;
    void *news_arg;
};

static struct front front;

static uint64_t front_submit(struct store *s, unsigned shard, struct store_batch *b)
{
    (void)s;
    return front.behind->ops->submit(front.behind, shard, b);
}

static uint64_t front_committed(struct store *s, unsigned shard)
{
    (void)s;
    return front.behind->ops->committed(front.behind, shard);
}

static void front_load(struct store *s, unsigned shard, const struct store_load *what)
{
    struct store_page *p;

    (void)s;
    if (!front.load_fails) {
        front.behind->ops->load(front.behind, shard, what);
        return;
    }
    p = calloc(1, sizeof *p);
    p->token = what->token;
    p->rc = -EIO;
    p->next = front.broken;
    front.broken = p;
    front.news(front.news_arg, shard);
}

static struct store_page *front_pages(struct store *s, unsigned shard)
{
    struct store_page *p = front.broken;

    (void)s;
    front.broken = NULL;
    return p != NULL ? p : front.behind->ops->pages(front.behind, shard);
}

static int front_recover(struct store *s, store_record_fn *fn, void *arg)
{
    (void)s;
    if (front.recover_rc != 0)
        return front.recover_rc;
    if (front.odd)
        return fn(arg, &(struct store_record){.kind = STORE_KINDS});
    return front.behind->ops->recover(front.behind, fn, arg);
}

static void front_notify(struct store *s, store_news_fn *fn, void *arg)
{
    (void)s;
    front.news = fn;
    front.news_arg = arg;
    front.behind->ops->notify(front.behind, fn, arg);
}

static enum store_health front_health(struct store *s)
{
    (void)s;
    return front.behind->ops->health(front.behind);
}

static void front_stats(struct store *s, struct store_stats *out)
{
    (void)s;
    front.behind->ops->stats(front.behind, out);
}

static void front_close(struct store *s)
{
    (void)s;
    front.behind->ops->close(front.behind);
}

static const struct store_ops front_ops = {
    .name = "front",
    .submit = front_submit,
    .committed = front_committed,
    .load = front_load,
    .pages = front_pages,
    .recover = front_recover,
    .notify = front_notify,
    .health = front_health,
    .stats = front_stats,
    .close = front_close,
};

static int attach(struct net *n, struct recovered *out)
{
    net_init(n, SHARDS, NULL);
    return broker_attach(n->broker, &front.store, out);
}

/* It is told why. */
static void test_cannot_be_read(void)
{
    struct recovered r;
    struct net n;

    for (int odd = 0; odd <= 1; odd++) {
        front = (struct front){
            {&front_ops}, memory_store_new(), odd ? 0 : -EIO, odd, false, NULL, NULL, NULL};
        CHECK_INT(attach(&n, &r), odd ? -EINVAL : -EIO);
        CHECK_INT(r.sessions, 0);
        broker_free(&n.broker);
        memory_store_free(&front.behind);
    }
}

/* A queue that cannot be read now is read later; a client that goes meanwhile, or whose session
 * ends, gives nobody trouble. */
static void test_queue_cannot_be_read(void)
{
    enum ending { STAYS, GOES, ENDS, ENDINGS };

    for (int ending = 0; ending < ENDINGS; ending++) {
        struct env_time time;
        struct recovered r;
        struct net n;
        struct client *c, *pub;
        bool present;

        front = (struct front){{&front_ops}, memory_store_new(), 0, false, false, NULL, NULL, NULL};
        CHECK_INT(attach(&n, &r), 0);
        c = join(&n, "c", NULL);
        client_subscribe(c, "t", 1);
        client_drop(c);
        pub = net_client(&n, 1, 5, "pub");
        for (int i = 0; i < 3; i++)
            client_publish(pub, "t", (char[]){(char)('1' + i), '\0'}, 1, false);
        time = n.env.time;
        net_fini(&n);
        net_init(&n, SHARDS, NULL);
        n.env.time = time;
        CHECK_INT(broker_attach(n.broker, &front.store, &r), 0);
        CHECK_INT(r.queued, 3);
        front.load_fails = true;
        c = join(&n, "c", &present);
        CHECK(present);
        pub = net_client(&n, 1, 5, "pub");
        client_start_publish(pub, "t", "4", 1, false);
        net_sleep(&n, 3000);
        CHECK(client_quiet(c)); /* not before what is older */
        if (ending == GOES) {
            client_drop(c);
            net_sleep(&n, 3000);
            c = join(&n, "c", &present);
            CHECK(present);
        } else if (ending == ENDS) {
            client_drop(
                net_connect(&n, 1, 5, &(struct connect_options){.id = "c", .clean = true}, NULL));
            net_sleep(&n, 3000);
        }
        front.load_fails = false;
        net_sleep(&n, 1001);
        for (int i = 0; i < 4 && ending != ENDS; i++)
            client_expect_publish(c, "t", (char[]){(char)('1' + i), '\0'}, 1, true);
        net_fini(&n);
        front.behind->ops->close(front.behind);
        memory_store_free(&front.behind);
    }
}

/* ---- older messages behind newer ones ---- */

static struct client *join_group(struct net *n, const char *id, uint32_t expiry_s, uint16_t window)
{
    struct connect_options o = {.id = id, .expiry_s = expiry_s, .receive_maximum = window};

    return net_connect(n, 0, 5, &o, NULL);
}

/* What a member of a group gives back stands behind what another has in flight, but comes from the
 * store before it: that does not keep what is in flight from being read, and sent first. */
static void test_given_back(void)
{
    enum { EACH = 1200, WINDOW = 3 };
    struct broker_config config = broker_config_default();
    struct client *goes, *stays, *pub;
    struct mqtt_packet p;
    struct stored s;

    config.max_queued_messages = 10000;
    stored_init(&s, 1, &config);
    goes = join_group(&s.n, "goes", 0, WINDOW);
    client_subscribe(goes, "$share/g/t", 1);
    stays = join_group(&s.n, "stays", EXPIRY_S, WINDOW);
    client_subscribe(stays, "$share/g/t", 1);
    pub = net_client(&s.n, 0, 5, "pub");
    for (int i = 0; i < 2 * EACH; i++) {
        bool early = i < 2 * (EACH - WINDOW);

        client_start_publish(pub, "t", early ? "1" : "2", 1, false);
        while (early && client_next(stays, &p))
            client_send_ack(stays, MQTT_PUBACK, p.publish.packet_id, 0);
    }
    CHECK_INT(NET_COUNT(&s.n, inflight), 2 * WINDOW);
    client_drop(goes);
    net_sleep(&s.n, 1000);
    CHECK_INT(NET_COUNT(&s.n, inflight), WINDOW);
    CHECK_INT(NET_COUNT(&s.n, queued), EACH);
    stored_crash(&s, 1000);
    stays = join_group(&s.n, "stays", EXPIRY_S, WINDOW);
    for (int i = 0; i < EACH + WINDOW; i++) {
        if (!CHECK_ROW(i, client_expect(stays, MQTT_PUBLISH, &p)))
            break;
        if (i < WINDOW)
            CHECK_ROW_INT(i, p.publish.payload.p[0], '2');
        client_send_ack(stays, MQTT_PUBACK, p.publish.packet_id, 0);
    }
    CHECK(client_quiet(stays));
    stored_fini(&s);
}

/* ---- out of memory while a queue is read ---- */

/* It goes on when there is memory again: all come, in order, or are counted. */
static void test_no_memory_for_pages(void)
{
    for (struct net_fail fail = {0}; net_fail_next(&fail);) {
        struct stored s;
        struct client *c, *pub;
        struct mqtt_packet p;
        unsigned got = 0;
        uint8_t last = '0';

        stored_init(&s, 1, NULL);
        c = join(&s.n, "c", NULL);
        client_subscribe_id(c, "t", 1, 1);
        client_subscribe_id(c, "+", 1, 2);
        client_drop(c);
        pub = net_client(&s.n, 0, 5, "pub");
        for (int i = 0; i < 3; i++)
            client_publish(pub, "t", (char[]){(char)('1' + i), '\0'}, 1, false);
        stored_crash(&s, 1000);
        pub = net_client(&s.n, 0, 5, "pub");
        client_publish(pub, "t", "4", 1, false);
        c = net_start_connect(&s.n, 0, 5,
                              &(struct connect_options){.id = "c", .expiry_s = EXPIRY_S});
        net_fail(&fail, &s.n, 0);
        net_run(&s.n);
        net_fail_end(&fail);
        net_sleep(&s.n, 2000);
        for (int attempt = 0; attempt < 2; attempt++) {
            while (client_next(c, &p)) {
                if (p.type != MQTT_PUBLISH)
                    continue;
                CHECK(p.publish.payload.p[0] > last || p.publish.dup);
                if (p.publish.payload.p[0] > last) {
                    last = p.publish.payload.p[0];
                    got++;
                }
                client_send_ack(c, MQTT_PUBACK, p.publish.packet_id, 0);
                net_sleep(&s.n, 1);
            }
            if (got == 4)
                break;
            CHECK(fail.more);
            client_drop(c);
            c = join(&s.n, "c", NULL);
            net_sleep(&s.n, 2000);
        }
        CHECK_ROW_INT(fail.at, got + (unsigned)net_drops(&s.n, DROP_NO_MEMORY), 4);
        stored_fini(&s);
    }
}

TEST_MAIN(test_no_memory, test_all_there, test_cannot_be_read, test_queue_cannot_be_read,
          test_given_back, test_no_memory_for_pages)

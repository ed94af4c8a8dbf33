/* retained_due_test: retained messages that a durable session's subscription is still being sent
 * when the broker ends. */
#include "base/mem.h"
#include "base/test.h"
#include "stored_support.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SHARDS   2
#define EXPIRY_S 3600

static struct client *join(struct net *n, unsigned shard, bool *out_present)
{
    struct connect_options o = {.id = "c", .expiry_s = EXPIRY_S};

    return net_connect(n, shard, 5, &o, out_present);
}

#define RETAINED 1500

/* Takes and acknowledges what has come, `most` messages at most. Returns how many topics were seen
 * first; *out_sub_id: of the last one. */
static int take_retained(struct client *c, bool *seen, int most, uint32_t *out_sub_id)
{
    struct mqtt_packet p;
    int n = 0;

    for (int taken = 0; taken < most && client_next(c, &p);) {
        char topic[16];
        int number = 0;

        if (p.type != MQTT_PUBLISH)
            continue;
        snprintf(topic, sizeof topic, "%.*s", (int)p.publish.topic.len,
                 (const char *)p.publish.topic.p);
        if (!CHECK_INT(sscanf(topic, "r/%d", &number), 1) || !CHECK(number < RETAINED))
            return n;
        CHECK(p.publish.retain);
        *out_sub_id = p.publish.props.subscription_id;
        n += !seen[number];
        seen[number] = true;
        client_send_ack(c, MQTT_PUBACK, p.publish.packet_id, 0);
        taken++;
    }
    return n;
}

static int note_options(void *arg, const struct store_record *r)
{
    if (r->kind == STORE_FILTER)
        *(int *)arg = r->options;
    return 0;
}

/* Of the only subscription in the store; -1: there is none. */
static int stored_options(struct stored *s)
{
    int options = -1;

    net_sleep(&s->n, 1000); /* nobody has waited for it */
    CHECK_INT(s->store->ops->recover(s->store, note_options, &options), 0);
    return options;
}

/* SUBSCRIBE with an identifier; the SUBACK may come behind the first messages. */
static void ask_for_retained(struct client *c, uint8_t options, uint32_t sub_id)
{
    uint8_t text[] = {0, 3, 'r', '/', '+', options};
    struct mqtt_packet p = {.type = MQTT_SUBSCRIBE};

    p.subscribe.packet_id = 99;
    p.subscribe.filters = (struct mqtt_str){text, sizeof text};
    p.subscribe.count = 1;
    MQTT_SET(&p.subscribe.props, subscription_id, sub_id);
    client_send_packet(c, &p);
}

/* A session is being sent what is retained, and has taken 50. */
static struct client *begin_to_take(struct stored *s, unsigned shards, uint8_t options, bool *seen)
{
    struct connect_options o = {.id = "c", .expiry_s = EXPIRY_S, .receive_maximum = 10};
    struct client *c;
    uint32_t sub_id;

    memset(seen, 0, RETAINED * sizeof *seen);
    stored_init(s, shards, NULL);
    client_retain_many(net_client(&s->n, shards - 1, 5, "pub"), RETAINED);
    c = net_connect(&s->n, 0, 5, &o, NULL);
    ask_for_retained(c, options, 7);
    CHECK_INT(take_retained(c, seen, 50, &sub_id), 50);
    return c;
}

static void end_broker(struct stored *s, bool crash)
{
    if (crash)
        stored_crash(s, 1000);
    else
        stored_restart(s, 1000);
}

/* The client comes back: all that it has not seen comes, and when it has, the store knows. Then a
 * live message, as any other. */
static void check_rest(struct stored *s, unsigned shard, bool *seen, int want, uint8_t options,
                       uint32_t want_id)
{
    struct client *c, *pub;
    struct mqtt_packet p;
    uint32_t sub_id = want_id;
    bool present;

    c = join(&s->n, 0, &present);
    if (shard != 0) { /* and moves while they come */
        client_drop(c);
        c = join(&s->n, shard, &present);
    }
    CHECK(present);
    CHECK_INT(take_retained(c, seen, INT32_MAX, &sub_id), want);
    CHECK_INT(sub_id, want_id);
    CHECK_INT(net_drops(&s->n, DROP_QUEUE_FULL), 0);
    CHECK_INT(stored_options(s), options);
    pub = net_client(&s->n, 0, 5, "pub");
    client_publish(pub, "r/0", "new", 1, true);
    client_expect(c, MQTT_PUBLISH, &p);
    CHECK_INT(p.publish.retain, 0);
    CHECK_INT(p.publish.props.subscription_id, want_id);
    client_send_ack(c, MQTT_PUBACK, p.publish.packet_id, 0);
    CHECK(client_quiet(c));
    net_sleep(&s->n, 1000); /* until that is committed */
}

/* They come after a restart, and once all have come no more. [v5 MQTT-3.3.1-9] */
static void test_restart(void)
{
    static bool seen[RETAINED];

    for (int i = 0; i < 8; i++) {
        unsigned shards = i & 1 ? SHARDS : 1;
        bool crash = i & 2;
        struct stored s;
        struct client *c;
        bool present;

        begin_to_take(&s, shards, 1, seen);
        CHECK_INT(stored_options(&s), 1 | STORE_RETAINED_DUE);
        end_broker(&s, crash);
        CHECK_INT(s.recovered.retained, RETAINED);
        if (i & 4)
            end_broker(&s, crash); /* nobody has come meanwhile */
        check_rest(&s, i & 4 ? shards - 1 : 0, seen, RETAINED - 50, 1, 7);
        end_broker(&s, crash);
        c = join(&s.n, 0, &present);
        CHECK(present && client_quiet(c));
        stored_fini(&s);
    }
}

/* The subscription is changed meanwhile. */
static void test_changed(void)
{
    static const struct {
        uint8_t options, left; /* left: what is in the store then */
        bool comes;
    } rows[] = {
        {2 | 2 << 4, 2 | 2 << 4 | STORE_RETAINED_DUE, true}, /* goes on */
        {1 | 1 << 4, 1 | 1 << 4 | STORE_RETAINED_DUE, true},
        {1, 1 | STORE_RETAINED_DUE, true}, /* begins anew */
        {0, 0, false},
        {0 | 2 << 4, 0 | 2 << 4, false},
    };
    static bool seen[RETAINED];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mqtt_packet p;
        struct stored s;
        struct client *c = begin_to_take(&s, 1, 1, seen);
        int n = 0;

        ask_for_retained(c, rows[i].options, 8);
        CHECK_ROW_INT(i, stored_options(&s), rows[i].left);
        stored_crash(&s, 1000);
        c = join(&s.n, 0, NULL);
        while (client_next(c, &p))
            if (p.type == MQTT_PUBLISH) {
                n++;
                client_send_ack(c, p.publish.qos == 2 ? MQTT_PUBREC : MQTT_PUBACK,
                                p.publish.packet_id, 0);
            } else if (p.type == MQTT_PUBREL) {
                client_send_ack(c, MQTT_PUBCOMP, p.ack.packet_id, 0);
            }
        CHECK_ROW(i, (n >= RETAINED - 50) == rows[i].comes);
        CHECK_ROW_INT(i, stored_options(&s), rows[i].left & STORE_SUB_OPTIONS);
        stored_fini(&s);
    }
}

/* The subscription ends meanwhile, and nothing brings it back. */
static void test_ended(void)
{
    static bool seen[RETAINED];

    for (int unsubscribes = 0; unsubscribes <= 1; unsubscribes++) {
        struct mqtt_packet p;
        struct stored s;
        struct client *c = begin_to_take(&s, 1, 1, seen);

        if (unsubscribes) {
            while (client_next(c, &p)) /* its window stays full */
                ;
            client_unsubscribe(c, "r/+");
        } else {
            client_drop(c);
            net_connect(&s.n, 0, 5,
                        &(struct connect_options){.id = "c", .clean = true, .expiry_s = 9}, NULL);
        }
        CHECK_INT(stored_options(&s), -1);
        stored_crash(&s, 1000);
        CHECK_INT(s.recovered.subscriptions, 0);
        stored_fini(&s);
    }
}

/* A store with a subscription that has not been sent all, whatever it may be. */
static struct store *store_with(const char *filter, uint8_t options)
{
    struct store *store = memory_store_new();
    struct store_record session = {.kind = STORE_SESSION,
                                   .session = 5,
                                   .client_id = STR("c"),
                                   .expiry_s = EXPIRY_S,
                                   .version = 5},
                        subscription = {.kind = STORE_FILTER,
                                        .session = 5,
                                        .filter = str_from(filter),
                                        .options = options | STORE_RETAINED_DUE},
                        retained = {.kind = STORE_RETAINED,
                                    .message = {.uid = 3,
                                                .topic = STR("t"),
                                                .payload = STR("x"),
                                                .qos = 1,
                                                .retain = true}};
    struct store_batch b = {0};

    CHECK_INT(store_batch_add(&b, &session), 0);
    CHECK_INT(store_batch_add(&b, &subscription), 0);
    CHECK_INT(store_batch_add(&b, &retained), 0);
    store->ops->submit(store, 0, &b);
    return store;
}

static void test_no_memory(void)
{
    for (struct net_fail fail = {0}; net_fail_next(&fail);) {
        struct store *store = store_with("t", 1);
        struct recovered r;
        struct net n;
        int rc;

        net_init(&n, 1, NULL);
        net_fail(&fail, &n, 0);
        rc = broker_attach(n.broker, store, &r);
        net_fail_end(&fail);
        CHECK_ROW(fail.at, rc == 0 || (fail.more && rc == -ENOMEM));
        CHECK(rc != 0 || r.subscriptions == 1);
        broker_free(&n.broker);
        store->ops->close(store);
        memory_store_free(&store);
    }
}

/* Where nothing is to be sent, the mark does nothing. */
static void test_in_vain(void)
{
    static const struct {
        const char *filter;
        bool available, comes;
    } rows[] = {{"t", true, true}, {"t", false, false}, {"$share/g/t", true, false}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct broker_config config = broker_config_default();
        struct store *store = store_with(rows[i].filter, 1);
        struct mqtt_packet p;
        struct recovered r;
        struct client *c;
        struct net n;
        bool present;

        config.retain_available = rows[i].available;
        net_init(&n, 1, &config);
        CHECK_INT(broker_attach(n.broker, store, &r), 0);
        net_sleep(&n, 1000);
        CHECK_INT(NET_COUNT(&n, queued), 0); /* not before the client is there */
        c = join(&n, 0, &present);
        CHECK(present);
        CHECK_ROW(i, !client_quiet(c) == rows[i].comes);
        if (rows[i].comes && client_expect(c, MQTT_PUBLISH, &p))
            CHECK(p.publish.retain && p.publish.qos == 1);
        net_fini(&n);
        store->ops->close(store);
        memory_store_free(&store);
    }
}

TEST_MAIN(test_restart, test_changed, test_ended, test_no_memory, test_in_vain)

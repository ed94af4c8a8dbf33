/* store: the promises of store.h, kept by the memory backend. Other backends run the same tests. */
#include "base/test.h"
#include "storage/memory_store.h"

static struct store *s;
static struct store_batch batch;

static void setup(void)
{
    s = memory_store_new();
}

static void teardown(void)
{
    store_batch_fini(&batch);
    memory_store_free(&s);
    CHECK(s == NULL);
}

static uint64_t submit(const struct store_record *r)
{
    CHECK_INT(store_batch_add(&batch, r), 0);
    return s->ops->submit(s, 0, &batch);
}

struct seen {
    unsigned n[STORE_KINDS];
    struct store_record last[STORE_KINDS];
    uint64_t uids[16];
    unsigned n_uids;
    char text[256]; /* of the last texts, joined */
};

static int see(void *arg, const struct store_record *r)
{
    struct seen *seen = arg;

    seen->n[r->kind]++;
    seen->last[r->kind] = *r;
    if (r->kind == STORE_DELIVERY && seen->n_uids < 16)
        seen->uids[seen->n_uids++] = r->uid;
    snprintf(seen->text, sizeof seen->text, "%.*s|%.*s|%.*s|%.*s", (int)r->client_id.len,
             r->client_id.p, (int)r->filter.len, r->filter.p, (int)r->message.topic.len,
             r->message.topic.p, (int)r->message.payload.len, r->message.payload.p);
    return 0;
}

static struct seen recovered(void)
{
    struct seen seen = {0};

    CHECK_INT(s->ops->recover(s, see, &seen), 0);
    return seen;
}

static struct store_record session(uint64_t no, const char *client_id)
{
    return (struct store_record){
        .kind = STORE_SESSION, .session = no, .client_id = str_from(client_id), .expiry_s = 60};
}

static struct store_record delivery(uint64_t no, uint64_t uid, const char *payload)
{
    return (struct store_record){
        .kind = STORE_DELIVERY,
        .session = no,
        .uid = uid,
        .qos = 1,
        .message = {.uid = uid, .topic = STR("t"), .payload = str_from(payload), .qos = 1}};
}

static void test_batch(void)
{
    struct store_record in = delivery(7, 9, "hello"), out;
    size_t at = 0;

    in.sub_ids = STR("12345678");
    for (int i = 0; i < 1000; i++)
        CHECK_INT(store_batch_add(&batch, &in), 0);
    CHECK_INT(batch.records, 1000);
    for (int i = 0; i < 1000; i++) {
        CHECK(store_batch_next(&batch, &at, &out));
        CHECK_ROW_INT(i, out.kind, STORE_DELIVERY);
        CHECK_ROW(i, str_eq(out.message.payload, STR("hello")) && str_eq(out.sub_ids, in.sub_ids));
    }
    CHECK(!store_batch_next(&batch, &at, &out));
    store_batch_clear(&batch);
    at = 0;
    CHECK(!store_batch_next(&batch, &at, &out));
    store_batch_fini(&batch);
}

static void test_replace_and_remove(void)
{
    struct store_record r = session(1, "one"),
                        f = {
                            .kind = STORE_FILTER, .session = 1, .filter = STR("a/#"), .options = 1};
    struct seen seen;

    setup();
    CHECK_INT(submit(&r), 1);
    r.expiry_s = 120;
    CHECK_INT(submit(&r), 2);
    submit(&f);
    f.options = 2;
    submit(&f);
    CHECK_INT(s->ops->committed(s, 0), 4);
    seen = recovered();
    CHECK_INT(seen.n[STORE_SESSION], 1);
    CHECK_INT(seen.last[STORE_SESSION].expiry_s, 120);
    CHECK_INT(seen.n[STORE_FILTER], 1);
    CHECK_INT(seen.last[STORE_FILTER].options, 2);
    f.kind = STORE_FILTER_END;
    submit(&f);
    submit(&f); /* no error */
    CHECK_INT(recovered().n[STORE_FILTER], 0);
    teardown();
}

static void test_deliveries(void)
{
    struct store_record a = delivery(1, 30, "c"), b = delivery(1, 10, "a"),
                        c = delivery(1, 20, "b"), r = session(1, "one");
    struct seen seen;

    setup();
    submit(&r);
    submit(&a);
    submit(&b);
    submit(&c);
    seen = recovered();
    CHECK_INT(seen.n[STORE_DELIVERY], 3);
    CHECK(seen.uids[0] == 10 && seen.uids[1] == 20 && seen.uids[2] == 30);
    b.kind = STORE_DELIVERY_STATE;
    b.packet_id = 5;
    b.state = STORE_SENT;
    submit(&b);
    a.kind = c.kind = STORE_DELIVERY_END;
    submit(&a);
    submit(&c);
    seen = recovered();
    CHECK_INT(seen.n[STORE_DELIVERY], 1);
    CHECK_INT(seen.last[STORE_DELIVERY].packet_id, 5);
    CHECK_INT(seen.last[STORE_DELIVERY].state, STORE_SENT);
    CHECK(strcmp(seen.text, "||t|a") == 0);
    teardown();
}

static void test_session_end(void)
{
    struct store_record one = session(1, "one"), two = session(2, "two"), d1 = delivery(1, 5, "x"),
                        d2 = delivery(2, 5, "x"),
                        received = {.kind = STORE_RECEIVED, .session = 1, .packet_id = 9},
                        retained = {.kind = STORE_RETAINED,
                                    .message = {.uid = 1, .topic = STR("t")}};
    struct store_record end = {.kind = STORE_SESSION_END, .session = 1};
    struct seen seen;

    setup();
    submit(&one);
    submit(&two);
    submit(&d1);
    submit(&d2);
    submit(&received);
    submit(&retained);
    submit(&end);
    seen = recovered();
    CHECK_INT(seen.n[STORE_SESSION], 1);
    CHECK_INT(seen.n[STORE_DELIVERY], 1);
    CHECK_INT(seen.last[STORE_DELIVERY].session, 2);
    CHECK_INT(seen.n[STORE_RECEIVED], 0);
    CHECK_INT(seen.n[STORE_RETAINED], 1);
    teardown();
}

static unsigned told;

static void on_committed(void *arg, unsigned shard)
{
    (void)arg;
    CHECK_INT(shard, 0);
    told++;
}

static void test_hold(void)
{
    struct store_record r = session(1, "one"), q = session(2, "two");
    struct store_stats stats;

    setup();
    s->ops->notify(s, on_committed, NULL);
    memory_store_hold(s, true);
    CHECK_INT(submit(&r), 1);
    CHECK_INT(s->ops->committed(s, 0), 0);
    CHECK_INT(recovered().n[STORE_SESSION], 0);
    s->ops->stats(s, &stats);
    CHECK(stats.waiting_bytes > 0 && stats.records == 0);
    memory_store_hold(s, false);
    CHECK_INT(told, 1);
    CHECK_INT(s->ops->committed(s, 0), 1);
    CHECK_INT(recovered().n[STORE_SESSION], 1);
    memory_store_hold(s, true);
    submit(&q);
    s->ops->close(s); /* as in a crash */
    memory_store_hold(s, false);
    CHECK_INT(recovered().n[STORE_SESSION], 1);
    s->ops->stats(s, &stats);
    CHECK_INT(stats.waiting_bytes, 0);
    CHECK_INT(stats.records, 1);
    teardown();
}

static int stop(void *arg, const struct store_record *r)
{
    (void)r;
    ++*(int *)arg;
    return 42;
}

static void test_recovery_stops(void)
{
    struct store_record r = session(1, "one"), q = session(2, "two");
    int calls = 0;

    setup();
    submit(&r);
    submit(&q);
    CHECK_INT(s->ops->recover(s, stop, &calls), 42);
    CHECK_INT(calls, 1);
    teardown();
}

TEST_MAIN(test_batch, test_replace_and_remove, test_deliveries, test_session_end, test_hold,
          test_recovery_stops)

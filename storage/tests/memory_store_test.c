/* batches, and what the memory backend has of its own. */
#include "storage/memory_store.h"

#include "base/test.h"
#include "storage/tests/records_support.h"

static struct store_batch batch;

static void test_batch(void)
{
    struct store_record in = a_delivery(7, 9, "hello"), out;
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
    batch.sync = true;
    store_batch_clear(&batch);
    at = 0;
    CHECK(!store_batch_next(&batch, &at, &out) && !batch.sync && batch.records == 0);
    store_batch_fini(&batch);
    at = 0;
    CHECK(!store_batch_next(&batch, &at, &out));
}

/* A record costs what it has. */
static void test_batch_size(void)
{
    static const struct {
        enum store_kind kind;
        size_t most;
    } rows[] = {
        {STORE_SESSION, 80},      {STORE_SESSION_END, 16},    {STORE_DELIVERY, 96},
        {STORE_DELIVERY_END, 40}, {STORE_DELIVERY_STATE, 40}, {STORE_QUEUE_DROP, 40},
        {STORE_RECEIVED, 40},     {STORE_RECEIVED_END, 16},   {STORE_FILTER, 40},
        {STORE_CLOCK, 64},        {STORE_BACKLOG, 64},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct store_record in = {.kind = rows[i].kind,
                                  .session = 4,
                                  .packet_id = 5,
                                  .last_uid = 6,
                                  .last_session = 7,
                                  .messages = 8,
                                  .bytes = 9,
                                  .message = {.topic = STR("t"), .props = STR("pp")}},
                            out;
        size_t at = 0;

        CHECK_INT(store_batch_add(&batch, &in), 0);
        CHECK_ROW(i, batch.len <= rows[i].most);
        CHECK(store_batch_next(&batch, &at, &out));
        CHECK_ROW(i, out.kind == in.kind && out.session == 4);
        CHECK_INT(at, batch.len);
        if (in.kind == STORE_CLOCK)
            CHECK(out.last_uid == 6 && out.last_session == 7);
        if (in.kind == STORE_BACKLOG)
            CHECK(out.messages == 8 && out.bytes == 9);
        store_batch_clear(&batch);
    }
    store_batch_fini(&batch);
}

static uint64_t submit(struct store *s, struct store_record r)
{
    CHECK_INT(store_batch_add(&batch, &r), 0);
    return s->ops->submit(s, 0, &batch);
}

static void check_state(struct waiter *w, struct store *s, const char *want)
{
    char *got = state_of(w, s, false);

    CHECK(strcmp(got, want) == 0);
    free(got);
}

static void test_hold(void)
{
    struct store *s = memory_store_new();
    struct store_stats stats;
    struct waiter w;

    waiter_init(&w);
    s->ops->notify(s, waiter_news, &w);
    memory_store_hold(s, true);
    CHECK_INT(submit(s, a_session(1, "one")), 1);
    CHECK_INT(s->ops->committed(s, 0), 0);
    check_state(&w, s, "");
    s->ops->stats(s, &stats);
    CHECK(stats.waiting_bytes > 0 && stats.records == 0);
    CHECK_INT(told_of(&w, 0), 0);
    memory_store_hold(s, false);
    CHECK_INT(told_of(&w, 0), 1);
    CHECK_INT(s->ops->committed(s, 0), 1);
    memory_store_hold(s, true);
    submit(s, a_session(2, "two"));
    s->ops->close(s); /* as in a crash */
    memory_store_hold(s, false);
    check_state(&w, s, "session 1 client=one expiry=60 version=5\n");
    s->ops->stats(s, &stats);
    CHECK_INT(stats.waiting_bytes, 0);
    CHECK_INT(stats.records, 1);
    memory_store_free(&s);
    CHECK(s == NULL);
    memory_store_free(&s);
}

TEST_MAIN(test_batch, test_batch_size, test_hold)

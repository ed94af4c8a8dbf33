/* message_test: publications and what is kept of them. */
#include "base/mem.h"
#include "base/test.h"
#include "broker/message.h"
#include "broker/purposes.h"

#include <pthread.h>

static struct mem *mem;

static struct publication sample(void)
{
    return (struct publication){.topic = MQTT_STR("a/b"),
                                .props = MQTT_STR("\x01\x01"),
                                .payload = MQTT_STR("hello\0world"),
                                .uid = 77,
                                .publisher = 5,
                                .expires_ms = 1000,
                                .qos = 2,
                                .retain = true};
}

static bool same(const struct publication *a, const struct publication *b)
{
    return mqtt_str_eq(a->topic, b->topic) && mqtt_str_eq(a->props, b->props) &&
           mqtt_str_eq(a->payload, b->payload) && a->uid == b->uid &&
           a->publisher == b->publisher && a->expires_ms == b->expires_ms && a->qos == b->qos &&
           a->retain == b->retain;
}

static void test_made_once(void)
{
    struct publication pub = sample(), view;
    struct message *m;

    mem = mem_new();
    mem_fail_at(mem, 1);
    CHECK(publication_message(&pub, mem) == NULL);
    CHECK(pub.msg == NULL);
    m = publication_message(&pub, mem);
    CHECK(m != NULL && publication_message(&pub, mem) == m);
    CHECK(message_topic(m).p != pub.topic.p); /* a copy */
    view = publication_of(m);
    CHECK(same(&view, &pub) && view.msg == m);
    CHECK(publication_message(&view, mem) == m);
    CHECK(mqtt_str_eq(message_props(m), pub.props));
    CHECK_INT(message_size(m), sizeof *m + 3 + 2 + 11);
    publication_done(&pub, mem);
    CHECK(pub.msg == NULL);
    CHECK_INT(mem_used(mem, FOR_MESSAGE), 0);
    publication_done(&pub, mem); /* nothing to let go of */
    mem_free(&mem);
}

static void test_empty(void)
{
    struct publication pub = {.topic = MQTT_STR("t")}, view;

    mem = mem_new();
    view = publication_of(publication_message(&pub, mem));
    CHECK(same(&view, &pub));
    publication_done(&pub, mem);
    CHECK_INT(mem_used(mem, FOR_MESSAGE), 0);
    mem_free(&mem);
}

/* It goes with its last reference, be it shared or not. */
static void test_references(void)
{
    for (int shared = 0; shared <= 1; shared++) {
        struct publication pub = sample();
        struct message *m, *refs[10];

        mem = mem_new();
        m = publication_message(&pub, mem);
        if (shared)
            message_share(m);
        for (int i = 0; i < 10; i++)
            refs[i] = message_ref(m);
        publication_done(&pub, mem);
        for (int i = 0; i < 10; i++) {
            CHECK_ROW(i, refs[i] == m && mem_used(mem, FOR_MESSAGE) > 0);
            CHECK_ROW_INT(i, m->uid, 77);
            message_unref(&refs[i], mem);
            CHECK_ROW(i, refs[i] == NULL);
        }
        CHECK_INT(mem_used(mem, FOR_MESSAGE), 0);
        message_unref(&refs[0], mem); /* NULL is fine */
        mem_free(&mem);
    }
}

static void test_expired(void)
{
    struct publication pub = sample();
    const struct message *m;

    mem = mem_new();
    m = publication_message(&pub, mem);
    CHECK(!message_expired(m, 0) && !message_expired(m, 999));
    CHECK(message_expired(m, 1000) && message_expired(m, UINT64_MAX));
    publication_done(&pub, mem);
    pub.expires_ms = 0;
    m = publication_message(&pub, mem);
    CHECK(!message_expired(m, UINT64_MAX));
    publication_done(&pub, mem);
    mem_free(&mem);
}

/* ---- between threads ---- */

#define REFS 20000

static void *hold_and_drop(void *arg)
{
    struct message *m = arg;
    struct mem *mine = mem_new();

    for (int i = 0; i < REFS; i++) {
        struct message *r = message_ref(m);

        message_unref(&r, mine);
    }
    message_unref(&m, mine);
    return mine;
}

/* Whichever thread drops the last reference releases it, once, to the shard that made it. */
static void test_threads(void)
{
    struct publication pub = sample();
    struct mem *others[3];
    pthread_t threads[3];
    int64_t used;

    mem = mem_new();
    message_share(publication_message(&pub, mem));
    for (int i = 0; i < 3; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, hold_and_drop, message_ref(pub.msg)), 0);
    publication_done(&pub, mem);
    used = mem_used(mem, FOR_MESSAGE);
    for (int i = 0; i < 3; i++) {
        void *result;

        pthread_join(threads[i], &result);
        others[i] = result;
        used += mem_used(others[i], FOR_MESSAGE);
        mem_settle(others[i]);
    }
    CHECK_INT(used, 0);
    for (int i = 0; i < 3; i++)
        mem_free(&others[i]);
    mem_free(&mem);
}

TEST_MAIN(test_made_once, test_empty, test_references, test_expired, test_threads)

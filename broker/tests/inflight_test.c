/* inflight_test: the window of one client, against a plain list.            [v5 4.3, 4.4, 4.6] */
#include "base/env.h"
#include "base/mem.h"
#include "base/test.h"
#include "broker/inflight.h"
#include "broker/purposes.h"

#define MOST 65535

static struct mem *mem;
static struct inflight window;

/* What it should be: identifiers in sending order, with the number of their message. */
static struct {
    uint16_t id;
    uint32_t number;
} want[MOST];
static uint32_t n_want;

static void setup(void)
{
    mem = mem_new();
    inflight_init(&window);
    n_want = 0;
}

static void teardown(void)
{
    inflight_clear(&window, mem);
    CHECK_INT(window.count + window.bytes, 0);
    CHECK_INT(mem_used(mem, FOR_INFLIGHT), 0);
    CHECK_INT(mem_used(mem, FOR_QUEUE), 0);
    CHECK_INT(mem_used(mem, FOR_MESSAGE), 0); /* messages and identifiers went with it */
    mem_free(&mem);
}

/* A delivery of a message whose uid is its number, and with identifiers. */
static struct delivery delivery_of(uint32_t number)
{
    struct publication pub = {.topic = MQTT_STR("t"), .uid = number};
    struct delivery d = {.msg = publication_message(&pub, mem), .qos = 1};

    if (number % 2 == 0)
        d.ids = mem_alloc(mem, FOR_QUEUE, sizeof *d.ids);
    return d;
}

static bool add(uint32_t number, uint16_t restored_id)
{
    struct delivery d = delivery_of(number);
    struct inflight_entry *e = restored_id != 0 ? inflight_restore(&window, mem, restored_id, &d)
                                                : inflight_add(&window, mem, &d);

    if (e == NULL) {
        delivery_release(&d, mem);
        return false;
    }
    CHECK(e->state == INFLIGHT_SENT && !e->unsent && e->packet_id != 0);
    CHECK(restored_id == 0 || e->packet_id == restored_id);
    want[n_want].id = e->packet_id;
    want[n_want++].number = number;
    return true;
}

static void forget(uint32_t i)
{
    memmove(&want[i], &want[i + 1], (--n_want - i) * sizeof want[0]);
}

static void check_all(void)
{
    const struct inflight_entry *e = inflight_first(&window);
    uint64_t bytes = 0;

    CHECK_INT(window.count, n_want);
    for (uint32_t i = 0; i < n_want; i++, e = inflight_after(&window, e)) {
        if (!CHECK_ROW(i, e != NULL))
            return;
        if (e->packet_id != want[i].id || e->d.msg->uid != want[i].number ||
            inflight_find(&window, want[i].id) != e)
            FAIL_ROW(i, "another entry than there should be");
        bytes += delivery_size(&e->d);
    }
    CHECK(e == NULL);
    CHECK_INT(window.bytes, bytes);
}

static void test_empty(void)
{
    setup();
    CHECK(inflight_first(&window) == NULL);
    CHECK(inflight_find(&window, 1) == NULL);
    CHECK(inflight_find(&window, 65535) == NULL);
    inflight_trim(&window, mem);
    CHECK(add(1, 0));
    CHECK_INT(want[0].id, 1); /* starts at 1 */
    CHECK(inflight_find(&window, 0) == NULL);
    CHECK(inflight_find(&window, 5) == NULL); /* of the same slot */
    inflight_trim(&window, mem);              /* not while there is something */
    check_all();
    inflight_remove(&window, mem, inflight_find(&window, 1));
    CHECK(mem_used(mem, FOR_INFLIGHT) > 0);
    inflight_trim(&window, mem);
    CHECK_INT(mem_used(mem, FOR_INFLIGHT), 0);
    n_want = 0;
    CHECK(add(2, 0));
    CHECK_INT(want[0].id, 2); /* an identifier is not used again at once, memory or not */
    teardown();
}

/* An entry counts as long as it has its message, and not when only its identifier is in use. */
static void test_bytes(void)
{
    struct delivery first, second;
    struct inflight_entry *e;
    struct message *m;
    uint64_t size, both;

    setup();
    first = delivery_of(2);
    second = delivery_of(3);
    size = delivery_size(&first);
    both = size + delivery_size(&second);
    CHECK(size > delivery_size(&second)); /* has identifiers */
    e = inflight_add(&window, mem, &first);
    CHECK_INT(window.bytes, size);
    m = message_ref(e->d.msg);
    inflight_drop_message(&window, mem, e);
    CHECK(e->d.msg == NULL && window.count == 1);
    CHECK_INT(window.bytes, 0);
    inflight_set_message(&window, e, m);
    CHECK(e->d.msg == m);
    inflight_add(&window, mem, &second);
    CHECK_INT(window.bytes, both);
    inflight_give_back(&window, inflight_find(&window, 2));
    CHECK_INT(window.bytes, size);
    CHECK(inflight_find(&window, 2) == NULL);
    delivery_release(&second, mem);
    inflight_drop_message(&window, mem, inflight_find(&window, 1));
    inflight_remove(&window, mem, inflight_find(&window, 1));
    CHECK_INT(window.count + window.bytes, 0);
    inflight_trim(&window, mem);
    teardown();
}

/* As many as there are identifiers, and not one more. */
static void test_full(void)
{
    static bool used[MOST + 1];
    struct delivery d;

    setup();
    memset(used, 0, sizeof used);
    for (uint32_t i = 0; i < MOST; i++) {
        if (!CHECK_ROW(i, add(i, 0)))
            break;
        if (used[want[i].id])
            FAIL_ROW(i, "an identifier in use");
        used[want[i].id] = true;
    }
    check_all();
    d = delivery_of(0);
    CHECK(inflight_add(&window, mem, &d) == NULL);
    delivery_release(&d, mem);
    inflight_remove(&window, mem, inflight_find(&window, 777));
    forget(776);
    CHECK(add(5, 0)); /* the only one that is free [v5 MQTT-2.2.1-4] */
    CHECK_INT(want[n_want - 1].id, 777);
    check_all();
    teardown();
}

/* Anything in any order; sometimes memory is short. */
static void test_random(void)
{
    static const uint32_t sizes[] = {1, 5, 64, 300};
    struct env_test env;

    env_test_init(&env, 11);
    for (size_t row = 0; row < sizeof sizes / sizeof sizes[0]; row++) {
        setup();
        for (uint32_t i = 0; i < 4000; i++) {
            uint64_t x = env_random64(&env.env);
            uint32_t at = n_want == 0 ? 0 : (uint32_t)(x >> 32) % n_want;

            if (x % 100 < 5) {
                uint16_t id = (uint16_t)(x >> 16 | 1);

                if (inflight_find(&window, id) == NULL && n_want < sizes[row])
                    CHECK(add(i, id));
            } else if (n_want == 0 || (x % 100 < 55 && n_want < sizes[row])) {
                mem_fail_at(mem, x >> 20 & 3); /* the message, its identifiers, the table */
                if ((x >> 20 & 3) != 1) {
                    uint32_t before = n_want;

                    if (!add(i, 0))
                        CHECK_INT(n_want, before);
                }
                mem_fail_at(mem, 0);
            } else if (x % 100 < 80) {
                inflight_remove(&window, mem, inflight_find(&window, want[at].id));
                CHECK(inflight_find(&window, want[at].id) == NULL);
                forget(at);
            } else if (x % 100 < 99) {
                want[n_want].id = want[at].id;
                want[n_want++].number = want[at].number;
                inflight_to_end(&window, inflight_find(&window, want[at].id));
                forget(at);
            } else {
                inflight_trim(&window, mem);
            }
            if (i % 16 == 0)
                check_all();
        }
        check_all();
        teardown();
    }
}

static void test_restore(void)
{
    struct delivery d;

    setup();
    CHECK(add(1, 65535));
    CHECK(add(2, 1));
    CHECK(add(3, 0x8001)); /* far apart, and of one slot in every smaller table */
    CHECK(add(4, 0));
    CHECK_INT(want[3].id, 0x8002);
    check_all();
    d = delivery_of(9);
    CHECK_ABORTS(inflight_restore(&window, mem, 0, &d));
    CHECK_ABORTS(inflight_restore(&window, mem, 1, &d));
    mem_fail_at(mem, 1);
    CHECK(inflight_restore(&window, mem, 2, &d) != NULL); /* fits without growing */
    mem_fail_at(mem, 0);
    teardown();
}

static void test_no_memory(void)
{
    struct delivery d;

    setup();
    d = delivery_of(0);
    mem_fail_at(mem, 1);
    CHECK(inflight_add(&window, mem, &d) == NULL);
    mem_fail_at(mem, 1);
    CHECK(inflight_restore(&window, mem, 9, &d) == NULL);
    delivery_release(&d, mem);
    for (uint32_t i = 0; i < 4; i++)
        CHECK(add(i, 0));
    d = delivery_of(0);
    mem_fail_at(mem, 1);
    CHECK(inflight_add(&window, mem, &d) == NULL);
    mem_fail_at(mem, 0);
    delivery_release(&d, mem);
    check_all();
    teardown();
}

TEST_MAIN(test_empty, test_bytes, test_full, test_random, test_restore, test_no_memory)

/* removals_test: what is remembered of removed retained messages, and for how long. */
#include "base/mem.h"
#include "base/test.h"
#include "broker/purposes.h"
#include "broker/removals.h"

static struct mqtt_str topic(unsigned n)
{
    static char text[16];

    return (struct mqtt_str){(const uint8_t *)text, (uint32_t)sprintf(text, "t/%u", n)};
}

static void test_newest(void)
{
    struct mem *mem = mem_new();
    struct removals r;

    removals_init(&r, mem, 1);
    CHECK(!removals_after(&r, topic(1), 0));
    removals_note(&r, topic(1), 20);
    CHECK(removals_after(&r, topic(1), 19));
    CHECK(!removals_after(&r, topic(1), 20));
    CHECK(!removals_after(&r, topic(2), 19));
    removals_note(&r, topic(1), 10); /* comes late itself */
    CHECK(removals_after(&r, topic(1), 19));
    removals_note(&r, topic(1), 30);
    CHECK(removals_after(&r, topic(1), 29));
    removals_fini(&r);
    CHECK_INT(mem_used_total(mem), 0);
    mem_free(&mem);
}

static void test_forgotten(void)
{
    struct mem *mem = mem_new();
    struct removals r;

    removals_init(&r, mem, 1);
    for (unsigned i = 1; i <= 1000; i++)
        removals_note(&r, topic(i), i);
    removals_forget(&r, 500);
    CHECK(!removals_after(&r, topic(499), 0));
    CHECK(removals_after(&r, topic(500), 0));
    CHECK(removals_after(&r, topic(1000), 0));
    removals_forget(&r, 1001);
    CHECK_INT(mem_used_total(mem), 0);
    removals_fini(&r);
    mem_free(&mem);
}

/* Many topics cost no more than some. */
static void test_many(void)
{
    struct mem *mem = mem_new();
    struct removals r;
    int64_t full;

    removals_init(&r, mem, 1);
    for (unsigned i = 1; i <= REMOVALS_MAX; i++)
        removals_note(&r, topic(i), i);
    full = mem_used_total(mem);
    CHECK(full <= REMOVALS_MAX * 64);
    CHECK(removals_after(&r, topic(1), 0));
    for (unsigned i = REMOVALS_MAX + 1; i <= 4 * REMOVALS_MAX; i++)
        removals_note(&r, topic(i), i);
    CHECK(mem_used_total(mem) <= full + 4096);
    CHECK(!removals_after(&r, topic(3 * REMOVALS_MAX), 0));
    CHECK(removals_after(&r, topic(3 * REMOVALS_MAX + 1), 0));
    CHECK(removals_after(&r, topic(4 * REMOVALS_MAX), 0));
    removals_fini(&r);
    CHECK_INT(mem_used_total(mem), 0);
    mem_free(&mem);
}

static void test_no_memory(void)
{
    for (uint64_t at = 1, left = 0; left == 0; at++) {
        struct mem *mem = mem_new();
        struct removals r;
        bool first;

        removals_init(&r, mem, 1);
        mem_fail_at(mem, at);
        removals_note(&r, topic(1), 1);
        left = mem_fail_at(mem, 0);
        first = removals_after(&r, topic(1), 0);
        CHECK_INT(first, left != 0);
        removals_note(&r, topic(2), 2);
        CHECK(removals_after(&r, topic(2), 0));
        CHECK_INT(removals_after(&r, topic(1), 0), first);
        removals_fini(&r);
        CHECK_INT(mem_used_total(mem), 0);
        mem_free(&mem);
    }
}

TEST_MAIN(test_newest, test_forgotten, test_many, test_no_memory)

/* id_set_test: sets of packet identifiers, against a table of flags.                  [v5 4.3.3] */
#include "base/env.h"
#include "base/mem.h"
#include "base/test.h"
#include "broker/id_set.h"
#include "broker/purposes.h"

static struct mem *mem;

static void test_empty(void)
{
    struct id_set s;

    mem = mem_new();
    id_set_init(&s);
    CHECK(!id_set_has(&s, 1));
    CHECK(!id_set_remove(&s, mem, 1));
    CHECK(id_set_add(&s, mem, 65535));
    CHECK(id_set_add(&s, mem, 65535));
    CHECK_INT(s.count, 1);
    CHECK(id_set_has(&s, 65535) && !id_set_has(&s, 1));
    CHECK(mem_used(mem, FOR_INFLIGHT) > 0);
    CHECK(id_set_remove(&s, mem, 65535));
    CHECK(!id_set_remove(&s, mem, 65535));
    CHECK_INT(mem_used(mem, FOR_INFLIGHT), 0); /* empty, it holds no memory */
    id_set_clear(&s, mem);
    mem_free(&mem);
}

/* All there are, and out again in another order. */
static void test_all(void)
{
    struct id_set s;

    mem = mem_new();
    id_set_init(&s);
    for (unsigned id = 1; id <= 65535; id++)
        CHECK(id_set_add(&s, mem, (uint16_t)id));
    CHECK_INT(s.count, 65535);
    for (unsigned i = 0; i < 65535; i++) {
        uint16_t id = (uint16_t)(i * 7919 % 65535 + 1);

        CHECK(id_set_remove(&s, mem, id));
        CHECK(!id_set_has(&s, id));
    }
    CHECK_INT(s.count, 0);
    CHECK_INT(mem_used(mem, FOR_INFLIGHT), 0);
    mem_free(&mem);
}

static void check_all(const struct id_set *s, const bool *in)
{
    uint32_t n = 0;

    for (unsigned id = 1; id <= 65535; id++) {
        n += in[id];
        if (id_set_has(s, (uint16_t)id) != in[id])
            FAIL_ROW(id, "an identifier too many or too few");
    }
    CHECK_INT(s->count, n);
}

/* Few and many at a time, in runs as clients count, now and then without memory to grow. */
static void test_random(void)
{
    static const unsigned ranges[] = {10, 60, 1000, 65535};
    struct env_test env;

    env_test_init(&env, 5);
    mem = mem_new();
    for (size_t r = 0; r < sizeof ranges / sizeof ranges[0]; r++) {
        static bool in[65536];
        struct id_set s;

        memset(in, 0, sizeof in);
        id_set_init(&s);
        for (unsigned i = 0; i < 20000; i++) {
            uint64_t x = env_random64(&env.env);
            uint16_t id = (uint16_t)(x % ranges[r] + 1);

            if (i % 3 == 0)
                id = (uint16_t)(i % ranges[r] + 1);
            mem_fail_at(mem, x >> 40 & 1);
            if ((x >> 32 & 1) != 0)
                in[id] |= id_set_add(&s, mem, id);
            else
                CHECK_INT(id_set_remove(&s, mem, id), in[id]), in[id] = false;
            CHECK_INT(id_set_has(&s, id), in[id]);
        }
        mem_fail_at(mem, 0);
        check_all(&s, in);
        id_set_clear(&s, mem);
        CHECK_INT(mem_used(mem, FOR_INFLIGHT), 0);
    }
    mem_free(&mem);
}

static void test_no_memory(void)
{
    struct id_set s;

    mem = mem_new();
    id_set_init(&s);
    mem_fail_at(mem, 1);
    CHECK(!id_set_add(&s, mem, 1));
    CHECK(!id_set_has(&s, 1));
    CHECK_INT(s.count, 0);
    CHECK(id_set_add(&s, mem, 1));
    id_set_clear(&s, mem);
    mem_free(&mem);
}

TEST_MAIN(test_empty, test_all, test_random, test_no_memory)

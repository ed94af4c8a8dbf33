#include "base/env.h"

#include "base/test.h"

static void test_system_clock(void)
{
    const struct env *e = env_system();
    struct env_time a, b;

    e->now(e->arg, &a);
    e->now(e->arg, &b);
    CHECK(b.mono_ms >= a.mono_ms);
    CHECK(a.wall_ms > 1600000000000); /* this was written after 2020 */
    CHECK(a.wall_ms < 10000000000000);
}

static void test_system_random(void)
{
    const struct env *e = env_system();
    unsigned char bytes[301] = {0}; /* more than the system promises to give at once */
    unsigned zeroes = 0;

    CHECK(env_random64(e) != env_random64(e));
    e->random(e->arg, bytes, sizeof bytes - 1);
    for (size_t i = 0; i < sizeof bytes - 1; i++)
        zeroes += bytes[i] == 0;
    CHECK(zeroes < 20); /* 1.2 expected */
    CHECK_INT(bytes[sizeof bytes - 1], 0);
    e->random(e->arg, NULL, 0);
}

static void test_clock_stands_still(void)
{
    struct env_test t;
    struct env_time a, b;

    env_test_init(&t, 1);
    t.env.now(t.env.arg, &a);
    t.env.now(t.env.arg, &b);
    CHECK_INT(b.mono_ms, a.mono_ms);
    env_test_sleep(&t, 1500);
    t.env.now(t.env.arg, &b);
    CHECK_INT(b.mono_ms - a.mono_ms, 1500);
    CHECK_INT(b.wall_ms - a.wall_ms, 1500);
}

static void test_seed(void)
{
    struct env_test a, b, c;
    unsigned char x[20] = {0}, y[20] = {0};

    env_test_init(&a, 7);
    env_test_init(&b, 7);
    env_test_init(&c, 8);
    a.env.random(a.env.arg, x, 19);
    b.env.random(b.env.arg, y, 19);
    CHECK_BYTES(x, sizeof x, y, sizeof y);
    CHECK_INT(x[19], 0);
    CHECK(x[16] != 0 || x[17] != 0 || x[18] != 0);
    CHECK(env_random64(&a.env) == env_random64(&b.env));
    CHECK(env_random64(&a.env) != env_random64(&a.env));
    CHECK(env_random64(&b.env) != env_random64(&c.env));
}

TEST_MAIN(test_system_clock, test_system_random, test_clock_stands_still, test_seed)

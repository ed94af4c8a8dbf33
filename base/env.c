#include "base/env.h"

#include "base/assert.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

static uint64_t clock_ms(clockid_t clock)
{
    struct timespec t;

    ASSERT(clock_gettime(clock, &t) == 0);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void system_now(void *arg, struct env_time *out)
{
    (void)arg;
    out->mono_ms = clock_ms(CLOCK_MONOTONIC);
    out->wall_ms = clock_ms(CLOCK_REALTIME);
}

/* Asserts rather than fails: there is no safe way on without unpredictable bytes. */
static void system_random(void *arg, void *out, size_t len)
{
    char *at = out;

    (void)arg;
    while (len > 0) {
        ssize_t n = getrandom(at, len, 0);

        ASSERT(n > 0 || errno == EINTR);
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        }
    }
}

const struct env *env_system(void)
{
    static const struct env system = {system_now, system_random, NULL};

    return &system;
}

static void test_now(void *arg, struct env_time *out)
{
    const struct env_test *t = arg;

    *out = t->time;
}

/* SplitMix64: a counter, well mixed. */
static uint64_t test_next(struct env_test *t)
{
    uint64_t v = t->state += 0x9e3779b97f4a7c15;

    v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9;
    v = (v ^ (v >> 27)) * 0x94d049bb133111eb;
    return v ^ (v >> 31);
}

static void test_random(void *arg, void *out, size_t len)
{
    char *at = out;

    for (size_t n; len > 0; at += n, len -= n) {
        uint64_t v = test_next(arg);

        n = len < sizeof v ? len : sizeof v;
        memcpy(at, &v, n);
    }
}

void env_test_init(struct env_test *t, uint64_t seed)
{
    /* Any time will do; that of the two clocks differs, so that a mix-up shows. */
    *t = (struct env_test){
        .env = {test_now, test_random, t},
        .time = {.mono_ms = 1000000, .wall_ms = 1700000000000},
        .state = seed,
    };
}

void env_test_sleep(struct env_test *t, uint64_t ms)
{
    t->time.mono_ms += ms;
    t->time.wall_ms += ms;
}

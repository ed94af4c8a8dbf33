/* env: where time and randomness come from. The daemon uses env_system(); a test sets the clock,
 * and a seed replays a run. */
#ifndef BASE_ENV_H
#define BASE_ENV_H
#include <stddef.h>
#include <stdint.h>

struct env_time {
    uint64_t mono_ms; /* never goes back; for timers and ages */
    uint64_t wall_ms; /* milliseconds since 1970-01-01 UTC; for logs and what is stored */
};

struct env {
    void (*now)(void *arg, struct env_time *out);
    void (*random)(void *arg, void *out, size_t len); /* unpredictable bytes */
    void *arg;
};

/* The system's clock and random number generator. */
const struct env *env_system(void);

/* A clock and generator for tests: time stands still until it is moved, the same seed gives the
 * same bytes. */
struct env_test {
    struct env env; /* give &t.env to the code under test */
    struct env_time time;
    uint64_t state;
};

void env_test_init(struct env_test *t, uint64_t seed);
void env_test_sleep(struct env_test *t, uint64_t ms);

static inline uint64_t env_random64(const struct env *e)
{
    uint64_t v;

    e->random(e->arg, &v, sizeof v);
    return v;
}
#endif

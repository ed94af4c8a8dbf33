#include "base/assert.h"
#include "base/bench.h"
#include "base/timer.h"

#define TIMERS 100000

static struct timer_wheel wheel;
static struct timer timers[TIMERS];

static void on_timer(struct timer *t)
{
    timer_start(&wheel, t, wheel.now_ms + 60000);
}

/* All of them run, like the keep alive timers of so many connections. */
static void setup(void)
{
    timer_wheel_init(&wheel, 0);
    for (size_t i = 0; i < TIMERS; i++) {
        timer_init(&timers[i], on_timer);
        timer_start(&wheel, &timers[i], 1 + i * 60000 / TIMERS);
    }
    bench_start();
}

static void start_stop(uint64_t n)
{
    struct timer t;

    setup();
    timer_init(&t, on_timer);
    while (n-- > 0) {
        timer_start(&wheel, &t, 90000);
        bench_use(&t);
        timer_stop(&wheel, &t);
    }
}

/* Put off: what each packet does to the timer of its connection. */
static void restart(uint64_t n)
{
    setup();
    for (size_t at = 0; n-- > 0; at = (at + 7919) % TIMERS)
        timer_start(&wheel, &timers[at], 90000);
}

/* One timer fires and is started again, cascades included. */
static void fire(uint64_t n)
{
    setup();
    for (uint64_t ms = 0; ms < n * 60000 / TIMERS; ms++)
        timer_wheel_advance(&wheel, ms);
}

static void next(uint64_t n)
{
    setup();
    while (n-- > 0) {
        uint64_t ms = timer_wheel_next_ms(&wheel);

        bench_use(&ms);
    }
}

BENCH_MAIN({"start_stop", start_stop}, {"restart", restart}, {"fire", fire}, {"next", next})

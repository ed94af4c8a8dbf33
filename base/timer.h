/* timer: hierarchical timer wheel. Start, stop and expiry are O(1) each, however many timers run;
 * jumping over idle time is O(levels). Times are milliseconds of the shard's monotonic clock. */
#ifndef BASE_TIMER_H
#define BASE_TIMER_H
#include "base/list.h"

#include <stdint.h>

#define TIMER_LEVELS 11 /* of 64 slots of 64^level ms: together every time there is */
#define TIMER_NEVER  UINT64_MAX

struct timer;
typedef void timer_fn(struct timer *t);

struct timer {
    struct list link; /* in a slot of the wheel while it runs */
    timer_fn *fn;
    uint64_t due_ms;
};

struct timer_wheel {
    uint64_t now_ms;                 /* everything due up to here has fired, but for overdue */
    uint64_t occupied[TIMER_LEVELS]; /* bit per slot that has timers */
    struct list slots[TIMER_LEVELS][64];
    struct list overdue; /* started when their time had come already */
    uint32_t running;    /* timers started and not yet fired or stopped */
};

void timer_wheel_init(struct timer_wheel *w, uint64_t now_ms);

/* Set the function once, before the first start. */
void timer_init(struct timer *t, timer_fn *fn);

/* Fire once at due_ms; when that is not later than w->now_ms, at the next advance, before all
 * others. Restarts a running timer. */
void timer_start(struct timer_wheel *w, struct timer *t, uint64_t due_ms);

/* Does nothing when it does not run. */
void timer_stop(struct timer_wheel *w, struct timer *t);

static inline bool timer_running(const struct timer *t)
{
    return list_linked(&t->link);
}

/* Call the function of every timer with due_ms <= now_ms, in order of due time to the millisecond;
 * w->now_ms is that time meanwhile. A function may start, stop and free any timer, its own
 * included; one started with a due time already past fires in the next advance. now_ms never goes
 * back. */
void timer_wheel_advance(struct timer_wheel *w, uint64_t now_ms);

/* A time not later than the earliest due time, and later than w->now_ms unless a timer is overdue:
 * when to call timer_wheel_advance() next. TIMER_NEVER when nothing runs. O(levels). */
uint64_t timer_wheel_next_ms(const struct timer_wheel *w);
#endif

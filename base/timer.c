/* timer: a timer's level is the highest group of six bits in which its due time differs from now;
 * its slot there is the value of that group. Hence:
 * 1. All timers of a level are due later than all timers of the levels below, and a slot with a
 *    higher number later than one with a lower; nothing wraps around.
 * 2. The first occupied slot of the lowest occupied level has the timers that are due first, none
 * of them before the time at which the slot begins.
 * 3. While now moves on, but not to the beginning of an occupied slot, every timer is in its place.
 */
#include "base/timer.h"

#include "base/assert.h"

#define SLOT_BITS 6
#define SLOT_MASK 63u

struct place {
    unsigned level, slot;
};

static struct place place_of(const struct timer_wheel *w, uint64_t due_ms)
{
    unsigned top_bit = 63u - (unsigned)__builtin_clzll((due_ms ^ w->now_ms) | SLOT_MASK);
    unsigned level = top_bit / SLOT_BITS;

    return (struct place){level, (unsigned)(due_ms >> (level * SLOT_BITS)) & SLOT_MASK};
}

void timer_wheel_init(struct timer_wheel *w, uint64_t now_ms)
{
    w->now_ms = now_ms;
    w->running = 0;
    list_init(&w->overdue);
    for (unsigned level = 0; level < TIMER_LEVELS; level++) {
        w->occupied[level] = 0;
        for (unsigned slot = 0; slot <= SLOT_MASK; slot++)
            list_init(&w->slots[level][slot]);
    }
}

void timer_init(struct timer *t, timer_fn *fn)
{
    list_init(&t->link);
    t->fn = fn;
    t->due_ms = 0;
}

static void put(struct timer_wheel *w, struct timer *t)
{
    struct place at = place_of(w, t->due_ms);

    list_push_back(&w->slots[at.level][at.slot], &t->link);
    w->occupied[at.level] |= UINT64_C(1) << at.slot;
}

void timer_start(struct timer_wheel *w, struct timer *t, uint64_t due_ms)
{
    timer_stop(w, t);
    t->due_ms = due_ms;
    w->running++;
    if (due_ms > w->now_ms)
        put(w, t);
    else
        list_push_back(&w->overdue, &t->link);
}

void timer_stop(struct timer_wheel *w, struct timer *t)
{
    bool alone = t->link.prev == t->link.next; /* both are the head of the list */

    if (!timer_running(t))
        return;
    list_remove(&t->link);
    w->running--;
    if (alone && t->due_ms > w->now_ms) { /* it was in a slot, that of invariant 3 */
        struct place at = place_of(w, t->due_ms);

        w->occupied[at.level] &= ~(UINT64_C(1) << at.slot);
    }
}

/* The occupied slot that comes first and when it begins; TIMER_NEVER when there is none. */
static uint64_t first_slot(const struct timer_wheel *w, struct place *out_at)
{
    for (unsigned level = 0; level < TIMER_LEVELS; level++) {
        if (w->occupied[level] == 0)
            continue;

        unsigned slot = (unsigned)__builtin_ctzll(w->occupied[level]);
        unsigned shift = level * SLOT_BITS;
        uint64_t slot_ms = UINT64_C(1) << shift;
        uint64_t level_start =
            w->now_ms & ~(slot_ms * 64 - 1); /* 0 on the top level: 64 * 64^10 wraps */

        *out_at = (struct place){level, slot};
        return level_start | (uint64_t)slot << shift;
    }
    return TIMER_NEVER;
}

/* now is the time at which the slot begins: its timers go to lower levels, or to due. */
static void empty_slot(struct timer_wheel *w, struct place at, struct list *due)
{
    struct list waiting, *node;

    list_init(&waiting);
    list_splice_back(&waiting, &w->slots[at.level][at.slot]);
    w->occupied[at.level] &= ~(UINT64_C(1) << at.slot);
    while ((node = list_pop_front(&waiting)) != NULL) {
        struct timer *t = LIST_ITEM(node, struct timer, link);

        if (t->due_ms > w->now_ms)
            put(w, t);
        else
            list_push_back(due, node);
    }
}

/* A function may stop those that come after it: they leave the list. */
static void fire(struct timer_wheel *w, struct list *due)
{
    struct list *node;

    while ((node = list_pop_front(due)) != NULL) {
        struct timer *t = LIST_ITEM(node, struct timer, link);

        w->running--;
        t->fn(t); /* and t may be gone */
    }
}

void timer_wheel_advance(struct timer_wheel *w, uint64_t now_ms)
{
    struct list due;
    struct place at;
    uint64_t begin_ms;

    ASSERT(now_ms >= w->now_ms);
    list_init(&due);
    list_splice_back(&due, &w->overdue);
    fire(w, &due);
    while ((begin_ms = first_slot(w, &at)) <= now_ms && begin_ms != TIMER_NEVER) {
        w->now_ms = begin_ms;
        empty_slot(w, at, &due);
        fire(w, &due);
    }
    w->now_ms = now_ms;
}

uint64_t timer_wheel_next_ms(const struct timer_wheel *w)
{
    struct place at;

    return list_empty(&w->overdue) ? first_slot(w, &at) : w->now_ms;
}

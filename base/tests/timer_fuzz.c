/* Three bytes are an operation on one of 64 timers and a length of time; the model is a table of
 * due times, searched from one end to the other. */
#include "base/fuzz.h"
#include "base/timer.h"

#include <stdbool.h>

#define TIMERS 64

static struct timer_wheel wheel;
static struct timer timers[TIMERS];
static struct {
    bool running;
    uint64_t due_ms;
    bool late;     /* its time had come when it was started, */
    unsigned turn; /* ... after that many advances had begun */
} model[TIMERS];
static unsigned turn;     /* advances so far */
static uint64_t begin_ms; /* of the present one */
static uint8_t reaction;  /* what a function does besides, see react() */

/* From nothing to about 2^62, in steps that reach all levels. */
static uint64_t span(uint8_t b)
{
    return (uint64_t)(b & 7) << (b >> 3) * 2;
}

static void start(unsigned i, uint64_t due_ms)
{
    timer_start(&wheel, &timers[i], due_ms);
    model[i].running = true;
    model[i].due_ms = due_ms;
    model[i].late = due_ms <= wheel.now_ms;
    model[i].turn = turn;
}

static void stop(unsigned i)
{
    timer_stop(&wheel, &timers[i]);
    model[i].running = false;
}

/* The end of time is not reached: there even TIMER_NEVER would be late. */
static uint64_t later(uint64_t ms)
{
    uint64_t left = TIMER_NEVER - 1 - wheel.now_ms;

    return wheel.now_ms + (ms < left ? ms : left);
}

static void react(unsigned i)
{
    unsigned other = (i + reaction) % TIMERS;

    switch (reaction >> 6) {
    case 0: break;
    case 1: stop(other); break;
    case 2: start(other, later(reaction % 8 * 100u)); break;
    default: start(i, later(1000000)); break;
    }
    reaction = (uint8_t)(reaction << 1);
}

/* It fires in its time, and nothing that is due earlier is left behind. */
static void on_timer(struct timer *t)
{
    unsigned i = (unsigned)(t - timers);

    ASSERT(!timer_running(t));
    ASSERT(model[i].running && model[i].due_ms != TIMER_NEVER);
    ASSERT(wheel.now_ms == (model[i].late ? begin_ms : model[i].due_ms));
    ASSERT(!model[i].late || model[i].turn < turn);
    for (unsigned k = 0; k < TIMERS; k++)
        ASSERT(!model[k].running || model[k].due_ms >= wheel.now_ms || model[k].late);
    model[i].running = false;
    react(i);
}

static void check(void)
{
    uint64_t next = timer_wheel_next_ms(&wheel), earliest = TIMER_NEVER;
    unsigned running = 0;

    for (unsigned i = 0; i < TIMERS; i++) {
        ASSERT(timer_running(&timers[i]) == model[i].running);
        running += model[i].running;
        if (model[i].running && model[i].due_ms < earliest)
            earliest = model[i].due_ms;
    }
    ASSERT(wheel.running == running);
    if (running == 0)
        ASSERT(next == TIMER_NEVER);
    else if (earliest <= wheel.now_ms)
        ASSERT(next == wheel.now_ms);
    else
        ASSERT(next > wheel.now_ms && next <= earliest);
}

/* Afterwards only what was started late meanwhile is due. */
static void advance(uint64_t now_ms)
{
    turn++;
    begin_ms = wheel.now_ms;
    timer_wheel_advance(&wheel, now_ms);
    ASSERT(wheel.now_ms == now_ms);
    for (unsigned i = 0; i < TIMERS; i++)
        ASSERT(!model[i].running || model[i].due_ms > now_ms ||
               (model[i].late && model[i].turn == turn));
}

static void operate(uint8_t op, uint8_t which, uint8_t time)
{
    unsigned i = which % TIMERS;

    switch (op % 8) {
    case 0: stop(i); break;
    case 1: advance(later(span(time))); break;
    case 2: advance(later(time)); break;
    case 3:
        if (timer_wheel_next_ms(&wheel) != TIMER_NEVER)
            advance(timer_wheel_next_ms(&wheel));
        break;
    case 4: start(i, wheel.now_ms > time ? wheel.now_ms - time : 0); break;
    case 5: reaction = time; break;
    case 6: start(i, later(span(time) + which)); break;
    default: start(i, time == 255 ? TIMER_NEVER : later(span(time))); break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    timer_wheel_init(&wheel, size > 0 ? span(data[0]) : 0);
    for (unsigned i = 0; i < TIMERS; i++) {
        timer_init(&timers[i], on_timer);
        model[i].running = false;
    }
    turn = 0;
    reaction = 0;
    for (size_t i = 1; i + 2 < size; i += 3) {
        operate(data[i], data[i + 1], data[i + 2]);
        check();
    }
    return 0;
}

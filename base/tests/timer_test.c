#include "base/timer.h"

#include "base/test.h"

#define TIMERS 1000

struct alarm {
    struct timer timer;
    unsigned fired;
    uint64_t fired_ms;
};

static struct timer_wheel wheel;
static struct alarm alarms[TIMERS];
static unsigned total, disorder;
static uint64_t last_due;

static void on_alarm(struct timer *t)
{
    struct alarm *a = CONTAINER_OF(t, struct alarm, timer);

    CHECK(!timer_running(t));
    disorder += t->due_ms < last_due;
    last_due = t->due_ms;
    a->fired++;
    a->fired_ms = wheel.now_ms;
    total++;
}

static void setup(uint64_t now_ms)
{
    timer_wheel_init(&wheel, now_ms);
    for (size_t i = 0; i < TIMERS; i++) {
        alarms[i] = (struct alarm){.fired = 0};
        timer_init(&alarms[i].timer, on_alarm);
    }
    total = disorder = 0;
    last_due = 0;
}

static void start(size_t i, uint64_t due_ms)
{
    timer_start(&wheel, &alarms[i].timer, due_ms);
}

static void test_never(void)
{
    setup(0);
    CHECK(timer_wheel_next_ms(&wheel) == TIMER_NEVER);
    timer_wheel_advance(&wheel, 1000000);
    CHECK_INT(wheel.now_ms, 1000000);
    CHECK_INT(wheel.running, 0);
    timer_stop(&wheel, &alarms[0].timer);
    CHECK_INT(wheel.running, 0);
    start(0, TIMER_NEVER);
    CHECK_INT(wheel.running, 1);
    timer_wheel_advance(&wheel, TIMER_NEVER - 1);
    timer_wheel_advance(&wheel, TIMER_NEVER);
    CHECK_INT(total, 0);
}

/* Not before its time, and then once, whatever the distance and the time it starts from. */
static void test_exact(void)
{
    static const uint64_t begins[] = {
        0, 1, 63, 64, 4095, 1000000, (UINT64_C(1) << 42) - 5, UINT64_MAX / 2, UINT64_C(1) << 60,
    };
    static const uint64_t distances[] = {
        1,
        2,
        63,
        64,
        65,
        4095,
        4096,
        4097,
        262143,
        262144,
        16777216,
        1000000000,
        3600000,
        86400000,
        4294967295000,
        UINT64_C(1) << 45,
        UINT64_C(1) << 62,
    };

    for (size_t b = 0; b < ARRAY_LEN(begins); b++) {
        for (size_t d = 0; d < ARRAY_LEN(distances); d++) {
            uint64_t due = begins[b] + distances[d];
            long row = (long)(b * 100 + d);

            setup(begins[b]);
            start(0, due);
            CHECK_ROW(row, timer_running(&alarms[0].timer));
            timer_wheel_advance(&wheel, due - 1);
            CHECK_ROW_INT(row, total, 0);
            timer_wheel_advance(&wheel, due);
            CHECK_ROW_INT(row, total, 1);
            CHECK_ROW(row, alarms[0].fired_ms == due);
            CHECK_ROW(row, !timer_running(&alarms[0].timer));
            CHECK_ROW(row, timer_wheel_next_ms(&wheel) == TIMER_NEVER);
            CHECK_ROW_INT(row, wheel.running, 0);
        }
    }
}

/* next_ms never oversleeps, and following it one gets there in a few steps. */
static void test_next(void)
{
    uint64_t random = 1;

    for (int round = 0; round < 500; round++) {
        random = random * 6364136223846793005 + 1442695040888963407;

        uint64_t begin = random >> 20;
        uint64_t due = begin + 1 + (random >> 10) % (UINT64_C(1) << round % 45);
        unsigned steps = 0;

        setup(begin);
        start(0, due);
        while (total == 0) {
            uint64_t next = timer_wheel_next_ms(&wheel);

            CHECK_ROW(round, next > wheel.now_ms && next <= due);
            timer_wheel_advance(&wheel, next);
            if (!CHECK_ROW(round, ++steps <= TIMER_LEVELS))
                break;
        }
        CHECK_ROW(round, wheel.now_ms == due);
    }
}

static void test_order(void)
{
    uint64_t random = 1;

    setup(12345);
    for (size_t i = 0; i < TIMERS; i++) {
        random = random * 6364136223846793005 + 1442695040888963407;
        start(i, 12346 + (random >> 30) % 500000);
    }
    CHECK_INT(wheel.running, TIMERS);
    timer_wheel_advance(&wheel, 100000);
    CHECK(total > 0 && total < TIMERS);
    for (size_t i = 0; i < TIMERS; i++)
        CHECK_ROW_INT(i, alarms[i].fired, alarms[i].timer.due_ms <= 100000);
    timer_wheel_advance(&wheel, 600000);
    CHECK_INT(total, TIMERS);
    CHECK_INT(disorder, 0);
    for (size_t i = 0; i < TIMERS; i++)
        CHECK_ROW(i, alarms[i].fired_ms == alarms[i].timer.due_ms);
    CHECK_INT(wheel.running, 0);
}

static void test_overdue(void)
{
    setup(1000);
    start(0, 999);
    start(1, 1000);
    start(2, 0);
    start(3, 1001);
    CHECK(timer_running(&alarms[0].timer));
    CHECK_INT(timer_wheel_next_ms(&wheel), 1000);
    timer_stop(&wheel, &alarms[2].timer);
    timer_wheel_advance(&wheel, 1000); /* time stands still: those that are late fire */
    CHECK_INT(total, 2);
    CHECK_INT(alarms[2].fired, 0);
    timer_wheel_advance(&wheel, 1000);
    CHECK_INT(total, 2);
    timer_wheel_advance(&wheel, 1001);
    CHECK_INT(alarms[3].fired, 1);
    CHECK_ABORTS(timer_wheel_advance(&wheel, 1000));
}

static void test_stop(void)
{
    setup(0);
    start(0, 10);
    start(1, 10);
    start(2, 100000);
    timer_stop(&wheel, &alarms[0].timer);
    CHECK(!timer_running(&alarms[0].timer));
    CHECK_INT(timer_wheel_next_ms(&wheel), 10); /* the other is still there */
    timer_stop(&wheel, &alarms[1].timer);
    CHECK(timer_wheel_next_ms(&wheel) > 10);
    timer_wheel_advance(&wheel, 99990); /* moves it to a lower level */
    timer_stop(&wheel, &alarms[2].timer);
    CHECK(timer_wheel_next_ms(&wheel) == TIMER_NEVER);
    timer_wheel_advance(&wheel, 1000000);
    CHECK_INT(total, 0);
}

static void test_restart(void)
{
    setup(0);
    start(0, 10);
    start(0, 5000);
    CHECK_INT(wheel.running, 1);
    timer_wheel_advance(&wheel, 4999);
    CHECK_INT(total, 0);
    start(0, 5001);
    timer_wheel_advance(&wheel, 6000);
    CHECK_INT(total, 1);
    CHECK_INT(alarms[0].fired_ms, 5001);
    start(0, 6001);
    timer_wheel_advance(&wheel, 6001);
    CHECK_INT(total, 2);
}

/* What functions do while the wheel turns. */
static void on_again(struct timer *t)
{
    on_alarm(t);
    timer_start(&wheel, t, t->due_ms + 10);
}

static void on_late(struct timer *t)
{
    on_alarm(t);
    timer_start(&wheel, t, wheel.now_ms);
}

static void on_stop_others(struct timer *t)
{
    on_alarm(t);
    timer_stop(&wheel, &alarms[1].timer); /* of the same millisecond */
    timer_stop(&wheel, &alarms[2].timer); /* later in the same advance */
    timer_start(&wheel, &alarms[3].timer, 25);
}

static void on_free(struct timer *t)
{
    total++;
    free(CONTAINER_OF(t, struct alarm, timer));
}

static void test_again(void)
{
    setup(0);
    timer_init(&alarms[0].timer, on_again);
    start(0, 10);
    timer_wheel_advance(&wheel, 105);
    CHECK_INT(total, 10); /* those that came to be due meanwhile, too */
    CHECK_INT(alarms[0].fired_ms, 100);
    timer_stop(&wheel, &alarms[0].timer);
}

static void test_late_again(void)
{
    setup(0);
    timer_init(&alarms[0].timer, on_late);
    start(0, 10);
    timer_wheel_advance(&wheel, 100);
    CHECK_INT(total, 1); /* not for ever */
    timer_wheel_advance(&wheel, 100);
    CHECK_INT(total, 2);
    CHECK_INT(timer_wheel_next_ms(&wheel), 100);
}

static void test_stop_others(void)
{
    setup(0);
    timer_init(&alarms[0].timer, on_stop_others);
    start(0, 20);
    start(1, 20);
    start(2, 30);
    timer_wheel_advance(&wheel, 100);
    CHECK_INT(alarms[1].fired + alarms[2].fired, 0);
    CHECK_INT(alarms[3].fired_ms, 25);
    CHECK_INT(wheel.running, 0);
    CHECK(timer_wheel_next_ms(&wheel) == TIMER_NEVER);
}

static void test_free(void)
{
    setup(0);
    for (unsigned i = 0; i < 100; i++) {
        struct alarm *a = malloc(sizeof *a);

        timer_init(&a->timer, on_free);
        timer_start(&wheel, &a->timer, i / 10 * 1000);
    }
    timer_wheel_advance(&wheel, 100000);
    CHECK_INT(total, 100);
}

TEST_MAIN(test_never, test_exact, test_next, test_order, test_overdue, test_stop, test_restart,
          test_again, test_late_again, test_stop_others, test_free)

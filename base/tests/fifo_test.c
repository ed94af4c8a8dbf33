#include "base/fifo.h"

#include "base/mem.h"
#include "base/test.h"

#define PURPOSE 3

static struct mem *mem;
static struct fifo f;

static void setup(size_t elem_size)
{
    mem = mem_new();
    fifo_init(&f, elem_size, PURPOSE);
}

static void teardown(void)
{
    fifo_clear(&f, mem);
    CHECK_INT(fifo_count(&f), 0);
    CHECK_INT(mem_used(mem, PURPOSE), 0);
    mem_free(&mem);
}

static void push(uint64_t value)
{
    *(uint64_t *)fifo_push(&f, mem) = value;
}

static void test_empty(void)
{
    struct fifo_cursor cursor = {0};

    setup(8);
    CHECK(fifo_front(&f) == NULL);
    CHECK(fifo_back(&f) == NULL);
    CHECK(fifo_next(&f, &cursor) == NULL);
    CHECK_ABORTS(fifo_pop(&f, mem));
    CHECK_ABORTS(fifo_pop_back(&f, mem));
    teardown();
    CHECK_ABORTS(fifo_init(&f, 0, PURPOSE));
    CHECK_ABORTS(fifo_init(&f, 513, PURPOSE));
    CHECK_ABORTS(fifo_init(&f, 8, MEM_PURPOSES));
}

/* An empty queue holds nothing, and one element costs a small block. */
static void test_memory(void)
{
    setup(24);
    for (int i = 0; i < 3; i++) {
        fifo_push(&f, mem);
        CHECK_INT(mem_used(mem, PURPOSE), 128);
        fifo_pop(&f, mem);
        CHECK_INT(mem_used(mem, PURPOSE), 0);
        fifo_push(&f, mem);
        fifo_pop_back(&f, mem);
        CHECK_INT(mem_used(mem, PURPOSE), 0);
    }
    for (int i = 0; i < 1000; i++)
        fifo_push(&f, mem);
    CHECK(mem_used(mem, PURPOSE) < 1000 * 24 * 11 / 10);
    teardown();
}

static void test_sizes(void)
{
    static const size_t sizes[] = {1, 2, 7, 8, 24, 100, 485, 512};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        setup(sizes[i]);
        for (int n = 0; n < 300; n++)
            memset(fifo_push(&f, mem), n & 0xff, sizes[i]);
        for (int n = 0; n < 300; n++) {
            const unsigned char *e = fifo_front(&f);

            CHECK_ROW(i, e[0] == (n & 0xff) && e[sizes[i] - 1] == (n & 0xff));
            fifo_pop(&f, mem);
        }
        teardown();
    }
}

static void test_out_of_memory(void)
{
    setup(24);
    mem_fail_at(mem, 1);
    CHECK(fifo_push(&f, mem) == NULL);
    CHECK_INT(fifo_count(&f), 0);
    for (int i = 0; i < 4; i++)
        CHECK(fifo_push(&f, mem) != NULL);
    mem_fail_at(mem, 1);
    CHECK(fifo_push(&f, mem) == NULL); /* the second block */
    CHECK_INT(fifo_count(&f), 4);
    CHECK(fifo_push(&f, mem) != NULL);
    CHECK_INT(fifo_count(&f), 5);
    mem_fail_at(mem, 1); /* is not for what must not fail */
    for (int i = 0; i < 100; i++)
        *(int *)fifo_must_push(&f, mem) = i;
    CHECK_INT(fifo_count(&f), 105);
    CHECK_INT(*(int *)fifo_back(&f), 99);
    teardown();
}

/* The queue holds the numbers from..until-1, seen from all sides. */
static void check_content(uint64_t from, uint64_t until)
{
    struct fifo_cursor cursor = {0};
    uint64_t want = from, *got, wrong = 0;

    while ((got = fifo_next(&f, &cursor)) != NULL)
        wrong += *got != want++;
    CHECK_INT(wrong, 0);
    CHECK_INT(want, until);
    CHECK_INT(fifo_count(&f), until - from);
    if (from < until) {
        CHECK_INT(*(uint64_t *)fifo_front(&f), from);
        CHECK_INT(*(uint64_t *)fifo_back(&f), until - 1);
    }
}

/* Grows and shrinks at random at both ends; the model is a range of numbers. */
static void test_random(void)
{
    uint64_t from = 1000, until = 1000, random = 1;

    setup(8);
    for (int step = 0; step < 20000; step++) {
        int grow = step / 500 % 2; /* in waves, so that it runs empty and gets long */

        random = random * 6364136223846793005 + 1442695040888963407;
        if (random >> 62 < (grow ? 3 : 1)) {
            push(until++);
        } else if (from < until && (random >> 61 & 1)) {
            fifo_pop(&f, mem);
            from++;
        } else if (from < until) {
            fifo_pop_back(&f, mem);
            until--;
        }
        if (step % 16 == 0)
            check_content(from, until);
    }
    check_content(from, until);
    teardown();
}

TEST_MAIN(test_empty, test_memory, test_sizes, test_out_of_memory, test_random)

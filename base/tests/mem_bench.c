#include "base/bench.h"
#include "base/mem.h"

#define HELD 100000

static struct mem *mem, *other;

static void setup(void)
{
    mem = mem_new();
    other = mem_new();
}

static void teardown(void)
{
    mem_free(&mem);
    mem_free(&other);
}

static void pairs(uint64_t n, size_t size)
{
    setup();
    void *first = mem_alloc(mem, 1, size); /* so that the page is never empty */

    while (n-- > 0) {
        void *block = mem_alloc(mem, 1, size);

        bench_use(block);
        mem_release(mem, 1, block);
    }
    mem_release(mem, 1, first);
    teardown();
}

static void pair_64(uint64_t n)
{
    pairs(n, 64);
}

static void pair_1000(uint64_t n)
{
    pairs(n, 1000);
}

static void pair_20000(uint64_t n)
{
    pairs(n, 20000);
}

static void pair_100000(uint64_t n)
{
    pairs(n, 100000);
}

static void pair_malloc_64(uint64_t n)
{
    while (n-- > 0) {
        void *block = malloc(64);

        bench_use(block);
        free(block);
    }
}

/* Many blocks of mixed sizes are held; each time one of them, anywhere, is replaced. */
static void replace_mixed(uint64_t n)
{
    static void *held[HELD];
    uint64_t random = 1;

    setup();
    while (n-- > 0) {
        random = random * 6364136223846793005 + 1442695040888963407;

        void **place = &held[(random >> 32) % HELD];

        mem_release(mem, 1, *place);
        *place = mem_alloc(mem, 1, random >> 55);
    }
    memset(held, 0, sizeof held);
    teardown();
}

/* Allocated here, released through another mem, taken back. */
static void remote_64(uint64_t n)
{
    setup();
    while (n-- > 0) {
        void *block = mem_alloc(mem, 1, 64);

        bench_use(block);
        mem_release(other, 1, block);
    }
    teardown();
}

BENCH_MAIN({"pair_64", pair_64}, {"pair_1000", pair_1000}, {"pair_20000", pair_20000},
           {"pair_100000", pair_100000}, {"pair_malloc_64", pair_malloc_64},
           {"replace_mixed", replace_mixed}, {"remote_64", remote_64})

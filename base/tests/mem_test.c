#include "base/mem.h"

#include "base/assert.h"
#include "base/mem_priv.h" /* MEM_IS_MALLOC: what the pages do cannot be seen then */
#include "base/test.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define PURPOSE 5

static struct mem *mem;

static void setup(void)
{
    mem = mem_new();
}

/* Everything was released, and then nothing is held any more. */
static void teardown(void)
{
    CHECK_INT(mem_used_total(mem), 0);
    mem_trim(mem);
    CHECK_INT(mem_reserved(mem), 0);
    mem_free(&mem);
    CHECK(mem == NULL);
    mem_free(&mem);
}

/* As after some idle seconds. */
static void relax_fully(void)
{
    for (int i = 0; i < 20; i++)
        mem_relax(mem);
    CHECK(!mem_has_spare(mem));
}

static void test_footprint(void)
{
    static const struct {
        size_t size, want;
    } rows[] = {
        {0, 16},
        {1, 16},
        {16, 16},
        {17, 32},
        {127, 128},
        {128, 128},
        {129, 160},
        {160, 160},
        {161, 192},
        {256, 256},
        {257, 320},
        {1000, 1024},
        {1025, 1280},
        {7169, 8176},
        {8176, 8176},
        {8177, 9344},
        {8192, 9344},
        {9345, 10912},
        {13088, 13088},
        {13089, 16368},
        {16384, 21824},
        {32736, 32736},
        {32737, 9 * 4096},
        {65536 - 64, 65536},
        {65536, 17 * 4096},
        {SIZE_MAX, SIZE_MAX},
        {SIZE_MAX / 2, SIZE_MAX},
    };
    size_t wasteful = 0;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_ROW_INT(i, mem_footprint(rows[i].size), rows[i].want);
    for (size_t size = 1; size < 100000; size++) {
        size_t got = mem_footprint(size);

        wasteful += got < size || got > size * 3 / 2 + 16 || got > mem_footprint(size + 1);
    }
    CHECK_INT(wasteful, 0);
}

static void test_counters(void)
{
    setup();
    void *a = mem_alloc(mem, 0, 100);
    void *b = mem_alloc(mem, MEM_PURPOSES - 1, 40000);

    CHECK_INT(mem_used(mem, 0), 112);
    CHECK_INT(mem_used(mem, MEM_PURPOSES - 1), 40960);
    CHECK_INT(mem_used_total(mem), 112 + 40960);
    mem_release(mem, 0, a);
    CHECK_INT(mem_used(mem, 0), 0);
    mem_release(mem, MEM_PURPOSES - 1, b);
    mem_release(mem, 0, NULL);
    CHECK_ABORTS(mem_alloc(mem, MEM_PURPOSES, 1));
    CHECK_ABORTS(mem_used(mem, MEM_PURPOSES));
    teardown();
}

static void test_alignment(void)
{
    static const size_t sizes[] = {1, 24, 48, 112, 200, 5000, 20000, 32736, 40000, 5000000};

    setup();
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        void *a = mem_alloc(mem, PURPOSE, sizes[i]), *b = mem_alloc(mem, PURPOSE, sizes[i]);

        CHECK_ROW(i, (uintptr_t)a % 16 == 0 && (uintptr_t)b % 16 == 0);
        CHECK_ROW(i, a != b);
        mem_release(mem, PURPOSE, a);
        mem_release(mem, PURPOSE, b);
    }
    teardown();
}

static void test_not_a_block(void)
{
    static _Alignas(65536) unsigned char zeroes[65536 + 64];

    setup();
    CHECK_ABORTS(mem_release(mem, PURPOSE, zeroes + 64));
    teardown();
}

/* A block filled with a value of its own; when two overlap, one is damaged. */
struct filled {
    unsigned char *p;
    size_t size;
    unsigned char value;
};

static void fill(struct filled *f, size_t from)
{
    for (size_t i = from; i < f->size; i++)
        f->p[i] = (unsigned char)(f->value + i * 7);
}

static bool intact(const struct filled *f, size_t until)
{
    for (size_t i = 0; i < until; i++)
        if (f->p[i] != (unsigned char)(f->value + i * 7))
            return false;
    return true;
}

static uint64_t random_state;

static uint64_t random_below(uint64_t n)
{
    random_state = random_state * 6364136223846793005 + 1442695040888963407;
    return (random_state >> 33) % n;
}

/* Small ones mostly, and some of every size up to about 400 KiB. */
static size_t random_size(void)
{
    return random_below(UINT64_C(1) << (4 + random_below(random_below(8) == 0 ? 16 : 8)));
}

static void replace(struct filled *f)
{
    if (f->p != NULL) {
        CHECK(intact(f, f->size));
        mem_release(mem, PURPOSE, f->p);
    }
    f->size = random_size();
    f->value = (unsigned char)random_below(256);
    f->p = mem_alloc(mem, PURPOSE, f->size);
    fill(f, 0);
}

static void resize(struct filled *f)
{
    size_t old_size = f->size, size = random_size();
    unsigned char *p = mem_try_realloc(mem, PURPOSE, f->p, f->p != NULL ? old_size : 0, size);

    if (f->p == NULL)
        old_size = 0;
    f->p = p;
    f->size = size;
    CHECK(intact(f, old_size < size ? old_size : size));
    fill(f, old_size < size ? old_size : size);
}

static void test_random(void)
{
    static struct filled blocks[512];
    size_t used = 0;

    setup();
    random_state = 1;
    for (int step = 0; step < 40000; step++) {
        struct filled *f = &blocks[random_below(ARRAY_LEN(blocks))];

        if (random_below(3) == 0)
            resize(f);
        else
            replace(f);
        if (step % 5000 == 0)
            mem_trim(mem);
    }
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
        used += blocks[i].p != NULL ? mem_footprint(blocks[i].size) : 0;
    CHECK_INT(mem_used(mem, PURPOSE), used);
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
        CHECK(blocks[i].p == NULL || intact(&blocks[i], blocks[i].size));
        mem_release(mem, PURPOSE, blocks[i].p);
    }
    teardown();
}

/* Many blocks of a class, so that pages become full, partial, empty and are used again. */
static void test_pages(void)
{
    enum { N = 5000 };
    static void *blocks[N];

    setup();
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < N; i++)
            blocks[i] = mem_alloc(mem, PURPOSE, 1000);
        CHECK_INT(mem_used(mem, PURPOSE), N * 1024);
        for (size_t i = 0; i < N; i += 2)
            mem_release(mem, PURPOSE, blocks[i]);

        size_t reserved = mem_reserved(mem);

        for (size_t i = 0; i < N; i += 2)
            blocks[i] = mem_alloc(mem, PURPOSE, 1000);
        CHECK_INT(mem_reserved(mem), reserved); /* the holes were filled */
        for (size_t i = 0; i < N; i++)
            mem_release(mem, PURPOSE, blocks[i]);
    }
    relax_fully();
    CHECK(mem_reserved(mem) <= 17 * 65536); /* what an idle one keeps and the current page */
    teardown();
}

static bool all_zero(const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0)
            return false;
    return true;
}

static void test_zalloc(void)
{
    static const size_t sizes[] = {1, 64, 4000, 32736, 60000, 300000, 5000000};

    setup();
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        for (int round = 0; round < 2; round++) { /* the second time it is memory used before */
            unsigned char *p = round == 0 ? mem_zalloc(mem, PURPOSE, sizes[i])
                                          : mem_try_zalloc(mem, PURPOSE, sizes[i]);

            CHECK_ROW(i, all_zero(p, sizes[i]));
            memset(p, 0xa5, sizes[i]);
            mem_release(mem, PURPOSE, p);
        }
    }
    teardown();
}

#if !MEM_IS_MALLOC
/* Pages of the system behind a block that have memory. */
static size_t resident(void *block, size_t size)
{
    char *first = (char *)((uintptr_t)block & ~UINT64_C(4095));
    size_t n = (size + 4095) / 4096, sum = 0;
    unsigned char *present = malloc(n);

    CHECK(mincore(first, size, present) == 0);
    for (size_t i = 0; i < n; i++)
        sum += present[i] & 1;
    free(present);
    return sum;
}

static void test_untouched(void)
{
    setup();
    void *small = mem_alloc(mem, PURPOSE, 16);
    char *large = mem_zalloc(mem, PURPOSE, 2 << 20);
    char *huge = mem_zalloc(mem, PURPOSE, 64 << 20);

    CHECK(resident(small, 65536) <= 2);
    madvise(large - 64, 2 << 20, MADV_NOHUGEPAGE);
    CHECK(resident(large, 2 << 20) <= 16);
    CHECK(resident(huge, 64 << 20) <= 1024); /* one, but for huge pages of the system */
    mem_release(mem, PURPOSE, small);
    mem_release(mem, PURPOSE, large);
    mem_release(mem, PURPOSE, huge);
    teardown();
}

/* Large blocks shrink where they are and give back their end. */
static void test_shrink(void)
{
    static const struct {
        size_t from, to;
    } rows[] = {{300000, 100000}, {300000, 280000}, {8000000, 5000000}, {8000000, 40000}};

    setup();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct filled f = {mem_alloc(mem, PURPOSE, rows[i].from), rows[i].from, (unsigned char)i};

        fill(&f, 0);
        void *p = mem_try_realloc(mem, PURPOSE, f.p, rows[i].from, rows[i].to);

        CHECK_ROW(i, p == f.p);
        CHECK_ROW(i, intact(&f, rows[i].to));
        CHECK_ROW_INT(i, mem_used(mem, PURPOSE), mem_footprint(rows[i].to));
        p = mem_try_realloc(mem, PURPOSE, p, rows[i].to, 1000); /* not large any more: moves */
        f.p = p;
        CHECK_ROW(i, intact(&f, 1000));
        mem_release(mem, PURPOSE, p);
        mem_trim(mem);
        CHECK_ROW_INT(i, mem_reserved(mem), 0);
    }
    teardown();
}

/* Pages that come and go stay; those that were not needed for a while do not, a few at a time. */
static void test_relax(void)
{
    enum { N = 200, PAGE = 65536 };
    static void *blocks[N];

    setup();
    for (size_t i = 0; i < N; i++)
        blocks[i] = mem_alloc(mem, PURPOSE, PAGE - 64);
    CHECK(!mem_has_spare(mem));
    for (size_t i = 0; i < N; i++)
        mem_release(mem, PURPOSE, blocks[i]);
    CHECK_INT(mem_reserved(mem), N * PAGE);
    CHECK(mem_has_spare(mem));
    mem_relax(mem); /* all were needed until now */
    CHECK_INT(mem_reserved(mem), N * PAGE);
    for (size_t i = 0; i < 150; i++)
        blocks[i] = mem_alloc(mem, PURPOSE, PAGE - 64);
    for (size_t i = 0; i < 150; i++)
        mem_release(mem, PURPOSE, blocks[i]);
    CHECK_INT(mem_reserved(mem), N * PAGE);
    mem_relax(mem); /* 50 were not, of which 16 are kept */
    CHECK_INT(mem_reserved(mem), (150 + 16) * PAGE);
    mem_relax(mem); /* no more than 64 at a time */
    CHECK_INT(mem_reserved(mem), (150 + 16 - 64) * PAGE);
    relax_fully();
    CHECK_INT(mem_reserved(mem), 16 * PAGE);
    CHECK(!mem_has_spare(mem));
    teardown();
}

/* Never more than 32 MiB. */
static void test_most_kept(void)
{
    enum { N = 600, PAGE = 65536 };
    static void *blocks[N];

    setup();
    for (size_t i = 0; i < N; i++)
        blocks[i] = mem_alloc(mem, PURPOSE, PAGE - 64);
    CHECK_INT(mem_reserved(mem), N * PAGE);
    for (size_t i = 0; i < N; i++)
        mem_release(mem, PURPOSE, blocks[i]);
    CHECK_INT(mem_reserved(mem), 512 * PAGE);
    teardown();
}

/* Runs of pages of all lengths, released in another order, until regions are used up. */
static void test_large(void)
{
    enum { N = 300 };
    struct filled blocks[N] = {{0}};

    setup();
    random_state = 2;
    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < N; i++) {
            struct filled *f = &blocks[i];

            if (f->p == NULL) {
                f->size = 33000 + random_below(1000000);
                f->p = mem_alloc(mem, PURPOSE, f->size);
            }
            memset(f->p, (int)i, 1);
            f->p[f->size - 1] = (unsigned char)i;
        }
        for (size_t i = 0; i < N; i++) {
            struct filled *f = &blocks[i];

            CHECK(f->p[0] == (unsigned char)i && f->p[f->size - 1] == (unsigned char)i);
            if (round == 3 || random_below(2) == 0) {
                mem_release(mem, PURPOSE, f->p);
                f->p = NULL;
            }
        }
    }
    relax_fully();
    CHECK(mem_reserved(mem) <= 16 * 65536);
    teardown();
}

/* When the system has no memory: blocks at hand are still given out. */
static void test_no_memory(void)
{
    static const size_t sizes[] = {100, 20000, 100000, 10000000};
    struct rlimit before, none;
    void *got[ARRAY_LEN(sizes)];

    setup();
    getrlimit(RLIMIT_AS, &before);
    none = (struct rlimit){0, before.rlim_max};
    setrlimit(RLIMIT_AS, &none);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        got[i] = mem_try_alloc(mem, PURPOSE, sizes[i]);
    setrlimit(RLIMIT_AS, &before);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
        CHECK_ROW(i, got[i] == NULL);
    CHECK_INT(mem_used_total(mem), 0);
    CHECK_INT(mem_reserved(mem), 0);

    void *first = mem_alloc(mem, PURPOSE, 100);

    setrlimit(RLIMIT_AS, &none);
    got[0] = mem_try_alloc(mem, PURPOSE, 100);
    setrlimit(RLIMIT_AS, &before);
    CHECK(got[0] != NULL);
    mem_release(mem, PURPOSE, got[0]);
    mem_release(mem, PURPOSE, first);
    teardown();
}

/* mem_free() takes what is still in use with it. */
static void test_free_in_use(void)
{
    setup();
    for (size_t size = 1; size < 10000000; size *= 3)
        CHECK(mem_alloc(mem, PURPOSE, size) != NULL);
    mem_free(&mem);
    CHECK(mem == NULL);
}
#else
static void test_untouched(void)
{
}
static void test_shrink(void)
{
}
static void test_relax(void)
{
}
static void test_most_kept(void)
{
}
static void test_large(void)
{
}
static void test_no_memory(void)
{
}
static void test_free_in_use(void)
{
}
#endif

static void test_fail_at(void)
{
    void *p, *q;

    setup();
    mem_fail_at(mem, 2);
    p = mem_try_alloc(mem, PURPOSE, 10);
    CHECK(p != NULL);
    mem_release(mem, PURPOSE, mem_alloc(mem, PURPOSE, 10)); /* does not count */
    CHECK(mem_try_alloc(mem, PURPOSE, 10) == NULL);
    q = mem_try_alloc(mem, PURPOSE, 10); /* once */
    CHECK(q != NULL);
    mem_fail_at(mem, 1);
    CHECK(mem_try_zalloc(mem, PURPOSE, 10) == NULL);
    mem_fail_at(mem, 1);
    CHECK(mem_try_realloc(mem, PURPOSE, q, 10, 100) == NULL);
    CHECK_INT(mem_fail_at(mem, 3), 0);
    mem_release(mem, PURPOSE, mem_try_alloc(mem, PURPOSE, 10));
    CHECK_INT(mem_fail_at(mem, 1), 2);
    CHECK_INT(mem_fail_at(mem, 0), 1);
    q = mem_try_realloc(mem, PURPOSE, q, 10, 100);
    CHECK(q != NULL);
    CHECK_INT(mem_used(mem, PURPOSE), 16 + 112);
    mem_release(mem, PURPOSE, p);
    mem_release(mem, PURPOSE, q);
    teardown();
}

static void test_too_large(void)
{
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 63, SIZE_MAX / 2, (size_t)1 << 47};

    setup();
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        void *p = mem_alloc(mem, PURPOSE, 10);

        CHECK_ROW(i, mem_try_alloc(mem, PURPOSE, sizes[i]) == NULL);
        CHECK_ROW(i, mem_try_zalloc(mem, PURPOSE, sizes[i]) == NULL);
        CHECK_ROW(i, mem_try_realloc(mem, PURPOSE, p, 10, sizes[i]) == NULL);
        CHECK_ABORTS(mem_alloc(mem, PURPOSE, sizes[i]));
        CHECK_ABORTS(mem_zalloc(mem, PURPOSE, sizes[i]));
        mem_release(mem, PURPOSE, p);
    }
    teardown();
}

/* Threads put blocks of their own into the places of a table and release what they find there. */
#define EXCHANGES 200000

static _Atomic(void *) table[256];
static struct mem *mems[3];
static atomic_uint damaged;

static void *exchange(void *arg)
{
    struct mem *own = arg;
    uint64_t random = (uintptr_t)arg;

    for (int i = 0; i < EXCHANGES; i++) {
        random = random * 6364136223846793005 + 1442695040888963407;

        size_t size = random >> 52 == 0 ? 40000 : random >> 57;
        unsigned char *block = mem_alloc(own, PURPOSE, size + 8);

        memset(block, (int)size, size + 8);
        block = atomic_exchange(&table[random >> 32 & 255], block);
        if (block != NULL) {
            if (block[0] != block[7])
                atomic_fetch_add(&damaged, 1);
            mem_release(own, PURPOSE, block);
        }
    }
    mem_settle(own);
    return NULL;
}

static void test_threads(void)
{
    pthread_t threads[ARRAY_LEN(mems)];
    int64_t used = 0;
    size_t reserved = 0;

    for (size_t i = 0; i < ARRAY_LEN(mems); i++)
        mems[i] = mem_new();
    for (size_t i = 0; i < ARRAY_LEN(mems); i++)
        pthread_create(&threads[i], NULL, exchange, mems[i]);
    for (size_t i = 0; i < ARRAY_LEN(mems); i++) /* any thread may look, while they run */
        CHECK(mem_used_total(mems[i]) < INT64_MAX && mem_reserved(mems[i]) < SIZE_MAX / 2);
    for (size_t i = 0; i < ARRAY_LEN(mems); i++)
        pthread_join(threads[i], NULL);
    CHECK_INT(atomic_load(&damaged), 0);
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        mem_release(mems[0], PURPOSE, atomic_exchange(&table[i], NULL));
    mem_settle(mems[0]);
    for (size_t i = 0; i < ARRAY_LEN(mems); i++) {
        mem_trim(mems[i]);
        used += mem_used(mems[i], PURPOSE);
        reserved += mem_reserved(mems[i]);
    }
    CHECK_INT(used, 0); /* the sum; single ones may be negative */
    CHECK_INT(reserved, 0);
    for (size_t i = 0; i < ARRAY_LEN(mems); i++)
        mem_free(&mems[i]);
}

/* What another mem released is used again before fresh memory is. */
static void test_returned_first(void)
{
    enum { N = 20000 };
    static void *blocks[N];
    struct mem *other = mem_new();

    setup();
    for (size_t i = 0; i < N; i++)
        blocks[i] = mem_alloc(mem, PURPOSE, 100);

    size_t reserved = mem_reserved(mem);

    for (size_t i = 0; i < N; i++)
        mem_release(other, PURPOSE, blocks[i]);
    mem_settle(other);
    CHECK_INT(mem_used_total(mem) + mem_used_total(other), 0);
    CHECK_INT(mem_reserved(mem), reserved);
    for (size_t i = 0; i < N; i++)
        blocks[i] = mem_alloc(mem, PURPOSE, 100);
    CHECK(mem_reserved(mem) <= reserved + 65536);
    for (size_t i = 0; i < N; i++)
        mem_release(mem, PURPOSE, blocks[i]);
    mem_trim(mem);
    CHECK_INT(mem_reserved(mem), 0);
    mem_free(&mem);
    mem_free(&other);
}

/* ... large ones as well, even if nothing small is ever allocated. */
static void test_returned_large(void)
{
    struct mem *other = mem_new();

    setup();
    for (int i = 0; i < 1000; i++)
        mem_release(other, PURPOSE, mem_alloc(mem, PURPOSE, i % 2 ? 100000 : 5000000));
    CHECK(mem_reserved(mem) < 20000000);
    mem_trim(mem);
    CHECK_INT(mem_reserved(mem), 0);
    mem_free(&mem);
    mem_free(&other);
}

/* A block of another thread's is resized: moved, unless it stays in its class. */
static void test_realloc_foreign(void)
{
    struct mem *other = mem_new();

    setup();
    struct filled f = {mem_alloc(mem, PURPOSE, 300000), 300000, 1};

    fill(&f, 0);
    unsigned char *moved = mem_try_realloc(other, PURPOSE, f.p, 300000, 100000);

    CHECK(moved != f.p); /* only its owner may cut it */
    f.p = moved;
    CHECK(intact(&f, 100000));
    CHECK_INT(mem_used_total(mem) + mem_used_total(other), mem_footprint(100000));
    f.p = mem_try_realloc(mem, PURPOSE, f.p, 100000, 100001);
    CHECK(intact(&f, 100000));
    mem_release(other, PURPOSE, f.p);
    CHECK_INT(mem_used_total(mem) + mem_used_total(other), 0);
    mem_settle(mem);
    mem_settle(other);
    mem_trim(mem);
    mem_trim(other);
    CHECK_INT(mem_reserved(mem) + mem_reserved(other), 0);
    mem_free(&mem);
    mem_free(&other);
}

TEST_MAIN(test_footprint, test_counters, test_alignment, test_not_a_block, test_random, test_pages,
          test_zalloc, test_untouched, test_shrink, test_relax, test_most_kept, test_large,
          test_no_memory, test_free_in_use, test_fail_at, test_too_large, test_threads,
          test_returned_first, test_returned_large, test_realloc_foreign)

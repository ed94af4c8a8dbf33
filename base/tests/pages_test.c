/* Tested apart from mem.c, because under AddressSanitizer mem.c does without. */
#include "base/mem_priv.h"

#include "base/test.h"

#include <sys/mman.h>
#include <sys/resource.h>

#define RUNS 400

static struct pages pages;

struct run {
    unsigned char *at;
    size_t n;
};

static bool zero(const struct run *r)
{
    for (size_t i = 0; i < r->n * PAGE_BYTES; i += 64)
        if (r->at[i] != 0)
            return false;
    return true;
}

/* Mark both ends of each page; nobody else may have them. */
static void mark(const struct run *r, unsigned value)
{
    for (size_t i = 0; i < r->n; i++) {
        r->at[i * PAGE_BYTES] = (unsigned char)value;
        r->at[(i + 1) * PAGE_BYTES - 64] = (unsigned char)value;
    }
}

static bool marked(const struct run *r, unsigned value)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->at[i * PAGE_BYTES] != (unsigned char)value ||
            r->at[(i + 1) * PAGE_BYTES - 64] != (unsigned char)value)
            return false;
    return true;
}

static void test_lengths(void)
{
    pages__init(&pages);
    for (size_t n = 1; n <= PAGE_RUN_MAX; n++) {
        struct run a = {pages__take(&pages, n, false), n}, b = {pages__take(&pages, n, false), n};

        CHECK_ROW(n, (uintptr_t)a.at % PAGE_BYTES == 0 && (uintptr_t)b.at % PAGE_BYTES == 0);
        mark(&a, 1);
        mark(&b, 2);
        CHECK_ROW(n, marked(&a, 1) && marked(&b, 2));
        CHECK_ROW(n, pages.reserved >= 2 * n * PAGE_BYTES);
        CHECK_ROW(n, list_empty(&pages.packed) == (n < PAGE_RUN_MAX));
        pages__give(&pages, a.at, n);
        pages__give(&pages, b.at, n);
        CHECK_ROW_INT(n, pages.reserved, pages.cached * PAGE_BYTES);
        CHECK_ROW(n, pages__have_spare(&pages) == (pages.cached > 16));
        for (int i = 0; i < 4; i++) /* the first does not know yet what is needed */
            pages__relax(&pages);
        CHECK_ROW_INT(n, pages.reserved, pages.cached * PAGE_BYTES);
        CHECK_ROW(n, !pages__have_spare(&pages));
    }
    pages__trim(&pages);
    CHECK_INT(pages.reserved, 0);
    CHECK_INT(pages.cached, 0);
    CHECK(list_empty(&pages.roomy) && list_empty(&pages.packed));
    pages__fini(&pages);
}

static void test_random(void)
{
    static struct run runs[RUNS];
    uint64_t random = 1;
    size_t taken = 0;

    pages__init(&pages);
    for (int step = 0; step < 5000; step++) {
        random = random * 6364136223846793005 + 1442695040888963407;

        unsigned i = (unsigned)(random >> 33) % RUNS;
        struct run *r = &runs[i];

        if (r->at == NULL) {
            bool zeroed = random >> 61 & 1;

            r->n = 1 + (random >> 50) % (1 + (random >> 40) % PAGE_RUN_MAX);
            r->at = pages__take(&pages, r->n, zeroed);
            if (zeroed)
                CHECK(zero(r));
            mark(r, i);
            taken += r->n;
        } else {
            CHECK(marked(r, i));

            size_t keep = random >> 61 == 0 ? r->n / 2 : 0; /* the end first, at times */

            pages__give(&pages, r->at + keep * PAGE_BYTES, r->n - keep);
            taken -= r->n - keep;
            r->n = keep;
            if (keep == 0)
                r->at = NULL;
        }
        if (step % 3000 == 0)
            pages__trim(&pages);
        if (step % 100 == 0)
            pages__relax(&pages);
        CHECK_INT(pages.reserved, (taken + pages.cached) * PAGE_BYTES);
    }
    pages__fini(&pages); /* unmaps what is in use, too */
}

static void test_map(void)
{
    enum { N = 200 };
    struct run r;

    pages__init(&pages);
    r = (struct run){pages__map(&pages, N), N};
    CHECK((uintptr_t)r.at % PAGE_BYTES == 0);
    CHECK(zero(&r));
    mark(&r, 1);
    CHECK_INT(pages.reserved, N * PAGE_BYTES);
    pages__unmap(&pages, r.at + 50 * PAGE_BYTES, N - 50);
    r.n = 50;
    CHECK(marked(&r, 1));
    CHECK_INT(pages.reserved, 50 * PAGE_BYTES);
    pages__unmap(&pages, r.at, 50);
    CHECK_INT(pages.reserved, 0);
    pages__fini(&pages);
}

/* Without address space there are no pages; with it, there are again. */
static void test_no_space(void)
{
    struct rlimit before, none;

    pages__init(&pages);
    getrlimit(RLIMIT_AS, &before);
    none = (struct rlimit){0, before.rlim_max};
    setrlimit(RLIMIT_AS, &none);
    void *taken = pages__take(&pages, 1, false), *mapped = pages__map(&pages, 1);
    setrlimit(RLIMIT_AS, &before);
    CHECK(taken == NULL);
    CHECK(mapped == NULL);
    CHECK_INT(pages.reserved, 0);
    CHECK(pages__take(&pages, 1, false) != NULL);
    pages__fini(&pages);
}

/* Memory that is locked cannot be given back: it is kept, and cleared by hand. */
static void test_locked(void)
{
    struct run r;

    pages__init(&pages);
    r = (struct run){pages__take(&pages, PAGE_RUN_MAX, false), PAGE_RUN_MAX};
    mark(&r, 1);
    /* Sanitizers do not really lock. */
    if (mlock(r.at, 1) == 0 && madvise(r.at, PAGE_BYTES, MADV_DONTNEED) != 0) {
        pages__give(&pages, r.at, r.n);
        pages__relax(&pages);
        pages__relax(&pages);
        CHECK(pages.cached >= 16); /* what is behind the locked part may go */
        CHECK(pages__take(&pages, PAGE_RUN_MAX, true) == r.at);
        CHECK(zero(&r));
        pages__give(&pages, r.at, r.n);
        pages__trim(&pages); /* an empty region goes even so */
        CHECK_INT(pages.reserved, 0);
        CHECK_INT(pages.cached, 0);
    }
    pages__fini(&pages);
}

TEST_MAIN(test_lengths, test_random, test_map, test_no_space, test_locked)

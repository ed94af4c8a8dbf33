/* pages: regions of 64 pages, each with one bit a page.
 * 1. The first page of a region holds struct region and is never free.
 * 2. cached is a subset of free; a free page that is not cached reads as zeroes.
 * 3. A region is in roomy when it has a free page, else in packed.
 *
 * Blocks of up to 4 MiB come out of regions rather than from mmap() because the kernel limits the
 * number of mappings of a process (vm.max_map_count, 65530): a queue of large messages would reach
 * it long before memory ran out. */
#include "base/mem_priv.h"

#include <string.h>
#include <sys/mman.h>

#define REGION_BYTES (64 * PAGE_BYTES)
#define ALL_FREE     (~UINT64_C(1))

/* Free pages keep their memory up to this number: 32 MiB. What comes and goes with the turns of a
 * busy shard costs no system calls and page faults, and no interruption of other processors, whose
 * view of the memory would have to be renewed. An idle one keeps 1 MiB (pages__relax()). */
#define CACHED_MAX   512
#define CACHED_IDLE  16

/* So many pages are returned at a time, which takes about a millisecond. */
#define RELAX_MAX    64

/* A run of several pages is looked for in so many regions before a new one is mapped. Passing over
 * free pages costs address space only. */
#define TRIES_MAX    16

struct region {
    struct list link;
    uint64_t free;   /* bit per page */
    uint64_t cached; /* bit per page */
};

_Static_assert(PAGE_RUN_MAX == 63, "the pages of a region without its first");

static void reserved_add(struct pages *p, size_t bytes)
{
    size_t now = atomic_load_explicit(&p->reserved, memory_order_relaxed);

    atomic_store_explicit(&p->reserved, now + bytes, memory_order_relaxed);
}

static void reserved_sub(struct pages *p, size_t bytes)
{
    reserved_add(p, (size_t)0 - bytes);
}

/* size bytes aligned to align, a multiple of the size of the system's pages. */
static void *map_aligned(size_t size, size_t align)
{
    char *at = mmap(NULL, size + align, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (at == MAP_FAILED)
        return NULL;
    size_t before = -(uintptr_t)at & (align - 1);

    if (before > 0)
        munmap(at, before);
    munmap(at + before + size, align - before);
    return at + before;
}

static uint64_t run_mask(size_t at, size_t n)
{
    return ((UINT64_C(1) << n) - 1) << at;
}

/* Bit i is set when the n bits from i on are set in bits. */
static uint64_t runs_of(uint64_t bits, size_t n)
{
    for (size_t have = 1, more; have < n; have += more) {
        more = have < n - have ? have : n - have;
        bits &= bits >> more;
    }
    return bits;
}

static char *page_at(struct region *r, size_t i)
{
    return (char *)r + i * PAGE_BYTES;
}

static size_t count_bits(uint64_t bits)
{
    return (size_t)__builtin_popcountll(bits);
}

/* Return the memory behind pages; they read as zeroes from now on. Fails when memory is locked. */
static bool discard(void *first, size_t n)
{
    return madvise(first, n * PAGE_BYTES, MADV_DONTNEED) == 0;
}

static struct region *region_new(struct pages *p)
{
    struct region *r = map_aligned(REGION_BYTES, REGION_BYTES);

    if (r == NULL)
        return NULL;
    r->free = ALL_FREE;
    list_push_front(&p->roomy, &r->link);
    return r;
}

/* One whose pages need no memory from the system is best. */
static struct region *region_with_run(struct pages *p, size_t n)
{
    struct region *found = NULL;
    unsigned tries = 0;

    LIST_EACH (node, &p->roomy) {
        struct region *r = LIST_ITEM(node, struct region, link);

        if (runs_of(r->cached, n) != 0)
            return r;
        if (found == NULL && runs_of(r->free, n) != 0)
            found = r;
        if (++tries == TRIES_MAX || (found != NULL && p->cached < n))
            break;
    }
    return found != NULL ? found : region_new(p);
}

/* Where a run of n pages begins. What must be zeroed had better not be cached; all else had. */
static size_t place_run(const struct region *r, size_t n, bool zeroed)
{
    uint64_t best = runs_of(zeroed ? r->free & ~r->cached : r->cached, n);

    return (size_t)__builtin_ctzll(best != 0 ? best : runs_of(r->free, n));
}

void *pages__take(struct pages *p, size_t n, bool zeroed)
{
    struct region *r = region_with_run(p, n);

    if (r == NULL)
        return NULL;
    size_t at = place_run(r, n, zeroed);
    uint64_t mask = run_mask(at, n);
    size_t cached = count_bits(r->cached & mask);

    if (zeroed && cached > 0 && !discard(page_at(r, at), n))
        memset(page_at(r, at), 0, n * PAGE_BYTES);
    r->free &= ~mask;
    r->cached &= ~mask;
    if (r->free == 0) {
        list_remove(&r->link);
        list_push_back(&p->packed, &r->link);
    }
    p->cached -= cached;
    if (p->cached < p->least_cached)
        p->least_cached = p->cached;
    reserved_add(p, (n - cached) * PAGE_BYTES);
    return page_at(r, at);
}

void pages__give(struct pages *p, void *first, size_t n)
{
    struct region *r = (void *)((uintptr_t)first & ~(REGION_BYTES - 1));
    uint64_t mask = run_mask(((uintptr_t)first - (uintptr_t)r) / PAGE_BYTES, n);

    r->free |= mask;
    if (p->cached + n <= CACHED_MAX || !discard(first, n)) {
        r->cached |= mask;
        p->cached += n;
    } else {
        reserved_sub(p, n * PAGE_BYTES);
    }
    list_remove(&r->link);
    list_push_front(&p->roomy, &r->link); /* its cached pages are the next to be used */
}

void *pages__map(struct pages *p, size_t n)
{
    void *first = map_aligned(n * PAGE_BYTES, PAGE_BYTES);

    if (first != NULL)
        reserved_add(p, n * PAGE_BYTES);
    return first;
}

void pages__unmap(struct pages *p, void *first, size_t n)
{
    munmap(first, n * PAGE_BYTES);
    reserved_sub(p, n * PAGE_BYTES);
}

/* The last run of cached pages, of at most limit; there is one. */
static uint64_t last_cached_run(const struct region *r, size_t limit)
{
    uint64_t bit = UINT64_C(1) << (63 - __builtin_clzll(r->cached)), run = 0;

    for (size_t n = 0; n < limit && (r->cached & bit) != 0; n++, bit >>= 1)
        run |= bit;
    return run;
}

/* Return the memory of up to limit cached pages of a region; how many that were. */
static size_t region_discard(struct pages *p, struct region *r, size_t limit)
{
    size_t done = 0;

    while (r->cached != 0 && done < limit) {
        uint64_t run = last_cached_run(r, limit - done);
        size_t n = count_bits(run);

        if (!discard(page_at(r, (size_t)__builtin_ctzll(run)), n))
            break;
        r->cached &= ~run;
        done += n;
    }
    p->cached -= done;
    reserved_sub(p, done * PAGE_BYTES);
    return done;
}

static void region_trim(struct pages *p, struct region *r)
{
    region_discard(p, r, PAGE_RUN_MAX);
    if (r->free == ALL_FREE) {
        p->cached -= count_bits(r->cached);
        reserved_sub(p, count_bits(r->cached) * PAGE_BYTES);
        list_remove(&r->link);
        munmap(r, REGION_BYTES);
    }
}

void pages__trim(struct pages *p)
{
    LIST_EACH_SAFE (node, &p->roomy) {
        region_trim(p, LIST_ITEM(node, struct region, link));
    }
    p->least_cached = p->cached;
}

bool pages__have_spare(const struct pages *p)
{
    return p->cached > CACHED_IDLE;
}

void pages__relax(struct pages *p)
{
    size_t spare = p->least_cached > CACHED_IDLE ? p->least_cached - CACHED_IDLE : 0;

    if (spare > RELAX_MAX)
        spare = RELAX_MAX;
    for (struct list *node = p->roomy.prev; node != &p->roomy && spare > 0; node = node->prev)
        spare -= region_discard(p, LIST_ITEM(node, struct region, link), spare);
    p->least_cached = p->cached;
}

void pages__init(struct pages *p)
{
    list_init(&p->roomy);
    list_init(&p->packed);
    p->cached = 0;
    p->least_cached = 0;
    atomic_init(&p->reserved, 0);
}

void pages__fini(struct pages *p)
{
    struct list *node;

    list_splice_back(&p->roomy, &p->packed);
    while ((node = list_pop_front(&p->roomy)) != NULL)
        munmap(LIST_ITEM(node, struct region, link), REGION_BYTES);
}

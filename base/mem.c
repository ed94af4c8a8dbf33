/* mem: blocks of one size class share a page of 64 KiB; masking a block's address gives the header
 * of its page, so a block needs none.
 * 1. A page has free blocks when it is PARTIAL, none when it is FULL; only the owner's thread
 *    changes a header, and magic, owner and bytes stay while a block is in use.
 * 2. Blocks on page->free were carved; those behind page->carved were never touched.
 * 3. A block that another thread released counts as used in its page until drain() has seen it.
 * 4. Blocks above SMALL_MAX have pages of their own with the same header, so masking works for all.
 */
#include "base/mem.h"

#include "base/assert.h"
#include "base/mem_priv.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_MAGIC      0x65676150u /* "Page" */
#define PAGE_HEAD       64          /* bytes in front of the first block */

/* Classes: steps of 16 bytes, then four a doubling, then what divides a page into 8, 7, 6, 5, 4, 3
 * and 2 blocks. */
#define CLASSES         38
#define FORMULA_MAX     8176 /* size_class_by_formula() knows sizes up to here, */
#define FORMULA_CLASSES 32   /* ... which make so many classes */
#define SMALL_MAX       32736

/* clang-format off */
static const uint16_t class_bytes[CLASSES] = {
    16,   32,   48,   64,   80,   96,   112,  128,
    160,  192,  224,  256,  320,  384,  448,  512,
    640,  768,  896,  1024, 1280, 1536, 1792, 2048,
    2560, 3072, 3584, 4096, 5120, 6144, 7168, 8176,
    9344, 10912, 13088, 16368, 21824, SMALL_MAX,
};
/* clang-format on */

/* Larger blocks have whole pages of the system. */
#define LARGE_STEP      4096

/* Nobody means more than this; the limit keeps sums of sizes from overflowing. */
#define SIZE_LIMIT      ((size_t)1 << 39)

/* Fresh memory is put on the free list in steps of a page of the system: what is behind it stays
 * untouched and costs nothing yet. */
#define CARVE_BYTES     4096

/* So many blocks are taken back at a time of those that other threads released, so that no
 * allocation stalls after they released a million; and not fewer, so that they come back as fast as
 * they are given out. */
#define DRAIN_MAX       1024

/* Blocks of another allocator that wait to be handed back together. */
#define AWAY_MAX        64

/* What is off the short way is a function of its own: the short way need not save registers. */
#define NOT_INLINE      __attribute__((noinline))

enum page_state {
    PAGE_CURRENT, /* its class takes blocks from it -> FULL; kept even when it becomes empty */
    PAGE_PARTIAL, /* in mem->partial -> CURRENT, or given back when it becomes empty */
    PAGE_FULL,    /* in no list -> PARTIAL */
    PAGE_LARGE,   /* one block, in a run of pages -> given back */
    PAGE_HUGE,    /* one block, in a mapping of its own, in mem->huge -> unmapped */
};

struct block {
    struct block *next; /* while it is not in use */
};

struct page {
    uint32_t magic;
    uint8_t state; /* enum page_state */
    uint8_t size_class;
    uint16_t carved; /* blocks that have been on the free list */
    struct mem *owner;
    struct block *free;
    uint64_t bytes; /* of a block, as counted */
    uint32_t used;  /* blocks */
    struct list link;
};

_Static_assert(sizeof(struct page) <= PAGE_HEAD, "blocks begin behind the header");

struct mem {
    struct page *current[CLASSES]; /* no_page when there is none */
    struct list partial[CLASSES];
    _Atomic int64_t used[MEM_PURPOSES]; /* bytes; written by the owner's thread only */
    uint64_t fail_at;                   /* allocations until one fails; 0 = none shall */
    struct pages pages;
    struct list huge;
    struct block *returned; /* taken off remote, not yet put back */
    struct {
        struct mem *owner;          /* of all blocks in it */
        struct block *first, *last; /* linked */
        unsigned n;
    } away; /* blocks of another allocator, released here and not yet handed back */
    _Alignas(64) _Atomic(struct block *) remote; /* released by other threads, newest first */
};

/* Sizes 1..FORMULA_MAX: units of 16 bytes, counted from 0, by their three top bits. */
static inline unsigned size_class_by_formula(size_t size)
{
    size_t units = (size - 1) / 16;
    unsigned shift = 61u - (unsigned)__builtin_clzl(units | 4); /* steps of 16 << shift bytes */

    return 4 * shift + (unsigned)(units >> shift);
}

static unsigned size_class_of(size_t size)
{
    unsigned size_class = FORMULA_CLASSES;

    if (size <= FORMULA_MAX)
        return size > 0 ? size_class_by_formula(size) : 0;
    while (class_bytes[size_class] < size)
        size_class++;
    return size_class;
}

size_t mem_footprint(size_t size)
{
    if (size <= SMALL_MAX)
        return class_bytes[size_class_of(size)];
    if (size > SIZE_LIMIT)
        return SIZE_MAX;
    return (size + PAGE_HEAD + LARGE_STEP - 1) / LARGE_STEP * LARGE_STEP;
}

/* Counters have one writer: a plain load and store will do, and readers never see half of one. */
static void count(struct mem *m, unsigned purpose, int64_t bytes)
{
    int64_t now = atomic_load_explicit(&m->used[purpose], memory_order_relaxed);

    atomic_store_explicit(&m->used[purpose], now + bytes, memory_order_relaxed);
}

#if MEM_IS_MALLOC

struct plain {
    uint64_t bytes;
    uint64_t magic;
};

static struct plain *plain_of(void *block)
{
    struct plain *p = (struct plain *)block - 1;

    ASSERT(p->magic == PAGE_MAGIC);
    return p;
}

static void *block_new(struct mem *m, size_t size, bool zeroed)
{
    struct plain *p = NULL;

    (void)m;
    if (size <= SIZE_LIMIT)
        p = zeroed ? calloc(1, sizeof *p + size) : malloc(sizeof *p + size);
    if (p == NULL)
        return NULL;
    *p = (struct plain){mem_footprint(size), PAGE_MAGIC};
    return p + 1;
}

static inline void *block_at_hand(struct mem *m, unsigned purpose, size_t size)
{
    (void)m, (void)purpose, (void)size;
    return NULL;
}

static size_t block_bytes(void *block)
{
    return plain_of(block)->bytes;
}

static void block_drop(struct mem *m, unsigned purpose, void *block)
{
    struct plain *p = plain_of(block);

    count(m, purpose, -(int64_t)p->bytes);
    free(p);
}

/* Every change of size moves the block, so that who kept the old address is found. */
static bool block_resize(struct mem *m, void *block, size_t size)
{
    (void)m, (void)block, (void)size;
    return false;
}

static void blocks_init(struct mem *m)
{
    pages__init(&m->pages);
}

/* Blocks that are still in use are left to be reported as leaks. */
static void blocks_fini(struct mem *m)
{
    (void)m;
}

void mem_trim(struct mem *m)
{
    (void)m;
}

void mem_relax(struct mem *m)
{
    (void)m;
}

void mem_settle(struct mem *m)
{
    (void)m;
}

#else

/* Stands for "none" in mem->current: always full, never changed. */
static struct page no_page = {.state = PAGE_FULL};

static struct page *page_of(const void *block)
{
    struct page *p = (void *)((uintptr_t)block & ~(PAGE_BYTES - 1));

    ASSERT(p->magic == PAGE_MAGIC);
    return p;
}

static void *first_block(struct page *p)
{
    return (char *)p + PAGE_HEAD;
}

static void page_init(struct page *p, struct mem *m, enum page_state state, size_t bytes)
{
    *p = (struct page){
        .magic = PAGE_MAGIC,
        .state = (uint8_t)state,
        .owner = m,
        .bytes = bytes,
    };
    list_init(&p->link);
}

static size_t run_length(size_t bytes)
{
    return (bytes + PAGE_BYTES - 1) / PAGE_BYTES;
}

/* Give back the pages of a large block from offset keep on; keep = 0 ends it. */
static void large_cut(struct mem *m, struct page *p, size_t keep)
{
    size_t kept = run_length(keep);
    size_t cut = run_length(p->bytes) - kept;
    char *from = (char *)p + kept * PAGE_BYTES;

    if (p->state == PAGE_HUGE && keep == 0)
        list_remove(&p->link);
    if (cut == 0)
        return;
    if (p->state == PAGE_HUGE)
        pages__unmap(&m->pages, from, cut);
    else
        pages__give(&m->pages, from, cut);
}

/* After the last block in use was put back, or the first one to a full page. */
NOT_INLINE static void page_settle(struct mem *m, struct page *p)
{
    switch (p->state) {
    case PAGE_CURRENT: break;
    case PAGE_FULL:
        p->state = PAGE_PARTIAL;
        list_push_back(&m->partial[p->size_class], &p->link);
        break;
    case PAGE_PARTIAL:
        list_remove(&p->link);
        pages__give(&m->pages, p, 1);
        break;
    default: large_cut(m, p, 0); break;
    }
}

static void put_back(struct mem *m, struct page *p, struct block *b)
{
    b->next = p->free;
    p->free = b;
    if (--p->used == 0 || p->state == PAGE_FULL)
        page_settle(m, p);
}

void mem_settle(struct mem *m)
{
    struct mem *owner = m->away.owner;
    struct block *newest;

    if (m->away.n == 0)
        return;
    newest = atomic_load_explicit(&owner->remote, memory_order_relaxed);
    do
        m->away.last->next = newest;
    while (!atomic_compare_exchange_weak_explicit(&owner->remote, &newest, m->away.first,
                                                  memory_order_release, memory_order_relaxed));
    m->away.n = 0;
}

/* The owner's line of memory is fought for once per chain, not once per block. */
NOT_INLINE static void send_away(struct mem *m, struct mem *owner, struct block *b, bool large)
{
    if (m->away.n == AWAY_MAX || (m->away.n > 0 && m->away.owner != owner))
        mem_settle(m);
    if (m->away.n++ == 0) {
        m->away.owner = owner;
        m->away.last = b;
    } else {
        b->next = m->away.first;
    }
    m->away.first = b;
    if (large)
        mem_settle(m);
}

static struct block *next_returned(struct mem *m)
{
    struct block *b = m->returned;

    if (b == NULL && atomic_load_explicit(&m->remote, memory_order_relaxed) != NULL)
        b = atomic_exchange_explicit(&m->remote, NULL, memory_order_acquire);
    if (b != NULL)
        m->returned = b->next;
    return b;
}

/* Put back what other threads released, up to limit blocks. */
static void drain(struct mem *m, size_t limit)
{
    struct block *b;

    while (limit-- > 0 && (b = next_returned(m)) != NULL)
        put_back(m, page_of(b), b);
}

/* Put the next few fresh blocks of the page on its free list; false when there are none. */
static bool page_carve(struct page *p)
{
    size_t capacity = (PAGE_BYTES - PAGE_HEAD) / p->bytes;
    size_t until = p->carved + (p->bytes < CARVE_BYTES ? CARVE_BYTES / p->bytes : 1);
    size_t from = p->carved;

    if (until > capacity)
        until = capacity;
    for (size_t i = until; i-- > from;) { /* lowest address first out */
        struct block *b = (void *)((char *)first_block(p) + i * p->bytes);

        b->next = p->free;
        p->free = b;
    }
    p->carved = (uint16_t)until;
    return until > from;
}

static struct page *page_new(struct mem *m, unsigned size_class)
{
    struct page *p = pages__take(&m->pages, 1, false);

    if (p == NULL)
        return NULL;
    page_init(p, m, PAGE_CURRENT, class_bytes[size_class]);
    p->size_class = (uint8_t)size_class;
    page_carve(p);
    return p;
}

/* The class's current page has no free block: make it have one, or find another page. */
static struct page *refill(struct mem *m, unsigned size_class)
{
    struct page *p = m->current[size_class];
    struct list *node;

    drain(m, DRAIN_MAX);
    if (p->free != NULL || (p != &no_page && page_carve(p)))
        return p;
    if ((node = list_pop_front(&m->partial[size_class])) !=
        NULL) /* the one that was full longest ago */
        p = LIST_ITEM(node, struct page, link);
    else if ((p = page_new(m, size_class)) == NULL)
        return NULL;
    if (m->current[size_class] != &no_page)
        m->current[size_class]->state = PAGE_FULL;
    p->state = PAGE_CURRENT;
    m->current[size_class] = p;
    return p;
}

static void *large_new(struct mem *m, size_t size, bool zeroed)
{
    size_t bytes = mem_footprint(size);
    size_t n = run_length(bytes);
    struct page *p;

    if (size > SIZE_LIMIT)
        return NULL;
    drain(m, DRAIN_MAX);
    p = n > PAGE_RUN_MAX ? pages__map(&m->pages, n) : pages__take(&m->pages, n, zeroed);
    if (p == NULL)
        return NULL;
    page_init(p, m, n > PAGE_RUN_MAX ? PAGE_HUGE : PAGE_LARGE, bytes);
    p->used = 1;
    if (p->state == PAGE_HUGE)
        list_push_back(&m->huge, &p->link);
    return first_block(p);
}

static struct block *pop(struct page *p)
{
    struct block *b = p->free;

    p->free = b->next;
    p->used++;
    return b;
}

static void *block_new(struct mem *m, size_t size, bool zeroed)
{
    if (size > SMALL_MAX)
        return large_new(m, size, zeroed);

    unsigned size_class = size_class_of(size);
    struct page *p = m->current[size_class];

    if (p->free == NULL && (p = refill(m, size_class)) == NULL)
        return NULL;
    return zeroed ? memset(pop(p), 0, size) : pop(p);
}

/* The short way: a block from the current page of its class, if that has one, else NULL. */
static inline void *block_at_hand(struct mem *m, unsigned purpose, size_t size)
{
    if (size - 1 >= FORMULA_MAX) /* 0, too */
        return NULL;

    struct page *p = m->current[size_class_by_formula(size)];

    if (p->free == NULL)
        return NULL;
    count(m, purpose, (int64_t)p->bytes);
    return pop(p);
}

static size_t block_bytes(void *block)
{
    return page_of(block)->bytes;
}

static void block_drop(struct mem *m, unsigned purpose, void *block)
{
    struct page *p = page_of(block);

    count(m, purpose, -(int64_t)p->bytes);
    if (p->owner == m)
        put_back(m, p, block);
    else
        send_away(m, p->owner, block, p->bytes > SMALL_MAX);
}

/* Change the size without moving: within the class, or the end of a large block is cut off. */
static bool block_resize(struct mem *m, void *block, size_t size)
{
    struct page *p = page_of(block);
    size_t bytes = mem_footprint(size);

    if (bytes == p->bytes)
        return true;
    if (p->owner != m || size <= SMALL_MAX || bytes > p->bytes)
        return false;
    large_cut(m, p, bytes);
    p->bytes = bytes;
    return true;
}

static void blocks_init(struct mem *m)
{
    for (unsigned i = 0; i < CLASSES; i++) {
        m->current[i] = &no_page;
        list_init(&m->partial[i]);
    }
    list_init(&m->huge);
    pages__init(&m->pages);
}

static void blocks_fini(struct mem *m)
{
    LIST_EACH_SAFE (node, &m->huge) {
        large_cut(m, LIST_ITEM(node, struct page, link), 0);
    }
    pages__fini(&m->pages);
}

void mem_trim(struct mem *m)
{
    drain(m, SIZE_MAX);
    for (unsigned i = 0; i < CLASSES; i++) {
        struct page *p = m->current[i];

        if (p != &no_page && p->used == 0) {
            m->current[i] = &no_page;
            pages__give(&m->pages, p, 1);
        }
    }
    pages__trim(&m->pages);
}

void mem_relax(struct mem *m)
{
    drain(m, DRAIN_MAX);
    pages__relax(&m->pages);
}

#endif

struct mem *mem_new(void)
{
    struct mem *m = aligned_alloc(_Alignof(struct mem), sizeof *m);

    if (m == NULL)
        return NULL;
    memset(m, 0, sizeof *m);
    blocks_init(m);
    return m;
}

void mem_free(struct mem **m)
{
    if (*m == NULL)
        return;
    blocks_fini(*m);
    free(*m);
    *m = NULL;
}

static bool fails_now(struct mem *m)
{
    return m->fail_at != 0 && --m->fail_at == 0;
}

NOT_INLINE static void *allocate_long(struct mem *m, unsigned purpose, size_t size, bool zeroed)
{
    void *block = block_new(m, size, zeroed);

    if (block != NULL)
        count(m, purpose, (int64_t)block_bytes(block));
    return block;
}

static inline void *allocate(struct mem *m, unsigned purpose, size_t size)
{
    ASSERT(purpose < MEM_PURPOSES);

    void *block = block_at_hand(m, purpose, size);

    return block != NULL ? block : allocate_long(m, purpose, size, false);
}

static void *allocate_zeroed(struct mem *m, unsigned purpose, size_t size)
{
    ASSERT(purpose < MEM_PURPOSES);
    return allocate_long(m, purpose, size, true);
}

void *mem_alloc(struct mem *m, unsigned purpose, size_t size)
{
    void *block = allocate(m, purpose, size);

    ASSERT(block != NULL); /* out of memory */
    return block;
}

void *mem_zalloc(struct mem *m, unsigned purpose, size_t size)
{
    void *block = allocate_zeroed(m, purpose, size);

    ASSERT(block != NULL); /* out of memory */
    return block;
}

void *mem_try_alloc(struct mem *m, unsigned purpose, size_t size)
{
    return fails_now(m) ? NULL : allocate(m, purpose, size);
}

void *mem_try_zalloc(struct mem *m, unsigned purpose, size_t size)
{
    return fails_now(m) ? NULL : allocate_zeroed(m, purpose, size);
}

void *mem_try_realloc(struct mem *m, unsigned purpose, void *block, size_t old_size,
                      size_t new_size)
{
    if (fails_now(m))
        return NULL;
    if (block == NULL)
        return allocate(m, purpose, new_size);

    size_t old_bytes = block_bytes(block);

    if (block_resize(m, block, new_size)) {
        count(m, purpose, (int64_t)block_bytes(block) - (int64_t)old_bytes);
        return block;
    }

    void *moved = allocate(m, purpose, new_size);

    if (moved == NULL)
        return NULL;
    memcpy(moved, block, old_size < new_size ? old_size : new_size);
    mem_release(m, purpose, block);
    return moved;
}

void mem_release(struct mem *m, unsigned purpose, void *block)
{
    ASSERT(purpose < MEM_PURPOSES);
    if (block == NULL)
        return;
    block_drop(m, purpose, block);
}

int64_t mem_used(const struct mem *m, unsigned purpose)
{
    ASSERT(purpose < MEM_PURPOSES);
    return atomic_load_explicit(&m->used[purpose], memory_order_relaxed);
}

int64_t mem_used_total(const struct mem *m)
{
    int64_t sum = 0;

    for (unsigned i = 0; i < MEM_PURPOSES; i++)
        sum += mem_used(m, i);
    return sum;
}

size_t mem_reserved(const struct mem *m)
{
    return atomic_load_explicit(&m->pages.reserved, memory_order_relaxed);
}

bool mem_has_spare(const struct mem *m)
{
    return pages__have_spare(&m->pages);
}

uint64_t mem_fail_at(struct mem *m, uint64_t n)
{
    uint64_t left = m->fail_at;

    m->fail_at = n;
    return left;
}

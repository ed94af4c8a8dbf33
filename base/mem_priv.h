/* mem_priv: what mem.c and pages.c share: the supply of 64 KiB pages of one allocator. */
#ifndef BASE_MEM_PRIV_H
#define BASE_MEM_PRIV_H
#include "base/list.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Under AddressSanitizer every block is a malloc() of its own. */
#if defined(__SANITIZE_ADDRESS__)
#define MEM_IS_MALLOC 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MEM_IS_MALLOC 1
#endif
#endif
#ifndef MEM_IS_MALLOC
#define MEM_IS_MALLOC 0
#endif

#define PAGE_BYTES   ((size_t)64 << 10)
#define PAGE_RUN_MAX 63 /* pages; the longest run that pages__take() gives */

struct pages {
    struct list roomy;       /* regions with free pages */
    struct list packed;      /* regions without */
    size_t cached;           /* free pages that still have memory behind them */
    size_t least_cached;     /* since the last pages__relax() */
    _Atomic size_t reserved; /* bytes: pages in use and cached ones; the owner's thread writes */
};

void pages__init(struct pages *p);

/* Unmap every region. Mapped runs (pages__map) are not known here. */
void pages__fini(struct pages *p);

/* n pages in a row, n <= PAGE_RUN_MAX; NULL when out of memory. Not cleared unless zeroed. */
void *pages__take(struct pages *p, size_t n, bool zeroed);

/* Give n pages back: a whole run or a part of it. */
void pages__give(struct pages *p, void *first, size_t n);

/* The same for runs of any length, each a zeroed mapping of its own; parts are given back from the
 * end. */
void *pages__map(struct pages *p, size_t n);
void pages__unmap(struct pages *p, void *first, size_t n);

/* Return the memory of cached pages and the address space of empty regions. */
void pages__trim(struct pages *p);

/* Are there more cached pages than an idle allocator keeps? */
bool pages__have_spare(const struct pages *p);

/* Return the memory of such pages as far as none were needed since the last call, a few MiB a
 * call. */
void pages__relax(struct pages *p);
#endif

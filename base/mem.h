/* mem: the accounting allocator of a shard. Size classes from 16 bytes to half a page of 64 KiB,
 * no header per block; bytes in use are counted per purpose, which makes them a metric.
 *
 * A struct mem belongs to one thread: only that thread allocates from it. A block may be released
 * by any thread through that thread's own struct mem: it travels back to its owner without a lock
 * and is reused there. Counters are kept by the thread that acts, so one mem's count of a purpose
 * may be negative and only the sum over all of them is meaningful.
 *
 * Blocks are aligned to 16 bytes and not cleared. Under AddressSanitizer every block is a malloc()
 * of its own, so that overruns and use after release are found. */
#ifndef BASE_MEM_H
#define BASE_MEM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEM_PURPOSES 24 /* purposes are numbers 0..23; their names are the caller's */

struct mem;

/* New allocator, or NULL when out of memory. */
struct mem *mem_new(void);

/* Free the allocator with everything it still owns and set *m to NULL; *m may be NULL. No block of
 * it may be in use or be released by another thread any more. (Under AddressSanitizer blocks that
 * were not released are left to be reported as leaks.) */
void mem_free(struct mem **m);

/* size bytes (0 counts as 1). Aborts when out of memory: for small, fixed sizes only. */
void *mem_alloc(struct mem *m, unsigned purpose, size_t size);

/* As mem_alloc(), but zeroed. */
void *mem_zalloc(struct mem *m, unsigned purpose, size_t size);

/* As the two above, but NULL when out of memory: for sizes that come from the wire. Zeroing a large
 * block touches none of its memory: it comes so from the system. */
void *mem_try_alloc(struct mem *m, unsigned purpose, size_t size);
void *mem_try_zalloc(struct mem *m, unsigned purpose, size_t size);

/* Grow or shrink: a block of new_size with the old content up to the smaller of both sizes, or NULL
 * with the old block untouched. block may be NULL (old_size is then 0). A block of more than half a
 * page that stays one is shrunk where it is: O(what is cut off). */
void *mem_try_realloc(struct mem *m, unsigned purpose, void *block, size_t old_size,
                      size_t new_size);

/* Give a block back; NULL is fine. m is the caller's own allocator, not necessarily the block's;
 * purpose is the one it was allocated for. */
void mem_release(struct mem *m, unsigned purpose, void *block);

/* Hand back what was released here and belongs to other allocators. It travels in batches: call it
 * now and then (a shard: once a turn), and before another allocator is freed. */
void mem_settle(struct mem *m);

/* Bytes that an allocation of size really occupies: what is counted for it. SIZE_MAX for sizes that
 * no allocation can have. */
size_t mem_footprint(size_t size);

/* Bytes in use for one purpose. Any thread may call it at any time (relaxed reads). */
int64_t mem_used(const struct mem *m, unsigned purpose);

/* Bytes in use for all purposes together. Any thread, any time. */
int64_t mem_used_total(const struct mem *m);

/* Bytes of memory taken from the system by this allocator: pages in use, touched or not, and empty
 * ones that are kept, at most 32 MiB. Any thread, any time. */
size_t mem_reserved(const struct mem *m);

/* Take back all that other threads released, and give empty pages to the system. Owner's thread.
 * O(such blocks + pages). */
void mem_trim(struct mem *m);

/* Are more empty pages kept than an idle allocator needs? Then mem_relax() is to be called a second
 * or so later, and again as long as this says so. Owner's thread. */
bool mem_has_spare(const struct mem *m);

/* Give those empty pages to the system that have not been needed since the last call, up to 4 MiB
 * of them. Owner's thread. */
void mem_relax(struct mem *m);

/* Let allocation number n from now fail (1 = the next mem_try_...()), once; 0 turns it off. Returns
 * what was left of the count before: 0 when that allocation has failed. For tests of error paths.
 */
uint64_t mem_fail_at(struct mem *m, uint64_t n);
#endif

/* memory_store: a backend that keeps everything in memory: what it was told is there for the next
 * broker of the same process, which is how tests restart one. Commits at once, or when told; pages
 * are there at once. Nothing expires by itself. */
#ifndef STORAGE_MEMORY_STORE_H
#define STORAGE_MEMORY_STORE_H
#include "storage/store.h"

/* New store, or NULL when out of memory. ops.close() only lets a broker go; memory_store_free()
 * ends it. One thread. */
struct store *memory_store_new(void);
void memory_store_free(struct store **s);

/* Hold commits back (what was submitted meanwhile is lost to a recovery), and let them happen. */
void memory_store_hold(struct store *s, bool hold);

/* Be a store that cannot write, for this reason; NULL: it can again. What is submitted meanwhile
 * waits. */
void memory_store_fail(struct store *s, const char *why);

/* Batches committed so far that had to survive a power cut. */
uint64_t memory_store_syncs(struct store *s);

/* Say that there was another store, damaged, that was moved to this name. */
void memory_store_set_aside(struct store *s, const char *name);
#endif

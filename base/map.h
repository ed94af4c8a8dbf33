/* map: hash table of pointers to items which hold their own key. Open addressing; grows and shrinks
 * a few slots at a time, so that no insertion stalls however large the table is. An empty map holds
 * no memory.
 *
 * The caller computes the hash (hash_bytes() with a seed of its own) and gives the function that
 * compares an item with a key. One thread. */
#ifndef BASE_MAP_H
#define BASE_MAP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mem;

/* Does the item have this key? */
typedef bool map_equal_fn(const void *item, const void *key, size_t key_len);

struct map_slot {
    uint64_t hash; /* as given by the caller */
    void *item;    /* NULL: free, or removed */
};

struct map_table {
    struct map_slot *slots; /* NULL: no table */
    uint32_t mask;          /* slots - 1 */
    uint32_t used;          /* items */
};

struct map {
    struct mem *mem;
    map_equal_fn *equal;
    struct map_table now, old; /* old: being emptied into now, from its end */
    uint32_t moving;           /* slots of old that are still to be moved */
    unsigned purpose;
};

void map_init(struct map *m, struct mem *mem, unsigned purpose, map_equal_fn *equal);

/* Free the table, not the items. */
void map_fini(struct map *m);

/* The item with this key, or NULL. O(1). */
void *map_find(const struct map *m, uint64_t hash, const void *key, size_t key_len);

/* Look-ups that follow each other wait for memory one after the other, unless the hashes are known
 * before: map_prefetch() starts to fetch where the search for a hash begins; later map_hint() gives
 * the item that is probably found there, for the caller to fetch that too, or NULL. */
static inline void map_prefetch(const struct map *m, uint64_t hash)
{
    if (m->now.slots != NULL)
        __builtin_prefetch(&m->now.slots[hash & m->now.mask]);
}

static inline const void *map_hint(const struct map *m, uint64_t hash)
{
    const struct map_slot *s = m->now.slots == NULL ? NULL : &m->now.slots[hash & m->now.mask];

    return s != NULL && s->hash == hash ? s->item : NULL;
}

/* Add an item whose key must not be in the map. 0 or -ENOMEM (nothing changed). O(1), worst case
 * included. */
int map_add(struct map *m, uint64_t hash, void *item);

/* Take out the item with this key and return it, or NULL. O(1). */
void *map_remove(struct map *m, uint64_t hash, const void *key, size_t key_len);

static inline size_t map_count(const struct map *m)
{
    return (size_t)m->now.used + m->old.used;
}

/* Visit all items: start with *cursor = 0; NULL at the end. The map must not change meanwhile,
 * except that the item just returned may be removed by map_remove(). */
void *map_next(const struct map *m, uint64_t *cursor);

/* 64-bit hash of bytes; keyed, so that clients cannot choose colliding names. */
uint64_t hash_bytes(uint64_t seed, const void *data, size_t len);

/* 64-bit hash of a number that clients do not choose. Every bit of it reaches the low ones, by
 * which a map finds its slot: numbers may differ in their upper bits only, as those made of the
 * time do. */
uint64_t hash_number(uint64_t n);
#endif

/* match_cache: what the last topics matched, for topics that come again: the lists of the topic
 * tree, and which other shards are interested. An entry holds as long as no subscription has been
 * added or removed, here or there. A topic gets its entry when it comes a second time, so that
 * topics which never come again cost one look and one store. */
#ifndef BROKER_MATCH_CACHE_H
#define BROKER_MATCH_CACHE_H
#include "broker/topic_tree.h"

#include <stdint.h>

#define MATCH_CACHE_SLOTS 512 /* a power of two */
#define MATCH_CACHE_TOPIC 80  /* bytes; longer topics have no entry */
#define MATCH_CACHE_LISTS 4   /* topics that match more filters have none */

struct mem;

/* A list of subscribers that matched; borrowed from the tree until it changes. */
struct match {
    const struct topic_sub *subs;
    size_t n;
};

struct match_entry {
    uint64_t hash;       /* of the topic that was seen here last ... */
    uint64_t generation; /* ... and of the tree when the lists were noted; 0: no lists yet */
    uint64_t interested_generation; /* sum over shards, when that was noted; 0: not noted */
    uint64_t interested;            /* bit per interested shard */
    uint8_t n;                      /* lists */
    uint8_t topic_len;
    uint8_t topic[MATCH_CACHE_TOPIC];
    struct match v[MATCH_CACHE_LISTS];
};

struct match_cache {
    uint64_t seed;
    struct match_entry slots[MATCH_CACHE_SLOTS];
};

/* NULL when out of memory. seed: not known to clients. */
struct match_cache *match_cache_new(struct mem *mem, uint64_t seed);
void match_cache_free(struct match_cache **c, struct mem *mem);

/* The hash of a topic, the same for all caches with this seed. 0 for one that is too long. */
uint64_t match_cache_hash(const struct match_cache *c, struct mqtt_str topic);

/* The entry for the topic of this hash, or NULL when it deserves none now. Its lists hold if its
 * generation is that of the tree; otherwise the caller looks the topic up and notes the lists, if
 * it likes, by match_cache_note(). */
struct match_entry *match_cache_find(struct match_cache *c, struct mqtt_str topic, uint64_t hash);

/* Note n lists (at most MATCH_CACHE_LISTS) as found at this generation of the tree (not 0). */
void match_cache_note(struct match_entry *e, uint64_t generation, const struct match *v, size_t n);
#endif

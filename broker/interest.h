/* interest: a summary of one shard's filters that other shards can read without a lock, so that a
 * publisher skips shards that cannot match, its own included. There are no false negatives; a false
 * positive costs one wasted match.
 *
 * A filter has a shape (how many levels, which of them are '+', whether a '#' follows) and a hash
 * of the levels of that shape. The summary lists the shapes in use, and counts filters by their
 * hash in a table: a counting Bloom filter with two counters each, both in one line of memory. A
 * publisher computes, for each shape that its topic fits, the hash that a matching filter would
 * have (a sum over levels, see trie_path()), and looks that up. Filters with more levels than
 * INTEREST_DEPTH count as if they ended in '#' there.
 *
 * Only the owner writes. All shards use one seed, which is that of their topic trees: a name is
 * hashed once for all of them. */
#ifndef BROKER_INTEREST_H
#define BROKER_INTEREST_H
#include "mqtt/str.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define INTEREST_LINES  (1u << 14) /* of counters: selective up to some 100,000 filters a shard */
#define INTEREST_LINE   32         /* counters in a line of memory */
#define INTEREST_DEPTH  8          /* levels that are told apart */
#define INTEREST_SHAPES 64         /* in use at a time; with more every topic may match */

struct trie_levels;

struct interest {
    uint64_t seed;
    uint64_t plus[INTEREST_DEPTH];            /* what "+" adds to the hash at each level */
    _Atomic uint32_t shapes[INTEREST_SHAPES]; /* 0: free */
    _Atomic uint32_t n_shapes;                /* entries of shapes in use, the last one included */
    _Atomic uint32_t other;            /* filters whose shape found no place: any topic may match */
    _Atomic uint64_t generation;       /* changes after every change */
    uint32_t filters[INTEREST_SHAPES]; /* of each shape; owner only */
    _Atomic uint16_t *counters; /* filters, INTEREST_LINES lines; one that is full stays full */
    _Atomic uint16_t room[(INTEREST_LINES + 1) * INTEREST_LINE]; /* for them; they are aligned */
};

/* in: zeroed, and not to be moved from now on. */
void interest_init(struct interest *in, uint64_t seed);

/* Owner's thread. Every add is undone by one remove with the same filter (without "$share/NAME/").
 */
void interest_add(struct interest *in, struct mqtt_str filter);
void interest_remove(struct interest *in, struct mqtt_str filter);

static inline uint64_t interest_generation(const struct interest *in)
{
    return atomic_load_explicit(&in->generation, memory_order_acquire);
}

/* May a filter of this shard match? name: hashed with the seed of the summary; INTEREST_DEPTH
 * levels are enough. Any thread. */
bool interest_matches(const struct interest *in, const struct trie_levels *name);
#endif

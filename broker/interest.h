/* interest: a summary of one shard's filters that other shards can read without a lock: counters
 * indexed by a hash of each filter's literal prefix ("a/b/+/c" counts at "a/b", depth 2; a filter
 * that starts with a wildcard at depth 0). A publisher looks up one counter a level and skips
 * shards that cannot match. A false positive costs one wasted match; there are no false negatives,
 * as long as everybody uses the same seed.
 *
 * Only the owner writes. Prefixes deeper than INTEREST_DEPTH count at that depth. */
#ifndef BROKER_INTEREST_H
#define BROKER_INTEREST_H
#include "mqtt/str.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define INTEREST_SLOTS 8192
#define INTEREST_DEPTH 8

struct interest {
    _Atomic uint32_t slots[INTEREST_SLOTS]; /* zeroed at the start */
};

/* Slots that a topic name looks at; the same for every shard: computed once per message. */
struct interest_probe {
    uint16_t slots[INTEREST_DEPTH + 1];
    uint8_t n;
};

/* Owner's thread. Every add is undone by one remove with the same filter (without "$share/NAME/").
 */
void interest_add(struct interest *in, uint64_t seed, struct mqtt_str filter);
void interest_remove(struct interest *in, uint64_t seed, struct mqtt_str filter);

void interest_probe(uint64_t seed, struct mqtt_str name, struct interest_probe *out);

/* May a filter of this shard match? Any thread. */
static inline bool interest_matches(const struct interest *in, const struct interest_probe *p)
{
    for (unsigned i = 0; i < p->n; i++)
        if (atomic_load_explicit(&in->slots[p->slots[i]], memory_order_relaxed) != 0)
            return true;
    return false;
}
#endif

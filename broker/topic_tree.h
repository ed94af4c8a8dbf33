/* topic_tree: which subscriptions match a topic name.                    [v5 4.7, 4.8.2] [v3 4.7]
 * One tree per shard, used from that shard's thread only: no locks, clock, I/O or logging. Holds
 * filters and subscriber numbers; sessions, ACL, shared subscriptions and the merging of QoS live
 * above it. Filters and names were checked before they get here: mqtt_filter_check(),
 * mqtt_name_check().
 *
 * Whoever subscribes keeps a struct topic_place for each subscription: with it an entry is changed
 * or removed in O(1), however many subscribers share its filter. */
#ifndef BROKER_TOPIC_TREE_H
#define BROKER_TOPIC_TREE_H
#include "mqtt/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mem;
struct topic_tree;
struct topic_node;
struct trie_levels;

/* Where an entry is; the tree keeps it up to date. Zeroed: nowhere. Must not move in memory while
 * it is somewhere. */
struct topic_place {
    struct topic_node *node; /* NULL: not in the tree */
    uint32_t index;
    bool multi; /* the filter ends in '#' */
};

struct topic_sub {
    uint64_t who;    /* caller's number for a session or a group; the tree never follows it */
    uint32_t sub_id; /* Subscription Identifier, 1..268435455; 0: none */
    uint8_t options; /* options byte of SUBSCRIBE [v5 3.8.3.1]; v3: QoS in bits 1-0 */
    struct topic_place *place;
};

/* All subscribers of one matching filter, borrowed until the function returns; n >= 1. Overlapping
 * filters of one subscriber are reported one by one. 0: go on; anything else stops the walk and is
 * returned by it. Must not change the tree. */
typedef int topic_match_fn(void *arg, const struct topic_sub *subs, size_t n);

/* New empty tree, or NULL when out of memory. Borrows mem, which must outlive the tree. seed: for
 * the hash of level names, unknown to clients. */
struct topic_tree *topic_tree_new(struct mem *mem, uint64_t seed);

/* Free and set *t to NULL. *t may be NULL. Places of remaining entries are left as they are. */
void topic_tree_free(struct topic_tree **t);

/* Add an entry; *place must be nowhere, and is where the entry is afterwards. sub.place is ignored.
 * 0 or -ENOMEM; on error nothing has changed. O(levels in filter). */
int topic_tree_add(struct topic_tree *t, struct mqtt_str filter, struct topic_sub sub,
                   struct topic_place *place);

/* Change the options and identifier of an entry [v5 MQTT-3.8.4-3]. O(1). */
void topic_tree_update(struct topic_place *place, uint8_t options, uint32_t sub_id);

/* Remove the entry at this place, if there is one. O(1), O(levels) when its filter becomes empty.
 */
void topic_tree_remove(struct topic_tree *t, struct topic_place *place);

/* All entries of exactly this filter, and their number; 0 when it is not in the tree. Borrowed
 * until the tree changes. O(levels). */
size_t topic_tree_entries(struct topic_tree *t, struct mqtt_str filter,
                          const struct topic_sub **out_subs);

/* The entry at a place; the length of its filter; and the filter, put together again: bytes
 * written. cap is at least the length. */
const struct topic_sub *topic_place_entry(const struct topic_place *place);
size_t topic_place_filter_len(const struct topic_place *place);
size_t topic_place_filter(const struct topic_place *place, uint8_t *out, size_t cap);

/* Call fn once per matching filter. Bytes are compared as they are [v5 MQTT-4.7.3-4]; a leading
 * wildcard never matches a '$' name [v5 MQTT-4.7.2-1]. Allocates nothing and does not recurse: the
 * client chooses the depth. O(nodes visited), at most min(nodes, 2^levels). Returns 0 or what fn
 * returned. */
int topic_tree_match(struct topic_tree *t, struct mqtt_str name, topic_match_fn *fn, void *arg);

/* The levels of a name, hashed with the tree's seed: as many as the deepest filter has, at least
 * TOPIC_TREE_LEVELS. Borrowed until something is split or matched or added again. */
#define TOPIC_TREE_LEVELS 16
const struct trie_levels *topic_tree_split(struct topic_tree *t, struct mqtt_str name);

/* topic_tree_match() with what topic_tree_split() has said of the same tree and name. */
int topic_tree_match_split(struct topic_tree *t, struct mqtt_str name,
                           const struct trie_levels *levels, topic_match_fn *fn, void *arg);

struct topic_tree_stats {
    size_t nodes, subs;
    uint64_t generation; /* not 0; changes whenever an entry was added or removed */
};
struct topic_tree_stats topic_tree_stats(const struct topic_tree *t); /* O(1) */
#endif

/* trie: the levels of topics as nodes; what topic_tree.c and retained.c have in common. All edges
 * of all nodes are in one hash table, keyed by (parent, level name): one look-up a level, and a
 * node with a million children costs no more than a node with one. */
#ifndef BROKER_TRIE_H
#define BROKER_TRIE_H
#include "base/map.h"
#include "mqtt/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mem;

/* First member of the users' node structs; the name stands behind the whole struct. */
struct trie_node {
    struct trie_node *parent; /* NULL: the root */
    uint32_t children;        /* edges from here */
    uint16_t name_len;
    bool edge; /* reached by an edge; false: by a pointer of the user's */
};

struct trie {
    struct mem *mem;
    struct map edges;
    uint64_t seed;
    size_t node_size; /* of the users' struct */
    size_t nodes;
    unsigned purpose;
};

void trie_init(struct trie *t, struct mem *mem, unsigned purpose, uint64_t seed, size_t node_size);

/* Free the edge table; the nodes are the user's to free first. */
void trie_fini(struct trie *t);

/* The hash of a level name. */
static inline uint64_t trie_hash(const struct trie *t, struct mqtt_str name)
{
    return hash_bytes(t->seed, name.p, name.len);
}

/* The hash of a path, from that of the path in front of its last level (0: the root's), that
 * level's depth (1 for the first) and the hash of its name. */
static inline uint64_t trie_path(uint64_t front, uint32_t depth, uint64_t name_hash)
{
    unsigned __int128 x =
        (unsigned __int128)(name_hash + depth) * (name_hash ^ UINT64_C(0x9E3779B97F4A7C15));

    return front + ((uint64_t)x ^ (uint64_t)(x >> 64));
}

/* A level of a name: where it is, what it adds to the hash of a path, and the hash of the path up
 * to and with it. */
struct trie_level {
    uint32_t at, len;
    uint64_t share, path;
};

/* The first levels of a name. */
struct trie_levels {
    struct trie_level *v;
    uint32_t n, capacity;
    bool whole; /* the name has no more */
};

/* Append the level that starts at *at, and move *at behind it; false when there is none, or no room
 * for it. To begin: n = 0, *at = 0. */
bool trie_next_level(struct trie_levels *l, uint64_t seed, struct mqtt_str name, uint32_t *at);

/* Where a node is: the hash of the path to it, and its depth (0: the root), put together again.
 * O(depth). */
struct trie_place {
    uint64_t path;
    uint32_t depth;
};
struct trie_place trie_place_of(const struct trie *t, const struct trie_node *n);

/* A zeroed node that no edge leads to: a root, or a child behind a pointer of the user's. NULL: out
 * of memory. */
struct trie_node *trie_new_node(struct trie *t, struct trie_node *parent, struct mqtt_str name);

/* Free a node without children, and the edge to it. *place: of the node; afterwards its parent's,
 * for who goes on with that: to free a branch is O(depth) in all. */
void trie_free_node(struct trie *t, struct trie_node *n, struct trie_place *place);

/* The child by this name, or NULL; path: of the child. */
struct trie_node *trie_child(const struct trie *t, const struct trie_node *parent,
                             struct mqtt_str name, uint64_t path);

/* The child by this name, made if need be; NULL: out of memory. */
struct trie_node *trie_add_child(struct trie *t, struct trie_node *parent, struct mqtt_str name,
                                 uint64_t path);

static inline struct mqtt_str trie_name(const struct trie *t, const struct trie_node *n)
{
    return (struct mqtt_str){(const uint8_t *)n + t->node_size, n->name_len};
}

/* Call fn for every node that an edge leads to, in no order; fn may free the node by mem_release().
 * For taking the whole trie down. */
void trie_each(struct trie *t, void (*fn)(void *arg, struct trie_node *n), void *arg);

/* The level that starts at offset at (at <= topic.len); the next one starts at + level.len + 1. */
struct mqtt_str topic_level(struct mqtt_str topic, uint32_t at);
#endif

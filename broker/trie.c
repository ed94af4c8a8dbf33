/* trie: see trie.h. */
#include "broker/trie.h"

#include "base/assert.h"
#include "base/mem.h"

#include <string.h>

struct edge_key {
    const struct trie *trie;
    const struct trie_node *parent;
    struct mqtt_str name;
};

static bool edge_equal(const void *item, const void *key, size_t key_len)
{
    const struct trie_node *n = item;
    const struct edge_key *k = key;

    (void)key_len;
    return n->parent == k->parent && mqtt_str_eq(trie_name(k->trie, n), k->name);
}

struct mqtt_str topic_level(struct mqtt_str topic, uint32_t at)
{
    const uint8_t *from = topic.p + at;
    const uint8_t *slash = memchr(from, '/', topic.len - at);

    return (struct mqtt_str){from, slash != NULL ? (uint32_t)(slash - from) : topic.len - at};
}

void trie_init(struct trie *t, struct mem *mem, unsigned purpose, uint64_t seed, size_t node_size)
{
    *t = (struct trie){.mem = mem, .purpose = purpose, .seed = seed, .node_size = node_size};
    map_init(&t->edges, mem, purpose, edge_equal);
}

void trie_fini(struct trie *t)
{
    map_fini(&t->edges);
}

struct trie_node *trie_new_node(struct trie *t, struct trie_node *parent, struct mqtt_str name)
{
    struct trie_node *n = mem_try_alloc(t->mem, t->purpose, t->node_size + name.len);

    if (n == NULL)
        return NULL;
    memset(n, 0, t->node_size);
    n->parent = parent;
    n->name_len = (uint16_t)name.len;
    if (name.len > 0)
        memcpy((uint8_t *)n + t->node_size, name.p, name.len);
    t->nodes++;
    return n;
}

uint64_t trie_node_path(const struct trie *t, const struct trie_node *n)
{
    const struct trie_node *up;
    uint32_t depth = 0;
    uint64_t path = 0;

    for (up = n; up->parent != NULL; up = up->parent)
        depth++;
    for (; n->parent != NULL; n = n->parent, depth--)
        path = trie_path(path, depth, trie_hash(t, trie_name(t, n)));
    return path;
}

void trie_free_node(struct trie *t, struct trie_node *n)
{
    ASSERT(n->children == 0);
    if (n->edge) {
        struct edge_key key = {t, n->parent, trie_name(t, n)};

        map_remove(&t->edges, trie_node_path(t, n), &key, sizeof key);
        n->parent->children--;
    }
    t->nodes--;
    mem_release(t->mem, t->purpose, n);
}

struct trie_node *trie_child(const struct trie *t, const struct trie_node *parent,
                             struct mqtt_str name, uint64_t path)
{
    struct edge_key key = {t, parent, name};

    return map_find(&t->edges, path, &key, sizeof key);
}

struct trie_node *trie_add_child(struct trie *t, struct trie_node *parent, struct mqtt_str name,
                                 uint64_t path)
{
    struct trie_node *n = trie_child(t, parent, name, path);

    if (n != NULL)
        return n;
    n = trie_new_node(t, parent, name);
    if (n == NULL)
        return NULL;
    if (map_add(&t->edges, path, n) != 0) {
        trie_free_node(t, n);
        return NULL;
    }
    n->edge = true;
    parent->children++;
    return n;
}

void trie_each(struct trie *t, void (*fn)(void *arg, struct trie_node *n), void *arg)
{
    struct trie_node *n;
    uint64_t cursor = 0;

    while ((n = map_next(&t->edges, &cursor)) != NULL)
        fn(arg, n);
}

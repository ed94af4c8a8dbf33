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

bool trie_next_level(struct trie_levels *l, uint64_t seed, struct mqtt_str name, uint32_t *at)
{
    struct mqtt_str level;
    uint64_t share, front = l->n == 0 ? 0 : l->v[l->n - 1].path;

    l->whole = *at > name.len;
    if (l->whole || l->n == l->capacity)
        return false;
    level = topic_level(name, *at);
    share = trie_path(0, l->n + 1, hash_bytes(seed, level.p, level.len));
    l->v[l->n++] = (struct trie_level){*at, level.len, share, front + share};
    *at += level.len + 1;
    return true;
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

/* What a node's level adds to the hash of its path. */
static uint64_t level_share(const struct trie *t, const struct trie_node *n, uint32_t depth)
{
    return trie_path(0, depth, trie_hash(t, trie_name(t, n)));
}

struct trie_place trie_place_of(const struct trie *t, const struct trie_node *n)
{
    struct trie_place place = {0};
    uint32_t depth;

    for (const struct trie_node *up = n; up->parent != NULL; up = up->parent)
        place.depth++;
    for (depth = place.depth; depth > 0; n = n->parent, depth--)
        place.path += level_share(t, n, depth);
    return place;
}

static void node_free(struct trie *t, struct trie_node *n)
{
    t->nodes--;
    mem_release(t->mem, t->purpose, n);
}

void trie_free_node(struct trie *t, struct trie_node *n, struct trie_place *place)
{
    uint64_t share = level_share(t, n, place->depth);

    ASSERT(n->children == 0 && place->depth > 0);
    if (n->edge) {
        struct edge_key key = {t, n->parent, trie_name(t, n)};

        map_remove(&t->edges, place->path, &key, sizeof key);
        n->parent->children--;
    }
    *place = (struct trie_place){place->path - share, place->depth - 1};
    node_free(t, n);
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
        node_free(t, n);
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

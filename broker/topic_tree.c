/* topic_tree: a trie over topic levels (trie.h). Children by literal name are edges, the child "+"
 * is a pointer, and a filter that ends in '#' is held by the node in front of the '#'.
 *
 * Invariants:
 *   1. a node other than the root has an entry, a literal child or a '+' child;
 *   2. entry i of a list has place->node = that node and place->index = i;
 *   3. levels and stack have room for the deepest filter ever added, so that matching never
 * allocates: a walk leaves at most one branch behind per level. */
#include "broker/topic_tree.h"

#include "base/assert.h"
#include "base/mem.h"
#include "broker/purposes.h"
#include "broker/trie.h"

#include <errno.h>
#include <string.h>

#define FIRST_SUBS  1 /* most filters have one subscriber */
#define FIRST_DEPTH TOPIC_TREE_LEVELS

struct subs {
    struct topic_sub *v;
    uint32_t n, capacity;
};

struct topic_node {
    struct trie_node trie;
    struct topic_node *plus; /* child "+" */
    struct subs exact;       /* filters that end here */
    struct subs multi;       /* filters that go on with "/#" and end */
};

/* A branch that the walk has left for later. */
struct branch {
    struct topic_node *node;
    uint64_t path;  /* of node */
    uint32_t depth; /* levels of the name consumed on the way to node */
};

struct topic_tree {
    struct mem *mem;
    struct trie trie;
    struct topic_node *root;
    struct trie_levels levels; /* of the name that is matched */
    struct branch *stack;      /* as many as levels */
    uint64_t plus_hash;        /* of the level "+" */
    size_t subs;
    uint64_t generation;
};

static struct topic_node *parent_of(const struct topic_node *n)
{
    return (struct topic_node *)n->trie.parent;
}

static struct topic_node *find_child(const struct topic_tree *t, const struct topic_node *parent,
                                     struct mqtt_str name, uint64_t path)
{
    return (struct topic_node *)trie_child(&t->trie, &parent->trie, name, path);
}

static struct topic_node *add_plus(struct topic_tree *t, struct topic_node *parent)
{
    if (parent->plus == NULL)
        parent->plus = (struct topic_node *)trie_new_node(&t->trie, &parent->trie, MQTT_STR("+"));
    return parent->plus;
}

static bool is_plus(const struct topic_node *n)
{
    return parent_of(n)->plus == n;
}

static bool is_needed(const struct topic_tree *t, const struct topic_node *n)
{
    return n == t->root || n->trie.children != 0 || n->plus != NULL || n->exact.n != 0 ||
           n->multi.n != 0;
}

/* Free n and its ancestors as far as nothing holds them (invariant 1). */
static void prune(struct topic_tree *t, struct topic_node *n)
{
    struct trie_place place;

    if (is_needed(t, n))
        return;
    place = trie_place_of(&t->trie, &n->trie);
    do {
        struct topic_node *parent = parent_of(n);

        if (is_plus(n))
            parent->plus = NULL;
        trie_free_node(&t->trie, &n->trie, &place);
        n = parent;
    } while (!is_needed(t, n));
}

/* ---- entries ---- */

static struct subs *place_list(const struct topic_place *place)
{
    return place->multi ? &place->node->multi : &place->node->exact;
}

static int subs_push(struct topic_tree *t, struct subs *s, struct topic_sub sub)
{
    if (s->n == s->capacity) {
        uint32_t capacity = s->capacity == 0 ? FIRST_SUBS : s->capacity * 2;
        struct topic_sub *v = mem_try_realloc(t->mem, FOR_TOPIC_TREE, s->v, s->capacity * sizeof *v,
                                              capacity * sizeof *v);

        if (v == NULL)
            return -ENOMEM;
        s->v = v;
        s->capacity = capacity;
    }
    s->v[s->n++] = sub;
    return 0;
}

static void subs_take_out(struct topic_tree *t, struct subs *s, uint32_t i)
{
    s->v[i] = s->v[--s->n];
    s->v[i].place->index = i; /* invariant 2 */
    if (s->n == 0) {
        mem_release(t->mem, FOR_TOPIC_TREE, s->v);
        *s = (struct subs){0};
    }
}

static int reserve_depth(struct topic_tree *t, uint32_t levels)
{
    uint32_t before = t->levels.capacity, depth = before;
    struct trie_level *l;
    struct branch *b;

    while (depth < levels + 2)
        depth *= 2;
    if (depth == before)
        return 0;
    b = mem_try_realloc(t->mem, FOR_TOPIC_TREE, t->stack, before * sizeof *b, depth * sizeof *b);
    if (b == NULL)
        return -ENOMEM;
    t->stack = b;
    l = mem_try_realloc(t->mem, FOR_TOPIC_TREE, t->levels.v, before * sizeof *l, depth * sizeof *l);
    if (l == NULL)
        return -ENOMEM;
    t->levels.v = l;
    t->levels.capacity = depth;
    return 0;
}

/* Walk down the filter, making nodes on the way. *out_node is the node of the last level before a
 * '#'; on error it is the last node reached, for pruning. */
static int descend(struct topic_tree *t, struct mqtt_str filter, struct topic_node **out_node,
                   bool *out_multi)
{
    uint32_t at = 0, levels = 0;
    uint64_t path = 0;

    *out_node = t->root;
    *out_multi = false;
    while (at <= filter.len) {
        struct mqtt_str name = topic_level(filter, at);
        struct topic_node *child;

        at += name.len + 1;
        if (name.len == 1 && name.p[0] == '#') {
            *out_multi = true;
            break;
        }
        path = trie_path(path, ++levels, trie_hash(&t->trie, name));
        if (name.len == 1 && name.p[0] == '+')
            child = add_plus(t, *out_node);
        else
            child = (struct topic_node *)trie_add_child(&t->trie, &(*out_node)->trie, name, path);
        if (child == NULL)
            return -ENOMEM;
        *out_node = child;
    }
    return reserve_depth(t, levels);
}

/* ---- matching ---- */

static int report(const struct subs *s, topic_match_fn *fn, void *arg)
{
    return s->n == 0 ? 0 : fn(arg, s->v, s->n);
}

/* Report n, reached with all of the name consumed. */
static int report_end(const struct topic_node *n, topic_match_fn *fn, void *arg)
{
    int rc = report(&n->exact, fn, arg);

    return rc != 0 ? rc : report(&n->multi, fn, arg); /* "a/#" matches "a" too [v5 4.7.1.2] */
}

/* ---- public ---- */

struct topic_tree *topic_tree_new(struct mem *mem, uint64_t seed)
{
    struct topic_tree *t = mem_try_alloc(mem, FOR_TOPIC_TREE, sizeof *t);

    if (t == NULL)
        return NULL;
    *t = (struct topic_tree){.mem = mem, .levels.capacity = FIRST_DEPTH, .generation = 1};
    trie_init(&t->trie, mem, FOR_TOPIC_TREE, seed, sizeof *t->root);
    t->plus_hash = trie_hash(&t->trie, MQTT_STR("+"));
    t->root = (struct topic_node *)trie_new_node(&t->trie, NULL, (struct mqtt_str){NULL, 0});
    t->levels.v = mem_try_alloc(mem, FOR_TOPIC_TREE, FIRST_DEPTH * sizeof *t->levels.v);
    t->stack = mem_try_alloc(mem, FOR_TOPIC_TREE, FIRST_DEPTH * sizeof *t->stack);
    if (t->root == NULL || t->levels.v == NULL || t->stack == NULL)
        topic_tree_free(&t);
    return t;
}

/* Free a node and the '+' children behind it, which no edge leads to. Their own literal children
 * are edges of their own. */
static void free_with_plus(void *arg, struct trie_node *node)
{
    struct topic_tree *t = arg;
    struct topic_node *n = (struct topic_node *)node;

    while (n != NULL) {
        struct topic_node *next = n->plus;

        mem_release(t->mem, FOR_TOPIC_TREE, n->exact.v);
        mem_release(t->mem, FOR_TOPIC_TREE, n->multi.v);
        mem_release(t->mem, FOR_TOPIC_TREE, n);
        n = next;
    }
}

void topic_tree_free(struct topic_tree **tree)
{
    struct topic_tree *t = *tree;

    *tree = NULL;
    if (t == NULL)
        return;
    trie_each(&t->trie, free_with_plus, t);
    if (t->root != NULL)
        free_with_plus(t, &t->root->trie);
    trie_fini(&t->trie);
    mem_release(t->mem, FOR_TOPIC_TREE, t->levels.v);
    mem_release(t->mem, FOR_TOPIC_TREE, t->stack);
    mem_release(t->mem, FOR_TOPIC_TREE, t);
}

int topic_tree_add(struct topic_tree *t, struct mqtt_str filter, struct topic_sub sub,
                   struct topic_place *place)
{
    struct topic_node *n;
    bool multi;
    int rc;

    ASSERT(place->node == NULL);
    sub.place = place;
    rc = descend(t, filter, &n, &multi);
    if (rc == 0)
        rc = subs_push(t, multi ? &n->multi : &n->exact, sub);
    if (rc != 0) {
        prune(t, n);
        return rc;
    }
    *place = (struct topic_place){n, (multi ? n->multi.n : n->exact.n) - 1, multi};
    t->subs++;
    t->generation++;
    return 0;
}

void topic_tree_update(struct topic_place *place, uint8_t options, uint32_t sub_id)
{
    struct topic_sub *sub = &place_list(place)->v[place->index];

    sub->options = options;
    sub->sub_id = sub_id;
}

void topic_tree_remove(struct topic_tree *t, struct topic_place *place)
{
    struct topic_node *n = place->node;
    struct subs *s;

    if (n == NULL)
        return;
    s = place_list(place);
    ASSERT(place->index < s->n && s->v[place->index].place == place);
    subs_take_out(t, s, place->index);
    *place = (struct topic_place){0};
    t->subs--;
    t->generation++;
    prune(t, n);
}

size_t topic_tree_entries(struct topic_tree *t, struct mqtt_str filter,
                          const struct topic_sub **out_subs)
{
    struct topic_node *n = t->root;
    const struct subs *s = NULL;
    uint32_t at = 0, depth = 0;
    uint64_t path = 0;

    while (at <= filter.len && n != NULL && s == NULL) {
        struct mqtt_str name = topic_level(filter, at);

        at += name.len + 1;
        path = trie_path(path, ++depth, trie_hash(&t->trie, name));
        if (name.len == 1 && name.p[0] == '#')
            s = &n->multi;
        else if (name.len == 1 && name.p[0] == '+')
            n = n->plus;
        else
            n = find_child(t, n, name, path);
    }
    if (n == NULL)
        return 0;
    if (s == NULL)
        s = &n->exact;
    *out_subs = s->v;
    return s->n;
}

const struct topic_sub *topic_place_entry(const struct topic_place *place)
{
    return &place_list(place)->v[place->index];
}

size_t topic_place_filter_len(const struct topic_place *place)
{
    size_t len = place->multi ? 2 : 0; /* each level with the '/' behind it */

    for (const struct topic_node *n = place->node; n->trie.parent != NULL; n = parent_of(n))
        len += n->trie.name_len + 1u;
    return len - 1;
}

/* Put text in front of what stands behind at. */
static size_t prepend(uint8_t *out, size_t at, const void *text, size_t len)
{
    ASSERT(len <= at);
    memcpy(out + at - len, text, len);
    return at - len;
}

size_t topic_place_filter(const struct topic_place *place, uint8_t *out, size_t cap)
{
    const struct topic_node *n = place->node;
    size_t at = cap;
    bool last = !place->multi;

    if (place->multi)
        at = prepend(out, at, "#", 1);
    for (; n->trie.parent != NULL; n = parent_of(n), last = false) {
        if (!last)
            at = prepend(out, at, "/", 1);
        at = prepend(out, at, n + 1, n->trie.name_len); /* it stands behind the struct: trie.h */
    }
    memmove(out, out + at, cap - at);
    return cap - at;
}

/* Where a walk is: at a node, with so many levels of the name consumed. */
struct walk {
    struct topic_node *node;
    uint64_t path;
    uint32_t depth;
    uint32_t left; /* branches on the stack */
};

/* Go down to the literal child, and leave the '+' child for later. */
static void step(struct topic_tree *t, struct mqtt_str name, struct walk *w, bool wildcards)
{
    const struct trie_level *l = &t->levels.v[w->depth];
    struct topic_node *n = w->node;
    uint64_t front = w->path;

    w->depth++;
    w->path = front + l->share;
    if (n->plus != NULL && wildcards) {
        __builtin_prefetch(n->plus);
        t->stack[w->left++] =
            (struct branch){n->plus, trie_path(front, w->depth, t->plus_hash), w->depth};
    }
    w->node = n->trie.children == 0
                  ? NULL
                  : find_child(t, n, (struct mqtt_str){name.p + l->at, l->len}, w->path);
}

/* Take the branch left last; false when there is none. */
static bool next_branch(struct topic_tree *t, struct walk *w)
{
    const struct branch *b;

    if (w->left == 0)
        return false;
    b = &t->stack[--w->left];
    w->node = b->node;
    w->path = b->path;
    w->depth = b->depth;
    return true;
}

/* The memory of the look-ups to come is being fetched when this returns. */
const struct trie_levels *topic_tree_split(struct topic_tree *t, struct mqtt_str name)
{
    struct trie_levels *l = &t->levels;
    uint32_t at = 0;

    l->n = 0;
    while (trie_next_level(l, t->trie.seed, name, &at))
        map_prefetch(&t->trie.edges, l->v[l->n - 1].path);
    for (uint32_t i = 0; i < l->n; i++)
        __builtin_prefetch(map_hint(&t->trie.edges, l->v[i].path));
    return l;
}

int topic_tree_match_split(struct topic_tree *t, struct mqtt_str name,
                           const struct trie_levels *levels, topic_match_fn *fn, void *arg)
{
    bool dollar = name.len > 0 && name.p[0] == '$';
    struct walk w = {.node = t->root};
    int rc = 0;

    while (rc == 0 && (w.node != NULL || next_branch(t, &w))) {
        bool wildcards = w.depth > 0 || !dollar; /* [v5 MQTT-4.7.2-1] */

        if (w.depth == levels->n) {
            rc = levels->whole ? report_end(w.node, fn, arg) : report(&w.node->multi, fn, arg);
            w.node = NULL;
        } else {
            rc = wildcards ? report(&w.node->multi, fn, arg) : 0;
            step(t, name, &w, wildcards);
        }
    }
    return rc;
}

int topic_tree_match(struct topic_tree *t, struct mqtt_str name, topic_match_fn *fn, void *arg)
{
    return topic_tree_match_split(t, name, topic_tree_split(t, name), fn, arg);
}

struct topic_tree_stats topic_tree_stats(const struct topic_tree *t)
{
    return (struct topic_tree_stats){t->trie.nodes, t->subs, t->generation};
}

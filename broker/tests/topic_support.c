/* topic_support: see topic_support.h. */
#include "topic_support.h"

#include "base/mem.h"
#include "broker/purposes.h"
#include "broker/topic_tree.h"
#include "mqtt/topic.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

uint8_t next_byte(struct bytes *b)
{
    return b->at < b->len ? b->p[b->at++] : 0;
}

struct mqtt_str topic_str(const struct topic *t)
{
    return (struct mqtt_str){t->p, t->len};
}

static void append(struct topic *t, const char *text)
{
    size_t len = strlen(text);

    memcpy(t->p + t->len, text, len);
    t->len += (uint32_t)len;
}

static struct topic make(struct bytes *b, const char *const *levels, unsigned choice)
{
    unsigned shape = next_byte(b);
    unsigned n = shape < 250 ? shape % 5 : 20 + shape % 5;
    struct topic t = {.len = 0};

    for (unsigned i = 0; i <= n; i++) {
        append(&t, i == 0 ? "" : "/");
        append(&t, levels[next_byte(b) % choice]);
    }
    if (t.len == 0)
        append(&t, "a"); /* a topic has at least one character */
    return t;
}

struct topic make_name(struct bytes *b)
{
    static const char *const levels[] = {"a", "b", "", "a", "$x", "ab", "b", "a"};

    return make(b, levels, 8);
}

struct topic make_filter(struct bytes *b)
{
    static const char *const levels[] = {"a", "b", "", "+", "$x", "ab", "+", "a"};
    bool multi = next_byte(b) % 4 == 0;
    struct topic t = make(b, levels, 8);

    if (multi)
        append(&t, "/#");
    else if (next_byte(b) % 32 == 0)
        t = (struct topic){.p = {'#'}, .len = 1};
    return t;
}

/* ---- a tree and a list ---- */

#define SUBS 64

struct sub {
    bool in, reported;
    struct topic filter, path;
    struct topic_sub want;
    struct topic_place place;
};

struct game {
    struct mem *mem;
    struct topic_tree *tree;
    struct sub subs[SUBS];
    uint64_t generation;
    int wrong; /* line of the first check that failed */
};

#define MUST(cond) (void)(g->wrong != 0 || (cond) || (g->wrong = __LINE__))

static struct sub *sub_of(struct game *g, const struct topic_sub *entry)
{
    MUST(entry->who < SUBS);
    return &g->subs[entry->who % SUBS];
}

static void check_entry(struct game *g, const struct topic_sub *entry)
{
    const struct sub *s = sub_of(g, entry);

    MUST(s->in && entry->place == &s->place);
    MUST(entry->options == s->want.options && entry->sub_id == s->want.sub_id);
}

static void check_place(struct game *g, const struct sub *s)
{
    uint8_t text[TOPIC_MAX + 1];
    size_t len;

    if (!s->in) {
        MUST(s->place.node == NULL);
        return;
    }
    len = topic_place_filter_len(&s->place);
    MUST(len == s->filter.len);
    MUST(topic_place_filter(&s->place, text, len) == len && memcmp(text, s->filter.p, len) == 0);
    MUST(topic_place_filter(&s->place, text, sizeof text) == len);
    MUST(memcmp(text, s->filter.p, len) == 0);
    MUST(sub_of(g, topic_place_entry(&s->place)) == s);
    check_entry(g, topic_place_entry(&s->place));
}

/* The filter's levels, each with a '/' behind it, but for '#': each '/' ends what is a node. */
static struct topic path_of(const struct topic *filter)
{
    struct topic path = *filter;

    if (path.p[path.len - 1] == '#')
        path.len--;
    else
        append(&path, "/");
    return path;
}

static int by_bytes(const void *a, const void *b)
{
    const struct topic *x = *(const struct topic *const *)a, *y = *(const struct topic *const *)b;
    int rc = memcmp(x->p, y->p, x->len < y->len ? x->len : y->len);

    return rc != 0 ? rc : (x->len > y->len) - (x->len < y->len);
}

/* Bytes that both begin with. */
static uint32_t common(const struct topic *a, const struct topic *b)
{
    uint32_t n = 0;

    while (n < a->len && n < b->len && a->p[n] == b->p[n])
        n++;
    return n;
}

/* Nodes that the filters need: the root, and one for each path that no filter before it has had.
 * What a filter shares with any before it, it shares with its neighbour, when they are sorted. */
static size_t count_nodes(const struct game *g)
{
    const struct topic *sorted[SUBS];
    size_t nodes = 1, n = 0;

    for (unsigned i = 0; i < SUBS; i++)
        if (g->subs[i].in)
            sorted[n++] = &g->subs[i].path;
    qsort(sorted, n, sizeof sorted[0], by_bytes);
    for (size_t i = 0; i < n; i++)
        for (uint32_t at = i == 0 ? 0 : common(sorted[i - 1], sorted[i]); at < sorted[i]->len; at++)
            nodes += sorted[i]->p[at] == '/';
    return nodes;
}

static void check_all(struct game *g)
{
    struct topic_tree_stats stats = topic_tree_stats(g->tree);
    size_t in = 0;

    for (unsigned i = 0; i < SUBS; i++) {
        in += g->subs[i].in;
        check_place(g, &g->subs[i]);
    }
    MUST(stats.subs == in);
    MUST(stats.nodes == count_nodes(g));
    MUST(stats.generation == g->generation);
}

static void add(struct game *g, unsigned i, const struct topic *filter, uint8_t options)
{
    struct sub *s = &g->subs[i % SUBS];

    if (s->in)
        return;
    s->filter = *filter;
    s->path = path_of(filter);
    s->want = (struct topic_sub){.who = i % SUBS, .sub_id = options * 7u, .options = options};
    s->in = topic_tree_add(g->tree, topic_str(filter), s->want, &s->place) == 0;
    g->generation += s->in; /* else memory was made to fail */
}

static void take_out(struct game *g, unsigned i)
{
    struct sub *s = &g->subs[i % SUBS];

    g->generation += s->in;
    s->in = false;
    topic_tree_remove(g->tree, &s->place);
}

static void change(struct game *g, unsigned i, uint8_t options)
{
    struct sub *s = &g->subs[i % SUBS];

    if (!s->in)
        return;
    s->want.options = options;
    s->want.sub_id = options * 11u;
    topic_tree_update(&s->place, options, s->want.sub_id);
}

static int on_match(void *arg, const struct topic_sub *subs, size_t n)
{
    struct game *g = arg;

    MUST(n > 0);
    for (size_t i = 0; i < n; i++) {
        struct sub *s = sub_of(g, &subs[i]);

        check_entry(g, &subs[i]);
        MUST(!s->reported);
        s->reported = true;
        MUST(mqtt_str_eq(topic_str(&s->filter), topic_str(&sub_of(g, &subs[0])->filter)));
    }
    return 0;
}

static void match(struct game *g, const struct topic *name)
{
    for (unsigned i = 0; i < SUBS; i++)
        g->subs[i].reported = false;
    MUST(topic_tree_match(g->tree, topic_str(name), on_match, g) == 0);
    for (unsigned i = 0; i < SUBS; i++) {
        const struct sub *s = &g->subs[i];
        bool want = s->in && mqtt_filter_matches(topic_str(&s->filter), topic_str(name));

        MUST(s->reported == want);
    }
}

static void entries(struct game *g, const struct topic *filter)
{
    const struct topic_sub *subs = NULL;
    size_t n = topic_tree_entries(g->tree, topic_str(filter), &subs), want = 0;

    for (unsigned i = 0; i < SUBS; i++)
        want += g->subs[i].in && mqtt_str_eq(topic_str(&g->subs[i].filter), topic_str(filter));
    MUST(n == want);
    for (size_t i = 0; i < n; i++) {
        check_entry(g, &subs[i]);
        MUST(mqtt_str_eq(topic_str(&sub_of(g, &subs[i])->filter), topic_str(filter)));
    }
}

static void operate(struct game *g, struct bytes *b)
{
    uint8_t op = next_byte(b), i = next_byte(b);
    struct topic topic;

    switch (op % 8) {
    case 0: take_out(g, i); break;
    case 1: change(g, i, next_byte(b)); break;
    case 2:
        topic = make_name(b);
        match(g, &topic);
        break;
    case 3:
        topic = make_filter(b);
        entries(g, &topic);
        break;
    case 4: /* many on one filter */
        topic = make_filter(b);
        for (uint8_t k = 0; k < 10; k++)
            add(g, i + k, &topic, k);
        break;
    case 5:
        topic = make_filter(b);
        mem_fail_at(g->mem, 1 + op / 8 % 8);
        add(g, i, &topic, op);
        mem_fail_at(g->mem, 0);
        break;
    default:
        topic = make_filter(b);
        add(g, i, &topic, op);
        break;
    }
}

int topic_tree_play(const uint8_t *data, size_t len)
{
    struct bytes b = {.p = data, .len = len};
    struct game game = {.mem = mem_new(), .generation = 1}, *g = &game;

    g->tree = topic_tree_new(g->mem, next_byte(&b));
    while (b.at < b.len && g->wrong == 0) {
        operate(g, &b);
        check_all(g);
    }
    for (unsigned i = 0; i < SUBS && len % 2 == 0; i++) { /* else there is something left to free */
        take_out(g, i * 5);
        check_all(g);
    }
    topic_tree_free(&g->tree);
    MUST(g->tree == NULL && mem_used(g->mem, FOR_TOPIC_TREE) == 0);
    mem_free(&g->mem);
    return g->wrong;
}

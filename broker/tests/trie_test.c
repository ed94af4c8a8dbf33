/* trie_test: nodes and edges; what topic_tree and retained build on. */
#include "base/env.h"
#include "base/mem.h"
#include "base/test.h"
#include "broker/purposes.h"
#include "broker/trie.h"

struct node {
    struct trie_node trie;
    unsigned mark;
};

static struct mem *mem;
static struct trie trie;
static struct node *root;

static struct mqtt_str str(const char *text)
{
    return (struct mqtt_str){(const uint8_t *)text, (uint32_t)strlen(text)};
}

static void setup(void)
{
    mem = mem_new();
    trie_init(&trie, mem, FOR_TOPIC_TREE, 77, sizeof(struct node));
    root = (struct node *)trie_new_node(&trie, NULL, str(""));
}

static void teardown(void)
{
    mem_release(mem, FOR_TOPIC_TREE, root);
    trie_fini(&trie);
    CHECK_INT(mem_used(mem, FOR_TOPIC_TREE), 0);
    mem_free(&mem);
}

/* The node of a topic, made where it is missing. */
static struct node *make(const char *topic)
{
    struct mqtt_str t = str(topic);
    struct trie_node *n = &root->trie;
    uint64_t path = 0;
    uint32_t depth = 0;

    for (uint32_t at = 0; at <= t.len && n != NULL;) {
        struct mqtt_str name = topic_level(t, at);

        path = trie_path(path, ++depth, trie_hash(&trie, name));
        n = trie_add_child(&trie, n, name, path);
        at += name.len + 1;
    }
    return (struct node *)n;
}

static struct node *find(const char *topic)
{
    struct mqtt_str t = str(topic);
    struct trie_node *n = &root->trie;
    uint64_t path = 0;
    uint32_t depth = 0;

    for (uint32_t at = 0; at <= t.len && n != NULL;) {
        struct mqtt_str name = topic_level(t, at);

        path = trie_path(path, ++depth, trie_hash(&trie, name));
        n = trie_child(&trie, n, name, path);
        at += name.len + 1;
    }
    return (struct node *)n;
}

/* Free a node and those above it that have no other children. */
static void drop(struct node *n)
{
    struct trie_place place = trie_place_of(&trie, &n->trie);
    struct trie_node *up = &n->trie;

    while (up != &root->trie && up->children == 0) {
        struct trie_node *parent = up->parent;

        trie_free_node(&trie, up, &place);
        CHECK_INT(place.path, trie_place_of(&trie, parent).path);
        CHECK_INT(place.depth, trie_place_of(&trie, parent).depth);
        up = parent;
    }
}

static void test_levels(void)
{
    static const struct {
        const char *topic, *levels[5];
    } rows[] = {
        {"a", {"a"}},
        {"a/b", {"a", "b"}},
        {"/", {"", ""}},
        {"a/", {"a", ""}},
        {"/a", {"", "a"}},
        {"//", {"", "", ""}},
        {"ab//c", {"ab", "", "c"}},
        {"", {""}},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mqtt_str topic = str(rows[i].topic);
        unsigned n = 0;

        for (uint32_t at = 0; at <= topic.len; n++) {
            struct mqtt_str level = topic_level(topic, at);

            if (CHECK_ROW(i, rows[i].levels[n] != NULL))
                CHECK_ROW(i, mqtt_str_eq(level, str(rows[i].levels[n])));
            at += level.len + 1;
        }
        CHECK_ROW(i, rows[i].levels[n] == NULL);
    }
}

static void test_nodes(void)
{
    struct node *ab, *ac;

    setup();
    CHECK_INT(trie.nodes, 1);
    ab = make("a/b");
    CHECK(ab != NULL && make("a/b") == ab && find("a/b") == ab);
    CHECK_INT(ab->mark, 0);
    CHECK_INT(trie.nodes, 3);
    ac = make("a/c");
    CHECK(ac != ab && ac->trie.parent == ab->trie.parent);
    CHECK(mqtt_str_eq(trie_name(&trie, &ac->trie), str("c")));
    CHECK_INT(find("a")->trie.children, 2);
    CHECK(find("b") == NULL && find("a/b/c") == NULL && find("a/") == NULL);
    CHECK_INT(trie_place_of(&trie, &ac->trie).depth, 2);
    CHECK_INT(trie_place_of(&trie, &root->trie).depth, 0);
    drop(ab);
    CHECK(find("a/b") == NULL && find("a/c") == ac);
    CHECK_INT(root->trie.children, 1);
    drop(ac);
    CHECK_INT(trie.nodes, 1);
    CHECK_INT(root->trie.children, 0);
    teardown();
}

/* A child behind a pointer of the user's counts for depth and path, but has no edge. */
static void test_without_edge(void)
{
    struct trie_node *plus, *below;
    struct trie_place place;
    uint64_t path;

    setup();
    plus = trie_new_node(&trie, &root->trie, str("+"));
    path = trie_path(trie_path(0, 1, trie_hash(&trie, str("+"))), 2, trie_hash(&trie, str("x")));
    below = trie_add_child(&trie, plus, str("x"), path);
    CHECK_INT(root->trie.children, 0);
    CHECK_INT(plus->children, 1);
    place = trie_place_of(&trie, below);
    CHECK_INT(place.path, path);
    CHECK_ABORTS(trie_free_node(&trie, plus, &place)); /* not with children */
    trie_free_node(&trie, below, &place);
    trie_free_node(&trie, plus, &place);
    CHECK_INT(place.depth, 0);
    CHECK_INT(place.path, 0);
    teardown();
}

static void count(void *arg, struct trie_node *n)
{
    *(unsigned *)arg += ((struct node *)n)->mark;
    mem_release(mem, FOR_TOPIC_TREE, n);
}

/* Many children of one node, dropped in another order; and all of them taken down at once. */
static void test_many(void)
{
    enum { N = 3000 };
    static struct node *nodes[N];
    unsigned sum = 0;
    char text[32];

    setup();
    for (unsigned i = 0; i < N; i++) {
        snprintf(text, sizeof text, "x/%u", i);
        nodes[i] = make(text);
        nodes[i]->mark = 1;
    }
    CHECK_INT(trie.nodes, N + 2);
    for (unsigned i = 0; i < N / 2; i++) {
        unsigned at = i * 1999 % N;

        snprintf(text, sizeof text, "x/%u", at);
        CHECK_ROW(i, find(text) == nodes[at]);
        drop(nodes[at]);
        CHECK_ROW(i, find(text) == NULL);
    }
    CHECK_INT(trie.nodes, N - N / 2 + 2);
    trie_each(&trie, count, &sum);
    CHECK_INT(sum, N - N / 2);
    teardown();
}

/* Whichever allocation fails, there is no node more than before, and no edge. */
static void test_no_memory(void)
{
    struct trie_node *n = NULL;
    unsigned at = 0;

    setup();
    make("other");
    do {
        uint64_t path = trie_path(0, 1, trie_hash(&trie, str("new")));

        mem_fail_at(mem, ++at);
        n = trie_add_child(&trie, &root->trie, str("new"), path);
        mem_fail_at(mem, 0);
        CHECK_ROW_INT(at, trie.nodes, n == NULL ? 2 : 3);
        CHECK_ROW_INT(at, root->trie.children, n == NULL ? 1 : 2);
    } while (n == NULL && at < 10);
    CHECK(at > 1);
    drop(find("new"));
    drop(find("other"));
    teardown();
}

TEST_MAIN(test_levels, test_nodes, test_without_edge, test_many, test_no_memory)

/* topic_tree_test: which filters match which names, and what the tree is like afterwards. */
#include "broker/topic_tree.h"

#include "base/env.h"
#include "base/mem.h"
#include "base/test.h"
#include "broker/purposes.h"
#include "mqtt/topic.h"
#include "topic_support.h"

#include <errno.h>

#define LONGEST UINT16_MAX

static struct mem *mem;
static struct topic_tree *tree;

static void setup(void)
{
    mem = mem_new();
    tree = topic_tree_new(mem, 1);
}

static void teardown(void)
{
    topic_tree_free(&tree);
    CHECK(tree == NULL);
    CHECK_INT(mem_used(mem, FOR_TOPIC_TREE), 0);
    mem_free(&mem);
}

static struct mqtt_str str(const char *text)
{
    return (struct mqtt_str){(const uint8_t *)text, (uint32_t)strlen(text)};
}

static int add(const char *filter, uint64_t who, struct topic_place *place)
{
    return topic_tree_add(tree, str(filter), (struct topic_sub){.who = who}, place);
}

/* What a match has found. */
struct found {
    unsigned calls, subs;
    uint64_t sum; /* of all numbers */
    int answer;   /* to be returned to the tree */
};

static int on_match(void *arg, const struct topic_sub *subs, size_t n)
{
    struct found *f = arg;

    CHECK(n >= 1);
    f->calls++;
    f->subs += (unsigned)n;
    for (size_t i = 0; i < n; i++)
        f->sum += subs[i].who;
    return f->answer;
}

static struct found match(struct mqtt_str name)
{
    struct found f = {0};

    CHECK_INT(topic_tree_match(tree, name, on_match, &f), 0);
    return f;
}

/* ---- the rules [v5 4.7] [v3 4.7] ---- */

static const struct row {
    const char *filter, *name;
    bool matches;
} rows[] = {
    {"sport/tennis/player1", "sport/tennis/player1", true},
    {"sport/tennis/player1", "sport/tennis/player", false},
    {"sport/tennis/player1", "sport/tennis", false},
    {"sport/tennis", "sport/tennis/player1", false},
    {"Sport", "sport", false}, /* [v5 MQTT-4.7.3-4] */
    {"a b", "a b", true},
    {"a b", "a  b", false},
    /* '#' stands for any levels, its parent included [v5 4.7.1.2] */
    {"sport/#", "sport", true},
    {"sport/#", "sport/", true},
    {"sport/#", "sport/a", true},
    {"sport/#", "sport/a/b", true},
    {"sport/#", "sports", false},
    {"sport/#", "/sport", false},
    {"a/b/#", "a", false},
    {"a/b/#", "a/b", true},
    {"a/b/#", "a/b/c/d/e/f", true},
    {"#", "a", true},
    {"#", "/", true},
    {"#", "/a", true},
    {"#", "a/b/c", true},
    {"/#", "/", true},
    {"/#", "/a/b", true},
    {"/#", "a", false},
    {"//#", "/", true},
    {"//#", "//", true},
    {"//#", "/a", false},
    /* '+' stands for exactly one level, which may be empty [v5 4.7.1.3] */
    {"+", "a", true},
    {"+", "/a", false},
    {"+", "a/b", false},
    {"+", "a/", false},
    {"+/+", "/a", true},
    {"+/+", "a/", true},
    {"+/+", "/", true},
    {"+/+", "a/b", true},
    {"+/+", "a", false},
    {"+/+", "a/b/c", false},
    {"/+", "/a", true},
    {"/+", "/", true},
    {"/+", "a", false},
    {"/+", "//", false},
    {"a/+", "a/", true},
    {"a/+", "a/b", true},
    {"a/+", "a", false},
    {"a/+", "a/b/c", false},
    {"+/b", "a/b", true},
    {"+/b", "/b", true},
    {"+/b", "b", false},
    {"a/+/c", "a/b/c", true},
    {"a/+/c", "a//c", true},
    {"a/+/c", "a/c", false},
    {"a/+/c", "a/b/b/c", false},
    {"+/+/+", "a/b/c", true},
    {"+/+/+", "//", true},
    {"+/+/+", "/", false},
    {"a/+/#", "a/b", true},
    {"a/+/#", "a//x", true},
    {"a/+/#", "a/b/c", true},
    {"a/+/#", "a", false},
    {"+/#", "a", true},
    {"+/#", "/", true},
    {"+/#", "a/b/c", true},
    {"+/tennis/#", "sport/tennis", true},
    {"+/tennis/#", "sport/tennis/x", true},
    {"+/tennis/#", "tennis/x", false},
    {"+/a/+/b", "x/a/y/b", true},
    {"+/a/+/b", "a/a/b/b", true},
    {"+/a/+/b", "a/a/b", false},
    /* empty levels count */
    {"/", "/", true},
    {"/", "//", false},
    {"//", "//", true},
    {"/finance", "/finance", true},
    {"/finance", "finance", false},
    {"finance", "/finance", false},
    {"a/", "a/", true},
    {"a/", "a", false},
    {"a", "a/", false},
    {"a//b", "a//b", true},
    {"a//b", "a/b", false},
    /* a leading wildcard does not match a name with '$' [v5 MQTT-4.7.2-1] [v3 MQTT-4.7.2-1] */
    {"#", "$SYS/x", false},
    {"#", "$", false},
    {"+", "$a", false},
    {"+/#", "$a", false},
    {"+/+", "$a/b", false},
    {"+/monitor/Clients", "$SYS/monitor/Clients", false},
    {"$SYS/#", "$SYS", true},
    {"$SYS/#", "$SYS/", true},
    {"$SYS/#", "$SYS/x", true},
    {"$SYS/#", "x", false},
    {"$SYS/#", "SYS/x", false},
    {"$SYS/+/x", "$SYS/a/x", true},
    {"$SYS/monitor/+", "$SYS/monitor/Clients", true},
    {"$SYS", "$SYS", true},
    {"$", "$", true},
    {"a/#", "a/$b", true}, /* only the first level counts */
    {"a/+", "a/$b", true},
    {"/#", "/$b", true},
    {"/+", "/$b", true},
    {"+/+", "/$b", true},
    {"#", "a$", true},
    {"+", "a$", true},
    /* bytes, not characters */
    {"\xc3\xa4/+", "\xc3\xa4/\xe2\x82\xac", true},
    {"\xc3\xa4", "a\xcc\x88", false}, /* the same letter, composed and not */
    {"+/\xf0\x9f\x90\xb8", "x/\xf0\x9f\x90\xb8", true},
    {"\xef\xbb\xbf"
     "a",
     "a", false}, /* U+FEFF is a character [v5 MQTT-1.5.4-3] */
};

#define ROWS (sizeof rows / sizeof rows[0])

static void test_rows(void)
{
    for (size_t i = 0; i < ROWS; i++) {
        struct topic_place place = {0};

        CHECK_ROW(i, mqtt_filter_check(str(rows[i].filter)));
        CHECK_ROW(i, mqtt_name_check(str(rows[i].name)));
        CHECK_ROW_INT(i, mqtt_filter_matches(str(rows[i].filter), str(rows[i].name)),
                      rows[i].matches);
        setup();
        CHECK_ROW_INT(i, add(rows[i].filter, 1, &place), 0);
        CHECK_ROW_INT(i, match(str(rows[i].name)).calls, rows[i].matches);
        topic_tree_remove(tree, &place);
        CHECK_ROW_INT(i, match(str(rows[i].name)).calls, 0);
        CHECK_ROW_INT(i, topic_tree_stats(tree).nodes, 1);
        teardown();
    }
}

/* All filters of the table in one tree: every name finds its own, and no other. */
static void test_rows_together(void)
{
    static struct topic_place places[ROWS];

    setup();
    for (size_t i = 0; i < ROWS; i++)
        CHECK_ROW_INT(i, add(rows[i].filter, UINT64_C(1) << (i % 64), &places[i]), 0);
    CHECK_INT(topic_tree_stats(tree).subs, ROWS);
    for (size_t i = 0; i < ROWS; i++) {
        struct found got = match(str(rows[i].name)), want = {0};

        for (size_t k = 0; k < ROWS; k++) {
            if (mqtt_filter_matches(str(rows[k].filter), str(rows[i].name))) {
                want.subs++;
                want.sum += UINT64_C(1) << (k % 64);
            }
        }
        CHECK_ROW_INT(i, got.subs, want.subs);
        CHECK_ROW_INT(i, got.sum, want.sum);
    }
    for (size_t i = 0; i < ROWS; i++) {
        uint8_t text[64];
        size_t len = topic_place_filter_len(&places[i]);

        CHECK_ROW_INT(i, len, strlen(rows[i].filter));
        CHECK_ROW_INT(i, topic_place_filter(&places[i], text, sizeof text), len);
        CHECK_ROW(i, memcmp(text, rows[i].filter, len) == 0);
    }
    teardown(); /* with everything in it */
}

/* ---- as long and as deep as can be ---- */

/* LONGEST bytes: one, '/', one, '/', ... one: 32768 levels. */
static struct mqtt_str levels_of(char one)
{
    uint8_t *p = malloc(LONGEST);

    for (unsigned i = 0; i < LONGEST; i++)
        p[i] = (uint8_t)(i % 2 == 0 ? one : '/');
    return (struct mqtt_str){p, LONGEST};
}

static struct mqtt_str run_of(char one)
{
    return (struct mqtt_str){memset(malloc(LONGEST), one, LONGEST), LONGEST};
}

static void drop(struct mqtt_str s)
{
    free((void *)(uintptr_t)s.p);
}

static void check_filter(const struct topic_place *place, struct mqtt_str want)
{
    static uint8_t text[LONGEST];

    CHECK_INT(topic_place_filter_len(place), want.len);
    CHECK_INT(topic_place_filter(place, text, sizeof text), want.len);
    CHECK(memcmp(text, want.p, want.len) == 0);
}

static void test_deepest(void)
{
    struct mqtt_str name = levels_of('a'), plus = levels_of('+'), multi = levels_of('+'),
                    slashes = run_of('/');
    struct topic_place places[4] = {{0}};

    ((uint8_t *)(uintptr_t)multi.p)[LONGEST - 1] = '#';
    setup();
    CHECK_INT(add("#", 1, &places[3]), 0);
    CHECK_INT(match(name).sum, 1); /* deeper than any filter there has been */
    CHECK_INT(match(slashes).sum, 1);
    CHECK_INT(topic_tree_add(tree, plus, (struct topic_sub){.who = 10}, &places[0]), 0);
    CHECK_INT(topic_tree_add(tree, name, (struct topic_sub){.who = 100}, &places[1]), 0);
    CHECK_INT(topic_tree_add(tree, multi, (struct topic_sub){.who = 1000}, &places[2]), 0);
    check_filter(&places[0], plus);
    check_filter(&places[1], name);
    check_filter(&places[2], multi);
    CHECK_INT(match(name).sum, 1111);
    CHECK_INT(match(slashes).sum, 1001); /* 65536 levels, all of them empty */
    CHECK_INT(match((struct mqtt_str){name.p, LONGEST - 2}).sum, 1001);
    CHECK_INT(match((struct mqtt_str){name.p, LONGEST - 4}).sum, 1);
    CHECK_INT(match((struct mqtt_str){name.p, LONGEST - 1}).sum, 1011); /* the last one empty */
    topic_tree_remove(tree, &places[0]);
    topic_tree_remove(tree, &places[1]);
    CHECK_INT(match(name).sum, 1001);
    topic_tree_remove(tree, &places[2]);
    CHECK_INT(topic_tree_stats(tree).nodes, 1);
    CHECK_INT(topic_tree_add(tree, slashes, (struct topic_sub){.who = 5}, &places[0]), 0);
    check_filter(&places[0], slashes);
    CHECK_INT(match(slashes).sum, 6);
    teardown();
    drop(name);
    drop(plus);
    drop(multi);
    drop(slashes);
}

static void test_longest_level(void)
{
    struct mqtt_str name = run_of('x'), other = run_of('x');
    struct topic_place place = {0}, plus = {0};

    ((uint8_t *)(uintptr_t)other.p)[LONGEST - 1] = 'y';
    setup();
    CHECK_INT(topic_tree_add(tree, name, (struct topic_sub){.who = 1}, &place), 0);
    CHECK_INT(add("+", 10, &plus), 0);
    check_filter(&place, name);
    CHECK_INT(match(name).sum, 11);
    CHECK_INT(match(other).sum, 10);
    CHECK_INT(match((struct mqtt_str){name.p, LONGEST - 1}).sum, 10);
    topic_tree_remove(tree, &place);
    CHECK_INT(match(name).sum, 10);
    teardown();
    drop(name);
    drop(other);
}

/* "a/a/.../a" with one level replaced by '+', for every level: at each of them the walk leaves a
 * branch behind. */
static void test_branch_at_every_level(void)
{
    enum { LEVELS = 500 };
    static struct topic_place places[LEVELS];
    struct mqtt_str name = levels_of('a');
    uint8_t filter[LEVELS * 2 - 1];

    setup();
    name.len = sizeof filter;
    for (unsigned i = 0; i < LEVELS; i++) {
        memcpy(filter, name.p, sizeof filter);
        filter[i * 2] = '+';
        CHECK_INT(topic_tree_add(tree, (struct mqtt_str){filter, sizeof filter},
                                 (struct topic_sub){.who = 1}, &places[i]),
                  0);
    }
    CHECK_INT(match(name).subs, LEVELS);
    memcpy(filter, name.p, sizeof filter);
    filter[LEVELS] = 'b';
    CHECK_INT(match((struct mqtt_str){filter, sizeof filter}).subs, 1);
    filter[LEVELS + 2] = 'b';
    CHECK_INT(match((struct mqtt_str){filter, sizeof filter}).subs, 0);
    teardown();
    drop(name);
}

/* ---- entries and places ---- */

#define MANY 1000

static unsigned wrong_places(const struct topic_place *places)
{
    unsigned wrong = 0;

    for (unsigned i = 0; i < MANY; i++)
        if (places[i].node != NULL)
            wrong += topic_place_entry(&places[i])->who != i ||
                     topic_place_entry(&places[i])->place != &places[i];
    return wrong;
}

/* Whichever of the subscribers of a filter goes next, the places of the others stay right. */
static void test_removal_in_any_order(void)
{
    static struct topic_place places[MANY];
    static const char *const filters[] = {"a/b", "a/+", "a/#", "#"};
    struct env_test env;

    env_test_init(&env, 1);
    for (unsigned order = 0; order < 4; order++) {
        setup();
        for (unsigned i = 0; i < MANY; i++)
            CHECK_INT(add(filters[order], i, &places[i]), 0);
        CHECK_INT(match(str("a/b")).subs, MANY);
        CHECK_INT(match(str("a/b")).calls, 1);
        for (unsigned left = MANY; left > 0; left--) {
            unsigned from_front = MANY - left, from_back = left - 1;
            unsigned turns = left % 2 == 0 ? left / 2 - 1 : MANY - 1 - left / 2;
            unsigned any = (unsigned)(env_random64(&env.env) % MANY);

            while (places[any].node == NULL)
                any = (any + 1) % MANY;
            topic_tree_remove(tree, &places[order == 0   ? from_front
                                            : order == 1 ? from_back
                                            : order == 2 ? turns
                                                         : any]);
            CHECK_ROW_INT(order, topic_tree_stats(tree).subs, left - 1);
            if (left % 10 == 1)
                CHECK_ROW_INT(order, wrong_places(places), 0);
        }
        CHECK_ROW_INT(order, topic_tree_stats(tree).nodes, 1);
        CHECK_ROW_INT(order, match(str("a/b")).calls, 0);
        teardown();
    }
}

static void test_remove_nowhere(void)
{
    struct topic_place place = {0}, other = {0};

    setup();
    topic_tree_remove(tree, &place);
    CHECK_INT(topic_tree_stats(tree).generation, 1);
    CHECK_INT(add("a", 1, &other), 0);
    topic_tree_remove(tree, &other);
    topic_tree_remove(tree, &other);
    CHECK_INT(topic_tree_stats(tree).generation, 3);
    teardown();
}

/* A place is of one entry only. */
static void test_add_twice(void)
{
    struct topic_place place = {0};

    setup();
    CHECK_INT(add("a", 1, &place), 0);
    CHECK_ABORTS(add("b", 1, &place));
    teardown();
}

static void test_update(void)
{
    struct topic_place a = {0}, b = {0}, plus = {0};
    uint64_t generation;

    setup();
    CHECK_INT(add("t", 1, &a), 0);
    CHECK_INT(add("t", 2, &b), 0);
    CHECK_INT(add("+", 1, &plus), 0);
    generation = topic_tree_stats(tree).generation;
    topic_tree_update(&b, 0x2d, 268435455); /* [v5 MQTT-3.8.4-3] */
    CHECK_INT(topic_place_entry(&b)->options, 0x2d);
    CHECK_INT(topic_place_entry(&b)->sub_id, 268435455);
    CHECK_INT(topic_place_entry(&b)->who, 2);
    CHECK_INT(topic_place_entry(&a)->options, 0);
    CHECK_INT(topic_place_entry(&a)->sub_id, 0);
    CHECK_INT(topic_place_entry(&plus)->options, 0);
    CHECK_INT(topic_tree_stats(tree).generation, generation);
    teardown();
}

static void test_entries(void)
{
    struct topic_place places[5] = {{0}};
    const struct topic_sub *subs = NULL;

    setup();
    CHECK_INT(add("a/b", 1, &places[0]), 0);
    CHECK_INT(add("a/b", 2, &places[1]), 0);
    CHECK_INT(add("a/b/#", 3, &places[2]), 0);
    CHECK_INT(add("a/+", 4, &places[3]), 0);
    CHECK_INT(topic_tree_entries(tree, str("a/b"), &subs), 2);
    CHECK_INT(subs[0].who + subs[1].who, 3);
    CHECK_INT(topic_tree_entries(tree, str("a/b/#"), &subs), 1);
    CHECK_INT(subs[0].who, 3);
    CHECK_INT(topic_tree_entries(tree, str("a/+"), &subs), 1);
    CHECK_INT(subs[0].who, 4);
    CHECK_INT(topic_tree_entries(tree, str("a"), &subs), 0);
    CHECK_INT(topic_tree_entries(tree, str("a/#"), &subs), 0);
    CHECK_INT(topic_tree_entries(tree, str("#"), &subs), 0);
    CHECK_INT(topic_tree_entries(tree, str("a/c"), &subs), 0);
    CHECK_INT(topic_tree_entries(tree, str("a/+/#"), &subs), 0);
    CHECK_INT(topic_tree_entries(tree, str("+/b"), &subs), 0);
    CHECK_INT(topic_tree_entries(tree, str("a/b/c/d"), &subs), 0);
    CHECK_INT(topic_tree_entries(tree, str("a/b/"), &subs), 0);
    CHECK_INT(add("#", 5, &places[4]), 0);
    CHECK_INT(topic_tree_entries(tree, str("#"), &subs), 1);
    teardown();
}

/* Overlapping filters of one subscriber are reported one by one; the first refusal ends the walk.
 */
static void test_overlap_and_stop(void)
{
    static const char *const filters[] = {"a/b", "a/+", "+/b", "+/+", "a/#", "#", "a/b/#"};
    struct topic_place places[7] = {{0}};
    struct found f = {.answer = 0};

    setup();
    for (size_t i = 0; i < 7; i++)
        CHECK_INT(add(filters[i], 42, &places[i]), 0);
    CHECK_INT(match(str("a/b")).calls, 7);
    CHECK_INT(match(str("a/b")).sum, 7 * 42);
    for (unsigned stop = 1; stop <= 7; stop++) {
        f = (struct found){.answer = -5};
        CHECK_INT(topic_tree_match(tree, str("a/b"), on_match, &f), -5);
        CHECK_INT(f.calls, 1);
        topic_tree_remove(tree, &places[7 - stop]); /* so that another one is the first */
    }
    f = (struct found){.answer = -5};
    CHECK_INT(topic_tree_match(tree, str("a/b"), on_match, &f), 0);
    teardown();
}

static void test_stats(void)
{
    struct topic_place places[4] = {{0}};
    struct topic_tree_stats s;

    setup();
    s = topic_tree_stats(tree);
    CHECK_INT(s.nodes, 1);
    CHECK_INT(s.subs, 0);
    CHECK_INT(s.generation, 1);
    CHECK_INT(add("a/b/c", 1, &places[0]), 0);
    CHECK_INT(add("a/b/c/#", 1, &places[1]), 0); /* no node of its own */
    CHECK_INT(add("a/+", 1, &places[2]), 0);
    CHECK_INT(add("a/b", 1, &places[3]), 0);
    s = topic_tree_stats(tree);
    CHECK_INT(s.nodes, 5);
    CHECK_INT(s.subs, 4);
    CHECK_INT(s.generation, 5);
    topic_tree_remove(tree, &places[0]);
    CHECK_INT(topic_tree_stats(tree).nodes, 5);
    topic_tree_remove(tree, &places[1]);
    CHECK_INT(topic_tree_stats(tree).nodes, 4);
    topic_tree_remove(tree, &places[2]);
    topic_tree_remove(tree, &places[3]);
    s = topic_tree_stats(tree);
    CHECK_INT(s.nodes, 1);
    CHECK_INT(s.subs, 0);
    CHECK_INT(s.generation, 9);
    teardown();
}

/* ---- out of memory ---- */

static void test_new_fails(void)
{
    mem = mem_new();
    for (unsigned n = 1; n <= 4; n++) {
        mem_fail_at(mem, n);
        CHECK_ROW(n, topic_tree_new(mem, 1) == NULL);
        CHECK_ROW_INT(n, mem_used(mem, FOR_TOPIC_TREE), 0);
    }
    mem_fail_at(mem, 5);
    tree = topic_tree_new(mem, 1);
    CHECK(tree != NULL);
    mem_fail_at(mem, 0);
    teardown();
    topic_tree_free(&tree); /* NULL is fine */
}

/* Whichever allocation fails, nothing has changed; and without a failure it works. */
static void test_add_fails(void)
{
    static const char *const filters[] = {
        "#",
        "a",
        "+",
        "a/b/+/c",
        "+/+/#",
        "a/b/c/d",
        "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24/25/26/27/28/29/30/31"};

    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        struct topic_place before[2] = {{0}}, place = {0};
        unsigned n = 0;
        int rc;

        setup();
        CHECK_INT(add("a/b", 1, &before[0]), 0);
        CHECK_INT(add("a/b/+", 2, &before[1]), 0);
        do {
            struct topic_tree_stats s = topic_tree_stats(tree);

            mem_fail_at(mem, ++n);
            rc = add(filters[i], 3, &place);
            if (rc == 0)
                break;
            CHECK_ROW_INT(i, rc, -ENOMEM);
            CHECK_ROW(i, place.node == NULL);
            CHECK_ROW_INT(i, topic_tree_stats(tree).nodes, s.nodes);
            CHECK_ROW_INT(i, topic_tree_stats(tree).subs, s.subs);
            CHECK_ROW_INT(i, topic_tree_stats(tree).generation, s.generation);
            CHECK_ROW_INT(i, match(str("a/b")).sum, 1);
            CHECK_ROW_INT(i, match(str("a/b/c")).sum, 2);
        } while (n < 1000);
        mem_fail_at(mem, 0);
        CHECK_ROW_INT(i, rc, 0);
        CHECK_ROW(i, n > 1);
        check_filter(&place, str(filters[i]));
        teardown();
    }
}

/* ---- anything, against a list of filters ---- */

#ifdef __SANITIZE_THREAD__
#define GAMES 40 /* slow, and there is but one thread to look at */
#else
#define GAMES 200
#endif

static void test_random(void)
{
    struct env_test env;
    uint8_t game[2000];

    env_test_init(&env, 2);
    for (size_t round = 0; round < GAMES; round++) {
        size_t len = 500 + env_random64(&env.env) % 1500;

        env.env.random(env.env.arg, game, len);
        CHECK_ROW_INT(round, topic_tree_play(game, len), 0);
    }
}

TEST_MAIN(test_rows, test_rows_together, test_deepest, test_longest_level,
          test_branch_at_every_level, test_removal_in_any_order, test_remove_nowhere,
          test_add_twice, test_update, test_entries, test_overlap_and_stop, test_stats,
          test_new_fails, test_add_fails, test_random)

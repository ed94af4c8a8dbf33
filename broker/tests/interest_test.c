/* interest_test: a summary may say too much, never too little. */
#include "base/env.h"
#include "base/test.h"
#include "broker/interest.h"
#include "broker/trie.h"
#include "mqtt/topic.h"
#include "topic_support.h"

#define SEED UINT64_C(0x1234)

static struct interest summary;

static struct mqtt_str str(const char *text)
{
    return (struct mqtt_str){(const uint8_t *)text, (uint32_t)strlen(text)};
}

static void setup(void)
{
    memset(&summary, 0, sizeof summary);
    interest_init(&summary, SEED);
}

static void add(const char *filter)
{
    interest_add(&summary, str(filter));
}

static void take_out(const char *filter)
{
    interest_remove(&summary, str(filter));
}

static bool may_match_str(struct mqtt_str name)
{
    struct trie_level room[INTEREST_DEPTH];
    struct trie_levels levels = {.v = room, .capacity = INTEREST_DEPTH};
    uint32_t at = 0;

    while (trie_next_level(&levels, SEED, name, &at))
        continue;
    return interest_matches(&summary, &levels);
}

static bool may_match(const char *name)
{
    return may_match_str(str(name));
}

/* ---- what is told apart ---- */

static const struct {
    const char *filter, *name;
    bool matches;
} rows[] = {
    {"a", "a", true},
    {"a", "b", false},
    {"a", "a/", false},
    {"a/", "a/", true},
    {"a/", "a", false},
    {"a/b", "b/a", false}, /* a sum, but places count */
    {"a/a/b", "a/b/a", false},
    {"#", "a", true},
    {"#", "a/b/c/d/e/f/g/h/i/j", true},
    {"+", "a", true},
    {"+", "a/b", false},
    {"+/+", "a/b", true},
    {"+/+", "a", false},
    {"a/#", "a", true},
    {"a/#", "a/b/c", true},
    {"a/#", "ab", false},
    {"a/+/c", "a/b/c", true},
    {"a/+/c", "a/b/d", false},
    {"+/b/#", "a/b", true},
    {"+/b/#", "a/c/b", false},
    {"1/2/3/4/5/6/7/8", "1/2/3/4/5/6/7/8", true},
    {"1/2/3/4/5/6/7/8", "1/2/3/4/5/6/7/8/9", false},
    {"1/2/3/4/5/6/7/8", "1/2/3/4/5/6/7", false},
    {"1/2/3/4/5/6/7/8/#", "1/2/3/4/5/6/7/8", true},
    {"1/2/3/4/5/6/7/8/#", "1/2/3/4/5/6/7/8/9/10", true},
    {"1/2/3/4/5/6/7/8/9", "1/2/3/4/5/6/7/8/9", true},
    {"1/2/3/4/5/6/7/8/9", "1/2/3/4/5/6/7/9/9", false},
    {"1/2/3/4/5/6/7/8/9", "1/2/3/4/5/6/7", false},
    {"1/2/3/4/5/6/7/+/9", "1/2/3/4/5/6/7/x/9", true},
    {"1/2/3/4/5/6/7/+/9", "1/2/3/4/5/6/0/x/9", false},
    {"/", "/", true},
    {"/", "//", false},
    {"$SYS/#", "$SYS/x", true},
};

static void test_rows(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        setup();
        CHECK_ROW(i, !may_match(rows[i].name));
        add(rows[i].filter);
        CHECK_ROW_INT(i, may_match(rows[i].name), rows[i].matches);
        add(rows[i].filter);
        take_out(rows[i].filter);
        CHECK_ROW_INT(i, may_match(rows[i].name), rows[i].matches);
        take_out(rows[i].filter);
        CHECK_ROW(i, !may_match(rows[i].name));
    }
}

/* Every change shows, so that what was concluded from a summary can be thrown away. */
static void test_generation(void)
{
    uint64_t before;

    setup();
    before = interest_generation(&summary);
    add("a/+");
    CHECK(interest_generation(&summary) > before);
    before = interest_generation(&summary);
    take_out("a/+");
    CHECK(interest_generation(&summary) > before);
}

/* ---- as many as there may be ---- */

/* A filter of its own shape for each number below 128. */
static const char *shape(unsigned number)
{
    static char text[64];
    size_t len = 0;

    for (unsigned i = 0; i < 7; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", i == 0 ? "" : "/",
                                (number >> i & 1) != 0 ? "+" : "a");
    return text;
}

/* More shapes than there is room for: every topic may match, until the last of those that found no
 * place has gone, in whatever order they go. */
static void test_many_shapes(void)
{
    static const unsigned starts[] = {0, 10, INTEREST_SHAPES - 1, INTEREST_SHAPES, 99};

    for (size_t s = 0; s < sizeof starts / sizeof starts[0]; s++) {
        enum { N = 100 };

        setup();
        for (unsigned i = 0; i < N; i++) {
            CHECK_ROW_INT(i, may_match("b"), i > INTEREST_SHAPES);
            add(shape(i));
        }
        for (unsigned i = 0; i < N; i++) {
            if (i < N - 1 && may_match("a/a/a/a/a/a/a") == false)
                FAIL_ROW(i, "nobody is interested any more");
            take_out(shape((starts[s] + i) % N));
            add(shape((starts[s] + i) % N)); /* perhaps it finds a place now */
            take_out(shape((starts[s] + i) % N));
        }
        CHECK_ROW(s, !may_match("a/a/a/a/a/a/a"));
        CHECK_ROW(s, !may_match("b"));
    }
}

/* More filters of one hash than its counter can count: it stays, and says too much from then on. */
static void test_full_counter(void)
{
    setup();
    for (unsigned i = 0; i < 65534; i++)
        add("a/b");
    for (unsigned i = 0; i < 65534; i++)
        take_out("a/b");
    add("x/y");
    CHECK(!may_match("a/b"));
    for (unsigned i = 0; i < 70000; i++)
        add("a/b");
    for (unsigned i = 0; i < 69999; i++)
        take_out("a/b");
    CHECK(may_match("a/b"));
    take_out("a/b");
    CHECK(may_match("a/b")); /* too much */
    CHECK(!may_match("a/c"));
}

/* ---- anything ---- */

#define FILTERS 48

struct set {
    struct topic filters[FILTERS];
    bool in[FILTERS];
};

static bool matches(const struct set *set, struct mqtt_str name)
{
    for (unsigned i = 0; i < FILTERS; i++)
        if (set->in[i] && mqtt_filter_matches(topic_str(&set->filters[i]), name))
            return true;
    return false;
}

static void change(struct set *set, unsigned i, struct bytes *b)
{
    if (set->in[i]) {
        interest_remove(&summary, topic_str(&set->filters[i]));
    } else {
        set->filters[i] = make_filter(b);
        interest_add(&summary, topic_str(&set->filters[i]));
    }
    set->in[i] = !set->in[i];
}

/* Filters come and go; no name that one of them matches is ever missed. */
static void test_random(void)
{
    struct env_test env;
    unsigned hits = 0, misses = 0, false_hits = 0;

    env_test_init(&env, 13);
    for (int round = 0; round < 100; round++) {
        struct set set = {.in = {false}};
        unsigned filters = 1 + (unsigned)round % FILTERS;

        setup();
        for (int i = 0; i < 300; i++) {
            uint8_t random[64];
            struct bytes b = {random, sizeof random, 0};
            struct topic name;
            bool want, got;

            env.env.random(env.env.arg, random, sizeof random);
            change(&set, next_byte(&b) % filters, &b);
            name = make_name(&b);
            want = matches(&set, topic_str(&name));
            got = may_match_str(topic_str(&name));
            hits += want;
            misses += !got;
            false_hits += got && !want;
            if (want && !got)
                FAIL_ROW(round, "a filter was missed");
        }
        for (unsigned i = 0; i < FILTERS; i++)
            if (set.in[i])
                change(&set, i, NULL);
        CHECK_ROW(round, !may_match("a") && !may_match("a/b/ab"));
    }
    CHECK(hits > 5000 && misses > 5000);
    CHECK(false_hits * 10 < misses); /* "$x" and "+", mostly */
}

/* With many filters there is still little in vain. */
static void test_selective(void)
{
    enum { FILTERS_MANY = 100000 };
    unsigned wrong = 0;
    char text[64];

    setup();
    for (unsigned i = 0; i < FILTERS_MANY; i++) {
        snprintf(text, sizeof text, "device/%u/+", i);
        add(text);
    }
    for (unsigned i = 0; i < FILTERS_MANY; i++) {
        snprintf(text, sizeof text, "device/%u/state", i);
        CHECK(may_match(text));
        snprintf(text, sizeof text, "device/%u/state", i + FILTERS_MANY);
        wrong += may_match(text);
    }
    CHECK(wrong < FILTERS_MANY / 7); /* on 524,288 counters */
}

TEST_MAIN(test_rows, test_generation, test_many_shapes, test_full_counter, test_random,
          test_selective)

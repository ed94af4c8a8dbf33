/* alias_test: the tables of topic aliases.                              [v5 3.3.2.3.4, 3.3.4] */
#include "base/env.h"
#include "base/mem.h"
#include "base/test.h"
#include "broker/alias.h"
#include "broker/purposes.h"

static struct mem *mem;

static struct mqtt_str str(const char *text)
{
    return (struct mqtt_str){(const uint8_t *)text, (uint32_t)strlen(text)};
}

static void teardown(struct aliases *a)
{
    aliases_free(&a, mem);
    CHECK(a == NULL);
    aliases_free(&a, mem); /* NULL is fine */
    CHECK_INT(mem_used(mem, FOR_ALIAS), 0);
    mem_free(&mem);
}

/* ---- incoming ---- */

static void test_set_and_get(void)
{
    static uint8_t longest[65535];
    char text[] = "first";
    struct aliases *a;

    mem = mem_new();
    a = aliases_new(mem, 3);
    for (uint16_t alias = 1; alias <= 3; alias++)
        CHECK(aliases_get(a, alias).p == NULL);
    CHECK(aliases_set(a, mem, 1, str(text)));
    CHECK(aliases_set(a, mem, 3, (struct mqtt_str){longest, sizeof longest}));
    memset(text, 'x', 5); /* it has a copy */
    CHECK(mqtt_str_eq(aliases_get(a, 1), str("first")));
    CHECK(aliases_get(a, 2).p == NULL);
    CHECK(mqtt_str_eq(aliases_get(a, 3), (struct mqtt_str){longest, sizeof longest}));
    CHECK(aliases_set(a, mem, 1, str("second")));
    CHECK(mqtt_str_eq(aliases_get(a, 1), str("second")));
    CHECK(aliases_set(a, mem, 2, str("second"))); /* two for one topic are allowed */
    CHECK(mqtt_str_eq(aliases_get(a, 2), str("second")));
    CHECK_ABORTS(aliases_set(a, mem, 0, str("t")));
    CHECK_ABORTS(aliases_set(a, mem, 4, str("t")));
    teardown(a);
}

static void test_set_fails(void)
{
    struct aliases *a;

    mem = mem_new();
    mem_fail_at(mem, 1);
    CHECK(aliases_new(mem, 10) == NULL);
    a = aliases_new(mem, 65535);
    CHECK(aliases_set(a, mem, 65535, str("old")));
    mem_fail_at(mem, 1);
    CHECK(!aliases_set(a, mem, 65535, str("new")));
    CHECK(mqtt_str_eq(aliases_get(a, 65535), str("old")));
    teardown(a);
}

/* ---- outgoing ---- */

/* Who gets what aliases_use() says, and must understand it. */
struct receiver {
    uint16_t max;
    char topics[16][32];
};

/* False: the topic went without an alias. */
static bool tell(struct receiver *r, struct aliases *a, const char *topic, bool *out_known)
{
    uint16_t alias = aliases_use(a, mem, str(topic), out_known);

    CHECK(alias <= r->max);
    if (alias == 0)
        return false;
    if (*out_known)
        CHECK(strcmp(r->topics[alias - 1], topic) == 0);
    else
        snprintf(r->topics[alias - 1], sizeof r->topics[0], "%s", topic);
    return true;
}

static void test_use(void)
{
    static const struct {
        const char *topic;
        uint16_t alias;
        bool known;
    } rows[] = {
        {"a", 1, false}, {"b", 2, false}, {"a", 1, true},  {"c", 3, false},
        {"b", 2, true},  {"d", 3, false}, /* c came once; a and b lose their advantage ... */
        {"a", 1, true},                   /* ... and a has it again */
        {"e", 2, false}, {"a", 1, true},  {"b", 3, false},
    };
    struct aliases *a;

    mem = mem_new();
    a = aliases_new(mem, 3);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool known;

        CHECK_ROW_INT(i, aliases_use(a, mem, str(rows[i].topic), &known), rows[i].alias);
        CHECK_ROW_INT(i, known, rows[i].known);
    }
    teardown(a);
}

/* Whatever is sent, and whatever memory there is: the receiver understands it. */
static void test_random(void)
{
    struct env_test env;

    env_test_init(&env, 3);
    for (uint16_t max = 1; max <= 16; max++) {
        struct receiver r = {.max = max};
        unsigned with = 0, known_ones = 0;
        struct aliases *a;

        mem = mem_new();
        a = aliases_new(mem, max);
        for (int i = 0; i < 3000; i++) {
            char topic[32];
            bool known;

            /* some topics come often, some seldom; those of one length differ in one place */
            snprintf(topic, sizeof topic, "topic/%02u",
                     (unsigned)(env_random64(&env.env) % (env_random64(&env.env) % 40 + 1)));
            mem_fail_at(mem, env_random64(&env.env) % 8 == 0);
            if (tell(&r, a, topic, &known)) {
                with++;
                known_ones += known;
            }
        }
        mem_fail_at(mem, 0);
        CHECK_ROW(max, with > 2000);
        CHECK_ROW(max, max < 8 || known_ones > 1000);
        teardown(a);
    }
}

/* A topic that keeps coming keeps its alias, however many others come in between. */
static void test_busy_topic(void)
{
    struct receiver r = {.max = 4};
    struct aliases *a;

    mem = mem_new();
    a = aliases_new(mem, 4);
    for (int i = 0; i < 1000; i++) {
        char other[32];
        bool known;

        tell(&r, a, "busy", &known);
        CHECK_ROW_INT(i, known, i > 0);
        snprintf(other, sizeof other, "other/%d", i);
        tell(&r, a, other, &known);
        CHECK_ROW(i, !known);
    }
    teardown(a);
}

TEST_MAIN(test_set_and_get, test_set_fails, test_use, test_random, test_busy_topic)

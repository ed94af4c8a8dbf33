/* match_cache_test: what the last topics matched. */
#include "base/mem.h"
#include "base/test.h"
#include "broker/match_cache.h"
#include "broker/purposes.h"

static struct mem *mem;
static struct match_cache *cache;

static void setup(void)
{
    mem = mem_new();
    cache = match_cache_new(mem, 42);
}

static void teardown(void)
{
    match_cache_free(&cache, mem);
    CHECK(cache == NULL);
    CHECK_INT(mem_used(mem, FOR_TOPIC_TREE), 0);
    mem_free(&mem);
}

static struct match_entry *find(struct mqtt_str topic)
{
    return match_cache_find(cache, topic, match_cache_hash(cache, topic));
}

static struct mqtt_str numbered(char *text, unsigned n)
{
    return (struct mqtt_str){(const uint8_t *)text, (uint32_t)sprintf(text, "topic/%u", n)};
}

/* The first time a topic comes it has no entry, then it has one, without lists until they are
 * noted. */
static void test_second_time(void)
{
    static const struct topic_sub subs[3];
    const struct match v[] = {{subs, 1}, {subs + 1, 2}};
    struct mqtt_str topic = MQTT_STR("a/b");
    struct match_entry *e;

    setup();
    CHECK(find(topic) == NULL);
    e = find(topic);
    if (!CHECK(e != NULL))
        return;
    CHECK_INT(e->generation, 0);
    CHECK_INT(e->interested_generation, 0);
    match_cache_note(e, 7, v, 2);
    CHECK(find(topic) == e);
    CHECK_INT(e->generation, 7);
    CHECK_INT(e->n, 2);
    CHECK(e->v[0].subs == subs && e->v[0].n == 1 && e->v[1].subs == subs + 1 && e->v[1].n == 2);
    match_cache_note(e, 8, v, 0); /* that nobody is there may be noted, too */
    CHECK_INT(find(topic)->n, 0);
    CHECK_INT(e->generation, 8);
    CHECK_ABORTS(match_cache_note(e, 0, v, 1));
    CHECK_ABORTS(match_cache_note(e, 1, v, MATCH_CACHE_LISTS + 1));
    teardown();
}

static void test_lengths(void)
{
    static uint8_t text[MATCH_CACHE_TOPIC + 1];

    memset(text, 'x', sizeof text);
    for (uint32_t len = 1; len <= sizeof text; len++) {
        struct mqtt_str topic = {text, len};
        struct match_entry *e;

        setup();
        CHECK_ROW(len, find(topic) == NULL);
        e = find(topic);
        CHECK_ROW_INT(len, e != NULL, len <= MATCH_CACHE_TOPIC);
        if (e != NULL)
            CHECK_ROW_INT(len, e->topic_len, len);
        teardown();
    }
}

/* Another topic of the same slot takes it over, without the lists of the one before; nobody ever
 * gets an entry that is of another topic. */
static void test_evicted(void)
{
    enum { TOPICS = 3 * MATCH_CACHE_SLOTS };
    static const struct topic_sub subs[TOPICS];
    unsigned kept = 0;
    char text[32];

    setup();
    for (int round = 0; round < 4; round++) {
        for (unsigned n = 0; n < TOPICS; n++) {
            struct match_entry *e = find(numbered(text, n));

            if (e == NULL)
                continue;
            kept++;
            if (e->generation != 0)
                CHECK_ROW(n, e->n == 1 && e->v[0].subs == &subs[n]);
            match_cache_note(e, 1, &(struct match){&subs[n], 1}, 1);
        }
    }
    CHECK(kept > 0 && kept < 4 * TOPICS); /* those that are alone in their slot */
    numbered(text, 0);
    for (int i = 0; i < 2; i++)
        CHECK_INT(find(numbered(text, 0)) != NULL, i);
    teardown();
}

/* Whoever takes an entry over gets it the second time, without the lists of the one before. */
static void test_taken_over(void)
{
    static const struct topic_sub sub;
    struct match_entry *e;
    uint64_t hash;
    char text[32];
    unsigned n = 0;

    setup();
    find(numbered(text, 0));
    e = find(numbered(text, 0));
    match_cache_note(e, 5, &(struct match){&sub, 1}, 1);
    hash = e->hash;
    while (e->hash == hash) /* until there is one with the same slot */
        CHECK(find(numbered(text, ++n)) == NULL);
    CHECK(find(numbered(text, n)) == e);
    CHECK_INT(e->generation, 0);
    CHECK_INT(e->topic_len, strlen(text));
    teardown();
}

static void test_no_memory(void)
{
    mem = mem_new();
    mem_fail_at(mem, 1);
    CHECK(match_cache_new(mem, 1) == NULL);
    mem_free(&mem);
}

TEST_MAIN(test_second_time, test_lengths, test_evicted, test_taken_over, test_no_memory)

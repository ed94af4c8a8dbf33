#include "base/map.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/test.h"

#include <errno.h>

#define PURPOSE 2
#define ITEMS   100000

struct item {
    uint32_t key;
    bool in, seen;
};

static struct mem *mem;
static struct map map;
static struct item items[ITEMS];

static bool item_equal(const void *item, const void *key, size_t key_len)
{
    const struct item *i = item;

    return key_len == sizeof i->key && memcmp(&i->key, key, key_len) == 0;
}

static uint64_t good_hash(uint32_t key)
{
    return hash_bytes(1, &key, sizeof key);
}

/* Few different ones: long clusters, and one that goes round the end of the table. */
static uint64_t poor_hash(uint32_t key)
{
    return (uint64_t)0 - key % 7;
}

static uint64_t (*hash)(uint32_t) = good_hash;

static void setup(uint64_t (*with)(uint32_t))
{
    hash = with;
    mem = mem_new();
    map_init(&map, mem, PURPOSE, item_equal);
    for (uint32_t i = 0; i < ITEMS; i++)
        items[i] = (struct item){.key = i};
}

static void teardown(void)
{
    map_fini(&map);
    CHECK_INT(mem_used(mem, PURPOSE), 0);
    mem_free(&mem);
}

static void add(uint32_t key)
{
    items[key].in = map_add(&map, hash(key), &items[key]) == 0;
    if (!items[key].in)
        CHECK(items[key].in); /* not a check a time: it is called very often */
}

static struct item *find(uint32_t key)
{
    return map_find(&map, hash(key), &key, sizeof key);
}

static struct item *take(uint32_t key)
{
    items[key].in = false;
    return map_remove(&map, hash(key), &key, sizeof key);
}

/* Items of the first n that are found although they are not in, or the other way round. */
static size_t misplaced(uint32_t n)
{
    size_t wrong = 0;

    for (uint32_t i = 0; i < n; i++)
        wrong += find(i) != (items[i].in ? &items[i] : NULL);
    return wrong;
}

static void test_empty(void)
{
    uint64_t cursor = 0;

    setup(good_hash);
    CHECK_INT(map_count(&map), 0);
    CHECK(find(1) == NULL);
    CHECK(take(1) == NULL);
    CHECK(map_next(&map, &cursor) == NULL);
    CHECK(map_next(&map, &cursor) == NULL);
    add(1);
    CHECK_INT(mem_used(mem, PURPOSE), 8 * 16);
    CHECK(take(1) == &items[1]);
    CHECK_INT(mem_used(mem, PURPOSE), 0); /* holds nothing again */
    teardown();
}

/* Keys are compared, not hashes alone. */
static void test_same_hash(void)
{
    uint32_t other = 3;

    setup(poor_hash);
    add(1);
    add(8);
    CHECK(find(1) == &items[1]);
    CHECK(find(8) == &items[8]);
    CHECK(find(15) == NULL);
    CHECK(map_find(&map, hash(1), &other, sizeof other) == NULL);
    CHECK(map_find(&map, hash(1), &items[1].key, 3) == NULL);
    CHECK(take(15) == NULL);
    CHECK(take(1) == &items[1]);
    CHECK(find(1) == NULL);
    CHECK(find(8) == &items[8]);
    teardown();
}

static void test_grow_and_shrink(void)
{
    setup(good_hash);
    for (uint32_t i = 0; i < ITEMS; i++) {
        add(i);
        if (i < 300 || i % 9973 == 0)
            CHECK_ROW_INT(i, misplaced(i + 1), 0); /* while items move too */
    }
    CHECK_INT(map_count(&map), ITEMS);
    CHECK_INT(misplaced(ITEMS), 0);

    int64_t full = mem_used(mem, PURPOSE);

    CHECK(full <= 64 * ITEMS); /* with the old table */
    for (uint32_t i = 0; i < ITEMS; i++)
        if (i % 100 != 0)
            CHECK(take(i) == &items[i]);
    CHECK_INT(misplaced(ITEMS), 0);
    for (int round = 0; round < 40000; round++) { /* the same few come and go: memory goes back */
        add(1);
        take(1);
    }
    CHECK(mem_used(mem, PURPOSE) * 16 <= full);
    CHECK_INT(misplaced(ITEMS), 0);
    for (uint32_t i = 0; i < ITEMS; i += 100)
        CHECK(take(i) == &items[i]);
    CHECK_INT(mem_used(mem, PURPOSE), 0);
    teardown();
}

/* No addition touches more than a few items, and memory never comes or goes at once. */
static void test_no_stall(void)
{
    size_t worst = 0;
    int64_t worst_release = 0;

    setup(good_hash);
    for (uint32_t i = 0; i < ITEMS; i++) {
        uint32_t old = map.old.used;
        int64_t used = mem_used(mem, PURPOSE);

        add(i);
        if (old != 0 && old - map.old.used > worst)
            worst = old - map.old.used;
        if (used - mem_used(mem, PURPOSE) > worst_release)
            worst_release = used - mem_used(mem, PURPOSE);
    }
    CHECK(worst > 0 && worst <= 8);
    CHECK(worst_release <= (72 << 10));
    teardown();
}

static void test_out_of_memory(void)
{
    uint32_t n = 0;

    setup(good_hash);
    mem_fail_at(mem, 1);
    CHECK_INT(map_add(&map, hash(0), &items[0]), -ENOMEM);
    CHECK_INT(map_count(&map), 0);
    mem_fail_at(mem, 2);
    while (map_add(&map, hash(n), &items[n]) == 0)
        items[n++].in = true;
    CHECK_INT(n, 6);
    CHECK_INT(map_count(&map), n);
    CHECK_INT(misplaced(100), 0);
    add(n);
    CHECK_INT(misplaced(100), 0);

    for (n = 7; n < 60; n++)
        add(n);
    for (n = 2; n < 60; n++)
        take(n);
    mem_fail_at(mem, 1); /* shrinking is put off */
    add(2);
    CHECK_INT(map.now.mask, 127);
    add(3);
    CHECK_INT(map.now.mask, 31);
    CHECK_INT(misplaced(100), 0);
    teardown();
}

/* The end of old cannot be given back: it is, later. */
static void test_cut_fails(void)
{
    setup(good_hash);
    for (uint32_t i = 0; i < ITEMS; i++) {
        mem_fail_at(mem, map.old.slots != NULL); /* only the cut is tried then */
        add(i);
    }
    mem_fail_at(mem, 0);
    CHECK_INT(misplaced(ITEMS), 0);
    teardown();
}

/* Visit all and remove those that the test picks, as they come. */
static void visit(uint32_t n, uint32_t remove_one_of)
{
    uint64_t cursor = 0;
    struct item *i;
    size_t seen = 0, twice = 0, gone = 0, count = map_count(&map);

    for (uint32_t k = 0; k < n; k++)
        items[k].seen = false;
    while ((i = map_next(&map, &cursor)) != NULL) {
        seen++;
        twice += i->seen;
        gone += !i->in;
        i->seen = true;
        if (seen % remove_one_of == 0)
            take(i->key);
    }
    CHECK_INT(seen, count);
    CHECK_INT(twice, 0);
    CHECK_INT(gone, 0);
    CHECK_INT(misplaced(n), 0);
    CHECK_INT(map_count(&map), count - count / remove_one_of);
}

static void test_next(void)
{
    static uint64_t (*const hashes[])(uint32_t) = {good_hash, poor_hash};

    for (size_t h = 0; h < ARRAY_LEN(hashes); h++) {
        for (uint32_t n = 1; n < 60; n++) { /* at some of them items are just being moved */
            for (uint32_t one_of = 1; one_of < 4; one_of++) {
                setup(hashes[h]);
                for (uint32_t i = 0; i < n; i++)
                    add(i);
                visit(n, 1000);
                visit(n, one_of);
                teardown();
            }
        }
    }
    setup(good_hash);
    for (uint32_t i = 0; i < 50000; i++)
        add(i);
    CHECK(map.old.used > 0);
    visit(50000, 2);
    visit(50000, 1);
    CHECK_INT(mem_used(mem, PURPOSE), 0);
    teardown();
}

/* Random operations in waves against a table of flags. */
static void test_random(void)
{
    uint64_t random = 1;
    size_t count = 0, wrong = 0;

    setup(good_hash);
    for (int step = 0; step < 300000; step++) {
        random = random * 6364136223846793005 + 1442695040888963407;

        uint32_t key = random >> 40 & 1023;
        bool grow = step / 4096 % 2 == 0;

        if (items[key].in && (random >> 33 & 3) < (grow ? 1 : 3)) {
            wrong += take(key) != &items[key];
            count--;
        } else if (!items[key].in && (random >> 33 & 3) < (grow ? 3 : 1)) {
            add(key);
            count++;
        }
        wrong += map_count(&map) != count;
        if (step % 1000 == 0)
            wrong += misplaced(1024);
    }
    CHECK_INT(wrong, 0);
    CHECK_INT(misplaced(1024), 0);
    teardown();
}

/* Every byte and the length count, whatever the length; bytes behind it do not. */
static void test_hash_input(void)
{
    unsigned char bytes[101];
    size_t same = 0, read_beyond = 0;

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 31);
    for (size_t len = 0; len < 100; len++) {
        uint64_t h = hash_bytes(5, bytes, len);

        for (size_t bit = 0; bit < len * 8; bit++) {
            bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
            same += hash_bytes(5, bytes, len) == h;
            bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        }
        same += hash_bytes(6, bytes, len) == h;
        same += hash_bytes(5, bytes, len + 1) == h;
        bytes[len] ^= 1;
        read_beyond += hash_bytes(5, bytes, len) != h;
        bytes[len] ^= 1;
    }
    CHECK_INT(same, 0);
    CHECK_INT(read_beyond, 0);
    CHECK(hash_bytes(5, NULL, 0) == hash_bytes(5, bytes, 0));
    memset(bytes, 0, sizeof bytes);
    for (size_t a = 0; a < 100; a++)
        for (size_t b = 0; b < a; b++)
            same += hash_bytes(0, bytes, a) == hash_bytes(0, bytes, b);
    CHECK_INT(same, 0);
}

/* Names that differ in a counter fall evenly into the slots of a table, by their low bits and by
 * their high ones: chi squared of 4096 slots is 4095 +- 90. */
static void check_even(const char *format, uint64_t seed)
{
    enum { SLOTS = 4096, NAMES = 65536 };
    static unsigned low[SLOTS], high[SLOTS];
    double chi_low = 0, chi_high = 0;
    const double expected = (double)NAMES / SLOTS;
    char name[64];

    memset(low, 0, sizeof low);
    memset(high, 0, sizeof high);
    for (unsigned i = 0; i < NAMES; i++) {
        int len = snprintf(name, sizeof name, format, i);
        uint64_t h = hash_bytes(seed, name, (size_t)len);

        low[h % SLOTS]++;
        high[h >> 52]++;
    }
    for (size_t i = 0; i < SLOTS; i++) {
        chi_low += ((double)low[i] - expected) * ((double)low[i] - expected) / expected;
        chi_high += ((double)high[i] - expected) * ((double)high[i] - expected) / expected;
    }
    CHECK(chi_low > 4095 - 500 && chi_low < 4095 + 500);
    CHECK(chi_high > 4095 - 500 && chi_high < 4095 + 500);
}

static void test_hash_even(void)
{
    for (uint64_t seed = 0; seed < 4; seed++) {
        check_even("%u", seed);
        check_even("%x", seed);
        check_even("client-%08u", seed);
        check_even("sensors/%u/temperature", seed);
        check_even("a/long/name/that/does/not/fit/into/32/bytes/%u", seed);
    }
}

/* One bit of the input changes half of the output on average, none of it hardly ever or always. */
static void test_hash_avalanche(void)
{
    enum { SAMPLES = 2000, LEN = 16 };
    static unsigned flips[64];
    unsigned char bytes[LEN];
    uint64_t random = 1;

    for (unsigned bit = 0; bit < LEN * 8; bit++) {
        unsigned least = SAMPLES, most = 0;

        memset(flips, 0, sizeof flips);
        for (unsigned s = 0; s < SAMPLES; s++) {
            for (size_t i = 0; i < LEN; i++) {
                random = random * 6364136223846793005 + 1442695040888963407;
                bytes[i] = (unsigned char)(random >> 56);
            }
            uint64_t change = hash_bytes(7, bytes, LEN);

            bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
            change ^= hash_bytes(7, bytes, LEN);
            for (unsigned i = 0; i < 64; i++)
                flips[i] += (change >> i & 1) != 0;
        }
        for (unsigned i = 0; i < 64; i++) {
            least = flips[i] < least ? flips[i] : least;
            most = flips[i] > most ? flips[i] : most;
        }
        CHECK_ROW(bit, least > SAMPLES * 2 / 5 && most < SAMPLES * 3 / 5);
    }
}

/* Numbers that differ by a bit, or only from some bit on, find slots of their own: 4096 numbers at
 * random places hit 2589 +- 30 of as many slots. */
static void test_hash_number(void)
{
    enum { SLOTS = 4096 };

    for (unsigned shift = 0; shift <= 52; shift++) {
        unsigned char hit[SLOTS] = {0};
        unsigned used = 0;

        for (uint64_t n = 0; n < SLOTS; n++) {
            unsigned char *slot = &hit[hash_number(n << shift) % SLOTS];

            used += *slot == 0;
            *slot = 1;
        }
        CHECK_ROW(shift, used > SLOTS / 2);
    }
}

TEST_MAIN(test_empty, test_same_hash, test_grow_and_shrink, test_no_stall, test_out_of_memory,
          test_cut_fails, test_next, test_random, test_hash_input, test_hash_even,
          test_hash_avalanche, test_hash_number)

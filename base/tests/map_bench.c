#include "base/assert.h"
#include "base/bench.h"
#include "base/map.h"
#include "base/mem.h"

#define ITEMS    1000000
#define NAME_LEN 16

struct item {
    char name[NAME_LEN];
};

static struct mem *mem;
static struct map map;
static struct item *items;

static bool item_equal(const void *item, const void *key, size_t key_len)
{
    return key_len == NAME_LEN && memcmp(item, key, NAME_LEN) == 0;
}

static uint64_t item_hash(const struct item *i)
{
    return hash_bytes(1, i->name, NAME_LEN);
}

static void setup(size_t n)
{
    mem = mem_new();
    map_init(&map, mem, 0, item_equal);
    items = mem_alloc(mem, 0, ITEMS * sizeof *items);
    for (size_t i = 0; i < ITEMS; i++) {
        char name[32];

        snprintf(name, sizeof name, "client-%09zu", i);
        memcpy(items[i].name, name, NAME_LEN);
    }
    for (size_t i = 0; i < n; i++)
        map_add(&map, item_hash(&items[i]), &items[i]);
    bench_start();
}

static void teardown(void)
{
    map_fini(&map);
    mem_free(&mem);
}

static void hashes(uint64_t n, size_t len)
{
    char text[64] = {0};
    uint64_t sum = 0;

    while (n-- > 0) {
        bench_use(text);
        sum += hash_bytes(1, text, len);
    }
    bench_use(&sum);
}

static void hash_8(uint64_t n)
{
    hashes(n, 8);
}

static void hash_16(uint64_t n)
{
    hashes(n, 16);
}

static void hash_32(uint64_t n)
{
    hashes(n, 32);
}

static void finds(uint64_t n, size_t in, size_t from, size_t step)
{
    size_t at = 0;

    setup(in);
    while (n-- > 0) {
        const struct item *i = &items[from + at];

        bench_use(map_find(&map, item_hash(i), i->name, NAME_LEN));
        at = (at + step) % in;
    }
    teardown();
}

static void find_of_1000(uint64_t n)
{
    finds(n, 1000, 0, 1);
}

static void miss_of_1000(uint64_t n)
{
    finds(n, 1000, 1000, 1);
}

static void find_of_1e6(uint64_t n)
{
    finds(n, ITEMS, 0, 7919);
}

/* Add and remove one of a thousand, others being there. */
static void add_remove(uint64_t n)
{
    setup(1000);
    for (size_t at = 0; n-- > 0; at = (at + 1) % 1000) {
        struct item *i = &items[1000 + at];
        uint64_t h = item_hash(i);

        map_add(&map, h, i);
        map_remove(&map, h, i->name, NAME_LEN);
    }
    teardown();
}

static void add_1e6(uint64_t n)
{
    setup(0);
    while (n > 0) {
        for (size_t i = 0; i < ITEMS && n > 0; i++, n--)
            map_add(&map, item_hash(&items[i]), &items[i]);
        map_fini(&map);
    }
    teardown();
}

BENCH_MAIN({"hash_8", hash_8}, {"hash_16", hash_16}, {"hash_32", hash_32},
           {"find_of_1000", find_of_1000}, {"miss_of_1000", miss_of_1000},
           {"find_of_1e6", find_of_1e6}, {"add_remove", add_remove}, {"add_1e6", add_1e6})

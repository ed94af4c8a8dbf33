/* The first byte chooses how keys are hashed; then two bytes are an operation and a key. The model
 * is one flag for each of the 256 keys. */
#include "base/fuzz.h"
#include "base/map.h"
#include "base/mem.h"

#include <stdbool.h>

#define KEYS 256

struct item {
    uint8_t key;
    bool in, seen;
};

static struct mem *mem;
static struct map map;
static struct item items[KEYS];
static unsigned hashing;

/* The poor ones make clusters, at the end of the table too. */
static uint64_t hash_of(uint8_t key)
{
    switch (hashing % 4) {
    case 0: return hash_bytes(hashing, &key, 1);
    case 1: return key;
    case 2: return (uint64_t)0 - key % 8;
    default: return key % 3 * UINT64_C(0x5555555555555555);
    }
}

static bool item_equal(const void *item, const void *key, size_t key_len)
{
    return key_len == 1 && ((const struct item *)item)->key == *(const uint8_t *)key;
}

static size_t model_count(void)
{
    size_t n = 0;

    for (unsigned i = 0; i < KEYS; i++)
        n += items[i].in;
    return n;
}

static void check_key(uint8_t key)
{
    void *found = map_find(&map, hash_of(key), &key, 1);

    ASSERT(found == (items[key].in ? &items[key] : NULL));
}

static void add(uint8_t key)
{
    if (items[key].in)
        return;
    if (map_add(&map, hash_of(key), &items[key]) == 0)
        items[key].in = true; /* else memory was made to fail */
    check_key(key);
}

static void take(uint8_t key)
{
    void *taken = map_remove(&map, hash_of(key), &key, 1);

    ASSERT(taken == (items[key].in ? &items[key] : NULL));
    items[key].in = false;
    check_key(key);
}

/* Visit all; remove those whose key has the bits of mask. */
static void visit(uint8_t mask)
{
    uint64_t cursor = 0;
    size_t seen = 0, count = model_count();
    struct item *i;

    for (unsigned k = 0; k < KEYS; k++)
        items[k].seen = false;
    while ((i = map_next(&map, &cursor)) != NULL) {
        ASSERT(i->in && !i->seen);
        i->seen = true;
        seen++;
        if ((i->key & mask) == mask)
            take(i->key);
    }
    ASSERT(seen == count);
}

static void operate(uint8_t op, uint8_t key)
{
    switch (op % 8) {
    case 0: take(key); break;
    case 1: check_key(key); break;
    case 2: visit(key); break;
    case 3: /* several neighbours come or go, so that short inputs reach large tables */
    case 4:
        for (unsigned i = 0; i < 16; i++)
            op % 8 == 3 ? add((uint8_t)(key + i)) : take((uint8_t)(key + i));
        break;
    case 5: mem_fail_at(mem, key % 4); break;
    default: add(key); break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    mem = mem_new();
    ASSERT(mem != NULL);
    map_init(&map, mem, 0, item_equal);
    hashing = size > 0 ? data[0] : 0;
    for (unsigned i = 0; i < KEYS; i++)
        items[i] = (struct item){.key = (uint8_t)i};
    for (size_t i = 1; i + 1 < size; i += 2) {
        operate(data[i], data[i + 1]);
        ASSERT(map_count(&map) == model_count());
    }
    for (unsigned i = 0; i < KEYS; i++)
        check_key((uint8_t)i);
    visit(0);
    ASSERT(mem_used(mem, 0) == 0); /* empty, so it holds nothing */
    map_fini(&map);
    mem_free(&mem);
    return 0;
}

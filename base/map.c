/* map: linear probing in tables of a power of two of slots, at most 3/4 full.
 * 1. now has no removed slots: a removal moves what follows back into the gap.
 * 2. old is only emptied, from its end: slots from moving on count as removed (and their memory may
 *    be gone already), and so do slots without item whose hash is REMOVED.
 * 3. The table changes its size in map_add() only, so that a removal moves items of one cluster at
 *    most, which map_next() allows for; and an empty map holds no memory.
 * 4. Emptying old is done before now is full: see RESIZE_ITEMS. */
#include "base/map.h"

#include "base/assert.h"
#include "base/mem.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#define SLOTS_MIN    8
#define SLOTS_MAX    ((size_t)1 << 30)
#define REMOVED      1 /* hash of a slot that had an item, in old */

/* Each addition moves items out of old until it has moved or passed over so many. A table of n
 * slots which doubles holds 3/4 n items and is emptied by n/8 additions, when now is 7/16 full; one
 * that shrinks to n/4 slots held n/8 items and is emptied by n/64 + n/64, when now is 5/8 full. */
#define RESIZE_ITEMS 8
#define RESIZE_SLOTS 64

/* The memory of old goes back in steps of this many slots (64 KiB), because it takes the system a
 * millisecond and more to free tens of megabytes at once. */
#define RESIZE_CUT   4096

static size_t table_slots(const struct map_table *t)
{
    return t->slots != NULL ? (size_t)t->mask + 1 : 0;
}

void map_init(struct map *m, struct mem *mem, unsigned purpose, map_equal_fn *equal)
{
    *m = (struct map){.mem = mem, .purpose = purpose, .equal = equal};
}

static void table_release(struct map *m, struct map_table *t)
{
    mem_release(m->mem, m->purpose, t->slots);
    *t = (struct map_table){0};
}

void map_fini(struct map *m)
{
    table_release(m, &m->now);
    table_release(m, &m->old);
    m->moving = 0;
}

/* The slot of the item with this key in the first end slots of t, or NULL. Bounded by end because
 * the rest of old may have no free slot. */
static struct map_slot *table_find(const struct map *m, const struct map_table *t, size_t end,
                                   uint64_t hash, const void *key, size_t key_len)
{
    size_t i = hash & t->mask;

    for (size_t n = 0; n < end; n++, i++) {
        if (i >= end)
            i = 0;
        struct map_slot *s = &t->slots[i];

        if (s->item == NULL && s->hash != REMOVED)
            break;
        if (s->item != NULL && s->hash == hash && m->equal(s->item, key, key_len))
            return s;
    }
    return NULL;
}

static struct map_slot *find_now(const struct map *m, uint64_t hash, const void *key,
                                 size_t key_len)
{
    return table_find(m, &m->now, table_slots(&m->now), hash, key, key_len);
}

static struct map_slot *find_old(const struct map *m, uint64_t hash, const void *key,
                                 size_t key_len)
{
    return table_find(m, &m->old, m->moving, hash, key, key_len);
}

void *map_find(const struct map *m, uint64_t hash, const void *key, size_t key_len)
{
    struct map_slot *s = find_now(m, hash, key, key_len);

    if (s == NULL)
        s = find_old(m, hash, key, key_len);
    return s != NULL ? s->item : NULL;
}

static void table_insert(struct map_table *t, uint64_t hash, void *item)
{
    size_t i = hash & t->mask;

    while (t->slots[i].item != NULL)
        i = (i + 1) & t->mask;
    t->slots[i] = (struct map_slot){hash, item};
    t->used++;
}

/* Let old be emptied into a new table. */
static int resize(struct map *m, size_t slots)
{
    struct map_slot *fresh = NULL;

    ASSERT(m->old.slots == NULL);
    if (slots <= SLOTS_MAX)
        fresh = mem_try_zalloc(m->mem, m->purpose, slots * sizeof *fresh);
    if (fresh == NULL)
        return -ENOMEM;
    m->moving = (uint32_t)table_slots(&m->now);
    m->old = m->now;
    m->now = (struct map_table){.slots = fresh, .mask = (uint32_t)slots - 1};
    return 0;
}

/* Make room for one more item in now; or let go of room, if there is far too much. */
static int fit(struct map *m)
{
    size_t slots = table_slots(&m->now);
    size_t items = map_count(m) + 1;

    if (items * 4 > slots * 3)
        return resize(m, slots > 0 ? slots * 2 : SLOTS_MIN);
    if (items * 8 < slots && slots > SLOTS_MIN && m->old.slots == NULL)
        resize(m, slots / 4 > SLOTS_MIN ? slots / 4 : SLOTS_MIN); /* if not, then not now */
    return 0;
}

/* Give back the memory of the slots from moving on. */
static void cut_old(struct map *m)
{
    const size_t size = sizeof(struct map_slot);
    size_t slots = (size_t)m->moving;
    struct map_slot *kept = mem_try_realloc(m->mem, m->purpose, m->old.slots,
                                            (slots + RESIZE_CUT) * size, slots * size);

    if (kept != NULL)
        m->old.slots = kept;
}

/* Empty a bit more of old. */
static void move_some(struct map *m)
{
    size_t moved = 0;

    for (size_t seen = 0; seen < RESIZE_SLOTS && moved < RESIZE_ITEMS && m->old.used > 0; seen++) {
        struct map_slot *s = &m->old.slots[--m->moving];

        if (s->item != NULL) {
            table_insert(&m->now, s->hash, s->item);
            m->old.used--;
            moved++;
        }
        if (m->moving % RESIZE_CUT == 0 && m->moving > 0)
            cut_old(m);
    }
    if (m->old.used == 0) {
        table_release(m, &m->old);
        m->moving = 0;
    }
}

int map_add(struct map *m, uint64_t hash, void *item)
{
    int rc = fit(m);

    if (rc != 0)
        return rc;
    table_insert(&m->now, hash, item);
    if (m->old.slots != NULL)
        move_some(m);
    return 0;
}

/* Free the slot, and move back the items behind it which would not be found any more. */
static void close_gap(struct map_table *t, size_t gap)
{
    for (size_t i = gap;;) {
        i = (i + 1) & t->mask;

        struct map_slot *s = &t->slots[i];

        if (s->item == NULL)
            break;
        size_t from_home = (i - s->hash) & t->mask;

        if (from_home >= ((i - gap) & t->mask)) {
            t->slots[gap] = *s;
            gap = i;
        }
    }
    t->slots[gap] = (struct map_slot){0};
}

void *map_remove(struct map *m, uint64_t hash, const void *key, size_t key_len)
{
    struct map_slot *s = find_now(m, hash, key, key_len);
    void *item;

    if (s != NULL) {
        item = s->item;
        close_gap(&m->now, (size_t)(s - m->now.slots));
        m->now.used--;
    } else if ((s = find_old(m, hash, key, key_len)) != NULL) {
        item = s->item;
        *s = (struct map_slot){REMOVED, NULL};
        m->old.used--;
    } else {
        return NULL;
    }
    if (map_count(m) == 0)
        map_fini(m);
    return item;
}

static size_t first_free(const struct map_table *t)
{
    size_t i = 0;

    while (t->slots[i].item != NULL)
        i++;
    return i;
}

/* Slots of now are visited downwards from a free one, so that what a removal moves back into the
 * gap was visited before; then those of old. The cursor: slots visited, and above them where that
 * free one was. */
void *map_next(const struct map *m, uint64_t *cursor)
{
    size_t slots = table_slots(&m->now);

    if (*cursor == 0 && slots > 0)
        *cursor = (uint64_t)first_free(&m->now) << 32;

    size_t start = *cursor >> 32;
    size_t seen = *cursor & UINT32_MAX;
    void *item = NULL;

    while (item == NULL && seen < slots + m->moving) {
        seen++;
        item = seen <= slots ? m->now.slots[(start - seen) & m->now.mask].item
                             : m->old.slots[seen - slots - 1].item;
    }
    *cursor = (uint64_t)start << 32 | seen;
    return item;
}

/* Digits of pi: any numbers without a pattern would do. */
#define PI_1 0x243f6a8885a308d3
#define PI_2 0x13198a2e03707344
#define PI_3 0xa4093822299f31d0

/* The high and the low half of the product, folded: every bit of the one factor reaches all of the
 * result by way of the other. */
static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;

    return (uint64_t)(product >> 64) ^ (uint64_t)product;
}

static uint64_t read64(const unsigned char *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return le64toh(v);
}

static uint64_t read32(const unsigned char *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return le32toh(v);
}

/* Bytes are multiplied in pairs of words, each masked by a number made from the seed: who does not
 * know it cannot make a factor zero, the one case in which the other has no say. */
uint64_t hash_bytes(uint64_t seed, const void *data, size_t len)
{
    const unsigned char *p = data;
    size_t left = len;
    uint64_t h = seed ^ PI_1;
    uint64_t key = fold(h, PI_2);
    uint64_t a = 0, b = 0;

    for (; left > 16; left -= 16, p += 16)
        h = fold(read64(p) ^ key, read64(p + 8) ^ h);
    if (left >= 8) {
        a = read64(p);
        b = read64(p + left - 8);
    } else if (left >= 4) {
        a = read32(p);
        b = read32(p + left - 4);
    } else if (left > 0) {
        a = (uint64_t)p[0] << 16 | (uint64_t)p[left / 2] << 8 | p[left - 1];
    }
    h = fold(a ^ key, b ^ h);
    return fold(h ^ PI_3, key ^ len);
}

uint64_t hash_number(uint64_t n)
{
    return fold(fold(n ^ PI_1, PI_2) ^ PI_3, PI_1);
}

#include "storage/counts.h"

#include "base/assert.h"
#include "base/mem.h"

#include <stdlib.h>

#define PURPOSE 0

struct count {
    uint64_t number, count;
};

struct count_change {
    uint64_t number, before;
};

static uint64_t hash_of(uint64_t number)
{
    return hash_bytes(0, &number, sizeof number);
}

static bool has_number(const void *item, const void *key, size_t len)
{
    (void)len;
    return ((const struct count *)item)->number == *(const uint64_t *)key;
}

void counts_init(struct counts *c, struct mem *mem)
{
    *c = (struct counts){.mem = mem};
    map_init(&c->map, mem, PURPOSE, has_number);
}

void counts_fini(struct counts *c)
{
    struct count *e;
    uint64_t cursor = 0;

    while ((e = map_next(&c->map, &cursor)) != NULL)
        mem_release(c->mem, PURPOSE, e);
    map_fini(&c->map);
    free(c->changes);
}

uint64_t counts_get(const struct counts *c, uint64_t number)
{
    const struct count *e = map_find(&c->map, hash_of(number), &number, sizeof number);

    return e == NULL ? 0 : e->count;
}

static void record(struct counts *c, uint64_t number, uint64_t before)
{
    if (!c->recording)
        return;
    if (c->n_changes == c->cap_changes) {
        c->cap_changes = c->cap_changes == 0 ? 256 : c->cap_changes * 2;
        c->changes = realloc(c->changes, c->cap_changes * sizeof *c->changes);
        ASSERT(c->changes != NULL);
    }
    c->changes[c->n_changes++] = (struct count_change){number, before};
}

static void remove_number(struct counts *c, uint64_t number)
{
    struct count *e = map_remove(&c->map, hash_of(number), &number, sizeof number);

    if (e == NULL)
        return;
    record(c, number, e->count);
    mem_release(c->mem, PURPOSE, e);
}

static void add_number(struct counts *c, uint64_t number, uint64_t count)
{
    struct count *e = mem_alloc(c->mem, PURPOSE, sizeof *e);
    int rc;

    *e = (struct count){number, count};
    rc = map_add(&c->map, hash_of(number), e);
    ASSERT(rc == 0);
    record(c, number, 0);
}

void counts_set(struct counts *c, uint64_t number, uint64_t count)
{
    struct count *e;

    if (count == 0) {
        remove_number(c, number);
        return;
    }
    e = map_find(&c->map, hash_of(number), &number, sizeof number);
    if (e == NULL) {
        add_number(c, number, count);
        return;
    }
    record(c, number, e->count);
    e->count = count;
}

void counts_begin(struct counts *c)
{
    c->recording = true;
}

void counts_commit(struct counts *c)
{
    c->recording = false;
    c->n_changes = 0;
}

void counts_rollback(struct counts *c)
{
    c->recording = false;
    while (c->n_changes > 0) {
        struct count_change *change = &c->changes[--c->n_changes];

        counts_set(c, change->number, change->before);
    }
}

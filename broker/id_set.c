/* id_set: open addressing, at most half full, removal by moving followers back. */
#include "broker/id_set.h"

#include "base/mem.h"
#include "broker/purposes.h"

#include <string.h>

#define FIRST_CAPACITY 8

static uint32_t home_of(const struct id_set *s, uint16_t id)
{
    return (id * UINT32_C(0x9E3779B1) >> 15) & (s->capacity - 1);
}

/* Slot that holds id, or the free one where it would go. */
static uint32_t slot_of(const struct id_set *s, uint16_t id)
{
    uint32_t i = home_of(s, id);

    while (s->slots[i] != 0 && s->slots[i] != id)
        i = (i + 1) & (s->capacity - 1);
    return i;
}

static bool grow(struct id_set *s, struct mem *mem)
{
    struct id_set bigger = {.capacity = s->capacity == 0 ? FIRST_CAPACITY : s->capacity * 2,
                            .count = s->count};

    bigger.slots = mem_try_alloc(mem, FOR_INFLIGHT, bigger.capacity * sizeof *bigger.slots);
    if (bigger.slots == NULL)
        return false;
    memset(bigger.slots, 0, bigger.capacity * sizeof *bigger.slots);
    for (uint32_t i = 0; i < s->capacity; i++)
        if (s->slots[i] != 0)
            bigger.slots[slot_of(&bigger, s->slots[i])] = s->slots[i];
    mem_release(mem, FOR_INFLIGHT, s->slots);
    *s = bigger;
    return true;
}

void id_set_init(struct id_set *s)
{
    *s = (struct id_set){0};
}

void id_set_clear(struct id_set *s, struct mem *mem)
{
    mem_release(mem, FOR_INFLIGHT, s->slots);
    id_set_init(s);
}

bool id_set_has(const struct id_set *s, uint16_t id)
{
    return s->count > 0 && s->slots[slot_of(s, id)] == id;
}

bool id_set_add(struct id_set *s, struct mem *mem, uint16_t id)
{
    uint32_t i;

    if (s->count * 2 >= s->capacity && !grow(s, mem))
        return false;
    i = slot_of(s, id);
    if (s->slots[i] == 0) {
        s->slots[i] = id;
        s->count++;
    }
    return true;
}

bool id_set_remove(struct id_set *s, struct mem *mem, uint16_t id)
{
    uint32_t hole, i, mask = s->capacity - 1;

    if (!id_set_has(s, id))
        return false;
    hole = slot_of(s, id);
    for (i = (hole + 1) & mask; s->slots[i] != 0; i = (i + 1) & mask) {
        /* slots[i] may fill the hole unless its home lies behind the hole */
        if (((i - home_of(s, s->slots[i])) & mask) >= ((i - hole) & mask)) {
            s->slots[hole] = s->slots[i];
            hole = i;
        }
    }
    s->slots[hole] = 0;
    if (--s->count == 0)
        id_set_clear(s, mem);
    return true;
}

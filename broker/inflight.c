/* inflight: a power-of-two table indexed by the low bits of the packet identifier. An identifier is
 * given out only when its slot is free, so two identifiers never share a slot, and the table grows
 * until the window fits. */
#include "broker/inflight.h"

#include "base/assert.h"
#include "base/mem.h"
#include "broker/purposes.h"

#include <string.h>

#define FIRST_CAPACITY 4
#define MAX_CAPACITY   65536

void delivery_release(struct delivery *d, struct mem *mem)
{
    message_unref(&d->msg, mem);
    mem_release(mem, FOR_QUEUE, d->ids);
    d->ids = NULL;
}

static struct inflight_entry *slot_of(const struct inflight *f, uint16_t packet_id)
{
    return &f->slots[packet_id & (f->capacity - 1)];
}

static void link_last(struct inflight *f, struct inflight_entry *e)
{
    uint16_t slot = (uint16_t)(e - f->slots);

    if (f->count == 0)
        f->first = slot;
    else
        f->slots[f->last].next = slot;
    e->prev = f->last;
    f->last = slot;
    f->count++;
}

/* Move all entries, in order, to a table of another size. False when out of memory. */
static bool resize(struct inflight *f, struct mem *mem, uint32_t capacity)
{
    struct inflight bigger = {.capacity = capacity, .bytes = f->bytes, .last_id = f->last_id};

    bigger.slots = mem_try_alloc(mem, FOR_INFLIGHT, capacity * sizeof *bigger.slots);
    if (bigger.slots == NULL)
        return false;
    memset(bigger.slots, 0, capacity * sizeof *bigger.slots);
    for (struct inflight_entry *e = inflight_first(f); e != NULL; e = inflight_after(f, e)) {
        struct inflight_entry *to = slot_of(&bigger, e->packet_id);

        *to = *e;
        link_last(&bigger, to);
    }
    mem_release(mem, FOR_INFLIGHT, f->slots);
    *f = bigger;
    return true;
}

/* The next identifier after last_id whose slot is free; there must be one. */
static uint16_t free_id(const struct inflight *f)
{
    uint16_t id = f->last_id;

    do {
        id++;
    } while (id == 0 || slot_of(f, id)->state != INFLIGHT_FREE);
    return id;
}

/* What an entry counts. */
static uint64_t bytes_of(const struct delivery *d)
{
    return d->msg == NULL ? 0 : delivery_size(d);
}

static struct inflight_entry *fill(struct inflight *f, uint16_t packet_id,
                                   const struct delivery *take_d)
{
    struct inflight_entry *e = slot_of(f, packet_id);

    *e = (struct inflight_entry){.d = *take_d, .packet_id = packet_id, .state = INFLIGHT_SENT};
    link_last(f, e);
    f->bytes += bytes_of(take_d);
    return e;
}

void inflight_init(struct inflight *f)
{
    *f = (struct inflight){0};
}

void inflight_clear(struct inflight *f, struct mem *mem)
{
    for (struct inflight_entry *e = inflight_first(f); e != NULL; e = inflight_after(f, e)) {
        f->bytes -= bytes_of(&e->d);
        delivery_release(&e->d, mem);
    }
    ASSERT(f->bytes == 0);
    mem_release(mem, FOR_INFLIGHT, f->slots);
    inflight_init(f);
}

void inflight_trim(struct inflight *f, struct mem *mem)
{
    if (f->count > 0)
        return;
    ASSERT(f->bytes == 0);
    mem_release(mem, FOR_INFLIGHT, f->slots);
    *f = (struct inflight){.last_id = f->last_id};
}

struct inflight_entry *inflight_add(struct inflight *f, struct mem *mem,
                                    const struct delivery *take_d)
{
    /* Slot 0 of a table of 65,536 belongs to identifier 0, which does not exist. */
    uint32_t usable = f->capacity == MAX_CAPACITY ? MAX_CAPACITY - 1 : f->capacity;

    if (f->count >= usable) {
        if (f->capacity == MAX_CAPACITY ||
            !resize(f, mem, f->capacity == 0 ? FIRST_CAPACITY : f->capacity * 2))
            return NULL;
    }
    f->last_id = free_id(f);
    return fill(f, f->last_id, take_d);
}

struct inflight_entry *inflight_restore(struct inflight *f, struct mem *mem, uint16_t packet_id,
                                        const struct delivery *take_d)
{
    ASSERT(packet_id != 0 && inflight_find(f, packet_id) == NULL);
    while (f->capacity == 0 || slot_of(f, packet_id)->state != INFLIGHT_FREE)
        if (!resize(f, mem, f->capacity == 0 ? FIRST_CAPACITY : f->capacity * 2))
            return NULL;
    f->last_id = packet_id;
    return fill(f, packet_id, take_d);
}

struct inflight_entry *inflight_find(const struct inflight *f, uint16_t packet_id)
{
    struct inflight_entry *e;

    if (f->count == 0)
        return NULL;
    e = slot_of(f, packet_id);
    return e->state != INFLIGHT_FREE && e->packet_id == packet_id ? e : NULL;
}

static void unlink_entry(struct inflight *f, struct inflight_entry *e)
{
    uint16_t slot = (uint16_t)(e - f->slots);

    if (slot == f->first)
        f->first = e->next;
    else
        f->slots[e->prev].next = e->next;
    if (slot == f->last)
        f->last = e->prev;
    else
        f->slots[e->next].prev = e->prev;
    f->count--;
}

void inflight_remove(struct inflight *f, struct mem *mem, struct inflight_entry *e)
{
    f->bytes -= bytes_of(&e->d);
    delivery_release(&e->d, mem);
    unlink_entry(f, e);
    e->state = INFLIGHT_FREE;
}

void inflight_give_back(struct inflight *f, struct inflight_entry *e)
{
    f->bytes -= bytes_of(&e->d);
    unlink_entry(f, e);
    e->state = INFLIGHT_FREE;
}

void inflight_set_message(struct inflight *f, struct inflight_entry *e, struct message *take_msg)
{
    ASSERT(e->d.msg == NULL);
    e->d.msg = take_msg;
    f->bytes += bytes_of(&e->d);
}

void inflight_drop_message(struct inflight *f, struct mem *mem, struct inflight_entry *e)
{
    f->bytes -= bytes_of(&e->d);
    message_unref(&e->d.msg, mem);
}

void inflight_to_end(struct inflight *f, struct inflight_entry *e)
{
    unlink_entry(f, e);
    link_last(f, e);
}

struct inflight_entry *inflight_first(const struct inflight *f)
{
    return f->count == 0 ? NULL : &f->slots[f->first];
}

struct inflight_entry *inflight_after(const struct inflight *f, const struct inflight_entry *e)
{
    return e == &f->slots[f->last] ? NULL : &f->slots[e->next];
}

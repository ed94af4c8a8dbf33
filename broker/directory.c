/* directory: stripes of open-addressing tables with 64-bit keyed hashes for keys. Two identifiers
 * of equal hash would share an entry; among a million sessions the chance of that is below 1e-7. */
#include "broker/directory.h"

#include "base/assert.h"
#include "base/map.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST_CAPACITY 16

struct directory_slot {
    uint64_t hash;
    struct directory_claim claim; /* of DIRECTORY_NONE: free */
};

static bool is_free(const struct directory_slot *slot)
{
    return slot->claim.shard == DIRECTORY_NONE;
}

static struct directory_stripe *stripe_of(struct directory *d, uint64_t hash)
{
    return &d->stripes[hash >> 58];
}

/* The slot with this hash, or the free one where it would go. */
static struct directory_slot *slot_of(const struct directory_stripe *s, uint64_t hash)
{
    uint32_t i = (uint32_t)hash & (s->capacity - 1);

    while (!is_free(&s->slots[i]) && s->slots[i].hash != hash)
        i = (i + 1) & (s->capacity - 1);
    return &s->slots[i];
}

static int grow(struct directory_stripe *s)
{
    struct directory_stripe bigger = {.capacity =
                                          s->capacity == 0 ? FIRST_CAPACITY : s->capacity * 2};

    bigger.slots = malloc(bigger.capacity * sizeof *bigger.slots);
    if (bigger.slots == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < bigger.capacity; i++)
        bigger.slots[i].claim.shard = DIRECTORY_NONE;
    for (uint32_t i = 0; i < s->capacity; i++)
        if (!is_free(&s->slots[i]))
            *slot_of(&bigger, s->slots[i].hash) = s->slots[i];
    free(s->slots);
    s->slots = bigger.slots;
    s->capacity = bigger.capacity;
    return 0;
}

/* Free a slot and move followers back, so that no search meets a gap. */
static void take_out(struct directory_stripe *s, struct directory_slot *slot)
{
    uint32_t mask = s->capacity - 1, hole = (uint32_t)(slot - s->slots);

    for (uint32_t i = (hole + 1) & mask; !is_free(&s->slots[i]); i = (i + 1) & mask) {
        uint32_t home = (uint32_t)s->slots[i].hash & mask;

        if (((i - home) & mask) >= ((i - hole) & mask)) {
            s->slots[hole] = s->slots[i];
            hole = i;
        }
    }
    s->slots[hole].claim.shard = DIRECTORY_NONE;
    s->used--;
}

int directory_init(struct directory *d, uint64_t seed)
{
    *d = (struct directory){.seed = seed};
    for (unsigned i = 0; i < DIRECTORY_STRIPES; i++)
        if (pthread_mutex_init(&d->stripes[i].lock, NULL) != 0)
            return -ENOMEM;
    return 0;
}

void directory_fini(struct directory *d)
{
    for (unsigned i = 0; i < DIRECTORY_STRIPES; i++) {
        pthread_mutex_destroy(&d->stripes[i].lock);
        free(d->stripes[i].slots);
    }
}

int directory_claim(struct directory *d, struct mqtt_str client_id, unsigned shard,
                    struct directory_claim *out_before, uint32_t *out_number)
{
    uint64_t hash = hash_bytes(d->seed, client_id.p, client_id.len);
    struct directory_stripe *s = stripe_of(d, hash);
    struct directory_slot *slot;
    int rc = -ENOMEM;

    pthread_mutex_lock(&s->lock);
    if (s->used * 2 >= s->capacity && grow(s) != 0)
        goto out;
    slot = slot_of(s, hash);
    s->used += is_free(slot);
    *out_before = slot->claim;
    *out_number = ++s->claims;
    *slot = (struct directory_slot){hash, {(int32_t)shard, *out_number}};
    rc = 0;
out:
    pthread_mutex_unlock(&s->lock);
    return rc;
}

void directory_release(struct directory *d, struct mqtt_str client_id, uint32_t number)
{
    uint64_t hash = hash_bytes(d->seed, client_id.p, client_id.len);
    struct directory_stripe *s = stripe_of(d, hash);

    pthread_mutex_lock(&s->lock);
    if (s->capacity > 0) {
        struct directory_slot *slot = slot_of(s, hash);

        if (!is_free(slot) && slot->claim.number == number)
            take_out(s, slot);
    }
    pthread_mutex_unlock(&s->lock);
}

size_t directory_count(struct directory *d)
{
    size_t n = 0;

    for (unsigned i = 0; i < DIRECTORY_STRIPES; i++) {
        pthread_mutex_lock(&d->stripes[i].lock);
        n += d->stripes[i].used;
        pthread_mutex_unlock(&d->stripes[i].lock);
    }
    return n;
}

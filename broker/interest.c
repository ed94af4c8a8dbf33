/* interest: see interest.h. */
#include "broker/interest.h"

#include "base/assert.h"
#include "base/map.h"

#include <string.h>

static uint16_t slot_of(uint64_t seed, const uint8_t *topic, uint32_t len, unsigned depth)
{
    return (uint16_t)((hash_bytes(seed, topic, len) + depth) % INTEREST_SLOTS);
}

/* Length of the literal prefix in bytes, without the '/' behind it; its depth in levels, at most
 * INTEREST_DEPTH. */
static uint32_t literal_prefix(struct mqtt_str filter, unsigned *out_depth)
{
    uint32_t end = 0, at = 0;

    for (*out_depth = 0; *out_depth < INTEREST_DEPTH && at <= filter.len; ++*out_depth) {
        const uint8_t *level = filter.p + at;
        const uint8_t *slash = memchr(level, '/', filter.len - at);
        uint32_t len = slash ? (uint32_t)(slash - level) : filter.len - at;

        if (len == 1 && (level[0] == '+' || level[0] == '#'))
            break;
        end = at + len;
        at = end + 1;
    }
    return end;
}

static _Atomic uint32_t *slot_for(struct interest *in, uint64_t seed, struct mqtt_str filter)
{
    unsigned depth;
    uint32_t len = literal_prefix(filter, &depth);

    return &in->slots[slot_of(seed, filter.p, len, depth)];
}

void interest_add(struct interest *in, uint64_t seed, struct mqtt_str filter)
{
    _Atomic uint32_t *slot = slot_for(in, seed, filter);

    atomic_store_explicit(slot, atomic_load_explicit(slot, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

void interest_remove(struct interest *in, uint64_t seed, struct mqtt_str filter)
{
    _Atomic uint32_t *slot = slot_for(in, seed, filter);
    uint32_t count = atomic_load_explicit(slot, memory_order_relaxed);

    ASSERT(count > 0);
    atomic_store_explicit(slot, count - 1, memory_order_relaxed);
}

void interest_probe(uint64_t seed, struct mqtt_str name, struct interest_probe *out)
{
    uint32_t at = 0;

    out->slots[0] = slot_of(seed, name.p, 0, 0);
    out->n = 1;
    while (out->n <= INTEREST_DEPTH && at <= name.len) {
        const uint8_t *slash = memchr(name.p + at, '/', name.len - at);
        uint32_t end = slash ? (uint32_t)(slash - name.p) : name.len;

        out->slots[out->n] = slot_of(seed, name.p, end, out->n);
        out->n++;
        at = end + 1;
    }
}

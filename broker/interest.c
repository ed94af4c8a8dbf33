/* interest: see interest.h. */
#include "broker/interest.h"

#include "base/assert.h"
#include "base/map.h"
#include "broker/trie.h"

#include <string.h>

/* A shape in 32 bits: never 0. */
#define SHAPE_USED          0x10000u
#define SHAPE_MULTI         0x1000u /* anything may follow */
#define SHAPE_LEVELS(shape) ((shape) >> 8 & 0xf)
#define SHAPE_PLUS(shape)   ((shape)&0xff) /* bit per level that is '+' */

#define COUNTER_FULL        UINT16_MAX

struct summary {
    uint32_t shape;
    uint64_t hash;
};

/* What a level (0..) adds to the hash of a filter. */
static uint64_t share_of(const struct interest *in, uint32_t level, struct mqtt_str name)
{
    return trie_path(0, level + 1, hash_bytes(in->seed, name.p, name.len));
}

static bool is_level(struct mqtt_str level, uint8_t wildcard)
{
    return level.len == 1 && level.p[0] == wildcard;
}

static struct summary summarise(const struct interest *in, struct mqtt_str filter)
{
    struct summary s = {SHAPE_USED, 0};
    uint32_t level = 0, at = 0;

    for (; at <= filter.len && level < INTEREST_DEPTH; level++) {
        struct mqtt_str name = topic_level(filter, at);

        if (is_level(name, '#'))
            break;
        if (is_level(name, '+'))
            s.shape |= 1u << level;
        s.hash += share_of(in, level, name);
        at += name.len + 1;
    }
    if (at <= filter.len) /* a '#', or more levels than are told apart */
        s.shape |= SHAPE_MULTI;
    s.shape |= level << 8;
    return s;
}

/* Where filters of this shape and hash are counted; the two counters may be one. */
struct counters_at {
    uint32_t first, second;
};

static struct counters_at counters_of(uint64_t hash, uint32_t shape)
{
    uint64_t mixed = (hash + shape) * UINT64_C(0x9E3779B97F4A7C15);

    uint32_t line = (uint32_t)(mixed >> 50) % INTEREST_LINES * INTEREST_LINE;

    return (struct counters_at){line + (uint32_t)(mixed >> 45) % INTEREST_LINE,
                                line + (uint32_t)(mixed >> 40) % INTEREST_LINE};
}

/* ---- the owner ---- */

void interest_init(struct interest *in, uint64_t seed)
{
    uintptr_t line = INTEREST_LINE * sizeof in->room[0];

    in->seed = seed;
    in->counters = (void *)(((uintptr_t)in->room + line - 1) / line * line);
    for (uint32_t i = 0; i < INTEREST_DEPTH; i++)
        in->plus[i] = share_of(in, i, MQTT_STR("+"));
}

/* The place of a shape, or of a free one. INTEREST_SHAPES: neither. */
static uint32_t place_of(const struct interest *in, uint32_t shape)
{
    uint32_t free = INTEREST_SHAPES;

    for (uint32_t i = 0; i < INTEREST_SHAPES; i++) {
        uint32_t there = atomic_load_explicit(&in->shapes[i], memory_order_relaxed);

        if (there == shape)
            return i;
        if (there == 0 && free == INTEREST_SHAPES)
            free = i;
    }
    return free;
}

static void count_other(struct interest *in, uint32_t change)
{
    atomic_store_explicit(&in->other,
                          atomic_load_explicit(&in->other, memory_order_relaxed) + change,
                          memory_order_relaxed);
}

static void count_one(_Atomic uint16_t *counter, int change)
{
    uint16_t n = atomic_load_explicit(counter, memory_order_relaxed);

    if (n != COUNTER_FULL)
        atomic_store_explicit(counter, (uint16_t)(n + change), memory_order_relaxed);
}

static void count_filter(struct interest *in, const struct summary *s, int change)
{
    struct counters_at at = counters_of(s->hash, s->shape);

    count_one(&in->counters[at.first], change);
    count_one(&in->counters[at.second], change);
}

static void changed(struct interest *in)
{
    atomic_store_explicit(&in->generation,
                          atomic_load_explicit(&in->generation, memory_order_relaxed) + 1,
                          memory_order_release);
}

static void add_shape(struct interest *in, uint32_t shape)
{
    uint32_t place = place_of(in, shape);

    if (place == INTEREST_SHAPES) {
        count_other(in, 1);
        return;
    }
    in->filters[place]++;
    atomic_store_explicit(&in->shapes[place], shape, memory_order_relaxed);
    if (place >= atomic_load_explicit(&in->n_shapes, memory_order_relaxed))
        atomic_store_explicit(&in->n_shapes, place + 1, memory_order_release);
}

/* Filters that found no place are counted together: while there are any, the last filter of a shape
 * may be one of them. */
static void remove_shape(struct interest *in, uint32_t shape)
{
    uint32_t place = place_of(in, shape);

    if (place == INTEREST_SHAPES || in->filters[place] == 0) {
        ASSERT(atomic_load_explicit(&in->other, memory_order_relaxed) > 0);
        count_other(in, UINT32_MAX);
    } else if (--in->filters[place] == 0) {
        atomic_store_explicit(&in->shapes[place], 0, memory_order_relaxed);
    }
}

void interest_add(struct interest *in, struct mqtt_str filter)
{
    struct summary s = summarise(in, filter);

    count_filter(in, &s, 1);
    add_shape(in, s.shape);
    changed(in);
}

void interest_remove(struct interest *in, struct mqtt_str filter)
{
    struct summary s = summarise(in, filter);

    count_filter(in, &s, -1);
    remove_shape(in, s.shape);
    changed(in);
}

/* ---- publishers ---- */

static bool fits(uint32_t shape, const struct trie_levels *name)
{
    uint32_t levels = SHAPE_LEVELS(shape);

    if ((shape & SHAPE_MULTI) != 0)
        return name->n >= levels;
    return name->n == levels && name->whole;
}

/* Of the name's levels as far as the shape goes, "+" in place of some. */
static uint64_t hash_in_shape(const struct interest *in, uint32_t shape,
                              const struct trie_levels *name)
{
    uint32_t levels = SHAPE_LEVELS(shape);
    uint64_t hash = levels == 0 ? 0 : name->v[levels - 1].path;

    for (uint32_t plus = SHAPE_PLUS(shape); plus != 0; plus &= plus - 1) {
        int level = __builtin_ctz(plus);

        hash += in->plus[level] - name->v[level].share;
    }
    return hash;
}

static bool has_filter(const struct interest *in, uint32_t shape, uint64_t hash)
{
    struct counters_at at = counters_of(hash, shape);

    return atomic_load_explicit(&in->counters[at.first], memory_order_relaxed) != 0 &&
           atomic_load_explicit(&in->counters[at.second], memory_order_relaxed) != 0;
}

bool interest_matches(const struct interest *in, const struct trie_levels *name)
{
    uint32_t n = atomic_load_explicit(&in->n_shapes, memory_order_acquire);

    if (atomic_load_explicit(&in->other, memory_order_relaxed) != 0)
        return true;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t shape = atomic_load_explicit(&in->shapes[i], memory_order_relaxed);

        if (shape != 0 && fits(shape, name) &&
            has_filter(in, shape, hash_in_shape(in, shape, name)))
            return true;
    }
    return false;
}

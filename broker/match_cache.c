/* match_cache: direct mapped by the topic's hash. */
#include "broker/match_cache.h"

#include "base/assert.h"
#include "base/map.h"
#include "base/mem.h"
#include "broker/purposes.h"

#include <string.h>

struct match_cache *match_cache_new(struct mem *mem, uint64_t seed)
{
    struct match_cache *c = mem_try_zalloc(mem, FOR_TOPIC_TREE, sizeof *c);

    if (c != NULL)
        c->seed = seed;
    return c;
}

void match_cache_free(struct match_cache **c, struct mem *mem)
{
    mem_release(mem, FOR_TOPIC_TREE, *c);
    *c = NULL;
}

static bool is_of(const struct match_entry *e, struct mqtt_str topic)
{
    return mqtt_str_eq((struct mqtt_str){e->topic, e->topic_len}, topic);
}

uint64_t match_cache_hash(const struct match_cache *c, struct mqtt_str topic)
{
    return topic.len > MATCH_CACHE_TOPIC ? 0 : hash_bytes(c->seed, topic.p, topic.len);
}

struct match_entry *match_cache_find(struct match_cache *c, struct mqtt_str topic, uint64_t hash)
{
    struct match_entry *e;

    if (topic.len > MATCH_CACHE_TOPIC)
        return NULL;
    e = &c->slots[hash % MATCH_CACHE_SLOTS];
    if (e->hash != hash) {
        /* Another topic: the next time this one comes it may have the entry. */
        e->hash = hash;
        e->generation = e->interested_generation = 0;
        e->topic_len = 0;
        return NULL;
    }
    if (e->topic_len == 0) {
        e->topic_len = (uint8_t)topic.len;
        memcpy(e->topic, topic.p, topic.len);
    }
    return is_of(e, topic) ? e : NULL;
}

void match_cache_note(struct match_entry *e, uint64_t generation, const struct match *v, size_t n)
{
    ASSERT(n <= MATCH_CACHE_LISTS && generation != 0);
    memcpy(e->v, v, n * sizeof *v);
    e->n = (uint8_t)n;
    e->generation = generation;
}

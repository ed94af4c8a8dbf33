#include "broker/removals.h"

#include "broker/purposes.h"

struct removal {
    uint64_t topic; /* its hash */
    uint64_t uid;
};

static bool topic_equal(const void *item, const void *key, size_t key_len)
{
    (void)key_len;
    return ((const struct removal *)item)->topic == *(const uint64_t *)key;
}

void removals_init(struct removals *r, struct mem *mem, uint64_t seed)
{
    *r = (struct removals){.mem = mem, .seed = seed};
    fifo_init(&r->all, sizeof(struct removal), FOR_RETAINED);
    map_init(&r->by_topic, mem, FOR_RETAINED, topic_equal);
}

void removals_fini(struct removals *r)
{
    map_fini(&r->by_topic);
    fifo_clear(&r->all, r->mem);
}

static struct removal *find(const struct removals *r, uint64_t topic)
{
    return map_find(&r->by_topic, topic, &topic, sizeof topic);
}

static void forget_first(struct removals *r)
{
    uint64_t topic = ((struct removal *)fifo_front(&r->all))->topic;

    map_remove(&r->by_topic, topic, &topic, sizeof topic);
    fifo_pop(&r->all, r->mem);
}

void removals_note(struct removals *r, struct mqtt_str topic, uint64_t uid)
{
    uint64_t hash = hash_bytes(r->seed, topic.p, topic.len);
    struct removal *m = find(r, hash);

    if (m != NULL) {
        m->uid = uid > m->uid ? uid : m->uid;
        return;
    }
    if (fifo_count(&r->all) == REMOVALS_MAX)
        forget_first(r);
    m = fifo_push(&r->all, r->mem);
    if (m == NULL)
        return;
    *m = (struct removal){hash, uid};
    if (map_add(&r->by_topic, hash, m) != 0)
        fifo_pop_back(&r->all, r->mem);
}

bool removals_after(const struct removals *r, struct mqtt_str topic, uint64_t uid)
{
    const struct removal *m;

    if (fifo_count(&r->all) == 0)
        return false;
    m = find(r, hash_bytes(r->seed, topic.p, topic.len));
    return m != NULL && m->uid > uid;
}

void removals_forget(struct removals *r, uint64_t uid)
{
    const struct removal *m;

    while ((m = fifo_front(&r->all)) != NULL && m->uid < uid)
        forget_first(r);
}

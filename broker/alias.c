/* alias: an array of topics; outgoing aliases are reused by the clock algorithm. */
#include "broker/alias.h"

#include "base/assert.h"
#include "base/mem.h"
#include "broker/purposes.h"

#include <string.h>

struct alias_topic {
    uint8_t *p; /* NULL: not set */
    uint32_t len;
    uint32_t sum; /* cheap first comparison */
    bool used;    /* again, since it was set or the hand came by */
};

struct aliases {
    uint16_t max;
    uint16_t hand;               /* last alias that the clock looked at */
    struct alias_topic topics[]; /* index alias - 1 */
};

static uint32_t sum_of(struct mqtt_str topic)
{
    uint32_t sum = topic.len;

    for (uint32_t i = 0; i < topic.len; i++)
        sum = sum * 31 + topic.p[i];
    return sum;
}

struct aliases *aliases_new(struct mem *mem, uint16_t max)
{
    size_t size = sizeof(struct aliases) + max * sizeof(struct alias_topic);
    struct aliases *a = mem_try_alloc(mem, FOR_ALIAS, size);

    if (a == NULL)
        return NULL;
    memset(a, 0, size);
    a->max = max;
    return a;
}

void aliases_free(struct aliases **a, struct mem *mem)
{
    if (*a == NULL)
        return;
    for (unsigned i = 0; i < (*a)->max; i++)
        mem_release(mem, FOR_ALIAS, (*a)->topics[i].p);
    mem_release(mem, FOR_ALIAS, *a);
    *a = NULL;
}

bool aliases_set(struct aliases *a, struct mem *mem, uint16_t alias, struct mqtt_str topic)
{
    struct alias_topic *t = &a->topics[alias - 1];
    uint8_t *copy;

    ASSERT(alias >= 1 && alias <= a->max && topic.len > 0);
    copy = mem_try_alloc(mem, FOR_ALIAS, topic.len);
    if (copy == NULL)
        return false;
    memcpy(copy, topic.p, topic.len);
    mem_release(mem, FOR_ALIAS, t->p);
    *t = (struct alias_topic){.p = copy, .len = topic.len, .sum = sum_of(topic)};
    return true;
}

struct mqtt_str aliases_get(const struct aliases *a, uint16_t alias)
{
    return (struct mqtt_str){a->topics[alias - 1].p, a->topics[alias - 1].len};
}

/* The alias of a topic, or 0. */
static uint16_t find(struct aliases *a, struct mqtt_str topic)
{
    uint32_t sum = sum_of(topic);

    for (unsigned i = 0; i < a->max && a->topics[i].p != NULL; i++) {
        const struct alias_topic *t = &a->topics[i];

        if (t->sum == sum && mqtt_str_eq((struct mqtt_str){t->p, t->len}, topic))
            return (uint16_t)(i + 1);
    }
    return 0;
}

/* An alias that is not set, or the first whose topic was not used since the hand came by. */
static uint16_t victim(struct aliases *a)
{
    for (;;) {
        struct alias_topic *t = &a->topics[a->hand];

        a->hand = (uint16_t)((a->hand + 1) % a->max);
        if (t->p == NULL || !t->used)
            return (uint16_t)(t - a->topics + 1);
        t->used = false;
    }
}

uint16_t aliases_use(struct aliases *a, struct mem *mem, struct mqtt_str topic, bool *out_known)
{
    uint16_t alias = find(a, topic);

    *out_known = alias != 0;
    if (alias != 0) {
        a->topics[alias - 1].used = true;
        return alias;
    }
    alias = victim(a);
    return aliases_set(a, mem, alias, topic) ? alias : 0;
}

/* session_subscriptions: what a session is subscribed to. */
#include "base/assert.h"
#include "base/mem.h"
#include "broker/journal.h"
#include "broker/purposes.h"
#include "broker/retained.h"
#include "broker/session.h"
#include "broker/session_priv.h"
#include "broker/shard.h"
#include "broker/share.h"
#include "mqtt/packet.h"
#include "mqtt/reason.h"

#include <errno.h>

static struct subscription *find_shared(struct session *s, struct mqtt_str share,
                                        struct mqtt_str filter)
{
    struct membership *m = share_find(s->shard, s, share, filter);

    return m != NULL ? m->sub : NULL;
}

/* An ordinary subscription is in the session's list and in the filter's entries: the shorter of
 * both is searched. */
static struct subscription *find_ordinary(struct session *s, struct mqtt_str filter)
{
    const struct topic_sub *subs;
    size_t n = topic_tree_entries(s->shard->tree, filter, &subs);

    if (n == 0)
        return NULL;
    if (n <= s->n_subscriptions) {
        for (size_t i = 0; i < n; i++)
            if (subs[i].who == (uint64_t)(uintptr_t)s)
                return CONTAINER_OF(subs[i].place, struct subscription, place);
        return NULL;
    }
    LIST_EACH (node, &s->subscriptions) {
        struct subscription *sub = LIST_ITEM(node, struct subscription, link);

        if (sub->membership == NULL && sub->place.index < n &&
            subs[sub->place.index].place == &sub->place)
            return sub;
    }
    return NULL;
}

static struct subscription *find(struct session *s, struct mqtt_str share, struct mqtt_str filter)
{
    return share.len > 0 ? find_shared(s, share, filter) : find_ordinary(s, filter);
}

static int enter_tree(struct session *s, struct subscription *sub, struct mqtt_str filter,
                      uint8_t options, uint32_t sub_id)
{
    struct shard *sh = s->shard;
    struct topic_sub entry = {.who = (uint64_t)(uintptr_t)s, .sub_id = sub_id, .options = options};
    int rc = topic_tree_add(sh->tree, filter, entry, &sub->place);

    if (rc == 0 && !shard_alone(sh)) {
        interest_add(&sh->interest, filter);
        if (s->durable)
            interest_add(&sh->durable_interest, filter);
    }
    return rc;
}

static void leave_tree(struct session *s, struct subscription *sub)
{
    struct shard *sh = s->shard;

    if (!shard_alone(sh)) {
        uint8_t filter[UINT16_MAX];
        uint32_t len = (uint32_t)topic_place_filter(&sub->place, filter, sizeof filter);
        struct mqtt_str text = {filter, len};

        interest_remove(&sh->interest, text);
        if (s->durable)
            interest_remove(&sh->durable_interest, text);
    }
    topic_tree_remove(sh->tree, &sub->place);
}

/* A new subscription, in the session's list and in the tree or its group. 0 or -ENOMEM. */
static int add(struct session *s, struct mqtt_str share, struct mqtt_str filter, uint8_t options,
               uint32_t sub_id)
{
    struct shard *sh = s->shard;
    struct subscription *sub = mem_try_alloc(sh->mem, FOR_SUBSCRIPTION, sizeof *sub);
    int rc;

    if (sub == NULL)
        return -ENOMEM;
    *sub = (struct subscription){.session = s};
    list_init(&sub->link);
    rc = share.len > 0 ? share_join(sh, sub, share, filter, options, sub_id, &sub->membership)
                       : enter_tree(s, sub, filter, options, sub_id);
    if (rc != 0) {
        mem_release(sh->mem, FOR_SUBSCRIPTION, sub);
        return rc;
    }
    list_push_back(&s->subscriptions, &sub->link);
    s->n_subscriptions++;
    COUNT(&sh->counters, subscriptions);
    return 0;
}

int session_restore_subscription(struct session *s, struct mqtt_str share, struct mqtt_str filter,
                                 uint8_t options, uint32_t sub_id)
{
    return add(s, share, filter, options, sub_id);
}

/* May the session have one more? */
static bool has_place(const struct session *s)
{
    const struct shard *sh = s->shard;
    uint32_t max = sh->config.max_subscriptions;

    if (atomic_load_explicit(&sh->broker->memory_pressure, memory_order_relaxed) == MEMORY_FULL)
        return false;
    return max == 0 || s->n_subscriptions < max;
}

/* Is the store to know that retained messages are still to come? At QoS 0 it is not. */
static bool is_due(const struct session *s, struct mqtt_str share, struct mqtt_str filter,
                   uint8_t options)
{
    return s->durable && share.len == 0 && MQTT_SUB_QOS(options) > 0 && retained_stored(s, filter);
}

int session_subscribe(struct session *s, struct mqtt_str share, struct mqtt_str filter,
                      uint8_t options, uint32_t sub_id, bool *out_existed)
{
    struct shard *sh = s->shard;
    struct subscription *sub = find(s, share, filter);

    *out_existed = sub != NULL;
    if (sub == NULL) {
        if (!has_place(s))
            return MQTT_RC_QUOTA_EXCEEDED;
        if (add(s, share, filter, options, sub_id) != 0)
            return MQTT_RC_IMPLEMENTATION_ERROR;
    } else if (sub->membership != NULL) {
        share_update(sh, sub->membership, options, sub_id);
    } else {
        topic_tree_update(&sub->place, options, sub_id);
    }
    if (is_due(s, share, filter, options))
        options |= STORE_RETAINED_DUE;
    journal_filter(s, share, filter, options, sub_id, HASTE_NOW);
    return 0;
}

void session_record_subscription(struct session *s, struct mqtt_str filter)
{
    const struct mqtt_str ordinary = {NULL, 0};
    struct subscription *sub = find(s, ordinary, filter);
    const struct topic_sub *entry;
    bool due;

    if (sub == NULL)
        return;
    entry = topic_place_entry(&sub->place);
    due = is_due(s, ordinary, filter, entry->options);
    journal_filter(s, ordinary, filter, entry->options | (due ? STORE_RETAINED_DUE : 0),
                   entry->sub_id, due ? HASTE_NOW : HASTE_LATER);
}

static void subscription_end(struct subscription *sub)
{
    struct session *s = sub->session;
    struct shard *sh = s->shard;

    if (sub->membership != NULL)
        share_leave(sh, &sub->membership);
    else
        leave_tree(s, sub);
    list_remove(&sub->link);
    s->n_subscriptions--;
    COUNT_DOWN(&sh->counters, subscriptions);
    mem_release(sh->mem, FOR_SUBSCRIPTION, sub);
}

bool session_unsubscribe(struct session *s, struct mqtt_str share, struct mqtt_str filter)
{
    struct subscription *sub = find(s, share, filter);

    if (sub == NULL)
        return false;
    subscription_end(sub);
    journal_filter_end(s, share, filter);
    return true;
}

bool session_is_member(const struct session *s)
{
    LIST_EACH (n, &s->subscriptions)
        if (LIST_ITEM(n, struct subscription, link)->membership != NULL)
            return true;
    return false;
}

void session_leave_all(struct session *s)
{
    while (!list_empty(&s->subscriptions))
        subscription_end(LIST_ITEM(s->subscriptions.next, struct subscription, link));
}

void session_members_online(struct session *s, bool online)
{
    LIST_EACH (n, &s->subscriptions) {
        struct subscription *sub = LIST_ITEM(n, struct subscription, link);

        if (sub->membership != NULL)
            share_online(s->shard, sub->membership, online);
    }
}

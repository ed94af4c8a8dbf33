/* router: see router.h. Most messages match one filter and go straight to its subscribers. Where
 * several filters match, what they say is first merged per session: one copy at the highest QoS,
 * with the identifiers of all matching subscriptions [v5 MQTT-3.3.4-2] [v5 MQTT-3.3.4-3] [v3
 * MQTT-3.3.5-1]. */
#include "broker/router.h"

#include "base/assert.h"
#include "base/mem.h"
#include "broker/interest.h"
#include "broker/journal.h"
#include "broker/match_cache.h"
#include "broker/purposes.h"
#include "broker/retained.h"
#include "broker/session.h"
#include "broker/shard.h"
#include "broker/share.h"
#include "broker/topic_tree.h"
#include "mqtt/packet.h"

#include <string.h>

#define MATCHES_INLINE 16

_Static_assert(TOPIC_TREE_LEVELS >= INTEREST_DEPTH, "a name split for a tree does for interest");

struct matches {
    struct shard *sh;
    struct match *v; /* inline_v, or memory of its own */
    size_t n, capacity;
    struct match inline_v[MATCHES_INLINE];
};

/* What the matching subscriptions of one session say together. */
struct merged {
    struct session *session;
    struct sub_ids *ids; /* NULL until there are two */
    uint32_t sub_id;
    uint8_t qos;
    bool retain;
};

static int collect(void *arg, const struct topic_sub *subs, size_t n)
{
    struct matches *m = arg;

    if (m->n == m->capacity) {
        size_t bytes = m->n * sizeof *m->v;
        struct match *v = mem_try_alloc(m->sh->mem, FOR_SHARD, bytes * 2);

        if (v == NULL)
            return -1;
        memcpy(v, m->v, bytes);
        if (m->v != m->inline_v)
            mem_release(m->sh->mem, FOR_SHARD, m->v);
        m->v = v;
        m->capacity *= 2;
    }
    m->v[m->n++] = (struct match){subs, n};
    return 0;
}

/* Not to the publisher itself, where its subscription says so [v5 MQTT-3.8.3-3]. */
static bool excluded(const struct publication *pub, const struct topic_sub *sub)
{
    return (sub->options & MQTT_SUB_NO_LOCAL) != 0 && pub->publisher != 0 &&
           ((const struct session *)(uintptr_t)sub->who)->serial == pub->publisher;
}

static bool keeps_retain(const struct publication *pub, const struct topic_sub *sub)
{
    return pub->retain && (sub->options & MQTT_SUB_RETAIN_AS_PUBLISHED) != 0;
}

static void deliver_list(struct shard *sh, struct publication *pub, const struct match *m)
{
    for (size_t i = 0; i < m->n; i++) {
        const struct topic_sub *sub = &m->subs[i];

        if (share_is_group(sub->who)) {
            share_deliver(sh, sub->who, pub);
        } else if (!excluded(pub, sub)) {
            struct claim claim = {.qos = MQTT_SUB_QOS(sub->options),
                                  .retain = keeps_retain(pub, sub),
                                  .sub_id = sub->sub_id};

            session_deliver((struct session *)(uintptr_t)sub->who, pub, &claim);
        }
    }
}

/* ---- several filters ---- */

/* One identifier more. Out of memory: the identifier is left out. */
static void add_id(struct shard *sh, struct merged *m, uint32_t sub_id)
{
    struct sub_ids *ids = m->ids;
    uint32_t n = ids != NULL ? ids->n : m->sub_id != 0;
    size_t size = sizeof *ids + n * sizeof ids->v[0];

    if (sub_id == 0)
        return;
    if (n == 0) {
        m->sub_id = sub_id;
        return;
    }
    ids = mem_try_realloc(sh->mem, FOR_SHARD, ids, m->ids == NULL ? 0 : size,
                          size + sizeof ids->v[0]);
    if (ids == NULL)
        return;
    if (m->ids == NULL)
        ids->v[0] = m->sub_id;
    ids->v[n] = sub_id;
    ids->n = n + 1;
    m->ids = ids;
}

static void merge_one(struct shard *sh, const struct publication *pub, const struct topic_sub *sub,
                      struct merged *all, uint32_t *n)
{
    struct session *s = (struct session *)(uintptr_t)sub->who;
    uint8_t qos = MQTT_SUB_QOS(sub->options);
    struct merged *m;

    if (s->match_stamp != sh->match_stamp) {
        s->match_stamp = sh->match_stamp;
        s->match_index = (*n)++;
        all[s->match_index] = (struct merged){.session = s};
    }
    m = &all[s->match_index];
    if (qos > m->qos)
        m->qos = qos;
    m->retain |= keeps_retain(pub, sub);
    add_id(sh, m, sub->sub_id);
}

static void deliver_merged(struct shard *sh, struct publication *pub, const struct merged *m)
{
    struct claim claim = {.qos = m->qos,
                          .retain = m->retain,
                          .sub_id = m->ids == NULL ? m->sub_id : 0,
                          .ids = m->ids};

    session_deliver(m->session, pub, &claim);
    mem_release(sh->mem, FOR_SHARD, m->ids);
}

static void deliver_lists(struct shard *sh, struct publication *pub, const struct match *v,
                          size_t n_lists)
{
    size_t subs = 0;
    struct merged *all;
    uint32_t n = 0;

    for (size_t i = 0; i < n_lists; i++)
        subs += v[i].n;
    all = (struct merged *)(void *)scratch_reserve(sh, &sh->matches, subs * sizeof *all);
    if (all == NULL) {
        count_drop(sh, DROP_NO_MEMORY, (int64_t)subs);
        return;
    }
    sh->match_stamp++;
    for (size_t i = 0; i < n_lists; i++) {
        for (size_t k = 0; k < v[i].n; k++) {
            const struct topic_sub *sub = &v[i].subs[k];

            if (share_is_group(sub->who))
                share_deliver(sh, sub->who, pub);
            else if (!excluded(pub, sub))
                merge_one(sh, pub, sub, all, &n);
        }
    }
    for (uint32_t i = 0; i < n; i++)
        deliver_merged(sh, pub, &all[i]);
}

static void deliver(struct shard *sh, struct publication *pub, const struct match *v, size_t n)
{
    if (n == 1)
        deliver_list(sh, pub, &v[0]);
    else if (n > 1)
        deliver_lists(sh, pub, v, n);
}

/* Look the topic up in the tree. levels: as it was split for that, or NULL. */
static bool match_and_deliver(struct shard *sh, struct publication *pub, struct match_entry *e,
                              const struct trie_levels *levels)
{
    struct matches ms = {.sh = sh, .capacity = MATCHES_INLINE};

    ms.v = ms.inline_v;
    if (levels == NULL)
        levels = topic_tree_split(sh->tree, pub->topic);
    if (topic_tree_match_split(sh->tree, pub->topic, levels, collect, &ms) != 0) {
        count_drop(sh, DROP_NO_MEMORY, 1);
        ms.n = 0;
    } else if (e != NULL && ms.n <= MATCH_CACHE_LISTS) {
        match_cache_note(e, topic_tree_stats(sh->tree).generation, ms.v, ms.n);
    }
    deliver(sh, pub, ms.v, ms.n);
    if (ms.v != ms.inline_v)
        mem_release(sh->mem, FOR_SHARD, ms.v);
    return ms.n > 0;
}

/* Deliver to the sessions and groups of this shard. e: what is known of the topic, or NULL. */
static bool route_here(struct shard *sh, struct publication *pub, struct match_entry *e,
                       const struct trie_levels *levels)
{
    if (e == NULL || e->generation != topic_tree_stats(sh->tree).generation)
        return match_and_deliver(sh, pub, e, levels);
    deliver(sh, pub, e->v, e->n);
    return e->n > 0;
}

/* ---- other shards ---- */

static void keep_retained(struct shard *sh, struct publication *pub)
{
    if (pub->retain)
        retained_set(sh, pub);
}

/* What is known of the topic, or NULL. Its hash goes with the message. */
static struct match_entry *known(struct shard *sh, struct publication *pub)
{
    if (pub->topic_hash == 0)
        pub->topic_hash = match_cache_hash(sh->match_cache, pub->topic);
    return match_cache_find(sh->match_cache, pub->topic, pub->topic_hash);
}

static void arrive(struct shard *sh, struct publication *pub)
{
    shard_seen_uid(sh, pub->uid);
    keep_retained(sh, pub);
    route_here(sh, pub, known(sh, pub), NULL);
}

/* ptr: message, with a reference. */
static void on_message(struct shard *sh, struct post *p)
{
    struct message *msg = p->ptr;
    struct publication pub = publication_of(msg);

    arrive(sh, &pub);
    message_unref(&msg, sh->mem);
}

/* A small message travels as a copy: this, then topic, properties, payload. */
struct copied {
    uint64_t uid, publisher, expires_ms, topic_hash;
    uint32_t topic_len, props_len, payload_len;
    uint8_t qos;
    bool retain, guarded;
    uint8_t data[];
};

/* ptr: struct copied. */
static void on_copy(struct shard *sh, struct post *p)
{
    const struct copied *c = p->ptr;
    const uint8_t *data = c->data;
    struct publication pub = {.topic = {data, c->topic_len},
                              .props = {data + c->topic_len, c->props_len},
                              .payload = {data + c->topic_len + c->props_len, c->payload_len},
                              .uid = c->uid,
                              .publisher = c->publisher,
                              .expires_ms = c->expires_ms,
                              .topic_hash = c->topic_hash,
                              .qos = c->qos,
                              .retain = c->retain,
                              .guarded = c->guarded};

    arrive(sh, &pub);
    publication_done(&pub, sh->mem);
}

static bool hand_over_copy(struct shard *sh, unsigned to, const struct publication *pub,
                           size_t size)
{
    struct post *p = shard_post_bytes(sh, to, on_copy, size);
    struct copied *c;
    uint8_t *at;

    if (p == NULL)
        return false;
    c = p->ptr;
    *c = (struct copied){.uid = pub->uid,
                         .publisher = pub->publisher,
                         .expires_ms = pub->expires_ms,
                         .topic_hash = pub->topic_hash,
                         .topic_len = pub->topic.len,
                         .props_len = pub->props.len,
                         .payload_len = pub->payload.len,
                         .qos = pub->qos,
                         .retain = pub->retain,
                         .guarded = pub->guarded};
    at = c->data;
    memcpy(at, pub->topic.p, pub->topic.len);
    at += pub->topic.len;
    if (pub->props.len > 0)
        memcpy(at, pub->props.p, pub->props.len);
    at += pub->props.len;
    if (pub->payload.len > 0)
        memcpy(at, pub->payload.p, pub->payload.len);
    return true;
}

static bool hand_over_message(struct shard *sh, unsigned to, struct publication *pub)
{
    struct message *msg = publication_message(pub, sh->mem);

    if (msg == NULL)
        return false;
    msg->guarded = pub->guarded; /* it may have been made before that was known */
    message_share(msg);
    shard_post(sh, to, on_message)->ptr = message_ref(msg);
    posts_weigh(sh, to, message_size(msg));
    return true;
}

/* A retained message is kept by every shard, so one block of memory serves all; others that are
 * small are copied. */
static bool hand_over(struct shard *sh, unsigned to, struct publication *pub)
{
    size_t size =
        sizeof(struct copied) + (size_t)pub->topic.len + pub->props.len + (size_t)pub->payload.len;
    bool copy = size <= POST_BYTES_MAX && !pub->retain && pub->msg == NULL;

    pub->guarded |= pub->exactly_once;
    if (!(copy ? hand_over_copy(sh, to, pub, size) : hand_over_message(sh, to, pub))) {
        count_drop(sh, DROP_NO_MEMORY, 1);
        return false;
    }
    if (pub->qos > 0)
        posts_want_answer(sh, to);
    return true;
}

/* Shards where a filter may match, this one included: a bit each. */
static uint64_t interested(const struct broker *b, const struct trie_levels *topic)
{
    uint64_t mask = 0;

    for (unsigned i = 0; i < b->n_shards; i++)
        if (interest_matches(&b->shards[i]->interest, topic))
            mask |= UINT64_C(1) << i;
    return mask;
}

/* The same, remembered as long as no shard has changed its filters. */
static uint64_t interested_cached(struct shard *sh, struct mqtt_str topic, struct match_entry *e)
{
    struct broker *b = sh->broker;
    uint64_t generation = 1;

    for (unsigned i = 0; i < b->n_shards; i++) /* before the look: what changes meanwhile shows */
        generation += interest_generation(&b->shards[i]->interest);
    if (e->interested_generation != generation) {
        e->interested = interested(b, topic_tree_split(sh->tree, topic));
        e->interested_generation = generation;
    }
    return e->interested;
}

static uint64_t every_shard(const struct broker *b)
{
    ASSERT(b->n_shards > 0);
    return UINT64_MAX >> (64 - b->n_shards);
}

/* To the shards where a filter may match. A retained message goes to every other one, too. */
static bool route_among_shards(struct shard *sh, struct publication *pub, struct match_entry *e)
{
    uint64_t own = UINT64_C(1) << sh->index;
    const struct trie_levels *levels = e == NULL ? topic_tree_split(sh->tree, pub->topic) : NULL;
    uint64_t mask =
        e == NULL ? interested(sh->broker, levels) : interested_cached(sh, pub->topic, e);
    uint64_t others = (pub->retain ? every_shard(sh->broker) : mask) & ~own;
    bool matched = false;

    for (; others != 0; others &= others - 1)
        matched |= hand_over(sh, (unsigned)__builtin_ctzll(others), pub);
    if ((mask & own) != 0)
        matched |= route_here(sh, pub, e, levels);
    return matched;
}

bool router_publish(struct shard *sh, struct publication *pub)
{
    struct match_entry *e = known(sh, pub);
    bool matched;

    keep_retained(sh, pub);
    matched = shard_alone(sh) ? route_here(sh, pub, e, NULL) : route_among_shards(sh, pub, e);
    if (!matched)
        COUNT(&sh->counters, publishes_unmatched);
    return matched;
}

/* ---- a store that cannot write ---- */

static int find_durable(void *arg, const struct topic_sub *subs, size_t n)
{
    (void)arg;
    for (size_t i = 0; i < n; i++) {
        const struct session *s = (const struct session *)(uintptr_t)subs[i].who;

        if (share_is_group(subs[i].who) || (s->durable && MQTT_SUB_QOS(subs[i].options) > 0))
            return 1;
    }
    return 0;
}

bool router_needs_store(struct shard *sh, struct publication *pub)
{
    struct broker *b = sh->broker;
    const struct trie_levels *levels;

    if (!journal_wants(sh, pub))
        return false;
    if (pub->retain)
        return true;
    levels = topic_tree_split(sh->tree, pub->topic);
    if (topic_tree_match_split(sh->tree, pub->topic, levels, find_durable, NULL) != 0)
        return true;
    for (unsigned to = 0; to < b->n_shards; to++)
        if (to != sh->index && interest_matches(&b->shards[to]->durable_interest, levels))
            return true;
    return false;
}

/* share: groups at their home shard, memberships at their members' shards.
 *
 * Invariants:
 *   1. a group exists as long as it has a member;
 *   2. a member is known by the serial of its session; the shard noted with it is where the session
 *      was when it last joined, so a leave from a shard that the session has moved away from is
 * void.
 */
#include "broker/share.h"

#include "base/assert.h"
#include "base/map.h"
#include "base/mem.h"
#include "broker/connection.h"
#include "broker/journal.h"
#include "broker/purposes.h"
#include "broker/session.h"
#include "broker/shard.h"

#include <errno.h>
#include <string.h>

struct member {
    uint64_t serial;          /* of the session */
    struct membership *local; /* when the member is at this shard, else NULL */
    unsigned shard;
    uint32_t open; /* messages at QoS 1 and 2 that it has not completed */
    uint32_t sub_id;
    uint8_t options;
    bool online;
};

struct group {
    uint64_t id;
    struct topic_place place;
    struct member *members;
    uint32_t n, capacity;
    uint32_t turn; /* index of the member that got the last message */
    uint16_t share_len;
    uint16_t text_len;
    uint8_t text[]; /* share name, '/', filter */
};

struct shares {
    struct map groups;      /* whose home is here, by id */
    struct map memberships; /* of sessions that are here */
};

struct membership_key {
    uint64_t group, serial;
};

/* What a member tells the home; also what travels there from another shard. */
struct join {
    uint64_t group, serial;
    struct membership *local;
    unsigned shard;
    uint32_t sub_id;
    uint8_t options;
    bool online;
    uint16_t share_len;
    uint16_t text_len;
    uint8_t text[];
};

static bool group_equal(const void *item, const void *key, size_t len)
{
    (void)len;
    return ((const struct group *)item)->id == *(const uint64_t *)key;
}

static bool membership_equal(const void *item, const void *key, size_t len)
{
    const struct membership *m = item;
    const struct membership_key *k = key;

    (void)len;
    return m->group == k->group && m->sub->session->serial == k->serial;
}

static uint64_t membership_hash(struct membership_key k)
{
    return hash_number(k.group ^ hash_number(k.serial));
}

static struct membership *membership_find(struct shard *sh, uint64_t group, uint64_t serial)
{
    struct membership_key key = {group, serial};

    return map_find(&sh->shares->memberships, membership_hash(key), &key, sizeof key);
}

/* Two groups of equal hash would be one; among a million groups the chance is below 1e-7. */
static uint64_t group_id(const struct shard *sh, const uint8_t *text, size_t len)
{
    uint64_t id = hash_bytes(sh->broker->hash_seed, text, len);

    return id != 0 ? id : 1;
}

static unsigned home_of(const struct shard *sh, uint64_t group)
{
    return (unsigned)((group >> 32) % sh->broker->n_shards);
}

static bool at_home(const struct shard *sh, uint64_t group)
{
    return home_of(sh, group) == sh->index;
}

/* ---- the group, at its home ---- */

static struct group *group_find(struct shard *sh, uint64_t id)
{
    return map_find(&sh->shares->groups, hash_number(id), &id, sizeof id);
}

static struct mqtt_str group_filter(const struct group *g)
{
    return (struct mqtt_str){g->text + g->share_len + 1, (uint32_t)g->text_len - g->share_len - 1};
}

static void group_free(struct shard *sh, struct group *g)
{
    if (g->place.node != NULL) {
        topic_tree_remove(sh->tree, &g->place);
        if (!shard_alone(sh)) {
            interest_remove(&sh->interest, group_filter(g));
            interest_remove(&sh->durable_interest, group_filter(g));
        }
        map_remove(&sh->shares->groups, hash_number(g->id), &g->id, sizeof g->id);
    }
    mem_release(sh->mem, FOR_SHARE, g->members);
    mem_release(sh->mem, FOR_SHARE, g);
}

static struct group *group_new(struct shard *sh, const struct join *j)
{
    struct group *g = mem_try_alloc(sh->mem, FOR_SHARE, sizeof *g + j->text_len);

    if (g == NULL)
        return NULL;
    *g = (struct group){.id = j->group, .share_len = j->share_len, .text_len = j->text_len};
    memcpy(g->text, j->text, j->text_len);
    if (map_add(&sh->shares->groups, hash_number(g->id), g) != 0) {
        mem_release(sh->mem, FOR_SHARE, g);
        return NULL;
    }
    if (topic_tree_add(sh->tree, group_filter(g),
                       (struct topic_sub){.who = (uint64_t)(uintptr_t)g | 1}, &g->place) != 0) {
        map_remove(&sh->shares->groups, hash_number(g->id), &g->id, sizeof g->id);
        mem_release(sh->mem, FOR_SHARE, g);
        return NULL;
    }
    if (!shard_alone(sh)) { /* durable, too: some of its members may be */
        interest_add(&sh->interest, group_filter(g));
        interest_add(&sh->durable_interest, group_filter(g));
    }
    return g;
}

static struct member *member_find(struct group *g, uint64_t serial)
{
    for (uint32_t i = 0; i < g->n; i++)
        if (g->members[i].serial == serial)
            return &g->members[i];
    return NULL;
}

static struct member *member_add(struct shard *sh, struct group *g)
{
    if (g->n == g->capacity) {
        uint32_t capacity = g->capacity == 0 ? 2 : g->capacity * 2;
        struct member *v = mem_try_realloc(sh->mem, FOR_SHARE, g->members, g->capacity * sizeof *v,
                                           capacity * sizeof *v);

        if (v == NULL)
            return NULL;
        g->members = v;
        g->capacity = capacity;
    }
    g->members[g->n] = (struct member){0};
    return &g->members[g->n++];
}

/* A session joins, comes with other options, or has moved to another shard. */
static int group_join(struct shard *sh, const struct join *j)
{
    struct group *g = group_find(sh, j->group);
    struct member *m;

    if (g == NULL)
        g = group_new(sh, j);
    if (g == NULL)
        return -ENOMEM;
    m = member_find(g, j->serial);
    if (m == NULL)
        m = member_add(sh, g);
    if (m == NULL) {
        if (g->n == 0)
            group_free(sh, g);
        return -ENOMEM;
    }
    m->serial = j->serial;
    m->local = j->local;
    m->shard = j->shard;
    m->sub_id = j->sub_id;
    m->options = j->options;
    m->online = j->online;
    return 0;
}

static void group_leave(struct shard *sh, uint64_t group, uint64_t serial, unsigned shard)
{
    struct group *g = group_find(sh, group);
    struct member *m = g == NULL ? NULL : member_find(g, serial);

    if (m == NULL || m->shard != shard)
        return;
    *m = g->members[--g->n];
    if (g->n == 0)
        group_free(sh, g);
}

/* Whom to prefer: connected members, then the one with less to do, then the next in turn. */
static bool better(const struct shard *sh, const struct member *m, const struct member *than)
{
    if (m->online != than->online)
        return m->online;
    return sh->config.share_strategy == SHARE_LEAST_INFLIGHT && m->open < than->open;
}

/* Nobody in the group can be better. */
static bool best_possible(const struct shard *sh, const struct member *m)
{
    return m->online && (sh->config.share_strategy != SHARE_LEAST_INFLIGHT || m->open == 0);
}

static struct member *pick(const struct shard *sh, struct group *g)
{
    uint32_t best = (g->turn + 1) % g->n;

    for (uint32_t i = 2; i <= g->n && !best_possible(sh, &g->members[best]); i++) {
        uint32_t at = (g->turn + i) % g->n;

        if (better(sh, &g->members[at], &g->members[best]))
            best = at;
    }
    g->turn = best;
    return &g->members[best];
}

/* ---- delivery to the chosen member ---- */

static void deliver_local(struct shard *sh, struct membership *m, struct publication *pub)
{
    uint8_t options = m->options;
    struct claim claim = {.qos = MQTT_SUB_QOS(options),
                          .retain = pub->retain && (options & MQTT_SUB_RETAIN_AS_PUBLISHED) != 0,
                          .sub_id = m->sub_id,
                          .group = m->group};

    (void)sh;
    session_deliver(m->sub->session, pub, &claim);
}

/* ptr: message, with a reference; a: group; b: serial; c: session that had it before. */
static void on_deliver(struct shard *sh, struct post *p)
{
    struct membership *m = membership_find(sh, p->a, p->b);
    struct message *msg = p->ptr;

    shard_seen_uid(sh, msg->uid);
    if (m != NULL) {
        struct publication pub = publication_of(msg);

        pub.moved_from = p->c;
        deliver_local(sh, m, &pub);
    } else {
        share_return(sh, p->a, msg, p->c); /* it has left meanwhile */
    }
    message_unref(&msg, sh->mem);
}

/* False when out of memory. */
static bool deliver_remote(struct shard *sh, struct group *g, const struct member *m,
                           struct publication *pub)
{
    struct message *msg = publication_message(pub, sh->mem);
    struct post *p;

    if (msg == NULL)
        return false;
    message_share(msg);
    p = shard_post(sh, m->shard, on_deliver);
    p->ptr = message_ref(msg);
    p->a = g->id;
    p->b = m->serial;
    p->c = pub->moved_from;
    posts_weigh(sh, m->shard, message_size(msg));
    if (pub->qos > 0)
        posts_want_answer(sh, m->shard);
    return true;
}

static void group_deliver(struct shard *sh, struct group *g, struct publication *pub)
{
    struct member *m = pick(sh, g);
    bool counts = pub->qos > 0 && MQTT_SUB_QOS(m->options) > 0;

    m->open += counts;
    if (m->local != NULL) {
        deliver_local(sh, m->local, pub);
    } else if (!deliver_remote(sh, g, m, pub)) {
        m->open -= counts;
        count_drop(sh, DROP_NO_MEMORY, 1);
    }
}

void share_deliver(struct shard *sh, uint64_t who, struct publication *pub)
{
    group_deliver(sh, (struct group *)(uintptr_t)(who & ~UINT64_C(1)), pub);
}

/* ---- posts to the home, and from there ---- */

static void on_not_joined(struct shard *sh, struct post *p);

static void on_join(struct shard *sh, struct post *p)
{
    struct join *j = p->ptr;

    if (group_join(sh, j) != 0) {
        struct post *answer = shard_post(sh, p->from, on_not_joined);

        answer->a = j->group;
        answer->b = j->serial;
    }
    mem_release(sh->mem, FOR_SHARE, j);
}

static void on_leave(struct shard *sh, struct post *p)
{
    group_leave(sh, p->a, p->b, p->from);
}

static void member_online(struct shard *sh, uint64_t group, uint64_t serial, unsigned shard,
                          bool online)
{
    struct group *g = group_find(sh, group);
    struct member *m = g == NULL ? NULL : member_find(g, serial);

    if (m != NULL && m->shard == shard)
        m->online = online;
}

static void on_online(struct shard *sh, struct post *p)
{
    member_online(sh, p->a, p->b, p->from, p->u32 != 0);
}

static void member_done(struct shard *sh, uint64_t group, uint64_t serial)
{
    struct group *g = group_find(sh, group);
    struct member *m = g == NULL ? NULL : member_find(g, serial);

    if (m != NULL && m->open > 0)
        m->open--;
}

static void on_done(struct shard *sh, struct post *p)
{
    member_done(sh, p->a, p->b);
}

static void on_return(struct shard *sh, struct post *p)
{
    struct message *msg = p->ptr;

    share_return(sh, p->a, msg, p->b);
    message_unref(&msg, sh->mem);
}

/* ---- the membership, at the member's shard ---- */

/* The home is out of memory. That is known before the SUBACK, which would promise too much. */
static void on_not_joined(struct shard *sh, struct post *p)
{
    struct membership *m = membership_find(sh, p->a, p->b);
    struct session *s;

    if (m == NULL)
        return;
    s = m->sub->session;
    if (s->conn != NULL)
        connection_close_later(s->conn, CLOSE_NO_MEMORY);
    session_unsubscribe(s, membership_share(m), membership_filter(m));
}

static struct join *join_new(struct shard *sh, const struct membership *m)
{
    struct join *j = mem_try_alloc(sh->mem, FOR_SHARE, sizeof *j + m->text_len);

    if (j == NULL)
        return NULL;
    *j = (struct join){.group = m->group,
                       .serial = m->sub->session->serial,
                       .shard = sh->index,
                       .sub_id = m->sub_id,
                       .options = m->options,
                       .online = m->sub->session->conn != NULL,
                       .share_len = m->share_len,
                       .text_len = m->text_len};
    memcpy(j->text, m->text, m->text_len);
    return j;
}

/* Tell the home what this membership is now. */
static int announce(struct shard *sh, struct membership *m)
{
    struct join *j = join_new(sh, m);
    int rc = 0;

    if (j == NULL)
        return -ENOMEM;
    if (at_home(sh, m->group)) {
        j->local = m;
        rc = group_join(sh, j);
        mem_release(sh->mem, FOR_SHARE, j);
        return rc;
    }
    shard_post(sh, home_of(sh, m->group), on_join)->ptr = j;
    posts_want_answer(sh, home_of(sh, m->group));
    return 0;
}

/* "NAME/FILTER": what a group is known by. Returns its length. */
static size_t group_text(struct mqtt_str share, struct mqtt_str filter, uint8_t *out)
{
    memcpy(out, share.p, share.len);
    out[share.len] = '/';
    memcpy(out + share.len + 1, filter.p, filter.len);
    return (size_t)share.len + 1 + filter.len;
}

struct membership *share_find(struct shard *sh, const struct session *s, struct mqtt_str share,
                              struct mqtt_str filter)
{
    uint8_t text[UINT16_MAX];

    ASSERT((size_t)share.len + 1 + filter.len <= sizeof text);
    return membership_find(sh, group_id(sh, text, group_text(share, filter, text)), s->serial);
}

static struct membership *membership_new(struct shard *sh, struct subscription *sub,
                                         struct mqtt_str share, struct mqtt_str filter)
{
    size_t text_len = (size_t)share.len + 1 + filter.len;
    struct membership *m = mem_try_alloc(sh->mem, FOR_SHARE, sizeof *m + text_len);

    if (m == NULL)
        return NULL;
    *m = (struct membership){
        .sub = sub, .share_len = (uint16_t)share.len, .text_len = (uint16_t)text_len};
    group_text(share, filter, m->text);
    m->group = group_id(sh, m->text, text_len);
    return m;
}

static struct membership_key key_of(const struct membership *m)
{
    return (struct membership_key){m->group, m->sub->session->serial};
}

int share_join(struct shard *sh, struct subscription *sub, struct mqtt_str share,
               struct mqtt_str filter, uint8_t options, uint32_t sub_id, struct membership **out)
{
    struct membership *m = membership_new(sh, sub, share, filter);
    struct membership_key key;

    if (m == NULL)
        return -ENOMEM;
    m->options = options;
    m->sub_id = sub_id;
    key = key_of(m);
    if (map_add(&sh->shares->memberships, membership_hash(key), m) != 0) {
        mem_release(sh->mem, FOR_SHARE, m);
        return -ENOMEM;
    }
    if (announce(sh, m) != 0) {
        map_remove(&sh->shares->memberships, membership_hash(key), &key, sizeof key);
        mem_release(sh->mem, FOR_SHARE, m);
        return -ENOMEM;
    }
    COUNT(&sh->counters, shared_subscriptions);
    *out = m;
    return 0;
}

void share_update(struct shard *sh, struct membership *m, uint8_t options, uint32_t sub_id)
{
    m->options = options;
    m->sub_id = sub_id;
    announce(sh,
             m); /* out of memory: the home keeps the old options for picking; no message is lost */
}

void share_leave(struct shard *sh, struct membership **membership)
{
    struct membership *m = *membership;
    struct membership_key key = key_of(m);

    *membership = NULL;
    map_remove(&sh->shares->memberships, membership_hash(key), &key, sizeof key);
    if (at_home(sh, m->group)) {
        group_leave(sh, key.group, key.serial, sh->index);
    } else {
        struct post *p = shard_post(sh, home_of(sh, m->group), on_leave);

        p->a = key.group;
        p->b = key.serial;
    }
    COUNT_DOWN(&sh->counters, shared_subscriptions);
    mem_release(sh->mem, FOR_SHARE, m);
}

void share_online(struct shard *sh, struct membership *m, bool online)
{
    struct membership_key key = key_of(m);
    struct post *p;

    if (at_home(sh, m->group)) {
        member_online(sh, key.group, key.serial, sh->index, online);
        return;
    }
    p = shard_post(sh, home_of(sh, m->group), on_online);
    p->a = key.group;
    p->b = key.serial;
    p->u32 = online;
}

void share_done(struct shard *sh, uint64_t group, const struct session *s)
{
    struct post *p;

    if (sh->config.share_strategy != SHARE_LEAST_INFLIGHT)
        return;
    if (at_home(sh, group)) {
        member_done(sh, group, s->serial);
        return;
    }
    p = shard_post(sh, home_of(sh, group), on_done);
    p->a = group;
    p->b = s->serial;
}

bool share_has_online(struct shard *sh, uint64_t group)
{
    struct group *g;

    if (!at_home(sh, group))
        return true;
    g = group_find(sh, group);
    for (uint32_t i = 0; g != NULL && i < g->n; i++)
        if (g->members[i].online)
            return true;
    return false;
}

void share_return(struct shard *sh, uint64_t group, struct message *m, uint64_t from)
{
    struct publication pub = publication_of(m);
    struct group *g;

    if (message_expired(m, sh->now_ms)) { /* [v5 MQTT-3.3.2-5] */
        count_drop(sh, DROP_EXPIRED, 1);
        if (from != 0)
            journal_end_of(sh, from, m->uid, group);
        return;
    }
    if (!at_home(sh, group)) {
        struct post *p = shard_post(sh, home_of(sh, group), on_return);

        message_share(m);
        p->ptr = message_ref(m);
        p->a = group;
        p->b = from;
        posts_weigh(sh, home_of(sh, group), message_size(m));
        posts_want_answer(sh, home_of(sh, group));
        return;
    }
    pub.moved_from = from;
    g = group_find(sh, group);
    if (g != NULL) {
        group_deliver(sh, g, &pub);
        return;
    }
    count_drop(sh, DROP_SHARE_EMPTY, 1);
    if (from != 0)
        journal_end_of(sh, from, m->uid, group);
}

struct shares *shares_new(struct shard *sh)
{
    struct shares *s = mem_try_alloc(sh->mem, FOR_SHARE, sizeof *s);

    if (s == NULL)
        return NULL;
    map_init(&s->groups, sh->mem, FOR_SHARE, group_equal);
    map_init(&s->memberships, sh->mem, FOR_SHARE, membership_equal);
    return s;
}

void shares_free(struct shard *sh)
{
    struct shares *s = sh->shares;

    if (s == NULL)
        return;
    ASSERT(map_count(&s->memberships) == 0);
    ASSERT(map_count(&s->groups) == 0);
    map_fini(&s->groups);
    map_fini(&s->memberships);
    mem_release(sh->mem, FOR_SHARE, s);
    sh->shares = NULL;
}

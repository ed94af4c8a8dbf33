/* retained: a trie of topics (trie.h) whose nodes are also linked as siblings, so that a cursor can
 * stop anywhere and go on later.
 *
 * Invariants:
 *   1. a node other than the root has a message or children;
 *   2. a cursor stands on a node that exists: removing a node moves the cursors on it;
 *   3. a cursor delivers a message only if its node changed last before the cursor was made:
 *      anything newer has reached the subscription as a live message;
 *   4. a subscription has one cursor at most;
 *   5. that of a durable session, at QoS 1 or 2, is known to the store once its first slice has not
 *      been enough, until it ends. */
#include "broker/retained.h"

#include "base/assert.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "broker/connection.h"
#include "broker/journal.h"
#include "broker/message.h"
#include "broker/purposes.h"
#include "broker/removals.h"
#include "broker/session.h"
#include "broker/shard.h"
#include "broker/trie.h"
#include "mqtt/packet.h"

#include <errno.h>
#include <string.h>

#define SLICE_NODES       256   /* visited in one go */
#define SWEEP_INTERVAL_MS 30000 /* between two looks for what has expired */
#define REMOVAL_AGE_MS    60000 /* longer than any shard is ever behind another */

struct node {
    struct trie_node trie;
    struct node *prev, *next;  /* siblings, in order of their making */
    struct node *first, *last; /* children */
    struct message *msg;       /* NULL: none */
    uint64_t changed;          /* retained.changes when msg was set */
};

struct level {
    uint32_t at, len;
    uint64_t hash;
    uint64_t path; /* of the node of this level on the way to where the cursor is */
};

/* A walk over what matches a filter. */
struct cursor {
    struct job job;
    struct list link; /* in retained.cursors */
    struct shard *sh;
    struct session *session; /* NULL: the sweep */
    struct node *at;         /* visited next; NULL: at the end */
    uint32_t depth;          /* of it */
    uint64_t before;         /* invariant 3 */
    uint32_t sub_id;
    uint8_t options;
    bool multi;      /* the filter ends in '#' */
    bool stored;     /* invariant 5 */
    uint32_t levels; /* of the filter, without '#' */
    struct level *level;
    uint32_t filter_len;
    uint8_t filter[];
};

struct retained {
    struct shard *sh;
    struct trie trie;
    struct node *root;
    struct list cursors;
    struct map sending;       /* those of subscriptions, by session and filter */
    struct removals removals; /* with several shards */
    struct timer sweep_timer;
    uint64_t changes;
    uint32_t messages;
    uint32_t perishable; /* messages that expire */
};

/* ---- nodes ---- */

static struct node *parent_of(const struct node *n)
{
    return (struct node *)n->trie.parent;
}

static struct node *find(const struct retained *r, struct mqtt_str topic)
{
    const struct trie_node *n = &r->root->trie;
    uint32_t at = 0, depth = 0;
    uint64_t path = 0;

    while (at <= topic.len && n != NULL) {
        struct mqtt_str name = topic_level(topic, at);

        path = trie_path(path, ++depth, trie_hash(&r->trie, name));
        n = trie_child(&r->trie, n, name, path);
        at += name.len + 1;
    }
    return (struct node *)n;
}

static struct node *add_child(struct retained *r, struct node *parent, struct mqtt_str name,
                              uint64_t path)
{
    uint32_t children = parent->trie.children;
    struct node *n = (struct node *)trie_add_child(&r->trie, &parent->trie, name, path);

    if (n == NULL || parent->trie.children == children)
        return n;
    n->prev = parent->last;
    if (parent->last != NULL)
        parent->last->next = n;
    else
        parent->first = n;
    parent->last = n;
    return n;
}

static void cursor_next(struct retained *r, struct cursor *c);

static void unlink_node(struct retained *r, struct node *n, struct trie_place *place)
{
    struct node *parent = parent_of(n);

    LIST_EACH (l, &r->cursors) {
        struct cursor *c = LIST_ITEM(l, struct cursor, link);

        if (c->at == n)
            cursor_next(r, c); /* invariant 2 */
    }
    if (n->prev != NULL)
        n->prev->next = n->next;
    else
        parent->first = n->next;
    if (n->next != NULL)
        n->next->prev = n->prev;
    else
        parent->last = n->prev;
    trie_free_node(&r->trie, &n->trie, place);
}

static bool is_needed(const struct retained *r, const struct node *n)
{
    return n == r->root || n->first != NULL || n->msg != NULL;
}

/* Free n and its ancestors as far as nothing holds them (invariant 1). */
static void prune(struct retained *r, struct node *n)
{
    struct trie_place place;

    if (is_needed(r, n))
        return;
    place = trie_place_of(&r->trie, &n->trie);
    do {
        struct node *parent = parent_of(n);

        unlink_node(r, n, &place);
        n = parent;
    } while (!is_needed(r, n));
}

static struct node *make(struct retained *r, struct mqtt_str topic)
{
    struct node *n = r->root;
    uint32_t at = 0, depth = 0;
    uint64_t path = 0;

    while (at <= topic.len) {
        struct mqtt_str name = topic_level(topic, at);
        struct node *child;

        path = trie_path(path, ++depth, trie_hash(&r->trie, name));
        child = add_child(r, n, name, path);

        if (child == NULL) {
            prune(r, n);
            return NULL;
        }
        n = child;
        at += name.len + 1;
    }
    return n;
}

/* ---- messages ---- */

static bool perishable(const struct node *n)
{
    return n->msg != NULL && n->msg->expires_ms != 0;
}

/* Put a message (borrowed), or none (NULL), into a node. */
static void put(struct shard *sh, struct node *n, struct message *m)
{
    struct retained *r = sh->retained;
    int64_t before = n->msg != NULL;

    r->perishable -= perishable(n);
    message_unref(&n->msg, sh->mem);
    n->msg = m == NULL ? NULL : message_ref(m);
    n->changed = ++r->changes;
    r->perishable += perishable(n);
    r->messages += (uint32_t)((m != NULL) - before);
    if (sh->index == 0) /* all shards have the same: one counts */
        COUNT_ADD(&sh->counters, retained, (m != NULL) - before);
}

/* The node forgets everything. */
static void clear(struct shard *sh, struct node *n)
{
    put(sh, n, NULL);
    prune(sh->retained, n);
}

/* Is there a newer message, or was there? n: the topic's node, or NULL. */
static bool comes_late(const struct retained *r, const struct node *n, const struct publication *p)
{
    if (n != NULL && n->msg != NULL)
        return n->msg->uid > p->uid;
    return removals_after(&r->removals, p->topic, p->uid);
}

static void remove_message(struct shard *sh, const struct publication *p, struct node *n)
{
    if (n != NULL && n->msg != NULL)
        clear(sh, n);
    if (!shard_alone(sh))
        removals_note(&sh->retained->removals, p->topic, p->uid);
}

/* One shard stores the message of a topic: the store sees what that shard saw last. The server's
 * own topics are not stored. */
static void record(struct shard *sh, struct publication *pub)
{
    struct mqtt_str t = pub->topic;
    uint64_t hash;

    if (sh->journal == NULL || (t.len >= 5 && memcmp(t.p, "$SYS/", 5) == 0))
        return;
    hash = hash_bytes(sh->broker->hash_seed, t.p, t.len);
    if (hash % sh->broker->n_shards == sh->index)
        journal_retained(sh, pub);
}

void retained_set(struct shard *sh, struct publication *pub)
{
    struct node *n = find(sh->retained, pub->topic);
    struct message *m;

    if (comes_late(sh->retained, n, pub))
        return;
    if (pub->payload.len == 0) {
        remove_message(sh, pub, n);
        record(sh, pub);
        return;
    }
    m = publication_message(pub, sh->mem);
    if (n == NULL && m != NULL)
        n = make(sh->retained, pub->topic);
    if (n == NULL || m == NULL) {
        count_drop(sh, DROP_NO_MEMORY, 1);
        return;
    }
    put(sh, n, m);
    record(sh, pub);
}

int retained_restore(struct shard *sh, struct message *m)
{
    struct node *n = make(sh->retained, message_topic(m));

    if (n == NULL)
        return -ENOMEM;
    put(sh, n, m);
    n->changed = 0; /* before every cursor: subscriptions are restored first */
    return 0;
}

bool retained_full(struct shard *sh, struct mqtt_str topic)
{
    uint32_t max = sh->config.max_retained;

    return max != 0 && sh->retained->messages >= max && retained_get(sh, topic) == NULL;
}

struct message *retained_get(struct shard *sh, struct mqtt_str topic)
{
    struct node *n = find(sh->retained, topic);

    if (n == NULL || n->msg == NULL || message_expired(n->msg, sh->now_ms))
        return NULL;
    return n->msg;
}

uint32_t retained_count(const struct shard *sh)
{
    return sh->retained->messages;
}

/* ---- cursors ----
 *
 * A cursor walks the trie in preorder, down only where the filter's level matches: level i of the
 * filter stands for depth i + 1 of the trie. */

static struct mqtt_str level_name(const struct cursor *c, uint32_t i)
{
    return (struct mqtt_str){c->filter + c->level[i].at, c->level[i].len};
}

static bool is_plus(const struct cursor *c, uint32_t i)
{
    return c->level[i].len == 1 && c->filter[c->level[i].at] == '+';
}

/* n, or the first of its younger siblings that a wildcard may enter [v5 MQTT-4.7.2-1]. */
static struct node *skip_dollar(const struct retained *r, struct node *n)
{
    while (n != NULL && parent_of(n) == r->root && n->trie.name_len > 0 &&
           trie_name(&r->trie, &n->trie).p[0] == '$')
        n = n->next;
    return n;
}

/* The hash of the path to the child that is called so, of the node at this depth on the cursor's
 * way. */
static uint64_t path_below(const struct cursor *c, uint32_t depth, uint64_t name_hash)
{
    return trie_path(depth == 0 ? 0 : c->level[depth - 1].path, depth + 1, name_hash);
}

/* The first child of its node that the filter admits, or NULL. */
static struct node *enter(const struct retained *r, const struct cursor *c)
{
    const struct node *n = c->at;
    uint32_t depth = c->depth;

    if (depth >= c->levels)
        return c->multi ? (c->session == NULL ? n->first : skip_dollar(r, n->first)) : NULL;
    if (is_plus(c, depth))
        return skip_dollar(r, n->first);
    return (struct node *)trie_child(&r->trie, &n->trie, level_name(c, depth),
                                     path_below(c, depth, c->level[depth].hash));
}

/* The next sibling of n (at depth) that the filter admits, or NULL. */
static struct node *sibling(const struct retained *r, const struct cursor *c, const struct node *n,
                            uint32_t depth)
{
    if (depth > c->levels || is_plus(c, depth - 1))
        return c->session == NULL ? n->next : skip_dollar(r, n->next);
    return NULL;
}

/* Move to n, a child of the node at depth - 1 on its way. */
static void cursor_to(struct retained *r, struct cursor *c, struct node *n, uint32_t depth)
{
    c->at = n;
    c->depth = depth;
    if (depth <= c->levels) { /* below nothing is looked up */
        struct level *l = &c->level[depth - 1];
        uint64_t hash =
            is_plus(c, depth - 1) ? trie_hash(&r->trie, trie_name(&r->trie, &n->trie)) : l->hash;

        l->path = path_below(c, depth - 1, hash);
    }
}

/* Move to the node behind the one it is on and all that is below. */
static void cursor_over(struct retained *r, struct cursor *c)
{
    uint32_t depth = c->depth;

    for (struct node *n = c->at; n != r->root; n = parent_of(n), depth--) {
        struct node *next = sibling(r, c, n, depth);

        if (next != NULL) {
            cursor_to(r, c, next, depth);
            return;
        }
    }
    c->at = NULL;
}

/* Move to the next node in preorder. O(1), but for the way back from where nothing follows. */
static void cursor_next(struct retained *r, struct cursor *c)
{
    struct node *child = enter(r, c);

    if (child != NULL)
        cursor_to(r, c, child, c->depth + 1);
    else
        cursor_over(r, c);
}

/* Does the whole filter match the node the cursor is on? */
static bool cursor_matches(const struct cursor *c)
{
    return c->multi ? c->depth >= c->levels && c->depth > 0 : c->depth == c->levels;
}

/* Whose cursor it is: a subscription. */
struct owner {
    const struct session *session;
    struct mqtt_str filter;
};

static struct owner owner_of(const struct cursor *c)
{
    return (struct owner){c->session, {c->filter, c->filter_len}};
}

static bool owner_equal(const void *item, const void *key, size_t key_len)
{
    const struct owner a = owner_of(item), *b = key;

    (void)key_len;
    return a.session == b->session && mqtt_str_eq(a.filter, b->filter);
}

static uint64_t owner_hash(const struct retained *r, const struct owner *o)
{
    return hash_number((uintptr_t)o->session) ^ trie_hash(&r->trie, o->filter);
}

static void cursor_free(struct cursor *c)
{
    struct shard *sh = c->sh;
    struct retained *r = sh->retained;
    struct owner owner = owner_of(c);

    if (c->session != NULL)
        map_remove(&r->sending, owner_hash(r, &owner), &owner, sizeof owner);
    list_remove(&c->job.link);
    list_remove(&c->link);
    mem_release(sh->mem, FOR_RETAINED, c->level);
    mem_release(sh->mem, FOR_RETAINED, c);
}

static uint32_t parse_levels(const struct retained *r, struct cursor *c)
{
    struct mqtt_str filter = {c->filter, c->filter_len};
    uint32_t n = 0;

    for (uint32_t at = 0; at <= filter.len;) {
        struct mqtt_str name = topic_level(filter, at);

        if (name.len == 1 && name.p[0] == '#') {
            c->multi = true;
            break;
        }
        c->level[n++] =
            (struct level){.at = at, .len = name.len, .hash = trie_hash(&r->trie, name)};
        at += name.len + 1;
    }
    return n;
}

static uint32_t count_levels(struct mqtt_str filter)
{
    uint32_t n = 1;

    for (uint32_t i = 0; i < filter.len; i++)
        n += filter.p[i] == '/';
    return n;
}

static struct cursor *cursor_new(struct shard *sh, struct mqtt_str filter, job_fn *run)
{
    struct retained *r = sh->retained;
    struct cursor *c = mem_try_alloc(sh->mem, FOR_RETAINED, sizeof *c + filter.len);

    if (c == NULL)
        return NULL;
    *c = (struct cursor){.job.run = run, .sh = sh, .filter_len = filter.len};
    memcpy(c->filter, filter.p, filter.len);
    list_init(&c->job.link);
    list_init(&c->link);
    c->level = mem_try_alloc(sh->mem, FOR_RETAINED, count_levels(filter) * sizeof *c->level);
    if (c->level == NULL) {
        mem_release(sh->mem, FOR_RETAINED, c);
        return NULL;
    }
    c->levels = parse_levels(r, c);
    c->at = r->root;
    c->before = r->changes;
    list_push_back(&r->cursors, &c->link);
    return c;
}

/* ---- sending ---- */

static void send_one(struct cursor *c, struct message *m)
{
    struct publication pub = publication_of(m);
    struct claim claim = {.qos = MQTT_SUB_QOS(c->options), .retain = true, .sub_id = c->sub_id};

    session_deliver(c->session, &pub, &claim);
}

/* Not to who published it, where the subscription says so [v5 MQTT-3.8.3-3]. */
static bool own(const struct cursor *c, const struct message *m)
{
    return (c->options & MQTT_SUB_NO_LOCAL) != 0 && m->publisher == c->session->serial;
}

static bool due(const struct cursor *c)
{
    const struct node *n = c->at;

    return n->msg != NULL && n->changed <= c->before && cursor_matches(c) &&
           !message_expired(n->msg, c->sh->now_ms) && !own(c, n->msg);
}

/* Nothing is sent until retained_continue(). */
static void pause_cursor(struct cursor *c)
{
    c->session->retained_waits = true;
    list_remove(&c->job.link);
}

/* Go on for a slice. True: it is at the end. */
static bool send_slice(struct cursor *c)
{
    struct retained *r = c->sh->retained;

    for (int i = 0; i < SLICE_NODES && c->at != NULL; i++) {
        if (!session_has_room(c->session)) {
            pause_cursor(c);
            return false;
        }
        if (due(c))
            send_one(c, c->at->msg);
        cursor_next(r, c);
    }
    return c->at == NULL;
}

/* Tell the store, unless it knows (invariant 5). */
static void set_stored(struct cursor *c, bool stored)
{
    if (c->stored == stored)
        return;
    c->stored = stored;
    session_record_subscription(c->session, owner_of(c).filter);
}

static void finish(struct cursor *c)
{
    set_stored(c, false);
    cursor_free(c);
}

static void run_send(struct job *j)
{
    struct cursor *c = CONTAINER_OF(j, struct cursor, job);

    if (send_slice(c))
        finish(c);
}

static struct cursor *sending(const struct session *s, struct mqtt_str filter)
{
    const struct retained *r = s->shard->retained;
    struct owner owner = {s, filter};

    return map_find(&r->sending, owner_hash(r, &owner), &owner, sizeof owner);
}

/* A new cursor for the subscription, which has none. NULL when out of memory. */
static struct cursor *begin(struct session *s, struct mqtt_str filter, uint8_t options,
                            uint32_t sub_id)
{
    struct retained *r = s->shard->retained;
    struct owner owner = {s, filter};
    struct cursor *c = cursor_new(s->shard, filter, run_send);

    if (c == NULL)
        return NULL;
    if (map_add(&r->sending, owner_hash(r, &owner), c) != 0) {
        cursor_free(c);
        return NULL;
    }
    c->session = s;
    c->options = options;
    c->sub_id = sub_id;
    return c;
}

bool retained_send(struct session *s, struct mqtt_str filter, uint8_t options, uint32_t sub_id)
{
    bool stored = retained_stored(s, filter);
    struct cursor *c;

    retained_cancel(s, filter); /* it begins anew */
    c = begin(s, filter, options, sub_id);
    if (c == NULL) {
        if (stored)
            session_record_subscription(s, filter);
        return false;
    }
    c->stored = stored && MQTT_SUB_QOS(options) > 0;
    /* The first slice now: the usual few messages follow the SUBACK at once. */
    shard_start_job(s->shard, &c->job);
    if (send_slice(c))
        finish(c);
    else
        set_stored(c, s->durable && MQTT_SUB_QOS(options) > 0);
    return true;
}

bool retained_resend(struct session *s, struct mqtt_str filter, uint8_t options, uint32_t sub_id)
{
    struct cursor *c = begin(s, filter, options, sub_id);

    if (c == NULL)
        return false;
    c->stored = s->durable;
    pause_cursor(c);
    return true;
}

bool retained_sending(const struct session *s, struct mqtt_str filter)
{
    return sending(s, filter) != NULL;
}

bool retained_stored(const struct session *s, struct mqtt_str filter)
{
    const struct cursor *c = sending(s, filter);

    return c != NULL && c->stored;
}

void retained_continue(struct session *s)
{
    s->retained_waits = false;
    LIST_EACH (l, &s->shard->retained->cursors) {
        struct cursor *c = LIST_ITEM(l, struct cursor, link);

        if (c->session == s && !list_linked(&c->job.link))
            shard_start_job(s->shard, &c->job);
    }
}

void retained_cancel(struct session *s, struct mqtt_str filter)
{
    struct cursor *c = sending(s, filter);

    if (c != NULL)
        cursor_free(c);
}

void retained_cancel_all(struct session *s)
{
    struct retained *r = s->shard->retained;

    if (map_count(&r->sending) == 0)
        return;
    LIST_EACH_SAFE (l, &r->cursors) {
        struct cursor *c = LIST_ITEM(l, struct cursor, link);

        if (c->session == s)
            cursor_free(c);
    }
}

/* ---- expiry ---- */

static void run_sweep(struct job *j)
{
    struct cursor *c = CONTAINER_OF(j, struct cursor, job);
    struct shard *sh = c->sh;
    struct retained *r = sh->retained;

    for (int i = 0; i < SLICE_NODES && c->at != NULL; i++) {
        struct node *n = c->at;

        cursor_next(r, c);
        if (n->msg != NULL && message_expired(n->msg, sh->now_ms))
            clear(sh, n);
    }
    if (c->at != NULL)
        return;
    cursor_free(c);
    timer_start(&sh->timers, &r->sweep_timer, sh->now_ms + SWEEP_INTERVAL_MS);
}

static void on_sweep_timer(struct timer *t)
{
    struct retained *r = CONTAINER_OF(t, struct retained, sweep_timer);
    struct cursor *c = r->perishable == 0 ? NULL : cursor_new(r->sh, MQTT_STR("#"), run_sweep);

    removals_forget(&r->removals, (r->sh->wall_ms - REMOVAL_AGE_MS) << UID_TIME_SHIFT);
    if (c != NULL)
        shard_start_job(r->sh, &c->job);
    else
        timer_start(&r->sh->timers, t, r->sh->now_ms + SWEEP_INTERVAL_MS);
}

/* ---- life ---- */

struct retained *retained_new(struct shard *sh)
{
    struct retained *r = mem_try_alloc(sh->mem, FOR_RETAINED, sizeof *r);

    if (r == NULL)
        return NULL;
    *r = (struct retained){.sh = sh};
    trie_init(&r->trie, sh->mem, FOR_RETAINED, sh->broker->hash_seed, sizeof *r->root);
    list_init(&r->cursors);
    map_init(&r->sending, sh->mem, FOR_RETAINED, owner_equal);
    removals_init(&r->removals, sh->mem, sh->broker->hash_seed);
    r->root = (struct node *)trie_new_node(&r->trie, NULL, (struct mqtt_str){NULL, 0});
    if (r->root == NULL) {
        mem_release(sh->mem, FOR_RETAINED, r);
        return NULL;
    }
    timer_init(&r->sweep_timer, on_sweep_timer);
    timer_start(&sh->timers, &r->sweep_timer, sh->now_ms + SWEEP_INTERVAL_MS);
    return r;
}

static void free_node(void *arg, struct trie_node *node)
{
    struct shard *sh = arg;

    message_unref(&((struct node *)node)->msg, sh->mem);
    mem_release(sh->mem, FOR_RETAINED, node);
}

void retained_free(struct shard *sh)
{
    struct retained *r = sh->retained;

    if (r == NULL)
        return;
    while (!list_empty(&r->cursors))
        cursor_free(LIST_ITEM(r->cursors.next, struct cursor, link));
    timer_stop(&sh->timers, &r->sweep_timer);
    removals_fini(&r->removals);
    trie_each(&r->trie, free_node, sh);
    free_node(sh, &r->root->trie);
    trie_fini(&r->trie);
    mem_release(sh->mem, FOR_RETAINED, r);
    sh->retained = NULL;
}

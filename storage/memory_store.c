/* memory_store: copies of records in one array, in the order of their keys. That order is the one
 * in which they are recovered, and in which the deliveries of a session are read. */
#include "storage/memory_store.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIGN ((uint64_t)1 << 63) /* groups are compared as signed numbers */

/* Kinds in the order in which they stand in the array. */
enum rank {
    RANK_BODY,
    RANK_LARGEST,
    RANK_SESSION,
    RANK_FILTER,
    RANK_RECEIVED,
    RANK_DELIVERY,
    RANK_RETAINED
};

/* What makes a record the same record. */
struct key {
    enum rank rank;
    uint16_t packet_id;
    uint64_t session, uid, group;
    struct str text;
};

/* A stored record: a batch of one, so that its texts are its own; the key's text is in it. A
 * delivery is without its message: that is a BODY. LARGEST: the largest uid that a session has
 * RECEIVED. */
struct entry {
    struct key key;
    struct store_batch batch;
    uint32_t users; /* BODY: deliveries that have it */
};

/* Submitted, not committed. */
struct waiting {
    struct waiting *next;
    struct store_batch batch;
    unsigned shard;
};

struct shard {
    uint64_t made, committed;
    struct store_page *first_page, **last_page;
    bool used;
};

struct memory_store {
    struct store store;
    struct entry **entries;
    size_t n, cap;
    struct waiting *first, **last;
    struct shard shards[STORE_SHARDS];
    struct store_stats stats;
    uint64_t syncs;
    uint64_t last_uid, last_session;
    store_news_fn *notify;
    void *notify_arg;
    bool hold;
};

static struct memory_store *memory(struct store *s)
{
    return (struct memory_store *)s;
}

/* ---- keys ---- */

static struct key key_of(const struct store_record *r)
{
    struct key k = {.session = r->session};

    switch (r->kind) {
    case STORE_SESSION:
    case STORE_SESSION_END: k.rank = RANK_SESSION; break;
    case STORE_FILTER:
    case STORE_FILTER_END:
        k.rank = RANK_FILTER;
        k.text = r->filter;
        break;
    case STORE_RECEIVED:
    case STORE_RECEIVED_END:
        k.rank = RANK_RECEIVED;
        k.packet_id = r->packet_id;
        break;
    case STORE_RETAINED:
    case STORE_RETAINED_END: return (struct key){.rank = RANK_RETAINED, .text = r->message.topic};
    default:
        k.rank = RANK_DELIVERY;
        k.uid = r->uid;
        k.group = r->group;
        break;
    }
    return k;
}

static struct key body_key(uint64_t uid)
{
    return (struct key){.rank = RANK_BODY, .uid = uid};
}

static int order(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int compare_text(struct str a, struct str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n == 0 ? 0 : memcmp(a.p, b.p, n);

    return c != 0 ? c : order(a.len, b.len);
}

static int compare(const struct key *a, const struct key *b)
{
    int c = order(a->rank, b->rank);

    c = c != 0 ? c : order(a->session, b->session);
    c = c != 0 ? c : order(a->uid, b->uid);
    c = c != 0 ? c : order(a->group ^ SIGN, b->group ^ SIGN);
    c = c != 0 ? c : order(a->packet_id, b->packet_id);
    return c != 0 ? c : compare_text(a->text, b->text);
}

/* ---- the array ---- */

static struct store_record record_of(const struct entry *e)
{
    struct store_record r;
    size_t at = 0;

    ASSERT(store_batch_next(&e->batch, &at, &r));
    return r;
}

/* Where the first entry is that is not before k; m->n when there is none. */
static size_t place_of(const struct memory_store *m, const struct key *k)
{
    size_t low = 0, high = m->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare(&m->entries[middle]->key, k) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct entry *find(const struct memory_store *m, const struct key *k)
{
    size_t at = place_of(m, k);

    return at < m->n && compare(&m->entries[at]->key, k) == 0 ? m->entries[at] : NULL;
}

/* What the entry says from now on. Out of memory the process ends: this is for tests. */
static void set_record(struct memory_store *m, struct entry *e, const struct store_record *r)
{
    struct store_batch old = e->batch;
    struct store_record copy;

    e->batch = (struct store_batch){0};
    ASSERT(store_batch_add(&e->batch, r) == 0);
    copy = record_of(e);
    if (e->key.rank == RANK_FILTER || e->key.rank == RANK_RETAINED)
        e->key.text = key_of(&copy).text;
    m->stats.bytes += e->batch.len;
    m->stats.bytes -= old.len;
    store_batch_fini(&old);
}

static struct entry *insert(struct memory_store *m, const struct key *k)
{
    size_t at = place_of(m, k);
    struct entry *e = calloc(1, sizeof *e);

    if (m->n == m->cap) {
        m->cap = m->cap == 0 ? 64 : m->cap * 2;
        m->entries = realloc(m->entries, m->cap * sizeof(struct entry *));
    }
    ASSERT(e != NULL && m->entries != NULL);
    memmove(m->entries + at + 1, m->entries + at, (m->n - at) * sizeof(struct entry *));
    m->entries[at] = e;
    m->n++;
    e->key = *k;
    return e;
}

static void remove_at(struct memory_store *m, size_t at)
{
    struct entry *e = m->entries[at];

    m->stats.bytes -= e->batch.len;
    store_batch_fini(&e->batch);
    free(e);
    m->n--;
    memmove(m->entries + at, m->entries + at + 1, (m->n - at) * sizeof(struct entry *));
}

static void put(struct memory_store *m, const struct store_record *r)
{
    struct key k = key_of(r);
    struct entry *e = find(m, &k);

    set_record(m, e != NULL ? e : insert(m, &k), r);
}

/* ---- deliveries ---- */

/* One delivery less has this body. */
static void leave_body(struct memory_store *m, uint64_t uid)
{
    struct key k = body_key(uid);
    struct entry *e = find(m, &k);

    if (e != NULL && --e->users == 0)
        remove_at(m, place_of(m, &k));
}

static void put_body(struct memory_store *m, const struct store_record *r, bool more)
{
    struct key k = body_key(r->uid);
    struct entry *e = find(m, &k);
    struct store_record body = {.kind = STORE_RETAINED, .message = r->message};

    if (e == NULL) {
        e = insert(m, &k);
        set_record(m, e, &body);
    }
    e->users += more;
}

static void put_delivery(struct memory_store *m, const struct store_record *r)
{
    struct store_record without = *r;
    struct key k = key_of(r);

    if (find(m, &k) != NULL)
        return;
    put_body(m, r, true);
    without.message = (struct store_message){0};
    put(m, &without);
}

static void put_received(struct memory_store *m, const struct store_record *r)
{
    struct key k = {.rank = RANK_LARGEST, .session = r->session};
    struct entry *e = find(m, &k);

    put(m, r);
    if (e == NULL)
        e = insert(m, &k);
    else if (record_of(e).uid >= r->uid)
        return;
    set_record(m, e, r);
}

static void remove_key(struct memory_store *m, const struct key *k)
{
    uint64_t uid = k->uid;

    if (find(m, k) == NULL)
        return;
    remove_at(m, place_of(m, k));
    if (k->rank == RANK_DELIVERY)
        leave_body(m, uid);
}

static void change_state(struct memory_store *m, const struct store_record *r)
{
    struct key k = key_of(r);
    struct entry *e = find(m, &k);
    struct store_record changed;

    if (e == NULL)
        return;
    changed = record_of(e);
    changed.packet_id = r->packet_id;
    changed.state = r->state;
    set_record(m, e, &changed);
}

/* The first entry of the session behind this delivery, or m->n. */
static size_t next_delivery(const struct memory_store *m, uint64_t session, uint64_t uid,
                            uint64_t group)
{
    struct key k = {.rank = RANK_DELIVERY, .session = session, .uid = uid, .group = group};
    size_t at = place_of(m, &k);

    if (at < m->n && compare(&m->entries[at]->key, &k) == 0)
        at++;
    return at;
}

static bool is_delivery_of(const struct memory_store *m, size_t at, uint64_t session)
{
    return at < m->n && m->entries[at]->key.rank == RANK_DELIVERY &&
           m->entries[at]->key.session == session;
}

static void drop_first_queued(struct memory_store *m, const struct store_record *r)
{
    size_t at = next_delivery(m, r->session, r->uid, r->group);

    for (; is_delivery_of(m, at, r->session); at++) {
        struct key k = m->entries[at]->key;

        if (record_of(m->entries[at]).state == STORE_QUEUED) {
            remove_key(m, &k);
            return;
        }
    }
}

static void end_session(struct memory_store *m, uint64_t session)
{
    for (size_t i = m->n; i-- > 0;) {
        struct key k = m->entries[i]->key;

        if (k.session != session || k.rank == RANK_BODY || k.rank == RANK_RETAINED)
            continue;
        remove_at(m, i);
        if (k.rank == RANK_DELIVERY) {
            size_t before = m->n;

            leave_body(m, k.uid);
            i -= before - m->n; /* bodies stand in front */
        }
    }
}

/* ---- taking effect ---- */

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void apply(struct memory_store *m, const struct store_record *r)
{
    struct key k = key_of(r);

    m->last_session = larger(m->last_session, r->session);
    m->last_uid = larger(m->last_uid, larger(r->uid, r->has_will ? 0 : r->message.uid));
    switch (r->kind) {
    case STORE_SESSION_END: end_session(m, r->session); break;
    case STORE_FILTER_END:
    case STORE_DELIVERY_END:
    case STORE_RECEIVED_END:
    case STORE_RETAINED_END: remove_key(m, &k); break;
    case STORE_DELIVERY: put_delivery(m, r); break;
    case STORE_DELIVERY_STATE: change_state(m, r); break;
    case STORE_QUEUE_DROP: drop_first_queued(m, r); break;
    case STORE_RECEIVED: put_received(m, r); break;
    default: put(m, r); break;
    }
}

static void tell(struct memory_store *m, unsigned shard)
{
    if (m->notify != NULL)
        m->notify(m->notify_arg, shard);
}

static void forget_first(struct memory_store *m)
{
    struct waiting *w = m->first;

    m->first = w->next;
    if (m->first == NULL)
        m->last = &m->first;
    m->stats.waiting_batches--;
    m->stats.waiting_bytes -= w->batch.len;
    store_batch_fini(&w->batch);
    free(w);
}

static bool may_commit(const struct memory_store *m)
{
    return !m->hold && m->stats.error[0] == '\0';
}

static void commit_first(struct memory_store *m)
{
    struct waiting *w = m->first;
    unsigned shard = w->shard;
    struct store_record r;
    size_t at = 0;

    while (store_batch_next(&w->batch, &at, &r))
        apply(m, &r);
    m->stats.records += w->batch.records;
    m->stats.batches++;
    m->stats.commits++;
    m->syncs += w->batch.sync;
    m->shards[shard].committed++;
    forget_first(m);
    tell(m, shard);
}

static void commit_all(struct memory_store *m)
{
    while (m->first != NULL && may_commit(m))
        commit_first(m);
    if (m->first != NULL && !m->hold)
        m->stats.failures++;
}

/* ---- the interface ---- */

static uint64_t submit(struct store *s, unsigned shard, struct store_batch *b)
{
    struct memory_store *m = memory(s);
    struct waiting *w = calloc(1, sizeof *w);

    ASSERT(w != NULL && shard < STORE_SHARDS);
    w->batch = *b;
    w->shard = shard;
    *b = (struct store_batch){0};
    *m->last = w;
    m->last = &w->next;
    m->stats.waiting_batches++;
    m->stats.waiting_bytes += w->batch.len;
    m->shards[shard].used = true;
    m->shards[shard].made++;
    commit_all(m);
    return m->shards[shard].made;
}

static uint64_t committed(struct store *s, unsigned shard)
{
    return memory(s)->shards[shard].committed;
}

/* The delivery with its body, for a page. */
static struct store_record whole(const struct memory_store *m, const struct entry *e)
{
    struct store_record r = record_of(e);
    struct key k = body_key(r.uid);
    struct entry *body = find(m, &k);

    if (body != NULL)
        r.message = record_of(body).message;
    return r;
}

static size_t body_bytes(const struct store_message *m)
{
    return m->topic.len + m->props.len + m->payload.len;
}

static void fill_page(const struct memory_store *m, const struct store_load *what,
                      struct store_page *p)
{
    size_t at = next_delivery(m, what->session, what->after_uid, what->after_group), bytes = 0;

    for (; is_delivery_of(m, at, what->session); at++) {
        struct store_record r = whole(m, m->entries[at]);

        if (r.state == STORE_RELEASED)
            continue;
        bytes += body_bytes(&r.message);
        if (p->records.records > 0 &&
            (p->records.records == what->max_records || bytes > what->max_bytes))
            return;
        ASSERT(store_batch_add(&p->records, &r) == 0);
    }
    p->end = true;
}

static void load(struct store *s, unsigned shard, const struct store_load *what)
{
    struct memory_store *m = memory(s);
    struct store_page *p = calloc(1, sizeof *p);

    ASSERT(p != NULL && shard < STORE_SHARDS);
    p->token = what->token;
    fill_page(m, what, p);
    *m->shards[shard].last_page = p;
    m->shards[shard].last_page = &p->next;
    m->shards[shard].used = true;
    m->stats.pages++;
    tell(m, shard);
}

static struct store_page *pages(struct store *s, unsigned shard)
{
    struct shard *sh = &memory(s)->shards[shard];
    struct store_page *first = sh->first_page;

    sh->first_page = NULL;
    sh->last_page = &sh->first_page;
    return first;
}

/* The deliveries of the session whose first one is here: what waits in its queue is counted. Sets
 * *at behind them. */
static int recover_deliveries(const struct memory_store *m, size_t *at, store_record_fn *fn,
                              void *arg)
{
    uint64_t session = m->entries[*at]->key.session;
    struct store_record backlog = {.kind = STORE_BACKLOG, .session = session};
    int rc = 0;

    for (; rc == 0 && is_delivery_of(m, *at, session); ++*at) {
        struct store_record r = whole(m, m->entries[*at]);

        if (r.state == STORE_QUEUED) {
            backlog.messages++;
            backlog.bytes += body_bytes(&r.message);
        } else {
            r.message = (struct store_message){0};
            rc = fn(arg, &r);
        }
    }
    return rc == 0 && backlog.messages > 0 ? fn(arg, &backlog) : rc;
}

/* Its publisher will send the message again. */
static bool is_void(const struct memory_store *m, const struct entry *e)
{
    struct store_record r;
    struct key session = {.rank = RANK_SESSION}, largest = {.rank = RANK_LARGEST};
    struct entry *received;

    if (e->key.rank != RANK_DELIVERY || !record_of(e).guarded)
        return false;
    r = whole(m, e);
    session.session = largest.session = r.message.publisher;
    received = find(m, &largest);
    return find(m, &session) != NULL && (received == NULL || record_of(received).uid < r.uid);
}

static void remove_void(struct memory_store *m)
{
    for (size_t i = m->n; i-- > 0;) {
        struct key k = m->entries[i]->key;
        size_t before = m->n;

        if (!is_void(m, m->entries[i]))
            continue;
        remove_key(m, &k);
        i -= before - m->n - 1; /* bodies stand in front */
    }
}

static int recover(struct store *s, store_record_fn *fn, void *arg)
{
    struct memory_store *m = memory(s);
    struct store_record r = {
        .kind = STORE_CLOCK, .last_uid = m->last_uid, .last_session = m->last_session};
    int rc = fn(arg, &r);
    size_t at = 0;

    remove_void(m);
    while (at < m->n && m->entries[at]->key.rank < RANK_SESSION)
        at++;
    while (at < m->n && rc == 0) {
        if (m->entries[at]->key.rank == RANK_DELIVERY) {
            rc = recover_deliveries(m, &at, fn, arg);
            continue;
        }
        r = record_of(m->entries[at++]);
        rc = fn(arg, &r);
    }
    return rc;
}

static void notify(struct store *s, store_news_fn *fn, void *arg)
{
    memory(s)->notify = fn;
    memory(s)->notify_arg = arg;
}

static enum store_health health(struct store *s)
{
    return memory(s)->stats.error[0] == '\0' ? STORE_FINE : STORE_FAILING;
}

static void stats(struct store *s, struct store_stats *out)
{
    *out = memory(s)->stats;
}

/* A broker lets go; what it submitted and nobody committed is lost, as in a crash. */
static void close_store(struct store *s)
{
    struct memory_store *m = memory(s);

    m->notify = NULL;
    while (m->first != NULL)
        forget_first(m);
    for (unsigned i = 0; i < STORE_SHARDS; i++) {
        struct store_page *p = pages(s, i), *next;

        for (; p != NULL; p = next) {
            next = p->next;
            store_page_free(p);
        }
        m->shards[i].made = m->shards[i].committed = 0;
        m->shards[i].used = false;
    }
}

static const struct store_ops ops = {
    .name = "memory",
    .submit = submit,
    .committed = committed,
    .load = load,
    .pages = pages,
    .recover = recover,
    .notify = notify,
    .health = health,
    .stats = stats,
    .close = close_store,
};

struct store *memory_store_new(void)
{
    struct memory_store *m = calloc(1, sizeof *m);

    if (m == NULL)
        return NULL;
    m->store.ops = &ops;
    m->last = &m->first;
    for (unsigned i = 0; i < STORE_SHARDS; i++)
        m->shards[i].last_page = &m->shards[i].first_page;
    return &m->store;
}

void memory_store_free(struct store **s)
{
    struct memory_store *m = memory(*s);

    *s = NULL;
    if (m == NULL)
        return;
    close_store(&m->store);
    while (m->n > 0)
        remove_at(m, m->n - 1);
    free(m->entries);
    free(m);
}

void memory_store_hold(struct store *s, bool hold)
{
    memory(s)->hold = hold;
    commit_all(memory(s));
}

void memory_store_fail(struct store *s, const char *why)
{
    struct memory_store *m = memory(s);

    snprintf(m->stats.error, sizeof m->stats.error, "%s", why == NULL ? "" : why);
    for (unsigned i = 0; i < STORE_SHARDS; i++)
        if (m->shards[i].used)
            tell(m, i);
    commit_all(m);
}

uint64_t memory_store_syncs(struct store *s)
{
    return memory(s)->syncs;
}

void memory_store_set_aside(struct store *s, const char *name)
{
    snprintf(memory(s)->stats.set_aside, sizeof memory(s)->stats.set_aside, "%s", name);
}

/* memory_store: a map of copies of records by key. */
#include "storage/memory_store.h"

#include "base/assert.h"
#include "base/map.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SHARDS 64
#define SEED   UINT64_C(0x6d656d6f72790a)

/* A stored record: a batch of one, so that its texts are its own. */
struct entry {
    struct store_batch batch;
};

struct submitted {
    uint64_t made, committed;
};

struct memory_store {
    struct store store;
    struct mem *mem; /* of the map */
    struct map entries;
    struct store_batch held[SHARDS]; /* submitted and not committed */
    struct submitted shards[SHARDS];
    struct store_stats stats;
    store_committed_fn *notify;
    void *notify_arg;
    bool hold;
};

/* What makes a record the same record. The kinds that change or end one have its kind. */
struct key {
    uint32_t kind;
    uint16_t packet_id;
    uint64_t session, uid, group;
    struct str text;
};

static struct key key_of(const struct store_record *r)
{
    switch (r->kind) {
    case STORE_SESSION:
    case STORE_SESSION_END: return (struct key){.kind = STORE_SESSION, .session = r->session};
    case STORE_FILTER:
    case STORE_FILTER_END:
        return (struct key){.kind = STORE_FILTER, .session = r->session, .text = r->filter};
    case STORE_DELIVERY:
    case STORE_DELIVERY_STATE:
    case STORE_DELIVERY_END:
        return (struct key){
            .kind = STORE_DELIVERY, .session = r->session, .uid = r->uid, .group = r->group};
    case STORE_RECEIVED:
    case STORE_RECEIVED_END:
        return (struct key){
            .kind = STORE_RECEIVED, .session = r->session, .packet_id = r->packet_id};
    case STORE_RETAINED:
    case STORE_RETAINED_END: return (struct key){.kind = STORE_RETAINED, .text = r->message.topic};
    default: return (struct key){.kind = r->kind};
    }
}

static uint64_t hash_of(const struct key *k)
{
    uint64_t numbers[] = {k->kind, k->packet_id, k->session, k->uid, k->group};

    return hash_bytes(hash_bytes(SEED, numbers, sizeof numbers), k->text.p, k->text.len);
}

static struct store_record record_of(const struct entry *e)
{
    struct store_record r;
    size_t at = 0;

    ASSERT(store_batch_next(&e->batch, &at, &r));
    return r;
}

static bool entry_equal(const void *item, const void *key, size_t len)
{
    struct store_record r = record_of(item);
    struct key a = key_of(&r);
    const struct key *b = key;

    (void)len;
    return a.kind == b->kind && a.packet_id == b->packet_id && a.session == b->session &&
           a.uid == b->uid && a.group == b->group && str_eq(a.text, b->text);
}

static struct memory_store *memory(struct store *s)
{
    return (struct memory_store *)s;
}

/* ---- taking effect ---- */

static void entry_free(struct entry *e)
{
    if (e == NULL)
        return;
    store_batch_fini(&e->batch);
    free(e);
}

static void remove_key(struct memory_store *m, const struct key *k)
{
    entry_free(map_remove(&m->entries, hash_of(k), k, sizeof *k));
}

/* Out of memory the process ends: this is for tests. */
static void put(struct memory_store *m, const struct store_record *r)
{
    struct entry *e = calloc(1, sizeof *e);
    struct key k = key_of(r);

    remove_key(m, &k);
    ASSERT(e != NULL && store_batch_add(&e->batch, r) == 0);
    ASSERT(map_add(&m->entries, hash_of(&k), e) == 0);
}

static void change_state(struct memory_store *m, const struct store_record *r)
{
    struct key k = key_of(r);
    struct entry *e = map_find(&m->entries, hash_of(&k), &k, sizeof k);
    struct store_record changed;

    if (e == NULL)
        return;
    changed = record_of(e);
    changed.packet_id = r->packet_id;
    changed.state = r->state;
    if (r->state == STORE_RELEASED)
        changed.message.payload.len = 0;
    memcpy(e->batch.data, &changed, sizeof changed); /* the texts stand where they were */
}

static void end_session(struct memory_store *m, uint64_t session)
{
    struct entry *e;
    uint64_t cursor = 0;

    while ((e = map_next(&m->entries, &cursor)) != NULL) {
        struct store_record r = record_of(e);
        struct key k = key_of(&r);

        if (k.session == session && k.kind != STORE_RETAINED && k.kind != STORE_CLOCK)
            remove_key(m, &k);
    }
}

static void apply(struct memory_store *m, const struct store_record *r)
{
    struct key k = key_of(r);

    switch (r->kind) {
    case STORE_SESSION_END: end_session(m, r->session); break;
    case STORE_FILTER_END:
    case STORE_DELIVERY_END:
    case STORE_RECEIVED_END:
    case STORE_RETAINED_END: remove_key(m, &k); break;
    case STORE_DELIVERY_STATE: change_state(m, r); break;
    default: put(m, r); break;
    }
}

static void commit(struct memory_store *m, unsigned shard)
{
    struct store_batch *b = &m->held[shard];
    struct store_record r;
    size_t at = 0;

    while (store_batch_next(b, &at, &r))
        apply(m, &r);
    m->stats.records += b->records;
    m->stats.batches += m->shards[shard].made - m->shards[shard].committed;
    m->stats.waiting_bytes -= b->len;
    store_batch_clear(b);
    m->shards[shard].committed = m->shards[shard].made;
}

/* ---- the interface ---- */

static void join(struct store_batch *to, const struct store_batch *from)
{
    struct store_record r;
    size_t at = 0;

    while (store_batch_next(from, &at, &r))
        ASSERT(store_batch_add(to, &r) == 0);
}

static uint64_t submit(struct store *s, unsigned shard, struct store_batch *b)
{
    struct memory_store *m = memory(s);
    uint64_t number = ++m->shards[shard].made;

    m->stats.waiting_bytes += b->len;
    join(&m->held[shard], b);
    store_batch_clear(b);
    if (!m->hold)
        commit(m, shard);
    return number;
}

static uint64_t committed(struct store *s, unsigned shard)
{
    return memory(s)->shards[shard].committed;
}

static int by_order(const void *a, const void *b)
{
    struct store_record x = record_of(*(struct entry *const *)a);
    struct store_record y = record_of(*(struct entry *const *)b);

    if (x.kind != y.kind)
        return x.kind < y.kind ? -1 : 1;
    if (x.uid != y.uid)
        return x.uid < y.uid ? -1 : 1;
    return 0;
}

static int recover(struct store *s, store_record_fn *fn, void *arg)
{
    struct memory_store *m = memory(s);
    size_t n = map_count(&m->entries), i = 0;
    struct entry **all = calloc(n + 1, sizeof *all), *e;
    uint64_t cursor = 0;
    int rc = 0;

    if (all == NULL)
        return -ENOMEM;
    while ((e = map_next(&m->entries, &cursor)) != NULL)
        all[i++] = e;
    qsort(all, n, sizeof(struct entry *), by_order);
    for (i = 0; i < n && rc == 0; i++) {
        struct store_record r = record_of(all[i]);

        rc = fn(arg, &r);
    }
    free(all);
    return rc;
}

static void notify(struct store *s, store_committed_fn *fn, void *arg)
{
    memory(s)->notify = fn;
    memory(s)->notify_arg = arg;
}

static void stats(struct store *s, struct store_stats *out)
{
    *out = memory(s)->stats;
    out->bytes = map_count(&memory(s)->entries);
}

/* A broker lets go; what it submitted and nobody committed is lost, as in a crash. */
static void close_store(struct store *s)
{
    struct memory_store *m = memory(s);

    m->notify = NULL;
    m->stats.waiting_bytes = 0;
    for (unsigned i = 0; i < SHARDS; i++) {
        store_batch_fini(&m->held[i]);
        m->shards[i] = (struct submitted){0};
    }
}

static const struct store_ops ops = {
    .name = "memory",
    .submit = submit,
    .committed = committed,
    .recover = recover,
    .notify = notify,
    .stats = stats,
    .close = close_store,
};

struct store *memory_store_new(void)
{
    struct memory_store *m = calloc(1, sizeof *m);

    if (m == NULL)
        return NULL;
    m->store.ops = &ops;
    m->mem = mem_new();
    if (m->mem == NULL) {
        free(m);
        return NULL;
    }
    map_init(&m->entries, m->mem, 0, entry_equal);
    return &m->store;
}

void memory_store_free(struct store **store)
{
    struct memory_store *m = memory(*store);
    struct entry *e;
    uint64_t cursor = 0;

    *store = NULL;
    if (m == NULL)
        return;
    close_store(&m->store);
    while ((e = map_next(&m->entries, &cursor)) != NULL)
        entry_free(e);
    map_fini(&m->entries);
    mem_free(&m->mem);
    free(m);
}

void memory_store_hold(struct store *s, bool hold)
{
    struct memory_store *m = memory(s);

    m->hold = hold;
    for (unsigned i = 0; !hold && i < SHARDS; i++) {
        if (m->shards[i].committed == m->shards[i].made)
            continue;
        commit(m, i);
        if (m->notify != NULL)
            m->notify(m->notify_arg, i);
    }
}

/* sqlite_writer: the thread that writes. Everything that has been submitted when a transaction
 * begins goes into it; what comes meanwhile forms the next one. A transaction that fails is rolled
 * back, and tried again with whatever has come since: its batches are kept until they are in. */
#include "base/assert.h"
#include "base/log.h"
#include "storage/sqlite_store_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TRANSACTION_BYTES ((size_t)16 << 20) /* of batches; the first one may be larger */
#define RETRY_FIRST_MS    UINT64_C(10)
#define RETRY_MAX_MS      UINT64_C(1000)

/* ---- statements ---- */

int sqlite__exec(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

int sqlite__run(sqlite3_stmt *st)
{
    int rc = sqlite3_step(st);

    while (rc == SQLITE_ROW) /* some pragmas do a part of their work with each */
        rc = sqlite3_step(st);
    sqlite3_reset(st);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int sqlite__number(sqlite3_stmt *st, sqlite3_int64 *out)
{
    int rc = sqlite3_step(st);

    *out = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
    sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* ---- transactions ---- */

/* SQLite sets it outside of transactions only, and parses it each time. */
static int set_synchronous(struct sqlite_store *s, bool full)
{
    int rc;

    if (s->w.synchronous_full == full)
        return SQLITE_OK;
    rc = sqlite__exec(s->w.db, full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
    if (rc == SQLITE_OK)
        s->w.synchronous_full = full;
    return rc;
}

static void roll_back(struct sqlite_store *s)
{
    if (!sqlite3_get_autocommit(s->w.db)) /* some errors have done so already */
        sqlite__run(s->w.st[ST_ROLLBACK]);
    counts_rollback(&s->w.users);
    counts_rollback(&s->w.ended);
    counts_rollback(&s->w.forgiven);
    s->w.last_uid = s->w.stored_uid;
    s->w.last_session = s->w.stored_session;
    s->w.body_uid = 0;
}

int sqlite__count_pages(struct sqlite_store *s)
{
    sqlite3_int64 pages = 0, free_pages = 0;
    int rc = sqlite__number(s->w.st[ST_PAGES], &pages);

    if (rc == SQLITE_OK)
        rc = sqlite__number(s->w.st[ST_FREE_PAGES], &free_pages);
    s->w.pages = (uint64_t)pages;
    s->w.free_pages = (uint64_t)free_pages;
    return rc;
}

static void keep(struct sqlite_store *s)
{
    counts_commit(&s->w.users);
    counts_commit(&s->w.ended);
    counts_commit(&s->w.forgiven);
    s->w.stored_uid = s->w.last_uid;
    s->w.stored_session = s->w.last_session;
    s->w.committed_ms = sqlite__mono_us() / 1000;
    pthread_mutex_lock(&s->lock);
    s->stats.bytes = s->w.pages * s->page_size;
    s->stats.free_bytes = s->w.free_pages * s->page_size;
    pthread_mutex_unlock(&s->lock);
}

int sqlite__transact(struct sqlite_store *s, bool synchronous_full, sqlite_work_fn *work, void *arg)
{
    int rc = set_synchronous(s, synchronous_full);

    if (rc == SQLITE_OK)
        rc = sqlite__run(s->w.st[ST_BEGIN]);
    if (rc != SQLITE_OK)
        return rc;
    counts_begin(&s->w.users);
    counts_begin(&s->w.ended);
    counts_begin(&s->w.forgiven);
    if ((rc = work(s, arg)) == SQLITE_OK && (rc = sqlite__apply_clock(s)) == SQLITE_OK &&
        (rc = sqlite__count_pages(s)) == SQLITE_OK)
        rc = sqlite__run(s->w.st[ST_COMMIT]);
    if (rc == SQLITE_OK)
        keep(s);
    else
        roll_back(s);
    return rc;
}

/* ---- the batches of a transaction ---- */

struct group {
    struct waiting *end; /* the first batch that is not in it */
    size_t bytes;
    uint64_t batches, records;
    bool sync;
};

static struct group form_group(const struct sqlite_store *s)
{
    struct group g = {.end = s->w.taken};
    size_t most = s->w.failures > 0 ? 0 : TRANSACTION_BYTES; /* what may be too much, bit by bit */

    while (g.end != NULL &&
           (g.batches == 0 || s->w.squeeze || g.bytes + g.end->batch.len <= most)) {
        g.bytes += g.end->batch.len;
        g.batches++;
        g.records += g.end->batch.records;
        g.sync |= g.end->batch.sync;
        g.end = g.end->next;
    }
    return g;
}

static int apply_group(struct sqlite_store *s, void *group)
{
    const struct group *g = group;
    int rc = SQLITE_OK;

    for (struct waiting *w = s->w.taken; w != g->end && rc == SQLITE_OK; w = w->next) {
        struct store_record r;
        size_t at = 0;

        while (rc == SQLITE_OK && store_batch_next(&w->batch, &at, &r))
            rc = sqlite__apply(s, &r);
    }
    return rc;
}

/* ---- at the limit of the file's size ---- */

static void set_page_limit(struct sqlite_store *s, uint64_t pages)
{
    char sql[64];

    snprintf(sql, sizeof sql, "PRAGMA max_page_count = %llu", (unsigned long long)pages);
    sqlite__exec(s->w.db, sql);
}

/* Give so many unused pages back, at the end of the file. */
static int shrink(struct sqlite_store *s, uint64_t pages)
{
    char sql[64];

    snprintf(sql, sizeof sql, "PRAGMA incremental_vacuum(%llu)", (unsigned long long)pages);
    return sqlite__exec(s->w.db, sql);
}

/* What counts is what remains: in between, the file may be larger. */
static int apply_within_limit(struct sqlite_store *s, void *group)
{
    struct writer *w = &s->w;
    int rc = apply_group(s, group);

    if (rc == SQLITE_OK)
        rc = sqlite__count_pages(s);
    if (rc != SQLITE_OK || w->pages <= w->max_pages)
        return rc;
    if (w->pages - w->free_pages > w->max_pages)
        return SQLITE_FULL;
    if ((rc = shrink(s, w->pages - w->max_pages)) == SQLITE_OK)
        rc = sqlite__count_pages(s);
    return rc == SQLITE_OK && w->pages > w->max_pages ? SQLITE_FULL : rc;
}

/* Everything that waits in one transaction, which may exceed the limit until it ends: what it
 * removes makes room for what it adds, in whatever order they came. */
static int commit_squeezed(struct sqlite_store *s, struct group *g)
{
    int rc;

    set_page_limit(s, s->w.max_pages + 64 + 4 * g->bytes / s->page_size);
    rc = sqlite__transact(s, g->sync, apply_within_limit, g);
    set_page_limit(s, s->w.max_pages);
    return rc;
}

/* ---- success and failure ---- */

uint64_t sqlite__mono_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void set_health(struct sqlite_store *s, enum store_health health)
{
    if (atomic_exchange(&s->health, (int)health) == (int)health)
        return;
    for (unsigned i = 0; i < STORE_SHARDS; i++)
        if (atomic_load(&s->shards[i].used))
            sqlite__tell(s, i);
}

/* Free the batches of the group, and tell their shards. */
static void let_go(struct sqlite_store *s, const struct group *g)
{
    bool told[STORE_SHARDS] = {false};

    while (s->w.taken != g->end) {
        struct waiting *w = s->w.taken;

        s->w.taken = w->next;
        told[w->shard] = true;
        atomic_fetch_add(&s->shards[w->shard].committed, 1);
        store_batch_fini(&w->batch);
        free(w);
    }
    for (unsigned i = 0; i < STORE_SHARDS; i++)
        if (told[i])
            sqlite__tell(s, i);
}

void sqlite__judge(struct sqlite_store *s)
{
    bool was_tight = s->w.tight, tight = sqlite__is_tight(s);
    char text[sizeof s->stats.error] = "";

    if (tight == was_tight && s->w.failures == 0)
        return;
    if (tight)
        sqlite__describe_tight(s, text, sizeof text);
    if (tight && !was_tight && s->w.failures == 0)
        LOG(LOG_ERROR, "store.failing", LOG_TXT("file", s->path), LOG_TXT("error", text));
    if (!tight)
        LOG(LOG_INFO, "store.recovered", LOG_TXT("file", s->path));
    pthread_mutex_lock(&s->lock);
    memcpy(s->stats.error, text, sizeof text);
    pthread_mutex_unlock(&s->lock);
    set_health(s, tight ? STORE_FAILING : STORE_FINE);
}

static void committed(struct sqlite_store *s, const struct group *g, uint64_t us)
{
    struct store_stats *st = &s->stats;

    pthread_mutex_lock(&s->lock);
    st->batches += g->batches;
    st->records += g->records;
    st->commits++;
    st->commit_us += us;
    st->waiting_batches -= g->batches;
    st->waiting_bytes -= g->bytes;
    pthread_mutex_unlock(&s->lock);
    sqlite__reserve(s);
    sqlite__judge(s);
    s->w.failures = 0;
    s->w.squeeze = false;
    let_go(s, g);
}

static void failed(struct sqlite_store *s, int rc)
{
    char text[sizeof s->stats.error];

    sqlite__describe(s, rc, text, sizeof text);
    if (s->w.failures++ == 0)
        LOG(LOG_ERROR, "store.failing", LOG_TXT("file", s->path), LOG_TXT("error", text),
            LOG_INT("code", rc));
    s->w.squeeze = sqlite__at_limit(s, rc);
    if (sqlite__disk_full(s, rc)) {
        sqlite__give_up_reserve(s);
        sqlite__checkpoint_now(s);
    }
    pthread_mutex_lock(&s->lock);
    s->stats.failures++;
    memcpy(s->stats.error, text, sizeof text);
    pthread_mutex_unlock(&s->lock);
    set_health(s, STORE_FAILING);
}

static void commit(struct sqlite_store *s)
{
    struct group g = form_group(s);
    uint64_t start = sqlite__mono_us();
    int rc = s->w.squeeze ? commit_squeezed(s, &g) : sqlite__transact(s, g.sync, apply_group, &g);

    if (rc != SQLITE_OK) {
        failed(s, rc);
        return;
    }
    committed(s, &g, sqlite__mono_us() - start);
    if (atomic_load(&s->c.full)) /* is it still? */
        sqlite__checkpoint_now(s);
    if (atomic_load(&s->c.full)) { /* before the log holds more than the reserve */
        sqlite__give_up_reserve(s);
        sqlite__judge(s);
    }
    if (s->w.reserved)
        sqlite__log_grew(s);
    else
        sqlite__checkpoint_now(s); /* so that the log needs no more space than it has */
}

/* ---- when ---- */

/* Wait for something to do, and take what has been submitted, behind what is there already. False:
 * the time is over, or the store is being closed. Called with the lock held. */
static bool take_within(struct sqlite_store *s, uint64_t wait_ms)
{
    struct waiting **end = &s->w.taken;
    struct timespec until;
    int rc = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(wait_ms / 1000);
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while (s->first == NULL && !s->closing && wait_ms > 0 && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&s->w.wake, &s->lock, &until);
    if (s->first == NULL)
        return false;
    while (*end != NULL)
        end = &(*end)->next;
    *end = s->first;
    s->first = NULL;
    s->last = &s->first;
    return true;
}

/* A queue that has been read to its end is known to the broker as it is. */
static void forget_forgiven(struct sqlite_store *s)
{
    for (size_t i = 0; i < s->n_read_to_end; i++)
        counts_set(&s->w.forgiven, s->read_to_end[i], 0);
    s->n_read_to_end = 0;
}

static uint64_t retry_ms(const struct sqlite_store *s)
{
    uint64_t ms = RETRY_FIRST_MS << (s->w.failures < 8 ? s->w.failures - 1 : 7);

    return ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS;
}

/* After a failure: wait before it is tried again, whatever is submitted meanwhile. */
static void pause_after_failure(struct sqlite_store *s)
{
    uint64_t until = sqlite__mono_us() + retry_ms(s) * 1000, now;

    while (!s->closing && (now = sqlite__mono_us()) < until)
        take_within(s, (until - now) / 1000 + 1);
}

/* Everything that is to be done before the writer ends has been done, as far as possible. */
static bool is_done(const struct sqlite_store *s, bool last_try)
{
    return s->closing && s->first == NULL &&
           (s->w.taken == NULL || (last_try && s->w.failures > 0));
}

static void drop_taken(struct sqlite_store *s)
{
    uint64_t lost = 0;

    while (s->w.taken != NULL) {
        struct waiting *w = s->w.taken;

        s->w.taken = w->next;
        store_batch_fini(&w->batch);
        free(w);
        lost++;
    }
    if (lost > 0)
        LOG(LOG_ERROR, "store.not_committed", LOG_TXT("file", s->path), LOG_UINT("batches", lost),
            LOG_TXT("error", s->stats.error));
}

/* What is in the store must be known before anything is changed. */
static bool scan_first(struct sqlite_store *s)
{
    int rc = s->w.scanned ? 0 : sqlite__scan(s, NULL, NULL);

    if (rc != 0)
        failed(s, sqlite3_extended_errcode(s->w.db));
    return rc == 0;
}

void *sqlite__writer(void *store)
{
    struct sqlite_store *s = store;
    bool more = false, last_try = false;

    pthread_mutex_lock(&s->lock);
    while (!is_done(s, last_try)) {
        bool taken;

        if (s->w.failures > 0 && !more)
            pause_after_failure(s);
        taken = take_within(s, s->w.taken != NULL || more ? 0 : sqlite__maintain_due_ms(s));
        forget_forgiven(s);
        last_try = s->closing;
        pthread_mutex_unlock(&s->lock);
        if (scan_first(s)) {
            if (s->w.taken != NULL)
                commit(s);
            more = sqlite__maintain(s, !taken);
        }
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    drop_taken(s);
    return NULL;
}

/* sqlite_maintain: what may be much work is done in slices, each a transaction of its own: one
 * after each transaction of the broker's, and one after the other when nobody waits. */
#include "base/assert.h"
#include "storage/sqlite_store_priv.h"

#define SLICE_ROWS   500   /* a few milliseconds */
#define SESSION_ROWS 5     /* what a session costs that has nothing */
#define IDLE_MS      10000 /* then the log is copied to the file */
#define VACUUM_MS    200   /* of idleness, before the first slice */
#define FAILED_MS    1000
#define RESERVE_MS   1000
#define WALL_MAX_MS  60000 /* the wall clock may jump */
#define NOTHING_MS   3600000
#define VACUUM_PAGES 256 /* unused ones that are left alone, ... */
#define VACUUM_PART  8   /* ... and this part of the file */

struct row {
    uint64_t session, uid, group;
};

static sqlite3_stmt *slice_of(struct sqlite_store *s, enum statement which, uint64_t key)
{
    sqlite3_stmt *st = s->w.st[which];

    sqlite3_bind_int64(st, 1, (sqlite3_int64)key);
    if (sqlite3_bind_parameter_count(st) > 1)
        sqlite3_bind_int(st, 2, SLICE_ROWS);
    return st;
}

static int delete_slice(struct sqlite_store *s, enum statement which, uint64_t key, int *n)
{
    int rc = sqlite__run(slice_of(s, which, key));

    *n += sqlite3_changes(s->w.db);
    return rc;
}

/* End the deliveries that the statement finds, up to a slice of them. */
static int end_slice(struct sqlite_store *s, enum statement which, uint64_t key, struct row *rows,
                     int *n)
{
    sqlite3_stmt *st = slice_of(s, which, key);
    int rc;

    for (*n = 0; (rc = sqlite3_step(st)) == SQLITE_ROW; ++*n)
        rows[*n] = (struct row){(uint64_t)sqlite3_column_int64(st, 0),
                                (uint64_t)sqlite3_column_int64(st, 1),
                                (uint64_t)sqlite3_column_int64(st, 2)};
    sqlite3_reset(st);
    rc = rc == SQLITE_DONE ? SQLITE_OK : rc;
    for (int i = 0; i < *n && rc == SQLITE_OK; i++)
        rc = sqlite__end_delivery(s, rows[i].session, rows[i].uid, rows[i].group);
    return rc;
}

/* ---- ended sessions ---- */

void sqlite__purge_later(struct sqlite_store *s, uint64_t session)
{
    uint64_t *number;

    counts_set(&s->w.ended, session, 1);
    number = fifo_push(&s->w.ended_queue, s->w.mem);
    ASSERT(number != NULL);
    *number = session;
}

/* *out_n: rows that have been removed; less than a slice of them: that was all. */
static int purge_slice(struct sqlite_store *s, uint64_t session, int *out_n)
{
    struct row rows[SLICE_ROWS];
    int n = 0, deliveries = 0;
    int rc = delete_slice(s, ST_SLICE_FILTERS, session, &n);

    if (rc == SQLITE_OK && n < SLICE_ROWS)
        rc = delete_slice(s, ST_SLICE_RECEIVED, session, &n);
    if (rc == SQLITE_OK && n < SLICE_ROWS)
        rc = end_slice(s, ST_SLICE_DELIVERIES, session, rows, &deliveries);
    *out_n = n + deliveries;
    if (rc == SQLITE_OK && *out_n < SLICE_ROWS) {
        rc = sqlite__run(slice_of(s, ST_END_LARGEST, session));
        counts_set(&s->w.ended, session, 0);
        counts_set(&s->w.forgiven, session, 0);
    }
    return rc;
}

int sqlite__purge_session(struct sqlite_store *s, uint64_t session)
{
    int rc, n;

    do
        rc = purge_slice(s, session, &n);
    while (rc == SQLITE_OK && counts_get(&s->w.ended, session) != 0);
    return rc;
}

/* arg: int, how many sessions have been dealt with, from the front of the queue. */
static int purge(struct sqlite_store *s, void *arg)
{
    int *done = arg, rows = 0, n, rc = SQLITE_OK;
    struct fifo_cursor cursor = {0};
    const uint64_t *session;

    while (rc == SQLITE_OK && rows < SLICE_ROWS &&
           (session = fifo_next(&s->w.ended_queue, &cursor)) != NULL) {
        n = 0;
        if (counts_get(&s->w.ended, *session) != 0)
            rc = purge_slice(s, *session, &n);
        rows += n + SESSION_ROWS;
        *done += counts_get(&s->w.ended, *session) == 0;
    }
    return rc;
}

static int purge_ended(struct sqlite_store *s)
{
    int done = 0;
    int rc = sqlite__transact(s, false, purge, &done);

    while (rc == SQLITE_OK && done-- > 0)
        fifo_pop(&s->w.ended_queue, s->w.mem);
    return rc;
}

/* ---- expiry ---- */

static int next_expiry(struct sqlite_store *s)
{
    sqlite3_stmt *st = s->w.st[ST_NEXT_EXPIRY];
    uint64_t next = UINT64_MAX;
    int rc;

    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        uint64_t ms = (uint64_t)sqlite3_column_int64(st, 0);

        if (ms != 0 && ms < next)
            next = ms;
    }
    sqlite3_reset(st);
    s->w.next_expiry_ms = next;
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* arg: int, how many deliveries. */
static int expire(struct sqlite_store *s, void *arg)
{
    uint64_t now = sqlite__wall_ms(s);
    struct row rows[SLICE_ROWS];
    int *n = arg, retained = 0;
    int rc = end_slice(s, ST_SLICE_EXPIRED, now, rows, n);

    for (int i = 0; i < *n; i++)
        counts_set(&s->w.forgiven, rows[i].session,
                   counts_get(&s->w.forgiven, rows[i].session) + 1);
    if (rc == SQLITE_OK)
        rc = delete_slice(s, ST_EXPIRE_RETAINED, now, &retained);
    return rc == SQLITE_OK ? next_expiry(s) : rc;
}

static int remove_expired(struct sqlite_store *s)
{
    int n = 0;
    int rc = sqlite__transact(s, false, expire, &n);

    if (rc == SQLITE_OK) {
        pthread_mutex_lock(&s->lock);
        s->stats.expired += (uint64_t)n;
        pthread_mutex_unlock(&s->lock);
    }
    return rc;
}

/* ---- unused space ---- */

static bool wants_vacuum(const struct sqlite_store *s)
{
    return s->w.free_pages > VACUUM_PAGES && s->w.free_pages > s->w.pages / VACUUM_PART;
}

static int vacuum(struct sqlite_store *s, void *arg)
{
    (void)arg;
    return sqlite__run(s->w.st[ST_VACUUM]);
}

/* ---- all of it ---- */

static bool has_expired(const struct sqlite_store *s)
{
    return s->w.next_expiry_ms <= sqlite__wall_ms(s);
}

bool sqlite__maintain(struct sqlite_store *s, bool idle)
{
    uint64_t now = sqlite__mono_us() / 1000;
    int rc = SQLITE_OK;

    if (now < s->w.maintain_after_ms)
        return false;
    if (fifo_count(&s->w.ended_queue) > 0)
        rc = purge_ended(s);
    if (rc == SQLITE_OK && has_expired(s))
        rc = remove_expired(s);
    if (rc == SQLITE_OK && idle && wants_vacuum(s))
        rc = sqlite__transact(s, false, vacuum, NULL);
    if (rc != SQLITE_OK) {
        s->w.maintain_after_ms = now + FAILED_MS;
        return false;
    }
    if (idle && now - s->w.committed_ms >= IDLE_MS) {
        sqlite__checkpoint_soon(s);
        sqlite3_db_release_memory(s->w.db); /* pages that nobody is waiting for */
    }
    sqlite__reserve(s);
    if (s->w.taken == NULL) { /* else what waits to be tried again is what tells */
        sqlite__judge(s);
        s->w.failures = 0;
    }
    return fifo_count(&s->w.ended_queue) > 0 || has_expired(s) || (idle && wants_vacuum(s));
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* How long until the store will have been idle for so long? */
static uint64_t until_idle(const struct sqlite_store *s, uint64_t now, uint64_t ms)
{
    return now - s->w.committed_ms < ms ? ms - (now - s->w.committed_ms) : 0;
}

uint64_t sqlite__maintain_due_ms(const struct sqlite_store *s)
{
    uint64_t now = sqlite__mono_us() / 1000, wall = sqlite__wall_ms(s), ms = NOTHING_MS;

    if (now < s->w.maintain_after_ms)
        return s->w.maintain_after_ms - now;
    if (!s->w.reserved)
        ms = RESERVE_MS;
    if (wants_vacuum(s))
        ms = smaller(ms, until_idle(s, now, VACUUM_MS));
    if (sqlite__log_is_open(s) && now - s->w.committed_ms < IDLE_MS)
        ms = smaller(ms, until_idle(s, now, IDLE_MS));
    if (s->w.next_expiry_ms > wall)
        ms = smaller(ms, smaller(s->w.next_expiry_ms - wall, WALL_MAX_MS));
    else
        ms = 0;
    return ms;
}

/* sqlite_recover: one pass over the tables, each in the order of its sessions. What belongs to a
 * session that is not there is what was left to be removed when the process ended. */
#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "storage/sqlite_store_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PROGRESS_MS 2000
#define LOOK_EVERY  4096 /* records, at the clock */

struct scan {
    struct sqlite_store *s;
    store_record_fn *fn; /* NULL: nobody listens */
    void *arg;
    uint64_t *sessions; /* that are there, in order */
    size_t n_sessions, cap_sessions,
        at;                /* at: the first one not below the last that was asked for */
    struct counts largest; /* by session: the largest uid that it has RECEIVED */
    uint64_t *uids;        /* of all deliveries */
    size_t n_uids, cap_uids;
    uint64_t *voids; /* guarded deliveries to remove: three numbers each */
    size_t n_voids, cap_voids;
    uint64_t entries, told_us;
};

static uint64_t column_number(sqlite3_stmt *st, int at)
{
    return (uint64_t)sqlite3_column_int64(st, at);
}

static void push(uint64_t **v, size_t *n, size_t *cap, uint64_t number)
{
    if (*n == *cap) {
        *cap = *cap == 0 ? 1024 : *cap * 2;
        *v = realloc(*v, *cap * sizeof **v);
        ASSERT(*v != NULL);
    }
    (*v)[(*n)++] = number;
}

static int tell(struct scan *c, const struct store_record *r)
{
    return c->fn == NULL ? 0 : c->fn(c->arg, r);
}

static void count_entry(struct scan *c)
{
    uint64_t now;

    if (++c->entries % LOOK_EVERY != 0 ||
        (now = sqlite__mono_us()) - c->told_us < PROGRESS_MS * 1000)
        return;
    c->told_us = now;
    LOG(LOG_INFO, "store.recovering", LOG_TXT("file", c->s->path),
        LOG_UINT("sessions", c->n_sessions), LOG_UINT("entries", c->entries));
}

/* ---- rows ---- */

/* Call row for each row of the query. 0, what it returned, or -errno. */
static int each(struct scan *c, const char *sql, int (*row)(struct scan *c, sqlite3_stmt *st))
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(c->s->w.db, sql, -1, &st, NULL), stopped = 0;

    while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW && stopped == 0) {
        count_entry(c);
        stopped = row(c, st);
        rc = SQLITE_OK;
    }
    sqlite3_finalize(st);
    if (stopped != 0)
        return stopped;
    if (rc != SQLITE_DONE && rc != SQLITE_OK)
        LOG(LOG_ERROR, "store.recovery_failed", LOG_TXT("file", c->s->path),
            LOG_TXT("error", sqlite3_errmsg(c->s->w.db)));
    return rc == SQLITE_DONE ? 0 : (rc & 0xff) == SQLITE_NOMEM ? -ENOMEM : -EIO;
}

/* Is there such a session? Asked for with growing numbers; c->at = 0 before the first. What is left
 * of the others has to be removed. */
static bool session_is_there(struct scan *c, uint64_t session)
{
    while (c->at < c->n_sessions && c->sessions[c->at] < session)
        c->at++;
    if (c->at < c->n_sessions && c->sessions[c->at] == session)
        return true;
    if (counts_get(&c->s->w.ended, session) == 0)
        sqlite__purge_later(c->s, session);
    return false;
}

static int meta_row(struct scan *c, sqlite3_stmt *st)
{
    const char *name = (const char *)sqlite3_column_text(st, 0);

    if (strcmp(name, "last_uid") == 0)
        c->s->w.last_uid = c->s->w.stored_uid = column_number(st, 1);
    else if (strcmp(name, "last_session") == 0)
        c->s->w.last_session = c->s->w.stored_session = column_number(st, 1);
    return 0;
}

static int clock_of(struct scan *c)
{
    int rc = each(c, "SELECT name, value FROM meta", meta_row);
    struct store_record r = {
        .kind = STORE_CLOCK, .last_uid = c->s->w.last_uid, .last_session = c->s->w.last_session};

    return rc != 0 ? rc : tell(c, &r);
}

static int session_row(struct scan *c, sqlite3_stmt *st)
{
    struct store_record r = sqlite__session_of(st);

    push(&c->sessions, &c->n_sessions, &c->cap_sessions, r.session);
    return tell(c, &r);
}

static int filter_row(struct scan *c, sqlite3_stmt *st)
{
    struct store_record r = {.kind = STORE_FILTER,
                             .session = column_number(st, 0),
                             .filter = sqlite__bytes(st, 1),
                             .options = (uint8_t)column_number(st, 2),
                             .sub_id = (uint32_t)column_number(st, 3)};

    return session_is_there(c, r.session) ? tell(c, &r) : 0;
}

static int received_row(struct scan *c, sqlite3_stmt *st)
{
    struct store_record r = {.kind = STORE_RECEIVED,
                             .session = column_number(st, 0),
                             .packet_id = (uint16_t)column_number(st, 1)};

    return session_is_there(c, r.session) ? tell(c, &r) : 0;
}

static int largest_row(struct scan *c, sqlite3_stmt *st)
{
    counts_set(&c->largest, column_number(st, 0), column_number(st, 1));
    return 0;
}

static int retained_row(struct scan *c, sqlite3_stmt *st)
{
    struct store_record r = sqlite__retained_of(st);

    return tell(c, &r);
}

/* ---- deliveries ---- */

/* The queue whose rows are being seen. */
struct backlog {
    struct scan scan; /* first */
    struct store_record r;
};

static int tell_backlog(struct scan *c)
{
    struct backlog *b = (struct backlog *)c;
    int rc = b->r.messages > 0 ? tell(c, &b->r) : 0;

    b->r.messages = 0;
    b->r.bytes = 0;
    return rc;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* Its publisher will send the message again. */
static bool is_void(const struct scan *c, uint64_t publisher, uint64_t uid)
{
    return publisher != 0 && counts_get(&c->largest, publisher) < uid && c->n_sessions > 0 &&
           bsearch(&publisher, c->sessions, c->n_sessions, sizeof publisher, by_number) != NULL;
}

static void note_void(struct scan *c, const struct store_record *r)
{
    push(&c->voids, &c->n_voids, &c->cap_voids, r->session);
    push(&c->voids, &c->n_voids, &c->cap_voids, r->uid);
    push(&c->voids, &c->n_voids, &c->cap_voids, r->group);
}

static int delivery_row(struct scan *c, sqlite3_stmt *st)
{
    struct backlog *b = (struct backlog *)c;
    struct store_record r = sqlite__delivery_of(st);
    int rc = 0;

    push(&c->uids, &c->n_uids, &c->cap_uids, r.uid);
    if (!session_is_there(c, r.session))
        return 0;
    if (is_void(c, column_number(st, 10), r.uid)) {
        note_void(c, &r);
        return 0;
    }
    if (b->r.session != r.session)
        rc = tell_backlog(c);
    b->r.session = r.session;
    if (r.state != STORE_QUEUED)
        return rc != 0 ? rc : tell(c, &r);
    b->r.messages++;
    b->r.bytes += column_number(st, 8);
    return rc;
}

/* Which bodies have more than one delivery? */
static void count_users(struct scan *c)
{
    size_t same = 1;

    if (c->n_uids > 0)
        qsort(c->uids, c->n_uids, sizeof *c->uids, by_number);
    for (size_t i = 1; i <= c->n_uids; i++, same++) {
        if (i < c->n_uids && c->uids[i] == c->uids[i - 1])
            continue;
        if (same > 1)
            counts_set(&c->s->w.users, c->uids[i - 1], same);
        same = 0;
    }
}

/* ---- all of it ---- */

static void forget(struct writer *w)
{
    counts_fini(&w->users);
    counts_fini(&w->ended);
    counts_fini(&w->forgiven);
    counts_init(&w->users, w->mem);
    counts_init(&w->ended, w->mem);
    counts_init(&w->forgiven, w->mem);
    fifo_clear(&w->ended_queue, w->mem);
    w->next_expiry_ms = 0; /* to be looked for */
}

static int scan_tables(struct scan *c)
{
    int rc;

    if ((rc = clock_of(c)) != 0 ||
        (rc = each(c, "SELECT * FROM session ORDER BY session", session_row)) != 0 ||
        (rc = each(c, "SELECT * FROM filter ORDER BY session", filter_row)) != 0)
        return rc;
    c->at = 0;
    if ((rc = each(c, "SELECT * FROM received ORDER BY session", received_row)) != 0)
        return rc;
    c->at = 0;
    if ((rc = each(c, "SELECT * FROM largest", largest_row)) != 0)
        return rc;
    rc = each(c, "SELECT * FROM delivery ORDER BY session, uid, grp", delivery_row);
    if (rc == 0)
        rc = tell_backlog(c);
    return rc != 0 ? rc : each(c, "SELECT * FROM retained ORDER BY topic", retained_row);
}

static int end_voids(struct sqlite_store *s, void *scan)
{
    const struct scan *c = scan;
    int rc = SQLITE_OK;

    for (size_t i = 0; i < c->n_voids && rc == SQLITE_OK; i += 3)
        rc = sqlite__end_delivery(s, c->voids[i], c->voids[i + 1], c->voids[i + 2]);
    return rc;
}

/* Before anybody can read them. 0 or -errno. */
static int remove_voids(struct scan *c)
{
    int rc = c->n_voids == 0 ? SQLITE_OK : sqlite__transact(c->s, false, end_voids, c);

    if (rc == SQLITE_OK)
        return 0;
    LOG(LOG_ERROR, "store.recovery_failed", LOG_TXT("file", c->s->path),
        LOG_TXT("error", sqlite3_errstr(rc)));
    return (rc & 0xff) == SQLITE_FULL ? -ENOSPC : -EIO;
}

int sqlite__scan(struct sqlite_store *s, store_record_fn *fn, void *arg)
{
    struct backlog b = {.scan = {.s = s, .fn = fn, .arg = arg, .told_us = sqlite__mono_us()},
                        .r = {.kind = STORE_BACKLOG}};
    int rc;

    forget(&s->w);
    counts_init(&b.scan.largest, s->w.mem);
    rc = scan_tables(&b.scan);
    if (rc == 0) {
        count_users(&b.scan);
        rc = remove_voids(&b.scan);
    }
    s->w.scanned = rc == 0;
    counts_fini(&b.scan.largest);
    free(b.scan.voids);
    free(b.scan.sessions);
    free(b.scan.uids);
    return rc;
}

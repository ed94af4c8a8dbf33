/* sqlite_pages: the thread that reads queues, with a connection of its own: it sees what was
 * committed when it began with a page, and neither waits for the writer nor holds it up. */
#include "base/assert.h"
#include "base/log.h"
#include "storage/sqlite_store_priv.h"

#include <errno.h>
#include <stdlib.h>

static const char query[] =
    "SELECT d.size, d.uid, d.grp, d.packet_id, d.state, d.qos, d.retain, d.sub_ids,"
    " m.publisher, m.expires, m.qos, m.retain, m.topic, m.props, m.payload"
    " FROM delivery d CROSS JOIN message m ON m.uid = d.uid"
    " WHERE d.session = ?1 AND (d.uid, d.grp) > (?2, ?3) AND d.state < 2 ORDER BY d.uid, d.grp";

static struct store_record record_of(sqlite3_stmt *st, uint64_t session)
{
    struct store_record r = {.kind = STORE_DELIVERY, .session = session};

    r.uid = r.message.uid = (uint64_t)sqlite3_column_int64(st, 1);
    r.group = (uint64_t)sqlite3_column_int64(st, 2);
    r.packet_id = (uint16_t)sqlite3_column_int(st, 3);
    r.state = (uint8_t)sqlite3_column_int(st, 4);
    r.qos = (uint8_t)sqlite3_column_int(st, 5);
    r.retain = sqlite3_column_int(st, 6) != 0;
    r.sub_ids = sqlite__bytes(st, 7);
    r.message.publisher = (uint64_t)sqlite3_column_int64(st, 8);
    r.message.expires_ms = (uint64_t)sqlite3_column_int64(st, 9);
    r.message.qos = (uint8_t)sqlite3_column_int(st, 10);
    r.message.retain = sqlite3_column_int(st, 11) != 0;
    r.message.topic = sqlite__bytes(st, 12);
    r.message.props = sqlite__bytes(st, 13);
    r.message.payload = sqlite__bytes(st, 14);
    return r;
}

/* 0 or -errno. */
static int fill(sqlite3_stmt *st, const struct store_load *what, struct store_page *p)
{
    size_t bytes = 0;
    int rc;

    sqlite3_bind_int64(st, 1, (sqlite3_int64)what->session);
    sqlite3_bind_int64(st, 2, (sqlite3_int64)what->after_uid);
    sqlite3_bind_int64(st, 3, (sqlite3_int64)what->after_group);
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct store_record r;

        bytes += (size_t)sqlite3_column_int64(st, 0);
        if (p->records.records > 0 &&
            (p->records.records == what->max_records || bytes > what->max_bytes))
            break;
        r = record_of(st, what->session);
        if (store_batch_add(&p->records, &r) != 0) {
            rc = SQLITE_NOMEM;
            break;
        }
    }
    sqlite3_reset(st);
    p->end = rc == SQLITE_DONE;
    if (rc == SQLITE_ROW || rc == SQLITE_DONE)
        return 0;
    return (rc & 0xff) == SQLITE_NOMEM ? -ENOMEM : -EIO;
}

/* Never NULL: whoever waits for a page waits for ever otherwise. */
static struct store_page *read_page(struct sqlite_store *s, const struct store_load *what)
{
    struct store_page *p = calloc(1, sizeof *p);

    ASSERT(p != NULL);
    p->token = what->token;
    if (s->r.st == NULL &&
        sqlite3_prepare_v3(s->r.db, query, -1, SQLITE_PREPARE_PERSISTENT, &s->r.st, NULL) != 0)
        p->rc = -EIO;
    else
        p->rc = fill(s->r.st, what, p);
    if (p->rc != 0) {
        LOG(LOG_ERROR, "store.read_failed", LOG_TXT("file", s->path),
            LOG_UINT("session", what->session), LOG_TXT("error", sqlite3_errmsg(s->r.db)));
        store_batch_fini(&p->records);
    }
    return p;
}

/* With the lock held. */
static void note_read_to_end(struct sqlite_store *s, uint64_t session)
{
    if (s->n_read_to_end == s->cap_read_to_end) {
        s->cap_read_to_end = s->cap_read_to_end == 0 ? 64 : s->cap_read_to_end * 2;
        s->read_to_end = realloc(s->read_to_end, s->cap_read_to_end * sizeof *s->read_to_end);
        ASSERT(s->read_to_end != NULL);
    }
    s->read_to_end[s->n_read_to_end++] = session;
}

static void serve(struct sqlite_store *s, const struct wanted *w)
{
    struct store_page *p = read_page(s, &w->what);
    struct shard *sh = &s->shards[w->shard];

    pthread_mutex_lock(&s->lock);
    *sh->last_page = p;
    sh->last_page = &p->next;
    s->stats.pages += p->rc == 0;
    if (p->end)
        note_read_to_end(s, w->what.session);
    pthread_mutex_unlock(&s->lock);
    sqlite__tell(s, w->shard);
}

/* In one transaction: what SQLite has in its cache is good for so long, and bodies of different
 * sessions stand side by side. */
static void serve_all(struct sqlite_store *s, struct wanted *first)
{
    sqlite__exec(s->r.db, "BEGIN");
    while (first != NULL) {
        struct wanted *w = first;

        first = w->next;
        serve(s, w);
        free(w);
    }
    sqlite__exec(s->r.db, "COMMIT");
}

void *sqlite__reader(void *store)
{
    struct sqlite_store *s = store;

    pthread_mutex_lock(&s->lock);
    while (!s->closing) {
        struct wanted *w = s->r.first;

        if (w == NULL) {
            pthread_cond_wait(&s->r.wake, &s->lock);
            continue;
        }
        s->r.first = NULL;
        s->r.last = &s->r.first;
        pthread_mutex_unlock(&s->lock);
        serve_all(s, w);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

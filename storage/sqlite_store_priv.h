/* sqlite_store, as its files share it. Who runs what:
 *
 *   sqlite_store.c      the shards' side: submitting, asking, being told; open and close
 *   sqlite_writer.c     the writer thread: transactions, failures, when to do what
 *   sqlite_apply.c      one record at a time to the tables                       (writer)
 *   sqlite_maintain.c   slices of work between transactions: what belonged to ended sessions, what
 *                       has expired, unused space                                (writer)
 *   sqlite_space.c      what is left of it, and what fails without                (writer)
 *   sqlite_checkpoint.c the log back into the file: a thread of its own
 *   sqlite_pages.c      reading queues: a thread and a connection of its own
 *   sqlite_recover.c    everything, at the start, before there are threads
 *   sqlite_rows.c       rows as records
 *   sqlite_schema.c     tables and versions
 *
 * Returns of int are SQLite's result codes unless said otherwise. */
#ifndef STORAGE_SQLITE_STORE_PRIV_H
#define STORAGE_SQLITE_STORE_PRIV_H
#include "base/env.h"
#include "base/fifo.h"
#include "storage/counts.h"
#include "storage/sqlite_store.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

/* Statements of the writer's connection. */
#define STATEMENTS(X)                                                                            \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                  \
    X(COMMIT, "COMMIT")                                                                          \
    X(ROLLBACK, "ROLLBACK")                                                                      \
    X(PUT_SESSION, "INSERT OR REPLACE INTO session VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,"   \
                   " ?10, ?11, ?12, ?13, ?14, ?15, ?16)")                                        \
    X(END_SESSION, "DELETE FROM session WHERE session = ?1")                                     \
    X(PUT_FILTER, "INSERT OR REPLACE INTO filter VALUES(?1, ?2, ?3, ?4)")                        \
    X(END_FILTER, "DELETE FROM filter WHERE session = ?1 AND filter = ?2")                       \
    X(PUT_RECEIVED, "INSERT OR IGNORE INTO received VALUES(?1, ?2)")                             \
    X(END_RECEIVED, "DELETE FROM received WHERE session = ?1 AND packet_id = ?2")                \
    X(LARGEST, "INSERT INTO largest VALUES(?1, ?2) ON CONFLICT(session)"                         \
               " DO UPDATE SET uid = excluded.uid WHERE excluded.uid > uid")                     \
    X(END_LARGEST, "DELETE FROM largest WHERE session = ?1")                                     \
    X(PUT_RETAINED, "INSERT OR REPLACE INTO retained VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")    \
    X(END_RETAINED, "DELETE FROM retained WHERE topic = ?1")                                     \
    X(PUT_BODY, "INSERT OR IGNORE INTO message VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")          \
    X(BODY, "SELECT length(CAST(topic AS BLOB)) + ifnull(length(props), 0)"                      \
            " + ifnull(length(payload), 0), expires, publisher FROM message WHERE uid = ?1")     \
    X(END_BODY, "DELETE FROM message WHERE uid = ?1")                                            \
    X(PUT_DELIVERY, "INSERT OR IGNORE INTO delivery VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,"  \
                    " ?10, ?11)")                                                                \
    X(STATE, "UPDATE delivery SET packet_id = ?4, state = ?5"                                    \
             " WHERE session = ?1 AND uid = ?2 AND grp = ?3")                                    \
    X(END_DELIVERY, "DELETE FROM delivery WHERE session = ?1 AND uid = ?2 AND grp = ?3")         \
    X(FIRST_QUEUED, "SELECT uid, grp FROM delivery WHERE session = ?1 AND (uid, grp) > (?2, ?3)" \
                    " AND state = 0 ORDER BY uid, grp LIMIT 1")                                  \
    X(SET_META, "UPDATE meta SET value = ?2 WHERE name = ?1")                                    \
    X(SLICE_FILTERS, "DELETE FROM filter WHERE session = ?1 AND filter IN"                       \
                     " (SELECT filter FROM filter WHERE session = ?1 LIMIT ?2)")                 \
    X(SLICE_RECEIVED, "DELETE FROM received WHERE session = ?1 AND packet_id IN"                 \
                      " (SELECT packet_id FROM received WHERE session = ?1 LIMIT ?2)")           \
    X(SLICE_DELIVERIES, "SELECT session, uid, grp FROM delivery WHERE session = ?1 LIMIT ?2")    \
    X(SLICE_EXPIRED, "SELECT session, uid, grp FROM delivery WHERE state = 0 AND expires > 0"    \
                     " AND expires <= ?1 LIMIT ?2")                                              \
    X(EXPIRE_RETAINED, "DELETE FROM retained WHERE topic IN (SELECT topic FROM retained"         \
                       " WHERE expires > 0 AND expires <= ?1 LIMIT ?2)")                         \
    X(NEXT_EXPIRY, "SELECT min(expires) FROM delivery WHERE state = 0 AND expires > 0 UNION ALL" \
                   " SELECT min(expires) FROM retained WHERE expires > 0")                       \
    X(VACUUM, "PRAGMA incremental_vacuum(64)")                                                   \
    X(PAGES, "PRAGMA page_count")                                                                \
    X(FREE_PAGES, "PRAGMA freelist_count")

/* The writer waits for the checkpoint when the log is so many times its size. */
#define SQLITE_WAIT_LOGS          4

#define STATEMENT_NAME(name, sql) ST_##name,
enum statement { STATEMENTS(STATEMENT_NAME) STATEMENTS_COUNT };

/* A batch on its way. */
struct waiting {
    struct waiting *next;
    struct store_batch batch;
    unsigned shard;
};

struct shard {
    uint64_t made; /* batches; the shard's thread */
    _Atomic uint64_t committed;
    _Atomic bool used;
    struct store_page *first_page, **last_page; /* store's lock */
};

/* A page that is wanted. */
struct wanted {
    struct wanted *next;
    struct store_load what;
    unsigned shard;
};

struct reader {
    sqlite3 *db;
    sqlite3_stmt *st;
    pthread_t thread;
    pthread_cond_t wake;
    struct wanted *first, **last;
};

struct checkpointer {
    sqlite3 *db;
    pthread_t thread;
    pthread_mutex_t busy; /* held while it works, by whoever does */
    pthread_cond_t wake;
    bool wanted;
    _Atomic uint32_t frames; /* in the log */
    _Atomic uint32_t copied; /* of these, in the file */
    _Atomic bool full;       /* there was no space to copy to */
    uint32_t log_pages;      /* new ones in the log, until they are copied */
    uint32_t patience;       /* frames at which the writer waits for the checkpoint; writer */
};

/* Of the writer's thread alone. */
struct writer {
    sqlite3 *db;
    sqlite3_stmt *st[STATEMENTS_COUNT];
    pthread_t thread;
    pthread_cond_t wake;
    struct waiting *taken; /* what is to be committed next, oldest first */
    struct mem *mem;
    struct counts users;     /* by uid: deliveries that have its body, when there are two or more */
    struct counts ended;     /* by session: what is left of it has to be removed (1) */
    struct fifo ended_queue; /* their numbers, and some that are not among them any more */
    struct counts forgiven;  /* by session: QUEUE_DROPs to ignore: what has expired instead */
    uint64_t last_uid, last_session;     /* seen */
    uint64_t stored_uid, stored_session; /* written */
    uint64_t next_expiry_ms;             /* nothing expires before; UINT64_MAX: nothing does */
    uint64_t body_uid, body_size, body_expires_ms, body_publisher; /* the last one that was put */
    uint64_t committed_ms;      /* when the last transaction was; monotonic */
    uint64_t maintain_after_ms; /* maintenance has failed; monotonic */
    uint64_t reserve_after_ms;  /* there was no space for the reserve; monotonic */
    uint64_t pages, free_pages; /* of the file */
    uint64_t max_pages;         /* 0: no limit */
    uint32_t failures;          /* in a row */
    bool synchronous_full;
    bool squeeze;  /* at the limit: see commit_squeezed() */
    bool scanned;  /* the counts above know what is in the store */
    bool reserved; /* there is a reserve (sqlite_space.c), or there can be none */
    bool tight;    /* there is little space */
};

struct sqlite_store {
    struct store store; /* first */
    char *path;
    const struct env *env;
    uint64_t max_bytes;
    uint32_t page_size;
    int lock_fd;
    char set_aside[256];     /* new name of what was found; "" */
    pthread_mutex_t telling; /* held while somebody is told */
    store_news_fn *notify;
    void *notify_arg;
    struct shard shards[STORE_SHARDS];
    _Atomic int health;
    struct writer w;
    struct reader r;
    struct checkpointer c;
    pthread_mutex_t lock;          /* what follows, and the queues and pages above */
    struct waiting *first, **last; /* submitted */
    uint64_t *read_to_end;         /* sessions whose queue has been read to its end */
    size_t n_read_to_end, cap_read_to_end;
    struct store_stats stats;
    bool started, closing;
};

/* Tell a shard that there is news. */
void sqlite__tell(struct sqlite_store *s, unsigned shard);

uint64_t sqlite__wall_ms(const struct sqlite_store *s); /* as env says */
uint64_t sqlite__mono_us(void);                         /* for waiting: not of env */

/* ---- statements ---- */

/* Step a statement that gives no rows, and make it ready for the next time. */
int sqlite__run(sqlite3_stmt *st);

/* The first column of the first row, or 0. */
int sqlite__number(sqlite3_stmt *st, sqlite3_int64 *out);

int sqlite__exec(sqlite3 *db, const char *sql);

/* ---- rows (sqlite_rows.c) ---- */

/* Borrowed from the statement, until its next step. */
struct str sqlite__bytes(sqlite3_stmt *st, int column);

/* Rows of SELECT * as records; a delivery without its message. */
struct store_record sqlite__session_of(sqlite3_stmt *st);
struct store_record sqlite__delivery_of(sqlite3_stmt *st);
struct store_record sqlite__retained_of(sqlite3_stmt *st);

/* ---- writer ---- */

void *sqlite__writer(void *store);

/* Run work as one transaction; when it or the commit fails nothing has happened, neither in the
 * file nor in the counts. */
typedef int sqlite_work_fn(struct sqlite_store *s, void *arg);
int sqlite__transact(struct sqlite_store *s, bool synchronous_full, sqlite_work_fn *work,
                     void *arg);

/* Set the health by the space that is left. */
void sqlite__judge(struct sqlite_store *s);

/* Set w.pages and w.free_pages. */
int sqlite__count_pages(struct sqlite_store *s);

/* ---- apply ---- */

int sqlite__apply(struct sqlite_store *s, const struct store_record *r);

/* Behind the last record of a transaction. */
int sqlite__apply_clock(struct sqlite_store *s);

/* Remove a delivery, if it is there, and its body with the last one. */
int sqlite__end_delivery(struct sqlite_store *s, uint64_t session, uint64_t uid, uint64_t group);

/* ---- maintenance ---- */

/* A slice of what there is to do. idle: nobody waits for the writer. True: there is more to do, at
 * once. */
bool sqlite__maintain(struct sqlite_store *s, bool idle);

/* Milliseconds until there will be something to do. */
uint64_t sqlite__maintain_due_ms(const struct sqlite_store *s);

/* What is left of an ended session has to be removed: in slices, or all of it in the transaction
 * that is going on. */
void sqlite__purge_later(struct sqlite_store *s, uint64_t session);
int sqlite__purge_session(struct sqlite_store *s, uint64_t session);

/* ---- checkpoint ---- */

void *sqlite__checkpointer(void *store);

/* A transaction has been committed: is there enough in the log? Called by the writer; may wait for
 * the log to be copied. */
void sqlite__log_grew(struct sqlite_store *s);

/* Copy what is in the log, now or soon. */
void sqlite__checkpoint_now(struct sqlite_store *s);
void sqlite__checkpoint_soon(struct sqlite_store *s);

/* Is there something in the log that is not in the file? */
bool sqlite__log_is_open(const struct sqlite_store *s);

/* ---- pages ---- */

void *sqlite__reader(void *store);

/* ---- recovery ---- */

/* Go through the whole store: the writer's counts are made, and, when fn is not NULL, fn is called
 * with every record. Returns 0, what fn returned, or -errno. */
int sqlite__scan(struct sqlite_store *s, store_record_fn *fn, void *arg);

/* ---- space ---- */

/* Bytes of the file system: all, or what is available. UINT64_MAX: not known. */
uint64_t sqlite__disk_bytes(const struct sqlite_store *s, bool available);

/* How large the log may become, by the size of the file system. */
uint32_t sqlite__log_pages(const struct sqlite_store *s);

/* Make the reserve, if there is none and space for it (looked for now and then); give it up. */
void sqlite__reserve(struct sqlite_store *s);
void sqlite__give_up_reserve(struct sqlite_store *s);

/* Is there so little space left that nothing more should be taken in? */
bool sqlite__is_tight(struct sqlite_store *s);
void sqlite__describe_tight(const struct sqlite_store *s, char *out, size_t size);

/* What is it that has failed? */
bool sqlite__is_full(sqlite3 *db, int rc); /* which of the two it is, SQLite does not say */
bool sqlite__disk_full(const struct sqlite_store *s, int rc);
bool sqlite__at_limit(const struct sqlite_store *s, int rc);
void sqlite__describe(const struct sqlite_store *s, int rc, char *out, size_t size);
#endif

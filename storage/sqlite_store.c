/* sqlite_store: what the shards see of it, and its life. */
#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "storage/sqlite_schema_priv.h"
#include "storage/sqlite_store_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define WRITER_CACHE_KB    16384
#define READER_CACHE_KB    4096
#define CHECKPOINT_BUSY_MS 100 /* the longest that a reader may make the writer wait */

static struct sqlite_store *sqlite(struct store *s)
{
    return (struct sqlite_store *)s;
}

void sqlite__tell(struct sqlite_store *s, unsigned shard)
{
    pthread_mutex_lock(&s->telling);
    if (s->notify != NULL)
        s->notify(s->notify_arg, shard);
    pthread_mutex_unlock(&s->telling);
}

uint64_t sqlite__wall_ms(const struct sqlite_store *s)
{
    struct env_time now;

    s->env->now(s->env->arg, &now);
    return now.wall_ms;
}

/* ---- threads ---- */

/* Signals are for the threads that were there before. */
static void start_thread(pthread_t *thread, const char *name, void *(*run)(void *),
                         struct sqlite_store *s)
{
    sigset_t all, before;
    int rc;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(thread, NULL, run, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    ASSERT(rc == 0);
    pthread_setname_np(*thread, name);
}

/* With the lock held. Before the first submit() the store belongs to who recovers it. */
static void start(struct sqlite_store *s)
{
    if (s->started)
        return;
    s->started = true;
    start_thread(&s->w.thread, "store", sqlite__writer, s);
    start_thread(&s->r.thread, "store-pages", sqlite__reader, s);
    start_thread(&s->c.thread, "store-log", sqlite__checkpointer, s);
}

static void stop(struct sqlite_store *s)
{
    if (!s->started)
        return;
    pthread_mutex_lock(&s->lock);
    s->closing = true;
    pthread_cond_signal(&s->w.wake);
    pthread_cond_signal(&s->r.wake);
    pthread_cond_signal(&s->c.wake);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->w.thread, NULL);
    pthread_join(s->r.thread, NULL);
    pthread_join(s->c.thread, NULL);
}

/* ---- the interface ---- */

static uint64_t submit(struct store *store, unsigned shard, struct store_batch *b)
{
    struct sqlite_store *s = sqlite(store);
    struct waiting *w = malloc(sizeof *w);
    struct shard *sh;
    bool wake;

    ASSERT(w != NULL && shard < STORE_SHARDS);
    sh = &s->shards[shard];
    *w = (struct waiting){.batch = *b, .shard = shard};
    *b = (struct store_batch){0};
    atomic_store_explicit(&sh->used, true, memory_order_relaxed);
    pthread_mutex_lock(&s->lock);
    start(s);
    wake = s->first == NULL;
    *s->last = w;
    s->last = &w->next;
    s->stats.waiting_batches++;
    s->stats.waiting_bytes += w->batch.len;
    pthread_mutex_unlock(&s->lock);
    if (wake)
        pthread_cond_signal(&s->w.wake);
    return ++sh->made;
}

static uint64_t committed(struct store *store, unsigned shard)
{
    return atomic_load(&sqlite(store)->shards[shard].committed);
}

static void load(struct store *store, unsigned shard, const struct store_load *what)
{
    struct sqlite_store *s = sqlite(store);
    struct wanted *w = malloc(sizeof *w);

    ASSERT(w != NULL && shard < STORE_SHARDS);
    *w = (struct wanted){.what = *what, .shard = shard};
    atomic_store_explicit(&s->shards[shard].used, true, memory_order_relaxed);
    pthread_mutex_lock(&s->lock);
    start(s);
    *s->r.last = w;
    s->r.last = &w->next;
    pthread_mutex_unlock(&s->lock);
    pthread_cond_signal(&s->r.wake);
}

static struct store_page *pages(struct store *store, unsigned shard)
{
    struct sqlite_store *s = sqlite(store);
    struct shard *sh = &s->shards[shard];
    struct store_page *first;

    pthread_mutex_lock(&s->lock);
    first = sh->first_page;
    sh->first_page = NULL;
    sh->last_page = &sh->first_page;
    pthread_mutex_unlock(&s->lock);
    return first;
}

static int recover(struct store *store, store_record_fn *fn, void *arg)
{
    struct sqlite_store *s = sqlite(store);

    ASSERT(!s->started);
    return sqlite__scan(s, fn, arg);
}

static void notify(struct store *store, store_news_fn *fn, void *arg)
{
    struct sqlite_store *s = sqlite(store);

    ASSERT(!s->started || fn == NULL);
    pthread_mutex_lock(&s->telling);
    s->notify = fn;
    s->notify_arg = arg;
    pthread_mutex_unlock(&s->telling);
}

static enum store_health health(struct store *store)
{
    return (enum store_health)atomic_load_explicit(&sqlite(store)->health, memory_order_relaxed);
}

static void stats(struct store *store, struct store_stats *out)
{
    struct sqlite_store *s = sqlite(store);

    pthread_mutex_lock(&s->lock);
    *out = s->stats;
    pthread_mutex_unlock(&s->lock);
    out->log_bytes = (uint64_t)atomic_load(&s->c.frames) * (s->page_size + 24); /* frame header */
    memcpy(out->set_aside, s->set_aside, sizeof out->set_aside);
}

/* ---- the file ---- */

static int refused(const char *path, int fd, struct store_error *err)
{
    char who[32] = "";
    ssize_t n = read(fd, who, sizeof who - 1);

    if (n > 0)
        who[strcspn(who, "\n")] = '\0';
    return store_error(err,
                       "%s is in use by process %s: a store belongs to one broker at a time; end "
                       "that one, or name another file",
                       path, n > 0 ? who : "?");
}

/* The lock is on a file of its own: whoever closes a file loses all of SQLite's locks on it. */
static int lock_file(struct sqlite_store *s, struct store_error *err)
{
    char path[4096], text[32];
    int n;

    snprintf(path, sizeof path, "%s-lock", s->path);
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock_fd < 0)
        return store_error(err, "cannot open %s: %s", path, strerror(errno));
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? refused(s->path, s->lock_fd, err)
                                    : store_error(err, "cannot lock %s: %s", path, strerror(errno));
    n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(s->lock_fd, 0) == 0 && pwrite(s->lock_fd, text, (size_t)n, 0) != n)
        LOG(LOG_WARN, "store.lock_unwritten", LOG_TXT("file", path), LOG_ERRNO(errno));
    return 0;
}

static int set_aside(struct sqlite_store *s, const char *why, struct store_error *err)
{
    struct store_error reason = *err;
    char name[4096];

    if (schema__set_aside(s->path, why, name, sizeof name, err) != 0)
        return -1;
    snprintf(s->set_aside, sizeof s->set_aside, "%.255s", name);
    LOG(LOG_ERROR, "store.set_aside", LOG_TXT("file", s->path), LOG_TXT("moved_to", name),
        LOG_TXT("reason", reason.text));
    return 0;
}

/* SQLite copies the log to the file when that is closed, and removes it. Not to one that is
 * damaged: what can be saved is saved from what was found. */
static void keep_log(sqlite3 *db, bool on)
{
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, (int)on, NULL);
}

/* A new file is for its owner alone: it holds what clients send. SQLite gives the files beside it
 * the same mode. */
static void make_private(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd >= 0)
        close(fd);
}

/* The writer's connection, to a file that is ours, whole and up to date. */
static int open_file(struct sqlite_store *s, const char *vfs, struct store_error *err)
{
    for (int attempt = 0;; attempt++) {
        enum schema_file what;

        make_private(s->path);
        s->w.db = schema__connect(s->path, vfs, SQLITE_OPEN_READWRITE, err);
        if (s->w.db == NULL)
            return -1;
        keep_log(s->w.db, true);
        what = schema__prepare(s->w.db, s->path, err);
        if (what == FILE_OURS) {
            keep_log(s->w.db, false);
            return 0;
        }
        if ((what != FILE_DAMAGED && what != FILE_FOREIGN) || attempt > 0)
            return -1;
        sqlite3_close(s->w.db);
        s->w.db = NULL;
        if (set_aside(s, what == FILE_DAMAGED ? "damaged" : "foreign", err) != 0)
            return -1;
    }
}

/* ---- connections ---- */

static int log_grew(void *store, sqlite3 *db, const char *name, int frames)
{
    struct sqlite_store *s = store;

    (void)db;
    (void)name;
    atomic_store(&s->c.frames, (uint32_t)frames);
    return SQLITE_OK;
}

static int set_up(sqlite3 *db, int cache_kb, const char *more)
{
    char sql[256];

    snprintf(
        sql, sizeof sql,
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0;"
        "PRAGMA cache_size = -%d; %s",
        cache_kb, more);
    return sqlite__exec(db, sql);
}

static int set_up_writer(struct sqlite_store *s)
{
    static const char *const sql[] = {
#define STATEMENT_TEXT(name, text) text,
        STATEMENTS(STATEMENT_TEXT)};
    char limit[64] = "";
    sqlite3_stmt *st = NULL;
    sqlite3_int64 page_size = 0;
    int rc = sqlite3_prepare_v2(s->w.db, "PRAGMA page_size", -1, &st, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite__number(st, &page_size);
    sqlite3_finalize(st);
    s->page_size = (uint32_t)page_size;
    if (rc == SQLITE_OK && s->max_bytes != 0) {
        s->w.max_pages = s->max_bytes / s->page_size + 1;
        snprintf(limit, sizeof limit, "PRAGMA max_page_count = %llu",
                 (unsigned long long)s->w.max_pages);
    }
    if (rc == SQLITE_OK)
        rc = set_up(s->w.db, WRITER_CACHE_KB, limit);
    for (int i = 0; i < STATEMENTS_COUNT && rc == SQLITE_OK; i++)
        rc = sqlite3_prepare_v3(s->w.db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &s->w.st[i], NULL);
    sqlite3_wal_hook(s->w.db, log_grew, s);
    return rc == SQLITE_OK ? sqlite__count_pages(s) : rc;
}

static int set_up_others(struct sqlite_store *s, const char *vfs, struct store_error *err)
{
    int rc;

    s->r.db = schema__connect(s->path, vfs, SQLITE_OPEN_READWRITE, err);
    s->c.db = s->r.db == NULL ? NULL : schema__connect(s->path, vfs, SQLITE_OPEN_READWRITE, err);
    if (s->c.db == NULL)
        return -1;
    if ((rc = set_up(s->r.db, READER_CACHE_KB, "PRAGMA query_only = ON")) == SQLITE_OK)
        rc = set_up(s->c.db, READER_CACHE_KB, "");
    sqlite3_busy_timeout(s->c.db, CHECKPOINT_BUSY_MS);
    return rc == SQLITE_OK ? 0 : store_error(err, "%s: %s", s->path, sqlite3_errstr(rc));
}

static int open_all(struct sqlite_store *s, const struct sqlite_store_options *o,
                    struct store_error *err)
{
    if (lock_file(s, err) != 0 || open_file(s, o->vfs, err) != 0)
        return -1;
    if (set_up_writer(s) != SQLITE_OK)
        return store_error(err, "%s: %s", s->path, sqlite3_errmsg(s->w.db));
    if (set_up_others(s, o->vfs, err) != 0)
        return -1;
    s->c.log_pages = o->log_pages != 0 ? o->log_pages : sqlite__log_pages(s);
    sqlite__reserve(s);
    sqlite__judge(s);
    s->stats.bytes = s->w.pages * s->page_size;
    s->stats.free_bytes = s->w.free_pages * s->page_size;
    return 0;
}

/* ---- life ---- */

static void drop_queues(struct sqlite_store *s)
{
    while (s->r.first != NULL) {
        struct wanted *w = s->r.first;

        s->r.first = w->next;
        free(w);
    }
    for (unsigned i = 0; i < STORE_SHARDS; i++) {
        while (s->shards[i].first_page != NULL) {
            struct store_page *p = s->shards[i].first_page;

            s->shards[i].first_page = p->next;
            store_page_free(p);
        }
    }
}

/* The writer's connection last: SQLite copies the log to the file then, and removes it. */
static void close_store(struct store *store)
{
    struct sqlite_store *s = sqlite(store);

    stop(s);
    drop_queues(s);
    sqlite3_finalize(s->r.st);
    sqlite3_close(s->r.db);
    sqlite3_close(s->c.db);
    for (int i = 0; i < STATEMENTS_COUNT; i++)
        sqlite3_finalize(s->w.st[i]);
    sqlite3_close(s->w.db);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    counts_fini(&s->w.users);
    counts_fini(&s->w.ended);
    counts_fini(&s->w.forgiven);
    fifo_clear(&s->w.ended_queue, s->w.mem);
    mem_free(&s->w.mem);
    pthread_cond_destroy(&s->w.wake);
    pthread_cond_destroy(&s->r.wake);
    pthread_cond_destroy(&s->c.wake);
    pthread_mutex_destroy(&s->c.busy);
    pthread_mutex_destroy(&s->telling);
    pthread_mutex_destroy(&s->lock);
    free(s->read_to_end);
    free(s->path);
    free(s);
}

static const struct store_ops ops = {
    .name = "sqlite",
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

static void init_locks(struct sqlite_store *s)
{
    pthread_condattr_t monotonic;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->w.wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_cond_init(&s->r.wake, NULL);
    pthread_cond_init(&s->c.wake, NULL);
    pthread_mutex_init(&s->c.busy, NULL);
    pthread_mutex_init(&s->telling, NULL);
    pthread_mutex_init(&s->lock, NULL);
}

static struct sqlite_store *new_store(const struct sqlite_store_options *o)
{
    struct sqlite_store *s = calloc(1, sizeof *s);

    ASSERT(s != NULL);
    s->store.ops = &ops;
    s->path = strdup(o->path);
    s->env = o->env != NULL ? o->env : env_system();
    s->max_bytes = o->max_bytes;
    s->lock_fd = -1;
    s->last = &s->first;
    s->r.last = &s->r.first;
    s->w.mem = mem_new();
    ASSERT(s->path != NULL && s->w.mem != NULL);
    counts_init(&s->w.users, s->w.mem);
    counts_init(&s->w.ended, s->w.mem);
    counts_init(&s->w.forgiven, s->w.mem);
    fifo_init(&s->w.ended_queue, sizeof(uint64_t), 0);
    for (unsigned i = 0; i < STORE_SHARDS; i++)
        s->shards[i].last_page = &s->shards[i].first_page;
    init_locks(s);
    return s;
}

/* SQLite's own counting of memory would be a lock of all its threads at every allocation. Has an
 * effect before its first use in the process only. */
static void configure_sqlite(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

struct store *sqlite_store_open(const struct sqlite_store_options *o, struct store_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct sqlite_store *s = new_store(o);

    pthread_once(&once, configure_sqlite);
    if (open_all(s, o, err) == 0)
        return &s->store;
    close_store(&s->store);
    return NULL;
}

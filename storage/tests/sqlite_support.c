#include "storage/tests/sqlite_support.h"

#include "base/assert.h"
#include "base/log.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void now(void *arg, struct env_time *out)
{
    struct db *d = arg;

    *out = (struct env_time){.wall_ms = atomic_load(&d->wall_ms)};
}

void db_init(struct db *d)
{
    static int null = -1;

    if (null < 0 && getenv("FRYS_TEST_LOG") == NULL) {
        null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        log_configure(null, LOG_DEBUG, LOG_TEXT);
    }
    fault_vfs_register(false);
    memset(d, 0, sizeof *d);
    dir_make(d->dir, sizeof d->dir);
    dir_path(d->path, sizeof d->path, d->dir, "store.db");
    d->env = (struct env){.now = now, .arg = d};
    atomic_store(&d->wall_ms, 1700000000000);
    d->o = (struct sqlite_store_options){.path = d->path, .env = &d->env, .vfs = FAULT_VFS};
}

void db_sleep(struct db *d, uint64_t ms)
{
    atomic_fetch_add(&d->wall_ms, ms);
}

bool db_open(struct db *d)
{
    d->err.text[0] = '\0';
    waiter_init(&d->w);
    d->s = sqlite_store_open(&d->o, &d->err);
    if (d->s != NULL)
        d->s->ops->notify(d->s, waiter_news, &d->w);
    return d->s != NULL;
}

void db_close(struct db *d)
{
    if (d->s != NULL)
        d->s->ops->close(d->s);
    d->s = NULL;
}

void db_fini(struct db *d)
{
    db_close(d);
    store_batch_fini(&d->batch);
    dir_remove(d->dir);
}

void db_add(struct db *d, struct store_record r)
{
    int rc = store_batch_add(&d->batch, &r);

    ASSERT(rc == 0);
}

uint64_t db_submit(struct db *d)
{
    return d->s->ops->submit(d->s, 0, &d->batch);
}

bool db_commit(struct db *d)
{
    return wait_committed(&d->w, d->s, 0, db_submit(d));
}

void db_fill(struct db *d, uint64_t session, uint64_t first_uid, unsigned n, const char *payload)
{
    for (unsigned i = 0; i < n; i++)
        db_add(d, a_delivery(session, first_uid + i, payload));
    ASSERT(db_commit(d));
}

void db_end_deliveries(struct db *d, uint64_t session, uint64_t first_uid, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        db_add(d, as_kind(a_delivery(session, first_uid + i, NULL), STORE_DELIVERY_END));
}

struct store_stats db_stats(struct db *d)
{
    struct store_stats stats;

    d->s->ops->stats(d->s, &stats);
    return stats;
}

char *db_state(struct db *d)
{
    db_close(d);
    ASSERT(db_open(d));
    return state_of(&d->w, d->s, false);
}

static sqlite3 *connect(const char *path)
{
    sqlite3 *db;
    int rc = sqlite3_open(path, &db);

    ASSERT(rc == SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    return db;
}

void db_sql(const char *path, const char *sql)
{
    sqlite3 *db = connect(path);
    char *text = NULL;
    int rc = sqlite3_exec(db, sql, NULL, NULL, &text);

    if (rc != SQLITE_OK)
        fprintf(stderr, "%s: %s\n", sql, text);
    ASSERT(rc == SQLITE_OK);
    sqlite3_close(db);
}

long long db_number(const char *path, const char *sql)
{
    sqlite3 *db = connect(path);
    sqlite3_stmt *st;
    long long n = 0;

    ASSERT(sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK);
    if (sqlite3_step(st) == SQLITE_ROW)
        n = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return n;
}

static void run_child(const char *path, const char *sql, int hear, int tell)
{
    sqlite3 *db;
    char c;

    ASSERT(read(hear, &c, 1) == 1);
    db = connect(path);
    ASSERT(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
    ASSERT(write(tell, &c, 1) == 1);
    ASSERT(read(hear, &c, 1) == 1);
    sqlite3_close(db);
    ASSERT(write(tell, &c, 1) == 1);
    _exit(0);
}

struct child child_with(const char *path, const char *sql)
{
    struct child c;
    int to[2], from[2];

    ASSERT(pipe(to) == 0 && pipe(from) == 0);
    c.pid = fork();
    if (c.pid == 0)
        run_child(path, sql, to[0], from[1]);
    close(to[0]);
    close(from[1]);
    c.tell = to[1];
    c.hear = from[0];
    return c;
}

bool child_step(struct child *c)
{
    char byte = 0;

    return write(c->tell, &byte, 1) == 1 && read(c->hear, &byte, 1) == 1;
}

bool child_ends(struct child *c)
{
    int status = -1;

    close(c->tell);
    close(c->hear);
    return waitpid(c->pid, &status, 0) == c->pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

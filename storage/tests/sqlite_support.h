/* sqlite_support: a SQLite store in a temporary folder. */
#ifndef STORAGE_TESTS_SQLITE_SUPPORT_H
#define STORAGE_TESTS_SQLITE_SUPPORT_H
#include "base/env.h"
#include "storage/sqlite_store.h"
#include "storage/tests/dir_support.h"
#include "storage/tests/fault_vfs_support.h"
#include "storage/tests/records_support.h"

#include <stdatomic.h>
#include <sys/types.h>

struct db {
    char dir[128], path[192];
    struct sqlite_store_options o;
    struct store_error err;
    struct env env; /* its wall clock is wall_ms */
    _Atomic uint64_t wall_ms;
    struct waiter w;
    struct store *s; /* NULL: not open */
    struct store_batch batch;
};

/* A folder, and where the store will be in it, on FAULT_VFS. Log lines go nowhere from here on,
 * unless FRYS_TEST_LOG is set. */
void db_init(struct db *d);

/* False: d->err says why. */
bool db_open(struct db *d);
void db_close(struct db *d);
void db_fini(struct db *d);

/* Move the clock on. The store looks at it after a commit. */
void db_sleep(struct db *d, uint64_t ms);

void db_add(struct db *d, struct store_record r);

/* Submit what was added; wait for it. */
uint64_t db_submit(struct db *d);
bool db_commit(struct db *d);

/* Add n deliveries of payload to session, from this uid on; commit. */
void db_fill(struct db *d, uint64_t session, uint64_t first_uid, unsigned n, const char *payload);
void db_end_deliveries(struct db *d, uint64_t session, uint64_t first_uid, unsigned n);

struct store_stats db_stats(struct db *d);

/* Close, open, and give the whole state. The caller's to free. */
char *db_state(struct db *d);

/* SQL on a connection of its own. db_number: the first column of the first row. */
void db_sql(const char *path, const char *sql);
long long db_number(const char *path, const char *sql);

/* A child process that executes the SQL when it is told to, and closes the file when it is told to:
 * by child_step(), which returns when that is done. To be made while no store is open. */
struct child {
    pid_t pid;
    int tell, hear;
};

struct child child_with(const char *path, const char *sql);
bool child_step(struct child *c);

/* The child ends with status 0. */
bool child_ends(struct child *c);
#endif

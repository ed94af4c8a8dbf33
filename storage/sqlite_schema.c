#include "storage/sqlite_schema_priv.h"

#include "base/assert.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BUSY_MS 1000

/* Tables. Numbers above 2^63 (groups, "never") are stored as the negative ones with the same bits.
 *
 * message: once for all deliveries of it; goes with the last of them.
 * delivery: size and expires are those of the message, so that neither recovery nor expiry has to
 * look at that; state 0 QUEUED, 1 SENT, 2 RELEASED; guard: when it is guarded, its publisher.
 * largest: the largest uid that a session has RECEIVED. */
static const char version_1[] =
    "CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO meta VALUES('last_session', 0), ('last_uid', 0);"
    "CREATE TABLE session(session INTEGER PRIMARY KEY, client_id TEXT, ends INTEGER,"
    " expiry INTEGER, version INTEGER, has_will INTEGER, will_due INTEGER, will_delay INTEGER,"
    " will_expiry INTEGER, publisher INTEGER, expires INTEGER, qos INTEGER, retain INTEGER,"
    " topic TEXT, props BLOB, payload BLOB);"
    "CREATE TABLE filter(session INTEGER, filter TEXT, options INTEGER, sub_id INTEGER,"
    " PRIMARY KEY(session, filter)) WITHOUT ROWID;"
    "CREATE TABLE received(session INTEGER, packet_id INTEGER,"
    " PRIMARY KEY(session, packet_id)) WITHOUT ROWID;"
    "CREATE TABLE largest(session INTEGER PRIMARY KEY, uid INTEGER);"
    "CREATE TABLE message(uid INTEGER PRIMARY KEY, publisher INTEGER, expires INTEGER,"
    " qos INTEGER, retain INTEGER, topic TEXT, props BLOB, payload BLOB);"
    "CREATE TABLE delivery(session INTEGER, uid INTEGER, grp INTEGER, packet_id INTEGER,"
    " state INTEGER, qos INTEGER, retain INTEGER, sub_ids BLOB, size INTEGER, expires INTEGER,"
    " guard INTEGER, PRIMARY KEY(session, uid, grp)) WITHOUT ROWID;"
    "CREATE INDEX delivery_expires ON delivery(expires) WHERE state = 0 AND expires > 0;"
    "CREATE TABLE retained(topic TEXT PRIMARY KEY, uid INTEGER, publisher INTEGER,"
    " expires INTEGER, qos INTEGER, retain INTEGER, props BLOB, payload BLOB) WITHOUT ROWID;"
    "CREATE INDEX retained_expires ON retained(expires) WHERE expires > 0;";

static const struct schema_step steps[] = {{0, SCHEMA_VERSION, version_1}};

/* Looked over row by row at the start. Of the messages only their tree is: their bodies may be
 * large, and are read when they are needed. */
static const char *const checked[] = {"meta",    "session",  "filter",  "received",
                                      "largest", "delivery", "retained"};

static int exec(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static int number_of(sqlite3 *db, const char *sql, sqlite3_int64 *out)
{
    sqlite3_stmt *st;
    int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

    *out = 0;
    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW)
        *out = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* ---- connecting ---- */

sqlite3 *schema__connect(const char *path, const char *vfs, int flags, struct store_error *err)
{
    sqlite3 *db;
    int rc = sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, vfs);

    if (rc == SQLITE_OK) {
        sqlite3_busy_timeout(db, BUSY_MS);
        rc = exec(db, "PRAGMA secure_delete = OFF; PRAGMA trusted_schema = OFF;"
                      "PRAGMA temp_store = MEMORY");
    }
    if (rc == SQLITE_OK)
        return db;
    store_error(
        err, "cannot open %s: %s%s%s", path, db == NULL ? "out of memory" : sqlite3_errmsg(db),
        db != NULL && sqlite3_system_errno(db) != 0 ? ": " : "",
        db != NULL && sqlite3_system_errno(db) != 0 ? strerror(sqlite3_system_errno(db)) : "");
    sqlite3_close(db);
    return NULL;
}

/* ---- versions ---- */

static int migrate_step(sqlite3 *db, const struct schema_step *step)
{
    char sql[128];
    int rc;

    snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
             SCHEMA_APPLICATION_ID, step->to);
    if ((rc = exec(db, "BEGIN IMMEDIATE")) == SQLITE_OK && (rc = exec(db, step->sql)) == SQLITE_OK)
        rc = exec(db, sql);
    if (rc != SQLITE_OK && !sqlite3_get_autocommit(db))
        exec(db, "ROLLBACK");
    return rc;
}

int schema__migrate(sqlite3 *db, const struct schema_step *list, size_t n)
{
    sqlite3_int64 version;
    int rc = number_of(db, "PRAGMA user_version", &version);

    for (size_t i = 0; i < n && rc == SQLITE_OK; i++) {
        if (list[i].from != version)
            continue;
        rc = migrate_step(db, &list[i]);
        version = list[i].to;
    }
    return rc;
}

/* ---- is it ours, and whole? ---- */

static enum schema_file failed(sqlite3 *db, int rc, const char *path, const char *what,
                               struct store_error *err)
{
    bool damaged = (rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB;

    store_error(err, "%s: %s: %s", path, what, sqlite3_errmsg(db));
    return damaged ? FILE_DAMAGED : FILE_UNUSABLE;
}

/* The pragma's only row must say "ok". */
static enum schema_file check_table(sqlite3 *db, const char *table, const char *path,
                                    struct store_error *err)
{
    enum schema_file what = FILE_OURS;
    sqlite3_stmt *st = NULL;
    char sql[64];
    int rc;

    snprintf(sql, sizeof sql, "PRAGMA quick_check(%s)", table);
    if ((rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL)) != SQLITE_OK ||
        (rc = sqlite3_step(st)) != SQLITE_ROW) {
        what = failed(db, rc, path, "cannot be checked", err);
    } else if (strcmp((const char *)sqlite3_column_text(st, 0), "ok") != 0) {
        store_error(err, "%s is damaged: %s", path, sqlite3_column_text(st, 0));
        what = FILE_DAMAGED;
    }
    sqlite3_finalize(st);
    return what;
}

static enum schema_file look_over(sqlite3 *db, const char *path, struct store_error *err)
{
    enum schema_file what = FILE_OURS;
    sqlite3_int64 n;
    int rc;

    for (size_t i = 0; i < ARRAY_LEN(checked) && what == FILE_OURS; i++)
        what = check_table(db, checked[i], path, err);
    if (what == FILE_OURS && (rc = number_of(db, "SELECT count(*) FROM message", &n)) != SQLITE_OK)
        what = failed(db, rc, path, "table message", err);
    return what;
}

static enum schema_file fill(sqlite3 *db, const char *path, struct store_error *err)
{
    int rc = exec(db, "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL");

    if (rc == SQLITE_OK)
        rc = schema__migrate(db, steps, ARRAY_LEN(steps));
    return rc == SQLITE_OK ? FILE_OURS : failed(db, rc, path, "cannot be written", err);
}

enum schema_file schema__prepare(sqlite3 *db, const char *path, struct store_error *err)
{
    sqlite3_int64 id, version, tables;
    enum schema_file what;
    int rc;

    if ((rc = number_of(db, "PRAGMA application_id", &id)) != SQLITE_OK ||
        (rc = number_of(db, "PRAGMA user_version", &version)) != SQLITE_OK ||
        (rc = number_of(db, "SELECT count(*) FROM sqlite_schema", &tables)) != SQLITE_OK)
        return failed(db, rc, path, "cannot be read", err);
    if (id == 0 && version == 0 && tables == 0)
        return fill(db, path, err);
    if (id != SCHEMA_APPLICATION_ID) {
        store_error(err, "%s is a database of another program (application_id 0x%llx)", path,
                    (unsigned long long)id);
        return FILE_FOREIGN;
    }
    if (version > SCHEMA_VERSION) {
        store_error(err,
                    "%s was written by a newer version of Frys (schema %lld; this one knows up to "
                    "%d): run that version, or move the file away to begin with an empty store",
                    path, version, SCHEMA_VERSION);
        return FILE_NEWER;
    }
    if ((what = look_over(db, path, err)) != FILE_OURS)
        return what;
    rc = schema__migrate(db, steps, ARRAY_LEN(steps));
    return rc == SQLITE_OK ? FILE_OURS : failed(db, rc, path, "cannot be brought up to date", err);
}

/* SQLite needs to write to read a log; but nothing is copied from that to the file. */
sqlite3 *schema__connect_to_read(const char *path, struct store_error *err)
{
    sqlite3 *db = NULL;
    sqlite3_int64 id = 0, version = 0;

    if (access(path, R_OK) != 0) {
        store_error(err, "cannot open %s: %s", path, strerror(errno));
        return NULL;
    }
    db = schema__connect(path, NULL, SQLITE_OPEN_READWRITE, err);
    if (db == NULL)
        return NULL;
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (number_of(db, "PRAGMA application_id", &id) != SQLITE_OK ||
        number_of(db, "PRAGMA user_version", &version) != SQLITE_OK ||
        exec(db, "PRAGMA query_only = ON; BEGIN") != SQLITE_OK)
        store_error(err, "%s cannot be read: %s", path, sqlite3_errmsg(db));
    else if (id != SCHEMA_APPLICATION_ID)
        store_error(err, "%s is no store of Frys", path);
    else if (version != SCHEMA_VERSION)
        store_error(err, "%s has schema %lld; this version of Frys reads %d", path, version,
                    SCHEMA_VERSION);
    else
        return db;
    sqlite3_close(db);
    return NULL;
}

/* ---- setting aside ---- */

static int move(const char *from, const char *to, const char *suffix, struct store_error *err)
{
    char a[4096], b[4096];

    snprintf(a, sizeof a, "%s%s", from, suffix);
    snprintf(b, sizeof b, "%s%s", to, suffix);
    if (rename(a, b) == 0 || (errno == ENOENT && suffix[0] != '\0'))
        return 0;
    return store_error(err, "cannot move %s to %s: %s", a, b, strerror(errno));
}

int schema__set_aside(const char *path, const char *why, char *out_name, size_t size,
                      struct store_error *err)
{
    time_t now = time(NULL);
    char date[32];
    struct tm tm;
    int n = 0;

    gmtime_r(&now, &tm);
    strftime(date, sizeof date, "%Y%m%dT%H%M%SZ", &tm);
    do {
        char more[16] = "";

        if (n > 0)
            snprintf(more, sizeof more, "-%d", n);
        snprintf(out_name, size, "%s.%s-%s%s", path, why, date, more);
    } while (access(out_name, F_OK) == 0 && ++n < 100);
    if (move(path, out_name, "", err) != 0 || move(path, out_name, "-wal", err) != 0)
        return -1;
    return move(path, out_name, "-shm", err);
}

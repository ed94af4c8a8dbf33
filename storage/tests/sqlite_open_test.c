/* sqlite_store: what it finds when it is opened: nothing, itself, another version, damage, a file
 * of somebody else, another process. */
#include "base/test.h"
#include "storage/sqlite_schema_priv.h"
#include "storage/tests/sqlite_support.h"

#include <sys/stat.h>
#include <unistd.h>

static struct db d;

/* A closed store with something in it. */
static void setup(void)
{
    db_init(&d);
    CHECK(db_open(&d));
    db_add(&d, a_session(1, "one"));
    for (uint64_t uid = 1; uid <= 2000; uid++)
        db_add(&d, a_delivery(1, uid, "a body of some bytes, so that there are pages"));
    db_add(&d, a_retained(3000, "r", "x"));
    CHECK(db_commit(&d));
    db_close(&d);
}

static void check_refused(const char *why)
{
    CHECK(!db_open(&d));
    if (!CHECK(strstr(d.err.text, why) != NULL))
        printf("%s\n", d.err.text);
    db_close(&d);
}

/* The file is moved aside as it is, and a new store begun. */
static void check_set_aside(const char *prefix)
{
    char moved[512];
    size_t before, after = 0;
    char *old = file_read(d.path, &before), *now;

    CHECK(db_open(&d));
    if (d.s == NULL)
        return;
    CHECK(db_stats(&d).set_aside[0] != '\0');
    CHECK_INT(dir_count(d.dir, prefix, moved, sizeof moved), 1);
    CHECK(strcmp(db_stats(&d).set_aside, moved) == 0);
    now = file_read(moved, &after);
    CHECK(now != NULL && after == before && memcmp(old, now, after) == 0);
    free(old);
    free(now);
    db_add(&d, a_session(7, "new"));
    CHECK(db_commit(&d));
    now = db_state(&d);
    CHECK(strcmp(now, "session 7 client=new expiry=60 version=5\n") == 0);
    free(now);
    CHECK(db_stats(&d).set_aside[0] == '\0');
}

/* ---- places ---- */

static void test_places(void)
{
    char other[256];

    db_init(&d);
    d.o.path = "/nowhere/at/all/store.db";
    check_refused("/nowhere/at/all/store.db");
    check_refused("No such file");
    d.o.path = d.dir;
    check_refused(d.dir);
    dir_path(other, sizeof other, d.dir, "empty.db");
    file_write(other, "", 0);
    d.o.path = other;
    CHECK(db_open(&d));
    CHECK(db_stats(&d).set_aside[0] == '\0');
    db_fini(&d);
}

/* What clients send is nobody's business. */
static void test_private(void)
{
    static const char *const names[] = {"store.db", "store.db-wal", "store.db-shm", "store.db-lock",
                                        "store.db-reserve"};
    struct stat st;
    char path[256];

    db_init(&d);
    CHECK(db_open(&d));
    db_add(&d, a_session(1, "one"));
    CHECK(db_commit(&d));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        dir_path(path, sizeof path, d.dir, names[i]);
        CHECK_ROW_INT(i, stat(path, &st), 0);
        CHECK_ROW_INT(i, st.st_mode & 0777, 0600);
    }
    db_fini(&d);
}

/* One process at a time: the second one is told who has it. */
static void test_in_use(void)
{
    struct sqlite_store_options o;
    struct store_error err;
    char pid[32];

    setup();
    CHECK(db_open(&d));
    o = d.o;
    snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    CHECK(sqlite_store_open(&o, &err) == NULL);
    CHECK(strstr(err.text, pid) != NULL && strstr(err.text, d.path) != NULL);
    db_add(&d, a_session(2, "two"));
    CHECK(db_commit(&d)); /* the first one is as it was */
    db_close(&d);
    CHECK(db_open(&d));
    db_fini(&d);
}

/* ---- versions ---- */

static void test_newer(void)
{
    setup();
    db_sql(d.path, "PRAGMA user_version = 99");
    check_refused("newer version");
    CHECK_INT(dir_count(d.dir, "store.db.", NULL, 0), 0);
    CHECK_INT(db_number(d.path, "SELECT count(*) FROM delivery"), 2000);
    db_fini(&d);
}

static int migrate(const struct schema_step *steps, size_t n)
{
    sqlite3 *db;
    int rc;

    CHECK_INT(sqlite3_open(d.path, &db), SQLITE_OK);
    rc = schema__migrate(db, steps, n);
    sqlite3_close(db);
    return rc;
}

/* Step by step from whatever version it has; a step that fails leaves it at the one before. */
static void test_migration(void)
{
    static const struct schema_step good[] = {
        {0, 1, "CREATE TABLE t(a)"},
        {1, 2, "ALTER TABLE t ADD COLUMN b; UPDATE t SET b = a + 1"},
        {2, 3, "DELETE FROM t WHERE b > 2"}};
    static const struct schema_step bad[] = {
        {1, 2, "ALTER TABLE t ADD COLUMN b; UPDATE t SET nothing = 1"}};

    db_init(&d);
    db_sql(d.path, "CREATE TABLE t(a); INSERT INTO t VALUES(1), (2); PRAGMA user_version = 1");
    CHECK(migrate(bad, 1) != SQLITE_OK);
    CHECK_INT(db_number(d.path, "PRAGMA user_version"), 1);
    CHECK_INT(db_number(d.path, "SELECT count(*) FROM pragma_table_info('t')"), 1);
    CHECK_INT(migrate(good, 3), SQLITE_OK);
    CHECK_INT(db_number(d.path, "PRAGMA user_version"), 3);
    CHECK_INT(db_number(d.path, "PRAGMA application_id"), SCHEMA_APPLICATION_ID);
    CHECK_INT(db_number(d.path, "SELECT count(*) FROM t"), 1);
    CHECK_INT(db_number(d.path, "SELECT b FROM t"), 2);
    CHECK_INT(migrate(good, 3), SQLITE_OK);
    CHECK_INT(db_number(d.path, "SELECT count(*) FROM t"), 1);
    db_fini(&d);
}

/* ---- damage ---- */

static void overwrite(size_t at, size_t len, int with)
{
    size_t size;
    char *data = file_read(d.path, &size);

    CHECK(data != NULL && at + len <= size);
    memset(data + at, with, len);
    file_write(d.path, data, size);
    free(data);
}

static void test_damaged_header(void)
{
    setup();
    overwrite(0, 100, 0xff);
    check_set_aside("store.db.damaged-");
    db_fini(&d);
}

static void test_all_zero(void)
{
    struct stat st;

    setup();
    CHECK_INT(stat(d.path, &st), 0);
    overwrite(0, (size_t)st.st_size, 0);
    check_set_aside("store.db.damaged-");
    db_fini(&d);
}

static void test_not_a_database(void)
{
    db_init(&d);
    file_write(d.path, "{\"this\": \"is something else\"}\n", 30);
    check_set_aside("store.db.damaged-");
    db_fini(&d);
}

static void test_truncated(void)
{
    setup();
    CHECK_INT(truncate(d.path, 5 * 4096), 0);
    check_set_aside("store.db.damaged-");
    db_fini(&d);
}

/* Any page of the tables that are read at the start, and of the tree of the messages. */
static void test_damaged_pages(void)
{
    static const char *const tables[] = {"delivery", "message", "session", "retained", "meta"};

    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        char sql[128];
        long long page;

        setup();
        snprintf(sql, sizeof sql, "SELECT rootpage FROM sqlite_schema WHERE name = '%s'",
                 tables[i]);
        page = db_number(d.path, sql);
        CHECK_ROW(i, page > 1);
        overwrite((size_t)(page - 1) * 4096, 4096, 0x5a);
        check_set_aside("store.db.damaged-");
        db_fini(&d);
    }
}

static void test_foreign(void)
{
    db_init(&d);
    db_sql(d.path, "CREATE TABLE t(a); PRAGMA application_id = 77; PRAGMA user_version = 5");
    check_set_aside("store.db.foreign-");
    db_fini(&d);
    db_init(&d);
    db_sql(d.path, "CREATE TABLE t(a)");
    check_set_aside("store.db.foreign-");
    db_fini(&d);
}

/* What was written last may be in the log only: it goes along. A second one on the same day does
 * not take the name of the first. */
static void test_log_goes_along(void)
{
    char wal[256], moved[512], *wal_text;

    setup();
    dir_path(wal, sizeof wal, d.dir, "store.db-wal");
    for (int i = 1; i <= 3; i++) {
        overwrite(0, 100, 0xff);
        file_write(wal, "some log", 8);
        CHECK(db_open(&d));
        CHECK(db_stats(&d).set_aside[0] != '\0');
        db_close(&d);
        CHECK_INT(dir_count(d.dir, "store.db.damaged-", moved, sizeof moved), i);
        strcat(moved, "-wal");
        wal_text = file_read(moved, NULL);
        CHECK(wal_text != NULL && strcmp(wal_text, "some log") == 0);
        free(wal_text);
    }
    db_fini(&d);
}

/* Damage that shows only later: what cannot be read says so. */
static void test_damage_found_later(void)
{
    struct store_load what = {.session = 1, .max_records = 5000, .max_bytes = 1 << 20};
    struct store_page *p;
    char wal[256];

    setup();
    db_sql(d.path, "UPDATE message SET payload = zeroblob(1000000) WHERE uid = 5");
    db_number(d.path, "PRAGMA wal_checkpoint(TRUNCATE)");
    dir_path(wal, sizeof wal, d.dir, "store.db-wal");
    CHECK(access(wal, F_OK) != 0);
    CHECK(db_open(&d));
    db_add(&d, a_retained(3001, "r", "y"));
    CHECK(db_commit(&d));
    CHECK_INT(truncate(d.path, 60 * 4096), 0); /* behind everybody's back */
    p = read_page(&d.w, d.s, &what);
    CHECK(p != NULL && p->rc != 0 && p->records.records == 0);
    store_page_free(p);
    db_close(&d);
    check_set_aside("store.db.damaged-");
    db_fini(&d);
}

TEST_MAIN(test_places, test_private, test_in_use, test_newer, test_migration, test_damaged_header,
          test_all_zero, test_not_a_database, test_truncated, test_damaged_pages, test_foreign,
          test_log_goes_along, test_damage_found_later)

/* sqlite_store: what it does beyond the promises of store.h while it runs: expiry, the removal of
 * ended sessions, limits, space. */
#include "base/test.h"
#include "storage/tests/sqlite_support.h"

#include <sched.h>
#include <unistd.h>

static struct db d;

static void setup(void)
{
    db_init(&d);
    CHECK(db_open(&d));
    db_add(&d, a_session(1, "one"));
    db_add(&d, a_session(2, "two"));
    CHECK(db_commit(&d));
}

static void teardown(void)
{
    db_fini(&d);
}

/* Until the query gives this number: the store works on it meanwhile. */
static bool wait_number(const char *sql, long long want)
{
    for (int i = 0; i < 10000; i++) {
        if (db_number(d.path, sql) == want)
            return true;
        usleep(1000);
    }
    return false;
}

/* ---- expiry ---- */

static struct store_record expiring(uint64_t session, uint64_t uid, uint64_t in_ms)
{
    struct store_record r = a_delivery(session, uid, "x");

    r.message.expires_ms = d.wall_ms + in_ms;
    return r;
}

static struct store_record drop_of(uint64_t session)
{
    return (struct store_record){.kind = STORE_QUEUE_DROP, .session = session};
}

static void test_expiry(void)
{
    struct store_record sent, retained = a_retained(90, "short", "x");

    setup();
    for (uint64_t uid = 1; uid <= 10; uid++)
        db_add(&d, expiring(1, uid, uid <= 5 ? 1000 : 60000));
    sent = expiring(1, 11, 1000);
    sent.state = STORE_SENT;
    sent.packet_id = 1;
    db_add(&d, sent);
    db_add(&d, a_delivery(1, 12, "x"));
    db_add(&d, as_kind(expiring(2, 1, 1000), STORE_DELIVERY));
    retained.message.expires_ms = d.wall_ms + 1000;
    db_add(&d, retained);
    retained.message.topic = STR("long");
    retained.message.expires_ms += 60000;
    db_add(&d, retained);
    db_add(&d, a_retained(91, "ever", "x"));
    CHECK(db_commit(&d));
    CHECK_INT(db_number(d.path, "SELECT count(*) FROM delivery"), 13);
    db_sleep(&d, 1000);
    CHECK(db_commit(&d)); /* so that it looks at the clock */
    CHECK(wait_number("SELECT count(*) FROM delivery", 7));
    CHECK_INT(db_number(d.path, "SELECT count(*) FROM message"), 7);
    CHECK_INT(db_number(d.path, "SELECT count(*) FROM retained"), 2);
    CHECK_INT(db_number(d.path, "SELECT min(uid) FROM delivery"), 6);
    CHECK(db_commit(&d));
    CHECK_INT(db_stats(&d).expired, 6);
    teardown();
}

/* After a restart, too; many of them. */
static void test_expiry_after_restart(void)
{
    setup();
    for (uint64_t uid = 1; uid <= 3000; uid++)
        db_add(&d, expiring(1, uid, 1000));
    CHECK(db_commit(&d));
    db_close(&d);
    db_sleep(&d, 1000);
    CHECK(db_open(&d));
    CHECK(db_commit(&d));
    CHECK(wait_number("SELECT count(*) FROM delivery", 0));
    CHECK(wait_number("SELECT count(*) FROM message", 0));
    teardown();
}

/* A QUEUE_DROP takes one that has expired, as long as the broker may still count those. */
static void test_drop_after_expiry(void)
{
    struct store_load what = {.session = 1, .max_records = 100, .max_bytes = 1000};

    setup();
    db_add(&d, expiring(1, 1, 1000));
    db_add(&d, expiring(1, 2, 1000));
    for (uint64_t uid = 3; uid <= 8; uid++)
        db_add(&d, a_delivery(1, uid, "x"));
    CHECK(db_commit(&d));
    db_sleep(&d, 1000);
    CHECK(db_commit(&d));
    CHECK(wait_number("SELECT count(*) FROM delivery", 6));
    db_add(&d, drop_of(1));
    CHECK(db_commit(&d));
    CHECK_INT(db_number(d.path, "SELECT count(*) FROM delivery"), 6);
    db_add(&d, drop_of(1));
    db_add(&d, drop_of(1));
    CHECK(db_commit(&d));
    CHECK_INT(db_number(d.path, "SELECT min(uid) FROM delivery"), 4);
    db_add(&d, expiring(1, 9, 500));
    CHECK(db_commit(&d));
    db_sleep(&d, 1000);
    CHECK(db_commit(&d));
    CHECK(wait_number("SELECT count(*) FROM delivery", 5));
    store_page_free(read_page(&d.w, d.s, &what)); /* now the broker knows */
    db_add(&d, drop_of(1));
    CHECK(db_commit(&d));
    CHECK_INT(db_number(d.path, "SELECT min(uid) FROM delivery"), 5);
    teardown();
}

/* ---- ended sessions ---- */

static const char rows_of_sessions[] =
    "SELECT (SELECT count(*) FROM delivery) + (SELECT count(*) FROM message)"
    " + (SELECT count(*) FROM filter) + (SELECT count(*) FROM received)";

/* A session with much: 30000 rows. */
static void fill_session(uint64_t session)
{
    db_fill(&d, session, 1, 13000, "body");
    for (unsigned i = 0; i < 2000; i++) {
        char filter[32];

        snprintf(filter, sizeof filter, "filter/%u", i);
        db_add(&d, a_filter(session, filter, 1));
        db_add(&d, a_received(session, (uint16_t)(i + 1)));
    }
    CHECK(db_commit(&d));
}

static _Atomic long long rows_at_commit;

/* Called by the writer, behind the commit. */
static void count_rows(void *arg, unsigned shard)
{
    long long none = 0;

    atomic_compare_exchange_strong(&rows_at_commit, &none, db_number(d.path, rows_of_sessions));
    waiter_news(arg, shard);
}

/* A commit does not wait for the removal of what an ended session had. */
static void test_large_session_ends(void)
{
    setup();
    fill_session(1);
    db_close(&d);
    CHECK(db_open(&d));
    d.s->ops->notify(d.s, count_rows, &d.w);
    atomic_store(&rows_at_commit, 0);
    db_add(&d, as_kind(a_session(1, ""), STORE_SESSION_END));
    CHECK(db_commit(&d));
    CHECK(wait_number(rows_of_sessions, 0));
    CHECK_INT(rows_at_commit, 30000);
    CHECK_INT(db_number(d.path, "SELECT count(*) FROM session"), 1);
    teardown();
}

/* The process ended before all of it was removed. */
static void test_removal_after_restart(void)
{
    setup();
    fill_session(1);
    db_close(&d);
    db_sql(d.path, "DELETE FROM session WHERE session = 1");
    CHECK(db_open(&d));
    CHECK(db_commit(&d));
    CHECK(wait_number(rows_of_sessions, 0));
    teardown();
}

static void test_many_sessions_end(void)
{
    setup();
    for (uint64_t i = 1; i <= 3000; i++) {
        db_add(&d, a_session(i, "c"));
        db_add(&d, a_filter(i, "f", 1));
        db_add(&d, a_delivery(i, i, "x"));
    }
    CHECK(db_commit(&d));
    for (uint64_t i = 1; i <= 3000; i++)
        db_add(&d, as_kind(a_session(i, ""), STORE_SESSION_END));
    CHECK(db_commit(&d));
    CHECK(wait_number("SELECT (SELECT count(*) FROM delivery) + (SELECT count(*) FROM message)"
                      " + (SELECT count(*) FROM filter) + (SELECT count(*) FROM session)",
                      0));
    teardown();
}

/* What comes for a session that has ended is not kept. */
static void test_delivery_behind_the_end(void)
{
    setup();
    db_add(&d, as_kind(a_session(1, ""), STORE_SESSION_END));
    db_add(&d, a_delivery(1, 5, "x"));
    db_add(&d, a_delivery(2, 5, "x"));
    CHECK(db_commit(&d));
    CHECK_INT(db_number(d.path, "SELECT count(*) FROM delivery"), 1);
    teardown();
}

/* A delivery without its body is of no use, and of no harm. */
static void test_no_body(void)
{
    setup();
    db_add(&d, a_delivery(1, 5, NULL));
    db_add(&d, a_delivery(1, 6, "x"));
    CHECK(db_commit(&d));
    CHECK_INT(db_number(d.path, "SELECT count(*) FROM delivery"), 1);
    teardown();
}

/* ---- limits ---- */

static const char *large_payload(void)
{
    static char text[4001];

    memset(text, 'x', sizeof text - 1);
    return text;
}

/* Put deliveries, so many at a time, until the store fails; returns the uid behind the last. */
static uint64_t fill_up(unsigned at_a_time)
{
    uint64_t uid = 1;

    while (d.s->ops->health(d.s) == STORE_FINE && uid < 10000) {
        uint64_t number;

        for (unsigned i = 0; i < at_a_time; i++)
            db_add(&d, a_delivery(1, uid++, large_payload()));
        number = db_submit(&d);
        while (d.s->ops->committed(d.s, 0) < number && d.s->ops->health(d.s) == STORE_FINE)
            sched_yield();
    }
    CHECK(d.s->ops->health(d.s) == STORE_FAILING);
    CHECK(strstr(db_stats(&d).error, d.path) != NULL);
    CHECK(strstr(db_stats(&d).error, "limit of 2097152 bytes") != NULL);
    return uid;
}

static void begin_limited(void)
{
    db_init(&d);
    d.o.max_bytes = 2 << 20;
    CHECK(db_open(&d));
    db_add(&d, a_session(1, "one"));
    db_add(&d, a_session(2, "two"));
    CHECK(db_commit(&d));
}

/* Near its size limit the store says that it fails, commits what it is given, and is fine once
 * clients have fetched enough. After a restart it is as before. */
static void test_size_limit(void)
{
    uint64_t uid, end = 1;

    begin_limited();
    uid = fill_up(5);
    CHECK(uid > 400 && uid < 520);
    CHECK(db_commit(&d));
    db_close(&d);
    CHECK(db_open(&d));
    CHECK_INT(d.s->ops->health(d.s), STORE_FAILING);
    CHECK_INT(db_number(d.path, "SELECT count(*) FROM delivery"), uid - 1);
    for (; d.s->ops->health(d.s) == STORE_FAILING && end < uid; end += 5) {
        db_end_deliveries(&d, 1, end, 5);
        CHECK(db_commit(&d));
    }
    CHECK(end > 10 && end < 100);
    CHECK(db_stats(&d).error[0] == '\0');
    CHECK(db_stats(&d).bytes <= (2 << 20) + 4096);
    teardown();
}

/* It has been given more than has room: what waits gets in once what comes behind it makes room. */
static void test_beyond_the_limit(void)
{
    struct store_load what = {.session = 1, .max_records = 10, .max_bytes = 100000};
    struct store_page *p;
    uint64_t uid, number;

    begin_limited();
    uid = fill_up(100);
    p = read_page(&d.w, d.s, &what);
    CHECK(p != NULL && p->rc == 0 && p->records.records == 10);
    store_page_free(p);
    db_end_deliveries(&d, 1, 1, 5);
    number = db_submit(&d);
    CHECK(d.s->ops->committed(d.s, 0) < number - 1);
    db_end_deliveries(&d, 1, 6, 200);
    CHECK(db_commit(&d));
    CHECK_INT(db_number(d.path, "SELECT count(*) FROM delivery"), uid - 1 - 205);
    CHECK(wait_health(&d.w, d.s, STORE_FINE));
    CHECK(db_stats(&d).bytes <= (2 << 20) + 4096);
    CHECK(db_number(d.path, "PRAGMA page_count") <= (2 << 20) / 4096 + 1);
    teardown();
}

/* At the limit the end of a session makes room in the same transaction. */
static void test_session_end_at_the_limit(void)
{
    begin_limited();
    fill_up(100);
    db_add(&d, as_kind(a_session(1, ""), STORE_SESSION_END));
    for (uint64_t uid = 10000; uid < 10100; uid++)
        db_add(&d, a_delivery(2, uid, large_payload()));
    CHECK(db_commit(&d));
    CHECK_INT(db_number(d.path, "SELECT count(*) FROM delivery WHERE session = 2"), 100);
    CHECK_INT(db_number(d.path, "SELECT count(*) FROM delivery"), 100);
    teardown();
}

/* The error says what it is; it goes on by itself. */
static void test_errors(void)
{
    static const struct {
        enum fault_vfs_how how;
        const char *text;
    } rows[] = {{FAULT_READONLY, "read-only"},
                {FAULT_EIO, "I/O error"},
                {FAULT_FULL, "no space left"},
                {FAULT_DAMAGED, "damaged"}};

    db_init(&d);
    CHECK(db_open(&d));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t number;

        fault_vfs_set(rows[i].how, 1, true);
        db_add(&d, a_session(i + 1, "one"));
        number = db_submit(&d);
        CHECK_ROW(i, wait_health(&d.w, d.s, STORE_FAILING));
        CHECK_ROW(i, strstr(db_stats(&d).error, rows[i].text) != NULL);
        CHECK_ROW(i, strstr(db_stats(&d).error, d.path) != NULL);
        fault_vfs_heal();
        CHECK_ROW(i, wait_committed(&d.w, d.s, 0, number));
        CHECK_ROW(i, wait_health(&d.w, d.s, STORE_FINE));
    }
    fault_vfs_set(FAULT_EIO, 1, true);
    db_add(&d, a_session(9, "nine"));
    db_submit(&d);
    CHECK(wait_health(&d.w, d.s, STORE_FAILING));
    db_close(&d); /* does not wait for ever */
    fault_vfs_heal();
    CHECK_INT(db_number(d.path, "SELECT count(*) FROM session"), 4);
    teardown();
}

/* Another program holds the lock for writing. */
static void test_locked(void)
{
    struct child child;
    uint64_t number;

    db_init(&d);
    child = child_with(d.path, "BEGIN IMMEDIATE");
    CHECK(db_open(&d));
    CHECK(child_step(&child));
    db_add(&d, a_session(3, "three"));
    number = db_submit(&d);
    CHECK(wait_health(&d.w, d.s, STORE_FAILING));
    CHECK(strstr(db_stats(&d).error, "locked") != NULL);
    CHECK(child_step(&child));
    CHECK(wait_committed(&d.w, d.s, 0, number));
    CHECK(child_ends(&child));
    teardown();
}

/* ---- space ---- */

/* What was used and is not needed any more goes back to the system. */
static void test_space_goes_back(void)
{
    uint64_t full;

    setup();
    for (unsigned i = 0; i < 10; i++)
        db_fill(&d, 1, 1 + i * 500, 500, large_payload());
    full = db_stats(&d).bytes;
    CHECK(full > 20000000);
    for (unsigned i = 0; i < 10; i++) {
        db_end_deliveries(&d, 1, 1 + i * 500, 500);
        CHECK(db_commit(&d));
    }
    CHECK(wait_number("SELECT (SELECT * FROM pragma_page_count) < 1000", 1));
    CHECK(db_commit(&d));
    CHECK(db_stats(&d).bytes < full / 4);
    db_close(&d);
    CHECK(db_open(&d));
    CHECK(db_stats(&d).bytes < full / 4);
    teardown();
}

/* The log does not grow for ever while the store is busy, whoever reads. */
static void test_log_is_bounded(void)
{
    uint64_t most = 0, written;

    db_init(&d);
    d.o.log_pages = 100;
    CHECK(db_open(&d));
    db_add(&d, a_session(1, "one"));
    CHECK(db_commit(&d));
    for (unsigned i = 0; i < 60; i++) {
        db_fill(&d, 1, 1 + i * 100, 100, large_payload());
        db_end_deliveries(&d, 1, 1 + i * 100, 100);
        CHECK(db_commit(&d));
        most = db_stats(&d).log_bytes > most ? db_stats(&d).log_bytes : most;
    }
    written = 60 * 100 * sizeof(char[4096]);
    CHECK(most > 100 * 4096 && most < 1200 * 4096 && most < written / 4);
    teardown();
}

/* Not even a reader that does not end holds it up; the log is what grows then. */
static void test_reader_holds_the_log(void)
{
    struct child child;
    uint64_t most = 0;

    db_init(&d);
    d.o.log_pages = 20;
    child = child_with(d.path, "BEGIN; SELECT count(*) FROM session");
    CHECK(db_open(&d));
    db_add(&d, a_session(1, "one"));
    CHECK(db_commit(&d));
    CHECK(child_step(&child));
    for (unsigned i = 0; i < 40; i++)
        db_fill(&d, 1, 1 + i * 10, 10, large_payload());
    most = db_stats(&d).log_bytes;
    CHECK(most > 400 * 4096);
    CHECK(child_step(&child));
    for (unsigned i = 40; i < 1000 && most > 200 * 4096; i++) {
        db_fill(&d, 1, 1 + i * 10, 10, large_payload());
        most = db_stats(&d).log_bytes;
    }
    CHECK(most <= 200 * 4096);
    CHECK(child_ends(&child));
    teardown();
}

TEST_MAIN(test_expiry, test_expiry_after_restart, test_drop_after_expiry, test_large_session_ends,
          test_removal_after_restart, test_many_sessions_end, test_delivery_behind_the_end,
          test_no_body, test_size_limit, test_beyond_the_limit, test_session_end_at_the_limit,
          test_errors, test_locked, test_space_goes_back, test_log_is_bounded,
          test_reader_holds_the_log)

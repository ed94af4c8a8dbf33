#include "base/assert.h"
#include "base/str.h"
#include "storage/sqlite_schema_priv.h"
#include "storage/sqlite_tools.h"

#define TEXT_MAX 400

struct check {
    sqlite3 *db;
    sqlite_problem_fn *problem;
    void *arg;
    struct sqlite_tool_counts *counts;
};

static void tell(struct check *c, const char *text)
{
    c->counts->problems++;
    c->problem(c->arg, text);
}

static void tell_failed(struct check *c, const char *what)
{
    char text[TEXT_MAX];

    snprintf(text, sizeof text, "%s: %s", what, sqlite3_errmsg(c->db));
    tell(c, text);
}

/* SQLite names what it finds, a row each; "ok" when there is nothing. */
static void check_structure(struct check *c)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(c->db, "PRAGMA integrity_check", -1, &st, NULL);

    while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(st, 0);

        if (text != NULL && !str_eq(str_from(text), STR("ok")))
            tell(c, text);
        rc = SQLITE_OK;
    }
    if (rc != SQLITE_DONE)
        tell_failed(c, "the structure cannot be checked");
    sqlite3_finalize(st);
}

static uint64_t count(struct check *c, const char *sql)
{
    sqlite3_stmt *st = NULL;
    uint64_t n = 0;

    if (sqlite3_prepare_v2(c->db, sql, -1, &st, NULL) == SQLITE_OK &&
        sqlite3_step(st) == SQLITE_ROW)
        n = (uint64_t)sqlite3_column_int64(st, 0);
    else
        tell_failed(c, sql);
    sqlite3_finalize(st);
    return n;
}

/* Each must count nothing. What belongs to sessions that are not there is no problem: it is removed
 * while the broker runs. */
static void check_consistency(struct check *c)
{
    static const struct {
        const char *sql, *what;
    } rows[] = {
        {"SELECT count(*) FROM delivery WHERE uid NOT IN (SELECT uid FROM message)",
         "deliveries have no message"},
        {"SELECT count(*) FROM message WHERE uid NOT IN (SELECT uid FROM delivery)",
         "messages have no delivery"},
        {"SELECT count(*) FROM delivery d JOIN message m ON m.uid = d.uid WHERE d.size <>"
         " length(CAST(m.topic AS BLOB)) + ifnull(length(m.props), 0)"
         " + ifnull(length(m.payload), 0) OR d.expires <> m.expires",
         "deliveries do not agree with their message"},
        {"SELECT count(*) - count(DISTINCT client_id) FROM session",
         "sessions have the client identifier of another one"},
        {"SELECT count(*) FROM delivery WHERE state NOT IN (0, 1, 2) OR qos NOT IN (1, 2)"
         " OR (state = 0) <> (packet_id = 0)",
         "deliveries make no sense"},
        {"SELECT count(*) FROM session WHERE session > (SELECT value FROM meta WHERE"
         " name = 'last_session')",
         "sessions have a number that was never given"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t n = count(c, rows[i].sql);
        char text[TEXT_MAX];

        if (n == 0)
            continue;
        snprintf(text, sizeof text, "%llu %s", (unsigned long long)n, rows[i].what);
        tell(c, text);
    }
}

static void count_all(struct check *c)
{
    c->counts->sessions = count(c, "SELECT count(*) FROM session");
    c->counts->subscriptions = count(c, "SELECT count(*) FROM filter");
    c->counts->messages = count(c, "SELECT count(*) FROM delivery");
    c->counts->retained = count(c, "SELECT count(*) FROM retained");
}

int sqlite_check(const char *path, sqlite_problem_fn *problem, void *arg,
                 struct sqlite_tool_counts *out, struct store_error *err)
{
    struct check c = {.problem = problem, .arg = arg, .counts = out};

    *out = (struct sqlite_tool_counts){0};
    c.db = schema__connect_to_read(path, err);
    if (c.db == NULL)
        return -1;
    check_structure(&c);
    check_consistency(&c);
    count_all(&c);
    sqlite3_close(c.db);
    return out->problems > 0;
}

/* sqlite_export: each table is read from its beginning; where damage ends that, from its end back
 * to where the first reading came to. What is between is lost. */
#include "base/assert.h"
#include "storage/json_record.h"
#include "storage/sqlite_schema_priv.h"
#include "storage/sqlite_store_priv.h"
#include "storage/sqlite_tools.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 400

/* Where a row stands in its table. */
struct place {
    int64_t numbers[3];
    char *text; /* for tables with a text in their key */
    size_t len;
};

struct export
{
    sqlite3 *db;
    FILE *to;
    sqlite_problem_fn *problem;
    void *arg;
    struct sqlite_tool_counts *counts;
    sqlite3_stmt *body;
};

struct table {
    const char *name;
    const char *columns; /* the key first */
    const char *keys[3]; /* their names */
    int text_at;         /* the column of the key that is a text; -1: none */
    bool (*row)(struct export *x, sqlite3_stmt *st); /* false: a part of it cannot be read */
};

static void tell(struct export *x, const char *what, const char *table)
{
    char text[TEXT_MAX];

    snprintf(text, sizeof text, "table %s: %s", table, what);
    x->counts->problems++;
    x->problem(x->arg, text);
}

/* ---- rows ---- */

static uint64_t number(sqlite3_stmt *st, int at)
{
    return (uint64_t)sqlite3_column_int64(st, at);
}

static bool write_record(struct export *x, const struct store_record *r)
{
    char *line = json_from_record(r);

    if (line == NULL)
        return false;
    fprintf(x->to, "%s\n", line);
    free(line);
    return true;
}

static bool session_row(struct export *x, sqlite3_stmt *st)
{
    struct store_record r = sqlite__session_of(st);

    x->counts->sessions++;
    return write_record(x, &r);
}

static bool filter_row(struct export *x, sqlite3_stmt *st)
{
    struct store_record r = {.kind = STORE_FILTER,
                             .session = number(st, 0),
                             .filter = sqlite__bytes(st, 1),
                             .options = (uint8_t)number(st, 2),
                             .sub_id = (uint32_t)number(st, 3)};

    x->counts->subscriptions++;
    return write_record(x, &r);
}

static bool received_row(struct export *x, sqlite3_stmt *st)
{
    struct store_record r = {.kind = STORE_RECEIVED,
                             .session = number(st, 0),
                             .packet_id = (uint16_t)number(st, 1),
                             .uid = number(st, 2)};

    return write_record(x, &r);
}

static bool retained_row(struct export *x, sqlite3_stmt *st)
{
    struct store_record r = sqlite__retained_of(st);

    x->counts->retained++;
    return write_record(x, &r);
}

static bool delivery_row(struct export *x, sqlite3_stmt *st)
{
    struct store_record r = sqlite__delivery_of(st);
    bool ok;

    r.guarded = number(st, 10) != 0;
    sqlite3_bind_int64(x->body, 1, (sqlite3_int64)r.uid);
    ok = sqlite3_step(x->body) == SQLITE_ROW;
    if (ok) {
        r.message = (struct store_message){.uid = r.uid,
                                           .publisher = number(x->body, 0),
                                           .expires_ms = number(x->body, 1),
                                           .qos = (uint8_t)number(x->body, 2),
                                           .retain = number(x->body, 3) != 0,
                                           .topic = sqlite__bytes(x->body, 4),
                                           .props = sqlite__bytes(x->body, 5),
                                           .payload = sqlite__bytes(x->body, 6)};
        ok = write_record(x, &r);
        x->counts->messages += ok;
    }
    sqlite3_reset(x->body);
    return ok;
}

static const struct table tables[] = {
    {"session", "*", {"session"}, -1, session_row},
    {"filter", "*", {"session", "filter"}, 1, filter_row},
    {"received",
     "session, packet_id, (SELECT uid FROM largest WHERE session = received.session)",
     {"session", "packet_id"},
     -1,
     received_row},
    {"delivery", "*", {"session", "uid", "grp"}, -1, delivery_row},
    {"retained", "*", {"topic"}, 0, retained_row},
};

/* ---- tables ---- */

static int keys_of(const struct table *t)
{
    int n = 0;

    while (n < 3 && t->keys[n] != NULL)
        n++;
    return n;
}

static sqlite3_stmt *select_rows(struct export *x, const struct table *t, bool backwards)
{
    const char *order = backwards ? " DESC" : "";
    sqlite3_stmt *st = NULL;
    char sql[512], by[256] = "";

    for (int i = 0; i < keys_of(t); i++)
        snprintf(by + strlen(by), sizeof by - strlen(by), "%s%s%s", i > 0 ? ", " : "", t->keys[i],
                 order);
    snprintf(sql, sizeof sql, "SELECT %s FROM %s%s ORDER BY %s", t->columns, t->name,
             /* what belongs to sessions that have ended is of no use */
             t->row == session_row || t->row == retained_row
                 ? ""
                 : " WHERE session IN (SELECT session FROM session)",
             by);
    if (sqlite3_prepare_v2(x->db, sql, -1, &st, NULL) != SQLITE_OK)
        tell(x, sqlite3_errmsg(x->db), t->name);
    return st;
}

static void set_place(struct place *p, const struct table *t, sqlite3_stmt *st)
{
    for (int i = 0; i < keys_of(t); i++) {
        if (i != t->text_at) {
            p->numbers[i] = sqlite3_column_int64(st, i);
            continue;
        }
        free(p->text);
        p->len = (size_t)sqlite3_column_bytes(st, i);
        p->text = malloc(p->len + 1);
        ASSERT(p->text != NULL);
        memcpy(p->text, sqlite3_column_blob(st, i), p->len);
    }
}

/* Does the row stand behind the place? */
static bool is_behind(const struct place *p, const struct table *t, sqlite3_stmt *st)
{
    for (int i = 0; i < keys_of(t); i++) {
        int64_t n = sqlite3_column_int64(st, i);

        if (i == t->text_at) {
            size_t len = (size_t)sqlite3_column_bytes(st, i);
            int c = memcmp(sqlite3_column_blob(st, i), p->text, len < p->len ? len : p->len);

            return c != 0 ? c > 0 : len > p->len;
        }
        if (n != p->numbers[i])
            return n > p->numbers[i];
    }
    return false;
}

/* False: it ended with damage. last: the last row, or where to stop when going backwards. */
static bool read_rows(struct export *x, const struct table *t, bool backwards, bool any,
                      struct place *last)
{
    sqlite3_stmt *st = select_rows(x, t, backwards);
    uint64_t lost = 0;
    int rc;

    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        if (backwards && any && !is_behind(last, t, st)) {
            rc = SQLITE_DONE;
            break;
        }
        if (!backwards)
            set_place(last, t, st);
        lost += !t->row(x, st);
    }
    sqlite3_finalize(st);
    for (; lost > 0; lost--)
        tell(x, "a record is lost: a part of it cannot be read", t->name);
    return rc == SQLITE_DONE;
}

static void read_table(struct export *x, const struct table *t)
{
    struct place last = {.len = 0};
    bool any;

    if (!read_rows(x, t, false, false, &last)) {
        tell(x, "damaged: records in the middle are lost", t->name);
        any = last.text != NULL || last.numbers[0] != 0;
        read_rows(x, t, true, any, &last);
    }
    free(last.text);
}

static bool prepare_body(struct export *x)
{
    return sqlite3_prepare_v2(x->db,
                              "SELECT publisher, expires, qos, retain, topic, props, payload"
                              " FROM message WHERE uid = ?1",
                              -1, &x->body, NULL) == SQLITE_OK;
}

int sqlite_export(const char *path, FILE *to, sqlite_problem_fn *problem, void *arg,
                  struct sqlite_tool_counts *out, struct store_error *err)
{
    struct export x = {.to = to, .problem = problem, .arg = arg, .counts = out};
    int rc = 0;

    *out = (struct sqlite_tool_counts){0};
    x.db = schema__connect_to_read(path, err);
    if (x.db == NULL)
        return -1;
    fprintf(to, "%s\n", JSON_FIRST_LINE);
    if (!prepare_body(&x))
        rc = store_error(err, "%s cannot be read: %s", path, sqlite3_errmsg(x.db));
    for (size_t i = 0; i < ARRAY_LEN(tables) && rc == 0; i++)
        read_table(&x, &tables[i]);
    if (rc == 0 && fflush(to) != 0)
        rc = store_error(err, "the export cannot be written: %s", strerror(errno));
    sqlite3_finalize(x.body);
    sqlite3_close(x.db);
    return rc != 0 ? rc : out->problems > 0;
}

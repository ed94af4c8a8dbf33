/* Checking, exporting and importing stores. */
#include "base/assert.h"
#include "base/test.h"
#include "storage/json_record.h"
#include "storage/memory_store.h"
#include "storage/sqlite_tools.h"
#include "storage/tests/import_support.h"
#include "storage/tests/ops_support.h"
#include "storage/tests/sqlite_support.h"

#include <unistd.h>

static struct db d;
static char problems[4096];

static void on_problem(void *arg, const char *text)
{
    size_t len = strlen(problems);

    (void)arg;
    snprintf(problems + len, sizeof problems - len, "%s\n", text);
}

/* ---- JSON ---- */

static void test_json(void)
{
    static const uint32_t ids[] = {1, 268435455};
    struct store_record rows[] = {
        {.kind = STORE_SESSION,
         .session = 7,
         .client_id = STR("l\"a\\m\tp\xc3\xa9"),
         .ends_ms = STORE_NEVER,
         .expiry_s = UINT32_MAX,
         .version = 5},
        {.kind = STORE_SESSION,
         .session = INT64_MAX,
         .ends_ms = 1700000000000,
         .will_ms = 5,
         .will_delay_s = 6,
         .will_expiry_s = 0,
         .will_has_expiry = true,
         .has_will = true,
         .message = {.topic = STR("w"), .payload = STR("\0\1\2\xff"), .qos = 2, .retain = true}},
        a_filter(7, "a/#", 0x2d),
        a_filter(7, "b", STORE_SUB_OPTIONS | STORE_RETAINED_DUE),
        a_received(7, 65535),
        a_retained(9, "r/t", "kept"),
        {.kind = STORE_DELIVERY,
         .session = 7,
         .uid = 100,
         .group = UINT64_MAX - 4,
         .packet_id = 12,
         .state = STORE_SENT,
         .qos = 2,
         .retain = true,
         .guarded = true,
         .sub_ids = {(const char *)ids, sizeof ids},
         .message = {.uid = 100,
                     .publisher = 3,
                     .expires_ms = 1700000000001,
                     .topic = STR("t"),
                     .props = STR("\1\0"),
                     .payload = STR("p"),
                     .qos = 2}},
        a_delivery(7, 101, ""),
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *line = json_from_record(&rows[i]), *want = NULL, *got = NULL;
        struct json_record r;
        struct store_error err = {""};

        describe(&want, &rows[i]);
        CHECK_ROW(i, line != NULL && strchr(line, '\n') == NULL);
        CHECK_ROW_INT(i, json_to_record(&r, str_from(line), &err), 0);
        describe(&got, &r.record);
        CHECK_ROW(i, strcmp(got, want) == 0 && r.record.guarded == rows[i].guarded);
        json_record_fini(&r);
        free(line);
        free(want);
        free(got);
    }
    rows[0].client_id = STR("\xff");
    CHECK(json_from_record(&rows[0]) == NULL);
}

static void test_bad_json(void)
{
    static const struct {
        const char *line, *error;
    } rows[] = {
        {"", "not JSON"},
        {"{", "not JSON"},
        {"[]", "\"type\" must be of an object"},
        {"{}", "\"type\" must be a string"},
        {"{\"type\":1}", "\"type\" must be a string"},
        {"{\"type\":\"retained\"}", "\"message\" must be an object"},
        {"{\"type\":\"retained\",\"message\":{}}", "\"topic\" must be a string"},
        {"{\"type\":\"retained\",\"message\":{\"topic\":\"t\",\"qos\":3}}",
         "\"qos\" must be a number"},
        {"{\"type\":\"retained\",\"message\":{\"topic\":\"t\",\"uid\":-1}}",
         "\"uid\" must be a number"},
        {"{\"type\":\"retained\",\"message\":{\"topic\":\"t\",\"retain\":1}}",
         "\"retain\" must be true"},
        {"{\"type\":\"retained\",\"message\":{\"topic\":\"t\",\"payload\":\"?\"}}",
         "\"payload\" must be base64"},
        {"{\"type\":\"retained\",\"message\":{\"topic\":\"t\",\"payload\":7}}",
         "\"payload\" must be a string"},
        {"{\"type\":\"other\",\"session\":1}", "\"type\" must be one that"},
        {"{\"type\":\"session\"}", "\"session\" must be there"},
        {"{\"type\":\"session\",\"session\":1}", "\"client_id\" must be a string"},
        {"{\"type\":\"session\",\"session\":1,\"client_id\":\"c\",\"ends_ms\":\"soon\"}",
         "\"ends_ms\" must be a number"},
        {"{\"type\":\"session\",\"session\":1,\"client_id\":\"c\",\"will\":{\"delay_s\":1}}",
         "\"topic\" must be a string"},
        {"{\"type\":\"session\",\"session\":1,\"client_id\":\"c\",\"will\":{\"topic\":\"t\","
         "\"delay_s\":-1}}",
         "\"delay_s\" must be"},
        {"{\"type\":\"subscription\",\"session\":1,\"filter\":5}", "\"filter\" must be a string"},
        {"{\"type\":\"subscription\",\"session\":1,\"filter\":\"f\",\"options\":64}",
         "\"options\" must be a number"},
        {"{\"type\":\"subscription\",\"session\":1,\"filter\":\"f\",\"retained_due\":1}",
         "\"retained_due\" must be true"},
        {"{\"type\":\"received\",\"session\":1,\"packet_id\":70000}",
         "\"packet_id\" must be a number"},
        {"{\"type\":\"message\",\"session\":1,\"state\":\"lost\"}", "\"state\" must be"},
        {"{\"type\":\"message\",\"session\":1,\"state\":\"sent\",\"uid\":1,\"qos\":1,\"message\":{"
         "\"topic\":\"t\"}}",
         "\"packet_id\" must be there"},
        {"{\"type\":\"message\",\"session\":1,\"state\":\"queued\",\"uid\":1,\"message\":{"
         "\"topic\":\"t\"}}",
         "\"qos\" must be there"},
        {"{\"type\":\"message\",\"session\":1,\"state\":\"queued\",\"qos\":1,\"message\":{"
         "\"topic\":\"t\"}}",
         "\"uid\" must be there"},
        {"{\"type\":\"message\",\"session\":1,\"state\":\"queued\",\"uid\":1,\"qos\":1,"
         "\"identifiers\":[0],\"message\":{\"topic\":\"t\"}}",
         "\"identifiers\" must be numbers"},
        {"{\"type\":\"message\",\"session\":1,\"state\":\"queued\",\"uid\":1,\"qos\":1,"
         "\"identifiers\":5,\"message\":{\"topic\":\"t\"}}",
         "\"identifiers\" must be a list"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct json_record r;
        struct store_error err = {""};

        CHECK_ROW_INT(i, json_to_record(&r, str_from(rows[i].line), &err), -1);
        if (!CHECK_ROW(i, strstr(err.text, rows[i].error) != NULL))
            printf("%s\n", err.text);
    }
}

/* ---- there and back ---- */

static char *file_in(const char *name)
{
    static char path[256];

    dir_path(path, sizeof path, d.dir, name);
    return path;
}

static int export_to(const char *name, struct sqlite_tool_counts *counts)
{
    FILE *f = fopen(file_in(name), "w");
    int rc;

    problems[0] = '\0';
    rc = sqlite_export(d.path, f, on_problem, NULL, counts, &d.err);
    fclose(f);
    return rc;
}

/* Into the store that is opened now. */
static int import_from(const char *name, struct import_counts *counts)
{
    struct store *s;
    int rc;

    CHECK(db_open(&d));
    s = d.s;
    d.s = NULL;
    rc = import_into(s, import_read_json, file_in(name), &test_rules, counts, &d.err);
    return rc;
}

static void test_there_and_back(void)
{
    static struct ops o;
    struct sqlite_tool_counts out;
    struct import_counts in;
    char *before, *after;

    db_init(&d);
    CHECK(db_open(&d));
    ops_init(&o, 5);
    for (int i = 0; i < 200; i++) {
        ops_batch(&o, &d.batch);
        CHECK(db_commit(&d));
    }
    before = db_state(&d);
    db_close(&d);
    CHECK_INT(export_to("export", &out), 0);
    CHECK(out.sessions > 4 && out.subscriptions > 4 && out.messages > 50 && out.retained > 4);
    CHECK(rename(d.path, file_in("old.db")) == 0);
    CHECK_INT(import_from("export", &in), 0);
    CHECK(in.sessions == out.sessions && in.subscriptions == out.subscriptions &&
          in.messages == out.messages && in.retained == out.retained && in.skipped == 0);
    after = db_state(&d);
    if (!CHECK(strcmp(before, after) == 0))
        printf("---- before\n%s---- after\n%s", before, after);
    free(before);
    free(after);
    db_close(&d);
    CHECK_INT(sqlite_check(d.path, on_problem, NULL, &out, &d.err), 0);
    db_fini(&d);
}

/* An import is for a store that is empty. */
static void test_not_empty(void)
{
    struct sqlite_tool_counts out;
    struct import_counts in;
    char *state;

    db_init(&d);
    CHECK(db_open(&d));
    db_add(&d, a_retained(5, "r", "x"));
    CHECK(db_commit(&d));
    db_close(&d);
    CHECK_INT(export_to("export", &out), 0);
    CHECK_INT(import_from("export", &in), -1);
    CHECK(strstr(d.err.text, "not empty") != NULL);
    state = db_state(&d);
    CHECK(strcmp(state, "retained uid=5 topic=r payload=x message_retain=1\n") == 0);
    free(state);
    db_fini(&d);
}

#define FIRST   JSON_FIRST_LINE "\n"
#define SESSION "{\"type\":\"session\",\"session\":1,\"client_id\":\"c\"}\n"

/* Nothing of a file with an error in it gets into the store. */
static void test_bad_exports(void)
{
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"", "export is empty"},
        {SESSION, "export:1: this is no export of Frys"},
        {FIRST "{}\n", "export:2: \"type\" must be a string"},
        {FIRST SESSION "\n" SESSION, "export:4: this session has been there before"},
        {FIRST SESSION "{\"type\":\"session\",\"session\":2,\"client_id\":\"c\"}",
         "export:3: this session has been there before"},
        {FIRST "{\"type\":\"received\",\"session\":1,\"packet_id\":1}",
         "export:2: there is no such session"},
        {FIRST SESSION "{\"type\":\"received\",\"session\":1}",
         "export:3: a topic, filter or identifier"},
        {FIRST SESSION "{\"type\":\"subscription\",\"session\":1,\"filter\":\"\"}",
         "export:3: a topic, filter or identifier"},
        {FIRST "{\"type\":\"retained\",\"message\":{\"topic\":\"a/#\"}}",
         "export:2: a topic, filter or identifier"},
        {FIRST "{\"type\":\"session\",\"session\":1,\"client_id\":\"c\",\"will\":{\"topic\":\"\"}}",
         "export:2: a topic, filter or identifier"},
    };
    struct import_counts in;

    db_init(&d);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *state;

        file_write(file_in("export"), rows[i].text, strlen(rows[i].text));
        CHECK_ROW_INT(i, import_from("export", &in), -1);
        if (!CHECK_ROW(i, strstr(d.err.text, rows[i].error) != NULL))
            printf("%s\n", d.err.text);
        state = db_state(&d);
        CHECK_ROW(i, state[0] == '\0');
        free(state);
        db_close(&d);
    }
    CHECK_INT(import_from("nothing", &in), -1);
    CHECK(strstr(d.err.text, "No such file") != NULL);
    db_fini(&d);
}

/* The store fails while it is being filled. */
static void test_import_fails(void)
{
    struct import_counts in;

    db_init(&d);
    file_write(file_in("export"), FIRST SESSION, strlen(FIRST SESSION));
    CHECK(db_open(&d));
    fault_vfs_set(FAULT_FULL, 1, true);
    CHECK_INT(import_into(d.s, import_read_json, file_in("export"), &test_rules, &in, &d.err), -1);
    d.s = NULL;
    CHECK(strstr(d.err.text, "no space left") != NULL);
    fault_vfs_heal();
    db_fini(&d);
}

static int stop(void *arg, const struct store_record *r)
{
    (void)r;
    return --*(int *)arg == 0 ? 42 : 0;
}

/* What the one who takes the records returns ends it. */
static void test_import_stops(void)
{
    static const char text[] = FIRST SESSION SESSION;
    struct store_error err;
    uint64_t skipped;
    int n = 1;

    db_init(&d);
    file_write(file_in("export"), text, sizeof text - 1);
    CHECK_INT(import_read_json(file_in("export"), &test_rules, stop, &n, &skipped, &err), 42);
    db_fini(&d);
}

/* ---- checking ---- */

static void setup(unsigned messages)
{
    db_init(&d);
    CHECK(db_open(&d));
    db_add(&d, a_session(1, "one"));
    db_add(&d, a_session(2, "two"));
    db_add(&d, a_filter(1, "f", 1));
    db_add(&d, a_received(1, 1));
    db_add(&d, a_retained(100000, "r", "x"));
    CHECK(db_commit(&d));
    db_fill(&d, 1, 1, messages, "a body of some bytes, so that there are many pages");
    db_close(&d);
}

static void test_problems(void)
{
    static const struct {
        const char *sql, *problem;
    } rows[] = {
        {"DELETE FROM message WHERE uid < 3", "2 deliveries have no message"},
        {"DELETE FROM delivery WHERE uid = 9", "1 messages have no delivery"},
        {"UPDATE delivery SET size = 0 WHERE uid = 9", "1 deliveries do not agree"},
        {"UPDATE message SET expires = 5 WHERE uid = 9", "1 deliveries do not agree"},
        {"UPDATE session SET client_id = 'one'", "1 sessions have the client identifier"},
        {"UPDATE delivery SET packet_id = 3 WHERE uid = 9", "1 deliveries make no sense"},
        {"UPDATE meta SET value = 1", "1 sessions have a number that was never given"},
        {"DROP INDEX delivery_expires; DROP TABLE filter", "no such table: filter"},
    };
    struct sqlite_tool_counts out;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        setup(20);
        problems[0] = '\0';
        CHECK_ROW_INT(i, sqlite_check(d.path, on_problem, NULL, &out, &d.err), 0);
        CHECK(out.sessions == 2 && out.subscriptions == 1 && out.messages == 20 &&
              out.retained == 1 && out.problems == 0 && problems[0] == '\0');
        db_sql(d.path, rows[i].sql);
        CHECK_ROW_INT(i, sqlite_check(d.path, on_problem, NULL, &out, &d.err), 1);
        CHECK_ROW(i, out.problems >= 1);
        if (!CHECK_ROW(i, strstr(problems, rows[i].problem) != NULL))
            printf("%s", problems);
        db_fini(&d);
    }
}

static void check_refused(const char *path, const char *why)
{
    struct sqlite_tool_counts out;
    FILE *null = fopen("/dev/null", "w");

    CHECK_INT(sqlite_check(path, on_problem, NULL, &out, &d.err), -1);
    if (!CHECK(strstr(d.err.text, why) != NULL))
        printf("%s\n", d.err.text);
    CHECK_INT(sqlite_export(path, null, on_problem, NULL, &out, &d.err), -1);
    CHECK(strstr(d.err.text, why) != NULL);
    fclose(null);
}

static void test_no_store(void)
{
    db_init(&d);
    check_refused("/nowhere/store.db", "/nowhere/store.db: No such file");
    file_write(file_in("text"), "this is no database at all\n", 27);
    check_refused(file_in("text"), "cannot be read");
    db_sql(file_in("other"), "CREATE TABLE t(a)");
    check_refused(file_in("other"), "is no store of Frys");
    CHECK(db_open(&d));
    db_close(&d);
    db_sql(d.path, "PRAGMA user_version = 3");
    check_refused(d.path, "has schema 3");
    db_fini(&d);
}

/* While a broker has it. */
static void test_check_in_use(void)
{
    struct sqlite_tool_counts out;

    setup(20);
    CHECK(db_open(&d));
    db_add(&d, a_session(3, "three"));
    CHECK(db_commit(&d));
    CHECK_INT(sqlite_check(d.path, on_problem, NULL, &out, &d.err), 0);
    CHECK_INT(out.sessions, 3);
    CHECK_INT(export_to("export", &out), 0);
    CHECK_INT(out.sessions, 3);
    db_add(&d, a_session(4, "four"));
    CHECK(db_commit(&d));
    db_fini(&d);
}

/* ---- damage ---- */

static void damage_pages(const char *table, unsigned n)
{
    char sql[256];
    size_t size;
    char *data = file_read(d.path, &size);

    for (unsigned i = 0; i < n; i++) {
        long long page;

        snprintf(sql, sizeof sql,
                 "SELECT pageno FROM dbstat WHERE name = '%s' AND pagetype = 'leaf' LIMIT 1"
                 " OFFSET (SELECT count(*) FROM dbstat WHERE name = '%s' AND pagetype = 'leaf')"
                 " / 2 + %u",
                 table, table, i);
        page = db_number(d.path, sql);
        CHECK(page > 1 && (size_t)page * 4096 <= size);
        memset(data + (page - 1) * 4096, 0xa5, 4096);
    }
    file_write(d.path, data, size);
    free(data);
}

/* What stands in front of the damage, and behind it, is saved. */
static void test_export_damaged(void)
{
    static const char *const tables[] = {"message", "delivery"};

    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        struct sqlite_tool_counts out;
        struct import_counts in;

        setup(5000);
        damage_pages(tables[i], 2);
        CHECK_ROW_INT(i, sqlite_check(d.path, on_problem, NULL, &out, &d.err), 1);
        CHECK_ROW_INT(i, export_to("export", &out), 1);
        CHECK_ROW(i, strstr(problems, tables[i]) != NULL || strstr(problems, "lost") != NULL);
        CHECK_ROW(i, out.messages > 4000 && out.messages < 5000 && out.sessions == 2 &&
                         out.retained == 1);
        CHECK(rename(d.path, file_in("old.db")) == 0);
        CHECK_ROW_INT(i, import_from("export", &in), 0);
        CHECK_ROW_INT(i, in.messages, out.messages);
        CHECK_ROW_INT(i, db_number(d.path, "SELECT max(uid) FROM delivery"), 5000);
        CHECK_ROW_INT(i, db_number(d.path, "SELECT min(uid) FROM delivery"), 1);
        db_fini(&d);
    }
}

static void test_export_fails(void)
{
    struct sqlite_tool_counts out;
    FILE *full = fopen("/dev/full", "w");

    setup(5000);
    if (full == NULL)
        return;
    CHECK_INT(sqlite_export(d.path, full, on_problem, NULL, &out, &d.err), -1);
    CHECK(strstr(d.err.text, "cannot be written") != NULL);
    fclose(full);
    db_fini(&d);
}

/* ---- from Mosquitto ---- */

static void test_mosquitto(void)
{
    struct import_counts in;
    struct sqlite_tool_counts out;
    char *state;

    db_init(&d);
    CHECK(db_open(&d));
    CHECK_INT(import_into(d.s, import_read_mosquitto,
                          SOURCE_DIR "/storage/tests/data/mosquitto-v6.db", &test_rules, &in,
                          &d.err),
              0);
    d.s = NULL;
    CHECK(in.sessions == 4 && in.subscriptions == 5 && in.messages == 10 && in.retained == 1);
    CHECK_INT(sqlite_check(d.path, on_problem, NULL, &out, &d.err), 0);
    CHECK_INT(out.messages, 10);
    state = db_state(&d);
    CHECK(strstr(state, "queue #000001 delivery 4 uid=7 qos=2 ids=.... publisher=3 topic=a/c"
                        " payload=never message_qos=2\n") != NULL);
    free(state);
    db_fini(&d);
}

TEST_MAIN(test_json, test_bad_json, test_there_and_back, test_not_empty, test_bad_exports,
          test_import_fails, test_import_stops, test_problems, test_no_store, test_check_in_use,
          test_export_damaged, test_export_fails, test_mosquitto)

/* report_test: the formats, on a small set of results. */
#include "base/test.h"
#include "conformance/report.h"
#include "conformance/skips.h"

#include <unistd.h>

static const struct target target = {.name = "ws://a:80/<&\"x\">", .websocket = true};

static void nothing(struct scene *s)
{
    (void)s;
}

static const struct test_case test = {"a_case", nothing, "3.3.1-1", NULL, NULL, 0};

static bool asked_for(void *arg, const char *id, const char *by)
{
    (void)arg;
    (void)by;
    return strncmp(id, "MQTT-3.3.1-", 11) == 0 && strlen(id) == 12 && id[11] <= '4';
}

/* 3.3.1-1 fails, -2 passes, -3 warns, -4 was not observed. */
static void make_results(struct results *r)
{
    static struct outcome outcome;
    struct sheet *sheet;

    results_init(r, &target, 1);
    sheet = results_sheet(r, 0, BOOK_V5);
    sheet->used = true;
    for (int i = 1; i <= 3; i++) {
        char id[STATEMENT_ID_MAX];

        snprintf(id, sizeof id, "MQTT-3.3.1-%d", i);
        sheet->rows[statement_find(BOOK_V5, id)] =
            (struct result){.verdict = i == 1   ? FAIL
                                       : i == 2 ? PASS
                                                : WARN,
                            .text = i == 2 ? NULL : "it said \"<no> | #1\" & more",
                            .by = &test,
                            .shown = true};
    }
    outcome = (struct outcome){.test = &test,
                               .target = &target,
                               .version = MQTT_V5,
                               .verdict = FAIL,
                               .text = "it said \"<no> | #1\" & more",
                               .exchange = "  0.1 c1 > PUBLISH\n  0.2 c1 - it said \"<no> | #1\" & "
                                           "more\n"};
    list_init(&outcome.link);
    list_push_back(&r->outcomes, &outcome.link);
    results_finish(r, asked_for, NULL);
}

static char page[60000];

static void write_report(void (*report)(FILE *out, const struct results *r))
{
    struct results r;
    FILE *out = fmemopen(page, sizeof page, "w");

    make_results(&r);
    report(out, &r);
    fclose(out);
    results_fini(&r);
}

static bool has(const char *text)
{
    if (strstr(page, text) != NULL)
        return true;
    printf("    %s\n    is not in\n%s\n", text, page);
    return false;
}

static void plain(FILE *out, const struct results *r)
{
    report_terminal(out, r, false, false);
}

static void test_terminal(void)
{
    write_report(plain);
    CHECK(has("MQTT 5.0, ws://a:80/<&\"x\">: 1 passed, 1 failed, 1 warned, 1 skipped"));
    CHECK(has("  FAIL MQTT-3.3.1-1"));
    CHECK(has("a_case: it said"));
    CHECK(has("0.1 c1 > PUBLISH"));
    CHECK(has("  SKIP MQTT-3.3.1-4    not observed"));
    CHECK(strchr(page, '\033') == NULL);
}

static void test_tap(void)
{
    write_report(report_tap);
    CHECK(has("TAP version 13\n1..4\n"));
    CHECK(has("not ok 1 - MQTT-3.3.1-1, MQTT 5.0"));
    CHECK(has("# FAIL: it said \"<no> | \\#1\""));
    CHECK(has("#   0.1 c1 > PUBLISH"));
    CHECK(has("ok 2 - MQTT-3.3.1-2"));
    CHECK(has("ok 3 - MQTT-3.3.1-3"));
    CHECK(has("# WARN: "));
    CHECK(has("ok 4 - MQTT-3.3.1-4"));
    CHECK(has("# SKIP not observed"));
}

static void test_junit(void)
{
    write_report(report_junit);
    CHECK(has("ws://a:80/&lt;&amp;&quot;x&quot;&gt;\" tests=\"4\" failures=\"1\" skipped=\"1\""));
    CHECK(has("name=\"MQTT-3.3.1-1\""));
    CHECK(has("<failure message=\"it said &quot;&lt;no&gt; | #1&quot; &amp; more\">"));
    CHECK(has("<skipped message=\"not observed\">"));
    CHECK(has("</testsuites>\n"));
}

static void test_json(void)
{
    write_report(report_json);
    CHECK(has("\"passed\": 1, \"failed\": 1, \"warned\": 1, \"skipped\": 1"));
    CHECK(has("\"id\": \"MQTT-3.3.1-1\", \"verdict\": \"FAIL\""));
    CHECK(has("\"reason\": \"it said \\\"<no> | #1\\\" & more\", \"case\": \"a_case\""));
    CHECK(has("\"exchange\": \"  0.1 c1 > PUBLISH\\u000a"));
    CHECK(has("\"refused\": null"));
}

static void test_md(void)
{
    write_report(report_md);
    CHECK(has("| ws://a:80/<&\"x\"> | MQTT 5.0 | 1 | 1 | 1 | 1 |"));
    CHECK(has("| MQTT-3.3.1-1 | MQTT 5.0 | FAIL |"));
    CHECK(has("it said \"<no> \\| #1\" & more |"));
}

static void test_list(void)
{
    struct options o = {.versions = 1u << MQTT_V5};
    FILE *out = fmemopen(page, sizeof page, "w");

    o.patterns[o.n_patterns++] = "MQTT-3.3.2-10";
    o.patterns[o.n_patterns++] = "MQTT-3.3.2-5";
    report_list(out, &o);
    fclose(out);
    CHECK(has("MQTT-3.3.2-5    server A message that expires"));
    CHECK(has("message_expires"));
    CHECK(has("not tested: binds the client alone"));
}

/* A strict run forgives nothing but listed skips. */
static void test_strict(void)
{
    char file[] = "/tmp/frys-skips-XXXXXX";
    int fd = mkstemp(file);
    struct results r;
    FILE *err = fmemopen(page, sizeof page, "w");

    CHECK(write(fd, "# comment\nMQTT-3.3.1-[45] why\n", 30) == 30);
    close(fd);
    make_results(&r);
    CHECK(!skips_strict(&r, NULL, err));
    CHECK(!skips_strict(&r, file, err));
    fflush(err);
    CHECK(has("strict: SKIP MQTT-3.3.1-4"));
    CHECK(has("strict: FAIL MQTT-3.3.1-1"));
    CHECK(has("strict: WARN MQTT-3.3.1-3"));
    for (long i = 0; i < (long)statement_count(BOOK_V5); i++)
        if (results_sheet(&r, 0, BOOK_V5)->rows[i].verdict != SKIP)
            results_sheet(&r, 0, BOOK_V5)->rows[i].verdict = PASS;
    CHECK(skips_strict(&r, file, err));
    CHECK(!skips_strict(&r, NULL, err));
    CHECK(!skips_strict(&r, "/nowhere/skips", err));
    fclose(err);
    results_fini(&r);
    unlink(file);
}

TEST_MAIN(test_terminal, test_tap, test_junit, test_json, test_md, test_list, test_strict)

/* scene_test: how a case ends, and what that says of its statements. The cases here need no
 * network. */
#include "base/test.h"
#include "conformance/results.h"
#include "conformance/scene.h"

static const struct target target = {.name = "mqtt://nowhere", .scheme = "mqtt", .headers = ""};
static struct features features;

static void run_case(struct results *r, const struct test_case *test)
{
    struct scene *s = calloc(1, sizeof *s);
    struct stage at = {.target = &target,
                       .features = &features,
                       .targets = &target,
                       .n_targets = 1,
                       .version = MQTT_V5,
                       .patience_us = 1000,
                       .run = "abcdef",
                       .number = 7};

    scene_run(s, &at, test);
    results_add(r, 0, s, true);
    scene_fini(s);
    free(s);
}

static enum verdict verdict_of(struct results *r, const char *id)
{
    enum book book = statement_book(MQTT_V5, id);

    return results_sheet(r, 0, book)->rows[statement_find(book, id)].verdict;
}

static const char *text_of(struct results *r, const char *id)
{
    return results_sheet(r, 0, BOOK_V5)->rows[statement_find(BOOK_V5, id)].text;
}

static void passes(struct scene *s)
{
    MUST(s, true, "never seen");
}

static void fails(struct scene *s)
{
    MUST(s, false, "it is %d", 7);
}

static void fails_by_one(struct scene *s)
{
    MUST_BY(s, "3.3.1-1", false, "one");
}

static void fails_by_another(struct scene *s)
{
    MUST_BY(s, "3.4.2-1", false, "another");
}

static void goes_on(struct scene *s)
{
    CHECK_BY(s, "3.4.2-1", false, "another");
}

static void warns(struct scene *s)
{
    SHOULD(s, false, "better not");
}

static void skips(struct scene *s)
{
    NEED(s, false, "no time");
    MUST(s, false, "never reached");
}

static void skips_one(struct scene *s)
{
    scene_skip_some(s, "3.3.1-2", "not this one");
}

#define TWO(function)                                         \
    {                                                         \
#function, function, "3.3.1-1 3.3.1-2", NULL, NULL, 0 \
    }

static void test_verdicts(void)
{
    static const struct {
        struct test_case test;
        enum verdict first, second, other; /* of 3.3.1-1, 3.3.1-2 and 3.4.2-1 */
        unsigned failed;
    } rows[] = {
        {TWO(passes), PASS, PASS, SKIP, 0},       {TWO(fails), FAIL, FAIL, SKIP, 1},
        {TWO(fails_by_one), FAIL, SKIP, SKIP, 1}, {TWO(fails_by_another), SKIP, SKIP, FAIL, 1},
        {TWO(goes_on), PASS, PASS, FAIL, 1},      {TWO(warns), WARN, WARN, SKIP, 0},
        {TWO(skips), SKIP, SKIP, SKIP, 0},        {TWO(skips_one), PASS, SKIP, SKIP, 0},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct results r;

        results_init(&r, &target, 1);
        run_case(&r, &rows[i].test);
        CHECK_ROW_INT(i, verdict_of(&r, "MQTT-3.3.1-1"), rows[i].first);
        CHECK_ROW_INT(i, verdict_of(&r, "MQTT-3.3.1-2"), rows[i].second);
        CHECK_ROW_INT(i, verdict_of(&r, "MQTT-3.4.2-1"), rows[i].other);
        CHECK_ROW_INT(i, r.failed, rows[i].failed);
        CHECK_ROW_INT(i, r.ran, 1);
        results_fini(&r);
    }
}

/* A statement that one case has shown and another broken is broken; one that was skipped and then
 * shown is shown. */
static void test_several_cases(void)
{
    static const struct test_case tests[] = {TWO(skips), TWO(passes), TWO(fails), TWO(passes)};
    struct results r;

    results_init(&r, &target, 1);
    run_case(&r, &tests[0]);
    CHECK_INT(verdict_of(&r, "MQTT-3.3.1-1"), SKIP);
    CHECK(strcmp(text_of(&r, "MQTT-3.3.1-1"), "no time") == 0);
    run_case(&r, &tests[1]);
    CHECK_INT(verdict_of(&r, "MQTT-3.3.1-1"), PASS);
    run_case(&r, &tests[2]);
    run_case(&r, &tests[3]);
    CHECK_INT(verdict_of(&r, "MQTT-3.3.1-1"), FAIL);
    CHECK(strcmp(text_of(&r, "MQTT-3.3.1-1"), "it is 7") == 0);
    results_fini(&r);
}

static bool only_331(void *arg, const char *id, const char *test)
{
    (void)arg;
    (void)test;
    return strncmp(id, "MQTT-3.3.1-", 11) == 0;
}

static void test_finish(void)
{
    static const struct test_case test = TWO(warns);
    struct results r;
    struct sheet *sheet;

    results_init(&r, &target, 1);
    run_case(&r, &test);
    results_finish(&r, only_331, NULL);
    sheet = results_sheet(&r, 0, BOOK_V5);
    CHECK_INT(sheet->count[WARN], 2);
    CHECK_INT(sheet->count[SKIP], 11);
    CHECK_INT(sheet->count[FAIL] + sheet->count[PASS], 0);
    CHECK(!results_sheet(&r, 0, BOOK_V311)->used);
    CHECK(strcmp(text_of(&r, "MQTT-3.3.1-4"), "not observed") == 0);
    results_fini(&r);
}

static void names_things(struct scene *s)
{
    CHECK(strcmp(scene_topic(s, "a/b"), "fcabcdef7x/a/b") == 0);
    CHECK(strcmp(scene_client_id(s), "fcabcdef7x1") == 0);
    CHECK(strcmp(scene_client_id(s), "fcabcdef7x2") == 0);
    CHECK(scene_owns(s, MQTT_STR("$fcabcdef7x/y")));
    CHECK(!scene_owns(s, MQTT_STR("fcabcdef71x/y")));
    CHECK(!scene_owns(s, MQTT_STR("")));
}

static void test_names(void)
{
    static const struct test_case test = TWO(names_things);
    struct results r;

    results_init(&r, &target, 1);
    run_case(&r, &test);
    results_fini(&r);
}

TEST_MAIN(test_verdicts, test_several_cases, test_finish, test_names)

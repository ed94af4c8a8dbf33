/* statement_test: every statement that can be tested has a case, and no case names one that does
 * not exist. This is what keeps the suite complete. */
#include "base/test.h"
#include "conformance/case.h"
#include "conformance/statement.h"
#include "mqtt/packet.h"

static const int versions[] = {MQTT_V5, MQTT_V311, MQTT_V31};

static bool shown_in(const char *id, int version)
{
    if (statement_listed(case_shows(&monitor_case, version), id))
        return true;
    for (size_t i = 0; i < chapter_count; i++)
        for (size_t j = 0; j < chapters[i]->n; j++)
            if (statement_listed(case_shows(&chapters[i]->cases[j], version), id))
                return true;
    return false;
}

/* Those of a version must be shown in it; the others in any. */
static bool shown(enum book book, const char *id)
{
    switch (book) {
    case BOOK_V5: return shown_in(id, MQTT_V5);
    case BOOK_V311: return shown_in(id, MQTT_V311);
    case BOOK_V31: return shown_in(id, MQTT_V31);
    default: return shown_in(id, MQTT_V5) || shown_in(id, MQTT_V311) || shown_in(id, MQTT_V31);
    }
}

static void test_testable_statements_have_cases(void)
{
    for (unsigned b = 0; b < BOOK_COUNT; b++)
        for (const struct statement *st = statement_books[b].rows; st->id != NULL; st++) {
            char text[200];
            bool has = shown((enum book)b, st->id);

            snprintf(text, sizeof text, "%s %s: testable without a case, or the other way round",
                     statement_books[b].title, st->id);
            test_check(has == (st->untestable == NULL), text, __FILE__, __LINE__, -1);
        }
}

static void check_case(const struct test_case *c)
{
    for (size_t v = 0; v < 3; v++) {
        const char *list = case_shows(c, versions[v]);
        char id[STATEMENT_ID_MAX], text[200];

        while (statement_next(&list, id)) {
            snprintf(text, sizeof text, "%s: there is no statement %s", c->name, id);
            test_check(statement_find(statement_book(versions[v], id), id) >= 0, text, __FILE__,
                       __LINE__, -1);
        }
    }
}

static void test_cases_name_existing_statements(void)
{
    check_case(&monitor_case);
    for (size_t i = 0; i < chapter_count; i++)
        for (size_t j = 0; j < chapters[i]->n; j++) {
            check_case(&chapters[i]->cases[j]);
            CHECK(chapters[i]->cases[j].run != NULL);
        }
}

static unsigned cases_called(const char *name)
{
    unsigned n = 0;

    for (size_t i = 0; i < chapter_count; i++)
        for (size_t j = 0; j < chapters[i]->n; j++)
            n += strcmp(chapters[i]->cases[j].name, name) == 0;
    return n;
}

static void test_case_names_are_unique(void)
{
    for (size_t i = 0; i < chapter_count; i++)
        for (size_t j = 0; j < chapters[i]->n; j++)
            if (!CHECK(cases_called(chapters[i]->cases[j].name) == 1))
                printf("    %s\n", chapters[i]->cases[j].name);
}

/* As many as the appendices of the standards have, each once. */
static void test_books_are_whole(void)
{
    CHECK_INT(statement_count(BOOK_V5), 251);
    CHECK_INT(statement_count(BOOK_V311), 141);
    for (unsigned b = 0; b < BOOK_COUNT; b++)
        for (long i = 0; i < (long)statement_count((enum book)b); i++)
            CHECK_ROW_INT(i, statement_find((enum book)b, statement_books[b].rows[i].id), i);
}

static void test_lists(void)
{
    const char *list = " 3.3.1-5  WS-HS-01 MQTT-6.0.0-1";
    char id[STATEMENT_ID_MAX];

    CHECK(statement_next(&list, id) && strcmp(id, "MQTT-3.3.1-5") == 0);
    CHECK(statement_next(&list, id) && strcmp(id, "WS-HS-01") == 0);
    CHECK(statement_next(&list, id) && strcmp(id, "MQTT-6.0.0-1") == 0);
    CHECK(!statement_next(&list, id));
    list = NULL;
    CHECK(!statement_next(&list, id));
    CHECK(statement_listed("3.3.1-5 3.3.1-50", "MQTT-3.3.1-50"));
    CHECK(!statement_listed("3.3.1-50", "MQTT-3.3.1-5"));
}

static void test_books_of_identifiers(void)
{
    CHECK_INT(statement_book(MQTT_V5, "MQTT-3.3.1-5"), BOOK_V5);
    CHECK_INT(statement_book(MQTT_V311, "MQTT-3.3.1-5"), BOOK_V311);
    CHECK_INT(statement_book(MQTT_V31, "V31-3.1-1"), BOOK_V31);
    CHECK_INT(statement_book(MQTT_V31, "WS-HS-01"), BOOK_WEBSOCKET);
    CHECK_INT(statement_book(MQTT_V5, "PD-01"), BOOK_WEBSOCKET);
    CHECK_INT(statement_book(MQTT_V311, "EXP-01"), BOOK_EXPECTED);
}

TEST_MAIN(test_testable_statements_have_cases, test_cases_name_existing_statements,
          test_case_names_are_unique, test_books_are_whole, test_lists, test_books_of_identifiers)

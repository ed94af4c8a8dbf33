#include "daemon/problems.h"

#include "base/log.h"
#include "base/test.h"
#include "daemon/alloc.h"

static char *written(const struct problems *p)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    problems_write(p, out);
    fclose(out);
    return text;
}

static void test_order(void)
{
    struct problems p = {.n = 0};
    char *text;

    problems_add(&p, PROBLEM_ERROR, (struct position){"environment:X", 0, 0}, "last");
    problems_add(&p, PROBLEM_WARNING, (struct position){"f", 2, 7}, "third %d", 3);
    problems_add(&p, PROBLEM_ERROR, (struct position){"f", 2, 1}, "second");
    problems_add(&p, PROBLEM_ERROR, (struct position){"f", 1, 9}, "first");
    problems_sort(&p);
    text = written(&p);
    CHECK(strcmp(text, "f:1:9: first\nf:2:1: second\nf:2:7: warning: third 3\n"
                       "environment:X: last\n") == 0);
    CHECK(problems_have_errors(&p) && !problems_full(&p));
    free(text);
    problems_fini(&p);
    CHECK(!problems_have_errors(&p) && p.n == 0);
}

/* Warnings take no error's place. */
static void test_many(void)
{
    struct problems p = {.n = 0};
    char *text;

    for (int i = 0; i < 100; i++)
        problems_add(&p, PROBLEM_WARNING, (struct position){"f", 1, 1}, "w");
    CHECK(!problems_full(&p) && !problems_have_errors(&p));
    for (int i = 0; i < 21; i++)
        problems_add(&p, PROBLEM_ERROR, (struct position){"f", 2, 1}, "e%d", i);
    CHECK(problems_full(&p));
    text = written(&p);
    CHECK(strstr(text, "f:2:1: e19\n") != NULL && strstr(text, "e20") == NULL);
    CHECK(strstr(text, "and 1 more errors\nand 80 more warnings\n") != NULL);
    free(text);
    problems_fini(&p);
}

static void test_log(void)
{
    struct problems p = {.n = 0};
    FILE *file = tmpfile();
    char text[1024];

    problems_add(&p, PROBLEM_WARNING, (struct position){"f", 2, 7}, "dubious");
    problems_add(&p, PROBLEM_ERROR, (struct position){"f", 3, 8}, "wrong");
    log_configure(fileno(file), LOG_INFO, LOG_TEXT);
    problems_log(&p);
    log_configure(STDERR_FILENO, LOG_INFO, LOG_TEXT);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    CHECK(strstr(text, "config.warning file=\"f\" line=2 column=7 text=\"dubious\"\n") != NULL);
    CHECK(strstr(text, "config.error file=\"f\" line=3 column=8 text=\"wrong\"\n") != NULL);
    problems_fini(&p);
}

TEST_MAIN(test_order, test_many, test_log)

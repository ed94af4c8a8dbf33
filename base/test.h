/* test: what every *_test.c uses on top of CUnit: a main(), and checks that name the row of a table
 * that failed. Tests link CUnit; nothing else includes this file.
 *
 *     static void test_empty(void) { CHECK(list_empty(&head)); CHECK_INT(list_count(&head), 0); }
 *     TEST_MAIN(test_empty, test_full) */
#ifndef BASE_TEST_H
#define BASE_TEST_H
#include <CUnit/Basic.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A test goes on after a check that failed; each gives whether it held:
 * if (!CHECK(p != NULL)) return; */
#define CHECK(cond)        test_check((cond), #cond, __FILE__, __LINE__, -1)
/* As CHECK; names the row i of the table that the test walks. */
#define CHECK_ROW(i, cond) test_check((cond), #cond, __FILE__, __LINE__, (long)(i))
#define CHECK_INT(got, want) \
    test_check_int((long long)(got), (long long)(want), #got, __FILE__, __LINE__, -1)
#define CHECK_ROW_INT(i, got, want) \
    test_check_int((long long)(got), (long long)(want), #got, __FILE__, __LINE__, (long)(i))
#define CHECK_BYTES(got, got_len, want, want_len) \
    test_check_bytes(got, got_len, want, want_len, #got, __FILE__, __LINE__)

/* What must not be reached: fails, and says why. */
#define FAIL(text)        test_check(0, text, __FILE__, __LINE__, -1)
#define FAIL_ROW(i, text) test_check(0, text, __FILE__, __LINE__, (long)(i))

/* The statement must call abort(), as ASSERT() does. What it had half done stays as it is. */
#define CHECK_ABORTS(statement)                                          \
    do {                                                                 \
        if (sigsetjmp(test_abort_at, 1) == 0) {                          \
            signal(SIGABRT, test_abort_catch);                           \
            statement;                                                   \
            signal(SIGABRT, SIG_DFL);                                    \
            test_check(0, #statement " aborts", __FILE__, __LINE__, -1); \
        } else {                                                         \
            signal(SIGABRT, SIG_DFL);                                    \
            test_check(1, #statement " aborts", __FILE__, __LINE__, -1); \
        }                                                                \
    } while (0)

#define TEST_MAIN(...)                                                                     \
    int main(int argc, char **argv)                                                        \
    {                                                                                      \
        static void (*const tests[])(void) = {__VA_ARGS__};                                \
        return test_main(argc, argv, tests, sizeof tests / sizeof tests[0], #__VA_ARGS__); \
    }

static sigjmp_buf test_abort_at __attribute__((unused));

__attribute__((unused)) static void test_abort_catch(int signal_number)
{
    (void)signal_number;
    siglongjmp(test_abort_at, 1);
}

static inline int test_check(int ok, const char *what, const char *file, int line, long row)
{
    char text[600];

    if (row >= 0)
        snprintf(text, sizeof text, "%s [row %ld]", what, row);
    else
        snprintf(text, sizeof text, "%s", what);
    CU_assertImplementation(ok ? CU_TRUE : CU_FALSE, (unsigned)line, text, file, "", CU_FALSE);
    return ok;
}

static inline int test_check_int(long long got, long long want, const char *what, const char *file,
                                 int line, long row)
{
    char text[512];

    snprintf(text, sizeof text, "%s: got %lld (0x%llx), want %lld (0x%llx)", what, got,
             (unsigned long long)got, want, (unsigned long long)want);
    return test_check(got == want, text, file, line, row);
}

static inline int test_check_bytes(const void *got, size_t got_len, const void *want,
                                   size_t want_len, const char *what, const char *file, int line)
{
    char text[512];
    size_t i = 0;

    while (i < got_len && i < want_len &&
           ((const unsigned char *)got)[i] == ((const unsigned char *)want)[i])
        i++;
    snprintf(text, sizeof text, "%s: %zu bytes, want %zu; first difference at %zu", what, got_len,
             want_len, i);
    return test_check(got_len == want_len && i == got_len, text, file, line, -1);
}

/* The next name of "a, b, c", copied to out; *names moves behind it. */
static inline void test_next_name(const char **names, char *out, size_t size)
{
    *names += strspn(*names, ", \n");

    size_t len = strcspn(*names, ", \n");

    snprintf(out, size, "%.*s", (int)len, *names);
    *names += len;
}

static inline int test_wanted(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return 1;
    return argc < 2;
}

/* Run the tests, or only those named as arguments; exit status 1 when a check failed, 2 when the
 * arguments name no test. */
static inline int test_main(int argc, char **argv, void (*const *tests)(void), size_t n,
                            const char *names)
{
    const char *slash = strrchr(argv[0], '/');
    CU_pSuite suite;

    if (CU_initialize_registry() != CUE_SUCCESS)
        return 2;
    suite = CU_add_suite(slash != NULL ? slash + 1 : argv[0], NULL, NULL);
    for (size_t i = 0; i < n; i++) {
        char name[128];

        test_next_name(&names, name, sizeof name);
        if (test_wanted(argc, argv, name))
            CU_add_test(suite, name, tests[i]);
    }
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();

    unsigned ran = CU_get_number_of_tests_run(), failed = CU_get_number_of_failures();

    CU_cleanup_registry();
    return ran == 0 ? 2 : failed != 0;
}
#endif

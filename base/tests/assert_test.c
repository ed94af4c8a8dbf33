#include "base/assert.h"

#include "base/test.h"

#include <unistd.h>

#define THING_MAGIC 0x1234u

struct thing {
    uint32_t magic;
    int value;
};

static void test_holds(void)
{
    int evaluated = 0;

    ASSERT(++evaluated == 1);
    CHECK_INT(evaluated, 1); /* once, and in release builds too */
}

/* What the statement writes to standard error goes to text. */
static int captured(char *text, size_t size)
{
    FILE *file = tmpfile();
    int before = dup(STDERR_FILENO);

    dup2(fileno(file), STDERR_FILENO);
    CHECK_ABORTS(ASSERT(1 + 1 == 3));
    dup2(before, STDERR_FILENO);
    close(before);
    rewind(file);
    size_t len = fread(text, 1, size - 1, file);
    text[len] = '\0';
    fclose(file);
    return (int)len;
}

static void test_fails(void)
{
    char text[512];

    CHECK(captured(text, sizeof text) > 0);
    CHECK(strstr(text, "assert_test.c:") != NULL);
    CHECK(strstr(text, "captured: assertion failed: 1 + 1 == 3\n") != NULL);
}

static void test_cast(void)
{
    struct thing good = {THING_MAGIC, 7}, bad = {0, 7};
    void *pointers[] = {&good, &bad, NULL};
    struct thing *t = NULL;

    CAST(t, pointers[0], THING_MAGIC);
    CHECK(t == &good);
    CHECK_ABORTS(CAST(t, pointers[1], THING_MAGIC));
    CHECK_ABORTS(CAST(t, pointers[2], THING_MAGIC));
}

TEST_MAIN(test_holds, test_fails, test_cast)

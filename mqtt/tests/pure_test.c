/* pure_test: the library calls nobody: no I/O, clock, log or malloc. Of the symbols that its
 * objects need and do not define themselves, only those of string.h and what the compiler adds are
 * allowed. */
#include "base/test.h"
#include <stdbool.h>

#define MAX_SYMBOLS 1024

struct symbols {
    char *names[MAX_SYMBOLS];
    size_t n;
};

static bool has(const struct symbols *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->names[i], name) == 0)
            return true;
    return false;
}

static void add(struct symbols *s, const char *name)
{
    if (!has(s, name) && s->n < MAX_SYMBOLS)
        s->names[s->n++] = strdup(name);
}

static void clear(struct symbols *s)
{
    while (s->n > 0)
        free(s->names[--s->n]);
}

/* Lines of "name type ..." [POSIX nm -P]; the heads of the members have no type. */
static void read_library(struct symbols *defined, struct symbols *needed)
{
    FILE *nm = popen(MQTT_NM " -P " MQTT_LIBRARY, "r");
    char line[512], name[256], type;

    if (nm == NULL)
        abort();
    while (fgets(line, sizeof line, nm) != NULL)
        if (sscanf(line, "%255s %c", name, &type) == 2)
            add(strchr("Uwv", type) != NULL ? needed : defined, name);
    CHECK_INT(pclose(nm), 0);
}

static bool allowed(const char *name)
{
    static const char *const names[] = {"memcpy", "memmove",          "memset",
                                        "memcmp", "__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_"};
    static const char *const of_the_compiler[] = {"__asan_", "__ubsan_",     "__tsan_",
                                                  "__gcov_", "__sanitizer_", "__sancov_"};
    size_t len = strlen(name);

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    for (size_t i = 0; i < sizeof of_the_compiler / sizeof of_the_compiler[0]; i++)
        if (strncmp(name, of_the_compiler[i], strlen(of_the_compiler[i])) == 0)
            return true;
    /* __memcpy_chk and its like */
    return strncmp(name, "__mem", 5) == 0 && len > 4 && strcmp(name + len - 4, "_chk") == 0;
}

static void needs_nothing(void)
{
    struct symbols defined = {.n = 0}, needed = {.n = 0};

    read_library(&defined, &needed);
    CHECK(has(&defined, "mqtt_decode")); /* or nothing was read */
    for (size_t i = 0; i < needed.n; i++)
        if (!CHECK_ROW(i, has(&defined, needed.names[i]) || allowed(needed.names[i])))
            fprintf(stderr, "  %s\n", needed.names[i]);
    clear(&defined);
    clear(&needed);
}

TEST_MAIN(needs_nothing)

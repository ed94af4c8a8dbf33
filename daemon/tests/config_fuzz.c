/* Any bytes as a configuration: there is one, or there are errors with a place in the file. What is
 * printed of one reads as the same again, without new errors or warnings. */
#include "base/fuzz.h"
#include "daemon/config.h"
#include "daemon/print.h"
#include "daemon/problems.h"

#include <stdlib.h>
#include <string.h>

static char *const env[] = {"NAME=value", "PORT=1884", "RAW=\xff\x01 $${NAME}", NULL};

static void check_problems(const struct problems *p, struct str yaml)
{
    uint32_t lines = 2; /* an error may be at the end, behind the last line */

    for (size_t i = 0; i < yaml.len; i++)
        lines += yaml.p[i] == '\n' || yaml.p[i] == '\r' || (yaml.p[i] & 0x80) != 0;
    ASSERT(p->n <= ARRAY_LEN(p->list));
    for (size_t i = 0; i < p->n; i++) {
        const struct position *at = &p->list[i].at;

        ASSERT(at->line <= lines);
        ASSERT(at->line == 0 || at->column >= 1);
        ASSERT(p->list[i].text[0] != '\0' && strchr(p->list[i].text, '\n') == NULL);
    }
}

static void check_round_trip(const struct config *c, size_t warnings)
{
    struct problems problems = {.n = 0};
    struct config *again;
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    ASSERT(out != NULL);
    print_config(c, out);
    fclose(out);
    again = config_parse("again.yaml", (struct str){text, len}, env, &problems);
    ASSERT(again != NULL);
    ASSERT(config_equal(c, again));
    ASSERT(problems.found[PROBLEM_WARNING] <= warnings);
    config_free(&again);
    problems_fini(&problems);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str yaml = {(const char *)data, size};
    struct problems problems = {.n = 0};
    struct config *c = config_parse("fuzz.yaml", yaml, env, &problems);

    ASSERT((c == NULL) == problems_have_errors(&problems));
    check_problems(&problems, yaml);
    if (c != NULL)
        check_round_trip(c, problems.found[PROBLEM_WARNING]);
    config_free(&c);
    problems_fini(&problems);
    return 0;
}

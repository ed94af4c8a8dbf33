#include "daemon/tests/config_support.h"

#include "daemon/alloc.h"

#include <stdio.h>

static struct problems problems;
static char *text;

struct config *read_config(const char *yaml, char *const *env)
{
    static char *const none[] = {NULL};

    forget_problems();
    return config_parse("f.yaml", str_from(yaml), env != NULL ? env : none, &problems);
}

const char *last_problems(void)
{
    size_t len;
    FILE *out;

    free(text);
    out = open_memstream(&text, &len);
    problems_write(&problems, out);
    fclose(out);
    return text;
}

size_t last_warnings(void)
{
    return problems.found[PROBLEM_WARNING];
}

void forget_problems(void)
{
    problems_fini(&problems);
    free(text);
    text = NULL;
}

char *read_whole(const char *path)
{
    char *content = NULL;
    size_t size = 0;
    FILE *in = fopen(path, "r");
    ssize_t len = in != NULL ? getdelim(&content, &size, EOF, in) : -1;

    if (in != NULL)
        fclose(in);
    if (len >= 0)
        return content;
    free(content);
    return NULL;
}

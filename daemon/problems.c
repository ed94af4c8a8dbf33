#include "daemon/problems.h"

#include "base/log.h"
#include "daemon/alloc.h"

#include <inttypes.h>
#include <stdarg.h>

void problems_add(struct problems *p, enum problem_kind kind, struct position at,
                  const char *format, ...)
{
    struct problem *new;
    va_list args;

    if (++p->found[kind] > PROBLEMS_MAX)
        return;
    new = &p->list[p->n++];
    *new = (struct problem){.kind = kind, .at = at};
    new->at.file = alloc_text(str_from(at.file));
    va_start(args, format);
    int len = vasprintf(&new->text, format, args);
    va_end(args);
    ASSERT(len >= 0);
}

static int by_position(const void *left, const void *right)
{
    const struct position *a = &((const struct problem *)left)->at;
    const struct position *b = &((const struct problem *)right)->at;

    if ((a->line == 0) != (b->line == 0))
        return a->line == 0 ? 1 : -1;
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    if (a->column != b->column)
        return a->column < b->column ? -1 : 1;
    return 0;
}

void problems_sort(struct problems *p)
{
    qsort(p->list, p->n, sizeof p->list[0], by_position);
}

static void write_position(struct position at, FILE *out)
{
    fprintf(out, "%s:", at.file);
    if (at.line > 0)
        fprintf(out, "%" PRIu32 ":%" PRIu32 ":", at.line, at.column);
}

static void write_rest(size_t found, const char *what, FILE *out)
{
    if (found > PROBLEMS_MAX)
        fprintf(out, "and %zu more %s\n", found - PROBLEMS_MAX, what);
}

void problems_write(const struct problems *p, FILE *out)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct problem *one = &p->list[i];

        write_position(one->at, out);
        fprintf(out, " %s%s\n", one->kind == PROBLEM_WARNING ? "warning: " : "", one->text);
    }
    write_rest(p->found[PROBLEM_ERROR], "errors", out);
    write_rest(p->found[PROBLEM_WARNING], "warnings", out);
}

void problems_log(const struct problems *p)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct problem *one = &p->list[i];

        if (one->kind == PROBLEM_WARNING)
            LOG(LOG_WARN, "config.warning", LOG_TXT("file", one->at.file),
                LOG_UINT("line", one->at.line), LOG_UINT("column", one->at.column),
                LOG_TXT("text", one->text));
        else
            LOG(LOG_ERROR, "config.error", LOG_TXT("file", one->at.file),
                LOG_UINT("line", one->at.line), LOG_UINT("column", one->at.column),
                LOG_TXT("text", one->text));
    }
}

void problems_fini(struct problems *p)
{
    for (size_t i = 0; i < p->n; i++) {
        free((char *)p->list[i].at.file);
        free(p->list[i].text);
    }
    *p = (struct problems){.n = 0};
}

/* problems: what is wrong with a configuration, and where. Reading goes on after an error, so that
 * one run shows all of them. */
#ifndef DAEMON_PROBLEMS_H
#define DAEMON_PROBLEMS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define PROBLEMS_MAX 20 /* errors that are kept, and as many warnings; the others are counted */

enum problem_kind { PROBLEM_ERROR, PROBLEM_WARNING };

struct position {
    const char *file; /* or "environment:NAME" */
    uint32_t line;    /* from 1; 0: it has no lines */
    uint32_t column;  /* from 1, in characters */
};

struct problem {
    enum problem_kind kind;
    struct position at; /* file is owned */
    char *text;
};

/* Zeroed: no problems. */
struct problems {
    struct problem list[2 * PROBLEMS_MAX];
    size_t n;
    size_t found[2]; /* of each kind, kept or not */
};

/* at.file is copied. */
__attribute__((format(printf, 4, 5))) void problems_add(struct problems *p, enum problem_kind kind,
                                                        struct position at, const char *format,
                                                        ...);

static inline bool problems_have_errors(const struct problems *p)
{
    return p->found[PROBLEM_ERROR] > 0;
}

/* No further error would be kept: reading may end. */
static inline bool problems_full(const struct problems *p)
{
    return p->found[PROBLEM_ERROR] >= PROBLEMS_MAX;
}

/* By position; those without lines come last. */
void problems_sort(struct problems *p);

/* One line each: "frysd.yaml:12:5: TEXT"; warnings begin with "warning: ". */
void problems_write(const struct problems *p, FILE *out);

/* The same into the log, as config.error and config.warning. */
void problems_log(const struct problems *p);

void problems_fini(struct problems *p);
#endif

/* case: one function that shows some statements, and the tables of all of them. */
#ifndef CONFORMANCE_CASE_H
#define CONFORMANCE_CASE_H
#include <stddef.h>

struct scene;

enum case_flag {
    ONLY_WEBSOCKET = 1, /* runs for ws:// and wss:// */
    ONLY_TLS = 2,
    SLOW = 4,      /* takes seconds, because time must pass: these begin first */
    VERY_SLOW = 8, /* takes more than ten: runs with --slow only */
    ONCE = 16,     /* shows nothing of a version: runs in the newest one that is spoken */
};

struct test_case {
    const char *name;
    void (*run)(struct scene *s);
    /* Statements shown when run in that version; NULL: does not run in it. With ONCE, v5 has them
     * all. */
    const char *v5, *v311, *v31;
    unsigned flags; /* enum case_flag */
};

/* The cases of one file. */
struct chapter {
    const char *title;
    const struct test_case *cases;
    size_t n;
};

extern const struct chapter *const chapters[];
extern const size_t chapter_count;

/* What it shows in this version, or NULL. */
const char *case_shows(const struct test_case *c, int version);

/* What is watched in every packet that comes, whatever the case: a case of its own for the tables,
 * without a function.   monitor.c */
extern const struct test_case monitor_case;
#endif

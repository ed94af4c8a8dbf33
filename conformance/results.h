/* results: what a run has found, per target and book, a result a statement. */
#ifndef CONFORMANCE_RESULTS_H
#define CONFORMANCE_RESULTS_H
#include "conformance/scene.h"
#include "conformance/statement.h"

/* What one run of a case says. */
struct outcome {
    struct list link;
    const struct test_case *test;
    const struct target *target;
    int version;
    enum verdict verdict; /* the worst of its findings; SKIP when it was skipped */
    const char *text;     /* why; NULL when it passed */
    const char *exchange; /* the record, lines of text; NULL when not kept */
    uint64_t took_us;
};

/* What is known of a statement at a target. */
struct result {
    enum verdict verdict;
    const char *text;           /* of what decided it; NULL: it passed */
    const struct test_case *by; /* the case that decided it; NULL: none has run */
    bool shown;                 /* some case was to show it */
    bool hidden;                /* not asked for */
};

/* The books at one target; of MQTT only those of a version that was run. */
struct sheet {
    const struct target *target;
    enum book book;
    bool used;
    const char *refused;      /* the version is not spoken: why */
    struct result *rows;      /* as in the book */
    unsigned count[FAIL + 1]; /* results by verdict */
};

struct results {
    struct arena arena;
    struct list outcomes; /* struct outcome */
    struct sheet *sheets; /* n_targets * BOOK_COUNT */
    size_t n_targets;
    unsigned ran, failed; /* runs of cases */
};

void results_init(struct results *r, const struct target *targets, size_t n_targets);
void results_fini(struct results *r);

struct sheet *results_sheet(struct results *r, size_t target, enum book book);

/* Take in what a scene has found; keep_exchange: even if nothing is wrong. */
struct outcome *results_add(struct results *r, size_t target, struct scene *s, bool keep_exchange);

/* Fill in what no case has shown, and count. wanted: is this statement, or this case (that has
 * decided it; "" when none has), asked for? Others are hidden. */
void results_finish(struct results *r, bool (*wanted)(void *arg, const char *id, const char *test),
                    void *arg);

#endif

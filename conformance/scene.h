/* scene: one run of one case, in one version against one target: its clients, the record of what
 * they sent and got, and what was found. Belongs to one thread.
 *
 * A case is written straight on and waits for events. What must hold is stated with MUST(): when it
 * does not, the statements concerned fail and the case ends there, by a jump out of it. */
#ifndef CONFORMANCE_SCENE_H
#define CONFORMANCE_SCENE_H
#include "base/list.h"
#include "conformance/case.h"
#include "conformance/features.h"
#include "conformance/target.h"

#include <setjmp.h>

struct client;

enum verdict { SKIP, PASS, WARN, FAIL }; /* a higher one outdoes a lower one */

/* "PASS" and so on. */
const char *verdict_name(enum verdict v);

/* Where a case runs. */
struct stage {
    const struct target *target;
    const struct features *features; /* of the target in this version */
    const struct target *targets;    /* all of the command line: of one server */
    size_t n_targets;
    int version;
    uint64_t patience_us;     /* how long to wait for what must come */
    const char *denied_topic; /* that the server lets nobody publish to; NULL: unknown */
    const char *auth_method;  /* enhanced authentication that the server knows; NULL: none */
    const char *auth_data;    /* what the client sends, comma-separated, one per step */
    const char *run;          /* letters and digits, different in every run of the program */
    unsigned number;          /* of the scene in this run */
    void *arg;                /* for the case, when it is one of the runner's own */
};

struct finding {
    struct list link;
    enum verdict verdict;   /* any but PASS */
    const char *statements; /* identifiers as in struct test_case; NULL: all of the case's */
    const char *text;
};

struct record_line {
    struct list link;
    uint64_t at_us;  /* since the scene began */
    const char *who; /* "c1"; "" for the scene itself */
    char mark;       /* '>' sent, '<' received, '-' anything else */
    const char *text;
};

struct scene {
    struct stage at;
    const struct test_case *test;
    int version;
    struct arena arena;
    uint64_t start_us;
    jmp_buf end;
    struct list clients, findings, record, leftovers;
    unsigned n_clients, n_connections, n_lines;
    bool cleaning;         /* the case is over, what it left is being removed */
    uint64_t random;       /* state of the generator */
    char tag[24];          /* in every topic and client identifier of this scene, and in no other */
    const char *skipped;   /* why; NULL: it was not */
    const char *cut_short; /* a check failed and ended it: which; NULL: none did */
    const char *retry;     /* this machine was too slow for a verdict: why; NULL: it was not */
    uint64_t seen, broken; /* rules of monitor.c */
};

/* Run the case; afterwards the scene holds what was found, until scene_fini(). */
void scene_run(struct scene *s, const struct stage *at, const struct test_case *test);
void scene_fini(struct scene *s);

/* ---- for cases ---- */

/* The case ends: these statements (NULL: all of the case's) are broken. */
_Noreturn void scene_fail(struct scene *s, const char *statements, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* It ends without a verdict: the feature is absent, or nothing could be seen. */
_Noreturn void scene_skip(struct scene *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* It ends and is run again: this machine took too long between two steps. */
_Noreturn void scene_retry(struct scene *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What should be otherwise, but need not be. */
void scene_warn(struct scene *s, const char *statements, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* These statements of the case get no verdict; it goes on. */
void scene_skip_some(struct scene *s, const char *statements, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A statement is broken that the case is not about; it goes on. */
void scene_violation(struct scene *s, const char *statements, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define MUST(s, condition, ...)                 \
    do {                                        \
        if (!(condition))                       \
            scene_fail((s), NULL, __VA_ARGS__); \
    } while (0)

/* The same when only some of the case's statements, or others, are concerned: RULE(). */
#define MUST_BY(s, statements, condition, ...)          \
    do {                                                \
        if (!(condition))                               \
            scene_fail((s), (statements), __VA_ARGS__); \
    } while (0)

/* The same, but the case goes on: for what is beside its point. */
#define CHECK_BY(s, statements, condition, ...)              \
    do {                                                     \
        if (!(condition))                                    \
            scene_violation((s), (statements), __VA_ARGS__); \
    } while (0)

#define SHOULD(s, condition, ...)               \
    do {                                        \
        if (!(condition))                       \
            scene_warn((s), NULL, __VA_ARGS__); \
    } while (0)

#define NEED(s, condition, ...)           \
    do {                                  \
        if (!(condition))                 \
            scene_skip((s), __VA_ARGS__); \
    } while (0)

/* Identifiers by version: RULE(s, "3.8.4-1", "3.8.4-1"). In 3.1 all of the case's are meant. */
#define RULE(s, v5, v311) \
    ((s)->version == MQTT_V5 ? (v5) : (s)->version == MQTT_V311 ? (v311) : NULL)

/* A line in the record; who: NULL or a client. */
void scene_note(struct scene *s, const struct client *who, char mark, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

uint64_t scene_random(struct scene *s);

/* Let every client take what comes, until something has come or it is this late (clock_us()).
 * false: it is late. */
bool scene_poll(struct scene *s, uint64_t deadline_us);

/* Let time pass, taking what comes. */
void scene_sleep(struct scene *s, uint64_t us);

/* To be removed from the server when the scene is over: a retained message, a session. */
void scene_leave_retained(struct scene *s, const char *topic);
void scene_leave_session(struct scene *s, const char *client_id);

/* A topic (or filter) that no other scene uses: "TAG/NAME". */
const char *scene_topic(struct scene *s, const char *name);

/* A new client identifier: at most 23 letters and digits. */
const char *scene_client_id(struct scene *s);

/* Does the text belong to this scene? */
bool scene_owns(const struct scene *s, struct mqtt_str text);
#endif

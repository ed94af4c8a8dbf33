#include "conformance/runner.h"

#include "conformance/clock.h"
#include "conformance/play.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ATTEMPTS 4 /* of a case for which this machine was too slow */

struct task {
    const struct test_case *test;
    size_t target;
    int version;
};

struct run {
    const struct options *options;
    struct results *results;
    const struct progress *progress;
    struct features (*features)[MQTT_V5 + 1]; /* by target and version */
    char name[8];
    bool any_case[MQTT_V5 + 1]; /* every case helps to show what was asked for */
    struct task *tasks;
    size_t n_tasks, cap_tasks, next;
    unsigned scenes, done;
    pthread_mutex_t lock; /* of next, scenes, done and results */
};

/* ---- what a target speaks ---- */

/* The first packet, or the end. */
static void probe(struct scene *s)
{
    struct features *f = s->at.arg;
    const char *error = NULL;
    struct client *c = client_try_open(s, NULL, &error);
    struct packet *p;

    if (c == NULL) {
        f->why_not = error;
        return;
    }
    client_close(c, false);
    c = join_try(s, &(struct join){.id = NULL});
    while (list_empty(&c->inbox) && !c->ended)
        if (!scene_poll(s, clock_us() + s->at.patience_us)) {
            f->why_not = "does not answer a CONNECT";
            return;
        }
    p = client_find(c, MQTT_CONNACK);
    features_assume(f);
    if (list_empty(&c->inbox)) {
        f->why_not = "closes the connection upon CONNECT";
    } else if (p != NULL && p->as.connack.reason != 0) {
        f->why_not = arena_printf(&s->arena, "answers CONNECT with %s",
                                  describe_packet(&s->arena, &p->as, c->version));
    } else if (p != NULL && c->version == MQTT_V5) {
        features_take(f, &p->as.connack);
    }
    f->spoken = f->why_not == NULL; /* an answer that is wrong is for the cases to judge */
}

static const struct test_case probe_case = {.name = "probe", .run = probe};

static struct stage make_stage(struct run *r, size_t target, int version)
{
    const struct options *o = r->options;

    return (struct stage){.target = &o->targets[target],
                          .features = &r->features[target][version],
                          .targets = o->targets,
                          .n_targets = o->n_targets,
                          .version = version,
                          .patience_us = o->timeout_ms * 1000ull,
                          .denied_topic = o->denied_topic,
                          .auth_method = o->auth_method,
                          .auth_data = o->auth_data,
                          .run = r->name,
                          .number = ++r->scenes};
}

static void probe_version(struct run *r, size_t target, int version)
{
    struct features *f = &r->features[target][version];
    struct stage at = make_stage(r, target, version);
    struct scene *s = arena_alloc(&r->results->arena, sizeof *s);

    features_assume(f);
    at.arg = f;
    scene_run(s, &at, &probe_case);
    if (f->why_not != NULL)
        f->why_not = arena_printf(&r->results->arena, "%s", f->why_not);
    scene_fini(s);
}

/* 3.x has no way to say what a server has: what it says in 5.0 holds, and what the user says. */
static void adjust(struct run *r, size_t target, int version)
{
    struct features *f = &r->features[target][version];
    const struct options *o = r->options;

    if (version != MQTT_V5 && r->features[target][MQTT_V5].spoken) {
        *f = r->features[target][MQTT_V5];
        f->announces = false;
    }
    if (o->without_qos1 || o->without_qos2)
        f->maximum_qos = o->without_qos1 ? 0 : 1;
    f->retain = f->retain && !o->without_retain;
    f->wildcard = f->wildcard && !o->without_wildcard;
}

static const char *probe_target(struct run *r, size_t target)
{
    struct features *f = r->features[target];
    bool any = false;

    for (int version = MQTT_V5; version >= MQTT_V31; version--)
        probe_version(r, target, version);
    for (int version = MQTT_V31; version <= MQTT_V311; version++)
        if (f[version].spoken)
            adjust(r, target, version);
    for (int version = MQTT_V31; version <= MQTT_V5; version++)
        any = any || f[version].spoken;
    return any ? NULL
               : arena_printf(&r->results->arena, "%s: %s", r->options->targets[target].name,
                              f[MQTT_V311].why_not);
}

/* ---- what there is to do ---- */

static int newest(const struct run *r, size_t target)
{
    for (int version = MQTT_V5; version >= MQTT_V31; version--)
        if (r->features[target][version].spoken && (r->options->versions >> version & 1) != 0)
            return version;
    return 0;
}

static bool shows_wanted(const struct options *o, const char *list)
{
    char id[STATEMENT_ID_MAX];

    while (statement_next(&list, id))
        if (options_wanted(o, id))
            return true;
    return false;
}

/* Is a statement asked for that only the monitor shows? Any case may bring it up then. */
static bool any_case_helps(const struct options *o, int version)
{
    const char *list = case_shows(&monitor_case, version);
    char id[STATEMENT_ID_MAX];

    while (o->n_patterns > 0 && statement_next(&list, id)) {
        bool shown = false;

        for (size_t i = 0; i < chapter_count; i++)
            for (size_t j = 0; j < chapters[i]->n; j++)
                shown = shown || statement_listed(case_shows(&chapters[i]->cases[j], version), id);
        if (!shown && options_wanted(o, id))
            return true;
    }
    return false;
}

static bool applies(const struct run *r, const struct test_case *test, size_t target, int version)
{
    const struct target *t = &r->options->targets[target];
    const char *list = case_shows(test, version);

    if (list == NULL || !r->features[target][version].spoken ||
        ((test->flags & ONCE) != 0 && version != newest(r, target)) ||
        ((test->flags & ONLY_WEBSOCKET) != 0 && !t->websocket) ||
        ((test->flags & ONLY_TLS) != 0 && !t->tls) ||
        ((test->flags & VERY_SLOW) != 0 && !r->options->slow))
        return false;
    return r->any_case[version] || options_wanted(r->options, test->name) ||
           shows_wanted(r->options, list);
}

static void add_task(struct run *r, const struct task *t)
{
    if (r->n_tasks == r->cap_tasks) {
        size_t cap = 2 * r->cap_tasks + 256;

        r->tasks =
            arena_grow(&r->results->arena, r->tasks, r->n_tasks * sizeof *t, cap * sizeof *t);
        r->cap_tasks = cap;
    }
    r->tasks[r->n_tasks++] = *t;
}

/* Those that take long, or the others. */
static void add_tasks(struct run *r, bool slow)
{
    for (size_t i = 0; i < chapter_count; i++)
        for (size_t j = 0; j < chapters[i]->n; j++) {
            const struct test_case *test = &chapters[i]->cases[j];

            if (((test->flags & (SLOW | VERY_SLOW)) != 0) != slow)
                continue;
            for (size_t t = 0; t < r->options->n_targets; t++)
                for (int version = MQTT_V5; version >= MQTT_V31; version--)
                    if ((r->options->versions >> version & 1) != 0 && applies(r, test, t, version))
                        add_task(r, &(struct task){test, t, version});
        }
}

/* Versions that were asked for and are not spoken have a sheet all the same: it says why. */
static void note_refused(struct run *r)
{
    for (size_t t = 0; t < r->options->n_targets; t++)
        for (int version = MQTT_V31; version <= MQTT_V5; version++) {
            struct sheet *sheet = results_sheet(r->results, t, statement_book(version, "MQTT-"));

            if ((r->options->versions >> version & 1) == 0 || r->features[t][version].spoken)
                continue;
            sheet->used = true;
            sheet->refused =
                arena_printf(&r->results->arena, "the server does not speak MQTT %s: it %s",
                             describe_version(version), r->features[t][version].why_not);
        }
}

/* ---- doing it ---- */

static bool take_task(struct run *r, struct task *out, struct stage *at)
{
    bool there;

    pthread_mutex_lock(&r->lock);
    there = r->next < r->n_tasks * r->options->repeat;
    if (there) {
        *out = r->tasks[r->next++ % r->n_tasks];
        *at = make_stage(r, out->target, out->version);
    }
    pthread_mutex_unlock(&r->lock);
    return there;
}

static void hand_in(struct run *r, const struct task *t, struct scene *s)
{
    const struct outcome *o;

    pthread_mutex_lock(&r->lock);
    o = results_add(r->results, t->target, s, r->options->verbose);
    r->done++;
    if (r->progress->report != NULL)
        r->progress->report(r->progress->arg, o, r->done,
                            (unsigned)r->n_tasks * r->options->repeat);
    pthread_mutex_unlock(&r->lock);
}

static void run_task(struct run *r, const struct task *t, struct stage *at, struct scene *s)
{
    for (unsigned attempt = 1;; attempt++) {
        scene_run(s, at, t->test);
        if (s->retry == NULL || attempt == ATTEMPTS)
            break;
        scene_fini(s);
        pthread_mutex_lock(&r->lock);
        at->number = ++r->scenes;
        pthread_mutex_unlock(&r->lock);
    }
    if (s->retry != NULL)
        s->skipped = arena_printf(&s->arena, "this machine is too slow: %s", s->retry);
    hand_in(r, t, s);
    scene_fini(s);
}

static void *work(void *arg)
{
    struct run *r = arg;
    struct scene *s = calloc(1, sizeof *s);
    struct stage at;
    struct task t;

    ASSERT(s != NULL);
    while (take_task(r, &t, &at))
        run_task(r, &t, &at, s);
    free(s);
    return NULL;
}

static void run_all(struct run *r)
{
    unsigned n = r->options->jobs, started = 0;
    pthread_t threads[256];

    while (started < n && pthread_create(&threads[started], NULL, work, r) == 0)
        started++;
    if (started == 0)
        work(r);
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
}

/* Six letters and digits that differ from run to run. */
static void name_run(struct run *r)
{
    uint64_t n = (clock_us() * 0x9e3779b97f4a7c15) ^ ((uint64_t)getpid() << 32);

    for (unsigned i = 0; i < 6; i++, n /= 36)
        r->name[i] = "0123456789abcdefghijklmnopqrstuvwxyz"[n % 36];
}

const char *runner_run(const struct options *o, struct results *results, const struct progress *p)
{
    struct run r = {.options = o, .results = results, .progress = p};
    const char *error;

    name_run(&r);
    pthread_mutex_init(&r.lock, NULL);
    r.features = arena_alloc(&results->arena, o->n_targets * sizeof *r.features);
    for (size_t t = 0; t < o->n_targets; t++)
        if ((error = probe_target(&r, t)) != NULL)
            return error;
    note_refused(&r);
    for (int version = MQTT_V31; version <= MQTT_V5; version++)
        r.any_case[version] = any_case_helps(o, version);
    add_tasks(&r, true);
    add_tasks(&r, false);
    if (r.n_tasks > 0)
        run_all(&r);
    pthread_mutex_destroy(&r.lock);
    return NULL;
}

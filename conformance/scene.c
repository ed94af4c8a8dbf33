/* scene: the life of one run of a case. */
#include "conformance/scene.h"

#include "conformance/cleanup.h"
#include "conformance/client.h"
#include "conformance/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#define MAX_CLIENTS 1200

/* ---- findings ---- */

const char *verdict_name(enum verdict v)
{
    static const char *const names[] = {
        [SKIP] = "SKIP", [PASS] = "PASS", [WARN] = "WARN", [FAIL] = "FAIL"};

    return names[v];
}

static void add_finding(struct scene *s, enum verdict verdict, const char *statements,
                        const char *format, va_list args)
{
    struct finding *f = arena_alloc(&s->arena, sizeof *f);

    f->verdict = verdict;
    f->statements = statements;
    f->text = arena_vprintf(&s->arena, format, args);
    list_push_back(&s->findings, &f->link);
    scene_note(s, NULL, '-', "%s: %s", verdict_name(verdict), f->text);
}

void scene_fail(struct scene *s, const char *statements, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_finding(s, FAIL, statements, format, args);
    va_end(args);
    s->cut_short = LIST_ITEM(s->findings.prev, struct finding, link)->text;
    longjmp(s->end, 1);
}

void scene_skip(struct scene *s, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    s->skipped = arena_vprintf(&s->arena, format, args);
    va_end(args);
    longjmp(s->end, 1);
}

void scene_retry(struct scene *s, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    s->retry = arena_vprintf(&s->arena, format, args);
    va_end(args);
    longjmp(s->end, 1);
}

void scene_warn(struct scene *s, const char *statements, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_finding(s, WARN, statements, format, args);
    va_end(args);
}

void scene_skip_some(struct scene *s, const char *statements, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_finding(s, SKIP, statements, format, args);
    va_end(args);
}

void scene_violation(struct scene *s, const char *statements, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add_finding(s, FAIL, statements, format, args);
    va_end(args);
}

void scene_note(struct scene *s, const struct client *who, char mark, const char *format, ...)
{
    struct record_line *line = arena_alloc(&s->arena, sizeof *line);
    va_list args;

    line->at_us = clock_us() - s->start_us;
    line->who = who == NULL ? "" : who->name;
    line->mark = mark;
    va_start(args, format);
    line->text = arena_vprintf(&s->arena, format, args);
    va_end(args);
    list_push_back(&s->record, &line->link);
    s->n_lines++;
}

/* ---- names ---- */

/* splitmix64 */
uint64_t scene_random(struct scene *s)
{
    uint64_t z = (s->random += 0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

const char *scene_topic(struct scene *s, const char *name)
{
    return arena_printf(&s->arena, "%s/%s", s->tag, name);
}

const char *scene_client_id(struct scene *s)
{
    return arena_printf(&s->arena, "%s%u", s->tag, ++s->n_clients);
}

bool scene_owns(const struct scene *s, struct mqtt_str text)
{
    return text.len > 0 && memmem(text.p, text.len, s->tag, strlen(s->tag)) != NULL;
}

/* ---- waiting ---- */

static int wait_ms(uint64_t deadline_us)
{
    uint64_t now = clock_us();

    return deadline_us <= now ? 0 : (int)((deadline_us - now + 999) / 1000);
}

bool scene_poll(struct scene *s, uint64_t deadline_us)
{
    struct pollfd fds[MAX_CLIENTS];
    struct client *who[MAX_CLIENTS];
    nfds_t n = 0;

    LIST_EACH (at, &s->clients) {
        struct client *c = LIST_ITEM(at, struct client, link);

        if (c->net == NULL || c->ended || c->deaf || n == MAX_CLIENTS)
            continue;
        who[n] = c;
        fds[n++] = (struct pollfd){.fd = link_fd(c->net), .events = POLLIN};
    }
    if (poll(fds, n, wait_ms(deadline_us)) <= 0)
        return clock_us() < deadline_us;
    for (nfds_t i = 0; i < n; i++)
        if (fds[i].revents != 0)
            client_read(who[i]);
    return true;
}

void scene_sleep(struct scene *s, uint64_t us)
{
    uint64_t until = clock_us() + us;

    scene_note(s, NULL, '-', "%.1f s pass", (double)us / 1e6);
    while (clock_us() < until)
        scene_poll(s, until);
}

/* ---- the run ---- */

static void begin(struct scene *s, const struct stage *at, const struct test_case *test)
{
    *s = (struct scene){.at = *at, .test = test, .version = at->version};
    s->start_us = clock_us();
    s->random = s->start_us ^ (uint64_t)at->number << 40 ^ (uint64_t)getpid() << 20;
    list_init(&s->clients);
    list_init(&s->findings);
    list_init(&s->record);
    list_init(&s->leftovers);
    snprintf(s->tag, sizeof s->tag, "fc%s%ux", at->run, at->number);
}

static void close_all(struct scene *s)
{
    LIST_EACH (at, &s->clients)
        client_close(LIST_ITEM(at, struct client, link), false);
}

void scene_run(struct scene *s, const struct stage *at, const struct test_case *test)
{
    begin(s, at, test);
    if (setjmp(s->end) == 0)
        test->run(s);
    close_all(s);
    cleanup_run(s);
    close_all(s);
}

void scene_fini(struct scene *s)
{
    close_all(s);
    arena_fini(&s->arena);
}

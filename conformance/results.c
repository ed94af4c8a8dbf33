#include "conformance/results.h"

#include "conformance/clock.h"
#include "conformance/monitor.h"

#include <stdio.h>

void results_init(struct results *r, const struct target *targets, size_t n_targets)
{
    *r = (struct results){.n_targets = n_targets};
    list_init(&r->outcomes);
    r->sheets = arena_alloc(&r->arena, n_targets * BOOK_COUNT * sizeof *r->sheets);
    for (size_t t = 0; t < n_targets; t++)
        for (unsigned b = 0; b < BOOK_COUNT; b++) {
            struct sheet *sheet = results_sheet(r, t, (enum book)b);

            sheet->target = &targets[t];
            sheet->book = (enum book)b;
            sheet->rows =
                arena_alloc(&r->arena, (statement_count((enum book)b) + 1) * sizeof *sheet->rows);
        }
}

void results_fini(struct results *r)
{
    arena_fini(&r->arena);
}

struct sheet *results_sheet(struct results *r, size_t target, enum book book)
{
    return &r->sheets[target * BOOK_COUNT + book];
}

/* ---- one scene ---- */

static void judge(struct results *r, size_t target, int version, const char *id,
                  enum verdict verdict, const char *text, const struct test_case *by)
{
    struct sheet *sheet = results_sheet(r, target, statement_book(version, id));
    long i = statement_find(sheet->book, id);
    struct result *row;

    ASSERT(i >= 0);
    sheet->used = true;
    row = &sheet->rows[i];
    if (row->shown && verdict <= row->verdict)
        return;
    *row = (struct result){.verdict = verdict, .text = text, .by = by, .shown = true};
}

static void judge_list(struct results *r, size_t target, int version, const char *list,
                       enum verdict verdict, const char *text, const struct test_case *by)
{
    char id[STATEMENT_ID_MAX];

    while (statement_next(&list, id))
        judge(r, target, version, id, verdict, text, by);
}

/* The worst that was found of this statement. */
static const struct finding *worst(const struct scene *s, const char *id)
{
    const struct finding *found = NULL;

    LIST_EACH (at, &s->findings) {
        const struct finding *f = LIST_ITEM(at, struct finding, link);

        if ((f->statements == NULL || statement_listed(f->statements, id)) &&
            (found == NULL || f->verdict > found->verdict))
            found = f;
    }
    return found;
}

/* Findings about statements that the case does not name. */
static void judge_others(struct results *r, size_t target, const struct scene *s)
{
    LIST_EACH (at, &s->findings) {
        const struct finding *f = LIST_ITEM(at, struct finding, link);
        const char *text = arena_printf(&r->arena, "%s", f->text);

        if (f->statements != NULL)
            judge_list(r, target, s->version, f->statements, f->verdict, text, s->test);
    }
}

static void judge_own(struct results *r, size_t target, struct scene *s)
{
    const char *list = case_shows(s->test, s->version);
    char id[STATEMENT_ID_MAX];

    while (statement_next(&list, id)) {
        const struct finding *f = worst(s, id);
        const char *text = f != NULL ? f->text : s->skipped;

        if (f == NULL && s->skipped == NULL && s->cut_short != NULL)
            text = arena_printf(&r->arena, "not reached: %s", s->cut_short);
        judge(r, target, s->version, id,
              f != NULL      ? f->verdict
              : text != NULL ? SKIP
                             : PASS,
              text == NULL ? NULL : arena_printf(&r->arena, "%s", text), s->test);
    }
}

static const char *exchange(struct results *r, const struct scene *s)
{
    size_t size = 1, n = 0;
    char *out;

    LIST_EACH (at, &s->record)
        size += strlen(LIST_ITEM(at, struct record_line, link)->text) + 40;
    out = arena_alloc(&r->arena, size);
    LIST_EACH (at, &s->record) {
        const struct record_line *line = LIST_ITEM(at, struct record_line, link);

        n += (size_t)sprintf(out + n, "%10.3f  %-4s %c %s\n", (double)line->at_us / 1000, line->who,
                             line->mark, line->text);
    }
    return out;
}

static void sum_up(struct outcome *o, struct results *r, const struct scene *s)
{
    o->verdict = s->skipped != NULL ? SKIP : PASS;
    o->text = s->skipped;
    LIST_EACH (at, &s->findings) {
        const struct finding *f = LIST_ITEM(at, struct finding, link);

        if (f->verdict > o->verdict) {
            o->verdict = f->verdict;
            o->text = f->text;
        }
    }
    if (o->text != NULL)
        o->text = arena_printf(&r->arena, "%s", o->text);
}

struct outcome *results_add(struct results *r, size_t target, struct scene *s, bool keep_exchange)
{
    struct outcome *o = arena_alloc(&r->arena, sizeof *o);

    o->test = s->test;
    o->target = s->at.target;
    o->version = s->version;
    o->took_us = clock_us() - s->start_us;
    judge_own(r, target, s);
    judge_others(r, target, s);
    judge_list(r, target, s->version, monitor_statements(s, s->seen & ~s->broken), PASS, NULL,
               &monitor_case);
    sum_up(o, r, s);
    if (keep_exchange || o->verdict >= WARN)
        o->exchange = exchange(r, s);
    list_push_back(&r->outcomes, &o->link);
    r->ran++;
    r->failed += o->verdict == FAIL;
    return o;
}

/* ---- all of them ---- */

static void finish_row(struct sheet *sheet, const struct statement *st, struct result *row)
{
    if (row->shown)
        return;
    row->verdict = SKIP;
    if (st->untestable != NULL)
        row->text = st->untestable;
    else if (sheet->refused != NULL)
        row->text = sheet->refused;
    else if (strncmp(st->id, "MQTT-6.", 7) == 0 && !sheet->target->websocket)
        row->text = "only over WebSocket";
    else
        row->text = "not observed";
}

void results_finish(struct results *r, bool (*wanted)(void *arg, const char *id, const char *test),
                    void *arg)
{
    for (size_t i = 0; i < r->n_targets * BOOK_COUNT; i++) {
        struct sheet *sheet = &r->sheets[i];
        const struct statement *st = statement_books[sheet->book].rows;

        for (size_t j = 0; sheet->used && st[j].id != NULL; j++) {
            struct result *row = &sheet->rows[j];

            finish_row(sheet, &st[j], row);
            row->hidden = !wanted(arg, st[j].id, row->by == NULL ? "" : row->by->name);
            if (!row->hidden)
                sheet->count[row->verdict]++;
        }
    }
}

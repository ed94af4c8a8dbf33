/* report: what the formats share, the one for terminals, and the list. */
#include "conformance/report.h"

#include "conformance/describe.h"

#include <stdio.h>
#include <string.h>

#define EXCHANGE_LINES 60u /* of a failure that are shown: from its end */

const char *report_title(const struct sheet *sheet)
{
    return statement_books[sheet->book].title;
}

const struct outcome *report_decider(const struct results *r, const struct sheet *sheet,
                                     const struct result *row)
{
    if (row->by == NULL || row->text == NULL)
        return NULL;
    LIST_EACH (at, &r->outcomes) {
        const struct outcome *o = LIST_ITEM(at, struct outcome, link);

        if (o->test == row->by && o->target == sheet->target && o->exchange != NULL &&
            (sheet->book >= BOOK_WEBSOCKET || statement_book(o->version, "MQTT-") == sheet->book) &&
            strstr(o->exchange, row->text) != NULL)
            return o;
    }
    return NULL;
}

/* ---- terminal ---- */

static const char *paint(bool colour, enum verdict v)
{
    static const char *const codes[] = {
        [SKIP] = "\033[36m", [PASS] = "\033[32m", [WARN] = "\033[33m", [FAIL] = "\033[31m"};

    return colour ? codes[v] : "";
}

static const char *plain(bool colour)
{
    return colour ? "\033[0m" : "";
}

void report_progress(FILE *out, unsigned done, unsigned all, unsigned failed)
{
    if (done == all)
        fputs("\r\033[K", out);
    else
        fprintf(out, "\r\033[K%u of %u cases, %u failed", done, all, failed);
    fflush(out);
}

/* The last lines of a text, or all of them. */
static void put_exchange(FILE *out, const char *text, bool whole)
{
    unsigned lines = 0, skip;

    for (const char *at = text; *at != '\0'; at++)
        lines += *at == '\n';
    skip = !whole && lines > EXCHANGE_LINES ? lines - EXCHANGE_LINES : 0;
    if (skip > 0)
        fprintf(out, "      ... %u lines before\n", skip);
    while (*text != '\0') {
        size_t n = strcspn(text, "\n") + 1;

        if (skip > 0)
            skip--;
        else
            fprintf(out, "      %.*s", (int)n, text);
        text += n;
    }
}

static void put_outcome(FILE *out, const struct outcome *o, bool colour, bool whole)
{
    fprintf(out, "\n%s%s%s  %s, MQTT %s, %s (%.2f s)\n", paint(colour, o->verdict),
            verdict_name(o->verdict), plain(colour), o->test->name, describe_version(o->version),
            o->target->name, (double)o->took_us / 1e6);
    if (o->text != NULL)
        fprintf(out, "      %s\n", o->text);
    if (case_shows(o->test, o->version)[0] != '\0')
        fprintf(out, "      shows %s\n", case_shows(o->test, o->version));
    if (o->exchange != NULL)
        put_exchange(out, o->exchange, whole);
}

static void put_rows(FILE *out, const struct sheet *sheet, enum verdict v, bool colour)
{
    const struct statement *st = statement_books[sheet->book].rows;

    for (size_t i = 0; st[i].id != NULL; i++) {
        const struct result *row = &sheet->rows[i];

        if (row->hidden || row->verdict != v)
            continue;
        fprintf(out, "  %s%s%s %-15s %s\n", paint(colour, v), verdict_name(v), plain(colour),
                st[i].id, v == SKIP ? row->text : st[i].text);
        if (v != SKIP)
            fprintf(out, "       %-15s %s: %s\n", "", row->by->name, row->text);
    }
}

static void put_sheet(FILE *out, const struct sheet *sheet, bool colour)
{
    fprintf(out, "\n%s, %s: %u passed, %u failed, %u warned, %u skipped\n", report_title(sheet),
            sheet->target->name, sheet->count[PASS], sheet->count[FAIL], sheet->count[WARN],
            sheet->count[SKIP]);
    if (sheet->refused != NULL) {
        fprintf(out, "  %s\n", sheet->refused);
        return;
    }
    put_rows(out, sheet, FAIL, colour);
    put_rows(out, sheet, WARN, colour);
    put_rows(out, sheet, SKIP, colour);
}

void report_terminal(FILE *out, const struct results *r, bool colour, bool whole)
{
    LIST_EACH (at, &r->outcomes) {
        const struct outcome *o = LIST_ITEM(at, struct outcome, link);

        if (o->exchange != NULL)
            put_outcome(out, o, colour, whole);
    }
    for (size_t i = 0; i < r->n_targets * BOOK_COUNT; i++)
        if (r->sheets[i].used)
            put_sheet(out, &r->sheets[i], colour);
}

/* ---- list ---- */

static void list_cases(FILE *out, const char *id, int version)
{
    if (statement_listed(case_shows(&monitor_case, version), id))
        fprintf(out, " %s", monitor_case.name);
    for (size_t i = 0; i < chapter_count; i++)
        for (size_t j = 0; j < chapters[i]->n; j++)
            if (statement_listed(case_shows(&chapters[i]->cases[j], version), id))
                fprintf(out, " %s", chapters[i]->cases[j].name);
}

static void list_statement(FILE *out, const struct statement *st, int version)
{
    static const char *const bound[] = {[SERVER] = "server", [BOTH] = "both", [CLIENT] = "client"};

    fprintf(out, "%-15s %-6s %s\n", st->id, bound[st->bound], st->text);
    if (st->untestable != NULL) {
        fprintf(out, "%-22s not tested: %s\n", "", st->untestable);
        return;
    }
    fprintf(out, "%-22s", "");
    list_cases(out, st->id, version);
    fputc('\n', out);
}

void report_list(FILE *out, const struct options *o)
{
    static const int versions[] = {[BOOK_V5] = MQTT_V5,
                                   [BOOK_V311] = MQTT_V311,
                                   [BOOK_V31] = MQTT_V31,
                                   [BOOK_WEBSOCKET] = MQTT_V5,
                                   [BOOK_EXPECTED] = MQTT_V5};

    for (unsigned b = 0; b < BOOK_COUNT; b++) {
        const struct statement *rows = statement_books[b].rows;

        if (statement_books[b].version != NULL && (o->versions >> versions[b] & 1) == 0)
            continue;
        fprintf(out, "%s%s\n\n", b > 0 ? "\n" : "", statement_books[b].title);
        for (size_t i = 0; rows[i].id != NULL; i++)
            if (options_wanted(o, rows[i].id))
                list_statement(out, &rows[i], versions[b]);
    }
}

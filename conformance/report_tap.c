/* report_tap: TAP 13, https://testanything.org */
#include "conformance/report.h"

#include <string.h>

static unsigned count_rows(const struct results *r)
{
    unsigned n = 0;

    for (size_t i = 0; i < r->n_targets * BOOK_COUNT; i++)
        for (unsigned v = SKIP; v <= FAIL; v++)
            n += r->sheets[i].used ? r->sheets[i].count[v] : 0;
    return n;
}

/* A '#' would begin a directive. */
static void put_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++)
        if (*text == '#')
            fputs("\\#", out);
        else
            fputc(*text == '\n' ? ' ' : *text, out);
}

static void put_diagnostics(FILE *out, const char *text)
{
    while (*text != '\0') {
        size_t n = strcspn(text, "\n");

        fprintf(out, "# %.*s\n", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

static void put_row(FILE *out, const struct results *r, const struct sheet *sheet, size_t i,
                    unsigned number)
{
    const struct statement *st = &statement_books[sheet->book].rows[i];
    const struct result *row = &sheet->rows[i];
    const struct outcome *o = report_decider(r, sheet, row);

    fprintf(out, "%sok %u - %s, %s, %s: ", row->verdict == FAIL ? "not " : "", number, st->id,
            report_title(sheet), sheet->target->name);
    put_text(out, st->text);
    if (row->verdict == SKIP) {
        fputs(" # SKIP ", out);
        put_text(out, row->text);
    }
    fputc('\n', out);
    if (row->verdict >= WARN) {
        fprintf(out, "# %s: ", verdict_name(row->verdict));
        put_text(out, row->text);
        fputc('\n', out);
    }
    if (row->verdict == FAIL && o != NULL)
        put_diagnostics(out, o->exchange);
}

void report_tap(FILE *out, const struct results *r)
{
    unsigned number = 0;

    fprintf(out, "TAP version 13\n1..%u\n", count_rows(r));
    for (size_t i = 0; i < r->n_targets * BOOK_COUNT; i++) {
        const struct sheet *sheet = &r->sheets[i];
        size_t n = sheet->used ? statement_count(sheet->book) : 0;

        for (size_t j = 0; j < n; j++)
            if (!sheet->rows[j].hidden)
                put_row(out, r, sheet, j, ++number);
    }
}

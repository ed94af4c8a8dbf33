/* report_md: a table of all books, and one of what did not pass. */
#include "conformance/report.h"

/* A bar would end the cell. */
static void put_cell(FILE *out, const char *text)
{
    for (; *text != '\0'; text++)
        if (*text == '|')
            fputs("\\|", out);
        else
            fputc(*text == '\n' ? ' ' : *text, out);
}

static void put_rows(FILE *out, const struct sheet *sheet, enum verdict v)
{
    const struct statement *st = statement_books[sheet->book].rows;

    for (size_t i = 0; st[i].id != NULL; i++) {
        const struct result *row = &sheet->rows[i];

        if (row->hidden || row->verdict != v)
            continue;
        fprintf(out, "| %s | %s | %s | ", st[i].id, report_title(sheet), verdict_name(v));
        put_cell(out, sheet->target->name);
        fputs(" | ", out);
        put_cell(out, st[i].text);
        fputs(" | ", out);
        put_cell(out, row->text);
        fputs(" |\n", out);
    }
}

void report_md(FILE *out, const struct results *r)
{
    static const enum verdict order[] = {FAIL, WARN, SKIP};

    fputs("| Server | Standard | Passed | Failed | Warned | Skipped |\n"
          "|---|---|---:|---:|---:|---:|\n",
          out);
    for (size_t i = 0; i < r->n_targets * BOOK_COUNT; i++) {
        const struct sheet *sheet = &r->sheets[i];

        if (!sheet->used)
            continue;
        fputs("| ", out);
        put_cell(out, sheet->target->name);
        fprintf(out, " | %s | %u | %u | %u | %u |\n", report_title(sheet), sheet->count[PASS],
                sheet->count[FAIL], sheet->count[WARN], sheet->count[SKIP]);
    }
    fputs("\n| Statement | Standard | Verdict | Server | What it says | What was seen |\n"
          "|---|---|---|---|---|---|\n",
          out);
    for (size_t k = 0; k < 3; k++)
        for (size_t i = 0; i < r->n_targets * BOOK_COUNT; i++)
            if (r->sheets[i].used && r->sheets[i].refused == NULL)
                put_rows(out, &r->sheets[i], order[k]);
}

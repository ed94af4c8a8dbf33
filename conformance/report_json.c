/* report_json: all that is known, for programs.
 *
 *     {"results": [{"url", "book", "refused", "passed", "failed", "warned", "skipped",
 *                   "statements": [{"id", "verdict", "text", "reason", "case"}]}],
 *      "cases": [{"case", "version", "url", "verdict", "reason", "seconds", "exchange"}]} */
#include "conformance/describe.h"
#include "conformance/report.h"

static void put_string(FILE *out, const char *text)
{
    if (text == NULL) {
        fputs("null", out);
        return;
    }
    fputc('"', out);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c < 0x20)
            fprintf(out, "\\u%04x", c);
        else
            fputc(c, out);
    }
    fputc('"', out);
}

static void put_field(FILE *out, const char *name, const char *text)
{
    fprintf(out, "\"%s\": ", name);
    put_string(out, text);
}

static void put_row(FILE *out, const struct sheet *sheet, size_t i)
{
    const struct statement *st = &statement_books[sheet->book].rows[i];
    const struct result *row = &sheet->rows[i];

    fputs("      {", out);
    put_field(out, "id", st->id);
    fprintf(out, ", \"verdict\": \"%s\", ", verdict_name(row->verdict));
    put_field(out, "text", st->text);
    fputs(", ", out);
    put_field(out, "reason", row->text);
    fputs(", ", out);
    put_field(out, "case", row->by == NULL ? NULL : row->by->name);
    fputc('}', out);
}

static void put_sheet(FILE *out, const struct sheet *sheet)
{
    size_t n = statement_count(sheet->book);
    const char *between = "\n";

    fputs("    {", out);
    put_field(out, "url", sheet->target->name);
    fputs(", ", out);
    put_field(out, "book", report_title(sheet));
    fputs(", ", out);
    put_field(out, "refused", sheet->refused);
    fprintf(out, ",\n     \"passed\": %u, \"failed\": %u, \"warned\": %u, \"skipped\": %u,\n",
            sheet->count[PASS], sheet->count[FAIL], sheet->count[WARN], sheet->count[SKIP]);
    fputs("     \"statements\": [", out);
    for (size_t i = 0; i < n; i++) {
        if (sheet->rows[i].hidden)
            continue;
        fputs(between, out);
        put_row(out, sheet, i);
        between = ",\n";
    }
    fputs("]}", out);
}

static void put_outcome(FILE *out, const struct outcome *o)
{
    fputs("    {", out);
    put_field(out, "case", o->test->name);
    fprintf(out, ", \"version\": \"%s\", ", describe_version(o->version));
    put_field(out, "url", o->target->name);
    fprintf(out, ", \"verdict\": \"%s\", ", verdict_name(o->verdict));
    put_field(out, "reason", o->text);
    fprintf(out, ", \"seconds\": %.3f, ", (double)o->took_us / 1e6);
    put_field(out, "exchange", o->exchange);
    fputc('}', out);
}

void report_json(FILE *out, const struct results *r)
{
    const char *between = "\n";

    fputs("{\n  \"results\": [", out);
    for (size_t i = 0; i < r->n_targets * BOOK_COUNT; i++) {
        if (!r->sheets[i].used)
            continue;
        fputs(between, out);
        put_sheet(out, &r->sheets[i]);
        between = ",\n";
    }
    fputs("],\n  \"cases\": [", out);
    between = "\n";
    LIST_EACH (at, &r->outcomes) {
        fputs(between, out);
        put_outcome(out, LIST_ITEM(at, struct outcome, link));
        between = ",\n";
    }
    fputs("]\n}\n", out);
}

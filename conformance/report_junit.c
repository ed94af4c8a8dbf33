/* report_junit: what CI systems read. */
#include "conformance/report.h"

static void put_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++)
        switch (*text) {
        case '&': fputs("&amp;", out); break;
        case '<': fputs("&lt;", out); break;
        case '>': fputs("&gt;", out); break;
        case '"': fputs("&quot;", out); break;
        default:
            if ((unsigned char)*text >= 0x20 || *text == '\n' || *text == '\t')
                fputc(*text, out);
            else
                fputc('?', out); /* XML 1.0 has no form for it */
        }
}

static void put_element(FILE *out, const char *element, const struct result *row,
                        const struct outcome *o)
{
    fprintf(out, "      <%s message=\"", element);
    put_text(out, row->text);
    fputs("\">", out);
    if (o != NULL) {
        fputc('\n', out);
        put_text(out, o->exchange);
    }
    fprintf(out, "</%s>\n", element);
}

static void put_row(FILE *out, const struct results *r, const struct sheet *sheet, size_t i)
{
    const struct statement *st = &statement_books[sheet->book].rows[i];
    const struct result *row = &sheet->rows[i];

    fprintf(out, "    <testcase classname=\"%s\" name=\"%s\"", report_title(sheet), st->id);
    if (row->verdict == PASS) {
        fputs("/>\n", out);
        return;
    }
    fputs(">\n", out);
    if (row->verdict == FAIL)
        put_element(out, "failure", row, report_decider(r, sheet, row));
    else if (row->verdict == SKIP)
        put_element(out, "skipped", row, NULL);
    else {
        fputs("      <system-out>", out);
        put_text(out, row->text);
        fputs("</system-out>\n", out);
    }
    fputs("    </testcase>\n", out);
}

static void put_sheet(FILE *out, const struct results *r, const struct sheet *sheet)
{
    unsigned all =
        sheet->count[PASS] + sheet->count[WARN] + sheet->count[SKIP] + sheet->count[FAIL];
    size_t n = statement_count(sheet->book);

    fprintf(out, "  <testsuite name=\"%s, ", report_title(sheet));
    put_text(out, sheet->target->name);
    fprintf(out, "\" tests=\"%u\" failures=\"%u\" skipped=\"%u\">\n", all, sheet->count[FAIL],
            sheet->count[SKIP]);
    for (size_t i = 0; i < n; i++)
        if (!sheet->rows[i].hidden)
            put_row(out, r, sheet, i);
    fputs("  </testsuite>\n", out);
}

void report_junit(FILE *out, const struct results *r)
{
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"frys-conformance\">\n",
          out);
    for (size_t i = 0; i < r->n_targets * BOOK_COUNT; i++)
        if (r->sheets[i].used)
            put_sheet(out, r, &r->sheets[i]);
    fputs("</testsuites>\n", out);
}

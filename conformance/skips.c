#include "conformance/skips.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

struct patterns {
    struct arena arena;
    const char *text[512];
    size_t n;
};

static bool read_patterns(struct patterns *p, const char *file, FILE *err)
{
    FILE *in = fopen(file, "re");
    char line[512];

    if (in == NULL) {
        fprintf(err, "frys-conformance: %s: %s\n", file, strerror(errno));
        return false;
    }
    while (p->n < sizeof p->text / sizeof p->text[0] && fgets(line, sizeof line, in) != NULL) {
        size_t n = strcspn(line, " \t\r\n");

        if (n > 0 && line[0] != '#')
            p->text[p->n++] = arena_printf(&p->arena, "%.*s", (int)n, line);
    }
    fclose(in);
    return true;
}

static bool listed(const struct patterns *p, const char *id)
{
    for (size_t i = 0; i < p->n; i++)
        if (fnmatch(p->text[i], id, 0) == 0)
            return true;
    return false;
}

static bool row_is_fine(const struct patterns *p, const struct sheet *sheet, size_t i, FILE *err)
{
    const struct statement *st = &statement_books[sheet->book].rows[i];
    const struct result *row = &sheet->rows[i];

    if (row->hidden || row->verdict == PASS || st->untestable != NULL ||
        (row->verdict == SKIP && listed(p, st->id)))
        return true;
    fprintf(err, "strict: %s %s (%s, %s): %s\n", verdict_name(row->verdict), st->id,
            statement_books[sheet->book].title, sheet->target->name, row->text);
    return false;
}

bool skips_strict(const struct results *r, const char *file, FILE *err)
{
    struct patterns p = {.n = 0};
    bool fine = file == NULL || read_patterns(&p, file, err);

    for (size_t i = 0; i < r->n_targets * BOOK_COUNT; i++) {
        const struct sheet *sheet = &r->sheets[i];
        size_t n = sheet->used ? statement_count(sheet->book) : 0;

        for (size_t j = 0; j < n; j++)
            fine = row_is_fine(&p, sheet, j, err) && fine;
    }
    arena_fini(&p.arena);
    return fine;
}

#include "storage/tests/import_support.h"

#include "base/assert.h"
#include "storage/tests/dir_support.h"
#include "storage/tests/records_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool has(struct str s, char c)
{
    return s.len > 0 && memchr(s.p, c, s.len) != NULL;
}

static bool is_text(struct str s)
{
    return s.len <= UINT16_MAX && !has(s, '\0') && !has(s, '\xff');
}

static bool is_filter(struct str s)
{
    return s.len > 0 && is_text(s);
}

static bool is_topic(struct str s)
{
    return is_filter(s) && !has(s, '+') && !has(s, '#');
}

static bool matches(struct str filter, struct str topic)
{
    while (filter.p != NULL && topic.p != NULL) {
        struct str level = str_cut(&filter, '/'), name = str_cut(&topic, '/');

        if (str_eq(level, STR("#")))
            return true;
        if (!str_eq(level, STR("+")) && !str_eq(level, name))
            return false;
    }
    return filter.p == NULL && topic.p == NULL;
}

const struct import_rules test_rules = {is_topic, is_filter, is_text, matches};

/* ---- text ---- */

struct lines {
    char **v;
    size_t n;
};

static int see(void *arg, const struct store_record *r)
{
    struct lines *l = arg;

    l->v = realloc(l->v, (l->n + 1) * sizeof *l->v);
    ASSERT(l->v != NULL);
    l->v[l->n] = NULL;
    describe(&l->v[l->n++], r);
    return 0;
}

static int by_alphabet(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char *import_text(import_read_fn *read, const char *path, uint64_t *out_skipped)
{
    struct lines l = {NULL, 0};
    struct store_error err = {""};
    int rc = read(path, &test_rules, see, &l, out_skipped, &err);
    char *text;
    size_t len;
    FILE *f = open_memstream(&text, &len);

    ASSERT(f != NULL);
    if (l.n > 0)
        qsort(l.v, l.n, sizeof *l.v, by_alphabet);
    for (size_t i = 0; i < l.n; i++) {
        if (rc == 0)
            fputs(l.v[i], f);
        free(l.v[i]);
    }
    if (rc != 0)
        fputs(err.text, f);
    free(l.v);
    fclose(f);
    return text;
}

char *import_bytes_text(import_read_fn *read, const void *data, size_t len, uint64_t *out_skipped)
{
    char dir[128], path[192], *text;

    dir_make(dir, sizeof dir);
    dir_path(path, sizeof path, dir, "file");
    file_write(path, data, len);
    text = import_text(read, path, out_skipped);
    dir_remove(dir);
    return text;
}

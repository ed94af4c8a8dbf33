/* config: the struct as a whole: made, copied, compared and freed by walking the option table. */
#include "daemon/config.h"

#include "daemon/alloc.h"
#include "daemon/build.h"
#include "daemon/config_priv.h"
#include "daemon/value.h"

#include <errno.h>
#include <unistd.h>

/* ---- a struct of one scope, with what it owns ---- */

static void free_scope(enum option_scope scope, void *base)
{
    const struct option *o = NULL;

    while ((o = options_next_field(scope, o)) != NULL) {
        if (o->type == OPTION_ITEMS)
            config__free_items(o, base);
        else
            value_clear(o, base);
    }
}

static void copy_items(const struct option *list, void *to, const void *from);

static void copy_scope(enum option_scope scope, void *to, const void *from)
{
    const struct option *o = NULL;

    while ((o = options_next_field(scope, o)) != NULL) {
        if (o->type == OPTION_ITEMS)
            copy_items(o, to, from);
        else
            value_copy(o, to, from);
    }
}

static bool equal_scope(enum option_scope scope, const void *a, const void *b)
{
    const struct option *o = NULL;

    while ((o = options_next_field(scope, o)) != NULL)
        if (o->type == OPTION_ITEMS ? !config__equal_items(o, a, b) : !value_equal(o, a, b))
            return false;
    return true;
}

/* ---- lists of maps ---- */

void *config__item(const struct option *list, const void *base, size_t i)
{
    return (char *)*value_array(base, list->offset) + i * list->size;
}

void config__free_items(const struct option *list, void *base)
{
    for (size_t i = 0; i < *value_count(base, list->count_offset); i++)
        free_scope(list->items, config__item(list, base, i));
    free(*value_array(base, list->offset));
    *value_array(base, list->offset) = NULL;
    *value_count(base, list->count_offset) = 0;
}

static void copy_items(const struct option *list, void *to, const void *from)
{
    size_t n = *value_count(from, list->count_offset);

    *value_array(to, list->offset) = alloc_zeroed(n, list->size);
    *value_count(to, list->count_offset) = n;
    for (size_t i = 0; i < n; i++)
        copy_scope(list->items, config__item(list, to, i), config__item(list, from, i));
}

bool config__equal_items(const struct option *list, const void *a, const void *b)
{
    size_t n = *value_count(a, list->count_offset);

    if (n != *value_count(b, list->count_offset))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!equal_scope(list->items, config__item(list, a, i), config__item(list, b, i)))
            return false;
    return true;
}

/* ---- all of it ---- */

void config_free(struct config **c)
{
    if (*c == NULL)
        return;
    free_scope(SCOPE_CONFIG, *c);
    free(*c);
    *c = NULL;
}

struct config *config_copy(const struct config *c)
{
    struct config *copy = alloc_zeroed(1, sizeof *copy);

    copy_scope(SCOPE_CONFIG, copy, c);
    return copy;
}

bool config_equal(const struct config *a, const struct config *b)
{
    return equal_scope(SCOPE_CONFIG, a, b);
}

/* ---- reading ---- */

void config__record(struct loader *l, const struct option *o, const void *base, struct position at)
{
    if (l->defaults)
        return;
    if ((l->n_origins & (l->n_origins - 1)) == 0) { /* 0, 1, 2, 4, 8... are full */
        size_t cap = l->n_origins > 0 ? 2 * l->n_origins : 1;

        l->origins = realloc(l->origins, cap * sizeof *l->origins);
        ASSERT(l->origins != NULL);
    }
    at.file = alloc_text(str_from(at.file));
    l->origins[l->n_origins++] = (struct origin){o, base, at};
}

const struct position *config__origin(const struct loader *l, const struct option *o,
                                      const void *base)
{
    for (size_t i = 0; i < l->n_origins; i++)
        if (l->origins[i].o == o && l->origins[i].base == base)
            return &l->origins[i].at;
    return NULL;
}

static void free_origins(struct loader *l)
{
    for (size_t i = 0; i < l->n_origins; i++)
        free((char *)l->origins[i].at.file);
    free(l->origins);
}

struct config *config_parse(const char *name, struct str yaml, char *const *env,
                            struct problems *problems)
{
    struct loader l = {.config = alloc_zeroed(1, sizeof(struct config)),
                       .problems = problems,
                       .name = name,
                       .env = env};
    struct tree_node *tree;

    config__apply_defaults(&l, SCOPE_CONFIG, l.config);
    tree = tree_read(yaml, name, problems);
    if (tree != NULL)
        config__bind(&l, tree);
    if (tree != NULL || !problems_have_errors(problems)) { /* a file that is no YAML is enough */
        config__apply_environment(&l);
        config__check(&l);
    }
    tree_free(&tree);
    free_origins(&l);
    problems_sort(problems);
    if (problems_have_errors(problems))
        config_free(&l.config);
    return l.config;
}

/* Up to one byte more than a tree may have, so that it can say so. */
static bool read_file(const char *file, char *out, size_t *out_len)
{
    FILE *in = fopen(file, "re");
    bool ok;

    if (in == NULL)
        return false;
    errno = 0;
    *out_len = fread(out, 1, TREE_MAX_SIZE + 1, in);
    ok = !ferror(in);
    fclose(in);
    return ok;
}

struct config *config_load(const char *file, char *const *env, struct problems *problems)
{
    struct config *config = NULL;
    char *text;
    size_t len;

    if (file == NULL)
        return config_parse("defaults", STR(""), env, problems);
    text = alloc_zeroed(TREE_MAX_SIZE + 1, 1);
    if (read_file(file, text, &len))
        config = config_parse(file, (struct str){text, len}, env, problems);
    else
        problems_add(problems, PROBLEM_ERROR, (struct position){file, 0, 0}, "cannot be read: %s",
                     strerror(errno));
    free(text);
    return config;
}

const char *config_find_file(const char *wanted, char *const *env)
{
    const char *named = config__variable(env, STR("FRYS_CONFIG"));

    if (wanted != NULL)
        return wanted;
    if (named != NULL)
        return named;
    return access(FRYS_CONFIG_FILE, F_OK) == 0 ? FRYS_CONFIG_FILE : NULL;
}

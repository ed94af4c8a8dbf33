/* bind: what the nodes of a tree say goes into the fields that the option table names. An error is
 * reported and passed over: the field keeps its default, and reading goes on. */
#include "daemon/alloc.h"
#include "daemon/config_priv.h"
#include "daemon/value.h"

const char *config__quote(struct str text, char out[CONFIG_QUOTED_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < text.len && n < CONFIG_QUOTED_MAX - 4; i++)
        out[n++] = text.p[i] >= 0x20 && text.p[i] < 0x7f ? text.p[i] : '?';
    strcpy(out + n, n < text.len ? "..." : "");
    return out;
}

/* ---- complaints ---- */

static void report_unknown(struct loader *l, const struct option *parent, const struct tree_node *n)
{
    const struct option *nearest = options_nearest(parent, n->key);
    const char *above = parent != NULL ? parent->path : "";
    const char *joint = parent == NULL ? "" : parent->type == OPTION_ITEMS ? "[]." : ".";
    char key[CONFIG_QUOTED_MAX];

    config__quote(n->key, key);
    if (nearest == NULL)
        problems_add(l->problems, PROBLEM_ERROR, n->key_at, "%s%s%s: unknown option", above, joint,
                     key);
    else
        problems_add(l->problems, PROBLEM_ERROR, n->key_at,
                     "%s%s%s: unknown option; did you mean \"%s\"?", above, joint, key,
                     options_is_child(parent, nearest) ? options_key(nearest) : nearest->path);
}

static void report_kind(struct loader *l, const struct option *o, const struct tree_node *n)
{
    char *want = value_expected(o);

    if (n->kind == TREE_NULL)
        problems_add(l->problems, PROBLEM_ERROR, n->key.p != NULL ? n->key_at : n->at,
                     "%s: has no value; %s", o->path, want);
    else
        problems_add(l->problems, PROBLEM_ERROR, n->at, "%s: %s, found %s", o->path, want,
                     tree_kind_name(n->kind));
    free(want);
}

static void report_value(struct loader *l, const struct option *o, struct str text,
                         const char *fault, struct position at)
{
    char quoted[CONFIG_QUOTED_MAX], *want = value_expected(o);

    problems_add(l->problems, PROBLEM_ERROR, at, "%s: \"%s\" %s; %s", o->path,
                 config__quote(text, quoted), fault, want);
    free(want);
}

/* Has a list as many items as it may have? */
static bool check_count(struct loader *l, const struct option *o, const struct tree_node *n)
{
    char *want;

    if (n->n_children >= o->min && n->n_children <= o->max)
        return true;
    want = value_expected(o);
    problems_add(l->problems, PROBLEM_ERROR, n->at, "%s: has %zu; %s", o->path, n->n_children,
                 want);
    free(want);
    return false;
}

/* ---- values ---- */

void config__bind_text(struct loader *l, const struct option *o, void *base, struct str text,
                       struct position at)
{
    const char *fault;

    config__record(l, o, base, at);
    fault = value_set(o, base, text);
    if (fault != NULL)
        report_value(l, o, text, fault, at);
}

/* The text of a scalar with its variables replaced, p to be freed; p == NULL: reported. */
static struct str text_of(struct loader *l, const struct option *o, const struct tree_node *n)
{
    char *fault = NULL;
    struct str text = config__interpolate(n->text, l->env, &fault);

    if (text.p == NULL)
        problems_add(l->problems, PROBLEM_ERROR, n->at, "%s: %s", o->path, fault);
    free(fault);
    return text;
}

static void bind_scalar(struct loader *l, const struct option *o, void *base,
                        const struct tree_node *n)
{
    struct str text = text_of(l, o, n);

    if (text.p == NULL)
        config__record(l, o, base, n->at); /* given, if not well */
    else
        config__bind_text(l, o, base, text, n->at);
    free((char *)text.p);
}

static void bind_element(struct loader *l, const struct option *o, void *base,
                         const struct tree_node *n)
{
    struct str text = text_of(l, o, n);
    const char *fault = text.p != NULL ? value_append(o, base, text) : NULL;

    if (fault != NULL)
        report_value(l, o, text, fault, n->at);
    free((char *)text.p);
}

static void bind_texts(struct loader *l, const struct option *o, void *base,
                       const struct tree_node *list)
{
    config__record(l, o, base, list->at);
    if (!check_count(l, o, list))
        return;
    value_clear(o, base);
    for (const struct tree_node *n = list->first; n != NULL; n = n->next) {
        if (n->kind == TREE_SCALAR)
            bind_element(l, o, base, n);
        else
            report_kind(l, o, n);
    }
}

/* ---- maps and lists of maps ---- */

static void bind_option(struct loader *l, const struct option *o, void *base,
                        const struct tree_node *n);

static void bind_map(struct loader *l, const struct option *parent, void *base,
                     const struct tree_node *map)
{
    for (const struct tree_node *n = map->first; n != NULL && !problems_full(l->problems);
         n = n->next) {
        const struct option *o = options_child(parent, n->key);
        const struct tree_node *first = o != NULL ? tree_find(map, n->key) : NULL;

        if (o == NULL)
            report_unknown(l, parent, n);
        else if (first != n)
            problems_add(l->problems, PROBLEM_ERROR, n->key_at,
                         "%s: given twice; the first is in line %u", o->path, first->key_at.line);
        else
            bind_option(l, o, base, n);
    }
}

/* An array of n items, with their defaults, takes the place of what was there. */
static void renew_items(struct loader *l, const struct option *list, void *base, size_t n)
{
    config__free_items(list, base);
    *value_array(base, list->offset) = alloc_zeroed(n, list->size);
    *value_count(base, list->count_offset) = n;
    for (size_t i = 0; i < n; i++)
        config__apply_defaults(l, list->items, config__item(list, base, i));
}

static void bind_items(struct loader *l, const struct option *o, void *base,
                       const struct tree_node *list)
{
    size_t i = 0;

    config__record(l, o, base, list->at);
    if (!check_count(l, o, list))
        return;
    renew_items(l, o, base, list->n_children);
    for (const struct tree_node *n = list->first; n != NULL; n = n->next, i++) {
        void *item = config__item(o, base, i);

        config__record(l, o, item, n->at);
        if (n->kind == TREE_MAP)
            bind_map(l, o, item, n);
        else
            problems_add(l->problems, PROBLEM_ERROR, n->at,
                         "%s[]: expected options, as \"- name: value\", found %s", o->path,
                         tree_kind_name(n->kind));
    }
}

/* The list whose only item a short form writes. */
static const struct option *list_of(const struct option *o)
{
    const char *end = strrchr(o->stands_for, '[');

    return options_find((struct str){o->stands_for, (size_t)(end - o->stands_for)});
}

static void bind_short(struct loader *l, const struct option *o, void *base,
                       const struct tree_node *n)
{
    const struct option *list = list_of(o);

    if (tree_find(n->parent, str_from(options_key(list))) != NULL) {
        problems_add(l->problems, PROBLEM_ERROR, n->key_at, "%s: write either this or %s, not both",
                     o->path, list->path);
        return;
    }
    if (*value_count(base, list->count_offset) == 0) {
        renew_items(l, list, base, 1);
        config__record(l, list, config__item(list, base, 0), n->key_at);
    }
    bind_option(l, options_find(str_from(o->stands_for)), config__item(list, base, 0), n);
}

static void bind_option(struct loader *l, const struct option *o, void *base,
                        const struct tree_node *n)
{
    enum tree_kind want = o->type == OPTION_SECTION                                ? TREE_MAP
                          : o->type == OPTION_ITEMS || o->type == OPTION_URL_PATHS ? TREE_LIST
                                                                                   : TREE_SCALAR;

    if (o->type == OPTION_SHORT) {
        bind_short(l, o, base, n);
    } else if (o->type == OPTION_SECTION && n->kind == TREE_NULL) {
        return; /* all its options are commented out */
    } else if (n->kind != want) {
        config__record(l, o, base, n->at);
        report_kind(l, o, n);
    } else if (o->type == OPTION_SECTION) {
        config__record(l, o, base, n->key_at);
        bind_map(l, o, base, n);
    } else if (o->type == OPTION_ITEMS) {
        bind_items(l, o, base, n);
    } else if (o->type == OPTION_URL_PATHS) {
        bind_texts(l, o, base, n);
    } else {
        bind_scalar(l, o, base, n);
    }
}

void config__bind(struct loader *l, const struct tree_node *root)
{
    if (root->kind == TREE_MAP)
        bind_map(l, NULL, l->config, root);
    else if (root->kind != TREE_NULL)
        problems_add(l->problems, PROBLEM_ERROR, root->at,
                     "expected options, as \"name: value\", found %s", tree_kind_name(root->kind));
}

void config__apply_defaults(struct loader *l, enum option_scope scope, void *base)
{
    const struct option *o = NULL;
    bool outer = l->defaults;

    l->defaults = true;
    while ((o = options_next_field(scope, o)) != NULL) {
        struct tree_node *node;

        if (o->fallback == NULL)
            continue;
        node = tree_read(str_from(o->fallback), o->path, l->problems);
        ASSERT(node != NULL);
        bind_option(l, o, base, node);
        tree_free(&node);
    }
    l->defaults = outer;
}

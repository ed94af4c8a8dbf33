/* tree: built from libyaml's events with a pointer to the map or list that is open, so that depth
 * costs no stack. Errors of syntax end the reading; what YAML has and we do not want is reported
 * and passed over. */
#include "daemon/tree.h"

#include "daemon/alloc.h"

#include <yaml.h>

struct reader {
    yaml_parser_t parser;
    struct str yaml;
    const char *file;
    struct problems *problems;
    struct tree_node *root;
    struct tree_node *open; /* map or list that is being filled; NULL: outside of the document */
    struct str key;         /* read, waiting for its value; p == NULL: none */
    struct position key_at;
    unsigned depth;
    size_t n_nodes;
    bool done; /* nothing more is to be read */
};

static struct position position_of(const struct reader *r, yaml_mark_t mark)
{
    return (struct position){r->file, (uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
}

/* An error that ends the reading. */
static void give_up(struct reader *r, struct position at, const char *text)
{
    problems_add(r->problems, PROBLEM_ERROR, at, "%s", text);
    r->done = true;
}

static struct str copy(const yaml_char_t *text, size_t len)
{
    struct str s = {(const char *)text, len};

    return (struct str){alloc_text(s), len};
}

/* A new node in the open map or list, or the root; NULL when it may not be there. */
static struct tree_node *add(struct reader *r, enum tree_kind kind, struct position at)
{
    struct tree_node *n;

    if (++r->n_nodes > TREE_MAX_NODES) {
        give_up(r, at, "too many values for a configuration");
        return NULL;
    }
    n = alloc_zeroed(1, sizeof *n);
    *n = (struct tree_node){.kind = kind, .at = at, .parent = r->open};
    if (r->open == NULL) {
        r->root = n;
        return n;
    }
    n->key = r->key;
    n->key_at = r->key_at;
    r->key = (struct str){NULL, 0};
    if (r->open->last != NULL)
        r->open->last->next = n;
    else
        r->open->first = n;
    r->open->last = n;
    r->open->n_children++;
    return n;
}

static bool key_is_next(const struct reader *r)
{
    return r->open != NULL && r->open->kind == TREE_MAP && r->key.p == NULL;
}

static bool is_null(const yaml_event_t *e)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};

    if (e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcmp((const char *)e->data.scalar.value, words[i]) == 0)
            return true;
    return false;
}

static void on_scalar(struct reader *r, const yaml_event_t *e)
{
    struct position at = position_of(r, e->start_mark);
    struct tree_node *n;

    if (key_is_next(r)) {
        r->key = copy(e->data.scalar.value, e->data.scalar.length);
        r->key_at = at;
        return;
    }
    n = add(r, is_null(e) ? TREE_NULL : TREE_SCALAR, at);
    if (n != NULL && n->kind == TREE_SCALAR)
        n->text = copy(e->data.scalar.value, e->data.scalar.length);
}

static void on_open(struct reader *r, const yaml_event_t *e, enum tree_kind kind)
{
    struct position at = position_of(r, e->start_mark);
    struct tree_node *n;

    if (key_is_next(r))
        give_up(r, at, "a key must be a word");
    else if (r->depth == TREE_MAX_DEPTH)
        give_up(r, at, "too deep for a configuration");
    else if ((n = add(r, kind, at)) != NULL) {
        r->open = n;
        r->depth++;
    }
}

static void on_close(struct reader *r)
{
    r->open = r->open->parent;
    r->depth--;
}

static void on_alias(struct reader *r, const yaml_event_t *e)
{
    struct position at = position_of(r, e->start_mark);

    if (key_is_next(r)) {
        give_up(r, at, "a key must be a word");
        return;
    }
    problems_add(r->problems, PROBLEM_ERROR, at,
                 "aliases (*name) are not used here; write the value again");
    add(r, TREE_NULL, at);
}

static void refuse_decoration(struct reader *r, const yaml_event_t *e, const yaml_char_t *anchor,
                              const yaml_char_t *tag)
{
    struct position at = position_of(r, e->start_mark);

    if (anchor != NULL)
        problems_add(r->problems, PROBLEM_ERROR, at, "anchors (&name) are not used here");
    if (tag != NULL)
        problems_add(r->problems, PROBLEM_ERROR, at, "tags (!name) are not used here");
}

static void on_event(struct reader *r, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (r->root != NULL)
            give_up(r, position_of(r, e->start_mark),
                    "a second document; one file is one document");
        break;
    case YAML_SCALAR_EVENT:
        refuse_decoration(r, e, e->data.scalar.anchor, e->data.scalar.tag);
        on_scalar(r, e);
        break;
    case YAML_SEQUENCE_START_EVENT:
        refuse_decoration(r, e, e->data.sequence_start.anchor, e->data.sequence_start.tag);
        on_open(r, e, TREE_LIST);
        break;
    case YAML_MAPPING_START_EVENT:
        refuse_decoration(r, e, e->data.mapping_start.anchor, e->data.mapping_start.tag);
        on_open(r, e, TREE_MAP);
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: on_close(r); break;
    case YAML_ALIAS_EVENT: on_alias(r, e); break;
    case YAML_STREAM_END_EVENT: r->done = true; break;
    default: break;
    }
}

/* libyaml gives bytes it cannot read as an offset. */
static struct position position_of_offset(const struct reader *r, size_t offset)
{
    struct position at = {r->file, 1, 1};

    for (size_t i = 0; i < offset && i < r->yaml.len; i++) {
        bool newline = r->yaml.p[i] == '\n';

        at.column = newline ? 1 : at.column + 1;
        at.line += newline;
    }
    return at;
}

/* Is the line indented with a tab? The most common mistake that libyaml has no clear words for. */
static bool has_tab(const struct reader *r, uint32_t line)
{
    struct str rest = r->yaml, text = str_cut(&rest, '\n');

    while (--line > 0)
        text = str_cut(&rest, '\n');
    while (text.len > 0 && text.p[0] == ' ') {
        text.p++;
        text.len--;
    }
    return text.len > 0 && text.p[0] == '\t';
}

static void on_syntax_error(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    struct position at = position_of(r, p->problem_mark);
    const char *problem = p->problem != NULL ? p->problem : "not YAML";

    ASSERT(p->error != YAML_MEMORY_ERROR);
    if (p->error == YAML_READER_ERROR)
        at = position_of_offset(r, p->problem_offset);
    if (has_tab(r, at.line))
        problems_add(r->problems, PROBLEM_ERROR, at, "YAML is indented with blanks, not with tabs");
    else if (p->context != NULL)
        problems_add(r->problems, PROBLEM_ERROR, at, "%s, %s that begins in line %zu", problem,
                     p->context, p->context_mark.line + 1);
    else
        problems_add(r->problems, PROBLEM_ERROR, at, "%s", problem);
    r->done = true;
}

static void read_all(struct reader *r)
{
    yaml_event_t event;

    yaml_parser_set_input_string(&r->parser, (const unsigned char *)r->yaml.p, r->yaml.len);
    while (!r->done) {
        if (!yaml_parser_parse(&r->parser, &event)) {
            on_syntax_error(r);
            break;
        }
        on_event(r, &event);
        yaml_event_delete(&event);
    }
}

struct tree_node *tree_read(struct str yaml, const char *file, struct problems *problems)
{
    struct reader r = {.yaml = yaml, .file = file, .problems = problems};
    size_t errors = problems->found[PROBLEM_ERROR];

    if (yaml.len > TREE_MAX_SIZE) {
        give_up(&r, (struct position){file, 1, 1}, "larger than 1MiB");
        return NULL;
    }
    if (!yaml_parser_initialize(&r.parser))
        abort(); /* out of memory */
    read_all(&r);
    yaml_parser_delete(&r.parser);
    free((char *)r.key.p);
    if (problems->found[PROBLEM_ERROR] > errors)
        tree_free(&r.root);
    return r.root;
}

/* Children first, without recursion: down to a node without any, free it, on with the next. */
void tree_free(struct tree_node **root)
{
    struct tree_node *n = *root;

    while (n != NULL) {
        struct tree_node *gone = n;

        if (n->first != NULL) {
            n = n->first;
            gone->first = NULL;
            continue;
        }
        n = n->next != NULL ? n->next : n->parent;
        free((char *)gone->key.p);
        free((char *)gone->text.p);
        free(gone);
    }
    *root = NULL;
}

const struct tree_node *tree_find(const struct tree_node *map, struct str key)
{
    for (const struct tree_node *n = map->first; n != NULL; n = n->next)
        if (str_eq(n->key, key))
            return n;
    return NULL;
}

const char *tree_kind_name(enum tree_kind kind)
{
    static const char *const names[] = {"nothing", "a single value", "a map", "a list"};

    return names[kind];
}

const char *tree_library(void)
{
    static char text[32];

    snprintf(text, sizeof text, "libyaml %s", yaml_get_version_string());
    return text;
}

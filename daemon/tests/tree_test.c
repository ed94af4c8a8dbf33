#include "daemon/tree.h"

#include "base/test.h"
#include "daemon/alloc.h"

static struct problems problems;

static struct tree_node *read_text(const char *yaml)
{
    problems_fini(&problems);
    return tree_read(str_from(yaml), "f", &problems);
}

/* The tree as one line: {key: text, key: [...]}, ~ for nothing. */
static void flatten(const struct tree_node *n, FILE *out)
{
    const char *brackets = n->kind == TREE_MAP ? "{}" : "[]";

    if (n->kind == TREE_NULL || n->kind == TREE_SCALAR) {
        fprintf(out, "%s", n->kind == TREE_NULL ? "~" : n->text.p);
        return;
    }
    putc(brackets[0], out);
    for (const struct tree_node *child = n->first; child != NULL; child = child->next) {
        if (n->kind == TREE_MAP)
            fprintf(out, "%s:", child->key.p);
        flatten(child, out);
        fputs(child->next != NULL ? "," : "", out);
    }
    putc(brackets[1], out);
}

static const struct {
    const char *yaml, *flat;
} shapes[] = {
    {"a: 1", "{a:1}"},
    {"a: 1\nb:\n  c: x\n  d: [1, 2]\n", "{a:1,b:{c:x,d:[1,2]}}"},
    {"- a: 1\n  b: 2\n- c: 3\n", "[{a:1,b:2},{c:3}]"},
    {"a:\nb: ~\nc: null\nd: 'null'\ne: \"\"\n", "{a:~,b:~,c:~,d:null,e:}"},
    {"a: 1\na: 2\n", "{a:1,a:2}"},
    {"{a: {}, b: []}", "{a:{},b:[]}"},
    {"--- # one document\na: |\n  two\n  lines\n...\n", "{a:two\nlines\n}"},
    {"yes", "yes"},
    {"---\n", "~"},
    {"%YAML 1.1\n---\na: 1\n", "{a:1}"},
    {"\xef\xbb\xbf"
     "a: 1",
     "{a:1}"},
};

static void test_shapes(void)
{
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        struct tree_node *root = read_text(shapes[i].yaml);
        char flat[256] = "";
        FILE *out = fmemopen(flat, sizeof flat, "w");

        if (CHECK_ROW(i, root != NULL))
            flatten(root, out);
        fclose(out);
        CHECK_ROW(i, strcmp(flat, shapes[i].flat) == 0);
        CHECK_ROW_INT(i, problems.n, 0);
        tree_free(&root);
    }
}

static void test_nothing(void)
{
    CHECK(read_text("") == NULL);
    CHECK(read_text("# only a comment\n") == NULL);
    CHECK_INT(problems.n, 0);
}

static void test_places(void)
{
    struct tree_node *root = read_text("a: 1\nb:\n  cc: [x,\n    yy]\n");
    const struct tree_node *b = tree_find(root, STR("b")), *cc = tree_find(b, STR("cc"));

    CHECK_INT(b->key_at.line, 2);
    CHECK_INT(b->key_at.column, 1);
    CHECK_INT(cc->key_at.column, 3);
    CHECK_INT(cc->at.line, 3);
    CHECK_INT(cc->at.column, 7);
    CHECK_INT(cc->last->at.line, 4);
    CHECK_INT(cc->last->at.column, 5);
    CHECK_INT(cc->n_children, 2);
    CHECK(strcmp(cc->at.file, "f") == 0);
    CHECK(tree_find(root, STR("nothing")) == NULL);
    tree_free(&root);
}

static const struct {
    const char *yaml;
    unsigned line, column;
    const char *text; /* part of it */
} refused[] = {
    {"a: 1\n b: 2\n", 2, 3, "mapping values are not allowed"},
    {"a: [1, 2\nb: 3", 2, 2, "while parsing a flow sequence that begins in line 1"},
    {"a:\n\tb: 1\n", 2, 1, "indented with blanks"},
    {"a: 1\n  \t b: 1\n", 2, 6, "indented with blanks"},
    {"a: 'open", 1, 9, "quoted scalar"},
    {"a: \x01", 1, 4, "control characters"},
    {"\n\nab\xff", 3, 3, "UTF-8"},
    {"a: &x 1", 1, 4, "anchors"},
    {"a: [&x [1]]", 1, 5, "anchors"},
    {"&x a: 1", 1, 1, "anchors"},
    {"a: *x", 1, 4, "aliases"},
    {"*x : 1", 1, 1, "a key must be a word"},
    {"a: !!int 1", 1, 4, "tags"},
    {"a: !x {b: 1}", 1, 4, "tags"},
    {"a: 1\n---\nb: 2\n", 2, 1, "second document"},
    {"? [a]\n: 1\n", 1, 3, "a key must be a word"},
    {"{[a]: 1}", 1, 2, "a key must be a word"},
    {"[[[[[[[[[[[[[[[[[x]]]]]]]]]]]]]]]]]", 1, 17, "too deep"},
    {"a: @b", 1, 4, "cannot start any token"},
};

static void test_refused(void)
{
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        CHECK_ROW(i, read_text(refused[i].yaml) == NULL);
        if (!CHECK_ROW(i, problems.n >= 1))
            continue;
        CHECK_ROW_INT(i, problems.list[0].at.line, refused[i].line);
        CHECK_ROW_INT(i, problems.list[0].at.column, refused[i].column);
        if (!CHECK_ROW(i, strstr(problems.list[0].text, refused[i].text) != NULL))
            fprintf(stderr, "%s\n", problems.list[0].text);
    }
    problems_fini(&problems);
}

/* What is merely not wanted does not end the reading. */
static void test_several(void)
{
    CHECK(read_text("a: &x 1\nb: *x\nc: !t 1\n") == NULL);
    CHECK_INT(problems.n, 3);
    problems_fini(&problems);
}

static void check_large(const char *unit, size_t n, const char *text)
{
    size_t len = strlen(unit);
    char *yaml = alloc_zeroed(n * len + 1, 1);

    for (size_t i = 0; i < n; i++)
        memcpy(yaml + i * len, unit, len);
    CHECK(read_text(yaml) == NULL);
    CHECK(problems.n == 1 && strstr(problems.list[0].text, text) != NULL);
    problems_fini(&problems);
    free(yaml);
}

static void test_large(void)
{
    check_large("# comment\n", TREE_MAX_SIZE / 10 + 1, "larger than 1MiB");
    check_large("- x\n", TREE_MAX_NODES + 1, "too many values");
}

static void test_library(void)
{
    CHECK(strncmp(tree_library(), "libyaml 0.", 10) == 0);
}

TEST_MAIN(test_shapes, test_nothing, test_places, test_refused, test_several, test_large,
          test_library)

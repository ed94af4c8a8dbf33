#include "base/str.h"

#include "base/test.h"

static void test_eq(void)
{
    static const struct {
        struct str a, b;
        bool same, same_nocase;
    } rows[] = {
        {{"", 0}, {NULL, 0}, true, true},
        {{"abc", 3}, {"abc", 3}, true, true},
        {{"abc", 3}, {"abd", 3}, false, false},
        {{"abc", 3}, {"ab", 2}, false, false},
        {{"aBc", 3}, {"AbC", 3}, false, true},
        {{"[", 1}, {"{", 1}, false, false}, /* 0x5b and 0x7b: differ in the bit of the case only */
        {{"@", 1}, {"`", 1}, false, false},
        {{"a\0b", 3}, {"a\0c", 3}, false, false},
        {{"\xc3\x84", 2}, {"\xc3\xa4", 2}, false, false}, /* no case beyond ASCII */
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        CHECK_ROW_INT(i, str_eq(rows[i].a, rows[i].b), rows[i].same);
        CHECK_ROW_INT(i, str_eq_nocase(rows[i].a, rows[i].b), rows[i].same_nocase);
    }
}

static void test_make(void)
{
    struct str s = STR("a\0b");

    CHECK_BYTES(s.p, s.len, "a\0b", 3);
    s = str_from("text");
    CHECK_BYTES(s.p, s.len, "text", 4);
}

static void test_starts(void)
{
    CHECK(str_starts(STR("$SYS/a"), STR("$SYS/")));
    CHECK(str_starts(STR("a"), STR("a")));
    CHECK(str_starts(STR("a"), STR("")));
    CHECK(str_starts((struct str){NULL, 0}, STR("")));
    CHECK(!str_starts(STR("a"), STR("ab")));
    CHECK(!str_starts(STR("xa"), STR("a")));
}

static void test_trim(void)
{
    static const char *const rows[][2] = {
        {"", ""}, {" \t\r\n", ""}, {"a", "a"}, {"  a b\t", "a b"}, {"\va", "\va"}, {"\r\na", "a"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        CHECK_ROW(i, str_eq(str_trim(str_from(rows[i][0])), str_from(rows[i][1])));
}

static void test_cut(void)
{
    struct str rest = STR("a,,bc");
    struct str head = str_cut(&rest, ',');

    CHECK_BYTES(head.p, head.len, "a", 1);
    head = str_cut(&rest, ',');
    CHECK_BYTES(head.p, head.len, "", 0);
    CHECK_BYTES(rest.p, rest.len, "bc", 2);
    head = str_cut(&rest, ',');
    CHECK_BYTES(head.p, head.len, "bc", 2);
    CHECK(rest.p == NULL && rest.len == 0);
    head = str_cut(&rest, ',');
    CHECK(head.p == NULL && head.len == 0);

    rest = STR("a,"); /* what follows the last separator is empty, but it is there */
    str_cut(&rest, ',');
    CHECK(rest.p != NULL && rest.len == 0);
}

static void test_distance(void)
{
    static const struct {
        const char *a, *b;
        size_t want;
    } rows[] = {
        {"", "", 0},         {"a", "", 1},           {"", "abc", 3},
        {"abc", "abc", 0},   {"abc", "abd", 1},      {"kitten", "sitting", 3},
        {"flaw", "lawn", 2}, {"lisen", "listen", 1}, {"worker", "workers", 1},
    };
    char longest[65];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        CHECK_ROW_INT(i, str_distance(str_from(rows[i].a), str_from(rows[i].b)), rows[i].want);
        CHECK_ROW_INT(i, str_distance(str_from(rows[i].b), str_from(rows[i].a)), rows[i].want);
    }
    memset(longest, 'x', sizeof longest);
    CHECK_INT(str_distance((struct str){longest, 63}, STR("")), 63);
    CHECK_INT(str_distance((struct str){longest, 63}, (struct str){longest, 63}), 0);
    CHECK_INT(str_distance((struct str){longest, 64}, STR("x")), 64);
    CHECK_INT(str_distance(STR("x"), (struct str){longest, 65}), 64);
}

TEST_MAIN(test_eq, test_make, test_starts, test_trim, test_cut, test_distance)

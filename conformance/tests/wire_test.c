/* wire_test: the notation for bytes that no encoder would write. */
#include "base/test.h"
#include "conformance/wire.h"

static const struct {
    const char *notation, *bytes;
    size_t n;
} rows[] = {
    {"c0 00", "\xc0\0", 2},
    {"C000", "\xc0\0", 2},
    {"", "", 0},
    {"<a/b>", "\0\3a/b", 5},
    {"<>", "\0\0", 2},
    {"[ab c]", "ab c", 4},
    {"{ED A0 80}", "\0\3\xed\xa0\x80", 5},
    {"{<a> 01}", "\0\4\0\1a\1", 6},
    {"()", "\0", 1},
    {"(0b 01)", "\2\x0b\1", 3},
    {"(26 <a> <b>)", "\x07&\0\1a\0\1b", 8},
    {"82 # 0001 () <a> 02", "\x82\7\0\1\0\0\1a\2", 9},
    {"c0 # ; e0 #", "\xc0\0\xe0\0", 4},
    {"30 # <a> [x] ; c0 00", "\x30\4\0\1ax\xc0\0", 8},
};

static void test_notation(void)
{
    struct arena a = {NULL};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mqtt_str s = wire_compose(&a, "%s", rows[i].notation);

        CHECK_ROW(i, s.len == rows[i].n && (s.len == 0 || memcmp(s.p, rows[i].bytes, s.len) == 0));
    }
    arena_fini(&a);
}

static void test_arguments(void)
{
    struct arena a = {NULL};
    struct mqtt_str s = wire_compose(&a, "32 # <%s> %04x", "t", 0x1234);

    CHECK_BYTES(s.p, s.len, "\x32\5\0\1t\x12\x34", 7);
    arena_fini(&a);
}

/* A length of two bytes. */
static void test_long_packet(void)
{
    struct arena a = {NULL};
    char text[201];
    struct mqtt_str s;

    memset(text, 'x', 200);
    text[200] = '\0';
    s = wire_compose(&a, "30 # [%s]", text);
    CHECK_INT(s.len, 203);
    CHECK_BYTES(s.p, 3, "\x30\xc8\x01", 3);
    arena_fini(&a);
}

static void test_mistakes(void)
{
    static struct arena a; /* the checks jump */

    CHECK_ABORTS(wire_compose(&a, "<a"));
    CHECK_ABORTS(wire_compose(&a, "(0b 01"));
    CHECK_ABORTS(wire_compose(&a, "0"));
    CHECK_ABORTS(wire_compose(&a, "xy"));
    arena_fini(&a);
}

TEST_MAIN(test_notation, test_arguments, test_long_packet, test_mistakes)

/* The table itself: what its rows promise to those who walk it. */
#include "daemon/options.h"

#include "base/test.h"
#include "daemon/alloc.h"
#include "daemon/value.h"

#include <ctype.h>

static bool is_number(const struct option *o)
{
    return o->type >= OPTION_BOOL && o->type <= OPTION_SECONDS;
}

/* The part of the path before the last key, as a row. */
static const struct option *parent_of(const struct option *o)
{
    struct str path = str_from(o->path);
    const char *dot = strrchr(o->path, '.');

    if (dot == NULL)
        return NULL;
    path.len = (size_t)(dot - o->path);
    if (dot[-1] == ']')
        path.len -= 2;
    return options_find(path);
}

static void test_tree(void)
{
    size_t i = 0;

    for (const struct option *o = options; o->path != NULL; o++) {
        const struct option *parent = parent_of(o);

        CHECK_ROW(i, options_find(str_from(o->path)) == o);
        CHECK_ROW(i, options_is_child(parent, o));
        CHECK_ROW(i, options_child(parent, str_from(options_key(o))) == o);
        if (parent != NULL)
            CHECK_ROW(i, parent < o);
        if (parent != NULL && parent->type == OPTION_ITEMS)
            CHECK_ROW_INT(i, o->scope, parent->items);
        i++;
    }
    CHECK(i > 50);
}

static void test_rows(void)
{
    size_t i = 0;

    for (const struct option *o = options; o->path != NULL; o++) {
        size_t len = strlen(o->help);

        CHECK_ROW(i, isupper((unsigned char)o->help[0]));
        CHECK_ROW(i, o->help[len - 1] == '.' && strchr(o->help, '|') == NULL);
        CHECK_ROW(i, (o->type == OPTION_CHOICE) == (o->choices != NULL));
        CHECK_ROW(i, (o->type == OPTION_SHORT) == (o->stands_for != NULL));
        CHECK_ROW(i, o->fallback == NULL || o->computed == NULL);
        if (is_number(o) && o->type != OPTION_BOOL && o->type != OPTION_CHOICE) {
            CHECK_ROW(i, o->min < o->max);
            CHECK_ROW(i, o->size == 8 || (o->max | o->word_value) >> (8 * o->size) == 0);
        }
        if (o->needs != NULL)
            CHECK_ROW_INT(i, options_find(str_from(o->needs))->scope, o->scope);
        if (o->stands_for != NULL)
            CHECK_ROW(i, options_find(str_from(o->stands_for)) != NULL && o->example != NULL);
        i++;
    }
}

static bool overlap(const struct option *a, const struct option *b)
{
    return a->offset < b->offset + b->size && b->offset < a->offset + a->size;
}

/* Each field has one row. */
static void test_fields(void)
{
    for (enum option_scope scope = SCOPE_CONFIG; scope <= SCOPE_CERTIFICATE; scope++)
        for (const struct option *a = NULL; (a = options_next_field(scope, a)) != NULL;)
            for (const struct option *b = a; (b = options_next_field(scope, b)) != NULL;)
                CHECK(!overlap(a, b) || a->type == OPTION_ITEMS || b->type == OPTION_ITEMS);
}

static void test_variables(void)
{
    char name[OPTIONS_VARIABLE_MAX];

    CHECK(options_variable(options_find(STR("limits.max_packet_size")), name));
    CHECK(strcmp(name, "FRYS_LIMITS_MAX_PACKET_SIZE") == 0);
    CHECK(options_variable(options_find(STR("workers")), name));
    CHECK(strcmp(name, "FRYS_WORKERS") == 0);
    CHECK(!options_variable(options_find(STR("limits")), name));
    CHECK(!options_variable(options_find(STR("listeners")), name));
    CHECK(!options_variable(options_find(STR("listeners[].port")), name));
}

static const struct {
    const char *parent, *key, *nearest;
} slips[] = {
    {"limits", "max_packet_sise", "limits.max_packet_size"},
    {"limits", "maxpacketsize", "limits.max_packet_size"},
    {"listeners", "adress", "listeners[].address"},
    {"listeners", "prot", "listeners[].port"},
    {"listeners[].websocket", "ping_interval", "listeners[].websocket.ping_interval"},
    {NULL, "listener", "listeners"},
    {NULL, "max_packet_size", "limits.max_packet_size"},
    {"mqtt", "ping_interval", "listeners[].websocket.ping_interval"},
    {NULL, "maximum_qos", "mqtt.maximum_qos"},
    {"listeners[].tls", "cert", NULL},
    {NULL, "persistence", NULL},
    {NULL, "x", NULL},
    {NULL, "", NULL},
};

static void test_nearest(void)
{
    for (size_t i = 0; i < ARRAY_LEN(slips); i++) {
        const struct option *parent =
            slips[i].parent != NULL ? options_find(str_from(slips[i].parent)) : NULL;
        const struct option *o = options_nearest(parent, str_from(slips[i].key));

        if (!CHECK_ROW(i, slips[i].nearest == NULL
                              ? o == NULL
                              : o != NULL && strcmp(o->path, slips[i].nearest) == 0))
            fprintf(stderr, "%s: %s\n", slips[i].key, o != NULL ? o->path : "none");
    }
}

TEST_MAIN(test_tree, test_rows, test_fields, test_variables, test_nearest)

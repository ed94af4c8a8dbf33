#include "daemon/value.h"

#include "base/test.h"
#include "daemon/alloc.h"
#include "daemon/config.h"
#include "daemon/options.h"

static const struct {
    const char *path, *text, *fault, *printed; /* printed NULL: as text */
} rows[] = {
    {"workers", "auto", NULL, NULL},
    {"workers", "0", NULL, "auto"},
    {"workers", "64", NULL, NULL},
    {"workers", "65", "is out of range", NULL},
    {"workers", "Auto", "is not a whole number", NULL},
    {"sys_interval", "3600s", NULL, "1h"},
    {"sys_interval", "0s", NULL, "off"},
    {"sys_interval", "999ms", "is not in whole seconds", NULL},
    {"sys_interval", "1ms", "is not in whole seconds", NULL},
    {"sessions.max_expiry", "never", NULL, NULL},
    {"sessions.max_expiry", "36500d", NULL, NULL},
    {"sessions.max_expiry", "36501d", "is out of range", NULL},
    {"sessions.max_expiry", "99999999999999999999d", "is out of range", NULL},
    {"sessions.queue_qos0", "true", NULL, NULL},
    {"sessions.queue_qos0", "True", "is neither true nor false", NULL},
    {"sessions.overflow", "disconnect", NULL, NULL},
    {"sessions.overflow", "", "is not one of the words for it", NULL},
    {"sessions.max_queued_bytes", "1024GiB", NULL, NULL},
    {"sessions.max_queued_bytes", "1025GiB", "is out of range", NULL},
    {"mqtt.maximum_qos", "2", NULL, NULL},
    {"mqtt.maximum_qos", "3", "is out of range", NULL},
    {"mqtt.receive_maximum", "65535", NULL, NULL},
    {"mqtt.receive_maximum", "0", "is out of range", NULL},
    {"mqtt.response_information", "a/b", NULL, NULL},
    {"mqtt.response_information", "\xc3\xa9", NULL, "\"\\U000000E9\""},
    {"mqtt.response_information", "\xe2\x82\xac", NULL, "\"\\U000020AC\""},
    {"mqtt.response_information", "\xf0\x9f\x98\x80", NULL, "\"\\U0001F600\""},
    {"mqtt.response_information", "\xff", "is not UTF-8", NULL},
    {"mqtt.response_information", "a\tb", "has a control character", NULL},
    {"admin.address", "", NULL, "\"\""},
    {"admin.address", "::1", NULL, "\"::1\""},
    {"admin.address", "localhost", "is not a numeric IP address", NULL},
    {"lock_file", "/run/a b", NULL, "\"/run/a b\""},
    {"user", "null", NULL, "\"null\""},
    {"user", "-", NULL, "\"-\""},
    {"user", "a\"\\b", NULL, "\"a\\\"\\\\b\""},
    {"user", "${HOME}$", NULL, "\"$${HOME}$\""},
};

static char *print_value(const struct option *o, const void *base)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    value_print(o, base, out);
    fclose(out);
    return text;
}

static void test_rows(void)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct option *o = options_find(str_from(rows[i].path));
        struct config c = {.workers = 0}, copy = {.workers = 0};
        const char *fault = value_set(o, &c, str_from(rows[i].text));
        char *text;

        CHECK_ROW(i, (fault == NULL) == (rows[i].fault == NULL));
        if (fault != NULL) {
            CHECK_ROW(i, rows[i].fault != NULL && strcmp(fault, rows[i].fault) == 0);
            continue;
        }
        text = print_value(o, &c);
        if (!CHECK_ROW(i,
                       strcmp(text, rows[i].printed != NULL ? rows[i].printed : rows[i].text) == 0))
            fprintf(stderr, "%s\n", text);
        value_copy(o, &copy, &c);
        CHECK_ROW(i, value_equal(o, &c, &copy));
        value_clear(o, &c);
        value_clear(o, &copy);
        free(text);
    }
}

/* What was there before stays when the new text is wrong, and goes when it is right. */
static void test_replace(void)
{
    const struct option *user = options_find(STR("user"));
    struct config c = {.user = NULL};

    CHECK(value_set(user, &c, STR("one")) == NULL);
    CHECK(value_set(user, &c, STR("t\nwo")) != NULL);
    CHECK(strcmp(c.user, "one") == 0);
    CHECK(value_set(user, &c, STR("three")) == NULL);
    CHECK(strcmp(c.user, "three") == 0);
    value_clear(user, &c);
    CHECK(c.user == NULL);
}

static void test_lengths(void)
{
    const struct option *info = options_find(STR("mqtt.response_information"));
    struct config c = {.user = NULL};
    char text[257];

    memset(text, 'x', sizeof text);
    CHECK(value_set(info, &c, (struct str){text, 255}) == NULL);
    CHECK_INT(strlen(c.broker.response_information), 255);
    CHECK(value_set(info, &c, STR("short")) == NULL);
    CHECK_INT(strlen(c.broker.response_information), 5);
    CHECK(strcmp(value_set(info, &c, (struct str){text, 256}), "is too long") == 0);
}

static void test_texts(void)
{
    const struct option *paths = options_find(STR("listeners[].paths"));
    struct ws_listener_config a = {.n_paths = 0}, b = {.n_paths = 0};

    CHECK(value_append(paths, &a, STR("/mqtt")) == NULL);
    CHECK(value_append(paths, &a, STR("/")) == NULL);
    CHECK(strcmp(value_append(paths, &a, STR("mqtt")), "is not a path of a URL") == 0);
    CHECK(strcmp(value_append(paths, &a, STR("/a?b")), "is not a path of a URL") == 0);
    CHECK_INT(a.n_paths, 2);
    CHECK(value_is_default(paths, &a));
    value_copy(paths, &b, &a);
    CHECK(value_equal(paths, &a, &b));
    b.paths[1][0] = 'x';
    CHECK(!value_equal(paths, &a, &b));
    value_clear(paths, &b);
    CHECK(!value_equal(paths, &a, &b));
    value_clear(paths, &a);
    CHECK(a.paths == NULL && a.n_paths == 0);
}

static void test_number_of_text(void)
{
    struct config c = {.user = NULL};
    const struct option *user = options_find(STR("user"));

    CHECK_ABORTS(value_number(user, &c));
}

TEST_MAIN(test_rows, test_replace, test_lengths, test_texts, test_number_of_text)

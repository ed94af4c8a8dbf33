/* target_test: URLs. */
#include "base/test.h"
#include "conformance/target.h"

static const struct {
    const char *url, *scheme, *host, *port, *path, *user, *password, *name;
    int tls, websocket;
} good[] = {
    {"mqtt://a", "mqtt", "a", "1883", "/", NULL, NULL, "mqtt://a:1883", 0, 0},
    {"mqtts://a:1", "mqtts", "a", "1", "/", NULL, NULL, "mqtts://a:1", 1, 0},
    {"MQTT://a/", "mqtt", "a", "1883", "/", NULL, NULL, "mqtt://a:1883", 0, 0},
    {"ws://a", "ws", "a", "80", "/", NULL, NULL, "ws://a:80/", 0, 1},
    {"wss://a/mqtt?x=1", "wss", "a", "443", "/mqtt?x=1", NULL, NULL, "wss://a:443/mqtt?x=1", 1, 1},
    {"ws://a?x", "ws", "a", "80", "/?x", NULL, NULL, "ws://a:80/?x", 0, 1},
    {"ws://[::1]:8080/", "ws", "::1", "8080", "/", NULL, NULL, "ws://[::1]:8080/", 0, 1},
    {"mqtt://[fe80::1]", "mqtt", "fe80::1", "1883", "/", NULL, NULL, "mqtt://[fe80::1]:1883", 0, 0},
    {"mqtt://u@a", "mqtt", "a", "1883", "/", "u", NULL, "mqtt://u@a:1883", 0, 0},
    {"mqtt://u:p@a", "mqtt", "a", "1883", "/", "u", "p", "mqtt://u@a:1883", 0, 0},
    {"mqtt://u%40x:p%3a@a", "mqtt", "a", "1883", "/", "u@x", "p:", "mqtt://u@x@a:1883", 0, 0},
    {"mqtt://u:p@b@a", "mqtt", "a", "1883", "/", "u", "p@b", "mqtt://u@a:1883", 0, 0},
};

static bool same(const char *got, const char *want)
{
    return got == NULL || want == NULL ? got == want : strcmp(got, want) == 0;
}

static void test_good(void)
{
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct arena a = {NULL};
        struct target t;

        CHECK_ROW(i, target_parse(&a, good[i].url, &t) == NULL);
        CHECK_ROW(i, same(t.scheme, good[i].scheme) && same(t.host, good[i].host) &&
                         same(t.port, good[i].port) && same(t.path, good[i].path));
        CHECK_ROW(i, same(t.user, good[i].user) && same(t.password, good[i].password));
        CHECK_ROW(i, same(t.name, good[i].name));
        CHECK_ROW(i, t.tls == good[i].tls && t.websocket == good[i].websocket);
        arena_fini(&a);
    }
}

static void test_bad(void)
{
    static const char *const bad[] = {
        "",
        "a",
        "http://a",
        "mqtt:/a",
        "mqtt://",
        "mqtt://:1883",
        "mqtt://a:",
        "mqtt://a:0",
        "mqtt://a:65536",
        "mqtt://a:x",
        "mqtt://a/path",
        "mqtt://[::1",
        "ws://[::1]x",
        "mqtt://%4@a",
        "mqtt://u:%zz@a",
        "ws://u@",
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct arena a = {NULL};
        struct target t;

        CHECK_ROW(i, target_parse(&a, bad[i], &t) != NULL);
        arena_fini(&a);
    }
}

TEST_MAIN(test_good, test_bad)

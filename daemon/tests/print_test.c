/* What is printed can be read again; what is shipped is what would be printed. */
#include "daemon/print.h"

#include "base/test.h"
#include "daemon/alloc.h"
#include "daemon/options.h"
#include "daemon/tests/config_support.h"

/* Not inlined: gcc 12 takes what fclose() stores in text for the address of text. */
static __attribute__((noinline)) char *page(void (*print)(FILE *out))
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    print(out);
    fclose(out);
    return text;
}

static __attribute__((noinline)) char *printed(const struct config *c)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    print_config(c, out);
    fclose(out);
    return text;
}

static void check_round_trip(size_t row, const char *yaml)
{
    struct config *c = read_config(yaml, NULL), *again;
    char *text;

    if (!CHECK_ROW(row, c != NULL))
        return;
    text = printed(c);
    again = read_config(text, NULL);
    if (!CHECK_ROW(row, again != NULL && config_equal(c, again)))
        fprintf(stderr, "%s%s", text, last_problems());
    config_free(&c);
    config_free(&again);
    free(text);
}

static const char *const configs[] = {
    "",
    "listeners:\n"
    "  - {name: a, protocol: wss, address: '::', allow_anonymous: true, tls: {certificates: [\n"
    "     {certificate: '/a b', key: '#'}, {server_name: x.y, certificate: c, key: 'null'}]}}\n"
    "  - {name: b, protocol: mqtt}\n",
    "listeners:\n"
    "  - {protocol: mqtts, tls: {certificate: a, key: b}}\n"
    "  - {protocol: ws, paths: ['/a,b', '/~x:y', \"/a'b\"]}\n",
    "mqtt: {response_information: \"\\u00e9\\u20ac\\U0001F600\\\"\\\\ ${A}\"}\n",
    "user: ' #x: - y'\nlock_file: '-'\n",
    "user: '~'\nlock_file: 'NULL'\n",
    "storage: {durability: fsync, file: '/x y', max_size: 1GiB, topics: [{filter: 'a/#', "
    "durability: "
    "memory}, {filter: '+/b', durability: commit}]}\n",
    "sessions: {max_expiry: 0s, max_queued_bytes: 1000001B}\nshutdown_timeout: 0\n",
    "limits: {connect_timeout: 1500ms, max_keep_alive: 61s}\nworkers: 64\n",
    "log: {level: error, format: json}\nmemory_limit: 1GB\nsys_interval: off\n",
};

static void test_round_trip(void)
{
    for (size_t i = 1; i < ARRAY_LEN(configs); i++) {
        char yaml[1024];

        snprintf(yaml, sizeof yaml, "%s", configs[i]);
        if (strstr(yaml, " ${A}") != NULL)
            memcpy(strstr(yaml, " ${A}"), "$$${A", 5); /* "$${A": the text "${A" behind a dollar */
        check_round_trip(i, yaml);
    }
}

static void test_dollars(void)
{
    struct config *c = read_config("user: a$b$$c$${d}$$${e}\n", NULL);
    char *text;

    if (!CHECK(c != NULL))
        return;
    CHECK(strcmp(c->user, "a$b$$c${d}$${e}") == 0);
    text = printed(c);
    CHECK(strstr(text, "user: \"a$b$$c$${d}$$${e}\" # default: \"\"\n") != NULL);
    config_free(&c);
    free(text);
}

/* A value that is not the default says what that is. */
static void test_default_shown(void)
{
    struct config *c = read_config("limits: {max_packet_size: 1MiB}\n", NULL);
    char *text = printed(c);

    CHECK(strstr(text, "  max_packet_size: 1MiB # default: 2MiB\n") != NULL);
    CHECK(strstr(text, "  connect_timeout: 10s\n") != NULL);
    config_free(&c);
    free(text);
}

static void check_shipped(const char *path, char *take_want)
{
    char *got = read_whole(path);

    if (!CHECK(got != NULL && strcmp(got, take_want) == 0))
        fprintf(stderr,
                "%s is not current: make it again with frysd --print-config, --print-reference, "
                "--print-manual or --print-config-manual\n",
                path);
    free(got);
    free(take_want);
}

static void test_shipped_config(void)
{
    struct config *c = read_config("", NULL), *shipped;
    char *text = read_whole(SOURCE_DIR "/etc/frysd.yaml");

    check_shipped(SOURCE_DIR "/etc/frysd.yaml", printed(c));
    shipped = text != NULL ? read_config(text, NULL) : NULL;
    CHECK(shipped != NULL && config_equal(c, shipped) && last_warnings() == 0);
    for (const struct option *o = options; text != NULL && o->path != NULL; o++)
        CHECK(strstr(text, options_key(o)) != NULL);
    config_free(&c);
    config_free(&shipped);
    free(text);
}

static void test_shipped_reference(void)
{
    check_shipped(SOURCE_DIR "/docs/configuration.md", page(print_reference));
    check_shipped(SOURCE_DIR "/docs/frysd.8", page(print_manual));
    check_shipped(SOURCE_DIR "/docs/frysd.yaml.5", page(print_config_manual));
    forget_problems();
}

/* The commented-out example of TLS is right: without its "# ", one way or the other. */
static void test_example(void)
{
    struct config *c = read_config("", NULL);
    char *text = printed(c), *tls = strstr(text, "    # tls:\n"), *end, yaml[4096];
    size_t n;

    config_free(&c);
    if (!CHECK(tls != NULL))
        return;
    n = (size_t)snprintf(yaml, sizeof yaml, "listeners:\n  - protocol: wss\n");
    for (end = tls; strncmp(end, "    # ", 6) == 0; end = strchr(end, '\n') + 1) {
        if (strstr(end, "# Or, for several") != NULL &&
            strstr(end, "# Or, for several") < strchr(end, '\n'))
            break;
        n += (size_t)snprintf(yaml + n, sizeof yaml - n, "    %.*s",
                              (int)strcspn(end + 6, "\n") + 1, end + 6);
    }
    c = read_config(yaml, NULL);
    CHECK(c != NULL && c->ws.listeners[0].n_certificates == 1);
    config_free(&c);
    free(text);
}

TEST_MAIN(test_round_trip, test_dollars, test_default_shown, test_shipped_config, test_example,
          test_shipped_reference)

/* options_test: the command line, and that the manual page tells of all of it. */
#include "base/test.h"
#include "conformance/options.h"
#include "mqtt/packet.h"

static bool parse(struct options *o, const char *line, char *error, size_t cap)
{
    static char copy[500];
    char *argv[40] = {(char *)"frys-conformance"};
    FILE *err = fmemopen(error, cap, "w");
    int argc = 1;
    bool ok;

    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
        argv[argc++] = word;
    ok = options_parse(argc, argv, o, err);
    fclose(err);
    return ok;
}

static void test_defaults(void)
{
    struct options o;
    char error[200] = "";

    CHECK(parse(&o, "mqtt://a", error, sizeof error));
    CHECK_INT(o.command, COMMAND_RUN);
    CHECK_INT(o.n_targets, 1);
    CHECK_INT(o.jobs, 16);
    CHECK_INT(o.repeat, 1);
    CHECK_INT(o.timeout_ms, 5000);
    CHECK_INT(o.versions, 1 << MQTT_V5 | 1 << MQTT_V311 | 1 << MQTT_V31);
    CHECK(options_wanted(&o, "anything"));
    options_fini(&o);
}

static void test_all_forms(void)
{
    struct options o;
    char error[200] = "";

    CHECK(parse(&o,
                "-j4 --repeat=2 --version 5.0 --version=3.1 -f MQTT-3.3.* --filter will_* "
                "--format tap --header X:1 --header Y:2 --without qos2,retain ws://a wss://b",
                error, sizeof error));
    CHECK_INT(o.jobs, 4);
    CHECK_INT(o.repeat, 2);
    CHECK_INT(o.versions, 1 << MQTT_V5 | 1 << MQTT_V31);
    CHECK(options_wanted(&o, "MQTT-3.3.1-5") && options_wanted(&o, "will_once"));
    CHECK(!options_wanted(&o, "MQTT-3.1.0-1"));
    CHECK_INT(o.format, FORMAT_TAP);
    CHECK(strcmp(o.targets[1].headers, "X:1\r\nY:2\r\n") == 0);
    CHECK(o.without_qos2 && o.without_retain && !o.without_qos1 && !o.without_wildcard);
    options_fini(&o);
}

static void test_mistakes(void)
{
    static const struct {
        const char *line, *says;
    } rows[] = {
        {"", "no URL"},
        {"http://a", "URL http://a"},
        {"mqtt://a --nonsense", "--nonsense: unknown option"},
        {"mqtt://a -x", "-x: unknown option"},
        {"mqtt://a -j", "--jobs: a value must follow"},
        {"mqtt://a --jobs 0", "--jobs: expected a number"},
        {"mqtt://a --jobs x", "--jobs: expected a number"},
        {"mqtt://a --version 4", "--version: expected 5.0"},
        {"mqtt://a --format xml", "--format: expected terminal"},
        {"mqtt://a --slow=1", "--slow=1: takes no value"},
        {"mqtt://a --header X", "--header: expected a line"},
        {"mqtt://a --without tea", "--without: expected a list"},
        {"mqtt://a --cert a", "--cert and --key"},
        {"mqtt://a --auth-data a", "--auth-method is missing"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct options o;
        char error[300] = "";

        CHECK_ROW(i, !parse(&o, rows[i].line, error, sizeof error));
        if (!CHECK_ROW(i, strstr(error, rows[i].says) != NULL))
            printf("    %s\n", error);
        options_fini(&o);
    }
}

static void test_no_url_needed(void)
{
    struct options o;
    char error[200] = "";

    CHECK(parse(&o, "--list", error, sizeof error));
    CHECK_INT(o.command, COMMAND_LIST);
    options_fini(&o);
    CHECK(parse(&o, "--help", error, sizeof error));
    CHECK_INT(o.command, COMMAND_HELP);
    options_fini(&o);
}

static void test_manual_page(void)
{
    static char page[40000];
    FILE *in = fopen(CONFORMANCE_MANUAL, "r");
    const char *name;

    if (!CHECK(in != NULL))
        return;
    page[fread(page, 1, sizeof page - 1, in)] = '\0';
    fclose(in);
    for (size_t i = 0; (name = options_name(i)) != NULL; i++) {
        char escaped[64];

        snprintf(escaped, sizeof escaped, "\\-\\-%s", name + 2);
        for (char *dash = escaped + 4; (dash = strchr(dash, '-')) != NULL; dash += 2) {
            memmove(dash + 1, dash, strlen(dash) + 1);
            *dash = '\\';
        }
        if (!CHECK_ROW(i, strstr(page, escaped) != NULL))
            printf("    the manual page says nothing of %s\n", name);
    }
}

TEST_MAIN(test_defaults, test_all_forms, test_mistakes, test_no_url_needed, test_manual_page)

/* options: one table makes the parser and the help. */
#include "conformance/options.h"

#include "base/assert.h"
#include "mqtt/packet.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

static const char *set_jobs(struct options *o, const char *value);
static const char *set_version(struct options *o, const char *value);
static const char *set_filter(struct options *o, const char *value);
static const char *set_repeat(struct options *o, const char *value);
static const char *set_format(struct options *o, const char *value);
static const char *set_ca(struct options *o, const char *value);
static const char *set_cert(struct options *o, const char *value);
static const char *set_key(struct options *o, const char *value);
static const char *set_insecure(struct options *o, const char *value);
static const char *set_tls_name(struct options *o, const char *value);
static const char *set_header(struct options *o, const char *value);
static const char *set_timeout(struct options *o, const char *value);
static const char *set_slow(struct options *o, const char *value);
static const char *set_without(struct options *o, const char *value);
static const char *set_denied(struct options *o, const char *value);
static const char *set_auth_method(struct options *o, const char *value);
static const char *set_auth_data(struct options *o, const char *value);
static const char *set_skips(struct options *o, const char *value);
static const char *set_strict(struct options *o, const char *value);
static const char *set_verbose(struct options *o, const char *value);
static const char *set_list(struct options *o, const char *value);
static const char *set_help(struct options *o, const char *value);
static const char *set_program_version(struct options *o, const char *value);

/* clang-format off */
static const struct option_row {
    const char *name, *letter; /* letter: NULL without one */
    const char *value;         /* what follows; NULL: nothing */
    const char *help;
    const char *(*set)(struct options *o, const char *value); /* NULL, or what is wrong */
} rows[] = {
    {"--version",      NULL, "V",        "only this version of MQTT: 5.0, 3.1.1 or 3.1; may be given again", set_version},
    {"--filter",       "-f", "PATTERN",  "only these statements or cases: MQTT-3.3.*, will_*; may be given again", set_filter},
    {"--list",         "-l", NULL,       "print the statements and their cases, and end", set_list},
    {"--jobs",         "-j", "N",        "cases that run at the same time (16)", set_jobs},
    {"--repeat",       NULL, "N",        "run everything so many times (1)", set_repeat},
    {"--format",       NULL, "FORMAT",   "terminal, tap, junit, json or md (terminal)", set_format},
    {"--verbose",      "-v", NULL,       "print the exchange of every case, not only of those that fail", set_verbose},
    {"--strict",       NULL, NULL,       "let warnings, expected behaviour and unlisted skips fail the run", set_strict},
    {"--skips",        NULL, "FILE",     "with --strict: statements that may be skipped, a pattern a line", set_skips},
    {"--timeout",      NULL, "SECONDS",  "how long to wait for what must come (5)", set_timeout},
    {"--slow",         NULL, NULL,       "run the cases that take longer than ten seconds, too", set_slow},
    {"--ca",           NULL, "FILE",     "CA certificates, PEM (those of the system)", set_ca},
    {"--cert",         NULL, "FILE",     "client certificate, PEM; with --key", set_cert},
    {"--key",          NULL, "FILE",     "its private key, PEM", set_key},
    {"--insecure",     NULL, NULL,       "do not check the server's certificate", set_insecure},
    {"--tls-name",     NULL, "NAME",     "name in the server's certificate (the URL's host)", set_tls_name},
    {"--header",       NULL, "LINE",     "a further header of the WebSocket request; may be given again", set_header},
    {"--without",      NULL, "FEATURES", "what a server without MQTT 5.0 has not: qos1,qos2,retain,wildcard", set_without},
    {"--denied-topic", NULL, "TOPIC",    "a topic that the server lets this user not publish to", set_denied},
    {"--auth-method",  NULL, "NAME",     "an Authentication Method (MQTT 5.0) that the server knows", set_auth_method},
    {"--auth-data",    NULL, "DATA",     "what to send for it: for CONNECT, then for each AUTH, comma-separated", set_auth_data},
    {"--help",         "-h", NULL,       "print this", set_help},
    {"--about",        "-V", NULL,       "print the version of this program", set_program_version},
};
/* clang-format on */

/* ---- one option ---- */

static bool number(const char *value, unsigned min, unsigned max, unsigned *out)
{
    char *end;
    unsigned long n = strtoul(value, &end, 10);

    if (*value < '0' || *value > '9' || *end != '\0' || n < min || n > max)
        return false;
    *out = (unsigned)n;
    return true;
}

static const char *set_jobs(struct options *o, const char *value)
{
    return number(value, 1, 256, &o->jobs) ? NULL : "a number from 1 to 256";
}

static const char *set_repeat(struct options *o, const char *value)
{
    return number(value, 1, 100000, &o->repeat) ? NULL : "a number from 1 to 100000";
}

static const char *set_timeout(struct options *o, const char *value)
{
    unsigned seconds;

    if (!number(value, 1, 600, &seconds))
        return "seconds from 1 to 600";
    o->timeout_ms = seconds * 1000;
    return NULL;
}

static const char *set_version(struct options *o, const char *value)
{
    if (strcmp(value, "5.0") == 0 || strcmp(value, "5") == 0)
        o->versions |= 1u << MQTT_V5;
    else if (strcmp(value, "3.1.1") == 0)
        o->versions |= 1u << MQTT_V311;
    else if (strcmp(value, "3.1") == 0)
        o->versions |= 1u << MQTT_V31;
    else
        return "5.0, 3.1.1 or 3.1";
    return NULL;
}

static const char *set_filter(struct options *o, const char *value)
{
    if (o->n_patterns == MAX_PATTERNS)
        return "at most 64 patterns";
    o->patterns[o->n_patterns++] = value;
    return NULL;
}

static const char *set_format(struct options *o, const char *value)
{
    static const char *const names[] = {"terminal", "tap", "junit", "json", "md"};

    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(value, names[i]) == 0) {
            o->format = (enum format)i;
            return NULL;
        }
    return "terminal, tap, junit, json or md";
}

static const char *set_header(struct options *o, const char *value)
{
    const char *colon = strchr(value, ':');

    if (colon == NULL || colon == value || strpbrk(value, "\r\n") != NULL)
        return "a line such as \"Name: value\"";
    o->headers = arena_printf(&o->arena, "%s%s\r\n", o->headers, value);
    return NULL;
}

static const char *set_without(struct options *o, const char *value)
{
    static const struct {
        const char *name;
        size_t at;
    } features[] = {
        {"qos1", offsetof(struct options, without_qos1)},
        {"qos2", offsetof(struct options, without_qos2)},
        {"retain", offsetof(struct options, without_retain)},
        {"wildcard", offsetof(struct options, without_wildcard)},
    };

    while (*value != '\0') {
        size_t n = strcspn(value, ","), i = 0;

        while (i < ARRAY_LEN(features) &&
               (strlen(features[i].name) != n || strncmp(features[i].name, value, n) != 0))
            i++;
        if (i == ARRAY_LEN(features))
            return "a list of qos1, qos2, retain and wildcard";
        *(bool *)((char *)o + features[i].at) = true;
        value += n + (value[n] == ',');
    }
    return NULL;
}

#define SET_TEXT(function, field)                                     \
    static const char *function(struct options *o, const char *value) \
    {                                                                 \
        o->field = value;                                             \
        return *value == '\0' ? "something that is not empty" : NULL; \
    }
#define SET_FLAG(function, field, to)                                 \
    static const char *function(struct options *o, const char *value) \
    {                                                                 \
        (void)value;                                                  \
        o->field = (to);                                              \
        return NULL;                                                  \
    }

SET_TEXT(set_ca, tls.ca)
SET_TEXT(set_cert, tls.cert)
SET_TEXT(set_key, tls.key)
SET_TEXT(set_tls_name, tls_name)
SET_TEXT(set_denied, denied_topic)
SET_TEXT(set_auth_method, auth_method)
SET_TEXT(set_auth_data, auth_data)
SET_TEXT(set_skips, skips)
SET_FLAG(set_insecure, tls.insecure, true)
SET_FLAG(set_slow, slow, true)
SET_FLAG(set_strict, strict, true)
SET_FLAG(set_verbose, verbose, true)
SET_FLAG(set_list, command, COMMAND_LIST)
SET_FLAG(set_help, command, COMMAND_HELP)
SET_FLAG(set_program_version, command, COMMAND_PROGRAM_VERSION)

/* ---- all of them ---- */

static bool complain(FILE *err, const char *what, const char *argument, const char *expected)
{
    fprintf(err, "frys-conformance: %s%s: %s; see frys-conformance --help\n", what, argument,
            expected);
    return false;
}

static const struct option_row *find_row(const char *argument, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if ((strlen(rows[i].name) == len && strncmp(rows[i].name, argument, len) == 0) ||
            (rows[i].letter != NULL && len == 2 && strncmp(rows[i].letter, argument, 2) == 0))
            return &rows[i];
    return NULL;
}

/* "--name value", "--name=value", "-n value", "-nvalue" */
static bool take_option(int argc, char **argv, int *i, struct options *o, FILE *err)
{
    const char *argument = argv[*i], *equals = strchr(argument, '='), *value = NULL, *wrong;
    bool is_long = strncmp(argument, "--", 2) == 0;
    size_t len = !is_long ? 2 : equals != NULL ? (size_t)(equals - argument) : strlen(argument);
    const struct option_row *row = find_row(argument, len);

    if (row == NULL)
        return complain(err, "", argument, "unknown option");
    if (row->value != NULL) {
        if (argument[len] != '\0')
            value = argument + len + (is_long ? 1 : 0);
        else if (*i + 1 < argc)
            value = argv[++*i];
        else
            return complain(err, "", row->name, "a value must follow");
    } else if (argument[len] != '\0') {
        return complain(err, "", argument, "takes no value");
    }
    wrong = row->set(o, value);
    return wrong == NULL ||
           complain(err, "", row->name, arena_printf(&o->arena, "expected %s", wrong));
}

static bool take_url(const char *url, struct options *o, FILE *err)
{
    const char *wrong;

    if (o->n_targets == MAX_TARGETS)
        return complain(err, "", url, "at most 16 URLs");
    wrong = target_parse(&o->arena, url, &o->targets[o->n_targets]);
    if (wrong != NULL)
        return complain(err, "URL ", url, wrong);
    o->n_targets++;
    return true;
}

static bool make_sense(struct options *o, FILE *err)
{
    if ((o->tls.cert == NULL) != (o->tls.key == NULL))
        return complain(err, "", "--cert", "--cert and --key go together");
    if (o->auth_data != NULL && o->auth_method == NULL)
        return complain(err, "", "--auth-data", "--auth-method is missing");
    if (o->command == COMMAND_RUN && o->n_targets == 0)
        return complain(err, "", "no URL", "where is the server?");
    return true;
}

bool options_parse(int argc, char **argv, struct options *out, FILE *err)
{
    *out = (struct options){.jobs = 16, .repeat = 1, .timeout_ms = 5000, .headers = ""};
    for (int i = 1; i < argc; i++) {
        bool ok = argv[i][0] == '-' && argv[i][1] != '\0' ? take_option(argc, argv, &i, out, err)
                                                          : take_url(argv[i], out, err);

        if (!ok)
            return false;
    }
    if (out->versions == 0)
        out->versions = 1u << MQTT_V5 | 1u << MQTT_V311 | 1u << MQTT_V31;
    for (size_t i = 0; i < out->n_targets; i++)
        out->targets[i].headers = out->headers;
    return make_sense(out, err);
}

void options_fini(struct options *o)
{
    arena_fini(&o->arena);
}

void options_help(FILE *out)
{
    fputs("frys-conformance: does a server obey the MQTT standards?\n\n"
          "  frys-conformance [OPTION...] URL...\n\n"
          "  URL: mqtt://HOST[:PORT], mqtts://..., ws://HOST[:PORT]/PATH, wss://...,\n"
          "  with USER:PASSWORD@ before the host if need be; several are of one server.\n\n",
          out);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char name[48];

        snprintf(name, sizeof name, "%s%s%s%s%s", rows[i].letter != NULL ? rows[i].letter : "",
                 rows[i].letter != NULL ? ", " : "", rows[i].name, rows[i].value != NULL ? " " : "",
                 rows[i].value != NULL ? rows[i].value : "");
        fprintf(out, "  %-24s %s\n", name, rows[i].help);
    }
    fputs("\nExit status: 0 nothing fails, 1 something does, 2 it could not be tried.\n", out);
}

const char *options_name(size_t i)
{
    return i < ARRAY_LEN(rows) ? rows[i].name : NULL;
}

bool options_wanted(const struct options *o, const char *name)
{
    for (size_t i = 0; i < o->n_patterns; i++)
        if (fnmatch(o->patterns[i], name, 0) == 0)
            return true;
    return o->n_patterns == 0;
}

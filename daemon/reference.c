/* reference: docs/configuration.md: what every option has in common, then the table. */
#include "daemon/exit_codes.h"
#include "daemon/options.h"
#include "daemon/print.h"
#include "daemon/value.h"

#include <string.h>

static const char introduction[] =
    "# Configuration\n"
    "\n"
    "<!-- Made by `frysd --print-reference`; a test compares the two. Change daemon/options.c. "
    "-->\n"
    "\n"
    "`frysd -c FILE` reads one YAML file. Without `-c` it is the file that `FRYS_CONFIG` names, "
    "else\n"
    "`/etc/frys/frysd.yaml` if it is there, else every option has its default. The shipped\n"
    "[frysd.yaml](../etc/frysd.yaml) shows all of them with their defaults.\n"
    "\n"
    "| Command | Does |\n"
    "|---|---|\n"
    "| `frysd --check -c FILE` | says everything that is wrong in the file, and what has no effect "
    "|\n"
    "| `frysd --print-config -c FILE` | prints what is in effect, environment included, as a file "
    "|\n"
    "| `frysd --print-reference` | prints this page |\n"
    "\n"
    "## A file\n"
    "\n"
    "```yaml\n"
    "listeners:\n"
    "  - protocol: wss\n"
    "    address: 0.0.0.0\n"
    "    allow_anonymous: true\n"
    "    tls:\n"
    "      certificate: /etc/frys/tls/fullchain.pem\n"
    "      key: /etc/frys/tls/privkey.pem\n"
    "  - protocol: mqtt\n"
    "limits:\n"
    "  max_packet_size: 1MiB\n"
    "```\n"
    "\n"
    "- **Mistakes are errors.** A key that is unknown or given twice, a value of the wrong type or "
    "out\n"
    "  of range: `frysd.yaml:9:20: limits.max_packet_size: \"1 MB\" is not a size; expected ...`. "
    "All\n"
    "  are reported together, and frysd does not start. What merely has no effect is a warning.\n"
    "- **Durations** are a whole number and `ms`, `s`, `m`, `h` or `d`. **Sizes** are a whole "
    "number and\n"
    "  `B`, `KiB`, `MiB`, `GiB`, or `kB`, `MB`, `GB` for powers of ten. 0 needs no unit.\n"
    "- **Environment.** `${NAME}` in a value is replaced by the variable; one that is not set is "
    "an\n"
    "  error; `$${` stands for `${`. A variable `FRYS_...` overrides an option outside of lists: "
    "dots\n"
    "  become underscores, letters upper case: `FRYS_LIMITS_MAX_PACKET_SIZE=1MiB`. Unknown ones "
    "are\n"
    "  errors; those that Kubernetes sets for a service of that name are passed over.\n"
    "- **YAML** is used without anchors, aliases, tags and further documents. Quotes do not "
    "matter:\n"
    "  the option knows its type. File names are relative to the working directory.\n"
    "- **Open to the network?** There is no authentication: a listener on an address other than a\n"
    "  loopback one is refused unless `allow_anonymous: true` stands on it.\n"
    "\n"
    "## Signals\n"
    "\n"
    "| Signal | Effect |\n"
    "|---|---|\n"
    "| `SIGTERM`, `SIGINT` | No new connections; clients get DISCONNECT 0x8B (MQTT 5) and "
    "WebSocket "
    "close 1001; the process ends when they have gone, at the latest after `shutdown_timeout`. A "
    "second "
    "one ends it at once. |\n"
    "| `SIGHUP` | Reads the file and the certificates again. With an error, nothing changes and "
    "the log "
    "says why. Otherwise options marked *yes* under Reload are applied and the others that have "
    "changed "
    "are named in the log; connections stay. |\n"
    "| `SIGUSR1` | Writes a line with the state of the broker to the log. |\n"
    "\n"
    "## Exit codes\n"
    "\n"
    "| Code | Meaning |\n"
    "|---|---|\n"
#define X(code, name, text) "| " #code " | " text " |\n"
    EXIT_CODES(X)
#undef X
        "\n"
        "Kept with every release. Errors of the configuration go to standard error, one a line.\n";

static const char table_head[] = "\n"
                                 "| Option | Default | May be | Reload | Meaning |\n"
                                 "|---|---|---|---|---|\n";

static void print_default(const struct option *o, FILE *out)
{
    if (o->fallback != NULL)
        fprintf(out, "`%s`", o->fallback);
    else
        fputs(o->computed != NULL ? o->computed : "must be given", out);
}

static const char *use_note(const struct option *o)
{
    switch (o->use) {
    case USE_WEBSOCKET: return " For `ws` and `wss`.";
    case USE_TLS: return " For `wss` and `mqtts`.";
    default: return "";
    }
}

/* name: the path, or what of it is below the heading. */
static void print_row(const struct option *o, const char *name, FILE *out)
{
    if (!options_has_field(o)) {
        fprintf(out, "| `%s` | | | | %s%s |\n", name, o->help, use_note(o));
        return;
    }
    fprintf(out, "| `%s` | ", name);
    print_default(o, out);
    fputs(" | ", out);
    value_print_range(o, out);
    fprintf(out, " | %s | %s%s", o->reload ? "yes" : "no", o->help, use_note(o));
    if (o->needs != NULL)
        fprintf(out, " Only with `%s`.", o->needs);
    fputs(" |\n", out);
}

static bool has_children(const struct option *o)
{
    return o->type == OPTION_SECTION || o->type == OPTION_ITEMS;
}

/* Everything below, in one table. */
static void print_below(const struct option *top, const struct option *parent, FILE *out)
{
    const struct option *o = NULL;

    while ((o = options_next_child(parent, o)) != NULL) {
        const char *rest = o->path + strlen(top->path);

        print_row(o, rest + strspn(rest, ".[]"), out);
        if (has_children(o))
            print_below(top, o, out);
    }
}

void print_reference(FILE *out)
{
    const struct option *o = NULL;

    fputs(introduction, out);
    fputs("\n## Options\n", out);
    while ((o = options_next_child(NULL, o)) != NULL) {
        if (!has_children(o))
            continue;
        fprintf(out, "\n### %s\n\n%s\n%s", o->path, o->help, table_head);
        print_below(o, o, out);
    }
    fprintf(out, "\n### At the top of the file\n%s", table_head);
    while ((o = options_next_child(NULL, o)) != NULL)
        if (!has_children(o))
            print_row(o, o->path, out);
}

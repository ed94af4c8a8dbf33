/* reference: docs/configuration.md: what every option has in common, then the table. */
#include "daemon/exit_codes.h"
#include "daemon/options.h"
#include "daemon/print.h"
#include "daemon/rules.h"
#include "daemon/value.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 100

/* Words, wrapped; further lines are indented by two. */
static void print_wrapped(const char *mark, const char *title, const char *text, FILE *out)
{
    char *all = NULL, *word, *rest = NULL;
    int at = 0;

    if (asprintf(&all, "%s%s%s", title, title[0] != '\0' ? " " : "", text) < 0)
        abort();
    fputs(mark, out);
    at = (int)strlen(mark);
    for (word = strtok_r(all, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        int len = (int)strlen(word);
        bool first = at == (int)strlen(mark);

        if (!first && at + 1 + len > WIDTH) {
            fprintf(out, "\n%*s", (int)strlen(mark), "");
            at = (int)strlen(mark);
            first = true;
        }
        fprintf(out, "%s%s", first ? "" : " ", word);
        at += len + !first;
    }
    putc('\n', out);
    free(all);
}

static void print_rules(const struct rule *r, FILE *out)
{
    putc('\n', out);
    for (; r->title != NULL; r++) {
        char title[64];

        snprintf(title, sizeof title, "**%s**", r->title);
        print_wrapped("- ", title, r->text, out);
    }
}

static void print_table(const char *a, const char *b, const struct rule *r, FILE *out)
{
    fprintf(out, "\n| %s | %s |\n|---|---|\n", a, b);
    for (; r->title != NULL; r++)
        fprintf(out, "| %s | %s |\n", r->title, r->text);
}

static void print_introduction(FILE *out)
{
    fputs("# Configuration\n"
          "\n"
          "<!-- Made by `frysd --print-reference`; a test compares the two. Change "
          "daemon/options.c. -->\n\n",
          out);
    print_wrapped("", "", file_found, out);
    fputs("The shipped [frysd.yaml](../etc/frysd.yaml) shows all of them with their defaults.\n"
          "\n"
          "| Command | Does |\n"
          "|---|---|\n"
          "| `frysd --check -c FILE` | says everything that is wrong in the file, and what has no "
          "effect |\n"
          "| `frysd --print-config -c FILE` | prints what is in effect, environment included, as a "
          "file |\n"
          "| `frysd --healthcheck -c FILE` | asks the daemon with this configuration whether it is "
          "well |\n"
          "| `frysd --print-reference` | prints this page |\n"
          "| `frysd --check-store FILE`, `--export-store FILE`, `--import-store FILE`, "
          "`--import-mosquitto FILE` | [storage.md](storage.md) tells |\n"
          "\n"
          "## A file\n"
          "\n"
          "```yaml\n",
          out);
    fprintf(out, "%s```\n", file_example);
    print_rules(file_rules, out);
    fputs("\n## Signals\n", out);
    print_table("Signal", "Effect", signal_rules, out);
    fputs("\n## Pages for operators\n", out);
    print_table("Path", "Answer", page_rules, out);
    fputs("\n## Service managers\n", out);
    print_rules(service_rules, out);
    fputs("\n## Exit codes\n"
          "\n"
          "| Code | Meaning |\n"
          "|---|---|\n"
#define X(code, name, text) "| " #code " | " text " |\n"
          EXIT_CODES(X)
#undef X
              "\n"
              "Kept with every release. Errors of the configuration go to standard error, one a "
              "line.\n",
          out);
}

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

    print_introduction(out);
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

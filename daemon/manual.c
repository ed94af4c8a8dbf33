/* manual: the manual pages frysd(8) and frysd.yaml(5), from the tables that frysd itself uses. */
#include "base/assert.h"
#include "daemon/arguments.h"
#include "daemon/exit_codes.h"
#include "daemon/options.h"
#include "daemon/print.h"
#include "daemon/rules.h"
#include "daemon/value.h"

#include <stdbool.h>
#include <stdlib.h>

/* ---- roff ---- */

static void print_char(char c, FILE *out)
{
    switch (c) {
    case '\\': fputs("\\e", out); break;
    case '-': fputs("\\-", out); break;
    case '\'': fputs("\\(aq", out); break;
    default: putc(c, out);
    }
}

/* Text with the Markdown of rules.h. Within `code` asterisks are themselves. */
static void print_text(const char *s, FILE *out)
{
    bool code = false, strong = false, emphasis = false;

    for (; *s != '\0'; s++) {
        if (*s == '`') {
            code = !code;
            fputs(code ? "\\fB" : "\\fR", out);
        } else if (!code && s[0] == '*' && s[1] == '*') {
            s++;
            strong = !strong;
            fputs(strong ? "\\fB" : "\\fR", out);
        } else if (!code && *s == '*') {
            emphasis = !emphasis;
            fputs(emphasis ? "\\fI" : "\\fR", out);
        } else {
            print_char(*s, out);
        }
    }
}

static void print_paragraph(const char *s, FILE *out)
{
    fputs(".PP\n", out);
    print_text(s, out);
    putc('\n', out);
}

static void print_literal(const char *s, FILE *out)
{
    fputs(".RS 4\n.nf\n", out);
    for (; *s != '\0'; s++)
        print_char(*s, out);
    fputs(".fi\n.RE\n", out);
}

static void print_tag(const char *tag, FILE *out)
{
    fputs(".TP\n.B ", out);
    print_text(tag, out);
    putc('\n', out);
}

static void print_item(const char *tag, const char *text, FILE *out)
{
    print_tag(tag, out);
    print_text(text, out);
    putc('\n', out);
}

static void print_items(const struct rule *r, FILE *out)
{
    for (; r->title != NULL; r++)
        print_item(r->title, r->text, out);
}

/* The title is part of the text. */
static void print_rules(const struct rule *r, FILE *out)
{
    for (; r->title != NULL; r++) {
        fputs(".IP \\(bu 2\n\\fB", out);
        print_text(r->title, out);
        fputs("\\fR ", out);
        print_text(r->text, out);
        putc('\n', out);
    }
}

static const char origin[] = ".\\\" Made by frysd %s; a test compares the two.\n";

/* ---- frysd(8) ---- */

static void print_commands(FILE *out)
{
    const char *name, *operand, *help;

    print_item("-c *FILE*", "The configuration.", out);
    for (size_t i = 0; (name = arguments_command(i, &operand, &help)) != NULL; i++) {
        char tag[64];

        snprintf(tag, sizeof tag, operand != NULL ? "%s *%s*" : "%s", name, operand);
        print_item(tag, help, out);
    }
}

static void print_exit_codes(FILE *out)
{
#define X(code, name, text) print_item(#code, text, out);
    EXIT_CODES(X)
#undef X
}

void print_manual(FILE *out)
{
    fprintf(out, origin, "--print-manual");
    fputs(".TH FRYSD 8 \"\" Frys \"System Manager\\(aqs Manual\"\n"
          ".SH NAME\nfrysd \\- MQTT broker over WebSocket and TCP\n"
          ".SH SYNOPSIS\n.B frysd\n.RB [ \\-c\n.IR FILE ]\n.RI [ COMMAND ]\n"
          ".SH DESCRIPTION\n",
          out);
    print_text(
        "frysd serves MQTT 5.0, 3.1.1 and 3.1 over WebSocket and over TCP, each with or "
        "without TLS. Without a configuration it listens on this machine only: "
        "`ws://127.0.0.1:8080/mqtt` and `mqtt://127.0.0.1:1883`, with pages for operators at "
        "`http://127.0.0.1:8081`.",
        out);
    putc('\n', out);
    print_paragraph(file_found, out);
    print_paragraph(
        "The log goes to standard error. Without a command frysd serves until it is told "
        "to end.",
        out);
    fputs(".SH OPTIONS\n", out);
    print_commands(out);
    fputs(".SH SIGNALS\n", out);
    print_items(signal_rules, out);
    fputs(".SH PAGES FOR OPERATORS\n", out);
    print_items(page_rules, out);
    fputs(".SH SERVICE MANAGERS\n", out);
    print_rules(service_rules, out);
    fputs(".SH EXIT STATUS\n", out);
    print_exit_codes(out);
    fputs(".SH FILES\n", out);
    print_item("/etc/frys/frysd.yaml", "The configuration.", out);
    print_item(
        "/var/lib/frys/frys.db",
        "The database, and files with names that begin with this. A damaged one is set aside "
        "as `frys.db.damaged-`*DATE*.",
        out);
    fputs(".SH SEE ALSO\n.BR frysd.yaml (5),\n.BR systemd.service (5)\n", out);
}

/* ---- frysd.yaml(5) ---- */

static const char *use_note(const struct option *o)
{
    switch (o->use) {
    case USE_WEBSOCKET: return " For `ws` and `wss`.";
    case USE_TLS: return " For `wss` and `mqtts`.";
    default: return "";
    }
}

/* "Default: 10s. May be: 1s to 5m. A reload applies it." */
static void print_facts(const struct option *o, FILE *out)
{
    char *range = NULL;
    size_t len;
    FILE *text = open_memstream(&range, &len);

    ASSERT(text != NULL);
    value_print_range(o, text);
    fclose(text);
    fputs(".br\nDefault: ", out);
    print_text(o->fallback != NULL   ? o->fallback
               : o->computed != NULL ? o->computed
                                     : "none, it must be given",
               out);
    fputs(". May be: ", out);
    print_text(range, out);
    fputs(o->reload ? ". A reload applies it.\n" : ". Needs a restart.\n", out);
    free(range);
}

static void print_option(const struct option *o, const char *name, FILE *out)
{
    print_tag(name, out);
    print_text(o->help, out);
    print_text(use_note(o), out);
    if (o->needs != NULL) {
        fputs(" Only with ", out);
        print_text(o->needs, out);
        putc('.', out);
    }
    putc('\n', out);
    if (options_has_field(o))
        print_facts(o, out);
}

static bool has_children(const struct option *o)
{
    return o->type == OPTION_SECTION || o->type == OPTION_ITEMS;
}

static void print_below(const struct option *parent, FILE *out)
{
    const struct option *o = NULL;

    while ((o = options_next_child(parent, o)) != NULL) {
        print_option(o, o->path, out);
        if (has_children(o))
            print_below(o, out);
    }
}

void print_config_manual(FILE *out)
{
    const struct option *o = NULL;

    fprintf(out, origin, "--print-config-manual");
    fputs(".TH FRYSD.YAML 5 \"\" Frys \"File Formats Manual\"\n"
          ".SH NAME\nfrysd.yaml \\- configuration of the MQTT broker frysd\n"
          ".SH DESCRIPTION\n",
          out);
    print_text(file_found, out);
    fputs("\n.SH EXAMPLE\n", out);
    print_literal(file_example, out);
    fputs(".SH RULES\n", out);
    print_rules(file_rules, out);
    fputs(".SH OPTIONS\n", out);
    print_text(
        "Dots stand for levels of the file, `[]` for an item of a list. `frysd --check` says "
        "what is wrong in a file, `frysd --print-config` shows what is in effect.",
        out);
    putc('\n', out);
    while ((o = options_next_child(NULL, o)) != NULL) {
        if (!has_children(o))
            continue;
        fprintf(out, ".SS %s\n", o->path);
        print_text(o->help, out);
        putc('\n', out);
        print_below(o, out);
    }
    fputs(".SS At the top of the file\n", out);
    while ((o = options_next_child(NULL, o)) != NULL)
        if (!has_children(o))
            print_option(o, o->path, out);
    fputs(".SH SEE ALSO\n.BR frysd (8)\n", out);
}

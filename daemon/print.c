#include "daemon/print.h"

#include "daemon/alloc.h"
#include "daemon/config_priv.h"
#include "daemon/value.h"

#define WIDTH 100 /* columns of a comment */

static const char header[] =
    "# Configuration of frysd, the Frys MQTT broker. Every option is shown with its value; what "
    "is\n"
    "# left out has its default. Durations and sizes have units: 500ms 30s 5m 1h 1d, 512KiB 2MiB.\n"
    "# Values may contain ${NAME} of the environment.\n"
    "#\n"
    "#   frysd --check -c FILE    says what is wrong in a file\n"
    "#   kill -HUP PID            applies changes, but for options marked with \"restart\"\n"
    "#\n"
    "# The same as a reference: frysd.yaml(5), docs/configuration.md\n";

struct printer {
    FILE *out;
    int indent;    /* of the keys */
    int sample_at; /* what is printed is commented out, with the # in this column; -1: it is not */
    bool dash;     /* the next key begins an item of a list */
    bool comments;
};

/* Up to where a line's own text begins. */
static void begin_line(struct printer *p, int indent)
{
    if (p->sample_at < 0)
        fprintf(p->out, "%*s", indent, "");
    else
        fprintf(p->out, "%*s# %*s", p->sample_at, "", indent - p->sample_at, "");
}

static void begin_key(struct printer *p, const struct option *o)
{
    begin_line(p, p->dash ? p->indent - 2 : p->indent);
    fprintf(p->out, "%s%s:", p->dash ? "- " : "", options_key(o));
    p->dash = false;
}

/* ---- comments ---- */

static void wrap(struct printer *p, const char *text)
{
    int room = WIDTH - p->indent - (p->sample_at < 0 ? 2 : 4);

    while (*text != '\0') {
        int len = (int)strlen(text);

        if (len > room)
            for (len = room; text[len] != ' '; len--)
                ;
        begin_line(p, p->indent);
        fprintf(p->out, "# %.*s\n", len, text);
        text += len;
        text += *text == ' ';
    }
}

/* What follows the help: "[1KiB to 256MiB; restart]". */
static void print_facts(const struct option *o, FILE *out)
{
    const char *joint = " [";

    if (o->type == OPTION_SECTION || o->type == OPTION_ITEMS || o->type == OPTION_SHORT)
        return;
    if (o->type != OPTION_BOOL) {
        fputs(joint, out);
        value_print_range(o, out);
        joint = "; ";
    }
    if (o->computed != NULL) {
        fprintf(out, "%sdefault: %s", joint, o->computed);
        joint = "; ";
    }
    if (!o->reload) {
        fprintf(out, "%srestart", joint);
        joint = "; ";
    }
    fputs(joint[0] == ';' ? "]" : "", out);
}

static void print_comment(struct printer *p, const struct option *o)
{
    char *text = NULL;
    size_t len;
    FILE *out;

    if (!p->comments)
        return;
    out = open_memstream(&text, &len);
    ASSERT(out != NULL);
    fputs(o->help, out);
    print_facts(o, out);
    fclose(out);
    wrap(p, text);
    free(text);
}

/* ---- what is not set, as an example ---- */

static void print_sample(struct printer *p, const struct option *o)
{
    print_comment(p, o);
    begin_key(p, o);
    if (o->type == OPTION_SECTION || o->type == OPTION_ITEMS) {
        const struct option *child = NULL;
        bool items = o->type == OPTION_ITEMS;

        putc('\n', p->out);
        p->indent += items ? 4 : 2;
        p->dash = items;
        while ((child = options_next_child(o, child)) != NULL)
            print_sample(p, child);
        p->indent -= items ? 4 : 2;
    } else {
        fprintf(p->out, " %s\n", o->example != NULL ? o->example : o->fallback);
    }
}

static void print_commented_out(struct printer *p, const struct option *o)
{
    if (!p->comments)
        return;
    p->sample_at = p->indent;
    print_sample(p, o);
    p->sample_at = -1;
}

/* ---- what is set ---- */

static void print_options(struct printer *p, const struct option *parent, const void *base);

static void print_items(struct printer *p, const struct option *list, const void *base)
{
    bool comments = p->comments;

    p->indent += 4;
    for (size_t i = 0; i < *value_count(base, list->count_offset); i++) {
        if (i > 0)
            putc('\n', p->out);
        p->dash = true;
        print_options(p, list, config__item(list, base, i));
        p->comments = false; /* once is enough */
    }
    p->indent -= 4;
    p->comments = comments;
}

static void print_value(struct printer *p, const struct option *o, const void *base)
{
    putc(' ', p->out);
    value_print(o, base, p->out);
    if (o->fallback != NULL && !value_is_default(o, base))
        fprintf(p->out, " # default: %s", o->fallback);
    putc('\n', p->out);
}

/* Does the listener heed the option? base is a listener if the option has a use. */
static bool in_use(const struct option *o, const void *base)
{
    const struct ws_listener_config *ls = base;

    switch (o->use) {
    case USE_WEBSOCKET: return ws_protocol_is_websocket(ls->protocol);
    case USE_TLS: return ws_protocol_has_tls(ls->protocol);
    default: return true;
    }
}

static bool is_empty(const struct option *o, const void *base)
{
    return o->type == OPTION_ITEMS && *value_count(base, o->count_offset) == 0;
}

static void print_option(struct printer *p, const struct option *o, const void *base)
{
    if (o->type == OPTION_SHORT)
        return;
    if (!in_use(o, base) || is_empty(o, base)) {
        print_commented_out(p, o);
        return;
    }
    print_comment(p, o);
    begin_key(p, o);
    if (o->type == OPTION_SECTION) {
        putc('\n', p->out);
        p->indent += 2;
        print_options(p, o, base);
        p->indent -= 2;
    } else if (o->type == OPTION_ITEMS) {
        putc('\n', p->out);
        print_items(p, o, base);
    } else {
        print_value(p, o, base);
    }
}

static void print_options(struct printer *p, const struct option *parent, const void *base)
{
    const struct option *o = NULL;

    while ((o = options_next_child(parent, o)) != NULL) {
        if (parent == NULL)
            putc('\n', p->out);
        print_option(p, o, base);
    }
}

void print_config(const struct config *c, FILE *out)
{
    struct printer p = {.out = out, .sample_at = -1, .comments = true};

    fputs(header, out);
    print_options(&p, NULL, c);
}

/* reload: which of the options that have changed a running daemon takes over. */
#include "daemon/alloc.h"
#include "daemon/config_priv.h"
#include "daemon/value.h"

struct merge {
    config_report_fn *report;
    void *arg;
};

/* Take over what may be of one struct; listener: its name, or NULL. */
static void merge_scope(const struct merge *m, enum option_scope scope, void *to, const void *from,
                        const char *listener)
{
    const struct option *o = NULL;

    while ((o = options_next_field(scope, o)) != NULL) {
        bool list = o->type == OPTION_ITEMS;

        if (list && o->items == SCOPE_LISTENER)
            continue; /* they are matched by name */
        if (list ? config__equal_items(o, to, from) : value_equal(o, to, from))
            continue;
        if (!o->reload) {
            m->report(m->arg, o->path, listener);
        } else {
            value_clear(o, to);
            value_copy(o, to, from);
        }
    }
}

static struct ws_listener_config *find_listener(const struct ws_config *ws, const char *name)
{
    for (size_t i = 0; i < ws->n_listeners; i++)
        if (strcmp(ws->listeners[i].name, name) == 0)
            return &ws->listeners[i];
    return NULL;
}

struct config *config_merge(const struct config *running, const struct config *wanted,
                            config_report_fn *report, void *arg)
{
    struct merge m = {report, arg};
    struct config *merged = config_copy(running);

    merge_scope(&m, SCOPE_CONFIG, merged, wanted, NULL);
    for (size_t i = 0; i < merged->ws.n_listeners; i++) {
        struct ws_listener_config *ls = &merged->ws.listeners[i];
        const struct ws_listener_config *new = find_listener(&wanted->ws, ls->name);

        if (new == NULL)
            report(arg, "listeners[]", ls->name);
        else
            merge_scope(&m, SCOPE_LISTENER, ls, new, ls->name);
    }
    for (size_t i = 0; i < wanted->ws.n_listeners; i++)
        if (find_listener(&running->ws, wanted->ws.listeners[i].name) == NULL)
            report(arg, "listeners[]", wanted->ws.listeners[i].name);
    return merged;
}

/* check: what the options say together. */
#include "daemon/address.h"
#include "daemon/alloc.h"
#include "daemon/config_priv.h"
#include "daemon/value.h"
#include "mqtt/topic.h"

#include <strings.h>

static const struct option *row(const char *path)
{
    const struct option *o = options_find(str_from(path));

    ASSERT(o != NULL);
    return o;
}

/* Where an option was given; else where the item of a list begins that lacks it; else nowhere in
 * particular. */
static struct position place(const struct loader *l, const char *path, const void *base)
{
    const struct position *at = config__origin(l, row(path), base);

    if (at == NULL)
        at = config__origin(l, row("listeners"), base);
    return at != NULL ? *at : (struct position){l->name, 0, 0};
}

static bool given(const struct loader *l, const char *path, const void *base)
{
    return config__origin(l, row(path), base) != NULL;
}

static const char *protocol_name(enum ws_protocol p)
{
    return row("listeners[].protocol")->choices[p];
}

/* "" as people would say it. */
static const char *shown(const char *address)
{
    return address[0] != '\0' ? address : "every address";
}

/* ---- computed defaults ---- */

static void complete_listener(struct loader *l, struct ws_listener_config *ls)
{
    static const uint16_t ports[] = {[WS_PROTOCOL_WS] = 8080,
                                     [WS_PROTOCOL_WSS] = 8443,
                                     [WS_PROTOCOL_MQTT] = 1883,
                                     [WS_PROTOCOL_MQTTS] = 8883};

    if (ls->name == NULL)
        ls->name = alloc_text(str_from(protocol_name(ls->protocol)));
    if (!given(l, "listeners[].port", ls))
        ls->port = ports[ls->protocol];
    if (!given(l, "listeners[].allow_anonymous", ls))
        ls->allow_anonymous = address_is_loopback(ls->address);
}

/* ---- what must be there ---- */

static void check_required(struct loader *l, const struct option *list, const void *item)
{
    const struct position *at = config__origin(l, list, item);
    const struct option *o = NULL;

    ASSERT(at != NULL);
    while ((o = options_next_field(list->items, o)) != NULL) {
        char *want;

        if (!options_required(o) || config__origin(l, o, item) != NULL)
            continue;
        want = value_expected(o);
        problems_add(l->problems, PROBLEM_ERROR, *at, "%s: missing; %s", o->path, want);
        free(want);
    }
}

/* A name that no client will be served by. */
static void check_server_name(struct loader *l, const struct ws_listener_config *ls, size_t i)
{
    const struct option *o = row("listeners[].tls.certificates[].server_name");
    const struct ws_certificate *c = &ls->certificates[i];
    const struct position *at = config__origin(l, o, c);

    if (at == NULL)
        at = config__origin(l, row("listeners[].tls.certificates"), c);
    if (strchr(c->server_name, '*') != NULL)
        problems_add(
            l->problems, PROBLEM_ERROR, *at,
            "%s: \"%s\" has a wildcard; write the domain alone: the names in it are meant, "
            "too",
            o->path, c->server_name);
    for (size_t j = 0; j < i; j++)
        if (strcasecmp(c->server_name, ls->certificates[j].server_name) == 0)
            problems_add(l->problems, PROBLEM_ERROR, *at,
                         "%s: \"%s\" is that of an earlier certificate; give each one of its own",
                         o->path, c->server_name);
}

static void check_tls(struct loader *l, const struct ws_listener_config *ls)
{
    const struct option *list = row("listeners[].tls.certificates");

    for (size_t i = 0; i < ls->n_certificates; i++) {
        check_required(l, list, &ls->certificates[i]);
        check_server_name(l, ls, i);
    }
    if (ws_protocol_has_tls(ls->protocol) && ls->n_certificates == 0)
        problems_add(l->problems, PROBLEM_ERROR, place(l, "listeners[].tls", ls),
                     "listeners[].tls: protocol %s needs a certificate; write \"tls: {certificate: "
                     "FILE, key: FILE}\"",
                     protocol_name(ls->protocol));
}

/* ---- who may come in ---- */

/* Nobody shall be open to the network without having said so. */
static void check_exposure(struct loader *l, const struct ws_listener_config *ls)
{
    bool loopback = address_is_loopback(ls->address);

    if (!loopback && !ls->allow_anonymous)
        problems_add(l->problems, PROBLEM_ERROR, place(l, "listeners[].address", ls),
                     "listeners[].address: %s can be reached from other machines, and there is no "
                     "authentication; write \"allow_anonymous: true\" in this listener to serve "
                     "everyone, or \"address: 127.0.0.1\" to serve this machine only",
                     shown(ls->address));
    else if (!ls->allow_anonymous)
        problems_add(l->problems, PROBLEM_WARNING, place(l, "listeners[].allow_anonymous", ls),
                     "listeners[].allow_anonymous: false lets nobody in, as there is no "
                     "authentication");
}

static void check_admin(struct loader *l)
{
    const struct ws_admin_config *admin = &l->config->ws.admin;

    if (admin->enabled && !address_is_loopback(admin->address))
        problems_add(l->problems, PROBLEM_WARNING, place(l, "admin.address", l->config),
                     "admin.address: whoever can reach %s, port %u, can read the metrics",
                     shown(admin->address), admin->port);
}

/* ---- listeners and each other ---- */

static void check_ping(struct loader *l, const struct ws_listener_config *ls)
{
    if (ws_protocol_is_websocket(ls->protocol) && ls->ping_interval_ms > 0 &&
        ls->ping_timeout_ms > ls->ping_interval_ms)
        problems_add(
            l->problems, PROBLEM_WARNING, place(l, "listeners[].websocket.ping_timeout", ls),
            "listeners[].websocket.ping_timeout: longer than ping_interval: a connection is "
            "pinged again before the last ping has failed");
}

static bool same_port(const char *a, uint16_t port_a, const char *b, uint16_t port_b)
{
    return port_a == port_b && port_a != 0 && strcmp(a, b) == 0;
}

static void check_against(struct loader *l, const struct ws_listener_config *ls,
                          const struct ws_listener_config *earlier)
{
    if (strcmp(ls->name, earlier->name) == 0)
        problems_add(l->problems, PROBLEM_ERROR, place(l, "listeners[].name", ls),
                     "listeners[].name: \"%s\" is the name of an earlier listener; give each one "
                     "of its own",
                     ls->name);
    if (same_port(ls->address, ls->port, earlier->address, earlier->port))
        problems_add(l->problems, PROBLEM_ERROR, place(l, "listeners[].port", ls),
                     "listeners[].port: listener \"%s\" has port %u of %s already", earlier->name,
                     ls->port, shown(ls->address));
}

static void check_listener(struct loader *l, size_t i)
{
    struct ws_listener_config *ls = &l->config->ws.listeners[i];
    const struct ws_admin_config *admin = &l->config->ws.admin;

    if (given(l, "listeners", ls))
        check_required(l, row("listeners"), ls);
    check_tls(l, ls);
    check_exposure(l, ls);
    check_ping(l, ls);
    for (size_t j = 0; j < i; j++)
        check_against(l, ls, &l->config->ws.listeners[j]);
    if (admin->enabled && same_port(ls->address, ls->port, admin->address, admin->port))
        problems_add(l->problems, PROBLEM_ERROR, place(l, "admin.port", l->config),
                     "admin.port: listener \"%s\" has port %u of %s already", ls->name, ls->port,
                     shown(ls->address));
}

/* ---- topics ---- */

static void check_topic(struct loader *l, struct topic_durability *t)
{
    struct mqtt_str filter = {(const uint8_t *)t->filter,
                              t->filter == NULL ? 0 : (uint32_t)strlen(t->filter)};

    check_required(l, row("storage.topics"), t);
    if (t->filter != NULL && !mqtt_filter_check(filter))
        problems_add(l->problems, PROBLEM_ERROR, place(l, "storage.topics[].filter", t),
                     "storage.topics[].filter: \"%s\" is not a topic filter; + and # stand for "
                     "whole levels, # for the last one only",
                     t->filter);
}

/* ---- what has no effect ---- */

static bool protocol_heeds(enum ws_protocol p, enum option_use use)
{
    return use == USE_ALWAYS ||
           (use == USE_TLS ? ws_protocol_has_tls(p) : ws_protocol_is_websocket(p));
}

static void check_effect(struct loader *l, const struct origin *given_at)
{
    const struct option *o = given_at->o, *needs;
    const struct ws_listener_config *ls = given_at->base; /* if the option has a use */

    if (o->use != USE_ALWAYS && !protocol_heeds(ls->protocol, o->use)) {
        problems_add(l->problems, PROBLEM_WARNING, given_at->at,
                     "%s: has no effect with protocol %s", o->path, protocol_name(ls->protocol));
        return;
    }
    if (o->needs == NULL)
        return;
    needs = row(o->needs);
    if (value_number(needs, given_at->base) == 0 && !value_is_default(o, given_at->base))
        problems_add(l->problems, PROBLEM_WARNING, given_at->at, "%s: has no effect while %s is %s",
                     o->path, needs->path,
                     needs->type == OPTION_BOOL     ? "false"
                     : needs->type == OPTION_CHOICE ? needs->choices[0]
                     : needs->word != NULL          ? needs->word
                                                    : "0");
}

void config__check(struct loader *l)
{
    for (size_t i = 0; i < l->config->ws.n_listeners; i++) {
        complete_listener(l, &l->config->ws.listeners[i]);
        check_listener(l, i);
    }
    check_admin(l);
    for (size_t i = 0; i < l->config->broker.n_topic_durability; i++)
        check_topic(l, &l->config->broker.topic_durability[i]);
    for (size_t i = 0; i < l->n_origins; i++)
        check_effect(l, &l->origins[i]);
}

/* admin: the pages for operators: /healthz, /readyz and /metrics. */
#include "base/mem.h"
#include "broker/broker.h"
#include "broker/purposes.h"
#include "broker/shard.h"
#include "broker/stats.h"
#include "ws/ws_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATE_MAX 128

/* False, with what is wrong, when a restart is the only help. */
static bool is_alive(const struct ws_server *s, char out[STATE_MAX])
{
    int stalled = atomic_load_explicit(&s->stalled, memory_order_relaxed);

    if (stalled >= 0)
        snprintf(out, STATE_MAX, "shard %d does not answer\n", stalled);
    return stalled < 0;
}

static bool is_draining(const struct ws_server *s)
{
    return atomic_load_explicit(&s->broker->draining, memory_order_relaxed);
}

/* Shall the process be left alone? */
static int health(struct link *k)
{
    const struct ws_server *s = k->loop->server;
    const char *why = broker_degraded(s->broker);
    char text[STATE_MAX];

    if (!is_alive(s, text))
        return http_text(k, 503, text);
    if (is_draining(s))
        return http_text(k, 200, "shutting down\n");
    if (why == NULL)
        return http_text(k, 200, "ok\n");
    snprintf(text, sizeof text, "degraded: %s\n", why);
    return http_text(k, 200, text);
}

/* Shall it get clients? This page is served once what was stored is recovered and all listeners are
 * open. */
static int ready(struct link *k)
{
    const struct ws_server *s = k->loop->server;
    char text[STATE_MAX];

    if (!is_alive(s, text))
        return http_text(k, 503, text);
    if (is_draining(s))
        return http_text(k, 503, "shutting down\n");
    return http_text(k, 200, "ready\n");
}

static int metrics(struct link *k)
{
    const struct broker *b = k->loop->server->broker;
    size_t len = stats_prometheus(b, NULL, 0), cap = len + 4096; /* numbers may grow meanwhile */
    char *text = malloc(cap);
    int rc;

    if (text == NULL)
        return -1;
    len = stats_prometheus(b, text, cap);
    rc = http_answer(k, 200, "text/plain; version=0.0.4; charset=utf-8", text,
                     len < cap ? len : cap - 1);
    free(text);
    return rc;
}

int admin_request(struct link *k)
{
    const char *path = http_path(k);

    if (!http_is_get(k) && !http_is_head(k))
        return http_text(k, 405, "These pages are read with GET.\n");
    if (strcmp(path, "/healthz") == 0)
        return health(k);
    if (strcmp(path, "/readyz") == 0)
        return ready(k);
    if (strcmp(path, "/metrics") == 0)
        return metrics(k);
    return http_text(k, 404, "There are: /healthz, /readyz, /metrics\n");
}

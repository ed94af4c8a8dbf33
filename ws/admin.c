/* admin: the pages for operators: /healthz and /metrics. */
#include "base/mem.h"
#include "broker/broker.h"
#include "broker/purposes.h"
#include "broker/shard.h"
#include "broker/stats.h"
#include "ws/ws_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int health(struct link *k)
{
    const struct broker *b = k->loop->server->broker;
    const char *why = broker_degraded(b);
    char text[128];

    if (atomic_load_explicit(&b->draining, memory_order_relaxed))
        return http_text(k, 503, "shutting down\n");
    if (why == NULL)
        return http_text(k, 200, "ok\n");
    snprintf(text, sizeof text, "degraded: %s\n", why);
    return http_text(k, 200, text);
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
    if (strcmp(path, "/metrics") == 0)
        return metrics(k);
    return http_text(k, 404, "There are: /healthz, /metrics\n");
}

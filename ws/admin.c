/* admin: the pages for operators: /healthz and /metrics. */
#include "base/mem.h"
#include "broker/broker.h"
#include "broker/purposes.h"
#include "broker/shard.h"
#include "broker/stats.h"
#include "ws/ws_priv.h"

#include <stdlib.h>
#include <string.h>

static int health(struct link *k)
{
    const struct broker *b = k->loop->server->broker;

    if (atomic_load_explicit(&b->draining, memory_order_relaxed))
        return http_answer(k, 503, "text/plain", "shutting down\n", 14);
    if (atomic_load_explicit(&b->memory_pressure, memory_order_relaxed) != MEMORY_OK)
        return http_answer(k, 200, "text/plain", "degraded: memory\n", 17);
    return http_answer(k, 200, "text/plain", "ok\n", 3);
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
    char path[64];
    int rc;

    if (lws_hdr_copy(k->wsi, path, sizeof path, WSI_TOKEN_GET_URI) < 0)
        path[0] = '\0';
    if (strcmp(path, "/healthz") == 0)
        rc = health(k);
    else if (strcmp(path, "/metrics") == 0)
        rc = metrics(k);
    else
        rc = http_answer(k, 404, "text/plain", "There are: /healthz, /metrics\n", 30);
    return rc < 0 ? -1 : lws_http_transaction_completed(k->wsi);
}

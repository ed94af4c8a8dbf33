#include "daemon/watch.h"

#include "base/log.h"
#include "broker/stats.h"
#include "ws/server.h"

#include <inttypes.h>

#define PERIOD_MS 5000
#define LOOKS     4 /* within the watchdog's time: a single late one does no harm */

void watch_init(struct watch *w, char *const *env)
{
    *w = (struct watch){.period_ms = PERIOD_MS, .stalled = -1};
    notify_init(&w->notify, env);
    if (w->notify.watchdog_ms != 0 && w->notify.watchdog_ms / LOOKS < PERIOD_MS)
        w->period_ms = w->notify.watchdog_ms / LOOKS;
}

void watch_fini(struct watch *w)
{
    notify_fini(&w->notify);
}

static int64_t per_second(int64_t n, uint64_t ms)
{
    return ms > 0 ? n * 1000 / (int64_t)ms : 0;
}

static void tell_status(struct watch *w, const struct broker *b, uint64_t now_ms)
{
    uint64_t ms = now_ms - w->last_ms;
    struct stats stats;

    stats_read(b, &stats);
    if (w->last_ms != 0)
        notify_send(&w->notify,
                    "STATUS=%" PRId64 " connections, messages/s: %" PRId64 " in, %" PRId64 " out",
                    stats.connections, per_second(stats.publishes_received - w->received, ms),
                    per_second(stats.publishes_sent - w->sent, ms));
    w->last_ms = now_ms;
    w->received = stats.publishes_received;
    w->sent = stats.publishes_sent;
}

void watch_look(struct watch *w, const struct broker *b, struct ws_server *s, uint64_t now_ms)
{
    int stalled;

    if (now_ms < w->due_ms)
        return;
    w->due_ms = now_ms + w->period_ms;
    stalled = ws_server_pulse(s);
    if (stalled >= 0)
        LOG(LOG_ERROR, "shard.stalled", LOG_INT("shard", stalled),
            LOG_UINT("within_ms", w->period_ms));
    else if (w->notify.watchdog_ms != 0)
        notify_send(&w->notify, "WATCHDOG=1");
    if (stalled < 0 && w->stalled >= 0)
        LOG(LOG_INFO, "shard.answers", LOG_INT("shard", w->stalled));
    w->stalled = stalled;
    if (w->notify.fd >= 0)
        tell_status(w, b, now_ms);
}

/* housekeeping: what one shard does for the whole process at intervals: $SYS topics as users of
 * Mosquitto know them, and the memory limit. */
#include "base/log.h"
#include "base/mem.h"
#include "broker/broker.h"
#include "broker/message.h"
#include "broker/purposes.h"
#include "broker/retained.h"
#include "broker/router.h"
#include "broker/shard.h"
#include "broker/stats.h"
#include "storage/store.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define MEMORY_CHECK_MS     100
#define MEMORY_HIGH_PERCENT 85

/* A plain number from struct stats. Names and meanings are Mosquitto's; clients/active and inactive
 * are its old names of connected and disconnected.
 *    topic under $SYS/broker/            field */
#define SYS_VALUES(X)                                     \
    X("clients/connected", connections)                   \
    X("clients/disconnected", sessions_offline)           \
    X("clients/active", connections)                      \
    X("clients/inactive", sessions_offline)               \
    X("clients/total", sessions)                          \
    X("clients/expired", sessions_expired)                \
    X("messages/received", packets_received)              \
    X("messages/sent", packets_sent)                      \
    X("messages/stored", kept)                            \
    X("messages/inflight", inflight)                      \
    X("store/messages/count", kept)                       \
    X("store/messages/bytes", message_memory)             \
    X("subscriptions/count", subscriptions)               \
    X("shared_subscriptions/count", shared_subscriptions) \
    X("retained messages/count", retained)                \
    X("publish/messages/received", publishes_received)    \
    X("publish/messages/sent", publishes_sent)            \
    X("publish/messages/dropped", dropped)                \
    X("publish/bytes/received", publish_bytes_received)   \
    X("publish/bytes/sent", publish_bytes_sent)           \
    X("bytes/received", bytes_received)                   \
    X("bytes/sent", bytes_sent)                           \
    X("heap/current", memory)

/* A counter whose change per minute is averaged over 1, 5 and 15 minutes. */
#define SYS_LOADS(X)                          \
    X("messages/received", packets_received)  \
    X("messages/sent", packets_sent)          \
    X("publish/received", publishes_received) \
    X("publish/sent", publishes_sent)         \
    X("publish/dropped", dropped)             \
    X("bytes/received", bytes_received)       \
    X("bytes/sent", bytes_sent)               \
    X("sockets", connections_total)           \
    X("connections", connects_accepted)

#define N_LOADS (sizeof load_rows / sizeof load_rows[0])

struct row {
    const char *topic;
    size_t field; /* offset of an int64_t in struct stats */
};

static const struct row value_rows[] = {
#define X(topic, field) {topic, offsetof(struct stats, field)},
    SYS_VALUES(X)
#undef X
};

static const struct row load_rows[] = {
#define X(topic, field) {topic, offsetof(struct stats, field)},
    SYS_LOADS(X)
#undef X
};

static const unsigned load_minutes[] = {1, 5, 15};

struct housekeeping {
    struct shard *sh;
    struct timer sys_timer, memory_timer;
    struct stats last;
    int64_t max_connected, max_memory;
    double loads[sizeof load_rows / sizeof load_rows[0]][3];
};

static int64_t field_of(const struct stats *s, const struct row *r)
{
    int64_t v;

    memcpy(&v, (const char *)s + r->field, sizeof v);
    return v;
}

/* Retained, and only when it has changed: an idle broker publishes its uptime and nothing else. An
 * empty value removes the topic. */
static void publish(struct shard *sh, const char *topic, const char *value)
{
    char name[128];
    struct publication pub = {.retain = true, .uid = shard_next_uid(sh)};
    const struct message *before;

    snprintf(name, sizeof name, "$SYS/broker/%s", topic);
    pub.topic = (struct mqtt_str){(const uint8_t *)name, (uint32_t)strlen(name)};
    pub.payload = (struct mqtt_str){(const uint8_t *)value, (uint32_t)strlen(value)};
    before = retained_get(sh, pub.topic);
    if (before != NULL ? mqtt_str_eq(message_payload(before), pub.payload) : value[0] == '\0')
        return;
    router_publish(sh, &pub);
    publication_done(&pub, sh->mem);
}

static void publish_number(struct shard *sh, const char *topic, int64_t n)
{
    char value[32];

    snprintf(value, sizeof value, "%" PRId64, n);
    publish(sh, topic, value);
}

static void publish_load(struct housekeeping *h, unsigned row, unsigned span, double interval_s,
                         double per_minute)
{
    double keep = exp(-interval_s / (60.0 * load_minutes[span]));
    double *load = &h->loads[row][span];
    char topic[96], value[32];

    *load = per_minute + keep * (*load - per_minute);
    snprintf(topic, sizeof topic, "load/%s/%umin", load_rows[row].topic, load_minutes[span]);
    snprintf(value, sizeof value, "%.2f", *load);
    publish(h->sh, topic, value);
}

/* What is wrong with it: nothing may need to be done, but somebody has to know. */
static void publish_store(struct shard *sh, struct store *store)
{
    struct store_stats s;

    store->ops->stats(store, &s);
    publish(sh, "storage/error", s.error);
    publish(sh, "storage/set_aside", s.set_aside);
}

static void publish_all(struct housekeeping *h, const struct stats *s)
{
    struct shard *sh = h->sh;
    double interval_s = sh->config.sys_interval_s;
    char text[64];

    publish(sh, "version", sh->broker->version);
    snprintf(text, sizeof text, "%" PRIu64 " seconds", s->uptime_s);
    publish(sh, "uptime", text);
    publish_number(sh, "clients/maximum", h->max_connected);
    publish_number(sh, "heap/maximum", h->max_memory);
    for (unsigned i = 0; i < sizeof value_rows / sizeof value_rows[0]; i++)
        publish_number(sh, value_rows[i].topic, field_of(s, &value_rows[i]));
    for (unsigned i = 0; i < N_LOADS; i++) {
        double change = (double)(field_of(s, &load_rows[i]) - field_of(&h->last, &load_rows[i]));

        for (unsigned span = 0; span < 3; span++)
            publish_load(h, i, span, interval_s, change * 60.0 / interval_s);
    }
    for (unsigned i = 0; i < DROP_COUNT; i++) {
        snprintf(text, sizeof text, "drops/%s", drop_label((enum drop_reason)i));
        publish_number(sh, text, s->drops[i]);
    }
    if (sh->broker->store != NULL)
        publish_store(sh, sh->broker->store);
}

static void on_sys_timer(struct timer *t)
{
    struct housekeeping *h = CONTAINER_OF(t, struct housekeeping, sys_timer);
    struct shard *sh = h->sh;
    struct stats s;

    if (sh->config.sys_interval_s != 0) {
        stats_read(sh->broker, &s);
        if (s.connections > h->max_connected)
            h->max_connected = s.connections;
        publish_all(h, &s);
        h->last = s;
        timer_start(&sh->timers, t, sh->now_ms + (uint64_t)sh->config.sys_interval_s * 1000);
    } else {
        timer_start(&sh->timers, t, sh->now_ms + 1000); /* a reload may turn it on */
    }
}

static void on_memory_timer(struct timer *t)
{
    struct housekeeping *h = CONTAINER_OF(t, struct housekeeping, memory_timer);
    struct shard *sh = h->sh;
    int64_t limit = (int64_t)sh->config.memory_limit, used = broker_memory_total(sh->broker);
    int before = atomic_load_explicit(&sh->broker->memory_pressure, memory_order_relaxed);
    int now = MEMORY_OK;

    if (used > h->max_memory)
        h->max_memory = used;
    if (limit > 0 && used >= limit)
        now = MEMORY_FULL;
    else if (limit > 0 && used >= limit / 100 * MEMORY_HIGH_PERCENT)
        now = MEMORY_HIGH;
    if (now != before) {
        LOG(now > before ? LOG_WARN : LOG_INFO, "memory.pressure", LOG_INT("level", now),
            LOG_INT("used_bytes", used), LOG_INT("limit_bytes", limit));
        atomic_store_explicit(&sh->broker->memory_pressure, now, memory_order_relaxed);
    }
    timer_start(&sh->timers, t, sh->now_ms + MEMORY_CHECK_MS);
}

struct housekeeping *housekeeping_new(struct shard *sh)
{
    struct housekeeping *h = mem_zalloc(sh->mem, FOR_SHARD, sizeof *h);

    h->sh = sh;
    timer_init(&h->sys_timer, on_sys_timer);
    timer_init(&h->memory_timer, on_memory_timer);
    timer_start(&sh->timers, &h->memory_timer, sh->now_ms); /* first: the topics show its figures */
    timer_start(&sh->timers, &h->sys_timer, sh->now_ms);
    return h;
}

void housekeeping_free(struct shard *sh, struct housekeeping **h)
{
    if (*h == NULL)
        return;
    timer_stop(&sh->timers, &(*h)->sys_timer);
    timer_stop(&sh->timers, &(*h)->memory_timer);
    mem_release(sh->mem, FOR_SHARD, *h);
    *h = NULL;
}

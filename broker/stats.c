/* stats: sums over shards, and the Prometheus page. */
#include "broker/stats.h"

#include "base/mem.h"
#include "broker/broker.h"
#include "broker/purposes.h"
#include "broker/shard.h"
#include "storage/store.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void add_shard(struct stats *out, const struct shard *sh)
{
#define X(name, ...) out->name += COUNT_GET(&sh->counters, name);
    BROKER_COUNTERS(X)
#undef X
    for (unsigned i = 0; i < DROP_COUNT; i++)
        out->drops[i] += atomic_load_explicit(&sh->drops[i], memory_order_relaxed);
    for (unsigned i = 0; i < CLOSE_COUNT; i++)
        out->closes[i] += atomic_load_explicit(&sh->closes[i], memory_order_relaxed);
}

void stats_read(const struct broker *b, struct stats *out)
{
    struct env_time now;

    memset(out, 0, sizeof *out);
    for (unsigned i = 0; i < b->n_shards; i++)
        add_shard(out, b->shards[i]);
    for (unsigned i = 0; i < DROP_COUNT; i++)
        out->dropped += out->drops[i];
    out->kept = out->retained + out->queued + out->inflight;
    out->memory = broker_memory_total(b);
    out->message_memory = broker_memory(b, FOR_MESSAGE);
    b->env->now(b->env->arg, &now);
    out->uptime_s = (now.mono_ms - b->started_ms) / 1000;
}

/* ---- Prometheus ---- */

struct text {
    char *out;
    size_t cap, len;
};

__attribute__((format(printf, 2, 3))) static void say(struct text *t, const char *format, ...)
{
    va_list args;
    size_t room = t->len < t->cap ? t->cap - t->len : 0;
    int n;

    va_start(args, format);
    n = vsnprintf(room > 0 ? t->out + t->len : NULL, room, format, args);
    va_end(args);
    t->len += n > 0 ? (size_t)n : 0;
}

static void describe(struct text *t, const char *name, const char *type, const char *help)
{
    say(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

#define COUNTER "counter"
#define GAUGE   "gauge"

static void one(struct text *t, const char *name, const char *type, const char *help,
                uint64_t value)
{
    describe(t, name, type, help);
    say(t, "%s %" PRIu64 "\n", name, value);
}

static void say_store(struct text *t, struct store *store)
{
    struct store_stats s;

    store->ops->stats(store, &s);
    one(t, "frys_store_failing", GAUGE, "1 while the store cannot write",
        store->ops->health(store) == STORE_FAILING);
    one(t, "frys_store_set_aside", GAUGE,
        "1 when the store was found damaged at the start, moved aside and begun anew",
        s.set_aside[0] != '\0');
    one(t, "frys_store_commits_total", COUNTER, "Transactions committed", s.commits);
    one(t, "frys_store_failures_total", COUNTER, "Transactions that failed and were tried again",
        s.failures);
    one(t, "frys_store_batches_total", COUNTER, "Batches committed", s.batches);
    one(t, "frys_store_records_total", COUNTER, "Records committed", s.records);
    one(t, "frys_store_pages_total", COUNTER, "Pages of queues read", s.pages);
    one(t, "frys_store_expired_total", COUNTER, "Stored messages removed because they had expired",
        s.expired);
    one(t, "frys_store_waiting_batches", GAUGE, "Batches not yet committed", s.waiting_batches);
    one(t, "frys_store_waiting_bytes", GAUGE, "Bytes not yet committed", s.waiting_bytes);
    one(t, "frys_store_bytes", GAUGE, "Size of the database", s.bytes);
    one(t, "frys_store_free_bytes", GAUGE, "Unused bytes in the database", s.free_bytes);
    one(t, "frys_store_log_bytes", GAUGE, "Size of the write-ahead log", s.log_bytes);
    describe(t, "frys_store_commit_seconds_total", COUNTER, "Time spent in transactions");
    say(t, "frys_store_commit_seconds_total %" PRIu64 ".%06u\n", s.commit_us / 1000000,
        (unsigned)(s.commit_us % 1000000));
}

size_t stats_prometheus(const struct broker *b, char *out, size_t cap)
{
    struct text t = {.out = out, .cap = cap};
    struct stats s;

    stats_read(b, &s);
    describe(&t, "frys_info", GAUGE, "Version of the daemon");
    say(&t, "frys_info{version=\"%s\"} 1\n", b->version);
    describe(&t, "frys_uptime_seconds", GAUGE, "Seconds since the start");
    say(&t, "frys_uptime_seconds %" PRIu64 "\n", s.uptime_s);
    describe(&t, "frys_shards", GAUGE, "Worker threads");
    say(&t, "frys_shards %u\n", b->n_shards);
#define X(name, kind, label, help)   \
    describe(&t, label, kind, help); \
    say(&t, "%s %" PRId64 "\n", label, s.name);
    BROKER_COUNTERS(X)
#undef X
    describe(&t, "frys_dropped_messages_total", COUNTER,
             "Messages that did not reach a session with a claim on them, by reason");
    for (unsigned i = 0; i < DROP_COUNT; i++)
        say(&t, "frys_dropped_messages_total{reason=\"%s\"} %" PRId64 "\n",
            drop_label((enum drop_reason)i), s.drops[i]);
    describe(&t, "frys_closed_connections_total", COUNTER, "Connections closed, by reason");
    for (unsigned i = 0; i < CLOSE_COUNT; i++)
        say(&t, "frys_closed_connections_total{reason=\"%s\"} %" PRId64 "\n",
            close_info((enum close_reason)i)->label, s.closes[i]);
    if (b->store != NULL)
        say_store(&t, b->store);
    describe(&t, "frys_memory_bytes", GAUGE, "Bytes in use, by purpose");
#define X(name, label) \
    say(&t, "frys_memory_bytes{purpose=\"%s\"} %" PRId64 "\n", label, broker_memory(b, FOR_##name));
    BROKER_PURPOSES(X)
#undef X
    return t.len;
}

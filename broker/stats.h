/* stats: the counters of all shards added up, and the two ways in which they are shown: as $SYS
 * topics and as Prometheus text. */
#ifndef BROKER_STATS_H
#define BROKER_STATS_H
#include "broker/counters.h"
#include "broker/reasons.h"

#include <stddef.h>
#include <stdint.h>

struct broker;
struct shard;

struct stats {
#define X(name, ...) int64_t name;
    BROKER_COUNTERS(X)
#undef X
    int64_t drops[DROP_COUNT];
    int64_t closes[CLOSE_COUNT];
    int64_t dropped;        /* sum of drops */
    int64_t kept;           /* messages: retained, queued, in flight */
    int64_t memory;         /* bytes in use */
    int64_t message_memory; /* of them for messages */
    uint64_t uptime_s;
};

/* Any thread, any time. */
void stats_read(const struct broker *b, struct stats *out);

/* Prometheus text format, version 0.0.4. Returns the length of the whole text; what does not fit
 * into cap bytes (the NUL included) is cut off. */
size_t stats_prometheus(const struct broker *b, char *out, size_t cap);

/* Publish $SYS/broker/... from this shard from now on, at the configured interval; and watch the
 * memory limit. Shard 0 does it for all. */
struct housekeeping;
struct housekeeping *housekeeping_new(struct shard *sh);
void housekeeping_free(struct shard *sh, struct housekeeping **h);
#endif

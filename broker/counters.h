/* counters: everything the broker counts, as one table: $SYS, Prometheus and tests read the same
 * rows. Each shard has its own set, written by its thread only; anyone may read. */
#ifndef BROKER_COUNTERS_H
#define BROKER_COUNTERS_H
#include <stdatomic.h>
#include <stdint.h>

/* clang-format off */
/* COUNTER only grows; GAUGE goes up and down.
 *    name                   kind     Prometheus name                      help */
#define BROKER_COUNTERS(X)                                                                                   \
    X(connections,           GAUGE,   "frys_connections",                  "MQTT network connections open now") \
    X(connections_total,     COUNTER, "frys_connections_total",            "Network connections opened") \
    X(connects_accepted,     COUNTER, "frys_connects_accepted_total",      "CONNECT packets answered with success") \
    X(connects_refused,      COUNTER, "frys_connects_refused_total",       "CONNECT packets refused") \
    X(sessions,              GAUGE,   "frys_sessions",                     "Sessions, connected or not") \
    X(sessions_offline,      GAUGE,   "frys_sessions_offline",             "Sessions without a network connection") \
    X(sessions_expired,      COUNTER, "frys_sessions_expired_total",       "Sessions ended by their expiry interval") \
    X(takeovers,             COUNTER, "frys_session_takeovers_total",      "Connections closed because their client connected again") \
    X(sessions_moved,        COUNTER, "frys_sessions_moved_total",         "Sessions handed over from one shard to another") \
    X(subscriptions,         GAUGE,   "frys_subscriptions",                "Subscriptions, shared ones included") \
    X(shared_subscriptions,  GAUGE,   "frys_shared_subscriptions",         "Members of shared subscriptions") \
    X(retained,              GAUGE,   "frys_retained_messages",            "Retained messages") \
    X(queued,                GAUGE,   "frys_queued_messages",              "Messages waiting in session queues") \
    X(inflight,              GAUGE,   "frys_inflight_messages",            "QoS 1 and 2 messages sent and not yet acknowledged") \
    X(packets_received,      COUNTER, "frys_packets_received_total",       "MQTT packets received") \
    X(packets_sent,          COUNTER, "frys_packets_sent_total",           "MQTT packets sent") \
    X(bytes_received,        COUNTER, "frys_bytes_received_total",         "MQTT bytes received") \
    X(bytes_sent,            COUNTER, "frys_bytes_sent_total",             "MQTT bytes sent") \
    X(publishes_received,    COUNTER, "frys_publishes_received_total",     "PUBLISH packets received") \
    X(publish_bytes_received, COUNTER, "frys_publish_bytes_received_total", "Payload bytes received in PUBLISH packets") \
    X(publishes_sent,        COUNTER, "frys_publishes_sent_total",         "PUBLISH packets sent") \
    X(publish_bytes_sent,    COUNTER, "frys_publish_bytes_sent_total",     "Payload bytes sent in PUBLISH packets") \
    X(publishes_unmatched,   COUNTER, "frys_publishes_unmatched_total",    "Messages that no subscription matched") \
    X(writes,                COUNTER, "frys_transport_writes_total",       "Writes handed to the transport") \
    X(reads_paused,          COUNTER, "frys_reads_paused_total",           "Times reading from a client was paused") \
    X(posts,                 COUNTER, "frys_shard_posts_total",            "Items handed to another shard") \
    X(wills_sent,            COUNTER, "frys_wills_sent_total",             "Will messages published")
/* clang-format on */

struct counters {
#define X(name, ...) _Atomic int64_t name;
    BROKER_COUNTERS(X)
#undef X
};

/* Add n to a counter of the calling thread's own shard. */
#define COUNT_ADD(counters, name, n)                                                           \
    atomic_store_explicit(&(counters)->name,                                                   \
                          atomic_load_explicit(&(counters)->name, memory_order_relaxed) + (n), \
                          memory_order_relaxed)
#define COUNT(counters, name)      COUNT_ADD(counters, name, 1)
#define COUNT_DOWN(counters, name) COUNT_ADD(counters, name, -1)
#define COUNT_GET(counters, name)  atomic_load_explicit(&(counters)->name, memory_order_relaxed)
#endif

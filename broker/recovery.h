/* recovery: what the store has kept becomes sessions, subscriptions and retained messages again. */
#ifndef BROKER_RECOVERY_H
#define BROKER_RECOVERY_H
#include <stdint.h>

struct broker;
struct store;

struct recovered {
    uint64_t sessions, subscriptions, retained;
    uint64_t queued; /* messages that wait, in the store */
    uint64_t inflight;
};

/* Have everything durable kept in this store from now on, and take over what is in it. Before any
 * shard runs; once. The store is borrowed, and must outlive the broker. 0 or -errno: the broker
 * cannot be used then. */
int broker_attach(struct broker *b, struct store *store, struct recovered *out);
#endif

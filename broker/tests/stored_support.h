/* stored_support: a net (net_support.h) whose broker has a store, in memory, which outlives it. */
#ifndef BROKER_TESTS_STORED_SUPPORT_H
#define BROKER_TESTS_STORED_SUPPORT_H
#include "broker/recovery.h"
#include "net_support.h"
#include "storage/memory_store.h"

struct stored {
    struct net n;
    struct store *store;
    unsigned shards;
    struct broker_config config;
    struct recovered recovered; /* by the latest broker */
};

/* config NULL: the defaults. Commits happen at once, until memory_store_hold(). */
void stored_init(struct stored *s, unsigned shards, const struct broker_config *config);
void stored_fini(struct stored *s);

/* The broker dies: what the store has not committed is lost, and so are all clients. A new one
 * starts ms later. */
void stored_crash(struct stored *s, uint64_t ms);

/* The broker ends in good order, and a new one starts ms later. */
void stored_restart(struct stored *s, uint64_t ms);

/* Hold commits back, or let them happen and everybody go on. */
void stored_hold(struct stored *s, bool hold);
#endif

/* broker: what all shards of a process have in common: configuration, client directory, hooks. Made
 * before the first shard runs and freed after the last one has stopped. */
#ifndef BROKER_BROKER_H
#define BROKER_BROKER_H
#include "base/env.h"
#include "broker/auth.h"
#include "broker/config.h"
#include "broker/directory.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define BROKER_MAX_SHARDS 64

struct shard;
struct store;

/* How much of the memory limit is in use; set by the guard of shard 0, read by all. */
enum memory_pressure {
    MEMORY_OK,
    MEMORY_HIGH, /* stop reading from publishers */
    MEMORY_FULL  /* and refuse new connections */
};

struct broker {
    const struct env *env;
    struct broker_config
        config; /* as the shards got it at the start; each holds its current copy */
    struct auth auth;
    struct directory directory;
    struct store *store;       /* NULL: nothing is kept; see recovery.h */
    pthread_mutex_t wake_lock; /* of shard.wake, for threads of the store */
    struct shard *shards[BROKER_MAX_SHARDS];
    unsigned n_shards;
    uint64_t hash_seed;  /* for tables of what clients name; the same for all shards */
    uint64_t started_ms; /* monotonic */
    _Atomic int memory_pressure;
    _Atomic bool draining;    /* no new connections */
    _Atomic unsigned settled; /* shards that have done step 1 of drain.h */
    char version[32];
};

/* New broker with n_shards shards (1..BROKER_MAX_SHARDS). config and auth are copied. NULL when out
 * of memory. */
struct broker *broker_new(const struct env *env, const struct broker_config *config,
                          const struct auth *auth, unsigned n_shards, const char *version);

/* Free the broker, its shards included, and set *b to NULL. All shard threads have ended. */
void broker_free(struct broker **b);

/* What is not as it should be, in a few words; NULL: everything is. Any thread, any time. */
const char *broker_degraded(const struct broker *b);

/* Sums over all shards; any thread, any time. */
int64_t broker_memory(const struct broker *b, unsigned purpose);
int64_t broker_memory_total(const struct broker *b);
#endif

/* directory: which shard has the session of a client identifier. The one table that all shards
 * share; touched at CONNECT and at the end of a session only, under a lock per stripe. */
#ifndef BROKER_DIRECTORY_H
#define BROKER_DIRECTORY_H
#include "mqtt/str.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIRECTORY_STRIPES 64

struct directory_slot; /* (hash, shard); the client identifier itself is the session's */

struct directory_stripe {
    pthread_mutex_t lock;
    struct directory_slot *slots;
    uint32_t capacity, used;
};

struct directory {
    struct directory_stripe stripes[DIRECTORY_STRIPES];
    uint64_t seed;
};

int directory_init(struct directory *d, uint64_t seed);
void directory_fini(struct directory *d);

#define DIRECTORY_NONE (-1)

/* The session of this client identifier is at this shard from now on. Returns the shard that had it
 * before, or DIRECTORY_NONE; -ENOMEM (nothing changed). */
int directory_claim(struct directory *d, struct mqtt_str client_id, unsigned shard);

/* The session at this shard has ended. Does nothing when another shard has claimed it meanwhile. */
void directory_release(struct directory *d, struct mqtt_str client_id, unsigned shard);

size_t directory_count(struct directory *d);
#endif

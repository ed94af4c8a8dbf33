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

struct directory_slot; /* (hash, claim); the client identifier itself is the session's */

struct directory_stripe {
    pthread_mutex_t lock;
    struct directory_slot *slots;
    uint32_t capacity, used;
    uint32_t claims; /* so far */
};

struct directory {
    struct directory_stripe stripes[DIRECTORY_STRIPES];
    uint64_t seed;
};

int directory_init(struct directory *d, uint64_t seed);
void directory_fini(struct directory *d);

#define DIRECTORY_NONE (-1)

/* Who has a session: its shard, or DIRECTORY_NONE; and which of the shard's claims to it this is,
 * for a shard may have had it before. */
struct directory_claim {
    int32_t shard;
    uint32_t number; /* another one for every claim to the identifier */
};

/* The session of this client identifier is at this shard from now on. *out_before: who had it up to
 * now. *out_number: of this claim. 0 or -ENOMEM (nothing changed). */
int directory_claim(struct directory *d, struct mqtt_str client_id, unsigned shard,
                    struct directory_claim *out_before, uint32_t *out_number);

/* The session that was claimed so has ended. Does nothing when there was another claim meanwhile.
 */
void directory_release(struct directory *d, struct mqtt_str client_id, uint32_t number);

size_t directory_count(struct directory *d);
#endif

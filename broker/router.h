/* router: from a publication to the sessions, shards and groups with a claim on it. */
#ifndef BROKER_ROUTER_H
#define BROKER_ROUTER_H
#include "broker/message.h"

#include <stdbool.h>
#include <stdint.h>

struct shard;
struct session;

struct routed {
    bool matched; /* somebody has, or on another shard may have, a subscription */
    bool crossed; /* other shards deal with it too: acknowledge when posts.done_turn has reached
                     posts.turn */
};

/* Deliver here, hand over to the shards that may have subscribers, keep or remove the retained
 * message. The publication is the caller's, to be ended with publication_done(). */
struct routed router_publish(struct shard *sh, struct publication *pub);
#endif

/* router: from a publication to the sessions, shards and groups with a claim on it. */
#ifndef BROKER_ROUTER_H
#define BROKER_ROUTER_H
#include "broker/message.h"

#include <stdbool.h>
#include <stdint.h>

struct shard;
struct session;

/* Deliver here, hand over to the shards that may have subscribers, keep or remove the retained
 * message. The publication is the caller's, to be ended with publication_done(). False: nobody has
 * a matching subscription, or on another shard may have. */
bool router_publish(struct shard *sh, struct publication *pub);

/* May somebody have a claim on the publication, at QoS 1 or 2, that has to be stored? */
bool router_needs_store(struct shard *sh, struct publication *pub);
#endif

/* drain: the end of service without loss. Two steps, so that a message which was acknowledged still
 * finds its subscribers, on whatever shard they are:
 *
 *   1. every shard stops taking PUBLISH packets (they stay unacknowledged, their clients send them
 *      again elsewhere) and waits until what it has handed to other shards has been dealt with;
 *   2. when all have done that, connections with nothing left to send are closed (MQTT 5:
 * DISCONNECT 0x8B, WebSocket 1001) as soon as that is so, and the rest at the deadline. */
#ifndef BROKER_DRAIN_H
#define BROKER_DRAIN_H
#include <stdbool.h>
#include <stdint.h>

struct shard;

/* On the shard's thread. Connections still open timeout_ms from now are closed as they are. */
void shard_drain(struct shard *sh, uint32_t timeout_ms);

/* All connections of this shard are gone, and no other shard waits for an answer from it. */
bool shard_drained(const struct shard *sh);
#endif

/* guard: QoS 2 messages of durable sessions that cross shards.              [v5 4.3.3] [v3 4.3.3]
 *
 * The publisher's shard stores the packet identifier, other shards store deliveries: not in one
 * batch, and the broker may die between two. So the identifier is stored last, when all deliveries
 * are; until that is committed too they are guarded: not sent, and void after a crash, because the
 * publisher, who has heard no PUBREC, will then send the message again (storage/store.h). When it
 * is committed every shard is told that messages of this one are released up to that uid. */
#ifndef BROKER_GUARD_H
#define BROKER_GUARD_H
#include "base/fifo.h"

#include <stdbool.h>
#include <stdint.h>

struct shard;
struct session;

struct guard {
    struct fifo staged;   /* struct staged: their deliveries are being stored */
    struct fifo received; /* struct staged: their identifiers are on their way to the store */
    uint64_t last_uid;    /* that was staged */
    uint64_t *released;   /* per shard: its messages are released up to this uid */
};

/* False when out of memory. */
bool guard_init(struct shard *sh);
void guard_fini(struct shard *sh);

/* A message of this session, with this packet identifier, was handed over in this turn. */
void guard_stage(struct shard *sh, uint64_t session, uint16_t packet_id, uint64_t uid);

/* May a guarded message be sent? */
bool guard_released(const struct shard *sh, uint64_t uid);

/* Is everything that was staged here released? */
static inline bool guard_idle(const struct guard *g)
{
    return fifo_count(&g->staged) == 0 && fifo_count(&g->received) == 0;
}

/* A session that comes back, here or on another shard, may have messages among those that are
 * staged now: note that in its messages. Until guard_clear() no PUBREC of it may go out. */
void guard_note(struct session *s);
bool guard_clear(const struct session *s);

/* Go on with what can go on. Before the journal's batch leaves; after something was committed. */
void guard_turn(struct shard *sh);
void guard_committed(struct shard *sh);
#endif

/* journal: what a shard has to make durable, until the store (storage/store.h) has it.
 *
 * Records are collected in memory, submitted as one batch at the end of a turn, and committed by
 * the store. While a batch is on its way the next one is being collected: the busier the broker,
 * the larger the batches. Deliveries stay plain structs until their batch leaves: one that its
 * client acknowledges before that costs no more than a mark, and never reaches the store. Where
 * clients acknowledge quickly, a batch on which nobody but they can hurry therefore waits a little
 * for them.
 *
 * Acknowledgements: an answer that may be sent only when something is durable waits for the turn in
 * which that was recorded (shard_done_turn()): until all of it is committed, or no longer needed.
 * While the store cannot write they do not wait for what earlier turns have recorded.
 *
 * Without a store there is no journal (shard.journal is NULL) and no session is durable. */
#ifndef BROKER_JOURNAL_H
#define BROKER_JOURNAL_H
#include "broker/delivery.h"
#include "mqtt/str.h"
#include "storage/store.h"

#include <stdbool.h>
#include <stdint.h>

struct shard;
struct session;
struct publication;
struct journal;

/* How soon a record has to be committed. */
enum journal_haste {
    HASTE_LATER, /* nobody waits */
    HASTE_HOPE,  /* somebody waits; the client's acknowledgement may come first */
    HASTE_NOW    /* somebody waits, for the commit alone */
};

/* NULL when out of memory. The store is borrowed. */
struct journal *journal_new(struct shard *sh, struct store *store);

/* The broker ends: submit what is open, with whatever is on its way, and free the journal. What
 * happens to sessions from here on is not recorded. */
void journal_close(struct shard *sh);

/* ---- deliveries ---- */

/* Does the configuration want this message stored for sessions that outlive their connection? Only
 * asked for QoS 1 and 2. */
bool journal_wants(struct shard *sh, struct publication *pub);

/* A delivery of a durable session, in its queue (packet_id 0) or in its window. d->msg and d->ids
 * stay as they are until the record has gone, or journal_end(). False when out of memory. */
bool journal_add(struct session *s, struct delivery *d, const struct publication *pub,
                 uint16_t packet_id, enum journal_haste haste);

/* A delivery of a durable session that is still on its way to this shard: it is recorded when the
 * session is here, so that it is never committed without what the other shard has recorded in front
 * of it. Answers of this turn wait for that. And then: record it, and let them go on when that is
 * committed. */
void journal_park(struct session *s, struct delivery *d);
void journal_unpark(struct session *s, uint64_t parked_turn);

/* Another packet identifier or state (enum store_delivery_state). False when out of memory: the
 * record is as it was. */
bool journal_change(struct session *s, struct delivery *d, uint16_t packet_id, uint8_t state,
                    enum journal_haste haste);

/* The delivery is over. Does nothing when it was never recorded. */
void journal_end(struct session *s, struct delivery *d);

/* The session ends with this delivery: what has not been submitted of it is not needed. */
void journal_forget(struct session *s, struct delivery *d);

/* The delivery leaves its session for another member of its group, on whatever shard: its record
 * stays, and goes to the store now, until there is the new one (journal_end_of()). */
void journal_leave_behind(struct session *s, struct delivery *d);

/* Is the record of this delivery as it is now committed (or has it none)? */
bool journal_committed(const struct shard *sh, const struct delivery *d);

/* What was recorded before the session came to this shard. */
static inline void journal_adopt(struct delivery *d)
{
    d->record = d->record != 0 ? 1 : 0;
}

/* ---- other records ---- */

void journal_session(struct session *s, enum journal_haste haste);
/* By number. after_turn: not before all is dealt with that was handed over up to that turn; 0: now.
 */
void journal_end_session(struct shard *sh, uint64_t session, uint64_t after_turn);
/* options: of SUBSCRIBE, and STORE_RETAINED_DUE. */
void journal_filter(struct session *s, struct mqtt_str share, struct mqtt_str filter,
                    uint8_t options, uint32_t sub_id, enum journal_haste haste);
void journal_filter_end(struct session *s, struct mqtt_str share, struct mqtt_str filter);
void journal_received_by(struct shard *sh, uint64_t session, uint16_t packet_id, uint64_t uid);
void journal_received_end(struct session *s, uint16_t packet_id);
/* The first message of the backlog behind this one. */
void journal_queue_drop(struct session *s, uint64_t uid, uint64_t group);
/* Empty payload: there is none any more. */
void journal_retained(struct shard *sh, struct publication *pub);

/* A delivery that another session had, by the number of that session (journal_leave_behind()). */
void journal_end_of(struct shard *sh, uint64_t session, uint64_t uid, uint64_t group);

/* ---- waiting ---- */

/* Records that somebody waits for, made so far: has something been recorded meanwhile? */
uint64_t journal_waits(const struct shard *sh);

/* Somebody waits for all that has been recorded so far. */
void journal_await(struct shard *sh);

/* Everything up to this turn is committed, or no longer needed. UINT64_MAX: nothing is open. */
uint64_t journal_done_turn(const struct shard *sh);

/* Is what this turn has recorded? The same, but while the store cannot write without regard to
 * earlier turns. */
bool journal_turn_done(const struct shard *sh, uint64_t turn);

/* The open batch must be with the store before what this turn posts to other shards is: sessions
 * are about to move. */
void journal_hurry(struct shard *sh);

/* A client has gone whose acknowledgements were hoped for. */
void journal_despair(struct shard *sh);

/* A mark behind everything recorded so far, and whether all in front of it is committed. */
uint64_t journal_mark(const struct shard *sh);
bool journal_passed(const struct shard *sh, uint64_t mark);

/* ---- the turn ---- */

/* Look what the store has done. */
void journal_turn_begin(struct shard *sh);

/* Hand over what is due. */
void journal_turn_end(struct shard *sh);

/* When it has to be called again. TIMER_NEVER: not before something is recorded or committed. */
uint64_t journal_due_ms(const struct shard *sh);

/* There is news from the store that journal_turn_begin() has not seen. */
bool journal_has_news(const struct shard *sh);

/* ---- limits ---- */

/* The store does not keep up: publishers are to be slowed. */
bool journal_congested(const struct shard *sh);

/* The store cannot write: what needs it has to be refused. */
bool journal_failing(const struct shard *sh);

/* There is news for this shard. Any thread; the caller wakes the shard. */
void journal_news(struct shard *sh);
#endif

/* takeover: from a CONNECT to its session, wherever that is.
 *
 * A session lives on the shard of its connection. When a client comes back on another shard, the
 * session moves as one unit: the new shard first subscribes for it and collects what matches; then
 * every shard is asked to confirm, to the old shard, that what it had on the way there has been
 * handed over; then the old shard gives the session away, as soon as its store has what it has
 * recorded. What both have collected is told apart by the uids of the messages: nothing is lost,
 * nothing doubled, the order of each publisher kept.
 *
 *   new                                  old                               every other
 *    |-- claim in the directory           |                                 |
 *    |------------- ASK ----------------->| closes the old connection       |
 *    |<------------ FILTERS --------------| (the session stays, offline)    |
 *    | subscribes, collects               |                                 |
 *    |------------- FENCE --------------->|                                 |
 *    |------------- FENCE ------------------------------------------------->|
 *    |                                    |<------------ FENCED ------------|
 *    |<------------ SESSION --------------| when all have confirmed         |
 *    | merges, CONNACK                    |                                 |
 *
 * A shard that is asked while it still waits for the session itself answers when it has it. Who
 * asks whom is the order of the claims: each asks for the one before its own, by the number of that
 * claim, since a shard may have the session and wait for it to come back at the same time. */
#ifndef BROKER_TAKEOVER_H
#define BROKER_TAKEOVER_H
#include <stdint.h>

struct connection;
struct shard;
struct session;

/* Find, make, resume or replace the session that c->request asks for. Ends, now or later, in
 * connection_up() or connection_refused(). */
void takeover_connect(struct connection *c);

/* The connection that waits for a session is going away. */
void takeover_abandon(struct connection *c);

/* The first turn of which messages for sessions on their way here are parked (journal.h);
 * UINT64_MAX: there are none. */
uint64_t takeover_parked_turn(const struct shard *sh);

/* More is committed: sessions that waited for that may go. */
void takeover_committed(struct shard *sh);

/* The shard stops: forget what is under way. */
void takeover_fini(struct shard *sh);
#endif

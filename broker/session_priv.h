/* session_priv: what the files of session.h share with each other and with takeover.c. */
#ifndef BROKER_SESSION_PRIV_H
#define BROKER_SESSION_PRIV_H
#include "broker/session.h"

#include "broker/reasons.h"

#include <stddef.h>

struct shard;
struct publication;

/* Key comparison of shard.sessions. */
bool session_key_equal(const void *item, const void *key, size_t key_len);

/* Put a session into this shard's tables, offline; 0 or -ENOMEM. And take it out again. */
int session_register(struct shard *sh, struct session *s);
void session_unregister(struct session *s);

/* A session that is in no table yet, without a serial; and the end of one, without further ado: no
 * Will, no directory. Its messages are counted at this shard. */
struct session *session_alloc(struct shard *sh, struct mqtt_str client_id);
void session_discard(struct shard *sh, struct session *s);

/* A session has come from another shard whose client has gone meanwhile: its Will and its end are
 * due when they were. */
void session_adopted(struct session *s);

/* Call fn for all deliveries that are in memory. */
void session_each_delivery(struct session_flow *f, void *arg,
                           void (*fn)(void *arg, struct delivery *d));

/* Before the session goes to another shard: its messages are counted atomically from now on. */
void session_share_messages(struct session *s);

/* Leave every subscription. */
void session_leave_all(struct session *s);

/* Tell the groups of shared subscriptions whether this member is connected. */
void session_members_online(struct session *s, bool online);

/* Release all messages; those of shared subscriptions that may go to another member go back to
 * their group [v5 4.8.2]. shared: the session was a member of one. True: messages that are in the
 * store only go back as they are read; after that, and not by the caller, the session is ended
 * there. */
bool session_drop_flow(struct session *s, bool shared);

/* Is it in a group of a shared subscription? */
bool session_is_member(const struct session *s);

/* Messages of shared subscriptions that wait for a client that is gone: let connected members have
 * them. */
void session_give_back_queued(struct session *s);

/* Every PUBLISH in flight has to be sent again on the new connection. */
void session_mark_unsent(struct session *s);

/* Messages kept for the session, made on first use; NULL when out of memory. Free an empty one. */
struct session_flow *session_flow(struct session *s);
void session_flow_free(struct shard *sh, struct session_flow *f);

/* ---- session_queue.c ---- */

/* Put a delivery behind the queue whatever its limits; takes it. */
void session_requeue(struct session *s, struct delivery *take_d);

/* Keep the publication until it can be sent, or drop it by the overflow policy. */
void session_enqueue(struct session *s, struct publication *pub, const struct claim *claim,
                     uint8_t qos);

/* The session has nothing more to do with a delivery: its group, if it came through one, may give
 * it something else. */
void session_group_done(struct session *s, uint64_t group, uint8_t qos);

/* A delivery has left the queue: take it out of the sums. */
void session_uncount(struct session *s, const struct delivery *d);

/* The first one leaves the queue, without being released; and with everything that goes with it. */
void session_queue_pop(struct session *s);
void session_queue_drop(struct session *s, enum drop_reason why);

/* A delivery with a reference of its own; false when out of memory. */
bool session_delivery(struct shard *sh, struct publication *pub, const struct claim *claim,
                      uint8_t qos, struct delivery *out);

/* Is the message stored for this session? */
bool session_stores(const struct session *s, struct publication *pub);
#endif

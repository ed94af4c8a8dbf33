/* retained: the last message of each topic that was published with RETAIN.        [v5 3.3.1.3]
 * [v3 3.3.1.3]
 *
 * Every shard has all of them (the messages themselves are shared), so that to subscribe is atomic
 * with respect to what is published: a message reaches a subscriber as retained or live, never both
 * and never the older after the newer. Where two shards set one topic at the same time, the message
 * with the larger uid stays; removals are remembered for a while, so that this holds for them, too.
 *
 * A subscription gets its retained messages from a cursor, a few at a time between the events of
 * the loop, and only as fast as its client takes them. */
#ifndef BROKER_RETAINED_H
#define BROKER_RETAINED_H
#include "mqtt/str.h"

#include <stdbool.h>
#include <stdint.h>

struct shard;
struct session;
struct message;
struct publication;

struct retained *retained_new(struct shard *sh);
void retained_free(struct shard *sh);

/* Set the topic's retained message, or remove it when the payload is empty [v5 MQTT-3.3.1-6]. A
 * message older than the one that is there is ignored. Out of memory: counted, the old one stays.
 */
void retained_set(struct shard *sh, struct publication *pub);

/* A message that was stored: older than any subscription; borrowed. 0 or -ENOMEM. */
int retained_restore(struct shard *sh, struct message *m);

/* Would a message to this topic be one too many? */
bool retained_full(struct shard *sh, struct mqtt_str topic);

/* The message of a topic, or NULL; borrowed. */
struct message *retained_get(struct shard *sh, struct mqtt_str topic);

/* Begin to send what matches the filter, as it is now, to the session, instead of what is still to
 * be sent for the same filter. False when out of memory. */
bool retained_send(struct session *s, struct mqtt_str filter, uint8_t options, uint32_t sub_id);

/* The same for a subscription that comes from another shard or out of the store, with nothing
 * recorded or sent before its client is there: session_resume(). */
bool retained_resend(struct session *s, struct mqtt_str filter, uint8_t options, uint32_t sub_id);

/* Has what matches the filter not all been sent to the session yet? And does the store know that
 * (STORE_RETAINED_DUE), or is about to? After a restart it is sent again then, from the first one
 * on. */
bool retained_sending(const struct session *s, struct mqtt_str filter);
bool retained_stored(const struct session *s, struct mqtt_str filter);

/* The session has room again (s->retained_waits was set). */
void retained_continue(struct session *s);

/* Stop sending to this session: it has unsubscribed from the filter, or ends. */
void retained_cancel(struct session *s, struct mqtt_str filter);
void retained_cancel_all(struct session *s);

/* Messages kept. */
uint32_t retained_count(const struct shard *sh);
#endif

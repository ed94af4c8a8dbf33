/* session: what the broker keeps for a client identifier, connected or not.      [v5 4.1]
 * [v3 3.1.2.4] Subscriptions, messages in flight and waiting, received QoS 2 identifiers, the Will,
 * and when it all ends. Belongs to one shard; see takeover.h for how it moves to another. */
#ifndef BROKER_SESSION_H
#define BROKER_SESSION_H
#include "base/fifo.h"
#include "base/list.h"
#include "base/timer.h"
#include "broker/delivery.h"
#include "broker/id_set.h"
#include "broker/inflight.h"
#include "broker/topic_tree.h"

#include <stdbool.h>
#include <stdint.h>

struct shard;
struct connection;
struct membership;

#define SESSION_NEVER UINT32_MAX /* a Session Expiry Interval that never ends */

/* One subscription of one session. */
struct subscription {
    struct list link; /* in session.subscriptions */
    struct session *session;
    struct topic_place place;      /* ordinary subscriptions: where the tree has it */
    struct membership *membership; /* shared subscriptions (share.h), else NULL */
};

/* Messages of a session; only there while there are any. */
struct session_flow {
    struct inflight out;
    struct id_set received;  /* QoS 2 identifiers from the client, not yet released */
    struct fifo queue;       /* struct delivery, oldest first */
    struct backlog *backlog; /* what follows, while some of it is in the store only; else NULL */
    uint64_t queued_bytes;
    uint32_t queued_qos0; /* of the queue */
    uint32_t unsent;      /* entries of out that this connection has not seen yet */
    uint64_t *guards;     /* see guard_note(); NULL: none */
    uint64_t parked_turn; /* arriving: the first one in which a message was parked (journal.h) */
    uint32_t releasing;   /* of out, in this state */
};

struct will {
    struct message *msg; /* its expiry is set when it is published */
    uint32_t delay_s;
    uint32_t expiry_s; /* Message Expiry Interval */
    bool has_expiry;
};

struct session {
    uint32_t magic;
    uint8_t version;     /* of the latest connection: enum mqtt_version */
    bool arriving;       /* being handed over from another shard: only collects messages */
    bool leaving;        /* being handed over to another shard */
    bool durable;        /* the store knows it */
    bool was_connected;  /* recovered: its client was connected when the broker ended */
    bool retained_waits; /* retained messages wait for room in the queue */
    uint16_t client_id_len;
    uint32_t claim; /* number of the claim by which this shard has it (directory.h) */
    struct shard *shard;
    struct connection *conn; /* NULL: offline */
    struct session_flow *flow;
    struct will *will;
    struct list link;            /* in shard.all_sessions */
    struct list link_committing; /* in shard.committing: goes on when more is committed */
    struct list subscriptions;
    struct timer timer;   /* offline: the Will's delay, then the end */
    uint64_t ends_ms;     /* offline: when it expires; TIMER_NEVER: never */
    uint64_t will_ms;     /* offline: when the Will is due; TIMER_NEVER: no Will */
    uint64_t serial;      /* number of this session in this process; kept when it moves */
    uint64_t match_stamp; /* shard.match_stamp of the last merge that found it */
    uint32_t match_index; /* and its place there */
    uint32_t expiry_s;    /* Session Expiry Interval; 0: ends with the connection */
    uint32_t n_subscriptions;
    uint8_t client_id[];
};

static inline struct mqtt_str session_client_id(const struct session *s)
{
    return (struct mqtt_str){s->client_id, s->client_id_len};
}

/* New session at this shard, offline, without anything, in shard.sessions. NULL when out of memory.
 * The directory is the caller's business. */
struct session *session_new(struct shard *sh, struct mqtt_str client_id);

/* The session of this client identifier at this shard, or NULL. */
struct session *session_find(struct shard *sh, struct mqtt_str client_id);

/* End the session: publish its Will if one is pending, leave all subscriptions, give messages of
 * shared subscriptions back to their groups, free it. It must be offline. keep_claim: the directory
 * entry stays, because a new session of this client identifier follows at once. */
void session_end(struct session *s, bool keep_claim);

/* The network connection is there (s->conn was set by the caller) or gone. On going, publish_will
 * tells whether the Will is wanted; a session without expiry ends here: s is then freed. */
void session_connected(struct session *s);
void session_disconnected(struct session *s, bool publish_will);

/* The Will: take msg. Replaces one that is there; NULL removes it. */
int session_set_will(struct session *s, const struct will *take_will);
void session_publish_will(struct session *s);

/* ---- subscriptions ---- */

/* Subscribe or change a subscription. share.len == 0: ordinary. *out_existed: it was there before.
 * 0 or the reason code for the SUBACK. */
int session_subscribe(struct session *s, struct mqtt_str share, struct mqtt_str filter,
                      uint8_t options, uint32_t sub_id, bool *out_existed);

/* A subscription that was stored. 0 or -ENOMEM. */
int session_restore_subscription(struct session *s, struct mqtt_str share, struct mqtt_str filter,
                                 uint8_t options, uint32_t sub_id);

/* Whether the subscription has been sent all of its retained messages has changed
 * (retained_stored()): the store is told. */
void session_record_subscription(struct session *s, struct mqtt_str filter);

/* False when there was none. */
bool session_unsubscribe(struct session *s, struct mqtt_str share, struct mqtt_str filter);

/* ---- messages to the client ---- */

/* What a matching subscription, or several merged, say about one delivery. */
struct claim {
    uint8_t qos;               /* highest granted */
    bool retain;               /* RETAIN flag for this subscriber */
    uint32_t sub_id;           /* the only identifier; 0: none, or see ids */
    const struct sub_ids *ids; /* several, or NULL; copied when they are kept */
    uint64_t group;            /* shared subscription; 0: none */
};

/* Send the publication to the client now, keep it for later, or drop it and count that. */
void session_deliver(struct session *s, struct publication *pub, const struct claim *claim);

/* The CONNACK is sent: send again what was in flight when the last connection ended
 * [v5 MQTT-4.4.0-1] [v3 MQTT-4.4.0-1]. PUBRELs at once: no window holds them back
 * [v5 MQTT-3.3.4-10]; all else by session_pump(). */
void session_resume(struct session *s);

/* Send what window and network allow: first again, in order, what this connection has not seen yet,
 * then from the queue. */
void session_pump(struct session *s);

/* Messages that wait in the queue. */
uint32_t session_queued(const struct session *s);

/* Is there room for one more message without dropping any? For whoever can wait. */
bool session_has_room(const struct session *s);

/* PUBACK, PUBREC, PUBCOMP from the client. 0, or MQTT_RC_PACKET_ID_NOT_FOUND. A PUBREC: the PUBREL
 * is the caller's to send, but for -EINPROGRESS: it follows when its record is committed. */
int session_on_puback(struct session *s, uint16_t packet_id, uint8_t reason);
int session_on_pubrec(struct session *s, uint16_t packet_id, uint8_t reason);
int session_on_pubcomp(struct session *s, uint16_t packet_id);

/* More has been committed: sessions that waited for it go on. */
void sessions_committed(struct shard *sh);

/* QoS 2 identifiers received from the client. */
bool session_received_has(const struct session *s, uint16_t packet_id);
bool session_received_add(struct session *s, uint16_t packet_id); /* without a record of it */
bool session_received_remove(struct session *s, uint16_t packet_id);

/* Give memory back that is empty. */
void session_trim(struct session *s);
#endif

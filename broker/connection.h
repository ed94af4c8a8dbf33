/* connection: one network connection and the protocol spoken over it, from the first byte to the
 * last. Belongs to one shard. What the transport calls is in transport.h. */
#ifndef BROKER_CONNECTION_H
#define BROKER_CONNECTION_H
#include "base/fifo.h"
#include "base/list.h"
#include "base/timer.h"
#include "broker/alias.h"
#include "broker/auth.h"
#include "broker/output.h"
#include "broker/transport.h"
#include "mqtt/packet.h"

#include <stdbool.h>
#include <stdint.h>

struct session;
struct arrival;

enum connection_state {
    CONN_NEW,    /* waits for CONNECT                               -> AUTH WAIT UP CLOSING */
    CONN_AUTH,   /* enhanced authentication before the CONNACK      -> WAIT UP CLOSING */
    CONN_WAIT,   /* the session is on its way, from another shard or to the store -> UP CLOSING */
    CONN_UP,     /* CONNACK sent                                    -> CLOSING */
    CONN_CLOSING /* close() was called; ends with connection_closed() */
};

enum pause_reason {
    PAUSE_OUTPUT = 1,  /* the client does not read what it asked for */
    PAUSE_BACKLOG = 2, /* another shard is behind with what this client publishes */
    PAUSE_MEMORY = 4,  /* memory is short */
    PAUSE_WAIT = 8,    /* the session is not there yet */
    PAUSE_STORE = 16,  /* the store is behind with what this client asks for */
    PAUSE_ANSWERS = 32 /* answers to it wait for others to be through */
};

/* An answer to the client that has to wait for its turn: answers go in the order of the packets
 * that asked for them [v5 MQTT-4.6.0-2] [v5 MQTT-4.6.0-3]. */
#define ANSWER_INLINE 8
#define ANSWERS_PAUSE (1u << 20) /* bytes of answers that wait; from here on nothing is read */
#define GUARD_SESSION UINT64_MAX /* wait for guard_clear() */
struct pending_answer {
    uint64_t ticket; /* turn to wait for (shard_done_turn()); 0: only for its turn */
    uint64_t guard;  /* uid to wait for (guard_released()); 0: none; GUARD_SESSION */
    uint8_t *packet; /* encoded; own memory, or NULL: bytes */
    uint32_t len;
    bool all;       /* wait for the turns before it, too, even where shard_done_early() would do */
    bool completes; /* a QoS 1 or 2 PUBLISH of the client is completed by it */
    uint8_t bytes[ANSWER_INLINE];
};

/* What the CONNECT asked for, kept until the session is there. */
struct connect_request;

struct connection {
    /* What every packet to the client needs, close together. */
    uint32_t magic;
    uint8_t state;     /* enum connection_state */
    uint8_t version;   /* enum mqtt_version; 0 before CONNECT */
    uint8_t paused;    /* enum pause_reason, or'ed */
    bool problem_info; /* the client wants reason strings */
    struct shard *shard;
    struct session *session;
    struct output out;
    uint32_t max_packet_out;
    uint16_t receive_maximum_out; /* window towards the client */
    uint16_t alias_max_out;
    struct list link_dirty; /* shard.dirty */

    const struct transport_ops *ops;
    void *link;
    uint64_t heard_ms;           /* when the last packet came in */
    uint32_t max_packet_in;      /* bytes */
    uint16_t open_in;            /* QoS 1 and 2 PUBLISH from the client, not completed */
    uint16_t receive_maximum_in; /* of those; as announced */
    uint16_t alias_max_in;
    uint8_t *in; /* bytes of an unfinished packet */
    uint32_t in_len, in_cap;
    struct fifo answers;                      /* struct pending_answer */
    uint32_t answer_bytes;                    /* that they occupy */
    struct aliases *aliases_in, *aliases_out; /* NULL until used */

    bool publishes;         /* has sent a PUBLISH: one to be slowed when memory is short */
    bool will_wanted;       /* publish the Will when the connection ends */
    bool expiry_zero;       /* CONNECT had no or a zero Session Expiry Interval */
    uint8_t fail_why;       /* with link_failing: enum close_reason */
    uint32_t keep_alive_ms; /* one and a half of the interval; 0: off */
    uint64_t opened_ms;
    struct timer timer;       /* CONNECT timeout, then keep alive */
    struct list link_all;     /* shard.connections */
    struct list link_failing; /* shard.failing */
    struct list link_slowed;  /* shard.slowed */
    struct list link_answers; /* shard.answers_waiting; before the CONNACK: shard.welcomes */
    const struct transport_peer *peer;
    struct connect_request *request; /* until the session is there */
    struct arrival *arrival;         /* in CONN_WAIT */
    struct auth_exchange *exchange;  /* of enhanced authentication, while it lasts */
    struct mqtt_str auth_method;     /* own copy */
    struct mqtt_str username;        /* own copy; p == NULL: none */
};

/* Say goodbye as the protocol has it (CONNACK or DISCONNECT where it may be sent), let the session
 * go, and close the link. detail: more than the reason's own text, for the Reason String; may be
 * NULL. Does nothing on a connection that is closing already. */
void connection_close(struct connection *c, enum close_reason why, const char *detail);

/* The same, but at the end of the turn: for callers in the middle of something else. */
void connection_close_later(struct connection *c, enum close_reason why);

/* Is it not read from for a reason of ours? What the client sends is then not heard, and its
 * silence is no sign of its end. */
static inline bool connection_held_back(const struct connection *c)
{
    return (c->paused & ~PAUSE_OUTPUT) != 0;
}

/* Stop or resume reading for a reason. */
void connection_pause(struct connection *c, enum pause_reason why);
void connection_resume(struct connection *c, enum pause_reason why);

/* The session is there: answer the CONNECT and begin, or first wait for the store, and for whatever
 * else has been asked since shard_asks() was asks. present: its state was resumed. */
void connection_up(struct connection *c, struct session *s, bool present, uint64_t asks);

/* The session could not be had. */
void connection_refused(struct connection *c, int reason);

/* Send the answers that need not wait any longer, for all connections of the shard. */
void connections_release_answers(struct shard *sh);

/* Answer the CONNECTs whose sessions are stored. */
void connections_welcome(struct shard *sh);

/* The session is on its way: read nothing until it is there or cannot be had. */
void connection_wait(struct connection *c);
void connection_unwait(struct connection *c);

struct auth_client connection_who(const struct connection *c);
#endif

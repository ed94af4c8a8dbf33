/* transport: what the broker needs of a network connection, and what it gives to one. ws/
 * implements struct transport_ops; nothing above ws/ knows what a socket is.
 *
 * A link and its struct connection belong to one shard and are used from its thread only. The turn
 * of a shard's event loop is:
 *
 *     shard_turn_begin(sh)                     time, inbox, timers
 *     connection_new/input/writable/closed()   for whatever the loop found ready
 *     shard_turn_end(sh)                       hand over to other shards, flush dirty connections
 */
#ifndef BROKER_TRANSPORT_H
#define BROKER_TRANSPORT_H
#include "broker/reasons.h"
#include "mqtt/str.h"

#include <stddef.h>
#include <stdint.h>

struct shard;
struct connection;

/* Writable bytes in front of what is given to send(), for the transport's own framing. */
#define TRANSPORT_HEADROOM 32

enum transport_sent {
    TRANSPORT_SENT,    /* taken; more may be sent at once */
    TRANSPORT_BLOCKED, /* taken; nothing more until connection_writable() is called */
    TRANSPORT_DEAD     /* lost; connection_closed() will be called */
};

struct transport_ops {
    /* Send len bytes of the MQTT stream, all of them: what the network does not take now the
     * transport keeps. The TRANSPORT_HEADROOM bytes in front of data are writable; data itself
     * stays as it is (others may get it too), and is the caller's again when the call returns. Not
     * called after BLOCKED or DEAD until connection_writable(), nor after close(). */
    enum transport_sent (*send)(void *link, uint8_t *data, size_t len);

    /* Close once what was sent is on its way: WebSocket close code and text (at most 123 bytes, may
     * be empty) from why. No input is delivered afterwards; connection_closed() follows, never from
     * inside this call. */
    void (*close)(void *link, enum close_reason why, struct mqtt_str text);

    /* Stop and go on reading from the peer. Input already on its way may still be delivered. */
    void (*read_enable)(void *link, bool on);
};

/* Who is at the other end. All text is borrowed until connection_closed() has returned. */
struct transport_peer {
    struct mqtt_str address; /* "192.0.2.7" or "2001:db8::1" */
    uint16_t port;
    struct mqtt_str listener; /* name in the configuration */
    bool tls;
    bool websocket;
    bool allow_anonymous; /* of the listener */
    uint32_t
        max_packet_size; /* largest packet accepted from here, bytes; 0: the broker's default */
};

/* ---- what the transport calls ---- */

/* Would a new connection be taken now? False with the reason: too many connections, out of memory,
 * shutting down. */
bool connection_admitted(const struct shard *sh, enum close_reason *out_why);

/* A network connection is there, ready for MQTT bytes. NULL: refuse it (why in *out_why). */
struct connection *connection_new(struct shard *sh, const struct transport_ops *ops, void *link,
                                  const struct transport_peer *peer, enum close_reason *out_why);

/* Bytes of the MQTT stream, cut anywhere. */
void connection_input(struct connection *c, const uint8_t *data, size_t len);

/* After TRANSPORT_BLOCKED: everything is on its way, send() may be called again. */
void connection_writable(struct connection *c);

/* The transport wants this connection closed for a reason of its own (a text frame, a ping
 * timeout): the broker says so to the client where the protocol has words for it, and calls
 * close(). */
void connection_fail(struct connection *c, enum close_reason why);

/* The network connection is gone; frees c. Called exactly once for every connection. */
void connection_closed(struct connection *c);
#endif

/* output: what is to be sent to one client. Packets of a turn are put one behind the other into one
 * buffer, which goes to the transport once, at the end of the turn, or when it is full. A PUBLISH
 * with a large payload is sent from its message piece by piece. An idle connection has no buffer.
 */
#ifndef BROKER_OUTPUT_H
#define BROKER_OUTPUT_H
#include "broker/transport.h"
#include "mqtt/packet.h"

#include <stdbool.h>
#include <stdint.h>

struct connection;
struct message;
struct publication;
struct sub_ids;

#define OUTPUT_MAX    65536 /* bytes of a full buffer */
#define OUTPUT_STREAM 32768 /* payloads from here on are sent piece by piece */
#define OUTPUT_CONTROL_PAUSE \
    16384 /* unsent answers to a client that does not read, bytes: from here \
             on nothing more is read from it ... */
#define OUTPUT_CONTROL_MAX 262144 /* ... and here it is given up */

struct output_buffer {
    uint8_t *p; /* NULL, or cap bytes with TRANSPORT_HEADROOM bytes in front */
    uint32_t len, cap;
};

struct output {
    struct output_buffer now;   /* to be sent next */
    const uint8_t *shared;      /* instead of now: a range of a page of images (image.h) */
    uint32_t shared_len;        /* 0: none */
    struct output_buffer later; /* to be sent when the stream is through */
    struct message *stream;     /* its payload is being sent; one reference */
    uint32_t stream_at;         /* bytes of it that were put into now */
    bool blocked;               /* the transport has enough until connection_writable() */
    bool dead;                  /* the transport has lost the connection */
    bool over;                  /* it will be closed: nothing but a goodbye is sent any more, or
                                   what could not be sent would be overtaken */
};

/* May a PUBLISH be sent now? If not it belongs in the session's queue. */
static inline bool output_ready(const struct output *o)
{
    return !o->blocked && !o->dead && !o->over && o->stream == NULL;
}

/* Encode and append a packet other than PUBLISH. */
void output_packet(struct connection *c, const struct mqtt_packet *p);

/* Append bytes that are encoded already. */
void output_bytes(struct connection *c, const uint8_t *data, uint32_t len);

/* PUBACK, PUBREC, PUBREL or PUBCOMP without properties: its bytes (their number is returned), and
 * sent. */
#define OUTPUT_ACK_MAX 5
uint32_t output_ack_bytes(const struct connection *c, enum mqtt_type type, uint16_t packet_id,
                          uint8_t reason, uint8_t out[OUTPUT_ACK_MAX]);
void output_ack(struct connection *c, enum mqtt_type type, uint16_t packet_id, uint8_t reason);

struct output_publish {
    uint16_t packet_id; /* 0 at QoS 0 */
    uint8_t qos;
    bool retain, dup;
    uint32_t sub_id;           /* 0: none, or see ids */
    const struct sub_ids *ids; /* several, or NULL */
};

/* Append a PUBLISH; the output must be ready. False when the packet is larger than the client's
 * Maximum Packet Size allows: nothing is sent [v5 MQTT-3.1.2-24]. */
bool output_publish(struct connection *c, struct publication *pub,
                    const struct output_publish *how);

/* Give the buffer to the transport. */
void output_flush(struct connection *c);

/* The transport can take more: go on with what was interrupted. */
void output_writable(struct connection *c);

void output_fini(struct connection *c);

/* Full-size buffers that a shard keeps at hand. */
#define OUTPUT_SPARES 32
struct output_spares {
    uint8_t *v[OUTPUT_SPARES];
    unsigned n;
};
#endif

/* frame: where a packet ends in a stream of bytes.                       [v5 2.1, 1.5.5] [v3 2.2]
 * Packets and the frames or segments that carry them are not aligned; the caller keeps the bytes of
 * an unfinished packet and asks again when more have come. */
#ifndef MQTT_FRAME_H
#define MQTT_FRAME_H
#include "mqtt/packet.h"

#include <errno.h>

struct mqtt_frame {
    uint8_t head;       /* first byte: type and flags */
    uint8_t header_len; /* 2..5: fixed header, bytes */
    uint32_t body_len;  /* Remaining Length */
    uint32_t total;     /* header_len + body_len */
};

/* Look at the start of a packet.
 *   0        the whole packet is there: out->total bytes from data
 *   -EAGAIN  more bytes are needed; out->total is the size of the packet when its fixed header is
 *            complete, else 0
 *   reason   MQTT_RC_MALFORMED_PACKET: reserved type, wrong flags (QoS 3 and DUP at QoS 0 among
 *            them), Remaining Length of five bytes or not in shortest form;
 *            MQTT_RC_PACKET_TOO_LARGE: total > max_size (out is filled);
 *            MQTT_RC_PROTOCOL_ERROR: a packet that this sender must not send.
 *            Given as soon as the bytes that show it are there.
 * max_size: fixed header included, as in Maximum Packet Size [v5 MQTT-3.1.2-24]. sender: who sent
 * the bytes. version: 3, 4 or 5, or 0 as long as no CONNECT was seen; then every other type passes
 * with any flags (the first packet is the caller's business). */
int mqtt_frame(const uint8_t *data, size_t len, int version, enum mqtt_side sender,
               uint32_t max_size, struct mqtt_frame *out);

/* Write a Variable Byte Integer of 0..MQTT_MAX_REMAINING; 1..4 bytes, their number is returned. */
unsigned mqtt_varint_write(uint8_t *out, uint32_t value);

/* Bytes that value takes: 1..4. */
unsigned mqtt_varint_size(uint32_t value);
#endif

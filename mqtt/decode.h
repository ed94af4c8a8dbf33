/* decode: bytes of one packet to a struct.                                        [v5 3] [v3 3]
 * Pure: no allocation, no state; what is decoded borrows from the input. Checks everything the
 * standard lets a receiver check in one packet alone: lengths, flags, UTF-8, properties with their
 * legality, repetition and range, reason codes, packet identifiers, topic names and Response Topics
 * without wildcards. What depends on the connection (aliases, limits, order) is the caller's. */
#ifndef MQTT_DECODE_H
#define MQTT_DECODE_H
#include "mqtt/frame.h"
#include "mqtt/packet.h"

/* frame: from mqtt_frame(), complete; data: its first byte. version: of the connection; ignored for
 * CONNECT, which carries its own. sender: who sent it.
 * 0, or the reason code that the standard names for the first fault found [v5 4.13];
 * *out is then undefined. For CONNECT out->connect.version is set as soon as it is known (0
 * before), errors included, so that the caller can answer in the right version. CONNECT with an
 * unknown protocol name or level gives MQTT_RC_UNSUPPORTED_VERSION; a MQTT 3.x one that may be
 * answered with return code 2 gives MQTT_RC_CLIENT_ID_NOT_VALID. */
int mqtt_decode(const struct mqtt_frame *frame, const uint8_t *data, int version,
                enum mqtt_side sender, struct mqtt_packet *out);

/* The same for PUBLISH alone: what a broker decodes all day. */
int mqtt_decode_publish(const struct mqtt_frame *frame, const uint8_t *data, int version,
                        enum mqtt_side sender, struct mqtt_publish *out);
#endif

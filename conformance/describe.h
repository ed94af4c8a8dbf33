/* describe: packets and bytes as a line of text, for records that people read. */
#ifndef CONFORMANCE_DESCRIBE_H
#define CONFORMANCE_DESCRIBE_H
#include "conformance/arena.h"
#include "mqtt/packet.h"

/* PUBLISH QoS 1 id 7 topic "a/b" payload "hello" (5 bytes), Message Expiry Interval 30 */
const char *describe_packet(struct arena *a, const struct mqtt_packet *p, int version);

/* A text in quotes, everything unprintable as \xHH, and long ones cut. */
const char *describe_text(struct arena *a, struct mqtt_str s);

/* "30 05 00 01 61" and, when it is long, how many bytes more. */
const char *describe_bytes(struct arena *a, struct mqtt_str s);

/* "0x82 Protocol Error"; in 3.x the return code alone. */
const char *describe_reason(struct arena *a, uint8_t code, int version);

/* "5.0", "3.1.1", "3.1" */
const char *describe_version(int version);
#endif

/* encode: structs to bytes, both directions, all versions.                        [v5 3] [v3 3] */
#ifndef MQTT_ENCODE_H
#define MQTT_ENCODE_H
#include "mqtt/packet.h"

/* Bytes that the packet takes, fixed header included; 0 when it does not fit the format (a string
 * over 65535 bytes, Remaining Length over MQTT_MAX_REMAINING). */
size_t mqtt_encode_size(const struct mqtt_packet *p, int version);

/* Write the packet to out. Returns its size; 0 when cap is too small or mqtt_encode_size() is 0
 * (nothing useful is written then). A CONNECT is written for connect.version. Short forms are used
 * where the standard has them (no reason and no properties). Properties that version does not have
 * are left out. The encoder does not judge values: a test client may send what is wrong. */
size_t mqtt_encode(const struct mqtt_packet *p, int version, uint8_t *out, size_t cap);

/* The start of a PUBLISH up to its payload: fixed header, topic, packet identifier, properties; for
 * servers that send one payload to many. payload_len is counted in Remaining Length.
 * out_packet_id: offset of the two bytes of the packet identifier in out, to be patched per
 * receiver; 0 at QoS 0. props: encoded properties without their length (5.0 only). Returns the
 * bytes written, or 0 when cap is too small or the packet too large. */
struct mqtt_publish_head {
    struct mqtt_str topic; /* empty with a topic alias in props */
    struct mqtt_str props;
    uint32_t payload_len;
    uint16_t packet_id;
    uint8_t qos;
    bool retain, dup;
};
size_t mqtt_encode_publish_head(const struct mqtt_publish_head *h, int version, uint8_t *out,
                                size_t cap, size_t *out_packet_id);

/* One property, appended to out (cap bytes left): bytes written, 0 when it does not fit, when id is
 * not of that kind, or the value has no form in it. */
size_t mqtt_encode_number_property(uint8_t id, uint32_t value, uint8_t *out, size_t cap);
size_t mqtt_encode_text_property(uint8_t id, struct mqtt_str text, uint8_t *out, size_t cap);
size_t mqtt_encode_user_property(struct mqtt_str name, struct mqtt_str value, uint8_t *out,
                                 size_t cap);

/* One entry of a SUBSCRIBE (or UNSUBSCRIBE: options are left out) payload, appended to out: bytes
 * written, 0 when it does not fit. The counterpart of mqtt_filters_next(). */
size_t mqtt_encode_filter(struct mqtt_str filter, bool unsubscribe, uint8_t options, uint8_t *out,
                          size_t cap);
#endif

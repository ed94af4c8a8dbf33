/* reader: takes the body of one packet apart from front to back. Sticky: the first fault is kept,
 * the rest of the body is given up and every later read gives 0 or nothing, so that a decoder reads
 * on and only the caller looks at rc. Never reads at or past end. */
#ifndef MQTT_READER_PRIV_H
#define MQTT_READER_PRIV_H
#include "mqtt/frame.h"
#include "mqtt/utf8.h"

struct mqtt_reader {
    const uint8_t *at; /* next byte */
    uint32_t left;     /* bytes */
    uint8_t rc;        /* 0, or the reason code of the first fault */
    uint8_t version;   /* enum mqtt_version */
    uint8_t sender;    /* enum mqtt_side */
};

/* Variable Byte Integer at the start of len bytes. Returns the bytes it takes, 1..4; 0 when it goes
 * on after len; -1 when it has a fifth byte or a needless one [v5 MQTT-1.5.5-1].   frame.c */
int mqtt__varint(const uint8_t *p, size_t len, uint32_t *out_value);

static inline void mqtt__fail(struct mqtt_reader *r, int rc)
{
    if (r->rc == 0)
        r->rc = (uint8_t)rc;
    r->left = 0;
}

static inline void mqtt__expect(struct mqtt_reader *r, bool ok, int rc)
{
    if (!ok)
        mqtt__fail(r, rc);
}

/* n bytes, or a fault and none: a field that runs past the packet makes it malformed. */
static inline struct mqtt_str mqtt__read_bytes(struct mqtt_reader *r, uint32_t n)
{
    struct mqtt_str s = {r->at, n};

    if (r->left < n) {
        mqtt__fail(r, MQTT_RC_MALFORMED_PACKET);
        return (struct mqtt_str){NULL, 0};
    }
    r->at += n;
    r->left -= n;
    return s;
}

static inline struct mqtt_str mqtt__read_rest(struct mqtt_reader *r)
{
    return mqtt__read_bytes(r, r->left);
}

static inline uint8_t mqtt__read_u8(struct mqtt_reader *r)
{
    struct mqtt_str s = mqtt__read_bytes(r, 1);

    return s.len == 0 ? 0 : s.p[0];
}

static inline uint16_t mqtt__read_u16(struct mqtt_reader *r)
{
    struct mqtt_str s = mqtt__read_bytes(r, 2);

    return s.len == 0 ? 0 : (uint16_t)(s.p[0] << 8 | s.p[1]);
}

static inline uint32_t mqtt__read_u32(struct mqtt_reader *r)
{
    uint32_t high = mqtt__read_u16(r);

    return high << 16 | mqtt__read_u16(r);
}

static inline uint32_t mqtt__read_varint(struct mqtt_reader *r)
{
    uint32_t value = 0;
    int n = mqtt__varint(r->at, r->left, &value);

    if (n <= 0) {
        mqtt__fail(r, MQTT_RC_MALFORMED_PACKET);
        return 0;
    }
    r->at += n;
    r->left -= (uint32_t)n;
    return value;
}

/* Binary Data [v5 1.5.6]. */
static inline struct mqtt_str mqtt__read_bin(struct mqtt_reader *r)
{
    return mqtt__read_bytes(r, mqtt__read_u16(r));
}

/* UTF-8 Encoded String [v5 MQTT-1.5.4-1] [v3 MQTT-1.5.3-1]. */
static inline struct mqtt_str mqtt__read_text(struct mqtt_reader *r)
{
    struct mqtt_str s = mqtt__read_bin(r);

    mqtt__expect(r, mqtt_utf8_valid(s), MQTT_RC_MALFORMED_PACKET);
    return s;
}

/* Packet Identifier: never 0 [v5 MQTT-2.2.1-3] [v5 MQTT-2.2.1-4] [v3 MQTT-2.3.1-1]; an
 * acknowledgement repeats one and so cannot be 0 either. */
static inline uint16_t mqtt__read_packet_id(struct mqtt_reader *r)
{
    uint16_t id = mqtt__read_u16(r);

    mqtt__expect(r, id != 0, MQTT_RC_PROTOCOL_ERROR);
    return id;
}
#endif

/* frame: fixed header and Variable Byte Integers. Every fault is told from the bytes before it
 * alone, so that a stream gives the same packets and the same fault however it is cut. */
#include "mqtt/frame.h"

#include "mqtt/reader_priv.h"

/* Legal low nibbles, one bit each. PUBLISH: not QoS 3 [v5 MQTT-3.3.1-4] [v3 MQTT-3.3.1-4] and not
 * DUP at QoS 0 [v5 MQTT-3.3.1-2] [v3 MQTT-3.3.1-2]. */
#define FLAGS_0x0    0x0001
#define FLAGS_0x2    0x0004
#define FLAGS_ANY    0x3C3F

/* 3.1 sends PUBREL, SUBSCRIBE and UNSUBSCRIBE at QoS 1 and sets DUP when it repeats them. */
#define FLAGS_31_0x0 FLAGS_0x0
#define FLAGS_31_0x2 (FLAGS_0x2 | 0x0400)
#define FLAGS_31_ANY FLAGS_ANY

enum { N = 0, C = MQTT_CLIENT, S = MQTT_SERVER, B = C | S };

/* By version and type; version 0 is a connection without a CONNECT: whatever else comes, its flags
 * mean nothing yet. A type without a row is reserved. */
static const struct rule {
    uint16_t flags;
    uint16_t senders; /* bits of enum mqtt_side */
} rules[MQTT_V5 + 1][16] = {
#define ROW_0(no, name, flags, v3, v5) \
    [no] = {(no) == MQTT_CONNECT ? FLAGS_0x0 : 0xffff, (no) == MQTT_CONNECT ? C : B},
#define ROW_31(no, name, flags, v3, v5)  [no] = {FLAGS_31_##flags, v3},
#define ROW_311(no, name, flags, v3, v5) [no] = {FLAGS_##flags, v3},
#define ROW_5(no, name, flags, v3, v5)   [no] = {FLAGS_##flags, v5},
    [0] = {MQTT_PACKETS(ROW_0)},
    [MQTT_V31] = {MQTT_PACKETS(ROW_31)},
    [MQTT_V311] = {MQTT_PACKETS(ROW_311)},
    [MQTT_V5] = {MQTT_PACKETS(ROW_5)},
};

static int head_fault(uint8_t head, int version, enum mqtt_side sender)
{
    const struct rule *rule = &rules[version][head >> 4];

    if ((rule->flags >> (head & 0x0f) & 1) == 0) /* [v5 MQTT-2.1.3-1] [v3 MQTT-2.2.2-2] */
        return MQTT_RC_MALFORMED_PACKET;
    if ((rule->senders & sender) == 0)
        return rule->senders == N ? MQTT_RC_MALFORMED_PACKET : MQTT_RC_PROTOCOL_ERROR;
    return 0;
}

int mqtt__varint(const uint8_t *p, size_t len, uint32_t *out_value)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < 4; i++) {
        if (i == len)
            return 0;
        value |= (p[i] & 0x7fu) << (7 * i);
        if (p[i] < 0x80) {
            *out_value = value;
            return p[i] == 0 && i > 0 ? -1 : (int)i + 1;
        }
    }
    return -1;
}

/* The Remaining Length is in body_len and took n bytes. */
static inline int size_fault(const uint8_t *data, size_t len, int n, uint32_t max_size,
                             struct mqtt_frame *out)
{
    out->head = data[0];
    out->header_len = (uint8_t)(1 + n);
    out->total = out->header_len + out->body_len;
    if (out->total > max_size)
        return MQTT_RC_PACKET_TOO_LARGE;
    return len < out->total ? -EAGAIN : 0;
}

/* Apart from mqtt_frame(), which would have to save registers for it. */
__attribute__((noinline)) static int long_frame(const uint8_t *data, size_t len, uint32_t max_size,
                                                struct mqtt_frame *out)
{
    int n = mqtt__varint(data + 1, len - 1, &out->body_len);

    if (n <= 0)
        return n == 0 ? -EAGAIN : MQTT_RC_MALFORMED_PACKET;
    return size_fault(data, len, n, max_size, out);
}

int mqtt_frame(const uint8_t *data, size_t len, int version, enum mqtt_side sender,
               uint32_t max_size, struct mqtt_frame *out)
{
    int rc;

    out->total = 0;
    if (len == 0)
        return -EAGAIN;
    if ((rc = head_fault(data[0], version, sender)) != 0)
        return rc;
    if (len == 1 || data[1] >= 0x80)
        return long_frame(data, len, max_size, out);
    out->body_len = data[1]; /* most packets: a Remaining Length of one byte */
    return size_fault(data, len, 1, max_size, out);
}

unsigned mqtt_varint_write(uint8_t *out, uint32_t value)
{
    unsigned n = 0;

    for (; value >= 0x80; value >>= 7)
        out[n++] = (uint8_t)(value | 0x80);
    out[n++] = (uint8_t)value;
    return n;
}

unsigned mqtt_varint_size(uint32_t value)
{
    return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : 4;
}

const char *mqtt_type_name(unsigned type)
{
    static const char *const names[16] = {[0] = "reserved",
#define X(no, name, ...) [no] = #name,
                                          MQTT_PACKETS(X)
#undef X
    };

    return names[type < 16 ? type : 0];
}

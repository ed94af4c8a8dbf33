/* writer: puts fields one after the other, or only counts them: the same code first measures a
 * packet and then writes it. Capacity is the caller's business, who knows the size by then. */
#ifndef MQTT_WRITER_PRIV_H
#define MQTT_WRITER_PRIV_H
#include "mqtt/frame.h"

struct mqtt_writer {
    uint8_t *out; /* NULL: count only */
    uint64_t n;   /* bytes so far */
    bool bad;     /* something has no form on the wire; stays set */
};

static inline void mqtt__put_bytes(struct mqtt_writer *w, struct mqtt_str s)
{
    if (w->out != NULL && s.len > 0)
        memcpy(w->out + w->n, s.p, s.len);
    w->n += s.len;
}

static inline void mqtt__put_u8(struct mqtt_writer *w, unsigned value)
{
    if (w->out != NULL)
        w->out[w->n] = (uint8_t)value;
    w->n++;
}

static inline void mqtt__put_u16(struct mqtt_writer *w, unsigned value)
{
    mqtt__put_u8(w, value >> 8);
    mqtt__put_u8(w, value);
}

static inline void mqtt__put_u32(struct mqtt_writer *w, uint32_t value)
{
    mqtt__put_u16(w, value >> 16);
    mqtt__put_u16(w, value);
}

static inline void mqtt__put_varint(struct mqtt_writer *w, uint64_t value)
{
    if (value > MQTT_MAX_REMAINING)
        w->bad = true;
    else if (w->out != NULL)
        w->n += mqtt_varint_write(w->out + w->n, (uint32_t)value);
    else
        w->n += mqtt_varint_size((uint32_t)value);
}

/* UTF-8 Encoded String or Binary Data: 16 bits of length, then the bytes. */
static inline void mqtt__put_text(struct mqtt_writer *w, struct mqtt_str s)
{
    w->bad |= s.len > UINT16_MAX;
    mqtt__put_u16(w, s.len);
    mqtt__put_bytes(w, s);
}
#endif

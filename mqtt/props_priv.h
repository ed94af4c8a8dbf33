/* props: the property table as data, and what decoders and encoders need of it.     [v5 2.2.2] */
#ifndef MQTT_PROPS_PRIV_H
#define MQTT_PROPS_PRIV_H
#include "mqtt/reader_priv.h"

/* Where a list stands is a packet type; the Will's own list in CONNECT has the number that no
 * packet uses. */
#define MQTT__WILL 0u

enum mqtt__kind {
    MQTT__none, /* no such property */
    MQTT__u8,
    MQTT__u16,
    MQTT__u32,
    MQTT__varint,
    MQTT__str,
    MQTT__bin,
    MQTT__pair,
};

/* A row of MQTT_PROPERTIES. Masks have bit (1 << type) for a packet type, or for MQTT__WILL. */
struct mqtt__prop {
    uint8_t kind;
    uint8_t offset;       /* of the value in struct mqtt_props; a pair has none there */
    uint16_t many;        /* may repeat */
    uint16_t from_client; /* allowed in, by sender */
    uint16_t from_server;
    uint32_t min, max; /* of a number */
};

#define MQTT__PROP_END 0x2Bu /* identifiers are below */
extern const struct mqtt__prop mqtt__props[MQTT__PROP_END];

/* Property Length and properties [v5 2.2.2]; see mqtt__read_props(). */
struct mqtt_reader mqtt__read_prop_list(struct mqtt_reader r, unsigned where,
                                        struct mqtt_props *out);

static inline void mqtt__no_props(struct mqtt_props *out)
{
    out->present = 0;
    out->raw = (struct mqtt_str){NULL, 0};
    out->encoded = (struct mqtt_str){NULL, 0};
}

/* The list of a packet, checked against the table; nothing is read in 3.1 and 3.1.1. */
static inline void mqtt__read_props(struct mqtt_reader *r, unsigned where, struct mqtt_props *out)
{
    mqtt__no_props(out);
    if (r->version != MQTT_V5)
        return;
    if (r->left > 0 && *r->at == 0) /* no properties: the usual PUBLISH */
        mqtt__read_u8(r);
    else
        *r = mqtt__read_prop_list(*r, where, out);
}
#endif

/* encode_props: properties by the rows of MQTT_PROPERTIES. Each is first made the view that reading
 * it would give, so that one function knows the form of every kind. */
#include "mqtt/encode.h"

#include "mqtt/encode_priv.h"
#include "mqtt/props_priv.h"

/* Bits of the properties that have a value in struct mqtt_props; user properties have none. */
static const uint64_t stored = (0
#define X(id, ...) | UINT64_C(1) << (id)
                                MQTT_PROPERTIES(X)
#undef X
                                    ) &
                               ~(UINT64_C(1) << MQTT_PROP_user_property);

static enum mqtt__kind kind_of(uint8_t id)
{
    return id < MQTT__PROP_END ? (enum mqtt__kind)mqtt__props[id].kind : MQTT__none;
}

static void put_property(struct mqtt_writer *w, const struct mqtt_property_view *v)
{
    mqtt__put_u8(w, v->id);
    switch (kind_of(v->id)) {
    case MQTT__u8:
        w->bad |= v->number > UINT8_MAX;
        mqtt__put_u8(w, v->number);
        break;
    case MQTT__u16:
        w->bad |= v->number > UINT16_MAX;
        mqtt__put_u16(w, v->number);
        break;
    case MQTT__u32: mqtt__put_u32(w, v->number); break;
    case MQTT__varint: mqtt__put_varint(w, v->number); break;
    case MQTT__pair:
        mqtt__put_text(w, v->text);
        mqtt__put_text(w, v->value);
        break;
    case MQTT__str:
    case MQTT__bin: mqtt__put_text(w, v->text); break;
    case MQTT__none: w->bad = true; break;
    }
}

static struct mqtt_property_view load(const struct mqtt_props *props, uint8_t id)
{
    const void *field = (const uint8_t *)props + mqtt__props[id].offset;
    struct mqtt_property_view v = {.id = id};

    switch (kind_of(id)) {
    case MQTT__u8: v.number = *(const uint8_t *)field; break;
    case MQTT__u16: v.number = *(const uint16_t *)field; break;
    case MQTT__u32:
    case MQTT__varint: v.number = *(const uint32_t *)field; break;
    default: v.text = *(const struct mqtt_str *)field; break;
    }
    return v;
}

static void put_list(struct mqtt_writer *w, const struct mqtt_props *props)
{
    for (uint64_t left = props->present & stored; left != 0; left &= left - 1) {
        struct mqtt_property_view v = load(props, (uint8_t)__builtin_ctzll(left));

        put_property(w, &v);
    }
    mqtt__put_bytes(w, props->encoded);
}

bool mqtt__has_props(const struct mqtt_props *props)
{
    return (props->present & stored) != 0 || props->encoded.len > 0;
}

void mqtt__put_props(struct mqtt_writer *w, int version, const struct mqtt_props *props)
{
    struct mqtt_writer count = {.out = NULL};

    if (version != MQTT_V5)
        return;
    put_list(&count, props);
    mqtt__put_varint(w, count.n);
    put_list(w, props);
}

static size_t append(const struct mqtt_property_view *v, uint8_t *out, size_t cap)
{
    struct mqtt_writer count = {.out = NULL}, w = {.out = out};

    put_property(&count, v);
    if (count.bad || count.n > cap)
        return 0;
    put_property(&w, v);
    return (size_t)w.n;
}

size_t mqtt_encode_number_property(uint8_t id, uint32_t value, uint8_t *out, size_t cap)
{
    struct mqtt_property_view v = {.id = id, .number = value};
    enum mqtt__kind kind = kind_of(id);

    if (kind != MQTT__u8 && kind != MQTT__u16 && kind != MQTT__u32 && kind != MQTT__varint)
        return 0;
    return append(&v, out, cap);
}

size_t mqtt_encode_text_property(uint8_t id, struct mqtt_str text, uint8_t *out, size_t cap)
{
    struct mqtt_property_view v = {.id = id, .text = text};
    enum mqtt__kind kind = kind_of(id);

    if (kind != MQTT__str && kind != MQTT__bin)
        return 0;
    return append(&v, out, cap);
}

size_t mqtt_encode_user_property(struct mqtt_str name, struct mqtt_str value, uint8_t *out,
                                 size_t cap)
{
    struct mqtt_property_view v = {.id = MQTT_PROP_user_property, .text = name, .value = value};

    return append(&v, out, cap);
}

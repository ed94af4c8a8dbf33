/* props: property lists, read and judged by the rows of MQTT_PROPERTIES.            [v5 2.2.2] */
#include "mqtt/props_priv.h"

#include "mqtt/topic.h"

/* What the names in the columns of the table stand for. */
enum {
#define X(no, name, ...) name = 1 << (no),
    MQTT_PACKETS(X)
#undef X
};
enum {
    WILL = 1 << MQTT__WILL,
    ANSWERS = CONNACK | PUBACK | PUBREC | PUBREL | PUBCOMP | SUBACK | UNSUBACK | DISCONNECT | AUTH,
    EVERYWHERE = UINT16_MAX,
};

#define OFFSET_u8(name)     offsetof(struct mqtt_props, name)
#define OFFSET_u16(name)    offsetof(struct mqtt_props, name)
#define OFFSET_u32(name)    offsetof(struct mqtt_props, name)
#define OFFSET_varint(name) offsetof(struct mqtt_props, name)
#define OFFSET_str(name)    offsetof(struct mqtt_props, name)
#define OFFSET_bin(name)    offsetof(struct mqtt_props, name)
#define OFFSET_pair(name)   0

const struct mqtt__prop mqtt__props[MQTT__PROP_END] = {
#define X(id, name, kind, many, client, server, min, max) \
    [id] = {MQTT__##kind, OFFSET_##kind(name), many, client, server, min, max},
    MQTT_PROPERTIES(X)
#undef X
};

static const struct mqtt__prop *find(uint8_t id)
{
    return &mqtt__props[id < MQTT__PROP_END ? id : 0];
}

/* Identifier and value; nothing is judged but the identifier. It is a Variable Byte Integer: from
 * 0x80 on it would be a longer one, and there is none of those. */
static void read_property(struct mqtt_reader *r, struct mqtt_property_view *out)
{
    const uint8_t *start = r->at;

    *out = (struct mqtt_property_view){.id = mqtt__read_u8(r)};
    switch ((enum mqtt__kind)find(out->id)->kind) {
    case MQTT__u8: out->number = mqtt__read_u8(r); break;
    case MQTT__u16: out->number = mqtt__read_u16(r); break;
    case MQTT__u32: out->number = mqtt__read_u32(r); break;
    case MQTT__varint: out->number = mqtt__read_varint(r); break;
    case MQTT__str:
    case MQTT__bin: out->text = mqtt__read_bin(r); break;
    case MQTT__pair:
        out->text = mqtt__read_bin(r);
        out->value = mqtt__read_bin(r);
        break;
    case MQTT__none: mqtt__fail(r, MQTT_RC_MALFORMED_PACKET); break;
    }
    out->encoded = (struct mqtt_str){start, (uint32_t)(r->at - start)};
}

/* May this property stand here? Malformed in a packet that does not have it; a Protocol Error from
 * the wrong side [v5 MQTT-3.3.4-6] [v5 MQTT-3.14.2-2] or when it may not repeat. */
static int place_fault(const struct mqtt__prop *prop, unsigned where, unsigned sender, bool again)
{
    unsigned bit = 1u << where;
    unsigned from = sender == MQTT_CLIENT ? prop->from_client : prop->from_server;

    if (((prop->from_client | prop->from_server) & bit) == 0)
        return MQTT_RC_MALFORMED_PACKET;
    if ((from & bit) == 0 || (again && (prop->many & bit) == 0))
        return MQTT_RC_PROTOCOL_ERROR;
    return 0;
}

static int number_fault(const struct mqtt__prop *prop, const struct mqtt_property_view *v)
{
    if (v->number >= prop->min && v->number <= prop->max)
        return 0;
    if (v->id == MQTT_PROP_topic_alias) /* [v5 MQTT-3.3.2-8] */
        return MQTT_RC_TOPIC_ALIAS_INVALID;
    return MQTT_RC_PROTOCOL_ERROR;
}

static int text_fault(const struct mqtt_property_view *v)
{
    if (!mqtt_utf8_valid(v->text) || !mqtt_utf8_valid(v->value)) /* [v5 MQTT-1.5.7-1] */
        return MQTT_RC_MALFORMED_PACKET;
    if (v->id == MQTT_PROP_response_topic && !mqtt_name_check(v->text)) /* [v5 MQTT-3.3.2-14] */
        return MQTT_RC_PROTOCOL_ERROR;
    return 0;
}

static int value_fault(const struct mqtt__prop *prop, const struct mqtt_property_view *v)
{
    switch ((enum mqtt__kind)prop->kind) {
    case MQTT__str:
    case MQTT__pair: return text_fault(v);
    case MQTT__none:
    case MQTT__bin: return 0;
    default: return number_fault(prop, v);
    }
}

/* The first of those that repeat stays; a pair has no place in the struct, only in raw. */
static void store(struct mqtt_props *out, const struct mqtt__prop *prop,
                  const struct mqtt_property_view *v)
{
    void *field = (uint8_t *)out + prop->offset;

    if ((out->present >> v->id & 1) != 0)
        return;
    out->present |= UINT64_C(1) << v->id;
    switch ((enum mqtt__kind)prop->kind) {
    case MQTT__u8: *(uint8_t *)field = (uint8_t)v->number; break;
    case MQTT__u16: *(uint16_t *)field = (uint16_t)v->number; break;
    case MQTT__u32:
    case MQTT__varint: *(uint32_t *)field = v->number; break;
    case MQTT__str:
    case MQTT__bin: *(struct mqtt_str *)field = v->text; break;
    case MQTT__none:
    case MQTT__pair: break;
    }
}

static void take_property(struct mqtt_reader *r, unsigned where, struct mqtt_props *out)
{
    struct mqtt_property_view v;
    const struct mqtt__prop *prop;
    int rc;

    read_property(r, &v);
    if (r->rc != 0)
        return;
    prop = find(v.id);
    rc = place_fault(prop, where, r->sender, (out->present >> v.id & 1) != 0);
    if (rc == 0)
        rc = value_fault(prop, &v);
    if (rc == 0)
        store(out, prop, &v);
    else
        mqtt__fail(r, rc);
}

struct mqtt_reader mqtt__read_prop_list(struct mqtt_reader r, unsigned where,
                                        struct mqtt_props *out)
{
    struct mqtt_reader list = r;

    out->raw = mqtt__read_bytes(&r, mqtt__read_varint(&r));
    list.at = out->raw.p;
    list.left = out->raw.len;
    while (list.left > 0)
        take_property(&list, where, out);
    mqtt__expect(&list, !MQTT_HAS(out, auth_data) || MQTT_HAS(out, auth_method),
                 MQTT_RC_PROTOCOL_ERROR); /* [v5 3.1.2.11.10] */
    mqtt__expect(&r, list.rc == 0, list.rc);
    return r;
}

bool mqtt_props_next(struct mqtt_str raw, uint32_t *at, struct mqtt_property_view *out)
{
    struct mqtt_reader r;

    if (*at >= raw.len)
        return false;
    r = (struct mqtt_reader){.at = raw.p + *at, .left = raw.len - *at};
    read_property(&r, out);
    *at = raw.len - r.left;
    return r.rc == 0;
}

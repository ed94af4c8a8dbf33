#include "mqtt/tests/packet_support.h"

#include <stdlib.h>

/* The next user property, or Subscription Identifier after the first. */
static bool next_repeat(const struct mqtt_props *props, uint32_t *at, unsigned *seen,
                        struct mqtt_property_view *out)
{
    while (mqtt_props_next(props->raw, at, out))
        if (out->id == MQTT_PROP_user_property ||
            (out->id == MQTT_PROP_subscription_id && (*seen)++ > 0))
            return true;
    return false;
}

static uint8_t *keep(struct mqtt_props *props, uint8_t *room)
{
    struct mqtt_property_view v;
    unsigned seen = 0;
    uint32_t at = 0;

    props->encoded = (struct mqtt_str){room, 0};
    while (next_repeat(props, &at, &seen, &v)) {
        memcpy(room, v.encoded.p, v.encoded.len);
        room += v.encoded.len;
        props->encoded.len += v.encoded.len;
    }
    return room;
}

/* NULL: this type has no list. */
static struct mqtt_props *props_of(struct mqtt_packet *p)
{
    switch (p->type) {
    case MQTT_CONNECT: return &p->connect.props;
    case MQTT_CONNACK: return &p->connack.props;
    case MQTT_PUBLISH: return &p->publish.props;
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP: return &p->ack.props;
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE: return &p->subscribe.props;
    case MQTT_SUBACK:
    case MQTT_UNSUBACK: return &p->suback.props;
    case MQTT_DISCONNECT:
    case MQTT_AUTH: return &p->reasoned.props;
    default: return NULL;
    }
}

void *packet_keep_repeats(struct mqtt_packet *p)
{
    bool has_will = p->type == MQTT_CONNECT && p->connect.has_will;
    struct mqtt_props *props = props_of(p);
    uint8_t *room, *rest;
    size_t size = 1;

    if (props != NULL)
        size += props->raw.len;
    if (has_will)
        size += p->connect.will.props.raw.len;
    if ((room = malloc(size)) == NULL)
        abort();
    rest = props != NULL ? keep(props, room) : room;
    if (has_will)
        keep(&p->connect.will.props, rest);
    return room;
}

#define EQ_NUMBER(name) (a->name == b->name)
#define EQ_TEXT(name)   mqtt_str_eq(a->name, b->name)
#define EQ_u8(name)     EQ_NUMBER(name)
#define EQ_u16(name)    EQ_NUMBER(name)
#define EQ_u32(name)    EQ_NUMBER(name)
#define EQ_varint(name) EQ_NUMBER(name)
#define EQ_str(name)    EQ_TEXT(name)
#define EQ_bin(name)    EQ_TEXT(name)
#define EQ_pair(name)   true

static bool values_equal(const struct mqtt_props *a, const struct mqtt_props *b)
{
    if (a->present != b->present)
        return false;
#define X(id, name, kind, ...)                 \
    if (MQTT_HAS(a, name) && !EQ_##kind(name)) \
        return false;
    MQTT_PROPERTIES(X)
#undef X
    return true;
}

/* The properties of this kind, one after the other; what stands between them does not matter. */
static bool repeats_equal(const struct mqtt_props *a, const struct mqtt_props *b, uint8_t id)
{
    struct mqtt_property_view va = {0}, vb = {0};
    uint32_t at_a = 0, at_b = 0;
    bool more_a, more_b;

    do {
        while ((more_a = mqtt_props_next(a->raw, &at_a, &va)) && va.id != id)
            ;
        while ((more_b = mqtt_props_next(b->raw, &at_b, &vb)) && vb.id != id)
            ;
        if (more_a != more_b || (more_a && !mqtt_str_eq(va.encoded, vb.encoded)))
            return false;
    } while (more_a);
    return true;
}

static bool props_equal(const struct mqtt_props *a, const struct mqtt_props *b)
{
    return values_equal(a, b) && repeats_equal(a, b, MQTT_PROP_user_property) &&
           repeats_equal(a, b, MQTT_PROP_subscription_id);
}

static bool connect_equal(const struct mqtt_connect *a, const struct mqtt_connect *b)
{
    if (a->version != b->version || a->clean_start != b->clean_start ||
        a->has_will != b->has_will || a->has_username != b->has_username ||
        a->has_password != b->has_password || a->keep_alive_s != b->keep_alive_s)
        return false;
    if (a->has_will && (!EQ_NUMBER(will.qos) || !EQ_NUMBER(will.retain) || !EQ_TEXT(will.topic) ||
                        !EQ_TEXT(will.payload) || !props_equal(&a->will.props, &b->will.props)))
        return false;
    return EQ_TEXT(client_id) && (!a->has_username || EQ_TEXT(username)) &&
           (!a->has_password || EQ_TEXT(password));
}

static bool publish_equal(const struct mqtt_publish *a, const struct mqtt_publish *b)
{
    return EQ_NUMBER(dup) && EQ_NUMBER(retain) && EQ_NUMBER(qos) && EQ_NUMBER(packet_id) &&
           EQ_TEXT(topic) && EQ_TEXT(payload);
}

/* Everything but the properties. */
static bool fields_equal(const struct mqtt_packet *a, const struct mqtt_packet *b)
{
    switch (a->type) {
    case MQTT_CONNECT: return connect_equal(&a->connect, &b->connect);
    case MQTT_CONNACK: return EQ_NUMBER(connack.session_present) && EQ_NUMBER(connack.reason);
    case MQTT_PUBLISH: return publish_equal(&a->publish, &b->publish);
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP: return EQ_NUMBER(ack.packet_id) && EQ_NUMBER(ack.reason);
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE:
        return EQ_NUMBER(subscribe.packet_id) && EQ_NUMBER(subscribe.count) &&
               EQ_TEXT(subscribe.filters);
    case MQTT_SUBACK:
    case MQTT_UNSUBACK: return EQ_NUMBER(suback.packet_id) && EQ_TEXT(suback.reasons);
    case MQTT_DISCONNECT:
    case MQTT_AUTH: return EQ_NUMBER(reasoned.reason);
    default: return true;
    }
}

bool packet_equal(const struct mqtt_packet *a, const struct mqtt_packet *b)
{
    const struct mqtt_props *props = props_of((struct mqtt_packet *)a);

    return a->type == b->type && fields_equal(a, b) &&
           (props == NULL || props_equal(props, props_of((struct mqtt_packet *)b)));
}

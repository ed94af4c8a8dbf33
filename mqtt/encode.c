/* encode: one function per packet body. Each is run twice, with a writer that counts and with one
 * that writes: what is measured and what is written cannot differ. */
#include "mqtt/encode.h"

#include "mqtt/encode_priv.h"

/* The fixed low nibble of each type; ANY is that of PUBLISH, which publish_flags() makes. */
enum { ANY = 0 };
static const uint8_t fixed_flags[16] = {
#define X(no, name, flags, v3, v5) [no] = flags,
    MQTT_PACKETS(X)
#undef X
};

static void put_connect_flags(struct mqtt_writer *w, const struct mqtt_connect *c)
{
    unsigned flags = (unsigned)c->has_username << 7 | (unsigned)c->has_password << 6 |
                     (unsigned)c->has_will << 2 | (unsigned)c->clean_start << 1;

    if (c->has_will)
        flags |= (unsigned)c->will.retain << 5 | (c->will.qos & 3u) << 3;
    mqtt__put_u8(w, flags);
}

static void put_connect(struct mqtt_writer *w, const struct mqtt_connect *c)
{
    int version = (int)c->version;

    mqtt__put_text(w, c->version == MQTT_V31 ? MQTT_STR("MQIsdp") : MQTT_STR("MQTT"));
    mqtt__put_u8(w, c->version);
    put_connect_flags(w, c);
    mqtt__put_u16(w, c->keep_alive_s);
    mqtt__put_props(w, version, &c->props);
    mqtt__put_text(w, c->client_id);
    if (c->has_will) {
        mqtt__put_props(w, version, &c->will.props);
        mqtt__put_text(w, c->will.topic);
        mqtt__put_text(w, c->will.payload);
    }
    if (c->has_username)
        mqtt__put_text(w, c->username);
    if (c->has_password)
        mqtt__put_text(w, c->password);
}

static void put_connack(struct mqtt_writer *w, int version, const struct mqtt_connack *c)
{
    mqtt__put_u8(w, c->session_present && version != MQTT_V31);
    mqtt__put_u8(w, c->reason);
    mqtt__put_props(w, version, &c->props);
}

static void put_publish(struct mqtt_writer *w, int version, const struct mqtt_publish *p)
{
    mqtt__put_text(w, p->topic);
    if (p->qos > 0)
        mqtt__put_u16(w, p->packet_id);
    mqtt__put_props(w, version, &p->props);
    mqtt__put_bytes(w, p->payload);
}

/* Reason and properties, left out from the end as far as they say nothing. */
static void put_optional_reason(struct mqtt_writer *w, int version, uint8_t reason,
                                const struct mqtt_props *props)
{
    bool has_props = mqtt__has_props(props);

    if (version != MQTT_V5 || (reason == MQTT_RC_SUCCESS && !has_props))
        return;
    mqtt__put_u8(w, reason);
    if (has_props)
        mqtt__put_props(w, version, props);
}

static void put_ack(struct mqtt_writer *w, int version, const struct mqtt_ack *a)
{
    mqtt__put_u16(w, a->packet_id);
    put_optional_reason(w, version, a->reason, &a->props);
}

static void put_subscribe(struct mqtt_writer *w, int version, const struct mqtt_subscribe *s)
{
    mqtt__put_u16(w, s->packet_id);
    mqtt__put_props(w, version, &s->props);
    mqtt__put_bytes(w, s->filters);
}

static void put_suback(struct mqtt_writer *w, int version, unsigned type,
                       const struct mqtt_suback *s)
{
    mqtt__put_u16(w, s->packet_id);
    mqtt__put_props(w, version, &s->props);
    if (type == MQTT_SUBACK || version == MQTT_V5)
        mqtt__put_bytes(w, s->reasons);
}

/* Empty, or both reason and properties [v5 3.15.2.1]. */
static void put_auth(struct mqtt_writer *w, int version, const struct mqtt_reasoned *a)
{
    if (version != MQTT_V5 || (a->reason == MQTT_RC_SUCCESS && !mqtt__has_props(&a->props)))
        return;
    mqtt__put_u8(w, a->reason);
    mqtt__put_props(w, version, &a->props);
}

static void put_body(struct mqtt_writer *w, const struct mqtt_packet *p, int version)
{
    switch (p->type) {
    case MQTT_CONNECT: put_connect(w, &p->connect); break;
    case MQTT_CONNACK: put_connack(w, version, &p->connack); break;
    case MQTT_PUBLISH: put_publish(w, version, &p->publish); break;
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP: put_ack(w, version, &p->ack); break;
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE: put_subscribe(w, version, &p->subscribe); break;
    case MQTT_SUBACK:
    case MQTT_UNSUBACK: put_suback(w, version, p->type, &p->suback); break;
    case MQTT_PINGREQ:
    case MQTT_PINGRESP: break;
    case MQTT_DISCONNECT:
        put_optional_reason(w, version, p->reasoned.reason, &p->reasoned.props);
        break;
    case MQTT_AUTH: put_auth(w, version, &p->reasoned); break;
    default: w->bad = true;
    }
}

static unsigned publish_flags(bool dup, uint8_t qos, bool retain)
{
    return (unsigned)dup << 3 | (qos & 3u) << 1 | (unsigned)retain;
}

static uint8_t first_byte(const struct mqtt_packet *p)
{
    unsigned flags = fixed_flags[p->type];

    if (p->type == MQTT_PUBLISH)
        flags = publish_flags(p->publish.dup, p->publish.qos, p->publish.retain);
    return (uint8_t)((unsigned)p->type << 4 | flags);
}

/* Counts the body into *out_body; returns the size of the packet, 0 when it has none. */
static size_t measure(const struct mqtt_packet *p, int version, uint32_t *out_body)
{
    struct mqtt_writer count = {.out = NULL};

    put_body(&count, p, version);
    if (count.bad || count.n > MQTT_MAX_REMAINING)
        return 0;
    *out_body = (uint32_t)count.n;
    return 1 + mqtt_varint_size(*out_body) + *out_body;
}

size_t mqtt_encode_size(const struct mqtt_packet *p, int version)
{
    uint32_t body;

    return measure(p, version, &body);
}

size_t mqtt_encode(const struct mqtt_packet *p, int version, uint8_t *out, size_t cap)
{
    struct mqtt_writer w = {.out = out};
    uint32_t body;
    size_t size = measure(p, version, &body);

    if (size == 0 || size > cap)
        return 0;
    mqtt__put_u8(&w, first_byte(p));
    mqtt__put_varint(&w, body);
    put_body(&w, p, version);
    return size;
}

size_t mqtt_encode_publish_head(const struct mqtt_publish_head *h, int version, uint8_t *out,
                                size_t cap, size_t *out_packet_id)
{
    struct mqtt_writer w = {.out = out};
    uint64_t head = 2 + (uint64_t)h->topic.len + (h->qos > 0 ? 2 : 0);
    uint64_t body;

    if (version == MQTT_V5)
        head += mqtt_varint_size(h->props.len) + (uint64_t)h->props.len;
    body = head + h->payload_len;
    if (h->topic.len > UINT16_MAX || body > MQTT_MAX_REMAINING ||
        1 + mqtt_varint_size((uint32_t)body) + head > cap)
        return 0;
    mqtt__put_u8(&w, (unsigned)MQTT_PUBLISH << 4 | publish_flags(h->dup, h->qos, h->retain));
    mqtt__put_varint(&w, body);
    mqtt__put_text(&w, h->topic);
    *out_packet_id = h->qos > 0 ? (size_t)w.n : 0;
    if (h->qos > 0)
        mqtt__put_u16(&w, h->packet_id);
    if (version == MQTT_V5) {
        mqtt__put_varint(&w, h->props.len);
        mqtt__put_bytes(&w, h->props);
    }
    return (size_t)w.n;
}

size_t mqtt_encode_filter(struct mqtt_str filter, bool unsubscribe, uint8_t options, uint8_t *out,
                          size_t cap)
{
    struct mqtt_writer w = {.out = out};

    if (filter.len > UINT16_MAX || 2 + filter.len + !unsubscribe > cap)
        return 0;
    mqtt__put_text(&w, filter);
    if (!unsubscribe)
        mqtt__put_u8(&w, options);
    return (size_t)w.n;
}

/* decode: one function per packet, each a reading of its layout from front to back. A fault goes
 * into the reader and comes out at the end of mqtt_decode(); until then a decoder only takes care
 * that what it does is safe with any value. mqtt_frame() has judged the first byte. */
#include "mqtt/decode.h"

#include "mqtt/decode_priv.h"

static struct mqtt_reader open_body(const struct mqtt_frame *frame, const uint8_t *data,
                                    int version, enum mqtt_side sender)
{
    return (struct mqtt_reader){
        .at = data + frame->header_len,
        .left = frame->body_len,
        .version = (uint8_t)version,
        .sender = (uint8_t)sender,
    };
}

int mqtt_decode_publish(const struct mqtt_frame *frame, const uint8_t *data, int version,
                        enum mqtt_side sender, struct mqtt_publish *out)
{
    struct mqtt_reader r = open_body(frame, data, version, sender);

    out->dup = (frame->head & 0x08) != 0;
    out->qos = frame->head >> 1 & 0x03;
    out->retain = (frame->head & 0x01) != 0;
    out->topic = mqtt__read_bin(&r);
    out->packet_id = out->qos == 0 ? 0 : mqtt__read_packet_id(&r); /* [v5 MQTT-2.2.1-2] */
    mqtt__read_props(&r, MQTT_PUBLISH, &out->props);
    out->payload = mqtt__read_rest(&r);
    if (r.rc != 0 || (out->topic.len == 0 && MQTT_HAS(&out->props, topic_alias)))
        return r.rc;
    return mqtt__name_fault(out->topic);
}

static void expect_legal(struct mqtt_reader *r, unsigned type, uint8_t reason)
{
    mqtt__expect(r, mqtt__reason_legal(reason, r->version, type, r->sender),
                 MQTT_RC_PROTOCOL_ERROR);
}

static void decode_connack(struct mqtt_reader *r, struct mqtt_connack *out)
{
    uint8_t flags = mqtt__read_u8(r);

    if (r->version == MQTT_V31) /* does not use this byte */
        flags = 0;
    mqtt__expect(r, flags <= 1, MQTT_RC_MALFORMED_PACKET); /* [v5 MQTT-3.2.2-1] */
    out->session_present = flags == 1;
    out->reason = mqtt__read_u8(r);
    expect_legal(r, MQTT_CONNACK, out->reason); /* [v5 MQTT-3.2.2-8] [v3 MQTT-3.2.2-6] */
    mqtt__expect(r, out->reason == 0 || !out->session_present,
                 MQTT_RC_PROTOCOL_ERROR); /* [v5 MQTT-3.2.2-6] [v3 MQTT-3.2.2-4] */
    mqtt__read_props(r, MQTT_CONNACK, &out->props);
}

/* Reason and properties of PUBACK to PUBCOMP and DISCONNECT: either may be left out from the end
 * [v5 MQTT-2.2.2-1]; in 3.x there are none. */
static void read_optional_reason(struct mqtt_reader *r, unsigned type, uint8_t *out_reason,
                                 struct mqtt_props *out_props)
{
    *out_reason = MQTT_RC_SUCCESS;
    mqtt__no_props(out_props);
    if (r->version != MQTT_V5 || r->left == 0)
        return;
    *out_reason = mqtt__read_u8(r);
    expect_legal(r, type, *out_reason); /* [v5 MQTT-3.4.2-1] [v5 MQTT-3.14.2-1] */
    if (r->left > 0)
        mqtt__read_props(r, type, out_props);
}

static void decode_ack(struct mqtt_reader *r, unsigned type, struct mqtt_ack *out)
{
    out->packet_id = mqtt__read_packet_id(r);
    read_optional_reason(r, type, &out->reason, &out->props);
}

/* Reserved bits make the packet malformed, values that mean nothing are a Protocol Error
 * [v5 MQTT-3.8.3-5]; in 3.x both are malformed [v3 MQTT-3.8.3-4]. */
static int options_fault(uint8_t options, int version)
{
    bool bad_value = MQTT_SUB_QOS(options) == 3 || MQTT_SUB_RETAIN_HANDLING(options) == 3;

    if (version != MQTT_V5)
        return options <= 2 ? 0 : MQTT_RC_MALFORMED_PACKET;
    if ((options & 0xC0) != 0)
        return MQTT_RC_MALFORMED_PACKET;
    return bad_value ? MQTT_RC_PROTOCOL_ERROR : 0;
}

/* At least one filter [v5 MQTT-3.8.3-2] [v5 MQTT-3.10.3-2] [v3 MQTT-3.8.3-3] [v3 MQTT-3.10.3-2]. */
static void decode_subscribe(struct mqtt_reader *r, unsigned type, struct mqtt_subscribe *out)
{
    out->packet_id = mqtt__read_packet_id(r);
    mqtt__read_props(r, type, &out->props);
    out->filters = (struct mqtt_str){r->at, r->left};
    out->count = 0;
    for (; r->left > 0; out->count++) {
        int rc = 0;

        mqtt__read_text(r);
        if (type == MQTT_SUBSCRIBE)
            rc = options_fault(mqtt__read_u8(r), r->version);
        mqtt__expect(r, rc == 0, rc);
    }
    mqtt__expect(r, out->count > 0, MQTT_RC_PROTOCOL_ERROR);
}

/* A SUBSCRIBE has at least one filter and its answer as many codes [v5 MQTT-3.8.4-6]; an UNSUBACK
 * of 3.x has none. */
static void decode_suback(struct mqtt_reader *r, unsigned type, struct mqtt_suback *out)
{
    out->packet_id = mqtt__read_packet_id(r);
    mqtt__read_props(r, type, &out->props);
    out->reasons = (struct mqtt_str){r->at, 0};
    if (type == MQTT_UNSUBACK && r->version != MQTT_V5)
        return;
    out->reasons = mqtt__read_rest(r);
    mqtt__expect(r, out->reasons.len > 0, MQTT_RC_PROTOCOL_ERROR);
    for (uint32_t i = 0; i < out->reasons.len; i++)
        expect_legal(r, type, out->reasons.p[i]); /* [v5 MQTT-3.9.3-2] [v5 MQTT-3.11.3-2] */
}

/* Empty stands for Success without properties [v5 3.15.2.1]; else both are there, and the method
 * with them [v5 3.15.2.2.2]. */
static void decode_auth(struct mqtt_reader *r, struct mqtt_reasoned *out)
{
    out->reason = MQTT_RC_SUCCESS;
    mqtt__no_props(&out->props);
    if (r->left > 0) {
        out->reason = mqtt__read_u8(r);
        mqtt__read_props(r, MQTT_AUTH, &out->props);
        mqtt__expect(r, MQTT_HAS(&out->props, auth_method), MQTT_RC_PROTOCOL_ERROR);
    }
    expect_legal(r, MQTT_AUTH, out->reason); /* [v5 MQTT-3.15.2-1] */
}

int mqtt_decode(const struct mqtt_frame *frame, const uint8_t *data, int version,
                enum mqtt_side sender, struct mqtt_packet *out)
{
    struct mqtt_reader r = open_body(frame, data, version, sender);
    unsigned type = frame->head >> 4;

    out->type = (enum mqtt_type)type;
    switch (type) {
    case MQTT_CONNECT: mqtt__decode_connect(&r, &out->connect); break;
    case MQTT_CONNACK: decode_connack(&r, &out->connack); break;
    case MQTT_PUBLISH: return mqtt_decode_publish(frame, data, version, sender, &out->publish);
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP: decode_ack(&r, type, &out->ack); break;
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE: decode_subscribe(&r, type, &out->subscribe); break;
    case MQTT_SUBACK:
    case MQTT_UNSUBACK: decode_suback(&r, type, &out->suback); break;
    case MQTT_PINGREQ:
    case MQTT_PINGRESP: break;
    case MQTT_DISCONNECT:
        read_optional_reason(&r, type, &out->reasoned.reason, &out->reasoned.props);
        break;
    case MQTT_AUTH: decode_auth(&r, &out->reasoned); break;
    default: return MQTT_RC_MALFORMED_PACKET;
    }
    mqtt__expect(&r, r.left == 0, MQTT_RC_MALFORMED_PACKET); /* bytes left over */
    return r.rc;
}

bool mqtt_filters_next(const struct mqtt_subscribe *s, bool unsubscribe, uint32_t *at,
                       struct mqtt_str *out_filter, uint8_t *out_options)
{
    const struct mqtt_str list = s->filters;
    struct mqtt_reader r;

    if (*at >= list.len)
        return false;
    r = (struct mqtt_reader){.at = list.p + *at, .left = list.len - *at};
    *out_filter = mqtt__read_bin(&r);
    *out_options = unsubscribe ? 0 : mqtt__read_u8(&r);
    *at = list.len - r.left;
    return r.rc == 0;
}

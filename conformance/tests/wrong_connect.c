/* wrong_connect: wrong fixed headers, packet identifiers, CONNACKs, and CONNECTs that the server
 * behind is told otherwise. */
#include "conformance/tests/wrong_rules.h"

/* ---- the fixed header and identifiers ---- */

static bool overlong_length(struct hop *h, const struct passing *p)
{
    return is(p, FROM_SERVER, MQTT_PINGRESP) && send_bytes(h, FROM_SERVER, "d0 8000");
}

static bool flags_of_pingresp(struct hop *h, const struct passing *p)
{
    return is(p, FROM_SERVER, MQTT_PINGRESP) && send_bytes(h, FROM_SERVER, "d1 00");
}

static bool flags_of_pubrel(struct hop *h, const struct passing *p)
{
    return is(p, FROM_SERVER, MQTT_PUBREL) && send_changed(h, p, 0, 0x60);
}

static bool dup_at_qos_0(struct hop *h, const struct passing *p)
{
    return is(p, FROM_SERVER, MQTT_PUBLISH) && p->as.publish.qos == 0 &&
           send_changed(h, p, 0, p->bytes.p[0] | 8);
}

static bool dup_on_everything(struct hop *h, const struct passing *p)
{
    return is(p, FROM_SERVER, MQTT_PUBLISH) && p->as.publish.qos > 0 &&
           send_changed(h, p, 0, p->bytes.p[0] | 8);
}

static bool dup_never(struct hop *h, const struct passing *p)
{
    return is(p, FROM_SERVER, MQTT_PUBLISH) && p->as.publish.dup &&
           send_changed(h, p, 0, p->bytes.p[0] & 0xf7);
}

static bool publish_id(struct hop *h, const struct passing *p, uint16_t id)
{
    struct mqtt_packet as = p->as;

    if (!is(p, FROM_SERVER, MQTT_PUBLISH) || p->as.publish.qos == 0)
        return false;
    as.publish.packet_id = id;
    props_set(&as.publish.props, p->as.publish.props.raw);
    return resend(h, FROM_SERVER, &as);
}

static bool id_zero(struct hop *h, const struct passing *p)
{
    return publish_id(h, p, 0);
}

static bool id_one(struct hop *h, const struct passing *p)
{
    return publish_id(h, p, 1);
}

static bool ack_id(struct hop *h, const struct passing *p, unsigned type)
{
    uint32_t at = p->frame.header_len + 1u;

    return is(p, FROM_SERVER, type) && send_changed(h, p, at, (uint8_t)(p->bytes.p[at] + 1));
}

static bool puback_id(struct hop *h, const struct passing *p)
{
    return ack_id(h, p, MQTT_PUBACK);
}

static bool pubrel_id(struct hop *h, const struct passing *p)
{
    return ack_id(h, p, MQTT_PUBREL);
}

static bool suback_id(struct hop *h, const struct passing *p)
{
    return ack_id(h, p, MQTT_SUBACK);
}

static bool unsuback_id(struct hop *h, const struct passing *p)
{
    return ack_id(h, p, MQTT_UNSUBACK);
}

/* ---- CONNACK ---- */

static bool connack_flags(struct hop *h, const struct passing *p)
{
    return is(p, FROM_SERVER, MQTT_CONNACK) && send_changed(h, p, p->frame.header_len, 0x80);
}

static bool always_present(struct hop *h, const struct passing *p)
{
    return is(p, FROM_SERVER, MQTT_CONNACK) && p->as.connack.reason == 0 &&
           send_changed(h, p, p->frame.header_len, 1);
}

static bool never_present(struct hop *h, const struct passing *p)
{
    return is(p, FROM_SERVER, MQTT_CONNACK) && send_changed(h, p, p->frame.header_len, 0);
}

static bool present_on_refusal(struct hop *h, const struct passing *p)
{
    return is(p, FROM_SERVER, MQTT_CONNACK) && p->as.connack.reason != 0 &&
           send_changed(h, p, p->frame.header_len, 1);
}

static bool connack_twice(struct hop *h, const struct passing *p)
{
    if (is(p, FROM_SERVER, MQTT_CONNACK))
        hop_send(h, FROM_SERVER, p->bytes);
    return false;
}

static bool connack_reason(struct hop *h, const struct passing *p)
{
    return is(p, FROM_SERVER, MQTT_CONNACK) && p->as.connack.reason != 0 &&
           send_changed(h, p, p->frame.header_len + 1u, p->frame.body_len == 2 ? 0x77 : 0x8e);
}

/* Something else comes first. */
static bool connack_second(struct hop *h, const struct passing *p)
{
    if (is(p, FROM_SERVER, MQTT_CONNACK) && h->connacks == 1)
        send_bytes(h, FROM_SERVER, "d0 00");
    return false;
}

static bool disconnect_instead(struct hop *h, const struct passing *p)
{
    return is(p, FROM_SERVER, MQTT_CONNACK) && p->as.connack.reason >= 0x80 &&
           send_bytes(h, FROM_SERVER, "e0 01 87");
}

static bool same_assigned_id(struct hop *h, const struct passing *p)
{
    struct mqtt_packet as = p->as;

    if (!is(p, FROM_SERVER, MQTT_CONNACK) || !MQTT_HAS(&p->as.connack.props, assigned_client_id))
        return false;
    props_set(&as.connack.props,
              props_with(h, props_without(h, p->as.connack.props.raw, MQTT_PROP_assigned_client_id),
                         wire_compose(&h->arena, "12 <always-the-same>")));
    return resend(h, FROM_SERVER, &as);
}

static bool response_information(struct hop *h, const struct passing *p)
{
    struct mqtt_packet as = p->as;

    if (!is(p, FROM_SERVER, MQTT_CONNACK) || h->version != MQTT_V5)
        return false;
    props_set(&as.connack.props,
              props_with(h, p->as.connack.props.raw, wire_compose(&h->arena, "1a <information>")));
    return resend(h, FROM_SERVER, &as);
}

static bool connack_for_malformed(struct hop *h, const struct passing *p)
{
    if (p->side == FROM_CLIENT && p->rc != 0 && p->bytes.p[0] >> 4 == MQTT_CONNECT)
        send_bytes(h, FROM_SERVER, "20 02 00 05");
    return false;
}

/* ---- CONNECT: the server behind is told something else ---- */

static bool connect_changed(struct hop *h, const struct passing *p, uint8_t without,
                            const char *with)
{
    struct mqtt_packet as = p->as;
    struct mqtt_str raw;

    if (!is(p, FROM_CLIENT, MQTT_CONNECT) || p->as.connect.version != MQTT_V5)
        return false;
    raw = props_without(h, p->as.connect.props.raw, without);
    if (with != NULL)
        raw = props_with(h, raw, wire_compose(&h->arena, "%s", with));
    props_set(&as.connect.props, raw);
    props_set(&as.connect.will.props,
              p->as.connect.has_will ? p->as.connect.will.props.raw : (struct mqtt_str){NULL, 0});
    return resend(h, FROM_CLIENT, &as);
}

static bool no_receive_maximum(struct hop *h, const struct passing *p)
{
    return connect_changed(h, p, MQTT_PROP_receive_maximum, NULL);
}

static bool no_maximum_packet_size(struct hop *h, const struct passing *p)
{
    return connect_changed(h, p, MQTT_PROP_maximum_packet_size, NULL);
}

static bool many_aliases(struct hop *h, const struct passing *p)
{
    return connect_changed(h, p, MQTT_PROP_topic_alias_maximum, "22 0010");
}

static bool no_session_expiry(struct hop *h, const struct passing *p)
{
    return connect_changed(h, p, MQTT_PROP_session_expiry_s, NULL);
}

static bool long_session_expiry(struct hop *h, const struct passing *p)
{
    return connect_changed(h, p, MQTT_PROP_session_expiry_s, "11 0000003c");
}

static bool any_auth_method(struct hop *h, const struct passing *p)
{
    struct passing q = *p;

    if (is(p, FROM_CLIENT, MQTT_CONNECT) && p->as.connect.version == MQTT_V5)
        q.as.connect.props.raw = props_without(h, p->as.connect.props.raw, MQTT_PROP_auth_data);
    return connect_changed(h, &q, MQTT_PROP_auth_method, NULL);
}

static bool connect_flag(struct hop *h, const struct passing *p, uint8_t clear, uint8_t set)
{
    size_t at = p->frame.header_len + (h->version == MQTT_V31 ? 9u : 7u);

    return is(p, FROM_CLIENT, MQTT_CONNECT) &&
           send_changed(h, p, at, (uint8_t)((p->bytes.p[at] & ~clear) | set));
}

static bool never_clean(struct hop *h, const struct passing *p)
{
    return connect_flag(h, p, 0x02, 0);
}

static bool always_clean(struct hop *h, const struct passing *p)
{
    return connect_flag(h, p, 0, 0x02);
}

static bool will_not_retained(struct hop *h, const struct passing *p)
{
    return connect_flag(h, p, 0x20, 0);
}

static bool will_retained(struct hop *h, const struct passing *p)
{
    return is(p, FROM_CLIENT, MQTT_CONNECT) && p->as.connect.has_will &&
           connect_flag(h, p, 0, 0x20);
}

static bool no_will(struct hop *h, const struct passing *p)
{
    struct mqtt_packet as = p->as;

    if (!is(p, FROM_CLIENT, MQTT_CONNECT))
        return false;
    as.connect.has_will = false;
    props_set(&as.connect.props, p->as.connect.props.raw);
    return resend(h, FROM_CLIENT, &as);
}

static bool no_will_delay(struct hop *h, const struct passing *p)
{
    struct mqtt_packet as = p->as;

    if (!is(p, FROM_CLIENT, MQTT_CONNECT) || !p->as.connect.has_will || h->version != MQTT_V5)
        return false;
    props_set(&as.connect.props, p->as.connect.props.raw);
    props_set(&as.connect.will.props,
              props_without(h, p->as.connect.will.props.raw, MQTT_PROP_will_delay_s));
    return resend(h, FROM_CLIENT, &as);
}

static bool keep_alive(struct hop *h, const struct passing *p, uint16_t seconds)
{
    size_t at = p->frame.header_len + (h->version == MQTT_V31 ? 10u : 8u);

    return is(p, FROM_CLIENT, MQTT_CONNECT) && p->as.connect.keep_alive_s == 1 &&
           send_changed(h, p, at + 1, (uint8_t)seconds);
}

static bool no_keep_alive(struct hop *h, const struct passing *p)
{
    return keep_alive(h, p, 0);
}

/* What is wrong in a CONNECT is set right before the server sees it. */
static bool any_name(struct hop *h, const struct passing *p)
{
    return p->side == FROM_CLIENT && p->rc != 0 && p->bytes.len > 9 &&
           memcmp(p->bytes.p + 2, "\0\4MQTX", 6) == 0 && send_changed(h, p, 7, 'T');
}

static bool any_level(struct hop *h, const struct passing *p)
{
    return p->side == FROM_CLIENT && p->rc != 0 && p->bytes.len > 9 && p->bytes.p[8] == 6 &&
           memcmp(p->bytes.p + 2, "\0\4MQTT", 6) == 0 && send_changed(h, p, 8, 5);
}

static bool any_connect_flag(struct hop *h, const struct passing *p)
{
    return p->side == FROM_CLIENT && p->rc != 0 && p->bytes.len > 10 &&
           p->bytes.p[0] >> 4 == MQTT_CONNECT && (p->bytes.p[9] & 1) != 0 &&
           send_changed(h, p, 9, p->bytes.p[9] & 0xfe);
}

static bool second_connect(struct hop *h, const struct passing *p)
{
    return p->side == FROM_CLIENT && p->bytes.p[0] >> 4 == MQTT_CONNECT && h->connects > 1;
}

/* clang-format off */
static const struct rule rules[] = {
    MQTT("honest",                  passes_all,             "-",              "5.0"),
    MQTT("honest_3",                passes_all,             "-",              "3.1.1"),
    CASE("overlong_length",         overlong_length,        "MQTT-1.5.5-1",   "5.0", "ping"),
    CASE("flags_of_pingresp",       flags_of_pingresp,      "MQTT-2.1.3-1",   "5.0", "ping"),
    CASE("flags_of_pingresp_3",     flags_of_pingresp,      "MQTT-2.2.2-1",   "3.1.1", "ping"),
    CASE("flags_of_pubrel",         flags_of_pubrel,        "MQTT-3.6.1-1",   "5.0", "qos_2_sent"),
    MQTT("dup_at_qos_0",            dup_at_qos_0,           "MQTT-3.3.1-2",   "5.0"),
    MQTT("dup_at_qos_0_3",          dup_at_qos_0,           "MQTT-3.3.1-2",   "3.1.1"),
    MQTT("dup_on_everything",       dup_on_everything,      "MQTT-4.3.2-2",   "5.0"),
    MQTT("dup_on_everything_3",     dup_on_everything,      "MQTT-3.3.1-3",   "3.1.1"),
    MQTT("dup_never",               dup_never,              "MQTT-3.3.1-1",   "5.0"),
    MQTT("dup_never_3",             dup_never,              "MQTT-3.3.1-1",   "3.1.1"),
    MQTT("id_zero",                 id_zero,                "MQTT-2.2.1-4",   "5.0"),
    MQTT("id_zero_3",               id_zero,                "MQTT-2.3.1-4",   "3.1.1"),
    MQTT("id_one",                  id_one,                 "MQTT-4.3.2-1",   "5.0"),
    MQTT("puback_id",               puback_id,              "MQTT-2.2.1-5",   "5.0"),
    MQTT("pubrel_id",               pubrel_id,              "MQTT-2.2.1-5",   "5.0"),
    MQTT("suback_id",               suback_id,              "MQTT-2.2.1-6",   "5.0"),
    MQTT("suback_id_3",             suback_id,              "MQTT-2.3.1-7",   "3.1.1"),
    MQTT("unsuback_id",             unsuback_id,            "MQTT-3.10.4-5",  "5.0"),
    CASE("connack_flags",           connack_flags,          "MQTT-3.2.2-1",   "5.0", "connect_accepted"),
    MQTT("always_present",          always_present,         "MQTT-3.2.2-2",   "5.0"),
    MQTT("always_present_3",        always_present,         "MQTT-3.2.2-1",   "3.1.1"),
    MQTT("never_present",           never_present,          "MQTT-3.2.2-3",   "5.0"),
    MQTT("never_present_3",         never_present,          "MQTT-3.2.2-2",   "3.1.1"),
    MQTT("present_on_refusal",      present_on_refusal,     "MQTT-3.2.2-6",   "5.0"),
    MQTT("connack_twice",           connack_twice,          "MQTT-3.2.0-2",   "5.0"),
    CASE("connack_reason",          connack_reason,         "MQTT-3.2.2-8",   "5.0", "auth_unknown_method"),
    CASE("connack_second",          connack_second,         "MQTT-3.2.0-1",   "5.0", "connect_accepted"),
    CASE("disconnect_instead",      disconnect_instead,     "MQTT-3.14.0-1",  "5.0", "auth_unknown_method"),
    MQTT("same_assigned_id",        same_assigned_id,       "MQTT-3.2.2-16",  "5.0"),
    MQTT("response_information",    response_information,   "MQTT-3.1.2-28",  "5.0"),
    MQTT("connack_for_malformed",   connack_for_malformed,  "MQTT-3.1.4-1",   "3.1.1"),
    MQTT("no_receive_maximum",      no_receive_maximum,     "MQTT-3.3.4-9",   "5.0"),
    MQTT("no_maximum_packet_size",  no_maximum_packet_size, "MQTT-3.1.2-24",  "5.0"),
    MQTT("many_aliases",            many_aliases,           "MQTT-3.1.2-26",  "5.0"),
    MQTT("unasked_aliases",         many_aliases,           "MQTT-3.1.2-27",  "5.0"),
    MQTT("no_session_expiry",       no_session_expiry,      "MQTT-3.1.2-23",  "5.0"),
    MQTT("long_session_expiry",     long_session_expiry,    "MQTT-4.1.0-2",   "5.0"),
    MQTT("any_auth_method",         any_auth_method,        "MQTT-4.12.0-1",  "5.0"),
    MQTT("never_clean",             never_clean,            "MQTT-3.1.2-4",   "5.0"),
    MQTT("never_clean_3",           never_clean,            "MQTT-3.1.2-6",   "3.1.1"),
    MQTT("always_clean",            always_clean,           "MQTT-3.1.2-5",   "5.0"),
    MQTT("always_clean_3",          always_clean,           "MQTT-3.1.2-4",   "3.1.1"),
    MQTT("will_not_retained",       will_not_retained,      "MQTT-3.1.2-15",  "5.0"),
    MQTT("will_retained",           will_retained,          "MQTT-3.1.2-14",  "5.0"),
    MQTT("no_will",                 no_will,                "MQTT-3.1.2-8",   "5.0"),
    MQTT("no_will_3",               no_will,                "MQTT-3.1.2-8",   "3.1.1"),
    CASE("no_will_delay",           no_will_delay,          "MQTT-3.1.2-8",   "5.0", "will_delay"),
    MQTT("no_keep_alive",           no_keep_alive,          "MQTT-3.1.2-22",  "5.0"),
    MQTT("no_keep_alive_3",         no_keep_alive,          "MQTT-3.1.2-24",  "3.1.1"),
    MQTT("any_name",                any_name,               "MQTT-3.1.2-1",   "5.0"),
    MQTT("any_level",               any_level,              "MQTT-3.1.2-2",   "5.0"),
    MQTT("any_connect_flag",        any_connect_flag,       "MQTT-3.1.2-3",   "5.0"),
    MQTT("any_connect_flag_3",      any_connect_flag,       "MQTT-3.1.2-3",   "3.1.1"),
    MQTT("second_connect",          second_connect,         "MQTT-3.1.0-2",   "5.0"),
};
/* clang-format on */

const struct rule_set wrong_connect = {rules, ARRAY_LEN(rules)};

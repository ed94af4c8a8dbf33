/* wrong_messages: messages that are changed, lost, doubled or out of order, and subscriptions that
 * the server behind is told otherwise. */
#include "conformance/tests/wrong_rules.h"

#include <ctype.h>

/* ---- messages ---- */

static bool message_changed(struct hop *h, const struct passing *p, struct mqtt_str raw)
{
    struct mqtt_packet as = p->as;

    props_set(&as.publish.props, raw);
    return resend(h, p->side, &as);
}

static bool without_property(struct hop *h, const struct passing *p, uint8_t id)
{
    return is(p, FROM_SERVER, MQTT_PUBLISH) &&
           message_changed(h, p, props_without(h, p->as.publish.props.raw, id));
}

#define WITHOUT(name, property)                              \
    static bool name(struct hop *h, const struct passing *p) \
    {                                                        \
        return without_property(h, p, MQTT_PROP_##property); \
    }

WITHOUT(no_payload_format, payload_format)
WITHOUT(no_content_type, content_type)
WITHOUT(no_response_topic, response_topic)
WITHOUT(no_correlation_data, correlation_data)
WITHOUT(no_user_property, user_property)
WITHOUT(no_subscription_id, subscription_id)
WITHOUT(no_message_expiry, message_expiry_s)

/* The last User Property first. */
static bool user_properties_turned(struct hop *h, const struct passing *p)
{
    struct mqtt_str raw = p->as.publish.props.raw, list = {NULL, 0};
    struct mqtt_property_view v;
    uint32_t at = 0;

    if (!is(p, FROM_SERVER, MQTT_PUBLISH) || h->version != MQTT_V5)
        return false;
    while (mqtt_props_next(raw, &at, &v))
        if (v.id == MQTT_PROP_user_property)
            list = props_with(h, v.encoded, list.len > 0 ? list : (struct mqtt_str){raw.p, 0});
    return message_changed(h, p,
                           props_with(h, props_without(h, raw, MQTT_PROP_user_property),
                                      list.len > 0 ? list : (struct mqtt_str){raw.p, 0}));
}

static bool expiry_stands_still(struct hop *h, const struct passing *p)
{
    return is(p, FROM_SERVER, MQTT_PUBLISH) && MQTT_HAS(&p->as.publish.props, message_expiry_s) &&
           message_changed(
               h, p,
               props_with(h, props_without(h, p->as.publish.props.raw, MQTT_PROP_message_expiry_s),
                          wire_compose(&h->arena, "02 0000001e")));
}

/* The publisher's interval does not reach the server. */
static bool never_expires(struct hop *h, const struct passing *p)
{
    return is(p, FROM_CLIENT, MQTT_PUBLISH) && h->version == MQTT_V5 &&
           message_changed(h, p,
                           props_without(h, p->as.publish.props.raw, MQTT_PROP_message_expiry_s));
}

static bool first_subscription_id_only(struct hop *h, const struct passing *p)
{
    const struct mqtt_props *props = &p->as.publish.props;
    struct mqtt_property_view v;
    uint32_t at = 0;

    if (!is(p, FROM_SERVER, MQTT_PUBLISH) || !MQTT_HAS(props, subscription_id))
        return false;
    while (mqtt_props_next(props->raw, &at, &v) && v.id != MQTT_PROP_subscription_id)
        ;
    return message_changed(
        h, p, props_with(h, props_without(h, props->raw, MQTT_PROP_subscription_id), v.encoded));
}

static bool qos_0_for_all(struct hop *h, const struct passing *p)
{
    struct mqtt_packet as = p->as;

    if (!is(p, FROM_SERVER, MQTT_PUBLISH) || p->as.publish.qos == 0)
        return false;
    props_set(&as.publish.props, p->as.publish.props.raw);
    as.publish.qos = 0;
    as.publish.packet_id = 0;
    as.publish.dup = false;
    return resend(h, FROM_SERVER, &as);
}

static bool topic_in_capitals(struct hop *h, const struct passing *p)
{
    size_t at = p->frame.header_len + 2u;

    return is(p, FROM_SERVER, MQTT_PUBLISH) && p->as.publish.topic.len > 0 &&
           send_changed(h, p, at, (uint8_t)toupper(p->bytes.p[at]));
}

static bool retain_always(struct hop *h, const struct passing *p)
{
    return is(p, FROM_SERVER, MQTT_PUBLISH) && send_changed(h, p, 0, p->bytes.p[0] | 1);
}

static bool retain_never(struct hop *h, const struct passing *p)
{
    return is(p, FROM_SERVER, MQTT_PUBLISH) && send_changed(h, p, 0, p->bytes.p[0] & 0xfe);
}

static bool nothing_retained(struct hop *h, const struct passing *p)
{
    return is(p, FROM_CLIENT, MQTT_PUBLISH) && p->as.publish.retain &&
           send_changed(h, p, 0, p->bytes.p[0] & 0xfe);
}

static bool all_retained(struct hop *h, const struct passing *p)
{
    return is(p, FROM_CLIENT, MQTT_PUBLISH) && send_changed(h, p, 0, p->bytes.p[0] | 1);
}

/* An empty retained message is not passed on: it removes nothing. */
static bool retained_for_ever(struct hop *h, const struct passing *p)
{
    if (!is(p, FROM_CLIENT, MQTT_PUBLISH) || !p->as.publish.retain || p->as.publish.payload.len > 0)
        return false;
    return send_changed(h, p, 0, p->bytes.p[0] & 0xfe);
}

static bool sends_twice(struct hop *h, const struct passing *p)
{
    if (is(p, FROM_SERVER, MQTT_PUBLISH) && p->as.publish.qos == 0)
        hop_send(h, FROM_SERVER, p->bytes);
    return false;
}

/* Every QoS 1 message is sent again at once. */
static bool sends_again(struct hop *h, const struct passing *p)
{
    if (!is(p, FROM_SERVER, MQTT_PUBLISH) || p->as.publish.qos == 0 || p->as.publish.dup)
        return false;
    hop_send(h, FROM_SERVER, p->bytes);
    return send_changed(h, p, 0, p->bytes.p[0] | 8);
}

/* Every fourth message of QoS 1 comes after the next. */
static bool out_of_order(struct hop *h, const struct passing *p)
{
    if (!is(p, FROM_SERVER, MQTT_PUBLISH) || p->as.publish.qos != 1)
        return false;
    if (h->kept_len > 0) {
        hop_send(h, FROM_SERVER, p->bytes);
        hop_send(h, FROM_SERVER, (struct mqtt_str){h->kept, h->kept_len});
        h->kept_len = 0;
        return true;
    }
    if (++h->count % 4 != 3 || p->bytes.len > sizeof h->kept)
        return false;
    memcpy(h->kept, p->bytes.p, p->bytes.len);
    h->kept_len = p->bytes.len;
    return true;
}

/* A QoS 2 message that is sent again is taken for another. */
static bool delivers_twice(struct hop *h, const struct passing *p)
{
    struct mqtt_packet as = p->as;

    if (!is(p, FROM_CLIENT, MQTT_PUBLISH) || p->as.publish.qos != 2 || !p->as.publish.dup)
        return false;
    props_set(&as.publish.props, p->as.publish.props.raw);
    as.publish.qos = 0;
    as.publish.dup = false;
    resend(h, FROM_CLIENT, &as);
    return send_bytes(h, FROM_SERVER,
                      arena_printf(&h->arena, "50 02 %04x", p->as.publish.packet_id));
}

static bool bom_is_lost(struct hop *h, const struct passing *p)
{
    struct mqtt_packet as = p->as;

    if (!is(p, FROM_SERVER, MQTT_PUBLISH) || p->as.publish.topic.len < 3 ||
        memcmp(p->as.publish.topic.p, "\xef\xbb\xbf", 3) != 0)
        return false;
    props_set(&as.publish.props, p->as.publish.props.raw);
    as.publish.topic = mqtt_str_part(p->as.publish.topic, 3, p->as.publish.topic.len - 3);
    return resend(h, FROM_SERVER, &as);
}

/* ---- subscriptions: the server behind is told something else ---- */

static bool options_changed(struct hop *h, const struct passing *p, uint8_t clear)
{
    struct mqtt_packet as = p->as;
    uint8_t *out = arena_alloc(&h->arena, p->bytes.len), options;
    struct mqtt_str filter;
    uint32_t at = 0;
    size_t n = 0;

    if (!is(p, FROM_CLIENT, MQTT_SUBSCRIBE))
        return false;
    while (mqtt_filters_next(&p->as.subscribe, false, &at, &filter, &options))
        n +=
            mqtt_encode_filter(filter, false, options & (uint8_t)~clear, out + n, p->bytes.len - n);
    as.subscribe.filters = (struct mqtt_str){out, (uint32_t)n};
    props_set(&as.subscribe.props, p->as.subscribe.props.raw);
    return resend(h, FROM_CLIENT, &as);
}

static bool local_too(struct hop *h, const struct passing *p)
{
    return options_changed(h, p, MQTT_SUB_NO_LOCAL);
}

static bool not_as_published(struct hop *h, const struct passing *p)
{
    return options_changed(h, p, MQTT_SUB_RETAIN_AS_PUBLISHED);
}

static bool retained_each_time(struct hop *h, const struct passing *p)
{
    return options_changed(h, p, 0x30);
}

/* The topics and filters of the client's packet after a change of each byte. */
static bool names_changed(struct hop *h, const struct passing *p, uint8_t (*change)(uint8_t byte))
{
    struct mqtt_str bytes = copy(h, p->bytes);
    uint8_t *b = (uint8_t *)(uintptr_t)bytes.p;
    struct mqtt_str name = p->as.publish.topic;
    uint32_t at = 0;
    uint8_t options;

    if (is(p, FROM_CLIENT, MQTT_PUBLISH)) {
        for (uint32_t i = 0; i < name.len; i++)
            b[name.p - p->bytes.p + i] = change(name.p[i]);
    } else if (is(p, FROM_CLIENT, MQTT_SUBSCRIBE)) {
        while (mqtt_filters_next(&p->as.subscribe, false, &at, &name, &options))
            for (uint32_t i = 0; i < name.len; i++)
                b[name.p - p->bytes.p + i] = change(name.p[i]);
    } else {
        return false;
    }
    hop_send(h, FROM_CLIENT, bytes);
    return true;
}

static uint8_t lower(uint8_t byte)
{
    return (uint8_t)tolower(byte);
}

static bool any_case(struct hop *h, const struct passing *p)
{
    return names_changed(h, p, lower);
}

static uint8_t no_dollar(uint8_t byte)
{
    return byte == '$' ? '!' : byte;
}

static bool dollar_is_nothing(struct hop *h, const struct passing *p)
{
    size_t at = p->frame.header_len + 2u;

    if (is(p, FROM_SERVER, MQTT_PUBLISH) && p->as.publish.topic.len > 0 && p->bytes.p[at] == '!')
        return send_changed(h, p, at, '$');
    return names_changed(h, p, no_dollar);
}

/* Members of a shared subscription are subscribers like others. */
static bool share_with_all(struct hop *h, const struct passing *p)
{
    struct mqtt_packet as = p->as;
    uint8_t *out = arena_alloc(&h->arena, p->bytes.len), options;
    struct mqtt_str filter;
    uint32_t at = 0;

    if (!is(p, FROM_CLIENT, MQTT_SUBSCRIBE) ||
        !mqtt_filters_next(&p->as.subscribe, false, &at, &filter, &options) || filter.len < 9 ||
        memcmp(filter.p, "$share/g/", 9) != 0)
        return false;
    filter = mqtt_str_part(filter, 9, filter.len - 9);
    as.subscribe.filters = (struct mqtt_str){
        out, (uint32_t)mqtt_encode_filter(filter, false, options, out, p->bytes.len)};
    props_set(&as.subscribe.props, p->as.subscribe.props.raw);
    return resend(h, FROM_CLIENT, &as);
}

static bool never_unsubscribes(struct hop *h, const struct passing *p)
{
    if (!is(p, FROM_CLIENT, MQTT_UNSUBSCRIBE))
        return false;
    return send_bytes(h, FROM_SERVER,
                      arena_printf(&h->arena,
                                   h->version == MQTT_V5 ? "b0 # %04x () 00" : "b0 02 %04x",
                                   p->as.subscribe.packet_id));
}

/* clang-format off */
static const struct rule rules[] = {
    MQTT("no_payload_format",       no_payload_format,      "MQTT-3.3.2-4",   "5.0"),
    MQTT("no_content_type",         no_content_type,        "MQTT-3.3.2-20",  "5.0"),
    MQTT("no_response_topic",       no_response_topic,      "MQTT-3.3.2-15",  "5.0"),
    MQTT("no_correlation_data",     no_correlation_data,    "MQTT-3.3.2-16",  "5.0"),
    MQTT("no_user_property",        no_user_property,       "MQTT-3.3.2-17",  "5.0"),
    MQTT("user_properties_turned",  user_properties_turned, "MQTT-3.3.2-18",  "5.0"),
    MQTT("no_message_expiry",       no_message_expiry,      "MQTT-3.3.2-6",   "5.0"),
    MQTT("expiry_stands_still",     expiry_stands_still,    "MQTT-3.3.2-6",   "5.0"),
    MQTT("never_expires",           never_expires,          "MQTT-3.3.2-5",   "5.0"),
    MQTT("no_subscription_id",      no_subscription_id,     "MQTT-3.3.4-3",   "5.0"),
    MQTT("first_subscription_id",   first_subscription_id_only, "MQTT-3.3.4-3", "5.0"),
    MQTT("qos_0_for_all",           qos_0_for_all,          "MQTT-3.8.4-8",   "5.0"),
    MQTT("qos_0_for_all_3",         qos_0_for_all,          "MQTT-3.8.4-6",   "3.1.1"),
    MQTT("topic_in_capitals",       topic_in_capitals,      "MQTT-3.3.2-3",   "3.1.1"),
    MQTT("retain_always",           retain_always,          "MQTT-3.3.1-12",  "5.0"),
    MQTT("retain_always_3",         retain_always,          "MQTT-3.3.1-9",   "3.1.1"),
    MQTT("retain_never",            retain_never,           "MQTT-3.3.1-8",   "3.1.1"),
    MQTT("nothing_retained",        nothing_retained,       "MQTT-3.3.1-5",   "5.0"),
    MQTT("all_retained",            all_retained,           "MQTT-3.3.1-8",   "5.0"),
    MQTT("retained_for_ever",       retained_for_ever,      "MQTT-3.3.1-6",   "5.0"),
    MQTT("sends_twice",             sends_twice,            "MQTT-3.8.4-3",   "5.0"),
    MQTT("sends_again",             sends_again,            "MQTT-4.4.0-1",   "5.0"),
    MQTT("out_of_order",            out_of_order,           "MQTT-4.6.0-5",   "5.0"),
    MQTT("delivers_twice",          delivers_twice,         "MQTT-4.3.3-10",  "5.0"),
    MQTT("bom_is_lost",             bom_is_lost,            "MQTT-1.5.4-3",   "5.0"),
    MQTT("local_too",               local_too,              "MQTT-3.8.3-3",   "5.0"),
    MQTT("not_as_published",        not_as_published,       "MQTT-3.3.1-13",  "5.0"),
    MQTT("retained_each_time",      retained_each_time,     "MQTT-3.3.1-10",  "5.0"),
    MQTT("any_case",                any_case,               "MQTT-4.7.3-4",   "5.0"),
    MQTT("dollar_is_nothing",       dollar_is_nothing,      "MQTT-4.7.2-1",   "3.1.1"),
    MQTT("share_with_all",          share_with_all,         "MQTT-4.8.2-5",   "5.0"),
    MQTT("never_unsubscribes",      never_unsubscribes,     "MQTT-3.10.4-2",  "5.0"),
};
/* clang-format on */

const struct rule_set wrong_messages = {rules, ARRAY_LEN(rules)};

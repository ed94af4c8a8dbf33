/* wrong_answers: wrong acknowledgements and DISCONNECTs; errors of clients that are overlooked. */
#include "conformance/tests/wrong_rules.h"

/* ---- errors of clients are overlooked ---- */

static bool overlooks_errors(struct hop *h, const struct passing *p)
{
    return p->side == FROM_CLIENT && p->rc != 0 && h->connacks > 0;
}

static bool overlooks_auth(struct hop *h, const struct passing *p)
{
    return p->side == FROM_CLIENT && p->bytes.p[0] >> 4 == MQTT_AUTH && h->connacks > 0;
}

static bool overlooks_size(struct hop *h, const struct passing *p)
{
    (void)h;
    return p->side == FROM_CLIENT && p->bytes.len > 2097152;
}

/* ---- answers ---- */

static bool swallows(const struct passing *p, unsigned type)
{
    return is(p, FROM_SERVER, type);
}

#define SWALLOWS(name, type)                                 \
    static bool name(struct hop *h, const struct passing *p) \
    {                                                        \
        (void)h;                                             \
        return swallows(p, (type));                          \
    }

SWALLOWS(no_puback, MQTT_PUBACK)
SWALLOWS(no_pubrec, MQTT_PUBREC)
SWALLOWS(no_pubrel, MQTT_PUBREL)
SWALLOWS(no_pubcomp, MQTT_PUBCOMP)
SWALLOWS(no_suback, MQTT_SUBACK)
SWALLOWS(no_unsuback, MQTT_UNSUBACK)
SWALLOWS(no_pingresp, MQTT_PINGRESP)

/* An acknowledgement with this code. */
static bool ack_reason(struct hop *h, const struct passing *p, unsigned type, uint8_t reason)
{
    struct mqtt_packet as = p->as;

    if (!is(p, FROM_SERVER, type) || h->version != MQTT_V5)
        return false;
    as.ack.reason = reason;
    return resend(h, FROM_SERVER, &as);
}

static bool puback_reason(struct hop *h, const struct passing *p)
{
    return ack_reason(h, p, MQTT_PUBACK, 0x01);
}

static bool pubrec_reason(struct hop *h, const struct passing *p)
{
    return ack_reason(h, p, MQTT_PUBREC, 0x92);
}

static bool pubrel_reason(struct hop *h, const struct passing *p)
{
    return ack_reason(h, p, MQTT_PUBREL, 0x10);
}

static bool pubcomp_reason(struct hop *h, const struct passing *p)
{
    return ack_reason(h, p, MQTT_PUBCOMP, 0x10);
}

static bool codes(struct hop *h, const struct passing *p, unsigned type, struct mqtt_str reasons)
{
    struct mqtt_packet as = p->as;

    if (!is(p, FROM_SERVER, type))
        return false;
    as.suback.reasons = reasons;
    props_set(&as.suback.props, p->as.suback.props.raw);
    return resend(h, FROM_SERVER, &as);
}

static struct mqtt_str reversed(struct hop *h, struct mqtt_str s)
{
    struct mqtt_str out = copy(h, s);

    for (uint32_t i = 0; i < s.len; i++)
        ((uint8_t *)(uintptr_t)out.p)[i] = s.p[s.len - 1 - i];
    return out;
}

static bool suback_reason(struct hop *h, const struct passing *p)
{
    return codes(h, p, MQTT_SUBACK, MQTT_STR("\x03"));
}

static bool unsuback_reason(struct hop *h, const struct passing *p)
{
    return codes(h, p, MQTT_UNSUBACK, MQTT_STR("\x01"));
}

static bool suback_reversed(struct hop *h, const struct passing *p)
{
    return is(p, FROM_SERVER, MQTT_SUBACK) &&
           codes(h, p, MQTT_SUBACK, reversed(h, p->as.suback.reasons));
}

/* The first filter's code comes last. */
static bool unsuback_turned(struct hop *h, const struct passing *p)
{
    struct mqtt_str r, out;

    if (!is(p, FROM_SERVER, MQTT_UNSUBACK) || p->as.suback.reasons.len < 2)
        return false;
    r = p->as.suback.reasons;
    out = copy(h, r);
    memcpy((uint8_t *)(uintptr_t)out.p, r.p + 1, r.len - 1);
    ((uint8_t *)(uintptr_t)out.p)[r.len - 1] = r.p[0];
    return codes(h, p, MQTT_UNSUBACK, out);
}

static bool suback_short(struct hop *h, const struct passing *p)
{
    return is(p, FROM_SERVER, MQTT_SUBACK) && p->as.suback.reasons.len > 1 &&
           codes(h, p, MQTT_SUBACK,
                 mqtt_str_part(p->as.suback.reasons, 0, p->as.suback.reasons.len - 1));
}

static bool suback_generous(struct hop *h, const struct passing *p)
{
    struct mqtt_str out;

    if (!is(p, FROM_SERVER, MQTT_SUBACK))
        return false;
    out = copy(h, p->as.suback.reasons);
    memset((uint8_t *)(uintptr_t)out.p, 2, out.len);
    return codes(h, p, MQTT_SUBACK, out);
}

/* Words for a client that wants none. */
static bool words_unwanted(struct hop *h, const struct passing *p)
{
    struct mqtt_packet as = p->as;

    if (!is(p, FROM_SERVER, MQTT_UNSUBACK) || h->version != MQTT_V5)
        return false;
    props_set(&as.suback.props,
              props_with(h, p->as.suback.props.raw, wire_compose(&h->arena, "1f <because>")));
    return resend(h, FROM_SERVER, &as);
}

/* ---- DISCONNECT ---- */

static bool disconnect_with_expiry(struct hop *h, const struct passing *p)
{
    return is(p, FROM_SERVER, MQTT_DISCONNECT) &&
           send_bytes(h, FROM_SERVER, "e0 # 82 (11 00000001)");
}

static bool disconnect_of_client(struct hop *h, const struct passing *p)
{
    return is(p, FROM_SERVER, MQTT_DISCONNECT) && send_bytes(h, FROM_SERVER, "e0 01 04");
}

static bool talks_after_disconnect(struct hop *h, const struct passing *p)
{
    if (!is(p, FROM_SERVER, MQTT_DISCONNECT))
        return false;
    hop_send(h, FROM_SERVER, p->bytes);
    return send_bytes(h, FROM_SERVER, "d0 00");
}

static bool will_after_disconnect(struct hop *h, const struct passing *p)
{
    return is(p, FROM_CLIENT, MQTT_DISCONNECT) && p->as.reasoned.reason == 0 &&
           h->version == MQTT_V5 && send_bytes(h, FROM_CLIENT, "e0 01 04");
}

/* ---- takeover ---- */

static bool hides_takeover(struct hop *h, const struct passing *p)
{
    (void)h;
    return is(p, FROM_SERVER, MQTT_DISCONNECT) &&
           p->as.reasoned.reason == MQTT_RC_SESSION_TAKEN_OVER;
}

/* clang-format off */
static const struct rule rules[] = {
    CASE("overlooks_empty_subscribe", overlooks_errors,     "MQTT-3.8.3-2",   "5.0", "subscribe_nothing"),
    CASE("overlooks_utf8",          overlooks_errors,       "MQTT-3.3.2-1",   "5.0", "topic_utf8"),
    CASE("overlooks_types",         overlooks_errors,       "MQTT-4.13.1-1",  "5.0", "packets_of_servers"),
    CASE("overlooks_options",       overlooks_errors,       "MQTT-3.8.3-4",   "3.1.1", "subscribe_options"),
    CASE("overlooks_qos_3",         overlooks_errors,       "MQTT-3.3.1-4",   "3.1.1", "qos_3"),
    MQTT("overlooks_auth",          overlooks_auth,         "MQTT-4.12.0-7",  "5.0"),
    MQTT("overlooks_size",          overlooks_size,         "MQTT-3.2.2-15",  "5.0"),
    MQTT("no_puback",               no_puback,              "MQTT-4.3.2-4",   "5.0"),
    MQTT("no_pubrec",               no_pubrec,              "MQTT-4.3.3-8",   "5.0"),
    MQTT("no_pubrel",               no_pubrel,              "MQTT-4.3.3-4",   "5.0"),
    MQTT("no_pubcomp",              no_pubcomp,             "MQTT-4.3.3-11",  "5.0"),
    MQTT("no_suback",               no_suback,              "MQTT-3.8.4-1",   "5.0"),
    MQTT("no_unsuback",             no_unsuback,            "MQTT-3.10.4-4",  "5.0"),
    MQTT("no_pingresp",             no_pingresp,            "MQTT-3.12.4-1",  "3.1.1"),
    CASE("puback_reason",           puback_reason,          "MQTT-3.4.2-1",   "5.0", "publish_answers"),
    CASE("pubrec_reason",           pubrec_reason,          "MQTT-3.5.2-1",   "5.0", "publish_answers"),
    MQTT("pubrel_reason",           pubrel_reason,          "MQTT-3.6.2-1",   "5.0"),
    MQTT("pubcomp_reason",          pubcomp_reason,         "MQTT-3.7.2-1",   "5.0"),
    CASE("suback_reason",           suback_reason,          "MQTT-3.9.3-2",   "5.0", "subscribe_answered"),
    CASE("suback_reason_3",         suback_reason,          "MQTT-3.9.3-2",   "3.1.1", "subscribe_answered"),
    CASE("unsuback_reason",         unsuback_reason,        "MQTT-3.11.3-2",  "5.0", "unsubscribe_answered"),
    MQTT("suback_reversed",         suback_reversed,        "MQTT-3.9.3-1",   "5.0"),
    MQTT("unsuback_turned",         unsuback_turned,        "MQTT-3.11.3-1",  "5.0"),
    MQTT("suback_short",            suback_short,           "MQTT-3.8.4-6",   "5.0"),
    MQTT("suback_generous",         suback_generous,        "MQTT-3.8.4-7",   "5.0"),
    MQTT("words_unwanted",          words_unwanted,         "MQTT-3.1.2-29",  "5.0"),
    CASE("disconnect_with_expiry",  disconnect_with_expiry, "MQTT-3.14.2-2",  "5.0", "disconnect_of_server"),
    CASE("disconnect_of_client",    disconnect_of_client,   "MQTT-3.14.2-1",  "5.0", "disconnect_of_server"),
    MQTT("talks_after_disconnect",  talks_after_disconnect, "MQTT-3.14.4-1",  "5.0"),
    MQTT("will_after_disconnect",   will_after_disconnect,  "MQTT-3.14.4-3",  "5.0"),
    OPEN("stays_after_disconnect",  passes_all,             "MQTT-3.14.4-2",  "5.0"),
    OPEN("hides_takeover",          hides_takeover,         "MQTT-3.1.4-3",   "5.0"),
};
/* clang-format on */

const struct rule_set wrong_answers = {rules, ARRAY_LEN(rules)};

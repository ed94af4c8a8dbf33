/* wrong_auth: enhanced authentication in front of a broker that has none: the method "test", which
 * wants "one" in CONNECT and "two" in AUTH. Right, and wrong in several ways.       [v5 4.12] */
#include "conformance/tests/wrong_rules.h"

enum {
    ASKS_WITH_0 = 1, /* AUTH that asks for more has the reason 0x00 */
    ASKS_WITH_19 = 2,
    ANY_DATA = 4,
    ANY_REASON = 8,
    ANY_METHOD = 16,
    OTHER_METHOD = 32, /* in CONNACK */
    TAKES_PUBLISH = 64,
    AGAIN_ANY_METHOD = 128,
    AGAIN_ANY_DATA = 256,
    LONG_WORDS = 512,
};

enum { PLAIN, ASKED, PASSED, UP, ASKED_AGAIN }; /* hop.count */

static bool is_text(struct mqtt_str s, const char *text)
{
    return s.len == strlen(text) && memcmp(s.p, text, s.len) == 0;
}

static void tell(struct hop *h, const char *notation)
{
    hop_send(h, FROM_SERVER, wire_compose(&h->arena, "%s", notation));
}

static bool refuse(struct hop *h, const char *notation)
{
    tell(h, notation);
    hop_end(h);
    return true;
}

static bool ask(struct hop *h, unsigned wrong, uint32_t limit)
{
    bool words = limit > 60 || (wrong & LONG_WORDS) != 0;

    hop_send(h, FROM_SERVER,
             wire_compose(&h->arena, "f0 # %02x (15 <test> 16 <more> %s)",
                          (wrong & ASKS_WITH_0) != 0    ? 0u
                          : (wrong & ASKS_WITH_19) != 0 ? 0x19u
                                                        : 0x18u,
                          words ? "1f <give me the second half> 26 <step> <one>" : ""));
    return true;
}

/* Keep the CONNECT, without what is of authentication in it. */
static void keep_connect(struct hop *h, const struct passing *p)
{
    struct mqtt_packet as = p->as;
    struct mqtt_str raw = props_without(h, p->as.connect.props.raw, MQTT_PROP_auth_method);

    props_set(&as.connect.props, props_without(h, raw, MQTT_PROP_auth_data));
    if (as.connect.has_will)
        props_set(&as.connect.will.props, p->as.connect.will.props.raw);
    h->kept_len = (uint32_t)mqtt_encode(&as, MQTT_V5, h->kept, sizeof h->kept);
    ASSERT(h->kept_len > 0);
}

static bool on_connect(struct hop *h, const struct passing *p, unsigned wrong)
{
    const struct mqtt_props *props = &p->as.connect.props;

    if (!MQTT_HAS(props, auth_method) || !is_text(props->auth_method, "test"))
        return false;
    if (!is_text(props->auth_data, "one") && (wrong & ANY_DATA) == 0)
        return refuse(h, "20 # 00 87 ()");
    keep_connect(h, p);
    h->count = ASKED;
    return ask(h, wrong,
               MQTT_HAS(props, maximum_packet_size) ? props->maximum_packet_size : UINT32_MAX);
}

static bool good_answer(const struct passing *p, unsigned any_reason, unsigned any_method,
                        unsigned any_data)
{
    const struct mqtt_reasoned *a = &p->as.reasoned;

    return p->rc == 0 && p->as.type == MQTT_AUTH &&
           (a->reason == MQTT_RC_CONTINUE_AUTHENTICATION || any_reason != 0) &&
           (is_text(a->props.auth_method, "test") || any_method != 0) &&
           ((MQTT_HAS(&a->props, auth_data) && is_text(a->props.auth_data, "two")) ||
            any_data != 0);
}

static bool on_answer(struct hop *h, const struct passing *p, unsigned wrong)
{
    bool publish = p->rc == 0 && p->as.type == MQTT_PUBLISH;

    if (!good_answer(p, wrong & ANY_REASON, wrong & ANY_METHOD, wrong & ANY_DATA) &&
        !(publish && (wrong & TAKES_PUBLISH) != 0))
        return refuse(h, "20 # 00 87 ()");
    hop_send(h, FROM_CLIENT, (struct mqtt_str){h->kept, h->kept_len});
    if (publish)
        hop_send(h, FROM_CLIENT, p->bytes);
    h->count = PASSED;
    return true;
}

static bool on_connack(struct hop *h, const struct passing *p, unsigned wrong)
{
    struct mqtt_packet as = p->as;
    const char *method = (wrong & OTHER_METHOD) != 0 ? "15 <another>" : "15 <test>";

    props_set(&as.connack.props,
              props_with(h, p->as.connack.props.raw, wire_compose(&h->arena, "%s", method)));
    h->count = UP;
    hop_send_packet(h, FROM_SERVER, &as);
    return true;
}

static bool on_again(struct hop *h, const struct passing *p, unsigned wrong)
{
    const struct mqtt_props *props = &p->as.reasoned.props;

    if (p->rc != 0 || !MQTT_HAS(props, auth_method) ||
        (!is_text(props->auth_method, "test") && (wrong & AGAIN_ANY_METHOD) == 0))
        return refuse(h, "e0 01 8c");
    if (!is_text(props->auth_data, "one") && (wrong & AGAIN_ANY_DATA) == 0)
        return refuse(h, "e0 01 87");
    h->count = ASKED_AGAIN;
    return ask(h, 0, UINT32_MAX);
}

static bool on_second_answer(struct hop *h, const struct passing *p, unsigned wrong)
{
    if (!good_answer(p, 0, 0, wrong & AGAIN_ANY_DATA))
        return refuse(h, "e0 01 87");
    h->count = UP;
    tell(h, "f0 # 00 (15 <test>)");
    return true;
}

static bool gate(struct hop *h, const struct passing *p, unsigned wrong)
{
    bool of_client = p->side == FROM_CLIENT;
    bool auth = p->bytes.p[0] >> 4 == MQTT_AUTH;

    switch (h->count) {
    case PLAIN:
        return of_client && p->rc == 0 && p->as.type == MQTT_CONNECT && on_connect(h, p, wrong);
    case ASKED: return of_client && on_answer(h, p, wrong);
    case PASSED:
        return !of_client && p->rc == 0 && p->as.type == MQTT_CONNACK && on_connack(h, p, wrong);
    case UP: return of_client && auth && on_again(h, p, wrong);
    case ASKED_AGAIN: return of_client && auth && on_second_answer(h, p, wrong);
    default: return false;
    }
}

#define GATE(name, wrong)                                    \
    static bool name(struct hop *h, const struct passing *p) \
    {                                                        \
        return gate(h, p, (wrong));                          \
    }

GATE(auth_right, 0)
GATE(auth_asks_with_0, ASKS_WITH_0)
GATE(auth_asks_with_19, ASKS_WITH_19)
GATE(auth_any_data, ANY_DATA)
GATE(auth_any_reason, ANY_REASON)
GATE(auth_any_method, ANY_METHOD)
GATE(auth_other_method, OTHER_METHOD)
GATE(auth_takes_publish, TAKES_PUBLISH)
GATE(auth_again_any_method, AGAIN_ANY_METHOD)
GATE(auth_again_any_data, AGAIN_ANY_DATA)
GATE(auth_long_words, LONG_WORDS)

/* clang-format off */
static const struct rule rules[] = {
    CASE("auth_right",              auth_right,             "-",              "5.0", "auth_*"),
    MQTT("auth_asks_with_0",        auth_asks_with_0,       "MQTT-4.12.0-2",  "5.0"),
    CASE("auth_asks_with_19",       auth_asks_with_19,      "MQTT-3.15.2-1",  "5.0", "auth_exchange"),
    MQTT("auth_any_data",           auth_any_data,          "MQTT-4.12.0-4",  "5.0"),
    MQTT("auth_any_reason",         auth_any_reason,        "MQTT-4.12.0-3",  "5.0"),
    CASE("auth_any_method",         auth_any_method,        "MQTT-4.12.0-5",  "5.0", "auth_wrong_method"),
    CASE("auth_other_method",       auth_other_method,      "MQTT-4.12.0-5",  "5.0", "auth_exchange"),
    MQTT("auth_takes_publish",      auth_takes_publish,     "MQTT-3.1.2-30",  "5.0"),
    MQTT("auth_again_any_method",   auth_again_any_method,  "MQTT-4.12.1-1",  "5.0"),
    MQTT("auth_again_any_data",     auth_again_any_data,    "MQTT-4.12.1-2",  "5.0"),
    MQTT("auth_long_words",         auth_long_words,        "MQTT-3.15.2-2",  "5.0"),
};
/* clang-format on */

const struct rule_set wrong_auth = {rules, ARRAY_LEN(rules)};

/* monitor: a rule is a row of a table; the functions below say when it is seen and when broken. */
#include "conformance/monitor.h"

#include "conformance/client.h"
#include "mqtt/topic.h"
#include "mqtt/utf8.h"

#include <stdio.h>

/* clang-format off */
/*    name                 5.0                    3.1.1                  3.1          what it says */
#define RULES(X)                                                                                                          \
    X(VARINT,              "1.5.5-1",             "",                  "",        "a Variable Byte Integer is longer than needed or than four bytes") \
    X(FLAGS,               "2.1.3-1",             "2.2.2-1",             "V31-2.1-1", "the reserved flags of the fixed header are wrong") \
    X(PUBREL_FLAGS,        "3.6.1-1",             "3.6.1-1",             "V31-2.1-1", "the flags of PUBREL are not 0010") \
    X(ID_NOT_ZERO,         "2.2.1-4",             "2.3.1-1 2.3.1-4",     "V31-2.4-1", "a packet identifier is 0") \
    X(ID_FREE_1,           "2.2.1-4 4.3.2-1",     "2.3.1-4 4.3.2-1",     "V31-2.4-1", "a new QoS 1 message uses a packet identifier that is in use") \
    X(ID_FREE_2,           "2.2.1-4 4.3.3-1",     "2.3.1-4 4.3.3-1",     "V31-2.4-1", "a new QoS 2 message uses a packet identifier that is in use") \
    X(FIRST_DUP_1,         "4.3.2-2",             "4.3.2-1",             "V31-4.1-1", "DUP is set on the first transmission of a QoS 1 message") \
    X(FIRST_DUP_2,         "4.3.3-2",             "4.3.3-1",             "V31-4.1-2", "DUP is set on the first transmission of a QoS 2 message") \
    X(NO_RESEND,           "4.4.0-1",             "",                  "",        "a message is sent again on a connection that is alive") \
    X(DUP_QOS_0,           "3.3.1-2 4.3.1-1",     "3.3.1-2 4.3.1-1",     "",        "DUP is set at QoS 0") \
    X(QOS_3,               "3.3.1-4",             "3.3.1-4",             "",        "both QoS bits are set") \
    X(QUOTA,               "3.3.4-9 4.9.0-1 4.9.0-2", "",              "",        "more QoS 1 and 2 messages are under way than the client's Receive Maximum") \
    X(MAX_SIZE,            "3.1.2-24",            "",                  "",        "a packet is larger than the client's Maximum Packet Size") \
    X(ALIAS_ZERO,          "3.3.2-8",             "",                  "",        "a Topic Alias is 0") \
    X(ALIAS_MAXIMUM,       "3.1.2-26 3.3.2-11",   "",                  "",        "a Topic Alias is above the client's Topic Alias Maximum") \
    X(NO_ALIAS,            "3.1.2-27",            "",                  "",        "a Topic Alias is used that the client does not take") \
    X(ALIAS_KNOWN,         "3.3.2-7",             "",                  "",        "a Topic Alias is used that was not set on this connection") \
    X(CONNACK_FIRST,       "3.2.0-1",             "3.2.0-1",             "V31-3.2-1", "something else comes before CONNACK") \
    X(ONE_CONNACK,         "3.2.0-2",             "3.1.0-2",             "",        "a second CONNACK") \
    X(CONNACK_FLAGS,       "3.2.2-1",             "3.2.2-1",             "",        "reserved bits of the CONNACK flags are set") \
    X(REFUSAL_NOT_PRESENT, "3.2.2-6",             "3.2.2-4",             "",        "Session Present is set in a CONNACK that refuses") \
    X(CONNACK_REASON,      "3.2.2-8",             "3.2.2-6",             "V31-3.2-2", "the code is none of CONNACK") \
    X(RESPONSE_INFO,       "3.1.2-28",            "",                  "",        "Response Information that was not asked for") \
    X(AUTH_UNASKED,        "4.12.0-6",            "",                  "",        "authentication without an Authentication Method in CONNECT") \
    X(PROBLEM_INFO,        "3.1.2-29",            "",                  "",        "a Reason String or User Property with Request Problem Information 0") \
    X(PUBACK_REASON,       "3.4.2-1",             "",                  "",        "the code is none of PUBACK") \
    X(PUBREC_REASON,       "3.5.2-1",             "",                  "",        "the code is none of PUBREC") \
    X(PUBREL_REASON,       "3.6.2-1",             "",                  "",        "the code is none of PUBREL") \
    X(PUBCOMP_REASON,      "3.7.2-1",             "",                  "",        "the code is none of PUBCOMP") \
    X(SUBACK_REASON,       "3.9.3-2",             "3.9.3-2",             "V31-3.9-1", "the code is none of SUBACK") \
    X(UNSUBACK_REASON,     "3.11.3-2",            "",                  "",        "the code is none of UNSUBACK") \
    X(DISCONNECT_REASON,   "3.14.2-1",            "",                  "",        "the code is none that a server may send in DISCONNECT") \
    X(AUTH_REASON,         "3.15.2-1",            "",                  "",        "the code is none that a server may send in AUTH") \
    X(DISCONNECT_EXPIRY,   "3.14.2-2",            "",                  "",        "Session Expiry Interval in a DISCONNECT of the server") \
    X(AFTER_DISCONNECT,    "3.14.4-1",            "",                  "",        "a packet after the server's DISCONNECT") \
    X(DISCONNECT_EARLY,    "3.14.0-1",            "",                  "",        "DISCONNECT before a CONNACK with success") \
    X(UTF8,                "1.5.4-1",             "1.5.3-1",             "",        "a text is not UTF-8") \
    X(NUL,                 "1.5.4-2",             "1.5.3-2",             "",        "a text has U+0000") \
    X(TOPIC_WILDCARD,      "3.3.2-2 4.7.0-1",     "3.3.2-2 4.7.1-1",     "",        "the topic name of a PUBLISH has a wildcard") \
    X(TOPIC_EMPTY,         "4.7.3-1",             "4.7.3-1",             "",        "the topic name of a PUBLISH is empty") \
    X(PROPS_LENGTH,        "2.2.2-1",             "",                  "",        "there is no Property Length") \
    X(ACK_ID,              "2.2.1-5",             "2.3.1-6",             "V31-2.4-1", "an acknowledgement of a packet identifier that was not published") \
    X(SUBACK_ID,           "2.2.1-6 3.8.4-2",     "2.3.1-7 3.8.4-2",     "V31-2.4-1", "a SUBACK with a packet identifier of no SUBSCRIBE") \
    X(UNSUBACK_ID,         "2.2.1-6 3.10.4-5",    "2.3.1-7 3.10.4-4",    "V31-2.4-1", "an UNSUBACK with a packet identifier of no UNSUBSCRIBE") \
    X(WS_UNMASKED,         "WS-FR-02",            "WS-FR-02",            "WS-FR-02",  "a frame from the server is masked") \
    X(WS_RSV,              "WS-FR-12",            "WS-FR-12",            "WS-FR-12",  "a reserved bit is set that no extension uses") \
    X(WS_LENGTH,           "WS-FR-06",            "WS-FR-06",            "WS-FR-06",  "a payload length is not in its shortest form") \
    X(WS_DATA_BINARY,      "6.0.0-1",             "6.0.0-1",             "WS-FR-13",  "a data frame that is not binary") \
    X(WS_FRAGMENTS,        "WS-FG-05",            "WS-FG-05",            "WS-FG-05",  "fragments of a message are out of order") \
    X(WS_CONTROL,          "WS-CT-14",            "WS-CT-14",            "WS-CT-14",  "a control frame is fragmented or has more than 125 bytes") \
    X(WS_CLOSE_CODE,       "WS-CT-09",            "WS-CT-09",            "WS-CT-09",  "a Close code that must not be sent") \
    X(WS_AFTER_CLOSE,      "WS-CT-07",            "WS-CT-07",            "WS-CT-07",  "a frame after Close") \
    X(WS_CONTROL_PLAIN,    "PD-14",               "PD-14",               "PD-14",     "a control frame with RSV1")
/* clang-format on */

enum rule {
#define X(name, ...) name,
    RULES(X)
#undef X
        RULE_COUNT
};

static const struct {
    const char *v5, *v311, *v31, *text;
} rules[] = {
#define X(name, ...) [name] = {__VA_ARGS__},
    RULES(X)
#undef X
};

#define V5(name, v5, v311, v31, text)   v5 " "
#define V311(name, v5, v311, v31, text) v311 " "
#define V31(name, v5, v311, v31, text)  v31 " "
const struct test_case monitor_case = {
    .name = "every_packet", .v5 = RULES(V5), .v311 = RULES(V311), .v31 = RULES(V31)};

static const char *listed(int version, unsigned rule)
{
    return version == MQTT_V5     ? rules[rule].v5
           : version == MQTT_V311 ? rules[rule].v311
                                  : rules[rule].v31;
}

const char *monitor_statements(struct scene *s, uint64_t set)
{
    const char *list = "";

    for (unsigned i = 0; i < RULE_COUNT; i++)
        if ((set >> i & 1) != 0)
            list = arena_printf(&s->arena, "%s%s ", list, listed(s->version, i));
    return list;
}

static bool check(struct client *c, enum rule rule, bool holds)
{
    struct scene *s = c->scene;
    uint64_t bit = UINT64_C(1) << rule;

    if (listed(s->version, rule)[0] == '\0')
        return holds;
    s->seen |= bit;
    if (!holds && (s->broken & bit) == 0) {
        s->broken |= bit;
        scene_violation(s, listed(s->version, rule), "%s: %s", c->name, rules[rule].text);
    }
    return holds;
}

/* ---- sets of packet identifiers ---- */

static bool get(const uint8_t *set, uint16_t id)
{
    return (set[id / 8] >> (id % 8) & 1) != 0;
}

static void put(uint8_t *set, uint16_t id, bool in)
{
    if (in)
        set[id / 8] |= (uint8_t)(1u << (id % 8));
    else
        set[id / 8] &= (uint8_t) ~(1u << (id % 8));
}

/* ---- what the client sends ---- */

static void sent_connect(struct monitor *m, const struct mqtt_connect *c)
{
    const struct mqtt_props *p = &c->props;

    m->second_connect = m->connect_sent;
    m->connect_sent = true;
    m->named = c->client_id.len > 0;
    if (c->version != MQTT_V5 || m->second_connect)
        return;
    if (MQTT_HAS(p, receive_maximum))
        m->receive_maximum = p->receive_maximum;
    if (MQTT_HAS(p, topic_alias_maximum))
        m->alias_maximum = p->topic_alias_maximum;
    if (MQTT_HAS(p, maximum_packet_size))
        m->maximum_packet_size = p->maximum_packet_size;
    m->no_problem_info = MQTT_HAS(p, request_problem_info) && p->request_problem_info == 0;
    m->wants_response_info = MQTT_HAS(p, request_response_info) && p->request_response_info != 0;
    m->has_auth_method = MQTT_HAS(p, auth_method);
}

static void delivered(struct monitor *m, uint16_t id)
{
    if (get(m->busy, id)) {
        put(m->busy, id, false);
        m->outstanding--;
    }
    put(m->first_sent, id, false);
}

void monitor_sent(struct client *c, const struct mqtt_packet *p)
{
    struct monitor *m = &c->monitor;

    switch (p->type) {
    case MQTT_CONNECT: sent_connect(m, &p->connect); break;
    case MQTT_PUBLISH:
        if (p->publish.qos > 0)
            put(m->published, p->publish.packet_id, true);
        break;
    case MQTT_PUBREL: put(m->published, p->ack.packet_id, true); break;
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE: put(m->asked, p->subscribe.packet_id, true); break;
    case MQTT_PUBACK:
    case MQTT_PUBCOMP: delivered(m, p->ack.packet_id); break;
    case MQTT_PUBREC:
        if (p->ack.reason >= 0x80)
            delivered(m, p->ack.packet_id);
        break;
    default: break;
    }
}

/* ---- what the server sends ---- */

static void received_connack(struct client *c, const struct mqtt_connack *p)
{
    struct monitor *m = &c->monitor;
    const struct mqtt_props *props = &p->props;

    m->connacks++;
    check(c, ONE_CONNACK, m->connacks == 1);
    check(c, CONNACK_FLAGS, true);
    check(c, CONNACK_REASON, true);
    if (p->reason != 0)
        check(c, REFUSAL_NOT_PRESENT, !p->session_present);
    m->accepted = m->accepted || p->reason < 0x80;
    m->present = p->session_present || c->version == MQTT_V31;
    if (c->version != MQTT_V5)
        return;
    check(c, RESPONSE_INFO, m->wants_response_info || !MQTT_HAS(props, response_info));
    check(c, AUTH_UNASKED, m->has_auth_method || !MQTT_HAS(props, auth_method));
}

static void received_id(struct client *c, const struct mqtt_publish *p)
{
    struct monitor *m = &c->monitor;
    bool known = get(m->busy, p->packet_id);

    check(c, ID_NOT_ZERO, p->packet_id != 0);
    if (!p->dup)
        check(c, p->qos == 1 ? ID_FREE_1 : ID_FREE_2, !known);
    else if (known)
        check(c, NO_RESEND, !get(m->first_sent, p->packet_id));
    if (!m->present && m->accepted && !known)
        check(c, p->qos == 1 ? FIRST_DUP_1 : FIRST_DUP_2, !p->dup);
    if (!known)
        m->outstanding++;
    put(m->busy, p->packet_id, true);
    put(m->first_sent, p->packet_id, true);
    if (m->receive_maximum > 0)
        check(c, QUOTA, m->outstanding <= m->receive_maximum);
}

static void received_alias(struct client *c, const struct packet *p)
{
    const struct mqtt_publish *pub = &p->as.publish;
    const struct monitor *m = &c->monitor;
    bool has = MQTT_HAS(&pub->props, topic_alias);

    if (m->alias_maximum == 0) {
        check(c, NO_ALIAS, !has);
        return;
    }
    check(c, ALIAS_ZERO, true);
    if (!has)
        return;
    check(c, ALIAS_MAXIMUM, pub->props.topic_alias <= m->alias_maximum);
    if (pub->topic.len == 0 && pub->props.topic_alias < ARRAY_LEN(c->aliases))
        check(c, ALIAS_KNOWN, c->aliases[pub->props.topic_alias].len > 0);
}

static void received_publish(struct client *c, const struct packet *p)
{
    const struct mqtt_publish *pub = &p->as.publish;

    check(c, QOS_3, true);
    check(c, TOPIC_WILDCARD, true);
    check(c, TOPIC_EMPTY, true);
    if (pub->qos > 0)
        received_id(c, pub);
    else
        check(c, DUP_QOS_0, !pub->dup);
    if (c->version == MQTT_V5)
        received_alias(c, p);
}

static void received_ack(struct client *c, unsigned type, const struct mqtt_ack *p)
{
    struct monitor *m = &c->monitor;

    if (type != MQTT_PUBREL && !c->loose)
        check(c, ACK_ID, get(m->published, p->packet_id));
    if (type == MQTT_PUBREL)
        check(c, PUBREL_FLAGS, true);
    check(c, (enum rule)(PUBACK_REASON + (type - MQTT_PUBACK)), true);
}

static void received_answer(struct client *c, unsigned type, const struct mqtt_suback *p)
{
    struct monitor *m = &c->monitor;

    if (!c->loose)
        check(c, type == MQTT_SUBACK ? SUBACK_ID : UNSUBACK_ID, get(m->asked, p->packet_id));
    put(m->asked, p->packet_id, false);
    check(c, type == MQTT_SUBACK ? SUBACK_REASON : UNSUBACK_REASON, true);
}

static void received_disconnect(struct client *c)
{
    struct monitor *m = &c->monitor;

    check(c, DISCONNECT_EARLY, m->accepted);
    check(c, DISCONNECT_REASON, true);
    check(c, DISCONNECT_EXPIRY, true);
    m->disconnected = true;
}

static const struct mqtt_props *props_of(const struct mqtt_packet *p)
{
    switch (p->type) {
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP: return &p->ack.props;
    case MQTT_SUBACK:
    case MQTT_UNSUBACK: return &p->suback.props;
    case MQTT_AUTH: return &p->reasoned.props;
    default: return NULL;
    }
}

/* Rules of any packet that was decoded. */
static void received_any(struct client *c, const struct mqtt_frame *f, const struct packet *p)
{
    const struct monitor *m = &c->monitor;
    const struct mqtt_props *props = props_of(&p->as);

    check(c, VARINT, true);
    check(c, FLAGS, true);
    check(c, UTF8, true);
    check(c, NUL, true);
    check(c, CONNACK_FIRST,
          m->connacks > 0 || p->as.type == MQTT_CONNACK ||
              (p->as.type == MQTT_AUTH && m->has_auth_method));
    check(c, AFTER_DISCONNECT, !m->disconnected);
    if (m->maximum_packet_size > 0)
        check(c, MAX_SIZE, f->total <= m->maximum_packet_size);
    if (m->no_problem_info && props != NULL)
        check(c, PROBLEM_INFO, !MQTT_HAS(props, reason_string) && !MQTT_HAS(props, user_property));
}

/* ---- what could not be decoded ---- */

static bool reason_known(unsigned type, uint8_t code)
{
    enum { N = 0, C = MQTT_CLIENT, S = MQTT_SERVER, B = C | S };

    switch (type << 8 | code) {
#define X(number, name, text, ca, pa, pr, sa, ua, di, au, v3)   \
    case MQTT_CONNACK << 8 | (number): return ((ca)&S) != 0;    \
    case MQTT_PUBACK << 8 | (number): return ((pa)&S) != 0;     \
    case MQTT_PUBREC << 8 | (number): return ((pa)&S) != 0;     \
    case MQTT_PUBREL << 8 | (number): return ((pr)&S) != 0;     \
    case MQTT_PUBCOMP << 8 | (number): return ((pr)&S) != 0;    \
    case MQTT_SUBACK << 8 | (number): return ((sa)&S) != 0;     \
    case MQTT_UNSUBACK << 8 | (number): return ((ua)&S) != 0;   \
    case MQTT_DISCONNECT << 8 | (number): return ((di)&S) != 0; \
    case MQTT_AUTH << 8 | (number): return ((au)&S) != 0;
        MQTT_REASONS(X)
#undef X
    default: return false;
    }
}

static bool diagnose_topic(struct client *c, struct mqtt_str body)
{
    uint32_t len = body.len < 2 ? 0 : (uint32_t)(body.p[0] << 8 | body.p[1]);
    struct mqtt_str topic;

    if (body.len < 2 + len)
        return false;
    topic = mqtt_str_part(body, 2, len);
    return !check(c, NUL, topic.len == 0 || memchr(topic.p, 0, topic.len) == NULL) ||
           !check(c, UTF8, mqtt_utf8_valid(topic)) ||
           !check(c, TOPIC_WILDCARD, topic.len == 0 || mqtt_name_check(topic)) ||
           (c->version != MQTT_V5 && !check(c, TOPIC_EMPTY, topic.len > 0));
}

/* Where the Property Length stands in a packet of this type; 0: nowhere. */
static uint32_t props_offset(unsigned type, const struct mqtt_frame *f, struct mqtt_str body)
{
    switch (type) {
    case MQTT_CONNACK:
    case MQTT_SUBACK:
    case MQTT_UNSUBACK: return 2;
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP: return 3;
    case MQTT_DISCONNECT:
    case MQTT_AUTH: return 1;
    case MQTT_PUBLISH:
        return body.len < 2
                   ? 0
                   : 2u + (uint32_t)(body.p[0] << 8 | body.p[1]) + ((f->head & 6) != 0 ? 2 : 0);
    default: return 0;
    }
}

static bool diagnose_props(struct client *c, unsigned type, const struct mqtt_frame *f,
                           struct mqtt_str body)
{
    uint32_t at = props_offset(type, f, body);
    bool required = type == MQTT_CONNACK || type == MQTT_PUBLISH || type == MQTT_SUBACK ||
                    type == MQTT_UNSUBACK;

    if (at == 0 || (at >= body.len && !required))
        return false;
    if (!check(c, PROPS_LENGTH, at < body.len))
        return true;
    for (unsigned i = 0; i < 4 && at + i < body.len; i++)
        if (body.p[at + i] < 0x80)
            return !check(c, VARINT, i == 0 || body.p[at + i] != 0) ||
                   (type == MQTT_PUBLISH && body.p[at] >= 3 && at + 3 < body.len &&
                    body.p[at + 1] == MQTT_PROP_topic_alias &&
                    !check(c, ALIAS_ZERO, body.p[at + 2] != 0 || body.p[at + 3] != 0)) ||
                   (type == MQTT_DISCONNECT && at + 1 < body.len &&
                    !check(c, DISCONNECT_EXPIRY, body.p[at + 1] != MQTT_PROP_session_expiry_s));
    return !check(c, VARINT, false);
}

/* Offset of the first code, and the rule about codes; false: the packet has none. */
static bool code_at(unsigned type, struct mqtt_str body, uint32_t *at, enum rule *rule)
{
    uint32_t props = body.len > 2 ? body.p[2] : 0; /* of SUBACK and UNSUBACK, when short */

    *at = 2;
    switch (type) {
    case MQTT_CONNACK:
        *at = 1;
        *rule = CONNACK_REASON;
        return true;
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP: *rule = (enum rule)(PUBACK_REASON + (type - MQTT_PUBACK)); return true;
    case MQTT_SUBACK:
        *at = 3 + props;
        *rule = SUBACK_REASON;
        return true;
    case MQTT_UNSUBACK:
        *at = 3 + props;
        *rule = UNSUBACK_REASON;
        return true;
    case MQTT_DISCONNECT:
        *at = 0;
        *rule = DISCONNECT_REASON;
        return true;
    case MQTT_AUTH:
        *at = 0;
        *rule = AUTH_REASON;
        return true;
    default: return false;
    }
}

static bool diagnose_codes(struct client *c, unsigned type, struct mqtt_str body)
{
    enum rule rule;
    uint32_t at;

    if (!code_at(type, body, &at, &rule))
        return false;
    if (c->version != MQTT_V5) {
        static const uint8_t granted[] = {0, 1, 2, 0x80};

        if (type == MQTT_CONNACK)
            return !check(c, CONNACK_REASON, body.len < 2 || body.p[1] <= 5);
        for (uint32_t i = 2; type == MQTT_SUBACK && i < body.len; i++)
            if (!check(c, SUBACK_REASON, memchr(granted, body.p[i], sizeof granted) != NULL))
                return true;
        return false;
    }
    for (uint32_t i = at; i < body.len; i++) {
        if (!check(c, rule, reason_known(type, body.p[i])))
            return true;
        if (type != MQTT_SUBACK && type != MQTT_UNSUBACK)
            break;
    }
    return false;
}

static bool diagnose_connack(struct client *c, struct mqtt_str body)
{
    return body.len >= 2 && (!check(c, CONNACK_FLAGS, body.p[0] <= 1) ||
                             (body.p[1] != 0 && !check(c, REFUSAL_NOT_PRESENT, body.p[0] == 0)));
}

static bool diagnose_id(struct client *c, unsigned type, const struct mqtt_frame *f,
                        struct mqtt_str body)
{
    uint32_t at =
        type == MQTT_PUBLISH && body.len >= 2 ? 2u + (uint32_t)(body.p[0] << 8 | body.p[1]) : 0;
    bool has = type == MQTT_PUBREL || (type == MQTT_PUBLISH && (f->head & 6) != 0);

    return has && at + 2 <= body.len &&
           !check(c, ID_NOT_ZERO, body.p[at] != 0 || body.p[at + 1] != 0);
}

static void diagnose(struct client *c, const struct mqtt_frame *f, const struct packet *p)
{
    unsigned type = f->head >> 4;
    struct mqtt_str body = mqtt_str_part(p->bytes, f->header_len, f->body_len);

    if ((type == MQTT_CONNACK && diagnose_connack(c, body)) || diagnose_id(c, type, f, body) ||
        (type == MQTT_PUBLISH && diagnose_topic(c, body)) || diagnose_codes(c, type, body) ||
        (c->version == MQTT_V5 && diagnose_props(c, type, f, body)))
        return;
    scene_violation(c->scene, NULL, "%s: the server sent a malformed %s", c->name,
                    mqtt_type_name(type));
}

void monitor_broken_frame(struct client *c, const uint8_t *data, size_t len, int rc)
{
    unsigned type = data[0] >> 4, flags = data[0] & 15;
    bool flags_wrong = type == MQTT_PUBREL ? flags != 2 : type != MQTT_PUBLISH && flags != 0;

    (void)rc;
    if ((type == MQTT_PUBLISH && (flags & 6) == 6 && !check(c, QOS_3, false)) ||
        (type == MQTT_PUBLISH && (flags & 14) == 8 && !check(c, DUP_QOS_0, false)) ||
        (type == MQTT_PUBREL && flags_wrong && !check(c, PUBREL_FLAGS, false)) ||
        (type >= MQTT_CONNACK && flags_wrong && !check(c, FLAGS, false)) ||
        (type >= MQTT_CONNACK && len > 2 && data[1] >= 0x80 && !check(c, VARINT, false)))
        return;
    scene_violation(c->scene, NULL, "%s: the server sent what is no packet of this version",
                    c->name);
}

void monitor_received(struct client *c, const struct mqtt_frame *f, const struct packet *p)
{
    if (p->rc != 0) {
        diagnose(c, f, p);
        return;
    }
    received_any(c, f, p);
    switch (p->as.type) {
    case MQTT_CONNACK: received_connack(c, &p->as.connack); break;
    case MQTT_PUBLISH: received_publish(c, p); break;
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP: received_ack(c, p->as.type, &p->as.ack); break;
    case MQTT_SUBACK:
    case MQTT_UNSUBACK: received_answer(c, p->as.type, &p->as.suback); break;
    case MQTT_DISCONNECT: received_disconnect(c); break;
    case MQTT_AUTH:
        check(c, AUTH_UNASKED, c->monitor.has_auth_method);
        check(c, AUTH_REASON, true);
        break;
    default: break;
    }
}

/* ---- WebSocket ---- */

static bool shortest(const struct ws_frame *f)
{
    return f->length_bytes == 0 || (f->length_bytes == 2 && f->announced > 125) ||
           (f->length_bytes == 8 && f->announced > 65535);
}

static void check_data_frame(struct client *c, const struct ws_frame *f)
{
    bool first = f->opcode != WS_CONTINUATION;

    if (first)
        check(c, WS_DATA_BINARY, f->opcode == WS_BINARY);
    check(c, WS_FRAGMENTS, first != c->ws_fragmented);
    c->ws_fragmented = !f->fin;
    check(c, WS_RSV, (f->rsv & (c->deflate != NULL && first ? 3 : 7)) == 0);
}

static void check_control_frame(struct client *c, const struct ws_frame *f)
{
    check(c, WS_CONTROL, f->fin && f->payload.len <= 125);
    check(c, c->deflate != NULL ? WS_CONTROL_PLAIN : WS_RSV, f->rsv == 0);
    if (f->opcode == WS_CLOSE && f->payload.len > 0)
        check(c, WS_CLOSE_CODE,
              ws_close_code_legal(ws_close_code(f->payload)) &&
                  (f->payload.len < 2 ||
                   mqtt_utf8_payload_valid(mqtt_str_part(f->payload, 2, f->payload.len - 2))));
}

void monitor_ws_frame(struct client *c, const struct ws_frame *f)
{
    check(c, WS_UNMASKED, !f->masked);
    check(c, WS_LENGTH, shortest(f));
    check(c, WS_AFTER_CLOSE, !c->ws_close_got);
    if (f->opcode >= WS_CLOSE)
        check_control_frame(c, f);
    else
        check_data_frame(c, f);
}

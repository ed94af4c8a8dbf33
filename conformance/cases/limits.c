/* limits: what the two sides tell each other at CONNECT, and keep to: packet size, Receive Maximum,
 * Maximum QoS, problem information.                               [v5 3.1.2.11, 3.2.2.3, 4.9] */
#include "conformance/cases/chapters.h"

/* ---- the client's Maximum Packet Size ---- */

#define LIMIT 64u

/* A payload that makes a PUBLISH of QoS 1 on this topic so many bytes long. */
static const char *payload_for(struct scene *s, const char *topic, uint32_t size)
{
    uint32_t head = 2 + 2 + (uint32_t)strlen(topic) + 2 + 1;

    ASSERT(size > head);
    return payload_of(s, size - head);
}

static void packet_size(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    const char *fits = payload_for(s, topic, LIMIT), *larger = payload_for(s, topic, LIMIT + 1);
    struct client *a = join(s), *b;

    need_qos(s, 1);
    need_small_connack(s, LIMIT);
    b = JOIN(s, .maximum_packet_size = LIMIT);
    subscribe(b, topic, 1);
    publish(a, topic, larger, 1, 0);
    publish(a, topic, fits, 1, 0);
    expect(b, topic, fits);
    publish(a, topic, payload_for(s, topic, LIMIT + 3), 0, 0); /* no identifier: 2 bytes less */
    expect_nothing(a, b);
}

/* What is too large counts as delivered: it takes no quota, holds nothing up, and does not come
 * when the client takes larger packets one day. */
static void too_large_is_discarded(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    const char *larger = payload_for(s, topic, 200);
    struct client *a = join(s), *b;

    need_qos(s, 1);
    need_small_connack(s, LIMIT);
    b = JOIN(s, .maximum_packet_size = LIMIT, .receive_maximum = 2, .expiry_s = 60);
    subscribe(b, topic, 1);
    for (unsigned i = 0; i < 4; i++) {
        publish(a, topic, "before", 1, 0);
        expect(b, topic, "before");
        publish(a, topic, larger, 1, 0);
    }
    publish(a, topic, "after", 1, 0);
    expect(b, topic, "after");
    leave(b);
    b = JOIN(s, .id = b->id, .resume = true, .expiry_s = 60);
    expect_nothing(a, b);
}

/* ---- the client's Receive Maximum ---- */

/* Exactly so many come, and each acknowledgement frees one. */
static void receive_maximum_of(struct scene *s, uint16_t maximum, unsigned n)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = JOIN(s, .receive_maximum = maximum, .manual = true);
    uint16_t ids[64];

    subscribe(b, topic, 1);
    for (unsigned i = 0; i < n; i++)
        publish(a, topic, arena_printf(&s->arena, "%u", i), 1, 0);
    for (unsigned i = 0; i < maximum; i++)
        ids[i] = expect(b, topic, arena_printf(&s->arena, "%u", i))->packet_id;
    ping(b);
    MUST(s, peek_message(b) == NULL, "more messages come than the Receive Maximum of %u", maximum);
    for (unsigned i = maximum; i < n; i++) {
        acknowledge(b, MQTT_PUBACK, ids[i % maximum], 0);
        ids[i % maximum] = expect(b, topic, arena_printf(&s->arena, "%u", i))->packet_id;
    }
}

static void receive_maximum(struct scene *s)
{
    need_qos(s, 1);
    receive_maximum_of(s, 1, 4);
    receive_maximum_of(s, 2, 6);
    receive_maximum_of(s, 10, 14);
}

/* At QoS 2 the place is free with PUBCOMP, or with a PUBREC that says no. */
static void receive_maximum_qos2(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = JOIN(s, .receive_maximum = 1, .manual = true);
    uint16_t id;

    need_qos(s, 2);
    subscribe(b, topic, 2);
    publish(a, topic, "1", 2, 0);
    publish(a, topic, "2", 2, 0);
    publish(a, topic, "3", 2, 0);
    id = expect(b, topic, "1")->packet_id;
    acknowledge(b, MQTT_PUBREC, id, 0);
    expect_ack(b, MQTT_PUBREL, id);
    ping(b);
    MUST(s, peek_message(b) == NULL, "PUBREC has freed a place of the Receive Maximum");
    acknowledge(b, MQTT_PUBCOMP, id, 0);
    id = expect(b, topic, "2")->packet_id;
    acknowledge(b, MQTT_PUBREC, id, 0x80);
    expect(b, topic, "3");
}

/* What is sent again takes places of the new connection's Receive Maximum. */
static void receive_maximum_on_resume(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = JOIN(s, .receive_maximum = 5, .manual = true, .expiry_s = 60);

    need_qos(s, 1);
    subscribe(b, topic, 1);
    for (unsigned i = 0; i < 5; i++) {
        publish(a, topic, "x", 1, 0);
        expect(b, topic, "x");
    }
    leave(b);
    b = JOIN(s, .id = b->id, .resume = true, .receive_maximum = 2, .manual = true, .expiry_s = 60);
    for (unsigned i = 0; i < 2; i++)
        expect(b, topic, "x");
    ping(b);
    MUST(s, peek_message(b) == NULL, "more is sent again than the new Receive Maximum of 2");
}

/* Without quota the connection works as ever, but for QoS 1 and 2 towards the client. */
static void no_quota_no_silence(struct scene *s)
{
    const char *topic = scene_topic(s, "t"), *other = scene_topic(s, "u");
    struct client *a = join(s), *b = JOIN(s, .receive_maximum = 1, .manual = true);
    uint16_t id;

    need_qos(s, 2);
    subscribe(b, topic, 2);
    subscribe(a, other, 1);
    publish(a, topic, "1", 2, 0);
    publish(a, topic, "2", 2, 0);
    id = expect(b, topic, "1")->packet_id;
    ping(b);
    subscribe(b, scene_topic(s, "v"), 0);
    publish(b, other, "from b", 1, 0);
    expect(a, other, "from b");
    publish(b, other, "from b", 2, 0);
    expect(a, other, "from b");
    unsubscribe(b, scene_topic(s, "v"));
    acknowledge(b, MQTT_PUBREC, id, 0);
    expect_ack(b, MQTT_PUBREL, id);
}

/* ---- the server's Receive Maximum ---- */

/* As many as it takes, and then one more: by itself, so that the server has nothing left to read
 * when it closes, which would cost the client the server's last words. */
static void over_receive_maximum(struct scene *s)
{
    uint32_t maximum = s->at.features->receive_maximum;
    const char *topic = scene_topic(s, "t");
    struct client *c = join(s);
    struct packet *p;

    need_qos(s, 2);
    NEED(s, maximum <= 2000, "the server's Receive Maximum is %u: too many to send", maximum);
    c->reckless = true;
    for (uint32_t i = 0; i < maximum; i++)
        publish_start(c, topic, "x", 2, 0);
    for (uint32_t i = 0; i < maximum; i++)
        MUST(s, client_take(c, MQTT_PUBREC, NULL)->as.ack.reason < 0x80,
             "fewer messages are taken than the Receive Maximum of %u", maximum);
    publish_start(c, topic, "x", 2, 0);
    while ((p = client_find(c, MQTT_PUBREC)) == NULL && !c->ended)
        MUST(s, scene_poll(s, clock_us() + s->at.patience_us),
             "one message more than the Receive Maximum of %u is not answered", maximum);
    if (p != NULL && p->as.ack.reason >= 0x80) /* the server has another way to protect itself */
        scene_warn(s, NULL,
                   "%s: one message too many is answered with PUBREC %s, not with "
                   "DISCONNECT 0x93",
                   c->name, describe_reason(&s->arena, p->as.ack.reason, s->version));
    else
        expect_close(c, "93");
}

/* ---- the server's Maximum Packet Size ---- */

/* A payload that makes a PUBLISH of QoS 0 on this topic exactly so long; few sizes have none. */
static const char *payload_for_total(struct scene *s, const char *topic, uint32_t total)
{
    uint32_t head = 2u + (uint32_t)strlen(topic) + 1;

    for (uint32_t n = 1; n <= 4; n++)
        if (total > 1 + n + head && mqtt_varint_size(total - 1 - n) == n)
            return payload_of(s, total - 1 - n - head);
    scene_skip(s, "no PUBLISH has %u bytes", total);
}

/* Its beginning first, which says how large it is: a server that has seen enough closes, and has
 * nothing left to read. */
static void send_too_large(struct client *c, struct mqtt_str bytes)
{
    client_send(c, mqtt_str_part(bytes, 0, 100));
    if (!client_await_end(c, clock_us() + 300000))
        client_send(c, mqtt_str_part(bytes, 100, bytes.len - 100));
}

static void over_packet_size(struct scene *s)
{
    uint32_t maximum = s->at.features->maximum_packet_size;
    const char *topic = scene_topic(s, "t"), *payload;
    struct client *a = join(s), *b = join(s);

    NEED(s, maximum != UINT32_MAX, "the server announces no Maximum Packet Size");
    NEED(s, maximum <= 4u << 20, "the server's Maximum Packet Size is %u: too much to send",
         maximum);
    subscribe(b, topic, 0);
    payload = payload_for_total(s, topic, maximum);
    publish_start(a, topic, payload, 0, 0);
    expect(b, topic, payload);
    send_too_large(a, wire_compose(&s->arena, "30 # <%s> () [%s]", topic,
                                   payload_for_total(s, topic, maximum + 1)));
    expect_close(a, "95");
    expect_nothing(b, b);
}

/* ---- what a server lacks ---- */

static void maximum_qos_holds(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *c = join(s);

    for (uint8_t qos = 1; qos <= s->at.features->maximum_qos; qos++)
        publish(c, topic, "x", qos, 0);
}

static void need_low_qos(struct scene *s)
{
    NEED(s, s->at.features->maximum_qos < 2, "the server has QoS 2");
}

static void subscriptions_above_qos(struct scene *s)
{
    struct client *c = join(s);

    need_low_qos(s);
    for (uint8_t qos = 0; qos <= 2; qos++) {
        uint8_t code = subscribe_code(c, scene_topic(s, "t"), qos);

        MUST(s, code <= qos && code <= s->at.features->maximum_qos,
             "a subscription of QoS %u is answered with 0x%02X", qos, code);
    }
}

static void publish_above_qos(struct scene *s)
{
    struct client *c = join(s);

    need_low_qos(s);
    say(c, "%02x # <%s> 0001 () [x]", 0x30 | (s->at.features->maximum_qos + 1) << 1,
        scene_topic(s, "t"));
    expect_close(c, "9b");
}

static void will_above_qos(struct scene *s)
{
    struct client *c = client_open(s, NULL);
    unsigned qos = s->at.features->maximum_qos + 1u;

    need_low_qos(s);
    client_send(
        c, HAND_CONNECT(s, .flags = 0x06 | qos << 3,
                        .will = arena_printf(&s->arena, "() <%s> <x>", scene_topic(s, "will"))));
    expect_refusal(c, "9b", NO_CONNACK);
}

static void retained_will_refused(struct scene *s)
{
    struct client *c = client_open(s, NULL);

    NEED(s, !s->at.features->retain, "the server has retained messages");
    client_send(
        c, HAND_CONNECT(s, .flags = 0x26,
                        .will = arena_printf(&s->arena, "() <%s> <x>", scene_topic(s, "will"))));
    expect_refusal(c, "9a", NO_CONNACK);
}

static void retained_refused(struct scene *s)
{
    struct client *c = join(s);

    NEED(s, !s->at.features->retain, "the server has retained messages");
    say(c, "31 # <%s> () [x]", scene_topic(s, "t"));
    expect_close(c, "9a");
}

/* ---- words ---- */

static void no_response_information(struct scene *s)
{
    struct mqtt_props zero = with_encoded(s, "19 00");
    struct client *c = JOIN(s, .props = zero);

    MUST(s, !MQTT_HAS(&c->connack.props, response_info),
         "Response Information for a client that wants none");
    c = join(s);
    MUST(s, !MQTT_HAS(&c->connack.props, response_info),
         "Response Information for a client that does not ask");
}

/* Something is wrong with all of these, but the answers say so by their reason alone. */
static void no_problem_information(struct scene *s)
{
    struct mqtt_props zero = with_encoded(s, "17 00");
    const char *topic = scene_topic(s, "t");
    struct client *c = JOIN(s, .props = zero);

    unsubscribe(c, topic);
    need_qos(s, 2);
    publish(c, topic, "nobody", 1, 0);
    publish(c, topic, "nobody", 2, 0);
    acknowledge(c, MQTT_PUBREL, 7777, 0);
    acknowledge(c, MQTT_PUBREC, 7778, 0);
    alive(c);
    c = JOIN(s, .props = zero);
    say(c, "82 # 0777 () <a#b> 00"); /* SUBACK, or DISCONNECT, which may have words */
    alive(c);
}

/* ---- words that are left out when they do not fit ---- */

/* Ways to make a server explain itself. */
static void provoke_connack(struct client *c)
{
    (void)c; /* its CONNECT does */
}

static void provoke_puback(struct client *c)
{
    say(c, "32 # <%s> 0101 () [x]", denied_topic(c->scene));
}

static void provoke_pubrec(struct client *c)
{
    say(c, "34 # <%s> 0102 () [x]", denied_topic(c->scene));
}

static void provoke_pubrel(struct client *c)
{
    say(c, "50 02 0103");
}

static void provoke_pubcomp(struct client *c)
{
    say(c, "62 02 0104");
}

static void provoke_suback(struct client *c)
{
    say(c, "82 # 0105 () <a/#/b> 00");
}

static void provoke_unsuback(struct client *c)
{
    say(c, "a2 # 0106 () <%s>", scene_topic(c->scene, "none"));
}

/* A second CONNECT. */
static void provoke_disconnect(struct client *c)
{
    client_send(c, HAND_CONNECT(c->scene, .name = NULL));
}

/* The first packet of this type, or NULL when the connection ends without. */
static struct packet *answer_of(struct client *c, unsigned type)
{
    struct packet *p;

    while ((p = client_find(c, type)) == NULL && !c->ended)
        if (!scene_poll(c->scene, clock_us() + c->scene->at.patience_us))
            break;
    return p;
}

/* A CONNECT that is refused for its Authentication Method, or for its Will. */
static struct client *connect_refused(struct scene *s, uint32_t limit, unsigned way)
{
    const char *size = limit == 0 ? "" : arena_printf(&s->arena, "27 %08x", limit);
    struct client *c = client_open(s, NULL);

    if (way == 0)
        client_send(
            c, HAND_CONNECT(s, .props = arena_printf(&s->arena, "(%s 15 <no-such-method>)", size)));
    else
        client_send(c,
                    HAND_CONNECT(s, .props = arena_printf(&s->arena, "(%s)", size), .flags = 0x06,
                                 .will = arena_printf(&s->arena, "() <%s> <x>", denied_topic(s))));
    return c;
}

static struct packet *provoked(struct scene *s, unsigned type, uint32_t limit, unsigned way,
                               void (*provoke)(struct client *c))
{
    struct client *c = type == MQTT_CONNACK ? connect_refused(s, limit, way)
                                            : JOIN(s, .maximum_packet_size = limit, .manual = true);

    provoke(c);
    return answer_of(c, type);
}

static const struct mqtt_props *words(const struct mqtt_packet *p)
{
    switch (p->type) {
    case MQTT_CONNACK: return &p->connack.props;
    case MQTT_SUBACK:
    case MQTT_UNSUBACK: return &p->suback.props;
    case MQTT_DISCONNECT: return &p->reasoned.props;
    default: return &p->ack.props;
    }
}

static bool has_words(const struct packet *p)
{
    return p != NULL &&
           (MQTT_HAS(words(&p->as), reason_string) || MQTT_HAS(words(&p->as), user_property));
}

/* Does the server say this property when it may? Then not when the packet would be one byte too
 * large. An acknowledgement must come all the same. */
static void left_out(struct scene *s, unsigned type, void (*provoke)(struct client *c),
                     const char *reason_string, const char *user_property)
{
    unsigned way = 0;
    struct packet *p = provoked(s, type, 0, way, provoke);
    bool says_why, says_more;
    uint32_t limit;

    if (type == MQTT_CONNACK && !has_words(p))
        p = provoked(s, type, 0, ++way, provoke);
    NEED(s, p != NULL, "no %s could be provoked", mqtt_type_name(type));
    NEED(s, has_words(p), "%s has neither Reason String nor User Property", mqtt_type_name(type));
    says_why = MQTT_HAS(words(&p->as), reason_string);
    says_more = MQTT_HAS(words(&p->as), user_property);
    limit = p->bytes.len - 1;
    if (type != MQTT_CONNACK)
        need_small_connack(s, limit);
    p = provoked(s, type, limit, way, provoke);
    MUST(s, p != NULL || type == MQTT_CONNACK || type == MQTT_DISCONNECT,
         "no %s when its words do not fit", mqtt_type_name(type));
    NEED(s, p != NULL, "no %s when its words do not fit", mqtt_type_name(type));
    MUST_BY(s, says_why ? reason_string : user_property, p->bytes.len <= limit,
            "%s has %u bytes, the client takes %u", mqtt_type_name(type), p->bytes.len, limit);
    if (!says_more)
        scene_skip_some(s, user_property, "the server sends no User Property in %s",
                        mqtt_type_name(type));
    if (!says_why)
        scene_skip_some(s, reason_string, "the server sends no Reason String in %s",
                        mqtt_type_name(type));
}

#define LEFT_OUT(name, type, reason_string, user_property)                     \
    static void name##_left_out(struct scene *s)                               \
    {                                                                          \
        left_out(s, (type), provoke_##name, (reason_string), (user_property)); \
    }

LEFT_OUT(connack, MQTT_CONNACK, "3.2.2-19", "3.2.2-20")
LEFT_OUT(puback, MQTT_PUBACK, "3.4.2-2", "3.4.2-3")
LEFT_OUT(pubrec, MQTT_PUBREC, "3.5.2-2", "3.5.2-3")
LEFT_OUT(pubrel, MQTT_PUBREL, "3.6.2-2", "3.6.2-3")
LEFT_OUT(pubcomp, MQTT_PUBCOMP, "3.7.2-2", "3.7.2-3")
LEFT_OUT(suback, MQTT_SUBACK, "3.9.2-1", "3.9.2-2")
LEFT_OUT(unsuback, MQTT_UNSUBACK, "3.11.2-1", "3.11.2-2")
LEFT_OUT(disconnect, MQTT_DISCONNECT, "3.14.2-3", "3.14.2-4")

/* clang-format off */
CHAPTER(limits, "Limits",
    {"packet_size",               packet_size,            "3.1.2-24",                  NULL, NULL, 0},
    {"packet_size_discards",      too_large_is_discarded, "3.1.2-25",                  NULL, NULL, 0},
    {"receive_maximum",           receive_maximum,        "3.3.4-9 4.9.0-1 4.9.0-2",   NULL, NULL, 0},
    {"receive_maximum_qos2",      receive_maximum_qos2,   "3.3.4-9 4.9.0-2",           NULL, NULL, 0},
    {"receive_maximum_resumed",   receive_maximum_on_resume, "4.9.0-2",                NULL, NULL, 0},
    {"receive_maximum_others",    no_quota_no_silence,    "3.3.4-10 4.9.0-3",          NULL, NULL, 0},
    {"server_receive_maximum",    over_receive_maximum,   "3.3.4-7",                   NULL, NULL, 0},
    {"server_packet_size",        over_packet_size,       "3.2.2-15",                  NULL, NULL, 0},
    {"maximum_qos",               maximum_qos_holds,      "3.2.2-9",                   NULL, NULL, 0},
    {"maximum_qos_subscribe",     subscriptions_above_qos, "3.2.2-10",                 NULL, NULL, 0},
    {"maximum_qos_publish",       publish_above_qos,      "3.2.2-11",                  NULL, NULL, 0},
    {"maximum_qos_will",          will_above_qos,         "3.2.2-12",                  NULL, NULL, 0},
    {"no_retain_will",            retained_will_refused,  "3.2.2-13",                  NULL, NULL, 0},
    {"no_retain_publish",         retained_refused,       "3.2.2-14",                  NULL, NULL, 0},
    {"response_information",      no_response_information, "3.1.2-28",                 NULL, NULL, 0},
    {"problem_information",       no_problem_information, "3.1.2-29",                  NULL, NULL, 0},
    {"connack_words",             connack_left_out,       "3.2.2-19 3.2.2-20",         NULL, NULL, 0},
    {"puback_words",              puback_left_out,        "3.4.2-2 3.4.2-3",           NULL, NULL, 0},
    {"pubrec_words",              pubrec_left_out,        "3.5.2-2 3.5.2-3",           NULL, NULL, 0},
    {"pubrel_words",              pubrel_left_out,        "3.6.2-2 3.6.2-3",           NULL, NULL, 0},
    {"pubcomp_words",             pubcomp_left_out,       "3.7.2-2 3.7.2-3",           NULL, NULL, 0},
    {"suback_words",              suback_left_out,        "3.9.2-1 3.9.2-2",           NULL, NULL, 0},
    {"unsuback_words",            unsuback_left_out,      "3.11.2-1 3.11.2-2",         NULL, NULL, 0},
    {"disconnect_words",          disconnect_left_out,    "3.14.2-3 3.14.2-4",         NULL, NULL, 0},
);
/* clang-format on */

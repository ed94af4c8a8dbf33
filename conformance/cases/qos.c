/* qos: exchanges of QoS 1 and 2 in both directions, what is sent again, and in which order.
 *                                                     [v5 4.3, 4.4, 4.6] [v3 4.3, 4.4, 4.6] */
#include "conformance/cases/chapters.h"

/* A session with its client, which acknowledges by hand, and a publisher. */
struct pair {
    const char *topic, *id;
    struct client *a, *b;
};

static struct pair pair_up(struct scene *s, uint8_t qos)
{
    struct pair p = {.topic = scene_topic(s, "t")};

    need_qos(s, qos);
    p.a = join(s);
    p.b = JOIN(s, .manual = true, .expiry_s = 60);
    p.id = p.b->id;
    subscribe(p.b, p.topic, qos);
    return p;
}

/* The client of the session is lost and comes back. */
static void come_back(struct scene *s, struct pair *p)
{
    drop(p->b);
    p->b = JOIN(s, .id = p->id, .resume = true, .manual = true, .expiry_s = 60);
    MUST_BY(s, RULE(s, "3.2.2-3", "3.2.2-2"), says_present(p->b), "the session is gone");
}

/* ---- the server sends QoS 0 ---- */

static void sends_qos_0(struct scene *s)
{
    struct pair p = pair_up(s, 0);
    const struct mqtt_publish *m;

    publish(p.a, p.topic, "x", 0, 0);
    m = expect(p.b, p.topic, "x");
    MUST(s, m->qos == 0 && !m->dup, "QoS %u, DUP %d", m->qos, m->dup);
}

/* ---- the server sends QoS 1 ---- */

static void first_transmission_1(struct scene *s)
{
    struct pair p = pair_up(s, 1);
    const struct mqtt_publish *m;

    publish(p.a, p.topic, "x", 1, 0);
    m = expect(p.b, p.topic, "x");
    MUST(s, m->qos == 1 && !m->dup && m->packet_id != 0, "QoS %u, DUP %d, id %u", m->qos, m->dup,
         m->packet_id);
}

static void sent_again_1(struct scene *s)
{
    struct pair p = pair_up(s, 1);
    const struct mqtt_publish *m;
    uint16_t id;

    publish(p.a, p.topic, "x", 1, 0);
    id = expect(p.b, p.topic, "x")->packet_id;
    come_back(s, &p);
    m = expect(p.b, p.topic, "x");
    MUST_BY(s, RULE(s, "4.4.0-1", "4.4.0-1 2.3.1-3"), m->packet_id == id,
            "sent again with id %u instead of %u", m->packet_id, id);
    MUST_BY(s, RULE(s, "3.3.1-1", "3.3.1-1"), m->dup, "sent again without DUP");
}

static void not_sent_again_1(struct scene *s)
{
    struct pair p = pair_up(s, 1);

    publish(p.a, p.topic, "x", 1, 0);
    acknowledge(p.b, MQTT_PUBACK, expect(p.b, p.topic, "x")->packet_id, 0);
    ping(p.b);
    come_back(s, &p);
    expect_nothing(p.a, p.b);
}

/* An answer that says no is an answer. */
static void refused_1(struct scene *s)
{
    struct pair p = pair_up(s, 1);

    publish(p.a, p.topic, "x", 1, 0);
    acknowledge(p.b, MQTT_PUBACK, expect(p.b, p.topic, "x")->packet_id, 0x80);
    ping(p.b);
    come_back(s, &p);
    expect_nothing(p.a, p.b);
}

/* ---- the server sends QoS 2 ---- */

static void first_transmission_2(struct scene *s)
{
    struct pair p = pair_up(s, 2);
    const struct mqtt_publish *m;
    uint16_t id;

    publish(p.a, p.topic, "x", 2, 0);
    m = expect(p.b, p.topic, "x");
    id = m->packet_id;
    MUST(s, m->qos == 2 && !m->dup && id != 0, "QoS %u, DUP %d, id %u", m->qos, m->dup, id);
    acknowledge(p.b, MQTT_PUBREC, id, 0);
    expect_ack(p.b, MQTT_PUBREL, id);
    acknowledge(p.b, MQTT_PUBCOMP, id, 0);
    ping(p.b);
}

static void sent_again_2(struct scene *s)
{
    struct pair p = pair_up(s, 2);
    const struct mqtt_publish *m;
    uint16_t id;

    publish(p.a, p.topic, "x", 2, 0);
    id = expect(p.b, p.topic, "x")->packet_id;
    come_back(s, &p);
    m = expect(p.b, p.topic, "x");
    MUST_BY(s, RULE(s, "4.4.0-1", "4.4.0-1 2.3.1-3"), m->packet_id == id,
            "sent again with id %u instead of %u", m->packet_id, id);
    MUST_BY(s, RULE(s, "3.3.1-1", "3.3.1-1"), m->dup, "sent again without DUP");
}

/* After PUBREC it is the PUBREL that comes again, and the PUBLISH does not. */
static void pubrel_again(struct scene *s)
{
    struct pair p = pair_up(s, 2);
    uint16_t id;

    publish(p.a, p.topic, "x", 2, 0);
    id = expect(p.b, p.topic, "x")->packet_id;
    acknowledge(p.b, MQTT_PUBREC, id, 0);
    expect_ack(p.b, MQTT_PUBREL, id);
    come_back(s, &p);
    MUST_BY(s, RULE(s, "4.3.3-5 4.4.0-1", "4.3.3-1"),
            client_take(p.b, MQTT_PUBREL, NULL)->as.ack.packet_id == id,
            "PUBREL is sent again with another id");
    settle(p.a, p.b);
    MUST_BY(s, RULE(s, "4.3.3-6", "4.3.3-1"), peek_message(p.b) == NULL,
            "PUBLISH is sent again after PUBREL");
    acknowledge(p.b, MQTT_PUBCOMP, id, 0);
    ping(p.b);
    come_back(s, &p);
    ping(p.b);
    MUST_BY(s, RULE(s, "4.3.3-5", "4.3.3-1"), client_find(p.b, MQTT_PUBREL) == NULL,
            "PUBREL is sent again after PUBCOMP");
}

static void refused_2(struct scene *s)
{
    struct pair p = pair_up(s, 2);
    uint16_t id;

    publish(p.a, p.topic, "x", 2, 0);
    id = expect(p.b, p.topic, "x")->packet_id;
    acknowledge(p.b, MQTT_PUBREC, id, 0x80);
    ping(p.b);
    MUST_BY(s, "4.3.3-4", client_find(p.b, MQTT_PUBREL) == NULL,
            "PUBREC 0x80 is answered with PUBREL");
    come_back(s, &p);
    expect_nothing(p.a, p.b);
    MUST_BY(s, "4.3.3-4", client_find(p.b, MQTT_PUBREL) == NULL,
            "PUBREC 0x80 is answered with PUBREL");
}

/* What was sent does not expire. */
static void sent_does_not_expire(struct scene *s)
{
    struct pair p = pair_up(s, 2);
    struct mqtt_props props = {.present = 0};

    MQTT_SET(&props, message_expiry_s, 2);
    publish_props(p.a, p.topic, "x", 2, 0, &props);
    expect(p.b, p.topic, "x");
    drop(p.b);
    scene_sleep(s, 3500000);
    p.b = JOIN(s, .id = p.id, .resume = true, .manual = true, .expiry_s = 60);
    expect(p.b, p.topic, "x");
}

/* PUBREC for what was never sent: the server says so, in a PUBREL. */
static void pubrec_unknown(struct scene *s)
{
    struct client *c = join(s);
    const struct packet *p;

    say(c, "50 02 1234");
    NEED(s, alive(c), "the server closes the connection upon an unknown PUBREC");
    c->manual = true;
    say(c, "50 02 1235");
    ping(c);
    p = client_find(c, MQTT_PUBREL);
    NEED(s, p != NULL, "the server does not answer an unknown PUBREC");
    SHOULD(s, p->as.ack.reason == 0x92, "an unknown PUBREC is answered with %s, expected 0x92",
           describe_reason(&s->arena, p->as.ack.reason, s->version));
}

/* ---- the server receives ---- */

static void id_is_new_after_puback(struct scene *s)
{
    struct pair p = pair_up(s, 1);

    for (unsigned i = 0; i < 2; i++) {
        say(p.a, "%s # <%s> 0007 %s [%u]", i == 0 ? "32" : "3a", p.topic, no_props(s), i);
        expect_ack(p.a, MQTT_PUBACK, 7);
    }
    expect(p.b, p.topic, "0");
    expect(p.b, p.topic, "1");
}

/* The same identifier before PUBREL is the same message, on the next connection too. */
static void received_once(struct scene *s)
{
    const char *topic = scene_topic(s, "t"), *p = no_props(s);
    struct client *a = JOIN(s, .expiry_s = 60), *b = join(s);

    need_qos(s, 2);
    subscribe(b, topic, 2);
    say(a, "34 # <%s> 0007 %s [x]", topic, p);
    expect_ack(a, MQTT_PUBREC, 7);
    say(a, "3c # <%s> 0007 %s [x]", topic, p);
    expect_ack(a, MQTT_PUBREC, 7);
    drop(a);
    a = JOIN(s, .id = a->id, .resume = true, .expiry_s = 60);
    say(a, "3c # <%s> 0007 %s [x]", topic, p);
    expect_ack(a, MQTT_PUBREC, 7);
    acknowledge(a, MQTT_PUBREL, 7, 0);
    expect_ack(a, MQTT_PUBCOMP, 7);
    expect(b, topic, "x");
    expect_nothing(a, b);
}

static void id_is_new_after_pubcomp(struct scene *s)
{
    struct pair p = pair_up(s, 2);

    p.b->manual = false;
    for (unsigned i = 0; i < 2; i++) {
        say(p.a, "34 # <%s> 0007 %s [%u]", p.topic, no_props(s), i);
        expect_ack(p.a, MQTT_PUBREC, 7);
        acknowledge(p.a, MQTT_PUBREL, 7, 0);
        expect_ack(p.a, MQTT_PUBCOMP, 7);
    }
    expect(p.b, p.topic, "0");
    expect(p.b, p.topic, "1");
    expect_nothing(p.a, p.b);
}

/* Each PUBREL gets its PUBCOMP, a second one too. */
static void pubrel_answered(struct scene *s)
{
    struct client *c = join(s);
    uint16_t id;

    need_qos(s, 2);
    id = publish_start(c, scene_topic(s, "t"), "x", 2, 0);
    expect_ack(c, MQTT_PUBREC, id);
    acknowledge(c, MQTT_PUBREL, id, 0);
    MUST(s, expect_ack(c, MQTT_PUBCOMP, id) == 0, "PUBCOMP says something else than 0x00");
    acknowledge(c, MQTT_PUBREL, id, 0);
    expect_ack(c, MQTT_PUBCOMP, id);
}

static void pubrel_unknown(struct scene *s)
{
    struct client *c = join(s);
    uint8_t reason;

    need_qos(s, 2);
    acknowledge(c, MQTT_PUBREL, 4321, 0);
    reason = expect_ack(c, MQTT_PUBCOMP, 4321);
    MUST_BY(s, RULE(s, "3.7.2-1", NULL), reason == 0 || reason == 0x92, "PUBCOMP with 0x%02X",
            reason);
    SHOULD(s, s->version != MQTT_V5 || reason == 0x92,
           "PUBCOMP for an unknown PUBREL with 0x%02X, expected 0x92", reason);
}

static void pubrel_flags(struct scene *s)
{
    struct client *c = join(s);
    uint16_t id;

    need_qos(s, 2);
    id = publish_start(c, scene_topic(s, "t"), "x", 2, 0);
    expect_ack(c, MQTT_PUBREC, id);
    say(c, "60 02 %04x", id);
    expect_close(c, "81");
}

/* The exchange is completed when its message has expired. */
static void expired_is_completed(struct scene *s)
{
    struct client *c = join(s);
    struct mqtt_props props = {.present = 0};
    uint16_t id;

    need_qos(s, 2);
    MQTT_SET(&props, message_expiry_s, 1);
    id = publish_start_props(c, scene_topic(s, "t"), text("x"), 2, 0, &props);
    expect_ack(c, MQTT_PUBREC, id);
    scene_sleep(s, 2500000);
    acknowledge(c, MQTT_PUBREL, id, 0);
    MUST(s, expect_ack(c, MQTT_PUBCOMP, id) == 0, "PUBCOMP says something else than 0x00");
}

/* ---- sent again ---- */

/* Not while the connection lives [5.0]: so long as the case has patience. */
static void not_again_while_connected(struct scene *s, uint64_t us)
{
    struct pair p = pair_up(s, 2);
    uint16_t id;

    publish(p.a, p.topic, "1", 1, 0);
    publish(p.a, p.topic, "2", 2, 0);
    publish(p.a, p.topic, "3", 2, 0);
    expect(p.b, p.topic, "1");
    expect(p.b, p.topic, "2");
    id = expect(p.b, p.topic, "3")->packet_id;
    acknowledge(p.b, MQTT_PUBREC, id, 0);
    expect_ack(p.b, MQTT_PUBREL, id);
    scene_sleep(s, us);
    ping(p.b);
    MUST(s, client_find(p.b, 0) == NULL, "the server sends again on a connection that is alive");
}

static void not_again(struct scene *s)
{
    not_again_while_connected(s, 4000000);
}

static void not_again_for_long(struct scene *s)
{
    not_again_while_connected(s, 35000000);
}

/* ---- order ---- */

#define STREAM 30u

static void publish_number(struct client *c, const char *topic, unsigned i, uint8_t qos,
                           const char *who)
{
    publish(c, topic, arena_printf(&c->scene->arena, "%s%02u", who, i), qos, 0);
}

/* Two publishers; of each the numbers rise. */
static void in_order(struct scene *s)
{
    const char *topic = scene_topic(s, "t");

    for (uint8_t qos = 0; qos <= s->at.features->maximum_qos; qos++) {
        struct client *a = join(s), *b = join(s), *c = join(s);
        unsigned next[2] = {0, 0};

        subscribe(c, topic, qos);
        for (unsigned i = 0; i < STREAM; i++) {
            publish_number(a, topic, i, qos, "a");
            publish_number(b, topic, i, qos, "b");
        }
        while (next[0] < STREAM || next[1] < STREAM) {
            const struct mqtt_publish *m = message(c);
            unsigned who = m->payload.p[0] == 'b';

            MUST(s,
                 is_text(m->payload, arena_printf(&s->arena, "%c%02u", who ? 'b' : 'a', next[who])),
                 "QoS %u: %c%02u was to come next, not %.*s", qos, who ? 'b' : 'a', next[who],
                 (int)m->payload.len, m->payload.p);
            next[who]++;
        }
        leave(c);
    }
}

static void queued_in_order(struct scene *s)
{
    for (uint8_t qos = 1; qos <= 2; qos++) {
        struct pair p = pair_up(s, qos);

        leave(p.b);
        for (unsigned i = 0; i < STREAM; i++)
            publish_number(p.a, p.topic, i, qos, "");
        p.b = JOIN(s, .id = p.id, .resume = true, .expiry_s = 60);
        for (unsigned i = 0; i < STREAM; i++)
            expect(p.b, p.topic, arena_printf(&s->arena, "%02u", i));
        leave(p.b);
    }
}

/* Several unacknowledged ones come again in the order in which they came. */
static void again_in_order(struct scene *s)
{
    struct pair p = pair_up(s, 2);
    uint16_t ids[6];

    for (unsigned i = 0; i < 6; i++) {
        publish_number(p.a, p.topic, i, i % 2 == 0 ? 1 : 2, "");
        ids[i] = expect(p.b, p.topic, arena_printf(&s->arena, "%02u", i))->packet_id;
    }
    come_back(s, &p);
    for (unsigned i = 0; i < 6; i++) {
        const struct mqtt_publish *m = message(p.b);

        MUST(s, m->packet_id == ids[i], "id %u was to come next, not %u", ids[i], m->packet_id);
    }
}

/* PUBRELs in the order of the PUBRECs, not of the PUBLISHes. */
static void pubrels_in_order(struct scene *s)
{
    static const unsigned order[] = {3, 0, 4, 1, 2};
    struct pair p = pair_up(s, 2);
    struct mqtt_str bytes = {NULL, 0};
    uint16_t ids[5];

    for (unsigned i = 0; i < 5; i++) {
        publish_number(p.a, p.topic, i, 2, "");
        ids[i] = message(p.b)->packet_id;
    }
    for (unsigned i = 0; i < 5; i++)
        bytes = both(s, bytes, wire_compose(&s->arena, "50 02 %04x", ids[order[i]]));
    client_send(p.b, bytes);
    for (unsigned i = 0; i < 5; i++) {
        uint16_t id = client_take(p.b, MQTT_PUBREL, NULL)->as.ack.packet_id;

        if (s->version == MQTT_V311)
            MUST(s, id == ids[order[i]], "PUBREL %u was to come next, not %u", ids[order[i]], id);
        else
            SHOULD(s, id == ids[order[i]], "PUBREL %u was to come next, not %u", ids[order[i]], id);
    }
}

/* The order of the server's own acknowledgements: stated for clients, good practice here. */
static void answers_in_order(struct scene *s, uint8_t qos)
{
    const char *topic = scene_topic(s, "t");
    struct client *c = join(s);
    struct mqtt_str bytes = {NULL, 0};
    unsigned window = s->at.features->receive_maximum, n = window < 10 ? window : 10;

    need_qos(s, qos);
    for (unsigned i = 1; i <= n; i++)
        bytes = both(s, bytes,
                     wire_compose(&s->arena, "%02x # <%s> %04x %s [x]", 0x30 | qos << 1, topic,
                                  i * 7, no_props(s)));
    client_send(c, bytes);
    for (unsigned i = 1; i <= n; i++) {
        uint16_t id = client_take(c, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, NULL)->as.ack.packet_id;

        SHOULD(s, id == i * 7, "the acknowledgement of %u was to come next, not of %u", i * 7, id);
    }
}

static void pubacks_in_order(struct scene *s)
{
    answers_in_order(s, 1);
}

static void pubrecs_in_order(struct scene *s)
{
    answers_in_order(s, 2);
}

/* clang-format off */
CHAPTER(qos, "Quality of service",
    {"qos_0_sent",              sends_qos_0,             "4.3.1-1",                  "4.3.1-1",         NULL, 0},
    {"qos_1_sent",              first_transmission_1,    "4.3.2-1 4.3.2-2",          "4.3.2-1",         "V31-4.1-1", 0},
    {"qos_1_again",             sent_again_1,            "4.3.2-3 4.4.0-1 3.3.1-1",  "4.3.2-1 4.4.0-1 3.3.1-1 2.3.1-3", "V31-4.1-1", 0},
    {"qos_1_not_again",         not_sent_again_1,        "4.3.2-3",                  "4.3.2-1",         "V31-4.1-1", 0},
    {"qos_1_refused",           refused_1,               "4.4.0-2",                  NULL,              NULL, 0},
    {"qos_2_sent",              first_transmission_2,    "4.3.3-1 4.3.3-2 4.3.3-4",  "4.3.3-1",         "V31-4.1-2", 0},
    {"qos_2_again",             sent_again_2,            "4.3.3-3 4.4.0-1 3.3.1-1",  "4.3.3-1 4.4.0-1 3.3.1-1 2.3.1-3", "V31-4.1-2", 0},
    {"qos_2_pubrel_again",      pubrel_again,            "4.3.3-5 4.3.3-6 4.4.0-1",  "4.3.3-1 4.4.0-1", "V31-4.1-2", 0},
    {"qos_2_refused",           refused_2,               "4.3.3-4 4.4.0-2",          NULL,              NULL, 0},
    {"qos_2_does_not_expire",   sent_does_not_expire,    "4.3.3-7",                  NULL,              NULL, SLOW},
    {"qos_2_pubrec_unknown",    pubrec_unknown,          "3.6.2-1",                  NULL,              NULL, 0},
    {"qos_1_received",          id_is_new_after_puback,  "4.3.2-4 4.3.2-5",          "4.3.2-2",         NULL, 0},
    {"qos_2_received_once",     received_once,           "4.3.3-8 4.3.3-10",         "4.3.3-2",         "V31-4.1-2", 0},
    {"qos_2_received_anew",     id_is_new_after_pubcomp, "4.3.3-12",                 "4.3.3-2",         NULL, 0},
    {"qos_2_pubrel_answered",   pubrel_answered,         "4.3.3-11",                 "4.3.3-2",         NULL, 0},
    {"qos_2_pubrel_unknown",    pubrel_unknown,          "4.3.3-11 3.7.2-1",         NULL,              NULL, 0},
    {"qos_2_pubrel_flags",      pubrel_flags,            "3.6.1-1",                  "3.6.1-1",         NULL, 0},
    {"qos_2_expired",           expired_is_completed,    "4.3.3-13",                 NULL,              NULL, SLOW},
    {"not_again_while_alive",   not_again,               "4.4.0-1",                  NULL,              NULL, SLOW},
    {"not_again_for_long",      not_again_for_long,      "4.4.0-1",                  NULL,              NULL, VERY_SLOW},
    {"order",                   in_order,                "4.6.0-5 4.6.0-6",          "4.6.0-5 4.6.0-6", "V31-4.3-1", 0},
    {"order_queued",            queued_in_order,         "4.6.0-5",                  "4.6.0-6",         "V31-4.3-1", 0},
    {"order_again",             again_in_order,          "4.6.0-1 4.6.0-5",          "4.6.0-1",         NULL, 0},
    {"order_pubrel",            pubrels_in_order,        "4.6.0-4",                  "4.6.0-4",         NULL, 0},
    {"order_puback",            pubacks_in_order,        "4.6.0-2",                  "4.6.0-2",         NULL, 0},
    {"order_pubrec",            pubrecs_in_order,        "4.6.0-3",                  "4.6.0-3",         NULL, 0},
);
/* clang-format on */

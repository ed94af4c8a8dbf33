/* subscribe: SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK.               [v5 3.8-3.11] [v3 3.8-3.11] */
#include "conformance/cases/chapters.h"

#define HANDLING(n) ((n) << 4)

/* ---- the packet ---- */

static void subscribe_flags(struct scene *s)
{
    struct client *a = join(s), *b = join(s);
    const char *topic = scene_topic(s, "t"), *p = no_props(s);

    say(a, "80 # 0001 %s <%s> 00", p, topic);
    say(b, "8a # 0001 %s <%s> 00", p, topic);
    expect_close(a, "81");
    expect_close(b, "81");
}

static void unsubscribe_flags(struct scene *s)
{
    struct client *a = join(s), *b = join(s);
    const char *topic = scene_topic(s, "t"), *p = no_props(s);

    say(a, "a0 # 0001 %s <%s>", p, topic);
    say(b, "aa # 0001 %s <%s>", p, topic);
    expect_close(a, "81");
    expect_close(b, "81");
}

static void subscribe_nothing(struct scene *s)
{
    struct client *c = join(s);

    say(c, "82 # 0001 %s", no_props(s));
    expect_close(c, "82");
}

static void unsubscribe_nothing(struct scene *s)
{
    struct client *c = join(s);

    say(c, "a2 # 0001 %s", no_props(s));
    expect_close(c, "82");
}

static void option_bits(struct scene *s)
{
    static const char *const v5[] = {"40", "80", "03", "30"};
    static const char *const v3[] = {"03", "04", "08", "80"};
    const char *const *options = s->version == MQTT_V5 ? v5 : v3;
    const char *topic = scene_topic(s, "t");
    struct client *c[4];

    for (unsigned i = 0; i < 4; i++) {
        c[i] = join(s);
        say(c[i], "82 # 0001 %s <%s> %s", no_props(s), topic, options[i]);
    }
    for (unsigned i = 0; i < 4; i++)
        expect_close_by(c[i], i < 2 ? NULL : RULE(s, "4.13.1-1", NULL), i < 2 ? "81" : "82 81");
}

static void subscribe_property_wrong(struct scene *s)
{
    static const char *const lists[] = {"(0b 00)", "(0b 01 0b 02)", "(01 01)", "(0b 80808001)"};
    const char *topic = scene_topic(s, "t");
    struct client *c[ARRAY_LEN(lists)];
    size_t n = s->at.features->subscription_id ? ARRAY_LEN(lists) - 1 : 0;

    NEED(s, n > 0, "the server has no Subscription Identifiers");
    for (size_t i = 0; i < n; i++) {
        c[i] = join(s);
        say(c[i], "82 # 0001 %s <%s> 00", lists[i], topic);
    }
    for (size_t i = 0; i < n; i++)
        expect_close(c[i], "82 81");
}

static void filter_beyond_packet(struct scene *s)
{
    struct client *a = join(s), *b = join(s);

    say(a, "a2 # 0001 %s 00ff [abc]", no_props(s));
    say(b, "82 # 0001 %s <abc>", no_props(s)); /* no options */
    expect_close(a, "81");
    expect_close_by(b, RULE(s, "4.13.1-1", "4.8.0-1"), "81");
}

/* ---- the answer ---- */

static void answered(struct scene *s)
{
    struct client *c = join(s);

    subscribe(c, scene_topic(s, "t"), 0);
    ping(c);
    MUST(s, client_find(c, 0) == NULL, "more than one answer");
}

/* Filters of one SUBSCRIBE with the options "00 01 02"; the codes of its SUBACK. */
static struct mqtt_str suback_of(struct client *c, const char *filters)
{
    struct scene *s = c->scene;
    const struct mqtt_suback *p;

    say(c, "82 # 0042 %s %s", no_props(s), filters);
    p = &client_take(c, MQTT_SUBACK, RULE(s, "3.8.4-1", "3.8.4-1"))->as.suback;
    MUST_BY(s, RULE(s, "3.8.4-2", "3.8.4-2"), p->packet_id == 0x42, "SUBACK with another id");
    return p->reasons;
}

static const char *three_filters(struct scene *s, const char *const options[3])
{
    return arena_printf(&s->arena, "<%s> %s <%s> %s <%s> %s", scene_topic(s, "a"), options[0],
                        scene_topic(s, "b"), options[1], scene_topic(s, "c"), options[2]);
}

static void code_for_each(struct scene *s)
{
    const char *options[3] = {"00", "01", "02"};
    struct client *c = join(s);
    struct mqtt_str codes = suback_of(c, three_filters(s, options));

    MUST_BY(s, RULE(s, "3.8.4-6", "3.8.4-5"), codes.len == 3, "%u codes for three filters",
            codes.len);
    for (unsigned i = 0; i < 3; i++)
        MUST_BY(s, RULE(s, "3.8.4-7", "3.8.4-5"), codes.p[i] <= i || codes.p[i] >= 0x80,
                "QoS %u was asked for and 0x%02X granted", i, codes.p[i]);
}

/* The order shows where the codes differ: QoS 1 first, then last. */
static void codes_in_order(struct scene *s)
{
    static const char *const options[2][3] = {{"01", "00", "00"}, {"00", "00", "01"}};
    struct client *c = join(s);

    need_qos(s, 1);
    NEED(s, subscribe_code(c, scene_topic(s, "a"), 1) == 1, "the server does not grant QoS 1");
    for (unsigned i = 0; i < 2; i++) {
        struct mqtt_str codes = suback_of(c, three_filters(s, options[i]));

        MUST(s, codes.len == 3 && codes.p[2 * i] == 1 && codes.p[1] == 0 && codes.p[2 - 2 * i] == 0,
             "QoS %s, 00 and %s were asked for, the codes are %s", options[i][0], options[i][2],
             describe_bytes(&s->arena, codes));
    }
}

/* ---- what it does ---- */

/* The last of two in one packet holds, as with two packets. */
static void several_filters(struct scene *s)
{
    const char *topic = scene_topic(s, "t"), *other = scene_topic(s, "u");
    struct client *a = join(s), *b = join(s);

    need_qos(s, 1);
    suback_of(b, arena_printf(&s->arena, "<%s> 00 <%s> 00 <%s> 01", topic, other, topic));
    publish(a, topic, "x", 1, 0);
    MUST(s, expect(b, topic, "x")->qos == 1, "the first of two subscriptions holds");
    publish(a, other, "y", 1, 0);
    expect(b, other, "y");
    expect_nothing(a, b);
}

/* One that cannot be granted does not spoil the others. */
static void mixed_filters(struct scene *s)
{
    const char *topic = scene_topic(s, "t"), *other = scene_topic(s, "u");
    struct client *a = join(s), *b = join(s);
    const struct mqtt_suback *p;

    say(b, "82 # 0001 () <%s> 00 <a#> 00 <%s> 00", topic, other);
    NEED(s, alive(b), "the server closes the connection upon an invalid filter");
    p = &client_take(b, MQTT_SUBACK, NULL)->as.suback;
    MUST(s,
         p->reasons.len == 3 && p->reasons.p[0] == 0 && p->reasons.p[1] >= 0x80 &&
             p->reasons.p[2] == 0,
         "a right, a wrong and a right filter are answered with %s",
         describe_bytes(&s->arena, p->reasons));
    publish(a, topic, "x", 0, 0);
    publish(a, other, "y", 0, 0);
    expect(b, topic, "x");
    expect(b, other, "y");
}

static void replaced(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = join(s);

    need_qos(s, 2);
    subscribe(b, topic, 0);
    subscribe(b, topic, 2);
    publish(a, topic, "x", 2, 0);
    MUST(s, expect(b, topic, "x")->qos == 2, "the old subscription holds");
    subscribe(b, topic, 1);
    publish(a, topic, "y", 2, 0);
    MUST(s, expect(b, topic, "y")->qos == 1, "the old subscription holds");
    expect_nothing(a, b);
}

/* With all options and its identifier. */
static void options_replaced(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = join(s);
    const struct mqtt_publish *m;

    need_retain(s);
    need_subscription_id(s);
    subscribe_id(b, topic, MQTT_SUB_NO_LOCAL | MQTT_SUB_RETAIN_AS_PUBLISHED, 5);
    publish(b, topic, "own", 0, 0);
    expect_nothing(b, b);
    subscribe(b, topic, HANDLING(2));
    publish(b, topic, "own", 0, 0);
    m = expect(b, topic, "own");
    MUST(s, !MQTT_HAS(&m->props, subscription_id), "the old Subscription Identifier is there");
    publish(a, topic, "x", 0, RETAIN);
    MUST(s, !expect(b, topic, "x")->retain, "the old Retain As Published holds");
    subscribe_id(b, topic, HANDLING(2), 6);
    publish(a, topic, "y", 0, 0);
    m = expect(b, topic, "y");
    MUST(s, MQTT_HAS(&m->props, subscription_id) && m->props.subscription_id == 6,
         "the new Subscription Identifier is not there");
    expect_nothing(a, b);
}

/* Again and again in a running stream: retained messages come each time, nothing is lost. */
static void replaced_without_loss(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = join(s);
    unsigned seen = 0, retained = 0;

    need_qos(s, 1);
    publish(a, topic, "kept", 1, RETAIN);
    subscribe(b, topic, 1);
    for (unsigned i = 0; i < 40; i++) {
        publish_start(a, topic, arena_printf(&s->arena, "%02u", i), 1, 0);
        if (i % 8 == 4)
            subscribe(b, topic, 1);
    }
    while (seen < 40) {
        const struct mqtt_publish *m = message(b);

        if (is_text(m->payload, "kept")) {
            retained++;
            continue;
        }
        MUST(s, is_text(m->payload, arena_printf(&s->arena, "%02u", seen)),
             "message %02u is missing, %.*s came", seen, (int)m->payload.len, m->payload.p);
        seen++;
    }
    settle(a, b);
    while (peek_message(b) != NULL)
        retained += is_text(message(b)->payload, "kept");
    MUST(s, retained == 6, "the retained message came %u times for 6 subscriptions", retained);
}

static void lower_qos_counts(struct scene *s)
{
    struct client *a = join(s), *b = join(s);

    need_qos(s, 2);
    for (uint8_t granted = 0; granted <= 2; granted++) {
        const char *topic = scene_topic(s, arena_printf(&s->arena, "%u", granted));

        subscribe(b, topic, granted);
        for (uint8_t qos = 0; qos <= 2; qos++) {
            uint8_t lower = qos < granted ? qos : granted;

            publish(a, topic, "x", qos, 0);
            MUST(s, expect(b, topic, "x")->qos == lower,
                 "a message of QoS %u to a subscription of QoS %u has not QoS %u", qos, granted,
                 lower);
        }
    }
}

static void wildcards_granted(struct scene *s)
{
    struct client *a = join(s), *b = join(s);
    uint8_t code = subscribe_code(b, scene_topic(s, "a/#"), 0);

    publish(a, scene_topic(s, "a/b"), "x", 0, 0);
    if (code < 0x80)
        expect(b, scene_topic(s, "a/b"), "x");
    else
        expect_nothing(a, b);
}

/* ---- No Local ---- */

static void no_local(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = join(s);

    subscribe(b, topic, MQTT_SUB_NO_LOCAL);
    publish(b, topic, "own", 0, 0);
    publish(a, topic, "other", 0, 0);
    expect(b, topic, "other");
    expect_nothing(b, b);
}

/* It is about the client identifier, and about each subscription by itself. */
static void no_local_session(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *b = JOIN(s, .expiry_s = 60);

    need_qos(s, 1);
    subscribe(b, topic, 1 | MQTT_SUB_NO_LOCAL);
    publish(b, topic, "own", 1, 0);
    leave(b);
    b = JOIN(s, .id = b->id, .resume = true, .expiry_s = 60);
    publish(b, topic, "own again", 1, 0);
    expect_nothing(b, b);
    need_wildcard(s);
    subscribe(b, scene_topic(s, "+"), 0);
    publish(b, topic, "by the other", 0, 0);
    expect(b, topic, "by the other");
    expect_nothing(b, b);
}

static void no_local_shared(struct scene *s)
{
    struct client *c = join(s);

    need_shared(s);
    say(c, "82 # 0001 () <$share/group/%s> 04", scene_topic(s, "t"));
    expect_close(c, "82");
}

/* ---- UNSUBSCRIBE ---- */

static void exact_match(struct scene *s)
{
    const char *topic = scene_topic(s, "a/b");
    struct client *a = join(s), *b = join(s);

    need_wildcard(s);
    subscribe(b, scene_topic(s, "a/+"), 0);
    unsubscribe(b, topic);
    unsubscribe(b, scene_topic(s, "A/+"));
    unsubscribe(b, scene_topic(s, "a/#"));
    unsubscribe(b, scene_topic(s, "a/+/"));
    publish(a, topic, "still", 0, 0);
    expect(b, topic, "still");
    unsubscribe(b, scene_topic(s, "a/+"));
    publish(a, topic, "no more", 0, 0);
    expect_nothing(a, b);
}

/* One of two that overlap. */
static void other_stays(struct scene *s)
{
    const char *topic = scene_topic(s, "a");
    struct client *a = join(s), *b = join(s);

    need_wildcard(s);
    subscribe(b, topic, 0);
    subscribe(b, scene_topic(s, "+"), 0);
    unsubscribe(b, topic);
    publish(a, topic, "x", 0, 0);
    expect(b, topic, "x");
    expect_nothing(a, b);
}

static void nothing_after(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = join(s);

    subscribe(b, topic, 1);
    unsubscribe(b, topic);
    publish(a, topic, "x", 0, 0);
    publish(a, topic, "y", s->at.features->maximum_qos > 0, 0);
    expect_nothing(a, b);
}

static void delivery_completed(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = JOIN(s, .manual = true, .expiry_s = 60);
    uint16_t id;

    need_qos(s, 2);
    subscribe(b, topic, 2);
    publish(a, topic, "x", 2, 0);
    id = expect(b, topic, "x")->packet_id;
    unsubscribe(b, topic);
    acknowledge(b, MQTT_PUBREC, id, 0);
    expect_ack(b, MQTT_PUBREL, id);
    leave(b);
    b = JOIN(s, .id = b->id, .resume = true, .manual = true, .expiry_s = 60);
    expect_ack(b, MQTT_PUBREL, id);
    acknowledge(b, MQTT_PUBCOMP, id, 0);
    ping(b);
}

static void unsubscribe_answered(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *c = join(s);

    subscribe(c, topic, 0);
    unsubscribe(c, topic);
    ping(c);
    MUST(s, client_find(c, 0) == NULL, "more than one answer");
}

static void unsubscribe_unknown(struct scene *s)
{
    struct client *c = join(s);
    uint8_t reason = unsubscribe(c, scene_topic(s, "never"));

    SHOULD(s, s->version != MQTT_V5 || reason == 0x11,
           "a filter without subscription is answered with 0x%02X, expected 0x11", reason);
}

static void several_unsubscribed(struct scene *s)
{
    const char *t[3] = {scene_topic(s, "a"), scene_topic(s, "never"), scene_topic(s, "b")};
    struct client *a = join(s), *b = join(s);
    const struct mqtt_suback *p;

    subscribe(b, t[0], 0);
    subscribe(b, t[2], 0);
    say(b, "a2 # 0033 %s <%s> <%s> <%s>", no_props(s), t[0], t[1], t[2]);
    p = &client_take(b, MQTT_UNSUBACK, NULL)->as.suback;
    MUST(s, p->packet_id == 0x33, "UNSUBACK with another id");
    if (s->version == MQTT_V5)
        MUST_BY(s, "3.11.3-1",
                p->reasons.len == 3 && p->reasons.p[0] == 0 &&
                    (p->reasons.p[1] == 0x11 || p->reasons.p[1] == 0) && p->reasons.p[2] == 0,
                "filters that are there, not there and there are answered with %s",
                describe_bytes(&s->arena, p->reasons));
    for (unsigned i = 0; i < 3; i++)
        publish(a, t[i], "x", 0, 0);
    expect_nothing(a, b);
}

/* clang-format off */
CHAPTER(subscribe, "SUBSCRIBE and UNSUBSCRIBE",
    {"subscribe_flags",           subscribe_flags,          "3.8.1-1",  "3.8.1-1",  NULL, 0},
    {"unsubscribe_flags",         unsubscribe_flags,        "3.10.1-1", "3.10.1-1", NULL, 0},
    {"subscribe_nothing",         subscribe_nothing,        "3.8.3-2",  "3.8.3-3",  NULL, 0},
    {"unsubscribe_nothing",       unsubscribe_nothing,      "3.10.3-2", "3.10.3-2", NULL, 0},
    {"subscribe_options",         option_bits,              "3.8.3-5",  "3.8.3-4",  NULL, 0},
    {"subscribe_properties_wrong", subscribe_property_wrong, "4.13.1-1", NULL,      NULL, 0},
    {"filter_beyond_packet",      filter_beyond_packet,     "3.10.3-1", "3.10.3-1", NULL, 0},
    {"subscribe_answered",        answered,                 "3.8.4-1 3.8.4-2", "3.8.4-1 3.8.4-2", "V31-3.8-1", 0},
    {"suback_codes",              code_for_each,            "3.8.4-6 3.8.4-7", "3.8.4-5", "V31-3.8-1", 0},
    {"suback_order",              codes_in_order,           "3.9.3-1",  "3.9.3-1",  "V31-3.8-1", 0},
    {"subscribe_several",         several_filters,          "3.8.4-5",  "3.8.4-4",  NULL, 0},
    {"subscribe_mixed",           mixed_filters,            "3.8.4-5",  NULL,       NULL, 0},
    {"subscribe_replaces",        replaced,                 "3.8.4-3",  "3.8.4-3",  NULL, 0},
    {"subscribe_replaces_options", options_replaced,        "3.8.4-3",  NULL,       NULL, 0},
    {"subscribe_loses_nothing",   replaced_without_loss,    "3.8.4-4",  "3.8.4-3",  NULL, 0},
    {"delivery_qos",              lower_qos_counts,         "3.8.4-8",  "3.8.4-6",  "V31-3.8-2", 0},
    {"wildcards_granted",         wildcards_granted,        NULL,       "3.8.3-2",  NULL, 0},
    {"no_local",                  no_local,                 "3.8.3-3",  NULL,       NULL, 0},
    {"no_local_session",          no_local_session,         "3.8.3-3",  NULL,       NULL, 0},
    {"no_local_shared",           no_local_shared,          "3.8.3-4",  NULL,       NULL, 0},
    {"unsubscribe_exact",         exact_match,              "3.10.4-1", "3.10.4-1", NULL, 0},
    {"unsubscribe_one",           other_stays,              "3.10.4-1", "3.10.4-1", NULL, 0},
    {"unsubscribe_stops",         nothing_after,            "3.10.4-2", "3.10.4-2", "V31-3.10-1", 0},
    {"unsubscribe_completes",     delivery_completed,       "3.10.4-3", "3.10.4-3", NULL, 0},
    {"unsubscribe_answered",      unsubscribe_answered,     "3.10.4-4 3.10.4-5", "3.10.4-4", "V31-3.10-1", 0},
    {"unsubscribe_unknown",       unsubscribe_unknown,      "3.10.4-5", "3.10.4-5", "V31-3.10-1", 0},
    {"unsubscribe_several",       several_unsubscribed,     "3.10.4-6 3.11.3-1", "3.10.4-6", NULL, 0},
);
/* clang-format on */

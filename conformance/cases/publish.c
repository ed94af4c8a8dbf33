/* publish: PUBLISH from a client, and what its subscribers get.                [v5 3.3] [v3 3.3] */
#include "conformance/cases/chapters.h"

/* A publisher and a subscriber of the same topic, at this QoS. */
struct pair {
    const char *topic;
    struct client *a, *b;
};

static struct pair pair_up(struct scene *s, uint8_t options)
{
    struct pair p = {.topic = scene_topic(s, "t")};

    need_qos(s, MQTT_SUB_QOS(options));
    p.a = join(s);
    p.b = join(s);
    subscribe(p.b, p.topic, options);
    return p;
}

/* ---- the fixed header ---- */

static void dup_not_passed_on(struct scene *s)
{
    struct pair p = pair_up(s, 2);

    publish(p.a, p.topic, "x", 1, DUP);
    MUST(s, !expect(p.b, p.topic, "x")->dup, "DUP of the publisher is passed on");
    publish(p.a, p.topic, "y", 2, DUP);
    MUST(s, !expect(p.b, p.topic, "y")->dup, "DUP of the publisher is passed on");
}

/* Also when QoS 1 with DUP becomes QoS 0. */
static void no_dup_at_qos_0(struct scene *s)
{
    struct pair p = pair_up(s, 0);
    const struct mqtt_publish *m;

    publish(p.a, p.topic, "x", 1, DUP);
    m = expect_by(p.b, RULE(s, "4.5.0-1", "4.5.0-1"), p.topic, "x");
    MUST(s, m->qos == 0 && !m->dup, "QoS %u with DUP %d", m->qos, m->dup);
    publish(p.a, p.topic, "y", 0, 0);
    m = expect(p.b, p.topic, "y");
    MUST(s, m->qos == 0 && !m->dup, "QoS %u with DUP %d", m->qos, m->dup);
}

static void qos_3(struct scene *s)
{
    struct pair p = pair_up(s, 0);

    say(p.a, "36 # <%s> 0001 %s [x]", p.topic, no_props(s));
    expect_close(p.a, "81");
    expect_nothing(p.b, p.b);
}

static void answers(struct scene *s)
{
    struct client *c = join(s);
    const char *topic = scene_topic(s, "t");

    publish(c, topic, "0", 0, 0);
    ping(c);
    MUST(s, client_find(c, 0) == NULL, "a PUBLISH of QoS 0 is answered");
    need_qos(s, 1);
    publish(c, topic, "1", 1, 0);
    ping(c);
    MUST(s, client_find(c, 0) == NULL, "PUBACK is not the only answer to QoS 1");
    need_qos(s, 2);
    publish(c, topic, "2", 2, 0);
    ping(c);
    MUST(s, client_find(c, 0) == NULL, "PUBREC and PUBCOMP are not the only answers to QoS 2");
}

/* ---- the topic ---- */

/* 5.0 lets the server choose between closing and a reason; nothing is delivered either way. */
static void rejected(struct client *c, uint8_t qos, uint16_t id)
{
    struct scene *s = c->scene;

    if (s->version != MQTT_V5 || qos == 0 || !alive(c)) {
        expect_close(c, "81 82 90");
        return;
    }
    MUST(s, expect_ack(c, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, id) >= 0x80,
         "%s: a PUBLISH that is wrong is accepted", c->name);
}

static void topic_with_wildcard(struct scene *s)
{
    const char *const names[] = {scene_topic(s, "#"), scene_topic(s, "+"), scene_topic(s, "a+b"),
                                 scene_topic(s, "a/#/b")};
    struct client *watcher = join(s);
    uint8_t qos = s->at.features->maximum_qos > 0;

    need_wildcard(s);
    subscribe(watcher, scene_topic(s, "#"), 0);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct client *c = join(s);

        if (qos == 0)
            say(c, "30 # <%s> %s [x]", names[i], no_props(s));
        else
            say(c, "32 # <%s> 0001 %s [x]", names[i], no_props(s));
        rejected(c, qos, 1);
    }
    expect_nothing(watcher, watcher);
}

static void topic_beyond_packet(struct scene *s)
{
    struct client *c = join(s), *d = join(s);

    say(c, "30 # 00ff [abc]");
    say(d, "30 # 00");
    expect_close(c, "81");
    expect_close(d, "81");
}

/* What comes has the topic that was published to, and only what matches comes. */
static void topic_matches(struct scene *s)
{
    static const char *const names[] = {"a", "a/b", "a/c", "b/a", "a/b/c", "/a", "a/"};
    struct client *a = join(s), *b = join(s);

    need_wildcard(s);
    subscribe(b, scene_topic(s, "a/+"), 0);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        publish(a, scene_topic(s, names[i]), names[i], 0, 0);
    expect(b, scene_topic(s, "a/b"), "a/b");
    expect(b, scene_topic(s, "a/c"), "a/c");
    expect(b, scene_topic(s, "a/"), "a/");
    expect_nothing(a, b);
}

/* ---- properties that are passed on ---- */

static const char *user_properties(struct scene *s, const struct mqtt_publish *m)
{
    struct mqtt_property_view v;
    const char *text = "";
    uint32_t at = 0;

    while (mqtt_props_next(m->props.raw, &at, &v))
        if (v.id == MQTT_PROP_user_property)
            text = arena_printf(&s->arena, "%s%.*s=%.*s;", text, (int)v.text.len, v.text.p,
                                (int)v.value.len, v.value.p);
    return text;
}

#define PROPERTIES                                                                          \
    "01 01 03 <text/plain> 08 <reply/to> 09 {00 01 ff 00 80} 26 <name> <1> 26 <other> <2> " \
    "26 <name> <1> 26 <> <> 26 <name> <0>"
#define USER_PROPERTIES "name=1;other=2;name=1;=;name=0;"

static void check_properties(struct scene *s, const struct mqtt_publish *m)
{
    const struct mqtt_props *p = &m->props;
    const char *user = user_properties(s, m);

    MUST_BY(s, "3.3.2-4", MQTT_HAS(p, payload_format) && p->payload_format == 1,
            "the Payload Format Indicator is not passed on");
    MUST_BY(s, "3.3.2-20", MQTT_HAS(p, content_type) && is_text(p->content_type, "text/plain"),
            "the Content Type is not passed on");
    MUST_BY(s, "3.3.2-15", MQTT_HAS(p, response_topic) && is_text(p->response_topic, "reply/to"),
            "the Response Topic is not passed on");
    MUST_BY(s, "3.3.2-16",
            MQTT_HAS(p, correlation_data) && p->correlation_data.len == 5 &&
                memcmp(p->correlation_data.p, "\0\1\xff\0\x80", 5) == 0,
            "the Correlation Data are not passed on");
    MUST_BY(s, "3.3.2-17", strlen(user) == strlen(USER_PROPERTIES),
            "the User Properties arrive as %s instead of %s", user, USER_PROPERTIES);
    MUST_BY(s, "3.3.2-18", strcmp(user, USER_PROPERTIES) == 0,
            "the User Properties arrive as %s instead of %s", user, USER_PROPERTIES);
}

static void properties_passed_on(struct scene *s)
{
    struct mqtt_props props = with_encoded(s, PROPERTIES);
    struct pair p = pair_up(s, 0);
    struct client *c = join(s);

    subscribe(c, p.topic, 0);
    publish_props(p.a, p.topic, "x", 0, 0, &props);
    check_properties(s, expect(p.b, p.topic, "x"));
    check_properties(s, expect(c, p.topic, "x"));
}

/* Through a queue and as a retained message, too. */
static void properties_kept(struct scene *s)
{
    struct mqtt_props props = with_encoded(s, PROPERTIES);
    const char *topic = scene_topic(s, "t"), *id;
    struct client *a = join(s), *b = JOIN(s, .expiry_s = 60);

    need_qos(s, 1);
    subscribe(b, topic, 1);
    id = b->id;
    leave(b);
    publish_props(a, topic, "waiting", 1, 0, &props);
    b = JOIN(s, .id = id, .resume = true, .expiry_s = 60);
    check_properties(s, expect(b, topic, "waiting"));
    publish_props(a, topic, "retained", 1, RETAIN, &props);
    b = join(s);
    subscribe(b, topic, 1);
    check_properties(s, expect(b, topic, "retained"));
}

static void response_topic_with_wildcard(struct scene *s)
{
    struct pair p = pair_up(s, 0);
    uint8_t qos = s->at.features->maximum_qos > 0;

    if (qos == 0)
        say(p.a, "30 # <%s> (08 <a/#>) [x]", p.topic);
    else
        say(p.a, "32 # <%s> 0001 (08 <a/#>) [x]", p.topic);
    rejected(p.a, qos, 1);
    expect_nothing(p.b, p.b);
}

static void subscription_id_from_client(struct scene *s)
{
    struct pair p = pair_up(s, 0);

    say(p.a, "30 # <%s> (0b 01) [x]", p.topic);
    expect_close(p.a, "82");
    expect_nothing(p.b, p.b);
}

static void property_repeated(struct scene *s)
{
    static const char *const lists[] = {"(01 01 01 01)", "(02 00000001 02 00000001)",
                                        "(03 <a> 03 <b>)", "(11 00000001)", "(1f <why>)"};
    const char *topic = scene_topic(s, "t");
    struct client *c[ARRAY_LEN(lists)];

    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        c[i] = join(s);
        say(c[i], "30 # <%s> %s [x]", topic, lists[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        expect_close(c[i], "82 81");
}

/* ---- expiry ---- */

static struct mqtt_props expiry(uint32_t seconds)
{
    struct mqtt_props props = {.present = 0};

    MQTT_SET(&props, message_expiry_s, seconds);
    return props;
}

/* Neither for a session that comes back later, nor as a retained message. */
static void expires(struct scene *s)
{
    struct mqtt_props props = expiry(1);
    const char *topic = scene_topic(s, "t"), *kept = scene_topic(s, "r"), *id;
    struct client *a = join(s), *b = JOIN(s, .expiry_s = 60);

    need_qos(s, 1);
    subscribe(b, topic, 1);
    id = b->id;
    leave(b);
    publish_props(a, topic, "too late", 1, 0, &props);
    publish(a, topic, "in time", 1, 0);
    if (s->at.features->retain)
        publish_props(a, kept, "retained", 1, RETAIN, &props);
    scene_sleep(s, 2500000);
    b = JOIN(s, .id = id, .resume = true, .expiry_s = 60);
    expect(b, topic, "in time");
    subscribe(b, kept, 1);
    expect_nothing(a, b);
}

/* Less by the seconds it waited, which are known but for a second. */
static void expiry_counts_down(struct scene *s)
{
    struct mqtt_props props = expiry(30);
    const char *topic = scene_topic(s, "t"), *id;
    struct client *a = join(s), *b = JOIN(s, .expiry_s = 60);
    const struct mqtt_publish *m;
    uint64_t sent_us, waited_min_us;
    uint32_t at_most, at_least;

    need_qos(s, 1);
    subscribe(b, topic, 1);
    publish_props(a, topic, "now", 1, 0, &props);
    m = expect(b, topic, "now");
    MUST(s,
         MQTT_HAS(&m->props, message_expiry_s) && m->props.message_expiry_s <= 30 &&
             m->props.message_expiry_s >= 29,
         "a message that did not wait has lost its expiry, or seconds of it");
    publish(a, topic, "without", 1, 0);
    MUST(s, !MQTT_HAS(&expect(b, topic, "without")->props, message_expiry_s),
         "a message without expiry has one now");
    id = b->id;
    leave(b);
    sent_us = clock_us();
    publish_props(a, topic, "later", 1, 0, &props);
    waited_min_us = clock_us();
    scene_sleep(s, 2000000);
    waited_min_us = clock_us() - waited_min_us;
    b = JOIN(s, .id = id, .resume = true, .expiry_s = 60);
    m = expect(b, topic, "later");
    at_most = 30 - (uint32_t)(waited_min_us / 1000000) + 1;
    at_least = 30 - (uint32_t)((clock_us() - sent_us) / 1000000) - 1;
    MUST(s,
         MQTT_HAS(&m->props, message_expiry_s) && m->props.message_expiry_s <= at_most &&
             m->props.message_expiry_s >= at_least,
         "30 s of expiry are %u s after %.1f s",
         MQTT_HAS(&m->props, message_expiry_s) ? m->props.message_expiry_s : 0,
         (double)waited_min_us / 1e6);
}

/* ---- several subscriptions ---- */

/* At least one copy at the highest QoS, and no more copies than subscriptions. */
static void overlapping(struct scene *s)
{
    const char *topic = scene_topic(s, "a/b");
    struct client *a = join(s), *b = join(s);
    uint8_t highest = 0;
    unsigned copies = 0;
    struct packet *p;

    need_wildcard(s);
    need_qos(s, 2);
    subscribe(b, scene_topic(s, "a/#"), 2);
    subscribe(b, scene_topic(s, "a/+"), 1);
    subscribe(b, topic, 0);
    publish(a, topic, "x", 2, 0);
    settle(a, b);
    for (; (p = peek_message(b)) != NULL; copies++) {
        if (p->as.publish.qos > highest)
            highest = p->as.publish.qos;
        list_remove(&p->link);
    }
    MUST(s, highest == 2, "no copy has the highest QoS of the subscriptions");
    MUST(s, copies <= 3, "%u copies for 3 subscriptions", copies);
}

/* Bit n of the result: Subscription Identifier n is there. */
static unsigned sub_ids(const struct mqtt_publish *m, unsigned *count)
{
    struct mqtt_property_view v;
    unsigned set = 0;
    uint32_t at = 0;

    *count = 0;
    while (mqtt_props_next(m->props.raw, &at, &v))
        if (v.id == MQTT_PROP_subscription_id && v.number < 32) {
            set |= 1u << v.number;
            ++*count;
        }
    return set;
}

/* Three matching subscriptions, two with an identifier: which rule holds depends on the number of
 * copies. */
static void subscription_ids(struct scene *s)
{
    const char *topic = scene_topic(s, "a/b");
    struct client *a = join(s), *b = join(s);
    unsigned all = 0, copies = 0, first = 0, count;
    bool one_each = true;
    struct packet *p;

    need_wildcard(s);
    need_subscription_id(s);
    subscribe_id(b, scene_topic(s, "a/#"), 0, 1);
    subscribe_id(b, scene_topic(s, "a/+"), 0, 2);
    subscribe(b, topic, 0);
    subscribe_id(b, scene_topic(s, "b"), 0, 3);
    publish(a, topic, "x", 0, 0);
    settle(a, b);
    for (; (p = peek_message(b)) != NULL; copies++) {
        unsigned set = sub_ids(&p->as.publish, &count);

        first = copies == 0 ? set : first;
        all |= set;
        one_each = one_each && count <= 1;
        list_remove(&p->link);
    }
    MUST_BY(s, "3.3.4-3", all == (1u << 1 | 1u << 2),
            "the Subscription Identifiers of all copies together are not 1 and 2");
    if (copies == 1) {
        MUST_BY(s, "3.3.4-4", first == all, "the only copy has not all Subscription Identifiers");
        scene_skip_some(s, "3.3.4-5", "the server sends one copy");
    } else {
        MUST_BY(s, "3.3.4-5", one_each, "a copy has the Subscription Identifier of another");
        scene_skip_some(s, "3.3.4-4", "the server sends several copies");
    }
}

/* The largest one, and with what is retained. */
static void subscription_id_values(struct scene *s)
{
    static const uint32_t values[] = {1, 127, 128, 16384, 268435455};
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = join(s);

    need_subscription_id(s);
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        const struct mqtt_publish *m;

        subscribe_id(b, topic, 0, values[i]);
        publish(a, topic, "x", 0, 0);
        m = expect(b, topic, "x");
        MUST(s, MQTT_HAS(&m->props, subscription_id) && m->props.subscription_id == values[i],
             "the Subscription Identifier %u does not come with the message", values[i]);
    }
}

/* ---- not allowed ---- */

/* 3.1.1: acknowledged as if nothing were wrong, or the connection is closed. */
static void not_authorized(struct scene *s)
{
    const char *topic = denied_topic(s);
    struct client *watcher = join(s), *c = join(s);

    NEED(s, subscribe_code(watcher, topic, 0) < 0x80, "%s cannot be subscribed to", topic);
    watcher->sees_all = true;
    for (unsigned qos = 1; qos <= 2; qos++) {
        need_qos(s, (uint8_t)qos);
        say(c, "%02x # <%s> %04x %s [x]", 0x30 | qos << 1, topic, qos, no_props(s));
        if (!alive(c)) {
            expect_close(c, NULL);
            c = join(s);
            continue;
        }
        expect_ack(c, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, (uint16_t)qos);
    }
    settle(c, watcher);
    NEED(s, peek_message(watcher) == NULL,
         "the server lets clients publish to %s; see "
         "--denied-topic",
         topic);
}

/* 5.0: after a PUBREC that refuses, the identifier means a new message. */
static void refused_qos2(struct scene *s)
{
    const char *topic = denied_topic(s), *allowed = scene_topic(s, "t");
    struct client *b = join(s), *c = join(s);
    struct packet *p;

    need_qos(s, 2);
    subscribe(b, allowed, 2);
    say(c, "34 # <%s> 0007 () [x]", topic);
    NEED(s, alive(c), "the server closes the connection of who publishes to %s", topic);
    p = client_find(c, MQTT_PUBREC);
    NEED(s, p != NULL && p->as.ack.reason >= 0x80,
         "the server lets clients publish to %s; see --denied-topic", topic);
    list_remove(&p->link);
    say(c, "34 # <%s> 0007 () [new]", allowed);
    MUST(s, expect_ack(c, MQTT_PUBREC, 7) < 0x80, "the new message is refused, too");
    acknowledge(c, MQTT_PUBREL, 7, 0);
    expect_ack(c, MQTT_PUBCOMP, 7);
    expect(b, allowed, "new");
}

/* clang-format off */
CHAPTER(publish, "PUBLISH",
    {"dup_not_passed_on",          dup_not_passed_on,            "3.3.1-3",         "3.3.1-3",         NULL, 0},
    {"dup_never_at_qos_0",         no_dup_at_qos_0,              "3.3.1-2 4.3.1-1", "3.3.1-2 4.3.1-1", NULL, 0},
    {"qos_3",                      qos_3,                        "3.3.1-4",         "3.3.1-4",         NULL, 0},
    {"publish_answers",            answers,                      "3.3.4-1",         "3.3.4-1",         "V31-4.1-1 V31-4.1-2", 0},
    {"topic_with_wildcard",        topic_with_wildcard,          "3.3.2-2 4.7.0-1", "3.3.2-2 4.7.1-1", NULL, 0},
    {"topic_beyond_packet",        topic_beyond_packet,          "3.3.2-1",         "3.3.2-1",         NULL, 0},
    {"topic_matches",              topic_matches,                "3.3.2-3",         "3.3.2-3",         "V31-A-1", 0},
    {"properties_passed_on",       properties_passed_on,         "3.3.2-4 3.3.2-15 3.3.2-16 3.3.2-17 3.3.2-18 3.3.2-20", NULL, NULL, 0},
    {"properties_kept",            properties_kept,              "3.3.2-4 3.3.2-15 3.3.2-16 3.3.2-17 3.3.2-18 3.3.2-20 3.3.1-5", NULL, NULL, 0},
    {"response_topic_wildcard",    response_topic_with_wildcard, "3.3.2-14",        NULL,              NULL, 0},
    {"subscription_id_of_client",  subscription_id_from_client,  "3.3.4-6",         NULL,              NULL, 0},
    {"publish_properties_wrong",   property_repeated,            "4.13.1-1",        NULL,              NULL, 0},
    {"message_expires",            expires,                      "3.3.2-5",         NULL,              NULL, SLOW},
    {"message_expiry_counts_down", expiry_counts_down,           "3.3.2-6",         NULL,              NULL, SLOW},
    {"overlapping_subscriptions",  overlapping,                  "3.3.4-2",         "3.3.5-1",         NULL, 0},
    {"subscription_ids",           subscription_ids,             "3.3.4-3 3.3.4-4 3.3.4-5", NULL,      NULL, 0},
    {"subscription_id_values",     subscription_id_values,       "3.3.4-3",         NULL,              NULL, 0},
    {"not_authorized",             not_authorized,               NULL,              "3.3.5-2",         NULL, 0},
    {"refused_qos_2",              refused_qos2,                 "4.3.3-9",         NULL,              NULL, 0},
);
/* clang-format on */

/* shared: shared subscriptions.                                                    [v5 4.8.2] */
#include "conformance/cases/chapters.h"

static const char *shared(struct scene *s, const char *group, const char *filter)
{
    return arena_printf(&s->arena, "$share/%s/%s", group, filter);
}

static void refused(struct scene *s, const char *const *filters, size_t n)
{
    need_shared(s);
    for (size_t i = 0; i < n; i++) {
        struct client *c = join(s);
        const struct mqtt_suback *p;

        say(c, "82 # 0001 () <%s> 00", filters[i]);
        if (!alive(c)) {
            expect_close(c, "81 82 8f");
            continue;
        }
        p = &client_take(c, MQTT_SUBACK, NULL)->as.suback;
        MUST(s, p->reasons.len == 1 && p->reasons.p[0] >= 0x80, "the filter %s is granted",
             filters[i]);
        SHOULD(s, p->reasons.p[0] == 0x8f, "the filter %s is answered with 0x%02X, expected 0x8F",
               filters[i], p->reasons.p[0]);
        leave(c);
    }
}

static void name_missing(struct scene *s)
{
    static const char *const filters[] = {"$share//t", "$share/"};

    refused(s, filters, ARRAY_LEN(filters));
}

static void name_wrong(struct scene *s)
{
    static const char *const filters[] = {"$share/g",   "$share/g/",  "$share/g+/t",
                                          "$share/#/t", "$share/+/t", "$share/g/a#"};

    refused(s, filters, ARRAY_LEN(filters));
}

/* What follows the name and its / is the filter, an empty first level included. */
static void filter_follows(struct scene *s)
{
    const char *topic = arena_printf(&s->arena, "/%s", s->tag);
    struct client *a = join(s), *b = join(s);

    need_shared(s);
    subscribe(b, shared(s, "g", topic), 0);
    publish(a, topic, "x", 0, 0);
    expect(b, topic, "x");
    publish(a, s->tag, "y", 0, 0);
    expect_nothing(a, b);
}

/* Which of the two has got a message. It may take another way than a mark: it is waited for. */
static struct client *either(struct client *b, struct client *c)
{
    struct scene *s = b->scene;

    while (peek_message(b) == NULL && peek_message(c) == NULL)
        MUST(s, scene_poll(s, clock_us() + s->at.patience_us), "no member gets the message");
    return peek_message(b) != NULL ? b : c;
}

/* Each member gets what it gets at its own QoS. */
static void qos_of_member(struct scene *s)
{
    const char *topic = scene_topic(s, "t"), *filter = shared(s, "g", topic);
    struct client *a = join(s), *low = join(s), *high = join(s);
    struct packet *p;
    unsigned n = 0;

    need_shared(s);
    need_qos(s, 2);
    subscribe(low, filter, 0);
    subscribe(high, filter, 2);
    for (unsigned i = 0; i < 10; i++)
        publish(a, topic, "x", 2, 0);
    while (n < 10) {
        struct client *c = either(low, high);

        p = peek_message(c);
        MUST(s, p->as.publish.qos == (c == low ? 0 : 2), "a member with QoS %u gets QoS %u",
             c == low ? 0 : 2, p->as.publish.qos);
        list_remove(&p->link);
        n++;
    }
}

/* Two members of a group, and the one that gets the message. */
struct group {
    const char *topic;
    struct client *a, *chosen, *other;
    uint16_t id;
};

static struct group make_group(struct scene *s, uint8_t qos, uint32_t expiry_s)
{
    struct group g = {.topic = scene_topic(s, "t"), .a = join(s)};
    const char *filter = shared(s, "g", g.topic);
    struct client *b = JOIN(s, .manual = true, .expiry_s = expiry_s);
    struct client *c = JOIN(s, .manual = true, .expiry_s = expiry_s);

    need_shared(s);
    need_qos(s, qos);
    subscribe(b, filter, qos);
    subscribe(c, filter, qos);
    publish(g.a, g.topic, "x", qos, 0);
    g.chosen = either(b, c);
    g.other = g.chosen == b ? c : b;
    g.id = expect(g.chosen, g.topic, "x")->packet_id;
    settle(g.a, g.other);
    MUST(s, peek_message(g.other) == NULL, "both members get the message");
    return g;
}

/* Broken off between PUBLISH and PUBCOMP: it goes on with the same member. */
static void qos_2_completed(struct scene *s)
{
    struct group g = make_group(s, 2, 60);
    struct client *c;

    drop(g.chosen);
    c = JOIN(s, .id = g.chosen->id, .resume = true, .manual = true, .expiry_s = 60);
    MUST(s, expect(c, g.topic, "x")->packet_id == g.id, "sent again with another id");
    acknowledge(c, MQTT_PUBREC, g.id, 0);
    expect_ack(c, MQTT_PUBREL, g.id);
    acknowledge(c, MQTT_PUBCOMP, g.id, 0);
    ping(c);
    expect_nothing(g.a, g.other);
}

static void qos_2_not_handed_on(struct scene *s)
{
    struct group g = make_group(s, 2, 0);

    drop(g.chosen);
    JOIN(s, .id = g.chosen->id); /* the old session is over */
    expect_nothing(g.a, g.other);
}

static void refusal_discards(struct scene *s)
{
    struct group g = make_group(s, 1, 60);

    acknowledge(g.chosen, MQTT_PUBACK, g.id, 0x80);
    ping(g.chosen);
    expect_nothing(g.a, g.other);
    leave(g.chosen);
    expect_nothing(g.a, g.other);
}

static void refusal_discards_qos_2(struct scene *s)
{
    struct group g = make_group(s, 2, 60);

    acknowledge(g.chosen, MQTT_PUBREC, g.id, 0x97);
    ping(g.chosen);
    expect_nothing(g.a, g.other);
}

/* UNSUBSCRIBE needs the whole of it. */
static void unsubscribed_by_name(struct scene *s)
{
    const char *topic = scene_topic(s, "t"), *filter = shared(s, "g", topic);
    struct client *a = join(s), *b = join(s);

    need_shared(s);
    subscribe(b, filter, 0);
    unsubscribe(b, topic);
    unsubscribe(b, shared(s, "h", topic));
    publish(a, topic, "x", 0, 0);
    expect(b, topic, "x");
    unsubscribe(b, filter);
    publish(a, topic, "y", 0, 0);
    expect_nothing(a, b);
}

static void not_available(struct scene *s)
{
    struct client *c = join(s);

    NEED(s, !s->at.features->shared, "the server has shared subscriptions");
    say(c, "82 # 0001 () <%s> 00", shared(s, "g", "t"));
    if (alive(c))
        MUST(s, client_take(c, MQTT_SUBACK, NULL)->as.suback.reasons.p[0] >= 0x80,
             "a shared subscription is granted where there are none");
    else
        expect_close(c, "9e");
}

/* The same for wildcards and Subscription Identifiers. */
static void others_not_available(struct scene *s)
{
    const struct features *f = s->at.features;
    struct client *c = join(s);

    NEED(s, !f->wildcard || !f->subscription_id, "the server has all kinds of subscriptions");
    if (!f->wildcard)
        say(c, "82 # 0001 () <%s> 00", scene_topic(s, "#"));
    else
        say(c, "82 # 0001 (0b 01) <%s> 00", scene_topic(s, "t"));
    if (alive(c))
        MUST(s, client_take(c, MQTT_SUBACK, NULL)->as.suback.reasons.p[0] >= 0x80,
             "a subscription is granted that is not available");
    else
        expect_close(c, f->wildcard ? "a1" : "a2");
}

/* clang-format off */
CHAPTER(shared, "Shared subscriptions",
    {"share_name_missing",     name_missing,           "4.8.2-1",         NULL, NULL, 0},
    {"share_name_wrong",       name_wrong,             "4.8.2-2",         NULL, NULL, 0},
    {"share_filter",           filter_follows,         "4.8.2-1 4.8.2-2", NULL, NULL, 0},
    {"share_qos",              qos_of_member,          "4.8.2-3",         NULL, NULL, 0},
    {"share_qos_2_completed",  qos_2_completed,        "4.8.2-4",         NULL, NULL, 0},
    {"share_qos_2_kept",       qos_2_not_handed_on,    "4.8.2-5",         NULL, NULL, 0},
    {"share_refused",          refusal_discards,       "4.8.2-6",         NULL, NULL, 0},
    {"share_refused_qos_2",    refusal_discards_qos_2, "4.8.2-6",         NULL, NULL, 0},
    {"share_unsubscribed",     unsubscribed_by_name,   "3.10.4-1",        NULL, NULL, 0},
    {"share_not_available",    not_available,          "4.13.1-1",        NULL, NULL, 0},
    {"subscribe_not_available", others_not_available,  "4.13.1-1",        NULL, NULL, 0},
);
/* clang-format on */

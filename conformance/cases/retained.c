/* retained: retained messages.                                      [v5 3.3.1.3] [v3 3.3.1.3] */
#include "conformance/cases/chapters.h"

#define HANDLING(n) ((n) << 4)

/* The next subscriber of the topic gets exactly this; NULL: nothing. */
static void late_subscriber_gets(struct scene *s, const char *topic, const char *payload)
{
    struct client *late = join(s);

    subscribe(late, topic, 0);
    if (payload != NULL)
        MUST(s, expect(late, topic, payload)->retain, "a retained message comes without RETAIN");
    expect_nothing(late, late);
    leave(late);
}

static void replaced(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s);

    publish(a, topic, "one", 1, RETAIN);
    publish(a, topic, "two", 1, RETAIN);
    late_subscriber_gets(s, topic, "two");
}

/* With its QoS. */
static void stored_with_qos(struct scene *s)
{
    static const char *const names[] = {"0", "1", "2"};
    struct client *a = join(s), *b = join(s);

    for (uint8_t qos = 0; qos <= 2; qos++) {
        const char *topic = scene_topic(s, names[qos]);

        need_qos(s, qos);
        publish(a, topic, "x", qos, RETAIN);
        subscribe(b, topic, 2);
        MUST(s, expect(b, topic, "x")->qos == qos, "a retained message of QoS %u has another", qos);
    }
}

/* One of each topic that matches. */
static void all_that_match(struct scene *s)
{
    static const char *const names[] = {"a", "a/b", "a/c", "b"};
    struct client *a = join(s), *b = join(s);
    unsigned got = 0;

    need_wildcard(s);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        publish(a, scene_topic(s, names[i]), "old", 1, RETAIN);
        publish(a, scene_topic(s, names[i]), names[i], 1, RETAIN);
    }
    subscribe(b, scene_topic(s, "a/#"), 0);
    for (unsigned i = 0; i < 3; i++) {
        const struct mqtt_publish *m = message(b);

        for (unsigned j = 0; j < 3; j++)
            if (is_text(m->payload, names[j]) && is_text(m->topic, scene_topic(s, names[j])))
                got |= 1u << j;
        MUST_BY(s, RULE(s, "3.3.1-9", "3.3.1-8"), m->retain,
                "a retained message comes without RETAIN");
    }
    MUST(s, got == 7, "not every topic's last message has come");
    expect_nothing(a, b);
}

/* QoS 0 is not acknowledged: the publisher itself subscribes, so that the order is known. */
static void qos_0_replaces(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s);
    struct packet *p;

    publish(a, topic, "old", 1, RETAIN);
    publish(a, topic, "new", 0, RETAIN);
    subscribe(a, topic, 0);
    settle(a, a);
    p = peek_message(a);
    MUST(s, p == NULL || is_text(p->as.publish.payload, "new"),
         "the message before is still there");
    SHOULD(s, p != NULL, "a retained message of QoS 0 was not stored");
}

static void not_set_for_subscribed(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = join(s);

    subscribe(b, topic, 1);
    publish(a, topic, "x", 1, RETAIN);
    MUST(s, !expect(b, topic, "x")->retain, "RETAIN on a subscription that was there");
}

static void set_as_published(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = join(s);

    subscribe(b, topic, MQTT_SUB_RETAIN_AS_PUBLISHED);
    publish(a, topic, "with", 0, RETAIN);
    MUST(s, expect(b, topic, "with")->retain, "RETAIN was published and is lost");
    publish(a, topic, "without", 0, 0);
    MUST(s, !expect(b, topic, "without")->retain, "RETAIN was not published and is there");
}

static void removed(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = join(s);

    publish(a, topic, "x", 1, RETAIN);
    subscribe(b, topic, 0);
    expect(b, topic, "x");
    publish(a, topic, "", 1, RETAIN);
    MUST(s, !expect(b, topic, "")->retain, "RETAIN on a subscription that was there");
    late_subscriber_gets(s, topic, NULL);
}

static void empty_not_stored(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s);

    publish(a, topic, "", 1, RETAIN);
    late_subscriber_gets(s, topic, NULL);
}

static void untouched(struct scene *s)
{
    const char *topic = scene_topic(s, "t"), *other = scene_topic(s, "u");
    struct client *a = join(s);

    publish(a, topic, "kept", 1, RETAIN);
    publish(a, topic, "live", 1, 0);
    publish(a, topic, "", 1, 0);
    late_subscriber_gets(s, topic, "kept");
    publish(a, other, "live", 1, 0);
    late_subscriber_gets(s, other, NULL);
}

/* ---- Retain Handling ---- */

/* How many retained messages a SUBSCRIBE with this option brings. */
static unsigned brought(struct client *a, struct client *b, const char *topic, uint8_t options)
{
    subscribe(b, topic, options);
    return drain(a, b);
}

static void handling_0(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = join(s);

    publish(a, topic, "x", 1, RETAIN);
    MUST(s, brought(a, b, topic, HANDLING(0)) == 1,
         "a new subscription brings no retained message");
    MUST(s, brought(a, b, topic, HANDLING(0)) == 1,
         "a repeated subscription brings no retained message");
}

static void handling_1(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = join(s);

    publish(a, topic, "x", 1, RETAIN);
    MUST(s, brought(a, b, topic, HANDLING(1)) == 1,
         "a new subscription brings no retained message");
    MUST(s, brought(a, b, topic, HANDLING(1)) == 0,
         "a repeated subscription brings the retained message");
    unsubscribe(b, topic);
    MUST(s, brought(a, b, topic, HANDLING(1)) == 1,
         "a new subscription brings no retained message");
}

static void handling_2(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = join(s);

    publish(a, topic, "x", 1, RETAIN);
    MUST(s, brought(a, b, topic, HANDLING(2)) == 0, "a subscription brings the retained message");
    publish(a, topic, "y", 1, RETAIN);
    expect(b, topic, "y");
}

/* Shared subscriptions bring none: so says 4.8.2, without a number or a MUST. */
static void not_for_shared(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = join(s);

    need_shared(s);
    publish(a, topic, "x", 1, RETAIN);
    subscribe(b, arena_printf(&s->arena, "$share/group/%s", topic), 0);
    SHOULD(s, drain(a, b) == 0, "a shared subscription brings a retained message");
}

/* clang-format off */
CHAPTER(retained, "Retained messages",
    {"retained_replaced",       replaced,               "3.3.1-5",  "3.3.1-6",         "V31-3.3-1", 0},
    {"retained_qos",            stored_with_qos,        "3.3.1-5",  "3.3.1-5",         NULL, 0},
    {"retained_all",            all_that_match,         "3.3.1-9",  "3.3.1-6 3.3.1-8", "V31-3.3-1", 0},
    {"retained_qos_0",          qos_0_replaces,         "3.3.1-5",  "3.3.1-7",         NULL, 0},
    {"retained_live",           not_set_for_subscribed, "3.3.1-12", "3.3.1-9",         "V31-3.3-2", 0},
    {"retained_as_published",   set_as_published,       "3.3.1-13", NULL,              NULL, 0},
    {"retained_removed",        removed,                "3.3.1-6",  "3.3.1-10",        "V31-3.3-3", 0},
    {"retained_empty",          empty_not_stored,       "3.3.1-7",  "3.3.1-11",        "V31-3.3-3", 0},
    {"retained_untouched",      untouched,              "3.3.1-8",  "3.3.1-12",        NULL, 0},
    {"retain_handling_0",       handling_0,             "3.3.1-9",  NULL,              NULL, 0},
    {"retain_handling_1",       handling_1,             "3.3.1-10", NULL,              NULL, 0},
    {"retain_handling_2",       handling_2,             "3.3.1-11", NULL,              NULL, 0},
    {"retained_not_for_shared", not_for_shared,         "3.3.1-9",  NULL,              NULL, 0},
);
/* clang-format on */

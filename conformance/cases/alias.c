/* alias: topic aliases, both ways.                      [v5 3.1.2.11.5, 3.2.2.3.8, 3.3.2.3.4] */
#include "conformance/cases/chapters.h"

/* ---- towards the client ---- */

static void aliases_within_maximum(struct scene *s)
{
    struct client *a = join(s), *b = JOIN(s, .topic_alias_maximum = 2);

    need_wildcard(s);
    subscribe(b, scene_topic(s, "#"), 0);
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < 5; i++) {
            const char *topic = scene_topic(s, arena_printf(&s->arena, "%u", i));

            publish(a, topic, topic, 0, 0);
            expect(b, topic, topic);
        }
}

static void no_aliases(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = join(s);

    subscribe(b, topic, 0);
    for (unsigned i = 0; i < 5; i++) {
        const struct mqtt_publish *m;

        publish(a, topic, "x", 0, 0);
        m = expect(b, topic, "x");
        MUST(s, m->topic.len > 0 && !MQTT_HAS(&m->props, topic_alias),
             "a Topic Alias for a client that takes none");
    }
}

/* They begin anew with each connection. */
static void aliases_end(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = JOIN(s, .topic_alias_maximum = 2, .expiry_s = 60);

    subscribe(b, topic, 0);
    for (unsigned i = 0; i < 3; i++) {
        publish(a, topic, "x", 0, 0);
        expect(b, topic, "x");
    }
    leave(b);
    b = JOIN(s, .id = b->id, .resume = true, .topic_alias_maximum = 2, .expiry_s = 60);
    publish(a, topic, "x", 0, 0);
    expect(b, topic, "x");
}

/* ---- towards the server ---- */

static void need_aliases(struct scene *s)
{
    NEED(s, s->at.features->topic_alias_maximum > 0, "the server takes no topic aliases");
}

static void send_alias(struct client *c, const char *topic, unsigned alias, const char *payload)
{
    say(c, "30 # <%s> (23 %04x) [%s]", topic, alias, payload);
}

/* 1, the highest, and some between: set, used, set to another topic, used. */
static void server_takes_aliases(struct scene *s)
{
    unsigned maximum = s->at.features->topic_alias_maximum, step = maximum > 8 ? maximum / 8 : 1;
    const char *one = scene_topic(s, "one"), *two = scene_topic(s, "two");
    struct client *a = join(s), *b = join(s);

    need_aliases(s);
    subscribe(b, one, 0);
    subscribe(b, two, 0);
    for (unsigned alias = 1;; alias = alias + step > maximum ? maximum : alias + step) {
        send_alias(a, one, alias, "set");
        expect(b, one, "set");
        send_alias(a, "", alias, "used");
        expect(b, one, "used");
        send_alias(a, two, alias, "changed");
        expect(b, two, "changed");
        send_alias(a, "", alias, "used again");
        expect(b, two, "used again");
        if (alias == maximum)
            break;
    }
}

static void alias_too_high(struct scene *s)
{
    struct client *c = join(s);

    need_aliases(s);
    NEED(s, s->at.features->topic_alias_maximum < UINT16_MAX, "every topic alias is allowed");
    send_alias(c, scene_topic(s, "t"), s->at.features->topic_alias_maximum + 1u, "x");
    expect_close(c, "94");
}

static void alias_without_maximum(struct scene *s)
{
    struct client *c = join(s);

    NEED(s, s->at.features->topic_alias_maximum == 0, "the server takes topic aliases");
    send_alias(c, scene_topic(s, "t"), 1, "x");
    expect_close(c, "94");
}

static void alias_zero(struct scene *s)
{
    struct client *c = join(s);

    send_alias(c, scene_topic(s, "t"), 0, "x");
    expect_close(c, "94");
}

static void alias_unknown(struct scene *s)
{
    struct client *c = join(s);

    need_aliases(s);
    send_alias(c, "", 1, "x");
    expect_close(c, "82");
}

static void alias_of_last_connection(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = JOIN(s, .expiry_s = 60), *b = join(s);

    need_aliases(s);
    subscribe(b, topic, 0);
    send_alias(a, topic, 1, "x");
    expect(b, topic, "x");
    leave(a);
    a = JOIN(s, .id = a->id, .resume = true, .expiry_s = 60);
    send_alias(a, "", 1, "y");
    expect_close(a, "82");
    expect_nothing(b, b);
}

/* clang-format off */
CHAPTER(alias, "Topic aliases",
    {"alias_maximum",             aliases_within_maximum, "3.1.2-26 3.3.2-11",         NULL, NULL, 0},
    {"alias_none",                no_aliases,             "3.1.2-27",                  NULL, NULL, 0},
    {"alias_ends",                aliases_end,            "3.3.2-7",                   NULL, NULL, 0},
    {"server_alias_maximum",      server_takes_aliases,   "3.3.2-12",                  NULL, NULL, 0},
    {"server_alias_too_high",     alias_too_high,         "3.2.2-17 3.3.2-9",          NULL, NULL, 0},
    {"server_alias_none",         alias_without_maximum,  "3.2.2-18",                  NULL, NULL, 0},
    {"server_alias_zero",         alias_zero,             "3.3.2-8",                   NULL, NULL, 0},
    {"server_alias_unknown",      alias_unknown,          "4.13.1-1",                  NULL, NULL, 0},
    {"server_alias_ends",         alias_of_last_connection, "3.3.2-7",                 NULL, NULL, 0},
);
/* clang-format on */

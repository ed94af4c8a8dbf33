/* will: when the Will is published, and as what.      [v5 3.1.2.5, 3.1.3.2, 3.14.4] [v3 3.1.2.5] */
#include "conformance/cases/chapters.h"

#define PAYLOAD "gone"

struct stage_of_will {
    const char *topic;
    struct client *watcher, *c;
};

static struct mqtt_props delay(uint32_t seconds)
{
    struct mqtt_props props = {.present = 0};

    MQTT_SET(&props, will_delay_s, seconds);
    return props;
}

/* A client with a Will, and one that waits for it. */
static struct stage_of_will set_stage(struct scene *s, const struct join *j)
{
    struct stage_of_will w = {.topic = scene_topic(s, "will"), .watcher = join(s)};
    struct join with_will = *j;

    subscribe(w.watcher, w.topic, 0);
    with_will.will_topic = w.topic;
    with_will.will_payload = PAYLOAD;
    w.c = join_as(s, &with_will);
    return w;
}

#define SET_STAGE(s, ...) set_stage((s), &(struct join){__VA_ARGS__})

static void expect_will(const struct stage_of_will *w)
{
    expect(w->watcher, w->topic, PAYLOAD);
}

/* ---- how the connection ends ---- */

static void upon_drop(struct scene *s)
{
    struct stage_of_will w = SET_STAGE(s, .id = NULL);

    drop(w.c);
    expect_will(&w);
    expect_nothing(w.watcher, w.watcher);
}

static void upon_reset(struct scene *s)
{
    struct stage_of_will w = SET_STAGE(s, .id = NULL);

    client_close(w.c, true);
    expect_will(&w);
}

static void upon_error(struct scene *s)
{
    struct stage_of_will w = SET_STAGE(s, .id = NULL);

    say(w.c, "d0 00"); /* PINGRESP */
    expect_close_by(w.c, RULE(s, "4.13.1-1", "4.8.0-1"), "82");
    expect_will(&w);
}

static void upon_takeover(struct scene *s)
{
    struct stage_of_will w = SET_STAGE(s, .id = NULL);

    JOIN(s, .id = w.c->id);
    expect_will(&w);
}

/* With a session that goes on: no delay, so it is published all the same. */
static void upon_takeover_of_session(struct scene *s)
{
    struct stage_of_will w = SET_STAGE(s, .expiry_s = 60);

    JOIN(s, .id = w.c->id, .expiry_s = 60, .resume = true);
    expect_will(&w);
}

static void upon_disconnect_with_will(struct scene *s)
{
    struct stage_of_will w = SET_STAGE(s, .id = NULL);

    leave_with(w.c, 0x04, NULL);
    expect_will(&w);
}

static void upon_disconnect_with_error(struct scene *s)
{
    struct stage_of_will w = SET_STAGE(s, .id = NULL);

    leave_with(w.c, 0x80, NULL);
    expect_will(&w);
}

static void not_upon_disconnect(struct scene *s)
{
    struct stage_of_will w = SET_STAGE(s, .id = NULL);

    leave(w.c);
    expect_nothing(w.watcher, w.watcher);
}

/* Nor later, when the session has ended or its client comes back and is lost. */
static void gone_after_disconnect(struct scene *s)
{
    struct stage_of_will w = SET_STAGE(s, .expiry_s = 60);
    struct client *c;

    leave(w.c);
    c = JOIN(s, .id = w.c->id, .resume = true, .expiry_s = 60);
    drop(c);
    JOIN(s, .id = w.c->id);
    expect_nothing(w.watcher, w.watcher);
}

static void once(struct scene *s)
{
    struct stage_of_will w = SET_STAGE(s, .expiry_s = 60);
    struct client *c;

    drop(w.c);
    expect_will(&w);
    c = JOIN(s, .id = w.c->id, .resume = true, .expiry_s = 60);
    drop(c);
    expect_nothing(w.watcher, w.watcher);
}

/* DISCONNECT with wrong flags is none. */
static void bad_disconnect(struct scene *s)
{
    struct stage_of_will w = SET_STAGE(s, .id = NULL);

    say(w.c, "e1 00");
    expect_close(w.c, "81");
    expect_will(&w);
}

/* ---- as what ---- */

static void not_retained(struct scene *s)
{
    struct stage_of_will w = SET_STAGE(s, .id = NULL);
    struct client *as_published = join(s), *late;

    if (s->version == MQTT_V5)
        subscribe(as_published, w.topic, MQTT_SUB_RETAIN_AS_PUBLISHED);
    drop(w.c);
    expect_will(&w);
    if (s->version == MQTT_V5)
        MUST(s, !expect(as_published, w.topic, PAYLOAD)->retain, "the Will has RETAIN set");
    late = join(s);
    subscribe(late, w.topic, 0);
    expect_nothing(w.watcher, late);
}

static void retained(struct scene *s)
{
    struct stage_of_will w;
    struct client *as_published = join(s), *late;

    need_retain(s);
    w = SET_STAGE(s, .will_retain = true);
    if (s->version == MQTT_V5)
        subscribe(as_published, w.topic, MQTT_SUB_RETAIN_AS_PUBLISHED);
    drop(w.c);
    MUST(s, !expect(w.watcher, w.topic, PAYLOAD)->retain,
         "RETAIN on a subscription that was there");
    if (s->version == MQTT_V5)
        MUST(s, expect(as_published, w.topic, PAYLOAD)->retain, "the Will has lost RETAIN");
    late = join(s);
    subscribe(late, w.topic, 0);
    MUST(s, expect(late, w.topic, PAYLOAD)->retain, "the retained Will comes without RETAIN");
}

/* An empty one removes what was retained. */
static void retained_empty(struct scene *s)
{
    const char *topic = scene_topic(s, "will");
    struct client *a = join(s), *c, *late;

    publish(a, topic, "before", 1, RETAIN);
    c = JOIN(s, .will_topic = topic, .will_payload = "", .will_retain = true);
    subscribe(a, topic, 0);
    expect(a, topic, "before");
    drop(c);
    expect(a, topic, "");
    late = join(s);
    subscribe(late, topic, 0);
    expect_nothing(a, late);
}

static void at_its_qos(struct scene *s)
{
    const char *topic = scene_topic(s, "will");
    struct client *watcher = join(s);

    for (uint8_t qos = 0; qos <= 2; qos++) {
        struct client *c;

        need_qos(s, qos);
        subscribe(watcher, topic, 2);
        c = JOIN(s, .will_topic = topic, .will_payload = PAYLOAD, .will_qos = qos);
        drop(c);
        MUST(s, expect(watcher, topic, PAYLOAD)->qos == qos, "a Will of QoS %u has another", qos);
    }
}

static void with_properties(struct scene *s)
{
    struct mqtt_props props = with_encoded(
        s, "01 01 02 0000003c 03 <type> 08 <reply/to> 09 <data> 26 <b> <1> 26 <a> <2> 26 <b> <3>");
    struct stage_of_will w = SET_STAGE(s, .will_props = props);
    const struct mqtt_publish *m;
    struct mqtt_property_view v;
    char order[8] = "";
    uint32_t at = 0;

    drop(w.c);
    m = expect(w.watcher, w.topic, PAYLOAD);
    MUST_BY(s, "3.3.2-4", MQTT_HAS(&m->props, payload_format) && m->props.payload_format == 1,
            "the Payload Format Indicator of the Will is missing");
    MUST_BY(s, "3.3.2-20",
            MQTT_HAS(&m->props, content_type) && is_text(m->props.content_type, "type"),
            "the Content Type of the Will is missing");
    MUST_BY(s, "3.3.2-15",
            MQTT_HAS(&m->props, response_topic) && is_text(m->props.response_topic, "reply/to"),
            "the Response Topic of the Will is missing");
    MUST_BY(s, "3.3.2-16",
            MQTT_HAS(&m->props, correlation_data) && is_text(m->props.correlation_data, "data"),
            "the Correlation Data of the Will are missing");
    while (mqtt_props_next(m->props.raw, &at, &v))
        if (v.id == MQTT_PROP_user_property && strlen(order) < 7 && v.value.len > 0)
            order[strlen(order)] = (char)v.value.p[0];
    MUST_BY(s, "3.1.3-10", strcmp(order, "123") == 0,
            "the User Properties of the Will come in the order %s", order);
}

/* ---- delay ---- */

static void delayed(struct scene *s)
{
    struct stage_of_will w = SET_STAGE(s, .expiry_s = 60, .will_props = delay(1));
    uint64_t closed_us = clock_us();
    unsigned early;

    drop(w.c);
    early = drain(w.watcher, w.watcher);
    in_time(s, closed_us + 900000);
    MUST(s, early == 0, "the Will comes at once, its delay is 1 s");
    expect_will(&w);
    MUST(s, clock_us() - closed_us >= 1000000 - EARLY_US,
         "the Will came %.2f s after the end, its delay is 1 s",
         (double)(clock_us() - closed_us) / 1e6);
}

/* The session ends first, and the Will with it. */
static void delay_beyond_session(struct scene *s)
{
    struct stage_of_will w = SET_STAGE(s, .expiry_s = 1, .will_props = delay(600));
    uint64_t closed_us = clock_us();

    drop(w.c);
    expect_will(&w);
    MUST(s, clock_us() - closed_us >= 1000000 - EARLY_US, "the Will came before the session's end");
}

static void delay_without_session(struct scene *s)
{
    struct stage_of_will w = SET_STAGE(s, .will_props = delay(600));

    drop(w.c);
    expect_will(&w);
}

/* The client is back before the delay is over: no Will, now or later. */
static void delay_and_return(struct scene *s)
{
    struct stage_of_will w = SET_STAGE(s, .expiry_s = 60, .will_props = delay(2));
    uint64_t closed_us = clock_us();

    drop(w.c);
    JOIN(s, .id = w.c->id, .expiry_s = 60, .resume = true);
    in_time(s, closed_us + 1800000);
    scene_sleep(s, 3500000);
    expect_nothing(w.watcher, w.watcher);
}

static void delay_and_takeover(struct scene *s)
{
    struct stage_of_will w = SET_STAGE(s, .expiry_s = 60, .will_props = delay(2));

    JOIN(s, .id = w.c->id, .expiry_s = 60, .resume = true);
    scene_sleep(s, 3500000);
    expect_nothing(w.watcher, w.watcher);
}

/* A new session ends the old one, whose Will is due then: so say the comments of 3.1.3.2.2, but
 * MQTT-3.1.2-8 taken by the letter lets any new connection cancel it. */
static void delay_and_clean_start(struct scene *s)
{
    struct stage_of_will w = SET_STAGE(s, .expiry_s = 60, .will_props = delay(2));
    struct client *c;

    drop(w.c);
    c = JOIN(s, .id = w.c->id);
    settle(c, w.watcher);
    SHOULD(s, peek_message(w.watcher) != NULL,
           "Clean Start has ended the session, but its Will is not sent");
}

/* clang-format off */
CHAPTER(will, "Will",
    {"will_upon_drop",            upon_drop,                "3.1.2-7 3.1.2-8",   "3.1.2-8",           "V31-3.1-7", 0},
    {"will_upon_reset",           upon_reset,               "3.1.2-8",           "3.1.2-8",           "V31-3.1-7", 0},
    {"will_upon_error",           upon_error,               "3.1.2-8",           "3.1.2-8",           NULL, 0},
    {"will_upon_takeover",        upon_takeover,            "3.1.2-8",           "3.1.2-8",           NULL, 0},
    {"will_upon_session_takeover", upon_takeover_of_session, "3.1.2-8",          "3.1.2-8",           NULL, 0},
    {"will_upon_disconnect_04",   upon_disconnect_with_will, "3.1.2-8",          NULL,                NULL, 0},
    {"will_upon_disconnect_80",   upon_disconnect_with_error, "3.1.2-8",         NULL,                NULL, 0},
    {"will_not_upon_disconnect",  not_upon_disconnect,      "3.14.4-3",          "3.14.4-3",          "V31-3.14-1", 0},
    {"will_gone_after_disconnect", gone_after_disconnect,   "3.1.2-10",          "3.1.2-10",          NULL, 0},
    {"will_once",                 once,                     "3.1.2-10",          "3.1.2-10 3.1.2-12", NULL, 0},
    {"will_upon_bad_disconnect",  bad_disconnect,           "3.14.1-1",          "3.14.1-1",          NULL, 0},
    {"will_not_retained",         not_retained,             "3.1.2-14",          "3.1.2-16",          "V31-3.1-8", 0},
    {"will_retained",             retained,                 "3.1.2-15",          "3.1.2-17",          "V31-3.1-8", 0},
    {"will_retained_empty",       retained_empty,           "3.1.2-15",          "3.1.2-17",          NULL, 0},
    {"will_qos",                  at_its_qos,               "3.1.2-8",           "3.1.2-8",           NULL, 0},
    {"will_properties",           with_properties,          "3.1.3-10 3.3.2-4 3.3.2-15 3.3.2-16 3.3.2-20", NULL, NULL, 0},
    {"will_delay",                delayed,                  "3.1.2-8",           NULL,                NULL, SLOW},
    {"will_delay_and_expiry",     delay_beyond_session,     "3.1.2-8",           NULL,                NULL, SLOW},
    {"will_delay_no_session",     delay_without_session,    "3.1.2-8",           NULL,                NULL, 0},
    {"will_delay_return",         delay_and_return,         "3.1.3-9",           NULL,                NULL, SLOW},
    {"will_delay_takeover",       delay_and_takeover,       "3.1.3-9",           NULL,                NULL, SLOW},
    {"will_delay_clean_start",    delay_and_clean_start,    "3.1.3-9",           NULL,                NULL, 0},
);
/* clang-format on */

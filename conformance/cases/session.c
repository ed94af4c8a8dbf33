/* session: state that outlives a connection, and the takeover of one. [v5 3.1.2.4, 3.1.2.11.2, 4.1]
 * [v3 3.1.2.4, 4.1] */
#include "conformance/cases/chapters.h"

/* The client comes back to its session. */
static struct client *come_back(struct scene *s, const char *id)
{
    return JOIN(s, .id = id, .resume = true, .expiry_s = 60);
}

static struct client *come_back_manual(struct scene *s, const char *id)
{
    return JOIN(s, .id = id, .resume = true, .expiry_s = 60, .manual = true);
}

/* A session with a subscription at this QoS, its client gone in peace: its identifier. */
static const char *leave_session(struct scene *s, const char *filter, uint8_t qos)
{
    struct client *c = JOIN(s, .expiry_s = 60);

    subscribe(c, filter, qos);
    leave(c);
    return c->id;
}

/* ---- beginning anew ---- */

/* Of a session with a subscription, messages that wait and one under way, nothing is left. */
static void clean_discards(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = JOIN(s, .expiry_s = 60, .manual = true);
    const char *id = b->id;

    need_qos(s, 1);
    subscribe(b, topic, 1);
    publish(a, topic, "under way", 1, 0);
    expect(b, topic, "under way");
    leave(b);
    publish(a, topic, "waiting", 1, 0);
    b = JOIN(s, .id = id);
    CHECK_BY(s, RULE(s, "3.2.2-2", "3.2.2-1"), says_absent(b), "Session Present after Clean Start");
    publish(a, topic, "new", 1, 0);
    expect_nothing_by(a, b, RULE(s, "3.1.2-4 3.1.4-4", "3.1.2-6 3.1.4-3"));
}

/* What Clean Start (CleanSession) began, ends with the connection. */
static void clean_ends(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = join(s);
    const char *id = b->id;

    subscribe(b, topic, 0);
    leave(b);
    b = come_back(s, id);
    MUST(s, says_absent(b), "a session of a client that began clean is there");
    publish(a, topic, "x", 0, 0);
    expect_nothing(a, b);
}

static void resumes(struct scene *s)
{
    const char *topic = scene_topic(s, "t"), *id = leave_session(s, topic, 1);
    struct client *a = join(s), *b;

    need_qos(s, 1);
    publish(a, topic, "waiting", 1, 0);
    b = come_back(s, id);
    CHECK_BY(s, RULE(s, "3.2.2-3", "3.2.2-2"), says_present(b),
             "no Session Present, the session should be there");
    expect_by(b, RULE(s, "3.1.2-5", "3.1.2-4"), topic, "waiting");
    publish(a, topic, "live", 0, 0);
    expect_by(b, RULE(s, "3.1.2-5", "3.1.2-4"), topic, "live");
}

static void begins(struct scene *s)
{
    struct client *c = JOIN(s, .resume = true, .expiry_s = 60);

    CHECK_BY(s, RULE(s, "3.2.2-3", "3.2.2-3"), says_absent(c),
             "Session Present for a client identifier that is new");
    ping(c);
    leave(c);
    c = come_back(s, c->id);
    MUST_BY(s, RULE(s, "3.1.2-6 3.2.2-3", "3.2.2-2"), says_present(c),
            "an empty session was not kept");
}

/* Options and identifier of the subscription are part of it. */
static void options_kept(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = JOIN(s, .expiry_s = 60);
    const struct mqtt_publish *m;

    need_subscription_id(s);
    need_retain(s);
    subscribe_id(b, topic, 1 | MQTT_SUB_NO_LOCAL | MQTT_SUB_RETAIN_AS_PUBLISHED, 77);
    leave(b);
    b = come_back(s, b->id);
    publish(b, topic, "own", 0, 0);
    publish(a, topic, "other", 1, RETAIN);
    m = expect(b, topic, "other");
    MUST(s,
         m->qos == 1 && m->retain && MQTT_HAS(&m->props, subscription_id) &&
             m->props.subscription_id == 77,
         "the subscription has lost its options or its identifier");
    expect_nothing(a, b);
}

/* QoS 1 and 2 wait; whether QoS 0 does is the server's choice. */
static void messages_wait(struct scene *s)
{
    const char *topic = scene_topic(s, "t"), *id;
    struct client *a = join(s), *b;

    need_qos(s, 2);
    id = leave_session(s, topic, 2);
    publish(a, topic, "one", 1, 0);
    publish(a, topic, "two", 2, 0);
    b = come_back(s, id);
    expect(b, topic, "one");
    expect(b, topic, "two");
    expect_nothing(a, b);
}

/* Several sessions, some with their client and some without. */
static void reaches_all_sessions(struct scene *s)
{
    const char *topic = scene_topic(s, "t"), *id[3];
    struct client *a = join(s), *online[2], *b;

    need_qos(s, 1);
    for (unsigned i = 0; i < 3; i++)
        id[i] = leave_session(s, topic, 1);
    for (unsigned i = 0; i < 2; i++) {
        online[i] = JOIN(s, .expiry_s = 60);
        subscribe(online[i], topic, 1);
    }
    publish(a, topic, "for all", 1, 0);
    for (unsigned i = 0; i < 2; i++)
        expect(online[i], topic, "for all");
    for (unsigned i = 0; i < 3; i++) {
        b = come_back(s, id[i]);
        expect(b, topic, "for all");
        expect_nothing(a, b);
    }
}

/* Exchanges in both directions, half done, over several connections. */
static void state_kept(struct scene *s)
{
    const char *topic = scene_topic(s, "t"), *other = scene_topic(s, "u");
    struct client *a = join(s), *b = JOIN(s, .expiry_s = 60, .manual = true);
    uint16_t id, sent;

    need_qos(s, 2);
    subscribe(b, topic, 2);
    subscribe(a, other, 2);
    publish(a, topic, "to b", 2, 0);
    id = expect(b, topic, "to b")->packet_id;
    sent = publish_start(b, other, "from b", 2, 0);
    expect_ack(b, MQTT_PUBREC, sent);
    for (unsigned i = 0; i < 2; i++) {
        leave(b);
        b = come_back_manual(s, b->id);
        MUST(s, says_present(b), "the session is gone");
        MUST(s, expect(b, topic, "to b")->packet_id == id, "sent again with another identifier");
    }
    acknowledge(b, MQTT_PUBREC, id, 0);
    expect_ack(b, MQTT_PUBREL, id);
    acknowledge(b, MQTT_PUBCOMP, id, 0);
    acknowledge(b, MQTT_PUBREL, sent, 0);
    expect_ack(b, MQTT_PUBCOMP, sent);
    expect(a, other, "from b");
    expect_nothing(b, a);
}

/* ---- expiry ---- */

static bool is_there(struct scene *s, const char *id)
{
    return says_present(come_back(s, id));
}

static void expiry_kept(struct scene *s)
{
    struct client *c = JOIN(s, .expiry_s = 60);

    leave(c);
    MUST(s, is_there(s, c->id), "the session has not outlived its connection");
    c = JOIN(s, .expiry_s = UINT32_MAX);
    drop(c);
    MUST(s, is_there(s, c->id), "a session without end has not outlived its connection");
}

static void expiry_zero(struct scene *s)
{
    struct mqtt_props zero = with_encoded(s, "11 00000000");
    struct client *c = join(s);

    leave(c);
    MUST(s, !is_there(s, c->id), "a session without Session Expiry Interval was kept");
    c = JOIN(s, .props = zero);
    drop(c);
    MUST(s, !is_there(s, c->id), "a session with an interval of 0 was kept");
}

static void expires(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *c = JOIN(s, .expiry_s = 1);

    NEED(s,
         !MQTT_HAS(&c->connack.props, session_expiry_s) || c->connack.props.session_expiry_s == 1,
         "the server has another Session Expiry Interval");
    subscribe(c, topic, 1);
    leave(c);
    scene_sleep(s, 3000000);
    c = come_back(s, c->id);
    MUST(s, says_absent(c), "the session is there 3 s later, its interval was 1 s");
    publish(a, topic, "x", 0, 0);
    expect_nothing(a, c);
}

/* DISCONNECT may change it. */
static void expiry_in_disconnect(struct scene *s)
{
    struct mqtt_props zero = with_encoded(s, "11 00000000"),
                      long_one = with_encoded(s, "11 0000003c");
    struct client *c = JOIN(s, .expiry_s = 60);

    leave_with(c, 0, &zero);
    MUST(s, !is_there(s, c->id), "a session that DISCONNECT has ended was kept");
    c = JOIN(s, .expiry_s = 1);
    leave_with(c, 0, &long_one);
    scene_sleep(s, 2500000);
    MUST(s, is_there(s, c->id), "the longer interval of DISCONNECT was not taken");
}

/* But not from 0 to something else: then it is no DISCONNECT, and the Will is published. */
static void expiry_not_from_zero(struct scene *s)
{
    const char *topic = scene_topic(s, "will");
    struct client *watcher = join(s);
    struct client *c = JOIN(s, .will_topic = topic, .will_payload = "gone");

    subscribe(watcher, topic, 0);
    say(c, "e0 # 00 (11 0000003c)");
    expect_close(c, "82");
    expect_by(watcher, "3.1.2-8", topic, "gone");
}

/* A session does not end while its client is there. */
static void lives_with_connection(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = join(s), *c = JOIN(s, .expiry_s = s->version == MQTT_V5);

    subscribe(b, topic, 0);
    subscribe(c, topic, 0);
    scene_sleep(s, 2500000);
    publish(a, topic, "x", 0, 0);
    expect(b, topic, "x");
    expect(c, topic, "x");
}

/* ---- takeover ---- */

static void takeover(struct scene *s)
{
    struct client *old = join(s), *new;

    new = JOIN(s, .id = old->id);
    expect_close(old, "8e");
    ping(new);
}

/* With the session: what comes meanwhile is not lost. */
static void takeover_resumes(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *old = JOIN(s, .expiry_s = 60), *new;

    need_qos(s, 1);
    subscribe(old, topic, 1);
    new = come_back(s, old->id);
    MUST(s, says_present(new), "the session of the connection taken over is gone");
    expect_close_by(old, RULE(s, "3.1.4-3", "3.1.4-2"), "8e");
    publish(a, topic, "x", 1, 0);
    expect(new, topic, "x");
}

static void takeover_clean(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *old = JOIN(s, .expiry_s = 60), *new;

    subscribe(old, topic, 0);
    new = JOIN(s, .id = old->id);
    CHECK_BY(s, RULE(s, "3.2.2-2", "3.2.2-1"), says_absent(new),
             "Session Present after Clean Start");
    expect_close_by(old, RULE(s, "3.1.4-3", "3.1.4-2"), "8e");
    publish(a, topic, "x", 0, 0);
    expect_nothing(a, new);
}

/* Retained messages are no part of a session. */
static void retained_stay(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = join(s);

    publish(a, topic, "stays", 1, RETAIN);
    leave(a);
    subscribe(b, topic, 1);
    expect(b, topic, "stays");
}

/* clang-format off */
CHAPTER(session, "Sessions",
    {"session_clean_discards",    clean_discards,       "3.1.2-4 3.1.4-4 3.2.2-2", "3.1.2-6 3.1.4-3 3.2.2-1", "V31-3.1-6", 0},
    {"session_clean_ends",        clean_ends,           "3.1.2-23",                "3.1.2-6",         "V31-3.1-6", 0},
    {"session_resumes",           resumes,              "3.1.2-5 3.2.2-3",         "3.1.2-4 3.2.2-2", "V31-3.1-5", 0},
    {"session_begins",            begins,               "3.1.2-6 3.2.2-3",         "3.2.2-2 3.2.2-3", NULL, 0},
    {"session_keeps_options",     options_kept,         "3.1.2-5",                 NULL,              NULL, 0},
    {"session_keeps_messages",    messages_wait,        "4.5.0-1",                 "3.1.2-5",         "V31-3.1-5", 0},
    {"session_gets_messages",     reaches_all_sessions, "4.5.0-1",                 "4.5.0-1",         NULL, 0},
    {"session_keeps_exchanges",   state_kept,           "3.1.2-5",                 "4.1.0-1",         "V31-4.1-2", 0},
    {"session_kept",              expiry_kept,          "3.1.2-23",                NULL,              NULL, 0},
    {"session_not_kept",          expiry_zero,          "4.1.0-2",                 NULL,              NULL, 0},
    {"session_expires",           expires,              "4.1.0-2",                 NULL,              NULL, SLOW},
    {"session_expiry_changed",    expiry_in_disconnect, "3.1.2-23 4.1.0-2",        NULL,              NULL, SLOW},
    {"session_expiry_from_zero",  expiry_not_from_zero, "4.13.1-1",                NULL,              NULL, 0},
    {"session_lives",             lives_with_connection, "4.1.0-1",                "4.1.0-2",         NULL, SLOW},
    {"takeover",                  takeover,             "3.1.4-3",                 "3.1.4-2",         "V31-3.1-10", 0},
    {"takeover_resumes",          takeover_resumes,     "3.1.4-4",                 "3.1.4-3",         "V31-3.1-10", 0},
    {"takeover_clean",            takeover_clean,       "3.1.4-4",                 "3.1.4-3",         "V31-3.1-10", 0},
    {"retained_outlive_sessions", retained_stay,        "3.3.1-5",                 "3.1.2-7",         "V31-3.3-1", 0},
);
/* clang-format on */

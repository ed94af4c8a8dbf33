/* connect: CONNECT and CONNACK.                                      [v5 3.1, 3.2] [v3 3.1, 3.2] */
#include "conformance/cases/chapters.h"

#include <pthread.h>

/* ---- accepted ---- */

static void accepted(struct scene *s)
{
    struct client *c = join(s);

    ping(c);
    leave(c);
}

/* What only one of the fields says, in their order: the Will goes to the second, with the third as
 * payload. */
static void field_order(struct scene *s)
{
    const char *topic = scene_topic(s, "will");
    struct client *watcher = join(s), *c = client_open(s, NULL);

    subscribe(watcher, topic, 0);
    client_send(
        c, HAND_CONNECT(s, .flags = 0x06,
                        .will = arena_printf(&s->arena, "%s <%s> <gone>", no_props(s), topic)));
    client_take(c, MQTT_CONNACK, RULE(s, "3.1.4-5", "3.1.4-4"));
    drop(c);
    expect(watcher, topic, "gone");
}

#define LETTERS "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static void is_accepted(struct scene *s, const char *id)
{
    struct client *c = join_try(s, &(struct join){.id = id});
    const struct mqtt_connack *answer = &client_take(c, MQTT_CONNACK, NULL)->as.connack;

    MUST(s, answer->reason == 0, "the client identifier %s is refused with %s", id,
         describe_reason(&s->arena, answer->reason, s->version));
    leave(c);
}

/* All letters and digits, in an order of this scene's own: others use the same ones. */
static const char *shuffled_letters(struct scene *s)
{
    char *out = arena_printf(&s->arena, "%s", LETTERS);

    for (size_t i = strlen(out) - 1; i > 0; i--) {
        size_t j = scene_random(s) % (i + 1);
        char c = out[i];

        out[i] = out[j];
        out[j] = c;
    }
    return out;
}

static void ids_accepted(struct scene *s)
{
    const char *letters = shuffled_letters(s);
    const char *long_id = arena_printf(&s->arena, "%saaaaaaaaaaaaaaaaaaaaaaa", s->tag);

    is_accepted(s, arena_printf(&s->arena, "%.23s", letters));
    is_accepted(s, arena_printf(&s->arena, "%.22s", letters + 23));
    is_accepted(s, letters + 45);
    is_accepted(s, arena_printf(&s->arena, "%.22s", long_id));
    is_accepted(s, arena_printf(&s->arena, "%.23s", long_id));
}

/* There are only so many: one scene at a time. */
static void short_id_accepted(struct scene *s)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    const struct mqtt_connack *answer;
    struct client *c;

    pthread_mutex_lock(&lock);
    c = join_try(s, &(struct join){.id = shuffled_letters(s) + 61});
    while (client_find(c, MQTT_CONNACK) == NULL && !c->ended &&
           scene_poll(s, clock_us() + s->at.patience_us))
        ;
    leave(c);
    pthread_mutex_unlock(&lock);
    answer = &client_take(c, MQTT_CONNACK, NULL)->as.connack;
    MUST(s, answer->reason == 0, "the client identifier %s is refused with %s", c->id,
         describe_reason(&s->arena, answer->reason, s->version));
}

static void empty_id(struct scene *s)
{
    struct client *c[2];

    for (unsigned i = 0; i < 2; i++) {
        const struct mqtt_connack *answer;

        c[i] = join_try(s, &(struct join){.id = ""});
        answer = &client_take(c[i], MQTT_CONNACK, NULL)->as.connack;
        NEED(s, answer->reason != 0x85 && (s->version == MQTT_V5 || answer->reason != 2),
             "the server takes no empty client identifiers");
        MUST(s, answer->reason == 0, "an empty client identifier is answered with %s",
             describe_reason(&s->arena, answer->reason, s->version));
        c[i]->connack = *answer;
    }
    ping(c[0]); /* the second has not taken over */
    ping(c[1]);
    if (s->version == MQTT_V5) {
        MUST_BY(s, "3.1.3-7 3.2.2-16",
                MQTT_HAS(&c[0]->connack.props, assigned_client_id) &&
                    c[0]->connack.props.assigned_client_id.len > 0,
                "there is no Assigned Client Identifier in CONNACK");
        MUST_BY(s, "3.1.3-6 3.2.2-16",
                !mqtt_str_eq(c[0]->connack.props.assigned_client_id,
                             c[1]->connack.props.assigned_client_id),
                "two clients are assigned the same identifier");
    }
}

/* The assigned identifier is one to come back with. */
static void assigned_id_resumes(struct scene *s)
{
    struct client *c = join_try(s, &(struct join){.id = "", .expiry_s = 30, .resume = true});
    const struct mqtt_connack *answer = &client_take(c, MQTT_CONNACK, NULL)->as.connack;
    const char *id;

    NEED(s, answer->reason != 0x85, "the server takes no empty client identifiers");
    MUST(s, answer->reason == 0 && MQTT_HAS(&answer->props, assigned_client_id),
         "an empty client identifier is answered without an Assigned Client Identifier");
    id = arena_printf(&s->arena, "%.*s", (int)answer->props.assigned_client_id.len,
                      answer->props.assigned_client_id.p);
    leave(c);
    c = JOIN(s, .id = id, .resume = true, .expiry_s = 30);
    MUST(s, says_present(c), "the session of the assigned identifier %s is not there", id);
}

/* Only zero-length identifiers get one. */
static void no_id_assigned(struct scene *s)
{
    struct client *c = join(s);

    SHOULD(s, !MQTT_HAS(&c->connack.props, assigned_client_id),
           "an Assigned Client Identifier for a client that has one");
}

static void empty_id_of_session(struct scene *s)
{
    struct client *c = client_open(s, NULL);

    client_send(c, HAND_CONNECT(s, .flags = NO_FLAGS, .id = "<>"));
    expect_refusal_by(c, "3.1.3-7 3.1.3-8 3.1.3-9", NULL, 2);
}

static void empty_id_31(struct scene *s)
{
    struct client *c = client_open(s, NULL);

    client_send(c, HAND_CONNECT(s, .id = "<>"));
    expect_refusal(c, NULL, 2);
}

/* What a server may refuse, it refuses properly. */
static void odd_ids(struct scene *s)
{
    char *id[] = {
        arena_printf(&s->arena, "%s%s", s->tag, payload_of(s, 1000)),
        arena_printf(&s->arena, "%s/+#$ \xc3\xa9\xe2\x82\xac", s->tag),
        arena_printf(&s->arena, "%s\x01\x7f", s->tag),
    };

    for (size_t i = 0; i < ARRAY_LEN(id); i++) {
        struct client *c = join_try(s, &(struct join){.id = id[i]});
        struct packet *p;

        while ((p = client_find(c, MQTT_CONNACK)) == NULL && !c->ended)
            MUST(s, scene_poll(s, clock_us() + s->at.patience_us), "CONNECT is not answered");
        if (p != NULL && p->as.connack.reason == 0)
            continue;
        /* Control characters may also be held against the packet. */
        expect_refusal(c, "85 81", i == 2 && p == NULL ? NO_CONNACK : 2);
    }
}

static void ids_are_keys(struct scene *s)
{
    const char *id[] = {scene_client_id(s), NULL, NULL};
    struct client *a = join(s), *c[2];

    id[1] = arena_printf(&s->arena, "%sA", id[0]);
    id[2] = arena_printf(&s->arena, "%sa", id[0]);
    for (unsigned i = 0; i < 2; i++) {
        c[i] = JOIN(s, .id = id[i], .expiry_s = 30);
        subscribe(c[i], scene_topic(s, id[i]), s->at.features->maximum_qos > 0);
        leave(c[i]);
    }
    c[0] = JOIN(s, .id = id[2], .resume = true, .expiry_s = 30);
    MUST(s, says_absent(c[0]), "%s has got the session of %s", id[2], id[1]);
    for (unsigned i = 0; i < 2; i++) {
        c[i] = JOIN(s, .id = id[i], .resume = true, .expiry_s = 30);
        MUST_BY(s, RULE(s, "3.2.2-3", "3.2.2-2"), says_present(c[i]), "the session of %s is gone",
                id[i]);
    }
    for (unsigned i = 0; i < 2; i++) {
        publish(a, scene_topic(s, id[i]), id[i], 0, 0);
        expect(c[i], scene_topic(s, id[i]), id[i]);
        expect_nothing(a, c[1 - i]);
    }
}

/* ---- the wrong packet ---- */

/* Nothing may come: a DISCONNECT has no place here [v5 MQTT-3.14.0-1], and a CONNACK answers a
 * CONNECT, though one of 5.0 that refuses does no harm. */
static void expect_silent_end(struct client *c)
{
    struct scene *s = c->scene;
    bool ended = client_await_end(c, clock_us() + s->at.patience_us);
    struct packet *p = client_find(c, 0);

    if (p != NULL && p->as.type == MQTT_CONNACK && p->as.connack.reason >= 0x80)
        scene_warn(s, "3.1.0-1", "%s: the server answers with CONNACK, no CONNECT has come",
                   c->name);
    else
        MUST_BY(s, p != NULL && p->as.type == MQTT_DISCONNECT ? "3.14.0-1" : NULL, p == NULL,
                "%s: the server answers with %s", c->name,
                describe_packet(&s->arena, &p->as, c->version));
    MUST(s, ended, "%s: the server does not close the connection", c->name);
}

static void first_packet(struct scene *s)
{
    const char *topic = scene_topic(s, "t"), *p = no_props(s);
    struct client *watcher = join(s), *other = join(s);
    const char *const packets[] = {
        "c0 00",
        arena_printf(&s->arena, "30 # <%s> %s [x]", topic, p),
        arena_printf(&s->arena, "82 # 0001 %s <%s> 00", p, topic),
        "40 02 0001",
        "e0 00",
        "f0 # 18 (15 <method>)",
    };
    size_t n = s->version == MQTT_V5 ? ARRAY_LEN(packets) : ARRAY_LEN(packets) - 1;
    struct client *c[ARRAY_LEN(packets)];

    subscribe(watcher, topic, 0);
    for (size_t i = 0; i < n; i++) {
        c[i] = client_open(s, NULL);
        say(c[i], "%s", packets[i]);
    }
    for (size_t i = 0; i < n; i++)
        expect_silent_end(c[i]);
    expect_nothing(other, watcher);
}

static void second_connect(struct scene *s)
{
    const char *topic = scene_topic(s, "will");
    struct client *watcher = join(s);
    struct client *c = JOIN(s, .will_topic = topic, .will_payload = "gone");

    subscribe(watcher, topic, 0);
    client_send(c, HAND_CONNECT(s, .id = arena_printf(&s->arena, "<%s>", c->id)));
    expect_close(c, "82");
    expect_by(watcher, RULE(s, "3.1.2-8", "3.1.2-8"), topic, "gone"); /* there was no DISCONNECT */
}

/* ---- refused ---- */

static void refused(struct scene *s, const struct hand_connect *h, const char *reasons)
{
    struct client *c = client_open(s, NULL);

    client_send(c, hand_connect(s, h));
    expect_refusal(c, reasons, NO_CONNACK);
}

#define REFUSED(s, reasons, ...) refused((s), &(struct hand_connect){__VA_ARGS__}, (reasons))

/* The server need not close: in 3.1.1 it may go on by another standard. It must not accept. */
static void protocol_name(struct scene *s)
{
    static const char *const names[] = {"<mqtt>", "<MQTX>", "<>", "<MQTT >", "<MQTTMQTT>"};
    struct client *c[ARRAY_LEN(names)];

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        c[i] = client_open(s, NULL);
        c[i]->version = MQTT_V5; /* either form of CONNACK can be read */
        client_send(c[i], HAND_CONNECT(s, .name = arena_printf(&s->arena, "%s %02x", names[i],
                                                               (unsigned)s->version)));
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        bool ended = client_await_end(c[i], clock_us() + s->at.patience_us);
        struct packet *p = client_find(c[i], 0);

        MUST(s, p == NULL || (p->as.type == MQTT_CONNACK && p->as.connack.reason != 0),
             "CONNECT with the name %s is answered with %s", names[i],
             describe_packet(&s->arena, &p->as, MQTT_V5));
        MUST(s, ended || s->version != MQTT_V5,
             "CONNECT with the name %s leaves the connection open", names[i]);
        SHOULD(s,
               s->version != MQTT_V5 || p == NULL || p->as.connack.reason == 0x84 ||
                   p->as.connack.reason == 1,
               "CONNACK with %s, expected 0x84",
               describe_reason(&s->arena, p->as.connack.reason, 5));
    }
}

/* 3.1.1 wants return code 1; a server that speaks 5.0 may say the same to a higher level as 5.0
 * does. */
static void protocol_level(struct scene *s)
{
    static const unsigned levels[] = {0, 2, 6, 0x7f};
    struct client *c[ARRAY_LEN(levels)];
    const char *name = s->version == MQTT_V31 ? "<MQIsdp>" : "<MQTT>";

    for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
        c[i] = client_open(s, NULL);
        c[i]->version = MQTT_V5;
        client_send(c[i],
                    HAND_CONNECT(s, .name = arena_printf(&s->arena, "%s %02x", name, levels[i])));
    }
    for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
        bool ended = client_await_end(c[i], clock_us() + s->at.patience_us);
        struct packet *p = client_find(c[i], 0);

        MUST(s,
             p == NULL || (p->as.type == MQTT_CONNACK &&
                           (p->as.connack.reason == 1 || p->as.connack.reason == 0x84)),
             "CONNECT with level %u is answered with %s", levels[i],
             describe_packet(&s->arena, &p->as, MQTT_V5));
        MUST(s, p != NULL || s->version == MQTT_V5,
             "CONNECT with level %u: the connection ends without a CONNACK", levels[i]);
        MUST(s, ended, "CONNECT with level %u leaves the connection open", levels[i]);
    }
}

static void reserved_flag(struct scene *s)
{
    REFUSED(s, "81", .flags = 0x03);
}

static void will_fields_missing(struct scene *s)
{
    REFUSED(s, "81", .flags = 0x06, .tail = "");
    REFUSED(s, "81", .flags = 0x06, .will = arena_printf(&s->arena, "%s <topic>", no_props(s)),
            .tail = "");
}

static void will_qos_alone(struct scene *s)
{
    REFUSED(s, "81 82", .flags = 0x0a);
    REFUSED(s, "81 82", .flags = 0x12);
}

static void will_retain_alone(struct scene *s)
{
    REFUSED(s, "81 82", .flags = 0x22);
}

static void will_qos_3(struct scene *s)
{
    REFUSED(s, "81", .flags = 0x1e,
            .will = arena_printf(&s->arena, "%s <%s> <x>", no_props(s), scene_topic(s, "will")));
}

static void user_missing(struct scene *s)
{
    REFUSED(s, "81", .flags = 0x82, .tail = "");
}

static void user_unannounced(struct scene *s)
{
    REFUSED(s, "81", .flags = 0x02, .tail = "<user>");
}

static void password_missing(struct scene *s)
{
    REFUSED(s, "81", .flags = 0xc2, .tail = "<user>");
}

static void password_unannounced(struct scene *s)
{
    REFUSED(s, "81", .flags = 0x82, .tail = "<user> <password>");
}

static void password_alone(struct scene *s)
{
    REFUSED(s, "81", .flags = 0x42, .tail = "<password>");
}

/* In 5.0 that is no mistake, though the server may not know the client. */
static void password_alone_legal(struct scene *s)
{
    struct client *c = client_open(s, NULL);
    const struct mqtt_connack *answer;

    client_send(c, HAND_CONNECT(s, .flags = 0x42, .tail = "<password>"));
    answer = &client_take(c, MQTT_CONNACK, NULL)->as.connack;
    MUST(s, answer->reason != 0x81 && answer->reason != 0x82,
         "a Password without a User Name is refused with %s",
         describe_reason(&s->arena, answer->reason, s->version));
}

static void id_missing(struct scene *s)
{
    REFUSED(s, "81 85", .id = "", .tail = "");
}

static void malformed(struct scene *s)
{
    REFUSED(s, "81", .keep_alive = "", .props = "", .id = "", .tail = "");
    REFUSED(s, "81", .tail = "00");
    REFUSED(s, "81", .tail = "<more> <and more>");
    REFUSED(s, "81", .id = "00ff [short]", .tail = "");
}

static void malformed_props(struct scene *s)
{
    static const char *const lists[] = {
        "(11 00000001 11 00000001)", /* twice */
        "(21 0000)",                 /* Receive Maximum 0 */
        "(27 00000000)",             /* Maximum Packet Size 0 */
        "(16 <data>)",               /* Authentication Data alone */
        "(17 02)",                   /* Request Problem Information 2 */
        "(19 02)",                   /* Request Response Information 2 */
        "(01 01)",                   /* of PUBLISH */
        "(13 0001)",                 /* of CONNACK */
        "(7f 00)",                   /* of nothing */
        "(11 0000)",                 /* too short */
        "(22 0001 22 0001)",         /* twice */
    };
    struct client *c[ARRAY_LEN(lists)];

    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        c[i] = client_open(s, NULL);
        client_send(c[i], HAND_CONNECT(s, .props = lists[i]));
    }
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        expect_refusal(c[i], "81 82", NO_CONNACK);
}

static void malformed_will_props(struct scene *s)
{
    static const char *const lists[] = {
        "(18 00000001 18 00000001)",
        "(11 00000001)",
        "(23 0001)",
        "(0b 01)",
    };
    const char *topic = scene_topic(s, "will");

    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        REFUSED(s, "81 82", .flags = 0x06,
                .will = arena_printf(&s->arena, "%s <%s> <x>", lists[i], topic));
}

static void wrong_password(struct scene *s)
{
    const struct target *t = s->at.target;
    struct client *c;
    struct packet *p;

    NEED(s, t->user != NULL && t->password != NULL,
         "the URL has no user name and password to get wrong");
    c = client_open(s, NULL);
    client_send(
        c, HAND_CONNECT(s, .flags = 0xc2,
                        .tail = arena_printf(&s->arena, "<%s> <%s-wrong>", t->user, t->password)));
    client_await_end(c, clock_us() + s->at.patience_us);
    p = client_find(c, MQTT_CONNACK);
    expect_refusal(c, "86 87",
                   p != NULL && p->as.connack.reason == 5 ? 5
                   : p == NULL                            ? NO_CONNACK
                                                          : 4);
}

/* One segment: a CONNECT that cannot be accepted, and a PUBLISH that would be retained. */
static void nothing_after_refusal(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *watcher = join(s), *other = join(s), *c = client_open(s, NULL);

    c->version = MQTT_V5;
    subscribe(watcher, topic, 0);
    if (s->at.features->retain)
        scene_leave_retained(s, topic);
    client_send(c, both(s, HAND_CONNECT(s, .flags = 0x03),
                        wire_compose(&s->arena, "31 # <%s> %s [x]", topic, no_props(s))));
    MUST(s, client_await_end(c, clock_us() + s->at.patience_us), "the connection stays open");
    expect_nothing(other, watcher);
    watcher = join(s);
    subscribe(watcher, topic, 0);
    expect_nothing(other, watcher);
}

/* The session is there, but the refusal does not say so; and the connection ends. */
static void refusal_without_session(struct scene *s)
{
    const char *id = scene_client_id(s);
    struct client *c = JOIN(s, .id = id, .expiry_s = 30);
    struct packet *p;

    leave(c);
    c = client_open(s, NULL);
    c->version = MQTT_V5;
    client_send(c, HAND_CONNECT(s, .flags = NO_FLAGS, .id = arena_printf(&s->arena, "<%s>", id),
                                .name = s->version == MQTT_V5 ? NULL : "<MQTT> 7f",
                                .props = s->version == MQTT_V5 ? "(15 <no-such-method>)" : NULL));
    MUST_BY(s, RULE(s, "3.2.2-7", "3.2.2-5"), client_await_end(c, clock_us() + s->at.patience_us),
            "the connection stays open");
    p = client_find(c, MQTT_CONNACK);
    NEED(s, p != NULL, "the server refuses without a CONNACK");
    MUST_BY(s, RULE(s, "3.2.2-6", "3.2.2-4"),
            p->as.connack.reason != 0 && !p->as.connack.session_present,
            "Session Present in a CONNACK that refuses");
}

/* A session with messages waiting: they come after CONNACK. */
static void connack_first(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = JOIN(s, .expiry_s = 30);
    const char *id = b->id;

    need_qos(s, 1);
    subscribe(b, topic, 1);
    leave(b);
    publish(a, topic, "waiting", 1, 0);
    b = join_try(s, &(struct join){.id = id, .resume = true, .expiry_s = 30});
    MUST(s, client_take(b, 0, NULL)->as.type == MQTT_CONNACK, "the first packet is no CONNACK");
    expect(b, topic, "waiting");
}

/* Nothing else than CONNECT and subscriptions and messages is needed. */
static void plain_client(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = join(s);

    subscribe(b, topic, 0);
    publish(a, topic, "hello", 0, 0);
    expect(b, topic, "hello");
}

/* A long message in both directions, byte for byte. */
static void stream_is_kept(struct scene *s)
{
    const char *topic = scene_topic(s, "t"), *payload = payload_of(s, 20000);
    struct client *a = join(s), *b = join(s);

    NEED(s, s->at.features->maximum_packet_size > 21000, "the server takes no large messages");
    subscribe(b, topic, 0);
    publish(a, topic, payload, 0, 0);
    expect(b, topic, payload);
}

/* clang-format off */
CHAPTER(connect, "CONNECT and CONNACK",
    {"connect_accepted",        accepted,               "3.1.4-5",                   "3.1.4-4",          "V31-3.1-1 V31-3.2-1", 0},
    {"connect_field_order",     field_order,            "3.1.3-1",                   "3.1.3-1",          NULL, 0},
    {"client_ids_accepted",     ids_accepted,           "3.1.3-5",                   "3.1.3-5",          "V31-3.1-3", 0},
    {"client_id_short",         short_id_accepted,      "3.1.3-5",                   "3.1.3-5",          "V31-3.1-3", 0},
    {"client_id_empty",         empty_id,               "3.1.3-6 3.1.3-7 3.2.2-16",  "3.1.3-6",          NULL, 0},
    {"client_id_assigned",      assigned_id_resumes,    "3.1.3-7",                   NULL,               NULL, 0},
    {"client_id_not_assigned",  no_id_assigned,         "3.1.3-7",                   NULL,               NULL, 0},
    {"client_id_empty_session", empty_id_of_session,    NULL,                        "3.1.3-8 3.1.3-7 3.1.3-9 3.2.2-5", NULL, 0},
    {"client_id_empty_31",      empty_id_31,            NULL,                        NULL,               "V31-3.1-2", 0},
    {"client_ids_odd",          odd_ids,                "3.1.3-8",                   "3.1.3-9",          NULL, 0},
    {"client_ids_are_keys",     ids_are_keys,           "3.1.3-2",                   "3.1.3-2",          NULL, 0},
    {"first_packet",            first_packet,           "3.1.0-1 3.14.0-1",          "3.1.0-1",          NULL, 0},
    {"second_connect",          second_connect,         "3.1.0-2 3.2.0-2",           "3.1.0-2",          NULL, 0},
    {"protocol_name",           protocol_name,          "3.1.2-1",                   "3.1.2-1",          NULL, 0},
    {"protocol_level",          protocol_level,         "3.1.2-2",                   "3.1.2-2",          "V31-3.1-4", 0},
    {"reserved_connect_flag",   reserved_flag,          "3.1.2-3",                   "3.1.2-3",          NULL, 0},
    {"will_fields_missing",     will_fields_missing,    "3.1.2-9",                   "3.1.2-9",          NULL, 0},
    {"will_qos_alone",          will_qos_alone,         "3.1.2-11",                  "3.1.2-11 3.1.2-13", NULL, 0},
    {"will_retain_alone",       will_retain_alone,      "3.1.2-13",                  "3.1.2-11 3.1.2-15", NULL, 0},
    {"will_qos_3",              will_qos_3,             "3.1.2-12",                  "3.1.2-14",         NULL, 0},
    {"user_name_missing",       user_missing,           "3.1.2-17",                  "3.1.2-19",         NULL, 0},
    {"user_name_unannounced",   user_unannounced,       "3.1.2-16",                  "3.1.2-18",         NULL, 0},
    {"password_missing",        password_missing,       "3.1.2-19",                  "3.1.2-21",         NULL, 0},
    {"password_unannounced",    password_unannounced,   "3.1.2-18",                  "3.1.2-20",         NULL, 0},
    {"password_alone",          password_alone,         NULL,                        "3.1.2-22",         NULL, 0},
    {"password_alone_legal",    password_alone_legal,   "3.1.2-19",                  NULL,               NULL, 0},
    {"client_id_missing",       id_missing,             "3.1.3-3",                   "3.1.3-3",          NULL, 0},
    {"connect_malformed",       malformed,              "3.1.4-1",                   "3.1.4-1",          NULL, 0},
    {"connect_properties_malformed", malformed_props,   "3.1.4-1 4.13.1-1",          NULL,               NULL, 0},
    {"will_properties_malformed", malformed_will_props, "3.1.4-1",                   NULL,               NULL, 0},
    {"wrong_password",          wrong_password,         "3.1.4-2",                   "3.2.2-5",          NULL, 0},
    {"nothing_after_refusal",   nothing_after_refusal,  "3.1.4-6",                   "3.1.4-5",          NULL, 0},
    {"refusal_and_session",     refusal_without_session, "3.2.2-6 3.2.2-7",          "3.2.2-4 3.2.2-5",  NULL, 0},
    {"connack_first",           connack_first,          "3.2.0-1",                   "3.2.0-1",          "V31-3.2-1", 0},
    {"plain_client",            plain_client,           "4.2.0-1",                   "7.0.0-2 7.1.1-1",  NULL, 0},
    {"stream_is_kept",          stream_is_kept,         "4.2.0-1",                   "7.1.1-1",          NULL, 0},
);
/* clang-format on */

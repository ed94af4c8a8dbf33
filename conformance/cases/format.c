/* format: strings, integers, flags and packet identifiers.          [v5 1.5, 2] [v3 1.5, 2] */
#include "conformance/cases/chapters.h"

#define MANY 16u

static const char *const ill_formed[] = {
    "ED A0 80",       /* a surrogate */
    "C0 80",          /* an overlong form */
    "61 80",          /* a continuation byte alone */
    "F5 80 80 80 62", /* above U+10FFFF */
    "E2 82",          /* ends too early */
};
static const char *const with_nul[] = {"61 00 62"};

/* A connection for each of the bytes, all of which send this packet; the bytes stand at %s. */
static void closes_on_each(struct scene *s, const char *const *bytes, size_t n, const char *before,
                           const char *after)
{
    struct client *c[MANY];

    for (size_t i = 0; i < n; i++) {
        c[i] = join(s);
        say(c[i], "%s {%s} %s", before, bytes[i], after);
    }
    for (size_t i = 0; i < n; i++)
        expect_close(c[i], "81");
}

static void refuses_each(struct scene *s, const char *const *bytes, size_t n,
                         struct hand_connect *h, const char **field)
{
    struct client *c[MANY];

    for (size_t i = 0; i < n; i++) {
        c[i] = client_open(s, NULL);
        *field = arena_printf(&s->arena, "{%s}", bytes[i]);
        client_send(c[i], hand_connect(s, h));
    }
    for (size_t i = 0; i < n; i++)
        expect_refusal(c[i], "81 85", NO_CONNACK);
}

static const char *will_with_topic(struct scene *s, const char *bytes)
{
    return arena_printf(&s->arena, "%s {%s} <payload>", no_props(s), bytes);
}

/* ---- strings in CONNECT ---- */

static void client_id_utf8(struct scene *s)
{
    struct hand_connect h = {.name = NULL};

    refuses_each(s, ill_formed, ARRAY_LEN(ill_formed), &h, &h.id);
}

static void client_id_nul(struct scene *s)
{
    struct hand_connect h = {.name = NULL};

    refuses_each(s, with_nul, ARRAY_LEN(with_nul), &h, &h.id);
}

static void will_topic_refused(struct scene *s, const char *const *bytes, size_t n)
{
    struct client *c[MANY];

    for (size_t i = 0; i < n; i++) {
        c[i] = client_open(s, NULL);
        client_send(c[i], HAND_CONNECT(s, .flags = 0x06, .will = will_with_topic(s, bytes[i])));
    }
    for (size_t i = 0; i < n; i++)
        expect_refusal(c[i], "81 90", NO_CONNACK);
}

static void will_topic_utf8(struct scene *s)
{
    will_topic_refused(s, ill_formed, ARRAY_LEN(ill_formed));
}

static void will_topic_nul(struct scene *s)
{
    will_topic_refused(s, with_nul, ARRAY_LEN(with_nul));
}

static void user_name_utf8(struct scene *s)
{
    struct hand_connect h = {.flags = 0x82};

    refuses_each(s, ill_formed, ARRAY_LEN(ill_formed), &h, &h.tail);
}

/* ---- strings on a connection ---- */

static void topic_utf8(struct scene *s)
{
    closes_on_each(s, ill_formed, ARRAY_LEN(ill_formed), "30 #",
                   s->version == MQTT_V5 ? "() [x]" : "[x]");
}

/* Nothing of it is delivered: the subscriber's filter would match. */
static void topic_nul(struct scene *s)
{
    struct client *watcher = join(s), *other = join(s);
    const char *topic = describe_bytes(&s->arena, text(scene_topic(s, "a")));
    const char *const at_end[] = {arena_printf(&s->arena, "%s 00 62", topic)};

    need_wildcard(s);
    subscribe(watcher, scene_topic(s, "#"), 0);
    closes_on_each(s, at_end, 1, "30 #", s->version == MQTT_V5 ? "() [x]" : "[x]");
    expect_nothing(other, watcher);
}

static void filter_utf8(struct scene *s)
{
    closes_on_each(s, ill_formed, ARRAY_LEN(ill_formed),
                   s->version == MQTT_V5 ? "82 # 0001 ()" : "82 # 0001", "00");
}

static void filter_nul(struct scene *s)
{
    closes_on_each(s, with_nul, ARRAY_LEN(with_nul),
                   s->version == MQTT_V5 ? "82 # 0001 ()" : "82 # 0001", "00");
}

static void unsubscribe_utf8(struct scene *s)
{
    closes_on_each(s, ill_formed, ARRAY_LEN(ill_formed),
                   s->version == MQTT_V5 ? "a2 # 0001 ()" : "a2 # 0001", "");
}

/* A property that is a string, in a PUBLISH. */
static void property_utf8(struct scene *s, const char *id, const char *const *bytes, size_t n)
{
    const char *topic = scene_topic(s, "t");

    closes_on_each(s, bytes, n, arena_printf(&s->arena, "30 # <%s> (%s", topic, id), ") [x]");
}

static void content_type_utf8(struct scene *s)
{
    property_utf8(s, "03", ill_formed, ARRAY_LEN(ill_formed));
}

static void response_topic_utf8(struct scene *s)
{
    property_utf8(s, "08", ill_formed, ARRAY_LEN(ill_formed));
}

static void property_nul(struct scene *s)
{
    property_utf8(s, "03", with_nul, ARRAY_LEN(with_nul));
    property_utf8(s, "08", with_nul, ARRAY_LEN(with_nul));
    property_utf8(s, "26 <name>", with_nul, ARRAY_LEN(with_nul));
}

static void user_property_utf8(struct scene *s)
{
    const char *topic = scene_topic(s, "t");

    property_utf8(s, "26 <name>", ill_formed, ARRAY_LEN(ill_formed));
    closes_on_each(s, ill_formed, ARRAY_LEN(ill_formed),
                   arena_printf(&s->arena, "30 # <%s> (26", topic), "<value>) [x]");
}

static void reason_string_utf8(struct scene *s)
{
    closes_on_each(s, ill_formed, ARRAY_LEN(ill_formed), "40 # 0001 80 (1f", ")");
}

/* ---- U+FEFF ---- */

#define BOM "\xef\xbb\xbf"

static void bom_kept(struct scene *s)
{
    const char *plain = scene_topic(s, "t");
    const char *with_bom = arena_printf(&s->arena, BOM "%s", plain);
    struct client *a = join(s), *b = join(s);

    subscribe(b, with_bom, 0);
    publish(a, plain, "without", 0, 0);
    publish(a, with_bom, "with", 0, 0);
    expect(b, with_bom, "with");
    expect_nothing(a, b);
}

static void bom_in_properties(struct scene *s)
{
    struct mqtt_props props = with_encoded(s, "03 <" BOM "type> 26 <" BOM "name> <" BOM "value>");
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s);
    const struct mqtt_publish *m;
    struct mqtt_property_view v;
    uint32_t at = 0;

    subscribe(a, topic, 0);
    publish_props(a, topic, "x", 0, 0, &props);
    m = expect(a, topic, "x");
    MUST(s, MQTT_HAS(&m->props, content_type) && is_text(m->props.content_type, BOM "type"),
         "the Content Type does not arrive as it was sent");
    while (mqtt_props_next(m->props.raw, &at, &v) && v.id != MQTT_PROP_user_property)
        ;
    MUST(s,
         v.id == MQTT_PROP_user_property && is_text(v.text, BOM "name") &&
             is_text(v.value, BOM "value"),
         "the User Property does not arrive as it was sent");
}

/* ---- integers ---- */

static void varint_overlong(struct scene *s)
{
    static const char *const packets[] = {
        "c0 8000",                    /* PINGREQ: 0 in two bytes */
        "c0 80808000",                /* in four */
        "c0 8080808000",              /* in five */
        "82 # 0001 8000 <a/b> 00",    /* a Property Length of 0 in two bytes */
        "82 # 0001 (0b 8100) <a> 00", /* a Subscription Identifier of 1 in two bytes */
    };
    struct client *c[ARRAY_LEN(packets)];

    for (size_t i = 0; i < ARRAY_LEN(packets); i++) {
        c[i] = join(s);
        say(c[i], "%s", packets[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(packets); i++)
        expect_close(c[i], "81");
}

/* Remaining Length in one, two and three bytes, as far as the server takes them. */
static void varint_sizes(struct scene *s)
{
    static const uint32_t sizes[] = {127, 128, 16383, 16384};
    const char *topic = scene_topic(s, "t");
    uint32_t head = 2u + (uint32_t)strlen(topic) + (s->version == MQTT_V5 ? 1 : 0);
    struct client *a = join(s), *b = join(s);

    subscribe(b, topic, 0);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        const char *payload = payload_of(s, sizes[i] - head);

        if (sizes[i] + 5 > s->at.features->maximum_packet_size)
            continue;
        publish(a, topic, payload, 0, 0);
        expect(b, topic, payload);
    }
}

/* ---- flags ---- */

static void wrong_flags(struct scene *s)
{
    const char *p = no_props(s);
    const char *const packets[] = {
        "41 02 0001",
        "51 02 0001",
        "60 02 0001",
        "71 02 0001",
        arena_printf(&s->arena, "80 # 0001 %s <a> 00", p),
        arena_printf(&s->arena, "83 # 0001 %s <a> 00", p),
        arena_printf(&s->arena, "a0 # 0001 %s <a>", p),
        "c1 00",
        "e1 00",
        "f1 # 18 (15 <method>)",
    };
    size_t n = s->version == MQTT_V5 ? ARRAY_LEN(packets) : ARRAY_LEN(packets) - 1;
    struct client *c[ARRAY_LEN(packets)], *connecting = client_open(s, NULL);

    for (size_t i = 0; i < n; i++) {
        c[i] = join(s);
        say(c[i], "%s", packets[i]);
    }
    client_send(connecting, HAND_CONNECT(s, .head = "11 #"));
    for (size_t i = 0; i < n; i++)
        expect_close(c[i], "81");
    expect_refusal(connecting, "81", NO_CONNACK);
}

/* 3.1: what is sent again may have DUP. */
static void dup_allowed(struct scene *s)
{
    struct client *c = join(s);

    say(c, "8a # 0001 <%s> 01", scene_topic(s, "t"));
    MUST(s, client_take(c, MQTT_SUBACK, NULL)->as.suback.packet_id == 1, "SUBACK with another id");
    say(c, "aa # 0002 <%s>", scene_topic(s, "t"));
    MUST(s, client_take(c, MQTT_UNSUBACK, NULL)->as.suback.packet_id == 2,
         "UNSUBACK with another id");
    need_qos(s, 2);
    say(c, "34 # <%s> 0003 [x]", scene_topic(s, "t"));
    expect_ack(c, MQTT_PUBREC, 3);
    say(c, "6a 02 0003");
    expect_ack(c, MQTT_PUBCOMP, 3);
}

/* ---- packet identifiers ---- */

static void qos0_has_no_id(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = join(s);
    const struct mqtt_publish *m;

    subscribe(b, topic, 2);
    say(a, "30 # <%s> %s 0001 [abc]", topic, no_props(s));
    m = message(b);
    MUST(s, m->qos == 0 && m->payload.len == 5 && memcmp(m->payload.p, "\0\1abc", 5) == 0,
         "the payload 00 01 61 62 63 arrives as %s", describe_bytes(&s->arena, m->payload));
}

static void answers_have_ids(struct scene *s)
{
    static const uint16_t ids[] = {1, 0x1234, 65535};
    const char *topic = scene_topic(s, "t");
    struct client *c = join(s);

    need_qos(s, 1);
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        say(c, "32 # <%s> %04x %s [x]", topic, ids[i], no_props(s));
        expect_ack(c, MQTT_PUBACK, ids[i]);
    }
    need_qos(s, 2);
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        say(c, "34 # <%s> %04x %s [x]", topic, ids[i], no_props(s));
        expect_ack(c, MQTT_PUBREC, ids[i]);
        acknowledge(c, MQTT_PUBREL, ids[i], 0);
        expect_ack(c, MQTT_PUBCOMP, ids[i]);
    }
}

static void pubrel_has_id(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = JOIN(s, .manual = true);
    uint16_t id[2];

    need_qos(s, 2);
    subscribe(b, topic, 2);
    publish(a, topic, "1", 2, 0);
    publish(a, topic, "2", 2, 0);
    id[0] = expect(b, topic, "1")->packet_id;
    id[1] = expect(b, topic, "2")->packet_id;
    for (unsigned i = 2; i-- > 0;) { /* the second first */
        acknowledge(b, MQTT_PUBREC, id[i], 0);
        MUST(s, client_take(b, MQTT_PUBREL, NULL)->as.ack.packet_id == id[i],
             "PUBREL with another id than PUBREC %u", id[i]);
        acknowledge(b, MQTT_PUBCOMP, id[i], 0);
    }
}

static void suback_has_id(struct scene *s)
{
    static const uint16_t ids[] = {1, 0x1234, 65535};
    const char *topic = scene_topic(s, "t");
    struct client *c = join(s);

    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        say(c, "82 # %04x %s <%s> 00", ids[i], no_props(s), topic);
        MUST(s, client_take(c, MQTT_SUBACK, NULL)->as.suback.packet_id == ids[i],
             "SUBACK with another id than SUBSCRIBE %u", ids[i]);
        say(c, "a2 # %04x %s <%s>", ids[i], no_props(s), topic);
        MUST(s, client_take(c, MQTT_UNSUBACK, NULL)->as.suback.packet_id == ids[i],
             "UNSUBACK with another id than UNSUBSCRIBE %u", ids[i]);
    }
}

static void id_zero(struct scene *s)
{
    struct client *a = join(s), *b = join(s), *c = join(s);
    const char *topic = scene_topic(s, "t");

    say(a, "82 # 0000 %s <%s> 00", no_props(s), topic);
    say(b, "a2 # 0000 %s <%s>", no_props(s), topic);
    expect_close(a, "82 81");
    expect_close(b, "82 81");
    need_qos(s, 1);
    say(c, "32 # <%s> 0000 %s [x]", topic, no_props(s));
    expect_close(c, "82 81");
}

/* Ten deliveries under way, five acknowledged, five more. */
static void ids_distinct(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = JOIN(s, .manual = true);
    uint16_t ids[10];

    subscribe(b, topic, 1);
    for (unsigned i = 0; i < 10; i++) {
        publish(a, topic, "x", 1, 0);
        ids[i] = message(b)->packet_id;
        for (unsigned j = 0; j < i; j++)
            MUST(s, ids[i] != ids[j], "id %u is used twice", ids[i]);
    }
    for (unsigned i = 0; i < 5; i++)
        acknowledge(b, MQTT_PUBACK, ids[i], 0);
    for (unsigned i = 0; i < 5; i++) {
        publish(a, topic, "y", 1, 0);
        ids[i] = message(b)->packet_id;
        for (unsigned j = 5; j < 10; j++)
            MUST(s, ids[i] != ids[j], "id %u is still in use", ids[i]);
    }
}

static void no_property_length(struct scene *s)
{
    struct client *c = join(s);

    say(c, "82 # 0001 <a/b> 00");
    expect_close(c, "81");
}

/* An answer without properties says so, or is short where it may be. */
static void property_length_sent(struct scene *s)
{
    struct client *c = join(s);
    const char *topic = scene_topic(s, "t");

    subscribe(c, topic, 0);
    publish(c, topic, "x", 0, 0);
    expect(c, topic, "x");
    unsubscribe(c, topic);
}

/* clang-format off */
CHAPTER(format, "Strings, integers, flags, packet identifiers",
    {"client_id_utf8",       client_id_utf8,       "1.5.4-1 3.1.3-4",          "1.5.3-1 3.1.3-4",  NULL, 0},
    {"client_id_nul",        client_id_nul,        "1.5.4-2 3.1.3-4",          "1.5.3-2 3.1.3-4",  NULL, 0},
    {"will_topic_utf8",      will_topic_utf8,      "1.5.4-1 3.1.3-11",         "1.5.3-1 3.1.3-10", NULL, 0},
    {"will_topic_nul",       will_topic_nul,       "1.5.4-2 3.1.3-11",         "1.5.3-2 3.1.3-10", NULL, 0},
    {"user_name_utf8",       user_name_utf8,       "1.5.4-1 3.1.3-12",         "1.5.3-1 3.1.3-11", NULL, 0},
    {"topic_utf8",           topic_utf8,           "1.5.4-1 3.3.2-1",          "1.5.3-1 3.3.2-1",  NULL, 0},
    {"topic_nul",            topic_nul,            "1.5.4-2 4.7.3-2",          "1.5.3-2 4.7.3-2",  NULL, 0},
    {"filter_utf8",          filter_utf8,          "1.5.4-1 3.8.3-1",          "1.5.3-1 3.8.3-1",  NULL, 0},
    {"filter_nul",           filter_nul,           "1.5.4-2 4.7.3-2",          "1.5.3-2 4.7.3-2",  NULL, 0},
    {"unsubscribe_utf8",     unsubscribe_utf8,     "1.5.4-1 3.10.3-1",         "1.5.3-1 3.10.3-1", NULL, 0},
    {"content_type_utf8",    content_type_utf8,    "1.5.4-1 3.3.2-19",         NULL,               NULL, 0},
    {"response_topic_utf8",  response_topic_utf8,  "1.5.4-1 3.3.2-13",         NULL,               NULL, 0},
    {"user_property_utf8",   user_property_utf8,   "1.5.7-1",                  NULL,               NULL, 0},
    {"property_nul",         property_nul,         "1.5.4-2",                  NULL,               NULL, 0},
    {"reason_string_utf8",   reason_string_utf8,   "1.5.4-1",                  NULL,               NULL, 0},
    {"bom_kept",             bom_kept,             "1.5.4-3",                  "1.5.3-3",          NULL, 0},
    {"bom_in_properties",    bom_in_properties,    "1.5.4-3",                  NULL,               NULL, 0},
    {"varint_overlong",      varint_overlong,      "1.5.5-1",                  NULL,               NULL, 0},
    {"varint_sizes",         varint_sizes,         "1.5.5-1",                  NULL,               NULL, 0},
    {"wrong_flags",          wrong_flags,          "2.1.3-1",                  "2.2.2-2",          NULL, 0},
    {"dup_allowed",          dup_allowed,          NULL,                       NULL,               "V31-2.1-2", 0},
    {"qos0_has_no_id",       qos0_has_no_id,       "2.2.1-2",                  "2.3.1-5",          NULL, 0},
    {"answers_have_ids",     answers_have_ids,     "2.2.1-5",                  "2.3.1-6",          "V31-2.4-1", 0},
    {"pubrel_has_id",        pubrel_has_id,        "2.2.1-5 4.3.3-4",          "2.3.1-6",          "V31-2.4-1", 0},
    {"suback_has_id",        suback_has_id,        "2.2.1-6 3.8.4-2 3.10.4-5", "2.3.1-7 3.8.4-2 3.10.4-4", "V31-2.4-1", 0},
    {"id_zero",              id_zero,              "2.2.1-3",                  "2.3.1-1",          NULL, 0},
    {"ids_distinct",         ids_distinct,         "2.2.1-4 4.3.2-1",          "2.3.1-4",          "V31-2.4-1", 0},
    {"no_property_length",   no_property_length,   "2.2.2-1",                  NULL,               NULL, 0},
    {"property_length_sent", property_length_sent, "2.2.2-1",                  NULL,               NULL, 0},
);
/* clang-format on */

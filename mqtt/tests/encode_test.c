/* encode_test: structs to exactly the bytes of the samples, short forms, sizes, limits. */
#include "mqtt/encode.h"

#include "base/test.h"
#include "mqtt/tests/packet_support.h"
#include "mqtt/tests/sample_support.h"

/* Encode into a block of exactly that size, and compare with text. */
static void check_bytes(const struct mqtt_packet *p, int version, const char *text)
{
    struct wire want = wire_parse(text);
    uint8_t *out = malloc(want.len);

    if (!CHECK_INT(mqtt_encode_size(p, version), want.len) ||
        !CHECK_INT(mqtt_encode(p, version, out, want.len), want.len) ||
        !CHECK_BYTES(out, want.len, want.p, want.len))
        fprintf(stderr, "  version %d: %s\n", version, text);
    for (size_t cap = 0; cap < want.len; cap++) /* writes nothing: ASan would see it */
        CHECK_INT(mqtt_encode(p, version, NULL, cap), 0);
    free(out);
    wire_free(&want);
}

/* Decoding and encoding gives the bytes back. */
static void samples_again(void)
{
    for (size_t i = 0; i < n_samples; i++) {
        const struct sample *s = &samples[i];
        struct wire w = wire_parse(s->text);
        struct mqtt_packet p;
        void *repeats;

        if (CHECK_ROW_INT(i, wire_decode(&w, sample_version(s), s->sender, &p), 0)) {
            repeats = packet_keep_repeats(&p);
            check_bytes(&p, s->version, s->text);
            free(repeats);
        }
        wire_free(&w);
    }
}

/* Reason and properties, left out from the end when they say nothing [v5 MQTT-2.2.2-1]. */
static void short_forms(void)
{
    struct mqtt_packet p = {.type = MQTT_PUBACK, .ack = {.packet_id = 1}};

    check_bytes(&p, 5, "40 (0001)");
    p.ack.reason = 0x10;
    check_bytes(&p, 5, "40 (0001 10)");
    MQTT_SET(&p.ack.props, reason_string, MQTT_STR("x"));
    check_bytes(&p, 5, "40 (0001 10 (1F <x>))");
    p.ack.reason = 0;
    check_bytes(&p, 5, "40 (0001 00 (1F <x>))");
    p.ack.props = (struct mqtt_props){.encoded = MQTT_STR("\x26\0\1k\0\1v")};
    check_bytes(&p, 5, "40 (0001 00 (26 <k> <v>))");

    p = (struct mqtt_packet){.type = MQTT_DISCONNECT};
    check_bytes(&p, 5, "E0 ()");
    p.reasoned.reason = 4;
    check_bytes(&p, 5, "E0 (04)");

    p = (struct mqtt_packet){.type = MQTT_AUTH};
    check_bytes(&p, 5, "F0 ()");
    p.reasoned.reason = 0x18; /* AUTH has no form without the list */
    check_bytes(&p, 5, "F0 (18 ())");
}

/* What 3.1 and 3.1.1 do not have is left out. */
static void versions(void)
{
    struct mqtt_packet p = {.type = MQTT_PUBREC, .ack = {.packet_id = 1, .reason = 0x97}};

    MQTT_SET(&p.ack.props, reason_string, MQTT_STR("x"));
    check_bytes(&p, 4, "50 (0001)");
    check_bytes(&p, 3, "50 (0001)");

    p = (struct mqtt_packet){.type = MQTT_CONNACK, .connack = {.session_present = true}};
    MQTT_SET(&p.connack.props, receive_maximum, 9);
    check_bytes(&p, 5, "20 (01 00 (21 0009))");
    check_bytes(&p, 4, "20 (01 00)");
    check_bytes(&p, 3, "20 (00 00)");

    p = (struct mqtt_packet){.type = MQTT_PUBLISH,
                             .publish = {.topic = MQTT_STR("t"), .payload = MQTT_STR("p")}};
    MQTT_SET(&p.publish.props, message_expiry_s, 1);
    check_bytes(&p, 5, "30 (<t> (02 00000001) 'p')");
    check_bytes(&p, 4, "30 (<t> 'p')");

    p = (struct mqtt_packet){.type = MQTT_UNSUBACK,
                             .suback = {.packet_id = 1, .reasons = MQTT_STR("\0")}};
    check_bytes(&p, 5, "B0 (0001 () 00)");
    check_bytes(&p, 4, "B0 (0001)");

    p = (struct mqtt_packet){.type = MQTT_DISCONNECT, .reasoned = {.reason = 0x8b}};
    check_bytes(&p, 4, "E0 ()");
    p.type = MQTT_AUTH;
    check_bytes(&p, 4, "F0 ()");

    /* A CONNECT knows its own. */
    p = (struct mqtt_packet){.type = MQTT_CONNECT,
                             .connect = {.version = MQTT_V31, .client_id = MQTT_STR("c")}};
    check_bytes(&p, 5, "10 (<MQIsdp> 03 00 0000 <c>)");
    p.connect.version = MQTT_V311;
    check_bytes(&p, 5, "10 (<MQTT> 04 00 0000 <c>)");
    p.connect.version = MQTT_V5;
    check_bytes(&p, 3, "10 (<MQTT> 05 00 0000 () <c>)");
}

/* Wrong things, for those who test others. */
static void no_judgement(void)
{
    struct mqtt_packet p = {.type = MQTT_PUBLISH,
                            .publish = {.dup = true, .qos = 3, .topic = MQTT_STR("#")}};

    check_bytes(&p, 5, "3E (<#> 0000 ())");
    MQTT_SET(&p.publish.props, assigned_client_id, MQTT_STR("\xff"));
    MQTT_SET(&p.publish.props, payload_format, 7);
    check_bytes(&p, 5, "3E (<#> 0000 (01 07 12 {FF}))");
    p = (struct mqtt_packet){.type = MQTT_SUBSCRIBE};
    check_bytes(&p, 5, "82 (0000 ())");
    p = (struct mqtt_packet){.type = MQTT_CONNECT,
                             .connect = {.version = (enum mqtt_version)6, .has_password = true}};
    check_bytes(&p, 5, "10 (<MQTT> 06 40 0000 <> {})");
}

/* No form on the wire. */
static void not_encodable(void)
{
    const struct mqtt_str longest = {(const uint8_t *)"", 65535}, too_long = {longest.p, 65536};
    struct mqtt_packet p = {.type = MQTT_PUBLISH, .publish = {.topic = longest}};
    uint8_t out[16];

    CHECK_INT(mqtt_encode_size(&p, 4), 1 + 3 + 2 + 65535);
    p.publish.topic = too_long;
    CHECK_INT(mqtt_encode_size(&p, 4), 0);
    CHECK_INT(mqtt_encode(&p, 4, out, sizeof out), 0);

    p.publish.topic = MQTT_STR("t");
    p.publish.payload = (struct mqtt_str){longest.p, MQTT_MAX_REMAINING - 3};
    CHECK_INT(mqtt_encode_size(&p, 4), 5 + MQTT_MAX_REMAINING);
    CHECK_INT(mqtt_encode_size(&p, 5), 0);
    p.publish.payload.len++;
    CHECK_INT(mqtt_encode_size(&p, 4), 0);
    p.publish.payload.len = UINT32_MAX;
    CHECK_INT(mqtt_encode_size(&p, 4), 0);

    p = (struct mqtt_packet){.type = MQTT_PUBACK};
    MQTT_SET(&p.ack.props, reason_string, too_long);
    CHECK_INT(mqtt_encode_size(&p, 5), 0);
    p.ack.props = (struct mqtt_props){.encoded = {longest.p, UINT32_MAX}};
    CHECK_INT(mqtt_encode_size(&p, 5), 0);
    p = (struct mqtt_packet){.type = MQTT_SUBSCRIBE};
    MQTT_SET(&p.subscribe.props, subscription_id, MQTT_MAX_REMAINING + 1);
    CHECK_INT(mqtt_encode_size(&p, 5), 0);
    p = (struct mqtt_packet){.type = (enum mqtt_type)0};
    CHECK_INT(mqtt_encode_size(&p, 5), 0);
    p.type = (enum mqtt_type)16;
    CHECK_INT(mqtt_encode_size(&p, 5), 0);
}

/* The head alone is the start of the whole packet. */
static void publish_head(void)
{
    static const struct mqtt_str props = MQTT_STR("\x01\x01\x26\0\1k\0\1v");

    for (unsigned i = 0; i < 3u * 3 * 2 * 2; i++) {
        int version = 3 + (int)(i % 3);
        struct mqtt_publish_head h = {.topic = MQTT_STR("some/topic"),
                                      .props = props,
                                      .payload_len = i % 5 * 100,
                                      .packet_id = 0x1234,
                                      .qos = (uint8_t)(i / 3 % 3),
                                      .retain = i / 9 % 2 != 0,
                                      .dup = i / 18 != 0};
        struct mqtt_packet p = {.type = MQTT_PUBLISH,
                                .publish = {.topic = h.topic,
                                            .qos = h.qos,
                                            .retain = h.retain,
                                            .dup = h.dup,
                                            .packet_id = h.packet_id,
                                            .payload.len = h.payload_len,
                                            .props.encoded = props}};
        uint8_t payload[500] = {0}, whole[600], head[100];
        size_t id_at = 99, total, n;

        p.publish.payload.p = payload;
        total = mqtt_encode(&p, version, whole, sizeof whole);
        n = mqtt_encode_publish_head(&h, version, head, sizeof head, &id_at);
        CHECK_ROW_INT(i, n + h.payload_len, total);
        CHECK_BYTES(head, n, whole, n);
        CHECK_ROW(i, (id_at == 0) == (h.qos == 0));
        if (h.qos > 0)
            CHECK_ROW(i, head[id_at] == 0x12 && head[id_at + 1] == 0x34);
        CHECK_ROW_INT(i, mqtt_encode_publish_head(&h, version, head, n, &id_at), n);
        CHECK_ROW_INT(i, mqtt_encode_publish_head(&h, version, NULL, n - 1, &id_at), 0);
    }
}

static void publish_head_limits(void)
{
    struct mqtt_publish_head h = {.topic = MQTT_STR("t"), .payload_len = MQTT_MAX_REMAINING - 3};
    uint8_t out[16], *topic = malloc(65536), *large = malloc(70000);
    size_t id_at;

    CHECK_INT(mqtt_encode_publish_head(&h, 4, out, sizeof out, &id_at), 8);
    CHECK_INT(mqtt_encode_publish_head(&h, 5, out, sizeof out, &id_at), 0);
    h.payload_len = UINT32_MAX;
    CHECK_INT(mqtt_encode_publish_head(&h, 4, out, sizeof out, &id_at), 0);
    memset(topic, 'x', 65536);
    h = (struct mqtt_publish_head){.topic = {topic, 65535}};
    CHECK_INT(mqtt_encode_publish_head(&h, 4, large, 70000, &id_at), 4 + 2 + 65535);
    h.topic.len = 65536;
    CHECK_INT(mqtt_encode_publish_head(&h, 4, large, 70000, &id_at), 0);
    h = (struct mqtt_publish_head){.topic = MQTT_STR("t"), .props.len = UINT32_MAX};
    CHECK_INT(mqtt_encode_publish_head(&h, 5, out, sizeof out, &id_at), 0);
    free(topic);
    free(large);
}

static void number_properties(void)
{
    static const struct {
        uint8_t id;
        uint32_t value;
        const char *want; /* "": refused */
    } rows[] = {
        {MQTT_PROP_payload_format, 1, "01 01"},
        {MQTT_PROP_payload_format, 255, "01 FF"},
        {MQTT_PROP_payload_format, 256, ""},
        {MQTT_PROP_topic_alias, 0xfffe, "23 FFFE"},
        {MQTT_PROP_topic_alias, 65536, ""},
        {MQTT_PROP_message_expiry_s, UINT32_MAX, "02 FFFFFFFF"},
        {MQTT_PROP_subscription_id, 128, "0B 8001"},
        {MQTT_PROP_subscription_id, MQTT_MAX_REMAINING, "0B FFFFFF7F"},
        {MQTT_PROP_subscription_id, MQTT_MAX_REMAINING + 1, ""},
        {MQTT_PROP_content_type, 1, ""}, /* not a number */
        {MQTT_PROP_correlation_data, 1, ""},
        {MQTT_PROP_user_property, 1, ""},
        {0x00, 1, ""}, /* not a property */
        {0x7f, 1, ""},
        {0xff, 1, ""},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct wire want = wire_parse(rows[i].want);
        uint8_t out[8];

        CHECK_ROW_INT(i, mqtt_encode_number_property(rows[i].id, rows[i].value, out, sizeof out),
                      want.len);
        CHECK_BYTES(out, want.len, want.p, want.len);
        if (want.len > 0)
            CHECK_ROW_INT(
                i, mqtt_encode_number_property(rows[i].id, rows[i].value, NULL, want.len - 1), 0);
        wire_free(&want);
    }
}

static void text_properties(void)
{
    const struct mqtt_str x = MQTT_STR("x"), too_long = {x.p, 65536};
    uint8_t out[16];

    CHECK_INT(mqtt_encode_text_property(MQTT_PROP_content_type, x, out, 4), 4);
    CHECK_BYTES(out, 4, "\x03\0\1x", 4);
    CHECK_INT(mqtt_encode_text_property(MQTT_PROP_correlation_data, x, out, 16), 4);
    CHECK_BYTES(out, 4, "\x09\0\1x", 4);
    CHECK_INT(mqtt_encode_text_property(MQTT_PROP_content_type, x, NULL, 3), 0);
    CHECK_INT(mqtt_encode_text_property(MQTT_PROP_content_type, too_long, out, 16), 0);
    CHECK_INT(mqtt_encode_text_property(MQTT_PROP_topic_alias, x, out, 16), 0);
    CHECK_INT(mqtt_encode_text_property(MQTT_PROP_user_property, x, out, 16), 0);
    CHECK_INT(mqtt_encode_text_property(0x2b, x, out, 16), 0);

    CHECK_INT(mqtt_encode_user_property(MQTT_STR("key"), MQTT_STR(""), out, 8), 8);
    CHECK_BYTES(out, 8, "\x26\0\3key\0\0", 8);
    CHECK_INT(mqtt_encode_user_property(MQTT_STR("key"), MQTT_STR(""), NULL, 7), 0);
    CHECK_INT(mqtt_encode_user_property(x, too_long, out, 16), 0);
}

static void filters(void)
{
    const struct mqtt_str too_long = {(const uint8_t *)"", 65536};
    uint8_t out[16];

    CHECK_INT(mqtt_encode_filter(MQTT_STR("a/#"), false, 0x2e, out, 6), 6);
    CHECK_BYTES(out, 6, "\0\3a/#\x2e", 6);
    CHECK_INT(mqtt_encode_filter(MQTT_STR("a/#"), true, 0x2e, out, 5), 5);
    CHECK_BYTES(out, 5, "\0\3a/#", 5);
    CHECK_INT(mqtt_encode_filter(MQTT_STR("a/#"), false, 0, NULL, 5), 0);
    CHECK_INT(mqtt_encode_filter(MQTT_STR("a/#"), true, 0, NULL, 4), 0);
    CHECK_INT(mqtt_encode_filter(too_long, true, 0, out, SIZE_MAX), 0);
}

TEST_MAIN(samples_again, short_forms, versions, no_judgement, not_encodable, publish_head,
          publish_head_limits, number_properties, text_properties, filters)

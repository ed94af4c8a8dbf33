/* decode_connect_test: CONNECT of every version, its fields and its faults. */
#include "mqtt/decode.h"

#include "mqtt/tests/judge_support.h"

static void connect_fields(void)
{
    struct wire w;
    struct mqtt_packet p = good(&w,
                                "10 (<MQTT> 05 EE 003C (11 0000000A 21 0014) <c5> "
                                "(18 00000005 26 <a> <b>) <w/t> {00 01} <user> {FE})",
                                0, C);
    const struct mqtt_connect *c = &p.connect;

    CHECK_INT(p.type, MQTT_CONNECT);
    CHECK_INT(c->version, MQTT_V5);
    CHECK(c->clean_start && c->has_will && c->has_username && c->has_password);
    CHECK_INT(c->keep_alive_s, 60);
    CHECK(MQTT_HAS(&c->props, session_expiry_s) && c->props.session_expiry_s == 10);
    CHECK(MQTT_HAS(&c->props, receive_maximum) && c->props.receive_maximum == 20);
    CHECK(!MQTT_HAS(&c->props, topic_alias_maximum));
    STR_IS(c->client_id, "c5");
    CHECK_INT(c->will.qos, 1);
    CHECK(c->will.retain);
    CHECK(MQTT_HAS(&c->will.props, will_delay_s) && c->will.props.will_delay_s == 5);
    CHECK(MQTT_HAS(&c->will.props, user_property));
    CHECK_INT(c->will.props.raw.len, 12);
    STR_IS(c->will.topic, "w/t");
    STR_IS(c->will.payload, "\0\1");
    STR_IS(c->username, "user");
    STR_IS(c->password, "\xfe");
    wire_free(&w);
}

static void connect_flags_one_by_one(void)
{
    struct wire w;
    struct mqtt_packet p = good(&w, "10 (<MQTT> 04 00 0001 <a>)", 0, C);

    CHECK(!p.connect.clean_start && !p.connect.has_will && !p.connect.has_username &&
          !p.connect.has_password);
    CHECK_INT(p.connect.props.present, 0);
    CHECK_INT(p.connect.props.raw.len, 0);
    wire_free(&w);
    p = good(&w, "10 (<MQTT> 04 02 0001 <a>)", 0, C);
    CHECK(p.connect.clean_start && !p.connect.has_will && !p.connect.has_username);
    wire_free(&w);
    p = good(&w, "10 (<MQTT> 04 14 0001 <a> <t> {})", 0, C);
    CHECK(p.connect.has_will && p.connect.will.qos == 2 && !p.connect.will.retain);
    CHECK_INT(p.connect.will.payload.len, 0);
    wire_free(&w);
    p = good(&w, "10 (<MQTT> 04 24 0001 <a> <t> {})", 0, C);
    CHECK(p.connect.has_will && p.connect.will.qos == 0 && p.connect.will.retain);
    wire_free(&w);
    p = good(&w, "10 (<MQTT> 04 80 0001 <a> <u>)", 0, C);
    CHECK(p.connect.has_username && !p.connect.has_password);
    wire_free(&w);
    p = good(&w, "10 (<MQTT> 05 40 0001 () <a> {70})", 0, C);
    CHECK(!p.connect.has_username && p.connect.has_password);
    STR_IS(p.connect.password, "p");
    wire_free(&w);
}

/* 3.1: what the flags promise but the packet does not have any more counts as absent. */
static void connect_31_missing_credentials(void)
{
    struct wire w;
    struct mqtt_packet p = good(&w, "10 (<MQIsdp> 03 C2 0001 <a>)", 0, C);

    CHECK_INT(p.connect.version, MQTT_V31);
    CHECK(!p.connect.has_username && !p.connect.has_password);
    wire_free(&w);
    p = good(&w, "10 (<MQIsdp> 03 C2 0001 <a> <u>)", 0, C);
    CHECK(p.connect.has_username && !p.connect.has_password);
    STR_IS(p.connect.username, "u");
    wire_free(&w);
}

/* The version is there for the answer, whatever else is wrong. */
static void connect_version_with_fault(void)
{
    static const struct {
        const char *text;
        int rc, version;
    } rows[] = {
        {"10 ()", MP, 0},
        {"10 (0004 'MQT')", MP, 0},
        {"10 (<MQTT>)", MP, 0},
        {"10 (<MQTT> 06 02 0000 <a>)", MQTT_RC_UNSUPPORTED_VERSION, 0},
        {"10 (<MQTT> 04)", MP, 4},
        {"10 (<MQTT> 05 03 0000 () <a>)", MP, 5},
        {"10 (<MQTT> 04 00 0000 <>)", MQTT_RC_CLIENT_ID_NOT_VALID, 4},
        {"10 (<MQIsdp> 03 02 0000 <>)", MQTT_RC_CLIENT_ID_NOT_VALID, 3},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct wire w = wire_parse(rows[i].text);
        struct mqtt_packet p;

        memset(&p, 0xff, sizeof p);
        CHECK_ROW_INT(i, wire_decode(&w, 0, C, &p), rows[i].rc);
        CHECK_ROW_INT(i, p.connect.version, rows[i].version);
        wire_free(&w);
    }
}

static void connect_faults(void)
{
    static const struct row rows[] = {
        /* Name and level [v5 MQTT-3.1.2-1] [v5 MQTT-3.1.2-2] [v3 MQTT-3.1.2-1] [v3 MQTT-3.1.2-2] */
        {0, C, 0x84, "10 (<mqtt> 05 02 0000 () <a>)"},
        {0, C, 0x84, "10 (<MQTX> 05 02 0000 () <a>)"},
        {0, C, 0x84, "10 (<> 05 02 0000 () <a>)"},
        {0, C, 0x84, "10 (<MQTT> 06 02 0000 () <a>)"},
        {0, C, 0x84, "10 (<MQTT> 03 02 0000 <a>)"},
        {0, C, 0x84, "10 (<MQTT> 00 02 0000 <a>)"},
        {0, C, 0x84, "10 (<MQTT> 7F 02 0000 <a>)"},
        {0, C, 0x84, "10 (<MQTT> 84 02 0000 <a>)"},
        {0, C, 0x84, "10 (<MQIsdp> 04 02 0000 <a>)"},
        {0, C, 0x84, "10 (<MQIsdp> 83 02 0000 <a>)"},
        {0, C, 0x84, "10 (<MQTTT> 04 02 0000 <a>)"},
        {0, C, 0x84, "10 (<M> 09)"},
        /* Flags [v5 MQTT-3.1.2-3] [v3 MQTT-3.1.2-3] */
        {0, C, MP, "10 (<MQTT> 05 03 0000 () <a>)"},
        {0, C, MP, "10 (<MQTT> 04 03 0000 <a>)"},
        {0, C, MP, "10 (<MQIsdp> 03 03 0000 <a>)"},
        /* Will QoS 3 [v5 MQTT-3.1.2-12] [v3 MQTT-3.1.2-14] */
        {0, C, MP, "10 (<MQTT> 05 1E 0000 () <a> () <t> {})"},
        {0, C, MP, "10 (<MQTT> 04 1E 0000 <a> <t> {})"},
        /* QoS and retain without a Will [v5 MQTT-3.1.2-11] [v5 MQTT-3.1.2-13] [v3 MQTT-3.1.2-13]
         * [v3 MQTT-3.1.2-15] */
        {0, C, MP, "10 (<MQTT> 05 0A 0000 () <a>)"},
        {0, C, MP, "10 (<MQTT> 05 12 0000 () <a>)"},
        {0, C, MP, "10 (<MQTT> 05 22 0000 () <a>)"},
        {0, C, MP, "10 (<MQTT> 04 0A 0000 <a>)"},
        {0, C, MP, "10 (<MQTT> 04 22 0000 <a>)"},
        /* A password without a user name [v3 MQTT-3.1.2-22]; 5.0 allows it [v5 MQTT-3.1.2-19] */
        {0, C, MP, "10 (<MQTT> 04 42 0000 <a> {70})"},
        {0, C, MP, "10 (<MQIsdp> 03 42 0000 <a> <p>)"},
        {0, C, 0, "10 (<MQTT> 05 42 0000 () <a> {70})"},
        /* Fields that the flags promise [v5 MQTT-3.1.2-9] [v5 MQTT-3.1.2-17] [v5 MQTT-3.1.2-19] */
        {0, C, MP, "10 (<MQTT> 05 06 0000 () <a>)"},
        {0, C, MP, "10 (<MQTT> 05 06 0000 () <a> () <t>)"},
        {0, C, MP, "10 (<MQTT> 05 82 0000 () <a>)"},
        {0, C, MP, "10 (<MQTT> 05 C2 0000 () <a> <u>)"},
        {0, C, MP, "10 (<MQTT> 04 82 0000 <a>)"},
        {0, C, MP, "10 (<MQTT> 04 C2 0000 <a> <u>)"},
        {0, C, MP, "10 (<MQIsdp> 03 82 0000 <a> 00)"}, /* a broken one is not a missing one */
        {0, C, MP, "10 (<MQIsdp> 03 C2 0000 <a> <u> 00)"},
        /* Fields that they do not [v5 MQTT-3.1.2-16] [v5 MQTT-3.1.2-18] [v3 MQTT-3.1.2-18] */
        {0, C, MP, "10 (<MQTT> 05 02 0000 () <a> <u>)"},
        {0, C, MP, "10 (<MQTT> 05 82 0000 () <a> <u> {70})"},
        {0, C, MP, "10 (<MQTT> 04 02 0000 <a> <u>)"},
        {0, C, MP, "10 (<MQIsdp> 03 02 0000 <a> <u>)"},
        /* No client identifier at all [v5 MQTT-3.1.3-3] [v3 MQTT-3.1.3-3] */
        {0, C, MP, "10 (<MQTT> 05 02 0000 ())"},
        {0, C, MP, "10 (<MQTT> 04 02 0000)"},
        /* An empty one [v5 MQTT-3.1.3-6] [v3 MQTT-3.1.3-6] [v3 MQTT-3.1.3-8] */
        {0, C, 0, "10 (<MQTT> 05 00 0000 () <>)"},
        {0, C, 0, "10 (<MQTT> 04 02 0000 <>)"},
        {0, C, 0x85, "10 (<MQTT> 04 00 0000 <>)"},
        {0, C, 0x85, "10 (<MQIsdp> 03 00 0000 <>)"},
        {0, C, 0x85, "10 (<MQIsdp> 03 02 0000 <>)"},
        {0, C, MP, "10 (<MQTT> 04 00 0000 <> <x>)"}, /* no answer to a malformed one */
        /* 3.1: 23 characters at most */
        {0, C, 0, "10 (<MQIsdp> 03 02 0000 <12345678901234567890123>)"},
        {0, C, 0x85, "10 (<MQIsdp> 03 02 0000 <123456789012345678901234>)"},
        {0, C, 0, "10 (<MQIsdp> 03 02 0000 {'1234567890123456789012' C3A4})"},
        {0, C, 0, "10 (<MQTT> 04 02 0000 <123456789012345678901234>)"},
        /* UTF-8 [v5 MQTT-3.1.3-4] [v5 MQTT-3.1.3-11] [v5 MQTT-3.1.3-12] [v3 MQTT-3.1.3-4]
         * [v3 MQTT-3.1.3-10] [v3 MQTT-3.1.3-11] */
        {0, C, MP, "10 (<MQTT> 05 02 0000 () {C080})"},
        {0, C, MP, "10 (<MQTT> 04 02 0000 {00})"},
        {0, C, MP, "10 (<MQTT> 05 06 0000 () <a> () {EDA080} {})"},
        {0, C, MP, "10 (<MQTT> 04 06 0000 <a> {80} {})"},
        {0, C, MP, "10 (<MQTT> 05 82 0000 () <a> {FF})"},
        {0, C, MP, "10 (<MQTT> 04 82 0000 <a> {61 00})"},
        {0, C, 0, "10 (<MQTT> 04 C6 0000 <a> <t> {FF} <u> {FF})"}, /* binary: all bytes */
        /* Will Topic [v5 MQTT-4.7.0-1] [v5 MQTT-4.7.3-1] [v3 MQTT-4.7.1-1] [v3 MQTT-4.7.3-1] */
        {0, C, 0x90, "10 (<MQTT> 05 06 0000 () <a> () <t/#> {})"},
        {0, C, 0x90, "10 (<MQTT> 05 06 0000 () <a> () <long/+/topic> {})"},
        {0, C, 0x90, "10 (<MQTT> 04 06 0000 <a> <+> {})"},
        {0, C, PE, "10 (<MQTT> 05 06 0000 () <a> () <> {})"},
        {0, C, PE, "10 (<MQIsdp> 03 06 0000 <a> <> {})"},
        /* The two lists are not each other's [v5 MQTT-3.1.4-1] */
        {0, C, MP, "10 (<MQTT> 05 02 0000 (18 00000000) <a>)"},
        {0, C, MP, "10 (<MQTT> 05 06 0000 () <a> (21 0001) <t> {})"},
        {0, C, PE, "10 (<MQTT> 05 02 0000 (16 {00}) <a>)"},
        {0, C, 0, "10 (<MQTT> 05 02 0000 (16 {00} 15 <m>) <a>)"},
        {0, C, PE, "10 (<MQTT> 05 02 0000 (21 0000) <a>)"},
        {0, C, PE, "10 (<MQTT> 05 02 0000 (27 00000000) <a>)"},
    };

    CHECK_ROWS(rows);
}

TEST_MAIN(connect_fields, connect_flags_one_by_one, connect_31_missing_credentials,
          connect_version_with_fault, connect_faults)

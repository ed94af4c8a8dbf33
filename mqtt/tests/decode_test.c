/* decode_test: every packet as a struct, every fault with the code that the standard asks for. */
#include "mqtt/decode.h"

#include "mqtt/tests/judge_support.h"
#include "mqtt/tests/packet_support.h"
#include "mqtt/tests/sample_support.h"

static void samples_are_good(void)
{
    for (size_t i = 0; i < n_samples; i++) {
        const struct sample *s = &samples[i];

        if (!CHECK_ROW_INT(i, wire_judge(s->text, sample_version(s), s->sender), 0))
            fprintf(stderr, "  %d %s\n", s->version, s->name);
    }
}

/* A packet that breaks off is not there yet. */
static void cut_off(void)
{
    for (size_t i = 0; i < n_samples; i++) {
        const struct sample *s = &samples[i];
        struct wire w = wire_parse(s->text);

        for (size_t len = 0; len < w.len; len++) {
            struct wire part = {.p = malloc(len + (len == 0)), .len = len};
            struct mqtt_packet packet;

            memcpy(part.p, w.p, len);
            CHECK_ROW_INT(i, wire_decode(&part, sample_version(s), s->sender, &packet), -EAGAIN);
            wire_free(&part);
        }
        wire_free(&w);
    }
}

/* One that says it is shorter breaks a rule, save where the standard lets it end. */
static void cut_short(void)
{
    for (size_t i = 0; i < n_samples; i++) {
        const struct sample *s = &samples[i];
        struct wire w = wire_parse(s->text);
        size_t body_len = w.len - 1 - (w.len > 129 ? 2 : 1);

        for (size_t len = 0; len < body_len; len++) {
            struct wire cut = wire_cut(&w, len);
            struct mqtt_packet packet;
            int rc = wire_decode(&cut, sample_version(s), s->sender, &packet);

            if (!CHECK_ROW(i, (rc == 0) == wire_may_end(&w, len)))
                fprintf(stderr, "  %d %s, body of %zu: %x\n", s->version, s->name, len, rc);
            wire_free(&cut);
        }
        wire_free(&w);
    }
}

/* One byte too many, which no field takes for its own: only a payload can. */
static void one_byte_more(void)
{
    for (size_t i = 0; i < n_samples; i++) {
        const struct sample *s = &samples[i];
        struct wire w = wire_parse(s->text), more;
        size_t header_len = w.len > 129 ? 3 : 2;
        struct mqtt_packet packet;

        w.p = realloc(w.p, w.len + 1);
        w.p[w.len++] = 0xff;
        more = wire_cut(&w, w.len - header_len);
        CHECK_ROW(i, (wire_decode(&more, sample_version(s), s->sender, &packet) >= 0x80) ==
                         (w.p[0] >> 4 != MQTT_PUBLISH));
        wire_free(&more);
        wire_free(&w);
    }
}

static void connack_fields(void)
{
    struct wire w;
    struct mqtt_packet p = good(&w, "20 (01 00 (12 <id> 24 01 13 0102))", 5, S);

    CHECK_INT(p.type, MQTT_CONNACK);
    CHECK(p.connack.session_present);
    CHECK_INT(p.connack.reason, 0);
    STR_IS(p.connack.props.assigned_client_id, "id");
    CHECK_INT(p.connack.props.maximum_qos, 1);
    CHECK_INT(p.connack.props.server_keep_alive_s, 0x0102);
    wire_free(&w);
    p = good(&w, "20 (00 05)", 4, S);
    CHECK(!p.connack.session_present);
    CHECK_INT(p.connack.reason, 5);
    wire_free(&w);
    p = good(&w, "20 (FF 00)", 3, S); /* a byte without meaning */
    CHECK(!p.connack.session_present);
    wire_free(&w);
}

static void connack_faults(void)
{
    static const struct row rows[] = {
        {5, S, MP, "20 (02 00 ())"}, /* [v5 MQTT-3.2.2-1] */
        {5, S, MP, "20 (80 00 ())"}, {4, S, MP, "20 (02 00)"},
        {5, S, PE, "20 (01 87 ())"},                              /* [v5 MQTT-3.2.2-6] */
        {4, S, PE, "20 (01 05)"},                                 /* [v3 MQTT-3.2.2-4] */
        {3, S, 0, "20 (01 05)"},     {5, S, PE, "20 (00 01 ())"}, /* [v5 MQTT-3.2.2-8] */
        {4, S, PE, "20 (00 06)"},                                 /* [v3 MQTT-3.2.2-6] */
        {3, S, PE, "20 (00 80)"},    {5, S, MP, "20 (00 00)"},    /* [v5 MQTT-2.2.2-1] */
        {4, S, MP, "20 (00 00 00)"}, {5, S, PE, "20 (00 00 (16 {}))"},
        {5, C, PE, "20 (00 00 ())"}, /* a client must not send it */
    };

    CHECK_ROWS(rows);
}

static void publish_fields(void)
{
    struct wire w;
    struct mqtt_packet p = good(&w, "3D (<a/b> FFFE (23 0007 0B 8101 0B 05 01 01) 'x')", 5, S);

    CHECK_INT(p.type, MQTT_PUBLISH);
    CHECK(p.publish.dup && p.publish.retain);
    CHECK_INT(p.publish.qos, 2);
    CHECK_INT(p.publish.packet_id, 0xfffe);
    STR_IS(p.publish.topic, "a/b");
    STR_IS(p.publish.payload, "x");
    CHECK_INT(p.publish.props.topic_alias, 7);
    CHECK_INT(p.publish.props.subscription_id, 129); /* the first */
    CHECK_INT(p.publish.props.payload_format, 1);
    wire_free(&w);
    p = good(&w, "30 (<a/b>)", 4, C);
    CHECK(!p.publish.dup && !p.publish.retain);
    CHECK_INT(p.publish.packet_id, 0);
    CHECK_INT(p.publish.payload.len, 0);
    CHECK_INT(p.publish.props.present, 0);
    wire_free(&w);
    p = good(&w, "30 (<a/b> 0001 'x')", 4, C); /* at QoS 0 no identifier [v3 MQTT-2.3.1-5] */
    STR_IS(p.publish.payload, "\0\1x");
    wire_free(&w);
}

static void publish_faults(void)
{
    static const struct row rows[] = {
        /* Flags [v5 MQTT-3.3.1-4] [v5 MQTT-3.3.1-2] [v3 MQTT-3.3.1-4] [v3 MQTT-3.3.1-2] */
        {5, C, MP, "36 (<a> 0001 ())"},
        {4, S, MP, "3E (<a> 0001)"},
        {5, C, MP, "38 (<a> ())"},
        {4, C, MP, "39 (<a>)"},
        {3, C, MP, "38 (<a>)"},
        /* Identifier [v5 MQTT-2.2.1-3] [v5 MQTT-2.2.1-4] [v3 MQTT-2.3.1-1] */
        {5, C, PE, "32 (<a> 0000 ())"},
        {4, S, PE, "34 (<a> 0000)"},
        {3, C, PE, "32 (<a> 0000)"},
        {4, C, MP, "32 (<a> 00)"},
        /* Topic Name [v5 MQTT-3.3.2-1] [v5 MQTT-3.3.2-2] [v5 MQTT-4.7.3-1] [v5 MQTT-4.7.3-2] */
        {5, C, MP, "30 ({EDA080} ())"},
        {5, C, MP, "30 ({'a' 00 'b'} ())"},
        {5, C, MP, "30 ({'some/long/topic/' 00} ())"},
        {5, C, 0x90, "30 (<a/#> ())"},
        {5, S, 0x90, "30 (<+> ())"},
        {5, C, 0x90, "30 (<a/b/c/d/e/+/f> ())"},
        {5, C, PE, "30 (<> ())"},
        {5, C, 0x90, "30 (<a/#> (23 0001))"}, /* an alias excuses nothing but the empty name */
        {5, C, MP, "30 ({80} (23 0001))"},
        /* The same in 3.x [v3 MQTT-3.3.2-1] [v3 MQTT-3.3.2-2] [v3 MQTT-4.7.3-1] [v3 MQTT-4.7.3-2]
         */
        {4, C, MP, "30 ({C080})"},
        {4, C, MP, "30 ({00})"},
        {4, C, 0x90, "30 (<a/#>)"},
        {3, C, 0x90, "30 (<sport/+/tennis>)"},
        {4, C, PE, "30 (<>)"},
        {4, C, 0, "30 ({EFBBBF 't'})"},    /* [v3 MQTT-1.5.3-3] */
        {5, C, 0, "30 ({EFBBBF 't'} ())"}, /* [v5 MQTT-1.5.4-3] */
        /* Topic Alias [v5 MQTT-3.3.2-8] */
        {5, C, 0, "30 (<> (23 0001))"},
        {5, C, 0x94, "30 (<> (23 0000))"},
        {5, C, 0x94, "30 (<a> (23 0000))"},
        {5, C, PE, "30 (<> (26 <k> <v>))"},
        /* Subscription Identifier [v5 MQTT-3.3.4-6] */
        {5, C, PE, "30 (<a> (0B 01))"},
        {5, S, 0, "30 (<a> (0B 01 0B 01))"},
        {5, S, PE, "30 (<a> (0B 00))"},
        /* Response Topic [v5 MQTT-3.3.2-13] [v5 MQTT-3.3.2-14] */
        {5, C, PE, "30 (<a> (08 <b/#>))"},
        {5, C, PE, "30 (<a> (08 <>))"},
        {5, C, MP, "30 (<a> (08 {80}))"},
        /* Content Type [v5 MQTT-3.3.2-19], user property [v5 MQTT-1.5.7-1] */
        {5, C, MP, "30 (<a> (03 {C1}))"},
        {5, C, MP, "30 (<a> (26 {80} <v>))"},
        {5, C, MP, "30 (<a> (26 <k> {00}))"},
        {5, C, 0, "30 (<a> (09 {00FF}))"},
        /* Property Length [v5 MQTT-2.2.2-1] [v5 MQTT-1.5.5-1] */
        {5, C, MP, "30 (<a>)"},
        {5, C, MP, "30 (<a> 01)"},
        {5, C, MP, "30 (<a> 8000)"},
        {5, C, MP, "30 (<a> 80808080 00)"},
        {5, C, MP, "30 (<a> 80)"},
    };

    CHECK_ROWS(rows);
}

/* What the broker calls is what mqtt_decode() gives. */
static void publish_alone(void)
{
    for (size_t i = 0; i < n_samples; i++) {
        const struct sample *s = &samples[i];
        struct wire w = wire_parse(s->text);
        struct mqtt_packet whole, alone = {.type = MQTT_PUBLISH};
        struct mqtt_frame frame;

        if (w.p[0] >> 4 == MQTT_PUBLISH) {
            CHECK_ROW_INT(i, wire_decode(&w, s->version, s->sender, &whole), 0);
            CHECK_ROW_INT(i, mqtt_frame(w.p, w.len, s->version, s->sender, UINT32_MAX, &frame), 0);
            CHECK_ROW_INT(
                i, mqtt_decode_publish(&frame, w.p, s->version, s->sender, &alone.publish), 0);
            CHECK_ROW(i, packet_equal(&whole, &alone));
        }
        wire_free(&w);
    }
}

static void ack_fields(void)
{
    static const uint8_t heads[] = {0x40, 0x50, 0x62, 0x70};

    for (size_t i = 0; i < sizeof heads; i++) {
        char text[64];
        struct mqtt_packet p;
        struct wire w;

        snprintf(text, sizeof text, "%02X (ABCD)", heads[i]);
        for (int version = 3; version <= 5; version++) {
            p = good(&w, text, version, S);
            CHECK_ROW_INT(i, p.type, heads[i] >> 4);
            CHECK_ROW_INT(i, p.ack.packet_id, 0xabcd);
            CHECK_ROW_INT(i, p.ack.reason, 0);
            CHECK_ROW_INT(i, p.ack.props.present, 0);
            wire_free(&w);
        }
        snprintf(text, sizeof text, "%02X (0001 %s (1F <why>))", heads[i], i < 2 ? "97" : "92");
        p = good(&w, text, 5, C);
        CHECK_ROW_INT(i, p.ack.reason, i < 2 ? 0x97 : 0x92);
        CHECK_ROW(i, mqtt_str_eq(p.ack.props.reason_string, MQTT_STR("why")));
        wire_free(&w);
    }
}

static void ack_faults(void)
{
    static const struct row rows[] = {
        {5, C, PE, "40 (0000)"},
        {4, S, PE, "62 (0000)"},
        {5, C, MP, "40 (00)"},
        {4, C, MP, "40 ()"},
        {4, C, MP, "40 (0001 00)"}, /* 3.x: the identifier is all */
        {3, C, MP, "70 (0001 00)"},
        {5, C, 0, "40 (0001 00)"}, /* 5.0: may be left out, need not */
        {5, C, 0, "40 (0001 00 ())"},
        {5, C, MP, "40 (0001 00 () 00)"},
        {5, C, MP, "40 (0001 00 (15 <m>))"},
        {5, C, PE, "40 (0001 10)"}, /* only a server knows [v5 MQTT-3.4.2-1] */
        {5, S, 0, "40 (0001 10)"},
        {5, S, PE, "50 (0001 92)"}, /* [v5 MQTT-3.5.2-1] */
        {5, S, PE, "62 (0001 80)"}, /* [v5 MQTT-3.6.2-1] */
        {5, S, PE, "70 (0001 91)"}, /* [v5 MQTT-3.7.2-1] */
        {5, C, MP, "60 (0001)"},    /* [v5 MQTT-3.6.1-1] */
        {4, C, MP, "60 (0001)"},    /* [v3 MQTT-3.6.1-1] */
        {4, C, MP, "6A (0001)"},
        {3, C, 0, "6A (0001)"}, /* 3.1: DUP */
        {3, C, MP, "68 (0001)"},
    };

    CHECK_ROWS(rows);
}

static void subscribe_fields(void)
{
    struct wire w;
    struct mqtt_packet p = good(&w, "82 (0102 (0B FFFFFF7F) <a/+> 2E <> 01)", 5, C);
    struct mqtt_str filter;
    uint8_t options;
    uint32_t at = 0;

    CHECK_INT(p.type, MQTT_SUBSCRIBE);
    CHECK_INT(p.subscribe.packet_id, 0x0102);
    CHECK_INT(p.subscribe.props.subscription_id, MQTT_MAX_REMAINING);
    CHECK_INT(p.subscribe.count, 2);
    CHECK(mqtt_filters_next(&p.subscribe, false, &at, &filter, &options));
    STR_IS(filter, "a/+");
    CHECK_INT(MQTT_SUB_QOS(options), 2);
    CHECK((options & MQTT_SUB_NO_LOCAL) != 0 && (options & MQTT_SUB_RETAIN_AS_PUBLISHED) != 0);
    CHECK_INT(MQTT_SUB_RETAIN_HANDLING(options), 2);
    CHECK(mqtt_filters_next(&p.subscribe, false, &at, &filter, &options));
    CHECK_INT(filter.len, 0); /* whether a filter is any good is not the decoder's business */
    CHECK_INT(options, 1);
    CHECK(!mqtt_filters_next(&p.subscribe, false, &at, &filter, &options));
    wire_free(&w);

    p = good(&w, "A2 (0001 <a> <b/c>)", 4, C);
    at = 0;
    CHECK_INT(p.subscribe.count, 2);
    CHECK(mqtt_filters_next(&p.subscribe, true, &at, &filter, &options));
    STR_IS(filter, "a");
    CHECK(mqtt_filters_next(&p.subscribe, true, &at, &filter, &options));
    STR_IS(filter, "b/c");
    CHECK_INT(options, 0);
    CHECK(!mqtt_filters_next(&p.subscribe, true, &at, &filter, &options));
    wire_free(&w);
}

/* A payload that nobody has checked ends the walk, too. */
static void filters_of_garbage(void)
{
    struct mqtt_subscribe s = {.filters = MQTT_STR("\0\5a")};
    struct mqtt_str filter;
    uint8_t options;
    uint32_t at = 0;

    CHECK(!mqtt_filters_next(&s, false, &at, &filter, &options));
    s.filters = (struct mqtt_str){NULL, 0};
    at = 0;
    CHECK(!mqtt_filters_next(&s, false, &at, &filter, &options));
    at = 7;
    CHECK(!mqtt_filters_next(&s, false, &at, &filter, &options));
}

static void subscribe_faults(void)
{
    static const struct row rows[] = {
        {5, C, MP, "80 (0001 () <a> 00)"}, /* [v5 MQTT-3.8.1-1] */
        {4, C, MP, "80 (0001 <a> 00)"},    /* [v3 MQTT-3.8.1-1] */
        {4, C, MP, "8A (0001 <a> 00)"},
        {3, C, 0, "8A (0001 <a> 00)"},        /* 3.1: DUP */
        {5, C, PE, "82 (0000 () <a> 00)"},    /* [v5 MQTT-2.2.1-3] */
        {4, C, PE, "82 (0000 <a> 00)"},       /* [v3 MQTT-2.3.1-1] */
        {5, C, PE, "82 (0001 ())"},           /* [v5 MQTT-3.8.3-2] */
        {4, C, PE, "82 (0001)"},              /* [v3 MQTT-3.8.3-3] */
        {5, C, MP, "82 (0001)"},              /* without a Property Length */
        {5, C, MP, "82 (0001 () {C080} 00)"}, /* [v5 MQTT-3.8.3-1] */
        {4, C, MP, "82 (0001 {'a' 00} 00)"},  /* [v3 MQTT-3.8.3-1] */
        {5, C, MP, "82 (0001 () <a>)"},
        {5, C, MP, "82 (0001 () 0002 'a')"},
        /* Options [v5 MQTT-3.8.3-5] */
        {5, C, MP, "82 (0001 () <a> 40)"},
        {5, C, MP, "82 (0001 () <a> 80)"},
        {5, C, MP, "82 (0001 () <a> 83)"},
        {5, C, PE, "82 (0001 () <a> 03)"},
        {5, C, PE, "82 (0001 () <a> 30)"},
        {5, C, PE, "82 (0001 () <a> 00 <b> 03)"},
        {5, C, 0, "82 (0001 () <$share/g/a> 04)"}, /* the broker's business */
        /* [v3 MQTT-3.8.3-4] */
        {4, C, MP, "82 (0001 <a> 03)"},
        {4, C, MP, "82 (0001 <a> 04)"},
        {4, C, MP, "82 (0001 <a> 80)"},
        {3, C, MP, "82 (0001 <a> 03)"},
        /* Subscription Identifier: one, not 0 */
        {5, C, PE, "82 (0001 (0B 00) <a> 00)"},
        {5, C, PE, "82 (0001 (0B 01 0B 02) <a> 00)"},
        {5, C, MP, "82 (0001 (0B 8000) <a> 00)"},
        {5, C, MP, "82 (0001 (0B FFFFFFFF 01) <a> 00)"},
        /* UNSUBSCRIBE [v5 MQTT-3.10.1-1] [v5 MQTT-3.10.3-1] [v5 MQTT-3.10.3-2] */
        {5, C, MP, "A0 (0001 () <a>)"},
        {5, C, MP, "A2 (0001 () {80})"},
        {5, C, PE, "A2 (0001 ())"},
        {5, C, PE, "A2 (0000 () <a>)"},
        {5, C, MP, "A2 (0001 () <a> 00)"},
        {5, C, MP, "A2 (0001 (0B 01) <a>)"},
        /* [v3 MQTT-3.10.1-1] [v3 MQTT-3.10.3-1] [v3 MQTT-3.10.3-2] */
        {4, C, MP, "A0 (0001 <a>)"},
        {4, C, MP, "A2 (0001 {ED B0 80})"},
        {4, C, PE, "A2 (0001)"},
        {4, C, MP, "AA (0001 <a>)"},
        {3, C, 0, "AA (0001 <a>)"},
        /* Only clients do */
        {5, S, PE, "82 (0001 () <a> 00)"},
        {4, S, PE, "A2 (0001 <a>)"},
    };

    CHECK_ROWS(rows);
}

static void suback_fields(void)
{
    struct wire w;
    struct mqtt_packet p = good(&w, "90 (0102 (1F <x>) 02 80 97)", 5, S);

    CHECK_INT(p.type, MQTT_SUBACK);
    CHECK_INT(p.suback.packet_id, 0x0102);
    STR_IS(p.suback.reasons, "\x02\x80\x97");
    STR_IS(p.suback.props.reason_string, "x");
    wire_free(&w);
    p = good(&w, "B0 (0102)", 4, S);
    CHECK_INT(p.type, MQTT_UNSUBACK);
    CHECK_INT(p.suback.packet_id, 0x0102);
    CHECK_INT(p.suback.reasons.len, 0);
    wire_free(&w);
}

static void suback_faults(void)
{
    static const struct row rows[] = {
        {5, S, PE, "90 (0000 () 00)"},    {5, S, PE, "90 (0001 ())"}, /* [v5 MQTT-3.8.4-6] */
        {4, S, PE, "90 (0001)"},                                      /* [v3 MQTT-3.8.4-5] */
        {5, S, PE, "B0 (0001 ())"},       {5, S, MP, "B0 (0001)"},
        {5, S, PE, "90 (0001 () 00 03)"},                             /* [v5 MQTT-3.9.3-2] */
        {4, S, PE, "90 (0001 00 03)"},                                /* [v3 MQTT-3.9.3-2] */
        {4, S, PE, "90 (0001 87)"},       {3, S, PE, "90 (0001 80)"}, /* 3.1 cannot say no */
        {5, S, PE, "B0 (0001 () 11 01)"},                             /* [v5 MQTT-3.11.3-2] */
        {4, S, MP, "B0 (0001 00)"},       {4, S, PE, "B0 (0000)"},
        {5, C, PE, "90 (0001 () 00)"},    {4, C, PE, "B0 (0001)"},
    };

    CHECK_ROWS(rows);
}

static void other_fields(void)
{
    struct wire w;
    struct mqtt_packet p = good(&w, "E0 (04 (11 0000000A))", 5, C);

    CHECK_INT(p.type, MQTT_DISCONNECT);
    CHECK_INT(p.reasoned.reason, 4);
    CHECK_INT(p.reasoned.props.session_expiry_s, 10);
    wire_free(&w);
    p = good(&w, "E0 ()", 5, S);
    CHECK_INT(p.reasoned.reason, 0);
    CHECK_INT(p.reasoned.props.present, 0);
    wire_free(&w);
    p = good(&w, "F0 (19 (15 <m> 16 {01}))", 5, C);
    CHECK_INT(p.type, MQTT_AUTH);
    CHECK_INT(p.reasoned.reason, 0x19);
    STR_IS(p.reasoned.props.auth_method, "m");
    STR_IS(p.reasoned.props.auth_data, "\1");
    wire_free(&w);
    p = good(&w, "C0 ()", 3, C);
    CHECK_INT(p.type, MQTT_PINGREQ);
    wire_free(&w);
}

static void other_faults(void)
{
    static const struct row rows[] = {
        {5, C, MP, "C0 (00)"},
        {4, S, MP, "D0 (00)"},
        {5, C, MP, "C1 ()"},
        {5, S, PE, "C0 ()"},
        {4, C, PE, "D0 ()"},
        {5, C, MP, "E1 ()"}, /* [v5 MQTT-3.14.1-1] */
        {4, C, MP, "E1 ()"}, /* [v3 MQTT-3.14.1-1] */
        {4, C, MP, "E0 (00)"},
        {4, S, PE, "E0 ()"}, /* 3.x: only a client says good-bye */
        {3, S, PE, "E0 ()"},
        {5, C, PE, "E0 (03)"}, /* [v5 MQTT-3.14.2-1] */
        {5, S, PE, "E0 (04)"},
        {5, C, PE, "E0 (8E)"},
        {5, S, PE, "E0 (81 (11 00000000))"}, /* [v5 MQTT-3.14.2-2] */
        {5, C, PE, "E0 (00 (1C <other>))"},
        {5, C, MP, "E0 (00 (15 <m>))"},
        {5, C, MP, "E0 (00 () 00)"},
        {5, C, MP, "F1 (18 (15 <m>))"}, /* [v5 MQTT-3.15.1-1] */
        {5, C, PE, "F0 ()"},            /* Success is the server's to say [v5 MQTT-3.15.2-1] */
        {5, C, PE, "F0 (00 (15 <m>))"},
        {5, S, PE, "F0 (19 (15 <m>))"},
        {5, C, PE, "F0 (87 (15 <m>))"},
        {5, C, MP, "F0 (18)"}, /* [v5 MQTT-2.2.2-1] */
        {5, C, PE, "F0 (18 ())"},
        {5, C, PE, "F0 (18 (16 {00}))"},
        {4, C, MP, "F0 ()"}, /* 3.x: type 15 is reserved */
        {3, S, MP, "F0 ()"},
        {4, C, MP, "00 ()"},
        {5, S, MP, "0F ()"},
    };

    CHECK_ROWS(rows);
}

/* A frame of a type that mqtt_frame() would not have let through. */
static void reserved_type(void)
{
    struct mqtt_frame frame = {.head = 0x00, .header_len = 2, .body_len = 0, .total = 2};
    static const uint8_t data[2];
    struct mqtt_packet packet;

    CHECK_INT(mqtt_decode(&frame, data, 5, C, &packet), MP);
}

TEST_MAIN(samples_are_good, cut_off, cut_short, one_byte_more, connack_fields, connack_faults,
          publish_fields, publish_faults, publish_alone, ack_fields, ack_faults, subscribe_fields,
          filters_of_garbage, subscribe_faults, suback_fields, suback_faults, other_fields,
          other_faults, reserved_type)

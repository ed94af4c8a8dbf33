/* reasons_test: the tables say what the standards can say. */
#include "base/log.h"
#include "base/test.h"
#include "broker/reasons.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"
#include "mqtt/reason.h"

#include <errno.h>

#define MAX_WS_TEXT 123 /* bytes of a reason in a Close frame [RFC 6455 5.5] */

/* A client understands the packet. */
static bool understood(const struct mqtt_packet *p)
{
    struct mqtt_packet got;
    struct mqtt_frame f;
    uint8_t bytes[16];
    size_t len = mqtt_encode(p, MQTT_V5, bytes, sizeof bytes);

    return len > 0 && mqtt_frame(bytes, len, MQTT_V5, MQTT_SERVER, UINT32_MAX, &f) == 0 &&
           mqtt_decode(&f, bytes, MQTT_V5, MQTT_SERVER, &got) == 0;
}

/* Codes of the server's that a CONNACK or a DISCONNECT may have [v5 3.2.2.2, 3.14.2.1]. */
static void test_in_mqtt(void)
{
    for (unsigned i = 0; i < CLOSE_COUNT; i++) {
        struct mqtt_packet refusal = {.type = MQTT_CONNACK}, goodbye = {.type = MQTT_DISCONNECT};

        refusal.connack.reason = goodbye.reasoned.reason = close_info((enum close_reason)i)->mqtt5;
        if (refusal.connack.reason >= 0x80) /* else it was the client who closed */
            CHECK_ROW(i, understood(&refusal) || understood(&goodbye));
    }
}

/* Codes an endpoint may send [RFC 6455 7.4.1, IANA], texts that fit. */
static void test_in_websocket(void)
{
    for (unsigned i = 0; i < CLOSE_COUNT; i++) {
        const struct close_info *info = close_info((enum close_reason)i);

        CHECK_ROW(i,
                  (info->ws >= 1000 && info->ws <= 1003) || (info->ws >= 1007 && info->ws <= 1014));
        CHECK_ROW(i, strlen(info->text) > 0 && strlen(info->text) <= MAX_WS_TEXT);
        CHECK_ROW(i, info->level >= LOG_ERROR && info->level <= LOG_DEBUG);
    }
    CHECK_ABORTS(close_info(CLOSE_COUNT));
}

static bool is_label(const char *s)
{
    return strlen(s) > 0 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(s);
}

/* A label is the metric's: each row has its own. */
static void test_labels(void)
{
    for (unsigned i = 0; i < CLOSE_COUNT; i++) {
        CHECK_ROW(i, is_label(close_info((enum close_reason)i)->label));
        for (unsigned k = 0; k < i; k++)
            CHECK_ROW(i, strcmp(close_info((enum close_reason)i)->label,
                                close_info((enum close_reason)k)->label) != 0);
    }
    for (unsigned i = 0; i < DROP_COUNT; i++) {
        CHECK_ROW(i, is_label(drop_label((enum drop_reason)i)));
        CHECK_ROW(i, strlen(drop_text((enum drop_reason)i)) > 0);
        for (unsigned k = 0; k < i; k++)
            CHECK_ROW(i, strcmp(drop_label((enum drop_reason)i), drop_label((enum drop_reason)k)) !=
                             0);
    }
    CHECK(strcmp(drop_label(DROP_QUEUE_FULL), "queue_full") == 0);
}

static void test_from_mqtt(void)
{
    static const struct {
        int rc;
        enum close_reason want;
    } rows[] = {
        {MQTT_RC_MALFORMED_PACKET, CLOSE_MALFORMED_PACKET},
        {MQTT_RC_PROTOCOL_ERROR, CLOSE_PROTOCOL_ERROR},
        {MQTT_RC_TOPIC_NAME_INVALID, CLOSE_BAD_TOPIC},
        {MQTT_RC_TOPIC_FILTER_INVALID, CLOSE_BAD_FILTER},
        {MQTT_RC_PACKET_TOO_LARGE, CLOSE_PACKET_TOO_LARGE},
        {MQTT_RC_SERVER_BUSY, CLOSE_BUSY},
        {MQTT_RC_QUOTA_EXCEEDED, CLOSE_QUOTA},
        {MQTT_RC_NOT_AUTHORIZED, CLOSE_NOT_AUTHORIZED},
        {-ENOMEM, CLOSE_SERVER_ERROR},
        {0xff, CLOSE_SERVER_ERROR}, /* no such code */
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        CHECK_ROW_INT(i, close_from_mqtt(rows[i].rc), rows[i].want);
    for (unsigned i = 0; i < CLOSE_COUNT; i++) {
        uint8_t code = close_info((enum close_reason)i)->mqtt5;

        if (code > 0x80) /* 0x80 is what has no code of its own */
            CHECK_ROW_INT(i, close_info(close_from_mqtt(code))->mqtt5, code);
    }
}

TEST_MAIN(test_in_mqtt, test_in_websocket, test_labels, test_from_mqtt)

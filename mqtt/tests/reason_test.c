/* reason_test: every code in every packet from every sender, against the lists of the standards. */
#include "mqtt/reason.h"

#include "mqtt/tests/judge_support.h"

/* The codes of each packet, as its section lists them; the packet with "%02X" for the code. */
static const struct {
    int version;
    enum mqtt_side sender;
    const char *packet;
    const char *legal;
} rows[] = {
#define PUBACK_BOTH     "00 80 83 87 90 91 97 99"
#define DISCONNECT_BOTH "00 80 81 82 83 90 93 94 95 96 97 98 99 9B "
    {5, S, "20 (00 %02X ())", /* [v5 MQTT-3.2.2-8] */
     "00 80 81 82 83 84 85 86 87 88 89 8A 8C 90 95 97 99 9A 9B 9C 9D 9F"},
    {5, C, "40 (0001 %02X)", PUBACK_BOTH}, /* [v5 MQTT-3.4.2-1] */
    {5, S, "40 (0001 %02X)", PUBACK_BOTH " 10"},
    {5, C, "50 (0001 %02X)", PUBACK_BOTH}, /* [v5 MQTT-3.5.2-1] */
    {5, S, "50 (0001 %02X)", PUBACK_BOTH " 10"},
    {5, C, "62 (0001 %02X)", "00 92"}, /* [v5 MQTT-3.6.2-1] */
    {5, S, "62 (0001 %02X)", "00 92"},
    {5, C, "70 (0001 %02X)", "00 92"}, /* [v5 MQTT-3.7.2-1] */
    {5, S, "70 (0001 %02X)", "00 92"},
    {5, S, "90 (0001 () %02X)", "00 01 02 80 83 87 8F 91 97 9E A1 A2"}, /* [v5 MQTT-3.9.3-2] */
    {5, S, "90 (0001 () 00 01 %02X)", "00 01 02 80 83 87 8F 91 97 9E A1 A2"},
    {5, S, "B0 (0001 () %02X)", "00 11 80 83 87 8F 91"}, /* [v5 MQTT-3.11.3-2] */
    {5, C, "E0 (%02X)", DISCONNECT_BOTH "04"},           /* [v5 MQTT-3.14.2-1] */
    {5, S, "E0 (%02X)", DISCONNECT_BOTH "87 89 8B 8C 8D 8E 8F 9A 9C 9D 9E 9F A0 A1 A2"},
    {5, C, "F0 (%02X (15 <m>))", "18 19"}, /* [v5 MQTT-3.15.2-1] */
    {5, S, "F0 (%02X (15 <m>))", "00 18"},
    {4, S, "20 (00 %02X)", "00 01 02 03 04 05"}, /* [v3 MQTT-3.2.2-6] */
    {3, S, "20 (00 %02X)", "00 01 02 03 04 05"},
    {4, S, "90 (0001 %02X)", "00 01 02 80"}, /* [v3 MQTT-3.9.3-2] */
    {3, S, "90 (0001 %02X)", "00 01 02"},
};

static void every_code_everywhere(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (unsigned code = 0; code <= 0xff; code++) {
            char text[64], hex[4];
            int want;

            snprintf(text, sizeof text, rows[i].packet, code);
            snprintf(hex, sizeof hex, "%02X", code);
            want = strstr(rows[i].legal, hex) != NULL ? 0 : MQTT_RC_PROTOCOL_ERROR;
            if (!CHECK_ROW_INT(i, wire_judge(text, rows[i].version, rows[i].sender), want))
                fprintf(stderr, "  %s\n", text);
        }
    }
}

/* The mapping that a broker for all versions uses; what has no counterpart closes in silence. */
static void return_codes(void)
{
    static const uint8_t want[256] = {
        [0x84] = 1, [0x85] = 2, [0x88] = 3, [0x89] = 3, [0x97] = 3,
        [0x9f] = 3, [0x86] = 4, [0x87] = 5, [0x8a] = 5, [0x8c] = 5,
    };

    for (unsigned code = 1; code <= 0xff; code++)
        CHECK_ROW_INT(code, mqtt_reason_v3((uint8_t)code), want[code] != 0 ? want[code] : 0xff);
    CHECK_INT(mqtt_reason_v3(0), 0);
}

static void texts(void)
{
    CHECK(strcmp(mqtt_reason_text(0x00), "Success") == 0);
    CHECK(strcmp(mqtt_reason_text(0x8e), "Session taken over") == 0);
    CHECK(strcmp(mqtt_reason_text(0xa2), "Wildcard Subscriptions not supported") == 0);
    CHECK(strcmp(mqtt_reason_text(0x03), "unknown reason") == 0);
    CHECK(strcmp(mqtt_reason_text(0xa3), "unknown reason") == 0);
    CHECK(strcmp(mqtt_reason_text(0xff), "unknown reason") == 0);
}

TEST_MAIN(every_code_everywhere, return_codes, texts)

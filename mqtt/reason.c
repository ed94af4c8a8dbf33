/* reason: MQTT_REASONS as a table to look codes up in, and the few return codes of 3.x. */
#include "mqtt/reason.h"

#include "mqtt/decode_priv.h"

enum { N = 0, C = MQTT_CLIENT, S = MQTT_SERVER, B = C | S };

/* Where the two bits of a packet's column stand in struct reason. */
enum { CA = 0, PA = 2, PR = 4, SA = 6, UA = 8, DI = 10, AU = 12 };

static const uint8_t columns[16] = {
    [MQTT_CONNACK] = CA,  [MQTT_PUBACK] = PA,     [MQTT_PUBREC] = PA,
    [MQTT_PUBREL] = PR,   [MQTT_PUBCOMP] = PR,    [MQTT_SUBACK] = SA,
    [MQTT_UNSUBACK] = UA, [MQTT_DISCONNECT] = DI, [MQTT_AUTH] = AU,
};

static const struct reason {
    const char *text; /* NULL: no such code */
    uint16_t legal;   /* per column, who may send it: bits of enum mqtt_side */
    uint8_t v3;
} reasons[256] = {
#define X(code, name, text, ca, pa, pr, sa, ua, di, au, v3)                                 \
    [code] = {text,                                                                         \
              (ca) << CA | (pa) << PA | (pr) << PR | (sa) << SA | (ua) << UA | (di) << DI | \
                  (au) << AU,                                                               \
              v3},
    MQTT_REASONS(X)
#undef X
};

const char *mqtt_reason_text(uint8_t code)
{
    return reasons[code].text != NULL ? reasons[code].text : "unknown reason";
}

uint8_t mqtt_reason_v3(uint8_t code)
{
    return reasons[code].text != NULL ? reasons[code].v3 : 0xff;
}

/* Return codes [v3 MQTT-3.2.2-6] [v3 MQTT-3.9.3-2]; a SUBACK of 3.1 has no failure. */
static bool legal_v3(uint8_t code, int version, unsigned type)
{
    if (type == MQTT_CONNACK)
        return code <= 5;
    return code <= 2 || (code == MQTT_RC_UNSPECIFIED_ERROR && version == MQTT_V311);
}

bool mqtt__reason_legal(uint8_t code, int version, unsigned type, enum mqtt_side sender)
{
    if (version != MQTT_V5)
        return legal_v3(code, version, type);
    return (reasons[code].legal >> columns[type] & sender) != 0;
}

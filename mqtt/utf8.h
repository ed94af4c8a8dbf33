/* utf8: is this a UTF-8 Encoded String as MQTT wants it?       [v5 1.5.4] [v3 1.5.3] [RFC 3629] */
#ifndef MQTT_UTF8_H
#define MQTT_UTF8_H
#include "mqtt/str.h"

/* Well-formed (no overlong forms, no surrogates, nothing above U+10FFFF) and without U+0000
 * [v5 MQTT-1.5.4-1] [v5 MQTT-1.5.4-2]. Control characters and non-characters pass. */
bool mqtt_utf8_valid(struct mqtt_str s);

/* Well-formed UTF-8; U+0000 is fine: for payloads with Payload Format Indicator 1. */
bool mqtt_utf8_payload_valid(struct mqtt_str s);
#endif

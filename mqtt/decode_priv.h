/* decode: what the decoder's files share. */
#ifndef MQTT_DECODE_PRIV_H
#define MQTT_DECODE_PRIV_H
#include "mqtt/props_priv.h"

/* What a Topic Name that may be published to must be: UTF-8 [v5 MQTT-3.3.2-1] [v3 MQTT-3.3.2-1], no
 * wildcards [v5 MQTT-3.3.2-2] [v3 MQTT-3.3.2-2], at least one character [v5 MQTT-4.7.3-1]
 * [v3 MQTT-4.7.3-1]. 0, or the reason code.   topic.c */
int mqtt__name_fault(struct mqtt_str name);

/* May the code stand in this packet, sent by this side, in this version? In 3.x the return codes of
 * CONNACK and SUBACK.   reason.c */
bool mqtt__reason_legal(uint8_t code, int version, unsigned type, enum mqtt_side sender);

/* decode_connect.c */
void mqtt__decode_connect(struct mqtt_reader *r, struct mqtt_connect *out);
#endif

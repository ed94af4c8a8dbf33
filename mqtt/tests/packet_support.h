/* packet_support: decoded packets made ready for encoding again, and compared. */
#ifndef MQTT_PACKET_SUPPORT_H
#define MQTT_PACKET_SUPPORT_H
#include "mqtt/packet.h"

/* Put the properties that the struct has no place for (user properties, all Subscription
 * Identifiers but the first) where the encoder takes them from. Returns the memory they are in, for
 * free(). */
void *packet_keep_repeats(struct mqtt_packet *p);

/* Do two decoded packets say the same? Properties that repeat in the same order, others in any. */
bool packet_equal(const struct mqtt_packet *a, const struct mqtt_packet *b);
#endif

/* features: what a server says that it does, asked once per target before any case runs. */
#ifndef CONFORMANCE_FEATURES_H
#define CONFORMANCE_FEATURES_H
#include "mqtt/packet.h"

struct features {
    bool spoken;         /* a CONNECT of this version is accepted */
    const char *why_not; /* when it is not */
    uint8_t maximum_qos; /* 0..2 */
    bool retain, wildcard, subscription_id, shared;
    uint16_t receive_maximum;
    uint16_t topic_alias_maximum; /* 0: none */
    uint32_t maximum_packet_size; /* UINT32_MAX: no limit announced */
    uint16_t server_keep_alive_s; /* 0: the client's */
    bool has_server_keep_alive;
    bool announces; /* MQTT 5.0: all of the above is the server's own word */
};

/* What a CONNACK of MQTT 5.0 announces [v5 3.2.2.3]. */
void features_take(struct features *f, const struct mqtt_connack *connack);

/* Before anything is known: everything is there. */
void features_assume(struct features *f);
#endif

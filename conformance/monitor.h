/* monitor: rules that hold for every packet and frame from the server, whatever the case is about:
 * flags, identifiers, limits, reason codes, order of CONNACK and DISCONNECT. Each scene notes which
 * of them it has seen at work, and which were broken. */
#ifndef CONFORMANCE_MONITOR_H
#define CONFORMANCE_MONITOR_H
#include "mqtt/packet.h"

#include <stddef.h>

struct client;
struct mqtt_frame;
struct packet;
struct ws_frame;
struct scene;

/* What a connection has agreed on so far. */
struct monitor {
    uint16_t receive_maximum;     /* the client's; 0: no limit */
    uint16_t alias_maximum;       /* the client's */
    uint32_t maximum_packet_size; /* the client's; 0: no limit */
    bool no_problem_info;         /* Request Problem Information 0 */
    bool wants_response_info;
    bool named; /* the client gave an identifier */
    bool has_auth_method;
    bool connect_sent, second_connect;
    bool present;  /* and spoke of a session */
    bool accepted; /* CONNACK with success came */
    unsigned connacks;
    bool disconnected;             /* the server has sent DISCONNECT */
    unsigned outstanding;          /* QoS 1 and 2 from the server, unacknowledged */
    uint8_t busy[65536 / 8];       /* their packet identifiers */
    uint8_t first_sent[65536 / 8]; /* sent with DUP 0 on this connection, unacknowledged */
    uint8_t asked[65536 / 8];      /* SUBSCRIBE and UNSUBSCRIBE without their answer */
    uint8_t published[65536 / 8];  /* QoS 1 and 2 PUBLISH of the client's, unfinished */
};

/* A packet that the client sends. */
void monitor_sent(struct client *c, const struct mqtt_packet *p);

/* Bytes from the server that are no packet of MQTT. head: as far as it is known. */
void monitor_broken_frame(struct client *c, const uint8_t *data, size_t len, int rc);

/* A packet from the server, decoded or not. */
void monitor_received(struct client *c, const struct mqtt_frame *f, const struct packet *p);

/* A WebSocket frame from the server. */
void monitor_ws_frame(struct client *c, const struct ws_frame *f);

/* Statements of the rules in this set, as a list, in the scene's version. */
const char *monitor_statements(struct scene *s, uint64_t set);
#endif

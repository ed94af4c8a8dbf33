/* connection_priv: what the files of connection.h share: one handler per packet. A handler returns
 * nothing: what is wrong with the packet closes the connection. */
#ifndef BROKER_CONNECTION_PRIV_H
#define BROKER_CONNECTION_PRIV_H
#include "broker/connection.h"
#include "mqtt/packet.h"

/* connection_connect.c */
void on_connect(struct connection *c, int rc, const struct mqtt_connect *p);
void on_auth(struct connection *c, const struct mqtt_reasoned *p);
void connection_send_connack(struct connection *c, uint8_t reason, const char *detail);
void connection_drop_request(struct connection *c);

/* connection_publish.c */
void on_publish_packet(struct connection *c, struct mqtt_publish *p);
void on_ack(struct connection *c, enum mqtt_type type, const struct mqtt_ack *p);

/* What makes this message, and not the connection, unwelcome: 0, or the reason code with a detail,
 * which may be NULL. Wills are judged by it, too. */
int connection_refuses(struct connection *c, const struct mqtt_publish *p, const char **out_detail);

/* Slow the client down when the store does not keep up. (When it cannot write at all, what needs it
 * is refused.) */
void slow_for_store(struct connection *c);

/* Send an answer when its ticket has come and everything before it is sent; ticket 0: when there is
 * nothing before it, now. completes: it completes a QoS 1 or 2 PUBLISH of the client. */
void connection_answer(struct connection *c, const struct mqtt_packet *p, uint64_t ticket,
                       bool completes);
void connection_drop_answers(struct connection *c);

/* connection_subscribe.c */
void on_subscribe(struct connection *c, const struct mqtt_subscribe *p);
void on_unsubscribe(struct connection *c, const struct mqtt_subscribe *p);

/* Put text into the properties of packet p where this client wants reason strings and takes a
 * packet of that size. */
void connection_explain(const struct connection *c, struct mqtt_packet *p, struct mqtt_props *props,
                        const char *text);

/* A fault in a packet: the connection is closed with the reason that the decoder gave. */
void connection_fault(struct connection *c, int rc, const char *detail);
#endif

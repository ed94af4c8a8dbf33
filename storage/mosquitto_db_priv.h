/* mosquitto_db: the file in which Mosquitto keeps its state, taken apart. Format versions 5 (1.6)
 * and 6 (2.0). After 15 bytes of magic, a sum (always 0) and the version come chunks: type and
 * length (both 4 bytes, the first one first), a fixed part, texts. Of the fixed parts, numbers of 8
 * bytes are in the order of the machine that wrote them, smaller ones in network order. */
#ifndef STORAGE_MOSQUITTO_DB_PRIV_H
#define STORAGE_MOSQUITTO_DB_PRIV_H
#include "base/str.h"
#include "storage/store_error.h"

#include <stdint.h>

struct mosquitto_message {
    uint64_t id; /* grows with time */
    uint64_t uid;
    int64_t expires_s;                           /* wall clock; 0: never */
    struct str source_id, topic, payload, props; /* props: with their length in front */
    uint8_t qos;
    bool retain;
};

struct mosquitto_client {
    struct str id;
    int64_t ends_s; /* wall clock; 0: not known */
    uint32_t expiry_s;
    uint64_t session; /* number, given by the reader; 0: not kept */
};

enum { MOSQUITTO_IN, MOSQUITTO_OUT };

/* States of a message on its way, as they are stored. */
enum mosquitto_state {
    MOSQUITTO_PUBLISH_QOS0 = 1,
    MOSQUITTO_PUBLISH_QOS1,
    MOSQUITTO_WAIT_FOR_PUBACK,
    MOSQUITTO_PUBLISH_QOS2,
    MOSQUITTO_WAIT_FOR_PUBREC,
    MOSQUITTO_RESEND_PUBREL,
    MOSQUITTO_WAIT_FOR_PUBREL,
    MOSQUITTO_RESEND_PUBCOMP,
    MOSQUITTO_WAIT_FOR_PUBCOMP,
    MOSQUITTO_SEND_PUBREC,
    MOSQUITTO_QUEUED
};

struct mosquitto_delivery {
    struct str client_id, props;
    uint64_t message_id;
    uint16_t packet_id;
    uint8_t qos, state, direction;
    bool retain;
};

struct mosquitto_subscription {
    struct str client_id, filter;
    uint32_t sub_id;
    uint8_t options; /* with the QoS */
};

/* All texts are in data. */
struct mosquitto_db {
    char *data;
    size_t len;
    struct mosquitto_message *messages; /* by id, once read */
    struct mosquitto_client *clients;
    struct mosquitto_delivery *deliveries;
    struct mosquitto_subscription *subscriptions;
    uint64_t *retained; /* ids of messages */
    size_t n_messages, n_clients, n_deliveries, n_subscriptions, n_retained;
};

/* 0, or -1 with *err set (nothing is to be freed then). name: of the file, for errors. data is
 * taken. */
int mosquitto_db_parse(struct mosquitto_db *db, const char *name, char *take_data, size_t len,
                       struct store_error *err);

void mosquitto_db_fini(struct mosquitto_db *db);

/* The message with this id, or NULL. */
struct mosquitto_message *mosquitto_db_find(const struct mosquitto_db *db, uint64_t id);

/* Step through MQTT 5 properties of a PUBLISH as they are stored; *rest: what is left of them, at
 * first all. The length in front is skipped. False at the end, or at something that makes no sense
 * (rest->p is NULL then). */
struct mosquitto_property {
    uint8_t id;
    struct str bytes; /* all of it, with the id */
    uint32_t number;  /* of a Subscription Identifier */
};
bool mosquitto_props_begin(struct str *rest);
bool mosquitto_props_next(struct str *rest, struct mosquitto_property *out);
#endif

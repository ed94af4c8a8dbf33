/* connect_request: what a CONNECT asked for, from its acceptance until the session is there. */
#ifndef BROKER_CONNECT_REQUEST_H
#define BROKER_CONNECT_REQUEST_H
#include "broker/session.h"
#include "mqtt/str.h"

#include <stdbool.h>
#include <stdint.h>

struct connect_request {
    bool clean_start;
    bool assigned; /* the broker chose the client identifier */
    bool wants_response_info;
    bool has_will;
    bool present;              /* the session was there: once it is */
    uint64_t ticket;           /* turn to wait for before the CONNACK */
    uint16_t keep_alive_s;     /* as sent */
    uint32_t expiry_s;         /* Session Expiry Interval as asked for */
    struct will will;          /* one reference; with has_will */
    struct mqtt_str auth_data; /* for the CONNACK; own copy */
    uint32_t client_id_len;
    uint8_t client_id[];
};

static inline struct mqtt_str request_client_id(const struct connect_request *r)
{
    return (struct mqtt_str){r->client_id, r->client_id_len};
}
#endif

/* packet: every MQTT control packet as a struct, for 3.1, 3.1.1 and 5.0 and for both directions.
 * Strings, payloads and lists are views into the bytes they were decoded from.
 * [v5 2, 3] [v3 2, 3] */
#ifndef MQTT_PACKET_H
#define MQTT_PACKET_H
#include "mqtt/reason.h"
#include "mqtt/str.h"

#include <stdbool.h>
#include <stdint.h>

#define MQTT_MAX_REMAINING 268435455u /* largest Variable Byte Integer [v5 1.5.5] */

enum mqtt_version { MQTT_V31 = 3, MQTT_V311 = 4, MQTT_V5 = 5 };

enum mqtt_side { MQTT_CLIENT = 1, MQTT_SERVER = 2 };

/* clang-format off */
/* May be sent by C client, S server, B both, N nobody, per version; flags: the fixed low nibble, ANY
 * for PUBLISH [v5 MQTT-2.1.3-1] [v3 MQTT-2.2.2-1]. In 3.1, PUBREL, SUBSCRIBE and UNSUBSCRIBE may
 * also carry DUP (0x8).
 *    no  name         flags v3 v5 */
#define MQTT_PACKETS(X)            \
    X(1,  CONNECT,     0x0,  C, C) \
    X(2,  CONNACK,     0x0,  S, S) \
    X(3,  PUBLISH,     ANY,  B, B) \
    X(4,  PUBACK,      0x0,  B, B) \
    X(5,  PUBREC,      0x0,  B, B) \
    X(6,  PUBREL,      0x2,  B, B) \
    X(7,  PUBCOMP,     0x0,  B, B) \
    X(8,  SUBSCRIBE,   0x2,  C, C) \
    X(9,  SUBACK,      0x0,  S, S) \
    X(10, UNSUBSCRIBE, 0x2,  C, C) \
    X(11, UNSUBACK,    0x0,  S, S) \
    X(12, PINGREQ,     0x0,  C, C) \
    X(13, PINGRESP,    0x0,  S, S) \
    X(14, DISCONNECT,  0x0,  C, B) \
    X(15, AUTH,        0x0,  N, B)
/* clang-format on */

enum mqtt_type {
#define X(no, name, ...) MQTT_##name = (no),
    MQTT_PACKETS(X)
#undef X
};

/* "CONNECT" and so on; "reserved" for 0 and above 15. */
const char *mqtt_type_name(unsigned type);

/* clang-format off */
/* Properties [v5 2.2.2.2]. kind: u8 u16 u32 varint str bin pair. many: the packets in which it may
 * repeat. from a client, from a server: the packets in which that side may send it. WILL is the
 * Will's own list in CONNECT; ANSWERS are CONNACK, PUBACK to PUBCOMP, SUBACK, UNSUBACK, DISCONNECT
 * and AUTH. min, max: of numbers.
 *    id    name (field)               kind    many        from a client         from a server         min  max */
#define MQTT_PROPERTIES(X)                                                                                                      \
    X(0x01, payload_format,            u8,     0,          PUBLISH | WILL,       PUBLISH,              0,   1)                  \
    X(0x02, message_expiry_s,          u32,    0,          PUBLISH | WILL,       PUBLISH,              0,   UINT32_MAX)         \
    X(0x03, content_type,              str,    0,          PUBLISH | WILL,       PUBLISH,              0,   0)                  \
    X(0x08, response_topic,            str,    0,          PUBLISH | WILL,       PUBLISH,              0,   0)                  \
    X(0x09, correlation_data,          bin,    0,          PUBLISH | WILL,       PUBLISH,              0,   0)                  \
    X(0x0B, subscription_id,           varint, PUBLISH,    SUBSCRIBE,            PUBLISH,              1,   MQTT_MAX_REMAINING) \
    X(0x11, session_expiry_s,          u32,    0,          CONNECT | DISCONNECT, CONNACK,              0,   UINT32_MAX)         \
    X(0x12, assigned_client_id,        str,    0,          0,                    CONNACK,              0,   0)                  \
    X(0x13, server_keep_alive_s,       u16,    0,          0,                    CONNACK,              0,   UINT16_MAX)         \
    X(0x15, auth_method,               str,    0,          CONNECT | AUTH,       CONNACK | AUTH,       0,   0)                  \
    X(0x16, auth_data,                 bin,    0,          CONNECT | AUTH,       CONNACK | AUTH,       0,   0)                  \
    X(0x17, request_problem_info,      u8,     0,          CONNECT,              0,                    0,   1)                  \
    X(0x18, will_delay_s,              u32,    0,          WILL,                 0,                    0,   UINT32_MAX)         \
    X(0x19, request_response_info,     u8,     0,          CONNECT,              0,                    0,   1)                  \
    X(0x1A, response_info,             str,    0,          0,                    CONNACK,              0,   0)                  \
    X(0x1C, server_reference,          str,    0,          0,                    CONNACK | DISCONNECT, 0,   0)                  \
    X(0x1F, reason_string,             str,    0,          ANSWERS,              ANSWERS,              0,   0)                  \
    X(0x21, receive_maximum,           u16,    0,          CONNECT,              CONNACK,              1,   UINT16_MAX)         \
    X(0x22, topic_alias_maximum,       u16,    0,          CONNECT,              CONNACK,              0,   UINT16_MAX)         \
    X(0x23, topic_alias,               u16,    0,          PUBLISH,              PUBLISH,              1,   UINT16_MAX)         \
    X(0x24, maximum_qos,               u8,     0,          0,                    CONNACK,              0,   1)                  \
    X(0x25, retain_available,          u8,     0,          0,                    CONNACK,              0,   1)                  \
    X(0x26, user_property,             pair,   EVERYWHERE, EVERYWHERE,           EVERYWHERE,           0,   0)                  \
    X(0x27, maximum_packet_size,       u32,    0,          CONNECT,              CONNACK,              1,   UINT32_MAX)         \
    X(0x28, wildcard_available,        u8,     0,          0,                    CONNACK,              0,   1)                  \
    X(0x29, subscription_id_available, u8,     0,          0,                    CONNACK,              0,   1)                  \
    X(0x2A, shared_available,          u8,     0,          0,                    CONNACK,              0,   1)
/* clang-format on */

enum mqtt_property {
#define X(id, name, ...) MQTT_PROP_##name = (id),
    MQTT_PROPERTIES(X)
#undef X
};

/* A decoded or to be encoded property list. Decoding does not clear the struct: a value is valid
 * only when its bit is set. Subscription identifiers and user properties, which may repeat, stay in
 * raw. */
struct mqtt_props {
    uint64_t present;    /* bit (1 << id) per property that is there */
    struct mqtt_str raw; /* decoded: the whole list, as received, without its length */
    uint32_t message_expiry_s;
    uint32_t session_expiry_s;
    uint32_t will_delay_s;
    uint32_t maximum_packet_size;
    uint32_t subscription_id; /* the first one */
    uint16_t server_keep_alive_s;
    uint16_t receive_maximum;
    uint16_t topic_alias_maximum;
    uint16_t topic_alias;
    uint8_t payload_format;
    uint8_t request_problem_info;
    uint8_t request_response_info;
    uint8_t maximum_qos;
    uint8_t retain_available;
    uint8_t wildcard_available;
    uint8_t subscription_id_available;
    uint8_t shared_available;
    struct mqtt_str content_type;
    struct mqtt_str response_topic;
    struct mqtt_str correlation_data;
    struct mqtt_str assigned_client_id;
    struct mqtt_str auth_method;
    struct mqtt_str auth_data;
    struct mqtt_str response_info;
    struct mqtt_str server_reference;
    struct mqtt_str reason_string;
    /* Encoding only: further properties, already encoded, put at the end as they are (user
     * properties, more subscription identifiers). Their bits in present need not be set. */
    struct mqtt_str encoded;
};

#define MQTT_HAS(props, name) (((props)->present >> MQTT_PROP_##name & 1) != 0)
#define MQTT_SET(props, name, value) \
    ((props)->name = (value), (props)->present |= UINT64_C(1) << MQTT_PROP_##name)

/* One property of a list, as mqtt_props_next() finds it. */
struct mqtt_property_view {
    uint8_t id;
    struct mqtt_str encoded; /* identifier and value as they stand */
    uint32_t number;         /* u8, u16, u32 and varint kinds */
    struct mqtt_str text;    /* str and bin kinds; the name of a pair */
    struct mqtt_str value;   /* the value of a pair */
};

/* Step through a list that was decoded successfully: start with *at = 0; false at the end. */
bool mqtt_props_next(struct mqtt_str raw, uint32_t *at, struct mqtt_property_view *out);

struct mqtt_will {
    struct mqtt_str topic;
    struct mqtt_str payload; /* 0..65535 bytes */
    struct mqtt_props props;
    uint8_t qos;
    bool retain;
};

struct mqtt_connect {
    enum mqtt_version version;
    bool clean_start; /* CleanSession in 3.1 and 3.1.1 */
    bool has_will, has_username, has_password;
    uint16_t keep_alive_s; /* 0: off */
    struct mqtt_str client_id;
    struct mqtt_str username, password;
    struct mqtt_will will; /* valid only with has_will */
    struct mqtt_props props;
};

struct mqtt_connack {
    bool session_present; /* 3.1: not on the wire */
    uint8_t reason;       /* 5.0: reason code; 3.x: return code */
    struct mqtt_props props;
};

struct mqtt_publish {
    bool dup, retain;
    uint8_t qos;
    uint16_t packet_id; /* 0 at QoS 0 */
    struct mqtt_str topic;
    struct mqtt_str payload;
    struct mqtt_props props;
};

/* PUBACK, PUBREC, PUBREL and PUBCOMP. */
struct mqtt_ack {
    uint16_t packet_id;
    uint8_t reason; /* 3.x: always 0 */
    struct mqtt_props props;
};

/* SUBSCRIBE and UNSUBSCRIBE. filters: the payload, checked; step through it with
 * mqtt_filters_next(). */
struct mqtt_subscribe {
    uint16_t packet_id;
    struct mqtt_str filters;
    uint32_t count; /* >= 1 */
    struct mqtt_props props;
};

/* Subscription options byte [v5 3.8.3.1]; in 3.x only the QoS bits may be set. */
#define MQTT_SUB_QOS(options)             (0x03 & (options))
#define MQTT_SUB_NO_LOCAL                 0x04
#define MQTT_SUB_RETAIN_AS_PUBLISHED      0x08
#define MQTT_SUB_RETAIN_HANDLING(options) (0x03 & (options) >> 4)

/* Next filter of a SUBSCRIBE or UNSUBSCRIBE (out_options is then 0) payload: start with *at = 0;
 * false at the end. The filter's UTF-8 is checked; its wildcards are not: mqtt_filter_check(). */
bool mqtt_filters_next(const struct mqtt_subscribe *s, bool unsubscribe, uint32_t *at,
                       struct mqtt_str *out_filter, uint8_t *out_options);

/* SUBACK and UNSUBACK. reasons: one byte a filter; empty in a 3.x UNSUBACK. */
struct mqtt_suback {
    uint16_t packet_id;
    struct mqtt_str reasons;
    struct mqtt_props props;
};

/* DISCONNECT and AUTH. */
struct mqtt_reasoned {
    uint8_t reason;
    struct mqtt_props props;
};

struct mqtt_packet {
    enum mqtt_type type;
    union {
        struct mqtt_connect connect;
        struct mqtt_connack connack;
        struct mqtt_publish publish;
        struct mqtt_ack ack;             /* PUBACK PUBREC PUBREL PUBCOMP */
        struct mqtt_subscribe subscribe; /* SUBSCRIBE UNSUBSCRIBE */
        struct mqtt_suback suback;       /* SUBACK UNSUBACK */
        struct mqtt_reasoned reasoned;   /* DISCONNECT AUTH */
    };
};
#endif

/* reasons: why a connection is closed, and why a message is dropped. Every close and every drop
 * goes through these tables, so the client, the log line, the metric and the API say the same
 * thing. */
#ifndef BROKER_REASONS_H
#define BROKER_REASONS_H
#include <stdbool.h>
#include <stdint.h>

/* clang-format off */
/* mqtt5: reason code of the DISCONNECT or CONNACK; ws: WebSocket close code [RFC 6455 7.4.1];
 * level: log level; clean: the client's wish, so that no Will is published.
 *    name                  mqtt5  ws    level  label (metric, log)        text for people */
#define CLOSE_REASONS(X)                                                                                     \
    X(CLIENT_DISCONNECT,    0x00,  1000, INFO,  "client_disconnect",       "the client disconnected") \
    X(CLIENT_WILL,          0x04,  1000, INFO,  "client_disconnect_will",  "the client disconnected and asked for its Will Message") \
    X(CLIENT_ERROR,         0x00,  1000, INFO,  "client_disconnect_error", "the client disconnected with an error code") \
    X(NETWORK_LOST,         0x80,  1001, INFO,  "network_lost",            "the network connection ended without a DISCONNECT") \
    X(MALFORMED_PACKET,     0x81,  1002, INFO,  "malformed_packet",        "a malformed packet was received") \
    X(PROTOCOL_ERROR,       0x82,  1002, INFO,  "protocol_error",          "a protocol error") \
    X(NOT_A_CONNECT,        0x82,  1002, INFO,  "not_a_connect",           "the first packet was not a CONNECT") \
    X(IMPLEMENTATION,       0x83,  1011, WARN,  "implementation_error",    "not possible here") \
    X(BAD_VERSION,          0x84,  1002, INFO,  "bad_version",             "protocol name or version not supported") \
    X(BAD_CLIENT_ID,        0x85,  1008, INFO,  "bad_client_id",           "client identifier not accepted") \
    X(BAD_CREDENTIALS,      0x86,  1008, INFO,  "bad_credentials",         "bad user name or password") \
    X(NOT_AUTHORIZED,       0x87,  1008, INFO,  "not_authorized",          "not authorized") \
    X(UNAVAILABLE,          0x88,  1013, WARN,  "unavailable",             "the server cannot serve this client now") \
    X(BUSY,                 0x89,  1013, WARN,  "busy",                    "the server is busy") \
    X(BANNED,               0x8A,  1008, INFO,  "banned",                  "banned by an administrator") \
    X(SHUTTING_DOWN,        0x8B,  1001, INFO,  "shutting_down",           "the server is shutting down") \
    X(BAD_AUTH_METHOD,      0x8C,  1008, INFO,  "bad_auth_method",         "authentication method not supported") \
    X(KEEP_ALIVE,           0x8D,  1001, INFO,  "keep_alive_timeout",      "nothing was received for one and a half keep alive intervals") \
    X(TAKEN_OVER,           0x8E,  1008, INFO,  "session_taken_over",      "another connection uses this client identifier") \
    X(BAD_FILTER,           0x8F,  1002, INFO,  "bad_topic_filter",        "a topic filter is not valid") \
    X(BAD_TOPIC,            0x90,  1002, INFO,  "bad_topic_name",          "a topic name is not valid") \
    X(RECEIVE_MAXIMUM,      0x93,  1008, INFO,  "receive_maximum_exceeded", "more QoS 1 and 2 messages in flight than Receive Maximum allows") \
    X(TOPIC_ALIAS,          0x94,  1002, INFO,  "bad_topic_alias",         "a topic alias is not valid") \
    X(PACKET_TOO_LARGE,     0x95,  1009, INFO,  "packet_too_large",        "a packet is larger than Maximum Packet Size") \
    X(QUOTA,                0x97,  1008, WARN,  "quota_exceeded",          "a quota was exceeded") \
    X(SLOW_CONSUMER,        0x97,  1008, WARN,  "slow_consumer",           "the client's queue is full and it does not read fast enough") \
    X(ADMINISTRATIVE,       0x98,  1008, INFO,  "administrative",          "closed by an administrator") \
    X(PAYLOAD_FORMAT,       0x99,  1007, INFO,  "bad_payload_format",      "a payload is not what its format indicator says") \
    X(QOS_NOT_SUPPORTED,    0x9B,  1008, INFO,  "qos_not_supported",       "a QoS above Maximum QoS") \
    X(RETAIN_NOT_SUPPORTED, 0x9A,  1008, INFO,  "retain_not_supported",    "retained messages are not available here") \
    X(USE_ANOTHER_SERVER,   0x9C,  1013, INFO,  "use_another_server",      "another server is to be used for now") \
    X(SERVER_MOVED,         0x9D,  1013, INFO,  "server_moved",            "another server is to be used from now on") \
    X(SHARED_NOT_SUPPORTED, 0x9E,  1008, INFO,  "shared_not_supported",    "shared subscriptions are not available here") \
    X(CONNECTION_RATE,      0x9F,  1013, INFO,  "connection_rate_exceeded", "too many connections in too little time") \
    X(CONNECT_TIMEOUT,      0xA0,  1001, INFO,  "connect_timeout",         "no CONNECT arrived in time") \
    X(NO_MEMORY,            0x89,  1013, ERROR, "no_memory",               "the server is out of memory") \
    X(SERVER_ERROR,         0x80,  1011, ERROR, "server_error",            "an internal error") \
    X(WS_TEXT,              0x82,  1003, INFO,  "ws_text_frame",           "MQTT needs binary WebSocket frames, a text frame was received") \
    X(WS_TOO_BIG,           0x95,  1009, INFO,  "ws_frame_too_large",      "a WebSocket frame is larger than the limit") \
    X(WS_PROTOCOL,          0x82,  1002, INFO,  "ws_protocol_error",       "a WebSocket protocol error") \
    X(PING_TIMEOUT,         0x8D,  1001, INFO,  "ws_ping_timeout",         "WebSocket pings were not answered")
/* clang-format on */

enum close_reason {
#define X(name, ...) CLOSE_##name,
    CLOSE_REASONS(X)
#undef X
        CLOSE_COUNT
};

struct close_info {
    uint8_t mqtt5;
    uint16_t ws;
    int level; /* enum log_level */
    const char *label;
    const char *text;
};

const struct close_info *close_info(enum close_reason why);

/* The close reason that says what a decoder's reason code says. */
enum close_reason close_from_mqtt(int rc);

/* Why a message did not reach a session that had a claim on it.
 *    name             label                    text */
#define DROP_REASONS(X)                                                                      \
    X(QUEUE_FULL, "queue_full", "the session's queue is full")                               \
    X(QOS0_CONGESTED, "qos0_congested", "QoS 0, and the client reads too slowly")            \
    X(EXPIRED, "expired", "the message expired before delivery")                             \
    X(TOO_LARGE, "larger_than_client_limit", "larger than the client's Maximum Packet Size") \
    X(SESSION_ENDED, "session_ended", "the session ended with messages waiting")             \
    X(SHARE_EMPTY, "share_without_member", "the last member left the shared subscription")   \
    X(NO_MEMORY, "no_memory", "out of memory")                                               \
    X(REFUSED, "refused", "the publisher was told why it is refused")

enum drop_reason {
#define X(name, ...) DROP_##name,
    DROP_REASONS(X)
#undef X
        DROP_COUNT
};

const char *drop_label(enum drop_reason why);
const char *drop_text(enum drop_reason why);
#endif

/* reason: the reason codes of MQTT 5.0 as one table.                      [v5 2.4] [v5 table 2-6]
 * Enum, names, legality per packet and the 3.1.1 return code all come from these rows.
 *
 * Columns: who may send the code in that packet: C client, S server, B both, N nobody.
 *    CA CONNACK, PA PUBACK and PUBREC, PR PUBREL and PUBCOMP, SA SUBACK, UA UNSUBACK,
 *    DI DISCONNECT, AU AUTH. v3: the CONNACK return code of 3.1 and 3.1.1; 0xff: close without. */
#ifndef MQTT_REASON_H
#define MQTT_REASON_H
#include <stdbool.h>
#include <stdint.h>

/* clang-format off */
/*    code  name                       text                                   CA PA PR SA UA DI AU  v3 */
#define MQTT_REASONS(X)                                                                                 \
    X(0x00, SUCCESS,                   "Success",                              S, B, B, S, S, B, S, 0x00) \
    X(0x01, GRANTED_QOS_1,             "Granted QoS 1",                        N, N, N, S, N, N, N, 0xff) \
    X(0x02, GRANTED_QOS_2,             "Granted QoS 2",                        N, N, N, S, N, N, N, 0xff) \
    X(0x04, DISCONNECT_WITH_WILL,      "Disconnect with Will Message",         N, N, N, N, N, C, N, 0xff) \
    X(0x10, NO_MATCHING_SUBSCRIBERS,   "No matching subscribers",              N, S, N, N, N, N, N, 0xff) \
    X(0x11, NO_SUBSCRIPTION_EXISTED,   "No subscription existed",              N, N, N, N, S, N, N, 0xff) \
    X(0x18, CONTINUE_AUTHENTICATION,   "Continue authentication",              N, N, N, N, N, N, B, 0xff) \
    X(0x19, REAUTHENTICATE,            "Re-authenticate",                      N, N, N, N, N, N, C, 0xff) \
    X(0x80, UNSPECIFIED_ERROR,         "Unspecified error",                    S, B, N, S, S, B, N, 0xff) \
    X(0x81, MALFORMED_PACKET,          "Malformed Packet",                     S, N, N, N, N, B, N, 0xff) \
    X(0x82, PROTOCOL_ERROR,            "Protocol Error",                       S, N, N, N, N, B, N, 0xff) \
    X(0x83, IMPLEMENTATION_ERROR,      "Implementation specific error",        S, B, N, S, S, B, N, 0xff) \
    X(0x84, UNSUPPORTED_VERSION,       "Unsupported Protocol Version",         S, N, N, N, N, N, N, 0x01) \
    X(0x85, CLIENT_ID_NOT_VALID,       "Client Identifier not valid",          S, N, N, N, N, N, N, 0x02) \
    X(0x86, BAD_CREDENTIALS,           "Bad User Name or Password",            S, N, N, N, N, N, N, 0x04) \
    X(0x87, NOT_AUTHORIZED,            "Not authorized",                       S, B, N, S, S, S, N, 0x05) \
    X(0x88, SERVER_UNAVAILABLE,        "Server unavailable",                   S, N, N, N, N, N, N, 0x03) \
    X(0x89, SERVER_BUSY,               "Server busy",                          S, N, N, N, N, S, N, 0x03) \
    X(0x8A, BANNED,                    "Banned",                               S, N, N, N, N, N, N, 0x05) \
    X(0x8B, SERVER_SHUTTING_DOWN,      "Server shutting down",                 N, N, N, N, N, S, N, 0xff) \
    X(0x8C, BAD_AUTH_METHOD,           "Bad authentication method",            S, N, N, N, N, S, N, 0x05) \
    X(0x8D, KEEP_ALIVE_TIMEOUT,        "Keep Alive timeout",                   N, N, N, N, N, S, N, 0xff) \
    X(0x8E, SESSION_TAKEN_OVER,        "Session taken over",                   N, N, N, N, N, S, N, 0xff) \
    X(0x8F, TOPIC_FILTER_INVALID,      "Topic Filter invalid",                 N, N, N, S, S, S, N, 0xff) \
    X(0x90, TOPIC_NAME_INVALID,        "Topic Name invalid",                   S, B, N, N, N, B, N, 0xff) \
    X(0x91, PACKET_ID_IN_USE,          "Packet Identifier in use",             N, B, N, S, S, N, N, 0xff) \
    X(0x92, PACKET_ID_NOT_FOUND,       "Packet Identifier not found",          N, N, B, N, N, N, N, 0xff) \
    X(0x93, RECEIVE_MAXIMUM_EXCEEDED,  "Receive Maximum exceeded",             N, N, N, N, N, B, N, 0xff) \
    X(0x94, TOPIC_ALIAS_INVALID,       "Topic Alias invalid",                  N, N, N, N, N, B, N, 0xff) \
    X(0x95, PACKET_TOO_LARGE,          "Packet too large",                     S, N, N, N, N, B, N, 0xff) \
    X(0x96, MESSAGE_RATE_TOO_HIGH,     "Message rate too high",                N, N, N, N, N, B, N, 0xff) \
    X(0x97, QUOTA_EXCEEDED,            "Quota exceeded",                       S, B, N, S, N, B, N, 0x03) \
    X(0x98, ADMINISTRATIVE_ACTION,     "Administrative action",                N, N, N, N, N, B, N, 0xff) \
    X(0x99, PAYLOAD_FORMAT_INVALID,    "Payload format invalid",               S, B, N, N, N, B, N, 0xff) \
    X(0x9A, RETAIN_NOT_SUPPORTED,      "Retain not supported",                 S, N, N, N, N, S, N, 0xff) \
    X(0x9B, QOS_NOT_SUPPORTED,         "QoS not supported",                    S, N, N, N, N, B, N, 0xff) \
    X(0x9C, USE_ANOTHER_SERVER,        "Use another server",                   S, N, N, N, N, S, N, 0xff) \
    X(0x9D, SERVER_MOVED,              "Server moved",                         S, N, N, N, N, S, N, 0xff) \
    X(0x9E, SHARED_NOT_SUPPORTED,      "Shared Subscriptions not supported",   N, N, N, S, N, S, N, 0xff) \
    X(0x9F, CONNECTION_RATE_EXCEEDED,  "Connection rate exceeded",             S, N, N, N, N, S, N, 0x03) \
    X(0xA0, MAXIMUM_CONNECT_TIME,      "Maximum connect time",                 N, N, N, N, N, S, N, 0xff) \
    X(0xA1, SUB_ID_NOT_SUPPORTED,      "Subscription Identifiers not supported", N, N, N, S, N, S, N, 0xff) \
    X(0xA2, WILDCARD_NOT_SUPPORTED,    "Wildcard Subscriptions not supported", N, N, N, S, N, S, N, 0xff)
/* clang-format on */

enum mqtt_reason {
#define X(code, name, ...) MQTT_RC_##name = (code),
    MQTT_REASONS(X)
#undef X
};

/* Text of the standard for a code, for logs and reason strings; "unknown reason" for others. */
const char *mqtt_reason_text(uint8_t code);

/* CONNACK return code for 3.1 and 3.1.1 that says the same; 0xff: close without a CONNACK. */
uint8_t mqtt_reason_v3(uint8_t code);
#endif

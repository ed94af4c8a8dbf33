/* config: what the transport is told: plain data, filled in by daemon/ from the option table. All
 * strings are the caller's and outlive the server, or are copied where that is said. */
#ifndef WS_CONFIG_H
#define WS_CONFIG_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ws_protocol {
    WS_PROTOCOL_WS,   /* MQTT over WebSocket */
    WS_PROTOCOL_WSS,  /* the same within TLS */
    WS_PROTOCOL_MQTT, /* MQTT over TCP */
    WS_PROTOCOL_MQTTS /* the same within TLS */
};

static inline bool ws_protocol_has_tls(enum ws_protocol p)
{
    return p == WS_PROTOCOL_WSS || p == WS_PROTOCOL_MQTTS;
}

static inline bool ws_protocol_is_websocket(enum ws_protocol p)
{
    return p == WS_PROTOCOL_WS || p == WS_PROTOCOL_WSS;
}

/* A server certificate: PEM files. The first of a listener is for clients that name no server, or
 * one that no certificate has. */
struct ws_certificate {
    char *server_name; /* SNI; NULL or "": any */
    char *certificate; /* file: the certificate, then its chain */
    char *key;         /* file */
};

struct ws_listener_config {
    char *name; /* unique; for logs */
    enum ws_protocol protocol;
    char *address; /* IPv4 or IPv6 address, "" : all */
    uint16_t port;
    bool allow_anonymous;
    uint32_t max_connections;      /* of this listener; 0: no limit */
    uint32_t max_packet_size;      /* bytes; 0: the broker's */
    uint32_t handshake_timeout_ms; /* TLS and HTTP upgrade; the broker waits for the CONNECT */
    int backlog;                   /* of listen(2) */

    /* WebSocket */
    char **paths; /* accepted request paths */
    size_t n_paths;
    uint32_t max_frame_size;     /* bytes of one frame; 0: max_packet_size */
    bool one_packet_per_frame;   /* of what we send */
    uint32_t max_header_size;    /* bytes of the HTTP request's headers */
    uint32_t ping_interval_ms;   /* 0: no pings from here */
    uint32_t ping_timeout_ms;    /* an unanswered ping closes the connection; 0: never */
    bool deflate;                /* offer permessage-deflate */
    uint8_t deflate_window_bits; /* 9..15, of both directions where the client lets us choose */
    uint8_t deflate_level;       /* 1..9 */

    /* TLS */
    struct ws_certificate *certificates;
    size_t n_certificates;
};

struct ws_admin_config {
    bool enabled;
    char *address;
    uint16_t port; /* /healthz, /readyz, /metrics */
};

struct ws_config {
    struct ws_listener_config *listeners;
    size_t n_listeners;
    struct ws_admin_config admin;
    uint64_t deflate_memory;      /* bytes for all connections together; more negotiate none */
    uint32_t shutdown_timeout_ms; /* for clients to take what is under way */
    char *lock_file;              /* a second daemon that listens on the same ports is refused */
};
#endif

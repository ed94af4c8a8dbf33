/* peer_support: a client made of a raw socket: TCP or TLS, HTTP, WebSocket frames and MQTT packets,
 * each of which a test may send wrong. What the server sends is checked for what must hold always.
 *
 * Everything that waits does so for PATIENCE_MS at most; a failed check follows. */
#ifndef WS_TESTS_PEER_SUPPORT_H
#define WS_TESTS_PEER_SUPPORT_H
#include "mqtt/packet.h"
#include "ws/tests/rig_support.h"
#include "ws/tests/tls_support.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct zip; /* zip_support.h */

/* Bytes that come in at the end and go at the front. */
struct bytes {
    uint8_t *p;
    size_t at, len, cap; /* unread: from at to len */
};

struct peer {
    int fd;
    uint16_t port;
    enum ws_protocol protocol;
    struct tls *tls; /* NULL: without */
    struct zip *zip; /* permessage-deflate; NULL: without */
    int version;     /* of MQTT, for decoding */
    uint8_t key[4];  /* that masks frames */
    bool mute;       /* the server's pings are not answered */
    int patience_ms;
    size_t read_size;  /* bytes of one read */
    bool eof, reset;   /* the server has ended the stream; not as it should */
    struct bytes raw;  /* received */
    struct bytes mqtt; /* of it, what was in binary frames */
    bool fragmented;   /* a message of the server is unfinished */
    bool compressed;   /* and that is */
    unsigned pings;    /* received */
    uint8_t pong[125]; /* the last one */
    int pong_len;      /* -1: none */
    int close_code;    /* of the server's Close; 0: none; 1005: one without code */
    char close_text[124];
    struct mqtt_packet packet; /* the last one from peer_packet() */
};

/* ---- the connection ---- */

/* TCP, and TLS where the listener has it; nothing else is sent yet. */
struct peer *peer_dial(const struct rig *r, const char *listener);
struct peer *peer_dial_tls(const struct rig *r, const char *listener, const struct tls_options *o);

/* Only TCP, with this much of receive buffer (0: the usual); NULL: refused. */
struct peer *peer_dial_tcp(const struct rig *r, const char *listener, int receive_buffer);

/* The same in two steps: the socket, which takes a file descriptor, and the connection. */
struct peer *peer_prepare(const struct rig *r, const char *listener, int receive_buffer);
bool peer_start(struct peer *p);

void peer_free(struct peer *p);

/* All of it; false: the connection is broken. */
bool peer_write(struct peer *p, const void *data, size_t len);
bool peer_write_text(struct peer *p, const char *text);

/* Wait until the server has read all that was written. */
void peer_settle(const struct peer *p);

/* Wait until something more is received; false: the end of the stream, or nothing comes. */
bool peer_receive(struct peer *p);
bool peer_receive_within(struct peer *p, int ms);

/* The server ends the stream, in good order, and sends nothing before it. Frees p. */
void peer_expect_eof(struct peer *p);

/* ---- HTTP ---- */

struct http {
    int status;
    char head[4096]; /* status line and headers, as they came */
    char *body;      /* of Content-Length bytes, NUL behind; NULL: none. The caller frees it. */
    size_t body_len;
};

/* The next answer; head_only: to a HEAD. Status 0: none. */
struct http peer_http(struct peer *p, bool head_only);

/* The value of a header, or NULL; valid until the next call. */
const char *http_header(const struct http *h, const char *name);

/* It is there and has this value, whatever the case. */
bool http_header_is(const struct http *h, const char *name, const char *value);

/* A good opening handshake for this path, with more header lines ("A: b\r\n"), which may be NULL;
 * offers the subprotocol mqtt unless more has a Sec-WebSocket-Protocol. */
void peer_request(struct peer *p, const char *path, const char *more);

/* Do it, and check the server's part. */
bool peer_upgrade(struct peer *p);
void peer_check_upgraded(struct peer *p, const struct http *h);

/* ---- frames ---- */

enum {
    OP_MORE = 0,
    OP_TEXT = 1,
    OP_BINARY = 2,
    OP_CLOSE = 8,
    OP_PING = 9,
    OP_PONG = 10,
    FIN = 0x80,
    RSV1 = 0x40
};

/* A masked frame; head: FIN, RSV and opcode. */
bool peer_frame(struct peer *p, int head, const void *data, size_t len);

/* The same in memory: out has room for len + 14 bytes. */
size_t frame_write(uint8_t *out, int head, const uint8_t key[4], const void *data, size_t len);

struct frame {
    int head;
    const uint8_t *data; /* valid until the next frame */
    size_t len;
};

/* The next frame; checked. False: the end of the stream. */
bool peer_get_frame(struct peer *p, struct frame *out);

/* Frames are dealt with until a pong with these bytes is among them. */
bool peer_expect_pong(struct peer *p, const void *data, size_t len);

/* Frames are dealt with until a Close came, or the end of the stream. Its code; 0: none. */
int peer_await_close(struct peer *p);

/* The same; then the Close is answered, and the stream must end in order. Frees p. */
int peer_end(struct peer *p);

/* peer_end() with this code. */
void peer_expect_close(struct peer *p, int code);

/* ---- MQTT ---- */

/* MQTT bytes: in one binary frame, or as they are. */
bool peer_send(struct peer *p, const void *data, size_t len);
bool peer_send_packet(struct peer *p, const struct mqtt_packet *packet);

/* A packet in memory, which the caller frees. */
uint8_t *packet_bytes(const struct mqtt_packet *packet, int version, size_t *out_len);

/* The next packet, in p->packet; views valid until the next call. False: Close, or the end. */
bool peer_packet(struct peer *p);

/* The same; it must be of this type. */
bool peer_expect(struct peer *p, enum mqtt_type type);

/* A MQTT 5 DISCONNECT with this reason, then the WebSocket Close with this code, then the end of
 * the stream. Frees p. */
void peer_expect_disconnect(struct peer *p, uint8_t reason, int code);

struct mqtt_packet connect_packet(int version, const char *id);
bool peer_mqtt(struct peer *p, int version, const char *id);

/* All of it: dial, upgrade, CONNECT, CONNACK. */
struct peer *peer_connect(const struct rig *r, const char *listener, int version, const char *id);

void peer_subscribe(struct peer *p, const char *filter, uint8_t qos);

/* PUBLISH; its acknowledgements are the caller's to read. */
bool peer_publish(struct peer *p, const char *topic, const void *payload, size_t len, uint8_t qos,
                  uint16_t packet_id);

/* PINGREQ, and PINGRESP: all that was sent before has been dealt with. */
bool peer_ping(struct peer *p);

static inline struct mqtt_str text_str(const char *zero_terminated)
{
    return (struct mqtt_str){(const uint8_t *)zero_terminated,
                             (uint32_t)__builtin_strlen(zero_terminated)};
}
#endif

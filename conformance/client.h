/* client: one connection of a scene to the server, as bytes and as packets. It sends whatever it is
 * told to, takes apart what comes, keeps the record, and lets monitor.c look at every packet. */
#ifndef CONFORMANCE_CLIENT_H
#define CONFORMANCE_CLIENT_H
#include "conformance/link.h"
#include "conformance/monitor.h"
#include "conformance/scene.h"
#include "conformance/ws.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"

/* A packet from the server. */
struct packet {
    struct list link;
    uint64_t at_us; /* clock_us() */
    int rc;         /* 0, or why it could not be decoded: as is not set then */
    struct mqtt_packet as;
    struct mqtt_str bytes;
    struct mqtt_str topic; /* of a PUBLISH: with its alias resolved */
};

/* A WebSocket frame from the server, unmasked. */
struct frame {
    struct list link;
    uint64_t at_us;
    struct ws_frame ws;
    unsigned packets_before; /* MQTT packets that had come */
};

struct buffer {
    uint8_t *p;
    size_t at, len, cap; /* what is not used up: p + at, len - at bytes */
};

enum client_mode {
    CLIENT_STREAM, /* bytes are MQTT */
    CLIENT_HTTP,   /* before the upgrade */
    CLIENT_FRAMES, /* WebSocket */
};

struct client {
    struct list link;
    struct scene *scene;
    const struct target *target;
    char name[8]; /* in the record */
    int version;
    const char *id;     /* client identifier, as sent or assigned; NULL before CONNECT */
    uint16_t last_id;   /* packet identifier of the last packet that was sent with one */
    unsigned in_flight; /* QoS 1 and 2 messages sent, unacknowledged */
    bool reckless;      /* minds no Receive Maximum of the server */
    bool manual;        /* acknowledges nothing by itself */
    bool deaf;          /* reads nothing */
    bool manual_ws;     /* answers no Ping and no Close by itself */
    bool loose;         /* has sent what the monitor cannot follow */
    bool sees_all;      /* messages of other scenes, too */
    bool wild;          /* has a filter that matches topics of others, which it does not show */

    struct link *net; /* NULL: closed by us */
    enum client_mode mode;
    struct buffer out; /* what could not be written yet */
    bool flushing;
    bool ended; /* by the server */
    bool write_dead;
    bool clean_end;                       /* with a FIN, and TLS's close_notify */
    uint64_t ended_us, sent_us, heard_us; /* clock_us(): end; last bytes out and in */

    struct buffer in;   /* MQTT */
    struct list inbox;  /* struct packet */
    unsigned n_packets; /* ever */
    bool broken;        /* what comes cannot be cut into packets any more */
    struct mqtt_str aliases[256];
    struct mqtt_connack connack;
    uint32_t connack_size; /* bytes */
    struct monitor monitor;
    const char *fence; /* topic; NULL: not subscribed yet */
    unsigned fences;   /* messages sent to it */

    struct buffer ws_in; /* frames */
    struct list frames;  /* struct frame: what came and was not yet looked at */
    struct ws_response upgrade;
    struct deflate *deflate; /* NULL: not agreed on */
    bool compressing;        /* a compressed message is under way from the server */
    bool bad_deflate;        /* one did not inflate */
    bool ws_fragmented;      /* a message is */
    bool ws_close_sent, ws_close_got;
    uint16_t ws_close_code;
};

/* Connect: TCP, TLS and the WebSocket upgrade, as the target wants it; NULL: the scene's target.
 * A failure ends the case. */
struct client *client_open(struct scene *s, const struct target *t);

/* The same up to TLS alone: no upgrade. */
struct client *client_open_raw(struct scene *s, const struct target *t);

/* As client_open(), but NULL and why instead of the end of the case. */
struct client *client_try_open(struct scene *s, const struct target *t, const char **out_error);

/* The usual upgrade request; protocols: value of Sec-WebSocket-Protocol, NULL: none; more: further
 * header lines, each with CR LF. *out_key: what the answer has to prove. */
const char *client_upgrade_request(struct client *c, const char *protocols, const char *more,
                                   const char **out_key);

/* Send the upgrade request and read the answer into c->upgrade (status 0: closed without one); true
 * when it is 101. What follows are frames. */
bool client_upgrade(struct client *c, const char *request);

/* MQTT bytes to the server: in one segment, over WebSocket in one binary frame. Nothing is said
 * when the connection is gone: that shows when an answer is expected. */
void client_send(struct client *c, struct mqtt_str bytes);

/* The same cut into pieces of so many bytes, each a segment, or a frame. */
void client_send_split(struct client *c, struct mqtt_str bytes, size_t piece);

void client_send_packet(struct client *c, const struct mqtt_packet *p);

/* Bytes as they are, below WebSocket and above TLS. */
void client_send_raw(struct client *c, struct mqtt_str bytes);

/* A frame of WebSocket. Its mask is set by the function when masked and mask is 0 0 0 0, unless
 * zero_mask. */
void client_send_frame(struct client *c, struct ws_frame f, bool zero_mask);

/* Take what has come, without waiting. */
void client_read(struct client *c);

/* First packet in the inbox of that type (0: any), or NULL; it stays there. Messages that belong to
 * other scenes are not in the inbox. */
struct packet *client_find(struct client *c, unsigned type);

/* Wait for it, take it out and return it. The case fails by these statements when it does not come
 * in time, the connection ends, or what comes is malformed. type 0: whatever comes next. */
struct packet *client_take(struct client *c, unsigned type, const char *statements);

/* Wait for the server to end the connection; false: it has not, by then. */
bool client_await_end(struct client *c, uint64_t deadline_us);

/* Next frame of WebSocket with this opcode (-1: any); NULL: did not come, or the end came first. */
struct frame *client_take_frame(struct client *c, int opcode);

/* Close our end; reset: with a RST. */
void client_close(struct client *c, bool reset);

/* A packet identifier that was not used yet. */
uint16_t client_next_id(struct client *c);
#endif

/* play: the vocabulary of the cases. A word of it that ends the case on failure says by which
 * statements; what a case is not about (that CONNECT is answered at all) is charged to the
 * statement that says so, and leaves the case's own without a verdict. */
#ifndef CONFORMANCE_PLAY_H
#define CONFORMANCE_PLAY_H
#include "conformance/client.h"
#include "conformance/describe.h"
#include "conformance/wire.h"

/* ---- joining ---- */

struct join {
    const char *id;    /* client identifier; NULL: a new one */
    bool resume;       /* Clean Start 0 (CleanSession 0) */
    uint32_t expiry_s; /* Session Expiry Interval; in 3.x anything but 0 is CleanSession 0 */
    uint16_t keep_alive_s;
    bool manual;                 /* the client acknowledges nothing by itself */
    int version;                 /* 0: the scene's */
    const struct target *target; /* NULL: the scene's */

    const char *will_topic; /* NULL: no Will */
    const char *will_payload;
    uint8_t will_qos;
    bool will_retain;
    struct mqtt_props will_props; /* 5.0; the delay among them */

    /* 5.0 only */
    uint16_t receive_maximum, topic_alias_maximum;
    uint32_t maximum_packet_size;
    struct mqtt_props props; /* further ones */
};

/* Connect, CONNECT, and a CONNACK that is a success. JOIN(s, .resume = true, .id = id) */
struct client *join_as(struct scene *s, const struct join *j);
#define JOIN(s, ...) join_as((s), &(struct join){__VA_ARGS__})

/* The same without looking at the answer. */
struct client *join_try(struct scene *s, const struct join *j);

/* What CONNACK says of the session; in 3.1, which has no word for it, both are true. */
bool says_present(const struct client *c);
bool says_absent(const struct client *c);

/* The usual clean client. */
struct client *join(struct scene *s);

/* A connection with a CONNECT made by hand: the fields of its wire notation, NULL for those of a
 * usual CONNECT. User name and password of the target are filled in, unless tail is given. */
struct hand_connect {
    const char *head;       /* "10 #" */
    const char *name;       /* "<MQTT> 05" */
    unsigned flags;         /* those of user and password are added; 0: 0x02, clean */
    const char *keep_alive; /* "003c" */
    const char *props;      /* "()" */
    const char *id;         /* "<...>" */
    const char *will;       /* "": between identifier and user name */
    const char *tail;       /* instead of user name and password; flags are then all there is */
};
#define NO_FLAGS 0x100u
struct mqtt_str hand_connect(struct scene *s, const struct hand_connect *h);
#define HAND_CONNECT(s, ...) hand_connect((s), &(struct hand_connect){__VA_ARGS__})

/* "()" in 5.0, "" before: an empty property list. */
const char *no_props(const struct scene *s);

/* ---- sending ---- */

/* Wire notation, formatted (wire.h). */
void say(struct client *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* SUBSCRIBE and its SUBACK: granted. options: the byte on the wire; in 3.x its QoS bits. */
void subscribe(struct client *c, const char *filter, uint8_t options);

/* The same with a Subscription Identifier. */
void subscribe_id(struct client *c, const char *filter, uint8_t options, uint32_t sub_id);

/* The code of the SUBACK. */
uint8_t subscribe_code(struct client *c, const char *filter, uint8_t options);

/* UNSUBSCRIBE and UNSUBACK: the code in 5.0, 0 before. */
uint8_t unsubscribe(struct client *c, const char *filter);

/* PUBLISH and its acknowledgement to the end. Features that are absent skip the case. */
#define RETAIN 0x01u
#define DUP    0x08u
void publish(struct client *c, const char *topic, const char *payload, uint8_t qos, unsigned flags);
void publish_props(struct client *c, const char *topic, const char *payload, uint8_t qos,
                   unsigned flags, const struct mqtt_props *props);

/* PUBLISH alone. Returns its packet identifier. */
uint16_t publish_start(struct client *c, const char *topic, const char *payload, uint8_t qos,
                       unsigned flags);
uint16_t publish_start_props(struct client *c, const char *topic, struct mqtt_str payload,
                             uint8_t qos, unsigned flags, const struct mqtt_props *props);

/* PUBACK, PUBREC, PUBREL, PUBCOMP. */
void acknowledge(struct client *c, enum mqtt_type type, uint16_t id, uint8_t reason);

/* PINGREQ and PINGRESP: everything sent before has been dealt with. */
void ping(struct client *c);

/* The same when the server may also close the connection: false if it does. */
bool alive(struct client *c);

/* DISCONNECT, and wait until the server has closed the connection, too. */
void leave(struct client *c);
void leave_with(struct client *c, uint8_t reason, const struct mqtt_props *props);

/* The network connection ends without a DISCONNECT, and the server has seen it. */
void drop(struct client *c);

/* ---- expecting ---- */

/* The next PUBLISH of this scene. */
const struct mqtt_publish *message(struct client *c);

/* The next one, which must have this topic and payload. */
const struct mqtt_publish *expect(struct client *c, const char *topic, const char *payload);
const struct mqtt_publish *expect_by(struct client *c, const char *statements, const char *topic,
                                     const char *payload);

/* Let everything that from has published reach to. Messages of the mark are not seen. */
void settle(struct client *from, struct client *to);

/* Nothing was delivered to to: a mark that from publishes comes first. */
void expect_nothing(struct client *from, struct client *to);
void expect_nothing_by(struct client *from, struct client *to, const char *statements);

/* How many messages were delivered to it up to a mark of from's; they are taken. */
unsigned drain(struct client *from, struct client *to);

/* The PUBLISH is left in place, or NULL: it is not there yet. */
struct packet *peek_message(struct client *c);

/* An acknowledgement of this type and packet identifier; returns its reason. */
uint8_t expect_ack(struct client *c, enum mqtt_type type, uint16_t id);

/* The server closes the connection. In 5.0 a DISCONNECT may come before, and should, with one of
 * these reasons ("81 82"); nothing else may. NULL: any reason will do. */
void expect_close(struct client *c, const char *reasons);
void expect_close_by(struct client *c, const char *statements, const char *reasons);

/* The CONNECT is refused. 5.0: the connection ends, perhaps after a CONNACK with one of these
 * reasons; 3.x: after a CONNACK with this code, or NO_CONNACK. */
#define NO_CONNACK (-1)
void expect_refusal(struct client *c, const char *reasons, int code);
void expect_refusal_by(struct client *c, const char *statements, const char *reasons, int code);

/* ---- features ---- */

void need_qos(struct scene *s, uint8_t qos);
void need_retain(struct scene *s);
void need_wildcard(struct scene *s);
void need_shared(struct scene *s);
void need_subscription_id(struct scene *s);

/* A client with this Maximum Packet Size can be told that it is connected. */
void need_small_connack(struct scene *s, uint32_t limit);

/* A topic that the server lets nobody publish to, perhaps: that of the command line, or one below
 * $SYS, where many servers do not. */
const char *denied_topic(const struct scene *s);

/* ---- small things ---- */

struct mqtt_str text(const char *zero_terminated);
bool is_text(struct mqtt_str s, const char *zero_terminated);

/* One property, for the encoder. */
struct mqtt_props with_encoded(struct scene *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* One after the other. */
struct mqtt_str both(struct scene *s, struct mqtt_str a, struct mqtt_str b);

/* Payload of so many bytes. */
char *payload_of(struct scene *s, size_t len);

/* The deadline has passed because this machine is slow: the case is run again. */
void in_time(struct scene *s, uint64_t deadline_us);
#endif

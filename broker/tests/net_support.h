/* net_support: a broker without a network. Clients are buffers, time stands still until it is
 * moved, shards take their turns one after the other: every test replays the same run. */
#ifndef BROKER_TESTS_NET_SUPPORT_H
#define BROKER_TESTS_NET_SUPPORT_H
#include "base/env.h"
#include "broker/broker.h"
#include "broker/connection.h"
#include "broker/shard.h"
#include "mqtt/decode.h"
#include "mqtt/packet.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Run body for MQTT 3.1, 3.1.1 and 5.0; says for which of them a check has failed. */
void each_version(void (*body)(int version));

struct net {
    struct env_test env;
    struct broker *broker;
    struct list clients;
};

/* One end of a network connection. */
struct client {
    struct list link;
    struct net *net;
    struct shard *shard;
    struct connection *conn; /* NULL: gone */
    struct transport_peer peer;
    int version;
    uint16_t next_id;      /* last packet identifier used by a helper below */
    bool reading_off;      /* the broker has paused reading */
    bool stalled;          /* takes what is sent, but says BLOCKED */
    bool blocked;          /* has said so: the broker must not send */
    bool dead;             /* says DEAD */
    bool greeted;          /* has got its CONNACK */
    bool closed;           /* by the broker */
    enum close_reason why; /* and for what */
    char text[128];
    uint8_t *in; /* what the broker has sent */
    size_t in_len, in_at, in_cap;
    uint32_t max_packet; /* no packet may be larger; 0: no limit */
    unsigned writes;     /* calls of send() */
};

/* config NULL: the defaults. */
void net_init(struct net *n, unsigned shards, const struct broker_config *config);
void net_init_auth(struct net *n, unsigned shards, const struct broker_config *config,
                   const struct auth *auth);

/* Close what is open and check that nothing is left in any shard's memory and gauges, and that
 * windows held what they said. */
void net_fini(struct net *n);

/* Messages dropped for this reason so far, at all shards; connections closed. */
int64_t net_drops(const struct net *n, enum drop_reason why);
int64_t net_closes(const struct net *n, enum close_reason why);

/* A counter or gauge, at all shards. */
#define NET_COUNT(n, name) net_count(n, offsetof(struct counters, name))
int64_t net_count(const struct net *n, size_t offset);

/* For for-loops: let one allocation of a shard fail, each in turn, until the last one that there is
 * has failed. fail.at: its number, counted from net_fail(); fail.more: it has happened.
 *
 *     for (struct net_fail fail = {0}; net_fail_next(&fail);) {
 *         net_init(...);                    what shall not fail
 *         net_fail(&fail, &n, 0);           at shard 0
 *         ...                               what may fail
 *         net_fail_end(&fail);
 *         ...                               what has come of it
 *     } */
struct net_fail {
    uint64_t at;
    bool more;
    struct mem *mem;
};
bool net_fail_next(struct net_fail *f);
void net_fail(struct net_fail *f, struct net *n, unsigned shard);
void net_fail_end(struct net_fail *f);

/* Turns of all shards until nothing is left to do. */
void net_run(struct net *n);

/* One turn of one shard only, for tests in which it matters whose turn it is. Is there anything
 * left to do at any of them? */
void net_turn(struct net *n, unsigned shard);
bool net_busy(const struct net *n);

/* Let time pass, with turns at every moment at which a timer is due. */
void net_sleep(struct net *n, uint64_t ms);

/* A network connection to this shard, without CONNECT; client.conn is NULL when the broker does not
 * take it. */
struct client *net_open(struct net *n, unsigned shard, int version);

/* The same from a peer other than the usual one: change what net_peer() gives. */
struct transport_peer net_peer(void);
struct client *net_open_from(struct net *n, unsigned shard, int version,
                             struct transport_peer peer);

/* Bytes to the broker, then turns until it is quiet. client_feed(): without the turns. */
void client_send(struct client *c, const void *data, size_t len);
void client_feed(struct client *c, const void *data, size_t len);
void client_send_packet(struct client *c, const struct mqtt_packet *p);
void client_feed_packet(struct client *c, const struct mqtt_packet *p);

/* The next packet from the broker; false: nothing is there. Its views stay valid until more comes.
 */
bool client_next(struct client *c, struct mqtt_packet *out);

/* The next packet, which must be of this type; a failed check otherwise (and out is zeroed). */
bool client_expect(struct client *c, enum mqtt_type type, struct mqtt_packet *out);

/* Nothing (more) has come. */
bool client_quiet(struct client *c);

/* The client's end of the network connection goes away without a word; frees c. */
void client_drop(struct client *c);

/* The broker has closed, or closes, the connection; frees c. */
void client_free(struct client *c);

/* Stop and go on taking what the broker sends. */
void client_stall(struct client *c);
void client_unstall(struct client *c);

/* Stalled, but one more send() gets through. */
void client_trickle(struct client *c);

/* The broker has closed the connection. The last thing it sent, before which everything else was
 * read, is a DISCONNECT with this reason where the version has one. Frees c. */
void client_expect_disconnect(struct client *c, uint8_t reason);

/* The same without a word: after a DISCONNECT of the client's, say. */
void client_expect_closed(struct client *c);

/* The CONNECT was refused with this code in a CONNACK; NO_CONNACK: without one. Frees c. */
#define NO_CONNACK (-1)
void client_expect_refusal(struct client *c, int code);

/* ---- short forms ---- */

struct connect_options {
    const char *id;
    bool clean;
    uint32_t expiry_s; /* version 5 only; set when not 0 */
    uint16_t keep_alive_s;
    uint16_t receive_maximum;
    uint32_t maximum_packet_size;
    uint16_t topic_alias_maximum;
    const char *will_topic, *will_payload;
    uint8_t will_qos;
    bool will_retain;
    uint32_t will_delay_s;
};

/* Open, CONNECT, and a CONNACK that is a success; *out_present: session present. */
struct client *net_connect(struct net *n, unsigned shard, int version,
                           const struct connect_options *o, bool *out_present);

/* Open and CONNECT, without turns; the answer is the caller's to wait for. */
struct client *net_start_connect(struct net *n, unsigned shard, int version,
                                 const struct connect_options *o);

/* The usual client: clean, this identifier. */
struct client *net_client(struct net *n, unsigned shard, int version, const char *id);

void client_connect_packet(struct mqtt_packet *p, int version, const struct connect_options *o);

/* Open and send this CONNECT; the answer is the caller's to read. */
struct client *net_try_connect(struct net *n, int version, const struct mqtt_packet *p);

/* SUBSCRIBE with these options, SUBACK with this QoS. */
void client_subscribe(struct client *c, const char *filter, uint8_t options);
void client_subscribe_id(struct client *c, const char *filter, uint8_t options, uint32_t sub_id);
/* The code of the SUBACK. */
uint8_t client_try_subscribe(struct client *c, const char *filter, uint8_t options);
uint8_t client_unsubscribe(struct client *c, const char *filter);

/* PUBLISH and what belongs to it up to the last acknowledgement. */
void client_publish(struct client *c, const char *topic, const char *payload, uint8_t qos,
                    bool retain);
/* Only the PUBLISH; the packet identifier is returned. client_feed_publish(): without turns. */
uint16_t client_start_publish(struct client *c, const char *topic, const char *payload, uint8_t qos,
                              bool retain);
uint16_t client_feed_publish(struct client *c, const char *topic, const char *payload, uint8_t qos,
                             bool retain);

/* Retained messages "old" at "r/0", "r/1", ... at QoS 1; the acknowledgements are left unread. */
void client_retain_many(struct client *pub, int n);

/* A PUBLISH with this topic and payload comes next; it is acknowledged to the end when ack is true.
 * Returns its packet identifier. */
uint16_t client_expect_publish(struct client *c, const char *topic, const char *payload,
                               uint8_t qos, bool ack);
void client_send_ack(struct client *c, enum mqtt_type type, uint16_t packet_id, uint8_t reason);
void client_disconnect(struct client *c, uint8_t reason);

static inline struct mqtt_str text_str(const char *zero_terminated)
{
    return (struct mqtt_str){(const uint8_t *)zero_terminated,
                             (uint32_t)__builtin_strlen(zero_terminated)};
}
#endif

/* wrong_broker: a broker that breaks one rule. It stands before a broker that breaks none, passes
 * everything on in both directions, and changes what its rule is about. Each rule has a port of its
 * own; a test of the suite runs the cases of the statement that the rule breaks, and expects a FAIL
 * of it. */
#ifndef CONFORMANCE_TESTS_WRONG_BROKER_H
#define CONFORMANCE_TESTS_WRONG_BROKER_H
#include "conformance/arena.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"

struct ws_frame;

/* One connection through the wrong broker. */
struct hop {
    const struct rule *rule;
    struct hop *next;
    struct arena arena; /* of what passes now; emptied when nothing is under way */
    int client_fd, server_fd;
    bool server_gone, client_gone;
    uint8_t *in[2]; /* what has come and is not complete: from the client, from the server */
    size_t in_len[2], in_cap[2];
    bool upgraded; /* WebSocket: the handshake is through */
    bool opaque;   /* and frames are not looked at any more */

    int version; /* of the CONNECT; 0 before */
    unsigned connects, connacks;
    uint32_t count; /* for the rules */
    uint8_t kept[4096];
    uint32_t kept_len;
};

enum side { FROM_CLIENT, FROM_SERVER };

/* A packet on its way. */
struct passing {
    enum side side;
    struct mqtt_str bytes;
    struct mqtt_frame frame;
    int rc; /* 0: as is what it says */
    struct mqtt_packet as;
};

/* Pass on bytes, or a packet put together again (in the hop's version). */
void hop_send(struct hop *h, enum side from, struct mqtt_str bytes);
void hop_send_packet(struct hop *h, enum side from, const struct mqtt_packet *p);

/* Both connections end, when what was sent is out. */
void hop_end(struct hop *h);

struct rule {
    const char *name;
    const char *statement; /* that it breaks; "-": none, everything must pass */
    const char *version;   /* of the run that must find it: "5.0", "3.1.1" */
    const char *test;      /* case that owns the rule; NULL: any of the statement's */
    /* Change a packet: false when it is to pass as it is; true when the rule has sent what it wants
     * instead. */
    bool (*packet)(struct hop *h, const struct passing *p);
    /* WebSocket: the same for a frame, and for the text of the request (FROM_CLIENT) or answer. */
    bool (*frame)(struct hop *h, enum side side, const struct ws_frame *f);
    const char *(*head)(struct hop *h, enum side side, const char *text);
    bool keeps_open; /* the client's connection stays open when the server has closed its own */
};

struct rule_set {
    const struct rule *rules;
    size_t count;
};

extern const struct rule_set wrong_connect, wrong_answers, wrong_messages, wrong_auth, wrong_ws;

/* All of them; ends with NULL. */
extern const struct rule_set *const rule_sets[];
#endif

/* players_support: publishers and subscribers as the standard has them: what they know of their
 * exchanges outlives their connections, what was on its way to an old connection may be lost. They
 * check what they get: each subscriber everything that each publisher has sent, in order, at QoS 2
 * once, at QoS 1 again only where that may be. */
#ifndef BROKER_TESTS_PLAYERS_SUPPORT_H
#define BROKER_TESTS_PLAYERS_SUPPORT_H
#include "net_support.h"

#define PUBLISHERS  4 /* the odd ones use QoS 2 */
#define SUBSCRIBERS 5
#define OPEN_MAX    8 /* exchanges of a publisher */

struct exchange {
    uint16_t id;
    unsigned number;
    bool released;
};

struct publisher {
    char name[8];
    struct client *c; /* NULL: not connected */
    uint8_t qos;
    bool greeted, known; /* by this connection's CONNACK; by any so far: there is a session */
    uint16_t last_id;
    unsigned sent; /* number of the last message */
    struct exchange open[OPEN_MAX];
    unsigned n_open;
};

struct ack {
    enum mqtt_type type;
    uint16_t id;
};

struct subscriber {
    char name[8];
    struct client *c; /* NULL: not connected */
    bool known;
    unsigned seen[PUBLISHERS];     /* number of the last message of each */
    bool received[UINT16_MAX + 1]; /* QoS 2 identifiers, until they are released */
    struct ack acks[4096];         /* to be sent */
    unsigned n_acks;
};

struct players {
    struct net *n;
    unsigned shards;
    bool crashes; /* the broker may die: a QoS 1 message may come again as if it were new */
    struct publisher pubs[PUBLISHERS];
    struct subscriber subs[SUBSCRIBERS];
};

/* Everybody connects; each subscriber subscribes to everything. */
void players_init(struct players *w, struct net *n, unsigned shards, bool crashes);

unsigned players_choose(struct players *w, unsigned n);

/* A new connection, on any shard, whether there is one or not. */
void publisher_moves(struct players *w, struct publisher *p);
void subscriber_moves(struct players *w, struct subscriber *s);

void publisher_reads(struct players *w, struct publisher *p);
void publisher_publishes(struct publisher *p);
void subscriber_reads(struct players *w, struct subscriber *s);

/* Send up to n of the acknowledgements that are due. */
void subscriber_answers(struct subscriber *s, unsigned n);

/* A connection that had enough may take more. */
void subscriber_takes(struct subscriber *s);

/* The broker has died, and all connections with it. */
void players_lose(struct players *w);

/* Nobody moves any more: everything gets where it was going. */
void players_finish(struct players *w);

/* Everything has come to everybody, and nothing is left. */
void players_check(struct players *w);
#endif

/* target: where the broker is and how to reach it: a URL and what belongs to it.
 *
 *     mqtt://host[:1883]  mqtts://host[:8883]  ws://host[:80]/path  wss://host[:443]/path
 *
 * Any of them with user:password@ before the host, percent-encoded where needed; IPv6 addresses in
 * brackets. */
#ifndef CONFORMANCE_TARGET_H
#define CONFORMANCE_TARGET_H
#include "conformance/arena.h"

struct tls_setup;

struct target {
    const char *name; /* the URL without its password, for people */
    const char *scheme, *host, *port;
    const char *path;            /* with the query; WebSocket only */
    const char *user, *password; /* NULL: none */
    const char *headers;         /* further lines of the WebSocket request, each with CR LF; "" */
    bool tls, websocket;
    struct tls_setup *tls_setup; /* NULL without tls; owned by who made it */
};

/* Take the URL apart; what out points at is in the arena. NULL, or what is wrong with it. */
const char *target_parse(struct arena *a, const char *url, struct target *out);
#endif

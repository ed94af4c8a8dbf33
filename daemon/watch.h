/* watch: the daemon's look at itself, every few seconds: do all shards answer, and what do they do?
 * It feeds the service manager's watchdog, which restarts a daemon that hangs, and tells it the
 * state in a line. */
#ifndef DAEMON_WATCH_H
#define DAEMON_WATCH_H
#include "daemon/notify.h"

#include <stdint.h>

struct broker;
struct ws_server;

struct watch {
    struct notify notify;
    uint64_t period_ms, due_ms; /* between looks; of the next one, monotonic */
    uint64_t last_ms;           /* of the last look; 0: none yet */
    int64_t received, sent;     /* PUBLISH packets until then */
    int stalled;                /* shard that did not answer; -1: none */
};

/* env: as environ. */
void watch_init(struct watch *w, char *const *env);
void watch_fini(struct watch *w);

/* Look, if it is time to. */
void watch_look(struct watch *w, const struct broker *b, struct ws_server *s, uint64_t now_ms);
#endif

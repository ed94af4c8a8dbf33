/* ws_support: a stand-in for ws/: a server without network that does what a test tells it. */
#ifndef DAEMON_TESTS_WS_SUPPORT_H
#define DAEMON_TESTS_WS_SUPPORT_H
#include "ws/server.h"

#include <stdbool.h>

struct ws_fake {
    /* set by the test */
    const char *check_error, *new_error, *start_error, *reload_error; /* NULL: it works */
    bool ends_on_drain;   /* as if all clients had left */
    bool ends_now;        /* on being told so */
    _Atomic int stalled;  /* what ws_server_pulse() says */
    void (*script)(void); /* runs in a thread of its own while the server serves */

    /* seen by the server */
    int stops, stops_now, reloads, pulses;
    bool ended;
    const struct ws_config *config;
    uint32_t max_packet_size; /* of the broker's configuration, as last reloaded */
    uint32_t sys_topics;      /* after the first turn of the first shard */
};

extern struct ws_fake ws_fake;

/* Back to a server that works. */
void ws_fake_reset(void (*script)(void));

/* Wait until a counter of ws_fake is n. */
void ws_fake_wait(const int *counter, int n);

/* Wait until it is n more than now. */
void ws_fake_wait_more(const int *counter, int n);

/* Let the threads of the server end by themselves. */
void ws_fake_end(void);
#endif

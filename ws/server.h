/* server: the transport: event loops, listeners, WebSocket, TLS. One thread a shard, each with its
 * own libuv loop, libwebsockets context and listening sockets. */
#ifndef WS_SERVER_H
#define WS_SERVER_H
#include "ws/config.h"

#include <stdbool.h>
#include <stddef.h>

struct broker;
struct broker_config;
struct ws_server;

/* Something went wrong: text says what, where and what to do. */
struct ws_error {
    char text[512];
};

/* Check what can be checked without listening: addresses, certificate files with their keys,
 * limits. False with *err. */
bool ws_check(const struct ws_config *config, struct ws_error *err);

/* A listening socket that a service manager has opened for us. */
struct ws_passed {
    const char *listener; /* name of the listener that it is for, or "admin" */
    int fd;
};

/* Bind all listeners; no client is served yet. The process may drop privileges afterwards. config
 * is borrowed and must stay as it is. passed: n_passed sockets, not to be bound again; all are the
 * server's from here on, on error too. A listener may have one, which all shards share, or one for
 * each of them, at the address in its configuration. NULL with *err. */
struct ws_server *ws_server_new(struct broker *b, const struct ws_config *config,
                                const struct ws_passed *passed, size_t n_passed,
                                struct ws_error *err);

/* Start the threads. False with *err, and none is left. */
bool ws_server_start(struct ws_server *s, struct ws_error *err);

/* New settings for all shards: the broker's configuration, pings and limits of listeners (matched
 * by name; addresses and protocols are those of the start), certificates read again. All or
 * nothing: false with *err, and everything is as it was. Connections stay. The new ws_config is
 * borrowed from now on instead of the old one. */
bool ws_server_reload(struct ws_server *s, const struct broker_config *broker_config,
                      const struct ws_config *config, struct ws_error *err);

/* Stop: no new connections, goodbye to all clients (DISCONNECT 0x8B, WebSocket 1001), then an end
 * within shutdown_timeout_ms. now: at once. May be called again, from one thread. */
void ws_server_stop(struct ws_server *s, bool now);

/* Ask all loops for a sign of life. The number of a shard that has not answered the call before:
 * its thread hangs; -1: all have. The owner calls it from time to time; /healthz tells the last
 * outcome. */
int ws_server_pulse(struct ws_server *s);

/* Wait until all threads have ended. */
void ws_server_join(struct ws_server *s);

/* Free and set *s to NULL. Threads have ended, or were never started. */
void ws_server_free(struct ws_server **s);

/* The port that a listener has got (port 0 lets the system choose); 0: no such listener. */
int ws_server_port(const struct ws_server *s, const char *listener);

/* Versions of the libraries, for --version: "libwebsockets 4.3.5, mbedTLS 2.28.3, libuv 1.44.2". */
const char *ws_versions(void);
#endif

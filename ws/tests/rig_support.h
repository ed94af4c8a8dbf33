/* rig_support: a broker with its server in the test's process, on ports that the system chooses. */
#ifndef WS_TESTS_RIG_SUPPORT_H
#define WS_TESTS_RIG_SUPPORT_H
#include "broker/auth.h"
#include "broker/broker.h"
#include "broker/config.h"
#include "broker/stats.h"
#include "ws/config.h"
#include "ws/server.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RIG_LISTENERS 8
#define PATIENCE_MS   20000 /* a test that waits for longer has failed */

struct rig {
    struct broker_config broker_config;
    struct ws_config config;
    struct ws_listener_config listeners[RIG_LISTENERS];
    struct ws_passed passed[RIG_LISTENERS]; /* sockets that the server is given */
    size_t n_passed;
    const struct auth *auth; /* NULL: none */
    struct broker *broker;
    struct ws_server *server;
    struct ws_error err;
};

/* The defaults of frysd, without listeners. */
void rig_init(struct rig *r);

/* Add one with the defaults; its name is its protocol's: "ws", "wss", "mqtt", "mqtts". Those with
 * TLS have the certificate of tls_support.h. */
struct ws_listener_config *rig_listen(struct rig *r, enum ws_protocol protocol);

/* True, or false with r->err. */
bool rig_try_start(struct rig *r, unsigned shards);
void rig_start(struct rig *r, unsigned shards);

/* The same with one listener. */
void rig_start_one(struct rig *r, enum ws_protocol protocol);

/* Drain, end, and check that no connection and none of the memory for them is left. */
void rig_stop(struct rig *r);

/* What rig_stop() does when the threads have been told to end. */
void rig_join(struct rig *r);

uint16_t rig_port(const struct rig *r, const char *listener);
struct stats rig_stats(const struct rig *r);

/* Wait until this counter of struct stats is n; false: it does not become so. */
#define RIG_WAIT(r, counter, n) rig_wait(r, offsetof(struct stats, counter), n)
bool rig_wait(const struct rig *r, size_t counter, int64_t n);

/* Milliseconds of a clock that never goes back. */
uint64_t mono_ms(void);

/* Take everything that is logged from level on into a buffer, until rig_log_end(). */
void rig_log_begin(int level);
const char *rig_log(void); /* so far; valid until the next call */
void rig_log_end(void);
#endif

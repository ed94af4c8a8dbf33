#include "ws/tests/rig_support.h"

#include "base/env.h"
#include "base/log.h"
#include "base/test.h"
#include "broker/purposes.h"
#include "ws/tests/tls_support.h"

#include <sched.h>
#include <stdio.h>
#include <unistd.h>

static char *paths[] = {(char *)(uintptr_t) "/mqtt", (char *)(uintptr_t) "/"};
static char *const names[] = {(char *)(uintptr_t) "ws", (char *)(uintptr_t) "wss",
                              (char *)(uintptr_t) "mqtt", (char *)(uintptr_t) "mqtts"};
static char loopback[] = "127.0.0.1";

/* ---- clock ---- */

uint64_t mono_ms(void)
{
    struct env_time now;

    env_system()->now(NULL, &now);
    return now.mono_ms;
}

/* ---- log ---- */

static FILE *logged;
static char log_text[1 << 16];

void rig_log_begin(int level)
{
    logged = tmpfile();
    log_configure(fileno(logged), (enum log_level)level, LOG_TEXT);
}

const char *rig_log(void)
{
    ssize_t n = pread(fileno(logged), log_text, sizeof log_text - 1, 0);

    log_text[n > 0 ? n : 0] = '\0';
    return log_text;
}

void rig_log_end(void)
{
    log_configure(STDERR_FILENO, LOG_ERROR, LOG_TEXT);
    fclose(logged);
    logged = NULL;
}

/* ---- life ---- */

void rig_init(struct rig *r)
{
    *r = (struct rig){.broker_config = broker_config_default(),
                      .config = {.deflate_memory = 64 << 20, .shutdown_timeout_ms = 10000}};
    r->config.listeners = r->listeners;
    r->config.admin.address = loopback;
    r->broker_config.sys_interval_s = 0;
    if (logged == NULL)
        log_configure(STDERR_FILENO, LOG_ERROR, LOG_TEXT);
}

struct ws_listener_config *rig_listen(struct rig *r, enum ws_protocol protocol)
{
    struct ws_listener_config *c = &r->listeners[r->config.n_listeners++];

    *c = (struct ws_listener_config){.name = names[protocol],
                                     .protocol = protocol,
                                     .address = loopback,
                                     .allow_anonymous = true,
                                     .handshake_timeout_ms = 10000,
                                     .backlog = 1024,
                                     .paths = paths,
                                     .n_paths = 2,
                                     .max_header_size = 4096,
                                     .ping_interval_ms = 25000,
                                     .ping_timeout_ms = 20000,
                                     .deflate_window_bits = 12,
                                     .deflate_level = 3};
    if (ws_protocol_has_tls(protocol)) {
        c->certificates = certs()->server;
        c->n_certificates = 1;
    }
    return c;
}

bool rig_try_start(struct rig *r, unsigned shards)
{
    r->broker = broker_new(env_system(), &r->broker_config, r->auth, shards, "test");
    r->server = ws_server_new(r->broker, &r->config, r->passed, r->n_passed, &r->err);
    return r->server != NULL && ws_server_start(r->server, &r->err);
}

void rig_start(struct rig *r, unsigned shards)
{
    if (rig_try_start(r, shards))
        return;
    fprintf(stderr, "the server does not start: %s\n", r->err.text);
    abort(); /* nothing else can be tested */
}

void rig_start_one(struct rig *r, enum ws_protocol protocol)
{
    rig_init(r);
    rig_listen(r, protocol);
    rig_start(r, 1);
}

void rig_join(struct rig *r)
{
    if (r->server != NULL) {
        ws_server_join(r->server);
        ws_server_free(&r->server);
    }
    CHECK_INT(rig_stats(r).connections, 0);
    CHECK_INT(broker_memory(r->broker, FOR_TRANSPORT), 0);
    CHECK_INT(broker_memory(r->broker, FOR_CONNECTION), 0);
    CHECK_INT(broker_memory(r->broker, FOR_INPUT), 0);
    broker_free(&r->broker);
}

void rig_stop(struct rig *r)
{
    if (r->server != NULL)
        ws_server_stop(r->server, false);
    rig_join(r);
}

/* ---- what it says of itself ---- */

uint16_t rig_port(const struct rig *r, const char *listener)
{
    return (uint16_t)ws_server_port(r->server, listener);
}

struct stats rig_stats(const struct rig *r)
{
    struct stats s;

    stats_read(r->broker, &s);
    return s;
}

bool rig_wait(const struct rig *r, size_t counter, int64_t n)
{
    uint64_t end = mono_ms() + PATIENCE_MS;

    while (mono_ms() < end) {
        struct stats s = rig_stats(r);

        if (*(const int64_t *)(const void *)((const char *)&s + counter) == n)
            return true;
        sched_yield();
    }
    return false;
}

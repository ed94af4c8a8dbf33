/* server: all loops together: start, reload, stop. */
#include "ws/server.h"

#include "base/log.h"
#include "broker/broker.h"
#include "broker/config.h"
#include "broker/shard.h"
#include "ws/ws_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

bool ws_fail(struct ws_error *err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return false;
}

const char *ws_versions(void)
{
    return "libwebsockets " FRYS_LWS_VERSION ", " FRYS_LWS_TLS_VERSION
           ", libuv " FRYS_LWS_UV_VERSION;
}

/* ---- checks ---- */

static bool check_listener(const struct ws_listener_config *cfg, struct ws_error *err)
{
    struct sockaddr_storage a;
    socklen_t len;

    if (!listener_address(cfg->address, cfg->port, &a, &len))
        return ws_fail(err, "listener %s: \"%s\" is not an IPv4 or IPv6 address", cfg->name,
                       cfg->address);
    if (!ws_protocol_has_tls(cfg->protocol))
        return true;
    if (cfg->n_certificates == 0)
        return ws_fail(err, "listener %s: TLS needs a certificate and its key", cfg->name);
    for (size_t i = 0; i < cfg->n_certificates; i++) {
        struct ws_error why;

        if (!certificate_check(&cfg->certificates[i], &why))
            return ws_fail(err, "listener %s: %s", cfg->name, why.text);
    }
    return true;
}

bool ws_check(const struct ws_config *config, struct ws_error *err)
{
    for (size_t i = 0; i < config->n_listeners; i++)
        if (!check_listener(&config->listeners[i], err))
            return false;
    return true;
}

/* ---- one daemon per lock file ---- */

static bool take_lock(struct ws_server *s, struct ws_error *err)
{
    const char *path = s->config->lock_file;

    s->lock_fd = -1;
    if (path == NULL || path[0] == '\0')
        return true;
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (s->lock_fd < 0)
        return ws_fail(err, "lock file %s: %s; set lock_file to a place that can be written", path,
                       strerror(errno));
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    return ws_fail(err,
                   "lock file %s: another frysd holds it: stop that one, or give this one a "
                   "lock_file and ports of its own",
                   path);
}

/* ---- life ---- */

static bool add_listeners(struct ws_server *s)
{
    const struct ws_config *cfg = s->config;

    s->n_listeners = cfg->n_listeners + (cfg->admin.enabled ? 1 : 0);
    s->listeners = calloc(s->n_listeners + 1, sizeof *s->listeners);
    if (s->listeners == NULL)
        return false;
    s->admin_config = (struct ws_listener_config){.name = "admin",
                                                  .protocol = WS_PROTOCOL_WS,
                                                  .address = cfg->admin.address,
                                                  .port = cfg->admin.port,
                                                  .handshake_timeout_ms = 10000,
                                                  .max_connections = 100,
                                                  .backlog = 16};
    for (size_t i = 0; i < s->n_listeners; i++) {
        bool admin = i == cfg->n_listeners;
        const struct ws_listener_config *c = admin ? &s->admin_config : &cfg->listeners[i];

        s->listeners[i].name = strdup(c->name);
        s->listeners[i].admin = admin;
        s->listeners[i].port = c->port;
        if (s->listeners[i].name == NULL)
            return false;
    }
    return true;
}

static bool make_loop(struct ws_server *s, unsigned index)
{
    struct ws_loop *l = &s->loops[index];

    l->server = s;
    l->shard = s->broker->shards[index];
    l->config = s->config;
    l->sockets = calloc(s->n_listeners + 1, sizeof *l->sockets);
    if (l->sockets == NULL)
        return false;
    for (size_t i = 0; i < s->n_listeners; i++) {
        bool admin = s->listeners[i].admin;

        l->sockets[i] =
            (struct socket){.loop = l,
                            .listener = &s->listeners[i],
                            .config = admin ? &s->admin_config : &s->config->listeners[i],
                            .fd = -1};
    }
    return true;
}

static bool make_loops(struct ws_server *s)
{
    s->n_loops = s->broker->n_shards;
    s->loops = calloc(s->n_loops, sizeof *s->loops);
    for (unsigned i = 0; s->loops != NULL && i < s->n_loops; i++)
        if (!make_loop(s, i))
            return false;
    return s->loops != NULL;
}

static bool open_socket(struct socket *so, const struct ws_passed *passed, size_t n_passed,
                        struct ws_error *err)
{
    enum passed_use use = socket_take(so, passed, n_passed, err);

    return use == PASSED_USED || (use == PASSED_NONE && socket_bind(so, err));
}

static bool open_all(struct ws_server *s, const struct ws_passed *passed, size_t n_passed,
                     struct ws_error *err)
{
    if (!passed_check(s, passed, n_passed, err))
        return false;
    for (unsigned i = 0; i < s->n_loops; i++)
        for (size_t k = 0; k < s->n_listeners; k++)
            if ((i == 0 || !s->listeners[k].admin) &&
                !open_socket(&s->loops[i].sockets[k], passed, n_passed, err))
                return false;
    return true;
}

/* Every loop that uses one has a duplicate of its own. */
static void close_passed(const struct ws_passed *passed, size_t n)
{
    for (size_t i = 0; i < n; i++)
        close(passed[i].fd);
}

struct ws_server *ws_server_new(struct broker *b, const struct ws_config *config,
                                const struct ws_passed *passed, size_t n_passed,
                                struct ws_error *err)
{
    struct ws_server *s = calloc(1, sizeof *s);
    bool opened;

    if (s == NULL) {
        close_passed(passed, n_passed);
        ws_fail(err, "out of memory");
        return NULL;
    }
    s->broker = b;
    s->config = config;
    s->lock_fd = -1;
    s->stalled = -1;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->answered, NULL);
    if (!add_listeners(s) || !make_loops(s))
        opened = ws_fail(err, "out of memory");
    else
        opened = ws_check(config, err) && take_lock(s, err) && open_all(s, passed, n_passed, err);
    close_passed(passed, n_passed);
    if (!opened)
        goto failed;
    loop_log_init();
    for (unsigned i = 0; i < s->n_loops; i++)
        if (!loop_init(&s->loops[i], err))
            goto failed;
    return s;
failed:
    ws_server_free(&s);
    return NULL;
}

static void log_listeners(const struct ws_server *s)
{
    for (size_t i = 0; i < s->n_listeners; i++) {
        char url[256];

        socket_url(&s->loops[0].sockets[i], url, sizeof url);
        LOG(LOG_INFO, "listener.open", LOG_TXT("listener", s->listeners[i].name),
            LOG_TXT("url", url));
    }
}

/* 0 or an errno. */
static int start_loop(struct ws_server *s, unsigned i)
{
    char name[24];
    int rc = pthread_create(&s->loops[i].thread, NULL, loop_main, &s->loops[i]);

    snprintf(name, sizeof name, "worker-%u", i);
    if (rc == 0)
        pthread_setname_np(s->loops[i].thread, name);
    return rc;
}

bool ws_server_start(struct ws_server *s, struct ws_error *err)
{
    log_listeners(s);
    s->running = s->n_loops;
    for (unsigned i = 0; i < s->n_loops; i++) {
        int rc = start_loop(s, i);

        if (rc != 0) {
            ws_fail(err, "cannot start thread %u of %u: %s", i + 1, s->n_loops, strerror(rc));
            ws_server_stop(s, true);
            ws_server_join(s);
            return false;
        }
        s->loops[i].started = true;
    }
    return true;
}

/* Have every loop look at a request, and wait until all have. */
static void ask_loops(struct ws_server *s, struct loop_request r)
{
    pthread_mutex_lock(&s->lock);
    s->request = r;
    s->requests++;
    s->missing = 0;
    for (unsigned i = 0; i < s->n_loops; i++) {
        if (!s->loops[i].started || s->loops[i].ended)
            continue;
        s->missing++;
        loop_wake(&s->loops[i]);
    }
    while (s->missing > 0)
        pthread_cond_wait(&s->answered, &s->lock);
    s->request = (struct loop_request){0};
    pthread_mutex_unlock(&s->lock);
}

void ws_server_stop(struct ws_server *s, bool now)
{
    ask_loops(s, (struct loop_request){.drain = !now, .stop = now});
}

/* Loops answer in on_wake(). One that has ended is not missed. */
int ws_server_pulse(struct ws_server *s)
{
    unsigned asked = atomic_load_explicit(&s->pulse, memory_order_relaxed);
    int stalled = -1;

    atomic_store_explicit(&s->pulse, asked + 1, memory_order_relaxed);
    pthread_mutex_lock(&s->lock);
    for (unsigned i = s->n_loops; i-- > 0;) {
        struct ws_loop *l = &s->loops[i];

        if (!l->started || l->ended)
            continue;
        if (atomic_load_explicit(&l->pulse, memory_order_relaxed) != asked)
            stalled = (int)i;
        loop_wake(l);
    }
    pthread_mutex_unlock(&s->lock);
    atomic_store_explicit(&s->stalled, stalled, memory_order_relaxed);
    return stalled;
}

/* ---- reload ---- */

static bool same_text(const char *a, const char *b)
{
    return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

/* What is bound, and what libwebsockets knows certificates by, stays as it was at the start. */
static bool can_become(const struct ws_listener_config *old, const struct ws_listener_config *new,
                       struct ws_error *err)
{
    bool same = old->protocol == new->protocol &&
                old->port == new->port &&same_text(old->address, new->address) &&
                old->n_certificates == new->n_certificates;

    for (size_t i = 0; same && i < old->n_certificates; i++) {
        const struct ws_certificate *a = &old->certificates[i], *b = &new->certificates[i];

        same = same_text(a->server_name, b->server_name) &&
               same_text(a->certificate, b->certificate) && same_text(a->key, b->key);
    }
    if (same)
        return true;
    return ws_fail(err,
                   "listener %s: protocol, address, port and names of certificate files need "
                   "a restart to change",
                   old->name);
}

static bool check_reload(const struct ws_server *s, const struct ws_config *config,
                         struct ws_error *err)
{
    if (config->n_listeners != s->config->n_listeners)
        return ws_fail(err, "listeners: adding and removing them needs a restart");
    for (size_t i = 0; i < config->n_listeners; i++) {
        if (!same_text(s->config->listeners[i].name, config->listeners[i].name))
            return ws_fail(err, "listeners: another order or other names need a restart");
        if (!can_become(&s->config->listeners[i], &config->listeners[i], err))
            return false;
    }
    return ws_check(config, err);
}

bool ws_server_reload(struct ws_server *s, const struct broker_config *broker_config,
                      const struct ws_config *config, struct ws_error *err)
{
    if (!check_reload(s, config, err))
        return false;
    ask_loops(s, (struct loop_request){.broker_config = broker_config, .config = config});
    s->config = config;
    return true;
}

void ws_server_join(struct ws_server *s)
{
    for (unsigned i = 0; i < s->n_loops; i++) {
        if (!s->loops[i].started)
            continue;
        pthread_join(s->loops[i].thread, NULL);
        s->loops[i].started = false;
    }
}

void ws_server_free(struct ws_server **server)
{
    struct ws_server *s = *server;

    *server = NULL;
    if (s == NULL)
        return;
    for (unsigned i = 0; s->loops != NULL && i < s->n_loops; i++)
        shard_set_wake(s->broker->shards[i], NULL, NULL); /* nobody is there to be woken */
    for (unsigned i = 0; s->loops != NULL && i < s->n_loops; i++) {
        if (s->loops[i].sockets == NULL)
            continue;
        loop_fini(&s->loops[i]);
        free(s->loops[i].sockets);
    }
    for (size_t i = 0; s->listeners != NULL && i < s->n_listeners; i++)
        free(s->listeners[i].name);
    free(s->listeners);
    free(s->loops);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    pthread_cond_destroy(&s->answered);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

int ws_server_port(const struct ws_server *s, const char *listener)
{
    for (size_t i = 0; i < s->n_listeners; i++)
        if (strcmp(s->listeners[i].name, listener) == 0)
            return s->listeners[i].port;
    return 0;
}

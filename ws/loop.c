/* loop: one thread, one libuv loop, one libwebsockets context, one shard. The shard's turn begins
 * with the first callback after the loop has waited and ends before it waits again: everything that
 * was ready is read and routed, then each connection with output is written to once. */
#include "base/assert.h"
#include "base/log.h"
#include "broker/broker.h"
#include "broker/drain.h"
#include "broker/shard.h"
#include "ws/ws_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MAX_ROUNDS    2    /* looks for more input before what there is goes out */
#define KILL_GRACE_MS 1000 /* after the drain's deadline, for Close frames to go out */

/* Not uv_async_send(): a loop that wakes up before the sender is back from its system call spins
 * until it is, which on one processor is as long as the scheduler likes. */
void loop_wake(struct ws_loop *l)
{
    uint64_t once = 1;
    ssize_t n = write(l->wake_fd, &once, sizeof once);

    ASSERT(n == sizeof once);
}

/* ---- the turn ---- */

static void begin_turn(struct ws_loop *l)
{
    if (l->in_turn)
        return;
    l->in_turn = true;
    shard_turn_begin(l->shard);
}

void loop_enter(struct ws_loop *l)
{
    l->stirred = true;
    begin_turn(l);
}

static void on_timer(uv_timer_t *t)
{
    begin_turn(t->loop->data);
}

static void on_idle(uv_idle_t *i)
{
    begin_turn(i->loop->data);
}

/* The loop is not to wait, only to look. */
static void keep_looking(struct ws_loop *l)
{
    if (!uv_is_active((uv_handle_t *)&l->idle))
        uv_idle_start(&l->idle, on_idle);
}

/* Have the loop come back when the shard needs it. */
static void arm(struct ws_loop *l)
{
    uint64_t due = shard_next_turn_ms(l->shard), now = l->shard->now_ms;

    if (l->draining && due > l->kill_ms)
        due = l->kill_ms;
    if (due <= now) {
        keep_looking(l);
        return;
    }
    if (uv_is_active((uv_handle_t *)&l->idle))
        uv_idle_stop(&l->idle);
    if (due == l->armed_ms && uv_is_active((uv_handle_t *)&l->timer))
        return;
    l->armed_ms = due;
    if (due == TIMER_NEVER)
        uv_timer_stop(&l->timer);
    else
        uv_timer_start(&l->timer, on_timer, due - now, 0);
}

/* The thread ends; loop_fini() does the rest when all have. */
static void stop(struct ws_loop *l)
{
    struct ws_server *s = l->server;

    pthread_mutex_lock(&s->lock);
    if (!l->ended && l->answered != s->requests)
        s->missing--;
    l->ended = true;
    pthread_cond_broadcast(&s->answered);
    if (atomic_fetch_sub(&s->running, 1) == 2 && !s->loops[0].ended)
        loop_wake(&s->loops[0]); /* it waits for this */
    pthread_mutex_unlock(&s->lock);
    uv_stop(&l->uv);
}

/* Nothing keeps a draining loop any more. The one with the pages for operators is the last. */
static bool drained(const struct ws_loop *l)
{
    const struct ws_server *s = l->server;

    if (l != s->loops || atomic_load(&s->running) == 1)
        return (shard_drained(l->shard) && l->refused == 0) || l->shard->now_ms >= l->kill_ms;
    return false;
}

static void end_turn(struct ws_loop *l)
{
    if (!l->in_turn)
        return;
    shard_turn_end(l->shard);
    l->in_turn = false;
    if (l->nudge)
        lws_cancel_service(l->lws);
    l->nudge = false;
    if (l->draining && !l->ended && drained(l))
        stop(l);
    arm(l);
}

static void on_prepare(uv_prepare_t *p)
{
    struct ws_loop *l = p->loop->data;

    if (l->in_turn && l->stirred && l->rounds < MAX_ROUNDS) {
        l->stirred = false;
        l->rounds++;
        keep_looking(l);
        return;
    }
    l->stirred = false;
    l->rounds = 0;
    end_turn(l);
    if (!shard_may_sleep(l->shard))
        keep_looking(l);
}

static void on_check(uv_check_t *c)
{
    struct ws_loop *l = c->loop->data;

    shard_stay_awake(l->shard);
    if (l->in_turn)
        shard_hand_over(l->shard);
}

/* ---- requests from outside ---- */

static const struct ws_listener_config *config_of(const struct ws_config *config, const char *name)
{
    for (size_t i = 0; i < config->n_listeners; i++)
        if (strcmp(config->listeners[i].name, name) == 0)
            return &config->listeners[i];
    return NULL; /* the admin pages */
}

static void reload(struct ws_loop *l, const struct loop_request *r)
{
    l->shard->config = *r->broker_config;
    l->config = r->config;
    for (size_t i = 0; i < l->server->n_listeners; i++) {
        struct socket *so = &l->sockets[i];
        const struct ws_listener_config *cfg = config_of(r->config, so->listener->name);

        if (cfg == NULL)
            continue;
        so->config = cfg;
        vhosts_reload(so);
    }
    LIST_EACH (c, &l->shard->connections)
        link_reload(LIST_ITEM(c, struct connection, link_all)->link);
}

/* but_admin: the pages for operators stay, and say what is going on. */
static void close_sockets(struct ws_loop *l, bool but_admin)
{
    for (size_t i = 0; i < l->server->n_listeners; i++)
        if (!but_admin || !l->sockets[i].listener->admin)
            socket_close(&l->sockets[i]);
}

static void drain(struct ws_loop *l)
{
    uint32_t timeout_ms = l->config->shutdown_timeout_ms;

    if (l->draining)
        return;
    l->draining = true;
    close_sockets(l, true);
    shard_drain(l->shard, timeout_ms);
    l->kill_ms = l->shard->now_ms + timeout_ms + KILL_GRACE_MS;
}

static void do_request(struct ws_loop *l, const struct loop_request *r)
{
    if (r->broker_config != NULL)
        reload(l, r);
    if (r->drain)
        drain(l);
    if (r->stop)
        stop(l);
}

static void on_wake(uv_poll_t *p, int status, int events)
{
    struct ws_loop *l = p->loop->data;
    struct ws_server *s = l->server;
    struct loop_request r;
    uint64_t times;
    bool asked;

    (void)status, (void)events;
    if (read(l->wake_fd, &times, sizeof times) < 0)
        return; /* by now there is nothing */
    begin_turn(l);
    atomic_store_explicit(&l->pulse, atomic_load_explicit(&s->pulse, memory_order_relaxed),
                          memory_order_relaxed);
    pthread_mutex_lock(&s->lock);
    r = s->request;
    asked = !l->ended && l->answered != s->requests;
    pthread_mutex_unlock(&s->lock);
    if (!asked)
        return;
    do_request(l, &r);
    pthread_mutex_lock(&s->lock);
    if (!l->ended) {
        l->answered = s->requests;
        s->missing--;
        pthread_cond_broadcast(&s->answered);
    }
    pthread_mutex_unlock(&s->lock);
}

/* ---- life ---- */

static void wake(void *arg)
{
    loop_wake(arg);
}

/* What an operator has to act on our own code says; the library does not tell whose fault it is. */
static void log_line(int level, const char *line)
{
    if (level == LLL_ERR)
        LOG(LOG_WARN, "libwebsockets", LOG_STR("text", str_trim(str_from(line))));
    else
        LOG(LOG_INFO, "libwebsockets", LOG_STR("text", str_trim(str_from(line))));
}

static void log_line_of(lws_log_cx_t *cx, int level, const char *line, size_t len)
{
    (void)cx;
    (void)len;
    log_line(level, line);
}

void loop_log_init(void)
{
    lws_set_log_level(LLL_ERR | LLL_WARN, log_line);
}

/* Our own timer of a link ends a handshake that takes too long; that of lws is behind it. */
static unsigned handshake_seconds(const struct ws_loop *l)
{
    uint32_t ms = 0;

    for (size_t i = 0; i < l->server->n_listeners; i++)
        if (l->sockets[i].config->handshake_timeout_ms > ms)
            ms = l->sockets[i].config->handshake_timeout_ms;
    return ms / 1000 + 1;
}

static struct lws_context *context_new(struct ws_loop *l)
{
    void *loops[] = {&l->uv};
    unsigned header = 4096;

    for (size_t i = 0; i < l->server->n_listeners; i++)
        if (l->sockets[i].config->max_header_size > header)
            header = l->sockets[i].config->max_header_size;
    l->lws_timeout_s = handshake_seconds(l);
    l->log.u.emit_cx = log_line_of;
    l->log.lll_flags = LLL_ERR | LLL_WARN | LLLF_LOG_CONTEXT_AWARE;
    return lws_create_context(&(struct lws_context_creation_info){
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
        .foreign_loops = loops,
        .timeout_secs = l->lws_timeout_s,
        .user = l,
        .pt_serv_buf_size = READ_SIZE,
        .max_http_header_data = (unsigned short)(header < UINT16_MAX ? header : UINT16_MAX),
        .log_cx = &l->log});
}

static void init_handles(struct ws_loop *l)
{
    int rc;

    l->uv.data = l;
    rc = uv_poll_init(&l->uv, &l->wake, l->wake_fd);
    ASSERT(rc == 0);
    uv_poll_start(&l->wake, UV_READABLE, on_wake);
    uv_prepare_init(&l->uv, &l->prepare);
    uv_check_init(&l->uv, &l->check);
    uv_timer_init(&l->uv, &l->timer);
    uv_idle_init(&l->uv, &l->idle);
    uv_prepare_start(&l->prepare, on_prepare);
    uv_check_start(&l->check, on_check);
}

/* libwebsockets wants it, and does not survive that it is not there. */
static bool has_random(struct ws_error *err)
{
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return ws_fail(err, "/dev/urandom: %s", strerror(errno));
    close(fd);
    return true;
}

bool loop_init(struct ws_loop *l, struct ws_error *err)
{
    if (!has_random(err))
        return false;
    l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (l->wake_fd < 0 || uv_loop_init(&l->uv) != 0) {
        close(l->wake_fd);
        return ws_fail(err, "no event loop: out of file descriptors or memory");
    }
    init_handles(l);
    l->lws = context_new(l);
    if (l->lws == NULL)
        return ws_fail(err, "libwebsockets cannot start: out of memory or file descriptors");
    for (size_t i = 0; i < l->server->n_listeners; i++) {
        struct socket *so = &l->sockets[i];

        if (so->fd < 0)
            continue; /* the admin pages are on the first loop only */
        so->vhost = vhosts_new(so, err);
        if (so->vhost == NULL)
            return false;
        socket_start(so);
    }
    shard_set_wake(l->shard, wake, l);
    return true;
}

void loop_fini(struct ws_loop *l)
{
    int rc;

    close_sockets(l, false);
    if (l->uv.data == NULL)
        return; /* never initialised */
    if (l->lws != NULL)
        lws_context_destroy(l->lws);
    uv_close((uv_handle_t *)&l->wake, NULL);
    uv_close((uv_handle_t *)&l->prepare, NULL);
    uv_close((uv_handle_t *)&l->check, NULL);
    uv_close((uv_handle_t *)&l->timer, NULL);
    uv_close((uv_handle_t *)&l->idle, NULL);
    uv_run(&l->uv, UV_RUN_DEFAULT); /* until lws has closed its handles, too ... */
    if (l->lws != NULL)
        lws_context_destroy(l->lws); /* ... and can free the rest */
    rc = uv_loop_close(&l->uv);
    ASSERT(rc == 0);
    close(l->wake_fd);
    free(l->packed.p);
    free(l->unpacked);
}

void *loop_main(void *loop)
{
    struct ws_loop *l = loop;

    loop_enter(l);
    uv_run(&l->uv, UV_RUN_DEFAULT); /* until stop() */
    return NULL;
}

/* listener: sockets of our own: every loop binds all addresses (SO_REUSEPORT, the kernel spreads
 * the connections) and hands what it accepts to libwebsockets. */
#include "base/assert.h"
#include "base/log.h"
#include "broker/broker.h"
#include "broker/shard.h"
#include "ws/ws_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPT_BURST 128 /* connections taken before the loop looks at anything else */
#define SHARED_BURST 4   /* the same where other loops want some, too */
#define RETRY_MS     100 /* until accepting is tried again when file descriptors are short */

bool listener_address(const char *text, uint16_t port, struct sockaddr_storage *out,
                      socklen_t *out_len)
{
    struct sockaddr_in *in = (void *)out;
    struct sockaddr_in6 *in6 = (void *)out;

    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        *out_len = sizeof *in;
        return true;
    }
    if (text[0] == '\0' || inet_pton(AF_INET6, text, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6; /* "": all addresses of both families */
        in6->sin6_port = htons(port);
        *out_len = sizeof *in6;
        return true;
    }
    return false;
}

void socket_url(const struct socket *so, char *out, size_t cap)
{
    static const char *const schemes[] = {"ws", "wss", "mqtt", "mqtts"};
    const struct ws_listener_config *cfg = so->config;
    bool v6 = strchr(cfg->address, ':') != NULL;
    const char *host = cfg->address[0] != '\0' ? cfg->address : "*";

    snprintf(out, cap, "%s://%s%s%s:%d%s", so->listener->admin ? "http" : schemes[cfg->protocol],
             v6 ? "[" : "", host, v6 ? "]" : "", so->listener->port,
             ws_protocol_is_websocket(cfg->protocol) && cfg->n_paths > 0 ? cfg->paths[0] : "");
}

/* ---- binding ---- */

int socket_port(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } a = {.in6 = {0}};
    socklen_t len = sizeof a;

    if (getsockname(fd, &a.any, &len) != 0)
        return -1;
    return ntohs(a.any.sa_family == AF_INET ? a.in.sin_port : a.in6.sin6_port);
}

static int open_socket(const struct sockaddr_storage *a, socklen_t len, bool shared)
{
    int fd = socket(a->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1, off = 0;
    int saved;

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (shared)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (a->ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (bind(fd, (const struct sockaddr *)a, len) == 0)
        return fd;
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

/* Is somebody else there? A second process with SO_REUSEPORT would silently take half of the
 * connections; a socket without it finds out. */
static bool address_free(const struct sockaddr_storage *a, socklen_t len)
{
    int fd = open_socket(a, len, false);

    if (fd < 0)
        return false;
    if (listen(fd, 1) != 0) {
        close(fd);
        return false;
    }
    close(fd);
    return true;
}

bool socket_bind(struct socket *so, struct ws_error *err)
{
    struct listener *li = so->listener;
    const struct ws_listener_config *cfg = so->config;
    struct sockaddr_storage a;
    socklen_t len;

    if (!listener_address(cfg->address, (uint16_t)li->port, &a, &len))
        return ws_fail(err, "listener %s: \"%s\" is not an IPv4 or IPv6 address", cfg->name,
                       cfg->address);
    if (so->loop == so->loop->server->loops && li->port != 0 && !address_free(&a, len))
        goto failed;
    so->fd = open_socket(&a, len, true);
    if (so->fd < 0 || listen(so->fd, cfg->backlog) != 0)
        goto failed;
    li->port = socket_port(so->fd);
    return true;
failed:
    return ws_fail(
        err, "listener %s: cannot listen on %s port %d: %s%s", cfg->name,
        cfg->address[0] != '\0' ? cfg->address : "all addresses", li->port, strerror(errno),
        errno == EADDRINUSE ? "; another process is there: stop it or choose another port" : "");
}

/* ---- accepting ---- */

static void on_acceptable(uv_poll_t *poll, int status, int events);

static void resume_accepting(uv_timer_t *t)
{
    struct socket *so = t->data;

    if (so->fd >= 0)
        uv_poll_start(&so->poll, UV_READABLE, on_acceptable);
}

/* No file descriptors or memory: leave the others in the kernel's queue for a moment. */
static void pause_accepting(struct socket *so, int error)
{
    LOG(LOG_ERROR, "listener.cannot_accept", LOG_TXT("listener", so->listener->name),
        LOG_ERRNO(error), LOG_TXT("do", "raise the limit of open files (LimitNOFILE, ulimit -n)"));
    uv_poll_stop(&so->poll);
    uv_timer_start(&so->retry, resume_accepting, RETRY_MS, 0);
}

static bool full(const struct socket *so)
{
    uint32_t max = so->config->max_connections;

    return max != 0 && atomic_load_explicit(&so->listener->open, memory_order_relaxed) >= max;
}

static void adopt(struct socket *so, int fd, const struct sockaddr_storage *from)
{
    const struct ws_listener_config *cfg = so->config;
    bool http = ws_protocol_is_websocket(cfg->protocol);
    struct link *k = full(so) ? NULL : link_new(so, from);
    lws_adopt_desc_t d = {.vh = so->vhost, .type = LWS_ADOPT_SOCKET, .fd.sockfd = fd, .opaque = k};
    int one = 1;

    if (k == NULL) {
        LOG(LOG_WARN, "listener.full", LOG_TXT("listener", cfg->name),
            LOG_UINT("max_connections", cfg->max_connections));
        close(fd);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (http)
        d.type |= LWS_ADOPT_HTTP;
    else
        d.vh_prot_name = link_protocols[0].name;
    if (ws_protocol_has_tls(cfg->protocol))
        d.type |= LWS_ADOPT_ALLOW_SSL;
    so->loop->adopting = k;
    /* On failure lws has closed fd, and has ended the link, or will, if it got that far. */
    if (lws_adopt_descriptor_vhost_via_info(&d) == NULL && so->loop->adopting == k &&
        k->wsi == NULL)
        link_free(k);
    so->loop->adopting = NULL;
}

static void on_acceptable(uv_poll_t *poll, int status, int events)
{
    struct socket *so = poll->data;
    int burst = so->shared ? SHARED_BURST : ACCEPT_BURST;

    (void)status;
    (void)events;
    loop_enter(so->loop);
    for (int i = 0; i < burst; i++) {
        struct sockaddr_storage from;
        socklen_t len = sizeof from;
        int fd = accept4(so->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            adopt(so, fd, &from);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            pause_accepting(so, errno);
        if (errno != EINTR && errno != ECONNABORTED)
            return;
    }
}

void socket_start(struct socket *so)
{
    struct ws_loop *l = so->loop;

    uv_poll_init(&l->uv, &so->poll, so->fd);
    uv_timer_init(&l->uv, &so->retry);
    so->poll.data = so;
    so->retry.data = so;
    so->open = true;
    uv_poll_start(&so->poll, UV_READABLE, on_acceptable);
}

void socket_close(struct socket *so)
{
    if (so->open) {
        uv_close((uv_handle_t *)&so->poll, NULL);
        uv_close((uv_handle_t *)&so->retry, NULL);
    }
    so->open = false;
    if (so->fd >= 0)
        close(so->fd);
    so->fd = -1;
}

/* passed: listening sockets that a service manager has opened: it may open ports that we may not,
 * and clients that come while we restart wait in them. One socket for a listener is shared: every
 * loop accepts from it. One for each loop (SO_REUSEPORT) is as good as our own: the kernel spreads
 * the connections. Another number is refused: connections would wait in a socket that nobody
 * looks at, or that some loops do not. */
#include "ws/ws_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

static const struct socket *socket_of(const struct ws_server *s, const char *listener)
{
    for (size_t i = 0; i < s->n_listeners; i++)
        if (strcmp(s->listeners[i].name, listener) == 0)
            return &s->loops[0].sockets[i];
    return NULL;
}

static size_t count(const char *listener, const struct ws_passed *passed, size_t n)
{
    size_t found = 0;

    for (size_t i = 0; i < n; i++)
        found += strcmp(passed[i].listener, listener) == 0;
    return found;
}

static bool is_listening(int fd)
{
    int type = 0, listening = 0;
    socklen_t len = sizeof type;

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening != 0;
}

/* Whom a listener serves is decided by its address, so it has to be this one. Port 0 in the
 * configuration: any. */
static bool same_address(const struct sockaddr_storage *got, const struct ws_listener_config *cfg)
{
    const struct sockaddr_in *in = (const void *)got;
    const struct sockaddr_in6 *in6 = (const void *)got, *want6;
    struct sockaddr_storage want;
    socklen_t len;
    uint16_t port = ntohs(got->ss_family == AF_INET ? in->sin_port : in6->sin6_port);

    if (!listener_address(cfg->address, cfg->port, &want, &len))
        return false;
    want6 = (const void *)&want;
    if (cfg->port != 0 && cfg->port != port)
        return false;
    if (got->ss_family == AF_INET && cfg->address[0] == '\0')
        return in->sin_addr.s_addr == htonl(INADDR_ANY);
    if (got->ss_family != want.ss_family)
        return false;
    if (got->ss_family == AF_INET)
        return in->sin_addr.s_addr ==
               ((const struct sockaddr_in *)(const void *)&want)->sin_addr.s_addr;
    return memcmp(&in6->sin6_addr, &want6->sin6_addr, sizeof in6->sin6_addr) == 0;
}

static bool check_address(const struct ws_passed *p, const struct ws_listener_config *cfg,
                          struct ws_error *err)
{
    struct sockaddr_storage got = {0};
    socklen_t len = sizeof got;

    if (!is_listening(p->fd) || getsockname(p->fd, (struct sockaddr *)&got, &len) != 0 ||
        (got.ss_family != AF_INET && got.ss_family != AF_INET6))
        return ws_fail(err,
                       "listener %s: what was passed for it is not a listening TCP socket; use "
                       "ListenStream= with an address and a port",
                       p->listener);
    if (!same_address(&got, cfg))
        return ws_fail(err,
                       "listener %s: the socket that was passed for it is bound to another address "
                       "or port than %s port %u; make ListenStream= and the configuration the same",
                       p->listener, cfg->address[0] != '\0' ? cfg->address : "all addresses",
                       cfg->port);
    return true;
}

bool passed_check(const struct ws_server *s, const struct ws_passed *passed, size_t n,
                  struct ws_error *err)
{
    for (size_t i = 0; i < n; i++) {
        const struct socket *so = socket_of(s, passed[i].listener);
        size_t same = count(passed[i].listener, passed, n);
        unsigned loops;

        if (so == NULL)
            return ws_fail(err,
                           "a socket was passed for \"%s\", but no listener has that name; set "
                           "FileDescriptorName= to the name of a listener, or to admin",
                           passed[i].listener);
        loops = so->listener->admin ? 1 : s->n_loops;
        if (same != 1 && same != loops)
            return ws_fail(err,
                           "listener %s: %zu sockets were passed for it; pass one, or one for each "
                           "of the %u workers (ReusePort=yes)",
                           passed[i].listener, same, loops);
        if (!check_address(&passed[i], so->config, err))
            return false;
    }
    return true;
}

enum passed_use socket_take(struct socket *so, const struct ws_passed *passed, size_t n,
                            struct ws_error *err)
{
    size_t same = count(so->listener->name, passed, n), skip;
    size_t index = (size_t)(so->loop - so->loop->server->loops), i = 0;

    if (same == 0)
        return PASSED_NONE;
    for (skip = same == 1 ? 0 : index;; i++)
        if (strcmp(passed[i].listener, so->listener->name) == 0 && skip-- == 0)
            break;
    so->fd = fcntl(passed[i].fd, F_DUPFD_CLOEXEC, 0);
    if (so->fd < 0 || fcntl(so->fd, F_SETFL, O_NONBLOCK) != 0) {
        ws_fail(err, "listener %s: cannot use the socket that was passed: %s", so->listener->name,
                strerror(errno));
        return PASSED_FAILED;
    }
    so->shared = same == 1 && so->loop->server->n_loops > 1 && !so->listener->admin;
    so->listener->port = socket_port(so->fd);
    return PASSED_USED;
}

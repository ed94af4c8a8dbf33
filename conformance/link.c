/* link: sockets. */
#include "conformance/link.h"

#include "conformance/clock.h"
#include "conformance/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct link {
    int fd;
    struct tls *tls; /* NULL: plain */
};

static int wait_for(int fd, short events, uint64_t deadline_us)
{
    struct pollfd p = {.fd = fd, .events = events};
    uint64_t now = clock_us();
    int n = poll(&p, 1, deadline_us <= now ? 0 : (int)((deadline_us - now + 999) / 1000));

    return n > 0 ? 0 : -ETIMEDOUT;
}

static int connect_to(const struct addrinfo *to, uint64_t deadline_us, int *out_fd)
{
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1, rc = 0;
    socklen_t len = sizeof rc;

    if (fd < 0)
        return -errno;
    if (connect(fd, to->ai_addr, to->ai_addrlen) != 0) {
        rc = errno;
        if (rc == EINPROGRESS) {
            rc = -wait_for(fd, POLLOUT, deadline_us);
            if (rc == 0)
                getsockopt(fd, SOL_SOCKET, SO_ERROR, &rc, &len);
        }
    }
    if (rc != 0) {
        close(fd);
        return -rc;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    *out_fd = fd;
    return 0;
}

static int connect_any(const struct target *t, uint64_t deadline_us, char *error, size_t cap)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    int fd = -1, rc = getaddrinfo(t->host, t->port, &hints, &list);

    if (rc != 0) {
        snprintf(error, cap, "host %s: %s", t->host, gai_strerror(rc));
        return -1;
    }
    for (const struct addrinfo *a = list; a != NULL && fd < 0; a = a->ai_next) {
        rc = connect_to(a, deadline_us, &fd);
        if (rc != 0)
            snprintf(error, cap, "cannot connect to %s port %s: %s", t->host, t->port,
                     strerror(-rc));
    }
    freeaddrinfo(list);
    return fd;
}

static bool shake_hands(struct link *l, uint64_t deadline_us, char *error, size_t cap)
{
    int rc;

    while ((rc = tls_handshake(l->tls)) == -EAGAIN)
        if (wait_for(l->fd, tls_wants_write(l->tls) ? POLLOUT : POLLIN, deadline_us) != 0) {
            snprintf(error, cap, "the TLS handshake takes too long");
            return false;
        }
    if (rc != 0)
        snprintf(error, cap, "TLS: %s", tls_error(l->tls));
    return rc == 0;
}

struct link *link_open(const struct target *t, uint64_t deadline_us, char *error, size_t cap)
{
    int fd = connect_any(t, deadline_us, error, cap);
    struct link *l;

    if (fd < 0)
        return NULL;
    l = calloc(1, sizeof *l);
    if (l == NULL) {
        close(fd);
        snprintf(error, cap, "out of memory");
        return NULL;
    }
    l->fd = fd;
    if (!t->tls)
        return l;
    l->tls = tls_new(t->tls_setup, fd);
    if (l->tls == NULL)
        snprintf(error, cap, "out of memory");
    if (l->tls == NULL || !shake_hands(l, deadline_us, error, cap))
        link_close(&l, false);
    return l;
}

int link_fd(const struct link *l)
{
    return l->fd;
}

long link_read(struct link *l, void *buf, size_t cap)
{
    ssize_t n;

    if (l->tls != NULL)
        return tls_read(l->tls, buf, cap);
    n = recv(l->fd, buf, cap, 0);
    return n < 0 ? -errno : n;
}

long link_write(struct link *l, const void *buf, size_t len)
{
    ssize_t n;

    if (l->tls != NULL)
        return tls_write(l->tls, buf, len);
    n = send(l->fd, buf, len, MSG_NOSIGNAL);
    return n < 0 ? -errno : n;
}

void link_finish(struct link *l)
{
    shutdown(l->fd, SHUT_WR);
}

bool link_closed_cleanly(const struct link *l)
{
    return l->tls == NULL || tls_closed_cleanly(l->tls);
}

void link_close(struct link **l, bool reset)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    if (*l == NULL)
        return;
    if (reset)
        setsockopt((*l)->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    tls_free(&(*l)->tls);
    close((*l)->fd);
    free(*l);
    *l = NULL;
}

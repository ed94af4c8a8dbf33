/* notify: what a service manager gets to know (sd_notify(3)): datagrams to the socket that it names
 * in NOTIFY_SOCKET. Without that, nothing is sent. Our own few lines, as a container has no
 * libsystemd. */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct notify {
    int fd; /* -1: nobody listens */
    struct sockaddr_un to;
    socklen_t to_len;
    uint64_t watchdog_ms; /* a message WATCHDOG=1 must come that often; 0: need not */
};

/* env: as environ. What it says wrong is logged, and counts as not said. */
void notify_init(struct notify *n, char *const *env);
void notify_fini(struct notify *n);

/* Lines such as "READY=1\nSTATUS=serving"; a message over 500 bytes is cut. A service manager that
 * does not take it is not waited for. */
__attribute__((format(printf, 2, 3))) void notify_send(const struct notify *n, const char *format,
                                                       ...);
#endif

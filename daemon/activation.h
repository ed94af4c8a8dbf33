/* activation: the listening sockets that a service manager has opened for us (sd_listen_fds(3)). */
#ifndef DAEMON_ACTIVATION_H
#define DAEMON_ACTIVATION_H
#include "ws/server.h"

#include <stdbool.h>
#include <stddef.h>

#define ACTIVATION_MAX 1024 /* sockets: some for each worker and listener */

struct activation {
    struct ws_passed *sockets; /* names are in .names */
    size_t n;
    char *names;
};

/* What LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES of env say, which are as environ: descriptors from
 * first_fd on (3, but for tests). None when they are meant for another process. False with err (at
 * least 128 bytes): they are not as they should be. */
bool activation_read(struct activation *a, char *const *env, int first_fd, char err[128]);
void activation_fini(struct activation *a);
#endif

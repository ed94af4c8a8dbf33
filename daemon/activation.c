#include "daemon/activation.h"

#include "daemon/alloc.h"
#include "daemon/config_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static long number(char *const *env, const char *name)
{
    const char *text = config__variable(env, str_from(name));
    char *end;
    long n;

    if (text == NULL)
        return 0;
    n = strtol(text, &end, 10);
    return end != text && *end == '\0' ? n : -1;
}

/* Names are joined by colons; cut *names into them. The next one, "" behind the last. */
static char *next_name(char **names)
{
    char *name = *names;

    *names += strcspn(name, ":");
    if (**names == ':')
        *(*names)++ = '\0';
    return name;
}

bool activation_read(struct activation *a, char *const *env, int first_fd, char err[128])
{
    long n = number(env, "LISTEN_FDS");
    const char *given = config__variable(env, str_from("LISTEN_FDNAMES"));
    char *names;

    *a = (struct activation){0};
    if (n == 0 || number(env, "LISTEN_PID") != (long)getpid())
        return true;
    if (n < 0 || n > ACTIVATION_MAX) {
        snprintf(err, 128, "LISTEN_FDS is not a number from 0 to %d", ACTIVATION_MAX);
        return false;
    }
    a->names = names = alloc_text(str_from(given != NULL ? given : ""));
    a->sockets = alloc_zeroed((size_t)n, sizeof *a->sockets);
    for (int fd = first_fd; a->n < (size_t)n; fd++) {
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
            snprintf(err, 128, "LISTEN_FDS is %ld, but descriptor %d is not open", n, fd);
            return false;
        }
        a->sockets[a->n++] = (struct ws_passed){next_name(&names), fd};
    }
    return true;
}

void activation_fini(struct activation *a)
{
    free(a->sockets);
    free(a->names);
    *a = (struct activation){0};
}

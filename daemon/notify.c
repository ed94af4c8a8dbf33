#include "daemon/notify.h"

#include "base/log.h"
#include "daemon/config_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE_MAX 512

static const char *variable(char *const *env, const char *name)
{
    const char *value = config__variable(env, str_from(name));

    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* A path, or "@NAME" in the abstract namespace. */
static bool set_address(struct notify *n, const char *name)
{
    size_t len = strlen(name);

    if ((name[0] != '/' && name[0] != '@') || len >= sizeof n->to.sun_path)
        return false;
    n->to.sun_family = AF_UNIX;
    memcpy(n->to.sun_path, name, len);
    if (name[0] == '@')
        n->to.sun_path[0] = '\0';
    n->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return true;
}

static uint64_t watchdog_ms(char *const *env)
{
    const char *usec = variable(env, "WATCHDOG_USEC"), *pid = variable(env, "WATCHDOG_PID");

    if (usec == NULL || (pid != NULL && strtol(pid, NULL, 10) != (long)getpid()))
        return 0;
    return strtoull(usec, NULL, 10) / 1000;
}

void notify_init(struct notify *n, char *const *env)
{
    const char *name = variable(env, "NOTIFY_SOCKET");

    *n = (struct notify){.fd = -1};
    if (name == NULL)
        return;
    if (!set_address(n, name)) {
        LOG(LOG_WARN, "notify.unusable", LOG_TXT("NOTIFY_SOCKET", name));
        return;
    }
    n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (n->fd < 0)
        LOG(LOG_WARN, "notify.unusable", LOG_ERRNO(errno));
    else
        n->watchdog_ms = watchdog_ms(env);
}

void notify_fini(struct notify *n)
{
    if (n->fd >= 0)
        close(n->fd);
    n->fd = -1;
}

void notify_send(const struct notify *n, const char *format, ...)
{
    char text[MESSAGE_MAX];
    va_list args;
    int len;

    if (n->fd < 0)
        return;
    va_start(args, format);
    len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (len >= (int)sizeof text)
        len = sizeof text - 1;
    if (sendto(n->fd, text, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL,
               (const struct sockaddr *)&n->to, n->to_len) < 0)
        LOG(LOG_WARN, "notify.failed", LOG_ERRNO(errno));
}

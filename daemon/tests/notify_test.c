/* What a service manager gets: a datagram socket stands in for it. */
#include "daemon/notify.h"

#include "base/log.h"
#include "base/test.h"

#include <stddef.h>
#include <unistd.h>

static char folder[] = "/tmp/frys_notify_XXXXXX";
static char name[96]; /* of the socket */
static char got[1024];

static int listen_at(const char *where)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(where));

    memcpy(a.sun_path, where, strlen(where));
    if (where[0] == '@')
        a.sun_path[0] = '\0';
    CHECK(bind(fd, (struct sockaddr *)&a, len) == 0);
    return fd;
}

/* The next message; "": none. */
static const char *next(int fd)
{
    ssize_t n = recv(fd, got, sizeof got - 1, 0);

    got[n > 0 ? n : 0] = '\0';
    return got;
}

static void init(struct notify *n, const char *a, const char *b, const char *c)
{
    char *env[] = {(char *)(uintptr_t)a, (char *)(uintptr_t)b, (char *)(uintptr_t)c, NULL};

    notify_init(n, env);
}

static void check_sent(const char *where)
{
    char variable[128];
    struct notify n;
    int fd = listen_at(where);

    snprintf(variable, sizeof variable, "NOTIFY_SOCKET=%s", where);
    init(&n, variable, NULL, NULL);
    notify_send(&n, "READY=%d\nSTATUS=%s", 1, "serving");
    CHECK(strcmp(next(fd), "READY=1\nSTATUS=serving") == 0);
    notify_send(&n, "STATUS=%0700d", 1);
    CHECK_INT(strlen(next(fd)), 511);
    CHECK_INT(n.watchdog_ms, 0);
    close(fd);
    notify_send(&n, "WATCHDOG=1"); /* nobody is there: no harm */
    notify_fini(&n);
    notify_send(&n, "WATCHDOG=1");
}

static void test_sent(void)
{
    char abstract[64];

    CHECK(mkdtemp(folder) != NULL);
    snprintf(name, sizeof name, "%s/notify", folder);
    check_sent(name);
    unlink(name);
    snprintf(abstract, sizeof abstract, "@frys-notify-test-%ld", (long)getpid());
    check_sent(abstract);
    rmdir(folder);
}

static void test_nobody(void)
{
    struct notify n;
    char text[256] = "NOTIFY_SOCKET=/";

    init(&n, NULL, NULL, NULL);
    CHECK(n.fd < 0);
    init(&n, "NOTIFY_SOCKET=", "WATCHDOG_USEC=1000000", NULL);
    CHECK(n.fd < 0 && n.watchdog_ms == 0);
    init(&n, "NOTIFY_SOCKET=relative", NULL, NULL);
    CHECK(n.fd < 0);
    memset(text + strlen(text), 'x', 200);
    init(&n, text, NULL, NULL);
    CHECK(n.fd < 0);
    notify_send(&n, "READY=1");
    notify_fini(&n);
}

static void test_watchdog(void)
{
    struct notify n;
    char pid[32];

    snprintf(pid, sizeof pid, "WATCHDOG_PID=%ld", (long)getpid());
    init(&n, "NOTIFY_SOCKET=@x", "WATCHDOG_USEC=30000000", pid);
    CHECK_INT(n.watchdog_ms, 30000);
    notify_fini(&n);
    init(&n, "NOTIFY_SOCKET=@x", "WATCHDOG_USEC=30000000", NULL);
    CHECK_INT(n.watchdog_ms, 30000);
    notify_fini(&n);
    init(&n, "NOTIFY_SOCKET=@x", "WATCHDOG_USEC=30000000", "WATCHDOG_PID=1"); /* another's */
    CHECK_INT(n.watchdog_ms, 0);
    notify_fini(&n);
}

static void quiet(void)
{
    log_configure(STDERR_FILENO, LOG_ERROR, LOG_TEXT);
}

TEST_MAIN(quiet, test_sent, test_nobody, test_watchdog)

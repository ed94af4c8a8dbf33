#include "daemon/health.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PATIENCE_S 5
#define ANSWER_MAX 4096

/* The address as somebody on this machine reaches it: for all of them, loopback. */
static socklen_t where(const struct ws_admin_config *admin, struct sockaddr_storage *out)
{
    struct sockaddr_in *in = (void *)out;
    struct sockaddr_in6 *in6 = (void *)out;

    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET6, admin->address, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(admin->port);
        if (IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr))
            in6->sin6_addr = in6addr_loopback;
        return sizeof *in6;
    }
    in->sin_family = AF_INET;
    in->sin_port = htons(admin->port);
    if (inet_pton(AF_INET, admin->address, &in->sin_addr) != 1 || in->sin_addr.s_addr == INADDR_ANY)
        in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return sizeof *in;
}

static bool fail(FILE *err, const struct ws_admin_config *admin, const char *why)
{
    fprintf(err, "frysd: the admin page at \"%s\" port %u does not answer: %s\n", admin->address,
            admin->port, why);
    return false;
}

/* The whole answer, with a NUL behind it; false with errno. */
static bool exchange(const struct ws_admin_config *admin, char answer[ANSWER_MAX])
{
    static const char request[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct timeval patience = {.tv_sec = PATIENCE_S};
    struct sockaddr_storage to;
    socklen_t to_len = where(admin, &to);
    int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t len = 0;
    ssize_t n = -1;
    int saved;

    if (fd < 0)
        return false;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (connect(fd, (const struct sockaddr *)&to, to_len) == 0 &&
        send(fd, request, sizeof request - 1, MSG_NOSIGNAL) == (ssize_t)sizeof request - 1)
        while (len < ANSWER_MAX - 1 && (n = recv(fd, answer + len, ANSWER_MAX - 1 - len, 0)) > 0)
            len += (size_t)n;
    answer[len] = '\0';
    saved = errno;
    close(fd);
    errno = saved;
    return n == 0;
}

bool health_ask(const struct ws_admin_config *admin, FILE *out, FILE *err)
{
    char answer[ANSWER_MAX];
    const char *body;

    if (!admin->enabled || admin->port == 0) {
        fprintf(err, "frysd: --healthcheck asks the admin page, which is %s in the configuration\n",
                admin->enabled ? "on a port that only the system knows (admin.port: 0)"
                               : "switched off (admin.enabled: false)");
        return false;
    }
    if (!exchange(admin, answer))
        return fail(err, admin, errno == EAGAIN ? "nothing within 5 seconds" : strerror(errno));
    body = strstr(answer, "\r\n\r\n");
    if (strncmp(answer, "HTTP/1.1 ", 9) != 0 || body == NULL)
        return fail(err, admin, "it is not the one of frysd");
    if (strncmp(answer + 9, "200 ", 4) != 0) {
        fprintf(err, "frysd: not well: %s", body + 4);
        return false;
    }
    fputs(body + 4, out);
    return true;
}

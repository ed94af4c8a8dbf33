/* frysd --healthcheck against a server that says what it is told to. */
#include "daemon/health.h"

#include "base/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

static char out_text[512], err_text[512];

struct server {
    int fd;
    const char *answer;
};

static void *serve_one(void *arg)
{
    const struct server *s = arg;
    char request[256];
    int fd = accept(s->fd, NULL, NULL);
    ssize_t n = recv(fd, request, sizeof request - 1, 0);

    request[n > 0 ? n : 0] = '\0';
    CHECK(strncmp(request, "GET /healthz HTTP/1.1\r\n", 23) == 0);
    CHECK(send(fd, s->answer, strlen(s->answer), MSG_NOSIGNAL) >= 0);
    close(fd);
    return NULL;
}

static uint16_t listen_at(struct server *s, int family)
{
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a6;

    s->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || (family == AF_INET ? bind(s->fd, (struct sockaddr *)&a, sizeof a)
                                        : bind(s->fd, (struct sockaddr *)&a6, sizeof a6)) != 0)
        return 0; /* a machine without IPv6 */
    listen(s->fd, 1);
    getsockname(s->fd, (struct sockaddr *)&a6, &len);
    return ntohs(a6.sin6_port); /* both have it in the same place */
}

static bool ask(const struct ws_admin_config *admin)
{
    FILE *out = fmemopen(out_text, sizeof out_text, "w");
    FILE *err = fmemopen(err_text, sizeof err_text, "w");
    bool well = health_ask(admin, out, err);

    fclose(out);
    fclose(err);
    return well;
}

static const struct {
    const char *address;
    int family;
    const char *answer;
    bool well;
    const char *text;
} rows[] = {
    {"127.0.0.1", AF_INET, "HTTP/1.1 200 OK\r\nA: b\r\n\r\nok\n", true, "ok\n"},
    {"0.0.0.0", AF_INET, "HTTP/1.1 200 OK\r\n\r\ndegraded: x\n", true, "degraded: x\n"},
    {"", AF_INET, "HTTP/1.1 200 OK\r\n\r\nok\n", true, "ok\n"},
    {"::1", AF_INET6, "HTTP/1.1 200 OK\r\n\r\nok\n", true, "ok\n"},
    {"::", AF_INET6, "HTTP/1.1 200 OK\r\n\r\nok\n", true, "ok\n"},
    {"127.0.0.1", AF_INET, "HTTP/1.1 503 X\r\n\r\nshard 1 does not answer\n", false,
     "frysd: not well: shard 1 does not answer\n"},
    {"127.0.0.1", AF_INET, "SSH-2.0", false, "it is not the one of frysd"},
    {"127.0.0.1", AF_INET, "", false, "it is not the one of frysd"},
};

static void test_answers(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct server s = {.answer = rows[i].answer};
        struct ws_admin_config admin = {.enabled = true,
                                        .address = (char *)(uintptr_t)rows[i].address};
        pthread_t thread;

        admin.port = listen_at(&s, rows[i].family);
        if (admin.port != 0 && CHECK(pthread_create(&thread, NULL, serve_one, &s) == 0)) {
            CHECK_ROW_INT(i, ask(&admin), rows[i].well);
            CHECK_ROW(i, strstr(rows[i].well ? out_text : err_text, rows[i].text) != NULL);
            pthread_join(thread, NULL);
        }
        close(s.fd);
    }
}

static void test_no_answer(void)
{
    struct ws_admin_config admin = {.enabled = true, .address = (char[]){"127.0.0.1"}};
    struct server s;

    CHECK(!ask(&admin));
    CHECK(strstr(err_text, "admin.port: 0") != NULL);
    admin.port = listen_at(&s, AF_INET);
    close(s.fd);
    CHECK(!ask(&admin));
    CHECK(strstr(err_text, "does not answer: Connection refused") != NULL);
    admin.enabled = false;
    CHECK(!ask(&admin));
    CHECK(strstr(err_text, "admin.enabled: false") != NULL);
}

TEST_MAIN(test_answers, test_no_answer)

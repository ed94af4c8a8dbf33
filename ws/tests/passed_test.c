/* Sockets that somebody else has opened for the server. */
#include "base/test.h"
#include "ws/tests/peer_support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static struct rig r;

static int open_one(const char *address, uint16_t port, int type, bool reuse, bool listens)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), one = reuse;

    inet_pton(AF_INET, address, &a.sin_addr);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    CHECK(bind(fd, (struct sockaddr *)&a, sizeof a) == 0);
    CHECK(!listens || listen(fd, 100) == 0);
    return fd;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in a = {.sin_port = 0};
    socklen_t len = sizeof a;

    getsockname(fd, (struct sockaddr *)&a, &len);
    return ntohs(a.sin_port);
}

static void begin(void)
{
    rig_init(&r);
    rig_listen(&r, WS_PROTOCOL_MQTT);
    r.config.admin.enabled = true;
}

static void pass(const char *listener, int fd)
{
    r.passed[r.n_passed++] = (struct ws_passed){listener, fd};
}

/* All of these clients are served, however they are spread. */
static void check_served(unsigned n)
{
    struct peer *clients[32];

    for (unsigned i = 0; i < n; i++) {
        char id[16];

        snprintf(id, sizeof id, "c%u", i);
        clients[i] = peer_connect(&r, "mqtt", MQTT_V5, id);
    }
    for (unsigned i = 0; i < n; i++) {
        CHECK_ROW(i, peer_ping(clients[i]));
        peer_free(clients[i]);
    }
    CHECK(RIG_WAIT(&r, connections, 0));
}

/* One socket, several shards. It outlives the server: whoever comes then waits in it. */
static void test_shared(void)
{
    int kept = open_one("127.0.0.1", 0, SOCK_STREAM, false, true);
    uint16_t port = port_of(kept);

    begin();
    pass("mqtt", dup(kept));
    rig_start(&r, 3);
    CHECK_INT(rig_port(&r, "mqtt"), port);
    check_served(32);
    rig_stop(&r);

    begin();
    pass("mqtt", dup(kept));
    r.listeners[0].port = port;
    rig_start(&r, 2);
    check_served(4);
    rig_stop(&r);
    close(kept);
}

/* One for each shard, which all are at one port. */
static void test_one_each(void)
{
    int first = open_one("127.0.0.1", 0, SOCK_STREAM, true, true);

    begin();
    pass("mqtt", first);
    pass("mqtt", open_one("127.0.0.1", port_of(first), SOCK_STREAM, true, true));
    rig_start(&r, 2);
    check_served(32);
    rig_stop(&r);
}

static void test_admin(void)
{
    int fd = open_one("127.0.0.1", 0, SOCK_STREAM, false, true);
    uint16_t port = port_of(fd);
    struct peer *p;
    struct http h;

    begin();
    pass("admin", fd);
    rig_start(&r, 2);
    CHECK_INT(rig_port(&r, "admin"), port);
    p = peer_dial(&r, "admin");
    peer_write_text(p, "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n");
    h = peer_http(p, false);
    CHECK_INT(h.status, 200);
    free(h.body);
    peer_expect_eof(p);
    rig_stop(&r);
}

/* "" listens on all addresses, of both families or of the older one. */
static void test_all_addresses(void)
{
    begin();
    r.listeners[0].address = (char[]){""};
    pass("mqtt", open_one("0.0.0.0", 0, SOCK_STREAM, false, true));
    rig_start(&r, 1);
    check_served(1);
    rig_stop(&r);
}

static const struct {
    const char *listener, *address;
    int type;
    bool listens;
    unsigned n;    /* sockets */
    uint16_t port; /* of the configuration */
    const char *error;
} rows[] = {
    {"mqt", "127.0.0.1", SOCK_STREAM, true, 1, 0, "\"mqt\", but no listener has that name"},
    {"mqtt", "127.0.0.1", SOCK_DGRAM, false, 1, 0, "not a listening TCP socket"},
    {"mqtt", "127.0.0.1", SOCK_STREAM, false, 1, 0, "not a listening TCP socket"},
    {"mqtt", "0.0.0.0", SOCK_STREAM, true, 1, 0, "bound to another address or port than 127.0.0.1"},
    {"mqtt", "127.0.0.1", SOCK_STREAM, true, 1, 1,
     "another address or port than 127.0.0.1 port 1;"},
    {"mqtt", "127.0.0.1", SOCK_STREAM, true, 2, 0,
     "2 sockets were passed for it; pass one, or one"},
    {"admin", "127.0.0.1", SOCK_STREAM, true, 3, 0, "3 sockets were passed for it; pass one"},
};

static void test_refused(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int copies[3] = {-1, -1, -1};

        begin();
        r.listeners[0].port = rows[i].port;
        for (unsigned k = 0; k < rows[i].n; k++) {
            int fd = open_one(rows[i].address, 0, rows[i].type, true, rows[i].listens);

            copies[k] = fd;
            pass(rows[i].listener, fd);
        }
        CHECK_ROW(i, !rig_try_start(&r, 3));
        if (!CHECK_ROW(i, strstr(r.err.text, rows[i].error) != NULL))
            fprintf(stderr, "%s\n", r.err.text);
        for (unsigned k = 0; k < 3 && k < rows[i].n; k++)
            CHECK_ROW(i, close(copies[k]) != 0); /* the server has */
        rig_join(&r);
    }
}

TEST_MAIN(test_shared, test_one_each, test_admin, test_all_addresses, test_refused)

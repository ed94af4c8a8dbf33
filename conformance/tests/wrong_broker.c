/* wrong_broker: the connections. One thread, one poll loop.
 *
 *     conformance_wrong_broker MQTT_PORT WS_PORT
 *
 * prints a line for each rule, "NAME STATEMENT VERSION URL CASE", then an empty one, and serves
 * until its standard input ends. */
#include "conformance/tests/wrong_broker.h"

#include "base/assert.h"
#include "conformance/ws.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_RULES 256u
#define MAX_HOPS  2000u

static struct hop *hops;
static unsigned n_hops;
static const struct rule *rules[MAX_RULES];
static int listeners[MAX_RULES];
static size_t n_rules;
static uint16_t server_port[2]; /* mqtt, ws */

/* ---- out ---- */

static void send_all(int fd, struct mqtt_str bytes)
{
    while (bytes.len > 0) {
        ssize_t n = send(fd, bytes.p, bytes.len, MSG_NOSIGNAL);

        if (n <= 0)
            return; /* the other side is gone, which its reader will see */
        bytes = mqtt_str_part(bytes, (uint32_t)n, bytes.len - (uint32_t)n);
    }
}

static bool is_ws(const struct rule *r)
{
    return r->frame != NULL || r->head != NULL;
}

void hop_send(struct hop *h, enum side from, struct mqtt_str bytes)
{
    send_all(from == FROM_CLIENT ? h->server_fd : h->client_fd, bytes);
}

void hop_send_packet(struct hop *h, enum side from, const struct mqtt_packet *p)
{
    size_t size = mqtt_encode_size(p, h->version);
    uint8_t *out = arena_alloc(&h->arena, size);

    ASSERT(size > 0);
    hop_send(h, from, (struct mqtt_str){out, (uint32_t)mqtt_encode(p, h->version, out, size)});
}

void hop_end(struct hop *h)
{
    h->client_gone = h->server_gone = true;
}

/* ---- MQTT ---- */

static void note_connect(struct hop *h, const uint8_t *body, size_t len)
{
    size_t name = len < 2 ? 0 : (size_t)(body[0] << 8 | body[1]);

    h->connects++;
    if (h->version == 0 && len > 2 + name)
        h->version = body[2 + name];
    if (h->version < 3 || h->version > 5)
        h->version = 5;
}

/* A whole packet at the start of data: its size, or 0. Broken ones pass as they are, with all that
 * follows. */
static size_t pass_packet(struct hop *h, enum side side, const uint8_t *data, size_t len)
{
    struct passing p = {.side = side};
    enum mqtt_side sender = side == FROM_CLIENT ? MQTT_CLIENT : MQTT_SERVER;
    int rc = mqtt_frame(data, len, side == FROM_CLIENT && h->connects == 0 ? 0 : h->version, sender,
                        UINT32_MAX, &p.frame);

    if (rc == -EAGAIN)
        return 0;
    if (rc != 0) {
        p.rc = rc;
        p.bytes = (struct mqtt_str){data, (uint32_t)len};
    } else {
        p.bytes = (struct mqtt_str){data, p.frame.total};
        if (side == FROM_CLIENT && data[0] >> 4 == MQTT_CONNECT)
            note_connect(h, data + p.frame.header_len, p.frame.body_len);
        p.rc = mqtt_decode(&p.frame, data, h->version, sender, &p.as);
        if (p.rc == 0 && p.as.type == MQTT_CONNACK)
            h->connacks++;
    }
    if (!h->rule->packet(h, &p))
        hop_send(h, side, p.bytes);
    return p.bytes.len;
}

/* ---- WebSocket ---- */

static size_t pass_head(struct hop *h, enum side side, const uint8_t *data, size_t len)
{
    const uint8_t *end = memmem(data, len, "\r\n\r\n", 4);
    size_t n = end == NULL ? 0 : (size_t)(end - data) + 4;
    const char *text;

    if (end == NULL)
        return 0;
    text = arena_printf(&h->arena, "%.*s", (int)n, data);
    if (h->rule->head != NULL)
        text = h->rule->head(h, side, text);
    hop_send(h, side, (struct mqtt_str){(const uint8_t *)text, (uint32_t)strlen(text)});
    if (side == FROM_SERVER)
        h->upgraded = true;
    return n;
}

/* A frame that says it is enormous is not waited for: from there on bytes pass as they come. */
static size_t pass_frame(struct hop *h, enum side side, const uint8_t *data, size_t len)
{
    struct ws_frame f = {.announced = 0};
    size_t n = h->opaque ? len : ws_parse(data, len, &f);

    if (n == 0 && f.announced > 16u << 20) {
        h->opaque = true;
        n = len;
    }
    if (n > 0 && (h->opaque || h->rule->frame == NULL || !h->rule->frame(h, side, &f)))
        hop_send(h, side, (struct mqtt_str){data, (uint32_t)n});
    return n;
}

/* ---- in ---- */

static size_t pass_one(struct hop *h, enum side side, const uint8_t *data, size_t len)
{
    if (!is_ws(h->rule))
        return pass_packet(h, side, data, len);
    return h->upgraded ? pass_frame(h, side, data, len) : pass_head(h, side, data, len);
}

static void pass_all(struct hop *h, enum side side)
{
    size_t at = 0, n;

    while (at < h->in_len[side] &&
           (n = pass_one(h, side, h->in[side] + at, h->in_len[side] - at)) > 0)
        at += n;
    memmove(h->in[side], h->in[side] + at, h->in_len[side] - at);
    h->in_len[side] -= at;
    arena_fini(&h->arena);
}

/* false: that side has ended. */
static bool take_bytes(struct hop *h, enum side side)
{
    int fd = side == FROM_CLIENT ? h->client_fd : h->server_fd;
    ssize_t n;

    if (h->in_cap[side] - h->in_len[side] < 65536) {
        h->in_cap[side] = 2 * h->in_cap[side] + 131072;
        h->in[side] = realloc(h->in[side], h->in_cap[side]);
        ASSERT(h->in[side] != NULL);
    }
    n = recv(fd, h->in[side] + h->in_len[side], h->in_cap[side] - h->in_len[side], 0);
    if (n <= 0)
        return false;
    h->in_len[side] += (size_t)n;
    pass_all(h, side);
    return true;
}

/* What a side has said last is passed on, and then its end. */
static void on_end(struct hop *h, enum side side)
{
    if (side == FROM_CLIENT) {
        h->client_gone = true;
        shutdown(h->server_fd, SHUT_WR);
    } else {
        h->server_gone = true;
        if (!h->rule->keeps_open)
            h->client_gone = true;
    }
}

static void close_hop(struct hop **at)
{
    struct hop *h = *at;

    *at = h->next;
    close(h->client_fd);
    close(h->server_fd);
    arena_fini(&h->arena);
    free(h->in[0]);
    free(h->in[1]);
    free(h);
    n_hops--;
}

/* ---- connections ---- */

static int tcp(uint16_t port, bool server)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

    ASSERT(fd >= 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (server)
        ASSERT(bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 128) == 0);
    else if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        fprintf(stderr, "wrong_broker: port %u: %s\n", port, strerror(errno));
        exit(1);
    }
    return fd;
}

static void open_hop(const struct rule *r, int listener)
{
    struct hop *h = calloc(1, sizeof *h);
    int one = 1;

    ASSERT(h != NULL);
    h->rule = r;
    h->client_fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    ASSERT(h->client_fd >= 0);
    setsockopt(h->client_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    h->server_fd = tcp(server_port[is_ws(r)], false);
    h->next = hops;
    hops = h;
    n_hops++;
}

static void gather_rules(void)
{
    for (const struct rule_set *const *set = rule_sets; *set != NULL; set++)
        for (size_t i = 0; i < (*set)->count; i++) {
            ASSERT(n_rules < MAX_RULES);
            rules[n_rules++] = &(*set)->rules[i];
        }
}

static void announce(void)
{
    for (size_t i = 0; i < n_rules; i++) {
        struct sockaddr_in a = {.sin_port = 0};
        socklen_t len = sizeof a;

        listeners[i] = tcp(0, true);
        ASSERT(getsockname(listeners[i], (struct sockaddr *)&a, &len) == 0);
        printf("%s %s %s %s://127.0.0.1:%u %s\n", rules[i]->name, rules[i]->statement,
               rules[i]->version, is_ws(rules[i]) ? "ws" : "mqtt", ntohs(a.sin_port),
               rules[i]->test != NULL ? rules[i]->test : "-");
    }
    putchar('\n');
    fflush(stdout);
}

static nfds_t gather(struct pollfd *fds)
{
    nfds_t n = 0;

    fds[n++] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    for (size_t i = 0; i < n_rules; i++)
        fds[n++] = (struct pollfd){.fd = n_hops < MAX_HOPS ? listeners[i] : -1, .events = POLLIN};
    for (const struct hop *h = hops; h != NULL; h = h->next) {
        fds[n++] = (struct pollfd){.fd = h->client_gone ? -1 : h->client_fd, .events = POLLIN};
        fds[n++] = (struct pollfd){.fd = h->server_gone ? -1 : h->server_fd, .events = POLLIN};
    }
    return n;
}

static void serve_hops(const struct pollfd *fds)
{
    for (struct hop *h = hops; h != NULL; h = h->next, fds += 2) {
        if (fds[0].revents != 0 && !take_bytes(h, FROM_CLIENT))
            on_end(h, FROM_CLIENT);
        if (fds[1].revents != 0 && !take_bytes(h, FROM_SERVER))
            on_end(h, FROM_SERVER);
    }
    for (struct hop **at = &hops; *at != NULL;)
        if ((*at)->client_gone && (*at)->server_gone)
            close_hop(at);
        else
            at = &(*at)->next;
}

int main(int argc, char **argv)
{
    static struct pollfd fds[1 + MAX_RULES + 2 * MAX_HOPS];

    if (argc != 3) {
        fputs("conformance_wrong_broker MQTT_PORT WS_PORT\n", stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    gather_rules();
    server_port[0] = (uint16_t)strtoul(argv[1], NULL, 10);
    server_port[1] = (uint16_t)strtoul(argv[2], NULL, 10);
    announce();
    for (;;) {
        nfds_t n = gather(fds);

        ASSERT(poll(fds, n, -1) > 0 || errno == EINTR);
        if (fds[0].revents != 0)
            break;
        serve_hops(fds + 1 + n_rules);
        for (size_t i = 0; i < n_rules; i++)
            if ((fds[1 + i].revents & POLLIN) != 0)
                open_hop(rules[i], listeners[i]);
    }
    while (hops != NULL)
        close_hop(&hops);
    return 0;
}

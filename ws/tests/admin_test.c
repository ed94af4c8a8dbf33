/* The pages for operators, and HTTP clients of all kinds. */
#include "base/test.h"
#include "ws/tests/peer_support.h"

static struct rig r;

static void start(void)
{
    rig_init(&r);
    rig_listen(&r, WS_PROTOCOL_WS);
    r.config.admin.enabled = true;
    rig_start(&r, 2);
}

static struct http ask(const char *request)
{
    struct peer *p = peer_dial(&r, "admin");
    struct http h;

    peer_write_text(p, request);
    h = peer_http(p, strncmp(request, "HEAD", 4) == 0);
    peer_expect_eof(p);
    return h;
}

#define END "\r\nHost: localhost\r\n\r\n"

static const struct {
    const char *request;
    int status;
    const char *body; /* what it contains; NULL: there is none */
} rows[] = {
    {"GET /healthz HTTP/1.1" END, 200, "ok\n"},
    {"GET /healthz HTTP/1.0\r\n\r\n", 200, "ok\n"},
    {"GET /healthz?verbose=1 HTTP/1.1" END, 200, "ok\n"},
    {"HEAD /healthz HTTP/1.1" END, 200, NULL},
    {"GET /readyz HTTP/1.1" END, 200, "ready\n"},
    {"GET /metrics HTTP/1.1" END, 200, "# TYPE frys_connections gauge\nfrys_connections 1\n"},
    {"HEAD /metrics HTTP/1.1" END, 200, NULL},
    {"GET / HTTP/1.1" END, 404, "/healthz, /readyz, /metrics"},
    {"GET /mqtt HTTP/1.1" END, 404, "/healthz, /readyz, /metrics"},
    {"HEAD /nothing HTTP/1.1" END, 404, NULL},
    {"GET /metrics/ HTTP/1.1" END, 404, "/healthz, /readyz, /metrics"},
    {"GET /../metrics HTTP/1.1" END, 200, "frys_connections"},
    {"POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd", 405, "GET"},
    {"PUT /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 405, "GET"},
    {"DELETE /healthz HTTP/1.1" END, 405, "GET"},
    {"OPTIONS /healthz HTTP/1.1" END, 405, "GET"},
    {"CONNECT server.test:80 HTTP/1.1" END, 405, "GET"},
    {"NONSENSE /healthz HTTP/1.1" END, 400, "HTTP"},
    {"GET\r\n\r\n", 400, "HTTP"},
    /* what curl sends with --http2, and what a browser might */
    {"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
     "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
     200, "ok\n"},
    {"GET /mqtt HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
     "Sec-WebSocket-Protocol: mqtt\r\n\r\n",
     404, "/healthz, /readyz, /metrics"},
};

static void test_pages(void)
{
    struct peer *client;

    start();
    client = peer_connect(&r, "ws", MQTT_V5, "c"); /* the one that is counted */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct http h = ask(rows[i].request);
        const char *length = http_header(&h, "Content-Length");

        CHECK_ROW_INT(i, h.status, rows[i].status);
        CHECK_ROW(i, length != NULL && atoi(length) > 0);
        CHECK_ROW(i,
                  rows[i].body == NULL || (h.body != NULL && strstr(h.body, rows[i].body) != NULL));
        CHECK_ROW(i, http_header(&h, "Content-Type") != NULL);
        CHECK_ROW(i, http_header_is(&h, "Connection", "close"));
        CHECK_ROW(i, h.status != 405 || http_header_is(&h, "Allow", "GET, HEAD"));
        free(h.body);
    }
    CHECK(peer_ping(client));
    peer_free(client);
    rig_stop(&r);
}

/* A request behind the first is not answered: the connection ends, as the answer says. */
static void test_pipelined(void)
{
    start();
    for (int i = 0; i < 3; i++) {
        struct http h = ask("GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
                            "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\nGET /healthz HTT");

        CHECK_INT(h.status, 200);
        free(h.body);
    }
    rig_stop(&r);
}

/* Every line is a comment or "name[{labels}] number". */
static void test_metrics(void)
{
    struct http h;
    char *line, *rest;
    unsigned lines = 0;

    start();
    h = ask("GET /metrics HTTP/1.1" END);
    CHECK(http_header_is(&h, "Content-Type", "text/plain; version=0.0.4; charset=utf-8"));
    CHECK(h.body_len > 1000 && h.body[h.body_len - 1] == '\n');
    for (line = strtok_r(h.body, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        char name[128];
        double value;
        char *space = strrchr(line, ' ');

        lines++;
        if (line[0] == '#')
            continue;
        CHECK_ROW(lines, space != NULL && sscanf(space, " %lf", &value) == 1);
        CHECK_ROW(lines, sscanf(line, "frys_%127[a-z0-9_]", name) == 1);
    }
    CHECK(lines > 50);
    free(h.body);
    rig_stop(&r);
}

/* A reader that takes its time gets all of it. */
static void test_slow_reader(void)
{
    struct peer *p;
    struct http h;

    start();
    p = peer_dial_tcp(&r, "admin", 2048);
    peer_write_text(p, "GET /metrics HTTP/1.1" END);
    peer_settle(p);
    h = peer_http(p, false);
    CHECK_INT(h.status, 200);
    CHECK(h.body_len > 1000 && h.body[h.body_len - 1] == '\n');
    free(h.body);
    peer_expect_eof(p);
    rig_stop(&r);
}

/* What the probe of an orchestrator sees of a broker that is short of memory. */
static void test_degraded(void)
{
    struct http h;

    start();
    atomic_store(&r.broker->memory_pressure, MEMORY_HIGH);
    h = ask("GET /healthz HTTP/1.1" END);
    CHECK_INT(h.status, 200);
    CHECK(h.body != NULL && strcmp(h.body, "degraded: memory is short\n") == 0);
    free(h.body);
    rig_stop(&r);
}

/* The port can be anything but taken. */
static void test_disabled(void)
{
    rig_start_one(&r, WS_PROTOCOL_WS);
    CHECK_INT(rig_port(&r, "admin"), 0);
    rig_stop(&r);
}

TEST_MAIN(test_pages, test_pipelined, test_metrics, test_slow_reader, test_degraded, test_disabled)

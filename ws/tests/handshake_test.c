/* The HTTP request in front of a WebSocket, and everything that is none. [RFC 6455 4.2] [v5 6] */
#include "base/test.h"
#include "ws/tests/peer_support.h"

#define HOST    "Host: server.test\r\n"
#define UPGRADE "Upgrade: websocket\r\n"
#define CONN    "Connection: Upgrade\r\n"
#define KEY     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define MQTT    "Sec-WebSocket-Protocol: mqtt\r\n"
#define GET     "GET /mqtt HTTP/1.1\r\n"
#define ALL     HOST UPGRADE CONN KEY VERSION MQTT
#define END     "\r\n"

/* ---- accepted ---- */

static const struct {
    const char *request, *subprotocol;
} good[] = {
    {GET ALL END, "mqtt"},
    {"GET / HTTP/1.1\r\n" ALL END, "mqtt"},
    {"GET /mqtt?token=a%20b&c HTTP/1.1\r\n" ALL END, "mqtt"},
    {"GET /%6dqtt HTTP/1.1\r\n" ALL END, "mqtt"},
    /* any case and order, more headers [WS-HS-03] [WS-HS-04] [WS-HS-07] */
    {GET "sec-websocket-protocol: mqtt\r\nsec-websocket-version: 13\r\ncookie: a=b; c=d\r\n"
         "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nx-what: ever\r\nconnection: keep-alive, "
         "upgrade\r\nupgrade: WebSocket\r\nhost: server.test\r\norigin: null\r\n" END,
     "mqtt"},
    {GET HOST UPGRADE KEY VERSION MQTT "Connection: Keep-Alive,Upgrade\r\n" END, "mqtt"},
    /* subprotocols: the client's order decides [WS-HS-12] [WS-HS-13] */
    {GET HOST UPGRADE CONN KEY VERSION "Sec-WebSocket-Protocol: foo, mqtt\r\n" END, "mqtt"},
    {GET HOST UPGRADE CONN KEY VERSION "Sec-WebSocket-Protocol: mqtt, foo\r\n" END, "mqtt"},
    {GET HOST UPGRADE CONN KEY VERSION "Sec-WebSocket-Protocol: mqttv3.1, mqtt\r\n" END,
     "mqttv3.1"},
    {GET HOST UPGRADE CONN KEY VERSION "Sec-WebSocket-Protocol: mqtt, mqttv3.1\r\n" END, "mqtt"},
    {GET HOST UPGRADE CONN KEY VERSION "Sec-WebSocket-Protocol: mqttv3.1.1\r\n" END, "mqttv3.1.1"},
    {GET HOST UPGRADE CONN KEY VERSION "Sec-WebSocket-Protocol: mqttv5\r\n" END, "mqttv5"},
    {GET HOST UPGRADE CONN KEY VERSION "Sec-WebSocket-Protocol:   foo ,MQTT,mqtt \r\n" END, "mqtt"},
    {GET HOST UPGRADE CONN KEY VERSION
     "Sec-WebSocket-Protocol: foo\r\nSec-WebSocket-Protocol: mqtt\r\n" END,
     "mqtt"},
    {GET HOST UPGRADE CONN KEY VERSION
     "Sec-WebSocket-Protocol: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,mqtt\r\n" END,
     "mqtt"},
    {GET HOST UPGRADE CONN KEY VERSION
     "Sec-WebSocket-Protocol: , 1,,a!b~c,"
     "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef, mqtt,\r\n" END,
     "mqtt"},
    /* names that begin like those of known headers, and values that are no ASCII */
    {GET "X: 1\r\nX-Auth: 1\r\nP: 1\r\n" ALL "If:\r\nX-Forwarded: M\xc3\xbcnchen\r\n" END, "mqtt"},
    /* extensions that are not there are not named [WS-HS-14] [PD-01] */
    {GET ALL "Sec-WebSocket-Extensions: permessage-foo\r\n" END, "mqtt"},
    {GET ALL "Sec-WebSocket-Extensions: permessage-foo;\r\nSec-WebSocket-Extensions: a=b, "
             "permessage-deflate\r\n" END,
     "mqtt"},
};

static void test_good(void)
{
    struct rig r;

    rig_start_one(&r, WS_PROTOCOL_WS);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct peer *p = peer_dial(&r, "ws");
        struct http h;

        peer_write_text(p, good[i].request);
        h = peer_http(p, false);
        peer_check_upgraded(p, &h);
        CHECK_ROW_INT(i, h.status, 101);
        CHECK_ROW(i, http_header_is(&h, "Sec-WebSocket-Protocol", good[i].subprotocol));
        CHECK_ROW(i, http_header(&h, "Sec-WebSocket-Extensions") == NULL);
        CHECK_ROW(i, peer_mqtt(p, i % 2 == 0 ? MQTT_V5 : MQTT_V311, "c"));
        free(h.body);
        peer_free(p);
    }
    rig_stop(&r);
}

/* ---- refused: the status, and what the body says ---- */

static const struct {
    const char *request;
    int status;
    const char *says;
} bad[] = {
    /* [WS-HS-01] */
    {"POST /mqtt HTTP/1.1\r\n" ALL END, 405, "GET"},
    {"GET /mqtt HTTP/1.0\r\n" ALL END, 400, "HTTP/1.1"},
    /* [WS-HS-02] */
    {GET UPGRADE CONN KEY VERSION MQTT END, 400, "Host"},
    /* [WS-HS-03] */
    {GET HOST CONN KEY VERSION MQTT END, 426, "MQTT client"},
    {GET HOST "Upgrade: h2c\r\n" CONN KEY VERSION MQTT END, 426, "MQTT client"},
    /* [WS-HS-04] */
    {GET HOST UPGRADE KEY VERSION MQTT END, 400, "Connection"},
    {GET HOST UPGRADE "Connection: keep-alive\r\n" KEY VERSION MQTT END, 400, "Connection"},
    /* [WS-HS-05] */
    {GET HOST UPGRADE CONN VERSION MQTT END, 400, "Sec-WebSocket-Key"},
    {GET HOST UPGRADE CONN "Sec-WebSocket-Key:\r\n" VERSION MQTT END, 400, "Sec-WebSocket-Key"},
    {GET HOST UPGRADE CONN "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n" VERSION MQTT END, 400,
     "Sec-WebSocket-Key"},
    {GET HOST UPGRADE CONN "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWU=\r\n" VERSION MQTT END, 400,
     "Sec-WebSocket-Key"},
    {GET HOST UPGRADE CONN KEY KEY VERSION MQTT END, 400, "Sec-WebSocket-Key"},
    /* [WS-HS-06] */
    {GET HOST UPGRADE CONN KEY MQTT END, 426, "Sec-WebSocket-Version"},
    {GET HOST UPGRADE CONN KEY "Sec-WebSocket-Version: 8\r\n" MQTT END, 426,
     "Sec-WebSocket-Version"},
    {GET HOST UPGRADE CONN KEY "Sec-WebSocket-Version: 14\r\n" MQTT END, 426,
     "Sec-WebSocket-Version"},
    {GET HOST UPGRADE CONN KEY "Sec-WebSocket-Version: 8, 13\r\n" MQTT END, 426,
     "Sec-WebSocket-Version"},
    /* [WS-HS-12] [MW-01] */
    {GET HOST UPGRADE CONN KEY VERSION END, 400, "Sec-WebSocket-Protocol: mqtt"},
    {GET HOST UPGRADE CONN KEY VERSION "Sec-WebSocket-Protocol:\r\n" END, 400,
     "Sec-WebSocket-Protocol: mqtt"},
    {GET HOST UPGRADE CONN KEY VERSION "Sec-WebSocket-Protocol: foo\r\n" END, 400,
     "Sec-WebSocket-Protocol: mqtt"},
    {GET HOST UPGRADE CONN KEY VERSION "Sec-WebSocket-Protocol: MQTT, mqt, mqttv\r\n" END, 400,
     "Sec-WebSocket-Protocol: mqtt"},
    {GET HOST UPGRADE CONN KEY VERSION
     "Sec-WebSocket-Protocol: " /* 20 x 8 letters */
     "subproto,subproto,subproto,subproto,subproto,subproto,subproto,subproto,subproto,subproto,"
     "subproto,subproto,subproto,subproto,subproto,subproto,subproto,subproto,subproto,"
     "mqtt\r\n" END,
     400, "Sec-WebSocket-Protocol: mqtt"},
    /* [WS-HS-17] */
    {"GET /elsewhere HTTP/1.1\r\n" ALL END, 404, "/mqtt, /"},
    {"GET /mqtt/ HTTP/1.1\r\n" ALL END, 404, "/mqtt, /"},
    {"GET /MQTT HTTP/1.1\r\n" ALL END, 404, "/mqtt, /"},
    {"GET /elsewhere HTTP/1.1\r\n" HOST END, 404, "/mqtt, /"},
    /* a browser that looks */
    {GET HOST END, 426, "MQTT client"},
    {GET HOST "Connection: keep-alive\r\n" END, 426, "MQTT client"},
    {"POST /mqtt HTTP/1.1\r\n" HOST "Content-Length: 3\r\n" END "abc", 405, "GET"},
    {"DELETE /mqtt HTTP/1.1\r\n" HOST END, 405, "GET"},
    /* who takes us for a proxy */
    {"CONNECT server.test:80 HTTP/1.1\r\n" HOST END, 405, "GET"},
    {"CONNECT /mqtt HTTP/1.1\r\n" ALL END, 405, "GET"},
    {"CONNECT server.test:80 HTTP/1.1\r\n" HOST END "\x10\x0d\0\4MQTT", 405, "GET"},
};

static void test_bad(void)
{
    struct rig r;

    rig_start_one(&r, WS_PROTOCOL_WS);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct peer *p = peer_dial(&r, "ws");
        struct http h;

        peer_write_text(p, bad[i].request);
        h = peer_http(p, false);
        CHECK_ROW_INT(i, h.status, bad[i].status);
        CHECK_ROW(i, h.body != NULL && strstr(h.body, bad[i].says) != NULL);
        CHECK_ROW(i, h.status == 0 || http_header_is(&h, "Connection", "close"));
        CHECK_ROW(i, h.status != 426 || http_header_is(&h, "Upgrade", "websocket"));
        CHECK_ROW(i, h.status != 426 || http_header_is(&h, "Sec-WebSocket-Version", "13"));
        CHECK_ROW(i, http_header(&h, "Sec-WebSocket-Protocol") == NULL);
        free(h.body);
        peer_expect_eof(p);
    }
    rig_stop(&r);
}

/* ---- requests that come in pieces, or never [WS-HS-08] [WS-HS-20] ---- */

static void test_byte_by_byte(void)
{
    struct rig r;
    struct peer *p;
    struct http h;

    rig_start_one(&r, WS_PROTOCOL_WS);
    p = peer_dial(&r, "ws");
    for (const char *at = good[0].request; *at != '\0'; at++) {
        peer_write(p, at, 1);
        peer_settle(p);
    }
    h = peer_http(p, false);
    peer_check_upgraded(p, &h);
    CHECK(peer_mqtt(p, MQTT_V5, "c"));
    peer_free(p);
    rig_stop(&r);
}

/* Frames right behind the request, in the same segment; not allowed, but harmless. */
static void test_eager(void)
{
    struct mqtt_packet c = connect_packet(MQTT_V5, "eager"), ping = {.type = MQTT_PINGREQ};
    struct rig r;
    struct peer *p;
    struct http h;
    uint8_t out[1024], *packet;
    size_t n, len;

    rig_start_one(&r, WS_PROTOCOL_WS);
    p = peer_dial(&r, "ws");
    n = strlen(good[0].request);
    memcpy(out, good[0].request, n);
    packet = packet_bytes(&c, MQTT_V5, &len);
    n += frame_write(out + n, FIN | OP_BINARY, p->key, packet, len);
    free(packet);
    packet = packet_bytes(&ping, MQTT_V5, &len);
    n += frame_write(out + n, FIN | OP_BINARY, p->key, packet, len);
    free(packet);
    peer_write(p, out, n);
    h = peer_http(p, false);
    CHECK_INT(h.status, 101);
    CHECK(peer_expect(p, MQTT_CONNACK));
    CHECK(peer_expect(p, MQTT_PINGRESP));
    peer_free(p);
    rig_stop(&r);
}

/* What is no HTTP is answered as well as may be, and ends. */
static void test_garbage(void)
{
    static const struct {
        const char *text;
        int status;
    } rows[] = {
        {"\x10\x0f\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x02xx\r\n\r\n", 400},
        {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400},
        {"hello, is this MQTT?\r\n\r\n", 400},
        {"GET /mqtt HTTP/1.1\r\nno colon here\r\n\r\n", 400},
        {"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400},
        {"\r\n\r\n\r\n\r\n", 400},
    };
    struct rig r;

    rig_start_one(&r, WS_PROTOCOL_WS);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct peer *p = peer_dial(&r, "ws");
        struct http h;

        peer_write_text(p, rows[i].text);
        h = peer_http(p, false);
        CHECK_ROW_INT(i, h.status, rows[i].status);
        free(h.body);
        peer_expect_eof(p);
    }
    rig_stop(&r);
}

static void test_large_header(void)
{
    struct rig r;
    char more[6000];

    rig_start_one(&r, WS_PROTOCOL_WS);
    for (size_t size = 3000; size <= 5000; size += 2000) {
        struct peer *p = peer_dial(&r, "ws");
        struct http h;

        snprintf(more, sizeof more, "Cookie: %0*d\r\n", (int)size, 1);
        peer_request(p, "/mqtt", more);
        h = peer_http(p, false);
        CHECK_ROW_INT(size, h.status, size < 4096 ? 101 : 431);
        CHECK(size < 4096 || (h.body != NULL && strstr(h.body, "cookies") != NULL));
        free(h.body);
        if (size < 4096)
            peer_free(p);
        else
            peer_expect_eof(p);
    }
    rig_stop(&r);
}

/* Who says nothing, or not enough, is disconnected in time; others are served meanwhile. */
static void test_slow(void)
{
    static const char *const starts[] = {"", "GET /mqtt", GET HOST, GET ALL};
    struct peer *slow[100], *p;
    struct rig r;
    uint64_t start;

    rig_init(&r);
    rig_listen(&r, WS_PROTOCOL_WS)->handshake_timeout_ms = 600;
    rig_start(&r, 1);
    start = mono_ms();
    for (size_t i = 0; i < 100; i++) {
        slow[i] = peer_dial(&r, "ws");
        peer_write_text(slow[i], starts[i % 4]);
    }
    p = peer_connect(&r, "ws", MQTT_V5, "quick");
    CHECK(mono_ms() - start < 600);
    for (size_t i = 0; i < 100; i++) {
        peer_expect_eof(slow[i]);
        CHECK_ROW(i, mono_ms() - start >= 590);
    }
    CHECK(peer_ping(p));
    peer_free(p);
    rig_stop(&r);
}

/* The handshake is through, but no CONNECT comes [MW-08]. */
static void test_no_connect(void)
{
    struct rig r;
    struct peer *p, *raw;

    rig_init(&r);
    rig_listen(&r, WS_PROTOCOL_WS);
    rig_listen(&r, WS_PROTOCOL_MQTT);
    r.broker_config.connect_timeout_ms = 50;
    rig_start(&r, 1);
    p = peer_dial(&r, "ws");
    raw = peer_dial(&r, "mqtt");
    peer_upgrade(p);
    peer_expect_close(p, 1001);
    peer_expect_eof(raw);
    rig_stop(&r);
}

/* ---- more than the server takes ---- */

static void test_busy(void)
{
    struct rig r;
    struct peer *p, *q;
    struct http h;

    rig_init(&r);
    rig_listen(&r, WS_PROTOCOL_WS);
    rig_listen(&r, WS_PROTOCOL_MQTT);
    r.broker_config.max_connections = 1;
    rig_start(&r, 1);
    p = peer_connect(&r, "ws", MQTT_V5, "first");
    q = peer_dial(&r, "ws");
    peer_request(q, "/mqtt", NULL);
    h = peer_http(q, false);
    CHECK_INT(h.status, 503);
    CHECK(http_header(&h, "Retry-After") != NULL);
    CHECK(h.body != NULL && strstr(h.body, "busy") != NULL);
    free(h.body);
    peer_expect_eof(q);
    peer_expect_eof(peer_dial(&r, "mqtt"));
    CHECK(peer_ping(p));
    peer_free(p);
    CHECK(RIG_WAIT(&r, connections, 0));
    p = peer_connect(&r, "ws", MQTT_V5, "next");
    peer_free(p);
    rig_stop(&r);
}

TEST_MAIN(test_good, test_bad, test_byte_by_byte, test_eager, test_garbage, test_large_header,
          test_slow, test_no_connect, test_busy)

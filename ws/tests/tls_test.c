/* TLS: versions, certificates and their reload, tickets, and what is no TLS. */
#include "base/test.h"
#include "ws/tests/peer_support.h"

#include <mbedtls/version.h>
#include <sys/stat.h>

static struct rig r;
static const char *const names[] = {"wss", "mqtts"};

static void start(unsigned shards)
{
    rig_init(&r);
    for (int i = 0; i < 2; i++) {
        struct ws_listener_config *c = rig_listen(&r, i == 0 ? WS_PROTOCOL_WSS : WS_PROTOCOL_MQTTS);

        c->n_certificates = 2;
    }
    rig_start(&r, shards);
}

static struct peer *dial(const char *listener, const struct tls_options *o)
{
    struct peer *p = peer_dial_tls(&r, listener, o);

    CHECK(p != NULL);
    return p;
}

/* It can be used for MQTT. */
static void use(struct peer *p)
{
    if (p == NULL)
        return;
    if (ws_protocol_is_websocket(p->protocol))
        peer_upgrade(p);
    CHECK(peer_mqtt(p, MQTT_V5, ""));
    CHECK(peer_ping(p));
}

static void use_and_free(struct peer *p)
{
    use(p);
    if (p != NULL)
        peer_free(p);
}

/* ---- versions ---- */

static void test_version(void)
{
    struct tls_options old = {.tls11 = true};
    struct peer *p;

    start(1);
    for (int i = 0; i < 2; i++) {
        p = dial(names[i], NULL);
        CHECK(strncmp(tls_version(p->tls), "TLSv1.2", 7) == 0);
        use_and_free(p);
#if MBEDTLS_VERSION_MAJOR < 3
        CHECK(peer_dial_tls(&r, names[i], &old) == NULL);
#else
        (void)old;
#endif
    }
    rig_stop(&r);
}

/* Protocols that a client may name in its hello; the registered one of MQTT among them. */
static void test_alpn(void)
{
    static const char *const protocols[][2] = {{"http/1.1", "mqtt"}, {NULL, NULL}};

    start(1);
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 2; k++) {
            struct tls_options o = {.alpn = protocols[k][i]};

            use_and_free(dial(names[i], &o));
        }
    rig_stop(&r);
}

/* ---- certificates ---- */

/* Two certificates, each with the whole chain below the root; the client's choice by name. */
static void test_sni(void)
{
    static const struct {
        struct tls_options o;
        uint8_t serial;
    } rows[] = {
        {{.server_name = "server.test"}, 1},
        {{.server_name = "other.test"}, 2},
        {{.server_name = "Other.Test"}, 2},
        {{.no_sni = true}, 1},
        {{.server_name = "unknown.test", .any_name = true}, 1},
        {{.server_name = "x.other.test", .any_name = true}, 2}, /* it may have a wildcard */
        {{.server_name = "another.test", .any_name = true}, 1},
        {{.server_name = "wss", .any_name = true}, 1}, /* no names of listeners */
        {{.server_name = "mqtts", .any_name = true}, 1},
    };

    start(1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int k = 0; k < 2; k++) {
            struct peer *p = peer_dial_tls(&r, names[k], &rows[i].o);

            if (!CHECK_ROW(i, p != NULL))
                continue;
            CHECK_ROW_INT(i, tls_serial(p->tls), rows[i].serial);
            CHECK_ROW_INT(i, tls_chain(p->tls), 3);
            use_and_free(p);
        }
    rig_stop(&r);
}

/* Another listener's certificates are not for its clients. */
static void test_sni_of_another(void)
{
    struct tls_options other = {.server_name = "other.test", .any_name = true};
    struct peer *p;

    rig_init(&r);
    rig_listen(&r, WS_PROTOCOL_WSS);
    rig_listen(&r, WS_PROTOCOL_MQTTS)->certificates = &certs()->server[1];
    rig_start(&r, 1);
    p = dial("wss", &other);
    CHECK_INT(tls_serial(p->tls), 1);
    use_and_free(p);
    p = dial("mqtts", &other);
    CHECK_INT(tls_serial(p->tls), 2);
    use_and_free(p);
    rig_stop(&r);
}

/* ---- tickets ---- */

/* Whatever thread a client comes back to, and whatever listener. */
static void test_resume(void)
{
    struct tls_session *s = tls_session_new();
    struct tls_options o = {.session = s};

    start(2);
    use_and_free(dial("wss", &o));
    for (int i = 0; i < 16; i++) {
        struct peer *p = dial(names[i % 2], &o);

        CHECK_ROW(i, tls_resumed(p->tls));
        use_and_free(p);
    }
    tls_session_free(s);
    rig_stop(&r);
}

/* ---- reload ---- */

static bool reload(void)
{
    return ws_server_reload(r.server, &r.broker_config, &r.config, &r.err);
}

static uint8_t serial_served(const char *listener)
{
    struct peer *p = dial(listener, NULL);
    uint8_t serial = p != NULL ? tls_serial(p->tls) : 0;

    use_and_free(p);
    return serial;
}

static void test_reload(void)
{
    const struct ws_certificate *pair = &certs()->server[0];
    struct peer *old[4], *half = NULL;

    start(2);
    for (int i = 0; i < 4; i++)
        use(old[i] = dial(names[i % 2], NULL));
    for (uint8_t serial = 50; serial < 54; serial++) {
        half = peer_dial_tcp(&r, "wss", 0); /* within a handshake */
        peer_write(half, "\x16\x03\x01\x02\x00\x01", 6);
        peer_settle(half);
        certs_renew(pair, "server.test", serial);
        CHECK(reload());
        for (int i = 0; i < 4; i++)
            CHECK_INT(serial_served(names[i % 2]), serial);
        peer_free(half);
    }
    for (int i = 0; i < 4; i++) {
        CHECK(peer_ping(old[i]));
        peer_free(old[i]);
    }
    certs_renew(pair, "server.test", 1);
    rig_stop(&r);
}

/* A pair that cannot be used changes nothing. */
static void test_reload_bad(void)
{
    struct ws_certificate *pair = &certs()->server[0], key_only = *pair, other;
    char spare[128];

    snprintf(spare, sizeof spare, "%s/spare.pem", certs()->folder);
    key_only.certificate = spare;
    start(2);
    certs_renew(&key_only, "server.test", 60); /* half of the files are written so far */
    CHECK(!reload());
    CHECK(strstr(r.err.text, "the key does not belong to the certificate") != NULL);
    CHECK_INT(serial_served("wss"), 1);
    remove(pair->key);
    CHECK(!reload());
    CHECK(strstr(r.err.text, "No such file") != NULL);
    CHECK_INT(serial_served("mqtts"), 1);
    CHECK(rename(spare, pair->certificate) == 0); /* now the other half, but the key is lost */
    CHECK(!reload());
    CHECK_INT(serial_served("wss"), 1);
    certs_renew(pair, "server.test", 61);
    CHECK(reload());
    CHECK_INT(serial_served("wss"), 61);
    other = *pair;
    certs_renew(&other, "server.test", 1);
    rig_stop(&r);
}

/* ---- what is no TLS [WS-HS-18] ---- */

#define BYTES(s)         \
    {                    \
        s, sizeof(s) - 1 \
    }

static void test_no_tls(void)
{
    static const struct {
        const char *bytes;
        size_t len;
    } rows[] = {
        BYTES("GET /mqtt HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
              "Sec-WebSocket-Protocol: mqtt\r\n\r\n"),
        BYTES("\x10\x0d\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x00"),
        BYTES("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"),
        BYTES("\x15\x03\x03\x00\x02\x02\x28"),
        BYTES("\x17\x03\x03\x00\x10garbage garbage!"),
        BYTES("\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10"),
        BYTES("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
    };
    struct peer *stays;

    start(1);
    use(stays = dial("mqtts", NULL));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int k = 0; k < 2; k++) {
            struct peer *p = peer_dial_tcp(&r, names[k], 0);

            CHECK_ROW(i, peer_write(p, rows[i].bytes, rows[i].len));
            while (peer_receive(p)) /* an alert, perhaps */
                ;
            CHECK_ROW(i, p->eof);
            CHECK_ROW(i, p->raw.len == 0 || p->raw.p[0] == 0x15);
            peer_free(p);
        }
    CHECK(peer_ping(stays));
    peer_free(stays);
    rig_stop(&r);
}

/* Handshakes that do not go on end in time. */
static void test_slow(void)
{
    struct peer *p[4];

    rig_init(&r);
    rig_listen(&r, WS_PROTOCOL_WSS)->handshake_timeout_ms = 200;
    rig_listen(&r, WS_PROTOCOL_MQTTS)->handshake_timeout_ms = 200;
    rig_start(&r, 1);
    for (int i = 0; i < 4; i++) {
        p[i] = peer_dial_tcp(&r, names[i % 2], 0);
        if (i >= 2)
            peer_write(p[i], "\x16\x03\x01\x02\x00\x01", 6);
    }
    for (int i = 0; i < 4; i++) {
        while (peer_receive(p[i]))
            ;
        CHECK(p[i]->eof);
        peer_free(p[i]);
    }
    rig_stop(&r);
}

/* TLS is through, but nothing follows. */
static void test_silent(void)
{
    struct peer *p[2];

    rig_init(&r);
    rig_listen(&r, WS_PROTOCOL_WSS)->handshake_timeout_ms = 200;
    rig_listen(&r, WS_PROTOCOL_MQTTS)->handshake_timeout_ms = 200;
    rig_start(&r, 1);
    for (int i = 0; i < 2; i++)
        p[i] = dial(names[i], NULL);
    for (int i = 0; i < 2; i++) {
        CHECK(!peer_receive(p[i]) && p[i]->eof);
        peer_free(p[i]);
    }
    rig_stop(&r);
}

/* The time for handshakes is over for those who have made it. */
static void test_stays(void)
{
    struct peer *p[2];

    rig_init(&r);
    rig_listen(&r, WS_PROTOCOL_WSS)->handshake_timeout_ms = 300;
    rig_listen(&r, WS_PROTOCOL_MQTTS)->handshake_timeout_ms = 300;
    rig_start(&r, 1);
    for (int i = 0; i < 2; i++)
        use(p[i] = dial(names[i], NULL));
    for (uint64_t end = mono_ms() + 1500; mono_ms() < end;)
        CHECK(!peer_receive_within(p[0], 100) && peer_ping(p[1]));
    for (int i = 0; i < 2; i++) {
        CHECK(peer_ping(p[i]));
        peer_free(p[i]);
    }
    rig_stop(&r);
}

TEST_MAIN(test_version, test_alpn, test_sni, test_sni_of_another, test_resume, test_reload,
          test_reload_bad, test_no_tls, test_slow, test_silent, test_stays)

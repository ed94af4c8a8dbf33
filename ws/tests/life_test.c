/* Reload, and the end: all clients hear of it, nobody waits for those who do not listen. */
#include "base/log.h"
#include "base/test.h"
#include "ws/tests/peer_support.h"

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

static struct rig r;
static const char *const names[] = {"ws", "wss", "mqtt", "mqtts"};

static void start_all(unsigned shards)
{
    rig_init(&r);
    for (int i = 0; i < 4; i++)
        rig_listen(&r, (enum ws_protocol)i);
    rig_start(&r, shards);
}

/* ---- the end ---- */

static void expect_goodbye(struct peer *p)
{
    if (p->version == MQTT_V5)
        peer_expect_disconnect(p, MQTT_RC_SERVER_SHUTTING_DOWN, 1001);
    else if (ws_protocol_is_websocket(p->protocol))
        peer_expect_close(p, 1001);
    else
        peer_expect_eof(p);
}

/* [WS-CT-13] Both versions on all protocols and two threads; and some that are not so far yet. */
static void test_drain(void)
{
    struct peer *p[16], *silent, *upgraded, *late;

    start_all(2);
    for (unsigned i = 0; i < 16; i++) {
        char id[8];

        snprintf(id, sizeof id, "c%u", i);
        p[i] = peer_connect(&r, names[i % 4], i / 4 % 2 == 0 ? MQTT_V5 : MQTT_V311, id);
    }
    silent = peer_dial_tcp(&r, "wss", 0);
    upgraded = peer_dial(&r, "ws");
    peer_upgrade(upgraded);
    late = peer_dial(&r, "ws");
    peer_write_text(late, "GET /mqtt HTTP/1.1\r\n");
    peer_settle(late);
    ws_server_stop(r.server, false);
    CHECK(peer_dial_tcp(&r, "mqtt", 0) == NULL && peer_dial_tcp(&r, "ws", 0) == NULL);
    for (unsigned i = 0; i < 16; i++)
        expect_goodbye(p[i]);
    peer_expect_close(upgraded, 1001);
    rig_join(&r);
    CHECK(!peer_receive(late) && late->eof);
    CHECK(!peer_receive(silent) && silent->eof);
    peer_free(late);
    peer_free(silent);
}

/* Messages that are under way to a client that reads reach it before the goodbye. */
static void test_drain_delivers(void)
{
    uint8_t *payload = calloc(1, 20000);

    for (int i = 0; i < 4; i++) {
        struct peer *sub, *pub;
        unsigned got = 0;

        start_all(1);
        sub = peer_connect(&r, names[i], MQTT_V5, "sub");
        peer_subscribe(sub, "#", 0);
        pub = peer_connect(&r, names[i], MQTT_V5, "pub");
        for (uint16_t id = 1; id <= 100; id++)
            peer_publish(pub, "t", payload, 20000, 1, id);
        for (uint16_t id = 1; id <= 100; id++)
            CHECK(peer_expect(pub, MQTT_PUBACK));
        ws_server_stop(r.server, false);
        while (peer_packet(sub) && sub->packet.type == MQTT_PUBLISH)
            got++;
        CHECK_INT(got, 100);
        CHECK_INT(sub->packet.type, MQTT_DISCONNECT);
        CHECK_INT(sub->packet.reasoned.reason, MQTT_RC_SERVER_SHUTTING_DOWN);
        if (ws_protocol_is_websocket(sub->protocol))
            peer_expect_close(sub, 1001);
        else
            peer_expect_eof(sub);
        expect_goodbye(pub);
        rig_join(&r);
    }
    free(payload);
}

/* A client that does not read delays the end up to the timeout, and a second stop() not at all. */
static void stop_with_deaf(bool now)
{
    uint8_t *payload = calloc(1, 1 << 20);
    struct peer *deaf[4], *pub;
    uint64_t begin;

    rig_init(&r);
    for (int i = 0; i < 4; i++)
        rig_listen(&r, (enum ws_protocol)i);
    r.config.shutdown_timeout_ms = now ? 60000 : 200;
    rig_start(&r, 1);
    pub = peer_connect(&r, "mqtt", MQTT_V5, "pub");
    for (int i = 0; i < 4; i++) {
        deaf[i] = peer_connect(&r, names[i], MQTT_V5, names[i]);
        peer_subscribe(deaf[i], "#", 1);
    }
    for (uint16_t id = 1; id <= 12; id++)
        peer_publish(pub, "t", payload, 1 << 20, 1, id);
    for (uint16_t id = 1; id <= 12; id++)
        CHECK(peer_expect(pub, MQTT_PUBACK));
    begin = mono_ms();
    ws_server_stop(r.server, false);
    if (now)
        ws_server_stop(r.server, true);
    rig_join(&r);
    CHECK(mono_ms() - begin < 3500); /* and not until the links give up */
    CHECK(now || mono_ms() - begin >= 195);
    for (int i = 0; i < 4; i++)
        peer_free(deaf[i]);
    peer_free(pub);
    free(payload);
}

static void test_drain_timeout(void)
{
    stop_with_deaf(false);
}

static void test_stop_now(void)
{
    stop_with_deaf(true);
    start_all(3);
    ws_server_stop(r.server, true);
    ws_server_stop(r.server, true); /* nobody is there to hear it */
    ws_server_stop(r.server, false);
    rig_join(&r);
}

/* ---- reload ---- */

struct changed {
    struct ws_config config;
    struct ws_listener_config listeners[RIG_LISTENERS];
    struct broker_config broker;
};

static void change_begin(struct changed *c)
{
    c->config = r.config;
    c->broker = r.broker_config;
    memcpy(c->listeners, r.listeners, sizeof c->listeners);
    c->config.listeners = c->listeners;
}

static bool change(struct changed *c)
{
    return ws_server_reload(r.server, &c->broker, &c->config, &r.err);
}

/* All of it is for connections that come; those that are there stay, with what they were told. */
static void test_reload(void)
{
    static const uint8_t payload[10000];
    static char *paths[] = {(char *)(uintptr_t) "/new"};
    struct changed c;
    struct peer *old[4], *p;
    struct http h;

    start_all(2);
    for (int i = 0; i < 4; i++)
        old[i] = peer_connect(&r, names[i], MQTT_V5, names[i]);
    change_begin(&c);
    c.broker.max_packet_size = 5000;
    c.listeners[0].paths = paths;
    c.listeners[0].n_paths = 1;
    c.listeners[2].max_connections = 1;
    CHECK(change(&c));
    p = peer_dial(&r, "ws");
    peer_request(p, "/mqtt", NULL);
    h = peer_http(p, false);
    CHECK(h.status == 404 && strstr(h.body, "MQTT at: /new") != NULL);
    free(h.body);
    peer_expect_eof(p);
    p = peer_dial(&r, "ws");
    peer_request(p, "/new", NULL);
    h = peer_http(p, false);
    peer_check_upgraded(p, &h);
    CHECK(peer_mqtt(p, MQTT_V5, "new"));
    CHECK_INT(p->packet.connack.props.maximum_packet_size, 5000);
    peer_free(p);
    p = peer_dial_tcp(&r, "mqtt", 0);
    CHECK(p != NULL && !peer_receive(p) && p->eof);
    peer_free(p);
    for (int i = 0; i < 4; i++) {
        CHECK(peer_publish(old[i], "t", payload, sizeof payload, 0, 0));
        CHECK(peer_ping(old[i]));
        peer_free(old[i]);
    }
    rig_stop(&r);
}

static void expect_no_change(struct changed *c, const char *why)
{
    struct peer *p;

    c->broker.max_packet_size = 5000;
    c->listeners[2].max_connections = 1;
    CHECK(!change(c));
    if (!CHECK(strstr(r.err.text, why) != NULL))
        printf("  it says: %s\n", r.err.text);
    for (int i = 0; i < 2; i++) {
        p = peer_connect(&r, "mqtt", MQTT_V5, "c");
        CHECK_INT(p->packet.connack.props.maximum_packet_size, 2 << 20);
        peer_free(p);
    }
}

/* What needs a restart, or cannot be: then nothing is changed. */
static void test_reload_refused(void)
{
    struct ws_certificate pair[2] = {certs()->server[0], certs()->server[1]};
    struct changed c;
    struct peer *stays;

    start_all(2);
    stays = peer_connect(&r, "mqtt", MQTT_V5, "stays");
    change_begin(&c);
    c.listeners[0].port = 1;
    expect_no_change(&c, "listener ws: protocol, address, port");
    change_begin(&c);
    c.listeners[0].protocol = WS_PROTOCOL_MQTT;
    expect_no_change(&c, "listener ws: protocol, address, port");
    change_begin(&c);
    c.listeners[3].address = (char *)(uintptr_t) "127.0.0.2";
    expect_no_change(&c, "listener mqtts: protocol, address, port");
    change_begin(&c);
    c.config.n_listeners = 3;
    expect_no_change(&c, "adding and removing them needs a restart");
    change_begin(&c);
    c.listeners[0].name = (char *)(uintptr_t) "other";
    expect_no_change(&c, "other names need a restart");
    change_begin(&c);
    c.listeners[1].certificates = pair;
    c.listeners[1].n_certificates = 2;
    expect_no_change(&c, "listener wss: protocol, address, port and names of certificate files");
    change_begin(&c);
    c.listeners[1].certificates = pair + 1;
    expect_no_change(&c, "listener wss: protocol, address, port and names of certificate files");
    CHECK(peer_ping(stays));
    peer_free(stays);
    rig_stop(&r);
}

/* Under load: nobody is dropped, nothing is lost. */

struct load {
    pthread_t thread;
    struct peer *pub, *sub;
    unsigned sent;
    _Atomic bool stop;
};

static void *publish_all_day(void *arg)
{
    struct load *l = arg;

    for (; !l->stop; l->sent++) {
        peer_publish(l->pub, "load", "x", 1, 1, (uint16_t)(1 + l->sent % 60000));
        if (!peer_expect(l->pub, MQTT_PUBACK) || !peer_expect(l->sub, MQTT_PUBLISH))
            break;
    }
    return NULL;
}

static void test_reload_under_load(void)
{
    struct load load = {.sent = 0};
    struct changed c[20];
    unsigned before = 0;

    start_all(2);
    load.pub = peer_connect(&r, "wss", MQTT_V5, "pub");
    load.sub = peer_connect(&r, "ws", MQTT_V5, "sub");
    peer_subscribe(load.sub, "load", 0);
    pthread_create(&load.thread, NULL, publish_all_day, &load);
    for (int i = 0; i < 20; i++) {
        change_begin(&c[i]);
        c[i].broker.max_packet_size = 10000 + (uint32_t)i;
        CHECK(change(&c[i]));
    }
    load.stop = true;
    pthread_join(load.thread, NULL);
    CHECK(load.sent > before && peer_ping(load.pub) && peer_ping(load.sub));
    peer_free(load.pub);
    peer_free(load.sub);
    rig_stop(&r);
}

TEST_MAIN(test_drain, test_drain_delivers, test_drain_timeout, test_stop_now, test_reload,
          test_reload_refused, test_reload_under_load)

/* Who is still there? Pings of the server, MQTT's Keep Alive, peers that are not. Times are short,
 * and nothing depends on how punctual the machine is. */
#include "base/test.h"
#include "ws/tests/peer_support.h"

static struct rig r;

static void start(uint32_t interval_ms, uint32_t timeout_ms)
{
    struct ws_listener_config *c;

    rig_init(&r);
    c = rig_listen(&r, WS_PROTOCOL_WS);
    c->ping_interval_ms = interval_ms;
    c->ping_timeout_ms = timeout_ms;
    rig_listen(&r, WS_PROTOCOL_MQTT);
    rig_start(&r, 1);
}

/* Frames are dealt with (pings answered) until this many pings have come. */
static bool take_pings(struct peer *p, unsigned n)
{
    struct frame f;

    for (unsigned i = 0; i < n; i++) {
        if (!CHECK_ROW(i, peer_get_frame(p, &f) && f.head == (FIN | OP_PING) && f.len > 0))
            return false;
        peer_frame(p, FIN | OP_PONG, f.data, f.len);
    }
    return true;
}

/* An interval apart, however long an answer may take. */
static void test_interval(void)
{
    struct peer *p;
    uint64_t begin;

    start(30, 60000);
    p = peer_connect(&r, "ws", MQTT_V5, "c");
    begin = mono_ms();
    CHECK(take_pings(p, 10));
    CHECK(mono_ms() - begin >= 250);
    CHECK(peer_ping(p));
    peer_free(p);
    rig_stop(&r);
}

/* The interval begins with the last frame, not with the last look at the connection. */
static void test_silence(void)
{
    struct peer *p;
    bool punctual = false;

    start(300, 60000);
    p = peer_connect(&r, "ws", MQTT_V5, "c");
    CHECK(take_pings(p, 1));
    for (int i = 0; i < 5 && !punctual; i++) {
        uint64_t quiet;

        CHECK(!peer_receive_within(p, 150));
        CHECK(peer_ping(p));
        quiet = mono_ms();
        CHECK(take_pings(p, 1));
        CHECK(mono_ms() - quiet >= 295);
        punctual = mono_ms() - quiet < 400;
    }
    CHECK(punctual);
    peer_free(p);
    rig_stop(&r);
}

static void test_unanswered(void)
{
    struct peer *p, *other;
    uint64_t begin;

    start(40, 80);
    begin = mono_ms();
    p = peer_connect(&r, "ws", MQTT_V5, "c");
    other = peer_connect(&r, "mqtt", MQTT_V5, "other"); /* TCP has no pings */
    p->mute = true;
    peer_expect_disconnect(p, MQTT_RC_KEEP_ALIVE_TIMEOUT, 1001);
    CHECK(mono_ms() - begin >= 115);
    CHECK_INT(rig_stats(&r).closes[CLOSE_PING_TIMEOUT], 1);
    CHECK(peer_ping(other));
    peer_free(other);
    rig_stop(&r);
}

/* Pongs alone, or other frames alone, keep a connection alive for longer than the timeout. */
static void test_answered(void)
{
    struct peer *p;

    start(20, 1000);
    p = peer_connect(&r, "ws", MQTT_V5, "c");
    for (uint64_t end = mono_ms() + 1300; mono_ms() < end;)
        CHECK(take_pings(p, 1));
    p->mute = true;
    for (uint64_t end = mono_ms() + 1300; mono_ms() < end;)
        CHECK((peer_receive_within(p, 50), peer_ping(p)));
    CHECK(p->pings > 0);
    peer_free(p);
    rig_stop(&r);
}

/* While a publisher is held back nothing of it is read, pongs included: that is no fault of it. */
static void test_held_back(void)
{
    struct peer *p;

    start(20, 40);
    p = peer_connect(&r, "ws", MQTT_V5, "c");
    atomic_store(&r.broker->memory_pressure, MEMORY_HIGH);
    CHECK(peer_publish(p, "t", "x", 1, 0, 0));
    CHECK(RIG_WAIT(&r, reads_paused, 1));
    CHECK(take_pings(p, 10));
    atomic_store(&r.broker->memory_pressure, MEMORY_OK);
    CHECK(peer_ping(p));
    CHECK_INT(rig_stats(&r).closes[CLOSE_PING_TIMEOUT], 0);
    p->mute = true; /* from now on it is */
    peer_expect_disconnect(p, MQTT_RC_KEEP_ALIVE_TIMEOUT, 1001);
    rig_stop(&r);
}

static void test_off(void)
{
    struct peer *p;
    struct ws_config config;
    struct ws_listener_config listeners[2];

    start(0, 20);
    p = peer_connect(&r, "ws", MQTT_V5, "c");
    CHECK(!peer_receive_within(p, 100) && !p->eof);
    /* A reload reaches connections that are there. */
    config = r.config;
    memcpy(listeners, r.listeners, sizeof listeners);
    listeners[0].ping_interval_ms = 20;
    listeners[0].ping_timeout_ms = 0;
    config.listeners = listeners;
    CHECK(ws_server_reload(r.server, &r.broker_config, &config, &r.err));
    CHECK(take_pings(p, 3));
    p->mute = true; /* never mind */
    CHECK(take_pings(p, 3));
    CHECK(ws_server_reload(r.server, &r.broker_config, &r.config, &r.err));
    CHECK(peer_ping(p));
    CHECK(!peer_receive_within(p, 100) && !p->eof);
    peer_free(p);
    rig_stop(&r);
}

/* Pings and pongs of WebSocket are not MQTT [MW-05] [v5 MQTT-3.1.2-22]. */
static void test_keep_alive(void)
{
    static const char *const listeners[] = {"ws", "mqtt"};
    struct peer *p[2];
    uint64_t begin;

    start(100, 1000);
    begin = mono_ms();
    for (int i = 0; i < 2; i++) {
        struct mqtt_packet c = connect_packet(MQTT_V5, listeners[i]);

        c.connect.keep_alive_s = 1;
        p[i] = peer_dial(&r, listeners[i]);
        if (i == 0)
            peer_upgrade(p[i]);
        peer_send_packet(p[i], &c);
        peer_expect(p[i], MQTT_CONNACK);
    }
    peer_frame(p[0], FIN | OP_PING, "", 0);
    if (peer_expect(p[0], MQTT_DISCONNECT))
        CHECK_INT(p[0]->packet.reasoned.reason, MQTT_RC_KEEP_ALIVE_TIMEOUT);
    CHECK(mono_ms() - begin >= 1490);
    CHECK(p[0]->pings > 0);
    peer_expect_close(p[0], 1001);
    peer_expect_disconnect(p[1], MQTT_RC_KEEP_ALIVE_TIMEOUT, 0);
    rig_stop(&r);
}

TEST_MAIN(test_interval, test_silence, test_unanswered, test_answered, test_held_back, test_off,
          test_keep_alive)

/* Clients that do not read, read slowly, or vanish, and memory that runs out: who pays for it. */
#include "base/log.h"
#include "base/mem.h"
#include "base/test.h"
#include "broker/shard.h"
#include "ws/tests/peer_support.h"

#include <pthread.h>
#include <sys/socket.h>

#define SIZE 30000u /* bytes of a payload: two writes to a socket that takes as much as it can */

static struct rig r;
static const char *const names[] = {"ws", "wss", "mqtt", "mqtts"};
static uint8_t payload[SIZE];

static void start(void)
{
    rig_init(&r);
    for (int i = 0; i < 4; i++)
        rig_listen(&r, (enum ws_protocol)i)->ping_interval_ms = 20; /* between everything */
    r.broker_config.max_queued_bytes = 1 << 20;
    rig_start(&r, 1);
    for (size_t i = 0; i < SIZE; i++)
        payload[i] = (uint8_t)(i % 251);
}

static struct peer *subscriber(const char *listener, const char *id, uint8_t qos)
{
    struct peer *p = peer_connect(&r, listener, MQTT_V5, id);

    peer_subscribe(p, "#", qos);
    return p;
}

/* Message number n: its payload begins with it. */
static bool publish(struct peer *p, uint32_t n, uint8_t qos)
{
    memcpy(payload, &n, sizeof n);
    return peer_publish(p, "t", payload, SIZE, qos, qos == 0 ? 0 : (uint16_t)(n % 1000 + 1));
}

/* The number of the next message, all of which is there; -1: it is something else, or nothing. */
static int64_t next_message(struct peer *p)
{
    const struct mqtt_publish *m = &p->packet.publish;
    uint32_t n;

    if (!peer_packet(p) || p->packet.type != MQTT_PUBLISH || !CHECK_INT(m->payload.len, SIZE))
        return -1;
    memcpy(&n, m->payload.p, sizeof n);
    memcpy(payload, &n, sizeof n);
    CHECK(memcmp(m->payload.p, payload, SIZE) == 0);
    return n;
}

static int64_t memory(void)
{
    return broker_memory_total(r.broker);
}

/* ---- a subscriber that stops reading ---- */

/* At QoS 0 it misses messages; others do not, and the broker keeps no more of them. */
static void deaf(const char *listener)
{
    struct peer *pub, *sub, *deaf;
    int64_t before, most = 0, last = -1, n;

    start();
    deaf = subscriber(listener, "deaf", 0);
    sub = subscriber(listener, "sub", 0);
    pub = peer_connect(&r, listener, MQTT_V5, "pub");
    before = memory();
    for (uint32_t i = 0; i < 300; i++) { /* 18 MB */
        CHECK_ROW(i, publish(pub, i, 0) && next_message(sub) == i);
        most = memory() > most ? memory() : most;
    }
    CHECK(most - before < 2 << 20); /* a queue, buffers, a message on its way */
    CHECK(rig_stats(&r).drops[DROP_QOS0_CONGESTED] > 0);
    while ((n = next_message(deaf)) != -1 && n < 300) { /* it listens again */
        CHECK(n > last);
        last = n;
        if (n < 299 && last == (int64_t)299 - rig_stats(&r).drops[DROP_QOS0_CONGESTED])
            break;
    }
    CHECK(last > 0);
    CHECK(publish(pub, 300, 0) && next_message(deaf) == 300);
    CHECK(peer_ping(deaf));
    peer_free(deaf);
    peer_free(sub);
    peer_free(pub);
    rig_stop(&r);
}

static void test_deaf(void)
{
    for (int i = 0; i < 4; i++)
        deaf(names[i]);
}

/* At QoS 1 its queue is bounded: the newest messages are in it, in order, when it listens again. */
static void test_deaf_queue(void)
{
    struct peer *pub, *deaf[4];
    int64_t before;

    start();
    for (int i = 0; i < 4; i++)
        deaf[i] = subscriber(names[i], names[i], 1);
    pub = peer_connect(&r, "mqtt", MQTT_V5, "pub");
    before = memory();
    for (uint32_t i = 0; i < 300; i++)
        CHECK(publish(pub, i, 1) && peer_expect(pub, MQTT_PUBACK));
    /* what is in flight (a window of 1024 at most, with payloads that the four share), queues */
    CHECK(memory() - before < (int64_t)SIZE * 300 + (4 << 20));
    for (int i = 0; i < 4; i++) {
        int64_t last = -1, n = 0;

        while (n < 299) {
            struct mqtt_packet ack = {.type = MQTT_PUBACK};

            n = next_message(deaf[i]);
            if (!CHECK(n > last))
                break;
            last = n;
            ack.ack.packet_id = deaf[i]->packet.publish.packet_id;
            peer_send_packet(deaf[i], &ack);
        }
        peer_free(deaf[i]);
    }
    peer_free(pub);
    rig_stop(&r);
}

/* ---- a client that asks and does not listen to the answers ---- */

struct flood {
    pthread_t thread;
    struct peer *p;
    size_t sent; /* bytes */
};

static void *ask_until_paused(void *arg)
{
    struct flood *f = arg;
    uint8_t many[20000];

    for (size_t i = 0; i < sizeof many; i += 2)
        memcpy(many + i, "\xc0\x00", 2); /* PINGREQ */
    while (rig_stats(&r).reads_paused == 0 && peer_write(f->p, many, sizeof many))
        f->sent += sizeof many;
    return NULL;
}

/* Nothing is read from it any more when its answers pile up; all are there when it listens. */
static void test_flood(void)
{
    struct flood f = {.sent = 0};
    size_t got = 0;
    int64_t before;

    start();
    f.p = peer_connect(&r, "mqtt", MQTT_V5, "flood");
    before = memory();
    pthread_create(&f.thread, NULL, ask_until_paused, &f);
    CHECK(RIG_WAIT(&r, reads_paused, 1));
    CHECK(memory() - before < 1 << 20);
    for (bool done = false; !done || got < f.sent;) {
        if (!peer_receive_within(f.p, 50) && !CHECK(!f.p->eof))
            break;
        got += f.p->raw.len;
        f.p->raw.len = 0;
        done = done || pthread_tryjoin_np(f.thread, NULL) == 0;
    }
    CHECK(got == f.sent && got > 0);
    peer_free(f.p);
    rig_stop(&r);
}

/* ---- a slow reader ---- */

/* Small pieces, with pings of the server between them, which are not within frames. */
static void test_slow_reader(void)
{
    for (int i = 0; i < 4; i++) {
        struct peer *pub, *sub;

        start();
        sub = peer_dial_tcp(&r, names[i], 2048);
        if (ws_protocol_has_tls(sub->protocol))
            sub->tls = tls_open(sub->fd, NULL);
        if (ws_protocol_is_websocket(sub->protocol))
            peer_upgrade(sub);
        peer_mqtt(sub, MQTT_V5, "slow");
        peer_subscribe(sub, "#", 1);
        sub->read_size = 700;
        pub = peer_connect(&r, names[i], MQTT_V5, "pub");
        for (uint32_t n = 0; n < 30; n++)
            CHECK(publish(pub, n, 1) && peer_expect(pub, MQTT_PUBACK));
        for (uint32_t n = 0; n < 30; n++)
            CHECK_ROW_INT(n, next_message(sub), n);
        peer_free(sub);
        peer_free(pub);
        rig_stop(&r);
    }
}

/* ---- clients that vanish ---- */

static void reset(struct peer *p)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    peer_free(p);
}

/* In the middle of what they send, and of what they are sent. */
static void test_vanish(void)
{
    struct peer *pub, *stays;
    uint32_t n = 0;

    start();
    stays = subscriber("ws", "stays", 0);
    pub = peer_connect(&r, "ws", MQTT_V5, "pub");
    for (int i = 0; i < 24; i++) {
        const char *listener = names[i % 4];
        struct peer *p = subscriber(listener, "vanishes", (uint8_t)(i / 4 % 2));

        for (int k = 0; k < 20; k++, n++)
            CHECK_ROW(i, publish(pub, n, 0) && next_message(stays) == n);
        if (ws_protocol_is_websocket(p->protocol))
            peer_write(p, "\x82\xfe\x10\x00\x01\x02\x03\x04\x30\x7f half of it", 21);
        else
            peer_write(p, "\x30\x7f half of it", 13);
        if (i % 3 == 0)
            reset(p);
        else
            peer_free(p);
        CHECK(RIG_WAIT(&r, connections, 2));
    }
    CHECK(peer_ping(stays));
    peer_free(stays);
    peer_free(pub);
    rig_stop(&r);
}

/* Half-open: nothing comes back. Keep Alive notices, and the connection ends though its goodbye
 * does not get through, on a broker that has nothing else to do. */
static void test_half_open(void)
{
    struct peer *p[4], *pub;

    rig_init(&r);
    for (int i = 0; i < 4; i++)
        rig_listen(&r, (enum ws_protocol)i)->ping_interval_ms = 0;
    rig_start(&r, 1);
    pub = peer_connect(&r, "mqtt", MQTT_V5, "pub");
    for (int i = 0; i < 4; i++) {
        struct mqtt_packet c = connect_packet(MQTT_V5, names[i]);

        p[i] = peer_dial(&r, names[i]);
        if (ws_protocol_is_websocket(p[i]->protocol))
            peer_upgrade(p[i]);
        c.connect.keep_alive_s = 1;
        peer_send_packet(p[i], &c);
        peer_expect(p[i], MQTT_CONNACK);
        peer_subscribe(p[i], "#", 0);
    }
    for (uint32_t n = 0; n < 200; n++)
        publish(pub, n, 0);
    CHECK(peer_ping(pub));
    peer_free(pub);
    CHECK(RIG_WAIT(&r, connections, 0));
    CHECK_INT(rig_stats(&r).closes[CLOSE_KEEP_ALIVE], 4);
    for (int i = 0; i < 4; i++)
        peer_free(p[i]);
    rig_stop(&r);
}

/* What was said last is read, though more was on its way to a server that had heard enough. */
static void test_last_word(void)
{
    uint8_t *rubbish = calloc(1, 1 << 20);

    start();
    for (int i = 0; i < 4; i += 2) { /* within TLS the socket is closed at once */
        struct peer *p = peer_connect(&r, names[i], MQTT_V5, "c");

        peer_send(p, "\xff\xff\xff\xff\xff", 5);
        peer_send(p, rubbish, 1 << 20);
        peer_expect_disconnect(p, MQTT_RC_MALFORMED_PACKET, 1002);
    }
    free(rubbish);
    rig_stop(&r);
}

/* ---- out of memory ---- */

/* Does a client get as far as its CONNACK? */
static bool served(const char *listener)
{
    struct mqtt_packet c = connect_packet(MQTT_V5, "c");
    struct peer *p = peer_dial_tcp(&r, listener, 0);
    bool ok = true;

    if (ws_protocol_has_tls(p->protocol))
        ok = (p->tls = tls_open(p->fd, NULL)) != NULL;
    if (ok && ws_protocol_is_websocket(p->protocol)) {
        struct http h;

        peer_request(p, "/mqtt", NULL);
        h = peer_http(p, false);
        ok = h.status == 101;
        free(h.body);
    }
    ok = ok && peer_send_packet(p, &c) && peer_packet(p) && p->packet.type == MQTT_CONNACK &&
         p->packet.connack.reason == 0;
    peer_free(p);
    return ok;
}

/* The n-th allocation of what may fail does, once: a client has bad luck, the server has not. */
static void test_no_memory(void)
{
    unsigned unlucky = 0;

    rig_log_begin(LOG_ERROR);
    for (uint64_t n = 1; n <= 12; n++)
        for (int i = 0; i < 4; i++) {
            rig_init(&r);
            rig_listen(&r, (enum ws_protocol)i);
            r.broker = broker_new(env_system(), &r.broker_config, NULL, 1, "test");
            r.server = ws_server_new(r.broker, &r.config, NULL, 0, &r.err);
            mem_fail_at(r.broker->shards[0]->mem, n);
            CHECK(ws_server_start(r.server, &r.err));
            for (int k = 0; k < 3; k++)
                unlucky += served(names[i]) ? 0 : 1;
            CHECK(served(names[i]));
            CHECK(RIG_WAIT(&r, connections, 0));
            rig_stop(&r);
        }
    rig_log_end();
    CHECK(unlucky >= 8);
}

TEST_MAIN(test_deaf, test_deaf_queue, test_flood, test_slow_reader, test_vanish, test_half_open,
          test_last_word, test_no_memory)

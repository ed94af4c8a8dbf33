/* broker: a message from the bytes of its PUBLISH to the bytes for its subscribers, without a
 * network: what the broker itself costs. Times are per delivered message. */
#include "base/bench.h"
#include "base/log.h"
#include "broker/broker.h"
#include "broker/connection.h"
#include "broker/recovery.h"
#include "broker/shard.h"
#include "mqtt/encode.h"
#include "mqtt/frame.h"
#include "storage/memory_store.h"

#define BATCH 64 /* PUBLISH packets that a turn finds waiting */

struct peer {
    struct connection *c;
    struct shard *sh;
    int version;
    uint8_t acks[BATCH * 8]; /* answers to what was received */
    size_t acks_len;
};

static struct broker *b;
static struct transport_peer who = {
    .address = MQTT_STR("192.0.2.1"), .listener = MQTT_STR("bench"), .allow_anonymous = true};

/* A client that answers every QoS 1 and 2 PUBLISH; it reads the few bytes it needs for that. */
static enum transport_sent op_send(void *link, uint8_t *data, size_t len)
{
    struct peer *p = link;

    for (size_t at = 0; at < len;) {
        struct mqtt_frame f;
        uint8_t *body;

        if (mqtt_frame(data + at, len - at, p->version, MQTT_SERVER, UINT32_MAX, &f) != 0)
            break;
        body = data + at + f.header_len;
        if (f.head >> 4 == MQTT_PUBLISH && (f.head & 6) != 0) {
            size_t id = 2u + (size_t)(body[0] << 8 | body[1]);
            uint8_t ack[] = {(f.head & 2) != 0 ? 0x40 : 0x50, 2, body[id], body[id + 1]};

            memcpy(p->acks + p->acks_len, ack, 4);
            p->acks_len += 4;
        } else if (f.head >> 4 == MQTT_PUBREL || f.head >> 4 == MQTT_PUBREC) {
            uint8_t ack[] = {f.head >> 4 == MQTT_PUBREL ? 0x70 : 0x62, 2, body[0], body[1]};

            memcpy(p->acks + p->acks_len, ack, 4);
            p->acks_len += 4;
        }
        at += f.total;
    }
    return TRANSPORT_SENT;
}

static void op_close(void *link, enum close_reason why, struct mqtt_str text)
{
    (void)link;
    (void)text;
    printf("closed: %s\n", close_info(why)->label);
    exit(1);
}

static void op_read_enable(void *link, bool on)
{
    (void)link;
    (void)on;
}

static const struct transport_ops ops = {op_send, op_close, op_read_enable};

static void feed(struct peer *p, const void *data, size_t len)
{
    connection_input(p->c, data, len);
}

static void turn(void)
{
    shard_turn_end(b->shards[0]);
    shard_turn_begin(b->shards[0]);
}

static struct peer *peer_new(unsigned no, int version, bool durable)
{
    struct peer *p = calloc(1, sizeof *p);
    struct mqtt_packet packet;
    char id[16];
    uint8_t buf[64];
    enum close_reason why;

    p->sh = b->shards[0];
    p->version = version;
    p->c = connection_new(p->sh, &ops, p, &who, &why);
    snprintf(id, sizeof id, "c%u", no);
    memset(&packet, 0, sizeof packet);
    packet.type = MQTT_CONNECT;
    packet.connect.version = (enum mqtt_version)version;
    packet.connect.clean_start = !durable;
    packet.connect.client_id = (struct mqtt_str){(uint8_t *)id, (uint32_t)strlen(id)};
    feed(p, buf, mqtt_encode(&packet, version, buf, sizeof buf));
    turn();
    turn(); /* the store has told of the session */
    return p;
}

static void subscribe(struct peer *p, const char *filter, uint8_t qos)
{
    uint8_t buf[80] = {0x82, 0, 0, 1}, len = (uint8_t)strlen(filter), n = 4;

    if (p->version == 5)
        buf[n++] = 0;
    buf[n++] = 0;
    buf[n++] = len;
    memcpy(buf + n, filter, len);
    n = (uint8_t)(n + len);
    buf[n++] = qos;
    buf[1] = (uint8_t)(n - 2);
    feed(p, buf, n);
}

/* BATCH PUBLISH packets with ids first, first + 1, ... Returns the bytes. */
static size_t publishes(uint8_t *out, const char *topic, unsigned payload, uint8_t qos,
                        uint16_t first)
{
    static const uint8_t zeros[8192];
    struct mqtt_packet p;
    size_t n = 0;

    memset(&p, 0, sizeof p);
    p.type = MQTT_PUBLISH;
    p.publish.topic = (struct mqtt_str){(const uint8_t *)topic, (uint32_t)strlen(topic)};
    p.publish.payload = (struct mqtt_str){zeros, payload};
    p.publish.qos = qos;
    for (unsigned i = 0; i < BATCH; i++) {
        p.publish.packet_id = qos ? (uint16_t)(first + i) : 0;
        n += mqtt_encode(&p, 4, out + n, 8300);
    }
    return n;
}

static void start(void)
{
    struct broker_config config = broker_config_default();
    static struct env_test env;
    struct recovered recovered;

    config.sys_interval_s = 0;
    log_configure(2, LOG_ERROR, LOG_TEXT);
    if (b != NULL)
        return;
    env_test_init(&env, 1); /* time stands still: the same work whatever else the machine does */
    b = broker_new(&env.env, &config, NULL, 1, "bench");
    if (broker_attach(b, memory_store_new(), &recovered) != 0)
        exit(1);
}

/* Let the client send the answers it owes, until it owes none. */
static void answer(struct peer *p)
{
    while (p->acks_len > 0) {
        uint8_t acks[sizeof p->acks];
        size_t len = p->acks_len;

        memcpy(acks, p->acks, len);
        p->acks_len = 0;
        feed(p, acks, len);
        turn();
    }
}

static void fanout(uint64_t n, unsigned subscribers, unsigned payload)
{
    static struct peer *pub, *subs[1000];
    static unsigned made;
    static uint8_t *batch;
    char topic[] = "bench/fan/out";
    size_t len;

    start();
    if (pub == NULL) {
        pub = peer_new(9999, 4, false);
        batch = malloc(BATCH * 8300);
    }
    for (; made < subscribers; made++) {
        subs[made] = peer_new(made, 4, false);
        subscribe(subs[made], topic, 0);
    }
    turn();
    len = publishes(batch, topic, payload, 0, 1);
    for (uint64_t done = 0; done < n; done += (uint64_t)BATCH * subscribers) {
        feed(pub, batch, len);
        turn();
    }
}

static void fanout100(uint64_t n)
{
    fanout(n, 100, 64);
}

static void fanout100_4k(uint64_t n)
{
    fanout(n, 100, 4096);
}

static void pairs(uint64_t n, uint8_t qos, bool durable)
{
    static struct peer *pubs[6], *subs[6];
    static uint8_t batch[BATCH * 128];
    unsigned i = qos * 2u + durable;
    char topic[] = "bench/pair/0";
    uint16_t id = 1;

    start();
    topic[sizeof topic - 2] = (char)('0' + i);
    if (pubs[i] == NULL) {
        pubs[i] = peer_new(2000u + i, 4, false);
        subs[i] = peer_new(3000u + i, 4, durable);
        subscribe(subs[i], topic, qos);
        turn();
        turn();
    }
    for (uint64_t done = 0; done < n; done += BATCH) {
        size_t len = publishes(batch, topic, 64, qos, id);

        feed(pubs[i], batch, len);
        turn();
        answer(subs[i]);
        answer(pubs[i]);
    }
}

static void pair_q0(uint64_t n)
{
    pairs(n, 0, false);
}

static void pair_q1(uint64_t n)
{
    pairs(n, 1, false);
}

static void pair_q2(uint64_t n)
{
    pairs(n, 2, false);
}

/* The subscriber's session is durable, and acknowledges before anything is stored. */
static void pair_q1_durable(uint64_t n)
{
    pairs(n, 1, true);
}

BENCH_MAIN({"fanout100", fanout100}, {"pair_q0", pair_q0}, {"pair_q1", pair_q1},
           {"pair_q1_durable", pair_q1_durable}, {"pair_q2", pair_q2},
           {"fanout100_4k", fanout100_4k})

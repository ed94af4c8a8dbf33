/* Payloads around the size of every buffer on their way, over every protocol, in and out: none is
 * lost or changed, none waits for a timer, and there is no size from which on it is slow. */
#include "base/test.h"
#include "ws/tests/peer_support.h"

#define LARGEST 307200 /* bytes */
#define TRIES   20     /* for a machine that is busy */

static struct rig r;
static uint8_t *payload;
static const char *const names[] = {"ws", "wss", "mqtt", "mqtts"};

static void start(unsigned shards)
{
    rig_init(&r);
    for (int i = 0; i < 4; i++)
        rig_listen(&r, (enum ws_protocol)i);
    rig_start(&r, shards);
    payload = malloc(LARGEST);
    for (size_t i = 0; i < LARGEST; i++)
        payload[i] = (uint8_t)(i * 131 >> 3);
}

static void stop(void)
{
    free(payload);
    rig_stop(&r);
}

static struct peer *subscriber(const char *listener, const char *id)
{
    struct peer *p = peer_connect(&r, listener, MQTT_V5, id);

    peer_subscribe(p, id, 1);
    return p;
}

static bool expect_payload(struct peer *p, size_t size)
{
    struct mqtt_packet ack = {.type = MQTT_PUBACK};

    if (!peer_expect(p, MQTT_PUBLISH))
        return false;
    CHECK_BYTES(p->packet.publish.payload.p, p->packet.publish.payload.len, payload, size);
    ack.ack.packet_id = p->packet.publish.packet_id;
    return peer_send_packet(p, &ack);
}

/* There and back, acknowledged. */
static bool pass(struct peer *pub, struct peer *sub, const char *topic, size_t size)
{
    return peer_publish(pub, topic, payload, size, 1, 1) && peer_expect(pub, MQTT_PUBACK) &&
           expect_payload(sub, size);
}

/* Milliseconds in which no timer can have helped: less than TCP's delayed acknowledgements, or than
 * any tick of a loop, and time for checks and sanitizers to look at each byte. */
static uint64_t promptly(size_t size)
{
    return 25 + size / 4096;
}

static bool passes_promptly(struct peer *pub, struct peer *sub, const char *topic, size_t size)
{
    for (int i = 0; i < TRIES; i++) {
        uint64_t begin = mono_ms();

        if (!pass(pub, sub, topic, size))
            return false;
        if (mono_ms() - begin <= promptly(size))
            return true;
    }
    return false;
}

/* Sizes at which a frame, a record or a buffer may be full: the payload with up to 20 bytes of
 * headers around it. */
static void pass_all(struct peer *pub, struct peer *sub, const char *topic)
{
    static const size_t limits[] = {126, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072};

    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
        for (size_t size = limits[i] - 20; size <= limits[i] + 2; size++)
            if (!CHECK_ROW(size, passes_promptly(pub, sub, topic, size)))
                return;
    for (size_t size = 1; size <= LARGEST; size = size * 3 + 1)
        if (!CHECK_ROW(size, passes_promptly(pub, sub, topic, size)))
            return;
    CHECK(passes_promptly(pub, sub, topic, 0));
    CHECK(passes_promptly(pub, sub, topic, LARGEST));
}

static void test_same(void)
{
    start(1);
    for (int i = 0; i < 4; i++) {
        struct peer *sub = subscriber(names[i], "same"), *pub;

        pub = peer_connect(&r, names[i], MQTT_V5, "pub");
        pass_all(pub, sub, "same");
        peer_free(pub);
        peer_free(sub);
    }
    stop();
}

/* From one thread to another, from one protocol to the next. */
static void test_across(void)
{
    start(2);
    for (int i = 0; i < 4; i++) {
        struct peer *sub = subscriber(names[i], "across"), *pub;

        pub = peer_connect(&r, names[(i + 1) % 4], MQTT_V311, "pub");
        pass_all(pub, sub, "across");
        peer_free(pub);
        peer_free(sub);
    }
    stop();
}

/* Many at once: the publisher does not wait, one packet ends where the next begins. */
static void test_pipelined(void)
{
    static const size_t sizes[] = {1,     125,  126,  127,   4090,  4091,  4092,   4093,  4094,
                                   4095,  4096, 4097, 16383, 16384, 16385, 65534,  65535, 65536,
                                   65537, 10,   20,   30,    40,    50,    300000, 5,     131072};
    const size_t n = sizeof sizes / sizeof sizes[0];

    start(1);
    for (int i = 0; i < 4; i++) {
        struct peer *sub = subscriber(names[i], "pipe"), *pub;

        pub = peer_connect(&r, names[3 - i], MQTT_V5, "pub");
        for (int round = 0; round < 3; round++) {
            for (size_t k = 0; k < n; k++)
                CHECK(peer_publish(pub, "pipe", payload, sizes[k], 1, (uint16_t)(k + 1)));
            for (size_t k = 0; k < n; k++)
                CHECK_ROW(k, expect_payload(sub, sizes[k]) && peer_expect(pub, MQTT_PUBACK));
        }
        peer_free(pub);
        peer_free(sub);
    }
    stop();
}

TEST_MAIN(test_same, test_across, test_pipelined)

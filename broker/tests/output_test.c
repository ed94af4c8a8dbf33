/* output_test: bytes to the client: what is sent arrives whole and in order, however large it is
 * and however slowly the client takes it. */
#include "base/env.h"
#include "base/mem.h"
#include "base/test.h"
#include "broker/output.h"
#include "broker/purposes.h"
#include "net_support.h"

#define LARGEST 300000

/* Message n has a payload of its own: its number, then bytes that depend on number and place. */
static uint8_t byte_of(uint32_t n, uint32_t at)
{
    return (uint8_t)(at < 4 ? n >> at * 8 : n * 31 + at * 7 + (at >> 8));
}

static void feed_message(struct client *c, uint32_t n, uint32_t len, uint8_t qos)
{
    static uint8_t payload[LARGEST];
    struct mqtt_packet p = {.type = MQTT_PUBLISH};

    for (uint32_t i = 0; i < len; i++)
        payload[i] = byte_of(n, i);
    p.publish.topic = MQTT_STR("t");
    p.publish.payload = (struct mqtt_str){payload, len};
    p.publish.qos = qos;
    if (qos > 0)
        p.publish.packet_id = ++c->next_id;
    client_feed_packet(c, &p);
}

static bool is_message(const struct mqtt_publish *m, uint32_t n, uint32_t len)
{
    if (m->payload.len != len)
        return false;
    for (uint32_t i = 0; i < len; i++)
        if (m->payload.p[i] != byte_of(n, i))
            return false;
    return true;
}

/* ---- sizes ---- */

static const uint32_t sizes[] = {0,     1,     2,      100,    125,    126,    127,   128,   495,
                                 496,   497,   1000,   1024,   4000,   4095,   4096,  4097,  16383,
                                 16384, 32767, 32768,  32769,  65499,  65500,  65520, 65535, 65536,
                                 65537, 98304, 131071, 131072, 200000, LARGEST};

static void take_all(struct client *c)
{
    while (c->blocked)
        client_trickle(c);
}

/* The next two messages, which are acknowledged to the end. */
static void expect_two(struct client *c, uint32_t first, uint32_t len, uint8_t qos)
{
    struct mqtt_packet p;

    for (uint32_t i = 0; i < 2; i++) {
        if (!client_expect(c, MQTT_PUBLISH, &p))
            return;
        CHECK_ROW(len, is_message(&p.publish, first + i, len));
        if (qos > 0)
            client_send_ack(c, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, p.publish.packet_id, 0);
    }
    take_all(c);
    for (uint32_t i = 0; i < 2 && qos == 2; i++)
        if (client_expect(c, MQTT_PUBREL, &p))
            client_send_ack(c, MQTT_PUBCOMP, p.ack.packet_id, 0);
    CHECK_ROW(len, client_quiet(c));
}

/* Each size by itself and two behind each other, to a client that reads, one that stops after each
 * write, and one that takes everything late; from the shared image, at QoS 1 and 2. */
static void sizes_in(int version)
{
    for (uint8_t qos = 0; qos <= 2; qos++) {
        struct net n;
        struct client *pub, *subs[3];
        uint32_t number = 0;

        net_init(&n, 1, NULL);
        pub = net_client(&n, 0, 4, "pub");
        for (int i = 0; i < 3; i++) {
            subs[i] = net_client(&n, 0, version, (char[]){(char)('a' + i), '\0'});
            client_subscribe(subs[i], "t", qos);
        }
        client_stall(subs[1]);
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            client_stall(subs[2]);
            for (int k = 0; k < 2; k++)
                feed_message(pub, ++number, sizes[i], qos);
            net_run(&n);
            take_all(subs[1]);
            client_unstall(subs[2]);
            for (int s = 0; s < 3; s++)
                expect_two(subs[s], number - 1, sizes[i], qos);
        }
        CHECK_INT(mem_used(n.broker->shards[0]->mem, FOR_MESSAGE), 0); /* streamed, and let go */
        net_fini(&n);
    }
}

static void test_sizes(void)
{
    each_version(sizes_in);
}

/* ---- in the middle of a large packet ---- */

/* Whatever else is to be said waits until it is through; then comes what waited in the queue. */
static void test_behind_a_stream(void)
{
    struct net n;
    struct client *pub, *sub;
    struct mqtt_packet p;

    net_init(&n, 1, NULL);
    pub = net_client(&n, 0, 5, "pub");
    sub = net_client(&n, 0, 5, "sub");
    client_subscribe(sub, "t", 1);
    client_stall(sub);
    feed_message(pub, 1, LARGEST, 0);
    feed_message(pub, 2, 10, 1);
    net_run(&n);
    client_send(sub, "\xc0\0", 2);
    client_send(sub, "\x82\7\0\x11\0\0\1u\0", 9);
    CHECK(sub->in_len - sub->in_at < LARGEST);
    client_trickle(sub);
    client_send(sub, "\xc0\0", 2);
    client_unstall(sub);
    if (client_expect(sub, MQTT_PUBLISH, &p))
        CHECK(is_message(&p.publish, 1, LARGEST));
    client_expect(sub, MQTT_PINGRESP, &p);
    client_expect(sub, MQTT_SUBACK, &p);
    client_expect(sub, MQTT_PINGRESP, &p);
    if (client_expect(sub, MQTT_PUBLISH, &p))
        CHECK(is_message(&p.publish, 2, 10));
    CHECK(client_quiet(sub));
    net_fini(&n);
}

/* A connection that ends in the middle lets the message go; at QoS 1 it comes again. */
static void test_stream_broken_off(void)
{
    for (uint8_t qos = 0; qos <= 1; qos++) {
        struct connect_options o = {.id = "sub", .expiry_s = 60};
        struct net n;
        struct client *pub, *sub;
        struct mqtt_packet p;

        net_init(&n, 1, NULL);
        pub = net_client(&n, 0, 5, "pub");
        sub = net_connect(&n, 0, 5, &o, NULL);
        client_subscribe(sub, "t", 1);
        client_stall(sub);
        feed_message(pub, 1, LARGEST, qos);
        net_run(&n);
        client_trickle(sub);
        client_drop(sub);
        CHECK_INT(mem_used(n.broker->shards[0]->mem, FOR_MESSAGE) > 0, qos > 0);
        sub = net_connect(&n, 0, 5, &o, NULL);
        if (qos > 0 && client_expect(sub, MQTT_PUBLISH, &p)) {
            CHECK(p.publish.dup);
            CHECK(is_message(&p.publish, 1, LARGEST));
        }
        CHECK(client_quiet(sub));
        net_fini(&n);
    }
}

/* ---- clients that do not read ---- */

/* Answers that pile up stop the reading of what asks for them, and end the connection if it goes on
 * all the same (as what is on its way may). */
static void test_answers_pile_up(void)
{
    struct net n;
    struct client *c;
    unsigned asked = 0, answered = 0;
    struct mqtt_packet p;

    net_init(&n, 1, NULL);
    c = net_client(&n, 0, 5, "c");
    client_stall(c);
    for (; asked < 100000 && !c->reading_off; asked++)
        client_send(c, "\xc0\0", 2);
    CHECK(asked * 2 > OUTPUT_CONTROL_PAUSE && asked * 2 < OUTPUT_CONTROL_PAUSE + 100);
    client_trickle(c);     /* what has piled up goes out: there is room again */
    CHECK(c->reading_off); /* the transport has enough once more */
    client_trickle(c);
    CHECK(!c->reading_off);
    client_unstall(c);
    for (; client_next(c, &p); answered++)
        CHECK_INT(p.type, MQTT_PINGRESP);
    CHECK_INT(answered, asked);
    CHECK_INT(NET_COUNT(&n, reads_paused), 1);

    client_stall(c);
    for (asked = 0; asked < 100000 && !c->reading_off; asked++)
        client_send(c, "\xc0\0", 2);
    client_unstall(c); /* all of it goes out at once, and nothing else will happen */
    CHECK(!c->reading_off);
    for (answered = 0; client_next(c, &p); answered++)
        CHECK_INT(p.type, MQTT_PINGRESP);
    CHECK_INT(answered, asked);

    client_stall(c);
    client_send(c, "\xc0\0", 2);
    for (asked = 0; asked < 1000000 && !c->closed; asked++)
        client_send(c, "\xc0\0", 2);
    CHECK(asked * 2 >= OUTPUT_CONTROL_MAX && asked * 2 <= OUTPUT_CONTROL_MAX + OUTPUT_MAX);
    CHECK_INT(c->why, CLOSE_SLOW_CONSUMER);
    net_fini(&n);
}

/* A transport that has lost the peer gets nothing more; the session goes on without it. */
static void test_dead(void)
{
    for (uint8_t qos = 0; qos <= 1; qos++) {
        struct connect_options o = {.id = "sub", .expiry_s = 60};
        struct net n;
        struct client *pub, *sub;

        net_init(&n, 1, NULL);
        pub = net_client(&n, 0, 5, "pub");
        sub = net_connect(&n, 0, 5, &o, NULL);
        client_subscribe(sub, "t", 1);
        sub->dead = true;
        for (uint32_t i = 1; i <= 3; i++) {
            feed_message(pub, i, i == 2 ? LARGEST : 10, qos);
            client_feed(sub, "\xc0\0", 2); /* had been on its way */
            net_run(&n);
        }
        CHECK(client_quiet(sub));
        client_drop(sub);
        sub = net_connect(&n, 0, 5, &o, NULL);
        for (uint32_t i = qos > 0 ? 1 : 2; i <= 3; i++) { /* the first had been sent */
            struct mqtt_packet p;

            if (client_expect(sub, MQTT_PUBLISH, &p))
                CHECK(is_message(&p.publish, i, i == 2 ? LARGEST : 10));
        }
        CHECK(client_quiet(sub));
        net_fini(&n);
    }
}

/* ---- a turn ---- */

/* What one turn brings is written at once, not packet by packet; and no write is larger than a
 * buffer. */
static void test_writes(void)
{
    struct net n;
    struct client *pub, *subs[2];
    struct mqtt_packet p;

    net_init(&n, 1, NULL);
    pub = net_client(&n, 0, 5, "pub");
    for (int i = 0; i < 2; i++) {
        subs[i] = net_client(&n, 0, 4 + i, i == 0 ? "a" : "b");
        client_subscribe(subs[i], "t", 1);
        subs[i]->writes = 0;
    }
    for (uint32_t i = 1; i <= 500; i++) /* 52,000 bytes at QoS 0, then at QoS 1 */
        feed_message(pub, i, 100, i > 250);
    net_run(&n);
    for (int i = 0; i < 2; i++) {
        CHECK_ROW(i, subs[i]->writes <= 2);
        for (uint32_t k = 1; k <= 500; k++)
            if (client_expect(subs[i], MQTT_PUBLISH, &p))
                CHECK(is_message(&p.publish, k, 100));
    }
    net_fini(&n);
}

/* The transport writes in front of what it sends, where in a page another one's bytes end, which
 * are still to be sent. */
static void test_in_front_of_a_range(void)
{
    struct net n;
    struct client *pub, *a, *b;

    net_init(&n, 1, NULL);
    pub = net_client(&n, 0, 5, "pub");
    a = net_client(&n, 0, 5, "a");
    client_subscribe(a, "#", 0);
    b = net_client(&n, 0, 5, "b");
    client_subscribe(b, "only/b", 0);
    client_feed_publish(pub, "only/a", "a message for one", 0, false);
    client_feed_publish(pub, "only/b", "for both", 0, false);
    client_feed(b, "\xe0\0", 2); /* gets what there is first */
    net_run(&n);
    client_expect_publish(b, "only/b", "for both", 0, false);
    client_expect_publish(a, "only/a", "a message for one", 0, false);
    client_expect_publish(a, "only/b", "for both", 0, false);
    net_fini(&n);
}

/* More in one turn than the pages of a turn hold: it is flushed on the way. */
static void test_many_pages(void)
{
    struct net n;
    struct client *pub, *subs[4];

    net_init(&n, 1, NULL);
    pub = net_client(&n, 0, 5, "pub");
    for (int i = 0; i < 4; i++) {
        subs[i] = net_client(&n, 0, 4 + i % 2, (char[]){(char)('a' + i), '\0'});
        client_subscribe(subs[i], "t", 0);
    }
    for (uint32_t i = 1; i <= 60; i++)
        feed_message(pub, i, 31000, 0);
    /* 60 pages of each form would have been needed */
    CHECK(mem_used(n.broker->shards[0]->mem, FOR_OUTPUT) < 40 * 65536);
    net_run(&n);
    for (int i = 0; i < 4; i++) {
        struct mqtt_packet p;

        for (uint32_t k = 1; k <= 60; k++)
            if (client_expect(subs[i], MQTT_PUBLISH, &p))
                CHECK_ROW(k, is_message(&p.publish, k, 31000));
    }
    net_fini(&n);
}

/* ---- anything ---- */

#define READERS 6
#define ROUNDS  150

struct reader {
    struct client *c;
    uint32_t next[3];          /* of each QoS: number of the next message to be seen */
    uint32_t pings, responses; /* sent, come back */
};

/* Every 8th number: what it is is in it. Messages at different QoS may overtake each other. */
static uint32_t number_of(const struct mqtt_publish *m)
{
    return (uint32_t)m->payload.p[0] | (uint32_t)m->payload.p[1] << 8;
}

static void read_all(struct reader *r, const uint32_t *len_of, const uint8_t *qos_of)
{
    struct mqtt_packet p;

    while (client_next(r->c, &p)) {
        uint32_t n;

        if (p.type == MQTT_PINGRESP) {
            r->responses++;
            continue;
        }
        if (!CHECK_INT(p.type, MQTT_PUBLISH))
            return;
        n = number_of(&p.publish);
        CHECK(is_message(&p.publish, n, len_of[n]));
        CHECK_INT(p.publish.qos, qos_of[n]);
        /* none is left out at QoS 1 and 2, and none comes twice or too late at all */
        for (uint32_t k = r->next[p.publish.qos]; k < n && p.publish.qos > 0; k++)
            CHECK(qos_of[k] != p.publish.qos);
        CHECK(n >= r->next[p.publish.qos]);
        r->next[p.publish.qos] = n + 1;
        if (p.publish.qos == 1)
            client_send_ack(r->c, MQTT_PUBACK, p.publish.packet_id, 0);
    }
}

/* Readers of all versions, some with a small window, of which some stall now and then, get messages
 * of all sizes at QoS 0 and 1, and answers to what they ask. */
static void test_random(void)
{
    static uint32_t len_of[ROUNDS * 10];
    static uint8_t qos_of[ROUNDS * 10];
    struct reader readers[READERS];
    struct env_test env;
    struct client *pub;
    struct net n;
    uint32_t number = 0;

    env_test_init(&env, 17);
    net_init(&n, 1, NULL);
    pub = net_client(&n, 0, 5, "pub");
    for (int i = 0; i < READERS; i++) {
        struct connect_options o = {.id = (char[]){(char)('a' + i), '\0'},
                                    .clean = true,
                                    .receive_maximum = i == 5 ? 3 : 0,
                                    .topic_alias_maximum = i == 4 ? 1 : 0};

        readers[i] = (struct reader){.c = net_connect(&n, 0, 3 + i % 3, &o, NULL)};
        client_subscribe(readers[i].c, "t", 1);
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (uint64_t burst = env_random64(&env.env) % 10; burst > 0; burst--) {
            uint64_t x = env_random64(&env.env);
            uint32_t len = sizes[x % ARRAY_LEN(sizes)];

            len_of[number] = len < 4 || (x >> 32) % 4 != 0 ? 4 + len % 300 : len;
            qos_of[number] = x >> 40 & 1;
            feed_message(pub, number, len_of[number], qos_of[number]);
            number++;
        }
        for (int i = 0; i < READERS; i++) {
            uint64_t x = env_random64(&env.env) % 8;

            if (x == 0)
                client_stall(readers[i].c);
            else if (x == 1)
                client_trickle(readers[i].c);
            else if (x == 2)
                client_unstall(readers[i].c);
            if (x < 4 && !readers[i].c->reading_off) {
                client_feed(readers[i].c, "\xc0\0", 2);
                readers[i].pings++;
            }
        }
        net_run(&n);
        if (round % 4 == 0)
            for (int i = 0; i < READERS; i++)
                if (!readers[i].c->stalled)
                    read_all(&readers[i], len_of, qos_of);
    }
    for (int i = 0; i < READERS; i++) {
        uint32_t last[2] = {0};

        client_unstall(readers[i].c);
        read_all(&readers[i], len_of, qos_of);
        CHECK_ROW_INT(i, readers[i].responses, readers[i].pings);
        for (uint32_t k = 0; k < number; k++)
            last[qos_of[k]] = k + 1;
        CHECK_ROW_INT(i, readers[i].next[1], last[1]);
    }
    CHECK_INT(net_drops(&n, DROP_QUEUE_FULL), 0);
    net_fini(&n);
}

TEST_MAIN(test_sizes, test_behind_a_stream, test_stream_broken_off, test_answers_pile_up, test_dead,
          test_writes, test_in_front_of_a_range, test_many_pages, test_random)

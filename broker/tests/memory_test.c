/* memory_test: allocations that fail, each in turn, along what clients do: nobody crashes, nothing
 * leaks (net_fini() and the sanitizer look), the client is told the truth, and afterwards all is
 * well. Takeover, retained messages and routing between shards have such tests of their own. */
#include "base/log.h"
#include "base/mem.h"
#include "base/test.h"
#include "broker/purposes.h"
#include "mqtt/encode.h"
#include "net_support.h"

#include <fcntl.h>
#include <unistd.h>

struct play {
    struct net n;
    int version;
    struct client *c, *other; /* who does it; who has nothing to do with it */
    struct client *third;
    unsigned sent;
    uint64_t fails; /* number of the allocation that fails */
};

/* One thing to do: what comes before, what may fail, and what must be true then. failed: an
 * allocation has failed. */
struct scenario {
    unsigned shards;
    int first_version;
    void (*before)(struct play *p);
    void (*act)(struct play *p);
    void (*check)(struct play *p, bool failed);
};

static void check_others(struct play *p)
{
    struct client *fresh;
    struct mqtt_packet packet;

    while (client_next(p->other, &packet))
        ;
    fresh = net_client(&p->n, 0, p->version, "fresh");
    client_subscribe(fresh, "fresh", 1);
    client_publish(p->other, "fresh", "x", 1, false);
    client_expect_publish(fresh, "fresh", "x", 1, true);
}

/* Lets each allocation fail at each shard, in each version. */
static void play(const struct scenario *s)
{
    int quiet = open("/dev/null", O_WRONLY); /* each failure would be logged */

    for (int version = s->first_version; version <= MQTT_V5; version++) {
        for (unsigned shard = 0; shard < s->shards; shard++) {
            for (struct net_fail fail = {0}; net_fail_next(&fail);) {
                struct play p = {.version = version, .fails = fail.at};
                unsigned failures = CU_get_number_of_failures();

                net_init(&p.n, s->shards, NULL);
                log_configure(quiet, LOG_ERROR, LOG_TEXT);
                p.other = net_client(&p.n, s->shards - 1, version, "other");
                if (s->before != NULL)
                    s->before(&p);
                net_fail(&fail, &p.n, shard);
                s->act(&p);
                net_run(&p.n);
                net_fail_end(&fail);
                net_run(&p.n);
                s->check(&p, fail.more);
                check_others(&p);
                net_fini(&p.n);
                if (CU_get_number_of_failures() != failures) {
                    printf("  version %d, shard %u, allocation %u\n", version, shard,
                           (unsigned)fail.at);
                    break;
                }
            }
        }
    }
    log_configure(STDERR_FILENO, LOG_ERROR, LOG_TEXT);
    close(quiet);
}

/* Closed for want of memory, and, where there are words for it, told so. Frees the client. */
static void check_thrown_out(struct client *c)
{
    struct mqtt_packet p = {0};

    CHECK(c->closed);
    CHECK(c->why == CLOSE_NO_MEMORY ||
          (c->version == MQTT_V31 && c->why == CLOSE_IMPLEMENTATION)); /* a SUBACK only grants */
    while (c->in_at < c->in_len && c->why != CLOSE_NO_MEMORY && client_next(c, &p))
        ;
    if (c->greeted && c->version == MQTT_V5 && p.type == MQTT_DISCONNECT)
        CHECK_INT(p.reasoned.reason, MQTT_RC_SERVER_BUSY);
    client_drop(c);
}

/* ---- CONNECT ---- */

static void connect_all(struct play *p)
{
    struct mqtt_packet packet;
    struct connect_options o = {
        .id = "c", .expiry_s = 60, .will_topic = "will", .will_payload = "gone", .keep_alive_s = 9};

    client_connect_packet(&packet, p->version, &o);
    packet.connect.has_username = true;
    packet.connect.username = MQTT_STR("somebody");
    p->c = net_open(&p->n, 0, p->version);
    client_feed_packet(p->c, &packet);
}

/* Welcome with all it has asked for, or refused. */
static void check_connected(struct play *p, bool failed)
{
    struct client *watch = net_client(&p->n, 0, p->version, "watch");
    struct mqtt_packet packet;
    bool up;

    client_subscribe(watch, "will", 1);
    if (p->c->conn == NULL && !p->c->closed && client_quiet(p->c)) { /* not even a connection */
        CHECK(failed && p->c->why == CLOSE_NO_MEMORY);
        client_free(p->c);
        return;
    }
    up = client_expect(p->c, MQTT_CONNACK, &packet) && packet.connack.reason == 0;
    CHECK(up || failed);
    if (!up) {
        CHECK(packet.connack.reason == (p->version == 5 ? MQTT_RC_SERVER_BUSY : 3));
        CHECK(p->c->closed && client_quiet(p->c));
        client_drop(p->c);
        CHECK_INT(NET_COUNT(&p->n, connects_refused), 1);
    } else {
        client_subscribe(p->c, "t", 0);
        client_drop(p->c);
        client_expect_publish(watch, "will", "gone", 0, false);
    }
    CHECK(client_quiet(watch));
}

static void test_connect(void)
{
    play(&(struct scenario){1, MQTT_V31, NULL, connect_all, check_connected});
    play(&(struct scenario){2, MQTT_V5, NULL, connect_all, check_connected});
}

/* ---- SUBSCRIBE, UNSUBSCRIBE ---- */

static void be_there(struct play *p)
{
    p->c = net_client(&p->n, 0, p->version, "c");
}

static void subscribe_many(struct play *p)
{
    struct mqtt_packet packet = {.type = MQTT_SUBSCRIBE};
    static uint8_t filters[256];
    static const char *const texts[] = {"a/b", "+/+/c", "$share/g/q/#", "$share/h/1/2", "z"};
    size_t len = 0;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        len +=
            mqtt_encode_filter(text_str(texts[i]), false, 1, filters + len, sizeof filters - len);
    packet.subscribe.packet_id = 1;
    packet.subscribe.filters = (struct mqtt_str){filters, (uint32_t)len};
    packet.subscribe.count = ARRAY_LEN(texts);
    client_feed_packet(p->c, &packet);
}

/* What was granted is there, what was refused is not. */
static void check_subscribed(struct play *p, bool failed)
{
    static const char *const topics[] = {"a/b", "1/2/c", "q/r", "1/2", "z"};
    struct mqtt_packet packet;
    uint8_t codes[ARRAY_LEN(topics)];

    if (p->c->closed) {
        CHECK(failed);
        check_thrown_out(p->c);
        return;
    }
    if (!client_expect(p->c, MQTT_SUBACK, &packet) || !CHECK_INT(packet.suback.reasons.len, 5))
        return;
    memcpy(codes, packet.suback.reasons.p, sizeof codes);
    for (size_t i = 0; i < ARRAY_LEN(topics); i++) {
        bool granted = codes[i] < 0x80;

        CHECK(granted || failed);
        CHECK(granted || codes[i] == (p->version == 5 ? MQTT_RC_IMPLEMENTATION_ERROR : 0x80));
        client_publish(p->other, topics[i], "x", 1, false);
        CHECK_ROW_INT(i, client_quiet(p->c), !granted);
        if (granted)
            client_expect_publish(p->c, topics[i], "x", 1, true);
    }
}

static void test_subscribe(void)
{
    play(&(struct scenario){1, MQTT_V31, be_there, subscribe_many, check_subscribed});
    play(&(struct scenario){2, MQTT_V5, be_there, subscribe_many, check_subscribed});
}

static void be_subscribed(struct play *p)
{
    be_there(p);
    client_subscribe(p->c, "a/b", 1);
    client_subscribe(p->c, "+/b", 1);
}

static void unsubscribe_all(struct play *p)
{
    struct mqtt_packet packet = {.type = MQTT_UNSUBSCRIBE};

    packet.subscribe.packet_id = 9;
    packet.subscribe.filters = MQTT_STR("\0\3a/b\0\3+/b\0\1x");
    packet.subscribe.count = 3;
    client_feed_packet(p->c, &packet);
}

static void check_unsubscribed(struct play *p, bool failed)
{
    struct mqtt_packet packet;

    if (p->c->closed) {
        CHECK(failed);
        check_thrown_out(p->c);
        return;
    }
    client_expect(p->c, MQTT_UNSUBACK, &packet);
    client_publish(p->other, "a/b", "x", 1, false);
    CHECK(client_quiet(p->c));
}

static void test_unsubscribe(void)
{
    play(&(struct scenario){1, MQTT_V31, be_subscribed, unsubscribe_all, check_unsubscribed});
}

/* ---- PUBLISH ---- */

#define LARGE 100000

/* Three subscribers of all kinds; "other" publishes. */
static void have_subscribers(struct play *p)
{
    struct connect_options o = {.id = "c", .expiry_s = 60, .topic_alias_maximum = 3};

    p->c = net_connect(&p->n, 0, p->version, &o, NULL);
    client_subscribe_id(p->c, "a/+", 2, p->version == 5 ? 7 : 0);
    client_subscribe_id(p->c, "a/#", 1, p->version == 5 ? 8 : 0);
}

static void publish_one(struct play *p, uint8_t qos, uint32_t len, uint16_t id)
{
    static uint8_t payload[LARGE];
    struct mqtt_packet packet = {.type = MQTT_PUBLISH};

    payload[0] = (uint8_t)('0' + id);
    packet.publish.topic = MQTT_STR("a/b");
    packet.publish.payload = (struct mqtt_str){payload, len};
    packet.publish.qos = qos;
    packet.publish.packet_id = qos > 0 ? id : 0;
    if (p->version == MQTT_V5 && id % 2 == 0)
        MQTT_SET(&packet.publish.props, message_expiry_s, 100);
    client_feed_packet(p->other, &packet);
}

static void publish_small(struct play *p)
{
    for (p->sent = 0; p->sent < 6; p->sent++)
        publish_one(p, (uint8_t)(p->sent % 3), 10, (uint16_t)(p->sent + 1));
}

static void publish_large(struct play *p)
{
    for (p->sent = 0; p->sent < 3; p->sent++)
        publish_one(p, (uint8_t)(p->sent % 3), LARGE, (uint16_t)(p->sent + 1));
}

/* Each message gets to the subscriber whole and in order, or is counted, or was refused; a
 * publisher that is answered well has published. */
static void check_published(struct play *p, bool failed)
{
    struct client *sub = p->c;
    struct mqtt_packet packet;
    unsigned got = 0, answered = 0;
    uint8_t last = 0;
    int64_t lost = net_drops(&p->n, DROP_NO_MEMORY) + net_drops(&p->n, DROP_REFUSED);

    while (client_next(p->other, &packet)) {
        if (packet.type == MQTT_PUBACK || packet.type == MQTT_PUBREC)
            answered++;
    }
    while (!sub->closed && client_next(sub, &packet)) { /* may end in the middle of a packet */
        if (packet.type != MQTT_PUBLISH)
            continue;
        got++;
        CHECK(packet.publish.payload.p[0] > last);
        last = packet.publish.payload.p[0];
    }
    if (!failed)
        CHECK(answered == p->sent / 3 * 2 && got == p->sent && lost == 0);
    CHECK(got + lost >= p->sent || sub->closed || p->other->closed);
    if (sub->closed)
        check_thrown_out(sub);
    if (p->other->closed) {
        check_thrown_out(p->other);
        p->other = net_client(&p->n, 0, p->version, "another");
    }
}

static void test_publish(void)
{
    play(&(struct scenario){1, MQTT_V31, have_subscribers, publish_small, check_published});
    play(&(struct scenario){1, MQTT_V31, have_subscribers, publish_large, check_published});
    play(&(struct scenario){2, MQTT_V5, have_subscribers, publish_small, check_published});
    play(&(struct scenario){2, MQTT_V5, have_subscribers, publish_large, check_published});
}

/* QoS 2 needs memory for the identifier: without it the message is not taken, and that is said, or
 * the connection ends, so that the client sends it again. */
static void publish_qos2(struct play *p)
{
    client_feed_publish(p->c, "a/b", "once", 2, false);
}

static void have_watcher(struct play *p)
{
    client_subscribe(p->other, "a/b", 0);
    be_there(p);
}

static void check_taken_once(struct play *p, bool failed)
{
    struct mqtt_packet packet;
    bool taken =
        client_next(p->c, &packet) && packet.type == MQTT_PUBREC && packet.ack.reason < 0x80;

    CHECK(taken || failed);
    CHECK(taken || p->c->closed || (packet.type == MQTT_PUBREC && packet.ack.reason == 0x83));
    if (taken)
        client_expect_publish(p->other, "a/b", "once", 0, false);
    if (p->c->closed)
        check_thrown_out(p->c);
}

static void test_qos2(void)
{
    play(&(struct scenario){1, MQTT_V31, have_watcher, publish_qos2, check_taken_once});
}

/* Topic aliases of the client: the topic is kept, or the connection ends. */
static void publish_by_alias(struct play *p)
{
    client_feed(p->c,
                "\x30\x09\0\1a\3\x23\0\1"
                "1",
                11);
    client_feed(p->c,
                "\x30\x08\0\0\3\x23\0\1"
                "2",
                10);
}

static void check_alias(struct play *p, bool failed)
{
    struct mqtt_packet packet;
    int64_t got = 0;

    CHECK(failed || !p->c->closed);
    if (p->c->closed) {
        check_thrown_out(p->c);
        return;
    }
    while (client_next(p->other, &packet)) {
        CHECK(mqtt_str_eq(packet.publish.topic, MQTT_STR("a")));
        got++;
    }
    CHECK_INT(got + net_drops(&p->n, DROP_NO_MEMORY) + net_drops(&p->n, DROP_REFUSED), 2);
}

static void have_alias_watcher(struct play *p)
{
    client_subscribe(p->other, "a", 0);
    be_there(p);
}

static void test_alias(void)
{
    play(&(struct scenario){1, MQTT_V5, have_alias_watcher, publish_by_alias, check_alias});
}

/* ---- messages that wait ---- */

static void have_queue(struct play *p)
{
    struct connect_options o = {.id = "c", .expiry_s = 60, .receive_maximum = 2};

    p->c = net_connect(&p->n, 0, p->version, &o, NULL);
    client_subscribe(p->c, "a/b", 2);
    for (int i = 0; i < 4; i++)
        client_publish(p->other, "a/b", (char[]){(char)('1' + i), '\0'}, (uint8_t)(1 + i % 2),
                       false);
    client_drop(p->c);
}

static void come_back(struct play *p)
{
    struct connect_options o = {.id = "c", .expiry_s = 60, .receive_maximum = 2};

    p->c = net_start_connect(&p->n, 0, p->version, &o);
}

/* All four come, now or at the next attempt, or are counted. */
static void check_all_come(struct play *p, bool failed)
{
    bool got[4] = {false};
    unsigned n = 0;
    struct mqtt_packet packet;

    for (int attempt = 0; attempt < 2; attempt++) {
        while (client_next(p->c, &packet)) {
            if (packet.type == MQTT_PUBREL) {
                client_send_ack(p->c, MQTT_PUBCOMP, packet.ack.packet_id, 0);
            } else if (packet.type == MQTT_PUBLISH) {
                unsigned i = (unsigned)(packet.publish.payload.p[0] - '1') % 4;

                n += !got[i];
                got[i] = true;
                client_send_ack(p->c, packet.publish.qos == 1 ? MQTT_PUBACK : MQTT_PUBREC,
                                packet.publish.packet_id, 0);
            }
        }
        if (!p->c->closed && p->c->conn != NULL)
            break;
        client_drop(p->c);
        come_back(p);
        net_run(&p->n);
    }
    CHECK(failed || n == 4);
    CHECK(n == 4 || net_drops(&p->n, DROP_NO_MEMORY) > 0);
}

static void test_resume(void)
{
    play(&(struct scenario){1, MQTT_V311, have_queue, come_back, check_all_come});
}

/* To be put into the queue of a client that is away. */
static void be_away(struct play *p)
{
    struct connect_options o = {.id = "c", .expiry_s = 60};

    p->c = net_connect(&p->n, 0, p->version, &o, NULL);
    client_subscribe_id(p->c, "a/b", 2, p->version == 5 ? 1 : 0);
    client_subscribe_id(p->c, "a/+", 1, p->version == 5 ? 2 : 0);
    client_drop(p->c);
}

static void publish_twice(struct play *p)
{
    client_feed_publish(p->other, "a/b", "1", 1, false);
    client_feed_publish(p->other, "a/b", "2", 2, false);
}

static void check_queued(struct play *p, bool failed)
{
    struct connect_options o = {.id = "c", .expiry_s = 60};
    struct mqtt_packet packet;
    unsigned got = 0, answered = 0;

    while (client_next(p->other, &packet))
        answered += packet.type != MQTT_DISCONNECT && packet.ack.reason < 0x80;
    p->c = net_connect(&p->n, 0, p->version, &o, NULL);
    while (client_next(p->c, &packet))
        got += packet.type == MQTT_PUBLISH;
    CHECK(failed || got == 2);
    CHECK(got >= answered || net_drops(&p->n, DROP_NO_MEMORY) >= (int64_t)(answered - got));
    if (p->other->closed) {
        check_thrown_out(p->other);
        p->other = net_client(&p->n, 0, p->version, "another");
    }
}

static void test_queue(void)
{
    play(&(struct scenario){1, MQTT_V311, be_away, publish_twice, check_queued});
}

/* ---- shared subscriptions ---- */

static void share(struct play *p)
{
    struct connect_options o = {.id = "c", .expiry_s = 60};

    p->c = net_connect(&p->n, 0, p->version, &o, NULL);
    client_subscribe(p->c, "$share/1/a/b", 1);
    client_subscribe(p->c, "$share/2/a/b", 1);
    client_subscribe(p->c, "$share/3/a/b", 1);
    client_subscribe(net_client(&p->n, p->n.broker->n_shards - 1, p->version, "d"), "$share/2/a/+",
                     1);
}

static void publish_to_groups(struct play *p)
{
    for (int i = 0; i < 3; i++)
        client_feed_publish(p->other, "a/b", "1", 1, false);
}

static void check_shared(struct play *p, bool failed)
{
    struct mqtt_packet packet;
    unsigned got = 0, answered = 0;

    while (client_next(p->other, &packet))
        answered += packet.type == MQTT_PUBACK && packet.ack.reason < 0x80;
    while (client_next(p->c, &packet))
        got += packet.type == MQTT_PUBLISH;
    CHECK(failed || (got == 9 && answered == 3));
    CHECK(got >= answered * 3 || net_drops(&p->n, DROP_NO_MEMORY) > 0 || p->c->closed);
    if (p->other->closed) {
        check_thrown_out(p->other);
        p->other = net_client(&p->n, 0, p->version, "another");
    }
}

static void test_share(void)
{
    play(&(struct scenario){1, MQTT_V5, share, publish_to_groups, check_shared});
    play(&(struct scenario){3, MQTT_V5, share, publish_to_groups, check_shared});
}

/* A member changes its options, and ends with what it has not acknowledged. */
static void leave_group(struct play *p)
{
    p->c = net_client(&p->n, 0, p->version, "c");
    client_subscribe(p->c, "$share/1/a/b", 1);
    client_publish(p->other, "a/b", "1", 1, false);
    p->third = net_client(&p->n, p->n.broker->n_shards - 1, p->version, "third");
    client_subscribe(p->third, "$share/1/a/b", 1);
}

static void end_in_group(struct play *p)
{
    client_feed(p->c, "\x82\x12\0\1\0\0\x0c$share/1/a/b\0", 20);
    client_feed(p->c, "\xe0\0", 2);
}

static void check_left(struct play *p, bool failed)
{
    client_drop(p->c);
    client_publish(p->other, "a/b", "2", 1, false);
    CHECK(failed || net_drops(&p->n, DROP_NO_MEMORY) == 0);
    CHECK_INT(NET_COUNT(&p->n, shared_subscriptions), !p->third->closed);
}

static void test_leave_group(void)
{
    play(&(struct scenario){1, MQTT_V5, leave_group, end_in_group, check_left});
    play(&(struct scenario){2, MQTT_V5, leave_group, end_in_group, check_left});
}

/* ---- the broker itself ---- */

static void test_scratch(void)
{
    struct net n;
    struct shard *sh;
    struct scratch s = {0};
    uint8_t *p;

    net_init(&n, 1, NULL);
    sh = n.broker->shards[0];
    mem_fail_at(sh->mem, 1);
    CHECK(scratch_reserve(sh, &s, 10) == NULL);
    p = scratch_reserve(sh, &s, 10);
    CHECK(p != NULL && s.cap >= 10);
    CHECK(scratch_reserve(sh, &s, s.cap) == p);
    mem_fail_at(sh->mem, 1);
    CHECK(scratch_reserve(sh, &s, s.cap + 1) == NULL);
    CHECK(s.p == p); /* what there was is still there */
    CHECK(scratch_reserve(sh, &s, 100000) != NULL && s.cap >= 100000);
    mem_release(sh->mem, FOR_SHARD, s.p);
    net_fini(&n);
}

TEST_MAIN(test_connect, test_subscribe, test_unsubscribe, test_publish, test_qos2, test_alias,
          test_resume, test_queue, test_share, test_leave_group, test_scratch)

/* keep_alive_test: one and a half intervals of silence, to the millisecond.
 *                                                               [v5 3.1.2.10] [v3 3.1.2.10] */
#include "base/test.h"
#include "net_support.h"

static struct client *connect_for(struct net *n, int version, uint16_t keep_alive_s)
{
    return net_connect(
        n, 0, version,
        &(struct connect_options){.id = "c", .clean = true, .keep_alive_s = keep_alive_s}, NULL);
}

/* It is there until then, and is closed at that moment. */
static void expect_end(struct net *n, struct client *c, uint64_t ms)
{
    net_sleep(n, ms - 1);
    CHECK(!c->closed && client_quiet(c));
    net_sleep(n, 1);
    CHECK_INT(c->why, CLOSE_KEEP_ALIVE);
    client_expect_disconnect(c, MQTT_RC_KEEP_ALIVE_TIMEOUT);
}

/* [v5 MQTT-3.1.2-22] [v3 MQTT-3.1.2-24] */
static void silence(int version)
{
    static const uint16_t intervals_s[] = {1, 2, 3, 60, UINT16_MAX};

    for (size_t i = 0; i < ARRAY_LEN(intervals_s); i++) {
        struct net n;

        net_init(&n, 1, NULL);
        expect_end(&n, connect_for(&n, version, intervals_s[i]), intervals_s[i] * UINT64_C(1500));
        net_fini(&n);
    }
}

static void test_silence(void)
{
    each_version(silence);
}

static void off(int version)
{
    struct net n;
    struct client *c;

    net_init(&n, 1, NULL);
    c = connect_for(&n, version, 0);
    net_sleep(&n, 1000000000);
    CHECK(!c->closed && client_quiet(c));
    net_fini(&n);
}

static void test_off(void)
{
    each_version(off);
}

/* Where the server has a limit a 5.0 client is told and held to it; others are not, and keep their
 * own [v5 MQTT-3.1.2-21] [v5 MQTT-3.2.2-22]. */
static void limit(int version)
{
    static const uint16_t asked_s[] = {0, 9, 11};

    for (size_t i = 0; i < ARRAY_LEN(asked_s); i++) {
        struct broker_config config = broker_config_default();
        struct net n;
        struct client *c;
        uint16_t interval_s = asked_s[i];

        config.max_keep_alive_s = 10;
        if (version == 5 && (interval_s == 0 || interval_s > 10))
            interval_s = 10;
        net_init(&n, 1, &config);
        c = connect_for(&n, version, asked_s[i]);
        if (interval_s > 0)
            expect_end(&n, c, interval_s * UINT64_C(1500));
        else
            net_sleep(&n, 1000000);
        CHECK_INT(net_closes(&n, CLOSE_KEEP_ALIVE), interval_s > 0);
        net_fini(&n);
    }
}

static void test_limit(void)
{
    each_version(limit);
}

/* Any whole packet is a sign of life, whenever it comes; the time runs from the last one. */
static void signs_of_life(int version)
{
    static const struct {
        const char *v3, *v5;
        uint8_t v3_len, v5_len;
    } packets[] = {
        {"\xc0\0", "\xc0\0", 2, 2},                         /* PINGREQ */
        {"\x30\3\0\1t", "\x30\4\0\1t\0", 5, 6},             /* PUBLISH */
        {"\x40\2\0\1", "\x40\2\0\1", 4, 4},                 /* PUBACK */
        {"\x62\2\0\1", "\x62\2\0\1", 4, 4},                 /* PUBREL */
        {"\x82\6\0\1\0\1x\0", "\x82\7\0\1\0\0\1x\0", 8, 9}, /* SUBSCRIBE */
        {"\xa2\5\0\1\0\1x", "\xa2\6\0\1\0\0\1x", 7, 8},     /* UNSUBSCRIBE */
    };
    static const uint64_t waits_ms[] = {1, 1499, 2998, 2999};

    for (size_t i = 0; i < ARRAY_LEN(packets); i++) {
        struct net n;
        struct client *c;
        struct mqtt_packet p;

        net_init(&n, 1, NULL);
        c = connect_for(&n, version, 2);
        for (size_t k = 0; k < 20; k++) {
            net_sleep(&n, waits_ms[k % ARRAY_LEN(waits_ms)]);
            if (version == 5)
                client_send(c, packets[i].v5, packets[i].v5_len);
            else
                client_send(c, packets[i].v3, packets[i].v3_len);
            CHECK_ROW(i, !c->closed);
        }
        while (client_next(c, &p))
            ;
        expect_end(&n, c, 3000);
        net_fini(&n);
    }
}

static void test_signs_of_life(void)
{
    each_version(signs_of_life);
}

/* Half a packet is none, nor is what the client gets. */
static void no_sign_of_life(int version)
{
    struct net n;
    struct client *c, *pub;

    net_init(&n, 1, NULL);
    pub = net_client(&n, 0, version, "pub");
    c = connect_for(&n, version, 2);
    client_subscribe(c, "t", 0);
    net_sleep(&n, 1000);
    client_publish(pub, "t", "x", 0, false);
    client_expect_publish(c, "t", "x", 0, false);
    client_send(c, "\xc0", 1);
    net_sleep(&n, 1000);
    client_publish(pub, "t", "x", 0, false);
    client_expect_publish(c, "t", "x", 0, false);
    expect_end(&n, c, 1000);
    net_fini(&n);
}

static void test_no_sign_of_life(void)
{
    each_version(no_sign_of_life);
}

/* A client that takes nothing is not exempt; it cannot be told. */
static void stalled(int version)
{
    struct net n;
    struct client *c;

    net_init(&n, 1, NULL);
    c = connect_for(&n, version, 2);
    client_stall(c);
    client_send(c, "\xc0\0", 2);
    net_sleep(&n, 2999);
    CHECK(!c->closed);
    net_sleep(&n, 1);
    CHECK_INT(c->why, CLOSE_KEEP_ALIVE);
    CHECK_INT(c->in_len - c->in_at, 2);
    net_fini(&n);
}

static void test_stalled(void)
{
    each_version(stalled);
}

/* A publisher that is not read from because memory is short cannot be heard: it has an interval
 * from when it is read from again. */
static void held_back(int version)
{
    struct net n;
    struct client *c;

    net_init(&n, 1, NULL);
    c = connect_for(&n, version, 2);
    atomic_store(&n.broker->memory_pressure, MEMORY_HIGH);
    client_publish(c, "t", "x", 0, false);
    CHECK(c->reading_off);
    net_sleep(&n, 10000);
    CHECK(!c->closed && c->reading_off);
    atomic_store(&n.broker->memory_pressure, MEMORY_OK);
    net_sleep(&n, 2); /* the next look */
    CHECK(!c->reading_off);
    expect_end(&n, c, 3000);
    net_fini(&n);
}

static void test_held_back(void)
{
    each_version(held_back);
}

TEST_MAIN(test_silence, test_off, test_limit, test_signs_of_life, test_no_sign_of_life,
          test_stalled, test_held_back)

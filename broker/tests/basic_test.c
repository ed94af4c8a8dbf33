/* basic: a thin line through the broker: connect, subscribe, publish at every QoS, in every
 * version, on one shard and across shards. */
#include "base/test.h"
#include "net_support.h"

static void test_pubsub(void)
{
    for (unsigned shards = 1; shards <= 3; shards++) {
        for (int version = 3; version <= 5; version++) {
            for (uint8_t qos = 0; qos <= 2; qos++) {
                struct net n;
                struct client *sub, *pub;

                net_init(&n, shards, NULL);
                sub = net_client(&n, 0, version, "sub");
                pub = net_client(&n, shards - 1, version, "pub");
                client_subscribe(sub, "a/+", qos);
                client_publish(pub, "a/b", "hello", qos, false);
                client_expect_publish(sub, "a/b", "hello", qos, true);
                client_publish(pub, "a", "not for you", qos, false);
                CHECK(client_quiet(sub));
                CHECK(client_quiet(pub));
                net_fini(&n);
            }
        }
    }
}

static void test_retained(void)
{
    for (unsigned shards = 1; shards <= 3; shards++) {
        struct net n;
        struct client *sub, *pub;
        struct mqtt_packet p;

        net_init(&n, shards, NULL);
        pub = net_client(&n, 0, 5, "pub");
        client_publish(pub, "state/lamp", "on", 1, true);
        sub = net_client(&n, shards - 1, 4, "sub");
        client_subscribe(sub, "state/#", 1);
        client_expect(sub, MQTT_PUBLISH, &p);
        CHECK(p.publish.retain);
        CHECK(mqtt_str_eq(p.publish.payload, text_str("on")));
        client_publish(pub, "state/lamp", "", 1, true);
        client_expect(sub, MQTT_PUBLISH, &p);
        CHECK(!p.publish.retain);
        client_subscribe(sub, "state/lamp", 1);
        CHECK(client_quiet(sub));
        net_fini(&n);
    }
}

static void test_offline_and_takeover(void)
{
    for (unsigned shards = 1; shards <= 3; shards++) {
        struct net n;
        struct connect_options keep = {.id = "sub", .expiry_s = 3600};
        struct client *sub, *pub, *again;
        struct mqtt_packet p;
        bool present;

        net_init(&n, shards, NULL);
        pub = net_client(&n, 0, 5, "pub");
        sub = net_connect(&n, 0, 5, &keep, &present);
        CHECK(!present);
        client_subscribe(sub, "t", 2);
        client_publish(pub, "t", "1", 2, false);
        again = net_connect(&n, shards - 1, 5, &keep, &present);
        CHECK(present);
        client_expect_publish(sub, "t", "1", 2, false);
        client_expect(sub, MQTT_DISCONNECT, &p);
        CHECK_INT(p.reasoned.reason, MQTT_RC_SESSION_TAKEN_OVER);
        CHECK(sub->closed);
        client_expect_publish(again, "t", "1", 2, true);
        client_drop(again);
        client_publish(pub, "t", "2", 1, false);
        client_publish(pub, "t", "3", 2, false);
        again = net_connect(&n, 0, 5, &keep, &present);
        CHECK(present);
        client_expect_publish(again, "t", "2", 1, true);
        client_expect_publish(again, "t", "3", 2, true);
        CHECK(client_quiet(again));
        net_fini(&n);
    }
}

TEST_MAIN(test_pubsub, test_retained, test_offline_and_takeover)

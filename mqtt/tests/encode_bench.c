/* encode_bench: what a broker sends all day. Instructions as in decode_bench.c. */
#include "mqtt/encode.h"

#include "base/bench.h"

static const struct mqtt_str topic = MQTT_STR("sensor/1");

static void head(int version, uint8_t qos, struct mqtt_str props, uint64_t n)
{
    struct mqtt_publish_head h = {
        .topic = topic, .props = props, .payload_len = 64, .packet_id = 7, .qos = qos};
    uint8_t out[128];
    size_t id_at;

    while (n-- > 0) {
        bench_use(&h);
        if (mqtt_encode_publish_head(&h, version, out, sizeof out, &id_at) == 0)
            abort();
        bench_use(out);
    }
}

static void any(struct mqtt_packet p, int version, uint64_t n)
{
    uint8_t out[128];

    while (n-- > 0) {
        bench_use(&p);
        if (mqtt_encode(&p, version, out, sizeof out) == 0)
            abort();
        bench_use(out);
    }
}

static void head_311(uint64_t n)
{
    head(MQTT_V311, 0, MQTT_STR(""), n);
}

static void head_5(uint64_t n)
{
    head(MQTT_V5, 0, MQTT_STR(""), n);
}

static void head_5_qos1_props(uint64_t n)
{
    head(MQTT_V5, 1, MQTT_STR("\1\1\3\0\x0atext/plain"), n);
}

static void publish_5(uint64_t n)
{
    any((struct mqtt_packet){.type = MQTT_PUBLISH,
                             .publish = {.topic = topic, .payload = MQTT_STR("0123456789")}},
        MQTT_V5, n);
}

static void puback_5(uint64_t n)
{
    any((struct mqtt_packet){.type = MQTT_PUBACK, .ack = {.packet_id = 7}}, MQTT_V5, n);
}

static void connack_5(uint64_t n)
{
    struct mqtt_packet p = {.type = MQTT_CONNACK};

    MQTT_SET(&p.connack.props, receive_maximum, 100);
    MQTT_SET(&p.connack.props, topic_alias_maximum, 10);
    MQTT_SET(&p.connack.props, assigned_client_id, MQTT_STR("auto-0123456789"));
    any(p, MQTT_V5, n);
}

BENCH_MAIN({"publish-head-3.1.1", head_311}, {"publish-head-5.0", head_5},
           {"publish-head-5.0-qos1", head_5_qos1_props}, {"publish-5.0", publish_5},
           {"puback-5.0", puback_5}, {"connack-5.0", connack_5})

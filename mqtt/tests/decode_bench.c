/* decode_bench: mqtt_frame() and decoding of one packet. For the instructions of a row, which a
 * build without LTO keeps apart by function:
 *
 *     valgrind --tool=callgrind --callgrind-out-file=out mqtt_decode_bench publish-3.1.1 10000
 *     callgrind_annotate --inclusive=yes --auto=no out | grep mqtt_
 *
 * To hold: at most 150 for mqtt_frame() and mqtt_decode_publish() together, in publish-3.1.1 and
 * publish-5.0. */
#include "mqtt/decode.h"

#include "base/bench.h"

#define TOPIC   "sensor/1"
#define PAYLOAD "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void publish(struct mqtt_str bytes, int version, uint64_t n)
{
    struct mqtt_publish out;
    struct mqtt_frame frame;

    while (n-- > 0) {
        bench_use(&bytes); /* as if it had changed */
        if (mqtt_frame(bytes.p, bytes.len, version, MQTT_CLIENT, UINT32_MAX, &frame) != 0 ||
            mqtt_decode_publish(&frame, bytes.p, version, MQTT_CLIENT, &out) != 0)
            abort();
        bench_use(&out);
    }
}

static void any(struct mqtt_str bytes, int version, uint64_t n)
{
    struct mqtt_packet out;
    struct mqtt_frame frame;

    while (n-- > 0) {
        bench_use(&bytes);
        if (mqtt_frame(bytes.p, bytes.len, version, MQTT_CLIENT, UINT32_MAX, &frame) != 0 ||
            mqtt_decode(&frame, bytes.p, version, MQTT_CLIENT, &out) != 0)
            abort();
        bench_use(&out);
    }
}

static void publish_311(uint64_t n)
{
    publish(MQTT_STR("\x30\x4a\0\x08" TOPIC PAYLOAD), MQTT_V311, n);
}

static void publish_5(uint64_t n)
{
    publish(MQTT_STR("\x30\x4b\0\x08" TOPIC "\0" PAYLOAD), MQTT_V5, n);
}

static void publish_5_alias(uint64_t n)
{
    publish(MQTT_STR("\x32\x50\0\x08" TOPIC "\0\1\x03\x23\0\1" PAYLOAD), MQTT_V5, n);
}

static void publish_5_props(uint64_t n)
{
    publish(MQTT_STR("\x32\x6a\0\x08" TOPIC "\0\1\x1d"
                     "\1\1"
                     "\2\0\0\0\x3c"
                     "\3\0\x0atext/plain"
                     "\x26\0\2id\0\2"
                     "42" PAYLOAD),
            MQTT_V5, n);
}

static void publish_311_long_topic(uint64_t n)
{
    publish(MQTT_STR("\x30\x65\0\x23"
                     "building/7/floor/2/room/19/humidity" PAYLOAD),
            MQTT_V311, n);
}

static void puback_5(uint64_t n)
{
    any(MQTT_STR("\x40\x02\0\1"), MQTT_V5, n);
}

static void subscribe_5(uint64_t n)
{
    any(MQTT_STR("\x82\x0e\0\1\0\0\x08" TOPIC "\1"), MQTT_V5, n);
}

static void connect_5(uint64_t n)
{
    any(MQTT_STR("\x10\x15\0\4MQTT\5\2\0\x3c\0\0\x08"
                 "client-1"),
        0, n);
}

BENCH_MAIN({"publish-3.1.1", publish_311}, {"publish-3.1.1-topic-35", publish_311_long_topic},
           {"publish-5.0", publish_5}, {"publish-5.0-alias", publish_5_alias},
           {"publish-5.0-4-props", publish_5_props}, {"puback-5.0", puback_5},
           {"subscribe-5.0", subscribe_5}, {"connect-5.0", connect_5})

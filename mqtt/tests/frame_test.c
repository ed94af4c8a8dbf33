/* frame_test: fixed headers, and where packets end. */
#include "mqtt/frame.h"

#include "mqtt/tests/judge_support.h"

static bool in_list(uint8_t byte, const char *list)
{
    char hex[4];

    snprintf(hex, sizeof hex, "%02X", byte);
    return strstr(list, hex) != NULL;
}

/* Every first byte: right, the other side's to send, or malformed. Lists from the standards' tables
 * of packet types and flags [v5 MQTT-2.1.3-1] [v3 MQTT-2.2.2-1] [v3 MQTT-2.2.2-2]. */
static void first_bytes(void)
{
#define PUBLISH_HEADS "30 31 32 33 34 35 3A 3B 3C 3D "
    static const struct {
        int version;
        const char *client, *server;
    } rows[] = {
        {3, "10 40 50 62 6A 70 82 8A A2 AA C0 E0 " PUBLISH_HEADS,
         "20 40 50 62 6A 70 90 B0 D0 " PUBLISH_HEADS},
        {4, "10 40 50 62 70 82 A2 C0 E0 " PUBLISH_HEADS, "20 40 50 62 70 90 B0 D0 " PUBLISH_HEADS},
        {5, "10 40 50 62 70 82 A2 C0 E0 F0 " PUBLISH_HEADS,
         "20 40 50 62 70 90 B0 D0 E0 F0 " PUBLISH_HEADS},
    };
    struct mqtt_frame f;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (unsigned byte = 0; byte <= 0xff; byte++) {
            uint8_t data[2] = {(uint8_t)byte, 0};
            bool client = in_list(data[0], rows[i].client);
            bool server = in_list(data[0], rows[i].server);
            int from_client = client ? 0 : server ? PE : MP;
            int from_server = server ? 0 : client ? PE : MP;

            CHECK_ROW_INT(byte, mqtt_frame(data, 2, rows[i].version, C, 99, &f), from_client);
            CHECK_ROW_INT(byte, mqtt_frame(data, 2, rows[i].version, S, 99, &f), from_server);
            /* The first byte is enough. */
            CHECK_ROW_INT(byte, mqtt_frame(data, 1, rows[i].version, C, 99, &f),
                          from_client == 0 ? -EAGAIN : from_client);
        }
    }
}

/* Before a CONNECT: that one by its rules, all others whatever their flags, type 0 never. */
static void first_bytes_without_version(void)
{
    struct mqtt_frame f;

    for (unsigned byte = 0; byte <= 0xff; byte++) {
        uint8_t data[2] = {(uint8_t)byte, 0};
        bool good = byte >= 0x20 || byte == 0x10;

        CHECK_ROW_INT(byte, mqtt_frame(data, 2, 0, C, 99, &f), good ? 0 : MP);
    }
    CHECK_INT(mqtt_frame((const uint8_t[]){0x10, 0}, 2, 0, S, 99, &f), PE);
}

static void remaining_length(void)
{
    static const struct {
        const char *text; /* after the first byte */
        int rc;
        uint32_t body_len;
        unsigned header_len;
    } rows[] = {
        {"", -EAGAIN, 0, 0},
        {"00", 0, 0, 2},
        {"7F", -EAGAIN, 127, 2},
        {"80", -EAGAIN, 0, 0},
        {"80 01", -EAGAIN, 128, 3},
        {"FF 7F", -EAGAIN, 16383, 3},
        {"80 80 01", -EAGAIN, 16384, 4},
        {"FF FF 7F", -EAGAIN, 2097151, 4},
        {"80 80 80 01", -EAGAIN, 2097152, 5},
        {"FF FF FF 7F", -EAGAIN, 268435455, 5},
        {"FF FF FF", -EAGAIN, 0, 0},
        /* Longer than needed, or than four bytes [v5 MQTT-1.5.5-1] */
        {"80 00", MP, 0, 0},
        {"FF 00", MP, 0, 0},
        {"80 80 00", MP, 0, 0},
        {"80 80 80 00", MP, 0, 0},
        {"80 80 80 80", MP, 0, 0},
        {"FF FF FF FF 01", MP, 0, 0},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[32];
        struct mqtt_frame f;
        struct wire w;

        snprintf(text, sizeof text, "30 %s", rows[i].text);
        w = wire_parse(text);
        memset(&f, 0xff, sizeof f);
        CHECK_ROW_INT(i, mqtt_frame(w.p, w.len, 4, C, UINT32_MAX, &f), rows[i].rc);
        if (rows[i].header_len > 0) {
            CHECK_ROW_INT(i, f.head, 0x30);
            CHECK_ROW_INT(i, f.header_len, rows[i].header_len);
            CHECK_ROW_INT(i, f.body_len, rows[i].body_len);
            CHECK_ROW_INT(i, f.total, rows[i].header_len + rows[i].body_len);
        } else if (rows[i].rc == -EAGAIN) {
            CHECK_ROW_INT(i, f.total, 0);
        }
        wire_free(&w);
    }
}

static void nothing_yet(void)
{
    struct mqtt_frame f = {.total = 9};

    CHECK_INT(mqtt_frame(NULL, 0, 5, C, UINT32_MAX, &f), -EAGAIN);
    CHECK_INT(f.total, 0);
}

/* As soon as the length is known, and by the size of the whole packet. */
static void too_large(void)
{
    static const uint8_t small[] = {0x30, 100}, large[] = {0x30, 0x80, 0x01};
    struct mqtt_frame f;

    CHECK_INT(mqtt_frame(small, 2, 5, C, 102, &f), -EAGAIN);
    CHECK_INT(mqtt_frame(small, 2, 5, C, 101, &f), MQTT_RC_PACKET_TOO_LARGE);
    CHECK_INT(f.total, 102);
    CHECK_INT(mqtt_frame(large, 3, 5, C, 131, &f), -EAGAIN);
    CHECK_INT(mqtt_frame(large, 3, 5, C, 130, &f), MQTT_RC_PACKET_TOO_LARGE);
    CHECK_INT(f.total, 131);
    CHECK_INT(mqtt_frame(large, 2, 5, C, 1, &f), -EAGAIN);
}

/* The next packet does not matter. */
static void more_than_one(void)
{
    static const uint8_t data[] = {0xc0, 0x00, 0xff, 0xff};
    struct mqtt_frame f;

    CHECK_INT(mqtt_frame(data, sizeof data, 5, C, UINT32_MAX, &f), 0);
    CHECK_INT(f.total, 2);
}

static void varints(void)
{
    static const struct {
        uint32_t value;
        unsigned size;
        uint8_t bytes[4];
    } rows[] = {
        {0, 1, {0x00}},
        {1, 1, {0x01}},
        {127, 1, {0x7f}},
        {128, 2, {0x80, 0x01}},
        {321, 2, {0xc1, 0x02}},
        {16383, 2, {0xff, 0x7f}},
        {16384, 3, {0x80, 0x80, 0x01}},
        {2097151, 3, {0xff, 0xff, 0x7f}},
        {2097152, 4, {0x80, 0x80, 0x80, 0x01}},
        {MQTT_MAX_REMAINING, 4, {0xff, 0xff, 0xff, 0x7f}},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t out[4];

        CHECK_ROW_INT(i, mqtt_varint_size(rows[i].value), rows[i].size);
        CHECK_ROW_INT(i, mqtt_varint_write(out, rows[i].value), rows[i].size);
        CHECK_BYTES(out, rows[i].size, rows[i].bytes, rows[i].size);
    }
}

static void type_names(void)
{
    CHECK(strcmp(mqtt_type_name(MQTT_CONNECT), "CONNECT") == 0);
    CHECK(strcmp(mqtt_type_name(MQTT_PUBCOMP), "PUBCOMP") == 0);
    CHECK(strcmp(mqtt_type_name(MQTT_AUTH), "AUTH") == 0);
    CHECK(strcmp(mqtt_type_name(0), "reserved") == 0);
    CHECK(strcmp(mqtt_type_name(16), "reserved") == 0);
}

TEST_MAIN(first_bytes, first_bytes_without_version, remaining_length, nothing_yet, too_large,
          more_than_one, varints, type_names)

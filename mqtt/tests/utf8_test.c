/* utf8_test: well-formed and ill-formed sequences at every offset of the eight-byte words. */
#include "mqtt/utf8.h"

#include "base/test.h"

#define LONGEST 40

static const struct row {
    const char *bytes;
    size_t len;
    bool valid; /* apart from U+0000 */
} rows[] = {
#define GOOD(s)                \
    {                          \
        s, sizeof(s) - 1, true \
    }
#define BAD(s)                  \
    {                           \
        s, sizeof(s) - 1, false \
    }
    GOOD("a"),
    GOOD("\x01"),
    GOOD("\x7f"),
    /* The ends of each range [RFC 3629, section 4] */
    GOOD("\xc2\x80"),
    GOOD("\xdf\xbf"),
    GOOD("\xe0\xa0\x80"),
    GOOD("\xe1\x80\x80"),
    GOOD("\xec\xbf\xbf"),
    GOOD("\xed\x9f\xbf"),
    GOOD("\xee\x80\x80"),
    GOOD("\xef\xbf\xbf"),
    GOOD("\xf0\x90\x80\x80"),
    GOOD("\xf1\x80\x80\x80"),
    GOOD("\xf3\xbf\xbf\xbf"),
    GOOD("\xf4\x8f\xbf\xbf"),
    GOOD("\xef\xbb\xbf"), /* U+FEFF is a character like others [v5 MQTT-1.5.4-3] */
    GOOD("\xef\xb7\x90"), /* a non-character */
    /* Overlong, surrogates, above U+10FFFF [v5 MQTT-1.5.4-1] [v3 MQTT-1.5.3-1] */
    BAD("\xc0\x80"),
    BAD("\xc1\xbf"),
    BAD("\xe0\x80\x80"),
    BAD("\xe0\x9f\xbf"),
    BAD("\xf0\x80\x80\x80"),
    BAD("\xf0\x8f\xbf\xbf"),
    BAD("\xed\xa0\x80"),
    BAD("\xed\xbf\xbf"),
    BAD("\xed\xa0\xbd\xed\xb8\x80"),
    BAD("\xf4\x90\x80\x80"),
    BAD("\xf5\x80\x80\x80"),
    BAD("\xff"),
    BAD("\xfe"),
    /* Alone, cut short, or followed by something else */
    BAD("\x80"),
    BAD("\xbf"),
    BAD("\xc2"),
    BAD("\xc2\x41"),
    BAD("\xc2\xc0"),
    BAD("\xe1\x80"),
    BAD("\xe1\x80\x41"),
    BAD("\xe1\x80\xc0"),
    BAD("\xf1\x80\x80"),
    BAD("\xf1\x80\x80\x41"),
    BAD("\xf1\x80\x41\x80"),
    BAD("\xf1\x80\x80\xff"),
};

/* Before, between and after ASCII, in a block of its exact size: ASan sees a byte read past it. */
static void everywhere(void)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t before = 0; before < 20; before++) {
            for (size_t after = 0; after < 20; after++) {
                uint32_t len = (uint32_t)(before + rows[i].len + after);
                uint8_t *p = malloc(len);

                memset(p, 'x', len);
                memcpy(p + before, rows[i].bytes, rows[i].len);
                CHECK_ROW_INT(i, mqtt_utf8_valid((struct mqtt_str){p, len}), rows[i].valid);
                CHECK_ROW_INT(i, mqtt_utf8_payload_valid((struct mqtt_str){p, len}), rows[i].valid);
                free(p);
            }
        }
    }
}

/* U+0000: never in a string [v5 MQTT-1.5.4-2] [v3 MQTT-1.5.3-2], but in a payload. */
static void zero(void)
{
    for (uint32_t len = 1; len < LONGEST; len++) {
        for (uint32_t at = 0; at < len; at++) {
            uint8_t *p = malloc(len);

            memset(p, 'x', len);
            p[at] = 0;
            CHECK(!mqtt_utf8_valid((struct mqtt_str){p, len}));
            CHECK(mqtt_utf8_payload_valid((struct mqtt_str){p, len}));
            free(p);
        }
    }
}

static void empty(void)
{
    CHECK(mqtt_utf8_valid((struct mqtt_str){NULL, 0}));
    CHECK(mqtt_utf8_payload_valid((struct mqtt_str){NULL, 0}));
}

/* Every character of one to four bytes, and every lead byte with every second one. */
static void every_character(void)
{
    for (uint32_t c = 1; c <= 0x10ffff; c++) {
        uint8_t p[4];
        uint32_t n = 1;

        if (c < 0x80) {
            p[0] = (uint8_t)c;
        } else if (c < 0x800) {
            p[0] = (uint8_t)(0xc0 | c >> 6);
            n = 2;
        } else if (c < 0x10000) {
            p[0] = (uint8_t)(0xe0 | c >> 12);
            n = 3;
        } else {
            p[0] = (uint8_t)(0xf0 | c >> 18);
            n = 4;
        }
        for (uint32_t i = 1; i < n; i++)
            p[i] = (uint8_t)(0x80 | (c >> 6 * (n - 1 - i) & 0x3f));
        if (mqtt_utf8_valid((struct mqtt_str){p, n}) != (c < 0xd800 || c > 0xdfff)) {
            CHECK_ROW(c, false);
            return;
        }
    }
    CHECK(true);
}

TEST_MAIN(everywhere, zero, empty, every_character)

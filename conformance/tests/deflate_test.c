/* deflate_test: permessage-deflate from the client's side. */
#include "base/test.h"
#include "conformance/deflate.h"

static void test_parameters(void)
{
    static const struct {
        const char *element;
        int good;
        unsigned server_bits, client_bits;
        int server_no_context, client_no_context;
    } rows[] = {
        {"permessage-deflate", 1, 15, 15, 0, 0},
        {"permessage-deflate; server_no_context_takeover", 1, 15, 15, 1, 0},
        {"Permessage-Deflate;client_no_context_takeover ; server_max_window_bits=9", 1, 9, 15, 0,
         1},
        {"permessage-deflate; client_max_window_bits=\"10\"", 1, 15, 10, 0, 0},
        {"permessage-deflate; server_max_window_bits=7", 0, 0, 0, 0, 0},
        {"permessage-deflate; server_max_window_bits=16", 0, 0, 0, 0, 0},
        {"permessage-deflate; server_max_window_bits=09", 0, 0, 0, 0, 0},
        {"permessage-deflate; server_max_window_bits", 0, 0, 0, 0, 0},
        {"permessage-deflate; server_no_context_takeover=1", 0, 0, 0, 0, 0},
        {"permessage-deflate; client_max_window_bits=9; client_max_window_bits=9", 0, 0, 0, 0, 0},
        {"permessage-deflate; foo", 0, 0, 0, 0, 0},
        {"x-deflate", 0, 0, 0, 0, 0},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct arena a = {NULL};
        struct deflate_terms t;

        CHECK_ROW_INT(i, deflate_parse(&a, rows[i].element, &t) == NULL, rows[i].good);
        if (rows[i].good) {
            CHECK_ROW_INT(i, t.server_bits, rows[i].server_bits);
            CHECK_ROW_INT(i, t.client_bits, rows[i].client_bits);
            CHECK_ROW_INT(i, t.server_no_context, rows[i].server_no_context);
            CHECK_ROW_INT(i, t.client_no_context, rows[i].client_no_context);
        }
        arena_fini(&a);
    }
}

/* What one end compresses the other inflates: two of ours, with every kind of block. */
static void test_styles(void)
{
    struct deflate_terms terms = {.server_bits = 15, .client_bits = 15};
    struct arena a = {NULL};
    struct deflate *out = deflate_new(&terms), *in = deflate_new(&terms);

    for (int style = DEFLATE_USUAL; style <= DEFLATE_BLOCKS; style++)
        for (unsigned n = 0; n < 3; n++) {
            char *text = arena_printf(&a, "%0500u hello hello hello %0100u", n, n);
            struct mqtt_str data = {(const uint8_t *)text, (uint32_t)strlen(text)};
            struct mqtt_str packed = deflate_compress(out, &a, data, (enum deflate_style)style);
            struct mqtt_str got = deflate_inflate(in, &a, packed, true);

            CHECK_ROW(style, mqtt_str_eq(got, data));
            if (style == DEFLATE_FINAL) { /* both begin anew */
                deflate_free(&out);
                deflate_free(&in);
                out = deflate_new(&terms);
                in = deflate_new(&terms);
            }
        }
    deflate_free(&out);
    deflate_free(&in);
    arena_fini(&a);
}

/* The examples of RFC 7692 7.2.3: "Hello" in a fixed block, as a whole, in two pieces, and
 * referring back. */
static void test_examples(void)
{
    struct deflate_terms terms = {.server_bits = 15, .client_bits = 15};
    struct arena a = {NULL};
    struct deflate *d = deflate_new(&terms);
    struct mqtt_str whole = MQTT_STR("\xf2\x48\xcd\xc9\xc9\x07\x00"), got;

    CHECK(mqtt_str_eq(deflate_inflate(d, &a, whole, true), MQTT_STR("Hello")));
    got = deflate_inflate(d, &a, MQTT_STR("\xf2\x00\x11\x00\x00"), true);
    CHECK(mqtt_str_eq(got, MQTT_STR("Hello")));
    deflate_free(&d);
    d = deflate_new(&terms);
    CHECK(deflate_inflate(d, &a, MQTT_STR("\xf2\x48\xcd"), false).p != NULL);
    CHECK(deflate_inflate(d, &a, MQTT_STR("\xc9\xc9\x07\x00"), true).p != NULL);
    got = deflate_inflate(d, &a, MQTT_STR("\xff\xff\xff\xff\xff\xff"), true);
    CHECK(got.p == NULL);
    deflate_free(&d);
    arena_fini(&a);
}

TEST_MAIN(test_parameters, test_styles, test_examples)

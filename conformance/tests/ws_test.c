/* ws_test: frames and handshakes of WebSocket. */
#include "base/test.h"
#include "conformance/ws.h"

static void test_frames_come_back(void)
{
    static const uint32_t sizes[] = {0, 1, 125, 126, 65535, 65536};
    struct arena a = {NULL};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int masked = 0; masked < 2; masked++) {
            struct ws_frame f = {.fin = true,
                                 .opcode = WS_BINARY,
                                 .masked = masked != 0,
                                 .length_bytes = 1,
                                 .mask = {1, 2, 3, 4},
                                 .payload = {arena_alloc(&a, sizes[i] + 1u), sizes[i]}};
            struct mqtt_str bytes = ws_build(&a, &f);
            struct ws_frame got;

            CHECK_ROW_INT(i, ws_parse(bytes.p, bytes.len, &got), bytes.len);
            CHECK_ROW_INT(i, ws_parse(bytes.p, bytes.len - 1, &got), 0);
            ws_parse(bytes.p, bytes.len, &got);
            CHECK_ROW(i, got.fin && got.opcode == WS_BINARY && got.masked == f.masked);
            CHECK_ROW_INT(i, got.announced, sizes[i]);
            CHECK_ROW_INT(i, got.length_bytes, sizes[i] < 126 ? 0 : sizes[i] < 65536 ? 2 : 8);
            if (got.masked)
                ws_mask((uint8_t *)(uintptr_t)got.payload.p, got.payload.len, got.mask);
            CHECK_ROW(i, mqtt_str_eq(got.payload, f.payload));
        }
    arena_fini(&a);
}

/* The frame of RFC 6455 5.7: a masked "Hello". */
static void test_example(void)
{
    struct arena a = {NULL};
    struct ws_frame f = {.fin = true,
                         .opcode = WS_TEXT,
                         .masked = true,
                         .length_bytes = 1,
                         .mask = {0x37, 0xfa, 0x21, 0x3d},
                         .payload = MQTT_STR("Hello")};
    struct mqtt_str bytes = ws_build(&a, &f);

    CHECK_BYTES(bytes.p, bytes.len, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11);
    arena_fini(&a);
}

static void test_frames_that_are_wrong(void)
{
    struct arena a = {NULL};
    struct ws_frame f = {.rsv = 4, .opcode = 3, .length_bytes = 8, .payload = MQTT_STR("x")};
    struct mqtt_str bytes = ws_build(&a, &f);

    CHECK_BYTES(bytes.p, bytes.len, "\x43\x7f\0\0\0\0\0\0\0\1x", 11);
    f.announced = UINT64_C(0x8000000000000001);
    bytes = ws_build(&a, &f);
    CHECK_INT(bytes.p[2], 0x80);
    CHECK_INT(ws_parse(bytes.p, bytes.len, &f), 0);
    arena_fini(&a);
}

static void test_close_codes(void)
{
    static const unsigned legal[] = {1000, 1003, 1007, 1014, 3000, 4999};
    static const unsigned illegal[] = {0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535};

    for (size_t i = 0; i < sizeof legal / sizeof legal[0]; i++)
        CHECK_ROW(i, ws_close_code_legal(legal[i]));
    for (size_t i = 0; i < sizeof illegal / sizeof illegal[0]; i++)
        CHECK_ROW(i, !ws_close_code_legal(illegal[i]));
    CHECK_INT(ws_close_code(MQTT_STR("\x03\xe8"
                                     "bye")),
              1000);
    CHECK_INT(ws_close_code(MQTT_STR("")), 1005);
}

static void test_handshake(void)
{
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade:  websocket \r\n"
                                 "connection: keep-alive, Upgrade\r\nX: 1\r\nx: 2\r\n\r\nrest";
    struct arena a = {NULL};
    struct ws_response r = {0};

    CHECK(strcmp(ws_accept(&a, "dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == 0);
    CHECK_INT(strlen(ws_key(&a, (const uint8_t *)"0123456789abcdef")), 24);
    CHECK(!ws_parse_response(&a, (const uint8_t *)answer, 40, &r));
    CHECK(ws_parse_response(&a, (const uint8_t *)answer, sizeof answer - 1, &r));
    CHECK_INT(r.status, 101);
    CHECK_INT(r.size, sizeof answer - 1 - 4);
    CHECK(strcmp(ws_header(&a, &r, "UPGRADE", 0), "websocket") == 0);
    CHECK(ws_has_token(ws_header(&a, &r, "Connection", 0), "upgrade"));
    CHECK(!ws_has_token(ws_header(&a, &r, "Connection", 0), "keep"));
    CHECK(strcmp(ws_header(&a, &r, "x", 1), "2") == 0);
    CHECK(ws_header(&a, &r, "x", 2) == NULL);
    CHECK(!ws_has_token(NULL, "x"));
    CHECK(ws_parse_response(&a, (const uint8_t *)"nonsense\r\n\r\n", 12, &r) && r.status == 0);
    arena_fini(&a);
}

TEST_MAIN(test_frames_come_back, test_example, test_frames_that_are_wrong, test_close_codes,
          test_handshake)

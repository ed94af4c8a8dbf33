/* ws: see RFC 6455 5.2 for the picture of a frame. */
#include "conformance/ws.h"

#include "base/str.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include <mbedtls/base64.h>
#include <mbedtls/sha1.h>

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

static uint8_t *put_length(uint8_t *p, const struct ws_frame *f, uint64_t n)
{
    unsigned bytes = f->length_bytes;

    if (bytes == 1)
        bytes = n < 126 ? 0 : n < 65536 ? 2 : 8;
    *p++ = (uint8_t)((f->masked ? 0x80u : 0u) | (bytes == 0 ? n & 0x7f : bytes == 2 ? 126 : 127));
    for (unsigned i = bytes; i > 0; i--)
        *p++ = (uint8_t)(n >> (8 * (i - 1)));
    return p;
}

struct mqtt_str ws_build(struct arena *a, const struct ws_frame *f)
{
    uint8_t *bytes = arena_alloc(a, f->payload.len + 14u), *p = bytes;

    *p++ = (uint8_t)((f->fin ? 0x80u : 0u) | (unsigned)f->rsv << 4 | f->opcode);
    p = put_length(p, f, f->announced != 0 ? f->announced : f->payload.len);
    if (f->masked) {
        memcpy(p, f->mask, 4);
        p += 4;
    }
    if (f->payload.len > 0)
        memcpy(p, f->payload.p, f->payload.len);
    if (f->masked)
        ws_mask(p, f->payload.len, f->mask);
    return (struct mqtt_str){bytes, (uint32_t)(p - bytes) + f->payload.len};
}

size_t ws_parse(const uint8_t *data, size_t len, struct ws_frame *out)
{
    size_t need = 2;

    if (len < need)
        return 0;
    *out = (struct ws_frame){.fin = data[0] >> 7,
                             .rsv = data[0] >> 4 & 7,
                             .opcode = data[0] & 15,
                             .masked = data[1] >> 7,
                             .announced = data[1] & 0x7f};
    out->length_bytes = out->announced == 126 ? 2 : out->announced == 127 ? 8 : 0;
    need += out->length_bytes + (out->masked ? 4u : 0u);
    if (len < need)
        return 0;
    if (out->length_bytes > 0)
        out->announced = 0;
    for (unsigned i = 0; i < out->length_bytes; i++)
        out->announced = out->announced << 8 | data[2 + i];
    if (out->masked)
        memcpy(out->mask, data + need - 4, 4);
    if (out->announced > UINT32_MAX - 14 || len - need < out->announced)
        return 0;
    out->payload = (struct mqtt_str){data + need, (uint32_t)out->announced};
    return need + (size_t)out->announced;
}

void ws_mask(uint8_t *data, size_t len, const uint8_t mask[4])
{
    for (size_t i = 0; i < len; i++)
        data[i] ^= mask[i % 4];
}

bool ws_close_code_legal(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

unsigned ws_close_code(struct mqtt_str payload)
{
    return payload.len < 2 ? 1005u : (unsigned)(payload.p[0] << 8 | payload.p[1]);
}

const char *ws_opcode_name(unsigned opcode)
{
    static const char *const names[16] = {[WS_CONTINUATION] = "continuation",
                                          [WS_TEXT] = "text",
                                          [WS_BINARY] = "binary",
                                          [WS_CLOSE] = "Close",
                                          [WS_PING] = "Ping",
                                          [WS_PONG] = "Pong"};

    return opcode < 16 && names[opcode] != NULL ? names[opcode] : "reserved opcode";
}

static char *base64(struct arena *a, const uint8_t *data, size_t n)
{
    size_t size = 4 * ((n + 2) / 3) + 1, written;
    char *out = arena_alloc(a, size);

    mbedtls_base64_encode((unsigned char *)out, size, &written, data, n);
    return out;
}

char *ws_key(struct arena *a, const uint8_t random[16])
{
    return base64(a, random, 16);
}

char *ws_accept(struct arena *a, const char *key)
{
    char *text = arena_printf(a, "%s" GUID, key);
    uint8_t hash[20];

    mbedtls_sha1_ret((const unsigned char *)text, strlen(text), hash);
    return base64(a, hash, sizeof hash);
}

/* ---- HTTP ---- */

bool ws_parse_response(struct arena *a, const uint8_t *data, size_t len, struct ws_response *out)
{
    const uint8_t *end = len == 0 ? NULL : memmem(data, len, "\r\n\r\n", 4);
    int version = 0, status = 0;
    char *head;

    if (end == NULL)
        return false;
    head = (char *)(uintptr_t)arena_copy(a, (struct mqtt_str){data, (uint32_t)(end - data)}).p;
    *out = (struct ws_response){.head = head, .size = (size_t)(end - data) + 4};
    if (sscanf(head, "HTTP/1.%1d %3d", &version, &status) == 2)
        out->status = (unsigned)status;
    return true;
}

const char *ws_header(struct arena *a, const struct ws_response *r, const char *name, unsigned n)
{
    struct str rest = str_from(r->head);

    str_cut(&rest, '\n'); /* the status line */
    while (rest.p != NULL) {
        struct str value = str_cut(&rest, '\n');
        struct str field = str_cut(&value, ':');

        if (value.p == NULL || !str_eq_nocase(field, str_from(name)) || n-- > 0)
            continue;
        value = str_trim(value);
        return arena_printf(a, "%.*s", (int)value.len, value.p);
    }
    return NULL;
}

bool ws_has_token(const char *list, const char *token)
{
    struct str rest = str_from(list == NULL ? "" : list);

    while (rest.p != NULL)
        if (str_eq_nocase(str_trim(str_cut(&rest, ',')), str_from(token)))
            return true;
    return false;
}

/* wire: a recursive descent over the notation. A group is composed into bytes of its own first,
 * because its length stands before it. */
#include "conformance/wire.h"

#include "base/assert.h"
#include "mqtt/frame.h"

#include <ctype.h>

struct out {
    struct arena *arena;
    uint8_t *p;
    size_t len, cap;
};

static void put(struct out *o, const void *data, size_t n)
{
    if (n > o->cap - o->len) {
        size_t cap = 2 * (o->len + n) + 64;

        o->p = arena_grow(o->arena, o->p, o->len, cap);
        o->cap = cap;
    }
    if (n > 0)
        memcpy(o->p + o->len, data, n);
    o->len += n;
}

static void put_u16_length(struct out *o, size_t n)
{
    uint8_t two[2] = {(uint8_t)(n >> 8), (uint8_t)n};

    ASSERT(n <= UINT16_MAX);
    put(o, two, 2);
}

static void put_varint_length(struct out *o, size_t n)
{
    uint8_t bytes[4];

    put(o, bytes, mqtt_varint_write(bytes, (uint32_t)n));
}

static unsigned digit(char c)
{
    ASSERT(isxdigit((unsigned char)c));
    return (unsigned)(isdigit((unsigned char)c) ? c - '0' : (c | 0x20) - 'a' + 10);
}

static const char *text(struct out *o, const char *at, char end, bool with_length)
{
    const char *close = strchr(at, end);

    ASSERT(close != NULL);
    if (with_length)
        put_u16_length(o, (size_t)(close - at));
    put(o, at, (size_t)(close - at));
    return close + 1;
}

static const char *items(struct out *o, const char *at, char end);

/* What stands up to end, with its length before it. */
static const char *group(struct out *o, const char *at, char end,
                         void (*put_length)(struct out *o, size_t n))
{
    struct out inner = {.arena = o->arena};
    const char *rest = items(&inner, at, end);

    put_length(o, inner.len);
    put(o, inner.p, inner.len);
    return rest;
}

static const char *hex(struct out *o, const char *at)
{
    uint8_t byte = (uint8_t)(digit(at[0]) << 4 | digit(at[1]));

    put(o, &byte, 1);
    return at + 2;
}

/* Up to end, which is skipped unless it ends the whole or a packet. */
static const char *items(struct out *o, const char *at, char end)
{
    while (*at != end && !(end == ';' && *at == '\0')) {
        switch (*at) {
        case ' ': at++; break;
        case ';': at++; break;
        case '<': at = text(o, at + 1, '>', true); break;
        case '[': at = text(o, at + 1, ']', false); break;
        case '{': at = group(o, at + 1, '}', put_u16_length); break;
        case '(': at = group(o, at + 1, ')', put_varint_length); break;
        case '#': at = group(o, at + 1, ';', put_varint_length); break;
        default: at = hex(o, at); break;
        }
    }
    return *at == '\0' || end == ';' ? at : at + 1;
}

struct mqtt_str wire_vcompose(struct arena *a, const char *format, va_list args)
{
    struct out o = {.arena = a};

    items(&o, arena_vprintf(a, format, args), '\0');
    return (struct mqtt_str){o.p, (uint32_t)o.len};
}

struct mqtt_str wire_compose(struct arena *a, const char *format, ...)
{
    struct mqtt_str s;
    va_list args;

    va_start(args, format);
    s = wire_vcompose(a, format, args);
    va_end(args);
    return s;
}

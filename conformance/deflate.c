/* deflate: zlib, without its headers. */
#include "conformance/deflate.h"

#include "base/str.h"

#include <stdlib.h>
#include <strings.h>

#include <zlib.h>

struct deflate {
    struct deflate_terms terms;
    z_stream in, out;
};

/* ---- parameters ---- */

static bool bits_value(struct str text, unsigned *out)
{
    if (text.p == NULL)
        return false;
    if (text.len == 1 && text.p[0] >= '8' && text.p[0] <= '9')
        *out = (unsigned)(text.p[0] - '0');
    else if (text.len == 2 && text.p[0] == '1' && text.p[1] >= '0' && text.p[1] <= '5')
        *out = 10 + (unsigned)(text.p[1] - '0');
    else
        return false;
    return true;
}

static struct str unquote(struct str s)
{
    if (s.p != NULL && s.len >= 2 && s.p[0] == '"' && s.p[s.len - 1] == '"')
        return (struct str){s.p + 1, s.len - 2};
    return s;
}

static const char *take_parameter(struct arena *a, struct str name, struct str value,
                                  struct deflate_terms *out, unsigned *seen)
{
    static const char *const names[] = {"server_no_context_takeover", "client_no_context_takeover",
                                        "server_max_window_bits", "client_max_window_bits"};
    unsigned *bits[] = {NULL, NULL, &out->server_bits, &out->client_bits};
    bool *flags[] = {&out->server_no_context, &out->client_no_context, NULL, NULL};

    for (unsigned i = 0; i < 4; i++) {
        if (!str_eq_nocase(name, str_from(names[i])))
            continue;
        if ((*seen >> i & 1) != 0)
            return arena_printf(a, "%s is there twice", names[i]);
        *seen |= 1u << i;
        if (flags[i] != NULL && value.p != NULL)
            return arena_printf(a, "%s has a value", names[i]);
        if (flags[i] != NULL)
            *flags[i] = true;
        else if (!bits_value(unquote(value), bits[i]))
            return arena_printf(a, "%s is not 8 to 15", names[i]);
        return NULL;
    }
    return arena_printf(a, "unknown parameter %.*s", (int)name.len, name.p);
}

const char *deflate_parse(struct arena *a, const char *element, struct deflate_terms *out)
{
    struct str rest = str_from(element), name = str_trim(str_cut(&rest, ';'));
    unsigned seen = 0;

    *out = (struct deflate_terms){.server_bits = 15, .client_bits = 15};
    if (!str_eq_nocase(name, STR("permessage-deflate")))
        return arena_printf(a, "extension %.*s", (int)name.len, name.p);
    while (rest.p != NULL) {
        struct str value = str_trim(str_cut(&rest, ';'));
        struct str parameter = str_trim(str_cut(&value, '='));
        const char *error =
            take_parameter(a, parameter, value.p == NULL ? value : str_trim(value), out, &seen);

        if (error != NULL)
            return error;
    }
    return NULL;
}

/* ---- data ---- */

/* zlib cannot compress with a window of 256 bytes; one of 512 whose data stay short serves. */
static int window(unsigned bits)
{
    return bits < 9 ? -9 : -(int)bits;
}

struct deflate *deflate_new(const struct deflate_terms *terms)
{
    struct deflate *d = calloc(1, sizeof *d);

    if (d == NULL)
        return NULL;
    d->terms = *terms;
    if (inflateInit2(&d->in, -(int)(terms->server_bits)) != Z_OK ||
        deflateInit2(&d->out, Z_DEFAULT_COMPRESSION, Z_DEFLATED, window(terms->client_bits), 8,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        deflate_free(&d);
    return d;
}

void deflate_free(struct deflate **d)
{
    if (*d == NULL)
        return;
    inflateEnd(&(*d)->in);
    deflateEnd(&(*d)->out);
    free(*d);
    *d = NULL;
}

struct sink {
    struct arena *arena;
    uint8_t *p;
    size_t len, cap;
};

static void room(struct sink *s, z_stream *z)
{
    if (s->cap - s->len < 256) {
        size_t cap = 2 * s->cap + 1024;

        s->p = arena_grow(s->arena, s->p, s->len, cap);
        s->cap = cap;
    }
    z->next_out = s->p + s->len;
    z->avail_out = (unsigned)(s->cap - s->len);
}

static bool inflate_bytes(struct deflate *d, struct sink *s, const uint8_t *p, size_t n)
{
    z_stream *z = &d->in;
    int rc = Z_OK;

    z->next_in = (Bytef *)(uintptr_t)p;
    z->avail_in = (unsigned)n;
    do {
        room(s, z);
        rc = inflate(z, Z_SYNC_FLUSH);
        s->len = s->cap - z->avail_out;
        if (rc == Z_STREAM_END) /* a block with BFINAL: what follows begins anew */
            inflateReset(z);
        else if (rc != Z_OK && rc != Z_BUF_ERROR)
            return false;
    } while (z->avail_in > 0 || z->avail_out == 0);
    return true;
}

struct mqtt_str deflate_inflate(struct deflate *d, struct arena *a, struct mqtt_str data, bool end)
{
    static const uint8_t tail[] = {0, 0, 0xff, 0xff};
    struct sink s = {.arena = a};

    if (!inflate_bytes(d, &s, data.p, data.len) ||
        (end && !inflate_bytes(d, &s, tail, sizeof tail)))
        return (struct mqtt_str){NULL, 0};
    if (end && d->terms.server_no_context)
        inflateReset(&d->in);
    if (s.p == NULL)
        s.p = arena_alloc(a, 1);
    return (struct mqtt_str){s.p, (uint32_t)s.len};
}

static void compress_bytes(struct deflate *d, struct sink *s, struct mqtt_str data, int flush)
{
    z_stream *z = &d->out;

    z->next_in = (Bytef *)(uintptr_t)data.p;
    z->avail_in = data.len;
    do {
        room(s, z);
        deflate(z, flush);
        s->len = s->cap - z->avail_out;
    } while (z->avail_out == 0);
}

static void set_style(struct deflate *d, struct sink *s, enum deflate_style style)
{
    int level = style == DEFLATE_STORED ? 0 : Z_DEFAULT_COMPRESSION;
    int strategy = style == DEFLATE_FIXED ? Z_FIXED : Z_DEFAULT_STRATEGY;

    d->out.next_in = NULL;
    d->out.avail_in = 0;
    room(s, &d->out);
    deflateParams(&d->out, level, strategy);
    s->len = s->cap - d->out.avail_out;
}

struct mqtt_str deflate_compress(struct deflate *d, struct arena *a, struct mqtt_str data,
                                 enum deflate_style style)
{
    struct sink s = {.arena = a};
    uint32_t half = data.len / 2;

    set_style(d, &s, style);
    if (style == DEFLATE_FINAL) { /* ends with the byte 00, as RFC 7692 7.2.3.4 shows */
        compress_bytes(d, &s, data, Z_FINISH);
        deflateReset(&d->out);
        room(&s, &d->out);
        s.p[s.len++] = 0;
        return (struct mqtt_str){s.p, (uint32_t)s.len};
    }
    if (style == DEFLATE_BLOCKS) {
        compress_bytes(d, &s, mqtt_str_part(data, 0, half), Z_FULL_FLUSH);
        data = mqtt_str_part(data, half, data.len - half);
    }
    compress_bytes(d, &s, data, Z_SYNC_FLUSH);
    if (d->terms.client_no_context)
        deflateReset(&d->out);
    return (struct mqtt_str){s.p, (uint32_t)(s.len >= 4 ? s.len - 4 : 0)};
}

#include "ws/tests/zip_support.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

struct zip {
    z_stream out, in;
    bool send_forgets, receive_forgets;
    uint8_t *p;
    size_t len, cap;
};

struct zip *zip_new(int send_bits, int receive_bits, bool send_forgets, bool receive_forgets)
{
    struct zip *z = calloc(1, sizeof *z);
    int rc = deflateInit2(&z->out, 6, Z_DEFLATED, -send_bits, 8, Z_DEFAULT_STRATEGY);

    z->send_forgets = send_forgets;
    z->receive_forgets = receive_forgets;
    if (rc == Z_OK)
        rc = inflateInit2(&z->in, -receive_bits);
    ASSERT(rc == Z_OK);
    return z;
}

void zip_free(struct zip *z)
{
    if (z == NULL)
        return;
    deflateEnd(&z->out);
    inflateEnd(&z->in);
    free(z->p);
    free(z);
}

static void room(struct zip *z, z_stream *s)
{
    if (z->cap - z->len < 4096) {
        z->cap = z->cap * 2 + 65536;
        z->p = realloc(z->p, z->cap);
        ASSERT(z->p != NULL);
    }
    s->next_out = z->p + z->len;
    s->avail_out = (uInt)(z->cap - z->len);
}

static void feed(z_stream *s, const void *data, size_t len)
{
    s->next_in = (Bytef *)(uintptr_t)data;
    s->avail_in = (uInt)len;
}

bool zip_deflate(struct zip *z, const void *data, size_t len)
{
    z->len = 0;
    feed(&z->out, data, len);
    do {
        int rc;

        room(z, &z->out);
        rc = deflate(&z->out, Z_SYNC_FLUSH);
        if (rc != Z_OK && rc != Z_BUF_ERROR)
            return false;
        z->len = (size_t)(z->out.next_out - z->p);
    } while (z->out.avail_out == 0);
    if (z->len < 4 || memcmp(z->p + z->len - 4, "\0\0\377\377", 4) != 0)
        return false;
    z->len -= 4; /* [RFC 7692 7.2.1] */
    return !z->send_forgets || deflateReset(&z->out) == Z_OK;
}

static bool inflate_some(struct zip *z, const void *data, size_t len)
{
    int rc;

    feed(&z->in, data, len);
    do {
        room(z, &z->in);
        rc = inflate(&z->in, Z_SYNC_FLUSH);
        z->len = (size_t)(z->in.next_out - z->p);
        if (rc != Z_OK && rc != Z_BUF_ERROR)
            return false;
    } while (z->in.avail_in > 0 || z->in.avail_out == 0);
    return true;
}

bool zip_inflate(struct zip *z, const void *data, size_t len, bool last)
{
    z->len = 0;
    if (!inflate_some(z, data, len) || (last && !inflate_some(z, "\0\0\377\377", 4)))
        return false;
    return !last || !z->receive_forgets || inflateReset(&z->in) == Z_OK;
}

const uint8_t *zip_output(const struct zip *z)
{
    return z->p;
}

size_t zip_output_len(const struct zip *z)
{
    return z->len;
}

/* deflate: see deflate.h. */
#include "ws/deflate.h"

#include "base/assert.h"
#include "base/mem.h"
#include "broker/purposes.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#define MEM_LEVEL 4    /* of zlib: a hash table of 8 KiB */
#define OWN_COST  6000 /* bytes of zlib's own structs, either direction */

/* What every message ends with, and what is left out of it [RFC 7692 7.2.1]. */
static const uint8_t tail[] = {0, 0, 0xff, 0xff};

struct deflate {
    struct mem *mem;
    struct deflate_terms terms;
    int level;
    bool packing, unpacking; /* the streams are there */
    z_stream out, in;
};

/* ---- agreeing ---- */

/* "10", also in quotes; 0: not a number from 8 to 15 as it has to be written. */
static unsigned window_bits(struct str v)
{
    if (v.len >= 2 && v.p[0] == '"' && v.p[v.len - 1] == '"')
        v = (struct str){v.p + 1, v.len - 2};
    if (v.len == 1 && (v.p[0] == '8' || v.p[0] == '9'))
        return (unsigned)(v.p[0] - '0');
    if (v.len == 2 && v.p[0] == '1' && v.p[1] >= '0' && v.p[1] <= '5')
        return 10 + (unsigned)(v.p[1] - '0');
    return 0;
}

static bool set_flag(bool *flag, bool has_value)
{
    bool first = !*flag;

    *flag = true;
    return first && !has_value;
}

/* value.p NULL: none was given, which only one parameter allows. */
static bool set_bits(bool *tell, uint8_t *bits, struct str value, bool may_be_bare)
{
    bool first = !*tell;
    unsigned n = value.p != NULL ? window_bits(value) : may_be_bare ? DEFLATE_BITS_MAX : 0;

    *tell = true;
    if (!first || n < DEFLATE_BITS_MIN)
        return false;
    *bits = n < *bits ? (uint8_t)n : *bits;
    return true;
}

static bool take_parameter(struct str parameter, struct deflate_terms *t)
{
    struct str value = parameter, name = str_trim(str_cut(&value, '='));

    if (value.p != NULL)
        value = str_trim(value);
    if (str_eq(name, STR("server_no_context_takeover")))
        return set_flag(&t->server_forgets, value.p != NULL);
    if (str_eq(name, STR("client_no_context_takeover")))
        return set_flag(&t->client_forgets, value.p != NULL);
    if (str_eq(name, STR("server_max_window_bits")))
        return set_bits(&t->tell_server_bits, &t->server_bits, value, false);
    if (str_eq(name, STR("client_max_window_bits")))
        return set_bits(&t->tell_client_bits, &t->client_bits, value, true);
    return false;
}

static bool take_offer(struct str offer, uint8_t max_bits, struct deflate_terms *out)
{
    struct deflate_terms t = {.server_bits = max_bits, .client_bits = max_bits};

    if (!str_eq(str_trim(str_cut(&offer, ';')), STR("permessage-deflate")))
        return false;
    while (offer.p != NULL)
        if (!take_parameter(str_trim(str_cut(&offer, ';')), &t))
            return false;
    if (!t.tell_client_bits)
        t.client_bits = DEFLATE_BITS_MAX; /* it would not understand [RFC 7692 7.1.2.2] */
    *out = t;
    return true;
}

bool deflate_agree(struct str offers, uint8_t max_bits, struct deflate_terms *out)
{
    while (offers.p != NULL)
        if (take_offer(str_cut(&offers, ','), max_bits, out))
            return true;
    return false;
}

size_t deflate_answer(const struct deflate_terms *t, char out[DEFLATE_ANSWER_MAX])
{
    char server[40] = "", client[40] = "";

    if (t->tell_server_bits)
        snprintf(server, sizeof server, "; server_max_window_bits=%u", t->server_bits);
    if (t->tell_client_bits)
        snprintf(client, sizeof client, "; client_max_window_bits=%u", t->client_bits);
    return (size_t)snprintf(out, DEFLATE_ANSWER_MAX, "%s%s%s%s",
                            t->server_forgets ? "; server_no_context_takeover" : "",
                            t->client_forgets ? "; client_no_context_takeover" : "", server,
                            client);
}

size_t deflate_cost(const struct deflate_terms *t)
{
    size_t out = ((size_t)1 << (t->server_bits + 2)) + ((size_t)1 << (MEM_LEVEL + 9));

    return out + ((size_t)1 << t->client_bits) + 2 * OWN_COST;
}

/* ---- life ---- */

static voidpf z_alloc(voidpf mem, uInt items, uInt size)
{
    return mem_try_alloc(mem, FOR_TRANSPORT, (size_t)items * size);
}

static void z_free(voidpf mem, voidpf block)
{
    mem_release(mem, FOR_TRANSPORT, block);
}

struct deflate *deflate_new(struct mem *mem, const struct deflate_terms *t, int level)
{
    struct deflate *d = mem_try_zalloc(mem, FOR_TRANSPORT, sizeof *d);

    if (d == NULL)
        return NULL;
    d->mem = mem;
    d->terms = *t;
    d->level = level;
    d->out.zalloc = d->in.zalloc = z_alloc;
    d->out.zfree = d->in.zfree = z_free;
    d->out.opaque = d->in.opaque = mem;
    return d;
}

void deflate_free(struct deflate **deflate)
{
    struct deflate *d = *deflate;

    *deflate = NULL;
    if (d == NULL)
        return;
    if (d->packing)
        deflateEnd(&d->out);
    if (d->unpacking)
        inflateEnd(&d->in);
    mem_release(d->mem, FOR_TRANSPORT, d);
}

/* ---- packing ---- */

static bool reserve(struct deflate_buffer *b, size_t size)
{
    uint8_t *p;

    if (size <= b->cap)
        return true;
    p = realloc(b->p, size);
    if (p == NULL)
        return false;
    b->p = p;
    b->cap = size;
    return true;
}

static bool start_packing(struct deflate *d)
{
    if (!d->packing)
        d->packing = deflateInit2(&d->out, d->level, Z_DEFLATED, -d->terms.server_bits, MEM_LEVEL,
                                  Z_DEFAULT_STRATEGY) == Z_OK;
    return d->packing;
}

size_t deflate_pack(struct deflate *d, const uint8_t *data, size_t len, struct deflate_buffer *b,
                    size_t headroom)
{
    size_t room = deflateBound(NULL, len) + sizeof tail + 16; /* bits of before, end of a block */
    size_t packed;
    int rc;

    if (!start_packing(d) || !reserve(b, headroom + room))
        return 0;
    d->out.next_in = (Bytef *)(uintptr_t)data;
    d->out.avail_in = (uInt)len;
    d->out.next_out = b->p + headroom;
    d->out.avail_out = (uInt)room;
    rc = deflate(&d->out, Z_SYNC_FLUSH);
    ASSERT(rc == Z_OK && d->out.avail_in == 0 && d->out.avail_out > 0);
    packed = room - d->out.avail_out;
    ASSERT(packed > sizeof tail);
    if (d->terms.server_forgets)
        deflateReset(&d->out);
    return packed - sizeof tail;
}

/* ---- unpacking ---- */

static enum deflate_result unpack_some(struct deflate *d, uint8_t *buf, deflate_fn *fn, void *arg)
{
    do {
        size_t n;
        int rc;

        d->in.next_out = buf;
        d->in.avail_out = DEFLATE_UNPACK_SIZE;
        rc = inflate(&d->in, Z_SYNC_FLUSH);
        n = DEFLATE_UNPACK_SIZE - d->in.avail_out;
        if (rc == Z_MEM_ERROR)
            return DEFLATE_NO_MEMORY;
        /* A block said that it is the last one; what follows may refer to it all the same
         * [RFC 7692 7.2.3.4]: begin anew, but keep the window. (A copy of the window, out and in
         * again, would make two bytes of input cost 64 KiB of copying.) */
        if (rc == Z_STREAM_END)
            inflateResetKeep(&d->in);
        if (rc != Z_OK && rc != Z_STREAM_END && (rc != Z_BUF_ERROR || d->in.avail_in > 0))
            return DEFLATE_BAD;
        if (n > 0 && !fn(arg, buf, n))
            return DEFLATE_STOPPED;
    } while (d->in.avail_in > 0 || d->in.avail_out == 0);
    return DEFLATE_OK;
}

enum deflate_result deflate_unpack(struct deflate *d, const uint8_t *data, size_t len, bool last,
                                   uint8_t buf[DEFLATE_UNPACK_SIZE], deflate_fn *fn, void *arg)
{
    enum deflate_result result;

    if (!d->unpacking)
        d->unpacking = inflateInit2(&d->in, -d->terms.client_bits) == Z_OK;
    if (!d->unpacking)
        return DEFLATE_NO_MEMORY;
    d->in.next_in = (Bytef *)(uintptr_t)data;
    d->in.avail_in = (uInt)len;
    result = unpack_some(d, buf, fn, arg);
    if (result != DEFLATE_OK || !last)
        return result;
    d->in.next_in = (Bytef *)(uintptr_t)tail;
    d->in.avail_in = sizeof tail;
    result = unpack_some(d, buf, fn, arg);
    if (d->terms.client_forgets)
        inflateReset(&d->in);
    return result;
}

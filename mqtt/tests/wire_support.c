#include "mqtt/tests/wire_support.h"

#include <stdio.h>
#include <stdlib.h>

#define ROOM  (1u << 18)
#define DEPTH 8

struct parser {
    const char *text, *at;
    uint8_t bytes[ROOM];
    size_t n;
    struct {
        char close;
        size_t start; /* of what is inside */
    } open[DEPTH];
    size_t depth;
    struct wire *out;
};

_Noreturn static void give_up(const struct parser *p, const char *why)
{
    fprintf(stderr, "wire_parse: %s at \"%s\" in \"%s\"\n", why, p->at, p->text);
    abort();
}

static void add(struct parser *p, unsigned byte)
{
    if (p->n == ROOM)
        give_up(p, "too long");
    p->bytes[p->n++] = (uint8_t)byte;
}

static void open_group(struct parser *p, char close)
{
    if (p->depth == DEPTH)
        give_up(p, "too deep");
    p->open[p->depth].close = close;
    p->open[p->depth++].start = p->n;
}

/* Put the length of the group that ends here before it. */
static void close_group(struct parser *p, char close)
{
    uint8_t prefix[4];
    size_t start, len, n = 2;

    if (p->depth == 0 || p->open[--p->depth].close != close)
        give_up(p, "not open");
    start = p->open[p->depth].start;
    len = p->n - start;
    prefix[0] = (uint8_t)(len >> 8);
    prefix[1] = (uint8_t)len;
    if (close == ')')
        n = mqtt_varint_write(prefix, (uint32_t)len);
    for (size_t i = 0; i < n; i++)
        add(p, 0);
    memmove(p->bytes + start + n, p->bytes + start, len);
    memcpy(p->bytes + start, prefix, n);
}

static void take_text(struct parser *p, char close)
{
    for (; *p->at != close; p->at++) {
        if (*p->at == '\0')
            give_up(p, "no end");
        add(p, (uint8_t)*p->at);
    }
    p->at++;
}

static void take_byte(struct parser *p)
{
    unsigned byte;
    int used = 0;

    if (sscanf(p->at, "%2x%n", &byte, &used) != 1 || used != 2)
        give_up(p, "not hex");
    add(p, byte);
    p->at += 2;
}

static void take_mark(struct parser *p, char mark)
{
    size_t at = p->n - p->open[0].start;

    if (p->depth != 1 || p->out->n_ends == WIRE_ENDS)
        give_up(p, "mark");
    if (mark == '~')
        p->out->free_from = at;
    else
        p->out->ends[p->out->n_ends++] = at;
}

static void take(struct parser *p)
{
    char c = *p->at++;

    switch (c) {
    case ' ':
    case '\n': break;
    case '(': open_group(p, ')'); break;
    case '{': open_group(p, '}'); break;
    case ')':
    case '}': close_group(p, c); break;
    case '|':
    case '~': take_mark(p, c); break;
    case '\'': take_text(p, '\''); break;
    case '<':
        open_group(p, '}');
        take_text(p, '>');
        close_group(p, '}');
        break;
    default: p->at--; take_byte(p);
    }
}

static struct wire wire_copy(const uint8_t *bytes, size_t len)
{
    struct wire w = {.p = malloc(len + (len == 0)), .len = len, .free_from = SIZE_MAX};

    if (w.p == NULL)
        abort();
    if (len > 0)
        memcpy(w.p, bytes, len);
    return w;
}

struct wire wire_parse(const char *text)
{
    static struct parser p;
    struct wire marks = {.free_from = SIZE_MAX}, w;

    p = (struct parser){.text = text, .at = text, .out = &marks};
    while (*p.at != '\0')
        take(&p);
    if (p.depth != 0)
        give_up(&p, "open at the end");
    w = wire_copy(p.bytes, p.n);
    memcpy(w.ends, marks.ends, sizeof w.ends);
    w.n_ends = marks.n_ends;
    w.free_from = marks.free_from;
    return w;
}

struct wire wire_cut(const struct wire *w, size_t body_len)
{
    uint8_t *bytes = malloc(w->len + 4);
    size_t header = 1;
    struct wire cut;

    if (bytes == NULL)
        abort();
    while ((w->p[header++] & 0x80) != 0)
        ;
    bytes[0] = w->p[0];
    cut.len = 1 + mqtt_varint_write(bytes + 1, (uint32_t)body_len);
    memcpy(bytes + cut.len, w->p + header, body_len);
    cut = wire_copy(bytes, cut.len + body_len);
    free(bytes);
    return cut;
}

bool wire_may_end(const struct wire *w, size_t body_len)
{
    if (body_len >= w->free_from)
        return true;
    for (size_t i = 0; i < w->n_ends; i++)
        if (w->ends[i] == body_len)
            return true;
    return false;
}

void wire_free(struct wire *w)
{
    free(w->p);
    *w = (struct wire){.p = NULL};
}

int wire_decode(const struct wire *w, int version, enum mqtt_side sender, struct mqtt_packet *out)
{
    struct mqtt_frame frame;
    int rc = mqtt_frame(w->p, w->len, version, sender, UINT32_MAX, &frame);

    return rc != 0 ? rc : mqtt_decode(&frame, w->p, version, sender, out);
}

int wire_judge(const char *text, int version, enum mqtt_side sender)
{
    struct wire w = wire_parse(text);
    struct mqtt_packet packet;
    int rc = wire_decode(&w, version, sender, &packet);

    wire_free(&w);
    return rc;
}

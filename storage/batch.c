/* batch: records as bytes: the fixed part, then the texts. */
#include "storage/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 4096

/* Texts of a record, in the order in which they stand behind it. */
#define TEXTS          6

static void texts_of(struct store_record *r, struct str **out)
{
    out[0] = &r->client_id;
    out[1] = &r->filter;
    out[2] = &r->sub_ids;
    out[3] = &r->message.topic;
    out[4] = &r->message.props;
    out[5] = &r->message.payload;
}

static size_t padded(size_t n)
{
    return (n + 7) & ~(size_t)7;
}

static size_t size_of(const struct store_record *r)
{
    struct store_record copy = *r;
    struct str *texts[TEXTS];
    size_t n = sizeof *r;

    texts_of(&copy, texts);
    for (int i = 0; i < TEXTS; i++)
        n += texts[i]->len;
    return padded(n);
}

static int reserve(struct store_batch *b, size_t n)
{
    size_t cap = b->cap == 0 ? FIRST_CAPACITY : b->cap;
    uint8_t *data;

    if (b->len + n <= b->cap)
        return 0;
    while (cap < b->len + n)
        cap *= 2;
    data = realloc(b->data, cap);
    if (data == NULL)
        return -ENOMEM;
    b->data = data;
    b->cap = cap;
    return 0;
}

int store_batch_add(struct store_batch *b, const struct store_record *r)
{
    struct store_record copy = *r;
    struct str *texts[TEXTS];
    size_t size = size_of(r);
    uint8_t *to;

    if (reserve(b, size) != 0)
        return -ENOMEM;
    to = b->data + b->len;
    memcpy(to, &copy, sizeof copy);
    to += sizeof copy;
    texts_of(&copy, texts);
    for (int i = 0; i < TEXTS; i++) {
        if (texts[i]->len > 0)
            memcpy(to, texts[i]->p, texts[i]->len);
        to += texts[i]->len;
    }
    b->len += size;
    b->records++;
    return 0;
}

bool store_batch_next(const struct store_batch *b, size_t *at, struct store_record *out)
{
    struct str *texts[TEXTS];
    const char *text;

    if (*at >= b->len)
        return false;
    memcpy(out, b->data + *at, sizeof *out);
    text = (const char *)b->data + *at + sizeof *out;
    texts_of(out, texts);
    for (int i = 0; i < TEXTS; i++) {
        texts[i]->p = text;
        text += texts[i]->len;
    }
    *at += size_of(out);
    return true;
}

void store_batch_clear(struct store_batch *b)
{
    b->len = 0;
    b->records = 0;
}

void store_batch_fini(struct store_batch *b)
{
    free(b->data);
    *b = (struct store_batch){0};
}

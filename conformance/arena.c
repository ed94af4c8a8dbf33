/* arena: blocks of growing size, filled from the front. */
#include "conformance/arena.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

#define FIRST_BLOCK 4096u

struct arena_block {
    struct arena_block *next;
    size_t used, size; /* bytes of data */
    size_t unused;     /* keeps data aligned */
    unsigned char data[];
};

static struct arena_block *add_block(struct arena *a, size_t need)
{
    size_t size = a->blocks == NULL ? FIRST_BLOCK : 2 * a->blocks->size;
    struct arena_block *b;

    if (size > 1 << 20)
        size = 1 << 20;
    if (size < need)
        size = need;
    b = calloc(1, sizeof *b + size);
    ASSERT(b != NULL);
    b->size = size;
    b->next = a->blocks;
    a->blocks = b;
    return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
    struct arena_block *b = a->blocks;
    void *p;

    size = (size + 15) & ~(size_t)15;
    if (b == NULL || b->size - b->used < size)
        b = add_block(a, size);
    p = b->data + b->used;
    b->used += size;
    return p;
}

void *arena_grow(struct arena *a, void *block, size_t old_size, size_t new_size)
{
    void *p = arena_alloc(a, new_size);

    ASSERT(new_size >= old_size);
    if (old_size > 0)
        memcpy(p, block, old_size);
    return p;
}

struct mqtt_str arena_copy(struct arena *a, struct mqtt_str s)
{
    uint8_t *p = arena_alloc(a, s.len + 1u);

    if (s.len > 0)
        memcpy(p, s.p, s.len);
    return (struct mqtt_str){p, s.len};
}

char *arena_vprintf(struct arena *a, const char *format, va_list args)
{
    va_list again;
    char *text;
    int n;

    va_copy(again, args);
    n = vsnprintf(NULL, 0, format, args);
    ASSERT(n >= 0);
    text = arena_alloc(a, (size_t)n + 1);
    vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    return text;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    text = arena_vprintf(a, format, args);
    va_end(args);
    return text;
}

void arena_fini(struct arena *a)
{
    while (a->blocks != NULL) {
        struct arena_block *b = a->blocks;

        a->blocks = b->next;
        free(b);
    }
}

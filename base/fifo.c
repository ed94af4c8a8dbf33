/* fifo: blocks in a doubly linked list.
 * 1. No block is without elements: head == tail == NULL when count is 0.
 * 2. All blocks between head and tail are full; head_at counts what was popped from head. */
#include "base/fifo.h"

#include "base/assert.h"
#include "base/mem.h"

/* A queue of one or two elements is the usual one and should be cheap; a long one should not spend
 * its memory on links. So blocks start small and double. */
#define BLOCK_MIN 128 /* bytes */
#define BLOCK_MAX 512
#define ELEM_MAX  512

struct fifo_block {
    struct fifo_block *prev, *next; /* prev of the head is not used */
    uint32_t capacity;              /* elements */
    uint32_t bytes;                 /* that the capacity was made for */
    char elems[];                   /* aligned to 8 */
};

void fifo_init(struct fifo *f, size_t elem_size, unsigned purpose)
{
    ASSERT(elem_size >= 1 && elem_size <= ELEM_MAX);
    ASSERT(purpose < MEM_PURPOSES);
    *f = (struct fifo){.elem_size = (uint16_t)elem_size, .purpose = (uint8_t)purpose};
}

static void *element(const struct fifo *f, struct fifo_block *b, uint32_t i)
{
    return b->elems + (size_t)i * f->elem_size;
}

typedef void *alloc_fn(struct mem *m, unsigned purpose, size_t size);

static struct fifo_block *block_new(const struct fifo *f, struct mem *mem, alloc_fn *alloc)
{
    uint32_t bytes = f->tail == NULL ? BLOCK_MIN : f->tail->bytes * 2;

    bytes = bytes < BLOCK_MAX ? bytes : BLOCK_MAX;

    size_t size = sizeof(struct fifo_block) + f->elem_size;

    size = mem_footprint(size > bytes ? size : bytes); /* no room is left unused */

    struct fifo_block *b = alloc(mem, f->purpose, size);

    if (b != NULL)
        *b = (struct fifo_block){
            .bytes = bytes,
            .capacity = (uint32_t)((size - sizeof *b) / f->elem_size),
        };
    return b;
}

static void append(struct fifo *f, struct fifo_block *b)
{
    b->prev = f->tail;
    if (f->tail != NULL)
        f->tail->next = b;
    else
        f->head = b;
    f->tail = b;
    f->tail_at = 0;
}

static inline void *push(struct fifo *f, struct mem *mem, alloc_fn *alloc)
{
    if (f->tail == NULL || f->tail_at == f->tail->capacity) {
        struct fifo_block *b = block_new(f, mem, alloc);

        if (b == NULL)
            return NULL;
        append(f, b);
    }
    f->count++;
    return element(f, f->tail, f->tail_at++);
}

void *fifo_push(struct fifo *f, struct mem *mem)
{
    return push(f, mem, mem_try_alloc);
}

void *fifo_must_push(struct fifo *f, struct mem *mem)
{
    return push(f, mem, mem_alloc);
}

void *fifo_front(const struct fifo *f)
{
    return f->count > 0 ? element(f, f->head, f->head_at) : NULL;
}

void *fifo_back(const struct fifo *f)
{
    return f->count > 0 ? element(f, f->tail, f->tail_at - 1u) : NULL;
}

static void drop_head(struct fifo *f, struct mem *mem)
{
    struct fifo_block *b = f->head;

    f->head = b->next;
    f->head_at = 0;
    if (f->head == NULL)
        f->tail = NULL;
    mem_release(mem, f->purpose, b);
}

static void drop_tail(struct fifo *f, struct mem *mem)
{
    struct fifo_block *b = f->tail;

    f->tail = b->prev;
    f->tail->next = NULL;
    f->tail_at = (uint16_t)f->tail->capacity;
    mem_release(mem, f->purpose, b);
}

void fifo_pop(struct fifo *f, struct mem *mem)
{
    ASSERT(f->count > 0);
    f->count--;
    f->head_at++;
    if (f->count == 0 || f->head_at == f->head->capacity)
        drop_head(f, mem);
}

void fifo_pop_back(struct fifo *f, struct mem *mem)
{
    ASSERT(f->count > 0);
    f->count--;
    f->tail_at--;
    if (f->count == 0)
        drop_head(f, mem);
    else if (f->tail_at == 0)
        drop_tail(f, mem);
}

void fifo_clear(struct fifo *f, struct mem *mem)
{
    while (f->head != NULL)
        drop_head(f, mem);
    f->count = 0;
}

void *fifo_next(const struct fifo *f, struct fifo_cursor *cursor)
{
    if (cursor->seen == f->count)
        return NULL;
    if (cursor->seen++ == 0) {
        cursor->block = f->head;
        cursor->at = f->head_at;
    } else if (cursor->at == cursor->block->capacity) {
        cursor->block = cursor->block->next;
        cursor->at = 0;
    }
    return element(f, cursor->block, cursor->at++);
}

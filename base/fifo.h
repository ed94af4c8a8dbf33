/* fifo: queue of fixed-size elements, in linked blocks: push and pop never copy other elements, and
 * an empty queue holds no memory. One thread. */
#ifndef BASE_FIFO_H
#define BASE_FIFO_H
#include <stddef.h>
#include <stdint.h>

struct mem;
struct fifo_block;

struct fifo {
    struct fifo_block *head, *tail;
    uint32_t count;     /* elements */
    uint16_t head_at;   /* index of the first element in head */
    uint16_t tail_at;   /* index behind the last element in tail */
    uint16_t elem_size; /* bytes */
    uint8_t purpose;
};

/* elem_size: 1..512 bytes. */
void fifo_init(struct fifo *f, size_t elem_size, unsigned purpose);

/* Drop all elements and give the memory back. */
void fifo_clear(struct fifo *f, struct mem *mem);

/* Space for one more element at the end, for the caller to fill, aligned to 8 bytes when elem_size
 * is a multiple of 8; NULL when out of memory. Valid until it is popped. O(1). */
void *fifo_push(struct fifo *f, struct mem *mem);

/* The same, but aborts when out of memory: for small amounts of what cannot be done without. */
void *fifo_must_push(struct fifo *f, struct mem *mem);

/* First element, or NULL. */
void *fifo_front(const struct fifo *f);

/* Last element, or NULL. */
void *fifo_back(const struct fifo *f);

/* Drop the first element; the queue must not be empty. */
void fifo_pop(struct fifo *f, struct mem *mem);

/* Drop the last element; the queue must not be empty. */
void fifo_pop_back(struct fifo *f, struct mem *mem);

/* Visit all from the front: start with *cursor zeroed; NULL at the end. Elements may be changed in
 * place; the queue must not be pushed to or popped from meanwhile. */
struct fifo_cursor {
    struct fifo_block *block;
    uint32_t seen; /* elements returned so far */
    uint32_t at;   /* index of the next one in block */
};
void *fifo_next(const struct fifo *f, struct fifo_cursor *cursor);

static inline uint32_t fifo_count(const struct fifo *f)
{
    return f->count;
}
#endif

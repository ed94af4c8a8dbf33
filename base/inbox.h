/* inbox: what other threads hand to a shard. Many producers, one consumer, no locks. */
#ifndef BASE_INBOX_H
#define BASE_INBOX_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct inbox_item {
    struct inbox_item *next; /* first member of what is sent; owned by the inbox while inside */
};

struct inbox {
    _Atomic(struct inbox_item *) newest;
};

void inbox_init(struct inbox *in);

/* Hand over one item. True when the inbox was empty: the producer must wake the consumer. Items of
 * one producer keep their order. Any thread. */
bool inbox_push(struct inbox *in, struct inbox_item *item);

/* All items, oldest first, linked by next; NULL when there are none. Consumer's thread. */
struct inbox_item *inbox_take(struct inbox *in);

/* A cheap look: everything that was pushed before something else this thread has seen is found. */
static inline bool inbox_has_items(struct inbox *in)
{
    return atomic_load_explicit(&in->newest, memory_order_seq_cst) != NULL;
}
#endif

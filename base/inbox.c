/* inbox: a stack that producers push on with one compare-and-swap and that the consumer takes whole
 * and turns round. Nobody takes single items, so the ABA problem does not arise. */
#include "base/inbox.h"

void inbox_init(struct inbox *in)
{
    atomic_init(&in->newest, NULL);
}

bool inbox_push(struct inbox *in, struct inbox_item *item)
{
    struct inbox_item *newest = atomic_load_explicit(&in->newest, memory_order_relaxed);

    do
        item->next = newest;
    while (!atomic_compare_exchange_weak_explicit(&in->newest, &newest, item, memory_order_seq_cst,
                                                  memory_order_relaxed));
    return newest == NULL;
}

struct inbox_item *inbox_take(struct inbox *in)
{
    struct inbox_item *newest = atomic_exchange_explicit(&in->newest, NULL, memory_order_acquire);
    struct inbox_item *oldest = NULL;

    while (newest != NULL) {
        struct inbox_item *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

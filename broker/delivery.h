/* delivery: one message on its way to one session: an element of the session's queue and of its
 * inflight window. */
#ifndef BROKER_DELIVERY_H
#define BROKER_DELIVERY_H
#include "broker/message.h"

#include <stdbool.h>
#include <stdint.h>

/* Subscription identifiers of all matching subscriptions, when there is more than one. One block of
 * the shard's memory, owned by its delivery. */
struct sub_ids {
    uint32_t n;
    uint32_t v[];
};

struct delivery {
    struct message *msg; /* one reference; NULL: no longer needed, or still in the store only */
    struct sub_ids *ids; /* NULL unless there are several */
    uint64_t uid;        /* of the message */
    uint64_t group;      /* shared subscription that it came through (share.h); 0: none */
    uint64_t record;     /* the journal's (journal.h); 0: not recorded */
    uint32_t sub_id;     /* the only Subscription Identifier; 0: none, or see ids */
    uint8_t qos;         /* of this delivery: the lower of published and granted */
    bool retain;         /* RETAIN flag as this subscriber sees it */
    bool again;          /* has been sent before, or may have been: DUP */
    bool guarded;        /* not to be sent before guard_released() (guard.h) */
};

/* Bytes that count against queue limits. Its message is there. */
static inline uint64_t delivery_size(const struct delivery *d)
{
    return message_size(d->msg) +
           (d->ids != NULL ? sizeof *d->ids + d->ids->n * sizeof d->ids->v[0] : 0);
}

/* Drop the message reference and the identifiers. */
void delivery_release(struct delivery *d, struct mem *mem);
#endif

/* ops_support: random batches, as a broker could submit them. The same seed gives the same ones. */
#ifndef STORAGE_TESTS_OPS_SUPPORT_H
#define STORAGE_TESTS_OPS_SUPPORT_H
#include "storage/store.h"

#define OPS_SESSIONS 8
#define OPS_RECENT   64

struct ops_delivery {
    uint64_t session, uid, group;
};

struct ops {
    uint64_t random;
    uint64_t batches; /* made so far; also the uid of the retained message "marker" */
    uint64_t last_session, last_uid;
    uint64_t sessions[OPS_SESSIONS]; /* numbers; 0: not there */
    struct ops_delivery recent[OPS_RECENT];
    uint32_t large;         /* one message in so many has up to 20 kB; 0: none */
    uint8_t payload[20000]; /* random bytes */
};

void ops_init(struct ops *o, uint64_t seed);

uint64_t ops_random(struct ops *o); /* any 64 bits */

/* Append one batch of some records. Its last record is the retained message "marker", whose uid is
 * the number of the batch: 1, 2, 3 ... */
void ops_batch(struct ops *o, struct store_batch *b);
#endif

/* inflight: QoS 1 and 2 messages sent to one client and not yet fully acknowledged.
 *                                                           [v5 4.3, 4.4, 4.6] [v3 4.3, 4.4]
 * Entries stand in the order in which they were first sent, those in state RELEASED in the order of
 * their release; found by packet identifier in O(1). An identifier is in use as long as its entry
 * exists. */
#ifndef BROKER_INFLIGHT_H
#define BROKER_INFLIGHT_H
#include "broker/delivery.h"

#include <stdint.h>

struct mem;

enum inflight_state {
    INFLIGHT_FREE,
    INFLIGHT_SENT,      /* PUBLISH sent; QoS 1: PUBACK ends it; QoS 2: PUBREC -> RELEASED */
    INFLIGHT_RELEASING, /* as RELEASED, but the PUBREL waits for that to be committed */
    INFLIGHT_RELEASED   /* PUBREL sent, the message is gone; PUBCOMP ends it */
};

struct inflight_entry {
    struct delivery d;
    uint16_t packet_id;
    uint16_t prev, next; /* slots of the neighbours in sending order */
    uint8_t state;       /* enum inflight_state */
    bool unsent;         /* to be sent again on this connection */
};

struct inflight {
    struct inflight_entry *slots; /* slot of identifier i is i & (capacity - 1) */
    uint32_t capacity;            /* 0 or a power of two, at most 65536 */
    uint32_t count;
    uint64_t bytes;       /* of the messages that are there: the sum of their delivery_size() */
    uint16_t first, last; /* slots, when count > 0 */
    uint16_t last_id;     /* the identifier given most recently */
};

void inflight_init(struct inflight *f);

/* Release everything. */
void inflight_clear(struct inflight *f, struct mem *mem);

/* Give the memory back when nothing is in flight. */
void inflight_trim(struct inflight *f, struct mem *mem);

/* A new entry at the end, in state SENT with a free packet identifier; takes the delivery. NULL
 * when out of memory or when all 65,535 identifiers are in use: the delivery stays the caller's.
 * The pointer is valid until the next add. */
struct inflight_entry *inflight_add(struct inflight *f, struct mem *mem,
                                    const struct delivery *take_d);

/* As inflight_add() with an identifier of the caller's choice, which must be free: for recovery. */
struct inflight_entry *inflight_restore(struct inflight *f, struct mem *mem, uint16_t packet_id,
                                        const struct delivery *take_d);

/* The entry with this identifier, or NULL. */
struct inflight_entry *inflight_find(const struct inflight *f, uint16_t packet_id);

/* Release the entry's message and take the entry out. inflight_give_back(): the delivery is the
 * caller's again. */
void inflight_remove(struct inflight *f, struct mem *mem, struct inflight_entry *e);
void inflight_give_back(struct inflight *f, struct inflight_entry *e);

/* The message of an entry that has none is there; takes the reference. And it is no longer needed:
 * only its entry stays. */
void inflight_set_message(struct inflight *f, struct inflight_entry *e, struct message *take_msg);
void inflight_drop_message(struct inflight *f, struct mem *mem, struct inflight_entry *e);

/* Put an entry behind all others. */
void inflight_to_end(struct inflight *f, struct inflight_entry *e);

/* First entry in sending order, and the one behind e; NULL at the end. */
struct inflight_entry *inflight_first(const struct inflight *f);
struct inflight_entry *inflight_after(const struct inflight *f, const struct inflight_entry *e);
#endif

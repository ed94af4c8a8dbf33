/* journal_priv: what the files of journal.h share: the batch being collected. */
#ifndef BROKER_JOURNAL_PRIV_H
#define BROKER_JOURNAL_PRIV_H
#include "base/fifo.h"
#include "broker/journal.h"

#include <stdatomic.h>

#define JOURNAL_SLOTS 1024 /* a power of two */

/* A delivery in the open batch. */
enum entry_kind {
    ENTRY_DEAD,
    ENTRY_WHOLE, /* the store has nothing of it yet */
    ENTRY_STATE  /* the store has, or is about to get, the delivery: only its state is new */
};

struct entry {
    struct message *msg; /* of a whole one; borrowed from the delivery, as ids are */
    struct sub_ids *ids;
    uint64_t session, uid, group;
    uint32_t sub_id;
    uint32_t slot; /* its turn: number of a struct slot */
    uint16_t packet_id;
    uint8_t qos, state;
    uint8_t kind;  /* enum entry_kind */
    uint8_t haste; /* enum journal_haste */
    bool retain, guarded;
};

/* What was recorded in one turn, or, when there are many, in several that follow each other.
 * Settled when none of its records is open any more and its batch, if it has one, is committed. */
struct slot {
    uint64_t turn; /* the first one */
    uint64_t last_turn;
    uint64_t ms;
    uint64_t batch; /* 0: not submitted */
    uint32_t live;  /* open records that somebody waits for */
};

/* A batch that the store has not committed. */
struct sent {
    uint64_t batch;
    uint64_t end; /* number of the first entry behind it */
    size_t bytes;
};

/* A session that has ended, and whose messages are on their way to others. */
struct ended {
    uint64_t turn; /* everything handed over up to here has to be dealt with first */
    uint64_t session;
};

/* Deliveries that were parked, and are in a batch now: answers from this turn on wait for it. */
struct floor {
    uint64_t turn, batch;
};

struct journal {
    struct shard *sh;
    struct store *store;
    _Atomic bool news;

    struct store_batch batch; /* records that are not entries; in front of these */
    struct entry *entries;    /* of number i: at i & (capacity - 1) */
    uint32_t capacity;
    uint32_t open, hopes; /* living entries; those of HASTE_HOPE */
    uint64_t head, tail;  /* numbers of the first and behind the last one; from 2 on */
    uint64_t since_ms;    /* when the batch got its first record */
    bool urgent, hurry, sync;
    bool identifiers_sync; /* some topic has to survive a power cut: so have QoS 2 identifiers */

    struct slot slots[JOURNAL_SLOTS];
    uint32_t first, first_open, last; /* numbers; last: behind the last one */
    uint64_t waits;

    struct fifo ended;             /* struct ended */
    struct fifo floors;            /* struct floor */
    struct fifo sent;              /* struct sent */
    uint64_t submitted, committed; /* numbers of the last such batch */
    uint64_t passed;               /* entries in front of this number are committed */
    size_t sent_bytes;
    unsigned age; /* of QoS 1 deliveries at their acknowledgement: average, 1/16 ms */
};

/* Count the record that has just been made as one that somebody waits for, unless nobody does;
 * returns the number of its slot. */
uint32_t journal__wait(struct journal *j, enum journal_haste haste);

/* Append to the batch. */
void journal__append(struct journal *j, const struct store_record *r, enum journal_haste haste);

/* Append the ends of sessions whose time has come. */
void journal__end_sessions(struct journal *j);

/* The entry as a record; previous: the message of the one in front of it. */
struct store_record journal__record(const struct shard *sh, const struct entry *e,
                                    const struct message *previous);
#endif

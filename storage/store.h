/* store: durable state of the broker, as its backends see it. Asynchronous: a shard submits batches
 * of records, and is told how far they have been committed; at the start all records come back as a
 * stream. What it means to be committed is the backend's promise (process death, power loss).
 *
 * What is kept, by key (a record with the same key replaces the former):
 *
 *     SESSION    session                    a client's session: identifier, expiry, Will
 *     FILTER     session, filter            a subscription, "$share/..." included
 *     DELIVERY   session, uid, group        a message at QoS 1 or 2 on its way to a session, its
 * state, and (once per uid) its body RECEIVED   session, packet_id         a QoS 2 identifier
 * received and not released RETAINED   topic                      a retained message CLOCK      -
 * the largest uid and session number given so far
 *
 * ..._END removes the record of that key; SESSION_END with it everything of the session. A removal
 * of what is not there is no error. Session numbers and uids are never given twice, restarts
 * included. */
#ifndef STORAGE_STORE_H
#define STORAGE_STORE_H
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum store_kind {
    STORE_SESSION,
    STORE_SESSION_END,
    STORE_FILTER,
    STORE_FILTER_END,
    STORE_DELIVERY,
    STORE_DELIVERY_STATE, /* an existing DELIVERY changes packet_id and state */
    STORE_DELIVERY_END,
    STORE_RECEIVED,
    STORE_RECEIVED_END,
    STORE_RETAINED,
    STORE_RETAINED_END,
    STORE_CLOCK,
    STORE_KINDS
};

enum store_delivery_state {
    STORE_QUEUED,  /* not sent, or sent and to be sent again: the same after a restart */
    STORE_SENT,    /* packet_id is in use */
    STORE_RELEASED /* QoS 2: PUBREL sent; the body is no longer needed */
};

/* A message, with the topic and properties as they go out. */
struct store_message {
    uint64_t uid;        /* key; the body is kept once, as long as records refer to it */
    uint64_t publisher;  /* session number of the publisher; 0: none */
    uint64_t expires_ms; /* wall clock; 0: never */
    struct str topic, props, payload;
    uint8_t qos;
    bool retain;
};

/* A record; which members mean something follows from kind. Text is borrowed from the batch, or for
 * the call when records are recovered. */
struct store_record {
    enum store_kind kind;
    uint64_t session;
    /* SESSION */
    struct str client_id;
    uint64_t ends_ms; /* wall clock; UINT64_MAX: never; 0: connected, or expiry counts from the
                         restart */
    uint32_t expiry_s;
    uint8_t version;
    bool has_will;
    uint32_t will_delay_s, will_expiry_s;
    bool will_has_expiry;
    /* FILTER */
    struct str filter;
    uint32_t sub_id;
    uint8_t options;
    /* DELIVERY */
    uint64_t uid, group;
    struct str sub_ids; /* 4 bytes each, in the machine's order */
    uint16_t packet_id; /* RECEIVED, too */
    uint8_t qos, state; /* enum store_delivery_state */
    bool retain;
    /* DELIVERY, RETAINED, and the Will of SESSION */
    struct store_message message;
    /* CLOCK */
    uint64_t last_uid, last_session;
};

/* ---- batches ---- */

/* Records one behind the other, in the order in which they take effect. */
struct store_batch {
    uint8_t *data;
    size_t len, cap;
    uint32_t records;
};

/* Append a copy of the record. 0 or -ENOMEM (the batch is as it was). */
int store_batch_add(struct store_batch *b, const struct store_record *r);

/* Step through a batch: start with *at = 0; false at the end. */
bool store_batch_next(const struct store_batch *b, size_t *at, struct store_record *out);

void store_batch_clear(struct store_batch *b); /* keeps the memory */
void store_batch_fini(struct store_batch *b);

/* ---- a backend ---- */

struct store;

/* Called from any thread when more batches of a shard have been committed. */
typedef void store_committed_fn(void *arg, unsigned shard);

/* For each record of the store, of an order in which everything comes after what it belongs to
 * (sessions before their filters and deliveries; deliveries by uid). 0: go on. */
typedef int store_record_fn(void *arg, const struct store_record *r);

struct store_stats {
    uint64_t batches, records; /* committed */
    uint64_t waiting_bytes;    /* submitted, not committed */
    uint64_t bytes;            /* size of the store */
};

struct store_ops {
    const char *name;

    /* Hand over a batch (its memory too; *b is empty afterwards). Returns its number: 1, 2, 3 ...
     * per shard. One thread per shard. */
    uint64_t (*submit)(struct store *s, unsigned shard, struct store_batch *b);

    /* The number of the last batch of this shard that is committed, and all before it. Any thread.
     */
    uint64_t (*committed)(struct store *s, unsigned shard);

    /* Everything that is stored; before the first submit(). 0, what fn returned, or -errno. */
    int (*recover)(struct store *s, store_record_fn *fn, void *arg);

    /* Who is to be told of commits; before the first submit(). */
    void (*notify)(struct store *s, store_committed_fn *fn, void *arg);

    void (*stats)(struct store *s, struct store_stats *out);

    /* Commit what was submitted, and free. */
    void (*close)(struct store *s);
};

struct store {
    const struct store_ops *ops;
};
#endif

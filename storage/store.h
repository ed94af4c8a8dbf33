/* store: durable state of the broker, as its backends see it. Asynchronous: a shard submits batches
 * of records, and is told how far they have been committed. At the start everything comes back as a
 * stream of records, except for the messages that wait in queues: of these only their number; they
 * are read a page at a time when their client is there to take them.
 *
 * What is kept, by key (a record with the key of one that is there replaces it, but a DELIVERY: the
 * one that is there stays as it is):
 *
 *     SESSION    session               a client's session: identifier, expiry, Will
 *     FILTER     session, filter       a subscription, "$share/..." included
 *     DELIVERY   session, uid, group   a message at QoS 1 or 2 on its way to a session, its state,
 *                                      and its body: kept once per uid, while a delivery has it
 *     RECEIVED   session, packet_id    a QoS 2 identifier received and not released
 *     RETAINED   topic                 a retained message
 *
 * ..._END removes the record of that key; SESSION_END with it everything of the session. What
 * removes or changes a record that is not there does nothing. What belongs to a session comes after
 * its SESSION; before, or behind its end, it may get lost.
 *
 * The deliveries of a session have the order of their uids, and for one uid that of the groups,
 * taken as signed numbers. Session numbers and uids are 1 .. 2^63 - 1.
 *
 * A QoS 2 message of a durable session is sent again by its client exactly when its RECEIVED is not
 * committed. Deliveries that are committed before it are therefore guarded: when the store is
 * recovered, and the publisher's session is there and has not RECEIVED a uid as large, they are
 * void, and removed.
 *
 * A store may remove, by itself, QUEUED deliveries and retained messages that have expired: a page
 * shows what is left. So that who counts along need not know, as many QUEUE_DROPs of that session
 * then remove nothing, unless a page is read to the end first. */
#ifndef STORAGE_STORE_H
#define STORAGE_STORE_H
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_SHARDS 64 /* at most */

enum store_kind {
    STORE_SESSION,
    STORE_SESSION_END,
    STORE_FILTER,
    STORE_FILTER_END,
    STORE_DELIVERY,
    STORE_DELIVERY_STATE, /* a DELIVERY changes packet_id and state, and nothing else */
    STORE_DELIVERY_END,
    STORE_QUEUE_DROP, /* the first QUEUED delivery of a session behind uid, group is removed */
    STORE_RECEIVED,
    STORE_RECEIVED_END,
    STORE_RETAINED,
    STORE_RETAINED_END,
    /* only in what is recovered */
    STORE_BACKLOG, /* the QUEUED deliveries of a session: their number and bytes */
    STORE_CLOCK,   /* no uid and no session number in the store has been larger */
    STORE_KINDS
};

enum store_delivery_state {
    STORE_QUEUED,  /* packet_id is 0 */
    STORE_SENT,    /* packet_id is in use */
    STORE_RELEASED /* QoS 2: the client has the message; packet_id is in use until its PUBCOMP */
};

#define STORE_NEVER UINT64_MAX /* a session that never ends */

/* A message, with the topic and properties as they go out. */
struct store_message {
    uint64_t uid;
    uint64_t publisher;  /* session number of the publisher; 0: none */
    uint64_t expires_ms; /* wall clock; 0: never */
    struct str topic, props, payload;
    uint8_t qos;
    bool retain;
};

/* In the options of a FILTER, beside those of SUBSCRIBE: its retained messages have not all been
 * sent. */
#define STORE_SUB_OPTIONS  0x3f
#define STORE_RETAINED_DUE 0x80

/* A record; which members mean something follows from kind. Text is borrowed: from the batch, from
 * the page, or for the call when records are recovered. */
struct store_record {
    enum store_kind kind;
    uint64_t session; /* number; all kinds but RETAINED */
    /* SESSION */
    struct str client_id;
    uint64_t ends_ms; /* wall clock; STORE_NEVER; 0: its client is connected */
    uint64_t will_ms; /* wall clock: when the Will is due; 0: not before the client has gone */
    uint32_t expiry_s;
    uint32_t will_delay_s, will_expiry_s;
    uint8_t version; /* enum mqtt_version of the latest connection */
    bool has_will;   /* message is the Will; its uid means nothing */
    bool will_has_expiry;
    /* FILTER */
    struct str filter;
    uint32_t sub_id;
    uint8_t options; /* of SUBSCRIBE, and STORE_RETAINED_DUE */
    /* DELIVERY; RECEIVED has packet_id and uid, QUEUE_DROP uid and group. A session keeps the
     * largest uid that it has RECEIVED, whatever becomes of the record. */
    uint64_t uid, group;
    struct str sub_ids; /* Subscription Identifiers, 4 bytes each in the machine's order */
    uint16_t packet_id;
    uint8_t qos, state; /* state: enum store_delivery_state */
    bool retain, guarded;
    /* DELIVERY, RETAINED, and the Will of SESSION. A DELIVERY without a body (topic.len 0): the
     * message has been given with this uid before, in this batch or in an earlier one of which a
     * delivery is left; recovered ones never have one. */
    struct store_message message;
    /* BACKLOG */
    uint32_t messages;
    uint64_t bytes; /* of topics, properties and payloads */
    /* CLOCK */
    uint64_t last_uid, last_session;
};

/* ---- batches ---- */

/* Records one behind the other, in the order in which they take effect, all of them together. */
struct store_batch {
    uint8_t *data;
    size_t len, cap;
    uint32_t records;
    bool sync; /* committed means: it survives a power cut, even if the store promises less */
};

/* Append a copy of the record. 0 or -ENOMEM (the batch is as it was). */
int store_batch_add(struct store_batch *b, const struct store_record *r);

/* Step through a batch: start with *at = 0; false at the end. */
bool store_batch_next(const struct store_batch *b, size_t *at, struct store_record *out);

void store_batch_clear(struct store_batch *b); /* keeps the memory */
void store_batch_fini(struct store_batch *b);

/* ---- pages ---- */

/* Deliveries of one session that have been read: QUEUED and SENT ones, with their bodies. */
struct store_page {
    struct store_page *next;
    void *token; /* of the load() that asked for it */
    struct store_batch records;
    bool end; /* there were no more */
    int rc;   /* 0, or -errno: nothing could be read; try again later */
};

void store_page_free(struct store_page *p);

/* Which deliveries to read. */
struct store_load {
    uint64_t session;
    uint64_t after_uid, after_group; /* those behind this one; 0, 0: from the first */
    uint32_t max_records;            /* at least 1 */
    size_t max_bytes;                /* of bodies; at least one record is read */
    void *token;
};

/* ---- a backend ---- */

struct store;

/* Called from any thread, and from inside submit() and load(), when there is news for a shard: more
 * has been committed, a page is there, or the store's health has changed (of that, every shard is
 * told that has used the store). Must not call the store. */
typedef void store_news_fn(void *arg, unsigned shard);

/* For each record of the store, of an order in which everything comes after what it belongs to: the
 * CLOCK first, sessions before what they have. SENT and RELEASED deliveries come without bodies and
 * in their order, QUEUED ones as BACKLOG. 0: go on. */
typedef int store_record_fn(void *arg, const struct store_record *r);

enum store_health {
    STORE_FINE,
    STORE_FAILING /* it cannot write (disk full, read-only, I/O error), keeps what it was given, and
                     tries again until it can; or the space is getting short: what it is given it
                     commits as long as it can, because much of that makes room */
};

struct store_stats {
    uint64_t batches, records;  /* committed */
    uint64_t commits;           /* transactions */
    uint64_t commit_us;         /* spent in them */
    uint64_t failures;          /* transactions that failed and were tried again */
    uint64_t waiting_batches;   /* submitted, not committed */
    uint64_t waiting_bytes;     /* their size */
    uint64_t bytes, free_bytes; /* size of the store, and what of it is unused */
    uint64_t log_bytes;         /* write-ahead log */
    uint64_t pages;             /* read for sessions that came back */
    uint64_t expired;           /* deliveries removed because their message had expired */
    char set_aside[256]; /* the store was found damaged at the start, moved to this name, and begun
                            anew; "" */
    char error[256];     /* what fails; "" when nothing does */
};

struct store_ops {
    const char *name;

    /* Hand over a batch (its memory too; *b is empty afterwards). Returns its number: 1, 2, 3 ...
     * per shard. Batches of all shards take effect in the order in which they were submitted. One
     * thread per shard. */
    uint64_t (*submit)(struct store *s, unsigned shard, struct store_batch *b);

    /* The number of the last batch of this shard that is committed, and all before it. Any thread.
     */
    uint64_t (*committed)(struct store *s, unsigned shard);

    /* Read a page of what is committed then. One thread per shard. */
    void (*load)(struct store *s, unsigned shard, const struct store_load *what);

    /* The pages that are there, linked, in the order in which they were asked for; NULL: none. They
     * are the caller's to free. The shard's thread. */
    struct store_page *(*pages)(struct store *s, unsigned shard);

    /* Everything that is stored; before the first submit(). 0, what fn returned, or -errno. */
    int (*recover)(struct store *s, store_record_fn *fn, void *arg);

    /* Who is to be told of news; before the first submit(). NULL, any time: nobody any more; nobody
     * is being told when it returns. */
    void (*notify)(struct store *s, store_news_fn *fn, void *arg);

    enum store_health (*health)(struct store *s);            /* any thread; cheap */
    void (*stats)(struct store *s, struct store_stats *out); /* any thread */

    /* Commit what was submitted (if that is possible), and free. Shard threads have ended. */
    void (*close)(struct store *s);
};

struct store {
    const struct store_ops *ops;
};
#endif

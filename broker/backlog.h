/* backlog: queued messages of a session that are in the store only, and how they come back: a page
 * at a time, when the client is there to take them. After a restart that is the whole queue, and
 * the bodies of what was in flight.
 *
 * The queue is then in three parts: what has been read (flow.queue), what has not (the backlog),
 * and what has come since (backlog.later). */
#ifndef BROKER_BACKLOG_H
#define BROKER_BACKLOG_H
#include "base/fifo.h"
#include "broker/delivery.h"

#include <stdbool.h>
#include <stdint.h>

struct mem;
struct session;
struct shard;
struct store_page;
struct store_record;
struct backlog_load;

struct backlog {
    uint64_t at_uid, at_group; /* read up to this delivery ... */
    uint64_t until_uid;        /* ... and to be read up to here: what is newer is in later */
    uint64_t bytes;            /* of what is not read, as far as known */
    uint32_t messages;         /* not read, as far as known */
    bool mixed;        /* later has messages that are not newer: they stand in the store, too */
    bool perhaps_sent; /* the client was connected when the broker died */
    struct backlog_load *load; /* a page is being read; NULL: none */
    struct fifo later;         /* struct delivery */
};

/* A new, empty one; NULL when out of memory. Free one: deliveries in later must be gone. */
struct backlog *backlog_new(struct mem *mem);
void backlog_free(struct backlog *b, struct mem *mem);

/* Have the next page read, unless there is enough in the queue. backlog_read_body(): whatever is in
 * the queue, because something in flight, which goes first, waits for its body. */
void backlog_read_on(struct session *s);
void backlog_read_body(struct session *s);

/* Forget the page that is being read: the session ends, or moves. */
void backlog_forget(struct session *s);

/* The session ends, and was a member of shared subscriptions: read what is left, give the messages
 * of its groups back to them, and only then end it in the store. False when out of memory. */
bool backlog_give_back(struct session *s);

/* The shard stops: nothing that was asked for will come. */
void backlog_fini(struct shard *sh);

/* Pages from the store; takes them. */
void backlog_take_pages(struct shard *sh, struct store_page *take_pages);

/* A stored DELIVERY as a delivery, without its message. */
struct delivery backlog_delivery(struct shard *sh, const struct store_record *r);
#endif

/* message: one application message as the broker keeps it: immutable, counted, one block of memory.
 *
 * A message belongs to the shard that made it until message_share() is called, before it goes to
 * another shard; from then on any shard may hold and drop references. */
#ifndef BROKER_MESSAGE_H
#define BROKER_MESSAGE_H
#include "mqtt/str.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct mem;

struct message {
    _Atomic uint32_t refs;
    bool shared;         /* references are counted atomically */
    uint8_t qos;         /* as published */
    bool retain;         /* as published */
    bool guarded;        /* its deliveries are (guard.h) */
    uint64_t uid;        /* grows with time, unique in the node; see uid_next() in shard.h */
    uint64_t publisher;  /* serial of the session that published it; 0: none (No Local) */
    uint64_t expires_ms; /* monotonic clock; 0: never [v5 3.3.2.3.3] */
    uint32_t topic_len;
    uint32_t props_len;
    uint32_t payload_len;
    uint8_t data[]; /* topic, properties to be passed on (encoded), payload */
};

/* What is being published, before anybody has asked to keep it: views into the input. */
struct publication {
    struct mqtt_str topic;
    struct mqtt_str props; /* encoded; without message expiry, topic alias and subscription ids */
    struct mqtt_str payload;
    uint64_t uid;
    uint64_t publisher;
    uint64_t expires_ms;
    uint64_t topic_hash; /* by match_cache_hash(); 0: not known yet */
    uint64_t moved_from; /* number of the session that gives it back to its group, and whose record
                            of it goes when the next member has it; 0: none (share.h) */
    uint8_t qos;
    bool retain;
    bool exactly_once;   /* a QoS 2 message of a durable session: guarded if it crosses shards */
    bool guarded;        /* it does */
    uint8_t durability;  /* enum durability + 1, once known; see journal_wants() */
    struct message *msg; /* the same as a message, once made; one reference; see
                            publication_message() */
};

/* The publication as a message, made on first use: no reference is added. NULL when out of memory.
 */
struct message *publication_message(struct publication *pub, struct mem *mem);

/* View a message as a publication; msg is borrowed, not counted. */
struct publication publication_of(struct message *m);

/* Let go of what publication_message() made. */
void publication_done(struct publication *pub, struct mem *mem);

static inline struct mqtt_str message_topic(const struct message *m)
{
    return (struct mqtt_str){m->data, m->topic_len};
}

static inline struct mqtt_str message_props(const struct message *m)
{
    return (struct mqtt_str){m->data + m->topic_len, m->props_len};
}

static inline struct mqtt_str message_payload(const struct message *m)
{
    return (struct mqtt_str){m->data + m->topic_len + m->props_len, m->payload_len};
}

/* Bytes that it occupies. */
static inline uint64_t message_size(const struct message *m)
{
    return sizeof *m + (uint64_t)m->topic_len + m->props_len + m->payload_len;
}

static inline bool message_expired(const struct message *m, uint64_t now_ms)
{
    return m->expires_ms != 0 && m->expires_ms <= now_ms;
}

/* Must be called before the message is handed to another shard. */
static inline void message_share(struct message *m)
{
    if (!m->shared) /* else other shards may be reading it */
        m->shared = true;
}

static inline struct message *message_ref(struct message *m)
{
    if (m->shared)
        atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    else
        atomic_store_explicit(&m->refs, atomic_load_explicit(&m->refs, memory_order_relaxed) + 1,
                              memory_order_relaxed);
    return m;
}

/* Drop a reference and set *m to NULL; *m may be NULL. mem: the calling shard's. */
void message_unref(struct message **m, struct mem *mem);
#endif

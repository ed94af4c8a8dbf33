/* removals: topics whose retained messages were removed of late, and when: older messages that are
 * still on their way from other shards come too late. A topic is its hash, so that what is
 * remembered is small, however long the topic; and the oldest is forgotten when there are too many,
 * because clients can remove what never was. */
#ifndef BROKER_REMOVALS_H
#define BROKER_REMOVALS_H
#include "base/fifo.h"
#include "base/map.h"
#include "mqtt/str.h"

#include <stdbool.h>
#include <stdint.h>

#define REMOVALS_MAX 65536

struct removals {
    struct mem *mem;
    uint64_t seed;
    struct fifo all; /* struct removal, in the order of their making; one a topic */
    struct map by_topic;
};

/* seed: not known to clients. */
void removals_init(struct removals *r, struct mem *mem, uint64_t seed);
void removals_fini(struct removals *r);

/* uid: of what removed the message. Out of memory: it is not remembered. */
void removals_note(struct removals *r, struct mqtt_str topic, uint64_t uid);

/* Was a message of this topic removed by something newer than this uid? */
bool removals_after(const struct removals *r, struct mqtt_str topic, uint64_t uid);

/* Forget what is older than this uid. */
void removals_forget(struct removals *r, uint64_t uid);
#endif

/* share: shared subscriptions.                                                          [v5 4.8.2]
 *
 * A group (share name and filter) has a home shard, chosen by a hash: it stands in the home's topic
 * tree like one subscriber, and the home picks the member for each message. Members may be
 * connected to any shard; what concerns a member elsewhere travels as a post.
 *
 * At the member's shard a struct membership says that a session is in a group. */
#ifndef BROKER_SHARE_H
#define BROKER_SHARE_H
#include "base/list.h"
#include "mqtt/str.h"

#include <stdbool.h>
#include <stdint.h>

struct shard;
struct shares;
struct session;
struct subscription;
struct message;
struct publication;

struct membership {
    struct subscription *sub;
    uint64_t group; /* number of the group: a hash of its text, the same at every shard */
    uint32_t sub_id;
    uint8_t options;
    uint16_t share_len;
    uint16_t text_len;
    uint8_t text[]; /* share name, '/', filter */
};

struct shares *shares_new(struct shard *sh);
void shares_free(struct shard *sh);

static inline struct mqtt_str membership_share(const struct membership *m)
{
    return (struct mqtt_str){m->text, m->share_len};
}

static inline struct mqtt_str membership_filter(const struct membership *m)
{
    return (struct mqtt_str){m->text + m->share_len + 1, (uint32_t)m->text_len - m->share_len - 1};
}

/* The session's membership of a group, or NULL. */
struct membership *share_find(struct shard *sh, const struct session *s, struct mqtt_str share,
                              struct mqtt_str filter);

/* sub joins a group; *out is set. When the group's home is another shard the joining is on its way
 * when this returns, and posts_want_answer() was called: the SUBACK waits for posts.turn. 0 or
 * -ENOMEM. */
int share_join(struct shard *sh, struct subscription *sub, struct mqtt_str share,
               struct mqtt_str filter, uint8_t options, uint32_t sub_id, struct membership **out);

/* New options of a membership. */
void share_update(struct shard *sh, struct membership *m, uint8_t options, uint32_t sub_id);

/* Leave and free the membership. */
void share_leave(struct shard *sh, struct membership **m);

/* Is the member connected? A group prefers members that are. */
void share_online(struct shard *sh, struct membership *m, bool online);

/* A message of a group's filter, at its home: who is the entry of the topic tree. */
void share_deliver(struct shard *sh, uint64_t who, struct publication *pub);

/* Is this entry of the topic tree a group? */
static inline bool share_is_group(uint64_t who)
{
    return (who & 1) != 0;
}

/* A member has completed a message at QoS 1 or 2, or lost it. */
void share_done(struct shard *sh, uint64_t group, const struct session *s);

/* Could a connected member take a message of this group, as far as this shard knows? Groups whose
 * home is elsewhere are taken to have one. */
bool share_has_online(struct shard *sh, uint64_t group);

/* A member cannot complete a message: another may have it, unless it has expired. m is borrowed.
 * from: the number of the member's session, whose stored delivery goes when the next member has it;
 * 0: there is none. */
void share_return(struct shard *sh, uint64_t group, struct message *m, uint64_t from);
#endif

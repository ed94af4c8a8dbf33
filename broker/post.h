/* post: what one shard hands to another. A post is a function to be called on the target's thread
 * and a few words for it; posts travel in batches, at the end of a turn, with one wake-up. Posts
 * from one shard to another arrive in the order in which they were made.
 *
 * Acknowledgements: a message that was handed to another shard may be acknowledged to its publisher
 * only when that shard has dealt with it, which includes that it is stored where it has to be. All
 * such messages of one turn wait together: the turn's number is the ticket, posts.done_turn says
 * how far everything has been dealt with, posts_turn_done() whether this turn's is.
 *
 * What a shard hands on in turn while it deals with a post (a message of a shared subscription,
 * from the group's home to a member) is one level higher, and its answer comes first. Answers of
 * one level wait for those of higher ones only: no two shards ever wait for each other. */
#ifndef BROKER_POST_H
#define BROKER_POST_H
#include "base/fifo.h"
#include "base/inbox.h"
#include "base/list.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define POST_SHARDS        64                   /* BROKER_MAX_SHARDS */
#define POST_LEVELS        4                    /* what is handed on more often waits for nothing */
#define POST_BACKLOG_LIMIT (UINT64_C(16) << 20) /* bytes on the way from one shard to another */

struct shard;
struct post;
struct post_batch;

typedef void post_fn(struct shard *sh, struct post *p);

struct post {
    post_fn *fn;
    uint8_t from, level; /* filled in by shard_post() */
    uint32_t u32;
    void *ptr, *ptr2;
    uint64_t a, b, c;
};

struct posts {
    struct inbox inbox;
    struct post_batch *open[POST_SHARDS]; /* being filled this turn, per target */
    uint64_t turn;                        /* number of this turn; starts at 1 */
    uint64_t done_turn;                   /* everything handed over up to this turn is dealt with */
    unsigned level; /* of the posts that are made now: 0, but while one is dealt with */
    uint64_t wanted[POST_LEVELS]; /* bit per target: tell us when you are through with this turn */
    uint64_t asks;                /* calls of posts_want_answer() so far */
    struct list waiting;          /* struct turn_wait, in their order: level 0 */
    struct list relayed;          /* struct turn_wait: higher levels */
    struct fifo owed;             /* struct owed: answers of ours that have to wait */
    bool progress;                /* the turn that answers wait for has moved since the last look */
    bool some_done;               /* a turn is done, though perhaps not all before it */
    bool congested;               /* a backlog of ours was too long when it was last looked at */
    _Atomic uint64_t
        backlog[POST_SHARDS]; /* bytes from each shard not yet handled here; any thread */
};

void posts_init(struct shard *sh);
void posts_fini(struct shard *sh);

/* A post to shard to (may be this one), to be filled in by the caller at once. Never fails: small
 * and fixed in size. */
struct post *shard_post(struct shard *sh, unsigned to, post_fn *fn);

/* The same with n bytes (at most POST_BYTES_MAX) for the caller to fill, which the target finds at
 * post.ptr, valid during its function; NULL when out of memory. What is small and read once travels
 * best this way: the target finds it one behind the other, and nothing has to be freed. */
#define POST_BYTES_MAX 1024
struct post *shard_post_bytes(struct shard *sh, unsigned to, post_fn *fn, size_t n);

/* Count bytes that the last post to a shard carries besides itself. */
void posts_weigh(struct shard *sh, unsigned to, uint64_t bytes);

/* What was posted to this shard in this turn is to be acknowledged: have it report back. The ticket
 * to wait for is sh->posts.turn. */
void posts_want_answer(struct shard *sh, unsigned to);

/* In the function of a post: what is posted from here on is no part of what an answer to this one
 * vouches for, but something of this shard's own, whose tickets count. */
void posts_begin_anew(struct shard *sh);

/* Has everything been dealt with that was handed over in this turn, whatever earlier ones wait
 * for? */
bool posts_turn_done(const struct posts *p, uint64_t turn);

/* Give the answers that need not wait any longer. */
void posts_answer(struct shard *sh);

/* Handle what has come in. The time is made current before: nothing that comes is from later. */
void posts_receive(struct shard *sh);

/* Hand over what this turn has made. */
void posts_send(struct shard *sh);

/* Has a shard fallen so far behind with what this one hands to it that publishers should be slowed?
 * The first is a cheap look for every message, and right when it says no. */
static inline bool posts_may_be_congested(const struct posts *p)
{
    return p->congested;
}
bool posts_congested(struct shard *sh);
#endif

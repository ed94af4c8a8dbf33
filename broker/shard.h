/* shard: one thread's share of the broker: its connections, sessions, topic tree, timers and
 * memory. Nothing here is touched by another thread, except what says so. What crosses shards goes
 * through posts (post.h), whole and by ownership.
 *
 * The transport drives it: see the turn in transport.h. */
#ifndef BROKER_SHARD_H
#define BROKER_SHARD_H
#include "base/env.h"
#include "base/fifo.h"
#include "base/inbox.h"
#include "base/list.h"
#include "base/map.h"
#include "base/timer.h"
#include "broker/broker.h"
#include "broker/connection.h"
#include "broker/counters.h"
#include "broker/guard.h"
#include "broker/image.h"
#include "broker/interest.h"
#include "broker/journal.h"
#include "broker/output.h"
#include "broker/post.h"
#include "broker/reasons.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct mem;
struct message;
struct publication;
struct retained;
struct topic_tree;
struct match_cache;
struct shares;

/* Work that is done in slices between the events of the loop: a wildcard over a million retained
 * messages, say. run() does a little; it is called once a turn, less often where there are many
 * jobs, until the job takes itself out of the list. */
struct job;
typedef void job_fn(struct job *j);
struct job {
    struct list link; /* in shard.jobs while it is to run */
    job_fn *run;
};

/* Growing buffer for what is put together and used at once. */
struct scratch {
    uint8_t *p;
    size_t cap;
};

struct shard {
    uint32_t magic;
    unsigned index;
    struct broker *broker;
    struct mem *mem;
    struct broker_config config; /* current */
    struct timer_wheel timers;
    uint64_t now_ms; /* monotonic, as of the start of the turn */
    uint64_t wall_ms;

    struct topic_tree *tree;
    struct match_cache *match_cache;
    struct retained *retained;
    struct shares *shares;
    struct interest interest;         /* read by all shards */
    struct interest durable_interest; /* the same, of durable sessions only */
    struct journal *journal;          /* NULL: nothing is stored */
    struct guard guard;

    struct map sessions; /* by client identifier */
    struct list all_sessions;
    struct list connections;
    struct list slowed;   /* publishers that are not read from for now */
    struct list dirty;    /* connections with output to be flushed */
    struct list failing;  /* connections to be closed at the end of the turn */
    struct list arrivals; /* sessions on their way here, and from here (takeover.c) */
    struct list departures;
    struct list answers_waiting; /* connections with answers that wait for a turn to be done */
    struct list welcomes;        /* connections whose CONNACK waits for that */
    struct list committing;      /* sessions that go on when more is committed */
    struct list loads;           /* pages on their way (backlog.c) */
    struct list jobs;

    struct posts posts; /* to and from other shards */

    uint64_t last_uid;
    uint64_t last_serial;
    uint64_t match_stamp; /* of the publish being merged */
    struct images images;
    struct output_spares spares;
    struct scratch props;   /* properties of the message at hand, to be passed on */
    struct scratch compose; /* properties of the packet being sent */
    struct scratch matches; /* merged deliveries of the message at hand */

    struct counters counters; /* read by all */
    _Atomic int64_t drops[DROP_COUNT];
    _Atomic int64_t closes[CLOSE_COUNT];

    struct {
        bool on;       /* the service ends: no PUBLISH is taken any more (drain.h) */
        bool counted;  /* this shard is one of broker.settled */
        uint64_t turn; /* what was handed over up to here has to be dealt with first */
        uint64_t deadline_ms;
        struct timer timer;
    } drain;

    struct timer pause_timer;  /* runs while publishers are slowed */
    struct timer memory_timer; /* runs while mem has pages to give back */

    _Atomic bool awake;      /* it will look at its inbox without being woken */
    void (*wake)(void *arg); /* make the loop run a turn; any thread may call it */
    void *wake_arg;
};

/* Set before the shard runs: how others wake its loop. */
void shard_set_wake(struct shard *sh, void (*wake)(void *arg), void *arg);

/* ---- the turn, called by the transport on the shard's thread ---- */

void shard_turn_begin(struct shard *sh);
void shard_turn_end(struct shard *sh);

/* In the middle of a turn: let other shards have what there is for them, take what they have. */
void shard_hand_over(struct shard *sh);

/* When the next turn must come, whatever else happens: milliseconds of the monotonic clock;
 * the present when there is work left; TIMER_NEVER when there is nothing to wait for. */
uint64_t shard_next_turn_ms(const struct shard *sh);

/* There is news from the store. Any thread. */
void shard_store_news(struct shard *sh);

/* Optional: a loop that is busy need not be woken. Between shard_stay_awake() and shard_may_sleep()
 * nobody wakes it; so it must call the latter before it waits, and not wait when it says no. */
void shard_stay_awake(struct shard *sh);
bool shard_may_sleep(struct shard *sh);

/* Before input is handled: everything that was handed to this shard before the peer can have sent
 * it is handled first, so that no client sees effects before their causes. */
static inline void shard_catch_up(struct shard *sh)
{
    if (inbox_has_items(&sh->posts.inbox))
        posts_receive(sh);
}

/* ---- waiting: answers that vouch for something ---- */

/* Whatever was handed over or recorded up to this turn has been dealt with by all other shards, and
 * is committed where it has to be. */
uint64_t shard_done_turn(const struct shard *sh);

/* The same of this turn alone, of which shard_done_turn() does not say so. Only while the store
 * cannot write: else an earlier turn does not keep this one waiting for long, and nobody need look
 * closer. */
bool shard_done_early(const struct shard *sh, uint64_t turn);

/* Changes when something is handed over or recorded that an answer has to wait for: the ticket is
 * then sh->posts.turn. */
uint64_t shard_asks(const struct shard *sh);

/* ---- stopping ---- */

/* Close every connection (MQTT 5: DISCONNECT 0x8B, WebSocket 1001). */
void shard_close_all(struct shard *sh, enum close_reason why);

/* ---- for the modules of broker/ ---- */

struct shard *shard_new(struct broker *b, unsigned index);

/* The end, in three steps that all shards take together, because they hold memory of each other and
 * have told each other of their sessions: end the sessions (Wills are not published), give up
 * tables, free the memory. */
void shard_end_sessions(struct shard *sh);
void shard_clear(struct shard *sh);
void shard_free(struct shard **sh);

/* A number for the next message: larger than any this shard has given or seen; in its upper 44 bits
 * the time in milliseconds since 1970, in its lowest 8 the shard. */
#define UID_TIME_SHIFT 20
uint64_t shard_next_uid(struct shard *sh);
void shard_seen_uid(struct shard *sh, uint64_t uid);

/* A client comes, perhaps from another shard: what it publishes here gets larger numbers than what
 * it published there. */
void shard_client_comes(struct shard *sh);

/* Look at the clock: time stands still within a turn otherwise. */
void shard_update_time(struct shard *sh);

/* A wall clock time on the shard's monotonic clock; 0 stays 0, what is past becomes now. */
uint64_t shard_mono_ms(const struct shard *sh, uint64_t wall_ms);

/* A number for a session: unique, restarts included; larger than those given before; never 0. */
uint64_t shard_next_serial(struct shard *sh);

/* At least n bytes of scratch, or NULL when out of memory. Valid until the next call. */
uint8_t *scratch_reserve(struct shard *sh, struct scratch *s, size_t n);

void shard_start_job(struct shard *sh, struct job *j);

/* Give every connection's output to the transport now, not only at the end of the turn. */
void shard_flush(struct shard *sh);

/* Pause reading from a publisher until other shards, or memory, have recovered. */
void shard_slow(struct connection *c, enum pause_reason why);

static inline void count_drop(struct shard *sh, enum drop_reason why, int64_t n)
{
    atomic_store_explicit(&sh->drops[why],
                          atomic_load_explicit(&sh->drops[why], memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static inline bool shard_alone(const struct shard *sh)
{
    return sh->broker->n_shards == 1;
}
#endif

/* shard: the turn of the loop, and what a shard is made of. */
#include "broker/shard.h"

#include "base/assert.h"
#include "base/mem.h"
#include "broker/connection.h"
#include "broker/match_cache.h"
#include "broker/purposes.h"
#include "broker/retained.h"
#include "broker/session.h"
#include "broker/session_priv.h"
#include "broker/share.h"
#include "broker/takeover.h"
#include "broker/topic_tree.h"

#include <string.h>

#define SHARD_MAGIC    0x53485244u
#define JOBS_A_TURN    64
#define PAUSE_CHECK_MS 2    /* between two looks whether publishers may go on */
#define MEMORY_MS      1000 /* empty pages are kept so long at least, for the next burst */

/* ---- time and numbers ---- */

void shard_update_time(struct shard *sh)
{
    struct env_time t;

    sh->broker->env->now(sh->broker->env->arg, &t);
    sh->now_ms = t.mono_ms;
    sh->wall_ms = t.wall_ms;
}

uint64_t shard_next_uid(struct shard *sh)
{
    uint64_t uid = sh->wall_ms << UID_TIME_SHIFT | sh->index;

    if (uid <= sh->last_uid)
        uid = ((sh->last_uid >> 8) + 1) << 8 | sh->index;
    sh->last_uid = uid;
    return uid;
}

void shard_seen_uid(struct shard *sh, uint64_t uid)
{
    if (uid > sh->last_uid)
        sh->last_uid = uid;
}

void shard_client_comes(struct shard *sh)
{
    struct env_time t;

    sh->broker->env->now(sh->broker->env->arg, &t);
    shard_seen_uid(sh, (t.wall_ms + 1) << UID_TIME_SHIFT);
}

uint64_t shard_mono_ms(const struct shard *sh, uint64_t wall_ms)
{
    if (wall_ms == 0)
        return 0;
    return wall_ms > sh->wall_ms ? sh->now_ms + (wall_ms - sh->wall_ms) : sh->now_ms;
}

uint64_t shard_next_serial(struct shard *sh)
{
    uint64_t serial = sh->wall_ms << UID_TIME_SHIFT | sh->index;

    if (serial <= sh->last_serial)
        serial = ((sh->last_serial >> 8) + 1) << 8 | sh->index;
    sh->last_serial = serial;
    return serial;
}

uint8_t *scratch_reserve(struct shard *sh, struct scratch *s, size_t n)
{
    size_t cap = s->cap == 0 ? 1024 : s->cap;
    uint8_t *p;

    if (s->p != NULL && n <= s->cap)
        return s->p;
    while (cap < n)
        cap *= 2;
    p = mem_try_alloc(sh->mem, FOR_SHARD, cap);
    if (p == NULL)
        return NULL;
    mem_release(sh->mem, FOR_SHARD, s->p);
    *s = (struct scratch){p, cap};
    return p;
}

/* ---- the turn ---- */

void shard_start_job(struct shard *sh, struct job *j)
{
    if (!list_linked(&j->link))
        list_push_back(&sh->jobs, &j->link);
}

/* Each job once, but not so many that the turn would become long: the next one goes on with the
 * others. They may end themselves and start others. */
static void run_jobs(struct shard *sh)
{
    struct list round, *l;

    list_init(&round);
    list_splice_back(&round, &sh->jobs);
    for (unsigned n = 0; n < JOBS_A_TURN && (l = list_pop_front(&round)) != NULL; n++) {
        struct job *j = LIST_ITEM(l, struct job, link);

        list_push_back(&sh->jobs, l);
        j->run(j);
    }
    list_splice_back(&round, &sh->jobs);
    list_splice_back(&sh->jobs, &round);
}

static void close_failing(struct shard *sh)
{
    struct list *l;

    while ((l = list_pop_front(&sh->failing)) != NULL) {
        struct connection *c = LIST_ITEM(l, struct connection, link_failing);

        connection_close(c, (enum close_reason)c->fail_why, NULL);
    }
}

uint64_t shard_done_turn(const struct shard *sh)
{
    uint64_t stored = journal_done_turn(sh);

    return sh->posts.done_turn < stored ? sh->posts.done_turn : stored;
}

bool shard_done_early(const struct shard *sh, uint64_t turn)
{
    return journal_failing(sh) && posts_turn_done(&sh->posts, turn) && journal_turn_done(sh, turn);
}

uint64_t shard_asks(const struct shard *sh)
{
    return sh->posts.asks + journal_waits(sh);
}

static void release_answers(struct shard *sh)
{
    bool early = sh->posts.some_done && journal_failing(sh);

    if (!sh->posts.progress && !early)
        return;
    sh->posts.progress = false;
    if (early)
        sh->posts.some_done = false;
    connections_welcome(sh);
    connections_release_answers(sh);
}

void shard_flush(struct shard *sh)
{
    struct list *l;

    while ((l = list_pop_front(&sh->dirty)) != NULL)
        output_flush(LIST_ITEM(l, struct connection, link_dirty));
    images_reset(&sh->images, sh->mem); /* nothing refers to them any more */
}

static void give_memory_back(struct timer *t)
{
    mem_relax(CONTAINER_OF(t, struct shard, memory_timer)->mem);
}

/* To other shards what is theirs, to the system, in time, what was not used again. */
static void settle_memory(struct shard *sh)
{
    mem_settle(sh->mem);
    if (mem_has_spare(sh->mem) && !timer_running(&sh->memory_timer))
        timer_start(&sh->timers, &sh->memory_timer, sh->now_ms + MEMORY_MS);
}

void shard_turn_begin(struct shard *sh)
{
    if (inbox_has_items(&sh->posts.inbox))
        posts_receive(sh); /* updates the time, too */
    else
        shard_update_time(sh);
    journal_turn_begin(sh);
    timer_wheel_advance(&sh->timers, sh->now_ms);
}

void shard_hand_over(struct shard *sh)
{
    guard_turn(sh);
    posts_answer(sh);
    journal_turn_end(sh);
    posts_send(sh);
    if (inbox_has_items(&sh->posts.inbox))
        posts_receive(sh);
}

void shard_turn_end(struct shard *sh)
{
    run_jobs(sh);
    close_failing(sh);
    guard_turn(sh);
    journal_turn_end(sh);
    posts_answer(sh);
    posts_send(sh); /* first, so that other shards work while this one writes */
    release_answers(sh);
    shard_flush(sh);
    settle_memory(sh);
}

uint64_t shard_next_turn_ms(const struct shard *sh)
{
    uint64_t timer_ms, journal_ms;

    if (!list_empty(&sh->jobs) || !list_empty(&sh->failing) || !list_empty(&sh->dirty) ||
        journal_has_news(sh))
        return sh->now_ms;
    timer_ms = timer_wheel_next_ms(&sh->timers);
    journal_ms = journal_due_ms(sh);
    return timer_ms < journal_ms ? timer_ms : journal_ms;
}

void shard_stay_awake(struct shard *sh)
{
    atomic_store_explicit(&sh->awake, true, memory_order_relaxed);
}

bool shard_may_sleep(struct shard *sh)
{
    /* A producer pushes first and looks at the flag then; here it is the other way round: one of
     * both sees the other. */
    atomic_store_explicit(&sh->awake, false, memory_order_seq_cst);
    return !inbox_has_items(&sh->posts.inbox) && !journal_has_news(sh);
}

void shard_store_news(struct shard *sh)
{
    journal_news(sh);
    if (atomic_load_explicit(&sh->awake, memory_order_seq_cst))
        return;
    pthread_mutex_lock(&sh->broker->wake_lock);
    if (sh->wake != NULL)
        sh->wake(sh->wake_arg);
    pthread_mutex_unlock(&sh->broker->wake_lock);
}

void shard_set_wake(struct shard *sh, void (*wake)(void *arg), void *arg)
{
    pthread_mutex_lock(&sh->broker->wake_lock);
    sh->wake = wake;
    sh->wake_arg = arg;
    pthread_mutex_unlock(&sh->broker->wake_lock);
}

/* ---- slowed publishers ---- */

static void check_pauses(struct timer *t)
{
    struct shard *sh = CONTAINER_OF(t, struct shard, pause_timer);
    bool congested = posts_congested(sh);
    bool behind = journal_congested(sh) && !journal_failing(sh);
    bool memory =
        atomic_load_explicit(&sh->broker->memory_pressure, memory_order_relaxed) != MEMORY_OK;

    LIST_EACH_SAFE (l, &sh->slowed) {
        struct connection *c = LIST_ITEM(l, struct connection, link_slowed);

        if (!congested)
            connection_resume(c, PAUSE_BACKLOG);
        if (!memory)
            connection_resume(c, PAUSE_MEMORY);
        if (!behind)
            connection_resume(c, PAUSE_STORE);
        if ((c->paused & (PAUSE_BACKLOG | PAUSE_MEMORY | PAUSE_STORE)) == 0)
            list_remove(l);
    }
    if (!list_empty(&sh->slowed))
        timer_start(&sh->timers, t, sh->now_ms + PAUSE_CHECK_MS);
}

void shard_slow(struct connection *c, enum pause_reason why)
{
    struct shard *sh = c->shard;

    connection_pause(c, why);
    if (!list_linked(&c->link_slowed))
        list_push_back(&sh->slowed, &c->link_slowed);
    if (!timer_running(&sh->pause_timer))
        timer_start(&sh->timers, &sh->pause_timer, sh->now_ms + PAUSE_CHECK_MS);
}

/* ---- life ---- */

void shard_close_all(struct shard *sh, enum close_reason why)
{
    LIST_EACH_SAFE (l, &sh->connections)
        connection_close(LIST_ITEM(l, struct connection, link_all), why, NULL);
}

struct shard *shard_new(struct broker *b, unsigned index)
{
    struct mem *mem = mem_new();
    struct shard *sh = mem == NULL ? NULL : mem_zalloc(mem, FOR_SHARD, sizeof *sh);

    if (sh == NULL) {
        mem_free(&mem);
        return NULL;
    }
    sh->magic = SHARD_MAGIC;
    sh->index = index;
    sh->broker = b;
    sh->mem = mem;
    sh->config = b->config;
    shard_update_time(sh);
    timer_wheel_init(&sh->timers, sh->now_ms);
    timer_init(&sh->pause_timer, check_pauses);
    timer_init(&sh->memory_timer, give_memory_back);
    map_init(&sh->sessions, mem, FOR_SESSION, session_key_equal);
    list_init(&sh->all_sessions);
    list_init(&sh->connections);
    list_init(&sh->dirty);
    list_init(&sh->slowed);
    list_init(&sh->failing);
    list_init(&sh->arrivals);
    list_init(&sh->departures);
    list_init(&sh->answers_waiting);
    list_init(&sh->welcomes);
    list_init(&sh->committing);
    list_init(&sh->loads);
    list_init(&sh->jobs);
    posts_init(sh);
    interest_init(&sh->interest, b->hash_seed);
    interest_init(&sh->durable_interest, b->hash_seed);
    sh->tree = topic_tree_new(mem, b->hash_seed);
    sh->match_cache = match_cache_new(mem, b->hash_seed);
    sh->retained = retained_new(sh);
    sh->shares = shares_new(sh);
    if (sh->tree == NULL || sh->match_cache == NULL || sh->retained == NULL || sh->shares == NULL) {
        shard_clear(sh);
        shard_free(&sh);
    }
    return sh;
}

void shard_end_sessions(struct shard *sh)
{
    struct list *l;

    ASSERT(list_empty(&sh->connections));
    takeover_fini(sh);
    while ((l = sh->all_sessions.next) != &sh->all_sessions) {
        struct session *s = LIST_ITEM(l, struct session, link);

        session_set_will(s, NULL);
        session_end(s, true);
    }
}

void shard_clear(struct shard *sh)
{
    shares_free(sh);
    retained_free(sh);
    topic_tree_free(&sh->tree);
    match_cache_free(&sh->match_cache, sh->mem);
    mem_settle(sh->mem);
}

void shard_free(struct shard **shard)
{
    struct shard *sh = *shard;
    struct mem *mem;

    *shard = NULL;
    if (sh == NULL)
        return;
    mem = sh->mem;
    map_fini(&sh->sessions);
    posts_fini(sh);
    while (sh->spares.n > 0)
        mem_release(mem, FOR_OUTPUT, sh->spares.v[--sh->spares.n]);
    images_fini(&sh->images, mem);
    mem_release(mem, FOR_SHARD, sh->props.p);
    mem_release(mem, FOR_SHARD, sh->compose.p);
    mem_release(mem, FOR_SHARD, sh->matches.p);
    mem_release(mem, FOR_SHARD, sh);
    mem_free(&mem);
}

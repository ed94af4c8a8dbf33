/* post: blocks of posts per target, pushed to its inbox when full or at the end of the turn. */
#include "broker/post.h"

#include "base/assert.h"
#include "base/mem.h"
#include "broker/journal.h"
#include "broker/purposes.h"
#include "broker/shard.h"

#define BLOCK_POSTS 62
#define BLOCK_BYTES 16368 /* for what posts carry; a size without waste (base/mem.h) */

struct post_batch {
    struct inbox_item item; /* first: it travels as this */
    unsigned from;
    uint32_t n;
    uint64_t bytes;   /* counted in the target's backlog */
    uint64_t turn;    /* that it is of */
    uint8_t answers;  /* bit per level that an answer is wanted for */
    uint8_t *carried; /* BLOCK_BYTES, or NULL */
    uint32_t carried_len;
    struct post posts[BLOCK_POSTS];
};

/* A turn whose acknowledgements wait for other shards. */
struct turn_wait {
    struct list link; /* in posts.waiting or posts.relayed, in the order of their turns, until all
                         answers are there */
    uint64_t turn;
    uint32_t level;
    uint32_t missing; /* answers */
};

/* An answer to another shard that waits for what its posts have led to. */
struct owed {
    uint64_t turn; /* of the other shard */
    uint64_t here; /* our turn in which they were dealt with */
    uint8_t to, level;
    bool stored;  /* records were made */
    bool relayed; /* posts of the next level were made */
};

static struct post_batch *batch_for(struct shard *sh, unsigned to)
{
    struct post_batch *b = sh->posts.open[to];

    if (b == NULL) {
        b = mem_alloc(sh->mem, FOR_POST, sizeof *b);
        b->from = sh->index;
        b->n = 0;
        b->bytes = sizeof *b;
        b->turn = sh->posts.turn;
        b->answers = 0;
        b->carried = NULL;
        b->carried_len = 0;
        sh->posts.open[to] = b;
    }
    return b;
}

static void push(struct shard *sh, unsigned to)
{
    struct post_batch *b = sh->posts.open[to];
    struct shard *target = sh->broker->shards[to];
    _Atomic uint64_t *backlog = &target->posts.backlog[sh->index];

    sh->posts.open[to] = NULL;
    COUNT_ADD(&sh->counters, posts, b->n);
    if (atomic_fetch_add_explicit(backlog, b->bytes, memory_order_relaxed) + b->bytes >
        POST_BACKLOG_LIMIT)
        sh->posts.congested = true;
    if (inbox_push(&target->posts.inbox, &b->item) && target->wake != NULL &&
        !atomic_load_explicit(&target->awake, memory_order_seq_cst))
        target->wake(target->wake_arg);
}

/* done_turn follows the oldest turn that still waits. */
static void settle(struct posts *p)
{
    uint64_t done = p->turn - 1;

    if (!list_empty(&p->waiting))
        done = LIST_ITEM(p->waiting.next, struct turn_wait, link)->turn - 1;
    if (done != p->done_turn) {
        p->done_turn = done;
        p->progress = true;
    }
}

/* Late turns first: an early one may be waited for for long. */
static struct turn_wait *find_wait(const struct posts *p, uint64_t turn, unsigned level)
{
    const struct list *waits = level == 0 ? &p->waiting : &p->relayed;

    for (const struct list *l = waits->prev; l != waits; l = l->prev) {
        struct turn_wait *w = LIST_ITEM(l, struct turn_wait, link);

        if (w->turn < turn)
            return NULL;
        if (w->turn == turn && w->level == level)
            return w;
    }
    return NULL;
}

bool posts_turn_done(const struct posts *p, uint64_t turn)
{
    return turn < p->turn && find_wait(p, turn, 0) == NULL;
}

static void wait_end(struct shard *sh, struct turn_wait *w)
{
    list_remove(&w->link);
    mem_release(sh->mem, FOR_POST, w);
}

/* a: turn; u32: level. */
static void on_answer(struct shard *sh, struct post *p)
{
    struct turn_wait *w = find_wait(&sh->posts, p->a, p->u32);

    ASSERT(w != NULL);
    if (--w->missing == 0) {
        wait_end(sh, w);
        sh->posts.some_done = true;
    }
    settle(&sh->posts);
}

static void answer(struct shard *sh, const struct owed *o)
{
    struct post *p = shard_post(sh, o->to, on_answer);

    p->a = o->turn;
    p->u32 = o->level;
}

/* Is everything done that the answer vouches for? */
static bool answerable(struct shard *sh, const struct owed *o)
{
    const struct posts *p = &sh->posts;

    if (o->stored && !journal_turn_done(sh, o->here))
        return false;
    if (!o->relayed)
        return true;
    if (o->here == p->turn)
        return false; /* what it has led to is not even on its way */
    return find_wait(p, o->here, o->level + 1u) == NULL;
}

void posts_answer(struct shard *sh)
{
    struct fifo *owed = &sh->posts.owed;

    for (uint32_t n = fifo_count(owed); n > 0; n--) {
        struct owed o = *(struct owed *)fifo_front(owed), *slot;

        fifo_pop(owed, sh->mem);
        if (answerable(sh, &o)) {
            answer(sh, &o);
            continue;
        }
        slot = fifo_must_push(owed, sh->mem);
        *slot = o;
    }
}

/* The answer for the posts of one level, now or later. */
static void owe(struct shard *sh, struct owed o)
{
    struct owed *slot;

    if (answerable(sh, &o)) {
        answer(sh, &o);
        return;
    }
    slot = fifo_must_push(&sh->posts.owed, sh->mem);
    *slot = o;
}

static void handle_batch(struct shard *sh, struct post_batch *b)
{
    bool stored[POST_LEVELS] = {false}, relayed[POST_LEVELS] = {false};

    for (uint32_t i = 0; i < b->n; i++) {
        struct post *p = &b->posts[i];
        uint64_t waits = journal_waits(sh), asks = sh->posts.asks;

        sh->posts.level = p->level + 1u < POST_LEVELS ? p->level + 1u : p->level;
        p->fn(sh, p);
        stored[p->level] |= journal_waits(sh) != waits;
        relayed[p->level] |= sh->posts.asks != asks && sh->posts.level > p->level;
    }
    sh->posts.level = 0;
    for (uint8_t level = 0; b->answers >> level != 0; level++)
        if (b->answers >> level & 1)
            owe(sh, (struct owed){.turn = b->turn,
                                  .here = sh->posts.turn,
                                  .to = (uint8_t)b->from,
                                  .level = level,
                                  .stored = stored[level],
                                  .relayed = relayed[level]});
    atomic_fetch_sub_explicit(&sh->posts.backlog[b->from], b->bytes, memory_order_relaxed);
    mem_release(sh->mem, FOR_POST, b->carried);
    mem_release(sh->mem, FOR_POST, b);
}

void posts_init(struct shard *sh)
{
    inbox_init(&sh->posts.inbox);
    list_init(&sh->posts.waiting);
    list_init(&sh->posts.relayed);
    fifo_init(&sh->posts.owed, sizeof(struct owed), FOR_POST);
    sh->posts.turn = 1;
}

void posts_fini(struct shard *sh)
{
    ASSERT(!inbox_has_items(&sh->posts.inbox));
    list_splice_back(&sh->posts.waiting, &sh->posts.relayed);
    while (!list_empty(&sh->posts.waiting))
        wait_end(sh, LIST_ITEM(sh->posts.waiting.next, struct turn_wait, link));
    fifo_clear(&sh->posts.owed, sh->mem);
}

struct post *shard_post(struct shard *sh, unsigned to, post_fn *fn)
{
    struct post_batch *b = batch_for(sh, to);
    struct post *p;

    if (b->n == BLOCK_POSTS) {
        push(sh, to);
        b = batch_for(sh, to);
    }
    p = &b->posts[b->n++];
    *p = (struct post){.fn = fn, .from = (uint8_t)sh->index, .level = (uint8_t)sh->posts.level};
    return p;
}

struct post *shard_post_bytes(struct shard *sh, unsigned to, post_fn *fn, size_t n)
{
    struct post_batch *b = batch_for(sh, to);
    struct post *p;

    ASSERT(n <= POST_BYTES_MAX);
    n = (n + 7) & ~(size_t)7;
    if (b->n == BLOCK_POSTS || b->carried_len + n > BLOCK_BYTES) {
        push(sh, to);
        b = batch_for(sh, to);
    }
    if (b->carried == NULL)
        b->carried = mem_try_alloc(sh->mem, FOR_POST, BLOCK_BYTES);
    if (b->carried == NULL)
        return NULL;
    p = shard_post(sh, to, fn);
    p->ptr = b->carried + b->carried_len;
    b->carried_len += (uint32_t)n;
    b->bytes += n;
    return p;
}

void posts_weigh(struct shard *sh, unsigned to, uint64_t bytes)
{
    sh->posts.open[to]->bytes += bytes;
}

void posts_want_answer(struct shard *sh, unsigned to)
{
    sh->posts.wanted[sh->posts.level] |= UINT64_C(1) << to;
    sh->posts.asks++;
}

void posts_receive(struct shard *sh)
{
    struct inbox_item *item = inbox_take(&sh->posts.inbox);

    shard_update_time(sh);
    while (item != NULL) {
        struct inbox_item *next = item->next;

        handle_batch(sh, (struct post_batch *)(void *)item);
        item = next;
    }
}

void posts_begin_anew(struct shard *sh)
{
    sh->posts.level = 0;
}

/* Ask for the answers of one level that this turn wants. */
static void ask(struct shard *sh, unsigned level)
{
    struct posts *p = &sh->posts;
    struct turn_wait *w;
    uint32_t missing = 0;

    if (p->wanted[level] == 0)
        return;
    for (unsigned to = 0; to < sh->broker->n_shards; to++) {
        if ((p->wanted[level] >> to & 1) == 0)
            continue;
        /* perhaps an empty one, when it was full and left */
        batch_for(sh, to)->answers |= (uint8_t)(1u << level);
        missing++;
    }
    w = mem_alloc(sh->mem, FOR_POST, sizeof *w);
    *w = (struct turn_wait){.turn = p->turn, .level = level, .missing = missing};
    list_push_back(level == 0 ? &p->waiting : &p->relayed, &w->link);
    p->wanted[level] = 0;
}

void posts_send(struct shard *sh)
{
    struct posts *p = &sh->posts;

    for (unsigned level = 0; level < POST_LEVELS; level++)
        ask(sh, level);
    for (unsigned to = 0; to < sh->broker->n_shards; to++)
        if (p->open[to] != NULL)
            push(sh, to);
    p->turn++;
    settle(p);
}

bool posts_congested(struct shard *sh)
{
    sh->posts.congested = false;
    for (unsigned to = 0; to < sh->broker->n_shards; to++)
        sh->posts.congested |=
            atomic_load_explicit(&sh->broker->shards[to]->posts.backlog[sh->index],
                                 memory_order_relaxed) > POST_BACKLOG_LIMIT;
    return sh->posts.congested;
}

/* post: blocks of posts per target, pushed to its inbox when full or at the end of the turn. */
#include "broker/post.h"

#include "base/assert.h"
#include "base/mem.h"
#include "broker/purposes.h"
#include "broker/shard.h"

#define BLOCK_POSTS 62
#define BLOCK_BYTES 16368 /* for what posts carry; a size without waste (base/mem.h) */

struct post_batch {
    struct inbox_item item; /* first: it travels as this */
    unsigned from;
    uint32_t n;
    uint64_t bytes;       /* counted in the target's backlog */
    uint64_t answer_turn; /* 0: nobody waits */
    uint8_t *carried;     /* BLOCK_BYTES, or NULL */
    uint32_t carried_len;
    struct post posts[BLOCK_POSTS];
};

/* A turn whose acknowledgements wait for other shards. */
struct turn_wait {
    uint64_t turn;
    uint32_t missing; /* answers */
};

static struct post_batch *batch_for(struct shard *sh, unsigned to)
{
    struct post_batch *b = sh->posts.open[to];

    if (b == NULL) {
        b = mem_alloc(sh->mem, FOR_POST, sizeof *b);
        b->from = sh->index;
        b->n = 0;
        b->bytes = sizeof *b;
        b->answer_turn = 0;
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

    sh->posts.open[to] = NULL;
    COUNT_ADD(&sh->counters, posts, b->n);
    atomic_fetch_add_explicit(&target->posts.backlog[sh->index], b->bytes, memory_order_relaxed);
    if (inbox_push(&target->posts.inbox, &b->item) && target->wake != NULL &&
        !atomic_load_explicit(&target->awake, memory_order_seq_cst))
        target->wake(target->wake_arg);
}

/* done_turn follows the oldest turn that still waits. */
static void settle(struct posts *p)
{
    struct turn_wait *w;
    uint64_t done;

    for (w = fifo_front(&p->waiting); w != NULL && w->missing == 0; w = fifo_front(&p->waiting))
        fifo_pop(&p->waiting, CONTAINER_OF(p, struct shard, posts)->mem);
    done = (w != NULL ? w->turn : p->turn) - 1;
    if (done != p->done_turn) {
        p->done_turn = done;
        p->progress = true;
    }
}

static void on_answer(struct shard *sh, struct post *p)
{
    struct fifo_cursor cursor = {0};
    struct turn_wait *w;

    while ((w = fifo_next(&sh->posts.waiting, &cursor)) != NULL && w->turn != p->a)
        ;
    ASSERT(w != NULL && w->missing > 0);
    w->missing--;
    settle(&sh->posts);
}

static void answer(struct shard *sh, unsigned to, uint64_t turn)
{
    shard_post(sh, to, on_answer)->a = turn;
}

static void handle_batch(struct shard *sh, struct post_batch *b)
{
    for (uint32_t i = 0; i < b->n; i++)
        b->posts[i].fn(sh, &b->posts[i]);
    if (b->answer_turn != 0)
        answer(sh, b->from, b->answer_turn);
    atomic_fetch_sub_explicit(&sh->posts.backlog[b->from], b->bytes, memory_order_relaxed);
    mem_release(sh->mem, FOR_POST, b->carried);
    mem_release(sh->mem, FOR_POST, b);
}

void posts_init(struct shard *sh)
{
    inbox_init(&sh->posts.inbox);
    fifo_init(&sh->posts.waiting, sizeof(struct turn_wait), FOR_POST);
    sh->posts.turn = 1;
}

void posts_fini(struct shard *sh)
{
    ASSERT(!inbox_has_items(&sh->posts.inbox));
    fifo_clear(&sh->posts.waiting, sh->mem);
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
    *p = (struct post){.fn = fn, .from = sh->index};
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
    sh->posts.wanted |= UINT64_C(1) << to;
    sh->posts.asks++;
}

void posts_receive(struct shard *sh)
{
    struct inbox_item *item = inbox_take(&sh->posts.inbox);

    while (item != NULL) {
        struct inbox_item *next = item->next;

        handle_batch(sh, (struct post_batch *)(void *)item);
        item = next;
    }
}

void posts_send(struct shard *sh)
{
    struct posts *p = &sh->posts;
    uint32_t missing = 0;

    for (unsigned to = 0; to < sh->broker->n_shards; to++) {
        if (p->wanted >> to & 1) {
            batch_for(sh, to)->answer_turn = p->turn; /* perhaps empty, when it was full and left */
            missing++;
        }
        if (p->open[to] != NULL)
            push(sh, to);
    }
    if (missing > 0) {
        struct turn_wait *w = fifo_push(&p->waiting, sh->mem);

        ASSERT(w != NULL);
        *w = (struct turn_wait){p->turn, missing};
    }
    p->wanted = 0;
    p->turn++;
    settle(p);
}

bool posts_congested(const struct shard *sh)
{
    for (unsigned to = 0; to < sh->broker->n_shards; to++)
        if (atomic_load_explicit(&sh->broker->shards[to]->posts.backlog[sh->index],
                                 memory_order_relaxed) > POST_BACKLOG_LIMIT)
            return true;
    return false;
}

/* drain: see drain.h. */
#include "broker/drain.h"

#include "broker/connection.h"
#include "broker/session.h"
#include "broker/shard.h"

#define LOOK_MS 5 /* between two looks at what is left */

static void next_look(struct shard *sh)
{
    timer_start(&sh->timers, &sh->drain.timer, sh->now_ms + LOOK_MS);
}

/* Everything this client can get is on its way. */
static bool finished(const struct connection *c)
{
    const struct session *s = c->session;

    if (c->state != CONN_UP)
        return true;
    return c->out.now.len + c->out.shared_len == 0 && output_ready(&c->out) &&
           fifo_count(&c->answers) == 0 &&
           (s->flow == NULL || (s->flow->out.count == 0 && fifo_count(&s->flow->queue) == 0));
}

static void close_finished(struct shard *sh)
{
    LIST_EACH_SAFE (l, &sh->connections) {
        struct connection *c = LIST_ITEM(l, struct connection, link_all);

        if (finished(c))
            connection_close(c, CLOSE_SHUTTING_DOWN, NULL);
    }
}

/* Step 1 is done here: its posts have been dealt with. */
static bool settled(struct shard *sh)
{
    return shard_done_turn(sh) >= sh->drain.turn && guard_idle(&sh->guard);
}

static bool all_settled(const struct broker *b)
{
    return atomic_load_explicit(&b->settled, memory_order_acquire) == b->n_shards;
}

static void look(struct timer *t)
{
    struct shard *sh = CONTAINER_OF(t, struct shard, drain.timer);
    struct broker *b = sh->broker;

    if (sh->now_ms >= sh->drain.deadline_ms) {
        shard_close_all(sh, CLOSE_SHUTTING_DOWN);
        return;
    }
    if (!sh->drain.counted && settled(sh)) {
        sh->drain.counted = true;
        atomic_fetch_add_explicit(&b->settled, 1, memory_order_acq_rel);
    }
    if (all_settled(b))
        close_finished(sh);
    next_look(sh);
}

void shard_drain(struct shard *sh, uint32_t timeout_ms)
{
    if (sh->drain.on)
        return;
    sh->drain.on = true;
    sh->drain.turn = sh->posts.turn;
    sh->drain.deadline_ms = sh->now_ms + timeout_ms;
    atomic_store_explicit(&sh->broker->draining, true, memory_order_relaxed);
    timer_init(&sh->drain.timer, look);
    next_look(sh);
}

bool shard_drained(const struct shard *sh)
{
    return list_empty(&sh->connections) && all_settled(sh->broker);
}

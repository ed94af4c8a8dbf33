#include "broker/guard.h"

#include "base/mem.h"
#include "broker/connection.h"
#include "broker/journal.h"
#include "broker/purposes.h"
#include "broker/session.h"
#include "broker/shard.h"
#include "broker/takeover.h"

struct staged {
    uint64_t session, uid;
    uint64_t turn; /* in which it was handed over; then: mark of the journal behind its record */
    uint16_t packet_id;
};

bool guard_init(struct shard *sh)
{
    struct guard *g = &sh->guard;

    fifo_init(&g->staged, sizeof(struct staged), FOR_STORE);
    fifo_init(&g->received, sizeof(struct staged), FOR_STORE);
    g->released = mem_try_zalloc(sh->mem, FOR_STORE, BROKER_MAX_SHARDS * sizeof *g->released);
    return g->released != NULL;
}

void guard_fini(struct shard *sh)
{
    struct guard *g = &sh->guard;

    fifo_clear(&g->staged, sh->mem);
    fifo_clear(&g->received, sh->mem);
    mem_release(sh->mem, FOR_STORE, g->released);
    g->released = NULL;
}

void guard_stage(struct shard *sh, uint64_t session, uint16_t packet_id, uint64_t uid)
{
    struct staged *s = fifo_must_push(&sh->guard.staged, sh->mem);

    *s = (struct staged){
        .session = session, .uid = uid, .turn = sh->posts.turn, .packet_id = packet_id};
    sh->guard.last_uid = uid;
}

bool guard_released(const struct shard *sh, uint64_t uid)
{
    return uid <= sh->guard.released[uid % BROKER_MAX_SHARDS];
}

void guard_note(struct session *s)
{
    struct shard *sh = s->shard;
    struct session_flow *f = s->flow;

    if (guard_idle(&sh->guard) || f == NULL || f->received.count == 0)
        return;
    if (f->guards == NULL)
        f->guards = mem_zalloc(sh->mem, FOR_QUEUE, BROKER_MAX_SHARDS * sizeof *f->guards);
    f->guards[sh->index] = sh->guard.last_uid;
}

bool guard_clear(const struct session *s)
{
    const uint64_t *guards = s->flow == NULL ? NULL : s->flow->guards;

    for (unsigned i = 0; guards != NULL && i < s->shard->broker->n_shards; i++)
        if (guards[i] > s->shard->guard.released[i])
            return false;
    return true;
}

/* All deliveries are stored: now the identifier. */
void guard_turn(struct shard *sh)
{
    struct guard *g = &sh->guard;
    uint64_t done = fifo_count(&g->staged) == 0 ? 0 : shard_done_turn(sh);
    struct staged *s, *to;

    while ((s = fifo_front(&g->staged)) != NULL && s->turn <= done) {
        journal_received_by(sh, s->session, s->packet_id, s->uid);
        to = fifo_must_push(&g->received, sh->mem);
        *to = *s;
        to->turn = journal_mark(sh);
        fifo_pop(&g->staged, sh->mem);
    }
}

static void release(struct shard *sh, unsigned from, uint64_t uid)
{
    sh->guard.released[from] = uid;
    sh->posts.progress = true; /* PUBRECs may have waited for it */
    sessions_committed(sh);
}

/* a: uid. */
static void on_released(struct shard *sh, struct post *p)
{
    release(sh, p->from, p->a);
}

void guard_committed(struct shard *sh)
{
    struct guard *g = &sh->guard;
    struct staged *s;
    uint64_t uid = 0;

    while ((s = fifo_front(&g->received)) != NULL && journal_passed(sh, s->turn)) {
        uid = s->uid;
        fifo_pop(&g->received, sh->mem);
    }
    if (uid == 0)
        return;
    for (unsigned to = 0; to < sh->broker->n_shards; to++)
        if (to != sh->index)
            shard_post(sh, to, on_released)->a = uid;
    release(sh, sh->index, uid);
}

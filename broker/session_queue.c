/* session_queue: messages that wait for their session: for its client to come, to acknowledge what
 * it has, or to read. The queue has a part in memory, then perhaps one in the store only, then what
 * has come since (backlog.h). */
#include "base/assert.h"
#include "base/mem.h"
#include "broker/backlog.h"
#include "broker/connection.h"
#include "broker/journal.h"
#include "broker/purposes.h"
#include "broker/session.h"
#include "broker/session_priv.h"
#include "broker/shard.h"
#include "broker/share.h"

#include <string.h>

static const struct backlog *backlog_of(const struct session *s)
{
    return s->flow == NULL ? NULL : s->flow->backlog;
}

uint32_t session_queued(const struct session *s)
{
    const struct backlog *b = backlog_of(s);

    if (s->flow == NULL)
        return 0;
    return fifo_count(&s->flow->queue) + (b == NULL ? 0 : b->messages + fifo_count(&b->later));
}

static uint64_t queued_bytes(const struct session *s)
{
    const struct backlog *b = backlog_of(s);

    return s->flow == NULL ? 0 : s->flow->queued_bytes + (b == NULL ? 0 : b->bytes);
}

bool session_has_room(const struct session *s)
{
    const struct broker_config *cfg = &s->shard->config;

    /* half: live messages that arrive meanwhile must not be dropped for it */
    return session_queued(s) < cfg->max_queued_messages / 2 + 1 &&
           queued_bytes(s) < cfg->max_queued_bytes / 2 + 1;
}

/* ---- in and out ---- */

void session_uncount(struct session *s, const struct delivery *d)
{
    struct session_flow *f = s->flow;

    f->queued_bytes -= delivery_size(d);
    f->queued_qos0 -= d->qos == 0;
    COUNT_DOWN(&s->shard->counters, queued);
}

void session_queue_pop(struct session *s)
{
    session_uncount(s, fifo_front(&s->flow->queue));
    fifo_pop(&s->flow->queue, s->shard->mem);
}

void session_group_done(struct session *s, uint64_t group, uint8_t qos)
{
    if (group != 0 && qos > 0)
        share_done(s->shard, group, s);
}

/* The delivery is over before it was sent. */
static void drop(struct session *s, struct delivery *d, enum drop_reason why)
{
    journal_end(s, d);
    session_group_done(s, d->group, d->qos);
    delivery_release(d, s->shard->mem);
    count_drop(s->shard, why, 1);
}

void session_queue_drop(struct session *s, enum drop_reason why)
{
    struct delivery d = *(struct delivery *)fifo_front(&s->flow->queue);

    session_queue_pop(s);
    drop(s, &d, why);
}

/* The oldest message that is in the store only. */
static void drop_unread(struct session *s)
{
    struct backlog *b = s->flow->backlog;

    journal_queue_drop(s, b->at_uid, b->at_group);
    b->bytes -= b->bytes / b->messages;
    b->messages--;
    COUNT_DOWN(&s->shard->counters, queued);
    count_drop(s->shard, DROP_QUEUE_FULL, 1);
}

static void drop_oldest(struct session *s)
{
    struct backlog *b = s->flow->backlog;
    struct delivery d;

    if (fifo_count(&s->flow->queue) > 0) {
        session_queue_drop(s, DROP_QUEUE_FULL);
    } else if (b->messages > 0) {
        drop_unread(s);
    } else {
        d = *(struct delivery *)fifo_front(&b->later);
        session_uncount(s, &d);
        fifo_pop(&b->later, s->shard->mem);
        drop(s, &d, DROP_QUEUE_FULL);
    }
}

void session_requeue(struct session *s, struct delivery *take_d)
{
    struct session_flow *f = s->flow;
    struct fifo *end = f->backlog != NULL ? &f->backlog->later : &f->queue;
    struct delivery *slot = fifo_push(end, s->shard->mem);

    if (slot == NULL) {
        drop(s, take_d, DROP_NO_MEMORY);
        return;
    }
    *slot = *take_d;
    if (f->backlog != NULL)
        f->backlog->mixed |= take_d->uid <= f->backlog->until_uid;
    f->queued_bytes += delivery_size(take_d);
    f->queued_qos0 += take_d->qos == 0;
    COUNT(&s->shard->counters, queued);
}

/* ---- limits ---- */

static bool full(const struct session *s, uint64_t size)
{
    const struct broker_config *cfg = &s->shard->config;

    return session_queued(s) >= cfg->max_queued_messages ||
           queued_bytes(s) + size > cfg->max_queued_bytes;
}

/* Make room for one message of this size by the overflow policy. False: it cannot be kept. */
static bool make_room(struct session *s, uint64_t size, uint8_t qos)
{
    const struct broker_config *cfg = &s->shard->config;

    if (!full(s, size))
        return true;
    if (qos == 0 || cfg->overflow == OVERFLOW_DROP_NEWEST || size > cfg->max_queued_bytes ||
        cfg->max_queued_messages == 0)
        return false;
    if (cfg->overflow == OVERFLOW_DISCONNECT) {
        if (s->conn != NULL)
            connection_close_later(s->conn, CLOSE_SLOW_CONSUMER);
        return false;
    }
    while (full(s, size))
        drop_oldest(s);
    return true;
}

/* ---- what comes ---- */

bool session_delivery(struct shard *sh, struct publication *pub, const struct claim *claim,
                      uint8_t qos, struct delivery *out)
{
    struct message *m = publication_message(pub, sh->mem);

    if (m == NULL)
        return false;
    *out = (struct delivery){.uid = pub->uid,
                             .group = claim->group,
                             .sub_id = claim->sub_id,
                             .qos = qos,
                             .retain = claim->retain};
    if (claim->ids != NULL) {
        size_t size = sizeof *out->ids + claim->ids->n * sizeof out->ids->v[0];

        out->ids = mem_try_alloc(sh->mem, FOR_QUEUE, size);
        if (out->ids == NULL)
            return false;
        memcpy(out->ids, claim->ids, size);
    }
    out->msg = message_ref(m);
    return true;
}

bool session_stores(const struct session *s, struct publication *pub)
{
    return s->durable && s->shard->journal != NULL && journal_wants(s->shard, pub);
}

static bool record(struct session *s, struct delivery *d, const struct publication *pub)
{
    if (!s->arriving)
        return journal_add(s, d, pub, 0, s->conn != NULL ? HASTE_HOPE : HASTE_NOW);
    journal_park(s, d);
    return true;
}

void session_enqueue(struct session *s, struct publication *pub, const struct claim *claim,
                     uint8_t qos)
{
    struct shard *sh = s->shard;
    struct session_flow *f = session_flow(s);
    struct delivery d;

    if (f == NULL || !session_delivery(sh, pub, claim, qos, &d)) {
        count_drop(sh, DROP_NO_MEMORY, 1);
        session_group_done(s, claim->group, qos);
        return;
    }
    if (!make_room(s, delivery_size(&d), qos))
        drop(s, &d, qos == 0 ? DROP_QOS0_CONGESTED : DROP_QUEUE_FULL);
    else if (qos > 0 && session_stores(s, pub) && !record(s, &d, pub))
        drop(s, &d, DROP_NO_MEMORY);
    else
        session_requeue(s, &d);
}

/* session_flow: what holds the messages of a session, its life and its end; and received QoS 2
 * identifiers. Memory is held only while there are any. */
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

struct session_flow *session_flow(struct session *s)
{
    struct session_flow *f = s->flow;

    if (f != NULL)
        return f;
    f = mem_try_zalloc(s->shard->mem, FOR_QUEUE, sizeof *f);
    if (f == NULL)
        return NULL;
    inflight_init(&f->out);
    id_set_init(&f->received);
    fifo_init(&f->queue, sizeof(struct delivery), FOR_QUEUE);
    s->flow = f;
    return f;
}

void session_flow_free(struct shard *sh, struct session_flow *f)
{
    ASSERT(f->out.count == 0 && fifo_count(&f->queue) == 0);
    inflight_clear(&f->out, sh->mem);
    fifo_clear(&f->queue, sh->mem);
    id_set_clear(&f->received, sh->mem);
    backlog_free(f->backlog, sh->mem);
    mem_release(sh->mem, FOR_QUEUE, f->guards);
    mem_release(sh->mem, FOR_QUEUE, f);
}

void session_each_delivery(struct session_flow *f, void *arg,
                           void (*fn)(void *arg, struct delivery *d))
{
    struct fifo *queues[] = {&f->queue, f->backlog != NULL ? &f->backlog->later : NULL};
    struct delivery *d;

    for (struct inflight_entry *e = inflight_first(&f->out); e != NULL;
         e = inflight_after(&f->out, e))
        fn(arg, &e->d);
    for (size_t i = 0; i < ARRAY_LEN(queues) && queues[i] != NULL; i++) {
        struct fifo_cursor cursor = {0};

        while ((d = fifo_next(queues[i], &cursor)) != NULL)
            fn(arg, d);
    }
}

static void share_message(void *arg, struct delivery *d)
{
    (void)arg;
    if (d->msg != NULL)
        message_share(d->msg);
}

void session_share_messages(struct session *s)
{
    if (s->will != NULL)
        message_share(s->will->msg);
    if (s->flow != NULL)
        session_each_delivery(s->flow, NULL, share_message);
}

void session_trim(struct session *s)
{
    struct session_flow *f = s->flow;
    struct mem *mem = s->shard->mem;

    if (f == NULL)
        return;
    inflight_trim(&f->out, mem);
    if (f->out.count == 0 && f->received.count == 0 && fifo_count(&f->queue) == 0 &&
        f->backlog == NULL) {
        session_flow_free(s->shard, f);
        s->flow = NULL;
    }
}

/* ---- received QoS 2 identifiers ---- */

bool session_received_has(const struct session *s, uint16_t packet_id)
{
    return s->flow != NULL && id_set_has(&s->flow->received, packet_id);
}

bool session_received_add(struct session *s, uint16_t packet_id)
{
    struct session_flow *f = session_flow(s);

    return f != NULL && id_set_add(&f->received, s->shard->mem, packet_id);
}

bool session_received_remove(struct session *s, uint16_t packet_id)
{
    if (s->flow == NULL || !id_set_remove(&s->flow->received, s->shard->mem, packet_id))
        return false;
    journal_received_end(s, packet_id);
    return true;
}

/* ---- the end ---- */

/* Another member of its group is to have the message. */
static void give_back(struct session *s, struct delivery *d)
{
    uint64_t from = d->record != 0 ? s->serial : 0;

    journal_leave_behind(s, d);
    share_return(s->shard, d->group, d->msg, from);
}

static void give_back_from(struct session *s, struct fifo *queue)
{
    struct shard *sh = s->shard;

    for (uint32_t n = fifo_count(queue); n > 0; n--) {
        struct delivery d = *(struct delivery *)fifo_front(queue), *slot;

        fifo_pop(queue, sh->mem);
        if (d.group != 0 && share_has_online(sh, d.group)) {
            session_uncount(s, &d);
            session_group_done(s, d.group, d.qos);
            give_back(s, &d);
            delivery_release(&d, sh->mem);
            continue;
        }
        slot = fifo_push(queue, sh->mem);
        if (slot != NULL) {
            *slot = d;
            continue;
        }
        session_uncount(s, &d);
        journal_end(s, &d);
        session_group_done(s, d.group, d.qos);
        delivery_release(&d, sh->mem);
        count_drop(sh, DROP_NO_MEMORY, 1);
    }
}

void session_give_back_queued(struct session *s)
{
    if (s->flow == NULL)
        return;
    give_back_from(s, &s->flow->queue);
    if (s->flow->backlog != NULL)
        give_back_from(s, &s->flow->backlog->later);
}

/* A message that this session has not completed: if it came through a shared subscription another
 * member may get it, unless it is a QoS 2 message that was sent already [v5 MQTT-4.8.2-5]. */
static void end_delivery(struct session *s, struct delivery *d, bool sent)
{
    if (d->msg != NULL && d->group != 0 && !(sent && d->qos == 2)) {
        give_back(s, d);
        return;
    }
    journal_forget(s, d);
    if (d->msg != NULL && d->qos > 0)
        count_drop(s->shard, DROP_SESSION_ENDED, 1);
}

static void end_queue(struct session *s, struct fifo *queue)
{
    struct mem *mem = s->shard->mem;
    struct delivery *d;

    COUNT_ADD(&s->shard->counters, queued, -(int64_t)fifo_count(queue));
    while ((d = fifo_front(queue)) != NULL) {
        end_delivery(s, d, false);
        delivery_release(d, mem);
        fifo_pop(queue, mem);
    }
}

/* True: what is in the store only goes back to its groups, and ends the session there. */
static bool end_backlog(struct session *s, bool shared)
{
    struct backlog *b = s->flow->backlog;
    bool gives_back;

    if (b == NULL)
        return false;
    backlog_forget(s);
    gives_back = shared && s->shard->journal != NULL && backlog_give_back(s);
    COUNT_ADD(&s->shard->counters, queued, -(int64_t)b->messages);
    if (!gives_back)
        count_drop(s->shard, DROP_SESSION_ENDED, b->messages);
    end_queue(s, &b->later);
    return gives_back;
}

bool session_drop_flow(struct session *s, bool shared)
{
    struct session_flow *f = s->flow;
    bool gives_back;

    if (f == NULL)
        return false;
    for (struct inflight_entry *e = inflight_first(&f->out); e != NULL;
         e = inflight_after(&f->out, e))
        end_delivery(s, &e->d, !e->unsent || e->d.again);
    COUNT_ADD(&s->shard->counters, inflight, -(int64_t)f->out.count);
    inflight_clear(&f->out, s->shard->mem);
    end_queue(s, &f->queue);
    gives_back = end_backlog(s, shared);
    session_flow_free(s->shard, f);
    s->flow = NULL;
    return gives_back;
}

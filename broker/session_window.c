/* session_window: messages on their way to a connected client: sent at once where that is possible,
 * at QoS 1 and 2 until they are acknowledged.
 *
 * A QoS 2 message that is stored goes out only when its packet identifier is committed, and its
 * PUBREL only when its release is: after a crash the client is told the same identifiers, and gets
 * nothing twice [v5 MQTT-4.4.0-1] [v5 MQTT-4.3.3-8]. */
#include "base/assert.h"
#include "base/mem.h"
#include "broker/backlog.h"
#include "broker/connection.h"
#include "broker/journal.h"
#include "broker/retained.h"
#include "broker/session.h"
#include "broker/session_priv.h"
#include "broker/shard.h"
#include "mqtt/reason.h"

#include <errno.h>

static void window_remove(struct session *s, struct inflight_entry *e)
{
    s->flow->unsent -= e->unsent;
    s->flow->releasing -= e->state == INFLIGHT_RELEASING;
    journal_end(s, &e->d);
    session_group_done(s, e->d.group, e->d.qos);
    inflight_remove(&s->flow->out, s->shard->mem, e);
    COUNT_DOWN(&s->shard->counters, inflight);
}

static struct inflight_entry *window_add(struct session *s, const struct delivery *take_d)
{
    struct session_flow *f = session_flow(s);
    struct inflight_entry *e = f == NULL ? NULL : inflight_add(&f->out, s->shard->mem, take_d);

    if (e != NULL)
        COUNT(&s->shard->counters, inflight);
    return e;
}

/* May one more of those in the window be sent to the client? */
static bool window_open(const struct session *s)
{
    const struct session_flow *f = s->flow;

    return f == NULL || f->out.count - f->unsent < s->conn->receive_maximum_out;
}

/* May one more get into the window, which holds as many bytes as a queue, and the message that goes
 * beyond that? What is in the window is sent, and sent again, without asking this. */
static bool window_light(const struct session *s)
{
    return s->flow == NULL || s->flow->out.bytes <= s->shard->config.max_queued_bytes;
}

/* May one more be made ready, to be sent later? */
static bool window_wide(const struct session *s)
{
    return (s->flow == NULL || s->flow->out.count < s->conn->receive_maximum_out) &&
           window_light(s);
}

/* May one more get into the window and be sent? */
static bool window_takes(const struct session *s)
{
    return window_open(s) && window_light(s);
}

static void wait_for_commit(struct session *s)
{
    if (!list_linked(&s->link_committing))
        list_push_back(&s->shard->committing, &s->link_committing);
}

/* ---- sending ---- */

static struct output_publish how_to_send(const struct delivery *d, uint16_t packet_id)
{
    return (struct output_publish){.packet_id = packet_id,
                                   .qos = d->qos,
                                   .retain = d->retain,
                                   .dup = d->again,
                                   .sub_id = d->sub_id,
                                   .ids = d->ids};
}

static void send_untracked(struct session *s, struct publication *pub,
                           const struct output_publish *how)
{
    if (!output_publish(s->conn, pub, how))
        count_drop(s->shard, DROP_TOO_LARGE, 1);
}

/* Send what is in the window. */
static void send_tracked(struct session *s, struct publication *pub, struct inflight_entry *e)
{
    struct output_publish how = how_to_send(&e->d, e->packet_id);

    s->flow->unsent -= e->unsent;
    e->unsent = false;
    if (!output_publish(s->conn, pub, &how)) {
        count_drop(s->shard, DROP_TOO_LARGE, 1);
        window_remove(s, e);
    }
}

/* A stored QoS 2 message is in the window and waits for its packet identifier to be committed. */
static void send_when_committed(struct session *s, struct inflight_entry *e)
{
    e->unsent = true;
    s->flow->unsent++;
    wait_for_commit(s);
}

/* ---- what comes ---- */

/* Others are in front of it, or the window is full. */
static bool must_wait(const struct session *s, bool commits_first)
{
    if (!output_ready(&s->conn->out) || session_queued(s) > 0)
        return true;
    if (commits_first)
        return !window_wide(s);
    return !window_takes(s) || (s->flow != NULL && s->flow->unsent > 0);
}

static void deliver_tracked(struct session *s, struct publication *pub, const struct claim *claim,
                            uint8_t qos)
{
    struct shard *sh = s->shard;
    bool stored = session_stores(s, pub);
    struct inflight_entry *e;
    struct delivery d;

    if (must_wait(s, stored && qos == 2)) {
        session_enqueue(s, pub, claim, qos);
        return;
    }
    if (!session_delivery(sh, pub, claim, qos, &d)) {
        count_drop(sh, DROP_NO_MEMORY, 1);
        session_group_done(s, claim->group, qos);
        return;
    }
    e = window_add(s, &d);
    if (e == NULL) { /* in a queue it would wait for an event that may never come */
        count_drop(sh, DROP_NO_MEMORY, 1);
        session_group_done(s, claim->group, qos);
        delivery_release(&d, sh->mem);
    } else if (stored &&
               !journal_add(s, &e->d, pub, e->packet_id, qos == 1 ? HASTE_HOPE : HASTE_NOW)) {
        count_drop(sh, DROP_NO_MEMORY, 1);
        window_remove(s, e);
    } else if (stored && qos == 2) {
        send_when_committed(s, e);
    } else {
        send_tracked(s, pub, e);
    }
}

static void deliver_untracked(struct session *s, struct publication *pub, const struct claim *claim)
{
    /* Past messages that only wait for the window [v5 3.3.4], but not past another at QoS 0. */
    if (!output_ready(&s->conn->out) || (s->flow != NULL && s->flow->queued_qos0 > 0))
        session_enqueue(s, pub, claim, 0);
    else
        send_untracked(s, pub,
                       &(struct output_publish){
                           .retain = claim->retain, .sub_id = claim->sub_id, .ids = claim->ids});
}

void session_deliver(struct session *s, struct publication *pub, const struct claim *claim)
{
    uint8_t qos = pub->qos < claim->qos ? pub->qos : claim->qos;
    const struct connection *c = s->conn;

    if (c == NULL || c->state != CONN_UP) {
        if (qos > 0 || s->shard->config.queue_qos0)
            session_enqueue(s, pub, claim, qos);
    } else if (qos == 0) {
        deliver_untracked(s, pub, claim);
    } else {
        deliver_tracked(s, pub, claim, qos);
    }
    if (pub->moved_from != 0 && pub->moved_from != s->serial)
        journal_end_of(s->shard, pub->moved_from, pub->uid, claim->group);
}

/* ---- sending what has waited ---- */

/* PUBRELs that waited for their commit, in the order of the PUBRECs [v3 MQTT-4.6.0-4]. */
static void pump_releasing(struct session *s)
{
    struct session_flow *f = s->flow;

    for (struct inflight_entry *e = inflight_first(&f->out); e != NULL && f->releasing > 0;
         e = inflight_after(&f->out, e)) {
        if (e->state != INFLIGHT_RELEASING)
            continue;
        if (!journal_committed(s->shard, &e->d)) {
            wait_for_commit(s);
            return;
        }
        e->state = INFLIGHT_RELEASED;
        f->releasing--;
        output_ack(s->conn, MQTT_PUBREL, e->packet_id, 0);
    }
}

/* Can it be sent as far as the store is concerned? If not, we are called again. */
static bool store_allows(struct session *s, const struct inflight_entry *e)
{
    if (e->d.msg == NULL) {
        backlog_read_body(s);
        return false;
    }
    if (e->d.qos == 2 && (!journal_committed(s->shard, &e->d) ||
                          (e->d.guarded && !guard_released(s->shard, e->d.uid)))) {
        wait_for_commit(s);
        return false;
    }
    return true;
}

/* What this connection has not seen yet of the window. */
static void pump_unsent(struct session *s)
{
    struct session_flow *f = s->flow;
    struct inflight_entry *e = inflight_first(&f->out), *next;

    for (; e != NULL && f->unsent > 0 && window_open(s) && output_ready(&s->conn->out); e = next) {
        struct publication pub;

        next = inflight_after(&f->out, e);
        if (!e->unsent)
            continue;
        if (!store_allows(s, e))
            return;
        pub = publication_of(e->d.msg);
        send_tracked(s, &pub, e);
    }
}

static void pump_untracked(struct session *s)
{
    struct delivery d = *(struct delivery *)fifo_front(&s->flow->queue);
    struct publication pub = publication_of(d.msg);
    struct output_publish how = how_to_send(&d, 0);

    session_queue_pop(s);
    send_untracked(s, &pub, &how);
    delivery_release(&d, s->shard->mem);
}

/* The first of the queue moves to the window. False: no, the store's journal is full. */
static bool pump_tracked(struct session *s)
{
    struct delivery d = *(struct delivery *)fifo_front(&s->flow->queue);
    bool commits_first = d.record != 0 && d.qos == 2;
    struct publication pub = publication_of(d.msg);
    struct inflight_entry *e = window_add(s, &d);

    if (e == NULL) {
        session_queue_drop(s, DROP_NO_MEMORY);
        return true;
    }
    if (!journal_change(s, &e->d, e->packet_id, STORE_SENT,
                        commits_first ? HASTE_NOW : HASTE_LATER) &&
        commits_first) {
        inflight_give_back(&s->flow->out, e); /* the queue has it */
        COUNT_DOWN(&s->shard->counters, inflight);
        return false;
    }
    session_queue_pop(s);
    if (commits_first)
        send_when_committed(s, e);
    else
        send_tracked(s, &pub, e);
    return true;
}

/* Send the first of the queue, or make it ready. False when it has to wait. */
static bool pump_one(struct session *s)
{
    const struct delivery *d = fifo_front(&s->flow->queue);

    if (message_expired(d->msg, s->shard->now_ms)) {
        session_queue_drop(s, DROP_EXPIRED);
        return true;
    }
    if (d->qos == 2 && d->record != 0)
        return window_wide(s) && pump_tracked(s);
    if (s->flow->unsent > 0)
        return false; /* what is in front of it in the window goes first */
    if (d->qos > 0)
        return window_takes(s) && pump_tracked(s);
    pump_untracked(s);
    return true;
}

void session_pump(struct session *s)
{
    struct connection *c = s->conn;
    struct session_flow *f = s->flow;

    if (f == NULL || c == NULL || c->state != CONN_UP)
        return;
    if (f->releasing > 0)
        pump_releasing(s);
    pump_unsent(s);
    while (fifo_count(&f->queue) > 0 && output_ready(&c->out) && pump_one(s))
        ;
    if (f->backlog != NULL)
        backlog_read_on(s);
    if (s->retained_waits && session_has_room(s))
        retained_continue(s);
}

void sessions_committed(struct shard *sh)
{
    struct list waiting, *l;

    list_init(&waiting);
    list_splice_back(&waiting, &sh->committing);
    while ((l = list_pop_front(&waiting)) != NULL)
        session_pump(LIST_ITEM(l, struct session, link_committing));
}

/* ---- a new connection ---- */

void session_mark_unsent(struct session *s)
{
    struct session_flow *f = s->flow;

    if (f == NULL)
        return;
    f->unsent = 0;
    for (struct inflight_entry *e = inflight_first(&f->out); e != NULL;
         e = inflight_after(&f->out, e)) {
        e->d.again |= !e->unsent;
        e->unsent = e->state == INFLIGHT_SENT;
        f->unsent += e->unsent;
    }
}

void session_resume(struct session *s)
{
    struct session_flow *f = s->flow;

    if (s->retained_waits && session_has_room(s)) /* what was in their way went to others */
        retained_continue(s);
    if (f == NULL)
        return;
    for (struct inflight_entry *e = inflight_first(&f->out); e != NULL;
         e = inflight_after(&f->out, e))
        if (e->state == INFLIGHT_RELEASED)
            output_ack(s->conn, MQTT_PUBREL, e->packet_id, 0);
    session_pump(s);
}

/* ---- acknowledgements ---- */

/* The entry that the client may answer: it has seen it, now or in an earlier connection. */
static struct inflight_entry *find_entry(const struct session *s, uint16_t packet_id, uint8_t qos)
{
    struct inflight_entry *e = s->flow == NULL ? NULL : inflight_find(&s->flow->out, packet_id);

    return e == NULL || e->d.qos != qos || (e->unsent && !e->d.again) ? NULL : e;
}

int session_on_puback(struct session *s, uint16_t packet_id, uint8_t reason)
{
    struct inflight_entry *e = find_entry(s, packet_id, 1);

    (void)reason; /* the message is over either way [v5 4.3.2] */
    if (e == NULL)
        return MQTT_RC_PACKET_ID_NOT_FOUND;
    window_remove(s, e);
    session_pump(s);
    return 0;
}

/* The client has the message: it is no longer needed [v5 4.3.3]. */
static int release(struct session *s, struct inflight_entry *e)
{
    struct session_flow *f = s->flow;

    if (!journal_change(s, &e->d, e->packet_id, STORE_RELEASED, HASTE_NOW)) {
        connection_close_later(s->conn, CLOSE_NO_MEMORY);
        return -EINPROGRESS;
    }
    inflight_drop_message(&f->out, s->shard->mem, e);
    f->unsent -= e->unsent;
    e->unsent = false;
    /* PUBRELs go in the order of the PUBRECs [v3 MQTT-4.6.0-4]. */
    inflight_to_end(&f->out, e);
    if (e->d.record == 0) {
        e->state = INFLIGHT_RELEASED;
        return 0;
    }
    e->state = INFLIGHT_RELEASING;
    f->releasing++;
    wait_for_commit(s);
    return -EINPROGRESS;
}

int session_on_pubrec(struct session *s, uint16_t packet_id, uint8_t reason)
{
    struct inflight_entry *e = find_entry(s, packet_id, 2);

    if (e == NULL)
        return MQTT_RC_PACKET_ID_NOT_FOUND;
    if (reason >= 0x80) {
        window_remove(s, e);
        session_pump(s);
        return 0;
    }
    if (e->state == INFLIGHT_SENT)
        return release(s, e);
    return e->state == INFLIGHT_RELEASED ? 0 : -EINPROGRESS;
}

int session_on_pubcomp(struct session *s, uint16_t packet_id)
{
    struct inflight_entry *e = find_entry(s, packet_id, 2);

    if (e == NULL || e->state != INFLIGHT_RELEASED)
        return MQTT_RC_PACKET_ID_NOT_FOUND;
    window_remove(s, e);
    session_pump(s);
    return 0;
}

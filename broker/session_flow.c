/* session_flow: messages of a session: the inflight window, the queue behind it, and received QoS 2
 * identifiers. Memory is held only while there are any. */
#include "base/assert.h"
#include "base/mem.h"
#include "broker/connection.h"
#include "broker/purposes.h"
#include "broker/retained.h"
#include "broker/session.h"
#include "broker/session_priv.h"
#include "broker/shard.h"
#include "broker/share.h"
#include "mqtt/reason.h"

#include <string.h>

struct session_flow *session_flow(struct session *s)
{
    struct session_flow *f = s->flow;

    if (f != NULL)
        return f;
    f = mem_try_alloc(s->shard->mem, FOR_QUEUE, sizeof *f);
    if (f == NULL)
        return NULL;
    inflight_init(&f->out);
    id_set_init(&f->received);
    fifo_init(&f->queue, sizeof(struct delivery), FOR_QUEUE);
    f->queued_bytes = 0;
    f->queued_qos0 = 0;
    f->unsent = 0;
    s->flow = f;
    return f;
}

void session_flow_free(struct shard *sh, struct session_flow *f)
{
    ASSERT(f->out.count == 0 && fifo_count(&f->queue) == 0);
    inflight_clear(&f->out, sh->mem);
    fifo_clear(&f->queue, sh->mem);
    id_set_clear(&f->received, sh->mem);
    mem_release(sh->mem, FOR_QUEUE, f);
}

void session_share_messages(struct session *s)
{
    struct session_flow *f = s->flow;
    struct fifo_cursor cursor = {0};
    struct delivery *d;

    if (s->will != NULL)
        message_share(s->will->msg);
    if (f == NULL)
        return;
    for (struct inflight_entry *e = inflight_first(&f->out); e != NULL;
         e = inflight_after(&f->out, e))
        if (e->d.msg != NULL)
            message_share(e->d.msg);
    while ((d = fifo_next(&f->queue, &cursor)) != NULL)
        message_share(d->msg);
}

void session_trim(struct session *s)
{
    struct session_flow *f = s->flow;
    struct mem *mem = s->shard->mem;

    if (f == NULL)
        return;
    inflight_trim(&f->out, mem);
    if (f->out.count == 0 && f->received.count == 0 && fifo_count(&f->queue) == 0) {
        mem_release(mem, FOR_QUEUE, f);
        s->flow = NULL;
    }
}

uint32_t session_queued(const struct session *s)
{
    return s->flow == NULL ? 0 : fifo_count(&s->flow->queue);
}

bool session_has_room(const struct session *s)
{
    const struct broker_config *cfg = &s->shard->config;

    /* half: live messages that arrive meanwhile must not be dropped for it */
    return session_queued(s) < cfg->max_queued_messages / 2 + 1 &&
           (s->flow == NULL || s->flow->queued_bytes < cfg->max_queued_bytes / 2 + 1);
}

/* ---- queue ---- */

static void queue_pop(struct session *s)
{
    struct session_flow *f = s->flow;
    struct delivery *d = fifo_front(&f->queue);

    f->queued_bytes -= message_size(d->msg);
    f->queued_qos0 -= d->qos == 0;
    fifo_pop(&f->queue, s->shard->mem);
    COUNT_DOWN(&s->shard->counters, queued);
}

static void queue_drop_oldest(struct session *s, enum drop_reason why)
{
    struct delivery d = *(struct delivery *)fifo_front(&s->flow->queue);

    queue_pop(s);
    if (d.group != 0)
        share_done(s->shard, d.group, s);
    delivery_release(&d, s->shard->mem);
    count_drop(s->shard, why, 1);
}

static bool queue_full(const struct session *s, uint64_t size)
{
    const struct broker_config *cfg = &s->shard->config;

    return fifo_count(&s->flow->queue) >= cfg->max_queued_messages ||
           s->flow->queued_bytes + size > cfg->max_queued_bytes;
}

/* Make room for one message of this size by the overflow policy. False: it cannot be kept. */
static bool make_room(struct session *s, uint64_t size, uint8_t qos)
{
    const struct broker_config *cfg = &s->shard->config;

    if (!queue_full(s, size))
        return true;
    if (qos == 0 || cfg->overflow == OVERFLOW_DROP_NEWEST || size > cfg->max_queued_bytes ||
        cfg->max_queued_messages == 0)
        return false;
    if (cfg->overflow == OVERFLOW_DISCONNECT) {
        if (s->conn != NULL)
            connection_close_later(s->conn, CLOSE_SLOW_CONSUMER);
        return false;
    }
    while (queue_full(s, size))
        queue_drop_oldest(s, DROP_QUEUE_FULL);
    return true;
}

/* Fill in a delivery with a reference of its own. False when out of memory. */
static bool delivery_make(struct shard *sh, struct publication *pub, const struct claim *claim,
                          uint8_t qos, struct delivery *out)
{
    struct message *m = publication_message(pub, sh->mem);

    if (m == NULL)
        return false;
    *out = (struct delivery){
        .group = claim->group, .sub_id = claim->sub_id, .qos = qos, .retain = claim->retain};
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

void session_requeue(struct session *s, struct delivery *take_d)
{
    struct session_flow *f = s->flow;
    struct delivery *slot = fifo_push(&f->queue, s->shard->mem);

    if (slot == NULL) {
        count_drop(s->shard, DROP_NO_MEMORY, 1);
        delivery_release(take_d, s->shard->mem);
        return;
    }
    *slot = *take_d;
    f->queued_bytes += message_size(take_d->msg);
    f->queued_qos0 += take_d->qos == 0;
    COUNT(&s->shard->counters, queued);
}

static void enqueue(struct session *s, struct publication *pub, const struct claim *claim,
                    uint8_t qos)
{
    struct shard *sh = s->shard;
    struct session_flow *f = session_flow(s);
    struct delivery d;

    if (f == NULL || !delivery_make(sh, pub, claim, qos, &d)) {
        count_drop(sh, DROP_NO_MEMORY, 1);
        return;
    }
    if (!make_room(s, message_size(d.msg), qos)) {
        count_drop(sh, qos == 0 ? DROP_QOS0_CONGESTED : DROP_QUEUE_FULL, 1);
        delivery_release(&d, sh->mem);
        return;
    }
    session_requeue(s, &d);
}

/* ---- window ---- */

static void window_remove(struct session *s, struct inflight_entry *e)
{
    if (e->unsent)
        s->flow->unsent--;
    if (e->d.group != 0)
        share_done(s->shard, e->d.group, s);
    inflight_remove(&s->flow->out, s->shard->mem, e);
    COUNT_DOWN(&s->shard->counters, inflight);
}

static bool window_open(const struct session *s)
{
    const struct session_flow *f = s->flow;

    return f == NULL || f->out.count - f->unsent < s->conn->receive_maximum_out;
}

static struct output_publish how_to_send(const struct delivery *d, uint16_t packet_id, bool dup)
{
    return (struct output_publish){.packet_id = packet_id,
                                   .qos = d->qos,
                                   .retain = d->retain,
                                   .dup = dup,
                                   .sub_id = d->sub_id,
                                   .ids = d->ids};
}

/* Put a delivery at QoS 1 or 2 into the window and send it; takes d. False when out of memory or of
 * packet identifiers: d is still the caller's. */
static bool send_tracked(struct session *s, struct publication *pub, const struct delivery *take_d)
{
    struct session_flow *f = session_flow(s);
    struct inflight_entry *e = f == NULL ? NULL : inflight_add(&f->out, s->shard->mem, take_d);
    struct output_publish how;

    if (e == NULL)
        return false;
    COUNT(&s->shard->counters, inflight);
    how = how_to_send(take_d, e->packet_id, false);
    if (!output_publish(s->conn, pub, &how)) {
        count_drop(s->shard, DROP_TOO_LARGE, 1);
        window_remove(s, e);
    }
    return true;
}

static void send_untracked(struct session *s, struct publication *pub,
                           const struct output_publish *how)
{
    if (!output_publish(s->conn, pub, how))
        count_drop(s->shard, DROP_TOO_LARGE, 1);
}

static void deliver_tracked(struct session *s, struct publication *pub, const struct claim *claim,
                            uint8_t qos)
{
    struct delivery d;

    if (session_queued(s) > 0 || !window_open(s)) {
        enqueue(s, pub, claim, qos);
        return;
    }
    if (!delivery_make(s->shard, pub, claim, qos, &d)) {
        count_drop(s->shard, DROP_NO_MEMORY, 1);
        return;
    }
    if (!send_tracked(s, pub, &d)) {
        enqueue(s, pub, claim, qos);
        delivery_release(&d, s->shard->mem);
    }
}

void session_deliver(struct session *s, struct publication *pub, const struct claim *claim)
{
    uint8_t qos = pub->qos < claim->qos ? pub->qos : claim->qos;
    const struct connection *c = s->conn;

    if (c == NULL || c->state != CONN_UP) {
        if (qos > 0 || s->shard->config.queue_qos0)
            enqueue(s, pub, claim, qos);
    } else if (!output_ready(&c->out) ||
               (qos == 0 && s->flow != NULL && s->flow->queued_qos0 > 0)) {
        enqueue(s, pub, claim, qos);
    } else if (qos == 0) {
        /* Past messages that only wait for the window [v5 3.3.4], but not past another at QoS 0. */
        send_untracked(s, pub,
                       &(struct output_publish){
                           .retain = claim->retain, .sub_id = claim->sub_id, .ids = claim->ids});
    } else {
        deliver_tracked(s, pub, claim, qos);
    }
}

/* ---- sending what has waited ---- */

static void mark_sent(struct session *s, struct inflight_entry *e)
{
    s->flow->unsent -= e->unsent;
    e->unsent = false;
}

/* Send a PUBLISH again that the previous connection left behind. */
static void resend(struct session *s, struct inflight_entry *e)
{
    struct publication pub = publication_of(e->d.msg);
    struct output_publish how = how_to_send(&e->d, e->packet_id, true);

    mark_sent(s, e);
    if (!output_publish(s->conn, &pub, &how)) {
        count_drop(s->shard, DROP_TOO_LARGE, 1);
        window_remove(s, e);
    }
}

static void pump_unsent(struct session *s)
{
    struct session_flow *f = s->flow;
    struct inflight_entry *e = inflight_first(&f->out), *next;

    for (; e != NULL && f->unsent > 0 && window_open(s) && output_ready(&s->conn->out); e = next) {
        next = inflight_after(&f->out, e);
        if (e->unsent)
            resend(s, e);
    }
}

/* Send the first of the queue. False when it has to wait. */
static bool pump_one(struct session *s)
{
    struct shard *sh = s->shard;
    struct delivery d = *(struct delivery *)fifo_front(&s->flow->queue);
    struct publication pub = publication_of(d.msg);

    if (message_expired(d.msg, sh->now_ms)) {
        queue_drop_oldest(s, DROP_EXPIRED);
        return true;
    }
    if (d.qos == 0) {
        struct output_publish how = how_to_send(&d, 0, false);

        queue_pop(s);
        send_untracked(s, &pub, &how);
        delivery_release(&d, sh->mem);
        return true;
    }
    if (!window_open(s))
        return false;
    /* The window takes the delivery over; the queue lets go of it without releasing. */
    queue_pop(s);
    if (!send_tracked(s, &pub, &d)) {
        count_drop(sh, DROP_NO_MEMORY, 1);
        delivery_release(&d, sh->mem);
    }
    return true;
}

void session_pump(struct session *s)
{
    struct connection *c = s->conn;

    if (s->flow == NULL || c == NULL || c->state != CONN_UP)
        return;
    pump_unsent(s);
    if (s->flow->unsent > 0)
        return;
    while (fifo_count(&s->flow->queue) > 0 && output_ready(&c->out) && pump_one(s))
        ;
    if (s->retained_waits && session_has_room(s))
        retained_continue(s);
}

void session_mark_unsent(struct session *s)
{
    struct session_flow *f = s->flow;

    if (f == NULL)
        return;
    f->unsent = 0;
    for (struct inflight_entry *e = inflight_first(&f->out); e != NULL;
         e = inflight_after(&f->out, e)) {
        e->unsent = e->state == INFLIGHT_SENT;
        f->unsent += e->unsent;
    }
}

void session_resume(struct session *s)
{
    struct session_flow *f = s->flow;

    if (f == NULL)
        return;
    for (struct inflight_entry *e = inflight_first(&f->out); e != NULL;
         e = inflight_after(&f->out, e))
        if (e->state == INFLIGHT_RELEASED)
            output_ack(s->conn, MQTT_PUBREL, e->packet_id, 0);
    session_pump(s);
}

/* ---- acknowledgements ---- */

static struct inflight_entry *find_entry(const struct session *s, uint16_t packet_id)
{
    return s->flow == NULL ? NULL : inflight_find(&s->flow->out, packet_id);
}

int session_on_puback(struct session *s, uint16_t packet_id, uint8_t reason)
{
    struct inflight_entry *e = find_entry(s, packet_id);

    (void)reason; /* the message is over either way [v5 4.3.2] */
    if (e == NULL || e->d.qos != 1)
        return MQTT_RC_PACKET_ID_NOT_FOUND;
    window_remove(s, e);
    session_pump(s);
    return 0;
}

int session_on_pubrec(struct session *s, uint16_t packet_id, uint8_t reason)
{
    struct inflight_entry *e = find_entry(s, packet_id);

    if (e == NULL || e->d.qos != 2)
        return MQTT_RC_PACKET_ID_NOT_FOUND;
    if (reason >= 0x80) {
        window_remove(s, e);
        session_pump(s);
        return 0;
    }
    if (e->state == INFLIGHT_SENT) {
        /* The message itself is no longer needed [v5 4.3.3]. */
        message_unref(&e->d.msg, s->shard->mem);
        mark_sent(s, e);
        e->state = INFLIGHT_RELEASED;
        /* PUBRELs go in the order of the PUBRECs [v3 MQTT-4.6.0-4]. */
        inflight_to_end(&s->flow->out, e);
    }
    return 0;
}

int session_on_pubcomp(struct session *s, uint16_t packet_id)
{
    struct inflight_entry *e = find_entry(s, packet_id);

    if (e == NULL || e->state != INFLIGHT_RELEASED)
        return MQTT_RC_PACKET_ID_NOT_FOUND;
    window_remove(s, e);
    session_pump(s);
    return 0;
}

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
    return s->flow != NULL && id_set_remove(&s->flow->received, s->shard->mem, packet_id);
}

/* ---- the end ---- */

/* A message of a shared subscription that this session has not completed: another member may get
 * it, unless it is a QoS 2 message that was sent already [v5 MQTT-4.8.2-5]. */
static void give_back_or_drop(struct session *s, struct delivery *d, bool sent)
{
    struct shard *sh = s->shard;

    if (d->msg == NULL)
        return;
    if (d->group != 0 && !(sent && d->qos == 2))
        share_return(sh, d->group, d->msg);
    else if (d->qos > 0)
        count_drop(sh, DROP_SESSION_ENDED, 1);
}

void session_give_back_queued(struct session *s)
{
    struct shard *sh = s->shard;

    for (uint32_t n = session_queued(s); n > 0; n--) {
        struct delivery d = *(struct delivery *)fifo_front(&s->flow->queue);

        queue_pop(s);
        if (d.group != 0 && share_has_online(sh, d.group)) {
            share_return(sh, d.group, d.msg);
            delivery_release(&d, sh->mem);
        } else {
            session_requeue(s, &d);
        }
    }
}

void session_drop_flow(struct session *s)
{
    struct session_flow *f = s->flow;
    struct mem *mem = s->shard->mem;
    struct delivery *d;

    if (f == NULL)
        return;
    for (struct inflight_entry *e = inflight_first(&f->out); e != NULL;
         e = inflight_after(&f->out, e))
        give_back_or_drop(s, &e->d, true);
    COUNT_ADD(&s->shard->counters, inflight, -(int64_t)f->out.count);
    inflight_clear(&f->out, mem);
    COUNT_ADD(&s->shard->counters, queued, -(int64_t)fifo_count(&f->queue));
    while ((d = fifo_front(&f->queue)) != NULL) {
        give_back_or_drop(s, d, false);
        delivery_release(d, mem);
        fifo_pop(&f->queue, mem);
    }
    session_flow_free(s->shard, f);
    s->flow = NULL;
}

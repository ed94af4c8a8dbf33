/* takeover: see takeover.h for the exchange between shards. */
#include "broker/takeover.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "broker/backlog.h"
#include "broker/connect_request.h"
#include "broker/connection.h"
#include "broker/journal.h"
#include "broker/purposes.h"
#include "broker/retained.h"
#include "broker/session.h"
#include "broker/session_priv.h"
#include "broker/shard.h"
#include "broker/share.h"
#include "mqtt/reason.h"

#include <errno.h>
#include <string.h>

/* A shard that asked for a session while it was itself on its way here. */
struct ask {
    struct list link; /* in arrival.asks */
    unsigned from;
    void *token;
    bool clean;
};

/* At the new shard: a session on its way here. */
struct arrival {
    struct list link;           /* in shard.arrivals */
    struct connection *conn;    /* NULL: it has gone meanwhile */
    struct session *collecting; /* NULL until the filters are here */
    struct list asks;
    unsigned from;
    uint32_t claim; /* ours; whoever claims after us asks for this one */
    uint32_t client_id_len;
    uint8_t client_id[];
};

/* At the old shard: a session on its way to another, or the news that it has ended. */
struct departure {
    struct list link;        /* in shard.departures */
    struct session *session; /* NULL: ended */
    void *token;             /* the new shard's arrival */
    unsigned to;
    unsigned missing; /* shards that have not confirmed */
    uint64_t mark;    /* of the journal, when all have: to be committed first */
};

/* The subscriptions of a session, for another shard. Entries follow each other unaligned. */
struct filters {
    uint64_t serial;
    bool durable;
    uint32_t count;
    size_t len;
    uint8_t data[];
};

struct filter_head {
    uint32_t sub_id;
    uint16_t share_len, filter_len;
    uint8_t options;
    bool retained; /* its retained messages have not all been sent */
};

static struct mqtt_str arrival_id(const struct arrival *a)
{
    return (struct mqtt_str){a->client_id, a->client_id_len};
}

/* The latest arrival of this client: the one that all others wait for. */
static struct arrival *arrival_find(struct shard *sh, struct mqtt_str client_id)
{
    for (struct list *l = sh->arrivals.prev; l != &sh->arrivals; l = l->prev) {
        struct arrival *a = LIST_ITEM(l, struct arrival, link);

        if (mqtt_str_eq(arrival_id(a), client_id))
            return a;
    }
    return NULL;
}

/* ---- on one shard ---- */

/* The session of this client at this shard, after its present connection was closed for a new one.
 * NULL: there is none, or it has ended with its connection. */
static struct session *free_session(struct shard *sh, struct mqtt_str client_id)
{
    struct session *s = session_find(sh, client_id);

    if (s == NULL || s->conn == NULL)
        return s;
    COUNT(&sh->counters, takeovers);
    connection_close(s->conn, CLOSE_TAKEN_OVER, NULL); /* [v5 MQTT-3.1.4-3] [v3 MQTT-3.1.4-2] */
    return session_find(sh, client_id);
}

/* The arrival that this claim was for, if it is still under way. There may be others of this
 * client, for later claims of this shard, and its session itself, from an earlier one. */
static struct arrival *arrival_of_claim(struct shard *sh, struct mqtt_str client_id, uint32_t claim)
{
    LIST_EACH (l, &sh->arrivals) {
        struct arrival *a = LIST_ITEM(l, struct arrival, link);

        if (a->claim == claim && mqtt_str_eq(arrival_id(a), client_id))
            return a;
    }
    return NULL;
}

/* The client begins anew: its session must not come back, not even after a crash
 * [v5 MQTT-3.1.2-4] [v3 MQTT-3.1.2-6]. Is that still to be committed? */
static bool discard(struct shard *sh, struct session *s, bool keep_claim)
{
    bool stored = s->durable && sh->journal != NULL && !journal_failing(sh);

    session_end(s, keep_claim);
    return stored;
}

/* Give the connection the session s, or a new one, which is here by this claim. */
static void settle(struct connection *c, struct session *s, uint32_t claim)
{
    struct shard *sh = c->shard;
    struct connect_request *r = c->request;
    bool present, ending = s != NULL && r->clean_start && discard(sh, s, true);
    uint64_t asks = shard_asks(sh);

    if (ending)
        journal_await(sh);
    if (r->clean_start)
        s = NULL;
    present = s != NULL;
    if (s == NULL && (r->expiry_s == 0 || !journal_failing(sh)))
        s = session_new(sh, request_client_id(r));
    if (s != NULL) {
        s->claim = claim;
        connection_up(c, s, present, asks);
        return;
    }
    if (!shard_alone(sh))
        directory_release(&sh->broker->directory, request_client_id(r), claim);
    connection_refused(c, MQTT_RC_SERVER_BUSY);
}

/* ---- filters ---- */

static size_t filter_sizes(const struct session *s)
{
    size_t n = 0;

    LIST_EACH (l, &s->subscriptions) {
        const struct subscription *sub = LIST_ITEM(l, struct subscription, link);

        n += sizeof(struct filter_head) + (sub->membership != NULL
                                               ? (size_t)sub->membership->text_len - 1
                                               : topic_place_filter_len(&sub->place));
    }
    return n;
}

static uint8_t *put(uint8_t *to, const void *p, size_t len)
{
    memcpy(to, p, len);
    return to + len;
}

static uint8_t *put_shared(uint8_t *to, const struct membership *m)
{
    struct mqtt_str share = membership_share(m), filter = membership_filter(m);
    struct filter_head head = {.sub_id = m->sub_id,
                               .share_len = (uint16_t)share.len,
                               .filter_len = (uint16_t)filter.len,
                               .options = m->options};

    to = put(to, &head, sizeof head);
    to = put(to, share.p, share.len);
    return put(to, filter.p, filter.len);
}

static uint8_t *put_ordinary(uint8_t *to, const struct session *s, const struct topic_place *place)
{
    const struct topic_sub *entry = topic_place_entry(place);
    size_t len = topic_place_filter_len(place);
    struct filter_head head = {
        .sub_id = entry->sub_id, .filter_len = (uint16_t)len, .options = entry->options};
    uint8_t *text = to + sizeof head;

    topic_place_filter(place, text, len);
    head.retained = MQTT_SUB_QOS(head.options) > 0 &&
                    retained_sending(s, (struct mqtt_str){text, (uint32_t)len});
    put(to, &head, sizeof head);
    return text + len;
}

static struct filters *filters_of(struct session *s)
{
    size_t len = filter_sizes(s);
    struct filters *f = mem_try_alloc(s->shard->mem, FOR_SESSION, sizeof *f + len);
    uint8_t *to;

    if (f == NULL)
        return NULL;
    *f = (struct filters){
        .serial = s->serial, .durable = s->durable, .count = s->n_subscriptions, .len = len};
    to = f->data;
    LIST_EACH (l, &s->subscriptions) {
        const struct subscription *sub = LIST_ITEM(l, struct subscription, link);

        to = sub->membership != NULL ? put_shared(to, sub->membership)
                                     : put_ordinary(to, s, &sub->place);
    }
    return f;
}

/* Retained messages of which some have not been sent are sent from the first one on: the order in
 * which they are kept is each shard's own. */
static void subscribe_one(struct session *s, struct mqtt_str share, struct mqtt_str filter,
                          const struct filter_head *head)
{
    if (session_restore_subscription(s, share, filter, head->options, head->sub_id) != 0)
        LOG(LOG_ERROR, "session.move_lost_subscription",
            LOG_STR("client", ((struct str){(const char *)s->client_id, s->client_id_len})));
    else if (head->retained && !retained_resend(s, filter, head->options, head->sub_id))
        count_drop(s->shard, DROP_NO_MEMORY, 1);
}

static void subscribe_all(struct session *s, const struct filters *f)
{
    const uint8_t *at = f->data;

    for (uint32_t i = 0; i < f->count; i++) {
        struct filter_head head;
        struct mqtt_str share, filter;

        memcpy(&head, at, sizeof head);
        at += sizeof head;
        share = (struct mqtt_str){at, head.share_len};
        filter = (struct mqtt_str){at + head.share_len, head.filter_len};
        at += head.share_len + head.filter_len;
        subscribe_one(s, share, filter, &head);
    }
}

/* ---- merging what both shards have collected ---- */

/* The messages of a session are counted where it is: sign 1 when they come, -1 when they go. */
static void count_messages(struct shard *sh, const struct session *s, int sign)
{
    if (s->flow == NULL)
        return;
    COUNT_ADD(&sh->counters, inflight, sign * (int64_t)s->flow->out.count);
    COUNT_ADD(&sh->counters, queued, sign * (int64_t)session_queued(s));
}

static bool same_delivery(const void *item, const void *key, size_t len)
{
    const struct delivery *a = item, *b = key;

    (void)len;
    return a->uid == b->uid && a->group == b->group;
}

static uint64_t delivery_hash(const struct delivery *d)
{
    return hash_number(d->uid ^ d->group);
}

static void note_known(void *known, struct delivery *d)
{
    if (map_find(known, delivery_hash(d), d, sizeof *d) == NULL)
        (void)map_add(known, delivery_hash(d), d); /* without memory it may come twice */
}

static void adopt_record(void *arg, struct delivery *d)
{
    (void)arg;
    journal_adopt(d);
}

/* The deliveries of from that are not in to's queue, behind it. from is emptied. */
static void append_new(struct session *to, struct session_flow *from)
{
    struct mem *mem = to->shard->mem;
    struct delivery *d;
    struct map known;

    map_init(&known, mem, FOR_QUEUE, same_delivery);
    session_each_delivery(to->flow, &known, note_known);
    while ((d = fifo_front(&from->queue)) != NULL) {
        struct delivery mine = *d;

        fifo_pop(&from->queue, mem);
        COUNT_DOWN(&to->shard->counters, queued);
        if (map_find(&known, delivery_hash(&mine), &mine, sizeof mine) != NULL) {
            journal_forget(to, &mine);
            delivery_release(&mine, mem);
        } else {
            session_requeue(to, &mine);
        }
    }
    map_fini(&known);
}

/* s becomes what old was, with what it has collected itself behind that. old is freed. */
static void inherit(struct session *s, struct session *old)
{
    struct shard *sh = s->shard;
    struct session_flow *collected = s->flow;

    s->version = old->version;
    s->expiry_s = old->expiry_s;
    s->will = old->will;
    s->will_ms = old->will_ms;
    s->ends_ms = old->ends_ms;
    if (old->flow != NULL) {
        s->flow = old->flow;
        session_each_delivery(s->flow, NULL, adopt_record);
    }
    count_messages(sh, old, 1);
    mem_release(sh->mem, FOR_SESSION, old);
    if (collected == NULL || collected == s->flow)
        return;
    append_new(s, collected);
    session_flow_free(sh, collected);
}

/* ---- at the old shard ---- */

static void on_session(struct shard *sh, struct post *p);
static void on_filters(struct shard *sh, struct post *p);

static void send_session(struct shard *sh, unsigned to, void *token, struct session *s)
{
    struct post *p = shard_post(sh, to, on_session);

    p->ptr = token;
    p->ptr2 = s;
}

/* All shards have confirmed: nothing more will come here for this session. */
static void pack(struct shard *sh, struct session *s)
{
    journal_hurry(sh); /* what is recorded here comes before what the new shard records */
    backlog_forget(s);
    guard_note(s);
    session_leave_all(s);
    session_share_messages(s);
    session_unregister(s);
    count_messages(sh, s, -1);
    COUNT(&sh->counters, sessions_moved);
}

static void depart(struct shard *sh, struct departure *d)
{
    struct session *s = d->session;

    list_remove(&d->link);
    if (s != NULL)
        pack(sh, s);
    send_session(sh, d->to, d->token, s);
    mem_release(sh->mem, FOR_SESSION, d);
}

uint64_t takeover_parked_turn(const struct shard *sh)
{
    uint64_t turn = UINT64_MAX;

    LIST_EACH (l, &sh->arrivals) {
        const struct session *s = LIST_ITEM(l, struct arrival, link)->collecting;

        if (s != NULL && s->flow != NULL && s->flow->parked_turn != 0 &&
            s->flow->parked_turn < turn)
            turn = s->flow->parked_turn;
    }
    return turn;
}

void takeover_committed(struct shard *sh)
{
    LIST_EACH_SAFE (l, &sh->departures) {
        struct departure *d = LIST_ITEM(l, struct departure, link);

        if (d->missing == 0 && journal_passed(sh, d->mark))
            depart(sh, d);
    }
}

/* ptr: token; from: any shard but this one. */
static void on_fenced(struct shard *sh, struct post *p)
{
    LIST_EACH (l, &sh->departures) {
        struct departure *d = LIST_ITEM(l, struct departure, link);

        if (d->token != p->ptr || --d->missing > 0)
            continue;
        d->mark = journal_mark(sh);
        journal_hurry(sh);
    }
    takeover_committed(sh);
}

/* ptr: token; u32: the old shard. Everything this shard has handed to the old one is in front. */
static void on_fence(struct shard *sh, struct post *p)
{
    shard_post(sh, p->u32, on_fenced)->ptr = p->ptr;
}

/* Say that the session has ended, when that is committed. */
static void give_ended(struct shard *sh, unsigned to, void *token)
{
    struct departure *d = mem_alloc(sh->mem, FOR_SESSION, sizeof *d);

    *d = (struct departure){.token = token, .to = to, .mark = journal_mark(sh)};
    list_init(&d->link);
    list_push_back(&sh->departures, &d->link);
    journal_hurry(sh);
    takeover_committed(sh);
}

/* Hand the session of this client over, or say that there is none. */
static void give(struct shard *sh, unsigned to, void *token, struct mqtt_str client_id, bool clean)
{
    struct session *s = free_session(sh, client_id);
    struct departure *d;
    struct filters *f;
    struct post *p;

    if (s != NULL && clean && discard(sh, s, false)) {
        give_ended(sh, to, token);
        return;
    }
    if (s == NULL || clean) {
        send_session(sh, to, token, NULL);
        return;
    }
    d = mem_alloc(sh->mem, FOR_SESSION, sizeof *d);
    f = filters_of(s);
    if (f == NULL) { /* out of memory: better a session lost than two of them */
        mem_release(sh->mem, FOR_SESSION, d);
        session_end(s, false);
        send_session(sh, to, token, NULL);
        return;
    }
    *d = (struct departure){
        .session = s, .token = token, .to = to, .missing = sh->broker->n_shards - 1};
    list_init(&d->link);
    list_push_back(&sh->departures, &d->link);
    s->leaving = true;
    retained_cancel_all(s);             /* the new shard sends them */
    timer_stop(&sh->timers, &s->timer); /* it does not end on the way */
    p = shard_post(sh, to, on_filters);
    p->ptr = token;
    p->ptr2 = f;
}

/* ptr: token, the asking arrival, of which the client identifier is read; u32: the claim it asks
 * for; a: clean. */
static void on_ask(struct shard *sh, struct post *p)
{
    struct mqtt_str client_id = arrival_id(p->ptr);
    struct arrival *a = arrival_of_claim(sh, client_id, p->u32);
    struct connection *waiting;
    struct ask *ask;

    posts_begin_anew(sh); /* the session may end here */
    if (a == NULL) {
        give(sh, p->from, p->ptr, client_id, p->a != 0);
        return;
    }
    /* It is not here yet. Whoever waits for it here is outdated. */
    waiting = a->conn;
    ask = mem_alloc(sh->mem, FOR_SESSION, sizeof *ask);
    *ask = (struct ask){.from = p->from, .token = p->ptr, .clean = p->a != 0};
    list_init(&ask->link);
    list_push_back(&a->asks, &ask->link);
    if (waiting != NULL)
        connection_close(waiting, CLOSE_TAKEN_OVER, NULL);
}

/* ---- at the new shard ---- */

/* The filters are here: collect what matches from now on, and have everybody confirm. */
static void on_filters(struct shard *sh, struct post *p)
{
    struct arrival *a = p->ptr;
    struct filters *f = p->ptr2;
    struct session *s = session_alloc(sh, arrival_id(a));

    if (s != NULL) {
        s->serial = f->serial;
        s->durable = f->durable;
        s->arriving = true;
        subscribe_all(s, f);
    } else {
        LOG(LOG_ERROR, "session.move_out_of_memory");
    }
    a->collecting = s;
    mem_release(sh->mem, FOR_SESSION, f);
    for (unsigned to = 0; to < sh->broker->n_shards; to++) {
        if (to == sh->index)
            continue;
        if (to == a->from) {
            shard_post(sh, to, on_fenced)->ptr = a;
        } else {
            struct post *fence = shard_post(sh, to, on_fence);

            fence->ptr = a;
            fence->u32 = a->from;
        }
    }
}

static void serve_asks(struct shard *sh, struct list *asks, struct mqtt_str client_id)
{
    struct list *l;

    while ((l = list_pop_front(asks)) != NULL) {
        struct ask *ask = LIST_ITEM(l, struct ask, link);

        give(sh, ask->from, ask->token, client_id, ask->clean);
        mem_release(sh->mem, FOR_SESSION, ask);
    }
}

/* What the old shard gave away is now a session of this one, offline; NULL: there was none. */
static struct session *receive(struct shard *sh, struct arrival *a, struct session *old)
{
    struct session *s = a->collecting;
    uint64_t parked;

    if (old == NULL || s == NULL) {
        ASSERT(s == NULL);
        if (old != NULL) {
            count_messages(sh, old, 1);
            session_discard(sh, old);
        }
        return NULL;
    }
    parked = s->flow != NULL ? s->flow->parked_turn : 0;
    inherit(s, old);
    s->arriving = false;
    journal_unpark(s, parked);
    if (session_register(sh, s) != 0) {
        session_leave_all(s);
        session_discard(sh, s);
        return NULL;
    }
    return s;
}

/* ptr: the arrival; ptr2: the session, or NULL. */
static void on_session(struct shard *sh, struct post *p)
{
    struct arrival *a = p->ptr;
    struct connection *c = a->conn;
    struct session *s;

    posts_begin_anew(sh); /* what the client has sent meanwhile follows */
    s = receive(sh, a, p->ptr2);
    list_remove(&a->link);
    if (c != NULL) {
        c->arrival = NULL;
        settle(c, s, a->claim);
    } else if (s != NULL) {
        s->claim = a->claim;
        session_adopted(s); /* nobody is there any more: it waits or ends as any offline session */
    } else {
        directory_release(&sh->broker->directory, arrival_id(a), a->claim);
    }
    if (c != NULL && c->state != CONN_WAIT)
        connection_unwait(c);
    serve_asks(sh, &a->asks, arrival_id(a));
    mem_release(sh->mem, FOR_SESSION, a);
}

static struct arrival *arrival_new(struct connection *c)
{
    struct mqtt_str id = request_client_id(c->request);
    struct arrival *a = mem_try_alloc(c->shard->mem, FOR_SESSION, sizeof *a + id.len);

    if (a == NULL)
        return NULL;
    *a = (struct arrival){.client_id_len = id.len};
    memcpy(a->client_id, id.p, id.len);
    list_init(&a->link);
    list_init(&a->asks);
    return a;
}

static void wait_for(struct arrival *a, struct connection *c)
{
    a->conn = c;
    c->arrival = a;
    connection_wait(c);
}

/* Ask for what was claimed before; the connection waits. */
static void send_for(struct connection *c, struct arrival *a, struct directory_claim before)
{
    struct shard *sh = c->shard;
    struct post *p = shard_post(sh, (unsigned)before.shard, on_ask);

    a->from = (unsigned)before.shard;
    list_push_back(&sh->arrivals, &a->link);
    wait_for(a, c);
    p->ptr = a;
    p->u32 = before.number;
    p->a = c->request->clean_start;
}

/* A connection of this client already waits here for the session, and nobody has asked for it
 * meanwhile: the newer one takes its place. */
static void replace_waiting(struct connection *c, struct arrival *a, uint32_t claim)
{
    struct connection *waiting = a->conn;

    if (waiting != NULL)
        connection_close(waiting, CLOSE_TAKEN_OVER, NULL);
    a->claim = claim;
    wait_for(a, c);
}

void takeover_connect(struct connection *c)
{
    struct shard *sh = c->shard;
    struct mqtt_str id = request_client_id(c->request);
    struct arrival *a = arrival_find(sh, id), *mine;
    struct directory_claim before;
    struct session *s;
    uint32_t claim;

    /* First the old connection, which may end the session and its claim; then the new claim. */
    s = a == NULL ? free_session(sh, id) : NULL;
    if (shard_alone(sh)) {
        settle(c, s, 0);
        return;
    }
    mine = arrival_new(c); /* before the claim, which cannot be taken back */
    if (mine == NULL ||
        directory_claim(&sh->broker->directory, id, sh->index, &before, &claim) != 0) {
        mem_release(sh->mem, FOR_SESSION, mine);
        connection_refused(c, MQTT_RC_SERVER_BUSY);
        return;
    }
    mine->claim = claim;
    if (before.shard != DIRECTORY_NONE && before.shard != (int)sh->index) {
        send_for(c, mine, before);
        return;
    }
    mem_release(sh->mem, FOR_SESSION, mine);
    if (a != NULL)
        replace_waiting(c, a, claim);
    else
        settle(c, s, claim);
}

void takeover_abandon(struct connection *c)
{
    if (c->arrival == NULL)
        return;
    c->arrival->conn = NULL;
    c->arrival = NULL;
}

static void arrival_free(struct shard *sh, struct arrival *a)
{
    struct session *s = a->collecting;
    struct list *l;

    ASSERT(a->conn == NULL);
    while ((l = list_pop_front(&a->asks)) != NULL)
        mem_release(sh->mem, FOR_SESSION, LIST_ITEM(l, struct ask, link));
    if (s != NULL) {
        session_leave_all(s);
        session_discard(sh, s);
    }
    mem_release(sh->mem, FOR_SESSION, a);
}

/* What is still under way waits for a store that does not commit any more. */
void takeover_fini(struct shard *sh)
{
    struct list *l;

    while ((l = list_pop_front(&sh->arrivals)) != NULL)
        arrival_free(sh, LIST_ITEM(l, struct arrival, link));
    while ((l = list_pop_front(&sh->departures)) != NULL)
        mem_release(sh->mem, FOR_SESSION, LIST_ITEM(l, struct departure, link));
}

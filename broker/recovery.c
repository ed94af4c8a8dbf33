#include "broker/recovery.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/timer.h"
#include "broker/backlog.h"
#include "broker/broker.h"
#include "broker/journal.h"
#include "broker/purposes.h"
#include "broker/retained.h"
#include "broker/session.h"
#include "broker/session_priv.h"
#include "broker/shard.h"
#include "mqtt/topic.h"
#include "storage/store.h"

#include <errno.h>

struct recovery {
    struct broker *broker;
    struct recovered *out;
    struct map by_serial;   /* sessions that are there so far */
    struct session *latest; /* the one that was asked for last: records of one come together */
    uint64_t last_uid;
};

static struct mqtt_str view(struct str s)
{
    return (struct mqtt_str){(const uint8_t *)s.p, (uint32_t)s.len};
}

static bool serial_equal(const void *item, const void *key, size_t len)
{
    (void)len;
    return ((const struct session *)item)->serial == *(const uint64_t *)key;
}

/* The session of this number, or NULL: it has been replaced by a newer one. */
static struct session *session_of(struct recovery *v, uint64_t serial)
{
    if (v->latest == NULL || v->latest->serial != serial)
        v->latest = map_find(&v->by_serial, hash_number(serial), &serial, sizeof serial);
    return v->latest;
}

/* Shards share the sessions by chance; a client may connect to another than it did before. */
static struct shard *shard_for(const struct broker *b, struct mqtt_str client_id)
{
    return b->shards[hash_bytes(b->hash_seed, client_id.p, client_id.len) % b->n_shards];
}

/* ---- sessions ---- */

static void take_clock(struct recovery *v, const struct store_record *r)
{
    v->last_uid = r->last_uid;
    for (unsigned i = 0; i < v->broker->n_shards; i++) {
        struct shard *sh = v->broker->shards[i];

        shard_seen_uid(sh, r->last_uid);
        if (r->last_session > sh->last_serial)
            sh->last_serial = r->last_session;
    }
}

/* A client that connected with Clean Start just before the end may have two: the newer one counts.
 */
static bool outdated(struct recovery *v, struct shard *sh, const struct store_record *r)
{
    struct session *other = session_find(sh, view(r->client_id));

    if (other == NULL)
        return false;
    if (other->serial > r->session)
        return true;
    map_remove(&v->by_serial, hash_number(other->serial), &other->serial, sizeof other->serial);
    v->latest = NULL;
    session_end(other, true);
    return false;
}

static int take_will(struct session *s, const struct store_record *r)
{
    struct shard *sh = s->shard;
    struct publication pub = {.topic = view(r->message.topic),
                              .props = view(r->message.props),
                              .payload = view(r->message.payload),
                              .qos = r->message.qos,
                              .retain = r->message.retain};
    struct will will = {.msg = publication_message(&pub, sh->mem),
                        .delay_s = r->will_delay_s,
                        .expiry_s = r->will_expiry_s,
                        .has_expiry = r->will_has_expiry};

    if (will.msg == NULL)
        return -ENOMEM;
    return session_set_will(s, &will) == 0 ? 0 : -ENOMEM;
}

/* When it ends, and when its Will is due: a client that was connected has gone with the broker. */
static void set_times(struct session *s, const struct store_record *r)
{
    struct shard *sh = s->shard;

    if (r->ends_ms == 0) {
        s->ends_ms =
            s->expiry_s == SESSION_NEVER ? TIMER_NEVER : sh->now_ms + (uint64_t)s->expiry_s * 1000;
        if (s->will != NULL)
            s->will_ms = sh->now_ms + (uint64_t)s->will->delay_s * 1000;
    } else {
        s->ends_ms = r->ends_ms == STORE_NEVER ? TIMER_NEVER : shard_mono_ms(sh, r->ends_ms);
        if (s->will != NULL)
            s->will_ms = shard_mono_ms(sh, r->will_ms);
    }
}

static int take_session(struct recovery *v, const struct store_record *r)
{
    struct mqtt_str client_id = view(r->client_id);
    struct shard *sh = shard_for(v->broker, client_id);
    struct directory_claim before; /* nobody: the identifiers are told apart here already */
    struct session *s;
    int rc;

    if (outdated(v, sh, r)) {
        journal_end_session(sh, r->session, 0);
        return 0;
    }
    s = session_alloc(sh, client_id);
    if (s == NULL)
        return -ENOMEM;
    s->serial = r->session;
    s->version = r->version;
    s->expiry_s = r->expiry_s;
    s->durable = true;
    s->was_connected = r->ends_ms == 0;
    rc = r->has_will ? take_will(s, r) : 0;
    if (rc == 0)
        rc = session_register(sh, s);
    if (rc != 0) {
        s->durable = false; /* in the store it stays */
        session_discard(sh, s);
        return rc;
    }
    rc = map_add(&v->by_serial, hash_number(s->serial), s);
    if (rc == 0 && v->broker->n_shards > 1)
        rc = directory_claim(&v->broker->directory, client_id, sh->index, &before, &s->claim);
    set_times(s, r);
    session_adopted(s);
    v->out->sessions++;
    return rc;
}

/* Are retained messages to be sent to it that it has not got? */
static bool due_again(const struct session *s, const struct store_record *r, struct mqtt_str share)
{
    return (r->options & STORE_RETAINED_DUE) != 0 && share.len == 0 &&
           s->shard->config.retain_available;
}

static int take_filter(struct recovery *v, const struct store_record *r)
{
    struct session *s = session_of(v, r->session);
    uint8_t options = r->options & STORE_SUB_OPTIONS;
    struct mqtt_str share, filter;
    int rc;

    if (s == NULL)
        return 0;
    if (mqtt_share_parse(view(r->filter), &share, &filter) != 0)
        return -EINVAL;
    v->out->subscriptions++;
    rc = session_restore_subscription(s, share, filter, options, r->sub_id);
    if (rc != 0 || !due_again(s, r, share))
        return rc;
    return retained_resend(s, filter, options, r->sub_id) ? 0 : -ENOMEM;
}

/* ---- messages ---- */

/* The part of the queue that stays in the store, made on first use. */
static struct backlog *backlog_of(struct recovery *v, struct session *s)
{
    struct session_flow *f = session_flow(s);

    if (f == NULL)
        return NULL;
    if (f->backlog == NULL)
        f->backlog = backlog_new(s->shard->mem);
    if (f->backlog == NULL)
        return NULL;
    f->backlog->until_uid = v->last_uid;
    f->backlog->perhaps_sent = s->was_connected;
    return f->backlog;
}

static int take_backlog(struct recovery *v, const struct store_record *r)
{
    struct session *s = session_of(v, r->session);
    struct backlog *b;

    if (s == NULL)
        return 0;
    b = backlog_of(v, s);
    if (b == NULL)
        return -ENOMEM;
    b->messages = r->messages;
    b->bytes = r->bytes + (uint64_t)r->messages * sizeof(struct message);
    COUNT_ADD(&s->shard->counters, queued, r->messages);
    v->out->queued += r->messages;
    return 0;
}

/* In flight: the packet identifier is in use; the body is read when the client is there. */
static int take_inflight(struct recovery *v, const struct store_record *r)
{
    struct session *s = session_of(v, r->session);
    struct inflight_entry *e;
    struct delivery d;

    if (s == NULL)
        return 0;
    if (r->packet_id == 0 || (r->state == STORE_SENT && backlog_of(v, s) == NULL) ||
        session_flow(s) == NULL || inflight_find(&s->flow->out, r->packet_id) != NULL)
        return r->packet_id == 0 ? -EINVAL : -ENOMEM;
    d = backlog_delivery(s->shard, r);
    e = inflight_restore(&s->flow->out, s->shard->mem, r->packet_id, &d);
    if (e == NULL) {
        delivery_release(&d, s->shard->mem);
        return -ENOMEM;
    }
    if (r->state == STORE_RELEASED)
        e->state = INFLIGHT_RELEASED;
    COUNT(&s->shard->counters, inflight);
    v->out->inflight++;
    return 0;
}

static int take_received(struct recovery *v, const struct store_record *r)
{
    struct session *s = session_of(v, r->session);
    struct session_flow *f = s == NULL ? NULL : session_flow(s);

    if (s == NULL)
        return 0;
    return f != NULL && id_set_add(&f->received, s->shard->mem, r->packet_id) ? 0 : -ENOMEM;
}

/* Every shard has all retained messages. */
static int take_retained(struct recovery *v, const struct store_record *r)
{
    struct shard *first = v->broker->shards[0];
    struct publication pub = {.topic = view(r->message.topic),
                              .props = view(r->message.props),
                              .payload = view(r->message.payload),
                              .uid = r->message.uid,
                              .publisher = r->message.publisher,
                              .expires_ms = shard_mono_ms(first, r->message.expires_ms),
                              .qos = r->message.qos,
                              .retain = true};
    int rc = 0;

    if (publication_message(&pub, first->mem) == NULL)
        return -ENOMEM;
    message_share(pub.msg);
    for (unsigned i = 0; rc == 0 && i < v->broker->n_shards; i++)
        rc = retained_restore(v->broker->shards[i], pub.msg);
    publication_done(&pub, first->mem);
    v->out->retained++;
    return rc;
}

static int take(void *arg, const struct store_record *r)
{
    struct recovery *v = arg;

    switch (r->kind) {
    case STORE_CLOCK: take_clock(v, r); return 0;
    case STORE_SESSION: return take_session(v, r);
    case STORE_FILTER: return take_filter(v, r);
    case STORE_DELIVERY: return take_inflight(v, r);
    case STORE_BACKLOG: return take_backlog(v, r);
    case STORE_RECEIVED: return take_received(v, r);
    case STORE_RETAINED: return take_retained(v, r);
    default: return -EINVAL;
    }
}

static void on_news(void *broker, unsigned shard)
{
    shard_store_news(((struct broker *)broker)->shards[shard]);
}

int broker_attach(struct broker *b, struct store *store, struct recovered *out)
{
    struct recovery v = {.broker = b, .out = out};
    struct mem *mem = b->shards[0]->mem;
    int rc = 0;

    *out = (struct recovered){0};
    b->store = store;
    for (unsigned i = 0; i < b->n_shards; i++) {
        shard_update_time(b->shards[i]);
        b->shards[i]->journal = journal_new(b->shards[i], store);
        if (b->shards[i]->journal == NULL || !guard_init(b->shards[i]))
            return -ENOMEM;
    }
    store->ops->notify(store, on_news, b);
    map_init(&v.by_serial, mem, FOR_SHARD, serial_equal);
    rc = store->ops->recover(store, take, &v);
    map_fini(&v.by_serial);
    return rc;
}

/* journal_records: the broker's state in the words of the store. */
#include "base/assert.h"
#include "base/timer.h"
#include "broker/journal_priv.h"
#include "broker/message.h"
#include "broker/session.h"
#include "broker/shard.h"

#include <string.h>

static struct str str_of(struct mqtt_str s)
{
    return (struct str){(const char *)s.p, s.len};
}

/* A moment of the shard's clock as wall clock time; from: what TIMER_NEVER becomes. */
static uint64_t wall_of(const struct shard *sh, uint64_t mono_ms, uint64_t never)
{
    return mono_ms == TIMER_NEVER ? never : sh->wall_ms + mono_ms - sh->now_ms;
}

static struct store_message message_of(const struct shard *sh, const struct publication *pub)
{
    return (struct store_message){.uid = pub->uid,
                                  .publisher = pub->publisher,
                                  .expires_ms =
                                      pub->expires_ms != 0 ? wall_of(sh, pub->expires_ms, 0) : 0,
                                  .topic = str_of(pub->topic),
                                  .props = str_of(pub->props),
                                  .payload = str_of(pub->payload),
                                  .qos = pub->qos,
                                  .retain = pub->retain};
}

void journal__append(struct journal *j, const struct store_record *r, enum journal_haste haste)
{
    int rc;

    journal__wait(j, haste);
    rc = store_batch_add(&j->batch, r);
    ASSERT(rc == 0); /* without memory for it nothing could be promised any more */
    j->sync |= haste != HASTE_LATER && j->sh->config.durability == DURABILITY_FSYNC;
}

struct store_record journal__record(const struct shard *sh, const struct entry *e,
                                    const struct message *previous)
{
    struct store_record r = {.kind = STORE_DELIVERY_STATE,
                             .session = e->session,
                             .uid = e->uid,
                             .group = e->group,
                             .packet_id = e->packet_id,
                             .state = e->state};

    if (e->kind == ENTRY_STATE)
        return r;
    r.kind = STORE_DELIVERY;
    r.qos = e->qos;
    r.retain = e->retain;
    r.guarded = e->guarded;
    if (e->ids != NULL)
        r.sub_ids = (struct str){(const char *)e->ids->v, e->ids->n * sizeof e->ids->v[0]};
    else if (e->sub_id != 0)
        r.sub_ids = (struct str){(const char *)&e->sub_id, sizeof e->sub_id};
    if (e->msg != previous) {
        struct publication pub = publication_of(e->msg);

        r.message = message_of(sh, &pub);
    }
    return r;
}

/* ---- sessions ---- */

static void add_will(const struct session *s, struct store_record *r)
{
    const struct will *w = s->will;
    struct publication pub;

    if (w == NULL)
        return;
    pub = publication_of(w->msg);
    r->has_will = true;
    r->will_delay_s = w->delay_s;
    r->will_has_expiry = w->has_expiry;
    r->will_expiry_s = w->expiry_s;
    r->will_ms = s->conn != NULL ? 0 : wall_of(s->shard, s->will_ms, 0);
    r->message = message_of(s->shard, &pub);
}

void journal_session(struct session *s, enum journal_haste haste)
{
    struct store_record r = {.kind = STORE_SESSION,
                             .session = s->serial,
                             .client_id = str_of(session_client_id(s)),
                             .expiry_s = s->expiry_s,
                             .version = s->version,
                             .ends_ms =
                                 s->conn != NULL ? 0 : wall_of(s->shard, s->ends_ms, STORE_NEVER)};

    if (!s->durable || s->shard->journal == NULL)
        return;
    add_will(s, &r);
    journal__append(s->shard->journal, &r, haste);
}

static void end_session(struct journal *j, uint64_t session)
{
    struct store_record r = {.kind = STORE_SESSION_END, .session = session};

    journal__append(j, &r, HASTE_LATER);
}

void journal_end_session(struct shard *sh, uint64_t session, uint64_t after_turn)
{
    struct journal *j = sh->journal;

    if (j == NULL)
        return;
    if (after_turn != 0)
        *(struct ended *)fifo_must_push(&j->ended, sh->mem) = (struct ended){after_turn, session};
    else
        end_session(j, session);
}

void journal__end_sessions(struct journal *j)
{
    struct ended *e;

    while ((e = fifo_front(&j->ended)) != NULL && e->turn <= shard_done_turn(j->sh)) {
        end_session(j, e->session);
        fifo_pop(&j->ended, j->sh->mem);
    }
}

/* "FILTER" or "$share/NAME/FILTER", put together in the shard's scratch memory. */
static struct str filter_text(struct shard *sh, struct mqtt_str share, struct mqtt_str filter)
{
    static const char prefix[] = "$share/";
    size_t len = sizeof prefix - 1 + share.len + 1 + filter.len;
    char *p;

    if (share.len == 0)
        return str_of(filter);
    p = (char *)scratch_reserve(sh, &sh->compose, len);
    ASSERT(p != NULL);
    memcpy(p, prefix, sizeof prefix - 1);
    memcpy(p + sizeof prefix - 1, share.p, share.len);
    p[sizeof prefix - 1 + share.len] = '/';
    memcpy(p + sizeof prefix + share.len, filter.p, filter.len);
    return (struct str){p, len};
}

void journal_filter(struct session *s, struct mqtt_str share, struct mqtt_str filter,
                    uint8_t options, uint32_t sub_id, enum journal_haste haste)
{
    struct store_record r = {
        .kind = STORE_FILTER, .session = s->serial, .options = options, .sub_id = sub_id};

    if (!s->durable || s->shard->journal == NULL)
        return;
    r.filter = filter_text(s->shard, share, filter);
    journal__append(s->shard->journal, &r, haste);
}

void journal_filter_end(struct session *s, struct mqtt_str share, struct mqtt_str filter)
{
    struct store_record r = {.kind = STORE_FILTER_END, .session = s->serial};

    if (!s->durable || s->shard->journal == NULL)
        return;
    r.filter = filter_text(s->shard, share, filter);
    journal__append(s->shard->journal, &r, journal_failing(s->shard) ? HASTE_LATER : HASTE_NOW);
}

void journal_received_by(struct shard *sh, uint64_t session, uint16_t packet_id, uint64_t uid)
{
    struct store_record r = {
        .kind = STORE_RECEIVED, .session = session, .packet_id = packet_id, .uid = uid};

    journal__append(sh->journal, &r, HASTE_NOW);
    sh->journal->sync |= sh->journal->identifiers_sync;
}

void journal_received_end(struct session *s, uint16_t packet_id)
{
    struct store_record r = {
        .kind = STORE_RECEIVED_END, .session = s->serial, .packet_id = packet_id};

    if (!s->durable || s->shard->journal == NULL)
        return;
    journal__append(s->shard->journal, &r, HASTE_NOW);
    s->shard->journal->sync |= s->shard->journal->identifiers_sync;
}

void journal_queue_drop(struct session *s, uint64_t uid, uint64_t group)
{
    struct store_record r = {
        .kind = STORE_QUEUE_DROP, .session = s->serial, .uid = uid, .group = group};

    if (s->durable && s->shard->journal != NULL)
        journal__append(s->shard->journal, &r, HASTE_LATER);
}

/* ---- retained messages ---- */

void journal_retained(struct shard *sh, struct publication *pub)
{
    struct store_record r = {.kind = pub->payload.len > 0 ? STORE_RETAINED : STORE_RETAINED_END};

    if (sh->journal == NULL || !journal_wants(sh, pub))
        return;
    r.message = message_of(sh, pub);
    journal__append(sh->journal, &r, pub->qos > 0 ? HASTE_NOW : HASTE_LATER);
    sh->journal->sync |= pub->qos > 0 && pub->durability == DURABILITY_FSYNC + 1;
}

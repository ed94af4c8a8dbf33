/* session: life and end of sessions; their messages are in session_flow.c, their subscriptions in
 * session_subscriptions.c. */
#include "broker/session.h"

#include "base/assert.h"
#include "base/mem.h"
#include "broker/connection.h"
#include "broker/journal.h"
#include "broker/purposes.h"
#include "broker/retained.h"
#include "broker/router.h"
#include "broker/session_priv.h"
#include "broker/shard.h"
#include "broker/share.h"

#include <stddef.h>
#include <string.h>

#define SESSION_MAGIC 0x53455353u

static uint64_t client_id_hash(const struct shard *sh, struct mqtt_str client_id)
{
    return hash_bytes(sh->broker->hash_seed, client_id.p, client_id.len);
}

bool session_key_equal(const void *item, const void *key, size_t key_len)
{
    const struct session *s = item;

    return s->client_id_len == key_len && memcmp(s->client_id, key, key_len) == 0;
}

struct session *session_find(struct shard *sh, struct mqtt_str client_id)
{
    return map_find(&sh->sessions, client_id_hash(sh, client_id), client_id.p, client_id.len);
}

/* The Will and the end of an offline session share one timer: whichever is due first. */
static void arm(struct session *s)
{
    uint64_t due = s->will_ms < s->ends_ms ? s->will_ms : s->ends_ms;

    if (due == TIMER_NEVER)
        timer_stop(&s->shard->timers, &s->timer);
    else
        timer_start(&s->shard->timers, &s->timer, due);
}

static void on_timer(struct timer *t)
{
    struct session *s = CONTAINER_OF(t, struct session, timer);
    struct shard *sh = s->shard;

    ASSERT(s->conn == NULL);
    if (s->ends_ms <= sh->now_ms) {
        COUNT(&sh->counters, sessions_expired);
        session_end(s, false);
        return;
    }
    if (s->will_ms <= sh->now_ms)
        session_publish_will(s);
    arm(s);
}

int session_register(struct shard *sh, struct session *s)
{
    int rc = map_add(&sh->sessions, client_id_hash(sh, session_client_id(s)), s);

    if (rc != 0)
        return rc;
    list_push_back(&sh->all_sessions, &s->link);
    COUNT(&sh->counters, sessions);
    COUNT(&sh->counters, sessions_offline);
    return 0;
}

void session_unregister(struct session *s)
{
    struct shard *sh = s->shard;
    struct mqtt_str id = session_client_id(s);

    timer_stop(&sh->timers, &s->timer);
    list_remove(&s->link);
    list_remove(&s->link_committing);
    map_remove(&sh->sessions, client_id_hash(sh, id), id.p, id.len);
    COUNT_DOWN(&sh->counters, sessions);
    COUNT_DOWN(&sh->counters, sessions_offline);
}

struct session *session_alloc(struct shard *sh, struct mqtt_str client_id)
{
    size_t size = offsetof(struct session, client_id) + client_id.len;
    struct session *s = mem_try_alloc(sh->mem, FOR_SESSION, size > sizeof *s ? size : sizeof *s);

    if (s == NULL)
        return NULL;
    memset(s, 0, sizeof *s);
    s->magic = SESSION_MAGIC;
    s->shard = sh;
    s->will_ms = s->ends_ms = TIMER_NEVER;
    list_init(&s->subscriptions);
    list_init(&s->link);
    list_init(&s->link_committing);
    timer_init(&s->timer, on_timer);
    s->client_id_len = (uint16_t)client_id.len;
    memcpy(s->client_id, client_id.p, client_id.len);
    return s;
}

struct session *session_new(struct shard *sh, struct mqtt_str client_id)
{
    struct session *s = session_alloc(sh, client_id);

    if (s == NULL)
        return NULL;
    s->serial = shard_next_serial(sh);
    if (session_register(sh, s) != 0) {
        mem_release(sh->mem, FOR_SESSION, s);
        return NULL;
    }
    return s;
}

void session_adopted(struct session *s)
{
    arm(s);
}

void session_discard(struct shard *sh, struct session *s)
{
    s->shard = sh;
    session_set_will(s, NULL);
    retained_cancel_all(s);
    session_drop_flow(s, false);
    if (s->durable)
        journal_end_session(sh, s->serial, 0);
    mem_release(sh->mem, FOR_SESSION, s);
}

void session_end(struct session *s, bool keep_claim)
{
    struct shard *sh = s->shard;
    uint64_t asks;
    bool shared;

    ASSERT(s->magic == SESSION_MAGIC && s->conn == NULL);
    session_publish_will(s);
    retained_cancel_all(s);
    shared = session_is_member(s);
    session_leave_all(s);
    asks = sh->posts.asks;
    if (!session_drop_flow(s, shared) && s->durable)
        journal_end_session(sh, s->serial, sh->posts.asks != asks ? sh->posts.turn : 0);
    session_unregister(s);
    if (!keep_claim && !shard_alone(sh))
        directory_release(&sh->broker->directory, session_client_id(s), s->claim);
    s->magic = 0;
    mem_release(sh->mem, FOR_SESSION, s);
}

void session_connected(struct session *s)
{
    COUNT_DOWN(&s->shard->counters, sessions_offline);
    s->will_ms = s->ends_ms = TIMER_NEVER;
    arm(s);
    session_mark_unsent(s);
    session_members_online(s, true);
}

void session_disconnected(struct session *s, bool publish_will)
{
    struct shard *sh = s->shard;

    s->conn = NULL;
    COUNT(&sh->counters, sessions_offline);
    if (!publish_will)
        session_set_will(s, NULL);
    if (s->expiry_s == 0) {
        session_end(s, false);
        return;
    }
    s->ends_ms =
        s->expiry_s == SESSION_NEVER ? TIMER_NEVER : sh->now_ms + (uint64_t)s->expiry_s * 1000;
    if (s->will != NULL && s->will->delay_s > 0)
        s->will_ms = sh->now_ms + (uint64_t)s->will->delay_s * 1000;
    else
        session_publish_will(s);
    arm(s);
    journal_session(s, HASTE_LATER);
    journal_despair(sh); /* this client will acknowledge nothing soon */
    session_members_online(s, false);
    session_give_back_queued(s);
    session_trim(s);
}

/* ---- Will [v5 3.1.2.5, 3.1.3.2] ---- */

int session_set_will(struct session *s, const struct will *take_will)
{
    struct mem *mem = s->shard->mem;
    struct will *w = NULL;

    if (take_will != NULL) {
        w = mem_try_alloc(mem, FOR_SESSION, sizeof *w);
        if (w == NULL) {
            struct message *m = take_will->msg;

            message_unref(&m, mem);
            return -1;
        }
        *w = *take_will;
    }
    if (s->will != NULL) {
        message_unref(&s->will->msg, mem);
        mem_release(mem, FOR_SESSION, s->will);
    }
    s->will = w;
    return 0;
}

void session_publish_will(struct session *s)
{
    struct shard *sh = s->shard;
    struct will *w = s->will;
    struct publication pub;

    s->will_ms = TIMER_NEVER;
    if (w == NULL)
        return;
    s->will = NULL;
    /* A publication of its own, with the uid and the expiry of this moment. */
    pub = publication_of(w->msg);
    pub.msg = NULL;
    pub.uid = shard_next_uid(sh);
    pub.publisher = s->serial;
    pub.expires_ms = w->has_expiry ? sh->now_ms + (uint64_t)w->expiry_s * 1000 : 0;
    COUNT(&sh->counters, wills_sent);
    router_publish(sh, &pub);
    publication_done(&pub, sh->mem);
    message_unref(&w->msg, sh->mem);
    mem_release(sh->mem, FOR_SESSION, w);
    if (s->expiry_s != 0)
        journal_session(s, HASTE_LATER); /* in the batch that has what was published */
}

/* sqlite_apply: records to the tables, in the writer's transaction. How many deliveries have a body
 * is known without a look at the disk: one, unless the table of users says more. */
#include "base/assert.h"
#include "base/log.h"
#include "storage/sqlite_store_priv.h"

/* ---- binding ---- */

static void bind_number(sqlite3_stmt *st, int at, uint64_t n)
{
    sqlite3_bind_int64(st, at, (sqlite3_int64)n);
}

/* Texts are borrowed until the statement has run. */
static void bind_text(sqlite3_stmt *st, int at, struct str s)
{
    sqlite3_bind_text(st, at, s.len > 0 ? s.p : "", (int)s.len, SQLITE_STATIC);
}

static void bind_bytes(sqlite3_stmt *st, int at, struct str s)
{
    if (s.len > 0)
        sqlite3_bind_blob(st, at, s.p, (int)s.len, SQLITE_STATIC);
    else
        sqlite3_bind_null(st, at);
}

static sqlite3_stmt *statement_of(struct sqlite_store *s, enum statement which, uint64_t session)
{
    sqlite3_stmt *st = s->w.st[which];

    bind_number(st, 1, session);
    return st;
}

static sqlite3_stmt *delivery_statement(struct sqlite_store *s, enum statement which,
                                        uint64_t session, uint64_t uid, uint64_t group)
{
    sqlite3_stmt *st = statement_of(s, which, session);

    bind_number(st, 2, uid);
    bind_number(st, 3, group);
    return st;
}

/* Did the last statement change anything? */
static bool changed(const struct sqlite_store *s)
{
    return sqlite3_changes(s->w.db) > 0;
}

static void expires_at(struct sqlite_store *s, uint64_t ms)
{
    if (ms != 0 && ms < s->w.next_expiry_ms)
        s->w.next_expiry_ms = ms;
}

/* ---- bodies ---- */

static size_t size_of(const struct store_message *m)
{
    return m->topic.len + m->props.len + m->payload.len;
}

static int put_body(struct sqlite_store *s, const struct store_message *m, uint64_t uid,
                    bool *out_new)
{
    sqlite3_stmt *st = s->w.st[ST_PUT_BODY];
    int rc;

    bind_number(st, 1, uid);
    bind_number(st, 2, m->publisher);
    bind_number(st, 3, m->expires_ms);
    sqlite3_bind_int(st, 4, m->qos);
    sqlite3_bind_int(st, 5, m->retain);
    bind_text(st, 6, m->topic);
    bind_bytes(st, 7, m->props);
    bind_bytes(st, 8, m->payload);
    rc = sqlite__run(st);
    *out_new = rc == SQLITE_OK && changed(s);
    s->w.body_uid = uid;
    s->w.body_size = size_of(m);
    s->w.body_expires_ms = m->expires_ms;
    s->w.body_publisher = m->publisher;
    return rc;
}

/* SQLITE_NOTFOUND: there is no body with this uid. */
static int find_body(struct sqlite_store *s, uint64_t uid)
{
    sqlite3_stmt *st = s->w.st[ST_BODY];
    int rc;

    if (s->w.body_uid == uid)
        return SQLITE_OK;
    bind_number(st, 1, uid);
    rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        s->w.body_uid = uid;
        s->w.body_size = (uint64_t)sqlite3_column_int64(st, 0);
        s->w.body_expires_ms = (uint64_t)sqlite3_column_int64(st, 1);
        s->w.body_publisher = (uint64_t)sqlite3_column_int64(st, 2);
    }
    sqlite3_reset(st);
    return rc == SQLITE_ROW ? SQLITE_OK : rc == SQLITE_DONE ? SQLITE_NOTFOUND : rc;
}

static void join_body(struct sqlite_store *s, uint64_t uid)
{
    uint64_t users = counts_get(&s->w.users, uid);

    counts_set(&s->w.users, uid, users == 0 ? 2 : users + 1);
}

static int leave_body(struct sqlite_store *s, uint64_t uid)
{
    uint64_t users = counts_get(&s->w.users, uid);

    if (users != 0) {
        counts_set(&s->w.users, uid, users == 2 ? 0 : users - 1);
        return SQLITE_OK;
    }
    if (s->w.body_uid == uid)
        s->w.body_uid = 0;
    return sqlite__run(statement_of(s, ST_END_BODY, uid));
}

/* ---- deliveries ---- */

static int put_delivery(struct sqlite_store *s, const struct store_record *r)
{
    sqlite3_stmt *st = delivery_statement(s, ST_PUT_DELIVERY, r->session, r->uid, r->group);
    bool new_body = false;
    int rc;

    if (counts_len(&s->w.ended) > 0 && counts_get(&s->w.ended, r->session) != 0)
        return SQLITE_OK;
    rc = r->message.topic.len > 0 ? put_body(s, &r->message, r->uid, &new_body)
                                  : find_body(s, r->uid);
    if (rc == SQLITE_NOTFOUND) {
        LOG(LOG_ERROR, "store.no_body", LOG_UINT("session", r->session), LOG_UINT("uid", r->uid));
        return SQLITE_OK;
    }
    if (rc != SQLITE_OK)
        return rc;
    sqlite3_bind_int(st, 4, r->packet_id);
    sqlite3_bind_int(st, 5, r->state);
    sqlite3_bind_int(st, 6, r->qos);
    sqlite3_bind_int(st, 7, r->retain);
    bind_bytes(st, 8, r->sub_ids);
    bind_number(st, 9, s->w.body_size);
    bind_number(st, 10, s->w.body_expires_ms);
    bind_number(st, 11, r->guarded ? s->w.body_publisher : 0);
    expires_at(s, s->w.body_expires_ms);
    rc = sqlite__run(st);
    if (rc == SQLITE_OK && changed(s) && !new_body)
        join_body(s, r->uid);
    return rc;
}

static int change_state(struct sqlite_store *s, const struct store_record *r)
{
    sqlite3_stmt *st = delivery_statement(s, ST_STATE, r->session, r->uid, r->group);

    sqlite3_bind_int(st, 4, r->packet_id);
    sqlite3_bind_int(st, 5, r->state);
    return sqlite__run(st);
}

int sqlite__end_delivery(struct sqlite_store *s, uint64_t session, uint64_t uid, uint64_t group)
{
    int rc = sqlite__run(delivery_statement(s, ST_END_DELIVERY, session, uid, group));

    return rc == SQLITE_OK && changed(s) ? leave_body(s, uid) : rc;
}

static int queue_drop(struct sqlite_store *s, const struct store_record *r)
{
    sqlite3_stmt *st = delivery_statement(s, ST_FIRST_QUEUED, r->session, r->uid, r->group);
    uint64_t forgiven = counts_len(&s->w.forgiven) > 0 ? counts_get(&s->w.forgiven, r->session) : 0;
    uint64_t uid, group;
    int rc;

    if (forgiven > 0) {
        counts_set(&s->w.forgiven, r->session, forgiven - 1);
        return SQLITE_OK;
    }
    rc = sqlite3_step(st);
    uid = (uint64_t)sqlite3_column_int64(st, 0);
    group = (uint64_t)sqlite3_column_int64(st, 1);
    sqlite3_reset(st);
    if (rc == SQLITE_ROW)
        return sqlite__end_delivery(s, r->session, uid, group);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* ---- sessions ---- */

static void bind_will(sqlite3_stmt *st, const struct store_record *r)
{
    const struct store_message *m = &r->message;

    bind_number(st, 7, r->will_ms);
    bind_number(st, 8, r->will_delay_s);
    if (r->will_has_expiry)
        bind_number(st, 9, r->will_expiry_s);
    bind_number(st, 10, m->publisher);
    bind_number(st, 11, m->expires_ms);
    sqlite3_bind_int(st, 12, m->qos);
    sqlite3_bind_int(st, 13, m->retain);
    bind_text(st, 14, m->topic);
    bind_bytes(st, 15, m->props);
    bind_bytes(st, 16, m->payload);
}

static int put_session(struct sqlite_store *s, const struct store_record *r)
{
    sqlite3_stmt *st;

    if (counts_len(&s->w.ended) > 0 && counts_get(&s->w.ended, r->session) != 0) {
        int rc = sqlite__purge_session(s, r->session); /* its number is given a second time */

        if (rc != SQLITE_OK)
            return rc;
    }
    st = statement_of(s, ST_PUT_SESSION, r->session);
    sqlite3_clear_bindings(st);
    bind_number(st, 1, r->session);
    bind_text(st, 2, r->client_id);
    bind_number(st, 3, r->ends_ms);
    bind_number(st, 4, r->expiry_s);
    sqlite3_bind_int(st, 5, r->version);
    sqlite3_bind_int(st, 6, r->has_will);
    if (r->has_will)
        bind_will(st, r);
    return sqlite__run(st);
}

/* The rest of it goes in slices, because it may be much; unless room is needed now. */
static int end_session(struct sqlite_store *s, const struct store_record *r)
{
    int rc = sqlite__run(statement_of(s, ST_END_SESSION, r->session));

    if (rc == SQLITE_OK)
        rc = sqlite__run(statement_of(s, ST_END_LARGEST, r->session));
    if (rc != SQLITE_OK)
        return rc;
    sqlite__purge_later(s, r->session);
    return s->w.squeeze ? sqlite__purge_session(s, r->session) : SQLITE_OK;
}

static int put_filter(struct sqlite_store *s, const struct store_record *r)
{
    sqlite3_stmt *st = statement_of(s, ST_PUT_FILTER, r->session);

    bind_text(st, 2, r->filter);
    sqlite3_bind_int(st, 3, r->options);
    bind_number(st, 4, r->sub_id);
    return sqlite__run(st);
}

static int end_filter(struct sqlite_store *s, const struct store_record *r)
{
    sqlite3_stmt *st = statement_of(s, ST_END_FILTER, r->session);

    bind_text(st, 2, r->filter);
    return sqlite__run(st);
}

static int put_received(struct sqlite_store *s, const struct store_record *r)
{
    sqlite3_stmt *st = statement_of(s, ST_PUT_RECEIVED, r->session);
    int rc;

    sqlite3_bind_int(st, 2, r->packet_id);
    if ((rc = sqlite__run(st)) != SQLITE_OK)
        return rc;
    st = statement_of(s, ST_LARGEST, r->session);
    bind_number(st, 2, r->uid);
    return sqlite__run(st);
}

static int end_received(struct sqlite_store *s, const struct store_record *r)
{
    sqlite3_stmt *st = statement_of(s, ST_END_RECEIVED, r->session);

    sqlite3_bind_int(st, 2, r->packet_id);
    return sqlite__run(st);
}

/* ---- retained messages ---- */

static int put_retained(struct sqlite_store *s, const struct store_record *r)
{
    sqlite3_stmt *st = s->w.st[ST_PUT_RETAINED];
    const struct store_message *m = &r->message;

    bind_text(st, 1, m->topic);
    bind_number(st, 2, m->uid);
    bind_number(st, 3, m->publisher);
    bind_number(st, 4, m->expires_ms);
    sqlite3_bind_int(st, 5, m->qos);
    sqlite3_bind_int(st, 6, m->retain);
    bind_bytes(st, 7, m->props);
    bind_bytes(st, 8, m->payload);
    expires_at(s, m->expires_ms);
    return sqlite__run(st);
}

static int end_retained(struct sqlite_store *s, const struct store_record *r)
{
    sqlite3_stmt *st = s->w.st[ST_END_RETAINED];

    bind_text(st, 1, r->message.topic);
    return sqlite__run(st);
}

/* ---- all of them ---- */

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

int sqlite__apply(struct sqlite_store *s, const struct store_record *r)
{
    s->w.last_session = larger(s->w.last_session, r->session);
    s->w.last_uid = larger(s->w.last_uid, r->uid);
    ASSERT(r->kind < STORE_BACKLOG);
    switch (r->kind) {
    case STORE_SESSION: return put_session(s, r);
    case STORE_SESSION_END: return end_session(s, r);
    case STORE_FILTER: return put_filter(s, r);
    case STORE_FILTER_END: return end_filter(s, r);
    case STORE_DELIVERY: return put_delivery(s, r);
    case STORE_DELIVERY_STATE: return change_state(s, r);
    case STORE_DELIVERY_END: return sqlite__end_delivery(s, r->session, r->uid, r->group);
    case STORE_QUEUE_DROP: return queue_drop(s, r);
    case STORE_RECEIVED: return put_received(s, r);
    case STORE_RECEIVED_END: return end_received(s, r);
    case STORE_RETAINED:
        s->w.last_uid = larger(s->w.last_uid, r->message.uid);
        return put_retained(s, r);
    case STORE_RETAINED_END:
        s->w.last_uid = larger(s->w.last_uid, r->message.uid);
        return end_retained(s, r);
    default: return SQLITE_MISUSE;
    }
}

static int set_meta(struct sqlite_store *s, const char *name, uint64_t value)
{
    sqlite3_stmt *st = s->w.st[ST_SET_META];

    bind_text(st, 1, str_from(name));
    bind_number(st, 2, value);
    return sqlite__run(st);
}

int sqlite__apply_clock(struct sqlite_store *s)
{
    int rc = SQLITE_OK;

    if (s->w.last_uid != s->w.stored_uid)
        rc = set_meta(s, "last_uid", s->w.last_uid);
    if (rc == SQLITE_OK && s->w.last_session != s->w.stored_session)
        rc = set_meta(s, "last_session", s->w.last_session);
    return rc;
}

/* import_mosquitto: what mosquitto.db says in records of the store. Mosquitto hands on a QoS 2
 * message when its publisher releases it, Frys when it comes: those that wait for their release get
 * to their subscribers here. */
#include "base/assert.h"
#include "storage/import_priv.h"
#include "storage/mosquitto_db_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPIRY_NEVER UINT32_MAX
#define NO_LOCAL     4
#define AS_PUBLISHED 8

struct reader {
    const char *path;
    const struct import_rules *rules;
    store_record_fn *fn;
    void *arg;
    struct mosquitto_db db;
    struct mosquitto_client **by_id; /* clients by their identifiers */
    char *props;                     /* space for those of one message */
    uint32_t *sub_ids;               /* and for those of one delivery */
    uint64_t *skipped;
    struct store_error *err;
};

static struct str cut_share(struct str filter)
{
    struct str rest = filter;

    if (!str_starts(filter, STR("$share/")))
        return filter;
    str_cut(&rest, '/');
    str_cut(&rest, '/');
    return rest;
}

/* ---- clients ---- */

static int compare_text(struct str a, struct str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n == 0 ? 0 : memcmp(a.p, b.p, n);

    return c != 0 ? c : a.len < b.len ? -1 : a.len > b.len;
}

static int by_client_id(const void *a, const void *b)
{
    return compare_text((*(struct mosquitto_client *const *)a)->id,
                        (*(struct mosquitto_client *const *)b)->id);
}

/* NULL: there is none, or its session is not kept. */
static const struct mosquitto_client *find_client(const struct reader *r, struct str id)
{
    struct mosquitto_client key = {.id = id}, *p = &key, **found = NULL;

    if (r->db.n_clients > 0)
        found =
            bsearch(&p, r->by_id, r->db.n_clients, sizeof(struct mosquitto_client *), by_client_id);
    return found == NULL || (*found)->session == 0 ? NULL : *found;
}

static uint64_t session_of(const struct reader *r, struct str client_id)
{
    const struct mosquitto_client *c = find_client(r, client_id);

    return c == NULL ? 0 : c->session;
}

static int complain(struct reader *r, const char *what, struct str text)
{
    return store_error(r->err, "%s is damaged: %s \"%.*s\" is not what MQTT allows", r->path, what,
                       text.len > 200 ? 200 : (int)text.len, text.len > 0 ? text.p : "");
}

/* Numbers of sessions: in the order of the file. One that ends with its connection is not kept. */
static int number_clients(struct reader *r)
{
    size_t n = r->db.n_clients;

    r->by_id = calloc(n + 1, sizeof(struct mosquitto_client *));
    ASSERT(r->by_id != NULL);
    for (size_t i = 0; i < n; i++) {
        struct mosquitto_client *c = &r->db.clients[i];

        if (c->id.len == 0 || !r->rules->is_text(c->id))
            return complain(r, "the client identifier", c->id);
        c->session = c->expiry_s == 0 ? 0 : i + 1;
        *r->skipped += c->session == 0;
        r->by_id[i] = c;
    }
    if (n > 0)
        qsort(r->by_id, n, sizeof(struct mosquitto_client *), by_client_id);
    for (size_t i = 1; i < n; i++)
        if (str_eq(r->by_id[i - 1]->id, r->by_id[i]->id))
            return store_error(r->err, "%s is damaged: client \"%.*s\" is in it twice", r->path,
                               (int)r->by_id[i]->id.len, r->by_id[i]->id.p);
    return 0;
}

static uint64_t ends_ms(const struct mosquitto_client *c)
{
    if (c->expiry_s == EXPIRY_NEVER)
        return STORE_NEVER;
    return c->ends_s == 0 ? 0 : (uint64_t)c->ends_s * 1000;
}

static int tell_clients(struct reader *r)
{
    int rc = 0;

    for (size_t i = 0; i < r->db.n_clients && rc == 0; i++) {
        const struct mosquitto_client *c = &r->db.clients[i];
        struct store_record record = {.kind = STORE_SESSION,
                                      .session = c->session,
                                      .client_id = c->id,
                                      .ends_ms = ends_ms(c),
                                      .expiry_s = c->expiry_s,
                                      .version = c->expiry_s == EXPIRY_NEVER ? 4 : 5};

        rc = c->session == 0 ? 0 : r->fn(r->arg, &record);
    }
    return rc;
}

static int tell_subscriptions(struct reader *r)
{
    int rc = 0;

    for (size_t i = 0; i < r->db.n_subscriptions && rc == 0; i++) {
        const struct mosquitto_subscription *s = &r->db.subscriptions[i];
        struct store_record record = {.kind = STORE_FILTER,
                                      .session = session_of(r, s->client_id),
                                      .filter = s->filter,
                                      .sub_id = s->sub_id,
                                      .options = s->options};

        if (!r->rules->is_filter(s->filter))
            return complain(r, "the filter", s->filter);
        if (record.session == 0)
            ++*r->skipped;
        else
            rc = r->fn(r->arg, &record);
    }
    return rc;
}

/* ---- messages ---- */

/* Uids grow with the messages' identifiers, and those with time. */
static int number_messages(struct reader *r)
{
    size_t longest = 0;

    for (size_t i = 0; i < r->db.n_messages; i++) {
        struct mosquitto_message *m = &r->db.messages[i];

        if (!r->rules->is_topic(m->topic))
            return complain(r, "the topic", m->topic);
        m->uid = i + 1;
        longest = m->props.len > longest ? m->props.len : longest;
    }
    for (size_t i = 0; i < r->db.n_deliveries; i++)
        if (r->db.deliveries[i].props.len > longest)
            longest = r->db.deliveries[i].props.len;
    r->props = malloc(longest + 1);
    r->sub_ids = calloc(longest + 1, sizeof *r->sub_ids);
    ASSERT(r->props != NULL && r->sub_ids != NULL);
    return 0;
}

/* Those that go on to subscribers as they are. */
static struct str passed_on(struct reader *r, struct str props)
{
    struct mosquitto_property p;
    size_t len = 0;

    if (!mosquitto_props_begin(&props))
        return (struct str){NULL, 0};
    while (mosquitto_props_next(&props, &p)) {
        if (p.id == 0x02 || p.id == 0x0b || p.id == 0x23) /* expiry, identifier, alias */
            continue;
        memcpy(r->props + len, p.bytes.p, p.bytes.len);
        len += p.bytes.len;
    }
    return (struct str){r->props, len};
}

static struct store_message message_of(struct reader *r, const struct mosquitto_message *m)
{
    return (struct store_message){.uid = m->uid,
                                  .publisher = session_of(r, m->source_id),
                                  .expires_ms = (uint64_t)m->expires_s * 1000,
                                  .topic = m->topic,
                                  .props = passed_on(r, m->props),
                                  .payload = m->payload,
                                  .qos = m->qos,
                                  .retain = m->retain};
}

static struct str sub_ids_of(struct reader *r, struct str props)
{
    struct mosquitto_property p;
    size_t n = 0;

    if (!mosquitto_props_begin(&props))
        return (struct str){NULL, 0};
    while (mosquitto_props_next(&props, &p))
        if (p.id == 0x0b && p.number != 0)
            r->sub_ids[n++] = p.number;
    return (struct str){(const char *)r->sub_ids, n * sizeof *r->sub_ids};
}

static enum store_delivery_state state_of(const struct mosquitto_delivery *d)
{
    if (d->packet_id == 0)
        return STORE_QUEUED;
    switch (d->state) {
    case MOSQUITTO_PUBLISH_QOS1:
    case MOSQUITTO_WAIT_FOR_PUBACK:
    case MOSQUITTO_PUBLISH_QOS2:
    case MOSQUITTO_WAIT_FOR_PUBREC: return STORE_SENT;
    case MOSQUITTO_RESEND_PUBREL:
    case MOSQUITTO_WAIT_FOR_PUBCOMP: return STORE_RELEASED;
    default: return STORE_QUEUED;
    }
}

static int tell_outgoing(struct reader *r, const struct mosquitto_delivery *d)
{
    const struct mosquitto_message *m = mosquitto_db_find(&r->db, d->message_id);
    struct store_record record = {.kind = STORE_DELIVERY,
                                  .session = session_of(r, d->client_id),
                                  .qos = d->qos,
                                  .state = (uint8_t)state_of(d),
                                  .retain = d->retain};

    if (m == NULL || record.session == 0 || d->qos == 0) {
        ++*r->skipped;
        return 0;
    }
    record.uid = m->uid;
    record.packet_id = record.state == STORE_QUEUED ? 0 : d->packet_id;
    record.sub_ids = sub_ids_of(r, d->props);
    record.message = message_of(r, m);
    return r->fn(r->arg, &record);
}

/* Its identifier is in use until the publisher releases it. */
static int tell_incoming(struct reader *r, const struct mosquitto_delivery *d)
{
    const struct mosquitto_message *m = mosquitto_db_find(&r->db, d->message_id);
    struct store_record record = {.kind = STORE_RECEIVED,
                                  .session = session_of(r, d->client_id),
                                  .packet_id = d->packet_id,
                                  .uid = m == NULL ? 0 : m->uid};

    if (record.session == 0 || d->qos != 2 || d->packet_id == 0 ||
        d->state == MOSQUITTO_RESEND_PUBCOMP)
        return 0;
    return r->fn(r->arg, &record);
}

/* ---- messages that have not been handed on ---- */

static bool waits(const struct mosquitto_delivery *d)
{
    return d->direction == MOSQUITTO_IN && d->qos == 2 && d->state != MOSQUITTO_RESEND_PUBCOMP;
}

static bool is_for(const struct reader *r, const struct mosquitto_subscription *s,
                   const struct mosquitto_message *m)
{
    return (s->options & 3) != 0 && r->rules->matches(cut_share(s->filter), m->topic) &&
           ((s->options & NO_LOCAL) == 0 || !str_eq(s->client_id, m->source_id));
}

/* A share's message goes to the member that stands first. */
static bool goes_to_another(const struct reader *r, const struct mosquitto_subscription *s)
{
    if (!str_starts(s->filter, STR("$share/")))
        return false;
    for (const struct mosquitto_subscription *o = r->db.subscriptions; o < s; o++)
        if (str_eq(o->filter, s->filter))
            return true;
    return false;
}

/* A session gets it once, by the subscription with the highest QoS. */
static bool another_wins(const struct reader *r, const struct mosquitto_subscription *s,
                         const struct mosquitto_message *m)
{
    for (size_t i = 0; i < r->db.n_subscriptions; i++) {
        const struct mosquitto_subscription *o = &r->db.subscriptions[i];
        int more = (o->options & 3) - (s->options & 3);

        if (o != s && (more > 0 || (more == 0 && o < s)) && str_eq(o->client_id, s->client_id) &&
            is_for(r, o, m) && !goes_to_another(r, o))
            return true;
    }
    return false;
}

static int hand_on(struct reader *r, const struct mosquitto_message *m)
{
    int rc = 0;

    for (size_t i = 0; i < r->db.n_subscriptions && rc == 0; i++) {
        const struct mosquitto_subscription *s = &r->db.subscriptions[i];
        struct store_record record = {
            .kind = STORE_DELIVERY,
            .session = session_of(r, s->client_id),
            .uid = m->uid,
            .qos = s->options & 3,
            .retain = m->retain && (s->options & AS_PUBLISHED) != 0,
            .sub_ids = {(const char *)&s->sub_id, s->sub_id != 0 ? sizeof s->sub_id : 0}};

        if (record.session == 0 || !is_for(r, s, m) || goes_to_another(r, s) ||
            another_wins(r, s, m))
            continue;
        record.message = message_of(r, m);
        rc = r->fn(r->arg, &record);
    }
    return rc;
}

static int tell_waiting(struct reader *r, const struct mosquitto_delivery *d)
{
    const struct mosquitto_message *m = mosquitto_db_find(&r->db, d->message_id);
    struct store_record retained = {.kind = STORE_RETAINED};
    int rc;

    if (m == NULL)
        return 0;
    rc = hand_on(r, m);
    if (rc != 0 || !m->retain)
        return rc;
    retained.message = message_of(r, m);
    if (m->payload.len == 0)
        retained.kind = STORE_RETAINED_END;
    return r->fn(r->arg, &retained);
}

/* ---- all of it ---- */

static int tell_retained(struct reader *r)
{
    int rc = 0;

    for (size_t i = 0; i < r->db.n_retained && rc == 0; i++) {
        const struct mosquitto_message *m = mosquitto_db_find(&r->db, r->db.retained[i]);
        struct store_record record = {.kind = STORE_RETAINED};

        if (m == NULL) {
            ++*r->skipped;
            continue;
        }
        record.message = message_of(r, m);
        record.message.retain = true;
        rc = r->fn(r->arg, &record);
    }
    return rc;
}

static int tell_deliveries(struct reader *r)
{
    int rc = 0;

    for (size_t i = 0; i < r->db.n_deliveries && rc == 0; i++) {
        const struct mosquitto_delivery *d = &r->db.deliveries[i];

        rc = d->direction == MOSQUITTO_OUT ? tell_outgoing(r, d) : tell_incoming(r, d);
    }
    return rc;
}

static int tell_all(struct reader *r)
{
    int rc;

    if ((rc = number_clients(r)) != 0 || (rc = number_messages(r)) != 0 ||
        (rc = tell_clients(r)) != 0 || (rc = tell_subscriptions(r)) != 0 ||
        (rc = tell_deliveries(r)) != 0 || (rc = tell_retained(r)) != 0)
        return rc;
    for (size_t i = 0; i < r->db.n_deliveries && rc == 0; i++)
        if (waits(&r->db.deliveries[i]))
            rc = tell_waiting(r, &r->db.deliveries[i]);
    return rc;
}

static char *read_file(const char *path, size_t *out_len, struct store_error *err)
{
    FILE *in = fopen(path, "rbe");
    long size = -1;
    char *data = NULL;

    if (in != NULL && fseek(in, 0, SEEK_END) == 0 && (size = ftell(in)) >= 0) {
        rewind(in);
        data = malloc((size_t)size + 1);
    }
    if (data == NULL || fread(data, 1, (size_t)size, in) != (size_t)size) {
        store_error(err, "cannot read %s: %s", path, strerror(errno));
        free(data);
        data = NULL;
    }
    if (in != NULL)
        fclose(in);
    *out_len = (size_t)size;
    return data;
}

int import__mosquitto(const char *path, char *take_data, size_t len,
                      const struct import_rules *rules, store_record_fn *fn, void *arg,
                      uint64_t *out_skipped, struct store_error *err)
{
    struct reader r = {
        .path = path, .rules = rules, .fn = fn, .arg = arg, .skipped = out_skipped, .err = err};
    int rc;

    *out_skipped = 0;
    if (mosquitto_db_parse(&r.db, path, take_data, len, err) != 0)
        return -1;
    rc = tell_all(&r);
    mosquitto_db_fini(&r.db);
    free(r.by_id);
    free(r.props);
    free(r.sub_ids);
    return rc;
}

int import_read_mosquitto(const char *path, const struct import_rules *rules, store_record_fn *fn,
                          void *arg, uint64_t *out_skipped, struct store_error *err)
{
    size_t len;
    char *data = read_file(path, &len, err);

    *out_skipped = 0;
    return data == NULL ? -1 : import__mosquitto(path, data, len, rules, fn, arg, out_skipped, err);
}

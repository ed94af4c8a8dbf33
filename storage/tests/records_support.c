#include "storage/tests/records_support.h"

#include "base/assert.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATIENCE_S 60

/* ---- records ---- */

struct store_record a_session(uint64_t session, const char *client_id)
{
    return (struct store_record){.kind = STORE_SESSION,
                                 .session = session,
                                 .client_id = str_from(client_id),
                                 .expiry_s = 60,
                                 .version = 5};
}

struct store_record a_filter(uint64_t session, const char *filter, uint8_t options)
{
    return (struct store_record){
        .kind = STORE_FILTER, .session = session, .filter = str_from(filter), .options = options};
}

struct store_record a_delivery(uint64_t session, uint64_t uid, const char *payload)
{
    struct store_record r = {.kind = STORE_DELIVERY, .session = session, .uid = uid, .qos = 1};

    if (payload != NULL)
        r.message = (struct store_message){
            .uid = uid, .topic = STR("t"), .payload = str_from(payload), .qos = 1};
    return r;
}

struct store_record a_received(uint64_t session, uint16_t packet_id)
{
    return (struct store_record){
        .kind = STORE_RECEIVED, .session = session, .packet_id = packet_id};
}

struct store_record a_retained(uint64_t uid, const char *topic, const char *payload)
{
    return (struct store_record){
        .kind = STORE_RETAINED,
        .message = {
            .uid = uid, .topic = str_from(topic), .payload = str_from(payload), .retain = true}};
}

struct store_record as_kind(struct store_record r, enum store_kind kind)
{
    r.kind = kind;
    return r;
}

/* ---- waiting ---- */

void waiter_init(struct waiter *w)
{
    *w = (struct waiter){.lock = PTHREAD_MUTEX_INITIALIZER, .news = PTHREAD_COND_INITIALIZER};
}

void waiter_news(void *arg, unsigned shard)
{
    struct waiter *w = arg;

    pthread_mutex_lock(&w->lock);
    w->told[shard]++;
    w->news_count++;
    pthread_cond_broadcast(&w->news);
    pthread_mutex_unlock(&w->lock);
}

/* Call look until it is true; it is called again after news, without the lock: a store may have
 * locks of its own when it tells news. */
static bool wait_for(struct waiter *w, bool (*look)(void *arg), void *arg)
{
    struct timespec until;
    bool there;
    int rc = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        unsigned seen = w->news_count;

        pthread_mutex_unlock(&w->lock);
        there = look(arg);
        pthread_mutex_lock(&w->lock);
        if (there || rc == ETIMEDOUT)
            break;
        while (w->news_count == seen && rc != ETIMEDOUT)
            rc = pthread_cond_timedwait(&w->news, &w->lock, &until);
    }
    pthread_mutex_unlock(&w->lock);
    return there;
}

struct look {
    struct waiter *waiter;
    struct store *s;
    unsigned shard;
    uint64_t number;
    enum store_health health;
    struct store_page *page;
};

static bool look_committed(void *arg)
{
    struct look *l = arg;

    return l->s->ops->committed(l->s, l->shard) >= l->number;
}

bool wait_committed(struct waiter *w, struct store *s, unsigned shard, uint64_t number)
{
    return wait_for(w, look_committed, &(struct look){.s = s, .shard = shard, .number = number});
}

unsigned told_of(struct waiter *w, unsigned shard)
{
    unsigned n;

    pthread_mutex_lock(&w->lock);
    n = w->told[shard];
    pthread_mutex_unlock(&w->lock);
    return n;
}

static bool look_told(void *arg)
{
    struct look *l = arg;

    return told_of(l->waiter, l->shard) > 0;
}

bool wait_told(struct waiter *w, unsigned shard)
{
    return wait_for(w, look_told, &(struct look){.waiter = w, .shard = shard});
}

static bool look_health(void *arg)
{
    struct look *l = arg;

    return l->s->ops->health(l->s) == l->health;
}

bool wait_health(struct waiter *w, struct store *s, enum store_health health)
{
    return wait_for(w, look_health, &(struct look){.s = s, .health = health});
}

static bool look_page(void *arg)
{
    struct look *l = arg;

    return (l->page = l->s->ops->pages(l->s, l->shard)) != NULL;
}

struct store_page *wait_page(struct waiter *w, struct store *s, unsigned shard)
{
    struct look l = {.s = s, .shard = shard};

    return wait_for(w, look_page, &l) ? l.page : NULL;
}

struct store_page *read_page(struct waiter *w, struct store *s, const struct store_load *what)
{
    s->ops->load(s, 0, what);
    return wait_page(w, s, 0);
}

/* ---- text ---- */

/* Short text as it is, with what is not printable as dots; of long text the length and a sum. */
static void print_text(FILE *f, const char *name, struct str s)
{
    uint64_t sum = 14695981039346656037u;

    if (s.len > 40) {
        for (size_t i = 0; i < s.len; i++)
            sum = (sum ^ (uint8_t)s.p[i]) * 1099511628211u;
        fprintf(f, " %s=%zu#%016" PRIx64, name, s.len, sum);
    } else if (s.len > 0) {
        fprintf(f, " %s=", name);
        for (size_t i = 0; i < s.len; i++)
            fputc(s.p[i] > ' ' && s.p[i] < 127 ? s.p[i] : '.', f);
    }
}

static void print_number(FILE *f, const char *name, uint64_t n)
{
    if (n == UINT64_MAX)
        fprintf(f, " %s=never", name);
    else if (n != 0)
        fprintf(f, " %s=%" PRIu64, name, n);
}

static void print_message(FILE *f, const struct store_message *m)
{
    print_number(f, "publisher", m->publisher);
    print_number(f, "expires", m->expires_ms);
    print_text(f, "topic", m->topic);
    print_text(f, "props", m->props);
    print_text(f, "payload", m->payload);
    print_number(f, "message_qos", m->qos);
    print_number(f, "message_retain", m->retain);
}

static void print_session(FILE *f, const struct store_record *r)
{
    fprintf(f, "session %" PRIu64, r->session);
    print_text(f, "client", r->client_id);
    print_number(f, "ends", r->ends_ms);
    print_number(f, "will", r->will_ms);
    print_number(f, "expiry", r->expiry_s);
    print_number(f, "version", r->version);
    print_number(f, "has_will", r->has_will);
    print_number(f, "will_delay", r->will_delay_s);
    print_number(f, "will_has_expiry", r->will_has_expiry);
    print_number(f, "will_expiry", r->will_expiry_s);
    if (r->has_will)
        print_message(f, &r->message);
}

static void print_delivery(FILE *f, const struct store_record *r)
{
    fprintf(f, "delivery %" PRIu64 " uid=%" PRIu64, r->session, r->uid);
    if (r->group != 0)
        fprintf(f, " group=%" PRId64, (int64_t)r->group);
    print_number(f, "packet", r->packet_id);
    print_number(f, "state", r->state);
    print_number(f, "qos", r->qos);
    print_number(f, "retain", r->retain);
    print_text(f, "ids", r->sub_ids);
    print_message(f, &r->message);
}

static void print_record(FILE *f, const struct store_record *r)
{
    switch (r->kind) {
    case STORE_SESSION: print_session(f, r); break;
    case STORE_FILTER:
        fprintf(f, "filter %" PRIu64, r->session);
        print_text(f, "filter", r->filter);
        print_number(f, "options", r->options);
        print_number(f, "id", r->sub_id);
        break;
    case STORE_DELIVERY: print_delivery(f, r); break;
    case STORE_RECEIVED:
        fprintf(f, "received %" PRIu64 " packet=%u", r->session, r->packet_id);
        break;
    case STORE_RETAINED:
        fprintf(f, "retained uid=%" PRIu64, r->message.uid);
        print_message(f, &r->message);
        break;
    case STORE_BACKLOG:
        fprintf(f, "backlog %" PRIu64 " messages=%u bytes=%" PRIu64, r->session, r->messages,
                r->bytes);
        break;
    case STORE_CLOCK:
        fprintf(f, "clock uid=%" PRIu64 " session=%" PRIu64, r->last_uid, r->last_session);
        break;
    default: fprintf(f, "kind %d", (int)r->kind); break;
    }
    fputc('\n', f);
}

void describe(char **text, const struct store_record *r)
{
    char *old = *text;
    size_t len;
    FILE *f = open_memstream(text, &len);

    ASSERT(f != NULL);
    fputs(old == NULL ? "" : old, f);
    print_record(f, r);
    fclose(f);
    free(old);
}

/* ---- the whole state ---- */

struct lines {
    char **v;
    size_t n;
    uint64_t *sessions;
    size_t n_sessions;
    bool with_clock;
};

static void add_line(struct lines *l, char *line)
{
    l->v = realloc(l->v, (l->n + 1) * sizeof *l->v);
    ASSERT(l->v != NULL && line != NULL);
    l->v[l->n++] = line;
}

static int see(void *arg, const struct store_record *r)
{
    struct lines *l = arg;
    char *line = NULL;

    if (r->kind == STORE_CLOCK && !l->with_clock)
        return 0;
    describe(&line, r);
    add_line(l, line);
    if (r->kind == STORE_SESSION) {
        l->sessions = realloc(l->sessions, (l->n_sessions + 1) * sizeof *l->sessions);
        ASSERT(l->sessions != NULL);
        l->sessions[l->n_sessions++] = r->session;
    }
    return 0;
}

/* Lines "queue SESSION #N delivery ...". */
static void see_queue(struct lines *l, struct waiter *w, struct store *s, uint64_t session)
{
    struct store_load what = {.session = session, .max_records = 7, .max_bytes = 100000};
    struct store_page *p;
    struct store_record r;
    unsigned n = 0;
    bool end = false;

    while (!end && (p = read_page(w, s, &what)) != NULL) {
        size_t at = 0;

        end = p->end || p->rc != 0 || p->records.records == 0;
        while (store_batch_next(&p->records, &at, &r)) {
            char *text = NULL, *line = NULL;

            describe(&text, &r);
            ASSERT(asprintf(&line, "queue #%06u %s", n++, text) > 0);
            add_line(l, line);
            free(text);
            what.after_uid = r.uid;
            what.after_group = r.group;
        }
        store_page_free(p);
    }
}

static int by_alphabet(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char *state_of(struct waiter *w, struct store *s, bool with_clock)
{
    struct lines l = {.with_clock = with_clock};
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    int rc = s->ops->recover(s, see, &l);

    for (size_t i = 0; i < l.n_sessions; i++)
        see_queue(&l, w, s, l.sessions[i]);
    if (l.n > 0)
        qsort(l.v, l.n, sizeof *l.v, by_alphabet);
    ASSERT(f != NULL);
    if (rc != 0)
        fprintf(f, "recover: %d\n", rc);
    for (size_t i = 0; i < l.n; i++) {
        fputs(l.v[i], f);
        free(l.v[i]);
    }
    fclose(f);
    free(l.v);
    free(l.sessions);
    return text;
}

#include "broker/backlog.h"

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timer.h"
#include "broker/journal.h"
#include "broker/purposes.h"
#include "broker/session.h"
#include "broker/session_priv.h"
#include "broker/shard.h"
#include "broker/share.h"
#include "storage/store.h"

#include <string.h>

#define PAGE_RECORDS 1000
#define PAGE_BYTES   ((size_t)1 << 20)
#define LOW_MARK     500  /* messages at hand: from here down the next page is asked for */
#define RETRY_MS     1000 /* after a page could not be read */

/* A page on its way. Outlives its session if need be. */
struct backlog_load {
    struct list link;        /* in shard.loads */
    struct session *session; /* NULL: nobody wants it any more, or it has ended */
    struct timer retry;
    struct shard *sh;
    bool gives_back; /* the rest is of a session that has ended */
    uint64_t serial, at_uid, at_group, until_uid;
};

struct backlog *backlog_new(struct mem *mem)
{
    struct backlog *b = mem_try_zalloc(mem, FOR_QUEUE, sizeof *b);

    if (b != NULL)
        fifo_init(&b->later, sizeof(struct delivery), FOR_QUEUE);
    return b;
}

void backlog_free(struct backlog *b, struct mem *mem)
{
    if (b == NULL)
        return;
    ASSERT(fifo_count(&b->later) == 0 && b->load == NULL);
    fifo_clear(&b->later, mem);
    mem_release(mem, FOR_QUEUE, b);
}

/* ---- asking ---- */

static void on_retry(struct timer *t);

static struct backlog_load *load_new(struct shard *sh)
{
    struct backlog_load *l = mem_try_alloc(sh->mem, FOR_QUEUE, sizeof *l);

    if (l == NULL)
        return NULL;
    *l = (struct backlog_load){.sh = sh};
    timer_init(&l->retry, on_retry);
    list_init(&l->link);
    list_push_back(&sh->loads, &l->link);
    return l;
}

static void load_free(struct backlog_load *l)
{
    timer_stop(&l->sh->timers, &l->retry);
    list_remove(&l->link);
    mem_release(l->sh->mem, FOR_QUEUE, l);
}

static void ask(struct backlog_load *l)
{
    struct store *store = l->sh->broker->store;

    store->ops->load(store, l->sh->index,
                     &(struct store_load){.session = l->serial,
                                          .after_uid = l->at_uid,
                                          .after_group = l->at_group,
                                          .max_records = PAGE_RECORDS,
                                          .max_bytes = PAGE_BYTES,
                                          .token = l});
}

static void on_retry(struct timer *t)
{
    struct backlog_load *l = CONTAINER_OF(t, struct backlog_load, retry);
    struct session *s = l->session;

    if (l->gives_back) {
        ask(l);
        return;
    }
    s->flow->backlog->load = NULL;
    load_free(l);
    session_pump(s);
}

void backlog_read_on(struct session *s)
{
    if (fifo_count(&s->flow->queue) <= LOW_MARK)
        backlog_read_body(s);
}

void backlog_read_body(struct session *s)
{
    struct backlog *b = s->flow->backlog;
    struct backlog_load *l;

    if (b->load != NULL)
        return;
    l = load_new(s->shard);
    if (l == NULL)
        return; /* the next acknowledgement tries again */
    l->session = s;
    l->serial = s->serial;
    l->at_uid = b->at_uid;
    l->at_group = b->at_group;
    b->load = l;
    ask(l);
}

bool backlog_give_back(struct session *s)
{
    const struct backlog *b = s->flow->backlog;
    struct backlog_load *l = load_new(s->shard);

    if (l == NULL)
        return false;
    l->gives_back = true;
    l->serial = s->serial;
    l->at_uid = b->at_uid;
    l->at_group = b->at_group;
    l->until_uid = b->until_uid;
    ask(l);
    return true;
}

void backlog_forget(struct session *s)
{
    struct backlog *b = s->flow != NULL ? s->flow->backlog : NULL;
    struct backlog_load *l = b != NULL ? b->load : NULL;

    if (l == NULL)
        return;
    b->load = NULL;
    l->session = NULL;
    if (timer_running(&l->retry))
        load_free(l); /* else its page is on the way, and frees it */
}

void backlog_fini(struct shard *sh)
{
    while (!list_empty(&sh->loads)) {
        struct backlog_load *l = LIST_ITEM(sh->loads.next, struct backlog_load, link);

        if (l->session != NULL)
            l->session->flow->backlog->load = NULL;
        load_free(l);
    }
}

/* ---- taking ---- */

static struct mqtt_str view(struct str s)
{
    return (struct mqtt_str){(const uint8_t *)s.p, (uint32_t)s.len};
}

static struct message *message_of(struct shard *sh, const struct store_record *r)
{
    const struct store_message *m = &r->message;
    struct publication pub = {.topic = view(m->topic),
                              .props = view(m->props),
                              .payload = view(m->payload),
                              .uid = m->uid,
                              .publisher = m->publisher,
                              .expires_ms = shard_mono_ms(sh, m->expires_ms),
                              .qos = m->qos,
                              .retain = m->retain};

    return publication_message(&pub, sh->mem);
}

static struct sub_ids *ids_of(struct shard *sh, struct str text)
{
    size_t n = text.len / sizeof(uint32_t);
    struct sub_ids *ids = mem_try_alloc(sh->mem, FOR_QUEUE, sizeof *ids + text.len);

    if (ids == NULL)
        return NULL;
    ids->n = (uint32_t)n;
    memcpy(ids->v, text.p, n * sizeof(uint32_t));
    return ids;
}

static void take_ids(struct shard *sh, const struct store_record *r, struct delivery *d)
{
    if (r->sub_ids.len == sizeof d->sub_id)
        memcpy(&d->sub_id, r->sub_ids.p, sizeof d->sub_id);
    else if (r->sub_ids.len > 0)
        d->ids = ids_of(sh, r->sub_ids);
}

struct delivery backlog_delivery(struct shard *sh, const struct store_record *r)
{
    struct delivery d = {.uid = r->uid,
                         .group = r->group,
                         .record = 1,
                         .qos = r->qos,
                         .retain = r->retain,
                         .again = r->state != STORE_QUEUED};

    take_ids(sh, r, &d);
    return d;
}

/* The body of what was in flight when the broker ended. */
static bool take_body(struct session *s, const struct store_record *r)
{
    struct inflight_entry *e = inflight_find(&s->flow->out, r->packet_id);
    struct message *m;

    if (e == NULL || e->d.uid != r->uid || e->state != INFLIGHT_SENT || e->d.msg != NULL)
        return true; /* it is over meanwhile, or had its body all the time */
    m = message_of(s->shard, r);
    if (m == NULL)
        return false;
    inflight_set_message(&s->flow->out, e, m);
    return true;
}

/* A message that another member of its group has given back: it has its place behind. */
static bool stands_behind(const struct backlog *b, const struct store_record *r)
{
    struct fifo_cursor cursor = {0};
    const struct delivery *d;

    if (!b->mixed)
        return false;
    while ((d = fifo_next(&b->later, &cursor)) != NULL)
        if (d->uid == r->uid && d->group == r->group)
            return true;
    return false;
}

static bool take_queued(struct session *s, const struct store_record *r)
{
    struct shard *sh = s->shard;
    struct backlog *b = s->flow->backlog;
    struct delivery d, *slot;

    if (stands_behind(b, r))
        return true;
    d = backlog_delivery(sh, r);
    d.msg = message_of(sh, r);
    slot = d.msg == NULL ? NULL : fifo_push(&s->flow->queue, sh->mem);
    if (slot == NULL) {
        delivery_release(&d, sh->mem);
        return false;
    }
    d.again = b->perhaps_sent && d.qos == 1;
    *slot = d;
    s->flow->queued_bytes += delivery_size(&d);
    b->bytes -= b->bytes / (b->messages > 0 ? b->messages : 1);
    if (b->messages > 0)
        b->messages--;
    else
        COUNT(&sh->counters, queued); /* one more than was known */
    return true;
}

/* Everything has been read: what has come since follows. */
static void finish(struct session *s)
{
    struct shard *sh = s->shard;
    struct session_flow *f = s->flow;
    struct backlog *b = f->backlog;
    struct delivery *d;

    COUNT_ADD(&sh->counters, queued, -(int64_t)b->messages);
    b->messages = 0;
    while ((d = fifo_front(&b->later)) != NULL) {
        struct delivery *slot = fifo_push(&f->queue, sh->mem);

        if (slot == NULL)
            return; /* the rest stays where it is; the next page, an empty one, ends here again */
        *slot = *d;
        fifo_pop(&b->later, sh->mem);
    }
    f->backlog = NULL;
    backlog_free(b, sh->mem);
}

static void take_page(struct session *s, const struct store_page *p)
{
    struct backlog *b = s->flow->backlog;
    struct store_record r;
    size_t at = 0;

    while (store_batch_next(&p->records, &at, &r)) {
        if (r.uid > b->until_uid) {
            finish(s);
            return;
        }
        if (!(r.state == STORE_QUEUED ? take_queued(s, &r) : take_body(s, &r)))
            return; /* out of memory: it will be asked for again */
        b->at_uid = r.uid;
        b->at_group = r.group;
    }
    if (p->end)
        finish(s);
}

/* ---- giving back ---- */

/* Another member of the group may have it: not what was sent at QoS 2 [v5 MQTT-4.8.2-5]. */
static void give_one_back(struct backlog_load *l, const struct store_record *r)
{
    struct message *m;

    if (r->group == 0 || (r->qos == 2 && r->state != STORE_QUEUED))
        return;
    m = message_of(l->sh, r);
    if (m != NULL)
        share_return(l->sh, r->group, m, l->serial);
    else
        count_drop(l->sh, DROP_NO_MEMORY, 1);
    message_unref(&m, l->sh->mem);
}

static void give_page_back(struct backlog_load *l, const struct store_page *p)
{
    struct shard *sh = l->sh;
    struct store_record r;
    size_t at = 0;
    bool end = p->end;

    while (store_batch_next(&p->records, &at, &r)) {
        end |= r.uid > l->until_uid;
        if (end && r.uid > l->until_uid)
            break;
        give_one_back(l, &r);
        l->at_uid = r.uid;
        l->at_group = r.group;
    }
    if (!end) {
        ask(l);
        return;
    }
    journal_end_session(sh, l->serial, sh->posts.turn);
    load_free(l);
}

static void handle_page(struct shard *sh, struct store_page *p)
{
    struct backlog_load *l = p->token;
    struct session *s = l->session;

    if (p->rc != 0 && (s != NULL || l->gives_back)) {
        LOG(LOG_ERROR, "store.page_failed", LOG_ERRNO(-p->rc));
        timer_start(&sh->timers, &l->retry, sh->now_ms + RETRY_MS);
        return;
    }
    if (l->gives_back) {
        give_page_back(l, p);
        return;
    }
    load_free(l);
    if (s == NULL)
        return;
    s->flow->backlog->load = NULL;
    if (s->conn != NULL) /* else it will be read when there is somebody to send it to */
        take_page(s, p);
    session_pump(s);
}

void backlog_take_pages(struct shard *sh, struct store_page *take_pages)
{
    while (take_pages != NULL) {
        struct store_page *next = take_pages->next;

        handle_page(sh, take_pages);
        store_page_free(take_pages);
        take_pages = next;
    }
}

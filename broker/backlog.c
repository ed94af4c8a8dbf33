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
#include "storage/store.h"

#include <string.h>

#define PAGE_RECORDS 1000
#define PAGE_BYTES   ((size_t)1 << 20)
#define LOW_MARK     500  /* messages at hand: from here down the next page is asked for */
#define RETRY_MS     1000 /* after a page could not be read */

/* A page on its way. Outlives its session if need be. */
struct backlog_load {
    struct session *session; /* NULL: nobody wants it any more */
    struct timer retry;
    struct shard *sh;
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

static void on_retry(struct timer *t)
{
    struct backlog_load *l = CONTAINER_OF(t, struct backlog_load, retry);
    struct session *s = l->session;

    s->flow->backlog->load = NULL;
    mem_release(l->sh->mem, FOR_QUEUE, l);
    session_pump(s);
}

void backlog_read_on(struct session *s)
{
    struct shard *sh = s->shard;
    struct backlog *b = s->flow->backlog;
    struct store *store = sh->broker->store;
    struct backlog_load *l;

    if (b->load != NULL || fifo_count(&s->flow->queue) > LOW_MARK)
        return;
    l = mem_try_alloc(sh->mem, FOR_QUEUE, sizeof *l);
    if (l == NULL)
        return; /* the next acknowledgement tries again */
    *l = (struct backlog_load){.session = s, .sh = sh};
    timer_init(&l->retry, on_retry);
    b->load = l;
    store->ops->load(store, sh->index,
                     &(struct store_load){.session = s->serial,
                                          .after_uid = b->at_uid,
                                          .after_group = b->at_group,
                                          .max_records = PAGE_RECORDS,
                                          .max_bytes = PAGE_BYTES,
                                          .token = l});
}

void backlog_forget(struct session *s)
{
    struct backlog *b = s->flow != NULL ? s->flow->backlog : NULL;
    struct backlog_load *l = b != NULL ? b->load : NULL;

    if (l == NULL)
        return;
    b->load = NULL;
    l->session = NULL;
    if (!timer_running(&l->retry))
        return; /* its page is on the way, and frees it */
    timer_stop(&s->shard->timers, &l->retry);
    mem_release(s->shard->mem, FOR_QUEUE, l);
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

    if (e == NULL || e->d.uid != r->uid || e->state != INFLIGHT_SENT || e->d.msg != NULL)
        return true; /* it is over meanwhile, or had its body all the time */
    e->d.msg = message_of(s->shard, r);
    return e->d.msg != NULL;
}

static bool take_queued(struct session *s, const struct store_record *r)
{
    struct shard *sh = s->shard;
    struct backlog *b = s->flow->backlog;
    struct delivery d = backlog_delivery(sh, r), *slot;

    d.msg = message_of(sh, r);
    slot = d.msg == NULL ? NULL : fifo_push(&s->flow->queue, sh->mem);
    if (slot == NULL) {
        delivery_release(&d, sh->mem);
        return false;
    }
    d.again = b->perhaps_sent && d.qos == 1;
    *slot = d;
    s->flow->queued_bytes += message_size(d.msg);
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

static void handle_page(struct shard *sh, struct store_page *p)
{
    struct backlog_load *l = p->token;
    struct session *s = l->session;

    if (s != NULL && p->rc != 0) {
        LOG(LOG_ERROR, "store.page_failed", LOG_ERRNO(-p->rc),
            LOG_STR("client", ((struct str){(const char *)s->client_id, s->client_id_len})));
        timer_start(&sh->timers, &l->retry, sh->now_ms + RETRY_MS);
        return;
    }
    if (s != NULL) {
        s->flow->backlog->load = NULL;
        if (s->conn != NULL) /* else it will be read when there is somebody to send it to */
            take_page(s, p);
    }
    mem_release(sh->mem, FOR_QUEUE, l);
    if (s != NULL)
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

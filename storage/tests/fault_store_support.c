#include "storage/tests/fault_store_support.h"

#include "base/assert.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct held {
    struct held *next;
    struct store_batch batch;
    unsigned shard;
};

struct fault_store {
    struct store store;
    struct store *inside;
    pthread_mutex_t lock;
    store_news_fn *notify;
    void *notify_arg;
    enum fault_store_how how;
    uint64_t at, count; /* at 0: no fault */
    bool faulty;
    struct held *first, **last;
    uint64_t made[STORE_SHARDS];
    uint64_t held_batches, held_bytes, failures;
};

static struct fault_store *fault(struct store *s)
{
    return (struct fault_store *)s;
}

/* With the lock held. */
static void hold(struct fault_store *f, unsigned shard, struct store_batch *b)
{
    struct held *h = malloc(sizeof *h);

    ASSERT(h != NULL);
    *h = (struct held){.batch = *b, .shard = shard};
    *b = (struct store_batch){0};
    *f->last = h;
    f->last = &h->next;
    f->held_batches++;
    f->held_bytes += h->batch.len;
    f->failures += f->how == FAULT_STORE_FAIL;
}

static void tell_all(struct fault_store *f)
{
    for (unsigned i = 0; i < STORE_SHARDS; i++)
        if (f->made[i] > 0 && f->notify != NULL)
            f->notify(f->notify_arg, i);
}

static uint64_t submit(struct store *s, unsigned shard, struct store_batch *b)
{
    struct fault_store *f = fault(s);
    uint64_t number;
    bool begins = false;

    pthread_mutex_lock(&f->lock);
    number = ++f->made[shard];
    if (f->at != 0 && ++f->count == f->at) {
        if (f->how == FAULT_STORE_DIE)
            raise(SIGKILL);
        begins = f->faulty = true;
    }
    if (f->faulty)
        hold(f, shard, b);
    else
        f->inside->ops->submit(f->inside, shard, b);
    pthread_mutex_unlock(&f->lock);
    if (begins)
        tell_all(f);
    return number;
}

static uint64_t committed(struct store *s, unsigned shard)
{
    return fault(s)->inside->ops->committed(fault(s)->inside, shard);
}

static void load(struct store *s, unsigned shard, const struct store_load *what)
{
    fault(s)->inside->ops->load(fault(s)->inside, shard, what);
}

static struct store_page *pages(struct store *s, unsigned shard)
{
    return fault(s)->inside->ops->pages(fault(s)->inside, shard);
}

static int recover(struct store *s, store_record_fn *fn, void *arg)
{
    return fault(s)->inside->ops->recover(fault(s)->inside, fn, arg);
}

static void notify(struct store *s, store_news_fn *fn, void *arg)
{
    fault(s)->notify = fn;
    fault(s)->notify_arg = arg;
    fault(s)->inside->ops->notify(fault(s)->inside, fn, arg);
}

static bool is_failing(struct fault_store *f)
{
    bool failing;

    pthread_mutex_lock(&f->lock);
    failing = f->faulty && f->how == FAULT_STORE_FAIL;
    pthread_mutex_unlock(&f->lock);
    return failing;
}

static enum store_health health(struct store *s)
{
    return is_failing(fault(s)) ? STORE_FAILING : fault(s)->inside->ops->health(fault(s)->inside);
}

static void stats(struct store *s, struct store_stats *out)
{
    struct fault_store *f = fault(s);

    f->inside->ops->stats(f->inside, out);
    if (is_failing(f))
        snprintf(out->error, sizeof out->error, "told to fail: tell it to go on");
    pthread_mutex_lock(&f->lock);
    out->waiting_batches += f->held_batches;
    out->waiting_bytes += f->held_bytes;
    out->failures += f->failures;
    pthread_mutex_unlock(&f->lock);
}

static void close_store(struct store *s)
{
    struct fault_store *f = fault(s);

    fault_store_heal(s);
    f->inside->ops->close(f->inside);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

static const struct store_ops ops = {
    .name = "fault",
    .submit = submit,
    .committed = committed,
    .load = load,
    .pages = pages,
    .recover = recover,
    .notify = notify,
    .health = health,
    .stats = stats,
    .close = close_store,
};

struct store *fault_store_new(struct store *take_inside)
{
    struct fault_store *f = calloc(1, sizeof *f);

    ASSERT(f != NULL);
    f->store.ops = &ops;
    f->inside = take_inside;
    f->last = &f->first;
    pthread_mutex_init(&f->lock, NULL);
    return &f->store;
}

void fault_store_set(struct store *s, enum fault_store_how how, uint64_t at)
{
    struct fault_store *f = fault(s);

    pthread_mutex_lock(&f->lock);
    f->how = how;
    f->at = at;
    f->count = 0;
    pthread_mutex_unlock(&f->lock);
}

void fault_store_heal(struct store *s)
{
    struct fault_store *f = fault(s);
    bool ends;

    pthread_mutex_lock(&f->lock);
    ends = f->faulty;
    f->at = 0;
    f->faulty = false;
    while (f->first != NULL) {
        struct held *h = f->first;

        f->first = h->next;
        f->inside->ops->submit(f->inside, h->shard, &h->batch);
        store_batch_fini(&h->batch);
        free(h);
    }
    f->last = &f->first;
    f->held_batches = f->held_bytes = 0;
    pthread_mutex_unlock(&f->lock);
    if (ends)
        tell_all(f);
}

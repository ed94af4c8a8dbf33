#include "storage/import.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define BATCH_BYTES ((size_t)256 << 10)
#define ON_THE_WAY  4 /* batches */

struct import {
    struct store *s;
    struct import_counts *counts;
    struct store_batch batch;
    uint64_t submitted;
    pthread_mutex_t lock;
    pthread_cond_t news;
    unsigned news_count;
};

/* ---- waiting ---- */

static void on_news(void *arg, unsigned shard)
{
    struct import *im = arg;

    (void)shard;
    pthread_mutex_lock(&im->lock);
    im->news_count++;
    pthread_cond_signal(&im->news);
    pthread_mutex_unlock(&im->lock);
}

/* Until all but so many batches are committed. -EIO: the store fails. */
static int wait_for(struct import *im, uint64_t but)
{
    int rc = 0;

    pthread_mutex_lock(&im->lock);
    for (;;) {
        unsigned seen = im->news_count;
        uint64_t committed;

        pthread_mutex_unlock(&im->lock);
        committed = im->s->ops->committed(im->s, 0);
        if (committed + but < im->submitted && im->s->ops->health(im->s) != STORE_FINE)
            rc = -EIO;
        pthread_mutex_lock(&im->lock);
        if (rc != 0 || committed + but >= im->submitted)
            break;
        while (im->news_count == seen)
            pthread_cond_wait(&im->news, &im->lock);
    }
    pthread_mutex_unlock(&im->lock);
    return rc;
}

static int submit(struct import *im)
{
    im->batch.sync = true;
    im->submitted = im->s->ops->submit(im->s, 0, &im->batch);
    return wait_for(im, ON_THE_WAY);
}

/* ---- records ---- */

static void count(struct import_counts *c, const struct store_record *r)
{
    c->sessions += r->kind == STORE_SESSION;
    c->subscriptions += r->kind == STORE_FILTER;
    c->messages += r->kind == STORE_DELIVERY;
    c->retained += r->kind == STORE_RETAINED;
}

static int look(void *arg, const struct store_record *r)
{
    (void)arg;
    (void)r;
    return 0;
}

static int put(void *arg, const struct store_record *r)
{
    struct import *im = arg;

    if (store_batch_add(&im->batch, r) != 0)
        return -ENOMEM;
    count(im->counts, r);
    return im->batch.len >= BATCH_BYTES ? submit(im) : 0;
}

static int is_something(void *arg, const struct store_record *r)
{
    (void)arg;
    return r->kind != STORE_CLOCK;
}

static int check_empty(struct store *s, struct store_error *err)
{
    int rc = s->ops->recover(s, is_something, NULL);

    if (rc > 0)
        return store_error(err, "the store is not empty: an import is for a new one; move its file "
                                "away first");
    return rc < 0 ? store_error(err, "the store cannot be read: %s", strerror(-rc)) : 0;
}

static int load(struct import *im, import_read_fn *read, const char *path,
                const struct import_rules *rules, struct store_error *err)
{
    int rc = read(path, rules, put, im, &im->counts->skipped, err);
    struct store_stats stats;

    if (rc == 0)
        rc = submit(im);
    if (rc == 0)
        rc = wait_for(im, 0);
    if (rc == -EIO) {
        im->s->ops->stats(im->s, &stats);
        store_error(err, "a part of %s is in the store, which fails: %s", path, stats.error);
    } else if (rc == -ENOMEM) {
        store_error(err, "a part of %s is in the store: out of memory", path);
    }
    return rc == 0 ? 0 : -1;
}

int import_into(struct store *take_s, import_read_fn *read, const char *path,
                const struct import_rules *rules, struct import_counts *out,
                struct store_error *err)
{
    struct import im = {.s = take_s,
                        .counts = out,
                        .lock = PTHREAD_MUTEX_INITIALIZER,
                        .news = PTHREAD_COND_INITIALIZER};
    uint64_t skipped;
    int rc;

    *out = (struct import_counts){0};
    rc = check_empty(take_s, err);
    if (rc == 0)
        rc = read(path, rules, look, NULL, &skipped, err);
    if (rc == 0) {
        take_s->ops->notify(take_s, on_news, &im);
        rc = load(&im, read, path, rules, err);
    }
    take_s->ops->close(take_s);
    store_batch_fini(&im.batch);
    return rc;
}

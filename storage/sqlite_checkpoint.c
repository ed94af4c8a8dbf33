/* sqlite_checkpoint: what is in the log goes to the file, in a thread and a connection of their
 * own: the writer writes on meanwhile. It can begin the log anew only when all of it has been
 * copied, which does not happen by itself as long as it keeps writing. Therefore, from some size
 * on, it waits: the rest is little then, because most has been copied already. */
#include "storage/sqlite_store_priv.h"

static void done(struct sqlite_store *s, int rc, int frames, int copied)
{
    atomic_store(&s->c.full, sqlite__is_full(s->c.db, rc));
    if (rc != SQLITE_OK && rc != SQLITE_BUSY)
        return;
    if (frames >= 0)
        atomic_store(&s->c.copied, (uint32_t)copied);
}

/* One at a time. */
static bool checkpoint(struct sqlite_store *s, int mode)
{
    int frames = -1, copied = -1, rc;

    pthread_mutex_lock(&s->c.busy);
    rc = sqlite3_wal_checkpoint_v2(s->c.db, NULL, mode, &frames, &copied);
    done(s, rc, frames, copied);
    pthread_mutex_unlock(&s->c.busy);
    return rc == SQLITE_OK && frames == copied;
}

void *sqlite__checkpointer(void *store)
{
    struct sqlite_store *s = store;

    pthread_mutex_lock(&s->lock);
    while (!s->closing) {
        if (!s->c.wanted) {
            pthread_cond_wait(&s->c.wake, &s->lock);
            continue;
        }
        s->c.wanted = false;
        pthread_mutex_unlock(&s->lock);
        checkpoint(s, SQLITE_CHECKPOINT_PASSIVE);
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

bool sqlite__log_is_open(const struct sqlite_store *s)
{
    return atomic_load(&s->c.frames) > atomic_load(&s->c.copied);
}

void sqlite__checkpoint_soon(struct sqlite_store *s)
{
    if (!sqlite__log_is_open(s))
        return;
    pthread_mutex_lock(&s->lock);
    s->c.wanted = true;
    pthread_cond_signal(&s->c.wake);
    pthread_mutex_unlock(&s->lock);
}

void sqlite__checkpoint_now(struct sqlite_store *s)
{
    checkpoint(s, SQLITE_CHECKPOINT_RESTART);
}

/* Nobody is at it, and what is left to copy is little. */
static bool is_cheap(struct sqlite_store *s, uint32_t left)
{
    if (pthread_mutex_trylock(&s->c.busy) != 0)
        return false;
    pthread_mutex_unlock(&s->c.busy);
    return left < s->c.log_pages;
}

void sqlite__log_grew(struct sqlite_store *s)
{
    uint32_t frames = atomic_load(&s->c.frames), copied = atomic_load(&s->c.copied);
    uint32_t begin = s->c.log_pages, wait = SQLITE_WAIT_LOGS * begin;

    if (frames < copied) { /* the log has begun anew */
        atomic_store(&s->c.copied, 0);
        copied = 0;
    }
    if (s->c.patience == 0 || frames < wait)
        s->c.patience = wait;
    if (frames >= s->c.patience && (is_cheap(s, frames - copied) || frames >= 2 * s->c.patience))
        /* Somebody else may be reading, and keep it from ending: then not again so soon. */
        s->c.patience = checkpoint(s, SQLITE_CHECKPOINT_RESTART) ? wait : 2 * frames;
    else if (frames - copied >= begin)
        sqlite__checkpoint_soon(s);
}

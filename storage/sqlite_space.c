/* sqlite_space: what there is left of it, on the disk and up to the limit of the file's size.
 * Before there is none the store says so (its health), but goes on with what it is given: so what
 * clients acknowledge still gets through, which makes room.
 *
 * On the disk the last space is taken by a file, the reserve: as much as the log may hold. It is
 * given up when there is no other; then the log can be copied to the file, and written from its
 * beginning again. Of the file's size a part below the limit is left alone in the same way. */
#include "base/log.h"
#include "storage/sqlite_store_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define LOG_PAGES      1000 /* 4 MiB */
#define LOG_PAGES_MIN  32
#define LOG_PART       128 /* of a small file system */
#define LEFT_PART      16  /* of the file's limit */
#define LEFT_PAGES_MAX 4096
#define DISK_FULL      ((uint64_t)1 << 20)
#define RESERVE_MS     1000 /* between two attempts to make it */

uint64_t sqlite__disk_bytes(const struct sqlite_store *s, bool available)
{
    struct statvfs fs;

    if (statvfs(s->path, &fs) != 0)
        return UINT64_MAX;
    return (available ? fs.f_bavail : fs.f_blocks) * (uint64_t)fs.f_frsize;
}

uint32_t sqlite__log_pages(const struct sqlite_store *s)
{
    uint64_t pages = sqlite__disk_bytes(s, false) / LOG_PART / s->page_size;

    if (pages > LOG_PAGES)
        return LOG_PAGES;
    return pages < LOG_PAGES_MIN ? LOG_PAGES_MIN : (uint32_t)pages;
}

/* ---- the reserve ---- */

/* The log waits for the checkpoint at the size that it may have, at the latest at twice that. */
static uint64_t reserve_bytes(const struct sqlite_store *s)
{
    return (uint64_t)s->c.log_pages * SQLITE_WAIT_LOGS * 2 * s->page_size;
}

static void reserve_path(const struct sqlite_store *s, char *out, size_t size)
{
    snprintf(out, size, "%s-reserve", s->path);
}

/* 0 or an errno. */
static int make_reserve(const char *path, off_t size)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), rc;
    struct stat st;

    if (fd < 0)
        return errno;
    rc = fstat(fd, &st) == 0 && st.st_size == size ? 0 : ftruncate(fd, size) != 0 ? errno : 0;
    if (rc == 0)
        rc = posix_fallocate(fd, 0, size);
    close(fd);
    if (rc == ENOSPC) /* it must not take the last of it, either */
        unlink(path);
    return rc;
}

void sqlite__reserve(struct sqlite_store *s)
{
    uint64_t now = sqlite__mono_us() / 1000;
    char path[4096];
    int rc;

    if (s->w.reserved || (now < s->w.reserve_after_ms && s->w.failures == 0))
        return;
    s->w.reserve_after_ms = now + RESERVE_MS;
    reserve_path(s, path, sizeof path);
    rc = make_reserve(path, (off_t)reserve_bytes(s));
    s->w.reserved = rc != ENOSPC;
    if (rc != 0 && rc != ENOSPC)
        LOG(LOG_WARN, "store.no_reserve", LOG_TXT("file", path), LOG_ERRNO(rc));
}

void sqlite__give_up_reserve(struct sqlite_store *s)
{
    char path[4096];

    if (!s->w.reserved)
        return;
    reserve_path(s, path, sizeof path);
    s->w.reserved = false;
    if (unlink(path) == 0)
        LOG(LOG_WARN, "store.reserve_given_up", LOG_TXT("file", path));
}

/* ---- how much is left ---- */

/* Pages that a threshold is behind which it gets tight, once more as many to get out of it. */
static bool below(uint64_t left, uint64_t threshold, bool already)
{
    return left < (already ? 2 * threshold : threshold);
}

static bool near_limit(const struct sqlite_store *s)
{
    const struct writer *w = &s->w;
    uint64_t used = w->pages - w->free_pages, left = w->max_pages / LEFT_PART;

    if (w->max_pages == 0)
        return false;
    left = left < LEFT_PAGES_MAX ? left : LEFT_PAGES_MAX;
    return below(w->max_pages > used ? w->max_pages - used : 0, left, w->tight);
}

static bool disk_near_full(const struct sqlite_store *s)
{
    return !s->w.reserved &&
           below(s->w.free_pages, reserve_bytes(s) / s->page_size / 2, s->w.tight);
}

bool sqlite__is_tight(struct sqlite_store *s)
{
    s->w.tight = near_limit(s) || disk_near_full(s);
    return s->w.tight;
}

/* ---- what fails ---- */

bool sqlite__is_full(sqlite3 *db, int rc)
{
    return (rc & 0xff) == SQLITE_FULL ||
           ((rc & 0xff) == SQLITE_IOERR && sqlite3_system_errno(db) == ENOSPC);
}

/* SQLite says the same when its own limit is reached and when the disk is full. */
bool sqlite__disk_full(const struct sqlite_store *s, int rc)
{
    if (!sqlite__is_full(s->w.db, rc) || s->w.max_pages == 0)
        return sqlite__is_full(s->w.db, rc);
    return sqlite__disk_bytes(s, true) < DISK_FULL;
}

bool sqlite__at_limit(const struct sqlite_store *s, int rc)
{
    return sqlite__is_full(s->w.db, rc) && !sqlite__disk_full(s, rc);
}

static void describe_full(const struct sqlite_store *s, bool limit, char *out, size_t size)
{
    if (limit)
        snprintf(out, size,
                 "%s has reached its limit of %llu bytes: raise the limit, or let clients fetch "
                 "what is queued for them",
                 s->path, (unsigned long long)s->max_bytes);
    else
        snprintf(out, size, "cannot write %s: no space left on its file system: free some",
                 s->path);
}

void sqlite__describe_tight(const struct sqlite_store *s, char *out, size_t size)
{
    describe_full(s, near_limit(s), out, size);
}

void sqlite__describe(const struct sqlite_store *s, int rc, char *out, size_t size)
{
    int why = sqlite3_system_errno(s->w.db);

    if (sqlite__is_full(s->w.db, rc)) {
        describe_full(s, sqlite__at_limit(s, rc), out, size);
        return;
    }
    switch (rc & 0xff) {
    case SQLITE_READONLY:
        snprintf(out, size,
                 "cannot write %s: it, or its file system, is read-only: make it writable",
                 s->path);
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        snprintf(out, size, "cannot write %s: another program has it locked: end that program",
                 s->path);
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        snprintf(out, size,
                 "%s is damaged: stop the broker, export what can be read, and start again",
                 s->path);
        break;
    default:
        snprintf(out, size, "cannot write %s: %s%s%s: check the disk and the system's log", s->path,
                 sqlite3_errstr(rc), why != 0 ? ": " : "", why != 0 ? strerror(why) : "");
        break;
    }
}

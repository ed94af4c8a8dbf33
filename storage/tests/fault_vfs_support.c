#include "storage/tests/fault_vfs_support.h"

#include "base/assert.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTOR   512
#define FILES    16
#define NO_FAULT UINT64_MAX

/* What was done to a file and not synced. */
struct change {
    struct change *next;
    bool is_write;
    sqlite3_int64 at; /* offset, or the new size */
    size_t len;
    uint8_t data[];
};

struct watched {
    char name[512];
    uint8_t *image; /* what is on the disk for certain */
    size_t len, cap;
    struct change *first, **last;
};

struct fault_file {
    sqlite3_file base;
    struct watched *watched; /* NULL: not watched */
    sqlite3_file *real;
    bool is_database;
};

static struct {
    pthread_mutex_t lock;
    sqlite3_vfs vfs, *real;
    enum fault_vfs_how how;
    uint64_t at, count, random;
    bool for_ever, happened, watching, dead, sync;
    struct watched files[FILES];
    int n_files;
    _Atomic unsigned slow_us;
} f = {.lock = PTHREAD_MUTEX_INITIALIZER, .at = NO_FAULT};

static struct fault_file *file_of(sqlite3_file *file)
{
    return (struct fault_file *)file;
}

/* ---- what is on the disk ---- */

static uint64_t next_random(void)
{
    uint64_t v = f.random += 0x9e3779b97f4a7c15;

    v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9;
    v = (v ^ (v >> 27)) * 0x94d049bb133111eb;
    return v ^ (v >> 31);
}

static void reserve(struct watched *w, size_t len)
{
    if (len > w->cap) {
        w->cap = len * 2;
        w->image = realloc(w->image, w->cap);
        ASSERT(w->image != NULL);
    }
    if (len > w->len)
        memset(w->image + w->len, 0, len - w->len);
}

static void set_len(struct watched *w, size_t len)
{
    reserve(w, len);
    w->len = len;
}

static void write_image(struct watched *w, size_t at, const uint8_t *data, size_t len)
{
    if (at + len > w->len)
        set_len(w, at + len);
    memcpy(w->image + at, data, len);
}

static void apply(struct watched *w, const struct change *c)
{
    if (c->is_write)
        write_image(w, (size_t)c->at, c->data, c->len);
    else
        set_len(w, (size_t)c->at);
}

/* Some of its sectors. */
static void apply_torn(struct watched *w, const struct change *c)
{
    for (size_t at = 0; at < c->len;) {
        size_t n = SECTOR - ((size_t)c->at + at) % SECTOR;

        n = n < c->len - at ? n : c->len - at;
        if (next_random() % 2 == 0)
            write_image(w, (size_t)c->at + at, c->data + at, n);
        at += n;
    }
}

static void forget_changes(struct watched *w)
{
    while (w->first != NULL) {
        struct change *c = w->first;

        w->first = c->next;
        free(c);
    }
    w->last = &w->first;
}

static void synced(struct watched *w)
{
    for (struct change *c = w->first; c != NULL; c = c->next)
        apply(w, c);
    forget_changes(w);
}

/* The power fails: of what was not synced all, nothing or parts are there. */
static void cut(void)
{
    for (int i = 0; i < f.n_files; i++) {
        struct watched *w = &f.files[i];
        unsigned mood = (unsigned)(next_random() % 4); /* 0: none, 1: all, otherwise by change */

        for (struct change *c = w->first; c != NULL; c = c->next) {
            unsigned fate = mood < 2 ? mood : (unsigned)(next_random() % 3);

            if (fate == 1)
                apply(w, c);
            else if (fate == 2 && c->is_write)
                apply_torn(w, c);
        }
        forget_changes(w);
    }
    f.dead = true;
}

static void note_change(struct watched *w, bool is_write, sqlite3_int64 at, const void *data,
                        size_t len)
{
    struct change *c;

    if (w == NULL || f.dead)
        return;
    c = malloc(sizeof *c + len);
    ASSERT(c != NULL);
    *c = (struct change){.is_write = is_write, .at = at, .len = len};
    if (len > 0)
        memcpy(c->data, data, len);
    *w->last = c;
    w->last = &c->next;
}

static struct watched *watch_file(const char *name)
{
    struct watched *w;
    FILE *in;
    long size;

    for (int i = 0; i < f.n_files; i++)
        if (strcmp(f.files[i].name, name) == 0)
            return &f.files[i];
    ASSERT(f.n_files < FILES);
    w = &f.files[f.n_files++];
    *w = (struct watched){.last = NULL};
    w->last = &w->first;
    snprintf(w->name, sizeof w->name, "%s", name);
    in = fopen(name, "rb");
    if (in == NULL)
        return w;
    fseek(in, 0, SEEK_END);
    size = ftell(in);
    rewind(in);
    set_len(w, (size_t)size);
    ASSERT(fread(w->image, 1, w->len, in) == w->len);
    fclose(in);
    return w;
}

/* ---- operations ---- */

/* Does this operation meet the fault? Called with the lock held. */
static bool meets_fault(void)
{
    uint64_t n = ++f.count;

    if (f.at == NO_FAULT || n < f.at || (n > f.at && !f.for_ever))
        return false;
    f.happened = true;
    return true;
}

static int code_of(int io_error)
{
    switch (f.how) {
    case FAULT_FULL:
    case FAULT_SHORT: return SQLITE_FULL;
    case FAULT_READONLY: return SQLITE_READONLY;
    case FAULT_DAMAGED: return SQLITE_CORRUPT;
    default: return io_error;
    }
}

static int x_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 at)
{
    struct fault_file *ff = file_of(file);
    int rc = SQLITE_OK;

    if (ff->is_database && f.slow_us != 0)
        usleep(f.slow_us);
    pthread_mutex_lock(&f.lock);
    if (f.dead) {
        rc = SQLITE_IOERR_WRITE;
    } else if (meets_fault()) {
        bool half = f.how == FAULT_SHORT || f.how == FAULT_DIE || f.how == FAULT_CUT;

        rc = code_of(SQLITE_IOERR_WRITE);
        if (half && ff->real->pMethods->xWrite(ff->real, data, len / 2, at) == SQLITE_OK)
            note_change(ff->watched, true, at, data, (size_t)len / 2);
        if (f.how == FAULT_DIE)
            raise(SIGKILL);
        if (f.how == FAULT_CUT)
            cut();
    } else {
        rc = ff->real->pMethods->xWrite(ff->real, data, len, at);
        if (rc == SQLITE_OK)
            note_change(ff->watched, true, at, data, (size_t)len);
    }
    pthread_mutex_unlock(&f.lock);
    return rc;
}

/* A fault of an operation that is done or not. True: it has happened; *rc is set. */
static bool fault(int io_error, int *rc)
{
    if (f.dead) {
        *rc = io_error;
        return true;
    }
    if (!meets_fault())
        return false;
    *rc = code_of(io_error);
    if (f.how == FAULT_DIE)
        raise(SIGKILL);
    if (f.how == FAULT_CUT)
        cut();
    return true;
}

static int x_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct fault_file *ff = file_of(file);
    int rc;

    pthread_mutex_lock(&f.lock);
    if (!fault(SQLITE_IOERR_TRUNCATE, &rc)) {
        rc = ff->real->pMethods->xTruncate(ff->real, size);
        if (rc == SQLITE_OK)
            note_change(ff->watched, false, size, NULL, 0);
    }
    pthread_mutex_unlock(&f.lock);
    return rc;
}

static int x_sync(sqlite3_file *file, int flags)
{
    struct fault_file *ff = file_of(file);
    int rc;

    pthread_mutex_lock(&f.lock);
    if (!fault(SQLITE_IOERR_FSYNC, &rc)) {
        rc = f.sync ? ff->real->pMethods->xSync(ff->real, flags) : SQLITE_OK;
        if (rc == SQLITE_OK && ff->watched != NULL)
            synced(ff->watched);
    }
    pthread_mutex_unlock(&f.lock);
    return rc;
}

static int x_close(sqlite3_file *file)
{
    struct fault_file *ff = file_of(file);

    return ff->real->pMethods->xClose(ff->real);
}

/* The rest is passed on. */
#define PASS(name, args, call)                    \
    static int name args                          \
    {                                             \
        sqlite3_file *real = file_of(file)->real; \
        return real->pMethods->call;              \
    }

PASS(x_read, (sqlite3_file * file, void *data, int n, sqlite3_int64 at), xRead(real, data, n, at))
PASS(x_size, (sqlite3_file * file, sqlite3_int64 *out), xFileSize(real, out))
PASS(x_lock, (sqlite3_file * file, int how), xLock(real, how))
PASS(x_unlock, (sqlite3_file * file, int how), xUnlock(real, how))
PASS(x_reserved, (sqlite3_file * file, int *out), xCheckReservedLock(real, out))
PASS(x_control, (sqlite3_file * file, int op, void *arg), xFileControl(real, op, arg))
PASS(x_sector, (sqlite3_file * file), xSectorSize(real))
PASS(x_device, (sqlite3_file * file), xDeviceCharacteristics(real))
PASS(x_shm_map, (sqlite3_file * file, int page, int size, int extend, void volatile **out),
     xShmMap(real, page, size, extend, out))
PASS(x_shm_lock, (sqlite3_file * file, int at, int n, int flags), xShmLock(real, at, n, flags))
PASS(x_shm_unmap, (sqlite3_file * file, int remove), xShmUnmap(real, remove))

static void x_shm_barrier(sqlite3_file *file)
{
    sqlite3_file *real = file_of(file)->real;

    real->pMethods->xShmBarrier(real);
}

static int x_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
    static const sqlite3_io_methods methods = {
        .iVersion = 2,
        .xClose = x_close,
        .xRead = x_read,
        .xWrite = x_write,
        .xTruncate = x_truncate,
        .xSync = x_sync,
        .xFileSize = x_size,
        .xLock = x_lock,
        .xUnlock = x_unlock,
        .xCheckReservedLock = x_reserved,
        .xFileControl = x_control,
        .xSectorSize = x_sector,
        .xDeviceCharacteristics = x_device,
        .xShmMap = x_shm_map,
        .xShmLock = x_shm_lock,
        .xShmBarrier = x_shm_barrier,
        .xShmUnmap = x_shm_unmap,
    };
    struct fault_file *ff = file_of(file);
    int kept = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL;
    int rc;

    (void)vfs;
    *ff = (struct fault_file){.real = (sqlite3_file *)(ff + 1),
                              .is_database = (flags & SQLITE_OPEN_MAIN_DB) != 0};
    pthread_mutex_lock(&f.lock);
    if (f.watching && name != NULL && (flags & kept) != 0)
        ff->watched = watch_file(name);
    pthread_mutex_unlock(&f.lock);
    rc = f.real->xOpen(f.real, name, ff->real, flags, out_flags);
    if (ff->real->pMethods != NULL)
        ff->base.pMethods = &methods;
    return rc;
}

static int x_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    int rc = SQLITE_OK;

    (void)vfs;
    pthread_mutex_lock(&f.lock);
    if (f.dead) {
        rc = SQLITE_IOERR_DELETE;
    } else {
        for (int i = 0; i < f.n_files; i++) {
            if (strcmp(f.files[i].name, name) != 0)
                continue;
            forget_changes(&f.files[i]);
            f.files[i].len = 0;
        }
        rc = f.real->xDelete(f.real, name, sync);
    }
    pthread_mutex_unlock(&f.lock);
    return rc;
}

/* ---- the interface ---- */

void fault_vfs_register(bool sync)
{
    f.sync = sync;
    if (f.real != NULL)
        return;
    f.real = sqlite3_vfs_find(NULL);
    f.vfs = *f.real;
    f.vfs.zName = FAULT_VFS;
    f.vfs.szOsFile = (int)sizeof(struct fault_file) + f.real->szOsFile;
    f.vfs.xOpen = x_open;
    f.vfs.xDelete = x_delete;
    ASSERT(sqlite3_vfs_register(&f.vfs, 0) == SQLITE_OK);
}

void fault_vfs_set(enum fault_vfs_how how, uint64_t at, bool for_ever)
{
    pthread_mutex_lock(&f.lock);
    f.how = how;
    f.at = at;
    f.for_ever = for_ever;
    f.happened = false;
    f.count = 0;
    pthread_mutex_unlock(&f.lock);
}

void fault_vfs_slow(unsigned us)
{
    f.slow_us = us;
}

void fault_vfs_heal(void)
{
    fault_vfs_set(FAULT_EIO, NO_FAULT, false);
}

uint64_t fault_vfs_count(void)
{
    uint64_t n;

    pthread_mutex_lock(&f.lock);
    n = f.count;
    pthread_mutex_unlock(&f.lock);
    return n;
}

bool fault_vfs_happened(void)
{
    bool happened;

    pthread_mutex_lock(&f.lock);
    happened = f.happened;
    pthread_mutex_unlock(&f.lock);
    return happened;
}

void fault_vfs_watch(uint64_t seed)
{
    pthread_mutex_lock(&f.lock);
    f.watching = true;
    f.random = seed;
    pthread_mutex_unlock(&f.lock);
}

static void save(const struct watched *w, const char *dir)
{
    const char *slash = strrchr(w->name, '/');
    char path[1024];
    FILE *out;

    snprintf(path, sizeof path, "%s/%s", dir, slash == NULL ? w->name : slash + 1);
    out = fopen(path, "wb");
    ASSERT(out != NULL && fwrite(w->image, 1, w->len, out) == w->len);
    ASSERT(fclose(out) == 0);
}

void fault_vfs_forget(void)
{
    for (int i = 0; i < f.n_files; i++) {
        forget_changes(&f.files[i]);
        free(f.files[i].image);
    }
    f.n_files = 0;
    f.watching = f.dead = false;
    fault_vfs_heal();
}

void fault_vfs_image(const char *dir)
{
    for (int i = 0; i < f.n_files; i++)
        if (f.files[i].len > 0)
            save(&f.files[i], dir);
    fault_vfs_forget();
}

/* powercut: loaded into frysd (LD_PRELOAD), notes what SQLite does to the files of a database, so
 * that powercut.py can tell what a disk might have after a power cut at any moment: everything that
 * was synced, and of the rest some sectors. The files themselves are written as always, but not
 * synced: that is what the notes stand for.
 *
 *     POWERCUT_FILE   the database; what is noted are this file and its log (-wal)
 *     POWERCUT_NOTES  where to
 *
 * A note: struct note, and len bytes. Nothing here allocates: it is called by those who do. */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_FD  4096
#define SYNC_US 2000 /* as a disk may need */

enum { FILE_NONE, FILE_DATABASE, FILE_LOG };

struct note {
    char what; /* 'w'rite, 't'runcate to offset, 's'ync (of the first offset changes), 'u'nlink */
    char file; /* FILE_DATABASE or FILE_LOG */
    char unused[6];
    uint64_t offset;
    uint64_t len;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* the order of the notes is that of the
                                                            writes */
static int notes = -1;
static char kinds[MAX_FD];  /* by file descriptor */
static uint64_t changes[3]; /* noted so far, by file */

static int (*real_open)(const char *path, int flags, ...);
static int (*real_close)(int fd);
static ssize_t (*real_pwrite)(int fd, const void *data, size_t len, off64_t offset);
static int (*real_ftruncate)(int fd, off64_t size);
static int (*real_fdatasync)(int fd);
static int (*real_fsync)(int fd);
static int (*real_unlink)(const char *path);

__attribute__((constructor)) static void set_up(void)
{
    const char *path = getenv("POWERCUT_NOTES");

    *(void **)&real_open = dlsym(RTLD_NEXT, "open64");
    *(void **)&real_close = dlsym(RTLD_NEXT, "close");
    *(void **)&real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    *(void **)&real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    *(void **)&real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    *(void **)&real_fsync = dlsym(RTLD_NEXT, "fsync");
    *(void **)&real_unlink = dlsym(RTLD_NEXT, "unlink");
    if (path != NULL)
        notes = real_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static char kind_of(const char *path)
{
    const char *database = getenv("POWERCUT_FILE");
    size_t len = database != NULL ? strlen(database) : 0;

    if (notes < 0 || len == 0 || strncmp(path, database, len) != 0)
        return FILE_NONE;
    if (path[len] == '\0')
        return FILE_DATABASE;
    return strcmp(path + len, "-wal") == 0 ? FILE_LOG : FILE_NONE;
}

static char kind_of_fd(int fd)
{
    return fd >= 0 && fd < MAX_FD ? kinds[fd] : FILE_NONE;
}

/* A test that cannot note is no test. */
static void add_note(char what, char file, uint64_t offset, const void *data, size_t len)
{
    struct note note = {what, file, {0}, offset, len};
    struct iovec parts[] = {{&note, sizeof note}, {(void *)(uintptr_t)data, len}};

    changes[(int)file] += what == 'w' || what == 't';
    if (writev(notes, parts, len > 0 ? 2 : 1) != (ssize_t)(sizeof note + len))
        abort();
}

int open64(const char *file, int oflag, ...)
{
    va_list args;
    mode_t mode;
    int fd;

    va_start(args, oflag);
    mode = (oflag & O_CREAT) != 0 ? va_arg(args, mode_t) : 0;
    va_end(args);
    fd = real_open(file, oflag, mode);
    if (fd >= 0 && fd < MAX_FD)
        kinds[fd] = kind_of(file);
    return fd;
}

int close(int fd)
{
    if (fd >= 0 && fd < MAX_FD)
        kinds[fd] = FILE_NONE;
    return real_close(fd);
}

ssize_t pwrite64(int fd, const void *buf, size_t n, off64_t offset)
{
    char kind = kind_of_fd(fd);
    ssize_t put;

    if (kind == FILE_NONE)
        return real_pwrite(fd, buf, n, offset);
    pthread_mutex_lock(&lock);
    put = real_pwrite(fd, buf, n, offset);
    if (put > 0)
        add_note('w', kind, (uint64_t)offset, buf, (size_t)put);
    pthread_mutex_unlock(&lock);
    return put;
}

int ftruncate64(int fd, off64_t length)
{
    char kind = kind_of_fd(fd);
    int rc;

    if (kind == FILE_NONE)
        return real_ftruncate(fd, length);
    pthread_mutex_lock(&lock);
    rc = real_ftruncate(fd, length);
    if (rc == 0)
        add_note('t', kind, (uint64_t)length, NULL, 0);
    pthread_mutex_unlock(&lock);
    return rc;
}

static int sync_file(int fd, int (*real)(int fd))
{
    char kind = kind_of_fd(fd);
    uint64_t n;

    if (kind == FILE_NONE)
        return real(fd);
    pthread_mutex_lock(&lock);
    n = changes[(int)kind];
    pthread_mutex_unlock(&lock);
    usleep(SYNC_US); /* meanwhile, others write, and the power may fail */
    pthread_mutex_lock(&lock);
    add_note('s', kind, n, NULL, 0);
    pthread_mutex_unlock(&lock);
    return 0;
}

int fdatasync(int fildes)
{
    return sync_file(fildes, real_fdatasync);
}

int fsync(int fd)
{
    return sync_file(fd, real_fsync);
}

int unlink(const char *name)
{
    char kind = kind_of(name);
    int rc;

    pthread_mutex_lock(&lock);
    rc = real_unlink(name);
    if (rc == 0 && kind != FILE_NONE)
        add_note('u', kind, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return rc;
}

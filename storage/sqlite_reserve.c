/* sqlite_reserve: a file that takes up space, so that there is some when the disk is full: enough
 * for the log to be copied to the file, after which it can be written from its beginning again. So
 * clients go on fetching and acknowledging what is queued for them, which makes room in the file. */
#include "base/log.h"
#include "storage/sqlite_store_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RESERVE_BYTES ((off_t)16 << 20) /* the log is hardly ever longer */

static void reserve_path(const struct sqlite_store *s, char *out, size_t size)
{
    snprintf(out, size, "%s-reserve", s->path);
}

void sqlite__reserve(struct sqlite_store *s)
{
    char path[4096];
    struct stat st;
    int fd, rc;

    if (s->w.reserved)
        return;
    reserve_path(s, path, sizeof path);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    rc = fstat(fd, &st) == 0 && st.st_size >= RESERVE_BYTES ? 0
                                                            : posix_fallocate(fd, 0, RESERVE_BYTES);
    close(fd);
    s->w.reserved = rc == 0;
    if (rc != 0) /* not the last of the space for that */
        unlink(path);
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

#include "daemon/process.h"

#include "daemon/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <pwd.h>
#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

void process_open_standard_streams(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

/* The kernel's table of files takes 8 bytes for each. */
#define OPEN_FILES_PREPARED (128 * 1024)

/* A descriptor with the highest number makes the table grow; closed, it leaves it so. */
static void prepare_open_files(rlim_t n)
{
    int highest = (int)(n < OPEN_FILES_PREPARED ? n : OPEN_FILES_PREPARED) - 1;
    int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, highest);

    if (fd >= 0)
        close(fd);
}

uint64_t process_raise_open_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
    prepare_open_files(limit.rlim_cur);
    return limit.rlim_cur;
}

unsigned process_cores(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    return (unsigned)CPU_COUNT(&set);
}

bool process_changes_user(const char *user)
{
    return user[0] != '\0' && geteuid() == 0;
}

bool process_can_become(const char *user)
{
    return !process_changes_user(user) || getpwnam(user) != NULL;
}

int process_become(const char *user)
{
    const struct passwd *entry;

    if (!process_changes_user(user))
        return 0;
    errno = 0;
    entry = getpwnam(user);
    if (entry == NULL)
        return errno != 0 ? -errno : -ENOENT;
    if (initgroups(user, entry->pw_gid) != 0 || setgid(entry->pw_gid) != 0 ||
        setuid(entry->pw_uid) != 0)
        return -errno;
    if (entry->pw_uid != 0 && setuid(0) == 0)
        return -EPERM; /* there would be a way back */
    return 0;
}

int process_give(const char *file, const char *user)
{
    const struct passwd *entry = getpwnam(user);

    if (entry == NULL)
        return -ENOENT;
    return lchown(file, entry->pw_uid, entry->pw_gid) == 0 ? 0 : -errno;
}

int process_give_to_folder_owner(const char *file)
{
    char *folder = alloc_text(str_from(file));
    struct stat st;
    int rc = 0;

    if (geteuid() == 0)
        rc =
            stat(dirname(folder), &st) == 0 && lchown(file, st.st_uid, st.st_gid) == 0 ? 0 : -errno;
    free(folder);
    return rc;
}

static bool make_folder(const char *path, const char *owner)
{
    if (mkdir(path, 0750) != 0)
        return errno == EEXIST;
    if (owner[0] == '\0')
        return true;
    errno = -process_give(path, owner);
    return errno == 0;
}

bool process_make_folder(const char *file, const char *owner)
{
    char *path = alloc_text(str_from(file));
    bool there = true;

    for (char *p = strchr(path + 1, '/'); there && p != NULL; p = strchr(p + 1, '/')) {
        *p = '\0';
        there = make_folder(path, owner);
        *p = '/';
    }
    free(path);
    return there;
}

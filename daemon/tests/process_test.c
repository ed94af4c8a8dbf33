#include "daemon/process.h"

#include "base/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* In a process of its own, with these closed; how many of the three are open, and no other is. */
static int streams_in_child(const char *closed)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        int n = 0, next;

        for (const char *p = closed; *p != '\0'; p++)
            close(*p - '0');
        next = fcntl(0, F_GETFD) >= 0 ? dup(0) : -1; /* the first free number */
        close(next);
        process_open_standard_streams();
        for (int fd = 0; fd <= 2; fd++)
            n += fcntl(fd, F_GETFD) >= 0;
        _exit(next > 2 && fcntl(next, F_GETFD) >= 0 ? 4 : n);
    }
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}

static void test_standard_streams(void)
{
    static const char *const closed[] = {"", "0", "1", "2", "01", "12", "012"};

    for (size_t i = 0; i < sizeof closed / sizeof closed[0]; i++)
        CHECK_ROW_INT(i, streams_in_child(closed[i]), 3);
}

/* What the kernel says of us, "FDSize:": the size of its table of files. */
static unsigned long file_table_size(void)
{
    FILE *status = fopen("/proc/self/status", "r");
    char line[128];
    unsigned long size = 0;

    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        if (sscanf(line, "FDSize: %lu", &size) == 1)
            break;
    if (status != NULL)
        fclose(status);
    return size;
}

static void test_open_files(void)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 100;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(process_raise_open_files() == limit.rlim_max);
    getrlimit(RLIMIT_NOFILE, &limit);
    CHECK(limit.rlim_cur == limit.rlim_max);
    CHECK(file_table_size() >= (limit.rlim_max < 131072 ? limit.rlim_max : 131072));
}

static void test_cores(void)
{
    CHECK(process_cores() >= 1 && process_cores() <= (unsigned)sysconf(_SC_NPROCESSORS_CONF));
}

/* In a process of its own: there is no way back. */
static int become_in_child(const char *user)
{
    const struct passwd *entry = getpwnam(user);
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        int rc = process_become(user);
        bool is_user = entry != NULL && getuid() == entry->pw_uid && getgid() == entry->pw_gid;

        exit(rc == -ENOENT ? 2 : rc != 0 ? 3 : is_user ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}

static void test_become(void)
{
    CHECK(process_can_become(""));
    CHECK_INT(process_become(""), 0);
    if (geteuid() != 0) {
        CHECK(process_can_become("nobody"));
        CHECK_INT(become_in_child("nobody"), 1); /* stays */
        return;
    }
    CHECK(process_can_become("nobody"));
    CHECK(!process_can_become("there is no such user"));
    CHECK_INT(become_in_child("nobody"), 0);
    CHECK_INT(become_in_child("there is no such user"), 2);
    CHECK_INT(become_in_child("root"), 0);
}

static bool belongs(const char *path, const struct passwd *entry, mode_t mode)
{
    struct stat st;

    return stat(path, &st) == 0 && st.st_uid == entry->pw_uid && st.st_gid == entry->pw_gid &&
           (st.st_mode & 0777) == mode;
}

static void test_make_folder(void)
{
    char folder[] = "/tmp/frys_process_XXXXXX", path[64], file[80];
    const struct passwd *owner = getpwnam("nobody");

    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/a", folder);
    snprintf(file, sizeof file, "%s/b/file", path);
    CHECK(process_make_folder(file, geteuid() == 0 ? "nobody" : ""));
    CHECK(process_make_folder(file, ""));
    *strrchr(file, '/') = '\0';
    if (geteuid() == 0) {
        CHECK(belongs(path, owner, 0750) && belongs(file, owner, 0750));
        CHECK(belongs(folder, getpwuid(0), 0700));
        CHECK_INT(process_give(folder, "nobody"), 0);
        CHECK(belongs(folder, owner, 0700));
    }
    CHECK_INT(process_give(folder, "there is no such user"), -ENOENT);
    if (geteuid() == 0) {
        CHECK_INT(process_give(path, "root"), 0);
        CHECK_INT(process_give_to_folder_owner(path), 0);
        CHECK(belongs(path, getpwnam("nobody"), 0750));
        CHECK_INT(process_give_to_folder_owner("/nowhere/file"), -ENOENT);
    }
    CHECK(rmdir(file) == 0 && rmdir(path) == 0 && rmdir(folder) == 0);
}

TEST_MAIN(test_standard_streams, test_open_files, test_cores, test_become, test_make_folder)

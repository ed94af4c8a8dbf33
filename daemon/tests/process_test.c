#include "daemon/process.h"

#include "base/test.h"

#include <errno.h>
#include <pwd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_open_files(void)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 100;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    CHECK(process_raise_open_files() == limit.rlim_max);
    getrlimit(RLIMIT_NOFILE, &limit);
    CHECK(limit.rlim_cur == limit.rlim_max);
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

TEST_MAIN(test_open_files, test_cores, test_become)

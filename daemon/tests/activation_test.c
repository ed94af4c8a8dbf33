#include "daemon/activation.h"

#include "base/test.h"

#include <fcntl.h>
#include <unistd.h>

static struct activation a;
static char err[128];
static int first; /* of three descriptors in a row, with none behind them */

static bool read_env(const char *fds, const char *pid, const char *names)
{
    char ours[32];
    const char *env[4] = {NULL};
    size_t n = 0;

    snprintf(ours, sizeof ours, "LISTEN_PID=%ld", (long)getpid());
    if (fds != NULL)
        env[n++] = fds;
    if (pid != NULL)
        env[n++] = strcmp(pid, "ours") == 0 ? ours : pid;
    if (names != NULL)
        env[n++] = names;
    return activation_read(&a, (char *const *)(uintptr_t)env, first, err);
}

static void test_set_up(void)
{
    first = 500;
    for (int i = 0; i < 3; i++)
        CHECK(dup2(STDERR_FILENO, first + i) == first + i);
}

static bool is(size_t i, const char *listener)
{
    return strcmp(a.sockets[i].listener, listener) == 0 && a.sockets[i].fd == first + (int)i &&
           fcntl(a.sockets[i].fd, F_GETFD) == FD_CLOEXEC;
}

static void test_names(void)
{
    CHECK(read_env("LISTEN_FDS=3", "ours", "LISTEN_FDNAMES=mqtt:ws:mqtt"));
    CHECK(a.n == 3 && is(0, "mqtt") && is(1, "ws") && is(2, "mqtt"));
    activation_fini(&a);
    CHECK(read_env("LISTEN_FDS=2", "ours", "LISTEN_FDNAMES=mqtt")); /* fewer than there should be */
    CHECK(a.n == 2 && is(0, "mqtt") && is(1, ""));
    activation_fini(&a);
    CHECK(read_env("LISTEN_FDS=1", "ours", NULL));
    CHECK(a.n == 1 && is(0, ""));
    activation_fini(&a);
}

static void test_none(void)
{
    CHECK(read_env(NULL, NULL, NULL) && a.n == 0);
    CHECK(read_env("LISTEN_FDS=0", "ours", NULL) && a.n == 0);
    CHECK(read_env("LISTEN_FDS=1", NULL, NULL) && a.n == 0);
    CHECK(read_env("LISTEN_FDS=1", "LISTEN_PID=1", "LISTEN_FDNAMES=ws") &&
          a.n == 0); /* another's */
    activation_fini(&a);
}

static void test_wrong(void)
{
    CHECK(!read_env("LISTEN_FDS=x", "ours", NULL));
    CHECK(strcmp(err, "LISTEN_FDS is not a number from 0 to 1024") == 0);
    CHECK(!read_env("LISTEN_FDS=1025", "ours", NULL));
    activation_fini(&a);
    CHECK(!read_env("LISTEN_FDS=4", "ours", NULL));
    CHECK(strcmp(err, "LISTEN_FDS is 4, but descriptor 503 is not open") == 0);
    activation_fini(&a);
}

TEST_MAIN(test_set_up, test_names, test_none, test_wrong)

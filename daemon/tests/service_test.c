/* A service from start to end, with a server that only pretends. */
#include "daemon/service.h"

#include "base/test.h"
#include "daemon/alloc.h"
#include "daemon/exit_codes.h"
#include "daemon/tests/config_support.h"
#include "daemon/tests/ws_support.h"

#include <ftw.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char *service_env[3]; /* of the next run */
static char folder[] = "/tmp/frys_service_XXXXXX";
static char path[64], database[64]; /* in it */
static char logged[1 << 16];

static void tell(int signal_number)
{
    kill(getpid(), signal_number);
}

static void write_config(const char *yaml)
{
    FILE *out = fopen(path, "w");

    fputs(yaml, out);
    fclose(out);
}

/* Run the service with the script until it ends; its log is in logged. */
static int run(const char *yaml, const char *file)
{
    int saved = dup(STDERR_FILENO), code;
    FILE *log = tmpfile();
    struct config *c = read_config(yaml, NULL);

    free(c->storage_file);
    c->storage_file = alloc_text(str_from(database));
    dup2(fileno(log), STDERR_FILENO);
    log_configure(STDERR_FILENO, LOG_INFO, LOG_TEXT);
    code = service_run(c, file, service_env);
    log_configure(STDERR_FILENO, LOG_INFO, LOG_TEXT);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(log);
    logged[fread(logged, 1, sizeof logged - 1, log)] = '\0';
    fclose(log);
    return code;
}

static bool has(const char *text)
{
    if (strstr(logged, text) != NULL)
        return true;
    fprintf(stderr, "no \"%s\" in:\n%s", text, logged);
    return false;
}

static void end_by_term(void)
{
    tell(SIGTERM);
}

static void test_term(void)
{
    ws_fake_reset(end_by_term);
    CHECK_INT(run("workers: 2\n", NULL), EXIT_FINE);
    CHECK_INT(ws_fake.stops, 1);
    CHECK_INT(ws_fake.stops_now, 0);
    CHECK(ws_fake.sys_topics > 50); /* and the memory is watched */
    CHECK(has("daemon.start version=") && has("config=\"defaults\" workers=2"));
    CHECK(has("daemon.ready") && has("daemon.drain timeout_ms=10000") && has("daemon.stopped"));
}

static void end_by_int_and_term(void)
{
    tell(SIGINT);
    ws_fake_wait(&ws_fake.stops, 1);
    tell(SIGHUP); /* too late for that */
    tell(SIGTERM);
}

static void test_second_signal(void)
{
    ws_fake_reset(end_by_int_and_term);
    ws_fake.ends_on_drain = false;
    CHECK_INT(run("", NULL), EXIT_FINE);
    CHECK_INT(ws_fake.stops_now, 1);
    CHECK_INT(ws_fake.reloads, 0);
    CHECK(has("daemon.end_now"));
}

static void test_fails_to_open(void)
{
    ws_fake_reset(NULL);
    ws_fake.new_error = "port 1883 is taken";
    CHECK_INT(run("", NULL), EXIT_FAILED);
    CHECK(has("daemon.failed while=\"opening the listeners\" error=\"port 1883 is taken\""));
}

static void test_fails_to_start(void)
{
    ws_fake_reset(NULL);
    ws_fake.start_error = "no threads";
    CHECK_INT(run("", NULL), EXIT_FAILED);
    CHECK(has("daemon.failed while=\"starting the workers\" error=\"no threads\""));
}

static void test_fails_to_become(void)
{
    if (geteuid() != 0)
        return;
    ws_fake_reset(NULL);
    CHECK_INT(run("user: there is no such user\n", NULL), EXIT_FAILED);
    CHECK(has("daemon.failed while=\"changing to the user"));
}

static void test_ends_by_itself(void)
{
    ws_fake_reset(ws_fake_end);
    CHECK_INT(run("", NULL), EXIT_FAILED);
    CHECK(has("daemon.failed while=\"serving\""));
}

/* ---- a service manager ---- */

static int manager = -1; /* its socket */
static char told[4096];  /* all that it was told, messages one a line */

static void open_manager(const char *watchdog)
{
    static char variable[128], watchdog_variable[64];
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    snprintf(a.sun_path, sizeof a.sun_path, "%s/notify", folder);
    unlink(a.sun_path);
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK(bind(manager, (struct sockaddr *)&a, sizeof a) == 0);
    snprintf(variable, sizeof variable, "NOTIFY_SOCKET=%s", a.sun_path);
    snprintf(watchdog_variable, sizeof watchdog_variable, "WATCHDOG_USEC=%s", watchdog);
    service_env[0] = variable;
    service_env[1] = watchdog_variable;
    told[0] = '\0';
}

/* Read until this comes. */
static void wait_told(const char *text)
{
    char message[512] = "";

    while (strstr(message, text) == NULL) {
        ssize_t n = recv(manager, message, sizeof message - 1, 0);

        message[n > 0 ? n : 0] = '\0';
        strncat(told, message, sizeof told - strlen(told) - 2);
        strcat(told, "\n");
    }
}

static void close_manager(void)
{
    service_env[0] = service_env[1] = NULL;
    close(manager);
}

static void be_managed(void)
{
    wait_told("READY=1\nSTATUS=serving");
    wait_told("WATCHDOG=1");
    write_config("limits: {max_packet_size: 1MiB}\n");
    tell(SIGHUP);
    wait_told("RELOADING=1\nMONOTONIC_USEC=");
    wait_told("READY=1");
    wait_told(" connections, messages/s: 0 in, 0 out");
    tell(SIGTERM);
    wait_told("STOPPING=1\nSTATUS=letting clients go\nEXTEND_TIMEOUT_USEC=76000000");
    ws_fake_wait(&ws_fake.stops, 1);
    ws_fake_end();
}

static void test_managed(void)
{
    open_manager("200000");
    ws_fake_reset(be_managed);
    ws_fake.ends_on_drain = false;
    CHECK_INT(run("", path), EXIT_FINE);
    CHECK(strstr(told, "STATUS=recovering what was stored\nEXTEND_TIMEOUT_USEC=3600000000\n") ==
          told);
    close_manager();
}

/* The watchdog gets nothing while a shard hangs. */
static void hang_and_recover(void)
{
    wait_told("WATCHDOG=1");
    ws_fake.stalled = 1;
    ws_fake_wait_more(&ws_fake.pulses, 2);
    while (recv(manager, told, sizeof told, MSG_DONTWAIT) > 0)
        ; /* what was on its way */
    told[0] = '\0';
    ws_fake_wait_more(&ws_fake.pulses, 3);
    ws_fake.stalled = -1;
    wait_told("WATCHDOG=1");
    tell(SIGTERM);
}

static void test_hanging(void)
{
    char *first;

    open_manager("100000");
    ws_fake_reset(hang_and_recover);
    CHECK_INT(run("", path), EXIT_FINE);
    first = strstr(told, "WATCHDOG=1");
    CHECK(first != NULL && strstr(told, "STATUS=") != NULL && strstr(told, "STATUS=") < first);
    CHECK(has("shard.stalled shard=1 within_ms=25") && has("shard.answers shard=1"));
    close_manager();
}

static void test_passed_wrongly(void)
{
    char pid[32];

    snprintf(pid, sizeof pid, "LISTEN_PID=%ld", (long)getpid());
    service_env[0] = (char[]){"LISTEN_FDS=900"};
    service_env[1] = pid;
    ws_fake_reset(NULL);
    CHECK_INT(run("", NULL), EXIT_FAILED);
    CHECK(has("daemon.failed while=\"opening the listeners\" error=\"LISTEN_FDS is 900, but"));
    service_env[0] = service_env[1] = NULL;
}

/* ---- */

static void report_status(void)
{
    tell(SIGUSR1);
    tell(SIGUSR2); /* nobody's business, and harmless */
    tell(SIGTERM);
}

static void test_status(void)
{
    ws_fake_reset(report_status);
    CHECK_INT(run("", NULL), EXIT_FINE);
    CHECK(has("daemon.status uptime_s=0 connections=0 sessions=0"));
}

static void reload_well_and_badly(void)
{
    write_config("limits: {max_packet_size: 1MiB}\nworkers: 3\n"
                 "listeners: [{protocol: ws, port: 9999, max_connections: 7}]\n");
    tell(SIGHUP);
    ws_fake_wait(&ws_fake.reloads, 1);
    CHECK_INT(ws_fake.max_packet_size, 1 << 20);
    CHECK_INT(ws_fake.config->listeners[0].port, 8080);
    CHECK_INT(ws_fake.config->listeners[0].max_connections, 7);
    write_config("limits: {max_packet_size: 3MiB, nonsense: 1}\n");
    tell(SIGHUP);
    tell(SIGTERM);
}

static void test_reload(void)
{
    ws_fake_reset(reload_well_and_badly);
    CHECK_INT(run("workers: 1\nlisteners: [{protocol: ws}]\n", path), EXIT_FINE);
    CHECK_INT(ws_fake.reloads, 1);
    CHECK(has("config.restart_needed option=\"workers\"\n"));
    CHECK(has("config.restart_needed option=\"listeners[].port\" listener=\"ws\"\n"));
    CHECK(has("config.reloaded config=\"/tmp/frys_service_"));
    CHECK(has("config.error file=\"/tmp/frys_service_") && has("limits.nonsense: unknown option"));
    CHECK(has("config.reload_failed"));
}

static void reload_once(void)
{
    write_config("workers: 1\n");
    tell(SIGHUP);
    ws_fake_wait(&ws_fake.reloads, 1);
    tell(SIGTERM);
}

static void test_reload_refused(void)
{
    ws_fake_reset(reload_once);
    ws_fake.reload_error = "the key does not fit";
    CHECK_INT(run("workers: 1\n", path), EXIT_FINE);
    CHECK(has("config.reload_failed error=\"the key does not fit\""));
}

/* Threads that do not end: frysd leaves without them, in time. */
static void test_stuck(void)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        ws_fake_reset(end_by_term);
        ws_fake.ends_on_drain = ws_fake.ends_now = false;
        run("shutdown_timeout: 0s\n", NULL);
        exit(99);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), EXIT_FAILED);
}

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(name);
}

static void test_clean_up(void)
{
    CHECK(nftw(folder, remove_one, 10, FTW_DEPTH | FTW_PHYS) == 0);
    forget_problems();
}

static void test_set_up(void)
{
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/frysd.yaml", folder);
    snprintf(database, sizeof database, "%s/data/frys.db", folder);
}

static void test_storage(void)
{
    struct stat st;

    ws_fake_reset(end_by_term);
    CHECK_INT(run("", NULL), EXIT_FINE);
    CHECK(has("storage.promise durability=\"what is acknowledged survives the end"));
    CHECK(has("storage.recovered file=\"/tmp/frys_service_"));
    CHECK(stat(database, &st) == 0 && (st.st_mode & 0777) == 0600);
    ws_fake_reset(end_by_term);
    CHECK_INT(run("storage: {durability: memory}\n", NULL), EXIT_FINE);
    CHECK(has("storage.promise durability=\"what is acknowledged is lost"));
    CHECK(strstr(logged, "storage.recovered") == NULL);
}

/* What we write is not for everybody; nor for the group, if the operator wants it so. */
static void test_umask(void)
{
    mode_t before = umask(0022);

    ws_fake_reset(end_by_term);
    CHECK_INT(run("", NULL), EXIT_FINE);
    CHECK_INT(umask(0077), 0027);
    ws_fake_reset(end_by_term);
    CHECK_INT(run("", NULL), EXIT_FINE);
    CHECK_INT(umask(before), 0077);
}

static void test_no_storage(void)
{
    FILE *out = fopen(path, "w");

    fclose(out);
    ws_fake_reset(end_by_term);
    strcpy(database + strlen(folder), "/frysd.yaml/frys.db"); /* a file is no folder */
    CHECK_INT(run("", NULL), EXIT_FAILED);
    CHECK(has("daemon.failed while=\"opening the store\"") && has("Not a directory"));
    snprintf(database, sizeof database, "%s/data/frys.db", folder);
}

TEST_MAIN(test_set_up, test_storage, test_umask, test_no_storage, test_term, test_second_signal,
          test_fails_to_open, test_fails_to_start, test_fails_to_become, test_ends_by_itself,
          test_status, test_reload, test_reload_refused, test_managed, test_hanging,
          test_passed_wrongly, test_stuck, test_clean_up)

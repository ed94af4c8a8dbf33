/* service: threads belong to ws/; this one waits for signals. A second thread waits for the end of
 * the others and then wakes this one.
 *
 * Invariants: (1) server and broker use config and nothing older; (2) after the first SIGTERM the
 * stage only moves forward, if need be by its own timeout. */
#include "daemon/service.h"

#include "base/env.h"
#include "base/log.h"
#include "broker/broker.h"
#include "broker/stats.h"
#include "daemon/activation.h"
#include "daemon/build.h"
#include "daemon/config.h"
#include "daemon/exit_codes.h"
#include "daemon/problems.h"
#include "daemon/process.h"
#include "daemon/recover.h"
#include "daemon/watch.h"
#include "storage/store.h"
#include "storage/store_error.h"
#include "ws/server.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define GRACE_MS        3000 /* what ws/ may need beyond shutdown_timeout before we lose patience */
#define CLOSE_MS        60000 /* for the store to write what it has, and close */
#define FIRST_PASSED_FD 3     /* SD_LISTEN_FDS_START */
#define RECOVER_S       3600 /* to read what was stored: a service manager shall wait for so long */
#define WOKEN           SIGUSR2 /* from our own thread: the server has ended */

enum stage {
    STAGE_SERVING,  /* next: DRAINING */
    STAGE_DRAINING, /* next: ENDING */
    STAGE_ENDING    /* the last one */
};

struct service {
    struct config *config; /* in effect */
    const char *file;
    char *const *env;
    struct store *store; /* NULL: nothing is stored */
    struct broker *broker;
    struct housekeeping *housekeeping;
    struct ws_server *server;
    enum stage stage;
    uint64_t stage_ends_ms; /* monotonic; of DRAINING and ENDING */
    struct watch watch;
    pthread_t main_thread, waiter;
    _Atomic bool ended;
};

static uint64_t now_ms(void)
{
    const struct env *env = env_system();
    struct env_time now;

    env->now(env->arg, &now);
    return now.mono_ms;
}

/* ---- signals ---- */

static void fill_signals(sigset_t *set)
{
    static const int used[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, WOKEN};

    sigemptyset(set);
    for (size_t i = 0; i < ARRAY_LEN(used); i++)
        sigaddset(set, used[i]);
}

/* Threads that are made later inherit it: signals come to this one only. */
static void block_signals(void)
{
    sigset_t set;

    fill_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* The next thing to do without being told. */
static uint64_t next_due_ms(const struct service *s)
{
    bool stage_first = s->stage != STAGE_SERVING && s->stage_ends_ms < s->watch.due_ms;

    return stage_first ? s->stage_ends_ms : s->watch.due_ms;
}

/* The next signal; 0: something is due. */
static int next_signal(const struct service *s)
{
    sigset_t set;

    fill_signals(&set);
    for (;;) {
        uint64_t now = now_ms(), due = next_due_ms(s), ms = now < due ? due - now : 0;
        struct timespec left = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
        int got = sigtimedwait(&set, NULL, &left);

        if (got > 0 || errno == EAGAIN)
            return got > 0 ? got : 0;
    }
}

/* ---- start ---- */

static void *wait_for_server(void *arg)
{
    struct service *s = arg;

    ws_server_join(s->server);
    s->ended = true;
    pthread_kill(s->main_thread, WOKEN);
    return NULL;
}

static unsigned worker_count(const struct config *c)
{
    unsigned n = c->workers != 0 ? c->workers : process_cores();

    return n < BROKER_MAX_SHARDS ? n : BROKER_MAX_SHARDS;
}

static bool fail(const char *doing, const char *why)
{
    LOG(LOG_ERROR, "daemon.failed", LOG_TXT("while", doing), LOG_TXT("error", why));
    return false;
}

/* Take over what was stored. */
static bool open_store(struct service *s)
{
    struct store_error err = {""};
    const char *doing = "";

    if (!recover_log_promise(s->config))
        return true;
    notify_send(&s->watch.notify, "STATUS=recovering what was stored\nEXTEND_TIMEOUT_USEC=%" PRIu64,
                UINT64_C(1000000) * RECOVER_S);
    return recover(s->config, s->broker, &s->store, &doing, &err) || fail(doing, err.text);
}

static bool open_listeners(struct service *s)
{
    struct activation passed;
    struct ws_error err = {""};
    bool ok = activation_read(&passed, s->env, FIRST_PASSED_FD, err.text);

    if (ok)
        s->server = ws_server_new(s->broker, &s->config->ws, passed.sockets, passed.n, &err);
    activation_fini(&passed);
    return s->server != NULL || fail("opening the listeners", err.text);
}

/* What has to be made by root, for the user that we are about to become. */
static bool hand_over_files(const struct config *c)
{
    const char *lock_file = c->ws.lock_file != NULL ? c->ws.lock_file : "";
    int rc;

    if (!process_changes_user(c->user))
        return true;
    if (lock_file[0] != '\0' && (rc = process_give(lock_file, c->user)) != 0)
        return fail("giving lock_file to the user in the configuration", strerror(-rc));
    if (recover_wanted(c) && !process_make_folder(c->storage_file, c->user))
        return fail("making the folder of storage.file", strerror(errno));
    return true;
}

/* Ports are opened by whoever starts us, clients are served by config->user. */
static bool open_server(struct service *s)
{
    struct ws_error err = {""};
    int rc;

    s->broker =
        broker_new(env_system(), &s->config->broker, NULL, worker_count(s->config), FRYS_VERSION);
    if (s->broker == NULL)
        return fail("making the broker", strerror(ENOMEM));
    s->housekeeping = housekeeping_new(s->broker->shards[0]);
    if (!open_listeners(s) || !hand_over_files(s->config))
        return false;
    if ((rc = process_become(s->config->user)) != 0)
        return fail("changing to the user in the configuration", strerror(-rc));
    if (!open_store(s))
        return false;
    if (!ws_server_start(s->server, &err))
        return fail("starting the workers", err.text);
    return true;
}

static void log_start(const struct service *s)
{
    uint64_t open_files = process_raise_open_files();

    LOG(LOG_INFO, "daemon.start", LOG_TXT("version", FRYS_VERSION), LOG_INT("pid", getpid()),
        LOG_TXT("config", s->file != NULL ? s->file : "defaults"),
        LOG_UINT("workers", worker_count(s->config)), LOG_UINT("open_files", open_files));
    if (geteuid() == 0 && s->config->user[0] == '\0')
        LOG(LOG_WARN, "daemon.root", LOG_TXT("hint", "set user in the configuration"));
}

/* Clients are welcome from here on. */
static void on_ready(const struct service *s)
{
    LOG(LOG_INFO, "daemon.ready");
    notify_send(&s->watch.notify, "READY=1\nSTATUS=serving");
}

/* ---- reload ---- */

static void report_restart(void *arg, const char *option, const char *listener)
{
    (void)arg;
    if (listener != NULL)
        LOG(LOG_WARN, "config.restart_needed", LOG_TXT("option", option),
            LOG_TXT("listener", listener));
    else
        LOG(LOG_WARN, "config.restart_needed", LOG_TXT("option", option));
}

/* All of what can change takes effect, or nothing. */
static void take_over(struct service *s, const struct config *wanted)
{
    struct config *merged = config_merge(s->config, wanted, report_restart, NULL);
    struct ws_error err = {""};

    if (!ws_server_reload(s->server, &merged->broker, &merged->ws, &err)) {
        LOG(LOG_ERROR, "config.reload_failed", LOG_TXT("error", err.text));
        config_free(&merged);
        return;
    }
    log_configure(STDERR_FILENO, merged->log_level, merged->log_format);
    config_free(&s->config);
    s->config = merged;
    LOG(LOG_INFO, "config.reloaded", LOG_TXT("config", s->file != NULL ? s->file : "defaults"));
}

static void reload(struct service *s)
{
    struct problems problems = {.n = 0};
    struct config *wanted;

    if (s->stage != STAGE_SERVING)
        return;
    notify_send(&s->watch.notify, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, now_ms() * 1000);
    wanted = config_load(s->file, s->env, &problems);
    problems_log(&problems);
    if (wanted != NULL)
        take_over(s, wanted);
    else
        LOG(LOG_ERROR, "config.reload_failed", LOG_TXT("error", "see above; nothing has changed"));
    config_free(&wanted);
    problems_fini(&problems);
    notify_send(&s->watch.notify, "READY=1");
}

/* ---- stop ---- */

static void enter(struct service *s, enum stage stage, uint64_t lasts_ms)
{
    s->stage = stage;
    s->stage_ends_ms = now_ms() + lasts_ms;
    ws_server_stop(s->server, stage == STAGE_ENDING);
}

static void stop(struct service *s)
{
    uint32_t timeout_ms = s->config->ws.shutdown_timeout_ms;

    if (s->stage == STAGE_SERVING) {
        LOG(LOG_INFO, "daemon.drain", LOG_UINT("timeout_ms", timeout_ms));
        notify_send(&s->watch.notify,
                    "STOPPING=1\nSTATUS=letting clients go\nEXTEND_TIMEOUT_USEC=%" PRIu64,
                    ((uint64_t)timeout_ms + 2 * GRACE_MS + CLOSE_MS) * 1000);
        enter(s, STAGE_DRAINING, (uint64_t)timeout_ms + GRACE_MS);
    } else if (s->stage == STAGE_DRAINING) {
        LOG(LOG_WARN, "daemon.end_now");
        enter(s, STAGE_ENDING, GRACE_MS);
    }
}

/* The server does not end: whoever started us shall not wait for ever. */
static _Noreturn void give_up(void)
{
    LOG(LOG_ERROR, "daemon.stuck", LOG_TXT("hint", "threads did not end; leaving without them"));
    _exit(EXIT_FAILED);
}

/* ---- the life in between ---- */

static void log_status(const struct service *s)
{
    struct stats stats;

    stats_read(s->broker, &stats);
    LOG(LOG_INFO, "daemon.status", LOG_UINT("uptime_s", stats.uptime_s),
        LOG_INT("connections", stats.connections), LOG_INT("sessions", stats.sessions),
        LOG_INT("subscriptions", stats.subscriptions), LOG_INT("dropped", stats.dropped),
        LOG_INT("memory", stats.memory));
}

static void do_what_is_due(struct service *s)
{
    uint64_t now = now_ms();

    watch_look(&s->watch, s->broker, s->server, now);
    if (s->stage == STAGE_SERVING || now < s->stage_ends_ms)
        return;
    if (s->stage == STAGE_ENDING)
        give_up();
    stop(s);
}

static void obey(struct service *s)
{
    while (!s->ended) {
        switch (next_signal(s)) {
        case SIGTERM:
        case SIGINT: stop(s); break;
        case SIGHUP: reload(s); break;
        case SIGUSR1: log_status(s); break;
        default: break; /* WOKEN, or nothing */
        }
        if (!s->ended)
            do_what_is_due(s);
    }
}

static int serve(struct service *s)
{
    s->main_thread = pthread_self();
    if (pthread_create(&s->waiter, NULL, wait_for_server, s) != 0) {
        fail("starting a thread", strerror(EAGAIN));
        ws_server_stop(s->server, true);
        ws_server_join(s->server);
        return EXIT_FAILED;
    }
    on_ready(s);
    obey(s);
    pthread_join(s->waiter, NULL);
    if (s->stage == STAGE_SERVING) {
        fail("serving", "all workers have ended by themselves");
        return EXIT_FAILED;
    }
    LOG(LOG_INFO, "daemon.stopped");
    return EXIT_FINE;
}

int service_run(struct config *take_config, const char *file, char *const *env)
{
    struct service s = {.config = take_config, .file = file, .env = env};
    int code = EXIT_FAILED;

    umask(umask(0077) | 0027); /* what we write is not for everybody on this machine */
    block_signals();
    watch_init(&s.watch, env);
    log_start(&s);
    if (open_server(&s))
        code = serve(&s);
    ws_server_free(&s.server);
    if (s.broker != NULL)
        housekeeping_free(s.broker->shards[0], &s.housekeeping);
    broker_free(&s.broker);
    if (s.store != NULL)
        s.store->ops->close(s.store);
    config_free(&s.config);
    watch_fini(&s.watch);
    return code;
}

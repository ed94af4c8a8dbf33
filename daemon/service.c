/* service: threads belong to ws/; this one waits for signals. A second thread waits for the end of
 * the others and then wakes this one.
 *
 * Invariants: (1) server and broker use config and nothing older; (2) after the first SIGTERM the
 * stage only moves forward, if need be by its own timeout. */
#include "daemon/service.h"

#include "base/env.h"
#include "base/log.h"
#include "broker/broker.h"
#include "broker/recovery.h"
#include "broker/stats.h"
#include "daemon/build.h"
#include "daemon/config.h"
#include "daemon/exit_codes.h"
#include "daemon/problems.h"
#include "daemon/process.h"
#include "storage/sqlite_store.h"
#include "ws/server.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define GRACE_MS 3000    /* what ws/ may need beyond shutdown_timeout before we lose patience */
#define WOKEN    SIGUSR2 /* from our own thread: the server has ended */

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

/* The next signal; 0: the stage has lasted its time. */
static int next_signal(const struct service *s)
{
    sigset_t set;

    fill_signals(&set);
    for (;;) {
        struct timespec left = {0, 0};
        uint64_t now = now_ms();
        int got;

        if (s->stage == STAGE_SERVING) {
            got = sigwaitinfo(&set, NULL);
        } else {
            uint64_t ms = now < s->stage_ends_ms ? s->stage_ends_ms - now : 0;

            left.tv_sec = (time_t)(ms / 1000);
            left.tv_nsec = (long)(ms % 1000) * 1000000;
            got = sigtimedwait(&set, NULL, &left);
        }
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

static const char *promise(enum durability d)
{
    switch (d) {
    case DURABILITY_COMMIT:
        return "what is acknowledged survives the end of the process, but perhaps not a power cut";
    case DURABILITY_FSYNC:
        return "what is acknowledged survives the end of the process and a power cut";
    default: return "what is acknowledged is lost when the process ends";
    }
}

/* Is there anything to be stored? */
static bool wants_store(const struct broker_config *c)
{
    bool wanted = c->durability != DURABILITY_MEMORY;

    for (size_t i = 0; i < c->n_topic_durability; i++)
        wanted |= c->topic_durability[i].durability != DURABILITY_MEMORY;
    return wanted;
}

/* Take over what was stored. */
static bool open_store(struct service *s)
{
    const struct config *c = s->config;
    struct sqlite_store_options o = {.path = c->storage_file, .max_bytes = c->storage_max_bytes};
    struct store_error err = {""};
    struct recovered recovered;
    uint64_t begin_ms = now_ms();
    int rc;

    LOG(LOG_INFO, "storage.promise", LOG_TXT("durability", promise(c->broker.durability)),
        LOG_UINT("topics_with_another", c->broker.n_topic_durability));
    if (!wants_store(&c->broker))
        return true;
    if (process_make_folder(c->storage_file))
        s->store = sqlite_store_open(&o, &err);
    else
        store_error(&err,
                    "cannot make the folder of %s: %s; set storage.file to a place that this user "
                    "can write to, or storage.durability to memory",
                    c->storage_file, strerror(errno));
    if (s->store == NULL)
        return fail("opening the store", err.text);
    rc = broker_attach(s->broker, s->store, &recovered);
    if (rc != 0)
        return fail("recovering what was stored", strerror(-rc));
    LOG(LOG_INFO, "storage.recovered", LOG_TXT("file", c->storage_file),
        LOG_UINT("sessions", recovered.sessions),
        LOG_UINT("subscriptions", recovered.subscriptions), LOG_UINT("queued", recovered.queued),
        LOG_UINT("inflight", recovered.inflight), LOG_UINT("retained", recovered.retained),
        LOG_UINT("ms", now_ms() - begin_ms));
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
    s->server = ws_server_new(s->broker, &s->config->ws, &err);
    if (s->server == NULL)
        return fail("opening the listeners", err.text);
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

/* Clients are welcome from here on: the place to tell a service manager. */
static void on_ready(void)
{
    LOG(LOG_INFO, "daemon.ready");
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
    wanted = config_load(s->file, s->env, &problems);
    problems_log(&problems);
    if (wanted != NULL)
        take_over(s, wanted);
    else
        LOG(LOG_ERROR, "config.reload_failed", LOG_TXT("error", "see above; nothing has changed"));
    config_free(&wanted);
    problems_fini(&problems);
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

static void obey(struct service *s)
{
    while (!s->ended) {
        int signal_number = next_signal(s);

        switch (signal_number) {
        case SIGTERM:
        case SIGINT: stop(s); break;
        case SIGHUP: reload(s); break;
        case SIGUSR1: log_status(s); break;
        case 0:
            if (s->stage == STAGE_ENDING)
                give_up();
            stop(s);
            break;
        default: break; /* WOKEN */
        }
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
    on_ready();
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

    block_signals();
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
    return code;
}

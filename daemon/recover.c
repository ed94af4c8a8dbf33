#include "daemon/recover.h"

#include "base/env.h"
#include "base/log.h"
#include "broker/recovery.h"
#include "daemon/config.h"
#include "daemon/process.h"
#include "storage/sqlite_store.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

bool recover_wanted(const struct config *config)
{
    const struct broker_config *c = &config->broker;
    bool wanted = c->durability != DURABILITY_MEMORY;

    for (size_t i = 0; i < c->n_topic_durability; i++)
        wanted |= c->topic_durability[i].durability != DURABILITY_MEMORY;
    return wanted;
}

bool recover_log_promise(const struct config *c)
{
    LOG(LOG_INFO, "storage.promise", LOG_TXT("durability", promise(c->broker.durability)),
        LOG_UINT("topics_with_another", c->broker.n_topic_durability));
    return recover_wanted(c);
}

static uint64_t now_ms(void)
{
    const struct env *env = env_system();
    struct env_time now;

    env->now(env->arg, &now);
    return now.mono_ms;
}

/* A database of another user: most likely of root, who has tried something by hand. */
static bool may_write(const char *file, struct store_error *err)
{
    struct stat st;

    if (access(file, R_OK | W_OK) == 0 || errno != EACCES || stat(file, &st) != 0)
        return true; /* SQLite says what there is to say */
    store_error(err,
                "%s belongs to user %u, and this is user %u: give it, and what is beside it, to "
                "this one (chown -R %u: %.*s)",
                file, (unsigned)st.st_uid, (unsigned)geteuid(), (unsigned)geteuid(),
                (int)(strrchr(file, '/') != NULL ? strrchr(file, '/') - file : 1),
                strrchr(file, '/') != NULL ? file : ".");
    return false;
}

struct store *recover_open(const struct config *c, struct store_error *err)
{
    struct sqlite_store_options o = {.path = c->storage_file, .max_bytes = c->storage_max_bytes};

    if (!may_write(c->storage_file, err))
        return NULL;
    if (process_make_folder(c->storage_file, ""))
        return sqlite_store_open(&o, err);
    store_error(err,
                "cannot make the folder of %s: %s; set storage.file to a place that this user "
                "can write to, or storage.durability to memory",
                c->storage_file, strerror(errno));
    return NULL;
}

bool recover(const struct config *c, struct broker *b, struct store **out, const char **out_doing,
             struct store_error *err)
{
    struct recovered recovered;
    uint64_t begin_ms = now_ms();
    int rc;

    *out_doing = "opening the store";
    *out = recover_open(c, err);
    if (*out == NULL)
        return false;
    *out_doing = "recovering what was stored";
    rc = broker_attach(b, *out, &recovered);
    if (rc != 0) {
        store_error(err, "%s", strerror(-rc));
        return false;
    }
    LOG(LOG_INFO, "storage.recovered", LOG_TXT("file", c->storage_file),
        LOG_UINT("sessions", recovered.sessions),
        LOG_UINT("subscriptions", recovered.subscriptions), LOG_UINT("queued", recovered.queued),
        LOG_UINT("inflight", recovered.inflight), LOG_UINT("retained", recovered.retained),
        LOG_UINT("ms", now_ms() - begin_ms));
    return true;
}

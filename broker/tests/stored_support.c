#include "stored_support.h"

#include "base/test.h"

static void start(struct stored *s, struct env_time time)
{
    net_init(&s->n, s->shards, &s->config);
    if (time.mono_ms != 0)
        s->n.env.time = time;
    CHECK_INT(broker_attach(s->n.broker, s->store, &s->recovered), 0);
    net_run(&s->n);
}

void stored_init(struct stored *s, unsigned shards, const struct broker_config *config)
{
    *s = (struct stored){.shards = shards,
                         .store = memory_store_new(),
                         .config = config != NULL ? *config : broker_config_default()};
    start(s, (struct env_time){0});
}

/* The clients' connections are gone with it: no DISCONNECT, no time for anything. */
static struct env_time stop(struct stored *s, uint64_t ms)
{
    struct env_time time = s->n.env.time;

    net_fini(&s->n);
    s->store->ops->close(s->store);
    time.mono_ms += ms;
    time.wall_ms += ms;
    return time;
}

void stored_crash(struct stored *s, uint64_t ms)
{
    struct env_time time;

    memory_store_hold(s->store, true);
    time = stop(s, ms);
    memory_store_hold(s->store, false);
    start(s, time);
}

void stored_restart(struct stored *s, uint64_t ms)
{
    start(s, stop(s, ms));
}

void stored_hold(struct stored *s, bool hold)
{
    memory_store_hold(s->store, hold);
    net_run(&s->n);
}

void stored_fini(struct stored *s)
{
    net_fini(&s->n);
    s->store->ops->close(s->store);
    memory_store_free(&s->store);
}

/* broker: what the shards share. */
#include "broker/broker.h"

#include "base/assert.h"
#include "base/mem.h"
#include "broker/post.h"
#include "broker/shard.h"
#include "storage/store.h"

#include <stdio.h>
#include <stdlib.h>

struct broker_config broker_config_default(void)
{
    return (struct broker_config){.max_connections = 0,
                                  .connect_timeout_ms = 10000,
                                  .max_packet_size = 2u << 20,
                                  .receive_maximum = UINT16_MAX,
                                  .max_inflight = 1024,
                                  .topic_alias_maximum = 32,
                                  .topic_alias_outgoing = 32,
                                  .max_keep_alive_s = 0,
                                  .max_topic_levels = 256,
                                  .max_subscriptions = 0,
                                  .maximum_qos = 2,
                                  .retain_available = true,
                                  .wildcard_available = true,
                                  .subscription_id_available = true,
                                  .shared_available = true,
                                  .problem_info = true,
                                  .max_session_expiry_s = UINT32_MAX,
                                  .max_queued_messages = 1000,
                                  .max_queued_bytes = UINT64_C(16) << 20,
                                  .queue_qos0 = false,
                                  .overflow = OVERFLOW_DROP_OLDEST,
                                  .share_strategy = SHARE_ROUND_ROBIN,
                                  .max_retained = 0,
                                  .durability = DURABILITY_COMMIT,
                                  .memory_limit = 0,
                                  .sys_interval_s = 10};
}

struct broker *broker_new(const struct env *env, const struct broker_config *config,
                          const struct auth *auth, unsigned n_shards, const char *version)
{
    struct broker *b = calloc(1, sizeof *b);
    struct env_time now;

    ASSERT(n_shards >= 1 && n_shards <= BROKER_MAX_SHARDS);
    if (b == NULL)
        return NULL;
    env->now(env->arg, &now);
    b->env = env;
    b->config = *config;
    if (auth != NULL)
        b->auth = *auth;
    b->n_shards = n_shards;
    pthread_mutex_init(&b->wake_lock, NULL);
    b->hash_seed = env_random64(env);
    b->started_ms = now.mono_ms;
    snprintf(b->version, sizeof b->version, "%s", version);
    if (directory_init(&b->directory, env_random64(env)) != 0) {
        free(b);
        return NULL;
    }
    for (unsigned i = 0; i < n_shards; i++) {
        b->shards[i] = shard_new(b, i);
        if (b->shards[i] == NULL) {
            broker_free(&b);
            return NULL;
        }
    }
    return b;
}

/* Let every shard deal with what the others have handed to it, until nothing is under way. */
static void settle_posts(struct broker *b)
{
    bool more;

    do {
        more = false;
        for (unsigned i = 0; i < b->n_shards; i++) {
            struct shard *sh = b->shards[i];

            if (sh == NULL)
                continue;
            posts_send(sh);
        }
        for (unsigned i = 0; i < b->n_shards; i++) {
            struct shard *sh = b->shards[i];

            if (sh == NULL || !inbox_has_items(&sh->posts.inbox))
                continue;
            posts_receive(sh);
            more = true;
        }
    } while (more);
}

void broker_free(struct broker **broker)
{
    struct broker *b = *broker;

    *broker = NULL;
    if (b == NULL)
        return;
    settle_posts(b);
    if (b->store != NULL) /* it may have something to tell until it is closed */
        b->store->ops->notify(b->store, NULL, NULL);
    for (unsigned i = 0; i < b->n_shards; i++)
        if (b->shards[i] != NULL)
            journal_close(b->shards[i]);
    for (unsigned i = 0; i < b->n_shards; i++)
        if (b->shards[i] != NULL)
            shard_end_sessions(b->shards[i]);
    settle_posts(b);
    for (unsigned i = 0; i < b->n_shards; i++)
        if (b->shards[i] != NULL)
            shard_clear(b->shards[i]);
    for (unsigned i = 0; i < b->n_shards; i++)
        shard_free(&b->shards[i]);
    directory_fini(&b->directory);
    pthread_mutex_destroy(&b->wake_lock);
    free(b);
}

const char *broker_degraded(const struct broker *b)
{
    if (b->store != NULL && b->store->ops->health(b->store) == STORE_FAILING)
        return "the store cannot write";
    if (atomic_load_explicit(&b->memory_pressure, memory_order_relaxed) != MEMORY_OK)
        return "memory is short";
    return NULL;
}

int64_t broker_memory(const struct broker *b, unsigned purpose)
{
    int64_t sum = 0;

    for (unsigned i = 0; i < b->n_shards; i++)
        sum += mem_used(b->shards[i]->mem, purpose);
    return sum;
}

int64_t broker_memory_total(const struct broker *b)
{
    int64_t sum = 0;

    for (unsigned i = 0; i < b->n_shards; i++)
        sum += mem_used_total(b->shards[i]->mem);
    return sum;
}

#include "daemon/tests/ws_support.h"

#include "base/assert.h"
#include "broker/broker.h"
#include "broker/retained.h"
#include "broker/shard.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct ws_fake ws_fake;

struct ws_server {
    struct broker *broker;
    pthread_t script;
    bool started;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

void ws_fake_reset(void (*script)(void))
{
    ws_fake =
        (struct ws_fake){.ends_on_drain = true, .ends_now = true, .stalled = -1, .script = script};
}

void ws_fake_wait(const int *counter, int n)
{
    pthread_mutex_lock(&lock);
    while (*counter < n)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

void ws_fake_wait_more(const int *counter, int n)
{
    pthread_mutex_lock(&lock);
    for (n += *counter; *counter < n;)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static void note(int *counter, bool ends)
{
    pthread_mutex_lock(&lock);
    if (counter != NULL)
        ++*counter;
    ws_fake.ended = ws_fake.ended || ends;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

void ws_fake_end(void)
{
    note(NULL, true);
}

static bool answer(const char *error, struct ws_error *err)
{
    if (error != NULL)
        snprintf(err->text, sizeof err->text, "%s", error);
    return error == NULL;
}

/* ---- ws/server.h ---- */

bool ws_check(const struct ws_config *config, struct ws_error *err)
{
    (void)config;
    return answer(ws_fake.check_error, err);
}

struct ws_server *ws_server_new(struct broker *b, const struct ws_config *config,
                                const struct ws_passed *passed, size_t n_passed,
                                struct ws_error *err)
{
    struct ws_server *s;

    ASSERT(b != NULL && (passed != NULL || n_passed == 0));
    ws_fake.config = config;
    if (!answer(ws_fake.new_error, err))
        return NULL;
    s = calloc(1, sizeof *s);
    s->broker = b;
    return s;
}

static void *run_script(void *arg)
{
    struct ws_server *s = arg;
    struct shard *first = s->broker->shards[0];

    shard_turn_begin(first);
    shard_turn_end(first);
    ws_fake.sys_topics = retained_count(first);
    if (ws_fake.script != NULL)
        ws_fake.script();
    return NULL;
}

bool ws_server_start(struct ws_server *s, struct ws_error *err)
{
    if (!answer(ws_fake.start_error, err))
        return false;
    s->started = pthread_create(&s->script, NULL, run_script, s) == 0;
    return s->started;
}

bool ws_server_reload(struct ws_server *s, const struct broker_config *broker_config,
                      const struct ws_config *config, struct ws_error *err)
{
    bool ok = answer(ws_fake.reload_error, err);

    (void)s;
    if (ok) {
        ws_fake.config = config;
        ws_fake.max_packet_size = broker_config->max_packet_size;
    }
    note(&ws_fake.reloads, false);
    return ok;
}

void ws_server_stop(struct ws_server *s, bool now)
{
    (void)s;
    note(now ? &ws_fake.stops_now : &ws_fake.stops, now ? ws_fake.ends_now : ws_fake.ends_on_drain);
}

void ws_server_join(struct ws_server *s)
{
    (void)s;
    pthread_mutex_lock(&lock);
    while (!ws_fake.ended)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

void ws_server_free(struct ws_server **s)
{
    if (*s != NULL && (*s)->started)
        pthread_join((*s)->script, NULL);
    free(*s);
    *s = NULL;
}

int ws_server_pulse(struct ws_server *s)
{
    (void)s;
    note(&ws_fake.pulses, false);
    return ws_fake.stalled;
}

int ws_server_port(const struct ws_server *s, const char *listener)
{
    (void)s;
    (void)listener;
    return 0;
}

const char *ws_versions(void)
{
    return "no libwebsockets";
}

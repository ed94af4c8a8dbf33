/* directory_test: which shard has whose session; by one thread, and by many. */
#include "base/env.h"
#include "base/test.h"
#include "broker/directory.h"

#include <pthread.h>

#define CLIENTS 5000

static struct directory dir;

static struct mqtt_str id_of(char *text, unsigned n)
{
    return (struct mqtt_str){(const uint8_t *)text, (uint32_t)sprintf(text, "client-%u", n)};
}

static void test_claim_and_release(void)
{
    struct mqtt_str a = MQTT_STR("a"), b = MQTT_STR("b"), empty = MQTT_STR("");

    CHECK_INT(directory_init(&dir, 1), 0);
    directory_release(&dir, a, 0); /* nothing is there yet */
    CHECK_INT(directory_claim(&dir, a, 0), DIRECTORY_NONE);
    CHECK_INT(directory_claim(&dir, a, 0), 0);
    CHECK_INT(directory_claim(&dir, b, 63), DIRECTORY_NONE);
    CHECK_INT(directory_claim(&dir, a, 2), 0);
    CHECK_INT(directory_count(&dir), 2);
    directory_release(&dir, a, 0); /* it has moved on */
    CHECK_INT(directory_claim(&dir, a, 1), 2);
    directory_release(&dir, a, 1);
    CHECK_INT(directory_claim(&dir, a, 5), DIRECTORY_NONE);
    CHECK_INT(directory_claim(&dir, b, 5), 63);
    CHECK_INT(directory_claim(&dir, empty, 7), DIRECTORY_NONE);
    CHECK_INT(directory_claim(&dir, empty, 7), 7);
    CHECK_INT(directory_count(&dir), 3);
    directory_fini(&dir);
}

/* Many of them come, move and go. */
static void test_random(void)
{
    static int at[CLIENTS];
    struct env_test env;
    size_t count = 0;
    char text[32];

    env_test_init(&env, 7);
    CHECK_INT(directory_init(&dir, 99), 0);
    for (unsigned i = 0; i < CLIENTS; i++)
        at[i] = DIRECTORY_NONE;
    for (int i = 0; i < 200000; i++) {
        uint64_t x = env_random64(&env.env);
        unsigned n = (unsigned)(x % CLIENTS), shard = x >> 32 & 7;

        if ((x >> 40 & 1) != 0) {
            if (directory_claim(&dir, id_of(text, n), shard) != at[n])
                CHECK_ROW(n, !"claimed from another shard");
            count += at[n] == DIRECTORY_NONE;
            at[n] = (int)shard;
        } else {
            directory_release(&dir, id_of(text, n), shard);
            if (at[n] == (int)shard) {
                at[n] = DIRECTORY_NONE;
                count--;
            }
        }
    }
    CHECK_INT(directory_count(&dir), count);
    for (unsigned n = 0; n < CLIENTS; n++) {
        CHECK_ROW_INT(n, directory_claim(&dir, id_of(text, n), 9), at[n]);
        directory_release(&dir, id_of(text, n), 9);
    }
    CHECK_INT(directory_count(&dir), 0);
    directory_fini(&dir);
}

/* Threads take the clients from each other. Of those that nobody gives up each is new once. */
#define THREADS 4
#define ROUNDS  20
#define SHARED  1000

struct worker {
    pthread_t thread;
    unsigned shard;
    long fresh; /* claims of clients that stay that found nobody */
    long wrong; /* answers that no shard has given cause for */
};

static void *work(void *arg)
{
    struct worker *w = arg;
    char text[32];

    for (int round = 0; round < ROUNDS; round++) {
        for (unsigned n = 0; n < SHARED; n++) {
            int before = directory_claim(&dir, id_of(text, n), w->shard);

            w->wrong += before < DIRECTORY_NONE || before >= THREADS;
            if (n % 2 == 0)
                directory_release(&dir, id_of(text, n), w->shard);
            else
                w->fresh += before == DIRECTORY_NONE;
        }
    }
    return NULL;
}

static void test_threads(void)
{
    struct worker workers[THREADS] = {{0}};
    long fresh = 0;
    char text[32];

    CHECK_INT(directory_init(&dir, 3), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i].shard = i;
        CHECK_INT(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        fresh += workers[i].fresh;
        CHECK_ROW_INT(i, workers[i].wrong, 0);
    }
    CHECK_INT(fresh, SHARED / 2);
    for (unsigned n = 1; n < SHARED; n += 2) {
        CHECK_ROW(n, directory_claim(&dir, id_of(text, n), 0) != DIRECTORY_NONE);
        directory_release(&dir, id_of(text, n), 0);
    }
    CHECK_INT(directory_count(&dir), 0); /* whoever claimed one of the others last, let it go */
    directory_fini(&dir);
}

TEST_MAIN(test_claim_and_release, test_random, test_threads)

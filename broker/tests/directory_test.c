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

/* The shard that had it before; *number: of the claim. */
static int claim(struct mqtt_str id, unsigned shard, uint32_t *number)
{
    struct directory_claim before = {77, 77};

    if (directory_claim(&dir, id, shard, &before, number) != 0)
        return -77;
    return before.shard;
}

static void test_claim_and_release(void)
{
    struct mqtt_str a = MQTT_STR("a"), b = MQTT_STR("b"), empty = MQTT_STR("");
    struct directory_claim before;
    uint32_t first, second, third, n;

    CHECK_INT(directory_init(&dir, 1), 0);
    directory_release(&dir, a, 0); /* nothing is there yet */
    CHECK_INT(claim(a, 0, &first), DIRECTORY_NONE);
    CHECK_INT(claim(a, 0, &second), 0);
    CHECK(second != first);
    CHECK_INT(claim(b, 63, &n), DIRECTORY_NONE);
    directory_release(&dir, a, first); /* not that claim any more, though the same shard */
    CHECK_INT(directory_claim(&dir, a, 2, &before, &third), 0);
    CHECK_INT(before.shard, 0);
    CHECK_INT(before.number, second);
    CHECK_INT(directory_count(&dir), 2);
    directory_release(&dir, a, second); /* it has moved on */
    CHECK_INT(claim(a, 1, &second), 2);
    directory_release(&dir, a, second);
    CHECK_INT(claim(a, 5, &third), DIRECTORY_NONE);
    CHECK(third != second && third != first);
    CHECK_INT(claim(b, 5, &n), 63);
    CHECK_INT(claim(empty, 7, &n), DIRECTORY_NONE);
    CHECK_INT(claim(empty, 7, &n), 7);
    CHECK_INT(directory_count(&dir), 3);
    directory_fini(&dir);
}

/* Many of them come, move and go. */
static void test_random(void)
{
    static struct directory_claim at[CLIENTS];
    struct env_test env;
    size_t count = 0;
    char text[32];

    env_test_init(&env, 7);
    CHECK_INT(directory_init(&dir, 99), 0);
    for (unsigned i = 0; i < CLIENTS; i++)
        at[i].shard = DIRECTORY_NONE;
    for (int i = 0; i < 200000; i++) {
        uint64_t x = env_random64(&env.env);
        unsigned n = (unsigned)(x % CLIENTS), shard = x >> 32 & 7;

        if ((x >> 40 & 1) != 0) {
            count += at[n].shard == DIRECTORY_NONE;
            if (claim(id_of(text, n), shard, &at[n].number) != at[n].shard)
                FAIL_ROW(n, "claimed from another shard");
            at[n].shard = (int)shard;
        } else if ((x >> 41 & 1) != 0) {
            directory_release(&dir, id_of(text, n), at[n].number - 64); /* an old one */
        } else {
            directory_release(&dir, id_of(text, n), at[n].number);
            count -= at[n].shard != DIRECTORY_NONE;
            at[n].shard = DIRECTORY_NONE;
        }
    }
    CHECK_INT(directory_count(&dir), count);
    for (unsigned n = 0; n < CLIENTS; n++) {
        uint32_t number;

        CHECK_ROW_INT(n, claim(id_of(text, n), 9, &number), at[n].shard);
        directory_release(&dir, id_of(text, n), number);
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
            uint32_t number;
            int before = claim(id_of(text, n), w->shard, &number);

            w->wrong += before < DIRECTORY_NONE || before >= THREADS;
            if (n % 2 == 0)
                directory_release(&dir, id_of(text, n), number);
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
        uint32_t number;

        CHECK_ROW(n, claim(id_of(text, n), 0, &number) != DIRECTORY_NONE);
        directory_release(&dir, id_of(text, n), number);
    }
    CHECK_INT(directory_count(&dir), 0); /* of the others the last claim was released */
    directory_fini(&dir);
}

TEST_MAIN(test_claim_and_release, test_random, test_threads)

/* crash_random_test: a broker that dies again and again while messages flow, with commits that come
 * late: what was acknowledged is there afterwards, and at QoS 2 nothing comes twice; see
 * players_support.h for what is checked. CRASH_SEED and CRASH_ROUNDS in the environment choose
 * others than the usual runs. */
#include "base/test.h"
#include "players_support.h"
#include "stored_support.h"

#define STEPS 3000

static void die(struct players *w, struct stored *s)
{
    uint64_t state = s->n.env.state;

    stored_crash(s, 1 + players_choose(w, 1000));
    s->n.env.state = state * UINT64_C(6364136223846793005) + 1;
    players_lose(w);
}

static void play(struct players *w, struct stored *s)
{
    struct publisher *p = &w->pubs[players_choose(w, PUBLISHERS)];
    struct subscriber *sub = &w->subs[players_choose(w, SUBSCRIBERS)];

    if (p->c == NULL || players_choose(w, 40) == 0)
        publisher_moves(w, p);
    publisher_reads(w, p);
    publisher_publishes(p);
    if (sub->c == NULL ? players_choose(w, 20) == 0 : players_choose(w, 60) == 0)
        subscriber_moves(w, sub);
    subscriber_reads(w, sub);
    if (sub->c != NULL)
        subscriber_answers(sub, players_choose(w, 12));
    switch (players_choose(w, 100)) {
    case 0: die(w, s); return;
    case 1:
        if (sub->c != NULL)
            sub->c->stalled = !sub->c->stalled;
        break;
    default: break;
    }
    if (players_choose(w, 2) == 0)
        subscriber_takes(sub);
    if (players_choose(w, 4) == 0)
        memory_store_hold(s->store, players_choose(w, 3) > 0);
    if (players_choose(w, 4) == 0)
        env_test_sleep(&w->n->env, players_choose(w, 5));
    for (unsigned i = players_choose(w, 4); i > 0; i--)
        net_turn(w->n, players_choose(w, w->shards));
}

static void run(uint64_t seed, unsigned shards)
{
    static struct players w;
    struct broker_config config = broker_config_default();
    struct stored s;

    config.max_queued_messages = 1000000;
    config.max_queued_bytes = UINT64_MAX / 2;
    stored_init(&s, shards, &config);
    s.n.env.state += seed;
    players_init(&w, &s.n, shards, true);
    for (int i = 0; i < STEPS; i++)
        play(&w, &s);
    stored_hold(&s, false);
    players_finish(&w);
    players_check(&w);
    stored_fini(&s);
}

static unsigned setting(const char *name, unsigned usual)
{
    const char *text = getenv(name);

    return text == NULL ? usual : (unsigned)strtoul(text, NULL, 10);
}

static void rounds(unsigned shards)
{
    unsigned first = setting("CRASH_SEED", 1), n = setting("CRASH_ROUNDS", 10);

    for (unsigned seed = first; seed < first + n; seed++) {
        unsigned failures = CU_get_number_of_failures();

        run(seed, shards);
        if (CU_get_number_of_failures() == failures)
            continue;
        printf("  with seed %u, %u shards\n", seed, shards);
        break;
    }
}

static void test_one_shard(void)
{
    rounds(1);
}

static void test_three_shards(void)
{
    rounds(3);
}

TEST_MAIN(test_one_shard, test_three_shards)

/* takeover_random_test: subscribers and publishers that keep coming back on other shards while
 * messages flow, at QoS 1 and 2, with shards that take their turns in any order: see
 * players_support.h for what they check.         [v5 4.3, 4.4, 4.6] [v3 4.3, 4.4, 4.6] */
#include "base/test.h"
#include "players_support.h"

#define SHARDS 4
#define STEPS  4000

static void play(struct players *w)
{
    struct publisher *p = &w->pubs[players_choose(w, PUBLISHERS)];
    struct subscriber *s = &w->subs[players_choose(w, SUBSCRIBERS)];

    publisher_reads(w, p);
    publisher_publishes(p);
    if (s->c->greeted || players_choose(w, 4) > 0) {
        subscriber_reads(w, s);
        subscriber_answers(s, players_choose(w, 12));
    }
    switch (players_choose(w, 24)) {
    case 0: subscriber_moves(w, s); break;
    case 1:
        if (p->qos == 2)
            publisher_moves(w, p);
        break;
    case 2: s->c->stalled = !s->c->stalled; break;
    case 3: env_test_sleep(&w->n->env, players_choose(w, 3)); break;
    default: break;
    }
    if (players_choose(w, 2) == 0)
        subscriber_takes(s);
    for (unsigned i = players_choose(w, 4); i > 0; i--)
        net_turn(w->n, players_choose(w, SHARDS));
}

static void test_random(void)
{
    static struct players w;
    struct broker_config config = broker_config_default();
    struct net n;

    config.max_queued_messages = 1000000;
    config.max_queued_bytes = UINT64_MAX / 2;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        unsigned failures = CU_get_number_of_failures();

        net_init(&n, SHARDS, &config);
        n.env.state += seed;
        players_init(&w, &n, SHARDS, false);
        for (int i = 0; i < STEPS; i++)
            play(&w);
        players_finish(&w);
        players_check(&w);
        for (unsigned i = 0; i < PUBLISHERS; i++)
            CHECK_ROW(i, w.pubs[i].sent > STEPS / PUBLISHERS / 8);
        CHECK(NET_COUNT(&n, sessions_moved) > STEPS / 100);
        net_fini(&n);
        if (CU_get_number_of_failures() != failures) {
            printf("  with seed %u\n", (unsigned)seed);
            break;
        }
    }
}

TEST_MAIN(test_random)

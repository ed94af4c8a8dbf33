/* takeover_random_test: subscribers and publishers that keep coming back on other shards while
 * messages flow, at QoS 1 and 2, with shards that take their turns in any order. Each subscriber
 * gets what each publisher has sent: all of it, in order, at QoS 2 once, at QoS 1 again only where
 * it had not acknowledged it, with DUP.                          [v5 4.3, 4.4, 4.6] [v3 4.3, 4.4, 4.6]
 *
 * Clients are played as the standard has them: what they know of their exchanges outlives their
 * connections, what was on its way to the old connection may be lost. */
#include "base/test.h"
#include "net_support.h"

#define SHARDS      4
#define PUBLISHERS  4 /* one a shard at first; the odd ones use QoS 2, and move */
#define SUBSCRIBERS 5
#define OPEN_MAX    8 /* exchanges of a publisher */
#define STEPS       4000

struct exchange {
    uint16_t id;
    unsigned number;
    bool released;
};

struct publisher {
    char name[8];
    struct client *c;
    uint8_t qos;
    bool greeted;
    uint16_t last_id;
    unsigned sent; /* number of the last message */
    struct exchange open[OPEN_MAX];
    unsigned n_open;
};

struct ack {
    enum mqtt_type type;
    uint16_t id;
};

struct subscriber {
    char name[8];
    struct client *c;
    unsigned moves;
    unsigned seen[PUBLISHERS];     /* number of the last message of each */
    bool received[UINT16_MAX + 1]; /* QoS 2 identifiers, until they are released */
    struct ack acks[4096];         /* to be sent */
    unsigned n_acks;
};

struct world {
    struct net n;
    struct publisher pubs[PUBLISHERS];
    struct subscriber subs[SUBSCRIBERS];
};

static unsigned choose(struct world *w, unsigned n)
{
    return (unsigned)(env_random64(&w->n.env.env) % n);
}

static void feed_ack(struct client *c, enum mqtt_type type, uint16_t id)
{
    client_feed(c,
                (uint8_t[]){(uint8_t)(type << 4 | (type == MQTT_PUBREL ? 2 : 0)), 2,
                            (uint8_t)(id >> 8), (uint8_t)id},
                4);
}

/* ---- publishers ---- */

static void feed_publish(struct publisher *p, const struct exchange *e, bool again)
{
    struct mqtt_packet packet = {.type = MQTT_PUBLISH};
    char text[16];

    snprintf(text, sizeof text, "%s:%u", p->name, e->number);
    packet.publish.topic = MQTT_STR("t");
    packet.publish.payload = text_str(text);
    packet.publish.qos = p->qos;
    packet.publish.dup = again;
    packet.publish.packet_id = e->id;
    client_feed_packet(p->c, &packet);
}

static void publish(struct publisher *p)
{
    struct exchange *e = &p->open[p->n_open];

    if (!p->greeted || p->n_open == OPEN_MAX)
        return;
    *e = (struct exchange){.id = ++p->last_id, .number = ++p->sent};
    p->n_open++;
    feed_publish(p, e, false);
}

static void close_exchange(struct publisher *p, uint16_t id)
{
    for (unsigned i = 0; i < p->n_open; i++) {
        if (p->open[i].id != id)
            continue;
        memmove(&p->open[i], &p->open[i + 1], (--p->n_open - i) * sizeof p->open[0]);
        return;
    }
}

/* Back again: what is not completed goes on where it was [v5 MQTT-4.4.0-1]. */
static void publisher_resumes(struct publisher *p, const struct mqtt_connack *ack)
{
    CHECK_INT(ack->reason, 0);
    CHECK(ack->session_present || p->sent == 0);
    p->greeted = true;
    for (unsigned i = 0; i < p->n_open; i++) {
        if (p->open[i].released)
            feed_ack(p->c, MQTT_PUBREL, p->open[i].id);
        else
            feed_publish(p, &p->open[i], true);
    }
}

static void publisher_reads(struct publisher *p)
{
    struct mqtt_packet packet;

    while (client_next(p->c, &packet)) {
        switch (packet.type) {
        case MQTT_CONNACK: publisher_resumes(p, &packet.connack); break;
        case MQTT_PUBACK:
        case MQTT_PUBCOMP: close_exchange(p, packet.ack.packet_id); break;
        case MQTT_PUBREC:
            CHECK(packet.ack.reason < 0x80);
            for (unsigned i = 0; i < p->n_open; i++)
                p->open[i].released |= p->open[i].id == packet.ack.packet_id;
            feed_ack(p->c, MQTT_PUBREL, packet.ack.packet_id);
            break;
        default: CHECK(!"an unexpected packet for a publisher"); break;
        }
    }
}

static void publisher_connects(struct world *w, struct publisher *p, unsigned shard)
{
    struct connect_options o = {.id = p->name, .expiry_s = 1000};

    p->greeted = false;
    p->c = net_start_connect(&w->n, shard, 5, &o);
}

/* ---- subscribers ---- */

static void owe(struct subscriber *s, enum mqtt_type type, uint16_t id)
{
    if (CHECK(s->n_acks < ARRAY_LEN(s->acks)))
        s->acks[s->n_acks++] = (struct ack){type, id};
}

/* A message that is new comes next in order. */
static void take_message(struct subscriber *s, const struct mqtt_publish *m)
{
    unsigned from, number;
    char text[24];

    snprintf(text, sizeof text, "%.*s", (int)m->payload.len, (const char *)m->payload.p);
    if (!CHECK_INT(sscanf(text, "p%u:%u", &from, &number), 2))
        return;
    if (number > s->seen[from]) {
        CHECK_INT(number, s->seen[from] + 1);
        CHECK(m->qos == 1 || !s->received[m->packet_id]);
        s->seen[from] = number;
    } else if (m->qos == 1) {
        CHECK(m->dup);
    } else {
        CHECK(m->dup && s->received[m->packet_id]);
    }
    s->received[m->packet_id] |= m->qos == 2;
    owe(s, m->qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, m->packet_id);
}

static void subscriber_reads(struct subscriber *s)
{
    struct mqtt_packet p;

    while (client_next(s->c, &p)) {
        switch (p.type) {
        case MQTT_CONNACK:
            CHECK_INT(p.connack.reason, 0);
            CHECK(p.connack.session_present == (s->moves > 0));
            break;
        case MQTT_PUBLISH: take_message(s, &p.publish); break;
        case MQTT_PUBREL:
            s->received[p.ack.packet_id] = false;
            owe(s, MQTT_PUBCOMP, p.ack.packet_id);
            break;
        default: break; /* SUBACK */
        }
    }
}

/* Acknowledgements go in the order of what they are for [v5 MQTT-4.6.0-2]. */
static void subscriber_answers(struct subscriber *s, unsigned n)
{
    unsigned sent = n < s->n_acks ? n : s->n_acks;

    for (unsigned i = 0; i < sent; i++)
        feed_ack(s->c, s->acks[i].type, s->acks[i].id);
    s->n_acks -= sent;
    memmove(s->acks, s->acks + sent, s->n_acks * sizeof s->acks[0]);
}

/* On another shard, or the same. What the old connection has brought is read, or lost; it is closed
 * by the client, or left alone. */
static void subscriber_moves(struct world *w, struct subscriber *s, unsigned shard)
{
    struct connect_options o = {
        .id = s->name, .expiry_s = 1000, .receive_maximum = (uint16_t)(1 + choose(w, 12))};

    if (s->c != NULL && s->c->greeted)
        s->moves++;
    if (s->c != NULL && !s->c->greeted && !client_quiet(s->c) && s->c->in[3] == 0)
        s->moves++; /* it had been welcome, and has not looked */
    if (s->c != NULL && choose(w, 2) == 0 && s->c->greeted)
        subscriber_reads(s);
    if (s->c != NULL && choose(w, 2) == 0 && s->c->conn != NULL) {
        connection_closed(s->c->conn);
        s->c->conn = NULL;
    }
    s->n_acks = 0; /* they were for the old connection */
    s->c = net_start_connect(&w->n, shard, 5, &o);
}

/* ---- the play ---- */

static void world_init(struct world *w, uint64_t seed)
{
    struct broker_config cfg = broker_config_default();

    cfg.max_queued_messages = 1000000;
    cfg.max_queued_bytes = UINT64_MAX / 2;
    memset(w, 0, sizeof *w);
    net_init(&w->n, SHARDS, &cfg);
    w->n.env.state += seed;
    for (unsigned i = 0; i < PUBLISHERS; i++) {
        struct publisher *p = &w->pubs[i];

        snprintf(p->name, sizeof p->name, "p%u", i);
        p->qos = (uint8_t)(1 + i % 2);
        publisher_connects(w, p, i % SHARDS);
    }
    for (unsigned i = 0; i < SUBSCRIBERS; i++) {
        struct subscriber *s = &w->subs[i];

        snprintf(s->name, sizeof s->name, "s%u", i);
        subscriber_moves(w, s, i % SHARDS);
        client_feed(s->c, "\x82\7\0\1\0\0\1t\2", 9);
    }
    net_run(&w->n);
    for (unsigned i = 0; i < SUBSCRIBERS; i++)
        subscriber_reads(&w->subs[i]);
}

static void play(struct world *w)
{
    struct publisher *p = &w->pubs[choose(w, PUBLISHERS)];
    struct subscriber *s = &w->subs[choose(w, SUBSCRIBERS)];

    publisher_reads(p);
    publish(p);
    if (s->c->greeted || choose(w, 4) > 0) {
        subscriber_reads(s);
        subscriber_answers(s, choose(w, 12));
    }
    switch (choose(w, 24)) {
    case 0: subscriber_moves(w, s, choose(w, SHARDS)); break;
    case 1:
        if (p->qos == 2)
            publisher_connects(w, p, choose(w, SHARDS));
        break;
    case 2: s->c->stalled = !s->c->stalled; break;
    case 3: env_test_sleep(&w->n.env, choose(w, 3)); break;
    default: break;
    }
    if (s->c->blocked && s->c->conn != NULL && !s->c->closed && choose(w, 2) == 0) {
        shard_turn_begin(s->c->shard);
        s->c->blocked = false;
        connection_writable(s->c->conn);
    }
    for (unsigned i = choose(w, 4); i > 0; i--)
        net_turn(&w->n, choose(w, SHARDS));
}

/* Nobody moves any more: everything gets where it was going. */
static void finish(struct world *w)
{
    for (unsigned i = 0; i < SUBSCRIBERS; i++) {
        subscriber_moves(w, &w->subs[i], i % SHARDS);
        net_run(&w->n);
    }
    for (unsigned round = 0; round < 20000; round++) {
        bool quiet = !net_busy(&w->n);

        for (unsigned i = 0; i < PUBLISHERS; i++) {
            publisher_reads(&w->pubs[i]);
            quiet &= w->pubs[i].n_open == 0;
        }
        for (unsigned i = 0; i < SUBSCRIBERS; i++) {
            subscriber_reads(&w->subs[i]);
            quiet &= w->subs[i].n_acks == 0;
            subscriber_answers(&w->subs[i], UINT32_MAX);
        }
        if (quiet)
            break;
        net_run(&w->n);
    }
}

static void check_all(struct world *w)
{
    for (unsigned i = 0; i < PUBLISHERS; i++) {
        CHECK_ROW_INT(i, w->pubs[i].n_open, 0);
        CHECK_ROW(i, w->pubs[i].sent > STEPS / PUBLISHERS / 8);
        for (unsigned k = 0; k < SUBSCRIBERS; k++)
            CHECK_ROW_INT(i * 10 + k, w->subs[k].seen[i], w->pubs[i].sent);
    }
    for (unsigned why = 0; why < DROP_COUNT; why++)
        CHECK_ROW_INT(why, net_drops(&w->n, (enum drop_reason)why), 0);
    CHECK_INT(NET_COUNT(&w->n, inflight), 0);
    CHECK_INT(NET_COUNT(&w->n, queued), 0);
    CHECK_INT(NET_COUNT(&w->n, sessions), PUBLISHERS + SUBSCRIBERS);
    CHECK_INT(directory_count(&w->n.broker->directory), PUBLISHERS + SUBSCRIBERS);
    CHECK(NET_COUNT(&w->n, sessions_moved) > STEPS / 100);
}

static void test_random(void)
{
    static struct world w;

    for (uint64_t seed = 1; seed <= 4; seed++) {
        unsigned failures = CU_get_number_of_failures();

        world_init(&w, seed);
        for (int i = 0; i < STEPS; i++)
            play(&w);
        finish(&w);
        check_all(&w);
        net_fini(&w.n);
        if (CU_get_number_of_failures() != failures) {
            printf("  with seed %u\n", (unsigned)seed);
            break;
        }
    }
}

TEST_MAIN(test_random)

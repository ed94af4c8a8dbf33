/* threads_test: shards as they are in the daemon, each on a thread of its own: what they have in
 * common bears it (ThreadSanitizer looks), and what they hand to each other arrives. The threads
 * use no check of CUnit's; what they found is looked at when they have ended. */
#include "base/log.h"
#include "base/test.h"
#include "broker/broker.h"
#include "broker/connection.h"
#include "broker/shard.h"
#include "broker/stats.h"
#include "mqtt/decode.h"
#include "mqtt/encode.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#define SHARDS   3
#define MESSAGES 500 /* of each publisher; there is one on each shard */
#define MOVERS   3   /* clients that come back again and again, on any shard */
#define IN_TURN  5   /* messages that a publisher sends in one turn */
#define MOVES    40  /* of each thread */

/* One end of a connection; belongs to the thread of its shard. */
struct end {
    struct connection *conn; /* NULL: gone */
    struct end *next;
    struct transport_peer peer;
    uint8_t *in;
    size_t len, cap;
    bool closed;
};

struct worker {
    pthread_t thread;
    struct shard *shard;
    struct end *ends;               /* all that there have been */
    struct end *pub, *sub, *member; /* member: of a shared subscription */
    unsigned sent, moves;
};

static struct broker *broker;
static struct worker workers[SHARDS];
static _Atomic unsigned done; /* publishers that have got all their acknowledgements */

/* ---- transport ---- */

static enum transport_sent op_send(void *link, uint8_t *data, size_t len)
{
    struct end *e = link;

    if (e->len + len > e->cap) {
        e->cap = (e->len + len) * 2;
        e->in = realloc(e->in, e->cap);
    }
    memset(data - TRANSPORT_HEADROOM, 0xee, TRANSPORT_HEADROOM);
    memcpy(e->in + e->len, data, len);
    e->len += len;
    return TRANSPORT_SENT;
}

static void op_close(void *link, enum close_reason why, struct mqtt_str text)
{
    (void)why;
    (void)text;
    ((struct end *)link)->closed = true;
}

static void op_read_enable(void *link, bool on)
{
    (void)link;
    (void)on;
}

static const struct transport_ops ops = {op_send, op_close, op_read_enable};

static void feed(struct end *e, int version, const struct mqtt_packet *p)
{
    uint8_t bytes[256];
    size_t len = mqtt_encode(p, version, bytes, sizeof bytes);

    if (e->conn != NULL && !e->closed)
        connection_input(e->conn, bytes, len);
}

static struct end *come(struct worker *w, const char *id)
{
    struct end *e = calloc(1, sizeof *e);
    struct mqtt_packet p = {.type = MQTT_CONNECT};
    enum close_reason why;

    e->peer = (struct transport_peer){.address = MQTT_STR("192.0.2.1"), .allow_anonymous = true};
    e->conn = connection_new(w->shard, &ops, e, &e->peer, &why);
    e->next = w->ends;
    w->ends = e;
    p.connect.version = MQTT_V5;
    p.connect.client_id = (struct mqtt_str){(const uint8_t *)id, (uint32_t)strlen(id)};
    MQTT_SET(&p.connect.props, session_expiry_s, 3600);
    feed(e, MQTT_V5, &p);
    return e;
}

static void subscribe(struct end *e, struct mqtt_str filter_and_options)
{
    struct mqtt_packet p = {.type = MQTT_SUBSCRIBE};

    p.subscribe.packet_id = 1;
    p.subscribe.filters = filter_and_options;
    p.subscribe.count = 1;
    feed(e, MQTT_V5, &p);
}

/* The next packet from offset *at on; false when there is none. */
static bool next_packet(const struct end *e, size_t *at, struct mqtt_packet *out)
{
    struct mqtt_frame f;

    if (mqtt_frame(e->in + *at, e->len - *at, MQTT_V5, MQTT_SERVER, UINT32_MAX, &f) != 0 ||
        mqtt_decode(&f, e->in + *at, MQTT_V5, MQTT_SERVER, out) != 0)
        return false;
    *at += f.total;
    return true;
}

/* ---- threads ---- */

static void publish(struct worker *w)
{
    char topic[8], payload[16];
    struct mqtt_packet p = {.type = MQTT_PUBLISH};

    snprintf(topic, sizeof topic, "t/%u", w->shard->index);
    snprintf(payload, sizeof payload, "%u", ++w->sent);
    p.publish.topic = (struct mqtt_str){(const uint8_t *)topic, (uint32_t)strlen(topic)};
    p.publish.payload = (struct mqtt_str){(const uint8_t *)payload, (uint32_t)strlen(payload)};
    p.publish.qos = 1;
    p.publish.retain = w->sent % 10 == 0;
    p.publish.packet_id = (uint16_t)w->sent;
    feed(w->pub, MQTT_V5, &p);
}

static unsigned acknowledged(const struct end *e)
{
    struct mqtt_packet p;
    unsigned n = 0;

    for (size_t at = 0; next_packet(e, &at, &p);)
        n += p.type == MQTT_PUBACK;
    return n;
}

static void report_closed(struct worker *w)
{
    for (struct end *e = w->ends; e != NULL; e = e->next) {
        if (!e->closed || e->conn == NULL)
            continue;
        connection_closed(e->conn);
        e->conn = NULL;
    }
}

static void turn(struct worker *w, void (*act)(struct worker *w))
{
    shard_turn_begin(w->shard);
    if (act != NULL)
        act(w);
    shard_turn_end(w->shard);
    report_closed(w);
}

static void act(struct worker *w)
{
    for (int i = 0; i < IN_TURN && w->sent < MESSAGES; i++)
        publish(w);
    if (w->sent > (w->moves + 1) * MESSAGES / (MOVES + 1) && w->moves < MOVES) {
        char id[16];

        snprintf(id, sizeof id, "mover%u", (w->shard->index + w->moves++) % MOVERS);
        come(w, id);
    }
}

static void *work(void *arg)
{
    struct worker *w = arg;
    bool finished = false;

    while (atomic_load(&done) < SHARDS) {
        turn(w, act);
        if (!finished && w->sent == MESSAGES && acknowledged(w->pub) == MESSAGES) {
            finished = true;
            atomic_fetch_add(&done, 1);
        }
        sched_yield();
    }
    return NULL;
}

/* ---- before and after ---- */

static bool busy(const struct shard *sh)
{
    return inbox_has_items(&((struct shard *)(uintptr_t)sh)->posts.inbox);
}

static void settle(void)
{
    bool more = true;

    while (more) {
        for (unsigned i = 0; i < SHARDS; i++)
            turn(&workers[i], NULL);
        more = false;
        for (unsigned i = 0; i < SHARDS; i++)
            more |= busy(workers[i].shard);
    }
}

static void start(void)
{
    struct broker_config cfg = broker_config_default();

    cfg.max_inflight = UINT16_MAX;
    cfg.receive_maximum = UINT16_MAX;
    cfg.max_queued_messages = UINT32_MAX;
    cfg.max_queued_bytes = UINT64_MAX / 2;
    log_configure(STDERR_FILENO, LOG_ERROR, LOG_TEXT);
    broker = broker_new(env_system(), &cfg, NULL, SHARDS, "test");
    memset(workers, 0, sizeof workers);
    atomic_store(&done, 0);
    for (unsigned i = 0; i < SHARDS; i++) {
        struct worker *w = &workers[i];
        char id[16];

        w->shard = broker->shards[i];
        shard_turn_begin(w->shard);
        snprintf(id, sizeof id, "pub%u", i);
        w->pub = come(w, id);
        snprintf(id, sizeof id, "sub%u", i);
        w->sub = come(w, id);
        subscribe(w->sub, MQTT_STR("\0\3t/+\1"));
        snprintf(id, sizeof id, "member%u", i);
        w->member = come(w, id);
        subscribe(w->member, MQTT_STR("\0\014$share/g/t/+\1"));
        snprintf(id, sizeof id, "mover%u", i % MOVERS);
        subscribe(come(w, id), MQTT_STR("\0\3t/+\1"));
    }
    settle();
}

static void end(void)
{
    for (unsigned i = 0; i < SHARDS; i++) {
        for (struct end *e = workers[i].ends, *next; e != NULL; e = next) {
            next = e->next;
            if (e->conn != NULL)
                connection_closed(e->conn);
            free(e->in);
            free(e);
        }
        workers[i].ends = NULL;
    }
    broker_free(&broker);
}

/* All messages of each publisher have come, each once, in order. */
static void check_messages(const struct end *e)
{
    unsigned seen[SHARDS] = {0};
    struct mqtt_packet p;

    for (size_t at = 0; next_packet(e, &at, &p);) {
        char payload[16];
        unsigned from;

        if (p.type == MQTT_CONNACK)
            CHECK_INT(p.connack.reason, 0);
        if (p.type != MQTT_PUBLISH)
            continue;
        from = (unsigned)(p.publish.topic.p[2] - '0') % SHARDS;
        snprintf(payload, sizeof payload, "%.*s", (int)p.publish.payload.len,
                 (const char *)p.publish.payload.p);
        if (atoi(payload) != (int)++seen[from])
            FAIL_ROW(seen[from], "the next message");
    }
    for (unsigned i = 0; i < SHARDS; i++)
        CHECK_ROW_INT(i, seen[i], MESSAGES);
}

static unsigned messages(const struct end *e)
{
    struct mqtt_packet p;
    unsigned n = 0;

    for (size_t at = 0; next_packet(e, &at, &p);)
        n += p.type == MQTT_PUBLISH;
    return n;
}

static void test_all_at_once(void)
{
    unsigned shared = 0;
    struct stats s;
    static char page[65536];

    start();
    for (unsigned i = 0; i < SHARDS; i++)
        CHECK_INT(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    while (atomic_load(&done) < SHARDS) { /* as /metrics may, at any time */
        stats_read(broker, &s);
        stats_prometheus(broker, page, sizeof page);
        usleep(1000);
    }
    for (unsigned i = 0; i < SHARDS; i++)
        pthread_join(workers[i].thread, NULL);
    settle();
    for (unsigned i = 0; i < SHARDS; i++)
        check_messages(workers[i].sub);
    for (unsigned i = 0; i < SHARDS; i++)
        shared += messages(workers[i].member);
    CHECK_INT(shared, SHARDS * MESSAGES);
    for (unsigned m = 0; m < MOVERS; m++) { /* nothing of theirs was ever acknowledged */
        char id[16];
        struct end *e;

        snprintf(id, sizeof id, "mover%u", m);
        shard_turn_begin(workers[0].shard);
        e = come(&workers[0], id);
        settle();
        check_messages(e);
    }
    stats_read(broker, &s);
    CHECK_INT(s.dropped, 0);
    CHECK_INT(s.sessions, 3 * SHARDS + MOVERS);
    CHECK(s.sessions_moved >= MOVERS); /* far more, when no thread is done before another begins */
    end();
}

TEST_MAIN(test_all_at_once)

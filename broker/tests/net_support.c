/* net_support: see net_support.h. */
#include "net_support.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/test.h"
#include "broker/purposes.h"
#include "broker/session.h"
#include "broker/stats.h"
#include "mqtt/encode.h"

#include <stdlib.h>
#include <unistd.h>

void each_version(void (*body)(int version))
{
    for (int version = MQTT_V31; version <= MQTT_V5; version++) {
        unsigned failures = CU_get_number_of_failures();

        body(version);
        if (CU_get_number_of_failures() != failures)
            printf("  with version %d of the protocol\n", version);
    }
}

/* ---- transport ---- */

static enum transport_sent op_send(void *link, uint8_t *data, size_t len)
{
    struct client *c = link;

    CHECK(!c->blocked && !c->closed && len > 0);
    if (c->dead)
        return TRANSPORT_DEAD;
    if (c->in_len + len > c->in_cap) {
        c->in_cap = (c->in_len + len) * 2;
        c->in = realloc(c->in, c->in_cap);
    }
    memset(data - TRANSPORT_HEADROOM, 0xee, TRANSPORT_HEADROOM); /* it is ours to write */
    memcpy(c->in + c->in_len, data, len);
    c->in_len += len;
    c->writes++;
    c->blocked = c->stalled;
    return c->stalled ? TRANSPORT_BLOCKED : TRANSPORT_SENT;
}

static void op_close(void *link, enum close_reason why, struct mqtt_str text)
{
    struct client *c = link;

    CHECK(!c->closed);
    c->closed = true;
    c->why = why;
    snprintf(c->text, sizeof c->text, "%.*s", (int)text.len, (const char *)text.p);
}

static void op_read_enable(void *link, bool on)
{
    struct client *c = link;

    CHECK(c->reading_off == on);
    c->reading_off = !on;
}

static const struct transport_ops ops = {op_send, op_close, op_read_enable};

/* ---- turns ---- */

static bool busy(const struct shard *sh)
{
    return inbox_has_items(&((struct shard *)(uintptr_t)sh)->posts.inbox) ||
           shard_next_turn_ms(sh) <= sh->now_ms;
}

bool net_busy(const struct net *n)
{
    for (unsigned i = 0; i < n->broker->n_shards; i++)
        if (busy(n->broker->shards[i]))
            return true;
    return false;
}

static void report_closed(struct net *n)
{
    LIST_EACH (l, &n->clients) {
        struct client *c = LIST_ITEM(l, struct client, link);

        if (c->closed && c->conn != NULL) {
            connection_closed(c->conn);
            c->conn = NULL;
        }
    }
}

static void turn(struct shard *sh)
{
    shard_turn_begin(sh);
    shard_turn_end(sh);
}

void net_run(struct net *n)
{
    int round = 0;

    do {
        for (unsigned i = 0; i < n->broker->n_shards; i++)
            turn(n->broker->shards[i]);
        report_closed(n);
    } while (net_busy(n) && ++round < 100000);
    CHECK(!net_busy(n));
}

void net_turn(struct net *n, unsigned shard)
{
    turn(n->broker->shards[shard]);
    report_closed(n);
}

void net_sleep(struct net *n, uint64_t ms)
{
    uint64_t end = n->env.time.mono_ms + ms;

    for (;;) {
        uint64_t next = end;

        for (unsigned i = 0; i < n->broker->n_shards; i++) {
            uint64_t due = shard_next_turn_ms(n->broker->shards[i]);

            next = due < next ? due : next;
        }
        if (next > n->env.time.mono_ms)
            env_test_sleep(&n->env, next - n->env.time.mono_ms);
        net_run(n);
        if (n->env.time.mono_ms >= end)
            return;
    }
}

void net_init_auth(struct net *n, unsigned shards, const struct broker_config *config,
                   const struct auth *auth)
{
    struct broker_config defaults = broker_config_default();

    log_configure(STDERR_FILENO, LOG_ERROR, LOG_TEXT);
    env_test_init(&n->env, 42);
    list_init(&n->clients);
    n->broker = broker_new(&n->env.env, config != NULL ? config : &defaults, auth, shards, "test");
}

void net_init(struct net *n, unsigned shards, const struct broker_config *config)
{
    net_init_auth(n, shards, config, NULL);
}

int64_t net_drops(const struct net *n, enum drop_reason why)
{
    int64_t sum = 0;

    for (unsigned i = 0; i < n->broker->n_shards; i++)
        sum += n->broker->shards[i]->drops[why];
    return sum;
}

int64_t net_closes(const struct net *n, enum close_reason why)
{
    int64_t sum = 0;

    for (unsigned i = 0; i < n->broker->n_shards; i++)
        sum += n->broker->shards[i]->closes[why];
    return sum;
}

int64_t net_count(const struct net *n, size_t offset)
{
    int64_t sum = 0;

    for (unsigned i = 0; i < n->broker->n_shards; i++) {
        const char *all = (const char *)&n->broker->shards[i]->counters;

        sum += atomic_load((const _Atomic int64_t *)(const void *)(all + offset));
    }
    return sum;
}

/* ---- allocations that fail ---- */

bool net_fail_next(struct net_fail *f)
{
    return f->at++ == 0 || f->more;
}

void net_fail(struct net_fail *f, struct net *n, unsigned shard)
{
    f->mem = n->broker->shards[shard]->mem;
    mem_fail_at(f->mem, f->at);
}

void net_fail_end(struct net_fail *f)
{
    f->more = mem_fail_at(f->mem, 0) == 0;
}

static void check_gauges(const struct net *n)
{
    struct stats s;

    stats_read(n->broker, &s);
    CHECK_INT(s.connections, 0);
    CHECK_INT(s.sessions, 0);
    CHECK_INT(s.sessions_offline, 0);
    CHECK_INT(s.subscriptions, 0);
    CHECK_INT(s.shared_subscriptions, 0);
    CHECK_INT(s.queued, 0);
    CHECK_INT(s.inflight, 0);
    if (s.retained == 0) /* the only messages that outlive all sessions */
        CHECK_INT(broker_memory(n->broker, FOR_MESSAGE), 0);
}

static void check_memory(struct net *n)
{
    static const char *const names[] = {
#define X(name, label) label,
        BROKER_PURPOSES(X)
#undef X
    };

    for (unsigned purpose = 0; purpose < FOR_COUNT; purpose++) {
        int64_t used = broker_memory(n->broker, purpose);

        if (purpose == FOR_SHARD || purpose == FOR_TOPIC_TREE || purpose == FOR_RETAINED ||
            purpose == FOR_SHARE || purpose == FOR_MESSAGE || purpose == FOR_OUTPUT ||
            purpose == FOR_STORE)
            continue; /* tables and spare buffers that live as long as the shard */
        if (used != 0)
            printf("  %s: %lld bytes left\n", names[purpose], (long long)used);
        CHECK_INT(used, 0);
    }
}

/* What the windows of all sessions say they hold is what is in them. */
static void check_windows(const struct net *n)
{
    for (unsigned i = 0; i < n->broker->n_shards; i++) {
        LIST_EACH (l, &n->broker->shards[i]->all_sessions) {
            const struct session_flow *f = LIST_ITEM(l, struct session, link)->flow;
            uint64_t bytes = 0;

            if (f == NULL)
                continue;
            for (const struct inflight_entry *e = inflight_first(&f->out); e != NULL;
                 e = inflight_after(&f->out, e))
                bytes += e->d.msg != NULL ? delivery_size(&e->d) : 0;
            CHECK_INT(f->out.bytes, bytes);
        }
    }
}

void net_fini(struct net *n)
{
    check_windows(n);
    LIST_EACH_SAFE (l, &n->clients)
        client_drop(LIST_ITEM(l, struct client, link));
    net_run(n);
    check_windows(n);
    for (unsigned i = 0; i < n->broker->n_shards; i++)
        journal_close(n->broker->shards[i]);
    for (unsigned i = 0; i < n->broker->n_shards; i++)
        shard_end_sessions(n->broker->shards[i]);
    net_run(n);
    check_gauges(n);
    check_memory(n);
    broker_free(&n->broker);
}

/* ---- clients ---- */

struct transport_peer net_peer(void)
{
    return (struct transport_peer){.address = MQTT_STR("192.0.2.1"),
                                   .port = 4711,
                                   .listener = MQTT_STR("test"),
                                   .allow_anonymous = true};
}

struct client *net_open(struct net *n, unsigned shard, int version)
{
    return net_open_from(n, shard, version, net_peer());
}

struct client *net_open_from(struct net *n, unsigned shard, int version, struct transport_peer peer)
{
    struct client *c = calloc(1, sizeof *c);
    enum close_reason why;

    c->net = n;
    c->shard = n->broker->shards[shard];
    c->version = version;
    c->peer = peer;
    list_init(&c->link);
    shard_turn_begin(c->shard);
    c->conn = connection_new(c->shard, &ops, c, &c->peer, &why);
    c->why = why;
    list_push_back(&n->clients, &c->link);
    return c;
}

void client_free(struct client *c)
{
    net_run(c->net);
    if (c->conn != NULL)
        connection_closed(c->conn);
    list_remove(&c->link);
    free(c->in);
    free(c);
}

void client_drop(struct client *c)
{
    struct net *n = c->net;

    client_free(c);
    net_run(n);
}

void client_feed(struct client *c, const void *data, size_t len)
{
    shard_turn_begin(c->shard);
    if (c->conn != NULL)
        connection_input(c->conn, data, len);
}

void client_send(struct client *c, const void *data, size_t len)
{
    client_feed(c, data, len);
    net_run(c->net);
}

void client_feed_packet(struct client *c, const struct mqtt_packet *p)
{
    size_t size = mqtt_encode_size(p, c->version);
    uint8_t *data = malloc(size);

    CHECK(size > 0);
    mqtt_encode(p, c->version, data, size);
    client_feed(c, data, size);
    free(data);
}

void client_send_packet(struct client *c, const struct mqtt_packet *p)
{
    client_feed_packet(c, p);
    net_run(c->net);
}

/* What must hold for every packet of the broker, besides that it can be decoded. */
static void check_packet(struct client *c, const struct mqtt_packet *p, uint32_t size)
{
    CHECK(c->max_packet == 0 || size <= c->max_packet); /* [v5 MQTT-3.1.2-24] */
    if (p->type == MQTT_CONNACK) {
        CHECK(!c->greeted); /* [v5 MQTT-3.2.0-2] */
        c->greeted = true;
    } else {
        CHECK(c->greeted || p->type == MQTT_AUTH); /* [v5 MQTT-3.2.0-1] [v3 MQTT-3.2.0-1] */
    }
    if (p->type == MQTT_DISCONNECT)
        CHECK(c->closed && c->in_at == c->in_len); /* [v5 MQTT-3.14.4-1] [v5 MQTT-3.14.4-2] */
}

bool client_next(struct client *c, struct mqtt_packet *out)
{
    struct mqtt_frame f;
    int rc;

    memset(out, 0, sizeof *out);
    if (c->in_at == c->in_len)
        return false;
    rc =
        mqtt_frame(c->in + c->in_at, c->in_len - c->in_at, c->version, MQTT_SERVER, UINT32_MAX, &f);
    CHECK_INT(rc, 0);
    if (rc != 0)
        return false;
    rc = mqtt_decode(&f, c->in + c->in_at, c->version, MQTT_SERVER, out);
    CHECK_INT(rc, 0);
    c->in_at += f.total;
    if (rc == 0)
        check_packet(c, out, f.total);
    return rc == 0;
}

bool client_expect(struct client *c, enum mqtt_type type, struct mqtt_packet *out)
{
    bool there = client_next(c, out);

    CHECK(there);
    CHECK_INT(out->type, type);
    if (there && out->type == type)
        return true;
    memset(out, 0, sizeof *out);
    return false;
}

bool client_quiet(struct client *c)
{
    return c->in_at == c->in_len;
}

void client_stall(struct client *c)
{
    c->stalled = true;
}

void client_trickle(struct client *c)
{
    shard_turn_begin(c->shard);
    if (c->conn != NULL && c->blocked && !c->closed) {
        c->blocked = false;
        connection_writable(c->conn);
    }
    net_run(c->net);
}

void client_unstall(struct client *c)
{
    c->stalled = false;
    client_trickle(c);
}

void client_expect_closed(struct client *c)
{
    CHECK(client_quiet(c));
    CHECK(c->closed);
    client_free(c);
}

void client_expect_disconnect(struct client *c, uint8_t reason)
{
    struct mqtt_packet p;

    CHECK_INT(close_info(c->why)->mqtt5, reason);
    if (c->version == MQTT_V5 && client_expect(c, MQTT_DISCONNECT, &p)) {
        CHECK_INT(p.reasoned.reason, reason);
        CHECK(!MQTT_HAS(&p.reasoned.props, session_expiry_s)); /* [v5 MQTT-3.14.2-2] */
    }
    client_expect_closed(c);
}

void client_expect_refusal(struct client *c, int code)
{
    struct mqtt_packet p;

    if (code != NO_CONNACK && client_expect(c, MQTT_CONNACK, &p)) {
        CHECK_INT(p.connack.reason, code);
        CHECK(!p.connack.session_present); /* [v5 MQTT-3.2.2-6] [v3 MQTT-3.2.2-4] */
    }
    client_expect_closed(c); /* [v5 MQTT-3.2.2-7] [v5 MQTT-3.14.0-1] [v3 MQTT-3.2.2-5] */
}

/* ---- short forms ---- */

void client_connect_packet(struct mqtt_packet *p, int version, const struct connect_options *o)
{
    struct mqtt_connect *c = &p->connect;

    memset(p, 0, sizeof *p);
    p->type = MQTT_CONNECT;
    c->version = (enum mqtt_version)version;
    c->clean_start = o->clean;
    c->keep_alive_s = o->keep_alive_s;
    c->client_id = text_str(o->id);
    if (o->expiry_s != 0)
        MQTT_SET(&c->props, session_expiry_s, o->expiry_s);
    if (o->receive_maximum != 0)
        MQTT_SET(&c->props, receive_maximum, o->receive_maximum);
    if (o->maximum_packet_size != 0)
        MQTT_SET(&c->props, maximum_packet_size, o->maximum_packet_size);
    if (o->topic_alias_maximum != 0)
        MQTT_SET(&c->props, topic_alias_maximum, o->topic_alias_maximum);
    if (o->will_topic != NULL) {
        c->has_will = true;
        c->will.topic = text_str(o->will_topic);
        c->will.payload = text_str(o->will_payload != NULL ? o->will_payload : "");
        c->will.qos = o->will_qos;
        c->will.retain = o->will_retain;
        if (o->will_delay_s != 0)
            MQTT_SET(&c->will.props, will_delay_s, o->will_delay_s);
    }
}

struct client *net_try_connect(struct net *n, int version, const struct mqtt_packet *p)
{
    struct client *c = net_open(n, 0, version);

    if (MQTT_HAS(&p->connect.props, maximum_packet_size))
        c->max_packet = p->connect.props.maximum_packet_size;
    client_send_packet(c, p);
    return c;
}

struct client *net_start_connect(struct net *n, unsigned shard, int version,
                                 const struct connect_options *o)
{
    struct client *c = net_open(n, shard, version);
    struct mqtt_packet p;

    client_connect_packet(&p, version, o);
    c->max_packet = o->maximum_packet_size;
    client_feed_packet(c, &p);
    return c;
}

struct client *net_connect(struct net *n, unsigned shard, int version,
                           const struct connect_options *o, bool *out_present)
{
    struct client *c = net_start_connect(n, shard, version, o);
    struct mqtt_packet p;

    net_run(n);
    client_expect(c, MQTT_CONNACK, &p);
    CHECK_INT(p.connack.reason, 0);
    if (out_present != NULL)
        *out_present = p.connack.session_present;
    return c;
}

struct client *net_client(struct net *n, unsigned shard, int version, const char *id)
{
    return net_connect(n, shard, version, &(struct connect_options){.id = id, .clean = true}, NULL);
}

static uint16_t take_id(struct client *c)
{
    if (++c->next_id == 0)
        c->next_id = 1;
    return c->next_id;
}

static uint8_t subscribe(struct client *c, const char *filter, uint8_t options, uint32_t sub_id)
{
    size_t len = strlen(filter);
    uint8_t *payload = malloc(len + 3);
    struct mqtt_packet p = {.type = MQTT_SUBSCRIBE};

    payload[0] = (uint8_t)(len >> 8);
    payload[1] = (uint8_t)len;
    memcpy(payload + 2, filter, len);
    payload[len + 2] = options;
    p.subscribe.packet_id = take_id(c);
    p.subscribe.filters = (struct mqtt_str){payload, (uint32_t)len + 3};
    p.subscribe.count = 1;
    if (sub_id != 0)
        MQTT_SET(&p.subscribe.props, subscription_id, sub_id);
    client_send_packet(c, &p);
    free(payload);
    if (!client_expect(c, MQTT_SUBACK, &p))
        return 0xff;
    CHECK_INT(p.suback.packet_id, c->next_id);
    CHECK_INT(p.suback.reasons.len, 1);
    return p.suback.reasons.len == 1 ? p.suback.reasons.p[0] : 0xff;
}

uint8_t client_try_subscribe(struct client *c, const char *filter, uint8_t options)
{
    return subscribe(c, filter, options, 0);
}

void client_subscribe(struct client *c, const char *filter, uint8_t options)
{
    CHECK_INT(subscribe(c, filter, options, 0), MQTT_SUB_QOS(options));
}

void client_subscribe_id(struct client *c, const char *filter, uint8_t options, uint32_t sub_id)
{
    CHECK_INT(subscribe(c, filter, options, sub_id), MQTT_SUB_QOS(options));
}

uint8_t client_unsubscribe(struct client *c, const char *filter)
{
    size_t len = strlen(filter);
    uint8_t payload[1024];
    struct mqtt_packet p = {.type = MQTT_UNSUBSCRIBE};

    payload[0] = (uint8_t)(len >> 8);
    payload[1] = (uint8_t)len;
    memcpy(payload + 2, filter, len);
    p.subscribe.packet_id = take_id(c);
    p.subscribe.filters = (struct mqtt_str){payload, (uint32_t)len + 2};
    p.subscribe.count = 1;
    client_send_packet(c, &p);
    if (!client_expect(c, MQTT_UNSUBACK, &p))
        return 0xff;
    return p.suback.reasons.len == 1 ? p.suback.reasons.p[0] : 0;
}

uint16_t client_feed_publish(struct client *c, const char *topic, const char *payload, uint8_t qos,
                             bool retain)
{
    struct mqtt_packet p = {.type = MQTT_PUBLISH};

    p.publish.topic = text_str(topic);
    p.publish.payload = text_str(payload);
    p.publish.qos = qos;
    p.publish.retain = retain;
    p.publish.packet_id = qos > 0 ? take_id(c) : 0;
    client_feed_packet(c, &p);
    return p.publish.packet_id;
}

void client_retain_many(struct client *pub, int n)
{
    char topic[16];

    for (int i = 0; i < n; i++) {
        snprintf(topic, sizeof topic, "r/%d", i);
        client_feed_publish(pub, topic, "old", 1, true);
        if (i % 100 == 99)
            net_run(pub->net);
    }
    net_run(pub->net);
}

uint16_t client_start_publish(struct client *c, const char *topic, const char *payload, uint8_t qos,
                              bool retain)
{
    uint16_t id = client_feed_publish(c, topic, payload, qos, retain);

    net_run(c->net);
    return id;
}

void client_send_ack(struct client *c, enum mqtt_type type, uint16_t packet_id, uint8_t reason)
{
    struct mqtt_packet p = {.type = type};

    p.ack.packet_id = packet_id;
    p.ack.reason = reason;
    client_send_packet(c, &p);
}

void client_publish(struct client *c, const char *topic, const char *payload, uint8_t qos,
                    bool retain)
{
    uint16_t id = client_start_publish(c, topic, payload, qos, retain);
    struct mqtt_packet p;

    if (qos == 0)
        return;
    client_expect(c, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, &p);
    CHECK_INT(p.ack.packet_id, id);
    CHECK(p.ack.reason < 0x80);
    if (qos == 1)
        return;
    client_send_ack(c, MQTT_PUBREL, id, 0);
    client_expect(c, MQTT_PUBCOMP, &p);
    CHECK_INT(p.ack.packet_id, id);
}

uint16_t client_expect_publish(struct client *c, const char *topic, const char *payload,
                               uint8_t qos, bool ack)
{
    struct mqtt_packet p;
    uint16_t id;

    if (!client_expect(c, MQTT_PUBLISH, &p))
        return 0;
    CHECK(mqtt_str_eq(p.publish.topic, text_str(topic)));
    CHECK(mqtt_str_eq(p.publish.payload, text_str(payload)));
    CHECK_INT(p.publish.qos, qos);
    id = p.publish.packet_id;
    if (!ack || qos == 0)
        return id;
    client_send_ack(c, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, id, 0);
    if (qos == 2) {
        client_expect(c, MQTT_PUBREL, &p);
        CHECK_INT(p.ack.packet_id, id);
        client_send_ack(c, MQTT_PUBCOMP, id, 0);
    }
    return id;
}

void client_disconnect(struct client *c, uint8_t reason)
{
    struct mqtt_packet p = {.type = MQTT_DISCONNECT};

    p.reasoned.reason = reason;
    client_send_packet(c, &p);
    client_free(c);
}

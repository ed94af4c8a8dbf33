/* auth_test: who may connect, publish and subscribe, and how a refusal is told in each version;
 * enhanced authentication.                                        [v5 3.1.4, 3.15, 4.12] [v3 3.1.4]
 */
#include "base/test.h"
#include "broker/retained.h"
#include "mqtt/encode.h"
#include "net_support.h"

static struct mqtt_str maybe(const char *text)
{
    return text == NULL ? (struct mqtt_str){NULL, 0} : text_str(text);
}

static bool is(struct mqtt_str got, const char *want)
{
    return want == NULL ? got.p == NULL : got.p != NULL && mqtt_str_eq(got, text_str(want));
}

static struct mqtt_packet connect_as(int version, const char *id, const char *username,
                                     const char *password)
{
    struct mqtt_packet p;

    client_connect_packet(&p, version, &(struct connect_options){.id = id, .clean = true});
    p.connect.has_username = username != NULL;
    p.connect.username = maybe(username);
    p.connect.has_password = password != NULL;
    p.connect.password = maybe(password);
    return p;
}

/* CONNACK with this 5.0 reason code, or what older versions have for it; 0: accepted. */
static void expect_connack(struct client *c, int version, uint8_t reason)
{
    uint8_t v3 = mqtt_reason_v3(reason);
    struct mqtt_packet p;

    if (reason == 0 && client_expect(c, MQTT_CONNACK, &p))
        CHECK_INT(p.connack.reason, 0);
    else if (version == 5)
        client_expect_refusal(c, reason);
    else
        client_expect_refusal(c, v3 == 0xff ? NO_CONNACK : v3);
}

/* ---- CONNECT ---- */

/* Nobody is asked: who gives no name may come where the listener lets him [v5 MQTT-3.1.4-2]. */
static void anonymous(int version)
{
    static const struct {
        bool allowed;
        const char *username, *password;
        uint8_t reason;
    } rows[] = {
        {true, NULL, NULL, 0},
        {true, "u", NULL, 0},
        {true, "u", "p", 0},
        {false, NULL, NULL, MQTT_RC_NOT_AUTHORIZED},
        {false, "u", NULL, MQTT_RC_BAD_CREDENTIALS},
        {false, "u", "p", MQTT_RC_BAD_CREDENTIALS},
        {false, "", "", MQTT_RC_BAD_CREDENTIALS},
        {false, NULL, "p", MQTT_RC_BAD_CREDENTIALS}, /* in 5.0 only */
    };

    for (size_t i = 0; i < ARRAY_LEN(rows) - (version != 5); i++) {
        struct mqtt_packet p = connect_as(version, "c", rows[i].username, rows[i].password);
        struct transport_peer peer = net_peer();
        struct net n;
        struct client *c;

        net_init(&n, 1, NULL);
        peer.allow_anonymous = rows[i].allowed;
        c = net_open_from(&n, 0, version, peer);
        client_send_packet(c, &p);
        expect_connack(c, version, rows[i].reason);
        net_fini(&n);
    }
}

static void test_anonymous(void)
{
    each_version(anonymous);
}

/* What a hook is asked, and what it answers. */
struct question {
    const char *id, *username, *password;
    int answer;
    unsigned asked;
};

static int on_connect_asked(void *arg, const struct auth_client *who, struct mqtt_str password)
{
    struct question *q = arg;

    q->asked++;
    CHECK(mqtt_str_eq(who->peer->listener, MQTT_STR("test")));
    CHECK(q->id == NULL || is(who->client_id, q->id));
    CHECK(who->client_id.len > 0);
    CHECK(is(who->username, q->username));
    CHECK(is(password, q->password));
    return q->answer;
}

static void test_connect_hook_is_told(void)
{
    static const struct {
        int version;
        const char *id, *username, *password;
    } rows[] = {
        {3, "c", "u", "p"},   {4, "c", NULL, NULL}, {4, "c", "u", NULL}, {4, "", "u", "p"},
        {5, "c", NULL, NULL}, {5, "c", "", ""},     {5, "", "u", "p"},   {5, "c", NULL, "p"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct mqtt_packet p =
            connect_as(rows[i].version, rows[i].id, rows[i].username, rows[i].password);
        struct question q = {.id = rows[i].id[0] != '\0' ? rows[i].id : NULL,
                             .username = rows[i].username,
                             .password = rows[i].password};
        struct net n;

        net_init_auth(&n, 1, NULL, &(struct auth){.arg = &q, .connect = on_connect_asked});
        expect_connack(net_try_connect(&n, rows[i].version, &p), rows[i].version, 0);
        CHECK_ROW_INT(i, q.asked, 1);
        net_fini(&n);
    }
}

/* Every reason that a CONNACK can have gets to the client as it is, in the words of its version
 * [v5 MQTT-3.2.2-8] [v3 MQTT-3.2.2-6]. */
static void connect_hook_refuses(int version)
{
    enum { N, C, S, B };
    static const struct {
        uint8_t reason, legal;
    } rows[] = {
#define X(code, name, text, ca, ...) {code, ca},
        MQTT_REASONS(X)
#undef X
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct mqtt_packet p = connect_as(version, "c", "u", "p");
        struct question q = {.id = "c", .username = "u", .password = "p", .answer = rows[i].reason};
        struct net n;

        if (rows[i].legal == N || rows[i].reason == 0)
            continue;
        net_init_auth(&n, 1, NULL, &(struct auth){.arg = &q, .connect = on_connect_asked});
        expect_connack(net_try_connect(&n, version, &p), version, rows[i].reason);
        net_fini(&n);
    }
}

static void test_connect_hook_refuses(void)
{
    each_version(connect_hook_refuses);
}

/* Who is refused takes nothing over and loses nothing for its owner [v5 MQTT-3.2.2-6]. */
static void refused_stranger(int version)
{
    struct question q = {.id = "c"};
    struct mqtt_packet p = connect_as(version, "c", NULL, NULL);
    struct net n;
    struct client *owner;

    net_init_auth(&n, 1, NULL, &(struct auth){.arg = &q, .connect = on_connect_asked});
    owner = net_connect(&n, 0, version, &(struct connect_options){.id = "c", .expiry_s = 60}, NULL);
    q.answer = MQTT_RC_NOT_AUTHORIZED;
    expect_connack(net_try_connect(&n, version, &p), version, MQTT_RC_NOT_AUTHORIZED);
    CHECK(!owner->closed);
    client_subscribe(owner, "t", 0);
    net_fini(&n);
}

static void test_refused_stranger(void)
{
    each_version(refused_stranger);
}

/* ---- PUBLISH and SUBSCRIBE ---- */

/* Says no to "secret/...". */
struct doorman {
    int answer;
    uint8_t qos;
    bool retain;
    const char *username;
};

static int guarded(struct mqtt_str topic, const struct doorman *g)
{
    return topic.len >= 7 && memcmp(topic.p, "secret/", 7) == 0 ? g->answer : 0;
}

static int on_publish_asked(void *arg, const struct auth_client *who, struct mqtt_str topic,
                            uint8_t qos, bool retain)
{
    const struct doorman *g = arg;

    CHECK(is(who->client_id, "c"));
    CHECK(is(who->username, g->username));
    CHECK_INT(qos, g->qos);
    CHECK_INT(retain, g->retain);
    return guarded(topic, g);
}

static int on_subscribe_asked(void *arg, const struct auth_client *who, struct mqtt_str filter,
                              uint8_t qos)
{
    const struct doorman *g = arg;

    CHECK(is(who->client_id, "c"));
    CHECK_INT(qos, g->qos);
    return guarded(filter, g);
}

/* The publisher learns it where its version can say it; to others it looks as if all was well
 * [v3 MQTT-3.3.5-2] [v5 MQTT-3.4.2-1] [v5 MQTT-3.5.2-1]. Nobody gets the message. */
static void publish_refused(int version)
{
    for (uint8_t qos = 0; qos <= 2; qos++) {
        struct doorman g = {
            .answer = MQTT_RC_NOT_AUTHORIZED, .qos = qos, .retain = true, .username = NULL};
        uint8_t reason = version == 5 ? MQTT_RC_NOT_AUTHORIZED : 0;
        struct net n;
        struct client *c, *watch;
        struct mqtt_packet p;
        uint16_t id;

        net_init_auth(&n, 1, NULL, &(struct auth){.arg = &g, .publish = on_publish_asked});
        watch = net_client(&n, 0, 5, "watch");
        client_subscribe(watch, "#", 2);
        c = net_client(&n, 0, version, "c");
        for (int i = 1; i <= 2; i++) { /* the identifier is free again [v5 MQTT-4.3.3-9] */
            c->next_id = 6;
            id = client_start_publish(c, "secret/x", "x", qos, true);
            if (qos > 0) {
                client_expect(c, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, &p);
                CHECK_INT(p.ack.packet_id, id);
                CHECK_INT(p.ack.reason, reason);
            }
            if (qos == 2 && version != 5) {
                client_send_ack(c, MQTT_PUBREL, id, 0);
                client_expect(c, MQTT_PUBCOMP, &p);
            }
            CHECK(client_quiet(c) && client_quiet(watch));
            CHECK_INT(net_drops(&n, DROP_REFUSED), i);
        }
        CHECK_INT(retained_count(n.broker->shards[0]), 0);
        CHECK_INT(c->conn->open_in, 0);
        c->next_id = 6;
        client_publish(c, "open", "x", qos, true);
        client_expect_publish(watch, "open", "x", qos, true);
        net_fini(&n);
    }
}

static void test_publish_refused(void)
{
    each_version(publish_refused);
}

/* A filter that is refused does not touch its neighbours, nor the subscription that was there; 3.1
 * knows only grants and is closed [v5 MQTT-3.9.3-2] [v3 MQTT-3.9.3-2]. */
static void subscribe_refused(int version)
{
    struct doorman g = {.answer = 0, .qos = 1};
    struct net n;
    struct client *c, *pub;
    struct mqtt_packet p = {.type = MQTT_SUBSCRIBE};

    net_init_auth(&n, 1, NULL, &(struct auth){.arg = &g, .subscribe = on_subscribe_asked});
    pub = net_client(&n, 0, 5, "pub");
    c = net_client(&n, 0, version, "c");
    client_subscribe(c, "secret/1", 1);
    g.answer = MQTT_RC_NOT_AUTHORIZED;
    p.subscribe.packet_id = 9;
    p.subscribe.filters = MQTT_STR("\0\1a\1\0\10secret/1\1\0\1b\1\0\20$share/g/secret/\1");
    client_send_packet(c, &p);
    if (version == 3) {
        client_expect_disconnect(c, MQTT_RC_NOT_AUTHORIZED);
        net_fini(&n);
        return;
    }
    client_expect(c, MQTT_SUBACK, &p);
    CHECK_INT(p.suback.reasons.len, 4);
    CHECK(mqtt_str_eq(p.suback.reasons,
                      version == 5 ? MQTT_STR("\1\x87\1\x87") : MQTT_STR("\1\x80\1\x80")));
    client_publish(pub, "b", "x", 0, false);
    client_expect_publish(c, "b", "x", 0, false);
    client_publish(pub, "secret/1", "x", 0, false);
    client_expect_publish(c, "secret/1", "x", 0, false);
    client_publish(pub, "secret/", "x", 0, false);
    CHECK(client_quiet(c));
    net_fini(&n);
}

static void test_subscribe_refused(void)
{
    each_version(subscribe_refused);
}

/* A Will is a PUBLISH in waiting: who may not make that one is not let in. */
static void will_refused(int version)
{
    static const struct {
        const char *topic;
        uint8_t reason;
    } rows[] = {
        {"open", 0},
        {"secret/x", MQTT_RC_NOT_AUTHORIZED},
        {"$SYS/broker/version", MQTT_RC_NOT_AUTHORIZED},
        {"$SYS", MQTT_RC_NOT_AUTHORIZED},
        {"$SYStem", 0},
        {"a/b/c/d", MQTT_RC_TOPIC_NAME_INVALID},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct broker_config config = broker_config_default();
        struct doorman g = {
            .answer = MQTT_RC_NOT_AUTHORIZED, .qos = 1, .retain = true, .username = "u"};
        struct mqtt_packet p;
        struct net n;

        config.max_topic_levels = 3;
        net_init_auth(&n, 1, &config, &(struct auth){.arg = &g, .publish = on_publish_asked});
        client_connect_packet(&p, version,
                              &(struct connect_options){.id = "c",
                                                        .clean = true,
                                                        .will_topic = rows[i].topic,
                                                        .will_qos = 1,
                                                        .will_retain = true});
        p.connect.has_username = true;
        p.connect.username = MQTT_STR("u");
        expect_connack(net_try_connect(&n, version, &p), version, rows[i].reason);
        net_fini(&n);
    }
}

static void test_will_refused(void)
{
    each_version(will_refused);
}

/* A Will's payload is not what it says; Maximum QoS; no retained messages [v5 MQTT-3.2.2-12]
 * [v5 MQTT-3.2.2-13]. */
static void test_will_beyond_limits(void)
{
    struct broker_config config = broker_config_default();
    struct connect_options o = {.id = "c", .clean = true, .will_topic = "t"};
    struct mqtt_packet p;
    struct net n;

    config.maximum_qos = 1;
    config.retain_available = false;
    config.max_retained = 1;
    net_init(&n, 1, &config);
    o.will_qos = 2;
    client_connect_packet(&p, 5, &o);
    expect_connack(net_try_connect(&n, 5, &p), 5, MQTT_RC_QOS_NOT_SUPPORTED);
    client_connect_packet(&p, 4, &o);
    expect_connack(net_try_connect(&n, 4, &p), 4, MQTT_RC_QOS_NOT_SUPPORTED);
    o.will_qos = 1;
    o.will_retain = true;
    client_connect_packet(&p, 5, &o);
    expect_connack(net_try_connect(&n, 5, &p), 5, MQTT_RC_RETAIN_NOT_SUPPORTED);
    o.will_retain = false;
    o.will_payload = "\xff";
    client_connect_packet(&p, 5, &o);
    expect_connack(net_try_connect(&n, 5, &p), 5, 0);
    MQTT_SET(&p.connect.will.props, payload_format, 1);
    expect_connack(net_try_connect(&n, 5, &p), 5, MQTT_RC_PAYLOAD_FORMAT_INVALID);
    net_fini(&n);
}

/* ---- enhanced authentication ---- */

/* "rounds": asks so many times before it is satisfied; "no" is the wrong answer. */
struct mechanism {
    unsigned rounds;
    unsigned begun, ended;
    const char *id, *username;
    char last[64];
};

struct auth_exchange {
    unsigned left;
};

static struct auth_exchange *mechanism_begin(void *arg, const struct auth_client *who,
                                             struct mqtt_str method)
{
    struct mechanism *m = arg;
    struct auth_exchange *x;

    CHECK(is(who->client_id, m->id));
    CHECK(is(who->username, m->username));
    if (!is(method, "rounds"))
        return NULL;
    x = malloc(sizeof *x);
    x->left = m->rounds;
    m->begun++;
    return x;
}

static int mechanism_step(void *arg, struct auth_exchange *x, struct mqtt_str data,
                          enum auth_step *out_step, uint8_t *out, size_t cap, size_t *out_len)
{
    struct mechanism *m = arg;

    snprintf(m->last, sizeof m->last, "%.*s", (int)data.len, (const char *)data.p);
    CHECK_INT(cap, 65535);
    if (is(data, "no"))
        return MQTT_RC_NOT_AUTHORIZED;
    if (is(data, "much")) {
        memset(out, 'm', cap);
        *out_len = cap;
    } else {
        *out_len = (size_t)snprintf((char *)out, cap, "left %u", x->left);
    }
    *out_step = x->left == 0 ? AUTH_DONE : AUTH_CONTINUE;
    if (x->left > 0)
        x->left--;
    return 0;
}

static void mechanism_end(void *arg, struct auth_exchange *x)
{
    struct mechanism *m = arg;

    m->ended++;
    free(x);
}

static void init_mechanism(struct net *n, struct mechanism *m, unsigned rounds)
{
    *m = (struct mechanism){.rounds = rounds, .id = "c"};
    net_init_auth(
        n, 1, NULL,
        &(struct auth){
            .arg = m, .begin = mechanism_begin, .step = mechanism_step, .end = mechanism_end});
}

static struct mqtt_packet connect_by(const char *method, const char *data)
{
    struct mqtt_packet p = connect_as(5, "c", NULL, NULL);

    MQTT_SET(&p.connect.props, auth_method, text_str(method));
    if (data != NULL)
        MQTT_SET(&p.connect.props, auth_data, text_str(data));
    return p;
}

static void send_auth(struct client *c, uint8_t reason, const char *method, const char *data)
{
    struct mqtt_packet p = {.type = MQTT_AUTH};

    p.reasoned.reason = reason;
    if (method != NULL)
        MQTT_SET(&p.reasoned.props, auth_method, text_str(method));
    if (data != NULL)
        MQTT_SET(&p.reasoned.props, auth_data, text_str(data));
    client_send_packet(c, &p);
}

/* [v5 MQTT-4.12.0-2] [v5 MQTT-4.12.0-5] */
static void expect_auth(struct client *c, uint8_t reason, const char *data)
{
    struct mqtt_packet p;

    if (!client_expect(c, MQTT_AUTH, &p))
        return;
    CHECK_INT(p.reasoned.reason, reason);
    CHECK(is(p.reasoned.props.auth_method, "rounds"));
    CHECK(is(p.reasoned.props.auth_data, data));
}

static void expect_success(struct client *c)
{
    struct mqtt_packet p;

    if (!client_expect(c, MQTT_CONNACK, &p))
        return;
    CHECK_INT(p.connack.reason, 0);
    CHECK(is(p.connack.props.auth_method, "rounds"));
    CHECK(is(p.connack.props.auth_data, "left 0"));
}

/* A client that has been through it. */
static struct client *authenticated(struct net *n, struct mechanism *m)
{
    struct mqtt_packet p = connect_by("rounds", "start");
    struct client *c;

    init_mechanism(n, m, 0);
    c = net_try_connect(n, 5, &p);
    expect_success(c);
    return c;
}

static void test_rounds(void)
{
    for (unsigned rounds = 0; rounds <= 3; rounds++) {
        struct mqtt_packet p = connect_by("rounds", rounds == 2 ? NULL : "start");
        struct net n;
        struct mechanism m;
        struct client *c;

        init_mechanism(&n, &m, rounds);
        m.username = "u";
        p.connect.has_username = true;
        p.connect.username = MQTT_STR("u");
        c = net_try_connect(&n, 5, &p);
        CHECK(strcmp(m.last, rounds == 2 ? "" : "start") == 0);
        for (unsigned left = rounds; left > 0; left--) {
            char data[16];

            snprintf(data, sizeof data, "left %u", left);
            expect_auth(c, MQTT_RC_CONTINUE_AUTHENTICATION, data);
            send_auth(c, MQTT_RC_CONTINUE_AUTHENTICATION, "rounds", left == 2 ? NULL : "more");
            CHECK(strcmp(m.last, left == 2 ? "" : "more") == 0);
        }
        expect_success(c);
        CHECK_INT(m.begun, 1);
        CHECK_INT(m.ended, 1);
        client_subscribe(c, "t", 0);
        net_fini(&n);
    }
}

/* Without a method there is none of it [v5 MQTT-4.12.0-6]; a mechanism does not ask the hook for
 * passwords. */
static void test_no_method(void)
{
    struct mqtt_packet p = connect_as(5, "c", "u", "p");
    struct net n;
    struct mechanism m;
    struct client *c;

    init_mechanism(&n, &m, 0);
    c = net_try_connect(&n, 5, &p);
    client_expect(c, MQTT_CONNACK, &p);
    CHECK(!MQTT_HAS(&p.connack.props, auth_method) && !MQTT_HAS(&p.connack.props, auth_data));
    send_auth(c, MQTT_RC_REAUTHENTICATE, "rounds", NULL);
    client_expect_disconnect(c, MQTT_RC_PROTOCOL_ERROR);
    CHECK_INT(m.begun, 0);
    net_fini(&n);
}

static void test_unknown_method(void)
{
    struct mqtt_packet p = connect_by("other", "start");
    struct net n;
    struct mechanism m;

    init_mechanism(&n, &m, 0); /* [v5 MQTT-4.12.0-1] */
    client_expect_refusal(net_try_connect(&n, 5, &p), MQTT_RC_BAD_AUTH_METHOD);
    net_fini(&n);
    net_init(&n, 1, NULL);
    client_expect_refusal(net_try_connect(&n, 5, &p), MQTT_RC_BAD_AUTH_METHOD);
    net_fini(&n);
}

/* What may come while the broker waits for an AUTH, and what becomes of it. */
static void test_during_exchange(void)
{
    static const struct {
        const char *packet;
        uint8_t len;
        int code;
    } rows[] = {
        {"\xf0\x0f\x18\x0d\x15\0\6rounds\x16\0\1x", 17, 0},
        /* refused [v5 MQTT-4.12.0-4] */
        {"\xf0\x10\x18\x0e\x15\0\6rounds\x16\0\2no", 18, MQTT_RC_NOT_AUTHORIZED},
        /* no method, another method, the wrong reasons [v5 MQTT-3.15.2-1] */
        {"\xf0\0", 2, MQTT_RC_PROTOCOL_ERROR},
        {"\xf0\2\x18\0", 4, MQTT_RC_PROTOCOL_ERROR},
        {"\xf0\x0a\x18\x08\x15\0\5other", 12, MQTT_RC_PROTOCOL_ERROR},
        {"\xf0\x0b\x19\x09\x15\0\6rounds", 13, MQTT_RC_PROTOCOL_ERROR},
        {"\xf0\x0b\0\x09\x15\0\6rounds", 13, MQTT_RC_PROTOCOL_ERROR},
        /* flags [v5 MQTT-3.15.1-1] */
        {"\xf1\x0b\x18\x09\x15\0\6rounds", 13, MQTT_RC_MALFORMED_PACKET},
        /* other packets [v5 MQTT-3.1.2-30] */
        {"\x30\4\0\1t\0", 6, MQTT_RC_PROTOCOL_ERROR},
        {"\xc0\0", 2, MQTT_RC_PROTOCOL_ERROR},
        {"\x82\7\0\1\0\0\1t\0", 9, MQTT_RC_PROTOCOL_ERROR},
        {"\x20\3\0\0\0", 5, MQTT_RC_PROTOCOL_ERROR},
        /* but for this one */
        {"\xe0\0", 2, NO_CONNACK},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct mqtt_packet p = connect_by("rounds", "start");
        struct net n;
        struct mechanism m;
        struct client *c;

        init_mechanism(&n, &m, 1);
        c = net_try_connect(&n, 5, &p);
        expect_auth(c, MQTT_RC_CONTINUE_AUTHENTICATION, "left 1");
        client_send(c, rows[i].packet, rows[i].len);
        CHECK_ROW_INT(i, m.ended, 1);
        CHECK_ROW_INT(i, COUNT_GET(&n.broker->shards[0]->counters, connects_accepted),
                      rows[i].code == 0);
        if (rows[i].code == 0)
            expect_success(c);
        else
            client_expect_refusal(c, rows[i].code);
        net_fini(&n);
    }
}

/* The time for CONNECT is the time for all of it; a client that goes away ends it, too. */
static void test_exchange_broken_off(void)
{
    struct mqtt_packet p = connect_by("rounds", "start");
    struct net n;
    struct mechanism m;
    struct client *c;

    init_mechanism(&n, &m, 9);
    c = net_try_connect(&n, 5, &p);
    expect_auth(c, MQTT_RC_CONTINUE_AUTHENTICATION, "left 9");
    net_sleep(&n, 9999);
    send_auth(c, MQTT_RC_CONTINUE_AUTHENTICATION, "rounds", NULL);
    expect_auth(c, MQTT_RC_CONTINUE_AUTHENTICATION, "left 8");
    net_sleep(&n, 1);
    CHECK_INT(c->why, CLOSE_CONNECT_TIMEOUT);
    client_expect_refusal(c, MQTT_RC_UNSPECIFIED_ERROR);
    CHECK_INT(m.ended, 1);
    client_drop(net_try_connect(&n, 5, &p));
    CHECK_INT(m.ended, 2);
    c = net_try_connect(&n, 5, &p);
    expect_auth(c, MQTT_RC_CONTINUE_AUTHENTICATION, "left 9");
    shard_close_all(n.broker->shards[0], CLOSE_SHUTTING_DOWN);
    client_expect_refusal(c, MQTT_RC_SERVER_UNAVAILABLE);
    CHECK_INT(m.ended, 3);
    net_fini(&n);
}

/* The Will is judged before the exchange begins. */
static void test_will_before_exchange(void)
{
    struct mqtt_packet p = connect_by("rounds", "start");
    struct net n;
    struct mechanism m;

    init_mechanism(&n, &m, 0);
    p.connect.has_will = true;
    p.connect.will.topic = MQTT_STR("$SYS/x");
    client_expect_refusal(net_try_connect(&n, 5, &p), MQTT_RC_NOT_AUTHORIZED);
    CHECK_INT(m.begun, 0);
    net_fini(&n);
}

/* As much data as fits, in both directions; not to a client that does not take so much. */
static void test_much_data(void)
{
    struct mqtt_packet p = connect_by("rounds", "much");
    struct net n;
    struct mechanism m;
    struct client *c;

    init_mechanism(&n, &m, 1);
    c = net_try_connect(&n, 5, &p);
    client_expect(c, MQTT_AUTH, &p);
    CHECK_INT(p.reasoned.props.auth_data.len, 65535);
    send_auth(c, MQTT_RC_CONTINUE_AUTHENTICATION, "rounds", "much");
    client_expect(c, MQTT_CONNACK, &p);
    CHECK_INT(p.connack.props.auth_data.len, 65535);
    for (m.rounds = 0; m.rounds <= 1; m.rounds++) {
        p = connect_by("rounds", "much");
        MQTT_SET(&p.connect.props, maximum_packet_size, 65535);
        client_expect_refusal(net_try_connect(&n, 5, &p), MQTT_RC_PACKET_TOO_LARGE);
    }
    CHECK_INT(m.ended, m.begun);
    net_fini(&n);
}

/* ---- once more, on a connection that is up ---- */

static void test_reauthentication(void)
{
    struct net n;
    struct mechanism m;
    struct client *c = authenticated(&n, &m);

    m.rounds = 1;
    for (unsigned i = 2; i <= 3; i++) {
        send_auth(c, MQTT_RC_REAUTHENTICATE, "rounds", "again");
        expect_auth(c, MQTT_RC_CONTINUE_AUTHENTICATION, "left 1");
        client_subscribe(c, "t", 0); /* other traffic goes on */
        client_publish(c, "t", "x", 0, false);
        client_expect_publish(c, "t", "x", 0, false);
        send_auth(c, MQTT_RC_CONTINUE_AUTHENTICATION, "rounds", "more");
        expect_auth(c, MQTT_RC_SUCCESS, "left 0");
        CHECK_INT(m.begun, i);
        CHECK_INT(m.ended, i);
    }
    CHECK(!c->closed);
    net_fini(&n);
}

/* Failure ends the connection [v5 MQTT-4.12.1-2], and so does an AUTH out of place. */
static void test_reauthentication_refused(void)
{
    static const struct {
        const char *method, *data;
        uint8_t first, second; /* reasons of AUTH; 0: none */
        uint8_t reason;
    } rows[] = {
        {"rounds", "no", MQTT_RC_REAUTHENTICATE, 0, MQTT_RC_NOT_AUTHORIZED},
        {"rounds", "x", MQTT_RC_CONTINUE_AUTHENTICATION, 0, MQTT_RC_PROTOCOL_ERROR},
        {"rounds", "x", MQTT_RC_REAUTHENTICATE, MQTT_RC_REAUTHENTICATE, MQTT_RC_PROTOCOL_ERROR},
        {"other", "x", MQTT_RC_REAUTHENTICATE, 0, MQTT_RC_PROTOCOL_ERROR},
        {NULL, NULL, MQTT_RC_REAUTHENTICATE, 0, MQTT_RC_PROTOCOL_ERROR},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct net n;
        struct mechanism m;
        struct client *c = authenticated(&n, &m);

        m.rounds = 1;
        send_auth(c, rows[i].first, rows[i].method, rows[i].data);
        if (rows[i].second != 0) {
            expect_auth(c, MQTT_RC_CONTINUE_AUTHENTICATION, "left 1");
            send_auth(c, rows[i].second, rows[i].method, rows[i].data);
        }
        client_expect_disconnect(c, rows[i].reason);
        CHECK_ROW_INT(i, m.ended, m.begun);
        net_fini(&n);
    }
}

static void test_reauthentication_broken_off(void)
{
    struct net n;
    struct mechanism m;
    struct client *c = authenticated(&n, &m);

    m.rounds = 1;
    send_auth(c, MQTT_RC_REAUTHENTICATE, "rounds", "again");
    expect_auth(c, MQTT_RC_CONTINUE_AUTHENTICATION, "left 1");
    client_drop(c);
    CHECK_INT(m.begun, 2);
    CHECK_INT(m.ended, 2);
    net_fini(&n);
}

TEST_MAIN(test_anonymous, test_connect_hook_is_told, test_connect_hook_refuses,
          test_refused_stranger, test_publish_refused, test_subscribe_refused, test_will_refused,
          test_will_beyond_limits, test_rounds, test_no_method, test_unknown_method,
          test_during_exchange, test_exchange_broken_off, test_will_before_exchange, test_much_data,
          test_reauthentication, test_reauthentication_refused, test_reauthentication_broken_off)

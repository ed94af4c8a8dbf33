/* qos_test: the exchanges of QoS 1 and 2 in both directions, what is sent again and when, windows
 * and order.                                                   [v5 4.3, 4.4, 4.6, 4.9]
 * [v3 4.3, 4.4, 4.6] */
#include "base/test.h"
#include "broker/session.h"
#include "net_support.h"

static const struct connect_options keep = {.id = "sub", .expiry_s = 3600};

/* Session of "sub", which is there. */
static struct session *session_of_sub(const struct net *n)
{
    return session_find(n->broker->shards[0], MQTT_STR("sub"));
}

/* A subscriber with a lasting session and a publisher. */
struct pair {
    struct net n;
    struct client *sub, *pub;
};

static void init_pair(struct pair *t, int version, const struct broker_config *config)
{
    net_init(&t->n, 1, config);
    t->sub = net_connect(&t->n, 0, version, &keep, NULL);
    t->pub = net_client(&t->n, 0, version, "pub");
    client_subscribe(t->sub, "#", 2);
}

static void reconnect(struct pair *t)
{
    int version = t->sub->version;

    client_drop(t->sub);
    t->sub = net_connect(&t->n, 0, version, &keep, NULL);
}

/* Messages "0", "1" ... to topic "t". */
static void publish_numbers(struct client *pub, int from, int to, uint8_t qos)
{
    for (int i = from; i < to; i++) {
        char payload[12];

        snprintf(payload, sizeof payload, "%d", i);
        client_publish(pub, "t", payload, qos, false);
    }
}

/* The next packet is message number i; its packet identifier. */
static uint16_t expect_number(struct client *c, int i, uint8_t qos, bool dup)
{
    char payload[12];
    struct mqtt_packet p;

    snprintf(payload, sizeof payload, "%d", i);
    if (!client_expect(c, MQTT_PUBLISH, &p))
        return 0;
    CHECK(mqtt_str_eq(p.publish.payload, text_str(payload)));
    CHECK_INT(p.publish.qos, qos);
    CHECK_INT(p.publish.dup, dup);
    CHECK_INT(p.publish.packet_id != 0, qos > 0); /* [v5 MQTT-2.2.1-2] [v3 MQTT-2.3.1-5] */
    return p.publish.packet_id;
}

static void expect_ack(struct client *c, enum mqtt_type type, uint16_t id, uint8_t reason)
{
    struct mqtt_packet p;

    if (!client_expect(c, type, &p))
        return;
    CHECK_INT(p.ack.packet_id, id);
    CHECK_INT(p.ack.reason, c->version == 5 ? reason : 0);
}

/* ---- to the broker ---- */

/* Send a PUBLISH with an identifier of one's own. */
static void send_publish(struct client *c, uint8_t qos, uint16_t id, bool dup, const char *payload)
{
    struct mqtt_packet p = {.type = MQTT_PUBLISH};

    p.publish.topic = MQTT_STR("t");
    p.publish.payload = text_str(payload);
    p.publish.qos = qos;
    p.publish.packet_id = id;
    p.publish.dup = dup;
    client_send_packet(c, &p);
}

/* After the PUBACK an identifier means a new message, whatever DUP says, and DUP goes no further
 * [v5 MQTT-4.3.2-4] [v5 MQTT-4.3.2-5] [v5 MQTT-3.3.1-3] [v5 MQTT-2.2.1-5] [v3 MQTT-4.3.2-2]
 * [v3 MQTT-3.3.1-3] [v3 MQTT-2.3.1-6]. */
static void qos1_in(int version)
{
    static const uint16_t ids[] = {1, 0x1234, 65535, 65535, 1};
    struct pair t;

    init_pair(&t, version, NULL);
    for (int i = 0; i < (int)ARRAY_LEN(ids); i++) {
        char payload[2] = {(char)('0' + i), '\0'};

        send_publish(t.pub, 1, ids[i], i % 2 != 0, payload);
        expect_ack(t.pub, MQTT_PUBACK, ids[i], 0);
        expect_number(t.sub, i, 1, false);
    }
    net_fini(&t.n);
}

static void test_qos1_in(void)
{
    each_version(qos1_in);
}

/* Until its PUBREL an identifier stands for one message, on this connection and the next; from then
 * on for a new one [v5 MQTT-4.3.3-8] [v5 MQTT-4.3.3-10] to [v5 MQTT-4.3.3-12] [v3 MQTT-4.3.3-2]. */
static void qos2_in(int version)
{
    struct connect_options o = {.id = "pub", .expiry_s = 3600};
    struct pair t;

    init_pair(&t, version, NULL);
    client_disconnect(t.pub, 0);
    t.pub = net_connect(&t.n, 0, version, &o, NULL);
    for (int i = 0; i < 2; i++) {
        char payload[2] = {(char)('0' + i), '\0'};

        send_publish(t.pub, 2, 65535, false, payload);
        expect_ack(t.pub, MQTT_PUBREC, 65535, 0);
        expect_number(t.sub, i, 2, false);
        send_publish(t.pub, 2, 65535, true, payload);
        send_publish(t.pub, 2, 65535, false, "not even this one");
        expect_ack(t.pub, MQTT_PUBREC, 65535, 0);
        expect_ack(t.pub, MQTT_PUBREC, 65535, 0);
        client_drop(t.pub);
        t.pub = net_connect(&t.n, 0, version, &o, NULL);
        send_publish(t.pub, 2, 65535, true, payload);
        expect_ack(t.pub, MQTT_PUBREC, 65535, 0);
        client_send_ack(t.pub, MQTT_PUBREL, 65535, 0);
        expect_ack(t.pub, MQTT_PUBCOMP, 65535, 0);
        client_send_ack(t.pub, MQTT_PUBREL, 65535, 0); /* again: unknown by now */
        expect_ack(t.pub, MQTT_PUBCOMP, 65535, MQTT_RC_PACKET_ID_NOT_FOUND);
        CHECK(client_quiet(t.sub));
    }
    CHECK_INT(t.pub->conn->open_in, 0);
    net_fini(&t.n);
}

static void test_qos2_in(void)
{
    each_version(qos2_in);
}

/* With the session its identifiers go. */
static void qos2_in_clean(int version)
{
    struct pair t;

    init_pair(&t, version, NULL);
    send_publish(t.pub, 2, 7, false, "0");
    expect_ack(t.pub, MQTT_PUBREC, 7, 0);
    expect_number(t.sub, 0, 2, false);
    client_drop(t.pub);
    t.pub = net_client(&t.n, 0, version, "pub");
    send_publish(t.pub, 2, 7, true, "1");
    expect_ack(t.pub, MQTT_PUBREC, 7, 0);
    expect_number(t.sub, 1, 2, false);
    net_fini(&t.n);
}

static void test_qos2_in_clean(void)
{
    each_version(qos2_in_clean);
}

/* Many at once, released in another order. */
static void test_qos2_in_many(void)
{
    struct pair t;

    init_pair(&t, 5, NULL);
    for (uint16_t id = 1; id <= 1000; id++) {
        send_publish(t.pub, 2, id, false, "0");
        expect_ack(t.pub, MQTT_PUBREC, id, 0);
    }
    for (uint16_t i = 1; i <= 1000; i++) {
        uint16_t id = (uint16_t)(i * 3 % 1001); /* each once: 3 and 1001 are coprime */

        client_send_ack(t.pub, MQTT_PUBREL, id, 0);
        expect_ack(t.pub, MQTT_PUBCOMP, id, 0);
    }
    CHECK_INT(t.pub->conn->open_in, 0);
    net_fini(&t.n);
}

/* More than Receive Maximum are a fault; what was acknowledged to the end no longer counts, nor
 * does a repetition [v5 MQTT-3.3.4-7]. 3.x knows no such limit. */
static void receive_maximum_in(int version)
{
    struct broker_config config = broker_config_default();
    struct pair t;

    config.receive_maximum = 3;
    init_pair(&t, version, &config);
    for (uint16_t id = 1; id <= 10; id++) {
        send_publish(t.pub, 1, id, false, "x");
        expect_ack(t.pub, MQTT_PUBACK, id, 0);
        send_publish(t.pub, 2, id, false, "x");
        expect_ack(t.pub, MQTT_PUBREC, id, 0);
        client_send_ack(t.pub, MQTT_PUBREL, id, 0);
        expect_ack(t.pub, MQTT_PUBCOMP, id, 0);
        client_publish(t.pub, "$x", "", 0, false);
    }
    for (uint16_t id = 11; id <= 13; id++) {
        send_publish(t.pub, 2, id, false, "x");
        expect_ack(t.pub, MQTT_PUBREC, id, 0);
    }
    send_publish(t.pub, 2, 12, true, "x");
    expect_ack(t.pub, MQTT_PUBREC, 12, 0);
    send_publish(t.pub, 0, 0, false, "x");
    client_send_ack(t.pub, MQTT_PUBREL, 11, 0);
    expect_ack(t.pub, MQTT_PUBCOMP, 11, 0);
    client_send_ack(t.pub, MQTT_PUBREL, 11, 0); /* counts once */
    expect_ack(t.pub, MQTT_PUBCOMP, 11, MQTT_RC_PACKET_ID_NOT_FOUND);
    send_publish(t.pub, 1, 14, false, "x");
    expect_ack(t.pub, MQTT_PUBACK, 14, 0);
    send_publish(t.pub, 2, 14, false, "x");
    expect_ack(t.pub, MQTT_PUBREC, 14, 0);
    send_publish(t.pub, 1, 15, false, "x");
    if (version == 5)
        client_expect_disconnect(t.pub, MQTT_RC_RECEIVE_MAXIMUM_EXCEEDED);
    else
        expect_ack(t.pub, MQTT_PUBACK, 15, 0);
    net_fini(&t.n);
}

static void test_receive_maximum_in(void)
{
    each_version(receive_maximum_in);
}

/* What it was told holds as long as the connection, whatever is configured meanwhile. */
static void test_receive_maximum_lowered(void)
{
    struct broker_config config = broker_config_default();
    struct client *c;
    struct net n;

    config.receive_maximum = 3;
    net_init(&n, 1, &config);
    c = net_client(&n, 0, 5, "c");
    n.broker->shards[0]->config.receive_maximum = 1;
    for (uint16_t id = 1; id <= 3; id++) {
        send_publish(c, 2, id, false, "x");
        expect_ack(c, MQTT_PUBREC, id, MQTT_RC_NO_MATCHING_SUBSCRIBERS);
    }
    send_publish(c, 2, 4, false, "x");
    client_expect_disconnect(c, MQTT_RC_RECEIVE_MAXIMUM_EXCEEDED);
    c = net_client(&n, 0, 5, "c");
    send_publish(c, 2, 1, false, "x");
    expect_ack(c, MQTT_PUBREC, 1, MQTT_RC_NO_MATCHING_SUBSCRIBERS);
    send_publish(c, 2, 2, false, "x");
    client_expect_disconnect(c, MQTT_RC_RECEIVE_MAXIMUM_EXCEEDED);
    net_fini(&n);
}

/* ---- from the broker ---- */

/* The lower of the two; DUP and RETAIN are clear [v5 MQTT-3.8.4-8] [v5 MQTT-4.3.1-1] [v5
 * MQTT-4.3.2-2] [v5 MQTT-4.3.3-2] [v3 MQTT-3.8.4-6] [v3 MQTT-4.3.1-1] [v3 MQTT-4.3.2-1] [v3
 * MQTT-4.3.3-1]. */
static void matrix(int version)
{
    for (uint8_t granted = 0; granted <= 2; granted++) {
        for (uint8_t published = 0; published <= 2; published++) {
            struct pair t;

            init_pair(&t, version, NULL);
            client_subscribe(t.sub, "#", granted);
            publish_numbers(t.pub, 0, 1, published);
            expect_number(t.sub, 0, granted < published ? granted : published, false);
            CHECK(client_quiet(t.sub));
            net_fini(&t.n);
        }
    }
}

static void test_matrix(void)
{
    each_version(matrix);
}

/* A PUBACK of any kind ends it: the message is not sent again [v5 MQTT-4.4.0-2] [v5 MQTT-4.3.2-3].
 * Acknowledgements that fit nothing end nothing. */
static void qos1_out(int version)
{
    struct pair t;
    uint16_t a, b, c;

    init_pair(&t, version, NULL);
    publish_numbers(t.pub, 0, 3, 1);
    a = expect_number(t.sub, 0, 1, false);
    b = expect_number(t.sub, 1, 1, false);
    c = expect_number(t.sub, 2, 1, false);
    CHECK(a != b && a != c && b != c); /* [v5 MQTT-2.2.1-4] [v5 MQTT-4.3.2-1] [v3 MQTT-2.3.1-4] */
    client_send_ack(t.sub, MQTT_PUBACK, b, version == 5 ? MQTT_RC_UNSPECIFIED_ERROR : 0);
    client_send_ack(t.sub, MQTT_PUBACK, b, 0);
    client_send_ack(t.sub, MQTT_PUBACK, 4711, 0);
    client_send_ack(t.sub, MQTT_PUBCOMP, a, 0);
    CHECK(client_quiet(t.sub));
    client_send_ack(t.sub, MQTT_PUBREC, a, 0);
    expect_ack(t.sub, MQTT_PUBREL, a, MQTT_RC_PACKET_ID_NOT_FOUND);
    client_send_ack(t.sub, MQTT_PUBCOMP, a, 0);
    CHECK_INT(session_of_sub(&t.n)->flow->out.count, 2);
    reconnect(&t);
    CHECK_INT(expect_number(t.sub, 0, 1, true), a);
    CHECK_INT(expect_number(t.sub, 2, 1, true), c);
    CHECK(client_quiet(t.sub));
    net_fini(&t.n);
}

static void test_qos1_out(void)
{
    each_version(qos1_out);
}

/* [v5 MQTT-4.3.3-4] [v5 MQTT-3.6.2-1] [v3 MQTT-4.3.3-1] */
static void qos2_out(int version)
{
    struct pair t;
    uint16_t id, next;

    init_pair(&t, version, NULL);
    publish_numbers(t.pub, 0, 2, 2);
    id = expect_number(t.sub, 0, 2, false);
    next = expect_number(t.sub, 1, 2, false);
    client_send_ack(t.sub, MQTT_PUBACK, id, 0);
    client_send_ack(t.sub, MQTT_PUBCOMP, id, 0); /* too early: the PUBREL has not been sent */
    CHECK_INT(session_of_sub(&t.n)->flow->out.count, 2);
    client_send_ack(t.sub, MQTT_PUBREC, id, 0);
    expect_ack(t.sub, MQTT_PUBREL, id, 0);
    client_send_ack(t.sub, MQTT_PUBREC, id, 0); /* again */
    expect_ack(t.sub, MQTT_PUBREL, id, 0);
    client_send_ack(t.sub, MQTT_PUBCOMP, id, 0);
    client_send_ack(t.sub, MQTT_PUBREC, id, 0);
    expect_ack(t.sub, MQTT_PUBREL, id, MQTT_RC_PACKET_ID_NOT_FOUND);
    client_send_ack(t.sub, MQTT_PUBCOMP, id, version == 5 ? MQTT_RC_PACKET_ID_NOT_FOUND : 0);
    if (version == 5) { /* over, without a PUBREL */
        client_send_ack(t.sub, MQTT_PUBREC, next, MQTT_RC_QUOTA_EXCEEDED);
        client_send_ack(t.sub, MQTT_PUBREC, 4711, MQTT_RC_QUOTA_EXCEEDED);
        CHECK(client_quiet(t.sub));
        reconnect(&t);
        CHECK(client_quiet(t.sub));
    }
    net_fini(&t.n);
}

static void test_qos2_out(void)
{
    each_version(qos2_out);
}

/* Nothing is sent again while the connection lasts [v5 MQTT-4.4.0-1]. */
static void patience(int version)
{
    struct pair t;
    uint16_t id;

    init_pair(&t, version, NULL);
    publish_numbers(t.pub, 0, 1, 1);
    publish_numbers(t.pub, 1, 3, 2);
    expect_number(t.sub, 0, 1, false);
    id = expect_number(t.sub, 1, 2, false);
    expect_number(t.sub, 2, 2, false);
    client_send_ack(t.sub, MQTT_PUBREC, id, 0);
    expect_ack(t.sub, MQTT_PUBREL, id, 0);
    net_sleep(&t.n, 3600000);
    CHECK(client_quiet(t.sub));
    net_fini(&t.n);
}

static void test_patience(void)
{
    each_version(patience);
}

/* On the next connection, after the CONNACK: PUBLISH packets with DUP and their old identifiers in
 * their old order, PUBRELs in the order of the PUBRECs, no PUBLISH whose PUBREL was sent; then what
 * came meanwhile [v5 MQTT-3.3.1-1] [v5 MQTT-4.3.3-3] [v5 MQTT-4.3.3-5] [v5 MQTT-4.3.3-6]
 * [v5 MQTT-4.4.0-1] [v3 MQTT-3.3.1-1] [v3 MQTT-2.3.1-3] [v3 MQTT-4.4.0-1] [v3 MQTT-4.6.0-1]
 * [v3 MQTT-4.6.0-4] [v3 MQTT-4.6.0-6]. */
static void sent_again(int version)
{
    struct pair t;
    uint16_t ids[8];

    init_pair(&t, version, NULL);
    for (int i = 0; i < 8; i++) {
        publish_numbers(t.pub, i, i + 1, i % 2 != 0 ? 2 : 1);
        ids[i] = expect_number(t.sub, i, i % 2 != 0 ? 2 : 1, false);
    }
    client_send_ack(t.sub, MQTT_PUBACK, ids[2], 0);
    client_send_ack(t.sub, MQTT_PUBREC, ids[7], 0);
    expect_ack(t.sub, MQTT_PUBREL, ids[7], 0);
    client_send_ack(t.sub, MQTT_PUBREC, ids[1], 0);
    expect_ack(t.sub, MQTT_PUBREL, ids[1], 0);
    for (int again = 0; again < 3; again++) {
        reconnect(&t);
        expect_ack(t.sub, MQTT_PUBREL, ids[7], 0);
        expect_ack(t.sub, MQTT_PUBREL, ids[1], 0);
        CHECK_INT(expect_number(t.sub, 0, 1, true), ids[0]);
        CHECK_INT(expect_number(t.sub, 3, 2, true), ids[3]);
        CHECK_INT(expect_number(t.sub, 4, 1, true), ids[4]);
        CHECK_INT(expect_number(t.sub, 5, 2, true), ids[5]);
        CHECK_INT(expect_number(t.sub, 6, 1, true), ids[6]);
        for (int i = 0; i < again; i++)
            expect_number(t.sub, 8 + i, 1, true);
        CHECK(client_quiet(t.sub));
        publish_numbers(t.pub, 8 + again, 9 + again, 1);
        expect_number(t.sub, 8 + again, 1, false);
    }
    client_send_ack(t.sub, MQTT_PUBCOMP, ids[7], 0);
    client_send_ack(t.sub, MQTT_PUBREC, ids[3], 0);
    expect_ack(t.sub, MQTT_PUBREL, ids[3], 0);
    reconnect(&t);
    expect_ack(t.sub, MQTT_PUBREL, ids[1], 0);
    expect_ack(t.sub, MQTT_PUBREL, ids[3], 0);
    CHECK_INT(expect_number(t.sub, 0, 1, true), ids[0]);
    net_fini(&t.n);
}

static void test_sent_again(void)
{
    each_version(sent_again);
}

/* Once sent a message does not expire [v5 MQTT-4.3.3-7]; the client sees that nothing is left. */
static void test_sent_does_not_expire(void)
{
    for (uint8_t qos = 1; qos <= 2; qos++) {
        struct pair t;
        struct mqtt_packet p = {.type = MQTT_PUBLISH};

        init_pair(&t, 5, NULL);
        p.publish.topic = MQTT_STR("t");
        p.publish.qos = qos;
        p.publish.packet_id = 1;
        MQTT_SET(&p.publish.props, message_expiry_s, 1);
        client_send_packet(t.pub, &p);
        client_expect(t.sub, MQTT_PUBLISH, &p);
        CHECK_INT(p.publish.props.message_expiry_s, 1);
        client_drop(t.sub);
        net_sleep(&t.n, 3000);
        t.sub = net_connect(&t.n, 0, 5, &keep, NULL);
        client_expect(t.sub, MQTT_PUBLISH, &p);
        CHECK(p.publish.dup);
        CHECK_INT(p.publish.props.message_expiry_s, 0);
        net_fini(&t.n);
    }
}

/* The exchange goes on even if the message has expired [v5 MQTT-4.3.3-13]. */
static void test_expired_in_exchange(void)
{
    struct pair t;
    struct mqtt_packet p = {.type = MQTT_PUBLISH};

    init_pair(&t, 5, NULL);
    p.publish.topic = MQTT_STR("t");
    p.publish.qos = 2;
    p.publish.packet_id = 1;
    MQTT_SET(&p.publish.props, message_expiry_s, 1);
    client_send_packet(t.pub, &p);
    expect_ack(t.pub, MQTT_PUBREC, 1, 0);
    net_sleep(&t.n, 3000);
    client_send_ack(t.pub, MQTT_PUBREL, 1, 0);
    expect_ack(t.pub, MQTT_PUBCOMP, 1, 0);
    net_fini(&t.n);
}

/* ---- windows ---- */

/* So many are open at once and no more; each end of an exchange makes room for one
 * [v5 MQTT-3.3.4-9] [v5 MQTT-4.9.0-1] [v5 MQTT-4.9.0-2]. In 3.x the broker's own limit counts. */
static void window(int version)
{
    static const uint16_t sizes[] = {1, 2, 10};

    for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
        struct broker_config config = broker_config_default();
        struct pair t;
        struct connect_options o = {.id = "sub", .clean = true};
        uint16_t ids[50];
        int sent;

        if (version == 5)
            o.receive_maximum = sizes[s];
        else
            config.max_inflight = sizes[s];
        init_pair(&t, version, &config);
        client_drop(t.sub);
        t.sub = net_connect(&t.n, 0, version, &o, NULL);
        client_subscribe(t.sub, "#", 2);
        for (int i = 0; i < 50; i++)
            publish_numbers(t.pub, i, i + 1, i % 3 == 0 ? 1 : 2);
        for (sent = 0; sent < sizes[s]; sent++)
            ids[sent] = expect_number(t.sub, sent, sent % 3 == 0 ? 1 : 2, false);
        for (int done = 0; done < 50; done++) {
            CHECK(client_quiet(t.sub));
            if (done % 3 == 0) {
                client_send_ack(t.sub, MQTT_PUBACK, ids[done], 0);
            } else if (done % 3 == 1 && version == 5) {
                client_send_ack(t.sub, MQTT_PUBREC, ids[done], MQTT_RC_UNSPECIFIED_ERROR);
            } else {
                client_send_ack(t.sub, MQTT_PUBREC, ids[done], 0);
                expect_ack(t.sub, MQTT_PUBREL, ids[done], 0);
                CHECK(client_quiet(t.sub));
                client_send_ack(t.sub, MQTT_PUBCOMP, ids[done], 0);
            }
            if (sent < 50) {
                ids[sent] = expect_number(t.sub, sent, sent % 3 == 0 ? 1 : 2, false);
                sent++;
            }
        }
        CHECK(client_quiet(t.sub));
        net_fini(&t.n);
    }
}

static void test_window(void)
{
    each_version(window);
}

/* The client's limit and the broker's: the smaller one. */
static void test_smaller_window(void)
{
    static const struct {
        uint16_t client, broker, open;
    } rows[] = {{5, 7, 5}, {7, 5, 5}, {0, 5, 5}, {65535, 3, 3}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct broker_config config = broker_config_default();
        struct net n;
        struct client *sub, *pub;
        int sent = 0;
        struct mqtt_packet p;

        config.max_inflight = rows[i].broker;
        net_init(&n, 1, &config);
        pub = net_client(&n, 0, 5, "pub");
        sub = net_connect(&n, 0, 5,
                          &(struct connect_options){
                              .id = "sub", .clean = true, .receive_maximum = rows[i].client},
                          NULL);
        client_subscribe(sub, "#", 1);
        publish_numbers(pub, 0, 20, 1);
        while (client_next(sub, &p))
            sent++;
        CHECK_ROW_INT(i, sent, rows[i].open);
        net_fini(&n);
    }
}

/* With the window full everything else goes on [v5 MQTT-3.3.4-10] [v5 MQTT-4.9.0-3]. */
static void full_window(int version)
{
    struct broker_config config = broker_config_default();
    struct pair t;
    struct mqtt_packet p = {.type = MQTT_PINGREQ};
    uint16_t id;

    config.max_inflight = 1;
    init_pair(&t, version, &config);
    publish_numbers(t.pub, 0, 2, 2);
    id = expect_number(t.sub, 0, 2, false);
    CHECK(client_quiet(t.sub));
    client_send_packet(t.sub, &p);
    client_expect(t.sub, MQTT_PINGRESP, &p);
    client_subscribe(t.sub, "other", 1);
    client_publish(t.sub, "$x", "", 1, false);
    client_publish(t.sub, "$x", "", 2, false);
    publish_numbers(t.pub, 5, 6, 0);
    expect_number(t.sub, 5, 0, false);
    client_send_ack(t.sub, MQTT_PUBREC, id, 0);
    expect_ack(t.sub, MQTT_PUBREL, id, 0);
    client_send_ack(t.sub, MQTT_PUBCOMP, id, 0);
    expect_number(t.sub, 1, 2, false);
    net_fini(&t.n);
}

static void test_full_window(void)
{
    each_version(full_window);
}

/* What is sent again has to fit into the window of the new connection; PUBRELs do not wait for it,
 * new messages come last. */
static void test_smaller_window_later(void)
{
    struct connect_options small = keep;
    struct pair t;
    uint16_t ids[5];

    small.receive_maximum = 2;
    init_pair(&t, 5, NULL);
    publish_numbers(t.pub, 0, 5, 2);
    for (int i = 0; i < 5; i++)
        ids[i] = expect_number(t.sub, i, 2, false);
    client_send_ack(t.sub, MQTT_PUBREC, ids[4], 0);
    expect_ack(t.sub, MQTT_PUBREL, ids[4], 0);
    client_drop(t.sub);
    publish_numbers(t.pub, 5, 6, 2);
    t.sub = net_connect(&t.n, 0, 5, &small, NULL);
    expect_ack(t.sub, MQTT_PUBREL, ids[4], 0);
    expect_number(t.sub, 0, 2, true);
    CHECK(client_quiet(t.sub));
    publish_numbers(t.pub, 6, 7, 2);
    CHECK(client_quiet(t.sub));
    client_send_ack(t.sub, MQTT_PUBCOMP, ids[4], 0);
    expect_number(t.sub, 1, 2, true);
    for (int i = 0; i < 4; i++) {
        CHECK(client_quiet(t.sub));
        client_send_ack(t.sub, MQTT_PUBREC, ids[i], MQTT_RC_UNSPECIFIED_ERROR);
        if (i < 2)
            expect_number(t.sub, 2 + i, 2, true);
        else
            expect_number(t.sub, 3 + i, 2, false);
    }
    net_fini(&t.n);
}

/* A client that answers, from memory, what was not sent again yet: it is over, and its place in the
 * window is not lost. */
static void test_answered_before_sent_again(void)
{
    struct connect_options small = keep;
    struct pair t;
    uint16_t ids[4];

    small.receive_maximum = 1;
    init_pair(&t, 5, NULL);
    for (int i = 0; i < 4; i++) {
        publish_numbers(t.pub, i, i + 1, i % 2 != 0 ? 2 : 1);
        ids[i] = expect_number(t.sub, i, i % 2 != 0 ? 2 : 1, false);
    }
    client_drop(t.sub);
    t.sub = net_connect(&t.n, 0, 5, &small, NULL);
    expect_number(t.sub, 0, 1, true);
    client_send_ack(t.sub, MQTT_PUBACK, ids[2], 0);
    client_send_ack(t.sub, MQTT_PUBREC, ids[3], 0);
    expect_ack(t.sub, MQTT_PUBREL, ids[3], 0);
    client_send_ack(t.sub, MQTT_PUBACK, ids[0], 0);
    CHECK(client_quiet(t.sub)); /* the window is that of the PUBREL */
    client_send_ack(t.sub, MQTT_PUBCOMP, ids[3], 0);
    CHECK_INT(expect_number(t.sub, 1, 2, true), ids[1]);
    client_send_ack(t.sub, MQTT_PUBREC, ids[1], 0x80);
    publish_numbers(t.pub, 4, 6, 1);
    expect_number(t.sub, 4, 1, false);
    CHECK(client_quiet(t.sub));
    net_fini(&t.n);
}

/* ---- order ---- */

static int number_of(struct mqtt_str payload)
{
    int n = 0;

    for (uint32_t i = 0; i < payload.len; i++)
        n = n * 10 + (payload.p[i] - '0');
    return n;
}

/* Whatever a client does between two messages, those of one publisher and one QoS come in the order
 * in which they were published [v5 MQTT-4.6.0-5] [v5 MQTT-4.6.0-6] [v3 MQTT-4.6.0-5]
 * [v3 MQTT-4.6.0-6]: two publishers, a window of three, three reconnects. */
static void order(int version)
{
    for (uint8_t qos = 1; qos <= 2; qos++) {
        struct broker_config config = broker_config_default();
        struct pair t;
        struct client *pubs[2];
        int got[2] = {0, 0}, published = 0;

        config.max_inflight = 3;
        init_pair(&t, version, &config);
        client_subscribe(t.sub, "#", qos);
        pubs[0] = t.pub;
        pubs[1] = net_client(&t.n, 0, version, "other");
        for (int round = 0; round < 4; round++) {
            struct mqtt_packet p;
            unsigned acks = 0;

            for (int i = 0; i < 20; i++, published++) {
                char payload[12];

                snprintf(payload, sizeof payload, "%d", published);
                client_publish(pubs[0], "t/0", payload, qos, false);
                client_publish(pubs[1], "t/1", payload, qos, false);
                if (i == 10 && round % 2 == 0)
                    reconnect(&t);
            }
            while (client_next(t.sub, &p)) {
                int who, number;

                if (p.type == MQTT_PUBREL) {
                    client_send_ack(t.sub, MQTT_PUBCOMP, p.ack.packet_id, 0);
                    continue;
                }
                who = p.publish.topic.p[2] - '0';
                number = number_of(p.publish.payload);
                if (number == got[who])
                    got[who]++;
                else
                    CHECK(p.publish.dup && number < got[who]);
                if (++acks % 17 != 0 || round == 3)
                    client_send_ack(t.sub, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC,
                                    p.publish.packet_id, 0);
                else
                    reconnect(&t);
            }
        }
        CHECK_INT(got[0], published);
        CHECK_INT(got[1], published);
        net_fini(&t.n);
    }
}

static void test_order(void)
{
    each_version(order);
}

/* For every session with a claim, connected or not [v5 MQTT-4.5.0-1] [v3 MQTT-4.5.0-1]
 * [v3 MQTT-3.1.2-5]; at QoS 0 only if so configured. */
static void offline(int version)
{
    for (int queue_qos0 = 0; queue_qos0 <= 1; queue_qos0++) {
        struct broker_config config = broker_config_default();
        struct pair t;

        config.queue_qos0 = queue_qos0 != 0;
        init_pair(&t, version, &config);
        client_drop(t.sub);
        publish_numbers(t.pub, 0, 2, 0);
        publish_numbers(t.pub, 2, 4, 1);
        publish_numbers(t.pub, 4, 5, 0);
        publish_numbers(t.pub, 5, 7, 2);
        CHECK_INT(session_queued(session_of_sub(&t.n)), queue_qos0 ? 7 : 4);
        t.sub = net_connect(&t.n, 0, version, &keep, NULL);
        for (int i = 0; i < 7; i++) {
            uint8_t qos = i < 2 || i == 4 ? 0 : i < 4 ? 1 : 2;

            if (qos > 0 || queue_qos0)
                expect_number(t.sub, i, qos, false);
        }
        CHECK(client_quiet(t.sub));
        net_fini(&t.n);
    }
}

static void test_offline(void)
{
    each_version(offline);
}

/* All 65,535 identifiers are used before one comes again, those of open exchanges are left out, and
 * when none is free messages wait. */
static void test_identifiers(void)
{
    struct broker_config config = broker_config_default();
    struct pair t;
    uint16_t held, id, last;

    config.max_inflight = UINT16_MAX;
    config.max_queued_messages = 100000;
    config.max_queued_bytes = UINT64_C(1) << 30;
    init_pair(&t, 5, &config);
    publish_numbers(t.pub, 0, 2, 1);
    held = expect_number(t.sub, 0, 1, false);
    last = expect_number(t.sub, 1, 1, false);
    client_send_ack(t.sub, MQTT_PUBACK, last, 0);
    for (int i = 2; i < 70000; i++) {
        publish_numbers(t.pub, i, i + 1, 1);
        id = expect_number(t.sub, i, 1, false);
        CHECK(id != 0 && id != held && id != last);
        client_send_ack(t.sub, MQTT_PUBACK, id, 0);
        last = id;
    }
    publish_numbers(t.pub, 0, 65534, 1);
    for (int i = 0; i < 65534; i++)
        expect_number(t.sub, i, 1, false);
    publish_numbers(t.pub, 65534, 65535, 1);
    CHECK(client_quiet(t.sub));
    CHECK_INT(session_queued(session_of_sub(&t.n)), 1);
    client_send_ack(t.sub, MQTT_PUBACK, held, 0);
    CHECK_INT(expect_number(t.sub, 65534, 1, false), held);
    net_fini(&t.n);
}

TEST_MAIN(test_qos1_in, test_qos2_in, test_qos2_in_clean, test_qos2_in_many,
          test_receive_maximum_in, test_receive_maximum_lowered, test_matrix, test_qos1_out,
          test_qos2_out, test_patience, test_sent_again, test_sent_does_not_expire,
          test_expired_in_exchange, test_window, test_smaller_window, test_full_window,
          test_smaller_window_later, test_answered_before_sent_again, test_order, test_offline,
          test_identifiers)

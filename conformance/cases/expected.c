/* expected: what users rely on and no standard demands; reported apart. */
#include "conformance/cases/chapters.h"

static const char *number(struct scene *s, unsigned i)
{
    return arena_printf(&s->arena, "%05u", i);
}

static void need_size(struct scene *s, uint32_t size)
{
    NEED(s, s->at.features->maximum_packet_size >= size, "the server takes no packet of %u bytes",
         size);
}

/* ---- order and loss ---- */

static void order_across_qos(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = join(s);

    need_qos(s, 1);
    subscribe(b, topic, 1);
    for (unsigned i = 0; i < 40; i++)
        publish_start(a, topic, number(s, i), i % 3 == 0, 0);
    for (unsigned i = 0; i < 40; i++)
        expect(b, topic, number(s, i));
}

static void many_at_once(struct scene *s)
{
    unsigned n = 5000;
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = join(s);

    subscribe(b, topic, 0);
    for (unsigned i = 0; i < n; i++)
        publish_start(a, topic, number(s, i), 0, 0);
    for (unsigned i = 0; i < n; i++)
        expect(b, topic, number(s, i));
}

static void hundred_wait(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = JOIN(s, .expiry_s = 60);

    need_qos(s, 1);
    subscribe(b, topic, 1);
    leave(b);
    for (unsigned i = 0; i < 100; i++)
        publish(a, topic, number(s, i), 1, 0);
    b = JOIN(s, .id = b->id, .resume = true, .expiry_s = 60);
    for (unsigned i = 0; i < 100; i++)
        expect(b, topic, number(s, i));
}

/* A publisher goes on while the session changes hands again and again. */
static void takeovers(struct scene *s, uint8_t qos)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = JOIN(s, .expiry_s = 60);
    unsigned n = 0, next = 0;

    need_qos(s, qos);
    subscribe(b, topic, qos);
    for (unsigned round = 0; round < 8; round++) {
        struct client *old = b;

        for (unsigned i = 0; i < 10; i++)
            if (qos == 2)
                publish(a, topic, number(s, n++), 2, 0);
            else
                publish_start(a, topic, number(s, n++), 1, 0);
        b = JOIN(s, .id = old->id, .resume = true, .expiry_s = 60);
        client_await_end(old, clock_us() + s->at.patience_us);
        for (struct packet *p; (p = peek_message(old)) != NULL; list_remove(&p->link))
            if (is_text(p->as.publish.payload, number(s, next)))
                next++;
    }
    while (next < n) {
        const struct mqtt_publish *m = message(b);
        bool known = memcmp(m->payload.p, number(s, next), 5) < 0;

        MUST(s, is_text(m->payload, number(s, next)) || (known && (qos == 1 || m->dup)),
             "message %05u was to come, not %.*s", next, (int)m->payload.len, m->payload.p);
        next += !known;
    }
}

static void takeover_qos_1(struct scene *s)
{
    takeovers(s, 1);
}

static void takeover_qos_2(struct scene *s)
{
    takeovers(s, 2);
}

static void resumed_again_and_again(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = JOIN(s, .expiry_s = 60, .manual = true);

    need_qos(s, 1);
    subscribe(b, topic, 1);
    publish(a, topic, "x", 1, 0);
    for (unsigned i = 0; i < 5; i++) {
        expect(b, topic, "x");
        if (i % 2 == 0)
            drop(b);
        else
            client_close(b, true);
        b = JOIN(s, .id = b->id, .resume = true, .expiry_s = 60, .manual = true);
    }
    acknowledge(b, MQTT_PUBACK, expect(b, topic, "x")->packet_id, 0);
    ping(b);
    expect_nothing(a, b);
}

/* The network is gone, the server does not know yet, and the client is back. */
static void reconnect_at_once(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = JOIN(s, .expiry_s = 60);

    need_qos(s, 1);
    subscribe(b, topic, 1);
    b->deaf = true;
    b = JOIN(s, .id = b->id, .resume = true, .expiry_s = 60);
    publish(a, topic, "x", 1, 0);
    expect(b, topic, "x");
}

/* ---- retained ---- */

static void once_for_each_subscription(struct scene *s)
{
    const char *topic = scene_topic(s, "a/b");
    struct client *a = join(s), *b = join(s);

    need_wildcard(s);
    publish(a, topic, "x", 1, RETAIN);
    subscribe(b, scene_topic(s, "a/#"), 0);
    subscribe(b, scene_topic(s, "a/+"), 0);
    subscribe(b, topic, 0);
    MUST(s, drain(a, b) == 3, "a retained message does not come once for each of 3 subscriptions");
}

static void nothing_old_after_new(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s);

    need_qos(s, 1);
    for (unsigned i = 0; i < 20; i++) {
        struct client *b = join(s);
        long last = -1;

        publish_start(a, topic, number(s, 2 * i), 1, RETAIN);
        publish_start(a, topic, number(s, 2 * i + 1), 1, RETAIN);
        subscribe(b, topic, 1);
        settle(a, b);
        while (peek_message(b) != NULL) {
            const struct mqtt_publish *m = message(b);
            long n = 0;

            for (uint32_t j = 0; j < m->payload.len; j++)
                n = 10 * n + m->payload.p[j] - '0';
            MUST(s, n >= last, "%ld comes after %ld", n, last);
            last = n;
        }
        leave(b);
    }
}

static void hundreds_retained(struct scene *s)
{
    unsigned n = 300, got = 0;
    struct client *a = join(s), *b = join(s);

    need_wildcard(s);
    for (unsigned i = 0; i < n; i++)
        publish_start(a, scene_topic(s, number(s, i)), "x", 0, RETAIN);
    subscribe(a, scene_topic(s, "+"), 0); /* after them, on the same connection */
    while (got < n) {
        message(a);
        got++;
    }
    subscribe(b, scene_topic(s, "+"), 0);
    for (got = 0; got < n; got++)
        message(b);
}

/* ---- what comes through ---- */

static void sizes(struct scene *s, const uint32_t *size, size_t n)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = join(s);

    subscribe(b, topic, 0);
    for (size_t i = 0; i < n; i++) {
        const char *payload = payload_of(s, size[i]);

        if (size[i] + 100 > s->at.features->maximum_packet_size)
            continue;
        publish(a, topic, payload, 0, 0);
        expect(b, topic, payload);
    }
}

static void one_mebibyte(struct scene *s)
{
    static const uint32_t size[] = {1u << 20};

    need_size(s, (1u << 20) + 100);
    sizes(s, size, 1);
}

static void edges(struct scene *s)
{
    static const uint32_t size[] = {0,    1,    100,   1023,  1024,  1025,  4000,  4095, 4096,
                                    4097, 8192, 16384, 32767, 32768, 65535, 65536, 65537};

    sizes(s, size, ARRAY_LEN(size));
}

static void own_messages(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *c = join(s);

    subscribe(c, topic, 0);
    publish(c, topic, "own", 0, 0);
    expect(c, topic, "own");
}

static void empty_payload(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = join(s);

    subscribe(b, topic, 0);
    publish(a, topic, "", 0, 0);
    expect(b, topic, "");
}

static void all_bytes(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = join(s);
    const struct mqtt_publish *m;
    uint8_t bytes[256];

    for (unsigned i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    subscribe(b, topic, 0);
    publish_start_props(a, topic, (struct mqtt_str){bytes, 256}, 0, 0,
                        &(struct mqtt_props){.present = 0});
    m = message(b);
    MUST(s, m->payload.len == 256 && memcmp(m->payload.p, bytes, 256) == 0,
         "256 bytes of all values do not come through");
}

static void any_script(struct scene *s)
{
    static const char *const names[] = {
        "\xe6\xb8\xa9\xe5\xba\xa6/\xe5\xae\xa4", /* CJK */
        "\xd0\xb4\xd0\xbe\xd0\xbc",              /* Cyrillic */
        "\xf0\x9f\x8c\xa1",                      /* outside the BMP */
        "a b/c'd\"e",
    };
    struct client *a = join(s), *b = join(s);

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *topic = scene_topic(s, names[i]);

        subscribe(b, topic, 0);
        publish(a, topic, "x", 0, 0);
        expect(b, topic, "x");
    }
}

/* ---- clients ---- */

static void slow_reader(struct scene *s)
{
    const char *topic = scene_topic(s, "t"), *payload = payload_of(s, 8000);
    struct client *a = join(s), *b = join(s), *deaf = join(s);

    need_size(s, 9000);
    subscribe(b, topic, 0);
    subscribe(deaf, topic, 0);
    deaf->deaf = true;
    for (unsigned i = 0; i < 400; i++) {
        publish(a, topic, payload, 0, 0);
        expect(b, topic, payload);
    }
}

static void between_versions(struct scene *s)
{
    struct mqtt_props props = with_encoded(s, "03 <type> 26 <a> <b>");
    const char *topic = scene_topic(s, "t");
    struct client *new = join(s), *old;

    old = JOIN(s, .version = MQTT_V311);
    subscribe(old, topic, 0);
    publish_props(new, topic, "from 5.0", 0, 0, &props);
    expect(old, topic, "from 5.0");
    subscribe(new, topic, 0);
    publish(old, topic, "from 3.1.1", 0, 0);
    MUST(s, expect(new, topic, "from 3.1.1")->props.raw.len == 0,
         "a message from 3.1.1 has properties");
}

static void session_between_versions(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b = JOIN(s, .expiry_s = 60);

    need_qos(s, 1);
    subscribe(b, topic, 1);
    leave(b);
    publish(a, topic, "x", 1, 0);
    b = JOIN(s, .id = b->id, .resume = true, .expiry_s = 60, .version = MQTT_V311);
    MUST(s, b->connack.session_present, "the session is not there in 3.1.1");
    expect(b, topic, "x");
}

/* Not all handshakes first: a server does not wait for CONNECT for long. */
static void many_connect(struct scene *s)
{
    struct client *c[100];

    for (unsigned i = 0; i < 100; i += 25) {
        for (unsigned j = i; j < i + 25; j++)
            c[j] = client_open(s, NULL);
        for (unsigned j = i; j < i + 25; j++)
            client_send(c[j], HAND_CONNECT(s, .name = NULL));
    }
    for (unsigned i = 0; i < 100; i++)
        MUST(s, client_take(c[i], MQTT_CONNACK, NULL)->as.connack.reason == 0,
             "one of 100 clients is refused");
}

static void many_filters(struct scene *s)
{
    const char *filters = "";
    struct client *a = join(s), *b = join(s);

    for (unsigned i = 0; i < 100; i++)
        filters = arena_printf(&s->arena, "%s <%s> 00", filters, scene_topic(s, number(s, i)));
    say(b, "82 # 0001 %s %s", no_props(s), filters);
    MUST(s, client_take(b, MQTT_SUBACK, NULL)->as.suback.reasons.len == 100,
         "not 100 codes for 100 filters");
    publish(a, scene_topic(s, number(s, 0)), "x", 0, 0);
    publish(a, scene_topic(s, number(s, 99)), "y", 0, 0);
    expect(b, scene_topic(s, number(s, 0)), "x");
    expect(b, scene_topic(s, number(s, 99)), "y");
}

static void many_subscribers(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *b[50];

    for (unsigned i = 0; i < 50; i++) {
        b[i] = join(s);
        subscribe(b[i], topic, 0);
    }
    publish(a, topic, "x", 0, 0);
    for (unsigned i = 0; i < 50; i++)
        expect(b[i], topic, "x");
}

static void all_at_once(struct scene *s)
{
    const char *topic = scene_topic(s, "t"), *p = no_props(s);
    struct client *c = client_open(s, NULL);

    client_send(c, both(s, HAND_CONNECT(s, .name = NULL),
                        wire_compose(&s->arena, "82 # 0001 %s <%s> 00 ; 30 # <%s> %s [x]", p, topic,
                                     topic, p)));
    client_take(c, MQTT_CONNACK, NULL);
    client_take(c, MQTT_SUBACK, NULL);
    expect(c, topic, "x");
}

/* ---- shared subscriptions ---- */

#define MEMBERS 3u

static void join_group(struct scene *s, struct client *members[MEMBERS], const char *topic)
{
    need_shared(s);
    for (unsigned i = 0; i < MEMBERS; i++) {
        members[i] = join(s);
        subscribe(members[i], arena_printf(&s->arena, "$share/g/%s", topic), 0);
    }
}

/* Messages of a group may take another way than a mark: they are waited for. */
static unsigned take_all(struct client *c)
{
    unsigned n = 0;

    for (struct packet *p; (p = peek_message(c)) != NULL; n++)
        list_remove(&p->link);
    return n;
}

static void spread(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *members[MEMBERS];
    unsigned got[MEMBERS] = {0}, all = 0;

    join_group(s, members, topic);
    for (unsigned i = 0; i < 60; i++)
        publish(a, topic, number(s, i), 0, 0);
    while (all < 60) {
        MUST(s, scene_poll(s, clock_us() + s->at.patience_us),
             "of 60 messages %u were delivered to the group", all);
        for (unsigned i = 0; i < MEMBERS; i++) {
            unsigned n = take_all(members[i]);

            got[i] += n;
            all += n;
        }
    }
    for (unsigned i = 0; i < MEMBERS; i++) {
        SHOULD(s, got[i] > 0, "member %u of 3 gets none of 60 messages", i + 1);
        MUST(s, drain(a, members[i]) == 0 && all == 60, "a message was delivered twice");
    }
}

static void member_leaves(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *a = join(s), *members[MEMBERS];

    join_group(s, members, topic);
    leave(members[0]);
    leave(members[1]);
    for (unsigned i = 0; i < 20; i++)
        publish(a, topic, number(s, i), 0, 0);
    for (unsigned i = 0; i < 20; i++)
        message(members[2]);
    expect_nothing(a, members[2]);
}

/* clang-format off */
CHAPTER(expected, "Expected",
    {"expect_order",           order_across_qos,           "EXP-01", "EXP-01", NULL, 0},
    {"expect_retained_once",   once_for_each_subscription, "EXP-02", "EXP-02", NULL, 0},
    {"expect_retained_newest", nothing_old_after_new,      "EXP-03", "EXP-03", NULL, 0},
    {"expect_takeover_qos_1",  takeover_qos_1,             "EXP-04", "EXP-04", NULL, 0},
    {"expect_takeover_qos_2",  takeover_qos_2,             "EXP-05", "EXP-05", NULL, 0},
    {"expect_mebibyte",        one_mebibyte,               "EXP-06", "EXP-06", NULL, 0},
    {"expect_thousands",       many_at_once,               "EXP-07", "EXP-07", NULL, 0},
    {"expect_own",             own_messages,               "EXP-08", "EXP-08", "EXP-08", 0},
    {"expect_slow_reader",     slow_reader,                "EXP-09", "EXP-09", NULL, 0},
    {"expect_hundred_waiting", hundred_wait,               "EXP-10", "EXP-10", NULL, 0},
    {"expect_versions",        between_versions,           "EXP-11", NULL,     NULL, 0},
    {"expect_session_versions", session_between_versions,  "EXP-12", NULL,     NULL, 0},
    {"expect_empty",           empty_payload,              "EXP-13", "EXP-13", "EXP-13", 0},
    {"expect_share_spread",    spread,                     "EXP-14", NULL,     NULL, 0},
    {"expect_share_leave",     member_leaves,              "EXP-15", NULL,     NULL, 0},
    {"expect_storm",           many_connect,               "EXP-16", "EXP-16", NULL, 0},
    {"expect_filters",         many_filters,               "EXP-17", "EXP-17", NULL, 0},
    {"expect_retained_many",   hundreds_retained,          "EXP-18", "EXP-18", NULL, 0},
    {"expect_fan_out",         many_subscribers,           "EXP-19", "EXP-19", NULL, 0},
    {"expect_bytes",           all_bytes,                  "EXP-20", "EXP-20", "EXP-20", 0},
    {"expect_scripts",         any_script,                 "EXP-21", "EXP-21", NULL, 0},
    {"expect_pipelined",       all_at_once,                "EXP-22", "EXP-22", NULL, 0},
    {"expect_resumed",         resumed_again_and_again,    "EXP-23", "EXP-23", NULL, 0},
    {"expect_sizes",           edges,                      "EXP-24", "EXP-24", NULL, 0},
    {"expect_reconnect",       reconnect_at_once,          "EXP-25", "EXP-25", NULL, 0},
);
/* clang-format on */

/* play: see play.h. */
#include "conformance/play.h"

#include "conformance/clock.h"

#include <stdio.h>

/* ---- small things ---- */

struct mqtt_str text(const char *zero_terminated)
{
    return (struct mqtt_str){(const uint8_t *)zero_terminated, (uint32_t)strlen(zero_terminated)};
}

bool is_text(struct mqtt_str s, const char *zero_terminated)
{
    return mqtt_str_eq(s, text(zero_terminated));
}

const char *no_props(const struct scene *s)
{
    return s->version == MQTT_V5 ? "()" : "";
}

struct mqtt_props with_encoded(struct scene *s, const char *format, ...)
{
    struct mqtt_props props = {.present = 0};
    va_list args;

    va_start(args, format);
    props.encoded = wire_vcompose(&s->arena, format, args);
    va_end(args);
    return props;
}

char *payload_of(struct scene *s, size_t len)
{
    char *p = arena_alloc(&s->arena, len + 1);

    for (size_t i = 0; i < len; i++)
        p[i] = (char)('a' + i % 26);
    return p;
}

struct mqtt_str both(struct scene *s, struct mqtt_str a, struct mqtt_str b)
{
    uint8_t *p = arena_alloc(&s->arena, (size_t)a.len + b.len);

    if (a.len > 0)
        memcpy(p, a.p, a.len);
    if (b.len > 0)
        memcpy(p + a.len, b.p, b.len);
    return (struct mqtt_str){p, a.len + b.len};
}

void in_time(struct scene *s, uint64_t deadline_us)
{
    if (clock_us() > deadline_us)
        scene_retry(s, "%.1f s too late for what follows",
                    (double)(clock_us() - deadline_us) / 1e6);
}

/* ---- features ---- */

void need_qos(struct scene *s, uint8_t qos)
{
    NEED(s, qos <= s->at.features->maximum_qos, "the server has no QoS %u", qos);
}

void need_retain(struct scene *s)
{
    NEED(s, s->at.features->retain, "the server has no retained messages");
}

void need_wildcard(struct scene *s)
{
    NEED(s, s->at.features->wildcard, "the server has no wildcard subscriptions");
}

void need_shared(struct scene *s)
{
    NEED(s, s->at.features->shared, "the server has no shared subscriptions");
}

void need_small_connack(struct scene *s, uint32_t limit)
{
    uint32_t size = join(s)->connack_size;

    NEED(s, size <= limit, "CONNACK has %u bytes: no client can be limited to %u", size, limit);
}

void need_subscription_id(struct scene *s)
{
    NEED(s, s->at.features->subscription_id, "the server has no Subscription Identifiers");
}

const char *denied_topic(const struct scene *s)
{
    return s->at.denied_topic != NULL ? s->at.denied_topic : "$SYS/frys-conformance";
}

/* ---- joining ---- */

static void set_will(struct mqtt_connect *c, const struct join *j)
{
    c->has_will = true;
    c->will = (struct mqtt_will){.topic = text(j->will_topic),
                                 .payload = text(j->will_payload == NULL ? "" : j->will_payload),
                                 .props = j->will_props,
                                 .qos = j->will_qos,
                                 .retain = j->will_retain};
}

static void set_props(struct mqtt_connect *c, const struct join *j)
{
    c->props = j->props;
    if (j->expiry_s != 0)
        MQTT_SET(&c->props, session_expiry_s, j->expiry_s);
    if (j->receive_maximum != 0)
        MQTT_SET(&c->props, receive_maximum, j->receive_maximum);
    if (j->topic_alias_maximum != 0)
        MQTT_SET(&c->props, topic_alias_maximum, j->topic_alias_maximum);
    if (j->maximum_packet_size != 0)
        MQTT_SET(&c->props, maximum_packet_size, j->maximum_packet_size);
}

static struct mqtt_packet connect_packet(const struct client *c, const struct join *j)
{
    struct mqtt_packet p = {.type = MQTT_CONNECT};
    struct mqtt_connect *connect = &p.connect;
    const struct target *t = c->target;

    connect->version = (enum mqtt_version)c->version;
    connect->clean_start = !j->resume && (c->version == MQTT_V5 || j->expiry_s == 0);
    connect->keep_alive_s = j->keep_alive_s;
    connect->client_id = text(c->id);
    if (j->will_topic != NULL)
        set_will(connect, j);
    if (t->user != NULL) {
        connect->has_username = true;
        connect->username = text(t->user);
    }
    if (t->password != NULL) {
        connect->has_password = true;
        connect->password = text(t->password);
    }
    set_props(connect, j);
    return p;
}

struct client *join_try(struct scene *s, const struct join *j)
{
    struct client *c = client_open(s, j->target);
    struct mqtt_packet p;

    if (j->version != 0)
        c->version = j->version;
    c->manual = j->manual;
    c->id = j->id == NULL ? scene_client_id(s) : j->id;
    if (j->expiry_s != 0 || (j->resume && c->version != MQTT_V5))
        scene_leave_session(s, c->id);
    if (j->will_retain)
        scene_leave_retained(s, j->will_topic);
    p = connect_packet(c, j);
    client_send_packet(c, &p);
    return c;
}

struct client *join_as(struct scene *s, const struct join *j)
{
    const char *by = RULE(s, "3.1.4-5", "3.1.4-4");
    struct client *c = join_try(s, j);
    const struct packet *p = client_take(c, MQTT_CONNACK, by);

    c->connack = p->as.connack;
    c->connack_size = p->bytes.len;
    MUST_BY(s, by, c->connack.reason == 0, "%s: a valid CONNECT was refused with %s", c->name,
            describe_reason(&s->arena, c->connack.reason, c->version));
    if (MQTT_HAS(&c->connack.props, assigned_client_id))
        c->id = arena_printf(&s->arena, "%.*s", (int)c->connack.props.assigned_client_id.len,
                             c->connack.props.assigned_client_id.p);
    return c;
}

bool says_present(const struct client *c)
{
    return c->version == MQTT_V31 || c->connack.session_present;
}

bool says_absent(const struct client *c)
{
    return c->version == MQTT_V31 || !c->connack.session_present;
}

struct client *join(struct scene *s)
{
    return JOIN(s, .manual = false);
}

static const char *usual_name(const struct scene *s)
{
    return s->version == MQTT_V5     ? "<MQTT> 05"
           : s->version == MQTT_V311 ? "<MQTT> 04"
                                     : "<MQIsdp> 03";
}

struct mqtt_str hand_connect(struct scene *s, const struct hand_connect *h)
{
    const struct target *t = s->at.target;
    struct arena *a = &s->arena;
    unsigned flags = h->flags == 0 ? 2u : h->flags;
    const char *tail = h->tail;

    if (tail == NULL) {
        tail = arena_printf(a, "%s%s%s %s%s%s", t->user != NULL ? "<" : "",
                            t->user != NULL ? t->user : "", t->user != NULL ? ">" : "",
                            t->password != NULL ? "<" : "", t->password != NULL ? t->password : "",
                            t->password != NULL ? ">" : "");
        flags |= (t->user != NULL ? 0x80u : 0u) | (t->password != NULL ? 0x40u : 0u);
    }
    return wire_compose(a, "%s %s %02x %s %s %s %s %s", h->head != NULL ? h->head : "10 #",
                        h->name != NULL ? h->name : usual_name(s), flags & 0xff,
                        h->keep_alive != NULL ? h->keep_alive : "003c",
                        h->props != NULL ? h->props : no_props(s),
                        h->id != NULL ? h->id : arena_printf(a, "<%s>", scene_client_id(s)),
                        h->will != NULL ? h->will : "", tail);
}

/* ---- sending ---- */

void say(struct client *c, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    client_send(c, wire_vcompose(&c->scene->arena, format, args));
    va_end(args);
}

static struct mqtt_str one_filter(struct scene *s, const char *filter, bool unsubscribe,
                                  uint8_t options)
{
    size_t cap = strlen(filter) + 3;
    uint8_t *out = arena_alloc(&s->arena, cap);

    return (struct mqtt_str){
        out, (uint32_t)mqtt_encode_filter(text(filter), unsubscribe, options, out, cap)};
}

static uint8_t subscribe_with(struct client *c, const char *filter, uint8_t options,
                              const struct mqtt_props *props)
{
    struct scene *s = c->scene;
    struct mqtt_packet p = {.type = MQTT_SUBSCRIBE};
    const struct mqtt_suback *answer;

    p.subscribe = (struct mqtt_subscribe){.packet_id = client_next_id(c),
                                          .filters = one_filter(s, filter, false, options),
                                          .count = 1,
                                          .props = *props};
    client_send_packet(c, &p);
    answer = &client_take(c, MQTT_SUBACK, RULE(s, "3.8.4-1", "3.8.4-1"))->as.suback;
    MUST_BY(s, RULE(s, "3.8.4-2", "3.8.4-2"), answer->packet_id == p.subscribe.packet_id,
            "%s: SUBACK with id %u instead of %u", c->name, answer->packet_id,
            p.subscribe.packet_id);
    MUST_BY(s, RULE(s, "3.8.4-6", "3.8.4-5"), answer->reasons.len == 1,
            "%s: SUBACK has %u codes for one filter", c->name, answer->reasons.len);
    return answer->reasons.p[0];
}

uint8_t subscribe_code(struct client *c, const char *filter, uint8_t options)
{
    return subscribe_with(c, filter, options, &(struct mqtt_props){.present = 0});
}

/* A lower QoS may be granted than was asked for. A case that needs the QoS says so by need_qos(),
 * but only 5.0 has a way to tell what the server has. */
static void must_be_granted(struct client *c, const char *filter, uint8_t options, uint8_t code)
{
    struct scene *s = c->scene;

    MUST_BY(s, RULE(s, "3.8.4-7", "3.8.4-5"), code < 0x80 && code <= (options & 3),
            "%s: the subscription to %s with QoS %u was answered with code 0x%02X", c->name, filter,
            options & 3, code);
    NEED(s, code == (options & 3), "the server grants QoS %u where QoS %u was asked for", code,
         options & 3);
}

void subscribe(struct client *c, const char *filter, uint8_t options)
{
    must_be_granted(c, filter, options, subscribe_code(c, filter, options));
}

void subscribe_id(struct client *c, const char *filter, uint8_t options, uint32_t sub_id)
{
    struct mqtt_props props = {.present = 0};

    MQTT_SET(&props, subscription_id, sub_id);
    must_be_granted(c, filter, options, subscribe_with(c, filter, options, &props));
}

uint8_t unsubscribe(struct client *c, const char *filter)
{
    struct scene *s = c->scene;
    struct mqtt_packet p = {.type = MQTT_UNSUBSCRIBE};
    const struct mqtt_suback *answer;

    p.subscribe = (struct mqtt_subscribe){
        .packet_id = client_next_id(c), .filters = one_filter(s, filter, true, 0), .count = 1};
    client_send_packet(c, &p);
    answer = &client_take(c, MQTT_UNSUBACK, RULE(s, "3.10.4-4", "3.10.4-4"))->as.suback;
    MUST_BY(s, RULE(s, "3.10.4-5", "3.10.4-4"), answer->packet_id == p.subscribe.packet_id,
            "%s: UNSUBACK with id %u instead of %u", c->name, answer->packet_id,
            p.subscribe.packet_id);
    if (c->version != MQTT_V5)
        return 0;
    MUST_BY(s, RULE(s, "3.11.3-1", NULL), answer->reasons.len == 1,
            "%s: UNSUBACK has %u codes for one filter", c->name, answer->reasons.len);
    return answer->reasons.p[0];
}

/* A proper client waits for acknowledgements when it has used up what the server allows it. */
static void mind_quota(struct client *c)
{
    struct scene *s = c->scene;
    uint64_t deadline = clock_us() + s->at.patience_us;

    if (c->reckless)
        return;
    while (c->in_flight >= s->at.features->receive_maximum && !c->ended)
        MUST_BY(s, RULE(s, "4.3.2-4", "4.3.2-2"), scene_poll(s, deadline),
                "%s: %u messages are not acknowledged", c->name, c->in_flight);
    c->in_flight++;
}

uint16_t publish_start_props(struct client *c, const char *topic, struct mqtt_str payload,
                             uint8_t qos, unsigned flags, const struct mqtt_props *props)
{
    struct scene *s = c->scene;
    struct mqtt_packet p = {.type = MQTT_PUBLISH};

    need_qos(s, qos);
    if ((flags & RETAIN) != 0) {
        need_retain(s);
        scene_leave_retained(s, topic);
    }
    p.publish = (struct mqtt_publish){.dup = (flags & DUP) != 0,
                                      .retain = (flags & RETAIN) != 0,
                                      .qos = qos,
                                      .packet_id = qos > 0 ? client_next_id(c) : 0,
                                      .topic = text(topic),
                                      .payload = payload,
                                      .props = *props};
    if (qos > 0)
        mind_quota(c);
    client_send_packet(c, &p);
    return p.publish.packet_id;
}

uint16_t publish_start(struct client *c, const char *topic, const char *payload, uint8_t qos,
                       unsigned flags)
{
    return publish_start_props(c, topic, text(payload), qos, flags,
                               &(struct mqtt_props){.present = 0});
}

void publish_props(struct client *c, const char *topic, const char *payload, uint8_t qos,
                   unsigned flags, const struct mqtt_props *props)
{
    struct scene *s = c->scene;
    uint16_t id = publish_start_props(c, topic, text(payload), qos, flags, props);
    uint8_t reason = 0;

    if (qos > 0)
        reason = expect_ack(c, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, id);
    MUST(s, reason < 0x80, "%s: the server does not take a message: %s", c->name,
         describe_reason(&s->arena, reason, c->version));
    if (qos == 2) {
        acknowledge(c, MQTT_PUBREL, id, 0);
        expect_ack(c, MQTT_PUBCOMP, id);
    }
}

void publish(struct client *c, const char *topic, const char *payload, uint8_t qos, unsigned flags)
{
    publish_props(c, topic, payload, qos, flags, &(struct mqtt_props){.present = 0});
}

void acknowledge(struct client *c, enum mqtt_type type, uint16_t id, uint8_t reason)
{
    struct mqtt_packet p = {.type = type};

    p.ack = (struct mqtt_ack){.packet_id = id, .reason = reason};
    client_send_packet(c, &p);
}

void ping(struct client *c)
{
    client_send_packet(c, &(struct mqtt_packet){.type = MQTT_PINGREQ});
    client_take(c, MQTT_PINGRESP, RULE(c->scene, "3.12.4-1", "3.12.4-1"));
}

bool alive(struct client *c)
{
    struct scene *s = c->scene;
    struct packet *p;

    client_send_packet(c, &(struct mqtt_packet){.type = MQTT_PINGREQ});
    while ((p = client_find(c, MQTT_PINGRESP)) == NULL && !c->ended)
        MUST_BY(s, RULE(s, "3.12.4-1", "3.12.4-1"), scene_poll(s, clock_us() + s->at.patience_us),
                "%s: PINGREQ is not answered", c->name);
    if (p != NULL)
        list_remove(&p->link);
    return p != NULL;
}

/* What still comes is of no interest any more. The connection is closed when the server has closed
 * it, or does not within a while: in 3.x it need not. */
static void await_parting(struct client *c)
{
    client_await_end(c, clock_us() + 2000000);
    client_close(c, false);
}

void leave_with(struct client *c, uint8_t reason, const struct mqtt_props *props)
{
    struct mqtt_packet p = {.type = MQTT_DISCONNECT};

    c->manual = true;
    p.reasoned.reason = reason;
    if (props != NULL)
        p.reasoned.props = *props;
    client_send_packet(c, &p);
    await_parting(c);
}

void leave(struct client *c)
{
    leave_with(c, 0, NULL);
}

void drop(struct client *c)
{
    c->manual = true;
    scene_note(c->scene, c, '-', "ends the connection without DISCONNECT");
    if (c->net != NULL)
        link_finish(c->net);
    await_parting(c);
}

/* ---- expecting messages ---- */

#define FENCE "/~"

static bool is_fence(const struct client *c, const struct packet *p)
{
    const struct scene *s = c->scene;
    size_t n = strlen(s->tag);

    return p->topic.len > n + 2 && memcmp(p->topic.p, s->tag, n) == 0 &&
           memcmp(p->topic.p + n, FENCE, 2) == 0;
}

struct packet *peek_message(struct client *c)
{
    LIST_EACH (at, &c->inbox) {
        struct packet *p = LIST_ITEM(at, struct packet, link);

        if (p->rc == 0 && p->as.type == MQTT_PUBLISH && !is_fence(c, p))
            return p;
    }
    return NULL;
}

static struct packet *next_message(struct client *c, const char *statements)
{
    struct packet *p;

    while ((p = peek_message(c)) == NULL) {
        /* Fails as it should when nothing (more) can come. */
        p = client_take(c, MQTT_PUBLISH, statements);
        if (!is_fence(c, p))
            return p;
    }
    list_remove(&p->link);
    return p;
}

const struct mqtt_publish *message(struct client *c)
{
    return &next_message(c, NULL)->as.publish;
}

const struct mqtt_publish *expect_by(struct client *c, const char *statements, const char *topic,
                                     const char *payload)
{
    struct arena *a = &c->scene->arena;
    struct packet *p = next_message(c, statements);
    const struct mqtt_publish *m = &p->as.publish;

    MUST_BY(c->scene, statements, is_text(p->topic, topic) && is_text(m->payload, payload),
            "%s: expected the message %s of topic %s, got %s of %s", c->name,
            describe_text(a, text(payload)), describe_text(a, text(topic)),
            describe_text(a, m->payload), describe_text(a, p->topic));
    return m;
}

const struct mqtt_publish *expect(struct client *c, const char *topic, const char *payload)
{
    return expect_by(c, NULL, topic, payload);
}

static void subscribe_fence(struct client *to)
{
    struct scene *s = to->scene;

    if (to->fence != NULL)
        return;
    to->fence = arena_printf(&s->arena, "%s" FENCE "%s", s->tag, to->name);
    subscribe_code(to, to->fence, 0);
}

static bool is_mark(const struct client *to, const struct packet *p, const char *payload)
{
    return is_text(p->topic, to->fence) && is_text(p->as.publish.payload, payload);
}

static struct packet *find_mark(struct client *to, const char *payload)
{
    LIST_EACH (at, &to->inbox) {
        struct packet *p = LIST_ITEM(at, struct packet, link);

        if (p->rc == 0 && p->as.type == MQTT_PUBLISH && is_mark(to, p, payload))
            return p;
    }
    return NULL;
}

void settle(struct client *from, struct client *to)
{
    struct scene *s = to->scene;
    uint64_t deadline = clock_us() + s->at.patience_us;
    const char *payload = arena_printf(&s->arena, "mark %u", ++to->fences);

    subscribe_fence(to);
    publish_start(from, to->fence, payload, 0, 0);
    while (find_mark(to, payload) == NULL) {
        MUST(s, !to->ended, "%s: the connection has ended, a mark was to come", to->name);
        MUST(s, scene_poll(s, deadline), "%s: the mark of %s does not arrive", to->name,
             from->name);
    }
    list_remove(&find_mark(to, payload)->link);
}

void expect_nothing_by(struct client *from, struct client *to, const char *statements)
{
    struct arena *a = &to->scene->arena;
    struct packet *p;

    settle(from, to);
    p = peek_message(to);
    MUST_BY(to->scene, statements, p == NULL, "%s: a message was delivered that should not be: %s",
            to->name, describe_packet(a, &p->as, to->version));
}

void expect_nothing(struct client *from, struct client *to)
{
    expect_nothing_by(from, to, NULL);
}

unsigned drain(struct client *from, struct client *to)
{
    struct packet *p;
    unsigned n = 0;

    settle(from, to);
    for (; (p = peek_message(to)) != NULL; n++)
        list_remove(&p->link);
    return n;
}

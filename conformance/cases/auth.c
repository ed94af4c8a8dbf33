/* auth: enhanced authentication. What needs a method that the server knows is told one by
 * --auth-method and --auth-data.                                             [v5 3.15, 4.12] */
#include "conformance/cases/chapters.h"

/* ---- without a method ---- */

static void unknown_method(struct scene *s)
{
    struct client *c = client_open(s, NULL);

    client_send(c, HAND_CONNECT(s, .props = "(15 <no-such-method> 16 <data>)"));
    expect_refusal(c, "8c 87", NO_CONNACK);
}

static void unasked(struct scene *s)
{
    struct client *c = join(s);

    ping(c);
    MUST(s, !MQTT_HAS(&c->connack.props, auth_method) && client_find(c, MQTT_AUTH) == NULL,
         "authentication that was not asked for");
}

static void auth_without_method(struct scene *s)
{
    struct client *a = join(s), *b = join(s);

    say(a, "f0 # 18 (15 <method> 16 <data>)");
    say(b, "f0 # 19 (15 <method> 16 <data>)");
    expect_close(a, "82");
    expect_close(b, "82");
}

static void flags(struct scene *s)
{
    struct client *c = join(s);

    say(c, "f1 # 18 (15 <method>)");
    expect_close(c, "81");
}

static void bad_reason(struct scene *s)
{
    struct client *a = join(s), *b = join(s);

    say(a, "f0 # 00 (15 <method>)"); /* of servers */
    say(b, "f0 # 01 (15 <method>)"); /* of nobody */
    expect_close(a, "82 81");
    expect_close(b, "82 81");
}

/* ---- with one ---- */

static void need_method(struct scene *s)
{
    NEED(s, s->at.auth_method != NULL, "no --auth-method is given");
}

/* What to send in step n, or "" when there is no more. */
static const char *data_of(struct scene *s, unsigned n)
{
    const char *at = s->at.auth_data != NULL ? s->at.auth_data : "";

    for (; n > 0 && *at != '\0'; n--) {
        at += strcspn(at, ",");
        at += *at == ',';
    }
    return arena_printf(&s->arena, "%.*s", (int)strcspn(at, ","), at);
}

static const char *method_and_data(struct scene *s, const char *data)
{
    return arena_printf(&s->arena, "(15 <%s> 16 <%s>)", s->at.auth_method, data);
}

static struct client *begin(struct scene *s, const char *data)
{
    struct client *c = client_open(s, NULL);

    need_method(s);
    client_send(c, HAND_CONNECT(s, .props = method_and_data(s, data)));
    return c;
}

/* The next AUTH or the last packet of the exchange; NULL: the connection has ended. */
static struct packet *next_step(struct client *c)
{
    struct packet *p;

    while ((p = client_find(c, 0)) == NULL && !c->ended)
        MUST(c->scene, scene_poll(c->scene, clock_us() + c->scene->at.patience_us),
             "%s: the server is silent in the middle of authentication", c->name);
    if (p != NULL)
        list_remove(&p->link);
    return p;
}

static void check_method(struct client *c, const struct mqtt_props *props, const char *what)
{
    MUST_BY(c->scene, "4.12.0-5",
            MQTT_HAS(props, auth_method) && is_text(props->auth_method, c->scene->at.auth_method),
            "%s has another Authentication Method, or none", what);
}

/* Answer each AUTH until something else comes, which is returned. step: of the first answer. */
static struct packet *go_through(struct client *c, unsigned step)
{
    struct scene *s = c->scene;
    struct packet *p;

    for (; (p = next_step(c)) != NULL && p->as.type == MQTT_AUTH; step++) {
        check_method(c, &p->as.reasoned.props, "AUTH");
        if (p->as.reasoned.reason == 0)
            break;
        MUST_BY(s, "4.12.0-2", p->as.reasoned.reason == 0x18, "AUTH that asks for more with %s",
                describe_reason(&s->arena, p->as.reasoned.reason, s->version));
        say(c, "f0 # 18 %s", method_and_data(s, data_of(s, step)));
    }
    return p;
}

static struct client *authenticated(struct scene *s)
{
    struct client *c = begin(s, data_of(s, 0));
    struct packet *p = go_through(c, 1);

    MUST(s, p != NULL && p->as.type == MQTT_CONNACK && p->as.connack.reason == 0,
         "authentication does not lead to a CONNACK with success");
    check_method(c, &p->as.connack.props, "CONNACK");
    return c;
}

static void exchange(struct scene *s)
{
    ping(authenticated(s));
}

/* An exchange in which the server has asked for more. */
static struct client *half_way(struct scene *s)
{
    struct client *c = begin(s, data_of(s, 0));
    struct packet *p = next_step(c);

    NEED(s, p != NULL && p->as.type == MQTT_AUTH, "the method has a single step");
    return c;
}

static void wrong_data(struct scene *s)
{
    struct client *c = begin(s, "wrong");
    struct packet *p = go_through(c, 99);

    MUST(s, p == NULL || (p->as.type == MQTT_CONNACK && p->as.connack.reason >= 0x80),
         "wrong Authentication Data are accepted");
    MUST(s, client_await_end(c, clock_us() + s->at.patience_us), "the connection stays open");
}

static void wrong_reason(struct scene *s)
{
    struct client *c = half_way(s);

    say(c, "f0 # 19 %s", method_and_data(s, data_of(s, 1)));
    expect_refusal(c, NULL, NO_CONNACK);
}

static void wrong_method(struct scene *s)
{
    struct client *c = half_way(s);

    say(c, "f0 # 18 (15 <another> 16 <%s>)", data_of(s, 1));
    expect_refusal(c, NULL, NO_CONNACK);
}

static void publish_half_way(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *watcher = authenticated(s), *c;

    subscribe(watcher, topic, 0);
    c = half_way(s);
    say(c, "30 # <%s> () [x]", topic);
    expect_refusal(c, NULL, NO_CONNACK);
    expect_nothing(watcher, watcher);
}

static void again(struct scene *s)
{
    struct client *c = authenticated(s);
    struct packet *p;

    say(c, "f0 # 19 %s", method_and_data(s, data_of(s, 0)));
    p = go_through(c, 1);
    MUST(s, p != NULL && p->as.type == MQTT_AUTH && p->as.reasoned.reason == 0,
         "re-authentication does not lead to an AUTH with success");
    ping(c);
    say(c, "f0 # 19 (15 <another> 16 <%s>)", data_of(s, 0));
    expect_close(c, "8c 82");
}

static void again_wrongly(struct scene *s)
{
    struct client *c = authenticated(s);

    say(c, "f0 # 19 %s", method_and_data(s, "wrong"));
    for (struct packet *p; (p = next_step(c)) != NULL && p->as.type == MQTT_AUTH;) {
        MUST(s, p->as.reasoned.reason != 0, "wrong Authentication Data are accepted");
        say(c, "f0 # 18 %s", method_and_data(s, "wrong"));
    }
    MUST(s, client_await_end(c, clock_us() + s->at.patience_us), "the connection stays open");
}

/* AUTH with words, and without them when they do not fit. */
static void words(struct scene *s)
{
    struct client *c = begin(s, data_of(s, 0));
    struct packet *p = next_step(c);
    uint32_t limit;
    bool says_why, says_more;

    NEED(s, p != NULL && p->as.type == MQTT_AUTH, "the method has a single step");
    says_why = MQTT_HAS(&p->as.reasoned.props, reason_string);
    says_more = MQTT_HAS(&p->as.reasoned.props, user_property);
    NEED(s, says_why || says_more, "AUTH has neither Reason String nor User Property");
    limit = p->bytes.len - 1;
    c = client_open(s, NULL);
    client_send(c, HAND_CONNECT(s, .props = arena_printf(&s->arena, "(27 %08x 15 <%s> 16 <%s>)",
                                                         limit, s->at.auth_method, data_of(s, 0))));
    p = next_step(c);
    NEED(s, p != NULL && p->as.type == MQTT_AUTH, "no AUTH when its words do not fit");
    MUST(s, p->bytes.len <= limit, "AUTH has %u bytes, the client takes %u", p->bytes.len, limit);
    if (!says_more)
        scene_skip_some(s, "3.15.2-3", "the server sends no User Property in AUTH");
    if (!says_why)
        scene_skip_some(s, "3.15.2-2", "the server sends no Reason String in AUTH");
}

/* clang-format off */
CHAPTER(auth, "Enhanced authentication",
    {"auth_unknown_method",   unknown_method,      "4.12.0-1",          NULL, NULL, 0},
    {"auth_unasked",          unasked,             "4.12.0-6",          NULL, NULL, 0},
    {"auth_without_method",   auth_without_method, "4.12.0-7",          NULL, NULL, 0},
    {"auth_flags",            flags,               "3.15.1-1",          NULL, NULL, 0},
    {"auth_bad_reason",       bad_reason,          "3.15.2-1",          NULL, NULL, 0},
    {"auth_exchange",         exchange,            "4.12.0-2 4.12.0-5 3.15.2-1", NULL, NULL, 0},
    {"auth_wrong_data",       wrong_data,          "4.12.0-4",          NULL, NULL, 0},
    {"auth_wrong_reason",     wrong_reason,        "4.12.0-3",          NULL, NULL, 0},
    {"auth_wrong_method",     wrong_method,        "4.12.0-5",          NULL, NULL, 0},
    {"auth_publish_half_way", publish_half_way,    "3.1.2-30",          NULL, NULL, 0},
    {"auth_again",            again,               "4.12.1-1",          NULL, NULL, 0},
    {"auth_again_wrongly",    again_wrongly,       "4.12.1-2",          NULL, NULL, 0},
    {"auth_words",            words,               "3.15.2-2 3.15.2-3", NULL, NULL, 0},
);
/* clang-format on */

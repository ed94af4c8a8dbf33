/* ws_mqtt: MQTT over WebSocket, and between transports.                            [v5 6] [v3 6] */
#include "conformance/cases/chapters.h"

static void send_frame(struct client *c, unsigned opcode, struct mqtt_str payload)
{
    client_send_frame(c,
                      (struct ws_frame){.fin = true,
                                        .opcode = (uint8_t)opcode,
                                        .masked = true,
                                        .length_bytes = 1,
                                        .payload = payload},
                      false);
}

static void every_version(struct scene *s)
{
    struct client *c = join(s); /* which has offered mqtt */
    const char *selected = ws_header(&s->arena, &c->upgrade, "Sec-WebSocket-Protocol", 0);

    MUST(s, s->version == MQTT_V31 || (selected != NULL && strcmp(selected, "mqtt") == 0),
         "the subprotocol is not mqtt");
    ping(c);
}

static void expect_end(struct client *c)
{
    struct scene *s = c->scene;

    MUST(s, client_await_end(c, clock_us() + s->at.patience_us),
         "%s: the connection is open after a text frame", c->name);
    SHOULD(s, !c->ws_close_got || c->ws_close_code == 1003 || c->ws_close_code == 1002,
           "%s: Close with %u, expected 1003", c->name, c->ws_close_code);
}

/* Before CONNECT, with it, and after it; then the Will is published. */
static void text_frames(struct scene *s)
{
    const char *topic = scene_topic(s, "will"), *other = scene_topic(s, "t");
    struct client *watcher = join(s), *c = client_open(s, NULL);

    send_frame(c, WS_TEXT, text("hello"));
    expect_end(c);
    c = client_open(s, NULL);
    send_frame(c, WS_TEXT, HAND_CONNECT(s, .name = NULL));
    expect_end(c);
    MUST(s, client_find(c, MQTT_CONNACK) == NULL, "a CONNECT in a text frame is accepted");
    subscribe(watcher, topic, 0);
    subscribe(watcher, other, 0);
    c = JOIN(s, .will_topic = topic, .will_payload = "gone");
    send_frame(c, WS_TEXT, wire_compose(&s->arena, "30 # <%s> %s [x]", other, no_props(s)));
    expect_end(c);
    expect(watcher, topic, "gone");
    expect_nothing(watcher, watcher);
}

static void any_cut(struct scene *s)
{
    const char *topic = scene_topic(s, "t"), *p = no_props(s);
    struct mqtt_str connect = HAND_CONNECT(s, .name = NULL);
    struct mqtt_str rest = wire_compose(
        &s->arena, "82 # 0001 %s <%s> 00 ; 30 # <%s> %s [x] ; c0 00", p, topic, topic, p);
    struct client *c = client_open(s, NULL);

    client_send_split(c, connect, 1); /* a byte a frame */
    client_take(c, MQTT_CONNACK, NULL);
    client_send(c, rest); /* three packets in a frame */
    client_take(c, MQTT_SUBACK, NULL);
    expect(c, topic, "x");
    client_take(c, MQTT_PINGRESP, NULL);
    client_send_split(c, rest, 7); /* packets end and begin within frames */
    client_take(c, MQTT_SUBACK, NULL);
    expect(c, topic, "x");
    client_take(c, MQTT_PINGRESP, NULL);
}

static void pings_do_not_count(struct scene *s)
{
    struct client *c = JOIN(s, .keep_alive_s = 1);
    uint64_t due_us = c->sent_us + 1500000, last_us = clock_us();

    NEED(s, s->version != MQTT_V5 || !MQTT_HAS(&c->connack.props, server_keep_alive_s),
         "the server has a Keep Alive of its own");
    while (!client_await_end(c, clock_us() + 400000)) {
        MUST(s, clock_us() < due_us + 10000000, "WebSocket Pings keep the client alive");
        in_time(s, last_us + 1200000);
        send_frame(c, WS_PING, text("ping"));
        last_us = clock_us();
    }
    MUST(s, c->ended_us + EARLY_US >= due_us, "the connection was closed %.2f s too early",
         (double)(due_us - c->ended_us) / 1e6);
}

static void close_without_disconnect(struct scene *s)
{
    const char *topic = scene_topic(s, "will");
    struct client *watcher = join(s), *c;

    subscribe(watcher, topic, 0);
    c = JOIN(s, .will_topic = topic, .will_payload = "closed");
    send_frame(c, WS_CLOSE, wire_compose(&s->arena, "03e8"));
    client_await_end(c, clock_us() + s->at.patience_us);
    expect(watcher, topic, "closed");
    c = JOIN(s, .will_topic = topic, .will_payload = "dropped");
    drop(c);
    expect(watcher, topic, "dropped");
    c = JOIN(s, .will_topic = topic, .will_payload = "left");
    leave(c);
    expect_nothing(watcher, watcher);
}

/* 5.0: DISCONNECT, then Close, then the end. */
static void disconnect_then_close(struct scene *s)
{
    struct client *c = join(s);
    struct frame *f;

    say(c, "82 # 0001 ()");
    MUST(s, client_await_end(c, clock_us() + s->at.patience_us), "the connection is still open");
    SHOULD(s, client_find(c, MQTT_DISCONNECT) != NULL, "no DISCONNECT before the end");
    f = client_take_frame(c, WS_CLOSE);
    SHOULD(s, f != NULL, "no Close before the end");
    SHOULD(s, f == NULL || f->packets_before == c->n_packets, "DISCONNECT comes after Close");
}

/* How long is up to the server; more than 12 s are not waited for. */
static void silence(struct scene *s)
{
    struct client *c = client_open(s, NULL);

    NEED(s, client_await_end(c, clock_us() + 12000000), "the connection is open after 12 s");
    MUST(s, client_find(c, 0) == NULL, "the server says something before CONNECT");
}

/* The session and its takeover do not depend on how a client comes. */
static void between_transports(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    const struct target *other = NULL;
    struct client *a = join(s), *old, *new;

    for (size_t i = 0; i < s->at.n_targets; i++)
        if (strcmp(s->at.targets[i].scheme, s->at.target->scheme) != 0)
            other = &s->at.targets[i];
    NEED(s, other != NULL, "no URL with another scheme is given");
    need_qos(s, 1);
    old = JOIN(s, .target = other, .expiry_s = 60);
    subscribe(old, topic, 1);
    new = JOIN(s, .id = old->id, .resume = true, .expiry_s = 60);
    expect_close_by(old, RULE(s, "3.1.4-3", "3.1.4-2"), "8e");
    MUST(s, says_present(new), "the session is not there over another transport");
    publish(a, topic, "x", 1, 0);
    expect(new, topic, "x");
}

/* 64 bytes of MQTT pass a limit of 64, whatever WebSocket adds. */
static void packet_size(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    const char *payload = payload_of(s, 64 - 5 - strlen(topic));
    struct client *a = join(s), *b;

    need_small_connack(s, 64);
    b = JOIN(s, .maximum_packet_size = 64);
    subscribe(b, topic, 0);
    publish(a, topic, payload, 0, 0);
    expect(b, topic, payload);
}

/* clang-format off */
CHAPTER(ws_mqtt, "MQTT over WebSocket",
    {"ws_every_version",   every_version,            "MW-01",         "MW-01",         "MW-01",  ONLY_WEBSOCKET},
    {"ws_text_frames",     text_frames,              "6.0.0-1 MW-02", "6.0.0-1 MW-02", "MW-02",  ONLY_WEBSOCKET},
    {"ws_any_cut",         any_cut,                  "6.0.0-2 MW-03", "6.0.0-2 MW-03", "MW-03",  ONLY_WEBSOCKET},
    {"ws_keep_alive",      pings_do_not_count,       "MW-05",         NULL,            NULL,     ONLY_WEBSOCKET | SLOW},
    {"ws_will",            close_without_disconnect, "MW-06",         "MW-06",         NULL,     ONLY_WEBSOCKET},
    {"ws_disconnect",      disconnect_then_close,    "MW-07",         NULL,            NULL,     ONLY_WEBSOCKET},
    {"ws_silence",         silence,                  "MW-08",         NULL,            NULL,     ONLY_WEBSOCKET | SLOW | ONCE},
    {"ws_other_transport", between_transports,       "MW-09",         "MW-09",         NULL,     ONLY_WEBSOCKET},
    {"ws_packet_size",     packet_size,              "MW-10",         NULL,            NULL,     ONLY_WEBSOCKET},
);
/* clang-format on */

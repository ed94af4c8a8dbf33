/* keepalive: who says nothing for too long, is gone.               [v5 3.1.2.10] [v3 3.1.2.10] */
#include "conformance/cases/chapters.h"

/* What counts: the server's own value, if it has one. */
static uint32_t keep_alive_of(struct scene *s, const struct client *c, uint32_t asked_s)
{
    if (!MQTT_HAS(&c->connack.props, server_keep_alive_s) || s->version != MQTT_V5)
        return asked_s;
    NEED(s, c->connack.props.server_keep_alive_s <= 5, "the server keeps clients for %u s",
         c->connack.props.server_keep_alive_s);
    return c->connack.props.server_keep_alive_s;
}

/* Not before one and a half intervals, and soon after. The Will follows. */
static void times_out(struct scene *s)
{
    const char *topic = scene_topic(s, "will");
    struct client *watcher = join(s);
    struct client *c = JOIN(s, .keep_alive_s = 1, .will_topic = topic, .will_payload = "gone");
    uint64_t due_us = c->sent_us + keep_alive_of(s, c, 1) * 1500000ull;

    subscribe(watcher, topic, 0);
    MUST(s, client_await_end(c, due_us + 2 * s->at.patience_us), "the connection is still open");
    MUST(s, c->ended_us + EARLY_US >= due_us, "the connection was closed %.2f s too early",
         (double)(due_us - c->ended_us) / 1e6);
    SHOULD(s, c->ended_us <= due_us + s->at.patience_us, "the connection was closed %.2f s late",
           (double)(c->ended_us - due_us) / 1e6);
    expect_close(c, "8d");
    expect(watcher, topic, "gone");
}

/* Any packet counts: three seconds without one would be too many. */
static void packets_count(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *c = JOIN(s, .keep_alive_s = 2);

    for (unsigned i = 0; i < 6; i++) {
        uint64_t before_us = c->sent_us;

        scene_sleep(s, 700000);
        if (i % 2 == 0)
            publish_start(c, topic, "x", 0, 0);
        else
            client_send_packet(c, &(struct mqtt_packet){.type = MQTT_PINGREQ});
        in_time(s, before_us + 2000000);
        MUST(s, !c->ended, "the connection was closed, though packets have come");
    }
    client_take(c, MQTT_PINGRESP, NULL);
}

static void off(struct scene *s)
{
    struct client *c = JOIN(s, .keep_alive_s = 0);

    NEED(s, !MQTT_HAS(&c->connack.props, server_keep_alive_s) || s->version != MQTT_V5,
         "the server has a Keep Alive of its own");
    scene_sleep(s, 4000000);
    ping(c);
}

/* clang-format off */
CHAPTER(keepalive, "Keep Alive",
    {"keep_alive_times_out", times_out,     "3.1.2-22 3.2.2-22", "3.1.2-24", "V31-3.1-9", SLOW},
    {"keep_alive_packets",   packets_count, "3.1.2-22 3.2.2-22", "3.1.2-24", "V31-3.1-9", SLOW},
    {"keep_alive_off",       off,           "3.1.2-22",          "3.1.2-24", NULL,        SLOW},
);
/* clang-format on */

/* disconnect: PINGREQ and DISCONNECT.                             [v5 3.12-3.14] [v3 3.12-3.14] */
#include "conformance/cases/chapters.h"

static void pinged(struct scene *s)
{
    struct client *c = join(s);

    for (unsigned i = 0; i < 3; i++)
        ping(c);
    say(c, "c0 00 ; c0 00");
    client_take(c, MQTT_PINGRESP, NULL);
    client_take(c, MQTT_PINGRESP, NULL);
}

/* A client that says goodbye should be let go, if it does not go itself. */
static void closed(struct scene *s)
{
    struct client *c = join(s);

    say(c, "e0 00");
    SHOULD(s, client_await_end(c, clock_us() + s->at.patience_us),
           "the server leaves the connection open after DISCONNECT");
    SHOULD(s, client_find(c, 0) == NULL, "DISCONNECT is answered");
}

/* The server's own DISCONNECT is the last it says, and then it closes. */
static void of_server(struct scene *s)
{
    struct client *c = join(s);

    say(c, "82 # 0001 ()");
    MUST_BY(s, "3.14.4-2 4.13.2-1", client_await_end(c, clock_us() + s->at.patience_us),
            "the connection stays open");
    NEED(s, client_find(c, MQTT_DISCONNECT) != NULL, "the server closes without DISCONNECT");
    MUST_BY(s, "4.13.2-1", client_take(c, MQTT_DISCONNECT, NULL)->as.reasoned.reason >= 0x80,
            "DISCONNECT of the server with a reason below 0x80");
    MUST_BY(s, "3.14.4-1", client_find(c, 0) == NULL, "something follows the server's DISCONNECT");
}

static void bad_reason(struct scene *s)
{
    struct client *a = join(s), *b = join(s);

    say(a, "e0 02 03 00"); /* of nobody */
    say(b, "e0 02 8e 00"); /* of servers */
    expect_close(a, "82 81");
    expect_close(b, "82 81");
}

/* What follows DISCONNECT should not be acted on. */
static void nothing_after(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *watcher = join(s), *c = join(s);

    subscribe(watcher, topic, 0);
    say(c, "e0 00 ; 30 # <%s> [x]", topic);
    client_await_end(c, clock_us() + s->at.patience_us);
    settle(watcher, watcher);
    SHOULD(s, peek_message(watcher) == NULL, "a PUBLISH after DISCONNECT is acted on");
}

/* clang-format off */
CHAPTER(disconnect, "PINGREQ and DISCONNECT",
    {"ping",                     pinged,        "3.12.4-1",                   "3.12.4-1", "V31-3.12-1", 0},
    {"disconnect_closes",        closed,        "3.14.4-3",                   "3.14.4-3", "V31-3.14-1", 0},
    {"disconnect_of_server",     of_server,     "3.14.4-1 3.14.4-2 4.13.2-1", NULL,       NULL, 0},
    {"disconnect_bad_reason",    bad_reason,    "3.14.2-1",                   NULL,       NULL, 0},
    {"disconnect_then_publish",  nothing_after, NULL,                         "3.14.4-2", NULL, 0},
);
/* clang-format on */

/* errors: what no client may send, and that nobody else suffers from it.    [v5 4.13] [v3 4.8] */
#include "conformance/cases/chapters.h"

#define MANY 24u

/* A connection for each packet; while they end, a bystander's goes on. */
static void close_on_each(struct scene *s, const char *const *packets, size_t n,
                          const char *reasons)
{
    struct client *bystander = join(s), *c[MANY];

    ASSERT(n <= MANY);
    for (size_t i = 0; i < n; i++) {
        c[i] = join(s);
        say(c[i], "%s", packets[i]);
    }
    for (size_t i = 0; i < n; i++)
        expect_close(c[i], reasons);
    ping(bystander);
}

static void reserved_types(struct scene *s)
{
    static const char *const packets[] = {"00 00", "f0 00"};

    close_on_each(s, packets, s->version == MQTT_V5 ? 1 : 2, "81");
}

static void packets_of_servers(struct scene *s)
{
    static const char *const v5[] = {"20 # 00 00 ()", "90 # 0001 () 00", "b0 # 0001 () 00",
                                     "d0 00"};
    static const char *const v3[] = {"20 02 00 00", "90 03 0001 00", "b0 02 0001", "d0 00"};

    close_on_each(s, s->version == MQTT_V5 ? v5 : v3, 4, "82");
}

static void wrong_lengths(struct scene *s)
{
    static const char *const packets[] = {
        "c0 01 00",                  /* PINGREQ with a body */
        "40 01 00",                  /* PUBACK without an identifier */
        "62 00",                     /* PUBREL without one */
        "c0 ffffffff01",             /* five bytes of length */
        "82 01 00",      "a2 01 00", /* SUBSCRIBE, UNSUBSCRIBE cut short */
    };

    close_on_each(s, packets, ARRAY_LEN(packets), "81");
}

/* 3.1.1: nothing follows a packet identifier or DISCONNECT. */
static void left_over_3(struct scene *s)
{
    static const char *const packets[] = {"40 03 0001 00", "e0 01 00", "62 03 0001 00"};

    close_on_each(s, packets, ARRAY_LEN(packets), NULL);
}

static void acks_malformed(struct scene *s)
{
    static const char *const packets[] = {
        "40 # 0001 00 (01 01)",         /* a property of PUBLISH */
        "40 # 0001 00 (1f <a> 1f <b>)", /* twice */
        "40 # 0001 00 () 00",           /* left over */
        "40 # 0001 00 05",              /* properties that are not there */
        "e0 # 00 (1c <server>)",        /* of servers */
    };

    close_on_each(s, packets, ARRAY_LEN(packets), "81 82");
}

/* Reasons that no packet of that type has. */
static void acks_bad_reason(struct scene *s)
{
    struct client *c = JOIN(s, .manual = true), *a = join(s);
    const char *topic = scene_topic(s, "t");

    need_qos(s, 1);
    subscribe(c, topic, 1);
    publish(a, topic, "x", 1, 0);
    say(c, "40 03 %04x 01", expect(c, topic, "x")->packet_id);
    expect_close(c, "82 81");
    ping(a);
}

/* What follows in the same segment is not processed any more. */
static void nothing_after(struct scene *s)
{
    const char *topic = scene_topic(s, "t");
    struct client *watcher = join(s), *c = join(s);

    subscribe(watcher, topic, 0);
    say(c, "00 00 ; 30 # <%s> %s [x]", topic, no_props(s));
    expect_close(c, "81");
    expect_nothing(watcher, watcher);
}

/* clang-format off */
CHAPTER(errors, "Errors",
    {"reserved_types",    reserved_types,     "4.13.1-1", "4.8.0-1", NULL, 0},
    {"packets_of_servers", packets_of_servers, "4.13.1-1", "4.8.0-1", NULL, 0},
    {"wrong_lengths",     wrong_lengths,      "4.13.1-1", "4.8.0-1", NULL, 0},
    {"left_over",         left_over_3,        NULL,       "4.8.0-1", NULL, 0},
    {"acks_malformed",    acks_malformed,     "4.13.1-1", NULL,      NULL, 0},
    {"acks_bad_reason",   acks_bad_reason,    "4.13.1-1", NULL,      NULL, 0},
    {"nothing_after_error", nothing_after,    "4.13.1-1", "4.8.0-1", NULL, 0},
);
/* clang-format on */

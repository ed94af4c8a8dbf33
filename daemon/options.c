#include "daemon/options.h"

#include "base/assert.h"
#include "broker/broker.h"
#include "daemon/config.h"

#include <ctype.h>
#include <stdio.h>

#define FIELD(where, type, field) where, offsetof(type, field), sizeof(((type *)0)->field)
#define CONFIG(field)             FIELD(SCOPE_CONFIG, struct config, field)
#define LISTENER(field)           FIELD(SCOPE_LISTENER, struct ws_listener_config, field)
#define CERTIFICATE(field)        FIELD(SCOPE_CERTIFICATE, struct ws_certificate, field)
#define TOPIC(field)              FIELD(SCOPE_TOPIC, struct topic_durability, field)
#define OF_CONFIG                 SCOPE_CONFIG, 0, 0 /* rows without a field of their own */
#define OF_LISTENER               SCOPE_LISTENER, 0, 0

#define RANGE(least, greatest)    .min = (least), .max = (greatest)
#define WORD(name, value)         .word = (name), .word_value = (value)
#define RELOAD                    .reload = true

#define KIB(n)                    (UINT64_C(1024) * (n))
#define MIB(n)                    KIB(UINT64_C(1024) * (n))
#define GIB(n)                    MIB(UINT64_C(1024) * (n))
#define SECOND                    UINT64_C(1000)
#define MINUTE                    (60 * SECOND)
#define HOUR                      (60 * MINUTE)
#define DAY                       UINT64_C(86400) /* of options in seconds */

#define LARGEST_PACKET            MIB(256) /* the Remaining Length of MQTT, rounded up */
#define MANY                      UINT64_C(1000000000) /* limits nothing */

static const char *const protocols[] = {"ws", "wss", "mqtt", "mqtts", NULL};
static const char *const levels[] = {"error", "warn", "info", "debug", NULL};
static const char *const formats[] = {"text", "json", NULL};
static const char *const overflows[] = {"drop_oldest", "drop_newest", "disconnect", NULL};
static const char *const durabilities[] = {"memory", "commit", "fsync", NULL};
static const char *const strategies[] = {"round_robin", "least_inflight", NULL};

/* clang-format off */
const struct option options[] = {
    {"listeners", OPTION_ITEMS, SCOPE_CONFIG, offsetof(struct config, ws.listeners),
     sizeof(struct ws_listener_config), offsetof(struct config, ws.n_listeners),
     .items = SCOPE_LISTENER, RANGE(1, 64),
     .fallback = "[{protocol: ws}, {protocol: mqtt}]",
     .help = "Where clients connect. A list in the file replaces the default one."},
    {"listeners[].name", OPTION_NAME, LISTENER(name), RANGE(1, 32),
     .computed = "the protocol",
     .help = "Name in logs and metrics; no two listeners have the same."},
    {"listeners[].protocol", OPTION_CHOICE, LISTENER(protocol), .choices = protocols,
     .help = "MQTT over WebSocket (ws), the same within TLS (wss), MQTT over TCP (mqtt), the same "
             "within TLS (mqtts)."},
    {"listeners[].address", OPTION_ADDRESS, LISTENER(address), RANGE(0, 64),
     .fallback = "127.0.0.1",
     .help = "Address to listen on. Any but a loopback address can be reached from other machines "
             "and needs allow_anonymous to be written, as there is no authentication."},
    {"listeners[].port", OPTION_INTEGER, LISTENER(port), RANGE(0, 65535),
     .computed = "by protocol: ws 8080, wss 8443, mqtt 1883, mqtts 8883",
     .help = "TCP port; 0 lets the system choose one."},
    {"listeners[].allow_anonymous", OPTION_BOOL, LISTENER(allow_anonymous), RELOAD,
     .computed = "on a loopback address true, otherwise false",
     .help = "Serve clients without credentials: everyone who can reach the address."},
    {"listeners[].max_connections", OPTION_INTEGER, LISTENER(max_connections), RELOAD,
     RANGE(1, MANY), WORD("unlimited", 0), .fallback = "unlimited",
     .help = "Network connections of this listener at a time."},
    {"listeners[].max_packet_size", OPTION_SIZE, LISTENER(max_packet_size), RELOAD,
     RANGE(KIB(1), LARGEST_PACKET), WORD("inherit", 0), .fallback = "inherit",
     .help = "Largest MQTT packet from a client of this listener; inherit: limits.max_packet_size."},
    {"listeners[].handshake_timeout", OPTION_MILLISECONDS, LISTENER(handshake_timeout_ms), RELOAD,
     RANGE(SECOND, 5 * MINUTE), .fallback = "10s",
     .help = "For a new connection to finish TLS and the WebSocket upgrade; for CONNECT there is "
             "limits.connect_timeout. A reload cannot make it longer than the longest of the "
             "start."},
    {"listeners[].backlog", OPTION_INTEGER, LISTENER(backlog), RANGE(1, 65535), .fallback = "1024",
     .help = "Connections that the kernel holds until they are accepted; it may cap the number "
             "(net.core.somaxconn)."},
    {"listeners[].paths", OPTION_URL_PATHS, LISTENER(paths), RELOAD,
     .count_offset = offsetof(struct ws_listener_config, n_paths), .use = USE_WEBSOCKET,
     RANGE(1, 16), .fallback = "[/mqtt, /]",
     .help = "Paths of the URL at which MQTT is served; others are answered with 404."},
    {"listeners[].websocket", OPTION_SECTION, OF_LISTENER, .use = USE_WEBSOCKET,
     .help = "Frames, pings and compression."},
    {"listeners[].websocket.max_frame_size", OPTION_SIZE, LISTENER(max_frame_size), RELOAD,
     RANGE(KIB(1), LARGEST_PACKET), WORD("inherit", 0), .fallback = "inherit",
     .help = "Largest WebSocket frame from a client; a packet may span frames, a frame may hold many "
             "packets. inherit: max_packet_size."},
    {"listeners[].websocket.one_packet_per_frame", OPTION_BOOL, LISTENER(one_packet_per_frame),
     RELOAD, .fallback = "false",
     .help = "Send each MQTT packet in a frame of its own, unless they are compressed. Costs time, "
             "here and in browsers; for clients that overlook all but the first packet of a frame, "
             "such as Paho C."},
    {"listeners[].websocket.max_header_size", OPTION_SIZE, LISTENER(max_header_size),
     RANGE(KIB(1), KIB(32)), .fallback = "4KiB",
     .help = "Largest HTTP header of the upgrade request, cookies included. The largest of all "
             "listeners counts for each, and at least 4KiB."},
    {"listeners[].websocket.ping_interval", OPTION_MILLISECONDS, LISTENER(ping_interval_ms), RELOAD,
     RANGE(SECOND, HOUR), WORD("off", 0), .fallback = "25s",
     .help = "A connection that is silent for so long gets a WebSocket ping, which browsers answer "
             "by themselves; keep it below the idle timeout of proxies (often 60s)."},
    {"listeners[].websocket.ping_timeout", OPTION_MILLISECONDS, LISTENER(ping_timeout_ms), RELOAD,
     RANGE(SECOND, HOUR), WORD("off", 0), .fallback = "20s",
     .needs = "listeners[].websocket.ping_interval",
     .help = "A connection whose ping is not answered within this time is closed."},
    {"listeners[].websocket.deflate", OPTION_SECTION, OF_LISTENER,
     .help = "Compression of messages (permessage-deflate) for clients that ask for it."},
    {"listeners[].websocket.deflate.enabled", OPTION_BOOL, LISTENER(deflate), .fallback = "false",
     .help = "Offer it. Costs memory and processor time for every connection that takes it."},
    {"listeners[].websocket.deflate.window_bits", OPTION_INTEGER, LISTENER(deflate_window_bits),
     RANGE(9, 15), .fallback = "12", .needs = "listeners[].websocket.deflate.enabled",
     .help = "Window of what we send, and of what the client sends if it lets us choose, as a power "
             "of two: 12 is 4KiB. More compresses better and takes more memory."},
    {"listeners[].websocket.deflate.level", OPTION_INTEGER, LISTENER(deflate_level), RANGE(1, 9),
     .fallback = "3", .needs = "listeners[].websocket.deflate.enabled",
     .help = "From 1, fastest, to 9, smallest."},
    {"listeners[].tls", OPTION_SECTION, OF_LISTENER, .use = USE_TLS,
     .help = "Certificates, as PEM files. A reload reads the files again."},
    {"listeners[].tls.certificate", OPTION_SHORT, OF_LISTENER,
     .stands_for = "listeners[].tls.certificates[].certificate",
     .example = "/etc/frys/tls/fullchain.pem",
     .help = "For a single certificate: the file with it and its chain."},
    {"listeners[].tls.key", OPTION_SHORT, OF_LISTENER,
     .stands_for = "listeners[].tls.certificates[].key", .example = "/etc/frys/tls/privkey.pem",
     .help = "And the file with its private key."},
    {"listeners[].tls.certificates", OPTION_ITEMS, SCOPE_LISTENER,
     offsetof(struct ws_listener_config, certificates), sizeof(struct ws_certificate),
     offsetof(struct ws_listener_config, n_certificates),
     .items = SCOPE_CERTIFICATE, RANGE(0, 64), .fallback = "[]",
     .help = "Or, for several, a list: the client's server name (SNI) picks one; the first is for all "
             "others."},
    {"listeners[].tls.certificates[].server_name", OPTION_TEXT, CERTIFICATE(server_name),
     RANGE(0, 253), .fallback = "\"\"", .example = "mqtt.example.org",
     .help = "Name that clients ask for, or a domain that it is in; empty: any."},
    {"listeners[].tls.certificates[].certificate", OPTION_FILE, CERTIFICATE(certificate),
     RANGE(1, 4095), .example = "/etc/frys/tls/mqtt.example.org/fullchain.pem",
     .help = "File with the certificate, then its chain."},
    {"listeners[].tls.certificates[].key", OPTION_FILE, CERTIFICATE(key), RANGE(1, 4095),
     .example = "/etc/frys/tls/mqtt.example.org/privkey.pem", .help = "File with its private key."},

    {"admin", OPTION_SECTION, OF_CONFIG,
     .help = "HTTP pages for operators: /healthz, /readyz and, for Prometheus, /metrics."},
    {"admin.enabled", OPTION_BOOL, CONFIG(ws.admin.enabled), .fallback = "true",
     .help = "Serve them."},
    {"admin.address", OPTION_ADDRESS, CONFIG(ws.admin.address), RANGE(0, 64),
     .fallback = "127.0.0.1", .needs = "admin.enabled",
     .help = "Address to listen on; whoever reaches it reads the pages."},
    {"admin.port", OPTION_INTEGER, CONFIG(ws.admin.port), RANGE(0, 65535), .fallback = "8081",
     .needs = "admin.enabled", .help = "TCP port; 0 lets the system choose one."},

    {"limits", OPTION_SECTION, OF_CONFIG, .help = "What one client may take."},
    {"limits.max_connections", OPTION_INTEGER, CONFIG(broker.max_connections), RELOAD,
     RANGE(1, MANY), WORD("unlimited", 0), .fallback = "unlimited",
     .help = "MQTT connections at a time, over all listeners."},
    {"limits.connect_timeout", OPTION_MILLISECONDS, CONFIG(broker.connect_timeout_ms), RELOAD,
     RANGE(SECOND, 5 * MINUTE), .fallback = "10s",
     .help = "For a client to send CONNECT once the connection is there."},
    {"limits.max_packet_size", OPTION_SIZE, CONFIG(broker.max_packet_size), RELOAD,
     RANGE(KIB(1), LARGEST_PACKET), .fallback = "2MiB",
     .help = "Largest MQTT packet from a client; announced as Maximum Packet Size. A client that "
             "exceeds it is disconnected with 0x95."},
    {"limits.max_topic_levels", OPTION_INTEGER, CONFIG(broker.max_topic_levels), RELOAD,
     RANGE(1, 65535), WORD("unlimited", 0), .fallback = "256",
     .help = "Levels of a topic name or filter."},
    {"limits.max_subscriptions", OPTION_INTEGER, CONFIG(broker.max_subscriptions), RELOAD,
     RANGE(1, MANY), WORD("unlimited", 0), .fallback = "unlimited",
     .help = "Subscriptions of a session; one more is answered with 0x97."},
    {"limits.max_keep_alive", OPTION_SECONDS, CONFIG(broker.max_keep_alive_s), RELOAD,
     RANGE(1, 65535), WORD("unlimited", 0), .fallback = "unlimited",
     .help = "Longest Keep Alive; clients that want a longer one, or none, are told this one."},

    {"sessions", OPTION_SECTION, OF_CONFIG,
     .help = "What is kept for a client, connected or not."},
    {"sessions.max_expiry", OPTION_SECONDS, CONFIG(broker.max_session_expiry_s), RELOAD,
     RANGE(0, 36500 * DAY), WORD("never", UINT32_MAX), .fallback = "never",
     .help = "Longest time that a session outlives its connection: clients that want more get "
             "this; never: no limit."},
    {"sessions.max_queued_messages", OPTION_INTEGER, CONFIG(broker.max_queued_messages), RELOAD,
     RANGE(0, MANY), .fallback = "1000", .help = "Messages that wait for a client."},
    {"sessions.max_queued_bytes", OPTION_SIZE, CONFIG(broker.max_queued_bytes), RELOAD,
     RANGE(0, GIB(1024)), .fallback = "16MiB",
     .help = "And their size. As much, counted apart, may be on its way to it at QoS 1 and 2: once "
             "what it has not acknowledged is more than this, further messages wait."},
    {"sessions.queue_qos0", OPTION_BOOL, CONFIG(broker.queue_qos0), RELOAD, .fallback = "false",
     .needs = "sessions.max_queued_messages",
     .help = "Keep messages of QoS 0, too, for clients that are not connected."},
    {"sessions.overflow", OPTION_CHOICE, CONFIG(broker.overflow), RELOAD, .choices = overflows,
     .fallback = "drop_oldest",
     .help = "When the queue is full: drop what waits longest, drop what comes, or disconnect the "
             "client."},

    {"mqtt", OPTION_SECTION, OF_CONFIG,
     .help = "What the protocol lets a server choose; clients are told at CONNECT."},
    {"mqtt.maximum_qos", OPTION_INTEGER, CONFIG(broker.maximum_qos), RELOAD, RANGE(0, 2),
     .fallback = "2", .help = "Highest QoS."},
    {"mqtt.receive_maximum", OPTION_INTEGER, CONFIG(broker.receive_maximum), RELOAD,
     RANGE(1, 65535), .fallback = "65535",
     .help = "Messages of QoS 1 and 2 that a client may send before we acknowledge the first. Some "
             "clients, MQTT.js among them, take no notice and are disconnected with 0x93 when they "
             "exceed less than 65535."},
    {"mqtt.max_inflight", OPTION_INTEGER, CONFIG(broker.max_inflight), RELOAD, RANGE(1, 65535),
     .fallback = "1024",
     .help = "Messages of QoS 1 and 2 that we send before the client acknowledges the first, even "
             "if it allows more. Their size: sessions.max_queued_bytes."},
    {"mqtt.topic_alias_maximum", OPTION_INTEGER, CONFIG(broker.topic_alias_maximum), RELOAD,
     RANGE(0, 65535), .fallback = "32", .help = "Topic aliases that a client may use; 0: none."},
    {"mqtt.topic_alias_outgoing", OPTION_INTEGER, CONFIG(broker.topic_alias_outgoing), RELOAD,
     RANGE(0, 65535), .fallback = "32",
     .help = "Topic aliases that we use towards a client which allows them; 0: none."},
    {"mqtt.retain_available", OPTION_BOOL, CONFIG(broker.retain_available), RELOAD,
     .fallback = "true", .help = "Offer retained messages."},
    {"mqtt.wildcard_subscription_available", OPTION_BOOL, CONFIG(broker.wildcard_available), RELOAD,
     .fallback = "true", .help = "Offer subscriptions with + and #."},
    {"mqtt.subscription_identifier_available", OPTION_BOOL,
     CONFIG(broker.subscription_id_available), RELOAD, .fallback = "true",
     .help = "Offer Subscription Identifiers."},
    {"mqtt.shared_subscription_available", OPTION_BOOL, CONFIG(broker.shared_available), RELOAD,
     .fallback = "true", .help = "Offer shared subscriptions: $share/NAME/FILTER."},
    {"mqtt.shared_subscription_strategy", OPTION_CHOICE, CONFIG(broker.share_strategy), RELOAD,
     .choices = strategies, .fallback = "round_robin",
     .needs = "mqtt.shared_subscription_available",
     .help = "Which member of a shared subscription gets the next message: each in turn, or the "
             "one with the fewest unacknowledged."},
    {"mqtt.reason_strings", OPTION_BOOL, CONFIG(broker.problem_info), RELOAD, .fallback = "true",
     .help = "Tell clients in words why something was refused."},
    {"mqtt.response_information", OPTION_INLINE_TEXT, CONFIG(broker.response_information), RELOAD,
     RANGE(0, sizeof(((struct broker_config *)0)->response_information) - 1), .fallback = "\"\"",
     .example = "reply/",
     .help = "Sent to clients that request Response Information; empty: nothing."},

    {"retained", OPTION_SECTION, OF_CONFIG, .help = "Retained messages."},
    {"retained.max_messages", OPTION_INTEGER, CONFIG(broker.max_retained), RELOAD,
     RANGE(1, MANY), WORD("unlimited", 0), .fallback = "unlimited",
     .needs = "mqtt.retain_available", .help = "Topics that may have one."},

    {"storage", OPTION_SECTION, OF_CONFIG,
     .help = "What outlives the broker: sessions that outlive their connection, with their "
             "subscriptions and messages of QoS 1 and 2, and retained messages."},
    {"storage.durability", OPTION_CHOICE, CONFIG(broker.durability), .choices = durabilities,
     .fallback = "commit",
     .help = "What an acknowledgement promises. commit: the message survives the end of the "
             "process; fsync: that of the machine, too; memory: neither, and nothing is stored."},
    {"storage.file", OPTION_FILE, CONFIG(storage_file), RANGE(1, 4095),
     .fallback = "/var/lib/frys/frys.db", .needs = "storage.durability",
     .help = "The database; its folder is made if need be. Files with -wal and -shm behind the name "
             "belong to it."},
    {"storage.max_size", OPTION_SIZE, CONFIG(storage_max_bytes), RANGE(MIB(1), GIB(65536)),
     WORD("unlimited", 0), .fallback = "unlimited", .needs = "storage.durability",
     .help = "Size of the database; when it is reached, messages that would have to be stored are "
             "refused."},
    {"storage.topics", OPTION_ITEMS, SCOPE_CONFIG,
     offsetof(struct config, broker.topic_durability), sizeof(struct topic_durability),
     offsetof(struct config, broker.n_topic_durability), .items = SCOPE_TOPIC, RANGE(0, 64),
     .fallback = "[]", .help = "Topics with another durability: the first filter that matches counts."},
    {"storage.topics[].filter", OPTION_TEXT, TOPIC(filter), RANGE(1, 65535),
     .example = "telemetry/#", .help = "Topic filter."},
    {"storage.topics[].durability", OPTION_CHOICE, TOPIC(durability), .choices = durabilities,
     .example = "memory", .help = "As storage.durability."},

    {"websocket", OPTION_SECTION, OF_CONFIG, .help = "All WebSocket connections together."},
    {"websocket.deflate_memory", OPTION_SIZE, CONFIG(ws.deflate_memory), RELOAD,
     RANGE(MIB(1), GIB(1024)), .fallback = "64MiB",
     .help = "Memory for compression; while it is in use, further connections get none."},

    {"log", OPTION_SECTION, OF_CONFIG, .help = "The log, on standard error."},
    {"log.level", OPTION_CHOICE, CONFIG(log_level), RELOAD, .choices = levels, .fallback = "info",
     .help = "What to write. error: somebody must act; warn: something does not work as it should; info: "
             "connections come and go; debug: packets."},
    {"log.format", OPTION_CHOICE, CONFIG(log_format), RELOAD, .choices = formats,
     .fallback = "text", .help = "Lines for people, or JSON objects."},

    {"workers", OPTION_INTEGER, CONFIG(workers), RANGE(1, BROKER_MAX_SHARDS), WORD("auto", 0),
     .fallback = "auto",
     .help = "Threads, each with its own share of the connections; auto: one for each processor "
             "core."},
    {"memory_limit", OPTION_SIZE, CONFIG(broker.memory_limit), RELOAD, RANGE(MIB(16), GIB(65536)),
     WORD("unlimited", 0), .fallback = "unlimited",
     .help = "Memory for sessions and messages; near it, publishers are slowed down, at it, new "
             "connections and subscriptions are refused."},
    {"sys_interval", OPTION_SECONDS, CONFIG(broker.sys_interval_s), RELOAD, RANGE(1, 3600),
     WORD("off", 0), .fallback = "10s", .help = "Time between two updates of the $SYS topics."},
    {"shutdown_timeout", OPTION_MILLISECONDS, CONFIG(ws.shutdown_timeout_ms), RELOAD,
     RANGE(0, HOUR), .fallback = "10s",
     .help = "On SIGTERM, time for clients to take what is under way and to leave."},
    {"user", OPTION_TEXT, CONFIG(user), RANGE(0, 255), .fallback = "\"\"", .example = "frys",
     .help = "When started as root, become this user once the ports are open. The user must be "
             "able to read the certificates for a reload. Empty: stay root."},
    {"lock_file", OPTION_FILE, CONFIG(ws.lock_file), RANGE(0, 4095), .fallback = "\"\"",
     .example = "/run/frys/frysd.lock",
     .help = "File that keeps a second daemon with the same configuration from starting. Empty: "
             "none."},
    {.path = NULL},
};
/* clang-format on */

const struct option *options_find(struct str path)
{
    for (const struct option *o = options; o->path != NULL; o++)
        if (str_eq(str_from(o->path), path))
            return o;
    return NULL;
}

/* What of o's path is below parent; p == NULL: o is elsewhere. */
static struct str below(const struct option *parent, const struct option *o)
{
    struct str rest = str_from(o->path), head, joint;

    if (parent == NULL)
        return rest;
    head = str_from(parent->path);
    joint = parent->type == OPTION_ITEMS ? STR("[].") : STR(".");
    if (!str_starts(rest, head))
        return (struct str){NULL, 0};
    rest = (struct str){rest.p + head.len, rest.len - head.len};
    if (!str_starts(rest, joint))
        return (struct str){NULL, 0};
    return (struct str){rest.p + joint.len, rest.len - joint.len};
}

bool options_is_child(const struct option *parent, const struct option *o)
{
    struct str rest = below(parent, o);

    return rest.p != NULL && memchr(rest.p, '.', rest.len) == NULL;
}

const struct option *options_next_field(enum option_scope scope, const struct option *o)
{
    for (o = o != NULL ? o + 1 : options; o->path != NULL; o++)
        if (o->scope == scope && options_has_field(o))
            return o;
    return NULL;
}

const struct option *options_next_child(const struct option *parent, const struct option *o)
{
    for (o = o != NULL ? o + 1 : options; o->path != NULL; o++)
        if (options_is_child(parent, o))
            return o;
    return NULL;
}

const struct option *options_child(const struct option *parent, struct str key)
{
    const struct option *o = NULL;

    while ((o = options_next_child(parent, o)) != NULL)
        if (str_eq(below(parent, o), key))
            return o;
    return NULL;
}

const char *options_key(const struct option *o)
{
    const char *dot = strrchr(o->path, '.');

    return dot != NULL ? dot + 1 : o->path;
}

/* A neighbour with a similar name. */
static const struct option *similar(const struct option *parent, struct str key)
{
    const struct option *o = NULL, *nearest = NULL;
    size_t best = key.len / 3 + 2; /* fewer mistakes than this are a slip of the fingers */

    while ((o = options_next_child(parent, o)) != NULL) {
        size_t distance = str_distance(below(parent, o), key);

        if (distance < best && distance < key.len) {
            nearest = o;
            best = distance;
        }
    }
    return nearest;
}

/* An option with this very name in another place, rather one for all than one of a listener. */
static const struct option *misplaced(struct str key)
{
    const struct option *found = NULL;

    for (const struct option *o = options; o->path != NULL; o++)
        if (str_eq(str_from(options_key(o)), key) &&
            (found == NULL || found->scope != SCOPE_CONFIG))
            found = o;
    return found;
}

const struct option *options_nearest(const struct option *parent, struct str key)
{
    const struct option *o = similar(parent, key);

    return o != NULL ? o : misplaced(key);
}

bool options_variable(const struct option *o, char out[OPTIONS_VARIABLE_MAX])
{
    int len;

    if (o->scope != SCOPE_CONFIG || o->type <= OPTION_SHORT)
        return false;
    len = snprintf(out, OPTIONS_VARIABLE_MAX, "FRYS_%s", o->path);
    ASSERT(len > 0 && len < OPTIONS_VARIABLE_MAX);
    for (char *p = out; *p != '\0'; p++)
        *p = *p == '.' ? '_' : (char)toupper((unsigned char)*p);
    return true;
}

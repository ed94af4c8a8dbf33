/* From YAML and environment to the struct, or to what is wrong. */
#include "daemon/config.h"

#include "base/test.h"
#include "daemon/alloc.h"
#include "daemon/tests/config_support.h"

#include <errno.h>
#include <unistd.h>

/* ---- defaults ---- */

static void test_broker_defaults(void)
{
    struct config *c = read_config("", NULL);
    struct broker_config want = broker_config_default();

    if (!CHECK(c != NULL))
        return;
#define SAME(field) CHECK_INT(c->broker.field, want.field)
    SAME(max_connections);
    SAME(connect_timeout_ms);
    SAME(max_packet_size);
    SAME(receive_maximum);
    SAME(max_inflight);
    SAME(topic_alias_maximum);
    SAME(topic_alias_outgoing);
    SAME(max_keep_alive_s);
    SAME(max_topic_levels);
    SAME(max_subscriptions);
    SAME(maximum_qos);
    SAME(retain_available);
    SAME(wildcard_available);
    SAME(subscription_id_available);
    SAME(shared_available);
    SAME(problem_info);
    SAME(max_session_expiry_s);
    SAME(max_queued_messages);
    SAME(max_queued_bytes);
    SAME(queue_qos0);
    SAME(overflow);
    SAME(share_strategy);
    SAME(max_retained);
    SAME(memory_limit);
    SAME(sys_interval_s);
#undef SAME
    CHECK(strcmp(c->broker.response_information, want.response_information) == 0);
    config_free(&c);
}

static void check_default_listener(const struct ws_listener_config *ls, const char *name,
                                   enum ws_protocol protocol, int port)
{
    CHECK(strcmp(ls->name, name) == 0);
    CHECK_INT(ls->protocol, protocol);
    CHECK(strcmp(ls->address, "127.0.0.1") == 0);
    CHECK_INT(ls->port, port);
    CHECK(ls->allow_anonymous);
    CHECK_INT(ls->max_connections, 0);
    CHECK_INT(ls->max_packet_size, 0);
    CHECK_INT(ls->handshake_timeout_ms, 10000);
    CHECK_INT(ls->backlog, 1024);
    CHECK_INT(ls->n_paths, 2);
    CHECK(ls->n_paths == 2 && strcmp(ls->paths[0], "/mqtt") == 0 && strcmp(ls->paths[1], "/") == 0);
    CHECK_INT(ls->ping_interval_ms, 25000);
    CHECK(!ls->deflate);
    CHECK_INT(ls->n_certificates, 0);
}

static void test_defaults(void)
{
    struct config *c = read_config("", NULL);

    if (!CHECK(c != NULL))
        return;
    CHECK_INT(c->ws.n_listeners, 2);
    check_default_listener(&c->ws.listeners[0], "ws", WS_PROTOCOL_WS, 8080);
    check_default_listener(&c->ws.listeners[1], "mqtt", WS_PROTOCOL_MQTT, 1883);
    CHECK(c->ws.admin.enabled && strcmp(c->ws.admin.address, "127.0.0.1") == 0);
    CHECK_INT(c->ws.admin.port, 8081);
    CHECK_INT(c->workers, 0);
    CHECK_INT(c->log_level, LOG_INFO);
    CHECK_INT(c->log_format, LOG_TEXT);
    CHECK(strcmp(c->user, "") == 0 && strcmp(c->ws.lock_file, "") == 0);
    CHECK(strcmp(last_problems(), "") == 0);
    config_free(&c);
}

/* ---- what is set ---- */

static const char full[] =
    "listeners:\n"
    "  - name: front\n"
    "    protocol: wss\n"
    "    address: ''\n"
    "    port: 443\n"
    "    allow_anonymous: true\n"
    "    max_connections: 100000\n"
    "    max_packet_size: 64KiB\n"
    "    handshake_timeout: 3s\n"
    "    backlog: 4096\n"
    "    paths: [/, /ws]\n"
    "    websocket:\n"
    "      max_frame_size: 128KiB\n"
    "      one_packet_per_frame: true\n"
    "      max_header_size: 8KiB\n"
    "      ping_interval: 1m\n"
    "      ping_timeout: off\n"
    "      deflate: {enabled: true, window_bits: 15, level: 9}\n"
    "    tls:\n"
    "      certificates:\n"
    "        - {certificate: a.pem, key: a.key}\n"
    "        - {server_name: b.example.org, certificate: b.pem, key: b.key}\n"
    "  - protocol: mqtts\n"
    "    tls: {certificate: c.pem, key: \"c.key\"}\n"
    "  - {protocol: mqtt, address: '::1', port: 0, name: six}\n"
    "admin: {enabled: false}\n"
    "limits:\n"
    "  # nothing here\n"
    "sessions:\n"
    "  max_expiry: 1h\n"
    "  overflow: disconnect\n"
    "mqtt:\n"
    "  maximum_qos: 1\n"
    "  response_information: 'r\xc3\xa9ply/'\n"
    "memory_limit: 1GiB\n"
    "sys_interval: off\n"
    "log: {level: debug, format: json}\n"
    "workers: 4\n"
    "user: nobody\n"
    "lock_file: /run/x.lock\n"
    "shutdown_timeout: 250ms\n";

static void check_front(const struct ws_listener_config *ls)
{
    CHECK(strcmp(ls->name, "front") == 0 && strcmp(ls->address, "") == 0 && ls->allow_anonymous);
    CHECK_INT(ls->protocol, WS_PROTOCOL_WSS);
    CHECK_INT(ls->port, 443);
    CHECK_INT(ls->max_connections, 100000);
    CHECK_INT(ls->max_packet_size, 65536);
    CHECK_INT(ls->handshake_timeout_ms, 3000);
    CHECK_INT(ls->backlog, 4096);
    CHECK(ls->n_paths == 2 && strcmp(ls->paths[1], "/ws") == 0);
    CHECK_INT(ls->max_frame_size, 131072);
    CHECK(ls->one_packet_per_frame);
    CHECK_INT(ls->max_header_size, 8192);
    CHECK_INT(ls->ping_interval_ms, 60000);
    CHECK_INT(ls->ping_timeout_ms, 0);
    CHECK(ls->deflate);
    CHECK_INT(ls->deflate_window_bits, 15);
    CHECK_INT(ls->deflate_level, 9);
    if (!CHECK(ls->n_certificates == 2))
        return;
    CHECK(strcmp(ls->certificates[0].server_name, "") == 0);
    CHECK(strcmp(ls->certificates[1].server_name, "b.example.org") == 0);
    CHECK(strcmp(ls->certificates[1].key, "b.key") == 0);
}

static void test_full(void)
{
    struct config *c = read_config(full, NULL);

    if (!CHECK(c != NULL) || !CHECK(c->ws.n_listeners == 3)) {
        fputs(last_problems(), stderr);
        return;
    }
    check_front(&c->ws.listeners[0]);
    CHECK(strcmp(c->ws.listeners[1].name, "mqtts") == 0);
    CHECK_INT(c->ws.listeners[1].port, 8883);
    CHECK_INT(c->ws.listeners[1].n_certificates, 1);
    CHECK(strcmp(c->ws.listeners[1].certificates[0].key, "c.key") == 0);
    CHECK(c->ws.listeners[2].allow_anonymous && c->ws.listeners[2].port == 0);
    CHECK(!c->ws.admin.enabled);
    CHECK_INT(c->broker.max_session_expiry_s, 3600);
    CHECK_INT(c->broker.overflow, OVERFLOW_DISCONNECT);
    CHECK_INT(c->broker.maximum_qos, 1);
    CHECK(strcmp(c->broker.response_information, "r\xc3\xa9ply/") == 0);
    CHECK_INT(c->broker.memory_limit, 1 << 30);
    CHECK_INT(c->broker.sys_interval_s, 0);
    CHECK_INT(c->log_level, LOG_DEBUG);
    CHECK_INT(c->log_format, LOG_JSON);
    CHECK_INT(c->workers, 4);
    CHECK(strcmp(c->user, "nobody") == 0);
    CHECK_INT(c->ws.shutdown_timeout_ms, 250);
    CHECK(strcmp(last_problems(), "") == 0);
    config_free(&c);
}

static void test_copy(void)
{
    struct config *a = read_config(full, NULL), *b = config_copy(a);

    CHECK(config_equal(a, b));
    b->ws.listeners[0].certificates[1].key[0] = 'x';
    CHECK(!config_equal(a, b));
    config_free(&b);
    b = config_copy(a);
    b->ws.listeners[0].paths[0][0] = 'x';
    CHECK(!config_equal(a, b));
    config_free(&b);
    b = read_config("", NULL);
    CHECK(!config_equal(a, b));
    config_free(&a);
    config_free(&b);
    config_free(&b);
}

/* ---- what is wrong ---- */

static const struct {
    const char *yaml, *problems;
} wrong[] = {
    {"limits:\n    max_packet_sise: 1MiB\n",
     "f.yaml:2:5: limits.max_packet_sise: unknown option; did you mean \"max_packet_size\"?\n"},
    {"max_packet_size: 1MiB\n", "f.yaml:1:1: max_packet_size: unknown option; did you mean "
                                "\"limits.max_packet_size\"?\n"},
    {"persistence: true\n", "f.yaml:1:1: persistence: unknown option\n"},
    {"<<: {a: 1}\n", "f.yaml:1:1: <<: unknown option\n"},
    {"limits:\n  max_packet_size: 2 potatoes\n",
     "f.yaml:2:20: limits.max_packet_size: \"2 potatoes\" is not a size; expected bytes with a "
     "unit "
     "such as 512KiB or 2MiB, 1KiB to 256MiB\n"},
    {"limits: {max_packet_size: 1GiB}\n", "f.yaml:1:27: limits.max_packet_size: \"1GiB\" is out of "
                                          "range; expected bytes with a unit such "
                                          "as 512KiB or 2MiB, 1KiB to 256MiB\n"},
    {"limits: {max_packet_size: [1]}\n", "f.yaml:1:27: limits.max_packet_size: expected bytes with "
                                         "a unit such as 512KiB or 2MiB, 1KiB to "
                                         "256MiB, found a list\n"},
    {"limits: {connect_timeout: 10}\n", "f.yaml:1:27: limits.connect_timeout: \"10\" is not a "
                                        "duration; expected a time with a unit such "
                                        "as 500ms, 30s or 5m, 1s to 5m\n"},
    {"limits: {max_keep_alive: 1500ms}\n", "f.yaml:1:26: limits.max_keep_alive: \"1500ms\" is not "
                                           "in whole seconds; expected a time with a "
                                           "unit such as 30s or 5m, 1s to 65535s, or unlimited\n"},
    {"workers: 65\nsys_interval:\n",
     "f.yaml:1:10: workers: \"65\" is out of range; expected a number, 1 to 64, or auto\n"
     "f.yaml:2:1: sys_interval: has no value; expected a time with a unit such as 30s or 5m, 1s to "
     "1h, "
     "or off\n"},
    {"workers: 1.5\n",
     "f.yaml:1:10: workers: \"1.5\" is not a whole number; expected a number, 1 to 64, or auto\n"},
    {"sessions: {queue_qos0: yes}\n", "f.yaml:1:24: sessions.queue_qos0: \"yes\" is neither true "
                                      "nor false; expected true or false\n"},
    {"sessions: {overflow: drop}\n", "f.yaml:1:22: sessions.overflow: \"drop\" is not one of the "
                                     "words for it; expected drop_oldest, "
                                     "drop_newest or disconnect\n"},
    {"workers: 1\nlog: {}\nworkers: 2\n",
     "f.yaml:3:1: workers: given twice; the first is in line 1\n"},
    {"log: debug\n", "f.yaml:1:6: log: expected options below it, found a single value\n"},
    {"[1, 2]\n", "f.yaml:1:1: expected options, as \"name: value\", found a list\n"},
    {"hello\n", "f.yaml:1:1: expected options, as \"name: value\", found a single value\n"},
    {"user: \"a\\nb\"\n",
     "f.yaml:1:7: user: \"a?b\" has a control character; expected at most 255 bytes of text\n"},
    {"user: \"a\\0b\"\n",
     "f.yaml:1:7: user: \"a?b\" is not UTF-8; expected at most 255 bytes of text\n"},
    {"log: {level: loud, colour: red}\n", "f.yaml:1:14: log.level: \"loud\" is not one of the "
                                          "words for it; expected error, warn, info or "
                                          "debug\n"
                                          "f.yaml:1:20: log.colour: unknown option\n"},
    {"a: [1\n", "f.yaml:2:1: did not find expected ',' or ']', while parsing a flow sequence that "
                "begins in line 1\n"},
    {"admin: {port: 0x50, address: localhost}\n",
     "f.yaml:1:15: admin.port: \"0x50\" is not a whole number; expected a number, 0 to 65535\n"
     "f.yaml:1:30: admin.address: \"localhost\" is not a numeric IP address; expected a numeric "
     "IPv4 or "
     "IPv6 address, or \"\" for all of them\n"},
    {"storage: {topics: [{durability: commit}, {filter: 'a/#/b', durability: disk}]}\n",
     "f.yaml:1:20: storage.topics[].filter: missing; expected at most 65535 bytes of text\n"
     "f.yaml:1:51: storage.topics[].filter: \"a/#/b\" is not a topic filter; + and # stand for "
     "whole levels, # for the last one only\n"
     "f.yaml:1:72: storage.topics[].durability: \"disk\" is not one of the words for it; expected "
     "memory, commit or fsync\n"},
    /* listeners */
    {"listeners: []\n", "f.yaml:1:12: listeners: has 0; expected 1 to 64 items\n"},
    {"listeners: {protocol: ws}\n",
     "f.yaml:1:12: listeners: expected 1 to 64 items, found a map\n"},
    {"listeners: [ws]\n",
     "f.yaml:1:13: listeners[]: expected options, as \"- name: value\", found a single value\n"
     "f.yaml:1:13: listeners[].protocol: missing; expected ws, wss, mqtt or mqtts\n"},
    {"listeners:\n  - port: 1\n    portt: 2\n",
     "f.yaml:2:5: listeners[].protocol: missing; expected ws, wss, mqtt or mqtts\n"
     "f.yaml:3:5: listeners[].portt: unknown option; did you mean \"port\"?\n"},
    {"listeners:\n  - {protocol: http, name: 'a b'}\n",
     "f.yaml:2:16: listeners[].protocol: \"http\" is not one of the words for it; expected ws, "
     "wss, "
     "mqtt or mqtts\n"
     "f.yaml:2:28: listeners[].name: \"a b\" is not a name; expected 1 to 32 letters, digits, '.', "
     "'-' "
     "and '_'\n"},
    {"listeners: [{protocol: ws, paths: /mqtt}]\n",
     "f.yaml:1:35: listeners[].paths: expected 1 to 16 paths such as [/mqtt, /], found a single "
     "value\n"},
    {"listeners: [{protocol: ws, paths: [mqtt, [], '/a b', '']}]\n",
     "f.yaml:1:36: listeners[].paths: \"mqtt\" is not a path of a URL; expected 1 to 16 paths such "
     "as "
     "[/mqtt, /]\n"
     "f.yaml:1:42: listeners[].paths: expected 1 to 16 paths such as [/mqtt, /], found a list\n"
     "f.yaml:1:46: listeners[].paths: \"/a b\" is not a path of a URL; expected 1 to 16 paths such "
     "as "
     "[/mqtt, /]\n"
     "f.yaml:1:54: listeners[].paths: \"\" is empty; expected 1 to 16 paths such as [/mqtt, /]\n"},
    {"listeners: [{protocol: ws, paths: []}]\n",
     "f.yaml:1:35: listeners[].paths: has 0; expected 1 to 16 paths such as [/mqtt, /]\n"},
    {"listeners: [{protocol: wss, tls: {certificates: [\n"
     "{server_name: '*.a.b', certificate: a, key: a}, {server_name: c.d, certificate: a, key: a},\n"
     "{server_name: C.d, certificate: a, key: a}, {certificate: a, key: a},\n"
     "{certificate: a, key: a}]}}]\n",
     "f.yaml:2:15: listeners[].tls.certificates[].server_name: \"*.a.b\" has a wildcard; write the "
     "domain alone: the names in it are meant, too\n"
     "f.yaml:3:15: listeners[].tls.certificates[].server_name: \"C.d\" is that of an earlier "
     "certificate; give each one of its own\n"
     "f.yaml:4:1: listeners[].tls.certificates[].server_name: \"\" is that of an earlier "
     "certificate; give each one of its own\n"},
    {"listeners: [{protocol: ws}, {protocol: ws}]\n",
     "f.yaml:1:29: listeners[].name: \"ws\" is the name of an earlier listener; give each one of "
     "its "
     "own\n"
     "f.yaml:1:29: listeners[].port: listener \"ws\" has port 8080 of 127.0.0.1 already\n"},
    {"listeners: [{protocol: ws, port: 8081}]\n",
     "f.yaml:1:12: admin.port: listener \"ws\" has port 8081 of 127.0.0.1 already\n"},
    /* open to the network */
    {"listeners:\n  - protocol: ws\n    address: 0.0.0.0\n",
     "f.yaml:3:14: listeners[].address: 0.0.0.0 can be reached from other machines, and there is "
     "no "
     "authentication; write \"allow_anonymous: true\" in this listener to serve everyone, or "
     "\"address: 127.0.0.1\" to serve this machine only\n"},
    {"listeners: [{protocol: ws, address: '', allow_anonymous: false}]\n",
     "f.yaml:1:37: listeners[].address: every address can be reached from other machines, and "
     "there is "
     "no authentication; write \"allow_anonymous: true\" in this listener to serve everyone, or "
     "\"address: 127.0.0.1\" to serve this machine only\n"},
    {"listeners: [{protocol: ws, address: '::'}]\n",
     "f.yaml:1:37: listeners[].address: :: can be reached from other machines, and there is no "
     "authentication; write \"allow_anonymous: true\" in this listener to serve everyone, or "
     "\"address: 127.0.0.1\" to serve this machine only\n"},
    /* certificates */
    {"listeners: [{protocol: wss}]\n", "f.yaml:1:13: listeners[].tls: protocol wss needs a "
                                       "certificate; write \"tls: {certificate: FILE, "
                                       "key: FILE}\"\n"},
    {"listeners: [{protocol: wss, tls: {certificates: []}}]\n",
     "f.yaml:1:29: listeners[].tls: protocol wss needs a certificate; write \"tls: {certificate: "
     "FILE, "
     "key: FILE}\"\n"},
    {"listeners: [{protocol: wss, tls: {certificate: a}}]\n",
     "f.yaml:1:35: listeners[].tls.certificates[].key: missing; expected the name of a file\n"},
    {"listeners: [{protocol: wss, tls: {certificates: [{key: ''}]}}]\n",
     "f.yaml:1:50: listeners[].tls.certificates[].certificate: missing; expected the name of a "
     "file\n"
     "f.yaml:1:56: listeners[].tls.certificates[].key: \"\" is empty; expected the name of a "
     "file\n"},
    {"listeners: [{protocol: wss, tls: {key: a, certificates: [{certificate: b, key: c}]}}]\n",
     "f.yaml:1:35: listeners[].tls.key: write either this or listeners[].tls.certificates, not "
     "both\n"},
    /* the environment in values */
    {"user: ${NOBODY_SET_THIS}\n",
     "f.yaml:1:7: user: the environment variable NOBODY_SET_THIS is not set\n"},
    {"user: ${NOBODY\n",
     "f.yaml:1:7: user: \"NOBODY\" is not the name of a variable and \"}\"; write "
     "$${ for ${ itself\n"},
    {"user: '${1A}'\n", "f.yaml:1:7: user: \"1A}\" is not the name of a variable and \"}\"; write "
                        "$${ for ${ itself\n"},
    {"listeners: [{protocol: ws, paths: ['${}']}]\n",
     "f.yaml:1:36: listeners[].paths: \"}\" is not the name of a variable and \"}\"; write $${ for "
     "${ "
     "itself\n"},
};

static void test_wrong(void)
{
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        CHECK_ROW(i, read_config(wrong[i].yaml, NULL) == NULL);
        if (!CHECK_ROW(i, strcmp(last_problems(), wrong[i].problems) == 0))
            fprintf(stderr, "%s", last_problems());
    }
}

static void test_many(void)
{
    char yaml[1024] = "";

    for (int i = 0; i < 30; i++)
        strcat(yaml, "nonsense: 1\n");
    CHECK(read_config(yaml, NULL) == NULL);
    CHECK(strstr(last_problems(), "f.yaml:20:1: ") != NULL);
    CHECK(strstr(last_problems(), "f.yaml:21:1: ") == NULL);
}

static const struct {
    const char *yaml, *problems;
} dubious[] = {
    {"listeners: [{protocol: mqtt, paths: [/], websocket: {ping_interval: 5s}}]\n",
     "f.yaml:1:37: warning: listeners[].paths: has no effect with protocol mqtt\n"
     "f.yaml:1:42: warning: listeners[].websocket: has no effect with protocol mqtt\n"},
    {"listeners: [{protocol: ws, tls: {certificate: a, key: b}}]\n",
     "f.yaml:1:28: warning: listeners[].tls: has no effect with protocol ws\n"},
    {"listeners: [{protocol: ws, allow_anonymous: false}]\n",
     "f.yaml:1:45: warning: listeners[].allow_anonymous: false lets nobody in, as there is no "
     "authentication\n"},
    {"listeners: [{protocol: ws, websocket: {ping_interval: 5s}}]\n",
     "f.yaml:1:13: warning: listeners[].websocket.ping_timeout: longer than ping_interval: a "
     "connection "
     "is pinged again before the last ping has failed\n"},
    {"listeners: [{protocol: ws, websocket: {ping_interval: off, ping_timeout: 5s}}]\n",
     "f.yaml:1:74: warning: listeners[].websocket.ping_timeout: has no effect while "
     "listeners[].websocket.ping_interval is off\n"},
    {"listeners: [{protocol: ws, websocket: {deflate: {level: 4}}}]\n",
     "f.yaml:1:57: warning: listeners[].websocket.deflate.level: has no effect while "
     "listeners[].websocket.deflate.enabled is false\n"},
    {"admin: {enabled: false, port: 99}\n",
     "f.yaml:1:31: warning: admin.port: has no effect while admin.enabled is false\n"},
    {"admin: {enabled: false, port: 8081}\n", ""},
    {"admin: {address: '::'}\n", "f.yaml:1:18: warning: admin.address: whoever can reach ::, port "
                                 "8081, can read the metrics\n"},
    {"sessions: {max_queued_messages: 0, queue_qos0: true}\n",
     "f.yaml:1:48: warning: sessions.queue_qos0: has no effect while sessions.max_queued_messages "
     "is "
     "0\n"},
};

static void test_dubious(void)
{
    for (size_t i = 0; i < ARRAY_LEN(dubious); i++) {
        struct config *c = read_config(dubious[i].yaml, NULL);

        CHECK_ROW(i, c != NULL);
        if (!CHECK_ROW(i, strcmp(last_problems(), dubious[i].problems) == 0))
            fprintf(stderr, "%s", last_problems());
        config_free(&c);
    }
}

/* ---- the environment ---- */

static void test_interpolation(void)
{
    char *const env[] = {"A=nob", "B=", "SIZE=1MiB", "NAME=A", "EVIL=$${A}", NULL};
    struct config *c = read_config("user: '${A}o$dy${B}$${A}${EVIL}$'\n"
                                   "limits: {max_packet_size: \"${SIZE}\"}\n"
                                   "listeners: [{protocol: ws, paths: ['/${A}']}]\n",
                                   env);

    if (!CHECK(c != NULL))
        return;
    CHECK(strcmp(c->user, "nobo$dy${A}$${A}$") == 0);
    CHECK_INT(c->broker.max_packet_size, 1 << 20);
    CHECK(strcmp(c->ws.listeners[0].paths[0], "/nob") == 0);
    config_free(&c);
}

static void test_interpolation_bomb(void)
{
    char big[4096] = "A=";
    char yaml[256] = "user: '";
    char *const env[] = {big, NULL};

    memset(big + 2, 'x', sizeof big - 3);
    for (int i = 0; i < 20; i++)
        strcat(yaml, "${A}");
    strcat(yaml, "'\n");
    CHECK(read_config(yaml, env) == NULL);
    CHECK(strcmp(last_problems(), "f.yaml:1:7: user: longer than a value may be\n") == 0);
}

static void test_overrides(void)
{
    char *const env[] = {"PATH=/bin",
                         "FRYS_LIMITS_MAX_PACKET_SIZE=4MiB",
                         "FRYS_WORKERS=auto",
                         "FRYS_CONFIG=/somewhere",
                         "FRYS_LOG_LEVEL=debug",
                         "FRYS_SERVICE_HOST=10.0.0.1",
                         "FRYS_PORT=tcp://10.0.0.1:1883",
                         "FRYS_PORT_1883_TCP_PORT=1883",
                         "FRYS_MQTT_SERVICE_PORT_WS=1883",
                         NULL};
    struct config *c = read_config("workers: 3\nlimits: {max_packet_size: 1MiB}\n", env);

    if (!CHECK(c != NULL))
        fputs(last_problems(), stderr);
    else {
        CHECK_INT(c->broker.max_packet_size, 4 << 20);
        CHECK_INT(c->workers, 0);
        CHECK_INT(c->log_level, LOG_DEBUG);
    }
    config_free(&c);
}

static void test_wrong_overrides(void)
{
    char *const env[] = {"FRYS_LIMITS_MAX_PACKET_SISE=4MiB", "FRYS_LIMITS_MAX_PACKET_SIZE=x",
                         "FRYS_PERSISTENCE=on", "FRYS_LISTENERS=x", NULL};

    CHECK(read_config("worker: 3\n", env) == NULL);
    CHECK(strncmp(last_problems(), "f.yaml:1:1: worker: ", 20) == 0);
    CHECK(strstr(last_problems(),
                 "environment:FRYS_LIMITS_MAX_PACKET_SISE: unknown option; did you mean "
                 "FRYS_LIMITS_MAX_PACKET_SIZE?\n") != NULL);
    CHECK(
        strstr(
            last_problems(),
            "environment:FRYS_LIMITS_MAX_PACKET_SIZE: limits.max_packet_size: \"x\" is not a size; "
            "expected bytes") != NULL);
    CHECK(strstr(last_problems(), "environment:FRYS_PERSISTENCE: unknown option\n") != NULL);
    CHECK(strstr(last_problems(), "environment:FRYS_LISTENERS: unknown option\n") != NULL);
}

static void test_port_taken_by_override(void)
{
    char *const env[] = {"FRYS_ADMIN_PORT=8080", NULL};

    CHECK(read_config("", env) == NULL);
    CHECK(strcmp(last_problems(),
                 "environment:FRYS_ADMIN_PORT: admin.port: listener \"ws\" has port "
                 "8080 of 127.0.0.1 already\n") == 0);
}

/* ---- files ---- */

static char *const no_env[] = {NULL};

static void test_load(void)
{
    char path[] = "/tmp/frys_config_XXXXXX";
    struct problems problems = {.n = 0};
    int fd = mkstemp(path);
    struct config *c;

    CHECK(write(fd, "workers: 5\n", 11) == 11);
    close(fd);
    c = config_load(path, no_env, &problems);
    CHECK(c != NULL && c->workers == 5);
    config_free(&c);
    CHECK(truncate(path, (2 << 20)) == 0);
    CHECK(config_load(path, no_env, &problems) == NULL);
    CHECK(problems.n == 1 && strcmp(problems.list[0].text, "larger than 1MiB") == 0);
    problems_fini(&problems);
    unlink(path);
    c = config_load(NULL, no_env, &problems);
    CHECK(c != NULL);
    config_free(&c);
    problems_fini(&problems);
}

static void test_load_fails(void)
{
    static const struct {
        const char *path;
        int error;
    } rows[] = {{"/nowhere/f.yaml", ENOENT}, {"/", EISDIR}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct problems problems = {.n = 0};

        CHECK_ROW(i, config_load(rows[i].path, no_env, &problems) == NULL);
        CHECK_ROW(i, problems.n == 1 &&
                         strstr(problems.list[0].text, strerror(rows[i].error)) != NULL);
        problems_fini(&problems);
    }
}

static void test_find_file(void)
{
    char *const env[] = {"FRYS_CONFIGURE=no", "FRYS_CONFIG=env.yaml", NULL};
    const char *found = config_find_file(NULL, no_env);

    CHECK(strcmp(config_find_file("c.yaml", env), "c.yaml") == 0);
    CHECK(strcmp(config_find_file(NULL, env), "env.yaml") == 0);
    CHECK(found == NULL || access(found, F_OK) == 0);
    forget_problems();
}

TEST_MAIN(test_broker_defaults, test_defaults, test_full, test_copy, test_wrong, test_many,
          test_dubious, test_interpolation, test_interpolation_bomb, test_overrides,
          test_wrong_overrides, test_port_taken_by_override, test_load, test_load_fails,
          test_find_file)

#include "daemon/config.h"

#include "base/test.h"
#include "daemon/alloc.h"
#include "daemon/tests/config_support.h"

static char reported[1024];

static void report(void *arg, const char *option, const char *listener)
{
    size_t len = strlen(reported);

    CHECK(arg == &reported);
    snprintf(reported + len, sizeof reported - len, "%s%s%s ", option, listener != NULL ? "@" : "",
             listener != NULL ? listener : "");
}

/* running: what is in effect; wanted: the file now; merged: what must be in effect then. */
static const struct {
    const char *running, *wanted, *merged, *reported;
} rows[] = {
    {"", "", "", ""},
    {"", "limits: {max_packet_size: 1MiB}\nlog: {level: debug}\n",
     "limits: {max_packet_size: 1MiB}\nlog: {level: debug}\n", ""},
    {"workers: 2\nuser: a\n", "workers: 3\nuser: b\nsys_interval: off\n",
     "workers: 2\nuser: a\nsys_interval: off\n", "workers user "},
    {"mqtt: {response_information: abc}\n", "mqtt: {response_information: d}\n",
     "mqtt: {response_information: d}\n", ""},
    {"admin: {port: 1}\n", "admin: {enabled: false}\n", "admin: {port: 1}\n",
     "admin.enabled admin.port "},
    /* listeners go by their names */
    {"listeners: [{protocol: ws}, {protocol: mqtt}]\n",
     "listeners: [{protocol: mqtt, max_connections: 5}, {protocol: ws, port: 99}]\n",
     "listeners: [{protocol: ws}, {protocol: mqtt, max_connections: 5}]\n", "listeners[].port@ws "},
    {"listeners: [{protocol: ws}, {protocol: mqtt}]\n",
     "listeners: [{protocol: ws, name: new}, {protocol: mqtt, port: 1}]\n",
     "listeners: [{protocol: ws}, {protocol: mqtt}]\n",
     "listeners[]@ws listeners[].port@mqtt listeners[]@new "},
    {"listeners: [{protocol: ws, paths: [/a]}]\n", "listeners: [{protocol: ws, paths: [/a, /b]}]\n",
     "listeners: [{protocol: ws, paths: [/a, /b]}]\n", ""},
    {"listeners: [{protocol: wss, tls: {certificate: a, key: b}}]\n",
     "listeners: [{protocol: wss, max_connections: 1, tls: {certificate: c, key: b}}]\n",
     "listeners: [{protocol: wss, max_connections: 1, tls: {certificate: a, key: b}}]\n",
     "listeners[].tls.certificates@wss "},
};

static void test_merge(void)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct config *running = read_config(rows[i].running, NULL);
        struct config *wanted = read_config(rows[i].wanted, NULL);
        struct config *want = read_config(rows[i].merged, NULL), *got;

        reported[0] = '\0';
        if (!CHECK_ROW(i, running != NULL && wanted != NULL && want != NULL))
            return;
        got = config_merge(running, wanted, report, reported);
        CHECK_ROW(i, config_equal(got, want));
        if (!CHECK_ROW(i, strcmp(reported, rows[i].reported) == 0))
            fprintf(stderr, "%s\n", reported);
        config_free(&running);
        config_free(&wanted);
        config_free(&want);
        config_free(&got);
    }
    forget_problems();
}

TEST_MAIN(test_merge)

/* The life of a server: what it refuses to start with, limits, reload, the end. */
#include "base/log.h"
#include "base/mem.h"
#include "base/test.h"
#include "broker/shard.h"
#include "ws/tests/peer_support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct rig r;

/* Room for a name that is not const. */
static char *text(const char *s)
{
    static char copies[16][128];
    static unsigned next;
    char *copy = copies[next++ % 16];

    snprintf(copy, sizeof copies[0], "%s", s);
    return copy;
}

static unsigned open_files(void)
{
    DIR *d = opendir("/proc/self/fd");
    unsigned n = 0;

    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

/* It does not start, says why, and leaves nothing open. */
static void expect_refused(unsigned shards, const char *why)
{
    unsigned before = open_files();

    CHECK(!rig_try_start(&r, shards));
    if (!CHECK(strstr(r.err.text, why) != NULL))
        printf("  it says: %s\n  not: %s\n", r.err.text, why);
    rig_join(&r);
    CHECK_INT(open_files(), before);
}

/* ---- what it does not start with ---- */

static void test_address(void)
{
    static const char *const wrong[] = {"localhost", "127.0.0", "::g", "1.2.3.4.5", "*"};

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        rig_init(&r);
        rig_listen(&r, WS_PROTOCOL_WS)->address = text(wrong[i]);
        expect_refused(1, "is not an IPv4 or IPv6 address");
        CHECK(!ws_check(&r.config, &r.err));
        CHECK(strstr(r.err.text, wrong[i]) != NULL && strstr(r.err.text, "listener ws") != NULL);
    }
    rig_init(&r);
    rig_listen(&r, WS_PROTOCOL_WS)->address = text("203.0.113.1"); /* nobody's here */
    CHECK(ws_check(&r.config, &r.err));
    expect_refused(2, "listener ws: cannot listen on 203.0.113.1 port 0: Cannot assign");
    rig_init(&r);
    rig_listen(&r, WS_PROTOCOL_WS);
    r.config.admin.enabled = true;
    r.config.admin.address = text("nowhere");
    expect_refused(1, "listener admin");
}

/* All addresses of both families, or one of IPv6. */
static void test_families(void)
{
    static const char *const addresses[] = {"", "::", "::1"};

    for (size_t i = 0; i < 3; i++) {
        struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
        int fd = socket(AF_INET6, SOCK_STREAM, 0);

        rig_init(&r);
        rig_listen(&r, WS_PROTOCOL_MQTT)->address = text(addresses[i]);
        if (!rig_try_start(&r, 1)) {
            printf("  no IPv6 here: %s\n", r.err.text);
            rig_join(&r);
            close(fd);
            return;
        }
        to.sin6_port = htons(rig_port(&r, "mqtt"));
        CHECK_ROW(i, connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
        if (i < 2)
            peer_free(peer_connect(&r, "mqtt", MQTT_V5, "v4"));
        close(fd);
        rig_stop(&r);
    }
}

static void spoil(const char *path)
{
    FILE *f = fopen(path, "w");

    fputs("-----BEGIN CERTIFICATE-----\nnot at all\n-----END CERTIFICATE-----\n", f);
    fclose(f);
}

/* All but the last bytes. */
static void cut_off(const char *from, const char *to)
{
    char bytes[16384];
    FILE *in = fopen(from, "r"), *out = fopen(to, "w");
    size_t n = fread(bytes, 1, sizeof bytes, in);

    fwrite(bytes, 1, n - 100, out);
    fclose(in);
    fclose(out);
}

static void test_certificates(void)
{
    struct ws_certificate own = certs()->server[0], pair[2];
    struct ws_listener_config *c;
    char bad[128];

    snprintf(bad, sizeof bad, "%s/bad.pem", certs()->folder);
    spoil(bad);
    rig_init(&r);
    c = rig_listen(&r, WS_PROTOCOL_WSS);
    c->n_certificates = 0;
    CHECK(!ws_check(&r.config, &r.err));
    expect_refused(1, "listener wss: TLS needs a certificate and its key");
    c->certificates = pair;
    c->n_certificates = 2;
    pair[0] = own;
    pair[1] = own;
    pair[1].certificate = text("/nowhere/at/all.pem");
    expect_refused(1, "certificate /nowhere/at/all.pem: No such file");
    pair[1] = own;
    pair[1].key = text("/nowhere/at/all.key");
    expect_refused(1, "key /nowhere/at/all.key: No such file");
    pair[1] = own;
    pair[1].certificate = bad;
    expect_refused(1, "the certificate file is not a PEM certificate chain");
    cut_off(own.certificate, bad);
    expect_refused(1, FRYS_LWS_SYSTEM ? "the certificate file is not a PEM certificate chain"
                                      : "the certificate file ends within a certificate");
    spoil(bad);
    pair[1] = own;
    pair[1].key = bad;
    expect_refused(1, "the key file is not an unencrypted PEM private key");
    pair[1].key = certs()->server[1].key;
    expect_refused(1, "the key does not belong to the certificate");
    CHECK(strstr(r.err.text, own.certificate) != NULL && strstr(r.err.text, pair[1].key) != NULL);
    unlink(bad);
}

/* ---- one server per port, and per lock file ---- */

static void test_port_taken(void)
{
    struct rig first;

    rig_start_one(&first, WS_PROTOCOL_WS);
    for (unsigned shards = 1; shards <= 2; shards++) {
        rig_init(&r);
        rig_listen(&r, WS_PROTOCOL_MQTT);
        rig_listen(&r, WS_PROTOCOL_WS)->port = rig_port(&first, "ws");
        expect_refused(shards, "another process is there: stop it or choose another port");
        CHECK(strstr(r.err.text, "listener ws: cannot listen on 127.0.0.1 port ") != NULL);
    }
    peer_free(peer_connect(&first, "ws", MQTT_V5, "c")); /* it has not suffered */
    rig_stop(&first);
}

static void test_lock(void)
{
    char path[128];
    struct rig first;

    snprintf(path, sizeof path, "%s/lock", certs()->folder);
    rig_init(&first);
    rig_listen(&first, WS_PROTOCOL_WS);
    first.config.lock_file = path;
    rig_start(&first, 1);
    rig_init(&r);
    rig_listen(&r, WS_PROTOCOL_WS);
    r.config.lock_file = path;
    expect_refused(1, "another frysd holds it");
    CHECK(strstr(r.err.text, path) != NULL);
    rig_stop(&first);
    rig_start(&r, 1); /* what the first one has left behind does not matter */
    rig_stop(&r);
    unlink(path);
    r.config.lock_file = text("/nowhere/at/all.lock");
    expect_refused(1, "lock file /nowhere/at/all.lock: No such file or directory");
}

/* Bound, but never started. */
static void test_not_started(void)
{
    rig_init(&r);
    rig_listen(&r, WS_PROTOCOL_WS);
    rig_listen(&r, WS_PROTOCOL_MQTTS);
    r.config.admin.enabled = true;
    r.broker = broker_new(env_system(), &r.broker_config, NULL, 3, "test");
    r.server = ws_server_new(r.broker, &r.config, NULL, 0, &r.err);
    CHECK(r.server != NULL && rig_port(&r, "mqtts") != 0 && rig_port(&r, "nothing") == 0);
    rig_join(&r);
    CHECK(strstr(ws_versions(), "libwebsockets ") != NULL);
}

/* ---- limits ---- */

static void test_max_connections(void)
{
    static const enum ws_protocol protocols[] = {WS_PROTOCOL_WS, WS_PROTOCOL_MQTT,
                                                 WS_PROTOCOL_MQTTS};

    for (size_t i = 0; i < 3; i++) {
        struct peer *p[2];
        const char *name;

        rig_init(&r);
        name = rig_listen(&r, protocols[i])->name;
        r.listeners[0].max_connections = 2;
        rig_start(&r, 1);
        rig_log_begin(LOG_WARN);
        p[0] = peer_connect(&r, name, MQTT_V5, "a");
        p[1] = peer_connect(&r, name, MQTT_V5, "b");
        for (int k = 0; k < 3; k++) {
            struct peer *q = peer_dial_tcp(&r, name, 0);

            CHECK(q != NULL && !peer_receive(q) && q->eof);
            peer_free(q);
        }
        CHECK(peer_ping(p[0]) && peer_ping(p[1]));
        CHECK(strstr(rig_log(), "listener.full") != NULL);
        peer_free(p[0]);
        CHECK(RIG_WAIT(&r, connections, 1));
        p[0] = peer_connect(&r, name, MQTT_V5, "c");
        peer_free(p[0]);
        peer_free(p[1]);
        rig_log_end();
        rig_stop(&r);
    }
}

static double cpu_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* No file descriptor is left: who wants in waits, those who are in are served, and the processor is
 * not kept busy. */
static void test_out_of_files(void)
{
    struct rlimit before, none;
    struct peer *p, *waiting[20];
    double begin;

    getrlimit(RLIMIT_NOFILE, &before);
    rig_init(&r);
    rig_listen(&r, WS_PROTOCOL_WS);
    rig_start(&r, 2);
    rig_log_begin(LOG_ERROR);
    p = peer_connect(&r, "ws", MQTT_V5, "inside");
    none = before;
    none.rlim_cur = 3; /* less, and poll() would refuse */
    for (int i = 0; i < 20; i++)
        waiting[i] = peer_prepare(&r, "ws", 0);
    setrlimit(RLIMIT_NOFILE, &none);
    begin = cpu_s();
    for (int i = 0; i < 20; i++)
        CHECK(peer_start(waiting[i]));
    for (uint64_t end = mono_ms() + 500; mono_ms() < end;)
        CHECK(!peer_receive_within(waiting[0], 100) && peer_ping(p));
    CHECK(cpu_s() - begin < 0.25);
    setrlimit(RLIMIT_NOFILE, &before);
    CHECK(strstr(rig_log(), "listener.cannot_accept") != NULL);
    CHECK(strstr(rig_log(), "LimitNOFILE") != NULL);
    for (int i = 0; i < 20; i++) {
        peer_upgrade(waiting[i]);
        peer_mqtt(waiting[i], MQTT_V5, "");
        peer_free(waiting[i]);
    }
    peer_free(p);
    rig_log_end();
    rig_stop(&r);
}

TEST_MAIN(test_address, test_families, test_certificates, test_port_taken, test_lock,
          test_not_started, test_max_connections, test_out_of_files)

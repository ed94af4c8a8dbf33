/* Is the server well, and does it want clients? What a watchdog and the probes of an orchestrator
 * get to know. */
#include "base/test.h"
#include "ws/tests/peer_support.h"
#include "ws/ws_priv.h"

#include <sched.h>
#include <semaphore.h>

static struct rig r;
static sem_t hanging, go_on;

/* A hook that does not return, in the second shard's thread. */
static int hang(void *arg, const struct auth_client *who, struct mqtt_str password)
{
    (void)arg;
    (void)who;
    (void)password;
    if (!pthread_equal(pthread_self(), r.server->loops[1].thread))
        return 0;
    sem_post(&hanging);
    while (sem_wait(&go_on) != 0)
        ;
    return 0;
}

static const struct auth hook = {.connect = hang};

static void start(const struct auth *auth)
{
    rig_init(&r);
    rig_listen(&r, WS_PROTOCOL_MQTT);
    r.config.admin.enabled = true;
    r.auth = auth;
    rig_start(&r, 2);
}

/* The status of a page of the administration, which contains text. */
static int page(const char *path, const char *text)
{
    struct peer *p = peer_dial(&r, "admin");
    char request[128];
    struct http h;

    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);
    peer_write_text(p, request);
    h = peer_http(p, false);
    if (!CHECK(h.body != NULL && strstr(h.body, text) != NULL))
        fprintf(stderr, "%s: %s\n", path, h.body != NULL ? h.body : "no answer");
    free(h.body);
    peer_expect_eof(p);
    return h.status;
}

/* Ask until the outcome is this. */
static bool pulse_becomes(int want)
{
    uint64_t end = mono_ms() + PATIENCE_MS;

    while (mono_ms() < end) {
        uint64_t next = mono_ms() + 20;

        if (ws_server_pulse(r.server) == want)
            return true;
        while (mono_ms() < next)
            sched_yield(); /* the others get their time to answer */
    }
    return false;
}

static void test_well(void)
{
    start(NULL);
    CHECK(pulse_becomes(-1));
    CHECK_INT(page("/healthz", "ok\n"), 200);
    CHECK_INT(page("/readyz", "ready\n"), 200);
    rig_stop(&r);
}

static void test_hanging(void)
{
    struct peer *clients[64];
    size_t n = 0;

    sem_init(&hanging, 0, 0);
    sem_init(&go_on, 0, 0);
    start(&hook);
    while (n < ARRAY_LEN(clients) && sem_trywait(&hanging) != 0) {
        char id[16];
        struct mqtt_packet connect;

        snprintf(id, sizeof id, "c%zu", n);
        connect = connect_packet(MQTT_V5, id);
        clients[n] = peer_dial(&r, "mqtt");
        peer_send_packet(clients[n++], &connect);
        peer_receive_within(clients[n - 1], 50);
    }
    CHECK(pulse_becomes(1));
    CHECK(pulse_becomes(1));
    CHECK_INT(page("/healthz", "shard 1 does not answer"), 503);
    CHECK_INT(page("/readyz", "shard 1 does not answer"), 503);
    for (size_t i = 0; i < n; i++)
        sem_post(&go_on);
    CHECK(pulse_becomes(-1));
    CHECK_INT(page("/healthz", "ok\n"), 200);
    for (size_t i = 0; i < n; i++)
        peer_free(clients[i]);
    rig_stop(&r);
}

/* While clients are still served, the pages say that it is the end. */
static void test_draining(void)
{
    struct peer *client;
    uint16_t id = 0;

    start(NULL);
    client = peer_connect(&r, "mqtt", MQTT_V5, "c");
    peer_subscribe(client, "a", 1);
    peer_publish(client, "a", "x", 1, 1, 1);
    for (int i = 0; i < 2 && peer_packet(client); i++)
        if (client->packet.type == MQTT_PUBLISH)
            id = client->packet.publish.packet_id;
    ws_server_stop(r.server, false);
    CHECK_INT(page("/readyz", "shutting down\n"), 503);
    CHECK_INT(page("/healthz", "shutting down\n"), 200);
    CHECK(peer_dial_tcp(&r, "mqtt", 0) == NULL);
    CHECK(ws_server_pulse(r.server) == -1 || pulse_becomes(-1));
    peer_send_packet(client, &(struct mqtt_packet){.type = MQTT_PUBACK, .ack = {.packet_id = id}});
    peer_expect_disconnect(client, 0x8B, 0);
    rig_join(&r);
}

TEST_MAIN(test_well, test_hanging, test_draining)

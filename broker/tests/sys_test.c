/* sys_test: what the broker says of itself: $SYS topics and the Prometheus page. */
#include "base/test.h"
#include "broker/message.h"
#include "broker/retained.h"
#include "broker/stats.h"
#include "net_support.h"
#include "stored_support.h"

#include <ctype.h>
#include <stdlib.h>

static struct housekeeping *start(struct net *n, unsigned shards, uint32_t interval_s)
{
    struct broker_config cfg = broker_config_default();
    struct housekeeping *h;

    cfg.sys_interval_s = interval_s;
    net_init(n, shards, &cfg);
    h = housekeeping_new(n->broker->shards[0]);
    return h;
}

static void stop(struct net *n, struct housekeeping *h)
{
    housekeeping_free(n->broker->shards[0], &h);
    net_fini(n);
}

/* What "$SYS/broker/" topic says at this shard; NULL: nothing. */
static const char *sys(const struct net *n, unsigned shard, const char *topic)
{
    static char values[4][64];
    static unsigned which;
    char name[128];
    struct message *m;

    snprintf(name, sizeof name, "$SYS/broker/%s", topic);
    m = retained_get(n->broker->shards[shard], text_str(name));
    if (m == NULL)
        return NULL;
    which = (which + 1) % 4;
    snprintf(values[which], sizeof values[0], "%.*s", (int)m->payload_len,
             (const char *)message_payload(m).p);
    return values[which];
}

#define CHECK_SYS(n, topic, want)                                                          \
    do {                                                                                   \
        const char *got = sys(n, 0, topic);                                                \
        if (!CHECK(got != NULL && strcmp(got, want) == 0))                                 \
            printf("  %s: got %s, want %s\n", topic, got != NULL ? got : "nothing", want); \
    } while (0)

/* ---- $SYS ---- */

/* Names as Mosquitto has them, and what they count, on whichever shard it happens. */
static void test_values(void)
{
    struct net n;
    struct housekeeping *h = start(&n, 2, 10);
    struct client *a, *b;
    struct mqtt_packet p;
    struct connect_options keep = {.id = "away", .expiry_s = 100};
    const char *in_use;
    int64_t kept;

    net_run(&n);
    CHECK(atoll(sys(&n, 0, "heap/maximum")) > 0); /* from the first time on */
    a = net_client(&n, 0, 5, "a");
    b = net_client(&n, 1, 5, "b");
    client_subscribe(a, "t", 1);
    client_subscribe(b, "t", 1);
    client_subscribe(b, "$share/g/t", 1);
    client_drop(net_connect(&n, 1, 5, &keep, NULL));
    client_drop(
        net_connect(&n, 0, 5, &(struct connect_options){.id = "gone", .expiry_s = 1}, NULL));
    net_sleep(&n, 1000);
    client_start_publish(a, "t", "12345", 1, true);
    client_expect_publish(a, "t", "12345", 1, true);
    client_expect(a, MQTT_PUBACK, &p); /* when it is at the other shard, too */
    client_publish(a, "$SYS/not/yours", "x", 0, false);
    client_expect_publish(b, "t", "12345", 1, false);
    client_expect_publish(b, "t", "12345", 1, true);
    net_sleep(&n, 9000);
    CHECK_SYS(&n, "version", "test");
    CHECK_SYS(&n, "uptime", "10 seconds");
    CHECK_SYS(&n, "clients/connected", "2");
    CHECK_SYS(&n, "clients/disconnected", "1");
    CHECK_SYS(&n, "clients/active", "2");
    CHECK_SYS(&n, "clients/inactive", "1");
    CHECK_SYS(&n, "clients/total", "3");
    CHECK_SYS(&n, "clients/expired", "1");
    CHECK_SYS(&n, "clients/maximum", "2");
    CHECK_SYS(&n, "subscriptions/count", "3");
    CHECK_SYS(&n, "shared_subscriptions/count", "1");
    CHECK_SYS(&n, "messages/inflight", "1");
    /* as in Mosquitto: retained messages, and what clients have not acknowledged yet */
    kept = atoll(sys(&n, 0, "retained messages/count")) + 1;
    CHECK_INT(atoll(sys(&n, 0, "messages/stored")), kept);
    CHECK_INT(atoll(sys(&n, 0, "store/messages/count")), kept);
    CHECK(atoll(sys(&n, 0, "store/messages/bytes")) >= kept * (int64_t)sizeof(struct message));
    CHECK(atoll(sys(&n, 0, "store/messages/bytes")) < atoll(sys(&n, 0, "heap/current")) / 2);
    CHECK_SYS(&n, "publish/messages/received", "2");
    CHECK_SYS(&n, "publish/messages/sent", "3");
    CHECK_SYS(&n, "publish/messages/dropped", "1");
    CHECK_SYS(&n, "publish/bytes/received", "6");
    CHECK_SYS(&n, "publish/bytes/sent", "15");
    CHECK_SYS(&n, "messages/received", "11"); /* 4 CONNECT, 3 SUBSCRIBE, 2 PUBLISH, 2 PUBACK */
    CHECK_SYS(&n, "messages/sent", "11");     /* 4 CONNACK, 3 SUBACK, 3 PUBLISH, 1 PUBACK */
    CHECK_SYS(&n, "drops/refused", "1");
    CHECK_SYS(&n, "drops/queue_full", "0");
    in_use = sys(&n, 0, "heap/current");
    CHECK(in_use != NULL && atoll(in_use) > 100000);
    CHECK(atoll(sys(&n, 0, "heap/maximum")) >= atoll(in_use));
    CHECK(atoll(sys(&n, 0, "bytes/received")) > 100 && atoll(sys(&n, 0, "bytes/sent")) > 50);
    CHECK(atoll(sys(&n, 0, "retained messages/count")) > 50); /* these, and one */
    for (unsigned why = 0; why < DROP_COUNT; why++) {
        char topic[64];

        snprintf(topic, sizeof topic, "drops/%s", drop_label((enum drop_reason)why));
        CHECK_ROW(why, sys(&n, 1, topic) != NULL); /* all shards have them all */
    }

    client_drop(b);
    client_disconnect(a, 0);
    net_sleep(&n, 10000);
    CHECK_SYS(&n, "clients/connected", "0");
    CHECK_SYS(&n, "clients/maximum", "2");
    a = net_client(&n, 1, 5, "reader");
    client_subscribe(a, "$SYS/broker/clients/total", 0);
    client_expect_publish(a, "$SYS/broker/clients/total", "1", 0, false);
    client_subscribe(a, "#", 0); /* not for everybody who wants everything */
    client_expect(a, MQTT_PUBLISH, &p);
    CHECK(mqtt_str_eq(p.publish.topic, MQTT_STR("t")));
    CHECK(client_quiet(a));
    stop(&n, h);
}

/* A topic is published when it has changed, and only then. */
static void test_changes_only(void)
{
    struct net n;
    struct housekeeping *h = start(&n, 1, 10);
    struct client *c;
    struct mqtt_packet p;

    net_run(&n);
    c = net_client(&n, 0, 5, "c");
    client_subscribe(c, "$SYS/broker/clients/#", 0);
    while (client_next(c, &p))
        CHECK(p.publish.retain);
    net_sleep(&n, 10000);
    for (int i = 0; i < 4; i++) { /* connected, active, total, maximum */
        client_expect(c, MQTT_PUBLISH, &p);
        CHECK(!p.publish.retain);
        CHECK(mqtt_str_eq(p.publish.payload, MQTT_STR("1")));
    }
    CHECK(client_quiet(c));
    net_sleep(&n, 60000);
    CHECK(client_quiet(c));
    client_subscribe(c, "$SYS/broker/uptime", 0);
    client_expect_publish(c, "$SYS/broker/uptime", "70 seconds", 0, false);
    net_sleep(&n, 20000);
    client_expect_publish(c, "$SYS/broker/uptime", "80 seconds", 0, false);
    client_expect_publish(c, "$SYS/broker/uptime", "90 seconds", 0, false);
    CHECK(client_quiet(c));
    stop(&n, h);
}

/* The interval is as configured now; 0: there are none. */
static void test_interval(void)
{
    struct net n;
    struct housekeeping *h = start(&n, 1, 0);

    net_sleep(&n, 5000);
    CHECK(sys(&n, 0, "uptime") == NULL);
    n.broker->shards[0]->config.sys_interval_s = 3;
    net_sleep(&n, 1000);
    CHECK_SYS(&n, "uptime", "6 seconds");
    net_sleep(&n, 2999);
    CHECK_SYS(&n, "uptime", "6 seconds");
    net_sleep(&n, 1);
    CHECK_SYS(&n, "uptime", "9 seconds");
    stop(&n, h);
}

/* Averages of what happens in a minute: what goes on for long is what they show in the end, the
 * shorter ones earlier; and they forget again. */
static void test_loads(void)
{
    struct net n;
    struct housekeeping *h = start(&n, 1, 10);
    struct client *c;
    double one, five, fifteen;

    net_run(&n);
    CHECK_SYS(&n, "load/publish/received/1min", "0.00");
    c = net_client(&n, 0, 5, "c");
    for (int i = 0; i < 6; i++) { /* a minute of 60 a minute */
        for (int k = 0; k < 10; k++)
            client_publish(c, "t", "x", 0, false);
        net_sleep(&n, 10000);
    }
    one = atof(sys(&n, 0, "load/publish/received/1min"));
    five = atof(sys(&n, 0, "load/publish/received/5min"));
    fifteen = atof(sys(&n, 0, "load/publish/received/15min"));
    CHECK(one > 37.8 && one < 38.0);       /* 60 * (1 - exp(-1)) */
    CHECK(five > 10.8 && five < 11.0);     /* 60 * (1 - exp(-1/5)) */
    CHECK(fifteen > 3.8 && fifteen < 3.9); /* 60 * (1 - exp(-1/15)) */
    for (int i = 0; i < 6 * 60; i++) {
        for (int k = 0; k < 10; k++)
            client_publish(c, "t", "x", 0, false);
        net_sleep(&n, 10000);
    }
    CHECK_SYS(&n, "load/publish/received/1min", "60.00");
    CHECK_SYS(&n, "load/publish/received/5min", "60.00");
    CHECK(atof(sys(&n, 0, "load/publish/received/15min")) > 58.0);
    CHECK_SYS(&n, "load/publish/sent/1min", "0.00");
    net_sleep(&n, 600000);
    CHECK_SYS(&n, "load/publish/received/1min", "0.00");
    CHECK(sys(&n, 0, "load/connections/15min") != NULL && sys(&n, 0, "load/sockets/5min") != NULL);
    stop(&n, h);
}

/* ---- Prometheus ---- */

static char page[65536];

/* The value of a sample, labels included in its name; -1: it is not there. */
static long long sample(const char *name)
{
    size_t len = strlen(name);

    for (const char *line = page; line != NULL && *line != '\0';) {
        if (strncmp(line, name, len) == 0 && line[len] == ' ')
            return atoll(line + len);
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return -1;
}

static size_t span(const char *s, const char *also)
{
    size_t n = 0;

    while (isalnum((unsigned char)s[n]) || (s[n] != '\0' && strchr(also, s[n]) != NULL))
        n++;
    return n;
}

/* The text format, version 0.0.4: each metric has its HELP and TYPE once, in front of its samples,
 * which stand together; and a sample is a name, perhaps one label, and a number. */
static void check_format(void)
{
    char metric[128] = "", seen[32768] = "";

    for (char *line = page, *end; *line != '\0'; line = end + 1) {
        char name[128], word[160];
        size_t len;

        end = strchr(line, '\n');
        if (!CHECK(end != NULL))
            return;
        if (sscanf(line, "# HELP %127s", name) == 1) {
            snprintf(word, sizeof word, " %s ", name);
            CHECK(strstr(seen, word) == NULL);
            strcat(seen, word);
            snprintf(metric, sizeof metric, "%s", name);
            CHECK(end - line > (long)strlen("# HELP  ") + (long)strlen(name));
            line = end + 1;
            end = strchr(line, '\n');
            CHECK(sscanf(line, "# TYPE %127s %127s", name, word) == 2);
            CHECK(strcmp(name, metric) == 0);
            CHECK(strcmp(word, "counter") == 0 || strcmp(word, "gauge") == 0);
            /* counters, and only they, end in _total */
            len = strlen(name);
            CHECK_INT(strcmp(word, "counter") == 0,
                      len > 6 && strcmp(name + len - 6, "_total") == 0);
            continue;
        }
        len = span(line, "_");
        CHECK(len == strlen(metric) && strncmp(line, metric, len) == 0);
        line += len;
        if (*line == '{') {
            line += 1 + span(line + 1, "_");
            CHECK(line[0] == '=' && line[1] == '"');
            line += 2 + span(line + 2, "_.-");
            CHECK(line[0] == '"' && line[1] == '}');
            line += 2;
        }
        CHECK(*line == ' ');
        CHECK(strspn(line + 1, "-.0123456789") == (size_t)(end - line - 1) && end > line + 1);
    }
}

static void test_page(void)
{
    struct net n;
    struct client *a;
    size_t len;

    net_init(&n, 2, NULL);
    a = net_client(&n, 0, 5, "a");
    client_subscribe(a, "t", 0);
    client_publish(net_client(&n, 1, 4, "b"), "t", "123", 1, false);
    client_publish(a, "$SYS/x", "", 0, false);
    client_send(a, "\x10\0", 2);
    net_sleep(&n, 5000);
    len = stats_prometheus(n.broker, page, sizeof page);
    CHECK_INT(len, strlen(page));
    check_format();
    CHECK_INT(sample("frys_info{version=\"test\"}"), 1);
    CHECK_INT(sample("frys_uptime_seconds"), 5);
    CHECK_INT(sample("frys_shards"), 2);
    CHECK_INT(sample("frys_connections"), 1);
    CHECK_INT(sample("frys_connections_total"), 2);
    CHECK_INT(sample("frys_publishes_received_total"), 2);
    CHECK_INT(sample("frys_publish_bytes_sent_total"), 3);
    CHECK_INT(sample("frys_dropped_messages_total{reason=\"refused\"}"), 1);
    CHECK_INT(sample("frys_dropped_messages_total{reason=\"expired\"}"), 0);
    CHECK_INT(sample("frys_closed_connections_total{reason=\"malformed_packet\"}") +
                  sample("frys_closed_connections_total{reason=\"protocol_error\"}"),
              1);
    CHECK(sample("frys_memory_bytes{purpose=\"session\"}") > 0);
    for (unsigned why = 0; why < CLOSE_COUNT; why++) {
        char name[128];

        snprintf(name, sizeof name, "frys_closed_connections_total{reason=\"%s\"}",
                 close_info((enum close_reason)why)->label);
        CHECK_ROW(why, sample(name) >= 0);
    }
    net_fini(&n);
}

/* What does not fit is cut off, and the length says how much there is. */
static void test_page_too_long(void)
{
    struct net n;
    static char part[65536];
    size_t len;

    net_init(&n, 1, NULL);
    len = stats_prometheus(n.broker, page, sizeof page);
    for (size_t cap = 0; cap <= len + 2; cap += cap < 200 || cap > len - 200 ? 1 : 101) {
        size_t fits = cap == 0 ? 0 : cap - 1 < len ? cap - 1 : len;

        memset(part, '@', sizeof part);
        CHECK_INT(stats_prometheus(n.broker, part, cap), len);
        CHECK_ROW(cap, memcmp(part, page, fits) == 0);
        CHECK_ROW(cap, cap == 0 || part[fits] == '\0');
        CHECK_ROW(cap, part[cap] == '@');
    }
    net_fini(&n);
}

/* With a store there is more to tell, and more that may be wrong. */
static void test_page_with_store(void)
{
    struct connect_options o = {.id = "c", .expiry_s = 60};
    struct stored s;
    struct client *c;

    stored_init(&s, 1, NULL);
    stats_prometheus(s.n.broker, page, sizeof page);
    check_format();
    CHECK_INT(sample("frys_store_failing"), 0);
    CHECK_INT(sample("frys_store_set_aside"), 0);
    CHECK_INT(sample("frys_store_records_total"), 0);
    CHECK(broker_degraded(s.n.broker) == NULL);
    c = net_connect(&s.n, 0, 5, &o, NULL);
    client_subscribe(c, "t", 1);
    net_sleep(&s.n, 100);
    stats_prometheus(s.n.broker, page, sizeof page);
    CHECK_INT(sample("frys_store_records_total"), 2);
    CHECK(sample("frys_store_commits_total") > 0);
    memory_store_fail(s.store, "no space left");
    stats_prometheus(s.n.broker, page, sizeof page);
    CHECK_INT(sample("frys_store_failing"), 1);
    CHECK(strcmp(broker_degraded(s.n.broker), "the store cannot write") == 0);
    memory_store_fail(s.store, NULL);
    CHECK(broker_degraded(s.n.broker) == NULL);
    atomic_store(&s.n.broker->memory_pressure, MEMORY_HIGH);
    CHECK(strcmp(broker_degraded(s.n.broker), "memory is short") == 0);
    atomic_store(&s.n.broker->memory_pressure, MEMORY_OK);
    stored_fini(&s);
}

static void test_store(void)
{
    struct housekeeping *h;
    struct stored s;

    stored_init(&s, 1, NULL);
    h = housekeeping_new(s.n.broker->shards[0]);
    net_run(&s.n);
    CHECK(sys(&s.n, 0, "storage/error") == NULL && sys(&s.n, 0, "storage/set_aside") == NULL);
    memory_store_set_aside(s.store, "frys.db.damaged-2026");
    memory_store_fail(s.store, "no space left");
    net_sleep(&s.n, 10000);
    CHECK_SYS(&s.n, "storage/error", "no space left");
    CHECK_SYS(&s.n, "storage/set_aside", "frys.db.damaged-2026");
    stats_prometheus(s.n.broker, page, sizeof page);
    CHECK_INT(sample("frys_store_set_aside"), 1);
    memory_store_fail(s.store, NULL);
    net_sleep(&s.n, 10000);
    CHECK(sys(&s.n, 0, "storage/error") == NULL);
    CHECK_SYS(&s.n, "storage/set_aside", "frys.db.damaged-2026");
    housekeeping_free(s.n.broker->shards[0], &h);
    stored_fini(&s);
}

/* Sums over shards; negative shares cancel out. */
static void test_sums(void)
{
    struct net n;
    struct stats s;

    net_init(&n, 3, NULL);
    for (unsigned i = 0; i < 3; i++) {
        COUNT_ADD(&n.broker->shards[i]->counters, wills_sent, 10 + i);
        count_drop(n.broker->shards[i], DROP_EXPIRED, i);
        count_drop(n.broker->shards[i], DROP_QUEUE_FULL, 1);
    }
    COUNT_DOWN(&n.broker->shards[1]->counters, retained);
    COUNT(&n.broker->shards[2]->counters, retained);
    stats_read(n.broker, &s);
    CHECK_INT(s.wills_sent, 33);
    CHECK_INT(s.drops[DROP_EXPIRED], 3);
    CHECK_INT(s.dropped, 6);
    CHECK_INT(s.retained, 0);
    CHECK_INT(s.memory, broker_memory_total(n.broker));
    net_fini(&n);
}

TEST_MAIN(test_values, test_changes_only, test_interval, test_loads, test_page,
          test_page_with_store, test_store, test_page_too_long, test_sums)

/* Paho C, its asynchronous interface (Debian's libpaho-mqtt-dev): MQTT 3.1, 3.1.1 and 5.0; TCP,
 * WebSocket and TLS. Commands on standard input, events on standard output: README.md. One client a
 * process: with several, Paho lets a new one wait for a second. Callbacks come from Paho's threads;
 * an event is one call of stdio, so it is whole. */
#include <MQTTAsync.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_WORDS  24
#define MAX_UNSENT 20000 /* messages of a burst that Paho has not sent yet */
#define RETRY_S    1     /* between attempts to connect again; Paho's least */

/* What the runner does not mean to happen; it sees that the program has ended. */
static void check(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "paho_c: %s\n", what);
    exit(1);
}

static void *alloc(size_t size)
{
    void *p = calloc(1, size);

    check(p != NULL, "out of memory");
    return p;
}

/* ---- payloads ---- */

static const char digits[] = "0123456789abcdef";

static int digit(char c)
{
    const char *at = c == '\0' ? NULL : strchr(digits, c);

    check(at != NULL, "a payload is not hexadecimal");
    return (int)(at - digits);
}

/* The bytes of a hexadecimal word, "-" for none. To be freed. */
static unsigned char *unhexed(const char *word, int *out_len)
{
    size_t len = strcmp(word, "-") == 0 ? 0 : strlen(word) / 2;
    unsigned char *bytes = alloc(len + 1);

    for (size_t i = 0; i < len; i++)
        bytes[i] = (unsigned char)(digit(word[2 * i]) << 4 | digit(word[2 * i + 1]));
    *out_len = (int)len;
    return bytes;
}

static char *hexed(const unsigned char *bytes, size_t len)
{
    char *word = alloc(2 * len + 2), *at = word;

    for (size_t i = 0; i < len; i++) {
        *at++ = digits[bytes[i] >> 4];
        *at++ = digits[bytes[i] & 15];
    }
    if (len == 0)
        *at = '-';
    return word;
}

/* ---- events ---- */

struct client {
    char *name;
    MQTTAsync paho;
    bool v5, online;
    int unacknowledged; /* messages of the command under way */
};

static void report(const struct client *c, const char *event)
{
    printf("%s %s\n", event, c->name);
}

static void report_number(const struct client *c, const char *event, int n)
{
    printf("%s %s %d\n", event, c->name, n);
}

static void report_error(const struct client *c, const char *where, int code)
{
    printf("error %s %s: %d %s\n", c->name, where, code, MQTTAsync_strerror(code));
}

static void on_connected(struct client *c, int session_present)
{
    c->online = true;
    report_number(c, "connected", session_present);
}

static void on_connect(void *context, MQTTAsync_successData *r)
{
    on_connected(context, r->alt.connect.sessionPresent);
}

static void on_connect5(void *context, MQTTAsync_successData5 *r)
{
    on_connected(context, r->alt.connect.sessionPresent);
}

/* A positive code is the server's. */
static void refused(const struct client *c, int code)
{
    if (code > 0)
        report_number(c, "refused", code);
    else
        report_error(c, "connect", code);
}

static void on_refused(void *context, MQTTAsync_failureData *r)
{
    refused(context, r->code);
}

static void on_refused5(void *context, MQTTAsync_failureData5 *r)
{
    refused(context, r->reasonCode > 0 ? (int)r->reasonCode : r->code);
}

/* Also at the first connection, of which on_connect() knows more. */
static void on_connected_again(void *context, char *cause)
{
    struct client *c = context;

    if (cause != NULL && strcmp(cause, "automatic reconnect") == 0) {
        c->online = true;
        printf("connected %s ?\n", c->name);
    }
}

static void on_lost(void *context, char *cause)
{
    struct client *c = context;

    (void)cause;
    if (c->online)
        printf("closed %s -\n", c->name);
    c->online = false;
}

/* The server's DISCONNECT. */
static void on_disconnect5(void *context, MQTTProperties *props, enum MQTTReasonCodes code)
{
    struct client *c = context;

    (void)props;
    if (c->online)
        report_number(c, "closed", (int)code);
    c->online = false;
}

static int on_message(void *context, char *topic, int topic_len, MQTTAsync_message *m)
{
    const struct client *c = context;
    int len = topic_len > 0 ? topic_len : (int)strlen(topic);
    char *payload = hexed(m->payload, (size_t)m->payloadlen);

    printf("message %s %.*s %d %d %s\n", c->name, len, topic, m->qos, m->retained, payload);
    free(payload);
    MQTTAsync_freeMessage(&m);
    MQTTAsync_free(topic);
    return 1;
}

static void acknowledged(struct client *c)
{
    if (__atomic_sub_fetch(&c->unacknowledged, 1, __ATOMIC_SEQ_CST) == 0)
        report(c, "published");
}

static void on_published(void *context, MQTTAsync_successData *r)
{
    (void)r;
    acknowledged(context);
}

static void on_published5(void *context, MQTTAsync_successData5 *r)
{
    (void)r;
    acknowledged(context);
}

static void on_subscribed(void *context, MQTTAsync_successData *r)
{
    report_number(context, "subscribed", r->alt.qos);
}

static void on_subscribed5(void *context, MQTTAsync_successData5 *r)
{
    report_number(context, "subscribed", (int)r->reasonCode);
}

static void on_unsubscribed(void *context, MQTTAsync_successData *r)
{
    (void)r;
    report(context, "unsubscribed");
}

static void on_unsubscribed5(void *context, MQTTAsync_successData5 *r)
{
    (void)r;
    report(context, "unsubscribed");
}

static void on_left(void *context, MQTTAsync_successData *r)
{
    (void)r;
    report(context, "disconnected");
}

static void on_left5(void *context, MQTTAsync_successData5 *r)
{
    (void)r;
    report(context, "disconnected");
}

static void on_failure(void *context, MQTTAsync_failureData *r)
{
    report_error(context, "failed", r == NULL ? 0 : r->code);
}

static void on_failure5(void *context, MQTTAsync_failureData5 *r)
{
    report_error(context, "failed", r == NULL ? 0 : (int)r->reasonCode);
}

/* ---- commands ---- */

/* The value of "key=value" among the words, or NULL. */
static const char *option(char *const *words, const char *key)
{
    size_t len = strlen(key);

    for (; *words != NULL; words++)
        if (strncmp(*words, key, len) == 0 && (*words)[len] == '=')
            return *words + len + 1;
    return NULL;
}

static int number(char *const *words, const char *key)
{
    const char *value = option(words, key);

    return value == NULL ? 0 : atoi(value);
}

static MQTTAsync_connectOptions connect_options(char *const *words, struct client *c)
{
    MQTTAsync_connectOptions v3 = MQTTAsync_connectOptions_initializer;
    MQTTAsync_connectOptions v5 = MQTTAsync_connectOptions_initializer5;
    MQTTAsync_connectOptions o = c->v5 ? v5 : v3;

    o.MQTTVersion = number(words, "version");
    if (c->v5) {
        o.cleanstart = number(words, "clean");
        o.onSuccess5 = on_connect5;
        o.onFailure5 = on_refused5;
    } else {
        o.cleansession = number(words, "clean");
        o.onSuccess = on_connect;
        o.onFailure = on_refused;
    }
    o.context = c;
    o.username = option(words, "user");
    o.password = option(words, "password");
    o.automaticReconnect = number(words, "reconnect");
    o.minRetryInterval = o.maxRetryInterval = RETRY_S;
    return o;
}

static void create(struct client *c, char *const *words)
{
    MQTTAsync_createOptions o = MQTTAsync_createOptions_initializer;

    o.MQTTVersion = number(words, "version");
    o.maxBufferedMessages = MAX_UNSENT;
    check(MQTTAsync_createWithOptions(&c->paho, option(words, "url"), option(words, "id"),
                                      MQTTCLIENT_PERSISTENCE_NONE, NULL, &o) == MQTTASYNC_SUCCESS,
          "MQTTAsync_createWithOptions failed");
    MQTTAsync_setCallbacks(c->paho, c, on_lost, on_message, NULL);
    MQTTAsync_setConnected(c->paho, c, on_connected_again);
    MQTTAsync_setDisconnected(c->paho, c, on_disconnect5);
}

static int do_connect(struct client *c, char *const *words)
{
    MQTTAsync_connectOptions o;
    MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
    MQTTAsync_willOptions will = MQTTAsync_willOptions_initializer;
    MQTTProperties props = MQTTProperties_initializer;
    MQTTProperty expiry = {.identifier = MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL,
                           .value.integer4 = (unsigned)number(words, "expiry")};
    unsigned char *payload = NULL;
    int rc;

    c->v5 = number(words, "version") == MQTTVERSION_5;
    MQTTAsync_destroy(&c->paho);
    create(c, words);
    o = connect_options(words, c);
    tls.trustStore = option(words, "ca");
    tls.verify = 1;
    o.ssl = &tls;
    if (option(words, "will_topic") != NULL) {
        will.topicName = option(words, "will_topic");
        will.qos = number(words, "will_qos");
        will.retained = number(words, "will_retain");
        will.payload.data = payload = unhexed(option(words, "will_payload"), &will.payload.len);
        o.will = &will;
    }
    if (c->v5) {
        MQTTProperties_add(&props, &expiry);
        o.connectProperties = &props;
    }
    rc = MQTTAsync_connect(c->paho, &o);
    MQTTProperties_free(&props);
    free(payload);
    return rc;
}

static MQTTAsync_responseOptions answers(struct client *c, MQTTAsync_onSuccess *success,
                                         MQTTAsync_onSuccess5 *success5)
{
    MQTTAsync_responseOptions o = MQTTAsync_responseOptions_initializer;

    o.context = c;
    if (c->v5) {
        o.onSuccess5 = success5;
        o.onFailure5 = on_failure5;
    } else {
        o.onSuccess = success;
        o.onFailure = on_failure;
    }
    return o;
}

static int do_subscribe(struct client *c, char *const *words)
{
    MQTTAsync_responseOptions o = answers(c, on_subscribed, on_subscribed5);

    return MQTTAsync_subscribe(c->paho, words[0], atoi(words[1]), &o);
}

static int do_unsubscribe(struct client *c, char *const *words)
{
    MQTTAsync_responseOptions o = answers(c, on_unsubscribed, on_unsubscribed5);

    return MQTTAsync_unsubscribe(c->paho, words[0], &o);
}

static int send_one(struct client *c, const char *topic, int qos, int retain, const void *payload,
                    int len)
{
    MQTTAsync_responseOptions o = answers(c, on_published, on_published5);

    return MQTTAsync_send(c->paho, topic, len, payload, qos, retain, &o);
}

static int do_publish(struct client *c, char *const *words)
{
    int len, rc;
    unsigned char *payload = unhexed(words[3], &len);

    c->unacknowledged = 1;
    rc = send_one(c, words[0], atoi(words[1]), atoi(words[2]), payload, len);
    free(payload);
    return rc;
}

static int do_burst(struct client *c, char *const *words)
{
    int count = atoi(words[2]), rc = MQTTASYNC_SUCCESS;
    char payload[16];

    c->unacknowledged = count;
    for (int i = 0; i < count && rc == MQTTASYNC_SUCCESS; i++) {
        int len = snprintf(payload, sizeof payload, "%d", i);

        rc = send_one(c, words[0], atoi(words[1]), 0, payload, len);
    }
    return rc;
}

static int do_disconnect(struct client *c, char *const *words)
{
    MQTTAsync_disconnectOptions v3 = MQTTAsync_disconnectOptions_initializer;
    MQTTAsync_disconnectOptions v5 = MQTTAsync_disconnectOptions_initializer5;
    MQTTAsync_disconnectOptions o = c->v5 ? v5 : v3;

    (void)words;
    c->online = false;
    o.context = c;
    if (c->v5)
        o.onSuccess5 = on_left5;
    else
        o.onSuccess = on_left;
    return MQTTAsync_disconnect(c->paho, &o);
}

/* ---- lines ---- */

static void run(struct client *c, char *const *words)
{
    static const struct {
        const char *verb;
        int (*run)(struct client *c, char *const *words);
    } commands[] = {
        {"connect", do_connect}, {"subscribe", do_subscribe}, {"unsubscribe", do_unsubscribe},
        {"publish", do_publish}, {"burst", do_burst},         {"disconnect", do_disconnect}};

    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        int rc;

        if (strcmp(words[0], commands[i].verb) != 0)
            continue;
        rc = commands[i].run(c, words + 2);
        if (rc != MQTTASYNC_SUCCESS)
            report_error(c, words[0], rc);
    }
}

int main(void)
{
    MQTTAsync_init_options init = MQTTAsync_init_options_initializer;
    struct client client = {.name = NULL};
    char *line = NULL;
    size_t cap = 0;

    init.do_openssl_init = 1;
    MQTTAsync_global_init(&init);
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (getline(&line, &cap, stdin) > 0) {
        char *words[MAX_WORDS + 1] = {NULL};
        int n = 0;

        for (char *w = strtok(line, " \n"); w != NULL && n < MAX_WORDS; w = strtok(NULL, " \n"))
            words[n++] = w;
        check(n >= 2, "a command has at least two words");
        if (client.name == NULL)
            client.name = strdup(words[1]);
        check(client.name != NULL && strcmp(client.name, words[1]) == 0, "one client a process");
        run(&client, words);
    }
    free(line);
    return 0;
}

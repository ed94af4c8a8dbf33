/* connection_connect: CONNECT, AUTH and CONNACK.                     [v5 3.1, 3.2, 3.15, 4.12]
 * [v3 3.1, 3.2] */
#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/connect_request.h"
#include "broker/connection.h"
#include "broker/connection_priv.h"
#include "broker/journal.h"
#include "broker/purposes.h"
#include "broker/shard.h"
#include "broker/takeover.h"
#include "mqtt/encode.h"
#include "mqtt/topic.h"

#include <string.h>

#define MAX_AUTH_DATA 65535

static bool copy(struct shard *sh, struct mqtt_str from, struct mqtt_str *to)
{
    uint8_t *p = mem_try_alloc(sh->mem, FOR_CONNECTION, from.len);

    if (p == NULL)
        return false;
    if (from.len > 0)
        memcpy(p, from.p, from.len);
    *to = (struct mqtt_str){p, from.len};
    return true;
}

static void copy_free(struct shard *sh, struct mqtt_str *s)
{
    mem_release(sh->mem, FOR_CONNECTION, (void *)(uintptr_t)s->p);
    *s = (struct mqtt_str){NULL, 0};
}

struct auth_client connection_who(const struct connection *c)
{
    struct mqtt_str id = {NULL, 0};

    if (c->session != NULL)
        id = session_client_id(c->session);
    else if (c->request != NULL)
        id = request_client_id(c->request);
    return (struct auth_client){.peer = c->peer, .client_id = id, .username = c->username};
}

void connection_drop_request(struct connection *c)
{
    struct shard *sh = c->shard;

    if (c->exchange != NULL) {
        sh->broker->auth.end(sh->broker->auth.arg, c->exchange);
        c->exchange = NULL;
    }
    if (c->request == NULL)
        return;
    if (c->request->has_will)
        message_unref(&c->request->will.msg, sh->mem);
    copy_free(sh, &c->request->auth_data);
    mem_release(sh->mem, FOR_CONNECTION, c->request);
    c->request = NULL;
}

/* ---- CONNACK ---- */

static bool fits(const struct connection *c, const struct mqtt_packet *p)
{
    return mqtt_encode_size(p, c->version) <= c->max_packet_out;
}

/* Reasons that DISCONNECT has and CONNACK has not. */
static uint8_t connack_reason(uint8_t reason)
{
    switch (reason) {
    case MQTT_RC_SERVER_SHUTTING_DOWN:
    case MQTT_RC_SESSION_TAKEN_OVER: return MQTT_RC_SERVER_UNAVAILABLE;
    case MQTT_RC_MAXIMUM_CONNECT_TIME:
    case MQTT_RC_KEEP_ALIVE_TIMEOUT:
    case MQTT_RC_ADMINISTRATIVE_ACTION: return MQTT_RC_UNSPECIFIED_ERROR;
    default: return reason;
    }
}

/* A CONNACK that refuses; nothing where the version has no code for it [v3 MQTT-3.1.4-1] or the
 * client does not take as much [v5 MQTT-3.1.2-24]. */
void connection_send_connack(struct connection *c, uint8_t reason, const char *detail)
{
    struct mqtt_packet p = {.type = MQTT_CONNACK};

    COUNT(&c->shard->counters, connects_refused);
    reason = connack_reason(reason);
    p.connack = (struct mqtt_connack){.reason = reason};
    if (c->version == MQTT_V5)
        connection_explain(c, &p, &p.connack.props, detail); /* [v5 MQTT-3.2.2-19] */
    else
        p.connack.reason = mqtt_reason_v3(reason);
    if (p.connack.reason != 0xff && fits(c, &p))
        output_packet(c, &p);
}

static uint32_t granted_expiry_s(const struct connection *c)
{
    uint32_t asked_s = c->request->expiry_s, max_s = c->shard->config.max_session_expiry_s;

    return asked_s < max_s ? asked_s : max_s;
}

/* What differs from the defaults of the standard [v5 3.2.2.3]. */
static void connack_props(const struct connection *c, struct mqtt_props *p)
{
    const struct broker_config *cfg = &c->shard->config;
    const struct connect_request *r = c->request;

    if (granted_expiry_s(c) != r->expiry_s)
        MQTT_SET(p, session_expiry_s, granted_expiry_s(c));
    if (c->receive_maximum_in != UINT16_MAX)
        MQTT_SET(p, receive_maximum, c->receive_maximum_in);
    if (cfg->maximum_qos < 2)
        MQTT_SET(p, maximum_qos, cfg->maximum_qos);
    if (!cfg->retain_available)
        MQTT_SET(p, retain_available, 0);
    MQTT_SET(p, maximum_packet_size, c->max_packet_in);
    if (r->assigned)
        MQTT_SET(p, assigned_client_id, request_client_id(r));
    if (c->alias_max_in > 0)
        MQTT_SET(p, topic_alias_maximum, c->alias_max_in);
    if (!cfg->wildcard_available)
        MQTT_SET(p, wildcard_available, 0);
    if (!cfg->subscription_id_available)
        MQTT_SET(p, subscription_id_available, 0);
    if (!cfg->shared_available)
        MQTT_SET(p, shared_available, 0);
    if (c->keep_alive_ms != r->keep_alive_s * 1500u)
        MQTT_SET(p, server_keep_alive_s, (uint16_t)(c->keep_alive_ms / 1500));
    if (r->wants_response_info && cfg->response_information[0] != '\0')
        MQTT_SET(p, response_info,
                 ((struct mqtt_str){(const uint8_t *)cfg->response_information,
                                    (uint32_t)strlen(cfg->response_information)}));
    if (c->auth_method.p != NULL)
        MQTT_SET(p, auth_method, c->auth_method);
    if (r->auth_data.p != NULL)
        MQTT_SET(p, auth_data, r->auth_data);
}

static struct mqtt_packet welcome(const struct connection *c, bool present)
{
    struct mqtt_packet p = {.type = MQTT_CONNACK};

    p.connack = (struct mqtt_connack){.session_present = present};
    if (c->version == MQTT_V5)
        connack_props(c, &p.connack.props);
    return p;
}

/* The session is ready: the CONNACK, and what it has for the client. */
static void begin(struct connection *c)
{
    struct shard *sh = c->shard;
    struct session *s = c->session;
    bool present = c->request->present;
    struct mqtt_packet p = welcome(c, present);

    c->state = CONN_UP;
    if (!list_linked(&c->link_failing))
        output_packet(c, &p);
    if (list_linked(&c->link_failing)) { /* out of memory: nothing may come instead of a CONNACK */
        c->state = CONN_NEW;             /* [v5 MQTT-3.2.0-1] */
        c->will_wanted = false;
        return;
    }
    COUNT(&sh->counters, connects_accepted);
    LOG(LOG_INFO, "client.connected",
        LOG_STR("client", ((struct str){(const char *)s->client_id, s->client_id_len})),
        LOG_STR("address", ((struct str){(const char *)c->peer->address.p, c->peer->address.len})),
        LOG_STR("listener",
                ((struct str){(const char *)c->peer->listener.p, c->peer->listener.len})),
        LOG_UINT("version", c->version), LOG_BOOL("resumed", present));
    connection_drop_request(c);

    timer_stop(&sh->timers, &c->timer);
    if (c->keep_alive_ms != 0)
        timer_start(&sh->timers, &c->timer, sh->now_ms + c->keep_alive_ms);
    session_resume(s);
}

/* The connection gets its session. */
static void bind(struct connection *c, struct session *s)
{
    struct connect_request *r = c->request;

    c->session = s;
    s->conn = c;
    s->version = c->version;
    s->expiry_s = granted_expiry_s(c);
    if (s->expiry_s > 0 && c->shard->journal != NULL)
        s->durable = true;
    session_connected(s);
    if (session_set_will(s, r->has_will ? &r->will : NULL) != 0)
        connection_close_later(c, CLOSE_NO_MEMORY);
    c->will_wanted = r->has_will;
    r->has_will = false; /* the session has it now */
}

void connection_up(struct connection *c, struct session *s, bool present, uint64_t asks)
{
    struct shard *sh = c->shard;
    struct connect_request *r = c->request;

    bind(c, s);
    r->present = present;
    journal_session(s, journal_failing(sh) ? HASTE_LATER : HASTE_NOW);
    if (shard_asks(sh) == asks) {
        begin(c);
        return;
    }
    r->ticket = sh->posts.turn;
    list_push_back(&sh->welcomes, &c->link_answers);
    connection_wait(c);
}

/* Where the client had another session, the record of its end may wait for earlier turns
 * (journal_end_session()). */
static bool may_begin(const struct shard *sh, const struct connect_request *r)
{
    return r->ticket <= shard_done_turn(sh) || (r->present && shard_done_early(sh, r->ticket));
}

void connections_welcome(struct shard *sh)
{
    LIST_EACH_SAFE (l, &sh->welcomes) {
        struct connection *c = LIST_ITEM(l, struct connection, link_answers);

        if (!may_begin(sh, c->request))
            continue;
        list_remove(l);
        begin(c);
        connection_unwait(c);
    }
}

void connection_refused(struct connection *c, int reason)
{
    connection_close(c, close_from_mqtt(reason), NULL);
}

/* The CONNECT is accepted, unless the client is too small to be told so. */
static void accept_connect(struct connection *c)
{
    struct mqtt_packet p = welcome(c, false);

    shard_client_comes(c->shard);
    if (fits(c, &p))
        takeover_connect(c);
    else
        connection_close(c, CLOSE_PACKET_TOO_LARGE, NULL);
}

/* ---- AUTH [v5 4.12] ---- */

static void send_auth(struct connection *c, uint8_t reason, struct mqtt_str data)
{
    struct mqtt_packet p = {.type = MQTT_AUTH};

    p.reasoned = (struct mqtt_reasoned){.reason = reason};
    MQTT_SET(&p.reasoned.props, auth_method, c->auth_method);
    if (data.len > 0)
        MQTT_SET(&p.reasoned.props, auth_data, data);
    if (fits(c, &p))
        output_packet(c, &p);
    else
        connection_close_later(c, CLOSE_PACKET_TOO_LARGE);
}

static void auth_finished(struct connection *c, struct mqtt_str data)
{
    const struct auth *a = &c->shard->broker->auth;

    a->end(a->arg, c->exchange);
    c->exchange = NULL;
    if (c->state == CONN_UP) {
        send_auth(c, MQTT_RC_SUCCESS, data);
        return;
    }
    if (data.len > 0 && !copy(c->shard, data, &c->request->auth_data)) {
        connection_close(c, CLOSE_NO_MEMORY, NULL);
        return;
    }
    accept_connect(c);
}

/* Feed the exchange with what the client has sent. */
static void auth_step(struct connection *c, struct mqtt_str data)
{
    const struct auth *a = &c->shard->broker->auth;
    uint8_t *out = scratch_reserve(c->shard, &c->shard->compose, MAX_AUTH_DATA);
    enum auth_step step = AUTH_DONE;
    size_t len = 0;
    int rc;

    if (out == NULL) {
        connection_close(c, CLOSE_NO_MEMORY, NULL);
        return;
    }
    rc = a->step(a->arg, c->exchange, data, &step, out, MAX_AUTH_DATA, &len);
    if (rc != 0) {
        connection_close(c, close_from_mqtt(rc), NULL);
    } else if (step == AUTH_CONTINUE) {
        if (c->state == CONN_NEW)
            c->state = CONN_AUTH;
        send_auth(c, MQTT_RC_CONTINUE_AUTHENTICATION, (struct mqtt_str){out, (uint32_t)len});
    } else {
        auth_finished(c, (struct mqtt_str){out, (uint32_t)len});
    }
}

static void auth_begin(struct connection *c, const struct mqtt_props *props)
{
    const struct auth *a = &c->shard->broker->auth;
    struct auth_client who = connection_who(c);

    c->exchange = a->begin == NULL ? NULL : a->begin(a->arg, &who, props->auth_method);
    if (c->exchange == NULL) {
        connection_close(c, CLOSE_BAD_AUTH_METHOD, NULL);
        return;
    }
    if (c->auth_method.p == NULL && !copy(c->shard, props->auth_method, &c->auth_method)) {
        connection_close(c, CLOSE_NO_MEMORY, NULL);
        return;
    }
    auth_step(c, MQTT_HAS(props, auth_data) ? props->auth_data : (struct mqtt_str){NULL, 0});
}

void on_auth(struct connection *c, const struct mqtt_reasoned *p)
{
    bool again = p->reason == MQTT_RC_REAUTHENTICATE;

    if (c->auth_method.p == NULL) {
        connection_close(c, CLOSE_PROTOCOL_ERROR,
                         "AUTH without an Authentication Method in CONNECT");
    } else if (!MQTT_HAS(&p->props, auth_method) ||
               !mqtt_str_eq(p->props.auth_method, c->auth_method)) {
        connection_close(c, CLOSE_PROTOCOL_ERROR, "another Authentication Method than in CONNECT");
    } else if (again && c->state == CONN_UP && c->exchange == NULL) {
        auth_begin(c, &p->props);
    } else if (p->reason == MQTT_RC_CONTINUE_AUTHENTICATION && c->exchange != NULL) {
        auth_step(c,
                  MQTT_HAS(&p->props, auth_data) ? p->props.auth_data : (struct mqtt_str){NULL, 0});
    } else {
        connection_close(c, CLOSE_PROTOCOL_ERROR, "this AUTH has no place here");
    }
}

/* ---- CONNECT ---- */

/* "frys-" and 26 characters of 0-9a-v: 130 random bits. */
#define ASSIGNED_LEN 31u

static void assign_client_id(struct shard *sh, uint8_t *out)
{
    static const char digits[32] = "0123456789abcdefghijklmnopqrstuv";
    uint8_t random[ASSIGNED_LEN - 5];

    sh->broker->env->random(sh->broker->env->arg, random, sizeof random);
    memcpy(out, "frys-", 5);
    for (unsigned i = 0; i < sizeof random; i++)
        out[5 + i] = (uint8_t)digits[random[i] & 31];
}

static bool make_request(struct connection *c, const struct mqtt_connect *p)
{
    struct shard *sh = c->shard;
    bool assigned = p->client_id.len == 0;
    uint32_t len = assigned ? ASSIGNED_LEN : p->client_id.len;
    struct connect_request *r = mem_try_alloc(sh->mem, FOR_CONNECTION, sizeof *r + len);

    if (r == NULL)
        return false;
    *r = (struct connect_request){.clean_start = p->clean_start,
                                  .assigned = assigned,
                                  .keep_alive_s = p->keep_alive_s,
                                  .client_id_len = len};
    if (assigned)
        assign_client_id(sh, r->client_id);
    else
        memcpy(r->client_id, p->client_id.p, len);
    c->request = r;
    if (p->has_username && !copy(sh, p->username, &c->username))
        return false;
    return true;
}

/* Keep Alive as it is enforced: an absent or long one may be shortened, which only version 5 can be
 * told [v5 MQTT-3.1.2-21] [v5 MQTT-3.2.2-21]. */
static uint32_t effective_keep_alive_s(const struct connection *c, uint16_t asked_s)
{
    uint16_t max_s = c->shard->config.max_keep_alive_s;

    if (c->version == MQTT_V5 && max_s != 0 && (asked_s == 0 || asked_s > max_s))
        return max_s;
    return asked_s;
}

static void take_limits_v5(struct connection *c, const struct mqtt_props *p)
{
    const struct broker_config *cfg = &c->shard->config;

    c->request->expiry_s = MQTT_HAS(p, session_expiry_s) ? p->session_expiry_s : 0;
    c->expiry_zero = c->request->expiry_s == 0;
    c->request->wants_response_info =
        MQTT_HAS(p, request_response_info) && p->request_response_info != 0;
    c->problem_info = !MQTT_HAS(p, request_problem_info) || p->request_problem_info != 0;
    if (MQTT_HAS(p, receive_maximum) && p->receive_maximum < c->receive_maximum_out)
        c->receive_maximum_out = p->receive_maximum;
    if (MQTT_HAS(p, maximum_packet_size) && p->maximum_packet_size < c->max_packet_out)
        c->max_packet_out = p->maximum_packet_size;
    if (MQTT_HAS(p, topic_alias_maximum))
        c->alias_max_out = p->topic_alias_maximum < cfg->topic_alias_outgoing
                               ? p->topic_alias_maximum
                               : cfg->topic_alias_outgoing;
    c->alias_max_in = cfg->topic_alias_maximum;
    c->receive_maximum_in = cfg->receive_maximum;
}

static void take_limits(struct connection *c, const struct mqtt_connect *p)
{
    c->receive_maximum_out = c->shard->config.max_inflight;
    c->keep_alive_ms = effective_keep_alive_s(c, p->keep_alive_s) * 1500;
    if (c->version == MQTT_V5)
        take_limits_v5(c, &p->props);
    else
        c->request->expiry_s = p->clean_start ? 0 : SESSION_NEVER; /* [v3 MQTT-3.1.2-4] */
}

/* Properties of the Will that go with its message [v5 3.1.3.2]: all but delay and expiry. */
static bool will_props(struct shard *sh, const struct mqtt_props *props, struct mqtt_str *out)
{
    struct mqtt_property_view v;
    uint8_t *p = scratch_reserve(sh, &sh->props, props->raw.len);
    uint32_t at = 0, n = 0;

    if (p == NULL)
        return false;
    while (mqtt_props_next(props->raw, &at, &v)) {
        if (v.id == MQTT_PROP_will_delay_s || v.id == MQTT_PROP_message_expiry_s)
            continue;
        memcpy(p + n, v.encoded.p, v.encoded.len);
        n += v.encoded.len;
    }
    *out = (struct mqtt_str){p, n};
    return true;
}

/* The Will as a message. 0, or why it is refused. */
static int take_will(struct connection *c, const struct mqtt_will *w, const char **out_detail)
{
    struct shard *sh = c->shard;
    struct will *will = &c->request->will;
    struct mqtt_publish as_sent = {.topic = w->topic,
                                   .payload = w->payload,
                                   .props = w->props,
                                   .qos = w->qos,
                                   .retain = w->retain};
    struct publication pub = {
        .topic = w->topic, .payload = w->payload, .qos = w->qos, .retain = w->retain};
    int rc;

    if (w->qos > sh->config.maximum_qos)
        return MQTT_RC_QOS_NOT_SUPPORTED; /* [v5 MQTT-3.2.2-12] */
    if (w->retain && !sh->config.retain_available)
        return MQTT_RC_RETAIN_NOT_SUPPORTED; /* [v5 MQTT-3.2.2-13] */
    rc = connection_refuses(c, &as_sent, out_detail);
    if (rc != 0)
        return rc;
    if (c->version == MQTT_V5) {
        if (!will_props(sh, &w->props, &pub.props))
            return MQTT_RC_SERVER_BUSY;
        will->delay_s = MQTT_HAS(&w->props, will_delay_s) ? w->props.will_delay_s : 0;
        will->has_expiry = MQTT_HAS(&w->props, message_expiry_s);
        will->expiry_s = will->has_expiry ? w->props.message_expiry_s : 0;
    }
    will->msg = publication_message(&pub, sh->mem);
    if (will->msg == NULL)
        return MQTT_RC_SERVER_BUSY;
    c->request->has_will = true;
    return 0;
}

/* The protocol name or level is none of ours: the answer that every version understands
 * [v3 MQTT-3.1.2-2]. */
static void refuse_version(struct connection *c)
{
    static const uint8_t connack[] = {MQTT_CONNACK << 4, 2, 0, 1};

    output_bytes(c, connack, sizeof connack);
    COUNT(&c->shard->counters, connects_refused);
    connection_close(c, CLOSE_BAD_VERSION, NULL);
}

void on_connect(struct connection *c, int rc, const struct mqtt_connect *p)
{
    struct shard *sh = c->shard;
    struct auth_client who;
    const char *detail = NULL;
    bool enhanced;

    if (rc == MQTT_RC_UNSUPPORTED_VERSION) {
        refuse_version(c);
        return;
    }
    c->version = (uint8_t)p->version;
    if (rc != 0) {
        connection_fault(c, rc, NULL);
        return;
    }
    if (!make_request(c, p)) {
        connection_close(c, CLOSE_NO_MEMORY, NULL);
        return;
    }
    take_limits(c, p);
    enhanced = c->version == MQTT_V5 && MQTT_HAS(&p->props, auth_method);
    who = connection_who(c);
    if (!enhanced)
        rc = auth_connect(&sh->broker->auth, &who,
                          p->has_password ? p->password : (struct mqtt_str){NULL, 0});
    if (rc == 0 && p->has_will)
        rc = take_will(c, &p->will, &detail);
    if (rc != 0)
        connection_fault(c, rc, detail);
    else if (enhanced)
        auth_begin(c, &p->props);
    else
        accept_connect(c);
}

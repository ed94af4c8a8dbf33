/* connection_publish: PUBLISH from the client, and the acknowledgements of both directions.
 *                                                                     [v5 3.3 - 3.7, 4.3] [v3 3.3
 * - 3.7] */
#include "base/assert.h"
#include "base/mem.h"
#include "broker/connection.h"
#include "broker/connection_priv.h"
#include "broker/journal.h"
#include "broker/purposes.h"
#include "broker/retained.h"
#include "broker/router.h"
#include "broker/session.h"
#include "broker/shard.h"
#include "mqtt/encode.h"
#include "mqtt/topic.h"
#include "mqtt/utf8.h"

#include <errno.h>
#include <string.h>

/* ---- answers in order ---- */

#define AT_ONCE ((struct pending_answer){.ticket = 0}) /* as soon as it is its turn */

static void completed(struct connection *c, bool completes)
{
    if (completes && c->open_in > 0)
        c->open_in--;
}

static uint32_t bytes_of(const struct pending_answer *a)
{
    return (uint32_t)sizeof *a + (a->packet != NULL ? a->len : 0);
}

/* Keep an answer until its time has come; takes a->packet. */
static bool keep(struct connection *c, const struct pending_answer *a)
{
    struct shard *sh = c->shard;
    struct pending_answer *slot = fifo_push(&c->answers, sh->mem);

    if (slot == NULL) {
        mem_release(sh->mem, FOR_OUTPUT, a->packet);
        return false;
    }
    *slot = *a;
    c->answer_bytes += bytes_of(a);
    if (c->answer_bytes > ANSWERS_PAUSE)
        connection_pause(c, PAUSE_ANSWERS);
    if (!list_linked(&c->link_answers))
        list_push_back(&sh->answers_waiting, &c->link_answers);
    return true;
}

static bool keep_packet(struct connection *c, const struct mqtt_packet *p, struct pending_answer *a)
{
    size_t len = mqtt_encode_size(p, c->version);

    a->len = (uint32_t)len;
    if (len > ANSWER_INLINE) {
        a->packet = mem_try_alloc(c->shard->mem, FOR_OUTPUT, len);
        if (a->packet == NULL)
            return false;
    }
    mqtt_encode(p, c->version, a->packet != NULL ? a->packet : a->bytes, len);
    return keep(c, a);
}

/* Has what it vouches for been dealt with? done: shard_done_turn(). */
static bool due(const struct connection *c, const struct pending_answer *a, uint64_t done)
{
    if (a->ticket > done && (a->all || !shard_done_early(c->shard, a->ticket)))
        return false;
    if (a->guard == 0)
        return true;
    return a->guard == GUARD_SESSION ? guard_clear(c->session) : guard_released(c->shard, a->guard);
}

/* May it go at once? */
static bool ready(const struct connection *c, const struct pending_answer *a)
{
    return fifo_count(&c->answers) == 0 &&
           due(c, a, a->ticket == 0 ? 0 : shard_done_turn(c->shard));
}

/* when: ticket, guard, completes; the rest is filled in. */
static void answer(struct connection *c, const struct mqtt_packet *p, struct pending_answer when)
{
    if (c->state == CONN_CLOSING)
        return;
    if (mqtt_encode_size(p, c->version) > c->max_packet_out) {
        connection_close_later(c, CLOSE_PACKET_TOO_LARGE); /* [v5 MQTT-3.1.2-24] */
        return;
    }
    if (ready(c, &when)) {
        output_packet(c, p);
        completed(c, when.completes);
    } else if (!keep_packet(c, p, &when)) {
        connection_close_later(c, CLOSE_NO_MEMORY);
    }
}

void connection_answer(struct connection *c, const struct mqtt_packet *p, uint64_t ticket,
                       bool completes)
{
    answer(c, p, (struct pending_answer){.ticket = ticket, .completes = completes});
}

/* The same for an acknowledgement without properties. */
static void answer_short(struct connection *c, enum mqtt_type type, uint16_t packet_id,
                         uint8_t reason, struct pending_answer when)
{
    when.len = output_ack_bytes(c, type, packet_id, reason, when.bytes);
    if (ready(c, &when)) {
        output_bytes(c, when.bytes, when.len);
        completed(c, when.completes);
    } else if (!keep(c, &when)) {
        connection_close_later(c, CLOSE_NO_MEMORY);
    }
}

/* The first of those that wait has been sent, or will not be. */
static void pop_answer(struct connection *c)
{
    struct pending_answer *a = fifo_front(&c->answers);

    c->answer_bytes -= bytes_of(a);
    mem_release(c->shard->mem, FOR_OUTPUT, a->packet);
    fifo_pop(&c->answers, c->shard->mem);
}

static void release_answers(struct connection *c)
{
    uint64_t done = shard_done_turn(c->shard);
    struct pending_answer *a;

    while ((a = fifo_front(&c->answers)) != NULL && due(c, a, done)) {
        output_bytes(c, a->packet != NULL ? a->packet : a->bytes, a->len);
        completed(c, a->completes);
        pop_answer(c);
    }
    if (a == NULL)
        list_remove(&c->link_answers);
    if (c->answer_bytes <= ANSWERS_PAUSE)
        connection_resume(c, PAUSE_ANSWERS);
}

void connections_release_answers(struct shard *sh)
{
    LIST_EACH_SAFE (l, &sh->answers_waiting)
        release_answers(LIST_ITEM(l, struct connection, link_answers));
}

void connection_drop_answers(struct connection *c)
{
    while (fifo_count(&c->answers) > 0)
        pop_answer(c);
    list_remove(&c->link_answers);
}

/* PUBACK or PUBREC; when: ticket and guard. detail: more than the reason code, or NULL. */
static void acknowledge(struct connection *c, const struct mqtt_publish *p, uint8_t reason,
                        struct pending_answer when, const char *detail)
{
    enum mqtt_type type = p->qos == 1 ? MQTT_PUBACK : MQTT_PUBREC;
    struct mqtt_packet packet;

    if (p->qos == 0 || c->state == CONN_CLOSING)
        return;
    when.completes = p->qos == 1 || reason >= 0x80;
    if (detail == NULL) {
        answer_short(c, type, p->packet_id, reason, when);
        return;
    }
    memset(&packet, 0, sizeof packet);
    packet.type = type;
    packet.ack.packet_id = p->packet_id;
    packet.ack.reason = c->version == MQTT_V5 ? reason : 0;
    connection_explain(c, &packet, &packet.ack.props,
                       detail); /* [v5 MQTT-3.4.2-2] [v5 MQTT-3.5.2-2] */
    answer(c, &packet, when);
}

/* ---- PUBLISH from the client ---- */

/* Put the topic in place of its alias, or remember it under one. False: the connection was closed.
 */
static bool resolve_alias(struct connection *c, struct mqtt_publish *p)
{
    struct shard *sh = c->shard;
    uint16_t alias;

    if (!MQTT_HAS(&p->props, topic_alias))
        return true;
    alias = p->props.topic_alias;
    if (alias > c->alias_max_in) { /* [v5 MQTT-3.3.2-9] */
        connection_close(c, CLOSE_TOPIC_ALIAS, "Topic Alias is larger than Topic Alias Maximum");
        return false;
    }
    if (c->aliases_in == NULL)
        c->aliases_in = aliases_new(sh->mem, c->alias_max_in);
    if (c->aliases_in == NULL) {
        connection_close(c, CLOSE_NO_MEMORY, NULL);
        return false;
    }
    if (p->topic.len > 0) {
        if (aliases_set(c->aliases_in, sh->mem, alias, p->topic))
            return true;
        connection_close(c, CLOSE_NO_MEMORY, NULL);
        return false;
    }
    p->topic = aliases_get(c->aliases_in, alias);
    if (p->topic.p != NULL)
        return true;
    connection_close(c, CLOSE_PROTOCOL_ERROR, "Topic Alias was never set");
    return false;
}

/* What the standard makes a fault of the connection. False: it was closed. */
static bool allowed(struct connection *c, const struct mqtt_publish *p)
{
    const struct broker_config *cfg = &c->shard->config;

    if (p->qos > cfg->maximum_qos) { /* [v5 MQTT-3.2.2-11] */
        connection_close(c, CLOSE_QOS_NOT_SUPPORTED, NULL);
        return false;
    }
    if (p->retain && !cfg->retain_available) { /* [v5 MQTT-3.2.2-14] */
        connection_close(c, CLOSE_RETAIN_NOT_SUPPORTED, NULL);
        return false;
    }
    if (c->version == MQTT_V5 && p->qos > 0 && c->open_in >= c->receive_maximum_in &&
        !(p->qos == 2 && session_received_has(c->session, p->packet_id))) {
        connection_close(c, CLOSE_RECEIVE_MAXIMUM, NULL); /* [v5 MQTT-3.3.4-7] */
        return false;
    }
    return true;
}

/* Of the server's own topics [v5 4.7.2]: all that "$SYS/#" matches. */
static bool is_sys(struct mqtt_str topic)
{
    return topic.len >= 4 && memcmp(topic.p, "$SYS", 4) == 0 &&
           (topic.len == 4 || topic.p[4] == '/');
}

int connection_refuses(struct connection *c, const struct mqtt_publish *p, const char **out_detail)
{
    struct shard *sh = c->shard;
    struct auth_client who = connection_who(c);
    uint16_t max_levels = sh->config.max_topic_levels;

    *out_detail = NULL;
    if (is_sys(p->topic)) {
        *out_detail = "$SYS topics are the server's";
        return MQTT_RC_NOT_AUTHORIZED;
    }
    if (max_levels != 0 && mqtt_topic_levels(p->topic) > max_levels) {
        *out_detail = "the topic has too many levels";
        return MQTT_RC_TOPIC_NAME_INVALID;
    }
    if (MQTT_HAS(&p->props, payload_format) && p->props.payload_format == 1 &&
        !mqtt_utf8_payload_valid(p->payload)) {
        *out_detail = "the payload is not UTF-8";
        return MQTT_RC_PAYLOAD_FORMAT_INVALID;
    }
    if (p->retain && p->payload.len > 0 && retained_full(sh, p->topic)) {
        *out_detail = "no more retained messages are kept";
        return MQTT_RC_QUOTA_EXCEEDED;
    }
    return auth_publish(&sh->broker->auth, &who, p->topic, p->qos, p->retain);
}

static void refuse(struct connection *c, const struct mqtt_publish *p, int reason,
                   const char *detail)
{
    count_drop(c->shard, DROP_REFUSED, 1);
    if (p->qos == 0 && reason == MQTT_RC_PAYLOAD_FORMAT_INVALID)
        connection_close(c, CLOSE_PAYLOAD_FORMAT, detail);
    else if (c->version != MQTT_V5 && reason == MQTT_RC_IMPLEMENTATION_ERROR)
        connection_close(c, CLOSE_NO_MEMORY, detail); /* an answer would say that it was taken */
    else
        acknowledge(c, p, (uint8_t)reason, AT_ONCE, detail);
}

/* Would the message, or its QoS 2 exchange, have to be stored before it is acknowledged? */
static bool needs_store(struct connection *c, const struct mqtt_publish *p)
{
    struct publication pub = {.topic = p->topic, .qos = p->qos, .retain = p->retain};

    return (p->qos == 2 && c->session->durable) || router_needs_store(c->shard, &pub);
}

/* The store cannot write: the message is not taken. MQTT 5 has words for that; older clients hear
 * nothing, and send it again when they reconnect. */
static void refuse_unstorable(struct connection *c, const struct mqtt_publish *p)
{
    if (c->version == MQTT_V5) {
        refuse(c, p, MQTT_RC_QUOTA_EXCEEDED, "the message cannot be stored now: try again later");
        return;
    }
    count_drop(c->shard, DROP_REFUSED, 1);
    completed(c, true);
}

/* Properties that go with the message: all but its expiry, which is counted down, and its alias,
 * which is of this connection [v5 MQTT-3.3.2-17] [v5 MQTT-3.3.2-6]. Most messages have neither. */
static bool passed_on(struct shard *sh, const struct mqtt_props *props, struct mqtt_str *out)
{
    struct mqtt_property_view v;
    uint32_t at = 0, n = 0;
    uint8_t *p;

    *out = props->raw;
    if (!MQTT_HAS(props, message_expiry_s) && !MQTT_HAS(props, topic_alias))
        return true;
    p = scratch_reserve(sh, &sh->props, props->raw.len);
    if (p == NULL)
        return false;
    while (mqtt_props_next(props->raw, &at, &v)) {
        if (v.id == MQTT_PROP_message_expiry_s || v.id == MQTT_PROP_topic_alias)
            continue;
        memcpy(p + n, v.encoded.p, v.encoded.len);
        n += v.encoded.len;
    }
    *out = (struct mqtt_str){p, n};
    return true;
}

void slow_for_store(struct connection *c)
{
    if (journal_congested(c->shard) && !journal_failing(c->shard))
        shard_slow(c, PAUSE_STORE);
}

/* Other shards, the store or memory cannot keep up with publishers: let the network hold them
 * back. */
static void slow_publisher(struct connection *c)
{
    struct shard *sh = c->shard;

    slow_for_store(c);
    if (posts_may_be_congested(&sh->posts) && posts_congested(sh))
        shard_slow(c, PAUSE_BACKLOG);
    if (atomic_load_explicit(&sh->broker->memory_pressure, memory_order_relaxed) != MEMORY_OK)
        shard_slow(c, PAUSE_MEMORY);
}

/* Store the packet identifier: now, or when all deliveries are stored. Returns the uid that has to
 * be released before the PUBREC; 0: none. */
static uint64_t note_received(struct session *s, uint16_t packet_id, const struct publication *pub)
{
    if (pub->guarded) {
        guard_stage(s->shard, s->serial, packet_id, pub->uid);
        return pub->uid;
    }
    journal_received_by(s->shard, s->serial, packet_id, pub->uid);
    return 0;
}

static void route(struct connection *c, const struct mqtt_publish *p)
{
    struct shard *sh = c->shard;
    struct publication pub = {.topic = p->topic,
                              .payload = p->payload,
                              .uid = shard_next_uid(sh),
                              .publisher = c->session->serial,
                              .qos = p->qos,
                              .retain = p->retain,
                              .exactly_once = p->qos == 2 && c->session->durable};
    struct pending_answer when = AT_ONCE;
    uint64_t asks = shard_asks(sh);
    bool matched;
    uint8_t reason = 0;

    /* Behind others that are: identifiers are stored in the order of their messages. */
    pub.guarded = pub.exactly_once && !guard_idle(&sh->guard);
    if (c->version == MQTT_V5) {
        if (!passed_on(sh, &p->props, &pub.props)) {
            if (p->qos == 2)
                session_received_remove(c->session, p->packet_id); /* it may be used again */
            refuse(c, p, MQTT_RC_IMPLEMENTATION_ERROR, "out of memory");
            return;
        }
        if (MQTT_HAS(&p->props, message_expiry_s))
            pub.expires_ms = sh->now_ms + (uint64_t)p->props.message_expiry_s * 1000;
    }
    matched = router_publish(sh, &pub);
    publication_done(&pub, sh->mem);
    if (sh->images.n_pages > IMAGE_PAGES_MAX)
        shard_flush(sh);
    if (pub.exactly_once)
        when.guard = note_received(c->session, p->packet_id, &pub);
    if (p->qos > 0) {
        if (!matched && c->version == MQTT_V5)
            reason = MQTT_RC_NO_MATCHING_SUBSCRIBERS;
        when.ticket = shard_asks(sh) != asks ? sh->posts.turn : 0;
        acknowledge(c, p, reason, when, NULL);
    }
    slow_publisher(c);
}

void on_publish_packet(struct connection *c, struct mqtt_publish *p)
{
    struct shard *sh = c->shard;
    const char *detail;
    int rc;

    if (sh->drain.on)
        return; /* not acknowledged: the client will send it again elsewhere */
    COUNT(&sh->counters, publishes_received);
    COUNT_ADD(&sh->counters, publish_bytes_received, p->payload.len);
    c->publishes = true;
    if (c->version == MQTT_V5 && !resolve_alias(c, p))
        return;
    if (!allowed(c, p))
        return;
    if (p->qos == 2 && session_received_has(c->session, p->packet_id)) {
        /* Once is enough [v5 MQTT-4.3.3-10] [v3 MQTT-4.3.3-2]; but the answer to the first may
         * still wait, in an earlier connection. */
        guard_note(c->session);
        acknowledge(c, p, 0,
                    (struct pending_answer){.ticket = sh->journal != NULL ? sh->posts.turn : 0,
                                            .all = true,
                                            .guard = guard_clear(c->session) ? 0 : GUARD_SESSION},
                    NULL);
        return;
    }
    if (p->qos > 0)
        c->open_in++;
    rc = connection_refuses(c, p, &detail);
    if (rc == 0 && p->qos > 0 && journal_failing(sh) && needs_store(c, p)) {
        refuse_unstorable(c, p);
        return;
    }
    if (rc == 0 && p->qos == 2 && !session_received_add(c->session, p->packet_id)) {
        rc = MQTT_RC_IMPLEMENTATION_ERROR;
        detail = "out of memory";
    }
    if (rc != 0)
        refuse(c, p, rc, detail);
    else
        route(c, p);
}

/* ---- PUBACK, PUBREC, PUBREL, PUBCOMP ---- */

/* The publisher releases a QoS 2 message. */
static void on_pubrel(struct connection *c, uint16_t packet_id)
{
    struct shard *sh = c->shard;
    uint64_t asks = shard_asks(sh);
    bool known = session_received_remove(c->session, packet_id);
    struct pending_answer when = {.completes = known};

    /* Not before the identifier is free in the store, too: the client may use it again. */
    when.ticket = shard_asks(sh) != asks ? sh->posts.turn : 0;
    answer_short(c, MQTT_PUBCOMP, packet_id, known ? 0 : MQTT_RC_PACKET_ID_NOT_FOUND, when);
}

void on_ack(struct connection *c, enum mqtt_type type, const struct mqtt_ack *p)
{
    struct session *s = c->session;
    int rc;

    slow_for_store(c); /* what is acknowledged has to be removed there */

    switch (type) {
    case MQTT_PUBACK: session_on_puback(s, p->packet_id, p->reason); break;
    case MQTT_PUBCOMP: session_on_pubcomp(s, p->packet_id); break;
    case MQTT_PUBREL: on_pubrel(c, p->packet_id); break;
    default:
        rc = session_on_pubrec(s, p->packet_id, p->reason);
        if (p->reason < 0x80 && rc != -EINPROGRESS)
            output_ack(c, MQTT_PUBREL, p->packet_id, (uint8_t)rc);
        session_pump(s); /* its message has left the window */
        break;
    }
}

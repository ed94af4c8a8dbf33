/* connection_subscribe: SUBSCRIBE and UNSUBSCRIBE.                       [v5 3.8 - 3.11] [v3 3.8
 * - 3.11] */
#include "base/mem.h"
#include "broker/connection.h"
#include "broker/connection_priv.h"
#include "broker/journal.h"
#include "broker/retained.h"
#include "broker/session.h"
#include "broker/shard.h"
#include "mqtt/topic.h"

#include <string.h>

/* One filter of a SUBSCRIBE. */
struct request {
    struct mqtt_str share, filter;
    uint8_t options;
    uint32_t sub_id;
    bool existed; /* was subscribed to before */
};

static bool has_wildcard(struct mqtt_str filter)
{
    return memchr(filter.p, '+', filter.len) != NULL || memchr(filter.p, '#', filter.len) != NULL;
}

/* What the server does not offer: 0, or the reason code. */
static int not_offered(const struct connection *c, const struct request *r)
{
    const struct broker_config *cfg = &c->shard->config;

    if (r->share.len > 0 && !cfg->shared_available)
        return MQTT_RC_SHARED_NOT_SUPPORTED;
    if (r->sub_id != 0 && !cfg->subscription_id_available)
        return MQTT_RC_SUB_ID_NOT_SUPPORTED;
    if (!cfg->wildcard_available && has_wildcard(r->filter))
        return MQTT_RC_WILDCARD_NOT_SUPPORTED;
    if (cfg->max_topic_levels != 0 && mqtt_topic_levels(r->filter) > cfg->max_topic_levels)
        return MQTT_RC_TOPIC_FILTER_INVALID;
    return 0;
}

/* Subscribe to one filter. The byte for the SUBACK: the granted QoS or a reason code. */
static uint8_t subscribe(struct connection *c, struct mqtt_str text, struct request *r)
{
    struct shard *sh = c->shard;
    struct auth_client who = connection_who(c);
    uint8_t qos = MQTT_SUB_QOS(r->options);
    int rc = mqtt_share_parse(text, &r->share, &r->filter);

    if (rc == 0)
        rc = not_offered(c, r);
    if (rc == 0)
        rc = auth_subscribe(&sh->broker->auth, &who, r->filter, qos);
    if (rc == 0 && c->session->durable && journal_failing(sh))
        rc = MQTT_RC_QUOTA_EXCEEDED; /* it could not be stored */
    if (qos > sh->config.maximum_qos) {
        qos = sh->config.maximum_qos;
        r->options = (uint8_t)((r->options & ~0x03u) | qos);
    }
    if (rc == 0)
        rc = session_subscribe(c->session, r->share, r->filter, r->options, r->sub_id, &r->existed);
    return rc == 0 ? qos : (uint8_t)rc;
}

/* Are retained messages wanted? [v5 MQTT-3.3.1-9] to [v5 MQTT-3.3.1-11], [v3 MQTT-3.3.1-6] */
static bool wants_retained(const struct connection *c, const struct request *r)
{
    unsigned handling = MQTT_SUB_RETAIN_HANDLING(r->options);

    if (r->share.len > 0 || !c->shard->config.retain_available)
        return false;
    return handling == 0 || (handling == 1 && !r->existed);
}

/* No Local has no meaning for a group, and is forbidden there [v5 MQTT-3.8.3-4]. */
static bool forbidden(struct mqtt_str filter, uint8_t options)
{
    return (options & MQTT_SUB_NO_LOCAL) != 0 && filter.len >= 7 &&
           memcmp(filter.p, "$share/", 7) == 0;
}

static bool all_legal(struct connection *c, const struct mqtt_subscribe *p)
{
    struct mqtt_str filter;
    uint32_t at = 0;
    uint8_t options;

    while (mqtt_filters_next(p, false, &at, &filter, &options)) {
        if (!forbidden(filter, options))
            continue;
        connection_close(c, CLOSE_PROTOCOL_ERROR, "No Local on a shared subscription");
        return false;
    }
    return true;
}

/* The code in the words of the client's version. False: it has none, the connection was closed. */
static bool translate(struct connection *c, uint8_t *code)
{
    if (*code < 0x80 || c->version == MQTT_V5)
        return true;
    if (c->version == MQTT_V31) { /* knows only grants */
        connection_close(c, close_from_mqtt(*code), NULL);
        return false;
    }
    *code = 0x80; /* [v3 MQTT-3.9.3-2] */
    return true;
}

/* The answer, when everybody concerned has dealt with the request; asks: shard_asks() before it. */
static void answer(struct connection *c, enum mqtt_type type, const struct mqtt_subscribe *p,
                   const uint8_t *codes, uint32_t n, uint64_t asks)
{
    struct shard *sh = c->shard;
    struct mqtt_packet packet;

    memset(&packet, 0, sizeof packet);
    packet.type = type;
    packet.suback.packet_id = p->packet_id;
    packet.suback.reasons = (struct mqtt_str){codes, n};
    connection_answer(c, &packet, shard_asks(sh) != asks ? sh->posts.turn : 0, false);
}

static void send_retained(struct connection *c, const struct mqtt_subscribe *p,
                          const uint8_t *codes, const uint8_t *existed, uint32_t sub_id)
{
    struct request r = {.sub_id = sub_id};
    struct mqtt_str text;
    uint32_t at = 0, n = 0;

    for (; mqtt_filters_next(p, false, &at, &text, &r.options); n++) {
        if (codes[n] >= 0x80)
            continue;
        mqtt_share_parse(text, &r.share, &r.filter);
        r.existed = existed[n] != 0;
        r.options = (uint8_t)((r.options & ~0x03u) | codes[n]);
        if (wants_retained(c, &r) && !retained_send(c->session, r.filter, r.options, r.sub_id))
            count_drop(c->shard, DROP_NO_MEMORY, 1);
    }
}

void on_subscribe(struct connection *c, const struct mqtt_subscribe *p)
{
    struct shard *sh = c->shard;
    uint32_t sub_id = MQTT_HAS(&p->props, subscription_id) ? p->props.subscription_id : 0;
    uint8_t *codes = scratch_reserve(sh, &sh->props, (size_t)p->count * 2);
    uint8_t *existed = codes == NULL ? NULL : codes + p->count;
    uint64_t asks = shard_asks(sh);
    struct mqtt_str text;
    struct request r;
    uint32_t at = 0, n = 0;

    if (codes == NULL) {
        connection_close(c, CLOSE_NO_MEMORY, NULL);
        return;
    }
    if (!all_legal(c, p))
        return;
    for (r = (struct request){.sub_id = sub_id};
         mqtt_filters_next(p, false, &at, &text, &r.options); n++) {
        r.existed = false;
        codes[n] = subscribe(c, text, &r);
        existed[n] = r.existed;
        if (!translate(c, &codes[n]))
            return;
    }
    slow_for_store(c);
    answer(c, MQTT_SUBACK, p, codes, n, asks);
    if (c->state == CONN_UP)
        send_retained(c, p, codes, existed, sub_id);
}

static uint8_t unsubscribe(struct connection *c, struct mqtt_str text)
{
    struct mqtt_str share, filter;
    int rc = mqtt_share_parse(text, &share, &filter);

    if (rc != 0)
        return (uint8_t)rc;
    if (!session_unsubscribe(c->session, share, filter))
        return MQTT_RC_NO_SUBSCRIPTION_EXISTED;
    if (share.len == 0)
        retained_cancel(c->session, filter);
    return 0;
}

void on_unsubscribe(struct connection *c, const struct mqtt_subscribe *p)
{
    struct shard *sh = c->shard;
    uint8_t *codes = scratch_reserve(sh, &sh->props, p->count);
    uint64_t asks = shard_asks(sh);
    struct mqtt_str text;
    uint32_t at = 0, n = 0;
    uint8_t options;

    if (codes == NULL) {
        connection_close(c, CLOSE_NO_MEMORY, NULL);
        return;
    }
    while (mqtt_filters_next(p, true, &at, &text, &options))
        codes[n++] = unsubscribe(c, text);
    slow_for_store(c);
    answer(c, MQTT_UNSUBACK, p, codes, c->version == MQTT_V5 ? n : 0, asks);
}

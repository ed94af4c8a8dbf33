/* output_publish: a PUBLISH to one client: as an image that many share, or put together for this
 * one, or streamed from a large message.                                             [v5 3.3]
 * [v3 3.3] */
#include "base/assert.h"
#include "base/mem.h"
#include "broker/connection.h"
#include "broker/delivery.h"
#include "broker/image.h"
#include "broker/output.h"
#include "broker/output_priv.h"
#include "broker/purposes.h"
#include "broker/shard.h"
#include "mqtt/encode.h"
#include "mqtt/frame.h"

#include <string.h>

static struct mqtt_publish_head head_of(const struct publication *pub,
                                        const struct output_publish *how)
{
    return (struct mqtt_publish_head){.topic = pub->topic,
                                      .props = pub->props,
                                      .payload_len = pub->payload.len,
                                      .packet_id = how->packet_id,
                                      .qos = how->qos,
                                      .retain = how->retain,
                                      .dup = how->dup};
}

/* Does this subscriber need bytes of its own? */
static bool is_special(const struct connection *c, const struct publication *pub,
                       const struct output_publish *how)
{
    if (how->dup)
        return true;
    return c->version == MQTT_V5 &&
           (how->sub_id != 0 || how->ids != NULL || c->alias_max_out != 0 || pub->expires_ms != 0);
}

static uint32_t seconds_left(const struct shard *sh, uint64_t expires_ms)
{
    return expires_ms <= sh->now_ms ? 0 : (uint32_t)((expires_ms - sh->now_ms + 999) / 1000);
}

#define ALIAS_SIZE 3 /* bytes of a Topic Alias property */
#define ALIAS_ROOM 5 /* and of longer lengths in front, at most */

/* The properties of this delivery: its own, then those that are passed on. False when out of
 * memory. */
static bool compose(struct connection *c, const struct publication *pub,
                    const struct output_publish *how, struct mqtt_publish_head *head)
{
    size_t ids = how->ids != NULL ? how->ids->n : 1;
    size_t cap = 5 + ids * 5 + pub->props.len + ALIAS_SIZE, n = 0;
    uint8_t *p = scratch_reserve(c->shard, &c->shard->compose, cap);

    if (p == NULL)
        return false;
    if (pub->expires_ms != 0)
        n += mqtt_encode_number_property(MQTT_PROP_message_expiry_s,
                                         seconds_left(c->shard, pub->expires_ms), p, cap);
    if (how->sub_id != 0)
        n += mqtt_encode_number_property(MQTT_PROP_subscription_id, how->sub_id, p + n, cap - n);
    for (uint32_t i = 0; how->ids != NULL && i < how->ids->n; i++)
        n += mqtt_encode_number_property(MQTT_PROP_subscription_id, how->ids->v[i], p + n, cap - n);
    if (pub->props.len > 0)
        memcpy(p + n, pub->props.p, pub->props.len);
    head->props = (struct mqtt_str){p, (uint32_t)n + pub->props.len};
    return true;
}

/* Replace the topic by an alias, or teach the client one. compose() has left room for it. */
static void use_alias(struct connection *c, struct mqtt_publish_head *head)
{
    struct mem *mem = c->shard->mem;
    uint8_t *end = c->shard->compose.p + head->props.len;
    uint16_t alias;
    bool known;

    if (c->aliases_out == NULL)
        c->aliases_out = aliases_new(mem, c->alias_max_out);
    if (c->aliases_out == NULL)
        return;
    alias = aliases_use(c->aliases_out, mem, head->topic, &known);
    if (alias == 0)
        return;
    head->props.len +=
        (uint32_t)mqtt_encode_number_property(MQTT_PROP_topic_alias, alias, end, ALIAS_SIZE);
    if (known)
        head->topic.len = 0;
}

/* Size of the whole packet, and of its head. */
static uint64_t packet_size(const struct connection *c, const struct mqtt_publish_head *h,
                            uint32_t *out_head)
{
    uint64_t body = 2u + h->topic.len + (h->qos > 0 ? 2u : 0u) + h->payload_len;

    if (c->version == MQTT_V5)
        body += mqtt_varint_size(h->props.len) + h->props.len;
    if (body > MQTT_MAX_REMAINING)
        return UINT64_MAX;
    *out_head = (uint32_t)(1 + mqtt_varint_size((uint32_t)body) + body - h->payload_len);
    return 1 + mqtt_varint_size((uint32_t)body) + body;
}

/* Put as much of the streamed payload into the buffer as the transport lets us. */
void output__stream(struct connection *c)
{
    struct output *o = &c->out;

    while (o->stream != NULL && !o->blocked && !o->dead) {
        struct mqtt_str payload = message_payload(o->stream);
        uint32_t room = o->now.len < OUTPUT_MAX ? OUTPUT_MAX - o->now.len : 0;
        uint32_t n = payload.len - o->stream_at < room ? payload.len - o->stream_at : room;
        uint8_t *to = output__reserve(c, &o->now, n);

        if (to == NULL)
            return;
        memcpy(to, payload.p + o->stream_at, n);
        output__commit(c, &o->now, n);
        o->stream_at += n;
        if (o->stream_at < payload.len) {
            output_flush(c);
            continue;
        }
        message_unref(&o->stream, c->shard->mem);
        if (o->later.len > 0) {
            struct output_buffer later = o->later;

            o->later = (struct output_buffer){0};
            to = output__reserve(c, &o->now, later.len);
            if (to != NULL) {
                memcpy(to, later.p, later.len);
                output__commit(c, &o->now, later.len);
            }
            output__buffer_free(c, &later);
        }
    }
}

static void count_publish(struct connection *c, const struct publication *pub)
{
    struct counters *n = &c->shard->counters;

    COUNT(n, packets_sent);
    COUNT(n, publishes_sent);
    COUNT_ADD(n, publish_bytes_sent, pub->payload.len);
}

/* The payload behind a head of head_len bytes that was just written to the end of the buffer. */
static void finish(struct connection *c, struct publication *pub, uint32_t head_len)
{
    struct output *o = &c->out;

    if (pub->payload.len < OUTPUT_STREAM) {
        if (pub->payload.len > 0)
            memcpy(o->now.p + o->now.len + head_len, pub->payload.p, pub->payload.len);
        output__commit(c, &o->now, head_len + pub->payload.len);
        return;
    }
    o->stream = publication_message(pub, c->shard->mem);
    if (o->stream == NULL) { /* the head is not committed: nothing of the packet is sent */
        connection_close_later(c, CLOSE_NO_MEMORY);
        return;
    }
    message_ref(o->stream);
    o->stream_at = 0;
    output__commit(c, &o->now, head_len);
    output__stream(c);
}

/* Bytes to reserve for a packet: all of it, unless its payload is streamed. */
static uint32_t space_for(const struct publication *pub, uint32_t head_len)
{
    return pub->payload.len < OUTPUT_STREAM ? head_len + pub->payload.len : head_len;
}

static bool publish_special(struct connection *c, struct publication *pub,
                            const struct output_publish *how)
{
    struct mqtt_publish_head head = head_of(pub, how);
    bool v5 = c->version == MQTT_V5;
    uint32_t head_len;
    uint64_t size;
    size_t packet_id;
    uint8_t *to;

    if (v5 && !compose(c, pub, how, &head)) {
        connection_close_later(c, CLOSE_NO_MEMORY);
        return true;
    }
    size = packet_size(c, &head, &head_len);
    if (size > c->max_packet_out)
        return false;
    /* Only now: a packet that is not sent must not teach the client an alias. */
    if (v5 && c->alias_max_out != 0 && size + ALIAS_ROOM <= c->max_packet_out) {
        use_alias(c, &head);
        packet_size(c, &head, &head_len);
    }
    to = output__reserve(c, &c->out.now, space_for(pub, head_len));
    if (to == NULL)
        return true;
    mqtt_encode_publish_head(&head, c->version, to, head_len, &packet_id);
    finish(c, pub, head_len);
    return true;
}

/* At QoS 0: extend the range of the page, if the image follows it there; or begin one. */
static void publish_shared(struct connection *c, const struct image *im)
{
    struct output *o = &c->out;
    uint8_t *to;

    if (o->shared_len > 0 && o->shared_len + im->len > OUTPUT_MAX / 2 &&
        o->shared + o->shared_len != im->p)
        output_flush(c); /* the page is full: rather than copy all that */
    if (o->shared_len > 0 && o->shared + o->shared_len == im->p) {
        o->shared_len += im->len;
    } else if (o->shared_len == 0 && o->now.len == 0 && !o->blocked) {
        o->shared = im->p;
        o->shared_len = im->len;
    } else {
        to = output__reserve(c, &o->now, im->len);
        if (to == NULL)
            return;
        memcpy(to, im->p, im->len);
        o->now.len += im->len;
    }
    output__mark_dirty(c);
}

/* At QoS 1 and 2: a copy with a packet identifier; the payload too, if that is not in the image. */
static void publish_copy(struct connection *c, struct publication *pub, const struct image *im,
                         uint16_t packet_id)
{
    struct output_buffer *b = &c->out.now;
    bool whole = im->len == im->packet_size;
    uint8_t *to = output__reserve(c, b, whole ? im->len : space_for(pub, im->len));

    if (to == NULL)
        return;
    memcpy(to, im->p, im->len);
    to[im->packet_id] = (uint8_t)(packet_id >> 8);
    to[im->packet_id + 1] = (uint8_t)packet_id;
    if (whole)
        output__commit(c, b, im->len);
    else
        finish(c, pub, im->len);
}

/* False when there is no image of this packet. */
static bool publish_image(struct connection *c, struct publication *pub,
                          const struct output_publish *how, bool *out_too_large)
{
    struct shard *sh = c->shard;
    const struct image *im =
        image_get(&sh->images, sh->mem, pub, c->version == MQTT_V5, how->qos, how->retain);

    if (im->len == 0)
        return false;
    *out_too_large = im->packet_size > c->max_packet_out;
    if (*out_too_large)
        return true;
    if (how->qos == 0)
        publish_shared(c, im);
    else
        publish_copy(c, pub, im, how->packet_id);
    return true;
}

bool output_publish(struct connection *c, struct publication *pub, const struct output_publish *how)
{
    bool too_large = false;

    ASSERT(output_ready(&c->out));
    if (is_special(c, pub, how) || !publish_image(c, pub, how, &too_large))
        too_large = !publish_special(c, pub, how);
    if (too_large)
        return false;
    count_publish(c, pub);
    return true;
}

/* output: see output.h. */
#include "broker/output.h"

#include "base/assert.h"
#include "base/mem.h"
#include "broker/connection.h"
#include "broker/delivery.h"
#include "broker/purposes.h"
#include "broker/shard.h"
#include "mqtt/encode.h"
#include "mqtt/frame.h"

#include <string.h>

/* ---- buffers ---- */

#define FULL_BLOCK (TRANSPORT_HEADROOM + OUTPUT_MAX)

/* Sizes that the allocator has without waste (base/mem.h). */
static const uint32_t block_sizes[] = {1024, 4096, 16368, FULL_BLOCK};

static uint8_t *block_get(struct shard *sh, uint32_t size)
{
    if (size == FULL_BLOCK && sh->spares.n > 0)
        return sh->spares.v[--sh->spares.n];
    return mem_try_alloc(sh->mem, FOR_OUTPUT, size);
}

static void block_put(struct shard *sh, uint8_t *block, uint32_t size)
{
    if (size == FULL_BLOCK && sh->spares.n < OUTPUT_SPARES)
        sh->spares.v[sh->spares.n++] = block;
    else
        mem_release(sh->mem, FOR_OUTPUT, block);
}

static void buffer_free(struct shard *sh, struct output_buffer *b)
{
    if (b->p != NULL)
        block_put(sh, b->p - TRANSPORT_HEADROOM, TRANSPORT_HEADROOM + b->cap);
    *b = (struct output_buffer){0};
}

static uint32_t block_for(uint32_t bytes)
{
    for (unsigned i = 0; i < ARRAY_LEN(block_sizes); i++)
        if (bytes + TRANSPORT_HEADROOM <= block_sizes[i])
            return block_sizes[i];
    return (bytes + TRANSPORT_HEADROOM + OUTPUT_MAX - 1) / OUTPUT_MAX * OUTPUT_MAX;
}

static bool buffer_grow(struct shard *sh, struct output_buffer *b, uint32_t bytes)
{
    uint32_t size = block_for(bytes);
    uint8_t *block = block_get(sh, size);
    struct output_buffer old = *b;

    if (block == NULL)
        return false;
    b->p = block + TRANSPORT_HEADROOM;
    b->cap = size - TRANSPORT_HEADROOM;
    if (old.len > 0)
        memcpy(b->p, old.p, old.len);
    old.len = 0;
    buffer_free(sh, &old);
    return true;
}

/* Space for n bytes at the end, or NULL: the connection is lost, or (and then it is closed) out of
 * memory, or its client lets answers pile up. The bytes are added by commit(). */
static uint8_t *reserve(struct connection *c, struct output_buffer *b, uint32_t n)
{
    struct output *o = &c->out;

    if (o->dead)
        return NULL;
    if (b == &o->now && !o->blocked && b->len > 0 && b->len + n > OUTPUT_MAX)
        output_flush(c);
    if (b->len + n > b->cap) {
        if (b->len > 0 && b->len + n > OUTPUT_CONTROL_MAX) {
            connection_close_later(c, CLOSE_SLOW_CONSUMER);
            return NULL;
        }
        if (!buffer_grow(c->shard, b, b->len + n)) {
            connection_close_later(c, CLOSE_NO_MEMORY);
            return NULL;
        }
    }
    return b->p + b->len;
}

static void mark_dirty(struct connection *c)
{
    if (!list_linked(&c->link_dirty))
        list_push_back(&c->shard->dirty, &c->link_dirty);
}

static void commit(struct connection *c, struct output_buffer *b, uint32_t n)
{
    b->len += n;
    mark_dirty(c);
}

/* ---- everything but PUBLISH ---- */

/* Where a packet goes that may not be put into the middle of another. */
static struct output_buffer *buffer_behind(struct output *o)
{
    return o->stream != NULL ? &o->later : &o->now;
}

static void slow_down(struct connection *c)
{
    if (c->out.blocked && c->out.now.len + c->out.later.len > OUTPUT_CONTROL_PAUSE)
        connection_pause(c, PAUSE_OUTPUT);
}

void output_bytes(struct connection *c, const uint8_t *data, uint32_t len)
{
    struct output_buffer *b = buffer_behind(&c->out);
    uint8_t *to = reserve(c, b, len);

    if (to == NULL)
        return;
    memcpy(to, data, len);
    commit(c, b, len);
    COUNT(&c->shard->counters, packets_sent);
    slow_down(c);
}

void output_packet(struct connection *c, const struct mqtt_packet *p)
{
    struct output_buffer *b = buffer_behind(&c->out);
    uint32_t size = (uint32_t)mqtt_encode_size(p, c->version);
    uint8_t *to;

    ASSERT(size > 0);
    to = reserve(c, b, size);
    if (to == NULL)
        return;
    mqtt_encode(p, c->version, to, size);
    commit(c, b, size);
    COUNT(&c->shard->counters, packets_sent);
    slow_down(c);
}

void output_ack(struct connection *c, enum mqtt_type type, uint16_t packet_id, uint8_t reason)
{
    bool short_form = reason == 0 || c->version != MQTT_V5;
    uint8_t flags = type == MQTT_PUBREL ? 2 : 0;
    uint8_t packet[] = {(uint8_t)(type << 4 | flags), short_form ? 2 : 3, (uint8_t)(packet_id >> 8),
                        (uint8_t)packet_id, reason};

    output_bytes(c, packet, short_form ? 4 : 5);
}

/* ---- PUBLISH ---- */

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

static void fill_image(struct image *im, bool v5, const struct publication *pub,
                       const struct output_publish *how)
{
    struct mqtt_publish_head head = head_of(pub, how);
    size_t packet_id = 0;
    size_t len =
        mqtt_encode_publish_head(&head, v5 ? MQTT_V5 : MQTT_V311, im->bytes, IMAGE_MAX, &packet_id);

    im->packet_size = len == 0 ? 0 : (uint32_t)len + pub->payload.len;
    im->packet_id = (uint16_t)packet_id;
    if (im->packet_size <= IMAGE_MAX && pub->payload.len > 0) {
        memcpy(im->bytes + len, pub->payload.p, pub->payload.len);
        len += pub->payload.len;
    }
    im->len = (uint16_t)len;
}

/* The packet as all subscribers of this form get it, but for the packet identifier. */
static const struct image *image_of(struct shard *sh, bool v5, const struct publication *pub,
                                    const struct output_publish *how)
{
    unsigned form = image_form(v5, how->qos, how->retain);
    struct image_cache *cache = &sh->images;

    if (cache->uid != pub->uid) {
        cache->uid = pub->uid;
        cache->known = 0;
    }
    if ((cache->known >> form & 1) == 0) {
        fill_image(&cache->images[form], v5, pub, how);
        cache->known |= 1u << form;
    }
    return &cache->images[form];
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
static void stream(struct connection *c)
{
    struct output *o = &c->out;

    while (o->stream != NULL && !o->blocked && !o->dead) {
        struct mqtt_str payload = message_payload(o->stream);
        uint32_t room = o->now.len < OUTPUT_MAX ? OUTPUT_MAX - o->now.len : 0;
        uint32_t n = payload.len - o->stream_at < room ? payload.len - o->stream_at : room;
        uint8_t *to = reserve(c, &o->now, n);

        if (to == NULL)
            return;
        memcpy(to, payload.p + o->stream_at, n);
        commit(c, &o->now, n);
        o->stream_at += n;
        if (o->stream_at < payload.len) {
            output_flush(c);
            continue;
        }
        message_unref(&o->stream, c->shard->mem);
        if (o->later.len > 0) {
            struct output_buffer later = o->later;

            o->later = (struct output_buffer){0};
            to = reserve(c, &o->now, later.len);
            if (to != NULL) {
                memcpy(to, later.p, later.len);
                commit(c, &o->now, later.len);
            }
            buffer_free(c->shard, &later);
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
        commit(c, &o->now, head_len + pub->payload.len);
        return;
    }
    o->stream = publication_message(pub, c->shard->mem);
    if (o->stream == NULL) { /* the head is not committed: nothing of the packet is sent */
        connection_close_later(c, CLOSE_NO_MEMORY);
        return;
    }
    message_ref(o->stream);
    o->stream_at = 0;
    commit(c, &o->now, head_len);
    stream(c);
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
    to = reserve(c, &c->out.now, space_for(pub, head_len));
    if (to == NULL)
        return true;
    mqtt_encode_publish_head(&head, c->version, to, head_len, &packet_id);
    finish(c, pub, head_len);
    return true;
}

/* Append an image; its payload too, if that is not part of it. */
static void publish_image(struct connection *c, struct publication *pub, const struct image *im,
                          uint16_t packet_id)
{
    struct output_buffer *b = &c->out.now;
    uint32_t space = im->len == im->packet_size ? im->len : space_for(pub, im->len);
    uint8_t *to = b->p + b->len;

    if (b->len + space > b->cap || c->out.dead) {
        to = reserve(c, b, space);
        if (to == NULL)
            return;
    }
    memcpy(to, im->bytes, im->len);
    if (im->packet_id != 0) {
        to[im->packet_id] = (uint8_t)(packet_id >> 8);
        to[im->packet_id + 1] = (uint8_t)packet_id;
    }
    if (im->len == im->packet_size)
        commit(c, b, im->len);
    else
        finish(c, pub, im->len);
}

bool output_publish(struct connection *c, struct publication *pub, const struct output_publish *how)
{
    const struct image *im;

    ASSERT(output_ready(&c->out));
    if (!is_special(c, pub, how)) {
        im = image_of(c->shard, c->version == MQTT_V5, pub, how);
        if (im->packet_size > c->max_packet_out)
            return false;
        if (im->packet_size != 0) {
            count_publish(c, pub);
            publish_image(c, pub, im, how->packet_id);
            return true;
        }
    }
    if (!publish_special(c, pub, how))
        return false;
    count_publish(c, pub);
    return true;
}

/* ---- to the transport ---- */

void output_flush(struct connection *c)
{
    struct output *o = &c->out;
    struct shard *sh = c->shard;

    if (o->blocked || o->dead || o->now.len == 0)
        return;
    switch (c->ops->send(c->link, o->now.p, o->now.len)) {
    case TRANSPORT_SENT: break;
    case TRANSPORT_BLOCKED: o->blocked = true; break;
    case TRANSPORT_DEAD: o->dead = true; break;
    }
    COUNT(&sh->counters, writes);
    COUNT_ADD(&sh->counters, bytes_sent, o->now.len);
    buffer_free(sh, &o->now);
}

void output_writable(struct connection *c)
{
    c->out.blocked = false;
    stream(c);
    if (c->out.now.len > 0)
        mark_dirty(c);
    if (!c->out.blocked && c->out.now.len + c->out.later.len <= OUTPUT_CONTROL_PAUSE)
        connection_resume(c, PAUSE_OUTPUT);
}

void output_fini(struct connection *c)
{
    buffer_free(c->shard, &c->out.now);
    buffer_free(c->shard, &c->out.later);
    message_unref(&c->out.stream, c->shard->mem);
}

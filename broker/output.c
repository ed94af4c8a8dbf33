/* output: buffers of a connection and their way to the transport. PUBLISH packets are put together
 * in output_publish.c. */
#include "broker/output.h"

#include "base/assert.h"
#include "base/mem.h"
#include "broker/connection.h"
#include "broker/message.h"
#include "broker/output_priv.h"
#include "broker/purposes.h"
#include "broker/shard.h"
#include "mqtt/encode.h"

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

void output__buffer_free(struct connection *c, struct output_buffer *b)
{
    if (b->p != NULL)
        block_put(c->shard, b->p - TRANSPORT_HEADROOM, TRANSPORT_HEADROOM + b->cap);
    *b = (struct output_buffer){0};
}

static uint32_t block_for(uint32_t bytes)
{
    for (unsigned i = 0; i < ARRAY_LEN(block_sizes); i++)
        if (bytes + TRANSPORT_HEADROOM <= block_sizes[i])
            return block_sizes[i];
    return (bytes + TRANSPORT_HEADROOM + OUTPUT_MAX - 1) / OUTPUT_MAX * OUTPUT_MAX;
}

static bool buffer_grow(struct connection *c, struct output_buffer *b, uint32_t bytes)
{
    uint32_t size = block_for(bytes);
    uint8_t *block = block_get(c->shard, size);
    struct output_buffer old = *b;

    if (block == NULL)
        return false;
    b->p = block + TRANSPORT_HEADROOM;
    b->cap = size - TRANSPORT_HEADROOM;
    if (old.len > 0)
        memcpy(b->p, old.p, old.len);
    output__buffer_free(c, &old);
    return true;
}

/* Room for n bytes more, with the limits that output__reserve() promises. */
static bool make_room(struct connection *c, struct output_buffer *b, uint32_t n)
{
    if (b->len + n <= b->cap)
        return true;
    if (b->len > 0 && b->len + n > OUTPUT_CONTROL_MAX)
        connection_close_later(c, CLOSE_SLOW_CONSUMER);
    else if (buffer_grow(c, b, b->len + n))
        return true;
    else
        connection_close_later(c, CLOSE_NO_MEMORY);
    return false;
}

/* What refers to a page of images becomes bytes of its own, because something else comes behind. */
static bool make_own(struct connection *c)
{
    struct output *o = &c->out;

    if (!make_room(c, &o->now, o->shared_len))
        return false;
    memcpy(o->now.p, o->shared, o->shared_len);
    o->now.len = o->shared_len;
    o->shared_len = 0;
    return true;
}

uint8_t *output__reserve(struct connection *c, struct output_buffer *b, uint32_t n)
{
    struct output *o = &c->out;

    if (o->dead || o->over)
        return NULL;
    if (b == &o->now && !o->blocked && o->now.len + o->shared_len > 0 &&
        o->now.len + o->shared_len + n > OUTPUT_MAX)
        output_flush(c);
    if (b == &o->now && o->shared_len > 0 && !make_own(c))
        return NULL;
    return make_room(c, b, n) ? b->p + b->len : NULL;
}

void output__mark_dirty(struct connection *c)
{
    if (!list_linked(&c->link_dirty))
        list_push_back(&c->shard->dirty, &c->link_dirty);
}

void output__commit(struct connection *c, struct output_buffer *b, uint32_t n)
{
    b->len += n;
    output__mark_dirty(c);
}

/* ---- everything but PUBLISH ---- */

/* Where a packet goes that may not be put into the middle of another. */
static struct output_buffer *buffer_behind(struct output *o)
{
    return o->stream != NULL ? &o->later : &o->now;
}

static void sent(struct connection *c, struct output_buffer *b, uint32_t n)
{
    output__commit(c, b, n);
    COUNT(&c->shard->counters, packets_sent);
    if (c->out.blocked && c->out.now.len + c->out.later.len > OUTPUT_CONTROL_PAUSE)
        connection_pause(c, PAUSE_OUTPUT);
}

void output_bytes(struct connection *c, const uint8_t *data, uint32_t len)
{
    struct output_buffer *b = buffer_behind(&c->out);
    uint8_t *to = output__reserve(c, b, len);

    if (to == NULL)
        return;
    memcpy(to, data, len);
    sent(c, b, len);
}

void output_packet(struct connection *c, const struct mqtt_packet *p)
{
    struct output_buffer *b = buffer_behind(&c->out);
    uint32_t size = (uint32_t)mqtt_encode_size(p, c->version);
    uint8_t *to;

    ASSERT(size > 0);
    to = output__reserve(c, b, size);
    if (to == NULL)
        return;
    mqtt_encode(p, c->version, to, size);
    sent(c, b, size);
}

uint32_t output_ack_bytes(const struct connection *c, enum mqtt_type type, uint16_t packet_id,
                          uint8_t reason, uint8_t out[OUTPUT_ACK_MAX])
{
    bool short_form = reason == 0 || c->version != MQTT_V5;

    out[0] = (uint8_t)(type << 4 | (type == MQTT_PUBREL ? 2 : 0));
    out[1] = short_form ? 2 : 3;
    out[2] = (uint8_t)(packet_id >> 8);
    out[3] = (uint8_t)packet_id;
    out[4] = reason;
    return short_form ? 4 : 5;
}

void output_ack(struct connection *c, enum mqtt_type type, uint16_t packet_id, uint8_t reason)
{
    uint8_t packet[OUTPUT_ACK_MAX];
    uint32_t len = output_ack_bytes(c, type, packet_id, reason, packet);

    output_bytes(c, packet, len);
}

/* ---- to the transport ---- */

static void hand_over(struct connection *c, uint8_t *p, uint32_t len)
{
    struct output *o = &c->out;

    switch (c->ops->send(c->link, p, len)) {
    case TRANSPORT_SENT: break;
    case TRANSPORT_BLOCKED: o->blocked = true; break;
    case TRANSPORT_DEAD: o->dead = true; break;
    }
    COUNT(&c->shard->counters, writes);
    COUNT_ADD(&c->shard->counters, bytes_sent, len);
}

/* The transport may write in front of what it sends, where another subscriber's bytes end. */
static void hand_over_shared(struct connection *c)
{
    uint8_t *p = (uint8_t *)(uintptr_t)c->out.shared, in_front[TRANSPORT_HEADROOM];
    uint32_t len = c->out.shared_len;

    c->out.shared_len = 0;
    memcpy(in_front, p - TRANSPORT_HEADROOM, TRANSPORT_HEADROOM);
    hand_over(c, p, len);
    memcpy(p - TRANSPORT_HEADROOM, in_front, TRANSPORT_HEADROOM);
}

/* What has piled up is on its way: its client may ask for more. */
static void resume_reading(struct connection *c)
{
    const struct output *o = &c->out;

    if ((c->paused & PAUSE_OUTPUT) != 0 && !o->blocked &&
        o->now.len + o->later.len <= OUTPUT_CONTROL_PAUSE)
        connection_resume(c, PAUSE_OUTPUT);
}

void output_flush(struct connection *c)
{
    struct output *o = &c->out;

    if (o->dead)
        o->shared_len = 0;
    if (o->blocked || o->dead)
        return;
    if (o->shared_len > 0) {
        hand_over_shared(c);
    } else if (o->now.len > 0) {
        hand_over(c, o->now.p, o->now.len);
        output__buffer_free(c, &o->now);
    }
    resume_reading(c);
}

void output_writable(struct connection *c)
{
    struct output *o = &c->out;

    o->blocked = false;
    output__stream(c);
    if (o->now.len > 0)
        output__mark_dirty(c);
    resume_reading(c);
}

void output_fini(struct connection *c)
{
    output__buffer_free(c, &c->out.now);
    output__buffer_free(c, &c->out.later);
    message_unref(&c->out.stream, c->shard->mem);
}

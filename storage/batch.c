/* batch: records as bytes. Each is a head, then the parts that a record of its kind has, each with
 * its texts behind it. Nothing is aligned. */
#include "storage/store.h"

#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 4096

enum part {
    PART_SESSION = 1,
    PART_FILTER = 2,
    PART_DELIVERY = 4,
    PART_MESSAGE = 8,
    PART_COUNTS = 16 /* of BACKLOG and CLOCK */
};

struct head {
    uint32_t size; /* with parts and texts */
    uint16_t packet_id;
    uint8_t kind, parts;
    uint64_t session;
};

struct session_part {
    uint64_t ends_ms, will_ms;
    uint32_t expiry_s, will_delay_s, will_expiry_s, client_id_len;
    uint8_t version, has_will, will_has_expiry;
};

struct filter_part {
    uint32_t sub_id, filter_len;
    uint8_t options;
};

struct delivery_part {
    uint64_t uid, group;
    uint32_t sub_ids_len;
    uint8_t qos, state, retain, guarded;
};

struct message_part {
    uint64_t uid, publisher, expires_ms;
    uint32_t topic_len, props_len, payload_len;
    uint8_t qos, retain;
};

struct counts_part {
    uint64_t bytes, last_uid, last_session;
    uint32_t messages;
};

static unsigned parts_of(const struct store_record *r)
{
    switch (r->kind) {
    case STORE_SESSION: return PART_SESSION | (r->has_will ? PART_MESSAGE : 0);
    case STORE_FILTER:
    case STORE_FILTER_END: return PART_FILTER;
    case STORE_DELIVERY: return PART_DELIVERY | (r->message.topic.len > 0 ? PART_MESSAGE : 0);
    case STORE_DELIVERY_STATE:
    case STORE_DELIVERY_END:
    case STORE_QUEUE_DROP:
    case STORE_RECEIVED: return PART_DELIVERY;
    case STORE_RETAINED:
    case STORE_RETAINED_END: return PART_MESSAGE;
    case STORE_BACKLOG:
    case STORE_CLOCK: return PART_COUNTS;
    default: return 0;
    }
}

static size_t size_of(const struct store_record *r, unsigned parts)
{
    const struct store_message *m = &r->message;
    size_t n = sizeof(struct head);

    if (parts & PART_SESSION)
        n += sizeof(struct session_part) + r->client_id.len;
    if (parts & PART_FILTER)
        n += sizeof(struct filter_part) + r->filter.len;
    if (parts & PART_DELIVERY)
        n += sizeof(struct delivery_part) + r->sub_ids.len;
    if (parts & PART_MESSAGE)
        n += sizeof(struct message_part) + m->topic.len + m->props.len + m->payload.len;
    if (parts & PART_COUNTS)
        n += sizeof(struct counts_part);
    return n;
}

static int reserve(struct store_batch *b, size_t n)
{
    size_t cap = b->cap == 0 ? FIRST_CAPACITY : b->cap;
    uint8_t *data;

    if (b->len + n <= b->cap)
        return 0;
    while (cap < b->len + n)
        cap *= 2;
    data = realloc(b->data, cap);
    if (data == NULL)
        return -ENOMEM;
    b->data = data;
    b->cap = cap;
    return 0;
}

/* ---- writing ---- */

static uint8_t *put(uint8_t *to, const void *from, size_t n)
{
    if (n > 0)
        memcpy(to, from, n);
    return to + n;
}

static uint8_t *put_text(uint8_t *to, struct str text)
{
    return put(to, text.p, text.len);
}

static uint8_t *put_session(uint8_t *to, const struct store_record *r)
{
    struct session_part p = {.ends_ms = r->ends_ms,
                             .will_ms = r->will_ms,
                             .expiry_s = r->expiry_s,
                             .will_delay_s = r->will_delay_s,
                             .will_expiry_s = r->will_expiry_s,
                             .client_id_len = (uint32_t)r->client_id.len,
                             .version = r->version,
                             .has_will = r->has_will,
                             .will_has_expiry = r->will_has_expiry};

    return put_text(put(to, &p, sizeof p), r->client_id);
}

static uint8_t *put_filter(uint8_t *to, const struct store_record *r)
{
    struct filter_part p = {
        .sub_id = r->sub_id, .filter_len = (uint32_t)r->filter.len, .options = r->options};

    return put_text(put(to, &p, sizeof p), r->filter);
}

static uint8_t *put_delivery(uint8_t *to, const struct store_record *r)
{
    struct delivery_part p = {.uid = r->uid,
                              .group = r->group,
                              .sub_ids_len = (uint32_t)r->sub_ids.len,
                              .qos = r->qos,
                              .state = r->state,
                              .retain = r->retain,
                              .guarded = r->guarded};

    return put_text(put(to, &p, sizeof p), r->sub_ids);
}

static uint8_t *put_message(uint8_t *to, const struct store_message *m)
{
    struct message_part p = {.uid = m->uid,
                             .publisher = m->publisher,
                             .expires_ms = m->expires_ms,
                             .topic_len = (uint32_t)m->topic.len,
                             .props_len = (uint32_t)m->props.len,
                             .payload_len = (uint32_t)m->payload.len,
                             .qos = m->qos,
                             .retain = m->retain};

    to = put(to, &p, sizeof p);
    return put_text(put_text(put_text(to, m->topic), m->props), m->payload);
}

static uint8_t *put_counts(uint8_t *to, const struct store_record *r)
{
    struct counts_part p = {.bytes = r->bytes,
                            .last_uid = r->last_uid,
                            .last_session = r->last_session,
                            .messages = r->messages};

    return put(to, &p, sizeof p);
}

int store_batch_add(struct store_batch *b, const struct store_record *r)
{
    unsigned parts = parts_of(r);
    size_t size = size_of(r, parts);
    struct head head = {.size = (uint32_t)size,
                        .packet_id = r->packet_id,
                        .kind = (uint8_t)r->kind,
                        .parts = (uint8_t)parts,
                        .session = r->session};
    uint8_t *to;

    ASSERT(size <= UINT32_MAX);
    if (reserve(b, size) != 0)
        return -ENOMEM;
    to = put(b->data + b->len, &head, sizeof head);
    if (parts & PART_SESSION)
        to = put_session(to, r);
    if (parts & PART_FILTER)
        to = put_filter(to, r);
    if (parts & PART_DELIVERY)
        to = put_delivery(to, r);
    if (parts & PART_MESSAGE)
        to = put_message(to, &r->message);
    if (parts & PART_COUNTS)
        put_counts(to, r);
    b->len += size;
    b->records++;
    return 0;
}

/* ---- reading ---- */

static void get(const uint8_t **from, void *out, size_t n)
{
    memcpy(out, *from, n);
    *from += n;
}

static struct str get_text(const uint8_t **from, size_t len)
{
    struct str text = {(const char *)*from, len};

    *from += len;
    return text;
}

static void get_session(const uint8_t **from, struct store_record *out)
{
    struct session_part p;

    get(from, &p, sizeof p);
    out->ends_ms = p.ends_ms;
    out->will_ms = p.will_ms;
    out->expiry_s = p.expiry_s;
    out->will_delay_s = p.will_delay_s;
    out->will_expiry_s = p.will_expiry_s;
    out->version = p.version;
    out->has_will = p.has_will;
    out->will_has_expiry = p.will_has_expiry;
    out->client_id = get_text(from, p.client_id_len);
}

static void get_filter(const uint8_t **from, struct store_record *out)
{
    struct filter_part p;

    get(from, &p, sizeof p);
    out->sub_id = p.sub_id;
    out->options = p.options;
    out->filter = get_text(from, p.filter_len);
}

static void get_delivery(const uint8_t **from, struct store_record *out)
{
    struct delivery_part p;

    get(from, &p, sizeof p);
    out->uid = p.uid;
    out->group = p.group;
    out->qos = p.qos;
    out->state = p.state;
    out->retain = p.retain;
    out->guarded = p.guarded;
    out->sub_ids = get_text(from, p.sub_ids_len);
}

static void get_message(const uint8_t **from, struct store_message *out)
{
    struct message_part p;

    get(from, &p, sizeof p);
    out->uid = p.uid;
    out->publisher = p.publisher;
    out->expires_ms = p.expires_ms;
    out->qos = p.qos;
    out->retain = p.retain;
    out->topic = get_text(from, p.topic_len);
    out->props = get_text(from, p.props_len);
    out->payload = get_text(from, p.payload_len);
}

static void get_counts(const uint8_t **from, struct store_record *out)
{
    struct counts_part p;

    get(from, &p, sizeof p);
    out->bytes = p.bytes;
    out->last_uid = p.last_uid;
    out->last_session = p.last_session;
    out->messages = p.messages;
}

bool store_batch_next(const struct store_batch *b, size_t *at, struct store_record *out)
{
    const uint8_t *from;
    struct head head;

    if (*at >= b->len)
        return false;
    from = b->data + *at;
    get(&from, &head, sizeof head);
    *out = (struct store_record){
        .kind = (enum store_kind)head.kind, .session = head.session, .packet_id = head.packet_id};
    if (head.parts & PART_SESSION)
        get_session(&from, out);
    if (head.parts & PART_FILTER)
        get_filter(&from, out);
    if (head.parts & PART_DELIVERY)
        get_delivery(&from, out);
    if (head.parts & PART_MESSAGE)
        get_message(&from, &out->message);
    if (head.parts & PART_COUNTS)
        get_counts(&from, out);
    *at += head.size;
    return true;
}

void store_batch_clear(struct store_batch *b)
{
    b->len = 0;
    b->records = 0;
    b->sync = false;
}

void store_batch_fini(struct store_batch *b)
{
    free(b->data);
    *b = (struct store_batch){0};
}

void store_page_free(struct store_page *p)
{
    if (p == NULL)
        return;
    store_batch_fini(&p->records);
    free(p);
}

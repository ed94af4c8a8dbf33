#include "storage/mosquitto_db_priv.h"

#include "base/assert.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC_LEN 15

enum chunk {
    CHUNK_CONFIG = 1,
    CHUNK_MESSAGE,
    CHUNK_DELIVERY,
    CHUNK_RETAINED,
    CHUNK_SUBSCRIPTION,
    CHUNK_CLIENT
};

/* ---- bytes ---- */

/* Where we are. bad: more was wanted than there is. */
struct cursor {
    const char *p;
    size_t left;
    bool bad;
};

static struct str take(struct cursor *c, size_t n)
{
    struct str s = {c->p, n};

    if (n > c->left) {
        c->bad = true;
        return (struct str){NULL, 0};
    }
    c->p += n;
    c->left -= n;
    return s;
}

/* 0 when there is not enough. */
static void take_bytes(struct cursor *c, void *out, size_t n)
{
    struct str s = take(c, n);

    memset(out, 0, n);
    if (s.len == n && n > 0)
        memcpy(out, s.p, n);
}

static uint8_t take_u8(struct cursor *c)
{
    uint8_t v;

    take_bytes(c, &v, sizeof v);
    return v;
}

static uint16_t take_u16(struct cursor *c)
{
    uint16_t v;

    take_bytes(c, &v, sizeof v);
    return be16toh(v);
}

static uint32_t take_u32(struct cursor *c)
{
    uint32_t v;

    take_bytes(c, &v, sizeof v);
    return be32toh(v);
}

static uint64_t take_native(struct cursor *c)
{
    uint64_t v;

    take_bytes(c, &v, sizeof v);
    return v;
}

/* One more element at the end of an array whose capacity is always a power of two. */
static void *push(void *array, size_t *n, size_t size)
{
    char **v = array;

    if ((*n & (*n - 1)) == 0) {
        *v = realloc(*v, (*n == 0 ? 1 : 2 * *n) * size);
        ASSERT(*v != NULL);
    }
    return memset(*v + (*n)++ * size, 0, size);
}

/* ---- chunks ---- */

static void take_config(struct cursor *c)
{
    uint8_t id_size;

    take(c, 9); /* last id, was it an orderly end */
    id_size = take_u8(c);
    c->bad |= id_size != 8;
}

static void take_message(struct cursor *c, struct mosquitto_db *db)
{
    struct mosquitto_message *m = push(&db->messages, &db->n_messages, sizeof *m);
    uint32_t payload_len;
    uint16_t id_len, username_len, topic_len;

    m->id = take_native(c);
    m->expires_s = (int64_t)take_native(c);
    payload_len = take_u32(c);
    take(c, 2); /* packet identifier at its source */
    id_len = take_u16(c);
    username_len = take_u16(c);
    topic_len = take_u16(c);
    take(c, 2); /* port */
    m->qos = take_u8(c);
    m->retain = take_u8(c) != 0;
    m->source_id = take(c, id_len);
    take(c, username_len);
    m->topic = take(c, topic_len);
    m->payload = take(c, payload_len);
    m->props = take(c, c->left);
    c->bad |= m->qos > 2 || m->expires_s < 0 || m->expires_s > INT64_MAX / 1000;
}

static void take_delivery(struct cursor *c, struct mosquitto_db *db)
{
    struct mosquitto_delivery *d = push(&db->deliveries, &db->n_deliveries, sizeof *d);
    uint16_t id_len;

    d->message_id = take_native(c);
    d->packet_id = take_u16(c);
    id_len = take_u16(c);
    d->qos = take_u8(c);
    d->state = take_u8(c);
    d->retain = take_u8(c) >> 4 != 0; /* the lower half: has it been sent before */
    d->direction = take_u8(c);
    d->client_id = take(c, id_len);
    d->props = take(c, c->left);
    c->bad |= d->qos > 2 || d->state > MOSQUITTO_QUEUED || d->direction > MOSQUITTO_OUT;
}

static void take_retained(struct cursor *c, struct mosquitto_db *db)
{
    uint64_t *id = push(&db->retained, &db->n_retained, sizeof *id);

    *id = take_native(c);
}

static void take_subscription(struct cursor *c, struct mosquitto_db *db)
{
    struct mosquitto_subscription *s = push(&db->subscriptions, &db->n_subscriptions, sizeof *s);
    uint16_t id_len, filter_len;
    uint8_t qos;

    s->sub_id = take_u32(c);
    id_len = take_u16(c);
    filter_len = take_u16(c);
    qos = take_u8(c);
    s->options = (take_u8(c) & 0x3c) | qos;
    take(c, 2); /* padding */
    s->client_id = take(c, id_len);
    s->filter = take(c, filter_len);
    c->bad |= qos > 2;
}

static void take_client(struct cursor *c, struct mosquitto_db *db, uint32_t version)
{
    struct mosquitto_client *client = push(&db->clients, &db->n_clients, sizeof *client);
    uint16_t id_len, username_len = 0;

    client->ends_s = (int64_t)take_native(c);
    client->expiry_s = take_u32(c);
    take(c, 2); /* last packet identifier */
    id_len = take_u16(c);
    if (version == 6) {
        take(c, 2); /* port */
        username_len = take_u16(c);
        take(c, 4); /* padding */
    }
    client->id = take(c, id_len);
    take(c, username_len);
    c->bad |= client->ends_s < 0 || client->ends_s > INT64_MAX / 1000;
}

static void take_chunk(struct cursor *c, struct mosquitto_db *db, uint32_t type, uint32_t version)
{
    switch (type) {
    case CHUNK_CONFIG: take_config(c); break;
    case CHUNK_MESSAGE: take_message(c, db); break;
    case CHUNK_DELIVERY: take_delivery(c, db); break;
    case CHUNK_RETAINED: take_retained(c, db); break;
    case CHUNK_SUBSCRIPTION: take_subscription(c, db); break;
    case CHUNK_CLIENT: take_client(c, db, version); break;
    default: break; /* Mosquitto skips these, too */
    }
}

/* ---- the file ---- */

static int check_header(struct cursor *c, const char *name, uint32_t *version,
                        struct store_error *err)
{
    static const char magic[MAGIC_LEN + 1] = "\0\xb5\0mosquitto db";
    struct str m = take(c, MAGIC_LEN);

    take(c, 4);
    *version = take_u32(c);
    if (c->bad || memcmp(m.p, magic, MAGIC_LEN) != 0)
        return store_error(err, "%s is no database of Mosquitto", name);
    if (*version != 5 && *version != 6)
        return store_error(err,
                           "%s has format version %u; 5 and 6 can be read: let a newer Mosquitto "
                           "load and save it",
                           name, *version);
    return 0;
}

static int take_chunks(struct mosquitto_db *db, const char *name, struct store_error *err)
{
    struct cursor c = {.p = db->data, .left = db->len};
    uint32_t version;

    if (check_header(&c, name, &version, err) != 0)
        return -1;
    while (c.left > 0) {
        size_t at = db->len - c.left;
        uint32_t type = take_u32(&c), len = take_u32(&c);
        struct cursor chunk;

        chunk.p = take(&c, len).p;
        chunk.left = len;
        chunk.bad = c.bad;
        if (!c.bad)
            take_chunk(&chunk, db, type, version);
        if (chunk.bad)
            return store_error(err,
                               "%s is damaged: the chunk at byte %zu (type %u, %u bytes) makes no "
                               "sense, or is cut off",
                               name, at, type, len);
    }
    return 0;
}

static int by_id(const void *a, const void *b)
{
    uint64_t x = ((const struct mosquitto_message *)a)->id;
    uint64_t y = ((const struct mosquitto_message *)b)->id;

    return x < y ? -1 : x > y;
}

int mosquitto_db_parse(struct mosquitto_db *db, const char *name, char *take_data, size_t len,
                       struct store_error *err)
{
    *db = (struct mosquitto_db){.data = take_data, .len = len};
    if (take_chunks(db, name, err) != 0) {
        mosquitto_db_fini(db);
        return -1;
    }
    if (db->n_messages > 0)
        qsort(db->messages, db->n_messages, sizeof *db->messages, by_id);
    return 0;
}

void mosquitto_db_fini(struct mosquitto_db *db)
{
    free(db->data);
    free(db->messages);
    free(db->clients);
    free(db->deliveries);
    free(db->subscriptions);
    free(db->retained);
    *db = (struct mosquitto_db){0};
}

struct mosquitto_message *mosquitto_db_find(const struct mosquitto_db *db, uint64_t id)
{
    struct mosquitto_message key = {.id = id};

    return db->n_messages == 0 ? NULL
                               : bsearch(&key, db->messages, db->n_messages, sizeof key, by_id);
}

/* ---- properties ---- */

static uint32_t take_varint(struct cursor *c)
{
    uint32_t v = 0;

    for (int i = 0; i < 4; i++) {
        uint8_t byte = take_u8(c);

        v |= (uint32_t)(byte & 0x7f) << (7 * i);
        if ((byte & 0x80) == 0)
            return v;
    }
    c->bad = true;
    return 0;
}

bool mosquitto_props_begin(struct str *rest)
{
    struct cursor c = {.p = rest->p, .left = rest->len};
    uint32_t len = rest->len == 0 ? 0 : take_varint(&c);

    if (c.bad || len != c.left)
        return false;
    *rest = (struct str){c.p, c.left};
    return true;
}

/* The value of a property that a PUBLISH may have. */
static void take_value(struct cursor *c, struct mosquitto_property *out)
{
    switch (out->id) {
    case 0x01: take(c, 1); break;                   /* Payload Format Indicator */
    case 0x02: take(c, 4); break;                   /* Message Expiry Interval */
    case 0x03:                                      /* Content Type */
    case 0x08:                                      /* Response Topic */
    case 0x09: take(c, take_u16(c)); break;         /* Correlation Data */
    case 0x0b: out->number = take_varint(c); break; /* Subscription Identifier */
    case 0x23: take(c, 2); break;                   /* Topic Alias */
    case 0x26:                                      /* User Property */
        take(c, take_u16(c));
        take(c, take_u16(c));
        break;
    default: c->bad = true; break;
    }
}

bool mosquitto_props_next(struct str *rest, struct mosquitto_property *out)
{
    struct cursor c = {.p = rest->p, .left = rest->len};

    if (rest->len == 0)
        return false;
    out->id = take_u8(&c);
    take_value(&c, out);
    if (c.bad) {
        *rest = (struct str){NULL, 0};
        return false;
    }
    out->bytes = (struct str){rest->p, rest->len - c.left};
    *rest = (struct str){c.p, c.left};
    return true;
}

#include "storage/tests/ops_support.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>

uint64_t ops_random(struct ops *o)
{
    uint64_t v = o->random += 0x9e3779b97f4a7c15;

    v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9;
    v = (v ^ (v >> 27)) * 0x94d049bb133111eb;
    return v ^ (v >> 31);
}

static unsigned below(struct ops *o, unsigned n)
{
    return (unsigned)(ops_random(o) % n);
}

void ops_init(struct ops *o, uint64_t seed)
{
    *o = (struct ops){.random = seed, .large = 20, .last_uid = 1000};
    for (size_t i = 0; i < sizeof o->payload; i++)
        o->payload[i] = (uint8_t)ops_random(o);
}

static void add(struct store_batch *b, const struct store_record *r)
{
    int rc = store_batch_add(b, r);

    ASSERT(rc == 0);
}

static struct str some_bytes(struct ops *o, size_t max)
{
    size_t len = below(o, (unsigned)max + 1);

    return (struct str){(const char *)o->payload + below(o, (unsigned)(sizeof o->payload - len)),
                        len};
}

static struct str some_text(struct ops *o, char *space, size_t size, const char *stem, unsigned n)
{
    int len = snprintf(space, size, "%s/%u", stem, below(o, n));

    return (struct str){space, (size_t)len};
}

static struct store_message some_message(struct ops *o, char *space, size_t size)
{
    bool large = o->large > 0 && below(o, o->large) == 0;
    struct store_message m = {.uid = ++o->last_uid,
                              .publisher = below(o, 5),
                              .topic = some_text(o, space, size, "topic", 20),
                              .props = some_bytes(o, 10),
                              .payload = some_bytes(o, large ? 19000 : 100),
                              .qos = (uint8_t)below(o, 3),
                              .retain = below(o, 2) != 0};

    return m;
}

/* ---- one record each ---- */

/* The number of a session that is there, or 0. */
static uint64_t any_session(struct ops *o)
{
    return o->sessions[below(o, OPS_SESSIONS)];
}

static void session(struct ops *o, struct store_batch *b)
{
    char client[32], topic[32];
    unsigned place = below(o, OPS_SESSIONS);
    struct store_record r = {.kind = STORE_SESSION,
                             .ends_ms = below(o, 3) == 0 ? STORE_NEVER : below(o, 1000000),
                             .expiry_s = below(o, 1000),
                             .version = (uint8_t)(3 + below(o, 3)),
                             .has_will = below(o, 4) == 0};

    if (o->sessions[place] == 0)
        o->sessions[place] = ++o->last_session;
    r.session = o->sessions[place];
    snprintf(client, sizeof client, "client-%u", place);
    r.client_id = str_from(client);
    if (r.has_will) {
        r.message = some_message(o, topic, sizeof topic);
        r.message.uid = 0;
        r.will_delay_s = below(o, 100);
    }
    add(b, &r);
}

static void session_end(struct ops *o, struct store_batch *b)
{
    unsigned place = below(o, OPS_SESSIONS);
    struct store_record r = {.kind = STORE_SESSION_END, .session = o->sessions[place]};

    o->sessions[place] = 0;
    if (r.session != 0)
        add(b, &r);
}

static void filter(struct ops *o, struct store_batch *b)
{
    char space[32];
    struct store_record r = {.kind = below(o, 3) == 0 ? STORE_FILTER_END : STORE_FILTER,
                             .session = any_session(o),
                             .filter = some_text(o, space, sizeof space, "filter", 6),
                             .options = (uint8_t)below(o, 4),
                             .sub_id = below(o, 3)};

    if (r.session != 0)
        add(b, &r);
}

static void deliveries(struct ops *o, struct store_batch *b)
{
    char space[32];
    uint32_t ids[2] = {1 + below(o, 100), 7};
    struct store_record r = {
        .kind = STORE_DELIVERY, .uid = o->last_uid + 1, .qos = (uint8_t)(1 + below(o, 2))};
    unsigned n = 1 + below(o, 3);

    r.message = some_message(o, space, sizeof space);
    r.guarded = below(o, 4) == 0;
    r.message.publisher = any_session(o);
    r.sub_ids = (struct str){(const char *)ids, 4 * below(o, 3)};
    for (unsigned i = 0; i < n; i++) {
        r.session = any_session(o);
        r.group = below(o, 4) == 0 ? ops_random(o) : 0;
        r.state = below(o, 3) == 0 ? STORE_SENT : STORE_QUEUED;
        r.packet_id = r.state == STORE_SENT ? (uint16_t)(1 + below(o, 1000)) : 0;
        r.guarded = below(o, 4) == 0;
        if (r.session == 0)
            continue;
        add(b, &r);
        o->recent[below(o, OPS_RECENT)] = (struct ops_delivery){r.session, r.uid, r.group};
        r.message = (struct store_message){0};
    }
}

static void change_delivery(struct ops *o, struct store_batch *b)
{
    const struct ops_delivery *d = &o->recent[below(o, OPS_RECENT)];
    struct store_record r = {.kind = STORE_DELIVERY_STATE,
                             .session = d->session,
                             .uid = d->uid,
                             .group = d->group,
                             .state = (uint8_t)below(o, 3)};

    r.packet_id = r.state == STORE_QUEUED ? 0 : (uint16_t)(1 + below(o, 1000));
    if (below(o, 3) == 0)
        r.kind = STORE_DELIVERY_END;
    if (r.session != 0)
        add(b, &r);
}

static void queue_drop(struct ops *o, struct store_batch *b)
{
    const struct ops_delivery *d = &o->recent[below(o, OPS_RECENT)];
    struct store_record r = {.kind = STORE_QUEUE_DROP, .session = any_session(o)};

    if (below(o, 2) == 0) {
        r.uid = d->uid;
        r.group = d->group;
    }
    if (below(o, 2) == 0)
        r.uid = o->recent[below(o, OPS_RECENT)].uid;

    if (r.session != 0)
        add(b, &r);
}

static void received(struct ops *o, struct store_batch *b)
{
    struct store_record r = {.kind = below(o, 2) == 0 ? STORE_RECEIVED : STORE_RECEIVED_END,
                             .session = any_session(o),
                             .packet_id = (uint16_t)(1 + below(o, 10)),
                             .uid = o->last_uid};

    if (r.session != 0)
        add(b, &r);
}

static void retained(struct ops *o, struct store_batch *b)
{
    char space[32];
    struct store_record r = {.kind = below(o, 3) == 0 ? STORE_RETAINED_END : STORE_RETAINED};

    r.message = some_message(o, space, sizeof space);
    add(b, &r);
}

static void one(struct ops *o, struct store_batch *b)
{
    switch (below(o, 20)) {
    case 0: session(o, b); break;
    case 1:
        if (below(o, 3) == 0)
            session_end(o, b);
        break;
    case 2: filter(o, b); break;
    case 3: retained(o, b); break;
    case 4: received(o, b); break;
    case 5: queue_drop(o, b); break;
    case 6:
    case 7:
    case 8:
    case 9:
    case 10:
    case 11: deliveries(o, b); break;
    default: change_delivery(o, b); break;
    }
}

void ops_batch(struct ops *o, struct store_batch *b)
{
    unsigned n = below(o, 2) == 0 ? below(o, 4) : below(o, 40);
    struct store_record marker = {.kind = STORE_RETAINED,
                                  .message = {.topic = STR("marker"), .uid = ++o->batches}};

    if (o->batches == 1)
        for (unsigned i = 0; i < 2 * OPS_SESSIONS; i++)
            session(o, b);
    while (n-- > 0)
        one(o, b);
    add(b, &marker);
}

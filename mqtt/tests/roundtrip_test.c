/* roundtrip_test: random packets of every type, version and sender, all of them legal: encode,
 * decode, encode again. The seed is fixed: a failure comes back. */
#include "mqtt/decode.h"
#include "mqtt/encode.h"

#include "base/test.h"
#include "mqtt/decode_priv.h"
#include "mqtt/tests/packet_support.h"

#define ROUNDS 60000
#define SEED   UINT64_C(0x6672797373616c74)

static uint64_t state = SEED;
static uint8_t room[1 << 16]; /* what the packet at hand borrows from */
static size_t used;

/* xorshift64 */
static uint32_t any(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % below;
}

static bool maybe(void)
{
    return any(2) == 0;
}

/* The ends of the range more often than chance would have it. */
static uint32_t number(uint32_t min, uint32_t max)
{
    switch (any(4)) {
    case 0: return min;
    case 1: return max;
    default: return max - min == UINT32_MAX ? any(UINT32_MAX) : min + any(max - min + 1);
    }
}

static struct mqtt_str bytes(uint32_t max)
{
    struct mqtt_str s = {room + used, any(max + 1)};

    for (uint32_t i = 0; i < s.len; i++)
        room[used++] = (uint8_t)any(256);
    return s;
}

/* From min to max characters of one to four bytes, without wildcards. */
static struct mqtt_str text(uint32_t min, uint32_t max)
{
    static const struct mqtt_str characters[] = {
        MQTT_STR("a"),
        MQTT_STR("Z"),
        MQTT_STR("7"),
        MQTT_STR("/"),
        MQTT_STR("$"),
        MQTT_STR(" "),
        MQTT_STR("-"),
        MQTT_STR("~"),
        MQTT_STR("\x01"),
        MQTT_STR("\xc3\xa4"),
        MQTT_STR("\xe2\x82\xac"),
        MQTT_STR("\xf0\x9f\x90\xb8"),
    };
    uint32_t n = min + any(max - min + 1), kinds = maybe() ? 8 : 12; /* 8: ASCII alone */
    struct mqtt_str s = {room + used, 0};

    for (uint32_t i = 0; i < n; i++) {
        const struct mqtt_str c = characters[any(kinds)];

        memcpy(room + used, c.p, c.len);
        used += c.len;
    }
    s.len = (uint32_t)(room + used - s.p);
    return s;
}

static void set_property(struct mqtt_props *props, uint8_t id)
{
    const struct mqtt__prop *prop = &mqtt__props[id];
    void *field = (uint8_t *)props + prop->offset;

    props->present |= UINT64_C(1) << id;
    switch ((enum mqtt__kind)prop->kind) {
    case MQTT__u8: *(uint8_t *)field = (uint8_t)number(prop->min, prop->max); break;
    case MQTT__u16: *(uint16_t *)field = (uint16_t)number(prop->min, prop->max); break;
    case MQTT__u32:
    case MQTT__varint: *(uint32_t *)field = number(prop->min, prop->max); break;
    case MQTT__str: *(struct mqtt_str *)field = text(1, 20); break;
    case MQTT__bin: *(struct mqtt_str *)field = bytes(20); break;
    case MQTT__pair:
    case MQTT__none: break;
    }
}

/* Those that may repeat, encoded one after the other; with the first Subscription Identifier in its
 * field there may be more. */
static void add_repeats(struct mqtt_props *props, unsigned where)
{
    uint8_t out[512];
    size_t n = 0;

    for (uint32_t i = any(4); i > 0; i--) {
        if (where == MQTT_PUBLISH && MQTT_HAS(props, subscription_id) && maybe())
            n += mqtt_encode_number_property(
                MQTT_PROP_subscription_id, number(1, MQTT_MAX_REMAINING), out + n, sizeof out - n);
        else
            n += mqtt_encode_user_property(text(0, 9), text(0, 9), out + n, sizeof out - n);
    }
    props->encoded = (struct mqtt_str){room + used, (uint32_t)n};
    memcpy(room + used, out, n);
    used += n;
}

static void random_props(struct mqtt_props *props, int version, unsigned where,
                         enum mqtt_side sender)
{
    if (version != MQTT_V5 || any(4) == 0)
        return;
    for (uint8_t id = 0; id < MQTT__PROP_END; id++) {
        const struct mqtt__prop *prop = &mqtt__props[id];
        unsigned from = sender == MQTT_CLIENT ? prop->from_client : prop->from_server;

        if ((from >> where & 1) != 0 && prop->kind != MQTT__pair && maybe())
            set_property(props, id);
    }
    if (MQTT_HAS(props, auth_data))
        set_property(props, MQTT_PROP_auth_method);
    add_repeats(props, where);
}

static uint8_t random_reason(int version, unsigned type, enum mqtt_side sender)
{
    uint8_t code;

    do
        code = (uint8_t)any(256);
    while (!mqtt__reason_legal(code, version, type, sender));
    return code;
}

static void random_connect(struct mqtt_connect *c, int version)
{
    c->version = (enum mqtt_version)version;
    c->client_id = text(version == MQTT_V31, 23);
    c->clean_start = c->client_id.len == 0 || maybe();
    c->keep_alive_s = (uint16_t)number(0, UINT16_MAX);
    random_props(&c->props, version, MQTT_CONNECT, MQTT_CLIENT);
    if ((c->has_will = maybe())) {
        c->will.qos = (uint8_t)any(3);
        c->will.retain = maybe();
        random_props(&c->will.props, version, MQTT__WILL, MQTT_CLIENT);
        c->will.topic = text(1, 30);
        c->will.payload = bytes(300);
    }
    if ((c->has_username = maybe()))
        c->username = text(0, 20);
    if ((c->has_password = (c->has_username || version == MQTT_V5) && maybe()))
        c->password = bytes(20);
}

static void random_publish(struct mqtt_publish *p, int version, enum mqtt_side sender)
{
    p->qos = (uint8_t)any(3);
    p->dup = p->qos > 0 && maybe();
    p->retain = maybe();
    p->packet_id = p->qos > 0 ? (uint16_t)number(1, UINT16_MAX) : 0;
    random_props(&p->props, version, MQTT_PUBLISH, sender);
    p->topic = text(MQTT_HAS(&p->props, topic_alias) ? 0 : 1, 40);
    p->payload = bytes(maybe() ? 20 : 20000);
}

static void random_subscribe(struct mqtt_subscribe *s, int version, unsigned type)
{
    uint8_t out[512];
    size_t n = 0;

    s->packet_id = (uint16_t)number(1, UINT16_MAX);
    random_props(&s->props, version, type, MQTT_CLIENT);
    s->count = 1 + any(4);
    for (uint32_t i = 0; i < s->count; i++)
        n += mqtt_encode_filter(text(0, 20), type == MQTT_UNSUBSCRIBE, (uint8_t)any(3), out + n,
                                sizeof out - n);
    s->filters = (struct mqtt_str){room + used, (uint32_t)n};
    memcpy(room + used, out, n);
    used += n;
}

static void random_suback(struct mqtt_suback *s, int version, unsigned type)
{
    s->packet_id = (uint16_t)number(1, UINT16_MAX);
    random_props(&s->props, version, type, MQTT_SERVER);
    if (type == MQTT_UNSUBACK && version != MQTT_V5)
        return;
    s->reasons = (struct mqtt_str){room + used, 1 + any(5)};
    for (uint32_t i = 0; i < s->reasons.len; i++)
        room[used++] = random_reason(version, type, MQTT_SERVER);
}

static void random_connack(struct mqtt_connack *c, int version)
{
    c->reason = maybe() ? 0 : random_reason(version, MQTT_CONNACK, MQTT_SERVER);
    c->session_present = c->reason == 0 && version != MQTT_V31 && maybe();
    random_props(&c->props, version, MQTT_CONNACK, MQTT_SERVER);
}

static void random_ack(struct mqtt_ack *a, int version, unsigned type, enum mqtt_side sender)
{
    a->packet_id = (uint16_t)number(1, UINT16_MAX);
    a->reason = version == MQTT_V5 ? random_reason(version, type, sender) : 0;
    random_props(&a->props, version, type, sender);
}

static void random_reasoned(struct mqtt_reasoned *d, int version, unsigned type,
                            enum mqtt_side sender)
{
    d->reason = version == MQTT_V5 ? random_reason(version, type, sender) : 0;
    random_props(&d->props, version, type, sender);
    if (type == MQTT_AUTH)
        set_property(&d->props, MQTT_PROP_auth_method);
}

static void random_packet(struct mqtt_packet *p, int version, unsigned type, enum mqtt_side sender)
{
    *p = (struct mqtt_packet){.type = (enum mqtt_type)type};
    used = 0;
    switch (type) {
    case MQTT_CONNECT: random_connect(&p->connect, version); break;
    case MQTT_CONNACK: random_connack(&p->connack, version); break;
    case MQTT_PUBLISH: random_publish(&p->publish, version, sender); break;
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE: random_subscribe(&p->subscribe, version, type); break;
    case MQTT_SUBACK:
    case MQTT_UNSUBACK: random_suback(&p->suback, version, type); break;
    case MQTT_DISCONNECT:
    case MQTT_AUTH: random_reasoned(&p->reasoned, version, type, sender); break;
    case MQTT_PINGREQ:
    case MQTT_PINGRESP: break;
    default: random_ack(&p->ack, version, type, sender);
    }
}

/* Encode p into a block of exactly its size and decode that into *out, which borrows from it. */
static uint8_t *through_the_wire(const struct mqtt_packet *p, int version, enum mqtt_side sender,
                                 struct mqtt_packet *out, size_t *out_size)
{
    size_t size = mqtt_encode_size(p, version);
    uint8_t *data = malloc(size);
    struct mqtt_frame frame;

    CHECK_INT(mqtt_encode(p, version, data, size), size);
    CHECK_INT(mqtt_frame(data, size, version, sender, UINT32_MAX, &frame), 0);
    CHECK_INT(frame.total, size);
    CHECK_INT(mqtt_decode(&frame, data, version, sender, out), 0);
    *out_size = size;
    return data;
}

static void one_round(int version, unsigned type, enum mqtt_side sender)
{
    struct mqtt_packet made, first, second;
    size_t first_size = 0, second_size = 0;
    uint8_t *a, *b;
    void *repeats;

    random_packet(&made, version, type, sender);
    a = through_the_wire(&made, version, sender, &first, &first_size);
    repeats = packet_keep_repeats(&first);
    b = through_the_wire(&first, version, sender, &second, &second_size);
    CHECK_BYTES(b, second_size, a, first_size);
    CHECK(packet_equal(&first, &second));
    free(repeats);
    free(a);
    free(b);
}

static void random_round_trips(void)
{
    enum { N = 0, C = MQTT_CLIENT, S = MQTT_SERVER, B = C | S };
    static const unsigned v3[16] =
        {
#define X(no, name, flags, v3, v5) [no] = v3,
            MQTT_PACKETS(X)
#undef X
        },
                          v5[16] = {
#define X(no, name, flags, v3, v5) [no] = v5,
                              MQTT_PACKETS(X)
#undef X
                          };

    for (unsigned i = 0; i < ROUNDS; i++) {
        int version = 3 + (int)any(3);
        unsigned type = 1 + any(15);
        enum mqtt_side sender = maybe() ? MQTT_CLIENT : MQTT_SERVER;

        if (((version == MQTT_V5 ? v5 : v3)[type] & sender) != 0)
            one_round(version, type, sender);
    }
}

TEST_MAIN(random_round_trips)

/* decode_connect: CONNECT, which says in its own first bytes how the rest is to be read. */
#include "mqtt/decode_priv.h"

#define MAX_CLIENT_ID_31 23 /* characters [MQTT 3.1, section 3.1] */

enum {
    FLAG_RESERVED = 0x01,
    FLAG_CLEAN_START = 0x02,
    FLAG_WILL = 0x04,
    FLAG_WILL_QOS = 0x18,
    FLAG_WILL_RETAIN = 0x20,
    FLAG_PASSWORD = 0x40,
    FLAG_USERNAME = 0x80,
};

static enum mqtt_version find_version(struct mqtt_str name, uint8_t level)
{
    if (mqtt_str_eq(name, MQTT_STR("MQTT")) && (level == MQTT_V311 || level == MQTT_V5))
        return (enum mqtt_version)level;
    if (mqtt_str_eq(name, MQTT_STR("MQIsdp")) && level == MQTT_V31)
        return (enum mqtt_version)level;
    return (enum mqtt_version)0;
}

/* Protocol name and level: the right pairs only [v5 MQTT-3.1.2-1] [v5 MQTT-3.1.2-2]
 * [v3 MQTT-3.1.2-1] [v3 MQTT-3.1.2-2]. */
static void read_version(struct mqtt_reader *r, struct mqtt_connect *out)
{
    struct mqtt_str name = mqtt__read_bin(r);
    uint8_t level = mqtt__read_u8(r);

    out->version = find_version(name, level);
    r->version = (uint8_t)out->version;
    mqtt__expect(r, r->version != 0, MQTT_RC_UNSUPPORTED_VERSION);
}

static bool flags_legal(uint8_t flags, int version)
{
    if ((flags & FLAG_RESERVED) != 0) /* [v5 MQTT-3.1.2-3] [v3 MQTT-3.1.2-3] */
        return false;
    if ((flags & FLAG_WILL_QOS) == FLAG_WILL_QOS) /* [v5 MQTT-3.1.2-12] [v3 MQTT-3.1.2-14] */
        return false;
    if ((flags & FLAG_WILL) == 0 && /* [v5 MQTT-3.1.2-11] [v5 MQTT-3.1.2-13] [v3 MQTT-3.1.2-11] */
        (flags & (FLAG_WILL_QOS | FLAG_WILL_RETAIN)) != 0)
        return false;
    if (version != MQTT_V5 && (flags & (FLAG_USERNAME | FLAG_PASSWORD)) == FLAG_PASSWORD)
        return false; /* [v3 MQTT-3.1.2-22] */
    return true;
}

static void read_flags(struct mqtt_reader *r, struct mqtt_connect *out)
{
    uint8_t flags = mqtt__read_u8(r);

    mqtt__expect(r, flags_legal(flags, r->version), MQTT_RC_MALFORMED_PACKET);
    out->clean_start = (flags & FLAG_CLEAN_START) != 0;
    out->has_will = (flags & FLAG_WILL) != 0;
    out->has_username = (flags & FLAG_USERNAME) != 0;
    out->has_password = (flags & FLAG_PASSWORD) != 0;
    out->will.qos = flags >> 3 & 0x03;
    out->will.retain = (flags & FLAG_WILL_RETAIN) != 0;
}

static void read_will(struct mqtt_reader *r, struct mqtt_will *out)
{
    int rc;

    mqtt__read_props(r, MQTT__WILL, &out->props);
    out->topic = mqtt__read_bin(r);
    rc = mqtt__name_fault(out->topic); /* [v5 MQTT-3.1.3-11] [v5 MQTT-4.7.0-1] [v3 MQTT-3.1.3-10] */
    mqtt__expect(r, rc == 0, rc);
    out->payload = mqtt__read_bin(r);
}

/* In 3.1 the length of the packet wins over the flags: one that ends here has no such field. */
static void read_credentials(struct mqtt_reader *r, struct mqtt_connect *out)
{
    if (r->version == MQTT_V31 && r->left == 0)
        out->has_username = false;
    if (out->has_username)
        out->username = mqtt__read_text(r); /* [v5 MQTT-3.1.3-12] [v3 MQTT-3.1.3-11] */
    if (r->version == MQTT_V31 && r->left == 0)
        out->has_password = false;
    if (out->has_password)
        out->password = mqtt__read_bin(r);
}

static uint32_t characters(struct mqtt_str s)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < s.len; i++)
        n += (s.p[i] & 0xC0) != 0x80; /* every byte but the second and later ones of a character */
    return n;
}

/* 5.0 leaves it to the server. */
static bool client_id_legal(const struct mqtt_connect *c)
{
    if (c->version == MQTT_V31)
        return c->client_id.len > 0 && characters(c->client_id) <= MAX_CLIENT_ID_31;
    if (c->version == MQTT_V311)
        return c->client_id.len > 0 || c->clean_start; /* [v3 MQTT-3.1.3-8] */
    return true;
}

void mqtt__decode_connect(struct mqtt_reader *r, struct mqtt_connect *out)
{
    read_version(r, out);
    read_flags(r, out);
    out->keep_alive_s = mqtt__read_u16(r);
    mqtt__read_props(r, MQTT_CONNECT, &out->props);
    out->client_id = mqtt__read_text(r); /* [v5 MQTT-3.1.3-4] [v3 MQTT-3.1.3-4] */
    if (out->has_will)
        read_will(r, &out->will);
    read_credentials(r, out);
    mqtt__expect(r, r->left == 0, MQTT_RC_MALFORMED_PACKET);
    /* The last check: only a CONNECT that is right otherwise gets an answer [v3 MQTT-3.1.4-1]. */
    mqtt__expect(r, client_id_legal(out), MQTT_RC_CLIENT_ID_NOT_VALID);
}

#include "storage/tests/mosquitto_support.h"

#include "base/assert.h"

#include <endian.h>
#include <string.h>

static void add(struct mosquitto_file *f, const void *bytes, size_t len)
{
    ASSERT(f->len + len <= sizeof f->data);
    memcpy(f->data + f->len, bytes, len);
    f->len += len;
}

static void add_u8(struct mosquitto_file *f, uint8_t v)
{
    add(f, &v, 1);
}

static void add_u16(struct mosquitto_file *f, size_t v)
{
    uint16_t be = htobe16((uint16_t)v);

    add(f, &be, sizeof be);
}

static void add_u32(struct mosquitto_file *f, size_t v)
{
    uint32_t be = htobe32((uint32_t)v);

    add(f, &be, sizeof be);
}

static void add_native(struct mosquitto_file *f, uint64_t v)
{
    add(f, &v, sizeof v);
}

static void add_head(struct mosquitto_file *f, uint32_t type, size_t len)
{
    add_u32(f, type);
    add_u32(f, len);
}

void mosquitto_file_begin(struct mosquitto_file *f, uint32_t version)
{
    f->len = 0;
    f->version = version;
    add(f, "\0\xb5\0mosquitto db", 15);
    add_u32(f, 0);
    add_u32(f, version);
    add_head(f, 1, 16);
    add_native(f, 99);
    add(f, "\1\x08\0\0\0\0\0", 8);
}

void mosquitto_file_message(struct mosquitto_file *f, uint64_t id, const char *topic,
                            const char *payload, uint8_t qos, uint8_t retain)
{
    add_head(f, 2, 32 + strlen(topic) + strlen(payload));
    add_native(f, id);
    add_native(f, 0);
    add_u32(f, strlen(payload));
    add_u16(f, 1);
    add_u16(f, 0);
    add_u16(f, 0);
    add_u16(f, strlen(topic));
    add_u16(f, 1883);
    add_u8(f, qos);
    add_u8(f, retain);
    add(f, topic, strlen(topic));
    add(f, payload, strlen(payload));
}

void mosquitto_file_client(struct mosquitto_file *f, const char *id, uint32_t expiry_s)
{
    add_head(f, 6, (f->version == 6 ? 24 : 16) + strlen(id));
    add_native(f, 0);
    add_u32(f, expiry_s);
    add_u16(f, 1);
    add_u16(f, strlen(id));
    if (f->version == 6)
        add(f, "\0\0\0\0\0\0\0", 8);
    add(f, id, strlen(id));
}

void mosquitto_file_delivery(struct mosquitto_file *f, const char *client, uint64_t message,
                             uint16_t packet_id, uint8_t qos, uint8_t state, uint8_t direction)
{
    add_head(f, 3, 16 + strlen(client));
    add_native(f, message);
    add_u16(f, packet_id);
    add_u16(f, strlen(client));
    add_u8(f, qos);
    add_u8(f, state);
    add_u8(f, 0);
    add_u8(f, direction);
    add(f, client, strlen(client));
}

void mosquitto_file_subscription(struct mosquitto_file *f, const char *client, const char *filter,
                                 uint8_t qos, uint8_t options)
{
    add_head(f, 5, 12 + strlen(client) + strlen(filter));
    add_u32(f, 0);
    add_u16(f, strlen(client));
    add_u16(f, strlen(filter));
    add_u8(f, qos);
    add_u8(f, options);
    add_u16(f, 0);
    add(f, client, strlen(client));
    add(f, filter, strlen(filter));
}

void mosquitto_file_retained(struct mosquitto_file *f, uint64_t message)
{
    add_head(f, 4, 8);
    add_native(f, message);
}

void mosquitto_file_chunk(struct mosquitto_file *f, uint32_t type, uint32_t len, const void *body,
                          size_t body_len)
{
    add_head(f, type, len);
    add(f, body, body_len);
}

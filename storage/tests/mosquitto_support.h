/* mosquitto_support: files as Mosquitto writes them, put together piece by piece. */
#ifndef STORAGE_TESTS_MOSQUITTO_SUPPORT_H
#define STORAGE_TESTS_MOSQUITTO_SUPPORT_H
#include <stddef.h>
#include <stdint.h>

struct mosquitto_file {
    unsigned char data[4096];
    size_t len;
    uint32_t version;
};

void mosquitto_file_begin(struct mosquitto_file *f, uint32_t version);
void mosquitto_file_message(struct mosquitto_file *f, uint64_t id, const char *topic,
                            const char *payload, uint8_t qos, uint8_t retain);
void mosquitto_file_client(struct mosquitto_file *f, const char *id, uint32_t expiry_s);
void mosquitto_file_delivery(struct mosquitto_file *f, const char *client, uint64_t message,
                             uint16_t packet_id, uint8_t qos, uint8_t state, uint8_t direction);
void mosquitto_file_subscription(struct mosquitto_file *f, const char *client, const char *filter,
                                 uint8_t qos, uint8_t options);
void mosquitto_file_retained(struct mosquitto_file *f, uint64_t message);

/* A chunk of any type, with a length that may be wrong. */
void mosquitto_file_chunk(struct mosquitto_file *f, uint32_t type, uint32_t len, const void *body,
                          size_t body_len);
#endif

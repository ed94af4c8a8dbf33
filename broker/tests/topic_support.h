/* topic_support: topics of few short levels made from bytes, random or a fuzzer's, so that filters
 * and names often match each other; and a topic tree played against a list of filters. */
#ifndef BROKER_TESTS_TOPIC_SUPPORT_H
#define BROKER_TESTS_TOPIC_SUPPORT_H
#include "mqtt/str.h"

#include <stddef.h>
#include <stdint.h>

/* Bytes that are used up one by one; zeros when there are none left. */
struct bytes {
    const uint8_t *p;
    size_t len, at;
};

uint8_t next_byte(struct bytes *b);

#define TOPIC_MAX 128

struct topic {
    uint8_t p[TOPIC_MAX];
    uint32_t len;
};

struct mqtt_str topic_str(const struct topic *t);

/* A valid name or filter: up to five levels; now and then more than a tree has room for at first.
 */
struct topic make_name(struct bytes *b);
struct topic make_filter(struct bytes *b);

/* Play the operations that the bytes stand for on a tree and on a list of filters, and look after
 * each whether both agree. 0, or the line of topic_support.c where they did not. */
int topic_tree_play(const uint8_t *data, size_t len);
#endif

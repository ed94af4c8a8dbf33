/* image_cache: the bytes of a PUBLISH, encoded once and copied to each subscriber: one image per
 * form in which the message at hand goes out (version 5 or older, QoS, RETAIN flag). A small
 * payload is part of the image, so that a delivery is a single copy. */
#ifndef BROKER_IMAGE_CACHE_H
#define BROKER_IMAGE_CACHE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMAGE_MAX 496 /* bytes; longer heads are encoded for each subscriber */

struct image {
    uint32_t packet_size; /* of the whole packet; 0: the head is too long for an image */
    uint16_t len;         /* bytes here: the whole packet, or only its head */
    uint16_t packet_id;   /* offset of the packet identifier; 0: none */
    uint8_t bytes[IMAGE_MAX];
};

struct image_cache {
    uint64_t uid;   /* of the message that the images are of; 0: none */
    uint32_t known; /* bit per form that is filled in */
    struct image images[12];
};

/* Index of a form; qos 0..2. */
static inline unsigned image_form(bool v5, unsigned qos, bool retain)
{
    return qos * 4 + (v5 ? 2u : 0u) + (retain ? 1u : 0u);
}
#endif

/* image: the bytes of a PUBLISH, encoded once for all subscribers that get it in the same form.
 *
 * At QoS 0 these are the same bytes for everyone who speaks the same version: they are put one
 * behind the other into pages that live for one turn of the loop, and a subscriber's output is a
 * range of such a page for as long as what it gets follows each other there. A fan-out to thousands
 * then copies nothing but in the kernel. At QoS 1 and 2 the packet identifier differs: the image is
 * copied and patched. */
#ifndef BROKER_IMAGE_H
#define BROKER_IMAGE_H
#include "broker/transport.h"

#include <stdbool.h>
#include <stdint.h>

struct mem;
struct publication;
struct image_page;

#define IMAGE_COPY_MAX   496   /* bytes of an image at QoS 1 or 2: the head, and a small payload */
#define IMAGE_SHARED_MAX 65536 /* bytes of a page: of all that is sent in one go */
#define IMAGE_PAGES_MAX  16    /* pages of a turn before everything is flushed in its middle */

struct image {
    const uint8_t *p;     /* in a page, with TRANSPORT_HEADROOM bytes in front; or in own */
    uint32_t len;         /* the whole packet, or only its head; 0: there is no image of it */
    uint32_t packet_size; /* of the whole packet */
    uint16_t packet_id;   /* offset of the packet identifier; 0: none */
};

enum { IMAGE_FORMS = 12 };

struct images {
    uint64_t uid;   /* of the message that the images are of; 0: none */
    uint32_t known; /* bit per form that is filled in */
    struct image v[IMAGE_FORMS];
    struct image_page *pages[4]; /* of QoS 0 forms; the current page first */
    unsigned n_pages;
    uint8_t own[IMAGE_FORMS][IMAGE_COPY_MAX];
};

/* The image of a publication in one form: version 5 or older, QoS 0..2, RETAIN flag. len is 0 when
 * it is too large for one, or out of memory. Valid until the next publication is asked for, its
 * bytes at QoS 0 until images_reset(). */
const struct image *image_get(struct images *is, struct mem *mem, const struct publication *pub,
                              bool v5, uint8_t qos, bool retain);

/* The end of a turn: no output refers to the pages any more. */
void images_reset(struct images *is, struct mem *mem);

/* Free everything. */
void images_fini(struct images *is, struct mem *mem);
#endif

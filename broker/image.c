/* image: see image.h. */
#include "broker/image.h"

#include "base/mem.h"
#include "broker/message.h"
#include "broker/purposes.h"
#include "mqtt/encode.h"

#include <string.h>

struct image_page {
    struct image_page *next;
    uint32_t used; /* bytes */
    uint8_t bytes[TRANSPORT_HEADROOM + IMAGE_SHARED_MAX];
};

#define HEAD_EXTRA 32 /* bound of a head beyond topic and properties */

static struct mqtt_publish_head head_of(const struct publication *pub, uint8_t qos, bool retain)
{
    return (struct mqtt_publish_head){.topic = pub->topic,
                                      .props = pub->props,
                                      .payload_len = pub->payload.len,
                                      .qos = qos,
                                      .retain = retain};
}

static int version_of(bool v5)
{
    return v5 ? MQTT_V5 : MQTT_V311;
}

/* ---- QoS 0: in a page ---- */

/* Room for n bytes behind the last image of this form, or at the start of a new page. */
static uint8_t *page_reserve(struct images *is, struct mem *mem, unsigned form, uint32_t n)
{
    struct image_page *page = is->pages[form];

    if (page == NULL || page->used + n > IMAGE_SHARED_MAX) {
        page = mem_try_alloc(mem, FOR_OUTPUT, sizeof *page);
        if (page == NULL)
            return NULL;
        page->next = is->pages[form];
        page->used = 0;
        is->pages[form] = page;
        is->n_pages++;
    }
    return page->bytes + TRANSPORT_HEADROOM + page->used;
}

static void fill_shared(struct images *is, struct mem *mem, const struct publication *pub, bool v5,
                        bool retain, struct image *im)
{
    struct mqtt_publish_head head = head_of(pub, 0, retain);
    uint64_t bound = (uint64_t)HEAD_EXTRA + pub->topic.len + pub->props.len + pub->payload.len;
    unsigned form = (v5 ? 2u : 0u) + (retain ? 1u : 0u);
    uint8_t *to = bound > IMAGE_SHARED_MAX ? NULL : page_reserve(is, mem, form, (uint32_t)bound);
    size_t none, len;

    im->len = 0;
    if (to == NULL)
        return;
    len = mqtt_encode_publish_head(&head, version_of(v5), to, (size_t)bound, &none);
    if (pub->payload.len > 0)
        memcpy(to + len, pub->payload.p, pub->payload.len);
    im->p = to;
    im->len = im->packet_size = (uint32_t)len + pub->payload.len;
    im->packet_id = 0;
    is->pages[form]->used += im->len;
}

/* ---- QoS 1 and 2: to be copied ---- */

static void fill_own(uint8_t *own, const struct publication *pub, bool v5, uint8_t qos, bool retain,
                     struct image *im)
{
    struct mqtt_publish_head head = head_of(pub, qos, retain);
    size_t packet_id = 0;
    size_t len = mqtt_encode_publish_head(&head, version_of(v5), own, IMAGE_COPY_MAX, &packet_id);

    im->p = own;
    im->len = (uint32_t)len;
    im->packet_size = (uint32_t)len + pub->payload.len;
    im->packet_id = (uint16_t)packet_id;
    if (len > 0 && pub->payload.len > 0 && im->packet_size <= IMAGE_COPY_MAX) {
        memcpy(own + len, pub->payload.p, pub->payload.len);
        im->len = im->packet_size;
    }
}

const struct image *image_get(struct images *is, struct mem *mem, const struct publication *pub,
                              bool v5, uint8_t qos, bool retain)
{
    unsigned form = qos * 4u + (v5 ? 2u : 0u) + (retain ? 1u : 0u);
    struct image *im = &is->v[form];

    if (is->uid != pub->uid) {
        is->uid = pub->uid;
        is->known = 0;
    }
    if ((is->known >> form & 1) != 0)
        return im;
    is->known |= 1u << form;
    if (qos == 0)
        fill_shared(is, mem, pub, v5, retain, im);
    else
        fill_own(is->own[form], pub, v5, qos, retain, im);
    return im;
}

/* ---- the end ---- */

/* Free the pages of a form but the first, which the next turn finds warm in the cache. */
static void drop_pages(struct images *is, struct mem *mem, unsigned form, bool all)
{
    struct image_page *page = is->pages[form];

    while (page != NULL && (all || page->next != NULL)) {
        struct image_page *next = page->next;

        mem_release(mem, FOR_OUTPUT, page);
        is->n_pages--;
        page = next;
    }
    if (page != NULL)
        page->used = 0;
    is->pages[form] = page;
}

void images_reset(struct images *is, struct mem *mem)
{
    if (is->uid == 0)
        return;
    is->uid = 0;
    for (unsigned form = 0; form < 4; form++)
        drop_pages(is, mem, form, false);
}

void images_fini(struct images *is, struct mem *mem)
{
    for (unsigned form = 0; form < 4; form++)
        drop_pages(is, mem, form, true);
}

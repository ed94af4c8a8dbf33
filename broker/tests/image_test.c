/* image_test: a PUBLISH encoded once for many, byte by byte what the encoder makes of it. */
#include "base/mem.h"
#include "base/test.h"
#include "broker/image.h"
#include "broker/message.h"
#include "broker/purposes.h"
#include "mqtt/encode.h"
#include "mqtt/packet.h"

static struct mem *mem;
static struct images images;
static uint8_t payload[100000];

static void setup(void)
{
    mem = mem_new();
    memset(&images, 0, sizeof images);
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 7);
}

static void teardown(void)
{
    images_fini(&images, mem);
    CHECK_INT(mem_used(mem, FOR_OUTPUT), 0);
    mem_free(&mem);
}

static struct publication sample(uint64_t uid, uint32_t payload_len)
{
    return (struct publication){.topic = MQTT_STR("sensor/1"),
                                .props = MQTT_STR("\x26\0\1k\0\1v"),
                                .payload = {payload, payload_len},
                                .uid = uid};
}

/* The packet as the encoder makes it, with 0 for its identifier. */
static size_t encode(const struct publication *pub, bool v5, uint8_t qos, bool retain, uint8_t *out,
                     size_t cap)
{
    struct mqtt_packet p = {.type = MQTT_PUBLISH};

    p.publish.topic = pub->topic;
    p.publish.payload = pub->payload;
    p.publish.qos = qos;
    p.publish.retain = retain;
    p.publish.props.encoded = pub->props;
    return mqtt_encode(&p, v5 ? MQTT_V5 : MQTT_V311, out, cap);
}

/* Each form, with payloads at the limits of what an image holds. */
static void test_forms(void)
{
    static const uint32_t sizes[] = {0, 1, 100, 464, 465, 466, 467, 468, 470, 480, 5000, 65000};
    static uint8_t want[70000];

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct publication pub = sample(i + 1, sizes[i]);

        setup();
        for (unsigned form = 0; form < IMAGE_FORMS; form++) {
            uint8_t qos = (uint8_t)(form / 4);
            bool v5 = (form & 2) != 0, retain = (form & 1) != 0;
            const struct image *im = image_get(&images, mem, &pub, v5, qos, retain);
            size_t size = encode(&pub, v5, qos, retain, want, sizeof want), head;

            CHECK_ROW_INT(i, im->packet_size, size);
            CHECK(image_get(&images, mem, &pub, v5, qos, retain) == im);
            if (qos == 0 || size <= IMAGE_COPY_MAX)
                CHECK_BYTES(im->p, im->len, want, size);
            head = size - sizes[i];
            if (qos > 0 && size > IMAGE_COPY_MAX)
                CHECK_BYTES(im->p, im->len, want, head);
            /* behind the topic, where the encoder puts it */
            CHECK_ROW_INT(i, im->packet_id, qos == 0 ? 0 : head - 2 - (v5 ? 1 + pub.props.len : 0));
        }
        teardown();
    }
}

/* Those of one form stand one behind the other, with room for the transport in front of the first;
 * they stay as they are when more come, also when that takes another page. */
static void test_pages(void)
{
    enum { N = 300 };
    static uint8_t copies[N][1100];
    const uint8_t *at[N];
    uint32_t len[N];
    unsigned breaks = 0;

    setup();
    for (unsigned i = 0; i < N; i++) {
        struct publication pub = sample(i + 1, i % 3 == 0 ? 10 : 1000);
        const struct image *im = image_get(&images, mem, &pub, true, 0, false);

        at[i] = im->p;
        len[i] = im->len;
        memcpy(copies[i], im->p, im->len);
        if (i == 0)
            memset((uint8_t *)(uintptr_t)im->p - TRANSPORT_HEADROOM, 0xee, TRANSPORT_HEADROOM);
        breaks += i > 0 && at[i] != at[i - 1] + len[i - 1];
    }
    CHECK_INT(images.n_pages, breaks + 1);
    CHECK_INT(breaks, 3); /* 200,000 bytes in pages of 65,536 */
    for (unsigned i = 0; i < N; i++)
        CHECK_ROW(i, memcmp(copies[i], at[i], len[i]) == 0);
    images_reset(&images, mem);
    CHECK_INT(images.n_pages, 1); /* kept for the next turn */
    images_reset(&images, mem);   /* nothing new */
    CHECK(image_get(&images, mem, &(struct publication){.topic = MQTT_STR("t"), .uid = 1}, true, 0,
                    false)
              ->p == at[0]); /* from its start */
    CHECK_INT(images.n_pages, 1);
    teardown();
}

static void test_too_large(void)
{
    struct publication pub = sample(1, 65536);
    static uint8_t topic[IMAGE_COPY_MAX];
    const struct image *im;

    setup();
    CHECK_INT(image_get(&images, mem, &pub, true, 0, false)->len, 0);
    CHECK_INT(images.n_pages, 0);
    memset(topic, 't', sizeof topic);
    pub.topic = (struct mqtt_str){topic, sizeof topic}; /* at QoS 1 the head has to fit */
    CHECK_INT(image_get(&images, mem, &pub, false, 1, false)->len, 0);
    pub.uid = 2;
    pub.topic.len = IMAGE_COPY_MAX - 8; /* 1 + 3 of length + 2 + topic + 2 */
    im = image_get(&images, mem, &pub, false, 1, false);
    CHECK_INT(im->len, IMAGE_COPY_MAX);
    CHECK_INT(im->packet_size, IMAGE_COPY_MAX + 65536);
    teardown();
}

/* Out of memory there is no image, and the next publication may have one. */
static void test_no_memory(void)
{
    struct publication pub = sample(1, 10);

    setup();
    mem_fail_at(mem, 1);
    CHECK_INT(image_get(&images, mem, &pub, true, 0, false)->len, 0);
    CHECK_INT(image_get(&images, mem, &pub, true, 0, false)->len, 0); /* remembered */
    pub.uid = 2;
    CHECK(image_get(&images, mem, &pub, true, 0, false)->len > 0);
    teardown();
}

TEST_MAIN(test_forms, test_pages, test_too_large, test_no_memory)

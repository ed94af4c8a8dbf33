/* decode_fuzz: a stream of packets. What decodes is encoded and decoded again and must be the same;
 * what does not gives a reason code. The first byte of the input chooses version and sender. */
#include "mqtt/decode.h"
#include "mqtt/encode.h"

#include "base/fuzz.h"
#include "mqtt/tests/must_support.h"
#include "mqtt/tests/packet_support.h"

/* Encode and decode *p, which must come out equal; returns the size that the encoder gave it. */
static size_t again(const struct mqtt_packet *p, int version, enum mqtt_side sender)
{
    size_t size = mqtt_encode_size(p, version);
    uint8_t *copy = malloc(size);
    struct mqtt_packet decoded;
    struct mqtt_frame frame;

    must(copy != NULL && mqtt_encode(p, version, copy, size) == size);
    must(mqtt_frame(copy, size, version, sender, UINT32_MAX, &frame) == 0 && frame.total == size);
    must(mqtt_decode(&frame, copy, version, sender, &decoded) == 0);
    must(packet_equal(p, &decoded));
    free(copy);
    return size;
}

static void step_through_filters(const struct mqtt_packet *p)
{
    struct mqtt_str filter;
    uint32_t at = 0, n = 0;
    uint8_t options;

    if (p->type != MQTT_SUBSCRIBE && p->type != MQTT_UNSUBSCRIBE)
        return;
    while (mqtt_filters_next(&p->subscribe, p->type == MQTT_UNSUBSCRIBE, &at, &filter, &options))
        n++;
    must(n == p->subscribe.count && at == p->subscribe.filters.len);
}

/* One whole packet, in a block of exactly its size. A good CONNECT sets *version. */
static void one_packet(const struct mqtt_frame *frame, const uint8_t *data, int *version,
                       enum mqtt_side sender)
{
    uint8_t *copy = malloc(frame->total);
    struct mqtt_packet p;
    void *repeats;
    int rc;

    must(copy != NULL);
    memcpy(copy, data, frame->total);
    rc = mqtt_decode(frame, copy, *version, sender, &p);
    must(rc == 0 || (rc >= 0x80 && mqtt_reason_text((uint8_t)rc)[0] != 'u'));
    if (rc == 0) {
        if (p.type == MQTT_CONNECT)
            *version = (int)p.connect.version;
        repeats = packet_keep_repeats(&p);
        must(again(&p, *version, sender) <= frame->total); /* the encoder takes the short forms */
        step_through_filters(&p);
        free(repeats);
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum mqtt_side sender;
    struct mqtt_frame frame;
    int version;

    if (size == 0)
        return 0;
    version = 3 + data[0] % 3;
    sender = data[0] / 3 % 2 == 0 ? MQTT_CLIENT : MQTT_SERVER;
    data++;
    size--;
    while (mqtt_frame(data, size, version, sender, UINT32_MAX, &frame) == 0) {
        one_packet(&frame, data, &version, sender);
        data += frame.total;
        size -= frame.total;
    }
    return 0;
}

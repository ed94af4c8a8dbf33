/* frame_fuzz: however a stream is cut, the packets in it and the fault at its end are the same. Of
 * the input, byte 0 chooses version and sender, byte 1 the size limit, byte 2 the pieces. */
#include "mqtt/frame.h"

#include "base/fuzz.h"
#include "mqtt/tests/must_support.h"

#define HEAD 3

struct stream {
    const uint8_t *data;
    size_t size;
    int version;
    enum mqtt_side sender;
    uint32_t max_size;
};

/* The first len bytes from at on, in a block of that size. */
static int frame_of(const struct stream *s, size_t at, size_t len, struct mqtt_frame *out)
{
    uint8_t *copy = malloc(len + 1);
    int rc;

    must(copy != NULL);
    memcpy(copy + 1, s->data + at, len); /* ends with the block */
    rc = mqtt_frame(copy + 1, len, s->version, s->sender, s->max_size, out);
    free(copy);
    return rc;
}

/* The packet at `at` as it grows by `step` bytes at a time must say what the whole stream says. */
static void grow(const struct stream *s, size_t at, size_t step, int want_rc,
                 const struct mqtt_frame *want)
{
    size_t left = s->size - at, len = 0;
    struct mqtt_frame f;
    int rc;

    while ((rc = frame_of(s, at, len, &f)) == -EAGAIN && len < left) {
        must(f.total == 0 || f.total == want->total);
        len = left - len < step ? left : len + step;
    }
    must(rc == want_rc);
    if (rc == 0 || rc == MQTT_RC_PACKET_TOO_LARGE)
        must(f.head == want->head && f.header_len == want->header_len &&
             f.body_len == want->body_len && f.total == want->total);
    if (rc == 0)
        must(f.total == f.header_len + f.body_len && f.total <= s->max_size && f.total <= len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stream s;
    struct mqtt_frame f;
    size_t at = 0;
    int rc;

    if (size < HEAD)
        return 0;
    s = (struct stream){.data = data + HEAD,
                        .size = size - HEAD,
                        .version = data[0] % 4 == 0 ? 0 : 2 + data[0] % 4,
                        .sender = data[0] / 4 % 2 == 0 ? MQTT_CLIENT : MQTT_SERVER,
                        .max_size = data[1] == 0 ? UINT32_MAX : data[1]};
    do {
        rc = mqtt_frame(s.data + at, s.size - at, s.version, s.sender, s.max_size, &f);
        grow(&s, at, 1 + data[2] % 16, rc, &f);
        at += rc == 0 ? f.total : 0;
    } while (rc == 0);
    return 0;
}

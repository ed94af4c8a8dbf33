/* apart: see apart.h. */
#include "ws/apart.h"

#include "base/assert.h"

#include <string.h>

#define FINAL_BINARY 0x82 /* [RFC 6455 5.2] */

/* The packet's whole size, from its fixed header [v5 2.1.4]. */
static uint32_t packet_size(const uint8_t *data, size_t len)
{
    uint32_t value = 0;

    for (unsigned i = 1; i <= 4; i++) {
        ASSERT(i < len);
        value |= (uint32_t)(data[i] & 0x7f) << (7 * (i - 1));
        if ((data[i] & 0x80) == 0)
            return value + 1 + i;
    }
    ASSERT(0); /* we have not encoded that */
    return 0;
}

static uint8_t *frame_head(uint8_t *out, size_t len)
{
    unsigned bytes = len < 126 ? 0 : len <= UINT16_MAX ? 2 : 8;

    *out++ = FINAL_BINARY;
    *out++ = (uint8_t)(bytes == 0 ? len : bytes == 2 ? 126 : 127);
    for (unsigned i = bytes; i > 0; i--)
        *out++ = (uint8_t)((uint64_t)len >> (8 * (i - 1)));
    return out;
}

size_t apart(uint8_t *out, const uint8_t *data, size_t len, uint32_t *left)
{
    uint8_t *at = out;

    while (len > 0) {
        uint32_t packet = *left > 0 ? *left : packet_size(data, len);
        size_t n = packet < len ? packet : len;

        at = frame_head(at, n);
        memcpy(at, data, n);
        at += n;
        data += n;
        len -= n;
        *left = packet - (uint32_t)n;
    }
    return (size_t)(at - out);
}

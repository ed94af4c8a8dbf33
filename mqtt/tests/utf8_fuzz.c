/* utf8_fuzz: against a decoder that computes each code point and judges that. */
#include "mqtt/utf8.h"

#include "base/fuzz.h"
#include "mqtt/tests/must_support.h"

/* Bytes of the sequence that a lead byte announces; 0: it is none. */
static size_t announced(uint8_t lead)
{
    if (lead < 0x80)
        return 1;
    if ((lead & 0xe0) == 0xc0)
        return 2;
    if ((lead & 0xf0) == 0xe0)
        return 3;
    return (lead & 0xf8) == 0xf0 ? 4 : 0;
}

/* The code point of n bytes, or UINT32_MAX: not a sequence, or longer than needed. */
static uint32_t code_point(const uint8_t *p, size_t n)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t c = n == 1 ? p[0] : p[0] & (0x7fu >> n);

    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return UINT32_MAX;
        c = c << 6 | (p[i] & 0x3fu);
    }
    return c < least[n] ? UINT32_MAX : c;
}

static bool naive(const uint8_t *p, size_t len, bool zero_is_fine)
{
    for (size_t at = 0, n; at < len; at += n) {
        uint32_t c;

        n = announced(p[at]);
        if (n == 0 || n > len - at)
            return false;
        c = code_point(p + at, n);
        if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) || (c == 0 && !zero_is_fine))
            return false;
    }
    return true;
}

/* The input and its first few tails: each alignment and each length of the last word. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (size_t from = 0; from <= size && from < 17; from++) {
        size_t len = size - from;
        uint8_t *p = malloc(len + (len == 0));
        struct mqtt_str s = {p, (uint32_t)len};

        must(p != NULL);
        if (len > 0)
            memcpy(p, data + from, len);
        must(mqtt_utf8_valid(s) == naive(p, len, false));
        must(mqtt_utf8_payload_valid(s) == naive(p, len, true));
        free(p);
    }
    return 0;
}

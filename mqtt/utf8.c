/* utf8: well-formed UTF-8 by the table of RFC 3629, section 4. Plain ASCII goes by eight bytes. */
#include "mqtt/utf8.h"

#include "mqtt/word_priv.h"

/* Bytes of the character that starts at p with a byte from 0x80 on: 2..4, or 0 when it is not one.
 * The narrower ranges of the second byte keep out overlong forms, surrogates and what is above
 * U+10FFFF. */
static uint32_t sequence(const uint8_t *p, uint32_t left)
{
    uint8_t lead = p[0];
    uint32_t n = lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
    uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;

    if (n == 0 || left < n || p[1] < low || p[1] > high)
        return 0;
    for (uint32_t i = 2; i < n; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return n;
}

static bool well_formed(struct mqtt_str s, uint64_t min)
{
    uint32_t at = 0;

    while (at < s.len) {
        uint32_t left = s.len - at, step = left < 8 ? left : 8, n = 1;

        /* The last word ends with the string and overlaps what was seen: no byte past the end. */
        if (s.len >= 8 && mqtt__word_plain(mqtt__word(s.p + at + step - 8), min)) {
            at += step;
            continue;
        }
        if (s.p[at] < min)
            return false;
        if (s.p[at] >= 0x80 && (n = sequence(s.p + at, left)) == 0)
            return false;
        at += n;
    }
    return true;
}

bool mqtt_utf8_valid(struct mqtt_str s)
{
    return well_formed(s, 1);
}

bool mqtt_utf8_payload_valid(struct mqtt_str s)
{
    return well_formed(s, 0);
}

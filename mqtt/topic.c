/* topic: wildcards and levels, byte by byte as the standard has it: no normalization
 * [v5 MQTT-4.7.3-4] [v3 MQTT-4.7.3-4]. Names are searched by eight bytes. */
#include "mqtt/topic.h"

#include "mqtt/decode_priv.h"
#include "mqtt/word_priv.h"

static bool is_wildcard(uint8_t c)
{
    return c == '+' || c == '#';
}

/* Offset of the first wildcard from at on, or len. A word that may have one is left to the second
 * loop. */
static uint32_t next_wildcard(struct mqtt_str s, uint32_t at)
{
    while (s.len - at >= 8 && !mqtt__word_wild(mqtt__word(s.p + at)))
        at += 8;
    while (at < s.len && !is_wildcard(s.p[at]))
        at++;
    return at;
}

static bool plain_part(const uint8_t *p)
{
    uint64_t word = mqtt__word(p);

    return mqtt__word_plain(word, 1) && !mqtt__word_wild(word);
}

/* All ASCII, no U+0000, no wildcard: right without a closer look, as most names are. From eight
 * bytes on: the last word ends with the name and overlaps the one before it. */
static bool plain_name(struct mqtt_str name)
{
    const uint8_t *p = name.p, *last;

    if (name.len < 8)
        return false;
    for (last = p + name.len - 8; p < last; p += 8)
        if (!plain_part(p))
            return false;
    return plain_part(last);
}

/* Apart from mqtt__name_fault(), which would have to save registers for it. */
__attribute__((noinline)) static int name_fault_in_full(struct mqtt_str name)
{
    if (name.len == 0)
        return MQTT_RC_PROTOCOL_ERROR;
    if (!mqtt_utf8_valid(name))
        return MQTT_RC_MALFORMED_PACKET;
    return mqtt_name_check(name) ? 0 : MQTT_RC_TOPIC_NAME_INVALID;
}

int mqtt__name_fault(struct mqtt_str name)
{
    return plain_name(name) ? 0 : name_fault_in_full(name);
}

bool mqtt_name_check(struct mqtt_str name)
{
    return name.len >= 1 && name.len <= UINT16_MAX && next_wildcard(name, 0) == name.len;
}

bool mqtt_filter_check(struct mqtt_str filter)
{
    if (filter.len < 1 || filter.len > UINT16_MAX)
        return false;
    for (uint32_t i = next_wildcard(filter, 0); i < filter.len; i = next_wildcard(filter, i + 1)) {
        bool last = i + 1 == filter.len;

        if (i > 0 && filter.p[i - 1] != '/')
            return false;
        if (!last && (filter.p[i] == '#' || filter.p[i + 1] != '/'))
            return false;
    }
    return true;
}

static uint32_t find_slash(struct mqtt_str s)
{
    const uint8_t *p = s.p;
    uint32_t at = 0;

    while (at < s.len && p[at] != '/')
        at++;
    return at;
}

int mqtt_share_parse(struct mqtt_str subscription, struct mqtt_str *out_share,
                     struct mqtt_str *out_filter)
{
    const struct mqtt_str prefix = MQTT_STR("$share/");
    struct mqtt_str share = {NULL, 0}, filter = subscription;

    if (subscription.len >= prefix.len && memcmp(subscription.p, prefix.p, prefix.len) == 0) {
        struct mqtt_str rest =
            mqtt_str_part(subscription, prefix.len, subscription.len - prefix.len);
        uint32_t slash = find_slash(rest);

        share = mqtt_str_part(rest, 0, slash);
        if (slash == rest.len || !mqtt_name_check(share))
            return MQTT_RC_TOPIC_FILTER_INVALID;
        filter = mqtt_str_part(rest, slash + 1, rest.len - slash - 1);
    }
    if (!mqtt_filter_check(filter))
        return MQTT_RC_TOPIC_FILTER_INVALID;
    *out_share = share;
    *out_filter = filter;
    return 0;
}

bool mqtt_filter_matches(struct mqtt_str filter, struct mqtt_str name)
{
    uint32_t n = 0;

    if (name.p[0] == '$' && is_wildcard(filter.p[0])) /* [v5 MQTT-4.7.2-1] [v3 MQTT-4.7.2-1] */
        return false;
    for (uint32_t f = 0; f < filter.len; f++) {
        if (filter.p[f] == '#')
            return true;
        if (filter.p[f] == '+') {
            while (n < name.len && name.p[n] != '/')
                n++;
            continue;
        }
        if (n == name.len) /* "a/#" matches "a" too [v5 4.7.1.2] */
            return filter.len - f == 2 && filter.p[f + 1] == '#';
        if (filter.p[f] != name.p[n++])
            return false;
    }
    return n == name.len;
}

uint32_t mqtt_topic_levels(struct mqtt_str topic)
{
    uint32_t levels = 1;

    for (uint32_t i = 0; i < topic.len; i++)
        levels += topic.p[i] == '/';
    return levels;
}

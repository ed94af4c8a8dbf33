/* str: a view of bytes on the wire or in a message: by value, never owns, not NUL-terminated. */
#ifndef MQTT_STR_H
#define MQTT_STR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct mqtt_str {
    const uint8_t *p; /* may be NULL when len is 0 */
    uint32_t len;     /* bytes; 0..65535 for strings, up to 268435455 for payloads */
};

#define MQTT_STR(literal) \
    ((struct mqtt_str){(const uint8_t *)("" literal), (uint32_t)sizeof(literal) - 1})

static inline bool mqtt_str_eq(struct mqtt_str a, struct mqtt_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

/* n bytes from offset at; the caller knows that they are inside. */
static inline struct mqtt_str mqtt_str_part(struct mqtt_str s, uint32_t at, uint32_t n)
{
    return (struct mqtt_str){s.p + at, n};
}
#endif

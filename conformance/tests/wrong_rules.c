/* wrong_rules: see wrong_rules.h. */
#include "conformance/tests/wrong_rules.h"

bool is(const struct passing *p, enum side side, unsigned type)
{
    return p->side == side && p->rc == 0 && p->as.type == type;
}

struct mqtt_str copy(struct hop *h, struct mqtt_str s)
{
    return arena_copy(&h->arena, s);
}

bool send_changed(struct hop *h, const struct passing *p, size_t at, uint8_t byte)
{
    struct mqtt_str bytes = copy(h, p->bytes);

    ((uint8_t *)(uintptr_t)bytes.p)[at] = byte;
    hop_send(h, p->side, bytes);
    return true;
}

bool send_bytes(struct hop *h, enum side from, const char *notation)
{
    hop_send(h, from, wire_compose(&h->arena, "%s", notation));
    return true;
}

bool resend(struct hop *h, enum side from, const struct mqtt_packet *p)
{
    hop_send_packet(h, from, p);
    return true;
}

bool passes_all(struct hop *h, const struct passing *p)
{
    (void)h;
    (void)p;
    return false;
}

struct mqtt_str props_without(struct hop *h, struct mqtt_str raw, uint8_t id)
{
    struct mqtt_property_view v;
    uint8_t *out = arena_alloc(&h->arena, raw.len + 1u);
    uint32_t at = 0, n = 0;

    while (mqtt_props_next(raw, &at, &v))
        if (v.id != id) {
            memcpy(out + n, v.encoded.p, v.encoded.len);
            n += v.encoded.len;
        }
    return (struct mqtt_str){out, n};
}

struct mqtt_str props_with(struct hop *h, struct mqtt_str raw, struct mqtt_str more)
{
    uint8_t *out = arena_alloc(&h->arena, (size_t)raw.len + more.len);

    if (raw.len > 0)
        memcpy(out, raw.p, raw.len);
    memcpy(out + raw.len, more.p, more.len);
    return (struct mqtt_str){out, raw.len + more.len};
}

void props_set(struct mqtt_props *props, struct mqtt_str raw)
{
    props->present = 0;
    props->encoded = raw;
}

const struct rule_set *const rule_sets[] = {&wrong_connect, &wrong_answers, &wrong_messages,
                                            &wrong_auth,    &wrong_ws,      NULL};

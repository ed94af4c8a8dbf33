/* describe: one function per packet, put together in a buffer that grows by the line. */
#include "conformance/describe.h"

#include "mqtt/reason.h"

#include <ctype.h>
#include <stdio.h>

#define TEXT_MAX  80u /* bytes of a string that are shown */
#define BYTES_MAX 48u

struct line {
    struct arena *arena;
    char text[1200];
    size_t n;
    int version;
};

__attribute__((format(printf, 2, 3))) static void put(struct line *l, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(l->text + l->n, sizeof l->text - l->n, format, args);
    va_end(args);
    if (n > 0)
        l->n += (size_t)n;
    if (l->n >= sizeof l->text)
        l->n = sizeof l->text - 1;
}

const char *describe_text(struct arena *a, struct mqtt_str s)
{
    uint32_t shown = s.len < TEXT_MAX ? s.len : TEXT_MAX;
    char *out = arena_alloc(a, 4u * shown + 40), *p = out;

    *p++ = '"';
    for (uint32_t i = 0; i < shown; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\' || !isprint(s.p[i]))
            p += sprintf(p, "\\x%02x", s.p[i]);
        else
            *p++ = (char)s.p[i];
    }
    *p++ = '"';
    if (shown < s.len)
        sprintf(p, "... (%u bytes)", s.len);
    return out;
}

const char *describe_bytes(struct arena *a, struct mqtt_str s)
{
    uint32_t shown = s.len < BYTES_MAX ? s.len : BYTES_MAX;
    char *out = arena_alloc(a, 3u * shown + 40), *p = out;

    for (uint32_t i = 0; i < shown; i++)
        p += sprintf(p, "%s%02x", i > 0 ? " " : "", s.p[i]);
    if (shown < s.len)
        sprintf(p, " ... (%u bytes)", s.len);
    return out;
}

const char *describe_reason(struct arena *a, uint8_t code, int version)
{
    if (version != MQTT_V5)
        return arena_printf(a, "%u", code);
    return arena_printf(a, "0x%02X %s", code, mqtt_reason_text(code));
}

const char *describe_version(int version)
{
    return version == MQTT_V5 ? "5.0" : version == MQTT_V311 ? "3.1.1" : "3.1";
}

static void put_text(struct line *l, const char *what, struct mqtt_str s)
{
    put(l, " %s %s", what, describe_text(l->arena, s));
}

/* ---- properties ---- */

static const char *property_name(uint8_t id)
{
    switch (id) {
#define X(number, name, ...) \
    case number: return #name;
        MQTT_PROPERTIES(X)
#undef X
    default: return "unknown property";
    }
}

static void put_property(struct line *l, const struct mqtt_property_view *v)
{
    put(l, ", %s", property_name(v->id));
    if (v->id == MQTT_PROP_user_property)
        put(l, " %s=%s", describe_text(l->arena, v->text), describe_text(l->arena, v->value));
    else if (v->text.p != NULL)
        put(l, " %s", describe_text(l->arena, v->text));
    else
        put(l, " %u", v->number);
}

static void put_props(struct line *l, const struct mqtt_props *props)
{
    struct mqtt_property_view v;
    uint32_t at = 0;

    if (l->version != MQTT_V5)
        return;
    while (mqtt_props_next(props->raw, &at, &v))
        put_property(l, &v);
}

/* ---- packets ---- */

static void put_connect(struct line *l, const struct mqtt_connect *c)
{
    put(l, " %s", describe_version((int)c->version));
    put_text(l, "client identifier", c->client_id);
    put(l, ", clean %d, keep alive %u s", c->clean_start, c->keep_alive_s);
    if (c->has_username)
        put_text(l, ", user", c->username);
    if (c->has_password)
        put(l, ", password");
    l->version = (int)c->version;
    put_props(l, &c->props);
    if (!c->has_will)
        return;
    put(l, ", Will QoS %u%s", c->will.qos, c->will.retain ? " retained" : "");
    put_text(l, "topic", c->will.topic);
    put_text(l, "payload", c->will.payload);
    put_props(l, &c->will.props);
}

static void put_publish(struct line *l, const struct mqtt_publish *p)
{
    put(l, " QoS %u%s%s", p->qos, p->dup ? " DUP" : "", p->retain ? " RETAIN" : "");
    if (p->qos > 0)
        put(l, " id %u", p->packet_id);
    put_text(l, "topic", p->topic);
    put_text(l, "payload", p->payload);
    put_props(l, &p->props);
}

static void put_filters(struct line *l, const struct mqtt_subscribe *s, bool unsubscribe)
{
    struct mqtt_str filter;
    uint32_t at = 0;
    uint8_t options;

    put(l, " id %u", s->packet_id);
    put_props(l, &s->props);
    while (mqtt_filters_next(s, unsubscribe, &at, &filter, &options)) {
        put_text(l, "filter", filter);
        if (!unsubscribe)
            put(l, " options 0x%02x", options);
    }
}

static void put_codes(struct line *l, const struct mqtt_suback *s)
{
    put(l, " id %u", s->packet_id);
    for (uint32_t i = 0; i < s->reasons.len && i < 16; i++)
        put(l, " 0x%02X", s->reasons.p[i]);
    put_props(l, &s->props);
}

static void put_reason(struct line *l, uint8_t reason)
{
    if (l->version == MQTT_V5)
        put(l, " %s", describe_reason(l->arena, reason, l->version));
}

const char *describe_packet(struct arena *a, const struct mqtt_packet *p, int version)
{
    struct line l = {.arena = a, .version = version};

    put(&l, "%s", mqtt_type_name(p->type));
    switch (p->type) {
    case MQTT_CONNECT: put_connect(&l, &p->connect); break;
    case MQTT_CONNACK:
        put(&l, " %s, session present %d", describe_reason(a, p->connack.reason, version),
            p->connack.session_present);
        put_props(&l, &p->connack.props);
        break;
    case MQTT_PUBLISH: put_publish(&l, &p->publish); break;
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP:
        put(&l, " id %u", p->ack.packet_id);
        put_reason(&l, p->ack.reason);
        put_props(&l, &p->ack.props);
        break;
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE: put_filters(&l, &p->subscribe, p->type == MQTT_UNSUBSCRIBE); break;
    case MQTT_SUBACK:
    case MQTT_UNSUBACK: put_codes(&l, &p->suback); break;
    case MQTT_DISCONNECT:
    case MQTT_AUTH:
        put_reason(&l, p->reasoned.reason);
        put_props(&l, &p->reasoned.props);
        break;
    default: break;
    }
    return arena_printf(a, "%s", l.text);
}

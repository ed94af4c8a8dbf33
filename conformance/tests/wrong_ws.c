/* wrong_ws: wrong WebSocket frames and handshakes. */
#include "conformance/tests/wrong_rules.h"

#include "conformance/ws.h"

static bool send_frame(struct hop *h, enum side side, const struct ws_frame *f)
{
    struct ws_frame again = *f;

    if (f->masked) { /* as it was parsed: masked; building masks again */
        again.payload = copy(h, f->payload);
        ws_mask((uint8_t *)(uintptr_t)again.payload.p, again.payload.len, f->mask);
    }
    again.announced = 0;
    hop_send(h, side, ws_build(&h->arena, &again));
    return true;
}

static bool ws_masked(struct hop *h, enum side side, const struct ws_frame *f)
{
    struct ws_frame g = *f;

    if (side != FROM_SERVER)
        return false;
    g.masked = true;
    g.announced = 0;
    memcpy(g.mask, "\1\2\3\4", 4);
    hop_send(h, side, ws_build(&h->arena, &g));
    return true;
}

static bool ws_text(struct hop *h, enum side side, const struct ws_frame *f)
{
    struct ws_frame g = *f;

    g.opcode = WS_TEXT;
    return side == FROM_SERVER && f->opcode == WS_BINARY && send_frame(h, side, &g);
}

static bool ws_long_length(struct hop *h, enum side side, const struct ws_frame *f)
{
    struct ws_frame g = *f;

    g.length_bytes = 8;
    return side == FROM_SERVER && f->opcode == WS_BINARY && send_frame(h, side, &g);
}

static bool ws_rsv(struct hop *h, enum side side, const struct ws_frame *f)
{
    struct ws_frame g = *f;

    g.rsv = 1;
    return side == FROM_SERVER && f->opcode == WS_BINARY && send_frame(h, side, &g);
}

static bool ws_no_pong(struct hop *h, enum side side, const struct ws_frame *f)
{
    (void)h;
    return side == FROM_SERVER && f->opcode == WS_PONG;
}

static bool ws_other_pong(struct hop *h, enum side side, const struct ws_frame *f)
{
    struct ws_frame g = *f;

    g.payload = MQTT_STR("something else");
    return side == FROM_SERVER && f->opcode == WS_PONG && send_frame(h, side, &g);
}

static bool ws_no_close(struct hop *h, enum side side, const struct ws_frame *f)
{
    (void)h;
    return side == FROM_SERVER && f->opcode == WS_CLOSE;
}

static bool ws_code_1005(struct hop *h, enum side side, const struct ws_frame *f)
{
    struct ws_frame g = *f;

    g.payload = MQTT_STR("\x03\xed"); /* 1005 */
    return side == FROM_SERVER && f->opcode == WS_CLOSE && send_frame(h, side, &g);
}

static bool ws_after_close(struct hop *h, enum side side, const struct ws_frame *f)
{
    struct ws_frame ping = {.fin = true, .opcode = WS_PING, .length_bytes = 1};

    if (side != FROM_SERVER || f->opcode != WS_CLOSE)
        return false;
    send_frame(h, side, f);
    return send_frame(h, side, &ping);
}

static bool ws_bad_fragments(struct hop *h, enum side side, const struct ws_frame *f)
{
    struct ws_frame a = *f, b = *f;

    if (side != FROM_SERVER || f->opcode != WS_BINARY || f->payload.len < 2)
        return false;
    a.fin = false;
    a.payload = mqtt_str_part(f->payload, 0, 1);
    b.payload = mqtt_str_part(f->payload, 1, f->payload.len - 1);
    send_frame(h, side, &a);
    return send_frame(h, side, &b);
}

static bool ws_long_control(struct hop *h, enum side side, const struct ws_frame *f)
{
    struct ws_frame g = *f;
    char *text = arena_alloc(&h->arena, 200);

    memset(text, 'x', 200);
    g.payload = (struct mqtt_str){(const uint8_t *)text, 200};
    g.length_bytes = 1;
    return side == FROM_SERVER && f->opcode == WS_PONG && send_frame(h, side, &g);
}

/* What is wrong in a client's frame is set right before the server sees it. */
static bool ws_takes_unmasked(struct hop *h, enum side side, const struct ws_frame *f)
{
    struct ws_frame g = *f;

    if (side != FROM_CLIENT || f->masked)
        return false;
    g.masked = true;
    g.announced = 0;
    hop_send(h, side, ws_build(&h->arena, &g));
    return true;
}

static bool ws_takes_text(struct hop *h, enum side side, const struct ws_frame *f)
{
    struct ws_frame g = *f;

    g.opcode = WS_BINARY;
    return side == FROM_CLIENT && f->opcode == WS_TEXT && send_frame(h, side, &g);
}

static bool ws_takes_rsv(struct hop *h, enum side side, const struct ws_frame *f)
{
    struct ws_frame g = *f;

    g.rsv = 0;
    return side == FROM_CLIENT && f->rsv != 0 && send_frame(h, side, &g);
}

static bool ws_takes_opcode(struct hop *h, enum side side, const struct ws_frame *f)
{
    struct ws_frame g = *f;

    g.opcode = WS_BINARY;
    return side == FROM_CLIENT && f->opcode > 2 && f->opcode < 8 && send_frame(h, side, &g);
}

static bool ws_takes_long_ping(struct hop *h, enum side side, const struct ws_frame *f)
{
    (void)h;
    return side == FROM_CLIENT && f->opcode == WS_PING && f->payload.len > 125;
}

/* The head with another text in the place of one. */
static const char *replaced(struct hop *h, const char *text, const char *old, const char *new)
{
    const char *at = strstr(text, old);

    return at == NULL
               ? text
               : arena_printf(&h->arena, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
}

/* Name of a header, as the server writes it: in any case of letters. */
static const char *header_replaced(struct hop *h, const char *text, const char *name,
                                   const char *value)
{
    const char *at = strcasestr(text, name), *end;

    if (at == NULL)
        return text;
    at += strlen(name);
    end = strstr(at, "\r\n");
    return arena_printf(&h->arena, "%.*s %s%s", (int)(at - text), text, value, end);
}

static const char *ws_passes_all(struct hop *h, enum side side, const char *text)
{
    (void)h;
    (void)side;
    return text;
}

static const char *ws_wrong_accept(struct hop *h, enum side side, const char *text)
{
    return side == FROM_CLIENT
               ? text
               : header_replaced(h, text, "sec-websocket-accept:", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=");
}

static const char *ws_echoes_offer(struct hop *h, enum side side, const char *text)
{
    if (side == FROM_CLIENT && strstr(text, "foo, mqtt") != NULL)
        h->count = 1;
    return side == FROM_SERVER && h->count == 1
               ? header_replaced(h, text, "sec-websocket-protocol:", "foo, mqtt")
               : text;
}

static const char *ws_selects_always(struct hop *h, enum side side, const char *text)
{
    if (side == FROM_CLIENT && strstr(text, "Sec-WebSocket-Protocol: foo\r\n") != NULL)
        return replaced(h, text, "Protocol: foo\r\n", "Protocol: mqtt\r\n");
    return text;
}

static const char *ws_any_extension(struct hop *h, enum side side, const char *text)
{
    return side == FROM_CLIENT
               ? text
               : replaced(h, text, "\r\n\r\n", "\r\nSec-WebSocket-Extensions: x-new\r\n\r\n");
}

static const char *ws_any_version(struct hop *h, enum side side, const char *text)
{
    return side == FROM_SERVER
               ? text
               : replaced(h, text, "Sec-WebSocket-Version: 8", "Sec-WebSocket-Version: 13");
}

static const char *ws_no_host(struct hop *h, enum side side, const char *text)
{
    return side == FROM_SERVER || strcasestr(text, "\r\nhost:") != NULL
               ? text
               : replaced(h, text, "\r\n", "\r\nHost: a\r\n");
}

static const char *ws_no_upgrade_needed(struct hop *h, enum side side, const char *text)
{
    return side == FROM_SERVER || strcasestr(text, "\r\nupgrade:") != NULL
               ? text
               : replaced(h, text, "\r\n", "\r\nUpgrade: websocket\r\n");
}

static const char *ws_upgrade_to_foo(struct hop *h, enum side side, const char *text)
{
    return side == FROM_CLIENT ? text : header_replaced(h, text, "\r\nupgrade:", "foo");
}

/* clang-format off */
static const struct rule rules[] = {
    HEAD("ws_honest",               ws_passes_all,          "-"),
    FRAME_CASE("ws_masked",              ws_masked,              "WS-FR-02", "ws_every_version"),
    FRAME_CASE("ws_text",                ws_text,                "MQTT-6.0.0-1", "ws_every_version"),
    FRAME_CASE("ws_long_length",         ws_long_length,         "WS-FR-06", "ws_every_version"),
    FRAME_CASE("ws_rsv",                 ws_rsv,                 "WS-FR-12", "ws_every_version"),
    FRAME("ws_no_pong",             ws_no_pong,             "WS-CT-03"),
    FRAME("ws_other_pong",          ws_other_pong,          "WS-CT-03"),
    FRAME("ws_no_close",            ws_no_close,            "WS-CT-05"),
    FRAME("ws_close_code",          ws_code_1005,           "WS-CT-09"),
    FRAME_CASE("ws_after_close",         ws_after_close,         "WS-CT-07", "ws_close"),
    FRAME_CASE("ws_bad_fragments",       ws_bad_fragments,       "WS-FG-05", "ws_every_version"),
    FRAME_CASE("ws_long_control",        ws_long_control,        "WS-CT-14", "ws_ping"),
    FRAME("ws_takes_unmasked",      ws_takes_unmasked,      "WS-FR-01"),
    FRAME("ws_takes_text",          ws_takes_text,          "MW-02"),
    FRAME("ws_takes_rsv",           ws_takes_rsv,           "WS-FR-04"),
    FRAME("ws_takes_opcode",        ws_takes_opcode,        "WS-FR-05"),
    FRAME("ws_takes_long_ping",     ws_takes_long_ping,     "WS-CT-01"),
    HEAD("ws_wrong_accept",         ws_wrong_accept,        "WS-HS-11"),
    HEAD("ws_echoes_offer",         ws_echoes_offer,        "MQTT-6.0.0-4"),
    HEAD("ws_selects_always",       ws_selects_always,      "WS-HS-12"),
    HEAD("ws_any_extension",        ws_any_extension,       "WS-HS-14"),
    HEAD("ws_any_version",          ws_any_version,         "WS-HS-06"),
    HEAD("ws_no_host",              ws_no_host,             "WS-HS-02"),
    HEAD("ws_no_upgrade_needed",    ws_no_upgrade_needed,   "WS-HS-03"),
    HEAD("ws_upgrade_to_foo",       ws_upgrade_to_foo,      "WS-HS-10"),
};
/* clang-format on */

const struct rule_set wrong_ws = {rules, ARRAY_LEN(rules)};

/* ws_handshake: the opening handshake of WebSocket.                 [RFC 6455 4.2] [v5 6] [v3 6] */
#include "conformance/cases/chapters.h"

#include <stdlib.h>

/* A request made by hand: its lines without CR LF, "" for none, NULL for the usual one. */
struct request {
    const char *start, *host, *upgrade, *connection, *key, *version, *protocol;
    const char *more; /* further lines, each with CR LF */
};

static const char *line(struct scene *s, const char *given, const char *usual)
{
    const char *text = given == NULL ? usual : given;

    return *text == '\0' ? "" : arena_printf(&s->arena, "%s\r\n", text);
}

static const char *request_text(struct scene *s, const struct target *t, const struct request *r)
{
    struct arena *a = &s->arena;
    uint64_t random[2] = {scene_random(s), scene_random(s)};
    const char *key = arena_printf(a, "Sec-WebSocket-Key: %s", ws_key(a, (const uint8_t *)random));

    return arena_printf(
        a, "%s%s%s%s%s%s%s%s%s\r\n", line(s, r->start, arena_printf(a, "GET %s HTTP/1.1", t->path)),
        line(s, r->host, arena_printf(a, "Host: %s:%s", t->host, t->port)),
        line(s, r->upgrade, "Upgrade: websocket"), line(s, r->connection, "Connection: Upgrade"),
        line(s, r->key, key), line(s, r->version, "Sec-WebSocket-Version: 13"),
        line(s, r->protocol, "Sec-WebSocket-Protocol: mqtt"), t->headers,
        r->more == NULL ? "" : r->more);
}

static struct client *ask_for(struct scene *s, const struct request *r)
{
    struct client *c = client_open_raw(s, NULL);

    client_upgrade(c, request_text(s, c->target, r));
    return c;
}

#define ASK(s, ...) ask_for((s), &(struct request){__VA_ARGS__})

static unsigned status_of(const struct client *c)
{
    return c->upgrade.status;
}

static const char *header(struct client *c, const char *name)
{
    return ws_header(&c->scene->arena, &c->upgrade, name, 0);
}

static void must_be_refused(struct client *c, const char *what)
{
    MUST(c->scene, status_of(c) != 101, "%s: upgraded %s", c->name, what);
    SHOULD(c->scene, status_of(c) >= 400, "%s: %s is answered with status %u, expected 4xx",
           c->name, what, status_of(c));
    client_close(c, false);
}

static void must_be_accepted(struct client *c, const char *what)
{
    MUST(c->scene, status_of(c) == 101, "%s: not upgraded %s: status %u", c->name, what,
         status_of(c));
    client_close(c, false);
}

/* ---- the request ---- */

static void method_and_version(struct scene *s)
{
    const char *path = s->at.target->path;

    must_be_refused(ASK(s, .start = arena_printf(&s->arena, "POST %s HTTP/1.1", path),
                        .more = "Content-Length: 0\r\n"),
                    "upon POST");
    must_be_refused(ASK(s, .start = arena_printf(&s->arena, "GET %s HTTP/1.0", path)),
                    "upon HTTP/1.0");
}

static void host(struct scene *s)
{
    must_be_refused(ASK(s, .host = ""), "without Host");
}

static void upgrade(struct scene *s)
{
    must_be_accepted(ASK(s, .upgrade = "Upgrade: WebSocket"), "with another case of letters");
    must_be_refused(ASK(s, .upgrade = ""), "without Upgrade");
    must_be_refused(ASK(s, .upgrade = "Upgrade: foo"), "to something else");
}

static void connection(struct scene *s)
{
    must_be_accepted(ASK(s, .connection = "Connection: keep-alive, upgrade"), "from a list");
    must_be_refused(ASK(s, .connection = "Connection: keep-alive"), "without being asked");
}

static void key(struct scene *s)
{
    static const char *const wrong[] = {
        "Sec-WebSocket-Key: YWFhYWFhYWFhYWFhYWFh",     /* 15 bytes */
        "Sec-WebSocket-Key: YWFhYWFhYWFhYWFhYWFhYWE=", /* 17 bytes */
        "Sec-WebSocket-Key: not base64 at all",
    };

    must_be_refused(ASK(s, .key = ""), "without a key");
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        SHOULD(s, status_of(ASK(s, .key = wrong[i])) != 101, "upgraded with a key that is none: %s",
               wrong[i]);
}

static void version(struct scene *s)
{
    static const char *const wrong[] = {"Sec-WebSocket-Version: 8", "Sec-WebSocket-Version: 14"};

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct client *c = ASK(s, .version = wrong[i]);

        MUST(s, status_of(c) != 101, "upgraded with %s", wrong[i]);
        MUST(s, status_of(c) != 0 && ws_has_token(header(c, "Sec-WebSocket-Version"), "13"),
             "%s: the answer does not say which version is known", wrong[i]);
    }
    must_be_refused(ASK(s, .version = ""), "without a version");
}

/* Names in letters of any case, order, cookies and unknown headers mean nothing. */
static void any_case_and_order(struct scene *s)
{
    struct client *c = ASK(s, .host = "", .upgrade = "", .connection = "", .protocol = "",
                           .version = "sec-websocket-version: 13",
                           .more = arena_printf(&s->arena,
                                                "x-unknown: a, b; c=d\r\nCookie: a=b; c=d\r\n"
                                                "SEC-WEBSOCKET-PROTOCOL: mqtt\r\n"
                                                "connection: Upgrade\r\nhost: %s:%s\r\n"
                                                "UPGRADE: websocket\r\nAccept: */*\r\n",
                                                s->at.target->host, s->at.target->port));

    must_be_accepted(c, "with its headers in another order");
}

static void not_http(struct scene *s)
{
    const char *const requests[] = {
        "no HTTP at all\r\n\r\n",
        "\x16\x03\x01\x02\x03\xff\xfe garbage \r\n\r\n",
        arena_printf(
            &s->arena,
            "GET %s HTTP/1.1\r\nHost: a\r\na line without a colon\r\nUpgrade: websocket\r\n"
            "\r\n",
            s->at.target->path),
        arena_printf(&s->arena, "GET %s HTTP/1.1\r\nHost: a\r\nx-long: %s\r\n\r\n",
                     s->at.target->path, payload_of(s, 70000)),
    };

    for (size_t i = 0; i < ARRAY_LEN(requests); i++) {
        struct client *c = client_open_raw(s, NULL);

        client_upgrade(c, requests[i]);
        MUST(s, status_of(c) != 101, "upgraded upon what is no request");
        MUST(s, status_of(c) >= 400 || c->ended,
             "what is no request is answered neither with an error nor with the end");
        client_close(c, false);
    }
}

static void in_pieces(struct scene *s)
{
    struct client *c = client_open_raw(s, NULL);
    struct request usual = {.start = NULL};
    const char *text_of_it = request_text(s, c->target, &usual);
    size_t n = strlen(text_of_it);

    for (size_t i = 0; i + 2 < n; i += 2) {
        client_send_raw(c, (struct mqtt_str){(const uint8_t *)text_of_it + i, 2});
        if (i % 16 == 0)
            scene_poll(s, clock_us() + 100);
    }
    MUST(s, client_upgrade(c, text_of_it + (n - 1) / 2 * 2), "not upgraded: status %u",
         status_of(c));
    client_send(c, HAND_CONNECT(s, .name = NULL)); /* right behind it */
    client_take(c, MQTT_CONNACK, NULL);
}

/* ---- the answer ---- */

static void answer(struct scene *s)
{
    struct client *c = client_open_raw(s, NULL);
    const char *proof, *accept;
    bool upgraded = client_upgrade(c, client_upgrade_request(c, "mqtt", "", &proof));

    MUST_BY(s, "WS-HS-09", upgraded && strncmp(c->upgrade.head, "HTTP/1.1 101", 12) == 0,
            "the answer is not HTTP/1.1 101");
    MUST_BY(s, "WS-HS-10", ws_has_token(header(c, "Upgrade"), "websocket"),
            "Upgrade in the answer is not websocket");
    MUST_BY(s, "WS-HS-10", ws_has_token(header(c, "Connection"), "Upgrade"),
            "Connection in the answer is not Upgrade");
    accept = header(c, "Sec-WebSocket-Accept");
    MUST_BY(s, "WS-HS-11", accept != NULL && strcmp(accept, ws_accept(&s->arena, proof)) == 0,
            "Sec-WebSocket-Accept is %s, expected %s", accept == NULL ? "missing" : accept,
            ws_accept(&s->arena, proof));
    MUST_BY(s, "WS-HS-11", ws_header(&s->arena, &c->upgrade, "Sec-WebSocket-Accept", 1) == NULL,
            "Sec-WebSocket-Accept is there twice");
    client_send(c, HAND_CONNECT(s, .name = NULL));
    MUST_BY(s, "WS-HS-09", client_take(c, 0, "WS-HS-09")->as.type == MQTT_CONNACK,
            "something else than frames follows the answer");
}

static void accept_of_the_standard(struct scene *s)
{
    struct client *c = ASK(s, .key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==");
    const char *accept = header(c, "Sec-WebSocket-Accept");

    MUST(s, accept != NULL && strcmp(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == 0,
         "the key of RFC 6455 is answered with %s", accept == NULL ? "nothing" : accept);
}

/* ---- subprotocols ---- */

static void selects_mqtt(struct scene *s)
{
    struct client *c = ASK(s, .protocol = "Sec-WebSocket-Protocol: foo, mqtt");
    const char *selected = header(c, "Sec-WebSocket-Protocol");

    MUST(s, status_of(c) == 101 && selected != NULL && strcmp(selected, "mqtt") == 0,
         "foo and mqtt are offered; status %u, selected %s", status_of(c),
         selected == NULL ? "nothing" : selected);
}

static void selects_what_is_offered(struct scene *s)
{
    struct client *c = ASK(s, .protocol = "");

    MUST(s, status_of(c) != 101 || header(c, "Sec-WebSocket-Protocol") == NULL,
         "nothing is offered, and %s is selected", header(c, "Sec-WebSocket-Protocol"));
    c = ASK(s, .protocol = "Sec-WebSocket-Protocol: foo");
    MUST(s, status_of(c) != 101 || header(c, "Sec-WebSocket-Protocol") == NULL,
         "foo is offered, and %s is selected", header(c, "Sec-WebSocket-Protocol"));
    c = ASK(s, .protocol = "Sec-WebSocket-Protocol: mqtt");
    MUST(s,
         header(c, "Sec-WebSocket-Protocol") != NULL &&
             ws_header(&s->arena, &c->upgrade, "Sec-WebSocket-Protocol", 1) == NULL,
         "mqtt is offered, and not selected once");
}

static void offers_in_lines(struct scene *s)
{
    struct client *c = ASK(s, .protocol = "Sec-WebSocket-Protocol: foo\r\n"
                                          "Sec-WebSocket-Protocol: mqtt");
    const char *selected = header(c, "Sec-WebSocket-Protocol");

    MUST(s, status_of(c) == 101 && selected != NULL && strcmp(selected, "mqtt") == 0,
         "mqtt in a second header is not selected: status %u", status_of(c));
    c = ASK(s, .protocol = "Sec-WebSocket-Protocol:  foo ,mqtt ");
    selected = header(c, "Sec-WebSocket-Protocol");
    MUST(s, status_of(c) == 101 && selected != NULL && strcmp(selected, "mqtt") == 0,
         "mqtt is not selected when blanks stand elsewhere: status %u", status_of(c));
}

/* ---- extensions ---- */

static void no_extension(struct scene *s)
{
    struct client *c = ASK(s, .more = "");

    MUST(s, header(c, "Sec-WebSocket-Extensions") == NULL, "%s was not offered",
         header(c, "Sec-WebSocket-Extensions"));
    c = ASK(s, .more = "Sec-WebSocket-Extensions: permessage-foo; bar=1\r\n"
                       "Sec-WebSocket-Extensions: x-baz\r\n");
    MUST(s, status_of(c) != 101 || header(c, "Sec-WebSocket-Extensions") == NULL,
         "an extension is selected that nobody knows: %s", header(c, "Sec-WebSocket-Extensions"));
}

static void extension_grammar(struct scene *s)
{
    struct client *c = ASK(s, .more = "Sec-WebSocket-Extensions: ;=;\r\n");

    MUST(s, status_of(c) != 101 || header(c, "Sec-WebSocket-Extensions") == NULL,
         "an extension is selected from what is no offer");
}

/* ---- the rest ---- */

static void unlikely_path(struct scene *s)
{
    struct client *c = ASK(s, .start = arena_printf(&s->arena, "GET /%s HTTP/1.1", s->tag));

    MUST(s, status_of(c) == 101 || status_of(c) >= 400,
         "a path that is nothing is answered with status %u", status_of(c));
}

/* Plain HTTP to a port with TLS. */
static void plain_to_tls(struct scene *s)
{
    struct target *plain = arena_alloc(&s->arena, sizeof *plain);
    struct request usual = {.start = NULL};
    struct client *c;

    *plain = *s->at.target;
    plain->tls = false;
    c = client_open_raw(s, plain);
    client_upgrade(c, request_text(s, plain, &usual));
    MUST(s, status_of(c) != 101, "upgraded without TLS on a port with TLS");
}

/* clang-format off */
#define WS (ONLY_WEBSOCKET | ONCE)
CHAPTER(ws_handshake, "WebSocket: opening handshake",
    {"ws_method",           method_and_version,      "WS-HS-01", NULL, NULL, WS},
    {"ws_host",             host,                    "WS-HS-02", NULL, NULL, WS},
    {"ws_upgrade",          upgrade,                 "WS-HS-03", NULL, NULL, WS},
    {"ws_connection",       connection,              "WS-HS-04", NULL, NULL, WS},
    {"ws_key",              key,                     "WS-HS-05", NULL, NULL, WS},
    {"ws_version",          version,                 "WS-HS-06", NULL, NULL, WS},
    {"ws_header_order",     any_case_and_order,      "WS-HS-07", NULL, NULL, WS},
    {"ws_not_http",         not_http,                "WS-HS-08", NULL, NULL, WS},
    {"ws_answer",           answer,                  "WS-HS-09 WS-HS-10 WS-HS-11", NULL, NULL, WS},
    {"ws_accept",           accept_of_the_standard,  "WS-HS-11", NULL, NULL, WS},
    {"ws_subprotocol",      selects_mqtt,            "6.0.0-4 WS-HS-12", "6.0.0-4", NULL, ONLY_WEBSOCKET},
    {"ws_subprotocol_offered", selects_what_is_offered, "WS-HS-12", NULL, NULL, WS},
    {"ws_subprotocol_lines", offers_in_lines,        "WS-HS-13", NULL, NULL, WS},
    {"ws_extension",        no_extension,            "WS-HS-14", NULL, NULL, WS},
    {"ws_extension_grammar", extension_grammar,      "WS-HS-15", NULL, NULL, WS},
    {"ws_path",             unlikely_path,           "WS-HS-17", NULL, NULL, WS},
    {"ws_plain_to_tls",     plain_to_tls,            "WS-HS-18", NULL, NULL, WS | ONLY_TLS},
    {"ws_request_in_pieces", in_pieces,              "WS-HS-20", NULL, NULL, WS},
);
/* clang-format on */

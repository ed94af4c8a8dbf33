/* upgrade: the HTTP request in front of a WebSocket. What is refused gets an answer whose body says
 * what is wrong and what to do.                                            [RFC 6455 4.2] [v5 6] */
#include "base/assert.h"
#include "base/str.h"
#include "broker/shard.h"
#include "ws/ws_priv.h"

#include <stdio.h>
#include <string.h>

#define VALUE_MAX 128 /* bytes of a header's value that libwebsockets looks at itself */

/* ---- headers ---- */

/* All lines of this header, joined by commas; empty when it is absent, or too long to be sane. */
static struct str header(const struct link *k, enum lws_token_indexes which, char *out)
{
    int n = lws_hdr_copy(k->wsi, out, VALUE_MAX, which);

    return (struct str){out, n > 0 ? (size_t)n : 0};
}

static bool given_once(const struct link *k, enum lws_token_indexes which)
{
    return lws_hdr_total_length(k->wsi, which) > 0 &&
           lws_hdr_fragment_length(k->wsi, which, 1) == 0;
}

static bool list_has(struct str list, const char *word)
{
    while (list.p != NULL)
        if (str_eq_nocase(str_trim(str_cut(&list, ',')), str_from(word)))
            return true;
    return false;
}

/* ---- what a request must be ---- */

static bool is_http_1_1(const struct link *k)
{
    char v[VALUE_MAX];

    return str_eq(header(k, WSI_TOKEN_HTTP, v), STR("HTTP/1.1"));
}

static bool has_host(const struct link *k)
{
    return given_once(k, WSI_TOKEN_HOST);
}

static bool wants_upgrade(const struct link *k)
{
    char v[VALUE_MAX];

    return list_has(header(k, WSI_TOKEN_CONNECTION, v), "upgrade");
}

static bool has_version(const struct link *k)
{
    char v[VALUE_MAX];

    return str_eq(header(k, WSI_TOKEN_VERSION, v), STR("13"));
}

/* 16 bytes in base64: 22 digits, of which the last stands for two bits only. */
static bool has_key(const struct link *k)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char v[VALUE_MAX];
    struct str key = header(k, WSI_TOKEN_KEY, v);

    return given_once(k, WSI_TOKEN_KEY) && key.len == 24 && strspn(v, digits) == 22 &&
           strchr("AQgw", v[21]) != NULL && strcmp(v + 22, "==") == 0;
}

static bool known_subprotocol(struct str name)
{
    for (const struct lws_protocols *p = link_protocols; p->name != NULL; p++)
        if (str_eq(name, str_from(p->name)))
            return true;
    return false;
}

/* Is one of ours in the client's list? Its order decides, which lws sees to. */
static bool offers_mqtt(const struct link *k)
{
    char v[VALUE_MAX];
    struct str rest = header(k, WSI_TOKEN_PROTOCOL, v);

    while (rest.p != NULL)
        if (known_subprotocol(str_trim(str_cut(&rest, ','))))
            return true;
    return false;
}

static const struct {
    bool (*holds)(const struct link *k);
    unsigned status;
    const char *text;
} rules[] = {
    {http_is_get, 405, "A WebSocket is opened with GET.\n"},
    {is_http_1_1, 400, "A WebSocket is opened with HTTP/1.1.\n"},
    {has_host, 400, "The WebSocket request needs one Host header.\n"},
    {wants_upgrade, 400,
     "The WebSocket request needs \"Connection: Upgrade\". If a proxy stands in front of this "
     "server, it has to pass the headers Connection and Upgrade on.\n"},
    {has_version, 426, "This server speaks \"Sec-WebSocket-Version: 13\" (RFC 6455).\n"},
    {has_key, 400, "The WebSocket request needs one Sec-WebSocket-Key: 16 bytes in base64.\n"},
    {offers_mqtt, 400,
     "The WebSocket request offers no subprotocol that this server speaks.\n"
     "Send \"Sec-WebSocket-Protocol: mqtt\" (also known: mqttv3.1, mqttv3.1.1, mqttv5).\n"},
};

/* ---- paths ---- */

static bool path_known(const struct link *k)
{
    const struct ws_listener_config *cfg = k->socket->config;
    const char *path = http_path(k);

    for (size_t i = 0; i < cfg->n_paths; i++)
        if (strcmp(path, cfg->paths[i]) == 0)
            return true;
    return false;
}

/* "/mqtt, /" */
static void list_paths(const struct ws_listener_config *cfg, char *out, size_t cap)
{
    size_t n = 0;

    out[0] = '\0';
    for (size_t i = 0; i < cfg->n_paths && n < cap; i++) {
        int len = snprintf(out + n, cap - n, "%s%s", i > 0 ? ", " : "", cfg->paths[i]);

        n += len > 0 ? (size_t)len : 0;
    }
}

static int wrong_path(struct link *k)
{
    char paths[512], text[1024];

    list_paths(k->socket->config, paths, sizeof paths);
    snprintf(text, sizeof text, "There is no MQTT here. This listener serves MQTT at: %s\n", paths);
    return http_text(k, 404, text);
}

/* ---- the kinds of requests ---- */

int plain_request(struct link *k)
{
    if (k->socket->listener->admin)
        return admin_request(k);
    if (!path_known(k))
        return wrong_path(k);
    if (!http_is_get(k) && !http_is_head(k))
        return http_text(k, 405, "There is nothing here but WebSockets, opened with GET.\n");
    return http_text(k, 426,
                     "This is MQTT over WebSocket: connect with an MQTT client, to a ws:// or "
                     "wss:// URL with this host, port and path.\n");
}

/* The target of CONNECT is a host, not a path: it is not looked at. */
int tunnel_request(struct link *k)
{
    return http_text(k, 405, "This is no proxy: there is nothing here but what GET opens.\n");
}

int upgrade_request(struct link *k, const char *upgrade)
{
    enum close_reason why;
    char text[512];

    /* What is not known, or not here, is passed over [RFC 9110 7.8]. */
    if (strcasecmp(upgrade, "websocket") != 0 || k->socket->listener->admin)
        return plain_request(k);
    if (!path_known(k))
        return wrong_path(k);
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (!rules[i].holds(k))
            return http_text(k, rules[i].status, rules[i].text);
    if (connection_admitted(k->loop->shard, &why))
        return 0;
    snprintf(text, sizeof text, "Try again later: %s.\n", close_info(why)->text);
    return http_text(k, 503, text);
}

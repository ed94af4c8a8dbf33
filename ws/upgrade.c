/* upgrade: the HTTP request in front of a WebSocket: its path and subprotocols. What is refused
 * gets a real HTTP answer whose body says what to do.                            [RFC 6455 4.2] [v5
 * 6] */
#include "base/str.h"
#include "broker/shard.h"
#include "ws/ws_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_MAX_LEN 1024
#define OFFER_MAX    128 /* bytes that libwebsockets looks at itself */
#define HEAD_MAX     512

int http_answer(struct link *k, unsigned status, const char *type, const char *body, size_t len)
{
    struct lws *wsi = k->wsi;
    unsigned char buf[LWS_PRE + HEAD_MAX], *start = buf + LWS_PRE, *p = start;
    unsigned char *end = buf + sizeof buf - 1;
    unsigned char *copy;
    int n;

    k->http_sent = true;
    if (lws_add_http_common_headers(wsi, status, type, len, &p, end) != 0 ||
        lws_add_http_header_by_name(wsi, (const unsigned char *)"connection:",
                                    (const unsigned char *)"close", 5, &p, end) != 0 ||
        (status == 426 &&
         lws_add_http_header_by_name(wsi, (const unsigned char *)"upgrade:",
                                     (const unsigned char *)"websocket", 9, &p, end) != 0) ||
        (status == 503 &&
         lws_add_http_header_by_name(wsi, (const unsigned char *)"retry-after:",
                                     (const unsigned char *)"5", 1, &p, end) != 0) ||
        lws_finalize_write_http_header(wsi, start, &p, end) != 0)
        return -1;
    copy = malloc(LWS_PRE + len);
    if (copy == NULL)
        return -1;
    memcpy(copy + LWS_PRE, body, len);
    n = lws_write(wsi, copy + LWS_PRE, len, LWS_WRITE_HTTP_FINAL);
    free(copy);
    return n == (int)len ? 1 : -1;
}

static int text_answer(struct link *k, unsigned status, const char *text)
{
    return http_answer(k, status, "text/plain; charset=utf-8", text, strlen(text));
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

static bool path_known(const struct link *k)
{
    const struct ws_listener_config *cfg = k->socket->config;
    char path[PATH_MAX_LEN];

    if (lws_hdr_copy(k->wsi, path, sizeof path, WSI_TOKEN_GET_URI) < 0)
        return false;
    for (size_t i = 0; i < cfg->n_paths; i++)
        if (strcmp(path, cfg->paths[i]) == 0)
            return true;
    return false;
}

static int wrong_path(struct link *k)
{
    char paths[512], text[1024];

    list_paths(k->socket->config, paths, sizeof paths);
    snprintf(text, sizeof text, "There is no MQTT here. This listener serves MQTT at: %s\n", paths);
    return text_answer(k, 404, text);
}

static bool known_subprotocol(struct str name)
{
    for (const struct lws_protocols *p = link_protocols; p->name != NULL; p++)
        if (str_eq(name, str_from(p->name)))
            return true;
    return false;
}

/* Is one of ours in the client's list? Its order decides, which lws sees to. */
static bool offers_mqtt(struct link *k)
{
    char offer[OFFER_MAX];
    struct str rest, name;
    int n = lws_hdr_copy(k->wsi, offer, sizeof offer, WSI_TOKEN_PROTOCOL);

    if (n <= 0)
        return false;
    rest = (struct str){offer, (size_t)n};
    while (rest.p != NULL) {
        name = str_trim(str_cut(&rest, ','));
        if (known_subprotocol(name))
            return true;
    }
    return false;
}

int upgrade_confirm(struct link *k)
{
    enum close_reason why;
    char text[512];

    if (k->socket->listener->admin)
        return text_answer(k, 404, "There are no WebSockets here.\n");
    if (!path_known(k))
        return wrong_path(k);
    if (!offers_mqtt(k))
        return text_answer(k, 400,
                           "The WebSocket request offers no subprotocol that this server speaks.\n"
                           "Send \"Sec-WebSocket-Protocol: mqtt\" (also known: mqttv3.1, "
                           "mqttv3.1.1, mqttv5).\n");
    if (connection_admitted(k->loop->shard, &why))
        return 0;
    snprintf(text, sizeof text, "Try again later: %s.\n", close_info(why)->text);
    return text_answer(k, 503, text);
}

int upgrade_plain_http(struct link *k)
{
    int rc;

    if (!path_known(k))
        rc = wrong_path(k);
    else
        rc = text_answer(k, 426,
                         "This is MQTT over WebSocket: connect with an MQTT client, to a ws:// or "
                         "wss:// URL with this host, port and path.\n");
    return rc < 0 ? -1 : lws_http_transaction_completed(k->wsi);
}

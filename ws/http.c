/* http: requests and answers. Every answer ends its connection. */
#include "ws/ws_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_MAX 512

static int method(const struct link *k, char **out_path)
{
    int len = 0;

    return lws_http_get_uri_and_method(k->wsi, out_path, &len);
}

const char *http_path(const struct link *k)
{
    char *path = NULL;

    return method(k, &path) >= 0 && path != NULL ? path : "";
}

bool http_is_get(const struct link *k)
{
    char *path;

    return method(k, &path) == LWSHUMETH_GET;
}

bool http_is_head(const struct link *k)
{
    char *path;

    return method(k, &path) == LWSHUMETH_HEAD;
}

/* What a status needs besides. */
static const struct {
    unsigned status;
    const char *phrase, *headers;
} statuses[] = {
    {200, "OK", ""},
    {400, "Bad Request", ""},
    {404, "Not Found", ""},
    {405, "Method Not Allowed", "Allow: GET, HEAD\r\n"},
    {426, "Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"},
    {503, "Service Unavailable", "Retry-After: 5\r\n"},
};

static int write_head(unsigned status, const char *type, size_t len, char *out)
{
    size_t i = 0;

    while (i < ARRAY_LEN(statuses) - 1 && statuses[i].status != status)
        i++;
    return snprintf(out, HEAD_MAX,
                    "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                    "Connection: close\r\n%s\r\n",
                    status, statuses[i].phrase, type, len, statuses[i].headers);
}

int http_answer(struct link *k, unsigned status, const char *type, const char *body, size_t len)
{
    char *out = malloc(LWS_PRE + HEAD_MAX + len), *at = out + LWS_PRE;
    size_t n;

    if (out == NULL)
        return -1;
    n = (size_t)write_head(status, type, len, at);
    if (!http_is_head(k)) {
        memcpy(at + n, body, len);
        n += len;
    }
    lws_write(k->wsi, (unsigned char *)at, n, LWS_WRITE_HTTP);
    free(out);
    return -1; /* what it could not write yet lws writes before it closes */
}

int http_text(struct link *k, unsigned status, const char *text)
{
    return http_answer(k, status, "text/plain; charset=utf-8", text, strlen(text));
}

/* target: a URL as in RFC 3986, as far as broker addresses go. */
#include "conformance/target.h"

#include "base/assert.h"

#include <ctype.h>
#include <stdlib.h>

static const struct scheme {
    const char *name, *port;
    bool tls, websocket;
} schemes[] = {
    {"mqtt", "1883", false, false},
    {"mqtts", "8883", true, false},
    {"ws", "80", false, true},
    {"wss", "443", true, true},
};

static const struct scheme *find_scheme(const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        if (strlen(schemes[i].name) == len && strncasecmp(schemes[i].name, name, len) == 0)
            return &schemes[i];
    return NULL;
}

static int hex_value(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = c == '\0' ? NULL : strchr(digits, tolower((unsigned char)c));

    return at == NULL ? -1 : (int)(at - digits);
}

/* %41 becomes A; NULL when something else follows a percent sign. */
static char *decode(struct arena *a, const char *text, size_t len)
{
    char *out = arena_alloc(a, len + 1), *to = out;

    for (size_t i = 0; i < len; i++) {
        if (text[i] != '%') {
            *to++ = text[i];
            continue;
        }
        int high = i + 2 < len ? hex_value(text[i + 1]) : -1;
        int low = i + 2 < len ? hex_value(text[i + 2]) : -1;

        if (high < 0 || low < 0)
            return NULL;
        *to++ = (char)(high << 4 | low);
        i += 2;
    }
    return out;
}

/* "user:password" up to at. */
static const char *take_credentials(struct arena *a, const char *text, size_t len,
                                    struct target *out)
{
    const char *colon = memchr(text, ':', len);
    size_t user_len = colon == NULL ? len : (size_t)(colon - text);

    out->user = decode(a, text, user_len);
    if (colon != NULL)
        out->password = decode(a, colon + 1, len - user_len - 1);
    if (out->user == NULL || (colon != NULL && out->password == NULL))
        return "user name or password: '%' must be followed by two hexadecimal digits";
    return NULL;
}

static bool is_port(const char *text)
{
    char *end;
    long n = strtol(text, &end, 10);

    return isdigit((unsigned char)*text) && *end == '\0' && n > 0 && n < 65536;
}

/* "host:port", "[address]:port" */
static const char *take_host(struct arena *a, const char *text, size_t len,
                             const struct scheme *scheme, struct target *out)
{
    const char *end = text + len, *port = NULL;
    const char *close = len > 0 && *text == '[' ? memchr(text, ']', len) : NULL;

    if (len > 0 && *text == '[') {
        if (close == NULL)
            return "the host: '[' without ']'";
        out->host = arena_printf(a, "%.*s", (int)(close - text - 1), text + 1);
        if (close + 1 < end && close[1] != ':')
            return "the host: ':' and a port, or nothing, may follow ']'";
        port = close + 1 < end ? close + 2 : NULL;
    } else {
        const char *colon = memchr(text, ':', len);

        out->host = arena_printf(a, "%.*s", (int)((colon == NULL ? end : colon) - text), text);
        port = colon == NULL ? NULL : colon + 1;
    }
    out->port = port == NULL ? scheme->port : arena_printf(a, "%.*s", (int)(end - port), port);
    if (*out->host == '\0')
        return "there is no host";
    return is_port(out->port) ? NULL : "the port is not a number from 1 to 65535";
}

static void set_name(struct arena *a, struct target *t)
{
    bool v6 = strchr(t->host, ':') != NULL;

    t->name = arena_printf(a, "%s://%s%s%s%s%s:%s%s", t->scheme, t->user != NULL ? t->user : "",
                           t->user != NULL ? "@" : "", v6 ? "[" : "", t->host, v6 ? "]" : "",
                           t->port, t->websocket ? t->path : "");
}

const char *target_parse(struct arena *a, const char *url, struct target *out)
{
    const char *colon = strstr(url, "://");
    const struct scheme *scheme = colon == NULL ? NULL : find_scheme(url, (size_t)(colon - url));
    const char *text, *end, *at, *error;

    *out = (struct target){.headers = ""};
    if (scheme == NULL)
        return "it must begin with mqtt://, mqtts://, ws:// or wss://";
    out->scheme = scheme->name;
    out->tls = scheme->tls;
    out->websocket = scheme->websocket;
    text = colon + 3;
    end = text + strcspn(text, "/?#");
    at = memrchr(text, '@', (size_t)(end - text));
    if (at != NULL) {
        error = take_credentials(a, text, (size_t)(at - text), out);
        if (error != NULL)
            return error;
        text = at + 1;
    }
    error = take_host(a, text, (size_t)(end - text), scheme, out);
    if (error != NULL)
        return error;
    if (!scheme->websocket && *end != '\0' && strcmp(end, "/") != 0)
        return "mqtt:// and mqtts:// have no path";
    out->path = *end == '/' ? end : arena_printf(a, "/%s", end);
    set_name(a, out);
    return NULL;
}

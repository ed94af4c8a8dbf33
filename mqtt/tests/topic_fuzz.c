/* topic_fuzz: a filter, a line feed, a name; against a slow reading of the standard by levels. */
#include "mqtt/topic.h"

#include "base/fuzz.h"
#include "mqtt/reason.h"
#include "mqtt/tests/must_support.h"

/* Cut the first level off *rest; *last: it was the last one. */
static struct mqtt_str level(struct mqtt_str *rest, bool *last)
{
    struct mqtt_str s = *rest;
    uint32_t n = 0;

    while (n < s.len && s.p[n] != '/')
        n++;
    *last = n == s.len;
    *rest = *last ? (struct mqtt_str){s.p + n, 0} : mqtt_str_part(s, n + 1, s.len - n - 1);
    return mqtt_str_part(s, 0, n);
}

static bool has(struct mqtt_str s, int c)
{
    return s.len > 0 && memchr(s.p, c, s.len) != NULL;
}

static bool is(struct mqtt_str s, const char *text)
{
    return s.len == strlen(text) && memcmp(s.p, text, s.len) == 0;
}

static bool naive_name(struct mqtt_str s)
{
    return s.len > 0 && s.len <= 65535 && !has(s, '+') && !has(s, '#');
}

/* "#" is a level of its own and the last, "+" a level of its own. */
static bool naive_filter(struct mqtt_str s)
{
    bool last = false;

    if (s.len == 0 || s.len > 65535)
        return false;
    while (!last) {
        struct mqtt_str l = level(&s, &last);

        if ((has(l, '#') && !(is(l, "#") && last)) || (has(l, '+') && !is(l, "+")))
            return false;
    }
    return true;
}

static bool naive_matches(struct mqtt_str filter, struct mqtt_str name)
{
    bool filter_last = false, name_last = false;

    if (name.p[0] == '$' && (filter.p[0] == '#' || filter.p[0] == '+'))
        return false;
    for (;;) {
        struct mqtt_str f = level(&filter, &filter_last);
        struct mqtt_str n = level(&name, &name_last);

        if (is(f, "#"))
            return true;
        if (!is(f, "+") && !mqtt_str_eq(f, n))
            return false;
        if (name_last)
            return filter_last || is(filter, "#");
        if (filter_last)
            return false;
    }
}

static int naive_share(struct mqtt_str s, struct mqtt_str *share, struct mqtt_str *filter)
{
    bool last;

    *share = (struct mqtt_str){NULL, 0};
    *filter = s;
    if (s.len >= 7 && memcmp(s.p, "$share/", 7) == 0) {
        level(filter, &last);
        *share = level(filter, &last);
        if (last || !naive_name(*share))
            return MQTT_RC_TOPIC_FILTER_INVALID;
    }
    return naive_filter(*filter) ? 0 : MQTT_RC_TOPIC_FILTER_INVALID;
}

static void compare_share(struct mqtt_str s)
{
    struct mqtt_str share, filter, want_share, want_filter;
    int rc = mqtt_share_parse(s, &share, &filter);

    must(rc == naive_share(s, &want_share, &want_filter));
    if (rc == 0)
        must(mqtt_str_eq(share, want_share) && mqtt_str_eq(filter, want_filter));
}

/* In a block of exactly that size, so that ASan sees what is read past it; NULL for nothing. */
static struct mqtt_str copy(const uint8_t *data, size_t size)
{
    uint8_t *p = NULL;

    if (size > 0) {
        must((p = malloc(size)) != NULL);
        memcpy(p, data, size);
    }
    return (struct mqtt_str){p, (uint32_t)size};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *feed = size > 0 ? memchr(data, '\n', size) : NULL;
    size_t n = feed != NULL ? (size_t)(feed - data) : size;
    struct mqtt_str filter = copy(data, n);
    struct mqtt_str name = feed != NULL ? copy(feed + 1, size - n - 1) : copy(NULL, 0);

    must(mqtt_name_check(name) == naive_name(name));
    must(mqtt_name_check(filter) == naive_name(filter));
    must(mqtt_filter_check(filter) == naive_filter(filter));
    compare_share(filter);
    if (naive_filter(filter) && naive_name(name))
        must(mqtt_filter_matches(filter, name) == naive_matches(filter, name));
    if (naive_name(filter))
        must(mqtt_filter_matches(filter, filter));
    must(mqtt_topic_levels(name) >= 1 && mqtt_topic_levels(name) <= name.len + 1);
    free((void *)filter.p);
    free((void *)name.p);
    return 0;
}

/* topic: names and filters.                                               [v5 4.7] [v3 4.7] */
#include "conformance/cases/chapters.h"

/* A filter that is wrong is never granted: SUBACK says so, or the connection ends. */
static void filters_refused(struct scene *s, const char *const *filters, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct client *c = join(s);
        const struct mqtt_suback *p;

        say(c, "82 # 0001 %s <%s> 00", no_props(s), filters[i]);
        if (!alive(c)) {
            expect_close(c, "81 82 8f");
            continue;
        }
        p = &client_take(c, MQTT_SUBACK, NULL)->as.suback;
        MUST(s, p->reasons.len == 1 && p->reasons.p[0] >= 0x80, "the filter %s is granted",
             filters[i]);
        SHOULD(s, s->version != MQTT_V5 || p->reasons.p[0] == 0x8f,
               "the filter %s is answered with 0x%02X, expected 0x8F", filters[i], p->reasons.p[0]);
        leave(c);
    }
}

#define FILTERS_REFUSED(s, ...)                              \
    filters_refused((s), (const char *const[]){__VA_ARGS__}, \
                    sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static void bad_hash(struct scene *s)
{
    FILTERS_REFUSED(s, "a#", "a/#/b", "#/a", "a/b#", "##");
}

static void bad_plus(struct scene *s)
{
    FILTERS_REFUSED(s, "a+", "+a", "a/b+/c", "++", "a/+b");
}

static void empty_filter(struct scene *s)
{
    FILTERS_REFUSED(s, "");
}

static void empty_unsubscribe(struct scene *s)
{
    struct client *c = join(s);

    say(c, "a2 # 0001 %s <>", no_props(s));
    if (alive(c))
        client_take(c, MQTT_UNSUBACK, NULL);
    else
        expect_close(c, "81 82 8f");
}

static void empty_topic(struct scene *s)
{
    struct client *c = join(s);

    say(c, "30 # <> %s [x]", no_props(s));
    expect_close(c, "82 81 90");
}

/* ---- matching ---- */

/* Does a subscription to the filter get what is published to the name? */
struct match {
    const char *filter, *name;
    bool matches;
};

/* A client for each row; they all get what all names are published to, so that what comes by
 * mistake shows, too. */
static void check_matches(struct scene *s, const struct match *rows, size_t n)
{
    struct client *a = join(s), *c[64];

    ASSERT(n <= ARRAY_LEN(c));
    for (size_t i = 0; i < n; i++) {
        c[i] = join(s);
        subscribe(c[i], rows[i].filter, 0);
        publish(a, rows[i].name, rows[i].name, 0, 0);
        settle(a, c[i]);
        MUST(s, (peek_message(c[i]) != NULL) == rows[i].matches, "%s %s %s", rows[i].filter,
             rows[i].matches ? "does not match" : "matches", rows[i].name);
        leave(c[i]);
    }
}

/* Rows whose filter and name stand below a level of the scene's own. */
static void check_below(struct scene *s, const struct match *rows, size_t n)
{
    struct match below[64];

    need_wildcard(s);
    ASSERT(n <= ARRAY_LEN(below));
    for (size_t i = 0; i < n; i++)
        below[i] = (struct match){scene_topic(s, rows[i].filter), scene_topic(s, rows[i].name),
                                  rows[i].matches};
    check_matches(s, below, n);
}

static void hash_matches(struct scene *s)
{
    static const struct match rows[] = {
        {"a/#", "a", true},       {"a/#", "a/", true},       {"a/#", "a/b", true},
        {"a/#", "a/b/c", true},   {"a/#", "a//c", true},     {"a/#", "ab", false},
        {"a/#", "b/a", false},    {"a/b/#", "a/b", true},    {"a/b/#", "a", false},
        {"a/+/#", "a/b", true},   {"a/+/#", "a//x", true},   {"a/+/#", "a", false},
        {"+/b/#", "a/b/c", true}, {"+/b/#", "a/c/b", false},
    };
    const char *tag = s->tag;
    const struct match root[] = {
        {"#", tag, true},
        {"#", arena_printf(&s->arena, "/%s", tag), true},
        {"#", arena_printf(&s->arena, "%s/", tag), true},
    };

    check_below(s, rows, ARRAY_LEN(rows));
    check_matches(s, root, ARRAY_LEN(root));
}

static void plus_matches(struct scene *s)
{
    static const struct match rows[] = {
        {"+", "a", true},         {"+", "a/b", false},      {"a/+", "a/b", true},
        {"a/+", "a/", true},      {"a/+", "a", false},      {"a/+", "a/b/c", false},
        {"+/+", "a/b", true},     {"+/+", "/b", true},      {"+/+", "a", false},
        {"a/+/c", "a/b/c", true}, {"a/+/c", "a//c", true},  {"a/+/c", "a/b/d", false},
        {"+/+/+", "//", true},    {"+/b/+", "a/b/c", true},
    };
    const char *tag = s->tag;
    const struct match root[] = {
        {"+", tag, true},
        {"+", arena_printf(&s->arena, "/%s", tag), false},
        {"/+", arena_printf(&s->arena, "/%s", tag), true},
        {"+/+", arena_printf(&s->arena, "/%s", tag), true},
        {"+/+", arena_printf(&s->arena, "%s/", tag), true},
    };

    check_below(s, rows, ARRAY_LEN(rows));
    check_matches(s, root, ARRAY_LEN(root));
}

static void nothing_normalized(struct scene *s)
{
    static const struct match rows[] = {
        {"a", "A", false},
        {"\xc3\xa9", "e\xcc\x81", false}, /* composed and decomposed */
        {"\xc3\xa9", "\xc3\xa9", true},
        {"a//b", "a/b", false},
        {"a//b", "a//b", true},
        {"a/b", "a/b/", false},
        {"a/b", "a/ b", false},
        {" a ", "a", false},
        {" a ", " a ", true},
        {"a/./b", "a/b", false},
        {"a/../b", "b", false},
        {"a%20b", "a b", false},
        {"\xef\xbc\xa1", "A", false},        /* full width */
        {"\xe2\x84\xab", "\xc3\x85", false}, /* Angstrom sign and A with ring */
    };

    check_below(s, rows, ARRAY_LEN(rows));
}

/* ---- $ ---- */

/* Only the filter that begins with $ itself matches. Some servers let nobody publish there. The
 * mark is a topic that all of the filters match. */
static void check_dollar(struct scene *s, const char *const *filters, size_t n)
{
    const char *topic = arena_printf(&s->arena, "$%s/x", s->tag), *mark = scene_topic(s, "x");
    struct client *a = join(s), *control = join(s), *c[4];

    need_wildcard(s);
    NEED(s, subscribe_code(control, topic, 0) < 0x80, "the server refuses the filter %s", topic);
    for (size_t i = 0; i < n; i++) {
        c[i] = join(s);
        subscribe(c[i], filters[i], 0);
    }
    publish_start(a, topic, "x", 0, 0);
    NEED(s, alive(a), "the server closes the connection of who publishes to %s", topic);
    settle(a, control);
    NEED(s, peek_message(control) != NULL, "the server does not deliver %s", topic);
    publish_start(a, mark, "mark", 0, 0);
    for (size_t i = 0; i < n; i++) {
        const struct mqtt_publish *m = message(c[i]);

        MUST(s, is_text(m->topic, mark), "%s matches %s", filters[i], topic);
    }
}

static void dollar(struct scene *s)
{
    static const char *const filters[] = {"#", "+/x", "+/#", "+/+"};

    check_dollar(s, filters, ARRAY_LEN(filters));
}

static void dollar_shared(struct scene *s)
{
    const char *const filters[] = {arena_printf(&s->arena, "$share/%s/#", s->tag),
                                   arena_printf(&s->arena, "$share/%s/+/x", s->tag)};

    need_shared(s);
    check_dollar(s, filters, ARRAY_LEN(filters));
}

/* $SYS topics of the server's own do not come with #. */
static void dollar_sys(struct scene *s)
{
    struct client *a = join(s), *b = join(s);

    need_wildcard(s);
    b->sees_all = true;
    subscribe(b, "#", 0);
    settle(a, b);
    LIST_EACH (at, &b->inbox) {
        struct packet *p = LIST_ITEM(at, struct packet, link);

        MUST(s, p->as.type != MQTT_PUBLISH || p->topic.len == 0 || p->topic.p[0] != '$',
             "# matches %s", describe_text(&s->arena, p->topic));
    }
}

/* ---- length ---- */

/* As long as can be: it works, or is refused cleanly. */
static void longest(struct scene *s)
{
    char *topic = payload_of(s, 65535);
    struct client *a = join(s), *b = join(s), *c;

    NEED(s, s->at.features->maximum_packet_size > 66000, "the server takes no packet so large");
    memcpy(topic, s->tag, strlen(s->tag));
    say(b, "82 # 0001 %s <%s> 00", no_props(s), topic);
    if (!alive(b)) {
        expect_close(b, NULL);
        return;
    }
    if (client_take(b, MQTT_SUBACK, NULL)->as.suback.reasons.p[0] >= 0x80)
        return;
    publish_start(a, topic, "x", 0, 0);
    if (alive(a))
        expect(b, topic, "x");
    else
        expect_close(a, NULL);
    c = join(s); /* and the server lives */
    ping(c);
}

/* Many levels, too. */
static void deepest(struct scene *s)
{
    char *levels = payload_of(s, 200);
    struct client *a = join(s), *b = join(s);
    const char *topic;

    memset(levels, '/', 200);
    topic = scene_topic(s, levels);
    need_wildcard(s);
    NEED(s, subscribe_code(b, scene_topic(s, "#"), 0) < 0x80, "the filter is refused");
    publish_start(a, topic, "x", 0, 0);
    if (alive(a))
        expect(b, topic, "x");
    else
        expect_close(a, NULL);
}

/* clang-format off */
CHAPTER(topic, "Topic names and filters",
    {"filter_bad_hash",     bad_hash,           "4.7.1-1", "4.7.1-2", NULL, 0},
    {"filter_bad_plus",     bad_plus,           "4.7.1-2", "4.7.1-3", NULL, 0},
    {"filter_empty",        empty_filter,       "4.7.3-1", "4.7.3-1", NULL, 0},
    {"filter_empty_unsubscribe", empty_unsubscribe, "4.7.3-1", NULL,  NULL, 0},
    {"topic_empty",         empty_topic,        "4.7.3-1", "4.7.3-1", NULL, 0},
    {"filter_hash",         hash_matches,       "4.7.1-1 3.3.2-3", "4.7.1-2 3.3.2-3", "V31-A-1", 0},
    {"filter_plus",         plus_matches,       "4.7.1-2 3.3.2-3", "4.7.1-3 3.3.2-3", "V31-A-1", 0},
    {"topic_not_normalized", nothing_normalized, "4.7.3-4", "4.7.3-4", NULL, 0},
    {"dollar_topics",       dollar,             "4.7.2-1", "4.7.2-1", NULL, 0},
    {"dollar_topics_shared", dollar_shared,     "4.7.2-1", NULL,      NULL, 0},
    {"dollar_sys",          dollar_sys,         "4.7.2-1", "4.7.2-1", NULL, 0},
    {"topic_longest",       longest,            "4.7.3-3", "4.7.3-3", NULL, 0},
    {"topic_deepest",       deepest,            "4.7.3-3", "4.7.3-3", NULL, 0},
);
/* clang-format on */

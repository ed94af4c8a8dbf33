/* topic_test: names, filters, shared subscriptions, and what matches what. */
#include "mqtt/topic.h"

#include "base/test.h"
#include "mqtt/reason.h"

static struct mqtt_str str(const char *text)
{
    return (struct mqtt_str){(const uint8_t *)text, (uint32_t)strlen(text)};
}

/* On the heap in its exact size. */
static struct mqtt_str copy(struct mqtt_str s)
{
    uint8_t *p = malloc(s.len + (s.len == 0));

    if (s.len > 0)
        memcpy(p, s.p, s.len);
    return (struct mqtt_str){p, s.len};
}

static void names(void)
{
    static const char *const good[] = {
        "a", "/", "//", "a b", "$SYS/x", "sport/tennis/player1", "\xef\xbb\xbft"};
    static const char *const bad[] = {
        "", "+", "#", "a/+", "a/#", "sport/tennis/+", "#/aaaaaaaaaaaaaaaa"};

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        CHECK_ROW(i, mqtt_name_check(str(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_ROW(i, !mqtt_name_check(str(bad[i]))); /* [v5 MQTT-3.3.2-2] [v5 MQTT-4.7.3-1] */
}

/* A wildcard at every place of names of every length around the eight bytes of a word; its
 * neighbours in the code, and bytes of other characters, are none. */
static void wildcard_anywhere(void)
{
    static const uint8_t others[] = {'"', '$', '*', ',', 0x22, 0x2a, 0xa3, 0xab, 0x80, 0xff, 0x01};

    for (uint32_t len = 1; len < 40; len++) {
        for (uint32_t at = 0; at < len; at++) {
            uint8_t *p = malloc(len);
            struct mqtt_str s = {p, len};

            memset(p, 'x', len);
            p[at] = '+';
            CHECK(!mqtt_name_check(s));
            p[at] = '#';
            CHECK(!mqtt_name_check(s));
            for (size_t i = 0; i < sizeof others; i++) {
                p[at] = others[i];
                CHECK_ROW(i, mqtt_name_check(s));
            }
            free(p);
        }
    }
}

static void longest(void)
{
    uint8_t *p = malloc(65536);

    memset(p, 'x', 65536);
    CHECK(mqtt_name_check((struct mqtt_str){p, 65535})); /* [v5 MQTT-4.7.3-3] */
    CHECK(!mqtt_name_check((struct mqtt_str){p, 65536}));
    CHECK(mqtt_filter_check((struct mqtt_str){p, 65535}));
    CHECK(!mqtt_filter_check((struct mqtt_str){p, 65536}));
    free(p);
}

static void filters(void)
{
    static const char *const good[] = {"a",
                                       "/",
                                       "#",
                                       "+",
                                       "a/#",
                                       "/#",
                                       "+/+",
                                       "+/#",
                                       "/+",
                                       "+/",
                                       "a/+/b",
                                       "+/a/#",
                                       "a//#",
                                       "$SYS/#",
                                       "//",
                                       "a b",
                                       "long/filter/with/+/in/it",
                                       "long/filter/with/at/end/#",
                                       "$share"};
    /* [v5 MQTT-4.7.1-1] [v5 MQTT-4.7.1-2] [v5 MQTT-4.7.3-1] [v3 MQTT-4.7.1-2] [v3 MQTT-4.7.1-3] */
    static const char *const bad[] = {"",
                                      "a#",
                                      "#a",
                                      "a/#/b",
                                      "#/a",
                                      "##",
                                      "#/",
                                      "a+",
                                      "+a",
                                      "a/b+",
                                      "a/+b",
                                      "++",
                                      "a/b+/c",
                                      "+#",
                                      "#+",
                                      "a/#b",
                                      "sport/tennis#",
                                      "sport/tennis/#/ranking",
                                      "long/filter/+x/z"};

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        CHECK_ROW(i, mqtt_filter_check(str(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_ROW(i, !mqtt_filter_check(str(bad[i])));
}

static void shared(void)
{
    static const struct {
        const char *subscription, *share, *filter; /* filter NULL: invalid */
    } rows[] = {
        {"a/b", "", "a/b"},
        {"$share/g/t", "g", "t"},
        {"$share/g/#", "g", "#"},
        {"$share/g//x", "g", "/x"},
        {"$share/g/+/x/#", "g", "+/x/#"},
        {"$share/g//", "g", "/"},
        {"$share", "", "$share"}, /* does not start with "$share/" */
        {"$shared/g/t", "", "$shared/g/t"},
        {"$SHARE/g/t", "", "$SHARE/g/t"},
        {"x$share/g/t", "", "x$share/g/t"},
        {"", "", NULL},
        {"a#", "", NULL},
        /* [v5 MQTT-4.8.2-1] */
        {"$share/", "", NULL},
        {"$share//t", "", NULL},
        /* [v5 MQTT-4.8.2-2] */
        {"$share/g", "", NULL},
        {"$share/g/", "", NULL},
        {"$share/g+/t", "", NULL},
        {"$share/#/t", "", NULL},
        {"$share/+/t", "", NULL},
        {"$share/a#b/t", "", NULL},
        {"$share/g/a#", "", NULL},
        {"$share/g/#/a", "", NULL},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mqtt_str share = MQTT_STR("?"), filter = MQTT_STR("?");
        struct mqtt_str s = copy(str(rows[i].subscription));
        int rc = mqtt_share_parse(s, &share, &filter);

        if (rows[i].filter != NULL) {
            CHECK_ROW_INT(i, rc, 0);
            CHECK_ROW(i, mqtt_str_eq(share, str(rows[i].share)));
            CHECK_ROW(i, mqtt_str_eq(filter, str(rows[i].filter)));
        } else {
            CHECK_ROW_INT(i, rc, MQTT_RC_TOPIC_FILTER_INVALID);
            CHECK_ROW(i, mqtt_str_eq(share, MQTT_STR("?")) && mqtt_str_eq(filter, MQTT_STR("?")));
        }
        free((void *)s.p);
    }
}

/* The examples of [v5 4.7] and more [v5 MQTT-4.7.2-1] [v5 MQTT-4.7.3-4]. */
static void matching(void)
{
    static const struct {
        const char *filter, *yes, *no; /* names, separated by blanks */
    } rows[] = {
        {"sport/#", "sport sport/ sport/a/b", "sports spor sport2/a"},
        {"sport/tennis/player1/#", "sport/tennis/player1 sport/tennis/player1/score/wimbledon",
         "sport/tennis/player2"},
        {"#", "a / /a a/b", "$SYS $SYS/x"},
        {"+", "a", "/a a/b $a a/"},
        {"+/+", "/a a/ a/b /", "a $a/b a/b/c"},
        {"/+", "/a /", "a /a/b"},
        {"a/+", "a/ a/b", "a a/b/c b/a"},
        {"a/+/#", "a/b a//x a/b/c a/", "a"},
        {"+/#", "a a/b /a", "$SYS/a"},
        {"+/monitor/Clients", "x/monitor/Clients", "$SYS/monitor/Clients"},
        {"$SYS/#", "$SYS $SYS/x", "x SYS"},
        {"$SYS/monitor/+", "$SYS/monitor/Clients", "$SYS/monitor"},
        {"a/b", "a/b", "a/B a a/b/ a/bc a/ /a/b"},
        {"a//b", "a//b", "a/b a/x/b"},
        {"/", "/", "a a/ /a"},
        {"a/$x", "a/$x", "a/x"},
        {"+/$x", "a/$x", "$a/$x"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int want = 0; want <= 1; want++) {
            char text[128], *rest = text, *name;
            struct mqtt_str filter = copy(str(rows[i].filter));

            snprintf(text, sizeof text, "%s", want ? rows[i].yes : rows[i].no);
            while ((name = strtok_r(rest, " ", &rest)) != NULL) {
                struct mqtt_str s = copy(str(name));

                if (!CHECK_ROW_INT(i, mqtt_filter_matches(filter, s), want))
                    fprintf(stderr, "  %s %s\n", rows[i].filter, name);
                free((void *)s.p);
            }
            free((void *)filter.p);
        }
    }
}

static void levels(void)
{
    CHECK_INT(mqtt_topic_levels(str("")), 1);
    CHECK_INT(mqtt_topic_levels(str("a")), 1);
    CHECK_INT(mqtt_topic_levels(str("/")), 2);
    CHECK_INT(mqtt_topic_levels(str("a/b/c")), 3);
    CHECK_INT(mqtt_topic_levels(str("a//")), 3);
}

TEST_MAIN(names, wildcard_anywhere, longest, filters, shared, matching, levels)

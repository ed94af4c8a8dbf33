/* props_test: every property in every packet from every sender; repetition, range, form, value. */
#include "mqtt/packet.h"

#include "mqtt/tests/judge_support.h"

/* Every list there is: whose, the packet with "%s" for what is in it, and the properties that the
 * standard's table allows there [v5 2.2.2.2]; those of the other sender follow after a '/'. */
static const struct list {
    enum mqtt_side sender;
    const char *packet;
    const char *legal;
} lists[] = {
    {C, "10 (<MQTT> 05 02 0000 (%s) <a>)", "11 15 16 17 19 21 22 26 27"},
    {C, "10 (<MQTT> 05 06 0000 () <a> (%s) <t> {})", "01 02 03 08 09 18 26"},
    {S, "20 (00 00 (%s))", "11 12 13 15 16 1A 1C 1F 21 22 24 25 26 27 28 29 2A"},
    {C, "30 (<t> (%s))", "01 02 03 08 09 23 26 / 0B"},
    {S, "30 (<t> (%s))", "01 02 03 08 09 0B 23 26"},
    {C, "40 (0001 00 (%s))", "1F 26"},
    {S, "40 (0001 00 (%s))", "1F 26"},
    {C, "50 (0001 00 (%s))", "1F 26"},
    {S, "50 (0001 00 (%s))", "1F 26"},
    {C, "62 (0001 00 (%s))", "1F 26"},
    {S, "62 (0001 00 (%s))", "1F 26"},
    {C, "70 (0001 00 (%s))", "1F 26"},
    {S, "70 (0001 00 (%s))", "1F 26"},
    {C, "82 (0001 (%s) <t> 00)", "0B 26"},
    {S, "90 (0001 (%s) 00)", "1F 26"},
    {C, "A2 (0001 (%s) <t>)", "26"},
    {S, "B0 (0001 (%s) 00)", "1F 26"},
    {C, "E0 (00 (%s))", "11 1F 26 / 1C"},
    {S, "E0 (00 (%s))", "1C 1F 26 / 11"},
    {C, "F0 (18 (%s))", "15 16 1F 26"},
    {S, "F0 (18 (%s))", "15 16 1F 26"},
};

#define N_LISTS      (sizeof lists / sizeof lists[0])

/* A good value of each kind. */
#define VALUE_u8     "01"
#define VALUE_u16    "0102"
#define VALUE_u32    "01020304"
#define VALUE_varint "8102"
#define VALUE_str    "<text>"
#define VALUE_bin    "{00FF}"
#define VALUE_pair   "<name> <value>"

/* By identifier; NULL: there is no such property. */
static const char *const values[256] = {
#define X(id, name, kind, ...) [id] = VALUE_##kind,
    MQTT_PROPERTIES(X)
#undef X
};

/* A packet of this list with these properties; what they need beside them is added. */
static struct wire packet_with(const struct list *list, const char *props)
{
    bool data = strncmp(props, "16", 2) == 0, method = strncmp(props, "15", 2) == 0;
    bool auth = strncmp(list->packet, "F0", 2) == 0;
    char full[256], text[512];

    snprintf(full, sizeof full, "%s%s", data || (auth && !method) ? "15 <text> " : "", props);
    snprintf(text, sizeof text, list->packet, full);
    return wire_parse(text);
}

static int judge(const struct list *list, const char *props)
{
    struct wire w = packet_with(list, props);
    struct mqtt_packet packet;
    int rc = wire_decode(&w, list->packet[0] == '1' ? 0 : 5, list->sender, &packet);

    wire_free(&w);
    return rc;
}

/* Legal, legal for the other side only (a Protocol Error), or not in this packet (malformed). */
static int expected(const struct list *list, unsigned id)
{
    const char *others = strchr(list->legal, '/');
    const char *found;
    char hex[4];

    snprintf(hex, sizeof hex, "%02X", id);
    found = strstr(list->legal, hex);
    if (found == NULL)
        return MP;
    return others == NULL || found < others ? 0 : PE;
}

static void every_property_everywhere(void)
{
    for (size_t i = 0; i < N_LISTS; i++) {
        for (unsigned id = 0; id <= 0xff; id++) {
            char props[64];

            snprintf(props, sizeof props, "%02X %s", id, values[id] != NULL ? values[id] : "01");
            if (!CHECK_ROW_INT(i, judge(&lists[i], props), expected(&lists[i], id)))
                fprintf(stderr, "  %s, %s\n", lists[i].packet, props);
        }
    }
}

/* Only user properties may repeat, and Subscription Identifiers in what a server publishes. */
static void twice(void)
{
    for (size_t i = 0; i < N_LISTS; i++) {
        bool published = lists[i].sender == S && lists[i].packet[0] == '3';

        for (unsigned id = 0; id <= 0xff; id++) {
            bool may = id == 0x26 || (id == 0x0b && published);
            char props[96];

            if (expected(&lists[i], id) != 0)
                continue;
            snprintf(props, sizeof props, "%02X %s %02X %s", id, values[id], id, values[id]);
            if (!CHECK_ROW_INT(i, judge(&lists[i], props), may ? 0 : PE))
                fprintf(stderr, "  %s, %s\n", lists[i].packet, props);
        }
    }
}

static const struct list *home_of(unsigned id)
{
    for (size_t i = 0; i < N_LISTS; i++)
        if (expected(&lists[i], id) == 0)
            return &lists[i];
    return NULL;
}

static void ranges(void)
{
    static const struct {
        unsigned id;
        const char *good, *bad; /* values, separated by blanks */
        int rc;                 /* for the bad ones */
    } rows[] = {
        {0x01, "00 01", "02 FF", PE},
        {0x02, "00000000 FFFFFFFF", "", PE},
        {0x0b, "01 7F 8001 FFFFFF7F", "00", PE},
        {0x11, "00000000 FFFFFFFF", "", PE},
        {0x13, "0000 FFFF", "", PE},
        {0x17, "00 01", "02 FF", PE},
        {0x18, "00000000 FFFFFFFF", "", PE},
        {0x19, "00 01", "02 FF", PE},
        {0x21, "0001 FFFF", "0000", PE},
        {0x22, "0000 FFFF", "", PE},
        {0x23, "0001 FFFF", "0000", MQTT_RC_TOPIC_ALIAS_INVALID}, /* [v5 MQTT-3.3.2-8] */
        {0x24, "00 01", "02 FF", PE},                             /* [v5 MQTT-3.2.2-9] */
        {0x25, "00 01", "02 FF", PE},
        {0x27, "00000001 FFFFFFFF", "00000000", PE},
        {0x28, "00 01", "02 FF", PE},
        {0x29, "00 01", "02 FF", PE},
        {0x2a, "00 01", "02 FF", PE},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int bad = 0; bad <= 1; bad++) {
            char text[64], *rest = text, *value;

            snprintf(text, sizeof text, "%s", bad ? rows[i].bad : rows[i].good);
            while ((value = strtok_r(rest, " ", &rest)) != NULL) {
                char props[32];

                snprintf(props, sizeof props, "%02X %s", rows[i].id, value);
                CHECK_ROW_INT(i, judge(home_of(rows[i].id), props), bad ? rows[i].rc : 0);
            }
        }
    }
}

/* A list that ends within a property, at every byte of every kind. */
static void cut_within(void)
{
    for (unsigned id = 0; id <= 0xff; id++) {
        struct wire value;

        if (values[id] == NULL)
            continue;
        value = wire_parse(values[id]);
        for (size_t n = 0; n < value.len; n++) {
            char props[64];
            int len = snprintf(props, sizeof props, "%02X", id);

            for (size_t i = 0; i < n; i++)
                len += snprintf(props + len, sizeof props - (size_t)len, "%02X", value.p[i]);
            CHECK_ROW_INT(id, judge(home_of(id), props), MP);
        }
        wire_free(&value);
    }
    CHECK_INT(wire_judge("30 (<t> (26 <k>) <v> 'payload')", 5, C), MP);
}

/* Strings are UTF-8 without U+0000, binary data are not [v5 MQTT-1.5.4-1] [v5 MQTT-1.5.7-1]. */
static void text_of_strings(void)
{
    static const char *const bad[] = {"{80}", "{C080}", "{EDA080}", "{'a' 00 'b'}"};

    for (unsigned id = 0; id <= 0xff; id++) {
        bool text = values[id] != NULL && values[id][0] == '<';
        bool binary = values[id] != NULL && values[id][0] == '{';

        for (size_t i = 0; i < sizeof bad / sizeof bad[0] && (text || binary); i++) {
            char props[64];

            snprintf(props, sizeof props, "%02X %s %s", id, bad[i], id == 0x26 ? "<v>" : "");
            CHECK_ROW_INT(id, judge(home_of(id), props), text ? MP : 0);
        }
    }
    CHECK_INT(judge(home_of(0x26), "26 <k> {80}"), MP);
    CHECK_INT(judge(home_of(0x26), "26 <k> {00}"), MP);
    CHECK_INT(judge(home_of(0x26), "26 <> <>"), 0);
}

/* The identifier is a Variable Byte Integer: 0x81 0x00 is neither 1 nor legal. */
static void long_identifier(void)
{
    CHECK_INT(judge(home_of(0x01), "8100 01"), MP);
    CHECK_INT(judge(home_of(0x01), "A600 <k> <v>"), MP);
}

/* Authentication Data needs a method, in whatever order. */
static void auth_data_alone(void)
{
    CHECK_INT(wire_judge("20 (00 00 (16 {00}))", 5, S), PE);
    CHECK_INT(wire_judge("20 (00 00 (16 {00} 15 <m>))", 5, S), 0);
    CHECK_INT(wire_judge("10 (<MQTT> 05 02 0000 (16 {00}) <a>)", 0, C), PE);
    CHECK_INT(wire_judge("F0 (18 (16 {00}))", 5, C), PE);
}

static const struct mqtt_props *props_in(const struct mqtt_packet *p, const struct list *list)
{
    switch (p->type) {
    case MQTT_CONNECT: return list == &lists[1] ? &p->connect.will.props : &p->connect.props;
    case MQTT_CONNACK: return &p->connack.props;
    case MQTT_PUBLISH: return &p->publish.props;
    case MQTT_SUBSCRIBE: return &p->subscribe.props;
    default: return &p->ack.props;
    }
}

/* Decode a packet with this one property; it borrows from *w. */
static const struct mqtt_props *decode_one(unsigned id, struct wire *w, struct mqtt_packet *p)
{
    const struct list *list = home_of(id);
    char text[64];

    snprintf(text, sizeof text, "%02X %s", id, values[id]);
    *w = packet_with(list, text);
    memset(p, 0xee, sizeof *p);
    CHECK_ROW_INT(id, wire_decode(w, list->packet[0] == '1' ? 0 : 5, list->sender, p), 0);
    return props_in(p, list);
}

/* Every value is in its field and its bit is set, and no other but that of what it needs. */
static void values_in_place(void)
{
    const uint64_t method = UINT64_C(1) << MQTT_PROP_auth_method;
    const struct mqtt_props *props;
    struct mqtt_packet p;
    struct wire w;

#define IS_u8(field)     ((field) == 0x01)
#define IS_u16(field)    ((field) == 0x0102)
#define IS_u32(field)    ((field) == 0x01020304)
#define IS_varint(field) ((field) == 257)
#define IS_str(field)    mqtt_str_eq(field, MQTT_STR("text"))
#define IS_bin(field)    mqtt_str_eq(field, MQTT_STR("\0\xff"))
#define IS_pair(field)   true
#define X(id, name, kind, ...)                                                      \
    props = decode_one(id, &w, &p);                                                 \
    CHECK_ROW(id, MQTT_HAS(props, name) && IS_##kind(props->name));                 \
    CHECK_ROW(id, (props->present & ~method) == ((UINT64_C(1) << (id)) & ~method)); \
    CHECK_ROW_INT(id, props->encoded.len, 0);                                       \
    wire_free(&w);
    MQTT_PROPERTIES(X)
#undef X
}

/* Of those that repeat, the first one is in the struct and all are in the list, in their order. */
static void step_through(void)
{
    static const struct {
        uint8_t id;
        uint32_t number;
        struct mqtt_str text, value;
        uint32_t size; /* of the whole property */
    } rows[] = {
        {0x0b, 129, {NULL, 0}, {NULL, 0}, 3},   {0x26, 0, MQTT_STR("k"), MQTT_STR("v"), 7},
        {0x01, 1, {NULL, 0}, {NULL, 0}, 2},     {0x0b, 7, {NULL, 0}, {NULL, 0}, 2},
        {0x26, 0, {NULL, 0}, MQTT_STR("2"), 6}, {0x09, 0, MQTT_STR("\0"), {NULL, 0}, 4},
    };
    struct wire w = wire_parse("30 (<t> (0B 8101 26 <k> <v> 01 01 0B 07 26 <> <2> 09 {00}) 'x')");
    struct mqtt_property_view v;
    struct mqtt_packet p;
    uint32_t at = 0, end = 0;

    CHECK_INT(wire_decode(&w, 5, S, &p), 0);
    CHECK_INT(p.publish.props.subscription_id, 129);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        CHECK_ROW(i, mqtt_props_next(p.publish.props.raw, &at, &v));
        CHECK_ROW_INT(i, v.id, rows[i].id);
        CHECK_ROW_INT(i, v.number, rows[i].number);
        CHECK_ROW(i, mqtt_str_eq(v.text, rows[i].text) && mqtt_str_eq(v.value, rows[i].value));
        CHECK_ROW(i, v.encoded.p == p.publish.props.raw.p + end);
        CHECK_ROW_INT(i, v.encoded.len, rows[i].size);
        end += rows[i].size;
    }
    CHECK(!mqtt_props_next(p.publish.props.raw, &at, &v));
    wire_free(&w);
}

/* A list that nobody has checked ends the walk, too. */
static void step_through_garbage(void)
{
    struct mqtt_property_view v;
    uint32_t at = 0;

    CHECK(!mqtt_props_next((struct mqtt_str){NULL, 0}, &at, &v));
    at = 5;
    CHECK(!mqtt_props_next(MQTT_STR("\1\1"), &at, &v));
    at = 0;
    CHECK(!mqtt_props_next(MQTT_STR("\3\0\5a"), &at, &v));
    at = 0;
    CHECK(!mqtt_props_next(MQTT_STR("\x7f"), &at, &v));
}

TEST_MAIN(every_property_everywhere, twice, ranges, cut_within, text_of_strings, long_identifier,
          auth_data_alone, values_in_place, step_through, step_through_garbage)

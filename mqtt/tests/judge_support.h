/* judge_support: tables of packets and what is to be said of them. */
#ifndef MQTT_JUDGE_SUPPORT_H
#define MQTT_JUDGE_SUPPORT_H
#include "base/test.h"
#include "mqtt/tests/wire_support.h"

#define C MQTT_CLIENT
#define S MQTT_SERVER

enum { MP = MQTT_RC_MALFORMED_PACKET, PE = MQTT_RC_PROTOCOL_ERROR };

struct row {
    int version; /* of the connection; 0: no CONNECT yet */
    enum mqtt_side sender;
    int want; /* of mqtt_frame() or mqtt_decode() */
    const char *text;
};

#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof(rows)[0])

static inline void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!CHECK_ROW_INT(i, wire_judge(rows[i].text, rows[i].version, rows[i].sender),
                           rows[i].want))
            fprintf(stderr, "  row %zu: %s\n", i, rows[i].text);
}

#define STR_IS(str, literal) CHECK(mqtt_str_eq(str, MQTT_STR(literal)))

/* The packet that text stands for; it borrows from *w. */
static inline struct mqtt_packet good(struct wire *w, const char *text, int version,
                                      enum mqtt_side sender)
{
    struct mqtt_packet packet = {0};

    *w = wire_parse(text);
    CHECK_INT(wire_decode(w, version, sender, &packet), 0);
    return packet;
}

#endif

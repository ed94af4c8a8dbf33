#include "conformance/statement.h"

#include "conformance/statement_priv.h"
#include "mqtt/packet.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

const struct statements statement_books[BOOK_COUNT] = {
    [BOOK_V5] = {.title = "MQTT 5.0", .version = "5.0", .rows = statements_v5},
    [BOOK_V311] = {.title = "MQTT 3.1.1", .version = "3.1.1", .rows = statements_v311},
    [BOOK_V31] = {.title = "MQTT 3.1", .version = "3.1", .rows = statements_v31},
    [BOOK_WEBSOCKET] = {.title = "WebSocket", .rows = statements_websocket},
    [BOOK_EXPECTED] = {.title = "Expected", .rows = statements_expected},
};

bool statement_next(const char **list, char out[STATEMENT_ID_MAX])
{
    size_t n;

    if (*list == NULL)
        return false;
    *list += strspn(*list, " ");
    n = strcspn(*list, " ");
    if (n == 0)
        return false;
    snprintf(out, STATEMENT_ID_MAX, "%s%.*s", isdigit((unsigned char)**list) ? "MQTT-" : "", (int)n,
             *list);
    *list += n;
    return true;
}

size_t statement_count(enum book book)
{
    size_t n = 0;

    while (statement_books[book].rows[n].id != NULL)
        n++;
    return n;
}

long statement_find(enum book book, const char *id)
{
    const struct statement *rows = statement_books[book].rows;

    for (long i = 0; rows[i].id != NULL; i++)
        if (strcmp(rows[i].id, id) == 0)
            return i;
    return -1;
}

enum book statement_book(int version, const char *id)
{
    if (strncmp(id, "EXP-", 4) == 0)
        return BOOK_EXPECTED;
    if (strncmp(id, "MQTT-", 5) != 0 && strncmp(id, "V31-", 4) != 0)
        return BOOK_WEBSOCKET;
    return version == MQTT_V5 ? BOOK_V5 : version == MQTT_V311 ? BOOK_V311 : BOOK_V31;
}

bool statement_listed(const char *list, const char *id)
{
    char next[STATEMENT_ID_MAX];

    while (statement_next(&list, next))
        if (strcmp(next, id) == 0)
            return true;
    return false;
}

/* sqlite_rows: rows as records. The columns are those of the tables in sqlite_schema.c. */
#include "storage/sqlite_store_priv.h"

static uint64_t number(sqlite3_stmt *st, int column)
{
    return (uint64_t)sqlite3_column_int64(st, column);
}

struct str sqlite__bytes(sqlite3_stmt *st, int column)
{
    const char *p = sqlite3_column_blob(st, column);

    return (struct str){p, (size_t)sqlite3_column_bytes(st, column)};
}

struct store_record sqlite__session_of(sqlite3_stmt *st)
{
    struct store_record r = {.kind = STORE_SESSION,
                             .session = number(st, 0),
                             .client_id = sqlite__bytes(st, 1),
                             .ends_ms = number(st, 2),
                             .expiry_s = (uint32_t)number(st, 3),
                             .version = (uint8_t)number(st, 4),
                             .has_will = number(st, 5) != 0};

    if (!r.has_will)
        return r;
    r.will_ms = number(st, 6);
    r.will_delay_s = (uint32_t)number(st, 7);
    r.will_has_expiry = sqlite3_column_type(st, 8) != SQLITE_NULL;
    r.will_expiry_s = (uint32_t)number(st, 8);
    r.message = (struct store_message){.publisher = number(st, 9),
                                       .expires_ms = number(st, 10),
                                       .qos = (uint8_t)number(st, 11),
                                       .retain = number(st, 12) != 0,
                                       .topic = sqlite__bytes(st, 13),
                                       .props = sqlite__bytes(st, 14),
                                       .payload = sqlite__bytes(st, 15)};
    return r;
}

struct store_record sqlite__delivery_of(sqlite3_stmt *st)
{
    return (struct store_record){.kind = STORE_DELIVERY,
                                 .session = number(st, 0),
                                 .uid = number(st, 1),
                                 .group = number(st, 2),
                                 .packet_id = (uint16_t)number(st, 3),
                                 .state = (uint8_t)number(st, 4),
                                 .qos = (uint8_t)number(st, 5),
                                 .retain = number(st, 6) != 0,
                                 .sub_ids = sqlite__bytes(st, 7)};
}

struct store_record sqlite__retained_of(sqlite3_stmt *st)
{
    return (struct store_record){.kind = STORE_RETAINED,
                                 .message = {.topic = sqlite__bytes(st, 0),
                                             .uid = number(st, 1),
                                             .publisher = number(st, 2),
                                             .expires_ms = number(st, 3),
                                             .qos = (uint8_t)number(st, 4),
                                             .retain = number(st, 5) != 0,
                                             .props = sqlite__bytes(st, 6),
                                             .payload = sqlite__bytes(st, 7)}};
}

/* json_record: records of a store as lines of JSON, for people and other programs.
 *
 *     {"type":"session","session":7,"client_id":"lamp","mqtt_version":5,"expiry_s":3600,
 *      "ends_ms":1700000000000,"will":{...}}           ends_ms: "never"; absent: it is connected
 *     {"type":"subscription","session":7,"filter":"a/#","options":1,"identifier":3}
 *     {"type":"received","session":7,"packet_id":12,"uid":99}
 *     {"type":"message","session":7,"uid":100,"state":"queued","qos":1,...,"message":{...}}
 *     {"type":"retained","message":{...}}
 *
 * A message: {"uid":100,"publisher":3,"topic":"a/b","qos":1,"retain":false,"expires_ms":...,
 * "properties":"...","payload":"..."}, the last two in base64. What is 0, false or empty is left
 * out. options is the byte of SUBSCRIBE. */
#ifndef STORAGE_JSON_RECORD_H
#define STORAGE_JSON_RECORD_H
#include "storage/store.h"
#include "storage/store_error.h"

/* The first line of an export. */
#define JSON_FIRST_LINE "{\"type\":\"frys-export\",\"format\":1}"

/* The line, without its end, for the caller to free. NULL: a text of it is not UTF-8. DELIVERY with
 * its body, SESSION, FILTER, RECEIVED and RETAINED. */
char *json_from_record(const struct store_record *r);

/* A record that was read, with what its texts borrow from. */
struct json_record {
    struct store_record record;
    void *root;                      /* of the JSON */
    void *props, *payload, *sub_ids; /* decoded */
};

/* 0, or -1 with what is wrong with the line in *err. */
int json_to_record(struct json_record *out, struct str line, struct store_error *err);
void json_record_fini(struct json_record *r);
#endif

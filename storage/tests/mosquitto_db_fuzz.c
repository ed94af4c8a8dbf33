/* Any bytes as mosquitto.db: an error, or records that are what MQTT allows, of sessions that were
 * told before. */
#include "base/assert.h"
#include "base/fuzz.h"
#include "storage/import_priv.h"
#include "storage/tests/import_support.h"

#include <stdlib.h>
#include <string.h>

static int take(void *arg, const struct store_record *r)
{
    uint64_t *last_session = arg;

    switch (r->kind) {
    case STORE_SESSION:
        ASSERT(r->session > *last_session && r->client_id.len > 0);
        *last_session = r->session;
        return 0;
    case STORE_FILTER: ASSERT(test_rules.is_filter(r->filter)); break;
    case STORE_RECEIVED: ASSERT(r->packet_id != 0); break;
    case STORE_DELIVERY:
        ASSERT(r->uid != 0 && r->qos >= 1 && r->qos <= 2 && test_rules.is_topic(r->message.topic));
        ASSERT((r->packet_id == 0) == (r->state == STORE_QUEUED) && r->sub_ids.len % 4 == 0);
        break;
    default:
        ASSERT(r->kind == STORE_RETAINED || r->kind == STORE_RETAINED_END);
        ASSERT(test_rules.is_topic(r->message.topic));
        return 0;
    }
    ASSERT(r->session != 0 && r->session <= *last_session);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct store_error err = {""};
    uint64_t last_session = 0, skipped;
    char *copy = malloc(size + 1);
    int rc;

    ASSERT(copy != NULL);
    memcpy(copy, data, size);
    rc = import__mosquitto("fuzz", copy, size, &test_rules, take, &last_session, &skipped, &err);
    ASSERT((rc == 0) == (err.text[0] == '\0'));
    return 0;
}

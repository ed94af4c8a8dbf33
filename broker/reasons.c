/* reasons: the tables of reasons.h. */
#include "broker/reasons.h"

#include "base/assert.h"
#include "base/log.h"

#include <stddef.h>

static const struct close_info closes[] = {
#define X(name, mqtt5, ws, level, label, text) {mqtt5, ws, LOG_##level, label, text},
    CLOSE_REASONS(X)
#undef X
};

static const struct {
    const char *label, *text;
} drops[] = {
#define X(name, label, text) {label, text},
    DROP_REASONS(X)
#undef X
};

const struct close_info *close_info(enum close_reason why)
{
    ASSERT(why < CLOSE_COUNT);
    return &closes[why];
}

enum close_reason close_from_mqtt(int rc)
{
    if (rc < 0)
        return CLOSE_SERVER_ERROR;
    /* Those with a code of their own; the first row of a code is the general one. */
    for (unsigned i = CLOSE_MALFORMED_PACKET; i < CLOSE_COUNT; i++)
        if (closes[i].mqtt5 == rc)
            return (enum close_reason)i;
    return CLOSE_SERVER_ERROR;
}

const char *drop_label(enum drop_reason why)
{
    return drops[why].label;
}

const char *drop_text(enum drop_reason why)
{
    return drops[why].text;
}

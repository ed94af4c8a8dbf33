/* must_support: what has to hold in a fuzz target; mqtt/ is not linked with base/ and ASSERT(). */
#ifndef MQTT_MUST_SUPPORT_H
#define MQTT_MUST_SUPPORT_H
#include <stdbool.h>
#include <stdlib.h>

static inline void must(bool ok)
{
    if (!ok)
        abort();
}
#endif

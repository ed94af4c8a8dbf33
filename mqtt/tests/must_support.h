/* must_support: what has to hold in a fuzz target. mqtt/ sees nothing of base/, not even ASSERT().
 */
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

#include "conformance/case.h"

#include "conformance/cases/chapters.h"
#include "mqtt/packet.h"

const struct chapter *const chapters[] = {
#define X(name) &chapter_##name,
    CHAPTERS(X)
#undef X
};

const size_t chapter_count = ARRAY_LEN(chapters);

const char *case_shows(const struct test_case *c, int version)
{
    if ((c->flags & ONCE) != 0)
        return c->v5;
    return version == MQTT_V5 ? c->v5 : version == MQTT_V311 ? c->v311 : c->v31;
}

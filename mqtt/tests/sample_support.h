/* sample_support: at least one good packet of every type, version and sender, in the form that the
 * encoder gives: properties by rising identifier, user properties last, nothing needless. */
#ifndef MQTT_SAMPLE_SUPPORT_H
#define MQTT_SAMPLE_SUPPORT_H
#include "mqtt/tests/wire_support.h"

struct sample {
    const char *name;
    int version;
    enum mqtt_side sender;
    const char *text; /* wire_support.h */
};

extern const struct sample samples[];
extern const size_t n_samples;

/* The version to hand to mqtt_frame(): a CONNECT comes before there is one. */
int sample_version(const struct sample *s);
#endif

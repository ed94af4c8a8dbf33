/* encode: property lists, as encode.c needs them from encode_props.c. */
#ifndef MQTT_ENCODE_PRIV_H
#define MQTT_ENCODE_PRIV_H
#include "mqtt/writer_priv.h"

/* Is there anything to write? */
bool mqtt__has_props(const struct mqtt_props *props);

/* Property Length and properties by rising identifier, then those encoded before; not in 3.x. */
void mqtt__put_props(struct mqtt_writer *w, int version, const struct mqtt_props *props);
#endif

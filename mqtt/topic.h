/* topic: rules for topic names and topic filters.                     [v5 4.7, 4.8.2] [v3 4.7] */
#ifndef MQTT_TOPIC_H
#define MQTT_TOPIC_H
#include "mqtt/str.h"

/* A topic name that may be published to: 1..65535 bytes, no '+', no '#' [v5 MQTT-3.3.2-2]
 * [v5 MQTT-4.7.3-1]. UTF-8 and U+0000 were checked by the decoder. */
bool mqtt_name_check(struct mqtt_str name);

/* A topic filter: not empty, '#' only as the whole last level, '+' only as a whole level
 * [v5 MQTT-4.7.1-1] [v5 MQTT-4.7.1-2] [v3 MQTT-4.7.1-2] [v3 MQTT-4.7.1-3]. Not for "$share/...":
 * mqtt_share_parse() splits that first. */
bool mqtt_filter_check(struct mqtt_str filter);

/* "$share/NAME/FILTER" taken apart. 0: out is set and *out_filter is valid (out_share->len == 0: an
 * ordinary filter, all of it). MQTT_RC_TOPIC_FILTER_INVALID: NAME empty or with '+' or '#', FILTER
 * missing, or what is left as filter not valid [v5 MQTT-4.8.2-1] [v5 MQTT-4.8.2-2]. "$share/x" is
 * invalid, "$share" alone an ordinary filter. */
int mqtt_share_parse(struct mqtt_str subscription, struct mqtt_str *out_share,
                     struct mqtt_str *out_filter);

/* Does the filter match the name? [v5 4.7.1, 4.7.2] Both were checked. The plain definition,
 * O(length): the yardstick for the topic tree, and for lists of a few filters. */
bool mqtt_filter_matches(struct mqtt_str filter, struct mqtt_str name);

/* Levels of a name or filter: 1 + number of '/'. */
uint32_t mqtt_topic_levels(struct mqtt_str topic);
#endif

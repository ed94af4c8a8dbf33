#include "conformance/features.h"

void features_assume(struct features *f)
{
    *f = (struct features){
        .maximum_qos = 2,
        .retain = true,
        .wildcard = true,
        .subscription_id = true,
        .shared = true,
        .receive_maximum = UINT16_MAX,
        .maximum_packet_size = UINT32_MAX,
    };
}

void features_take(struct features *f, const struct mqtt_connack *connack)
{
    const struct mqtt_props *p = &connack->props;

    features_assume(f);
    f->spoken = f->announces = true;
    if (MQTT_HAS(p, maximum_qos))
        f->maximum_qos = p->maximum_qos;
    if (MQTT_HAS(p, retain_available))
        f->retain = p->retain_available != 0;
    if (MQTT_HAS(p, wildcard_available))
        f->wildcard = p->wildcard_available != 0;
    if (MQTT_HAS(p, subscription_id_available))
        f->subscription_id = p->subscription_id_available != 0;
    if (MQTT_HAS(p, shared_available))
        f->shared = p->shared_available != 0;
    if (MQTT_HAS(p, receive_maximum))
        f->receive_maximum = p->receive_maximum;
    if (MQTT_HAS(p, topic_alias_maximum))
        f->topic_alias_maximum = p->topic_alias_maximum;
    if (MQTT_HAS(p, maximum_packet_size))
        f->maximum_packet_size = p->maximum_packet_size;
    f->has_server_keep_alive = MQTT_HAS(p, server_keep_alive_s);
    if (f->has_server_keep_alive)
        f->server_keep_alive_s = p->server_keep_alive_s;
}

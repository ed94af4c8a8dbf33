/* auth: the hooks with their defaults. */
#include "broker/auth.h"

#include "mqtt/reason.h"

int auth_connect(const struct auth *a, const struct auth_client *who, struct mqtt_str password)
{
    bool anonymous = who->username.p == NULL && password.p == NULL;

    if (a->connect != NULL)
        return a->connect(a->arg, who, password);
    if (who->peer->allow_anonymous)
        return 0;
    return anonymous ? MQTT_RC_NOT_AUTHORIZED : MQTT_RC_BAD_CREDENTIALS;
}

int auth_publish(const struct auth *a, const struct auth_client *who, struct mqtt_str topic,
                 uint8_t qos, bool retain)
{
    return a->publish == NULL ? 0 : a->publish(a->arg, who, topic, qos, retain);
}

int auth_subscribe(const struct auth *a, const struct auth_client *who, struct mqtt_str filter,
                   uint8_t qos)
{
    return a->subscribe == NULL ? 0 : a->subscribe(a->arg, who, filter, qos);
}

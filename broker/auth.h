/* auth: who may connect, publish and subscribe. The broker asks; whoever configures it answers.
 * Without any rule everyone may do everything on listeners that allow anonymous clients, and nobody
 * anything on others. All calls come from shard threads, several at a time, and must not block. */
#ifndef BROKER_AUTH_H
#define BROKER_AUTH_H
#include "broker/transport.h"
#include "mqtt/str.h"

#include <stdbool.h>
#include <stdint.h>

/* Who asks. Borrowed for the call. */
struct auth_client {
    const struct transport_peer *peer;
    struct mqtt_str client_id;
    struct mqtt_str username; /* p == NULL: none given */
};

enum auth_step {
    AUTH_DONE,    /* authenticated */
    AUTH_CONTINUE /* send data to the client and wait for its answer */
};

/* An exchange of enhanced authentication [v5 4.12], one per connection while it lasts. */
struct auth_exchange;

struct auth {
    void *arg;

    /* May this client connect? 0, or the reason code for the CONNACK. password.p == NULL: none
     * given. NULL: anonymous clients only. */
    int (*connect)(void *arg, const struct auth_client *who, struct mqtt_str password);

    /* May it publish to this name, subscribe to this filter (without "$share/NAME/")? 0, or the
     * reason code. NULL: everything. */
    int (*publish)(void *arg, const struct auth_client *who, struct mqtt_str topic, uint8_t qos,
                   bool retain);
    int (*subscribe)(void *arg, const struct auth_client *who, struct mqtt_str filter, uint8_t qos);

    /* Enhanced authentication. Start an exchange by method name; NULL: no such method, and the
     * client is refused with 0x8C. A member that is NULL: no methods at all. */
    struct auth_exchange *(*begin)(void *arg, const struct auth_client *who,
                                   struct mqtt_str method);

    /* Feed the client's data. 0 with *out_step and, in out (cap bytes), *out_len bytes to send; or
     * the reason code to refuse with. */
    int (*step)(void *arg, struct auth_exchange *x, struct mqtt_str data, enum auth_step *out_step,
                uint8_t *out, size_t cap, size_t *out_len);

    /* The exchange is over, whatever the outcome. */
    void (*end)(void *arg, struct auth_exchange *x);
};

int auth_connect(const struct auth *a, const struct auth_client *who, struct mqtt_str password);
int auth_publish(const struct auth *a, const struct auth_client *who, struct mqtt_str topic,
                 uint8_t qos, bool retain);
int auth_subscribe(const struct auth *a, const struct auth_client *who, struct mqtt_str filter,
                   uint8_t qos);
#endif

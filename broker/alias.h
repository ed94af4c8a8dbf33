/* alias: topic aliases of one direction of one connection.                 [v5 3.3.2.3.4, 3.3.4] */
#ifndef BROKER_ALIAS_H
#define BROKER_ALIAS_H
#include "mqtt/str.h"

#include <stdbool.h>
#include <stdint.h>

struct mem;
struct aliases;

/* Aliases 1..max; NULL when out of memory. */
struct aliases *aliases_new(struct mem *mem, uint16_t max);
void aliases_free(struct aliases **a, struct mem *mem);

/* Incoming: set alias (1..max) to a topic, which is copied. False when out of memory. */
bool aliases_set(struct aliases *a, struct mem *mem, uint16_t alias, struct mqtt_str topic);

/* Incoming: the topic of an alias; p == NULL when it was never set. Borrowed until it is set again.
 */
struct mqtt_str aliases_get(const struct aliases *a, uint16_t alias);

/* Outgoing: the alias to use for a topic. *out_known: the receiver knows it, the topic may be left
 * out. Topics used lately keep their alias; the others make room. 0 when out of memory. */
uint16_t aliases_use(struct aliases *a, struct mem *mem, struct mqtt_str topic, bool *out_known);
#endif

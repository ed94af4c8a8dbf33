/* wrong_rules: what the wrong broker does wrong, a function a rule: the tables of them, and what
 * they share. */
#ifndef CONFORMANCE_TESTS_WRONG_RULES_H
#define CONFORMANCE_TESTS_WRONG_RULES_H
#include "base/assert.h"
#include "conformance/tests/wrong_broker.h"
#include "conformance/wire.h"

/* clang-format off */
#define MQTT(name, function, statement, version) {name, statement, version, NULL, function, NULL, NULL, false}
#define CASE(name, function, statement, version, test) {name, statement, version, test, function, NULL, NULL, false}
#define OPEN(name, function, statement, version) {name, statement, version, NULL, function, NULL, NULL, true}
#define FRAME(name, function, statement) {name, statement, "5.0", NULL, NULL, function, NULL, false}
#define FRAME_CASE(name, function, statement, test) {name, statement, "5.0", test, NULL, function, NULL, false}
#define HEAD(name, function, statement) {name, statement, "5.0", NULL, NULL, NULL, function, false}
/* clang-format on */

/* A packet that was decoded, of this type, from this side. */
bool is(const struct passing *p, enum side side, unsigned type);

struct mqtt_str copy(struct hop *h, struct mqtt_str s);

/* What a rule sends instead. They return true, as the rule does then: the packet with one byte of
 * it changed; bytes in wire notation; a packet. */
bool send_changed(struct hop *h, const struct passing *p, size_t at, uint8_t byte);
bool send_bytes(struct hop *h, enum side from, const char *notation);
bool resend(struct hop *h, enum side from, const struct mqtt_packet *p);

/* A rule that changes nothing. */
bool passes_all(struct hop *h, const struct passing *p);

/* Property lists, as bytes: without those of one kind; with more at the end. */
struct mqtt_str props_without(struct hop *h, struct mqtt_str raw, uint8_t id);
struct mqtt_str props_with(struct hop *h, struct mqtt_str raw, struct mqtt_str more);

/* Have the encoder write exactly this list. */
void props_set(struct mqtt_props *props, struct mqtt_str raw);
#endif

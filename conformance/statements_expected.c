/* What users of brokers rely on and no standard demands. A server that does otherwise is not wrong;
 * these results are reported apart. */
#include "conformance/statement_priv.h"

/* clang-format off */
const struct statement statements_expected[] = {
    YES("EXP-01", SERVER, "Messages of QoS 0 and 1 from one client to one topic arrive in their order."),
    YES("EXP-02", SERVER, "A retained message comes once for each subscription that matches it, no more."),
    YES("EXP-03", SERVER, "After a newer message no older retained one comes."),
    YES("EXP-04", SERVER, "Takeover under load: a persistent session loses no QoS 1 message and keeps their order."),
    YES("EXP-05", SERVER, "Takeover under load: a persistent session gets each QoS 2 message once."),
    YES("EXP-06", SERVER, "A message of 1 MiB comes through as it is."),
    YES("EXP-07", SERVER, "Thousands of messages sent at once come through, in order."),
    YES("EXP-08", SERVER, "A client gets what it publishes itself, when it subscribes to it."),
    YES("EXP-09", SERVER, "A subscriber that does not read holds up nobody else."),
    YES("EXP-10", SERVER, "A hundred messages wait for a session whose client is away."),
    YES("EXP-11", SERVER, "Messages pass between versions of MQTT; properties are left out where there are none."),
    YES("EXP-12", SERVER, "A session goes on in another version of MQTT."),
    YES("EXP-13", SERVER, "A message with an empty payload is delivered."),
    YES("EXP-14", SERVER, "A shared subscription spreads messages over its members, each to one of them."),
    YES("EXP-15", SERVER, "When a member of a shared subscription leaves, the others get what comes."),
    YES("EXP-16", SERVER, "A hundred clients can connect at the same moment."),
    YES("EXP-17", SERVER, "A SUBSCRIBE may have a hundred filters."),
    YES("EXP-18", SERVER, "Hundreds of retained messages come with one subscription."),
    YES("EXP-19", SERVER, "A message reaches each of fifty subscribers."),
    YES("EXP-20", SERVER, "Payloads are bytes: all 256 values come through."),
    YES("EXP-21", SERVER, "Topics in any script work."),
    YES("EXP-22", SERVER, "SUBSCRIBE and PUBLISH may follow CONNECT before CONNACK has come."),
    YES("EXP-23", SERVER, "A session with unacknowledged messages can be resumed again and again."),
    YES("EXP-24", SERVER, "Messages whose size is at the edge of a buffer come through as they are."),
    YES("EXP-25", SERVER, "A client that loses its connection is replaced by its own reconnect at once."),
    {NULL, SERVER, NULL, NULL},
};
/* clang-format on */

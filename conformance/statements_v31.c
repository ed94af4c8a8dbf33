/* MQTT 3.1 (IBM and Eurotech, 2010) numbers no statements: these rows are ours, named after its
 * sections. Where it is silent, nothing is judged. */
#include "conformance/statement_priv.h"

/* clang-format off */
const struct statement statements_v31[] = {
    YES("V31-2.1-1",  BOTH,   "Fixed header: PUBREL, SUBSCRIBE and UNSUBSCRIBE are sent at QoS 1."),
    YES("V31-2.1-2",  BOTH,   "PUBREL, SUBSCRIBE and UNSUBSCRIBE may be sent again with DUP."),
    YES("V31-2.4-1",  BOTH,   "Message identifiers are not 0, are not used twice at a time, and come back in the answers."),
    YES("V31-3.1-1",  SERVER, "CONNECT with the name MQIsdp and version 3 is accepted with CONNACK 0."),
    YES("V31-3.1-2",  SERVER, "An empty client identifier is refused with CONNACK 2."),
    YES("V31-3.1-3",  SERVER, "Client identifiers of 1 to 23 characters are accepted."),
    YES("V31-3.1-4",  SERVER, "A version that the server does not know is refused with CONNACK 1."),
    YES("V31-3.1-5",  SERVER, "Clean session 0 keeps subscriptions and messages of QoS 1 and 2 while the client is away."),
    YES("V31-3.1-6",  SERVER, "Clean session 1 throws them away."),
    YES("V31-3.1-7",  SERVER, "The Will is published when the connection ends without DISCONNECT."),
    YES("V31-3.1-8",  SERVER, "A Will with Will Retain is retained, one without is not."),
    YES("V31-3.1-9",  SERVER, "A client from which nothing comes for one and a half keep alive intervals is disconnected."),
    YES("V31-3.1-10", SERVER, "A client identifier that is connected already: that connection is closed first."),
    YES("V31-3.2-1",  SERVER, "CONNACK is the first packet from the server."),
    YES("V31-3.2-2",  SERVER, "The return codes of CONNACK are 0 to 5."),
    YES("V31-3.3-1",  SERVER, "RETAIN: the last message is held and comes to new subscribers with RETAIN set."),
    YES("V31-3.3-2",  SERVER, "To those who are subscribed it comes without RETAIN."),
    YES("V31-3.3-3",  SERVER, "An empty payload with RETAIN removes what was retained."),
    YES("V31-3.8-1",  SERVER, "SUBSCRIBE is answered with SUBACK, a granted QoS for each topic in their order."),
    YES("V31-3.8-2",  SERVER, "A message comes at the lower of its QoS and the QoS granted."),
    YES("V31-3.9-1",  SERVER, "A granted QoS is 0, 1 or 2."),
    YES("V31-3.10-1", SERVER, "UNSUBSCRIBE is answered with UNSUBACK and ends the subscription."),
    YES("V31-3.12-1", SERVER, "PINGREQ is answered with PINGRESP."),
    YES("V31-3.14-1", SERVER, "DISCONNECT: the Will is discarded."),
    YES("V31-4.1-1",  BOTH,   "QoS 1: PUBLISH until PUBACK; sent again with DUP after a reconnect."),
    YES("V31-4.1-2",  BOTH,   "QoS 2: PUBLISH, PUBREC, PUBREL, PUBCOMP; delivered once."),
    YES("V31-4.3-1",  SERVER, "Messages of a topic and QoS from one client reach a subscriber in their order."),
    YES("V31-A-1",    SERVER, "Topics: + stands for one level, # for any number of them at the end."),
    {NULL, SERVER, NULL, NULL},
};
/* clang-format on */

/* wire_support: bytes on the wire written as text that shows their structure.
 *
 *   4A 00FF     bytes in hex            'text'   its bytes
 *   <text>      UTF-8 string: 16 bits of length, then the text
 *   { ... }     16 bits of length, then what is inside
 *   ( ... )     Variable Byte Integer of the length, then what is inside: a property list, and with
 * the first byte of the packet before it, the body |           in the body: a packet that ends here
 * is whole, too       ~   from here on everywhere
 *
 *   PUBLISH, QoS 1, 5.0:   32 (<a/b> 1234 (23 0001 26 <key> <value>) ~ 'payload')  */
#ifndef MQTT_WIRE_SUPPORT_H
#define MQTT_WIRE_SUPPORT_H
#include "mqtt/decode.h"

#define WIRE_ENDS 8

struct wire {
    uint8_t *p; /* on the heap in its exact size, so that ASan sees every byte read past it */
    size_t len;
    size_t ends[WIRE_ENDS]; /* bytes of body before a '|' */
    size_t n_ends;
    size_t free_from; /* the same for '~'; SIZE_MAX: none */
};

/* Text that is not as above ends the program. */
struct wire wire_parse(const char *text);

/* The first body_len bytes of the body of w as a packet of their own. */
struct wire wire_cut(const struct wire *w, size_t body_len);

/* Is that packet whole, by the marks? */
bool wire_may_end(const struct wire *w, size_t body_len);

void wire_free(struct wire *w);

/* mqtt_frame() without a size limit, then mqtt_decode(); version 0 is that of a connection without
 * a CONNECT. The first code that is not 0. *out borrows from w. */
int wire_decode(const struct wire *w, int version, enum mqtt_side sender, struct mqtt_packet *out);

/* The same for text. For those that look only at the code. */
int wire_judge(const char *text, int version, enum mqtt_side sender);
#endif

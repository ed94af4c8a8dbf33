/* wire: bytes from a short notation, for packets that no encoder would write.
 *
 *     82 #  0001 (0b 01)  <a/b> 02       a SUBSCRIBE with a Subscription Identifier
 *
 *     hex digits   bytes
 *     #            Remaining Length of all that follows, or up to the next ;
 *     <text>       text with its length in two bytes
 *     {...}        the same around a notation: {ED A0 80}
 *     [text]       text as it is
 *     (...)        a notation with its length as a Variable Byte Integer: a property list
 *     ;            ends a packet; the next one follows
 *
 * Blanks mean nothing outside of texts. Texts cannot hold their own closing bracket. */
#ifndef CONFORMANCE_WIRE_H
#define CONFORMANCE_WIRE_H
#include "conformance/arena.h"

/* The notation is formatted like printf first. A mistake in it aborts: cases are code. */
struct mqtt_str wire_compose(struct arena *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
struct mqtt_str wire_vcompose(struct arena *a, const char *format, va_list args);
#endif

/* apart: a WebSocket frame for each MQTT packet. Servers may fill frames with packets, and clients
 * have to take that [v5 MQTT-6.0.0-2]; some look at the first packet of a frame only. */
#ifndef WS_APART_H
#define WS_APART_H
#include <stddef.h>
#include <stdint.h>

/* Bytes that n bytes of packets need at most: a packet has 2 or more, a frame header 2, 4 or 10. */
#define APART_ROOM(n) (2 * (n) + 10)

/* Copy packets to out (APART_ROOM(len) bytes), a frame header in front of each. *left is what an
 * earlier call left over: bytes of a packet that is longer than what it got, 0 at first; these have
 * frames of their own. Packets that begin in data have their whole fixed header there. Returns the
 * number of bytes in out. */
size_t apart(uint8_t *out, const uint8_t *data, size_t len, uint32_t *left);
#endif

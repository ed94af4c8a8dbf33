/* ws: WebSocket on the wire: frames and the opening handshake, from the client's side. Frames are
 * built as they are asked for, right or wrong; what comes is taken apart without being judged.
 * [RFC 6455 4, 5] */
#ifndef CONFORMANCE_WS_H
#define CONFORMANCE_WS_H
#include "conformance/arena.h"

enum ws_opcode {
    WS_CONTINUATION = 0,
    WS_TEXT = 1,
    WS_BINARY = 2,
    WS_CLOSE = 8,
    WS_PING = 9,
    WS_PONG = 10,
};

struct ws_frame {
    bool fin, masked;
    uint8_t rsv; /* RSV1 is 4, RSV2 is 2, RSV3 is 1 */
    uint8_t opcode;
    uint8_t length_bytes; /* of the extended length: 0, 2 or 8; to build: 1 means the shortest */
    uint8_t mask[4];
    uint64_t announced; /* parsed: payload length; to build: 0 means the payload's */
    struct mqtt_str payload;
};

/* Bytes of the frame, its payload masked if it says so. */
struct mqtt_str ws_build(struct arena *a, const struct ws_frame *f);

/* The frame at the start of data: its size, header included; 0 when more bytes are needed. The
 * payload points into data and is as it came: unmask it with ws_unmask(). */
size_t ws_parse(const uint8_t *data, size_t len, struct ws_frame *out);

/* The other way, too. */
void ws_mask(uint8_t *data, size_t len, const uint8_t mask[4]);

/* Is a Close code one that may be sent [RFC 6455 7.4]? */
bool ws_close_code_legal(unsigned code);

/* The status code and reason of a Close frame's payload; 1005 when it is empty. */
unsigned ws_close_code(struct mqtt_str payload);

/* "ping", "reserved (3)" */
const char *ws_opcode_name(unsigned opcode);

/* A new Sec-WebSocket-Key from 16 random bytes, and the Sec-WebSocket-Accept that answers a key. */
char *ws_key(struct arena *a, const uint8_t random[16]);
char *ws_accept(struct arena *a, const char *key);

/* An HTTP response head. */
struct ws_response {
    unsigned status;  /* 0: no HTTP response at all */
    const char *head; /* the lines as they came, without the empty one */
    size_t size;      /* bytes, with the empty line */
};

/* Is there a whole head at the start of data? */
bool ws_parse_response(struct arena *a, const uint8_t *data, size_t len, struct ws_response *out);

/* Value of the n-th header of that name (0: the first), trimmed; NULL: there are not so many. */
const char *ws_header(struct arena *a, const struct ws_response *r, const char *name, unsigned n);

/* Is token in a list like "keep-alive, Upgrade", letters of either case? */
bool ws_has_token(const char *list, const char *token);
#endif

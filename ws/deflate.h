/* deflate: permessage-deflate without a network: what is agreed on with a client, and messages
 * packed and unpacked.                                                              [RFC 7692]
 *
 * Of what libwebsockets has for it only the hooks are used (link.c): its own extension takes the
 * part of a client for servers that accept by themselves, mixes up the two windows, answers offers
 * it does not fulfil, and sends large messages in pieces of 1 KiB, some of them damaged. */
#ifndef WS_DEFLATE_H
#define WS_DEFLATE_H
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEFLATE_BITS_MIN 9 /* zlib has no smaller window for raw DEFLATE */
#define DEFLATE_BITS_MAX 15

struct mem;
struct deflate;

/* Window bits of what the server and the client send, and whether they begin anew with every
 * message; named in the answer: tell. */
struct deflate_terms {
    uint8_t server_bits, client_bits;
    bool server_forgets, client_forgets;
    bool tell_server_bits, tell_client_bits;
};

/* Choose the first of the client's offers (the value of its Sec-WebSocket-Extensions) that can be
 * fulfilled with windows of at most max_bits, as far as the client lets us choose its own. False:
 * there is none. */
bool deflate_agree(struct str offers, uint8_t max_bits, struct deflate_terms *out);

/* The parameters of the answer: "; server_no_context_takeover". Bytes written, NUL not counted. */
#define DEFLATE_ANSWER_MAX 160
size_t deflate_answer(const struct deflate_terms *t, char out[DEFLATE_ANSWER_MAX]);

/* Bytes of memory that a connection may need. */
size_t deflate_cost(const struct deflate_terms *t);

/* level: 1 (fastest) to 9. NULL when out of memory. Everything it needs comes from mem, later. */
struct deflate *deflate_new(struct mem *mem, const struct deflate_terms *t, int level);
void deflate_free(struct deflate **d);

/* A buffer that its owner keeps from one message to the next, and frees with free(). */
struct deflate_buffer {
    uint8_t *p;
    size_t cap;
};

/* Pack a message: its bytes are put into b behind headroom bytes. Their number; 0 when out of
 * memory: then the message has to go as it is, and the next one may be packed again. */
size_t deflate_pack(struct deflate *d, const uint8_t *data, size_t len, struct deflate_buffer *b,
                    size_t headroom);

/* False: no more. */
typedef bool deflate_fn(void *arg, const uint8_t *data, size_t len);

enum deflate_result {
    DEFLATE_OK,
    DEFLATE_STOPPED,  /* by the callback */
    DEFLATE_BAD,      /* no DEFLATE data */
    DEFLATE_NO_MEMORY /* and what was received is lost */
};

/* Unpack a piece of a message, the last one or not, by way of buf. */
#define DEFLATE_UNPACK_SIZE 65536
enum deflate_result deflate_unpack(struct deflate *d, const uint8_t *data, size_t len, bool last,
                                   uint8_t buf[DEFLATE_UNPACK_SIZE], deflate_fn *fn, void *arg);
#endif

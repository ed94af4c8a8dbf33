/* deflate: permessage-deflate from the client's side.                              [RFC 7692] */
#ifndef CONFORMANCE_DEFLATE_H
#define CONFORMANCE_DEFLATE_H
#include "conformance/arena.h"

struct deflate_terms {
    bool server_no_context, client_no_context;
    unsigned server_bits, client_bits; /* windows, 8..15 */
};

/* Parameters of one element of Sec-WebSocket-Extensions: "permessage-deflate; ...". NULL, or what
 * is wrong with them in an answer [RFC 7692 7.1]. */
const char *deflate_parse(struct arena *a, const char *element, struct deflate_terms *out);

struct deflate;

struct deflate *deflate_new(const struct deflate_terms *terms);
void deflate_free(struct deflate **d);

/* A message, or a part of one (end: its last): raw DEFLATE data with the last four bytes taken off
 * [RFC 7692 7.2.2]. NULL in p: it does not inflate, or needs a larger window than agreed on. */
struct mqtt_str deflate_inflate(struct deflate *d, struct arena *a, struct mqtt_str data, bool end);

enum deflate_style { DEFLATE_USUAL, DEFLATE_STORED, DEFLATE_FIXED, DEFLATE_FINAL, DEFLATE_BLOCKS };

/* A whole message [RFC 7692 7.2.1]. FINAL: its block has BFINAL set; BLOCKS: several blocks. */
struct mqtt_str deflate_compress(struct deflate *d, struct arena *a, struct mqtt_str data,
                                 enum deflate_style style);
#endif

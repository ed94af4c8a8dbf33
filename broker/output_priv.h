/* output_priv: what output.c and output_publish.c share. */
#ifndef BROKER_OUTPUT_PRIV_H
#define BROKER_OUTPUT_PRIV_H
#include "broker/output.h"

/* Space for n bytes at the end of a buffer of the connection's output, or NULL: the connection is
 * lost, or (and then it is closed) out of memory, or its client lets answers pile up. The bytes are
 * added by output__commit(). */
uint8_t *output__reserve(struct connection *c, struct output_buffer *b, uint32_t n);
void output__commit(struct connection *c, struct output_buffer *b, uint32_t n);

/* The connection has something to flush at the end of the turn. */
void output__mark_dirty(struct connection *c);

/* Put as much of the streamed payload into the buffer as the transport lets us. */
void output__stream(struct connection *c);

void output__buffer_free(struct connection *c, struct output_buffer *b);
#endif

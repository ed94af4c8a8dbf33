/* zip_support: a client's end of permessage-deflate. [RFC 7692] */
#ifndef WS_TESTS_ZIP_SUPPORT_H
#define WS_TESTS_ZIP_SUPPORT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct zip;

/* Window bits of what this end sends and receives, 9..15, and whether either side takes no context
 * over between messages. */
struct zip *zip_new(int send_bits, int receive_bits, bool send_forgets, bool receive_forgets);
void zip_free(struct zip *z); /* NULL is fine */

/* A message; the output is what goes into its frame. */
bool zip_deflate(struct zip *z, const void *data, size_t len);

/* A frame of a message; the output is what it adds to it. False: the data are no DEFLATE. */
bool zip_inflate(struct zip *z, const void *data, size_t len, bool last);

/* Valid until the next call. */
const uint8_t *zip_output(const struct zip *z);
size_t zip_output_len(const struct zip *z);
#endif

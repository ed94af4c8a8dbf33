/* link: one network connection to the broker: TCP, and TLS where the URL asks for it. What is
 * written goes out as it is, a call a segment; nothing blocks but link_open(). */
#ifndef CONFORMANCE_LINK_H
#define CONFORMANCE_LINK_H
#include "conformance/target.h"

struct link;

/* Connect, at the latest at this time (clock_us()). NULL: *error says why not, as a clause. */
struct link *link_open(const struct target *t, uint64_t deadline_us, char *error, size_t cap);

int link_fd(const struct link *l);

/* > 0 bytes; 0: the peer has ended the connection; -EAGAIN; -ECONNRESET and the like. To be read
 * until -EAGAIN before its socket is polled: TLS keeps what it has decrypted. */
long link_read(struct link *l, void *buf, size_t cap);
long link_write(struct link *l, const void *buf, size_t len);

/* Nothing more from here: a FIN, without any farewell of TLS. */
void link_finish(struct link *l);

/* The end of TLS was announced by the peer; always true without TLS. */
bool link_closed_cleanly(const struct link *l);

/* Close. reset: with a RST, as a peer that has died and come back answers. */
void link_close(struct link **l, bool reset);
#endif

/* tls: the client's side of TLS 1.2, by mbedTLS, over a socket that does not block. */
#ifndef CONFORMANCE_TLS_H
#define CONFORMANCE_TLS_H
#include <stdbool.h>
#include <stddef.h>

struct tls_files {
    const char *ca;         /* file of CA certificates; NULL: those of the system */
    const char *cert, *key; /* of the client; NULL: none */
    bool insecure;          /* do not check the server's certificate */
};

/* What connections to one server share: certificates, random numbers, the session to be resumed.
 * Any thread may use it. */
struct tls_setup;

/* name: of the server, as its certificate has it. NULL: *error says why. */
struct tls_setup *tls_setup_new(const struct tls_files *files, const char *name, char *error,
                                size_t cap);
void tls_setup_free(struct tls_setup **s);

struct tls;

/* Over this socket, which stays the caller's. NULL when out of memory. */
struct tls *tls_new(struct tls_setup *s, int fd);
void tls_free(struct tls **t); /* sends nothing */

/* Go on with the handshake. 0: done; -EAGAIN: when the socket can be read (or written: see
 * tls_wants_write()); -EPROTO: failed, tls_error() says why. */
int tls_handshake(struct tls *t);
bool tls_wants_write(const struct tls *t);
const char *tls_error(const struct tls *t);

/* > 0 bytes; 0: the end; -EAGAIN; another -errno. After a write that gave -EAGAIN the next must be
 * of the same bytes. */
long tls_read(struct tls *t, void *buf, size_t cap);
long tls_write(struct tls *t, const void *buf, size_t len);

/* The end was announced by the peer (close_notify) [RFC 5246 7.2.1]. */
bool tls_closed_cleanly(const struct tls *t);
#endif

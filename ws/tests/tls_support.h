/* tls_support: certificates made for the test run, and the client's end of TLS. */
#ifndef WS_TESTS_TLS_SUPPORT_H
#define WS_TESTS_TLS_SUPPORT_H
#include "ws/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Files in a folder that goes away when the test ends. */
struct certs {
    char folder[64];
    struct ws_certificate server[2]; /* for "server.test", then "other.test"; each with its chain */
    char root[96];                   /* what a client trusts; the servers' issuer is below it */
};

/* Made at the first call. */
struct certs *certs(void);

/* Write a new certificate for this name over a pair of files; its serial number is given. */
void certs_renew(const struct ws_certificate *files, const char *name, uint8_t serial);

struct tls_options {
    const char *server_name;     /* SNI, and what the certificate is for; NULL: server.test */
    bool no_sni;                 /* name none, and take a certificate for any */
    bool any_name;               /* take a certificate for another name */
    bool tls11;                  /* offer nothing newer */
    const char *alpn;            /* offer this protocol; NULL: none */
    struct tls_session *session; /* resume it, if it holds one, and keep the new one in it */
};

/* What a client keeps to resume. */
struct tls_session;
struct tls_session *tls_session_new(void);
void tls_session_free(struct tls_session *s);

struct tls;

/* Shake hands on a connected, non-blocking socket, which stays the caller's. NULL: refused. */
struct tls *tls_open(int fd, const struct tls_options *o);

/* As read(2) and write(2) on a non-blocking socket; 0 from tls_read(): the peer has said that it
 * ends. */
ssize_t tls_read(struct tls *t, void *out, size_t cap);
ssize_t tls_write(struct tls *t, const void *data, size_t len);

const char *tls_version(const struct tls *t); /* "TLSv1.2" */
bool tls_resumed(const struct tls *t);
bool tls_ended_cleanly(const struct tls *t); /* a close_notify came */
unsigned tls_chain(const struct tls *t);     /* certificates up to the root; 0 when resumed */
uint8_t tls_serial(const struct tls *t);     /* of the server's certificate */
void tls_free(struct tls *t);
#endif

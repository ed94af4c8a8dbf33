/* tls: mbedTLS behind an interface of our own. Sessions are resumed, as a client would: a handshake
 * costs both sides some milliseconds, and a run makes thousands. */
#include "conformance/tls.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/ssl.h>

#define SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"

struct tls_setup {
    mbedtls_ssl_config config;
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    mbedtls_x509_crt ca, cert;
    mbedtls_pk_context key;
    char *name;
    pthread_mutex_t lock; /* of what follows, and of random */
    mbedtls_ssl_session session;
    bool has_session;
};

struct tls {
    mbedtls_ssl_context ssl;
    struct tls_setup *setup;
    int fd;
    bool wants_write, clean;
    char error[160];
};

static bool failed(int rc, const char *what, const char *file, char *error, size_t cap)
{
    char text[128];

    if (rc == 0)
        return false;
    mbedtls_strerror(rc, text, sizeof text);
    snprintf(error, cap, "%s %s: %s", what, file, text);
    return true;
}

/* The library's own generator is not safe with threads in every build. */
static int random_bytes(void *arg, unsigned char *out, size_t len)
{
    struct tls_setup *s = arg;
    int rc;

    pthread_mutex_lock(&s->lock);
    rc = mbedtls_ctr_drbg_random(&s->random, out, len);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

static bool load(struct tls_setup *s, const struct tls_files *f, char *error, size_t cap)
{
    const char *ca = f->ca != NULL ? f->ca : SYSTEM_CA;

    if (!f->insecure && failed(mbedtls_x509_crt_parse_file(&s->ca, ca) < 0 ? -1 : 0,
                               "no CA certificates in", ca, error, cap))
        return false;
    if (f->cert == NULL)
        return true;
    return !failed(mbedtls_x509_crt_parse_file(&s->cert, f->cert), "certificate", f->cert, error,
                   cap) &&
           !failed(mbedtls_pk_parse_keyfile(&s->key, f->key, NULL), "key", f->key, error, cap) &&
           !failed(mbedtls_ssl_conf_own_cert(&s->config, &s->cert, &s->key), "certificate", f->cert,
                   error, cap);
}

static bool configure(struct tls_setup *s, const struct tls_files *f, char *error, size_t cap)
{
    if (failed(mbedtls_ctr_drbg_seed(&s->random, mbedtls_entropy_func, &s->entropy, NULL, 0),
               "random", "numbers", error, cap) ||
        failed(mbedtls_ssl_config_defaults(&s->config, MBEDTLS_SSL_IS_CLIENT,
                                           MBEDTLS_SSL_TRANSPORT_STREAM,
                                           MBEDTLS_SSL_PRESET_DEFAULT),
               "TLS", "configuration", error, cap))
        return false;
    mbedtls_ssl_conf_rng(&s->config, random_bytes, s);
    mbedtls_ssl_conf_min_version(&s->config, MBEDTLS_SSL_MAJOR_VERSION_3,
                                 MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_authmode(&s->config,
                              f->insecure ? MBEDTLS_SSL_VERIFY_NONE : MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_chain(&s->config, &s->ca, NULL);
    return load(s, f, error, cap);
}

struct tls_setup *tls_setup_new(const struct tls_files *files, const char *name, char *error,
                                size_t cap)
{
    struct tls_setup *s = calloc(1, sizeof *s);

    if (s == NULL) {
        snprintf(error, cap, "out of memory");
        return NULL;
    }
    mbedtls_ssl_config_init(&s->config);
    mbedtls_entropy_init(&s->entropy);
    mbedtls_ctr_drbg_init(&s->random);
    mbedtls_x509_crt_init(&s->ca);
    mbedtls_x509_crt_init(&s->cert);
    mbedtls_pk_init(&s->key);
    mbedtls_ssl_session_init(&s->session);
    pthread_mutex_init(&s->lock, NULL);
    s->name = strdup(name);
    if (!configure(s, files, error, cap))
        tls_setup_free(&s);
    return s;
}

void tls_setup_free(struct tls_setup **s)
{
    struct tls_setup *p = *s;

    if (p == NULL)
        return;
    mbedtls_ssl_session_free(&p->session);
    mbedtls_pk_free(&p->key);
    mbedtls_x509_crt_free(&p->cert);
    mbedtls_x509_crt_free(&p->ca);
    mbedtls_ctr_drbg_free(&p->random);
    mbedtls_entropy_free(&p->entropy);
    mbedtls_ssl_config_free(&p->config);
    pthread_mutex_destroy(&p->lock);
    free(p->name);
    free(p);
    *s = NULL;
}

/* ---- one connection ---- */

static int on_send(void *arg, const unsigned char *data, size_t len)
{
    const struct tls *t = arg;
    ssize_t n = send(t->fd, data, len, MSG_NOSIGNAL);

    if (n < 0)
        return errno == EAGAIN ? MBEDTLS_ERR_SSL_WANT_WRITE : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
    return (int)n;
}

static int on_recv(void *arg, unsigned char *out, size_t cap)
{
    const struct tls *t = arg;
    ssize_t n = recv(t->fd, out, cap, 0);

    if (n < 0)
        return errno == EAGAIN ? MBEDTLS_ERR_SSL_WANT_READ : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
    return (int)n; /* 0: mbedTLS makes it MBEDTLS_ERR_SSL_CONN_EOF */
}

struct tls *tls_new(struct tls_setup *s, int fd)
{
    struct tls *t = calloc(1, sizeof *t);

    if (t == NULL)
        return NULL;
    t->setup = s;
    t->fd = fd;
    mbedtls_ssl_init(&t->ssl);
    if (mbedtls_ssl_setup(&t->ssl, &s->config) != 0 ||
        mbedtls_ssl_set_hostname(&t->ssl, s->name) != 0) {
        tls_free(&t);
        return NULL;
    }
    mbedtls_ssl_set_bio(&t->ssl, t, on_send, on_recv, NULL);
    pthread_mutex_lock(&s->lock);
    if (s->has_session)
        mbedtls_ssl_set_session(&t->ssl, &s->session);
    pthread_mutex_unlock(&s->lock);
    return t;
}

void tls_free(struct tls **t)
{
    if (*t == NULL)
        return;
    mbedtls_ssl_free(&(*t)->ssl);
    free(*t);
    *t = NULL;
}

static void keep_session(struct tls *t)
{
    struct tls_setup *s = t->setup;

    pthread_mutex_lock(&s->lock);
    if (!s->has_session)
        s->has_session = mbedtls_ssl_get_session(&t->ssl, &s->session) == 0;
    pthread_mutex_unlock(&s->lock);
}

static void explain(struct tls *t, int rc)
{
    uint32_t flags = mbedtls_ssl_get_verify_result(&t->ssl);

    if (rc == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED && flags != 0 && flags != UINT32_MAX) {
        mbedtls_x509_crt_verify_info(t->error, sizeof t->error, "", flags);
        t->error[strcspn(t->error, "\n")] = '\0';
    } else if (rc == MBEDTLS_ERR_SSL_CONN_EOF) {
        snprintf(t->error, sizeof t->error, "the server closed the connection");
    } else {
        mbedtls_strerror(rc, t->error, sizeof t->error);
    }
}

int tls_handshake(struct tls *t)
{
    int rc = mbedtls_ssl_handshake(&t->ssl);

    t->wants_write = rc == MBEDTLS_ERR_SSL_WANT_WRITE;
    if (rc == MBEDTLS_ERR_SSL_WANT_READ || rc == MBEDTLS_ERR_SSL_WANT_WRITE)
        return -EAGAIN;
    if (rc != 0) {
        explain(t, rc);
        return -EPROTO;
    }
    keep_session(t);
    return 0;
}

bool tls_wants_write(const struct tls *t)
{
    return t->wants_write;
}

const char *tls_error(const struct tls *t)
{
    return t->error;
}

static long result(struct tls *t, int n)
{
    switch (n) {
    case MBEDTLS_ERR_SSL_WANT_READ:
    case MBEDTLS_ERR_SSL_WANT_WRITE: return -EAGAIN;
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY: t->clean = true; return 0;
    case MBEDTLS_ERR_SSL_CONN_EOF: return 0;
    default: return n >= 0 ? n : -ECONNRESET;
    }
}

long tls_read(struct tls *t, void *buf, size_t cap)
{
    return result(t, mbedtls_ssl_read(&t->ssl, buf, cap));
}

long tls_write(struct tls *t, const void *buf, size_t len)
{
    return result(t, mbedtls_ssl_write(&t->ssl, buf, len));
}

bool tls_closed_cleanly(const struct tls *t)
{
    return t->clean;
}

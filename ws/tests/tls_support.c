#include "ws/tests/tls_support.h"

#include "base/test.h"
#include "ws/tests/rig_support.h"

#include <errno.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/ecp.h>
#include <mbedtls/entropy.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define RNG mbedtls_ctr_drbg_random, rng()

static mbedtls_ctr_drbg_context *rng(void)
{
    static mbedtls_ctr_drbg_context drbg;
    static mbedtls_entropy_context entropy;
    static bool seeded;

    if (!seeded) {
        mbedtls_entropy_init(&entropy);
        mbedtls_ctr_drbg_init(&drbg);
        CHECK(mbedtls_ctr_drbg_seed(&drbg, mbedtls_entropy_func, &entropy, NULL, 0) == 0);
        seeded = true;
    }
    return &drbg;
}

/* ---- certificates ---- */

struct issuer {
    mbedtls_pk_context key;
    char name[64]; /* "CN=..." */
};

static struct certs made;
static struct issuer root, middle;
static char middle_pem[2048];

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    CHECK(f != NULL && fputs(text, f) >= 0);
    if (f != NULL)
        fclose(f);
}

static void key_make(mbedtls_pk_context *key)
{
    mbedtls_pk_init(key);
    CHECK(mbedtls_pk_setup(key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)) == 0);
    CHECK(mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(*key), RNG) == 0);
}

/* The PEM text of a certificate. */
static void sign(const struct issuer *by, const struct issuer *who, bool ca, uint8_t serial,
                 char *out, size_t cap)
{
    mbedtls_x509write_cert crt;
    mbedtls_mpi number;

    mbedtls_x509write_crt_init(&crt);
    mbedtls_mpi_init(&number);
    mbedtls_x509write_crt_set_version(&crt, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&crt, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&crt, (mbedtls_pk_context *)(uintptr_t)&who->key);
    mbedtls_x509write_crt_set_issuer_key(&crt, (mbedtls_pk_context *)(uintptr_t)&by->key);
    CHECK(mbedtls_x509write_crt_set_subject_name(&crt, who->name) == 0);
    CHECK(mbedtls_x509write_crt_set_issuer_name(&crt, by->name) == 0);
    CHECK(mbedtls_mpi_lset(&number, serial) == 0);
    CHECK(mbedtls_x509write_crt_set_serial(&crt, &number) == 0);
    CHECK(mbedtls_x509write_crt_set_validity(&crt, "20200101000000", "20991231235959") == 0);
    CHECK(mbedtls_x509write_crt_set_basic_constraints(&crt, ca, -1) == 0);
    CHECK(mbedtls_x509write_crt_pem(&crt, (unsigned char *)out, cap, RNG) == 0);
    mbedtls_mpi_free(&number);
    mbedtls_x509write_crt_free(&crt);
}

void certs_renew(const struct ws_certificate *files, const char *name, uint8_t serial)
{
    struct issuer server;
    char pem[4096], key[1024];

    snprintf(server.name, sizeof server.name, "CN=%s", name);
    key_make(&server.key);
    sign(&middle, &server, false, serial, pem, sizeof pem);
    strcat(pem, middle_pem);
    write_file(files->certificate, pem);
    CHECK(mbedtls_pk_write_key_pem(&server.key, (unsigned char *)key, sizeof key) == 0);
    write_file(files->key, key);
    mbedtls_pk_free(&server.key);
}

static char *file_name(const char *name)
{
    char path[160];

    snprintf(path, sizeof path, "%s/%s", made.folder, name);
    return strdup(path);
}

static void add_server(unsigned i, const char *name)
{
    char crt[64], key[64];

    snprintf(crt, sizeof crt, "%s.pem", name);
    snprintf(key, sizeof key, "%s.key", name);
    made.server[i] = (struct ws_certificate){
        .server_name = strdup(name), .certificate = file_name(crt), .key = file_name(key)};
    certs_renew(&made.server[i], name, (uint8_t)(i + 1));
}

static void remove_all(void)
{
    for (unsigned i = 0; i < 2; i++) {
        unlink(made.server[i].certificate);
        unlink(made.server[i].key);
        free(made.server[i].certificate);
        free(made.server[i].key);
        free(made.server[i].server_name);
    }
    unlink(made.root);
    rmdir(made.folder);
    mbedtls_pk_free(&root.key);
    mbedtls_pk_free(&middle.key);
}

struct certs *certs(void)
{
    char pem[2048];

    if (made.folder[0] != '\0')
        return &made;
    snprintf(made.folder, sizeof made.folder, "/tmp/frys_certs_XXXXXX");
    CHECK(mkdtemp(made.folder) != NULL);
    snprintf(made.root, sizeof made.root, "%s/root.pem", made.folder);
    strcpy(root.name, "CN=root");
    strcpy(middle.name, "CN=middle");
    key_make(&root.key);
    key_make(&middle.key);
    sign(&root, &root, true, 1, pem, sizeof pem);
    write_file(made.root, pem);
    sign(&root, &middle, true, 2, middle_pem, sizeof middle_pem);
    add_server(0, "server.test");
    add_server(1, "other.test");
    atexit(remove_all);
    return &made;
}

/* ---- the client's end ---- */

struct tls_session {
    mbedtls_ssl_session session;
    bool there;
};

struct tls {
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config config;
    mbedtls_x509_crt trusted;
    const char *alpn[2];
    int fd;
    bool any_name;
    unsigned chain; /* certificates that were verified */
    uint8_t serial;
    bool ended;
};

struct tls_session *tls_session_new(void)
{
    struct tls_session *s = calloc(1, sizeof *s);

    mbedtls_ssl_session_init(&s->session);
    return s;
}

void tls_session_free(struct tls_session *s)
{
    mbedtls_ssl_session_free(&s->session);
    free(s);
}

static int on_send(void *arg, const unsigned char *data, size_t len)
{
    const struct tls *t = arg;
    ssize_t n = send(t->fd, data, len, MSG_NOSIGNAL);

    if (n >= 0)
        return (int)n;
    return errno == EAGAIN ? MBEDTLS_ERR_SSL_WANT_WRITE : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

static int on_receive(void *arg, unsigned char *out, size_t cap)
{
    const struct tls *t = arg;
    ssize_t n = recv(t->fd, out, cap, 0);

    if (n >= 0)
        return (int)n;
    return errno == EAGAIN ? MBEDTLS_ERR_SSL_WANT_READ : MBEDTLS_ERR_SSL_INTERNAL_ERROR;
}

/* Called for every certificate of a full handshake, the root first. */
static int on_certificate(void *arg, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    struct tls *t = arg;

    if (t->any_name)
        *flags &= ~(uint32_t)MBEDTLS_X509_BADCERT_CN_MISMATCH;
    t->chain++;
    if (depth == 0)
        t->serial = crt->serial.p[crt->serial.len - 1];
    return 0;
}

static bool set_up(struct tls *t, const struct tls_options *o)
{
    const char *name = o->server_name != NULL ? o->server_name : "server.test";
    mbedtls_ssl_config *c = &t->config;

    if (mbedtls_ssl_config_defaults(c, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT) != 0 ||
        mbedtls_x509_crt_parse_file(&t->trusted, certs()->root) != 0)
        return false;
    mbedtls_ssl_conf_rng(c, RNG);
    mbedtls_ssl_conf_ca_chain(c, &t->trusted, NULL);
    mbedtls_ssl_conf_authmode(c, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_verify(c, on_certificate, t);
#if MBEDTLS_VERSION_MAJOR < 3
    if (o->tls11)
        mbedtls_ssl_conf_max_version(c, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_2);
#endif
    t->any_name = o->any_name;
    t->alpn[0] = o->alpn;
    if (o->alpn != NULL && mbedtls_ssl_conf_alpn_protocols(c, t->alpn) != 0)
        return false;
    if (mbedtls_ssl_setup(&t->ssl, c) != 0 ||
        mbedtls_ssl_set_hostname(&t->ssl, o->no_sni ? NULL : name) != 0)
        return false;
    mbedtls_ssl_set_bio(&t->ssl, t, on_send, on_receive, NULL);
    return o->session == NULL || !o->session->there ||
           mbedtls_ssl_set_session(&t->ssl, &o->session->session) == 0;
}

static bool wait_for(const struct tls *t, int rc)
{
    struct pollfd p = {t->fd, rc == MBEDTLS_ERR_SSL_WANT_WRITE ? POLLOUT : POLLIN, 0};

    return (rc == MBEDTLS_ERR_SSL_WANT_WRITE || rc == MBEDTLS_ERR_SSL_WANT_READ) &&
           poll(&p, 1, PATIENCE_MS) == 1;
}

static void keep_session(struct tls *t, struct tls_session *s)
{
    mbedtls_ssl_session_free(&s->session);
    mbedtls_ssl_session_init(&s->session);
    s->there = mbedtls_ssl_get_session(&t->ssl, &s->session) == 0;
}

struct tls *tls_open(int fd, const struct tls_options *o)
{
    static const struct tls_options usual = {0};
    struct tls *t = calloc(1, sizeof *t);
    int rc;

    t->fd = fd;
    mbedtls_ssl_init(&t->ssl);
    mbedtls_ssl_config_init(&t->config);
    mbedtls_x509_crt_init(&t->trusted);
    o = o != NULL ? o : &usual;
    if (!set_up(t, o))
        abort(); /* of our own making */
    do {
        rc = mbedtls_ssl_handshake(&t->ssl);
    } while (rc != 0 && wait_for(t, rc));
    if (rc != 0) {
        tls_free(t);
        return NULL;
    }
    if (o->session != NULL)
        keep_session(t, o->session);
    return t;
}

ssize_t tls_read(struct tls *t, void *out, size_t cap)
{
    int rc = mbedtls_ssl_read(&t->ssl, out, cap);

    if (rc > 0)
        return rc;
    t->ended = t->ended || rc == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY;
    if (rc == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY || rc == 0)
        return 0;
    errno = rc == MBEDTLS_ERR_SSL_WANT_READ ? EAGAIN : ECONNRESET;
    return -1;
}

ssize_t tls_write(struct tls *t, const void *data, size_t len)
{
    int rc = mbedtls_ssl_write(&t->ssl, data, len);

    if (rc >= 0)
        return rc;
    errno = rc == MBEDTLS_ERR_SSL_WANT_WRITE ? EAGAIN : ECONNRESET;
    return -1;
}

const char *tls_version(const struct tls *t)
{
    return mbedtls_ssl_get_version(&t->ssl);
}

bool tls_resumed(const struct tls *t)
{
    return t->chain == 0;
}

bool tls_ended_cleanly(const struct tls *t)
{
    return t->ended;
}

unsigned tls_chain(const struct tls *t)
{
    return t->chain;
}

uint8_t tls_serial(const struct tls *t)
{
    return t->serial;
}

void tls_free(struct tls *t)
{
    mbedtls_ssl_free(&t->ssl);
    mbedtls_ssl_config_free(&t->config);
    mbedtls_x509_crt_free(&t->trusted);
    free(t);
}

/* tls: vhosts and their certificates. A listener with TLS has one vhost per certificate; the name
 * that a client asks for (SNI) chooses, the first is for everybody else. */
#include "base/log.h"
#include "ws/ws_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- are certificate and key a pair? The library underneath decides. ---- */

#if FRYS_LWS_SYSTEM
#include <openssl/ssl.h>

static const char *pair_problem(const struct ws_certificate *c)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    const char *problem = NULL;

    if (ctx == NULL)
        return "out of memory";
    if (SSL_CTX_use_certificate_chain_file(ctx, c->certificate) != 1)
        problem = "the certificate file is not a PEM certificate chain";
    else if (SSL_CTX_use_PrivateKey_file(ctx, c->key, SSL_FILETYPE_PEM) != 1)
        problem = "the key file is not an unencrypted PEM private key of the certificate";
    SSL_CTX_free(ctx);
    return problem;
}
#else
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/pk.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>

#if MBEDTLS_VERSION_MAJOR >= 3
#define WITH_RNG(rng) , mbedtls_ctr_drbg_random, rng
#else
#define WITH_RNG(rng)
#endif

/* A file that was cut off ends within a certificate, which mbedTLS passes over. */
static bool cut_off(const char *file, const mbedtls_x509_crt *chain)
{
    FILE *f = fopen(file, "re");
    char line[128];
    int missing = 0;

    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        missing += strncmp(line, "-----BEGIN CERTIFICATE-----", 27) == 0;
    if (f != NULL)
        fclose(f);
    for (; chain != NULL; chain = chain->next)
        missing--;
    return missing > 0;
}

static const char *pair_problem(const struct ws_certificate *c)
{
    mbedtls_x509_crt chain;
    mbedtls_pk_context key;
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context rng;
    const char *problem = NULL;

    mbedtls_x509_crt_init(&chain);
    mbedtls_pk_init(&key);
    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&rng);
    if (mbedtls_ctr_drbg_seed(&rng, mbedtls_entropy_func, &entropy, NULL, 0) != 0)
        problem = "no randomness";
    else if (mbedtls_x509_crt_parse_file(&chain, c->certificate) != 0)
        problem = "the certificate file is not a PEM certificate chain";
    else if (cut_off(c->certificate, &chain))
        problem = "the certificate file ends within a certificate";
    else if (mbedtls_pk_parse_keyfile(&key, c->key, NULL WITH_RNG(&rng)) != 0)
        problem = "the key file is not an unencrypted PEM private key";
    else if (mbedtls_pk_check_pair(&chain.pk, &key WITH_RNG(&rng)) != 0)
        problem = "the key does not belong to the certificate";
    mbedtls_ctr_drbg_free(&rng);
    mbedtls_entropy_free(&entropy);
    mbedtls_pk_free(&key);
    mbedtls_x509_crt_free(&chain);
    return problem;
}
#endif

static bool readable(const char *what, const char *path, struct ws_error *err)
{
    FILE *f = fopen(path, "re");

    if (f == NULL)
        return ws_fail(err, "%s %s: %s", what, path, strerror(errno));
    fclose(f);
    return true;
}

bool certificate_check(const struct ws_certificate *c, struct ws_error *err)
{
    const char *problem;

    if (!readable("certificate", c->certificate, err) || !readable("key", c->key, err))
        return false;
    problem = pair_problem(c);
    if (problem != NULL)
        return ws_fail(err, "certificate %s with key %s: %s", c->certificate, c->key, problem);
    return true;
}

/* ---- vhosts ---- */

/* Pings are ours (link.c): lws's own idle check keeps a timer per connection in one sorted list. */
static const lws_retry_bo_t no_idle_check = {.secs_since_valid_ping = 0};

/* c NULL: without TLS. */
static struct lws_vhost *vhost_new(const struct socket *so, const struct ws_certificate *c)
{
    const struct ws_listener_config *cfg = so->config;
    struct ws_loop *l = so->loop;
    struct lws_context_creation_info info = {.port = CONTEXT_PORT_NO_LISTEN_SERVER,
                                             .vhost_name = cfg->name,
                                             .iface = cfg->name, /* SNI stays within it */
                                             .protocols = link_protocols,
                                             .log_cx = &l->log,
                                             .retry_and_idle_policy = &no_idle_check,
                                             .timeout_secs_ah_idle = l->lws_timeout_s};

    if (cfg->deflate)
        info.extensions = link_extensions;
    if (c != NULL) {
        if (c->server_name != NULL && c->server_name[0] != '\0')
            info.vhost_name = c->server_name;
        info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
        info.ssl_cert_filepath = c->certificate;
        info.ssl_private_key_filepath = c->key;
        info.alpn = ws_protocol_is_websocket(cfg->protocol) ? "http/1.1" : "mqtt";
    }
    return lws_create_vhost(l->lws, &info);
}

struct lws_vhost *vhosts_new(const struct socket *so, struct ws_error *err)
{
    const struct ws_listener_config *cfg = so->config;
    bool tls = ws_protocol_has_tls(cfg->protocol);
    struct lws_vhost *first = NULL;

    for (size_t i = 0; i < (tls ? cfg->n_certificates : 1); i++) {
        struct lws_vhost *vh = vhost_new(so, tls ? &cfg->certificates[i] : NULL);

        if (vh == NULL) {
            ws_fail(err, "listener %s: libwebsockets refuses its settings%s", cfg->name,
                    tls ? "; are its certificates in order?" : "");
            return NULL;
        }
        if (first == NULL)
            first = vh;
    }
    return first;
}

void vhosts_reload(const struct socket *so)
{
    const struct ws_listener_config *cfg = so->config;

    if (!ws_protocol_has_tls(cfg->protocol))
        return;
    for (size_t i = 0; i < cfg->n_certificates; i++) {
        const struct ws_certificate *c = &cfg->certificates[i];

        if (lws_tls_cert_updated(so->loop->lws, c->certificate, c->key, NULL, 0, NULL, 0) != 0)
            LOG(LOG_ERROR, "tls.reload_failed", LOG_TXT("listener", cfg->name),
                LOG_TXT("certificate", c->certificate));
    }
}

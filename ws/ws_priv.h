/* ws_priv: what the files of ws/ share. libwebsockets and libuv types end here. */
#ifndef WS_WS_PRIV_H
#define WS_WS_PRIV_H
#include "base/list.h"
#include "base/str.h"
#include "base/timer.h"
#include "broker/transport.h"
#include "ws/config.h"
#include "ws/deflate.h"
#include "ws/server.h"

#include <libwebsockets.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct broker;
struct broker_config;
struct shard;

#define READ_SIZE 65536 /* bytes of one read */

_Static_assert(TRANSPORT_HEADROOM >= LWS_PRE, "lws writes its frame header in front of our bytes");

/* A listener as all loops know it. */
struct listener {
    char *name;
    bool admin;           /* the administration pages, not MQTT */
    int port;             /* bound one */
    _Atomic int64_t open; /* connections of all loops */
};

/* A listener's socket of one loop. */
struct socket {
    struct ws_loop *loop;
    struct listener *listener;
    const struct ws_listener_config *config; /* current one */
    struct lws_vhost *vhost;
    int fd;           /* -1: not bound, or closed */
    uv_poll_t poll;   /* of fd */
    uv_timer_t retry; /* accepts again when file descriptors were short */
    bool open;        /* poll and retry are handles of the loop */
    bool shared;      /* all loops accept from it */
};

/* What all loops are asked to do; each looks when it is woken. */
struct loop_request {
    bool drain, stop;
    const struct broker_config *broker_config; /* reload; NULL: none */
    const struct ws_config *config;
};

struct ws_loop {
    struct ws_server *server;
    struct shard *shard;
    const struct ws_config *config; /* current one */
    pthread_t thread;
    bool started; /* the thread exists; owner's thread only */
    uv_loop_t uv;
    int wake_fd;          /* eventfd: from other shards and from the server's owner */
    uv_poll_t wake;       /* on it */
    uv_prepare_t prepare; /* before the loop waits */
    uv_check_t check;     /* after it has waited and called back */
    uv_timer_t timer;     /* the shard's next turn */
    uv_idle_t idle;       /* runs while the shard has work left: the loop does not wait */
    struct lws_context *lws;
    lws_log_cx_t log;
    unsigned lws_timeout_s;          /* of handshakes, in lws */
    struct deflate_buffer packed;    /* what is being sent */
    uint8_t *unpacked;               /* what was received; NULL: nothing was so far */
    char answer[DEFLATE_ANSWER_MAX]; /* to an offer of compression */
    struct socket *sockets;          /* one per listener of the server */
    struct link *adopting;           /* on its way into lws */
    uint64_t armed_ms;               /* what timer is set to */
    uint64_t kill_ms;                /* draining: when the loop stops, whatever is left */
    unsigned rounds;
    bool in_turn, draining;
    bool stirred;     /* something came since the loop last looked */
    unsigned refused; /* links whose end is awaited, and of which the shard knows nothing */
    bool nudge; /* lws has been given a timeout from outside of its callbacks: it does not know */
    unsigned answered;      /* number of the last request it has seen; server.lock */
    _Atomic unsigned pulse; /* the server's, when the loop last looked */
    bool ended;             /* it looks at no more requests; server.lock */
};

struct ws_server {
    struct broker *broker;
    const struct ws_config *config; /* owner's thread only */
    struct ws_listener_config admin_config;
    struct listener *listeners; /* those of the configuration, then the admin one, if enabled */
    size_t n_listeners;
    struct ws_loop *loops; /* one per shard */
    unsigned n_loops;
    int lock_fd;
    _Atomic int64_t deflate_bytes; /* what all links may need for compression */
    _Atomic unsigned pulse;        /* number of the last ws_server_pulse() */
    _Atomic int stalled;           /* and what it returned */

    _Atomic unsigned running; /* loops that have not ended */

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t answered;
    struct loop_request request;
    unsigned requests; /* number of the request */
    unsigned missing;  /* loops that have not answered it */
};

/* One network connection. Its memory is the shard's; lws keeps the pointer as opaque user data. */
struct link {
    uint32_t magic;
    bool closing; /* close() was called, or the connection is refused */
    bool ending;  /* and our part of it is done */
    bool apart;   /* each packet has a frame of its own, unless packed */
    bool pinged;  /* a ping of ours is unanswered */
    enum close_reason why;
    struct lws *wsi;
    struct ws_loop *loop;
    struct socket *socket;       /* that it came through */
    struct connection *conn;     /* NULL: before the handshake is through, and at the end */
    enum lws_write_protocol how; /* LWS_WRITE_BINARY or LWS_WRITE_RAW */
    uint64_t sent_ms, heard_ms;
    uint64_t pinged_ms;   /* the last ping, or when there was no need of one */
    struct timer timer;   /* of the handshake; then of pings; then of the end */
    uint32_t packet_left; /* apart: bytes of the latest packet that are still to be sent */
    char *close_text;
    struct deflate *deflate; /* permessage-deflate was agreed on */
    size_t deflate_cost;     /* what it takes of the budget */
    uint64_t message_bytes;  /* of the message that comes in, unpacked */
    bool message_packed;
    bool sends_packed; /* the frame that lws_write() is given */
    bool refused;      /* by the broker */
    struct transport_peer peer;
    char address[46];
};

/* ---- loop.c ---- */

/* What libwebsockets writes goes to our log. */
void loop_log_init(void);

bool loop_init(struct ws_loop *l, struct ws_error *err);

/* All threads have ended. */
void loop_fini(struct ws_loop *l);
void *loop_main(void *loop);

/* Something has come in: begin the shard's turn, unless it has begun, and look for more before it
 * ends. */
void loop_enter(struct ws_loop *l);

/* Have the loop run a turn and look at what is asked of it. Any thread. */
void loop_wake(struct ws_loop *l);

/* ---- listener.c ---- */

/* Bind and listen, for this loop. The first loop to bind chooses the port when it is 0. */
bool socket_bind(struct socket *so, struct ws_error *err);
void socket_start(struct socket *so);
void socket_close(struct socket *so);

/* The address of a listener as sockaddr; false: not a numeric address. */
bool listener_address(const char *text, uint16_t port, struct sockaddr_storage *out,
                      socklen_t *out_len);

/* "ws://127.0.0.1:8080/mqtt" */
void socket_url(const struct socket *so, char *out, size_t cap);

/* The port that fd is bound to, or -1. */
int socket_port(int fd);

/* ---- passed.c ---- */

/* Is each of these sockets one that its listener can use? */
bool passed_check(const struct ws_server *s, const struct ws_passed *passed, size_t n,
                  struct ws_error *err);

/* Use one that was passed for this listener, if there is one, instead of binding. */
enum passed_use { PASSED_NONE, PASSED_USED, PASSED_FAILED };
enum passed_use socket_take(struct socket *so, const struct ws_passed *passed, size_t n,
                            struct ws_error *err);

/* ---- link.c ---- */

struct link *link_new(struct socket *so, const struct sockaddr_storage *from);
void link_free(struct link *k);

/* The settings of its listener have changed. */
void link_reload(struct link *k);

/* The protocols of all vhosts; the callback of every connection. */
extern const struct lws_protocols link_protocols[];

/* permessage-deflate, for vhosts that offer it. */
extern const struct lws_extension link_extensions[];

/* ---- http.c ---- */

/* Of the request; valid in its callback. */
const char *http_path(const struct link *k); /* decoded, without the query; "": none */
bool http_is_get(const struct link *k);
bool http_is_head(const struct link *k);

/* Answer and end the connection: what the callback has to return. */
int http_answer(struct link *k, unsigned status, const char *type, const char *body, size_t len);
int http_text(struct link *k, unsigned status, const char *text);

/* ---- upgrade.c: what the callbacks for HTTP requests return ---- */

/* upgrade: value of that header. 0: go on, and become a WebSocket. */
int upgrade_request(struct link *k, const char *upgrade);
int plain_request(struct link *k);
int tunnel_request(struct link *k); /* CONNECT */

/* ---- admin.c ---- */

int admin_request(struct link *k);

/* ---- tls.c ---- */

/* Create the vhosts of a socket's listener; the first one is returned, NULL with *err. */
struct lws_vhost *vhosts_new(const struct socket *so, struct ws_error *err);

/* Read the certificates of a listener again. */
void vhosts_reload(const struct socket *so);

/* Can this pair be used? */
bool certificate_check(const struct ws_certificate *c, struct ws_error *err);

__attribute__((format(printf, 2, 3))) bool ws_fail(struct ws_error *err, const char *format, ...);
#endif

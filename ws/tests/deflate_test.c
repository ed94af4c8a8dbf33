/* permessage-deflate: what is agreed on, what goes over the wire, and what it may cost.
 * [RFC 7692] */
#include "base/mem.h"
#include "base/test.h"
#include "broker/purposes.h"
#include "ws/deflate.h"
#include "ws/tests/peer_support.h"
#include "ws/tests/zip_support.h"

#include <zlib.h>

static struct rig r;

static void start_with(uint64_t memory, uint8_t window_bits)
{
    struct ws_listener_config *c;

    rig_init(&r);
    r.config.deflate_memory = memory;
    c = rig_listen(&r, WS_PROTOCOL_WS);
    c->deflate = true;
    c->deflate_window_bits = window_bits;
    rig_listen(&r, WS_PROTOCOL_WSS)->deflate = true;
    rig_start(&r, 1);
}

static void start(void)
{
    start_with(64 << 20, 12);
}

/* Upgrade with this offer (NULL: none); what the server says to it is in answer, "": nothing. */
static struct peer *dial(const char *listener, const char *offer, char answer[256])
{
    struct peer *p = peer_dial(&r, listener);
    const char *got;
    char more[512] = "";
    struct http h;

    if (offer != NULL)
        snprintf(more, sizeof more, "Sec-WebSocket-Extensions: %s\r\n", offer);
    peer_request(p, "/mqtt", more);
    h = peer_http(p, false);
    peer_check_upgraded(p, &h);
    got = http_header(&h, "Sec-WebSocket-Extensions");
    snprintf(answer, 256, "%s", got != NULL ? got : "");
    free(h.body);
    return p;
}

/* The number of a parameter in the answer; 15 when it is not there. */
static int bits_of(const char *answer, const char *parameter)
{
    const char *at = strstr(answer, parameter);

    return at == NULL || at[strlen(parameter)] != '=' ? 15 : atoi(at + strlen(parameter) + 1);
}

/* Set up this end for what was agreed on. */
static void agree(struct peer *p, const char *answer)
{
    p->zip = zip_new(bits_of(answer, "client_max_window_bits"),
                     bits_of(answer, "server_max_window_bits"),
                     strstr(answer, "client_no_context_takeover") != NULL,
                     strstr(answer, "server_no_context_takeover") != NULL);
}

static struct peer *connect_zipped(const char *listener, const char *id)
{
    char answer[256];
    struct peer *p = dial(listener, "permessage-deflate", answer);

    if (CHECK(strncmp(answer, "permessage-deflate", 18) == 0))
        agree(p, answer);
    CHECK(peer_mqtt(p, MQTT_V5, id));
    return p;
}

/* ---- negotiation ---- */

/* A text that repeats itself after so many bytes. */
static void fill_text(uint8_t *out, size_t len, size_t period)
{
    uint64_t state = 42;

    for (size_t i = 0; i < len; i++) {
        state = state * UINT64_C(6364136223846793005) + 1;
        out[i] = i < period ? (uint8_t)(state >> 56) : out[i - period];
    }
}

/* Both ways, three times over: contexts are carried from one message to the next, or not. */
static void check_use(struct peer *p)
{
    uint8_t text[20000];

    fill_text(text, sizeof text, 1000);
    CHECK(peer_mqtt(p, MQTT_V5, ""));
    peer_subscribe(p, "t", 0);
    for (int i = 0; i < 3; i++) {
        CHECK(peer_publish(p, "t", text, sizeof text, 0, 0));
        if (peer_expect(p, MQTT_PUBLISH))
            CHECK_BYTES(p->packet.publish.payload.p, p->packet.publish.payload.len, text,
                        sizeof text);
    }
}

/* answer: how it begins; NULL: the offer is declined. */
static const struct {
    const char *offer;
    bool taken;
} offers[] = {
    {"permessage-deflate", true},
    {"permessage-deflate; client_max_window_bits", true}, /* browsers */
    {"permessage-deflate; server_no_context_takeover", true},
    {"permessage-deflate; client_no_context_takeover", true},
    {"permessage-deflate; server_no_context_takeover; client_no_context_takeover", true},
    {"permessage-deflate; server_max_window_bits=15", true},
    {"permessage-deflate; server_max_window_bits=10", true},
    {"permessage-deflate; server_max_window_bits=9; client_max_window_bits=9", true},
    {"permessage-deflate; client_max_window_bits=12", true},
    {"permessage-deflate; client_max_window_bits=15; server_max_window_bits=12", true},
    {"x-webkit-deflate-frame, permessage-deflate; client_max_window_bits", true},
    /* [PD-02] */
    {"permessage-deflate; foo", false},
    {"permessage-deflate; server_max_window_bits=7", false},
    {"permessage-deflate; server_max_window_bits=16", false},
    {"permessage-deflate; server_max_window_bits=08", false},
    {"permessage-deflate; server_max_window_bits=x", false},
    {"permessage-deflate; server_max_window_bits", false},
    {"permessage-deflate; client_max_window_bits=99", false},
    {"permessage-deflate; server_no_context_takeover=1", false},
    {"permessage-deflate; client_no_context_takeover=0", false},
    {"permessage-deflate; server_no_context_takeover; server_no_context_takeover", false},
    {"permessage-deflate; server_max_window_bits=10; server_max_window_bits=11", false},
    {"permessage-foo", false},
    {"deflate", false},
    {";=;", false}, /* [WS-HS-15] */
    /* the second offer is good */
    {"permessage-deflate; foo, permessage-deflate", true},
    {"permessage-deflate; server_max_window_bits=16, permessage-deflate; client_max_window_bits",
     true},
    /* both are */
    {"permessage-deflate; client_max_window_bits, permessage-deflate", true},
    {"permessage-deflate, permessage-deflate, permessage-deflate", true},
};

/* [PD-03] to [PD-07] */
static void check_answer(size_t row, const char *offer, const char *answer)
{
    static const char *const names[] = {"server_no_context_takeover", "client_no_context_takeover",
                                        "server_max_window_bits", "client_max_window_bits"};

    CHECK_ROW(row, strchr(answer, ',') == NULL);
    for (size_t i = 0; i < 4; i++) {
        const char *at = strstr(answer, names[i]);

        CHECK_ROW(row, at == NULL || strstr(at + 1, names[i]) == NULL);
        if (at != NULL && i >= 2)
            CHECK_ROW(row, bits_of(answer, names[i]) >= 8 && bits_of(answer, names[i]) <= 15);
    }
    if (strstr(offer, "server_no_context_takeover") != NULL)
        CHECK_ROW(row, strstr(answer, "server_no_context_takeover") != NULL);
    if (strstr(offer, "client_max_window_bits") == NULL)
        CHECK_ROW(row, strstr(answer, "client_max_window_bits") == NULL);
    CHECK_ROW(row, bits_of(answer, "server_max_window_bits") <=
                       bits_of(offer, "server_max_window_bits"));
    CHECK_ROW(row, bits_of(answer, "client_max_window_bits") <=
                       bits_of(offer, "client_max_window_bits"));
}

static void test_offers(void)
{
    start();
    for (size_t i = 0; i < sizeof offers / sizeof offers[0]; i++) {
        unsigned failures = CU_get_number_of_failures();
        char answer[256];
        struct peer *p = dial("ws", offers[i].offer, answer);

        CHECK_ROW_INT(i, strncmp(answer, "permessage-deflate", 18) == 0, offers[i].taken);
        if (answer[0] != '\0') {
            if (offers[i].taken && strstr(offers[i].offer, ", ") == NULL)
                check_answer(i, offers[i].offer, answer);
            agree(p, answer);
        }
        check_use(p);
        peer_free(p);
        if (CU_get_number_of_failures() != failures)
            printf("  offer: %s\n  answer: %s\n", offers[i].offer, answer);
    }
    rig_stop(&r);
}

/* ---- the budget ---- */

/* It is for two connections: the third does without, until one of the others goes. */
static void test_budget(void)
{
    struct deflate_terms terms;
    struct peer *p[3];
    char answer[256];

    CHECK(deflate_agree(STR("permessage-deflate"), 12, &terms));
    start_with(2 * deflate_cost(&terms) + 1000, 12);
    for (int i = 0; i < 2; i++) {
        p[i] = dial("ws", "permessage-deflate", answer);
        CHECK(answer[0] != '\0');
        agree(p[i], answer);
        check_use(p[i]);
    }
    p[2] = dial("wss", "permessage-deflate", answer);
    CHECK(answer[0] == '\0');
    check_use(p[2]);
    peer_free(p[0]);
    CHECK(RIG_WAIT(&r, connections, 2));
    p[0] = dial("wss", "permessage-deflate", answer);
    CHECK(answer[0] != '\0');
    agree(p[0], answer);
    check_use(p[0]);
    for (int i = 0; i < 3; i++)
        peer_free(p[i]);
    rig_stop(&r);
}

/* ---- messages ---- */

static void expect_payload(struct peer *p, const uint8_t *payload, size_t size)
{
    const struct mqtt_publish *m = &p->packet.publish;

    if (peer_expect(p, MQTT_PUBLISH))
        CHECK(m->payload.len == size && memcmp(m->payload.p, payload, size) == 0);
}

/* Large and small, that compress well and not at all, from and to clients that compress and that do
 * not. */
static void test_sizes(void)
{
    static const size_t sizes[] = {0,     1,     125,   126,   1000,  4095,   4096,   16383,
                                   16384, 32767, 65535, 65536, 65537, 131072, 300000, 1000000};
    uint8_t *payload = malloc(1000000);

    start();
    for (int i = 0; i < 4;
         i++) { /* ways to have one end or both compressed, with TLS and without */
        const char *listener = i % 2 == 0 ? "ws" : "wss";
        struct peer *sub = connect_zipped(listener, "sub"), *pub;

        pub = i < 2 ? connect_zipped(listener, "pub") : peer_connect(&r, listener, MQTT_V5, "pub");
        peer_subscribe(sub, "t", 0);
        for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
            fill_text(payload, sizes[k], k % 2 == 0 ? SIZE_MAX : 500);
            CHECK_ROW(k, peer_publish(pub, "t", payload, sizes[k], 1, 1));
            CHECK_ROW(k, peer_expect(pub, MQTT_PUBACK));
            expect_payload(sub, payload, sizes[k]);
        }
        peer_free(sub);
        peer_free(pub);
    }
    free(payload);
    rig_stop(&r);
}

/* Many packets in one read and one turn, all of them through the one place that a link holds. */
static void test_pipelined(void)
{
    uint8_t payload[3000];
    struct peer *p;

    start();
    p = connect_zipped("ws", "c");
    peer_subscribe(p, "t", 0);
    fill_text(payload, sizeof payload, 700);
    for (uint16_t i = 1; i <= 300; i++)
        CHECK(peer_publish(p, "t", payload, i * 10u, 1, i));
    for (unsigned acks = 0, messages = 0; acks < 300 || messages < 300;) {
        if (!CHECK(peer_packet(p)))
            break;
        if (p->packet.type == MQTT_PUBACK)
            CHECK_INT(p->packet.ack.packet_id, ++acks);
        else
            CHECK_INT(p->packet.publish.payload.len, ++messages * 10);
    }
    peer_free(p);
    rig_stop(&r);
}

/* DEFLATE as another encoder may make it. */
static size_t squeeze(const void *data, size_t len, int level, int strategy, int flush,
                      uint8_t *out)
{
    z_stream z = {0};
    size_t n;

    CHECK(deflateInit2(&z, level, Z_DEFLATED, -12, 9, strategy) == Z_OK);
    z.next_in = (Bytef *)(uintptr_t)data;
    z.avail_in = (uInt)len;
    z.next_out = out;
    z.avail_out = 4096;
    deflate(&z, flush);
    n = z.total_out;
    deflateEnd(&z);
    return n;
}

/* [PD-09] [PD-10] [PD-11] */
static void test_blocks(void)
{
    static const uint8_t two_pings[] = {0xc0, 0, 0xc0, 0};
    static const struct {
        int level, strategy, flush;
        size_t cut; /* bytes at the end that are not sent */
        const char *more;
        size_t more_len;
    } rows[] = {
        {0, Z_DEFAULT_STRATEGY, Z_SYNC_FLUSH, 4, "", 0}, /* a stored block */
        {6, Z_FIXED, Z_SYNC_FLUSH, 4, "", 0},            /* fixed codes */
        {9, Z_DEFAULT_STRATEGY, Z_SYNC_FLUSH, 4, "", 0}, /* whatever is best */
        {6, Z_HUFFMAN_ONLY, Z_SYNC_FLUSH, 4, "", 0},
        {6, Z_FIXED, Z_FULL_FLUSH, 4, "", 0},
        {6, Z_FIXED, Z_FINISH, 0, "\0", 1}, /* BFINAL, and the 00 that follows then */
        {0, Z_DEFAULT_STRATEGY, Z_FINISH, 0, "\0", 1},
    };
    uint8_t out[4096];
    struct peer *p;

    start();
    p = connect_zipped("ws", "c");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t n = squeeze(two_pings, 4, rows[i].level, rows[i].strategy, rows[i].flush, out);

        n -= rows[i].cut;
        memcpy(out + n, rows[i].more, rows[i].more_len);
        n += rows[i].more_len;
        peer_frame(p, FIN | RSV1 | OP_BINARY, out, n);
        CHECK_ROW(i, peer_expect(p, MQTT_PINGRESP) && peer_expect(p, MQTT_PINGRESP));
        for (size_t cut = 0; cut <= n; cut++) { /* in fragments */
            peer_frame(p, RSV1 | OP_BINARY, out, cut);
            peer_frame(p, FIN | OP_PING, &cut, sizeof cut);
            peer_frame(p, FIN | OP_MORE, out + cut, n - cut);
            CHECK_ROW(i, peer_expect(p, MQTT_PINGRESP) && peer_expect(p, MQTT_PINGRESP));
        }
        peer_frame(p, FIN | OP_BINARY, two_pings, 4); /* not compressed */
        CHECK_ROW(i, peer_expect(p, MQTT_PINGRESP) && peer_expect(p, MQTT_PINGRESP));
        peer_frame(p, FIN | RSV1 | OP_BINARY, "\0", 1); /* an empty message */
        CHECK(peer_ping(p));
    }
    peer_free(p);
    rig_stop(&r);
}

static bool append(void *text, const uint8_t *data, size_t len)
{
    strncat(text, (const char *)data, len);
    return true;
}

/* What follows a last block may refer to what was in front of it [RFC 7692 7.2.3.4], also in the
 * same message. To go on costs nothing, however often it is asked for. */
static void test_last_block(void)
{
    static const uint8_t words[] = "words that come again", empty[] = {3, 0, 0};
    static uint8_t buf[DEFLATE_UNPACK_SIZE];
    struct deflate_terms terms = {.server_bits = 15, .client_bits = 15};
    struct mem *mem = mem_new();
    struct deflate *d = deflate_new(mem, &terms, 6);
    z_stream z = {0};
    uint8_t first[100], second[100];
    char text[200] = "";
    size_t n = squeeze(words, 21, 6, Z_FIXED, Z_FINISH, first);

    deflateInit2(&z, 6, Z_DEFLATED, -15, 9, Z_FIXED);
    deflateSetDictionary(&z, words, 21);
    z.next_in = (Bytef *)(uintptr_t)words;
    z.avail_in = 21;
    z.next_out = second;
    z.avail_out = sizeof second;
    deflate(&z, Z_SYNC_FLUSH);
    CHECK(z.total_out < n / 2); /* it refers to them */

    CHECK_INT(deflate_unpack(d, first, n, false, buf, append, text), DEFLATE_OK);
    mem_fail_at(mem, 1);
    for (int i = 0; i < 1000; i++)
        CHECK_INT(deflate_unpack(d, empty, i == 500 ? 3 : 2, i == 500, buf, append, text),
                  DEFLATE_OK);
    CHECK_INT(deflate_unpack(d, second, z.total_out, false, buf, append, text), DEFLATE_OK);
    CHECK_INT(mem_fail_at(mem, 0), 1);
    CHECK(strcmp(text, "words that come againwords that come again") == 0);
    deflateEnd(&z);
    deflate_free(&d);
    mem_free(&mem);
}

/* ---- what is wrong ---- */

/* [PD-08] */
static void test_bad_frames(void)
{
    static const int heads[] = {FIN | RSV1 | OP_PING, FIN | RSV1 | OP_PONG, FIN | 0x20 | OP_BINARY,
                                FIN | 0x10 | OP_BINARY, RSV1 | OP_MORE};

    start();
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        struct peer *p = connect_zipped("ws", "c");

        if ((heads[i] & 0x0f) == OP_MORE)
            peer_frame(p, RSV1 | OP_BINARY, "\0", 0);
        peer_frame(p, heads[i], "", 0);
        peer_expect_disconnect(p, MQTT_RC_PROTOCOL_ERROR, 1002);
    }
    rig_stop(&r);
}

/* [PD-12] The connection ends, one way or another, and others do not notice. */
static void test_garbage(void)
{
    struct peer *stays;
    uint8_t rubbish[600];

    start();
    stays = connect_zipped("ws", "stays");
    fill_text(rubbish, sizeof rubbish, SIZE_MAX);
    rubbish[0] = 7; /* there is no such kind of block */
    for (size_t len = 1; len <= sizeof rubbish; len += 199) {
        struct peer *p = connect_zipped("ws", "c");
        int code;

        peer_frame(p, FIN | RSV1 | OP_BINARY, rubbish, len);
        code = peer_end(p);
        CHECK(code == 0 || code == 1002 || code == 1007);
    }
    CHECK(peer_ping(stays));
    peer_free(stays);
    rig_stop(&r);
}

static int64_t memory(void)
{
    return broker_memory_total(r.broker);
}

/* [PD-13] A little that becomes 400 KB: more than a frame may have. */
static void test_bomb(void)
{
    static uint8_t zeros[400000];
    struct peer *p;
    int64_t before;
    size_t n;

    for (size_t i = 0; i < sizeof zeros; i += 2)
        memcpy(zeros + i, "\xc0", 2); /* PINGREQ */
    rig_init(&r);
    rig_listen(&r, WS_PROTOCOL_WS)->deflate = true;
    r.listeners[0].max_packet_size = 50000;
    rig_start(&r, 1);
    p = connect_zipped("ws", "c");
    before = memory();
    CHECK(zip_deflate(p->zip, zeros, sizeof zeros));
    n = zip_output_len(p->zip);
    CHECK(n < 1000);
    peer_frame(p, FIN | RSV1 | OP_BINARY, zip_output(p->zip), n);
    while (peer_packet(p) && p->packet.type == MQTT_PINGRESP)
        CHECK(memory() - before < 1 << 20);
    CHECK_INT(p->packet.type, MQTT_DISCONNECT);
    CHECK_INT(p->packet.reasoned.reason, MQTT_RC_PACKET_TOO_LARGE);
    peer_expect_close(p, 1009);
    rig_stop(&r);
}

/* ---- the end of compressed connections ---- */

static void test_ends(void)
{
    struct mqtt_packet bye = {.type = MQTT_DISCONNECT};
    struct peer *p, *q;

    start();
    p = connect_zipped("ws", "c");
    peer_frame(p, FIN | OP_TEXT, "text", 4);
    peer_expect_disconnect(p, MQTT_RC_PROTOCOL_ERROR, 1003);
    p = connect_zipped("ws", "c");
    peer_send(p, "\xff\xff\xff\xff\xff", 5);
    peer_expect_disconnect(p, MQTT_RC_MALFORMED_PACKET, 1002);
    p = connect_zipped("wss", "c");
    q = connect_zipped("ws", "c");
    peer_expect_disconnect(p, MQTT_RC_SESSION_TAKEN_OVER, 1008);
    peer_send_packet(q, &bye);
    peer_expect_close(q, 1000);
    p = connect_zipped("wss", "c");
    peer_frame(p, FIN | OP_CLOSE, "\x03\xe8", 2);
    peer_expect_close(p, 1000);
    p = connect_zipped("ws", "p");
    q = connect_zipped("wss", "q");
    ws_server_stop(r.server, false);
    peer_expect_disconnect(p, MQTT_RC_SERVER_SHUTTING_DOWN, 1001);
    peer_expect_disconnect(q, MQTT_RC_SERVER_SHUTTING_DOWN, 1001);
    rig_join(&r);
}

/* A subscriber that does not read costs what it may, and gets on when it does. */
static void test_deaf(void)
{
    uint8_t *payload = malloc(60000);
    struct peer *pub, *deaf;
    int64_t before, most = 0;

    start();
    deaf = connect_zipped("ws", "deaf");
    peer_subscribe(deaf, "#", 0);
    pub = peer_connect(&r, "ws", MQTT_V5, "pub");
    before = memory();
    fill_text(payload, 60000, SIZE_MAX);
    for (int i = 0; i < 300; i++) {
        CHECK(peer_publish(pub, "t", payload, 60000, 1, 1) && peer_expect(pub, MQTT_PUBACK));
        most = memory() > most ? memory() : most;
    }
    CHECK(most - before < 20 << 20); /* a queue of 16 MiB */
    CHECK(peer_publish(pub, "last", payload, 60000, 1, 1) && peer_expect(pub, MQTT_PUBACK));
    do {
        expect_payload(deaf, payload, 60000);
    } while (deaf->packet.type == MQTT_PUBLISH && deaf->packet.publish.topic.len == 1);
    CHECK_INT(deaf->packet.publish.topic.len, 4);
    CHECK(peer_ping(deaf));
    peer_free(deaf);
    peer_free(pub);
    free(payload);
    rig_stop(&r);
}

TEST_MAIN(test_offers, test_budget, test_sizes, test_pipelined, test_blocks, test_last_block,
          test_bad_frames, test_garbage, test_bomb, test_ends, test_deaf)

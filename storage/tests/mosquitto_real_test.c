/* import_mosquitto: of what a real Mosquitto has written. Where none is installed the test says so
 * and does nothing; what one has written is among the files of import_mosquitto_test.c, too.
 *
 *     FRYS_MOSQUITTO=PROGRAM   which one; FRYS_KEEP=FILE: keep what it writes */
#include "base/assert.h"
#include "base/test.h"
#include "storage/tests/dir_support.h"
#include "storage/tests/import_support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[128], conf[192], db[192];
static int port;
static pid_t pid;

/* ---- a broker ---- */

static const char *program(void)
{
    const char *p = getenv("FRYS_MOSQUITTO");

    return p != NULL ? p : "/usr/sbin/mosquitto";
}

static int free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ASSERT(bind(fd, (struct sockaddr *)&a, sizeof a) == 0);
    ASSERT(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
    close(fd);
    return ntohs(a.sin_port);
}

static int dial(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    close(fd);
    return -1;
}

static bool start(void)
{
    char text[512];
    int fd = -1;

    port = free_port();
    dir_make(dir, sizeof dir);
    dir_path(conf, sizeof conf, dir, "conf");
    dir_path(db, sizeof db, dir, "mosquitto.db");
    snprintf(text, sizeof text,
             "listener %d 127.0.0.1\nallow_anonymous true\npersistence true\n"
             "persistence_location %s/\nuser %s\nlog_dest none\n",
             port, dir, getuid() == 0 ? "root" : "nobody");
    file_write(conf, text, strlen(text));
    pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);

        dup2(null, 1);
        dup2(null, 2);
        execl(program(), "mosquitto", "-c", conf, (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 500 && (fd = dial()) < 0 && waitpid(pid, NULL, WNOHANG) == 0; i++)
        usleep(10000);
    close(fd);
    return fd >= 0;
}

static void stop(void)
{
    int status;

    kill(pid, SIGTERM);
    CHECK(waitpid(pid, &status, 0) == pid);
}

/* ---- clients: bytes of packets ---- */

static void send_bytes(int fd, const void *bytes, size_t len)
{
    CHECK(send(fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len);
}

#define SEND(fd, literal) send_bytes(fd, literal, sizeof(literal) - 1)

/* The next packet: its first byte; body (of at most 255 bytes) is set. -1: none came. */
static int receive(int fd, unsigned char *body)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    unsigned char head[2];

    if (poll(&p, 1, 10000) != 1 || recv(fd, head, 2, MSG_WAITALL) != 2 || head[1] > 127 ||
        (head[1] > 0 && recv(fd, body, head[1], MSG_WAITALL) != head[1]))
        return -1;
    return head[0];
}

static void expect(int fd, int first_byte)
{
    unsigned char body[256];

    CHECK_INT(receive(fd, body), first_byte);
}

/* MQTT 3.1.1, a session that stays. id: of 4 characters. */
static int client(const char *id)
{
    char packet[] = "\x10\x10\0\4MQTT\4\0\0\0\0\4....";
    int fd = dial();

    memcpy(packet + 14, id, 4);
    send_bytes(fd, packet, sizeof packet - 1);
    expect(fd, 0x20);
    return fd;
}

static void run_clients(void)
{
    unsigned char body[256];
    int offline = client("offl"), five = dial(), inflight = client("infl"), pub = client("publ"),
        pub5 = dial();

    SEND(offline, "\x82\x12\0\1\0\3a/#\1\0\7/lead/+\2");
    expect(offline, 0x90);
    SEND(offline, "\xe0\0");
    /* MQTT 5, Session Expiry Interval 1000 s, Subscription Identifier 7, No Local */
    SEND(five, "\x10\x16\0\4MQTT\5\0\0\0\5\x11\0\0\x03\xe8\0\4"
               "five");
    expect(five, 0x20);
    SEND(five, "\x82\x0b\0\1\2\x0b\7\0\3a/+\x06");
    expect(five, 0x90);
    SEND(five, "\xe0\0");
    SEND(inflight, "\x82\x0e\0\1\0\3q/1\1\0\3q/2\2");
    expect(inflight, 0x90);
    /* QoS 1, then QoS 2 that is only sent, then one that is received but not completed */
    SEND(pub, "\x32\x0a\0\3q/1\0\1one");
    expect(pub, 0x40);
    CHECK_INT(receive(inflight, body), 0x32);
    SEND(pub, "\x34\x0a\0\3q/2\0\2two");
    expect(pub, 0x50);
    SEND(pub, "\x62\2\0\2");
    expect(pub, 0x70);
    CHECK_INT(receive(inflight, body), 0x34);
    SEND(pub, "\x34\x0a\0\3q/2\0\3tri");
    expect(pub, 0x50);
    SEND(pub, "\x62\2\0\3");
    expect(pub, 0x70);
    CHECK_INT(receive(inflight, body), 0x34);
    SEND(inflight, "\x50\2\0\3");
    expect(inflight, 0x62);
    /* queued for who is offline; retained; never released by its publisher */
    SEND(pub, "\x32\x0b\0\3a/b\0\4four");
    expect(pub, 0x40);
    SEND(pub, "\x33\x0e\0\6/a/ret\0\5kept");
    expect(pub, 0x40);
    SEND(pub, "\x32\x0f\0\7/lead/x\0\6lead");
    expect(pub, 0x40);
    SEND(pub, "\x34\x0c\0\3a/c\0\7never");
    expect(pub, 0x50);
    /* MQTT 5: Content Type "t", User Property k = v, expires in 10000 s */
    SEND(pub5, "\x10\x11\0\4MQTT\5\2\0\0\0\0\4"
               "pub5");
    expect(pub5, 0x20);
    SEND(pub5, "\x32\x1c\0\3a/p\0\1\x10\x03\0\1t\x26\0\1k\0\1v\2\0\0\x27\x10prop");
    expect(pub5, 0x40);
    close(pub5);
    close(offline);
    close(five);
    close(inflight);
    close(pub);
}

/* Digits of what depends on the time become '*'. */
static void mask(char *text, const char *name)
{
    for (char *p = text; (p = strstr(p, name)) != NULL;)
        for (p += strlen(name); *p >= '0' && *p <= '9'; p++)
            *p = '*';
}

static const char want[] =
    "delivery 1 uid=4 qos=1 publisher=3 topic=a/b payload=four message_qos=1\n"
    "delivery 1 uid=6 qos=1 publisher=3 topic=/lead/x payload=lead message_qos=1\n"
    "delivery 1 uid=7 qos=1 publisher=3 topic=a/c payload=never message_qos=2\n"
    "delivery 1 uid=8 qos=1 expires=************* topic=a/p props=...t&..k..v payload=prop"
    " message_qos=1\n"
    "delivery 2 uid=1 packet=1 state=1 qos=1 publisher=3 topic=q/1 payload=one message_qos=1\n"
    "delivery 2 uid=2 packet=2 state=1 qos=2 publisher=3 topic=q/2 payload=two message_qos=2\n"
    "delivery 2 uid=3 packet=3 state=2 qos=2 publisher=3 topic=q/2 payload=tri message_qos=2\n"
    "delivery 4 uid=4 qos=1 ids=.... publisher=3 topic=a/b payload=four message_qos=1\n"
    "delivery 4 uid=7 qos=2 ids=.... publisher=3 topic=a/c payload=never message_qos=2\n"
    "delivery 4 uid=8 qos=1 ids=.... expires=************* topic=a/p props=...t&..k..v"
    " payload=prop message_qos=1\n"
    "filter 1 filter=/lead/+ options=2\n"
    "filter 1 filter=a/# options=1\n"
    "filter 2 filter=q/1 options=1\n"
    "filter 2 filter=q/2 options=2\n"
    "filter 4 filter=a/+ options=6 id=7\n"
    "received 3 packet=7\n"
    "retained uid=5 publisher=3 topic=/a/ret payload=kept message_qos=1 message_retain=1\n"
    "session 1 client=offl ends=never expiry=4294967295 version=4\n"
    "session 2 client=infl ends=never expiry=4294967295 version=4\n"
    "session 3 client=publ ends=never expiry=4294967295 version=4\n"
    "session 4 client=five ends=************* expiry=1000 version=5\n";

static void test_real(void)
{
    uint64_t skipped;
    char *text;

    if (access(program(), X_OK) != 0) {
        fprintf(stderr, "%s is not there: nothing was tested\n", program());
        return;
    }
    CHECK(start());
    run_clients();
    stop();
    if (getenv("FRYS_KEEP") != NULL)
        file_copy(db, getenv("FRYS_KEEP"));
    text = import_text(import_read_mosquitto, db, &skipped);
    mask(text, "expires=");
    mask(text, " ends=");
    if (!CHECK(strcmp(text, want) == 0))
        printf("---- got\n%s---- want\n%s", text, want);
    CHECK_INT(skipped, 0);
    free(text);
    dir_remove(dir);
}

TEST_MAIN(test_real)

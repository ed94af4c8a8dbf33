/* import_mosquitto: files that Mosquitto has written, files as it could have written them, and
 * damaged ones. data/mosquitto-v6.db is of Mosquitto 2.0.11, after the clients of
 * mosquitto_real_test.c; data/mosquitto-v5.db the same in the format of 1.6. */
#include "base/test.h"
#include "storage/tests/dir_support.h"
#include "storage/tests/import_support.h"
#include "storage/tests/mosquitto_support.h"

#define NEVER UINT32_MAX

static struct mosquitto_file f;

static const char fixture_text[] =
    "delivery 1 uid=4 qos=1 publisher=3 topic=a/b payload=four message_qos=1\n"
    "delivery 1 uid=6 qos=1 publisher=3 topic=/lead/x payload=lead message_qos=1\n"
    "delivery 1 uid=7 qos=1 publisher=3 topic=a/c payload=never message_qos=2\n"
    "delivery 1 uid=8 qos=1 expires=1795651399000 topic=a/p props=...t&..k..v payload=prop"
    " message_qos=1\n"
    "delivery 2 uid=1 packet=1 state=1 qos=1 publisher=3 topic=q/1 payload=one message_qos=1\n"
    "delivery 2 uid=2 packet=2 state=1 qos=2 publisher=3 topic=q/2 payload=two message_qos=2\n"
    "delivery 2 uid=3 packet=3 state=2 qos=2 publisher=3 topic=q/2 payload=tri message_qos=2\n"
    "delivery 4 uid=4 qos=1 ids=.... publisher=3 topic=a/b payload=four message_qos=1\n"
    "delivery 4 uid=7 qos=2 ids=.... publisher=3 topic=a/c payload=never message_qos=2\n"
    "delivery 4 uid=8 qos=1 ids=.... expires=1795651399000 topic=a/p props=...t&..k..v"
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
    "session 4 client=five ends=1795642399000 expiry=1000 version=5\n";

static void check_text(char *got, const char *want, long row)
{
    if (!CHECK_ROW(row, strcmp(got, want) == 0))
        printf("---- got\n%s---- want\n%s", got, want);
    free(got);
}

static void check_file(const char *want, uint64_t want_skipped)
{
    uint64_t skipped = 0;

    check_text(import_bytes_text(import_read_mosquitto, f.data, f.len, &skipped), want, f.version);
    CHECK_INT(skipped, want_skipped);
}

/* It cannot be read, and this is in the error. */
static void check_error(const void *data, size_t len, const char *want, long row)
{
    uint64_t skipped;
    char *got = import_bytes_text(import_read_mosquitto, data, len, &skipped);

    if (!CHECK_ROW(row, strstr(got, want) != NULL))
        printf("%s; want %s\n", got, want);
    free(got);
}

static char *fixture(const char *name, size_t *len)
{
    char path[512], *data;

    dir_path(path, sizeof path, SOURCE_DIR "/storage/tests/data", name);
    data = file_read(path, len);
    CHECK(data != NULL);
    return data;
}

static void test_fixtures(void)
{
    static const char *const names[] = {"mosquitto-v6.db", "mosquitto-v5.db"};

    for (long i = 0; i < 2; i++) {
        uint64_t skipped = 1;
        size_t len;
        char *data = fixture(names[i], &len);

        check_text(import_bytes_text(import_read_mosquitto, data, len, &skipped), fixture_text, i);
        CHECK_ROW_INT(i, skipped, 0);
        free(data);
    }
}

static void test_nothing(void)
{
    for (uint32_t version = 5; version <= 6; version++) {
        mosquitto_file_begin(&f, version);
        check_file("", 0);
        f.len = 23;
        check_file("", 0);
    }
}

/* Every state in which a message can be on its way. */
static void test_states(void)
{
    mosquitto_file_begin(&f, 6);
    mosquitto_file_client(&f, "c", NEVER);
    for (uint8_t state = 1; state <= 11; state++) {
        mosquitto_file_message(&f, state, "t", "p", 2, 0);
        mosquitto_file_delivery(&f, "c", state, 100 + state, state == 1 ? 0 : 2, state, 1);
    }
    mosquitto_file_message(&f, 12, "t", "p", 2, 0);
    mosquitto_file_delivery(&f, "c", 12, 0, 2, 3, 1); /* no identifier: it was not sent */
    check_file("delivery 1 uid=10 qos=2 topic=t payload=p message_qos=2\n"
               "delivery 1 uid=11 qos=2 topic=t payload=p message_qos=2\n"
               "delivery 1 uid=12 qos=2 topic=t payload=p message_qos=2\n"
               "delivery 1 uid=2 packet=102 state=1 qos=2 topic=t payload=p message_qos=2\n"
               "delivery 1 uid=3 packet=103 state=1 qos=2 topic=t payload=p message_qos=2\n"
               "delivery 1 uid=4 packet=104 state=1 qos=2 topic=t payload=p message_qos=2\n"
               "delivery 1 uid=5 packet=105 state=1 qos=2 topic=t payload=p message_qos=2\n"
               "delivery 1 uid=6 packet=106 state=2 qos=2 topic=t payload=p message_qos=2\n"
               "delivery 1 uid=7 qos=2 topic=t payload=p message_qos=2\n"
               "delivery 1 uid=8 qos=2 topic=t payload=p message_qos=2\n"
               "delivery 1 uid=9 packet=109 state=2 qos=2 topic=t payload=p message_qos=2\n"
               "session 1 client=c ends=never expiry=4294967295 version=4\n",
               1);
}

/* Messages of publishers that have not released them are handed on: once to each session, not to
 * their publisher with No Local, to one member of a share; and kept when they are retained. */
static void test_unreleased(void)
{
    mosquitto_file_begin(&f, 6);
    mosquitto_file_message(&f, 70, "a/b", "p", 2, 1);
    mosquitto_file_message(&f, 71, "x", "", 2, 1);
    mosquitto_file_message(&f, 72, "a/b", "done", 2, 0);
    mosquitto_file_client(&f, "one", NEVER);
    mosquitto_file_client(&f, "two", NEVER);
    mosquitto_file_client(&f, "six", NEVER);
    mosquitto_file_subscription(&f, "one", "a/#", 1, 0);
    mosquitto_file_subscription(&f, "one", "+/b", 2, 8);
    mosquitto_file_subscription(&f, "two", "a/b", 0, 0);
    mosquitto_file_subscription(&f, "two", "$share/s/a/+", 1, 0);
    mosquitto_file_subscription(&f, "six", "$share/s/a/+", 1, 0);
    mosquitto_file_subscription(&f, "six", "b/+", 1, 0);
    mosquitto_file_delivery(&f, "six", 70, 7, 2, 7, 0);
    mosquitto_file_delivery(&f, "six", 71, 8, 2, 11, 0);
    mosquitto_file_delivery(&f, "six", 72, 9, 2, 8, 0); /* released */
    check_file("delivery 1 uid=1 qos=2 retain=1 topic=a/b payload=p message_qos=2"
               " message_retain=1\n"
               "delivery 2 uid=1 qos=1 topic=a/b payload=p message_qos=2 message_retain=1\n"
               "filter 1 filter=+/b options=10\n"
               "filter 1 filter=a/# options=1\n"
               "filter 2 filter=$share/s/a/+ options=1\n"
               "filter 2 filter=a/b\n"
               "filter 3 filter=$share/s/a/+ options=1\n"
               "filter 3 filter=b/+ options=1\n"
               "kind 11\n"
               "received 3 packet=7\n"
               "received 3 packet=8\n"
               "retained uid=1 topic=a/b payload=p message_qos=2 message_retain=1\n"
               "session 1 client=one ends=never expiry=4294967295 version=4\n"
               "session 2 client=two ends=never expiry=4294967295 version=4\n"
               "session 3 client=six ends=never expiry=4294967295 version=4\n",
               0);
}

/* What belongs to nothing, or to a session that ends with its connection. */
static void test_skipped(void)
{
    mosquitto_file_begin(&f, 5);
    mosquitto_file_client(&f, "gone", 0);
    mosquitto_file_client(&f, "here", 60);
    mosquitto_file_message(&f, 5, "t", "p", 1, 0);
    mosquitto_file_delivery(&f, "gone", 5, 1, 1, 3, 1);
    mosquitto_file_delivery(&f, "who", 5, 1, 1, 3, 1);
    mosquitto_file_delivery(&f, "here", 6, 1, 1, 3, 1);
    mosquitto_file_delivery(&f, "here", 5, 1, 1, 3, 1);
    mosquitto_file_subscription(&f, "gone", "f", 1, 0);
    mosquitto_file_retained(&f, 6);
    mosquitto_file_chunk(&f, 99, 3, "abc", 3); /* of a later version */
    check_file("delivery 2 uid=1 packet=1 state=1 qos=1 topic=t payload=p message_qos=1\n"
               "session 2 client=here expiry=60 version=5\n",
               6);
}

/* ---- damage ---- */

static void test_not_mosquitto(void)
{
    uint64_t skipped;
    char *text = import_text(import_read_mosquitto, "/nowhere/mosquitto.db", &skipped);

    CHECK(strstr(text, "/nowhere/mosquitto.db: No such file") != NULL);
    free(text);
    check_error("", 0, "is no database of Mosquitto", 0);
    check_error("SQLite format 3 and so on, long enough", 38, "is no database of Mosquitto", 1);
    mosquitto_file_begin(&f, 4);
    check_error(f.data, f.len, "has format version 4; 5 and 6 can be read", 2);
    mosquitto_file_begin(&f, 7);
    check_error(f.data, f.len, "has format version 7; 5 and 6 can be read", 3);
}

/* Cut off anywhere but between two chunks. */
static void test_cut_off(void)
{
    size_t len, next = 23;
    char *data = fixture("mosquitto-v6.db", &len);

    for (size_t n = 0; n < len; n++) {
        if (n < 23)
            check_error(data, n, "is no database", (long)n);
        else if (n == next)
            next += 8 + ((size_t)(unsigned char)data[n + 6] << 8 | (unsigned char)data[n + 7]);
        else
            check_error(data, n, "is damaged: the chunk at byte", (long)n);
    }
    CHECK_INT(next, len);
    free(data);
}

static void test_damaged(void)
{
    static const struct {
        uint32_t type;
        const char *body;
        size_t len;
    } rows[] = {
        {1, "\0\0\0\0\0\0\0\0\1\4\0\0\0\0\0\0", 16}, /* identifiers of 4 bytes */
        {2, "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\1\7\x5b\3\0t", 33}, /* QoS 3 */
        {2, "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x80\0\0\0\0\0\1\0\0\0\0\0\1\7\x5b\1\0t", 33},
        {3, "\1\0\0\0\0\0\0\0\0\1\0\1\3\3\0\1c", 17},
        {3, "\1\0\0\0\0\0\0\0\0\1\0\1\1\x0c\0\1c", 17}, /* state */
        {3, "\1\0\0\0\0\0\0\0\0\1\0\1\1\3\0\2c", 17},   /* direction */
        {5, "\0\0\0\0\0\1\0\1\3\0\0\0cf", 14},
        {6, "\0\0\0\0\0\0\0\x80\0\0\0\1\0\1\0\1\0\0\0\0\0\0\0\0c", 25}, /* a time */
        {6, "\0\0\0\0\0\0\0\0\0\0\0\1\0\1\0\2\0\0\0\0\0\0\0\0c", 25},   /* a length */
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mosquitto_file_begin(&f, 6);
        mosquitto_file_chunk(&f, rows[i].type, (uint32_t)rows[i].len, rows[i].body, rows[i].len);
        check_error(f.data, f.len, "is damaged: the chunk at byte 47", (long)i);
    }
}

static void test_not_allowed(void)
{
    mosquitto_file_begin(&f, 6);
    mosquitto_file_message(&f, 1, "a/#", "p", 1, 0);
    check_error(f.data, f.len, "the topic \"a/#\" is not what MQTT allows", 0);
    mosquitto_file_begin(&f, 6);
    mosquitto_file_client(&f, "", NEVER);
    check_error(f.data, f.len, "the client identifier \"\" is not", 1);
    mosquitto_file_begin(&f, 6);
    mosquitto_file_client(&f, "c", NEVER);
    mosquitto_file_subscription(&f, "c", "", 1, 0);
    check_error(f.data, f.len, "the filter \"\" is not", 2);
    mosquitto_file_begin(&f, 6);
    mosquitto_file_client(&f, "c", NEVER);
    mosquitto_file_client(&f, "c", NEVER);
    check_error(f.data, f.len, "client \"c\" is in it twice", 3);
}

TEST_MAIN(test_fixtures, test_nothing, test_states, test_unreleased, test_skipped,
          test_not_mosquitto, test_cut_off, test_damaged, test_not_allowed)

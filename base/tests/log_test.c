#include "base/log.h"

#include "base/test.h"

#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define STAMP "2026-11-23T07:59:01.123Z" /* only its length counts */

/* The clock of this program: real when tv_sec is negative. */
static struct timespec fake_time = {.tv_sec = 1000};

int clock_gettime(clockid_t clock_id, struct timespec *tp)
{
    if (fake_time.tv_sec < 0)
        return (int)syscall(SYS_clock_gettime, clock_id, tp);
    *tp = fake_time;
    return 0;
}

static FILE *file;
static char text[1 << 20];

static void setup(enum log_level level, enum log_format format)
{
    file = tmpfile();
    log_configure(fileno(file), level, format);
}

/* What was logged since setup(). */
static const char *logged(void)
{
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    log_configure(STDERR_FILENO, LOG_INFO, LOG_TEXT);
    return text;
}

static size_t count_lines(const char *s)
{
    size_t n = 0;

    for (; *s != '\0'; s++)
        n += *s == '\n';
    return n;
}

/* A strict reader of what JSON lines may look like: one object of strings, integers and booleans.
 */
static const char *after_string(const char *p)
{
    if (*p++ != '"')
        return NULL;
    while (*p != '"') {
        if ((unsigned char)*p < 0x20)
            return NULL;
        if (*p++ != '\\')
            continue;
        if (*p == 'u' && strspn(p + 1, "0123456789abcdef") >= 4)
            p += 5;
        else if (*p == '"' || *p == '\\')
            p++;
        else
            return NULL;
    }
    return p + 1;
}

static const char *after_value(const char *p)
{
    if (*p == '"')
        return after_string(p);
    if (strncmp(p, "true", 4) == 0)
        return p + 4;
    if (strncmp(p, "false", 5) == 0)
        return p + 5;
    p += *p == '-';
    size_t digits = strspn(p, "0123456789");

    return digits > 0 && (digits == 1 || *p != '0') ? p + digits : NULL;
}

static bool is_json_line(const char *p)
{
    char mark = '{';

    while (*p == mark) {
        if ((p = after_string(p + 1)) == NULL || *p++ != ':' || (p = after_value(p)) == NULL)
            return false;
        mark = ',';
    }
    return strcmp(p, "}\n") == 0;
}

static bool is_utf8(const char *s)
{
    const unsigned char *p = (const unsigned char *)s;

    while (*p != 0) {
        uint32_t c = *p++, least = 0;
        int more = c < 0x80 ? 0 : c >> 5 == 6 ? 1 : c >> 4 == 14 ? 2 : c >> 3 == 30 ? 3 : -1;

        if (more < 0)
            return false;
        c &= more == 0 ? 0x7fu : 0x3fu >> more;
        least = more == 0 ? 0 : more == 1 ? 0x80 : more == 2 ? 0x800 : 0x10000;
        for (; more > 0; more--) {
            if ((*p & 0xc0) != 0x80)
                return false;
            c = c << 6 | (*p++ & 0x3fu);
        }
        if (c < least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
            return false;
    }
    return true;
}

static void log_all_kinds(void)
{
    LOG(LOG_INFO, "session.takeover", LOG_STR("client", STR("x")), LOG_TXT("peer", "::1"),
        LOG_INT("delta", -5), LOG_UINT("queued", UINT64_MAX), LOG_BOOL("clean", true),
        LOG_BOOL("will", false), LOG_ERRNO(ENOENT), LOG_INT("least", INT64_MIN));
    LOG(LOG_WARN, "plain");
}

static void test_text(void)
{
    static const char want[] =
        " INFO session.takeover client=\"x\" peer=\"::1\" delta=-5 queued=18446744073709551615 "
        "clean=true will=false error=\"No such file or directory\" least=-9223372036854775808\n";
    const char *got, *second;

    setup(LOG_INFO, LOG_TEXT);
    log_all_kinds();
    got = logged();
    CHECK_INT(count_lines(got), 2);
    CHECK(strncmp(got + strlen(STAMP), want, strlen(want)) == 0);
    second = got + strlen(STAMP) + strlen(want);
    CHECK(strcmp(second + strlen(STAMP), " WARN plain\n") == 0);
}

static void test_json(void)
{
    static const char want[] =
        "\",\"level\":\"info\",\"event\":\"session.takeover\",\"client\":\"x\",\"peer\":\"::1\","
        "\"delta\":-5,\"queued\":18446744073709551615,\"clean\":true,\"will\":false,"
        "\"error\":\"No such file or directory\",\"least\":-9223372036854775808}\n";
    char *got, *end;

    setup(LOG_DEBUG, LOG_JSON);
    log_all_kinds();
    got = strdup(logged());
    CHECK(strncmp(got, "{\"ts\":\"1970-01-01T00:16:40.000Z\"", 7 + strlen(STAMP) + 1) == 0);
    CHECK(strncmp(got + 7 + strlen(STAMP), want, strlen(want)) == 0);
    end = strchr(got, '\n') + 1;
    CHECK(is_json_line(end));
    *end = '\0';
    CHECK(is_json_line(got));
    free(got);
}

static void test_time(void)
{
    static const struct {
        int64_t seconds;
        const char *want;
    } rows[] = {
        {0, "1970-01-01T00:00:00"},          {86399, "1970-01-01T23:59:59"},
        {951782399, "2000-02-28T23:59:59"},  {951782400, "2000-02-29T00:00:00"},
        {951868800, "2000-03-01T00:00:00"},  {978307199, "2000-12-31T23:59:59"},
        {978307200, "2001-01-01T00:00:00"},  {1709164800, "2024-02-29T00:00:00"},
        {1795420741, "2026-11-23T07:59:01"}, {4107542399, "2100-02-28T23:59:59"},
        {4107542400, "2100-03-01T00:00:00"}, {253402300799, "9999-12-31T23:59:59"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char want[64];

        fake_time = (struct timespec){rows[i].seconds, 123999999};
        setup(LOG_INFO, LOG_TEXT);
        LOG(LOG_INFO, "tick");
        snprintf(want, sizeof want, "%s.123Z INFO tick\n", rows[i].want);
        CHECK_ROW(i, strcmp(logged(), want) == 0);
    }
}

static void test_real_time(void)
{
    struct tm tm = {0};
    time_t before = time(NULL), at;

    fake_time.tv_sec = -1;
    setup(LOG_INFO, LOG_TEXT);
    LOG(LOG_INFO, "tick");
    fake_time.tv_sec = 1000;
    if (!CHECK(strptime(logged(), "%Y-%m-%dT%H:%M:%S", &tm) == text + 19))
        return;
    at = timegm(&tm);
    CHECK(at >= before - 1 && at <= time(NULL));
}

static void test_levels(void)
{
    int evaluated = 0;

    setup(LOG_WARN, LOG_TEXT);
    CHECK(log_enabled(LOG_ERROR) && log_enabled(LOG_WARN));
    CHECK(!log_enabled(LOG_INFO) && !log_enabled(LOG_DEBUG));
    LOG(LOG_ERROR, "one");
    LOG(LOG_WARN, "two");
    LOG(LOG_INFO, "three", LOG_INT("n", ++evaluated));
    LOG(LOG_DEBUG, "four", LOG_INT("n", ++evaluated));
    CHECK_INT(count_lines(logged()), 2);
    CHECK(strstr(text, " ERROR one\n") != NULL);
    CHECK(strstr(text, " WARN two\n") != NULL);
    CHECK_INT(evaluated, 0);
    setup(LOG_DEBUG, LOG_TEXT);
    LOG(LOG_DEBUG, "four");
    CHECK(strstr(logged(), " DEBUG four\n") != NULL);
}

static void test_escapes(void)
{
    static const struct {
        struct str in;
        const char *text, *json;
    } rows[] = {
        {STR(""), "", ""},
        {STR("a b/+#$"), "a b/+#$", "a b/+#$"},
        {STR("a\"b\\c"), "a\\\"b\\\\c", "a\\\"b\\\\c"},
        {STR("\n\r\t\0\x1b\x7f"), "\\x0a\\x0d\\x09\\x00\\x1b\\x7f",
         "\\u000a\\u000d\\u0009\\u0000\\u001b\\u007f"},
        {STR("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"), "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
         "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
        {STR("\xc2\x9b\x31m"), "\\xc2\\x9b1m", "\\u00c2\\u009b1m"}, /* a terminal's CSI */
        {STR("\xff\xfe\x80"), "\\xff\\xfe\\x80", "\\u00ff\\u00fe\\u0080"},
        {STR("\xc0\xaf"), "\\xc0\\xaf", "\\u00c0\\u00af"}, /* overlong */
        {STR("\xe0\x80\xaf"), "\\xe0\\x80\\xaf", "\\u00e0\\u0080\\u00af"},
        {STR("\xf0\x80\x80\xaf"), "\\xf0\\x80\\x80\\xaf", "\\u00f0\\u0080\\u0080\\u00af"},
        {STR("\xed\xa0\x80"), "\\xed\\xa0\\x80", "\\u00ed\\u00a0\\u0080"}, /* surrogate */
        {STR("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80", "\\u00f4\\u0090\\u0080\\u0080"},
        {STR("\xf5\x80\x80\x80"), "\\xf5\\x80\\x80\\x80", "\\u00f5\\u0080\\u0080\\u0080"},
        {STR("\xe2\x82"), "\\xe2\\x82", "\\u00e2\\u0082"}, /* ends too early */
        {STR("\xe2\x28\xac"), "\\xe2(\\xac", "\\u00e2(\\u00ac"},
        {STR("\xed\x9f\xbf\xee\x80\x80"), "\xed\x9f\xbf\xee\x80\x80", "\xed\x9f\xbf\xee\x80\x80"},
        {STR("\xf4\x8f\xbf\xbf\xc2\xa0"), "\xf4\x8f\xbf\xbf\xc2\xa0", "\xf4\x8f\xbf\xbf\xc2\xa0"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char want[256];

        setup(LOG_INFO, LOG_TEXT);
        LOG(LOG_INFO, "e", LOG_STR("s", rows[i].in));
        snprintf(want, sizeof want, " INFO e s=\"%s\"\n", rows[i].text);
        CHECK_ROW(i, strcmp(logged() + strlen(STAMP), want) == 0);
        CHECK_ROW(i, is_utf8(text));

        setup(LOG_INFO, LOG_JSON);
        LOG(LOG_INFO, "e", LOG_STR("s", rows[i].in));
        snprintf(want, sizeof want, ",\"s\":\"%s\"}\n", rows[i].json);
        CHECK_ROW(i, strstr(logged(), want) != NULL);
        CHECK_ROW(i, is_json_line(text) && is_utf8(text));
    }
}

/* A line with a long value and something behind it; true when it was cut. */
static bool check_cut(struct str value, enum log_format format)
{
    const struct log_field fields[] = {
        LOG_STR("value", value),
        LOG_UINT("number", 1234567890),
        LOG_BOOL("flag", true),
        LOG_TXT("end", "x"),
    };
    bool json = format == LOG_JSON, cut;
    struct log_site site = {0};

    setup(LOG_INFO, format);
    log_write(&site, LOG_INFO, "cut", fields, ARRAY_LEN(fields));
    logged();
    cut = strstr(text, json ? ",\"cut\":true}\n" : " ...\n") != NULL;
    CHECK(cut || strstr(text, json ? "true,\"end\":\"x\"}" : "flag=true end=\"x\"\n"));
    CHECK(strlen(text) <= LOG_LINE_MAX);
    CHECK(!cut || strlen(text) > LOG_LINE_MAX - 48); /* not more than has to be */
    CHECK(is_utf8(text));
    CHECK_INT(count_lines(text), 1);
    CHECK(!json || is_json_line(text));
    return cut;
}

/* Lines of every length around the limit, with everything that could be cut in the middle. */
static void test_cut(void)
{
    static const struct {
        struct str unit;
        size_t text_len, json_len; /* as it is written */
    } rows[] = {
        {STR("a"), 1, 1},
        {STR("\xf0\x9f\x98\x80"), 4, 4},
        {STR("\""), 2, 2},
        {STR("\xff"), 4, 6},
    };
    static char value[3000];
    unsigned cut = 0, whole = 0;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str unit = rows[i].unit;

        for (size_t at = 0; at + unit.len <= sizeof value; at += unit.len)
            memcpy(value + at, unit.p, unit.len);
        for (int json = 0; json < 2; json++) {
            size_t len = json ? rows[i].json_len : rows[i].text_len;

            for (size_t n = 1850 / len; n < 2060 / len; n++) {
                bool was_cut = check_cut((struct str){value, n * unit.len}, (enum log_format)json);

                cut += was_cut;
                whole += !was_cut;
            }
        }
    }
    CHECK(cut > 100 && whole > 100);
}

static void test_limit(void)
{
    struct log_site site = {0};
    struct log_stats before = log_stats(), after;

    fake_time.tv_sec = 1000;
    setup(LOG_INFO, LOG_TEXT);
    for (int i = 0; i < LOG_BURST + 7; i++)
        log_write(&site, LOG_INFO, "burst", NULL, 0);
    after = log_stats();
    CHECK_INT(count_lines(logged()), LOG_BURST);
    CHECK_INT(after.written - before.written, LOG_BURST);
    CHECK_INT(after.suppressed - before.suppressed, 7);

    fake_time.tv_sec = 1001;
    setup(LOG_INFO, LOG_TEXT);
    log_write(&site, LOG_INFO, "next", NULL, 0);
    log_write(&site, LOG_INFO, "next", NULL, 0);
    logged();
    CHECK(strncmp(text + strlen(STAMP), " INFO next suppressed=7\n", 24) == 0);
    CHECK(strstr(strchr(text, '\n'), "suppressed") == NULL);
}

static void test_errno_and_failure(void)
{
    struct log_stats before = log_stats(), after;
    int closed = dup(STDERR_FILENO);

    close(closed);
    log_configure(closed, LOG_INFO, LOG_TEXT);
    errno = ENOENT;
    LOG(LOG_INFO, "nowhere");
    CHECK_INT(errno, ENOENT);
    after = log_stats();
    CHECK_INT(after.failed - before.failed, 1);
    CHECK_INT(after.written - before.written, 0);
    log_configure(STDERR_FILENO, LOG_INFO, LOG_TEXT);
}

static void *log_much(void *arg)
{
    (void)arg;
    for (int i = 0; i < 40; i++) {
        LOG(LOG_INFO, "thread.here", LOG_INT("i", i));
        LOG(LOG_INFO, "thread.there", LOG_INT("i", i));
    }
    return NULL;
}

/* Lines are never mixed up, and each was written or counted. */
static void test_threads(void)
{
    pthread_t threads[4];
    struct log_stats before = log_stats(), after;
    const char *at;
    size_t whole = 0;

    setup(LOG_INFO, LOG_JSON);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, log_much, NULL);
    for (int i = 0; i < 20; i++) /* no harm */
        log_configure(fileno(file), i % 2 ? LOG_INFO : LOG_DEBUG, LOG_JSON);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    after = log_stats();
    CHECK_INT(after.failed - before.failed, 0);
    CHECK_INT(after.written - before.written + after.suppressed - before.suppressed, 4 * 2 * 40);
    at = logged();
    CHECK_INT(count_lines(at), after.written - before.written);
    while (*at != '\0') {
        const char *end = strchr(at, '\n') + 1;
        char line[LOG_LINE_MAX + 1];

        snprintf(line, sizeof line, "%.*s", (int)(end - at), at);
        whole += is_json_line(line);
        at = end;
    }
    CHECK_INT(whole, after.written - before.written);
}

TEST_MAIN(test_text, test_json, test_time, test_real_time, test_levels, test_escapes, test_cut,
          test_limit, test_errno_and_failure, test_threads)

/* log: a line is put together on the stack and written with one call. What does not fit is left out
 * in whole units (a field, an escape sequence, a character), so that every line is valid UTF-8 and
 * every JSON line a valid object. */
#include "base/log.h"

#include "base/env.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

/* Kept free for what ends a line: quote, ',"cut":true', '}', newline. */
#define TAIL      16

#define PIECE_MAX 64 /* bytes of what put_format() makes */
#define NAME_MAX  40 /* bytes of a field's name; longer ones are cut */

_Atomic(enum log_level) log_level_now = LOG_INFO;

static _Atomic int log_fd = STDERR_FILENO;
static _Atomic(enum log_format) log_format_now = LOG_TEXT;
static _Atomic uint64_t lines_written, lines_suppressed, lines_failed;

struct line {
    enum log_format format;
    bool cut; /* something did not fit; nothing is added any more */
    size_t len;
    char text[LOG_LINE_MAX];
};

static void put(struct line *l, const char *piece, size_t len)
{
    if (l->cut || l->len + len > sizeof l->text - TAIL) { /* len may be one into the tail */
        l->cut = true;
        return;
    }
    memcpy(l->text + l->len, piece, len);
    l->len += len;
}

__attribute__((format(printf, 2, 3))) static void put_format(struct line *l, const char *format,
                                                             ...)
{
    char piece[PIECE_MAX];
    va_list args;

    va_start(args, format);
    int len = vsnprintf(piece, sizeof piece, format, args);
    va_end(args);
    ASSERT(len >= 0 && (size_t)len < sizeof piece);
    put(l, piece, (size_t)len);
}

/* Length of the UTF-8 sequence at p, or 0 when it is none that may stand in a line as it is: not
 * valid (RFC 3629), or a control character. */
static size_t plain_length(const unsigned char *p, size_t left)
{
    unsigned char first = p[0];
    size_t len = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

    if (len == 1)
        return first >= 0x20 && first != 0x7f;
    if (first < 0xc2 || first > 0xf4 || len > left)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;

    bool bad = (first == 0xc2 && p[1] < 0xa0)    /* U+0080..U+009F: control characters */
               || (first == 0xe0 && p[1] < 0xa0) /* could be shorter */
               || (first == 0xed && p[1] > 0x9f) /* surrogates */
               || (first == 0xf0 && p[1] < 0x90) /* could be shorter */
               || (first == 0xf4 && p[1] > 0x8f);
    return bad ? 0 : len;
}

/* JSON has no escape for a byte: invalid bytes become the character of that number. */
static void put_escaped(struct line *l, struct str s)
{
    const unsigned char *p = (const unsigned char *)s.p;

    for (size_t i = 0, len; i < s.len && !l->cut; i += len) {
        len = plain_length(p + i, s.len - i);
        if (len == 1 && (p[i] == '"' || p[i] == '\\')) {
            put_format(l, "\\%c", p[i]);
        } else if (len > 0) {
            put(l, s.p + i, len);
        } else {
            put_format(l, l->format == LOG_JSON ? "\\u%04x" : "\\x%02x", p[i]);
            len = 1;
        }
    }
}

static void put_string(struct line *l, struct str s)
{
    put(l, "\"", 1);
    if (l->cut)
        return;
    put_escaped(l, s);
    l->text[l->len++] = '"'; /* there is room for it in the tail */
}

static void put_value(struct line *l, const struct log_field *f)
{
    switch (f->kind) {
    case LOG_KIND_STR: put_string(l, f->text); break;
    case LOG_KIND_INT: put_format(l, "%" PRId64, f->number); break;
    case LOG_KIND_UINT: put_format(l, "%" PRIu64, (uint64_t)f->number); break;
    case LOG_KIND_BOOL: put_format(l, "%s", f->number ? "true" : "false"); break;
    }
}

static void put_field(struct line *l, const struct log_field *f)
{
    size_t begin = l->len;

    put_format(l, l->format == LOG_JSON ? ",\"%.*s\":" : " %.*s=", NAME_MAX, f->name);

    size_t value = l->len;

    put_value(l, f);
    if (l->len == value) /* not even the beginning of the value fits */
        l->len = begin;
}

struct date {
    unsigned year, month, day;
};

/* The proleptic Gregorian calendar from days since 1970-01-01, counted in years that begin on 1
 * March, so that the leap day is the last. (gmtime_r() reads the time zone, takes a lock and may
 * allocate.) */
static struct date date_of(uint64_t days)
{
    uint64_t since = days + 719468; /* since 0000-03-01 */
    uint64_t era = since / 146097;  /* 400 years */
    unsigned of_era = (unsigned)(since % 146097);
    unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    unsigned month = (5 * of_year + 2) / 153; /* 0 = March */

    return (struct date){
        .year = (unsigned)era * 400 + year + (month >= 10),
        .month = month < 10 ? month + 3 : month - 9,
        .day = of_year - (153 * month + 2) / 5 + 1,
    };
}

static void put_time(struct line *l, uint64_t wall_ms)
{
    struct date d = date_of(wall_ms / 86400000);
    unsigned ms = (unsigned)(wall_ms % 86400000);

    put_format(l, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", d.year, d.month, d.day, ms / 3600000,
               ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
}

static void begin_line(struct line *l, enum log_level level, const char *event, uint64_t wall_ms)
{
    static const char *const names[][2] = {
        [LOG_ERROR] = {"ERROR", "error"},
        [LOG_WARN] = {"WARN", "warn"},
        [LOG_INFO] = {"INFO", "info"},
        [LOG_DEBUG] = {"DEBUG", "debug"},
    };
    bool json = l->format == LOG_JSON;

    if (json)
        put_format(l, "{\"ts\":\"");
    put_time(l, wall_ms);
    put_format(l, json ? "\",\"level\":\"%s\",\"event\":\"" : " %s ", names[level][json]);
    put(l, event, strlen(event));
    if (json)
        put_format(l, "\"");
}

static void end_line(struct line *l)
{
    bool json = l->format == LOG_JSON;
    const char *tail = l->cut ? (json ? ",\"cut\":true}\n" : " ...\n") : (json ? "}\n" : "\n");
    size_t len = strlen(tail);

    ASSERT(len <= sizeof l->text - l->len);
    memcpy(l->text + l->len, tail, len);
    l->len += len;
}

/* Whether the site may write a line now. Threads that meet at the turn of a second may let through
 * a few lines more or less. */
static bool site_admits(struct log_site *site, uint64_t now_s)
{
    uint64_t second = atomic_load(&site->second);

    if (second != now_s && atomic_compare_exchange_strong(&site->second, &second, now_s))
        atomic_store(&site->lines, 0);
    if (atomic_fetch_add(&site->lines, 1) < LOG_BURST)
        return true;
    atomic_fetch_add(&site->suppressed, 1);
    atomic_fetch_add(&lines_suppressed, 1);
    return false;
}

static void write_line(const struct line *l)
{
    ssize_t n;

    do
        n = write(atomic_load(&log_fd), l->text, l->len);
    while (n < 0 && errno == EINTR);
    atomic_fetch_add(n == (ssize_t)l->len ? &lines_written : &lines_failed, 1);
}

void log_write(struct log_site *site, enum log_level level, const char *event,
               const struct log_field *fields, size_t n)
{
    int saved_errno = errno;
    struct line l;
    struct env_time now;

    env_system()->now(NULL, &now);
    if (!site_admits(site, now.mono_ms / 1000 + 1)) /* 0 is that of a site not used yet */
        return;
    l.format = atomic_load(&log_format_now);
    l.cut = false;
    l.len = 0;
    begin_line(&l, level, event, now.wall_ms);

    uint32_t suppressed = atomic_exchange(&site->suppressed, 0);

    if (suppressed > 0)
        put_field(&l, &LOG_UINT("suppressed", suppressed));
    for (size_t i = 0; i < n && !l.cut; i++)
        put_field(&l, &fields[i]);
    end_line(&l);
    write_line(&l);
    errno = saved_errno;
}

void log_configure(int fd, enum log_level level, enum log_format format)
{
    atomic_store(&log_fd, fd);
    atomic_store(&log_format_now, format);
    atomic_store(&log_level_now, level);
}

struct log_stats log_stats(void)
{
    return (struct log_stats){
        .written = atomic_load(&lines_written),
        .suppressed = atomic_load(&lines_suppressed),
        .failed = atomic_load(&lines_failed),
    };
}

/* log: one line an event, as text or as a JSON object. An event has a dotted name and typed fields;
 * there is no free text to parse. Never payloads, passwords or raw bytes: strings are escaped.
 *
 *     LOG(LOG_INFO, "session.takeover", LOG_STR("client", id), LOG_INT("queued", n));
 *
 * ERROR: an operator must act; WARN: degraded; INFO: life of connections; DEBUG: packets.
 * Each call site may write LOG_BURST lines a second; what is over is counted, and the next line of
 * the site carries suppressed=N. Any thread; each line is one write(). */
#ifndef BASE_LOG_H
#define BASE_LOG_H
#include "base/assert.h"
#include "base/str.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_BURST    50 /* lines a second and call site */

/* Bytes. Longer lines are cut: a text line then ends in "...", a JSON object in "cut":true. */
#define LOG_LINE_MAX 2048

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

enum log_kind { LOG_KIND_STR, LOG_KIND_INT, LOG_KIND_UINT, LOG_KIND_BOOL };

struct log_field {
    const char *name;
    enum log_kind kind;
    struct str text;
    int64_t number;
};

/* Per call site; static, zeroed. */
struct log_site {
    _Atomic uint64_t second;
    _Atomic uint32_t lines;
    _Atomic uint32_t suppressed;
};

#define LOG_STR(name, view) ((struct log_field){name, LOG_KIND_STR, view, 0})
#define LOG_TXT(name, zero_terminated) \
    ((struct log_field){name, LOG_KIND_STR, str_from(zero_terminated), 0})
#define LOG_INT(name, n)  ((struct log_field){name, LOG_KIND_INT, {NULL, 0}, (int64_t)(n)})
#define LOG_UINT(name, n) ((struct log_field){name, LOG_KIND_UINT, {NULL, 0}, (int64_t)(n)})
#define LOG_BOOL(name, b) ((struct log_field){name, LOG_KIND_BOOL, {NULL, 0}, (b)})
/* errno value as text */
#define LOG_ERRNO(e)      LOG_TXT("error", strerror(e))

/* LOG(level, event) or LOG(level, event, fields...): costs one comparison when the level is off;
 * the fields are not evaluated then. (An empty array is no C: hence the first field, which is not
 * used.) */
#define LOG(level, event, ...)                                                                \
    do {                                                                                      \
        if (log_enabled(level)) {                                                             \
            static struct log_site log_site_;                                                 \
            const struct log_field log_fields_[] = {{NULL, LOG_KIND_INT, {NULL, 0}, 0},       \
                                                    __VA_ARGS__};                             \
            log_write(&log_site_, level, event, log_fields_ + 1, ARRAY_LEN(log_fields_) - 1); \
        }                                                                                     \
    } while (0)

extern _Atomic(enum log_level) log_level_now; /* set by log_configure() */

static inline bool log_enabled(enum log_level level)
{
    return level <= atomic_load_explicit(&log_level_now, memory_order_relaxed);
}

/* event and the names of fields: literals, of letters, digits, '.' and '_'. fields: n of them;
 * borrowed for the call. Keeps errno. */
void log_write(struct log_site *site, enum log_level level, const char *event,
               const struct log_field *fields, size_t n);

/* Where lines go and up to which level; may be called at any time. fd is borrowed. Default:
 * standard error, INFO, text. */
void log_configure(int fd, enum log_level level, enum log_format format);

/* Number of lines so far. */
struct log_stats {
    uint64_t written;
    uint64_t suppressed; /* by the limit of their site */
    uint64_t failed;     /* write() did not take the whole line */
};
struct log_stats log_stats(void);
#endif

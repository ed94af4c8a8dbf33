/* str: a view of bytes: pointer and length, by value; never owns, not terminated by NUL.
 * The same idea as struct mqtt_str of mqtt/, for the layers that must not know MQTT. */
#ifndef BASE_STR_H
#define BASE_STR_H
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct str {
    const char *p; /* may be NULL when len is 0 */
    size_t len;    /* bytes */
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})

static inline struct str str_from(const char *zero_terminated)
{
    return (struct str){zero_terminated, strlen(zero_terminated)};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

/* ASCII letters compared without regard to case. */
bool str_eq_nocase(struct str a, struct str b);

bool str_starts(struct str s, struct str prefix);

/* s without white space (blank, tab, CR, LF) at both ends. */
struct str str_trim(struct str s);

/* Cut the text up to the first sep off *rest and return it; *rest becomes what follows sep. When
 * there is no sep the whole of *rest is returned and *rest becomes empty with p == NULL. */
struct str str_cut(struct str *rest, char sep);

/* Edit distance (Levenshtein) for "did you mean"; both at most 63 bytes, longer ones give 64. */
size_t str_distance(struct str a, struct str b);
#endif

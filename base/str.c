#include "base/str.h"

#include <stdint.h>

#define DISTANCE_MAX 64 /* what str_distance() says of strings of that length and longer */

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.p[i]) != lower(b.p[i]))
            return false;
    return true;
}

bool str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str_eq((struct str){s.p, prefix.len}, prefix);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
    while (s.len > 0 && is_space(s.p[s.len - 1]))
        s.len--;
    while (s.len > 0 && is_space(s.p[0])) {
        s.p++;
        s.len--;
    }
    return s;
}

struct str str_cut(struct str *rest, char sep)
{
    struct str whole = *rest;
    const char *at = whole.len > 0 ? memchr(whole.p, sep, whole.len) : NULL;

    if (at == NULL) {
        *rest = (struct str){NULL, 0};
        return whole;
    }
    size_t head = (size_t)(at - whole.p);

    *rest = (struct str){at + 1, whole.len - head - 1};
    return (struct str){whole.p, head};
}

static uint8_t least(int a, int b, int c)
{
    int ab = a < b ? a : b;

    return (uint8_t)(ab < c ? ab : c);
}

size_t str_distance(struct str a, struct str b)
{
    uint8_t row[DISTANCE_MAX]; /* row[j]: from what was seen of a to the first j bytes of b */

    if (a.len >= DISTANCE_MAX || b.len >= DISTANCE_MAX)
        return DISTANCE_MAX;
    for (size_t j = 0; j <= b.len; j++)
        row[j] = (uint8_t)j;
    for (size_t i = 0; i < a.len; i++) {
        uint8_t diagonal = row[0]++;

        for (size_t j = 0; j < b.len; j++) {
            uint8_t above = row[j + 1];

            row[j + 1] = least(above + 1, row[j] + 1, diagonal + (a.p[i] != b.p[j]));
            diagonal = above;
        }
    }
    return row[b.len];
}

/* alloc: memory for the configuration: small, read before anyone is served. Running out of it
 * aborts. */
#ifndef DAEMON_ALLOC_H
#define DAEMON_ALLOC_H
#include "base/assert.h"
#include "base/str.h"

#include <stdlib.h>
#include <string.h>

/* n zeroed elements; n may be 0. */
static inline void *alloc_zeroed(size_t n, size_t size)
{
    void *p = calloc(n > 0 ? n : 1, size);

    ASSERT(p != NULL);
    return p;
}

/* A copy of s with a NUL behind it. */
static inline char *alloc_text(struct str s)
{
    char *p = alloc_zeroed(s.len + 1, 1);

    if (s.len > 0)
        memcpy(p, s.p, s.len);
    return p;
}
#endif

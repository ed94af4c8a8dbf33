/* arena: memory that is given back all at once. A case may end in the middle of anything
 * (scene_fail() jumps out of it), so nothing it allocates is freed one by one. Zeroed, aligned to
 * 16 bytes. Aborts when out of memory. */
#ifndef CONFORMANCE_ARENA_H
#define CONFORMANCE_ARENA_H
#include "mqtt/str.h"

#include <stdarg.h>

struct arena {
    struct arena_block *blocks; /* {0}: empty */
};

void *arena_alloc(struct arena *a, size_t size);

/* The block again with new_size >= old_size bytes; what is new is zero. */
void *arena_grow(struct arena *a, void *block, size_t old_size, size_t new_size);

struct mqtt_str arena_copy(struct arena *a, struct mqtt_str s);

/* A text, ended by NUL. */
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *a, const char *format, va_list args);

/* Give everything back; the arena is empty and can be used again. */
void arena_fini(struct arena *a);
#endif

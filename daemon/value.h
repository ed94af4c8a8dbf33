/* value: one option's value: from the text an operator writes, to that text, compared and copied.
 * base is the struct of the option's scope throughout. Lists of maps are config.c's, not here. */
#ifndef DAEMON_VALUE_H
#define DAEMON_VALUE_H
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct option;

/* Set from text. NULL, or what is wrong, to stand behind the text: "is not a size"; nothing has
 * changed then. Not for lists. */
const char *value_set(const struct option *o, void *base, struct str text);

/* Add one element to a list of texts; returns the same. */
const char *value_append(const struct option *o, void *base, struct str text);

/* Free what the field owns and clear it. */
void value_clear(const struct option *o, void *base);

/* to: cleared or zeroed before. */
void value_copy(const struct option *o, void *to, const void *from);
bool value_equal(const struct option *o, const void *a, const void *b);

/* A number's value; bool: 0 or 1. */
uint64_t value_number(const struct option *o, const void *base);

/* As it would be written in the file: value_set() of it gives the same value. */
void value_print(const struct option *o, const void *base, FILE *out);

/* Is it what the option is without being set? False for options without a fixed default. */
bool value_is_default(const struct option *o, const void *base);

/* What may be written: "1KiB to 256MiB", "error, warn, info or debug". */
void value_print_range(const struct option *o, FILE *out);

/* The same in a sentence: "expected bytes with a unit such as 512KiB or 2MiB, 1KiB to 256MiB". To
 * be freed. */
char *value_expected(const struct option *o);

/* Name of the option's type for the reference: "size". */
const char *value_type_name(const struct option *o);

/* The array that a list's field points at, and its length. */
static inline void **value_array(const void *base, size_t offset)
{
    return (void **)((char *)base + offset);
}

static inline size_t *value_count(const void *base, size_t count_offset)
{
    return (size_t *)((char *)base + count_offset);
}
#endif

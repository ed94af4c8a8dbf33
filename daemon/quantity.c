#include "daemon/quantity.h"

#include "base/assert.h"

#include <inttypes.h>

struct unit {
    const char *name;
    uint64_t factor;
};

/* Printing takes the first that divides the number. */
static const struct unit durations[] = {
    {"d", 24 * 60 * 60 * 1000}, {"h", 60 * 60 * 1000}, {"m", 60 * 1000}, {"s", 1000}, {"ms", 1}};

static const struct unit sizes[] = {
    {"GiB", 1u << 30}, {"MiB", 1u << 20}, {"KiB", 1u << 10}, {"GB", 1000000000},
    {"MB", 1000000},   {"kB", 1000},      {"B", 1}};

static size_t count_digits(struct str s)
{
    size_t n = 0;

    while (n < s.len && s.p[n] >= '0' && s.p[n] <= '9')
        n++;
    return n;
}

static uint64_t times(uint64_t a, uint64_t b)
{
    uint64_t product;

    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

bool quantity_parse_number(struct str text, uint64_t *out)
{
    size_t digits = count_digits(text);
    uint64_t v = 0;

    if (digits == 0 || digits != text.len || (digits > 1 && text.p[0] == '0'))
        return false;
    for (size_t i = 0; i < digits; i++)
        if (__builtin_add_overflow(times(v, 10), (uint64_t)(text.p[i] - '0'), &v))
            v = UINT64_MAX;
    *out = v;
    return true;
}

static bool parse(struct str text, const struct unit *units, size_t n_units, uint64_t *out)
{
    size_t digits = count_digits(text);
    struct str name = {text.p + digits, text.len - digits};
    uint64_t number;

    if (!quantity_parse_number((struct str){text.p, digits}, &number))
        return false;
    if (number == 0 && name.len == 0) {
        *out = 0;
        return true;
    }
    for (size_t i = 0; i < n_units; i++)
        if (str_eq(name, str_from(units[i].name))) {
            *out = times(number, units[i].factor);
            return true;
        }
    return false;
}

bool quantity_parse_duration(struct str text, uint64_t *out_ms)
{
    return parse(text, durations, ARRAY_LEN(durations), out_ms);
}

bool quantity_parse_size(struct str text, uint64_t *out_bytes)
{
    return parse(text, sizes, ARRAY_LEN(sizes), out_bytes);
}

static void print(uint64_t v, const struct unit *units, FILE *out)
{
    while (v % units->factor != 0)
        units++; /* the last one is 1 */
    fprintf(out, "%" PRIu64 "%s", v / units->factor, units->name);
}

void quantity_print_duration(uint64_t ms, FILE *out)
{
    print(ms, ms == 0 ? &durations[3] : durations, out); /* "0s", not "0d" */
}

void quantity_print_size(uint64_t bytes, FILE *out)
{
    print(bytes, bytes == 0 ? &sizes[ARRAY_LEN(sizes) - 1] : sizes, out);
}

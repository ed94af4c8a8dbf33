/* quantity: whole numbers with a unit, as people write them: 500ms 30s 5m 1h 1d, 64KiB 2MiB 1GB. */
#ifndef DAEMON_QUANTITY_H
#define DAEMON_QUANTITY_H
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Decimal digits without a sign or leading zeros. What does not fit becomes UINT64_MAX. */
bool quantity_parse_number(struct str text, uint64_t *out);

/* Digits and a unit; 0 needs none. What does not fit becomes UINT64_MAX. */
bool quantity_parse_duration(struct str text, uint64_t *out_ms);
bool quantity_parse_size(struct str text, uint64_t *out_bytes);

/* In the largest unit that needs no fraction. */
void quantity_print_duration(uint64_t ms, FILE *out);
void quantity_print_size(uint64_t bytes, FILE *out);
#endif

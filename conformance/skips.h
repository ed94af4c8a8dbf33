/* skips: which statements a strict run may leave without a verdict. */
#ifndef CONFORMANCE_SKIPS_H
#define CONFORMANCE_SKIPS_H
#include "conformance/results.h"

#include <stdio.h>

/* Is everything as a strict run wants it: nothing failed or warned, and only skipped what the file
 * lists (a pattern a line, then perhaps a reason; '#' begins a comment)? What is not is written to
 * err. file NULL: nothing may be skipped, but for what cannot be tested at all. */
bool skips_strict(const struct results *r, const char *file, FILE *err);
#endif

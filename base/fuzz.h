/* fuzz: what every *_fuzz.c uses: the entry that libFuzzer, or base/tests/replay.c, calls. */
#ifndef BASE_FUZZ_H
#define BASE_FUZZ_H
#include "base/assert.h"

#include <stddef.h>
#include <stdint.h>

/* Use the input; ASSERT() what must hold whatever it is. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
#endif

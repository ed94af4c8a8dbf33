/* import_support: the rules of MQTT as far as tests of imports need them, and what an import tells
 * as text. */
#ifndef STORAGE_TESTS_IMPORT_SUPPORT_H
#define STORAGE_TESTS_IMPORT_SUPPORT_H
#include "storage/import.h"

extern const struct import_rules test_rules;

/* Read the file and describe every record, in the order of the alphabet; the caller's to free. When
 * it cannot be read: the error. */
char *import_text(import_read_fn *read, const char *path, uint64_t *out_skipped);

/* The same of data that is not in a file. */
char *import_bytes_text(import_read_fn *read, const void *data, size_t len, uint64_t *out_skipped);
#endif

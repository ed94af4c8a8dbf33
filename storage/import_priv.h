/* import: what only its tests call besides. */
#ifndef STORAGE_IMPORT_PRIV_H
#define STORAGE_IMPORT_PRIV_H
#include "storage/import.h"

/* As import_read_mosquitto(), of bytes that were read from path, and are taken. */
int import__mosquitto(const char *path, char *take_data, size_t len,
                      const struct import_rules *rules, store_record_fn *fn, void *arg,
                      uint64_t *out_skipped, struct store_error *err);
#endif

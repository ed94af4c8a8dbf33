/* import: sessions, subscriptions, messages and retained messages from a file into a store. */
#ifndef STORAGE_IMPORT_H
#define STORAGE_IMPORT_H
#include "storage/store.h"
#include "storage/store_error.h"

/* What MQTT says about texts, which is not known here. Texts may be anything, of any length. */
struct import_rules {
    bool (*is_topic)(struct str s);
    bool (*is_filter)(struct str s);                      /* "$share/..." included */
    bool (*is_text)(struct str s);                        /* a client identifier */
    bool (*matches)(struct str filter, struct str topic); /* without "$share/..." */
};

struct import_counts {
    uint64_t sessions, subscriptions, messages, retained;
    uint64_t skipped; /* what was no longer valid, or cannot be kept (QoS 0) */
};

/* Read a file and call fn for each record, in an order in which everything comes after what it
 * belongs to; DELIVERY with its body. 0, what fn returned, or -1 with *err set. */
typedef int import_read_fn(const char *path, const struct import_rules *rules, store_record_fn *fn,
                           void *arg, uint64_t *out_skipped, struct store_error *err);

/* Lines of JSON, as the export writes them (storage/json_record.h). path "-": standard input, from
 * its first byte on; so it has to be a file. */
int import_read_json(const char *path, const struct import_rules *rules, store_record_fn *fn,
                     void *arg, uint64_t *out_skipped, struct store_error *err);

/* mosquitto.db of Mosquitto 1.6 (format version 5) and 2.x (6), from a machine of the same byte
 * order and word size. Best as it was written when that broker ended. */
int import_read_mosquitto(const char *path, const struct import_rules *rules, store_record_fn *fn,
                          void *arg, uint64_t *out_skipped, struct store_error *err);

/* All of it into a store that was just opened, and is empty; closes it. The file is read once to
 * see whether it is whole, and then again: with an error in the file nothing has happened. What was
 * imported survives a power cut. 0, or -1 with *err set. */
int import_into(struct store *take_s, import_read_fn *read, const char *path,
                const struct import_rules *rules, struct import_counts *out,
                struct store_error *err);
#endif

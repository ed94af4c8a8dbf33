/* sqlite_schema: the file of a sqlite_store: how it is laid out, found, made and brought up to
 * date. Returns of int are SQLite's result codes. */
#ifndef STORAGE_SQLITE_SCHEMA_PRIV_H
#define STORAGE_SQLITE_SCHEMA_PRIV_H
#include "storage/store_error.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

#define SCHEMA_APPLICATION_ID 0x46525953 /* "FRYS" */
#define SCHEMA_VERSION        1

/* What brings a file from one version to the next; in one transaction with the new number. */
struct schema_step {
    int from, to;
    const char *sql;
};

/* Perform the steps from the file's version on. */
int schema__migrate(sqlite3 *db, const struct schema_step *list, size_t n);

enum schema_file {
    FILE_OURS,    /* and up to date now */
    FILE_DAMAGED, /* ... or something else that is not for us */
    FILE_FOREIGN,
    FILE_NEWER,
    FILE_UNUSABLE /* cannot be opened, read or written: err says why */
};

/* Open a connection to a file; it is made when create is set. NULL: *err is set. */
sqlite3 *schema__connect(const char *path, const char *vfs, int flags, struct store_error *err);

/* A connection that changes nothing and sees one moment, to a store's file of this version (of
 * which anything may be damaged behind the header). NULL: *err is set. */
sqlite3 *schema__connect_to_read(const char *path, struct store_error *err);

/* What is it? A new one is filled; an older one brought up to date; looked over for damage unless
 * it was new. err: the reason, whatever it is. */
enum schema_file schema__prepare(sqlite3 *db, const char *path, struct store_error *err);

/* Move the file and what belongs to it out of the way, to PATH.WHY-DATE. 0 or -1 with *err set. */
int schema__set_aside(const char *path, const char *why, char *out_name, size_t size,
                      struct store_error *err);
#endif

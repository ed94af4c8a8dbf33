/* sqlite_store: the store in one SQLite file (with its write-ahead log), written by a thread of its
 * own: one transaction takes everything that was submitted while the last one was being committed.
 *
 * What is committed survives the death of the process; a batch with sync set, with all that was
 * committed before it, that of the machine. After a power cut the file is intact in either case.
 *
 * Beside PATH and SQLite's PATH-wal and PATH-shm there are PATH-lock, which says who has the store
 * open, and PATH-reserve: disk space that is given up when there is no other, so that what is
 * queued can still be removed. A file that is found damaged, or is not ours, is moved to
 * PATH.damaged-DATE or PATH.foreign-DATE. */
#ifndef STORAGE_SQLITE_STORE_H
#define STORAGE_SQLITE_STORE_H
#include "storage/store.h"
#include "storage/store_error.h"

struct env;

struct sqlite_store_options {
    const char *path;
    uint64_t max_bytes; /* of the file; near the limit it is FAILING, as on a full disk; 0: none */
    const struct env *env; /* its clock, asked by another thread, says what has expired; NULL: the
                              system's */
    uint32_t log_pages; /* of the write-ahead log (4 KiB each), until it is copied to the file; the
                              log grows to a few times that; 0: 1000 */
    const char *vfs;    /* name of SQLite's layer under it; NULL: the usual one; for tests */
};

/* Open the store, or begin a new one where there is none; one of an older schema is brought up to
 * date. Looks for damage: the structure of everything but the bodies of messages and, of these, the
 * tree that finds them. NULL with *err set: there is no such directory, another process has it
 * open, it was written by a newer version, ... */
struct store *sqlite_store_open(const struct sqlite_store_options *o, struct store_error *err);
#endif

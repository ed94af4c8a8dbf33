/* dir_support: a temporary folder for a test. */
#ifndef STORAGE_TESTS_DIR_SUPPORT_H
#define STORAGE_TESTS_DIR_SUPPORT_H
#include <stdbool.h>
#include <stddef.h>

/* Make one; its name goes to out. */
void dir_make(char *out, size_t size);

/* Away with it and all that is in it. */
void dir_remove(const char *dir);

/* out: DIR/NAME. */
void dir_path(char *out, size_t size, const char *dir, const char *name);

/* Files whose name begins so, without those that SQLite has beside them (-wal, -shm). first: the
 * path of one of them, when there is one; may be NULL. */
int dir_count(const char *dir, const char *prefix, char *first, size_t size);

/* The whole file, with a zero behind it; the caller's to free. NULL: there is none. */
char *file_read(const char *path, size_t *out_len);
void file_write(const char *path, const void *data, size_t len);
void file_copy(const char *from, const char *to);
#endif

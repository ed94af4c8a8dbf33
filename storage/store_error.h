/* store_error: what went wrong with a store or a file, as a sentence for an operator: what, where,
 * and what to do. */
#ifndef STORAGE_STORE_ERROR_H
#define STORAGE_STORE_ERROR_H

struct store_error {
    char text[512];
};

/* Set the text, as printf() does; e may be NULL. What does not fit is cut. Returns -1, for callers
 * that return that. */
__attribute__((format(printf, 2, 3))) int store_error(struct store_error *e, const char *format,
                                                      ...);
#endif

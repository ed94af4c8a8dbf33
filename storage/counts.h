/* counts: a table of counts by number. Changes can be taken back: those since counts_begin(). */
#ifndef STORAGE_COUNTS_H
#define STORAGE_COUNTS_H
#include "base/map.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mem;
struct count_change;

struct counts {
    struct mem *mem;
    struct map map;
    struct count_change *changes; /* since counts_begin(), with what was there before */
    size_t n_changes, cap_changes;
    bool recording;
};

/* Borrows mem. Out of memory the process ends, here and below. */
void counts_init(struct counts *c, struct mem *mem);
void counts_fini(struct counts *c);

/* The count of a number, or 0. O(1). */
uint64_t counts_get(const struct counts *c, uint64_t number);

/* 0: it is no longer there. O(1). */
void counts_set(struct counts *c, uint64_t number, uint64_t count);

/* How many numbers have one. */
static inline size_t counts_len(const struct counts *c)
{
    return map_count(&c->map);
}

void counts_begin(struct counts *c);
void counts_commit(struct counts *c);
void counts_rollback(struct counts *c);
#endif

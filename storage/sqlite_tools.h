/* sqlite_tools: what an operator does with the file of a sqlite_store: look whether it is whole,
 * and save what is in it. Both read only, also what is damaged. A broker may have it open: they see
 * one moment of it, and until they are done its write-ahead log grows. */
#ifndef STORAGE_SQLITE_TOOLS_H
#define STORAGE_SQLITE_TOOLS_H
#include "storage/store_error.h"

#include <stdint.h>
#include <stdio.h>

struct sqlite_tool_counts {
    uint64_t sessions, subscriptions, messages, retained; /* messages: deliveries of them */
    uint64_t problems;                                    /* found, or records lost to damage */
};

/* Called with each problem, in a sentence. */
typedef void sqlite_problem_fn(void *arg, const char *text);

/* Everything that can be checked: SQLite's own structure, page by page, and ours: every delivery
 * has its message, every message a delivery, ... 0: no problem; 1: some; -1 with *err set: it
 * cannot be checked. */
int sqlite_check(const char *path, sqlite_problem_fn *problem, void *arg,
                 struct sqlite_tool_counts *out, struct store_error *err);

/* Write everything as lines of JSON (storage/json_record.h). Of a damaged file what can be read:
 * from both ends of each table up to the damage. 0: everything; 1: without what was lost
 * (out->problems, each told to problem); -1 with *err set. */
int sqlite_export(const char *path, FILE *to, sqlite_problem_fn *problem, void *arg,
                  struct sqlite_tool_counts *out, struct store_error *err);
#endif

/* report: the results of a run, written in one of several formats. */
#ifndef CONFORMANCE_REPORT_H
#define CONFORMANCE_REPORT_H
#include "conformance/options.h"
#include "conformance/results.h"

/* For people, to a terminal or a file; colour: escape sequences are welcome; whole: do not cut long
 * exchanges. */
void report_terminal(FILE *out, const struct results *r, bool colour, bool whole);

/* A line that shows how far the run is, over the last one; all == done: it is removed. */
void report_progress(FILE *out, unsigned done, unsigned all, unsigned failed);

/* Test Anything Protocol 13: a test a statement. */
void report_tap(FILE *out, const struct results *r);

/* JUnit's XML: a suite a target and book, a test case a statement. */
void report_junit(FILE *out, const struct results *r);

void report_json(FILE *out, const struct results *r);

/* Tables in Markdown. */
void report_md(FILE *out, const struct results *r);

/* Every statement with its cases, in the books of these versions (bits 1 << version). */
void report_list(FILE *out, const struct options *o);

/* ---- for the formats ---- */

/* The run of that case at that target that decided the result, or NULL. */
const struct outcome *report_decider(const struct results *r, const struct sheet *sheet,
                                     const struct result *row);

/* "MQTT 5.0" */
const char *report_title(const struct sheet *sheet);
#endif

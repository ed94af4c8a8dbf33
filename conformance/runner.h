/* runner: runs the cases, several at a time, each in a thread of its own for as long as it takes.
 * CUnit, which the unit tests use, runs its tests one after the other, knows neither skipped nor
 * warned, and a test has one result: here a case is run for every version and target and judges
 * several statements. */
#ifndef CONFORMANCE_RUNNER_H
#define CONFORMANCE_RUNNER_H
#include "conformance/options.h"
#include "conformance/results.h"

struct progress {
    /* After each run of a case; done of all. Called by one thread at a time. */
    void (*report)(void *arg, const struct outcome *o, unsigned done, unsigned all);
    void *arg;
};

/* Ask each target what it speaks, then run what was asked for. NULL, or why nothing could be tried
 * (a target cannot be reached, speaks none of the versions): in the arena of the results. */
const char *runner_run(const struct options *o, struct results *r, const struct progress *p);
#endif

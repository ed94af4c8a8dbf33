/* fault_store_support: a store around another one, that fails, delays, or ends the process at its
 * n-th batch. What it promises is what store.h promises. */
#ifndef STORAGE_TESTS_FAULT_STORE_SUPPORT_H
#define STORAGE_TESTS_FAULT_STORE_SUPPORT_H
#include "storage/store.h"

enum fault_store_how {
    FAULT_STORE_FAIL,  /* it cannot write from then on */
    FAULT_STORE_DELAY, /* it does nothing with what it gets from then on */
    FAULT_STORE_DIE    /* the process is killed */
};

/* ops.close() closes the one inside as well, which is taken. */
struct store *fault_store_new(struct store *take_inside);

/* What happens to the n-th batch from now on (1: the next). */
void fault_store_set(struct store *s, enum fault_store_how how, uint64_t at);

/* Everything goes on. */
void fault_store_heal(struct store *s);
#endif

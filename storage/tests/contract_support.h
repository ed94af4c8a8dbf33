/* contract_support: the promises of store.h as tests, for every backend. The program of a backend
 * says how its stores are made, and runs them:
 *
 *     int main(int argc, char **argv) { return contract_main(argc, argv, &backend); }
 *
 * The state of a store is always looked at after it was closed and opened again. */
#ifndef STORAGE_TESTS_CONTRACT_SUPPORT_H
#define STORAGE_TESTS_CONTRACT_SUPPORT_H
#include "storage/store.h"

struct contract_backend {
    void (*begin)(void);         /* a new, empty one; not opened yet */
    struct store *(*open)(void); /* as the last ops.close() left it */
    void (*end)(void);           /* closed; away with it */

    /* From now on it cannot write, or it can again. */
    void (*fail)(struct store *s, bool failing);
};

int contract_main(int argc, char **argv, const struct contract_backend *backend);
#endif

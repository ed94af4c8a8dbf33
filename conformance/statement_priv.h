/* statement: the tables, one file a book. */
#ifndef CONFORMANCE_STATEMENT_PRIV_H
#define CONFORMANCE_STATEMENT_PRIV_H
#include "conformance/statement.h"

/* Can be tested; cannot, and why. */
#define YES(id, bound, text)        \
    {                               \
        (id), (bound), (text), NULL \
    }
#define NOT(id, bound, text, why)    \
    {                                \
        (id), (bound), (text), (why) \
    }

extern const struct statement statements_v5[], statements_v311[], statements_v31[];
extern const struct statement statements_websocket[], statements_expected[];
#endif

/* The promises of store.h, kept by a store that is told to fail. */
#include "storage/memory_store.h"
#include "storage/tests/contract_support.h"
#include "storage/tests/fault_store_support.h"

static struct store *inside;

static void begin(void)
{
    inside = memory_store_new();
}

static struct store *open_store(void)
{
    return fault_store_new(inside);
}

static void end(void)
{
    memory_store_free(&inside);
}

static void fail(struct store *s, bool failing)
{
    if (failing)
        fault_store_set(s, FAULT_STORE_FAIL, 1);
    else
        fault_store_heal(s);
}

static const struct contract_backend faulty = {begin, open_store, end, fail};

int main(int argc, char **argv)
{
    return contract_main(argc, argv, &faulty);
}

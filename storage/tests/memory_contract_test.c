/* The promises of store.h, kept by the memory backend. */
#include "storage/memory_store.h"
#include "storage/tests/contract_support.h"

static struct store *store;

static void begin(void)
{
    store = memory_store_new();
}

static struct store *open_store(void)
{
    return store;
}

static void end(void)
{
    memory_store_free(&store);
}

static void fail(struct store *s, bool failing)
{
    memory_store_fail(s, failing ? "told to fail" : NULL);
}

static const struct contract_backend memory = {begin, open_store, end, fail};

int main(int argc, char **argv)
{
    return contract_main(argc, argv, &memory);
}

/* The promises of store.h, kept by SQLite. */
#include "storage/sqlite_store.h"

#include "base/log.h"
#include "storage/tests/contract_support.h"
#include "storage/tests/dir_support.h"
#include "storage/tests/fault_vfs_support.h"

#include <fcntl.h>
#include <stdio.h>

static char dir[128], path[192];

static void begin(void)
{
    dir_make(dir, sizeof dir);
    dir_path(path, sizeof path, dir, "store.db");
}

static struct store *open_store(void)
{
    struct sqlite_store_options o = {.path = path, .vfs = FAULT_VFS};
    struct store_error err = {""};
    struct store *s = sqlite_store_open(&o, &err);

    if (s == NULL)
        fprintf(stderr, "%s\n", err.text);
    return s;
}

static void end(void)
{
    dir_remove(dir);
}

static void fail(struct store *s, bool failing)
{
    (void)s;
    if (failing)
        fault_vfs_set(FAULT_FULL, 1, true);
    else
        fault_vfs_heal();
}

static const struct contract_backend sqlite = {begin, open_store, end, fail};

int main(int argc, char **argv)
{
    int null = open("/dev/null", O_WRONLY);

    log_configure(null, LOG_ERROR, LOG_TEXT); /* that it fails is what is tested */
    fault_vfs_register(false);
    return contract_main(argc, argv, &sqlite);
}

/* fault_vfs_support: a layer under SQLite that lets writes and syncs of a store's files fail, ends
 * the process in the middle of one, or cuts the power: what was written and not synced is then
 * kept, lost, or torn at the borders of sectors, each at random.
 *
 * One at a time in the process; any thread. */
#ifndef STORAGE_TESTS_FAULT_VFS_SUPPORT_H
#define STORAGE_TESTS_FAULT_VFS_SUPPORT_H
#include <stdbool.h>
#include <stdint.h>

#define FAULT_VFS "frys-fault" /* its name, once it is registered */

enum fault_vfs_how {
    FAULT_EIO,      /* SQLite is told of an I/O error */
    FAULT_FULL,     /* no space left */
    FAULT_SHORT,    /* half of it is written, then there is no space left */
    FAULT_READONLY, /* it must not be written */
    FAULT_DAMAGED,  /* the file makes no sense */
    FAULT_DIE,      /* the process is killed after half of it */
    FAULT_CUT       /* the power fails: see fault_vfs_image() */
};

/* sync: syncs reach the disk; otherwise they are counted only, which is quicker. */
void fault_vfs_register(bool sync);

/* The n-th operation from now on (1: the next) meets this fault, once or from then on. Operations
 * are writes, truncations and syncs. */
void fault_vfs_set(enum fault_vfs_how how, uint64_t at, bool for_ever);

/* From now on each write to a database, but not to its log, takes so long; 0: as usual. */
void fault_vfs_slow(unsigned us);

/* All is well again. */
void fault_vfs_heal(void);

/* Operations since fault_vfs_set() or fault_vfs_heal(); has the fault happened? */
uint64_t fault_vfs_count(void);
bool fault_vfs_happened(void);

/* Begin to remember what has been synced, of files that are opened from now on. seed: of what a
 * power cut does. */
void fault_vfs_watch(uint64_t seed);

/* End the watching, and heal. Nothing may have the files open. */
void fault_vfs_forget(void);

/* After a power cut: put the files as it has left them into this folder; then as
 * fault_vfs_forget(). */
void fault_vfs_image(const char *dir);
#endif

/* process: what the daemon wants of the operating system. */
#ifndef DAEMON_PROCESS_H
#define DAEMON_PROCESS_H
#include <stdbool.h>
#include <stdint.h>

/* Open what is closed of standard input, output and error, as /dev/null. To be called before any
 * file is opened: one with such a number would get what is meant for the user, the log for one. */
void process_open_standard_streams(void);

/* Allow as many open files as the system lets us; returns that number. Every connection is one.
 * To be called before there are threads: the kernel's table of files is made as large as it will
 * get, at most 1 MiB, because growing that of several threads makes all of accept() wait for tens
 * of milliseconds. */
uint64_t process_raise_open_files(void);

/* Processor cores that this process may use; at least 1. */
unsigned process_cores(void);

/* Become this user, with its groups, for good. Only when running as root; otherwise, and with "",
 * nothing happens. 0 or -errno. */
int process_become(const char *user);

/* Would process_become() do anything? */
bool process_changes_user(const char *user);

/* Would process_become() find the user? */
bool process_can_become(const char *user);

/* Make the folder that the file is in, and those above it; true when it is there. For the owner
 * and his group only; those that it makes belong to owner, a user's name, "": to us. False with
 * errno. */
bool process_make_folder(const char *file, const char *owner);

/* Give a file of ours to a user and his group. 0 or -errno. */
int process_give(const char *file, const char *user);

/* Give a file of ours to whoever has the folder that it is in. Only when running as root. 0 or
 * -errno. */
int process_give_to_folder_owner(const char *file);
#endif

/* recover: the broker gets its store, and back what is in it. */
#ifndef DAEMON_RECOVER_H
#define DAEMON_RECOVER_H
#include <stdbool.h>

struct broker;
struct config;
struct store;
struct store_error;

/* Is anything to be stored? */
bool recover_wanted(const struct config *c);

/* Log what an acknowledgement promises; returns recover_wanted(). */
bool recover_log_promise(const struct config *c);

/* Open the store; makes its folder. NULL with *err set. */
struct store *recover_open(const struct config *c, struct store_error *err);

/* Open the store and take over what is in it, before any shard runs. *out is the caller's to close
 * behind the broker's end, on failure, too, if it is set. False with what was being done in
 * *out_doing and *err. */
bool recover(const struct config *c, struct broker *b, struct store **out, const char **out_doing,
             struct store_error *err);
#endif

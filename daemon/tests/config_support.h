/* config_support: what tests of configurations have in common. */
#ifndef DAEMON_TESTS_CONFIG_SUPPORT_H
#define DAEMON_TESTS_CONFIG_SUPPORT_H
#include "daemon/config.h"
#include "daemon/problems.h"

/* Read text as "f.yaml" with the variables of env (NULL: none). Problems are kept until the next
 * call. */
struct config *read_config(const char *yaml, char *const *env);

/* The problems of the last read_config(), as frysd prints them. Valid until the next call. */
const char *last_problems(void);
size_t last_warnings(void);

/* Free what the two hold. */
void forget_problems(void);

/* The whole of a file, to be freed; NULL when it is not there. */
char *read_whole(const char *path);
#endif

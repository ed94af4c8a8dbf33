/* config: everything an operator can set, as one struct; and how it comes from a YAML file and the
 * environment. The fields are described by options.c, and by nothing else: what reads, checks,
 * prints, copies and documents them walks that table. */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H
#include "base/log.h"
#include "base/str.h"
#include "broker/config.h"
#include "ws/config.h"

#include <stdbool.h>
#include <stdint.h>

struct option;
struct problems;

struct config {
    struct broker_config broker;
    struct ws_config ws;
    char *storage_file;
    uint64_t storage_max_bytes; /* 0: no limit */
    enum log_level log_level;
    enum log_format log_format;
    uint32_t workers; /* shards; 0: one a processor core */
    char *user;       /* to become once the ports are open; "": stay who we are */
};

/* The file that counts: wanted (from -c), else $FRYS_CONFIG, else FRYS_CONFIG_FILE if it is there,
 * else NULL: built-in defaults. Borrowed. env: as environ. */
const char *config_find_file(const char *wanted, char *const *env);

/* Read a file, then the FRYS_... variables of env; file NULL: the defaults and the variables. NULL
 * when there is an error in problems; there may be warnings without one. Sorts problems. */
struct config *config_load(const char *file, char *const *env, struct problems *problems);

/* The same with the text at hand; name stands for it in positions. */
struct config *config_parse(const char *name, struct str yaml, char *const *env,
                            struct problems *problems);

struct config *config_copy(const struct config *c);
bool config_equal(const struct config *a, const struct config *b);

/* Free and set *c to NULL. */
void config_free(struct config **c);

/* What a reload makes of the running configuration: a copy of it with the reloadable options of
 * wanted. report is called for each other option that differs; listener is a name, or NULL for
 * options outside of the list. A listener that came or went is reported as the option
 * "listeners[]". */
typedef void config_report_fn(void *arg, const char *option, const char *listener);
struct config *config_merge(const struct config *running, const struct config *wanted,
                            config_report_fn *report, void *arg);
#endif

/* config_priv: what the files that read a configuration share: bind.c, environment.c, check.c. */
#ifndef DAEMON_CONFIG_PRIV_H
#define DAEMON_CONFIG_PRIV_H
#include "daemon/config.h"
#include "daemon/options.h"
#include "daemon/problems.h"
#include "daemon/tree.h"

/* Where an option was given, or an item of a list (o is then the list's row, base the item). */
struct origin {
    const struct option *o;
    const void *base;   /* struct of the option's scope */
    struct position at; /* file is owned */
};

/* One reading of a configuration. */
struct loader {
    struct config *config;
    struct problems *problems;
    const char *name; /* of the file, for problems without a place in it */
    char *const *env;
    bool defaults; /* what is read now are the table's defaults: they have no origin */
    struct origin *origins;
    size_t n_origins;
};

/* Note where an option was given. at.file is copied. */
void config__record(struct loader *l, const struct option *o, const void *base, struct position at);

/* Where, or NULL. O(options given). */
const struct position *config__origin(const struct loader *l, const struct option *o,
                                      const void *base);

/* bind.c: set a struct's options to their defaults; to what a file says; one to what a text says.
 */
void config__apply_defaults(struct loader *l, enum option_scope scope, void *base);
void config__bind(struct loader *l, const struct tree_node *root);
void config__bind_text(struct loader *l, const struct option *o, void *base, struct str text,
                       struct position at);

/* environment.c: override options by FRYS_... variables. */
void config__apply_environment(struct loader *l);

/* Value of a variable, or NULL. */
const char *config__variable(char *const *env, struct str name);

/* interpolate.c: the text with each ${NAME} replaced; its p is to be freed. p == NULL with
 * *out_fault, to be freed, which says why not. */
struct str config__interpolate(struct str text, char *const *env, char **out_fault);

/* check.c: fill in computed defaults, and see whether everything goes together. */
void config__check(struct loader *l);

/* config.c: the items of a list of maps. */
void *config__item(const struct option *list, const void *base, size_t i);
void config__free_items(const struct option *list, void *base);
bool config__equal_items(const struct option *list, const void *a, const void *b);

/* Text of untrusted origin as it may stand in a message: cut, and without control characters. */
#define CONFIG_QUOTED_MAX 64
const char *config__quote(struct str text, char out[CONFIG_QUOTED_MAX]);
#endif

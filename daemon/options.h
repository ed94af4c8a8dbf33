/* options: the one table that describes every option: its path in the YAML file, its type, default
 * and range, the field it sets, whether a reload applies it, and its help. Reader, defaults,
 * checks,
 * --print-config, docs/configuration.md and etc/frysd.yaml are all made from these rows.
 *
 * Paths are keys joined by dots; "[]" stands for an item of a list:
 * listeners[].tls.certificates[].key. Sections and lists of maps have rows, too, so that the table
 * is a tree by its paths. The rows of a section follow it, in the order in which people should read
 * them. */
#ifndef DAEMON_OPTIONS_H
#define DAEMON_OPTIONS_H
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_type {
    OPTION_SECTION, /* map with options below; no field */
    OPTION_ITEMS,   /* list of maps; the field points at an array of structs of scope .items */
    OPTION_SHORT,   /* another way to write the only item of a list: .stands_for */
    /* whole numbers and bool, of the field's size */
    OPTION_BOOL,
    OPTION_INTEGER,
    OPTION_CHOICE, /* enum: the index in .choices */
    OPTION_SIZE,   /* bytes */
    OPTION_MILLISECONDS,
    OPTION_SECONDS,
    /* char *, owned; but INLINE: char[] */
    OPTION_TEXT,
    OPTION_INLINE_TEXT,
    OPTION_NAME,
    OPTION_ADDRESS,
    OPTION_FILE,
    /* char **, owned, with a count beside it */
    OPTION_URL_PATHS
};

/* The struct that a row's offset is in. */
enum option_scope { SCOPE_CONFIG, SCOPE_LISTENER, SCOPE_CERTIFICATE, SCOPE_TOPIC };

enum option_use { USE_ALWAYS, USE_WEBSOCKET, USE_TLS }; /* protocols of a listener that heed it */

struct option {
    const char *path;
    enum option_type type;
    enum option_scope scope;
    uint16_t offset, size;   /* of the field; for lists, of one item */
    uint16_t count_offset;   /* lists: of the size_t that counts the items */
    enum option_scope items; /* OPTION_ITEMS: scope of an item */
    bool reload;             /* a reload applies it */
    enum option_use use;
    uint64_t min, max;    /* of the number in the field's unit, of bytes of text, of items */
    const char *fallback; /* default, as one writes it in the file; NULL: computed or required */
    const char *computed; /* how the default is found, for people */
    const char *word;     /* a name for one number, ... */
    uint64_t word_value;  /* ... which is valid besides min..max */
    const char *const *choices; /* ended by NULL */
    const char *stands_for;     /* OPTION_SHORT: path */
    const char *needs;          /* path of an option in the same scope; no effect while that is 0 */
    const char *example;        /* for what has no default */
    const char *help;           /* a sentence or some, without line breaks */
};

extern const struct option options[]; /* ended by a row without path */

/* The row after o (NULL: the first one) that sets a field of this scope's struct; NULL at the end.
 */
const struct option *options_next_field(enum option_scope scope, const struct option *o);

/* The row after o (NULL: the first one) that is directly below parent (NULL: at the top of the
 * file); NULL at the end. */
const struct option *options_next_child(const struct option *parent, const struct option *o);

/* The row with this path, or NULL. */
const struct option *options_find(struct str path);

/* Is o directly below parent? parent NULL: at the top of the file. */
bool options_is_child(const struct option *parent, const struct option *o);

/* The row of a key in a section or in an item of a list, or NULL. */
const struct option *options_child(const struct option *parent, struct str key);

/* The row that somebody who wrote this key may have meant, or NULL. */
const struct option *options_nearest(const struct option *parent, struct str key);

/* Last part of the path. */
const char *options_key(const struct option *o);

/* Does it set a field? Sections and short forms do not. */
static inline bool options_has_field(const struct option *o)
{
    return o->type != OPTION_SECTION && o->type != OPTION_SHORT;
}

/* Must be given: has no default of any kind. */
static inline bool options_required(const struct option *o)
{
    return o->type > OPTION_SHORT && o->fallback == NULL && o->computed == NULL;
}

/* Name of the environment variable that overrides the option; false when there is none: for
 * sections and within lists. */
#define OPTIONS_VARIABLE_MAX 64
bool options_variable(const struct option *o, char out[OPTIONS_VARIABLE_MAX]);
#endif

/* tree: a YAML file as a tree of nodes, each with its place in the file. Knows nothing of options.
 *
 * What a configuration needs of YAML and no more: one document of maps with plain keys, lists and
 * scalars. Anchors, aliases, tags and further documents are refused. Types are not guessed here: a
 * scalar is its text, quoted or not; only a plain empty value, ~ and null are told apart. */
#ifndef DAEMON_TREE_H
#define DAEMON_TREE_H
#include "base/str.h"
#include "daemon/problems.h"

#include <stddef.h>

#define TREE_MAX_SIZE  (1u << 20) /* bytes of a file */
#define TREE_MAX_DEPTH 16         /* maps and lists inside each other */
#define TREE_MAX_NODES 65536      /* what a size limit alone would not bound well enough */

enum tree_kind { TREE_NULL, TREE_SCALAR, TREE_MAP, TREE_LIST };

struct tree_node {
    enum tree_kind kind;
    struct position at;     /* of the value */
    struct position key_at; /* in a map */
    struct str key;         /* in a map; owned, with a NUL behind it */
    struct str text;        /* of a scalar; the same */
    struct tree_node *parent, *next;
    struct tree_node *first, *last; /* of a map or list */
    size_t n_children;
};

/* The tree of the text, NULL when it is empty or wrong; what is wrong is added to problems. file is
 * borrowed by the positions of the tree. */
struct tree_node *tree_read(struct str yaml, const char *file, struct problems *problems);

/* Free and set *root to NULL. */
void tree_free(struct tree_node **root);

/* The first child of a map with this key, or NULL. O(children). */
const struct tree_node *tree_find(const struct tree_node *map, struct str key);

/* "libyaml 0.2.5" */
const char *tree_library(void);

/* "a list", for messages. */
const char *tree_kind_name(enum tree_kind kind);
#endif

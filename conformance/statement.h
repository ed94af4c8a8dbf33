/* statement: what the standards say, a row a statement, in our own words; and whether it can be
 * seen from outside. Every case names the statements that it shows; a test checks that none is left
 * without a case but those that say why. */
#ifndef CONFORMANCE_STATEMENT_H
#define CONFORMANCE_STATEMENT_H
#include <stdbool.h>
#include <stddef.h>

enum book {
    BOOK_V5,        /* MQTT 5.0: MQTT-3.3.1-5 */
    BOOK_V311,      /* MQTT 3.1.1 */
    BOOK_V31,       /* MQTT 3.1, which numbers nothing: numbers of ours, V31-3.1-1 */
    BOOK_WEBSOCKET, /* RFC 6455, RFC 7692 and MQTT over it: numbers of ours, WS-HS-01 */
    BOOK_EXPECTED,  /* what users rely on and no standard demands: EXP-01 */
    BOOK_COUNT
};

/* Who is bound. What binds the client alone is tested by how a server takes its violation. */
enum bound { SERVER, BOTH, CLIENT };

struct statement {
    const char *id;
    enum bound bound;
    const char *text;
    const char *untestable; /* why nothing of it can be seen from outside; NULL: it can */
};

struct statements {
    const char *title;            /* "MQTT 5.0" */
    const char *version;          /* "5.0"; what --version takes; NULL: not of a version */
    const struct statement *rows; /* up to one without id */
};

extern const struct statements statement_books[BOOK_COUNT];

size_t statement_count(enum book book);

/* Where a list of identifiers like "3.3.1-5 3.3.1-6" goes on: the next one is copied to out. An
 * identifier that begins with a digit gets "MQTT-" before it. false at the end. */
#define STATEMENT_ID_MAX 32
bool statement_next(const char **list, char out[STATEMENT_ID_MAX]);

/* Index of the row, or -1. */
long statement_find(enum book book, const char *id);

/* Which book an identifier belongs to that a case of this version names. */
enum book statement_book(int version, const char *id);

/* Is id in the list? */
bool statement_listed(const char *list, const char *id);
#endif

/* rules: what docs/configuration.md and the manual pages both say, in words: Markdown with `code`,
 * *emphasis* and **strong** only. */
#ifndef DAEMON_RULES_H
#define DAEMON_RULES_H

struct rule {
    const char *title; /* NULL ends a table */
    const char *text;
};

/* How a configuration file is read. */
extern const struct rule file_rules[];
extern const char file_example[];

/* Which file; what each page begins with. */
extern const char file_found[];

/* Signals, in the order in which an operator meets them. */
extern const struct rule signal_rules[];

/* frysd and service managers. */
extern const struct rule service_rules[];

/* Pages for operators. */
extern const struct rule page_rules[];
#endif

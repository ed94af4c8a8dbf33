/* print: the option table for people: a configuration as a commented file, and the reference. */
#ifndef DAEMON_PRINT_H
#define DAEMON_PRINT_H
#include <stdio.h>

struct config;

/* The configuration as YAML which, read again, gives the same; every option with its comment. Of
 * the defaults it is etc/frysd.yaml. */
void print_config(const struct config *c, FILE *out);

/* docs/configuration.md */
void print_reference(FILE *out);

/* docs/frysd.8 and docs/frysd.yaml.5 */
void print_manual(FILE *out);
void print_config_manual(FILE *out);
#endif

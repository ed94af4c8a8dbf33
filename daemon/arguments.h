/* arguments: the command line of frysd. */
#ifndef DAEMON_ARGUMENTS_H
#define DAEMON_ARGUMENTS_H
#include <stdbool.h>
#include <stdio.h>

enum command {
    COMMAND_RUN,
    COMMAND_CHECK,
    COMMAND_PRINT_CONFIG,
    COMMAND_PRINT_REFERENCE,
    COMMAND_VERSION,
    COMMAND_HELP
};

struct arguments {
    enum command command;
    const char *file; /* of -c; NULL: none given. Borrowed from argv */
};

/* False after a complaint to err. */
bool arguments_parse(int argc, char **argv, struct arguments *out, FILE *err);

/* --help */
void arguments_help(FILE *out);
#endif

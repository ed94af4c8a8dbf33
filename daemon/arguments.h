/* arguments: the command line of frysd. */
#ifndef DAEMON_ARGUMENTS_H
#define DAEMON_ARGUMENTS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum command {
    COMMAND_RUN,
    COMMAND_CHECK,
    COMMAND_PRINT_CONFIG,
    COMMAND_PRINT_REFERENCE,
    COMMAND_PRINT_MANUAL,
    COMMAND_PRINT_CONFIG_MANUAL,
    COMMAND_HEALTHCHECK,
    COMMAND_VERSION,
    COMMAND_HELP
};

struct arguments {
    enum command command;
    const char *file; /* of -c; NULL: none given. Borrowed from argv */
};

/* False after a complaint to err. */
bool arguments_parse(int argc, char **argv, struct arguments *out, FILE *err);

/* The name of the i-th command, "--check", with a line of help; NULL: there are fewer. */
const char *arguments_command(size_t i, const char **out_help);

/* --help */
void arguments_help(FILE *out);
#endif

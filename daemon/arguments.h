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
    COMMAND_CHECK_STORE,
    COMMAND_EXPORT_STORE,
    COMMAND_IMPORT_STORE,
    COMMAND_IMPORT_MOSQUITTO,
    COMMAND_VERSION,
    COMMAND_HELP
};

struct arguments {
    enum command command;
    /* Borrowed from argv. */
    const char *file;    /* of -c; NULL: none given */
    const char *operand; /* the file that the command is about; NULL: it is about none */
};

/* False after a complaint to err. */
bool arguments_parse(int argc, char **argv, struct arguments *out, FILE *err);

/* The name of the i-th command, "--check", with its operand ("FILE", or NULL) and a line of help;
 * NULL: there are fewer. */
const char *arguments_command(size_t i, const char **out_operand, const char **out_help);

/* --help */
void arguments_help(FILE *out);
#endif

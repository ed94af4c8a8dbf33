#include "daemon/arguments.h"

#include "daemon/build.h"
#include "daemon/exit_codes.h"

#include <string.h>

/* The last one wins, as with most programs. */
static const struct command_row {
    const char *name, *help;
    enum command command;
} commands[] = {
    {"--check", "say what is wrong in the configuration, and end", COMMAND_CHECK},
    {"--print-config", "print the configuration in effect, with comments", COMMAND_PRINT_CONFIG},
    {"--healthcheck", "ask the daemon with this configuration whether it is well",
     COMMAND_HEALTHCHECK},
    {"--print-reference", "print all options as a page in Markdown", COMMAND_PRINT_REFERENCE},
    {"--print-manual", "print the manual page frysd(8)", COMMAND_PRINT_MANUAL},
    {"--print-config-manual", "print the manual page frysd.yaml(5)", COMMAND_PRINT_CONFIG_MANUAL},
    {"--version", "print the versions of frysd and its libraries", COMMAND_VERSION},
    {"--help", "print this", COMMAND_HELP},
};

#define N_COMMANDS (sizeof commands / sizeof commands[0])

static const struct command_row *find_command(const char *name)
{
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return strcmp(name, "-h") == 0 ? find_command("--help") : NULL;
}

static bool complain(FILE *err, const char *what, const char *argument)
{
    fprintf(err, "frysd: %s %s; see frysd --help\n", what, argument);
    return false;
}

bool arguments_parse(int argc, char **argv, struct arguments *out, FILE *err)
{
    *out = (struct arguments){.command = COMMAND_RUN};
    for (int i = 1; i < argc; i++) {
        const struct command_row *row = find_command(argv[i]);

        if (row != NULL)
            out->command = row->command;
        else if (strcmp(argv[i], "-c") != 0)
            return complain(err, "unknown argument", argv[i]);
        else if (++i == argc)
            return complain(err, "a file must follow", "-c");
        else
            out->file = argv[i];
    }
    return true;
}

const char *arguments_command(size_t i, const char **out_help)
{
    if (i >= N_COMMANDS)
        return NULL;
    *out_help = commands[i].help;
    return commands[i].name;
}

void arguments_help(FILE *out)
{
    fputs("frysd: MQTT broker over WebSocket and TCP\n\n"
          "  frysd [-c FILE] [COMMAND]\n\n"
          "  -c FILE            configuration; without it $FRYS_CONFIG, else " FRYS_CONFIG_FILE
          " if it is\n"
          "                     there, else defaults: ws://127.0.0.1:8080/mqtt, "
          "mqtt://127.0.0.1:1883\n",
          out);
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(out, "  %-22s %s\n", commands[i].name, commands[i].help);
    fputs(
        "\nSignals: TERM and INT let clients go and end, a second one ends at once; HUP reloads;\n"
        "USR1 logs the state.\n\nExit codes:\n",
        out);
#define X(code, name, text) fprintf(out, "  %d  %s\n", code, text);
    EXIT_CODES(X)
#undef X
}

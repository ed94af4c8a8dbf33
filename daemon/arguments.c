#include "daemon/arguments.h"

#include "daemon/build.h"
#include "daemon/exit_codes.h"

#include <string.h>

/* The last one wins, as with most programs. */
static const struct command_row {
    const char *name, *operand, *help;
    enum command command;
} commands[] = {
    {"--check", NULL, "say what is wrong in the configuration, and end", COMMAND_CHECK},
    {"--print-config", NULL, "print the configuration in effect, with comments",
     COMMAND_PRINT_CONFIG},
    {"--healthcheck", NULL, "ask the daemon with this configuration whether it is well",
     COMMAND_HEALTHCHECK},
    {"--check-store", "FILE", "say whether a database is whole", COMMAND_CHECK_STORE},
    {"--export-store", "FILE", "print what is in a database, or can be saved of it, as JSON",
     COMMAND_EXPORT_STORE},
    {"--import-store", "FILE", "read an export (-: standard input) into a new store, storage.file",
     COMMAND_IMPORT_STORE},
    {"--import-mosquitto", "FILE", "read Mosquitto's mosquitto.db into a new store, storage.file",
     COMMAND_IMPORT_MOSQUITTO},
    {"--print-reference", NULL, "print all options as a page in Markdown", COMMAND_PRINT_REFERENCE},
    {"--print-manual", NULL, "print the manual page frysd(8)", COMMAND_PRINT_MANUAL},
    {"--print-config-manual", NULL, "print the manual page frysd.yaml(5)",
     COMMAND_PRINT_CONFIG_MANUAL},
    {"--version", NULL, "print the versions of frysd and its libraries", COMMAND_VERSION},
    {"--help", NULL, "print this", COMMAND_HELP},
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
        bool is_file = strcmp(argv[i], "-c") == 0;

        if (row == NULL && !is_file)
            return complain(err, "unknown argument", argv[i]);
        if ((is_file || row->operand != NULL) && i + 1 == argc)
            return complain(err, "a file must follow", argv[i]);
        if (is_file) {
            out->file = argv[++i];
            continue;
        }
        out->command = row->command;
        out->operand = row->operand != NULL ? argv[++i] : NULL;
    }
    return true;
}

const char *arguments_command(size_t i, const char **out_operand, const char **out_help)
{
    if (i >= N_COMMANDS)
        return NULL;
    *out_operand = commands[i].operand;
    *out_help = commands[i].help;
    return commands[i].name;
}

void arguments_help(FILE *out)
{
    fputs("frysd: MQTT broker over WebSocket and TCP\n\n"
          "  frysd [-c FILE] [COMMAND]\n\n"
          "  -c FILE                   configuration; without it $FRYS_CONFIG, else\n"
          "                            " FRYS_CONFIG_FILE " if it is there, else defaults:\n"
          "                            ws://127.0.0.1:8080/mqtt, mqtt://127.0.0.1:1883\n",
          out);
    for (size_t i = 0; i < N_COMMANDS; i++) {
        const struct command_row *row = &commands[i];
        const char *operand = row->operand != NULL ? row->operand : "";
        int width = 24 - (int)strlen(row->name);

        fprintf(out, "  %s %-*s %s\n", row->name, width, operand, row->help);
    }
    fputs(
        "\nSignals: TERM and INT let clients go and end, a second one ends at once; HUP reloads;\n"
        "USR1 logs the state.\n\nExit codes:\n",
        out);
#define X(code, name, text) fprintf(out, "  %d  %s\n", code, text);
    EXIT_CODES(X)
#undef X
}

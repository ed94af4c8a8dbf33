/* frysd: reads its arguments and its configuration, and hands over to the service. */
#include "base/log.h"
#include "daemon/arguments.h"
#include "daemon/build.h"
#include "daemon/config.h"
#include "daemon/exit_codes.h"
#include "daemon/health.h"
#include "daemon/print.h"
#include "daemon/problems.h"
#include "daemon/process.h"
#include "daemon/service.h"
#include "daemon/store_commands.h"
#include "daemon/tree.h"
#include "ws/server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

/* What the configuration names must be usable, too. */
static void check_outside(const struct config *config, const char *name, struct problems *problems)
{
    struct position at = {name, 0, 0};
    struct ws_error err = {""};

    if (!process_can_become(config->user))
        problems_add(problems, PROBLEM_ERROR, at, "user: this machine has no user \"%s\"",
                     config->user);
    if (!ws_check(&config->ws, &err))
        problems_add(problems, PROBLEM_ERROR, at, "%s", err.text);
}

/* The configuration, or NULL with everything that is wrong on standard error. Warnings go there
 * too, or into the log of a daemon that starts. */
static struct config *load(enum command command, const char *file)
{
    struct problems problems = {.n = 0};
    struct config *config = config_load(file, environ, &problems);

    if (config != NULL && (command == COMMAND_RUN || command == COMMAND_CHECK))
        check_outside(config, file != NULL ? file : "defaults", &problems);
    if (problems_have_errors(&problems))
        config_free(&config);
    if (config != NULL && command == COMMAND_RUN) {
        log_configure(STDERR_FILENO, config->log_level, config->log_format);
        problems_log(&problems);
    } else {
        problems_write(&problems, stderr);
    }
    problems_fini(&problems);
    return config;
}

static int with_config(enum command command, const char *file, const char *operand)
{
    struct config *config = load(command, file);
    int code = EXIT_FINE;

    if (config == NULL)
        return command == COMMAND_HEALTHCHECK ? EXIT_FAILED : EXIT_CONFIG;
    if (command == COMMAND_RUN)
        return service_run(config, file, environ);
    if (command == COMMAND_PRINT_CONFIG)
        print_config(config, stdout);
    else if (command == COMMAND_IMPORT_STORE)
        code = store_commands_import(config, operand, stdout, stderr);
    else if (command == COMMAND_IMPORT_MOSQUITTO)
        code = store_commands_import_mosquitto(config, operand, stdout, stderr);
    else if (command == COMMAND_HEALTHCHECK)
        code = health_ask(&config->ws.admin, stdout, stderr) ? EXIT_FINE : EXIT_FAILED;
    else
        printf("%s: no errors\n", file != NULL ? file : "defaults");
    config_free(&config);
    return code;
}

static int run(const struct arguments *arguments)
{
    switch (arguments->command) {
    case COMMAND_HELP: arguments_help(stdout); return EXIT_FINE;
    case COMMAND_VERSION:
        printf("frysd %s\n%s, %s\n", FRYS_VERSION, ws_versions(), tree_library());
        return EXIT_FINE;
    case COMMAND_PRINT_REFERENCE: print_reference(stdout); return EXIT_FINE;
    case COMMAND_PRINT_MANUAL: print_manual(stdout); return EXIT_FINE;
    case COMMAND_PRINT_CONFIG_MANUAL: print_config_manual(stdout); return EXIT_FINE;
    case COMMAND_CHECK_STORE: return store_commands_check(arguments->operand, stdout, stderr);
    case COMMAND_EXPORT_STORE: return store_commands_export(arguments->operand, stdout, stderr);
    default:
        return with_config(arguments->command, config_find_file(arguments->file, environ),
                           arguments->operand);
    }
}

/* What was printed must have arrived, too. */
static int with_output(int code)
{
    if (code != EXIT_FINE || (fflush(stdout) == 0 && !ferror(stdout)))
        return code;
    fprintf(stderr, "frysd: the output cannot be written: %s\n", strerror(errno));
    return EXIT_FAILED;
}

int main(int argc, char **argv)
{
    struct arguments arguments;

    process_open_standard_streams();
    if (!arguments_parse(argc, argv, &arguments, stderr))
        return EXIT_USAGE;
    return with_output(run(&arguments));
}

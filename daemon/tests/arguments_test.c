#include "daemon/arguments.h"

#include "base/test.h"
#include "daemon/alloc.h"
#include "daemon/build.h"
#include "daemon/exit_codes.h"

static const struct {
    const char *argv[6];
    enum command command;
    const char *file, *error, *operand;
} rows[] = {
    {{"frysd"}, COMMAND_RUN, NULL, NULL, NULL},
    {{"frysd", "-c", "x"}, COMMAND_RUN, "x", NULL, NULL},
    {{"frysd", "--check", "-c", "x"}, COMMAND_CHECK, "x", NULL, NULL},
    {{"frysd", "-c", "x", "--print-config"}, COMMAND_PRINT_CONFIG, "x", NULL, NULL},
    {{"frysd", "--print-reference"}, COMMAND_PRINT_REFERENCE, NULL, NULL, NULL},
    {{"frysd", "--print-manual"}, COMMAND_PRINT_MANUAL, NULL, NULL, NULL},
    {{"frysd", "--print-config-manual"}, COMMAND_PRINT_CONFIG_MANUAL, NULL, NULL, NULL},
    {{"frysd", "--healthcheck", "-c", "x"}, COMMAND_HEALTHCHECK, "x", NULL, NULL},
    {{"frysd", "--check-store", "s"}, COMMAND_CHECK_STORE, NULL, NULL, "s"},
    {{"frysd", "--export-store", "-c"}, COMMAND_EXPORT_STORE, NULL, NULL, "-c"},
    {{"frysd", "--import-store", "-", "-c", "x"}, COMMAND_IMPORT_STORE, "x", NULL, "-"},
    {{"frysd", "-c", "x", "--import-mosquitto", "s"}, COMMAND_IMPORT_MOSQUITTO, "x", NULL, "s"},
    {{"frysd", "--check-store", "s", "--check"}, COMMAND_CHECK, NULL, NULL, NULL},
    {{"frysd", "--check-store"},
     COMMAND_RUN,
     NULL,
     "frysd: a file must follow --check-store; see frysd --help\n",
     NULL},
    {{"frysd", "--version"}, COMMAND_VERSION, NULL, NULL, NULL},
    {{"frysd", "--help"}, COMMAND_HELP, NULL, NULL, NULL},
    {{"frysd", "-h"}, COMMAND_HELP, NULL, NULL, NULL},
    {{"frysd", "-c"}, COMMAND_RUN, NULL, "frysd: a file must follow -c; see frysd --help\n", NULL},
    {{"frysd", "-x"}, COMMAND_RUN, NULL, "frysd: unknown argument -x; see frysd --help\n", NULL},
    {{"frysd", "a.yaml"},
     COMMAND_RUN,
     NULL,
     "frysd: unknown argument a.yaml; see frysd --help\n",
     NULL},
};

static void test_rows(void)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct arguments got;
        char error[256] = "";
        FILE *err = fmemopen(error, sizeof error, "w");
        int argc = 0;
        bool ok;

        while (rows[i].argv[argc] != NULL)
            argc++;
        ok = arguments_parse(argc, (char **)rows[i].argv, &got, err);
        fclose(err);
        CHECK_ROW(i, strcmp(error, rows[i].error != NULL ? rows[i].error : "") == 0);
        CHECK_ROW(i, ok == (rows[i].error == NULL));
        if (!ok)
            continue;
        CHECK_ROW_INT(i, got.command, rows[i].command);
        CHECK_ROW(i, (got.file == NULL) == (rows[i].file == NULL));
        CHECK_ROW(i, got.file == NULL || strcmp(got.file, rows[i].file) == 0);
        CHECK_ROW(i, (got.operand == NULL) == (rows[i].operand == NULL));
        CHECK_ROW(i, got.operand == NULL || strcmp(got.operand, rows[i].operand) == 0);
    }
}

static void test_help(void)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    arguments_help(out);
    fclose(out);
    CHECK(strstr(text, "\n  --check                   say ") != NULL);
    CHECK(strstr(text, "\n  --import-mosquitto FILE   read ") != NULL);
    CHECK(strstr(text, "--print-config") != NULL && strstr(text, FRYS_CONFIG_FILE) != NULL);
#define X(code, name, what) CHECK(strstr(text, "\n  " #code "  " what "\n") != NULL);
    EXIT_CODES(X)
#undef X
    free(text);
}

TEST_MAIN(test_rows, test_help)

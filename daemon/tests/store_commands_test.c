/* There and back: from Mosquitto into a store, out as JSON, into another store. */
#include "daemon/store_commands.h"

#include "base/test.h"
#include "daemon/exit_codes.h"
#include "daemon/tests/config_support.h"
#include "storage/sqlite_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOSQUITTO_DB SOURCE_DIR "/storage/tests/data/mosquitto-v6.db"

static char folder[64], database[96], text[96];
static char *said, *complained; /* by the last command */

static void set_up(void)
{
    strcpy(folder, "/tmp/frys_store_commands_XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
    snprintf(database, sizeof database, "%s/data/frys.db", folder);
    snprintf(text, sizeof text, "%s/text", folder);
}

static void clean_up(void)
{
    char command[128];

    snprintf(command, sizeof command, "rm -r %s", folder);
    CHECK_INT(system(command), 0);
    free(said);
    free(complained);
    said = complained = NULL;
    forget_problems();
}

/* ---- running a command ---- */

struct streams {
    FILE *out, *err;
    size_t out_len, err_len;
};

static __attribute__((noinline)) void begin(struct streams *s)
{
    free(said);
    free(complained);
    s->out = open_memstream(&said, &s->out_len);
    s->err = open_memstream(&complained, &s->err_len);
}

static __attribute__((noinline)) void end(struct streams *s)
{
    fclose(s->out);
    fclose(s->err);
}

static int run_on_file(int (*command)(const char *path, FILE *out, FILE *err), const char *path)
{
    struct streams s;
    int code;

    begin(&s);
    code = command(path, s.out, s.err);
    end(&s);
    return code;
}

static int run_import(int (*command)(const struct config *c, const char *path, FILE *out,
                                     FILE *err),
                      const char *durability, const char *path)
{
    struct config *c;
    struct streams s;
    char yaml[256];
    int code;

    snprintf(yaml, sizeof yaml, "storage: {file: '%s', durability: %s}\n", database, durability);
    c = read_config(yaml, NULL);
    CHECK(c != NULL);
    begin(&s);
    code = command(c, path, s.out, s.err);
    end(&s);
    config_free(&c);
    return code;
}

static void write_text(const char *path, const char *what)
{
    FILE *f = fopen(path, "w");

    fputs(what, f);
    fclose(f);
}

static bool said_so(const char *what)
{
    if (strstr(said, what) != NULL || strstr(complained, what) != NULL)
        return true;
    fprintf(stderr, "%s%s", said, complained);
    return false;
}

/* ---- tests ---- */

/* mosquitto.db has ten messages; two of them have expired, and the store removes them. */
#define COUNTS_OF(messages) \
    "4 sessions, 5 subscriptions, " messages " messages in their queues, 1 retained messages"
#define COUNTS COUNTS_OF("8")

static void test_there_and_back(void)
{
    set_up();
    CHECK_INT(run_import(store_commands_import_mosquitto, "commit", MOSQUITTO_DB), EXIT_FINE);
    CHECK(said_so(COUNTS_OF("10") "; 0 left out"));
    CHECK_INT(run_on_file(store_commands_check, database), EXIT_FINE);
    CHECK(said_so(COUNTS "; no problems"));
    CHECK_INT(run_on_file(store_commands_export, database), EXIT_FINE);
    CHECK(said_so("exported " COUNTS "\n"));
    write_text(text, said);
    CHECK_INT(run_import(store_commands_import, "commit", text), EXIT_FAILED);
    CHECK(said_so("the store is not empty"));
    strcat(database, "2");
    CHECK_INT(run_import(store_commands_import, "fsync", text), EXIT_FINE);
    CHECK(said_so(COUNTS "; 0 left out"));
    clean_up();
}

/* Standard input is a pipe, and is read twice all the same. */
static void test_standard_input(void)
{
    static const char line[] = "{\"type\":\"frys-export\",\"format\":1}\n"
                               "{\"type\":\"session\",\"session\":1,\"client_id\":\"lamp\","
                               "\"mqtt_version\":5,\"expiry_s\":5,\"ends_ms\":\"never\"}\n";
    int saved = dup(STDIN_FILENO), ends[2];

    set_up();
    CHECK(pipe(ends) == 0 && dup2(ends[0], STDIN_FILENO) == STDIN_FILENO);
    CHECK(write(ends[1], line, sizeof line - 1) == (ssize_t)sizeof line - 1);
    close(ends[1]);
    close(ends[0]);
    CHECK_INT(run_import(store_commands_import, "commit", "-"), EXIT_FINE);
    CHECK(said_so("1 sessions, 0 subscriptions"));
    dup2(saved, STDIN_FILENO);
    close(saved);
    clean_up();
}

static const struct {
    const char *line, *complaint;
} mistakes[] = {
    {"{\"type\":\"retained\",\"message\":{\"uid\":1,\"topic\":\"a/#\"}}",
     "is not what MQTT allows"},
    {"{\"type\":\"retained\",\"message\":{\"uid\":1,\"topic\":\"$SYS/a\"}}",
     "is not what MQTT allows"},
    {"{\"type\":\"retained\",\"message\":{\"uid\":1,\"topic\":\"\"}}", ":2: "},
    {"{\"type\":\"session\",\"session\":1,\"client_id\":\"a\\u0000\",\"mqtt_version\":5}", ":2: "},
    {"{\"type\":\"session\",\"session\":1,\"client_id\":\"\",\"mqtt_version\":5}", ":2: "},
    {"{\"type\":\"session\",\"session\":1,\"client_id\":\"a\",\"mqtt_version\":5}\n"
     "{\"type\":\"subscription\",\"session\":1,\"filter\":\"a/#/b\",\"options\":1}",
     ":3: a topic, filter or identifier is not what MQTT allows"},
    {"{\"type\":\"session\",\"session\":1,\"client_id\":\"a\",\"mqtt_version\":5}\n"
     "{\"type\":\"subscription\",\"session\":1,\"filter\":\"$share/a\",\"options\":1}",
     ":3: a topic, filter or identifier is not what MQTT allows"},
    {"{", ":2: "},
};

static void test_mistakes(void)
{
    set_up();
    for (size_t i = 0; i < ARRAY_LEN(mistakes); i++) {
        char lines[512];

        snprintf(lines, sizeof lines, "{\"type\":\"frys-export\",\"format\":1}\n%s\n",
                 mistakes[i].line);
        write_text(text, lines);
        CHECK_ROW_INT(i, run_import(store_commands_import, "commit", text), EXIT_FAILED);
        CHECK_ROW(i, said_so(mistakes[i].complaint) && said_so(text));
    }
    CHECK_INT(run_import(store_commands_import, "memory", text), EXIT_FAILED);
    CHECK(said_so("nothing is stored with this configuration"));
    CHECK_INT(run_import(store_commands_import, "commit", "/nowhere/x"), EXIT_FAILED);
    CHECK(said_so("cannot open /nowhere/x: No such file"));
    CHECK_INT(run_import(store_commands_import_mosquitto, "commit", text), EXIT_FAILED);
    CHECK(said_so(text));
    CHECK_INT(run_on_file(store_commands_check, "/nowhere/x"), EXIT_FAILED);
    CHECK(said_so("cannot open /nowhere/x: No such file"));
    CHECK_INT(run_on_file(store_commands_export, text), EXIT_FAILED);
    CHECK(said_so(text));
    strcpy(database, "/proc/frys/frys.db");
    CHECK_INT(run_import(store_commands_import, "commit", text), EXIT_FAILED);
    CHECK(said_so("cannot make the folder of /proc/frys/frys.db"));
    clean_up();
}

/* A broker has it open: it can be looked at, but nothing gets in. */
static void test_in_use(void)
{
    struct sqlite_store_options o = {.path = database};
    struct store *s;

    set_up();
    CHECK_INT(run_import(store_commands_import_mosquitto, "commit", MOSQUITTO_DB), EXIT_FINE);
    s = sqlite_store_open(&o, NULL);
    if (!CHECK(s != NULL))
        return;
    CHECK_INT(run_import(store_commands_import_mosquitto, "commit", MOSQUITTO_DB), EXIT_FAILED);
    CHECK(said_so("is in use by process "));
    CHECK_INT(run_on_file(store_commands_check, database), EXIT_FINE);
    CHECK_INT(run_on_file(store_commands_export, database), EXIT_FINE);
    s->ops->close(s);
    clean_up();
}

static void test_damaged(void)
{
    static const char garbage[4096] = "nonsense";
    int fd;

    set_up();
    CHECK_INT(run_import(store_commands_import_mosquitto, "commit", MOSQUITTO_DB), EXIT_FINE);
    fd = open(database, O_RDWR | O_CLOEXEC);
    for (int page = 5; page < 12; page++)
        CHECK(pwrite(fd, garbage, sizeof garbage, page * 4096) == sizeof garbage);
    close(fd);
    CHECK_INT(run_on_file(store_commands_check, database), EXIT_DAMAGED);
    CHECK(said_so(" problems; to save what is there: frysd --export-store"));
    CHECK_INT(run_on_file(store_commands_export, database), EXIT_DAMAGED);
    CHECK(said_so("what is damaged is lost") && said_so("{\"type\":\"frys-export\""));
    clean_up();
}

TEST_MAIN(test_there_and_back, test_standard_input, test_mistakes, test_in_use, test_damaged)

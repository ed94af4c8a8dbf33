#include "daemon/store_commands.h"

#include "base/log.h"
#include "daemon/config.h"
#include "daemon/exit_codes.h"
#include "daemon/process.h"
#include "daemon/recover.h"
#include "mqtt/topic.h"
#include "mqtt/utf8.h"
#include "storage/import.h"
#include "storage/sqlite_tools.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_BYTES 65536

/* ---- check and export ---- */

struct complaints {
    const char *path;
    FILE *err;
};

static void on_problem(void *arg, const char *text)
{
    const struct complaints *c = arg;

    fprintf(c->err, "frysd: %s: %s\n", c->path, text);
}

static int failed(FILE *err, const struct store_error *why)
{
    fprintf(err, "frysd: %s\n", why->text);
    return EXIT_FAILED;
}

static void print_counts(const struct sqlite_tool_counts *n, FILE *out)
{
    fprintf(out,
            "%" PRIu64 " sessions, %" PRIu64 " subscriptions, %" PRIu64
            " messages in their queues, %" PRIu64 " retained messages",
            n->sessions, n->subscriptions, n->messages, n->retained);
}

int store_commands_check(const char *path, FILE *out, FILE *err)
{
    struct complaints complaints = {path, err};
    struct sqlite_tool_counts n;
    struct store_error why = {""};
    int rc = sqlite_check(path, on_problem, &complaints, &n, &why);

    if (rc < 0)
        return failed(err, &why);
    fprintf(out, "%s: ", path);
    print_counts(&n, out);
    if (rc == 0)
        fputs("; no problems\n", out);
    else
        fprintf(out,
                "; %" PRIu64 " problems; to save what is there: frysd --export-store, then "
                "--import-store into a new one\n",
                n.problems);
    return rc == 0 ? EXIT_FINE : EXIT_DAMAGED;
}

int store_commands_export(const char *path, FILE *out, FILE *err)
{
    struct complaints complaints = {path, err};
    struct sqlite_tool_counts n;
    struct store_error why = {""};
    int rc = sqlite_export(path, out, on_problem, &complaints, &n, &why);

    if (rc < 0)
        return failed(err, &why);
    fprintf(err, "frysd: %s: exported ", path);
    print_counts(&n, err);
    fputs(rc == 0 ? "\n" : "; what is damaged is lost\n", err);
    return rc == 0 ? EXIT_FINE : EXIT_DAMAGED;
}

/* ---- what MQTT says ---- */

static struct mqtt_str view(struct str s)
{
    return (struct mqtt_str){(const uint8_t *)s.p, (uint32_t)s.len};
}

/* [v5 1.5.4] [v3 1.5.3] */
static bool is_text(struct str s)
{
    return s.len > 0 && s.len <= UINT16_MAX && mqtt_utf8_valid(view(s));
}

/* [v5 4.7.2]: the server's own topics are not stored. */
static bool is_topic(struct str s)
{
    return is_text(s) && mqtt_name_check(view(s)) && !str_starts(s, STR("$SYS/"));
}

static bool is_filter(struct str s)
{
    struct mqtt_str share, filter;

    return is_text(s) && mqtt_share_parse(view(s), &share, &filter) == 0;
}

static bool matches(struct str filter, struct str topic)
{
    return mqtt_filter_matches(view(filter), view(topic));
}

static const struct import_rules rules = {is_topic, is_filter, is_text, matches};

/* ---- import ---- */

/* The daemon may run as another user than who imports: root. */
static void give_files(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-lock", "-reserve"};

    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        char name[4096];
        int rc;

        snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        rc = process_give_to_folder_owner(name);
        if (rc != 0 && rc != -ENOENT)
            LOG(LOG_WARN, "storage.not_given", LOG_TXT("file", name), LOG_ERRNO(-rc));
    }
}

static bool copy(int from, int to)
{
    char *data = malloc(COPY_BYTES);
    ssize_t n;

    if (data == NULL)
        return false;
    while ((n = read(from, data, COPY_BYTES)) > 0)
        for (ssize_t at = 0, put; at < n; at += put)
            if ((put = write(to, data + at, (size_t)(n - at))) < 0) {
                free(data);
                return false;
            }
    free(data);
    return n == 0;
}

/* An import reads its input twice: standard input becomes a file, without a name, beside the store,
 * where there has to be room for as much anyway. */
static bool keep_standard_input(const struct config *c)
{
    char name[4096];
    int fd;
    bool ok;

    snprintf(name, sizeof name, "%s-import-XXXXXX", c->storage_file);
    fd = mkostemp(name, O_CLOEXEC);
    if (fd < 0)
        return false;
    unlink(name);
    ok = copy(STDIN_FILENO, fd) && dup2(fd, STDIN_FILENO) >= 0;
    close(fd);
    return ok;
}

/* The folder of the store is there, and what is read can be read twice. */
static bool prepare(const struct config *c, const char *path, struct store_error *why)
{
    if (!recover_wanted(c)) {
        store_error(why, "nothing is stored with this configuration (storage.durability: memory)");
        return false;
    }
    umask(0027);
    if (!process_make_folder(c->storage_file, process_changes_user(c->user) ? c->user : "")) {
        store_error(why, "cannot make the folder of %s: %s", c->storage_file, strerror(errno));
        return false;
    }
    if (strcmp(path, "-") == 0 && !keep_standard_input(c)) {
        store_error(why, "cannot copy standard input beside %s: %s", c->storage_file,
                    strerror(errno));
        return false;
    }
    return true;
}

static int import(const struct config *c, import_read_fn *read, const char *path, FILE *out,
                  FILE *err)
{
    struct store_error why = {""};
    struct import_counts n;
    struct store *s;
    int rc;

    log_configure(STDERR_FILENO, LOG_WARN, LOG_TEXT);
    if (!prepare(c, path, &why) || (s = recover_open(c, &why)) == NULL)
        return failed(err, &why);
    rc = import_into(s, read, path, &rules, &n, &why);
    give_files(c->storage_file);
    if (rc != 0)
        return failed(err, &why);
    fprintf(out,
            "%s: %" PRIu64 " sessions, %" PRIu64 " subscriptions, %" PRIu64
            " messages in their queues, %" PRIu64 " retained messages; %" PRIu64
            " left out, expired or at QoS 0\n",
            c->storage_file, n.sessions, n.subscriptions, n.messages, n.retained, n.skipped);
    return EXIT_FINE;
}

int store_commands_import(const struct config *c, const char *path, FILE *out, FILE *err)
{
    return import(c, import_read_json, path, out, err);
}

int store_commands_import_mosquitto(const struct config *c, const char *path, FILE *out, FILE *err)
{
    return import(c, import_read_mosquitto, path, out, err);
}

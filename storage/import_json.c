/* import_json: what the export has written, one record a line. */
#include "base/map.h"
#include "base/mem.h"
#include "storage/counts.h"
#include "storage/import.h"
#include "storage/json_record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct json_file {
    const char *path;
    const struct import_rules *rules;
    store_record_fn *fn;
    void *arg;
    struct mem *mem;
    struct counts sessions; /* numbers that have been seen */
    struct counts clients;  /* hashes of their identifiers */
    uint64_t line;
    struct store_error *err;
};

/* ---- what MQTT says ---- */

static bool is_valid(const struct import_rules *rules, const struct store_record *r)
{
    switch (r->kind) {
    case STORE_SESSION:
        return rules->is_text(r->client_id) && (!r->has_will || rules->is_topic(r->message.topic));
    case STORE_FILTER: return rules->is_filter(r->filter);
    case STORE_RECEIVED: return r->packet_id != 0;
    default: return rules->is_topic(r->message.topic);
    }
}

static bool is_new(struct counts *c, uint64_t number)
{
    if (counts_get(c, number) != 0)
        return false;
    counts_set(c, number, 1);
    return true;
}

/* NULL, or what is wrong. */
static const char *objection(struct json_file *f, const struct store_record *r)
{
    uint64_t client;

    if (!is_valid(f->rules, r))
        return "a topic, filter or identifier is not what MQTT allows";
    if (r->kind == STORE_RETAINED)
        return NULL;
    if (r->kind != STORE_SESSION)
        return counts_get(&f->sessions, r->session) == 0 ? "there is no such session before it"
                                                         : NULL;
    client = hash_bytes(0, r->client_id.p, r->client_id.len);
    if (!is_new(&f->sessions, r->session) || !is_new(&f->clients, client))
        return "this session has been there before";
    return NULL;
}

/* ---- lines ---- */

static int complain(struct json_file *f, const char *what)
{
    return store_error(f->err, "%s:%llu: %s", f->path, (unsigned long long)f->line, what);
}

static int take_record(struct json_file *f, struct str line)
{
    struct json_record r;
    struct store_error why;
    const char *wrong;
    int rc;

    if (json_to_record(&r, line, &why) != 0)
        return complain(f, why.text);
    r.record.message.uid = r.record.kind == STORE_DELIVERY ? r.record.uid : r.record.message.uid;
    wrong = objection(f, &r.record);
    rc = wrong != NULL ? complain(f, wrong) : f->fn(f->arg, &r.record);
    json_record_fini(&r);
    return rc;
}

static int take_line(struct json_file *f, struct str line)
{
    f->line++;
    if (f->line == 1 && !str_eq(line, STR(JSON_FIRST_LINE)))
        return complain(f, "this is no export of Frys: the first line must be " JSON_FIRST_LINE);
    return f->line == 1 || line.len == 0 ? 0 : take_record(f, line);
}

static int take_lines(struct json_file *f, FILE *in)
{
    char *text = NULL;
    size_t size = 0;
    ssize_t n;
    int rc = 0;

    while (rc == 0 && (n = getline(&text, &size, in)) > 0)
        rc = take_line(f, str_trim((struct str){text, (size_t)n}));
    free(text);
    if (rc == 0 && ferror(in))
        rc = store_error(f->err, "cannot read %s: %s", f->path, strerror(errno));
    if (rc == 0 && f->line == 0)
        rc = store_error(f->err, "%s is empty", f->path);
    return rc;
}

static FILE *open_input(const char *path, struct json_file *f)
{
    int fd;

    f->path = path;
    if (strcmp(path, "-") != 0)
        return fopen(path, "re");
    f->path = "standard input";
    fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
    return fd >= 0 && lseek(fd, 0, SEEK_SET) == 0 ? fdopen(fd, "r") : NULL;
}

int import_read_json(const char *path, const struct import_rules *rules, store_record_fn *fn,
                     void *arg, uint64_t *out_skipped, struct store_error *err)
{
    struct json_file f = {.rules = rules, .fn = fn, .arg = arg, .err = err};
    FILE *in = open_input(path, &f);
    int rc;

    *out_skipped = 0;
    if (in == NULL)
        return store_error(err, "cannot open %s: %s", f.path, strerror(errno));
    f.mem = mem_new();
    if (f.mem == NULL) {
        fclose(in);
        return store_error(err, "out of memory");
    }
    counts_init(&f.sessions, f.mem);
    counts_init(&f.clients, f.mem);
    rc = take_lines(&f, in);
    counts_fini(&f.sessions);
    counts_fini(&f.clients);
    mem_free(&f.mem);
    fclose(in);
    return rc;
}

/* frys-conformance: does a server obey the MQTT standards, statement by statement? */
#include "conformance/build.h"
#include "conformance/report.h"
#include "conformance/runner.h"
#include "conformance/skips.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum exit_code { EXIT_PASSED = 0, EXIT_FAILED = 1, EXIT_NOT_TRIED = 2 };

static bool set_up_tls(struct options *o)
{
    for (size_t i = 0; i < o->n_targets; i++) {
        struct target *t = &o->targets[i];
        char error[256];

        if (!t->tls)
            continue;
        t->tls_setup = tls_setup_new(&o->tls, o->tls_name != NULL ? o->tls_name : t->host, error,
                                     sizeof error);
        if (t->tls_setup == NULL) {
            fprintf(stderr, "frys-conformance: %s\n", error);
            return false;
        }
    }
    return true;
}

static void on_outcome(void *arg, const struct outcome *o, unsigned done, unsigned all)
{
    const struct results *r = arg;

    (void)o;
    report_progress(stdout, done, all, r->failed);
}

static void write_report(const struct options *o, const struct results *r)
{
    bool colour = isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL;

    switch (o->format) {
    case FORMAT_TERMINAL: report_terminal(stdout, r, colour, o->verbose); break;
    case FORMAT_TAP: report_tap(stdout, r); break;
    case FORMAT_JUNIT: report_junit(stdout, r); break;
    case FORMAT_JSON: report_json(stdout, r); break;
    case FORMAT_MD: report_md(stdout, r); break;
    }
    fflush(stdout);
}

static bool wanted(void *arg, const char *id, const char *test)
{
    return options_wanted(arg, id) || options_wanted(arg, test);
}

static bool any_failed(const struct results *r)
{
    for (size_t i = 0; i < r->n_targets * BOOK_COUNT; i++)
        if (r->sheets[i].used && r->sheets[i].book != BOOK_EXPECTED && r->sheets[i].count[FAIL] > 0)
            return true;
    return false;
}

static int judge(struct options *o, struct results *r)
{
    if (r->ran == 0) {
        fputs("frys-conformance: no case matches; see frys-conformance --list\n", stderr);
        return EXIT_NOT_TRIED;
    }
    results_finish(r, wanted, o);
    write_report(o, r);
    if (o->strict)
        return skips_strict(r, o->skips, stderr) ? EXIT_PASSED : EXIT_FAILED;
    return any_failed(r) ? EXIT_FAILED : EXIT_PASSED;
}

static int run(struct options *o)
{
    bool shows_progress = o->format == FORMAT_TERMINAL && isatty(STDOUT_FILENO);
    struct results results;
    struct progress progress = {shows_progress ? on_outcome : NULL, &results};
    const char *error;
    int status = EXIT_NOT_TRIED;

    results_init(&results, o->targets, o->n_targets);
    if (set_up_tls(o)) {
        error = runner_run(o, &results, &progress);
        if (error != NULL)
            fprintf(stderr, "frys-conformance: %s\n", error);
        else
            status = judge(o, &results);
    }
    results_fini(&results);
    for (size_t i = 0; i < o->n_targets; i++)
        tls_setup_free(&o->targets[i].tls_setup);
    return status;
}

int main(int argc, char **argv)
{
    static struct options o;
    int status = EXIT_PASSED;

    signal(SIGPIPE, SIG_IGN);
    if (!options_parse(argc, argv, &o, stderr)) {
        options_fini(&o);
        return EXIT_NOT_TRIED;
    }
    switch (o.command) {
    case COMMAND_RUN: status = run(&o); break;
    case COMMAND_LIST: report_list(stdout, &o); break;
    case COMMAND_HELP: options_help(stdout); break;
    case COMMAND_PROGRAM_VERSION: puts("frys-conformance " CONFORMANCE_VERSION); break;
    }
    options_fini(&o);
    return status;
}

/* options: the command line of frys-conformance. */
#ifndef CONFORMANCE_OPTIONS_H
#define CONFORMANCE_OPTIONS_H
#include "conformance/target.h"
#include "conformance/tls.h"

#include <stdio.h>

#define MAX_TARGETS  16
#define MAX_PATTERNS 64

enum format { FORMAT_TERMINAL, FORMAT_TAP, FORMAT_JUNIT, FORMAT_JSON, FORMAT_MD };

enum command { COMMAND_RUN, COMMAND_LIST, COMMAND_HELP, COMMAND_PROGRAM_VERSION };

struct options {
    struct arena arena;
    enum command command;
    enum format format;
    struct target targets[MAX_TARGETS];
    size_t n_targets;
    unsigned versions; /* bits 1 << version */
    const char *patterns[MAX_PATTERNS];
    size_t n_patterns;
    unsigned jobs, repeat;
    unsigned timeout_ms;
    bool slow, strict, verbose;
    bool without_qos1, without_qos2, without_retain, without_wildcard;
    const char *denied_topic, *auth_method, *auth_data, *skips, *headers, *tls_name;
    struct tls_files tls;
};

/* Read the arguments. false: what is wrong was written to err. */
bool options_parse(int argc, char **argv, struct options *out, FILE *err);
void options_fini(struct options *o);

void options_help(FILE *out);

/* All long options, "--ca" and so on; NULL ends them. For the test of the manual page. */
const char *options_name(size_t i);

/* Does a pattern ask for this name? With no pattern everything is asked for. */
bool options_wanted(const struct options *o, const char *name);
#endif

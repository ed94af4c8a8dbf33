/* exit_codes: what frysd ends with; scripts and service managers may rely on it. */
#ifndef DAEMON_EXIT_CODES_H
#define DAEMON_EXIT_CODES_H

#define EXIT_CODES(X)                                                                          \
    X(0, EXIT_FINE, "done; or stopped by SIGTERM or SIGINT")                                   \
    X(1, EXIT_FAILED,                                                                          \
      "cannot run: a port is taken, memory or a permission is missing; or the command failed") \
    X(2, EXIT_USAGE, "wrong arguments")                                                        \
    X(3, EXIT_CONFIG, "the configuration has errors, or a file it names cannot be used")       \
    X(4, EXIT_DAMAGED, "the database that was checked or exported is damaged")

enum exit_code {
#define X(code, name, text) name = (code),
    EXIT_CODES(X)
#undef X
};
#endif

/* store_commands: what frysd does with databases instead of serving: --check-store and the like.
 * Each returns the exit code; what was found and done goes to out, complaints go to err. */
#ifndef DAEMON_STORE_COMMANDS_H
#define DAEMON_STORE_COMMANDS_H
#include <stdio.h>

struct config;

/* Is the database whole? A broker may be using it. */
int store_commands_check(const char *path, FILE *out, FILE *err);

/* Everything in it, as lines of JSON (storage/json_record.h). A broker may be using it. */
int store_commands_export(const char *path, FILE *out, FILE *err);

/* Into the store of the configuration, which has to be empty, and no broker's: an export (path "-":
 * from standard input), or the database of Mosquitto. With a mistake in it nothing happens. */
int store_commands_import(const struct config *c, const char *path, FILE *out, FILE *err);
int store_commands_import_mosquitto(const struct config *c, const char *path, FILE *out, FILE *err);
#endif

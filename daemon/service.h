/* service: a running broker from start to end: it is made, obeys signals and is taken down again.
 */
#ifndef DAEMON_SERVICE_H
#define DAEMON_SERVICE_H

struct config;

/* Serve until told to stop. take_config is freed; file (NULL: none) and env are where a reload
 * reads it again. Returns an exit code. The calling thread waits for signals: it should be the only
 * one so far. */
int service_run(struct config *take_config, const char *file, char *const *env);
#endif

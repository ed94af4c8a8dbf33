/* health: frysd --healthcheck: is the daemon with this configuration well? For containers, whose
 * engine runs a program to know. */
#ifndef DAEMON_HEALTH_H
#define DAEMON_HEALTH_H
#include "ws/config.h"

#include <stdbool.h>
#include <stdio.h>

/* Ask its page /healthz, and print the answer to out; false with what is wrong on err. Waits for 5
 * seconds at most. */
bool health_ask(const struct ws_admin_config *admin, FILE *out, FILE *err);
#endif

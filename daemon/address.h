/* address: numeric IP addresses, as listeners are given them. */
#ifndef DAEMON_ADDRESS_H
#define DAEMON_ADDRESS_H
#include <stdbool.h>

/* IPv4 or IPv6; never a name. */
bool address_valid(const char *address);

/* Reachable from this machine only: 127.0.0.0/8 or ::1. False for "" (all addresses). */
bool address_is_loopback(const char *address);
#endif

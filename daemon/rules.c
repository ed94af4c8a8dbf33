#include "daemon/rules.h"

#include <stddef.h>

const char file_found[] =
    "`frysd -c FILE` reads one YAML file. Without `-c` it is the file that `FRYS_CONFIG` names, "
    "else "
    "`/etc/frys/frysd.yaml` if it is there, else every option has its default.";

const char file_example[] = "listeners:\n"
                            "  - protocol: wss\n"
                            "    address: 0.0.0.0\n"
                            "    allow_anonymous: true\n"
                            "    tls:\n"
                            "      certificate: /etc/frys/tls/fullchain.pem\n"
                            "      key: /etc/frys/tls/privkey.pem\n"
                            "  - protocol: mqtt\n"
                            "limits:\n"
                            "  max_packet_size: 1MiB\n";

const struct rule file_rules[] = {
    {"Mistakes are errors.",
     "A key that is unknown or given twice, a value of the wrong type or out of range: "
     "`frysd.yaml:9:20: limits.max_packet_size: \"1 MB\" is not a size; expected ...`. All are "
     "reported together, and frysd does not start. What merely has no effect is a warning."},
    {"Durations",
     "are a whole number and `ms`, `s`, `m`, `h` or `d`. **Sizes** are a whole number and `B`, "
     "`KiB`, `MiB`, `GiB`, or `kB`, `MB`, `GB` for powers of ten. 0 needs no unit."},
    {"Environment.",
     "`${NAME}` in a value is replaced by the variable; one that is not set is an error; `$${` "
     "stands for `${`. A variable `FRYS_...` overrides an option outside of lists: dots become "
     "underscores, letters upper case: `FRYS_LIMITS_MAX_PACKET_SIZE=1MiB`. Unknown ones are "
     "errors; "
     "those that Kubernetes sets for a service of that name are passed over."},
    {"YAML", "is used without anchors, aliases, tags and further documents. Quotes do not matter: "
             "the option "
             "knows its type. File names are relative to the working directory."},
    {"Open to the network?",
     "There is no authentication: a listener on an address other than a loopback one is refused "
     "unless `allow_anonymous: true` stands on it."},
    {NULL, NULL},
};

const struct rule signal_rules[] = {
    {"`SIGTERM`, `SIGINT`",
     "No new connections; clients get DISCONNECT 0x8B (MQTT 5) and WebSocket close 1001; the "
     "process "
     "ends when they have gone, at the latest after `shutdown_timeout`. A second one ends it at "
     "once."},
    {"`SIGHUP`",
     "Reads the file and the certificates again. With an error, nothing changes and the log says "
     "why. Otherwise options marked *yes* under Reload are applied and the others that have "
     "changed "
     "are named in the log; connections stay."},
    {"`SIGUSR1`", "Writes a line with the state of the broker to the log."},
    {NULL, NULL},
};

const struct rule service_rules[] = {
    {"Notification.",
     "With `NOTIFY_SOCKET` in the environment, as systemd sets it for `Type=notify`, frysd tells "
     "when "
     "it serves, reloads and stops, and every few seconds how many connections there are and how "
     "many messages a second go in and out (`systemctl status` shows it)."},
    {"Watchdog.",
     "With `WATCHDOG_USEC` it reports that often that every worker thread answers. When one hangs, "
     "it does not, and the service manager starts frysd anew."},
    {"Sockets.",
     "Listening sockets that are passed with `LISTEN_FDS` are used instead of opened ones. The "
     "name "
     "of each, `FileDescriptorName=`, is that of a listener in the configuration, or `admin`, and "
     "its address and port are those of that listener. One socket for a listener is shared by all "
     "workers; or there is one for each worker (`ReusePort=yes`), which spreads the clients "
     "better. "
     "Clients that come during a restart wait in such a socket."},
    {"User.",
     "Started as root, frysd opens its ports and then becomes the `user` of the configuration. It "
     "gives the folder of the database, if it has to make it, and the `lock_file` to that user."},
    {NULL, NULL},
};

const struct rule page_rules[] = {
    {"`/healthz`",
     "200 as long as a restart would not help; the text says what is not as it should be. 503 when "
     "a worker thread hangs. `frysd --healthcheck` asks for it."},
    {"`/readyz`",
     "200 when clients are welcome: what was stored is recovered, all listeners are open. 503 "
     "during the end of service. Before, nothing answers."},
    {"`/metrics`", "Everything that is counted, for Prometheus."},
    {NULL, NULL},
};

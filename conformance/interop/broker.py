"""A frysd of our own: temporary configuration, all kinds of listener on free ports."""
import pathlib
import re
import signal
import subprocess
import threading

from drivers import ENDS_WITH_US, end_group

START_S, STOP_S = 20, 20

# Listeners by name: protocol, and what is set there. Paho C 1.3 leaves what is behind the first packet
# of a WebSocket frame until the socket has more, which may be never [v5 MQTT-6.0.0-2].
TLS = "tls: {{certificate: {certificate}, key: {key}}}"
LISTENERS = {
    "ws": ("ws", ""),
    "ws-apart": ("ws", "websocket: {{one_packet_per_frame: true}}"),
    "wss": ("wss", TLS),
    "mqtt": ("mqtt", ""),
    "mqtts": ("mqtts", TLS),
}

# Two workers, so that clients of one check meet across threads. The queue holds all of a burst: a
# client that publishes and subscribes on one thread does not read while it writes, and what the
# broker drops then is not what is checked here.
CONFIG = """\
listeners:
{listeners}
admin: {{enabled: false}}
sessions: {{max_queued_messages: 20000}}
storage: {{file: {storage}}}
workers: 2
"""
LISTENER = "  - {{name: {name}, protocol: {protocol}, port: {port}, {more}}}\n"

# A user and password that frysd knows, once it has authentication: (config text, user, password).
CREDENTIALS = None


class BrokerError(Exception):
    pass


class Broker:
    """`log` has every line that frysd wrote."""

    def __init__(self, binary, directory, certificate, key):
        self.binary, self.certificate, self.key = binary, certificate, key
        self.config = pathlib.Path(directory) / "frysd.yaml"
        self.ports = dict.fromkeys(LISTENERS, 0)  # 0: the system chooses, and we keep it
        self.log, self.process, self.reader = [], None, None

    def kill(self):
        if self.process is not None:
            end_group(self.process)

    def url(self, transport):
        protocol, _ = LISTENERS[transport]
        scheme = {"mqtt": "tcp", "mqtts": "ssl"}.get(protocol, protocol)
        path = "/mqtt" if protocol in ("ws", "wss") else ""
        return f"{scheme}://127.0.0.1:{self.ports[transport]}{path}"

    def start(self):
        """Start, or start again on the same ports; returns when it accepts connections."""
        self.config.write_text(self.config_text())
        self.process = subprocess.Popen([*ENDS_WITH_US, self.binary, "-c", self.config],
                                        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                        start_new_session=True)
        ready = threading.Event()
        self.reader = threading.Thread(target=self.read_log, args=(ready,), daemon=True)
        self.reader.start()
        if not ready.wait(START_S) or self.process.poll() is not None:
            raise BrokerError(f"frysd did not start within {START_S} s")

    def stop(self):
        """SIGTERM; raises when it does not end, or not well."""
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            raise BrokerError(f"frysd did not end within {STOP_S} s of SIGTERM") from None
        self.reader.join()
        if status != 0:
            raise BrokerError(f"frysd ended with status {status} after SIGTERM")

    def restart(self):
        self.stop()
        self.start()

    def config_text(self):
        listeners = "".join(
            LISTENER.format(name=name, protocol=protocol, port=self.ports[name],
                            more=more.format(certificate=self.certificate, key=self.key))
            for name, (protocol, more) in LISTENERS.items())
        storage = self.config.with_name("frys.db")
        return CONFIG.format(listeners=listeners, storage=storage) + (CREDENTIALS[0] if CREDENTIALS else "")

    def read_log(self, ready):
        for line in self.process.stderr:
            self.log.append(line.rstrip("\n"))
            opened = re.search(r'listener\.open listener="([\w-]+)" url="\w+://127\.0\.0\.1:(\d+)', line)
            if opened:
                self.ports[opened[1]] = int(opened[2])
            if "daemon.ready" in line:
                ready.set()
        ready.set()  # it has ended: start() need not wait any longer

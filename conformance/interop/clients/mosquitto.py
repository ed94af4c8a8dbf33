#!/usr/bin/python3
"""mosquitto_sub and mosquitto_pub (Debian's mosquitto-clients). A client is a mosquitto_sub with the
client's identifier; what it publishes goes by a mosquitto_pub of its own. mosquitto_sub takes its
filters as arguments: for another one it is started again, and each has at least one, unused here.
What happens is read from its debug output."""
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.parse

from runner import report, serve

VERSIONS = {"3": "mqttv31", "4": "mqttv311", "5": "mqttv5"}
LOOK_S = 0.02    # between two looks whether a connection is still there
STOP_S = 3       # for mosquitto_sub to end
RESTART_S = 0.1  # before mosquitto_sub is started again


def sockets(pid):
    """The open sockets of a process."""
    try:
        links = {os.readlink(fd.path) for fd in os.scandir(f"/proc/{pid}/fd")}
    except FileNotFoundError:
        return set()
    return {link for link in links if link.startswith("socket:")}


class Client:
    def __init__(self, name, o):
        self.name, self.o, self.filters, self.process = name, o, {}, None
        self.comes_back = o["reconnect"] == "1"
        self.start("Subscribed", "connected", name, "?")

    # ---- the processes ----

    def common(self):
        """Arguments of both programs."""
        url = urllib.parse.urlsplit(self.o["url"])
        words = ["-h", url.hostname, "-p", str(url.port), "-V", VERSIONS[self.o["version"]]]
        if url.scheme == "ssl":
            words += ["--cafile", self.o["ca"]]
        if "user" in self.o:
            words += ["-u", self.o["user"], "-P", self.o["password"]]
        return words

    def start(self, sign, *event, more=()):
        """Start mosquitto_sub; report the event when a line with the sign appears."""
        o = self.o
        words = ["stdbuf", "-oL", "mosquitto_sub", "-d", "-i", o["id"], *self.common(), *more,
                 "-q", max(self.filters.values(), default="0"), "-F", "message %t %q %r %x"]
        for topic_filter in [f"unused/{self.name}", *self.filters]:
            words += ["-t", topic_filter]
        if o["clean"] == "0":
            words += ["-c"] + (["-x", o["expiry"]] if o["version"] == "5" else [])
        if "will_topic" in o:
            words += ["--will-topic", o["will_topic"], "--will-qos", o["will_qos"],
                      "--will-payload", bytes.fromhex(o["will_payload"]).decode(), "-C", "1"]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, encoding="utf-8")
        threading.Thread(target=self.read, args=(self.process, sign, event), daemon=True).start()

    def stop(self):
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)  # it sends DISCONNECT
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()  # a signal in the wrong moment makes it wait for itself
            process.wait()

    def read(self, process, sign, event):
        """Reports messages, the event at its sign, and what follows it."""
        is_up, reason = False, "-"
        for line in process.stdout:
            line = line.rstrip("\n")
            if process is not self.process:
                continue  # ended by us; on SIGTERM it may print its last lines twice
            if line.startswith("message "):
                _, topic, qos, retain, payload = line.split(" ")
                report("message", self.name, topic, qos, retain, payload or "-")
                continue
            if re.search(" PUB| unused/", line):
                continue
            print(line, file=sys.stderr)
            if code := re.search(r"eceived DISCONNECT \((\d+)\)", line):
                reason = code[1]
            elif code := re.search(r"received CONNACK \(([1-9]\d*)\)", line):
                report("refused", self.name, code[1])
            elif "sending CONNECT" in line and is_up:
                is_up = False
                report("closed", self.name, reason)
            elif sign in line:
                report(*event)
                is_up, sign, event = True, "Subscribed", ("connected", self.name, "?")
                if not self.comes_back:
                    threading.Thread(target=self.watch, args=(process,), daemon=True).start()
        if process is self.process:
            self.ended(is_up, reason)

    def ended(self, was_up, reason):
        """As MQTT 5.0 client, mosquitto_sub ends at a DISCONNECT. Who runs it, starts it again."""
        if was_up:
            report("closed", self.name, reason)
        if self.comes_back:
            time.sleep(RESTART_S)
            self.start("Subscribed", "connected", self.name, "?")

    def watch(self, process):
        """mosquitto_sub says nothing when it loses a connection: it sleeps for a second and connects
        again. A client that shall not come back is ended before it does."""
        connected = sockets(process.pid)
        while sockets(process.pid) >= connected and process is self.process:
            time.sleep(LOOK_S)
        if process is self.process:
            process.kill()

    # ---- commands ----

    def subscribe(self, topic_filter, qos):
        self.filters[topic_filter] = qos
        self.stop()
        self.start("Subscribed", "subscribed", self.name, qos)

    def unsubscribe(self, topic_filter):
        del self.filters[topic_filter]
        self.stop()
        self.start("UNSUBACK", "unsubscribed", self.name, more=["-U", topic_filter])

    def publish(self, topic, qos, retain, payload):
        words = ["-r"] if retain == "1" else []
        if payload == "-":
            self.run_pub(topic, qos, words + ["-n"])
        else:
            self.run_pub(topic, qos, words + ["-s"], bytes.fromhex(payload))
        report("published", self.name)

    def burst(self, topic, qos, count):
        lines = b"".join(b"%d\n" % i for i in range(int(count)))
        self.run_pub(topic, qos, ["-l"], lines)
        report("published", self.name)

    def run_pub(self, topic, qos, words, data=b""):
        subprocess.run(["mosquitto_pub", *self.common(), "-t", topic, "-q", qos, *words],
                       input=data, check=True)

    def disconnect(self):
        if "will_topic" in self.o:  # on SIGTERM, MQTT 5.0 clients ask for their Will
            process, self.process = self.process, None
            self.run_pub(f"unused/{self.name}", "0", ["-n"])
            process.wait()
        else:
            self.stop()
        report("disconnected", self.name)


serve(Client)

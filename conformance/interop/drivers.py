"""What runs a client: a driver is a process or a browser tab that reads commands and reports events
(README.md has the lines). A Peer is one MQTT client inside a driver, as the checks see it."""
import collections
import http.server
import json
import os
import pathlib
import queue
import re
import signal
import subprocess
import threading
import time
import urllib.parse
import urllib.request

WAIT_S = 30  # for any one event; only a failure takes so long
KEPT, SHOWN = 40, 160  # lines that a trace keeps, characters of a line that it shows


ENDS_WITH_US = ["setpriv", "--pdeathsig", "KILL"]  # in front of a command, whatever ends us


class Failure(Exception):
    """A check found what should not be."""


Message = collections.namedtuple("Message", "topic payload qos retain")


def end_group(process):
    """End a process that we started, and all that it has started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def hexed(payload):
    return payload.hex() or "-"


def unhexed(word):
    return b"" if word == "-" else bytes.fromhex(word)


class Trace:
    """The last commands and events, for the report of a failure."""

    def __init__(self):
        self.lines = collections.deque(maxlen=KEPT)

    def add(self, driver, direction, line):
        self.lines.append((time.monotonic(), driver, direction, line))

    def text(self):
        for when, driver, direction, line in self.lines:
            rest = f"... ({len(line)} characters)" if len(line) > SHOWN else ""
            yield f"{when:.3f} {driver} {direction} {line[:SHOWN]}{rest}"


class Driver:
    """Commands go out by send(), which a subclass has, as it has end(); it calls received() for each
    event and ended() after the last, from a thread of its own."""

    def __init__(self, name, trace):
        self.name, self.trace, self.peers, self.alive = name, trace, {}, True

    def kill(self):
        """At once: its clients cannot say goodbye."""
        if self.alive:
            self.alive = False
            self.end()

    def command(self, line):
        self.trace.add(self.name, ">", line)
        self.send(line)

    def received(self, line):
        self.trace.add(self.name, "<", line)
        words = line.split(" ")
        peer = self.peers.get(words[1]) if len(words) > 1 else None
        if peer is None:
            self.trace.add(self.name, "?", "not an event of a client")
        elif words[0] == "message":
            topic, qos, retain, payload = words[2:]
            peer.messages.put(Message(topic, unhexed(payload), int(qos), retain == "1"))
        else:
            peer.events.put(words)

    def ended(self):
        for peer in list(self.peers.values()):
            peer.events.put(["error", peer.name, f"{self.name} has ended"])
            peer.messages.put(None)


class ProcessDriver(Driver):
    """A program that speaks the lines on its standard input and output."""

    def __init__(self, name, trace, command, log, env):
        super().__init__(name, trace)
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=log, env={**os.environ, **env}, text=True,
                                        encoding="utf-8", start_new_session=True)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.received(line.rstrip("\n"))
        self.ended()

    def send(self, line):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Failure(f"{self.name} has ended") from None

    def end(self):
        end_group(self.process)


class Browser:
    """A headless Chromium with a fresh profile. Its debugging port opens and closes tabs."""

    def __init__(self, directory, certificate_hash, log):
        profile = pathlib.Path(directory) / "chromium"
        self.process = subprocess.Popen(
            [*ENDS_WITH_US, "/usr/bin/chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
             "--no-first-run", "--disable-background-networking", "--disable-component-update",
             "--disable-sync", "--disable-dev-shm-usage", "--enable-logging=stderr",
             f"--user-data-dir={profile}", "--remote-debugging-port=0",
             f"--ignore-certificate-errors-spki-list={certificate_hash}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True)
        self.port = self.wait_for_port(profile / "DevToolsActivePort")

    def wait_for_port(self, file):
        """Chromium writes the file when it listens."""
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end and self.process.poll() is None:
            if file.exists() and "\n" in (text := file.read_text()):
                return int(text.split("\n", maxsplit=1)[0])
            time.sleep(0.02)
        self.kill()
        raise Failure("chromium did not start")

    def ask(self, method, path):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/json/{path}", method=method)
        with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
            return answer.read()

    def open(self, url):
        return json.loads(self.ask("PUT", "new?" + urllib.parse.quote(url, safe="")))["id"]

    def close(self, tab):
        self.ask("GET", f"close/{tab}")

    def kill(self):
        end_group(self.process)


class TabDriver(Driver):
    """A tab on clients/page.html, which polls for commands and posts events."""

    def __init__(self, name, trace, browser, root, client):
        super().__init__(name, trace)
        self.browser, self.commands = browser, queue.SimpleQueue()
        handler = type("Handler", (PageHandler,), {"driver": self, "root": root})
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        port = self.server.server_address[1]
        self.tab = browser.open(f"http://localhost:{port}/clients/page.html?{client}")

    def send(self, line):
        self.commands.put(line)

    def end(self):
        """As when a user closes the tab: the page's scripts get no say."""
        self.commands.put(None)
        self.browser.close(self.tab)
        self.server.shutdown()
        self.server.server_close()


class PageHandler(http.server.SimpleHTTPRequestHandler):
    """Files of build/interop, the commands for the page, and the events from it."""
    protocol_version = "HTTP/1.1"
    wbufsize, disable_nagle_algorithm = -1, True  # an answer is one segment, and goes at once
    driver = root = None

    def __init__(self, *args):
        super().__init__(*args, directory=self.root)

    def do_GET(self):
        if self.path != "/commands":
            super().do_GET()
            return
        lines = [self.driver.commands.get()]
        while lines[-1] is not None and not self.driver.commands.empty():
            lines.append(self.driver.commands.get())
        self.answer("\n".join(line for line in lines if line is not None))

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.answer("")
        for line in body.split("\n"):
            self.driver.received(line)

    def answer(self, text):
        data = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        try:
            self.wfile.write(data)
        except OSError:
            pass  # the tab is closed

    def log_message(self, *_):
        pass


class Peer:
    """One MQTT client. Every method waits for what it asks for; Failure when something else comes."""

    def __init__(self, driver, name, **options):
        self.driver, self.name, self.options = driver, name, options
        self.events, self.messages = queue.SimpleQueue(), queue.SimpleQueue()
        self.online = False
        driver.peers[name] = self

    def connect(self):
        """True if the broker had a session, None if it cannot be told."""
        self.start_connect()
        return self.connected()

    def start_connect(self):
        self.command("connect", *(f"{key}={value}" for key, value in self.options.items()))

    def connected(self):
        session = self.wait("connected")[0]
        self.online = True
        if self.options["version"] == 3:
            return None  # MQTT 3.1 has no Session Present
        return {"1": True, "0": False}.get(session)

    def closed(self):
        """The connection has ended without our doing. The reason code, None if there was none."""
        code = self.wait("closed")[0]
        self.online = False
        return None if code == "-" else int(code)

    def subscribe(self, topic_filter, qos=0):
        self.command("subscribe", topic_filter, qos)
        granted = int(self.wait("subscribed")[0])
        if granted != qos:
            raise Failure(f"{self.name}: subscribed at QoS {qos}, granted {granted}")

    def unsubscribe(self, topic_filter):
        self.command("unsubscribe", topic_filter)
        self.wait("unsubscribed")

    def publish(self, topic, payload, qos=0, retain=False):
        self.command("publish", topic, qos, int(retain), hexed(payload))
        self.wait("published")

    def start_burst(self, topic, qos, count):
        """Publish "0", "1", ... without waiting in between; burst_done() waits."""
        self.command("burst", topic, qos, count)

    def burst_done(self):
        self.wait("published")

    def disconnect(self):
        self.command("disconnect")
        self.wait("disconnected")
        self.online = False

    def kill(self):
        """With its driver."""
        self.driver.kill()
        self.online = False

    def expect(self, topic, payload, qos=0, retain=False):
        """The next message is this one."""
        wanted, got = Message(topic, payload, qos, retain), self.next_message()
        if got != wanted:
            raise Failure(f"{self.name}: expected {brief(wanted)}, got {brief(got)}")

    def next_message(self):
        try:
            message = self.messages.get(timeout=WAIT_S)
        except queue.Empty:
            raise Failure(f"{self.name}: no message within {WAIT_S} s") from None
        if message is None:
            raise Failure(f"{self.name}: {self.driver.name} has ended")
        return message

    def command(self, verb, *words):
        self.driver.command(" ".join([verb, self.name, *map(str, words)]))

    def wait(self, wanted):
        try:
            event, _, *words = self.events.get(timeout=WAIT_S)
        except queue.Empty:
            raise Failure(f"{self.name}: not {wanted} within {WAIT_S} s") from None
        if event != wanted:
            raise Failure(f"{self.name}: expected {wanted}, got {event} {' '.join(words)}")
        return words


def brief(message):
    payload = message.payload if len(message.payload) <= 40 else f"{len(message.payload)} bytes"
    return str(message._replace(payload=payload))

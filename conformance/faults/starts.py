"""How frysd starts, and what it does not start with."""
import os
import re
import socket
import subprocess
import time

from frysd import Failure, Frysd, yaml

# configuration (text, or what becomes it), arguments, exit code, what standard error says
MISTAKES = [
    ("listeners: [{protocol: ws, port: 0, adress: 127.0.0.1}]\n", [], 3,
     r':1:37: listeners\[\]\.adress: unknown option; did you mean "address"\?'),
    ("listeners:\n  - protocol: ws\n    port: 99999\n", [], 3,
     r':3:11: listeners\[\]\.port: "99999" is out of range; expected a number, 0 to 65535'),
    ("limits: {max_packet_size: lots}\n", [], 3, r':1:27: limits\.max_packet_size: "lots" is not'),
    ("workers: [1, 2]\n", [], 3, r":1:10: workers: "),
    ("workers: 1\nworkers: 2\n", [], 3, r":2:1: workers: .*(twice|again|duplicate)"),
    ("workers: 1\n  port: 2\n", [], 3, r":2:\d+: "),
    ("\tworkers: 1\n", [], 3, r":1:1: "),
    ("listeners: [{protocol: ws, address: 0.0.0.0}]\n", [], 3, r":1:\d+: .*allow_anonymous"),
    ("listeners: [{protocol: wss}]\n", [], 3, r":1:\d+: .*certificate"),
    ("listeners: [{protocol: wss, tls: {certificate: /no/such.pem, key: /no/such.key}}]\n", [], 3,
     r"certificate /no/such.pem: No such file"),
    ("listeners: [{protocol: ws, name: a}, {protocol: mqtt, name: a}]\n", [], 3, r":1:\d+: .*name"),
    ("user: nobody-of-that-name\n", [], 3, r'no user "nobody-of-that-name"'),
    ("workers: ${FRYS_TEST_NOT_SET}\n", [], 3, r":1:10: .*FRYS_TEST_NOT_SET"),
    (None, ["-c", "/no/such/frysd.yaml"], 3, r"/no/such/frysd.yaml: cannot be read: No such file"),
    (None, ["-c", "/"], 3, r"/: cannot be read: Is a directory"),
    (None, ["-c"], 2, r"-c"),
    (None, ["--chekc"], 2, r"unknown argument --chekc; see frysd --help"),
]


def run(binary, arguments, env=None, stdout=subprocess.PIPE):
    return subprocess.run([binary, *arguments], stdout=stdout, stderr=subprocess.PIPE, text=True,
                          timeout=60, env={**os.environ, **(env or {})})


def expect(result, code, pattern, what):
    if result.returncode != code or not re.search(pattern, result.stderr):
        raise Failure(f"{what}: ended with {result.returncode}, expected {code} and "
                      f"\"{pattern}\"; it said:\n{result.stderr}")


def test_mistakes(binary):
    """mistakes in the configuration and on the command line are told with place and exit code"""
    with Frysd(binary) as broker:
        name = os.path.join(broker.folder, "wrong.yaml")
        for text, arguments, code, pattern in MISTAKES:
            if text is not None:
                with open(name, "w") as f:
                    f.write(text)
                expect(run(binary, ["--check", "-c", name]), code, pattern, f"--check of {text!r}")
            expect(run(binary, arguments or ["-c", name]), code, pattern, text or str(arguments))
        expect(run(binary, ["--check", "-c", broker.write_config()],
                   {"FRYS_LIMITS_MAX_PAKET_SIZE": "1MiB"}), 3,
               "did you mean FRYS_LIMITS_MAX_PACKET_SIZE", "a variable of the environment")
        good = run(binary, ["--check", "-c", broker.write_config()])
        expect(good, 0, "^$", "--check of a good file")
        if "no errors" not in good.stdout:
            raise Failure(f"--check of a good file says: {good.stdout}")
    return f"{len(MISTAKES) + 2} of them"


def test_output_full(binary):
    """what cannot be printed is an error, not half a file"""
    with Frysd(binary) as broker, open("/dev/full", "w") as full:
        for command in ("--print-config", "--check", "--print-reference", "--help", "--version"):
            expect(run(binary, ["-c", broker.write_config(), command], stdout=full), 1,
                   "the output cannot be written: No space left on device", command)


def test_second_daemon(binary):
    """a second daemon on the same ports, lock file or database is refused and hurts nobody"""
    with Frysd(binary) as first:
        first.config["lock_file"] = os.path.join(first.folder, "lock")
        first.start()
        for change, pattern in (
                ({}, "lock file .*: another frysd holds it: stop that one"),
                ({"lock_file": '""'}, r"listener ws: cannot listen on 127.0.0.1 port \d+: "
                                      "Address already in use; another process is there"),
                ({"lock_file": '""', "listeners": [{"protocol": "ws", "port": 0}],
                  "admin": {"port": first.ports["admin"]}},
                 r"listener admin: cannot listen on .* Address already in use"),
                ({"lock_file": '""', "listeners": [{"protocol": "ws", "port": 0}],
                  "admin": {"enabled": False}}, first.config["storage"]["file"])):
            name = os.path.join(first.folder, "second.yaml")
            with open(name, "w") as f:
                f.write(yaml({**first.config, **change}))
            expect(run(binary, ["-c", name]), 1, pattern, f"a second daemon with {change}")
            with socket.create_connection(("127.0.0.1", first.ports["mqtt"])) as s:
                s.sendall(b"\x10\x0d\0\4MQTT\5\2\0\0\0\0\0")
                if s.recv(1) != b"\x20":
                    raise Failure("the first daemon has suffered")
        if first.stop() != 0:
            raise Failure("the first daemon does not end well")


def test_port_taken(binary):
    """a port of another program is told with its listener"""
    with Frysd(binary) as broker, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        broker.config["listeners"][1]["port"] = taken.getsockname()[1]
        expect(run(binary, ["-c", broker.write_config()]), 1,
               f"listener mqtt: cannot listen on 127.0.0.1 port {taken.getsockname()[1]}: Address",
               "a taken port")


def test_closed_streams(binary):
    """started without standard error it serves, and logs into none of its files"""
    with Frysd(binary) as broker:
        lock = broker.config["lock_file"] = os.path.join(broker.folder, "lock")
        broker.start()  # for the ports
        broker.config["admin"]["port"] = broker.ports["admin"]
        broker.stop()
        broker.process = subprocess.Popen(["sh", "-c", 'exec "$@" 2>&-', "sh", broker.binary,
                                           "-c", broker.write_config()])
        wait_answer(broker)
        with open(lock) as f:
            found = f.read()
        if broker.stop() != 0 or found:
            raise Failure(f"the lock file has become the log: {found}")


def wait_answer(broker, timeout_s=30):
    """Wait until it serves, without its log."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return broker.page("/healthz")
        except OSError:
            if time.monotonic() > deadline or broker.process.poll() is not None:
                raise Failure("it does not serve") from None
            time.sleep(0.005)

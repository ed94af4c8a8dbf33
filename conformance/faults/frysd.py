"""A real frysd with a folder of its own, for tests that do things to it."""
import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request

START_TIMEOUT_S = 60  # with a sanitizer, on a busy machine


class Failure(Exception):
    """What a test found wrong, as a sentence."""


def yaml(value, indent=0):
    """Dicts, lists and scalars as the YAML that frysd reads."""
    pad = "  " * indent
    if isinstance(value, dict):
        return "".join(f"{pad}{k}:{after_key(v, indent)}" for k, v in value.items())
    return "".join(f"{pad}-\n{yaml(v, indent + 1)}" for v in value)


def after_key(value, indent):
    if isinstance(value, (dict, list)) and value:
        return "\n" + yaml(value, indent + 1)
    if isinstance(value, bool):
        return f" {str(value).lower()}\n"
    return f" {value}\n"


class Frysd:
    """start(), kill() or stop(), start() again: the ports stay. Remove its folder with close(), or
    use it in a with statement: an exception that leaves it takes the end of the log along."""

    def __init__(self, binary, config=None):
        self.binary = os.path.abspath(binary)
        self.prefix = []  # command that runs it
        self.env = {}     # and what its environment has besides
        self.folder = tempfile.mkdtemp(prefix="frys-faults-")
        self.log_name = os.path.join(self.folder, "frysd.log")
        self.process = None
        self.ports = {}
        self.config = {
            "listeners": [{"protocol": "ws", "port": 0}, {"protocol": "mqtt", "port": 0}],
            "admin": {"port": 0},
            "storage": {"file": os.path.join(self.folder, "frys.db")},
        }
        self.config.update(config or {})

    def write_config(self):
        name = os.path.join(self.folder, "frysd.yaml")
        with open(name, "w") as f:
            f.write(yaml(self.config))
        return name

    def launch(self, *arguments, env=None, open_files=None):
        """Only start it. open_files: file descriptors that it may have."""
        def limit():
            if open_files:
                resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))

        with open(self.log_name, "a") as log:
            self.process = subprocess.Popen(
                [*self.prefix, self.binary, "-c", self.write_config(), *arguments], stderr=log,
                env={**os.environ, **self.env, **(env or {})}, preexec_fn=limit)

    def start(self, *arguments, **options):
        """Start and wait until it serves; the ports it has got are kept for the next start."""
        began = self.log_size()
        self.launch(*arguments, **options)
        self.wait_log("daemon.ready", began)
        for name, port in re.findall(r'listener\.open listener="(\w+)" url="\w+://[^"]*:(\d+)',
                                     self.log(began)):
            self.ports[name] = int(port)
        for listener in self.config["listeners"]:
            listener["port"] = self.ports[listener.get("name", listener["protocol"])]
        return self

    def log_size(self):
        return os.path.getsize(self.log_name) if os.path.exists(self.log_name) else 0

    def log(self, begin=0):
        with open(self.log_name, errors="replace") as f:
            f.seek(begin)
            return f.read()

    def wait_log(self, text, begin=0, timeout_s=START_TIMEOUT_S):
        """Wait until the log, from there on, has this text (a regular expression); the match."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = re.search(text, self.log(begin))
            if found:
                return found
            if self.process.poll() is not None:
                raise Failure(f"frysd ended with {self.process.returncode} before \"{text}\"")
            if time.monotonic() > deadline:
                raise Failure(f"no \"{text}\" in the log after {timeout_s} s")
            time.sleep(0.005)

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, timeout_s=30):
        """Its exit code."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise Failure(f"frysd did not end within {timeout_s} s") from None

    def kill(self):
        """kill -9: it gets no chance to do anything."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def page(self, path):
        """Text of a page for operators."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['admin']}{path}",
                                    timeout=30) as page:
            return page.read().decode()

    def metric(self, name):
        """A number of /metrics; the sum, where it has labels."""
        found = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", self.page("/metrics"), re.M)
        return sum(float(n) for n in found)

    def wait_metric(self, name, wanted, timeout_s=30):
        deadline = time.monotonic() + timeout_s
        while self.metric(name) != wanted:
            if time.monotonic() > deadline:
                raise Failure(f"{name} is {self.metric(name):g} after {timeout_s} s, not {wanted}")
            time.sleep(0.01)

    def rss_kb(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))

    def cpu_s(self):
        with open(f"/proc/{self.process.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __enter__(self):
        return self

    def __exit__(self, kind, exception, trace):
        if exception is not None:
            exception.log = self.log()[-4000:] if self.log_size() else ""
        self.close()

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

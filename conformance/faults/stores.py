"""What happens to the store: it is moved, damaged, or there is no room for it."""
import asyncio
import glob
import os
import re
import shutil
import subprocess
import time

import mqtt
from frysd import Failure, Frysd

HERE = os.path.dirname(os.path.abspath(__file__))
QUEUES = {"max_queued_messages": 1000000, "max_queued_bytes": "1GiB"}


def check(condition, what):
    if not condition:
        raise Failure(what)


# ---- clients ----

async def read(c):
    """The next packet that is not about the end of a QoS 2 message to us."""
    while True:
        p = await c.read()
        if p.kind != mqtt.PUBREL:
            return p
        c.send(mqtt.ack(mqtt.PUBCOMP, p.packet_id))


async def leave(c):
    """Without a word."""
    c.close()
    await asyncio.sleep(0)


async def subscribe(c, *filters):
    c.send(mqtt.subscribe(1, filters, c.version))
    p = await read(c)
    check(p.kind == mqtt.SUBACK and max(p.reasons) < 0x80, f"SUBACK {p.reasons}")


async def exchange(c, topic, payload, qos, packet_id, retain=False, dup=False):
    """Publish at QoS 1 or 2 and wait for the end of it; the reason code."""
    c.send(mqtt.publish(topic, payload, qos, packet_id, retain, dup, c.version))
    p = await read(c)
    if p.kind == mqtt.PUBREC and p.reason < 0x80:
        c.send(mqtt.ack(mqtt.PUBREL, packet_id))
        p = await read(c)
    check(p.packet_id == packet_id, f"a packet of type {p.kind} instead of an acknowledgement")
    return p.reason


async def receive(c, n):
    """The next n messages, acknowledged: (topic, payload, QoS, retain)."""
    got = []
    while len(got) < n:
        p = await read(c)
        if p.kind == mqtt.PUBLISH:
            got.append((p.topic, p.payload.decode(), p.qos, p.retain))
            if p.qos:
                c.send(mqtt.ack(mqtt.PUBACK if p.qos == 1 else mqtt.PUBREC, p.packet_id))
    await c.drain()
    return got


async def is_quiet(c):
    """Nothing comes but the answer to a ping."""
    c.send(mqtt.packet(mqtt.PINGREQ, 0, b""))
    return (await read(c)).kind == mqtt.PINGRESP


async def retained(broker, topic):
    """A retained message, as receive() has it."""
    c, _ = await mqtt.join(broker.ports["mqtt"], "reader")
    await subscribe(c, (topic, 1))
    (got,) = await receive(c, 1)
    c.close()
    return got


# ---- commands ----

def run(broker, *arguments, code=0, data=None):
    """frysd with these arguments: (standard output, standard error)."""
    done = subprocess.run([broker.binary, "-c", broker.write_config(), *arguments], input=data,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
    if done.returncode != code:
        raise Failure(f"frysd {' '.join(arguments)} ends with {done.returncode}, not {code}: "
                      f"{done.stderr.decode()}")
    return done.stdout.decode(), done.stderr.decode()


def use_file(broker, name):
    broker.config["storage"] = {"file": os.path.join(broker.folder, name)}
    return broker.config["storage"]["file"]


# ---- from one store to another ----

SENT = [("a/1", "one", 1, False), ("a/2", "two", 2, False), ("a/3", "three", 1, False)]
KEPT = ("kept/x", "retained", 1, True)


async def fill(broker):
    """A session with a queue, and a retained message."""
    c, _ = await mqtt.join(broker.ports["mqtt"], "lamp", clean=False, expiry_s=3600)
    await subscribe(c, ("a/#", 2), ("$share/g/b/+", 1))
    await leave(c)
    broker.wait_metric("frys_connections", 0)
    c, _ = await mqtt.join(broker.ports["mqtt"], "pub", version=4)
    for i, (topic, payload, qos, retain) in enumerate([*SENT, KEPT]):
        check(await exchange(c, topic, payload, qos, i + 1, retain) == 0, "not acknowledged")
    await leave(c)


async def expect_filled(broker):
    c, present = await mqtt.join(broker.ports["mqtt"], "lamp", clean=False, expiry_s=3600)
    check(present, "the session is gone")
    got = await receive(c, len(SENT))
    check(got == SENT, f"the queue has {got}")
    check(await is_quiet(c), "there is more in the queue")
    c.close()
    got = await retained(broker, "kept/#")
    check(got == KEPT, f"retained is {got}")


async def test_store_moves(binary):
    """a store is checked and exported after kill -9, and imported into a new one"""
    with Frysd(binary) as broker:
        old = use_file(broker, "old.db")
        await fill(broker.start())
        said, _ = run(broker, "--check-store", old)
        check("no problems" in said, said)
        live, _ = run(broker, "--export-store", old)
        _, why = run(broker, "--import-store", "-", code=1, data=live.encode())
        check(f"in use by process {broker.process.pid}" in why, why)
        broker.kill()
        said, _ = run(broker, "--check-store", old)
        check("1 sessions, 2 subscriptions, 3 messages in their queues, 1 retained messages; "
              "no problems" in said, said)
        dead, _ = run(broker, "--export-store", old)
        check(sorted(live.splitlines()) == sorted(dead.splitlines()), "exports differ")
        use_file(broker, "new.db")
        _, why = run(broker, "--import-store", "-", code=1, data=dead.encode()[:-9])
        check("standard input:8: " in why, why)
        run(broker, "--import-store", "-", data=dead.encode())
        _, why = run(broker, "--import-store", "-", code=1, data=dead.encode())
        check("not empty" in why, why)
        await expect_filled(broker.start())


# ---- from Mosquitto ----

def start_mosquitto(folder, port):
    name = os.path.join(folder, "mosquitto.conf")
    with open(name, "w") as f:
        f.write(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
                f"persistence_location {folder}/\nlog_dest none\n"
                f"user {'root' if os.getuid() == 0 else 'nobody'}\n")
    return subprocess.Popen([shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin"),
                             "-c", name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


async def join_when_there(port, *arguments, **options):
    deadline = time.monotonic() + 30
    while True:
        try:
            return await mqtt.join(port, *arguments, **options)
        except mqtt.Closed:
            if time.monotonic() > deadline:
                raise Failure("mosquitto does not start") from None
            time.sleep(0.02)


async def fill_mosquitto(folder, port):
    """The name of its database, with the queue and the retained message of fill()."""
    process = start_mosquitto(folder, port)
    try:
        c, _ = await join_when_there(port, "lamp", version=4, clean=False)
        await subscribe(c, ("a/#", 2))
        c.send(mqtt.packet(mqtt.DISCONNECT, 0, b""))
        await c.drain()
        c.close()
        c, _ = await mqtt.join(port, "pub", version=4)
        for i, (topic, payload, qos, retain) in enumerate([*SENT, KEPT]):
            await exchange(c, topic, payload, qos, i + 1, retain)
        c.close()
    finally:
        process.terminate()
        process.wait(30)
    return os.path.join(folder, "mosquitto.db")


async def test_from_mosquitto(binary):
    """the database of a Mosquitto is taken over"""
    with Frysd(binary) as broker:
        broker.start()
        broker.stop()
        if shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin"):
            database = await fill_mosquitto(broker.folder, broker.ports["mqtt"])
            run(broker, "--import-mosquitto", database)
            await expect_filled(broker.start())
            return "made by mosquitto"
        run(broker, "--import-mosquitto",
            os.path.join(HERE, "../../storage/tests/data/mosquitto-v6.db"))
        broker.start()
        c, present = await mqtt.join(broker.ports["mqtt"], "offl", version=4, clean=False)
        got = [g[:2] for g in await receive(c, 3)]
        check(present and got == [("a/b", "four"), ("/lead/x", "lead"), ("a/c", "never")],
              f"the queue has {got}")
        c.close()
        return "no mosquitto here: a database that one has made"


# ---- damage ----

async def test_damaged_store(binary):
    """a damaged store is moved aside, loudly, and what is left of it can be saved"""
    with Frysd(binary, {"sessions": QUEUES}) as broker:
        await fill(broker.start())
        broker.stop()
        file = broker.config["storage"]["file"]
        with open(file, "r+b") as f:
            f.seek(4096)
            f.write(os.urandom(8 * 4096))
        broker.start()
        broker.wait_log("ERROR.* store.set_aside")
        check(broker.metric("frys_store_set_aside") == 1, "no metric")
        (aside,) = [n for n in glob.glob(file + ".damaged-*") if n.endswith("Z")]
        c, present = await mqtt.join(broker.ports["mqtt"], "lamp", clean=False, expiry_s=3600)
        check(not present, "a session out of nothing")
        c.close()
        got = await retained(broker, "$SYS/broker/storage/set_aside")
        check(got[1] == aside, f"$SYS says {got}")
        run(broker, "--check-store", aside, code=4)


# ---- no room ----

class SmallDisk:
    """A file system of a few MiB, in a name space of its own: root is not needed for that. It is
    there as long as this process is; frysd runs with prefix."""

    def __init__(self, folder, size):
        self.inside = os.path.join(folder, "small")
        os.mkdir(self.inside)
        root = os.getuid() == 0
        self.holder = subprocess.Popen(
            ["unshare", "--mount", *([] if root else ["--map-root-user"]), "sh", "-c",
             'mount -t tmpfs -o size="$1" tmpfs "$0" && echo there && exec cat', self.inside, size],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.works = self.holder.stdout.readline() == b"there\n"
        pid = str(self.holder.pid)
        self.prefix = ["nsenter", "--mount", "--target", pid,
                       *([] if root else ["--user", "--preserve-credentials"])]
        self.outside = f"/proc/{pid}/root{self.inside}"

    def fill(self, leave):
        """Take what is there, but so many bytes."""
        fs = os.statvfs(self.outside)
        with open(os.path.join(self.outside, "filler"), "wb") as f:
            f.write(bytes(fs.f_bavail * fs.f_frsize - leave))

    def give_back(self):
        os.unlink(os.path.join(self.outside, "filler"))

    def close(self):
        self.holder.stdin.close()
        self.holder.wait()


class Flood:
    """Numbered messages for a session that is away, until there is no room, and what then is."""

    PADDING = "." * 4000

    def __init__(self, broker):
        self.broker = broker
        self.acked = {}  # number: its publisher's version
        self.number = 0

    async def join(self):
        self.port = self.broker.ports["mqtt"]
        self.pub5, _ = await mqtt.join(self.port, "pub5")
        self.pub4, _ = await mqtt.join(self.port, "pub4", version=4, clean=False)
        self.other, _ = await mqtt.join(self.port, "other")
        await subscribe(self.other, ("other/#", 1))

    async def begin(self):
        away, _ = await mqtt.join(self.port, "away", clean=False, expiry_s=3600)
        await subscribe(away, ("load/#", 2))
        await leave(away)

    async def publish(self, c, qos):
        """The reason code."""
        self.number += 1
        reason = await exchange(c, "load/x", f"{self.number} {self.PADDING}", qos,
                                self.number % 65535 + 1)
        if reason == 0:
            self.acked[self.number] = c.version
        return reason

    async def until_refused(self):
        """Reason codes that are no success."""
        while self.number < 100000:
            reasons = [await self.publish(self.pub5, qos) for qos in (1, 2)]
            if min(reasons) >= 0x80:
                return reasons
        raise Failure("100,000 messages and nothing is full")

    async def check_refusing(self):
        """What has to be stored is refused, the rest goes on."""
        page = self.broker.page("/healthz")
        check(page.startswith("degraded: the store"), f"/healthz says {page}")
        check(self.broker.metric("frys_store_failing") == 1, "frys_store_failing is not 1")
        for qos in (1, 2):
            self.pub4.send(mqtt.publish("load/x", "unanswered", qos, 10 + qos, version=4))
        check(await is_quiet(self.pub4), "MQTT 3.1.1 gets an answer")
        self.pub5.send(mqtt.publish("other/0", "QoS 0"))
        self.pub4.send(mqtt.publish("other/1", "for a clean session", 1, 20, version=4))
        got = sorted(m[0] for m in await receive(self.other, 2))
        check(got == ["other/0", "other/1"], f"QoS 0 and clean sessions get {got}")
        check((await self.pub4.read()).packet_id == 20, "what need not be stored is not answered")

    async def check_resumed(self, n):
        """By itself; and nobody has had to connect anew. n: messages."""
        self.broker.wait_metric("frys_store_failing", 0)
        check(self.broker.page("/healthz").startswith("ok"), "/healthz does not recover")
        for i in range(n):
            check(await self.publish(self.pub5, 1 + i % 2) == 0, "refused, though there is room")
            check(await self.publish(self.pub4, 1 + i % 2) == 0, "refused, though there is room")

    async def drain(self):
        """Everything that was acknowledged is there, in the order of each publisher."""
        away, present = await mqtt.join(self.port, "away", clean=False, expiry_s=3600)
        check(present, "the session is gone")
        got = []
        while len(got) < len(self.acked):
            got += [int(m[1].split()[0]) for m in await receive(away, 1) if m[1][0].isdigit()]
        missing, others = self.acked.keys() - set(got), set(got) - self.acked.keys()
        check(not missing, f"{len(missing)} acknowledged messages are lost: {sorted(missing)[:5]}")
        check(not others, f"refused messages are delivered: {sorted(others)[:5]}")
        for version in (4, 5):
            numbers = [n for n in got if self.acked[n] == version]
            wrong = [n for last, n in zip(numbers, numbers[1:]) if n <= last]
            check(not wrong, f"not in the order of their publisher: {wrong[:5]}")
        check(await is_quiet(away), "there is more than was acknowledged")
        self.acked.clear()
        await leave(away)


async def test_full_disk(binary):
    """a full disk: what needs it is refused, the rest goes on; it resumes, and nothing is lost"""
    with Frysd(binary, {"sessions": QUEUES}) as broker:
        disk = SmallDisk(broker.folder, "16m")
        try:
            if not disk.works:
                return "no file system can be mounted here: nothing was tested"
            use_file(broker, "small/frys.db")
            broker.prefix = disk.prefix
            flood = Flood(broker.start())
            disk.fill(6 << 20)
            await flood.join()
            await flood.begin()
            reasons = await flood.until_refused()
            check(set(reasons) <= {0x97, 0x83}, f"reason codes {reasons}")
            await flood.check_refusing()
            broker.kill()
            broker.start()
            await flood.join()
            await flood.check_refusing()
            disk.give_back()
            await flood.check_resumed(50)
            broker.kill()
            broker.start()
            await flood.join()
            await flood.drain()
            return f"{flood.number} messages"
        finally:
            disk.close()


async def test_full_store(binary):
    """storage.max_size is reached: as on a full disk, until clients have taken what is theirs"""
    with Frysd(binary, {"sessions": QUEUES}) as broker:
        broker.config["storage"]["max_size"] = "4MiB"
        flood = Flood(broker.start())
        await flood.join()
        await flood.begin()
        reasons = await flood.until_refused()
        check(set(reasons) <= {0x97, 0x83}, f"reason codes {reasons}")
        await flood.check_refusing()
        file = broker.config["storage"]["file"]
        check(os.path.getsize(file) <= 4 << 20, f"the file has {os.path.getsize(file)} bytes")
        number = flood.number
        await flood.drain()
        await flood.check_resumed(50)
        await flood.drain()
        return f"{number} messages"


def test_promises(binary):
    """the log says at the start what an acknowledgement promises"""
    for level, promise in (("commit", "survives the end of the process, but perhaps not a power"),
                           ("fsync", "survives the end of the process and a power cut"),
                           ("memory", "is lost when the process ends")):
        with Frysd(binary) as broker:
            broker.config["storage"]["durability"] = level
            broker.start()
            check(re.search(f'storage.promise .*"what is acknowledged {promise}', broker.log()),
                  f"no such promise for {level}")

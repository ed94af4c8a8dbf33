"""What every client does with the broker. One function a check, in the order they run; each gets a
Bench (run) and raises Failure. Identifiers are new in each check, topics begin with its name."""
import random

import broker
from drivers import Failure

TAKEN_OVER = 0x8E  # reason code Session taken over [v5 MQTT-3.1.4-3]
LARGE = 1 << 20    # bytes
BURST = 10_000     # messages


class Skip(Exception):
    """The check makes no sense here; says why."""


def require(true, text):
    if not true:
        raise Failure(text)


def connect(bench):
    """A new client has no session; it can leave and come again."""
    a = bench.peer("a")
    require(not a.connect(), "session present at the first connection")
    a.disconnect()
    require(not a.connect(), "session present though clean sessions were asked for")
    a.disconnect()


def wildcards(bench):
    """+ stands for one level, # for all that follow; what does not match does not arrive."""
    a, b = bench.connected("a"), bench.connected("b")
    b.subscribe(bench.topic("+/temperature"), qos=1)
    b.subscribe(bench.topic("deep/#"), qos=1)
    for suffix, matches in (("kitchen/temperature", True), ("kitchen/humidity", False),
                            ("temperature", False), ("kitchen/oven/temperature", False),
                            ("deep", True), ("deep/er/and/deeper", True), ("deeper", False),
                            ("/temperature", True), ("küche/temperature", True)):
        a.publish(bench.topic(suffix), suffix.encode(), qos=1)
        if matches:
            b.expect(bench.topic(suffix), suffix.encode(), qos=1)
    b.unsubscribe(bench.topic("deep/#"))
    a.publish(bench.topic("deep/er"), b"not any more", qos=1)
    a.publish(bench.topic("end/temperature"), b"end", qos=1)
    b.expect(bench.topic("end/temperature"), b"end", qos=1)


def overlap(bench):
    """Filters that overlap give one copy."""
    a, b = bench.connected("a"), bench.connected("b")
    b.subscribe(bench.topic("#"), qos=1)
    b.subscribe(bench.topic("+/x"), qos=1)
    for i in range(2):
        a.publish(bench.topic("one/x"), b"%d" % i, qos=1)
        b.expect(bench.topic("one/x"), b"%d" % i, qos=1)


def qos(bench):
    """Published at each QoS, received at the lower one of the message's and the subscription's."""
    a = bench.connected("a")
    for granted in range(3):
        b = bench.connected(f"b{granted}")
        b.subscribe(bench.topic("#"), qos=granted)
        for sent in range(3):
            a.publish(bench.topic("x"), b"%d" % sent, qos=sent)
            b.expect(bench.topic("x"), b"%d" % sent, qos=min(sent, granted))
        b.disconnect()


def retained(bench):
    """Whoever subscribes later gets the last one, marked; an empty one clears it."""
    a, early, late = bench.connected("a"), bench.connected("early"), bench.connected("late")
    topic, end = bench.topic("state"), bench.topic("end")
    early.subscribe(bench.topic("#"), qos=1)
    for payload in (b"old", b"new"):
        a.publish(topic, payload, qos=1, retain=True)
        early.expect(topic, payload, qos=1)  # live: not marked
    late.subscribe(bench.topic("#"), qos=1)
    late.expect(topic, b"new", qos=1, retain=True)
    a.publish(topic, b"", qos=1, retain=True)
    late.expect(topic, b"", qos=1)
    too_late = bench.connected("2late")
    too_late.subscribe(bench.topic("#"), qos=1)
    a.publish(end, b"end", qos=1)
    too_late.expect(end, b"end", qos=1)


def will(bench):
    """Published when a client dies, not when it leaves."""
    a, topic = bench.connected("a"), bench.topic("will")
    a.subscribe(topic, qos=1)
    for name, dies in (("leaves", False), ("dies", True)):
        victim = bench.peer(name, driver=bench.new_driver(), will_topic=topic, will_qos=1,
                            will_retain=0, will_payload=name.encode().hex())
        victim.connect()
        if not dies:
            victim.disconnect()
        victim.kill()
    a.expect(topic, b"dies", qos=1)


def session(bench):
    """What comes while a client is away waits for it, in order, and so does its subscription."""
    a, b = bench.connected("a"), bench.peer("b", clean=0, expiry=3600)
    require(not b.connect(), "session present at the first connection")
    b.subscribe(bench.topic("#"), qos=2)
    b.disconnect()
    for i in range(20):
        a.publish(bench.topic("x"), b"%d" % i, qos=1 + i % 2)
    require(b.connect() is not False, "the session is lost")
    got = sorted((b.next_message() for _ in range(20)), key=lambda m: m.qos)
    # Clients hand on QoS 2 at PUBREL: order is within a QoS [v5 4.6].
    require([m.payload for m in got] == [b"%d" % i for i in [*range(0, 20, 2), *range(1, 20, 2)]],
            f"not what was published: {got}")
    b.disconnect()
    b = bench.peer("b")
    require(not b.connect(), "a clean session finds the old one")
    a.publish(bench.topic("x"), b"nobody subscribes", qos=1)
    b.subscribe(bench.topic("end"))
    a.publish(bench.topic("end"), b"end", qos=1)
    b.expect(bench.topic("end"), b"end")


def large(bench):
    """1 MiB of random bytes at each QoS."""
    a, b = bench.connected("a"), bench.connected("b")
    b.subscribe(bench.topic("#"), qos=2)
    for level in range(3):
        payload = random.Random(level).randbytes(LARGE)
        a.publish(bench.topic("x"), payload, qos=level)
        b.expect(bench.topic("x"), payload, qos=level)


def burst(bench):
    """10,000 messages without waiting in between, at each QoS: all of them, once, in order."""
    a, b = bench.connected("a"), bench.connected("b")
    b.subscribe(bench.topic("#"), qos=2)
    for level in range(3):
        a.start_burst(bench.topic("x"), level, BURST)
        for i in range(BURST):
            b.expect(bench.topic("x"), b"%d" % i, qos=level)
        a.burst_done()


def takeover(bench):
    """A second connection with the same identifier ends the first one, and works."""
    first = bench.connected("first", id=bench.id("same"))
    second = bench.connected("second", id=bench.id("same"))
    reason = first.closed()
    require(reason in (None, TAKEN_OVER), f"closed with reason {reason}")
    second.subscribe(bench.topic("#"), qos=1)
    second.publish(bench.topic("x"), b"mine", qos=1)
    second.expect(bench.topic("x"), b"mine", qos=1)


def credentials(bench):
    """A user name and a password are no hindrance where nobody asks for them."""
    a = bench.connected("a", user="alice", password="secret")
    a.subscribe(bench.topic("#"))
    a.publish(bench.topic("x"), b"in", qos=1)
    a.expect(bench.topic("x"), b"in")


def wrong_credentials(bench):
    """A wrong password is refused with the reason, the right one is served."""
    if broker.CREDENTIALS is None:
        raise Skip("frysd has no authentication yet")
    _, user, password = broker.CREDENTIALS
    a = bench.peer("a", user=user, password="wrong")
    a.start_connect()
    code = int(a.wait("refused")[0])
    require(code == (0x86 if bench.version == 5 else 4), f"refused with {code}")
    bench.connected("b", user=user, password=password)


def restart(bench):
    """The broker ends and starts again: the client comes back by itself and finds its session."""
    a = bench.connected("a", reconnect=1, clean=0, expiry=3600)
    a.subscribe(bench.topic("#"), qos=1)
    bench.broker.restart()
    a.closed()
    require(a.connected() is not False, "the session is lost")
    a.publish(bench.topic("x"), b"again", qos=1)
    a.expect(bench.topic("x"), b"again", qos=1)


ALL = (connect, wildcards, overlap, qos, retained, will, session, large, burst, takeover,
       credentials, wrong_credentials, restart)

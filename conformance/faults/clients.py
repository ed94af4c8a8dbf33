"""Clients that vanish, do not read, or send what is no MQTT: they cost themselves and nobody else."""
import asyncio
import os
import random
import socket
import ssl
import struct
import time

import mqtt
import tls
from canary import Canary
from frysd import Failure, Frysd

MEMORY = {"storage": {"durability": "memory"}}


async def closed(c, what):
    """The broker closes the connection; the reason of its DISCONNECT, and the WebSocket code."""
    reason = None
    try:
        while True:
            p = await asyncio.wait_for(c.read(), 30)
            if p.kind == mqtt.DISCONNECT:
                reason = p.reason
    except mqtt.Closed as end:
        c.close()
        return reason, end.code
    except asyncio.TimeoutError:
        raise Failure(f"{what}: still connected after 30 s") from None


async def test_half_open(binary):
    """peers that have gone without a word are dropped by Keep Alive, also when nothing gets through"""
    with Frysd(binary, MEMORY) as broker:
        broker.start()
        ports = broker.ports
        silent = [(await mqtt.join(ports[n], f"silent-{n}", n == "ws", keep_alive_s=1))[0]
                  for n in ("ws", "mqtt")]
        deaf = []
        for n in ("ws", "mqtt"):
            c, _ = await mqtt.join(ports[n], f"deaf-{n}", n == "ws", keep_alive_s=1)
            c.send(mqtt.subscribe(1, [("flood", 0)]))
            await c.read()
            c.writer.transport.pause_reading()
            deaf.append(c)
        async with Canary(ports["ws"], True):
            flood, _ = await mqtt.join(ports["mqtt"], "flood")
            for _ in range(200):
                flood.send(mqtt.publish("flood", bytes(60000)))
                await flood.drain()
            for c in silent:
                if await closed(c, "silent") not in ((0x8D, 1001), (0x8D, None)):
                    raise Failure("a silent client was not told 0x8D")
            flood.close()
            await asyncio.to_thread(broker.wait_metric, "frys_connections", 1)
        for c in deaf:
            c.close()
        if broker.log().count("keep_alive_timeout") != 4:
            raise Failure("not all of them were closed for their Keep Alive")


async def pace(c, broker, seconds, size, per_second):
    """Publish at this rate; the largest RSS seen, in KiB."""
    most, began, n = 0, time.monotonic(), 0
    while time.monotonic() < began + seconds:
        while n < (time.monotonic() - began) * per_second:
            c.send(mqtt.publish("flood", bytes(size)))
            n += 1
        await c.drain()
        most = max(most, broker.rss_kb())
        await asyncio.sleep(0.002)
    return most


async def test_deaf(binary):
    """subscribers that stop reading cost bounded memory, and others' latency does not move"""
    config = {**MEMORY, "workers": 1, "sessions": {"max_queued_bytes": "4MiB"}}
    with Frysd(binary, config) as broker:
        broker.start()
        flood, _ = await mqtt.join(broker.ports["mqtt"], "flood")
        async with Canary(broker.ports["ws"], True) as canary:
            before = await pace(flood, broker, 1.5, 60000, 500)
            healthy, half = canary.median_ms(), len(canary.times)
            deaf = []
            for i in range(8):
                websocket = i % 2 == 0
                c, _ = await mqtt.join(broker.ports["ws" if websocket else "mqtt"], f"deaf{i}",
                                       websocket)
                c.send(mqtt.subscribe(1, [("flood", i // 4)]))
                await c.read()
                c.writer.transport.pause_reading()
                deaf.append(c)
            most = await pace(flood, broker, 2.5, 60000, 500)  # 75 MB
            slower = canary.median_ms(half)
        grown = most - before
        if grown > 60000:  # 4 queues of 4 MiB, 8 buffers, what the allocator keeps
            raise Failure(f"8 deaf subscribers cost {grown} KiB")
        if slower > 3 * healthy + 2:
            raise Failure(f"others' median went from {healthy:.2f} to {slower:.2f} ms")
        if broker.metric("frys_dropped_messages_total") == 0:
            raise Failure("no drop was counted")
        for c in [*deaf, flood]:
            c.close()
    return f"{grown} KiB for 8 of them, median {healthy:.2f} -> {slower:.2f} ms"


# ---- what is no MQTT ----

def client_hello():
    """The first bytes of a good TLS handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    try:
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def rubbish(rng, hello):
    upgrade = (b"GET /mqtt HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
               b"Sec-WebSocket-Protocol: mqtt\r\n\r\n")
    return rng.choice([
        rng.randbytes(rng.randrange(1, 5000)),
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * rng.randrange(2000),
        b"GET /" + rng.randbytes(rng.randrange(3000)),
        b"POST /metrics HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n" + rng.randbytes(1000),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + rng.randbytes(200),
        hello[:rng.randrange(1, len(hello))],
        hello + rng.randbytes(500),
        b"\x16\x03\x01" + rng.randbytes(rng.randrange(400)),
        upgrade + rng.randbytes(rng.randrange(2000)),
        upgrade + mqtt.ws_frame(mqtt.connect("x")) + rng.randbytes(rng.randrange(500)),
        mqtt.connect("x") + rng.randbytes(rng.randrange(500)),
        b"\x10\xff\xff\xff\x7f" + rng.randbytes(1000),
        b"\x30\xff\xff\xff\xff\xff\xff",
    ])


def throw(port, data, rng):
    """Send it in one or two pieces, and leave at once, after an answer, or with a reset."""
    with socket.create_connection(("127.0.0.1", port), 30) as s:
        if rng.random() < 0.3:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        cut = rng.randrange(len(data) + 1)
        try:
            s.sendall(data[:cut])
            s.sendall(data[cut:])
            if rng.random() < 0.3:
                s.shutdown(socket.SHUT_WR)
                s.recv(4096)
        except OSError:
            pass  # it has had enough


def throw_all(ports, rng, n):
    hello = client_hello()
    for _ in range(n):
        throw(rng.choice(ports), rubbish(rng, hello), rng)


async def test_garbage(binary):
    """garbage on every listener: bytes, HTTP, half TLS handshakes, torn connections"""
    rng = random.Random(int(os.environ.get("FAULTS_SEED", "1")))
    with Frysd(binary, MEMORY) as broker, tls.Files(broker.folder) as files:
        broker.config["listeners"] += [
            {"protocol": p, "port": 0,
             "tls": {"certificate": files.certificate, "key": files.key}} for p in ("wss", "mqtts")]
        broker.start()
        async with Canary(broker.ports["ws"], True, "a"), \
                Canary(broker.ports["mqtts"], False, "b", files.context()):
            await asyncio.to_thread(throw_all, list(broker.ports.values()), rng, 1500)
        await asyncio.to_thread(broker.wait_metric, "frys_connections", 0)
        if broker.stop() != 0:
            raise Failure("the broker does not end well")
        if "ERROR" in broker.log():
            raise Failure("what clients send is no ERROR of ours")
    return "1,500 connections"


async def test_garbage_sanitized(binary):
    """the same with AddressSanitizer: no error, no leak"""
    return await test_garbage(binary)


# ---- connections that are cut ----

async def cut(broker, rng, i):
    """A session that ends at some byte of what it sends."""
    websocket = rng.random() < 0.5
    stream = (mqtt.subscribe(1, [("cut/#", rng.randrange(3))])
              + b"".join(mqtt.publish(f"cut/{i}", rng.randbytes(rng.randrange(3000)), q, k + 1)
                         for k, q in enumerate(rng.choices(range(3), k=5))))
    try:
        c, _ = await mqtt.join(broker.ports["ws" if websocket else "mqtt"], f"cut{i % 10}",
                               websocket, clean=rng.random() < 0.5,
                               expiry_s=rng.choice([0, 3600]), will=("cut/will", "w", 1, 0))
        data = mqtt.ws_frame(stream) if websocket else stream
        c.writer.write(data[:rng.randrange(len(data))])
        if rng.random() < 0.5:
            await c.drain()
        c.close()
    except mqtt.Closed:
        pass  # another one with its name has come


async def test_cuts(binary):
    """connections cut at any byte, sessions taken over in the middle of anything"""
    rng = random.Random(int(os.environ.get("FAULTS_SEED", "1")))
    with Frysd(binary, {"workers": 2}) as broker:
        broker.start()
        async with Canary(broker.ports["mqtt"]):
            for i in range(0, 2000, 20):
                await asyncio.gather(*(cut(broker, rng, i + k) for k in range(20)))
        await asyncio.to_thread(broker.wait_metric, "frys_connections", 0)
        if broker.stop() != 0:
            raise Failure("the broker does not end well")
    return "2,000 connections"


async def test_cuts_sanitized(binary):
    """the same with AddressSanitizer: no error, no leak"""
    return await test_cuts(binary)

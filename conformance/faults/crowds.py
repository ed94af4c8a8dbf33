"""Many clients: one after the other, and all at once."""
import asyncio
import errno
import select
import socket
import time

import mqtt
from canary import Canary
from frysd import Failure, Frysd

MEMORY = {"storage": {"durability": "memory"}}
DISCONNECT = b"\xe0\x00"
UPGRADE = (b"GET /mqtt HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
           b"Sec-WebSocket-Protocol: mqtt\r\n\r\n")


# ---- one after the other ----

def visit(ports, i):
    """Connect, subscribe, publish, and leave; over WebSocket the frames come behind the request."""
    words = (mqtt.connect(f"visitor{i % 100}", clean=i % 3 != 0, expiry_s=i % 2)
             + mqtt.subscribe(1, [(f"visits/{i % 50}", 1)])
             + mqtt.publish(f"visits/{i % 50}", "x", 1, 1))
    leave = DISCONNECT if i % 4 else b""
    websocket = i % 2 == 0
    with socket.create_connection(("127.0.0.1", ports["ws" if websocket else "mqtt"]), 30) as s:
        s.sendall(UPGRADE + mqtt.ws_frame(words + leave) if websocket else words + leave)
        if leave:
            if websocket:
                s.sendall(mqtt.ws_frame(b"\x03\xe8", 8))
            while s.recv(4096):
                pass
        else:
            s.recv(4096)  # and gone without a word


def come_and_go(broker, first, n):
    for i in range(first, first + n):
        visit(broker.ports, i)
    broker.wait_metric("frys_connections", 0)


def test_come_and_go(binary):
    """20,000 clients connect and leave: memory stays as it is"""
    with Frysd(binary, MEMORY) as broker:
        broker.config["workers"] = 2
        broker.start()
        come_and_go(broker, 0, 5000)
        warm = broker.rss_kb()
        come_and_go(broker, 5000, 15000)
        grown = broker.rss_kb() - warm
        if grown > 512:
            raise Failure(f"15,000 clients have left {grown} KiB")
        if broker.stop() != 0:
            raise Failure("the broker does not end well")
    return f"{grown:+} KiB after the first 5,000"


def test_come_and_go_sanitized(binary):
    """1,000 clients with AddressSanitizer: no leak at the end"""
    with Frysd(binary) as broker:
        broker.start()
        come_and_go(broker, 0, 1000)
        if broker.stop() != 0:
            raise Failure(f"it ended with {broker.process.returncode}")


# ---- all at once ----

class Storm:
    """n non-blocking connections that are all begun before the first one is answered."""

    def __init__(self, ports, n):
        self.poll = select.epoll()
        self.open = {}      # fd: (socket, bytes to send when it is connected)
        self.sockets = []
        self.answered = 0
        for i in range(n):
            websocket = i % 2 == 0
            hello = mqtt.connect(f"storm{i}")
            s = socket.socket()
            s.setblocking(False)
            self.sockets.append(s)
            self.open[s.fileno()] = (s, UPGRADE + mqtt.ws_frame(hello) if websocket else hello)
            rc = s.connect_ex(("127.0.0.1", ports["ws" if websocket else "mqtt"]))
            if rc not in (0, errno.EINPROGRESS):
                raise Failure(f"connection {i + 1}: {errno.errorcode[rc]}")
            self.poll.register(s, select.EPOLLOUT)

    def run(self, until, timeout_s):
        """Go on until so many have their CONNACK."""
        deadline = time.monotonic() + timeout_s
        while self.answered < until:
            for fd, _ in self.poll.poll(0.1):
                self.step(fd)
            if time.monotonic() > deadline:
                raise Failure(f"{self.answered} of {len(self.sockets)} were served within "
                              f"{timeout_s} s")

    def step(self, fd):
        s, hello = self.open[fd]
        error = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise Failure(f"a connection failed: {errno.errorcode[error]}")
        if hello:
            s.send(hello)
            self.open[fd] = (s, b"")
            self.poll.modify(s, select.EPOLLIN)
            return
        data = s.recv(4096)
        if not data:
            raise Failure("a connection was closed")
        # CONNACK, success [v5 3.2]: behind the 101 and in a frame, or alone
        if b"\x20" in data.rsplit(b"\r\n\r\n", 1)[-1]:
            self.answered += 1
            self.poll.unregister(s)

    def close(self):
        for s in self.sockets:
            s.close()
        self.poll.close()


async def test_storm(binary):
    """5,000 clients connect at the same moment: all are served"""
    with Frysd(binary, {**MEMORY, "workers": 2}) as broker:
        broker.start()
        async with Canary(broker.ports["mqtt"]):
            began = time.monotonic()
            storm = await asyncio.to_thread(Storm, broker.ports, 5000)
            await asyncio.to_thread(storm.run, 5000, 30)
            seconds = time.monotonic() - began
            if await asyncio.to_thread(broker.metric, "frys_connections") != 5001:
                raise Failure("not all are counted")
            storm.close()
            await asyncio.to_thread(broker.wait_metric, "frys_connections", 1)
    return f"{seconds:.1f} s"


async def test_out_of_files(binary):
    """more connections than file descriptors: those inside are served, the rest wait, no CPU is burnt"""
    with Frysd(binary, {**MEMORY, "workers": 2}) as broker:
        broker.start(open_files=150)
        async with Canary(broker.ports["mqtt"]):
            storm = await asyncio.to_thread(Storm, broker.ports, 400)
            await asyncio.to_thread(storm.run, 50, 30)
            await asyncio.to_thread(broker.wait_log, "listener.cannot_accept.*LimitNOFILE")
            before, began = broker.cpu_s(), time.monotonic()
            try:
                await asyncio.to_thread(storm.run, 401, 1)  # there is no room for more
            except Failure:
                pass
            used = (broker.cpu_s() - before) / (time.monotonic() - began)
            if used > 0.15:
                raise Failure(f"waiting takes {100 * used:.0f} % of a processor")
            if storm.answered > 150:
                raise Failure("there was no shortage")
            storm.close()
            again = await asyncio.to_thread(Storm, broker.ports, 50)
            await asyncio.to_thread(again.run, 50, 30)
            again.close()
        if broker.stop() != 0:
            raise Failure("the broker does not end well")
    return f"{100 * used:.0f} % of a processor"

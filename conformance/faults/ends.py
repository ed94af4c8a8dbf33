"""How frysd ends."""
import asyncio
import random
import signal
import time

import mqtt
from frysd import Failure, Frysd

OPEN_MAX = 50  # exchanges that a publisher has open
LOAD = 2000    # acknowledged messages before the signal comes
ROUNDS = 4


class Load:
    """Publishers at QoS 1 and 2, and subscribers that are there to the end."""

    def __init__(self, broker):
        self.broker = broker
        self.acked = set()     # payloads that the broker has taken responsibility for
        self.received = {}     # by subscriber
        self.goodbyes = {}     # by client: (DISCONNECT reason, WebSocket code)
        self.versions = {}

    async def join(self, name, i):
        websocket, version = i % 2 == 0, 5 if i % 4 < 2 else 4
        self.versions[name] = (version, websocket)
        port = self.broker.ports["ws" if websocket else "mqtt"]
        return (await mqtt.join(port, name, websocket, version))[0]

    async def until_closed(self, name, c, take):
        reason = None
        try:
            while True:
                p = await c.read()
                if p.kind == mqtt.DISCONNECT:
                    reason = p.reason
                else:
                    take(p)
                    await c.drain()
        except mqtt.Closed as end:
            self.goodbyes[name] = (reason, end.code)
        finally:
            c.close()

    async def subscriber(self, i):
        name = f"s{i}"
        c = await self.join(name, i)
        got = self.received[name] = []
        c.send(mqtt.subscribe(1, [("load/#", i % 3)], c.version))
        await c.read()

        def take(p):
            if p.kind == mqtt.PUBLISH:
                got.append(p.payload)
                if p.qos:
                    c.send(mqtt.ack(mqtt.PUBACK if p.qos == 1 else mqtt.PUBREC, p.packet_id))
            elif p.kind == mqtt.PUBREL:
                c.send(mqtt.ack(mqtt.PUBCOMP, p.packet_id))

        return asyncio.ensure_future(self.until_closed(name, c, take))

    async def publisher(self, i):
        name, qos = f"p{i}", 1 + i // 2 % 2
        c = await self.join(name, i)
        open_ones, number = {}, 0

        def publish():
            nonlocal number
            number += 1
            packet_id = number % 60000 + 1
            open_ones[packet_id] = f"{name} {number}".encode()
            c.send(mqtt.publish(f"load/{name}", open_ones[packet_id], qos, packet_id,
                                version=c.version))

        def take(p):
            if p.kind in (mqtt.PUBACK, mqtt.PUBREC):
                self.acked.add(open_ones.pop(p.packet_id))
                if p.kind == mqtt.PUBREC:
                    c.send(mqtt.ack(mqtt.PUBREL, p.packet_id))
                publish()

        for _ in range(OPEN_MAX):
            publish()
        return asyncio.ensure_future(self.until_closed(name, c, take))

    def check(self):
        for name, got in self.received.items():
            lost = self.acked - set(got)
            if lost:
                raise Failure(f"{name} misses {len(lost)} of {len(self.acked)} acknowledged "
                              f"messages: {sorted(lost)[:5]}")
        for name, (reason, code) in self.goodbyes.items():
            version, websocket = self.versions[name]
            wanted = (0x8B if version == 5 else None, 1001 if websocket else None)
            if (reason, code) != wanted:
                raise Failure(f"{name} saw DISCONNECT {reason} and Close {code}, expected {wanted}")


async def end_under_load(binary, workers, number):
    config = {"workers": workers, "sessions": {"max_queued_messages": 1000000}}
    with Frysd(binary, config) as broker:
        broker.start()
        load = Load(broker)
        tasks = [await load.subscriber(i) for i in range(6)]
        tasks += [await load.publisher(i) for i in range(8)]
        while len(load.acked) < LOAD:
            await asyncio.sleep(0.001)
        await asyncio.sleep(random.random() / 10)
        began = time.monotonic()
        broker.signal(number)
        await asyncio.wait_for(asyncio.gather(*tasks), 30)
        if await asyncio.to_thread(broker.wait) != 0:
            raise Failure(f"it ended with {broker.process.returncode}")
        seconds = time.monotonic() - began
        if seconds > 9:
            raise Failure(f"it took {seconds:.1f} s of the 10 that it has for those who do not read")
        load.check()
        return len(load.acked)


async def rounds(binary, workers, number):
    return f"{sum([await end_under_load(binary, workers, number) for _ in range(ROUNDS)])} messages"


async def test_term_one_worker(binary):
    """SIGTERM under load, 1 worker: nothing acknowledged is lost, everybody is told, exit 0"""
    return await rounds(binary, 1, signal.SIGTERM)


async def test_term_two_workers(binary):
    """SIGINT under load, 2 workers: the same"""
    return await rounds(binary, 2, signal.SIGINT)


async def test_term_twice(binary):
    """a second SIGTERM does not wait for clients that do not read"""
    with Frysd(binary, {"shutdown_timeout": "1h"}) as broker:
        broker.start()
        deaf, _ = await mqtt.join(broker.ports["mqtt"], "deaf")
        deaf.send(mqtt.subscribe(1, [("#", 1)]))
        await deaf.read()
        deaf.writer.transport.pause_reading()
        pub, _ = await mqtt.join(broker.ports["mqtt"], "pub")
        for i in range(200):
            pub.send(mqtt.publish("t", bytes(60000), 1, i + 1))
        for _ in range(200):
            await pub.read()
        broker.signal(signal.SIGTERM)
        await asyncio.to_thread(broker.wait_log, "daemon.drain")
        while (await pub.read()).kind != mqtt.DISCONNECT:
            pass  # the drain is at work
        if broker.process.poll() is not None:
            raise Failure("it did not wait for the one who does not read")
        broker.signal(signal.SIGTERM)
        if await asyncio.to_thread(broker.wait, 10) != 0:
            raise Failure(f"it ended with {broker.process.returncode}")
        deaf.close()


def test_term_idle(binary):
    """SIGTERM without clients: exit 0 at once; and a new start finds everything in order"""
    with Frysd(binary) as broker:
        for _ in range(5):
            broker.start()
            began = time.monotonic()
            if broker.stop() != 0 or time.monotonic() - began > 5:
                raise Failure("it does not end well")
        if "ERROR" in broker.log():
            raise Failure("something was not in order")


def test_killed(binary):
    """SIGABRT, as a failed assertion sends: the exit status tells"""
    with Frysd(binary) as broker:
        broker.start()
        broker.signal(signal.SIGABRT)
        if broker.wait() != -signal.SIGABRT:
            raise Failure(f"it ended with {broker.process.returncode}")

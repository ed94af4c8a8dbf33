"""A client that lives beside a fault and may notice nothing of it."""
import asyncio
import time

import mqtt
from frysd import Failure

ANSWER_S = 5  # much, for a machine that is busy with everything else


class Canary:
    """Publishes to itself again and again; async with Canary(broker, port): ..."""

    def __init__(self, port, websocket=False, name="canary", tls=None, period_s=0.005):
        self.port, self.websocket, self.name, self.tls = port, websocket, name, tls
        self.period_s = period_s
        self.times = []  # seconds from PUBLISH to its return, in order

    async def __aenter__(self):
        self.c, _ = await mqtt.join(self.port, self.name, self.websocket, tls=self.tls)
        self.c.send(mqtt.subscribe(1, [(f"canary/{self.name}", 1)]))
        await self.expect(mqtt.SUBACK)
        self.stopping = False
        self.task = asyncio.ensure_future(self.sing())
        return self

    async def __aexit__(self, kind, exception, trace):
        self.stopping = True
        if exception is not None:
            self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=exception is not None)
        self.c.close()
        try:
            await self.c.writer.wait_closed()
        except OSError:
            pass

    async def expect(self, kind):
        try:
            p = await asyncio.wait_for(self.c.read(), ANSWER_S)
        except mqtt.Closed:
            raise Failure(f"{self.name}: the connection was closed") from None
        except asyncio.TimeoutError:
            raise Failure(f"{self.name}: no answer within {ANSWER_S} s") from None
        if p.kind != kind:
            raise Failure(f"{self.name}: a packet of type {p.kind}, expected {kind}")
        return p

    async def sing(self):
        n = 0
        while not self.stopping:
            n += 1
            began = time.monotonic()
            self.c.send(mqtt.publish(f"canary/{self.name}", str(n), 0))
            p = await self.expect(mqtt.PUBLISH)
            self.times.append(time.monotonic() - began)
            if p.payload != str(n).encode():
                raise Failure(f"{self.name}: got {p.payload}, sent {n}")
            await asyncio.sleep(self.period_s)

    def median_ms(self, since=0):
        """Of the times from there on."""
        times = sorted(self.times[since:])
        return 1000 * times[len(times) // 2] if times else 0.0

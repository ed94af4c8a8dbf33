"""SIGHUP, with good configurations and bad ones, under load: all of it takes effect or nothing, and
nobody is dropped."""
import asyncio
import signal

import mqtt
import tls
from canary import Canary
from frysd import Failure, Frysd


def hang_up(broker, expected, text=None):
    """SIGHUP with this text as the file, or with the configuration as it is; wait for the log."""
    name = broker.write_config()
    if text is not None:
        with open(name, "w") as f:
            f.write(text)
    began = broker.log_size()
    broker.signal(signal.SIGHUP)
    broker.wait_log(expected, began)
    return broker.log(began)


async def largest_packet(broker):
    """Maximum Packet Size as a new client is told [v5 3.2.2.3.6]."""
    c = await mqtt.open_connection(broker.ports["mqtt"])
    c.send(mqtt.connect("asks"))
    body = (await c.read()).body
    c.close()
    at = body.index(b"\x27", 2)
    return int.from_bytes(body[at + 1:at + 5], "big")


BAD = [
    ("listeners: [{protocol: ws}, {protocol: mqtt}]\nlimits: {max_packet_size: 3MiB, maximum: 1}\n",
     r'line=2 column=\d+ text="limits\.maximum: unknown option'),
    ("limits: {max_packet_size: 3MiB\n", r"line=\d+ column=\d+ text="),
    ("limits: {max_packet_size: 1GiB}\n", r'line=1 column=27 text="limits\.max_packet_size: .*range'),
]


async def test_reload(binary):
    """SIGHUP under load: a good file takes effect, a bad one is told with its place, nobody is dropped"""
    with Frysd(binary, {"workers": 2}) as broker:
        broker.start()
        async with Canary(broker.ports["ws"], True, "a"), Canary(broker.ports["mqtt"], name="b"):
            for i in range(1, 6):
                broker.config["limits"] = {"max_packet_size": f"{i}MiB"}
                await asyncio.to_thread(hang_up, broker, "config.reloaded")
                if await largest_packet(broker) != i << 20:
                    raise Failure("a new limit has not taken effect")
                for text, pattern in BAD:
                    said = await asyncio.to_thread(hang_up, broker, "config.reload_failed", text)
                    broker.wait_log(pattern, broker.log_size() - len(said.encode()), 1)
                    if await largest_packet(broker) != i << 20:
                        raise Failure("a bad file has changed something")
            said = await asyncio.to_thread(
                hang_up, broker, "config.reloaded",
                "workers: 7\nstorage: {durability: memory}\nlisteners: [{protocol: ws}]\n")
            for option in ("workers", "storage"):
                if f'restart_needed option="{option}' not in said:
                    raise Failure(f"that {option} needs a restart was not told: {said}")
        if broker.stop() != 0:
            raise Failure("the broker does not end well")


async def shown(broker, listener, files):
    c, _ = await mqtt.join(broker.ports[listener], "looks", listener == "wss", tls=files.context())
    number = tls.serial(c)
    c.close()
    return number


async def test_certificates(binary):
    """SIGHUP brings new certificates, and keeps the old ones when the new are no good; nobody is dropped"""
    with Frysd(binary, {"workers": 2}) as broker, tls.Files(broker.folder) as files:
        broker.config["listeners"] += [
            {"protocol": p, "port": 0,
             "tls": {"certificate": files.certificate, "key": files.key}} for p in ("wss", "mqtts")]
        broker.start()
        async with Canary(broker.ports["wss"], True, "a", files.context()), \
                Canary(broker.ports["mqtts"], False, "b", files.context()):
            for number in range(2, 6):
                files.renew(number)
                await asyncio.to_thread(hang_up, broker, "config.reloaded")
                for listener in ("wss", "mqtts", "wss", "mqtts"):
                    if await shown(broker, listener, files) != number:
                        raise Failure("a new certificate is not shown")
                with open(files.key) as f:
                    key = f.read()
                with open(files.key, "w") as f:
                    f.write("no key\n")
                await asyncio.to_thread(hang_up, broker, "config.reload_failed.*localhost.key")
                if await shown(broker, "wss", files) != number:
                    raise Failure("a bad key has changed something")
                with open(files.key, "w") as f:
                    f.write(key)

"""A small MQTT client (3.1.1 and 5, over TCP and WebSocket) that shows packets as they are and keeps
nothing to itself: whoever uses it plays the protocol."""
import asyncio
import base64
import os
import struct

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = range(1, 8)
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = range(8, 16)


# ---- packets ----

def varint(n):
    out = b""
    while True:
        out += bytes([n & 0x7F | (0x80 if n > 0x7F else 0)])
        n >>= 7
        if n == 0:
            return out


def text(s):
    s = s.encode() if isinstance(s, str) else s
    return struct.pack(">H", len(s)) + s


def packet(kind, flags, body):
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


def connect(client_id, version=5, clean=True, expiry_s=0, keep_alive_s=0, will=None, props=b""):
    """will: (topic, payload, qos, retain)."""
    flags = 2 if clean else 0
    if will:
        flags |= 4 | will[2] << 3 | will[3] << 5
    body = text("MQTT") + bytes([version, flags]) + struct.pack(">H", keep_alive_s)
    if version == 5:
        if expiry_s:
            props += b"\x11" + struct.pack(">I", expiry_s)
        body += varint(len(props)) + props
    body += text(client_id)
    if will:
        body += (b"\0" if version == 5 else b"") + text(will[0]) + text(will[1])
    return packet(CONNECT, 0, body)


def publish(topic, payload, qos=0, packet_id=0, retain=False, dup=False, version=5):
    body = text(topic)
    if qos:
        body += struct.pack(">H", packet_id)
    if version == 5:
        body += b"\0"
    payload = payload.encode() if isinstance(payload, str) else payload
    return packet(PUBLISH, dup << 3 | qos << 1 | retain, body + payload)


def ack(kind, packet_id):
    return packet(kind, 2 if kind == PUBREL else 0, struct.pack(">H", packet_id))


def subscribe(packet_id, filters, version=5):
    """filters: [(filter, options)]."""
    body = struct.pack(">H", packet_id) + (b"\0" if version == 5 else b"")
    return packet(SUBSCRIBE, 2, body + b"".join(text(f) + bytes([o]) for f, o in filters))


def unsubscribe(packet_id, filters, version=5):
    body = struct.pack(">H", packet_id) + (b"\0" if version == 5 else b"")
    return packet(UNSUBSCRIBE, 2, body + b"".join(text(f) for f in filters))


def take_varint(data, at):
    """(number, offset behind it), or None when the data ends before it."""
    n, shift = 0, 0
    while at < len(data):
        n |= (data[at] & 0x7F) << shift
        at += 1
        shift += 7
        if data[at - 1] < 0x80:
            return n, at
    return None


class Packet:
    """A packet from the broker, taken apart as far as tests need it."""

    def __init__(self, head, body, version):
        self.kind, self.flags, self.body = head >> 4, head & 15, body
        self.qos, self.retain, self.dup = head >> 1 & 3, bool(head & 1), bool(head & 8)
        self.packet_id = self.reason = 0
        if self.kind == PUBLISH:
            self.take_publish(version)
        elif self.kind == CONNACK:
            self.present, self.reason = bool(body[0] & 1), body[1]
        elif self.kind in (DISCONNECT, AUTH):
            self.reason = body[0] if body else 0
        elif len(body) >= 2:
            self.packet_id = struct.unpack(">H", body[:2])[0]
            self.take_reasons(version)

    def take_publish(self, version):
        n = struct.unpack(">H", self.body[:2])[0]
        self.topic, at = self.body[2:2 + n].decode(), 2 + n
        if self.qos:
            self.packet_id = struct.unpack(">H", self.body[at:at + 2])[0]
            at += 2
        if version == 5:
            n, at = take_varint(self.body, at)
            at += n
        self.payload = self.body[at:]

    def take_reasons(self, version):
        if self.kind in (SUBACK, UNSUBACK):
            at = 2
            if version == 5:
                n, at = take_varint(self.body, at)
                at += n
            self.reasons = list(self.body[at:])
        elif len(self.body) > 2:
            self.reason = self.body[2]


# ---- connections ----

class Closed(Exception):
    """The connection has ended; code: of a WebSocket Close frame."""

    def __init__(self, code=None):
        super().__init__(f"connection closed ({code})")
        self.code = code


def ws_frame(data, opcode=2):
    """One masked frame; the mask is zero, so that the bytes stay as they are."""
    n = len(data)
    if n < 126:
        head = bytes([0x80 | opcode, 0x80 | n])
    elif n < 65536:
        head = bytes([0x80 | opcode, 0xFE]) + struct.pack(">H", n)
    else:
        head = bytes([0x80 | opcode, 0xFF]) + struct.pack(">Q", n)
    return head + b"\0\0\0\0" + data


class Connection:
    """A network connection that sends and reads packets. Made by open_connection()."""

    def __init__(self, reader, writer, websocket, version):
        self.reader, self.writer = reader, writer
        self.websocket, self.version = websocket, version
        self.data = b""

    def send(self, data):
        """Hand over bytes of the MQTT stream; drain() waits until they have left."""
        self.writer.write(ws_frame(data) if self.websocket else data)

    async def drain(self):
        try:
            await self.writer.drain()
        except OSError:
            raise Closed from None

    async def read_some(self):
        try:
            if self.websocket:
                self.data += await self.read_frame()
                return
            more = await self.reader.read(65536)
        except (asyncio.IncompleteReadError, OSError):
            raise Closed from None
        if not more:
            raise Closed
        self.data += more

    async def read_frame(self):
        """Payload of the next data frame; pings are answered."""
        while True:
            head = await self.reader.readexactly(2)
            n = head[1] & 0x7F
            if n == 126:
                n = struct.unpack(">H", await self.reader.readexactly(2))[0]
            elif n == 127:
                n = struct.unpack(">Q", await self.reader.readexactly(8))[0]
            payload = await self.reader.readexactly(n)
            opcode = head[0] & 15
            if opcode == 8:
                raise Closed(struct.unpack(">H", payload[:2])[0] if n >= 2 else None)
            if opcode == 9:
                self.writer.write(ws_frame(payload, 10))
            elif opcode < 8:
                return payload

    def take_packet(self):
        """The next packet that is there whole, or None."""
        length = take_varint(self.data, 1)
        if length is None or len(self.data) < length[1] + length[0]:
            return None
        n, at = length
        p = Packet(self.data[0], self.data[at:at + n], self.version)
        self.data = self.data[at + n:]
        return p

    async def read(self):
        """The next packet; Closed when there is none."""
        while True:
            p = self.take_packet()
            if p is not None:
                return p
            await self.read_some()

    def close(self):
        """Without a word."""
        self.writer.transport.abort()


async def open_connection(port, websocket=False, version=5, path="/mqtt", tls=None):
    """tls: an ssl.SSLContext."""
    try:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, limit=1 << 20, ssl=tls,
            server_hostname="localhost" if tls else None)
        if websocket:
            key = base64.b64encode(os.urandom(16)).decode()
            writer.write((f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                          f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
                          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
                          ).encode())
            answer = await reader.readuntil(b"\r\n\r\n")
            if b" 101 " not in answer.split(b"\r\n")[0]:
                raise Closed
    except (asyncio.IncompleteReadError, OSError):
        raise Closed from None
    return Connection(reader, writer, websocket, version)


async def join(port, client_id, websocket=False, version=5, tls=None, **options):
    """Connect and read the CONNACK, which must be a success: (connection, session present)."""
    c = await open_connection(port, websocket, version, tls=tls)
    c.send(connect(client_id, version, **options))
    p = await c.read()
    if p.kind != CONNACK or p.reason != 0:
        c.close()
        raise Closed
    return c, p.present

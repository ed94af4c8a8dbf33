#!/usr/bin/python3
"""Paho Python (Debian's python3-paho-mqtt 1.6): MQTT 3.1, 3.1.1 and 5.0; TCP, WebSocket and TLS."""
import ssl
import threading
import urllib.parse

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from runner import report, serve

VERSIONS = {"3": mqtt.MQTTv31, "4": mqtt.MQTTv311, "5": mqtt.MQTTv5}
KEEP_ALIVE_S = 60
INFLIGHT = 1000  # Paho's own limit of 20 would turn a burst into a dialogue


class Client:
    def __init__(self, name, o):
        self.name, self.version5 = name, o["version"] == "5"
        url = urllib.parse.urlsplit(o["url"])
        self.client = c = mqtt.Client(
            o["id"], clean_session=None if self.version5 else o["clean"] == "1",
            protocol=VERSIONS[o["version"]], reconnect_on_failure=o.get("reconnect") == "1",
            transport="websockets" if url.scheme in ("ws", "wss") else "tcp")
        self.left = 0                # how many of its messages are not acknowledged
        self.acknowledging = threading.Lock()
        self.online = self.leaving = False
        c.max_inflight_messages_set(INFLIGHT)
        c.on_connect, c.on_disconnect = self.on_connect, self.on_disconnect
        c.on_message, c.on_publish = self.on_message, self.on_publish
        c.on_subscribe, c.on_unsubscribe = self.on_subscribe, self.on_unsubscribe
        if url.scheme in ("ws", "wss"):
            c.ws_set_options(path=url.path)
        if url.scheme in ("wss", "ssl"):
            c.tls_set(ca_certs=o["ca"], cert_reqs=ssl.CERT_REQUIRED)
        if "user" in o:
            c.username_pw_set(o["user"], o["password"])
        if "will_topic" in o:
            c.will_set(o["will_topic"], bytes.fromhex(o["will_payload"]), int(o["will_qos"]),
                       o["will_retain"] == "1")
        c.connect(url.hostname, url.port, KEEP_ALIVE_S, **self.connect_options(o))
        c.loop_start()

    def connect_options(self, o):
        if not self.version5:
            return {}
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = int(o.get("expiry", 0))
        return {"clean_start": o["clean"] == "1", "properties": properties}

    # ---- events: from Paho's thread ----

    def on_connect(self, _client, _userdata, flags, code, _properties=None):
        code = code.value if self.version5 else code
        self.online = code == 0
        if code == 0:
            report("connected", self.name, flags["session present"])
        else:
            report("refused", self.name, code)

    def on_disconnect(self, _client, _userdata, code, _properties=None):
        if self.leaving:
            report("disconnected", self.name)
        elif self.online:
            report("closed", self.name, getattr(code, "value", "-"))
        self.online = False

    def on_message(self, _client, _userdata, m):
        report("message", self.name, m.topic, m.qos, int(m.retain), m.payload.hex() or "-")

    def on_subscribe(self, _client, _userdata, _mid, granted, _properties=None):
        report("subscribed", self.name, getattr(granted[0], "value", granted[0]))

    def on_unsubscribe(self, *_):
        report("unsubscribed", self.name)

    def on_publish(self, *_):
        self.acknowledged(1)

    def acknowledged(self, n):
        with self.acknowledging:
            self.left -= n
            if self.left == 0:
                report("published", self.name)

    # ---- commands ----

    def subscribe(self, topic_filter, qos):
        self.client.subscribe(topic_filter, int(qos))

    def unsubscribe(self, topic_filter):
        self.client.unsubscribe(topic_filter)

    def publish(self, topic, qos, retain, payload):
        self.publish_all(topic, qos, retain == "1",
                         [b"" if payload == "-" else bytes.fromhex(payload)])

    def burst(self, topic, qos, count):
        self.publish_all(topic, qos, False, [b"%d" % i for i in range(int(count))])

    def publish_all(self, topic, qos, retain, payloads):
        self.left = len(payloads)
        for payload in payloads:
            self.client.publish(topic, payload, int(qos), retain)

    def disconnect(self):
        self.leaving = True
        self.client.disconnect()


serve(Client)

// MQTT.js, in Node and in browsers.
import mqtt from 'mqtt'

export class Client {
  constructor(o, report) {
    this.report = report
    this.online = false
    this.client = mqtt.connect(o.url.replace(/^tcp:/, 'mqtt:').replace(/^ssl:/, 'mqtts:'), {
      protocolVersion: o.version,
      protocolId: o.version === 3 ? 'MQIsdp' : 'MQTT',
      clientId: o.id,
      clean: o.clean,
      username: o.user,
      password: o.password,
      properties: o.version === 5 && o.expiry ? { sessionExpiryInterval: o.expiry } : undefined,
      will: o.will_topic && {
        topic: o.will_topic, payload: o.will_payload, qos: o.will_qos, retain: o.will_retain,
      },
      reconnectPeriod: o.reconnect ? 200 : 0, // ms
    })
    this.client.on('connect', (connack) => {
      this.online = true
      report.connected(connack.sessionPresent ? 1 : 0)
    })
    this.client.on('message', (topic, payload, packet) =>
      report.message(topic, packet.qos, packet.retain, payload))
    this.client.on('disconnect', (packet) => { this.reason = packet.reasonCode })
    this.client.on('close', () => this.closed())
    this.client.on('error', (error) => this.failed(error, o.reconnect))
  }

  closed() {
    if (this.online && !this.client.disconnecting) this.report.closed(this.reason)
    this.online = false
  }

  failed(error, tries_again) {
    if (typeof error.code === 'number') this.report.refused(error.code)
    else if (!tries_again) this.report.error(error)
  }

  subscribe(filter, qos) {
    this.client.subscribe(filter, { qos }, (error, granted) =>
      error ? this.report.error(error) : this.report.subscribed(granted[0].qos))
  }

  unsubscribe(filter) {
    this.client.unsubscribe(filter, (error) =>
      error ? this.report.error(error) : this.report.unsubscribed())
  }

  publish(topic, qos, retain, payloads) {
    let left = payloads.length
    for (const payload of payloads) {
      // A Buffer of its own kind is what MQTT.js takes in browsers, too.
      const bytes = typeof payload === 'string' ? payload : mqtt.Buffer?.from(payload) ?? payload
      this.client.publish(topic, bytes, { qos, retain }, (error) => {
        if (error) this.report.error(error)
        else if (--left === 0) this.report.published()
      })
    }
  }

  disconnect() {
    this.client.end(false, {}, () => this.report.disconnected())
  }
}

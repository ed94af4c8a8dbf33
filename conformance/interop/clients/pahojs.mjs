// Paho JavaScript. The page has loaded it as a script; it speaks MQTT 3.1 and 3.1.1 over WebSocket.
const { Client: PahoClient, Message } = globalThis.Paho

export class Client {
  constructor(o, report) {
    this.report = report
    this.undelivered = new Map() // message: what to call when it is acknowledged
    this.client = new PahoClient(o.url, o.id)
    this.client.onConnected = () => report.connected()
    this.client.onMessageArrived = (m) =>
      report.message(m.destinationName, m.qos, m.retained, m.payloadBytes)
    this.client.onMessageDelivered = (m) => {
      const done = this.undelivered.get(m)
      this.undelivered.delete(m)
      done?.()
    }
    this.client.onConnectionLost = ({ errorCode }) =>
      errorCode === 0 ? report.disconnected() : report.closed()
    this.client.connect({
      mqttVersion: o.version,
      cleanSession: o.clean,
      reconnect: o.reconnect,
      timeout: o.reconnect ? 2 : 30, // s; a second attempt to connect again waits for it
      onFailure: ({ errorMessage }) => this.refused(errorMessage),
      ...(o.user && { userName: o.user, password: o.password }),
      ...(o.will_topic && {
        willMessage: this.message(o.will_topic, o.will_qos, o.will_retain, o.will_payload),
      }),
    })
  }

  // "AMQJS0006E Bad Connack return code:5 Connection Refused: not authorized."
  refused(text) {
    const code = /return code:(\d+)/.exec(text)
    if (code) this.report.refused(code[1])
    else this.report.error(text)
  }

  message(topic, qos, retained, payload) {
    return Object.assign(new Message(payload), { destinationName: topic, qos, retained })
  }

  subscribe(filter, qos) {
    this.client.subscribe(filter, {
      qos,
      onSuccess: ({ grantedQos }) => this.report.subscribed(grantedQos[0] ?? grantedQos),
      onFailure: ({ errorMessage }) => this.report.error(errorMessage),
    })
  }

  unsubscribe(filter) {
    this.client.unsubscribe(filter, {
      onSuccess: () => this.report.unsubscribed(),
      onFailure: ({ errorMessage }) => this.report.error(errorMessage),
    })
  }

  publish(topic, qos, retain, payloads) {
    let left = payloads.length
    for (const payload of payloads) {
      const message = this.message(topic, qos, retain, payload)
      this.undelivered.set(message, () => { if (--left === 0) this.report.published() })
      this.client.send(message)
    }
  }

  disconnect() {
    this.client.disconnect()
  }
}

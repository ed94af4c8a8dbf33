// Lines in, calls of a client out; shared by the shells node.mjs and page.html.

const hexed = (bytes) => {
  let text = ''
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0')
  return text || '-'
}

const unhexed = (word) => {
  const bytes = new Uint8Array(word === '-' ? 0 : word.length / 2)
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(word.slice(2 * i, 2 * i + 2), 16)
  return bytes
}

const options = (words) => {
  const o = Object.fromEntries(words.map((word) => {
    const at = word.indexOf('=')
    return [word.slice(0, at), word.slice(at + 1)]
  }))
  for (const key of ['version', 'expiry', 'will_qos']) if (key in o) o[key] = Number(o[key])
  for (const key of ['clean', 'reconnect', 'will_retain']) o[key] = o[key] === '1'
  if (o.will_payload) o.will_payload = unhexed(o.will_payload)
  return o
}

// What a client library's adapter calls to tell what happened to one of its clients.
const reporter = (name, write) => ({
  connected: (session) => write(`connected ${name} ${session ?? '?'}`),
  refused: (code) => write(`refused ${name} ${code ?? '-'}`),
  subscribed: (qos) => write(`subscribed ${name} ${qos}`),
  unsubscribed: () => write(`unsubscribed ${name}`),
  published: () => write(`published ${name}`),
  message: (topic, qos, retain, payload) =>
    write(`message ${name} ${topic} ${qos} ${retain ? 1 : 0} ${hexed(payload)}`),
  disconnected: () => write(`disconnected ${name}`),
  closed: (code) => write(`closed ${name} ${code ?? '-'}`),
  error: (error) => write(`error ${name} ${error}`),
})

// A function that carries out a command. `Client` is the class of an adapter: see mqttjs.mjs.
export const driver = (Client, write) => {
  const clients = new Map()

  const run = (verb, name, words) => {
    if (verb === 'connect') {
      clients.set(name, new Client(options(words), reporter(name, write)))
      return
    }
    const client = clients.get(name)
    if (verb === 'subscribe') client.subscribe(words[0], Number(words[1]))
    else if (verb === 'unsubscribe') client.unsubscribe(words[0])
    else if (verb === 'publish') {
      const [topic, qos, retain, payload] = words
      client.publish(topic, Number(qos), retain === '1', [unhexed(payload)])
    } else if (verb === 'burst') {
      const [topic, qos, count] = words
      client.publish(topic, Number(qos), false, Array.from({ length: count }, (_, i) => `${i}`))
    } else if (verb === 'disconnect') client.disconnect()
    else throw new Error(`unknown command ${verb}`)
  }

  return (line) => {
    const [verb, name, ...words] = line.split(' ')
    try {
      run(verb, name, words)
    } catch (error) {
      write(`error ${name} ${error}`)
    }
  }
}

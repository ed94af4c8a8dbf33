// A client that a proxy stands in front of: connect, subscribe, publish, get it back; then stay silent
// for longer than the proxy's timeout, and publish again on the same connection.
//
//   node client.mjs URL CA SILENT_MS
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import mqtt from 'mqtt'

const [url, ca, silent] = process.argv.slice(2)
const fail = (why) => {
  console.error(`${url}: ${why}`)
  process.exit(1)
}
const timer = setTimeout(() => fail('no answer'), 15000 + Number(silent))
const tls = { ca: readFileSync(ca), servername: 'mqtt.example.org', host: undefined }
// The certificate is for a name, which is not asked of DNS here.
const options = { protocolVersion: 5, keepalive: 600, reconnectPeriod: 0, ...tls, wsOptions: { ...tls, headers: { Host: 'mqtt.example.org' } } }
delete options.host
delete options.wsOptions.host

const client = mqtt.connect(url, options)
client.on('error', (e) => fail(e.message))
let closing = false
client.on('close', () => closing || fail('the connection was closed'))
await new Promise((resolve) => client.on('connect', resolve))
await client.subscribeAsync('proxy/#', { qos: 1 })

const exchange = async (size) => {
  const back = new Promise((resolve) => client.once('message', (topic, payload) => resolve(payload)))
  const payload = Buffer.alloc(size, 'x')
  await client.publishAsync('proxy/test', payload, { qos: 1 })
  if (!payload.equals(await back)) fail(`${size} bytes came back otherwise`)
}
for (const size of [0, 1, 125, 4096, 70000, 1000000]) await exchange(size)
await sleep(Number(silent))
await exchange(10)
closing = true
await client.endAsync()
clearTimeout(timer)

// Shell in Node: node node.mjs mqttjs
import { createInterface } from 'node:readline'
import { driver } from './driver.mjs'

let events = '' // not written yet

const write = (line) => {
  if (events === '') setImmediate(() => { process.stdout.write(events); events = '' })
  events += line + '\n'
}

const { Client } = await import(`./${process.argv[2]}.mjs`)
const command = driver(Client, write)

createInterface({ input: process.stdin }).on('line', command).on('close', () => process.exit())

// aedes over TCP and WebSocket, on two ports of this machine: node aedes.mjs MQTT_PORT WS_PORT
import { Aedes } from 'aedes'
import http from 'node:http'
import net from 'node:net'
import { WebSocketServer, createWebSocketStream } from 'ws'

const [mqttPort, wsPort] = process.argv.slice(2).map(Number)
const broker = await Aedes.createBroker()
const server = http.createServer()
const sockets = new WebSocketServer({
  server,
  handleProtocols: (offered) => (offered.has('mqtt') ? 'mqtt' : false)
})

sockets.on('connection', (socket, request) => broker.handle(createWebSocketStream(socket), request))
net.createServer(broker.handle).listen(mqttPort, '127.0.0.1')
server.listen(wsPort, '127.0.0.1')
process.on('uncaughtException', (error) => console.error(error.message))

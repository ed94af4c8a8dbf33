// Check packaging/kubernetes: every object against the schema of its kind, and the names, ports and
// paths of all of them against each other and against the configuration that they carry.
//
//   node kubernetes.mjs FOLDER CONFIG    CONFIG: the configuration of the ConfigMap is written here
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'

const [folder, configFile] = process.argv.slice(2)
const wrong = []
const check = (holds, what) => holds || wrong.push(what)

// ---- what is there ----

const parse = (file) => parseAllDocuments(readFileSync(join(folder, file), 'utf8')).map((d) => {
  d.errors.forEach((e) => wrong.push(`${file}: ${e.message}`))
  return d.toJS()
})
const kustomization = parse('kustomization.yaml')[0]
const files = readdirSync(folder).filter((f) => f.endsWith('.yaml') && f !== 'kustomization.yaml')
check(JSON.stringify([...kustomization.resources].sort()) === JSON.stringify(files.sort()),
  'kustomization.yaml: resources are not the files that are there')
const objects = Object.fromEntries(kustomization.resources.flatMap(parse).map((o) => [o.kind, o]))

// ---- schemas ----

const packages = { 'monitoring.coreos.com/v1': '@kubernetes-models/prometheus-operator' }
for (const [kind, object] of Object.entries(objects)) {
  const from = packages[object.apiVersion] ?? 'kubernetes-models'
  const { [kind]: Model } = await import(`${from}/${object.apiVersion}/${kind}`)
  try {
    new Model(object).validate()
  } catch (e) {
    wrong.push(`${kind}: ${e.message}`)
  }
  check(object.metadata.name === 'frys', `${kind}: not named frys`)
}

// ---- together ----

const { ConfigMap, StatefulSet, Service, Ingress, PodDisruptionBudget, ServiceMonitor } = objects
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b)
const pod = StatefulSet.spec.template
const frysd = pod.spec.containers[0]
const labels = pod.metadata.labels
check(same(StatefulSet.spec.selector.matchLabels, labels), 'StatefulSet: selector and labels differ')
check(same(Service.spec.selector, labels), 'Service: selects other pods')
check(same(PodDisruptionBudget.spec.selector.matchLabels, labels), 'PodDisruptionBudget: other pods')
check(same(ServiceMonitor.spec.selector.matchLabels, Service.metadata.labels), 'ServiceMonitor: other services')
check(StatefulSet.spec.serviceName === Service.metadata.name, 'StatefulSet: another serviceName')

const config = parseAllDocuments(ConfigMap.data['frysd.yaml'])[0].toJS()
const ports = Object.fromEntries(frysd.ports.map((p) => [p.name, p.containerPort]))
const wanted = Object.fromEntries(config.listeners.map((l) => [l.name ?? l.protocol, l.port]))
wanted.admin = config.admin.port
check(same(ports, wanted), `StatefulSet: ports ${JSON.stringify(ports)}, configured ${JSON.stringify(wanted)}`)
for (const p of Service.spec.ports) check(p.targetPort in ports, `Service: no port ${p.targetPort}`)
const servicePorts = Service.spec.ports.map((p) => p.name)
for (const rule of Ingress.spec.rules) {
  for (const path of rule.http.paths) {
    check(path.backend.service.name === Service.metadata.name, 'Ingress: another service')
    check(servicePorts.includes(path.backend.service.port.name), 'Ingress: no such port')
    check(path.path === '/mqtt', 'Ingress: frysd does not serve MQTT at that path')
  }
}
for (const e of ServiceMonitor.spec.endpoints) check(servicePorts.includes(e.port) && e.path === '/metrics', 'ServiceMonitor: no such page')

const probe = (name, path) => {
  const { httpGet, timeoutSeconds, periodSeconds } = frysd[name]
  check(httpGet.path === path && httpGet.port === 'admin', `${name}: does not ask ${path}`)
  check(timeoutSeconds <= periodSeconds, `${name}: longer than its period`)
}
probe('startupProbe', '/readyz')
probe('readinessProbe', '/readyz')
probe('livenessProbe', '/healthz')

const mounts = Object.fromEntries(frysd.volumeMounts.map((m) => [m.name, m.mountPath]))
check(mounts.config === '/etc/frys' && mounts.data === '/var/lib/frys', 'StatefulSet: volumes are elsewhere')
check(pod.spec.volumes.find((v) => v.name === 'config').configMap.name === ConfigMap.metadata.name, 'StatefulSet: another ConfigMap')
check(frysd.securityContext.readOnlyRootFilesystem && pod.spec.securityContext.runAsNonRoot, 'StatefulSet: more rights than needed')
const seconds = (text) => Number(text.replace(/s$/, ''))
check(pod.spec.terminationGracePeriodSeconds > seconds(config.shutdown_timeout) + 30, 'StatefulSet: killed before it has ended')
const bytes = (text) => Number.parseInt(text, 10) * { M: 1, G: 1024 }[text.replace(/^\d+/, '')[0]]
check(bytes(config.memory_limit) < bytes(frysd.resources.limits.memory), 'StatefulSet: killed at its memory_limit')

writeFileSync(configFile, ConfigMap.data['frysd.yaml'])
wrong.forEach((w) => console.error(`kubernetes: ${w}`))
process.exit(wrong.length > 0 ? 1 : 0)

/**
 * The mesh of `podwire bench --scale`: N pods and N/10 Services as a folder of YAML, one file per namespace.
 *
 * A namespace has 100 pods, 10 Services that select 10 pods each, a service account per Service, and one policy.  Some pods
 * are network namespaces of this machine, spread over the mesh; the others are pods of other nodes.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Pod } from '../sandbox.ts';

export const PODS_PER_NAMESPACE = 100;
export const PODS_PER_SERVICE = 10;
export const SERVICE_PORT = 80;
const TARGET_PORT = 8080;
const NODES = 100;

export interface ScaleMesh {
  readonly pods: number;
  readonly services: number;
  readonly namespaces: number;
}

export function scaleMesh(pods: number): ScaleMesh {
  return {
    pods,
    services: Math.floor(pods / PODS_PER_SERVICE),
    namespaces: Math.ceil(pods / PODS_PER_NAMESPACE),
  };
}

/** 10.64.0.0/12, away from the pods' ranges */
export function serviceAddress(service: number): string {
  return `10.${64 + (service >> 16)}.${(service >> 8) & 255}.${service & 255}`;
}

/** 10.128.0.0/9 */
function podAddress(pod: number): string {
  return `10.${128 + (pod >> 16)}.${(pod >> 8) & 255}.${pod & 255}`;
}

export function namespaceName(namespace: number): string {
  return `team-${namespace}`;
}

/** Pods of network namespaces here, by number in the mesh. */
export type LocalPods = ReadonlyMap<number, Pod>;

/** Evenly over the mesh. */
export function spread(pods: readonly Pod[], mesh: ScaleMesh): LocalPods {
  const step = Math.max(1, Math.floor(mesh.pods / Math.max(1, pods.length)));
  return new Map(pods.map((pod, index) => [index * step, pod]));
}

/** The file of one namespace; pods in `unready` are not. */
export function namespaceYaml(
  mesh: ScaleMesh,
  namespace: number,
  local: LocalPods,
  unready: ReadonlySet<number> = new Set(),
): string {
  const name = namespaceName(namespace);
  const first = namespace * PODS_PER_NAMESPACE;
  const end = Math.min(mesh.pods, first + PODS_PER_NAMESPACE);
  const documents = [policyYaml(name)];
  for (let pod = first; pod < end; pod++) {
    if (pod % PODS_PER_SERVICE === 0 && pod / PODS_PER_SERVICE < mesh.services) {
      documents.push(serviceYaml(name, pod / PODS_PER_SERVICE));
    }
    documents.push(podYaml(name, pod, local.get(pod), !unready.has(pod)));
  }
  return documents.join('---\n');
}

export function fileOf(namespace: number): string {
  return `${namespaceName(namespace)}.yaml`;
}

export function writeMesh(folder: string, mesh: ScaleMesh, local: LocalPods): void {
  for (let i = 0; i < mesh.namespaces; i++) {
    writeFileSync(join(folder, fileOf(i)), namespaceYaml(mesh, i, local));
  }
}

/** The pods of this machine alone. */
export function localYaml(local: LocalPods): string {
  return [...local]
    .map(([number, pod]) => {
      const namespace = namespaceName(Math.floor(number / PODS_PER_NAMESPACE));
      return podYaml(namespace, number, pod, true);
    })
    .join('---\n');
}

function policyYaml(namespace: string): string {
  return `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: own-namespace
  namespace: ${namespace}
spec:
  action: ALLOW
  rules:
    - from:
        - source:
            namespaces: [${namespace}]
`;
}

function serviceYaml(namespace: string, service: number): string {
  return `apiVersion: v1
kind: Service
metadata:
  name: app-${service}
  namespace: ${namespace}
spec:
  clusterIP: ${serviceAddress(service)}
  clusterIPs: [${serviceAddress(service)}]
  selector:
    app: app-${service}
  ports:
    - name: http
      port: ${SERVICE_PORT}
      targetPort: ${TARGET_PORT}
`;
}

function podYaml(namespace: string, pod: number, local: Pod | undefined, ready: boolean): string {
  const app = `app-${Math.floor(pod / PODS_PER_SERVICE)}`;
  const name = `${app}-6d4cf56db6-p${pod}`;
  const netns = local ? `\n  annotations:\n    podwire.io/netns: ${local.netns}` : '';
  return `apiVersion: v1
kind: Pod
metadata:
  name: ${name}
  namespace: ${namespace}
  labels:
    app: ${app}
    version: v1
    pod-template-hash: 6d4cf56db6${netns}
  ownerReferences:
    - apiVersion: apps/v1
      kind: ReplicaSet
      name: ${app}-6d4cf56db6
      controller: true
spec:
  serviceAccountName: ${app}
  nodeName: node-${local ? 'here' : pod % NODES}
  containers:
    - name: main
      image: registry.example/${app}:v1
      ports:
        - name: http
          containerPort: ${TARGET_PORT}
status:
  phase: Running
  podIPs:
    - ip: ${local?.address ?? podAddress(pod)}
  conditions:
    - type: Ready
      status: "${ready ? 'True' : 'False'}"
`;
}

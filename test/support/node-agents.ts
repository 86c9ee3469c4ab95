/**
 * One agent on each of several nodes, all told the same mesh: pods of every node, of which each agent captures its own. They
 * sign certificates by one CA, so that nodes trust each other.
 */
import { join } from 'node:path';
import { launchAgent, podResource, type Agent, type Resource } from './agent.ts';
import type { Pod } from './netns.ts';
import { command } from './node.ts';
import type { NodeMesh } from './nodes.ts';

export interface CaFiles {
  readonly certificate: string;
  readonly key: string;
  /** trusted; the certificate itself when absent */
  readonly roots?: string;
}

export function makeCa(folder: string, name = 'ca'): CaFiles {
  const files = { certificate: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) };
  command('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
    ...['-keyout', files.key, '-out', files.certificate, '-days', '30', '-subj', `/O=${name}`],
    ...['-addext', 'basicConstraints=critical,CA:TRUE'],
    ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
  ]);
  command('chmod', ['600', files.key]);
  return files;
}

export interface NodeAgentsOptions {
  readonly nodes: readonly NodeMesh[];
  readonly ca: CaFiles;
  /** further resources of the mesh */
  readonly resources?: readonly Resource[];
  readonly args?: readonly string[];
}

/** The whole mesh as the agent of `own` reads it. */
export function nodeResources(
  nodes: readonly NodeMesh[],
  own: NodeMesh,
  more: readonly Resource[] = [],
): readonly Resource[] {
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } };
  return [
    namespace,
    ...nodes.flatMap((node) => node.pods.map((pod) => nodePod(node, pod, node === own))),
    ...more,
  ];
}

function nodePod(node: NodeMesh, pod: Pod, own: boolean): Resource {
  const resource = podResource(pod);
  const metadata = resource['metadata'] as Record<string, unknown>;
  const { 'podwire.io/netns': netns, ...annotations } = metadata['annotations'] as Record<
    string,
    string
  >;
  const spec = resource['spec'] as Record<string, unknown>;
  const enrolled = pod.spec.labels?.['istio.io/dataplane-mode'] !== 'none';
  return {
    ...resource,
    metadata: {
      ...metadata,
      annotations: {
        ...(enrolled && { 'ambient.istio.io/redirection': 'enabled' }),
        ...annotations,
        ...(own && { 'podwire.io/netns': netns }),
      },
    },
    spec: { ...spec, nodeName: node.nodeName },
  };
}

/** Captures as soon as it is ready. */
export async function startNodeAgent(options: NodeAgentsOptions, own: NodeMesh): Promise<Agent> {
  const agent = launchNodeAgent(options, own);
  await agent.waitForLog('ready');
  return agent;
}

export function launchNodeAgent(options: NodeAgentsOptions, own: NodeMesh): Agent {
  const { nodes, ca, resources = [], args = [] } = options;
  return launchAgent({
    mesh: own,
    node: own.node,
    described: nodeResources(nodes, own, resources),
    args: [
      ...['--node', own.nodeName, '--ca-cert', ca.certificate, '--ca-key', ca.key],
      ...['--ca-root', ca.roots ?? ca.certificate, ...args],
    ],
  });
}

/** In the order of the nodes. */
export function startNodeAgents(options: NodeAgentsOptions): Promise<readonly Agent[]> {
  return Promise.all(options.nodes.map((node) => startNodeAgent(options, node)));
}

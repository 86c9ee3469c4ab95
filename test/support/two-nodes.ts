/** Two nodes with an agent and processes on each: clients on one, servers on the other, HBONE between them. */
import type { ConnectionView } from '../../src/admin/view.ts';
import type { Agent, Resource } from './agent.ts';
import type { PodSpec, Scope } from './netns.ts';
import { makeCa, nodeResources, startNodeAgent, type NodeAgentsOptions } from './node-agents.ts';
import { createNodes, type NodeMesh } from './nodes.ts';
import { startPuppet, until, type Puppet } from './puppet.ts';

export const TRANSPORTS = ['batched', 'net'] as const;

export interface TwoNodes {
  readonly nodes: readonly NodeMesh[];
  readonly near: NodeMesh;
  readonly far: NodeMesh;
  /** what the near and the far node's agents are started with */
  readonly options: readonly [NodeAgentsOptions, NodeAgentsOptions];
  /** of the near and of the far node; restarts replace them */
  agents: [Agent, Agent];
  /** by the pod's name */
  puppet(name: string): Puppet;
  /** another agent on one of the nodes, while the old one is there or after it */
  start(which: 0 | 1): Promise<Agent>;
  /** the mesh as told to one of the agents from now on */
  tell(which: 0 | 1, resources: readonly Resource[]): void;
}

export interface TwoNodesOptions {
  readonly near?: readonly PodSpec[];
  readonly far?: readonly PodSpec[];
  readonly args?: readonly string[];
  readonly resources?: readonly Resource[];
  /** what one of the agents has for itself */
  readonly own?: (which: 0 | 1) => Partial<NodeAgentsOptions>;
}

export async function startTwoNodes(
  t: Scope & { diagnostic?(text: string): void },
  options: TwoNodesOptions = {},
): Promise<TwoNodes> {
  const { args = [], resources = [] } = options;
  const nodes = createNodes(t, [
    { name: 'n1', pods: options.near ?? [{ name: 'client' }, { name: 'other' }] },
    { name: 'n2', pods: options.far ?? [{ name: 'server' }] },
  ]);
  const [near, far] = nodes as [NodeMesh, NodeMesh];
  const ca = makeCa(near.folder);
  const optionsOf = (which: 0 | 1): NodeAgentsOptions => {
    return { nodes, ca, resources, args, ...options.own?.(which) };
  };
  const both = [optionsOf(0), optionsOf(1)] as const;
  const agents = await Promise.all([startNodeAgent(both[0], near), startNodeAgent(both[1], far)]);
  const puppets = new Map<string, Puppet>();
  for (const node of nodes) {
    for (const pod of node.pods) puppets.set(pod.name, await startPuppet(node, pod));
  }
  const stage: TwoNodes = {
    ...{ nodes, near, far, options: both, agents },
    puppet: (name) => puppets.get(name)!,
    start: (which) => startNodeAgent(both[which], nodes[which]!),
    tell: (which, more) =>
      stage.agents[which].writeResource('mesh.yaml', nodeResources(nodes, nodes[which]!, more)),
  };
  t.after(() => {
    if (process.env['PODWIRE_TEST_LOGS']) {
      for (const agent of stage.agents) console.error(agent.stderr);
    }
  });
  return stage;
}

export async function connectionsOf(agent: Agent): Promise<readonly ConnectionView[]> {
  return (await agent.admin('/v1/connections')) as readonly ConnectionView[];
}

/** What /metrics says of one gauge or counter. */
export async function metricOf(agent: Agent, name: string): Promise<number> {
  const pattern = new RegExp(`^${name.replace(/[{}]/g, '\\$&')} (.*)$`, 'm');
  return Number(pattern.exec(await agent.metrics())?.[1] ?? NaN);
}

/** KiB of resident memory. */
export async function residentKib({ pid }: { readonly pid: number }): Promise<number> {
  const { readFile } = await import('node:fs/promises');
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+([0-9]+) kB$/m.exec(status)?.[1]);
}

/** How a connection that is not to come about ends: the errno of connect(), or how its stream ended. */
export async function refusal(
  from: Puppet,
  addr: string,
  port: number,
  timeout = 5,
): Promise<string> {
  const answer = await from.connect(addr, port, { timeout });
  if (answer.error !== undefined) return answer.error;
  const end = (await from.do('end', { id: answer.id!, timeout })).end!;
  await from.close(answer.id!);
  return end;
}

/** Repeats until a connection speaks. */
export function untilSpeaks(from: Puppet, addr: string, port: number, timeoutMs = 15_000) {
  return until(
    `${from.pod?.name} → ${addr}:${port}`,
    async () => {
      const answer = await from.connect(addr, port);
      if (answer.id === undefined) return false;
      const speaks = await from.echoes(answer.id);
      await from.close(answer.id);
      return speaks;
    },
    timeoutMs,
  );
}

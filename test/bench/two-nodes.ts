/**
 * Brings up the variants of `--two-nodes`: for each a pod on either of two nodes with a link between them, and whoever
 * encrypts what goes over that link.  podwire is an agent on each node, with a cgroup and a folder for pins of its own;
 * Envoy is in each pod, with the iptables rules of a sidecar.
 *
 * HBONE is the same for both: one worker at each end, TLS 1.3, one pooled HTTP/2 connection between the pods, windows
 * of 4 MiB for a stream and 16 MiB for a connection, an EC P-256 certificate at each end.  sidecar-mtls is what it is
 * on one node: Istio's sidecars, with two workers.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { HBONE_PORT } from '../../src/model/gateway-address.ts';
import {
  envoyHboneClient,
  envoyHboneServer,
  type EnvoyApp,
  type EnvoyEnd,
} from '../support/envoy-hbone.ts';
import { Agent } from './agent.ts';
import { makeCertificates, type Certificates } from './certificates.ts';
import type { Route } from './drivers.ts';
import { OUTBOUND_PORT } from './envoy-config.ts';
import { ENVOY_MISSING, findEnvoy, startEnvoys, startSidecars } from './envoy.ts';
import { addFillerRules } from './filler-rules.ts';
import type { VariantName } from './options.ts';
import type { Node, Pod } from './sandbox.ts';
import { HTTP_PORT, TCP_PORTS, exerciseShapes } from './shapes.ts';
import type { BringUp, Variants } from './variants.ts';

const NAMESPACE = 'bench';
/** how the iptables rules tell Envoy's connections to its own pod */
const ENVOY_SOURCE = '127.0.0.6';
const NODE_NAMES = ['node1', 'node2'] as const;
/** What compiles its code when it has run often must have run often: a mesh lives for weeks. */
const WARM_UP_SECONDS = 1.5;
const FIRST_TUNNEL_MS = 20_000;
const RETRY_MS = 200;

/** A pod, and the cgroup of its node for this variant. */
interface PodOnNode extends Pod {
  readonly cgroup: string;
  readonly node: Node;
}

interface Ground {
  readonly variant: VariantName;
  readonly client: PodOnNode;
  readonly server: PodOnNode;
}

export async function bringUpNodes(input: BringUp): Promise<Variants> {
  const { sandbox, options, progress, signal, environment } = input;
  const routes = new Map<VariantName, Route>();
  const missing = new Map<VariantName, string>();
  const agents: Agent[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(agents.map((agent) => agent.stop()));
  };
  const envoy = findEnvoy(environment);
  const nodes = sandbox.addLinkedNodes();
  const certificates = makeCertificates(sandbox);
  for (const variant of options.variants) {
    signal.throwIfAborted();
    const needsEnvoy = variant === 'envoy-hbone' || variant === 'sidecar-mtls';
    if (needsEnvoy && envoy === undefined) {
      missing.set(variant, ENVOY_MISSING);
      progress(`${variant} is left out: ${ENVOY_MISSING}`);
      continue;
    }
    progress(`bringing up ${variant}`);
    const ground = breakGround(input, variant, nodes);
    const { client, server } = ground;
    let pids: number[] = [];
    if (needsEnvoy && envoy !== undefined) {
      const named = { sandbox, envoy, name: variant, signal };
      pids =
        variant === 'sidecar-mtls'
          ? await startSidecars({
              ...named,
              pods: [client, server],
              serverAddress: server.address,
              certificates,
            })
          : await startEnvoys({ ...named, ends: hboneEnds(ground, certificates), workers: 1 });
    } else if (variant !== 'plain') {
      const pair = await startAgents(input, ground, certificates, agents);
      pids = pair.map(({ pid }) => pid);
    }
    const route: Route = {
      client: { cgroup: client.cgroup, netns: client.netns },
      server: { cgroup: server.cgroup, netns: server.netns },
      serverAddress: server.address,
      meshPids: pids,
      sidecarPids: pids,
    };
    routes.set(variant, route);
    if (pids.length > 0) await exercise(input, route);
    if (variant.startsWith('podwire')) await expectTunnels(variant, agents.slice(-2));
  }
  return { routes, missing, learningSeconds: undefined, stop };
}

function breakGround(
  { sandbox, options }: BringUp,
  variant: VariantName,
  [near, far]: readonly [Node, Node],
): Ground {
  const add = (side: string, node: Node): PodOnNode => ({
    ...sandbox.addPod(`${variant}-${side}`, node),
    cgroup: sandbox.addCgroup(`${variant}-${side}`),
    node,
  });
  const client = add('client', near);
  const server = add('server', far);
  addFillerRules([client, server], options.iptablesRules);
  return { variant, client, server };
}

/** Both are told the whole mesh; each captures what is on its own node. */
async function startAgents(
  { sandbox, signal }: BringUp,
  { variant, client, server }: Ground,
  { authority, authorityKey }: Certificates,
  agents: Agent[],
): Promise<readonly Agent[]> {
  const pair: Agent[] = [];
  for (const [own, nodeName] of [client, server].map((pod, i) => [pod, NODE_NAMES[i]!] as const)) {
    const pods = Object.entries({ client, server }).map(([name, { address, netns }], index) => ({
      ...{ name, namespace: NAMESPACE, address, nodeName: NODE_NAMES[index]! },
      netns: netns === own.netns ? netns : undefined,
    }));
    const agent = await Agent.start({
      sandbox,
      name: `${variant}-${nodeName}`,
      place: { cgroup: own.cgroup, netns: own.node.netns },
      pods,
      args: [
        ...['--node', nodeName, '--workers', '1'],
        ...['--transport', variant === 'podwire-node-tls' ? 'net' : 'batched'],
        ...['--ca-cert', authority, '--ca-key', authorityKey, '--ca-root', authority],
      ],
      signal,
    });
    agents.push(agent);
    pair.push(agent);
  }
  return pair;
}

function hboneEnds({ client, server }: Ground, certificates: Certificates) {
  const read = (path: string): string => readFileSync(path, 'utf8');
  const spiffe = certificates.spiffe;
  const credentials: EnvoyEnd['credentials'] = {
    spiffe,
    certificateChain: read(certificates.certificate),
    privateKey: read(certificates.key),
    roots: read(certificates.authority),
    version: 1,
  };
  const end = (port: number): EnvoyEnd => ({ host: '0.0.0.0', port, credentials, peer: spiffe });
  const { address } = server;
  const apps = [HTTP_PORT, ...TCP_PORTS].map((port): EnvoyApp => ({
    authority: `${address}:${port}`,
    host: address,
    port,
  }));
  return [
    {
      pod: client,
      cgroup: client.cgroup,
      config: envoyHboneClient({
        ...end(OUTBOUND_PORT),
        server: { host: address, port: HBONE_PORT },
        authority: undefined,
      }),
      ports: [OUTBOUND_PORT],
    },
    {
      pod: server,
      cgroup: server.cgroup,
      config: envoyHboneServer({ ...end(HBONE_PORT), apps, sourceAddress: ENVOY_SOURCE }),
      ports: [HBONE_PORT],
    },
  ];
}

/** Until it goes through: the first tunnel waits for certificates, and routes for both ends. */
async function exercise({ drivers, shapes, signal }: BringUp, route: Route): Promise<void> {
  const cpus = { client: undefined, server: undefined };
  const end = performance.now() + FIRST_TUNNEL_MS;
  for (const shape of exerciseShapes(shapes)) {
    for (;;) {
      try {
        await drivers.measure({ shape, route, cpus, seconds: WARM_UP_SECONDS });
        break;
      } catch (error) {
        signal.throwIfAborted();
        if (performance.now() > end) throw error;
        await sleep(RETRY_MS, undefined, { signal });
      }
    }
  }
}

/** Figures of connections that went past the mesh would be plain ones. */
async function expectTunnels(variant: VariantName, [near, far]: readonly Agent[]): Promise<void> {
  const out = (await near?.counters())?.['tunnelled-out'] ?? 0;
  const into = (await far?.counters())?.['tunnelled-in'] ?? 0;
  if (out === 0 || into === 0) {
    throw new Error(`${variant}: ${out} connections left and ${into} came in through tunnels`);
  }
}

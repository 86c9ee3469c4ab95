/**
 * /v1/config_dump under ztunnel's keys, so that `istioctl ztunnel-config` reads it, and the L7 types beside them.  Nothing
 * secret is in it: of certificates the chain is shown, never the key.
 */
import { X509Certificate } from 'node:crypto';
import type { HeldChain } from '../identity/certificate-status.ts';
import type { Authorization } from '../model/authorization.ts';
import type { Service } from '../model/service.ts';
import { serviceKey } from '../model/service.ts';
import type { Snapshot } from '../model/snapshot.ts';
import type { Workload } from '../model/workload.ts';
import { resourcesView } from './resource-view.ts';

export interface EnrolledState {
  /** uid of its workload */
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly serviceAccount: string;
  readonly captured: boolean;
}

export interface ConfigDumpOptions {
  readonly snapshot: Snapshot;
  readonly version: string;
  /** the agent's options */
  readonly config: unknown;
  readonly pods: readonly EnrolledState[];
  readonly certificates: readonly HeldChain[];
}

export function configDump(options: ConfigDumpOptions): Readonly<Record<string, unknown>> {
  const { snapshot, version, config, pods, certificates } = options;
  return {
    workloads: [...snapshot.workloads.values()].map(workload),
    services: [...snapshot.services.values()].map((one) => service(one, snapshot)),
    policies: [...snapshot.authorizations.values()].map(policy),
    stagedServices: {},
    staticConfig: { workloads: [], services: [], policies: [] },
    version: { version, gitRevision: '', snapshot: snapshot.version },
    config,
    certificates: certificates.map(certificate),
    ...l7(snapshot),
    workloadState: Object.fromEntries(
      pods.map(({ uid, namespace, name, serviceAccount, captured }) => [
        uid,
        {
          state: captured ? 'Up' : 'Pending',
          info: { name, namespace, serviceAccount },
          connections: { inbound: [], outbound: [] },
        },
      ]),
    ),
  };
}

function l7(snapshot: Snapshot): Record<string, unknown> {
  const kinds = ['listeners', 'routes', 'clusters', 'loadAssignments', 'secrets'] as const;
  const { types } = resourcesView(snapshot);
  return Object.fromEntries(
    kinds.map((kind) => [kind, (types[kind] ?? []).map(({ resource }) => resource)]),
  );
}

function workload(one: Workload): Record<string, unknown> {
  return {
    workloadIps: one.addresses,
    protocol: one.tunnelProtocol === 'HBONE' ? 'HBONE' : 'TCP',
    uid: one.uid,
    name: one.name,
    namespace: one.namespace,
    trustDomain: one.trustDomain,
    serviceAccount: one.serviceAccount || 'default',
    network: one.network,
    hostname: one.hostname,
    workloadName: one.workloadName,
    workloadType: one.workloadType.toLowerCase(),
    canonicalName: one.canonicalName,
    canonicalRevision: one.canonicalRevision,
    node: one.node,
    locality: one.locality,
    nativeTunnel: one.nativeTunnel,
    authorizationPolicies: one.authorizationPolicies,
    status: one.healthy ? 'Healthy' : 'Unhealthy',
    clusterId: one.clusterId,
    hostNetwork: one.hostNetwork,
    capacity: one.capacity,
    services: [...one.services.keys()],
  };
}

function service(one: Service, snapshot: Snapshot): Record<string, unknown> {
  const key = serviceKey(one);
  const endpoints = snapshot.endpoints.get(key) ?? new Map<string, Workload>();
  return {
    name: one.name,
    namespace: one.namespace,
    hostname: one.hostname,
    // ztunnel writes "NETWORK/ADDRESS"; podwire knows one network
    vips: one.addresses.map((address) => `/${address}`),
    ports: ports(one.ports),
    endpoints: Object.fromEntries(
      [...endpoints].map(([uid, { services, healthy }]) => [
        uid,
        {
          workloadUid: uid,
          service: key,
          port: ports(services.get(key) ?? []),
          status: healthy ? 'Healthy' : 'Unhealthy',
        },
      ]),
    ),
    loadBalancer: loadBalancer(one),
    // podwire's own, which ztunnel does not have
    policy: one.lbPolicy,
    sessionAffinitySeconds: one.sessionAffinitySeconds,
    maxConnections: one.maxConnections,
    ipFamilies: null,
  };
}

/** null where all ready endpoints are alike, as ztunnel writes it. */
function loadBalancer({ loadBalancing }: Service): Record<string, unknown> | null {
  const { mode, routingPreference, healthPolicy } = loadBalancing;
  if (mode === 'UNSPECIFIED' && healthPolicy === 'ONLY_HEALTHY') return null;
  return {
    mode: mode === 'UNSPECIFIED' ? 'Standard' : capitalized(mode),
    routingPreferences: routingPreference.map(capitalized),
    healthPolicy: healthPolicy === 'ALLOW_ALL' ? 'AllowAll' : 'OnlyHealthy',
  };
}

function capitalized(name: string): string {
  return name.slice(0, 1) + name.slice(1).toLowerCase();
}

function ports(
  list: readonly { readonly servicePort: number; readonly targetPort: number }[],
): Record<string, number> {
  return Object.fromEntries(list.map(({ servicePort, targetPort }) => [servicePort, targetPort]));
}

const SCOPES = {
  GLOBAL: 'Global',
  NAMESPACE: 'Namespace',
  WORKLOAD_SELECTOR: 'WorkloadSelector',
} as const;

function policy(one: Authorization): Record<string, unknown> {
  return {
    name: one.name,
    namespace: one.namespace,
    scope: SCOPES[one.scope],
    action: one.action === 'ALLOW' ? 'Allow' : 'Deny',
    rules: one.rules.map(({ clauses }) => clauses.map(({ matches }) => matches)),
    dryRun: one.dryRun,
  };
}

const STATES = {
  idle: 'Initializing',
  requested: 'Initializing',
  valid: 'Available',
  expired: 'Unavailable',
  failed: 'Unavailable',
} as const;

function certificate({ identity, state, error, chain, roots }: HeldChain): Record<string, unknown> {
  const name = STATES[state];
  return {
    identity,
    state: name === 'Unavailable' ? `${name}: ${error}` : name,
    certChain: chain.map(pemDump),
    rootCerts: roots.map(pemDump),
  };
}

/** `pem` is base64 of the PEM, the serial number decimal: both as ztunnel writes them. */
function pemDump(pem: string): Record<string, string> {
  const { serialNumber, validFrom, validTo } = new X509Certificate(pem);
  return {
    pem: Buffer.from(pem).toString('base64'),
    serialNumber: BigInt(`0x${serialNumber}`).toString(),
    validFrom: seconds(validFrom),
    expirationTime: seconds(validTo),
  };
}

/** RFC 3339 without a fraction, which istioctl reads. */
function seconds(date: string): string {
  return new Date(date).toISOString().replace(/\.\d+Z$/, 'Z');
}

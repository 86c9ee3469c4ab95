/**
 * A host, a port, a subset and what a client's DestinationRules say → Cluster and ClusterLoadAssignment.
 */
import type { Cluster } from '../../../model/cluster.ts';
import { DNS_REFRESH_MS } from '../../../model/envoy-defaults.ts';
import type { Finding } from '../../../model/finding.ts';
import type { LoadAssignment } from '../../../model/load-assignment.ts';
import type { Catalog } from './catalog.ts';
import { ANY_CLIENT, type Client } from './client.ts';
import type { ClusterUnit, Clusters } from './destinations.ts';
import {
  portPolicy,
  selectorOf,
  type DestinationRules,
  type PortPolicy,
  type RulesInForce,
} from './destination-rules.ts';
import { dnsEndpoints } from './dns-endpoints.ts';
import type { Endpoints } from './endpoints.ts';
import { notSupported } from './findings.ts';
import { EMPTY_PRODUCT, type Product } from './graph.ts';
import { everywhere, fromClient, looksAtClient, type PlacedEndpoint } from './locality.ts';
import { clusterMessage, loadAssignmentMessage } from './message.ts';
import { isHttp } from './port-protocol.ts';
import type { Host, HostPort, Registry } from './registry.ts';
import { secretFinding, secretProblems, secretUnits } from './secrets.ts';
import { servedEndpoints } from './served-endpoints.ts';
import { balancerOf, outliersOf, poolSettings, upstreamTls } from './traffic-policy.ts';

export const OVERPROVISIONING = 140;
/** where connections go that no rule is about */
export const PASSTHROUGH_CLUSTER = 'PassthroughCluster';
/** Of a gateway's cluster whose Secret other clients of the namespace do not get; no class of pods has such a name. */
const GATEWAY_CLASS = '~gateway';
/** the name of no cluster: what is routed there is answered 503 */
export const BLACK_HOLE_CLUSTER = 'BlackHoleCluster';

/** What is asked for; `listenerPort` counts where nothing says the port. */
interface Wanted {
  readonly host: string;
  readonly port: number | undefined;
  readonly subset: string;
  readonly listenerPort: number;
}

/** What a cluster is made of, as one client sees it. */
interface Resolved {
  readonly host: Host;
  readonly port: HostPort;
  readonly subset: string;
  readonly rules: RulesInForce;
  readonly policy: PortPolicy;
  /** where the Secret is that its TLS names; undefined: it names none, or not for this client */
  readonly secretsIn: string | undefined;
  /** the order of its endpoints depends on where the client is */
  readonly local: boolean;
}

interface Target extends Resolved {
  readonly name: string;
}

export class ClusterFactory implements Clusters {
  readonly #catalog: Catalog;
  readonly #registry: Registry;
  readonly #rules: DestinationRules;
  readonly #endpoints: Endpoints;

  constructor(catalog: Catalog, registry: Registry, rules: DestinationRules, endpoints: Endpoints) {
    this.#catalog = catalog;
    this.#registry = registry;
    this.#rules = rules;
    this.#endpoints = endpoints;
  }

  clusterOf(
    client: Client,
    host: string,
    port: number | undefined,
    subset: string,
    listenerPort: number,
  ): ClusterUnit {
    const wanted = { host, port, subset, listenerPort };
    const found = this.#named(client, wanted);
    if (found === undefined) {
      return { name: this.#missing(client, wanted), compile: undefined, hash: undefined };
    }
    const { target, asker } = found;
    return {
      name: target.name,
      compile: () => this.#compile(asker, wanted, target.name),
      hash: target.policy.loadBalancer?.consistentHash,
    };
  }

  /** What does not exist for the client must not be named like what exists for others. */
  #missing(client: Client, wanted: Wanted): string {
    const { host, port, subset, listenerPort } = wanted;
    const forOthers = this.#resolve(client.anyone(), wanted) !== undefined;
    return clusterName(port ?? listenerPort, subset, host, forOthers ? `@${client.scope}` : '');
  }

  /** With the widest client that gets the same. */
  #named(client: Client, wanted: Wanted): { target: Target; asker: Client } | undefined {
    const { value: own, seen } = client.probe((asking) => this.#resolve(asking, wanted));
    if (own === undefined) return undefined;
    const candidates = [client.anyone()];
    if (seen.labels) candidates.push(client.withoutClass());
    if (own.local) client.noteLabels();
    // Of a client that is in no class nothing is known that could change the order.
    const local = own.local && client.hasClass;
    if (!local) {
      for (const asker of candidates) {
        const wider = this.#resolve(asker, wanted);
        if (wider !== undefined && same(own, wider)) return { target: named(own, asker), asker };
      }
    }
    const asker = local || seen.labels ? client : client.withoutClass();
    return { target: named(own, asker), asker };
  }

  #resolve(
    client: Client,
    { host: hostname, port, subset, listenerPort }: Wanted,
  ): Resolved | undefined {
    const host = this.#registry.findAny(hostname, client);
    const number = port ?? (host?.ports.length === 1 ? host.ports[0]!.number : listenerPort);
    const hostPort = host?.ports.find((candidate) => candidate.number === number);
    if (host === undefined || hostPort === undefined) return undefined;
    const rules = this.#rules.find(hostname, host.namespace, client);
    if (subset !== '' && !rules.subsets.has(subset)) return undefined;
    const { secretsIn, ...policy } = honouredTls(portPolicy(rules, subset, number), rules, client);
    const local = looksAtClient(
      policy.loadBalancer?.localityLbSetting,
      policy.outlierDetection !== undefined,
    );
    const found = { ...host, host: hostname };
    return { host: found, port: hostPort, subset, rules, policy, secretsIn, local };
  }

  /** Read again: the unit lives longer than the run that asked for it. */
  #compile(client: Client, wanted: Wanted, name: string): Product {
    const target = this.#named(client, wanted)?.target;
    // Those who need this unit are stale as well, and need another one by now.
    if (target?.name !== name) return EMPTY_PRODUCT;
    const assignment = this.#assignment(target, client);
    const body = clusterOf(target, assignment);
    const cluster = clusterMessage(body);
    const path = 'spec.trafficPolicy.tls.credentialName';
    const [rule] = target.rules.rules;
    const problems = rule === undefined ? [] : secretProblems(this.#catalog, body.tls);
    const byEndpoints = target.host.resolution === 'ENDPOINTS';
    return {
      messages: byEndpoints ? [cluster, loadAssignmentMessage(assignment)] : [cluster],
      needs: new Map(secretUnits(this.#catalog, body.tls)),
      findings: [
        ...unsupported(target),
        ...problems.map((problem) => secretFinding(rule!, path, problem)),
      ],
    };
  }

  #assignment(target: Target, client: Client): LoadAssignment {
    const { policy } = target;
    const endpoints = this.#placed(target);
    const setting = policy.loadBalancer?.localityLbSetting;
    const localities =
      setting !== undefined && looksAtClient(setting, policy.outlierDetection !== undefined)
        ? fromClient(endpoints, setting, client)
        : everywhere(endpoints);
    return { name: target.name, localities, overprovisioning: OVERPROVISIONING };
  }

  #placed({ host, port, subset, rules }: Target): PlacedEndpoint[] {
    const labels = rules.subsets.get(subset)?.labels ?? {};
    switch (host.resolution) {
      case 'ENDPOINTS':
        return servedEndpoints(this.#endpoints, host.key, port.number, labels);
      case 'NONE':
        return [];
      default:
        return dnsEndpoints(host.entry?.spec.endpoints ?? [], host.host, port, labels);
    }
  }
}

/**
 * As in Istio: a credentialName counts at gateways, and for pods that the rule selects.  Everybody else is left without TLS:
 * he would need a Secret that is none of his business.
 */
function honouredTls(
  policy: PortPolicy,
  { rules }: RulesInForce,
  client: Client,
): PortPolicy & { readonly secretsIn?: string } {
  const { tls } = policy;
  if (!tls?.credentialName || (tls.mode !== 'SIMPLE' && tls.mode !== 'MUTUAL')) return policy;
  const selects = rules.some((rule) => selectorOf(rule) !== undefined);
  if (client.isGateway || selects) return { ...policy, secretsIn: client.namespace };
  const { tls: _, ...plain } = policy;
  return plain;
}

function named(resolved: Resolved, client: Client): Target {
  const { scope } = client;
  const isSecret = client.isGateway && resolved.secretsIn !== undefined;
  const suffix = scope === ANY_CLIENT ? '' : `@${scope}${isSecret ? GATEWAY_CLASS : ''}`;
  const { port, subset, host } = resolved;
  return { ...resolved, name: clusterName(port.number, subset, host.host, suffix) };
}

function same(a: Resolved, b: Resolved): boolean {
  if (a.secretsIn !== b.secretsIn) return false;
  if (a.host.resource !== b.host.resource || a.port.number !== b.port.number) return false;
  const [left, right] = [a.rules.rules, b.rules.rules];
  return left.length === right.length && left.every((rule, index) => rule === right[index]);
}

export function clusterName(port: number, subset: string, host: string, suffix: string): string {
  return `outbound|${port}|${subset}|${host}${suffix}`;
}

function clusterOf(target: Target, assignment: LoadAssignment): Cluster {
  const { name, host, port, policy, rules, secretsIn } = target;
  const protocol = protocolOf(target);
  const [rule] = rules.rules;
  const balancer = balancerOf(policy);
  const discovery = discoveryOf(target, assignment);
  const asSent = discovery.type === 'original-destination';
  return {
    name,
    discovery,
    balancer: asSent ? { ...balancer, policy: { type: 'passthrough' } } : balancer,
    protocol,
    ...poolSettings(policy),
    outliers: outliersOf(policy.outlierDetection),
    healthChecks: [],
    tls: upstreamTls(policy.tls, {
      host: host.host,
      namespace: secretsIn ?? rule?.namespace ?? host.namespace,
      external: host.external,
      subjectAltNames: host.entry?.spec.subjectAltNames ?? [],
      http2: protocol === 'http2' && isHttp(port.protocol),
    }),
    proxyProtocol: policy.proxyProtocol && (policy.proxyProtocol.version === 'V2' ? 2 : 1),
    service: { namespace: host.namespace, name: host.name, host: host.host },
  };
}

function protocolOf({ port, policy }: Target): Cluster['protocol'] {
  const http = policy.connectionPool?.http;
  if (http?.useClientProtocol === true) return 'as-downstream';
  if (port.protocol === 'http2') return 'http2';
  if (port.protocol === 'auto') return 'as-downstream';
  return port.protocol === 'http' && http?.h2UpgradePolicy === 'UPGRADE' ? 'http2' : 'http1';
}

function discoveryOf({ host, policy }: Target, endpoints: LoadAssignment): Cluster['discovery'] {
  if (policy.loadBalancer?.simple === 'PASSTHROUGH') return { type: 'original-destination' };
  switch (host.resolution) {
    case 'ENDPOINTS':
      return { type: 'eds', service: endpoints.name };
    case 'DNS':
      return { type: 'strict-dns', endpoints, refreshMs: DNS_REFRESH_MS, family: 'auto' };
    case 'DNS_ROUND_ROBIN': {
      // Envoy refuses one with any other number of names.
      const names = endpoints.localities.reduce((sum, found) => sum + found.endpoints.length, 0);
      const type = names === 1 ? 'logical-dns' : 'strict-dns';
      return { type, endpoints, refreshMs: DNS_REFRESH_MS, family: 'auto' };
    }
    case 'NONE':
      return { type: 'original-destination' };
  }
}

function unsupported({ policy: { tls, connectionPool }, rules }: Target): Finding[] {
  const [rule] = rules.rules;
  if (rule === undefined) return [];
  const findings: Finding[] = [];
  if (connectionPool?.http?.maxConcurrentStreams) {
    const path = 'spec.trafficPolicy.connectionPool.http.maxConcurrentStreams';
    findings.push(notSupported(rule, path, 'a limit of streams per connection'));
  }
  if (tls === undefined || tls.credentialName) return findings;
  // Pods here have no sidecar whose files could be read: without the certificate no connection is made.
  const roots = tls.caCertificates;
  const files = [
    ...(tls.mode === 'MUTUAL' ? ['clientCertificate'] : []),
    ...(roots && roots !== 'system' ? ['caCertificates'] : []),
  ];
  for (const field of files) {
    const path = `spec.trafficPolicy.tls.${field}`;
    findings.push(notSupported(rule, path, 'a file of a sidecar', USE_SECRET));
  }
  return findings;
}

const USE_SECRET = 'name a Secret in credentialName';

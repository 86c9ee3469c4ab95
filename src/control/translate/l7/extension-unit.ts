/**
 * Clusters of what listeners ask outside a request's path (ext_authz, keys of tokens): plain settings, whatever
 * DestinationRules say of the host.
 *
 * A host that nobody in the mesh defines, or defines without saying where it is, is resolved by its name.
 */
import type { Cluster } from '../../../model/cluster.ts';
import { DNS_REFRESH_MS } from '../../../model/envoy-defaults.ts';
import { Client } from './client.ts';
import { OVERPROVISIONING } from './cluster.ts';
import { dnsEndpoints } from './dns-endpoints.ts';
import type { Endpoints } from './endpoints.ts';
import type { Product } from './graph.ts';
import type { ExtensionCluster } from './inbound/extension-cluster.ts';
import { everywhere } from './locality.ts';
import { clusterMessage, loadAssignmentMessage } from './message.ts';
import type { Host, HostPort, Registry } from './registry.ts';
import { servedEndpoints } from './served-endpoints.ts';
import { balancerOf, poolSettings, upstreamTls } from './traffic-policy.ts';

export function compileExtension(
  registry: Registry,
  endpoints: Endpoints,
  extension: ExtensionCluster,
): Product {
  const { name, port } = extension;
  const host = hostOf(registry, extension);
  const inMesh = host?.resolution === 'ENDPOINTS';
  const placed = inMesh
    ? servedEndpoints(endpoints, host.key, port, {})
    : namedEndpoints(extension, host);
  const assignment = { name, localities: everywhere(placed), overprovisioning: OVERPROVISIONING };
  const discovery: Cluster['discovery'] = inMesh
    ? { type: 'eds', service: name }
    : { type: 'strict-dns', endpoints: assignment, refreshMs: DNS_REFRESH_MS, family: 'auto' };
  const cluster = clusterMessage(clusterOf(extension, discovery, host));
  return {
    messages: inMesh ? [cluster, loadAssignmentMessage(assignment)] : [cluster],
    needs: new Map(),
    findings: [],
  };
}

/** Where no namespace is named: what everybody may see. */
function hostOf(registry: Registry, { host, namespace }: ExtensionCluster): Host | undefined {
  return namespace === ''
    ? registry.find(host, new Client(undefined))
    : registry.definitions(host).find((found) => found.namespace === namespace);
}

function namedEndpoints({ host: name, port }: ExtensionCluster, found: Host | undefined) {
  const known = found?.ports.find(({ number }) => number === port);
  const at: HostPort = known ?? { number: port, name: '', protocol: 'auto', targetPort: port };
  const host = found === undefined || found.resolution === 'NONE' ? undefined : found;
  return dnsEndpoints(host?.entry?.spec.endpoints ?? [], host?.host ?? name, at, {});
}

function clusterOf(
  { name, host, protocol }: ExtensionCluster,
  discovery: Cluster['discovery'],
  found: Host | undefined,
): Cluster {
  const context = { host, namespace: '', external: true, subjectAltNames: [], http2: false };
  return {
    name,
    discovery,
    balancer: balancerOf({}),
    protocol: protocol === 'http2' ? 'http2' : 'http1',
    ...poolSettings({}),
    outliers: undefined,
    healthChecks: [],
    tls: protocol === 'https' ? upstreamTls({ mode: 'SIMPLE' }, context) : undefined,
    proxyProtocol: undefined,
    service: found && { namespace: found.namespace, name: found.name, host },
  };
}

/**
 * istio.workload.Service ↔ Service.
 */
import { ipFamily, ipFromBytes, ipWireBytes } from '../../model/ip.ts';
import type { LoadBalancing, RoutingScope, Service, Waypoint } from '../../model/service.ts';
import type { Codec, WireService, WireServiceInput } from '../codec.ts';
import type { FieldError } from './decoded.ts';
import { loadBalancerFromWire, loadBalancerToWire } from './load-balancer.ts';
import { addressFromWire, portFromWire, portToWire } from './workload.ts';

type WireLoadBalancingInput = NonNullable<WireServiceInput['load_balancing']>;
type WireLoadBalancing = NonNullable<WireService['load_balancing']>;

export function serviceToWire(service: Service, codec: Codec): WireServiceInput {
  return {
    name: service.name,
    namespace: service.namespace,
    hostname: service.hostname,
    addresses: service.addresses.map((ip) => ({ address: ipWireBytes(ip) })),
    ports: service.ports.map(portToWire),
    load_balancing: loadBalancingToWire(service.loadBalancing),
    waypoint: service.waypoint === undefined ? null : waypointToWire(service.waypoint),
    extensions: loadBalancerToWire(service, codec.loadBalancer),
  };
}

export function serviceFromWire(wire: WireService, codec: Codec, error: FieldError): Service {
  if (wire.hostname === '') error('service.hostname', 'is missing');
  const waypoint = waypointFromWire(wire.waypoint);
  return {
    name: wire.name,
    namespace: wire.namespace,
    hostname: wire.hostname,
    addresses: wire.addresses.flatMap(({ address, length }, index) => {
      const ips = addressFromWire(address, `service.addresses[${index}]`, error);
      // A block of addresses is nobody's destination: the kernel balances single ones.
      return ips.filter((ip) => length === undefined || length === (ipFamily(ip) === 4 ? 32 : 128));
    }),
    ports: wire.ports.map((port, index) => portFromWire(port, `service.ports[${index}]`, error)),
    loadBalancing: loadBalancingFromWire(wire.load_balancing, error),
    ...(waypoint !== undefined && { waypoint }),
    ...loadBalancerFromWire(wire.extensions, codec.loadBalancer),
  };
}

function waypointToWire(waypoint: Waypoint): NonNullable<WireServiceInput['waypoint']> {
  const { port: hbone_mtls_port } = waypoint;
  if ('ip' in waypoint) {
    const { network, ip } = waypoint;
    return { address: { network, address: ipWireBytes(ip) }, hbone_mtls_port };
  }
  const { namespace, hostname } = waypoint;
  return { hostname: { namespace, hostname }, hbone_mtls_port };
}

/** One that cannot be read is no reason to refuse the Service: nothing goes there. */
function waypointFromWire(wire: WireService['waypoint']): Waypoint | undefined {
  if (wire?.hostname) {
    const { namespace, hostname } = wire.hostname;
    return { namespace, hostname, port: wire.hbone_mtls_port };
  }
  if (!wire?.address) return undefined;
  const { network, address } = wire.address;
  const ip = ipFromBytes(address);
  return ip === undefined ? undefined : { network, ip, port: wire.hbone_mtls_port };
}

function loadBalancingToWire(lb: LoadBalancing): WireLoadBalancingInput | null {
  if (lb.mode === 'UNSPECIFIED' && lb.healthPolicy === 'ONLY_HEALTHY') return null;
  return {
    routing_preference: [...lb.routingPreference],
    mode: lb.mode === 'UNSPECIFIED' ? 'UNSPECIFIED_MODE' : lb.mode,
    health_policy: lb.healthPolicy,
  };
}

/**
 * A mode or scope that is not known is refused: STRICT is a promise that nothing leaves the node, and who cannot tell what
 * was promised must not guess.
 */
function loadBalancingFromWire(
  wire: WireService['load_balancing'],
  error: FieldError,
): LoadBalancing {
  const mode = wire?.mode ?? 'UNSPECIFIED_MODE';
  if (!MODES.includes(mode)) error('service.load_balancing.mode', `${mode} is not known`);
  return {
    mode: mode === 'UNSPECIFIED_MODE' ? 'UNSPECIFIED' : mode,
    routingPreference:
      mode === 'UNSPECIFIED_MODE'
        ? []
        : (wire?.routing_preference ?? []).flatMap((scope, index) =>
            scopeFromWire(scope, `service.load_balancing.routing_preference[${index}]`, error),
          ),
    healthPolicy: wire?.health_policy === 'ALLOW_ALL' ? 'ALLOW_ALL' : 'ONLY_HEALTHY',
  };
}

const MODES: readonly WireLoadBalancing['mode'][] = [
  'UNSPECIFIED_MODE',
  'STRICT',
  'FAILOVER',
  'PASSTHROUGH',
];
const SCOPES: readonly RoutingScope[] = ['NETWORK', 'REGION', 'ZONE', 'SUBZONE', 'NODE', 'CLUSTER'];

function scopeFromWire(scope: string | number, path: string, error: FieldError): RoutingScope[] {
  const known = SCOPES.find((name) => name === scope);
  if (known !== undefined) return [known];
  error(path, `${scope} is not known`);
  return [];
}

/**
 * istio.workload.Workload ↔ Workload.
 */
import { ipFromBytes, ipWireBytes, type Ip } from '../../model/ip.ts';
import { Sharing } from '../../model/sharing.ts';
import {
  NO_LOCALITY,
  type Locality,
  type ServicePortTarget,
  type TunnelProtocol,
  type Workload,
} from '../../model/workload.ts';
import type { Codec, WirePort, WireWorkload, WireWorkloadInput } from '../codec.ts';
import { MAX_PORT, type FieldError } from './decoded.ts';
import { gatewayAddressFromWire, gatewayAddressToWire } from './gateway-address.ts';
import { workloadExtensionsFromWire, workloadExtensionsToWire } from './workload-extensions.ts';

/** Of all streams: what they bring is the same mesh. */
const shared = new Sharing();

/** What an absent capacity means. */
const DEFAULT_CAPACITY = 1;

export function workloadToWire(workload: Workload, codec: Codec): WireWorkloadInput {
  return {
    uid: workload.uid,
    name: workload.name,
    namespace: workload.namespace,
    addresses: workload.addresses.map(ipWireBytes),
    hostname: workload.hostname,
    network: workload.network,
    tunnel_protocol: workload.tunnelProtocol,
    trust_domain: workload.trustDomain,
    service_account: workload.serviceAccount,
    waypoint: gatewayAddressToWire(workload.waypoint),
    node: workload.node,
    locality: workload.locality,
    canonical_name: workload.canonicalName,
    canonical_revision: workload.canonicalRevision,
    workload_type: workload.workloadType,
    workload_name: workload.workloadName,
    native_tunnel: workload.nativeTunnel,
    services: Object.fromEntries(
      [...workload.services].map(([key, ports]) => [key, { ports: ports.map(portToWire) }]),
    ),
    authorization_policies: [...workload.authorizationPolicies],
    status: workload.healthy ? 'HEALTHY' : 'UNHEALTHY',
    cluster_id: workload.clusterId,
    network_mode: workload.hostNetwork ? 'HOST_NETWORK' : 'STANDARD',
    capacity: workload.capacity === DEFAULT_CAPACITY ? null : { value: workload.capacity },
    extensions: workloadExtensionsToWire(workload, codec),
  };
}

export function workloadFromWire(wire: WireWorkload, codec: Codec, error: FieldError): Workload {
  if (wire.uid === '') error('workload.uid', 'is missing');
  return {
    uid: wire.uid,
    name: wire.name,
    namespace: shared.text(wire.namespace),
    // flatMap leaves room for 17; slice fits
    addresses: wire.addresses
      .flatMap((bytes, index) => addressFromWire(bytes, `workload.addresses[${index}]`, error))
      .slice(),
    hostname: shared.text(wire.hostname),
    network: shared.text(wire.network),
    tunnelProtocol: tunnelFromWire(wire.tunnel_protocol, error),
    trustDomain: shared.text(wire.trust_domain),
    serviceAccount: shared.text(wire.service_account),
    node: shared.text(wire.node),
    locality: shared.locality(localityFromWire(wire.locality)),
    canonicalName: shared.text(wire.canonical_name),
    canonicalRevision: shared.text(wire.canonical_revision),
    workloadType: wire.workload_type,
    workloadName: shared.text(wire.workload_name),
    nativeTunnel: wire.native_tunnel,
    services: shared.services(
      new Map(
        Object.entries(wire.services).map(([key, list]) => [
          key,
          list.ports.map((port, index) =>
            portFromWire(port, `workload.services["${key}"].ports[${index}]`, error),
          ),
        ]),
      ),
    ),
    authorizationPolicies: shared.texts(wire.authorization_policies),
    healthy: wire.status === 'HEALTHY',
    clusterId: shared.text(wire.cluster_id),
    hostNetwork: wire.network_mode === 'HOST_NETWORK',
    ...(wire.waypoint && {
      waypoint: gatewayAddressFromWire(wire.waypoint, 'workload.waypoint', error),
    }),
    capacity: wire.capacity?.value ?? DEFAULT_CAPACITY,
    ...workloadExtensionsFromWire(wire.extensions, codec),
  };
}

export function portToWire(port: ServicePortTarget) {
  return { service_port: port.servicePort, target_port: port.targetPort };
}

export function portFromWire(port: WirePort, path: string, error: FieldError): ServicePortTarget {
  const { service_port: servicePort, target_port: targetPort } = port;
  if (servicePort < 1 || servicePort > MAX_PORT) {
    error(`${path}.service_port`, `${servicePort} is no port`);
  }
  if (targetPort > MAX_PORT) error(`${path}.target_port`, `${targetPort} is no port`);
  return { servicePort, targetPort };
}

export function addressFromWire(bytes: Uint8Array, path: string, error: FieldError): Ip[] {
  const ip = ipFromBytes(bytes);
  if (ip !== undefined) return [ip];
  error(path, `has ${bytes.length} bytes, not 4 or 16`);
  return [];
}

function localityFromWire(wire: WireWorkload['locality']): Locality {
  return wire ? { region: wire.region, zone: wire.zone, subzone: wire.subzone } : NO_LOCALITY;
}

function tunnelFromWire(
  tunnel: WireWorkload['tunnel_protocol'],
  error: FieldError,
): TunnelProtocol {
  if (tunnel === 'NONE' || tunnel === 'HBONE') return tunnel;
  error('workload.tunnel_protocol', `${tunnel} is not supported`);
  return 'NONE';
}

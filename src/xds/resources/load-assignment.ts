/**
 * envoy.config.endpoint.v3.ClusterLoadAssignment ↔ LoadAssignment.
 */
import { parseIp } from '../../model/ip.ts';
import type { Endpoint, LoadAssignment, LocalityEndpoints } from '../../model/load-assignment.ts';
import { NO_LOCALITY } from '../../model/load-assignment.ts';
import type {
  WireClusterLoadAssignment,
  WireClusterLoadAssignmentInput,
  WireLbEndpoint,
  WireLocalityLbEndpoints,
  WireMetadataInput,
} from '../codec-envoy.ts';
import type { Codec } from '../codec.ts';
import { MAX_PORT, type Decoded } from './decoded.ts';
import { decodeResource, type Reading } from './reading.ts';
import { wrap } from './scalars.ts';

/** podwire's own key in an endpoint's metadata: { workload: uid } */
const METADATA = 'podwire.io';
const DEFAULT_OVERPROVISIONING = 140;
const DEFAULT_WEIGHT = 1;

export function encodeLoadAssignment({ envoy }: Codec, assignment: LoadAssignment): Uint8Array {
  return envoy.loadAssignment.encode(loadAssignmentToWire(assignment));
}

export function decodeLoadAssignment({ envoy }: Codec, bytes: Uint8Array): Decoded<LoadAssignment> {
  return decodeResource(envoy, envoy.loadAssignment, bytes, (wire, reading) => {
    if (wire.cluster_name === '') reading.error('cluster_name', 'is missing');
    return loadAssignmentFromWire(wire, '', reading);
  });
}

export function loadAssignmentToWire(assignment: LoadAssignment): WireClusterLoadAssignmentInput {
  return {
    cluster_name: assignment.name,
    endpoints: assignment.localities.map(({ locality, priority, weight, endpoints }) => ({
      locality: { region: locality.region, zone: locality.zone, sub_zone: locality.subZone },
      priority,
      load_balancing_weight: wrap(weight),
      lb_endpoints: endpoints.map((endpoint) => ({
        endpoint: {
          address: {
            socket_address: {
              address:
                typeof endpoint.address === 'string' ? endpoint.address : endpoint.address.host,
              port_value: endpoint.port,
            },
          },
        },
        health_status: endpoint.healthy ? 'HEALTHY' : 'UNHEALTHY',
        metadata: endpoint.workload === undefined ? null : workloadMetadata(endpoint.workload),
        load_balancing_weight: { value: endpoint.weight },
      })),
    })),
    policy: { overprovisioning_factor: { value: assignment.overprovisioning } },
  };
}

/** `path`: of the message, "" at the top */
export function loadAssignmentFromWire(
  wire: WireClusterLoadAssignment,
  path: string,
  reading: Reading,
): LoadAssignment {
  const at = path === '' ? 'endpoints' : `${path}.endpoints`;
  return {
    name: wire.cluster_name,
    localities: wire.endpoints.map((group, index) =>
      localityFromWire(group, `${at}[${index}]`, reading),
    ),
    overprovisioning: wire.policy?.overprovisioning_factor?.value ?? DEFAULT_OVERPROVISIONING,
  };
}

function localityFromWire(
  wire: WireLocalityLbEndpoints,
  path: string,
  reading: Reading,
): LocalityEndpoints {
  const { locality, priority, load_balancing_weight, lb_endpoints } = wire;
  return {
    locality: locality
      ? { region: locality.region, zone: locality.zone, subZone: locality.sub_zone }
      : NO_LOCALITY,
    priority,
    weight: load_balancing_weight?.value,
    endpoints: lb_endpoints.flatMap((endpoint, index) =>
      endpointFromWire(endpoint, `${path}.lb_endpoints[${index}]`, reading),
    ),
  };
}

function endpointFromWire(wire: WireLbEndpoint, path: string, { error }: Reading): Endpoint[] {
  const at = `${path}.endpoint.address.socket_address`;
  const socket = wire.endpoint?.address?.socket_address;
  const port = socket?.port_value;
  if (!socket || socket.protocol !== 'TCP' || socket.address === '') {
    error(at, 'is missing or not TCP');
    return [];
  }
  if (port === undefined || port > MAX_PORT) {
    error(`${at}.port_value`, `${port ?? 'nothing'} is no port`);
    return [];
  }
  const { health_status, load_balancing_weight, metadata } = wire;
  return [
    {
      address: parseIp(socket.address) ?? { host: socket.address },
      port,
      // As Envoy: unknown is healthy until a check says otherwise, and degraded still serves.
      healthy: ['UNKNOWN', 'HEALTHY', 'DEGRADED'].includes(health_status),
      weight: load_balancing_weight?.value ?? DEFAULT_WEIGHT,
      workload: metadata?.filter_metadata[METADATA]?.fields['workload']?.stringValue,
    },
  ];
}

function workloadMetadata(uid: string): WireMetadataInput {
  return { filter_metadata: { [METADATA]: { fields: { workload: { stringValue: uid } } } } };
}

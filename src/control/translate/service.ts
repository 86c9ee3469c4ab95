/**
 * Service → istio.workload.Service, and which port of an endpoint serves which port of the Service.
 */
import type {
  ContainerPort,
  PodResource,
  ServiceResource,
  ServiceResourcePort,
} from '../../model/resource.ts';
import type { GatewayAddress } from '../../model/gateway-address.ts';
import type { LocalityPreference, Service, ServiceTrafficPolicy } from '../../model/service.ts';
import type { ServicePortTarget } from '../../model/workload.ts';
import type { TranslateOptions } from './options.ts';
import { isWorkloadEntry } from './workload.ts';

/** `trafficPolicy`: of the DestinationRule in force for the Service's host; `waypoint`: what it is reached through */
export function serviceMessage(
  service: ServiceResource,
  options: TranslateOptions,
  trafficPolicy: ServiceTrafficPolicy | undefined,
  waypoint: GatewayAddress | undefined,
): Service {
  return {
    name: service.entry ?? service.name,
    namespace: service.namespace,
    hostname: hostnameOf(service, options),
    addresses: service.addresses,
    ports: service.ports.map(({ port, targetPort }) => ({
      servicePort: port,
      targetPort: typeof targetPort === 'number' ? targetPort : 0,
    })),
    loadBalancing: {
      ...localityPreferenceOf(service, trafficPolicy),
      healthPolicy: service.publishNotReady ? 'ALLOW_ALL' : 'ONLY_HEALTHY',
    },
    lbPolicy: trafficPolicy?.lbPolicy ?? service.lbPolicy,
    sessionAffinitySeconds: trafficPolicy?.sessionAffinitySeconds ?? service.sessionAffinitySeconds,
    maxConnections: trafficPolicy?.maxConnections ?? service.maxConnections,
    ...(waypoint && { waypoint }),
  };
}

/** What is to stay on its node (internalTrafficPolicy: Local) stays there. */
function localityPreferenceOf(
  { localityPreference }: ServiceResource,
  trafficPolicy: ServiceTrafficPolicy | undefined,
): LocalityPreference {
  if (localityPreference.mode === 'STRICT') return localityPreference;
  return trafficPolicy?.localityPreference ?? localityPreference;
}

export function serviceMessageKey(service: ServiceResource, options: TranslateOptions): string {
  return `${service.namespace}/${hostnameOf(service, options)}`;
}

/**
 * For an endpoint found by the Service's selector.
 *
 * The ports of a WorkloadEntry are called as those of a ServiceEntry; a Service finds them, as those of a pod, by the names
 * it has for its target ports.
 */
export function podTargets(service: ServiceResource, pod: PodResource): ServicePortTarget[] {
  const isEntry = service.entry !== undefined && isWorkloadEntry(pod);
  return targets(service, ({ name, targetPort }) => {
    const own = isEntry ? portNamed(pod.ports, name) : undefined;
    if (own !== undefined) return own;
    return typeof targetPort === 'number' ? targetPort : portNamed(pod.ports, targetPort);
  });
}

/** For an endpoint of an EndpointSlice: its ports carry the names of the Service's ports. */
export function sliceTargets(
  service: ServiceResource,
  ports: readonly ContainerPort[],
): ServicePortTarget[] {
  return targets(service, ({ name }) => portNamed(ports, name));
}

function targets(
  service: ServiceResource,
  find: (port: ServiceResourcePort) => number | undefined,
): ServicePortTarget[] {
  return service.ports.flatMap((port) => {
    const targetPort = find(port);
    return targetPort === undefined ? [] : [{ servicePort: port.port, targetPort }];
  });
}

function portNamed(ports: readonly ContainerPort[], name: string): number | undefined {
  return ports.find((port) => port.name === name)?.port;
}

function hostnameOf(service: ServiceResource, options: TranslateOptions): string {
  if (service.entry !== undefined) return service.name;
  return `${service.name}.${service.namespace}.svc.${options.domain}`;
}

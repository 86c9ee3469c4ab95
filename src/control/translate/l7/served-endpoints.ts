/**
 * The endpoints of one port of a Service, as the Workload messages tell them.
 */
import type { Endpoint } from '../../../model/load-assignment.ts';
import type { Endpoints } from './endpoints.ts';
import type { PlacedEndpoint } from './locality.ts';

/** `key`: of its Service message; `labels`: of a subset. */
export function servedEndpoints(
  endpoints: Endpoints,
  key: string,
  port: number,
  labels: Readonly<Record<string, string>>,
): PlacedEndpoint[] {
  const wanted = Object.entries(labels);
  return endpoints.read(key).flatMap(({ workload, labels: own }) => {
    if (!wanted.every(([name, value]) => own.get(name) === value)) return [];
    const served = workload.services.get(key)?.find(({ servicePort }) => servicePort === port);
    const [address] = workload.addresses;
    if (served === undefined || address === undefined || workload.capacity === 0) return [];
    const endpoint: Endpoint = {
      address,
      port: served.targetPort,
      healthy: workload.healthy,
      weight: workload.capacity,
      workload: workload.uid,
    };
    const { region, zone, subzone } = workload.locality;
    return [{ locality: { region, zone, subZone: subzone }, labels: own, endpoint }];
  });
}

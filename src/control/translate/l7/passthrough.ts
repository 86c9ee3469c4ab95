/**
 * Where connections go that no host claims: to where they were sent, or nowhere.
 */
import type { Cluster } from '../../../model/cluster.ts';
import type { WeightedCluster } from '../../../model/route.ts';
import { BLACK_HOLE_CLUSTER, PASSTHROUGH_CLUSTER } from './cluster.ts';
import { plainShare } from './destinations.ts';
import type { Compile } from './graph.ts';
import { clusterMessage } from './message.ts';
import { balancerOf, poolSettings } from './traffic-policy.ts';

const CLUSTER: Cluster = {
  name: PASSTHROUGH_CLUSTER,
  discovery: { type: 'original-destination' },
  balancer: balancerOf({ loadBalancer: { simple: 'PASSTHROUGH' } }),
  protocol: 'as-downstream',
  ...poolSettings({}),
  outliers: undefined,
  healthChecks: [],
  tls: undefined,
  proxyProtocol: undefined,
  service: undefined,
};

const UNITS: ReadonlyMap<string, Compile> = new Map([
  [
    `cluster ${PASSTHROUGH_CLUSTER}`,
    () => ({ messages: [clusterMessage(CLUSTER)], needs: new Map(), findings: [] }),
  ],
]);

export function passthrough(registryOnly: boolean): {
  readonly share: WeightedCluster;
  readonly units: ReadonlyMap<string, Compile>;
} {
  return registryOnly
    ? { share: plainShare(BLACK_HOLE_CLUSTER, 100), units: new Map() }
    : { share: plainShare(PASSTHROUGH_CLUSTER, 100), units: UNITS };
}

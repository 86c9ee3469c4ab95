/**
 * Which endpoints of a Service this node's connections may go to, by where both are; the rules are ztunnel's.
 */
import type { EnrolledPod } from '../../model/enrolment.ts';
import type { LocalityPreference, RoutingScope } from '../../model/service.ts';
import type { Snapshot } from '../../model/snapshot.ts';
import { NO_LOCALITY, type Place } from '../../model/workload.ts';

/**
 * An endpoint's rank is the number of scopes it shares with `from` before the first it does not.  FAILOVER keeps those of
 * the best rank anybody has, so that the next rank serves when the last endpoint of a better one goes; STRICT keeps those
 * that share all.  Where the first scope is NETWORK, endpoints of other networks are ranked among themselves by the rest.
 *
 * Unknown is equal to unknown: endpoints and nodes without a zone are in one zone.
 */
export function preferred<T extends Place>(
  endpoints: readonly T[],
  { mode, routingPreference }: LocalityPreference,
  from: Place,
): readonly T[] {
  if (mode !== 'STRICT' && mode !== 'FAILOVER') return endpoints;
  if (mode === 'STRICT') {
    return endpoints.filter((to) => routingPreference.every((scope) => shares(scope, from, to)));
  }
  const ranks = endpoints.map((to) => rankOf(routingPreference, from, to));
  const best = ranks.reduce((a, b) => Math.max(a, b), 0);
  return endpoints.filter((_, index) => ranks[index] === best);
}

function rankOf(scopes: readonly RoutingScope[], from: Place, to: Place): number {
  const [first, ...rest] = scopes;
  if (first !== 'NETWORK') return shared(scopes, from, to);
  return shared(rest, from, to) + (from.network === to.network ? scopes.length : 0);
}

function shared(scopes: readonly RoutingScope[], from: Place, to: Place): number {
  const end = scopes.findIndex((scope) => !shares(scope, from, to));
  return end === -1 ? scopes.length : end;
}

function shares(scope: RoutingScope, from: Place, to: Place): boolean {
  switch (scope) {
    case 'NETWORK':
      return from.network === to.network;
    case 'REGION':
      return from.locality.region === to.locality.region;
    case 'ZONE':
      return from.locality.zone === to.locality.zone;
    case 'SUBZONE':
      return from.locality.subzone === to.locality.subzone;
    case 'NODE':
      return from.node === to.node;
    case 'CLUSTER':
      return from.clusterId === to.clusterId;
  }
}

/**
 * Where this node is, as the mesh says of its pods: of the first one that runs on the node `name`, or of the first at all.
 * `name` is the node's own word and stands also when no pod says the same.
 */
export function placeOfNode(
  snapshot: Snapshot,
  enrolled: readonly EnrolledPod[],
  name: string | undefined,
): Place {
  const pods = enrolled.flatMap(({ uid }) => snapshot.workloads.get(uid) ?? []);
  pods.sort((a, b) => (a.uid < b.uid ? -1 : 1));
  const pod = pods.find(({ node }) => node === name) ?? pods[0];
  return {
    node: name ?? pod?.node ?? '',
    network: pod?.network ?? '',
    clusterId: pod?.clusterId ?? '',
    locality: pod?.locality ?? NO_LOCALITY,
  };
}

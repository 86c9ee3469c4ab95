/**
 * NetworkPolicies → which pairs of this node's pods may be spliced. Spliced bytes skip netfilter after the handshake, so a
 * pair that NetworkPolicy does not let talk stays on TCP, where the CNI sees every byte.
 *
 * A port is allowed when it is for each address family that both pods have: the kernel's key has no family.
 */
import type { EnrolledPod } from '../../model/enrolment.ts';
import { ipFamily, prefixContains, type Ip } from '../../model/ip.ts';
import {
  selects,
  type NetworkPeer,
  type NetworkPolicy,
  type NetworkPort,
  type NetworkRule,
} from '../../model/network-policy.ts';
import { hostPrefix } from './policy/evaluate.ts';
import {
  ALL_PORTS,
  intersectPorts,
  portPrefixes,
  unionPorts,
  type PortPrefix,
  type PortRange,
  type PortRanges,
} from './port-ranges.ts';

export interface NetworkPair {
  /** uids */
  readonly source: string;
  readonly destination: string;
  readonly ports: readonly PortPrefix[];
}

export interface NetworkRules {
  /** by uid; pods that no policy selects are not here */
  readonly isolated: ReadonlyMap<string, { readonly ingress: boolean; readonly egress: boolean }>;
  /** what is allowed where one of the two is isolated */
  readonly pairs: readonly NetworkPair[];
}

export type NetworkPod = Pick<
  EnrolledPod,
  'uid' | 'namespace' | 'labels' | 'namespaceLabels' | 'ports'
> & { readonly addresses: readonly Ip[] };

interface Bound {
  readonly policy: NetworkPolicy;
  readonly rule: NetworkRule;
}

/** A pod with the rules about it; undefined: not isolated that way. */
interface Subject {
  readonly pod: NetworkPod;
  readonly ingress: readonly Bound[] | undefined;
  readonly egress: readonly Bound[] | undefined;
}

export const NO_NETWORK_RULES: NetworkRules = { isolated: new Map(), pairs: [] };

export function compileNetwork(
  pods: readonly NetworkPod[],
  policies: readonly NetworkPolicy[],
): NetworkRules {
  if (policies.length === 0) return NO_NETWORK_RULES;
  const subjects = pods.map((pod): Subject => {
    const selecting = policies.filter(
      ({ namespace, podSelector }) =>
        namespace === pod.namespace && selects(podSelector, pod.labels),
    );
    const [ingress, egress] = [rulesOf(selecting, 'ingress'), rulesOf(selecting, 'egress')];
    return { pod, ingress, egress };
  });
  const isolated = subjects
    .filter(({ ingress, egress }) => ingress ?? egress)
    .map(
      ({ pod, ingress, egress }) => [pod.uid, { ingress: !!ingress, egress: !!egress }] as const,
    );
  const pairs = subjects.flatMap((source) =>
    subjects.flatMap((destination): NetworkPair[] => {
      if (source === destination || !(source.egress ?? destination.ingress)) return [];
      const ports = portPrefixes(pairPorts(source, destination));
      if (ports.length === 0) return [];
      return [{ source: source.pod.uid, destination: destination.pod.uid, ports }];
    }),
  );
  return { isolated: new Map(isolated), pairs };
}

function rulesOf(
  policies: readonly NetworkPolicy[],
  direction: 'ingress' | 'egress',
): readonly Bound[] | undefined {
  const saying = policies.filter((policy) => policy[direction] !== undefined);
  if (saying.length === 0) return undefined;
  return saying.flatMap((policy) =>
    (policy[direction] ?? []).map((rule): Bound => ({ policy, rule })),
  );
}

function pairPorts(source: Subject, destination: Subject): PortRanges {
  let ports = ALL_PORTS;
  for (const family of [4, 6] as const) {
    const [from, to] = [source, destination].map(({ pod }) =>
      pod.addresses.filter((address) => ipFamily(address) === family),
    );
    if (from!.length === 0 || to!.length === 0) continue;
    ports = intersectPorts(ports, portsOf(source.egress, destination, destination.pod, to!));
    ports = intersectPorts(ports, portsOf(destination.ingress, source, destination.pod, from!));
  }
  return ports;
}

/** What the rules let through with this peer; `addresses`: the peer's, of one family. */
function portsOf(
  rules: readonly Bound[] | undefined,
  peer: Subject,
  destination: NetworkPod,
  addresses: readonly Ip[],
): PortRanges {
  if (rules === undefined) return ALL_PORTS;
  const ranges = rules
    .filter(({ policy, rule }) => {
      if (rule.peers.length === 0) return true;
      return rule.peers.some((one) => matches(one, policy, peer.pod, addresses));
    })
    .flatMap(({ rule }): PortRanges => {
      if (rule.ports === undefined) return ALL_PORTS;
      return rule.ports.flatMap((port) => rangeOf(port, destination));
    });
  return unionPorts(ranges);
}

function matches(
  peer: NetworkPeer,
  { namespace }: NetworkPolicy,
  pod: NetworkPod,
  addresses: readonly Ip[],
): boolean {
  if (peer.type === 'ipBlock') {
    const { cidr, except } = peer;
    return addresses.map(hostPrefix).every((address) => {
      if (!prefixContains(cidr, address)) return false;
      return !except.some((hole) => prefixContains(hole, address));
    });
  }
  const place = peer.namespaces
    ? selects(peer.namespaces, pod.namespaceLabels)
    : pod.namespace === namespace;
  return place && (peer.pods === undefined || selects(peer.pods, pod.labels));
}

/** A name that the destination does not have leads nowhere. */
function rangeOf({ port, endPort }: NetworkPort, { ports }: NetworkPod): PortRange[] {
  if (port === undefined) return [...ALL_PORTS];
  if (typeof port === 'number') return [[port, endPort ?? port]];
  return ports
    .filter(({ name }) => name === port)
    .map((named): PortRange => [named.port, named.port]);
}

/**
 * Which addresses are not reached by plain TCP, as captured pods of this node see it: workloads that speak HBONE, and
 * Services and workloads behind a waypoint.  Where a tunnel leads to is decided in user space, per connection.
 */
import type { Ip } from '../../model/ip.ts';
import type { SharedMap } from '../../model/shared-map.ts';
import type { Snapshot } from '../../model/snapshot.ts';
import type { PodEntry } from './pods.ts';

/**
 * off: this agent has no certificates.  other-nodes: pods of this node are trusted by provenance.  everywhere: they too
 * talk over HBONE.
 */
export type TunnelMode = 'off' | 'other-nodes' | 'everywhere';

/** of an address; both may be set */
export interface Tunnel {
  /** HBONE to the workload that has the address */
  readonly workload: boolean;
  /** the waypoint of the Service or workload is asked */
  readonly waypoint: boolean;
}

/** Few kinds, many addresses. */
const TO_WORKLOAD: Tunnel = { workload: true, waypoint: false };
const TO_WAYPOINT: Tunnel = { workload: false, waypoint: true };
const BOTH: Tunnel = { workload: true, waypoint: true };

export interface TunnelPlan {
  /** by address */
  readonly tunnels: SharedMap<Tunnel>;
  /** virtual address → keys of the Services behind a waypoint that claim it */
  readonly gated: SharedMap<readonly string[]>;
}

export interface TunnelInput {
  readonly mode: TunnelMode;
  readonly snapshot: Snapshot;
  /** of this node, by uid */
  readonly pods: SharedMap<PodEntry>;
  /** by "address|port": the Services that claim it, the one in force first */
  readonly claims: SharedMap<readonly string[]>;
}

export function planTunnels(
  previous: TunnelPlan,
  before: Pick<TunnelInput, 'snapshot' | 'pods'>,
  input: TunnelInput,
): TunnelPlan {
  if (input.mode === 'off') return previous;
  const touched = touchedAddresses(before, input);
  const gated = planGated(previous.gated, before.snapshot, input.snapshot);
  const edit = previous.tunnels.edit();
  for (const address of touched) {
    const tunnel = tunnelTo(address as Ip, gated, input);
    if (tunnel === previous.tunnels.get(address)) continue;
    if (tunnel) edit.set(address, tunnel);
    else edit.delete(address);
  }
  return { tunnels: edit.done(), gated };
}

function touchedAddresses(
  before: Pick<TunnelInput, 'snapshot' | 'pods'>,
  { snapshot, pods }: TunnelInput,
): Set<string> {
  const touched = new Set<string>(snapshot.byAddress.changedSince(before.snapshot.byAddress));
  const add = (holder: { readonly addresses: readonly Ip[] } | undefined): void => {
    for (const address of holder?.addresses ?? []) touched.add(address);
  };
  for (const uid of snapshot.workloads.changedSince(before.snapshot.workloads)) {
    add(before.snapshot.workloads.get(uid));
    add(snapshot.workloads.get(uid));
  }
  for (const key of snapshot.services.changedSince(before.snapshot.services)) {
    add(before.snapshot.services.get(key));
    add(snapshot.services.get(key));
  }
  for (const uid of pods.changedSince(before.pods)) add(snapshot.workloads.get(uid));
  return touched;
}

function planGated(
  previous: SharedMap<readonly string[]>,
  before: Snapshot,
  snapshot: Snapshot,
): SharedMap<readonly string[]> {
  const edit = previous.edit();
  for (const key of snapshot.services.changedSince(before.services)) {
    const [old, now] = [before.services.get(key), snapshot.services.get(key)];
    for (const address of old?.waypoint ? old.addresses : []) {
      const rest = (edit.get(address) ?? []).filter((other) => other !== key);
      if (rest.length > 0) edit.set(address, rest);
      else edit.delete(address);
    }
    for (const address of now?.waypoint ? now.addresses : []) {
      edit.set(address, [...(edit.get(address) ?? []), key].sort());
    }
  }
  return edit.done();
}

function tunnelTo(
  address: Ip,
  gated: SharedMap<readonly string[]>,
  { snapshot, pods, claims, mode }: TunnelInput,
): Tunnel | undefined {
  const uid = snapshot.byAddress.get(address)?.[0] ?? '';
  const owner = snapshot.workloads.get(uid);
  const here = pods.get(uid);
  const workload =
    owner?.tunnelProtocol === 'HBONE' &&
    (here === undefined || mode === 'everywhere' || here.tunnelOnly);
  const waypoint =
    owner?.waypoint !== undefined ||
    (gated.get(address) ?? []).some((key) =>
      snapshot.services
        .get(key)!
        .ports.some(({ servicePort }) => claims.get(`${address}|${servicePort}`)?.[0] === key),
    );
  if (workload) return waypoint ? BOTH : TO_WORKLOAD;
  return waypoint ? TO_WAYPOINT : undefined;
}

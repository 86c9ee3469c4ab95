/**
 * The enrolled pods of this node, with what belongs to each: its addresses, port modes and policy.
 *
 * Only pods that a change touches are compiled again: a new enrolment, their workload, a claim on one of their addresses.
 * What concerns all of them (policies, the set of identities) is a walk over the node's pods, never over the mesh.
 */
import type { EnrolledPod } from '../../model/enrolment.ts';
import { equal } from '../../model/equal.ts';
import type { SharedMap, SharedMapEditor } from '../../model/shared-map.ts';
import type { Snapshot } from '../../model/snapshot.ts';
import type { NumberTable } from './number-table.ts';
import type { Allocators } from './numbers.ts';
import { compilePod, type LocalEntry, type PodEntry, type PortModeEntry } from './pods.ts';
import type { PolicyCache } from './policy/cache.ts';
import { askTable, POLICY_LIMITS, type CidrRule, type PolicyTable } from './policy/policy-table.ts';
import type { TunnelMode } from './tunnels.ts';

/** The maps of the plan that the node's pods fill; see KernelPlan. */
export interface NodePods {
  readonly pods: SharedMap<PodEntry>;
  readonly locals: SharedMap<LocalEntry>;
  readonly portModes: SharedMap<PortModeEntry>;
}

export interface NodePolicies {
  readonly policies: SharedMap<PolicyTable>;
  readonly cidrTables: SharedMap<readonly CidrRule[]>;
}

export interface Enrolment {
  /** as it was given */
  readonly list: readonly EnrolledPod[];
  readonly byUid: ReadonlyMap<string, EnrolledPod>;
}

export const NO_ENROLMENT: Enrolment = { list: [], byUid: new Map() };

export function nextEnrolment(previous: Enrolment, list: readonly EnrolledPod[]): Enrolment {
  if (list === previous.list) return previous;
  return { list, byUid: new Map(list.map((pod) => [pod.uid, pod])) };
}

/** Uids of pods that must be looked at again; those that are or were enrolled only. */
export function touchedPods(
  before: { readonly snapshot: Snapshot; readonly enrolment: Enrolment },
  snapshot: Snapshot,
  enrolment: Enrolment,
): Set<string> {
  const touched = new Set<string>();
  const last = before.enrolment;
  if (enrolment !== last) {
    for (const [uid, pod] of enrolment.byUid) if (last.byUid.get(uid) !== pod) touched.add(uid);
    for (const uid of last.byUid.keys()) if (!enrolment.byUid.has(uid)) touched.add(uid);
  }
  for (const uid of snapshot.workloads.changedSince(before.snapshot.workloads)) {
    if (enrolment.byUid.has(uid)) touched.add(uid);
  }
  const previously = before.snapshot.byAddress;
  for (const address of snapshot.byAddress.changedSince(previously)) {
    for (const claims of [previously.get(address), snapshot.byAddress.get(address)]) {
      for (const uid of claims ?? []) if (enrolment.byUid.has(uid)) touched.add(uid);
    }
  }
  return touched;
}

export function planPods(
  previous: NodePods,
  touched: ReadonlySet<string>,
  input: {
    readonly snapshot: Snapshot;
    readonly enrolment: Enrolment;
    readonly tunnelMode: TunnelMode;
  },
  numbers: Allocators,
): NodePods {
  const { snapshot, enrolment, tunnelMode } = input;
  const pods = previous.pods.edit();
  const locals = previous.locals.edit();
  const portModes = previous.portModes.edit();
  // Removals first: an address may go from one pod to the other.
  for (const uid of touched) {
    const before = previous.pods.get(uid);
    if (before === undefined) continue;
    pods.delete(uid);
    for (const addr of before.addrs)
      if (previous.locals.get(addr)?.uid === uid) locals.delete(addr);
    for (const port of before.portModes.keys()) portModes.delete(portKey(uid, port));
  }
  for (const uid of touched) {
    const enrolled = enrolment.byUid.get(uid);
    const workload = snapshot.workloads.get(uid);
    if (enrolled === undefined || workload === undefined) continue;
    const fresh = compilePod(enrolled, workload, tunnelMode, (spiffe) =>
      numbers.identities.number(spiffe),
    );
    const pod = reuse(previous.pods.get(uid), fresh);
    pods.set(uid, pod);
    for (const addr of pod.addrs) {
      // Two claims of one address (foreign xDS servers send them): the better one, as everywhere.
      if (snapshot.byAddress.get(addr)?.[0] !== uid) continue;
      put(locals, previous.locals, addr, { addr, uid, identity: pod.identity });
    }
    for (const [port, mode] of pod.portModes) {
      put(portModes, previous.portModes, portKey(uid, port), { uid, port, mode });
    }
  }
  return {
    pods: settled(pods.done(), previous.pods),
    locals: settled(locals.done(), previous.locals),
    portModes: settled(portModes.done(), previous.portModes),
  };
}

/** `touched`: undefined when policies or identities changed, which concerns every pod. */
export function planPolicies(
  previous: NodePolicies,
  touched: ReadonlySet<string> | undefined,
  input: {
    readonly snapshot: Snapshot;
    readonly pods: SharedMap<PodEntry>;
    readonly cache: PolicyCache;
    readonly identities: NumberTable;
    readonly numbers: Allocators;
  },
): NodePolicies {
  const { snapshot, pods, cache, identities, numbers } = input;
  const edit = previous.policies.edit();
  if (touched === undefined) {
    for (const uid of previous.policies.keys()) if (!pods.has(uid)) edit.delete(uid);
  }
  for (const uid of touched ?? pods.keys()) {
    const workload = pods.has(uid) ? snapshot.workloads.get(uid) : undefined;
    const table = workload && cache.table(snapshot, workload, identities, numbers);
    if (table === undefined) edit.delete(uid);
    else put(edit, previous.policies, uid, table);
  }
  const policies = shedPrefixes(edit.done(), previous.policies);
  if (policies.changedSince(previous.policies).length === 0) return previous;
  const used = new Map<string, readonly CidrRule[]>();
  for (const { cidrTables } of policies.values()) {
    for (const [number, rules] of cidrTables) used.set(String(number), rules);
  }
  const tables = previous.cidrTables.edit();
  for (const number of previous.cidrTables.keys()) if (!used.has(number)) tables.delete(number);
  for (const [number, rules] of used) put(tables, previous.cidrTables, number, rules);
  return { policies, cidrTables: tables.done() };
}

/**
 * Prefix tables of the whole node, old and new ones together, must fit into one map: where they do not, the pods with the
 * last uids have all their connections decided in user space.
 */
function shedPrefixes(
  policies: SharedMap<PolicyTable>,
  previous: SharedMap<PolicyTable>,
): SharedMap<PolicyTable> {
  const edit = policies.edit();
  const counted = new Set<number>();
  let rules = 0;
  const heavy = [...policies].filter(([, { cidrTables }]) => cidrTables.size > 0);
  for (const [uid, { cidrTables }] of heavy.sort(([a], [b]) => (a < b ? -1 : 1))) {
    const fresh = [...cidrTables].filter(([number]) => !counted.has(number));
    const more = fresh.reduce((sum, [, table]) => sum + table.length, 0);
    if (rules + more > POLICY_LIMITS.nodePrefixes) {
      put(edit, previous, uid, askTable('the policies of this node depend on too many prefixes'));
      continue;
    }
    rules += more;
    for (const [number] of fresh) counted.add(number);
  }
  return edit.done();
}

/** Equal values stay the same objects: diff.ts compares references first. */
function put<V>(edit: SharedMapEditor<V>, previous: SharedMap<V>, key: string, value: V): void {
  edit.set(key, reuse(previous.get(key), value));
}

function reuse<V>(before: V | undefined, after: V): V {
  return before !== undefined && equal(before, after) ? before : after;
}

/** The previous version where taking out and putting back came to the same. */
function settled<V>(next: SharedMap<V>, previous: SharedMap<V>): SharedMap<V> {
  return next.size === previous.size && next.changedSince(previous).length === 0 ? previous : next;
}

function portKey(uid: string, port: number): string {
  return `${uid}|${port}`;
}

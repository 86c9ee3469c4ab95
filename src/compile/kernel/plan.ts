/**
 * Snapshot + enrolled pods → everything the kernel should hold, as plain data under string keys.
 *
 * Computed from the previous plan: services are compiled again only where they or their endpoints changed, the pods of
 * this node and their policies likewise (node-pods.ts).  Entries that stay the same are the same objects, so that diff.ts
 * compares references.
 */
import type { EnrolledPod } from '../../model/enrolment.ts';
import { equal } from '../../model/equal.ts';
import { SharedMap, type SharedMapEditor } from '../../model/shared-map.ts';
import { emptySnapshot, type Snapshot } from '../../model/snapshot.ts';
import type { LocalityPreference } from '../../model/service.ts';
import { workloadIdentity, type Place } from '../../model/workload.ts';
import { placeOfNode } from './locality.ts';
import type { NumberTable } from './number-table.ts';
import { allocated, allocators, emptyNumbers, type Allocators, type Numbers } from './numbers.ts';
import {
  NO_ENROLMENT,
  nextEnrolment,
  planPods,
  planPolicies,
  touchedPods,
  type Enrolment,
} from './node-pods.ts';
import type { LocalEntry, PodEntry, PortModeEntry } from './pods.ts';
import type { CidrRule, PolicyTable } from './policy/policy-table.ts';
import { PolicyCache } from './policy/cache.ts';
import { planTunnels, type Tunnel, type TunnelMode } from './tunnels.ts';
import { compileService, serviceEntryKeys, type Backend, type ServiceEntry } from './services.ts';

export interface KernelPlan {
  /** by number */
  readonly cidrTables: SharedMap<readonly CidrRule[]>;
  /** by pod uid; a pod without an entry has no policy: all is allowed */
  readonly policies: SharedMap<PolicyTable>;
  /** by "address|port" of the service */
  readonly slots: SharedMap<readonly Backend[]>;
  /** by "address|port" */
  readonly services: SharedMap<ServiceEntry>;
  /** by "uid|port" */
  readonly portModes: SharedMap<PortModeEntry>;
  /** by uid */
  readonly pods: SharedMap<PodEntry>;
  /** by address */
  readonly locals: SharedMap<LocalEntry>;
  /** by address */
  readonly tunnels: SharedMap<Tunnel>;
}

export type PlanMap = keyof KernelPlan;
export type PlanValue<M extends PlanMap> = KernelPlan[M] extends SharedMap<infer V> ? V : never;

export interface PlanState {
  readonly plan: KernelPlan;
  /** to be saved before the plan is applied */
  readonly numbers: Numbers;
  readonly snapshot: Snapshot;
  /** of this node */
  readonly place: Place;
  /** enrolled pods the mesh does not know yet, by uid */
  readonly unknownPods: readonly string[];
  /** by "address|port": the Services that claim it, the one in force first */
  readonly claims: SharedMap<readonly string[]>;
  readonly policyCache: PolicyCache;
  /** those the policy tables answer for */
  readonly identities: NumberTable;
  readonly enrolment: Enrolment;
  /** never changes while the agent runs */
  readonly tunnelMode: TunnelMode;
  /** see TunnelPlan */
  readonly gated: SharedMap<readonly string[]>;
}

export function emptyPlan(): KernelPlan {
  return {
    cidrTables: SharedMap.empty(),
    policies: SharedMap.empty(),
    slots: SharedMap.empty(),
    services: SharedMap.empty(),
    portModes: SharedMap.empty(),
    pods: SharedMap.empty(),
    locals: SharedMap.empty(),
    tunnels: SharedMap.empty(),
  };
}

/** `numbers`: those of an earlier run */
export function initialPlanState(
  numbers: Numbers = emptyNumbers(),
  tunnelMode: TunnelMode = 'off',
): PlanState {
  return {
    plan: emptyPlan(),
    numbers,
    snapshot: emptySnapshot(),
    place: placeOfNode(emptySnapshot(), [], undefined),
    unknownPods: [],
    claims: SharedMap.empty(),
    policyCache: new PolicyCache(),
    identities: numbers.identities,
    enrolment: NO_ENROLMENT,
    tunnelMode,
    gated: SharedMap.empty(),
  };
}

/** `node`: its name, where the operator gave it; otherwise its pods say */
export function nextPlan(
  previous: PlanState,
  snapshot: Snapshot,
  enrolled: readonly EnrolledPod[],
  node?: string,
): PlanState {
  const numbers = allocators(previous.numbers);
  for (const uid of snapshot.workloads.changedSince(previous.snapshot.workloads)) {
    const workload = snapshot.workloads.get(uid);
    if (workload !== undefined) numbers.identities.number(workloadIdentity(workload));
  }
  const enrolment = nextEnrolment(previous.enrolment, enrolled);
  const touched = touchedPods(previous, snapshot, enrolment);
  const { plan, tunnelMode } = previous;
  const place = nextPlace(previous, touched, { snapshot, enrolled, node });
  const pods = planPods(plan, touched, { snapshot, enrolment, tunnelMode }, numbers);
  // After all identities have their numbers: a pod's table answers for every one of them.
  const identities = numbers.identities.table();
  const everywhere = concernsAllPods(previous, snapshot, identities);
  const policyCache = everywhere ? previous.policyCache.next() : previous.policyCache;
  const { policies, cidrTables } = planPolicies(plan, everywhere ? undefined : touched, {
    snapshot,
    pods: pods.pods,
    cache: policyCache,
    identities,
    numbers,
  });
  policyCache.release();
  const { services, slots, claims } = planServices(previous, snapshot, place, numbers);
  const { tunnels, gated } = planTunnels(
    { tunnels: plan.tunnels, gated: previous.gated },
    { snapshot: previous.snapshot, pods: plan.pods },
    { mode: tunnelMode, snapshot, pods: pods.pods, claims },
  );
  return {
    plan: { cidrTables, policies, slots, services, ...pods, tunnels },
    numbers: allocated(numbers, previous.numbers),
    snapshot,
    place,
    unknownPods:
      touched.size === 0
        ? previous.unknownPods
        : enrolled.flatMap(({ uid }) => (snapshot.workloads.has(uid) ? [] : [uid])),
    claims,
    policyCache,
    identities,
    enrolment,
    tunnelMode,
    gated,
  };
}

/** Of this node's pods only, and only when one of them changed. */
function nextPlace(
  previous: PlanState,
  touched: ReadonlySet<string>,
  {
    snapshot,
    enrolled,
    node,
  }: { snapshot: Snapshot; enrolled: readonly EnrolledPod[]; node: string | undefined },
): Place {
  if (touched.size === 0 && previous.place.node === (node ?? previous.place.node)) {
    return previous.place;
  }
  const place = placeOfNode(snapshot, enrolled, node);
  return equal(previous.place, place) ? previous.place : place;
}

/** Whether the policy tables of pods that did not change may differ. */
function concernsAllPods(
  previous: PlanState,
  snapshot: Snapshot,
  identities: NumberTable,
): boolean {
  const before = previous.snapshot;
  return (
    identities !== previous.identities ||
    snapshot.authorizations !== before.authorizations ||
    snapshot.scopedPolicies !== before.scopedPolicies ||
    previous.policyCache.isLarge
  );
}

function planServices(
  previous: PlanState,
  snapshot: Snapshot,
  place: Place,
  numbers: Allocators,
): Pick<KernelPlan, 'services' | 'slots'> & Pick<PlanState, 'claims'> {
  const before = previous.snapshot;
  const claims = previous.claims.edit();
  const touched = new Set<string>();
  for (const key of snapshot.services.changedSince(before.services)) {
    for (const entry of serviceEntryKeys(before.services.get(key))) {
      unclaim(claims, entry, key);
      touched.add(entry);
    }
    for (const entry of serviceEntryKeys(snapshot.services.get(key))) {
      claims.set(entry, [...(claims.get(entry) ?? []), key].sort());
      touched.add(entry);
    }
  }
  for (const key of snapshot.endpoints.changedSince(before.endpoints)) {
    for (const entry of serviceEntryKeys(snapshot.services.get(key))) touched.add(entry);
  }
  if (place !== previous.place) {
    for (const service of snapshot.services.values()) {
      if (!isPlaced(service.loadBalancing)) continue;
      for (const entry of serviceEntryKeys(service)) touched.add(entry);
    }
  }

  const services = previous.plan.services.edit();
  const slots = previous.plan.slots.edit();
  for (const key of touched) {
    const owner = snapshot.services.get(claims.get(key)?.[0] ?? '');
    const entry = owner && compileService(snapshot, owner, key, place, numbers);
    if (entry === undefined) {
      services.delete(key);
      slots.delete(key);
    } else if (!equal(services.get(key), entry)) {
      services.set(key, entry);
      slots.set(key, entry.slots);
    }
  }
  return { services: services.done(), slots: slots.done(), claims: claims.done() };
}

/** Whether it matters to the Service where the node is. */
function isPlaced({ mode }: LocalityPreference): boolean {
  return mode === 'STRICT' || mode === 'FAILOVER';
}

function unclaim(claims: SharedMapEditor<readonly string[]>, entry: string, key: string): void {
  const rest = (claims.get(entry) ?? []).filter((other) => other !== key);
  if (rest.length > 0) claims.set(entry, rest);
  else claims.delete(entry);
}

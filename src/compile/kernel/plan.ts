/**
 * Snapshot + enrolled pods → everything the kernel should hold, as plain data under string keys.
 *
 * Computed from the previous plan: services are compiled again only where they or their endpoints changed, pods and
 * policies are those of this node.  Entries that stay the same are the same objects, so that diff.ts compares references.
 */
import type { EnrolledPod } from '../../model/enrolment.ts';
import { equal } from '../../model/equal.ts';
import { SharedMap, type SharedMapEditor } from '../../model/shared-map.ts';
import { emptySnapshot, type Snapshot } from '../../model/snapshot.ts';
import type { LocalityPreference } from '../../model/service.ts';
import { workloadIdentity, type Place } from '../../model/workload.ts';
import { placeOfNode } from './locality.ts';
import { allocated, allocators, emptyNumbers, type Allocators, type Numbers } from './numbers.ts';
import { compilePod, type LocalEntry, type PodEntry, type PortModeEntry } from './pods.ts';
import type { CidrRule, PolicyTable } from './policy/compile.ts';
import { PolicyCache } from './policy/cache.ts';
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
  };
}

/** `numbers`: those of an earlier run */
export function initialPlanState(numbers: Numbers = emptyNumbers()): PlanState {
  return {
    plan: emptyPlan(),
    numbers,
    snapshot: emptySnapshot(),
    place: placeOfNode(emptySnapshot(), [], undefined),
    unknownPods: [],
    claims: SharedMap.empty(),
    policyCache: new PolicyCache(new Map()),
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
  const place = reuse(previous.place, placeOfNode(snapshot, enrolled, node));
  const services = planServices(previous, snapshot, place, numbers);
  const pods = planPods(previous, snapshot, enrolled, numbers);
  // After all identities have their numbers: a pod's table answers for every one of them.
  const identities = numbers.identities.table();
  const policyCache = previous.policyCache.next();
  const policies = new Map<string, PolicyTable>();
  const cidrTables = new Map<string, readonly CidrRule[]>();
  for (const pod of pods.pods.values()) {
    const workload = snapshot.workloads.get(pod.uid)!;
    const table = policyCache.table(snapshot, workload, identities, numbers);
    if (table === undefined) continue;
    policies.set(pod.uid, table);
    for (const [number, rules] of table.cidrTables) cidrTables.set(String(number), rules);
  }
  const { plan } = previous;
  return {
    plan: {
      cidrTables: replaceAll(plan.cidrTables, cidrTables),
      policies: replaceAll(plan.policies, policies),
      slots: services.slots,
      services: services.services,
      portModes: replaceAll(plan.portModes, pods.portModes),
      pods: replaceAll(plan.pods, pods.pods),
      locals: replaceAll(plan.locals, pods.locals),
    },
    numbers: allocated(numbers, previous.numbers),
    snapshot,
    place,
    unknownPods: pods.unknown,
    claims: services.claims,
    policyCache,
  };
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

function planPods(
  previous: PlanState,
  snapshot: Snapshot,
  enrolled: readonly EnrolledPod[],
  numbers: Allocators,
): {
  pods: Map<string, PodEntry>;
  locals: Map<string, LocalEntry>;
  portModes: Map<string, PortModeEntry>;
  unknown: string[];
} {
  const pods = new Map<string, PodEntry>();
  const locals = new Map<string, LocalEntry>();
  const portModes = new Map<string, PortModeEntry>();
  const unknown: string[] = [];
  for (const enrolment of enrolled) {
    const { uid } = enrolment;
    const workload = snapshot.workloads.get(uid);
    if (workload === undefined) {
      unknown.push(uid);
      continue;
    }
    const fresh = compilePod(enrolment, workload, (spiffe) => numbers.identities.number(spiffe));
    const pod = reuse(previous.plan.pods.get(uid), fresh);
    pods.set(uid, pod);
    for (const addr of pod.addrs) {
      // Two claims of one address (foreign xDS servers send them): the better one, as everywhere.
      if (snapshot.byAddress.get(addr)?.[0] !== uid) continue;
      locals.set(addr, { addr, uid, identity: pod.identity });
    }
    for (const [port, mode] of pod.portModes) portModes.set(`${uid}|${port}`, { uid, port, mode });
  }
  return { pods, locals, portModes, unknown };
}

/** The next version of a small map that was computed whole: equal values stay the same objects. */
function replaceAll<V>(previous: SharedMap<V>, next: ReadonlyMap<string, V>): SharedMap<V> {
  const edit = previous.edit();
  for (const key of previous.keys()) if (!next.has(key)) edit.delete(key);
  for (const [key, value] of next) edit.set(key, reuse(previous.get(key), value));
  return edit.done();
}

function reuse<V>(before: V | undefined, after: V): V {
  return before !== undefined && equal(before, after) ? before : after;
}

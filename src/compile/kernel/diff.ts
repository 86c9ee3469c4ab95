/**
 * Two plans → the operations that turn the kernel from one into the other, in an order in which it is right throughout.
 *
 * Maps are not atomic together.  Leaves are written first (CIDR tables before the policies that point to them, slots
 * before their service, a pod's policy before anything carries its identity) and roots are removed first.
 */
import { equal } from '../../model/equal.ts';
import type { SharedMap } from '../../model/shared-map.ts';
import type { KernelPlan, PlanMap, PlanValue } from './plan.ts';

export type PlanOperation = {
  [M in PlanMap]:
    | {
        readonly op: 'put';
        readonly map: M;
        readonly key: string;
        readonly value: PlanValue<M>;
        readonly before: PlanValue<M> | undefined;
      }
    | {
        readonly op: 'delete';
        readonly map: M;
        readonly key: string;
        readonly before: PlanValue<M>;
      };
}[PlanMap];

/** Leaves first. */
export const PLAN_ORDER = [
  'cidrTables',
  'policies',
  'tunnels',
  'slots',
  'services',
  'portModes',
  'pods',
  'locals',
] as const satisfies readonly PlanMap[];

export function diffPlans(previous: KernelPlan, next: KernelPlan): PlanOperation[] {
  const puts: PlanOperation[] = [];
  const deletes: PlanOperation[][] = [];
  for (const map of PLAN_ORDER) {
    const removed: PlanOperation[] = [];
    diffMap(map, previous[map], next[map], puts, removed);
    deletes.unshift(removed);
  }
  return [...puts, ...deletes.flat()];
}

function diffMap<M extends PlanMap>(
  map: M,
  previous: SharedMap<PlanValue<M>>,
  next: SharedMap<PlanValue<M>>,
  puts: PlanOperation[],
  deletes: PlanOperation[],
): void {
  for (const key of next.changedSince(previous)) {
    const value = next.get(key);
    const before = previous.get(key);
    if (value === undefined) deletes.push({ op: 'delete', map, key, before } as PlanOperation);
    else if (!equal(value, before)) {
      puts.push({ op: 'put', map, key, value, before } as PlanOperation);
    }
  }
}

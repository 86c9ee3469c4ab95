/**
 * Forgets numbers that nothing refers to any more, so that the tables do not grow with every pod that ever was.
 */
import { workloadIdentity } from '../../model/workload.ts';
import { pruneNumbers } from './number-table.ts';
import type { PlanState } from './plan.ts';

/** `liveIdentities`: numbers that kernel state outside the plan (records of connections) still carries. */
export function prunePlanNumbers(state: PlanState, liveIdentities: ReadonlySet<number>): PlanState {
  const { plan, snapshot, numbers } = state;
  const identities = new Set<string>();
  for (const workload of snapshot.workloads.values()) identities.add(workloadIdentity(workload));
  const backends = new Set<number>();
  for (const slots of plan.slots.values()) for (const { id } of slots) backends.add(id);
  const limits = new Set([...plan.services.values()].map(({ limit }) => limit));
  const policies = new Set<number>();
  for (const table of plan.policies.values()) {
    for (const { policy } of table.entries) policies.add(policy);
    for (const rules of table.cidrTables.values())
      for (const { policy } of rules) policies.add(policy);
  }
  return {
    ...state,
    numbers: {
      identities: pruneNumbers(
        numbers.identities,
        (spiffe, number) => identities.has(spiffe) || liveIdentities.has(number),
      ),
      services: pruneNumbers(numbers.services, (key) => plan.services.has(key)),
      backends: pruneNumbers(numbers.backends, (_, number) => backends.has(number)),
      limits: pruneNumbers(numbers.limits, (_, number) => limits.has(number)),
      policies: pruneNumbers(numbers.policies, (_, number) => policies.has(number)),
      cidrTables: pruneNumbers(numbers.cidrTables, (_, number) =>
        plan.cidrTables.has(String(number)),
      ),
    },
  };
}
